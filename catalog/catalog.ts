/** Catalog: the names of the lake - layers, the tables found in them, and the views kept beside them. */

import { assert, SqlError, SqlState } from '../storage/errors.js'
import { CATALOG_MEMBER, Groups } from '../storage/group.js'
import type { ObjectStore } from '../storage/object-store.js'
import { Access } from './access.js'
import type { AccessAction, AccessObject } from './access-action.js'
import { type Layer, type LayerAction, type LayerDefaults, Layers, SYSTEM_SCHEMA } from './layer.js'
import { type RegistrationAction, Registrations, type TableRegistration } from './registration.js'

/** A Delta table, by the folders it lies in. */
export interface TableName {
  readonly layer: string
  readonly name: string
  /** Folder of the table, relative to the lake's root. */
  readonly path: string
}

/** A view as its creator wrote it. */
export interface View {
  readonly layer: string
  readonly name: string
  /** The SELECT, time travel included. */
  readonly definition: string
  /** Names given to its columns; empty when the SELECT's own are kept. */
  readonly columns: readonly string[]
  /** Layers in which names of the SELECT are looked for; those of the reader's session where it is left out. */
  readonly searchPath?: readonly string[]
  /** Whether its tables are read with the privileges of who reads it, not of its owner. */
  readonly securityInvoker?: boolean
}

/** What a name stands for. */
export type Relation =
  | { readonly kind: 'table'; readonly table: TableName }
  | { readonly kind: 'view'; readonly view: View }

/** One entry of the catalog's own log; Delta tables are not in it, they are found. */
type CatalogAction =
  | { readonly createView: View & { readonly replace: boolean } }
  | { readonly dropView: { readonly layer: string; readonly name: string } }
  /** A comment on a view, or on a layer when `name` is null; null takes it away. */
  | {
      readonly comment: {
        readonly layer: string
        readonly name: string | null
        readonly text: string | null
      }
    }
  /** The table of that id is dropped; another table may take its place and its log. */
  | { readonly dropTable: DroppedTable }
  | { readonly undropTable: { readonly path: string; readonly id: string } }
  /** Several at once. */
  | { readonly all: readonly CatalogAction[] }
  /** Several that count only if the group `id` is decided so. */
  | { readonly group: { readonly id: string; readonly actions: readonly CatalogAction[] } }
  | RegistrationAction
  | LayerAction
  | { readonly access: AccessAction }

/** A table that was dropped, and is still where it was. */
export interface DroppedTable {
  readonly path: string
  /** Of the metadata it had; a table made in its place has another. */
  readonly id: string
  readonly layer?: string
  readonly name?: string
  /** Milliseconds since 1970. */
  readonly droppedMs?: number
}

/** What goes with a DROP: all of it, or nothing. */
export interface CatalogRemoval {
  readonly tables?: readonly TableName[]
  readonly views?: readonly { readonly layer: string; readonly name: string }[]
  readonly layers?: readonly string[]
}

/** What a draft has changed. */
export interface DraftState {
  readonly staged: readonly StagedAction[]
  /** Tables that its transaction makes. */
  readonly made: readonly TableName[]
}

/** A change of a draft, and what must hold of the catalog it is published to. */
export interface StagedAction {
  readonly action: CatalogAction
  readonly validate: (catalog: Catalog) => Promise<void>
}

const LOG = CATALOG_MEMBER

/** Milliseconds after which an entry of a group that has not ended is looked at again. */
const GROUP_WAIT_MS = 20

/** How often a lost race for the next entry of the catalog's log is run again. */
const ATTEMPTS = 20

/**
 * Names of one lake.
 *
 * - Tables are found by listing `<layer>/<table>/_delta_log`: one that another engine adds appears
 *   by itself. A registration gives a table another name than its folder's.
 * - Views are durable in the lake, as immutable numbered entries under `_lakegate/catalog`, each
 *   created by put-if-absent: all gateways of the lake see them and creating one is atomic.
 */
export class Catalog {
  readonly #store: ObjectStore
  readonly #tableId: (path: string) => Promise<string | null>
  readonly #onChange: () => void
  readonly #groups: Groups
  readonly #views = new Map<string, View>()
  /** Dropped tables by `path id`, the newest last. */
  readonly #dropped = new Map<string, DroppedTable>()
  readonly #registrations = new Registrations()
  readonly #layers = new Layers()
  /** Comments on layers and views, by their keys. */
  readonly #comments = new Map<string, string>()
  #access: Access = Access.first()
  #next = 0
  /** Every entry so far with its time. */
  readonly #entries: { readonly action: CatalogAction; readonly timestampMs: number }[] = []
  /** Of a draft: the catalog that it is to be published to. */
  #origin: Catalog | undefined
  /** Of a draft: what it keeps to itself until `publish`. */
  #staged: StagedAction[] | undefined
  /** Of a draft: tables by folder that its transaction makes, and nobody else can find. */
  readonly #made = new Map<string, TableName>()
  /** Of a catalog of the past: whose entries it has, up to when. Only tables that `tableId` knows were there. */
  #past: { readonly of: Catalog; readonly timestampMs: number } | undefined
  #loading: Promise<void> | undefined

  /** `tableId` answers the id in a table's newest metadata; `onChange` hears of every new entry. */
  constructor(
    store: ObjectStore,
    tableId: (path: string) => Promise<string | null>,
    onChange: () => void = () => {},
    groups: Groups = new Groups(store),
  ) {
    this.#store = store
    this.#onChange = onChange
    this.#tableId = tableId
    this.#groups = groups
  }

  /** Names of the layers in order, `public` included. */
  async layers(): Promise<readonly string[]> {
    await this.#replay()
    const found: string[] = []
    for (const name of await this.#store.listFolders('')) {
      if (/^[._]/.test(name)) continue
      // A table that another engine puts into a dropped layer brings the layer back.
      if (this.#layers.isDropped(name) && (await this.#tablesIn(name)).length === 0) continue
      found.push(name)
    }
    return [...new Set([...this.#layers.made, ...found])].sort()
  }

  /** Every layer with its rank and defaults, ranked ones first. */
  async layerDefinitions(): Promise<readonly Layer[]> {
    const rank = (layer: Layer): number => layer.rank ?? Number.POSITIVE_INFINITY
    const all = (await this.layers()).map((name) => this.#layers.layer(name))
    return all.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)))
  }

  /** Every table of the lake. */
  async tables(): Promise<readonly TableName[]> {
    const found: TableName[] = []
    for (const layer of await this.layers()) found.push(...(await this.#tablesIn(layer)))
    return found
  }

  async #tablesIn(layer: string): Promise<readonly TableName[]> {
    const found: TableName[] = []
    for (const name of await this.#store.listFolders(layer)) {
      if (/^[._]/.test(name)) continue
      const table = { layer, name, path: `${layer}/${name}` }
      if (this.#registrations.nameOf(table.path) === undefined && (await this.#isTable(table))) {
        found.push(table)
      }
    }
    for (const table of this.#made.values()) {
      const isOwn = this.#registrations.nameOf(table.path) === undefined
      if (table.layer === layer && isOwn && !found.some(({ path }) => path === table.path)) {
        found.push(table)
      }
    }
    for (const table of this.#registrations.all()) {
      if (table.layer === layer && (await this.#isTable(table))) found.push(table)
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async #isTable({ path }: TableName): Promise<boolean> {
    if (this.#made.has(path)) return true
    if (!(await this.#hasLog(path))) return false
    if (this.#past !== undefined && (await this.#tableId(path)) === null) return false
    return !(await this.#isDropped(path))
  }

  async #hasLog(path: string): Promise<boolean> {
    return (await this.#store.listFolders(path)).includes('_delta_log')
  }

  /** Every view of the lake. */
  async views(): Promise<readonly View[]> {
    await this.#replay()
    return [...this.#views.values()]
  }

  /**
   * What `name` (qualified or not) stands for, looked for along `searchPath`; null when nothing.
   *
   * The exact spelling wins; without it a folder that differs in case only is taken.
   */
  async resolve(name: readonly string[], searchPath: readonly string[]): Promise<Relation | null> {
    const relation = name.at(-1) ?? ''
    const layers = name.length > 1 ? [name.at(-2) ?? ''] : searchPath
    await this.#replay()
    for (const layer of layers) {
      const view = this.#views.get(keyOf(layer, relation))
      if (view !== undefined) return { kind: 'view', view }
      const table = await this.#findTable(layer, relation)
      if (table !== null) return { kind: 'table', table }
    }
    return null
  }

  /** Roles, owners and privileges, as they are now: what others revoke counts for a draft too. */
  async access(): Promise<Access> {
    // Whoever may not look any more may not look at the past either.
    if (this.#past !== undefined) return this.#past.of.access()
    if (this.#origin === undefined) {
      await this.#replay()
      return this.#access
    }
    const newest = await this.#origin.access()
    return this.staged.reduce((access, { action }) => withAccess(access, action), newest)
  }

  /** Changes roles, owners or privileges: `make` says how, once more where another gateway came first. */
  async changeAccess(make: (access: Access) => Promise<readonly AccessAction[]>): Promise<void> {
    await this.#commitMade(async (catalog) => {
      let access = await catalog.access()
      const actions = await make(access)
      for (const action of actions) access = access.apply(action)
      return actions.length === 0 ? null : { all: actions.map((action) => ({ access: action })) }
    })
  }

  /** The object that a table is to those who ask for its owner; null when there is none. */
  async accessObject({ path }: Pick<TableName, 'path'>): Promise<AccessObject | null> {
    const id = await this.#tableId(path)
    return id === null ? null : { kind: 'table', path, id }
  }

  /** Keeps a view, which is `owner`'s if it is new; 42P07 when the name is taken and `replace` is false. */
  async createView(view: View, replace: boolean, owner?: string): Promise<void> {
    const { layer, name } = view
    if (!/^[^._/\\][^/\\]*$/.test(layer) || !(await this.layers()).includes(layer)) {
      throw new SqlError(SqlState.invalidSchemaName, `schema "${layer}" does not exist`)
    }
    await this.#commitMade(async (catalog) => {
      if ((await catalog.#findTable(layer, name)) !== null) {
        throw new SqlError(
          replace ? SqlState.wrongObjectType : SqlState.duplicateTable,
          replace ? `"${name}" is not a view` : `relation "${name}" already exists`,
        )
      }
      const isNew = !catalog.#views.has(keyOf(layer, name))
      if (!replace && !isNew) {
        throw new SqlError(SqlState.duplicateTable, `relation "${name}" already exists`)
      }
      const made = { createView: { ...view, replace } }
      const own = isNew ? catalog.#owning({ kind: 'view', layer, name }, owner, layer) : null
      return own === null ? made : { all: [made, own] }
    })
  }

  /** What makes `owner` that of a new object; null where nothing need be said. */
  #owning(object: AccessObject, owner: string | undefined, layer?: string): CatalogAction | null {
    if (owner === undefined) return null
    const place = layer === undefined ? {} : { layer }
    const action: AccessAction = { own: { object, owner, ...place } }
    return this.#access.apply(action) === this.#access ? null : { access: action }
  }

  /** Says whose the tables are that are about to be committed. */
  async ownTables(
    tables: readonly { readonly table: TableName; readonly id: string; readonly owner: string }[],
  ): Promise<void> {
    await this.#commitMade(async (catalog) => {
      const actions = tables.flatMap(({ table: { path, layer }, id, owner }) => {
        const action = catalog.#owning({ kind: 'table', path, id }, owner, layer)
        return action === null ? [] : [action]
      })
      return actions.length === 0 ? null : { all: actions }
    })
  }

  /**
   * Makes a layer: ranked behind the layer `after`, behind all (null), or without a rank (undefined).
   *
   * 42P06 when there is one of that name, 42939 for a reserved one, 3F000 when there is no ranked layer `after`.
   */
  async createLayer(
    name: string,
    after?: string | null,
    defaults: Partial<LayerDefaults> = {},
    owner?: string,
  ): Promise<void> {
    if (!/^[^._/\\][^/\\]*$/.test(name)) {
      throw new SqlError(SqlState.invalidName, `"${name}" cannot be the name of a schema`)
    }
    if (name === SYSTEM_SCHEMA) {
      throw new SqlError(SqlState.reservedName, `unacceptable schema name "${name}"`, {
        detail: 'The name is reserved for system views.',
      })
    }
    const place = after === undefined ? {} : { after }
    await this.#commitMade(async (catalog) => {
      if ((await catalog.layers()).includes(name) && !catalog.#isOwnFolder(name)) {
        throw new SqlError(SqlState.duplicateSchema, `schema "${name}" already exists`)
      }
      if (typeof after === 'string' && !catalog.#layers.isRanked(after)) {
        throw new SqlError(SqlState.invalidSchemaName, `layer "${after}" does not exist`)
      }
      const made = { createLayer: { name, ...place, ...defaults } }
      const own = catalog.#owning({ kind: 'layer', name }, owner)
      return own === null ? made : { all: [made, own] }
    })
  }

  /** Whether a layer's folder may be there only because this draft's transaction writes into it. */
  #isOwnFolder(layer: string): boolean {
    const isMade = [...this.#made.values()].some((table) => table.layer === layer)
    return isMade && ![...this.#layers.made].includes(layer)
  }

  /** Takes a table out of sight whose making has been taken back. */
  async forgetTable(path: string, id: string): Promise<void> {
    await this.#commit({ dropTable: { path, id } }, () => Promise.resolve())
  }

  /**
   * Takes tables, views and layers out of sight at once: logs and files stay where they are.
   *
   * 3F000 and 2BP01 for layers that are gone or have got something in them meanwhile.
   */
  async remove({ tables = [], views = [], layers = [] }: CatalogRemoval): Promise<void> {
    const actions: CatalogAction[] = []
    for (const { layer, name, path } of tables) {
      const id = await this.#tableId(path)
      if (id !== null) actions.push({ dropTable: { path, id, layer, name, droppedMs: Date.now() } })
    }
    for (const { layer, name } of views) actions.push({ dropView: { layer, name } })
    for (const name of layers) actions.push({ dropLayer: { name } })
    if (actions.length === 0) return
    const [only] = actions
    await this.#commit(actions.length === 1 && only ? only : { all: actions }, async (catalog) => {
      for (const { layer, name } of views) {
        if (!catalog.#views.has(keyOf(layer, name))) {
          throw new SqlError(SqlState.undefinedTable, `view "${name}" does not exist`)
        }
      }
      for (const name of layers) await catalog.#requireEmpty(name, tables, views)
    })
  }

  async #requireEmpty(
    name: string,
    tables: readonly TableName[],
    views: CatalogRemoval['views'] = [],
  ): Promise<void> {
    if (!(await this.layers()).includes(name)) {
      throw new SqlError(SqlState.invalidSchemaName, `schema "${name}" does not exist`)
    }
    const goes = (one: string): boolean =>
      [...tables, ...views].some((gone) => gone.layer === name && gone.name === one)
    const left = [...(await this.#tablesIn(name)), ...this.#views.values()].filter(
      (one) => one.layer === name && !goes(one.name),
    )
    if (left.length === 0) return
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      `cannot drop schema ${name} because other objects depend on it`,
      {
        detail: left.map((one) => `${one.layer}.${one.name} depends on schema ${name}`).join('\n'),
      },
    )
  }

  /** Tables that were dropped and could come back, the newest last. */
  async dropped(): Promise<readonly (DroppedTable & TableName)[]> {
    await this.#replay()
    const found: (DroppedTable & TableName)[] = []
    for (const one of this.#dropped.values()) {
      const { layer, name } = one
      // Without a name it was never dropped by anybody: its making was taken back.
      if (layer === undefined || name === undefined) continue
      if ((await this.#tableId(one.path)) === one.id) found.push({ ...one, layer, name })
    }
    return found
  }

  /** Brings the table dropped last under that name back; 42P07 when the name is taken, 42P01 without one. */
  async undropTable(name: readonly string[], searchPath: readonly string[]): Promise<TableName> {
    const relation = name.at(-1) ?? ''
    const layers = name.length > 1 ? [name.at(-2) ?? ''] : searchPath
    const all = await this.dropped()
    const found = all.findLast((one) => one.name === relation && layers.includes(one.layer))
    if (found === undefined) {
      throw new SqlError(SqlState.undefinedTable, `no dropped table "${name.join('.')}" exists`)
    }
    const { layer, path, id } = found
    const table = { layer, name: relation, path }
    const undrop: CatalogAction = { undropTable: { path, id } }
    const action: CatalogAction =
      path === `${layer}/${relation}` ? undrop : { all: [undrop, { registerTable: table }] }
    await this.#commit(action, (catalog) => catalog.#requireFree(layer, relation))
    return table
  }

  /** Gives the folder of a registration its name; 42P07 when the name is taken. */
  async registerTable(registration: TableRegistration): Promise<void> {
    const { layer, name } = registration
    await this.#commit({ registerTable: registration }, (catalog) =>
      catalog.#requireFree(layer, name),
    )
  }

  /** Gives the table that is in a folder a name, be it dropped or nobody's; 42P07 when the name is taken. */
  async adoptTable(table: TableName): Promise<void> {
    const id = await this.#tableId(table.path)
    await this.#replay()
    const actions: CatalogAction[] = []
    if (id !== null && this.#dropped.has(`${table.path} ${id}`)) {
      actions.push({ undropTable: { path: table.path, id } })
    }
    if (table.path !== `${table.layer}/${table.name}`) actions.push({ registerTable: table })
    if (actions.length === 0) return
    await this.#commit({ all: actions }, () => this.#requireFree(table.layer, table.name))
  }

  /**
   * Gives a table another name; its folder stays where it is. 42P07 when the name is taken.
   *
   * `followers` are the views that name it, as they are to be from now on.
   */
  async renameTable(
    table: TableName,
    layer: string,
    name: string,
    followers: readonly View[] = [],
  ): Promise<void> {
    const from = { layer: table.layer, name: table.name }
    const to = { layer, name, path: table.path }
    const actions = [{ renameTable: { from, to } }, ...replacing(followers)]
    await this.#commit({ all: actions }, (catalog) => catalog.#requireFree(layer, name))
  }

  /** Gives a view another name, its comment with it; 42P07 when the name is taken. */
  async renameView(
    view: View,
    layer: string,
    name: string,
    followers: readonly View[] = [],
  ): Promise<void> {
    const text = await this.commentOn(view.layer, view.name)
    const actions: readonly CatalogAction[] = [
      {
        access: {
          move: {
            from: { kind: 'view', layer: view.layer, name: view.name },
            to: { kind: 'view', layer, name },
          },
        },
      },
      { dropView: { layer: view.layer, name: view.name } },
      { createView: { ...view, layer, name, replace: false } },
      ...(text === null ? [] : [{ comment: { layer, name, text } }]),
      ...replacing(followers),
    ]
    await this.#commit({ all: actions }, (catalog) => catalog.#requireFree(layer, name))
  }

  async #requireFree(layer: string, name: string): Promise<void> {
    if ((await this.resolve([layer, name], [])) === null) return
    throw new SqlError(SqlState.duplicateTable, `relation "${name}" already exists`)
  }

  /** The name that the table in the folder `path` goes by, or null when there is none. */
  async nameOf(path: string): Promise<TableName | null> {
    await this.#replay()
    const [layer = '', name = '', ...rest] = path.split('/')
    const own = rest.length === 0 && !/^[._]/.test(name) ? { layer, name, path } : null
    const table = this.#registrations.nameOf(path) ?? own
    return table !== null && (await this.#isTable(table)) ? table : null
  }

  /** Whether the folder `path` is free for a table of its own name: no other name stands for it. */
  async isOwnFolder(path: string): Promise<boolean> {
    await this.#replay()
    const other = this.#registrations.nameOf(path)
    return other === undefined || `${other.layer}/${other.name}` === path
  }

  /** Rank and defaults of a layer. */
  async layer(name: string): Promise<Layer> {
    await this.#replay()
    return this.#layers.layer(name)
  }

  async #isDropped(path: string): Promise<boolean> {
    if (![...this.#dropped.values()].some((one) => one.path === path)) return false
    return this.#dropped.has(`${path} ${await this.#tableId(path)}`)
  }

  /** Comments on a view, or on a layer when `name` is null; null takes the comment away. */
  async comment(layer: string, name: string | null, text: string | null): Promise<void> {
    await this.#commit({ comment: { layer, name, text } }, async (catalog) => {
      if (name === null && !(await catalog.layers()).includes(layer)) {
        throw new SqlError(SqlState.invalidSchemaName, `schema "${layer}" does not exist`)
      }
      if (name !== null && !catalog.#views.has(keyOf(layer, name))) {
        throw new SqlError(SqlState.undefinedTable, `relation "${name}" does not exist`)
      }
    })
  }

  /** The comment on a view, or on a layer when `name` is null; null without one. */
  async commentOn(layer: string, name: string | null): Promise<string | null> {
    await this.#replay()
    return this.#comments.get(keyOf(layer, name ?? '')) ?? null
  }

  async #findTable(layer: string, name: string): Promise<TableName | null> {
    if (/[/\\]|^[._]/.test(layer) || /[/\\]|^[._]/.test(name) || layer === '' || name === '') {
      return null
    }
    const registered = this.#registrations.find(layer, name)
    if (registered !== undefined && (await this.#isTable(registered))) return registered
    const own = async (folder: string): Promise<TableName | null> => {
      const table = { layer, name: folder, path: `${layer}/${folder}` }
      const isHidden = this.#registrations.nameOf(table.path) !== undefined
      return !isHidden && (await this.#isTable(table)) ? table : null
    }
    const exact = await own(name)
    if (exact !== null) return exact
    const lower = name.toLowerCase()
    for (const folder of await this.#store.listFolders(layer)) {
      if (folder === name || folder.toLowerCase() !== lower) continue
      const found = await own(folder)
      if (found !== null) return found
    }
    return null
  }

  /** What this draft has changed so far; nothing for a catalog that is none. */
  get staged(): readonly StagedAction[] {
    return [...(this.#staged ?? [])]
  }

  /**
   * The names as they were at `timestampMs` (milliseconds since 1970); it never changes.
   *
   * `tableId` answers the id in a table's metadata at that time, null when there was no such table.
   * The time of a change is that of its entry in the store, and never before that of the one before.
   */
  at(timestampMs: number, tableId: (path: string) => Promise<string | null>): Catalog {
    const past = new Catalog(this.#store, tableId)
    past.#past = { of: this, timestampMs }
    return past
  }

  async #load({
    of,
    timestampMs,
  }: {
    readonly of: Catalog
    readonly timestampMs: number
  }): Promise<void> {
    await of.#replay()
    for (const entry of of.#entries) {
      if (entry.timestampMs > timestampMs) break
      this.#perform(entry.action, 'the past')
    }
  }

  /** What a draft has changed so far, for `draft` to begin with. */
  get state(): DraftState {
    return { staged: this.staged, made: [...this.#made.values()] }
  }

  /**
   * A draft: a catalog that begins with what the lake's says now, and `state` on top, and keeps
   * further changes to itself until `publish`.
   */
  async draft(state: DraftState = { staged: [], made: [] }): Promise<Catalog> {
    const draft = new Catalog(this.#store, this.#tableId, this.#onChange, this.#groups)
    await draft.#replay()
    draft.#origin = this.#origin ?? this
    draft.#staged = []
    for (const one of state.staged) draft.#stage(one)
    for (const table of state.made) draft.#made.set(table.path, table)
    return draft
  }

  /** Lets a draft know of a table that its transaction makes; `registration` if its folder is not its name's. */
  addMade(table: TableName, registration: TableRegistration | undefined): void {
    this.#made.set(table.path, table)
    if (registration === undefined) return
    const { layer, name } = registration
    const validate = (catalog: Catalog): Promise<void> => catalog.#requireFree(layer, name)
    this.#stage({ action: { registerTable: registration }, validate })
  }

  /** Lets a draft forget a table that its transaction has made, and does not make any more. */
  removeMade(path: string): void {
    this.#made.delete(path)
  }

  /**
   * Makes a draft's changes the lake's, all in one entry, and answers its number; the errors of each
   * if it cannot be any more.
   *
   * With `group` the entry counts only if that group is decided so.
   */
  async publish(group?: string): Promise<number> {
    const staged = this.staged
    const actions = staged.map(({ action }) => action)
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const newest = new Catalog(this.#store, this.#tableId, () => {}, this.#groups)
      await newest.#replay(true)
      newest.#staged = []
      for (const table of this.#made.values()) newest.#made.set(table.path, table)
      for (const one of staged) {
        await one.validate(newest)
        newest.#stage(one)
      }
      const action = group === undefined ? { all: actions } : { group: { id: group, actions } }
      if (await newest.#put(action)) {
        if (group === undefined) this.#onChange()
        return newest.#next
      }
    }
    throw contended()
  }

  #stage(staged: StagedAction): void {
    this.#perform(staged.action, 'draft')
    this.#staged?.push(staged)
  }

  async #put(action: CatalogAction): Promise<boolean> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(action)}\n`)
    return (await this.#store.putIfAbsent(entryPath(this.#next), bytes)) === 'created'
  }

  #commit(action: CatalogAction, validate: StagedAction['validate']): Promise<void> {
    return this.#commitMade(async (catalog) => {
      await validate(catalog)
      return action
    })
  }

  /** Commits what `make` says of the catalog as it is then; null is nothing. */
  async #commitMade(make: (catalog: Catalog) => Promise<CatalogAction | null>): Promise<void> {
    assert(this.#past === undefined, 'the past does not change')
    if (this.#staged !== undefined) {
      const action = await make(this)
      const validate = async (catalog: Catalog): Promise<void> => {
        await make(catalog)
      }
      if (action !== null) this.#stage({ action, validate })
      return
    }
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await this.#replay(true)
      const action = await make(this)
      if (action === null) return
      if (await this.#put(action)) {
        await this.#replay()
        return
      }
      // At random, so that those who lost together do not try together again.
      await new Promise((resolve) =>
        setTimeout(resolve, Math.random() * Math.min(50, 2 ** attempt)),
      )
    }
    throw contended()
  }

  /**
   * Follows the log to its end, or to an entry of a group that has not ended: what comes behind it
   * depends on how it ends. Who `waits` for that may put the next entry.
   */
  async #replay(waits = false): Promise<void> {
    // A draft stays as it began: its transaction sees one catalog.
    if (this.#staged !== undefined) return
    if (this.#past !== undefined) {
      this.#loading ??= this.#load(this.#past)
      return this.#loading
    }
    for (;;) {
      const version = this.#next
      const path = entryPath(version)
      const bytes = await this.#store.read(path)
      if (bytes === null) return
      const modifiedMs = (await this.#store.stat(path))?.modifiedMs ?? 0
      const action = this.#parse(new TextDecoder().decode(bytes), path)
      let counted: CatalogAction | null = action
      if ('group' in action) {
        const { id, actions } = action.group
        const ended = (await this.#groups.decisionOf(id)) ?? (await this.#groups.giveUp(id))
        if (ended === null) {
          if (!waits) return
          await new Promise((resolve) => setTimeout(resolve, GROUP_WAIT_MS))
          continue
        }
        counted = ended.decision === 'commit' ? { all: actions } : null
      }
      // Somebody else was faster with this one.
      if (this.#next !== version) continue
      if (counted !== null) this.#follow(counted, path, modifiedMs)
      this.#next = version + 1
      this.#onChange()
    }
  }

  #follow(action: CatalogAction, path: string, modifiedMs: number): void {
    this.#perform(action, path)
    const previousMs = this.#entries.at(-1)?.timestampMs ?? 0
    this.#entries.push({ action, timestampMs: Math.max(modifiedMs, previousMs) })
  }

  #parse(text: string, path: string): CatalogAction {
    try {
      return JSON.parse(text) as CatalogAction
    } catch (thrown) {
      throw new SqlError(SqlState.dataCorrupted, `the catalog entry "${path}" is corrupt`, {
        cause: thrown,
      })
    }
  }

  #perform(action: CatalogAction, path: string): void {
    if ('all' in action) for (const one of action.all) this.#perform(one, path)
    else if ('createView' in action) {
      const { replace: _, ...view } = action.createView
      this.#views.set(keyOf(view.layer, view.name), view)
    } else if ('dropView' in action) {
      this.#views.delete(keyOf(action.dropView.layer, action.dropView.name))
      this.#access = this.#access.apply({ forget: { kind: 'view', ...action.dropView } })
      this.#comments.delete(keyOf(action.dropView.layer, action.dropView.name))
    } else if ('comment' in action) {
      const { layer, name, text } = action.comment
      if (text === null) this.#comments.delete(keyOf(layer, name ?? ''))
      else this.#comments.set(keyOf(layer, name ?? ''), text)
    } else if ('dropTable' in action) {
      const key = `${action.dropTable.path} ${action.dropTable.id}`
      this.#dropped.delete(key)
      this.#dropped.set(key, action.dropTable)
    } else if ('undropTable' in action) {
      this.#dropped.delete(`${action.undropTable.path} ${action.undropTable.id}`)
    } else if (
      'registerTable' in action ||
      'renameTable' in action ||
      'unregisterTable' in action
    ) {
      this.#registrations.apply(action)
    } else if ('createLayer' in action || 'dropLayer' in action) {
      this.#layers.apply(action)
      // One made under the name of a dropped one begins anew.
      const { name } = 'createLayer' in action ? action.createLayer : action.dropLayer
      this.#access = this.#access.apply({ forget: { kind: 'layer', name } })
    } else if ('access' in action) {
      this.#access = this.#access.apply(action.access)
    } else {
      throw new SqlError(
        SqlState.featureNotSupported,
        `the catalog entry "${path}" was written by a newer gateway`,
      )
    }
  }
}

/** `access` after what an entry says of it. */
function withAccess(access: Access, action: CatalogAction): Access {
  if ('all' in action) return action.all.reduce(withAccess, access)
  return 'access' in action ? access.apply(action.access) : access
}

function contended(): SqlError {
  return new SqlError(
    SqlState.serializationFailure,
    'could not change the catalog: other gateways are changing it at the same time',
    { hint: 'The transaction might succeed if retried.' },
  )
}

function replacing(views: readonly View[]): readonly CatalogAction[] {
  return views.map((view) => ({ createView: { ...view, replace: true } }))
}

function entryPath(version: number): string {
  return `${LOG}/${String(version).padStart(20, '0')}.json`
}

function keyOf(layer: string, name: string): string {
  return `${layer}\u0000${name}`
}
