"""What SQLAlchemy reflects through three drivers, printed to be compared with another server's."""

import asyncio
import sys

import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

SCHEMA = "shop"


def reflected(connection):
    inspector = sqlalchemy.inspect(connection)
    kinds = sqlalchemy.engine.reflection.ObjectKind.ANY
    lines = [
        f"schemas {sorted(inspector.get_schema_names())}",
        f"tables {sorted(inspector.get_table_names(SCHEMA))}",
        f"views {sorted(inspector.get_view_names(SCHEMA))}",
        f"temporary {sorted(inspector.get_temp_table_names())}",
        f"sequences {sorted(inspector.get_sequence_names(SCHEMA))}",
        f"materialized {sorted(inspector.get_materialized_view_names(SCHEMA))}",
        f"enums {inspector.get_enums(schema=SCHEMA)}",
        f"domains {inspector.get_domains(schema=SCHEMA)}",
        f"default schema {inspector.default_schema_name}",
        f"isolation {connection.get_isolation_level()}",
    ]
    for name in (
        "get_multi_columns",
        "get_multi_pk_constraint",
        "get_multi_foreign_keys",
        "get_multi_indexes",
        "get_multi_unique_constraints",
        "get_multi_check_constraints",
        "get_multi_table_comment",
        "get_multi_table_options",
    ):
        found = getattr(inspector, name)(schema=SCHEMA, kind=kinds)
        for key in sorted(found, key=str):
            items = found[key] if isinstance(found[key], list) else [found[key]]
            lines += [f"{name} {key[1]} {item!r}" for item in items] or [f"{name} {key[1]}"]
    for view in sorted(inspector.get_view_names(SCHEMA)):
        lines.append(f"definition {view} {inspector.get_view_definition(view, SCHEMA)!r}")
    for table in sorted(inspector.get_table_names(SCHEMA)):
        made = sqlalchemy.Table(table, sqlalchemy.MetaData(), schema=SCHEMA, autoload_with=connection)
        lines.append(f"ddl {sqlalchemy.schema.CreateTable(made)}")
        lines.append(f"exists {inspector.has_table(table, SCHEMA)} {inspector.has_table('none', SCHEMA)}")
    return lines


async def asynchronous(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        lines = await connection.run_sync(reflected)
    await engine.dispose()
    return lines


port, database = sys.argv[1:]
for driver in ("psycopg2", "psycopg", "asyncpg"):
    url = f"postgresql+{driver}://lakegate:@127.0.0.1:{port}/{database}"
    if driver == "asyncpg":
        lines = asyncio.run(asynchronous(url))
    else:
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            lines = reflected(connection)
        engine.dispose()
    print(f"## {driver}")
    print("\n".join(lines))
