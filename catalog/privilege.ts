/** Privilege: what may be granted on each kind of object, in PostgreSQL's words and letters. */

/** In the order in which PostgreSQL prints them; the letters are those of aclitem. */
const LETTERS = {
  INSERT: 'a',
  SELECT: 'r',
  UPDATE: 'w',
  DELETE: 'd',
  TRUNCATE: 'D',
  REFERENCES: 'x',
  TRIGGER: 't',
  EXECUTE: 'X',
  USAGE: 'U',
  CREATE: 'C',
  TEMPORARY: 'T',
  CONNECT: 'c',
  MAINTAIN: 'm',
} as const

export type Privilege = keyof typeof LETTERS

/** A set of privileges, one bit each. */
export type PrivilegeSet = number

const ALL = Object.keys(LETTERS) as Privilege[]

const BITS: ReadonlyMap<string, PrivilegeSet> = new Map(ALL.map((name, i) => [name, 2 ** i]))

export const NO_PRIVILEGES: PrivilegeSet = 0

/** The set of the privileges named. */
export function privileges(...names: readonly Privilege[]): PrivilegeSet {
  return names.reduce((set, name) => set | (BITS.get(name) ?? 0), 0)
}

/** The privilege of that name in any letters, TEMP among them; undefined when there is none. */
export function privilegeNamed(name: string): Privilege | undefined {
  const upper = name.toUpperCase()
  const found = upper === 'TEMP' ? 'TEMPORARY' : upper
  return BITS.has(found) ? (found as Privilege) : undefined
}

/** Names of a set, in PostgreSQL's order. */
export function privilegeNames(set: PrivilegeSet): Privilege[] {
  return ALL.filter((name) => (set & (BITS.get(name) ?? 0)) !== 0)
}

/** The letters of a set as aclitem has them, those that may be granted on with a star: `ar*w`. */
export function privilegeLetters(set: PrivilegeSet, grantable: PrivilegeSet): string {
  return privilegeNames(set)
    .map((name) => `${LETTERS[name]}${(grantable & (BITS.get(name) ?? 0)) !== 0 ? '*' : ''}`)
    .join('')
}

/** What privileges are granted on. */
export type ObjectKind =
  | 'table'
  | 'column'
  | 'layer'
  | 'database'
  | 'function'
  | 'sequence'
  | 'type'

/** Every privilege that objects of a kind have. */
export const PRIVILEGES_OF: Readonly<Record<ObjectKind, PrivilegeSet>> = {
  table: privileges(
    'INSERT',
    'SELECT',
    'UPDATE',
    'DELETE',
    'TRUNCATE',
    'REFERENCES',
    'TRIGGER',
    'MAINTAIN',
  ),
  column: privileges('INSERT', 'SELECT', 'UPDATE', 'REFERENCES'),
  layer: privileges('USAGE', 'CREATE'),
  database: privileges('CREATE', 'TEMPORARY', 'CONNECT'),
  function: privileges('EXECUTE'),
  sequence: privileges('SELECT', 'UPDATE', 'USAGE'),
  type: privileges('USAGE'),
}

/** What PUBLIC has on objects of a kind from the start. */
export const PUBLIC_DEFAULTS: Readonly<Record<ObjectKind, PrivilegeSet>> = {
  table: 0,
  column: 0,
  layer: 0,
  database: privileges('TEMPORARY', 'CONNECT'),
  function: privileges('EXECUTE'),
  sequence: 0,
  type: privileges('USAGE'),
}
