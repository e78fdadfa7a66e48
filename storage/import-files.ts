/** ImportFiles: files of this machine that statements may read, inside of directories set aside for it. */

import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as nodePath from 'node:path'
import { SqlError, SqlState } from './errors.js'

/** Bytes that are read at a time. */
const READ_BYTES = 256 * 1024

/** Files one pattern may name. */
const FILES_MAX = 10_000

/** The files under some directories of the local file system. */
export class ImportFiles {
  readonly #directories: readonly string[]

  /** No directories: every file is refused. */
  constructor(directories: readonly string[]) {
    this.#directories = directories.map((directory) => nodePath.resolve(directory))
  }

  /**
   * The files that `pattern` names, in order: an absolute path, in which `*`, `?` and `[…]` stand
   * for parts of names; a leading dot is to be spelled out.
   *
   * 42501 for what is not, or only by its links not, inside of the directories; whether such a file
   * exists is not told. 58P01 where there is none, 54000 where there are too many.
   */
  async find(pattern: string): Promise<readonly string[]> {
    if (this.#directories.length === 0) {
      throw new SqlError(SqlState.insufficientPrivilege, 'permission denied to COPY from a file', {
        hint: "Set LAKEGATE_COPY_DIRS to the directories whose files may be read, or use COPY … FROM STDIN or psql's \\copy.",
      })
    }
    if (pattern.includes('\0') || !nodePath.isAbsolute(pattern)) {
      throw new SqlError(
        SqlState.invalidName,
        'relative path not allowed for COPY from a file on the server',
      )
    }
    const path = nodePath.normalize(pattern)
    const directory = this.#directories.find((one) => isInside(one, path))
    if (directory === undefined) throw outside(pattern)
    const names = path
      .slice(directory.length)
      .split('/')
      .filter((name) => name !== '')
    const found = await matches(directory, names)
    if (found.length === 0) {
      throw new SqlError(
        SqlState.undefinedFile,
        `could not open file "${pattern}" for reading: No such file or directory`,
      )
    }
    const roots = await Promise.all(this.#directories.map((one) => realPath(one)))
    for (const file of found) {
      const real = await realPath(file)
      if (!roots.some((root) => isInside(root, real))) throw outside(file)
    }
    return found
  }

  /**
   * The files that are loaded from `source`: a pattern as for `find`, of whose folders all files
   * below are meant; names that begin with `_` or `.` are left out unless they are spelled out.
   *
   * `files` and `pattern` choose among them by their names below the source. Fails as `find`; 58P01
   * also where one of `files` is not there.
   */
  async list(
    source: string,
    {
      files,
      pattern,
    }: { readonly files: readonly string[] | null; readonly pattern: string | null },
  ): Promise<readonly ImportedFile[]> {
    const local = source.replace(/^file:(?:\/\/)?(?=\/)/, '')
    const roots = await this.find(local.length > 1 ? local.replace(/\/+$/, '') : local)
    const found = new Map<string, ImportedFile>()
    const add = async (path: string, name: string): Promise<void> => {
      const stat = await translated(path, () => fs.stat(path))
      if (stat.isDirectory()) {
        for (const entry of (await translated(path, () => fs.readdir(path))).sort()) {
          if (!/^[._]/.test(entry) || /^_[^/]*=/.test(entry)) {
            await add(`${path}/${entry}`, name === '' ? entry : `${name}/${entry}`)
          }
        }
        return
      }
      const real = await this.#insideOf(path)
      const own = name === '' ? nodePath.basename(path) : name
      found.set(real, { path: real, name: own, sizeBytes: stat.size, partition: partitionOf(name) })
      if (found.size > FILES_MAX) {
        throw new SqlError(SqlState.programLimitExceeded, `more than ${FILES_MAX} files match`)
      }
    }
    for (const root of roots) {
      if (files === null) await add(root, '')
      else for (const name of files) await add((await this.find(`${root}/${name}`))[0] ?? '', name)
    }
    const all = [...found.values()]
    if (pattern === null) return all
    const matches = pathPattern(pattern)
    return all.filter(({ name }) => matches.test(name))
  }

  async #insideOf(path: string): Promise<string> {
    const real = await realPath(path)
    const roots = await Promise.all(this.#directories.map((one) => realPath(one)))
    if (!roots.some((root) => isInside(root, real))) throw outside(path)
    return real
  }

  /** The bytes of a file that `find` has answered; 42809 for what is no regular file. */
  async *read(path: string): AsyncGenerator<Uint8Array, void, void> {
    // Without waiting: opening a pipe that nobody writes to would never end.
    const file = await translated(path, () =>
      fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK),
    )
    try {
      const found = await translated(path, () => file.stat())
      if (!found.isFile()) {
        throw new SqlError(
          SqlState.wrongObjectType,
          found.isDirectory() ? `"${path}" is a directory` : `"${path}" is not a regular file`,
        )
      }
      // What has been opened is looked at again: a link may have been moved since it was found.
      await this.#requireInside(path, found)
      for (;;) {
        const bytes = Buffer.allocUnsafe(READ_BYTES)
        const { bytesRead } = await translated(path, () => file.read(bytes, 0, READ_BYTES))
        if (bytesRead === 0) return
        yield bytes.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  async #requireInside(
    path: string,
    opened: { readonly dev: number; readonly ino: number },
  ): Promise<void> {
    const real = await realPath(path)
    const roots = await Promise.all(this.#directories.map((one) => realPath(one)))
    if (!roots.some((root) => isInside(root, real))) throw outside(path)
    const now = await translated(path, () => fs.lstat(real))
    if (now.dev !== opened.dev || now.ino !== opened.ino) throw outside(path)
  }
}

/** A file that is loaded from a source. */
export interface ImportedFile {
  /** Absolute, links resolved. */
  readonly path: string
  /** Below the source. */
  readonly name: string
  readonly sizeBytes: number
  /** What the folders between them say (`day=2026-01-01`), null for none. */
  readonly partition: ReadonlyMap<string, string | null>
}

function partitionOf(name: string): ReadonlyMap<string, string | null> {
  const values = new Map<string, string | null>()
  for (const folder of name.split('/').slice(0, -1)) {
    const match = /^([^=]+)=(.*)$/s.exec(folder)
    if (match === null) continue
    const value = decoded(match[2] ?? '')
    values.set(decoded(match[1] ?? ''), value === '__HIVE_DEFAULT_PARTITION__' ? null : value)
  }
  return values
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** `*`, `?`, `[…]`, `{a,b}` and `**` over the names of a path. */
function pathPattern(pattern: string): RegExp {
  const source = pattern.replaceAll(
    /\*\*\/?|\*|\?|\[(!?)([^\]]+)\]|\{([^}]*)\}|./gs,
    (part, not, set, choice) => {
      if (part.startsWith('**')) return '.*'
      if (part === '*') return '[^/]*'
      if (part === '?') return '[^/]'
      if (typeof set === 'string') {
        return `[${not === '!' ? '^' : ''}${set.replaceAll(/[\\\]^]/g, '\\$&')}]`
      }
      if (typeof choice === 'string') {
        const parts = choice.split(',').map((one) => one.replaceAll(/[.+*?^${}()|[\]\\/]/g, '\\$&'))
        return `(?:${parts.join('|')})`
      }
      return part.replaceAll(/[.+^${}()|[\]\\/]/g, '\\$&')
    },
  )
  return new RegExp(`^(?:${source})$`, 'su')
}

function isInside(directory: string, path: string): boolean {
  return path.startsWith(directory.endsWith('/') ? directory : `${directory}/`)
}

function outside(path: string): SqlError {
  return new SqlError(SqlState.insufficientPrivilege, `permission denied to COPY from "${path}"`, {
    hint: 'Only files inside of the directories of LAKEGATE_COPY_DIRS may be read.',
  })
}

function realPath(path: string): Promise<string> {
  return translated(path, () => fs.realpath(path))
}

/** The paths below `folder` that the patterns of `names` match, one a level. */
async function matches(folder: string, names: readonly string[]): Promise<readonly string[]> {
  let paths: string[] = [folder]
  for (const [i, name] of names.entries()) {
    const isLast = i === names.length - 1
    const next: string[] = []
    for (const path of paths) {
      if (!/[*?[]/.test(name)) next.push(`${path}/${name}`)
      else {
        const pattern = globPattern(name)
        for (const entry of (await fs.readdir(path).catch(() => [])).sort()) {
          if (pattern.test(entry)) next.push(`${path}/${entry}`)
        }
      }
      if (next.length > FILES_MAX) {
        throw new SqlError(SqlState.programLimitExceeded, `more than ${FILES_MAX} files match`)
      }
    }
    paths = []
    for (const path of next) {
      const found = await fs.stat(path).catch(() => null)
      if (found !== null && (isLast || found.isDirectory())) paths.push(path)
    }
  }
  return paths
}

/** A name with `*`, `?` and `[…]` as a regular expression. */
function globPattern(name: string): RegExp {
  const source = name.replaceAll(/\*+|\?|\[(!?)([^\]]+)\]|./gs, (part, not, set) => {
    if (part.startsWith('*')) return '.*'
    if (part === '?') return '.'
    if (typeof set === 'string') {
      return `[${not === '!' ? '^' : ''}${set.replaceAll(/[\\\]^]/g, '\\$&')}]`
    }
    return part.replaceAll(/[.+^${}()|[\]\\/]/g, '\\$&')
  })
  const hidden = name.startsWith('.') ? '' : '(?!\\.)'
  try {
    return new RegExp(`^${hidden}${source}$`, 'su')
  } catch (thrown) {
    throw new SqlError(SqlState.invalidName, `"${name}" is no pattern of file names`, {
      cause: thrown,
    })
  }
}

async function translated<T>(path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (thrown) {
    const code = (thrown as { readonly code?: string }).code
    if (code === undefined) throw thrown
    const missing = code === 'ENOENT' || code === 'ENOTDIR'
    const denied = code === 'EACCES' || code === 'EPERM'
    throw new SqlError(
      missing ? SqlState.undefinedFile : denied ? SqlState.insufficientPrivilege : SqlState.ioError,
      `could not open file "${path}" for reading: ${missing ? 'No such file or directory' : denied ? 'Permission denied' : code}`,
      { cause: thrown },
    )
  }
}
