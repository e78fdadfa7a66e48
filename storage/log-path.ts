/** Names inside `_delta_log`: commits, checkpoints, log compactions. */

/** What one file of the log is; anything else in the folder is noise. */
export type LogFile =
  | { readonly kind: 'commit'; readonly version: number }
  | { readonly kind: 'checkpoint'; readonly version: number; readonly format: 'parquet' | 'json' }
  | {
      readonly kind: 'checkpoint-part'
      readonly version: number
      readonly part: number
      readonly parts: number
    }
  | { readonly kind: 'compaction'; readonly from: number; readonly to: number }

/** The version as the log writes it: 20 digits. */
export function printVersion(version: number): string {
  return String(version).padStart(20, '0')
}

/** Path of commit `version`, relative to the table. */
export function commitPath(version: number): string {
  return `_delta_log/${printVersion(version)}.json`
}

/** Path of the classic checkpoint of `version`, relative to the table. */
export function checkpointPath(version: number): string {
  return `_delta_log/${printVersion(version)}.checkpoint.parquet`
}

/** Path of the checksum of `version`, relative to the table. */
export function checksumPath(version: number): string {
  return `_delta_log/${printVersion(version)}.crc`
}

/** Path of the log compaction of versions `from` to `to`, relative to the table. */
export function compactionPath(from: number, to: number): string {
  return `_delta_log/${printVersion(from)}.${printVersion(to)}.compacted.json`
}

/** Path of the hint at the newest checkpoint, relative to the table. */
export const LAST_CHECKPOINT_PATH = '_delta_log/_last_checkpoint'

/**
 * What the file named `name` in the log is, or null for noise.
 *
 * @example
 * parseLogFileName('00000000000000000007.json')   // { kind: 'commit', version: 7 }
 */
export function parseLogFileName(name: string): LogFile | null {
  let match = /^(\d{20})\.json$/.exec(name)
  if (match !== null) return { kind: 'commit', version: Number(match[1]) }
  match = /^(\d{20})\.checkpoint(?:\.[0-9a-fA-F-]{36})?\.(parquet|json)$/.exec(name)
  if (match !== null) {
    return {
      kind: 'checkpoint',
      version: Number(match[1]),
      format: match[2] === 'json' ? 'json' : 'parquet',
    }
  }
  match = /^(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet$/.exec(name)
  if (match !== null) {
    return {
      kind: 'checkpoint-part',
      version: Number(match[1]),
      part: Number(match[2]),
      parts: Number(match[3]),
    }
  }
  match = /^(\d{20})\.(\d{20})\.compacted\.json$/.exec(name)
  if (match !== null) return { kind: 'compaction', from: Number(match[1]), to: Number(match[2]) }
  return null
}
