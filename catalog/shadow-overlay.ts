/** Shadow overlay: functions and views by which the shadow's PostgreSQL speaks of the gateway. */

import type { PGlite } from '@electric-sql/pglite'
import { SERVER_VERSION_TEXT } from './server-version.js'
import { ACTIVITY_NAME, FACTS_NAME, LOCKS_NAME } from './shadow-overlay-names.js'
import { WORKBENCH } from './shadow-apply.js'
import { SETTINGS_OVERLAY } from './settings-overlay.js'

const FACT = (name: string): string =>
  `nullif(pg_catalog.lakegate_current_setting('${FACTS_NAME}', true), '')::pg_catalog.json ->> '${name}'`

/** One function that answers for PostgreSQL's own of that name and arguments. */
interface Override {
  /** As ALTER FUNCTION names it. */
  readonly signature: string
  /** Behind the signature in CREATE FUNCTION, with names of parameters where the body needs them. */
  readonly parameters?: string
  readonly returns: string
  readonly body: string
  readonly traits?: string
}

const fact = (signature: string, returns: string, name: string): Override => ({
  signature,
  returns,
  body: `SELECT (${FACT(name)})::${returns}`,
})

const size = (signature: string, parameters: string, own: string): Override => ({
  signature,
  parameters,
  returns: 'bigint',
  body: `SELECT coalesce((SELECT size_bytes FROM pg_toast.lakegate_relation WHERE oid = $1),
    CASE WHEN $1::pg_catalog.oid < 16384 THEN ${own} WHEN EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = $1)
    THEN 0 END)`,
  traits: 'STABLE STRICT SECURITY DEFINER',
})

const viewdef = (
  signature: string,
  parameters: string,
  relation: string,
  own: string,
): Override => ({
  signature,
  parameters,
  returns: 'text',
  body: `SELECT coalesce((SELECT ' ' || rtrim(definition, E'; \\n') || ';' FROM pg_toast.lakegate_relation
    WHERE oid = ${relation}), ${own})`,
  traits: 'STABLE STRICT SECURITY DEFINER',
})

const XID = `(${FACT('xid')})`

const OVERRIDES: readonly Override[] = [
  {
    signature: 'version()',
    returns: 'text',
    body: `SELECT '${SERVER_VERSION_TEXT.replaceAll("'", "''")}'::text`,
    traits: 'STABLE',
  },
  fact('pg_backend_pid()', 'integer', 'pid'),
  fact('inet_client_addr()', 'inet', 'client_addr'),
  fact('inet_client_port()', 'integer', 'client_port'),
  fact('inet_server_addr()', 'inet', 'server_addr'),
  fact('inet_server_port()', 'integer', 'server_port'),
  fact('pg_postmaster_start_time()', 'timestamptz', 'started'),
  fact('pg_conf_load_time()', 'timestamptz', 'started'),
  fact('txid_current()', 'bigint', 'xid'),
  {
    signature: 'pg_current_xact_id()',
    returns: 'xid8',
    body: `SELECT ${XID}::xid8`,
  },
  size('pg_relation_size(regclass)', 'regclass', 'pg_catalog.lakegate_relation_size($1)'),
  size(
    'pg_relation_size(regclass, text)',
    'regclass, text',
    'pg_catalog.lakegate_relation_size($1, $2)',
  ),
  size('pg_table_size(regclass)', 'regclass', 'pg_catalog.lakegate_table_size($1)'),
  size(
    'pg_total_relation_size(regclass)',
    'regclass',
    'pg_catalog.lakegate_total_relation_size($1)',
  ),
  {
    signature: 'pg_indexes_size(regclass)',
    returns: 'bigint',
    body: `SELECT CASE WHEN $1::pg_catalog.oid < 16384 THEN pg_catalog.lakegate_indexes_size($1) ELSE 0 END`,
    traits: 'STABLE STRICT',
  },
  {
    signature: 'pg_database_size(oid)',
    returns: 'bigint',
    body: `SELECT CASE WHEN datname = current_database() THEN (${FACT('database_bytes')})::bigint ELSE 0 END
      FROM pg_catalog.pg_database WHERE oid = $1`,
    traits: 'STABLE STRICT',
  },
  {
    signature: 'pg_database_size(name)',
    returns: 'bigint',
    body: `SELECT pg_catalog.pg_database_size(lakegate.oid) FROM pg_catalog.pg_database lakegate WHERE datname = $1`,
    traits: 'STABLE STRICT',
  },
  {
    signature: 'pg_tablespace_size(oid)',
    returns: 'bigint',
    body: `SELECT CASE WHEN $1 = 1663 THEN (${FACT('database_bytes')})::bigint ELSE 0 END`,
    traits: 'STABLE STRICT',
  },
  {
    signature: 'pg_tablespace_size(name)',
    returns: 'bigint',
    body: `SELECT pg_catalog.pg_tablespace_size(t.oid) FROM pg_catalog.pg_tablespace t WHERE t.spcname = $1`,
    traits: 'STABLE STRICT',
  },
  {
    signature: 'pg_stat_get_live_tuples(oid)',
    returns: 'bigint',
    body: `SELECT greatest(0, (SELECT row_count FROM pg_toast.lakegate_relation WHERE oid = $1))`,
    traits: 'STABLE STRICT SECURITY DEFINER',
  },
  {
    signature: 'pg_sequence_last_value(regclass)',
    returns: 'bigint',
    body: `SELECT last_value FROM pg_toast.lakegate_relation WHERE oid = $1`,
    traits: 'STABLE STRICT SECURITY DEFINER',
  },
  {
    signature: 'pg_my_temp_schema()',
    returns: 'oid',
    body: `SELECT coalesce((SELECT oid FROM pg_catalog.pg_namespace WHERE oid = pg_catalog.lakegate_my_temp_schema()), 0::oid)`,
    traits: 'STABLE',
  },
  viewdef('pg_get_viewdef(oid)', 'oid', '$1', 'pg_catalog.lakegate_get_viewdef($1)'),
  viewdef(
    'pg_get_viewdef(oid, boolean)',
    'oid, boolean',
    '$1',
    'pg_catalog.lakegate_get_viewdef($1, $2)',
  ),
  viewdef(
    'pg_get_viewdef(oid, integer)',
    'oid, integer',
    '$1',
    'pg_catalog.lakegate_get_viewdef($1, $2)',
  ),
  viewdef(
    'pg_get_viewdef(text)',
    'text',
    '$1::pg_catalog.regclass',
    'pg_catalog.lakegate_get_viewdef($1)',
  ),
  viewdef(
    'pg_get_viewdef(text, boolean)',
    'text, boolean',
    '$1::pg_catalog.regclass',
    'pg_catalog.lakegate_get_viewdef($1, $2)',
  ),
]

/** Functions that give rows, whose columns are PostgreSQL's own: where the rows come from, if from anywhere. */
const ROW_OVERRIDES: readonly { readonly signature: string; readonly source: string | null }[] = [
  { signature: 'pg_stat_get_activity(integer)', source: ACTIVITY_NAME },
  { signature: 'pg_lock_status()', source: LOCKS_NAME },
  { signature: 'pg_hba_file_rules()', source: null },
  { signature: 'pg_ident_file_mappings()', source: null },
  { signature: 'pg_show_all_file_settings()', source: null },
]

/** Puts everything in its place; run once, when the template is made. */
export async function overlay(database: PGlite): Promise<void> {
  await database.exec(WORKBENCH)
  const rowFunctions: string[] = []
  for (const { signature, source } of ROW_OVERRIDES) {
    const { rows } = await database.query<{ readonly args: string }>(
      `SELECT pg_get_function_arguments('pg_catalog.${signature}'::regprocedure) AS args`,
    )
    const parameters = rows[0]?.args ?? ''
    const columns = [...parameters.matchAll(/OUT (\w+) ([^,]+)/g)].map(
      ([, name = '', type = '']) => [name, type] as const,
    )
    const list = columns.map(([name, type]) => `${name} ${type}`).join(', ')
    const filter = signature.includes('(integer)') ? ' WHERE $1 IS NULL OR r.pid = $1' : ''
    const body =
      source === null
        ? `SELECT ${columns.map(([, type]) => `NULL::${type}`).join(', ')} WHERE false`
        : `SELECT r.* FROM pg_catalog.json_to_recordset(coalesce(nullif(
            pg_catalog.lakegate_current_setting('${source}', true), ''), '[]')::json) AS r(${list})${filter}`
    const name = signature.replace(/\(.*/, '')
    rowFunctions.push(
      `CREATE FUNCTION pg_catalog.${name}(${parameters}) RETURNS SETOF record LANGUAGE sql VOLATILE
       AS $lakegate$ ${body} $lakegate$;`,
    )
  }
  const names = [...OVERRIDES, ...ROW_OVERRIDES].map(({ signature }) =>
    signature.replace(/\(.*/, ''),
  )
  // Views keep calling the functions they were made with, so they are made anew.
  const { rows: views } = await database.query<{
    readonly name: string
    readonly text: string
    readonly options: string | null
  }>(
    `SELECT c.oid::regclass::text AS name, pg_get_viewdef(c.oid) AS text,
       array_to_string(c.reloptions, ', ') AS options
     FROM pg_class c WHERE c.relkind = 'v' AND c.oid < 16384 AND pg_get_viewdef(c.oid) ~ $1 ORDER BY c.oid`,
    [`\\m(${[...new Set([...names, 'current_setting', 'pg_show_all_settings'])].join('|')})\\(`],
  )
  const renamed = [...OVERRIDES, ...ROW_OVERRIDES].map(({ signature }) => {
    const own = signature.replace(/\(.*/, '').replace(/^(pg_)?/, 'lakegate_')
    return `ALTER FUNCTION pg_catalog.${signature} RENAME TO ${own};`
  })
  await database.exec(renamed.join('\n'))
  await database.exec(SETTINGS_OVERLAY)
  await database.exec(
    OVERRIDES.map(({ signature, parameters, returns, body, traits = 'VOLATILE' }) => {
      const head =
        parameters === undefined ? signature : signature.replace(/\(.*/, `(${parameters})`)
      return `CREATE FUNCTION pg_catalog.${head} RETURNS ${returns} LANGUAGE sql ${traits} AS $lakegate$ ${body} $lakegate$;`
    }).join('\n'),
  )
  await database.exec(rowFunctions.join('\n'))
  for (const { name, text, options } of views) {
    if (name === 'pg_settings') continue
    const with_ = options === null ? '' : ` WITH (${options})`
    await database.exec(
      `CREATE OR REPLACE VIEW ${name.includes('.') ? name : `pg_catalog.${name}`}${with_} AS ${text}`,
    )
  }
  await database.exec(SHAPE)
}

/** PostgreSQL 16's names for what later versions call otherwise. */
const SHAPE = `
UPDATE pg_catalog.pg_attribute SET attname = 'colliculocale'
  WHERE attrelid = 'pg_catalog.pg_collation'::regclass AND attname = 'colllocale';
UPDATE pg_catalog.pg_attribute SET attstattarget = CASE WHEN attnum < 0 THEN 0 ELSE -1 END;
DELETE FROM pg_catalog.pg_shdescription WHERE classoid = 'pg_catalog.pg_database'::regclass AND objoid = 5;
INSERT INTO pg_catalog.pg_description
  SELECT own.oid, d.classoid, 0, d.description FROM pg_catalog.pg_proc own
  JOIN pg_catalog.pg_proc old ON old.proargtypes = own.proargtypes AND old.oid < 16384
    AND old.proname = 'lakegate_' || regexp_replace(own.proname, '^pg_', '') AND old.oid <> own.oid
  JOIN pg_catalog.pg_description d ON d.objoid = old.oid AND d.classoid = 'pg_catalog.pg_proc'::regclass
  WHERE own.oid >= 16384;
`
