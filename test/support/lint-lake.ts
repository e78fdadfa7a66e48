/** Every table of a lake held against Delta's rules. */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Engine } from '../../storage/engine.js'
import { lintTable } from './log-linter.js'

/** The faults of all tables under `lake`, each beginning with the table's folder. */
export async function lintLake(lake: string, engine: Engine): Promise<string[]> {
  const connection = await engine.connect()
  const faults: string[] = []
  const visit = async (folder: string, depth: number): Promise<void> => {
    const names = readdirSync(join(lake, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
    if (names.includes('_delta_log')) {
      const report = await lintTable(lake, folder, connection)
      faults.push(...report.faults.map((fault) => `${folder}: ${fault}`))
    } else if (depth < 4) for (const name of names) await visit(join(folder, name), depth + 1)
  }
  await visit('', 0)
  connection.close()
  return faults
}
