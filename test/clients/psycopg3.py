"""psycopg 3 against a running gateway."""

import datetime
import decimal
import threading
import uuid

import psycopg
from checks import check, finish

connection = psycopg.connect(autocommit=True)
VALUES = [
    ("int2", 7), ("int4", -5), ("int8", 2**60), ("bool", True), ("float8", 1.5), ("text", "häß"),
    ("numeric", decimal.Decimal("12.34")), ("date", datetime.date(2024, 2, 29)),
    ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 4)),
    ("timestamptz", datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.timezone.utc)),
    ("uuid", uuid.UUID(int=5)), ("bytea", b"\x00\xff"), ("int4[]", [1, 2, None]), ("text[]", ["a b", ""]),
    ("interval", datetime.timedelta(days=3, seconds=5)), ("time", datetime.time(1, 2, 3)),
]
for binary in (False, True):
    for name, value in VALUES:
        cast = "numeric(10,2)" if name == "numeric" else name
        cursor = connection.cursor(binary=binary)
        row = cursor.execute(f"SELECT %s::{cast}", (value,)).fetchone()
        check(f"{name} both ways, binary={binary}", value, row[0])
for i in range(8):
    row = connection.execute("SELECT %s::int + 1", (i,)).fetchone()
check("a statement past its threshold", 8, row[0])
with connection.transaction():
    cursor = connection.cursor(name="named")
    cursor.execute("SELECT order_id FROM silver.orders ORDER BY 1")
    check("a server-side cursor", 10, len(cursor.fetchmany(10)))
    cursor.close()
with connection.cursor().copy("COPY (SELECT 1, 'x') TO STDOUT") as copy:
    check("COPY out", b"1\tx\n", b"".join(bytes(data) for data in copy))
with connection.cursor().copy("COPY (SELECT 1::int4 AS a) TO STDOUT (FORMAT binary)") as copy:
    copy.set_types(["int4"])
    check("binary COPY out", [(1,)], list(copy.rows()))
try:
    connection.execute("SELECT nothing FROM silver.orders")
except psycopg.Error as error:
    check("an error's code and position", ("42703", "8"), (error.sqlstate, error.diag.statement_position))
with connection.pipeline():
    cursors = [connection.execute("SELECT %s::int", (i,)) for i in range(5)]
check("a pipeline", [0, 1, 2, 3, 4], [cursor.fetchone()[0] for cursor in cursors])
threading.Timer(0.3, connection.cancel).start()
try:
    connection.execute("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b")
    check("cancel", "57014", None)
except psycopg.Error as error:
    check("cancel", "57014", error.sqlstate)
row = connection.execute("SELECT count(*) FROM silver.orders VERSION AS OF %s", (1,)).fetchone()
check("time travel by parameter", 600, row[0])
finish()
