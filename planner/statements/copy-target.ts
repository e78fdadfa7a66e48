/** CopyTarget: the table that a COPY FROM fills, and the text that makes its rows. */

import type { AddFile } from '../../storage/actions.js'
import { writeDataFiles } from '../../storage/data-file.js'
import type { EngineConnection } from '../../storage/engine.js'
import { resolvePath } from '../../storage/file-path.js'
import {
  type IdentityColumn,
  identityMark,
  withHighWaterMarks,
} from '../../storage/identity-column.js'
import type { ObjectStore } from '../../storage/object-store.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { requireWritable } from '../../storage/table-protocol.js'
import { replaceMarkers } from '../analysis.js'
import { copiedRows, type CopySources, NUMBERED } from '../copy-in.js'
import { FULFILLED } from '../fulfilled.js'
import { numberParameters } from '../parameter-marker.js'
import { analyzePlan, type QueryContext } from '../query.js'
import type { StatementCall } from '../statement-kind.js'
import { namesOf, type Node } from '../syntax-tree.js'
import { TableChange } from '../table-change.js'
import { type TargetColumn, targetColumns } from '../target-table.js'
import { nameOf, rulesOf, targetsOf } from '../temporary-change.js'
import { temporaryTarget } from './temporary-table.js'
import { columnKey } from '../table-use.js'
import { findTarget, type TargetTable } from '../write-target.js'

/** The table that is filled. */
export interface CopyTarget {
  readonly name: { readonly layer: string; readonly name: string }
  readonly columns: readonly TargetColumn[]
  readonly rules: Pick<Snapshot, 'metadata' | 'schema'>
  /** The folder in which what is on its way may be kept. */
  readonly folder: string
  /** Takes the rows made out of `stage`, a DuckDB relation, and answers how many. */
  readonly write: (connection: EngineConnection, rows: CopyRows, stage: string) => Promise<number>
  readonly apply: () => void
  readonly undo: () => Promise<void>
}

/** Where a COPY FROM puts its rows; 42P01, 25006 and 0A000 for what cannot be written. */
export async function copyTarget({
  session,
  statement,
  fields,
}: StatementCall): Promise<CopyTarget> {
  const own = temporaryTarget(session, fields)
  if (own !== undefined) {
    return {
      name: nameOf(own),
      columns: targetsOf(own),
      rules: rulesOf(own),
      folder: '',
      write: (connection, rows, stage) =>
        session.temporary.insert(
          own,
          connection,
          { sql: rows.sql(stage, 0n), values: [] },
          (_, rowCount) => Promise.resolve(rowCount),
        ),
      apply: () => {},
      // The rows are taken back with the statement's transaction.
      undo: () => Promise.resolve(),
    }
  }
  const context = session.queryContext()
  const range = fields.relation as Node
  const { table, snapshot } = await findTarget(range, context, statement.start, ['INSERT'])
  await requireColumns(table, snapshot, fields, context)
  const change = context.block.changing(table, 'COPY FROM', () => new TableChange(table, snapshot))
  const { tablePath, protocol, metadata, schema } = snapshot
  // Refused before hours of data have been sent, not when they are to be committed.
  requireWritable(tablePath, protocol, metadata, schema, FULFILLED)
  const { store } = context.gateway
  const adds: AddFile[] = []
  let numbered = 0n
  const marks = new Map<string, bigint>()
  return {
    name: table,
    columns: targetColumns(schema),
    rules: snapshot,
    folder: snapshot.tablePath,
    write: async (connection, rows, stage) => {
      const query = rows.sql(stage, numbered)
      if (rows.identities.size > 0) {
        const [[rowCount] = []] = await connection.query(`SELECT count(*) FROM ${stage}`)
        numbered += BigInt(String(rowCount ?? 0))
        if (numbered > 0n) {
          for (const [name, identity] of rows.identities) {
            marks.set(name, identityMark(identity, numbered))
          }
        }
      }
      const written = await writeDataFiles(store, connection, snapshot, { query })
      adds.push(...written.files)
      return written.rowCount
    },
    apply: () =>
      change.apply({
        operation: 'WRITE',
        adds,
        ...(marks.size === 0 ? {} : { definition: withHighWaterMarks(snapshot, marks) }),
      }),
    undo: () => removeFiles(store, snapshot.tablePath, adds),
  }
}

/** 42501 unless every column that is filled may be inserted. */
async function requireColumns(
  { use }: TargetTable,
  { schema }: Snapshot,
  fields: Node,
  context: QueryContext,
): Promise<void> {
  const named = namesOf(fields.attlist).map((name) => name.toLowerCase())
  for (const field of schema.fields) {
    const isFilled = named.length === 0 || named.includes(field.name.toLowerCase())
    if (isFilled) use.column('INSERT', columnKey(field))
  }
  // The rows that WHERE leaves out are the client's own: nothing of the table is read.
  await context.access.check([use])
}

/** Removes files that no version of the table names, so that nobody can be reading them. */
async function removeFiles(
  store: ObjectStore,
  tablePath: string,
  adds: readonly AddFile[],
): Promise<void> {
  for (const { path } of adds) await store.delete(resolvePath(store, tablePath, path))
}

/** Rows of a table out of those of a stage. */
export interface CopyRows {
  /** DuckDB text over the relation `stage`, whose rows are counted from `numbered` on. */
  readonly sql: (stage: string, numbered: bigint) => string
  /** Identity columns that number the rows. */
  readonly identities: ReadonlyMap<string, IdentityColumn>
}

/** The text that makes the table's rows of a stage's. */
export async function copyRows(
  { session, statement, fields }: StatementCall,
  { name, rules, columns }: CopyTarget,
  sources: CopySources,
  hasDefaults: boolean,
  connection: EngineConnection,
): Promise<CopyRows> {
  const context = session.queryContext()
  const { query } = await analyzePlan(statement, [], [], context, connection, true, (analysis) =>
    copiedRows(analysis, fields, sources, name, rules, columns, hasDefaults),
  )
  return {
    identities: query.identities,
    sql: (stage, numbered) =>
      numberParameters(
        replaceMarkers(query.sql, (marker) => (marker === NUMBERED ? String(numbered) : stage)),
        [],
      ).sql,
  }
}
