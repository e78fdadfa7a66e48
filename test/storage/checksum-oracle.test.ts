/** Snapshots compared with the checksum files that Spark and Databricks left beside their commits. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { LocalStore } from '../../storage/local-store.js'
import { parseSchemaString } from '../../storage/schema.js'
import { loadSnapshot } from '../../storage/snapshot.js'

const packs = fileURLToPath(new URL('../../../shared/corpora/', import.meta.url))
const present = existsSync(packs)

/** Checksum files that are not of their table, each with its reason. */
const KNOWN: ReadonlySet<string> = new Set([
  // Written by hand for a parser's test: the log beside it adds no file at all.
  'kernel-rs-data/crc-full/_delta_log/00000000000000000000.crc',
])

let folder: string
let engine: Engine
let connection: EngineConnection

beforeAll(async () => {
  if (!present) {
    console.warn('skipped: the corpora of other engines are not beside this checkout')
    return
  }
  folder = mkdtempSync(join(tmpdir(), 'lakegate-checksums-'))
  for (const pack of readdirSync(packs).filter((name) => name.endsWith('.tar.zst'))) {
    execFileSync('tar', ['--zstd', '-xf', join(packs, pack), '-C', folder])
  }
  engine = await Engine.open({})
  connection = await engine.connect()
}, 120_000)

afterAll(async () => {
  await engine?.close()
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
})

interface Checksum {
  readonly numFiles: number
  readonly tableSizeBytes: number
  readonly metadata?: {
    readonly id: string
    readonly schemaString: string
    readonly configuration?: object
    readonly partitionColumns?: readonly string[]
  }
  readonly protocol?: {
    readonly minReaderVersion: number
    readonly minWriterVersion: number
    readonly readerFeatures?: readonly string[]
  }
}

describe.skipIf(!present)('a checksum file', () => {
  it('agrees with the snapshot of its version', async () => {
    const store = new LocalStore(folder)
    const differing: string[] = []
    let compared = 0
    let refused = 0
    const names = readdirSync(folder, { recursive: true }).map(String)
    for (const name of names) {
      const match = /^(.*)\/_delta_log\/(\d{20})\.crc$/.exec(name)
      if (match === null || KNOWN.has(name)) continue
      let wanted: Checksum
      try {
        wanted = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Checksum
      } catch {
        continue
      }
      const table = relative(folder, join(folder, dirname(dirname(name))))
      try {
        const snapshot = await loadSnapshot(store, connection, table, Number(match[2]))
        if (snapshot === null) throw new Error('no snapshot')
        const actual = {
          numFiles: snapshot.files.length,
          tableSizeBytes: snapshot.sizeBytes,
          id: snapshot.metadata.id,
          schema: snapshot.schema,
          configuration: { ...snapshot.metadata.configuration },
          partitionColumns: snapshot.metadata.partitionColumns,
          reader: snapshot.protocol.minReaderVersion,
          features: [...(snapshot.protocol.readerFeatures ?? [])].sort(),
        }
        const { metadata, protocol } = wanted
        const expected = {
          numFiles: wanted.numFiles,
          tableSizeBytes: wanted.tableSizeBytes,
          id: metadata?.id ?? actual.id,
          schema: metadata === undefined ? actual.schema : parseSchemaString(metadata.schemaString),
          configuration:
            metadata === undefined ? actual.configuration : { ...metadata.configuration },
          partitionColumns: metadata?.partitionColumns ?? actual.partitionColumns,
          reader: protocol?.minReaderVersion ?? actual.reader,
          features:
            protocol === undefined ? actual.features : [...(protocol.readerFeatures ?? [])].sort(),
        }
        compared++
        if (JSON.stringify(actual) !== JSON.stringify(expected)) {
          differing.push(
            `${name}: ${JSON.stringify({ ...actual, schema: '' })} instead of ${JSON.stringify({ ...expected, schema: '' })}`.slice(
              0,
              900,
            ),
          )
        }
      } catch (thrown) {
        // A table of a feature we do not read, or a version whose commits the pack leaves out.
        const states: readonly string[] = [
          SqlState.featureNotSupported,
          SqlState.invalidParameterValue,
        ]
        if (thrown instanceof SqlError && states.includes(thrown.sqlState)) refused++
        else differing.push(`${name}: ${thrown instanceof Error ? thrown.message : thrown}`)
      }
    }
    console.info(`checksums: ${compared} compared, ${refused} of versions that are refused`)
    expect(differing).toEqual([])
    expect(compared).toBeGreaterThan(90)
  }, 120_000)
})
