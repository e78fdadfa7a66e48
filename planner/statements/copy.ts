/** COPY of a table or a query to the client; COPY FROM is copy-from.ts. */

import { quoteIdentifier } from '../../storage/engine.js'
import { assert, SqlError, SqlState } from '../../storage/errors.js'
import { copyFormat } from '../copy-options.js'
import { parseStatements, type ParsedStatement } from '../parse.js'
import type { Execution } from '../portal.js'
import { notSupported } from '../refusal.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { kindOf, listOf, namesOf, type Node } from '../syntax-tree.js'
import { wrappedStatement } from '../wrapped-statement.js'
import { copyFrom } from './copy-from.js'
import { openSelect } from './select.js'

export const COPY: StatementKind = { open: copy }

async function copy(call: StatementCall): Promise<Execution> {
  const { session, statement, fields, values, cancellation } = call
  if (fields.is_from === true) return copyFrom(call)
  if (fields.filename !== undefined || fields.is_program === true) {
    throw new SqlError(SqlState.insufficientPrivilege, 'permission denied to COPY to a file', {
      hint: "Use COPY … TO STDOUT or psql's \\copy.",
    })
  }
  const query =
    fields.query === undefined ? tableQuery(statement, fields) : wrappedStatement(statement)
  if (kindOf(query.tree ?? {}) !== 'SelectStmt') throw notSupported('COPY of this query')
  const execution = await openSelect(session, query, values, cancellation)
  const format = copyFormat(
    listOf(fields.options),
    execution.columns.map((column) => column.name),
  )
  return { ...execution, kind: 'copy-out', copy: format, tag: (rowCount) => `COPY ${rowCount}` }
}

/** COPY of a table is COPY of a SELECT over it. */
function tableQuery(statement: ParsedStatement, fields: Node): ParsedStatement {
  const range = fields.relation as Node
  const columns = namesOf(fields.attlist).map(quoteIdentifier).join(', ') || '*'
  const name = [range.schemaname, range.relname]
    .filter((part) => typeof part === 'string')
    .map((part) => quoteIdentifier(String(part)))
    .join('.')
  const [query] = parseStatements(`SELECT ${columns} FROM ${name}`)
  assert(query !== undefined, 'the text is a statement')
  return { ...query, start: statement.start }
}
