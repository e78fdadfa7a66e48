/** StatementKind: what a session does with the statements of one kind. */

import { pgType, Oid, type PgType } from '../catalog/pg-types.js'
import type { Cancellation } from '../storage/cancellation.js'
import type { EngineValue } from '../storage/engine-value.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import { parameterCount } from './query.js'
import type { StatementDescription } from './session.js'
import type { SessionContext } from './session-context.js'
import type { Node } from './syntax-tree.js'

/** A statement that is to be described. */
export interface StatementShape {
  readonly session: SessionContext
  readonly statement: ParsedStatement
  /** Fields of the tree's root node; empty for a lake command. */
  readonly fields: Node
  /** Types the client gives the parameters; 0 and absent ones are inferred. */
  readonly oids: readonly number[]
}

/** A statement that is to be executed. */
export interface StatementCall {
  readonly session: SessionContext
  readonly statement: ParsedStatement
  readonly fields: Node
  readonly values: readonly EngineValue[]
  /** Types the parameters were described with; empty where the values alone tell. */
  readonly oids: readonly number[]
  /** Format codes the rows will be asked for in; undefined when that is not known yet. */
  readonly formats?: readonly (0 | 1)[] | undefined
  readonly cancellation: Cancellation
}

/** One entry of the table of statements; see statement-table.ts. */
export interface StatementKind {
  /** Types of parameters and columns, without executing; absent: there are no rows. */
  readonly describe?: (
    shape: StatementShape,
  ) => StatementDescription | Promise<StatementDescription>
  /** Executes, or begins to: rows are pulled later. */
  readonly open: (call: StatementCall) => Execution | Promise<Execution>
}

/** The parameters of a statement that gives no hint of their types: as declared, else text. */
export function declaredParameters({ statement, oids }: StatementShape): readonly PgType[] {
  const count = statement.tree === null ? 0 : parameterCount(statement)
  return Array.from({ length: count }, (_, i) => pgType((oids[i] ?? 0) || Oid.text))
}
