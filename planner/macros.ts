/** Macros: DuckDB functions that give PostgreSQL's meaning where the engine's own differ or are missing. */

import { Oid, pgTypes } from '../catalog/pg-types.js'
import type { EngineConnection } from '../storage/engine.js'

/** Definitions by signature; created once for each engine instance. */
const MACROS: readonly string[] = [
  `lakegate_divisor(x) AS CASE WHEN x = 0 THEN error('lakegate!22012!division by zero') ELSE x END`,
  `lakegate_pattern(p) AS '(?s:.*)(?s:' || p || ')(?s:.*)'`,
  `lakegate_pattern_i(p) AS '(?s:.*)(?is:' || p || ')(?s:.*)'`,
  `lakegate_extract(x DOUBLE) AS x::DECIMAL(38,6), (x BIGINT) AS x`,
  `btrim(s) AS trim(s, ' '), (s, chars) AS trim(s, chars)`,
  `byte_length_of(s VARCHAR) AS strlen(s)::INTEGER, (s BLOB) AS octet_length(s)::INTEGER`,
  `quote_ident(s) AS CASE WHEN regexp_full_match(s, '[a-z_][a-z0-9_$]*') THEN s ELSE '"' || replace(s, '"', '""') || '"' END`,
  `quote_literal(s) AS '''' || replace(s::VARCHAR, '''', '''''') || ''''`,
  `quote_nullable(s) AS coalesce('''' || replace(s::VARCHAR, '''', '''''') || '''', 'NULL')`,
  `array_upper(a, d) AS CASE WHEN d = 1 AND len(a) > 0 THEN len(a)::INTEGER END`,
  `array_lower(a, d) AS CASE WHEN d = 1 AND len(a) > 0 THEN 1 END`,
  `array_ndims(a) AS CASE WHEN len(a) > 0 THEN 1 END`,
  `cardinality_of(a) AS len(a)::INTEGER`,
  `div(a, b) AS trunc(a / lakegate_divisor(b))`,
  `pg_typeof(x) AS lower(typeof(x))`,
  `obj_description(o) AS NULL::VARCHAR, (o, c) AS NULL::VARCHAR`,
  `jsonb_typeof(j) AS CASE json_type(j) WHEN 'VARCHAR' THEN 'string' WHEN 'ARRAY' THEN 'array' WHEN 'OBJECT' THEN 'object' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' ELSE 'number' END`,
  `json_typeof(j) AS jsonb_typeof(j)`,
  `to_jsonb(x) AS to_json(x)`,
  `jsonb_array_length(j) AS json_array_length(j)::INTEGER`,
  `initcap(s) AS list_aggregate(list_transform(regexp_extract_all(lower(s), '[a-z0-9]+|[^a-z0-9]+'), lambda w: upper(w[1:1]) || w[2:]), 'string_agg', '')`,
]

/** PostgreSQL's format_type over the types that results can have. */
function formatType(): string {
  const cases = pgTypes().map(
    ({ oid, displayName }) => `WHEN ${oid} THEN '${displayName.replaceAll("'", "''")}'`,
  )
  return `format_type(o, m) AS CASE WHEN o::BIGINT = ${Oid.numeric} AND m::INTEGER > 4 THEN 'numeric(' || ((m::INTEGER - 4) >> 16) || ',' || ((m::INTEGER - 4) & 65535) || ')' ELSE CASE o::BIGINT ${cases.join(' ')} ELSE '???' END END`
}

/** Creates the macros in the instance of `connection`. */
export async function createMacros(connection: EngineConnection): Promise<void> {
  for (const macro of [...MACROS, formatType()]) {
    const [head = '', ...rest] = macro.split(' AS ')
    await connection.run(`CREATE OR REPLACE MACRO ${head} AS ${rest.join(' AS ')}`)
  }
}
