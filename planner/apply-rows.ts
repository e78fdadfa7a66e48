/** ApplyRows: carries out a RowChange - which files a change touches, and what becomes of each. */

import { violationOf } from './violated-object.js'
import type { PgType } from '../catalog/pg-types.js'
import type { TableName } from '../catalog/catalog.js'
import type { Cancellation } from '../storage/cancellation.js'
import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { DataFile } from '../storage/file-index.js'
import { and, type Predicate, UNKNOWN } from '../storage/predicate.js'
import { planScan, type Scan } from '../storage/scan.js'
import { FILE_COLUMN, identifiedRelation, ROW_COLUMN } from '../storage/scan-relation.js'
import { withNewColumns } from '../storage/schema-evolution.js'
import type { Snapshot } from '../storage/snapshot.js'
import { type DeletionPolicy, fateOf, type FileFate } from '../storage/file-fate.js'
import { fileRowCounts } from '../storage/file-rows.js'
import { identityMark, nextIdentity, withHighWaterMarks } from '../storage/identity-column.js'
import { uniqueNames } from './query-names.js'
import { replaceMarkers } from './analysis.js'
import { writeChangedFiles } from './changed-files.js'
import { keyRange } from './key-range.js'
import { numberParameters } from './parameter-marker.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import {
  analyzePlan,
  type QueryContext,
  relationTexts,
  resultColumns,
  type ScannedTable,
} from './query.js'
import { ReadySource } from './row-source.js'
import type { ResultColumn } from './result.js'
import {
  ACTION,
  ACTION_COLUMN,
  type RowChangeKind,
  type RowChangePlan,
  tagOf,
  TARGET,
  temporaryName,
} from './row-change.js'
import type { Node } from './syntax-tree.js'
import { TableChange } from './table-change.js'
import { tablePredicates } from './table-predicates.js'
import { findTarget } from './write-target.js'

/** A statement that changes rows, and what it runs with. */
export interface RowChangeCall {
  readonly statement: ParsedStatement
  readonly fields: Node
  readonly values: readonly EngineValue[]
  readonly oids: readonly number[]
  readonly context: QueryContext
  readonly cancellation: Cancellation
}

/** How a change went, for EXPLAIN ANALYZE. */
export interface RowChangeReport {
  readonly table: TableName
  /** The files that were looked into. */
  readonly scan: Scan
  readonly fates: readonly FileFate[]
  readonly counts: ActionCounts
}

/** Types of the statement's parameters and the columns of its RETURNING, without executing. */
export async function describeRowChange(
  call: Pick<RowChangeCall, 'statement' | 'fields' | 'oids' | 'context'>,
  kind: RowChangeKind,
): Promise<{
  readonly parameterTypes: readonly (PgType | undefined)[]
  readonly columns: readonly ResultColumn[] | null
}> {
  const { statement, fields, oids, context } = call
  const range = fields.relation as Node
  const { table, snapshot } = await findTarget(range, context, statement.start, 'nothing')
  return context.pool.with(async (connection) => {
    const { query: plan, parameterTypes } = await analyzePlan(
      statement,
      oids,
      [],
      context,
      connection,
      false,
      (analysis) => kind.plan(analysis, table, snapshot),
    )
    return { parameterTypes, columns: plan.returning.length > 0 ? returnedColumns(plan) : null }
  })
}

/** Executes: what it makes is durable when it returns, and in the table when the block commits. */
export function runRowChange(
  call: RowChangeCall,
  kind: RowChangeKind,
  report: (report: RowChangeReport) => void = () => {},
): Promise<Execution> {
  return withPlan(call, kind, async (work, { plan, texts, asked }) => {
    const { table, snapshot } = work
    const { block } = call.context
    const change = block.changing(table, kind.command, () => new TableChange(table, snapshot))
    return work.run(plan, texts, asked, change, report)
  })
}

/** As runRowChange, for a part of a statement: what it does is handed to `change`. */
export function changeRows(
  call: RowChangeCall,
  kind: RowChangeKind,
  change: Pick<TableChange, 'apply'>,
): Promise<Execution> {
  return withPlan(call, kind, (work, { plan, texts, asked }) =>
    work.run(plan, texts, asked, change, () => {}),
  )
}

/** How a change would be carried out: the files of the table that may be looked into, and DuckDB's plan. */
export function explainRowChange(
  call: RowChangeCall,
  kind: RowChangeKind,
): Promise<{
  readonly target: ScannedTable
  readonly scans: readonly ScannedTable[]
  readonly plan: string
}> {
  return withPlan(call, kind, async (work, { plan, texts, asked, scans }) => {
    const { scan, text } = await work.explain(plan, texts, asked)
    const { layer, name } = work.table
    return { target: { name: `${layer}.${name}`, scan }, scans, plan: text }
  })
}

interface PlannedChange {
  readonly plan: RowChangePlan
  /** What each table of the statement reads, but for the one that is changed. */
  readonly texts: readonly string[]
  readonly scans: readonly ScannedTable[]
  /** What the statement says of the rows it changes. */
  readonly asked: Predicate
}

async function withPlan<T>(
  call: RowChangeCall,
  kind: RowChangeKind,
  use: (work: RowChangeWork, planned: PlannedChange) => Promise<T>,
): Promise<T> {
  const { statement, fields, values, oids, context, cancellation } = call
  const range = fields.relation as Node
  const { table, snapshot } = await findTarget(range, context, statement.start, kind.privileges)
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    const work = new RowChangeWork(call, kind, table, snapshot, connection)
    try {
      const analyzed = await analyzePlan(
        statement,
        oids,
        values,
        context,
        connection,
        true,
        (analysis) => kind.plan(analysis, table, snapshot),
      )
      // Columns that it gets are for its owner to add.
      const isGrown = (analyzed.query.newFields ?? []).length > 0
      if (isGrown) await context.access.requireOwner({ kind: 'table', table })
      const { texts, scans } = await relationTexts(analyzed, values, context, connection)
      const predicates = tablePredicates(analyzed.shared.roots, values)
      for (const [id, { name, snapshot: read, feed }] of analyzed.tables.entries()) {
        if (name.path !== table.path || read.version !== snapshot.version) continue
        // What has changed once stays so, whatever others commit.
        if (feed !== undefined) continue
        const files = scans[id]?.scan.files ?? []
        work.alsoRead({ predicate: predicates.get(id) ?? UNKNOWN, files })
      }
      const asked = predicates.get(TARGET) ?? UNKNOWN
      return await use(work, { plan: analyzed.query, texts, scans, asked })
    } catch (thrown) {
      throw violationOf(thrown, table)
    } finally {
      await work.close()
      connection.attach(undefined)
    }
  })
}

/** RETURNING's columns as clients are told of them. */
function returnedColumns(plan: RowChangePlan): readonly ResultColumn[] {
  return resultColumns(
    plan.returning.map(({ name, value }) => ({ name, engineName: name, type: value.type })),
    [],
  )
}

interface Read {
  readonly predicate: Predicate
  readonly files: readonly DataFile[]
}

export interface ActionCounts {
  readonly updated: number
  readonly deleted: number
  readonly inserted: number
}

/** The counts by the names that Delta's history has for the operation. */
function metricsOf(
  operation: string,
  { updated, deleted, inserted }: ActionCounts,
): Readonly<Record<string, number>> {
  if (operation === 'UPDATE') return { numUpdatedRows: updated }
  if (operation === 'DELETE') return { numDeletedRows: deleted }
  return {
    numTargetRowsInserted: inserted,
    numTargetRowsUpdated: updated,
    numTargetRowsDeleted: deleted,
  }
}

/** One execution of a plan, with the temporary tables it needs. */
class RowChangeWork {
  readonly #call: RowChangeCall
  readonly #kind: RowChangeKind
  readonly table: TableName
  readonly snapshot: Snapshot
  readonly #connection: EngineConnection
  readonly #stage = temporaryName('stage')
  readonly #temporary: string[] = []
  readonly #reads: Read[] = []

  constructor(
    call: RowChangeCall,
    kind: RowChangeKind,
    table: TableName,
    snapshot: Snapshot,
    connection: EngineConnection,
  ) {
    this.#call = call
    this.#kind = kind
    this.table = table
    this.snapshot = snapshot
    this.#connection = connection
  }

  /** Notes rows of the same table that the statement reads beside those it changes. */
  alsoRead(read: Read): void {
    this.#reads.push(read)
  }

  async close(): Promise<void> {
    // A cancelled statement must be able to clean up.
    this.#connection.attach(undefined)
    for (const name of this.#temporary) await this.#connection.run(`DROP TABLE IF EXISTS ${name}`)
  }

  async run(
    plan: RowChangePlan,
    texts: readonly string[],
    asked: Predicate,
    change: Pick<TableChange, 'apply'>,
    report: (report: RowChangeReport) => void,
  ): Promise<Execution> {
    const { context } = this.#call
    const { store } = context.gateway
    const predicate = await this.#withSource(plan, texts, asked)
    const candidates = planScan(this.snapshot, predicate)
    const target = await identifiedRelation(store, this.#connection, candidates)
    await this.#make(this.#stage, plan.sql, (id) =>
      id === TARGET ? target.sql : (texts[id] ?? ''),
    )
    if (plan.refusesRepeats) await this.#refuseRepeats()
    const fates = await this.#fates(target.files)
    const grown = withNewColumns(this.snapshot, plan.newFields ?? [])
    const marks = new Map([...(await this.#counted(plan)), ...(await this.#drawn(plan))])
    const definition =
      grown === this.snapshot && marks.size === 0 ? undefined : withHighWaterMarks(grown, marks)
    const files = await writeChangedFiles({
      store,
      connection: this.#connection,
      snapshot: this.snapshot,
      target: grown,
      stage: this.#stage,
      fates,
      makesRows: this.#kind.operation !== 'DELETE',
      isNew: (file) => context.block.changeOf(this.table.path)?.hasMade(file) === true,
    })
    const rows = plan.returning.length === 0 ? undefined : await this.#returned(plan)
    const counts = await this.#counts()
    const rowCount = counts.updated + counts.deleted + counts.inserted
    change.apply({
      operation: this.#kind.operation,
      ...files,
      removes: fates.map(({ file }) => file),
      reads: [{ predicate, files: candidates.files }, ...this.#reads],
      ...(definition === undefined ? {} : { definition }),
      metrics: {
        ...metricsOf(this.#kind.operation, counts),
        numDeletionVectorsAdded: fates.filter(({ kind }) => kind === 'vector').length,
      },
    })
    report({ table: this.table, scan: candidates, fates, counts })
    const tag = tagOf(this.#kind, rowCount)
    if (rows === undefined) return { kind: 'command', tag }
    return {
      kind: 'rows',
      columns: returnedColumns(plan),
      source: ReadySource.ofRows(rows),
      tag: () => tag,
    }
  }

  /** The files that may be looked into, and DuckDB's plan of the stage over an empty source. */
  async explain(
    plan: RowChangePlan,
    texts: readonly string[],
    asked: Predicate,
  ): Promise<{ readonly scan: Scan; readonly text: string }> {
    const { context, values } = this.#call
    if (plan.source !== undefined) {
      const none = `${plan.withSql}SELECT * FROM (${plan.source.sql}) LIMIT 0`
      await this.#make(plan.source.table, none, (id) => texts[id] ?? '')
    }
    const scan = planScan(this.snapshot, plan.touchesUnmatched ? UNKNOWN : asked)
    const target = await identifiedRelation(context.gateway.store, this.#connection, scan)
    const stage = numberParameters(
      replaceMarkers(plan.sql, (id) => (id === TARGET ? target.sql : (texts[id] ?? ''))),
      values,
    )
    const rows = await this.#connection.query(`EXPLAIN ${stage.sql}`, stage.values)
    return { scan, text: rows.map((row) => String(row.at(-1) ?? '')).join('\n') }
  }

  /** Makes the source, and answers which rows of the table can matter. */
  async #withSource(
    { source, withSql, touchesUnmatched }: RowChangePlan,
    texts: readonly string[],
    asked: Predicate,
  ): Promise<Predicate> {
    if (source === undefined) return asked
    await this.#make(source.table, withSql + source.sql, (id) => texts[id] ?? '')
    if (source.duplicates !== undefined) await this.#refuse(source.duplicates)
    if (touchesUnmatched) return UNKNOWN
    return and([asked, await keyRange(this.#connection, source, this.#call.values)])
  }

  /** What identity columns have handed out to the source's rows: the last number of each. */
  async #counted({ source, identities }: RowChangePlan): Promise<ReadonlyMap<string, bigint>> {
    const marks = new Map<string, bigint>()
    if (source === undefined || identities === undefined) return marks
    for (const [name, { identity, column }] of identities) {
      const last = identity.step > 0n ? 'max' : 'min'
      const [row] = await this.#connection.query(`SELECT ${last}(${column}) FROM ${source.table}`)
      const given = row?.[0] as bigint | null | undefined
      const isBeyond = (mark: bigint): boolean =>
        identity.step > 0n ? mark >= nextIdentity(identity) : mark <= nextIdentity(identity)
      if (typeof given === 'bigint' && isBeyond(given)) marks.set(name, given)
    }
    return marks
  }

  /** What rows of the stage have drawn from identity columns: the last number of each. */
  async #drawn({ drawn }: RowChangePlan): Promise<ReadonlyMap<string, bigint>> {
    const marks = new Map<string, bigint>()
    for (const [name, { identity, counter }] of drawn ?? []) {
      const [row] = await this.#connection.query(`SELECT max(${counter}) FROM ${this.#stage}`)
      const count = row?.[0] as bigint | null | undefined
      if (typeof count !== 'bigint') continue
      marks.set(name, identityMark(identity, count))
    }
    return marks
  }

  async #make(name: string, sql: string, textOf: (id: number) => string): Promise<void> {
    const { sql: text, values } = numberParameters(replaceMarkers(sql, textOf), this.#call.values)
    this.#temporary.push(name)
    await this.#connection.run(`CREATE TEMP TABLE ${name} AS ${text}`, values)
  }

  #refuseRepeats(): Promise<void> {
    return this.#refuse(
      `SELECT 1 FROM ${this.#stage} WHERE ${ROW_COLUMN} IS NOT NULL GROUP BY ${FILE_COLUMN}, ${ROW_COLUMN} HAVING count(*) > 1 LIMIT 1`,
    )
  }

  async #refuse(repeats: string): Promise<void> {
    const found = await this.#connection.query(repeats)
    if (found.length === 0) return
    const isMerge = this.#kind.command === 'MERGE'
    throw new SqlError(
      SqlState.cardinalityViolation,
      `${isMerge ? 'MERGE' : 'ON CONFLICT DO UPDATE'} command cannot affect row a second time`,
      {
        hint: isMerge
          ? 'Ensure that not more than one source row matches any one target row.'
          : 'Ensure that no rows proposed for insertion within the same command have duplicate constrained values.',
      },
    )
  }

  /** What becomes of each file in which a row changes; ordinals are those of the stage. */
  async #fates(files: readonly DataFile[]): Promise<readonly FileFate[]> {
    const counts = await this.#connection.query(
      `SELECT ${FILE_COLUMN}, count(*) FROM ${this.#stage} WHERE ${ROW_COLUMN} IS NOT NULL GROUP BY ${FILE_COLUMN} ORDER BY ${FILE_COLUMN}`,
    )
    const { context } = this.#call
    const touched = counts.map(([ordinal]) => files[Number(ordinal)] as DataFile)
    const rowCounts = await fileRowCounts(context.gateway.store, this.#connection, touched)
    return counts.map(([ordinal, changed], i) =>
      fateOf(this.snapshot, {
        file: touched[i] as DataFile,
        ordinal: Number(ordinal),
        changedCount: Number(changed),
        rowCount: rowCounts[i] ?? 0,
        policy: context.deletionPolicy as DeletionPolicy,
      }),
    )
  }

  async #counts(): Promise<ActionCounts> {
    const rows = await this.#connection.query(
      `SELECT ${ACTION_COLUMN}, count(*) FROM ${this.#stage} GROUP BY ${ACTION_COLUMN}`,
    )
    const of = (action: number): number =>
      Number(rows.find(([one]) => Number(one) === action)?.[1] ?? 0)
    return {
      updated: of(ACTION.update),
      deleted: of(ACTION.delete),
      inserted: of(ACTION.insert),
    }
  }

  async #returned(plan: RowChangePlan): ReturnType<EngineConnection['query']> {
    const names = uniqueNames(plan.returning.map(({ name }) => name))
    const items = plan.returning.map(
      ({ value }, i) =>
        `CAST(${value.sql} AS ${printEngineType(value.type.engine)}) AS ${quoteIdentifier(names[i] ?? '')}`,
    )
    const shown = numberParameters(
      `${plan.withSql}SELECT ${items.join(', ')} FROM ${this.#stage} AS ${plan.returningAlias}`,
      this.#call.values,
    )
    return this.#connection.query(shown.sql, shown.values)
  }
}
