"""psycopg2 against a running gateway: simple queries with literals."""

import datetime
import decimal
import io
import threading
import uuid

# The module of this name is the driver: the folder of this script is not searched for it.
import sys

here = sys.path.pop(0)
import psycopg2  # noqa: E402
import psycopg2.extras  # noqa: E402


sys.path.insert(0, here)
from checks import check, finish, refused_values, wire_values  # noqa: E402

psycopg2.extras.register_uuid()
connection = psycopg2.connect("", options="-c TimeZone=UTC")
connection.autocommit = True
cursor = connection.cursor()


def one(sql, parameters=None):
    cursor.execute(sql, parameters)
    return cursor.fetchone()[0]


def error_of(sql, parameters=None):
    try:
        cursor.execute(sql, parameters)
    except psycopg2.Error as error:
        return error


# Types as PostgreSQL prints them: values as they come, for all types.

seen = {16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1266, 1700,
        2950, 3802, 1000, 1005, 1007, 1016, 1021, 1022, 1231, 1009, 1015, 1001, 1182, 1183, 1270, 1115, 1185, 1187,
        1003, 1002, 1028, 1014, 2951, 199, 3807}
with psycopg2.connect("", options="-c TimeZone=UTC") as raw:
    raw.autocommit = True
    psycopg2.extensions.register_type(psycopg2.extensions.new_type(tuple(seen), "TEXTS", lambda value, _: value), raw)
    with raw.cursor() as texts:
        for value in wire_values():
            texts.execute(f"SELECT %s::{value['type']}", (value["input"],))
            check(f"{value['type']} {value['input']}", value["text"], texts.fetchone()[0])
        for name in sorted({value["type"] for value in wire_values()}):
            texts.execute(f"SELECT %s::{name}", (None,))
            check(f"{name} null", None, texts.fetchone()[0])
for value in refused_values():
    check(f"{value['type']} {value['input']} refused", value["error"],
          lambda: one(f"SELECT %s::{value['type']}", (value["input"],)))

# The driver's own values.
UTC = datetime.timezone.utc
for name, value in [
    ("int4", -5), ("int8", 2**60), ("bool", True), ("float8", 1.5), ("float8", float("-inf")), ("text", "it's \\ häß€😀"),
    ("numeric", decimal.Decimal("12345678901234567890.12345678")), ("numeric(10,2)", decimal.Decimal("1.50")),
    ("date", datetime.date(2024, 2, 29)), ("date", datetime.date.max), ("time", datetime.time(1, 2, 3, 4)),
    ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 4)),
    ("timestamptz", datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)),
    ("interval", datetime.timedelta(days=3, seconds=5)), ("uuid", uuid.UUID(int=5)),
    ("int4[]", [1, 2, None]), ("int4[]", [[1, 2], [3, None]]), ("text[]", ["a b", "", None, "'", '"', "\\"]),
    ("numeric[]", [decimal.Decimal("1.50"), None]), ("jsonb", {"a": [1, None, "x"]}), ("json", [1, 2]),
]:
    given = psycopg2.extras.Json(value) if name in ("json", "jsonb") else value
    check(f"{name} {value!r} both ways", value, lambda: one(f"SELECT %s::{name}", (given,)))
check("bytea both ways", b"\x00\xff'\\", lambda: bytes(one("SELECT %s::bytea", (b"\x00\xff'\\",))))
check("a literal without a type", "it's", lambda: one("SELECT %s", ("it's",)))
cursor.execute("SELECT 1 AS i, 1::numeric(10,2) AS n, 'x'::varchar(5) AS v")
check("the description of a result", [("i", 23, None), ("n", 1700, 10), ("v", 1043, None)],
      [(column.name, column.type_code, column.precision) for column in cursor.description])

# A table of the lake.
for table in ("psycopg2", "psycopg2_held"):
    cursor.execute(f"DROP TABLE IF EXISTS silver.{table}")
cursor.execute("""CREATE TABLE silver.psycopg2 (id bigint, b boolean, d double precision, n numeric(20,5), t text,
    day date, at timestamp, atz timestamptz, list int[])""")
ROW = (1, True, 0.1, decimal.Decimal("12.34500"), "ä", datetime.date(99, 1, 2),
       datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), [1, None])
NULLS = (2,) + (None,) * 8
returned = psycopg2.extras.execute_values(cursor, "INSERT INTO silver.psycopg2 VALUES %s RETURNING id", [ROW, NULLS], fetch=True)
check("rows inserted by execute_values", [(1,), (2,)], returned)
cursor.execute("SELECT * FROM silver.psycopg2 ORDER BY id")
check("rows read back", [ROW, NULLS], cursor.fetchall())
psycopg2.extras.execute_batch(cursor, "UPDATE silver.psycopg2 SET t = %s WHERE id = %s", [("x", 1), ("y", 2)])
cursor.execute("SELECT t FROM silver.psycopg2 ORDER BY id")
check("several statements in one message", [("x",), ("y",)], cursor.fetchall())

# Prepared statements of SQL.
cursor.execute("PREPARE plus (int, numeric) AS SELECT $1 + $2")
for i in range(10):
    check(f"EXECUTE {i}", decimal.Decimal(i) + decimal.Decimal("0.5"), lambda: one("EXECUTE plus (%s, %s)", (i, decimal.Decimal("0.5"))))
cursor.execute("DEALLOCATE plus")
check("a statement that is gone", "26000", lambda: one("EXECUTE plus (1, 2)"))

# Cursors.
connection.autocommit = False
with connection.cursor("named") as named:
    named.itersize = 100
    named.execute("SELECT order_id FROM silver.orders WHERE order_id > %s ORDER BY 1", (-1,))
    check("a named cursor", 50, len(named.fetchmany(50)))
    check("the rest by hundreds", 1083, sum(1 for _ in named))
with connection.cursor("skips") as named:
    named.execute("SELECT i FROM generate_series(1, 10) i")
    named.scroll(3)
    check("a cursor that skips", (4,), named.fetchone())
with connection.cursor("held", withhold=True) as held:
    held.execute("SELECT order_id FROM silver.orders")
    held.fetchmany(5)
    connection.commit()
    check("a cursor WITH HOLD", 1128, len(held.fetchall()))
connection.rollback()

# Blocks and errors.
check("an error's code", "22012", lambda: one("SELECT 1/0"))
check("a failed block", "25P02", lambda: one("SELECT 1"))
connection.rollback()
cursor.execute("SAVEPOINT s")
check("an error behind a savepoint", "22012", lambda: one("SELECT 1/0"))
cursor.execute("ROLLBACK TO s")
check("after it", 7, lambda: one("SELECT 7"))
connection.rollback()
cursor.execute("DELETE FROM silver.psycopg2")
connection.rollback()
check("what is rolled back", 2, lambda: one("SELECT count(*) FROM silver.psycopg2"))
connection.rollback()
connection.autocommit = True
for name, sql, parameters, expected in (
    ("a column", "SELECT nothing FROM silver.orders", None, ("UndefinedColumn", "42703", "8")),
    ("a table", "SELECT * FROM nothing", None, ("UndefinedTable", "42P01", "15")),
    ("syntax", "SELECT 1 +", None, ("SyntaxError", "42601", "11")),
    ("letters of several bytes", "SELECT '€ä😀', nothing FROM silver.orders", None, ("UndefinedColumn", "42703", "15")),
    ("a literal", "SELECT %s::int", ("x",), ("InvalidTextRepresentation", "22P02", "8")),
):
    error = error_of(sql, parameters)
    check(f"an error of {name}", expected, (type(error).__name__, error.pgcode, error.diag.statement_position))
cursor.execute("CREATE TABLE silver.psycopg2_held (id int NOT NULL, n int CHECK (n > 0))")
diag = error_of("INSERT INTO silver.psycopg2_held VALUES (NULL, 1)").diag
check("fields of a NOT NULL error", ("23502", "silver", "psycopg2_held", "id"),
      (diag.sqlstate, diag.schema_name, diag.table_name, diag.column_name))

# Cancel and timeouts.
ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
threading.Timer(0.3, connection.cancel).start()
check("cancel", "57014", lambda: one(ENDLESS))
cursor.execute("SET statement_timeout = 200")
check("statement_timeout", "57014", lambda: one(ENDLESS))
cursor.execute("RESET statement_timeout")

# COPY.
out = io.StringIO()
cursor.copy_expert("COPY silver.customers TO STDOUT (FORMAT csv, HEADER)", out)
check("COPY of a table", (100, 101), (cursor.rowcount, len(out.getvalue().splitlines())))
out = io.StringIO()
cursor.copy_expert("COPY (SELECT E'a\\tb', NULL) TO STDOUT", out)
check("COPY out as text", "a\\tb\t\\N\n", out.getvalue())
out = io.BytesIO()
cursor.copy_expert("COPY (SELECT 7) TO STDOUT (FORMAT binary)", out)
check("COPY out in binary", "00010000000400000007ffff", out.getvalue()[19:].hex())
rows = "".join(f"{i}\tn {i}\n" for i in range(10000))
cursor.copy_expert("COPY silver.psycopg2 (id, t) FROM STDIN", io.StringIO(rows))
check("COPY in", (10000, 49995003), (cursor.rowcount, one("SELECT sum(id)::bigint FROM silver.psycopg2")))
check("COPY in of a wrong row", "22P02", lambda: cursor.copy_expert("COPY silver.psycopg2 (id) FROM STDIN", io.StringIO("1\nx\n")))
check("nothing of it is there", 10002, lambda: one("SELECT count(*) FROM silver.psycopg2"))

# What else applications use.
cursor.execute("LISTEN channel")
with psycopg2.connect("") as other:
    other.cursor().execute("NOTIFY channel, 'hello'")
one("SELECT 1")
check("a notification", ["hello"], [notify.payload for notify in connection.notifies])
cursor.execute("DROP TABLE IF EXISTS nothing")
check("a notice", True, 'table "nothing" does not exist' in "".join(connection.notices))
finish()
