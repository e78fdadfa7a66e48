"""ADBC's PostgreSQL driver, connectorx and Polars against a running gateway: they read by binary COPY."""

import os
import sys

here = sys.path.pop(0)
import adbc_driver_postgresql.dbapi  # noqa: E402
import connectorx  # noqa: E402
import polars  # noqa: E402
import pyarrow  # noqa: E402

sys.path.append(here)
from checks import check, finish  # noqa: E402

URI = "postgresql://{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format(**os.environ)
ORDERS = "SELECT * FROM silver.orders ORDER BY order_id"

with adbc_driver_postgresql.dbapi.connect(URI) as connection, connection.cursor() as cursor:
    cursor.execute(ORDERS)
    read = cursor.fetch_arrow_table()
    cursor.execute("SELECT order_id, amount::text, ordered_at::text FROM silver.orders ORDER BY order_id")
    texts = cursor.fetch_arrow_table()
    check("ADBC reads all rows", 1133, read.num_rows)
    check("ADBC's types", [pyarrow.int64(), pyarrow.int64(), pyarrow.string()], read.schema.types[:3])
    check("ADBC's keys", texts["order_id"].to_pylist(), read["order_id"].to_pylist())
    check("ADBC's numerics", texts["amount"].to_pylist(), [str(value) for value in read["amount"].to_pylist()])
    cursor.execute("SELECT $1::bigint + 1 AS n", (41,))
    check("ADBC's parameters", [(42,)], cursor.fetchall())
    cursor.execute("""SELECT true AS b, 1::int2 AS s, 2.5::float4 AS f, 0.5::float8 AS d, 'ä'::text AS t, '\\x00ff'::bytea AS y,
        '2024-02-29'::date AS day, '2024-02-29 12:34:56.000001'::timestamp AS at, ARRAY[1, NULL] AS list, NULL::int AS none""")
    row = cursor.fetch_arrow_table().to_pylist()[0]
    check("ADBC's values", [True, 1, 2.5, 0.5, "ä", b"\x00\xff", "2024-02-29", "2024-02-29 12:34:56.000001", [1, None], None],
          [str(value) if name in ("day", "at") else value for name, value in row.items()])

frame = polars.read_database_uri(ORDERS, URI)
check("Polars over connectorx", (1133, 6), frame.shape)
check("its sum", sum(texts["order_id"].to_pylist()), frame["order_id"].sum())
check("Polars over ADBC", (1133, 6), polars.read_database_uri(ORDERS, URI, engine="adbc").shape)
for protocol in ("binary", "csv", "cursor", "simple"):
    try:
        table = connectorx.read_sql(URI, "SELECT order_id, status FROM silver.orders", protocol=protocol, return_type="arrow")
        check(f"connectorx by {protocol}", (1133, 2), (table.num_rows, table.num_columns))
    except Exception as error:
        check(f"connectorx by {protocol}", None, str(error))
table = connectorx.read_sql(URI, "SELECT order_id, status FROM silver.orders", partition_on="order_id", partition_num=3,
                            return_type="arrow")
check("connectorx by partitions", 1133, table.num_rows)
finish()
