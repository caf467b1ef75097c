"""What doctor says of tables that nothing is wrong with yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgalmanac.config import load
from pgalmanac.doctor import examine
from pgalmanac.doctor_lines import Verdict
from support import add_partitions, connect, partition_names

if TYPE_CHECKING:
    from pathlib import Path

ORDERS = "CREATE TABLE orders (ts timestamptz NOT NULL) PARTITION BY RANGE (ts)"


async def notes(conninfo: str, topic: str, **options: object) -> list[str]:
    """What is worth knowing about a table."""
    settings = load(environ={}, dsn=conninfo, **options)  # type: ignore[arg-type]  # what a test says
    return [x.message for x in await examine(settings, {}) if (x.verdict, x.topic) == (Verdict.NOTE, topic)]


async def test_a_table_that_nobody_maintains_is_named(database: str, tmp_path: Path) -> None:
    """The next one to stop taking rows; until somebody names it, or pg_partman has it."""
    add_partitions(database, days=range(-3, 3))
    with connect(database) as connection:
        connection.execute(ORDERS.encode())
    add_partitions(database, days=range(-3, 0), parent="orders")
    left = "partitioned by time, and not among the tables to maintain; "
    config = tmp_path / "config.toml"
    config.write_text('[[tables]]\nname = "events"\n\n[[tables]]\nname = "orders"\n')

    assert await notes(database, "public.orders") == [f"{left}it has no partition for now: inserts fail"]
    assert await notes(database, "public.orders", config=config) == []
    assert await notes(database, "public.orders", config=config, tables=["events"]) == []
    with connect(database) as connection:
        connection.execute("CREATE TABLE orders_rest PARTITION OF orders DEFAULT")
    assert await notes(database, "public.orders") == [
        f"{left}it has no partition for now: inserts go to the default one"
    ]
    add_partitions(database, days=[0, 1], parent="orders")
    assert [m for m in await notes(database, "public.orders") if f"{left}its partitions end on" in m]
    with connect(database) as connection:
        connection.execute(
            "CREATE SCHEMA partman; CREATE TABLE partman.part_config (parent_table text);"
            "INSERT INTO partman.part_config VALUES ('public.orders')"
        )
    assert await notes(database, "public.orders") == []


async def test_of_many_tables_that_nobody_maintains_some_are_named(database: str) -> None:
    """A page of them says no more than their number."""
    with connect(database) as connection:
        for number in range(23):
            connection.execute(ORDERS.replace("orders", f"log_{number}").encode())
    settings = load(environ={}, dsn=database)
    said = [x for x in await examine(settings, {}) if "partitioned by time" in x.message]

    assert (21, "3 more tables are partitioned by time") == (len(said), said[-1].message)


async def test_a_table_that_was_not_analysed_as_a_whole_is_named(database: str) -> None:
    """Autovacuum analyses partitions, and never what they are partitions of."""

    async def said(*statements: str) -> list[str]:
        with connect(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return [m for m in await notes(database, "public.events") if "ANALYZE public.events" in m]

    add_partitions(database, days=[-1, 0], rows_a_day=6000)
    (never,) = await said(*(f"ANALYZE {name}" for name in partition_names(database)))
    now = await said("ANALYZE events")
    add_partitions(database, days=[-3, -2], rows_a_day=9000)
    (before,) = await said(*(f"ANALYZE {name}" for name in partition_names(database)))

    assert never.startswith("never analysed as a whole")
    assert now == []
    assert before.startswith("last analysed when it had about 12,000 rows")
