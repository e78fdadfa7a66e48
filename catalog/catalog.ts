/** Catalog: the names of the lake - layers, the tables found in them, and the views kept beside them. */

import { SqlError, SqlState } from '../storage/errors.js'
import type { ObjectStore } from '../storage/object-store.js'

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
}

/** What a name stands for. */
export type Relation =
  | { readonly kind: 'table'; readonly table: TableName }
  | { readonly kind: 'view'; readonly view: View }

/** One entry of the catalog's own log; Delta tables are not in it, they are found. */
type CatalogAction =
  | { readonly createView: View & { readonly replace: boolean } }
  | { readonly dropView: { readonly layer: string; readonly name: string } }
  /** The table of that id is dropped; another table may take its place and its log. */
  | { readonly dropTable: { readonly path: string; readonly id: string } }
  | { readonly undropTable: { readonly path: string; readonly id: string } }

/** The layers that exist from the first start. */
const LAYERS = ['bronze', 'silver', 'gold']

const LOG = '_lakegate/catalog'

/** How often a lost race for the next entry of the catalog's log is run again. */
const ATTEMPTS = 20

/**
 * Names of one lake.
 *
 * - Tables are found by listing `<layer>/<table>/_delta_log`: one that another engine adds appears
 *   by itself.
 * - Views are durable in the lake, as immutable numbered entries under `_lakegate/catalog`, each
 *   created by put-if-absent: all gateways of the lake see them and creating one is atomic.
 */
export class Catalog {
  readonly #store: ObjectStore
  readonly #tableId: (path: string) => Promise<string | null>
  readonly #views = new Map<string, View>()
  /** Ids of dropped tables, as `path id`. */
  readonly #dropped = new Set<string>()
  /** The entries that dropped them. */
  readonly #dropEntries = new Map<string, string>()
  #next = 0

  /** `tableId` answers the id in a table's newest metadata. */
  constructor(store: ObjectStore, tableId: (path: string) => Promise<string | null>) {
    this.#store = store
    this.#tableId = tableId
  }

  /** Layers in order of name, `public` included. */
  async layers(): Promise<readonly string[]> {
    const found = (await this.#store.listFolders('')).filter((name) => !/^[._]/.test(name))
    return [...new Set([...LAYERS, 'public', ...found])].sort()
  }

  /** Every table of the lake. */
  async tables(): Promise<readonly TableName[]> {
    await this.#replay()
    const found: TableName[] = []
    for (const layer of await this.layers()) {
      for (const name of await this.#store.listFolders(layer)) {
        if (/^[._]/.test(name)) continue
        const path = `${layer}/${name}`
        const isTable = (await this.#store.listFolders(path)).includes('_delta_log')
        if (isTable && !(await this.#isDropped(path))) {
          found.push({ layer, name, path })
        }
      }
    }
    return found
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
      if (table !== null && !(await this.#isDropped(table.path))) return { kind: 'table', table }
    }
    return null
  }

  /** Keeps a view; 42P07 when the name is taken and `replace` is false. */
  async createView(view: View, replace: boolean): Promise<void> {
    if (!/^[^._/\\][^/\\]*$/.test(view.layer) || !(await this.layers()).includes(view.layer)) {
      throw new SqlError(SqlState.invalidSchemaName, `schema "${view.layer}" does not exist`)
    }
    await this.#commit({ createView: { ...view, replace } }, async () => {
      if ((await this.#findTable(view.layer, view.name)) !== null) {
        throw new SqlError(
          replace ? SqlState.wrongObjectType : SqlState.duplicateTable,
          replace ? `"${view.name}" is not a view` : `relation "${view.name}" already exists`,
        )
      }
      if (!replace && this.#views.has(keyOf(view.layer, view.name))) {
        throw new SqlError(SqlState.duplicateTable, `relation "${view.name}" already exists`)
      }
    })
  }

  /** Makes a layer; 42P06 when there is one of that name. */
  async createLayer(name: string): Promise<void> {
    if (!/^[^._/\\][^/\\]*$/.test(name)) {
      throw new SqlError(SqlState.invalidName, `"${name}" cannot be the name of a schema`)
    }
    if ((await this.layers()).includes(name)) {
      throw new SqlError(SqlState.duplicateSchema, `schema "${name}" already exists`)
    }
    await this.#store.putIfAbsent(`${name}/_layer.json`, new TextEncoder().encode('{}\n'))
  }

  /** Takes a table out of sight: its log and files stay until somebody removes them. */
  async dropTable(path: string): Promise<void> {
    const id = await this.#tableId(path)
    if (id === null) return
    await this.#commit({ dropTable: { path, id } }, () => Promise.resolve())
  }

  /** Folders whose newest table is dropped, and when that was. */
  async droppedTables(): Promise<readonly { readonly path: string; readonly droppedMs: number }[]> {
    await this.#replay()
    const found: { readonly path: string; readonly droppedMs: number }[] = []
    for (const [key, entry] of this.#dropEntries) {
      const path = key.slice(0, key.lastIndexOf(' '))
      if (!this.#dropped.has(key) || key !== `${path} ${await this.#tableId(path)}`) continue
      const object = await this.#store.stat(entry)
      if (object !== null) found.push({ path, droppedMs: object.modifiedMs })
    }
    return found
  }

  async #isDropped(path: string): Promise<boolean> {
    if (![...this.#dropped].some((key) => key.startsWith(`${path} `))) return false
    return this.#dropped.has(`${path} ${await this.#tableId(path)}`)
  }

  /** Removes a view; 42P01 when there is none. */
  async dropView(layer: string, name: string): Promise<void> {
    await this.#commit({ dropView: { layer, name } }, () => {
      if (!this.#views.has(keyOf(layer, name))) {
        throw new SqlError(SqlState.undefinedTable, `view "${name}" does not exist`)
      }
      return Promise.resolve()
    })
  }

  async #findTable(layer: string, name: string): Promise<TableName | null> {
    if (/[/\\]|^[._]/.test(layer) || /[/\\]|^[._]/.test(name) || layer === '' || name === '') {
      return null
    }
    const exact = `${layer}/${name}`
    if ((await this.#store.listFolders(exact)).includes('_delta_log')) {
      return { layer, name, path: exact }
    }
    const lower = name.toLowerCase()
    for (const folder of await this.#store.listFolders(layer)) {
      if (folder === name || folder.toLowerCase() !== lower) continue
      const path = `${layer}/${folder}`
      if ((await this.#store.listFolders(path)).includes('_delta_log')) {
        return { layer, name: folder, path }
      }
    }
    return null
  }

  async #commit(action: CatalogAction, validate: () => Promise<void>): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await this.#replay()
      await validate()
      const bytes = new TextEncoder().encode(`${JSON.stringify(action)}\n`)
      const outcome = await this.#store.putIfAbsent(entryPath(this.#next), bytes)
      if (outcome === 'created') {
        await this.#replay()
        return
      }
    }
    throw new SqlError(
      SqlState.serializationFailure,
      'could not change the catalog: other gateways are changing it at the same time',
      { hint: 'The transaction might succeed if retried.' },
    )
  }

  async #replay(): Promise<void> {
    for (;;) {
      const version = this.#next
      const bytes = await this.#store.read(entryPath(version))
      if (bytes === null || this.#next !== version) return
      this.#apply(new TextDecoder().decode(bytes), entryPath(version))
      this.#next = version + 1
    }
  }

  #apply(text: string, path: string): void {
    let action: CatalogAction
    try {
      action = JSON.parse(text) as CatalogAction
    } catch (thrown) {
      throw new SqlError(SqlState.dataCorrupted, `the catalog entry "${path}" is corrupt`, {
        cause: thrown,
      })
    }
    if ('createView' in action) {
      const { replace: _, ...view } = action.createView
      this.#views.set(keyOf(view.layer, view.name), view)
    } else if ('dropView' in action) {
      this.#views.delete(keyOf(action.dropView.layer, action.dropView.name))
    } else if ('dropTable' in action) {
      const key = `${action.dropTable.path} ${action.dropTable.id}`
      this.#dropped.add(key)
      this.#dropEntries.set(key, path)
    } else if ('undropTable' in action) {
      this.#dropped.delete(`${action.undropTable.path} ${action.undropTable.id}`)
    } else {
      throw new SqlError(
        SqlState.featureNotSupported,
        `the catalog entry "${path}" was written by a newer gateway`,
      )
    }
  }
}

function entryPath(version: number): string {
  return `${LOG}/${String(version).padStart(20, '0')}.json`
}

function keyOf(layer: string, name: string): string {
  return `${layer}\u0000${name}`
}
