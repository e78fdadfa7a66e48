/** Deletion vectors: which rows of a data file are deleted, read and written as RoaringBitmapArray. */

import * as zlib from 'node:zlib'
import type { DeletionVectorDescriptor } from './actions.js'
import { SqlError, SqlState } from './errors.js'
import { isOutside, resolvePath } from './file-path.js'
import type { ObjectStore } from './object-store.js'

const Z85 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
const PORTABLE_MAGIC = 1681511377
const RUN_COOKIE = 12347
const PLAIN_COOKIE = 12346

/** The deleted rows of one file, ascending 0-based positions. */
export type DeletedRows = readonly number[]

/** Key that tells two deletion vectors of one file apart, null for none; Delta protocol, "Deletion Vectors". */
export function deletionVectorId(
  descriptor: DeletionVectorDescriptor | null | undefined,
): string | null {
  if (descriptor === null || descriptor === undefined) return null
  const offset = descriptor.offset ?? null
  return descriptor.storageType + descriptor.pathOrInlineDv + (offset === null ? '' : `@${offset}`)
}

/**
 * Reads the vector `descriptor` points at, for a table in folder `tablePath` of `store`.
 *
 * Size, checksum and cardinality are verified; XX001 naming the file on any mismatch.
 */
export async function readDeletionVector(
  store: ObjectStore,
  tablePath: string,
  descriptor: DeletionVectorDescriptor,
): Promise<DeletedRows> {
  const rows = decodeBitmapArray(
    await readBitmap(store, tablePath, descriptor),
    descriptor.pathOrInlineDv,
  )
  if (rows.length !== descriptor.cardinality) {
    throw corruptVector(
      descriptor.pathOrInlineDv,
      `it holds ${rows.length} rows instead of ${descriptor.cardinality}`,
    )
  }
  return rows
}

async function readBitmap(
  store: ObjectStore,
  tablePath: string,
  descriptor: DeletionVectorDescriptor,
): Promise<Uint8Array> {
  if (descriptor.storageType === 'i') {
    return decodeZ85(descriptor.pathOrInlineDv).subarray(0, descriptor.sizeInBytes)
  }
  const path = deletionVectorPath(store, tablePath, descriptor)
  const offset = descriptor.offset ?? 1
  const bytes = await store.readRange(path, offset, descriptor.sizeInBytes + 8)
  if (bytes === null) throw corruptVector(path, 'the file does not exist')
  if (bytes.length < descriptor.sizeInBytes + 8) throw corruptVector(path, 'the file is too short')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getInt32(0) !== descriptor.sizeInBytes) throw corruptVector(path, 'its size differs')
  const bitmap = bytes.subarray(4, 4 + descriptor.sizeInBytes)
  if (view.getUint32(4 + descriptor.sizeInBytes) !== checksum(bitmap)) {
    throw corruptVector(path, 'its checksum differs')
  }
  return bitmap
}

/** The file a vector of storage type `u` or `p` stands in, relative to the lake's root. */
export function deletionVectorPath(
  store: ObjectStore,
  tablePath: string,
  descriptor: DeletionVectorDescriptor,
): string {
  const text = descriptor.pathOrInlineDv
  if (descriptor.storageType === 'u') {
    if (text.length < 20) throw corruptVector(text, 'its path is malformed')
    const prefix = text.slice(0, -20)
    const hex = Buffer.from(decodeZ85(text.slice(-20))).toString('hex')
    const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    const folder = prefix === '' ? tablePath : `${tablePath}/${prefix}`
    return `${folder}/deletion_vector_${uuid}.bin`
  }
  if (descriptor.storageType === 'p') {
    const path = resolvePath(store, tablePath, text)
    if (isOutside(path)) {
      throw new SqlError(
        SqlState.insufficientPrivilege,
        `the deletion vector "${path}" lies outside of the lake`,
      )
    }
    return path
  }
  throw corruptVector(text, `its storage type "${descriptor.storageType}" is unknown`)
}

/** The rows of a serialised RoaringBitmapArray (portable format), ascending. */
export function decodeBitmapArray(bytes: Uint8Array, name: string): DeletedRows {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    if (view.getInt32(0, true) !== PORTABLE_MAGIC) throw corruptVector(name, 'its magic is unknown')
    const buckets = Number(view.getBigInt64(4, true))
    const rows: number[] = []
    let offset = 12
    for (let bucket = 0; bucket < buckets; bucket++) {
      const high = view.getUint32(offset, true) * 0x1_0000_0000
      offset = decodeBitmap(view, offset + 4, high, rows)
    }
    return rows
  } catch (thrown) {
    if (thrown instanceof RangeError) throw corruptVector(name, 'it ends too early')
    throw thrown
  }
}

function decodeBitmap(view: DataView, start: number, high: number, rows: number[]): number {
  let offset = start
  const cookie = view.getUint32(offset, true)
  offset += 4
  let count: number
  let runFlags = -1
  if ((cookie & 0xffff) === RUN_COOKIE) {
    count = (cookie >>> 16) + 1
    runFlags = offset
    offset += (count + 7) >> 3
  } else if (cookie === PLAIN_COOKIE) {
    count = view.getUint32(offset, true)
    offset += 4
  } else {
    throw new RangeError('unknown roaring cookie')
  }
  const headers = offset
  offset += count * 4
  if (runFlags < 0 || count >= 4) offset += count * 4
  for (let i = 0; i < count; i++) {
    const base = high + view.getUint16(headers + i * 4, true) * 0x1_0000
    const cardinality = view.getUint16(headers + i * 4 + 2, true) + 1
    const isRun = runFlags >= 0 && ((view.getUint8(runFlags + (i >> 3)) >> (i & 7)) & 1) === 1
    if (isRun) {
      const runs = view.getUint16(offset, true)
      offset += 2
      for (let run = 0; run < runs; run++, offset += 4) {
        const first = view.getUint16(offset, true)
        const length = view.getUint16(offset + 2, true)
        for (let value = first; value <= first + length; value++) rows.push(base + value)
      }
    } else if (cardinality > 4096) {
      for (let word = 0; word < 1024; word++, offset += 8) {
        for (let half = 0; half < 2; half++) {
          let bits = view.getUint32(offset + half * 4, true)
          while (bits !== 0) {
            const low = bits & -bits
            rows.push(base + word * 64 + half * 32 + (31 - Math.clz32(low)))
            bits ^= low
          }
        }
      }
    } else {
      for (let value = 0; value < cardinality; value++, offset += 2) {
        rows.push(base + view.getUint16(offset, true))
      }
    }
  }
  return offset
}

/** `rows` (ascending, below 2^32) as a serialised RoaringBitmapArray of array and bitset containers. */
export function encodeBitmapArray(rows: DeletedRows): Uint8Array {
  const containers = new Map<number, number[]>()
  for (const row of rows) {
    const key = Math.floor(row / 0x1_0000)
    const values = containers.get(key)
    if (values === undefined) containers.set(key, [row & 0xffff])
    else values.push(row & 0xffff)
  }
  const keys = [...containers.keys()].sort((a, b) => a - b)
  const sizeOf = (values: readonly number[]): number =>
    values.length > 4096 ? 8192 : values.length * 2
  const dataSize = keys.reduce((sum, key) => sum + sizeOf(containers.get(key) ?? []), 0)
  const bytes = new Uint8Array(12 + 4 + 8 + keys.length * 8 + dataSize)
  const view = new DataView(bytes.buffer)
  view.setInt32(0, PORTABLE_MAGIC, true)
  view.setBigInt64(4, 1n, true)
  view.setUint32(12, 0, true)
  view.setUint32(16, PLAIN_COOKIE, true)
  view.setUint32(20, keys.length, true)
  let offset = 24 + keys.length * 8
  for (const [i, key] of keys.entries()) {
    const values = containers.get(key) ?? []
    view.setUint16(24 + i * 4, key, true)
    view.setUint16(26 + i * 4, values.length - 1, true)
    view.setUint32(24 + keys.length * 4 + i * 4, offset - 16, true)
    if (values.length > 4096) {
      for (const value of values) {
        const at = offset + (value >> 3)
        view.setUint8(at, view.getUint8(at) | (1 << (value & 7)))
      }
    } else {
      for (const [j, value] of values.entries()) view.setUint16(offset + j * 2, value, true)
    }
    offset += sizeOf(values)
  }
  return bytes
}

/** A deletion vector file holding one bitmap: version byte, size, bitmap, checksum. */
export function printDeletionVectorFile(bitmap: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + 4 + bitmap.length + 4)
  const view = new DataView(bytes.buffer)
  bytes[0] = 1
  view.setInt32(1, bitmap.length)
  bytes.set(bitmap, 5)
  view.setUint32(5 + bitmap.length, checksum(bitmap))
  return bytes
}

/** Bytes whose length is a multiple of four, as Z85 text. */
export function encodeZ85(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 4) {
    let value =
      (bytes[i] ?? 0) * 0x1000000 +
      ((bytes[i + 1] ?? 0) << 16) +
      ((bytes[i + 2] ?? 0) << 8) +
      (bytes[i + 3] ?? 0)
    let group = ''
    for (let j = 0; j < 5; j++) {
      group = Z85.charAt(value % 85) + group
      value = Math.floor(value / 85)
    }
    text += group
  }
  return text
}

/** The bytes of a Z85 text; XX001 when it is none. */
export function decodeZ85(text: string): Uint8Array {
  if (text.length % 5 !== 0) throw corruptVector(text, 'its Z85 text is malformed')
  const bytes = new Uint8Array((text.length / 5) * 4)
  for (let i = 0; i < text.length; i += 5) {
    let value = 0
    for (let j = 0; j < 5; j++) {
      const digit = Z85.indexOf(text.charAt(i + j))
      if (digit < 0) throw corruptVector(text, 'its Z85 text is malformed')
      value = value * 85 + digit
    }
    new DataView(bytes.buffer).setUint32((i / 5) * 4, value % 0x1_0000_0000)
  }
  return bytes
}

// CRC-32 (IEEE), by hand where this Node's zlib has none.
function checksum(bytes: Uint8Array): number {
  const native = (zlib as { readonly crc32?: (bytes: Uint8Array) => number }).crc32
  if (native !== undefined) return native(bytes)
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}

function corruptVector(name: string, what: string): SqlError {
  return new SqlError(SqlState.dataCorrupted, `the deletion vector "${name}" is corrupt: ${what}`)
}
