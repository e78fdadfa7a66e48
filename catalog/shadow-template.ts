/** Shadow template: the prepared data directory from which every catalog process starts. */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, cp, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the built files; tests run the sources, whose processes are the built ones too. */
export function builtFolder(): string {
  const here = fileURLToPath(new URL('.', import.meta.url))
  return import.meta.url.endsWith('.ts') ? join(here, '../dist/catalog') : here
}

/**
 * The folder of the template, which is made, in a process of its own, where there is none.
 *
 * Made when the gateway is built, else at the first start: beside the built files or, where that
 * folder cannot be written, among the temporary files.
 */
export async function templateFolder(): Promise<string> {
  const name = `shadow-${await fingerprint()}`
  const candidates = [
    join(builtFolder(), name),
    join(tmpdir(), `lakegate-${process.getuid?.() ?? 0}-${name}`),
  ]
  for (const folder of candidates) if (await exists(join(folder, 'PG_VERSION'))) return folder
  let failure: unknown
  for (const folder of candidates) {
    try {
      await makeTemplate(folder)
      await removeOthers(folder)
      return folder
    } catch (thrown) {
      failure = thrown
    }
  }
  throw failure
}

/** Copies the template to a folder of one process's own. */
export async function copyTemplate(target: string): Promise<void> {
  await cp(await templateFolder(), target, { recursive: true, mode: constants.COPYFILE_FICLONE })
}

/** What the template depends on: PostgreSQL's version, and what is put over it. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256')
  const require = createRequire(import.meta.url)
  hash.update(
    await readFile(join(dirname(require.resolve('@electric-sql/pglite')), '..', 'package.json')),
  )
  for (const file of ['shadow-overlay', 'settings-overlay', 'shadow-apply', 'server-version']) {
    hash.update(await readFile(join(builtFolder(), `${file}.js`)))
  }
  return hash.digest('hex').slice(0, 12)
}

async function makeTemplate(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  // Made aside and renamed, so that the template is there whole or not at all.
  const building = `${folder}.building-${process.pid}`
  await rm(building, { recursive: true, force: true })
  await access(dirname(folder), constants.W_OK)
  try {
    const child = spawn(
      process.execPath,
      [join(builtFolder(), 'shadow-template-process.js'), building],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    let said = ''
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString()
    })
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('close', resolve)
      child.on('error', reject)
    })
    if (code !== 0) throw new Error(`the shadow's template could not be made: ${said}`)
    await rename(building, folder).catch(async (thrown: unknown) => {
      if (!(await exists(join(folder, 'PG_VERSION')))) throw thrown
    })
  } finally {
    await rm(building, { recursive: true, force: true })
  }
}

/** Takes away templates of earlier builds. */
async function removeOthers(folder: string): Promise<void> {
  for (const name of await readdir(dirname(folder))) {
    if (!/^shadow-[0-9a-f]{12}$/.test(name) || name === basename(folder)) continue
    await rm(join(dirname(folder), name), { recursive: true, force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
