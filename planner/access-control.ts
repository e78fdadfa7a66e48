/** AccessControl: as whom a session acts, and what that role may do. */

import type { Access } from '../catalog/access.js'
import type { AccessObject } from '../catalog/access-action.js'
import type { Catalog, Relation, TableName, View } from '../catalog/catalog.js'
import { type Privilege, privileges } from '../catalog/privilege.js'
import { BOOTSTRAP_ID, PREDEFINED } from '../catalog/role.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Snapshot } from '../storage/snapshot.js'
import { type ColumnPrivilege, columnKey, TableUse } from './table-use.js'

/** Who is asking. */
export interface Actor {
  readonly access: Access
  /** The role whose privileges count. */
  readonly id: number
  readonly name: string
  readonly isSuperuser: boolean
}

/** What an access control is told of its session. */
export interface AccessFacts {
  readonly catalog: () => Catalog
  /** The role that logged in, and those that SET SESSION AUTHORIZATION and SET ROLE name. */
  readonly login: string
  readonly loginId: number
  readonly sessionUser: () => string
  /** `none` without SET ROLE. */
  readonly role: () => string
  /** Whether the block makes the table, which is nobody else's then. */
  readonly isOwnTable: (path: string, id: string | null) => boolean
}

/** Layers that are PostgreSQL's own. */
const SYSTEM_LAYERS = new Set(['pg_catalog', 'information_schema'])

/**
 * The check of privileges, by the newest state of the lake's catalog: what is revoked through any
 * gateway counts for the next statement.
 *
 * All errors are 42501 in PostgreSQL's words, unless they are said to be others.
 */
export class AccessControl {
  readonly #facts: AccessFacts | null

  /** null: of the gateway itself, which may do everything. */
  constructor(facts: AccessFacts | null) {
    this.#facts = facts
  }

  /** Whether the session is the first superuser's: nothing can be revoked from it. */
  get #isBootstrap(): boolean {
    const facts = this.#facts
    if (facts === null) return true
    const { login } = facts
    const isPlain = facts.sessionUser() === login && facts.role() === 'none'
    return isPlain && facts.loginId === BOOTSTRAP_ID
  }

  /** Whether no privilege is ever missing, without asking the catalog. */
  get isUnlimited(): boolean {
    return this.#isBootstrap
  }

  /**
   * Who is asking, now.
   *
   * 28000 when the role that logged in is gone, 42501 when it may not be the one it has been set to
   * any more.
   */
  async actor(): Promise<Actor> {
    const facts = this.#facts
    if (facts === null) throw new Error('assertion failed: the gateway itself is no role')
    return this.actorIn(await facts.catalog().access())
  }

  /** Who is asking, by what is known in `access`; errors as `actor`. */
  actorIn(access: Access): Actor {
    const facts = this.#facts
    if (facts === null) throw new Error('assertion failed: the gateway itself is no role')
    const { roles } = access
    const login = loginRole(access, facts)
    let id = login
    const sessionUser = facts.sessionUser()
    if (sessionUser !== facts.login) {
      const other = access.role(sessionUser)
      if (other.id !== login && !roles.isSuperuser(login)) throw noSessionAuthorization()
      id = other.id
    }
    const role = facts.role()
    if (role !== 'none') {
      const other = access.role(role)
      if (!roles.maySet(id, other.id)) throw noSetRole(role)
      id = other.id
    }
    return { access, id, name: roles.nameOf(id), isSuperuser: roles.isSuperuser(id) }
  }

  /** Number of the role that asks; nobody's privileges need be known for the gateway itself. */
  async user(): Promise<number> {
    return this.#isBootstrap ? BOOTSTRAP_ID : (await this.actor()).id
  }

  /** The name that objects made now are to be owned by; undefined for the first superuser's. */
  async owner(): Promise<string | undefined> {
    if (this.#facts === null) return undefined
    const { access, id } = await this.actor()
    return access.roles.nameOf(id)
  }

  async isSuperuser(): Promise<boolean> {
    return this.#isBootstrap || (await this.actor()).isSuperuser
  }

  /** The session has privileges of one of PostgreSQL's own roles. */
  async hasRole(name: string): Promise<boolean> {
    if (this.#isBootstrap) return true
    const { access, id } = await this.actor()
    return access.roles.hasPrivilegesOf(id, PREDEFINED[name] ?? BOOTSTRAP_ID)
  }

  /** That the session may read files of the gateway's machine. */
  async requireServerFiles(): Promise<void> {
    if (await this.hasRole('pg_read_server_files')) return
    throw new SqlError(SqlState.insufficientPrivilege, 'permission denied to COPY from a file', {
      detail: 'Only roles with privileges of the "pg_read_server_files" role may COPY from a file.',
      hint: "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.",
    })
  }

  /** Layers of a search path that the session may use: in others names are not found. */
  async usable(searchPath: readonly string[]): Promise<readonly string[]> {
    if (this.#isBootstrap) return searchPath
    const { access, id, isSuperuser } = await this.actor()
    if (isSuperuser) return searchPath
    return searchPath.filter((layer) => holds(access, { kind: 'layer', name: layer }, id, 'USAGE'))
  }

  /** What a name stands for, found only in layers that may be used. */
  async resolve(
    catalog: Catalog,
    name: readonly string[],
    searchPath: readonly string[],
  ): Promise<Relation | null> {
    if (this.#isBootstrap) return catalog.resolve(name, searchPath)
    const layer = name.length > 1 ? name.at(-2) : undefined
    if (layer !== undefined && !SYSTEM_LAYERS.has(layer)) {
      if ((await catalog.layers()).includes(layer)) await this.requireLayer(layer, 'USAGE')
    }
    return catalog.resolve(name, layer === undefined ? await this.usable(searchPath) : [])
  }

  /** That the session has a privilege on a layer. */
  async requireLayer(layer: string, privilege: Privilege): Promise<void> {
    await this.#require({ kind: 'layer', name: layer }, privilege, `schema ${layer}`)
  }

  /**
   * The layer in which a new table or view of that name is made, which must let the session CREATE.
   *
   * 3F000 when the search path has none that it may use.
   */
  async creationLayer(
    catalog: Catalog,
    schema: string | undefined,
    searchPath: readonly string[],
  ): Promise<string> {
    const [first] = schema === undefined ? await this.usable(searchPath) : [schema]
    if (first === undefined) {
      if (this.#isBootstrap) return 'public'
      throw new SqlError(SqlState.invalidSchemaName, 'no schema has been selected to create in')
    }
    if (!this.#isBootstrap && (await catalog.layers()).includes(first)) {
      await this.requireLayer(first, 'CREATE')
    }
    return first
  }

  /** That the session has a privilege on the database. */
  async requireDatabase(privilege: Privilege, database: string): Promise<void> {
    await this.#require({ kind: 'database' }, privilege, `database ${database}`)
  }

  /** That the session may make temporary tables. */
  async requireTemporary(database: string): Promise<void> {
    if (this.#isBootstrap) return
    const { access, id } = await this.actor()
    if (holds(access, { kind: 'database' }, id, 'TEMPORARY')) return
    throw new SqlError(
      SqlState.insufficientPrivilege,
      `permission denied to create temporary tables in database "${database}"`,
    )
  }

  async #require(object: AccessObject, privilege: Privilege, what: string): Promise<void> {
    if (this.#isBootstrap) return
    const { access, id } = await this.actor()
    if (!holds(access, object, id, privilege)) throw denied(what)
  }

  /** That the session may do what owners of the relation may; `what` names it: `table t`. */
  async requireOwner(relation: Relation, what?: string): Promise<void> {
    if (this.#isBootstrap) return
    const name = relation.kind === 'table' ? relation.table.name : relation.view.name
    if (await this.isOwner(relation)) return
    throw notOwner(what ?? `${relation.kind} ${name}`)
  }

  async isOwner(relation: Relation): Promise<boolean> {
    if (this.#isBootstrap) return true
    const facts = this.#facts
    if (relation.kind === 'table' && facts?.isOwnTable(relation.table.path, null) === true)
      return true
    const { access, id } = await this.actor()
    const object = await objectOf(relation, facts?.catalog())
    return object !== null && access.isOwner(object, id)
  }

  /** As requireOwner, of a relation or of the layer it is in: who may drop it. */
  async requireDropper(relation: Relation): Promise<void> {
    if (this.#isBootstrap || (await this.isOwner(relation))) return
    const { access, id } = await this.actor()
    const { layer } = relation.kind === 'table' ? relation.table : relation.view
    if (access.isOwner({ kind: 'layer', name: layer }, id)) return
    await this.requireOwner(relation)
  }

  async requireLayerOwner(layer: string): Promise<void> {
    if (this.#isBootstrap) return
    const { access, id } = await this.actor()
    if (!access.isOwner({ kind: 'layer', name: layer }, id)) throw notOwner(`schema ${layer}`)
  }

  /** 42501 for all but superusers, with what they alone may do as the detail. */
  async requireSuperuser(message: string, detail?: string): Promise<void> {
    if (await this.isSuperuser()) return
    throw new SqlError(SqlState.insufficientPrivilege, message, { detail })
  }

  /** Whether the owner, or who may maintain it, asks. */
  async mayMaintain(table: TableName): Promise<boolean> {
    if (this.#isBootstrap) return true
    const relation: Relation = { kind: 'table', table }
    if (await this.isOwner(relation)) return true
    const { access, id } = await this.actor()
    const object = await objectOf(relation, this.#facts?.catalog())
    return object !== null && holds(access, object, id, 'MAINTAIN')
  }

  /** That the session has the privileges on a table, each on all of it or, where it can, on a column. */
  async requireTable(
    table: TableName,
    snapshot: Snapshot,
    required: readonly Privilege[],
  ): Promise<TableUse> {
    const use = await this.useOf(table, snapshot, required)
    await this.check([use])
    return use
  }

  /** That the session may read some column of a view. */
  async requireView({ layer, name, columns }: View): Promise<void> {
    const object: AccessObject = { kind: 'view', layer, name }
    const relation = { object, kind: 'view', name, columns } as const
    await this.check([new TableUse(relation, await this.user(), 'SELECT')])
  }

  /** Whether names in a layer are found by the role `user`. */
  async mayUseLayer(name: string, user: number): Promise<boolean> {
    if (this.#isFree(user)) return true
    const { access } = await this.actor()
    return holds(access, { kind: 'layer', name }, user, 'USAGE')
  }

  /** Whether the role `user` may read every column of a table. */
  async mayReadAll(table: TableName, snapshot: Snapshot, user: number): Promise<boolean> {
    if (this.#isFree(user)) return true
    if (this.#facts?.isOwnTable(table.path, snapshot.metadata.id) === true) return true
    const use = useOfTable(table, snapshot, user, ['SELECT'])
    use.wholeRow()
    return isAllowed((await this.actor()).access, use)
  }

  /** Whether nothing need be asked of what is done as the role `user`. */
  #isFree(user: number): boolean {
    return this.#facts === null || (this.#isBootstrap && user === BOOTSTRAP_ID)
  }

  /** The use of a table that begins with those privileges, unchecked. */
  async useOf(
    table: TableName,
    snapshot: Snapshot,
    required: readonly Privilege[],
  ): Promise<TableUse> {
    return useOfTable(table, snapshot, await this.user(), required)
  }

  /** That every use is allowed to the role it is made as. The first that is not is told. */
  async check(uses: Iterable<TableUse>): Promise<void> {
    const facts = this.#facts
    if (facts === null) return
    // Inside of somebody's view even superusers read what its owner may.
    if (this.#isBootstrap && [...uses].every(({ user }) => user === BOOTSTRAP_ID)) return
    const { access } = await this.actor()
    // What is changed is told of first, as in PostgreSQL.
    const changes = (use: TableUse): number =>
      (use.required & ~privileges('SELECT')) === 0 ? 1 : 0
    for (const use of [...uses].sort((a, b) => changes(a) - changes(b))) {
      const { object, kind, name } = use.relation
      if (object.kind === 'table' && facts.isOwnTable(object.path, object.id)) continue
      if (!isAllowed(access, use)) throw denied(`${kind} ${name}`)
    }
  }
}

/** The gateway's own: for what it does for itself, whoever asked. */
export const UNRESTRICTED: AccessControl = new AccessControl(null)

/** What a statement does with a table, as the role `user`. */
export function useOfTable(
  { path, name }: TableName,
  { metadata, schema }: Snapshot,
  user: number,
  required: readonly Privilege[],
): TableUse {
  const object: AccessObject = { kind: 'table', path, id: metadata.id }
  const columns = schema.fields.map(columnKey)
  return new TableUse({ object, kind: 'table', name, columns }, user, ...required)
}

/** The role that logged in; 28000 when it is gone. */
function loginRole({ roles }: Access, { login, loginId }: AccessFacts): number {
  if (roles.byId(loginId) !== undefined) return loginId
  throw new SqlError(SqlState.invalidAuthorizationSpecification, `role "${login}" does not exist`)
}

/** The relation as what privileges are kept of; null for a table that is not there. */
export async function objectOf(
  relation: Relation,
  catalog: Catalog | undefined,
): Promise<AccessObject | null> {
  if (relation.kind === 'view') {
    const { layer, name } = relation.view
    return { kind: 'view', layer, name }
  }
  return (await catalog?.accessObject(relation.table)) ?? null
}

function holds(access: Access, object: AccessObject, id: number, name: Privilege): boolean {
  return access.held(object, id, privileges(name)) !== 0
}

/** By PostgreSQL's rule: what the table's privileges lack, every column that is used must have. */
function isAllowed(access: Access, use: TableUse): boolean {
  const { relation, user, required } = use
  const { object, columns } = relation
  const missing = required & ~access.held(object, user, required)
  if (missing === 0) return true
  if ((missing & ~privileges('SELECT', 'INSERT', 'UPDATE')) !== 0) return false
  const names: readonly ColumnPrivilege[] = ['SELECT', 'INSERT', 'UPDATE']
  return names.every((name) => {
    const wanted = privileges(name)
    if ((missing & wanted) === 0) return true
    const has = (key: string): boolean => access.held(object, user, wanted, key) !== 0
    const used = [...use.columns(name)]
    return used.length === 0 ? columns.some(has) : used.every(has)
  })
}

export function denied(what: string): SqlError {
  return new SqlError(SqlState.insufficientPrivilege, `permission denied for ${what}`)
}

export function notOwner(what: string): SqlError {
  return new SqlError(SqlState.insufficientPrivilege, `must be owner of ${what}`)
}

export function noSetRole(role: string): SqlError {
  return new SqlError(SqlState.insufficientPrivilege, `permission denied to set role "${role}"`)
}

export function noSessionAuthorization(): SqlError {
  return new SqlError(
    SqlState.insufficientPrivilege,
    'permission denied to set session authorization',
  )
}
