/** Which protocol a table gets, and which tables are not written. */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Protocol } from '../../storage/actions.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { defineTable } from '../../storage/new-table.js'
import type { Schema } from '../../storage/schema.js'
import { chooseProtocol, raiseProtocol, requireWritable } from '../../storage/table-protocol.js'
import { durationMs } from '../../storage/table-property.js'
import { LAKEGATE_VERSION } from '../../storage/version.js'
import { schemaOf } from '../support/write-lake.js'

const plain = schemaOf({ n: 'long' })

function withMetadata(metadata: { readonly [key: string]: unknown }): Schema {
  return { fields: plain.fields.map((field) => ({ ...field, metadata })) }
}

/** A protocol as `reader,writer` and its lists. */
function shown(protocol: Protocol): string {
  const { minReaderVersion, minWriterVersion, readerFeatures, writerFeatures } = protocol
  const lists = [readerFeatures, writerFeatures].filter((list) => list !== undefined)
  return [
    `${minReaderVersion},${minWriterVersion}`,
    ...lists.map((list) => (list ?? []).join(' ')),
  ].join(' | ')
}

describe('the protocol of a new table', () => {
  it.each<[string, Schema, { readonly [key: string]: string }, string]>([
    ['plain', plain, {}, '1,2'],
    ['append-only', plain, { 'delta.appendOnly': 'true' }, '1,2'],
    ['without nulls', { fields: plain.fields.map((f) => ({ ...f, nullable: false })) }, {}, '1,2'],
    [
      'of zone-less times',
      schemaOf({ t: 'timestamp_ntz' }),
      {},
      '3,7 | timestampNtz | appendOnly invariants timestampNtz',
    ],
    [
      'of zone-less times inside',
      schemaOf({ t: { type: 'array', elementType: 'timestamp_ntz', containsNull: true } }),
      {},
      '3,7 | timestampNtz | appendOnly invariants timestampNtz',
    ],
    [
      'with vectors',
      plain,
      { 'delta.enableDeletionVectors': 'true' },
      '3,7 | deletionVectors | appendOnly deletionVectors invariants',
    ],
    [
      'with mapping',
      plain,
      { 'delta.columnMapping.mode': 'name' },
      '3,7 | columnMapping | appendOnly columnMapping invariants',
    ],
    [
      'with a check',
      plain,
      { 'delta.constraints.c': 'n > 0' },
      '1,7 | appendOnly checkConstraints invariants',
    ],
    [
      'with a change feed',
      plain,
      { 'delta.enableChangeDataFeed': 'true' },
      '1,7 | appendOnly changeDataFeed invariants',
    ],
    [
      'generated',
      withMetadata({ 'delta.generationExpression': '1' }),
      {},
      '1,7 | appendOnly generatedColumns invariants',
    ],
    [
      'with a default',
      withMetadata({ CURRENT_DEFAULT: '1' }),
      {},
      '1,7 | allowColumnDefaults appendOnly invariants',
    ],
    [
      'with identity',
      withMetadata({ 'delta.identity.start': 1 }),
      {},
      '1,7 | appendOnly identityColumns invariants',
    ],
    [
      'with commit times',
      plain,
      { 'delta.enableInCommitTimestamps': 'true' },
      '1,7 | appendOnly inCommitTimestamp invariants',
    ],
    [
      'with row tracking',
      plain,
      { 'delta.enableRowTracking': 'true' },
      '1,7 | appendOnly domainMetadata invariants rowTracking',
    ],
    [
      'with widening',
      plain,
      { 'delta.enableTypeWidening': 'true' },
      '3,7 | typeWidening | appendOnly invariants typeWidening',
    ],
    [
      'with V2 checkpoints',
      plain,
      { 'delta.checkpointPolicy': 'v2' },
      '3,7 | v2Checkpoint | appendOnly invariants v2Checkpoint',
    ],
    [
      'asking for a feature',
      plain,
      { 'delta.feature.vacuumProtocolCheck': 'supported' },
      '3,7 | vacuumProtocolCheck | appendOnly invariants vacuumProtocolCheck',
    ],
  ])('%s is the lowest that allows it', (_name, schema, configuration, expected) => {
    expect(shown(chooseProtocol({ schema, configuration }))).toBe(expected)
  })

  it.each<[string, Schema, { readonly [key: string]: string }]>([
    ['variant', schemaOf({ v: 'variant' }), {}],
    ['an unknown feature', plain, { 'delta.feature.timeTravelForever': 'supported' }],
    ['Iceberg compatibility', plain, { 'delta.enableIcebergCompatV2': 'true' }],
  ])('is refused for %s', (_name, schema, configuration) => {
    expect(() => chooseProtocol({ schema, configuration })).toThrow(SqlError)
  })
})

describe('a protocol that is raised', () => {
  it.each<[string, Protocol, { readonly [key: string]: string }, string]>([
    [
      'stays when it is enough',
      { minReaderVersion: 2, minWriterVersion: 5 },
      { 'delta.columnMapping.mode': 'name' },
      '2,5',
    ],
    [
      'lists what a legacy version implied',
      { minReaderVersion: 1, minWriterVersion: 4 },
      { 'delta.enableDeletionVectors': 'true' },
      '3,7 | deletionVectors | appendOnly changeDataFeed checkConstraints deletionVectors generatedColumns invariants',
    ],
    [
      'keeps the mapping of reader version 2',
      { minReaderVersion: 2, minWriterVersion: 5 },
      { 'delta.enableInCommitTimestamps': 'true' },
      '3,7 | columnMapping | appendOnly changeDataFeed checkConstraints columnMapping generatedColumns inCommitTimestamp invariants',
    ],
    [
      'drops no feature',
      {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['timestampNtz'],
        writerFeatures: ['timestampNtz', 'domainMetadata'],
      },
      { 'delta.enableDeletionVectors': 'true' },
      '3,7 | deletionVectors timestampNtz | deletionVectors domainMetadata timestampNtz',
    ],
  ])('%s', (_name, current, configuration, expected) => {
    expect(shown(raiseProtocol(current, { schema: plain, configuration }))).toBe(expected)
  })
})

describe('a table', () => {
  const metadata = defineTable({ tablePath: 't', schema: plain }).metadata
  it.each<[string, Protocol]>([
    ['of writer version 8', { minReaderVersion: 1, minWriterVersion: 8 }],
    [
      'with an unknown writer feature',
      { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['collations'] },
    ],
    [
      'with Iceberg compatibility',
      { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['icebergCompatV2'] },
    ],
    [
      'managed by a catalog',
      {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['catalogManaged'],
        writerFeatures: ['catalogManaged'],
      },
    ],
  ])('%s is not written', (_name, protocol) => {
    let thrown: unknown
    try {
      requireWritable('t', protocol, metadata, plain, new Set())
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ sqlState: SqlState.featureNotSupported })
  })

  it.each<[string, Schema, readonly string[], SqlState]>([
    [
      'two columns of one name',
      { fields: [...plain.fields, ...schemaOf({ N: 'long' }).fields] },
      [],
      SqlState.duplicateColumn,
    ],
    ['a partition column that is none', plain, ['x'], SqlState.undefinedColumn],
    ['only partition columns', plain, ['n'], SqlState.invalidObjectDefinition],
    [
      'a partition of lists',
      schemaOf({ l: { type: 'array', elementType: 'long', containsNull: true }, n: 'long' }),
      ['l'],
      SqlState.invalidObjectDefinition,
    ],
    ['an odd name', schemaOf({ 'a b': 'long' }), [], SqlState.invalidName],
  ])('of %s is not made', (_name, schema, partitionColumns, sqlState) => {
    let thrown: unknown
    try {
      defineTable({ tablePath: 't', schema, partitionColumns })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ sqlState })
  })

  it('stores its properties, but not those that only chose the protocol', () => {
    const { metadata: made } = defineTable({
      tablePath: 't',
      schema: plain,
      configuration: {
        'delta.feature.domainMetadata': 'supported',
        'delta.minReaderVersion': '2',
        mine: 'yes',
      },
    })
    expect(made.configuration).toEqual({ mine: 'yes' })
  })
})

it.each([
  ['interval 1 week', 604_800_000],
  ['interval 30 days', 2_592_000_000],
  ['2 hours 30 minutes', 9_000_000],
  ['INTERVAL 5 MILLISECONDS', 5],
  ['interval 1 month', null],
  ['soon', null],
  ['', null],
])('the duration %j is %j ms', (text, expected) => {
  expect(durationMs(text)).toBe(expected)
})

it('the version in commits is that of the package', () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  expect(LAKEGATE_VERSION).toBe((JSON.parse(text) as { readonly version: string }).version)
})
