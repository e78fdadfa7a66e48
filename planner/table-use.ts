/** TableUse: what a statement does with one table or view, column by column, for the check of privileges. */

import type { AccessObject } from '../catalog/access-action.js'
import { type Privilege, type PrivilegeSet, privileges } from '../catalog/privilege.js'
import type { StructField } from '../storage/schema.js'

/** A table or view that is used, and as whom. */
export interface UsedRelation {
  readonly object: AccessObject
  readonly kind: 'table' | 'view'
  /** As messages name it. */
  readonly name: string
  /** Keys of all its columns; see `columnKey`. */
  readonly columns: readonly string[]
}

/** Privileges that are held by columns too. */
export type ColumnPrivilege = Extract<Privilege, 'SELECT' | 'INSERT' | 'UPDATE'>

/** Filled by the analysis; privileges and columns that are never noted are never needed. */
export class TableUse {
  readonly relation: UsedRelation
  /** The role whose privileges count. */
  readonly user: number
  #required: PrivilegeSet
  readonly #columns = new Map<ColumnPrivilege, Set<string>>()

  constructor(relation: UsedRelation, user: number, ...required: readonly Privilege[]) {
    this.relation = relation
    this.user = user
    this.#required = privileges(...required)
  }

  get required(): PrivilegeSet {
    return this.#required
  }

  /** Keys of the columns that a privilege is needed for; none: any column will do. */
  columns(privilege: ColumnPrivilege): ReadonlySet<string> {
    return this.#columns.get(privilege) ?? new Set()
  }

  require(...names: readonly Privilege[]): void {
    this.#required |= privileges(...names)
  }

  /** Notes that a column is read, inserted or updated. */
  column(privilege: ColumnPrivilege, key: string): void {
    this.require(privilege)
    const known = this.#columns.get(privilege)
    if (known === undefined) this.#columns.set(privilege, new Set([key]))
    else known.add(key)
  }

  /** Notes that every column is read. */
  wholeRow(): void {
    this.require('SELECT')
    for (const key of this.relation.columns) this.column('SELECT', key)
  }
}

/**
 * By what a column's privileges are kept: the name it is stored by.
 *
 * It stays when the column is renamed, and a column made later under the same name has another one.
 */
export function columnKey({ name, metadata }: Pick<StructField, 'name' | 'metadata'>): string {
  const physical = metadata['delta.columnMapping.physicalName']
  return typeof physical === 'string' ? physical : name
}
