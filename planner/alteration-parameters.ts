/** AlterationParameters: what the history of a table says of a change of its definition. */

import { printSchemaString, type StructField } from '../storage/schema.js'
import type { Snapshot } from '../storage/snapshot.js'

type Definition = Pick<Snapshot, 'metadata' | 'schema'>

/**
 * The parameters of a commit of `operation`, by Spark's names for it.
 *
 * They are found by comparing the definitions, so they tell what has changed, however it was said.
 */
export function alterationParameters(
  operation: string,
  before: Definition,
  after: Definition,
): { readonly [name: string]: string } {
  const names = (one: Definition): readonly string[] => one.schema.fields.map(({ name }) => name)
  const added = after.schema.fields.filter(({ name }) => !names(before).includes(name))
  const dropped = names(before).filter((name) => !names(after).includes(name))
  const set = changedProperties(before, after)
  const constraint = Object.keys(set).find((key) => key.startsWith(CONSTRAINT))
  switch (operation) {
    case 'ADD COLUMNS':
      return { columns: JSON.stringify(added.map((field) => ({ column: json(field) }))) }
    case 'DROP COLUMNS':
      return { columns: JSON.stringify(dropped) }
    case 'RENAME COLUMN':
      return { oldColumnPath: dropped[0] ?? '', newColumnPath: added[0]?.name ?? '' }
    case 'CHANGE COLUMN': {
      const changed = after.schema.fields.filter((field) => {
        const old = before.schema.fields.find(({ name }) => name === field.name)
        return JSON.stringify(old) !== JSON.stringify(field)
      })
      return { column: JSON.stringify(changed.map(json)) }
    }
    case 'SET TBLPROPERTIES':
      return { properties: JSON.stringify(plain(set)) }
    case 'UNSET TBLPROPERTIES':
      return { properties: JSON.stringify(Object.keys(plain(changedProperties(after, before)))) }
    case 'ADD CONSTRAINT':
      return constraint === undefined
        ? {}
        : { name: constraint.slice(CONSTRAINT.length), expr: set[constraint] ?? '' }
    case 'DROP CONSTRAINT': {
      const gone = Object.keys(changedProperties(after, before)).filter((key) =>
        key.startsWith(CONSTRAINT),
      )
      return { name: gone.map((key) => key.slice(CONSTRAINT.length)).join(', ') }
    }
    default:
      return {}
  }
}

const CONSTRAINT = 'delta.constraints.'

/** Properties that `after` has with another value than `before`. */
function changedProperties(before: Definition, after: Definition): { [key: string]: string } {
  const old = before.metadata.configuration
  return Object.fromEntries(
    Object.entries(after.metadata.configuration).filter(([key, value]) => old[key] !== value),
  )
}

function plain(properties: { readonly [key: string]: string }): { [key: string]: string } {
  return Object.fromEntries(
    Object.entries(properties).filter(([key]) => !/^delta\.columnMapping\.max/.test(key)),
  )
}

/** A column as the schema of the table prints it. */
function json(field: StructField): unknown {
  const printed = JSON.parse(printSchemaString({ fields: [field] })) as {
    readonly fields: readonly unknown[]
  }
  return printed.fields[0]
}
