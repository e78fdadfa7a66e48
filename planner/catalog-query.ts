/** CatalogQuery: statements over pg_catalog and information_schema, relayed to a real PostgreSQL. */

import type { CatalogAnswer, RawParameter } from '../catalog/catalog-wire.js'
import { isCatalogRelation } from '../catalog/pg-catalog.js'
import { Oid, type PgType, pgType } from '../catalog/pg-types.js'
import type { Settings } from '../catalog/settings.js'
import { SESSION_SETTINGS_NAME } from '../catalog/settings-overlay.js'
import type { ShadowChange } from '../catalog/shadow.js'
import { ACTIVITY_NAME, FACTS_NAME, LOCKS_NAME } from '../catalog/shadow-overlay-names.js'
import type { Cancellation } from '../storage/cancellation.js'
import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { type EngineType, scalarType } from '../storage/engine-type.js'
import type { EngineValue, Scalar } from '../storage/engine-value.js'
import { assert, SqlError } from '../storage/errors.js'
import type { Gateway } from './gateway.js'
import type { MirrorSource } from './lake-mirror.js'
import { parseStatements, type ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import { RelayedRows } from './relayed-rows.js'
import type { ResultColumn } from './result.js'
import { ReadySource } from './row-source.js'
import { SourceText } from './source-text.js'
import { namesOf, type Node, nodeOf, walk } from './syntax-tree.js'
import { collectTableReferences } from './table-references.js'

/** What a catalog query needs of its session. */
export interface CatalogSession {
  readonly gateway: Gateway
  /** The role that has logged in. */
  readonly user: string
  readonly settings: Settings
  readonly hasTemporaryTable: (name: string) => boolean
  readonly mirrorSource: MirrorSource
  /** What only this session sees, over a shadow that is up to date. */
  readonly ownRelations: () => Promise<ShadowChange | null>
  /** What functions about the session answer, by the setting that hands it over, as JSON. */
  readonly handovers: ReadonlyMap<string, () => string | Promise<string>>
}

/** How a catalog query is to be answered. */
export interface CatalogCall {
  readonly cancellation?: Cancellation
  /** Types of the parameters; 0 and absent ones are inferred. */
  readonly oids?: readonly number[]
  /** Format codes of the result; undefined when both formats may be wanted. */
  readonly formats?: readonly (0 | 1)[] | undefined
}

/** Which engine a statement's relations belong to; 'mixed' to both, 'none' when it names none. */
export type Route = 'lake' | 'catalog' | 'mixed' | 'none'

/** Where a statement belongs by what it names. */
export function routeOf(statement: ParsedStatement, session: CatalogSession): Route {
  if (statement.tree === null) return 'none'
  const references = collectTableReferences(
    statement.tree,
    new SourceText(statement.text),
    statement.travels,
  )
  if (references.length === 0) return asksTheSystem(statement.tree) ? 'catalog' : 'none'
  const catalog = references.filter(
    ({ schema, name }) =>
      isCatalogRelation(schema, name) && !(schema === undefined && session.hasTemporaryTable(name)),
  )
  if (catalog.length === 0) return 'lake'
  return catalog.length === references.length ? 'catalog' : 'mixed'
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
  /^(current_schemas|has_\w+_privilege|pg_has_role|(col|obj|shobj)_description|to_reg\w+|pg_get_\w+|pg_\w+_is_visible|pg_encoding_to_char|pg_total_relation_size|pg_relation_size|pg_size_pretty|format_type|pg_describe_object|pg_identify_object)$/

/** Types whose values are names of objects. */
const SYSTEM_TYPE =
  /^(reg(class|proc|procedure|oper|operator|type|namespace|role|config|dictionary|collation)|aclitem|pg_lsn|pg_node_tree)$/

function asksTheSystem(tree: Node): boolean {
  let found = false
  walk(tree, (node) => {
    const call = nodeOf(node, 'FuncCall')
    if (call !== undefined && SYSTEM_FUNCTION.test(namesOf(call.funcname).at(-1) ?? ''))
      found = true
    const cast = nodeOf(node, 'TypeCast')
    const type = cast?.typeName as Node | undefined
    if (type !== undefined && SYSTEM_TYPE.test(namesOf(type.names).at(-1) ?? '')) found = true
    return !found
  })
  return found
}

/** Types of parameters and columns, without executing. */
export async function describeCatalogQuery(
  statement: ParsedStatement,
  session: CatalogSession,
  oids: readonly number[] = [],
): Promise<{
  readonly parameterTypes: readonly PgType[]
  readonly columns: readonly ResultColumn[]
  readonly isRelayed: true
}> {
  const answer = await ask(statement, [], session, { oids }, [])
  return {
    parameterTypes: answer.parameterOids.map(pgType),
    columns: columnsOf(answer),
    isRelayed: true,
  }
}

/** Executes; catalog answers are small and held whole. */
export async function openCatalogQuery(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  session: CatalogSession,
  call: CatalogCall,
): Promise<Extract<Execution, { kind: 'rows' }>> {
  const { formats } = call
  const wanted = formats === undefined ? BOTH : [formats.length === 0 ? TEXT : formats]
  const answer = await ask(statement, values, session, call, wanted)
  const rows = new RelayedRows(answer.columns.length, answer.rowCount, answer.rows)
  return {
    kind: 'rows',
    columns: columnsOf(answer),
    source: new ReadySource(
      answer.rowCount === 0 ? [] : [{ kind: 'relayed', rows, from: 0, to: answer.rowCount }],
    ),
    tag: (rowCount) => `SELECT ${rowCount}`,
  }
}

const TEXT = [0] as const
const BOTH = [[0], [1]] as const

/** Executes and answers the rows as PostgreSQL's text. */
export async function catalogRows(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  session: CatalogSession,
  cancellation?: Cancellation,
): Promise<readonly (readonly (string | null)[])[]> {
  const call = cancellation === undefined ? {} : { cancellation }
  return textRows(await ask(statement, values, session, call, [TEXT]))
}

function textRows(answer: CatalogAnswer): readonly (readonly (string | null)[])[] {
  const { rowCount } = answer
  const rows = new RelayedRows(answer.columns.length, rowCount, answer.rows)
  const columns = answer.columns.map((_, i) => rows.column(i, 0, 0, rowCount))
  const utf8 = new TextDecoder()
  return Array.from({ length: rowCount }, (_, row) =>
    columns.map(({ bytes, starts, ends }) => {
      const start = starts[row] ?? -1
      return start < 0 ? null : utf8.decode(bytes.subarray(start, ends[row]))
    }),
  )
}

/** The rows of a query of the gateway's own, as text, with their columns. */
export async function catalogTable(
  sql: string,
  session: CatalogSession,
  cancellation?: Cancellation,
): Promise<{
  readonly columns: CatalogAnswer['columns']
  readonly rows: readonly (readonly (string | null)[])[]
}> {
  const [statement] = parseStatements(sql)
  assert(statement !== undefined, 'the text is a statement')
  const call = cancellation === undefined ? {} : { cancellation }
  const answer = await ask(statement, [], session, call, [TEXT])
  return { columns: answer.columns, rows: textRows(answer) }
}

/** Settings that shape what PostgreSQL prints and reads. */
const STYLE_SETTINGS = [
  'timezone',
  'datestyle',
  'intervalstyle',
  'extra_float_digits',
  'bytea_output',
]

/** What statements have to mention to be handed what it takes. */
const HANDED_OVER: readonly (readonly [mentioned: RegExp, name: string])[] = [
  [/settings|current_setting|set_config/i, SESSION_SETTINGS_NAME],
  [
    /pg_backend_pid|inet_(?:client|server)|postmaster_start|conf_load|database_size|tablespace_size|txid|xact_id/i,
    FACTS_NAME,
  ],
  [/pg_stat_(?:get_)?(?:activity|ssl|gssapi|backend|replication)|blocking_pids/i, ACTIVITY_NAME],
  [/pg_lock/i, LOCKS_NAME],
]

/** Words of answers that may be others a moment later. */
const VOLATILE =
  /\b(?:now|\w*timestamp|timeofday|current_(?:time|date)|localtime|\w*random\w*|\w*uuid\w*|nextval|pg_stat\w*|pg_lock\w*|txid\w*|\w*xact_id\w*|\w*snapshot\w*|age|pg_ls_\w+|pg_read_\w+)\b/i

/** Commands that put the session's role and settings in force for the statement that follows. */
async function prelude(statement: ParsedStatement, session: CatalogSession): Promise<string> {
  const { settings, user, handovers } = session
  const commands = [`SET SESSION AUTHORIZATION ${quoteIdentifier(user)}`]
  const role = settings.get('role')
  if (role !== 'none') commands.push(`SET ROLE ${quoteIdentifier(role)}`)
  commands.push(`SET search_path = ${searchPath(settings)}`)
  for (const name of STYLE_SETTINGS) {
    commands.push(`SET ${name} = ${quoteLiteral(settings.get(name))}`)
  }
  for (const [mentioned, name] of HANDED_OVER) {
    const value = mentioned.test(statement.source) ? await handovers.get(name)?.() : undefined
    if (value !== undefined) commands.push(`SET ${name} = ${quoteLiteral(value)}`)
  }
  return commands.join('; ')
}

function searchPath(settings: Settings): string {
  const path = settings.get('search_path')
  return path === '' ? "''" : path
}

async function ask(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  session: CatalogSession,
  { cancellation, oids = [] }: CatalogCall,
  formats: readonly (readonly (0 | 1)[])[],
): Promise<CatalogAnswer> {
  const { gateway } = session
  await gateway.mirror.refresh(session.mirrorSource)
  const query = {
    own: await session.ownRelations(),
    session: await prelude(statement, session),
    sql: inShadowsWords(statement.source),
    parameterOids: oids,
    parameters: values.map(rawParameter),
    formats,
    isStable: !VOLATILE.test(statement.source),
  }
  try {
    return await gateway.pgCatalog.query(query, cancellation)
  } catch (thrown) {
    if (!(thrown instanceof SqlError) || thrown.position === undefined) throw thrown
    throw thrown.at(statement.start + thrown.position)
  }
}

/** Columns that the shadow's PostgreSQL has under a later version's name. */
function inShadowsWords(sql: string): string {
  return sql.replaceAll(/\bdaticulocale\b/g, 'datlocale')
}

function rawParameter(value: EngineValue): RawParameter {
  if (value.wire !== undefined) return value.wire
  const text = parameterText(value)
  return { bytes: text === null ? null : Buffer.from(text), format: 0 }
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

function columnsOf({ columns }: CatalogAnswer): readonly ResultColumn[] {
  return columns.map(({ name, oid, typmod, sizeBytes, tableOid, attributeNumber }) => ({
    name,
    pgType: { oid, typmod },
    engineType: ENGINE_TYPES.get(oid) ?? scalarType('VARCHAR'),
    tableOid,
    attributeNumber,
    sizeBytes,
  }))
}
