/** Every failure a client may see: the SQLSTATE table, SqlError, and assert for bugs. */

/** The conditions this gateway raises, named as in the PostgreSQL errcodes appendix. */
export const SqlState = {
  successfulCompletion: '00000',
  warning: '01000',
  transactionResolutionUnknown: '08007',
  protocolViolation: '08P01',
  featureNotSupported: '0A000',
  cardinalityViolation: '21000',
  dataException: '22000',
  numericValueOutOfRange: '22003',
  nullValueNotAllowed: '22004',
  invalidDatetimeFormat: '22007',
  datetimeFieldOverflow: '22008',
  invalidTimeZoneDisplacementValue: '22009',
  divisionByZero: '22012',
  intervalFieldOverflow: '22015',
  invalidParameterValue: '22023',
  characterNotInRepertoire: '22021',
  stringDataRightTruncation: '22001',
  substringError: '22011',
  invalidRegularExpression: '2201B',
  invalidArgumentForLogarithm: '2201E',
  invalidArgumentForPowerFunction: '2201F',
  invalidArgumentForWidthBucket: '2201G',
  invalidPrecedingOrFollowingSize: '22013',
  invalidArgumentForNtile: '22014',
  invalidArgumentForNthValue: '22016',
  invalidRowCountInLimitClause: '2201W',
  invalidRowCountInResultOffsetClause: '2201X',
  invalidEscapeSequence: '22025',
  arraySubscriptError: '2202E',
  sequenceGeneratorLimitExceeded: '2200H',
  invalidTextRepresentation: '22P02',
  untranslatableCharacter: '22P05',
  invalidBinaryRepresentation: '22P03',
  badCopyFileFormat: '22P04',
  notNullViolation: '23502',
  uniqueViolation: '23505',
  checkViolation: '23514',
  invalidCursorState: '24000',
  activeSqlTransaction: '25001',
  readOnlySqlTransaction: '25006',
  noActiveSqlTransaction: '25P01',
  inFailedSqlTransaction: '25P02',
  idleInTransactionSessionTimeout: '25P03',
  invalidSqlStatementName: '26000',
  invalidAuthorizationSpecification: '28000',
  invalidPassword: '28P01',
  privilegeNotGranted: '01007',
  privilegeNotRevoked: '01006',
  invalidGrantOperation: '0LP01',
  invalidRoleSpecification: '0P000',
  dependentObjectsStillExist: '2BP01',
  objectInUse: '55006',
  invalidCursorName: '34000',
  invalidCatalogName: '3D000',
  invalidSavepointSpecification: '3B001',
  invalidSchemaName: '3F000',
  serializationFailure: '40001',
  deadlockDetected: '40P01',
  insufficientPrivilege: '42501',
  syntaxError: '42601',
  invalidName: '42602',
  nameTooLong: '42622',
  duplicateColumn: '42701',
  ambiguousColumn: '42702',
  undefinedColumn: '42703',
  undefinedObject: '42704',
  duplicateObject: '42710',
  duplicateAlias: '42712',
  reservedName: '42939',
  ambiguousFunction: '42725',
  groupingError: '42803',
  datatypeMismatch: '42804',
  generatedAlways: '428C9',
  wrongObjectType: '42809',
  invalidForeignKey: '42830',
  cannotCoerce: '42846',
  undefinedFunction: '42883',
  undefinedTable: '42P01',
  undefinedParameter: '42P02',
  ambiguousParameter: '42P08',
  invalidRecursion: '42P19',
  duplicateCursor: '42P03',
  duplicatePreparedStatement: '42P05',
  duplicateSchema: '42P06',
  duplicateTable: '42P07',
  invalidColumnReference: '42P10',
  invalidTableDefinition: '42P16',
  invalidObjectDefinition: '42P17',
  indeterminateDatatype: '42P18',
  windowingError: '42P20',
  cantChangeRuntimeParam: '55P02',
  lockNotAvailable: '55P03',
  objectNotInPrerequisiteState: '55000',
  outOfMemory: '53200',
  diskFull: '53100',
  tooManyConnections: '53300',
  configurationLimitExceeded: '53400',
  programLimitExceeded: '54000',
  statementTooComplex: '54001',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  crashShutdown: '57P02',
  cannotConnectNow: '57P03',
  idleSessionTimeout: '57P05',
  ioError: '58030',
  undefinedFile: '58P01',
  internalError: 'XX000',
  dataCorrupted: 'XX001',
} as const

export type SqlState = (typeof SqlState)[keyof typeof SqlState]

/** What the rows of a failed statement violate, for clients that tell their users which field is wrong. */
export interface ViolatedObject {
  readonly schema: string
  readonly table: string
  readonly column?: string | undefined
  readonly constraint?: string | undefined
}

/** What an SqlError may carry beside its code and message; every field is optional. */
export interface SqlErrorFields {
  readonly severity?: 'ERROR' | 'FATAL'
  /** Facts: which file, which version, which value. */
  readonly detail?: string | undefined
  /** What the user can do. */
  readonly hint?: string | undefined
  /** 1-based character position into the text the client sent. */
  readonly position?: number | undefined
  /** Where it happened, such as the line of a COPY. */
  readonly context?: string | undefined
  /** What a violated constraint is of. */
  readonly violated?: ViolatedObject | undefined
  /** The original failure, for the trace; never sent to the client. */
  readonly cause?: unknown
}

/**
 * A failure the client should learn of, thrown where it is discovered.
 *
 * Messages follow PostgreSQL: lower case, no full stop, names in double quotes, PostgreSQL's own
 * words where it has the same error, since ORMs match on them.
 */
export class SqlError extends Error {
  override readonly name = 'SqlError'
  readonly sqlState: SqlState
  readonly severity: 'ERROR' | 'FATAL'
  readonly detail: string | undefined
  readonly hint: string | undefined
  readonly position: number | undefined
  readonly context: string | undefined
  readonly violated: ViolatedObject | undefined

  constructor(sqlState: SqlState, message: string, fields: SqlErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.sqlState = sqlState
    this.severity = fields.severity ?? 'ERROR'
    this.detail = fields.detail
    this.hint = fields.hint
    this.position = fields.position
    this.context = fields.context
    this.violated = fields.violated
  }

  /** The same error with `position` set; used once the place in the client's text is known. */
  at(position: number | undefined): SqlError {
    return this.#with({ position })
  }

  /** The same error with `context` set, unless it has one. */
  within(context: string): SqlError {
    return this.#with({ context: this.context ?? context })
  }

  /** The same error, of `violated`. */
  of(violated: ViolatedObject): SqlError {
    return this.#with({ violated })
  }

  #with(fields: SqlErrorFields): SqlError {
    const { severity, detail, hint, position, context, violated, cause } = this
    const kept = { severity, detail, hint, position, context, violated, cause }
    return new SqlError(this.sqlState, this.message, { ...kept, ...fields })
  }
}

/** 40001: another writer came first; `what` of it is the caller's, such as `command` or `transaction`. */
export function concurrentUpdate(
  what: 'command' | 'transaction',
  fields: Pick<SqlErrorFields, 'detail' | 'cause'> = {},
): SqlError {
  return new SqlError(
    SqlState.serializationFailure,
    'could not serialize access due to concurrent update',
    { ...fields, hint: `The ${what} might succeed if retried.` },
  )
}

/** Throws a plain Error unless `condition` holds: for bugs, never for bad input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}
