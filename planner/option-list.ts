/** Option lists: the `(name value, …)` that EXPLAIN and COPY take. */

import { SqlError, SqlState } from '../storage/errors.js'
import { constantOf, listOf, type Node, nodeOf, stringOf } from './syntax-tree.js'

/** Values of a list of DefElem nodes by name, undefined for what is named alone. */
export function optionValues(options: readonly Node[]): ReadonlyMap<string, unknown> {
  const values = new Map<string, unknown>()
  for (const option of options) {
    const element = nodeOf(option, 'DefElem')
    if (element !== undefined) values.set(String(element.defname), element.arg)
  }
  return values
}

/** Text of an option's value; undefined when it is not given. */
export function textOption(values: ReadonlyMap<string, unknown>, name: string): string | undefined {
  const value = values.get(name)
  if (value === undefined) return undefined
  const integer = nodeOf(value, 'Integer')
  return (
    stringOf(value) ??
    String(integer === undefined ? (constantOf(value) ?? '') : (integer.ival ?? 0))
  )
}

/** Whether an option is on: named alone it is; 42601 for what is no Boolean. */
export function booleanOption(
  values: ReadonlyMap<string, unknown>,
  name: string,
  wanted = 'a Boolean value',
): boolean {
  if (!values.has(name)) return false
  const value = values.get(name)
  if (value === undefined) return true
  const boolean = nodeOf(value, 'Boolean')
  if (boolean !== undefined) return boolean.boolval === true
  const integer = nodeOf(value, 'Integer')
  const word = integer === undefined ? stringOf(value)?.toLowerCase() : String(integer.ival ?? 0)
  if (word === 'true' || word === 'on' || word === '1') return true
  if (word === 'false' || word === 'off' || word === '0') return false
  throw new SqlError(SqlState.syntaxError, `${name} requires ${wanted}`)
}

/** The items of an option whose value is a list of names; 'all' for `*`. */
export function namesOption(value: unknown): readonly string[] | 'all' {
  if (value === undefined) return []
  if (nodeOf(value, 'A_Star') !== undefined) return 'all'
  return listOf(nodeOf(value, 'List')?.items).map((item) => stringOf(item) ?? '')
}
