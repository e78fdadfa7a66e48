/** Values of every type: what is printed, and that what was encoded is decoded again. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { engineTypeOfOid, Oid, pgType } from '../../catalog/pg-types.js'
import { civilOf, daysOf } from '../../planner/civil-date.js'
import { decodeParameter } from '../../server/codecs.js'
import { intervalText } from '../../server/date-time-text.js'
import { shortestFloatText } from '../../server/encoder-module.js'
import { valueBinary } from '../../server/value-binary.js'
import { decimalText, floatText, textContext, valueText } from '../../server/value-text.js'
import type { Scalar } from '../../storage/engine-value.js'

const style = {
  dateStyle: 'ISO',
  dateOrder: 'MDY',
  intervalStyle: 'postgres',
  timeZone: 'UTC',
  extraFloatDigits: 1,
  byteaOutput: 'hex',
} as const
const context = textContext(style)

it.each([
  [1, 8, '1'],
  [0.1, 8, '0.1'],
  [1e15, 8, '1e+15'],
  [123456789012345, 8, '123456789012345'],
  [1e-5, 8, '1e-05'],
  [0.0001, 8, '0.0001'],
  [-0, 8, '-0'],
  [1.5e300, 8, '1.5e+300'],
  [Math.fround(0.1), 4, '0.1'],
  [1e6, 4, '1e+06'],
  [123456, 4, '123456'],
  [5e-324, 8, '5e-324'],
  // Those whose shortest text lies in the middle between two floats, as PostgreSQL 15 prints them.
  [1e23, 8, '9.999999999999999e+22'],
  [54235887815217180, 8, '5.4235887815217184e+16'],
  [-37657819484116740, 8, '-3.7657819484116736e+16'],
  [986118104338136000, 8, '9.861181043381361e+17'],
  [137687999987109400, 8, '1.3768799998710941e+17'],
  [1014554368, 4, '1.01455437e+09'],
  [1549663.25, 4, '1.5496632e+06'],
  [37016352, 4, '3.7016352e+07'],
  [-221977608192, 4, '-2.2197761e+11'],
  [-70411824, 4, '-7.0411824e+07'],
] as const)('the float %s of %s bytes is %s', (value, size, text) => {
  expect(floatText(value, size, 1)).toBe(text)
})

/** Shortest decimal strictly between the midpoints to both neighbours, closest of those, by the definition. */
function shortestByDefinition(bits: bigint, mantissaBits: number, exponentMin: number): string {
  const fraction = bits & ((1n << BigInt(mantissaBits)) - 1n)
  const biased = Number(bits >> BigInt(mantissaBits))
  const significand = biased === 0 ? fraction : fraction | (1n << BigInt(mantissaBits))
  const exponent = exponentMin + Math.max(0, biased - 1)
  // In quarters of the last place, as fractions over one denominator.
  const up = 1n << BigInt(Math.max(0, exponent))
  const down = 1n << BigInt(Math.max(0, -exponent))
  const below = fraction === 0n && biased > 1 ? 1n : 2n
  const [low, value, high] = [
    4n * significand - below,
    4n * significand,
    4n * significand + 2n,
  ].map((quarters) => quarters * up) as [bigint, bigint, bigint]
  const denominator = 4n * down
  for (let power = 330; ; power--) {
    const unit = 10n ** BigInt(Math.max(0, power)) * denominator
    const scale = 10n ** BigInt(Math.max(0, -power))
    const [from, at, to] = [low * scale, value * scale, high * scale]
    const first = at / unit
    const inside = [first, first + 1n].filter((n) => n * unit > from && n * unit < to)
    if (inside.length === 0 || inside[0] === 0n) continue
    const distance = (n: bigint): bigint => (n * unit > at ? n * unit - at : at - n * unit)
    const [a, b] = inside as [bigint, bigint | undefined]
    const tie = b !== undefined && distance(a) === distance(b)
    const nearer = b === undefined || distance(a) < distance(b) ? a : tie && a % 2n === 0n ? a : b
    return `${nearer}e${power}`
  }
}

function normalized(text: string): string {
  const [, whole = '', places = '', exponent = '0'] =
    /^(\d+)(?:\.(\d+))?(?:e(.+))?$/.exec(text) ?? []
  const digits = (whole + places).replace(/^0+/, '')
  const kept = digits.replace(/0+$/, '')
  return `${kept}e${Number(exponent) - places.length + digits.length - kept.length}`
}

it.each([
  [8, 64, 52, -1074],
  [4, 32, 23, -149],
] as const)(
  'a float of %s bytes has the shortest text by definition',
  (size, bits, mantissa, min) => {
    const view = new DataView(new ArrayBuffer(8))
    const significant = fc.tuple(
      fc.bigInt(0n, (1n << BigInt(bits - 1 - mantissa)) - 2n),
      fc.oneof(
        fc.bigInt(0n, (1n << BigInt(mantissa)) - 1n),
        fc.constantFrom(0n, 1n, 2n, (1n << BigInt(mantissa)) - 1n),
      ),
    )
    fc.assert(
      fc.property(significant, ([exponent, fraction]) => {
        const raw = (exponent << BigInt(mantissa)) | fraction
        if (raw === 0n) return
        if (size === 8) view.setBigUint64(0, raw)
        else view.setUint32(0, Number(raw))
        const value = size === 8 ? view.getFloat64(0) : view.getFloat32(0)
        expect(normalized(floatText(value, size, 1))).toBe(shortestByDefinition(raw, mantissa, min))
      }),
      { seed: 20261121, numRuns: 400 },
    )
    const shortDecimal = fc.tuple(
      fc.integer({ min: 1, max: 9_999_999 }),
      fc.integer({ min: 0, max: 9 }),
    )
    fc.assert(
      fc.property(shortDecimal, ([digits, places]) => {
        if (size === 8) view.setFloat64(0, digits / 10 ** places)
        else view.setFloat32(0, digits / 10 ** places)
        const raw = size === 8 ? view.getBigUint64(0) : BigInt(view.getUint32(0))
        const value = size === 8 ? view.getFloat64(0) : view.getFloat32(0)
        const wanted = shortestByDefinition(raw, mantissa, min)
        expect(normalized(shortestFloatText(value, size))).toBe(wanted)
        expect(normalized(floatText(value, size, 1))).toBe(wanted)
      }),
      { seed: 20261121, numRuns: 400 },
    )
  },
)

it('a date is the same after it has been taken apart and put together', () => {
  fc.assert(
    fc.property(fc.integer({ min: -3_000_000, max: 100_000_000 }), (days) => {
      const { year, month, day } = civilOf(days)
      expect(daysOf(year, month, day)).toBe(days)
    }),
    { seed: 1 },
  )
})

it.each([
  ['postgres', { months: 14, days: 3, micros: 14_706_000_000n }, '1 year 2 mons 3 days 04:05:06'],
  ['postgres', { months: -1, days: 5, micros: -1n }, '-1 mons +5 days -00:00:00.000001'],
  ['postgres', { months: 0, days: 0, micros: 0n }, '00:00:00'],
  ['iso_8601', { months: 14, days: 3, micros: 14_706_000_000n }, 'P1Y2M3DT4H5M6S'],
  ['sql_standard', { months: 14, days: 0, micros: 0n }, '1-2'],
  [
    'postgres_verbose',
    { months: 14, days: 3, micros: 14_706_000_000n },
    '@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs',
  ],
] as const)('an interval in %s style prints %s', (intervalStyle, value, text) => {
  expect(intervalText(value, intervalStyle)).toBe(text)
})

describe('what was encoded is decoded again', () => {
  const long = { min: -60_000_000_000_000_000n, max: 200_000_000_000_000_000n }
  const cases: readonly (readonly [string, number, fc.Arbitrary<Scalar>])[] = [
    ['int2', Oid.int2, fc.integer({ min: -32768, max: 32767 })],
    ['int4', Oid.int4, fc.integer()],
    ['int8', Oid.int8, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
    ['bool', Oid.bool, fc.boolean()],
    ['float8', Oid.float8, fc.double({ noNaN: true })],
    ['text', Oid.text, fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'))],
    ['bytea', Oid.bytea, fc.uint8Array()],
    ['date', Oid.date, fc.integer({ min: -700_000, max: 2_000_000 })],
    ['time', Oid.time, fc.bigInt({ min: 0n, max: 86_399_999_999n })],
    ['timestamp', Oid.timestamp, fc.bigInt(long)],
    ['timestamptz', Oid.timestamptz, fc.bigInt(long)],
    ['uuid', Oid.uuid, fc.uuid()],
    [
      'interval',
      Oid.interval,
      fc.record({
        months: fc.integer({ min: -1000, max: 1000 }),
        days: fc.integer({ min: -1000, max: 1000 }),
        micros: fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }),
      }),
    ],
  ]
  it.each(cases)('as %s', (_, oid, values) => {
    const type = engineTypeOfOid(oid)
    if (type === null) throw new Error('no engine type')
    fc.assert(
      fc.property(values, (value) => {
        const plain = value as Exclude<Scalar, null>
        const text = Buffer.from(valueText(plain, type, pgType(oid), context), 'utf8')
        const binary = Buffer.from(valueBinary(plain, type, pgType(oid), context))
        const same = (decoded: Scalar): void => {
          if (plain instanceof Uint8Array) expect([...(decoded as Uint8Array)]).toEqual([...plain])
          else expect(decoded).toEqual(plain)
        }
        same(decodeParameter(text, 0, pgType(oid), style).value)
        same(decodeParameter(binary, 1, pgType(oid), style).value)
      }),
      { seed: 3, numRuns: 300 },
    )
  })

  it('as numeric', () => {
    const digits = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n })
    fc.assert(
      fc.property(digits, fc.integer({ min: 0, max: 20 }), (unscaled, scale) => {
        const type = { kind: 'decimal', width: 38, scale } as const
        const binary = Buffer.from(valueBinary(unscaled, type, pgType(Oid.numeric), context))
        const decoded = decodeParameter(binary, 1, pgType(Oid.numeric), style)
        expect(decoded.type).toMatchObject({ kind: 'decimal', scale })
        expect(decoded.value).toBe(unscaled)
        const text = Buffer.from(decimalText(unscaled, scale))
        expect(decodeParameter(text, 0, pgType(Oid.numeric), style).value).toBe(unscaled)
      }),
      { seed: 5 },
    )
  })
})
