/** Lake settings: the run-time parameters that PostgreSQL does not have. */

import { category, choice, integer, type Setting } from './setting.js'

/** Settings of the gateway itself, under the prefix `lakegate`. */
export const LAKE_SETTINGS: readonly Setting[] = [
  ...category('Lakegate / Transactions', [
    // A statement that is a transaction of its own is executed anew when another writer was faster.
    integer('lakegate.commit_attempts', 20, 1, 1000),
    // Where a change hides old rows behind a vector instead of rewriting the file.
    choice('lakegate.deletion_vectors', 'auto', ['auto', 'always', 'never']),
  ]),
]
