/** TableChanges: `table_changes('layer.t', from [, to])` in FROM - which versions of which table are meant. */

import { Oid } from '../catalog/pg-types.js'
import type { TableName } from '../catalog/catalog.js'
import { type ChangeFeed, openChangeFeed } from '../storage/change-feed.js'
import type { EngineConnection } from '../storage/engine.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { listCommits, type Snapshot, versionAt } from '../storage/snapshot.js'
import type { Analysis } from './analysis.js'
import { analyzeExpression } from './analyze-expression.js'
import { coerce } from './coercion.js'
import { plainPlace } from './expression-place.js'
import type { Gateway } from './gateway.js'
import { identifierName, tokenize } from './lexer.js'
import { numberParameters } from './parameter-marker.js'
import { Scope } from './scope.js'
import { sqlType, typeName } from './sql-type.js'
import { constantOf, listOf, type Node, nodeOf, stringOf, walk } from './syntax-tree.js'
import { locationOf } from './typed-expression.js'

/** The call that is the only function of a RangeFunction's fields, if it is one of table_changes. */
export function changesCall(fields: Node): Node | undefined {
  const functions = listOf(fields.functions)
  if (functions.length !== 1 || fields.is_rowsfrom === true) return undefined
  const [call] = listOf(nodeOf(functions[0], 'List')?.items)
  const parts = nodeOf(call, 'FuncCall')
  const isNamed =
    listOf(parts?.funcname).length === 1 && stringOf(listOf(parts?.funcname)[0]) === FUNCTION
  return isNamed ? parts : undefined
}

const FUNCTION = 'table_changes'

/**
 * The name that the call's first argument holds, in parts: `silver.t`, `"Silver".t`, with backquotes
 * as Spark has them too. None when it is no constant, or no name.
 */
export function changedTableName(call: Node): readonly string[] {
  const text = constantOf(listOf(call.args)[0])
  if (typeof text !== 'string') return []
  const tokens = tokenize(text.replaceAll('`', '"'))
  const isName = tokens.every((token, i) =>
    i % 2 === 1 ? token.text === '.' : token.kind === 'identifier' || token.kind === 'quoted',
  )
  if (!isName || tokens.length % 2 === 0 || tokens.length > 5) return []
  return tokens.filter((_, i) => i % 2 === 0).map(identifierName)
}

/** The first or last version asked for: the SQL of its number, its time, or a text that is one of both. */
interface Bound {
  readonly kind: 'version' | 'timestamp' | 'text'
  readonly sql: string
}

/**
 * The call's bounds, the first and maybe the last; parameters among them become bigint when nothing
 * tells their type.
 *
 * 42883 for other arguments than a name and one or two versions or times; 0A000 for a table's name
 * that is no constant, and for subqueries.
 */
export function changeBounds(analysis: Analysis, call: Node): readonly Bound[] {
  const args = listOf(call.args)
  const location = locationOf(call)
  if (args.length < 2 || args.length > 3) throw undefinedCall(analysis, call)
  if (typeof constantOf(args[0]) !== 'string') {
    throw analysis.notSupported('a table of table_changes that is no constant', location)
  }
  return args.slice(1).map((arg): Bound => {
    walk(arg, (node) => {
      if (nodeOf(node, 'SubLink') === undefined) return true
      throw analysis.notSupported('a subquery as argument of table_changes', location)
    })
    const value = analyzeExpression(analysis, arg, new Scope(undefined), plainPlace(FUNCTION))
    const as = (kind: Bound['kind'], oid: number): Bound => {
      return { kind, sql: coerce(value, sqlType(oid), 'explicit', analysis).sql }
    }
    const literal = constantOf(arg)
    switch (value.type.oid) {
      case Oid.int2:
      case Oid.int4:
      case Oid.int8:
        return as('version', Oid.int8)
      case Oid.date:
      case Oid.timestamp:
      case Oid.timestamptz:
        return as('timestamp', Oid.timestamptz)
      case Oid.text:
      case Oid.varchar:
        return typeof literal === 'string' ? ofText(literal, as) : as('text', Oid.text)
      case Oid.unknown:
        return typeof literal === 'string' ? ofText(literal, as) : as('version', Oid.int8)
      default:
        throw undefinedCall(analysis, call, typeName(value.type))
    }
  })
}

function ofText(text: string, as: (kind: Bound['kind'], oid: number) => Bound): Bound {
  return isVersion(text) ? as('version', Oid.int8) : as('timestamp', Oid.timestamptz)
}

function isVersion(text: string): boolean {
  return /^\s*\d+\s*$/.test(text)
}

function undefinedCall(analysis: Analysis, call: Node, type?: string): SqlError {
  return analysis.error(
    SqlState.undefinedFunction,
    type === undefined
      ? `function ${FUNCTION} takes two or three arguments`
      : `function ${FUNCTION} takes versions and times, no ${type}`,
    locationOf(call),
    { hint: `Write ${FUNCTION}('schema.table', first version or time [, last version or time]).` },
  )
}

/** What the versions of a feed are found with. */
export interface ChangesRun {
  readonly gateway: Gateway
  readonly connection: EngineConnection
  readonly values: readonly EngineValue[]
  /** False while a statement is only described: then no log is read, and no rows will be. */
  readonly executing: boolean
}

/**
 * The feed that a call asks for of `table`, which is `seen` by the block.
 *
 * A last version or none beyond the newest means the newest; a time stands for the first version at
 * or after it, as the last bound for the last at or before it. 22023 naming the versions there are for
 * a first bound behind the newest and for bounds in the wrong order, 22004 for a null, and as
 * `openChangeFeed`.
 *
 * Delta's `CDCReader`.
 */
export async function openTableChanges(
  run: ChangesRun,
  table: TableName,
  seen: Snapshot,
  bounds: readonly Bound[],
): Promise<ChangeFeed> {
  const { gateway, executing } = run
  const { store } = gateway
  const newest = seen.version
  const at = async (version: number): Promise<Snapshot | null> => {
    try {
      return await gateway.snapshots.at(table.path, version)
    } catch (thrown) {
      // The log may not reach back that far.
      if (thrown instanceof SqlError && thrown.sqlState === SqlState.invalidParameterValue) {
        return null
      }
      throw thrown
    }
  }
  const isOpen = !executing && bounds.some(({ sql }) => numberParameters(sql, []).sql !== sql)
  if (isOpen || newest < 0) {
    if (executing) throw noChanges(table, newest, 0)
    return openChangeFeed(store, seen, 1, 0, at)
  }
  const [first, last] = bounds
  const from = await boundOf(run, first as Bound)
  const to = last === undefined ? undefined : await boundOf(run, last)
  const fromVersion =
    from.kind === 'version' ? from.version : await firstVersionFrom(run, table, from.timestampMs)
  if (fromVersion > newest || fromVersion < 0) throw noChanges(table, newest, fromVersion)
  const lastVersion =
    to === undefined
      ? newest
      : to.kind === 'version'
        ? to.version
        : await versionAt(store, table.path, to.timestampMs)
  const toVersion = Math.min(lastVersion, newest)
  // Two times may lie between two versions.
  const isBetween =
    from.kind === 'timestamp' &&
    to?.kind === 'timestamp' &&
    from.timestampMs <= to.timestampMs &&
    toVersion === fromVersion - 1
  if (toVersion < fromVersion && !isBetween) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `the first version ${fromVersion} of the changes comes after the last, ${lastVersion}`,
    )
  }
  const end = toVersion === newest && seen.version === newest ? null : await at(toVersion)
  const shown = end ?? (await gateway.snapshots.at(table.path, toVersion)) ?? seen
  return executing
    ? openChangeFeed(store, shown, fromVersion, toVersion, at)
    : openChangeFeed(store, shown, 1, 0, at)
}

type BoundValue =
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'timestamp'; readonly timestampMs: number }

async function boundOf({ connection, values }: ChangesRun, bound: Bound): Promise<BoundValue> {
  const evaluated = async (text: string, given: readonly EngineValue[]): Promise<unknown> => {
    const { sql, values: bind } = numberParameters(`SELECT ${text}`, given)
    return (await connection.query(sql, bind))[0]?.[0] ?? null
  }
  let { kind } = bound
  let value = await evaluated(bound.sql, values)
  if (value === null) {
    throw new SqlError(SqlState.nullValueNotAllowed, 'the versions of changes must not be null')
  }
  if (kind === 'text') {
    const text = String(value)
    kind = isVersion(text) ? 'version' : 'timestamp'
    value = isVersion(text)
      ? BigInt(text.trim())
      : await evaluated(`CAST('${text.replaceAll("'", "''")}' AS TIMESTAMPTZ)`, [])
  }
  return kind === 'version'
    ? { kind, version: Number(value) }
    : { kind: 'timestamp', timestampMs: Number(value as bigint) / 1000 }
}

/** The first version committed at or after that time; 22023 when there is none. */
async function firstVersionFrom(
  { gateway }: ChangesRun,
  table: TableName,
  timestampMs: number,
): Promise<number> {
  const commits = await listCommits(gateway.store, table.path)
  const found = commits.find((commit) => commit.timestampMs >= timestampMs)
  if (found !== undefined) return found.version
  const newest = commits.at(-1)
  throw new SqlError(
    SqlState.invalidParameterValue,
    `table "${table.layer}.${table.name}" has no changes since the time asked for`,
    {
      detail:
        newest === undefined
          ? 'Its log holds no commit.'
          : `Its newest version ${newest.version} was committed at ${new Date(newest.timestampMs).toISOString()}.`,
    },
  )
}

function noChanges(table: TableName, newest: number, version: number): SqlError {
  return new SqlError(
    SqlState.invalidParameterValue,
    `table "${table.layer}.${table.name}" has no version ${version}`,
    {
      detail: newest < 0 ? 'It has not been committed yet.' : `Its newest version is ${newest}.`,
    },
  )
}
