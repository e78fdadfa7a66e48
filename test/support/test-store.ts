/** Test store: where the lakes of tests lie: in a local folder, or in a bucket whose objects are files of one. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { LocalStore } from '../../storage/local-store.js'
import type { ObjectStore } from '../../storage/object-store.js'
import { openStore } from '../../storage/open-store.js'

/**
 * An S3 server over a folder: every bucket is a folder below it, every object a file.
 *
 * Named by `LAKEGATE_TEST_S3_ENDPOINT` and `LAKEGATE_TEST_S3_FOLDER`; credentials by the SDK's variables.
 */
export const s3Server: { readonly endpoint: string; readonly folder: string } | null =
  process.env.LAKEGATE_TEST_S3_ENDPOINT === undefined
    ? null
    : {
        endpoint: process.env.LAKEGATE_TEST_S3_ENDPOINT,
        folder: process.env.LAKEGATE_TEST_S3_FOLDER ?? '',
      }

/** The bucket of tests. */
const BUCKET = 'lakegate-test'

/** A new folder for a lake; in the bucket where there is a server. */
export function makeLakeFolder(name = 'lakegate-lake-'): string {
  return mkdtempSync(join(s3Server === null ? tmpdir() : join(s3Server.folder, BUCKET), name))
}

export interface TestStore {
  readonly store: ObjectStore
  readonly engineFolders: readonly string[]
  close(): Promise<void>
}

/** The store of the lake in `folder`, which `makeLakeFolder` made, through the server where there is one. */
export async function openTestStore(folder: string, endpoint?: string): Promise<TestStore> {
  const within = s3Server === null ? '..' : relative(join(s3Server.folder, BUCKET), folder)
  if (s3Server === null || within.startsWith('..')) {
    return { store: new LocalStore(folder), engineFolders: [folder], close: async () => {} }
  }
  const cacheFolder = mkdtempSync(join(tmpdir(), 'lakegate-cache-'))
  const opened = await openStore(`s3://${BUCKET}/${within}`, {
    endpoint: endpoint ?? s3Server.endpoint,
    region: 'us-east-1',
    pathStyle: true,
    cacheFolder,
    cacheBytes: 2 ** 30,
  })
  return {
    ...opened,
    close: async () => {
      await opened.close()
      rmSync(cacheFolder, { recursive: true, force: true })
    },
  }
}
