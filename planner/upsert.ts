/** Upsert: INSERT … ON CONFLICT into a lake table, planned as a RowChange. */

import { quoteIdentifier } from '../storage/engine.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { FILE_COLUMN, ROW_COLUMN } from '../storage/scan-relation.js'
import type { Snapshot } from '../storage/snapshot.js'
import { analyzeExpression } from './analyze-expression.js'
import { booleanOf } from './expression-types.js'
import { plainPlace } from './expression-place.js'
import type { Analysis } from './analysis.js'
import { planInsert } from './insert.js'
import { analyzeReturning, returningNodes } from './returning.js'
import {
  ACTION,
  ACTION_COLUMN,
  type ChangedTable,
  namesOfTarget,
  PRESENT_COLUMN,
  project,
  returnedSide,
  type RowChangePlan,
  renamed,
  scopeOf,
  type Side,
  stored,
  TARGET,
  targetSide,
  temporaryName,
} from './row-change.js'
import { withRowSubqueries } from './row-subquery.js'
import { analyzeAssignments, type Assignments } from './row-update.js'
import { passedOn, Scope } from './scope.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'
import { type KeyEquality, keyEquality } from './table-predicates.js'
import { columnKey } from './table-use.js'
import { checkedRows, type TargetColumn, targetColumn, targetColumns } from './target-table.js'

/**
 * What the fields of an InsertStmt with ON CONFLICT change in a table.
 *
 * The key is the table's declared primary key; 42P10 when the clause names another one.
 */
export function planUpsert(
  analysis: Analysis,
  fields: Node,
  table: ChangedTable,
  snapshot: Pick<Snapshot, 'metadata' | 'schema'>,
): RowChangePlan {
  const { use } = table
  const columns = targetColumns(snapshot.schema)
  const clause = fields.onConflictClause as Node
  const updates = clause.action === 'ONCONFLICT_UPDATE'
  const keys = conflictKey(clause, snapshot, table.name, columns)
  if (updates) use?.require('UPDATE')
  // As in PostgreSQL, what the clause names is read, and the key that nobody named is not.
  if (clause.infer !== undefined) {
    for (const { field } of keys) use?.column('SELECT', columnKey(field))
  }
  const outer = new Scope(undefined)
  const rows = planInsert(
    analysis,
    { ...fields, onConflictClause: undefined, returningClause: undefined },
    table,
    snapshot,
    columns,
  )
  analysis.roots.push(rows.levels)

  // The rows that are to be inserted, complete and checked.
  const sourceAlias = analysis.fresh('s')
  const query = analysis.fresh('q')
  const given = returnedSide(columns, 'excluded', undefined, query, use)
  const excluded = project(given, sourceAlias, 'c')
  const nameOf = (side: { readonly names: readonly string[] }, column: TargetColumn): string =>
    side.names[columns.indexOf(column)] ?? ''
  const own = keys.map((key) => `${query}.${quoteIdentifier(key.field.name)}`)
  const first =
    updates || keys.length === 0
      ? ''
      : ` QUALIFY row_number() OVER (PARTITION BY ${own.join(', ')}) = 1 OR ${own.map((one) => `${one} IS NULL`).join(' OR ')}`
  const source = {
    table: temporaryName('source'),
    alias: sourceAlias,
    sql: `SELECT ${[...excluded.items, `true AS ${PRESENT_COLUMN}`].join(', ')} FROM (${rows.sql}) AS ${query}${first}`,
  }

  const { name, schema } = namesOfTarget(fields.relation as Node, table)
  const target = targetSide(analysis, columns, name, schema, use)
  const equalities = keys.flatMap((key): readonly KeyEquality[] => {
    const at = columns.indexOf(key)
    const [mine, theirs] = [target.columns[at]?.column, excluded.columns[at]?.column]
    return mine === undefined || theirs === undefined ? [] : keyEquality(mine, theirs)
  })
  const on = keys.map((key) => {
    const own = target.columns[columns.indexOf(key)]?.column
    const mine = own === undefined ? '' : passedOn(own)
    return `${sourceAlias}.${nameOf(excluded, key)} = ${mine}`
  })
  const row = analysis.fresh('j')
  const old = project(target, row, 'o')
  const joined = project(excluded, row, 'x')
  const inner = `SELECT ${[
    `${target.file} AS ${FILE_COLUMN}`,
    `${target.row} AS ${ROW_COLUMN}`,
    ...old.items,
    ...joined.items,
  ].join(
    ', ',
  )} FROM ${source.table} AS ${sourceAlias} LEFT JOIN ${target.sql} ON ${on.length === 0 ? 'false' : on.join(' AND ')}`
  const scope = scopeOf(outer, old, { ranges: [renamed(joined, 'excluded')], columns: [] })
  const { changed, subqueries }: Assignments = updates
    ? analyzeAssignments(analysis, listOf(clause.targetList), columns, table, name, scope, row)
    : { changed: new Map(), subqueries: [] }
  const isNew = `${row}.${ROW_COLUMN} IS NULL`
  const values = columns.map((column) => {
    const update = changed.get(column) ?? stored(`${row}.${nameOf(old, column)}`, column)
    const insert = `${row}.${nameOf(joined, column)}`
    const value = updates ? `CASE WHEN ${isNew} THEN ${insert} ELSE ${update} END` : insert
    return `${value} AS ${quoteIdentifier(column.field.name)}`
  })
  const condition =
    updates && clause.whereClause !== undefined
      ? ` WHERE ${isNew} OR (${
          booleanOf(
            analysis,
            analyzeExpression(analysis, clause.whereClause as Node, scope, plainPlace('WHERE')),
            'WHERE',
          ).sql
        })`
      : updates
        ? ''
        : ` WHERE ${isNew}`
  const rowsAndValues = withRowSubqueries(
    inner,
    subqueries.map((subquery) => ({ subquery, condition: `${row}.${ROW_COLUMN} IS NOT NULL` })),
    row,
  )
  const shown = returningNodes(fields).length > 0 ? old.names : []
  const staged = `SELECT ${[
    ...values,
    `${row}.${FILE_COLUMN}`,
    `${row}.${ROW_COLUMN}`,
    `CASE WHEN ${isNew} THEN ${ACTION.insert} ELSE ${ACTION.update} END AS ${ACTION_COLUMN}`,
    ...shown.map((one) => `${row}.${one}`),
  ].join(', ')} FROM (${rowsAndValues}) AS ${row}${condition}`
  const sql = checkedRows(analysis, snapshot, columns, staged, table.name, [
    FILE_COLUMN,
    ROW_COLUMN,
    ACTION_COLUMN,
    ...shown,
  ])
  const alias = analysis.fresh('r')
  const now = returnedSide(columns, name, schema, alias, use)
  const keyNames = keys.map((key) => nameOf(excluded, key))
  return {
    sql,
    withSql: '',
    columns: [],
    levels: [
      {
        conditions: [],
        ranges: [{ range: target.range, relation: TARGET, inner: [] }],
        outputs: [],
        passes: () => false,
      },
    ],
    source: {
      ...source,
      keys: equalities,
      ...(updates
        ? {
            duplicates: `SELECT 1 FROM ${source.table} WHERE ${keyNames.map((one) => `${one} IS NOT NULL`).join(' AND ')} GROUP BY ${keyNames.join(', ')} HAVING count(*) > 1 LIMIT 1`,
          }
        : {}),
    },
    identities: new Map(
      [...rows.identities].map(([key, identity]) => {
        const column = columns.find(({ field }) => field.name === key) as TargetColumn
        return [key, { identity, column: nameOf(excluded, column) }]
      }),
    ),
    touchesUnmatched: false,
    refusesRepeats: updates,
    returning: analyzeReturning(analysis, fields, outer, {
      sides: [now],
      old: project(target as Side, alias, 'o'),
      now,
      alias,
      isMerge: false,
    }),
    returningAlias: alias,
  }
}

/** The columns by which rows conflict; none for DO NOTHING on a table without a key. */
function conflictKey(
  clause: Node,
  { metadata }: Pick<Snapshot, 'metadata'>,
  table: string,
  columns: readonly TargetColumn[],
): readonly TargetColumn[] {
  const declared = (metadata.configuration['lakegate.primaryKey'] ?? '')
    .split(',')
    .filter((name) => name !== '')
    .map((name) => targetColumn(columns, name, table))
  const infer = clause.infer as Node | undefined
  if (infer === undefined) {
    if (clause.action !== 'ONCONFLICT_UPDATE') return declared
    throw new SqlError(
      SqlState.syntaxError,
      'ON CONFLICT DO UPDATE requires inference specification or constraint name',
      { hint: 'For example, ON CONFLICT (column_name).' },
    )
  }
  if (typeof infer.conname === 'string') {
    if (declared.length > 0 && infer.conname === `${table}_pkey`) return declared
    throw new SqlError(
      SqlState.undefinedObject,
      `constraint "${infer.conname}" for table "${table}" does not exist`,
    )
  }
  const named = listOf(infer.indexElems).map((node) => {
    const { name } = nodeOf(node, 'IndexElem') ?? {}
    return typeof name === 'string' ? targetColumn(columns, name, table) : undefined
  })
  const matches =
    infer.whereClause === undefined &&
    new Set(named).size === declared.length &&
    declared.every((column) => named.includes(column))
  if (matches && declared.length > 0) return declared
  throw new SqlError(
    SqlState.invalidColumnReference,
    'there is no unique or exclusion constraint matching the ON CONFLICT specification',
    { hint: `The key of a table of the lake is what its PRIMARY KEY declares.` },
  )
}
