/** Config: the gateway's start-up configuration from the environment and flags; the only reader of process.env. */

/** Where the gateway listens, what it serves, and its limits. */
export interface Config {
  /** Folder of the lake, or `s3://bucket/prefix`. */
  readonly lake: string
  /** Whether `lake` was named; an unnamed, absent one is filled with the demonstration lake. */
  readonly lakeGiven: boolean
  readonly host: string
  readonly port: number
  readonly httpPort: number
  readonly database: string
  readonly password: string | null
  readonly tlsCert: string | null
  readonly tlsKey: string | null
  readonly maxConnections: number
  readonly startupTimeoutMs: number
  readonly maxMessageBytes: number
  readonly memoryLimitBytes: number | null
  readonly threads: number | null
  readonly tempDirectory: string | null
  readonly tempDirectoryMaxBytes: number
  /** Absolute paths of the directories whose files COPY FROM may read. */
  readonly copyDirectories: readonly string[]
  readonly s3Endpoint: string | null
  readonly s3Region: string | null
  /** Null where it follows from the endpoint. */
  readonly s3PathStyle: boolean | null
  /** Where files of a bucket are copied to; null for a folder of the system's temporary one. */
  readonly cacheDirectory: string | null
  readonly cacheBytes: number
  readonly snapshotCacheBytes: number
  readonly groupTimeoutMs: number
  readonly autoCompact: boolean
  readonly shutdownTimeoutMs: number
}

/** One variable: its name without the prefix, its default as shown, and what it is for. */
export interface ConfigField {
  readonly name: string
  readonly default: string
  readonly description: string
}

/** Every variable, in the order in which the README lists them. */
export const CONFIG_FIELDS: readonly ConfigField[] = [
  {
    name: 'LAKE',
    default: 'lake',
    description:
      'folder of the lake or s3://bucket/prefix; where it is not set and `lake` is absent, a demonstration lake is made',
  },
  {
    name: 'HOST',
    default: '127.0.0.1',
    description: 'address to listen on; anything beyond loopback needs a password',
  },
  {
    name: 'PORT',
    default: '5432',
    description: 'port of the PostgreSQL protocol; 0 takes a free one',
  },
  {
    name: 'HTTP_PORT',
    default: '8432',
    description: 'port of /metrics, /healthz and /readyz; 0 takes a free one',
  },
  { name: 'DATABASE', default: 'lake', description: 'name of the one database' },
  {
    name: 'PASSWORD',
    default: '',
    description: 'password of the role `lakegate`; without one, loopback is trusted',
  },
  { name: 'TLS_CERT', default: '', description: 'PEM file of the TLS certificate' },
  { name: 'TLS_KEY', default: '', description: 'PEM file of its key' },
  { name: 'MAX_CONNECTIONS', default: '100', description: 'clients at once; more get 53300' },
  {
    name: 'STARTUP_TIMEOUT_MS',
    default: '60000',
    description: 'time a client has to authenticate',
  },
  { name: 'MAX_MESSAGE_BYTES', default: '64MB', description: 'largest message a client may send' },
  {
    name: 'MEMORY_LIMIT',
    default: '',
    description: "memory of the engine, such as 4GB; DuckDB's default without",
  },
  { name: 'THREADS', default: '', description: 'threads of the engine; one per core without' },
  {
    name: 'TEMP_DIRECTORY',
    default: '',
    description: "folder for spilled data; the system's without",
  },
  { name: 'TEMP_DIRECTORY_MAX_BYTES', default: '10GB', description: 'bytes that may be spilled' },
  {
    name: 'COPY_DIRS',
    default: '',
    description: 'directories whose files COPY FROM may read, separated by colons; none without',
  },
  {
    name: 'S3_ENDPOINT',
    default: '',
    description: "URL of the store where it is not Amazon's; credentials are the AWS SDK's",
  },
  {
    name: 'S3_REGION',
    default: '',
    description: "region of the bucket; the AWS SDK's without, or us-east-1 with an endpoint",
  },
  {
    name: 'S3_PATH_STYLE',
    default: '',
    description: 'name the bucket in the path: on or off; on without where there is an endpoint',
  },
  {
    name: 'CACHE_DIR',
    default: '',
    description: "folder for copies of a bucket's files; below the system's temporary one without",
  },
  { name: 'CACHE_BYTES', default: '20GB', description: 'bytes of those copies' },
  { name: 'SNAPSHOT_CACHE_BYTES', default: '256MB', description: 'memory for table snapshots' },
  {
    name: 'GROUP_TIMEOUT_MS',
    default: '10000',
    description:
      'time after which a transaction over several tables that another gateway left unfinished is rolled back',
  },
  {
    name: 'AUTO_COMPACT',
    default: 'on',
    description: 'pack small files in the background, where a table does not say itself: on or off',
  },
  {
    name: 'SHUTDOWN_TIMEOUT_MS',
    default: '10000',
    description: 'time running statements get at shutdown',
  },
]

/** A wrong configuration, in words for the person who starts the gateway. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * The configuration of `environment` with `flags` (`--port=5433` or `--port 5433`) laid over it.
 *
 * ConfigError naming the variable, the value and what is allowed.
 */
export function readConfig(
  flags: readonly string[] = process.argv.slice(2),
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const given = new Map<string, string>()
  for (const { name } of CONFIG_FIELDS) {
    const value = environment[`LAKEGATE_${name}`]
    if (value !== undefined && value !== '') given.set(name, value)
  }
  for (let i = 0; i < flags.length; i++) {
    const match = /^--([a-z-]+)(?:=([\s\S]*))?$/.exec(flags[i] ?? '')
    const name = match?.[1]?.replaceAll('-', '_').toUpperCase() ?? ''
    if (match === null || !CONFIG_FIELDS.some((field) => field.name === name)) {
      throw new ConfigError(`unknown argument "${flags[i]}"; --help lists what is known`)
    }
    const value = match[2] ?? flags[++i]
    if (value === undefined) throw new ConfigError(`${match[0]} needs a value`)
    given.set(name, value)
  }
  const text = (name: string): string =>
    given.get(name) ?? CONFIG_FIELDS.find((field) => field.name === name)?.default ?? ''
  const optional = (name: string): string | null => text(name) || null
  const wrong = (name: string, allowed: string): ConfigError =>
    new ConfigError(`LAKEGATE_${name} is "${text(name)}", but must be ${allowed}`)
  const integer = (name: string, min: number, max: number): number => {
    const value = Number(text(name))
    if (!/^\d+$/.test(text(name)) || value < min || value > max) {
      throw wrong(name, `a whole number from ${min} to ${max}`)
    }
    return value
  }
  const bytes = (name: string): number => {
    const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)$/i.exec(text(name))
    const power = 'kmgt'.indexOf((match?.[2] ?? '').charAt(0).toLowerCase()) + 1
    const value = Math.floor(Number(match?.[1]) * 1024 ** power)
    if (match === null || value < 1 || !Number.isSafeInteger(value)) {
      throw wrong(name, 'a number of bytes such as 4GB')
    }
    return value
  }
  const onOrOff = (name: string): boolean => {
    if (!/^(?:on|off)$/i.test(text(name))) throw wrong(name, 'on or off')
    return text(name).toLowerCase() === 'on'
  }
  const config: Config = {
    lake: text('LAKE'),
    lakeGiven: given.has('LAKE'),
    host: text('HOST'),
    port: integer('PORT', 0, 65_535),
    httpPort: integer('HTTP_PORT', 0, 65_535),
    database: text('DATABASE'),
    password: optional('PASSWORD'),
    tlsCert: optional('TLS_CERT'),
    tlsKey: optional('TLS_KEY'),
    maxConnections: integer('MAX_CONNECTIONS', 1, 100_000),
    startupTimeoutMs: integer('STARTUP_TIMEOUT_MS', 1, 3_600_000),
    maxMessageBytes: Math.min(bytes('MAX_MESSAGE_BYTES'), 1024 ** 3),
    memoryLimitBytes: optional('MEMORY_LIMIT') === null ? null : bytes('MEMORY_LIMIT'),
    threads: optional('THREADS') === null ? null : integer('THREADS', 1, 1024),
    tempDirectory: optional('TEMP_DIRECTORY'),
    tempDirectoryMaxBytes: bytes('TEMP_DIRECTORY_MAX_BYTES'),
    copyDirectories: text('COPY_DIRS')
      .split(':')
      .filter((path) => path !== ''),
    s3Endpoint: optional('S3_ENDPOINT'),
    s3Region: optional('S3_REGION'),
    s3PathStyle: optional('S3_PATH_STYLE') === null ? null : onOrOff('S3_PATH_STYLE'),
    cacheDirectory: optional('CACHE_DIR'),
    cacheBytes: bytes('CACHE_BYTES'),
    snapshotCacheBytes: bytes('SNAPSHOT_CACHE_BYTES'),
    groupTimeoutMs: integer('GROUP_TIMEOUT_MS', 1, 3_600_000),
    autoCompact: onOrOff('AUTO_COMPACT'),
    shutdownTimeoutMs: integer('SHUTDOWN_TIMEOUT_MS', 0, 3_600_000),
  }
  if (!config.copyDirectories.every((path) => path.startsWith('/'))) {
    throw wrong('COPY_DIRS', 'a list of absolute paths, separated by colons')
  }
  if (config.s3Endpoint !== null && !/^https?:\/\/[^/]/i.test(config.s3Endpoint)) {
    throw wrong('S3_ENDPOINT', 'a URL such as https://minio.example:9000')
  }
  if ((config.tlsCert === null) !== (config.tlsKey === null)) {
    throw new ConfigError('LAKEGATE_TLS_CERT and LAKEGATE_TLS_KEY must be given together')
  }
  if (config.password === null && !isLoopback(config.host)) {
    throw new ConfigError(
      `LAKEGATE_HOST is "${config.host}", which is reachable from other machines: set LAKEGATE_PASSWORD`,
    )
  }
  return config
}

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host === '::1' ||
    /^127\.\d+\.\d+\.\d+$/.test(host) ||
    host === '::ffff:127.0.0.1'
  )
}

/** What --help prints. */
export function helpText(): string {
  const lines = CONFIG_FIELDS.map(({ name, default: value, description }) => {
    const flag = `--${name.toLowerCase().replaceAll('_', '-')}`
    return `  LAKEGATE_${name}, ${flag}\n      ${description}${value === '' ? '' : ` (default ${value})`}`
  })
  return `Usage: lakegate [--flag value …]\n\n${lines.join('\n')}\n`
}
