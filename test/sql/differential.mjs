/**
 * Differential: the same statements on a real PostgreSQL and on the gateway over the same rows.
 *
 * node test/sql/differential.mjs [--gateway dist/server/bootstrap.cjs] [--only theme] [--show N] [--write-known]
 *
 * Values, column names, type OIDs and modifiers, and SQLSTATEs must agree. Known differences are in
 * differential/known.txt with the class of their reason, a heading of COMPATIBILITY.md; one that
 * begins to agree fails the run, so that the list stays true.
 */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { findServer, startGateway, startPostgres } from '../support/servers.mjs'
import { postgresScript, writeLake } from './fixture.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const option = (name, fallback) => {
  const at = process.argv.indexOf(name)
  return at < 0 ? fallback : (process.argv[at + 1] ?? fallback)
}
const gatewayPath = resolve(option('--gateway', join(here, '../../dist/server/bootstrap.cjs')))
const only = option('--only', undefined)
const show = Number(option('--show', '20'))
const knownPath = join(here, 'differential/known.txt')

/** The statements of a theme file with their parameters and the lines they begin on. */
function statementsOf(theme) {
  const found = []
  let text = ''
  let values
  let start = 0
  for (const [index, line] of readFileSync(join(here, 'differential', `${theme}.sql`), 'utf8')
    .split('\n')
    .entries()) {
    const given = /^-- with: (.*)$/.exec(line)
    if (given) values = JSON.parse(given[1])
    if (text === '' && (line.trim() === '' || line.startsWith('--'))) continue
    if (text === '') start = index + 1
    text += `${text === '' ? '' : '\n'}${line}`
    if (!/;\s*$/.test(line)) continue
    found.push({ theme, line: start, sql: text.replace(/;\s*$/, ''), values })
    text = ''
    values = undefined
  }
  if (text !== '') throw new Error(`${theme}.sql ends inside a statement`)
  return found
}

async function connect(port, database) {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'lakegate',
    database,
    types: { getTypeParser: () => (value) => value },
  })
  client.on('error', () => {})
  await client.connect()
  for (const setting of [
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO, MDY'",
    'SET search_path = silver',
    'SET statement_timeout = 20000',
  ])
    await client.query(setting)
  return client
}

async function answer(client, { sql, values }) {
  try {
    const query = { text: sql, rowMode: 'array' }
    if (values !== undefined) query.values = values
    const result = await client.query(query)
    const last = Array.isArray(result) ? result.at(-1) : result
    const columns = last.fields.map(
      (field) =>
        `${field.name}:${field.dataTypeID}${field.dataTypeModifier === -1 ? '' : `(${field.dataTypeModifier})`}`,
    )
    const rows = last.rows.map((row) => JSON.stringify(row))
    if (!/\border\s+by\b/i.test(sql.replaceAll(/\([^()]*\)/g, ''))) rows.sort()
    return { code: '00000', message: '', columns: columns.join(' '), rows: rows.join('\n') }
  } catch (error) {
    return {
      code: error.code ?? `connection: ${error.message}`,
      message: error.message,
      columns: '',
      rows: '',
    }
  }
}

function difference(expected, actual) {
  if (expected.code !== actual.code)
    return `code ${expected.code} (${expected.message}) but ${actual.code} (${actual.message})`
  if (expected.columns !== actual.columns)
    return `columns ${expected.columns} but ${actual.columns}`
  if (expected.rows !== actual.rows) {
    const [a, b] = [expected.rows.split('\n'), actual.rows.split('\n')]
    const at = a.findIndex((row, i) => row !== b[i])
    return `row ${at + 1} of ${a.length}/${b.length}: ${a[at] ?? 'none'} but ${b[at] ?? b[a.length] ?? 'none'}`
  }
  return null
}

function readKnown() {
  const known = new Map()
  if (!existsSync(knownPath)) return known
  for (const line of readFileSync(knownPath, 'utf8').split('\n')) {
    const match = /^(\S+)\t(.+)$/.exec(line)
    if (match && !line.startsWith('#')) known.set(match[2], match[1])
  }
  return known
}

const keyOf = ({ theme, sql, values }) =>
  `${theme}: ${sql.replaceAll(/\s+/g, ' ')}${values === undefined ? '' : ` -- ${JSON.stringify(values)}`}`

const bin = findServer()
if (bin === undefined) {
  console.log('skipped: no PostgreSQL server (initdb, pg_ctl) was found on this machine')
  console.log('0 passed, 0 failed')
  process.exit(0)
}
const work = mkdtempSync(join(tmpdir(), 'lakegate-differential-'))
let postgres
let gateway
let passed = 0
let failed = 0
try {
  await writeLake(join(work, 'lake'), resolve(dirname(gatewayPath), '..'))
  postgres = await startPostgres(bin, work)
  gateway = await startGateway(gatewayPath, work)
  const admin = new pg.Client({
    host: '127.0.0.1',
    port: postgres.port,
    user: 'lakegate',
    database: 'postgres',
  })
  await admin.connect()
  await admin.query(postgresScript())
  await admin.end()
  const left = await connect(postgres.port, 'postgres')
  let right = await connect(gateway.port, 'lake')
  const known = readKnown()
  const themes = readdirSync(join(here, 'differential'))
    .filter((name) => name.endsWith('.sql'))
    .map((name) => name.slice(0, -4))
    .sort()
  const stillKnown = []
  let shown = 0
  for (const theme of themes) {
    if (only !== undefined && !only.split(',').includes(theme)) continue
    const counts = { agree: 0, known: 0, failed: 0 }
    for (const statement of statementsOf(theme)) {
      const expected = await answer(left, statement)
      const actual = await answer(right, statement)
      if (actual.code.startsWith('connection'))
        right = await connect(gateway.port, 'lake').catch(() => right)
      const different = difference(expected, actual)
      const reason = known.get(keyOf(statement))
      if (different !== null) stillKnown.push([reason ?? 'unclassified', keyOf(statement)])
      if (different === null && reason === undefined) {
        counts.agree++
        passed++
      } else if (different !== null && reason !== undefined) {
        counts.known++
        passed++
      } else {
        counts.failed++
        failed++
        if (shown++ < show) {
          console.log(
            `not ok ${theme}.sql:${statement.line} ${statement.sql.replaceAll(/\s+/g, ' ').slice(0, 300)}${statement.values ? ` -- ${JSON.stringify(statement.values)}` : ''}`,
          )
          console.log(
            `       ${different === null ? `agrees now, but known.txt says ${reason}` : different.slice(0, 500)}`,
          )
        }
      }
    }
    console.log(`${theme}: ${counts.agree} agree, ${counts.known} known, ${counts.failed} failed`)
  }
  if (process.argv.includes('--write-known') && only === undefined) {
    const lines = stillKnown.map(([reason, key]) => `${reason}\t${key}`)
    writeFileSync(
      knownPath,
      `# Statements that answer otherwise than PostgreSQL, by the class of the reason in COMPATIBILITY.md.\n${lines.join('\n')}\n`,
    )
  }
  await left.end()
  await right.end()
} finally {
  gateway?.stop()
  try {
    postgres?.stop()
  } catch {
    // It is thrown away with its folder.
  }
  spawnSync('rm', ['-rf', work])
  rmSync(work, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
