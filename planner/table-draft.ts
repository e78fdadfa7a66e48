/** TableDraft: a lake table as an ALTER statement leaves it, command by command. */

import type { TableName } from '../catalog/catalog.js'
import { alteredTable, mapColumns } from '../storage/altered-table.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { NewTable } from '../storage/new-table.js'
import type { StructField } from '../storage/schema.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { Node } from './syntax-tree.js'
import type { StatedExpression } from './stated-expression.js'

/** Where the values of a column come from in the rows that the table has already. */
export type ColumnSource =
  /** The column of that name before the statement; a wider type reads it as it is. */
  | { readonly kind: 'stored'; readonly name: string }
  /** Computed from the column of that name, or by USING's expression. */
  | { readonly kind: 'converted'; readonly name: string; readonly using: Node | undefined }
  /** The default of that text for every row; null without one. */
  | { readonly kind: 'added'; readonly defaultText: string | undefined }

export interface DraftColumn {
  readonly field: StructField
  readonly source: ColumnSource
}

/** What the rows the table has must be held against before the statement succeeds. */
export type Validation =
  | { readonly kind: 'not-null'; readonly column: string }
  | { readonly kind: 'check'; readonly name: string }

export interface Notice {
  readonly sqlState: SqlState
  readonly message: string
}

const CONSTRAINT = 'delta.constraints.'

/** A table's definition while it changes. */
export class TableDraft {
  readonly table: TableName
  readonly base: Snapshot
  columns: DraftColumn[]
  configuration: { [key: string]: string }
  partitionColumns: string[]
  description: string | null
  /** Whether the files must be written anew for the rows to be right. */
  rewrites = false
  readonly validations: Validation[] = []
  readonly notices: Notice[] = []
  /** Expressions that are new, to be held against PostgreSQL's and Spark's rules. */
  readonly stated: StatedExpression[] = []

  constructor(table: TableName, base: Snapshot) {
    const { metadata, schema } = base
    this.table = table
    this.base = base
    this.columns = schema.fields.map((field) => ({
      field,
      source: { kind: 'stored', name: field.name },
    }))
    this.configuration = { ...metadata.configuration }
    this.partitionColumns = [...metadata.partitionColumns]
    this.description = metadata.description ?? null
  }

  /** The column of that name, or undefined. */
  find(name: string): DraftColumn | undefined {
    return (
      this.columns.find(({ field }) => field.name === name) ??
      this.columns.find(({ field }) => field.name.toLowerCase() === name.toLowerCase())
    )
  }

  /** The column of that name; 42703 when there is none. */
  column(name: string): DraftColumn {
    const found = this.find(name)
    if (found === undefined) {
      throw new SqlError(
        SqlState.undefinedColumn,
        `column "${name}" of relation "${this.table.name}" does not exist`,
      )
    }
    return found
  }

  replace(column: DraftColumn, by: DraftColumn): void {
    this.columns = this.columns.map((one) => (one === column ? by : one))
  }

  /** Changes what a column's metadata says under `key`; undefined takes it away. */
  setMetadata(column: DraftColumn, key: string, value: unknown): void {
    const { [key]: _, ...rest } = column.field.metadata
    const metadata = value === undefined ? rest : { ...rest, [key]: value }
    this.replace(column, { ...column, field: { ...column.field, metadata } })
  }

  /** No nulls in the column from now on; what its rows hold is validated. */
  setNotNull(name: string): void {
    const column = this.column(name)
    if (!column.field.nullable) return
    this.replace(column, { ...column, field: { ...column.field, nullable: false } })
    this.validations.push({ kind: 'not-null', column: column.field.name })
  }

  isPartition(name: string): boolean {
    return this.partitionColumns.some((one) => one.toLowerCase() === name.toLowerCase())
  }

  /** Column mapping by name from now on, so that names can change and columns can go. */
  mapColumns(): void {
    if ((this.configuration['delta.columnMapping.mode'] ?? 'none') !== 'none') return
    // Only what has files: an added column gets a physical name when the draft is done.
    const stored = this.columns.filter(({ source }) => source.kind === 'stored')
    const mapped = mapColumns({ fields: stored.map(({ field }) => field) }, this.configuration)
    const fields = new Map(stored.map((column, i) => [column, mapped.schema.fields[i]]))
    this.columns = this.columns.map((column) => ({
      ...column,
      field: fields.get(column) ?? column.field,
    }))
    this.configuration = { ...mapped.configuration }
  }

  get constraintNames(): readonly string[] {
    return Object.keys(this.configuration).flatMap((key) =>
      key.startsWith(CONSTRAINT) ? [key.slice(CONSTRAINT.length)] : [],
    )
  }

  /** The text of the CHECK of that name, or undefined. */
  constraint(name: string): string | undefined {
    return this.configuration[CONSTRAINT + name.toLowerCase()]
  }

  setConstraint(name: string, text: string | undefined): void {
    const key = CONSTRAINT + name.toLowerCase()
    if (text === undefined) delete this.configuration[key]
    else this.configuration[key] = text
  }

  /** Columns of the primary key, which is informational; empty without one. */
  get primaryKey(): readonly string[] {
    const text = this.configuration['lakegate.primaryKey']
    return text === undefined ? [] : text.split(',')
  }

  get primaryKeyName(): string {
    return this.configuration['lakegate.primaryKeyName'] ?? `${this.table.name}_pkey`
  }

  /** 42P16 when there is a primary key already. */
  addPrimaryKey(columns: readonly string[], name: string | undefined): void {
    if (this.primaryKey.length > 0) {
      throw new SqlError(
        SqlState.invalidTableDefinition,
        `multiple primary keys for table "${this.table.name}" are not allowed`,
      )
    }
    this.setPrimaryKey(columns, name)
  }

  setPrimaryKey(columns: readonly string[], name: string | undefined): void {
    delete this.configuration['lakegate.primaryKey']
    delete this.configuration['lakegate.primaryKeyName']
    if (columns.length === 0) return
    this.configuration['lakegate.primaryKey'] = columns.join(',')
    if (name !== undefined) this.configuration['lakegate.primaryKeyName'] = name
  }

  notice(sqlState: SqlState, message: string): void {
    this.notices.push({ sqlState, message })
  }

  /** The table that the draft has become; the errors of `alteredTable`. */
  definition(): NewTable {
    return alteredTable(this.base, {
      schema: { fields: this.columns.map(({ field }) => field) },
      partitionColumns: this.partitionColumns,
      configuration: this.configuration,
      description: this.description,
    })
  }
}
