/** CatalogQuery: statements over pg_catalog and information_schema, relayed to a real PostgreSQL. */

import { Oid, type PgType, pgType } from '../catalog/pg-types.js'
import { isCatalogRelation } from '../catalog/pg-catalog.js'
import type { Settings } from '../catalog/settings.js'
import { SESSION_SETTINGS_NAME } from '../catalog/settings-overlay.js'
import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { type EngineType, scalarType } from '../storage/engine-type.js'
import type { EngineValue, Scalar } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { identityOf } from '../storage/identity-column.js'
import type { DataType, StructField } from '../storage/schema.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { Gateway } from './gateway.js'
import type { ParsedStatement } from './parse.js'
import type { PastLake } from './past-lake.js'
import type { Execution } from './portal.js'
import type { ResultColumn } from './result.js'
import { ReadySource } from './row-source.js'
import { SourceText } from './source-text.js'
import { namesOf, type Node, nodeOf, walk } from './syntax-tree.js'
import { collectTableReferences } from './table-references.js'
import { postgresText } from './stored-text.js'
import { constraintsOf } from './target-table.js'

/** What a catalog query needs of its session. */
export interface CatalogSession {
  readonly searchPath: readonly string[]
  readonly settings: Settings
  readonly hasTemporaryTable: (name: string) => boolean
  /** The lake of the past that is shown instead of the one there is, if any. */
  readonly past: PastLake | undefined
}

/** Which engine a statement's relations belong to; 'none' when it names none. */
export type Route = 'lake' | 'catalog' | 'none'

/** 0A000 when a statement joins relations of both. */
export function routeOf(statement: ParsedStatement, session: CatalogSession): Route {
  if (statement.tree === null) return 'none'
  const references = collectTableReferences(
    statement.tree,
    new SourceText(statement.text),
    statement.travels,
  )
  if (references.length === 0) return callsSystemFunction(statement.tree) ? 'catalog' : 'none'
  const catalog = references.filter(
    ({ schema, name }) => isCatalogRelation(schema, name) && !session.hasTemporaryTable(name),
  )
  if (catalog.length === 0) return 'lake'
  if (catalog.length === references.length) return 'catalog'
  throw new SqlError(
    SqlState.featureNotSupported,
    'joining system catalogs with tables of the lake is not supported',
  )
}

/** As routeOf, by the relations alone, for a statement that no temporary table is asked about. */
export function routeRelations(statement: ParsedStatement): Route {
  if (statement.tree === null) return 'none'
  const { tree, text, travels } = statement
  const references = collectTableReferences(tree, new SourceText(text), travels)
  if (references.length === 0) return 'none'
  return references.every(({ schema, name }) => isCatalogRelation(schema, name))
    ? 'catalog'
    : 'lake'
}

/** Functions that ask about the catalog, some of which DuckDB has too, with answers of its own. */
const SYSTEM_FUNCTION =
  /^(current_schemas|has_\w+_privilege|(col|obj|shobj)_description|to_reg\w+|pg_get_\w+|pg_\w+_is_visible|pg_encoding_to_char|pg_total_relation_size|pg_relation_size|pg_size_pretty)$/

function callsSystemFunction(tree: Node): boolean {
  let found = false
  walk(tree, (node) => {
    const call = nodeOf(node, 'FuncCall')
    if (call !== undefined && SYSTEM_FUNCTION.test(namesOf(call.funcname).at(-1) ?? ''))
      found = true
    return !found
  })
  return found
}

/** Types of parameters and columns, without executing. */
export async function describeCatalogQuery(
  statement: ParsedStatement,
  gateway: Gateway,
  session: CatalogSession,
): Promise<{
  readonly parameterTypes: readonly PgType[]
  readonly columns: readonly ResultColumn[]
}> {
  const answer = await ask(statement, [], gateway, session, true)
  return {
    parameterTypes: answer.parameterOids.map(pgType),
    columns: answer.columns.map(({ name, oid }) => columnOf(name, oid)),
  }
}

/** Executes; catalog answers are small and held whole. */
export async function openCatalogQuery(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  gateway: Gateway,
  session: CatalogSession,
): Promise<Extract<Execution, { kind: 'rows' }>> {
  const answer = await ask(statement, values, gateway, session, false)
  const columns = answer.columns.map(({ name, oid }) => columnOf(name, oid))
  const rows = answer.rows.map((row) =>
    row.map((text, i) => (text === null ? null : scalarOf(text, columns[i]?.engineType))),
  )
  return {
    kind: 'rows',
    columns,
    source: ReadySource.ofRows(rows),
    tag: (rowCount) => `SELECT ${rowCount}`,
  }
}

/** Executes and answers the rows as PostgreSQL's text. */
export async function catalogRows(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  gateway: Gateway,
  session: CatalogSession,
): Promise<readonly (readonly (string | null)[])[]> {
  return (await ask(statement, values, gateway, session, false)).rows
}

/** Settings that shape what PostgreSQL prints. */
const STYLE_SETTINGS = [
  'timezone',
  'datestyle',
  'intervalstyle',
  'extra_float_digits',
  'bytea_output',
]

/** Statements that may ask for settings, by the names they would have to use. */
const MENTIONS_SETTINGS = /settings|current_setting|set_config/i

/** SET commands that put the session's path and settings in force for the statement that follows. */
function prelude(statement: ParsedStatement, { searchPath, settings }: CatalogSession): string {
  const path = searchPath.map(quoteIdentifier).join(', ')
  const commands = [
    `SET search_path = ${path === '' ? "''" : path}`,
    ...STYLE_SETTINGS.map((name) => `SET ${name} = ${quoteLiteral(settings.get(name))}`),
  ]
  if (MENTIONS_SETTINGS.test(statement.source)) {
    commands.push(`SET ${SESSION_SETTINGS_NAME} = ${quoteLiteral(JSON.stringify(settings.rows()))}`)
  }
  return commands.join('; ')
}

async function ask(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  gateway: Gateway,
  session: CatalogSession,
  describeOnly: boolean,
): ReturnType<Gateway['pgCatalog']['query']> {
  try {
    return await gateway.pgCatalog.query(
      {
        session: prelude(statement, session),
        sql: statement.source,
        parameters: values.map(parameterText),
        describeOnly,
      },
      await mirror(gateway, session.past),
    )
  } catch (thrown) {
    if (!(thrown instanceof SqlError) || thrown.position === undefined) throw thrown
    throw thrown.at(statement.start + thrown.position)
  }
}

function parameterText({ value }: EngineValue): string | null {
  if (value === null) return null
  if (Array.isArray(value)) {
    const items = value.map((item: Scalar) =>
      item === null ? 'NULL' : `"${String(item).replace(/[\\"]/g, '\\$&')}"`,
    )
    return `{${items.join(',')}}`
  }
  return String(value)
}

const ENGINE_TYPES: ReadonlyMap<number, EngineType> = new Map([
  [Oid.bool, scalarType('BOOLEAN')],
  [Oid.int2, scalarType('SMALLINT')],
  [Oid.int4, scalarType('INTEGER')],
  [Oid.int8, scalarType('BIGINT')],
  [Oid.oid, scalarType('BIGINT')],
  [Oid.xid, scalarType('BIGINT')],
  [Oid.float4, scalarType('FLOAT')],
  [Oid.float8, scalarType('DOUBLE')],
])

function columnOf(name: string, oid: number): ResultColumn {
  const engineType = ENGINE_TYPES.get(oid) ?? scalarType('VARCHAR')
  return { name, pgType: pgType(oid), engineType, tableOid: 0, attributeNumber: 0 }
}

function scalarOf(text: string, type: EngineType | undefined): Scalar {
  if (type?.kind !== 'scalar') return text
  switch (type.name) {
    case 'BOOLEAN':
      return text === 't' || text === 'true'
    case 'BIGINT':
      return BigInt(text)
    case 'SMALLINT':
    case 'INTEGER':
    case 'FLOAT':
    case 'DOUBLE':
      return Number(text)
    default:
      return text
  }
}

/** Statements that make the shadow: the lake's layers with its tables, empty, and its views. */
async function mirror(gateway: Gateway, past: PastLake | undefined): Promise<string> {
  const catalog = past?.catalog ?? gateway.catalog
  const layers = await catalog.layers()
  const lines = layers.flatMap((layer) => [
    `DROP SCHEMA IF EXISTS ${quoteIdentifier(layer)} CASCADE;`,
    `CREATE SCHEMA ${quoteIdentifier(layer)};`,
  ])
  for (const layer of layers) {
    const comment = await catalog.commentOn(layer, null)
    if (comment !== null) {
      lines.push(`COMMENT ON SCHEMA ${quoteIdentifier(layer)} IS ${quoteLiteral(comment)};`)
    }
  }
  for (const { layer, name, path } of await catalog.tables()) {
    const table = `${quoteIdentifier(layer)}.${quoteIdentifier(name)}`
    try {
      const snapshot =
        past === undefined ? await gateway.snapshots.latest(path) : await past.snapshot(path)
      if (snapshot === null) continue
      lines.push(...tableStatements(table, snapshot))
      const { description } = snapshot.metadata
      if (description) lines.push(`COMMENT ON TABLE ${table} IS ${quoteLiteral(description)};`)
      for (const { name: column, metadata } of snapshot.schema.fields) {
        if (typeof metadata.comment !== 'string') continue
        lines.push(
          `COMMENT ON COLUMN ${table}.${quoteIdentifier(column)} IS ${quoteLiteral(metadata.comment)};`,
        )
      }
    } catch (thrown) {
      // A table that cannot be read is no reason to hide the others; asking for it tells why.
      if (!(thrown instanceof SqlError)) throw thrown
    }
  }
  for (const view of await catalog.views()) {
    const name = `${quoteIdentifier(view.layer)}.${quoteIdentifier(view.name)}`
    const items = view.columns.map((column) => `NULL::text AS ${quoteIdentifier(column)}`)
    lines.push(`CREATE VIEW ${name} AS SELECT ${items.join(', ')};`)
    const comment = (await catalog.commentOn(view.layer, view.name)) ?? view.definition
    lines.push(`COMMENT ON VIEW ${name} IS ${quoteLiteral(comment)};`)
  }
  return lines.join('\n')
}

/** Statements that make a table of the shadow with its defaults and constraints. */
function tableStatements(table: string, { schema, metadata }: Snapshot): readonly string[] {
  const make = (isComputed: boolean): string => {
    const columns = schema.fields.map((field) => {
      const text = field.metadata['delta.generationExpression']
      const computed = isComputed && typeof text === 'string'
      return `${columnDefinition(field)}${computed ? ` GENERATED ALWAYS AS (${postgresText(text)}) STORED` : ''}`
    })
    return `CREATE TABLE ${table} (${columns.join(', ')});`
  }
  const plain = make(false)
  const lines = [make(true) === plain ? plain : attempted(make(true), plain)]
  for (const field of schema.fields) {
    const { name, metadata: kept } = field
    const column = `ALTER TABLE ${table} ALTER COLUMN ${quoteIdentifier(name)}`
    if (typeof kept.CURRENT_DEFAULT === 'string') {
      lines.push(attempted(`${column} SET DEFAULT ${postgresText(kept.CURRENT_DEFAULT)};`))
    }
    const counts = identityOf(field)
    if (counts !== undefined) {
      const kind = counts.allowExplicitInsert ? 'BY DEFAULT' : 'ALWAYS'
      const range = `MINVALUE ${-(2n ** 63n)} MAXVALUE ${2n ** 63n - 1n}`
      lines.push(
        attempted(
          `${column} SET NOT NULL; ${column} ADD GENERATED ${kind} AS IDENTITY (START WITH ${counts.start} INCREMENT BY ${counts.step} ${range});`,
        ),
      )
    }
  }
  for (const { name, text } of constraintsOf({ metadata })) {
    const condition = /^\((.*)\) IS NOT FALSE$/s.exec(text)?.[1] ?? text
    lines.push(
      attempted(
        `ALTER TABLE ${table} ADD CONSTRAINT ${quoteIdentifier(name)} CHECK (${postgresText(condition)});`,
      ),
    )
  }
  const key = metadata.configuration['lakegate.primaryKey']
  if (key !== undefined) {
    const given = metadata.configuration['lakegate.primaryKeyName']
    const name = given === undefined ? '' : `CONSTRAINT ${quoteIdentifier(given)} `
    const columns = key.split(',').map(quoteIdentifier).join(', ')
    lines.push(attempted(`ALTER TABLE ${table} ADD ${name}PRIMARY KEY (${columns});`))
  }
  return lines
}

/** Does without what PostgreSQL does not take, such as expressions that other engines wrote. */
function attempted(statement: string, otherwise = 'NULL;'): string {
  return `DO $lakegate$ BEGIN ${statement} EXCEPTION WHEN OTHERS THEN ${otherwise} END $lakegate$;`
}

function columnDefinition(field: StructField): string {
  const notNull = field.nullable ? '' : ' NOT NULL'
  return `${quoteIdentifier(field.name)} ${pgTypeName(field.type)}${notNull}`
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  long: 'bigint',
  integer: 'integer',
  short: 'smallint',
  byte: 'smallint',
  float: 'real',
  double: 'double precision',
  boolean: 'boolean',
  binary: 'bytea',
  date: 'date',
  timestamp: 'timestamptz',
  timestamp_ntz: 'timestamp',
  variant: 'jsonb',
  void: 'integer',
}

function pgTypeName(type: DataType): string {
  switch (type.kind) {
    case 'primitive':
      return TYPE_NAMES[type.name] ?? 'text'
    case 'decimal':
      return `numeric(${type.precision},${type.scale})`
    case 'interval':
      return 'interval'
    case 'array': {
      const element = pgTypeName(type.element)
      return element.startsWith('jsonb') ? 'jsonb' : `${element}[]`
    }
    case 'struct':
    case 'map':
      return 'jsonb'
  }
}
