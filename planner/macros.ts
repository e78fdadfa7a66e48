/** Macros: DuckDB functions that give PostgreSQL's meaning where the engine's own differ or are missing. */

import { Oid, pgTypes } from '../catalog/pg-types.js'
import type { EngineConnection } from '../storage/engine.js'
import { TEXT_INPUT } from './text-input-macros.js'

/** Raises a PostgreSQL error out of a query; see storage/engine-errors.ts. */
function raise(sqlState: string, message: string): string {
  return `error('lakegate!${sqlState}!${message}')`
}

const NUMBERS = [
  `lakegate_divisor(x) AS CASE WHEN x = 0 THEN ${raise('22012', 'division by zero')} ELSE x END`,
  `lakegate_not_negative(x) AS CASE WHEN x < 0 THEN ${raise('2201F', 'cannot take square root of a negative number')} ELSE x END`,
  `lakegate_logarithm_argument(x) AS CASE WHEN x = 0 THEN ${raise('2201E', 'cannot take logarithm of zero')} WHEN x < 0 THEN ${raise('2201E', 'cannot take logarithm of a negative number')} ELSE x END`,
  `lakegate_unit(x) AS CASE WHEN abs(x) > 1 THEN ${raise('22003', 'input is out of range')} ELSE x END`,
  `lakegate_finite_double(r, x) AS CASE WHEN isinf(r) AND NOT isinf(x) THEN ${raise('22003', 'value out of range: overflow')} ELSE r END`,
  `lakegate_finite_sum(r, a, b) AS CASE WHEN isinf(r) AND NOT isinf(a) AND NOT isinf(b) THEN ${raise('22003', 'value out of range: overflow')} ELSE r END`,
  `lakegate_finite_product(r, a, b) AS CASE WHEN isinf(r) AND NOT isinf(a) AND NOT isinf(b) THEN ${raise('22003', 'value out of range: overflow')} WHEN r = 0 AND a <> 0 AND b <> 0 AND NOT isinf(b) AND NOT isinf(a) THEN ${raise('22003', 'value out of range: underflow')} ELSE r END`,
  `lakegate_power(a, b) AS CASE WHEN a = 0 AND b < 0 THEN ${raise('2201F', 'zero raised to a negative power is undefined')} WHEN a < 0 AND NOT isinf(a) AND b <> trunc(b) THEN ${raise('2201F', 'a negative number raised to a non-integer power yields a complex result')} ELSE lakegate_finite_sum(pow(a, b), a, b) END`,
  `lakegate_factorial_argument(x) AS CASE WHEN x < 0 THEN ${raise('22003', 'factorial of a negative number is undefined')} WHEN x > 33 THEN ${raise('22003', 'value overflows numeric format')} ELSE x END`,
  `lakegate_finite_numeric(x) AS CASE WHEN isnan(x) OR isinf(x) THEN ${raise('0A000', 'numeric NaN and infinity are not supported')} ELSE x END`,
  `lakegate_finite(s) AS CASE WHEN s IN ('nan', 'inf', '-inf', '-nan') THEN ${raise('0A000', 'numeric NaN and infinity are not supported')} ELSE s END`,
  // Half away from zero: the remainder decides. Two steps keep the products inside 128 bits.
  `lakegate_quotient_step(a, b, h1, h2) AS lakegate_quotient_round((a // b) * h1 * h2 + (((a % b) * h1) // b) * h2, (((a % b) * h1) % b) * h2, b)`,
  `lakegate_quotient_round(whole, rest, b) AS whole + rest // b + CASE WHEN 2 * (rest % b) >= b THEN 1 ELSE 0 END`,
  `lakegate_quotient(a, b, h1, h2) AS CASE WHEN (a < 0) <> (b < 0) THEN -lakegate_quotient_step(abs(a), abs(b), h1, h2) ELSE lakegate_quotient_step(abs(a), abs(b), h1, h2) END`,
  `lakegate_trimmed_text(x) AS rtrim(rtrim(CAST(x AS VARCHAR), '0'), '.')`,
  `lakegate_quotient_text(x) AS CASE WHEN abs(x) < 1 THEN CAST(x AS VARCHAR) WHEN abs(x) < 10000 THEN CAST(CAST(x AS DECIMAL(38,16)) AS VARCHAR) WHEN abs(x) < 100000000 THEN CAST(CAST(x AS DECIMAL(38,12)) AS VARCHAR) ELSE CAST(CAST(x AS DECIMAL(38,8)) AS VARCHAR) END`,
  `lakegate_float_text(x) AS CASE WHEN isnan(x) THEN 'NaN' WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END WHEN typeof(x) = 'FLOAT' AND abs(x) >= 1e6 THEN lakegate_exponent_text(x) WHEN x = trunc(x) AND abs(x) < 1e15 THEN regexp_replace(CAST(x AS VARCHAR), '\\.0$', '') WHEN abs(x) >= 1e15 AND abs(x) < 1e17 AND typeof(x) = 'DOUBLE' THEN lakegate_exponent_text(x) ELSE CAST(x AS VARCHAR) END`,
  `lakegate_exponent_text(x) AS CASE WHEN x < 0 THEN '-' ELSE '' END || lakegate_mantissa(regexp_replace(CAST(abs(x) AS VARCHAR), '\\.0$', ''))`,
  `lakegate_mantissa(digits) AS CASE WHEN regexp_full_match(digits, '[0-9]+') THEN rtrim(rtrim(digits[1] || '.' || digits[2:], '0'), '.') || 'e+' || lpad(CAST(length(digits) - 1 AS VARCHAR), 2, '0') ELSE digits END`,
  `lakegate_shift_left(x, n, bits) AS lakegate_wrap(CAST(CAST(x AS HUGEINT) * CAST(pow(2, n % bits) AS HUGEINT) AS HUGEINT), bits)`,
  `lakegate_wrap(x, bits) AS lakegate_signed(((x % CAST(pow(2, bits) AS HUGEINT)) + CAST(pow(2, bits) AS HUGEINT)) % CAST(pow(2, bits) AS HUGEINT), bits)`,
  `lakegate_signed(x, bits) AS CAST(CASE WHEN x >= CAST(pow(2, bits - 1) AS HUGEINT) THEN x - CAST(pow(2, bits) AS HUGEINT) ELSE x END AS BIGINT)`,
  `lakegate_width_bucket(x, low, high, n) AS CASE WHEN n <= 0 THEN ${raise('2201G', 'count must be greater than zero')} WHEN low = high THEN ${raise('2201G', 'lower bound cannot equal upper bound')} WHEN low < high THEN CASE WHEN x < low THEN 0 WHEN x >= high THEN n + 1 ELSE CAST(floor((x - low) * n / (high - low)) AS INTEGER) + 1 END ELSE CASE WHEN x > low THEN 0 WHEN x <= high THEN n + 1 ELSE CAST(floor((low - x) * n / (low - high)) AS INTEGER) + 1 END END`,
  `lakegate_size_pretty(n) AS CASE WHEN abs(n) < 10240 THEN CAST(n AS VARCHAR) || ' bytes' WHEN abs(n) < 10240::HUGEINT * 1024 THEN CAST(lakegate_half_up(n, 1024) AS VARCHAR) || ' kB' WHEN abs(n) < 10240::HUGEINT * 1048576 THEN CAST(lakegate_half_up(n, 1048576) AS VARCHAR) || ' MB' WHEN abs(n) < 10240::HUGEINT * 1073741824 THEN CAST(lakegate_half_up(n, 1073741824) AS VARCHAR) || ' GB' ELSE CAST(lakegate_half_up(n, 1099511627776) AS VARCHAR) || ' TB' END`,
  `lakegate_half_up(n, unit) AS CAST(floor(CAST(n AS DOUBLE) / unit + 0.5) AS BIGINT)`,
]

const TEXTS = [
  `lakegate_pattern(p) AS p`,
  `lakegate_initcap(s) AS CASE WHEN s = '' THEN '' ELSE list_aggregate(list_transform(regexp_extract_all(lower(s), '[\\pL\\pN]+|[^\\pL\\pN]+'), lambda w: upper(w[1:1]) || w[2:]), 'string_agg', '') END`,
  `lakegate_substring(s, start, n) AS CASE WHEN n < 0 THEN ${raise('22011', 'negative substring length not allowed')} ELSE substring(s, CAST(greatest(start, 1) AS BIGINT), greatest(CAST(start AS BIGINT) + n - greatest(start, 1), 0)) END`,
  `lakegate_bytea_substring(b, start, n) AS CASE WHEN n < 0 THEN ${raise('22011', 'negative substring length not allowed')} ELSE from_hex(substring(hex(b), CAST(2 * greatest(start, 1) - 1 AS BIGINT), 2 * greatest(CAST(start AS BIGINT) + n - greatest(start, 1), 0))) END`,
  `lakegate_bytea_position(b, part) AS CASE WHEN octet_length(part) = 0 THEN 1 ELSE coalesce(list_position(list_transform(range(0, octet_length(b) - octet_length(part) + 1), lambda i: substring(hex(b), 2 * i + 1, 2 * octet_length(part)) = hex(part)), true), 0)::INTEGER END`,
  `lakegate_get_byte(b, n) AS CASE WHEN n < 0 OR n >= octet_length(b) THEN ${raise('2202E', 'index out of valid range')} ELSE CAST('0x' || substring(hex(b), 2 * n + 1, 2) AS INTEGER) END`,
  `lakegate_lpad(s, n, fill) AS CASE WHEN fill = '' THEN left(s, greatest(n, 0)) ELSE lpad(s, greatest(n, 0), fill) END`,
  `lakegate_rpad(s, n, fill) AS CASE WHEN fill = '' THEN left(s, greatest(n, 0)) ELSE rpad(s, greatest(n, 0), fill) END`,
  `lakegate_pad(s, n, to_left) AS CASE WHEN length(s) >= n THEN s WHEN to_left THEN rpad(s, n, ' ') ELSE lpad(s, n, ' ') END`,
  `lakegate_btrim(s, chars) AS CASE WHEN chars = '' THEN s ELSE trim(s, chars) END`,
  `lakegate_ltrim(s, chars) AS CASE WHEN chars = '' THEN s ELSE ltrim(s, chars) END`,
  `lakegate_rtrim(s, chars) AS CASE WHEN chars = '' THEN s ELSE rtrim(s, chars) END`,
  `lakegate_replace(s, part, replacement) AS CASE WHEN part = '' THEN s ELSE replace(s, part, replacement) END`,
  `lakegate_overlay(s, replacement, start, n) AS CASE WHEN start <= 0 THEN ${raise('22011', 'negative substring length not allowed')} ELSE left(s, start - 1) || replacement || CASE WHEN start + n <= 0 THEN s ELSE substring(s, greatest(start + n, 1)) END END`,
  `lakegate_split_part(s, separator, n) AS CASE WHEN n = 0 THEN ${raise('22023', 'field position must not be zero')} WHEN separator = '' THEN CASE WHEN n IN (1, -1) THEN s ELSE '' END ELSE split_part(s, separator, n) END`,
  `lakegate_translate(s, wanted, replacement) AS CASE WHEN s IS NULL OR replacement IS NULL THEN NULL WHEN s = '' OR wanted = '' THEN s ELSE coalesce(list_aggregate(list_transform(string_split(s, ''), lambda c: CASE WHEN strpos(wanted, c) = 0 THEN c ELSE substring(replacement, strpos(wanted, c), 1) END), 'string_agg', ''), '') END`,
  `lakegate_chr(n) AS CASE WHEN n = 0 THEN ${raise('54000', 'null character not permitted')} WHEN n < 0 THEN ${raise('22023', 'character number must be positive')} WHEN n > 1114111 THEN ${raise('54000', 'requested character too large for encoding')} ELSE chr(n) END`,
  `lakegate_quote_ident(s) AS CASE WHEN regexp_full_match(s, '[a-z_][a-z0-9_$]*') AND s NOT IN ('all', 'and', 'any', 'array', 'as', 'asc', 'both', 'case', 'cast', 'check', 'collate', 'column', 'constraint', 'create', 'default', 'desc', 'distinct', 'do', 'else', 'end', 'except', 'false', 'fetch', 'for', 'foreign', 'from', 'grant', 'group', 'having', 'in', 'into', 'leading', 'limit', 'not', 'null', 'offset', 'on', 'only', 'or', 'order', 'placing', 'primary', 'references', 'returning', 'select', 'some', 'table', 'then', 'to', 'trailing', 'true', 'union', 'unique', 'user', 'using', 'when', 'where', 'window', 'with') THEN s ELSE '"' || replace(s, '"', '""') || '"' END`,
  `lakegate_quote_literal(s) AS CASE WHEN contains(s, '\\') THEN 'E''' || replace(replace(s, '\\', '\\\\'), '''', '''''') || '''' ELSE '''' || replace(s, '''', '''''') || '''' END`,
  `lakegate_boolean_letter(b) AS CASE WHEN b THEN 't' WHEN NOT b THEN 'f' END`,
  `lakegate_regexp_first(s, p, g) AS CASE WHEN regexp_matches(s, p, 's') THEN regexp_extract(s, p, g, 's') END`,
  `lakegate_base64_lines(s) AS rtrim(regexp_replace(s, '(.{76})', '\\1' || chr(10), 'g'), chr(10))`,
  `lakegate_escape(b) AS CASE WHEN b IS NULL THEN NULL ELSE coalesce(list_aggregate(list_transform(range(0, octet_length(b)), lambda i: lakegate_escape_byte(CAST('0x' || substring(hex(b), CAST(2 * i + 1 AS BIGINT), 2) AS INTEGER))), 'string_agg', ''), '') END`,
  `lakegate_escape_byte(n) AS CASE WHEN n = 92 THEN '\\\\' WHEN n = 0 OR n > 127 THEN '\\' || CAST(n // 64 AS VARCHAR) || CAST((n // 8) % 8 AS VARCHAR) || CAST(n % 8 AS VARCHAR) ELSE chr(n) END`,
  `lakegate_from_hex(s) AS CASE WHEN NOT regexp_full_match(regexp_replace(s, '\\s', '', 'g'), '([0-9a-fA-F]{2})*') THEN ${raise('22023', 'invalid hexadecimal data')} ELSE from_hex(regexp_replace(s, '\\s', '', 'g')) END`,
  `lakegate_read_bytea(s) AS CASE WHEN s[1:2] = '\\x' THEN lakegate_from_hex(s[3:]) WHEN contains(s, '\\') THEN lakegate_unescape(s) ELSE encode(s) END`,
  `lakegate_unescape(s) AS CASE WHEN regexp_full_match(s, '(?s)([^\\\\]|\\\\\\\\|\\\\[0-3][0-7][0-7])*') THEN lakegate_unescaped(s) ELSE ${raise('22P02', 'invalid input syntax for type bytea')} END`,
  `lakegate_unescaped(s) AS from_hex(list_aggregate(list_transform(regexp_extract_all(s, '\\\\[0-3][0-7][0-7]|\\\\\\\\|[^\\\\]+'), lambda p: CASE WHEN p[1:1] <> '\\' THEN hex(encode(p)) WHEN p = '\\\\' THEN '5C' ELSE lpad(hex(CAST(p[2:2] AS INTEGER) * 64 + CAST(p[3:3] AS INTEGER) * 8 + CAST(p[4:4] AS INTEGER)), 2, '0') END), 'string_agg', ''))`,
  `lakegate_string_to_array(s, separator) AS CASE WHEN s IS NULL THEN NULL WHEN s = '' THEN []::VARCHAR[] WHEN separator IS NULL THEN string_split(s, '') WHEN separator = '' THEN [s] ELSE string_split(s, separator) END`,
  `lakegate_string_to_array_null(s, separator, missing) AS list_transform(lakegate_string_to_array(s, separator), lambda e: CASE WHEN e = missing THEN NULL ELSE e END)`,
  `lakegate_fit(s, n, type) AS CASE WHEN length(rtrim(s, ' ')) > n THEN error('lakegate!22001!value too long for type ' || type || '(' || n || ')') ELSE left(s, n) END`,
  `lakegate_read_boolean(s) AS CASE WHEN lower(lakegate_trim(s)) IN ('t', 'tr', 'tru', 'true', 'y', 'ye', 'yes', 'on', '1') THEN true WHEN lower(lakegate_trim(s)) IN ('f', 'fa', 'fal', 'fals', 'false', 'n', 'no', 'of', 'off', '0') THEN false WHEN s IS NULL THEN NULL ELSE error('lakegate!22P02!invalid input syntax for type boolean: "' || s || '"') END`,
  `lakegate_integer_text(s, type) AS CASE WHEN s IS NULL OR regexp_full_match(s, '\\s*[+-]?[0-9]+\\s*') THEN trim(s) ELSE error('lakegate!22P02!invalid input syntax for type ' || type || ': "' || s || '"') END`,
  `lakegate_numeric_input(s, scale, rounds) AS CASE WHEN s IS NULL THEN NULL WHEN regexp_full_match(lower(lakegate_trim(s)), '[+-]?(nan|inf|infinity)') THEN CASE WHEN rounds AND NOT contains(lower(s), 'nan') THEN error('lakegate!22003!numeric field overflow') ELSE ${raise('0A000', 'numeric NaN and infinity are not supported')} END WHEN NOT regexp_full_match(s, '\\s*[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?\\s*') THEN error('lakegate!22P02!invalid input syntax for type numeric: "' || s || '"') WHEN regexp_matches(s, '[eE][+-]?[0-9]{5}') OR (NOT rounds AND length(rtrim(regexp_extract(s, '\\.([0-9]*)', 1), '0')) - coalesce(TRY_CAST(regexp_extract(s, '[eE]([+-]?[0-9]+)', 1) AS INTEGER), 0) > scale) THEN error('lakegate!0A000!a numeric of more than ' || scale || ' decimals is not supported here') ELSE lakegate_trim(s) END`,
  `lakegate_char_of(n) AS CASE WHEN n = 0 THEN '' WHEN n < 128 THEN chr(n) ELSE '\\' || to_base(n, 8) END`,
  `lakegate_char(s) AS CASE WHEN regexp_full_match(s, '\\\\[0-7]{3}') THEN lakegate_char_of((CAST(s[2] AS INTEGER) * 64 + CAST(s[3] AS INTEGER) * 8 + CAST(s[4] AS INTEGER)) % 256) WHEN s = '' OR ascii(s) < 128 THEN left(s, 1) ELSE '\\' || to_base(CAST('0x' || left(hex(encode(left(s, 1))), 2) AS INTEGER), 8) END`,
  `quote_ident(s) AS lakegate_quote_ident(s)`,
  `pg_typeof(x) AS lower(typeof(x))`,
]

const TIMES = [
  `lakegate_interval(months, days, micros) AS to_months(CAST(months AS INTEGER)) + to_days(CAST(days AS INTEGER)) + to_microseconds(CAST(micros AS BIGINT))`,
  `lakegate_interval_months(i) AS CAST(datepart('year', i) * 12 + datepart('month', i) AS BIGINT)`,
  `lakegate_interval_days(i) AS CAST(datepart('day', i) AS BIGINT)`,
  `lakegate_interval_micros(i) AS CAST(datepart('hour', i) * 3600000000 + datepart('minute', i) * 60000000 + datepart('microseconds', i) AS BIGINT)`,
  `lakegate_interval_text(i) AS CASE WHEN i IS NULL THEN NULL ELSE lakegate_interval_words(lakegate_interval_months(i), lakegate_interval_days(i), lakegate_interval_micros(i)) END`,
  `lakegate_interval_words(months, days, micros) AS CASE WHEN months = 0 AND days = 0 AND micros = 0 THEN '00:00:00' ELSE concat_ws(' ', lakegate_plural(months // 12, 'year', false), lakegate_plural(months % 12, 'mon', months < 0 AND months // 12 < 0 AND false OR (months // 12 < 0 AND months % 12 > 0)), lakegate_plural(days, 'day', (months % 12 < 0 OR (months % 12 = 0 AND months // 12 < 0)) AND days > 0), CASE WHEN micros <> 0 THEN CASE WHEN micros < 0 THEN '-' WHEN days < 0 OR (days = 0 AND months < 0) THEN '+' ELSE '' END || lakegate_clock(abs(micros)) END) END`,
  `lakegate_plural(n, unit, signed) AS CASE WHEN n <> 0 THEN CASE WHEN signed THEN '+' ELSE '' END || CAST(n AS VARCHAR) || ' ' || unit || CASE WHEN n = 1 THEN '' ELSE 's' END END`,
  `lakegate_clock(micros) AS lakegate_zero_pad(micros // 3600000000, 2) || ':' || lakegate_zero_pad((micros // 60000000) % 60, 2) || ':' || lakegate_zero_pad((micros // 1000000) % 60, 2) || CASE WHEN micros % 1000000 = 0 THEN '' ELSE '.' || rtrim(lpad(CAST(micros % 1000000 AS VARCHAR), 6, '0'), '0') END`,
  `lakegate_zero_pad(n, width) AS CASE WHEN n < 0 THEN '-' || lpad(CAST(-n AS VARCHAR), width, '0') WHEN length(CAST(n AS VARCHAR)) >= width THEN CAST(n AS VARCHAR) ELSE lpad(CAST(n AS VARCHAR), width, '0') END`,
  `lakegate_date_text(s) AS CASE WHEN contains(s, '(BC)') THEN replace(s, ' (BC)', '') || ' BC' ELSE s END`,
  `lakegate_round_timestamp(t, unit) AS CASE WHEN isfinite(t) THEN make_timestamp(CAST(round(epoch_us(t)::DECIMAL(38,0) / unit) * unit AS BIGINT)) ELSE t END`,
  `lakegate_round_timestamptz(t, unit) AS CASE WHEN isfinite(t) THEN make_timestamptz(CAST(round(epoch_us(t)::DECIMAL(38,0) / unit) * unit AS BIGINT)) ELSE t END`,
  `lakegate_round_time(t, unit) AS CASE WHEN round(epoch_us(t)::DECIMAL(38,0) / unit) * unit >= 86400000000 THEN TIME '24:00:00' ELSE TIME '00:00:00' + to_microseconds(CAST(round(epoch_us(t)::DECIMAL(38,0) / unit) * unit AS BIGINT)) END`,
  `lakegate_interval_time(i) AS TIME '00:00:00' + to_microseconds(((lakegate_interval_micros(i) % 86400000000) + 86400000000) % 86400000000)`,
  `lakegate_time_difference(a, b) AS to_microseconds(epoch_us(a) - epoch_us(b))`,
  `lakegate_scale_interval(i, f) AS lakegate_spread(lakegate_interval_months(i) * f, lakegate_interval_days(i) * f, lakegate_interval_micros(i) * f)`,
  // What is left of a month is days of 30, what is left of a day is time, as PostgreSQL spreads it.
  `lakegate_spread(months, days, micros) AS lakegate_interval(trunc(months), trunc(trunc(days) + lakegate_rounded((months - trunc(months)) * 30)), round(micros + (lakegate_rounded(days - trunc(days)) + lakegate_rounded((months - trunc(months)) * 30) - trunc(lakegate_rounded((months - trunc(months)) * 30))) * 86400000000))`,
  `lakegate_rounded(x) AS round(x, 9)`,
  `lakegate_justify_hours(i) AS lakegate_interval(lakegate_interval_months(i), lakegate_interval_days(i) + lakegate_interval_micros(i) // 86400000000, lakegate_interval_micros(i) % 86400000000)`,
  `lakegate_justify_days(i) AS lakegate_interval(lakegate_interval_months(i) + lakegate_interval_days(i) // 30, lakegate_interval_days(i) % 30, lakegate_interval_micros(i))`,
  `lakegate_justify_interval(i) AS lakegate_justify_days(lakegate_justify_hours(i))`,
  `lakegate_make_date(y, m, d) AS CASE WHEN m < 1 OR m > 12 OR d < 1 OR d > 31 OR y = 0 THEN error('lakegate!22008!date field value out of range: ' || y || '-' || lpad(CAST(m AS VARCHAR), 2, '0') || '-' || lpad(CAST(d AS VARCHAR), 2, '0')) ELSE make_date(CASE WHEN y < 0 THEN y + 1 ELSE y END, m, d) END`,
  `lakegate_epoch(x) AS CASE WHEN isinf(x) THEN CASE WHEN x > 0 THEN TIMESTAMPTZ 'infinity' ELSE TIMESTAMPTZ '-infinity' END ELSE make_timestamptz(CAST(round(x * 1000000) AS BIGINT)) END`,
  `lakegate_overlaps(a, b, c, d) AS CASE WHEN least(a, b) = least(c, d) THEN true WHEN least(a, b) < least(c, d) THEN least(c, d) < greatest(a, b) ELSE least(a, b) < greatest(c, d) END`,
  `lakegate_year(x) AS CASE WHEN year(x) <= 0 AND typeof(x) <> 'INTERVAL' THEN year(x) - 1 ELSE year(x) END`,
  `lakegate_decade(x) AS CAST(floor(year(x) / 10.0::DOUBLE) AS BIGINT)`,
  `lakegate_epoch_of(x) AS CASE typeof(x) WHEN 'INTERVAL' THEN CAST(epoch(x) AS DECIMAL(38,6)) ELSE CAST(epoch_us(x) AS DECIMAL(38,0)) * 0.000001 END`,
  `lakegate_ordinal(n) AS CASE WHEN (n % 100) BETWEEN 11 AND 13 THEN 'th' WHEN n % 10 = 1 THEN 'st' WHEN n % 10 = 2 THEN 'nd' WHEN n % 10 = 3 THEN 'rd' ELSE 'th' END`,
  `lakegate_roman_month(m) AS ['I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX', 'X', 'XI', 'XII'][m]`,
  `lakegate_offset_text(s) AS CASE WHEN s < 0 THEN '-' ELSE '+' END || lakegate_zero_pad(abs(s) // 3600, 2) || CASE WHEN (abs(s) // 60) % 60 = 0 THEN '' ELSE ':' || lakegate_zero_pad((abs(s) // 60) % 60, 2) END`,
  // A macro's arguments are copied to wherever they are used: the lambdas name what is used often.
  `lakegate_number_text(n, places, whole, minimum, least, seps, point, fill, lead, trail, width) AS CASE WHEN n IS NULL THEN NULL ELSE list_transform([n], lambda v: list_transform([lakegate_fixed(round(abs(v), places), places)], lambda t: list_transform([lakegate_number_body(split_part(t, '.', 1), split_part(t, '.', 2), places, whole, minimum, least, seps, point, fill)], lambda b: lakegate_number_signed(round(abs(v), places) <> 0 AND v < 0, b, fill, lead, trail, width + CASE WHEN point THEN places + 1 ELSE 0 END))[1])[1])[1] END`,
  `lakegate_fixed(x, places) AS CAST(x AS VARCHAR) || CASE WHEN contains(CAST(x AS VARCHAR), '.') OR places = 0 THEN '' ELSE '.' || repeat('0', places) END`,
  `lakegate_number_body(w, f, places, whole, minimum, least, seps, point, fill) AS CASE WHEN w <> '0' AND length(w) > whole THEN repeat('#', whole) || CASE WHEN point THEN '.' || repeat('#', places) ELSE '' END ELSE lakegate_grouped(CASE WHEN w = '0' AND minimum = 0 AND places > 0 THEN '' WHEN length(w) < minimum THEN lpad(w, minimum, '0') ELSE w END, seps) || CASE WHEN point THEN '.' || CASE WHEN fill THEN f[1:least] || rtrim(f[least + 1:], '0') ELSE f END ELSE '' END END`,
  `lakegate_grouped(w, seps) AS coalesce(array_to_string(list_transform(range(1, length(w) + 1), lambda i: w[i] || CASE WHEN i < length(w) AND list_contains(seps, CAST(length(w) - i AS INTEGER)) THEN ',' ELSE '' END), ''), '')`,
  `lakegate_number_signed(negative, body, fill, lead, trail, width) AS CASE trail WHEN 'PR' THEN CASE WHEN fill THEN CASE WHEN negative THEN '<' || body || '>' ELSE body END ELSE lpad(CASE WHEN negative THEN '<' || body || '>' ELSE body || ' ' END, width + 2, ' ') END WHEN 'MI' THEN CASE WHEN fill THEN body ELSE lakegate_left_fill(body, width) END || CASE WHEN negative THEN '-' WHEN fill THEN '' ELSE ' ' END WHEN 'S' THEN CASE WHEN fill THEN body ELSE lakegate_left_fill(body, width) END || CASE WHEN negative THEN '-' ELSE '+' END WHEN 'SG' THEN CASE WHEN fill THEN body ELSE lakegate_left_fill(body, width) END || CASE WHEN negative THEN '-' ELSE '+' END WHEN 'PL' THEN CASE WHEN fill THEN body ELSE lakegate_left_fill(body, width) END || CASE WHEN negative THEN ' ' ELSE '+' END ELSE CASE WHEN fill THEN CASE WHEN negative THEN '-' WHEN lead = 'S' THEN '+' ELSE '' END || body ELSE lakegate_left_fill(CASE WHEN negative THEN '-' WHEN lead = 'S' THEN '+' ELSE ' ' END || body, width + 1) END END`,
  `lakegate_left_fill(s, n) AS CASE WHEN length(s) >= n THEN s ELSE lpad(s, n, ' ') END`,
]

const LISTS = [
  `lakegate_array_item(s) AS CASE WHEN s IS NULL THEN 'NULL' WHEN s = '' OR lower(s) = 'null' OR regexp_matches(s, '[{}",\\\\\\s]') THEN '"' || replace(replace(s, '\\', '\\\\'), '"', '\\"') || '"' ELSE s END`,
  `lakegate_array_cat(a, b) AS CASE WHEN a IS NULL THEN b WHEN b IS NULL THEN a ELSE list_concat(a, b) END`,
  `lakegate_array_positions(a, x) AS list_filter(CAST(range(1, len(a) + 1) AS INTEGER[]), lambda i: a[i] IS NOT DISTINCT FROM x)`,
  `lakegate_array_contains(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN len(list_filter(b, lambda e: e IS NULL)) > 0 THEN false ELSE list_has_all(a, b) END`,
  `lakegate_array_overlaps(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE list_has_any(list_filter(a, lambda e: e IS NOT NULL), list_filter(b, lambda e: e IS NOT NULL)) END`,
  `lakegate_without_nulls(a) AS list_filter(a, lambda e: e IS NOT NULL)`,
  `lakegate_array_join(a, separator) AS CASE WHEN a IS NULL OR separator IS NULL THEN NULL ELSE coalesce(array_to_string(a, separator), '') END`,
  `lakegate_step(n) AS CASE WHEN n = 0 THEN ${raise('22023', 'step size cannot equal zero')} ELSE n END`,
  `lakegate_step_interval(i) AS CASE WHEN i = INTERVAL '0 days' THEN ${raise('22023', 'step size cannot equal zero')} ELSE i END`,
  // Any true is true, else any unknown is unknown: what ANY over an array means.
  `lakegate_any(a) AS CASE WHEN a IS NULL THEN NULL WHEN list_contains(a, true) THEN true WHEN list_position(a, NULL) IS NOT NULL THEN NULL ELSE false END`,
  `lakegate_all(a) AS CASE WHEN a IS NULL THEN NULL WHEN list_contains(a, false) THEN false WHEN list_position(a, NULL) IS NOT NULL THEN NULL ELSE true END`,
  `lakegate_slice(a, low, high) AS CASE WHEN a IS NULL OR low IS NULL OR high IS NULL THEN NULL WHEN high < greatest(low, 1) THEN a[1:0] ELSE a[greatest(low, 1):high] END`,
]

const JSONS = [
  `lakegate_json_list(a) AS CASE WHEN a IS NULL THEN NULL ELSE '[' || array_to_string(list_transform(a, lambda e: coalesce(CAST(e AS VARCHAR), 'null')), ', ') || ']' END`,
  `lakegate_json_typeof(j) AS CASE json_type(j) WHEN 'VARCHAR' THEN 'string' WHEN 'ARRAY' THEN 'array' WHEN 'OBJECT' THEN 'object' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' ELSE CASE WHEN j IS NULL THEN NULL ELSE 'number' END END`,
  `lakegate_json_array_length(j) AS CASE WHEN j IS NULL THEN NULL WHEN json_type(j) = 'ARRAY' THEN CAST(json_array_length(j) AS INTEGER) WHEN json_type(j) = 'OBJECT' THEN ${raise('22023', 'cannot get array length of a non-array')} ELSE ${raise('22023', 'cannot get array length of a scalar')} END`,
  `lakegate_json_elements(j) AS CASE WHEN j IS NULL THEN NULL WHEN json_type(j) = 'ARRAY' THEN json_extract(j, '$[*]') WHEN json_type(j) = 'OBJECT' THEN ${raise('22023', 'cannot extract elements from an object')} ELSE ${raise('22023', 'cannot extract elements from a scalar')} END`,
  `lakegate_json_keys(j) AS CASE WHEN j IS NULL THEN NULL WHEN json_type(j) = 'OBJECT' THEN json_keys(j) WHEN json_type(j) = 'ARRAY' THEN ${raise('22023', 'cannot call json_object_keys on an array')} ELSE ${raise('22023', 'cannot call json_object_keys on a scalar')} END`,
  `lakegate_json_key_path(k) AS '$."' || replace(replace(k, '\\', '\\\\'), '"', '\\"') || '"'`,
  `lakegate_json_item(j, n) AS CASE WHEN json_type(j) = 'ARRAY' THEN json_extract(j, CASE WHEN n < 0 THEN '$[#' || n || ']' ELSE '$[' || n || ']' END) END`,
  `lakegate_json_step(value, step) AS CASE WHEN json_type(value) = 'ARRAY' AND regexp_full_match(step, '-?[0-9]{1,9}') THEN CASE WHEN step[1] = '-' THEN '$[#' || step || ']' ELSE '$[' || step || ']' END ELSE lakegate_json_key_path(step) END`,
  `lakegate_json_path(j, keys) AS CASE WHEN j IS NULL OR keys IS NULL THEN NULL WHEN len(keys) = 0 THEN j WHEN len(keys) = 1 THEN json_extract(j, lakegate_json_step(j, keys[1])) WHEN len(keys) = 2 THEN lakegate_json_two(json_extract(j, lakegate_json_step(j, keys[1])), keys[2]) WHEN len(keys) = 3 THEN lakegate_json_two(lakegate_json_two(json_extract(j, lakegate_json_step(j, keys[1])), keys[2]), keys[3]) WHEN len(keys) = 4 THEN lakegate_json_two(lakegate_json_two(lakegate_json_two(json_extract(j, lakegate_json_step(j, keys[1])), keys[2]), keys[3]), keys[4]) ELSE ${raise('0A000', 'JSON paths of more than four steps are not supported')} END`,
  `lakegate_json_two(held, wanted) AS json_extract(held, lakegate_json_step(held, wanted))`,
  `lakegate_json_exists(j, k) AS CASE WHEN j IS NULL OR k IS NULL THEN NULL WHEN json_type(j) = 'OBJECT' THEN list_contains(json_keys(j), k) WHEN json_type(j) = 'ARRAY' THEN list_contains(list_transform(json_extract(j, '$[*]'), lambda e: CASE WHEN json_type(e) = 'VARCHAR' THEN e ->> '$' END), k) ELSE json_type(j) = 'VARCHAR' AND (j ->> '$') = k END`,
  `lakegate_json_key(k) AS CASE WHEN k IS NULL THEN ${raise('22023', 'argument 1: key must not be null')} ELSE k END`,
  `lakegate_json_scalar(j, type, name) AS CASE WHEN j IS NULL THEN NULL WHEN lakegate_json_typeof(j) = CASE type WHEN 'numeric' THEN 'number' ELSE type END THEN j ->> '$' ELSE error('lakegate!22023!cannot cast jsonb ' || lakegate_json_typeof(j) || ' to type ' || name) END`,
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
  const pending = [...NUMBERS, ...TEXTS, ...TEXT_INPUT, ...TIMES, ...LISTS, ...JSONS, formatType()]
  // A macro must exist before another's body is bound: what fails waits for the next round.
  while (pending.length > 0) {
    const failed: string[] = []
    let failure: unknown
    for (const macro of pending) {
      const split = macro.indexOf(' AS ')
      const statement = `CREATE OR REPLACE MACRO ${macro.slice(0, split)} AS ${macro.slice(split + 4)}`
      try {
        await connection.run(statement)
      } catch (thrown) {
        failure = thrown
        failed.push(macro)
      }
    }
    if (failed.length === pending.length) throw failure
    pending.splice(0, pending.length, ...failed)
  }
}
