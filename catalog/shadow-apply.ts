/** Shadow apply: writes a change of the shadow straight into PostgreSQL's own catalogs. */

import type { PGlite, Transaction } from '@electric-sql/pglite'
import { PUBLIC_OID, type ShadowChange, type ShadowRelation, SUPERUSER_OID } from './shadow.js'

type Runner = Pick<PGlite | Transaction, 'exec' | 'query'>

/** Catalogs with rows about a relation, and the column that names it. */
const PARTS: readonly (readonly [catalog: string, column: string])[] = [
  ['pg_attribute', 'attrelid'],
  ['pg_attrdef', 'adrelid'],
  ['pg_constraint', 'conrelid'],
  ['pg_rewrite', 'ev_class'],
  ['pg_description', 'objoid'],
  ['pg_depend', 'objid'],
  ['pg_sequence', 'seqrelid'],
  ['pg_toast.lakegate_relation', 'oid'],
  ['pg_class', 'oid'],
]

/**
 * Brings the shadow up to date, as the superuser and in the transaction that is open.
 *
 * Tables have rows in the catalogs and no files: they are made in one go however many there are,
 * with OIDs that are chosen. What needs PostgreSQL's parser (defaults, checks, views) goes through
 * its own commands; where it does not take one, the object does without.
 */
export async function applyShadow(database: Runner, change: ShadowChange): Promise<void> {
  const { removed, schemas, relations, counts, privileges } = change
  await database.exec(opened(true))
  if (removed.length > 0) await remove(database, removed)
  if (schemas !== null) await replaceSchemas(database, schemas)
  if (relations.length > 0) {
    const { temporarySchema } = change
    if (temporarySchema === undefined) await add(database, relations)
    else {
      const oid = await makeTemporarySchema(database, temporarySchema)
      await add(
        database,
        relations.map((one) => (one.temporary ? { ...one, schemaOid: oid } : one)),
      )
    }
  }
  if (counts.length > 0) await recount(database, counts)
  await database.exec(opened(false))
  if (privileges !== null) await grant(database, privileges)
}

/** The namespace of temporary objects, which this process has made and hidden when it began. */
async function makeTemporarySchema(database: Runner, name: string): Promise<number> {
  const { rows } = await database.query<{ readonly oid: number }>(
    `INSERT INTO pg_namespace (oid, nspname, nspowner)
     SELECT pg_catalog.lakegate_my_temp_schema(), $1, ${SUPERUSER_OID} RETURNING oid`,
    [name],
  )
  return rows[0]?.oid ?? 0
}

async function remove(database: Runner, oids: readonly number[]): Promise<void> {
  const list = `'{${oids.join(',')}}'::oid[]`
  // What belongs to the relation goes with it: its indexes, sequences and row types.
  await database.exec(`
    CREATE TEMP TABLE gone ON COMMIT DROP AS
      SELECT oid FROM pg_class WHERE oid = ANY(${list})
      UNION SELECT indexrelid FROM pg_index WHERE indrelid = ANY(${list})
      UNION SELECT objid FROM pg_depend WHERE refclassid = 'pg_class'::regclass
        AND refobjid = ANY(${list}) AND classid = 'pg_class'::regclass AND deptype = 'i';
    DELETE FROM pg_index WHERE indexrelid IN (SELECT oid FROM gone);
    DELETE FROM pg_type WHERE typrelid IN (SELECT oid FROM gone)
      OR typelem IN (SELECT oid FROM pg_type WHERE typrelid IN (SELECT oid FROM gone));
    ${PARTS.map(([catalog, column]) => `DELETE FROM ${catalog} WHERE ${column} IN (SELECT oid FROM gone);`).join('\n')}
    DELETE FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid IN (SELECT oid FROM gone)
      AND classid <> 'pg_rewrite'::regclass;
    DROP TABLE gone;`)
}

async function replaceSchemas(
  database: Runner,
  schemas: NonNullable<ShadowChange['schemas']>,
): Promise<void> {
  const list = schemas.map(({ oid }) => oid)
  await database.query(
    `DELETE FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_' AND NOT oid = ANY($1::oid[])`,
    [list],
  )
  await database.query(
    `INSERT INTO pg_namespace (oid, nspname, nspowner, nspacl)
     SELECT s.oid, s.name, ${SUPERUSER_OID}, NULL FROM json_to_recordset($1::json) AS s(oid oid, name name)
     WHERE NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = s.oid)`,
    [JSON.stringify(schemas)],
  )
  await database.query(
    `DELETE FROM pg_description WHERE classoid = 'pg_namespace'::regclass
       AND (objoid >= 16384 OR objoid = ${PUBLIC_OID})`,
  )
  await database.query(
    `INSERT INTO pg_description
     SELECT s.oid, 'pg_namespace'::regclass, 0, s.comment
     FROM json_to_recordset($1::json) AS s(oid oid, comment text) WHERE s.comment IS NOT NULL`,
    [JSON.stringify(schemas)],
  )
}

/**
 * The tables and the function that changes need, made along with the template.
 *
 * Rows of new objects are made from those of objects that PostgreSQL has made itself, which are
 * gone when the template is done. The tables lie where TOAST tables do, as which they show.
 */
export const WORKBENCH: string = `
CREATE TABLE lakegate_table (a integer PRIMARY KEY);
CREATE VIEW lakegate_view AS SELECT 1 AS a;
CREATE SEQUENCE lakegate_sequence;
CREATE TABLE pg_toast.lakegate_prototype (kind text, fields jsonb);
INSERT INTO pg_toast.lakegate_prototype
  SELECT 'class ' || relkind::text, to_jsonb(c) FROM pg_class c WHERE relname ~ '^lakegate_(table|view|sequence)'
  UNION ALL SELECT 'type ' || typcategory::text, to_jsonb(t) FROM pg_type t WHERE typname IN ('lakegate_table', '_lakegate_table')
  UNION ALL SELECT 'attribute r', to_jsonb(a) || '{"attstattarget": 0}' FROM pg_attribute a WHERE attrelid = 'lakegate_table'::regclass AND attnum < 0
  UNION ALL SELECT 'attribute S', to_jsonb(a) || '{"attstattarget": -1}' FROM pg_attribute a WHERE attrelid = 'lakegate_sequence'::regclass
  UNION ALL SELECT 'index', to_jsonb(i) FROM pg_index i WHERE indrelid = 'lakegate_table'::regclass
  UNION ALL SELECT 'constraint', to_jsonb(c) FROM pg_constraint c
    WHERE conrelid = 'lakegate_table'::regclass AND contype = 'p';
DROP TABLE lakegate_table; DROP VIEW lakegate_view; DROP SEQUENCE lakegate_sequence;
CREATE TABLE pg_toast.lakegate_relation (oid oid PRIMARY KEY, size_bytes bigint, row_count bigint,
  definition text, last_value bigint);
UPDATE pg_class SET relkind = 't'
  WHERE relname IN ('lakegate_prototype', 'lakegate_relation') AND relnamespace = 'pg_toast'::regnamespace;
DELETE FROM pg_type WHERE typname ~ '^_?lakegate_(prototype|relation)$';
CREATE FUNCTION pg_catalog.lakegate_attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN RETURN SQLERRM;
END $$;
`

/** A TOAST table takes no changes: for their time it is none. */
function opened(isOpen: boolean): string {
  return `UPDATE pg_class SET relkind = '${isOpen ? 'r' : 't'}'
    WHERE relname = 'lakegate_relation' AND relnamespace = 'pg_toast'::regnamespace`
}

async function add(database: Runner, relations: readonly ShadowRelation[]): Promise<void> {
  const classes = relations.flatMap(classesOf)
  await database.query(
    `INSERT INTO pg_class SELECT r.*
     FROM json_to_recordset($1::json) AS c(oid oid, kind text, fields jsonb)
     JOIN pg_toast.lakegate_prototype p ON p.kind = 'class ' || c.kind,
     LATERAL jsonb_populate_record(NULL::pg_class, p.fields || c.fields || jsonb_build_object('oid', c.oid, 'relfilenode', c.oid,
       'relowner', ${SUPERUSER_OID}, 'relpages', 0, 'relallvisible', 0, 'reltoastrelid', 0,
       'relacl', NULL, 'relfrozenxid', 3, 'relminmxid', 1)) r`,
    [JSON.stringify(classes)],
  )
  await database.query(
    `INSERT INTO pg_type SELECT r.*
     FROM json_to_recordset($1::json)
       AS c(oid oid, row oid, "array" oid, name text, "arrayName" text, schema oid),
     LATERAL (VALUES (c.row, 'type C', jsonb_build_object('typname', c.name,
         'typrelid', c.oid, 'typarray', c."array")),
       (c."array", 'type A', jsonb_build_object('typname', c."arrayName",
         'typelem', c.row))) AS t(oid, kind, fields)
     JOIN pg_toast.lakegate_prototype p ON p.kind = t.kind,
     LATERAL jsonb_populate_record(NULL::pg_type, p.fields || t.fields || jsonb_build_object('oid', t.oid,
       'typnamespace', c.schema, 'typowner', ${SUPERUSER_OID})) r`,
    [
      JSON.stringify(
        relations.map((one) => ({
          oid: one.oid,
          row: one.rowTypeOid,
          array: one.arrayTypeOid,
          name: one.name,
          arrayName: one.arrayTypeName,
          schema: one.schemaOid,
        })),
      ),
    ],
  )
  await database.query(
    `INSERT INTO pg_depend SELECT d.* FROM unnest($1::oid[], $2::oid[], $3::oid[]) AS c(oid, type, schema),
     LATERAL (VALUES ('pg_class'::regclass::oid, c.oid, 0, 'pg_namespace'::regclass::oid, c.schema, 0, 'n'::"char"),
       ('pg_type'::regclass::oid, c.type, 0, 'pg_class'::regclass::oid, c.oid, 0, 'i'::"char")) AS d`,
    [
      relations.map(({ oid }) => oid),
      relations.map(({ rowTypeOid }) => rowTypeOid),
      relations.map(({ schemaOid }) => schemaOid),
    ],
  )
  await addAttributes(database, relations)
  await addKeys(database, relations)
  await addSequences(database, relations)
  await describe(database, relations)
  await attempt(database, relations)
  // As PostgreSQL 16 has it; clients that take it for one read NULL as 0.
  const views = relations.filter(({ kind }) => kind === 'v').map(({ oid }) => oid)
  if (views.length === 0) return
  await database.query(
    'UPDATE pg_attribute SET attstattarget = -1 WHERE attrelid = ANY($1::oid[]) AND attnum > 0',
    [views],
  )
}

interface ClassRow {
  readonly oid: number
  readonly kind: string
  readonly fields: Readonly<Record<string, unknown>>
}

function classesOf(relation: ShadowRelation): readonly ClassRow[] {
  const { oid, schemaOid, temporary, columns, keys, sequences } = relation
  const common = { relnamespace: schemaOid, relpersistence: temporary ? 't' : 'p' }
  const isView = relation.kind === 'v'
  const own: ClassRow = {
    oid,
    kind: relation.kind,
    fields: {
      ...common,
      relname: relation.name,
      reltype: relation.rowTypeOid,
      // A view's columns are put in by PostgreSQL itself, which reads the SELECT.
      relnatts: isView ? 0 : columns.length,
      reltuples: isView ? 0 : relation.rowCount,
      relhasindex: keys.length > 0,
      relhasrules: false,
      relchecks: 0,
    },
  }
  const indexes = keys.map((key) => ({
    oid: key.indexOid,
    kind: 'i',
    fields: { ...common, relname: key.name, relnatts: key.attributes.length, reltuples: 0 },
  }))
  const counters = sequences.map((sequence) => ({
    oid: sequence.oid,
    kind: 'S',
    fields: { ...common, relname: sequence.name },
  }))
  return [own, ...indexes, ...counters]
}

async function addAttributes(
  database: Runner,
  relations: readonly ShadowRelation[],
): Promise<void> {
  const rows = relations
    .filter(({ kind }) => kind === 'r')
    .flatMap((relation) => {
      const generated = new Set(relation.generated.map(({ attribute }) => attribute))
      return relation.columns.map((column, i) => [
        relation.oid,
        column.name,
        column.type,
        i + 1,
        column.typmod,
        column.dimensions,
        column.notNull,
        column.identity,
        generated.has(i + 1) ? 's' : '',
      ])
    })
  const column = (at: number): unknown[] => rows.map((row) => row[at])
  await database.query(
    `INSERT INTO pg_attribute (attrelid, attname, atttypid, attlen, attnum, atttypmod, attndims,
       attbyval, attalign, attstorage, attcompression, attnotnull, atthasdef, atthasmissing,
       attidentity, attgenerated, attisdropped, attislocal, attinhcount, attcollation,
       attstattarget)
     SELECT c.relation, c.name, c.type, t.typlen, c.number, c.typmod, c.dimensions, t.typbyval,
       t.typalign, t.typstorage, '', c.required, false, false, c.identity::"char", c.generated::"char",
       false, true, 0, t.typcollation, -1
     FROM unnest($1::oid[], $2::text[], $3::oid[], $4::int2[], $5::int4[], $6::int2[], $7::bool[],
       $8::text[], $9::text[])
       AS c(relation, name, type, number, typmod, dimensions, required, identity, generated)
     JOIN pg_type t ON t.oid = c.type`,
    Array.from({ length: 9 }, (_, at) => column(at)),
  )
  await database.query(
    `INSERT INTO pg_attribute SELECT r.*
     FROM unnest($1::oid[]) AS c(relation), pg_toast.lakegate_prototype p,
     LATERAL jsonb_populate_record(NULL::pg_attribute,
       p.fields || jsonb_build_object('attrelid', c.relation)) r
     WHERE p.kind = 'attribute r'`,
    [relations.filter(({ kind }) => kind === 'r').map(({ oid }) => oid)],
  )
}

async function addKeys(database: Runner, relations: readonly ShadowRelation[]): Promise<void> {
  const keys = relations.flatMap(({ oid, schemaOid, keys: all }) =>
    all.map((key) => ({ ...key, relation: oid, schema: schemaOid })),
  )
  if (keys.length === 0) return
  const source = `json_to_recordset($1::json) AS k("constraintOid" oid, "indexOid" oid, name text,
    "primary" bool, attributes int2[], relation oid, schema oid)`
  await database.query(
    `INSERT INTO pg_attribute SELECT r.*
     FROM ${source}, unnest(k.attributes) WITH ORDINALITY AS n(attribute, place)
     JOIN pg_attribute p ON p.attnum = n.attribute,
     LATERAL jsonb_populate_record(p, jsonb_build_object('attrelid', k."indexOid", 'attnum', n.place,
       'attnotnull', false, 'attidentity', '', 'attgenerated', '')) r
     WHERE p.attrelid = k.relation`,
    [JSON.stringify(keys)],
  )
  await database.query(
    `INSERT INTO pg_index SELECT r.*
     FROM ${source}, pg_toast.lakegate_prototype p, LATERAL (
       SELECT string_agg(a.attcollation::text, ' ' ORDER BY n.place) AS collations,
         string_agg('0', ' ') AS options,
         string_agg((SELECT o.oid FROM pg_opclass o WHERE o.opcmethod = 403 AND o.opcdefault AND
           o.opcintype = CASE WHEN t.typcategory = 'A' THEN 'anyarray'::regtype
             WHEN t.oid = 'varchar'::regtype THEN 'text'::regtype ELSE t.oid END LIMIT 1)::text,
           ' ' ORDER BY n.place) AS classes
       FROM unnest(k.attributes) WITH ORDINALITY AS n(attribute, place)
       JOIN pg_attribute a ON a.attrelid = k.relation AND a.attnum = n.attribute
       JOIN pg_type t ON t.oid = a.atttypid) AS d,
     LATERAL jsonb_populate_record(NULL::pg_index, p.fields || jsonb_build_object('indexrelid', k."indexOid",
       'indrelid', k.relation, 'indnatts', cardinality(k.attributes),
       'indnkeyatts', cardinality(k.attributes), 'indisprimary', k."primary",
       'indkey', array_to_string(k.attributes, ' '), 'indcollation', d.collations,
       'indclass', d.classes, 'indoption', d.options)) r
     WHERE p.kind = 'index'`,
    [JSON.stringify(keys)],
  )
  await database.query(
    `INSERT INTO pg_constraint SELECT r.*
     FROM ${source}, pg_toast.lakegate_prototype p,
     LATERAL jsonb_populate_record(NULL::pg_constraint, p.fields || jsonb_build_object(
       'oid', k."constraintOid", 'conname', k.name, 'connamespace', k.schema, 'conrelid', k.relation,
       'contype', CASE WHEN k."primary" THEN 'p' ELSE 'u' END, 'conindid', k."indexOid",
       'conkey', k.attributes)) r
     WHERE p.kind = 'constraint'`,
    [JSON.stringify(keys)],
  )
  await database.query(
    `INSERT INTO pg_depend
     SELECT 'pg_class'::regclass, k."indexOid", 0, 'pg_constraint'::regclass, k."constraintOid", 0, 'i'
     FROM ${source}`,
    [JSON.stringify(keys)],
  )
}

async function addSequences(database: Runner, relations: readonly ShadowRelation[]): Promise<void> {
  const sequences = relations.flatMap(({ oid, sequences: all }) =>
    all.map((sequence) => ({ ...sequence, relation: oid })),
  )
  if (sequences.length === 0) return
  const source = `json_to_recordset($1::json) AS s(oid oid, attribute int, relation oid, start int8,
    step int8, last int8)`
  const values = [JSON.stringify(sequences)]
  await database.query(
    `INSERT INTO pg_sequence SELECT s.oid, 'int8'::regtype, s.start, s.step,
       CASE WHEN s.step > 0 THEN 9223372036854775807 ELSE -1 END,
       CASE WHEN s.step > 0 THEN least(1, s.start) ELSE -9223372036854775808 END, 1, false
     FROM ${source}`,
    values,
  )
  await database.query(
    `INSERT INTO pg_attribute SELECT r.* FROM ${source}, pg_toast.lakegate_prototype p,
       LATERAL jsonb_populate_record(NULL::pg_attribute, p.fields || jsonb_build_object('attrelid', s.oid)) r
     WHERE p.kind = 'attribute S'`,
    values,
  )
  await database.query(
    `INSERT INTO pg_depend SELECT 'pg_class'::regclass, s.oid, 0, 'pg_class'::regclass, s.relation,
       s.attribute, 'i' FROM ${source}`,
    values,
  )
  await database.query(
    `INSERT INTO pg_toast.lakegate_relation (oid, size_bytes, row_count, last_value)
     SELECT s.oid, 0, 0, s.last FROM ${source}`,
    values,
  )
}

async function describe(database: Runner, relations: readonly ShadowRelation[]): Promise<void> {
  const comments = relations.flatMap(({ oid, comment, columns }) => [
    ...(comment === null ? [] : [{ oid, part: 0, text: comment }]),
    ...columns.flatMap((column, i) =>
      column.comment === null ? [] : [{ oid, part: i + 1, text: column.comment }],
    ),
  ])
  await database.query(
    `INSERT INTO pg_description SELECT c.oid, 'pg_class'::regclass, c.part, c.text
     FROM json_to_recordset($1::json) AS c(oid oid, part int, text text)`,
    [JSON.stringify(comments)],
  )
  await database.query(
    `INSERT INTO pg_toast.lakegate_relation (oid, size_bytes, row_count)
     SELECT r.oid, r."sizeBytes", r."rowCount"
     FROM json_to_recordset($1::json) AS r(oid oid, "sizeBytes" int8, "rowCount" int8)`,
    [
      JSON.stringify(
        relations.map(({ oid, sizeBytes, rowCount }) => ({ oid, sizeBytes, rowCount })),
      ),
    ],
  )
}

/** What needs PostgreSQL's parser: defaults, generated columns, checks, views. */
async function attempt(database: Runner, relations: readonly ShadowRelation[]): Promise<void> {
  const run = async (statement: string): Promise<string | null> => {
    const { rows } = await database.query<{ readonly error: string | null }>(
      'SELECT lakegate_attempt($1) AS error',
      [statement],
    )
    return rows[0]?.error ?? null
  }
  const schemas = await schemaNames(database)
  for (const relation of relations) {
    const name = `${schemas.get(relation.schemaOid)}.${quoted(relation.name)}`
    const column = (attribute: number): string =>
      quoted(relation.columns[attribute - 1]?.name ?? '')
    const repin = async (attribute: number, oid: number): Promise<void> => {
      await database.query(`UPDATE pg_attrdef SET oid = $1 WHERE adrelid = $2 AND adnum = $3`, [
        oid,
        relation.oid,
        attribute,
      ])
      await database.query(
        `UPDATE pg_depend SET objid = $1 WHERE classid = 'pg_attrdef'::regclass AND refobjid = $2 AND refobjsubid = $3`,
        [oid, relation.oid, attribute],
      )
    }
    for (const { oid, attribute, text } of relation.defaults) {
      await run(`ALTER TABLE ${name} ALTER COLUMN ${column(attribute)} SET DEFAULT ${text}`)
      await repin(attribute, oid)
    }
    for (const { oid, attribute, text } of relation.generated) {
      await generate(database, run, relation, attribute, text)
      await repin(attribute, oid)
    }
    for (const check of relation.checks) {
      await run(
        `ALTER TABLE ${name} ADD CONSTRAINT ${quoted(check.name)} CHECK (${check.text}) NOT VALID`,
      )
      await database.query(
        `UPDATE pg_constraint SET oid = $1, convalidated = true WHERE conrelid = $2 AND conname = $3`,
        [check.oid, relation.oid, check.name],
      )
      await database.query(
        `UPDATE pg_depend SET objid = $1 WHERE classid = 'pg_constraint'::regclass AND refobjid = $2
           AND objid NOT IN (SELECT oid FROM pg_constraint)`,
        [check.oid, relation.oid],
      )
    }
  }
  let waiting = relations.filter(({ kind }) => kind === 'v')
  // A view may read others, in whatever order they come.
  for (let before = -1; waiting.length > 0 && waiting.length !== before; ) {
    before = waiting.length
    const left: ShadowRelation[] = []
    for (const view of waiting) {
      const name = `${schemas.get(view.schemaOid)}.${quoted(view.name)}`
      if (!(await makeView(database, run, view, name, false))) left.push(view)
    }
    waiting = left
  }
  for (const view of waiting) {
    const name = `${schemas.get(view.schemaOid)}.${quoted(view.name)}`
    await makeView(database, run, view, name, true)
  }
}

/** Makes the rule of a view out of its SELECT, or where PostgreSQL does not take it, out of its columns. */
async function makeView(
  database: Runner,
  run: (statement: string) => Promise<string | null>,
  view: ShadowRelation,
  name: string,
  isPlaceholder: boolean,
): Promise<boolean> {
  const names = view.columns.map((column) => quoted(column.name))
  const list = names.length > 0 ? ` (${names.join(', ')})` : ''
  let body = view.definition ?? ''
  if (isPlaceholder) {
    const { rows } = await database.query<{ readonly name: string }>(
      `SELECT format_type(c.type, c.typmod) AS name
       FROM unnest($1::oid[], $2::int4[]) WITH ORDINALITY AS c(type, typmod, place) ORDER BY place`,
      [view.columns.map(({ type }) => type), view.columns.map(({ typmod }) => typmod)],
    )
    body = `SELECT ${rows.map((row) => `NULL::${row.name}`).join(', ')}`
    await database.query('UPDATE pg_toast.lakegate_relation SET definition = $2 WHERE oid = $1', [
      view.oid,
      view.definition,
    ])
  }
  const error = await run(`CREATE OR REPLACE VIEW ${name}${list} AS ${body}`)
  if (error !== null) return false
  // Types of strings are one to the gateway: what varchar's length is, PostgreSQL says.
  const { rows } = await database.query<{ readonly same: boolean }>(
    `SELECT coalesce(array_agg(CASE WHEN atttypid IN (1042, 1043) THEN 25 ELSE atttypid END
       ORDER BY attnum), '{}') = $2::oid[] AS same
     FROM pg_attribute WHERE attrelid = $1 AND attnum > 0`,
    [view.oid, view.columns.map(({ type }) => (type === 1042 || type === 1043 ? 25 : type))],
  )
  if (isPlaceholder || view.columns.length === 0 || rows[0]?.same === true) return true
  // Rows of the view are of the gateway's types, whatever PostgreSQL makes of the text.
  await database.exec(`
    DELETE FROM pg_attribute WHERE attrelid = ${view.oid};
    DELETE FROM pg_depend WHERE objid IN (SELECT oid FROM pg_rewrite WHERE ev_class = ${view.oid});
    DELETE FROM pg_rewrite WHERE ev_class = ${view.oid};
    UPDATE pg_class SET relnatts = 0, relhasrules = false WHERE oid = ${view.oid};`)
  return false
}

/** The expression of a generated column, which PostgreSQL only takes while a table is made. */
async function generate(
  database: Runner,
  run: (statement: string) => Promise<string | null>,
  relation: ShadowRelation,
  attribute: number,
  text: string,
): Promise<void> {
  const { rows } = await database.query<{ readonly type: string; readonly name: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = $1 AND attnum > 0 ORDER BY attnum`,
    [relation.oid],
  )
  const columns = rows.map(
    ({ name, type }, i) =>
      `${quoted(name)} ${type}${i + 1 === attribute ? ` GENERATED ALWAYS AS (${text}) STORED` : ''}`,
  )
  const error = await run(`CREATE TEMP TABLE lakegate_generated (${columns.join(', ')})`)
  if (error !== null) {
    await database.query(
      `UPDATE pg_attribute SET attgenerated = '' WHERE attrelid = $1 AND attnum = $2`,
      [relation.oid, attribute],
    )
    return
  }
  await database.query(
    `INSERT INTO pg_attrdef SELECT lakegate_next.oid, $1, d.adnum, d.adbin FROM pg_attrdef d,
       (SELECT (max(oid)::int8 + 1)::oid AS oid FROM pg_attrdef) AS lakegate_next
     WHERE d.adrelid = 'pg_temp.lakegate_generated'::regclass`,
    [relation.oid],
  )
  await database.query(
    'UPDATE pg_attribute SET atthasdef = true WHERE attrelid = $1 AND attnum = $2',
    [relation.oid, attribute],
  )
  await database.exec('DROP TABLE pg_temp.lakegate_generated')
}

async function recount(database: Runner, counts: ShadowChange['counts']): Promise<void> {
  const values = [JSON.stringify(counts)]
  const source = `json_to_recordset($1::json) AS r(oid oid, "sizeBytes" int8, "rowCount" int8)`
  await database.query(
    `UPDATE pg_class c SET reltuples = r."rowCount" FROM ${source} WHERE c.oid = r.oid`,
    values,
  )
  await database.query(
    `UPDATE pg_toast.lakegate_relation c SET row_count = r."rowCount", size_bytes = r."sizeBytes"
     FROM ${source} WHERE c.oid = r.oid`,
    values,
  )
}

async function grant(
  database: Runner,
  { roles, statements }: NonNullable<ShadowChange['privileges']>,
): Promise<void> {
  await database.exec(`
    UPDATE pg_class SET relacl = NULL, relowner = ${SUPERUSER_OID}
      WHERE oid >= 16384 AND (relacl IS NOT NULL OR relowner <> ${SUPERUSER_OID});
    UPDATE pg_attribute SET attacl = NULL WHERE attrelid >= 16384 AND attacl IS NOT NULL;
    UPDATE pg_namespace SET nspowner = ${SUPERUSER_OID}, nspacl = NULL WHERE oid >= 16384;
    DELETE FROM pg_default_acl;
    DELETE FROM pg_shdepend WHERE refobjid >= 16384 AND refclassid = 'pg_authid'::regclass;
    DELETE FROM pg_auth_members WHERE roleid >= 16384 OR member >= 16384;
    DELETE FROM pg_shdescription WHERE classoid = 'pg_authid'::regclass AND objoid >= 16384;
    DELETE FROM pg_db_role_setting;
    DELETE FROM pg_authid WHERE oid >= 16384;`)
  for (const { oid, name, options } of roles) {
    await database.exec(`CREATE ROLE ${quoted(name)} ${options}`)
    await database.query('UPDATE pg_authid SET oid = $1 WHERE rolname = $2', [oid, name])
  }
  for (const statement of statements) {
    await database.query('SELECT lakegate_attempt($1)', [statement])
  }
}

/** Names of the schemas as SQL, by their OIDs. */
async function schemaNames(database: Runner): Promise<ReadonlyMap<number, string>> {
  const { rows } = await database.query<{ readonly oid: number; readonly name: string }>(
    'SELECT oid, quote_ident(nspname) AS name FROM pg_namespace',
  )
  return new Map(rows.map(({ oid, name }) => [oid, name]))
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
