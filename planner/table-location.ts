/** TableLocation: the folder that LOCATION names, or that a new table gets. */

import { randomUUID } from 'node:crypto'
import { SqlError, SqlState } from '../storage/errors.js'

/**
 * The folder of `location`, relative to the lake's `root`.
 *
 * 42501 for a place outside of the lake, 22023 for what can be no table's folder.
 */
export function folderOf(location: string, root: string): string {
  const given = location.replace(/^file:(?:\/\/)?(?=\/)/, '').replace(/\/+$/, '')
  const base = root.replace(/\/+$/, '')
  const isAbsolute = given.startsWith('/') || /^[a-z][a-z0-9+.-]*:/i.test(given)
  if (isAbsolute && !given.startsWith(`${base}/`)) {
    throw new SqlError(
      SqlState.insufficientPrivilege,
      `the location "${location}" is outside of the lake`,
      { detail: `Tables lie under "${base}".` },
    )
  }
  const path = isAbsolute ? given.slice(base.length + 1) : given
  const parts = path.split('/')
  const isFolder = parts.every((part) => /^[^\\\0]+$/.test(part) && !part.startsWith('.'))
  if (!isFolder || /^_(?:lakegate|staging)/.test(path) || parts.includes('_delta_log')) {
    throw new SqlError(
      parts.includes('..') ? SqlState.insufficientPrivilege : SqlState.invalidParameterValue,
      `"${location}" cannot be the location of a table`,
    )
  }
  return path
}

/** A folder for a table whose own name's folder belongs to another table; listings pass it over. */
export function otherFolder(layer: string, name: string): string {
  return `${layer}/_${name}-${randomUUID().slice(0, 8)}`
}
