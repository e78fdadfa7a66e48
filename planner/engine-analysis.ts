/** Engine analysis: a query in DuckDB's own syntax over the lake's relations, with the types DuckDB finds. */

import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { type EngineType, printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Predicate } from '../storage/predicate.js'
import { type AnalyzedQuery, markerOf, type Relation, replaceMarkers } from './analysis.js'
import { predicateOf } from './engine-predicates.js'
import { type EngineQuery, type EngineTable, withRelations } from './engine-query.js'
import { numberParameters, parameterMarker } from './parameter-marker.js'
import type { QueryLevel } from './query-level.js'
import { type SqlType, sqlType, typeOfEngine } from './sql-type.js'
import { Oid } from '../catalog/pg-types.js'

/** What the analysis needs of the statement it is for. */
export interface EngineAnalysisHost {
  readonly connection: EngineConnection
  /** Offset of the query in the client's text. */
  readonly start: number
  /** What a table of the query names; undefined when there is none. */
  readonly relation: (table: EngineTable) => Promise<Relation | undefined>
  /** The type a parameter was given by the client, or by its value. */
  readonly parameterType: (n: number) => SqlType | undefined
  /** What stands for a table whose rows are not read. */
  readonly emptyText: (id: number) => string
}

export interface EngineAnalysis {
  readonly query: AnalyzedQuery
  readonly parameterTypes: readonly (SqlType | undefined)[]
  /** By relation id, what the rows that are used of it meet. */
  readonly predicates: (values: readonly EngineValue[]) => ReadonlyMap<number, Predicate>
  /** The queries of views inside: for pruning by their own conditions. */
  readonly roots: readonly (readonly QueryLevel[])[]
}

/**
 * The query with its relations in the places of its tables, as DuckDB means it.
 *
 * Parameters whose type nobody gave take the one DuckDB infers, or are text. 42P01 for a table that
 * does not exist, DuckDB's errors for everything else.
 */
export async function analyzeEngineQuery(
  query: EngineQuery,
  host: EngineAnalysisHost,
): Promise<EngineAnalysis> {
  const relations: Relation[] = []
  for (const table of query.tables) relations.push(await relationOf(table, host))
  const texts = relations.map(textOf)
  const count = Math.max(0, ...query.parameters.map(({ number }) => number))
  const types = Array.from({ length: count }, (_, i) => host.parameterType(i + 1))
  const print = (): string =>
    withRelations(
      query,
      (i) => texts[i] ?? '',
      (number) => {
        const type = types[number - 1]
        const marker = parameterMarker(number)
        return type === undefined ? marker : `CAST(${marker} AS ${printEngineType(type.engine)})`
      },
    )
  const prepare = async (): Promise<Awaited<ReturnType<EngineConnection['prepare']>>> =>
    host.connection.prepare(numberParameters(replaceMarkers(print(), host.emptyText), []).sql)
  if (query.parameters.some(({ number }) => types[number - 1] === undefined)) {
    const numbers = types.map((_, i) => i + 1)
    const order = numberParameters(print(), numbers).values
    const prepared = await prepare()
    for (const [i, number] of order.entries()) {
      types[number - 1] ??= inferredType(prepared.parameterType(i + 1))
    }
    prepared.destroy()
  }
  const prepared = await prepare()
  const { columns, kind } = prepared
  prepared.destroy()
  if (kind !== 'query') throw new SqlError(SqlState.syntaxError, 'not a query')
  if (columns.some(({ type }) => type.kind === 'scalar' && type.name === 'UNKNOWN')) {
    throw new SqlError(
      SqlState.indeterminateDatatype,
      'could not determine the data types of the columns from those of the parameters',
    )
  }
  return {
    query: {
      sql: print(),
      columns: columns.map(({ name, type }) => ({
        // A subquery's text would show what stands for its tables.
        name: texts.length > 0 && /\(SELECT .*\bFROM \(SELECT /i.test(name) ? '?column?' : name,
        engineName: name,
        type: typeOfEngine(type),
      })),
      levels: [],
    },
    parameterTypes: types,
    predicates: (values) => predicatesOf(query, relations, values),
    roots: relations.flatMap((relation) =>
      relation.kind === 'view' ? [relation.query.levels] : [],
    ),
  }
}

function predicatesOf(
  query: EngineQuery,
  relations: readonly Relation[],
  values: readonly EngineValue[],
): ReadonlyMap<number, Predicate> {
  const found = new Map<number, Predicate>()
  for (const [i, { alias, name, conditions }] of query.tables.entries()) {
    const relation = relations[i]
    if (relation?.kind !== 'table') continue
    const table = { alias: alias === '' ? name : alias, columns: relation.columns }
    found.set(relation.id, predicateOf(conditions, table, values))
  }
  return found
}

async function relationOf(table: EngineTable, host: EngineAnalysisHost): Promise<Relation> {
  const lower = (text: string): string => text.toLowerCase()
  // DuckDB keeps the letters of a name, and finds it whatever they are.
  const found =
    (await host.relation(table)) ??
    (await host.relation({ ...table, schema: lower(table.schema), name: lower(table.name) }))
  if (found !== undefined) return found
  const name = [table.catalog, table.schema, table.name].filter((part) => part !== '').join('.')
  throw new SqlError(SqlState.undefinedTable, `relation "${name}" does not exist`, {
    position: host.start + table.start + 1,
  })
}

function inferredType(type: EngineType | null): SqlType {
  if (type === null) return sqlType(Oid.text)
  const { oid } = typeOfEngine(type)
  return oid === Oid.numeric ? typeOfEngine(type) : sqlType(oid)
}

/** A relation as a SELECT in parentheses, its columns named as clients know them. */
function textOf(relation: Relation): string {
  switch (relation.kind) {
    case 'table':
      return markerOf(relation.id)
    case 'temporary': {
      const items = relation.columns.map(({ name }) => quoteIdentifier(name))
      return `(SELECT ${items.join(', ')} FROM ${relation.sql})`
    }
    case 'view': {
      const items = relation.query.columns.map(
        ({ engineName, name }, i) =>
          `${quoteIdentifier(engineName)} AS ${quoteIdentifier(relation.columnNames[i] ?? name)}`,
      )
      return `(SELECT ${items.join(', ')} FROM (${relation.query.sql}) AS v)`
    }
  }
}
