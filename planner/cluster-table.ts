/** ClusterTable: ALTER TABLE … CLUSTER BY. */

import {
  CLUSTERING_DOMAIN,
  clusteringColumns,
  clusteringConfiguration,
} from '../storage/clustering.js'
import { raiseProtocol } from '../storage/table-protocol.js'
import type { QueryContext } from './query.js'
import { TableChange } from './table-change.js'
import type { findTarget } from './write-target.js'

/**
 * Makes `columns` those that the table is clustered by from now on; none ends the clustering.
 *
 * Rows that are there stay where they are until OPTIMIZE moves them. 42703, 42701 and 42P17 as for
 * `clusteringConfiguration`.
 */
export function clusterTable(
  { table, snapshot }: Awaited<ReturnType<typeof findTarget>>,
  columns: readonly string[],
  context: QueryContext,
): void {
  const before = clusteringColumns(snapshot)
  if (before === null && columns.length === 0) return
  const configuration = clusteringConfiguration(snapshot, columns)
  const change = context.block.changing(
    table,
    'ALTER TABLE',
    () => new TableChange(table, snapshot),
  )
  const protocol = raiseProtocol(snapshot.protocol, {
    schema: snapshot.schema,
    configuration: snapshot.metadata.configuration,
    domains: [CLUSTERING_DOMAIN],
  })
  const domains = new Map([[CLUSTERING_DOMAIN, configuration]])
  change.apply({
    operation: 'CLUSTER BY',
    parameters: {
      oldClusteringColumns: (before ?? []).join(','),
      newClusteringColumns: columns.join(','),
    },
    domains,
    ...(protocol === snapshot.protocol
      ? {}
      : {
          definition: {
            ...snapshot,
            protocol,
            domains: new Map([...snapshot.domains, ...domains]),
          },
        }),
  })
}
