/** ALTER TABLE, ALTER VIEW and COMMENT ON. */

import type { Relation } from '../../catalog/catalog.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { renameColumn } from '../alter-columns.js'
import { renameConstraint } from '../alter-constraints.js'
import { type Alteration, alterationOf, renamedColumn, runAlteration } from '../alter-table.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported, undefinedRelation } from '../refusal.js'
import { renameRelation, viewsNaming } from '../rename-relation.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { changeRelationOwner } from './owner.js'
import { renameRole } from './role.js'
import { listOf, namesOf, type Node, nodeOf, stringOf } from '../syntax-tree.js'
import { findTarget } from '../write-target.js'
import { temporaryTableNamed } from './temporary-table.js'

export const ALTER_TABLE: StatementKind = { open: alterTable }

export const RENAME: StatementKind = { open: rename }

export const SET_SCHEMA: StatementKind = { open: setSchema }

export const COMMENT: StatementKind = { open: comment }

type Target = Pick<Alteration, 'table' | 'snapshot'>

/** The table a RangeVar's fields name; null when there is none and it may be missing. */
async function targetOf(
  { session, statement }: StatementCall,
  range: Node,
  missingOk: boolean,
  action: string,
): Promise<Target | null> {
  const name = [range.schemaname, range.relname].filter((part) => part !== undefined).map(String)
  if (temporaryTableNamed(session, name) !== undefined) {
    throw notSupported('ALTER of temporary tables')
  }
  const context = session.queryContext()
  const found = await session.access.resolve(session.catalog, name, context.searchPath)
  if (found?.kind === 'view') {
    throw new SqlError(
      SqlState.wrongObjectType,
      `${action} cannot be performed on relation "${name.at(-1)}"`,
      { detail: 'This operation is not supported for views.' },
    )
  }
  try {
    return await findTarget(range, context, statement.start, 'owner')
  } catch (thrown) {
    const isMissing = thrown instanceof SqlError && thrown.sqlState === SqlState.undefinedTable
    if (!isMissing || !missingOk) throw thrown
    session.notice(
      SqlState.successfulCompletion,
      `relation "${name.at(-1)}" does not exist, skipping`,
    )
    return null
  }
}

async function run(call: StatementCall, alteration: Alteration): Promise<void> {
  const { session, statement, cancellation } = call
  try {
    const context = session.queryContext()
    for (const { sqlState, message } of await runAlteration(
      alteration,
      statement,
      context,
      cancellation,
    )) {
      session.notice(sqlState, message)
    }
  } catch (thrown) {
    // A statement in a lakehouse's words was put into others: places in them mean nothing.
    const isRewritten = statement.text !== statement.source
    throw thrown instanceof SqlError && isRewritten ? thrown.at(undefined) : thrown
  }
}

async function alterTable(call: StatementCall): Promise<Execution> {
  const { session, fields } = call
  const tag = fields.objtype === 'OBJECT_VIEW' ? 'ALTER VIEW' : 'ALTER TABLE'
  const isOwnerOnly = listOf(fields.cmds).every(
    (node) => nodeOf(node, 'AlterTableCmd')?.subtype === 'AT_ChangeOwner',
  )
  if (fields.objtype !== 'OBJECT_TABLE' && !(fields.objtype === 'OBJECT_VIEW' && isOwnerOnly)) {
    const kind = String(fields.objtype).replace('OBJECT_', '').replaceAll('_', ' ')
    throw notSupported(`ALTER ${kind} with these actions`)
  }
  session.requireWritable(tag)
  const commands = listOf(fields.cmds).map((node) => nodeOf(node, 'AlterTableCmd') ?? {})
  const newOwner = commands.find(({ subtype }) => subtype === 'AT_ChangeOwner')
  if (newOwner !== undefined) {
    if (commands.length > 1) throw notSupported('OWNER TO beside other actions')
    await changeOwner(call, newOwner.newowner, tag)
    return command(tag)
  }
  const target = await targetOf(
    call,
    fields.relation as Node,
    fields.missing_ok === true,
    'ALTER action',
  )
  if (target !== null) {
    await run(call, alterationOf(listOf(fields.cmds), target.table, target.snapshot))
  }
  return command(tag)
}

async function changeOwner(call: StatementCall, owner: unknown, tag: string): Promise<void> {
  const { session, fields } = call
  const range = fields.relation as Node
  const name = [range.schemaname, range.relname].filter((part) => part !== undefined).map(String)
  if (temporaryTableNamed(session, name) !== undefined) {
    throw notSupported('ALTER of temporary tables')
  }
  const path = session.settings.searchPath()
  const found = await session.access.resolve(session.catalog, name, path)
  if (found === null) {
    if (fields.missing_ok !== true) throw undefinedRelation(name)
    session.notice(
      SqlState.successfulCompletion,
      `relation "${name.at(-1)}" does not exist, skipping`,
    )
    return
  }
  if (found.kind === 'table' && fields.objtype === 'OBJECT_VIEW') {
    throw new SqlError(SqlState.wrongObjectType, `"${name.at(-1)}" is not a view`)
  }
  await changeRelationOwner(session, found, owner, tag)
}

async function rename(call: StatementCall): Promise<Execution> {
  const { session, fields } = call
  const [from, to] = [String(fields.subname), String(fields.newname)]
  const missingOk = fields.missing_ok === true
  const range = fields.relation as Node
  session.requireWritable('ALTER TABLE')
  if (fields.renameType === 'OBJECT_ROLE') return renameRole(call)
  if (fields.renameType === 'OBJECT_COLUMN' && fields.relationType === 'OBJECT_TABLE') {
    const target = await targetOf(call, range, missingOk, 'RENAME COLUMN')
    if (target !== null) {
      await run(call, {
        ...target,
        operation: 'RENAME COLUMN',
        dependentView: renamedColumn,
        change: (draft) => renameColumn(draft, from, to),
      })
    }
    return command('ALTER TABLE')
  }
  if (fields.renameType === 'OBJECT_TABCONSTRAINT') {
    const target = await targetOf(call, range, missingOk, 'RENAME CONSTRAINT')
    if (target !== null) {
      await run(call, {
        ...target,
        operation: 'RENAME CONSTRAINT',
        change: (draft) => renameConstraint(draft, from, to),
      })
    }
    return command('ALTER TABLE')
  }
  if (fields.renameType === 'OBJECT_COLUMN' && fields.relationType === 'OBJECT_VIEW') {
    const found = await relationOf(call, range, missingOk, 'OBJECT_VIEW')
    if (found?.kind === 'view') await renameViewColumn(call, found, from, to)
    return command('ALTER VIEW')
  }
  if (fields.renameType === 'OBJECT_TABLE' || fields.renameType === 'OBJECT_VIEW') {
    const tag = fields.renameType === 'OBJECT_TABLE' ? 'ALTER TABLE' : 'ALTER VIEW'
    const found = await relationOf(call, range, missingOk, fields.renameType)
    if (found !== null) {
      await session.access.requireLayer(layerOf(found), 'CREATE')
      await renameRelation(found, layerOf(found), to, session.queryContext())
    }
    return command(tag)
  }
  throw notSupported('renaming this kind of object')
}

async function setSchema(call: StatementCall): Promise<Execution> {
  const { session, fields } = call
  const kind = fields.objectType
  session.requireWritable('ALTER TABLE')
  if (kind !== 'OBJECT_TABLE' && kind !== 'OBJECT_VIEW') {
    throw notSupported('SET SCHEMA of this kind of object')
  }
  const range = fields.relation as Node
  const found = await relationOf(call, range, fields.missing_ok === true, kind)
  const layer = String(fields.newschema)
  if (found !== null && layer !== layerOf(found)) {
    const name = found.kind === 'table' ? found.table.name : found.view.name
    if ((await session.catalog.layers()).includes(layer)) {
      await session.access.requireLayer(layer, 'CREATE')
    }
    await renameRelation(found, layer, name, session.queryContext())
  }
  return command(kind === 'OBJECT_TABLE' ? 'ALTER TABLE' : 'ALTER VIEW')
}

function layerOf(relation: Relation): string {
  return relation.kind === 'table' ? relation.table.layer : relation.view.layer
}

/**
 * The relation that is to get another name; null when there is none and it may be missing.
 *
 * A block keeps the new name to itself until COMMIT.
 */
async function relationOf(
  { session, statement }: StatementCall,
  range: Node,
  missingOk: boolean,
  kind: 'OBJECT_TABLE' | 'OBJECT_VIEW',
): Promise<Relation | null> {
  const name = [range.schemaname, range.relname].filter((part) => part !== undefined).map(String)
  if (temporaryTableNamed(session, name) !== undefined) {
    throw notSupported('ALTER of temporary tables')
  }
  const catalog = await session.changingCatalog()
  const path = session.settings.searchPath()
  const found = await session.access.resolve(catalog, name, path)
  if (found?.kind === 'table' && kind === 'OBJECT_VIEW') {
    throw new SqlError(SqlState.wrongObjectType, `"${name.at(-1)}" is not a view`)
  }
  if (found !== null) {
    await session.access.requireOwner(found)
    return found
  }
  if (!missingOk) {
    const location = typeof range.location === 'number' ? range.location : 0
    throw undefinedRelation(name).at(statement.start + location + 1)
  }
  session.notice(
    SqlState.successfulCompletion,
    `relation "${name.at(-1)}" does not exist, skipping`,
  )
  return null
}

async function renameViewColumn(
  { session }: StatementCall,
  relation: Extract<Relation, { kind: 'view' }>,
  from: string,
  to: string,
): Promise<void> {
  const { view } = relation
  const at = view.columns.indexOf(from)
  if (at < 0) throw new SqlError(SqlState.undefinedColumn, `column "${from}" does not exist`)
  if (view.columns.includes(to)) {
    throw new SqlError(
      SqlState.duplicateColumn,
      `column "${to}" of relation "${view.name}" already exists`,
    )
  }
  const [dependent] = await viewsNaming(relation, session.queryContext())
  if (dependent !== undefined) {
    const { layer, name } = dependent.view
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      `cannot alter view ${view.name} because other objects depend on it`,
      { detail: `view ${layer}.${name} depends on view ${view.name}` },
    )
  }
  const columns = view.columns.with(at, to)
  await session.catalog.createView({ ...view, columns }, true)
}

async function comment(call: StatementCall): Promise<Execution> {
  const { session, fields } = call
  session.requireWritable('COMMENT')
  const text = typeof fields.comment === 'string' && fields.comment !== '' ? fields.comment : null
  const path = session.settings.searchPath()
  const { objtype } = fields
  const isNamed = objtype === 'OBJECT_SCHEMA' || objtype === 'OBJECT_VIEW'
  const catalog = isNamed ? await session.changingCatalog() : session.catalog
  switch (fields.objtype) {
    case 'OBJECT_SCHEMA': {
      const layer = stringOf(fields.object) ?? ''
      if ((await catalog.layers()).includes(layer)) await session.access.requireLayerOwner(layer)
      await catalog.comment(layer, null, text)
      break
    }
    case 'OBJECT_VIEW': {
      const name = namesOf(nodeOf(fields.object, 'List')?.items)
      const found = await session.access.resolve(catalog, name, path)
      if (found === null) throw undefinedRelation(name)
      await session.access.requireOwner(found)
      if (found.kind === 'table') {
        throw new SqlError(SqlState.wrongObjectType, `"${name.at(-1)}" is not a view`)
      }
      await catalog.comment(found.view.layer, found.view.name, text)
      break
    }
    case 'OBJECT_TABLE':
    case 'OBJECT_COLUMN':
      await commentOnTable(call, text)
      break
    default:
      throw notSupported(
        `COMMENT ON ${String(fields.objtype).replace('OBJECT_', '').replaceAll('_', ' ')}`,
      )
  }
  return command('COMMENT')
}

async function commentOnTable(call: StatementCall, text: string | null): Promise<void> {
  const { fields } = call
  const names = namesOf(nodeOf(fields.object, 'List')?.items)
  const column = fields.objtype === 'OBJECT_COLUMN' ? (names.pop() ?? '') : undefined
  const [relname, schemaname] = [names.at(-1), names.at(-2)]
  const range: Node = { relname, ...(schemaname === undefined ? {} : { schemaname }) }
  if (column !== undefined) {
    const { session } = call
    const path = session.settings.searchPath()
    const found = await session.access.resolve(session.catalog, names, path)
    if (found !== null) await session.access.requireOwner(found, `relation ${relname}`)
  }
  const target = await targetOf(call, range, false, 'COMMENT')
  if (target === null) return
  await run(call, {
    ...target,
    operation: column === undefined ? 'SET TBLPROPERTIES' : 'CHANGE COLUMN',
    change: (draft) => {
      if (column === undefined) draft.description = text
      else draft.setMetadata(draft.column(column), 'comment', text ?? undefined)
    },
  })
}
