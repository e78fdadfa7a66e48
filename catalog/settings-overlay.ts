/** Settings overlay: makes the PostgreSQL that answers catalog queries show the session's settings. */

/** The setting in which a session's rows of pg_settings are handed over, as a JSON array. */
export const SESSION_SETTINGS_NAME = 'lakegate.session_settings'

const COLUMNS =
  'name, setting, unit, category, short_desc, extra_desc, context, vartype, source, min_val, ' +
  'max_val, enumvals, boot_val, reset_val, sourcefile, sourceline, pending_restart'

/**
 * Statements that put pg_settings, pg_show_all_settings() and current_setting() over the rows
 * handed over; run once, when that PostgreSQL starts.
 *
 * Descriptions are PostgreSQL's own. A setting that was not handed over is asked of PostgreSQL, so
 * that its own functions go on working.
 */
export const SETTINGS_OVERLAY: string = `
SET allow_system_table_mods = on;
ALTER FUNCTION pg_catalog.pg_show_all_settings() RENAME TO lakegate_show_all_settings;
ALTER FUNCTION pg_catalog.current_setting(text) RENAME TO lakegate_current_setting;
ALTER FUNCTION pg_catalog.current_setting(text, boolean) RENAME TO lakegate_current_setting;
CREATE FUNCTION pg_catalog.lakegate_session_settings()
RETURNS TABLE (name text, setting text, shown text, unit text, category text, context text,
  vartype text, source text, min_val text, max_val text, enumvals text[], boot_val text,
  reset_val text, hidden boolean)
LANGUAGE sql STABLE AS $$
  SELECT r.* FROM pg_catalog.json_to_recordset(coalesce(
    nullif(pg_catalog.lakegate_current_setting('${SESSION_SETTINGS_NAME}', true), ''), '[]')::json)
  AS r(name text, setting text, shown text, unit text, category text, context text, vartype text,
    source text, min_val text, max_val text, enumvals text[], boot_val text, reset_val text, hidden boolean)
$$;
CREATE OR REPLACE VIEW pg_catalog.pg_settings AS
  SELECT s.name, s.setting, s.unit, s.category, coalesce(p.short_desc, '') AS short_desc,
    p.extra_desc, s.context, s.vartype, s.source, s.min_val, s.max_val, s.enumvals, s.boot_val,
    s.reset_val, NULL::text AS sourcefile, NULL::integer AS sourceline, false AS pending_restart
  FROM pg_catalog.lakegate_session_settings() s
  LEFT JOIN pg_catalog.lakegate_show_all_settings() p ON lower(p.name) = lower(s.name)
  WHERE NOT s.hidden;
CREATE FUNCTION pg_catalog.pg_show_all_settings(OUT name text, OUT setting text, OUT unit text,
  OUT category text, OUT short_desc text, OUT extra_desc text, OUT context text, OUT vartype text,
  OUT source text, OUT min_val text, OUT max_val text, OUT enumvals text[], OUT boot_val text,
  OUT reset_val text, OUT sourcefile text, OUT sourceline integer, OUT pending_restart boolean)
RETURNS SETOF record LANGUAGE sql STABLE AS $$ SELECT ${COLUMNS} FROM pg_catalog.pg_settings $$;
CREATE FUNCTION pg_catalog.current_setting(setting_name text, missing_ok boolean) RETURNS text
LANGUAGE sql STABLE STRICT AS $$
  SELECT coalesce(
    (SELECT s.shown FROM pg_catalog.lakegate_session_settings() s
      WHERE lower(s.name) = lower(setting_name)),
    pg_catalog.lakegate_current_setting(setting_name, missing_ok))
$$;
CREATE FUNCTION pg_catalog.current_setting(setting_name text) RETURNS text
LANGUAGE sql STABLE STRICT AS $$ SELECT pg_catalog.current_setting(setting_name, false) $$;
RESET allow_system_table_mods;
`
