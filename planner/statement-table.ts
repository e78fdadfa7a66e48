/** Statement table: which file carries out which kind of statement; a new statement is one line here. */

import type { ParsedStatement } from './parse.js'
import { notSupported } from './refusal.js'
import type { LakeCommand } from './lake-syntax.js'
import type { SessionContext } from './session-context.js'
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
import { ALTER_DEFAULT_PRIVILEGES, GRANT, GRANT_ROLE } from './statements/grant.js'
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
import { ALTER_OWNER, DROP_OWNED, REASSIGN_OWNED } from './statements/owner.js'
import { ALTER_ROLE, ALTER_ROLE_SET, CREATE_ROLE, DROP_ROLE } from './statements/role.js'
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
  ['CreateRoleStmt', CREATE_ROLE],
  ['AlterRoleStmt', ALTER_ROLE],
  ['AlterRoleSetStmt', ALTER_ROLE_SET],
  ['DropRoleStmt', DROP_ROLE],
  ['GrantStmt', GRANT],
  ['GrantRoleStmt', GRANT_ROLE],
  ['AlterDefaultPrivilegesStmt', ALTER_DEFAULT_PRIVILEGES],
  ['AlterOwnerStmt', ALTER_OWNER],
  ['ReassignOwnedStmt', REASSIGN_OWNED],
  ['DropOwnedStmt', DROP_OWNED],
  ['LockStmt', LOCK],
  ['IndexStmt', CREATE_INDEX],
])

/** Statements that touch nothing which privileges protect. */
const ANYONES: ReadonlySet<string> = new Set([
  'TransactionStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'FetchStmt',
  'ClosePortalStmt',
  'DeallocateStmt',
  'DiscardStmt',
  'ListenStmt',
  'UnlistenStmt',
  'NotifyStmt',
])

/** The kinds of statements there are, each with whether it asks for privileges or needs none. */
export function statementAccess(): ReadonlyMap<string, 'checked' | 'anyone' | 'superuser'> {
  const commands = [...CHECKED_COMMANDS].map((kind) => [kind, 'checked'] as const)
  const statements = [...STATEMENTS.keys()].map((kind) => {
    const access = CHECKED.has(kind) ? 'checked' : ANYONES.has(kind) ? 'anyone' : 'superuser'
    return [kind, access] as const
  })
  return new Map([...statements, ...commands])
}

/** Statements that ask for privileges where they find their tables, views, layers and roles. */
const CHECKED: ReadonlySet<string> = new Set([
  'SelectStmt',
  'DeclareCursorStmt',
  'PrepareStmt',
  'ExecuteStmt',
  'CopyStmt',
  'ExplainStmt',
  'ViewStmt',
  'CreateSchemaStmt',
  'CreateStmt',
  'CreateTableAsStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'DropStmt',
  'TruncateStmt',
  'AlterTableStmt',
  'RenameStmt',
  'AlterObjectSchemaStmt',
  'CommentStmt',
  'VacuumStmt',
  'CreateRoleStmt',
  'AlterRoleStmt',
  'AlterRoleSetStmt',
  'DropRoleStmt',
  'GrantStmt',
  'GrantRoleStmt',
  'AlterDefaultPrivilegesStmt',
  'AlterOwnerStmt',
  'ReassignOwnedStmt',
  'DropOwnedStmt',
])

/** The same of the lake's own commands. */
const CHECKED_COMMANDS: ReadonlySet<LakeCommand['kind']> = new Set([
  'optimize',
  'analyze',
  'clone',
  'copy-into',
  'reorg',
  'vacuum',
  'restore',
  'create-layer',
  'drop-layer',
  'undrop-table',
  'cluster-table',
  'describe-layer',
  'show-layers',
  'show-dropped',
  'describe-history',
  'describe-detail',
  'describe-table',
  'show-properties',
])

/**
 * 42501 for a statement of a kind that is in none of these lists, but for superusers.
 *
 * A new kind is theirs alone until somebody has said how it asks for privileges.
 */
export async function requirePermitted(
  { tree, lakeCommand }: ParsedStatement,
  session: SessionContext,
): Promise<void> {
  const kind = tree === null ? (lakeCommand?.kind ?? '') : kindOf(tree)
  const isKnown =
    tree === null
      ? lakeCommand === null || CHECKED_COMMANDS.has(lakeCommand.kind)
      : ANYONES.has(kind) || CHECKED.has(kind) || !STATEMENTS.has(kind)
  if (isKnown) return
  await session.access.requireSuperuser('permission denied to execute this statement')
}

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
