/** ArrowStream: Arrow's IPC formats, taken apart as their bytes arrive. */

import { isDeepStrictEqual } from 'node:util'
import { type ArrowArray, ArrowArrayReader, joined } from './arrow-array.js'
import type { ArrowBatch } from './arrow-batch.js'
import { type ArrowField, type ArrowLayout, readArrowSchema } from './arrow-schema.js'
import { SqlError, SqlState } from './errors.js'
import { type Block, FlatTable } from './flat-table.js'

/** What a stream brings: the fields first, then batches. */
export type ArrowEvent =
  | { readonly kind: 'schema'; readonly fields: readonly ArrowField[] }
  | { readonly kind: 'batch'; readonly batch: ArrowBatch }

const MAGIC = Buffer.from('ARROW1')

/** Bytes of a message's metadata. */
const METADATA_MAX = 64 * 1024 * 1024

/** Bytes of a record batch, and of a file. */
const BODY_MAX = 1024 * 1024 * 1024

const CONTINUATION = 0xffff_ffff

/** Numbers of the union `MessageHeader` in Arrow's Message.fbs. */
const SCHEMA = 1
const DICTIONARY_BATCH = 2
const RECORD_BATCH = 3

/** MetadataVersion V4; what came before lies otherwise. */
const OLDEST_VERSION = 3

/** What is waited for. */
type Step =
  | { readonly kind: 'begin' }
  | { readonly kind: 'prefix' }
  | { readonly kind: 'metadata'; readonly length: number }
  | { readonly kind: 'body'; readonly message: FlatTable; readonly length: number }
  | { readonly kind: 'after' }
  | { readonly kind: 'file' }

/**
 * One stream, or one file, whose footer says where its messages are.
 *
 * Bytes go in by `push`, whose events are to be taken before the next; `end` tells that there are no
 * more, and has events too. 22P04 for what is no Arrow, or ends too early; 0A000 for what is not supported; 54000 for a
 * batch of more than 1 GB.
 *
 * Arrow columnar format, "Serialization and Interprocess Communication (IPC)".
 */
export class ArrowStream {
  #parts: Uint8Array[] = []
  #size = 0
  #step: Step = { kind: 'begin' }
  #fields: readonly ArrowField[] | undefined
  readonly #dictionaryFields = new Map<bigint, ArrowField>()
  readonly #dictionaries = new Map<bigint, ArrowArray>()

  /** Takes the next step if its bytes are there; `#step` stays what it was if they are not. */
  #advance(): ArrowEvent | undefined {
    const step = this.#step
    switch (step.kind) {
      case 'begin': {
        if (this.#size < 8) return
        this.#step = { kind: MAGIC.equals(this.#peek(6)) ? 'file' : 'prefix' }
        return
      }
      case 'prefix': {
        if (this.#size < 4) return
        // Before Arrow 0.15 the length stood alone.
        const isNew = this.#peek(4).readUInt32LE() === CONTINUATION
        if (isNew && this.#size < 8) return
        const length = Buffer.from(this.#take(isNew ? 8 : 4)).readInt32LE(isNew ? 4 : 0)
        if (length < 0 || length > METADATA_MAX) throw new RangeError('a message has no length')
        this.#step = length === 0 ? { kind: 'after' } : { kind: 'metadata', length }
        return
      }
      case 'metadata': {
        if (this.#size < step.length) return
        const message = FlatTable.root(this.#take(step.length))
        const length = message.size(3)
        if (length > BODY_MAX) {
          throw new SqlError(SqlState.programLimitExceeded, 'a record batch has more than 1 GB')
        }
        this.#step = { kind: 'body', message, length }
        return
      }
      case 'body': {
        if (this.#size < step.length) return
        const body = this.#take(step.length)
        this.#step = { kind: 'prefix' }
        return this.#message(step.message, body)
      }
      case 'after': {
        if (this.#size > 0) throw new RangeError('there are bytes behind the end')
        return
      }
      case 'file': {
        if (this.#size > BODY_MAX) {
          throw new SqlError(SqlState.programLimitExceeded, 'an Arrow file has more than 1 GB', {
            hint: 'Send it as a stream, whose batches are taken one by one.',
          })
        }
        return
      }
    }
  }

  /** Takes the next bytes. */
  *push(bytes: Uint8Array): Generator<ArrowEvent> {
    this.#parts.push(bytes)
    this.#size += bytes.length
    for (;;) {
      const before = this.#step
      const event = checked(() => this.#advance())
      if (event !== undefined) yield event
      if (this.#step === before) return
    }
  }

  /** Tells that there are no more bytes; what is in a file is known only then. */
  *end(): Generator<ArrowEvent> {
    if (this.#step.kind === 'file') {
      const file = this.#take(this.#size)
      const footer = checked(() => readFooter(file))
      yield checked(() => this.#schema(footer.table(1)))
      for (const block of footer.blocks(2)) checked(() => this.#block(file, block))
      for (const block of footer.blocks(3)) {
        const event = checked(() => this.#block(file, block))
        if (event !== undefined) yield event
      }
      return
    }
    checked(() => {
      if (this.#step.kind !== 'after' && (this.#step.kind !== 'prefix' || this.#size > 0)) {
        throw new RangeError('the data end too early')
      }
      if (this.#fields === undefined) throw new RangeError('there is no schema')
    })
  }

  #message(message: FlatTable, body: Uint8Array): ArrowEvent | undefined {
    if (message.int16(0) < OLDEST_VERSION) {
      throw new SqlError(
        SqlState.featureNotSupported,
        'Arrow data before version 0.8 are not supported',
      )
    }
    const header = message.table(2)
    if (header === undefined) throw new RangeError('a message has no header')
    const kind = message.uint8(1)
    if (kind === SCHEMA) return this.#schema(header)
    if (this.#fields === undefined) throw new RangeError('there is no schema')
    switch (kind) {
      case DICTIONARY_BATCH:
        this.#dictionary(header, body)
        return
      case RECORD_BATCH: {
        const reader = this.#reader(header, body)
        const arrays = this.#fields.map((field) => reader.read(field))
        const { rowCount } = reader
        if (arrays.some(({ length }) => length !== rowCount)) {
          throw new RangeError('columns have different numbers of rows')
        }
        return { kind: 'batch', batch: { rowCount, arrays } }
      }
      default:
        throw new RangeError('a message is of no kind that is known')
    }
  }

  #schema(schema: FlatTable | undefined): ArrowEvent {
    if (schema === undefined) throw new RangeError('there is no schema')
    if (this.#fields !== undefined) throw new RangeError('there are two schemas')
    this.#fields = readArrowSchema(schema)
    for (const field of this.#fields) this.#noteDictionaries(field)
    return { kind: 'schema', fields: this.#fields }
  }

  #block(file: Uint8Array, { offset, metadataLength, bodyLength }: Block): ArrowEvent | undefined {
    const end = offset + metadataLength + bodyLength
    if (metadataLength < 8 || end > file.length) throw new RangeError('a block leaves the file')
    const metadata = file.subarray(offset, offset + metadataLength)
    const isNew = viewOf(metadata).getUint32(0, true) === CONTINUATION
    const message = FlatTable.root(metadata.subarray(isNew ? 8 : 4))
    if (message.size(3) !== bodyLength) throw new RangeError('a block has another length')
    return this.#message(message, file.subarray(offset + metadataLength, end))
  }

  #noteDictionaries(field: ArrowField): void {
    if (field.dictionary !== undefined) {
      const { id } = field.dictionary
      const other = this.#dictionaryFields.get(id) ?? field
      if (!isDeepStrictEqual(valuesOf(other), valuesOf(field))) {
        throw new RangeError('one dictionary has two types')
      }
      this.#dictionaryFields.set(id, field)
    }
    for (const child of childrenOf(field.layout)) this.#noteDictionaries(child)
  }

  #dictionary(header: FlatTable, body: Uint8Array): void {
    const id = header.int64(0)
    const data = header.table(1)
    const field = this.#dictionaryFields.get(id)
    if (field === undefined || data === undefined) throw new RangeError('a dictionary is nobody’s')
    const read = this.#reader(data, body).read({ name: field.name, ...valuesOf(field) })
    const known = header.uint8(2) === 0 ? undefined : this.#dictionaries.get(id)
    const whole = known === undefined ? read : joined(known, read)
    if (whole === undefined) {
      throw new SqlError(
        SqlState.featureNotSupported,
        'dictionaries of this type that grow are not supported in Arrow data',
      )
    }
    this.#dictionaries.set(id, whole)
  }

  #reader(batch: FlatTable, body: Uint8Array): ArrowArrayReader {
    if (batch.table(3) !== undefined) {
      throw new SqlError(SqlState.featureNotSupported, 'compressed Arrow data are not supported', {
        hint: 'Write it without compression.',
      })
    }
    return new ArrowArrayReader(batch, body, this.#dictionaries)
  }

  #peek(length: number): Buffer {
    this.#gather(length)
    return Buffer.from((this.#parts[0] as Uint8Array).subarray(0, length))
  }

  /** The next `length` bytes, which are there, at a place of their own. */
  #take(length: number): Uint8Array {
    const taken = new Uint8Array(length)
    let at = 0
    while (at < length) {
      const [part] = this.#parts
      if (part === undefined) throw new RangeError('the data end too early')
      const count = Math.min(part.length, length - at)
      taken.set(part.subarray(0, count), at)
      at += count
      if (count === part.length) this.#parts.shift()
      else this.#parts[0] = part.subarray(count)
    }
    this.#size -= length
    return taken
  }

  #gather(length: number): void {
    while ((this.#parts[0] as Uint8Array).length < length) {
      const [first, second, ...rest] = this.#parts
      this.#parts = [Buffer.concat([first as Uint8Array, second as Uint8Array]), ...rest]
    }
  }
}

function readFooter(file: Uint8Array): FlatTable {
  const end = file.length - 10
  if (end < 8 || !MAGIC.equals(file.subarray(-6))) throw new RangeError('the file has no end')
  const length = viewOf(file).getInt32(end, true)
  if (length < 0 || length > end - 8) throw new RangeError('the footer leaves the file')
  return FlatTable.root(file.subarray(end - length, end))
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** What says how the values of a dictionary lie. */
function valuesOf({
  type,
  layout,
  conversion,
}: ArrowField): Omit<ArrowField, 'name' | 'dictionary'> {
  return { type, layout, conversion }
}

function childrenOf(layout: ArrowLayout): readonly ArrowField[] {
  if (layout.kind === 'struct') return layout.children
  return 'child' in layout ? [layout.child] : []
}

/** What `work` answers; 22P04 when the bytes are not what they should be. */
function checked<T>(work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown
    throw new SqlError(SqlState.badCopyFileFormat, 'COPY data is not valid Arrow data', {
      detail: `${thrown.message}.`,
      cause: thrown,
    })
  }
}
