/** ShadowRelation: a table or a view of the lake as the system catalogs are to show it. */

import type { View } from '../catalog/catalog.js'
import { pgTypeByOid } from '../catalog/pg-types.js'
import type { ShadowColumn, ShadowRelation } from '../catalog/shadow.js'
import { statedCount } from '../storage/file-rows.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { SqlType } from './sql-type.js'
import { postgresText } from './stored-text.js'
import { constraintsOf, targetColumns } from './target-table.js'
import type { TemporaryTable } from './temporary-tables.js'

/** Gives an object of the relation its OID, by a name that is the object's own within the relation. */
export type Numbering = (part: string) => number

/** Names that relations and types of a schema have already. */
export class SchemaNames {
  readonly #relations = new Set<string>()
  readonly #types = new Set<string>()

  /** False when a relation or a type has that name. */
  take(name: string): boolean {
    const shown = identifier(name)
    if (this.#relations.has(shown) || this.#types.has(shown)) return false
    this.#relations.add(shown)
    this.#types.add(shown)
    return true
  }

  /** A name for an index or a sequence: `name`, or with a number behind it where that is taken. */
  free(name: string): string {
    let found = identifier(name)
    for (let i = 1; this.#relations.has(found); i++) found = identifier(name, String(i))
    this.#relations.add(found)
    return found
  }

  /** The name of a row type's array: with as many underscores before it as are needed. */
  arrayType(name: string): string {
    let found = identifier(`_${name}`)
    while (this.#types.has(found)) found = identifier(`_${found}`)
    this.#types.add(found)
    return found
  }
}

/** At most 63 bytes, `suffix` kept, as PostgreSQL cuts names. */
export function identifier(name: string, suffix = ''): string {
  const bytes = Buffer.from(name)
  const room = 63 - Buffer.byteLength(suffix)
  if (bytes.length <= room) return name + suffix
  return bytes.toString('utf8', 0, room).replace(/\uFFFD+$/, '') + suffix
}

interface Place {
  readonly schemaOid: number
  readonly name: string
  readonly names: SchemaNames
  readonly number: Numbering
}

function common({ schemaOid, name, names, number }: Place) {
  return {
    oid: number('class'),
    rowTypeOid: number('type'),
    arrayTypeOid: number('array'),
    arrayTypeName: names.arrayType(name),
    schemaOid,
    name: identifier(name),
  }
}

/** Rows and bytes of a table by its statistics; -1 rows where a file does not tell. */
export function countsOf(snapshot: Snapshot): {
  readonly rowCount: number
  readonly sizeBytes: number
} {
  return { rowCount: rowCountOf(snapshot), sizeBytes: snapshot.sizeBytes }
}

/** A table with everything the metadata of its newest version says. */
export function tableRelation(
  snapshot: Snapshot,
  place: Place,
  counts: { readonly rowCount: number; readonly sizeBytes: number },
): ShadowRelation {
  const { schema, metadata } = snapshot
  const { name, names, number } = place
  const columns = targetColumns(schema)
  const keyNames = metadata.configuration['lakegate.primaryKey']?.split(',') ?? []
  const key = keyNames.map((one) => schema.fields.findIndex((field) => field.name === one) + 1)
  const isKeyed = key.length > 0 && !key.includes(0)
  return {
    ...common(place),
    kind: 'r',
    temporary: false,
    comment: commentOf(snapshot),
    columns: columns.map(({ field, type, identity }, i) => ({
      ...column(field.name, type),
      notNull: !field.nullable || identity !== undefined || (isKeyed && key.includes(i + 1)),
      identity: identity === undefined ? '' : identity.allowExplicitInsert ? 'd' : 'a',
      comment: typeof field.metadata.comment === 'string' ? field.metadata.comment : null,
    })),
    defaults: columns.flatMap(({ defaultText }, i) =>
      defaultText === undefined
        ? []
        : [{ oid: number(`default ${i + 1}`), attribute: i + 1, text: postgresText(defaultText) }],
    ),
    generated: columns.flatMap(({ generatedText }, i) =>
      generatedText === undefined
        ? []
        : [
            {
              oid: number(`default ${i + 1}`),
              attribute: i + 1,
              text: postgresText(generatedText),
            },
          ],
    ),
    checks: constraintsOf(snapshot).map((check) => ({
      oid: number(`check ${check.name}`),
      name: identifier(check.name),
      text: postgresText(/^\((.*)\) IS NOT FALSE$/s.exec(check.text)?.[1] ?? check.text),
    })),
    keys: isKeyed
      ? [
          {
            constraintOid: number('key'),
            indexOid: number('index'),
            name: names.free(
              metadata.configuration['lakegate.primaryKeyName'] ?? identifier(name, '_pkey'),
            ),
            primary: true,
            attributes: key,
          },
        ]
      : [],
    sequences: columns.flatMap(({ field, identity }, i) =>
      identity === undefined
        ? []
        : [
            {
              oid: number(`sequence ${i + 1}`),
              name: names.free(identifier(`${name}_${field.name}`, '_seq')),
              attribute: i + 1,
              start: String(identity.start),
              step: String(identity.step),
              last: identity.highWaterMark === null ? null : String(identity.highWaterMark),
            },
          ],
    ),
    definition: null,
    ...counts,
  }
}

/** A view whose columns have been described. */
export function viewRelation(
  view: View,
  columns: readonly { readonly name: string; readonly type: Pick<SqlType, 'oid' | 'typmod'> }[],
  comment: string | null,
  place: Place,
): ShadowRelation {
  return {
    ...common(place),
    kind: 'v',
    temporary: false,
    comment,
    columns: columns.map(({ name, type }) => column(name, type)),
    defaults: [],
    generated: [],
    checks: [],
    keys: [],
    sequences: [],
    definition: view.definition,
    rowCount: 0,
    sizeBytes: 0,
  }
}

/** A temporary table, which only its session sees. */
export function temporaryRelation(table: TemporaryTable, place: Place): ShadowRelation {
  const { names, number, name } = place
  return {
    ...common(place),
    kind: 'r',
    temporary: true,
    comment: null,
    columns: table.columns.map((one) => ({
      ...column(one.name, one.type),
      notNull: one.notNull === true,
    })),
    defaults: expressions(
      table.columns.map(({ defaultText }) => defaultText),
      number,
    ),
    generated: expressions(
      table.columns.map(({ generatedText }) => generatedText),
      number,
    ),
    checks: table.checks.map((check) => ({
      oid: number(`check ${check.name}`),
      name: identifier(check.name),
      text: check.expression,
    })),
    keys: table.keys.map((key) => ({
      constraintOid: number(`key ${key.name}`),
      indexOid: number(`index ${key.name}`),
      name: names.free(key.name === '' ? identifier(name, '_pkey') : key.name),
      primary: key.primary,
      attributes: key.columns.map(
        (one) => table.columns.findIndex((candidate) => candidate.name === one) + 1,
      ),
    })),
    sequences: [],
    definition: null,
    rowCount: -1,
    sizeBytes: 0,
  }
}

function expressions(texts: readonly (string | undefined)[], number: Numbering) {
  return texts.flatMap((text, i) =>
    text === undefined ? [] : [{ oid: number(`default ${i + 1}`), attribute: i + 1, text }],
  )
}

function column(name: string, type: Pick<SqlType, 'oid' | 'typmod'>): ShadowColumn {
  const isArray = (pgTypeByOid(type.oid)?.elementOid ?? 0) !== 0
  return {
    name: identifier(name),
    type: type.oid,
    typmod: type.typmod,
    dimensions: isArray ? 1 : 0,
    notNull: false,
    identity: '',
    comment: null,
  }
}

/** The table's own comment, and what it is partitioned by. */
function commentOf({ metadata }: Snapshot): string | null {
  const parts = metadata.partitionColumns
  const layout = parts.length === 0 ? [] : [`Partitioned by: ${parts.join(', ')}`]
  const lines = [...(metadata.description ? [metadata.description] : []), ...layout]
  return lines.length === 0 ? null : lines.join('\n')
}

/** Files whose statistics are read for an estimate. */
const SAMPLED_FILES = 2000

/** Rows of the live files, deleted ones left out, estimated where files are many; -1 without statistics. */
function rowCountOf({ files, sizeBytes }: Snapshot): number {
  let rowCount = 0
  let bytes = 0
  let read = 0
  for (const file of files) {
    if (read++ === SAMPLED_FILES) break
    const inFile = statedCount(file)
    if (inFile === null) return -1
    rowCount += inFile - (file.deletionVector?.cardinality ?? 0)
    bytes += file.sizeBytes
  }
  return files.length <= SAMPLED_FILES || bytes === 0
    ? rowCount
    : Math.round((rowCount / bytes) * sizeBytes)
}
