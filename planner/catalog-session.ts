/** CatalogSession of a session: what catalog queries are handed about it. */

import { SESSION_SETTINGS_NAME } from '../catalog/settings-overlay.js'
import { SHADOW_DATABASE_OID, type ShadowChange, type ShadowRelation } from '../catalog/shadow.js'
import { assignOids } from '../catalog/shadow-oid.js'
import { SchemaNames, temporaryRelation } from './shadow-relation.js'
import {
  ACTIVITY_NAME,
  FACTS_NAME,
  LOCKS_NAME,
  type SessionFactsJson,
} from '../catalog/shadow-overlay-names.js'
import { UNRESTRICTED } from './access-control.js'
import type { CatalogSession } from './catalog-query.js'
import type { MirrorSource, ViewColumn } from './lake-mirror.js'
import { parseStatements } from './parse.js'
import { analyze } from './query.js'
import type { SessionContext } from './session-context.js'
import { timestampText } from './session-activity.js'
import { TransactionBlock } from './transaction-block.js'
import { quoteIdentifier } from '../storage/engine.js'
import { SqlError } from '../storage/errors.js'

/** What queries over system catalogs need of the session. */
export function catalogSessionOf(session: SessionContext): CatalogSession {
  const { gateway, settings } = session
  return {
    gateway,
    user: session.sessionUser,
    settings,
    hasTemporaryTable: (name) => session.temporary.find(name) !== undefined,
    mirrorSource: mirrorSourceOf(session),
    ownRelations: () => ownRelationsOf(session),
    handovers: new Map<string, () => string | Promise<string>>([
      [SESSION_SETTINGS_NAME, () => JSON.stringify(settings.rows())],
      [FACTS_NAME, () => JSON.stringify(factsOf(session))],
      [ACTIVITY_NAME, async () => JSON.stringify(await activityFor(session))],
      [LOCKS_NAME, () => JSON.stringify(gateway.advisoryLocks.rows(SHADOW_DATABASE_OID))],
    ]),
  }
}

function factsOf({ gateway, processId, client, block }: SessionContext): SessionFactsJson {
  return {
    pid: processId,
    client_addr: client.clientAddress,
    client_port: client.clientPort,
    server_addr: client.serverAddress,
    server_port: client.serverPort,
    started: timestampText(gateway.startedMs) ?? '',
    database_bytes: gateway.mirror.sizeBytes,
    xid: String(block?.transactionId(gateway) ?? 0),
  }
}

/** What all sessions are doing; of roles whose privileges the session lacks, that they are there. */
async function activityFor({ gateway, access }: SessionContext): Promise<readonly object[]> {
  const rows = gateway.activity()
  if (access.isUnlimited || (await access.hasRole('pg_read_all_stats'))) return rows
  const { access: state, id } = await access.actor()
  return rows.map((row) => {
    if (row.usesysid !== null && state.roles.hasPrivilegesOf(id, row.usesysid)) return row
    const { pid, datid, usesysid } = row
    return { pid, datid, usesysid, query: '<insufficient privilege>' }
  })
}

/** What the open block has changed in the catalog, and the session's temporary tables. */
async function ownRelationsOf(session: SessionContext): Promise<ShadowChange | null> {
  const { block, gateway, temporary, processId } = session
  const change =
    block?.changesCatalog === true
      ? await gateway.mirror.difference(blockSourceOf(session, block))
      : null
  if (temporary.all.length === 0) return change
  const keys = new Set<string>()
  const build = (number: (part: string) => number): readonly ShadowRelation[] => {
    const fresh = new SchemaNames()
    return temporary.all.flatMap((table) => {
      if (!fresh.take(table.name)) return []
      const id = `temporary:${gateway.startedMs}:${processId}:${table.storage.createdBy}`
      return [
        temporaryRelation(table, {
          schemaOid: 0,
          name: table.name,
          names: fresh,
          number: (part) => number(`${id} ${part}`),
        }),
      ]
    })
  }
  build((key) => {
    keys.add(key)
    return 0
  })
  const oids = assignOids(keys)
  return {
    removed: change?.removed ?? [],
    schemas: change?.schemas ?? null,
    relations: [...(change?.relations ?? []), ...build((key) => oids.get(key) ?? 0)],
    counts: [],
    privileges: null,
    temporarySchema: `pg_temp_${processId}`,
  }
}

/** The lake as the open block sees it. */
function blockSourceOf(session: SessionContext, block: TransactionBlock): MirrorSource {
  const { gateway } = session
  const catalog = block.catalog(gateway)
  return {
    ...mirrorSourceOf(session),
    catalog,
    madeTables: block.definedTables.filter((table) => block.changeOf(table.path)?.creates === true),
    snapshotOf: async ({ path }) =>
      block.changeOf(path)?.snapshot(gateway.store) ?? gateway.snapshots.latest(path),
  }
}

/** The lake as everybody sees it. */
function mirrorSourceOf(session: SessionContext): MirrorSource {
  const { gateway } = session
  return {
    catalog: gateway.catalog,
    snapshotOf: ({ path }) => gateway.snapshots.latest(path),
    privileges: () => gateway.shadowPrivileges(),
    describeView: async (view) => {
      const name = `${quoteIdentifier(view.layer)}.${quoteIdentifier(view.name)}`
      const [statement] = parseStatements(`SELECT * FROM ${name}`)
      if (statement === undefined) return null
      const context = {
        ...session.queryContext(),
        // As everybody sees it: neither with what this session's block changed nor in the past.
        block: new TransactionBlock(false, [], () => true),
        catalog: gateway.catalog,
        temporaryTable: () => undefined,
        access: UNRESTRICTED,
      }
      try {
        return await session.pool.with(async (connection): Promise<readonly ViewColumn[]> => {
          const analyzed = await analyze(statement, [], [], context, connection, false)
          return analyzed.query.columns
        })
      } catch (thrown) {
        if (!(thrown instanceof SqlError)) throw thrown
        return null
      }
    },
  }
}
