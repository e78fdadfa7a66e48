/** ObjectStore: where bytes live, as the storage layer sees it. */

/** One object of a listing. */
export interface ObjectEntry {
  /** Path relative to the store's root, with forward slashes. */
  readonly path: string
  readonly sizeBytes: number
  readonly modifiedMs: number
}

/** Answer of `putIfAbsent`; see there. */
export type PutIfAbsentResult = 'created' | 'exists' | 'unknown'

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
   * may have taken effect: the caller must read back before trying again.
   */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<PutIfAbsentResult>

  /** Removes `path`; a missing object is no failure. */
  delete(path: string): Promise<void>

  /**
   * The name by which DuckDB opens `path` for reading or writing a whole file.
   *
   * For a local folder this is the absolute path.
   */
  engineUrl(path: string): string
}
