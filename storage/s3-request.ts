/** S3 requests: what their failures mean, and which may be made again. */

import { SqlError, SqlState } from './errors.js'

interface Failure {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  readonly $metadata?: { readonly httpStatusCode?: number }
}

/** The HTTP status of a failed request; undefined when there was no answer. */
export function statusOf(thrown: unknown): number | undefined {
  return (thrown as Failure | undefined)?.$metadata?.httpStatusCode
}

/** Whether the request failed because there is no such object. */
export function isMissing(thrown: unknown): boolean {
  const { name } = thrown as Failure
  if (name === 'NoSuchBucket') return false
  return name === 'NoSuchKey' || name === 'NotFound' || statusOf(thrown) === 404
}

/** Whether a request that failed so may nevertheless have taken effect. */
export function mayHaveTakenEffect(thrown: unknown): boolean {
  const status = statusOf(thrown)
  if (status !== undefined) return status >= 500 || status === 408
  const { name, code } = thrown as Failure
  if (String(name).includes('Credentials') || name === 'TokenProviderError') return false
  // No connection was made, so nothing was sent.
  return !['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(
    String(code),
  )
}

/** 58030, or 53400 and 28000-like conditions in its words: what the store said of `path`. */
export function requestError(what: string, thrown: unknown): SqlError {
  if (thrown instanceof SqlError) return thrown
  const { name, message, code } = thrown as Failure
  const status = statusOf(thrown)
  const said = [name === 'Error' || name === undefined ? code : name, status]
    .filter((part) => part !== undefined)
    .join(', ')
  return new SqlError(
    SqlState.ioError,
    `could not access "${what}": ${String(message ?? thrown)}${said === '' ? '' : ` (${said})`}`,
    { hint: hintOf(thrown), cause: thrown },
  )
}

function hintOf(thrown: unknown): string | undefined {
  const { name } = thrown as Failure
  switch (String(name)) {
    case 'ExpiredToken':
    case 'ExpiredTokenException':
    case 'TokenRefreshRequired':
      return "The gateway's credentials have expired."
    case 'RequestTimeTooSkewed':
      return "The gateway's clock differs from the store's."
    case 'CredentialsProviderError':
      return 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source that the AWS SDK knows.'
    case 'SlowDown':
    case 'ThrottlingException':
      return 'The store asks for fewer requests; the statement may succeed if retried.'
    default:
      return undefined
  }
}
