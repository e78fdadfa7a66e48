/** TextInput: the macros by which texts that are known only when the query runs become values. */

// Each reads the spellings that it is sure of, raises PostgreSQL's error for what is none, and 0A000
// for the spellings that PostgreSQL reads and the engine does not read alike.

/** Blanks as C's isspace knows them. */
const BLANKS = ' \t\n\v\f\r'

const DATE = '[0-9]{4,7}-(1[0-2]|0?[1-9])-([12][0-9]|3[01]|0?[1-9])'
const CLOCK = String.raw`([01]?[0-9]|2[0-3]):[0-5]?[0-9](:[0-5]?[0-9](\.[0-9]{0,6})?)?`
const OFFSET = '[+-](0?[0-9]|1[0-5])(:[0-5][0-9])?'
/** Where no abbreviation can be taken for the zone that the engine calls so. */
const ZONE = `(${OFFSET}|[+-](0[0-9]|1[0-5])[0-5][0-9]|[Zz]| ?(UTC|GMT)| [A-Z][A-Za-z]+/[A-Za-z_/]+)`
const ERA = '( +(BC|AD|bc|ad))?'
/** Fields that are there but out of range, as far as they are so for certain. */
const LOOSE_CLOCK =
  '([013-9][0-9]?|2[0-35-9]?):[0-9]{1,2}(:([0-57-9][0-9]?|6[1-9]?)([.][0-9]{0,6})?)?'
const LOOSE = `[0-9]{4,7}-[0-9]{1,2}-[0-9]{1,2}([T ]${LOOSE_CLOCK})?`

function failure(state: string, words: string, text: string): string {
  return `error('lakegate!${state}!${words}: "' || ${text} || '"')`
}

/** What becomes of a text that is no spelling read here. */
function otherwise(type: string, loose: string): string {
  const special = `('now', 'today', 'tomorrow', 'yesterday', 'allballs', 'epoch')`
  return `CASE WHEN t IS NULL THEN NULL WHEN regexp_full_match(t, '${loose}') THEN ${failure('22008', 'date/time field value out of range', 't')} WHEN regexp_full_match(t, '[+-]?[A-Za-z]*') AND lower(t) NOT IN ${special} THEN ${failure('22007', `invalid input syntax for type ${type}`, 't')} ELSE ${failure('0A000', `this spelling of a ${type} is not supported in texts that are not constants`, 't')} END`
}

/** The moment in `t`, its era where the engine expects it; `zone` is text to put behind. */
function moment(zone: string): string {
  return `regexp_extract(t, '^${DATE}') || CASE WHEN regexp_matches(t, '(BC|bc)$') THEN ' (BC)' ELSE '' END || ' ' || coalesce(nullif(regexp_extract(t, '[T t]+(${CLOCK})', 1), ''), '00:00:00')${zone}`
}

const MOMENT = `${DATE}(([Tt]| +)${CLOCK} ?${ZONE}?)?${ERA}`
const YEAR_ZERO = `regexp_matches(t, '^0+-')`
const OUT_OF_RANGE = failure('22008', 'date/time field value out of range', 't')
const COUNTED = (unit: string): string => `([+-]?[0-9]{1,6} ?${unit} +)?`
/** With a blank behind: a unit for once, the larger ones first, then hours and minutes. */
const INTERVAL = `${['(years?|y)', '(mons?|months?)', '(weeks?|w)', '(days?|d)', '(hours?|h)', '(minutes?|mins?)'].map(COUNTED).join('')}([+-]?[0-9]{1,6}(\\.[0-9]{1,6})? ?(seconds?|secs?|s) )?([+-]?[0-9]{1,4}:[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6})?)? )?`

export const TEXT_INPUT: readonly string[] = [
  `lakegate_trim(s) AS trim(s, '${BLANKS}')`,
  // The text that the engine prints for its date is the usual spelling, which needs no other look.
  `lakegate_read_date(s) AS CASE WHEN length(s) <= 10 AND s > '0001' AND s < 'j' AND CAST(TRY_CAST(s AS DATE) AS VARCHAR) = s THEN TRY_CAST(s AS DATE) ELSE lakegate_other_date(lakegate_trim(s)) END`,
  `lakegate_other_date(t) AS CASE WHEN lower(t) IN ('infinity', '-infinity', 'epoch') THEN CAST(lower(t) AS DATE) WHEN regexp_full_match(t, '[0-9]{8}') THEN lakegate_iso_date(t[1:4] || '-' || t[5:6] || '-' || t[7:8]) WHEN regexp_full_match(t, '[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}') THEN lakegate_iso_date(replace(t, '/', '-')) ELSE lakegate_iso_date(t) END`,
  `lakegate_iso_date(t) AS CASE WHEN regexp_full_match(t, '${MOMENT}') AND NOT contains(t, '/') THEN CASE WHEN ${YEAR_ZERO} THEN ${OUT_OF_RANGE} ELSE lakegate_date_within(CAST(regexp_extract(t, '^${DATE}') || CASE WHEN regexp_matches(t, '(BC|bc)$') THEN ' (BC)' ELSE '' END AS DATE), t) END ELSE ${otherwise('date', LOOSE)} END`,
  `lakegate_date_within(d, t) AS CASE WHEN d < DATE '4714-11-24 (BC)' OR d > DATE '5874897-12-31' THEN ${failure('22008', 'date out of range', 't')} ELSE d END`,
  `lakegate_read_timestamp(s) AS CASE WHEN length(s) BETWEEN 19 AND 26 AND s > '0001' AND s < 'a' AND CAST(TRY_CAST(s AS TIMESTAMP) AS VARCHAR) = s THEN TRY_CAST(s AS TIMESTAMP) ELSE lakegate_other_timestamp(lakegate_trim(s)) END`,
  `lakegate_other_timestamp(t) AS CASE WHEN lower(t) IN ('infinity', '-infinity', 'epoch') THEN CAST(lower(t) AS TIMESTAMP) WHEN regexp_full_match(t, '${MOMENT}') AND NOT contains(t, '/') THEN CASE WHEN ${YEAR_ZERO} THEN ${OUT_OF_RANGE} ELSE lakegate_timestamp_within(CAST(${moment('')} AS TIMESTAMP), TIMESTAMP '4714-11-24 (BC) 00:00:00', t) END ELSE ${otherwise('timestamp', LOOSE)} END`,
  `lakegate_timestamp_within(v, low, t) AS CASE WHEN v < low THEN ${failure('22008', 'timestamp out of range', 't')} ELSE v END`,
  // The usual spellings, in the session's zone, in UTC or with an offset, are known by printing the same again.
  `lakegate_read_timestamptz(s) AS lakegate_usual_timestamptz(s, CASE WHEN right(s, 3) = '+00' THEN left(s, -3) WHEN s[-6:-6] IN ('+', '-') AND s[-5:-4] BETWEEN '00' AND '15' AND s[-3:-3] = ':' AND right(s, 2) BETWEEN '00' AND '59' THEN left(s, -6) WHEN right(s, 1) = 'Z' THEN replace(left(s, -1), 'T', ' ') ELSE s END)`,
  `lakegate_usual_timestamptz(s, p) AS CASE WHEN length(p) BETWEEN 19 AND 26 AND p > '0001' AND p < 'a' AND CAST(TRY_CAST(p AS TIMESTAMP) AS VARCHAR) = p AND TRY_CAST(s AS TIMESTAMPTZ) IS NOT NULL THEN TRY_CAST(s AS TIMESTAMPTZ) ELSE lakegate_other_timestamptz(lakegate_trim(s)) END`,
  `lakegate_other_timestamptz(t) AS CASE WHEN lower(t) IN ('infinity', '-infinity', 'epoch') THEN CAST(CASE WHEN lower(t) = 'epoch' THEN '1970-01-01 00:00:00+00' ELSE lower(t) END AS TIMESTAMPTZ) WHEN regexp_full_match(t, '${MOMENT}') THEN CASE WHEN ${YEAR_ZERO} THEN ${OUT_OF_RANGE} ELSE lakegate_timestamp_within(CAST(${moment(` || lakegate_zone(regexp_extract(t, ':[0-9.]+ ?(${ZONE})${ERA}$', 1))`)} AS TIMESTAMPTZ), TIMESTAMPTZ '4714-11-24 (BC) 00:00:00+00', t) END ELSE ${otherwise('timestamp with time zone', LOOSE)} END`,
  `lakegate_zone(z) AS CASE WHEN z = '' THEN '' WHEN upper(trim(z)) IN ('Z', 'UTC', 'GMT') THEN '+00' WHEN regexp_full_match(z, '[+-][0-9](:.*)?') THEN z[1] || '0' || z[2:] WHEN regexp_full_match(z, '[+-][0-9]{4}') THEN z[1:3] || ':' || z[4:] ELSE z END`,
  `lakegate_read_time(s) AS lakegate_other_time(lakegate_trim(s))`,
  `lakegate_other_time(t) AS CASE WHEN regexp_full_match(t, '${CLOCK}|24:00(:00)?') THEN CAST(t AS TIME) WHEN regexp_full_match(t, '${DATE} ${CLOCK}') THEN CAST(lakegate_other_timestamp(t) AS TIME) ELSE ${otherwise('time', LOOSE_CLOCK)} END`,
  `lakegate_read_timetz(s) AS lakegate_other_timetz(lakegate_trim(s))`,
  `lakegate_other_timetz(t) AS CASE WHEN regexp_full_match(t, '${CLOCK}(${OFFSET})') OR (regexp_full_match(t, '${CLOCK}') AND current_setting('TimeZone') IN ('UTC', 'Etc/UTC', 'GMT')) THEN CAST(t AS TIMETZ) ELSE ${otherwise('time with time zone', LOOSE_CLOCK)} END`,
  `lakegate_read_interval(s) AS lakegate_other_interval(lakegate_trim(s))`,
  `lakegate_other_interval(t) AS CASE WHEN t <> '' AND regexp_full_match(t || ' ', '${INTERVAL}') THEN CAST(replace(t, '+', '') AS INTERVAL) WHEN t IS NULL THEN NULL WHEN regexp_full_match(t, '[A-Za-z]*') THEN ${failure('22007', 'invalid input syntax for type interval', 't')} ELSE ${failure('0A000', 'this spelling of an interval is not supported in texts that are not constants', 't')} END`,
  `lakegate_in_range(v, s, type) AS CASE WHEN v IS NULL AND s IS NOT NULL THEN error('lakegate!22003!value "' || s || '" is out of range for type ' || type) ELSE v END`,
  `lakegate_read_oid(v, s) AS CASE WHEN (v IS NULL AND s IS NOT NULL) OR v < -2147483648 OR v > 4294967295 THEN ${failure('22003', 'value is out of range for type oid', 's')} WHEN v < 0 THEN v + 4294967296 ELSE v END`,
  `lakegate_read_float(v, s, type) AS CASE WHEN isfinite(v) AND v <> 0 AND NOT contains(s, '_') THEN v ELSE lakegate_other_float(v, lakegate_trim(s), type) END`,
  `lakegate_other_float(v, t, type) AS CASE WHEN t IS NULL THEN NULL WHEN regexp_full_match(t, '[+-]?0[xX][0-9a-fA-F.]+([pP][+-]?[0-9]+)?') THEN ${failure('0A000', 'hexadecimal floats are not supported in texts that are not constants', 't')} WHEN regexp_full_match(lower(t), '[+-]?(nan|inf|infinity)') THEN CASE WHEN v IS NULL THEN ${failure('0A000', 'this spelling of a float is not supported', 't')} ELSE v END WHEN NOT regexp_full_match(t, '[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?') THEN error('lakegate!22P02!invalid input syntax for type ' || type || ': "' || t || '"') WHEN v IS NULL OR isinf(v) OR (v = 0 AND regexp_matches(t, '^[^eE]*[1-9]')) THEN error('lakegate!22003!"' || t || '" is out of range for type ' || type) ELSE v END`,
  `lakegate_read_numeric(v, s, rounds) AS CASE WHEN v IS NULL AND s IS NOT NULL THEN CASE WHEN rounds THEN error('lakegate!22003!numeric field overflow') ELSE ${failure('0A000', 'a numeric of so many digits is not supported in texts that are not constants', 's')} END ELSE v END`,
  `lakegate_read_uuid(s) AS CASE WHEN s IS NULL OR regexp_full_match(s, '[0-9a-fA-F]{4}(-?[0-9a-fA-F]{4}){7}|\\{[0-9a-fA-F]{4}(-?[0-9a-fA-F]{4}){7}\\}') THEN CAST(replace(trim(s, '{}'), '-', '') AS UUID) ELSE ${failure('22P02', 'invalid input syntax for type uuid', 's')} END`,
  `lakegate_name(s) AS CASE WHEN strlen(s) <= 63 THEN s ELSE left(s, list_max(list_filter(range(15, 64), lambda n: strlen(left(s, n)) <= 63))) END`,
  // The engine reads trailing commas, NaN and Infinity, which JSON has not: looked for outside of strings.
  `lakegate_read_json(s) AS CASE WHEN regexp_matches(regexp_replace(s, '"([^"\\\\]|\\\\.)*"', '0', 'g'), '[nN][aA][nN]|[iI][nN][fF]|/|,\\s*[\\]}]') THEN error('lakegate!22P02!invalid input syntax for type json') ELSE CAST(s AS JSON) END`,
  `lakegate_read_jsonb(s) AS CASE WHEN contains(s, '\\u0000') AND regexp_matches(s, '(^|[^\\\\])(\\\\\\\\)*\\\\u0000') THEN error('lakegate!22P05!unsupported Unicode escape sequence') ELSE lakegate_read_json(s) END`,
]
