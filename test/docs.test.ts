/** The documents say what the code does. */

import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { CONFIG_FIELDS, ConfigError, readConfig } from '../server/config.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const FOLDERS = ['server', 'planner', 'catalog', 'storage']

function sources(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .map((name) => join(folder, String(name)))
      .filter((name) => /\.c?ts$/.test(name) && statSync(join(root, name)).isFile()),
  )
}

it('the README lists every configuration variable with its default', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  for (const field of CONFIG_FIELDS) {
    expect(readme).toContain(`LAKEGATE_${field.name}\``)
    if (field.default !== '') expect(readme).toContain(`\`${field.default}\``)
  }
})

it('every test that COMPATIBILITY.md names exists', () => {
  const text = readFileSync(join(root, 'COMPATIBILITY.md'), 'utf8')
  for (const [, path] of text.matchAll(/`(test\/[^`]+)`/g))
    expect(existsSync(join(root, path ?? ''))).toBe(true)
})

describe('a source file', () => {
  it.each(sources())('%s begins with a sentence and imports downwards', (name) => {
    const text = readFileSync(join(root, name), 'utf8')
    expect(text.startsWith('/** ')).toBe(true)
    const level = FOLDERS.indexOf(name.split('/')[0] ?? '')
    for (const [, other] of text.matchAll(/from '\.\.\/(\w+)\//g)) {
      expect(FOLDERS.indexOf(other ?? '')).toBeGreaterThan(level)
    }
    if (name !== 'storage/engine.ts') expect(text).not.toContain("from '@duckdb/")
    if (name !== 'planner/parse.ts') expect(text).not.toContain("from 'libpg-query'")
    if (name !== 'server/config.ts' && name !== 'server/bootstrap.cts')
      expect(text).not.toContain('process.env')
  })
})

describe('a wrong configuration', () => {
  it.each([
    [['--port=banana'], 'LAKEGATE_PORT is "banana"'],
    [['--port', '70000'], 'whole number from 0 to 65535'],
    [['--host=0.0.0.0'], 'set LAKEGATE_PASSWORD'],
    [['--memory-limit=lots'], 'number of bytes'],
    [['--nonsense=1'], 'unknown argument'],
    [['--copy-dirs=/a:b'], 'list of absolute paths'],
    [['--tls-cert=a.pem'], 'must be given together'],
  ])('%j is refused in words', (flags, words) => {
    expect(() => readConfig(flags, {})).toThrow(ConfigError)
    expect(() => readConfig(flags, {})).toThrow(words)
  })
})
