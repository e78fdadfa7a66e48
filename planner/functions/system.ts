/** System: functions about the session and the server. See function-table.ts for the notation. */

export const SYSTEM = `
current_user|session_user|user|current_role() name &session = current_user
current_database|current_catalog() name &session = current_database
current_schema() name &session = current_schema
version() text &session = version
pg_backend_pid() int4 &session = pg_backend_pid
pg_is_in_recovery() bool &session = pg_is_in_recovery
current_setting(text) text &session = current_setting
current_setting(text, bool) text &session = current_setting
set_config(text, text, bool) text &session = set_config
pg_typeof(any) regtype &typeOf = pg_typeof
gen_random_uuid() uuid = gen_random_uuid()
num_nulls(variadic any) int4 &countNulls = NULL
num_nonnulls(variadic any) int4 &countNulls = NOT NULL
pg_size_pretty(int8) text = lakegate_size_pretty($1)
pg_size_pretty(numeric) text = lakegate_size_pretty($1)
pg_column_size(any) int4 &refuse = pg_column_size
format_type(oid, int4) text = format_type($1, $2)
obj_description(oid) text = CAST(NULL AS VARCHAR)
obj_description(oid, name) text = CAST(NULL AS VARCHAR)
inet_server_addr() text = CAST(NULL AS VARCHAR)
inet_client_addr() text = CAST(NULL AS VARCHAR)
txid_current() int8 &refuse = txid_current
nextval(text) int8 &refuse = nextval
`
