"""Exact counts: right, bounded, given up in time, and remembered only for as long as they are true."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import AsyncConnection

import support
from pgalmanac import counts, overview
from pgalmanac.catalog import inspect
from pgalmanac.config import Counting, Layer, Settings
from pgalmanac.counts_cache import CountsCache
from pgalmanac.db import connect
from pgalmanac.estimates import estimates
from pgalmanac.figures import statistics
from pgalmanac.policy import Policy
from pgalmanac.results import CountProgress, PartitionCount
from pgalmanac.table_names import TableName, TableRef
from pgalmanac.view import View, view

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pgalmanac.db import Session
    from pgalmanac.pgserver import Cluster

EVENTS = TableRef(name="events")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Give the path of a cache that does not exist yet."""
    return tmp_path / "folder" / "counts.sqlite"


async def see(session: Session) -> View:
    """Look at the events table."""
    return view(await inspect(session, EVENTS), Policy())


async def count(
    conninfo: str,
    cache: Path | None,
    *,
    dsn: str | None = None,
    **options: Any,  # noqa: ANN401  # fields of Counting
) -> list[PartitionCount]:
    """Count all of events, in the order in which the counts arrive."""
    async with connect(conninfo, read_only=True) as session:
        seen = await see(session)
        found = await estimates(session, seen)
        chosen = Counting(**{"cache": cache is not None, **options})
        return [c async for c in counts.exact(session, seen, found, options=chosen, dsn=dsn, cache=cache)]


def rows_of(counted: list[PartitionCount]) -> dict[str, int | None]:
    """Return the rows by the last part of a partition's name: the day of the month, or `default`."""
    return {c.name.name: c.rows for c in counted}


async def test_every_partition_is_counted_newest_first(database: str) -> None:
    """Rows, oldest and newest are those that the table has; the default partition comes last."""
    support.add_partitions(database, days=range(-3, 1), rows_a_day=50)
    support.add_default(database)
    support.add_rows(database, day=9, count=7)

    counted = await count(database, None)

    truth = support.rows(
        database, "SELECT tableoid::int8, count(*), min(timestamp), max(timestamp) FROM events GROUP BY 1"
    )
    assert {oid: (n, low, high) for oid, n, low, high in truth} == {
        c.oid: (c.rows, c.oldest.replace(tzinfo=None), c.newest.replace(tzinfo=None))
        for c in counted
        if c.oldest is not None and c.newest is not None
    }
    assert [0, -1, -2, -3] == [(c.oldest.date() - support.today()).days for c in counted[:4] if c.oldest is not None]
    assert "events_default" == counted[-1].name.name
    assert all(c.exact and not c.cached and c.error is None and c.counted_at is not None for c in counted)


async def test_two_connections_count_the_same(database: str) -> None:
    """Each partition once, whoever counted it; the connections are gone afterwards."""
    support.add_partitions(database, days=range(-9, 1), rows_a_day=20)

    counted = await count(database, None, dsn=database, connections=3)

    assert dict.fromkeys(support.partition_names(database), 20) == rows_of(counted)
    assert len(counted) == len({c.oid for c in counted})


async def test_a_default_partition_that_was_emptied_is_not_estimated(database: str) -> None:
    """It was looked into; what the last ANALYZE made of the stray rows that are gone is no matter."""
    support.add_partitions(database, days=[0])
    support.add_default(database)
    support.add_rows(database, day=9, count=7)
    support.rows(database, "WITH gone AS (DELETE FROM events_default RETURNING 1) SELECT count(*) FROM gone")
    with support.connect(database) as connection:
        connection.execute("UPDATE pg_class SET reltuples = 7 WHERE relname = 'events_default'")
    async with connect(database, read_only=True) as session:
        found = await estimates(session, await see(session))

    assert {"events_default": 0} == {c.name.name: c.rows for c in found if c.name.name == "events_default"}


DELETION = "DELETE FROM events WHERE aggregate_id::int >= 100"


@pytest.mark.pg(">= 15")
@pytest.mark.parametrize(
    ("expected", "meanwhile"),
    [
        pytest.param(1000, ("SELECT pg_stat_reset()",), id="the counters begin anew"),
        pytest.param(1005, ("SELECT pg_stat_reset()", "5 rows"), id="and count what comes then"),
        pytest.param(100, ("SELECT pg_stat_reset()", DELETION), id="and what goes"),
        pytest.param(100, ("SELECT pg_stat_reset()", "ANALYZE events", DELETION), id="also after the next ANALYZE"),
        pytest.param(1005, ("SELECT pg_stat_reset()", "5 rows", "ANALYZE events"), id="until the next ANALYZE"),
        pytest.param(1005, ("5 rows",), id="they went on"),
        pytest.param(100, (DELETION,), id="they know of a deletion"),
        pytest.param(0, ("DELETE FROM events",), id="and of that of all"),
        pytest.param(5, ("TRUNCATE events", "SELECT pg_stat_reset()", "5 rows"), id="what was emptied holds nothing"),
    ],
)
async def test_counters_that_began_anew_are_not_taken_for_the_rows(
    database: str, expected: int, meanwhile: tuple[str, ...]
) -> None:
    """After a crash, a failover or a reset they know the rows since then, and the last ANALYZE knew the others."""
    support.add_partitions(database, days=[0], rows_a_day=1000)
    with support.connect(database) as connection:
        connection.execute("ANALYZE events")
        for step in meanwhile:
            if step == "5 rows":
                support.add_rows(database, day=0, count=5)
            else:
                connection.execute(step.encode())
                connection.execute("SELECT pg_stat_force_next_flush()")
    async with connect(database, read_only=True) as session:
        table = await see(session)
        found = await estimates(session, table)

    assert [expected] == [c.rows for c in found] == [p.rows for p in table.table.partitions]


async def test_small_partitions_are_asked_for_together(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a transaction of its own, so that one is locked at a time; a large one goes alone."""
    support.add_partitions(database, days=range(-19, 1), rows_a_day=5)
    messages: list[str] = []
    execute = AsyncConnection.execute

    async def heard(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the driver's own
        text = query if isinstance(query, str) else query.as_string(self)
        messages.extend([text] if "count(*)" in text else [])
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(AsyncConnection, "execute", heard)
    counted = await count(database, None)
    together = len(messages)
    monkeypatch.setattr(counts, "_TOGETHER_BYTES", 0)
    alone = await count(database, None)

    assert [c.oid for c in alone] == [c.oid for c in counted]
    assert dict.fromkeys(support.partition_names(database), 5) == rows_of(counted) == rows_of(alone)
    assert together < 10
    assert 20 == len(messages) - together
    for text in messages:
        assert text.count("count(*)") == text.count("BEGIN READ ONLY") == text.count("COMMIT")


async def test_a_server_without_room_for_more_connections_is_counted_over_one(
    database: str, make_role: Callable[..., str]
) -> None:
    """The second connection is a wish: that it is refused costs time and nothing else."""
    support.add_partitions(database, days=range(-3, 1), rows_a_day=20)
    role = make_role("CONNECTION LIMIT 1")
    with support.connect(database) as connection:
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())

    counted = await count(f"{database} user={role}", None, dsn=f"{database} user={role}", connections=4)

    assert [20] * 4 == [c.rows for c in counted]


async def test_a_partition_that_is_partitioned_itself_is_counted_with_what_is_below_it(database: str) -> None:
    """Its own table holds nothing, and a zero shown as exact would be wrong."""
    day = support.today()
    with support.connect(database) as connection:
        connection.execute(
            f"CREATE TABLE events_now PARTITION OF events FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}') "
            "PARTITION BY RANGE (timestamp)".encode()
        )
        connection.execute("CREATE TABLE events_now_all PARTITION OF events_now DEFAULT")
    support.add_rows(database, day=0, count=30)
    with support.connect(database) as connection:
        connection.execute("ANALYZE events_now_all")

    async with connect(database, read_only=True) as session:
        estimated = await estimates(session, await see(session))
    counted = await count(database, None)

    assert [30] == [c.rows for c in counted]
    assert [30] == [c.rows for c in estimated]
    assert estimated[0].bytes is not None
    assert estimated[0].bytes > 0


async def test_infinite_keys_are_counted_and_have_no_date(database: str) -> None:
    """A key that no calendar holds counts as a row and is nobody's oldest or newest event."""
    with support.connect(database) as connection:
        connection.execute("CREATE TABLE events_rest PARTITION OF events FOR VALUES FROM ('2100-01-01') TO (MAXVALUE)")
        connection.execute(
            "INSERT INTO events (event_id, event_type, event_version, timestamp, aggregate_type, aggregate_id, data) "
            "VALUES (gen_random_uuid(), 'x', 1, 'infinity', 'o', '1', '{}')"
        )

    counted = await count(database, None)

    assert [(1, None, None)] == [(c.rows, c.oldest, c.newest) for c in counted]


@pytest.mark.pg(">= 15")
async def test_what_has_not_changed_is_not_counted_again(database: str, cache: Path) -> None:
    """The second time closed days come from the cache, as of the first time; today and the default are counted."""
    support.add_partitions(database, days=[-4, -3, -2, 0], rows_a_day=20)  # of yesterday it may be too early
    support.add_default(database)

    first = await count(database, cache)
    second = await count(database, cache)

    assert not any(c.cached for c in first)
    assert {0: False, -2: True, -3: True, -4: True} == {
        (c.oldest.date() - support.today()).days: c.cached for c in second if c.oldest is not None
    }
    by_oid = {c.oid: c for c in first}
    assert [replace(by_oid[c.oid], cached=True) for c in second if c.cached] == [c for c in second if c.cached]


CHANGES = {
    "an insert": "INSERT INTO {p} SELECT * FROM {p} LIMIT 0; INSERT INTO {p} (event_id, event_type, event_version, "
    "timestamp, aggregate_type, aggregate_id, data) SELECT gen_random_uuid(), 'x', 1, min(timestamp), 'o', '1', '{{}}' "
    "FROM {p}",
    "a delete": "DELETE FROM {p}",
    "an update of the key": "UPDATE {p} SET timestamp = timestamp + interval '1 second'",
    "truncate": "TRUNCATE {p}",
    "truncate and as many rows again": "CREATE TEMP TABLE t AS TABLE {p}; TRUNCATE {p}; "
    "INSERT INTO {p} SELECT * FROM t LIMIT 5",
    "a rewrite": "VACUUM FULL {p}",
    "a reset of its counters": "SELECT pg_stat_reset_single_table_counters('{p}'::regclass)",
    "a reset of all counters": "SELECT pg_stat_reset()",
}


@pytest.mark.pg(">= 15")
@pytest.mark.parametrize("change", CHANGES)
async def test_what_changed_is_counted_again(database: str, cache: Path, change: str) -> None:
    """Whatever may have changed a partition makes its count void; the number shown is the true one."""
    support.add_partitions(database, days=[-2], rows_a_day=20)
    name = support.partition_names(database)[0]
    await count(database, cache)

    with support.connect(database) as connection:
        for statement in CHANGES[change].format(p=name).split("; "):
            connection.execute(statement.encode())
        connection.execute("SELECT pg_stat_force_next_flush()")
    (again,) = await count(database, cache)

    ((truth,),) = support.rows(database, f"SELECT count(*) FROM {name}")
    assert (truth, False) == (again.rows, again.cached)


@pytest.mark.pg(">= 15")
async def test_counters_that_began_anew_after_a_crash_say_nothing(own_server: Cluster, cache: Path) -> None:
    """After a crash all counters are zero, twice the same key for different rows: the second crash is noticed."""
    conninfo = own_server.conninfo()
    support.create_events(conninfo, days=[-2], rows_a_day=10)
    with support.connect(conninfo) as connection:
        connection.execute("CHECKPOINT")
    _crash(own_server)
    (first,) = await count(conninfo, cache)
    support.add_rows(conninfo, day=-2, count=5)
    with support.connect(conninfo) as connection:
        connection.execute("CHECKPOINT")
    _crash(own_server)

    (second,) = await count(conninfo, cache)

    assert (10, 15) == (first.rows, second.rows)
    assert not second.cached


def _crash(server: Cluster) -> None:
    """Stop the server without a checkpoint, and start it: it recovers."""
    server._run("pg_ctl", "stop", "-s", "-w", "-m", "immediate", "-D", server.data)
    server._run("pg_ctl", "start", "-s", "-w", "-D", server.data, "-l", server.log)


@pytest.mark.pg(">= 15")
async def test_without_counters_nothing_is_remembered(database: str, cache: Path) -> None:
    """A server with track_counts off cannot say whether something changed."""
    support.add_partitions(database, days=[-2], rows_a_day=20)
    with support.connect(database) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET track_counts = off".encode())

    counted = [await count(database, cache) for _ in range(2)]

    assert [[False], [False]] == [[c.cached for c in each] for each in counted]


@pytest.mark.pg("== 14")
async def test_before_15_nothing_is_remembered(database: str, cache: Path) -> None:
    """There the counters lag behind what is visible."""
    support.add_partitions(database, days=[-2], rows_a_day=20)

    counted = [await count(database, cache) for _ in range(2)]

    assert [[False], [False]] == [[c.cached for c in each] for each in counted]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_text("this was a shopping list\n" * 500),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "another table": lambda path: _sql(path, "DROP TABLE counts", "CREATE TABLE counts (a, b)"),
    "another number": lambda path: _sql(path, "UPDATE counts SET count = replace(count, '20', '99')"),
    "another partition's number": lambda path: _sql(path, "UPDATE counts SET key = 'x' || key"),
    "no number": lambda path: _sql(path, "UPDATE counts SET count = x'00ff'"),
    "another server's": lambda path: _sql(path, "UPDATE counts SET server = 'x' || server"),
}


def _sql(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.pg(">= 15")
@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_cache_is_a_recount(database: str, cache: Path, damage: str) -> None:
    """Whatever stands in the file: no error, no wrong number, and no number that nobody counted."""
    support.add_partitions(database, days=range(-3, -1), rows_a_day=20)
    await count(database, cache)
    DAMAGE[damage](cache)

    counted = await count(database, cache)

    assert [(20, False)] * 2 == [(c.rows, c.cached) for c in counted]


@pytest.mark.pg(">= 15")
async def test_a_file_that_is_no_database_is_replaced(database: str, cache: Path) -> None:
    """Otherwise one accident would mean counting for ever."""
    support.add_partitions(database, days=[-2], rows_a_day=20)
    await count(database, cache)
    DAMAGE["no database"](cache)

    counted = [await count(database, cache) for _ in range(2)]

    assert [[False], [True]] == [[c.cached for c in each] for each in counted]


async def test_a_cache_that_cannot_be_written_changes_nothing(database: str, tmp_path: Path) -> None:
    """The folder's name is taken by a file, and not even root may write into that."""
    support.add_partitions(database, days=[-2], rows_a_day=20)
    (tmp_path / "taken").write_text("")

    counted = await count(database, tmp_path / "taken" / "counts.sqlite")

    assert [20] == [c.rows for c in counted]


@pytest.mark.pg(">= 15")
async def test_a_cache_that_another_process_holds_changes_nothing(database: str, cache: Path) -> None:
    """Two dashboards share one file: the second neither waits for long nor fails."""
    support.add_partitions(database, days=[-2], rows_a_day=20)
    await count(database, cache)
    holder = sqlite3.connect(cache)
    holder.execute("BEGIN EXCLUSIVE")

    counted = await count(database, cache)  # while the other one still holds it
    holder.close()

    assert [(20, False)] == [(c.rows, c.cached) for c in counted]


async def test_a_partition_without_the_right_to_read_it_keeps_its_estimate(
    database: str, make_role: Callable[..., str]
) -> None:
    """One closed partition names the GRANT that opens it, and the others are counted."""
    support.add_partitions(database, days=[-2, -1], rows_a_day=20)
    older, newer = support.partition_names(database)
    role = make_role()
    with support.connect(database) as connection:
        connection.execute(f"GRANT SELECT ON events, {newer} TO {role}".encode())

        counted = await count(f"{database} user={role}", None)
        (said,) = [c.error for c in counted if c.error is not None]
        grant = said.removeprefix("this role may not read it: ")
        connection.execute(grant.encode())
        after = await count(f"{database} user={role}", None)

    assert {newer: True, older: False} == {c.name.name: c.exact for c in counted}
    assert grant == f'GRANT SELECT ON "public"."{older}" TO "{role}"'
    assert {newer: (20, None), older: (20, None)} == {c.name.name: (c.rows, c.error) for c in after}


async def test_a_partition_in_a_closed_schema_names_that_too(database: str, make_role: Callable[..., str]) -> None:
    """The right to the table is not enough, nor is that to its schema."""
    support.add_partitions(database, days=[-2], rows_a_day=20)
    (moved,) = support.partition_names(database)
    role = make_role()
    with support.connect(database) as connection:
        connection.execute('CREATE SCHEMA "the old"')
        connection.execute(f'ALTER TABLE {moved} SET SCHEMA "the old"'.encode())
        (closed,) = await count(f"{database} user={role}", None, consistent=True)
        grants = (closed.error or "").removeprefix("this role may not read it: ")
        connection.execute(grants.encode())
        (opened,) = await count(f"{database} user={role}", None, consistent=True)

    assert grants == f'GRANT USAGE ON SCHEMA "the old" TO "{role}"; GRANT SELECT ON "the old"."{moved}" TO "{role}"'
    assert (20, True, None) == (opened.rows, opened.exact, opened.error)


async def test_a_partition_that_goes_while_it_is_counted_says_so(database: str) -> None:
    """Dropped, or dropped and made anew under its name: nothing is shown as its count."""
    support.add_partitions(database, days=[-2, -1], rows_a_day=20)
    older, newer = support.partition_names(database)
    async with connect(database, read_only=True) as session:
        seen = await see(session)
        found = await estimates(session, seen)
        with support.connect(database) as connection:
            connection.execute(f"DROP TABLE {older}, {newer}".encode())
        support.add_partitions(database, days=[-1], rows_a_day=3)

        counted = [c async for c in counts.exact(session, seen, found, options=Counting(cache=False))]

    assert [False, False] == [c.exact for c in counted]
    assert "another table has taken its name" == counted[0].error
    assert "does not exist" in (counted[1].error or "")


async def test_a_locked_partition_is_given_up_after_the_lock_timeout(database: str) -> None:
    """Somebody's ACCESS EXCLUSIVE lock costs two seconds, not the whole count."""
    support.add_partitions(database, days=[-2, -1], rows_a_day=20)
    older, newer = support.partition_names(database)
    with support.connect(database) as connection:
        connection.execute("BEGIN")
        connection.execute(f"LOCK TABLE {newer}".encode())
        counted = await count(database, None)
        connection.execute("ROLLBACK")

    assert {newer: False, older: True} == {c.name.name: c.exact for c in counted}


SLOW_SECONDS = 120
SLOW = f"CREATE VIEW slow AS SELECT now()::timestamp AS timestamp FROM pg_sleep({SLOW_SECONDS})"


async def slow_count(session: Session, **options: Any) -> list[PartitionCount]:  # noqa: ANN401  # as above
    """Count two relations each of which takes two minutes: views that sleep, under the names of partitions."""
    seen = await see(session)
    wanted = [
        PartitionCount(oid=1, name=TableName(schema="public", name="slow"), rows=1, exact=False) for _ in range(2)
    ]
    return [c async for c in counts.exact(session, seen, wanted, options=Counting(cache=False, **options))]


async def test_a_partition_that_takes_too_long_keeps_its_estimate(database: str) -> None:
    """statement_seconds bounds each partition."""
    with support.connect(database) as connection:
        connection.execute(SLOW)
    async with connect(database, read_only=True) as session:
        counted = await slow_count(session, statement_seconds=1)

    assert [(1, False)] * 2 == [(c.rows, c.exact) for c in counted]
    assert all("counts.statement_seconds" in (c.error or "") for c in counted)


async def test_when_the_budget_is_spent_the_rest_stays_estimated(database: str) -> None:
    """max_seconds bounds all of it, also in the middle of a statement."""
    with support.connect(database) as connection:
        connection.execute(SLOW)
    async with connect(database, read_only=True) as session:
        counted = await slow_count(session, max_seconds=1)

    assert [(1, False)] * 2 == [(c.rows, c.exact) for c in counted]
    assert all("counts.max_seconds" in (c.error or "") for c in counted)


@pytest.mark.parametrize("consistent", [False, True])
async def test_what_is_asked_for_together_has_the_budget_together(
    database: str,
    consistent: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """Each of sixteen would be counted in time if it were alone; the session can be used afterwards."""
    with support.connect(database) as connection:
        connection.execute("CREATE VIEW slow AS SELECT now()::timestamp AS timestamp FROM pg_sleep(0.5)")
        ((oid,),) = connection.execute("SELECT 'slow'::regclass::oid::int8").fetchall()
    slow = PartitionCount(oid=oid, name=TableName(schema="public", name="slow"), rows=1, exact=False, bytes=1)
    options = Counting(cache=False, connections=1, max_seconds=4, consistent=consistent)
    async with connect(database, read_only=True) as session:
        seen = await see(session)
        counted = [c async for c in counts.exact(session, seen, [slow] * 32, options=options)]
        after = await session.execute("SELECT 'usable'")

        assert [("usable",)] == await after.fetchall()
    spent = "the 4 seconds of counts.max_seconds are spent"
    assert [(1, False, spent)] * 32 == [(c.rows, c.exact, c.error) for c in counted]


@pytest.mark.parametrize("counting", [Counting(cache=False, statement_seconds=3), Counting(cache=False, max_seconds=3)])
async def test_most_frequent_values_that_take_too_long_are_left_out(database: str, counting: Counting) -> None:
    """Reading the last seven days takes as long as it takes: the counts do not wait for it beyond their limits."""
    support.add_partitions(database, days=[-2], rows_a_day=1)
    with support.connect(database) as connection:
        connection.execute("CREATE TYPE slow AS ENUM ('a')")
        connection.execute(
            "CREATE FUNCTION as_text(slow) RETURNS text LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_catalog.pg_sleep(3600); RETURN 1; END'"
        )
        connection.execute("CREATE CAST (slow AS text) WITH FUNCTION as_text(slow)")
        connection.execute("ALTER TABLE events ADD COLUMN kind slow DEFAULT 'a'")
    settings = Settings(dsn=database, counts=counting, defaults=Layer(values={"breakdown": "kind"}))
    report = await overview.status(settings, exact=True)

    (table,) = report.tables
    assert [(1, True)] == [(c.rows, c.exact) for c in table.counts]
    assert table.statistics is not None
    assert (1, True, None, ()) == (
        table.statistics.rows,
        table.statistics.exact,
        table.statistics.breakdown_column,
        table.statistics.breakdown,
    )


async def test_counting_ends_with_its_task(database: str) -> None:
    """Cancelling ends it long before the count would, on the server too, and the session goes on working."""
    counting = (
        "SELECT query FROM pg_stat_activity WHERE query LIKE '%slow%' AND state = 'active' "
        "AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    with support.connect(database) as connection:
        connection.execute(SLOW)
    async with connect(database, read_only=True) as session:
        task = asyncio.create_task(slow_count(session))
        async with asyncio.timeout(SLOW_SECONDS / 2):
            while not support.rows(database, counting):  # noqa: ASYNC110  # the server knows it
                await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        row = await (await session.execute("SELECT current_setting('statement_timeout')")).fetchone()

    assert ("0",) == row
    assert [] == support.rows(database, counting)


async def test_what_was_counted_before_the_end_is_remembered(database: str, cache: Path) -> None:
    """Closing the stream early keeps what it has seen."""
    support.add_partitions(database, days=range(-5, -1), rows_a_day=20)
    async with connect(database, read_only=True) as session:
        seen = await see(session)
        found = await estimates(session, seen)
        async with aclosing(counts.exact(session, seen, found, cache=cache)) as stream:
            first = await anext(stream)

    again = await count(database, cache)

    assert first.oid in {c.oid for c in again if c.cached or session.server.version_num < 150_000}


async def test_a_lost_connection_ends_the_count(database: str) -> None:
    """The session that was given is the one that counts: without it there is an error and no half answer."""
    with support.connect(database) as connection:
        connection.execute(SLOW)
    async with connect(database, read_only=True) as session:
        task = asyncio.create_task(slow_count(session))
        await asyncio.sleep(0.3)
        support.rows(database, "SELECT pg_terminate_backend(%s)", session.conn.info.backend_pid)
        with pytest.raises(psycopg.Error):
            await task


async def test_one_snapshot_where_it_was_asked_for(database: str) -> None:
    """Rows that come between two partitions' counts are in none of them, on whichever connection."""
    support.add_partitions(database, days=range(-5, 1), rows_a_day=20)
    async with connect(database, read_only=True) as session:
        seen = await see(session)
        found = await estimates(session, seen)
        options = Counting(consistent=True, cache=False, connections=2)
        counted: list[PartitionCount] = []
        async with aclosing(counts.exact(session, seen, found, options=options, dsn=database)) as stream:
            async for one in stream:
                if not counted:
                    for day in range(-5, 1):
                        support.add_rows(database, day=day, count=9)
                counted.append(one)

    assert [20] * 6 == [c.rows for c in counted]
    assert 1 == len({c.counted_at for c in counted})


async def test_an_error_does_not_end_the_shared_snapshot(database: str, make_role: Callable[..., str]) -> None:
    """Each count stands behind a savepoint of its own."""
    support.add_partitions(database, days=[-2, -1], rows_a_day=20)
    older, newer = support.partition_names(database)
    role = make_role()
    with support.connect(database) as connection:
        connection.execute(f"GRANT SELECT ON {older} TO {role}".encode())

    counted = await count(f"{database} user={role}", None, consistent=True)

    assert {newer: False, older: True} == {c.name.name: c.exact for c in counted}


async def test_status_counts_through_the_cache_and_past_it(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The use case hears of progress, shows the counts in their order, and does without the cache when told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    support.add_partitions(database, days=[-4, -3, -2, 0], rows_a_day=20)  # of yesterday it may be too early
    settings = Settings(dsn=database)
    heard: list[object] = []

    reports = [
        (await overview.status(s, exact=True, observer=heard.append)).tables[0]
        for s in (settings, settings, replace(settings, counts=Counting(cache=False)))
    ]

    names = [list(reversed(support.partition_names(database)))] * 3
    assert names == [[c.name.name for c in r.counts] for r in reports]
    assert all(c.rows == 20 and c.exact for r in reports for c in r.counts)
    assert all(r.statistics is not None and (r.statistics.rows, r.statistics.exact) == (80, True) for r in reports)
    version = support.rows(database, "SELECT current_setting('server_version_num')::int")[0][0]
    assert [0, 3 if version >= 150000 else 0, 0] == [sum(c.cached for c in r.counts) for r in reports]
    progress = [h for h in heard if isinstance(h, CountProgress)][:4]
    assert [1, 2, 3, 4] == [p.partitions for p in progress]
    assert (4, 80) == (progress[-1].of_partitions, progress[-1].rows)


async def test_the_figures_survive_a_locked_partition(database: str) -> None:
    """What is locked hides the newest event and nothing else."""
    support.add_partitions(database, days=[-2, -1, 0], rows_a_day=20)
    newest = support.partition_names(database)[-1]
    with support.connect(database) as connection:
        connection.execute("ANALYZE events")  # the counters of 14 come late, and would change the estimate in between
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(connect(database, read_only=True))
        seen = await see(session)
        free = await statistics(session, seen)
        await session.execute("SET lock_timeout = '100ms'")
        with support.connect(database) as connection:
            connection.execute("BEGIN")
            connection.execute(f"LOCK TABLE {newest}".encode())
            locked = await statistics(session, seen)
            connection.execute("ROLLBACK")

    assert free.newest_event is not None
    assert replace(free, newest_event=None) == locked


def test_nothing_that_drops_knows_of_the_counts() -> None:
    """A remembered count never authorises a drop: who plans and who applies does not import it."""
    program = (
        "import sys, pgalmanac.plan, pgalmanac.execute, pgalmanac.guard, pgalmanac.facts, pgalmanac.apply\n"
        "print([m for m in ('pgalmanac.counts', 'pgalmanac.counts_cache', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_a_cache_without_a_home_holds_nothing() -> None:
    """An account may have none."""
    assert {} == CountsCache(None, "server").read({1: "key"})
    CountsCache(None, "server").write([])
