/** FileLocation: which object a path in the log means, and whether the table may name it. */

import { SqlError, SqlState } from './errors.js'
import type { ObjectStore } from './object-store.js'

/** Where a table lives, and where else its files may be. */
export interface TableLocation {
  readonly store: ObjectStore
  /** The table's folder in `store`, without a slash at either end. */
  readonly path: string
  /** Further roots in which absolute paths of the log may lie (the sources of shallow clones). */
  readonly otherStores: readonly ObjectStore[]
}

/** One object. */
export interface FileLocation {
  readonly store: ObjectStore
  readonly path: string
}

/**
 * The canonical form of a path in the log, by which files are told apart.
 *
 * Percent-decoded once; relative to the table's folder if it lies there, else absolute, with
 * `file:` dropped and `.` and `..` resolved. A stray `%` leaves the text as it is.
 *
 * @example
 * canonicalPath('file:/lake/t/p=a%252Fb/x.parquet', '/lake/t')   // 'p=a%2Fb/x.parquet'
 */
export function canonicalPath(logPath: string, tableRoot: string): string {
  const decoded = percentDecode(logPath)
  const { root, rest } = splitRoot(decoded)
  if (root === null) {
    const parts = foldDots(decoded.split('/'), [])
    if (parts !== null) return parts.join('/')
    const table = splitRoot(tableRoot)
    const folded = foldDots(decoded.split('/'), segments(table.rest))
    return `${table.root ?? '/'}${(folded ?? []).join('/')}`
  }
  const absolute = root + (foldDots(rest.split('/'), []) ?? []).join('/')
  const folder = `${tableRoot}/`
  return absolute.startsWith(folder) ? absolute.slice(folder.length) : absolute
}

/** The absolute form of the table's folder, as `canonicalPath` wants it. */
export function tableRoot(location: TableLocation): string {
  return joinPath(location.store.root, location.path)
}

/**
 * The object a canonical path means.
 *
 * Throws 42501 unless it lies under the table's store or one of the other allowed roots.
 */
export function locateFile(location: TableLocation, canonical: string): FileLocation {
  if (splitRoot(canonical).root === null) {
    return { store: location.store, path: joinPath(location.path, canonical) }
  }
  for (const store of [location.store, ...location.otherStores]) {
    const folder = `${store.root.replace(/\/$/, '')}/`
    if (canonical.startsWith(folder)) return { store, path: canonical.slice(folder.length) }
  }
  throw new SqlError(
    SqlState.insufficientPrivilege,
    `file "${canonical}" lies outside the folders this gateway may read`,
    { detail: `The log of table "${location.path}" names it by an absolute path.` },
  )
}

/** `folder` and `name` with one slash between; `name` alone under the root. */
export function joinPath(folder: string, name: string): string {
  if (folder === '') return name
  if (name === '') return folder
  return folder.endsWith('/') ? folder + name : `${folder}/${name}`
}

/** Percent-decodes `text` once as UTF-8; text that does not decode is answered as it is. */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

// 'file:/x', 'file:///x' and '/x' are one root; of other schemes the authority belongs to it.
function splitRoot(path: string): { readonly root: string | null; readonly rest: string } {
  const file = /^file:(?:\/\/[^/]*)?\/+/i.exec(path)
  if (file !== null) return { root: '/', rest: path.slice(file[0].length) }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/]*)\/*/.exec(path)
  if (scheme !== null) {
    const [matched, name = '', authority = ''] = scheme
    // Hadoop's three names of one store.
    const plain = /^s3[an]$/i.test(name) ? 's3' : name.toLowerCase()
    return { root: `${plain}://${authority}/`, rest: path.slice(matched.length) }
  }
  if (path.startsWith('/')) return { root: '/', rest: path.replace(/^\/+/, '') }
  return { root: null, rest: path }
}

function segments(path: string): string[] {
  return path.split('/').filter((part) => part !== '')
}

/** Appends `parts` to `base`, resolving dots; null when `..` climbs above an empty base. */
function foldDots(parts: readonly string[], base: readonly string[]): string[] | null {
  const folded = [...base]
  for (const part of parts) {
    if (part === '' || part === '.') continue
    if (part !== '..') folded.push(part)
    else if (folded.pop() === undefined) return null
  }
  return folded
}
