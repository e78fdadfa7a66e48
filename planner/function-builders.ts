/** FunctionBuilders: every builder by the word that function-table.ts calls it by. */

import type { Builder } from './builders/builder.js'
import { NUMBER_BUILDERS } from './builders/number-builders.js'
import { TEXT_BUILDERS } from './builders/text-builders.js'
import { REGEXP_BUILDERS } from './builders/regexp-builders.js'
import { DATE_BUILDERS } from './builders/date-builders.js'
import { JSON_BUILDERS } from './builders/json-builders.js'
import { ARRAY_BUILDERS } from './builders/array-builders.js'
import { AGGREGATE_BUILDERS } from './builders/aggregate-builders.js'
import { VALUE_BUILDERS } from './builders/value-builders.js'

const BUILDERS: Readonly<Record<string, Builder>> = {
  ...NUMBER_BUILDERS,
  ...TEXT_BUILDERS,
  ...REGEXP_BUILDERS,
  ...DATE_BUILDERS,
  ...JSON_BUILDERS,
  ...ARRAY_BUILDERS,
  ...AGGREGATE_BUILDERS,
  ...VALUE_BUILDERS,
}

/** The builder of that name. */
export function builderNamed(name: string): Builder {
  const found = BUILDERS[name]
  if (found === undefined) throw new Error(`no function builder is named ${name}`)
  return found
}
