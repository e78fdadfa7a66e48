/** JoinKeys: what the rows of small tables say about large ones they are joined with, for data skipping. */

import { Oid } from '../catalog/pg-types.js'
import { physicalNameOf } from '../storage/column-mapping.js'
import type { ColumnStatistics } from '../storage/column-statistics.js'
import type { EngineConnection } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError } from '../storage/errors.js'
import type { Scan } from '../storage/scan.js'
import { replaceMarkers, type SharedAnalysis } from './analysis.js'
import { numberParameters } from './parameter-marker.js'
import type { PlannedScans } from './planned-scans.js'
import type { LevelCondition, LevelRange, QueryLevel } from './query-level.js'
import {
  aliasesDefined,
  aliasesUsed,
  commonTablesUsed,
  isRepeatable,
  repeatableFunctions,
} from './repeatable-text.js'
import type { Range, RangeColumn } from './scope.js'
import { type SqlType, sqlType } from './sql-type.js'
import {
  conditionedLevels,
  holdsFor,
  isWidening,
  KEY_TYPES,
  tablePredicates,
} from './table-predicates.js'
import { anyPart, expression, type TypedExpression } from './typed-expression.js'

// Opening a file costs about what reading this many bytes does.
const FILE_BYTES = 64 * 1024
/** Tables below this are read as fast as anything about them is found out. */
const LARGE_BYTES = 2 * 1024 * 1024
const LARGE_FILES = 5
/** What is read for keys beforehand, at most, and in proportion to what it may save. */
const SMALL_BYTES = 32 * 1024 * 1024
const SMALL_ROWS = 100_000
const SMALL_FILES = 100
/** As many keys at most make more rows worth a look. */
const FEW_KEYS = 1000
const MANY_ROWS = 5_000_000
const SHARE = 4
/** Ranges that keys are summed up by, at most. */
const SPANS_MAX = 200
/** Queries for keys in one statement, at most. */
const QUERIES_MAX = 8

type Operator = '=' | '<' | '<=' | '>' | '>='

const FLIPPED: Readonly<Record<string, Operator>> = {
  '=': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
}

/** A condition by which rows of a large table are found with values of something small. */
interface Lookup {
  readonly level: QueryLevel
  readonly target: Range
  /** Of the target's columns. */
  readonly term: TypedExpression
  readonly operator: Operator
  /** Relation ids of the large tables that the target reads. */
  readonly large: readonly number[]
  /** A query of one column `k`: whatever `term` may be compared with, nulls aside. */
  readonly keys: string
  readonly type: SqlType
  /** For whose rows the condition, and whatever `keys` was narrowed by, must hold. */
  readonly only: ReadonlySet<Range> | undefined
  /** Relation ids that `keys` reads. */
  readonly read: readonly number[]
  readonly costBytes: number
}

/**
 * Leaves out the files of large tables that hold no key of a small relation they are joined with.
 *
 * A row of a large table that matters to the answer is part of a joined row for which all conditions
 * hold that must hold for it. Where one of them is `large.column = small.column`, the value is one
 * that a row of the small side has, of those that satisfy the conditions on that side alone. These
 * values are read by a query of their own, over the same snapshots and parameters, and become a
 * condition on the large side. The same goes for IN over a subquery, for EXISTS, and for comparing
 * with a scalar subquery.
 *
 * - Only what gives the same rows each time is asked: see `isRepeatable`.
 * - An error while reading keys is left to the statement itself, which may not meet it.
 */
export async function applyJoinKeys(
  shared: SharedAnalysis,
  planned: PlannedScans,
  values: readonly EngineValue[],
  connection: EngineConnection,
  statistics: ColumnStatistics,
): Promise<void> {
  const { scans } = planned
  if (!scans.some(isLarge)) return
  const counts = await distinctCounts(scans, statistics)
  const functions = await repeatableFunctions(connection)
  const extra = new Map<QueryLevel, LevelCondition[]>()
  const known = new Map<string, readonly KeySpan[] | null>()
  const lookups = findLookups(shared, scans, functions, counts).sort(
    (a, b) => a.costBytes - b.costBytes,
  )
  for (const lookup of lookups) {
    const files = Math.max(...lookup.large.map((id) => planned.scans[id]?.files.length ?? 0))
    if (files < LARGE_FILES) continue
    const text = spansQuery(lookup, shared.commonTables)
    let found = known.get(text)
    if (found === undefined) {
      if (known.size >= QUERIES_MAX) break
      if (!isUseful(lookup, shared, planned, values, extra)) continue
      found = await readSpans(text, lookup, planned, values, connection)
      known.set(text, found)
    }
    if (found === null) continue
    const condition = conditionOf(lookup, found)
    const own = extra.get(lookup.level) ?? []
    extra.set(lookup.level, [...own, { condition, only: lookup.only }])
    await planned.plan(tablePredicates(shared.roots, values, extra))
  }
}

/** Counts of different values, by relation id and the column's name in lower case. */
type DistinctCounts = ReadonlyMap<number, ReadonlyMap<string, number>>

async function distinctCounts(
  scans: readonly Scan[],
  statistics: ColumnStatistics,
): Promise<DistinctCounts> {
  const found = new Map<number, ReadonlyMap<string, number>>()
  for (const [id, { snapshot }] of scans.entries()) {
    const counts = await statistics.of(snapshot.metadata.id)
    if (counts === null) continue
    const columns = snapshot.schema.fields.flatMap((field): [string, number][] => {
      const known = counts.columns[physicalNameOf(field, snapshot.columnMapping)]
      return known === undefined ? [] : [[field.name.toLowerCase(), known.distinctCount]]
    })
    found.set(id, new Map(columns))
  }
  return found
}

function costOf({ files, sizeBytes }: Scan): number {
  return files.length * FILE_BYTES + sizeBytes
}

function isLarge(scan: Scan): boolean {
  return scan.files.length >= LARGE_FILES && costOf(scan) >= LARGE_BYTES
}

/** Whether the condition says something of the columns of a large table itself. */
function isUseful(
  { level, only, term, operator, type, large }: Lookup,
  shared: SharedAnalysis,
  planned: PlannedScans,
  values: readonly EngineValue[],
  extra: ReadonlyMap<QueryLevel, readonly LevelCondition[]>,
): boolean {
  const condition = compared(operator, term, { type: type.engine, value: null })
  const tried = new Map(extra)
  tried.set(level, [...(extra.get(level) ?? []), { condition, only }])
  const changed = planned.changedBy(tablePredicates(shared.roots, values, tried))
  return changed.some((id) => large.includes(id))
}

// ---- which keys there are to look for -------------------------------------------------------------

function findLookups(
  shared: SharedAnalysis,
  scans: readonly Scan[],
  functions: ReadonlySet<string>,
  counts: DistinctCounts,
): Lookup[] {
  const finder = new LookupFinder(shared.commonTables, scans, functions, counts)
  for (const { level, conditions } of conditionedLevels(shared.roots)) {
    for (const leaf of level.ranges) {
      const large = relationsIn(leaf).filter((id) => scans[id] !== undefined && isLarge(scans[id]))
      if (large.length === 0 || leaf.isSampled === true) continue
      const holding = conditions.filter((one) => holdsFor(one, leaf.range))
      for (const one of holding) finder.look({ level, leaf, large, one, holding })
    }
  }
  return finder.found
}

function relationsIn({ relation, inner }: LevelRange): number[] {
  const below = inner.flatMap(({ ranges }) => ranges.flatMap(relationsIn))
  return relation === undefined ? below : [relation, ...below]
}

/** A large leaf and a condition that must hold for its rows, among all these. */
interface Place {
  readonly level: QueryLevel
  readonly leaf: LevelRange
  readonly large: readonly number[]
  readonly one: LevelCondition
  readonly holding: readonly LevelCondition[]
}

class LookupFinder {
  readonly found: Lookup[] = []
  readonly #commonTables: ReadonlyMap<string, string>
  readonly #scans: readonly Scan[]
  readonly #functions: ReadonlySet<string>
  readonly #counts: DistinctCounts

  constructor(
    commonTables: ReadonlyMap<string, string>,
    scans: readonly Scan[],
    functions: ReadonlySet<string>,
    counts: DistinctCounts,
  ) {
    this.#counts = counts
    this.#commonTables = commonTables
    this.#scans = scans
    this.#functions = functions
  }

  look(place: Place): void {
    const { condition, only } = place.one
    const { shape, parts } = condition
    if (shape.kind === 'operator') {
      for (const [operator, term, value] of comparisons(condition)) {
        if (!isTerm(term, place.leaf.range) || !areComparable(term.type, value.type)) continue
        const column = plainColumn(value)
        const read =
          column === null
            ? this.#scalar(value)
            : this.#column(column, value.type, place.level.ranges, place.holding, place.leaf)
        if (read !== null) this.#add(place, operator, term, value.type, read, only)
      }
    }
    if (shape.kind !== 'subquery' || shape.semiJoin === undefined) return
    const { semiJoin } = shape
    if (semiJoin.kind === 'in') {
      for (const [i, term] of parts.entries()) {
        const type = semiJoin.types[i]
        if (type === undefined || !isTerm(term, place.leaf.range)) continue
        if (!areComparable(term.type, type)) continue
        const names = parts.map((_, n) => `c${n + 1}`).join(', ')
        const keys = `SELECT ${typed(`x.c${i + 1}`, type)} AS k FROM (${semiJoin.sql}) AS x(${names})`
        this.#add(place, '=', term, type, { keys, only: undefined, isFiltered: true }, only)
      }
      return
    }
    const { level } = semiJoin
    const always = level.conditions.filter(
      (one) => one.only === undefined || [...one.only].some((range) => !range.nullable),
    )
    for (const one of always) {
      for (const [operator, term, value] of comparisons(one.condition)) {
        const column = plainColumn(value)
        if (column === null || !isTerm(term, place.leaf.range)) continue
        if (!areComparable(term.type, value.type)) continue
        const read = this.#column(column, value.type, level.ranges, always, undefined)
        if (read === null) continue
        this.#add(place, operator, term, value.type, { ...read, only: undefined }, only)
      }
    }
  }

  #add(
    { level, leaf, large }: Place,
    operator: Operator,
    term: TypedExpression,
    type: SqlType,
    { keys, only, isFiltered, distinctCount }: KeyQuery,
    own: ReadonlySet<Range> | undefined,
  ): void {
    const whole = commonTablesUsed(keys, this.#commonTables).join(' ') + keys
    if (!this.#isClosed(whole, new Set())) return
    const read = relationsOf(whole)
    const cost = this.#cost(read, distinctCount)
    const worth = Math.max(...large.map((id) => costOf(this.#scans[id] as Scan)))
    if (cost === null || cost * (isFiltered ? SHARE : SHARE * 5) > worth) return
    if (read.some((id) => large.includes(id))) return
    this.found.push({
      level,
      target: leaf.range,
      term,
      operator,
      large,
      keys,
      type,
      only: both(own, only),
      read,
      costBytes: cost,
    })
  }

  /** Whether `text` can be run by itself beside `given` aliases, and gives the same each time. */
  #isClosed(text: string, given: ReadonlySet<string>): boolean {
    const defined = aliasesDefined(text)
    const isKnown = (alias: string): boolean => given.has(alias) || defined.has(alias)
    return aliasesUsed(text).every(isKnown) && isRepeatable(text, this.#functions)
  }

  /** How many values a column of `leaf` has, where ANALYZE has counted them. */
  #distinctOf({ relation, range }: LevelRange, column: RangeColumn): number | undefined {
    if (relation === undefined || column.range !== range) return undefined
    return this.#counts.get(relation)?.get(column.name.toLowerCase())
  }

  /**
   * What reading `relations` costs; null for more than a look beforehand may. Where the keys are known
   * to be few, there may be more rows of them.
   */
  #cost(relations: readonly number[], distinctCount?: number): number | null {
    let [cost, files, rows] = [0, 0, 0]
    for (const id of relations) {
      const scan = this.#scans[id]
      if (scan === undefined) return null
      cost += costOf(scan)
      files += scan.files.length
      if (cost > SMALL_BYTES || files > SMALL_FILES) return null
      rows += rowCount(scan)
    }
    const isFew = distinctCount !== undefined && distinctCount <= FEW_KEYS
    return rows > (isFew ? MANY_ROWS : SMALL_ROWS) ? null : cost
  }

  #scalar(value: TypedExpression): KeyQuery | null {
    if (!/\bSELECT\b/.test(value.sql)) return null
    return {
      keys: `SELECT ${typed(value.sql, value.type)} AS k`,
      only: undefined,
      isFiltered: true,
    }
  }

  /**
   * The values of `column` in the rows of its range, of those that satisfy what `holding` says of
   * it, and of other small ranges with conditions of their own that equalities tie to it.
   */
  #column(
    column: RangeColumn,
    type: SqlType,
    ranges: readonly LevelRange[],
    holding: readonly LevelCondition[],
    target: LevelRange | undefined,
  ): KeyQuery | null {
    const first = ranges.find(({ range }) => range === column.range)
    if (first === undefined || first === target) return null
    const distinctCount = this.#distinctOf(first, column)
    if (!this.#isReadable(first, distinctCount)) return null
    const asked = holding.filter(({ condition: { sql } }) => {
      if (sql === '' || aliasesUsed(sql).length === 0 || !isRepeatable(sql, this.#functions)) {
        return false
      }
      const read = relationsOf(commonTablesUsed(sql, this.#commonTables).join(' ') + sql)
      return this.#cost(read) !== null
    })
    const group = [first]
    const aliases = new Set([aliasOf(first)])
    const within = (given: ReadonlySet<string>): readonly LevelCondition[] =>
      asked.filter(({ condition: { sql } }) => {
        const defined = aliasesDefined(sql)
        return aliasesUsed(sql).every((alias) => given.has(alias) || defined.has(alias))
      })
    for (let grown = true; grown && group.length < GROUP_MAX; ) {
      grown = false
      for (const leaf of ranges) {
        if (group.length === GROUP_MAX) break
        if (leaf === target || group.includes(leaf) || !this.#isReadable(leaf)) continue
        const alias = aliasOf(leaf)
        const isAsked = leaf.inner.length > 0 || within(new Set([alias])).length > 0
        const before = within(aliases).length + within(new Set([alias])).length
        const joined = within(new Set([...aliases, alias]))
        const isTied = joined.some(
          ({ condition: { shape, sql } }) =>
            shape.kind === 'operator' &&
            shape.name === '=' &&
            aliasesUsed(sql).includes(alias) &&
            aliasesUsed(sql).some((one) => aliases.has(one)),
        )
        if (!isAsked || !isTied || joined.length <= before) continue
        group.push(leaf)
        aliases.add(alias)
        grown = true
      }
    }
    const used = within(aliases)
    const where = used.map(({ condition }) => condition.sql)
    const from = group.map(({ sql }) => sql).join(', ')
    const keys = `SELECT ${typed(column.sql, type)} AS k FROM ${from}${where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`}`
    const only = used.map((one) => one.only).reduce(both, undefined)
    const isFiltered = where.length > 0 || first.inner.length > 0
    return { keys, only, isFiltered, distinctCount }
  }

  #isReadable({ sql, range }: LevelRange, distinctCount?: number): boolean {
    if (sql === undefined || /^LATERAL\b/.test(sql) || range.columns.length === 0) return false
    const text = commonTablesUsed(sql, this.#commonTables).join(' ') + sql
    return this.#cost(relationsOf(text), distinctCount) !== null && this.#isClosed(text, new Set())
  }
}

/** Ranges read together for one key, at most. */
const GROUP_MAX = 4

interface KeyQuery {
  readonly keys: string
  readonly only: ReadonlySet<Range> | undefined
  /** Whether the keys are fewer than a table has. */
  readonly isFiltered: boolean
  /** How many keys there are at most, where that is known. */
  readonly distinctCount?: number | undefined
}

/** A comparison both ways round; nothing for what is none. */
function comparisons({
  shape,
  parts: [left, right],
}: TypedExpression): [Operator, TypedExpression, TypedExpression][] {
  if (shape.kind !== 'operator' || left === undefined || right === undefined) return []
  const flipped = FLIPPED[shape.name]
  if (flipped === undefined) return []
  return [
    [shape.name as Operator, left, right],
    [flipped, right, left],
  ]
}

/** Whether `value` is made of columns of `range`, and of nothing else that differs between rows. */
function isTerm(value: TypedExpression, range: Range): boolean {
  const isOwn = ({ shape }: TypedExpression): boolean =>
    shape.kind === 'column' && shape.column.range === range
  const isForeign = ({ shape }: TypedExpression): boolean =>
    shape.kind === 'subquery' || (shape.kind === 'column' && shape.column.range !== range)
  return anyPart(value, isOwn) && !anyPart(value, isForeign)
}

/** The column that `value` is but for conversions that change no value and never fail. */
function plainColumn({ shape, parts: [first], type }: TypedExpression): RangeColumn | null {
  if (shape.kind === 'column') return shape.path.length === 0 && !shape.outer ? shape.column : null
  if (shape.kind !== 'cast' || first === undefined) return null
  return isWidening(first.type, type) ? plainColumn(first) : null
}

const NUMBERS: ReadonlySet<number> = new Set([Oid.int2, Oid.int4, Oid.int8, Oid.numeric])
const TEXTS: ReadonlySet<number> = new Set([Oid.text, Oid.varchar])

function areComparable(one: SqlType, other: SqlType): boolean {
  if (!KEY_TYPES.has(one.oid) || !KEY_TYPES.has(other.oid)) return false
  const share = (of: ReadonlySet<number>): boolean => of.has(one.oid) && of.has(other.oid)
  return one.oid === other.oid || share(NUMBERS) || share(TEXTS)
}

function typed(sql: string, type: SqlType): string {
  return `CAST(${sql} AS ${printEngineType(type.engine)})`
}

function aliasOf({ range }: LevelRange): string {
  return range.columns[0]?.sql.split('.')[0] ?? ''
}

function both(
  one: ReadonlySet<Range> | undefined,
  other: ReadonlySet<Range> | undefined,
): ReadonlySet<Range> | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return new Set([...one].filter((range) => other.has(range)))
}

/** Ids of the relations whose markers stand in `text`. */
function relationsOf(text: string): number[] {
  const found = new Set<number>()
  replaceMarkers(text, (id) => {
    found.add(id)
    return ''
  })
  return [...found]
}

/** Rows of `scan` as its files' statistics count them; files without count as none. */
function rowCount({ files }: Scan): number {
  let rows = 0
  for (const { add } of files) {
    const count = /"numRecords"\s*:\s*(\d+)/.exec(add.stats ?? '')?.[1]
    rows += Number(count ?? 0)
  }
  return rows
}

// ---- reading them ---------------------------------------------------------------------------------

/** Keys lie in some of these, ends included. */
interface KeySpan {
  readonly low: EngineValue
  readonly high: EngineValue
}

/** The keys as at most SPANS_MAX ranges of about as many keys each; each is one key where they are few. */
function spansQuery({ keys }: Lookup, commonTables: ReadonlyMap<string, string>): string {
  const tables = commonTablesUsed(keys, commonTables)
  const with_ = tables.length === 0 ? '' : `WITH ${tables.join(', ')} `
  const distinct = `SELECT DISTINCT k FROM (${keys}) AS r WHERE k IS NOT NULL`
  return `${with_}SELECT min(k), max(k) FROM (SELECT k, ntile(${SPANS_MAX}) OVER (ORDER BY k) AS b FROM (${distinct}) AS d) AS n GROUP BY b ORDER BY 1`
}

/** Null where they cannot be read. */
async function readSpans(
  text: string,
  { type }: Lookup,
  planned: PlannedScans,
  values: readonly EngineValue[],
  connection: EngineConnection,
): Promise<readonly KeySpan[] | null> {
  const texts = new Map<number, string>()
  for (const id of relationsOf(text)) texts.set(id, await planned.text(id))
  const query = numberParameters(
    replaceMarkers(text, (id) => texts.get(id) ?? ''),
    values,
  )
  try {
    const rows = await connection.query(query.sql, query.values)
    return rows.map(([low, high]) => ({
      low: { type: type.engine, value: low } as EngineValue,
      high: { type: type.engine, value: high } as EngineValue,
    }))
  } catch (thrown) {
    // Cancellation and shutdown are the statement's own; anything else it may not even meet.
    if (thrown instanceof SqlError && !thrown.sqlState.startsWith('57')) return null
    throw thrown
  }
}

/** What `term` satisfies if its comparison with one of the keys is true. */
function conditionOf({ operator, term }: Lookup, spans: readonly KeySpan[]): TypedExpression {
  const bool = sqlType(Oid.bool)
  const [first, last] = [spans[0], spans.at(-1)]
  if (first === undefined || last === undefined) {
    return expression('', bool, [], -1, { kind: 'constant', text: 'f' })
  }
  if (operator === '<' || operator === '<=') return compared(operator, term, last.high)
  if (operator === '>' || operator === '>=') return compared(operator, term, first.low)
  const ranges = spans.map(({ low, high }) =>
    low.value === high.value
      ? compared('=', term, low)
      : expression('', bool, [compared('>=', term, low), compared('<=', term, high)], -1, {
          kind: 'and',
        }),
  )
  return ranges.length === 1 && ranges[0] !== undefined
    ? ranges[0]
    : expression('', bool, ranges, -1, { kind: 'or' })
}

function compared(operator: Operator, term: TypedExpression, value: EngineValue): TypedExpression {
  const constant = expression('', term.type, [], -1, { kind: 'value', value })
  const shape = { kind: 'operator', name: operator } as const
  return expression('', sqlType(Oid.bool), [term, constant], -1, shape)
}
