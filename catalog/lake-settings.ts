/** Lake settings: the run-time parameters that PostgreSQL does not have. */

import { bool, category, type Setting } from './setting.js'

/** Settings of the gateway itself, under the prefix `lakegate`. */
export const LAKE_SETTINGS: readonly Setting[] = [
  ...category('Lakegate / Maintenance', [
    // Off lets VACUUM remove what readers of old versions and slow writers may still need.
    bool('lakegate.vacuum_retention_check', 'on'),
  ]),
]
