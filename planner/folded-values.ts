/** FoldedValues: the rows of a long VALUES as one list for each column, which DuckDB takes in at once. */

import { type EngineType, printEngineType, scalarType } from '../storage/engine-type.js'
import type { EngineValue, Scalar } from '../storage/engine-value.js'
import { parameterMarker } from './parameter-marker.js'

/** From this many rows on lists are faster than an expression for every cell. */
export const FOLDED_ROWS_MIN = 32

/** Different conversions that one column may need, at most. */
const TEMPLATES_MAX = 32

/** One cell's value: a parameter's, or a literal's. */
type Element = { readonly parameter: number } | { readonly literal: Scalar }

/** A list that stands in the text as `listMarker(n)` and is bound like a parameter. */
export interface ValueList {
  /** Null for a list of parameters, whose values tell. */
  readonly type: EngineType | null
  readonly elements: readonly (Element | null)[]
}

export interface FoldedRows {
  /** A SELECT that gives the rows, in order, as columns c1, c2, … */
  readonly sql: string
  readonly lists: readonly ValueList[]
}

/** What a cell is made of: a conversion of one value, the same for many cells, and the value. */
interface Cell {
  /** DuckDB text with HOLE where the value goes; without one it is the same in every row. */
  readonly template: string
  readonly type: EngineType | null
  readonly element: Element | null
}

const HOLE = '\u0003'

function listMarker(index: number): string {
  return `\u0004${index}\u0004`
}

const BOOLEAN = scalarType('BOOLEAN')
const INTEGER = scalarType('INTEGER')
const VARCHAR = scalarType('VARCHAR')

/**
 * The rows of `cells`, texts of DuckDB by row and column, as lists; null where they have no common
 * form: then each cell must stay the expression it is.
 */
export function foldRows(cells: readonly (readonly string[])[]): FoldedRows | null {
  const width = cells[0]?.length ?? 0
  const lists: ValueList[] = []
  const inner: string[] = []
  const outer: string[] = []
  const addList = (list: ValueList): string => {
    const name = `l${lists.length + 1}`
    inner.push(`unnest(${listMarker(lists.length)}) AS ${name}`)
    lists.push(list)
    return name
  }
  for (let i = 0; i < width; i++) {
    const column: Cell[] = []
    for (const row of cells) {
      const cell = cellOf(row[i] ?? '')
      if (cell === null) return null
      column.push(cell)
    }
    const templates = new Map<string, string>()
    for (const { template, type } of column) {
      if (!templates.has(keyOf(template, type))) templates.set(keyOf(template, type), template)
      if (templates.size > TEMPLATES_MAX) return null
    }
    const values = new Map<string, string>()
    const listFor = ({ type, element }: Cell): string => {
      if (element === null) return ''
      const key = type === null ? '' : printEngineType(type)
      const known = values.get(key)
      if (known !== undefined) return known
      const name = addList({
        type,
        elements: column.map((cell) => (keyOfType(cell) === key ? cell.element : null)),
      })
      values.set(key, name)
      return name
    }
    const texts = new Map<string, string>()
    for (const cell of column) {
      const key = keyOf(cell.template, cell.type)
      if (!texts.has(key)) texts.set(key, cell.template.replaceAll(HOLE, `u.${listFor(cell)}`))
    }
    const keys = [...texts.keys()]
    if (keys.length === 1) outer.push(`${texts.get(keys[0] ?? '')} AS c${i + 1}`)
    else {
      const places = new Map(keys.map((key, at) => [key, at]))
      const tag = addList({
        type: INTEGER,
        elements: column.map(({ template, type }) => ({
          literal: places.get(keyOf(template, type)) ?? 0,
        })),
      })
      const cases = keys.map((key, at) => `WHEN ${at} THEN ${texts.get(key)}`)
      outer.push(`CASE u.${tag} ${cases.join(' ')} END AS c${i + 1}`)
    }
  }
  // Columns of nothing but constants still need as many rows.
  if (lists.length === 0) addList({ type: BOOLEAN, elements: cells.map(() => ({ literal: true })) })
  return { sql: `SELECT ${outer.join(', ')} FROM (SELECT ${inner.join(', ')}) AS u`, lists }
}

function keyOfType({ type }: Cell): string {
  return type === null ? '' : printEngineType(type)
}

function keyOf(template: string, type: EngineType | null): string {
  return `${type === null ? '' : printEngineType(type)} ${template}`
}

/** A literal in any number of casts; the literals of the analysis are written in these ways only. */
const LITERAL =
  /^((?:CAST\()*)(?:(true|false)|(\d{1,9})|\(-(\d{1,9})\)|(DATE |TIMESTAMP )?'((?:[^']|'')*)')((?: AS [A-Z][A-Z ]*(?:\(\d+(?:,\d+)?\))?\))*)$/

// biome-ignore lint/suspicious/noControlCharactersInRegex: markers of parameters are such characters.
const PARAMETER = /\u0002(\d+)\u0002/g

function cellOf(sql: string): Cell | null {
  const parameters = [...sql.matchAll(PARAMETER)]
  // What a subquery makes of a parameter is not the same conversion for every row.
  if (parameters.length > 1 || /\bSELECT\b/.test(sql.replace(/'(?:[^']|'')*'/g, ''))) return null
  if (parameters.length === 1) {
    return {
      template: sql.replace(PARAMETER, HOLE),
      type: null,
      element: { parameter: Number(parameters[0]?.[1]) },
    }
  }
  const literal = LITERAL.exec(sql)
  if (literal === null) return { template: sql, type: null, element: null }
  const [, open = '', bool, plus, minus, typed, text, close = ''] = literal
  const around = (hole: string): string => `${open}${hole}${close}`
  if (bool !== undefined) {
    return { template: around(HOLE), type: BOOLEAN, element: { literal: bool === 'true' } }
  }
  if (plus !== undefined || minus !== undefined) {
    const value = plus === undefined ? -Number(minus) : Number(plus)
    return { template: around(HOLE), type: INTEGER, element: { literal: value } }
  }
  const value = String(text).replaceAll("''", "'")
  const hole = typed === undefined ? HOLE : `CAST(${HOLE} AS ${typed.trim()})`
  return { template: around(hole), type: VARCHAR, element: { literal: value } }
}

/**
 * `sql` with its lists as parameters behind those of the statement, and all values; null when
 * parameters that share a list have values of different types.
 */
export function bindLists(
  sql: string,
  lists: readonly ValueList[],
  values: readonly EngineValue[],
): { readonly sql: string; readonly values: readonly EngineValue[] } | null {
  const bound: EngineValue[] = [...values]
  for (const list of lists) {
    const made = list.type === null ? listOfParameters(list, values) : listOfLiterals(list)
    if (made === null) return null
    bound.push(made)
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: markers of lists are such characters.
  const text = sql.replaceAll(/\u0004(\d+)\u0004/g, (_, index: string) =>
    parameterMarker(values.length + Number(index) + 1),
  )
  return { sql: text, values: bound }
}

function listOfLiterals({ type, elements }: ValueList): EngineValue {
  const value = elements.map((one) => (one !== null && 'literal' in one ? one.literal : null))
  return { type: { kind: 'list', child: type ?? VARCHAR }, value }
}

function listOfParameters(
  { elements }: ValueList,
  values: readonly EngineValue[],
): EngineValue | null {
  const given = elements.map((one) =>
    one !== null && 'parameter' in one ? values[one.parameter - 1] : undefined,
  )
  let type: EngineType | undefined
  let name = ''
  let isDecimal = false
  for (const one of given) {
    if (one === undefined || one.value === null) continue
    isDecimal ||= one.type.kind === 'decimal'
    if (type === undefined) {
      type = one.type
      name = printEngineType(type)
    } else if (one.type !== type && printEngineType(one.type) !== name) {
      if (one.type.kind !== 'decimal' || type.kind !== 'decimal') return null
    }
  }
  // Numerics of different digits have a common form in their texts.
  if (isDecimal) {
    const value = given.map((one) => (one === undefined ? null : decimalText(one)))
    return { type: { kind: 'list', child: VARCHAR }, value }
  }
  return {
    type: { kind: 'list', child: type ?? VARCHAR },
    value: given.map((one) => one?.value ?? null),
  }
}

function decimalText({ type, value }: EngineValue): string | null {
  if (value === null || type.kind !== 'decimal') return null
  const digits = String(value)
    .replace('-', '')
    .padStart(type.scale + 1, '0')
  const point = digits.length - type.scale
  const text = type.scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
  return typeof value === 'bigint' && value < 0n ? `-${text}` : text
}
