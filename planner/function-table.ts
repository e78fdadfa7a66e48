/** FunctionTable: the functions and operators of PostgreSQL that the gateway knows, by name. */

/*
 * Notation, one overload a line:
 *
 *     [kind] name|alias(type|type, variadic type) [setof] result = template
 *
 * - kind: nothing for a function, `agg`, `win`, `ordered` (WITHIN GROUP), `prefix`, `compare`.
 * - result: a type, `$1` (the type of the first argument), `$1[]` (the array over it), `numeric0`
 *   (a whole numeric), or left out where the builder decides.
 * - template: DuckDB text in which `$1` stands for the first argument; of an aggregate, `@` for its
 *   arguments with DISTINCT and ORDER BY, `~` for FILTER and OVER, `%` for WITHIN GROUP's direction.
 * - `&builder = word` instead: the builder of that name in function-builders.ts makes the text.
 */

import { AGGREGATES } from './functions/aggregates.js'
import { ARRAYS } from './functions/arrays.js'
import { DATE_TIME } from './functions/date-time.js'
import { JSON_FUNCTIONS } from './functions/json.js'
import { MATH } from './functions/math.js'
import { OPERATORS } from './functions/operators.js'
import { SYSTEM } from './functions/system.js'
import { TEXT } from './functions/text.js'
import { type ParameterType, parameterTypeOf } from './overload.js'

export type FunctionKind = 'plain' | 'agg' | 'win' | 'ordered' | 'prefix' | 'compare'

/** One overload of a function or operator. */
export interface FunctionEntry {
  readonly name: string
  readonly kind: FunctionKind
  readonly parameters: readonly ParameterType[]
  readonly variadic: boolean
  readonly setReturning: boolean
  /** In the notation's words; '' where the builder decides. */
  readonly result: string
  readonly template: string
  /** Name of the builder, or undefined for a template. */
  readonly builder: string | undefined
}

const LINE =
  /^(?:(agg|win|ordered|prefix|compare) )?(\S+?)\(([^)]*)\)(?: (setof))?(?: ([\w$[\]]+))?(?: &(\w+))? = (.*)$/

function parse(text: string): Map<string, FunctionEntry[]> {
  const table = new Map<string, FunctionEntry[]>()
  for (const line of text.split('\n')) {
    if (line === '') continue
    const match = LINE.exec(line)
    if (match === null) throw new Error(`a function is not defined well: ${line}`)
    const [, kind = 'plain', names = '', words = '', setof, result = '', builder, template = ''] =
      match
    const variadic = /variadic /.test(words)
    const choices = words
      .replace('variadic ', '')
      .split(', ')
      .filter((word) => word !== '')
      .map((word) => word.split('|').map(parameterTypeOf))
    // An operator's name may hold the sign that separates aliases.
    const aliases = /^\w/.test(names) ? names.split('|') : [names]
    for (const name of aliases) {
      for (const parameters of product(choices)) {
        const entries = table.get(name) ?? []
        entries.push({
          name,
          kind: kind as FunctionKind,
          parameters,
          variadic,
          setReturning: setof !== undefined,
          result,
          template,
          builder,
        })
        table.set(name, entries)
      }
    }
  }
  return table
}

function product(choices: readonly (readonly ParameterType[])[]): ParameterType[][] {
  return choices.reduce<ParameterType[][]>(
    (lists, choice) => lists.flatMap((list) => choice.map((one) => [...list, one])),
    [[]],
  )
}

const FUNCTIONS = parse(
  [MATH, TEXT, DATE_TIME, JSON_FUNCTIONS, ARRAYS, AGGREGATES, SYSTEM].join('\n'),
)
const OPERATOR_TABLE = parse(OPERATORS)

/** The overloads of function `name`; empty for one that is not known. */
export function functionsNamed(name: string): readonly FunctionEntry[] {
  return FUNCTIONS.get(name) ?? []
}

/** The overloads of operator `name`, prefix or binary; empty for one that is not known. */
export function operatorsNamed(name: string, prefix: boolean): readonly FunctionEntry[] {
  return (OPERATOR_TABLE.get(name) ?? []).filter((entry) => (entry.kind === 'prefix') === prefix)
}
