/** Parse: SQL text to statements by PostgreSQL's own parser; the only file importing libpg-query. */

import { LRUCache } from 'lru-cache'
import { loadModule, parseSync } from 'libpg-query'
import { SqlError, SqlState } from '../storage/errors.js'
import { rewriteAlter } from './alter-syntax.js'
import type { EngineQuery } from './engine-query.js'
import {
  type LakeCommand,
  liftTimeTravel,
  parseLakeCommand,
  type TimeTravel,
} from './lake-syntax.js'
import { type InsertOptions, liftInsertClauses, PLAIN_INSERT } from './insert-clauses.js'
import { tokenize } from './lexer.js'
import { liftMergeStars, type MergeStar } from './merge-syntax.js'
import { liftTableClauses, NO_OPTIONS, type TableOptions } from './table-clauses.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'

/** One statement of the client's text. */
export interface ParsedStatement {
  /** As the client wrote it. */
  readonly source: string
  /** The same with time travel clauses blanked out: what the tree's locations point into. */
  readonly text: string
  /** UTF-16 offset of `source` in the whole text the client sent. */
  readonly start: number
  /** `{ SelectStmt: … }` and the like, as libpg-query prints it; null for a lake command. */
  readonly tree: Node | null
  readonly lakeCommand: LakeCommand | null
  readonly travels: readonly TimeTravel[]
  /** The star clauses of a MERGE. */
  readonly mergeStars: readonly MergeStar[]
  /** Whether a MERGE lets its table get columns. */
  readonly mergeEvolves?: boolean
  /** What a CREATE TABLE says in a lakehouse's words. */
  readonly tableOptions: TableOptions
  /** What an INSERT says in a lakehouse's words. */
  readonly insertOptions: InsertOptions
  /** The query, when it is in DuckDB's own syntax; `tree` is then an empty SelectStmt. */
  readonly engineQuery?: EngineQuery
  /** The statement inside, when it is in DuckDB's own syntax. */
  readonly wrapped?: ParsedStatement
}

await loadModule()

const cache = new LRUCache<string, readonly ParsedStatement[]>({
  maxSize: 16 * 1024 * 1024,
  // A tree is far larger than its text.
  sizeCalculation: (_, sql) => 200 + sql.length * 20,
})

/**
 * The statements of `sql`, none for blanks and comments.
 *
 * 42601 with the position in `sql` when PostgreSQL's parser refuses one, 54001 when one is nested
 * too deeply.
 */
export function parseStatements(sql: string): readonly ParsedStatement[] {
  const known = cache.get(sql)
  if (known !== undefined) return known
  const statements = splitStatements(sql).map(({ source, start }) => parseStatement(source, start))
  cache.set(sql, statements)
  return statements
}

/** The texts of the statements of `sql`, and where they begin. */
export function splitStatements(
  sql: string,
): { readonly source: string; readonly start: number }[] {
  const parts: { source: string; start: number }[] = []
  let from = -1
  let end = 0
  let depth = 0
  for (const token of tokenize(sql)) {
    if (token.text === '(' && token.kind === 'symbol') depth++
    if (token.text === ')' && token.kind === 'symbol') depth--
    if (token.kind === 'symbol' && token.text === ';' && depth <= 0) {
      if (from >= 0) parts.push({ source: sql.slice(from, end), start: from })
      from = -1
      depth = 0
    } else {
      if (from < 0) from = token.start
      end = token.end
    }
  }
  if (from >= 0) parts.push({ source: sql.slice(from, end), start: from })
  return parts
}

/** One statement, which begins at `start` of the client's text; errors as parseStatements. */
export function parseStatement(source: string, start: number): ParsedStatement {
  const lakeCommand = lakeCommandOf(source, start)
  if (lakeCommand !== null) {
    return {
      source,
      text: source,
      start,
      tree: null,
      lakeCommand,
      travels: [],
      mergeStars: [],
      tableOptions: NO_OPTIONS,
      insertOptions: PLAIN_INSERT,
    }
  }
  const lifted = liftTimeTravel(source)
  const { travels } = lifted
  const altered = rewriteAlter(lifted.text)
  try {
    const merge = liftMergeStars(altered)
    const { text, options } = liftTableClauses(merge.text)
    const insert = liftInsertClauses(text)
    const found = treeOf(insert.text)
    if (found === undefined) throw new SqlError(SqlState.syntaxError, 'no statement was found')
    const tree = insert.predicate === undefined ? found : withPredicate(found, insert.predicate)
    return {
      source,
      text,
      start,
      tree,
      lakeCommand: null,
      travels,
      mergeStars: merge.stars,
      mergeEvolves: merge.evolves,
      tableOptions: options,
      insertOptions: insert.options,
    }
  } catch (thrown) {
    const error = translate(thrown, start, source)
    // Places in words that the client did not write mean nothing to it.
    throw altered !== lifted.text && error instanceof SqlError ? error.at(undefined) : error
  }
}

function treeOf(text: string): Node | undefined {
  const parsed = parseSync(text) as { readonly stmts?: readonly { readonly stmt?: Node }[] }
  return parsed.stmts?.[0]?.stmt
}

/** The tree of an INSERT with the predicate of REPLACE WHERE as its `whereClause`. */
function withPredicate(tree: Node, predicate: string): Node {
  const select = nodeOf(treeOf(predicate), 'SelectStmt')
  const list = listOf(select?.targetList)
  const whereClause = nodeOf(list[0], 'ResTarget')?.val
  const insert = nodeOf(tree, 'InsertStmt')
  return insert === undefined ? tree : { InsertStmt: { ...insert, whereClause } }
}

function lakeCommandOf(source: string, start: number): LakeCommand | null {
  try {
    return parseLakeCommand(source)
  } catch (thrown) {
    throw translate(thrown, start, source)
  }
}

function translate(thrown: unknown, start: number, source: string): unknown {
  if (thrown instanceof SqlError) {
    return thrown.position === undefined ? thrown : thrown.at(start + thrown.position)
  }
  if (thrown instanceof RangeError) {
    return new SqlError(SqlState.statementTooComplex, 'stack depth limit exceeded')
  }
  if (!(thrown instanceof Error)) return thrown
  const details = (thrown as { readonly sqlDetails?: { readonly cursorPosition?: number } })
    .sqlDetails
  if (/memory exhausted|stack depth/.test(thrown.message)) {
    return new SqlError(SqlState.statementTooComplex, 'stack depth limit exceeded', {
      cause: thrown,
    })
  }
  const cursor = details?.cursorPosition
  return new SqlError(SqlState.syntaxError, thrown.message, {
    cause: thrown,
    // The parser counts characters.
    position:
      cursor === undefined ? undefined : start + [...source].slice(0, cursor).join('').length + 1,
  })
}
