/** SparkLiteral: the values of literals in Spark SQL. */

import { quoteLiteral } from '../storage/engine.js'
import { type SparkLiteral, untranslatable } from './spark-expression.js'
import {
  BOOLEAN,
  DATE,
  decimal,
  made,
  momentOf,
  NTZ,
  type SparkValue,
  STRING,
  TIMESTAMP,
  typed,
  VOID,
} from './spark-value.js'

/** The value of a literal; 0A000 for those that Spark's versions read otherwise. */
export function sparkLiteral({ type, text }: SparkLiteral): SparkValue {
  const constant = (value: SparkValue): SparkValue => ({ ...value, fails: false, constant: text })
  switch (type) {
    case 'void':
      return { sql: 'NULL', type: VOID, fails: false }
    case 'string':
      if (text.includes('\0')) throw untranslatable('a text with a zero byte')
      return constant(made(quoteLiteral(text), STRING))
    case 'boolean':
      return made(text.toLowerCase(), BOOLEAN)
    case 'integral':
      return constant(integral(text))
    case 'byte':
    case 'short':
    case 'long': {
      const bits = { byte: 8n, short: 16n, long: 64n }[type]
      if (BigInt.asIntN(Number(bits), BigInt(text)) !== BigInt(text)) {
        throw untranslatable(`the number ${text}`)
      }
      return constant(typed(text, { kind: 'primitive', name: type }))
    }
    case 'float':
    case 'double':
      if (!Number.isFinite(type === 'float' ? Math.fround(Number(text)) : Number(text))) {
        throw untranslatable(`the number ${text}`)
      }
      return constant(typed(quoteLiteral(text), { kind: 'primitive', name: type }))
    case 'decimal':
      return constant(decimalLiteral(text))
    case 'date':
      if (!isDate(text)) throw untranslatable(`DATE '${text}'`)
      return constant(typed(quoteLiteral(text), DATE))
    case 'timestamp':
    case 'timestamp_ntz':
      return constant(moment(type, text))
  }
}

function integral(text: string): SparkValue {
  const value = BigInt(text)
  for (const [name, bits] of [
    ['integer', 32],
    ['long', 64],
  ] as const) {
    if (BigInt.asIntN(bits, value) === value) return typed(text, { kind: 'primitive', name })
  }
  return decimalLiteral(text)
}

function decimalLiteral(text: string): SparkValue {
  const parts = /^(-?)0*(\d*)(?:\.(\d*))?$/.exec(text)
  if (parts === null) throw untranslatable(`the number ${text}`)
  const scale = parts[3]?.length ?? 0
  const digits = ((parts[2] ?? '') + (parts[3] ?? '')).replace(/^0+/, '').length
  return typed(quoteLiteral(text), decimal(Math.max(digits, scale, 1), scale))
}

function isDate(text: string): boolean {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)
  if (parts === null || parts[1] === '0000') return false
  const date = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}

function moment(type: 'timestamp' | 'timestamp_ntz', text: string): SparkValue {
  const parts =
    /^(\d{4}-\d\d-\d\d)(?:[ T]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d{1,6})?(Z|[-+]\d\d:\d\d)?)?$/.exec(
      text,
    )
  const zone = parts?.[6]
  if (parts === null || !isDate(parts[1] ?? '') || (zone !== undefined && type !== 'timestamp')) {
    throw untranslatable(`${type.toUpperCase()} '${text}'`)
  }
  const wall = `${parts[1]} ${parts[2] ?? '00'}:${parts[3] ?? '00'}:${parts[4] ?? '00'}${parts[5] ?? ''}`
  if (type === 'timestamp_ntz') return typed(quoteLiteral(wall), NTZ)
  if (zone === undefined) return made(momentOf(quoteLiteral(wall)), TIMESTAMP)
  return typed(quoteLiteral(wall + zone.replace('Z', '+00:00')), TIMESTAMP)
}
