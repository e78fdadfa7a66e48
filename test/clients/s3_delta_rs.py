"""delta-rs beside the gateway on one bucket: each reads what the other wrote and appends to it.

The gateway serves LAKEGATE_LAKE (s3://bucket/prefix) through the server of LAKEGATE_S3_ENDPOINT.
"""

import os
from threading import Thread

import psycopg
import pyarrow as pa
from checks import check, finish
from deltalake import DeltaTable, write_deltalake

options = {
    "AWS_ENDPOINT_URL": os.environ["LAKEGATE_S3_ENDPOINT"],
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
    "AWS_CONDITIONAL_PUT": "etag",
}
lake = os.environ["LAKEGATE_LAKE"]
client = psycopg.connect(autocommit=True)
PLAIN = "TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')"


def ids(text):
    return [row[0] for row in client.execute(text).fetchall()]


def read_by_delta_rs(table):
    return DeltaTable(f"{lake}/{table}", storage_options=options).to_pyarrow_table().to_pylist()


def append(table, ids):
    rows = pa.table({"id": pa.array(ids, pa.int64())})
    write_deltalake(f"{lake}/{table}", rows, mode="append", storage_options=options)


client.execute(f"CREATE TABLE silver.shared (id int, name text, amount numeric(10,2)) PARTITIONED BY (name) {PLAIN}")
client.execute("INSERT INTO silver.shared VALUES (1, 'a b', 1.5), (2, NULL, -2)")
check(
    "delta-rs reads a table of the gateway",
    [(1, "a b", "1.50"), (2, None, "-2.00")],
    sorted((row["id"], row["name"], str(row["amount"])) for row in read_by_delta_rs("silver/shared")),
)
write_deltalake(
    f"{lake}/silver/shared",
    pa.table(
        {
            "id": pa.array([3], pa.int32()),
            "name": pa.array(["ü/x"], pa.string()),
            "amount": pa.array(["3.25"], pa.string()).cast(pa.decimal128(10, 2)),
        }
    ),
    mode="append",
    storage_options=options,
)
check("the gateway reads what delta-rs appended", [1, 2, 3], ids("SELECT id FROM silver.shared ORDER BY 1"))
check("with its partition", ["3.25"], ids("SELECT amount::text FROM silver.shared WHERE name = 'ü/x'"))

append("bronze/theirs", range(1000))
check("the gateway reads a table of delta-rs", [1000], ids("SELECT count(*) FROM bronze.theirs"))
client.execute("DELETE FROM bronze.theirs WHERE id < 500")
client.execute("INSERT INTO bronze.theirs VALUES (5000)")
check(
    "delta-rs reads what the gateway changed",
    [*range(500, 1000), 5000],
    sorted(row["id"] for row in read_by_delta_rs("bronze/theirs")),
)

client.execute(f"CREATE TABLE silver.raced (id bigint) {PLAIN}")
other = Thread(target=lambda: [append("silver/raced", [n]) for n in range(10)])
other.start()
for n in range(100, 120):
    client.execute("INSERT INTO silver.raced VALUES (%s)", [n])
other.join()
check("nothing is lost when both append at once", [*range(10), *range(100, 120)], ids("SELECT id FROM silver.raced ORDER BY 1"))
finish()
