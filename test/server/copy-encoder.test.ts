/**
 * Goal: COPY TO STDOUT writes text and csv that read back as the same values.
 * Method: random texts with every special character, encoded by columns and read back by the rules
 * of the COPY documentation.
 */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CopyFormat, ResultColumn } from '../../planner/result.js'
import { CopyEncoder } from '../../server/copy-encoder.js'
import { scalarType } from '../../storage/engine-type.js'

const column: ResultColumn = {
  name: 'c',
  pgType: { oid: 25, typmod: -1 },
  engineType: scalarType('VARCHAR'),
  tableOid: 0,
  attributeNumber: 0,
}

const style = {
  dateStyle: 'ISO',
  dateOrder: 'MDY',
  intervalStyle: 'postgres',
  timeZone: 'UTC',
  extraFloatDigits: 1,
  byteaOutput: 'hex',
} as const

const text: CopyFormat = {
  format: 'text',
  delimiter: '\t',
  nullText: '\\N',
  header: false,
  quote: '"',
  escape: '"',
  forceQuote: [],
}
const csv: CopyFormat = { ...text, format: 'csv', delimiter: ',', nullText: '' }

/** The payloads of CopyData messages, joined. */
function payload(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes)
  const parts: Buffer[] = []
  for (let at = 0; at < buffer.length; ) {
    expect(buffer[at]).toBe(0x64)
    const length = buffer.readInt32BE(at + 1)
    parts.push(buffer.subarray(at + 5, at + 1 + length))
    at += 1 + length
  }
  return Buffer.concat(parts).toString('utf8')
}

function readText(output: string): (string | null)[][] {
  const letters: Readonly<Record<string, string>> = {
    b: '\b',
    f: '\f',
    n: '\n',
    r: '\r',
    t: '\t',
    v: '\v',
  }
  return output
    .slice(0, -1)
    .split('\n')
    .map((line) =>
      line
        .split('\t')
        .map((cell) =>
          cell === '\\N'
            ? null
            : cell.replaceAll(/\\(.)/g, (_, char: string) => letters[char] ?? char),
        ),
    )
}

function readCsv(output: string): (string | null)[][] {
  const rows: (string | null)[][] = []
  let row: (string | null)[] = []
  let at = 0
  while (at < output.length) {
    let value = ''
    const quoted = output[at] === '"'
    if (quoted) {
      for (at++; ; at++) {
        if (output[at] === '"' && output[at + 1] !== '"') break
        if (output[at] === '"') at++
        value += output[at]
      }
      at++
    } else while (output[at] !== ',' && output[at] !== '\n') value += output[at++]
    row.push(!quoted && value === '' ? null : value)
    if (output[at++] === '\n') {
      rows.push(row)
      row = []
    }
  }
  return rows
}

const cell = fc.oneof(
  fc.constant(null),
  fc.constantFrom(
    '',
    '\\N',
    '\\',
    '"',
    ',',
    '\t',
    '\n',
    '\r',
    'a,b',
    'x"y',
    '\\.',
    'plain',
    'ä€😀',
  ),
  fc.string({
    unit: fc.constantFrom('a', ',', '"', '\\', '\t', '\n', '\r', '\b', '\f', '\v', 'é'),
  }),
)

describe('COPY TO STDOUT', () => {
  it.each([
    ['text', text, readText],
    ['csv', csv, readCsv],
  ] as const)('in %s gives back what was written', (_, copy, read) => {
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 20 }), (rows) => {
        const encoder = new CopyEncoder([column, column, column], copy, style)
        const bytes = Buffer.concat([encoder.header(), ...encoder.encode({ kind: 'values', rows })])
        expect(read(payload(bytes))).toEqual(rows)
      }),
      { seed: 20261121, numRuns: 300 },
    )
  })
})
