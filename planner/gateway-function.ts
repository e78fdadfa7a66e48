/** Gateway functions: calls that act on the gateway itself, found in a SELECT. */

import { Oid } from '../catalog/pg-types.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { routeRelations } from './catalog-query.js'
import { tokenize } from './lexer.js'
import { parseStatements, type ParsedStatement } from './parse.js'
import { notSupported } from './refusal.js'
import { listOf, namesOf, type Node, nodeOf, walk } from './syntax-tree.js'

/** Functions that take, try to take, or give up advisory locks. */
export type LockFunctionName =
  | `pg_${'' | 'try_'}advisory_${'' | 'xact_'}lock${'' | '_shared'}`
  | `pg_advisory_unlock${'' | '_shared' | '_all'}`

export type GatewayFunctionName =
  | 'pg_sleep'
  | 'pg_cancel_backend'
  | 'pg_terminate_backend'
  | 'pg_notify'
  | 'pg_listening_channels'
  | 'set_config'
  | LockFunctionName

interface GatewayFunction {
  readonly result: number
  /** The types of the parameters of each overload. */
  readonly overloads: readonly (readonly number[])[]
}

/** A lock is named by a bigint or by two integers. */
const LOCK_KEYS = [[Oid.int8], [Oid.int4, Oid.int4]]
const takes: GatewayFunction = { result: Oid.void, overloads: LOCK_KEYS }
const tries: GatewayFunction = { result: Oid.bool, overloads: LOCK_KEYS }

/** Functions the gateway carries out, with PostgreSQL's types of their result and parameters. */
const FUNCTIONS: Readonly<Record<GatewayFunctionName, GatewayFunction>> = {
  pg_sleep: { result: Oid.void, overloads: [[Oid.float8]] },
  pg_cancel_backend: { result: Oid.bool, overloads: [[Oid.int4]] },
  pg_terminate_backend: { result: Oid.bool, overloads: [[Oid.int4], [Oid.int4, Oid.int8]] },
  pg_notify: { result: Oid.void, overloads: [[Oid.text, Oid.text]] },
  pg_listening_channels: { result: Oid.text, overloads: [[]] },
  set_config: { result: Oid.text, overloads: [[Oid.text, Oid.text, Oid.bool]] },
  pg_advisory_lock: takes,
  pg_advisory_lock_shared: takes,
  pg_advisory_xact_lock: takes,
  pg_advisory_xact_lock_shared: takes,
  pg_try_advisory_lock: tries,
  pg_try_advisory_lock_shared: tries,
  pg_try_advisory_xact_lock: tries,
  pg_try_advisory_xact_lock_shared: tries,
  pg_advisory_unlock: tries,
  pg_advisory_unlock_shared: tries,
  pg_advisory_unlock_all: { result: Oid.void, overloads: [[]] },
}

/** One call in a select list. */
export interface GatewayCall {
  readonly name: GatewayFunctionName
  /** Name of the result's column. */
  readonly label: string
  readonly resultOid: number
  readonly parameterOids: readonly number[]
  readonly args: readonly Node[]
  /** A SELECT of the arguments; null when there are none. */
  readonly argumentQuery: ParsedStatement | null
  /** The whole statement with the arguments, as one JSON array, in the call's place. */
  readonly argumentsInPlace: ParsedStatement
}

/** What a SELECT that calls the gateway consists of. */
export interface GatewayCalls {
  readonly calls: readonly GatewayCall[]
  /** Whether there is a FROM clause over system catalogs: the one call is made for each row. */
  readonly perRow: boolean
}

const MENTIONED = new RegExp(`\\b(${Object.keys(FUNCTIONS).join('|')})\\b`, 'i')

/**
 * The gateway calls that a SELECT consists of; null when it has none.
 *
 * 0A000 where one stands inside of a larger query. `set_config` with constant arguments may: it is
 * a session function there (session-function.ts).
 */
export function gatewayCalls(statement: ParsedStatement): GatewayCalls | null {
  if (!MENTIONED.test(statement.text)) return null
  const named = functionCalls(statement.tree).filter((call) => isGatewayFunction(nameOf(call)))
  if (named.length === 0) return null
  const select = nodeOf(statement.tree, 'SelectStmt') ?? {}
  const targets = listOf(select.targetList).map((item) => nodeOf(item, 'ResTarget') ?? {})
  const calls = targets.map((target) => nodeOf(target.val, 'FuncCall'))
  const isSimple =
    select.op === 'SETOP_NONE' && select.withClause === undefined && calls.length === named.length
  if (isSimple && calls.every((call) => call !== undefined && named.includes(call))) {
    const made = calls.map((call, i) => gatewayCall(statement, call ?? {}, targets[i] ?? {}))
    const isBare = select.fromClause === undefined && select.whereClause === undefined
    if (isBare) return { calls: made, perRow: false }
    if (made.length === 1 && routeRelations(statement) !== 'lake') {
      return { calls: made, perRow: true }
    }
  }
  const other = named.map(nameOf).find((name) => name !== 'set_config')
  if (other === undefined) return null
  throw notSupported(`${other} inside of a larger query`)
}

function isGatewayFunction(name: string): name is GatewayFunctionName {
  return Object.hasOwn(FUNCTIONS, name)
}

function functionCalls(tree: Node | null): Node[] {
  const found: Node[] = []
  walk(tree, (node) => {
    const call = nodeOf(node, 'FuncCall')
    if (call !== undefined) found.push(call)
    return true
  })
  return found
}

function nameOf(call: Node): string {
  return namesOf(call.funcname).at(-1) ?? ''
}

function gatewayCall(statement: ParsedStatement, call: Node, target: Node): GatewayCall {
  const name = nameOf(call) as GatewayFunctionName
  const { source, text } = statement
  const tokens = tokenize(text)
  const start = Buffer.from(text).toString('utf8', 0, Number(call.location ?? 0)).length
  const first = tokens.findIndex((token) => token.start >= start)
  let open = first
  while (tokens[open]?.text !== '(') open++
  let close = open
  for (let depth = 0; close < tokens.length; close++) {
    if (tokens[close]?.text === '(') depth++
    else if (tokens[close]?.text === ')' && --depth === 0) break
  }
  const from = tokens[open]?.end ?? 0
  const to = tokens[close]?.start ?? from
  const args = listOf(call.args)
  return {
    name,
    label: typeof target.name === 'string' ? target.name : name,
    resultOid: FUNCTIONS[name].result,
    parameterOids: overloadOf(name, args.length),
    args,
    argumentQuery:
      args.length === 0 ? null : reparse(statement, 'SELECT'.padEnd(from) + source.slice(from, to)),
    argumentsInPlace: reparse(
      statement,
      `${source.slice(0, start)}pg_catalog.jsonb_build_array${source.slice(tokens[open]?.start)}`,
    ),
  }
}

/** The types of that many parameters; 42883 when the function never takes as many. */
function overloadOf(name: GatewayFunctionName, count: number): readonly number[] {
  const found = FUNCTIONS[name].overloads.find((parameters) => parameters.length === count)
  if (found !== undefined) return found
  throw new SqlError(
    SqlState.undefinedFunction,
    `function ${name} with ${count} arguments does not exist`,
  )
}

function reparse(outer: ParsedStatement, source: string): ParsedStatement {
  const [inner = outer] = parseStatements(source)
  return { ...inner, start: outer.start + inner.start }
}
