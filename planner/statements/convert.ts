/** CONVERT TO DELTA. */

import { convertFolder } from '../../storage/convert.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import type { StructField } from '../../storage/schema.js'
import { Transaction } from '../../storage/transaction.js'
import type { ConvertTable } from '../convert-syntax.js'
import { columnField, type Definition } from '../create-table.js'
import { FULFILLED } from '../fulfilled.js'
import { requireOwnTransaction } from '../maintained-table.js'
import { parseStatements } from '../parse.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { undefinedRelation } from '../refusal.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall } from '../statement-kind.js'
import { listOf, nodeOf } from '../syntax-tree.js'
import { folderOf } from '../table-location.js'
import type { Clause } from '../words.js'

/** Executes: the folder is a table when it returns; one that is a table already stays as it is. */
export async function convert(call: StatementCall, given: ConvertTable): Promise<Execution> {
  const { session, cancellation } = call
  const done = command('CONVERT TO DELTA')
  requireOwnTransaction(session, 'CONVERT TO DELTA')
  const { gateway } = session
  const { store, snapshots } = gateway
  const tablePath =
    'path' in given.source
      ? folderOf(given.source.path, store.root)
      : await folderNamed(session, given.source.name)
  const already = (): Execution => {
    session.notice(
      SqlState.successfulCompletion,
      `"${tablePath}" is a Delta table already, nothing was converted`,
    )
    return done
  }
  await requireOutside(session, tablePath)
  if ((await snapshots.latest(tablePath)) !== null) return already()
  const { table, adds } = await session.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      return await convertFolder(store, connection, {
        tablePath,
        name: tablePath.split('/').at(-1) ?? tablePath,
        partitionFields: given.partitions === null ? [] : partitionFields(given.partitions),
        statistics: given.statistics,
        check: () => cancellation.check(),
      })
    } finally {
      connection.attach(undefined)
    }
  })
  const transaction = Transaction.create(store, table, { fulfilled: FULFILLED })
  transaction.add(adds)
  const result = await transaction.commit({
    operation: 'CONVERT',
    parameters: {
      numFiles: String(adds.length),
      partitionedBy: JSON.stringify(table.metadata.partitionColumns),
      collectStats: String(given.statistics),
      sourceFormat: 'parquet',
    },
    metrics: { numConvertedFiles: adds.length },
  })
  if (result.kind === 'conflict') return already()
  gateway.afterCommit(transaction)
  if (tablePath.split('/').length !== 2) {
    session.notice(
      SqlState.successfulCompletion,
      `the table in "${tablePath}" has no name yet`,
      undefined,
      { hint: `CREATE TABLE … USING DELTA LOCATION '${tablePath}' gives it one.` },
    )
  }
  return done
}

/** The folder `<layer>/<name>`, whatever is in it; 42P01 when there is none. */
async function folderNamed(session: SessionContext, name: readonly string[]): Promise<string> {
  const { store, catalog } = session.gateway
  const relation = name.at(-1) ?? ''
  const layers = name.length > 1 ? [name.at(-2) ?? ''] : session.settings.searchPath()
  const found = await catalog.resolve(name, session.settings.searchPath())
  if (found?.kind === 'table') return found.table.path
  if (found?.kind === 'view') {
    throw new SqlError(SqlState.wrongObjectType, `"${relation}" is not a table`)
  }
  const isPlain = (part: string): boolean => /^[^._/\\][^/\\]*$/.test(part)
  for (const layer of layers) {
    if (!isPlain(layer) || !isPlain(relation)) continue
    if ((await store.listFolders(layer)).includes(relation)) return `${layer}/${relation}`
  }
  throw undefinedRelation(name)
}

/** 22023 for a folder inside of another table, which would then have the files of both. */
async function requireOutside({ gateway }: SessionContext, path: string): Promise<void> {
  const parts = path.split('/')
  for (let depth = 1; depth < parts.length; depth++) {
    const above = parts.slice(0, depth).join('/')
    if (!(await gateway.store.listFolders(above)).includes('_delta_log')) continue
    throw new SqlError(
      SqlState.invalidParameterValue,
      `the folder "${path}" is inside of the table in "${above}"`,
    )
  }
}

/** The columns of PARTITIONED BY (…); 42601, with the place in the command. */
function partitionFields({ text, start }: Clause): readonly StructField[] {
  const prefix = 'CREATE TABLE t ('
  try {
    const [statement] = parseStatements(`${prefix}${text})`)
    const create = nodeOf(statement?.tree, 'CreateStmt')
    const definition: Definition = { fields: [], configuration: {}, stated: [] }
    return listOf(create?.tableElts).map((node) => {
      const column = nodeOf(node, 'ColumnDef')
      if (column === undefined) {
        throw new SqlError(SqlState.syntaxError, 'PARTITIONED BY lists columns and their types')
      }
      return { ...columnField(column, definition, 't'), nullable: true }
    })
  } catch (thrown) {
    if (!(thrown instanceof SqlError)) throw thrown
    const { position } = thrown
    throw thrown.at(position === undefined ? undefined : start + position - prefix.length)
  }
}
