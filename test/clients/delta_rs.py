"""delta-rs reads the tables of the demonstration lake as the gateway does."""

import os

from checks import check, finish
from deltalake import DeltaTable

lake = os.environ["LAKEGATE_TEST_LAKE"]
check("customers", 100, DeltaTable(f"{lake}/silver/customers").count())
check("events through a checkpoint", 2000, DeltaTable(f"{lake}/bronze/events").count())
for version, expected in [(0, 400), (1, 600), (2, 600), (3, 1000)]:
    check(f"orders version {version}", expected, DeltaTable(f"{lake}/silver/orders", version=version).count())
check("the history of orders", 6, len(DeltaTable(f"{lake}/silver/orders").history()))
finish()
