/** Overload: which function or operator of a name is meant, by PostgreSQL's rules for argument types. */

import { Oid, pgTypeByName, pgTypeByOid } from '../catalog/pg-types.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { canCast } from './coercion.js'
import { categoryOf, isArrayOid, isPreferred } from './sql-type.js'

/** A parameter's type: an OID, or one of PostgreSQL's polymorphic pseudo-types. */
export type ParameterType =
  | number
  | 'any'
  | 'anyelement'
  | 'anyarray'
  | 'anynonarray'
  | 'anycompatible'
  | 'anycompatiblearray'

/** What overload resolution looks at. */
export interface Signature {
  readonly parameters: readonly ParameterType[]
  /** The last parameter may be repeated, or left out. */
  readonly variadic: boolean
}

/** A candidate with concrete argument OIDs. */
export interface Match<T extends Signature> {
  readonly candidate: T
  /** Type each argument is coerced to; 0 leaves it as it is. */
  readonly oids: readonly number[]
}

/**
 * The candidate of `candidates` that arguments of `types` call, or null when none fits.
 *
 * Follows the documentation's "Type Conversion" chapter: exact match, then the candidates that
 * implicit casts allow, by number of exact matches, preferred types, and what unknown literals may
 * be. 42725 when several remain.
 */
export function chooseOverload<T extends Signature>(
  candidates: readonly T[],
  types: readonly number[],
  name: string,
  isOperator: boolean,
): Match<T> | null {
  const fitting = candidates
    .map((candidate) => bind(candidate, types))
    .filter((match) => match !== null)
  const exact = fitting.find(({ oids }) => oids.every((oid, i) => oid === 0 || oid === types[i]))
  if (exact !== undefined) return exact
  if (isOperator && types.length === 2 && types.includes(Oid.unknown)) {
    // An unknown operand is taken to be of the other's type where there is such an operator.
    const other = types.find((oid) => oid !== Oid.unknown)
    if (other !== undefined) {
      const same = fitting.find(({ oids }) => oids.every((oid) => oid === other || oid === 0))
      if (same !== undefined) return same
    }
  }
  let left = fitting
  if (left.length <= 1) return left[0] ?? null
  left = best(left, ({ oids }) => count(oids, (oid, i) => oid === types[i] || oid === 0))
  if (left.length === 1) return left[0] ?? null
  left = best(left, ({ oids }) =>
    count(
      oids,
      (oid, i) =>
        types[i] !== Oid.unknown &&
        (oid === types[i] || (isPreferred(oid) && categoryOf(oid) === categoryOf(types[i] ?? 0))),
    ),
  )
  if (left.length === 1) return left[0] ?? null
  left = narrowUnknown(left, types)
  if (left.length === 1) return left[0] ?? null
  const known = new Set(types.filter((oid) => oid !== Oid.unknown))
  if (known.size === 1) {
    const [only = 0] = known
    const same = left.filter(({ oids }) =>
      oids.every((oid, i) => types[i] !== Oid.unknown || canCast(only, oid, 'implicit')),
    )
    if (same.length === 1) return same[0] ?? null
    const equal = left.filter(({ oids }) => oids.every((oid) => oid === only))
    if (equal.length === 1) return equal[0] ?? null
  }
  throw new SqlError(
    SqlState.ambiguousFunction,
    isOperator ? `operator is not unique: ${name}` : `function ${name} is not unique`,
    { hint: 'Could not choose a best candidate. You might need to add explicit type casts.' },
  )
}

function best<T>(items: readonly T[], score: (item: T) => number): T[] {
  const highest = Math.max(...items.map(score))
  return items.filter((item) => score(item) === highest)
}

function count(oids: readonly number[], test: (oid: number, i: number) => boolean): number {
  return oids.reduce((sum, oid, i) => sum + (test(oid, i) ? 1 : 0), 0)
}

/** Rule 4e and 4f: at unknown positions strings win, else the one category there is. */
function narrowUnknown<T extends Match<Signature>>(matches: T[], types: readonly number[]): T[] {
  let left = matches
  for (const [i, type] of types.entries()) {
    if (type !== Oid.unknown) continue
    // A polymorphic parameter is of no category of its own.
    const categoryAt = ({ oids, candidate }: T): string =>
      typeof candidate.parameters[Math.min(i, candidate.parameters.length - 1)] === 'number'
        ? categoryOf(oids[i] ?? 0)
        : 'P'
    const categories = new Set(left.map(categoryAt))
    const category = categories.has('S')
      ? 'S'
      : categories.size === 1
        ? [...categories][0]
        : undefined
    if (category === undefined) continue
    const inCategory = left.filter((match) => categoryAt(match) === category)
    const preferred = inCategory.filter(({ oids }) => isPreferred(oids[i] ?? 0))
    left = preferred.length > 0 ? preferred : inCategory
  }
  return left
}

/** The types `candidate`'s parameters take for arguments of `types`; null when one does not fit. */
function bind<T extends Signature>(candidate: T, types: readonly number[]): Match<T> | null {
  const { parameters, variadic } = candidate
  if (variadic ? types.length < parameters.length : types.length !== parameters.length) return null
  const wanted = types.map((_, i) => parameters[Math.min(i, parameters.length - 1)] ?? 'any')
  const element = polymorph(wanted, types)
  if (element === null) return null
  const oids: number[] = []
  for (const [i, parameter] of wanted.entries()) {
    const type = types[i] ?? 0
    if (parameter === 'any' || parameter === 'anynonarray') {
      if (parameter === 'anynonarray' && (isArrayOid(type) || type === Oid.unknown)) return null
      oids.push(0)
      continue
    }
    if (typeof parameter === 'number') {
      if (!canCast(type, parameter, 'implicit')) return null
      oids.push(parameter)
      continue
    }
    const isArray = parameter.endsWith('array')
    const oid = isArray ? arrayOidOf(element) : element
    if (type !== Oid.unknown && type !== oid && !canCast(type, oid, 'implicit')) return null
    // Arrays of arrays are one type; leaving them alone keeps their dimensions.
    oids.push(type === oid ? 0 : oid)
  }
  return { candidate, oids }
}

function arrayOidOf(element: number): number {
  return isArrayOid(element) ? element : (pgTypeByOid(element)?.arrayOid ?? 0)
}

/** The type anyelement and its kin stand for; 0 without such parameters, null when they disagree. */
function polymorph(wanted: readonly ParameterType[], types: readonly number[]): number | null {
  let element = 0
  for (const [i, parameter] of wanted.entries()) {
    if (typeof parameter === 'number' || parameter === 'any' || parameter === 'anynonarray')
      continue
    const type = types[i] ?? 0
    if (type === Oid.unknown) continue
    let found = type
    if (parameter.endsWith('array')) {
      if (!isArrayOid(type)) return null
      found = pgTypeByOid(type)?.elementOid ?? 0
    }
    if (element === 0 || element === found) element = found
    else if (!parameter.startsWith('anycompatible')) return null
    else if (canCast(element, found, 'implicit')) element = found
    else if (!canCast(found, element, 'implicit')) return null
  }
  const polymorphic = wanted.some(
    (one) => typeof one !== 'number' && one !== 'any' && one !== 'anynonarray',
  )
  return polymorphic && element === 0 ? Oid.text : element
}

const WORDS: Readonly<Record<string, ParameterType>> = {
  any: 'any',
  anyelement: 'anyelement',
  anyarray: 'anyarray',
  anynonarray: 'anynonarray',
  anycompatible: 'anycompatible',
  anycompatiblearray: 'anycompatiblearray',
}

/** The parameter type a signature's word stands for: `int4`, `text[]`, `anyarray`. */
export function parameterTypeOf(word: string): ParameterType {
  const special = WORDS[word]
  if (special !== undefined) return special
  const name = word.endsWith('[]') ? `_${word.slice(0, -2)}` : word
  const type = pgTypeByName(name)
  if (type === undefined) throw new Error(`no type is named ${word}`)
  return type.oid
}
