/** A gateway whose tables are linted when it closes. */

import { readdirSync } from 'node:fs'
import { Engine } from '../../storage/engine.js'
import { expect } from 'vitest'
import { startGateway, type TestGateway } from './gateway.js'
import { lintTable } from './log-linter.js'

export type LintedGateway = TestGateway

/** As startGateway; `close` fails when the linter finds fault with a table, or a bug was met. */
export async function lintedGateway(): Promise<LintedGateway> {
  const gateway = await startGateway()
  return {
    ...gateway,
    close: async () => {
      const engine = await Engine.open({})
      const connection = await engine.connect()
      const faults: string[] = []
      for (const name of readdirSync(gateway.lake, { recursive: true }).map(String)) {
        if (!name.endsWith('/_delta_log')) continue
        const table = name.slice(0, -'/_delta_log'.length)
        const report = await lintTable(gateway.lake, table, connection)
        faults.push(...report.faults.map((fault) => `${table}: ${fault}`))
      }
      await engine.close()
      await gateway.close()
      expect(faults).toEqual([])
      expect(gateway.bugs).toEqual([])
    },
  }
}
