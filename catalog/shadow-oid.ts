/** ShadowOid: OIDs of the lake's objects, the same on every gateway and after every start. */

import { createHash } from 'node:crypto'

/** Below are PostgreSQL's own objects, and those it makes while it runs. */
const FIRST = 2 ** 24
const COUNT = 2 ** 31 - FIRST

/**
 * An OID for each of `keys`, which name objects by what stays the same as long as they live.
 *
 * An OID is a hash of the key, so it depends on nothing else unless two keys of the lake have the
 * same one; then the key that sorts first keeps it and the others are hashed again.
 */
export function assignOids(keys: Iterable<string>): ReadonlyMap<string, number> {
  const assigned = new Map<string, number>()
  const taken = new Set<number>()
  let collides = false
  for (const key of new Set(keys)) {
    const oid = hashed(key, 0)
    collides ||= taken.has(oid)
    taken.add(oid)
    assigned.set(key, oid)
  }
  if (!collides) return assigned
  taken.clear()
  for (const key of [...assigned.keys()].sort()) {
    let attempt = 0
    while (taken.has(hashed(key, attempt))) attempt++
    const oid = hashed(key, attempt)
    taken.add(oid)
    assigned.set(key, oid)
  }
  return assigned
}

function hashed(key: string, attempt: number): number {
  const text = attempt === 0 ? key : `${key}\u0000${attempt}`
  return FIRST + (createHash('sha256').update(text).digest().readUIntBE(0, 6) % COUNT)
}
