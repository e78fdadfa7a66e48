/** TableChange: what a transaction block has done to one table and not committed yet. */

import type { TableName } from '../catalog/catalog.js'
import type { AddFile, Protocol } from '../storage/actions.js'
import { deletionVectorId } from '../storage/deletion-vector.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { resolvePath } from '../storage/file-path.js'
import type { NewTable } from '../storage/new-table.js'
import type { ObjectStore } from '../storage/object-store.js'
import type { Predicate } from '../storage/predicate.js'
import { type DataFile, FileIndex } from '../storage/file-index.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { Obligation } from '../storage/table-protocol.js'
import { type CommitResult, Transaction } from '../storage/transaction.js'
import type { Gateway } from './gateway.js'

/** What the gateway's own statements see to when they make rows; see Obligation. */
export const FULFILLED: ReadonlySet<Obligation> = new Set<Obligation>([
  'checkConstraints',
  'generatedColumns',
  'charVarchar',
])

interface Read {
  readonly predicate: Predicate
  readonly files: readonly DataFile[]
}

/** The state of a change that a savepoint goes back to. */
interface ChangeState {
  readonly adds: readonly AddFile[]
  readonly removes: readonly DataFile[]
  readonly reads: readonly Read[]
  readonly operations: readonly string[]
  readonly definition: NewTable | null
}

/**
 * The uncommitted change of one table.
 *
 * Its data files are durable already; nothing of it shows to others before `commit`, which is one
 * version of the table. Own reads see it through `snapshot`.
 */
export class TableChange {
  readonly table: TableName
  /** What the block read; null for a table it makes. */
  readonly base: Snapshot | null
  /** The block makes the table: its name means nothing to others yet. */
  readonly creates: boolean
  #state: ChangeState

  constructor(table: TableName, base: Snapshot | null, definition: NewTable | null = null) {
    this.table = table
    this.base = base
    this.creates = definition !== null
    this.#state = { adds: [], removes: [], reads: [], operations: [], definition }
  }

  save(): ChangeState {
    return this.#state
  }

  restore(state: ChangeState): void {
    this.#state = state
  }

  /** Notes a statement's outcome: files it made, files it took away, and what it looked at. */
  apply(change: {
    readonly operation: string
    readonly adds?: readonly AddFile[]
    readonly removes?: readonly DataFile[]
    readonly read?: Read
    readonly definition?: NewTable
  }): void {
    const gone = new Set((change.removes ?? []).map((file) => file.add.path))
    const state = this.#state
    const known = new Set(state.adds.map((add) => add.path))
    this.#state = {
      adds: [...state.adds.filter((add) => !gone.has(add.path)), ...(change.adds ?? [])],
      removes: [
        ...state.removes,
        ...(change.removes ?? []).filter((file) => !known.has(file.add.path)),
      ],
      reads: change.read === undefined ? state.reads : [...state.reads, change.read],
      operations: [...state.operations, change.operation],
      definition: change.definition ?? state.definition,
    }
  }

  /** The table as this block sees it. */
  snapshot(store: ObjectStore): Snapshot {
    const { adds, removes, definition } = this.#state
    const gone = removes.map((file) => ({
      path: file.path,
      vectorId: deletionVectorId(file.deletionVector),
    }))
    const files = (this.base?.files ?? FileIndex.empty).with(gone, adds, (path) =>
      resolvePath(store, this.table.path, path),
    )
    const source: Snapshot | NewTable | null = definition ?? this.base
    if (source === null) throw new Error('a new table has a definition')
    return {
      tablePath: this.table.path,
      version: this.base?.version ?? -1,
      protocol: source.protocol,
      metadata: source.metadata,
      schema: source.schema,
      columnMapping: source.columnMapping,
      files,
      sizeBytes: files.sizeBytes,
      transactions: this.base?.transactions ?? new Map(),
      domains: this.base?.domains ?? new Map(),
    }
  }

  /** Whether there is anything to commit. */
  get isEmpty(): boolean {
    const { adds, removes, definition } = this.#state
    return adds.length === 0 && removes.length === 0 && definition === null
  }

  /**
   * Commits as one version of the table.
   *
   * 40001 naming the version that won when another writer's commit conflicts, 42P07 when another
   * writer made the table first.
   */
  async commit(gateway: Gateway): Promise<void> {
    if (this.isEmpty) return
    const { store } = gateway
    const { adds, removes, reads, definition } = this.#state
    const options = { fulfilled: FULFILLED }
    let transaction: Transaction
    if (this.base === null) {
      if (definition === null) throw new Error('a new table has a definition')
      transaction = Transaction.create(store, definition, options)
    } else {
      transaction = await Transaction.begin(store, this.base, options)
      if (definition !== null) {
        transaction.setMetadata(definition.metadata, raised(this.base, definition))
      }
    }
    for (const { predicate, files } of reads) transaction.recordRead(predicate, files)
    transaction.remove(removes)
    transaction.add(adds)
    const result = await transaction.commit(this.#description())
    if (result.kind === 'conflict') throw conflictError(this.table, result)
    gateway.afterCommit(transaction)
  }

  #description(): Parameters<Transaction['commit']>[0] {
    const { adds, removes, operations } = this.#state
    const operation = operations.length === 1 ? (operations[0] ?? 'WRITE') : 'TRANSACTION'
    const rows = adds.reduce((sum, add) => sum + rowsOf(add), 0)
    return {
      operation,
      parameters:
        operation === 'WRITE' ? { mode: 'Append' } : { statements: operations.join(', ') },
      metrics: {
        numFiles: adds.length,
        numAddedFiles: adds.length,
        numRemovedFiles: removes.length,
        numOutputRows: rows,
        numOutputBytes: adds.reduce((sum, add) => sum + add.size, 0),
      },
    }
  }
}

/** A replaced table keeps the features its log already promises. */
function raised(base: Snapshot, definition: { readonly protocol: Protocol }): Protocol {
  const lists = (name: 'readerFeatures' | 'writerFeatures'): string[] => [
    ...new Set([...(base.protocol[name] ?? []), ...(definition.protocol[name] ?? [])]),
  ]
  const minReaderVersion = Math.max(
    base.protocol.minReaderVersion,
    definition.protocol.minReaderVersion,
  )
  const minWriterVersion = Math.max(
    base.protocol.minWriterVersion,
    definition.protocol.minWriterVersion,
  )
  return {
    minReaderVersion,
    minWriterVersion,
    ...(minReaderVersion >= 3 ? { readerFeatures: lists('readerFeatures') } : {}),
    ...(minWriterVersion >= 7 ? { writerFeatures: lists('writerFeatures') } : {}),
  }
}

function rowsOf(add: AddFile): number {
  const match = /"numRecords":(\d+)/.exec(add.stats ?? '')
  return match === null ? 0 : Number(match[1])
}

function conflictError(
  table: TableName,
  conflict: Extract<CommitResult, { kind: 'conflict' }>,
): SqlError {
  if (conflict.reason === 'table-exists') {
    return new SqlError(SqlState.duplicateTable, `relation "${table.name}" already exists`)
  }
  return new SqlError(
    SqlState.serializationFailure,
    'could not serialize access due to concurrent update',
    {
      detail: `${conflict.detail} (${conflict.reason}, version ${conflict.with} of "${table.layer}.${table.name}")`,
      hint: 'The transaction might succeed if retried.',
    },
  )
}
