"""The most frequent values of the last days: whatever is remembered, they are those that one query would find."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from pgalmanac.catalog import inspect
from pgalmanac.db import connect
from pgalmanac.frequencies import most_frequent
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableRef
from pgalmanac.view import view
from support import add_partitions, partition_names, today
from support import connect as by_hand

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVENTS: Final = "CREATE TABLE events (ts timestamp NOT NULL, event_type text) PARTITION BY RANGE (ts)"
DAYS: Final = range(-8, 2)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Give the path of a cache that does not exist yet."""
    return tmp_path / "counts.sqlite"


@pytest.fixture
def events(empty_database: str) -> str:
    """Give a database with a table of events, of which the days around the last seven have partitions."""
    execute(empty_database, EVENTS)
    add_partitions(empty_database, days=DAYS)
    return empty_database


def execute(conninfo: str, *statements: str) -> None:
    """Run statements, and let the server count at once what they did."""
    with by_hand(conninfo) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        if connection.info.server_version >= 150000:
            connection.execute("SELECT pg_stat_force_next_flush()")


def rows_of(day: int, kind: str | None, count: int) -> str:
    """Return an INSERT of *count* events at the beginning of a day, which is counted from today."""
    value = "NULL" if kind is None else f"'{kind}'"
    return f"INSERT INTO events SELECT '{today() + timedelta(days=day)}', {value} FROM generate_series(1, {count})"


async def frequent(
    conninfo: str, cache: Path | None = None, *, limit: int = 3, seconds: float = 60
) -> dict[str, int] | None:
    """Count the most frequent types of event."""
    async with connect(conninfo, read_only=True) as session:
        seen = view(await inspect(session, TableRef(name="events")), Policy())
        found = await most_frequent(session, seen, limit=limit, seconds=seconds, cache=cache is not None, path=cache)
        return None if found is None else dict(found)


async def test_today_and_the_six_days_before_are_counted(events: str) -> None:
    """What is older, what lies ahead and what has no value is not; the most frequent come first."""
    execute(events, *(rows_of(day, "a", 10) for day in DAYS))
    execute(events, *(rows_of(day, "b", 20) for day in (-6, 0)), rows_of(-1, "c", 1), rows_of(-1, "d", 2))
    execute(events, *(rows_of(day, "b", 500) for day in (-7, 1)), rows_of(-1, None, 500))

    assert list(((await frequent(events)) or {}).items()) == [("a", 70), ("b", 40), ("d", 2)]


async def test_partitions_that_are_only_partly_of_these_days(empty_database: str, cache: Path) -> None:
    """One large partition and the default one are counted by the key, and never remembered."""
    execute(
        empty_database,
        EVENTS,
        f"CREATE TABLE events_long PARTITION OF events FOR VALUES FROM ('2001-01-01') TO ('{today()}')",
        "CREATE TABLE events_rest PARTITION OF events DEFAULT",
        *(rows_of(day, "a", 1) for day in DAYS),
    )

    assert [await frequent(empty_database, cache) for _ in range(2)] == [{"a": 7}] * 2
    execute(empty_database, "SET track_counts = off", rows_of(-2, "a", 1), rows_of(0, "a", 1))
    assert await frequent(empty_database, cache) == {"a": 9}


@pytest.mark.pg(">= 15")
async def test_days_gone_by_are_remembered(events: str, cache: Path) -> None:
    """Rows that the server's counters did not see show what is not asked for anew, until they see another one."""
    execute(events, *(rows_of(day, "a", 10) for day in (-3, -2, 0)))
    first = await frequent(events, cache)
    execute(events, "SET track_counts = off", *(rows_of(day, "b", 5) for day in (-3, -2, 0)))
    second = await frequent(events, cache)
    execute(events, rows_of(-3, "c", 1))
    third = await frequent(events, cache)

    assert (first, second, third) == ({"a": 30}, {"a": 30, "b": 5}, {"a": 30, "b": 10, "c": 1})
    assert await frequent(events) == {"a": 30, "b": 15, "c": 1}


@pytest.mark.pg(">= 15")
@pytest.mark.parametrize("remembered", [False, True])
async def test_too_many_values_are_sorted_out_by_the_server(events: str, cache: Path, *, remembered: bool) -> None:
    """A value that is in no partition's first thousand may be the most frequent of all."""
    day = today() - timedelta(days=2)
    execute(
        events,
        f"INSERT INTO events SELECT '{day}', 'n' || n FROM generate_series(1, 1500) n, generate_series(1, 2)",
        *(rows_of(day, "everywhere", 1) for day in range(-6, 1)),
    )
    if remembered:
        await frequent(events, cache)
        (file,) = sqlite3.connect(cache).execute("SELECT sum(length(count)) FROM counts").fetchone()
        assert file < 1000

    assert (await frequent(events, cache, limit=1)) == {"everywhere": 7}


DAMAGE: Final[dict[str, Callable[[Path], object]]] = {
    "no database": lambda path: path.write_text("this was a shopping list\n" * 500),
    "another number": lambda path: _sql(path, "UPDATE counts SET count = replace(count, '10', '99')"),
    "another column's": lambda path: _sql(path, "UPDATE counts SET server = 'x' || server"),
}


def _sql(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.pg(">= 15")
async def test_a_damaged_cache_is_a_recount(events: str, cache: Path, damage: str) -> None:
    """As it is for the counts themselves."""
    execute(events, *(rows_of(day, "a", 10) for day in (-3, -2)))
    await frequent(events, cache)
    DAMAGE[damage](cache)

    assert await frequent(events, cache) == {"a": 20}


async def test_what_is_being_detached_is_no_part_of_the_table(events: str) -> None:
    """A query of the table would not find it either."""
    execute(events, *(rows_of(day, "a", 10) for day in (-3, -2)))
    name = f"events_{today() - timedelta(days=2):%Y_%m_%d}"
    with by_hand(events) as reader, by_hand(events) as other:
        reader.execute("BEGIN; SELECT count(*) FROM events")
        other.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(f"ALTER TABLE events DETACH PARTITION {name} CONCURRENTLY".encode())

    assert await frequent(events) == {"a": 10}


@pytest.mark.parametrize("seconds", [0.01, 60])
async def test_what_cannot_be_counted_in_time_is_no_answer(events: str, seconds: float) -> None:
    """Half an answer would look like a whole one; a lock is not waited for longer than for anything else."""
    execute(events, *(rows_of(day, "a", 10) for day in (-3, -2)))
    with by_hand(events) as other:
        other.execute(f"BEGIN; LOCK TABLE events_{today() - timedelta(days=3):%Y_%m_%d}".encode())

        assert await frequent(events, seconds=seconds) is None


async def test_what_may_not_be_read_is_no_answer(database: str, make_role: Callable[..., str]) -> None:
    """One closed partition is enough."""
    add_partitions(database, days=[-2, -1], rows_a_day=10)
    role = make_role()
    execute(database, f"GRANT SELECT ON events, {partition_names(database)[0]} TO {role}")

    assert await frequent(f"{database} user={role}") is None
    execute(database, f"GRANT SELECT ON {partition_names(database)[1]} TO {role}")
    assert sum((await frequent(f"{database} user={role}", limit=1000) or {}).values()) == 20
