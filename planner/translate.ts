/** Translate: a statement in PostgreSQL's words to DuckDB's, by edits of the client's own text. */

import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { printEngineType, type EngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Token } from './lexer.js'
import { applyEdits, type Edit, type EditedText, type SourceText } from './source-text.js'
import { constantOf, listOf, namesOf, type Node, nodeOf, walk } from './syntax-tree.js'
import type { TableReference } from './table-references.js'

/** What a translation needs to know of its session and of the tables named. */
export interface TranslationContext {
  /** DuckDB text of what a reference reads, without an alias. */
  readonly relations: ReadonlyMap<Node, string>
  /** Type parameter n (1-based) is bound as; undefined leaves it to DuckDB. */
  readonly parameterType: (n: number) => EngineType | undefined
  /** The value of a function of the session, as SQL; undefined when it is none. */
  readonly sessionFunction: (name: string, args: readonly Node[]) => string | undefined
}

/**
 * `source` in DuckDB's words: tables replaced by what they read, operators, types and functions
 * that mean something else there by what means the same.
 *
 * 42501 for functions that would read files by name, 0A000 for what has no equal.
 */
export function translate(
  tree: Node,
  source: SourceText,
  references: readonly TableReference[],
  context: TranslationContext,
): EditedText {
  const edits: Edit[] = []
  for (const reference of references) {
    const relation = context.relations.get(reference.node)
    if (relation === undefined) continue
    const alias = reference.alias === undefined ? ` AS ${quoteIdentifier(reference.name)}` : ''
    edits.push({
      start: reference.start,
      end: source.endOfName(reference.start),
      text: `${relation}${alias}`,
    })
  }
  editFunctions(tree, source, context, edits)
  editTokens(source, context, edits)
  return applyEdits(source.text, edits)
}

/** Functions by which a query could read files, settings or secrets past the catalog. */
const FORBIDDEN =
  /^(read_|parquet_|glob$|duckdb_|pragma_|query$|query_table$|getvariable$|getenv$|sniff_|which_secret|load_|write_|json_execute|sqlsmith|check_peg|enable_|disable_|force_checkpoint|checkpoint$|get_block|arrow_scan|seq_scan|index_scan|test_|sql_auto|from_substrait|iceberg_|delta_)/

const RENAMED: Readonly<Record<string, string>> = {
  json_agg: 'json_group_array',
  jsonb_agg: 'json_group_array',
  json_object_agg: 'json_group_object',
  jsonb_object_agg: 'json_group_object',
  json_build_object: 'json_object',
  jsonb_build_object: 'json_object',
  json_build_array: 'json_array',
  jsonb_build_array: 'json_array',
  row_to_json: 'to_json',
  octet_length: 'byte_length_of',
  char_length: 'length',
  character_length: 'length',
  array_cat: 'list_concat',
  cardinality: 'cardinality_of',
  every: 'bool_and',
  clock_timestamp: 'get_current_timestamp',
  statement_timestamp: 'now',
  transaction_timestamp: 'now',
  pg_catalog_version: 'version',
}

function editFunctions(
  tree: Node,
  source: SourceText,
  context: TranslationContext,
  edits: Edit[],
): void {
  const inFrom = new Set<unknown>()
  walk(tree, (node) => {
    const range = nodeOf(node, 'RangeFunction')
    if (range !== undefined) {
      for (const part of listOf(range.functions)) {
        for (const item of listOf(nodeOf(part, 'List')?.items)) inFrom.add(nodeOf(item, 'FuncCall'))
      }
    }
    const value = nodeOf(node, 'SQLValueFunction')
    if (value !== undefined) {
      const name = String(value.op)
        .replace(/^SVFOP_/, '')
        .replace(/_N$/, '')
        .toLowerCase()
      const literal = context.sessionFunction(name, [])
      const i = source.tokenAt(source.offsetOf(Number(value.location)))
      const token = source.tokens[i]
      if (literal !== undefined && token !== undefined) {
        edits.push({ start: token.start, end: token.end, text: literal })
      }
      return true
    }
    const call = nodeOf(node, 'FuncCall')
    if (call === undefined) return true
    const names = namesOf(call.funcname)
    const name = names.at(-1) ?? ''
    const start = source.offsetOf(Number(call.location ?? 0))
    if (FORBIDDEN.test(name)) {
      throw new SqlError(SqlState.insufficientPrivilege, `permission denied for function ${name}`, {
        position: start + 1,
      })
    }
    if (call.funcformat === 'COERCE_SQL_SYNTAX') return true
    const args = listOf(call.args)
    const literal = context.sessionFunction(name, args)
    const first = source.tokenAt(start)
    if (literal !== undefined) {
      const last = source.endOfOperand(first)
      edits.push({ start, end: source.tokens[last]?.end ?? start, text: literal })
      return false
    }
    const end = source.endOfName(start)
    if (name === 'to_char') {
      editToChar(args, source, start, end, edits)
      return true
    }
    if (name === 'generate_series' && !inFrom.has(call)) {
      // A list in DuckDB, a set of rows in PostgreSQL.
      const last = source.tokens[source.endOfOperand(first)]?.end ?? end
      edits.push({ start, end: start, text: 'unnest(' }, { start: last, end: last, text: ')' })
    }
    const renamed = RENAMED[name] ?? (names.length > 1 ? name : undefined)
    if (renamed !== undefined) edits.push({ start, end, text: renamed })
    return true
  })
}

/** PostgreSQL's template patterns that strftime has an equal for, longest first. */
const PATTERNS: readonly (readonly [string, string])[] = [
  ['YYYY', '%Y'],
  ['HH24', '%H'],
  ['HH12', '%I'],
  ['FMMonth', '%B'],
  ['FMDay', '%A'],
  ['MI', '%M'],
  ['SS', '%S'],
  ['US', '%f'],
  ['MS', '%g'],
  ['MM', '%m'],
  ['DD', '%d'],
  ['YY', '%y'],
  ['Mon', '%b'],
  ['Dy', '%a'],
  ['HH', '%I'],
  ['AM', '%p'],
  ['PM', '%p'],
  ['IYYY', '%G'],
  ['IW', '%V'],
  ['DDD', '%j'],
]

function editToChar(
  args: readonly Node[],
  source: SourceText,
  start: number,
  end: number,
  edits: Edit[],
): void {
  const pattern = constantOf(args[1])
  const format = typeof pattern === 'string' ? strftimeFormat(pattern) : null
  const constant = nodeOf(args[1], 'A_Const')
  if (format === null || constant === undefined) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'to_char is supported for constant date and time templates only',
      { position: start + 1 },
    )
  }
  edits.push({ start, end, text: 'strftime' })
  const token = source.tokens[source.tokenAt(source.offsetOf(Number(constant.location ?? 0)))]
  if (token !== undefined) {
    edits.push({ start: token.start, end: token.end, text: quoteLiteral(format) })
  }
}

/** The strftime format of a to_char template; null when it holds a pattern without an equal. */
export function strftimeFormat(template: string): string | null {
  let format = ''
  let at = 0
  const patterns = [...PATTERNS].sort((a, b) => b[0].length - a[0].length)
  while (at < template.length) {
    const pattern = patterns.find(([text]) => template.startsWith(text, at))
    if (pattern !== undefined) {
      format += pattern[1]
      at += pattern[0].length
      continue
    }
    const char = template.charAt(at)
    if (char === '"') {
      const close = template.indexOf('"', at + 1)
      if (close < 0) return null
      format += template.slice(at + 1, close).replaceAll('%', '%%')
      at = close + 1
      continue
    }
    if (/[A-Za-z0-9]/.test(char)) return null
    format += char === '%' ? '%%' : char
    at++
  }
  return format
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  bpchar: 'VARCHAR',
  name: 'VARCHAR',
  jsonb: 'JSON',
  serial: 'INTEGER',
  bigserial: 'BIGINT',
  regclass: 'VARCHAR',
  regtype: 'VARCHAR',
  oid: 'BIGINT',
  money: 'DECIMAL(19,2)',
  citext: 'VARCHAR',
}

function editTokens(source: SourceText, context: TranslationContext, edits: Edit[]): void {
  const tokens = source.tokens
  for (const [i, token] of tokens.entries()) {
    const previous = tokens[i - 1]
    if (token.kind === 'operator') editOperator(source, i, token, edits)
    else if (token.kind === 'parameter') {
      const type = context.parameterType(Number(token.text.slice(1)))
      if (type !== undefined) {
        edits.push({
          start: token.start,
          end: token.end,
          text: `CAST(${token.text} AS ${printEngineType(type)})`,
        })
      }
    } else if (token.kind === 'string') {
      const literal = stringLiteral(token.text)
      if (literal !== token.text) edits.push({ start: token.start, end: token.end, text: literal })
    } else if (token.kind === 'identifier') {
      const word = token.text.toLowerCase()
      const next = tokens[i + 1]
      const qualified = previous?.text === '.' && tokens[i - 2]?.text.toLowerCase() === 'pg_catalog'
      const before = qualified ? tokens[i - 3] : previous
      const castBefore = before?.text === '::' || before?.text.toLowerCase() === 'as'
      if (word === 'pg_catalog' && next?.text === '.' && previous?.text === '::') {
        edits.push({ start: token.start, end: next.end, text: '' })
      } else if ((word === 'numeric' || word === 'decimal') && next?.text !== '(' && castBefore) {
        const scale = literalScale(tokens[i - 2])
        edits.push({ start: token.start, end: token.end, text: `DECIMAL(38,${scale})` })
      } else if (castBefore && TYPE_NAMES[word] !== undefined && next?.text !== ',') {
        if (before?.text === '::' || next?.text === ')') {
          edits.push({ start: token.start, end: token.end, text: TYPE_NAMES[word] ?? word })
        }
      } else if (word === 'bytea' && previous?.text === '::' && tokens[i - 2]?.kind === 'string') {
        const literal = tokens[i - 2] as Token
        const hex = /^'\\x((?:[0-9a-fA-F]{2})*)'$/.exec(literal.text)
        if (hex !== null) {
          edits.push({ start: literal.start, end: token.end, text: `from_hex('${hex[1]}')` })
        }
      }
    }
  }
}

/** Digits behind the point of a literal that is cast; 10 for what is no literal. */
function literalScale(token: Token | undefined): number {
  const match = /^'?[+-]?\d*(?:\.(\d*))?'?$/.exec(token?.text ?? 'x')
  return match === null ? 10 : Math.min(38, (match[1] ?? '').length)
}

function editOperator(source: SourceText, i: number, token: Token, edits: Edit[]): void {
  const wrap = (name: string, operator: string): void => {
    const last = source.tokens[source.endOfOperand(i + 1)]
    const first = source.tokens[i + 1]
    if (last === undefined || first === undefined) return
    edits.push({ start: token.start, end: token.end, text: operator })
    edits.push({ start: first.start, end: first.start, text: `${name}(` })
    edits.push({ start: last.end, end: last.end, text: ')' })
  }
  switch (token.text) {
    case '/':
    case '%':
      wrap('lakegate_divisor', token.text)
      return
    case '~':
    case '!~':
      if (!isPrefix(source.tokens[i - 1])) wrap('lakegate_pattern', token.text)
      return
    case '~*':
    case '!~*':
      wrap('lakegate_pattern_i', token.text.replace('*', ''))
      return
  }
}

/** Whether an operator after `token` has no left operand. */
function isPrefix(token: Token | undefined): boolean {
  if (token === undefined || token.kind === 'operator') return true
  return token.kind === 'symbol' && /^[(,[]$/.test(token.text)
}

/** A string in DuckDB's spelling: dollar quotes and Unicode escapes are unknown there. */
function stringLiteral(text: string): string {
  const dollar = /^(\$[^$]*\$)([\s\S]*)\1$/.exec(text)
  if (dollar !== null) return quoteLiteral(dollar[2] ?? '')
  return text
}
