/** Bytes: copying of short runs, hexadecimal text, uuids. */

const HEX: usize = memory.data<u8>([
  0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66,
])

/** Bytes behind the source and the target of `copyBytes` that it may read and write. */
export const SLACK = 16

/** Copies `size` bytes, and up to SLACK more, since a call of the native copy costs more than they do. */
// @ts-ignore: decorator
@inline
export function copyBytes(to: usize, from: usize, size: u32): void {
  if (size > 128) {
    memory.copy(to, from, size)
    return
  }
  let done: u32 = 0
  do {
    store<u64>(to + done, load<u64>(from + done))
    store<u64>(to + done, load<u64>(from + done, 8), 8)
    done += 16
  } while (done < size)
}

/** Writes bytes as two hexadecimal digits each; answers where they end. */
export function writeHex(from: usize, size: u32, at: usize): usize {
  let to = at
  for (let i: u32 = 0; i < size; i++) {
    const byte = <u32>load<u8>(from + i)
    store<u8>(to, load<u8>(HEX + (byte >> 4)))
    store<u8>(to, load<u8>(HEX + (byte & 15)), 1)
    to += 2
  }
  return to
}

/** Writes a uuid in its binary form, from DuckDB's number whose highest bit is turned. */
// @ts-ignore: decorator
@inline
export function writeUuidBinary(value: usize, at: usize): usize {
  store<u64>(at, bswap<u64>(load<u64>(value, 8) ^ 0x8000000000000000))
  store<u64>(at, bswap<u64>(load<u64>(value)), 8)
  return at + 16
}

const uuid: usize = memory.data(16)

/** Writes a uuid's text. */
export function writeUuidText(value: usize, at: usize): usize {
  writeUuidBinary(value, uuid)
  let to = writeHex(uuid, 4, at)
  for (let from: usize = 4; from < 10; from += 2) {
    store<u8>(to, 0x2d)
    to = writeHex(uuid + from, 2, to + 1)
  }
  store<u8>(to, 0x2d)
  return writeHex(uuid + 10, 6, to + 1)
}
