/** Table protocol: which features a table needs, and which of them this writer keeps. */

import type { Metadata, Protocol } from './actions.js'
import { SqlError, SqlState } from './errors.js'
import { allFields, type Schema, typeSome } from './schema.js'

/**
 * What a caller that makes rows must see to itself, since only it evaluates expressions:
 *
 * - `checkConstraints`: `delta.constraints.*` hold for each row
 * - `invariants`: `delta.invariants` of each field hold
 * - `generatedColumns`: `delta.generationExpression` columns are computed or compared
 * - `identityColumns`: values are handed out and the high-water mark is set
 * - `charVarchar`: lengths of char and varchar columns are kept
 * - `changeData`: changed rows are written as cdc files where the table wants them
 */
export type Obligation =
  | 'checkConstraints'
  | 'invariants'
  | 'generatedColumns'
  | 'identityColumns'
  | 'charVarchar'
  | 'changeData'

/** For those who compute no row: what they move or bring back was made under the rules of its time. */
export const EVERY_OBLIGATION: ReadonlySet<Obligation> = new Set<Obligation>([
  'checkConstraints',
  'invariants',
  'generatedColumns',
  'identityColumns',
  'charVarchar',
  'changeData',
])

interface Feature {
  readonly reader: boolean
  /** The writer version that implies it without a list of features. */
  readonly legacyWriter?: number
}

/** The features whose duties this writer keeps; Delta protocol, "Table Features". */
const WRITABLE: ReadonlyMap<string, Feature> = new Map<string, Feature>([
  ['appendOnly', { reader: false, legacyWriter: 2 }],
  ['invariants', { reader: false, legacyWriter: 2 }],
  ['checkConstraints', { reader: false, legacyWriter: 3 }],
  ['changeDataFeed', { reader: false, legacyWriter: 4 }],
  ['generatedColumns', { reader: false, legacyWriter: 4 }],
  ['columnMapping', { reader: true, legacyWriter: 5 }],
  ['identityColumns', { reader: false, legacyWriter: 6 }],
  ['allowColumnDefaults', { reader: false }],
  ['checkpointProtection', { reader: false }],
  ['clustering', { reader: false }],
  ['deletionVectors', { reader: true }],
  ['domainMetadata', { reader: false }],
  ['inCommitTimestamp', { reader: false }],
  ['rowTracking', { reader: false }],
  ['timestampNtz', { reader: true }],
  ['typeWidening', { reader: true }],
  ['typeWidening-preview', { reader: true }],
  ['v2Checkpoint', { reader: true }],
  ['vacuumProtocolCheck', { reader: true }],
])

/**
 * Refuses (0A000) to write to a table that asks for something this writer, or its caller, does not do.
 *
 * `fulfilled` are the obligations the caller takes upon itself; one that the table has and the
 * caller has not taken is refused by name.
 */
export function requireWritable(
  table: string,
  protocol: Protocol,
  metadata: Metadata,
  schema: Schema,
  fulfilled: ReadonlySet<Obligation>,
): void {
  const { minWriterVersion: writer } = protocol
  if (!Number.isInteger(writer) || writer < 1 || writer > 7) {
    throw refused(table, `writer version ${writer}`)
  }
  const listed = [...(protocol.writerFeatures ?? []), ...(protocol.readerFeatures ?? [])]
  const unknown = writer === 7 ? listed.filter((feature) => !WRITABLE.has(feature)) : []
  if (unknown.length > 0) {
    throw refused(table, `the table feature "${[...new Set(unknown)].join('", "')}"`)
  }
  for (const [obligation, what] of obligationsOf(metadata, schema)) {
    if (!fulfilled.has(obligation)) throw refused(table, what)
  }
}

function obligationsOf(metadata: Metadata, schema: Schema): ReadonlyMap<Obligation, string> {
  const found = new Map<Obligation, string>()
  for (const key of Object.keys(metadata.configuration)) {
    if (key.startsWith('delta.constraints.')) {
      found.set('checkConstraints', `the check constraint "${key.slice(18)}"`)
    }
  }
  for (const field of allFields(schema.fields)) {
    const has = (key: string): boolean => (field.metadata[key] ?? null) !== null
    if (has('delta.invariants')) found.set('invariants', `the invariant of "${field.name}"`)
    if (has('delta.generationExpression')) {
      found.set('generatedColumns', `the generated column "${field.name}"`)
    }
    if (has('delta.identity.start')) {
      found.set('identityColumns', `the identity column "${field.name}"`)
    }
    if (has('__CHAR_VARCHAR_TYPE_STRING')) {
      found.set('charVarchar', `the length of column "${field.name}"`)
    }
  }
  return found
}

/** Whether the protocol allows `feature`, by its list or by a version that implies it. */
export function supportsFeature(protocol: Protocol, feature: string): boolean {
  if (protocol.minWriterVersion === 7) return protocol.writerFeatures?.includes(feature) === true
  const legacy = WRITABLE.get(feature)?.legacyWriter
  return legacy !== undefined && protocol.minWriterVersion >= legacy
}

/** What a table is made of, as far as its protocol depends on it. */
export interface ProtocolNeeds {
  readonly schema: Schema
  readonly configuration: { readonly [key: string]: string }
  /** Names of the metadata domains the table begins with. */
  readonly domains?: readonly string[]
}

/**
 * The lowest protocol that allows a new table: (1,2), or versions 1 or 3 and 7 with lists.
 *
 * 0A000 when it would need a feature that is not written, or an unknown `delta.feature.*`; 42P16 for
 * a column whose name the table's change data feed needs.
 */
export function chooseProtocol(needs: ProtocolNeeds): Protocol {
  return withFeatures({ minReaderVersion: 1, minWriterVersion: 2 }, neededFeatures(needs))
}

/**
 * `current`, raised as far as the table now needs; `current` itself when it is enough.
 *
 * Nothing is ever taken away: a legacy version becomes the list of all it implied.
 */
export function raiseProtocol(current: Protocol, needs: ProtocolNeeds): Protocol {
  return withFeatures(current, neededFeatures(needs))
}

function withFeatures(current: Protocol, needed: ReadonlySet<string>): Protocol {
  const missing = [...needed].filter((feature) => {
    const isReader = WRITABLE.get(feature)?.reader === true
    const readable =
      !isReader ||
      current.readerFeatures?.includes(feature) === true ||
      (feature === 'columnMapping' && current.minReaderVersion === 2)
    return !supportsFeature(current, feature) || !readable
  })
  if (missing.length === 0) return current
  const implied =
    current.minWriterVersion === 7
      ? (current.writerFeatures ?? [])
      : [...WRITABLE.keys()].filter((feature) => supportsFeature(current, feature))
  const writerFeatures = [...new Set([...implied, ...needed])].sort()
  const readers = writerFeatures.filter((feature) => WRITABLE.get(feature)?.reader === true)
  const wasReader = [
    ...(current.readerFeatures ?? []),
    ...(current.minReaderVersion === 2 ? ['columnMapping'] : []),
  ]
  // A feature of both lists stands in both, or in neither.
  const readerFeatures = [...new Set([...wasReader, ...readers])].sort()
  return readerFeatures.length > 0
    ? { minReaderVersion: 3, minWriterVersion: 7, readerFeatures, writerFeatures }
    : { minReaderVersion: 1, minWriterVersion: 7, writerFeatures }
}

function neededFeatures(needs: ProtocolNeeds): ReadonlySet<string> {
  const needed = new Set<string>()
  const { schema, configuration } = needs
  const set = (key: string): boolean => configuration[key]?.toLowerCase() === 'true'
  const type = { kind: 'struct', fields: schema.fields } as const
  if (typeSome(type, (part) => part.kind === 'primitive' && part.name === 'timestamp_ntz')) {
    needed.add('timestampNtz')
  }
  if (typeSome(type, (part) => part.kind === 'primitive' && part.name === 'variant')) {
    needed.add('variantType')
  }
  for (const field of allFields(schema.fields)) {
    const has = (key: string): boolean => (field.metadata[key] ?? null) !== null
    if (has('delta.generationExpression')) needed.add('generatedColumns')
    if (has('delta.identity.start')) needed.add('identityColumns')
    if (has('CURRENT_DEFAULT')) needed.add('allowColumnDefaults')
    if (has('delta.invariants') || !field.nullable) needed.add('invariants')
  }
  if ((configuration['delta.columnMapping.mode'] ?? 'none') !== 'none') needed.add('columnMapping')
  if (configuration['delta.checkpointPolicy'] === 'v2') needed.add('v2Checkpoint')
  if (set('delta.appendOnly')) needed.add('appendOnly')
  if (set('delta.enableDeletionVectors')) needed.add('deletionVectors')
  if (set('delta.enableChangeDataFeed')) {
    requireNoFeedColumns(schema)
    needed.add('changeDataFeed')
  }
  if (set('delta.enableTypeWidening')) needed.add('typeWidening')
  if (set('delta.enableInCommitTimestamps')) needed.add('inCommitTimestamp')
  if (set('delta.enableRowTracking')) needed.add('rowTracking')
  for (const key of Object.keys(configuration)) {
    if (key.startsWith('delta.constraints.')) needed.add('checkConstraints')
    if (key.startsWith('delta.feature.')) needed.add(key.slice('delta.feature.'.length))
    if (/^delta\.enableIcebergCompatV\d$/.test(key) && set(key)) needed.add(key.slice(12))
  }
  if (needs.domains?.includes('delta.clustering') === true) needed.add('clustering')
  if ((needs.domains?.length ?? 0) > 0) needed.add('domainMetadata')
  if (needed.has('rowTracking') || needed.has('clustering')) needed.add('domainMetadata')
  const unknown = [...needed].filter((feature) => !WRITABLE.has(feature))
  if (unknown.length > 0) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `the table feature "${unknown.join('", "')}" is not supported for writing`,
    )
  }
  return needed
}

/** Columns that readers of a change data feed get beside the table's own. */
const FEED_COLUMNS = ['_change_type', '_commit_version', '_commit_timestamp']

function requireNoFeedColumns({ fields }: Schema): void {
  const taken = fields.find(({ name }) => FEED_COLUMNS.includes(name.toLowerCase()))
  if (taken === undefined) return
  throw new SqlError(
    SqlState.invalidTableDefinition,
    `column name "${taken.name}" is reserved in a table with a change data feed`,
    { hint: "Rename the column, or do without the table property 'delta.enableChangeDataFeed'." },
  )
}

/** `configuration` without what only says which protocol to choose, as it is stored. */
export function storedConfiguration(configuration: { readonly [key: string]: string }): {
  readonly [key: string]: string
} {
  return Object.fromEntries(
    Object.entries(configuration).filter(
      ([key]) =>
        !key.startsWith('delta.feature.') && !/^delta\.min(Reader|Writer)Version$/.test(key),
    ),
  )
}

function refused(table: string, what: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    `table "${table}" cannot be written: ${what} is not supported`,
  )
}
