/** File paths: which file a path in the log means. */

import type { ObjectStore } from './object-store.js'

/**
 * The canonical form of a path in the log, by which files are told apart.
 *
 * Percent-decoded once (a text that does not decode is taken as it stands), `file:` dropped, `.`
 * and `..` resolved. Relative to the lake's root when the file lies in the lake, else absolute
 * (`isOutside`): such a file is never opened.
 *
 * Delta protocol, "Add File and Remove File".
 */
export function resolvePath(store: ObjectStore, tablePath: string, logPath: string): string {
  // Nearly every path of a large table is plain, and a million of them are resolved at once.
  if (PLAIN.test(logPath) && !logPath.includes('/.')) return `${tablePath}/${logPath}`
  const decoded = percentDecode(logPath)
  const absolute = splitRoot(decoded)
  const lake = splitRoot(store.root)
  if (absolute === null) {
    const folded = foldDots(`${tablePath}/${decoded}`, [])
    if (folded !== null) return folded.join('/')
    // Climbs out of the lake.
    const lakeParts = lake === null ? [] : lake.rest.split('/').filter((part) => part !== '')
    const outside = foldDots(`${tablePath}/${decoded}`, lakeParts) ?? []
    return (lake?.root ?? '/') + outside.join('/')
  }
  const plain = absolute.root + (foldDots(absolute.rest, []) ?? []).join('/')
  const root = lake === null ? store.root : lake.root + lake.rest.replace(/\/+$/, '')
  const folder = root.endsWith('/') ? root : `${root}/`
  return plain.startsWith(folder) ? plain.slice(folder.length) : plain
}

/** `path` with the characters that DuckDB would take for a glob escaped. */
export function escapeGlob(path: string): string {
  return path.replace(/[*?[]/g, (char) => `[${char}]`)
}

/** Whether a path that `resolvePath` answered is absolute: of a file that does not lie in the lake. */
export function isOutside(path: string): boolean {
  return path.startsWith('/') || /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(path)
}

/** A relative path without escapes, empty parts or a leading dot. */
const PLAIN = /^(?:[\w=-][\w=.-]*\/)*[\w=-][\w=.-]*$/

/** Percent-decodes once as UTF-8; text that does not decode is answered as it is. */
function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

// 'file:/x', 'file:///x' and '/x' are one root; of other schemes the authority belongs to it.
function splitRoot(path: string): { readonly root: string; readonly rest: string } | null {
  if (path.startsWith('/')) return { root: '/', rest: path.slice(1) }
  const file = /^file:(?:\/\/[^/]*)?\/+/i.exec(path)
  if (file !== null) return { root: '/', rest: path.slice(file[0].length) }
  const url = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/]*)\/*/.exec(path)
  if (url === null) return null
  const [matched, name = '', authority = ''] = url
  // s3, s3a and s3n are Hadoop's names for one store.
  const scheme = /^s3[an]?$/i.test(name) ? 's3' : name.toLowerCase()
  return { root: `${scheme}://${authority}/`, rest: path.slice(matched.length) }
}

/** The parts of `path` after those of `base`, dots resolved; null when `..` climbs above the top. */
function foldDots(path: string, base: readonly string[]): string[] | null {
  const folded = [...base]
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') folded.push(part)
    else if (folded.pop() === undefined) return null
  }
  return folded
}
