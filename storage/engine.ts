/** Engine: the DuckDB instance, its connections, prepared statements and row streams. */

import duckdb from '@duckdb/node-bindings'
import type { Cancellation } from './cancellation.js'
import { type BatchColumn, type ColumnBatch, INLINE_BYTES } from './column-batch.js'
import { type ClassifiedFailure, classifyEngineFailure } from './engine-errors.js'
import {
  type EngineField,
  type EngineType,
  scalarType,
  type ScalarTypeName,
} from './engine-type.js'
import type { EngineValue, IntervalValue, Scalar, TimeTzValue } from './engine-value.js'
import { assert, SqlError, SqlState } from './errors.js'
import type { Lease } from './object-store.js'

/** How an Engine is opened; null and absent fields keep DuckDB's default. */
export interface EngineOptions {
  /** Worker threads of DuckDB's scheduler. */
  readonly threads?: number | undefined
  /** Bytes DuckDB may hold in memory before it spills. */
  readonly memoryLimitBytes?: number | undefined
  /** Folder for spilled data; the empty string forbids spilling. */
  readonly tempDirectory?: string | undefined
  readonly tempDirectoryMaxBytes?: number | undefined
  /** Folders DuckDB may read and write; everything else is refused once `lock` has been called. */
  readonly allowedDirectories?: readonly string[] | undefined
}

/** A column of a result. */
export interface EngineColumn {
  readonly name: string
  readonly type: EngineType
}

/** What a prepared statement is, as far as a caller needs to tell. */
export type EngineStatementKind = 'query' | 'explain' | 'change' | 'other'

/**
 * One in-memory DuckDB instance.
 *
 * - Knows connections, streams, interrupts and error codes; no Delta and no PostgreSQL protocol.
 * - Every failure it throws is an SqlError.
 */
export class Engine {
  readonly #database: duckdb.Database
  readonly #connections = new Set<EngineConnection>()
  #closed = false

  private constructor(database: duckdb.Database) {
    this.#database = database
  }

  static async open(options: EngineOptions = {}): Promise<Engine> {
    const config = duckdb.create_config()
    const set = (name: string, value: string | number | undefined): void => {
      if (value !== undefined) duckdb.set_config(config, name, String(value))
    }
    set('errors_as_json', 'true')
    set('autoinstall_known_extensions', 'false')
    set('autoload_known_extensions', 'false')
    set('default_null_order', 'postgres')
    set('threads', options.threads)
    set('temp_directory', options.tempDirectory)
    if (options.memoryLimitBytes !== undefined) {
      set('memory_limit', `${options.memoryLimitBytes}B`)
    }
    if (options.tempDirectoryMaxBytes !== undefined && options.tempDirectory !== '') {
      set('max_temp_directory_size', `${options.tempDirectoryMaxBytes}B`)
    }
    const engine = new Engine(await translated(duckdb.open(':memory:', config)))
    const connection = await engine.connect()
    // Data files are immutable, so what was read of one stays true.
    await connection.run('SET GLOBAL parquet_metadata_cache = true')
    await connection.run("SET GLOBAL validate_external_file_cache = 'NO_VALIDATION'")
    // DuckDB 1.5 pushes the keys of a join below ORDER BY … LIMIT, which then chooses other rows.
    await connection.run("SET GLOBAL disabled_optimizers = 'join_filter_pushdown'")
    if (options.allowedDirectories !== undefined) {
      const list = options.allowedDirectories.map((path) => quoteLiteral(path)).join(', ')
      await connection.run(`SET GLOBAL allowed_directories = [${list}]`)
      await connection.run(`SET GLOBAL allowed_paths = ['/dev/null']`)
      await connection.run('SET GLOBAL enable_external_access = false')
    }
    connection.close()
    return engine
  }

  /** A new connection; the caller closes it. */
  async connect(): Promise<EngineConnection> {
    assert(!this.#closed, 'the engine is open')
    const connection = new EngineConnection(
      await translated(duckdb.connect(this.#database)),
      (closed) => this.#connections.delete(closed),
    )
    this.#connections.add(connection)
    return connection
  }

  /**
   * Interrupts what still runs, waits for it, then frees the instance.
   *
   * Exiting the process or ending a thread with a query in flight would wait for that query or
   * abort the process, so shutdown goes through here.
   */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#connections].map((connection) => connection.quiesce()))
    for (const connection of [...this.#connections]) connection.close()
    duckdb.close_sync(this.#database)
  }
}

/**
 * One DuckDB connection: calls on it run one after another, never two at once.
 *
 * DuckDB keeps at most one open stream a connection: starting another statement ends it. Give each
 * open stream a connection of its own.
 */
export class EngineConnection {
  readonly #connection: duckdb.Connection
  readonly #onClose: (connection: EngineConnection) => void
  #running: Promise<unknown> | undefined
  #interruptReason: SqlError | undefined
  #refusal: SqlError | undefined
  #cancellation: Cancellation | undefined
  #unregister: (() => void) | undefined
  readonly #leases: Lease[] = []
  #closed = false

  constructor(connection: duckdb.Connection, onClose: (connection: EngineConnection) => void) {
    this.#connection = connection
    this.#onClose = onClose
  }

  /** Puts the calls that follow under `cancellation`: none starts, and none goes on, after it. */
  attach(cancellation: Cancellation | undefined): void {
    this.#unregister?.()
    this.#cancellation = cancellation
    this.#unregister = cancellation?.onCancel((reason) => this.interrupt(reason))
  }

  get closed(): boolean {
    return this.#closed
  }

  /** What the calls that follow are under. */
  get cancellation(): Cancellation | undefined {
    return this.#cancellation
  }

  /** Holds on to files that statements of this connection read, until `letGo`. */
  keep(lease: Lease): void {
    if (this.#closed) lease.release()
    else this.#leases.push(lease)
  }

  /** Releases the files; nothing that reads them runs any more. */
  letGo(): void {
    for (const lease of this.#leases.splice(0)) lease.release()
  }

  /**
   * Prepares one statement: names and types without executing it.
   *
   * Throws what DuckDB's parser and binder say; `engineFailureOffset` of the error tells where in
   * `sql`, when DuckDB knew.
   */
  async prepare(sql: string): Promise<EnginePrepared> {
    assert(!this.#closed, 'the connection is open')
    const handle = await this.guard(() => duckdb.prepare(this.#connection, sql))
    return new EnginePrepared(this, handle, sql)
  }

  /** Runs a statement for its effect. */
  async run(sql: string, values: readonly EngineValue[] = []): Promise<void> {
    const prepared = await this.prepare(sql)
    try {
      await prepared.collect(values)
    } finally {
      prepared.destroy()
    }
  }

  /**
   * Runs a query known to be small and answers its rows as JavaScript values (see Scalar).
   *
   * For the cold path only: rows of users never pass here.
   */
  async query(sql: string, values: readonly EngineValue[] = []): Promise<Scalar[][]> {
    const prepared = await this.prepare(sql)
    try {
      return await prepared.rows(values)
    } finally {
      prepared.destroy()
    }
  }

  /** Begins to append to the table `schema.table` of memory; see Appender. */
  appender(schema: string, table: string): Appender {
    assert(!this.#closed, 'the connection is open')
    return new Appender(
      sync(() => duckdb.appender_create_ext(this.#connection, 'memory', schema, table)),
    )
  }

  /**
   * Makes the running call fail with `reason`, within milliseconds; does nothing when none runs.
   *
   * DuckDB loses an interrupt that comes before execution has begun, so it is repeated until the
   * call settles.
   */
  interrupt(reason: SqlError): void {
    const running = this.#running
    if (running === undefined || this.#closed) return
    this.#interruptReason ??= reason
    duckdb.interrupt(this.#connection)
    const timer = setInterval(() => {
      if (this.#running !== running || this.#closed) clearInterval(timer)
      else duckdb.interrupt(this.#connection)
    }, 10)
  }

  /** Refuses further calls, interrupts what runs and resolves once nothing runs. */
  async quiesce(): Promise<void> {
    const reason = new SqlError(
      SqlState.adminShutdown,
      'terminating connection due to administrator command',
    )
    this.#refusal = reason
    while (this.#running !== undefined) {
      const running = this.#running
      this.interrupt(reason)
      await running.then(noop, noop)
      if (this.#running === running) await Promise.resolve()
    }
  }

  /** Frees the connection. The caller has seen to it that nothing runs (`quiesce`). */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.attach(undefined)
    this.#onClose(this)
    this.letGo()
    duckdb.interrupt(this.#connection)
    duckdb.disconnect_sync(this.#connection)
  }

  /**
   * Runs one asynchronous DuckDB call, translating its failure and an interrupt's reason.
   *
   * The reason of an interrupt outlives the call only while something runs, so that it can never
   * end a later statement.
   */
  async guard<T>(start: () => Promise<T>): Promise<T> {
    const refused = this.#refusal ?? this.#cancellation?.reason
    if (refused !== undefined) throw refused
    assert(!this.#closed, 'the connection is open')
    const previous = this.#running
    const call = start()
    const running =
      previous === undefined
        ? call
        : Promise.all([previous.then(noop, noop), call.then(noop, noop)])
    this.#running = running
    try {
      return await call
    } catch (thrown) {
      throw this.#interruptReason ?? translate(thrown)
    } finally {
      if (this.#running === running) {
        this.#running = undefined
        this.#interruptReason = undefined
      }
    }
  }

  /** Why the running call was interrupted, once; undefined when it was not. */
  interruptReason(): SqlError | undefined {
    return this.#interruptReason
  }
}

/**
 * Rows on their way into a table of memory, batch by batch.
 *
 * Calls work at once, on the caller's thread; nothing else may run on the connection meanwhile. The
 * rows are in the table when `close` has returned.
 */
export class Appender {
  readonly #appender: duckdb.Appender
  readonly #chunk: duckdb.DataChunk
  /** Its one vector keeps the heaps of a batch in DuckDB's memory. */
  readonly #heaps: duckdb.DataChunk = duckdb.create_data_chunk([
    duckdb.create_logical_type(duckdb.Type.BLOB),
  ])

  constructor(appender: duckdb.Appender) {
    this.#appender = appender
    const types = Array.from({ length: duckdb.appender_column_count(appender) }, (_, i) =>
      duckdb.appender_column_type(appender, i),
    )
    this.#chunk = duckdb.create_data_chunk(types)
  }

  /** Copies the rows of `batch`, whose columns are those of the table. */
  append(batch: ColumnBatch): void {
    const chunk = this.#chunk
    duckdb.data_chunk_reset(chunk)
    duckdb.data_chunk_set_size(chunk, batch.rowCount)
    const pointers = this.#heapPointers(batch.heaps)
    for (const [i, column] of batch.columns.entries()) {
      fillVector(duckdb.data_chunk_get_vector(chunk, i), column, batch.rowCount, pointers)
    }
    sync(() => duckdb.append_data_chunk(this.#appender, chunk))
  }

  /**
   * The addresses of the heaps as pairs of u32, once each is a long string in DuckDB's memory.
   *
   * They are good until the next batch; the strings of all columns point into them.
   */
  #heapPointers(heaps: readonly Uint8Array[]): Uint32Array {
    const pointers = new Uint32Array(heaps.length * 2)
    duckdb.data_chunk_reset(this.#heaps)
    const vector = duckdb.data_chunk_get_vector(this.#heaps, 0)
    for (const [i, heap] of heaps.entries()) {
      if (heap.length <= INLINE_BYTES) continue
      duckdb.vector_assign_string_element_len(vector, 0, heap)
      const entry = viewOf(duckdb.vector_get_data(vector, 16))
      pointers[i * 2] = entry.getUint32(8, true)
      pointers[i * 2 + 1] = entry.getUint32(12, true)
    }
    return pointers
  }

  close(): void {
    sync(() => duckdb.appender_close_sync(this.#appender))
  }

  /** Forgets the rows that have not reached the table yet. */
  discard(): void {
    sync(() => duckdb.appender_clear(this.#appender))
    this.close()
  }
}

function fillVector(
  vector: duckdb.Vector,
  column: BatchColumn,
  rowCount: number,
  pointers: Uint32Array,
): void {
  const { validity } = column
  if (validity !== null) {
    duckdb.vector_ensure_validity_writable(vector)
    copyInto(duckdb.copy_data_to_vector_validity, vector, validity, Math.ceil(rowCount / 64) * 8)
  }
  switch (column.kind) {
    case 'fixed':
      copyInto(duckdb.copy_data_to_vector, vector, column.data, rowCount * column.bytesPerRow)
      return
    case 'bytes': {
      const { entries } = column
      const words = new Uint32Array(entries.buffer, entries.byteOffset, rowCount * 4)
      for (let at = 0; at < words.length; at += 4) {
        if ((words[at] as number) <= INLINE_BYTES) continue
        const heap = (words[at + 3] as number) * 2
        const low = (pointers[heap] as number) + (words[at + 2] as number)
        words[at + 2] = low
        words[at + 3] = (pointers[heap + 1] as number) + (low > 0xffff_ffff ? 1 : 0)
      }
      copyInto(duckdb.copy_data_to_vector, vector, entries, rowCount * 16)
      return
    }
    case 'list': {
      duckdb.list_vector_reserve(vector, Math.max(1, column.childCount))
      duckdb.list_vector_set_size(vector, column.childCount)
      copyInto(duckdb.copy_data_to_vector, vector, column.entries, rowCount * 16)
      fillVector(duckdb.list_vector_get_child(vector), column.child, column.childCount, pointers)
      return
    }
    case 'struct':
      for (const [i, child] of column.children.entries()) {
        fillVector(duckdb.struct_vector_get_child(vector, i), child, rowCount, pointers)
      }
  }
}

function copyInto(
  copy: typeof duckdb.copy_data_to_vector,
  vector: duckdb.Vector,
  bytes: Uint8Array,
  byteCount: number,
): void {
  copy(vector, 0, bytes.buffer as ArrayBuffer, bytes.byteOffset, byteCount)
}

function sync<T>(call: () => T): T {
  try {
    return call()
  } catch (thrown) {
    throw translate(thrown)
  }
}

/** A prepared statement: types known, nothing executed. */
export class EnginePrepared {
  /**
   * The columns, as far as they are known before parameters are bound: where a parameter's type
   * decides, DuckDB gives one column of type UNKNOWN, and only a result tells.
   */
  readonly columns: readonly EngineColumn[]
  readonly kind: EngineStatementKind
  readonly sql: string
  readonly #connection: EngineConnection
  readonly #handle: duckdb.PreparedStatement
  #destroyed = false

  constructor(connection: EngineConnection, handle: duckdb.PreparedStatement, sql: string) {
    this.#connection = connection
    this.#handle = handle
    this.sql = sql
    this.kind = statementKind(duckdb.prepared_statement_type(handle))
    const count = duckdb.prepared_statement_column_count(handle)
    this.columns = Array.from({ length: count }, (_, i) => ({
      name: duckdb.prepared_statement_column_name(handle, i),
      type:
        duckdb.prepared_statement_column_type(handle, i) === duckdb.Type.INVALID
          ? scalarType('UNKNOWN')
          : readLogicalType(duckdb.prepared_statement_column_logical_type(handle, i)),
    }))
  }

  get parameterCount(): number {
    return duckdb.nparams(this.#handle)
  }

  /** The type DuckDB infers for parameter `$number`; null when it cannot tell. */
  parameterType(number: number): EngineType | null {
    if (!this.#parameterNumbers().includes(number)) return null
    const type = duckdb.param_type(this.#handle, number)
    if (type === duckdb.Type.INVALID || type === duckdb.Type.SQLNULL) return null
    return readLogicalType(duckdb.param_logical_type(this.#handle, number))
  }

  /** The numbers written in the text, which DuckDB keeps as indexes: $2 may be there without $1. */
  #parameterNumbers(): number[] {
    const found: number[] = []
    for (let number = 1; found.length < this.parameterCount && number <= 65_535; number++) {
      try {
        duckdb.parameter_name(this.#handle, number)
        found.push(number)
      } catch {
        // The statement does not use this number.
      }
    }
    return found
  }

  /**
   * Executes and streams: rows are produced as `RowStream.next` asks for them.
   *
   * The stream occupies the connection until it ends or is closed.
   */
  async stream(values: readonly EngineValue[] = []): Promise<RowStream> {
    this.#bind(values)
    const result = await this.#connection.guard(() =>
      duckdb.execute_prepared_streaming(this.#handle),
    )
    return new RowStream(this.#connection, result, this, values)
  }

  /** Executes and holds the whole result: for results known to be small, in one thread hop. */
  async collect(
    values: readonly EngineValue[] = [],
  ): Promise<{ readonly columns: readonly EngineColumn[]; readonly chunks: readonly RowChunk[] }> {
    const result = await this.#execute(values)
    const count = duckdb.result_chunk_count(result)
    return {
      columns: resultColumns(result),
      chunks: Array.from(
        { length: count },
        (_, i) => new RowChunk(duckdb.result_get_chunk(result, i)),
      ),
    }
  }

  /**
   * Executes a query known to be small and answers its rows as JavaScript values.
   *
   * Read by the types of the result itself: those of the statement are not known yet while a
   * parameter has none.
   */
  async rows(values: readonly EngineValue[] = []): Promise<Scalar[][]> {
    const result = await this.#execute(values)
    const columns = resultColumns(result)
    return Array.from({ length: duckdb.result_chunk_count(result) }, (_, i) =>
      readRows(new RowChunk(duckdb.result_get_chunk(result, i)), columns),
    ).flat()
  }

  /** Executes a changing statement and answers how many rows it touched. */
  async change(values: readonly EngineValue[] = []): Promise<number> {
    return duckdb.rows_changed(await this.#execute(values))
  }

  async #execute(values: readonly EngineValue[]): Promise<duckdb.Result> {
    this.#bind(values)
    return this.#connection.guard(() => duckdb.execute_prepared(this.#handle))
  }

  #bind(values: readonly EngineValue[]): void {
    assert(!this.#destroyed, 'the prepared statement is alive')
    for (const number of this.#parameterNumbers()) {
      const value = values[number - 1]
      if (value !== undefined) duckdb.bind_value(this.#handle, number, makeValue(value))
    }
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    duckdb.destroy_prepare_sync(this.#handle)
  }

  /**
   * The error that ended a stream of this statement half-way.
   *
   * The bindings do not hand out the message of a failed stream, so the statement runs once more
   * into nowhere, which fails with the message. Statements are reads here: running twice is safe.
   */
  async failureOf(values: readonly EngineValue[]): Promise<SqlError> {
    const aborted = new SqlError(SqlState.internalError, 'the result stream was aborted')
    if (this.kind !== 'query') return aborted
    try {
      const again = await this.#connection.prepare(
        `COPY (${this.sql}\n) TO '/dev/null' (FORMAT csv)`,
      )
      try {
        await again.collect(values)
      } finally {
        again.destroy()
      }
    } catch (thrown) {
      if (thrown instanceof SqlError) return thrown
    }
    return aborted
  }
}

function resultColumns(result: duckdb.Result): readonly EngineColumn[] {
  return Array.from({ length: duckdb.column_count(result) }, (_, i) => ({
    name: duckdb.column_name(result, i),
    type: readLogicalType(duckdb.column_logical_type(result, i)),
  }))
}

/** An executing query, pulled chunk by chunk. */
export class RowStream {
  /** The columns of the rows to come. */
  readonly columns: readonly EngineColumn[]
  readonly #connection: EngineConnection
  readonly #prepared: EnginePrepared
  readonly #values: readonly EngineValue[]
  readonly #result: duckdb.Result
  #next: Promise<duckdb.DataChunk | null> | undefined
  #ended = false

  constructor(
    connection: EngineConnection,
    result: duckdb.Result,
    prepared: EnginePrepared,
    values: readonly EngineValue[],
  ) {
    this.#connection = connection
    this.#result = result
    this.columns = resultColumns(result)
    this.#prepared = prepared
    this.#values = values
  }

  get ended(): boolean {
    return this.#ended
  }

  /**
   * The next chunk, or null after the last.
   *
   * Throws when the query failed half-way: DuckDB then ends the stream like a complete one, so
   * every end is checked. The chunk after the one answered is already being fetched.
   */
  async next(): Promise<RowChunk | null> {
    if (this.#ended) return null
    this.#next ??= this.#fetch()
    const reasonBefore = this.#connection.interruptReason()
    let chunk: duckdb.DataChunk | null
    try {
      chunk = await this.#next
    } catch (thrown) {
      this.#ended = true
      throw thrown
    }
    this.#next = undefined
    if (chunk !== null && duckdb.data_chunk_get_size(chunk) > 0) {
      this.#next = this.#fetch()
      // A rejection is seen by whoever awaits it next; it must not count as unhandled until then.
      this.#next.catch(noop)
      return new RowChunk(chunk)
    }
    this.#ended = true
    if (duckdb.result_return_type(this.#result) === duckdb.ResultType.INVALID) {
      throw this.#failure ?? reasonBefore ?? (await this.#prepared.failureOf(this.#values))
    }
    return null
  }

  #failure: SqlError | undefined

  #fetch(): Promise<duckdb.DataChunk | null> {
    return this.#connection.guard(() =>
      duckdb.fetch_chunk(this.#result).then((chunk) => {
        // Inside the guard, so that the reason of an interrupt is still known.
        this.#failure ??= this.#connection.interruptReason()
        return chunk
      }),
    )
  }

  /** Makes `next` fail with `reason` even when no call of DuckDB is under way. */
  abort(reason: SqlError): void {
    this.#failure ??= reason
    this.#connection.interrupt(reason)
  }

  /** Ends the stream early and waits until DuckDB has stopped working on it. */
  async close(): Promise<void> {
    if (this.#ended && this.#next === undefined) return
    this.#ended = true
    this.#connection.interrupt(
      new SqlError(SqlState.queryCanceled, 'canceling statement due to user request'),
    )
    await this.#next?.then(noop, noop)
    this.#next = undefined
  }
}

/**
 * Up to 2,048 rows as raw column vectors.
 *
 * Native memory is freed by the garbage collector: keep no chunk longer than needed.
 */
export class RowChunk {
  readonly rowCount: number
  readonly #chunk: duckdb.DataChunk

  constructor(chunk: duckdb.DataChunk) {
    this.#chunk = chunk
    this.rowCount = duckdb.data_chunk_get_size(chunk)
  }

  get columnCount(): number {
    return duckdb.data_chunk_get_column_count(this.#chunk)
  }

  column(index: number): ColumnVector {
    return new ColumnVector(duckdb.data_chunk_get_vector(this.#chunk, index))
  }
}

/**
 * One column of a chunk in DuckDB's own memory layout; every read is a copy.
 *
 * VARCHAR, BLOB and BIT hold 16 bytes a row: u32 length, then up to 12 bytes inline, or 4 bytes of
 * prefix and a 64-bit pointer for `dereference`. The bytes of a row that is null are garbage, its
 * pointer too: look at the validity first.
 */
export class ColumnVector {
  readonly #vector: duckdb.Vector

  constructor(vector: duckdb.Vector) {
    this.#vector = vector
  }

  /** `rowCount` values of `bytesPerRow` each. */
  data(rowCount: number, bytesPerRow: number): Uint8Array {
    return duckdb.vector_get_data(this.#vector, rowCount * bytesPerRow)
  }

  /** Bit i of the little-endian words is 1 where row i is not null; null when no row is null. */
  validity(rowCount: number): Uint8Array | null {
    // The bindings answer null for "all valid" although their type does not say so.
    return duckdb.vector_get_validity(
      this.#vector,
      Math.ceil(rowCount / 64) * 8,
    ) as Uint8Array | null
  }

  /** Child of a list or a map (whose entries are structs of key and value), holding every row's elements. */
  listChild(): { readonly child: ColumnVector; readonly length: number } {
    return {
      child: new ColumnVector(duckdb.list_vector_get_child(this.#vector)),
      length: duckdb.list_vector_get_size(this.#vector),
    }
  }

  structChild(index: number): ColumnVector {
    return new ColumnVector(duckdb.struct_vector_get_child(this.#vector, index))
  }

  /** Child of a fixed-size array: element j of row i stands at i * length + j. */
  arrayChild(): ColumnVector {
    return new ColumnVector(duckdb.array_vector_get_child(this.#vector))
  }
}

/**
 * Copies `byteCount` bytes from the address that stands, little-endian, in the first eight bytes
 * of `pointer` at `pointerOffset`. Only for pointers found in a live chunk's string column.
 */
export function dereference(
  pointer: ArrayBuffer,
  pointerOffset: number,
  byteCount: number,
): Uint8Array {
  return duckdb.get_data_from_pointer(pointer, pointerOffset, byteCount)
}

/** Rows of a small chunk as JavaScript values; see Scalar for the form of each type. */
export function readRows(chunk: RowChunk, columns: readonly EngineColumn[]): Scalar[][] {
  const values = columns.map((column, i) =>
    readVector(chunk.column(i), column.type, chunk.rowCount),
  )
  return Array.from({ length: chunk.rowCount }, (_, row) =>
    values.map((column) => column[row] ?? null),
  )
}

/** The values of one vector as JavaScript values; see Scalar for the form of each type. */
export function readVector(vector: ColumnVector, type: EngineType, rowCount: number): Scalar[] {
  const validity = vector.validity(rowCount)
  const isValid = (row: number): boolean =>
    validity === null || (((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 1
  const read = vectorReader(vector, type, rowCount)
  return Array.from({ length: rowCount }, (_, row) => (isValid(row) ? read(row) : null))
}

function vectorReader(
  vector: ColumnVector,
  type: EngineType,
  rowCount: number,
): (row: number) => Scalar {
  switch (type.kind) {
    case 'scalar':
      return scalarReader(vector, type.name, rowCount)
    case 'decimal':
      return integerReader(vector, decimalBytes(type.width), rowCount)
    case 'enum': {
      const bytes = type.values.length <= 0xff ? 1 : type.values.length <= 0xffff ? 2 : 4
      const view = viewOf(vector.data(rowCount, bytes))
      return (row) =>
        type.values[
          bytes === 1
            ? view.getUint8(row)
            : bytes === 2
              ? view.getUint16(row * 2, true)
              : view.getUint32(row * 4, true)
        ] ?? null
    }
    case 'list':
    case 'map': {
      const view = viewOf(vector.data(rowCount, 16))
      const { child, length } = vector.listChild()
      const childType: EngineType =
        type.kind === 'list'
          ? type.child
          : {
              kind: 'struct',
              fields: [
                { name: 'key', type: type.key },
                { name: 'value', type: type.value },
              ],
            }
      const elements = readVector(child, childType, length)
      return (row) => {
        const offset = Number(view.getBigUint64(row * 16, true))
        const count = Number(view.getBigUint64(row * 16 + 8, true))
        const slice = elements.slice(offset, offset + count)
        if (type.kind === 'list') return slice
        return slice.map((entry) => {
          const pair = entry as { readonly key: Scalar; readonly value: Scalar }
          return [pair.key, pair.value]
        })
      }
    }
    case 'array': {
      const elements = readVector(vector.arrayChild(), type.child, rowCount * type.length)
      return (row) => elements.slice(row * type.length, (row + 1) * type.length)
    }
    case 'struct': {
      const fields = type.fields.map((field, i) => ({
        name: field.name,
        values: readVector(vector.structChild(i), field.type, rowCount),
      }))
      return (row) =>
        Object.fromEntries(fields.map((field) => [field.name, field.values[row] ?? null]))
    }
    case 'union': {
      const tags = viewOf(readTags(vector.structChild(0), rowCount))
      const members = type.fields.map((field, i) =>
        readVector(vector.structChild(i + 1), field.type, rowCount),
      )
      return (row) => members[tags.getUint8(row)]?.[row] ?? null
    }
  }
}

function readTags(vector: ColumnVector, rowCount: number): Uint8Array {
  return vector.data(rowCount, 1)
}

function scalarReader(
  vector: ColumnVector,
  name: ScalarTypeName,
  rowCount: number,
): (row: number) => Scalar {
  const fixed = (bytes: number): DataView => viewOf(vector.data(rowCount, bytes))
  switch (name) {
    case 'BOOLEAN': {
      const view = fixed(1)
      return (row) => view.getUint8(row) !== 0
    }
    case 'TINYINT': {
      const view = fixed(1)
      return (row) => view.getInt8(row)
    }
    case 'UTINYINT': {
      const view = fixed(1)
      return (row) => view.getUint8(row)
    }
    case 'SMALLINT': {
      const view = fixed(2)
      return (row) => view.getInt16(row * 2, true)
    }
    case 'USMALLINT': {
      const view = fixed(2)
      return (row) => view.getUint16(row * 2, true)
    }
    case 'INTEGER':
    case 'DATE': {
      const view = fixed(4)
      return (row) => view.getInt32(row * 4, true)
    }
    case 'UINTEGER': {
      const view = fixed(4)
      return (row) => view.getUint32(row * 4, true)
    }
    case 'FLOAT': {
      const view = fixed(4)
      return (row) => view.getFloat32(row * 4, true)
    }
    case 'DOUBLE': {
      const view = fixed(8)
      return (row) => view.getFloat64(row * 8, true)
    }
    case 'UBIGINT': {
      const view = fixed(8)
      return (row) => view.getBigUint64(row * 8, true)
    }
    case 'BIGINT':
    case 'TIME':
    case 'TIME_NS':
    case 'TIMESTAMP':
    case 'TIMESTAMP_S':
    case 'TIMESTAMP_MS':
    case 'TIMESTAMP_NS':
    case 'TIMESTAMPTZ':
      return integerReader(vector, 8, rowCount)
    case 'HUGEINT':
      return integerReader(vector, 16, rowCount)
    case 'UHUGEINT': {
      const view = fixed(16)
      return (row) =>
        (view.getBigUint64(row * 16 + 8, true) << 64n) | view.getBigUint64(row * 16, true)
    }
    case 'TIMETZ': {
      const view = fixed(8)
      return (row) => {
        const bits = view.getBigUint64(row * 8, true)
        return { micros: bits >> 24n, offsetSeconds: TIMETZ_OFFSET_MAX - Number(bits & 0xffffffn) }
      }
    }
    case 'INTERVAL': {
      const view = fixed(16)
      return (row) => ({
        months: view.getInt32(row * 16, true),
        days: view.getInt32(row * 16 + 4, true),
        micros: view.getBigInt64(row * 16 + 8, true),
      })
    }
    case 'UUID': {
      const view = fixed(16)
      return (row) => {
        // DuckDB flips the top bit so that UUIDs sort as signed numbers.
        const high = view.getBigUint64(row * 16 + 8, true) ^ (1n << 63n)
        const hex =
          high.toString(16).padStart(16, '0') +
          view
            .getBigUint64(row * 16, true)
            .toString(16)
            .padStart(16, '0')
        return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
      }
    }
    case 'BLOB':
    case 'BIT':
    case 'BIGNUM':
      return bytesReader(vector, rowCount)
    case 'VARCHAR': {
      const bytes = bytesReader(vector, rowCount)
      return (row) => UTF8.decode(bytes(row))
    }
    case 'SQLNULL':
    case 'UNKNOWN':
    case 'VARIANT':
      return () => null
  }
}

/** Offset, in seconds, from which DuckDB counts a TIMETZ's zone downwards. */
const TIMETZ_OFFSET_MAX = 16 * 60 * 60 - 1

const UTF8 = new TextDecoder()

function bytesReader(vector: ColumnVector, rowCount: number): (row: number) => Uint8Array {
  const data = vector.data(rowCount, 16)
  const buffer = data.buffer as ArrayBuffer
  const view = viewOf(data)
  return (row) => {
    const length = view.getUint32(row * 16, true)
    if (length <= 12) return data.slice(row * 16 + 4, row * 16 + 4 + length)
    return dereference(buffer, data.byteOffset + row * 16 + 8, length)
  }
}

function integerReader(
  vector: ColumnVector,
  bytes: 2 | 4 | 8 | 16,
  rowCount: number,
): (row: number) => bigint {
  const view = viewOf(vector.data(rowCount, bytes))
  switch (bytes) {
    case 2:
      return (row) => BigInt(view.getInt16(row * 2, true))
    case 4:
      return (row) => BigInt(view.getInt32(row * 4, true))
    case 8:
      return (row) => view.getBigInt64(row * 8, true)
    case 16:
      return (row) =>
        (view.getBigInt64(row * 16 + 8, true) << 64n) | view.getBigUint64(row * 16, true)
  }
}

/** Bytes in which DuckDB stores a DECIMAL of that width. */
export function decimalBytes(width: number): 2 | 4 | 8 | 16 {
  return width <= 4 ? 2 : width <= 9 ? 4 : width <= 18 ? 8 : 16
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Characters that stand for something else in texts on their way to DuckDB; never written out. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what they are.
const MARKERS = /[\u0001\u0002]/g

/** `text` as an SQL string literal. */
export function quoteLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''")
  if (text.search(MARKERS) < 0) return `'${quoted}'`
  const escaped = quoted.replaceAll('\\', '\\\\')
  return `E'${escaped.replace(MARKERS, (char) => `\\x0${char.charCodeAt(0)}`)}'`
}

/** `name` as a quoted SQL identifier; 0A000 for the control characters U+0001 and U+0002. */
export function quoteIdentifier(name: string): string {
  if (name.search(MARKERS) >= 0) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'the control characters U+0001 and U+0002 are not supported in names',
    )
  }
  return `"${name.replaceAll('"', '""')}"`
}

/** Where in the text handed to DuckDB it saw `error`, 0-based; undefined when it did not say. */
export function engineFailureOffset(error: SqlError): number | undefined {
  return offsets.get(error)
}

const offsets = new WeakMap<SqlError, number>()

function translate(thrown: unknown): SqlError {
  if (thrown instanceof SqlError) return thrown
  const classified: ClassifiedFailure = classifyEngineFailure(thrown)
  if (classified.engineOffset !== undefined) offsets.set(classified.error, classified.engineOffset)
  return classified.error
}

async function translated<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (thrown) {
    throw translate(thrown)
  }
}

function noop(): void {}

function statementKind(type: duckdb.StatementType): EngineStatementKind {
  switch (type) {
    case duckdb.StatementType.SELECT:
      return 'query'
    case duckdb.StatementType.EXPLAIN:
      return 'explain'
    case duckdb.StatementType.INSERT:
    case duckdb.StatementType.UPDATE:
    case duckdb.StatementType.DELETE:
    case duckdb.StatementType.MERGE_INTO:
      return 'change'
    default:
      return 'other'
  }
}

const SCALAR_NAMES: ReadonlyMap<duckdb.Type, ScalarTypeName> = new Map([
  [duckdb.Type.BOOLEAN, 'BOOLEAN'],
  [duckdb.Type.TINYINT, 'TINYINT'],
  [duckdb.Type.SMALLINT, 'SMALLINT'],
  [duckdb.Type.INTEGER, 'INTEGER'],
  [duckdb.Type.BIGINT, 'BIGINT'],
  [duckdb.Type.HUGEINT, 'HUGEINT'],
  [duckdb.Type.UTINYINT, 'UTINYINT'],
  [duckdb.Type.USMALLINT, 'USMALLINT'],
  [duckdb.Type.UINTEGER, 'UINTEGER'],
  [duckdb.Type.UBIGINT, 'UBIGINT'],
  [duckdb.Type.UHUGEINT, 'UHUGEINT'],
  [duckdb.Type.FLOAT, 'FLOAT'],
  [duckdb.Type.DOUBLE, 'DOUBLE'],
  [duckdb.Type.VARCHAR, 'VARCHAR'],
  [duckdb.Type.BLOB, 'BLOB'],
  [duckdb.Type.BIT, 'BIT'],
  [duckdb.Type.DATE, 'DATE'],
  [duckdb.Type.TIME, 'TIME'],
  [duckdb.Type.TIME_TZ, 'TIMETZ'],
  [duckdb.Type.TIME_NS, 'TIME_NS'],
  [duckdb.Type.TIMESTAMP, 'TIMESTAMP'],
  [duckdb.Type.TIMESTAMP_S, 'TIMESTAMP_S'],
  [duckdb.Type.TIMESTAMP_MS, 'TIMESTAMP_MS'],
  [duckdb.Type.TIMESTAMP_NS, 'TIMESTAMP_NS'],
  [duckdb.Type.TIMESTAMP_TZ, 'TIMESTAMPTZ'],
  [duckdb.Type.INTERVAL, 'INTERVAL'],
  [duckdb.Type.UUID, 'UUID'],
  [duckdb.Type.BIGNUM, 'BIGNUM'],
  [duckdb.Type.VARIANT, 'VARIANT'],
  [duckdb.Type.SQLNULL, 'SQLNULL'],
] as const)

function readLogicalType(type: duckdb.LogicalType): EngineType {
  const id = duckdb.get_type_id(type)
  switch (id) {
    case duckdb.Type.DECIMAL:
      return {
        kind: 'decimal',
        width: duckdb.decimal_width(type),
        scale: duckdb.decimal_scale(type),
      }
    case duckdb.Type.ENUM:
      return {
        kind: 'enum',
        values: Array.from({ length: duckdb.enum_dictionary_size(type) }, (_, i) =>
          duckdb.enum_dictionary_value(type, i),
        ),
      }
    case duckdb.Type.LIST:
      return { kind: 'list', child: readLogicalType(duckdb.list_type_child_type(type)) }
    case duckdb.Type.ARRAY:
      return {
        kind: 'array',
        child: readLogicalType(duckdb.array_type_child_type(type)),
        length: duckdb.array_type_array_size(type),
      }
    case duckdb.Type.STRUCT:
      return {
        kind: 'struct',
        fields: readFields(
          duckdb.struct_type_child_count(type),
          (i) => duckdb.struct_type_child_name(type, i),
          (i) => duckdb.struct_type_child_type(type, i),
        ),
      }
    case duckdb.Type.UNION:
      return {
        kind: 'union',
        fields: readFields(
          duckdb.union_type_member_count(type),
          (i) => duckdb.union_type_member_name(type, i),
          (i) => duckdb.union_type_member_type(type, i),
        ),
      }
    case duckdb.Type.MAP:
      return {
        kind: 'map',
        key: readLogicalType(duckdb.map_type_key_type(type)),
        value: readLogicalType(duckdb.map_type_value_type(type)),
      }
    default: {
      const name = SCALAR_NAMES.get(id) ?? 'UNKNOWN'
      return scalarType(name, duckdb.logical_type_get_alias(type) ?? undefined)
    }
  }
}

function readFields(
  count: number,
  name: (index: number) => string,
  type: (index: number) => duckdb.LogicalType,
): EngineField[] {
  return Array.from({ length: count }, (_, i) => ({
    name: name(i),
    type: readLogicalType(type(i)),
  }))
}

function makeLogicalType(type: EngineType): duckdb.LogicalType {
  switch (type.kind) {
    case 'scalar': {
      for (const [id, name] of SCALAR_NAMES) {
        if (name === type.name) return duckdb.create_logical_type(id)
      }
      throw new Error(`assertion failed: no DuckDB type is named ${type.name}`)
    }
    case 'decimal':
      return duckdb.create_decimal_type(type.width, type.scale)
    case 'enum':
      return duckdb.create_enum_type(type.values)
    case 'list':
      return duckdb.create_list_type(makeLogicalType(type.child))
    case 'array':
      return duckdb.create_array_type(makeLogicalType(type.child), type.length)
    case 'struct':
      return duckdb.create_struct_type(
        type.fields.map((field) => makeLogicalType(field.type)),
        type.fields.map((field) => field.name),
      )
    case 'union':
      return duckdb.create_union_type(
        type.fields.map((field) => makeLogicalType(field.type)),
        type.fields.map((field) => field.name),
      )
    case 'map':
      return duckdb.create_map_type(makeLogicalType(type.key), makeLogicalType(type.value))
  }
}

function makeValue({ type, value }: EngineValue): duckdb.Value {
  if (value === null) return duckdb.create_null_value()
  switch (type.kind) {
    case 'decimal':
      return duckdb.create_decimal({
        width: type.width,
        scale: type.scale,
        value: value as bigint,
      } as duckdb.Decimal)
    case 'enum':
      return duckdb.create_enum_value(makeLogicalType(type), type.values.indexOf(value as string))
    case 'list':
      return duckdb.create_list_value(
        makeLogicalType(type.child),
        (value as readonly Scalar[]).map((element) =>
          makeValue({ type: type.child, value: element }),
        ),
      )
    case 'array':
      return duckdb.create_array_value(
        makeLogicalType(type.child),
        (value as readonly Scalar[]).map((element) =>
          makeValue({ type: type.child, value: element }),
        ),
      )
    case 'struct': {
      const fields = value as { readonly [field: string]: Scalar }
      return duckdb.create_struct_value(
        makeLogicalType(type),
        type.fields.map((field) =>
          makeValue({ type: field.type, value: fields[field.name] ?? null }),
        ),
      )
    }
    case 'map': {
      const pairs = value as readonly (readonly [Scalar, Scalar])[]
      return duckdb.create_map_value(
        makeLogicalType(type),
        pairs.map(([key]) => makeValue({ type: type.key, value: key })),
        pairs.map(([, element]) => makeValue({ type: type.value, value: element })),
      )
    }
    case 'union':
      throw new Error('assertion failed: no value of a UNION is ever bound')
    case 'scalar':
      return makeScalarValue(type.name, value)
  }
}

function makeScalarValue(name: ScalarTypeName, value: Exclude<Scalar, null>): duckdb.Value {
  switch (name) {
    case 'BOOLEAN':
      return duckdb.create_bool(value as boolean)
    case 'TINYINT':
      return duckdb.create_int8(value as number)
    case 'SMALLINT':
      return duckdb.create_int16(value as number)
    case 'INTEGER':
      return duckdb.create_int32(value as number)
    case 'UTINYINT':
      return duckdb.create_uint8(value as number)
    case 'USMALLINT':
      return duckdb.create_uint16(value as number)
    case 'UINTEGER':
      return duckdb.create_uint32(value as number)
    case 'BIGINT':
      return duckdb.create_int64(value as bigint)
    case 'UBIGINT':
      return duckdb.create_uint64(value as bigint)
    case 'HUGEINT':
      return duckdb.create_hugeint(value as bigint)
    case 'UHUGEINT':
      return duckdb.create_uhugeint(value as bigint)
    case 'BIGNUM':
      return duckdb.create_bignum(value as bigint)
    case 'FLOAT':
      return duckdb.create_float(value as number)
    case 'DOUBLE':
      return duckdb.create_double(value as number)
    case 'VARCHAR':
      return duckdb.create_varchar(value as string)
    case 'BLOB':
      return duckdb.create_blob(value as Uint8Array)
    case 'BIT':
      return duckdb.create_bit(value as Uint8Array)
    case 'DATE':
      return duckdb.create_date({ days: value as number })
    case 'TIME':
      return duckdb.create_time({ micros: value as bigint })
    case 'TIME_NS':
      return duckdb.create_time_ns({ nanos: value as bigint })
    case 'TIMETZ': {
      const { micros, offsetSeconds } = value as TimeTzValue
      return duckdb.create_time_tz_value(duckdb.create_time_tz(Number(micros), offsetSeconds))
    }
    case 'TIMESTAMP':
      return duckdb.create_timestamp({ micros: value as bigint })
    case 'TIMESTAMPTZ':
      return duckdb.create_timestamp_tz({ micros: value as bigint })
    case 'TIMESTAMP_S':
      return duckdb.create_timestamp_s({ seconds: value as bigint })
    case 'TIMESTAMP_MS':
      return duckdb.create_timestamp_ms({ millis: value as bigint })
    case 'TIMESTAMP_NS':
      return duckdb.create_timestamp_ns({ nanos: value as bigint })
    case 'INTERVAL':
      return duckdb.create_interval(value as IntervalValue)
    case 'UUID':
      return duckdb.create_uuid(BigInt(`0x${(value as string).replaceAll('-', '')}`))
    case 'SQLNULL':
      return duckdb.create_null_value()
    case 'VARIANT':
    case 'UNKNOWN':
      throw new Error(`assertion failed: no value of type ${name} is ever bound`)
  }
}
