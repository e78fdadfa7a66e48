/** Credentials: who may log in, and how without telling names from passwords. */

import { createHmac, randomBytes } from 'node:crypto'
import { makeVerifier, type ScramVerifier } from './scram.js'

/** The first role: a superuser. */
export const SUPERUSER = 'lakegate'

/** The roles that may log in. */
export class Credentials {
  readonly #verifier: ScramVerifier | null
  readonly #mockSecret = randomBytes(32)

  private constructor(verifier: ScramVerifier | null) {
    this.#verifier = verifier
  }

  /** `password` null: whoever connects over loopback is trusted. */
  static async of(password: string | null): Promise<Credentials> {
    return new Credentials(password === null ? null : await makeVerifier(password))
  }

  get trusting(): boolean {
    return this.#verifier === null
  }

  /** The verifier of `user`; an unknown one gets a mock whose salt stays the same from try to try. */
  async verifierOf(
    user: string,
  ): Promise<{ readonly verifier: ScramVerifier; readonly known: boolean }> {
    const salt = createHmac('sha256', this.#mockSecret).update(user).digest().subarray(0, 16)
    // Made for every user, so that the time it takes tells nothing.
    const mock = await makeVerifier(randomBytes(16).toString('hex'), salt)
    return user === SUPERUSER && this.#verifier !== null
      ? { verifier: this.#verifier, known: true }
      : { verifier: mock, known: false }
  }
}
