"""Spark with Delta reads every table that the storage layer writes, and appends to those it can write."""

import glob
import os
import shutil

from checks import check, finish
from delta import configure_spark_with_delta_pip
from delta.tables import DeltaTable, IdentityGenerator
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import MapType

folder = os.environ["LAKEGATE_WRITTEN_TABLES"]
builder = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.memory", "1g")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.databricks.delta.snapshotPartitions", "1")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    # Spark asks by which calendar it shall write old dates; how it reads ours is left to the files.
    .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
    # Whatever Spark can check of a table, it shall check.
    .config("spark.databricks.delta.stateReconstructionValidation.enabled", "true")
)
spark = configure_spark_with_delta_pip(builder).getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


def comparable(frame, columns):
    """Maps, which Spark does not compare, as lists of their entries."""
    return frame.select(
        [
            (F.map_entries(F.col(f"`{c}`")) if isinstance(frame.schema[c].dataType, MapType) else F.col(f"`{c}`")).alias(c)
            for c in columns
        ]
    )


def differences(left, right, columns):
    left, right = comparable(left, columns), comparable(right, columns)
    return left.exceptAll(right).limit(3).collect() + right.exceptAll(left).limit(3).collect()


def feed(table_path):
    frame = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 0).load(table_path)
    return frame.drop("_commit_timestamp")


def keep(frame, file):
    """The rows as one file, in place of the one that is there."""
    frame.coalesce(1).write.mode("overwrite").parquet(f"{folder}/kept")
    shutil.move(glob.glob(f"{folder}/kept/*.parquet")[0], file)
    shutil.rmtree(f"{folder}/kept")


def check_feed(name, table_path):
    """Spark reads the feed, changes rows itself, and leaves its own account of both for us to read."""
    recorded = spark.read.parquet(f"{folder}/{name}.feed.parquet")
    found = feed(table_path)
    check(f"Spark reads the feed of {name}", [], differences(found, recorded, found.columns))
    check(f"the feed of {name} is not empty", True, recorded.count() > 0)
    target = DeltaTable.forPath(spark, table_path)
    target.update("n % 4 = 0", {"s": F.lit("by Spark")})
    target.delete("n % 4 = 1")
    source = spark.createDataFrame([(2, "merged by Spark"), (99, "made by Spark")], "n BIGINT, s STRING")
    (
        target.alias("t").merge(source.alias("x"), "t.n = x.n")
        .whenMatchedUpdate(set={"s": "x.s"}).whenNotMatchedInsert(values={"n": "x.n", "s": "x.s"}).execute()
    )
    keep(spark.read.format("delta").load(table_path), f"{folder}/{name}.parquet")
    keep(feed(table_path), f"{folder}/{name}.feed.parquet")


for path in sorted(glob.glob(f"{folder}/*/_delta_log")):
    table_path = os.path.dirname(path)
    name = os.path.basename(table_path)
    try:
        table = spark.read.format("delta").load(table_path)
        expected = spark.read.parquet(f"{folder}/{name}.parquet")
        check(f"Spark reads {name}", [], differences(table, expected, table.columns))
        first = table.columns[0]
        if name != "empty":
            # Skipping by our statistics and partition values changes no answer.
            sample = expected.select(F.col(f"`{first}`").alias("v")).where("v IS NOT NULL").limit(1).collect()[0].v
            column = F.col(f"`{first}`")
            for label, condition in (("=", column == sample), (">", column > sample), ("<=", column <= sample), ("null", column.isNull())):
                check(f"Spark finds rows of {name} by {label}", expected.where(condition).count(), table.where(condition).count())
        if name == "feed_tracked":
            ids = table.select("n", "_metadata.row_id", "_metadata.row_commit_version")
            check(f"Spark finds the ids of rows of {name}", [], ids.where("n <> row_id").collect())
            check(f"Spark finds what was changed last in {name}", [], ids.where("row_commit_version <> 5").collect())
            old = spark.read.format("delta").option("versionAsOf", 4).load(table_path).select("n", "_metadata.row_id", "_metadata.row_commit_version")
            changed = "CASE WHEN n < 5 THEN 2 WHEN n = 7 THEN 4 ELSE 1 END"
            check(f"Spark finds the ids of rows of {name} as it was", [], old.where(f"n <> row_id OR row_commit_version <> {changed}").collect())
        if name.startswith("feed_"):
            check_feed(name, table_path)
            continue
        if name == "tracked_and_moved":
            ids = table.select("n", "_metadata.row_id", "_metadata.row_commit_version")
            check(f"Spark finds the ids of rows of {name}", [], ids.where("n <> row_id OR row_commit_version <> IF(n < 10, 0, 1)").collect())
        history = spark.sql(f"DESCRIBE HISTORY delta.`{table_path}`").collect()
        check(f"Spark tells the history of {name}", True, str(history[0].engineInfo).startswith("Lakegate/"))
        if name == "made_clustered":
            detail = spark.sql(f"DESCRIBE DETAIL delta.`{table_path}`").collect()[0]
            check("Spark knows what made_clustered is clustered by", ["n"], list(detail.clusteringColumns))
        if name == "made_replaced":
            old = spark.read.format("delta").option("versionAsOf", 1).load(table_path)
            check("Spark reads made_replaced as it was", [(1, "x"), (2, "y")], sorted((r.a, r.p) for r in old.collect()))
        if name == "made_identity":
            # Spark counts on from where we were, and we go on from there.
            expected.select("s").write.format("delta").mode("append").save(table_path)
            after = spark.read.format("delta").load(table_path)
            added = after.exceptAll(expected).orderBy("id")
            ids = [row.id for row in added.collect()]
            check("Spark goes on with the numbers of made_identity", True, len(set(ids)) == 12 and min(ids) > 60 and all(i % 5 == 0 for i in ids))
            added.coalesce(1).write.mode("overwrite").parquet(f"{folder}/made_identity.more")
            shutil.move(glob.glob(f"{folder}/made_identity.more/*.parquet")[0], f"{folder}/made_identity.appended.parquet")
            shutil.rmtree(f"{folder}/made_identity.more")
            continue
        # Spark's own row of the same types, which every constraint of the table allows.
        if name != "empty":
            expected.select(table.columns).write.format("delta").mode("append").save(table_path)
            shutil.copy(f"{folder}/{name}.parquet", f"{folder}/{name}.appended.parquet")
            after = spark.read.format("delta").load(table_path)
            check(f"Spark appends to {name}", 2 * expected.count(), after.count())
    except Exception as error:  # noqa: BLE001
        check(f"Spark opens {name}", None, str(error)[:600])

# Identity columns that Spark declares are ours to count too.
(
    DeltaTable.create(spark)
    .location(f"{folder}/spark_identity")
    .addColumn("id", "BIGINT", generatedAlwaysAs=IdentityGenerator(start=7, step=3))
    .addColumn("s", "STRING")
    .execute()
)
made = spark.createDataFrame([("a",), ("b",)], "s STRING")
made.write.format("delta").mode("append").save(f"{folder}/spark_identity")
spark.read.format("delta").load(f"{folder}/spark_identity").coalesce(1).write.parquet(f"{folder}/spark_identity.rows")
shutil.move(glob.glob(f"{folder}/spark_identity.rows/*.parquet")[0], f"{folder}/spark_identity.parquet")
shutil.rmtree(f"{folder}/spark_identity.rows")
spark.stop()
finish()
