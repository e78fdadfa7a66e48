/** AdvisoryLocks: locks that clients take by number, held against each other by one gateway. */

import type { Cancellation } from '../storage/cancellation.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { TransactionalState } from './transaction-block.js'

/** Locks a session may hold. */
const LOCKS_MAX = 10_000

/** What is locked: a bigint, or two integers, which are another space of keys. */
export interface LockKey {
  readonly classId: number
  readonly objectId: number
  /** 1 for a bigint, 2 for two integers, as in pg_locks. */
  readonly space: 1 | 2
}

type Mode = 'exclusive' | 'shared'

interface Hold {
  readonly owner: SessionLocks
  readonly mode: Mode
  count: number
}

interface Waiter {
  readonly owner: SessionLocks
  readonly mode: Mode
  readonly grant: () => void
}

interface Lock {
  readonly key: LockKey
  readonly holds: Hold[]
  readonly waiters: Waiter[]
}

/** One row of pg_lock_status, as JSON. */
export interface LockRow {
  readonly locktype: 'advisory'
  readonly database: number
  readonly classid: number
  readonly objid: number
  readonly objsubid: number
  readonly virtualtransaction: string
  readonly pid: number
  readonly mode: 'ExclusiveLock' | 'ShareLock'
  readonly granted: boolean
  readonly fastpath: false
}

/** The advisory locks of all sessions of a gateway; other gateways of the lake know nothing of them. */
export class AdvisoryLocks {
  readonly #locks = new Map<string, Lock>()

  /** The locks as pg_locks shows them. */
  rows(database: number): readonly LockRow[] {
    const row = ({ key }: Lock, { owner, mode }: Hold | Waiter, granted: boolean): LockRow => ({
      locktype: 'advisory',
      database,
      classid: key.classId,
      objid: key.objectId,
      objsubid: key.space,
      virtualtransaction: `${owner.processId}/1`,
      pid: owner.processId,
      mode: mode === 'exclusive' ? 'ExclusiveLock' : 'ShareLock',
      granted,
      fastpath: false,
    })
    return [...this.#locks.values()].flatMap((lock) => [
      ...lock.holds.map((hold) => row(lock, hold, true)),
      ...lock.waiters.map((waiter) => row(lock, waiter, false)),
    ])
  }

  /** Takes the lock if that needs no waiting. */
  tryAcquire(owner: SessionLocks, key: LockKey, mode: Mode): boolean {
    const lock = this.#lockOf(key)
    const own = lock.holds.find((hold) => hold.owner === owner && hold.mode === mode)
    const isFree =
      own !== undefined || (isCompatible(lock, owner, mode) && lock.waiters.length === 0)
    if (!isFree) {
      this.#forget(lock)
      return false
    }
    if (own === undefined) lock.holds.push({ owner, mode, count: 1 })
    else own.count++
    return true
  }

  /**
   * Takes the lock, waiting for those who hold it.
   *
   * 57014 when cancelled, 55P03 after `timeoutMs` (null: never), 40P01 when they wait for this session.
   */
  async acquire(
    owner: SessionLocks,
    key: LockKey,
    mode: Mode,
    cancellation: Cancellation,
    timeoutMs: number | null,
  ): Promise<void> {
    if (this.tryAcquire(owner, key, mode)) return
    const lock = this.#lockOf(key)
    if (this.#waitsFor(lock, owner)) {
      throw new SqlError(SqlState.deadlockDetected, 'deadlock detected')
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        owner,
        mode,
        grant: () => {
          end()
          resolve()
        },
      }
      const giveUp = (reason: SqlError): void => {
        end()
        lock.waiters.splice(lock.waiters.indexOf(waiter), 1)
        this.#wake(lock)
        reject(reason)
      }
      const unregister = cancellation.onCancel(giveUp)
      const timer =
        timeoutMs === null
          ? undefined
          : setTimeout(
              () =>
                giveUp(
                  new SqlError(
                    SqlState.lockNotAvailable,
                    'canceling statement due to lock timeout',
                  ),
                ),
              timeoutMs,
            )
      const end = (): void => {
        unregister()
        clearTimeout(timer)
      }
      lock.waiters.push(waiter)
    })
  }

  /** Gives up one hold of the lock; false when there is none. */
  release(owner: SessionLocks, key: LockKey, mode: Mode): boolean {
    const lock = this.#locks.get(textOf(key))
    const hold = lock?.holds.find((one) => one.owner === owner && one.mode === mode)
    if (lock === undefined || hold === undefined) return false
    if (--hold.count === 0) {
      lock.holds.splice(lock.holds.indexOf(hold), 1)
      this.#wake(lock)
    }
    return true
  }

  #wake(lock: Lock): void {
    for (let next = lock.waiters[0]; next !== undefined; next = lock.waiters[0]) {
      if (!isCompatible(lock, next.owner, next.mode)) break
      lock.waiters.shift()
      lock.holds.push({ owner: next.owner, mode: next.mode, count: 1 })
      next.grant()
    }
    this.#forget(lock)
  }

  /** Whether somebody the lock's next waiter would wait for waits, itself or through others, for `owner`. */
  #waitsFor(lock: Lock, owner: SessionLocks): boolean {
    const seen = new Set<SessionLocks>()
    const blockers = (one: Lock, waiting: SessionLocks): readonly SessionLocks[] =>
      [...one.holds, ...one.waiters].map((held) => held.owner).filter((by) => by !== waiting)
    const queue = [...blockers(lock, owner)]
    for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
      if (one === owner) return true
      if (seen.has(one)) continue
      seen.add(one)
      for (const other of this.#locks.values()) {
        if (other.waiters.some((waiter) => waiter.owner === one))
          queue.push(...other.holds.map((hold) => hold.owner))
      }
    }
    return false
  }

  #lockOf(key: LockKey): Lock {
    const text = textOf(key)
    const known = this.#locks.get(text)
    if (known !== undefined) return known
    const lock: Lock = { key, holds: [], waiters: [] }
    this.#locks.set(text, lock)
    return lock
  }

  #forget(lock: Lock): void {
    if (lock.holds.length === 0 && lock.waiters.length === 0) this.#locks.delete(textOf(lock.key))
  }
}

interface Held {
  readonly key: LockKey
  readonly mode: Mode
  readonly ends: 'session' | 'transaction'
}

/** What one session holds: until it lets go, or until its transaction ends. */
export class SessionLocks implements TransactionalState {
  readonly processId: number
  readonly #locks: AdvisoryLocks
  #held: Held[] = []

  constructor(locks: AdvisoryLocks, processId: number) {
    this.#locks = locks
    this.processId = processId
  }

  /** As AdvisoryLocks.acquire; 53200 for one lock too many. */
  async acquire(
    key: LockKey,
    mode: Mode,
    ends: 'session' | 'transaction',
    cancellation: Cancellation,
    timeoutMs: number | null,
  ): Promise<void> {
    this.#requireRoom()
    await this.#locks.acquire(this, key, mode, cancellation, timeoutMs)
    this.#held.push({ key, mode, ends })
  }

  tryAcquire(key: LockKey, mode: Mode, ends: 'session' | 'transaction'): boolean {
    this.#requireRoom()
    if (!this.#locks.tryAcquire(this, key, mode)) return false
    this.#held.push({ key, mode, ends })
    return true
  }

  /** False when the session does not hold it. */
  release(key: LockKey, mode: Mode): boolean {
    const at = this.#held.findIndex(
      (one) => one.ends === 'session' && one.mode === mode && textOf(one.key) === textOf(key),
    )
    if (at < 0) return false
    this.#held.splice(at, 1)
    return this.#locks.release(this, key, mode)
  }

  /** Lets go of all that is held until the session lets go. */
  releaseAll(): void {
    this.#end(({ ends }) => ends === 'session')
  }

  /** Lets go of everything, for the session's end. */
  close(): void {
    this.#end(() => true)
  }

  mark(): () => Promise<void> {
    const before = new Set(this.#held)
    return () => {
      this.#end((one) => one.ends === 'transaction' && !before.has(one))
      return Promise.resolve()
    }
  }

  commit(): Promise<void> {
    this.#end(({ ends }) => ends === 'transaction')
    return Promise.resolve()
  }

  #end(isOver: (one: Held) => boolean): void {
    const over = this.#held.filter(isOver)
    this.#held = this.#held.filter((one) => !over.includes(one))
    for (const { key, mode } of over) this.#locks.release(this, key, mode)
  }

  #requireRoom(): void {
    if (this.#held.length < LOCKS_MAX) return
    throw new SqlError(SqlState.outOfMemory, 'out of shared memory', {
      hint: 'Release some advisory locks.',
    })
  }
}

/** The key of one bigint, or of two integers. */
export function lockKey(first: bigint, second?: bigint): LockKey {
  if (second !== undefined) {
    return {
      classId: Number(BigInt.asUintN(32, first)),
      objectId: Number(BigInt.asUintN(32, second)),
      space: 2,
    }
  }
  const whole = BigInt.asUintN(64, first)
  return { classId: Number(whole >> 32n), objectId: Number(whole & 0xffff_ffffn), space: 1 }
}

function isCompatible(lock: Lock, owner: SessionLocks, mode: Mode): boolean {
  return lock.holds.every(
    (hold) => hold.owner === owner || (hold.mode === 'shared' && mode === 'shared'),
  )
}

function textOf({ classId, objectId, space }: LockKey): string {
  return `${space} ${classId} ${objectId}`
}
