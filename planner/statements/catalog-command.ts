/** CREATE, DROP, DESCRIBE LAYER, SHOW LAYERS, UNDROP TABLE, SHOW TABLES DROPPED and CLUSTER BY. */

import { Oid } from '../../catalog/pg-types.js'
import type { Layer } from '../../catalog/layer.js'
import { scalarType } from '../../storage/engine-type.js'
import type { Scalar } from '../../storage/engine-value.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import type { CatalogCommand } from '../catalog-command.js'
import { clusterTable } from '../cluster-table.js'
import { notOwner } from '../access-control.js'
import { layerDefaults } from '../layer-options.js'
import type { Execution } from '../portal.js'
import { command, computedColumn, readyRows, textColumn } from '../ready-rows.js'
import type { ResultColumn } from '../result.js'
import type { SessionContext } from '../session-context.js'
import { findTarget } from '../write-target.js'
import { dropLayers } from './drop.js'

export async function runCatalogCommand(
  session: SessionContext,
  given: CatalogCommand,
): Promise<Execution> {
  switch (given.kind) {
    case 'create-layer':
      return createLayer(session, given)
    case 'drop-layer':
      return dropLayers(session, given.names, given.missingOk, given.cascade, 'DROP LAYER')
    case 'undrop-table':
      return undropTable(session, given.name)
    case 'cluster-table':
      return cluster(session, given)
    default:
      return readyRows(catalogColumns(given) ?? [], await rowsOf(session, given))
  }
}

async function createLayer(
  session: SessionContext,
  { name, ifNotExists, after, options }: Extract<CatalogCommand, { kind: 'create-layer' }>,
): Promise<Execution> {
  session.requireWritable('CREATE LAYER')
  const { gateway, access } = session
  await access.requireDatabase('CREATE', gateway.database)
  const defaults = layerDefaults(options)
  try {
    const catalog = await session.changingCatalog()
    await catalog.createLayer(name, after, defaults, await access.owner())
  } catch (thrown) {
    const exists = thrown instanceof SqlError && thrown.sqlState === SqlState.duplicateSchema
    if (!exists || !ifNotExists) throw thrown
    session.notice(SqlState.duplicateSchema, `schema "${name}" already exists, skipping`)
  }
  return command('CREATE LAYER')
}

async function undropTable(session: SessionContext, name: readonly string[]): Promise<Execution> {
  session.requireWritable('UNDROP TABLE')
  const { access } = session
  const path = await access.usable(session.settings.searchPath())
  if (!(await access.isSuperuser())) await requireDropped(session, name, path)
  const catalog = await session.changingCatalog()
  await catalog.undropTable(name, path)
  return command('UNDROP TABLE')
}

/** 42501 unless the table dropped last under that name was the session's, and may be made again. */
async function requireDropped(
  { access, gateway }: SessionContext,
  name: readonly string[],
  searchPath: readonly string[],
): Promise<void> {
  const layers = name.length > 1 ? [name.at(-2) ?? ''] : searchPath
  const all = await gateway.catalog.dropped()
  const found = all.findLast((one) => one.name === name.at(-1) && layers.includes(one.layer))
  if (found === undefined) return
  const { access: state, id } = await access.actor()
  const object = { kind: 'table', path: found.path, id: found.id } as const
  if (!state.isOwner(object, id)) throw notOwner(`table ${found.name}`)
  await access.requireLayer(found.layer, 'CREATE')
}

async function cluster(
  session: SessionContext,
  { name, columns, missingOk }: Extract<CatalogCommand, { kind: 'cluster-table' }>,
): Promise<Execution> {
  session.requireWritable('ALTER TABLE')
  const context = session.queryContext()
  const [relname, schemaname] = [name.at(-1), name.at(-2)]
  const range = { relname, ...(schemaname === undefined ? {} : { schemaname }) }
  try {
    clusterTable(await findTarget(range, context, undefined, 'owner'), columns, context)
  } catch (thrown) {
    const isMissing = thrown instanceof SqlError && thrown.sqlState === SqlState.undefinedTable
    if (!isMissing || !missingOk) throw thrown
    session.notice(SqlState.successfulCompletion, `relation "${relname}" does not exist, skipping`)
  }
  return command('ALTER TABLE')
}

async function rowsOf(
  session: SessionContext,
  given: Extract<CatalogCommand, { kind: 'describe-layer' | 'show-layers' | 'show-dropped' }>,
): Promise<readonly Scalar[][]> {
  const { catalog } = session
  if (given.kind === 'show-dropped') {
    const dropped = await catalog.dropped()
    return dropped.map(({ layer, name, path, droppedMs }) => [
      layer,
      name,
      path,
      droppedMs === undefined ? null : BigInt(droppedMs) * 1000n,
    ])
  }
  const layers = await catalog.layerDefinitions()
  const tables = await catalog.tables()
  const countOf = (layer: Layer): number =>
    tables.filter((table) => table.layer === layer.name).length
  if (given.kind === 'show-layers') {
    return layers.map((layer) => [layer.name, layer.rank, BigInt(countOf(layer))])
  }
  const layer = layers.find(({ name }) => name === given.name)
  if (layer === undefined) {
    throw new SqlError(SqlState.invalidSchemaName, `layer "${given.name}" does not exist`)
  }
  const previous = layers.find(({ rank }) => rank !== null && rank + 1 === layer.rank)
  return [
    ['name', layer.name],
    ['rank', layer.rank === null ? null : String(layer.rank)],
    ['after', layer.rank === null ? null : (previous?.name ?? null)],
    ['comment', await catalog.commentOn(layer.name, null)],
    ['tables', String(countOf(layer))],
    ['partition_by', listed(layer.partitionColumns)],
    ['required_columns', listed(layer.requiredColumns)],
    ...Object.entries(layer.properties)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name, value]),
  ]
}

function listed(names: readonly string[]): string | null {
  return names.length === 0 ? null : names.join(', ')
}

/** The columns of those commands that give rows; null for the others. */
export function catalogColumns({ kind }: CatalogCommand): readonly ResultColumn[] | null {
  switch (kind) {
    case 'describe-layer':
      return ['property', 'value'].map(textColumn)
    case 'show-layers':
      return [
        textColumn('layer'),
        computedColumn('rank', Oid.int4, scalarType('INTEGER')),
        computedColumn('tables', Oid.int8, scalarType('BIGINT')),
      ]
    case 'show-dropped':
      return [
        ...['layer', 'table', 'location'].map(textColumn),
        computedColumn('dropped_at', Oid.timestamptz, scalarType('TIMESTAMPTZ')),
      ]
    default:
      return null
  }
}
