/** Credentials: who may log in, and how without telling names from passwords. */

import { createHmac, randomBytes } from 'node:crypto'
import type { Access } from '../catalog/access.js'
import type { Catalog } from '../catalog/catalog.js'
import { privileges } from '../catalog/privilege.js'
import { BOOTSTRAP_NAME, type Role } from '../catalog/role.js'
import { makeVerifier, parseVerifier, type ScramVerifier } from '../catalog/scram-verifier.js'

/** How a client shows who it is. */
export type LoginMethod =
  /** It need not; `role` is who it is then. */
  | { readonly kind: 'trust'; readonly role: string }
  /** By SCRAM; `known` false is an exchange that fails at its end. */
  | { readonly kind: 'scram'; readonly verifier: ScramVerifier; readonly known: boolean }
  /** Not from another machine while nobody has a password. */
  | { readonly kind: 'refuse' }

/**
 * The roles that may log in: those of the lake's catalog, and the first superuser by the gateway's own
 * password.
 *
 * Without that password a role that has none is trusted over loopback, the first superuser among
 * them; before the lake has roles of its own so is every name, as that superuser.
 */
export class Credentials {
  readonly #verifier: ScramVerifier | null
  readonly #catalog: Catalog
  readonly #mockSecret = randomBytes(32)

  private constructor(verifier: ScramVerifier | null, catalog: Catalog) {
    this.#verifier = verifier
    this.#catalog = catalog
  }

  /** `password` null: see above. */
  static async of(password: string | null, catalog: Catalog): Promise<Credentials> {
    return new Credentials(password === null ? null : await makeVerifier(password), catalog)
  }

  /** How `user` is to show who it is; the newest state of the catalog counts. */
  async methodOf(user: string, isLoopback: boolean): Promise<LoginMethod> {
    const { roles } = await this.#catalog.access()
    const role = roles.named(user)
    const own = this.#verifierOf(role)
    if (this.#verifier === null && own === null) {
      const isOpen = !roles.all().some((one) => one.verifier !== null)
      if (isOpen && !isLoopback) return { kind: 'refuse' }
      if (isLoopback && role?.verifier === null) return { kind: 'trust', role: role.name }
      const bootstrap = roles.named(BOOTSTRAP_NAME)
      if (isLoopback && role === undefined && !roles.hasOwn && bootstrap?.verifier === null) {
        return { kind: 'trust', role: BOOTSTRAP_NAME }
      }
    }
    const salt = createHmac('sha256', this.#mockSecret).update(user).digest().subarray(0, 16)
    // Made for every user, so that the time it takes tells nothing.
    const mock = await makeVerifier(randomBytes(16).toString('hex'), salt)
    const isExpired = isPast(role)
    return own === null || isExpired
      ? { kind: 'scram', verifier: mock, known: false }
      : { kind: 'scram', verifier: own, known: true }
  }

  #verifierOf(role: Role | undefined): ScramVerifier | null {
    if (role === undefined) return null
    if (role.name === BOOTSTRAP_NAME && this.#verifier !== null) return this.#verifier
    return role.verifier === null ? null : parseVerifier(role.verifier)
  }
}

function isPast(role: Role | undefined): boolean {
  const until = role?.validUntilMs ?? null
  return until !== null && until <= Date.now()
}

/** Whether the privilege to connect is among those that `role` has. */
export function mayConnect(access: Access, role: Role): boolean {
  return access.held({ kind: 'database' }, role.id, privileges('CONNECT')) !== 0
}
