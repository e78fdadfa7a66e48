/** COPY INTO: files loaded into a lake table, each once. */

import { Oid } from '../../catalog/pg-types.js'
import { type EngineConnection, quoteIdentifier } from '../../storage/engine.js'
import { scalarType } from '../../storage/engine-type.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import type { ImportedFile } from '../../storage/import-files.js'
import type { Staging } from '../../storage/object-store.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { type CopyInto, FILES } from '../copy-into-syntax.js'
import {
  type FileRelation,
  fileRelation,
  flag,
  type ReadableFile,
  requireFormatOptions,
  unreadable,
} from '../file-relation.js'
import { runInsert } from '../insert.js'
import { parseStatements } from '../parse.js'
import type { Execution } from '../portal.js'
import type { QueryContext } from '../query.js'
import { computedColumn, taggedRows } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { ResultColumn } from '../result.js'
import { isArrayOid, typeName, typeOfEngine } from '../sql-type.js'
import type { StatementCall } from '../statement-kind.js'
import { nodeOf } from '../syntax-tree.js'
import { type TargetColumn, targetColumn, targetColumns } from '../target-table.js'
import { findTarget } from '../write-target.js'

/** Databricks' result. */
export const COPY_INTO_COLUMNS: readonly ResultColumn[] = [
  'num_affected_rows',
  'num_inserted_rows',
  'num_skipped_corrupt_files',
].map((name) => computedColumn(name, Oid.int8, scalarType('BIGINT')))

/** The application that has loaded a file, in the table's log: its transactions tell how often. */
function applicationOf({ path }: ImportedFile): string {
  return `lakegate.copyInto:${path}`
}

/**
 * Executes: the rows of the files that the table has not loaded yet become rows of it, and the files
 * are noted in the same commit. 40001 when another one notes any of them first.
 */
export async function copyInto(call: StatementCall, command: CopyInto): Promise<Execution> {
  const { session, cancellation } = call
  session.requireWritable('COPY INTO')
  const { name, format, formatOptions, copyOptions } = command
  if (name.length === 1 && session.temporary.find(name[0] ?? '') !== undefined) {
    throw notSupported('COPY INTO a temporary table', 'Use COPY … FROM.')
  }
  requireFormatOptions(format, formatOptions)
  requireCopyOptions(copyOptions)
  const context = session.queryContext()
  const [relname, schemaname] = [name.at(-1), name.at(-2)]
  const range = { relname, ...(schemaname === undefined ? {} : { schemaname }) }
  const { snapshot } = await findTarget(range, context, undefined, ['INSERT'])
  await session.access.requireServerFiles()
  requireMemory(snapshot)
  const { importFiles, store } = session.gateway
  const found = await importFiles.list(command.source, {
    files: command.files,
    pattern: command.pattern ?? formatOptions.get('pathglobfilter') ?? null,
  })
  const force = flag(copyOptions, 'force')
  const fresh = force
    ? found
    : found.filter((file) => !snapshot.transactions.has(applicationOf(file)))
  if (fresh.length === 0) return loaded(0, 0)
  let staging: Staging | undefined
  try {
    staging = await store.openStaging(snapshot.tablePath)
    const staged = new Map<ImportedFile, ReadableFile>()
    for (const [i, file] of fresh.entries()) {
      // DuckDB tells compressed files by their names.
      const own = `copy-${i}${/(?:\.\w+){0,2}$/.exec(file.name)?.[0] ?? ''}`
      await staging.append(own, new Uint8Array())
      for await (const bytes of importFiles.read(file.path)) {
        cancellation.check()
        await staging.append(own, bytes)
      }
      staged.set(file, { url: `${staging.engineUrl}/${own}`, partition: file.partition })
    }
    const { query, corrupt, good } = await session.pool.with(async (connection) => {
      connection.attach(cancellation)
      try {
        return await planned(connection, command, staged, snapshot)
      } finally {
        connection.attach(undefined)
      }
    })
    if (good.length === 0) return loaded(0, corrupt)
    const transactions = new Map(
      good.map((file) => {
        const application = applicationOf(file)
        return [application, BigInt(snapshot.transactions.get(application)?.version ?? 0) + 1n]
      }),
    )
    const evolves = context.schemaEvolution || flag(copyOptions, 'mergeschema')
    const rowCount = await insert(call, query, context, evolves, good, transactions)
    return loaded(rowCount, corrupt)
  } finally {
    await staging?.discard()
  }
}

function loaded(rowCount: number, corrupt: number): Execution {
  const row = [rowCount, rowCount, corrupt].map(BigInt)
  return taggedRows(COPY_INTO_COLUMNS, [row], () => `COPY ${rowCount}`)
}

function requireCopyOptions(options: ReadonlyMap<string, string>): void {
  for (const name of options.keys()) {
    if (name === 'force' || name === 'mergeschema') {
      flag(options, name)
      continue
    }
    throw new SqlError(
      SqlState.invalidParameterValue,
      `option "${name}" of COPY INTO is not supported`,
      { hint: 'Known are: force, mergeSchema.' },
    )
  }
}

/** 0A000 for a table that forgets transactions, and with them what it has loaded. */
function requireMemory({ metadata }: Snapshot): void {
  const property = 'delta.setTransactionRetentionDuration'
  if (metadata.configuration[property] === undefined) return
  throw notSupported(
    `COPY INTO a table with the property ${property}`,
    `It lets files that were loaded be forgotten. RESET (${property}) first.`,
  )
}

interface Planned {
  /** The INSERT whose query reads FILES, and what that stands for. */
  readonly query: { readonly sql: string; readonly relation: FileRelation }
  readonly good: readonly ImportedFile[]
  readonly corrupt: number
}

async function planned(
  connection: EngineConnection,
  command: CopyInto,
  staged: ReadonlyMap<ImportedFile, ReadableFile>,
  snapshot: Snapshot,
): Promise<Planned> {
  const { format, formatOptions, select } = command
  const columns = targetColumns(snapshot.schema)
  const isPositional = command.byPosition || command.columns.length > 0
  const filled = targetsOf(command, columns)
  const targetAt = (name: string, i: number): TargetColumn | undefined =>
    isPositional
      ? filled[i]
      : (columns.find(({ field }) => field.name === name) ??
        columns.find(({ field }) => field.name.toLowerCase() === name.toLowerCase()))
  const isTyped = (name: string, i: number): boolean => {
    const target = select === null ? targetAt(name, i) : undefined
    return target !== undefined && isScalar(target)
  }
  const read = (files: readonly ReadableFile[]): Promise<FileRelation> =>
    fileRelation(connection, format, files, formatOptions, isTyped)
  const good: ImportedFile[] = []
  if (flag(formatOptions, 'ignorecorruptfiles')) {
    for (const [file, readable] of staged) {
      if (await isReadable(connection, () => read([readable]))) good.push(file)
    }
  } else good.push(...staged.keys())
  const corrupt = staged.size - good.length
  const relation =
    good.length === 0
      ? { sql: '', columns: [] }
      : await read(good.map((file) => staged.get(file) as ReadableFile))
  const into = [
    'INSERT INTO',
    command.name.map(quoteIdentifier).join('.'),
    command.columns.length > 0 ? `(${command.columns.map(quoteIdentifier).join(', ')})` : '',
    isPositional ? '' : 'BY NAME',
  ].join(' ')
  const items = relation.columns.map(({ name, isText }, i) => {
    const target = targetAt(name, i)
    const column = quoteIdentifier(name)
    return isText && target !== undefined && isScalar(target)
      ? `${column}${castOf(target)} AS ${column}`
      : column
  })
  const query = select?.text ?? `SELECT ${items.join(', ')} FROM ${FILES}`
  return { query: { sql: `${into} ${query}`, relation }, good, corrupt }
}

/** The columns that are filled in order: those listed, or all that are not computed. */
function targetsOf(command: CopyInto, columns: readonly TargetColumn[]): readonly TargetColumn[] {
  if (command.columns.length === 0) return columns
  return command.columns.map((name) => targetColumn(columns, name, command.name.at(-1) ?? ''))
}

function isScalar({ type }: TargetColumn): boolean {
  return type.engine.kind === 'scalar' || type.engine.kind === 'decimal'
}

/** The cast by which a text becomes a value of the column; lengths are left to the assignment. */
function castOf({ type }: TargetColumn): string {
  if (type.oid === Oid.numeric && type.engine.kind === 'decimal') {
    return `::numeric(${type.engine.width}, ${type.engine.scale})`
  }
  if (type.oid === Oid.varchar || type.oid === Oid.bpchar || isArrayOid(type.oid)) return ''
  return `::${typeName({ oid: type.oid })}`
}

async function isReadable(
  connection: EngineConnection,
  read: () => Promise<FileRelation>,
): Promise<boolean> {
  try {
    const { sql } = await read()
    await connection.query(`SELECT count(hash(f)) FROM ${sql} AS f`)
    return true
  } catch (thrown) {
    const told = unreadable(thrown)
    if (told instanceof SqlError && told.sqlState === SqlState.badCopyFileFormat) return false
    throw thrown
  }
}

/** Whether the engine found fault with a file while it made rows of it, not with a value. */
function isFileFault(thrown: unknown): boolean {
  if (!(thrown instanceof SqlError)) return false
  return thrown.sqlState === SqlState.ioError || /CSV Error|Malformed JSON/.test(thrown.message)
}

/** Runs the INSERT over the files, which notes them in the same commit; answers the rows. */
async function insert(
  { cancellation }: StatementCall,
  { sql, relation }: Planned['query'],
  context: QueryContext,
  evolves: boolean,
  files: readonly ImportedFile[],
  transactions: ReadonlyMap<string, bigint>,
): Promise<number> {
  const columns = relation.columns.map(({ name, type }) => ({ name, type: typeOfEngine(type) }))
  const own: QueryContext = {
    ...context,
    temporaryTable: (name) =>
      name === FILES ? { sql: relation.sql, columns } : context.temporaryTable(name),
  }
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  try {
    const [statement] = parseStatements(sql)
    const fields = nodeOf(statement?.tree, 'InsertStmt')
    if (statement === undefined || fields === undefined) throw notSupported('this COPY INTO')
    const execution = await runInsert(statement, fields, [], own, cancellation, [], {
      dynamicPartitions: false,
      schemaEvolution: evolves,
      also: {
        operation: 'COPY INTO',
        parameters: {},
        metrics: { numCopiedFiles: files.length, numCopiedBytes: bytes },
        transactions,
      },
    })
    const tag = execution.kind === 'command' ? execution.tag : ''
    return Number(/(\d+)$/.exec(tag)?.[1] ?? 0)
  } catch (thrown) {
    const told = isFileFault(thrown) ? unreadable(thrown) : thrown
    // A place in the text that was made of the command is none in what the client wrote.
    throw told instanceof SqlError ? told.at(undefined) : told
  }
}
