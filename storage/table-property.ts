/** Table properties: the texts of Delta's `delta.*` settings as values. */

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
