/** Statement table: which file carries out which kind of statement; a new statement is one line here. */

import type { ParsedStatement } from './parse.js'
import { notSupported } from './refusal.js'
import type { StatementKind } from './statement-kind.js'
import { ALTER_TABLE, COMMENT, RENAME, SET_SCHEMA } from './statements/alter.js'
import { DELETE, UPDATE } from './statements/change.js'
import { COPY } from './statements/copy.js'
import { CREATE_TABLE } from './statements/create-table.js'
import { CREATE_TABLE_AS } from './statements/create-table-as.js'
import { CLOSE, DECLARE, FETCH } from './statements/cursor.js'
import { DISCARD } from './statements/discard.js'
import { DROP } from './statements/drop.js'
import { EXPLAIN } from './statements/explain.js'
import { INSERT } from './statements/insert.js'
import { LAKE_COMMAND } from './statements/lake-command.js'
import { MERGE } from './statements/merge.js'
import { CREATE_INDEX, LOCK } from './statements/lock.js'
import { LISTEN, NOTIFY, UNLISTEN } from './statements/notification.js'
import { DEALLOCATE, EXECUTE, PREPARE } from './statements/prepare.js'
import { CREATE_SCHEMA } from './statements/schema.js'
import { SELECT } from './statements/select.js'
import { SET, SHOW } from './statements/set.js'
import { TRUNCATE } from './statements/temporary-table.js'
import { TRANSACTION } from './statements/transaction.js'
import { VACUUM } from './statements/vacuum.js'
import { CREATE_VIEW } from './statements/view.js'
import { kindOf } from './syntax-tree.js'

/** By the kind of the tree's root node. */
const STATEMENTS: ReadonlyMap<string, StatementKind> = new Map([
  ['SelectStmt', SELECT],
  ['TransactionStmt', TRANSACTION],
  ['VariableSetStmt', SET],
  ['VariableShowStmt', SHOW],
  ['DeclareCursorStmt', DECLARE],
  ['FetchStmt', FETCH],
  ['ClosePortalStmt', CLOSE],
  ['PrepareStmt', PREPARE],
  ['ExecuteStmt', EXECUTE],
  ['DeallocateStmt', DEALLOCATE],
  ['DiscardStmt', DISCARD],
  ['ListenStmt', LISTEN],
  ['UnlistenStmt', UNLISTEN],
  ['NotifyStmt', NOTIFY],
  ['CopyStmt', COPY],
  ['ExplainStmt', EXPLAIN],
  ['ViewStmt', CREATE_VIEW],
  ['CreateSchemaStmt', CREATE_SCHEMA],
  ['CreateStmt', CREATE_TABLE],
  ['CreateTableAsStmt', CREATE_TABLE_AS],
  ['InsertStmt', INSERT],
  ['UpdateStmt', UPDATE],
  ['DeleteStmt', DELETE],
  ['MergeStmt', MERGE],
  ['DropStmt', DROP],
  ['TruncateStmt', TRUNCATE],
  ['AlterTableStmt', ALTER_TABLE],
  ['RenameStmt', RENAME],
  ['AlterObjectSchemaStmt', SET_SCHEMA],
  ['CommentStmt', COMMENT],
  ['VacuumStmt', VACUUM],
  ['LockStmt', LOCK],
  ['IndexStmt', CREATE_INDEX],
])

/** How a statement is described and executed; one of no known kind is refused (0A000) when executed. */
export function statementKind(statement: ParsedStatement): StatementKind {
  if (statement.tree === null) return LAKE_COMMAND
  const kind = kindOf(statement.tree)
  return STATEMENTS.get(kind) ?? unsupported(kind)
}

function unsupported(kind: string): StatementKind {
  return {
    open: () => {
      throw notSupported(
        kind
          .replace(/Stmt$/, '')
          .replace(/([a-z])([A-Z])/g, '$1 $2')
          .toUpperCase(),
      )
    },
  }
}
