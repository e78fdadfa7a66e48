/** Temporary definition: the columns and constraints that CREATE TEMP TABLE declares. */

import { Oid } from '../catalog/pg-types.js'
import { assert, SqlError, SqlState } from '../storage/errors.js'
import { tokenize } from './lexer.js'
import type { ParsedStatement } from './parse.js'
import { notSupported } from './refusal.js'
import { typeOfName } from './sql-type.js'
import { listOf, namesOf, type Node, nodeOf } from './syntax-tree.js'
import type { TemporaryColumn, TemporaryKey, TemporaryTableDefinition } from './temporary-tables.js'

/** What ON COMMIT asks for, in the fields of a CreateStmt or an IntoClause. */
export function onCommitOf(action: unknown): TemporaryTableDefinition['onCommit'] {
  switch (action) {
    case 'ONCOMMIT_DELETE_ROWS':
      return 'delete'
    case 'ONCOMMIT_DROP':
      return 'drop'
    default:
      return 'preserve'
  }
}

/**
 * The table that a CreateStmt declares.
 *
 * 0A000 for what a temporary table here has not: foreign keys, serial and identity columns, LIKE,
 * inheritance and partitions; 42P16 for two primary keys, 42703 for a key over no column.
 */
export function temporaryDefinition(
  statement: ParsedStatement,
  fields: Node,
): TemporaryTableDefinition {
  if (fields.inhRelations !== undefined) throw notSupported('INHERITS of a temporary table')
  if (fields.partspec !== undefined || statement.tableOptions.partitionColumns.length > 0) {
    throw notSupported('PARTITION BY of a temporary table')
  }
  if (fields.ofTypename !== undefined) throw notSupported('CREATE TABLE OF')
  const name = String((fields.relation as Node).relname)
  const texts = new ConstraintTexts(statement)
  const declared = new Declaration(name, texts)
  for (const element of listOf(fields.tableElts)) {
    const column = nodeOf(element, 'ColumnDef')
    const constraint = nodeOf(element, 'Constraint')
    if (column !== undefined) declared.addColumn(column)
    else if (constraint !== undefined) declared.addConstraint(constraint)
    else throw notSupported('LIKE of a temporary table')
  }
  return declared.definition(onCommitOf(fields.oncommit))
}

/** The parts of one table, gathered element by element. */
class Declaration {
  readonly #name: string
  readonly #texts: ConstraintTexts
  readonly #columns: TemporaryColumn[] = []
  readonly #keys: TemporaryKey[] = []
  readonly #checks: { readonly name: string; readonly expression: string }[] = []

  constructor(name: string, texts: ConstraintTexts) {
    this.#name = name
    this.#texts = texts
  }

  addColumn(node: Node): void {
    const name = String(node.colname)
    const typeName = node.typeName as Node
    if (/serial/.test(namesOf(typeName.names).at(-1) ?? '')) throw notSupported('serial columns')
    const type = typeOfName(typeName)
    if (type.oid === Oid.record) throw notSupported('a column of a pseudo-type')
    let notNull = false
    let defaultText: string | undefined
    let generatedText: string | undefined
    for (const one of listOf(node.constraints)) {
      const constraint = nodeOf(one, 'Constraint') ?? {}
      switch (constraint.contype) {
        case 'CONSTR_NOTNULL':
          notNull = true
          break
        case 'CONSTR_DEFAULT':
          defaultText = this.#texts.expression(constraint)
          break
        case 'CONSTR_GENERATED':
          generatedText = this.#texts.parenthesised(constraint)
          break
        default:
          this.addConstraint(constraint, name)
      }
    }
    // Without a precision PostgreSQL keeps the digits that are given.
    const shown =
      type.oid === Oid.numeric && type.typmod === -1
        ? { ...type, digits: 'trimmed' as const }
        : type
    this.#columns.push({ name, type: shown, notNull, defaultText, generatedText })
  }

  /** A constraint of the table, or of `column`. */
  addConstraint(constraint: Node, column?: string): void {
    const given = typeof constraint.conname === 'string' ? constraint.conname : undefined
    switch (constraint.contype) {
      case 'CONSTR_NULL':
        break
      case 'CONSTR_PRIMARY':
      case 'CONSTR_UNIQUE': {
        const primary = constraint.contype === 'CONSTR_PRIMARY'
        const columns = column === undefined ? namesOf(constraint.keys) : [column]
        const suffix = primary ? 'pkey' : `${columns.join('_')}_key`
        this.#keys.push({ name: given ?? `${this.#name}_${suffix}`, primary, columns })
        break
      }
      case 'CONSTR_CHECK': {
        const base = `${this.#name}_${column === undefined ? '' : `${column}_`}check`
        const taken = (name: string): boolean => this.#checks.some((check) => check.name === name)
        let name = given ?? base
        for (let n = 1; taken(name); n++) name = `${base}${n}`
        this.#checks.push({ name, expression: this.#texts.parenthesised(constraint) })
        break
      }
      case 'CONSTR_FOREIGN':
        throw notSupported('FOREIGN KEY')
      case 'CONSTR_IDENTITY':
        throw notSupported('identity columns')
      default:
        throw notSupported('this constraint')
    }
  }

  definition(onCommit: TemporaryTableDefinition['onCommit']): TemporaryTableDefinition {
    if (this.#columns.length === 0) throw notSupported('a table without columns')
    const primary = this.#keys.filter((key) => key.primary)
    if (primary.length > 1) {
      throw new SqlError(
        SqlState.invalidTableDefinition,
        `multiple primary keys for table "${this.#name}" are not allowed`,
      )
    }
    for (const { columns } of this.#keys) {
      for (const column of columns) {
        if (this.#columns.some(({ name }) => name === column)) continue
        throw new SqlError(
          SqlState.undefinedColumn,
          `column "${column}" named in key does not exist`,
        )
      }
    }
    const keyed = new Set(primary.flatMap(({ columns }) => columns))
    return {
      name: this.#name,
      columns: this.#columns.map((column) =>
        keyed.has(column.name) ? { ...column, notNull: true } : column,
      ),
      keys: this.#keys,
      checks: this.#checks,
      onCommit,
    }
  }
}

/** Texts of expressions in constraints, cut out of a CREATE TABLE by where its constraints begin. */
class ConstraintTexts {
  readonly #text: string
  readonly #tokens: ReturnType<typeof tokenize>
  /** Where constraints begin. */
  readonly #starts: ReadonlySet<number>

  constructor({ text, tree }: ParsedStatement) {
    this.#text = text
    this.#tokens = tokenize(text)
    const starts = new Set<number>()
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      const constraint = nodeOf(value, 'Constraint')
      if (constraint !== undefined) starts.add(this.#offset(constraint))
      for (const child of Object.values(value)) visit(child)
    }
    visit(tree)
    this.#starts = starts
  }

  /** The expression after DEFAULT: up to the next constraint or the end of the column. */
  expression(constraint: Node): string {
    const keyword = this.#indexOf(constraint, 'default')
    let depth = 0
    let last = keyword
    for (let i = keyword + 1; i < this.#tokens.length; i++) {
      const token = this.#tokens[i]
      if (token === undefined) break
      if (depth === 0 && (token.text === ',' || token.text === ')')) break
      if (depth === 0 && this.#starts.has(token.start)) break
      if (token.text === '(' || token.text === '[') depth++
      if (token.text === ')' || token.text === ']') depth--
      last = i
    }
    return this.#between(keyword + 1, last)
  }

  /** The expression in the parentheses of CHECK and GENERATED ALWAYS AS. */
  parenthesised(constraint: Node): string {
    let open = this.#tokens.findIndex((token) => token.start >= this.#offset(constraint))
    while (this.#tokens[open]?.text !== '(') open++
    let depth = 0
    let close = open
    for (; close < this.#tokens.length; close++) {
      if (this.#tokens[close]?.text === '(') depth++
      else if (this.#tokens[close]?.text === ')' && --depth === 0) break
    }
    return this.#between(open + 1, close - 1)
  }

  #indexOf(constraint: Node, word: string): number {
    let i = this.#tokens.findIndex((token) => token.start >= this.#offset(constraint))
    while (i < this.#tokens.length && this.#tokens[i]?.text.toLowerCase() !== word) i++
    return i
  }

  #between(first: number, last: number): string {
    const from = this.#tokens[first]
    const to = this.#tokens[last]
    assert(
      from !== undefined && to !== undefined && first <= last,
      'a constraint has an expression',
    )
    const text = this.#text.slice(from.start, to.end)
    // Expressions of tables are read with Spark's quotes too: here they would change a string.
    if (text.includes('`')) throw notSupported('a backtick in an expression of a table')
    return text
  }

  #offset(node: Node): number {
    return Buffer.from(this.#text).toString('utf8', 0, Number(node.location ?? 0)).length
  }
}
