/** AlterProperties: the commands of ALTER TABLE that set and reset table properties. */

import { SqlError, SqlState } from '../storage/errors.js'
import { propertyName, requireProperty, requireRemovable } from '../storage/table-property.js'
import { constantOf, listOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import type { TableDraft } from './table-draft.js'

/** SET (name = value, …): 22023 for what Delta does not know, 55P02 for what users may not set. */
export function setProperties(draft: TableDraft, command: Node): void {
  for (const [name, value] of optionsOf(command)) {
    const text = value ?? 'true'
    requireProperty(name, text)
    if (/^delta\.min(Reader|Writer)Version$/.test(name)) continue
    if (name === 'delta.columnMapping.mode' && text === 'name') draft.mapColumns()
    draft.configuration[name] = text
  }
}

/** RESET (name, …): names that are not set are passed over, as in PostgreSQL. */
export function resetProperties(draft: TableDraft, command: Node): void {
  for (const [name] of optionsOf(command)) {
    if (draft.configuration[name] === undefined) continue
    requireRemovable(name)
    delete draft.configuration[name]
  }
}

function optionsOf(command: Node): readonly (readonly [string, string | undefined])[] {
  const seen = new Set<string>()
  return listOf(nodeOf(command.def, 'List')?.items).map((item) => {
    const option = nodeOf(item, 'DefElem') ?? {}
    const given = [option.defnamespace, option.defname].filter((part) => part !== undefined)
    const name = propertyName(given.join('.'))
    if (seen.has(name)) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        `parameter "${name}" specified more than once`,
      )
    }
    seen.add(name)
    const { arg } = option
    const integer = nodeOf(arg, 'Integer') as { readonly ival?: number } | undefined
    const float = nodeOf(arg, 'Float') as { readonly fval?: string } | undefined
    const word = (nodeOf(arg, 'TypeName')?.names ?? []) as readonly Node[]
    const value =
      arg === undefined
        ? undefined
        : (stringOf(arg) ??
          (integer === undefined ? undefined : String(integer.ival ?? 0)) ??
          float?.fval ??
          stringOf(word.at(-1)) ??
          String(constantOf(arg)))
    return [name, value] as const
  })
}
