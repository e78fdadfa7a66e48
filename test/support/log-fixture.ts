/** Writes Delta logs by hand into a folder, also wrong ones, for tests of what reads them. */

import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type EngineConnection, quoteLiteral } from '../../storage/engine.js'

type Json = { readonly [key: string]: unknown }

/** The name of version `version` in the log, without its ending. */
export function versionName(version: number): string {
  return String(version).padStart(20, '0')
}

export const PROTOCOL: Json = { protocol: { minReaderVersion: 1, minWriterVersion: 2 } }

/** Metadata of a table with column `n`, partitioned by `p` when asked. */
export function metadata(configuration: Json = {}, partitionColumns: readonly string[] = []): Json {
  const field = (name: string, type: string): Json => ({ name, type, nullable: true, metadata: {} })
  const fields = [field('n', 'long'), ...partitionColumns.map((name) => field(name, 'string'))]
  return {
    metaData: {
      id: '11111111-2222-3333-4444-555555555555',
      format: { provider: 'parquet', options: {} },
      schemaString: JSON.stringify({ type: 'struct', fields }),
      partitionColumns,
      configuration,
    },
  }
}

export function add(path: string, more: Json = {}): Json {
  return {
    add: { path, partitionValues: {}, size: 10, modificationTime: 1, dataChange: true, ...more },
  }
}

export function remove(path: string, more: Json = {}): Json {
  return { remove: { path, deletionTimestamp: 1, dataChange: true, ...more } }
}

/** One table's log under construction. */
export class LogFixture {
  readonly #root: string
  readonly tablePath: string

  constructor(root: string, tablePath: string) {
    this.#root = root
    this.tablePath = tablePath
  }

  file(name: string): string {
    return join(this.#root, this.tablePath, '_delta_log', name)
  }

  /** Writes `text` as the file `name` of the log. */
  write(name: string, text: string | Uint8Array): this {
    mkdirSync(dirname(this.file(name)), { recursive: true })
    writeFileSync(this.file(name), text)
    return this
  }

  commit(version: number, ...actions: readonly Json[]): this {
    return this.write(
      `${versionName(version)}.json`,
      actions.map((action) => `${JSON.stringify(action)}\n`).join(''),
    )
  }

  /** Gives the commit's file a modification time. */
  committedAt(version: number, timestampMs: number): this {
    const time = timestampMs / 1000
    utimesSync(this.file(`${versionName(version)}.json`), time, time)
    return this
  }

  /** Writes a classic checkpoint, or the part of one named `name`, of these actions. */
  async checkpoint(
    connection: EngineConnection,
    version: number,
    actions: readonly Json[],
    name = `${versionName(version)}.checkpoint.parquet`,
  ): Promise<this> {
    this.write(`${name}.ndjson`, actions.map((action) => `${JSON.stringify(action)}\n`).join(''))
    const vector =
      'STRUCT(storageType VARCHAR, pathOrInlineDv VARCHAR, "offset" INTEGER, sizeInBytes INTEGER, cardinality BIGINT)'
    const columns = [
      [
        'protocol',
        'STRUCT(minReaderVersion INTEGER, minWriterVersion INTEGER, readerFeatures VARCHAR[], writerFeatures VARCHAR[])',
      ],
      [
        'metaData',
        'STRUCT(id VARCHAR, format STRUCT(provider VARCHAR), schemaString VARCHAR, partitionColumns VARCHAR[], configuration MAP(VARCHAR, VARCHAR))',
      ],
      [
        'add',
        `STRUCT(path VARCHAR, partitionValues MAP(VARCHAR, VARCHAR), size BIGINT, modificationTime BIGINT, dataChange BOOLEAN, stats VARCHAR, deletionVector ${vector})`,
      ],
      [
        'remove',
        `STRUCT(path VARCHAR, deletionTimestamp BIGINT, dataChange BOOLEAN, deletionVector ${vector})`,
      ],
      ['sidecar', 'STRUCT(path VARCHAR, sizeInBytes BIGINT, modificationTime BIGINT)'],
    ]
    const map = columns.map(([column, type]) => `${column}: ${quoteLiteral(type ?? '')}`).join(', ')
    const source = `read_json(${quoteLiteral(this.file(`${name}.ndjson`))}, format = 'newline_delimited', columns = {${map}})`
    mkdirSync(dirname(this.file(name)), { recursive: true })
    await connection.run(
      `COPY (SELECT * FROM ${source}) TO ${quoteLiteral(this.file(name))} (FORMAT parquet)`,
    )
    return this
  }
}
