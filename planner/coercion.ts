/** Coercion: which type becomes which, and the DuckDB text that does it as PostgreSQL would. */

import { Oid } from '../catalog/pg-types.js'
import { type EngineType, printEngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { type InputStyle, literalOf } from './literal.js'
import { parameterMarker } from './parameter-marker.js'
import {
  arrayOf,
  categoryOf,
  elementOf,
  integerDigitsOf,
  isArrayOid,
  isCanonical,
  numericType,
  scaleOf,
  sqlType,
  type SqlType,
  typeName,
} from './sql-type.js'
import { sameEngineType, type TypedExpression } from './typed-expression.js'

/** How much a conversion must be asked for: `pg_cast.castcontext`. */
export type CastContext = 'implicit' | 'assignment' | 'explicit'

const RANK: Readonly<Record<CastContext, number>> = { implicit: 0, assignment: 1, explicit: 2 }

const REG = [Oid.regclass, Oid.regtype, Oid.regproc, Oid.regnamespace, Oid.regrole]

/** `pg_cast` by source: targets of each context; conversions through text are in `castBetween`. */
const CASTS: ReadonlyMap<number, Partial<Record<CastContext, readonly number[]>>> = new Map<
  number,
  Partial<Record<CastContext, readonly number[]>>
>([
  [
    Oid.int2,
    { implicit: [Oid.int4, Oid.int8, Oid.float4, Oid.float8, Oid.numeric, Oid.oid, ...REG] },
  ],
  [
    Oid.int4,
    {
      implicit: [Oid.int8, Oid.float4, Oid.float8, Oid.numeric, Oid.oid, ...REG],
      assignment: [Oid.int2, Oid.money],
      explicit: [Oid.bool, Oid.char, Oid.bit],
    },
  ],
  [
    Oid.int8,
    {
      implicit: [Oid.float4, Oid.float8, Oid.numeric, Oid.oid, ...REG],
      assignment: [Oid.int4, Oid.int2, Oid.money],
      explicit: [Oid.bit],
    },
  ],
  [
    Oid.numeric,
    { implicit: [Oid.float4, Oid.float8], assignment: [Oid.int2, Oid.int4, Oid.int8, Oid.money] },
  ],
  [Oid.float4, { implicit: [Oid.float8], assignment: [Oid.int2, Oid.int4, Oid.int8, Oid.numeric] }],
  [Oid.float8, { assignment: [Oid.int2, Oid.int4, Oid.int8, Oid.float4, Oid.numeric] }],
  [Oid.bool, { explicit: [Oid.int4] }],
  [Oid.oid, { implicit: REG, assignment: [Oid.int4, Oid.int8] }],
  ...REG.map((oid): [number, Partial<Record<CastContext, readonly number[]>>] => [
    oid,
    { implicit: [Oid.oid], assignment: [Oid.int4, Oid.int8] },
  ]),
  [
    Oid.text,
    { implicit: [Oid.bpchar, Oid.varchar, Oid.name, Oid.regclass], assignment: [Oid.char] },
  ],
  [
    Oid.varchar,
    { implicit: [Oid.text, Oid.bpchar, Oid.name, Oid.regclass], assignment: [Oid.char] },
  ],
  [Oid.bpchar, { implicit: [Oid.text, Oid.varchar, Oid.name], assignment: [Oid.char] }],
  [Oid.name, { implicit: [Oid.text], assignment: [Oid.varchar, Oid.bpchar] }],
  [Oid.char, { implicit: [Oid.text], assignment: [Oid.varchar, Oid.bpchar], explicit: [Oid.int4] }],
  [Oid.date, { implicit: [Oid.timestamp, Oid.timestamptz] }],
  [Oid.time, { implicit: [Oid.interval, Oid.timetz] }],
  [Oid.timetz, { assignment: [Oid.time] }],
  [Oid.timestamp, { implicit: [Oid.timestamptz], assignment: [Oid.date, Oid.time] }],
  [Oid.timestamptz, { assignment: [Oid.date, Oid.time, Oid.timestamp, Oid.timetz] }],
  [Oid.interval, { assignment: [Oid.time] }],
  [Oid.json, { assignment: [Oid.jsonb] }],
  [
    Oid.jsonb,
    {
      assignment: [Oid.json],
      explicit: [Oid.bool, Oid.numeric, Oid.int2, Oid.int4, Oid.int8, Oid.float4, Oid.float8],
    },
  ],
  [Oid.bit, { implicit: [Oid.varbit], explicit: [Oid.int4, Oid.int8] }],
  [Oid.varbit, { implicit: [Oid.bit] }],
])

/** The context from which on `from` becomes `to`; null when it never does. */
export function castBetween(from: number, to: number): CastContext | null {
  if (from === to || from === Oid.unknown) return 'implicit'
  const casts = CASTS.get(from)
  for (const context of ['implicit', 'assignment', 'explicit'] as const) {
    if (casts?.[context]?.includes(to) === true) return context
  }
  if (isArrayOid(from) && isArrayOid(to)) {
    const element = elementOf(sqlType(from))?.oid ?? 0
    return castBetween(element, elementOf(sqlType(to))?.oid ?? 0)
  }
  // Through text: every type may be printed by assignment, and text read on request.
  if (categoryOf(to) === 'S' && to !== Oid.char && to !== Oid.name) return 'assignment'
  if (categoryOf(from) === 'S') return 'explicit'
  return null
}

export function canCast(from: number, to: number, context: CastContext): boolean {
  const needed = castBetween(from, to)
  return needed !== null && RANK[needed] <= RANK[context]
}

/** What a conversion needs to know of the analysis under way. */
export interface CoercionContext {
  /** Decides the type of parameter `number`, whose type was open until now. */
  readonly decideParameter: (number: number, type: SqlType) => SqlType
  /** How texts are read; left out, as PostgreSQL's own settings are. */
  readonly inputStyle?: InputStyle | undefined
  /** Runs `work`, giving its errors the place of `location` where they have none. */
  readonly located?: <T>(location: number, work: () => T) => T
}

/**
 * `source` as a value of `target`, converted as PostgreSQL converts it in `context`.
 *
 * 42846 or 42804 where there is no such conversion, 22P02 and its kin for literals that are none.
 */
export function coerce(
  source: TypedExpression,
  target: SqlType,
  context: CastContext,
  session: CoercionContext,
): TypedExpression {
  const { type, shape } = source
  if (type.oid === Oid.unknown) {
    if (shape.kind === 'constant') {
      const { text } = shape
      if (text === null)
        return { ...source, sql: `CAST(NULL AS ${printEngineType(target.engine)})`, type: target }
      const { location } = source
      const read = (): TypedExpression =>
        literalOf(text, target, {
          explicit: context === 'explicit',
          location,
          style: session.inputStyle,
        })
      return withModifier(session.located?.(location, read) ?? read(), target, context)
    }
    if (shape.kind === 'parameter') {
      const decided = session.decideParameter(shape.number, { ...target, typmod: -1 })
      const sql = `CAST(${parameterMarker(shape.number)} AS ${printEngineType(decided.engine)})`
      return withModifier({ ...source, sql, type: decided }, target, context)
    }
    return coerce({ ...source, type: sqlType(Oid.text) }, target, 'explicit', session)
  }
  if (!canCast(type.oid, target.oid, context)) {
    throw new SqlError(
      context === 'explicit' ? SqlState.cannotCoerce : SqlState.datatypeMismatch,
      `cannot cast type ${typeName(type)} to ${typeName(target)}`,
    )
  }
  if (type.oid === target.oid) return withModifier(canonical(source), target, context)
  const isFloat = target.oid === Oid.float8 || target.oid === Oid.float4
  if (type.oid === Oid.numeric && isFloat && shape.kind === 'constant' && shape.text !== null) {
    // Straight from its digits: no decimal in between to round or to overflow.
    return literalOf(shape.text, target, { explicit: false, location: source.location })
  }
  const converted = convert(canonical(source), target)
  return withModifier(converted, target, context)
}

/** `source` in the form that functions of its PostgreSQL type expect. */
export function canonical(source: TypedExpression): TypedExpression {
  const { type } = source
  if (isCanonical(type)) return source
  if (type.oid === Oid.jsonb || type.oid === Oid.json) {
    return cast(source, `CAST(to_json(${source.sql}) AS JSON)`, sqlType(type.oid))
  }
  if (type.oid === Oid.numeric) {
    // HUGEINT and its kin: whole numbers.
    return cast(source, `CAST(${source.sql} AS DECIMAL(38,0))`, numericType(0))
  }
  const target = sqlType(type.oid, type.typmod)
  return cast(source, `CAST(${source.sql} AS ${printEngineType(target.engine)})`, target)
}

function cast(source: TypedExpression, sql: string, type: SqlType): TypedExpression {
  return { sql, type, shape: { kind: 'cast' }, parts: [source], location: source.location }
}

const TEXTUAL: ReadonlySet<number> = new Set([
  Oid.text,
  Oid.varchar,
  Oid.bpchar,
  Oid.name,
  Oid.char,
])

function convert(source: TypedExpression, target: SqlType): TypedExpression {
  const from = source.type
  if (target.oid === Oid.interval && target.typmod >= 0 && TEXTUAL.has(from.oid)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'reading an interval of named fields or digits out of text that is not a constant is not supported',
    )
  }
  const [inner] = source.parts
  if (
    from.oid === Oid.jsonb &&
    TEXTUAL.has(target.oid) &&
    source.shape.kind === 'cast' &&
    inner !== undefined &&
    TEXTUAL.has(inner.type.oid)
  ) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'text of a jsonb that is read out of text that is not a constant is not supported',
    )
  }
  // The modifier is applied afterwards, except a numeric's, which the conversion needs.
  const result =
    target.oid === Oid.numeric
      ? numericResult(from, target)
      : { ...deepened(target, from), typmod: -1 }
  return cast(source, conversion(source.sql, from, result), result)
}

/** An array type of as many dimensions as the array that becomes one; any other type as it is. */
function deepened(target: SqlType, from: SqlType): SqlType {
  if (!isArrayOid(target.oid) || !isArrayOid(from.oid)) return target
  let element = target.engine
  while (element.kind === 'list') element = element.child
  const wrap = (engine: EngineType): EngineType =>
    engine.kind === 'list' ? { kind: 'list', child: wrap(engine.child) } : element
  return { ...target, engine: wrap(from.engine) }
}

/** A numeric target without a scale of its own takes the one the source needs. */
function numericResult(from: SqlType, target: SqlType): SqlType {
  if (target.oid !== Oid.numeric || target.typmod >= 0) return target
  switch (from.oid) {
    case Oid.int2:
    case Oid.int4:
    case Oid.int8:
      return numericType(0, -1, integerDigitsOf(from))
    case Oid.float4:
      return { ...numericType(12), digits: 'trimmed' }
    case Oid.float8:
      return { ...numericType(15), digits: 'trimmed' }
    case Oid.text:
    case Oid.varchar:
    case Oid.bpchar:
    case Oid.jsonb:
      return { ...numericType(18), digits: 'trimmed' }
    default:
      return numericType(scaleOf(from))
  }
}

function conversion(sql: string, from: SqlType, to: SqlType): string {
  const engine = printEngineType(to.engine)
  if (to.oid === Oid.char) return `lakegate_char(${textOf(sql, from)})`
  if (to.oid === Oid.name && from.oid !== Oid.name) return `lakegate_name(${textOf(sql, from)})`
  if (TEXTUAL.has(to.oid)) return textOf(sql, from)
  if (TEXTUAL.has(from.oid)) return read(sql, to)
  if (isArrayOid(from.oid) && isArrayOid(to.oid)) {
    const [one, other] = [elementOf(from), elementOf(to)]
    if (one === null || other === null || sameEngineType(one.engine, other.engine)) return sql
    return `list_transform(${sql}, lambda e: ${conversion('e', one, other)})`
  }
  if (to.oid === Oid.numeric && (from.oid === Oid.float8 || from.oid === Oid.float4)) {
    const digits = from.oid === Oid.float8 ? 15 : 6
    return `CAST(lakegate_finite(printf('%.${digits}g', CAST(${sql} AS DOUBLE))) AS ${engine})`
  }
  if (from.oid === Oid.jsonb && to.oid !== Oid.json) {
    return `CAST(lakegate_json_scalar(${sql}, '${to.oid === Oid.bool ? 'boolean' : 'numeric'}', '${typeName(to)}') AS ${engine})`
  }
  if (from.oid === Oid.time && to.oid === Oid.interval) return `to_microseconds(epoch_us(${sql}))`
  if (from.oid === Oid.interval && to.oid === Oid.time) return `lakegate_interval_time(${sql})`
  if (from.oid === Oid.timestamptz && to.oid === Oid.time)
    return `CAST(CAST(${sql} AS TIMESTAMP) AS TIME)`
  if (from.oid === Oid.bool && to.oid === Oid.int4) return `CAST(${sql} AS INTEGER)`
  return `CAST(${sql} AS ${engine})`
}

/** PostgreSQL's text of a value. */
export function textOf(sql: string, type: SqlType): string {
  switch (type.oid) {
    case Oid.text:
    case Oid.varchar:
    case Oid.name:
    case Oid.char:
      return sql
    case Oid.bpchar:
      return `rtrim(${sql}, ' ')`
    case Oid.float4:
    case Oid.float8:
      return `lakegate_float_text(${sql})`
    case Oid.numeric:
      return type.digits === undefined
        ? decimalText(sql, type)
        : type.digits === 'trimmed'
          ? `lakegate_trimmed_text(${sql})`
          : `lakegate_quotient_text(${sql})`
    case Oid.interval:
      return `lakegate_interval_text(${sql})`
    case Oid.bytea:
      return `('\\x' || lower(hex(${sql})))`
    case Oid.date:
    case Oid.timestamp:
    case Oid.timestamptz:
      return `lakegate_date_text(CAST(${sql} AS VARCHAR))`
    case Oid.json:
    case Oid.jsonb:
      return `CAST(${sql} AS VARCHAR)`
    default: {
      const element = isArrayOid(type.oid) ? elementOf(type) : null
      if (element === null) return `CAST(${sql} AS VARCHAR)`
      return arrayText(sql, element)
    }
  }
}

/** A decimal that has no digit before its point is printed by DuckDB without the zero. */
function decimalText(sql: string, { engine }: SqlType): string {
  if (engine.kind !== 'decimal' || engine.width !== engine.scale) return `CAST(${sql} AS VARCHAR)`
  return engine.width < 38
    ? `CAST(CAST(${sql} AS DECIMAL(${engine.width + 1},${engine.scale})) AS VARCHAR)`
    : `regexp_replace(CAST(${sql} AS VARCHAR), '^(-?)[.]', '\\10.')`
}

function arrayText(sql: string, element: SqlType): string {
  const nested = element.engine.kind === 'list' ? elementOf(element) : null
  const item =
    nested !== null ? arrayText('e', nested) : `lakegate_array_item(${itemText('e', element)})`
  return `('{' || array_to_string(list_transform(${sql}, lambda e: ${item}), ',') || '}')`
}

/** An array's element as its output function prints it, which for some types is not what a cast gives. */
function itemText(sql: string, type: SqlType): string {
  if (type.oid === Oid.bool) return `lakegate_boolean_letter(${sql})`
  return type.oid === Oid.bpchar ? sql : textOf(sql, type)
}

/** The value that PostgreSQL reads out of a text that is known only when the query runs. */
function read(sql: string, to: SqlType): string {
  const engine = printEngineType(to.engine)
  switch (to.oid) {
    case Oid.bool:
      return `lakegate_read_boolean(${sql})`
    case Oid.int2:
    case Oid.int4:
    case Oid.int8:
      return `lakegate_in_range(TRY_CAST(lakegate_integer_text(${sql}, '${typeName(to)}') AS ${engine}), ${sql}, '${typeName(to)}')`
    case Oid.oid:
      return `lakegate_read_oid(TRY_CAST(lakegate_integer_text(${sql}, 'oid') AS BIGINT), ${sql})`
    case Oid.float4:
    case Oid.float8:
      return `lakegate_read_float(TRY_CAST(${sql} AS ${engine}), ${sql}, '${typeName(to)}')`
    case Oid.numeric:
      return `lakegate_read_numeric(TRY_CAST(lakegate_numeric_input(${sql}, ${scaleOf(to)}, ${to.typmod >= 0}) AS ${engine}), ${sql}, ${to.typmod >= 0})`
    case Oid.bytea:
      return `lakegate_read_bytea(${sql})`
    case Oid.date:
      return `lakegate_read_date(${sql})`
    case Oid.timestamp:
      return `lakegate_read_timestamp(${sql})`
    case Oid.timestamptz:
      return `lakegate_read_timestamptz(${sql})`
    case Oid.time:
      return `lakegate_read_time(${sql})`
    case Oid.timetz:
      return `lakegate_read_timetz(${sql})`
    case Oid.interval:
      return `lakegate_read_interval(${sql})`
    case Oid.uuid:
      return `lakegate_read_uuid(${sql})`
    case Oid.json:
      return `lakegate_read_json(${sql})`
    case Oid.jsonb:
      return `lakegate_read_jsonb(${sql})`
    default:
      if (isArrayOid(to.oid)) {
        throw new SqlError(
          SqlState.featureNotSupported,
          `reading ${typeName(to)} out of text that is not a constant is not supported`,
        )
      }
      return `CAST(${sql} AS ${engine})`
  }
}

/** Applies the modifier a type was asked for with: lengths, scales, fractions of seconds. */
function withModifier(
  source: TypedExpression,
  target: SqlType,
  context: CastContext,
): TypedExpression {
  const { typmod } = target
  const same = source.type.typmod === typmod
  if (typmod < 0 || (same && source.type.oid === target.oid && target.oid !== Oid.numeric)) {
    return typmod < 0 || same ? source : { ...source, type: target }
  }
  switch (target.oid) {
    case Oid.numeric:
      return sameEngineType(source.type.engine, target.engine)
        ? { ...source, type: target }
        : cast(source, `CAST(${source.sql} AS ${printEngineType(target.engine)})`, target)
    case Oid.varchar:
    case Oid.bpchar: {
      const length = typmod - 4
      const cut =
        context === 'explicit'
          ? `left(${source.sql}, ${length})`
          : `lakegate_fit(${source.sql}, ${length}, '${typeName(target)}')`
      const sql = target.oid === Oid.bpchar ? `rpad(${cut}, ${length}, ' ')` : cut
      return cast(source, sql, target)
    }
    case Oid.timestamp:
    case Oid.timestamptz:
      if (typmod >= 6) return { ...source, type: target }
      return cast(
        source,
        target.oid === Oid.timestamp
          ? `lakegate_round_timestamp(${source.sql}, ${10 ** (6 - typmod)})`
          : `lakegate_round_timestamptz(${source.sql}, ${10 ** (6 - typmod)})`,
        target,
      )
    case Oid.time:
      if (typmod >= 6) return { ...source, type: target }
      return cast(source, `lakegate_round_time(${source.sql}, ${10 ** (6 - typmod)})`, target)
    default:
      return isArrayOid(target.oid)
        ? withElementModifier(source, target, context)
        : { ...source, type: target }
  }
}

/** An array's modifier is each element's. */
function withElementModifier(
  source: TypedExpression,
  target: SqlType,
  context: CastContext,
): TypedExpression {
  const type = { ...deepened(target, source.type), typmod: target.typmod }
  const [from, to] = [elementOf(source.type), elementOf(type)]
  if (from === null || to === null) return { ...source, type }
  const item = withModifier({ ...source, sql: 'e', type: { ...from, typmod: -1 } }, to, context)
  return item.sql === 'e'
    ? { ...source, type }
    : cast(source, `list_transform(${source.sql}, lambda e: ${item.sql})`, type)
}

/**
 * The type in which PostgreSQL brings several expressions together (UNION, CASE, VALUES, ARRAY).
 *
 * 42804 when they have none in common.
 */
export function commonType(types: readonly SqlType[], what: string, preferText = true): SqlType {
  const known = types.filter((type) => type.oid !== Oid.unknown)
  const [first] = known
  if (first === undefined) return preferText ? sqlType(Oid.text) : sqlType(Oid.unknown)
  let chosen = first
  for (const type of known.slice(1)) {
    if (type.oid === chosen.oid) continue
    if (categoryOf(type.oid) !== categoryOf(chosen.oid)) {
      throw new SqlError(
        SqlState.datatypeMismatch,
        `${what} types ${typeName(first)} and ${typeName(type)} cannot be matched`,
      )
    }
    if (canCast(chosen.oid, type.oid, 'implicit') && !canCast(type.oid, chosen.oid, 'implicit')) {
      chosen = type
    }
  }
  const same = known.filter((type) => type.oid === chosen.oid)
  if (chosen.oid === Oid.numeric) return commonNumeric(known)
  if (isArrayOid(chosen.oid)) return widestArray(same)
  const typmod = same.length === known.length && same.every((one) => one.typmod === chosen.typmod)
  return isCanonical(chosen)
    ? { ...chosen, typmod: typmod ? chosen.typmod : -1 }
    : sqlType(chosen.oid, typmod ? chosen.typmod : -1)
}

function commonNumeric(types: readonly SqlType[]): SqlType {
  const scale = Math.max(...types.map(scaleOf))
  const digits = Math.max(...types.map(integerDigitsOf))
  const [first] = types
  const typmod = types.every((type) => type.typmod === first?.typmod) ? (first?.typmod ?? -1) : -1
  return numericType(scale, typmod, Math.min(38, scale + digits))
}

function widestArray(types: readonly SqlType[]): SqlType {
  const elements = types.map((type) => elementOf(type)).filter((one) => one !== null)
  const [first] = elements
  return first === undefined || first.oid !== Oid.numeric
    ? (types[0] as SqlType)
    : arrayOf(commonNumeric(elements))
}
