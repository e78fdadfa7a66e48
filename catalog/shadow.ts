/** Shadow: the lake's names as rows for the system catalogs, plain data between gateway and PostgreSQL. */

import { assignOids } from './shadow-oid.js'

/** A schema of the shadow. */
export interface ShadowSchema {
  readonly oid: number
  readonly name: string
  readonly comment: string | null
}

/** One column; `type` is the OID of a built-in type. */
export interface ShadowColumn {
  readonly name: string
  readonly type: number
  readonly typmod: number
  /** Dimensions of an array; 0 for others. */
  readonly dimensions: number
  readonly notNull: boolean
  /** `a` (ALWAYS), `d` (BY DEFAULT) or empty. */
  readonly identity: '' | 'a' | 'd'
  readonly comment: string | null
}

/** An expression that belongs to a relation, as PostgreSQL's text. */
export interface ShadowExpression {
  readonly oid: number
  /** Of a column: its number, from 1. */
  readonly attribute: number
  readonly text: string
}

/** PRIMARY KEY or UNIQUE; nothing enforces it. */
export interface ShadowKey {
  readonly constraintOid: number
  readonly indexOid: number
  readonly name: string
  readonly primary: boolean
  readonly attributes: readonly number[]
}

/** The sequence of an identity column. */
export interface ShadowSequence {
  readonly oid: number
  readonly name: string
  readonly attribute: number
  readonly start: string
  readonly step: string
  /** The number handed out last; null before the first. */
  readonly last: string | null
}

/** A table or a view. */
export interface ShadowRelation {
  readonly oid: number
  readonly rowTypeOid: number
  readonly arrayTypeOid: number
  readonly arrayTypeName: string
  readonly kind: 'r' | 'v'
  readonly schemaOid: number
  readonly name: string
  readonly temporary: boolean
  readonly comment: string | null
  readonly columns: readonly ShadowColumn[]
  readonly defaults: readonly ShadowExpression[]
  readonly generated: readonly ShadowExpression[]
  readonly checks: readonly { readonly oid: number; readonly name: string; readonly text: string }[]
  readonly keys: readonly ShadowKey[]
  readonly sequences: readonly ShadowSequence[]
  /** A view's SELECT as it was written; PostgreSQL's own words for it are shown where it reads it. */
  readonly definition: string | null
  /** Rows, as far as statistics tell; -1 when they do not. */
  readonly rowCount: number
  readonly sizeBytes: number
}

/** A role: `options` are the words behind its name in CREATE ROLE. */
export interface ShadowRole {
  readonly oid: number
  readonly name: string
  readonly options: string
}

/**
 * Roles and what they may do.
 *
 * `roles` are made first, with the OIDs they have; then `statements` run one after another, over
 * relations that nobody has been granted anything on: memberships, ALTER … OWNER TO, GRANT, ALTER
 * DEFAULT PRIVILEGES. All of it is done anew whenever `version` changes or a relation is made.
 */
export interface ShadowPrivileges {
  readonly version: string
  readonly roles: readonly ShadowRole[]
  readonly statements: readonly string[]
}

/** What brings a shadow up to date. */
export interface ShadowChange {
  /** OIDs of the relations that are gone or come anew. */
  readonly removed: readonly number[]
  /** All schemas; null when they are as they were. */
  readonly schemas: readonly ShadowSchema[] | null
  readonly relations: readonly ShadowRelation[]
  /** Numbers of relations that are otherwise as they were. */
  readonly counts: readonly Pick<ShadowRelation, 'oid' | 'rowCount' | 'sizeBytes'>[]
  /** Null when they are as they were. */
  readonly privileges: ShadowPrivileges | null
  /** The name of the schema that temporary relations are in; their `schemaOid` is 0. */
  readonly temporarySchema?: string
}

/** Privileges of a lake in which every role may do everything. */
export function superusers(names: Iterable<string>): ShadowPrivileges {
  const others = [...new Set(names)].filter((name) => name !== SUPERUSER).sort()
  const oids = assignOids(others.map((name) => `role:${name}`))
  return {
    version: JSON.stringify(others),
    roles: others.map((name) => ({
      oid: oids.get(`role:${name}`) ?? 0,
      name,
      options: 'SUPERUSER LOGIN',
    })),
    statements: [],
  }
}

/** The role whom everything belongs to unless it is given to another. */
export const SUPERUSER = 'lakegate'

/** The OID of the superuser whom everything belongs to. */
export const SUPERUSER_OID = 10

/** The OID of a role that has been given no other. */
export function roleOid(name: string): number {
  return assignOids([`role:${name}`]).get(`role:${name}`) ?? 0
}

/** The OID of the one database. */
export const SHADOW_DATABASE_OID = 5

/** The OID of schema `public`. */
export const PUBLIC_OID = 2200
