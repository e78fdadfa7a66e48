/** AccessSql: roles, owners and privileges of a lake as statements for a PostgreSQL that shows them. */

import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { type Access, kindOfObject, type ObjectAccess } from './access.js'
import type { AccessObject, DefaultKind } from './access-action.js'
import { type Acl, defaultAcl, PUBLIC } from './acl.js'
import type { Catalog } from './catalog.js'
import { privilegeLetters, privilegeNames } from './privilege.js'
import { BOOTSTRAP_ID, PREDEFINED, type Role } from './role.js'

/** What a shadow of the lake is told; see `accessSql`. */
export interface AccessSql {
  /** Differs whenever the rest does. */
  readonly version: string
  /** Roles to be made, `options` being the words behind CREATE ROLE's name. */
  readonly roles: readonly {
    readonly oid: number
    readonly name: string
    readonly options: string
  }[]
  /** To be run as a superuser once the roles and all relations are there; each may fail by itself. */
  readonly statements: readonly string[]
}

/**
 * Roles, memberships, owners, privileges and settings of roles, for relations under the names they have.
 *
 * Verifiers of passwords stay out of it. `columnNames` answers the names of a table's columns by what
 * their privileges are kept by.
 */
export async function accessSql(
  catalog: Catalog,
  database: string,
  columnNames: (path: string) => Promise<ReadonlyMap<string, string>>,
): Promise<AccessSql> {
  const access = await catalog.access()
  const roles = access.roles.all().filter(({ id, name }) => isOwn(id, name))
  const statements: string[] = []
  for (const role of roles) statements.push(...settingStatements(role))
  statements.push(...membershipStatements(access))
  for (const one of access.objects()) {
    const named = await namedObject(catalog, one.object, database)
    if (named === null) continue
    const columns = await columnsOf(one.object, columnNames)
    statements.push(...objectStatements(access, one, named, columns))
  }
  statements.push(...defaultStatements(access))
  const made = roles.map((role) => ({ oid: role.id, name: role.name, options: optionsOf(role) }))
  return { version: JSON.stringify([made, statements]), roles: made, statements }
}

function isOwn(id: number, name: string): boolean {
  return id !== BOOTSTRAP_ID && PREDEFINED[name] !== id
}

function optionsOf(role: Role): string {
  const flag = (is: boolean, word: string): string => (is ? word : `NO${word}`)
  const until = role.validUntilMs
  return [
    flag(role.superuser, 'SUPERUSER'),
    flag(role.inherit, 'INHERIT'),
    flag(role.createRole, 'CREATEROLE'),
    flag(role.createDb, 'CREATEDB'),
    flag(role.login, 'LOGIN'),
    flag(role.replication, 'REPLICATION'),
    flag(role.bypassRls, 'BYPASSRLS'),
    `CONNECTION LIMIT ${role.connectionLimit}`,
    ...(until === null ? [] : [`VALID UNTIL ${quoteLiteral(new Date(until).toISOString())}`]),
  ].join(' ')
}

function settingStatements({ id, settings }: Role): readonly string[] {
  const items = Object.entries(settings).map(([name, value]) => quoteLiteral(`${name}=${value}`))
  if (items.length === 0) return []
  return [
    `INSERT INTO pg_db_role_setting (setdatabase, setrole, setconfig) VALUES (0, ${id}, ARRAY[${items.join(', ')}])`,
  ]
}

/** Grants before those that their ADMIN option allows. */
function membershipStatements({ roles }: Access): readonly string[] {
  const left = roles.memberships.filter(
    ({ role, member }) => isOwn(role, roles.nameOf(role)) || isOwn(member, roles.nameOf(member)),
  )
  const admins = new Set<string>()
  const done: string[] = []
  for (let before = -1; left.length > 0 && left.length !== before; ) {
    before = left.length
    for (const one of [...left]) {
      const { role, member, grantor, admin, inherit, set } = one
      if (grantor !== BOOTSTRAP_ID && !admins.has(`${role} ${grantor}`)) continue
      left.splice(left.indexOf(one), 1)
      if (admin) admins.add(`${role} ${member}`)
      const [of, to, by] = [role, member, grantor].map((id) => quoteIdentifier(roles.nameOf(id)))
      done.push(
        `GRANT ${of} TO ${to} WITH ADMIN ${admin}, INHERIT ${inherit}, SET ${set} GRANTED BY ${by}`,
      )
    }
  }
  return done
}

/** How statements name an object, and where a system catalog keeps it. */
interface NamedObject {
  /** `TABLE silver.t`, for ALTER. */
  readonly altered: string
  readonly catalog: 'pg_class' | 'pg_namespace' | 'pg_database'
  readonly aclColumn: string
  /** The condition that finds its row. */
  readonly row: string
  /** As a regclass; null for what is no relation. */
  readonly relation: string | null
}

async function namedObject(
  catalog: Catalog,
  object: AccessObject,
  database: string,
): Promise<NamedObject | null> {
  switch (object.kind) {
    case 'database':
      return {
        altered: `DATABASE ${quoteIdentifier(database)}`,
        catalog: 'pg_database',
        aclColumn: 'datacl',
        row: 'datname = current_database()',
        relation: null,
      }
    case 'layer': {
      if (!(await catalog.layers()).includes(object.name)) return null
      return {
        altered: `SCHEMA ${quoteIdentifier(object.name)}`,
        catalog: 'pg_namespace',
        aclColumn: 'nspacl',
        row: `nspname = ${quoteLiteral(object.name)}`,
        relation: null,
      }
    }
    case 'view': {
      const found = await catalog.resolve([object.layer, object.name], [])
      return found?.kind === 'view' ? namedRelation('VIEW', object.layer, object.name) : null
    }
    case 'table': {
      const table = await catalog.nameOf(object.path)
      if (table === null) return null
      const now = await catalog.accessObject(table)
      const isSame = now?.kind === 'table' && now.id === object.id
      return isSame ? namedRelation('TABLE', table.layer, table.name) : null
    }
  }
}

function namedRelation(kind: string, layer: string, name: string): NamedObject {
  const qualified = `${quoteIdentifier(layer)}.${quoteIdentifier(name)}`
  const relation = `${quoteLiteral(qualified)}::regclass`
  return {
    altered: `${kind} ${qualified}`,
    catalog: 'pg_class',
    aclColumn: 'relacl',
    row: `oid = ${relation}`,
    relation,
  }
}

async function columnsOf(
  object: AccessObject,
  columnNames: (path: string) => Promise<ReadonlyMap<string, string>>,
): Promise<(key: string) => string | undefined> {
  if (object.kind !== 'table') return (key) => key
  const names = await columnNames(object.path)
  return (key) => names.get(key)
}

function objectStatements(
  access: Access,
  { object, owner, acl, columns }: ObjectAccess,
  { altered, catalog, aclColumn, row, relation }: NamedObject,
  columnOf: (key: string) => string | undefined,
): readonly string[] {
  const { roles } = access
  const statements: string[] = []
  if (owner !== BOOTSTRAP_ID) {
    statements.push(`ALTER ${altered} OWNER TO ${quoteIdentifier(roles.nameOf(owner))}`)
  }
  if (acl !== null) {
    const text = quoteLiteral(aclText(access, acl))
    statements.push(`UPDATE ${catalog} SET ${aclColumn} = ${text}::aclitem[] WHERE ${row}`)
  } else if (owner !== BOOTSTRAP_ID) {
    statements.push(`UPDATE ${catalog} SET ${aclColumn} = NULL WHERE ${row}`)
  }
  if (kindOfObject(object) !== 'table') return statements
  for (const [key, own] of columns) {
    const name = columnOf(key)
    if (name === undefined) continue
    const text = quoteLiteral(aclText(access, own))
    statements.push(
      `UPDATE pg_attribute SET attacl = ${text}::aclitem[] WHERE attrelid = ${relation} AND attname = ${quoteLiteral(name)}`,
    )
  }
  return statements
}

/** An acl as PostgreSQL's array of aclitem: `{bob=r*w/lakegate,=r/lakegate}`. */
export function aclText({ roles }: Access, acl: Acl): string {
  const nameOf = (id: number): string => {
    const name = roles.nameOf(id)
    return /^[A-Za-z0-9_]+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
  }
  const items = acl.map(({ grantee, grantor, privileges, grantable }) => {
    const to = grantee === PUBLIC ? '' : nameOf(grantee)
    return `${to}=${privilegeLetters(privileges, grantable)}/${nameOf(grantor)}`
  })
  return `{${items.map((item) => `"${item.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`
}

const DEFAULT_WORDS: Readonly<Record<DefaultKind, string>> = {
  table: 'TABLES',
  layer: 'SCHEMAS',
  function: 'FUNCTIONS',
  sequence: 'SEQUENCES',
  type: 'TYPES',
}

function defaultStatements(access: Access): readonly string[] {
  const { roles } = access
  return access.defaults().flatMap(({ role, layer, kind, acl }) => {
    const place = layer === null ? '' : ` IN SCHEMA ${quoteIdentifier(layer)}`
    const prefix = `ALTER DEFAULT PRIVILEGES FOR ROLE ${quoteIdentifier(roles.nameOf(role))}${place}`
    const words = DEFAULT_WORDS[kind]
    const nameOf = (id: number): string =>
      id === PUBLIC ? 'PUBLIC' : quoteIdentifier(roles.nameOf(id))
    const usual = layer === null ? defaultAcl(kind, role) : []
    return [
      ...usual.map(({ grantee }) => `${prefix} REVOKE ALL ON ${words} FROM ${nameOf(grantee)}`),
      ...acl.flatMap(({ grantee, privileges, grantable }) => {
        const grant = (set: number, more: string): readonly string[] =>
          set === 0
            ? []
            : [
                `${prefix} GRANT ${privilegeNames(set).join(', ')} ON ${words} TO ${nameOf(grantee)}${more}`,
              ]
        return [...grant(privileges & ~grantable, ''), ...grant(grantable, ' WITH GRANT OPTION')]
      }),
    ]
  })
}
