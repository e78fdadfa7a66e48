/** AccessAction: entries of the catalog's log about roles, owners and privileges; roles are named, null is PUBLIC. */

import type { Privilege } from './privilege.js'
import type { RoleAttributes } from './role.js'

/** Something that has an owner. */
export type AccessObject =
  /** A table by its folder and the id in its metadata: another table in the folder is another object. */
  | { readonly kind: 'table'; readonly path: string; readonly id: string }
  | { readonly kind: 'view'; readonly layer: string; readonly name: string }
  | { readonly kind: 'layer'; readonly name: string }
  | { readonly kind: 'database' }

/** Kinds of objects that ALTER DEFAULT PRIVILEGES speaks of. */
export type DefaultKind = 'table' | 'layer' | 'function' | 'sequence' | 'type'

/** What one GRANT or REVOKE does to one object. */
export interface GrantAction {
  readonly object: AccessObject
  /** Of whole objects; null for columns. */
  readonly columns: readonly string[] | null
  readonly privileges: readonly Privilege[]
  readonly grantee: string | null
  readonly grantor: string
  readonly grants: boolean
  /** WITH GRANT OPTION, or GRANT OPTION FOR. */
  readonly grantOption: boolean
  readonly cascade: boolean
}

/** What one GRANT role or REVOKE role does; an option that is left out stays, or begins as usual. */
export interface MembershipAction {
  readonly role: string
  readonly member: string
  readonly grantor: string
  readonly admin?: boolean
  readonly inherit?: boolean
  readonly set?: boolean
}

export type AccessAction =
  | {
      readonly createRole: {
        readonly name: string
        readonly attributes: RoleAttributes
        /** Who made it without being a superuser, and gets the ADMIN option. */
        readonly creator?: string
      }
    }
  | { readonly alterRole: { readonly name: string; readonly attributes: Partial<RoleAttributes> } }
  | { readonly renameRole: { readonly name: string; readonly to: string } }
  | { readonly dropRole: { readonly name: string } }
  /** A setting that sessions of the role begin with; null takes it away, a null name all of them. */
  | {
      readonly roleSetting: {
        readonly name: string
        readonly setting: string | null
        readonly value: string | null
      }
    }
  | { readonly grantRole: MembershipAction }
  /** Takes a membership back, or options of it. */
  | {
      readonly revokeRole: Pick<MembershipAction, 'role' | 'member' | 'grantor'> & {
        readonly option?: 'admin' | 'inherit' | 'set'
        readonly cascade: boolean
      }
    }
  /** Somebody made the object: it begins with the privileges that are the maker's defaults. */
  | {
      readonly own: {
        readonly object: AccessObject
        readonly owner: string
        readonly layer?: string
      }
    }
  | { readonly changeOwner: { readonly object: AccessObject; readonly owner: string } }
  | { readonly grant: GrantAction }
  | {
      readonly defaultPrivileges: Omit<GrantAction, 'object' | 'columns' | 'grantor'> & {
        readonly role: string
        /** null: in every layer. */
        readonly layer: string | null
        readonly kind: DefaultKind
      }
    }
  /** The object is gone. */
  | { readonly forget: AccessObject }
  /** The object has another name. */
  | { readonly move: { readonly from: AccessObject; readonly to: AccessObject } }
  /** Everything granted to or by the role is taken back. */
  | { readonly revokeAll: { readonly name: string } }
