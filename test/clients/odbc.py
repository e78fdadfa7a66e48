"""psqlODBC against a running gateway, by its own cursors (UseDeclareFetch) and without."""

import datetime
import decimal
import glob
import os

import pyodbc
from checks import check, finish

DRIVER = glob.glob("/usr/lib/*/odbc/psqlodbcw.so")[0]


def connect(**options):
    parts = {"DRIVER": DRIVER, "SERVER": os.environ["PGHOST"], "PORT": os.environ["PGPORT"], "UID": os.environ["PGUSER"],
             "PWD": os.environ["PGPASSWORD"], "DATABASE": os.environ["PGDATABASE"], **options}
    return pyodbc.connect(";".join(f"{name}={value}" for name, value in parts.items()), autocommit=True)


for options in ({}, {"UseDeclareFetch": "1", "Fetch": "50"}, {"UseServerSidePrepare": "0"}):
    with connect(**options) as connection:
        cursor = connection.cursor()
        check(f"rows {options}", 1133, len(cursor.execute("SELECT * FROM silver.orders").fetchall()))
        row = cursor.execute("SELECT order_id, status FROM silver.orders WHERE order_id > ? ORDER BY 1", 5).fetchone()
        check(f"a parameter {options}", True, row[0] > 5)
        found = cursor.execute("SELECT 1, 2.50::numeric(10,2), 'ä', '2024-02-29'::date, '2024-02-29 12:34:56'::timestamp, NULL::int").fetchone()
        check(f"types {options}", (1, decimal.Decimal("2.50"), "ä", datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 34, 56), None), tuple(found))
        try:
            cursor.execute("SELECT nothing FROM silver.orders").fetchall()
        except pyodbc.Error as error:
            check(f"an error {options}", True, 'column "nothing" does not exist' in str(error))
        check(f"after it {options}", 1, cursor.execute("SELECT 1").fetchone()[0])
finish()
