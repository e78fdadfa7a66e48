/** CopySpool: the bytes of a COPY FROM whose files the engine reads by itself. */

import type { CopyIn } from '../planner/result.js'

/** Bytes that are collected before they are written. */
const COLLECT_BYTES = 1024 * 1024

/** Hands bytes on in large pieces, file by file; see CopyDecoder for its calls. */
export class CopySpool {
  readonly rejectedCount = 0
  readonly #copy: CopyIn
  #parts: Uint8Array[] = []
  #size = 0
  #file = 0

  constructor(copy: CopyIn) {
    this.#copy = copy
  }

  push(bytes: Uint8Array): Promise<void> | undefined {
    this.#parts.push(bytes)
    this.#size += bytes.length
    return this.#size < COLLECT_BYTES ? undefined : this.#write()
  }

  async end(): Promise<void> {
    await this.#write()
    this.#file++
  }

  #write(): Promise<void> {
    const bytes = Buffer.concat(this.#parts, this.#size)
    this.#parts = []
    this.#size = 0
    return this.#copy.spool(this.#file, bytes)
  }
}
