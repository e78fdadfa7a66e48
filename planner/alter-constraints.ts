/** AlterConstraints: the commands of ALTER TABLE that add, drop, rename and validate constraints. */

import { SqlError, SqlState } from '../storage/errors.js'
import { addCheck, CONSTRAINTS } from './create-table.js'
import { notSupported } from './refusal.js'
import { columnsIn } from './stored-text.js'
import { namesOf, type Node, nodeOf } from './syntax-tree.js'
import type { TableDraft } from './table-draft.js'

/** ADD CONSTRAINT: CHECK, whose rows are validated (23514), or PRIMARY KEY, which is informational. */
export function addConstraint(draft: TableDraft, command: Node): void {
  const constraint = nodeOf(command.def, 'Constraint') ?? {}
  switch (constraint.contype) {
    case 'CONSTR_CHECK': {
      if (constraint.skip_validation === true) {
        throw notSupported('NOT VALID', 'Delta has no constraints that existing rows may break.')
      }
      requireNewCheck(draft, constraint)
      const named = columnsIn(constraint.raw_expr as Node)
      const known = new Set(draft.constraintNames)
      addCheck(constraint, draft, draft.table.name, named.length === 1 ? named[0] : undefined)
      for (const name of draft.constraintNames) {
        if (!known.has(name)) draft.validations.push({ kind: 'check', name })
      }
      return
    }
    case 'CONSTR_PRIMARY': {
      const name = typeof constraint.conname === 'string' ? constraint.conname : undefined
      if (name !== undefined) requireNewName(draft, name)
      const keys = namesOf(constraint.keys).map((key) => {
        const found = draft.find(key)
        if (found !== undefined) return found.field.name
        throw new SqlError(SqlState.undefinedColumn, `column "${key}" named in key does not exist`)
      })
      draft.addPrimaryKey(keys, name)
      for (const key of keys) draft.setNotNull(key)
      draft.notice(
        SqlState.successfulCompletion,
        'the primary key is informational: rows are not held against it',
      )
      return
    }
    default:
      throw notSupported(CONSTRAINTS[String(constraint.contype)] ?? 'this constraint')
  }
}

/** 42710 when a CHECK's name is taken. */
export function requireNewCheck(draft: TableDraft, constraint: Node): void {
  if (typeof constraint.conname === 'string') requireNewName(draft, constraint.conname)
}

function requireNewName(draft: TableDraft, name: string): void {
  if (draft.constraint(name) === undefined && !isPrimaryKey(draft, name)) return
  throw new SqlError(
    SqlState.duplicateObject,
    `constraint "${name}" for relation "${draft.table.name}" already exists`,
  )
}

function isPrimaryKey(draft: TableDraft, name: string): boolean {
  return draft.primaryKey.length > 0 && draft.primaryKeyName === name
}

function requireConstraint(draft: TableDraft, name: string): void {
  if (draft.constraint(name) !== undefined || isPrimaryKey(draft, name)) return
  throw new SqlError(
    SqlState.undefinedObject,
    `constraint "${name}" of relation "${draft.table.name}" does not exist`,
  )
}

/** DROP CONSTRAINT; 42704 when there is none of that name, unless IF EXISTS. */
export function dropConstraint(draft: TableDraft, command: Node): void {
  const name = String(command.name)
  if (isPrimaryKey(draft, name)) {
    draft.setPrimaryKey([], undefined)
    return
  }
  if (draft.constraint(name) === undefined && command.missing_ok === true) {
    draft.notice(
      SqlState.successfulCompletion,
      `constraint "${name}" of relation "${draft.table.name}" does not exist, skipping`,
    )
    return
  }
  requireConstraint(draft, name)
  draft.setConstraint(name, undefined)
}

/** RENAME CONSTRAINT; 42704 when there is none of that name, 42710 when the new one is taken. */
export function renameConstraint(draft: TableDraft, from: string, to: string): void {
  if (draft.constraint(from) === undefined && !isPrimaryKey(draft, from)) {
    throw new SqlError(
      SqlState.undefinedObject,
      `constraint "${from}" for table "${draft.table.name}" does not exist`,
    )
  }
  requireNewName(draft, to)
  if (isPrimaryKey(draft, from)) {
    draft.setPrimaryKey(draft.primaryKey, to)
    return
  }
  draft.setConstraint(to, draft.constraint(from))
  draft.setConstraint(from, undefined)
}

/** VALIDATE CONSTRAINT: nothing to do, since every constraint was validated when it was added. */
export function validateConstraint(draft: TableDraft, name: string): void {
  requireConstraint(draft, name)
}
