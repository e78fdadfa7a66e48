/** Lake settings: the run-time parameters that PostgreSQL does not have. */

import { bool, category, choice, integer, type Setting } from './setting.js'

/** Settings of the gateway itself, under the prefix `lakegate`. */
export const LAKE_SETTINGS: readonly Setting[] = [
  ...category('Lakegate / Transactions', [
    // A statement that is a transaction of its own is executed anew when another writer was faster.
    integer('lakegate.commit_attempts', 20, 1, 1000),
    // Where a change hides old rows behind a vector instead of rewriting the file.
    choice('lakegate.deletion_vectors', 'auto', ['auto', 'always', 'never']),
  ]),
  ...category('Lakegate / Maintenance', [
    // Off lets VACUUM remove what readers of old versions and slow writers may still need.
    bool('lakegate.vacuum_retention_check', 'on'),
  ]),
  ...category('Lakegate / Writing', [
    // Whether INSERT OVERWRITE replaces the whole table or the partitions it writes to.
    choice('lakegate.partition_overwrite_mode', 'static', ['static', 'dynamic']),
    // Whether INSERT adds columns that the table lacks.
    bool('lakegate.schema_evolution', 'off'),
  ]),
]
