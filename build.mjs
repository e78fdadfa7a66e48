/** Builds dist/: the TypeScript sources by tsc, the encoder's WASM by asc; `--if-stale` skips what is up to date. */

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('.', import.meta.url))
const stamp = join(root, 'dist', '.built')
const sources = [
  'server',
  'planner',
  'catalog',
  'storage',
  'package.json',
  'tsconfig.json',
  'build.mjs',
]

if (!process.argv.includes('--if-stale') || isStale()) {
  run('tsc', ['-p', '.'])
  run('asc', [
    'server/encoder/main.ts',
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--outFile',
    'dist/server/encoder.wasm',
  ])
  writeFileSync(stamp, '')
  // What system catalogs are answered from is prepared now, so that no start waits for it.
  const { templateFolder } = await import('./dist/catalog/shadow-template.js')
  await templateFolder()
}

function isStale() {
  if (!existsSync(stamp)) return true
  const builtMs = statSync(stamp).mtimeMs
  return sources.some((source) => newestMs(join(root, source)) > builtMs)
}

function newestMs(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  let newest = stat.mtimeMs
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    newest = Math.max(newest, newestMs(join(path, entry.name)))
  }
  return newest
}

function run(tool, args) {
  const done = spawnSync(join(root, 'node_modules', '.bin', tool), args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (done.status !== 0) {
    process.stderr.write(`lakegate: ${tool} failed; has \`npm ci\` been run?\n`)
    process.exit(done.status ?? 1)
  }
}
