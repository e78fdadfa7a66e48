/** LakeMirror: what the system catalogs show of the lake, brought up to date piece by piece. */

import type { Catalog, TableName, View } from '../catalog/catalog.js'
import {
  PUBLIC_OID,
  type ShadowChange,
  type ShadowPrivileges,
  type ShadowRelation,
  type ShadowSchema,
} from '../catalog/shadow.js'
import { assignOids } from '../catalog/shadow-oid.js'
import { SqlError } from '../storage/errors.js'
import type { Snapshot } from '../storage/snapshot.js'
import {
  countsOf,
  identifier,
  SchemaNames,
  tableRelation,
  viewRelation,
} from './shadow-relation.js'
import type { SqlType } from './sql-type.js'

/** A column of a view, as a query over it gives it. */
export interface ViewColumn {
  readonly name: string
  readonly type: Pick<SqlType, 'oid' | 'typmod'>
}

/** What the mirror reads: the lake as somebody sees it. */
export interface MirrorSource {
  readonly catalog: Catalog
  /** Tables that are not in the catalog yet. */
  readonly madeTables?: readonly TableName[]
  readonly snapshotOf: (table: TableName) => Promise<Snapshot | null>
  /** The columns of a view; null when it cannot be read. */
  readonly describeView: (view: View) => Promise<readonly ViewColumn[] | null>
  readonly privileges: () => Promise<ShadowPrivileges>
}

/** How long what other engines do may go unseen. */
const STALE_MS = 800

/** How often the lake is looked at while catalogs are being asked about. */
const WATCH_MS = 400

/** How long after the last question the lake is looked at. */
const WATCHED_MS = 5000

/** The tables of the lake with their newest snapshots, in one order. */
interface Gathered {
  readonly tables: readonly TableName[]
  readonly snapshots: readonly (Snapshot | null)[]
}

interface Known {
  readonly relation: ShadowRelation
  /** What decides whether it is another: everything but the counts. */
  readonly digest: string
  readonly changedAt: number
  readonly countedAt: number
}

interface Picture {
  readonly schemas: readonly ShadowSchema[]
  readonly relations: readonly ShadowRelation[]
}

/**
 * The lake's names, as rows of a shadow, with a version that grows with every change.
 *
 * `refresh` looks at the lake when it was told of a change or has not looked for a while; callers
 * that come meanwhile share the look, if it began after they came.
 */
export class LakeMirror {
  readonly #relations = new Map<number, Known>()
  readonly #removedAt = new Map<number, number>()
  #schemas: readonly ShadowSchema[] = []
  #schemasAt = 0
  #privileges: ShadowPrivileges = { version: '', roles: [], statements: [] }
  #privilegesAt = 0
  #version = 0
  #isDirty = true
  #namesChanged = true
  #gathered: Gathered = { tables: [], snapshots: [] }
  #askedMs = 0
  #watch: NodeJS.Timeout | undefined
  #lookedMs = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined
  /** Tables as they were when last looked at, by path. */
  readonly #described = new Map<string, { readonly snapshot: Snapshot; readonly counts: Counts }>()

  /** Grows with every change of what the catalogs show. */
  get version(): number {
    return this.#version
  }

  /** Bytes of all tables. */
  get sizeBytes(): number {
    let bytes = 0
    for (const { relation } of this.#relations.values()) bytes += relation.sizeBytes
    return bytes
  }

  /** The number that a sequence of an identity column starts with, and the one it gave last. */
  sequence(
    schema: string,
    name: string,
  ): { readonly start: string; readonly last: string | null } | undefined {
    const schemaOid = this.#schemas.find((one) => one.name === schema)?.oid
    for (const { relation } of this.#relations.values()) {
      if (relation.schemaOid !== schemaOid) continue
      const found = relation.sequences.find((one) => one.name === name)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Tells that this gateway has changed something: the next `refresh` looks. */
  touch(): void {
    this.#isDirty = true
  }

  /** Tells that the catalog's log has another entry. */
  touchNames(): void {
    this.#isDirty = true
    this.#namesChanged = true
  }

  /** Ends what goes on in the background. */
  close(): void {
    clearTimeout(this.#watch)
    this.#watch = undefined
    this.#askedMs = Number.NEGATIVE_INFINITY
  }

  /** Makes what the catalogs show no older than the lake, but for what other engines just did. */
  async refresh(source: MirrorSource): Promise<void> {
    this.#askedMs = Date.now()
    this.#keepWatch(source, WATCH_MS)
    while (this.#looking !== undefined) await this.#looking
    if (!this.#isDirty && Date.now() - this.#lookedMs < STALE_MS) return
    this.#isDirty = false
    this.#looking = this.#look(source)
      .catch((thrown: unknown) => {
        this.#isDirty = true
        this.#namesChanged = true
        throw thrown
      })
      .finally(() => {
        this.#looking = undefined
      })
    await this.#looking
  }

  /**
   * Looks at the lake from time to time as long as somebody asks, so that who asks need not wait.
   *
   * What has changed is only noted: the next who asks has it taken over.
   */
  #keepWatch(source: MirrorSource, waitMs: number): void {
    if (this.#watch !== undefined) return
    this.#watch = setTimeout(() => {
      this.#watch = undefined
      const startMs = Date.now()
      if (startMs - this.#askedMs > WATCHED_MS) return
      void this.#gather(source)
        .then((gathered) => {
          if (this.#isSame(gathered) && !this.#namesChanged) this.#lookedMs = startMs
          else this.#isDirty = true
        })
        .catch(() => {
          this.#isDirty = true
        })
        .finally(() => {
          const tookMs = Date.now() - startMs
          if (startMs - this.#askedMs <= WATCHED_MS) {
            this.#keepWatch(source, Math.max(WATCH_MS, 4 * tookMs))
          }
        })
    }, waitMs)
    this.#watch.unref()
  }

  #isSame({ tables, snapshots }: Gathered): boolean {
    const last = this.#gathered
    return (
      tables.length === last.tables.length &&
      tables.every((table, i) => {
        const other = last.tables[i]
        return (
          other?.path === table.path &&
          other.name === table.name &&
          other.layer === table.layer &&
          snapshots[i] === last.snapshots[i]
        )
      })
    )
  }

  async #gather(source: MirrorSource): Promise<Gathered> {
    const listed = [...(await source.catalog.tables()), ...(source.madeTables ?? [])]
    const tables = listed.filter(({ layer }) => !isReserved(layer))
    const snapshots = await inTurns(tables, async (table) => {
      try {
        return await source.snapshotOf(table)
      } catch (thrown) {
        // A table that cannot be read is no reason to hide the others; asking for it tells why.
        if (!(thrown instanceof SqlError)) throw thrown
        return null
      }
    })
    return { tables, snapshots }
  }

  /** What a shadow of version `since` (null: an empty one) lacks; null when nothing. */
  changeSince(since: number | null): ShadowChange | null {
    const from = since ?? -1
    if (from === this.#version) return null
    const isMade = ({ changedAt }: Known): boolean => changedAt > from
    const known = [...this.#relations.values()]
    const made = known.filter(isMade)
    const gone = [...this.#removedAt].flatMap(([oid, at]) => (at > from ? [oid] : []))
    const hasNew = made.length > 0
    return {
      removed:
        since === null ? [] : [...new Set([...gone, ...made.map(({ relation }) => relation.oid)])],
      schemas: this.#schemasAt > from ? this.#schemas : null,
      relations: made.map(({ relation }) => relation),
      counts: known
        .filter((one) => !isMade(one) && one.countedAt > from)
        .map(({ relation: { oid, rowCount, sizeBytes } }) => ({ oid, rowCount, sizeBytes })),
      privileges: hasNew || this.#privilegesAt > from ? this.#privileges : null,
    }
  }

  /** What somebody sees otherwise than everybody does; null when nothing. */
  async difference(source: MirrorSource): Promise<ShadowChange | null> {
    const { schemas, relations } = await this.#pictureOf(source, await this.#gather(source))
    const seen = new Set(relations.map(({ oid }) => oid))
    const made = relations.filter(
      (relation) => this.#relations.get(relation.oid)?.digest !== digestOf(relation),
    )
    const removed = [...this.#relations.keys()].filter((oid) => !seen.has(oid))
    const isSame = JSON.stringify(schemas) === JSON.stringify(this.#schemas)
    if (made.length === 0 && removed.length === 0 && isSame) return null
    return {
      removed: [...removed, ...made.map(({ oid }) => oid)],
      schemas: isSame ? null : schemas,
      relations: made,
      counts: [],
      privileges: null,
    }
  }

  async #look(source: MirrorSource): Promise<void> {
    const lookedMs = Date.now()
    const gathered = await this.#gather(source)
    const privileges = await source.privileges()
    const hasNames = this.#namesChanged || !this.#isSame(gathered)
    if (!hasNames && privileges.version === this.#privileges.version) {
      this.#lookedMs = lookedMs
      return
    }
    this.#namesChanged = false
    const picture = await this.#pictureOf(source, gathered)
    this.#gathered = gathered
    const next = this.#version + 1
    let hasChanged = false
    if (JSON.stringify(picture.schemas) !== JSON.stringify(this.#schemas)) {
      this.#schemas = picture.schemas
      this.#schemasAt = next
      hasChanged = true
    }
    if (privileges.version !== this.#privileges.version) {
      this.#privileges = privileges
      this.#privilegesAt = next
      hasChanged = true
    }
    const left = new Set(this.#relations.keys())
    for (const relation of picture.relations) {
      const { oid } = relation
      left.delete(oid)
      const before = this.#relations.get(oid)
      const digest = digestOf(relation)
      const isSame = before?.digest === digest
      const isCounted =
        isSame &&
        before.relation.rowCount === relation.rowCount &&
        before.relation.sizeBytes === relation.sizeBytes
      if (isCounted) continue
      hasChanged = true
      this.#removedAt.delete(oid)
      this.#relations.set(oid, {
        relation,
        digest,
        changedAt: isSame ? before.changedAt : next,
        countedAt: next,
      })
    }
    for (const oid of left) {
      this.#relations.delete(oid)
      this.#removedAt.set(oid, next)
      hasChanged = true
    }
    if (hasChanged) this.#version = next
    this.#lookedMs = lookedMs
  }

  async #pictureOf(source: MirrorSource, gathered: Gathered): Promise<Picture> {
    const { catalog } = source
    const layers = (await catalog.layers()).filter((layer) => !isReserved(layer))
    const tables: { readonly table: TableName; readonly snapshot: Snapshot }[] = []
    for (const [i, snapshot] of gathered.snapshots.entries()) {
      const table = gathered.tables[i]
      if (snapshot !== null && table !== undefined) tables.push({ table, snapshot })
    }
    const views = (await catalog.views()).filter(({ layer }) => layers.includes(layer))
    const schemas = new Map<string, number>()
    const ids = tableIds(tables)
    const keys = [
      ...layers.map((layer) => `schema:${layer}`),
      ...views.map(({ layer, name }) => partKey(`view:${layer}.${name}`, 'class')),
    ]
    for (const { table } of tables) keys.push(partKey(ids.get(table.path) ?? '', 'class'))
    const described = new Map<View, readonly ViewColumn[]>()
    for (const view of views) {
      described.set(view, (await source.describeView(view)) ?? unknownColumns(view))
    }
    const build = async (number: (key: string) => number): Promise<readonly ShadowRelation[]> => {
      for (const layer of layers) {
        schemas.set(layer, layer === 'public' ? PUBLIC_OID : number(`schema:${layer}`))
      }
      const names = new Map(layers.map((layer) => [layer, new SchemaNames()] as const))
      const relations: ShadowRelation[] = []
      const placed = (layer: string, name: string, id: string) => {
        const taken = names.get(layer) ?? new SchemaNames()
        if (!taken.take(name)) return null
        return {
          schemaOid: schemas.get(layer) ?? PUBLIC_OID,
          name,
          names: taken,
          number: (part: string) => number(partKey(id, part)),
        }
      }
      // Names of relations come before those that are made up for indexes and row types.
      const made: (() => void)[] = []
      for (const view of views) {
        const place = placed(view.layer, view.name, `view:${view.layer}.${view.name}`)
        if (place === null) continue
        const columns = described.get(view) ?? []
        const comment = await catalog.commentOn(view.layer, view.name)
        made.push(() => relations.push(viewRelation(view, columns, comment, place)))
      }
      for (const { table, snapshot } of tables) {
        const place = placed(table.layer, table.name, ids.get(table.path) ?? '')
        if (place === null) continue
        const counts = this.#countsOf(table, snapshot)
        made.push(() => relations.push(tableRelation(snapshot, place, counts)))
      }
      for (const make of made) make()
      return relations
    }
    const used = new Set<string>()
    await build((key) => {
      used.add(key)
      return 0
    })
    const assigned = assignOids([...keys, ...used])
    const relations = await build((key) => assigned.get(key) ?? 0)
    const comments = await Promise.all(layers.map((layer) => catalog.commentOn(layer, null)))
    return {
      schemas: layers.map((layer, i) => ({
        oid: schemas.get(layer) ?? PUBLIC_OID,
        name: identifier(layer),
        comment: comments[i] ?? (layer === 'public' ? 'standard public schema' : null),
      })),
      relations,
    }
  }

  #countsOf({ path }: TableName, snapshot: Snapshot): Counts {
    const before = this.#described.get(path)
    if (before?.snapshot === snapshot) return before.counts
    const counts = countsOf(snapshot)
    this.#described.set(path, { snapshot, counts })
    return counts
  }
}

function digestOf(relation: ShadowRelation): string {
  return JSON.stringify({ ...relation, rowCount: 0, sizeBytes: 0 })
}

type Counts = ReturnType<typeof countsOf>

function partKey(id: string, part: string): string {
  return `${id} ${part}`
}

/** What names each table for good, by its path: the id in its metadata, unless a copy has it too. */
function tableIds(
  tables: readonly { readonly table: TableName; readonly snapshot: Snapshot }[],
): ReadonlyMap<string, string> {
  const ids = new Map<string, string>()
  const taken = new Set<string>()
  const byPath = [...tables].sort((a, b) => (a.table.path < b.table.path ? -1 : 1))
  for (const { table, snapshot } of byPath) {
    const id = `table:${snapshot.metadata.id}`
    ids.set(table.path, taken.has(id) ? `${id} ${table.path}` : id)
    taken.add(id)
  }
  return ids
}

/** Names that belong to PostgreSQL itself. */
function isReserved(layer: string): boolean {
  return layer.startsWith('pg_') || layer === 'information_schema'
}

function unknownColumns(view: View): readonly ViewColumn[] {
  return view.columns.map((name) => ({ name, type: { oid: 25, typmod: -1 } }))
}

/** Results in order, a few at a time. */
async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++
      results[at] = await work(items[at] as T)
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  return results
}
