/** DuckDB's failures as SqlErrors: classified by its structured error fields, by message only where those are silent. */

import { SqlError, SqlState } from './errors.js'

/** What DuckDB says of a failure when `errors_as_json` is on. */
interface EngineFailure {
  readonly exception_type?: string
  readonly exception_message?: string
  readonly error_subtype?: string
  readonly position?: string
  readonly name?: string
  readonly type?: string
  readonly candidates?: string
}

/**
 * Prefix by which macros of ours raise a PostgreSQL error from inside a query:
 * `error('lakegate!22012!division by zero')`.
 */
export const RAISED_PREFIX = 'lakegate!'

/** A classified failure, with the 0-based offset DuckDB gave into the text it was handed. */
export interface ClassifiedFailure {
  readonly error: SqlError
  readonly engineOffset: number | undefined
}

/**
 * Turns what DuckDB threw into an SqlError with PostgreSQL's code and, where PostgreSQL has the
 * same error, its words.
 */
export function classifyEngineFailure(thrown: unknown): ClassifiedFailure {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  const failure = parseFailure(text)
  const message = failure.exception_message ?? text
  const raised = message.indexOf(RAISED_PREFIX)
  if (raised >= 0) {
    const [code, ...rest] = message.slice(raised + RAISED_PREFIX.length).split('!')
    const known = Object.values(SqlState).find((state) => state === code)
    if (known !== undefined) {
      return {
        error: new SqlError(known, rest.join('!'), { cause: thrown }),
        engineOffset: undefined,
      }
    }
  }
  const offset = failure.position === undefined ? undefined : Number(failure.position)
  const { sqlState, message: words } = classify(failure, message)
  return {
    error: new SqlError(sqlState, words, { cause: thrown }),
    engineOffset: offset !== undefined && Number.isInteger(offset) ? offset : undefined,
  }
}

function parseFailure(text: string): EngineFailure {
  const start = text.indexOf('{')
  if (start >= 0) {
    try {
      const parsed: unknown = JSON.parse(text.slice(start))
      if (typeof parsed === 'object' && parsed !== null && 'exception_type' in parsed) {
        return parsed as EngineFailure
      }
    } catch {
      // Not the structured form: fall through to the plain text.
    }
  }
  const plain = /^(?:[A-Z][\w ]*: )?(?:(\w[\w ]*?) Error: )?([\s\S]*)$/.exec(text)
  return { exception_type: plain?.[1] ?? '', exception_message: plain?.[2] ?? text }
}

interface Classified {
  readonly sqlState: SqlState
  readonly message: string
}

function classify(failure: EngineFailure, message: string): Classified {
  const type = failure.exception_type ?? ''
  const subtype = failure.error_subtype ?? ''
  const firstLine = message.split('\n', 1)[0] ?? message
  for (const rule of MESSAGE_RULES) {
    if (rule.type !== undefined && rule.type !== type) continue
    const match = rule.pattern.exec(message)
    if (match !== null) {
      return { sqlState: rule.sqlState, message: rule.words?.(match) ?? lowerFirst(firstLine) }
    }
  }
  if (subtype === 'COLUMN_NOT_FOUND') {
    return {
      sqlState: SqlState.undefinedColumn,
      message: `column "${failure.name}" does not exist`,
    }
  }
  if (type === 'Catalog' && subtype === 'MISSING_ENTRY') {
    const name = failure.name ?? ''
    if (failure.type === 'Table' || failure.type === 'View') {
      return { sqlState: SqlState.undefinedTable, message: `relation "${name}" does not exist` }
    }
    if (/function/i.test(failure.type ?? '')) {
      return { sqlState: SqlState.undefinedFunction, message: `function ${name} does not exist` }
    }
    if (failure.type === 'Type') {
      return { sqlState: SqlState.undefinedObject, message: `type "${name}" does not exist` }
    }
    if (failure.type === 'Schema') {
      return { sqlState: SqlState.invalidSchemaName, message: `schema "${name}" does not exist` }
    }
    return { sqlState: SqlState.undefinedObject, message: lowerFirst(firstLine) }
  }
  return { sqlState: TYPE_STATES[type] ?? SqlState.internalError, message: lowerFirst(firstLine) }
}

/** The code for each of DuckDB's exception types, where nothing more precise is known. */
const TYPE_STATES: Readonly<Record<string, SqlState>> = {
  Catalog: SqlState.undefinedObject,
  Binder: SqlState.syntaxError,
  Parser: SqlState.syntaxError,
  Syntax: SqlState.syntaxError,
  Conversion: SqlState.invalidTextRepresentation,
  'Out of Range': SqlState.numericValueOutOfRange,
  'Invalid Input': SqlState.invalidParameterValue,
  'Invalid type': SqlState.datatypeMismatch,
  'Mismatch Type': SqlState.datatypeMismatch,
  Constraint: SqlState.checkViolation,
  'Out of Memory': SqlState.outOfMemory,
  INTERRUPT: SqlState.queryCanceled,
  Interrupt: SqlState.queryCanceled,
  TransactionContext: SqlState.inFailedSqlTransaction,
  IO: SqlState.ioError,
  'Not implemented': SqlState.featureNotSupported,
  'Divide by Zero': SqlState.divisionByZero,
  Permission: SqlState.insufficientPrivilege,
  'Parameter Not Resolved': SqlState.indeterminateDatatype,
  'Parameter Not Allowed': SqlState.syntaxError,
  Dependency: SqlState.dependentObjectsStillExist,
  Serialization: SqlState.dataCorrupted,
}

interface MessageRule {
  readonly type?: string
  readonly pattern: RegExp
  readonly sqlState: SqlState
  readonly words?: (match: RegExpExecArray) => string
}

// The few cases that DuckDB's structured fields leave apart only by their words. Each has a test
// that runs the real statement, so a DuckDB upgrade that changes the words is noticed.
const MESSAGE_RULES: readonly MessageRule[] = [
  {
    type: 'IO',
    pattern: /No space left on device|Disk quota exceeded/i,
    sqlState: SqlState.diskFull,
  },
  {
    pattern: /^Interrupted!/,
    sqlState: SqlState.queryCanceled,
    words: () => 'canceling statement due to user request',
  },
  {
    pattern: /^No function matches the given name and argument types '(.+?)'\. You/,
    sqlState: SqlState.undefinedFunction,
    words: (m) => `function ${(m[1] ?? '').toLowerCase()} does not exist`,
  },
  {
    pattern: /^(?:Scalar|Aggregate|Table) Function with name "?(\w+)"? does not exist/i,
    sqlState: SqlState.undefinedFunction,
    words: (m) => `function ${m[1]}() does not exist`,
  },
  {
    pattern: /^Ambiguous reference to (?:column name|an alias|table) "(.+?)"/,
    sqlState: SqlState.ambiguousColumn,
    words: (m) => `column reference "${m[1]}" is ambiguous`,
  },
  {
    pattern: /must appear in the GROUP BY clause/,
    sqlState: SqlState.groupingError,
  },
  {
    pattern: /(?:WHERE|GROUP BY|HAVING|JOIN) clause cannot contain (aggregates|window)/i,
    sqlState: SqlState.groupingError,
  },
  {
    pattern: /aggregate function calls cannot be nested|cannot contain aggregate/i,
    sqlState: SqlState.groupingError,
  },
  {
    pattern:
      /frame (?:start|end)(?:ing)? .*cannot be|frame starting from|cannot have preceding rows/i,
    sqlState: SqlState.windowingError,
  },
  {
    pattern: /window functions? (?:are|is) not allowed/i,
    sqlState: SqlState.windowingError,
  },
  {
    pattern: /Referenced table "(.+?)" not found/,
    sqlState: SqlState.undefinedTable,
    words: (m) => `missing FROM-clause entry for table "${m[1]}"`,
  },
  {
    pattern: /Table "(.+?)" does not have a column named "(.+?)"/,
    sqlState: SqlState.undefinedColumn,
    words: (m) => `column ${m[1]}.${m[2]} does not exist`,
  },
  {
    pattern: /Values list "(.+?)" does not have a column named "(.+?)"/,
    sqlState: SqlState.undefinedColumn,
    words: (m) => `column ${m[1]}.${m[2]} does not exist`,
  },
  {
    pattern: /Duplicate alias "(.+?)"/i,
    sqlState: SqlState.duplicateAlias,
    words: (m) => `table name "${m[1]}" specified more than once`,
  },
  {
    pattern: /Could not cast value .* to DECIMAL/i,
    sqlState: SqlState.numericValueOutOfRange,
    words: () => 'numeric field overflow',
  },
  {
    pattern:
      /(?:Failed to cast decimal value|out of range for the destination type|Overflow in \w+ of|Overflow on) .*?\bINT(16|32|64)\b|Overflow in \w+ of INT(16|32|64)/i,
    sqlState: SqlState.numericValueOutOfRange,
    words: (m) =>
      `${{ '16': 'smallint', '32': 'integer', '64': 'bigint' }[m[1] ?? m[2] ?? ''] ?? 'value'} out of range`,
  },
  {
    pattern: /LIMIT\/OFFSET cannot be negative|LIMIT (?:value )?cannot be negative/i,
    sqlState: SqlState.invalidRowCountInLimitClause,
    words: () => 'LIMIT must not be negative',
  },
  {
    pattern: /PERCENTILEs can only take parameters in the range/i,
    sqlState: SqlState.numericValueOutOfRange,
    words: () => 'percentile value is not between 0 and 1',
  },
  {
    pattern: /argument for ntile must be greater than zero/i,
    sqlState: SqlState.invalidArgumentForNtile,
    words: () => 'argument of ntile must be greater than zero',
  },
  {
    pattern: /unknown TimeZone '(.*?)'/i,
    sqlState: SqlState.invalidParameterValue,
    words: (m) => `time zone "${m[1]}" not recognized`,
  },
  {
    pattern: /^Date out of range: (-?\d+)-(\d+)-(\d+)/i,
    sqlState: SqlState.datetimeFieldOverflow,
    words: (m) =>
      `date field value out of range: ${m[1]}-${(m[2] ?? '').padStart(2, '0')}-${(m[3] ?? '').padStart(2, '0')}`,
  },
  {
    pattern: /^Date out of range/i,
    sqlState: SqlState.datetimeFieldOverflow,
    words: () => 'date out of range',
  },
  {
    pattern: /More than one row returned by a subquery/i,
    sqlState: SqlState.cardinalityViolation,
    words: () => 'more than one row returned by a subquery used as an expression',
  },
  {
    type: 'Conversion',
    pattern: /(?:time|timestamp|date|interval) field value out of range|timestamp out of range/i,
    sqlState: SqlState.datetimeFieldOverflow,
    words: (m) => {
      const value = /"([^"]*)"/.exec(m.input)?.[1]
      return value === undefined
        ? 'date/time field value out of range'
        : `date/time field value out of range: "${value}"`
    },
  },
  {
    type: 'Conversion',
    pattern: /invalid (timestamp|date|time|interval) field format: "([^"]*)"/i,
    sqlState: SqlState.invalidDatetimeFormat,
    words: (m) => `invalid input syntax for type ${(m[1] ?? '').toLowerCase()}: "${m[2]}"`,
  },
  {
    type: 'Conversion',
    pattern: /Could not convert string '([\s\S]*)' to (\w+)/,
    sqlState: SqlState.invalidTextRepresentation,
    words: (m) => `invalid input syntax for type ${pgTypeName(m[2] ?? '')}: "${m[1]}"`,
  },
  {
    type: 'Conversion',
    pattern: /Could not convert string "([\s\S]*)" to ([\w(),]+)/,
    sqlState: SqlState.invalidTextRepresentation,
    words: (m) => `invalid input syntax for type ${pgTypeName(m[2] ?? '')}: "${m[1]}"`,
  },
  {
    type: 'Conversion',
    pattern: /(?:out of range|Overflow|can't be cast because the value is out of range)/i,
    sqlState: SqlState.numericValueOutOfRange,
  },
  {
    pattern: /Unimplemented type for cast \(([\w() ]+) -> ([\w() ]+)\)/,
    sqlState: SqlState.cannotCoerce,
    words: (m) => `cannot cast type ${pgTypeName(m[1] ?? '')} to ${pgTypeName(m[2] ?? '')}`,
  },
  {
    type: 'Constraint',
    pattern: /NOT NULL constraint failed: ([^.]*)\.(\S+)/,
    sqlState: SqlState.notNullViolation,
    words: (m) =>
      `null value in column "${m[2]}" of relation "${m[1]}" violates not-null constraint`,
  },
  {
    type: 'Constraint',
    pattern: /Duplicate key|unique constraint|PRIMARY KEY/i,
    sqlState: SqlState.uniqueViolation,
  },
  {
    pattern: /Out of buffer|could not allocate|failed to (?:pin|allocate)|max_temp_directory_size/i,
    sqlState: SqlState.outOfMemory,
  },
  {
    pattern: /Max expression depth|maximum recursion|Stack depth/i,
    sqlState: SqlState.statementTooComplex,
  },
  {
    pattern:
      /(?:set operation|UNION|EXCEPT|INTERSECT).*same number|Set operations can only apply to expressions with the same number/i,
    sqlState: SqlState.syntaxError,
  },
]

const PG_TYPE_NAMES: Readonly<Record<string, string>> = {
  INT16: 'smallint',
  INT32: 'integer',
  INT64: 'bigint',
  INT128: 'numeric',
  TINYINT: 'smallint',
  SMALLINT: 'smallint',
  INTEGER: 'integer',
  BIGINT: 'bigint',
  HUGEINT: 'numeric',
  FLOAT: 'real',
  DOUBLE: 'double precision',
  BOOL: 'boolean',
  VARCHAR: 'text',
  BLOB: 'bytea',
  TIMESTAMP: 'timestamp without time zone',
}

function pgTypeName(engineName: string): string {
  const bare = engineName.replace(/\(.*$/, '').trim()
  if (bare === 'DECIMAL') return 'numeric'
  return PG_TYPE_NAMES[bare] ?? bare.toLowerCase()
}

function lowerFirst(text: string): string {
  // Keep acronyms and quoted names as they are.
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text
}
