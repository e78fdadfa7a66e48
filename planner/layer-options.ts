/** LayerOptions: what CREATE LAYER … WITH says, as defaults for the tables of the layer. */

import type { LayerDefaults } from '../catalog/layer.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { durationMs, propertyName, requireProperty } from '../storage/table-property.js'

/**
 * The defaults that `options` mean: `append_only`, `retention` (an interval), `partition_by` and
 * `required_columns` (names, parted by commas), and table properties by their own names.
 *
 * 22023 for options that do not exist and values that they do not take.
 */
export function layerDefaults(
  options: readonly (readonly [name: string, value: string])[],
): LayerDefaults {
  const properties: { [key: string]: string } = {}
  let partitionColumns: readonly string[] = []
  let requiredColumns: readonly string[] = []
  for (const [given, value] of options) {
    switch (given.toLowerCase()) {
      case 'append_only':
        properties['delta.appendOnly'] = booleanOf(given, value)
        break
      case 'retention': {
        const interval = /^interval\s/i.test(value) ? value : `interval ${value}`
        if (durationMs(interval) === null) throw invalid(given, value)
        properties['delta.deletedFileRetentionDuration'] = interval
        properties['delta.logRetentionDuration'] = interval
        break
      }
      case 'partition_by':
        partitionColumns = namesOf(value)
        break
      case 'required_columns':
        requiredColumns = namesOf(value)
        break
      default: {
        const name = propertyName(given)
        if (!name.includes('.')) {
          throw new SqlError(
            SqlState.invalidParameterValue,
            `unrecognized layer option "${given}"`,
            {
              hint: 'Options are append_only, retention, partition_by, required_columns and table properties.',
            },
          )
        }
        requireProperty(name, value)
        properties[name] = value
      }
    }
  }
  return { properties, partitionColumns, requiredColumns }
}

function booleanOf(name: string, value: string): string {
  if (/^(?:true|on|yes|1)$/i.test(value)) return 'true'
  if (/^(?:false|off|no|0)$/i.test(value)) return 'false'
  throw invalid(name, value)
}

function namesOf(value: string): readonly string[] {
  return value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

function invalid(name: string, value: string): SqlError {
  return new SqlError(
    SqlState.invalidParameterValue,
    `invalid value for layer option "${name}": "${value}"`,
  )
}
