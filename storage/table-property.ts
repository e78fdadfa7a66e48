/** Table properties: the texts of Delta's `delta.*` settings as values. */

import { SqlError, SqlState } from './errors.js'

const UNITS_MS: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
}

/**
 * Milliseconds of an interval as Delta writes them, or null when it is none of fixed length.
 *
 * @example
 * durationMs('interval 1 week')   // 604800000
 */
export function durationMs(text: string | undefined): number | null {
  const rest = (text ?? '')
    .trim()
    .toLowerCase()
    .replace(/^interval\s+/, '')
  if (rest === '') return null
  let totalMs = 0
  const parts = [...rest.matchAll(/(\d+)\s*([a-z]+?)s?(?:\s+|$)/g)]
  if (parts.map((part) => part[0]).join('') !== rest) return null
  for (const [, count, unit] of parts) {
    const unitMs = UNITS_MS[unit ?? '']
    if (unitMs === undefined) return null
    totalMs += Number(count) * unitMs
  }
  return totalMs
}

/** How many commits lie between two checkpoints of the table; Delta's default is 10. */
export function checkpointInterval(configuration: { readonly [key: string]: string }): number {
  const interval = Number(configuration['delta.checkpointInterval'] ?? 10)
  return Number.isInteger(interval) && interval > 0 ? interval : 10
}

type PropertyKind =
  | 'boolean'
  | 'count'
  | 'number'
  | 'duration'
  | 'text'
  | 'system'
  | readonly string[]

/** The properties Delta knows, by their spelling; 'system' ones are kept by writers, not by users. */
const PROPERTIES: { readonly [name: string]: PropertyKind } = {
  'delta.appendOnly': 'boolean',
  'delta.autoOptimize.autoCompact': ['true', 'false', 'auto', 'legacy'],
  'delta.autoOptimize.optimizeWrite': 'boolean',
  'delta.checkpoint.writeStatsAsJson': 'boolean',
  'delta.checkpoint.writeStatsAsStruct': 'boolean',
  'delta.checkpointInterval': 'count',
  'delta.checkpointPolicy': ['classic', 'v2'],
  'delta.checkpointRetentionDuration': 'duration',
  'delta.columnMapping.maxColumnId': 'system',
  'delta.columnMapping.mode': ['none', 'name', 'id'],
  'delta.compatibility.symlinkFormatManifest.enabled': 'boolean',
  'delta.dataSkippingNumIndexedCols': 'number',
  'delta.dataSkippingStatsColumns': 'text',
  'delta.deletedFileRetentionDuration': 'duration',
  'delta.enableChangeDataFeed': 'boolean',
  'delta.enableDeletionVectors': 'boolean',
  'delta.enableExpiredLogCleanup': 'boolean',
  'delta.enableIcebergCompatV1': 'boolean',
  'delta.enableIcebergCompatV2': 'boolean',
  'delta.enableIcebergCompatV3': 'boolean',
  'delta.enableInCommitTimestamps': 'boolean',
  'delta.enableRowTracking': 'boolean',
  'delta.enableTypeWidening': 'boolean',
  'delta.enableVariantShredding': 'boolean',
  'delta.inCommitTimestampEnablementTimestamp': 'system',
  'delta.inCommitTimestampEnablementVersion': 'system',
  'delta.isolationLevel': ['Serializable', 'WriteSerializable'],
  'delta.logRetentionDuration': 'duration',
  'delta.parquet.compression.codec': [
    'snappy',
    'zstd',
    'gzip',
    'uncompressed',
    'lz4_raw',
    'lz4',
    'brotli',
  ],
  'delta.randomPrefixLength': 'count',
  'delta.randomizeFilePrefixes': 'boolean',
  'delta.requireCheckpointProtectionBeforeVersion': 'system',
  'delta.rowTracking.materializedRowCommitVersionColumnName': 'system',
  'delta.rowTracking.materializedRowIdColumnName': 'system',
  'delta.rowTrackingSuspended': 'system',
  'delta.sampleRetentionDuration': 'duration',
  'delta.setTransactionRetentionDuration': 'duration',
  'delta.targetFileSize': 'text',
  'delta.tuneFileSizesForRewrites': 'boolean',
  'delta.universalFormat.enabledFormats': 'text',
}

const SPELLINGS: ReadonlyMap<string, string> = new Map(
  Object.keys(PROPERTIES).map((name) => [name.toLowerCase(), name]),
)

/** How Delta spells a property that is given in any case; other names are answered as they are. */
export function propertyName(name: string): string {
  return SPELLINGS.get(name.toLowerCase()) ?? name
}

/**
 * Refuses what may not be set as a table property: `delta.*` names that Delta does not have and
 * values that they do not take (22023), and properties that writers keep themselves (55P02).
 *
 * `name` as `propertyName` gives it. Names outside of `delta.` are the users' own.
 */
export function requireProperty(name: string, value: string): void {
  const own = OWN[name]
  if (own !== undefined && !own.test(value)) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `invalid value for parameter "${name}": "${value}"`,
    )
  }
  if (own === undefined && /^lakegate\./i.test(name)) throw kept(name)
  if (!/^delta\./i.test(name)) return
  if (name.startsWith('delta.constraints.')) {
    throw new SqlError(SqlState.cantChangeRuntimeParam, `parameter "${name}" cannot be changed`, {
      hint: 'Use ALTER TABLE … ADD CONSTRAINT and DROP CONSTRAINT.',
    })
  }
  if (name.startsWith('delta.feature.')) {
    if (/^(supported|enabled)$/.test(value)) return
    throw invalid(name, value)
  }
  const kind = PROPERTIES[name]
  if (kind === undefined) {
    throw new SqlError(SqlState.invalidParameterValue, `unrecognized parameter "${name}"`)
  }
  if (kind === 'system') throw kept(name)
  const isValid =
    kind === 'boolean'
      ? /^(true|false)$/i.test(value)
      : kind === 'count'
        ? /^[1-9]\d{0,8}$/.test(value)
        : kind === 'number'
          ? /^(-1|\d{1,9})$/.test(value)
          : kind === 'duration'
            ? durationMs(value) !== null
            : kind === 'text' || kind.includes(value)
  if (!isValid) throw invalid(name, value)
}

/** 55P02 for properties that may not be taken away. */
export function requireRemovable(name: string): void {
  const isFixed =
    PROPERTIES[name] === 'system' ||
    name === 'delta.columnMapping.mode' ||
    (/^(delta\.constraints|lakegate)\./.test(name) && OWN[name] === undefined)
  if (isFixed) throw kept(name)
}

/** Properties of the gateway's own that users may set, and the values they take. */
const OWN: Readonly<Record<string, RegExp>> = {
  'lakegate.autoCompact.minNumFiles': /^[1-9]\d{0,8}$/,
  'lakegate.autoCompact.maxFileSize': /^\s*[1-9]\d*\s*[kmgt]?b?\s*$/i,
}

function kept(name: string): SqlError {
  return new SqlError(SqlState.cantChangeRuntimeParam, `parameter "${name}" cannot be changed`)
}

function invalid(name: string, value: string): SqlError {
  return new SqlError(
    SqlState.invalidParameterValue,
    `invalid value for parameter "${name}": "${value}"`,
  )
}
