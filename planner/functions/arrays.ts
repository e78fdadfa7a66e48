/** Arrays: PostgreSQL's array functions in DuckDB's words. See function-table.ts for the notation. */

export const ARRAYS = `
array_length(anyarray, int4) int4 &arrayDimension = length
array_upper(anyarray, int4) int4 &arrayDimension = length
array_lower(anyarray, int4) int4 &arrayDimension = lower
array_ndims(anyarray) int4 &arrayDimension = count
array_dims(anyarray) text &arrayDimension = text
cardinality(anyarray) int4 &arrayDimension = cardinality
array_append(anycompatiblearray, anycompatible) $1 = list_append(coalesce($1, []), $2)
array_prepend(anycompatible, anycompatiblearray) $2 = list_prepend($1, coalesce($2, []))
array_cat(anycompatiblearray, anycompatiblearray) $1 = lakegate_array_cat($1, $2)
array_position(anycompatiblearray, anycompatible) int4 = list_position($1, $2)
array_positions(anycompatiblearray, anycompatible) int4[] = lakegate_array_positions($1, $2)
array_remove(anycompatiblearray, anycompatible) $1 = list_filter($1, lambda e: e IS DISTINCT FROM $2)
array_replace(anycompatiblearray, anycompatible, anycompatible) $1 = list_transform($1, lambda e: CASE WHEN e IS NOT DISTINCT FROM $2 THEN $3 ELSE e END)
array_to_string(anyarray, text) text &arrayToString = array_to_string
array_to_string(anyarray, text, text) text &arrayToString = array_to_string
trim_array(anyarray, int4) $1 = $1[1:len($1) - $2]
unnest(anyarray) setof &unnest = unnest
array_fill(anyelement, int4[]) $1[] = list_transform(range($2[1]), lambda e: $1)
generate_subscripts(anyarray, int4) setof int4 = unnest(CASE WHEN $2 = 1 THEN CAST(range(1, len($1) + 1) AS INTEGER[]) ELSE [] END)
generate_series(int4, int4) setof int4 &series = integer
generate_series(int4, int4, int4) setof int4 &series = integer
generate_series(int8, int8) setof int8 &series = integer
generate_series(int8, int8, int8) setof int8 &series = integer
generate_series(numeric, numeric) setof &numericSeries = numeric
generate_series(numeric, numeric, numeric) setof &numericSeries = numeric
generate_series(timestamp, timestamp, interval) setof timestamp &series = timestamp
generate_series(timestamptz, timestamptz, interval) setof timestamptz &series = timestamp
`
