/** SparkEvaluation: a tree of Spark SQL as DuckDB text that gives the values Spark gives. */

import { commonValues, comparable, compare } from './spark-comparison.js'
import { type SparkArithmetic, type SparkNode, untranslatable } from './spark-expression.js'
import { callFunction, CURRENT } from './spark-function.js'
import { sparkLiteral } from './spark-literal.js'
import { matchesLike, matchesRegexp } from './spark-pattern.js'
import {
  BOOLEAN,
  castTo,
  castType,
  decimal,
  decimalTypeOf,
  DOUBLE,
  failing,
  guarded,
  isFloating,
  isIntegral,
  isNumeric,
  isPrimitive,
  LONG,
  made,
  ranged,
  sameType,
  type SparkValue,
  sparkTypeName,
  typed,
  widerNumber,
} from './spark-value.js'

/** Finds what a name's parts mean; undefined where the table has no such column. */
export type SparkColumns = (path: readonly string[]) => SparkValue | undefined

/** The value of `node`; 0A000 where it is not certain that Spark's would be the same. */
export function evaluateSpark(node: SparkNode, columns: SparkColumns): SparkValue {
  return new Evaluation(columns).value(node)
}

/** Characters of DuckDB text for one expression; what is longer is refused. */
const SQL_LENGTH_MAX = 1_000_000

class Evaluation {
  readonly #columns: SparkColumns

  constructor(columns: SparkColumns) {
    this.#columns = columns
  }

  value(node: SparkNode): SparkValue {
    const value = this.#value(node)
    // Guards name their operands more than once.
    if (value.sql.length > SQL_LENGTH_MAX) throw untranslatable('an expression of this size')
    return value
  }

  #value(node: SparkNode): SparkValue {
    switch (node.kind) {
      case 'literal':
        return sparkLiteral(node)
      case 'column':
        return this.#column(node.path)
      case 'cast':
        return castTo(this.value(node.arg), castType(node.type))
      case 'minus': {
        const arg = this.value(node.arg)
        if (!isNumeric(arg.type)) throw untranslatable(`- of ${sparkTypeName(arg.type)}`)
        return ranged(`-(${arg.sql})`, arg.type)
      }
      case 'not': {
        const arg = this.#boolean(node.arg)
        return made(`(NOT ${arg.sql})`, BOOLEAN, arg)
      }
      case 'binary':
        return this.#binary(node)
      case 'between': {
        const value = this.value(node.value)
        const low = compare('>=', value, this.value(node.low))
        const high = compare('<=', value, this.value(node.high))
        return conjunction('AND', [low, high])
      }
      case 'in':
        return this.#inList(node)
      case 'is': {
        const value = node.what === 'NULL' ? this.value(node.value) : this.#boolean(node.value)
        return made(`(${value.sql} IS ${node.what})`, BOOLEAN, value)
      }
      case 'case':
        return this.#choice(node)
      case 'call':
        return this.#call(node.name, node.args)
    }
  }

  #call(name: string, nodes: readonly SparkNode[]): SparkValue {
    const args = nodes.map((arg) => this.value(arg))
    const [left, right] = args
    return name === 'mod' && left !== undefined && right !== undefined && args.length === 2
      ? arithmetic('%', left, right)
      : callFunction(name, args)
  }

  #boolean(node: SparkNode): SparkValue {
    const value = this.value(node)
    if (isPrimitive(value.type, 'boolean')) return value
    if (isPrimitive(value.type, 'void')) return castTo(value, BOOLEAN)
    throw untranslatable(`${sparkTypeName(value.type)} as a condition`)
  }

  #column(path: readonly string[]): SparkValue {
    const found = this.#columns(path)
    if (found !== undefined) return found
    const [name = ''] = path
    if (path.length === 1 && CURRENT.has(name.toLowerCase())) return callFunction(name, [])
    throw untranslatable(`the name "${path.join('.')}", which no column has,`)
  }

  #binary(node: Extract<SparkNode, { readonly kind: 'binary' }>): SparkValue {
    const { operator, left, right } = node
    switch (operator) {
      case 'AND':
      case 'OR': {
        const operands = operandsOf(node, operator).map((operand) => this.#boolean(operand))
        return conjunction(operator, operands)
      }
      case 'LIKE':
      case 'RLIKE': {
        const value = this.value(left)
        if (!isPrimitive(value.type, 'string') || right.kind !== 'literal') {
          throw untranslatable(`${operator} with anything but a text and a constant pattern`)
        }
        if (right.type !== 'string') throw untranslatable(`${operator} with this pattern`)
        return operator === 'LIKE'
          ? matchesLike(value, right.text)
          : matchesRegexp(value, right.text)
      }
      case '=':
      case '<>':
      case '<':
      case '<=':
      case '>':
      case '>=':
      case '<=>':
        return compare(operator, this.value(left), this.value(right))
      default:
        return arithmetic(operator, this.value(left), this.value(right))
    }
  }

  #inList({ value, list }: Extract<SparkNode, { readonly kind: 'in' }>): SparkValue {
    if (list.length === 0) throw untranslatable('IN ()')
    const wanted = this.value(value)
    const items = list.map((item) => this.value(item))
    const pairs = items.map((item) => comparable(wanted, item, true)[0].type)
    const [first = wanted.type] = pairs
    // Spark compares in one type for all, which matters where it is not exact.
    if (pairs.some(isFloating) && !pairs.every((type) => sameType(type, first))) {
      throw untranslatable('IN with several types of numbers')
    }
    const tests = items.map((item) => compare('=', wanted, item, true))
    return made(`(${tests.map((test) => test.sql).join(' OR ')})`, BOOLEAN, ...tests)
  }

  #choice(node: Extract<SparkNode, { readonly kind: 'case' }>): SparkValue {
    const operand = node.operand === undefined ? undefined : this.value(node.operand)
    const conditions = node.branches.map(([when]) =>
      operand === undefined ? this.#boolean(when) : compare('=', operand, this.value(when)),
    )
    const results = node.branches.map(([, then]) => this.value(then))
    if (node.otherwise !== undefined) results.push(this.value(node.otherwise))
    const common = commonValues(results)
    const branches = conditions.map((when, i) => `WHEN ${when.sql} THEN ${common.values[i]?.sql}`)
    const otherwise = node.otherwise === undefined ? 'NULL' : common.values.at(-1)?.sql
    const sql = `CASE ${branches.join(' ')} ELSE ${otherwise} END`
    return typed(sql, common.type, ...conditions, ...common.values)
  }
}

/** The operands of a chain of ANDs, or of ORs. */
function operandsOf(node: SparkNode, operator: 'AND' | 'OR'): readonly SparkNode[] {
  if (node.kind !== 'binary' || node.operator !== operator) return [node]
  return [...operandsOf(node.left, operator), ...operandsOf(node.right, operator)]
}

function conjunction(operator: 'AND' | 'OR', values: readonly SparkValue[]): SparkValue {
  const plain = `(${values.map(({ sql }) => sql).join(` ${operator} `)})`
  if (!values.slice(1).some(({ fails }) => fails)) return made(plain, BOOLEAN, ...values)
  // Spark does not look at what follows once it has been decided.
  const decided = operator === 'AND' ? 'FALSE' : 'TRUE'
  const early = values.slice(0, -1).map(({ sql }) => `WHEN ${sql} IS ${decided} THEN ${decided}`)
  return failing(`(CASE ${early.join(' ')} ELSE ${plain} END)`, BOOLEAN)
}

const DIVISION_BY_ZERO = ['division by zero', '22012'] as const

function arithmetic(operator: SparkArithmetic, left: SparkValue, right: SparkValue): SparkValue {
  const pair = `${sparkTypeName(left.type)} ${operator} ${sparkTypeName(right.type)}`
  if (operator === '||') return callFunction('concat', [left, right])
  if (isPrimitive(left.type, 'date') && isIntegral(right.type)) {
    if (operator === '+') return callFunction('date_add', [left, right])
    if (operator === '-') return callFunction('date_sub', [left, right])
  }
  const type = widerNumber(left, right)
  if (type === undefined) throw untranslatable(pair)
  switch (operator) {
    case '+':
    case '-':
    case '*':
      if (type.kind === 'decimal') return decimalArithmetic(operator, left, right)
      return isFloating(type)
        ? typed(
            `${castTo(left, type).sql} ${operator} ${castTo(right, type).sql}`,
            type,
            left,
            right,
          )
        : ranged(`${castTo(left, type).sql} ${operator} ${castTo(right, type).sql}`, type)
    case '/': {
      if (type.kind === 'decimal') throw untranslatable(pair)
      const [a, b] = [castTo(left, DOUBLE), castTo(right, DOUBLE)]
      return guarded(`${b.sql} = 0`, made(`(${a.sql} / ${b.sql})`, DOUBLE), ...DIVISION_BY_ZERO)
    }
    case '%': {
      if (type.kind === 'decimal') throw untranslatable(pair)
      const [a, b] = [castTo(left, type), castTo(right, type)]
      return guarded(`${b.sql} = 0`, typed(`${a.sql} % ${b.sql}`, type), ...DIVISION_BY_ZERO)
    }
    case 'DIV': {
      if (!isIntegral(type)) throw untranslatable(pair)
      const [a, b] = [castTo(left, LONG), castTo(right, LONG)]
      return guarded(`${b.sql} = 0`, typed(`${a.sql} // ${b.sql}`, LONG), ...DIVISION_BY_ZERO)
    }
  }
}

function decimalArithmetic(
  operator: '+' | '-' | '*',
  left: SparkValue,
  right: SparkValue,
): SparkValue {
  const [a, b] = [decimalTypeOf(left), decimalTypeOf(right)]
  if (a === undefined || b === undefined) throw untranslatable('this arithmetic')
  const [x, y] = [castTo(left, a), castTo(right, b)]
  if (operator === '*') {
    const type = decimal(a.precision + b.precision + 1, a.scale + b.scale)
    // DuckDB multiplies in the width of its operands.
    const wide = castTo(x, decimal(type.precision, a.scale))
    return ranged(`${wide.sql} * ${y.sql}`, type)
  }
  const scale = Math.max(a.scale, b.scale)
  const range = Math.max(a.precision - a.scale, b.precision - b.scale)
  const type = decimal(range + scale + 1, scale)
  const sql = `${castTo(x, type).sql} ${operator} ${castTo(y, type).sql}`
  return ranged(sql, type)
}
