/** StepStore: any ObjectStore, one chosen call of which goes wrong in a chosen way. */

import { SqlError, SqlState } from '../../storage/errors.js'
import type { ObjectStore } from '../../storage/object-store.js'

/** What becomes of a call; the last three are answers of putIfAbsent alone. */
export const FATES = [
  'dies before',
  'dies after',
  'fails',
  'fails late',
  'unknown and lost',
  'unknown and done',
  'unknown and late',
] as const

export type Fate = (typeof FATES)[number]

/** A store whose calls are counted from 1. */
export interface StepStore {
  readonly store: ObjectStore
  /** The methods that were called, in order. */
  readonly calls: readonly string[]
  /** Whether the chosen call came, and could go wrong that way. */
  readonly wasHit: boolean
  /** Lets the request take effect that its caller gave up. */
  readonly settle: () => Promise<void>
}

/** Whoever uses it never hears again of a call in which it died, nor of a later one. */
export function stepStore(
  store: ObjectStore,
  step: number,
  fate: Fate,
  onDeath: () => void,
): StepStore {
  const calls: string[] = []
  const late: (() => Promise<unknown>)[] = []
  let isDead = false
  let wasHit = false
  const die = (): Promise<never> => {
    isDead = true
    onDeath()
    return new Promise<never>(() => {})
  }
  const run = async (method: string, call: () => Promise<unknown>): Promise<unknown> => {
    if (isDead) return new Promise<never>(() => {})
    calls.push(method)
    const isPut = method === 'putIfAbsent'
    if (calls.length !== step || (fate.startsWith('unknown') && !isPut)) return call()
    if (fate === 'fails late' && isPut) return call()
    wasHit = true
    const failed = new SqlError(SqlState.ioError, `could not ${method}: EIO`)
    switch (fate) {
      case 'dies before':
        return die()
      case 'dies after':
        await call()
        return die()
      case 'fails':
        throw failed
      case 'fails late':
        await call()
        throw failed
      case 'unknown and done':
        await call()
        return 'unknown'
      case 'unknown and late':
        late.push(call)
        return 'unknown'
      case 'unknown and lost':
        return 'unknown'
    }
  }
  const proxy = new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      if (name === 'engineUrl') return member.bind(target)
      return (...values: unknown[]) =>
        run(String(name), () => Reflect.apply(member, target, values) as Promise<unknown>)
    },
  })
  return {
    store: proxy,
    calls,
    get wasHit() {
      return wasHit
    },
    settle: async () => {
      for (const call of late.splice(0)) await call()
    },
  }
}
