"""delta-rs reads every table that the storage layer writes, and appends to those it can write."""

import glob
import os

import duckdb
import pyarrow.parquet as pq
from checks import check, finish
from deltalake import DeltaTable, QueryBuilder, write_deltalake

folder = os.environ["LAKEGATE_WRITTEN_TABLES"]
# Features that delta-rs does not write: such tables are only read.
READ_ONLY = {"types_by_name", "types_by_id", "odd_names", "partitioned_by_name", "vectors", "vectors_and_checkpoint",
             "constrained", "tracked", "clustered", "empty", "optimized_partitions", "z_ordered", "reclustered",
             "restored", "vacuumed", "tracked_and_moved"}
# In feeds delta-rs does not read column mapping, does not decode paths, and takes no notice of deletion vectors.
NO_FEED = {"feed_by_rewriting", "feed_mapped", "feed_mapped_by_id", "feed_restored", "feed_tracked"}
# delta-rs has no type widening, and says so.
NOT_READ = {"altered_widened": "typeWidening"}


def differences(left, right, columns):
    """Rows of one and not of the other, counted; as text, so that maps and odd numbers compare."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("l", left)
    connection.register("r", right)
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    one = f"SELECT t::VARCHAR FROM (SELECT {names} FROM {{}}) t"
    rows = []
    for a, b in (("l", "r"), ("r", "l")):
        rows += connection.execute(f"({one.format(a)}) EXCEPT ALL ({one.format(b)}) LIMIT 3").fetchall()
    return rows


for path in sorted(glob.glob(f"{folder}/*/_delta_log")):
    table_path = os.path.dirname(path)
    name = os.path.basename(table_path)
    if name in NOT_READ:
        try:
            DeltaTable(table_path).to_pyarrow_table()
            refusal = "none"
        except Exception as error:  # noqa: BLE001
            refusal = str(error)
        check(f"delta-rs refuses {name}", True, NOT_READ[name].lower() in refusal.lower())
        continue
    try:
        table = DeltaTable(table_path)
        rows = QueryBuilder().register("t", table).execute("SELECT * FROM t").read_all()
        expected = pq.read_table(f"{folder}/{name}.parquet")
        columns = [field.name for field in table.schema().fields]
        import pyarrow as pa

        check(f"delta-rs reads {name}", [], differences(pa.table(rows), expected, columns))
        check(f"delta-rs tells the history of {name}", True, len(table.history()) > 0)
        actions = pa.table(table.get_add_actions(flatten=True))
        check(f"delta-rs reads the statistics of {name}", name != "empty", actions.num_rows > 0)
        if name.startswith("feed_") and name not in NO_FEED:
            recorded = pq.read_table(f"{folder}/{name}.feed.parquet")
            found = pa.table(table.load_cdf(starting_version=0).read_all())
            check(f"delta-rs reads the feed of {name}", [], differences(found, recorded, recorded.column_names))
        if name not in READ_ONLY and not name.startswith(("altered_", "made_", "changed_", "feed_")):
            write_deltalake(table_path, expected, mode="append")
            pq.write_table(expected, f"{folder}/{name}.appended.parquet")
            check(f"delta-rs appends to {name}", table.version() + 1, DeltaTable(table_path).version())
    except Exception as error:  # noqa: BLE001
        check(f"delta-rs opens {name}", None, error)
finish()
