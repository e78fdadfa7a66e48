/** S3Store: an ObjectStore over a prefix of an S3 bucket; owner of @aws-sdk/client-s3. */

import { randomUUID } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { Cancellation } from './cancellation.js'
import { SqlError, SqlState } from './errors.js'
import { FileCache, type RemoteFile } from './file-cache.js'
import type {
  Lease,
  ObjectEntry,
  ObjectRef,
  ObjectStore,
  PutIfAbsentResult,
  Staging,
} from './object-store.js'
import { isMissing, mayHaveTakenEffect, requestError, statusOf } from './s3-request.js'
import { S3Staging } from './s3-staging.js'

/** Where a lake lies and how its store is reached. */
export interface S3Location {
  readonly bucket: string
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  /** Whether the bucket is named in the path in place of the host. */
  readonly pathStyle?: boolean | undefined
}

/** Attempts of a request that may be made again: throttled, reset and failed ones are. */
const ATTEMPTS = 6

/** How often a conditional write is made again that another one got in the way of. */
const CONFLICT_ATTEMPTS = 20

const REQUEST_TIMEOUT_MS = 60_000
const CONNECTION_TIMEOUT_MS = 5_000

/**
 * Objects under `s3://bucket/prefix`; credentials are found as the AWS SDK finds them.
 *
 * Commits need conditional writes (`If-None-Match: *`); `requireConditionalWrites` asks for them.
 */
export class S3Store implements ObjectStore {
  readonly root: string
  readonly #location: S3Location
  readonly #cache: FileCache
  readonly #client: S3Client
  /** For requests that must not be made twice behind our back: a second one would meet the first. */
  readonly #once: S3Client

  constructor(location: S3Location, cache: FileCache) {
    this.#location = location
    this.#cache = cache
    this.root = `s3://${location.bucket}${location.prefix === '' ? '' : `/${location.prefix}`}`
    const options = {
      ...(location.endpoint === undefined ? {} : { endpoint: location.endpoint }),
      ...(location.region === undefined ? {} : { region: location.region }),
      forcePathStyle: location.pathStyle ?? location.endpoint !== undefined,
      requestHandler: {
        connectionTimeout: CONNECTION_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        httpAgent: { maxSockets: 64 },
        httpsAgent: { maxSockets: 64 },
      },
    }
    this.#client = new S3Client({ ...options, maxAttempts: ATTEMPTS })
    this.#once = new S3Client({ ...options, maxAttempts: 1 })
  }

  /**
   * Proves that the store refuses to overwrite when asked to; commits depend on it.
   *
   * 0A000 when it does not; 58030 when it cannot be reached or refuses to be written to.
   */
  async requireConditionalWrites(): Promise<void> {
    const bytes = Buffer.from('lakegate looks whether this store has conditional writes\n')
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const path = `_lakegate/probe-${randomUUID()}`
      const first = await this.putIfAbsent(path, bytes)
      const second = await this.putIfAbsent(path, bytes)
      await this.delete(path)
      if (first === 'created' && second === 'exists') return
      if (first === 'created' && second === 'created') {
        throw new SqlError(
          SqlState.featureNotSupported,
          `the store of "${this.root}" has no conditional writes (If-None-Match): two writers could overwrite each other's commits`,
        )
      }
      // What became of one of the requests is not known.
      await pause(attempt)
    }
    throw new SqlError(SqlState.ioError, `could not access "${this.#url('')}": it does not answer`)
  }

  /** Frees the connections to the store. */
  close(): void {
    this.#client.destroy()
    this.#once.destroy()
  }

  engineUrl(path: string): string {
    return this.#cache.locate(this.#nameOf(path, 'immutable'))
  }

  async lend(objects: readonly ObjectRef[], cancellation?: Cancellation): Promise<Lease> {
    const files = await Promise.all(objects.map((object) => this.#remoteFile(object)))
    return this.#cache.lend(
      files,
      (file, offset, length, signal) => this.#readPart(file, offset, length, signal),
      cancellation,
    )
  }

  async list(prefix: string, startAt?: string): Promise<readonly ObjectEntry[]> {
    const folder = trimSlash(prefix)
    const { objects } = await this.#list(folder === '' ? '' : `${folder}/`, startAt, false)
    return objects
  }

  async listFolders(prefix: string): Promise<readonly string[]> {
    const folder = trimSlash(prefix)
    const start = folder === '' ? '' : `${folder}/`
    const { folders } = await this.#list(start, undefined, true)
    return folders.map((path) => path.slice(start.length, -1)).filter((name) => name !== '')
  }

  async listFolder(prefix: string, startAt = ''): Promise<readonly ObjectEntry[]> {
    const folder = trimSlash(prefix)
    const start = folder === '' ? '' : `${folder}/`
    const { objects } = await this.#list(start, start + startAt, true)
    return objects
  }

  async read(path: string): Promise<Uint8Array | null> {
    return this.#orNull(path, async () => {
      const { bytes } = await this.#get({ ...this.#object(path) })
      return bytes
    })
  }

  async readRange(path: string, offset: number, length: number): Promise<Uint8Array | null> {
    if (length === 0) return (await this.stat(path)) === null ? null : new Uint8Array(0)
    return this.#orNull(path, async () => {
      try {
        const Range = `bytes=${offset}-${offset + length - 1}`
        return (await this.#get({ ...this.#object(path), Range })).bytes
      } catch (thrown) {
        if (statusOf(thrown) === 416) return new Uint8Array(0)
        throw thrown
      }
    })
  }

  async stat(path: string): Promise<ObjectEntry | null> {
    return this.#orNull(path, async () => {
      const found = await this.#client.send(new HeadObjectCommand(this.#object(path)))
      return {
        path,
        sizeBytes: found.ContentLength ?? 0,
        modifiedMs: found.LastModified?.getTime() ?? 0,
      }
    })
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#translated(path, () =>
      this.#client.send(new PutObjectCommand({ ...this.#object(path), Body: bytes })),
    )
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<PutIfAbsentResult> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#once.send(
          new PutObjectCommand({ ...this.#object(path), Body: bytes, IfNoneMatch: '*' }),
        )
        return 'created'
      } catch (thrown) {
        const status = statusOf(thrown)
        if (status === 412) return 'exists'
        // Another conditional write was under way; it may have failed, so it is asked again.
        if (status === 409 && attempt < CONFLICT_ATTEMPTS) {
          await pause(attempt)
          continue
        }
        if (mayHaveTakenEffect(thrown)) return 'unknown'
        throw requestError(this.#url(path), thrown)
      }
    }
  }

  async delete(path: string): Promise<void> {
    await this.#translated(path, () =>
      this.#client.send(new DeleteObjectCommand(this.#object(path))),
    )
  }

  /** Uploads that were begun and never ended. */
  async sweep(prefix: string, beforeMs: number, dryRun: boolean): Promise<readonly string[]> {
    const start = `${this.#key(trimSlash(prefix))}/`
    return this.#translated(prefix, async () => {
      const swept: string[] = []
      let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
      for (;;) {
        const page = await this.#client.send(
          new ListMultipartUploadsCommand({
            Bucket: this.#location.bucket,
            Prefix: start,
            ...marker,
          }),
        )
        for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
          if (Key === undefined || (Initiated?.getTime() ?? Infinity) >= beforeMs) continue
          swept.push(this.#pathOf(Key))
          if (dryRun) continue
          await this.#client.send(
            new AbortMultipartUploadCommand({ Bucket: this.#location.bucket, Key, UploadId }),
          )
        }
        if (page.IsTruncated !== true) return swept.sort()
        marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
      }
    })
  }

  async openStaging(): Promise<Staging> {
    return S3Staging.open(this.#cache, {
      put: (path, bytes) => this.#putNew(path, bytes),
      upload: (path, sizeBytes, partBytes, readPart) =>
        this.#upload(path, sizeBytes, partBytes, readPart),
      nameOf: (path) => this.#nameOf(path, 'immutable'),
    })
  }

  /** Creates an object of which nobody else makes the name; 58030 when it exists. */
  async #putNew(path: string, bytes: Uint8Array): Promise<void> {
    let isInFlight = false
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.putIfAbsent(path, bytes)
      if (outcome === 'created') return
      if (outcome === 'exists') {
        // An earlier request of ours may have taken effect after all.
        if (isInFlight && (await this.stat(path))?.sizeBytes === bytes.length) return
        throw alreadyThere(this.#url(path))
      }
      isInFlight = true
      if (attempt === ATTEMPTS) {
        throw new SqlError(SqlState.ioError, `could not write "${this.#url(path)}"`)
      }
      await pause(attempt)
    }
  }

  /** As #putNew, in parts that are read when their turn comes. */
  async #upload(
    path: string,
    sizeBytes: number,
    partBytes: number,
    readPart: (offset: number, length: number) => Promise<Uint8Array>,
  ): Promise<void> {
    const object = this.#object(path)
    const { UploadId } = await this.#translated(path, () =>
      this.#client.send(new CreateMultipartUploadCommand(object)),
    )
    try {
      const parts: { ETag: string | undefined; PartNumber: number }[] = []
      const offsets = Array.from({ length: Math.ceil(sizeBytes / partBytes) }, (_, i) => i)
      const work = async (): Promise<void> => {
        for (let i = offsets.shift(); i !== undefined; i = offsets.shift()) {
          const offset = i * partBytes
          const Body = await readPart(offset, Math.min(partBytes, sizeBytes - offset))
          const PartNumber = i + 1
          const { ETag } = await this.#translated(path, () =>
            this.#client.send(new UploadPartCommand({ ...object, UploadId, PartNumber, Body })),
          )
          parts.push({ ETag, PartNumber })
        }
      }
      await allOrThrow(Array.from({ length: UPLOADS }, work))
      parts.sort((a, b) => a.PartNumber - b.PartNumber)
      await this.#complete(path, sizeBytes, UploadId, parts)
    } catch (thrown) {
      const abort = new AbortMultipartUploadCommand({ ...object, UploadId })
      // What stays is swept by VACUUM.
      await this.#client.send(abort).catch(() => {})
      throw thrown
    }
  }

  async #complete(
    path: string,
    sizeBytes: number,
    UploadId: string | undefined,
    Parts: readonly { ETag: string | undefined; PartNumber: number }[],
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#once.send(
          new CompleteMultipartUploadCommand({
            ...this.#object(path),
            UploadId,
            MultipartUpload: { Parts: [...Parts] },
            IfNoneMatch: '*',
          }),
        )
        return
      } catch (thrown) {
        const found = attempt === 1 ? null : await this.stat(path)
        if (found?.sizeBytes === sizeBytes) return
        if (statusOf(thrown) === 412) throw alreadyThere(this.#url(path))
        const again = statusOf(thrown) === 409 || mayHaveTakenEffect(thrown)
        if (!again || attempt === ATTEMPTS) throw requestError(this.#url(path), thrown)
        await pause(attempt)
      }
    }
  }

  async #remoteFile({ path, sizeBytes }: ObjectRef): Promise<RemoteFile> {
    if (sizeBytes !== null) return { path, sizeBytes, name: this.#nameOf(path, 'immutable') }
    const found = await this.#orNull(path, () =>
      this.#client.send(new HeadObjectCommand(this.#object(path))),
    )
    if (found === null) throw missing(this.#url(path))
    const version = `${found.ETag} ${found.ContentLength} ${found.LastModified?.getTime()}`
    return { path, sizeBytes: found.ContentLength ?? 0, name: this.#nameOf(path, version) }
  }

  async #readPart(
    file: RemoteFile,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const url = this.#url(file.path)
    try {
      const Range = `bytes=${offset}-${offset + length - 1}`
      const { answer, bytes } = await this.#get({ ...this.#object(file.path), Range }, signal)
      const total = Number(/\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1] ?? answer.ContentLength)
      if (total !== file.sizeBytes) throw changed(url, file.sizeBytes, total)
      if (bytes.length !== length) throw changed(url, length, bytes.length)
      return bytes
    } catch (thrown) {
      if (isMissing(thrown)) throw missing(url)
      if (statusOf(thrown) === 416) throw changed(url, file.sizeBytes, 0)
      throw requestError(url, thrown)
    }
  }

  /** An object's bytes; the SDK makes requests again, but not those whose body breaks off. */
  async #get(
    input: GetObjectCommandInput,
    signal?: AbortSignal,
  ): Promise<{ readonly answer: GetObjectCommandOutput; readonly bytes: Uint8Array }> {
    for (let attempt = 1; ; attempt++) {
      const options = signal === undefined ? {} : { abortSignal: signal }
      const answer = await this.#client.send(new GetObjectCommand(input), options)
      try {
        return { answer, bytes: await bytesOf(answer) }
      } catch (thrown) {
        if (attempt === ATTEMPTS || signal?.aborted === true) throw thrown
      }
      await pause(attempt)
    }
  }

  /** Every object whose key begins with `start`, with `shallow` those of no deeper folder, in order of path. */
  async #list(
    start: string,
    startAt: string | undefined,
    shallow: boolean,
  ): Promise<{ readonly objects: ObjectEntry[]; readonly folders: string[] }> {
    return this.#translated(start, async () => {
      const objects: ObjectEntry[] = []
      const folders: string[] = []
      let token: string | undefined
      do {
        const page = await this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#location.bucket,
            Prefix: this.#key(start),
            EncodingType: 'url',
            ...(shallow ? { Delimiter: '/' } : {}),
            // StartAfter leaves out the key itself; what lies between is left out below.
            ...(startAt === undefined || startAt <= start
              ? {}
              : { StartAfter: this.#key(startAt.slice(0, -1)) }),
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        )
        // Asked for, since XML has no room for some characters; some stores do without.
        const decode = page.EncodingType === 'url' ? decodeKey : (key: string): string => key
        for (const { Key, Size, LastModified } of page.Contents ?? []) {
          const path = this.#pathOf(decode(Key ?? ''))
          // Some tools mark folders by empty objects.
          if (path.endsWith('/') || path === '') continue
          if (startAt !== undefined && path < startAt) continue
          objects.push({ path, sizeBytes: Size ?? 0, modifiedMs: LastModified?.getTime() ?? 0 })
        }
        for (const { Prefix } of page.CommonPrefixes ?? []) {
          folders.push(this.#pathOf(decode(Prefix ?? '')))
        }
        token = page.IsTruncated === true ? page.NextContinuationToken : undefined
      } while (token !== undefined)
      return { objects, folders }
    })
  }

  #object(path: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#location.bucket, Key: this.#key(path) }
  }

  #key(path: string): string {
    if (path.startsWith('/') || path.split('/').includes('..')) {
      throw new SqlError(
        SqlState.insufficientPrivilege,
        `path "${path}" leads outside of the lake "${this.root}"`,
      )
    }
    return this.#location.prefix === '' ? path : `${this.#location.prefix}/${path}`
  }

  #pathOf(key: string): string {
    return this.#location.prefix === '' ? key : key.slice(this.#location.prefix.length + 1)
  }

  #url(path: string): string {
    return `${this.root}/${path}`
  }

  #nameOf(path: string, version: string): string {
    return FileCache.nameOf(`${this.#location.endpoint ?? ''} ${this.#url(path)} ${version}`)
  }

  async #orNull<T>(path: string, call: () => Promise<T>): Promise<T | null> {
    try {
      return await call()
    } catch (thrown) {
      if (isMissing(thrown)) return null
      throw requestError(this.#url(path), thrown)
    }
  }

  async #translated<T>(path: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (thrown) {
      throw requestError(this.#url(path), thrown)
    }
  }
}

/** Parts of one upload under way at once. */
const UPLOADS = 4

/** Waits for all, so that nothing runs on, before it throws the first failure. */
async function allOrThrow(work: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) {
    if (outcome.status === 'rejected') throw outcome.reason
  }
}

async function bytesOf(answer: {
  readonly Body?: { transformToByteArray(): Promise<Uint8Array> } | undefined
  readonly ContentLength?: number | undefined
}): Promise<Uint8Array> {
  const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array(0)
  if (answer.ContentLength !== undefined && bytes.length !== answer.ContentLength) {
    throw Object.assign(new Error(`${bytes.length} of ${answer.ContentLength} bytes came`), {
      name: 'TruncatedBody',
    })
  }
  return bytes
}

function decodeKey(key: string): string {
  return decodeURIComponent(key.replaceAll('+', ' '))
}

function pause(attempt: number): Promise<void> {
  const ms = Math.min(2000, 25 * 2 ** attempt) * (0.5 + Math.random() / 2)
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function missing(url: string): SqlError {
  return new SqlError(SqlState.undefinedFile, `the object "${url}" does not exist`, {
    hint: 'It may have been removed by VACUUM.',
  })
}

function alreadyThere(url: string): SqlError {
  return new SqlError(SqlState.ioError, `the object "${url}" exists already`)
}

function changed(url: string, expectedBytes: number, foundBytes: number): SqlError {
  return new SqlError(
    SqlState.dataCorrupted,
    `the object "${url}" has ${foundBytes} bytes, but ${expectedBytes} were expected`,
  )
}

function trimSlash(path: string): string {
  return path.replace(/\/+$/, '')
}
