/** Identifier length: names longer than PostgreSQL keeps are cut, and the client is told. */

import { SqlState } from '../storage/errors.js'
import { identifierName, tokenize } from './lexer.js'
import type { ParsedStatement } from './parse.js'

/** Bytes of a name; `max_identifier_length`. */
const NAME_BYTES_MAX = 63

/** A run that may be a name of more than 63 bytes, of which a character has three at most. */
const LONG_NAME = /[\w$\u0080-\uffff]{22}|"[^"]{22}/

/** Tells of every name in the statement that the parser has cut (NOTICE 42622). */
export function noticeTruncatedNames(
  statement: ParsedStatement,
  client: { notice(sqlState: SqlState, message: string): void },
): void {
  // DuckDB keeps names of any length.
  if (statement.engineQuery !== undefined || !LONG_NAME.test(statement.text)) return
  for (const token of tokenize(statement.text)) {
    if (token.kind !== 'identifier' && token.kind !== 'quoted') continue
    if (token.end - token.start < NAME_BYTES_MAX / 3) continue
    const name = identifierName(token)
    const kept = truncateName(name)
    if (kept === name) continue
    client.notice(SqlState.nameTooLong, `identifier "${name}" will be truncated to "${kept}"`)
  }
}

/** The longest beginning of `name` that is whole characters in 63 bytes of UTF-8. */
export function truncateName(name: string): string {
  const bytes = Buffer.from(name)
  if (bytes.length <= NAME_BYTES_MAX) return name
  let end = NAME_BYTES_MAX
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}
