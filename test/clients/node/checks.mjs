/** Counts checks for the Node clients; prints a line for each and the sum. */

import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'

const printable = (name) => name.replaceAll('\n', '\\n')

let passed = 0
let failed = 0

/** Compares what `run` gives, or the SQLSTATE it fails with, to `expected`. */
export async function check(name, expected, run) {
  let actual
  try {
    actual = await run()
  } catch (error) {
    actual = error?.code === undefined ? String(error?.stack ?? error) : error.code
    if (actual !== expected) console.log(`# ${printable(name)}: ${error}`)
  }
  if (isDeepStrictEqual(actual, expected)) {
    passed++
    console.log(`ok ${printable(name)}`)
    return
  }
  failed++
  console.log(
    `not ok ${printable(name)}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`,
  )
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed === 0 ? 0 : 1)
}

/**
 * Values as a real PostgreSQL prints and sends them, `{ type, input, text, hex }`, those that need
 * no setting other than a session's defaults and the time zone UTC.
 */
export function wireValues() {
  const path = process.env.LAKEGATE_WIRE_VALUES
  return JSON.parse(readFileSync(path, 'utf8'))
    .filter((value) => value.settings === undefined && value.error === undefined)
    .map((value) => ({ ...value, input: value.input ?? value.text }))
}

/** Texts that are no values of their types, `{ type, input, error }`. */
export function refusedValues() {
  const path = process.env.LAKEGATE_WIRE_VALUES
  return JSON.parse(readFileSync(path, 'utf8')).filter(
    (value) => value.error !== undefined && value.settings === undefined,
  )
}
