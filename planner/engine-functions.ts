/** Engine functions: which of DuckDB's functions a query in DuckDB's own syntax may call. */

import type { EngineConnection } from '../storage/engine.js'

/**
 * Functions that answer from their arguments alone, but for what is named here.
 *
 * DuckDB says so itself: all overloads are its own and consistent. Of macros it says nothing, so
 * those that only rename others are listed.
 */
const PURE_FUNCTIONS = `
  SELECT DISTINCT lower(function_name)
  FROM duckdb_functions()
  WHERE internal AND function_type IN ('scalar', 'aggregate')
  GROUP BY lower(function_name)
  HAVING bool_and(coalesce(stability = 'CONSISTENT', false) AND NOT coalesce(has_side_effects, false))`

/** Consistent by DuckDB's word, yet they read the session, bind other statements or take raw states apart. */
const REFUSED = new Set([
  'getvariable',
  'getenv',
  'current_setting',
  'json_serialize_plan',
  'json_serialize_sql',
  'json_deserialize_sql',
  'combine',
  'finalize',
])

const ALLOWED = new Set(
  `
  random uuid uuidv4 uuidv7 gen_random_uuid
  now today current_date get_current_timestamp get_current_time transaction_timestamp
  unnest
  row_number rank dense_rank rank_dense percent_rank cume_dist ntile lag lead first_value last_value
  nth_value fill
  ago array_append array_pop_back array_pop_front array_prepend array_push_back array_push_front
  array_reverse array_to_string array_to_string_comma_default date_add days_in_month fdiv fmod
  generate_subscripts geomean geometric_mean json json_group_array json_group_object
  json_group_structure list_any_value list_append list_approx_count_distinct list_avg list_bit_and
  list_bit_or list_bit_xor list_bool_and list_bool_or list_count list_entropy list_first
  list_histogram list_kurtosis list_kurtosis_pop list_last list_mad list_max list_median list_min
  list_mode list_prepend list_product list_reverse list_sem list_skewness list_stddev_pop
  list_stddev_samp list_string_agg list_sum list_var_pop list_var_samp map_contains_entry
  map_contains_value md5_number_lower md5_number_upper nullif regexp_split_to_table round_even
  roundbankers split_part wavg weighted_avg`
    .trim()
    .split(/\s+/),
)

/** Table functions that read nothing but their arguments. */
const TABLE_FUNCTIONS = new Set([
  'range',
  'generate_series',
  'unnest',
  'repeat',
  'json_each',
  'json_tree',
])

export interface EngineFunctions {
  /** Whether `name` may be called as a scalar, aggregate or window function. */
  readonly allows: (name: string) => boolean
  /** Whether `name` may be called in FROM. */
  readonly allowsInFrom: (name: string) => boolean
}

let known: Promise<EngineFunctions> | undefined

/** The functions of the DuckDB in this process, asked for once. */
export function engineFunctions(connection: EngineConnection): Promise<EngineFunctions> {
  known ??= load(connection).catch((thrown: unknown) => {
    known = undefined
    throw thrown
  })
  return known
}

async function load(connection: EngineConnection): Promise<EngineFunctions> {
  const rows = await connection.query(PURE_FUNCTIONS)
  const pure = new Set(rows.map(([name]) => String(name)))
  return {
    allows: (name) => {
      const word = name.toLowerCase()
      if (REFUSED.has(word) || word.startsWith('__internal')) return false
      return ALLOWED.has(word) || pure.has(word)
    },
    allowsInFrom: (name) => TABLE_FUNCTIONS.has(name.toLowerCase()),
  }
}
