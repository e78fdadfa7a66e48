"""Concurrent upserts by SQLAlchemy 2 over psycopg 3 and psycopg2, whose totals are exact.

LAKEGATE_UPSERT_SECONDS (5): how long each of them goes on.
"""

import os
import sys
import threading
import time

# Beside this script lie others that have their drivers' names.
here = sys.path.pop(0)
import psycopg2.extras  # noqa: E402, F401
from sqlalchemy import URL, BigInteger, create_engine, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

sys.path.append(here)
from checks import check, finish  # noqa: E402

SECONDS = float(os.environ.get("LAKEGATE_UPSERT_SECONDS", "5"))
KEYS = 12


class Base(DeclarativeBase):
    pass


class Counter(Base):
    __tablename__ = "upserts_sqlalchemy"
    __table_args__ = {"schema": "silver"}
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(BigInteger)


def race(driver):
    url = URL.create(f"postgresql+{driver}", os.environ["PGUSER"], os.environ["PGPASSWORD"], os.environ["PGHOST"],
                     int(os.environ["PGPORT"]), os.environ["PGDATABASE"])
    engine = create_engine(url, pool_size=4)
    administration = engine.execution_options(isolation_level="AUTOCOMMIT")
    Base.metadata.drop_all(administration)
    Base.metadata.create_all(administration)
    totals = [0] * KEYS
    failures = []
    lock = threading.Lock()
    end = time.monotonic() + SECONDS

    def work(client):
        i = 0
        while time.monotonic() < end:
            key, n = (client * 5 + i * 7) % KEYS, i % 9 + 1
            statement = insert(Counter).values(id=key, n=n)
            statement = statement.on_conflict_do_update(
                index_elements=[Counter.id], set_={"n": Counter.n + statement.excluded.n})
            i += 1
            try:
                if i % 2:
                    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                        connection.execute(statement)
                else:
                    # In a block it is the client who begins again.
                    while True:
                        try:
                            with Session(engine) as session, session.begin():
                                session.execute(statement)
                            break
                        except DBAPIError as error:
                            if getattr(error.orig, "sqlstate", None) != "40001" and getattr(error.orig, "pgcode", None) != "40001":
                                raise
                with lock:
                    totals[key] += n
            except Exception as error:
                failures.append(str(error)[:200])

    threads = [threading.Thread(target=work, args=(client,)) for client in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(f"{driver}: no statement fails", [], failures)
    with Session(engine) as session:
        rows = session.execute(select(Counter.id, Counter.n).order_by(Counter.id)).all()
    check(f"{driver}: totals are exact", [(key, n) for key, n in enumerate(totals) if n], [tuple(row) for row in rows])


race("psycopg")
race("psycopg2")
finish()
