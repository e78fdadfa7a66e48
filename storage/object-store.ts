/** ObjectStore: where bytes live, as the storage layer sees it. */

import type { Cancellation } from './cancellation.js'

/** One object of a listing. */
export interface ObjectEntry {
  /** Path relative to the store's root, with forward slashes. */
  readonly path: string
  readonly sizeBytes: number
  readonly modifiedMs: number
}

/** Answer of `putIfAbsent`; see there. */
export type PutIfAbsentResult = 'created' | 'exists' | 'unknown'

/** A file the engine has written into a staging folder, and the object it is to become. */
export interface StagedFile {
  /** Name below the staging folder, with forward slashes. */
  readonly name: string
  /** Path of the object. */
  readonly path: string
}

/**
 * A folder of its own in which the engine writes files that are not objects yet.
 *
 * Nothing in it is ever listed as an object. Whatever was not published vanishes with `discard`.
 */
export interface Staging {
  /** The folder as the engine writes into it. */
  readonly engineUrl: string

  /** Adds `bytes` to the end of the staged file `name`, which the engine may then read. */
  append(name: string, bytes: Uint8Array): Promise<void>

  /**
   * Makes objects of `files`, each whole and durable, and answers them in that order.
   *
   * Creates only: 58030 when an object of that path exists. After a failure some of them may have
   * been published and others not.
   */
  publish(files: readonly StagedFile[]): Promise<readonly ObjectEntry[]>

  /** Removes the folder with all that is in it; never fails. */
  discard(): Promise<void>
}

/** An object whose content is read by the engine. */
export interface ObjectRef {
  readonly path: string
  /** Its size where the log tells it, and with it that it never changes; null where it may be replaced. */
  readonly sizeBytes: number | null
}

/** Objects the engine may read, until it is released. */
export interface Lease {
  /** The names by which DuckDB opens them, in the order in which they were asked for. */
  readonly urls: readonly string[]
  /** Lets go of them; may be called again. */
  release(): void
}

/**
 * A flat space of immutable-or-replaced objects under one root (a lake).
 *
 * Paths are relative to the root, use forward slashes and never begin with one. Failures other
 * than a missing object are SqlErrors with 58030.
 */
export interface ObjectStore {
  /** The root as users write it: a folder's absolute path or `s3://bucket/prefix`. */
  readonly root: string

  /** Every object directly or indirectly under folder `prefix`, whose path sorts at or after `startAt`, in order of path. */
  list(prefix: string, startAt?: string): Promise<readonly ObjectEntry[]>

  /** Names of the folders directly under `prefix`; empty when there is none. */
  listFolders(prefix: string): Promise<readonly string[]>

  /** Objects directly in folder `prefix` (not below its subfolders), at or after name `startAt`, in order of name. */
  listFolder(prefix: string, startAt?: string): Promise<readonly ObjectEntry[]>

  /** The whole object, or null when there is none. */
  read(path: string): Promise<Uint8Array | null>

  /** `length` bytes from `offset`, or null when there is no such object. */
  readRange(path: string, offset: number, length: number): Promise<Uint8Array | null>

  /** Size and time of one object, or null when there is none. */
  stat(path: string): Promise<ObjectEntry | null>

  /** Creates or replaces `path`, atomically and durably. */
  write(path: string, bytes: Uint8Array): Promise<void>

  /**
   * Creates `path` with `bytes` unless it exists, atomically and durably.
   *
   * Answers 'exists' whoever created it; the content is then not compared. Of several callers
   * racing on one path at most one is told 'created'. 'unknown' means the request failed after it
   * may have taken effect: the caller must read back before trying again. An SqlError means that
   * it has not taken effect, except 08007: the object is there, but may not outlive a crash.
   */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<PutIfAbsentResult>

  /** Removes `path`; a missing object is no failure. */
  delete(path: string): Promise<void>

  /**
   * Removes what writers that ended in the middle left below `prefix` and no listing shows, such as
   * staging folders, unless it was touched at or after `beforeMs`; answers the names. With `dryRun`
   * it only answers them.
   */
  sweep(prefix: string, beforeMs: number, dryRun: boolean): Promise<readonly string[]>

  /** A new staging folder for objects of folder `prefix`. */
  openStaging(prefix: string): Promise<Staging>

  /**
   * Makes `objects` readable by the engine; remote ones are copied to the local disk, where not
   * there yet.
   *
   * 58P01 for a remote object that does not exist; of a local one the engine says so.
   */
  lend(objects: readonly ObjectRef[], cancellation?: Cancellation): Promise<Lease>

  /** The name by which DuckDB opens `path`, an object that never changes, while it is lent. */
  engineUrl(path: string): string
}
