/** Server version: the PostgreSQL whose behaviour is announced. */

/** `server_version`. */
export const SERVER_VERSION = '16.9'

/** `server_version_num`. */
export const SERVER_VERSION_NUM = 160_009

/** `version()`. */
export const SERVER_VERSION_TEXT: string = `PostgreSQL ${SERVER_VERSION} (Lakegate) on DuckDB`
