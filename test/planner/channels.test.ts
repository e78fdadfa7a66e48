/** LISTEN, UNLISTEN and NOTIFY take effect with their transaction. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { connect, type ScriptClient } from '../support/session-script.js'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let listener: ScriptClient
let sender: ScriptClient

beforeAll(async () => {
  gateway = await startGateway()
  listener = await connect(gateway)
  sender = await connect(gateway)
})

afterAll(async () => {
  await listener?.client.end()
  await sender?.client.end()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

/** What the listener has heard once everything sent before has arrived. */
async function heard(
  channels: readonly string[],
  statements: readonly string[],
): Promise<string[]> {
  const { client } = listener
  await client.query('UNLISTEN *')
  for (const channel of channels) await client.query(`LISTEN ${channel}`)
  listener.heard.length = 0
  for (const statement of statements) await sender.client.query(statement)
  await client.query('LISTEN done')
  await sender.client.query('NOTIFY done')
  while (!listener.heard.includes('<done ')) await new Promise((resolve) => setTimeout(resolve, 5))
  return listener.heard.filter((one) => one !== '<done ')
}

it.each<[string, readonly string[], readonly string[]]>([
  ['at once outside of a block', ["NOTIFY a, 'x'"], ['<a x']],
  ['at COMMIT', ['BEGIN', "NOTIFY a, 'x'", 'COMMIT'], ['<a x']],
  ['never after ROLLBACK', ['BEGIN', "NOTIFY a, 'x'", 'ROLLBACK'], []],
  ['never from a batch that fails', ["NOTIFY a, 'ok'", 'BEGIN', 'END'], ['<a ok']],
  [
    'once for equal ones of a block',
    ['BEGIN', "NOTIFY a, 'x'", "NOTIFY a, 'y'", "NOTIFY a, 'x'", 'NOTIFY b', 'COMMIT'],
    ['<a x', '<a y', '<b '],
  ],
  ['each time from blocks of their own', ["NOTIFY a, 'x'", "NOTIFY a, 'x'"], ['<a x', '<a x']],
  [
    'without what a savepoint took back',
    [
      'BEGIN',
      "NOTIFY a, '1'",
      'SAVEPOINT s',
      "NOTIFY a, '2'",
      'ROLLBACK TO s',
      "NOTIFY a, '3'",
      "NOTIFY a, '2'",
      'COMMIT',
    ],
    ['<a 1', '<a 3', '<a 2'],
  ],
  ['from pg_notify', ["SELECT pg_notify('a', 'x' || 1), pg_notify('b', NULL)"], ['<a x1', '<b ']],
  ['on channels listened to alone', ['NOTIFY c', 'NOTIFY b'], ['<b ']],
])('a notification is sent %s', async (_, statements, expected) => {
  expect(await heard(['a', 'b'], statements)).toEqual(expected)
})

it('LISTEN and UNLISTEN take effect at COMMIT, and not after ROLLBACK', async () => {
  const { client, heard: told } = await connect(gateway)
  const channels = async (): Promise<unknown[]> =>
    (await client.query('SELECT pg_listening_channels() AS c')).rows.map(({ c }) => c)
  await client.query('BEGIN; LISTEN x; ROLLBACK')
  expect(await channels()).toEqual([])
  await client.query('BEGIN; LISTEN x')
  expect(await channels()).toEqual([])
  await client.query("NOTIFY x, 'own'; COMMIT")
  expect(await channels()).toEqual(['x'])
  expect(told).toEqual(['<x own'])
  await client.query("BEGIN; UNLISTEN x; NOTIFY x, 'gone'; COMMIT")
  expect(await channels()).toEqual([])
  await client.query('LISTEN a; LISTEN b')
  await client.query('BEGIN; UNLISTEN *; LISTEN c; ROLLBACK')
  expect(await channels()).toEqual(['a', 'b'])
  await client.query('DISCARD ALL')
  expect(await channels()).toEqual([])
  expect(told).toEqual(['<x own'])
  await client.end()
})

it.each([
  ["SELECT pg_notify('', 'x')", '22023', 'channel name cannot be empty'],
  ["SELECT pg_notify(repeat('x', 64), '')", '22023', 'channel name too long'],
  [`NOTIFY a, '${'x'.repeat(8000)}'`, '22023', 'payload string too long'],
])('%# is refused', async (sql, code, message) => {
  const error: unknown = await sender.client.query(sql).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code, message })
})

it('pg_notify takes its parameters as they come', async () => {
  await listener.client.query('LISTEN p')
  listener.heard.length = 0
  await listener.client.query('SELECT pg_notify($1, $2)', ['p', 'from a parameter'])
  expect(listener.heard).toEqual(['<p from a parameter'])
})
