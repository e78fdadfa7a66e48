/**
 * Catalog parity: the same clients on a real PostgreSQL and on the gateway over the same schema.
 *
 * node test/clients/catalog-parity.mjs [--show N] [--write-known]
 *
 * LAKEGATE_NATIVE_BIN is the folder of initdb, psql and pg_dump (a PostgreSQL 16 is what is announced),
 * LAKEGATE_PYTHON a Python with SQLAlchemy and its drivers, LAKEGATE_JDBC pgjdbc's jar; what is not there
 * is skipped. Numbers of OIDs, sizes and versions are masked. Known differences are in
 * catalogs/known.txt, each with its reason; one that begins to agree fails the run, so that the list
 * stays true.
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { findServer, startGateway, startPostgres } from '../support/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const folder = join(here, 'catalogs')
const knownPath = join(folder, 'known.txt')
const show = Number(process.argv[process.argv.indexOf('--show') + 1]) || 10
const bin = process.env.LAKEGATE_NATIVE_BIN ?? findServer()
const { LAKEGATE_PYTHON: python, LAKEGATE_JDBC: jdbc } = process.env

/** What two servers cannot have in common. */
function masked(text) {
  return text
    .replace(/PostgreSQL 1\d\.\d+[^|\n]*/g, 'PostgreSQL')
    .replace(/\b1\d\.\d\b( \([^)]*\))?/g, 'VERSION')
    .replace(/\b\d+ (?:bytes|kB|MB)\b/g, 'SIZE')
    .replace(/(?<![\d.-])\d{5,10}(?![\d.])/g, '#')
    .replace(/^psql:[^ ]* /gm, '')
    .replace(/PgConnection@\w+/g, 'PgConnection')
    .replace(/ +$/gm, '')
}

/** The parts of an output, by the lines that begin with `## `. */
function partsOf(kind, text) {
  const parts = new Map()
  for (const part of text.split(/^## /m).slice(1)) {
    const end = part.indexOf('\n')
    parts.set(`${kind} ${part.slice(0, end)}`, masked(part.slice(end + 1)).trim())
  }
  return parts
}

function run(command, args, port, more = {}) {
  const done = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: {
      ...process.env,
      PGHOST: '127.0.0.1',
      PGPORT: String(port),
      PGUSER: 'lakegate',
      PGDATABASE: 'lake',
      PGPASSWORD: '',
      PSQL_EDITOR: 'true',
      ...more,
    },
  })
  if (done.error) throw done.error
  return `${done.stdout}${done.status === 0 ? '' : `exit ${done.status}: ${done.stderr}`}`
}

function psql(port) {
  const commands = readFileSync(join(folder, 'psql.txt'), 'utf8').trim().split('\n')
  const script = join(work, `psql-${port}.sql`)
  writeFileSync(
    script,
    commands.map((one) => `\\echo '## ${one.replaceAll("'", "''")}'\n${one}\n`).join(''),
  )
  const line = `'${join(bin, 'psql')}' -X -A -v VERBOSITY=verbose -f '${script}' 2>&1`
  return partsOf('psql', run('sh', ['-c', line], port))
}

/** Every statement of every file, by file and line. */
async function statements(port) {
  const parts = new Map()
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'lakegate',
    database: 'lake',
    types,
  })
  await client.connect()
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.sql') || file === 'schema.sql') continue
    const lines = readFileSync(join(folder, file), 'utf8').split('\n')
    for (const [index, sql] of lines.entries()) {
      if (sql.trim() === '' || sql.startsWith('--')) continue
      const answer = await client.query({ text: sql, rowMode: 'array' }).then(
        ({ fields, rows }) =>
          [
            fields.map(({ name, dataTypeID }) => `${name}:${dataTypeID}`).join('|'),
            ...rows.map((row) => row.join('|')),
          ].join('\n'),
        (thrown) => `${thrown.code} ${thrown.message}`,
      )
      parts.set(`${file}:${index + 1}`, masked(answer))
    }
  }
  await client.end()
  return parts
}

const types = { getTypeParser: () => (value) => value }

function pgDump(port) {
  const text = run(join(bin, 'pg_dump'), ['--schema-only', '--schema=shop', 'lake'], port)
  const parts = text.replace(/^--.*\n/gm, '').split(/\n{2,}/)
  return new Map([
    [
      'pg_dump --schema-only',
      masked(
        parts
          .filter((part) => part.trim() !== '')
          .sort()
          .join('\n\n'),
      ),
    ],
    [
      'pg_dump --data-only',
      masked(
        run(join(bin, 'pg_dump'), ['--data-only', '-n', 'shop', 'lake'], port).replace(
          /^--.*\n/gm,
          '',
        ),
      ),
    ],
  ])
}

async function answersOf(port) {
  const answers = new Map([...psql(port), ...(await statements(port)), ...pgDump(port)])
  if (python !== undefined) {
    const text = run(python, [join(folder, 'reflection.py'), String(port), 'lake'], port)
    for (const [driver, lines] of partsOf('sqlalchemy', text)) {
      for (const line of lines.split('\n')) {
        const key = /^(get_\w+|definition|ddl|exists) \S+|^\w+/.exec(line)?.[0] ?? 'ddl'
        const name = `${driver} ${key}`
        answers.set(name, `${answers.get(name) ?? ''}${line}\n`)
      }
    }
  }
  if (jdbc !== undefined) {
    const text = run(
      'java',
      ['-cp', jdbc, join(here, 'jdbc', 'Metadata.java'), String(port), 'lake'],
      port,
    )
    for (const [name, answer] of partsOf('jdbc', text)) answers.set(name, answer)
  }
  return answers
}

async function define(port, native) {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'lakegate',
    database: native ? 'postgres' : 'lake',
  })
  await client.connect()
  if (native) {
    await client.query('CREATE DATABASE lake')
    await client.end()
    const own = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database: 'lake' })
    await own.connect()
    for (const layer of ['bronze', 'silver', 'gold']) await own.query(`CREATE SCHEMA ${layer}`)
    await own.query('ALTER DATABASE lake SET search_path = "$user", public, silver, gold, bronze')
    await fill(own)
    return
  }
  await fill(client)
}

async function fill(client) {
  await client.query('CREATE SCHEMA shop')
  for (const line of readFileSync(join(folder, 'schema.sql'), 'utf8').split('\n')) {
    if (line.trim() !== '' && !line.startsWith('--')) await client.query(line)
  }
  await client.query(
    'INSERT INTO shop.orders (order_id, line, customer_id, amount, quantity) VALUES (1, 1, NULL, 9.5, 2), (1, 2, NULL, NULL, 3)',
  )
  await client.query('ANALYZE').catch(() => {})
  await client.end()
}

const version =
  bin === undefined
    ? ''
    : spawnSync(join(bin, 'initdb'), ['--version'], { encoding: 'utf8' }).stdout
if (!/ 16\./.test(version)) {
  console.log('skipped: there is no PostgreSQL 16 to compare with')
  console.log('0 passed, 0 failed')
  process.exit(0)
}
const work = mkdtempSync(join(tmpdir(), 'lakegate-parity-'))
let passed = 0
let failed = 0
let native
let gateway
try {
  native = await startPostgres(bin, work)
  gateway = await startGateway(resolve(join(here, '../../dist/server/bootstrap.cjs')), work)
  await define(native.port, true)
  await define(gateway.port, false)
  const expected = await answersOf(native.port)
  const actual = await answersOf(gateway.port)
  const known = new Map(
    readFileSync(knownPath, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.split('\t')),
  )
  const names = [...new Set([...expected.keys(), ...actual.keys()])]
  const differing = names.filter((name) => expected.get(name) !== actual.get(name))
  let shown = 0
  for (const name of names) {
    const differs = differing.includes(name)
    if (differs === known.has(name)) passed++
    else {
      failed++
      if (!differs) console.log(`not ok ${name} is known to differ, but agrees`)
      else if (shown++ < show) {
        console.log(`not ok ${name}`)
        console.log(difference(expected.get(name) ?? '(nothing)', actual.get(name) ?? '(nothing)'))
      } else console.log(`not ok ${name}`)
    }
  }
  if (process.argv.includes('--write-known')) {
    const lines = differing.map((name) => `${name}\t${known.get(name) ?? 'unexplained'}`)
    writeFileSync(knownPath, `# What differs, and why: unit, tab, reason.\n${lines.join('\n')}\n`)
  }
  const psqlErrors = [...actual].filter(
    ([name, text]) =>
      name.startsWith('psql ') && /ERROR:/.test(text) && !/ERROR:/.test(expected.get(name) ?? ''),
  )
  for (const [name, text] of psqlErrors) console.log(`not ok ${name}: ${text.slice(0, 200)}`)
  if (psqlErrors.length > 0) failed++
  else passed++
} finally {
  await gateway?.stop()
  native?.stop()
  rmSync(work, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function difference(before, after) {
  const left = before.split('\n')
  const right = after.split('\n')
  const missing = left.filter((line) => !right.includes(line)).map((line) => `  - ${line}`)
  const added = right.filter((line) => !left.includes(line)).map((line) => `  + ${line}`)
  return (
    [...missing.slice(0, 8), ...added.slice(0, 8)].map((line) => line.slice(0, 300)).join('\n') ||
    '  (order of lines)'
  )
}
