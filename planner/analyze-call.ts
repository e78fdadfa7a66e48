/** AnalyzeCall: calls of functions, aggregates, window functions and operators. */

import { Oid, pgTypeByName } from '../catalog/pg-types.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { analyzeExpression } from './analyze-expression.js'
import { booleanOf } from './expression-types.js'
import { type Place, plainPlace } from './expression-place.js'
import type { Analysis } from './analysis.js'
import { canonical, coerce } from './coercion.js'
import type { Call } from './builders/builder.js'
import { builderNamed } from './function-builders.js'
import { type FunctionEntry, functionsNamed, operatorsNamed } from './function-table.js'
import { chooseOverload } from './overload.js'
import type { Scope } from './scope.js'
import {
  arrayOf,
  categoryOf,
  numericType,
  type SqlType,
  sqlType,
  typeName,
  typeOfEngine,
} from './sql-type.js'
import { listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { expression, locationOf, type Shape, type TypedExpression } from './typed-expression.js'
import { sortItem, windowText } from './window-text.js'

/** `left op right`, or `op right` with one argument, in PostgreSQL's meaning of `operator`. */
export function callOperator(
  analysis: Analysis,
  operator: string,
  args: readonly TypedExpression[],
  location: number,
): TypedExpression {
  const name = operator === '!=' ? '<>' : operator
  return analysis.located(location, () => {
    const candidates = operatorsNamed(name, args.length === 1)
    const types = args.map((arg) => arg.type.oid)
    const shown = args.map((arg) => typeName(arg.type))
    const signature = args.length === 1 ? `${name} ${shown[0]}` : `${shown[0]} ${name} ${shown[1]}`
    const match = chooseOverload(candidates, types, signature, true)
    if (match === null) {
      throw new SqlError(SqlState.undefinedFunction, `operator does not exist: ${signature}`, {
        hint:
          args.length === 1
            ? 'No operator matches the given name and argument type. You might need to add an explicit type cast.'
            : 'No operator matches the given name and argument types. You might need to add explicit type casts.',
      })
    }
    const { candidate, oids } = match
    const coerced = args.map((arg, i) => operand(analysis, arg, oids[i] ?? 0, candidate))
    return build(analysis, candidate, coerced, args, [], location, { kind: 'operator', name })
  })
}

/** An operand of a comparison keeps its own width: DuckDB compares numbers of every kind exactly. */
function operand(
  analysis: Analysis,
  arg: TypedExpression,
  oid: number,
  candidate: FunctionEntry,
): TypedExpression {
  const { type } = arg
  const loose =
    candidate.kind === 'compare' &&
    type.oid !== Oid.unknown &&
    categoryOf(type.oid) === 'N' &&
    type.oid !== Oid.oid
  return loose ? arg : argument(analysis, arg, oid)
}

function argument(analysis: Analysis, arg: TypedExpression, oid: number): TypedExpression {
  if (oid === 0) {
    return arg.type.oid === Oid.unknown || arg.type.engine.kind === 'struct' ? arg : canonical(arg)
  }
  // A known numeric or array keeps its digits; only what has no type yet is given one.
  const target = oid === arg.type.oid ? { ...arg.type, typmod: -1 } : sqlType(oid)
  const coerced = coerce(arg, target, 'implicit', analysis)
  return coerced.type.typmod === -1
    ? coerced
    : { ...coerced, type: { ...coerced.type, typmod: -1 } }
}

function build(
  analysis: Analysis,
  candidate: FunctionEntry,
  args: readonly TypedExpression[],
  given: readonly TypedExpression[],
  syntax: readonly Node[],
  location: number,
  shape: Shape,
  modifiers: Pick<Call, 'inside' | 'after'> & { readonly direction?: string } = {
    inside: (text) => text,
    after: '',
  },
): TypedExpression {
  const result = resultType(candidate, args)
  if (candidate.builder !== undefined) {
    const built = builderNamed(candidate.builder)({
      name: candidate.name,
      word: candidate.template,
      args,
      given: given.map((one) => (one.type.engine.kind === 'struct' ? one : canonical(one))),
      result,
      inside: modifiers.inside,
      after: modifiers.after,
      syntax,
      sessionFunction: analysis.host.sessionFunction,
    })
    return expression(built.sql, built.type, args, location, shape)
  }
  const list = args.map((arg) => arg.sql).join(', ')
  const sql = candidate.template.replaceAll(/\$(\d)|[@~%]/g, (mark, digit: string | undefined) => {
    if (digit !== undefined) return args[Number(digit) - 1]?.sql ?? 'NULL'
    // In plain functions these are operators of the text itself.
    if (candidate.kind !== 'agg' && candidate.kind !== 'win' && candidate.kind !== 'ordered')
      return mark
    if (mark === '@') return modifiers.inside(list)
    return mark === '~' ? modifiers.after : (modifiers.direction ?? '')
  })
  return expression(sql, result ?? sqlType(Oid.text), args, location, shape)
}

function resultType(
  candidate: FunctionEntry,
  args: readonly TypedExpression[],
): SqlType | undefined {
  const { result } = candidate
  if (result === '') return undefined
  if (result === 'numeric0') return numericType(0)
  const indexed = /^\$(\d)(\[\])?$/.exec(result)
  if (indexed !== null) {
    const type = args[Number(indexed[1]) - 1]?.type ?? sqlType(Oid.text)
    const plain = { ...type, typmod: -1 }
    return indexed[2] === undefined ? plain : arrayOf(plain)
  }
  if (result.endsWith('[]'))
    return arrayOf(sqlType(pgTypeByName(result.slice(0, -2))?.oid ?? Oid.text))
  return sqlType(pgTypeByName(result)?.oid ?? Oid.text)
}

/** The call `fields` (FuncCall): a function, an aggregate or a window function. */
export function analyzeCall(
  analysis: Analysis,
  fields: Node,
  scope: Scope,
  place: Place,
): TypedExpression {
  const location = locationOf(fields)
  const names = namesOf(fields.funcname)
  const name = names.at(-1) ?? ''
  const schema = names.length > 1 ? names.at(-2) : undefined
  const inner: Place = { ...place }
  const candidates = functionsNamed(name)
  const kind = candidates[0]?.kind ?? 'plain'
  const isWindow = fields.over !== undefined
  const isAggregate = (kind === 'agg' || kind === 'ordered') && !isWindow
  checkPlace(analysis, name, kind, isWindow, place, location)
  const argPlace: Place =
    isAggregate || isWindow
      ? {
          clause: isWindow && kind !== 'agg' ? place.clause : 'an aggregate function',
          aggregates: isWindow,
          windows: false,
          setReturning: false,
        }
      : inner
  const nodes = orderedArguments(analysis, name, listOf(fields.args), location)
  const args = nodes.map((node) => analyzeExpression(analysis, node, scope, argPlace))
  if (schema !== undefined && schema !== 'pg_catalog') {
    if (!analysis.host.schemaExists(schema)) {
      throw analysis.error(
        SqlState.invalidSchemaName,
        `schema "${schema}" does not exist`,
        location,
      )
    }
    throw missing(analysis, names.join('.'), args, location)
  }
  if (kind === 'plain' && candidates.length > 0) {
    const word =
      fields.agg_distinct === true ? 'DISTINCT' : fields.agg_filter !== undefined ? 'FILTER' : ''
    if (word !== '') {
      throw analysis.error(
        SqlState.wrongObjectType,
        `${word} specified, but ${name} is not an aggregate function`,
        location,
      )
    }
  }
  if (fields.agg_star !== true && name === 'count' && args.length === 0) {
    throw analysis.error(
      SqlState.wrongObjectType,
      'count(*) must be used to call a parameterless aggregate function',
      location,
    )
  }
  const withinGroup = fields.agg_within_group === true
  const order = listOf(fields.agg_order)
  const sorted = withinGroup
    ? order.map((item) =>
        analyzeExpression(analysis, nodeOf(item, 'SortBy')?.node as Node, scope, argPlace),
      )
    : []
  const all = [...args, ...sorted]
  const usable = candidates.filter((one) => (one.kind === 'ordered') === withinGroup)
  const match = analysis.located(location, () =>
    chooseOverload(
      usable,
      all.map((arg) => arg.type.oid),
      signatureOf(name, all),
      false,
    ),
  )
  if (match === null) {
    const direct = castCall(analysis, name, args, location)
    if (direct !== null) return direct
    return engineCall(analysis, name, fields, args, scope, place, location)
  }
  const { candidate, oids } = match
  const setReturning = candidate.setReturning
  if (setReturning && !place.setReturning) {
    throw analysis.error(
      SqlState.featureNotSupported,
      `set-returning functions are not allowed in ${place.clause === '' ? 'this place' : place.clause}`,
      location,
    )
  }
  const coerced = all.map((arg, i) =>
    analysis.located(arg.location, () => argument(analysis, arg, oids[i] ?? 0)),
  )
  const modifiers = callModifiers(analysis, fields, scope, place, withinGroup)
  const shape: Shape = isWindow
    ? { kind: 'window' }
    : isAggregate
      ? { kind: 'aggregate' }
      : setReturning
        ? { kind: 'set-returning' }
        : { kind: 'call', name }
  return analysis.located(location, () => {
    const built = build(analysis, candidate, coerced, all, nodes, location, shape, modifiers)
    return modifiers.parts.length === 0
      ? built
      : { ...built, parts: [...built.parts, ...modifiers.parts] }
  })
}

function checkPlace(
  analysis: Analysis,
  name: string,
  kind: string,
  isWindow: boolean,
  place: Place,
  location: number,
): void {
  if (isWindow) {
    if (kind === 'plain' && functionsNamed(name).length > 0) {
      throw analysis.error(
        SqlState.wrongObjectType,
        `OVER specified, but ${name} is not a window function nor an aggregate function`,
        location,
      )
    }
    if (!place.windows) {
      throw analysis.error(
        place.clause === 'an aggregate function' ? SqlState.groupingError : SqlState.windowingError,
        place.clause === 'an aggregate function'
          ? 'aggregate function calls cannot contain window function calls'
          : `window functions are not allowed in ${place.clause}`,
        location,
      )
    }
    return
  }
  if (kind === 'win') {
    throw analysis.error(
      SqlState.wrongObjectType,
      `window function ${name} requires an OVER clause`,
      location,
    )
  }
  if ((kind === 'agg' || kind === 'ordered') && !place.aggregates) {
    throw analysis.error(
      SqlState.groupingError,
      place.clause === 'an aggregate function'
        ? 'aggregate function calls cannot be nested'
        : `aggregate functions are not allowed in ${place.clause}`,
      location,
    )
  }
}

interface Modifiers {
  readonly inside: (args: string) => string
  readonly after: string
  readonly direction?: string
  readonly parts: readonly TypedExpression[]
}

function callModifiers(
  analysis: Analysis,
  fields: Node,
  scope: Scope,
  place: Place,
  withinGroup: boolean,
): Modifiers {
  const argumentPlace = plainPlace('an aggregate function')
  const order = listOf(fields.agg_order)
  const parts: TypedExpression[] = []
  const sorts = withinGroup
    ? []
    : order.map((item) => {
        const sort = nodeOf(item, 'SortBy') ?? {}
        const value = analyzeExpression(analysis, sort.node as Node, scope, {
          ...argumentPlace,
          aggregates: fields.over !== undefined,
        })
        parts.push(value)
        return sortItem(value.sql, sort)
      })
  const distinct = fields.agg_distinct === true ? 'DISTINCT ' : ''
  let after = ''
  if (fields.agg_filter !== undefined) {
    const filter = booleanOf(
      analysis,
      analyzeExpression(analysis, fields.agg_filter as Node, scope, {
        ...plainPlace('FILTER'),
        aggregates: fields.over !== undefined,
      }),
      'FILTER',
    )
    parts.push(filter)
    after += ` FILTER (WHERE ${filter.sql})`
  }
  if (fields.over !== undefined) {
    const window = windowText(analysis, fields.over as Node, scope, place)
    parts.push(...window.parts)
    after += ` OVER ${window.sql}`
  }
  const [first] = order
  const direction =
    withinGroup && nodeOf(first, 'SortBy')?.sortby_dir === 'SORTBY_DESC' ? 'DESC' : ''
  return {
    inside: (args) =>
      `${distinct}${args}${sorts.length === 0 ? '' : ` ORDER BY ${sorts.join(', ')}`}`,
    after,
    direction,
    parts,
  }
}

/** Parameters of functions that are commonly called with their names. */
const PARAMETER_NAMES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  make_interval: [
    ['years', '0'],
    ['months', '0'],
    ['weeks', '0'],
    ['days', '0'],
    ['hours', '0'],
    ['mins', '0'],
    ['secs', '0'],
  ],
}

/** Arguments in the order of the parameters, named ones put into their places. */
function orderedArguments(
  analysis: Analysis,
  name: string,
  args: readonly Node[],
  location: number,
): readonly Node[] {
  if (!args.some((arg) => nodeOf(arg, 'NamedArgExpr') !== undefined)) return args
  const names = PARAMETER_NAMES[name]
  if (names === undefined)
    throw analysis.notSupported(`calling ${name} with named arguments`, location)
  const values: Node[] = names.map(() => ({ A_Const: { ival: {} } }))
  for (const [i, arg] of args.entries()) {
    const named = nodeOf(arg, 'NamedArgExpr')
    const at = named === undefined ? i : names.findIndex(([one]) => one === named.name)
    if (at < 0) {
      throw analysis.error(
        SqlState.undefinedFunction,
        `function ${name}(${String(named?.name)} => …) does not exist`,
        location,
      )
    }
    values[at] = (named?.arg as Node | undefined) ?? arg
  }
  return values
}

function signatureOf(name: string, args: readonly TypedExpression[]): string {
  return `${name}(${args.map((arg) => typeName(arg.type)).join(', ')})`
}

function missing(
  analysis: Analysis,
  name: string,
  args: readonly TypedExpression[],
  location: number,
): SqlError {
  return analysis.error(
    SqlState.undefinedFunction,
    `function ${signatureOf(name, args)} does not exist`,
    location,
    {
      hint: 'No function matches the given name and argument types. You might need to add explicit type casts.',
    },
  )
}

/** `int4(x)`, `text(x)`: a call by a type's name is a cast. */
function castCall(
  analysis: Analysis,
  name: string,
  args: readonly TypedExpression[],
  location: number,
): TypedExpression | null {
  const type = pgTypeByName(name)
  const [only] = args
  if (type === undefined || args.length !== 1 || only === undefined) return null
  return analysis.located(location, () => coerce(only, sqlType(type.oid), 'explicit', analysis))
}

/** What PostgreSQL answers from its catalogs; DuckDB has functions of these names that answer anything. */
const ABOUT_SERVER =
  /^(?:has_\w+_privilege|pg_has_role|(?:col|obj|shobj)_description|pg_get_\w+|pg_\w+_is_visible|pg_conf_load_time|pg_postmaster_start_time|pg_is_other_temp_schema|pg_my_temp_schema|pg_is_in_recovery)$/

/** Functions by which a query could read files, settings or secrets past the catalog. */
const FORBIDDEN =
  /^(?:read_|parquet_|glob$|duckdb_|pragma_|query$|query_table$|getvariable$|getenv$|sniff_|which_secret|load_|write_|json_execute|json_serialize_|json_deserialize_|combine$|finalize$|sqlsmith|check_peg|enable_|disable_|force_checkpoint|checkpoint$|get_block|arrow_scan|seq_scan|index_scan|test_|sql_auto|from_substrait|iceberg_|delta_|lakegate_|error$|nextval$|currval$|in_search_path$|current_)/

/** PostgreSQL's meaning of these names differs from DuckDB's, so an unknown overload is unknown. */
function engineCall(
  analysis: Analysis,
  name: string,
  fields: Node,
  args: readonly TypedExpression[],
  scope: Scope,
  place: Place,
  location: number,
): TypedExpression {
  if (FORBIDDEN.test(name)) {
    throw analysis.error(
      SqlState.insufficientPrivilege,
      `permission denied for function ${name}`,
      location,
    )
  }
  if (ABOUT_SERVER.test(name)) {
    throw analysis.error(
      SqlState.featureNotSupported,
      `${name} over tables of the lake is not supported`,
      location,
      { hint: 'Ask it in a statement of its own.' },
    )
  }
  if (functionsNamed(name).length > 0 || !/^[a-z_][a-z0-9_]*$/.test(name)) {
    throw missing(analysis, name, args, location)
  }
  const modifiers = callModifiers(analysis, fields, scope, place, false)
  const values = args.map((arg) =>
    arg.type.oid === Oid.unknown && arg.shape.kind === 'parameter'
      ? coerce(arg, sqlType(Oid.text), 'implicit', analysis)
      : arg,
  )
  // The type is asked of DuckDB over values of the same types: constants stay, some must be folded.
  const probes = values.map((arg) =>
    arg.shape.kind === 'constant' ? arg.sql : `CAST(NULL AS ${analysis.engineName(arg.type)})`,
  )
  const engine = analysis.host.engineCallType(`${name}(${probes.join(', ')})`)
  if (engine === null) throw missing(analysis, name, args, location)
  const call = `${name}(${modifiers.inside(values.map((arg) => arg.sql).join(', '))})${modifiers.after}`
  const aggregate = ENGINE_AGGREGATES.has(name)
  if (aggregate && !place.aggregates && fields.over === undefined) {
    throw analysis.error(
      SqlState.groupingError,
      `aggregate functions are not allowed in ${place.clause}`,
      location,
    )
  }
  const shape: Shape =
    fields.over !== undefined
      ? { kind: 'window' }
      : aggregate
        ? { kind: 'aggregate' }
        : { kind: 'call', name }
  return expression(call, typeOfEngine(engine), [...values, ...modifiers.parts], location, shape)
}

/** Aggregates of DuckDB's own that PostgreSQL does not have. */
const ENGINE_AGGREGATES: ReadonlySet<string> = new Set([
  'approx_quantile',
  'approx_top_k',
  'arg_max',
  'arg_min',
  'argmax',
  'argmin',
  'max_by',
  'min_by',
  'bitstring_agg',
  'count_if',
  'countif',
  'entropy',
  'favg',
  'first',
  'fsum',
  'geomean',
  'geometric_mean',
  'histogram',
  'kurtosis',
  'kurtosis_pop',
  'last',
  'list',
  'mad',
  'median',
  'product',
  'quantile',
  'quantile_cont',
  'quantile_disc',
  'reservoir_quantile',
  'sem',
  'skewness',
  'sumkahan',
])

/** The name of the column that a call in FROM gives, when it gives one. */
export function callName(fields: Node): string {
  return stringOf(listOf(fields.funcname).at(-1)) ?? ''
}
