"""psycopg2 against a running gateway: simple queries only."""

import decimal

# The module of this name is the driver: the folder of this script is not searched for it.
import sys

here = sys.path.pop(0)
import psycopg2  # noqa: E402

sys.path.insert(0, here)
from checks import check, finish  # noqa: E402

connection = psycopg2.connect("")
cursor = connection.cursor()
cursor.execute("SELECT %s::int, %s, %s::numeric(10,2), NULL", (5, "it's", decimal.Decimal("1.50")))
check("literals", (5, "it's", decimal.Decimal("1.50"), None), cursor.fetchone())
named = connection.cursor("named")
named.execute("SELECT order_id FROM silver.orders ORDER BY 1")
check("a named cursor", 50, len(named.fetchmany(50)))
named.close()
try:
    cursor.execute("SELECT 1/0")
except psycopg2.Error as error:
    check("an error's code", "22012", error.pgcode)
try:
    cursor.execute("SELECT 1")
except psycopg2.Error as error:
    check("a failed block", "25P02", error.pgcode)
connection.rollback()
with open("/dev/null", "w") as sink:
    cursor.copy_expert("COPY silver.customers TO STDOUT (FORMAT csv, HEADER)", sink)
    check("COPY of a table", 100, cursor.rowcount)
finish()
