/** Lake settings: the run-time parameters that PostgreSQL does not have. */

import { bool, category, choice, integer, type Setting, text } from './setting.js'
import { SqlError, SqlState } from '../storage/errors.js'

/** Settings of the gateway itself, under the prefix `lakegate`. */
export const LAKE_SETTINGS: readonly Setting[] = [
  ...category('Lakegate / Query Planning', [
    // The moment at which all tables and names are read; '' is now.
    text('lakegate.as_of', ''),
    // Whether keys of small tables are read beforehand to leave out files of large ones.
    bool('lakegate.join_pruning', 'on'),
  ]),
  ...category('Lakegate / Transactions', [
    // A statement that is a transaction of its own is executed anew when another writer was faster.
    integer('lakegate.commit_attempts', 20, 1, 1000),
    // Where a change hides old rows behind a vector instead of rewriting the file.
    choice('lakegate.deletion_vectors', 'auto', ['auto', 'always', 'never']),
  ]),
  ...category('Lakegate / Maintenance', [
    // Off lets VACUUM remove what readers of old versions and slow writers may still need.
    bool('lakegate.vacuum_retention_check', 'on'),
    // What is committed is this transaction of this application, and each is committed once.
    text('lakegate.txn_app_id', ''),
    text('lakegate.txn_version', '', 'user', { accept: wholeNumber }),
  ]),
  ...category('Lakegate / Writing', [
    // Whether CREATE INDEX, which makes nothing here, is passed over with a NOTICE or refused.
    choice('lakegate.create_index', 'notice', ['notice', 'error']),
    // Whether INSERT OVERWRITE replaces the whole table or the partitions it writes to.
    choice('lakegate.partition_overwrite_mode', 'static', ['static', 'dynamic']),
    // Whether INSERT and MERGE add columns that the table lacks.
    bool('lakegate.schema_evolution', 'off'),
  ]),
]

function wholeNumber(value: string, name: string): string {
  if (/^\d{0,18}$/.test(value)) return value
  throw new SqlError(
    SqlState.invalidParameterValue,
    `invalid value for parameter "${name}": "${value}"`,
  )
}
