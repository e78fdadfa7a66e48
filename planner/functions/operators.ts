/** Operators: PostgreSQL's operators in DuckDB's words. See function-table.ts for the notation. */

const COMPARED =
  'bool|int2|int4|int8|float4|float8|numeric|text|bpchar|bytea|date|time|timetz|timestamp|timestamptz|interval|uuid|oid|name|regtype|anyarray'.split(
    '|',
  )

function comparisons(): string {
  const lines: string[] = []
  for (const operator of ['=', '<>', '<', '<=', '>', '>=']) {
    for (const type of COMPARED) {
      const side = (n: number): string => (type === 'bpchar' ? `rtrim($${n}, ' ')` : `$${n}`)
      lines.push(`compare ${operator}(${type}, ${type}) bool = (${side(1)} ${operator} ${side(2)})`)
    }
    lines.push(`compare ${operator}(float4, float8) bool = (CAST($1 AS DOUBLE) ${operator} $2)`)
    lines.push(`compare ${operator}(float8, float4) bool = ($1 ${operator} CAST($2 AS DOUBLE))`)
    lines.push(`compare ${operator}(record, record) bool = ($1 ${operator} $2)`)
    lines.push(`compare ${operator}(jsonb, jsonb) bool &refuse = comparison of jsonb values`)
  }
  return lines.join('\n')
}

export const OPERATORS: string = `
${comparisons()}
+(int2, int2) int2 = ($1 + $2)
+(int4, int4) int4 = ($1 + $2)
+(int8, int8) int8 = ($1 + $2)
+(float4, float4) float4 = lakegate_finite_sum($1 + $2, $1, $2)
+(float8, float8) float8 = lakegate_finite_sum($1 + $2, $1, $2)
+(float4, float8) float8 = lakegate_finite_sum(CAST($1 AS DOUBLE) + $2, CAST($1 AS DOUBLE), $2)
+(float8, float4) float8 = lakegate_finite_sum($1 + $2, $1, CAST($2 AS DOUBLE))
+(numeric, numeric) &numericOperator = +
+(date, int4) date = ($1 + $2)
+(int4, date) date = ($2 + $1)
+(date, interval) timestamp = ($1 + $2)
+(interval, date) timestamp = ($2 + $1)
+(date, time) timestamp = ($1 + $2)
+(time, date) timestamp = ($2 + $1)
+(timestamp, interval) timestamp = ($1 + $2)
+(interval, timestamp) timestamp = ($2 + $1)
+(timestamptz, interval) timestamptz = ($1 + $2)
+(interval, timestamptz) timestamptz = ($2 + $1)
+(time, interval) time = ($1 + $2)
+(interval, time) time = ($2 + $1)
+(interval, interval) interval = ($1 + $2)
-(int2, int2) int2 = ($1 - $2)
-(int4, int4) int4 = ($1 - $2)
-(int8, int8) int8 = ($1 - $2)
-(float4, float4) float4 = lakegate_finite_sum($1 - $2, $1, $2)
-(float8, float8) float8 = lakegate_finite_sum($1 - $2, $1, $2)
-(float4, float8) float8 = lakegate_finite_sum(CAST($1 AS DOUBLE) - $2, CAST($1 AS DOUBLE), $2)
-(float8, float4) float8 = lakegate_finite_sum($1 - $2, $1, CAST($2 AS DOUBLE))
-(numeric, numeric) &numericOperator = -
-(date, int4) date = ($1 - $2)
-(date, date) int4 = CAST($1 - $2 AS INTEGER)
-(date, interval) timestamp = ($1 - $2)
-(timestamp, timestamp) interval = ($1 - $2)
-(timestamptz, timestamptz) interval = ($1 - $2)
-(timestamp, interval) timestamp = ($1 - $2)
-(timestamptz, interval) timestamptz = ($1 - $2)
-(time, interval) time = ($1 - $2)
-(time, time) interval = lakegate_time_difference($1, $2)
-(interval, interval) interval = ($1 - $2)
*(int2, int2) int2 = ($1 * $2)
*(int4, int4) int4 = ($1 * $2)
*(int8, int8) int8 = ($1 * $2)
*(float4, float4) float4 = lakegate_finite_product($1 * $2, $1, $2)
*(float8, float8) float8 = lakegate_finite_product($1 * $2, $1, $2)
*(float4, float8) float8 = lakegate_finite_product(CAST($1 AS DOUBLE) * $2, CAST($1 AS DOUBLE), $2)
*(float8, float4) float8 = lakegate_finite_product($1 * $2, $1, CAST($2 AS DOUBLE))
*(numeric, numeric) &numericOperator = *
*(interval, float8) interval = lakegate_scale_interval($1, $2)
*(float8, interval) interval = lakegate_scale_interval($2, $1)
/(int2, int2) int2 = ($1 // lakegate_divisor($2))
/(int4, int4) int4 = ($1 // lakegate_divisor($2))
/(int8, int8) int8 = ($1 // lakegate_divisor($2))
/(float4, float4) float4 = lakegate_finite_product($1 / lakegate_divisor($2), $1, $2)
/(float8, float8) float8 = lakegate_finite_product($1 / lakegate_divisor($2), $1, $2)
/(float4, float8) float8 = lakegate_finite_product(CAST($1 AS DOUBLE) / lakegate_divisor($2), CAST($1 AS DOUBLE), $2)
/(float8, float4) float8 = lakegate_finite_product($1 / lakegate_divisor($2), $1, CAST($2 AS DOUBLE))
/(numeric, numeric) &divide = /
/(interval, float8) interval = lakegate_scale_interval($1, 1 / lakegate_divisor($2))
%(int2, int2) int2 = ($1 % lakegate_divisor($2))
%(int4, int4) int4 = ($1 % lakegate_divisor($2))
%(int8, int8) int8 = ($1 % lakegate_divisor($2))
%(numeric, numeric) &modulo = %
^(float8, float8) float8 = lakegate_power($1, $2)
^(numeric, numeric) &power = power
&(int2, int2) int2 = ($1 & $2)
&(int4, int4) int4 = ($1 & $2)
&(int8, int8) int8 = ($1 & $2)
|(int2, int2) int2 = ($1 | $2)
|(int4, int4) int4 = ($1 | $2)
|(int8, int8) int8 = ($1 | $2)
#(int2, int2) int2 = xor($1, $2)
#(int4, int4) int4 = xor($1, $2)
#(int8, int8) int8 = xor($1, $2)
<<(int2, int4) int2 = CAST(lakegate_shift_left($1::BIGINT, $2, 16) AS SMALLINT)
<<(int4, int4) int4 = CAST(lakegate_shift_left($1::BIGINT, $2, 32) AS INTEGER)
<<(int8, int4) int8 = lakegate_shift_left($1, $2, 64)
>>(int2, int4) int2 = ($1 >> CAST($2 & 15 AS SMALLINT))
>>(int4, int4) int4 = ($1 >> ($2 & 31))
>>(int8, int4) int8 = ($1 >> ($2 & 63)::BIGINT)
prefix -(int2|int4|int8|float4|float8|interval) $1 = (-$1)
prefix -(numeric) $1 = (-$1)
prefix +(int2|int4|int8|float4|float8|numeric) $1 = $1
prefix ~(int2|int4|int8) $1 = (~$1)
prefix @(int2|int4|int8|float4|float8|numeric) $1 = abs($1)
prefix |/(float8) float8 = sqrt(lakegate_not_negative($1))
prefix ||/(float8) float8 = cbrt($1)
||(text, text) text = ($1 || $2)
||(text, anynonarray) text &concatText = ||
||(anynonarray, text) text &concatText = ||
||(bytea, bytea) bytea = ($1 || $2)
||(anycompatiblearray, anycompatiblearray) $1 = lakegate_array_cat($1, $2)
||(anycompatiblearray, anycompatible) $1 = list_append(coalesce($1, []), $2)
||(anycompatible, anycompatiblearray) $2 = list_prepend($1, coalesce($2, []))
||(jsonb, jsonb) jsonb &refuse = the operator jsonb || jsonb
~~(text, text) bool &like = LIKE
!~~(text, text) bool &like = NOT LIKE
~~*(text, text) bool &like = ILIKE
!~~*(text, text) bool &like = NOT ILIKE
~(text, text) bool &regexpOperator = ~
!~(text, text) bool &regexpOperator = !~
~*(text, text) bool &regexpOperator = ~*
!~*(text, text) bool &regexpOperator = !~*
^@(text, text) bool = starts_with($1, $2)
->(json, text) json &jsonField = ->
->(json, int4) json = lakegate_json_item($1, $2)
->(jsonb, text) jsonb &jsonField = ->
->(jsonb, int4) jsonb = lakegate_json_item($1, $2)
->>(json, text) text &jsonField = ->>
->>(json, int4) text = (lakegate_json_item($1, $2) ->> '$')
->>(jsonb, text) text &jsonField = ->>
->>(jsonb, int4) text = (lakegate_json_item($1, $2) ->> '$')
#>(json, text[]) json &jsonPathOperator = json
#>(jsonb, text[]) jsonb &jsonPathOperator = json
#>>(json, text[]) text &jsonPathOperator = text
#>>(jsonb, text[]) text &jsonPathOperator = text
@>(jsonb, jsonb) bool &jsonContains = @>
<@(jsonb, jsonb) bool &jsonContains = <@
?(jsonb, text) bool = lakegate_json_exists($1, $2)
?|(jsonb, text[]) bool = list_bool_or(list_transform($2, lambda k: lakegate_json_exists($1, k)))
?&(jsonb, text[]) bool = list_bool_and(list_transform($2, lambda k: lakegate_json_exists($1, k)))
@>(anyarray, anyarray) bool = lakegate_array_contains($1, $2)
<@(anyarray, anyarray) bool = lakegate_array_contains($2, $1)
&&(anyarray, anyarray) bool = lakegate_array_overlaps($1, $2)
`
