/** EncoderModule: the WASM that writes rows, built from server/encoder/. */

import { existsSync, readFileSync } from 'node:fs'
import type { Zone } from '../planner/zone.js'
import { assert } from '../storage/errors.js'

/** The global of that name: Node's types leave it out. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

/** What server/encoder/main.ts exports; numbers called `…At` are places in its memory. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly POWERS_OF_TEN: { readonly value: number }
  readonly FLOAT_TEXT: { readonly value: number }
  readonly rowsEnd: { readonly value: number }
  readonly textRowsEnd: { readonly value: number }
  writeDouble(value: number, at: number): number
  writeSingle(value: number, at: number): number
  input(): number
  inputBytes(): number
  runs(): number
  output(): number
  outputBytes(): number
  findStrings(columnsAt: number, columnCount: number, from: number, to: number): number
  setZone(number: number, fixedSeconds: number): void
  setCopy(
    csv: boolean,
    delimiter: number,
    quote: number,
    escaping: number,
    nullAt: number,
    nullBytes: number,
  ): void
  writeBinaryRows(
    columnsAt: number,
    columnCount: number,
    from: number,
    to: number,
    type: number,
    fixedBytes: number,
    outAt: number,
    limitAt: number,
  ): number
  writeTextRows(
    columnsAt: number,
    columnCount: number,
    from: number,
    to: number,
    fixedBytes: number,
    outAt: number,
    limitAt: number,
  ): number
}

/**
 * The one instance of this thread, with views of its memory, which never grows.
 *
 * All sessions share it: between two turns of the event loop nothing in it lasts.
 */
export interface EncoderModule {
  readonly exports: Exports
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  readonly inputAt: number
  readonly inputBytes: number
  readonly runsAt: number
  readonly outputAt: number
  readonly outputBytes: number
  /** Makes `zone` the one of timestamps with time zone. */
  useZone(zone: Zone): void
}

/**
 * The text PostgreSQL gives a float of that size with extra_float_digits above 0: the shortest that
 * reads back as the same number without lying in the middle between two.
 */
export function shortestFloatText(value: number, sizeBytes: 4 | 8): string {
  const { exports, bytes } = encoderModule()
  const at = exports.FLOAT_TEXT.value
  const end = sizeBytes === 8 ? exports.writeDouble(value, at) : exports.writeSingle(value, at)
  return String.fromCharCode(...bytes.subarray(at, end))
}

let loaded: EncoderModule | undefined

/** The encoder, compiled when it is first asked for. */
export function encoderModule(): EncoderModule {
  loaded ??= load()
  return loaded
}

function load(): EncoderModule {
  let zone: Zone | undefined
  const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(modulePath())), {
    host: {
      zoneOffset: (micros: bigint): number => {
        assert(zone !== undefined, 'a zone is set before rows are encoded')
        return zone.offsetSeconds(micros)
      },
    },
  })
  const exports = instance.exports as Exports
  const { buffer } = exports.memory
  fillPowersOfTen(new BigUint64Array(buffer, exports.POWERS_OF_TEN.value, 617 * 2))
  const zones = new Map<string, number>()
  return {
    exports,
    bytes: new Uint8Array(buffer),
    words: new Uint32Array(buffer),
    inputAt: exports.input(),
    inputBytes: exports.inputBytes(),
    runsAt: exports.runs(),
    outputAt: exports.output(),
    outputBytes: exports.outputBytes(),
    useZone(next) {
      zone = next
      const { fixedSeconds, name } = next
      if (fixedSeconds !== null) {
        exports.setZone(-1, fixedSeconds)
        return
      }
      let number = zones.get(name)
      if (number === undefined) {
        number = zones.size + 1
        zones.set(name, number)
      }
      exports.setZone(number, 0)
    },
  }
}

/** Beside the compiled gateway; the sources run without having been compiled in tests alone. */
function modulePath(): URL {
  const beside = new URL('./encoder.wasm', import.meta.url)
  return existsSync(beside) ? beside : new URL('../dist/server/encoder.wasm', import.meta.url)
}

/** 10^-292 to 10^324 by their highest 128 bits, rounded up, low word first. */
function fillPowersOfTen(words: BigUint64Array): void {
  for (let i = 0; i < 617; i++) {
    const exponent = i - 292
    const power = 10n ** BigInt(Math.abs(exponent))
    const bits = power.toString(2).length
    let word: bigint
    if (exponent >= 0) {
      word = bits <= 128 ? power << BigInt(128 - bits) : -(-power >> BigInt(bits - 128))
    } else {
      // The quotient's highest bit stands where the divisor's does, or one below.
      const numerator = 1n << BigInt(127 + bits)
      word = (numerator + power - 1n) / power
      if (word >> 128n !== 0n) word = (numerator / 2n + power - 1n) / power
    }
    words[i * 2] = word & 0xffff_ffff_ffff_ffffn
    words[i * 2 + 1] = word >> 64n
  }
}
