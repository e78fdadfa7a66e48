"""psycopg 3 against a running gateway."""

import datetime
import decimal
import threading
import uuid

import psycopg
from checks import check, code_of, finish, refused_values, wire_values
from psycopg import pq
from psycopg.types.json import Json, Jsonb

connection = psycopg.connect(autocommit=True, options="-c TimeZone=UTC")


def one(sql, parameters=None, **more):
    return connection.execute(sql, parameters, **more).fetchone()[0]


# Types as PostgreSQL prints and sends them, prepared from the fifth execution on.
for value in wire_values():
    name, text = value["type"], value["input"].encode()
    for format, expected in ((0, value["text"].encode()), (1, bytes.fromhex(value["hex"]))):
        result = connection.pgconn.exec_params(
            f"SELECT $1::{name}".encode(), [text], result_format=format
        )
        check(f"{name} {value['input']} in format {format}", expected, result.get_value(0, 0))
    # What has been sent as bytes is read as bytes.
    result = connection.pgconn.exec_params(
        f"SELECT $1::{name}".encode(), [bytes.fromhex(value["hex"])], param_formats=[1]
    )
    check(f"{name} {value['input']} given in binary", value["text"].encode(), result.get_value(0, 0))
for name in sorted({value["type"] for value in wire_values()}):
    for format in (0, 1):
        result = connection.pgconn.exec_params(f"SELECT $1::{name}".encode(), [None], result_format=format)
        check(f"{name} null in format {format}", None, result.get_value(0, 0))
for value in refused_values():
    result = connection.pgconn.exec_params(f"SELECT $1::{value['type']}".encode(), [value["input"].encode()])
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    check(f"{value['type']} {value['input']} refused", value["error"], state and state.decode())

# The driver's own values, as text and in binary.
UTC = datetime.timezone.utc
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
VALUES = [
    ("int2", 7), ("int4", -5), ("int8", 2**60), ("bool", True), ("float8", 1.5), ("float4", 2.5),
    ("float8", float("inf")), ("text", "häß€😀"), ("varchar(5)", "abcde"),
    ("numeric(10,2)", decimal.Decimal("12.34")),
    ("numeric", decimal.Decimal("12345678901234567890.12345678")), ("date", datetime.date(2024, 2, 29)),
    ("date", datetime.date.min), ("date", datetime.date.max),
    ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 4)), ("timestamp", datetime.datetime.min),
    ("timestamptz", datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)),
    ("uuid", uuid.UUID(int=5)), ("bytea", b"\x00\xff"), ("interval", datetime.timedelta(days=3, seconds=5)),
    ("time", datetime.time(1, 2, 3)), ("timetz", datetime.time(1, 2, 3, tzinfo=EAST)),
    ("int4[]", [1, 2, None]), ("int4[]", [[1, 2], [3, None]]), ("text[]", ["a b", "", None]),
    ("text[]", [[["a"], ["b"]], [["c"], ["NULL"]]]), ("float8[]", [0.5, None]), ("bool[]", [True, False]),
    ("numeric[]", [decimal.Decimal("1.50"), None]), ("date[]", [datetime.date(2024, 2, 29)]),
    ("jsonb", {"a": [1, None, "x"]}), ("json", [1, 2]),
]
WRAPPED = {"jsonb": Jsonb, "json": Json}
for binary in (False, True):
    for name, value in VALUES:
        given = WRAPPED.get(name, lambda same: same)(value)
        marker = "%b" if binary else "%t"
        cursor = connection.cursor(binary=binary)
        check(f"{name} {value!r} both ways, binary={binary}", value,
              lambda: cursor.execute(f"SELECT {marker}::{name}", (given,)).fetchone()[0])
description = connection.execute("SELECT 1 AS i, 1::numeric(10,2) AS n, 'x'::varchar(5) AS v").description
check("the description of a result", [(23, None, None), (1700, 10, 2), (1043, None, None)],
      [(column.type_code, column.precision, column.scale) for column in description])

# A table of the lake.
for table in ("psycopg3", "psycopg3_held"):
    connection.execute(f"DROP TABLE IF EXISTS silver.{table}")
connection.execute("""CREATE TABLE silver.psycopg3 (id bigint, b boolean, s smallint, f real, d double precision,
    n numeric(20,5), t text, y bytea, day date, at timestamp, atz timestamptz, list int[], names text[])""")
ROW = (1, True, -7, 2.5, 0.1, decimal.Decimal("12.34500"), "ä", b"\x00\x01", datetime.date(99, 1, 2),
       datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), [1, None], ["x", ""])
NULLS = (2,) + (None,) * 12
with connection.cursor() as cursor:
    cursor.executemany(f"INSERT INTO silver.psycopg3 VALUES ({', '.join(['%s'] * 13)})", [ROW, NULLS])
    check("rows inserted by executemany", 2, cursor.rowcount)
for binary in (False, True):
    cursor = connection.cursor(binary=binary)
    check(f"rows read back, binary={binary}", [ROW, NULLS],
          cursor.execute("SELECT * FROM silver.psycopg3 ORDER BY id").fetchall())
check("an update with RETURNING", [(1, "new")],
      connection.execute("UPDATE silver.psycopg3 SET t = %s WHERE id = %s RETURNING id, t", ("new", 1)).fetchall())

# Prepared statements.
for i in range(12):
    check(f"a statement past its threshold, {i}", i + 1, lambda: one("SELECT %s::int + 1", (i,)))
check("a statement prepared at once", 5, lambda: one("SELECT %s::int + 4", (1,), prepare=True))
counting = "SELECT count(*) FROM silver.psycopg3 WHERE id > %s"
check("a prepared statement before new rows", 2, lambda: one(counting, (0,), prepare=True))
connection.execute("INSERT INTO silver.psycopg3 (id) VALUES (3)")
check("a prepared statement sees new rows", 3, lambda: one(counting, (0,), prepare=True))
for i in range(120):
    one(f"SELECT {i} + %s::int", (i,), prepare=True)
check("more prepared statements than the driver keeps", 7, lambda: one("SELECT 7"))
with psycopg.connect(autocommit=True, prepare_threshold=0) as eager:
    check("every statement prepared", [0, 1, 2],
          [eager.execute("SELECT %s::int", (i,)).fetchone()[0] for i in range(3)])

# Row limits and cursors.
with connection.transaction():
    with connection.cursor(name="named") as cursor:
        cursor.execute("SELECT order_id FROM silver.orders WHERE order_id > %s ORDER BY 1", (-1,))
        check("a server-side cursor", 10, len(cursor.fetchmany(10)))
        check("the rest of it", 1123, len(cursor.fetchall()))
    with connection.cursor(name="binary", binary=True) as cursor:
        cursor.itersize = 100
        check("a cursor in binary, by hundreds", 1133, sum(1 for _ in cursor.execute("SELECT * FROM silver.orders")))
with connection.cursor(name="held", withhold=True) as cursor:
    cursor.execute("SELECT order_id FROM silver.orders")
    check("a cursor WITH HOLD", 1133, len(cursor.fetchall()))
with connection.transaction():
    connection.execute("DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 10) i")
    connection.execute("MOVE 3 IN c")
    check("MOVE and FETCH", [(4,), (5,)], connection.execute("FETCH 2 FROM c").fetchall())
    connection.execute("CLOSE c")
    check("a closed cursor", "34000", lambda: connection.execute("SAVEPOINT s; FETCH 1 FROM c"))
    connection.execute("ROLLBACK TO s")
# A connection that has streamed cannot pipeline: the driver leaves it in single-row mode.
with psycopg.connect() as streaming, streaming.cursor() as cursor:
    check("rows one by one", 1133, sum(1 for _ in cursor.stream("SELECT * FROM silver.orders WHERE order_id > %s", (-1,))))

# Pipelines.
with connection.pipeline():
    cursors = [connection.execute("SELECT %s::int", (i,)) for i in range(50)]
check("a pipeline", list(range(50)), [cursor.fetchone()[0] for cursor in cursors])


def broken_pipeline():
    with connection.pipeline():
        connection.execute("SELECT 1")
        connection.execute("SELECT 1 / 0")
        connection.execute("SELECT 2")


check("an error in a pipeline", "22012", broken_pipeline)
check("after it", 1, lambda: one("SELECT 1"))

# Cancel and timeouts.
ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
for name, cancel in (("cancel", connection.cancel), ("cancel_safe", connection.cancel_safe)):
    threading.Timer(0.3, cancel).start()
    check(name, "57014", lambda: connection.execute(ENDLESS))
connection.execute("SET statement_timeout = '200ms'")
check("statement_timeout", "57014", lambda: connection.execute(ENDLESS))
connection.execute("RESET statement_timeout")

# Errors.
def error_of(sql, parameters=None):
    try:
        connection.execute(sql, parameters)
    except psycopg.Error as error:
        return error


for name, sql, parameters, expected in (
    ("a column", "SELECT nothing FROM silver.orders", None, ("UndefinedColumn", "42703", "8")),
    ("a table", "SELECT * FROM nothing", None, ("UndefinedTable", "42P01", "15")),
    ("a function", "SELECT nothing(1)", None, ("UndefinedFunction", "42883", "8")),
    ("syntax", "SELECT 1 +", None, ("SyntaxError", "42601", "11")),
    ("letters of several bytes", "SELECT '€ä😀', nothing FROM silver.orders", None, ("UndefinedColumn", "42703", "15")),
    ("division", "SELECT 1 / %s::int", (0,), ("DivisionByZero", "22012", None)),
    ("a parameter", "SELECT %s::text::int", ("x",), ("InvalidTextRepresentation", "22P02", None)),
):
    error = error_of(sql, parameters)
    check(f"an error of {name}", expected, (type(error).__name__, error.sqlstate, error.diag.statement_position))
connection.execute("CREATE TABLE silver.psycopg3_held (id int NOT NULL, n int CHECK (n > 0))")
diag = error_of("INSERT INTO silver.psycopg3_held VALUES (NULL, 1)").diag
check("fields of a NOT NULL error", ("23502", "silver", "psycopg3_held", "id"),
      (diag.sqlstate, diag.schema_name, diag.table_name, diag.column_name))
diag = error_of("INSERT INTO silver.psycopg3_held VALUES (1, %s)", (-1,)).diag
check("fields of a CHECK error", ("23514", "psycopg3_held", "psycopg3_held_n_check"),
      (diag.sqlstate, diag.table_name, diag.constraint_name))
connection.autocommit = False
check("an error in a block", "22012", lambda: connection.execute("SELECT 1 / 0"))
check("a failed block", "25P02", lambda: connection.execute("SELECT 1"))
check("its status", psycopg.pq.TransactionStatus.INERROR, connection.info.transaction_status)
connection.rollback()
with connection.transaction():
    try:
        with connection.transaction():
            connection.execute("SELECT 1 / 0")
    except psycopg.Error:
        pass
    check("a savepoint in a block", 7, lambda: one("SELECT 7"))
connection.rollback()
connection.autocommit = True

# COPY.
with connection.cursor().copy("COPY (SELECT E'a\tb', NULL) TO STDOUT") as copy:
    check("COPY out as text", b"a\\tb\t\\N\n", b"".join(bytes(data) for data in copy))
with connection.cursor().copy("COPY (SELECT * FROM silver.psycopg3 ORDER BY id LIMIT 1) TO STDOUT (FORMAT binary)") as copy:
    copy.set_types(["int8", "bool", "int2", "float4", "float8", "numeric", "text", "bytea", "date", "timestamp",
                    "timestamptz", "int4[]", "text[]"])
    check("COPY out in binary", [ROW[:6] + ("new",) + ROW[7:]], list(copy.rows()))
for format in ("", "(FORMAT binary)"):
    connection.execute("TRUNCATE silver.psycopg3")
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY silver.psycopg3 FROM STDIN {format}") as copy:
            if format:
                copy.set_types(["int8", "bool", "int2", "float4", "float8", "numeric", "text", "bytea", "date",
                                "timestamp", "timestamptz", "int4[]", "text[]"])
            copy.write_row(ROW)
            copy.write_row(NULLS)
        check(f"COPY in {format}", 2, cursor.rowcount)
    check(f"what was copied in {format}", [ROW, NULLS],
          connection.execute("SELECT * FROM silver.psycopg3 ORDER BY id").fetchall())


def broken_copy():
    with connection.cursor().copy("COPY silver.psycopg3 (id) FROM STDIN") as copy:
        copy.write("1\nx\n")


check("COPY in of a wrong row", "22P02", broken_copy)
check("nothing of it is there", 2, lambda: one("SELECT count(*) FROM silver.psycopg3"))

# What else applications use.
connection.execute("LISTEN channel")
with psycopg.connect(autocommit=True) as other:
    other.execute("NOTIFY channel, 'hello'")
check("a notification", ["hello"], [notify.payload for notify in connection.notifies(timeout=5, stop_after=1)])
check("time travel by parameter", 600, lambda: one("SELECT count(*) FROM silver.orders VERSION AS OF %s", (1,)))
finish()
