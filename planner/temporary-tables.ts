/** TemporaryTables: the temporary tables of one session, kept in DuckDB's memory. */

import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { EnginePool } from './engine-pool.js'
import type { TemporaryRelation } from './query.js'
import type { SqlType } from './sql-type.js'
import type { TransactionalState } from './transaction-block.js'

/** Temporary tables a session may hold. */
const TABLES_MAX = 10_000

/** A column of a temporary table. */
export interface TemporaryColumn {
  readonly name: string
  readonly type: SqlType
  readonly notNull?: boolean
  /** Text of the expression that stands where an INSERT gives none. */
  readonly defaultText?: string | undefined
  /** Text of what computes a generated column. */
  readonly generatedText?: string | undefined
}

/** PRIMARY KEY or UNIQUE. */
export interface TemporaryKey {
  readonly name: string
  readonly primary: boolean
  readonly columns: readonly string[]
}

/** What CREATE TEMP TABLE has declared. */
export interface TemporaryTableDefinition {
  readonly name: string
  readonly columns: readonly TemporaryColumn[]
  readonly keys: readonly TemporaryKey[]
  readonly checks: readonly { readonly name: string; readonly expression: string }[]
  readonly onCommit: 'preserve' | 'delete' | 'drop'
}

/** A temporary table and the DuckDB table that holds its rows. */
export interface TemporaryTable extends TemporaryTableDefinition {
  readonly storage: Storage
}

/** Rows as DuckDB's text gives them, the declared columns in their order. */
export interface TemporaryRows {
  readonly sql: string
  readonly values: readonly EngineValue[]
}

/** One DuckDB table: INSERT adds to it, every other change gives its temporary table another. */
interface Storage {
  /** Qualified name of the DuckDB table, which has the column cmin beside the declared ones. */
  readonly rows: string
  /** Qualified name of the DuckDB view over the declared columns. */
  readonly view: string
  readonly createdBy: bigint
  /** The last change that put rows in. */
  changedBy: bigint
}

/**
 * Column in which each row says what change put it there.
 *
 * PostgreSQL's name for the same thing: it lets no client give this name to a column.
 */
const CHANGE = 'cmin'

/** Names PostgreSQL keeps for itself. */
const SYSTEM_COLUMNS = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid'])

/**
 * Temporary tables by name.
 *
 * DuckDB has no savepoints and each of the session's statements has a connection of its own, so
 * what a block does is taken back by its change numbers: every creation and every INSERT has one,
 * higher than all before. Going back to a mark deletes the rows and drops the tables that later
 * changes made; a dropped table's rows stay until COMMIT, for a ROLLBACK that may come.
 */
export class TemporaryTables implements TransactionalState {
  readonly #pool: EnginePool
  readonly #schema: string
  #hasSchema = false
  #tables: ReadonlyMap<string, TemporaryTable> = new Map()
  readonly #storages = new Set<Storage>()
  #change = 0n
  /** The change that the newest mark was made after: what is older may be asked for again. */
  #lastMark = 0n

  constructor(pool: EnginePool, processId: number) {
    this.#pool = pool
    this.#schema = `memory.pg_temp_${processId}`
  }

  find(name: string): TemporaryTable | undefined {
    return this.#tables.get(name)
  }

  /** Every table, the oldest first. */
  get all(): readonly TemporaryTable[] {
    return [...this.#tables.values()]
  }

  /** What SELECT reads; undefined when there is no table of that name. */
  relation(name: string): TemporaryRelation | undefined {
    const table = this.#tables.get(name)
    return table === undefined ? undefined : { sql: table.storage.view, columns: table.columns }
  }

  /** 42P07 when the name is taken. */
  requireFree(name: string): void {
    if (this.#tables.has(name)) {
      throw new SqlError(SqlState.duplicateTable, `relation "${name}" already exists`)
    }
  }

  /**
   * Makes a table, of the rows of `query` (DuckDB's text, which gives the declared columns in their
   * order) when there is one, and answers their number.
   *
   * 42P07 when the name is taken, 42701 for columns that cannot be told apart.
   */
  async create(
    definition: TemporaryTableDefinition,
    connection: EngineConnection,
    query?: TemporaryRows,
  ): Promise<number> {
    this.requireFree(definition.name)
    requireColumns(definition.columns)
    if (this.#tables.size >= TABLES_MAX) {
      throw new SqlError(SqlState.configurationLimitExceeded, 'too many temporary tables')
    }
    const { made, rowCount } = await this.#fill(definition, connection, query)
    this.#set(definition.name, { ...definition, storage: made })
    return rowCount
  }

  async #fill(
    definition: TemporaryTableDefinition,
    connection: EngineConnection,
    query: TemporaryRows | undefined,
  ): Promise<{ readonly made: Storage; readonly rowCount: number }> {
    const made = await this.#createStorage(definition, connection)
    if (query === undefined) return { made, rowCount: 0 }
    try {
      return { made, rowCount: await this.#append(definition, made, connection, query) }
    } catch (thrown) {
      // The connection may be under a cancellation that has come, so another one cleans up.
      await this.#pool.with((other) => this.#dropStorage(made, other))
      throw thrown
    }
  }

  /** Takes a table away; false when there is none of that name. */
  drop(name: string): boolean {
    const tables = new Map(this.#tables)
    const existed = tables.delete(name)
    this.#tables = tables
    return existed
  }

  dropAll(): void {
    this.#tables = new Map()
  }

  /**
   * Gives a table the rows of `query` in place of its own, none without one.
   *
   * The old rows stay where a ROLLBACK may ask for them.
   */
  async replace(
    table: TemporaryTable,
    connection: EngineConnection,
    query?: TemporaryRows,
  ): Promise<void> {
    const storage = await this.#fill(table, connection, query)
    this.#set(table.name, { ...table, storage: storage.made })
    if (table.storage.createdBy > this.#lastMark) {
      await this.#dropStorage(table.storage, connection)
    }
  }

  /**
   * Appends the rows of `query`, which gives the declared columns in their order.
   *
   * `verify` sees the new rows as a DuckDB relation before they count; when it throws they are gone.
   */
  async insert<T>(
    table: TemporaryTable,
    connection: EngineConnection,
    query: TemporaryRows,
    verify: (inserted: string, rowCount: number) => Promise<T>,
  ): Promise<T> {
    const { storage } = table
    const rowCount = await this.#append(table, storage, connection, query)
    const change = storage.changedBy
    try {
      const names = table.columns.map((column) => quoteIdentifier(column.name)).join(', ')
      return await verify(
        `(SELECT ${names} FROM ${storage.rows} WHERE ${CHANGE} = ${change})`,
        rowCount,
      )
    } catch (thrown) {
      await this.#pool.with((other) =>
        other.run(`DELETE FROM ${storage.rows} WHERE ${CHANGE} = ${change}`),
      )
      throw thrown
    }
  }

  mark(): () => Promise<void> {
    const tables = this.#tables
    const change = this.#change
    this.#lastMark = change
    return async () => {
      this.#tables = tables
      const undone = [...this.#storages].filter(
        ({ createdBy, changedBy }) => createdBy > change || changedBy > change,
      )
      if (undone.length === 0) return
      await this.#pool.with(async (connection) => {
        for (const storage of undone) {
          if (storage.createdBy > change) await this.#dropStorage(storage, connection)
          else {
            await connection.run(`DELETE FROM ${storage.rows} WHERE ${CHANGE} > ${change}`)
            storage.changedBy = change
          }
        }
      })
    }
  }

  async commit(): Promise<void> {
    const kept = new Map([...this.#tables].filter(([, { onCommit }]) => onCommit !== 'drop'))
    const storages = new Set([...kept.values()].map(({ storage }) => storage))
    const dropped = [...this.#storages].filter((storage) => !storages.has(storage))
    const emptied = [...kept.values()].filter(
      ({ onCommit, storage }) => onCommit === 'delete' && storage.changedBy > 0n,
    )
    if (dropped.length > 0 || emptied.length > 0) {
      await this.#pool.with(async (connection) => {
        for (const { storage } of emptied) {
          await connection.run(`DELETE FROM ${storage.rows}`)
          storage.changedBy = 0n
        }
        for (const storage of dropped) await this.#dropStorage(storage, connection)
      })
    }
    this.#tables = kept
  }

  /** Drops everything, for the session's end. */
  async close(): Promise<void> {
    this.#tables = new Map()
    this.#storages.clear()
    if (!this.#hasSchema) return
    this.#hasSchema = false
    await this.#pool.with((connection) => connection.run(`DROP SCHEMA ${this.#schema} CASCADE`))
  }

  #set(name: string, table: TemporaryTable): void {
    this.#tables = new Map(this.#tables).set(name, table)
  }

  async #createStorage(
    definition: TemporaryTableDefinition,
    connection: EngineConnection,
  ): Promise<Storage> {
    if (!this.#hasSchema) {
      await connection.run(`CREATE SCHEMA IF NOT EXISTS ${this.#schema}`)
      this.#hasSchema = true
    }
    const change = ++this.#change
    const storage: Storage = {
      rows: `${this.#schema}.${quoteIdentifier(`${definition.name} rows ${change}`)}`,
      view: `${this.#schema}.${quoteIdentifier(`${definition.name} ${change}`)}`,
      createdBy: change,
      changedBy: 0n,
    }
    const names = definition.columns.map((column) => quoteIdentifier(column.name))
    const parts = [
      ...definition.columns.map(
        ({ type, notNull }, i) =>
          `${names[i]} ${printEngineType(type.engine)}${notNull === true ? ' NOT NULL' : ''}`,
      ),
      `${CHANGE} BIGINT`,
      ...definition.keys.map(
        ({ primary, columns }) =>
          `${primary ? 'PRIMARY KEY' : 'UNIQUE'} (${columns.map(quoteIdentifier).join(', ')})`,
      ),
    ]
    await connection.run(`CREATE TABLE ${storage.rows} (${parts.join(', ')})`)
    await connection.run(
      `CREATE VIEW ${storage.view} AS SELECT ${names.join(', ')} FROM ${storage.rows}`,
    )
    this.#storages.add(storage)
    return storage
  }

  async #append(
    definition: TemporaryTableDefinition,
    storage: Storage,
    connection: EngineConnection,
    { sql, values }: TemporaryRows,
  ): Promise<number> {
    const change = ++this.#change
    const prepared = await connection.prepare(
      `INSERT INTO ${storage.rows} SELECT *, ${change} FROM (${sql}\n)`,
    )
    try {
      const rowCount = await prepared.change(values)
      storage.changedBy = change
      return rowCount
    } catch (thrown) {
      throw constraintError(thrown, definition)
    } finally {
      prepared.destroy()
    }
  }

  async #dropStorage(storage: Storage, connection: EngineConnection): Promise<void> {
    this.#storages.delete(storage)
    await connection.run(`DROP VIEW IF EXISTS ${storage.view}`)
    await connection.run(`DROP TABLE IF EXISTS ${storage.rows}`)
  }
}

/** DuckDB's error in PostgreSQL's words. */
function constraintError(thrown: unknown, definition: TemporaryTableDefinition): unknown {
  if (!(thrown instanceof SqlError)) return thrown
  const { name, keys } = definition
  if (thrown.sqlState === SqlState.notNullViolation) {
    const column = /null value in column "(.*?)"/.exec(thrown.message)?.[1]
    return new SqlError(
      SqlState.notNullViolation,
      `null value in column "${column}" of relation "${name}" violates not-null constraint`,
      { cause: thrown },
    )
  }
  if (thrown.sqlState !== SqlState.uniqueViolation) return thrown
  // Among rows of one statement DuckDB does not say which key they share.
  const kind = /violates (primary key|unique)/.exec(thrown.message)?.[1]
  const candidates = keys.filter(
    ({ primary }) => kind === undefined || primary === (kind === 'primary key'),
  )
  const [key] = candidates
  const isSure = candidates.length === 1 && key !== undefined
  const value = /duplicate key "(?:[^":]*: )?(.*?)"(?: violates|$)/s.exec(thrown.message)?.[1]
  return new SqlError(
    SqlState.uniqueViolation,
    `duplicate key value violates unique constraint${isSure ? ` "${key.name}"` : ''}`,
    {
      cause: thrown,
      detail:
        isSure && key.columns.length === 1 && value !== undefined
          ? `Key (${key.columns[0]})=(${value}) already exists.`
          : undefined,
    },
  )
}

function requireColumns(columns: readonly TemporaryColumn[]): void {
  const seen = new Map<string, string>()
  for (const { name } of columns) {
    if (SYSTEM_COLUMNS.has(name)) {
      throw new SqlError(
        SqlState.duplicateColumn,
        `column name "${name}" conflicts with a system column name`,
      )
    }
    const other = seen.get(name.toLowerCase())
    if (other === name) {
      throw new SqlError(SqlState.duplicateColumn, `column "${name}" specified more than once`)
    }
    if (other !== undefined || SYSTEM_COLUMNS.has(name.toLowerCase())) {
      throw new SqlError(
        SqlState.featureNotSupported,
        `column "${name}" differs from "${other ?? name.toLowerCase()}" in case only, which is not supported`,
      )
    }
    seen.set(name.toLowerCase(), name)
  }
}
