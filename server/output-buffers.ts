/** OutputBuffers: memory for large pieces of output, used again once the socket has taken them. */

/** Bytes of a buffer; what is larger, or much smaller, gets memory of its own. */
export const OUTPUT_BUFFER_BYTES: number = 512 * 1024
const WORTHWHILE_BYTES = 32 * 1024
const KEPT_MAX = 16

/**
 * Without them every chunk of rows would leave some hundred kilobytes for the garbage collector,
 * which then goes through the whole heap a dozen times a second.
 */
const kept: ArrayBuffer[] = []
const lent = new WeakSet<ArrayBufferLike>()

/** Memory of that size with arbitrary content. */
export function outputBuffer(sizeBytes: number): Buffer {
  if (sizeBytes < WORTHWHILE_BYTES || sizeBytes > OUTPUT_BUFFER_BYTES) {
    return Buffer.allocUnsafe(sizeBytes)
  }
  const memory = kept.pop() ?? new ArrayBuffer(OUTPUT_BUFFER_BYTES)
  lent.add(memory)
  return Buffer.from(memory, 0, sizeBytes)
}

/** Takes memory back that nobody reads any more; whatever did not come from here is left alone. */
export function releaseOutput({ buffer }: Uint8Array): void {
  // Once only, or two would be given the same memory.
  if (lent.delete(buffer) && kept.length < KEPT_MAX) kept.push(buffer as ArrayBuffer)
}
