import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // DuckDB is native code: child processes keep a crash in one file from hiding the others.
    pool: 'forks',
    maxWorkers: 2,
  },
})
