/** AlterColumns: the commands of ALTER TABLE that add, drop, rename and change columns. */

import { needsColumnMapping } from '../storage/altered-table.js'
import { clusteringColumns } from '../storage/clustering.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { identityOf } from '../storage/identity-column.js'
import type { StructField } from '../storage/schema.js'
import { widenedField } from '../storage/type-widening.js'
import { requireNewCheck } from './alter-constraints.js'
import { columnField, type Definition } from './create-table.js'
import { notSupported } from './refusal.js'
import { defaultText } from './spark-text.js'
import { mentionsColumn, withColumnRenamed } from './stored-text.js'
import { constantOf, listOf, type Node, nodeOf, stringOf, walk } from './syntax-tree.js'
import type { DraftColumn, TableDraft } from './table-draft.js'

/** ADD COLUMN: 42701 when there is one of that name, unless IF NOT EXISTS. */
export function addColumn(draft: TableDraft, command: Node): void {
  const node = nodeOf(command.def, 'ColumnDef') ?? {}
  const name = String(node.colname)
  const { table } = draft
  if (draft.find(name) !== undefined) {
    const message = `column "${name}" of relation "${table.name}" already exists`
    if (command.missing_ok !== true) throw new SqlError(SqlState.duplicateColumn, message)
    draft.notice(SqlState.duplicateColumn, `${message}, skipping`)
    return
  }
  const definition: Definition = { fields: [], configuration: {}, stated: draft.stated }
  for (const one of draft.constraintNames) {
    definition.configuration[`delta.constraints.${one}`] = draft.constraint(one) ?? ''
  }
  for (const one of listOf(node.constraints)) {
    const constraint = nodeOf(one, 'Constraint') ?? {}
    if (constraint.contype === 'CONSTR_CHECK') requireNewCheck(draft, constraint)
    if (constraint.contype === 'CONSTR_DEFAULT') requireNoColumns(constraint.raw_expr)
  }
  const made = columnField(node, definition, table.name)
  if (identityOf(made) !== undefined) {
    throw notSupported('adding an identity column to a table that is there')
  }
  const isNull = made.metadata.CURRENT_DEFAULT === 'NULL'
  const field = isNull ? without(made, /^CURRENT_DEFAULT$/) : made
  if (needsColumnMapping(name)) draft.mapColumns()
  const addedDefault = field.metadata.CURRENT_DEFAULT as string | undefined
  const isGenerated = field.metadata['delta.generationExpression'] !== undefined
  draft.columns.push({ field, source: { kind: 'added', defaultText: addedDefault } })
  // Delta reads nulls where a file lacks a column; PostgreSQL shows the value in every row.
  if (addedDefault !== undefined || isGenerated) draft.rewrites = true
  if (!field.nullable) draft.validations.push({ kind: 'not-null', column: name })
  for (const [key, text] of Object.entries(definition.configuration)) {
    if (key === 'lakegate.primaryKey') {
      draft.addPrimaryKey([name], undefined)
    } else if (draft.configuration[key] === undefined) {
      draft.configuration[key] = text
      draft.validations.push({ kind: 'check', name: key.slice('delta.constraints.'.length) })
    }
  }
}

function without(field: StructField, keys: RegExp): StructField {
  const metadata = Object.entries(field.metadata).filter(([key]) => !keys.test(key))
  return { ...field, metadata: Object.fromEntries(metadata) }
}

function isClustering(draft: TableDraft, { field }: DraftColumn): boolean {
  return clusteringColumns(draft.base)?.includes(field.name) === true
}

/**
 * DROP COLUMN: the column's checks and a primary key with it go along, as in PostgreSQL.
 *
 * 2BP01 for one that generated columns are computed from, unless CASCADE drops them too; 42P16 for
 * partition columns.
 */
export function dropColumn(draft: TableDraft, command: Node): void {
  const name = String(command.name)
  const { table } = draft
  const column = draft.find(name)
  if (column === undefined) {
    if (command.missing_ok !== true) draft.column(name)
    draft.notice(
      SqlState.successfulCompletion,
      `column "${name}" of relation "${table.name}" does not exist, skipping`,
    )
    return
  }
  if (draft.isPartition(column.field.name)) {
    throw new SqlError(
      SqlState.invalidTableDefinition,
      `cannot drop column "${name}" because it is part of the partition key of relation "${table.name}"`,
    )
  }
  if (isClustering(draft, column)) {
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      `cannot drop column "${name}" because table "${table.name}" is clustered by it`,
    )
  }
  const computed = generatedFrom(draft, column.field.name)
  if (computed.length > 0 && command.behavior !== 'DROP_CASCADE') {
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      `cannot drop column ${name} of table ${table.name} because other objects depend on it`,
      {
        detail: computed
          .map(
            (one) =>
              `column ${one} of table ${table.name} depends on column ${name} of table ${table.name}`,
          )
          .join('\n'),
        hint: 'Use DROP ... CASCADE to drop the dependent objects too.',
      },
    )
  }
  draft.mapColumns()
  for (const one of [column.field.name, ...computed]) removeColumn(draft, one)
}

function removeColumn(draft: TableDraft, name: string): void {
  draft.columns = draft.columns.filter(({ field }) => field.name !== name)
  for (const one of draft.constraintNames) {
    if (mentionsColumn(draft.constraint(one) ?? '', name)) draft.setConstraint(one, undefined)
  }
  if (draft.primaryKey.includes(name)) draft.setPrimaryKey([], undefined)
  changeStatsColumns(draft, name, undefined)
}

function generatedFrom(draft: TableDraft, name: string): readonly string[] {
  return draft.columns.flatMap(({ field }) => {
    const text = field.metadata['delta.generationExpression']
    if (field.name === name || typeof text !== 'string') return []
    return mentionsColumn(text, name) ? [field.name] : []
  })
}

/** The property that names the columns with statistics follows them. */
function changeStatsColumns(draft: TableDraft, name: string, to: string | undefined): void {
  const key = 'delta.dataSkippingStatsColumns'
  const listed = draft.configuration[key]
  if (listed === undefined) return
  const names = listed.split(',').map((one) => one.trim())
  const kept = names.flatMap((one) => {
    if (one.replaceAll('`', '').toLowerCase() !== name.toLowerCase()) return [one]
    return to === undefined ? [] : [/^\w+$/.test(to) ? to : `\`${to}\``]
  })
  if (kept.length === 0) delete draft.configuration[key]
  else draft.configuration[key] = kept.join(',')
}

/**
 * RENAME COLUMN: checks, generated columns and the primary key follow.
 *
 * 42701 when the new name is taken, 0A000 when an expression of another engine's cannot follow.
 */
export function renameColumn(draft: TableDraft, from: string, to: string): void {
  const column = draft.column(from)
  const old = column.field.name
  if (draft.find(to) !== undefined) {
    throw new SqlError(
      SqlState.duplicateColumn,
      `column "${to}" of relation "${draft.table.name}" already exists`,
    )
  }
  const follow = (text: string, what: string): string => {
    const renamed = withColumnRenamed(text, old, to)
    if (renamed !== null) return renamed
    throw new SqlError(
      SqlState.featureNotSupported,
      `cannot rename column "${old}" because ${what} uses it in an expression that cannot be changed`,
      { hint: `The expression is: ${text}` },
    )
  }
  draft.mapColumns()
  for (const one of draft.constraintNames) {
    const text = draft.constraint(one) ?? ''
    if (mentionsColumn(text, old)) {
      draft.setConstraint(one, follow(text, `the check constraint "${one}"`))
    }
  }
  for (const computed of generatedFrom(draft, old)) {
    const one = draft.column(computed)
    const text = String(one.field.metadata['delta.generationExpression'])
    const key = 'delta.generationExpression'
    draft.setMetadata(one, key, follow(text, `the generated column "${computed}"`))
  }
  if (draft.primaryKey.includes(old)) {
    const name = draft.configuration['lakegate.primaryKeyName']
    draft.setPrimaryKey(
      draft.primaryKey.map((one) => (one === old ? to : one)),
      name,
    )
  }
  changeStatsColumns(draft, old, to)
  draft.partitionColumns = draft.partitionColumns.map((one) =>
    one.toLowerCase() === old.toLowerCase() ? to : one,
  )
  const current = draft.column(old)
  draft.replace(current, { ...current, field: { ...current.field, name: to } })
}

/** ALTER COLUMN … DROP NOT NULL; 42P16 for a column of the primary key. */
export function dropNotNull(draft: TableDraft, name: string): void {
  const column = draft.column(name)
  if (draft.primaryKey.includes(column.field.name)) {
    throw new SqlError(SqlState.invalidTableDefinition, `column "${name}" is in a primary key`)
  }
  draft.replace(column, { ...column, field: { ...column.field, nullable: true } })
}

/** ALTER COLUMN … SET DEFAULT, or DROP DEFAULT without an expression; rows stay as they are. */
export function setDefault(draft: TableDraft, command: Node): void {
  const name = String(command.name)
  const node = command.def as Node | undefined
  const column = draft.column(name)
  if (column.field.metadata['delta.generationExpression'] !== undefined) {
    throw new SqlError(
      SqlState.syntaxError,
      `column "${name}" of relation "${draft.table.name}" is a generated column`,
    )
  }
  if (identityOf(column.field) !== undefined) {
    throw new SqlError(
      SqlState.syntaxError,
      `column "${name}" of relation "${draft.table.name}" is an identity column`,
    )
  }
  if (node !== undefined) requireNoColumns(node)
  const { name: own, type } = column.field
  const text = node === undefined || constantOf(node) === null ? undefined : defaultText(node, type)
  if (node !== undefined && text !== undefined) {
    draft.stated.push({ use: 'default', node, text, column: own })
  }
  draft.setMetadata(column, 'CURRENT_DEFAULT', text)
}

function requireNoColumns(node: unknown): void {
  walk(node, (one) => {
    if (nodeOf(one, 'ColumnRef') === undefined) return true
    throw new SqlError(
      SqlState.featureNotSupported,
      'cannot use column reference in DEFAULT expression',
    )
  })
}

/** ALTER COLUMN … DROP EXPRESSION: the column keeps its values, and takes any from now on. */
export function dropExpression(draft: TableDraft, command: Node): void {
  const name = String(command.name)
  const column = draft.column(name)
  if (column.field.metadata['delta.generationExpression'] === undefined) {
    const message = `column "${name}" of relation "${draft.table.name}" is not a stored generated column`
    if (command.missing_ok !== true) {
      throw new SqlError(SqlState.objectNotInPrerequisiteState, message)
    }
    draft.notice(SqlState.successfulCompletion, `${message}, skipping`)
    return
  }
  draft.setMetadata(column, 'delta.generationExpression', undefined)
}

/**
 * ALTER COLUMN … TYPE: by type widening where the new type holds every value of the old one, by
 * writing the rows anew elsewhere.
 *
 * 42P16 for partition columns, 0A000 for columns that others are computed from.
 */
export function setType(draft: TableDraft, command: Node): void {
  const name = String(command.name)
  const column = draft.column(name)
  const { field } = column
  const definition = nodeOf(command.def, 'ColumnDef') ?? {}
  const using = definition.raw_default as Node | undefined
  const wanted = columnField(
    { ...definition, colname: field.name },
    { fields: [], configuration: {}, stated: [] },
    draft.table.name,
  )
  if (draft.isPartition(field.name)) {
    throw new SqlError(
      SqlState.invalidTableDefinition,
      `cannot alter column "${name}" because it is part of the partition key of relation "${draft.table.name}"`,
    )
  }
  if (generatedFrom(draft, field.name).length > 0) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'cannot alter type of a column used by a generated column',
    )
  }
  if (field.metadata['delta.generationExpression'] !== undefined) {
    throw notSupported('changing the type of a generated column')
  }
  if (identityOf(field) !== undefined) throw notSupported('changing the type of an identity column')
  for (const one of draft.constraintNames) {
    if (mentionsColumn(draft.constraint(one) ?? '', field.name)) {
      draft.validations.push({ kind: 'check', name: one })
    }
  }
  if (using === undefined && isSameOrLonger(field, wanted)) {
    const key = '__CHAR_VARCHAR_TYPE_STRING'
    draft.setMetadata(column, key, wanted.metadata[key])
    return
  }
  const widened = using === undefined && mayWiden(draft) ? widenedField(field, wanted.type) : null
  if (widened !== null) {
    draft.configuration['delta.enableTypeWidening'] = 'true'
    draft.replace(column, { ...column, field: widened })
    return
  }
  if (isClustering(draft, column)) {
    throw notSupported('changing the type of a column by which the table is clustered')
  }
  // All files are replaced: no file has the new column under the old one's id.
  const fresh = without(field, /^delta\.(columnMapping|typeChanges)|^__CHAR_VARCHAR/)
  draft.replace(column, {
    field: { ...fresh, type: wanted.type, metadata: { ...fresh.metadata, ...wanted.metadata } },
    source: { kind: 'converted', name: field.name, using },
  })
  draft.rewrites = true
}

function mayWiden(draft: TableDraft): boolean {
  return draft.configuration['delta.enableTypeWidening']?.toLowerCase() !== 'false'
}

/** Whether every value of the old column is one of the new column, stored in the same way. */
function isSameOrLonger(old: StructField, wanted: StructField): boolean {
  if (JSON.stringify(old.type) !== JSON.stringify(wanted.type)) return false
  const lengthOf = (field: StructField): number | null => {
    const text = field.metadata.__CHAR_VARCHAR_TYPE_STRING
    return typeof text === 'string'
      ? Number(/^varchar\((\d+)\)$/.exec(text)?.[1] ?? Number.NaN)
      : null
  }
  const [before, after] = [lengthOf(old), lengthOf(wanted)]
  if (before === null || after === null) return after === null && !Number.isNaN(before)
  return after >= before
}

/**
 * ALTER COLUMN … SET (…): the comment and the place of a column, as `alter-syntax.ts` writes what
 * lakehouses say of them; 22023 for other options.
 */
export function setColumnOptions(
  draft: TableDraft,
  command: Node,
  added: ReadonlySet<string>,
): void {
  const name = String(command.name)
  const options = new Map<string, string>()
  for (const item of listOf(nodeOf(command.def, 'List')?.items)) {
    const option = nodeOf(item, 'DefElem') ?? {}
    options.set(String(option.defname), stringOf(option.arg) ?? '')
  }
  if (options.has('lakegate_added') && !added.has(name)) return
  options.delete('lakegate_added')
  draft.column(name)
  for (const [option, value] of options) {
    if (option === 'lakegate_comment') {
      draft.setMetadata(draft.column(name), 'comment', value)
    } else if (option === 'lakegate_after') {
      const after = draft.column(value)
      const moved = draft.column(name)
      if (after === moved)
        throw new SqlError(SqlState.syntaxError, `column "${name}" cannot follow itself`)
      const rest = draft.columns.filter((one) => one !== moved)
      rest.splice(rest.indexOf(after) + 1, 0, moved)
      draft.columns = rest
    } else if (option === 'lakegate_first') {
      const moved = draft.column(name)
      draft.columns = [moved, ...draft.columns.filter((one) => one !== moved)]
    } else {
      throw new SqlError(SqlState.invalidParameterValue, `unrecognized parameter "${option}"`)
    }
  }
}
