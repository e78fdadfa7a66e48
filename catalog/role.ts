/** Role: who may log in and own things, and who is a member of whom. */

import type { RoleGraph } from './acl.js'

/** What CREATE ROLE says of a role. */
export interface RoleAttributes {
  readonly superuser: boolean
  readonly inherit: boolean
  readonly createRole: boolean
  readonly createDb: boolean
  readonly login: boolean
  readonly replication: boolean
  readonly bypassRls: boolean
  /** Sessions at a time; -1 for any number. */
  readonly connectionLimit: number
  /** SCRAM-SHA-256 verifier; null without a password. */
  readonly verifier: string | null
  /** Until when the password may be used, milliseconds since 1970; null for ever. */
  readonly validUntilMs: number | null
}

export interface Role extends RoleAttributes {
  /** Stays when the name changes. */
  readonly id: number
  readonly name: string
  /** Settings that a session of the role begins with, by name. */
  readonly settings: { readonly [name: string]: string }
}

/** That `member` is one of `role`, by the grant of `grantor`. */
export interface Membership {
  readonly role: number
  readonly member: number
  readonly grantor: number
  readonly admin: boolean
  readonly inherit: boolean
  readonly set: boolean
}

/** The first role: a superuser, who owns what nobody else does. */
export const BOOTSTRAP_ID = 10

/** Its name. */
export const BOOTSTRAP_NAME = 'lakegate'

/** What a role has that says nothing. */
export const NEW_ROLE: RoleAttributes = {
  superuser: false,
  inherit: true,
  createRole: false,
  createDb: false,
  login: false,
  replication: false,
  bypassRls: false,
  connectionLimit: -1,
  verifier: null,
  validUntilMs: null,
}

/** PostgreSQL's own roles, with its numbers. */
export const PREDEFINED: Readonly<Record<string, number>> = {
  pg_monitor: 3373,
  pg_read_all_settings: 3374,
  pg_read_all_stats: 3375,
  pg_stat_scan_tables: 3377,
  pg_signal_backend: 4200,
  pg_checkpoint: 4544,
  pg_use_reserved_connections: 4550,
  pg_read_server_files: 4569,
  pg_write_server_files: 4570,
  pg_execute_server_program: 4571,
  pg_database_owner: 6171,
  pg_read_all_data: 6181,
  pg_write_all_data: 6182,
  pg_create_subscription: 6304,
  pg_maintain: 6337,
}

/** Names no role may be given. */
export function isReservedRoleName(name: string): boolean {
  return name.startsWith('pg_') || name === 'public' || name === 'none'
}

/** The roles of one lake. Values of it never change: each change makes another one. */
export class Roles implements RoleGraph {
  readonly #roles: ReadonlyMap<number, Role>
  readonly #byName: ReadonlyMap<string, Role>
  readonly memberships: readonly Membership[]

  constructor(roles: Iterable<Role>, memberships: readonly Membership[]) {
    this.#roles = new Map([...roles].map((role) => [role.id, role]))
    this.#byName = new Map([...this.#roles.values()].map((role) => [role.name, role]))
    this.memberships = memberships
  }

  /** Those of a lake that has been told of none. */
  static first(): Roles {
    const all = { superuser: true, login: true, createRole: true, createDb: true }
    const more = { replication: true, bypassRls: true }
    const bootstrap = { ...NEW_ROLE, ...all, ...more, settings: {} }
    const own = Object.entries(PREDEFINED).map(([name, id]) => ({
      ...NEW_ROLE,
      id,
      name,
      settings: {},
    }))
    const monitors = ['pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables']
    const memberships = monitors.map(
      (name): Membership => ({
        role: PREDEFINED[name] ?? 0,
        member: PREDEFINED.pg_monitor ?? 0,
        grantor: BOOTSTRAP_ID,
        admin: false,
        inherit: true,
        set: true,
      }),
    )
    return new Roles(
      [{ ...bootstrap, id: BOOTSTRAP_ID, name: BOOTSTRAP_NAME }, ...own],
      memberships,
    )
  }

  all(): readonly Role[] {
    return [...this.#roles.values()]
  }

  /** Whether somebody has made a role. */
  get hasOwn(): boolean {
    return this.#roles.size > Object.keys(PREDEFINED).length + 1
  }

  named(name: string): Role | undefined {
    return this.#byName.get(name)
  }

  byId(id: number): Role | undefined {
    return this.#roles.get(id)
  }

  /** The name of a role, for messages. */
  nameOf(id: number): string {
    return this.#roles.get(id)?.name ?? `unknown (OID=${id})`
  }

  isSuperuser(role: number): boolean {
    return this.#roles.get(role)?.superuser === true
  }

  /** The role and all it is a member of through memberships that `follows` allows. */
  #closure(role: number, follows: (one: Membership) => boolean): readonly number[] {
    const found = [role]
    for (const at of found) {
      for (const one of this.memberships) {
        if (one.member === at && follows(one) && !found.includes(one.role)) found.push(one.role)
      }
    }
    return found
  }

  inherited(role: number): readonly number[] {
    return this.#closure(role, ({ inherit }) => inherit)
  }

  hasPrivilegesOf(role: number, other: number): boolean {
    if (role === other || this.isSuperuser(role)) return true
    return this.inherited(role).includes(other)
  }

  /** Whether `role` is `other` or a member of it, superusers only where they are so by grant. */
  isMember(role: number, other: number): boolean {
    return this.#closure(role, () => true).includes(other)
  }

  /** Whether `role` may SET ROLE to `other`. */
  maySet(role: number, other: number): boolean {
    if (role === other || this.isSuperuser(role)) return true
    return this.#closure(role, ({ set }) => set).includes(other)
  }

  /** Whether `role` may make others members of `other`. */
  isAdmin(role: number, other: number): boolean {
    return this.isSuperuser(role) || this.adminGrantor(role, other) !== undefined
  }

  /** Through whom `role` has the ADMIN option on `other`: itself, or a role it inherits from. */
  adminGrantor(role: number, other: number): number | undefined {
    return this.inherited(role).find((id) =>
      this.memberships.some((one) => one.role === other && one.member === id && one.admin),
    )
  }

  /** With a role added or changed. */
  withRole(role: Role): Roles {
    return new Roles([...this.#roles.values(), role], this.memberships)
  }

  /** Without a role and its memberships. */
  without(id: number): Roles {
    return new Roles(
      this.all().filter((role) => role.id !== id),
      this.memberships.filter((one) => ![one.role, one.member, one.grantor].includes(id)),
    )
  }

  withMemberships(memberships: readonly Membership[]): Roles {
    return new Roles(this.#roles.values(), memberships)
  }
}
