"""asyncpg against a running gateway: named statements, binary results."""

import asyncio
import datetime
import decimal
import sys

here = sys.path.pop(0)
import asyncpg  # noqa: E402

sys.path.insert(0, here)
from checks import check, finish  # noqa: E402


async def main():
    connection = await asyncpg.connect(ssl=False)
    values = [
        ("int4", 5), ("int8", 2**40), ("float8", 0.25), ("text", "häß"), ("bool", False),
        ("date", datetime.date(2024, 2, 29)), ("bytea", b"\x01"), ("int4[]", [1, 2, 3]),
        ("numeric(12,4)", decimal.Decimal("12.3400")), ("timestamp", datetime.datetime(2024, 1, 2, 3, 4, 5)),
    ]
    for name, value in values:
        check(f"{name} both ways", value, await connection.fetchval(f"SELECT $1::{name}", value))
    async with connection.transaction():
        count = 0
        async for _ in connection.cursor("SELECT order_id FROM silver.orders", prefetch=100):
            count += 1
        check("a cursor", 1133, count)
    try:
        await connection.fetch("SELECT * FROM nothing")
    except asyncpg.PostgresError as error:
        check("an error's code", "42P01", error.sqlstate)
    try:
        await connection.execute("SELECT pg_sleep(20)", timeout=0.3)
    except asyncio.TimeoutError:
        check("cancel after a timeout", 1, await connection.fetchval("SELECT 1"))
    await connection.close()


asyncio.run(main())
finish()
