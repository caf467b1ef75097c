"""A look that finds nothing new costs one question; whatever has changed is seen by the next one."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from dashboards import EVENTS, PATIENCE_SECONDS, opened, until
from pgalmanac import maintain
from pgalmanac.actions import GOING
from pgalmanac.config import Settings
from pgalmanac.findings import Code
from pgalmanac.inspection import MAINTAIN
from pgalmanac.model import Server
from pgalmanac.schedule import Schedule
from pgalmanac.table_names import TableName, TableRef
from pgalmanac_tui import polling
from pgalmanac_tui.gateway import ServerGateway
from pgalmanac_tui.kept import Kept
from pgalmanac_tui.model import Link
from pgalmanac_tui.snapshot import Snapshot, TableState
from support import add_default, add_partitions, add_rows, connect, create_events, today

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pgalmanac.pgserver import Cluster
    from pgalmanac.records import RunRecord


@asynccontextmanager
async def looked(
    conninfo: str, *, requested: tuple[TableRef, ...] = (EVENTS,)
) -> AsyncIterator[tuple[ServerGateway, TableState]]:
    """A gateway that has looked until it found nothing new, and what it has."""
    gateway = ServerGateway(Settings(dsn=conninfo, requested=requested))
    try:
        before, table = None, (await gateway.poll(None)).table
        while table is not before:  # the counters of the fixture's rows may still be on their way
            before, table = table, (await gateway.poll(None)).table
        assert table is not None
        yield gateway, table
    finally:
        await asyncio.to_thread(gateway.stop)


async def next_look(gateway: ServerGateway, kept: TableState) -> TableState:
    """The first table that is not the one that was kept."""
    end = monotonic() + PATIENCE_SECONDS
    while (found := (await gateway.poll(None)).table) is kept:
        assert monotonic() < end, "the change is not seen"
        await asyncio.sleep(0.05)
    assert found is not None
    return found


async def test_nothing_new_is_the_table_of_the_last_look_at_a_later_moment(database: str) -> None:
    """The same object, so that nothing is worked out again; the clock goes on."""
    add_partitions(database, days=range(-5, 31), rows_a_day=3)

    async with looked(database) as (gateway, kept):
        one, other = await gateway.poll(None), await gateway.poll(None)

    assert one.table is kept
    assert other.table is kept
    assert one.now < other.now


async def test_a_fresh_look_is_one(database: str) -> None:
    """Key r asks for everything again."""
    add_partitions(database, days=range(-5, 31))

    async with looked(database) as (gateway, kept):
        fresh = await gateway.poll(None, fresh=True)

    assert fresh.table is not kept


def name(day: int) -> str:
    """The partition of a day."""
    return f"events_{today() + timedelta(days=day):%Y_%m_%d}"


def names(state: TableState) -> list[str]:
    """The partitions in sight."""
    return [p.name.name for p in state.view.table.partitions]


def comment(state: TableState, day: int) -> str | None:
    """The comment of a partition in sight."""
    return next(p.comment for p in state.view.table.partitions if p.name.name == name(day))


def count(state: TableState, day: int) -> int | None:
    """The rows of a partition in sight."""
    oid = next(p.oid for p in state.view.table.partitions if p.name.name == name(day))
    return state.counts[oid].rows


@pytest.mark.parametrize(
    ("statement", "seen"),
    [
        pytest.param("DROP TABLE one; DROP TABLE {tomorrow}", lambda s: name(1) not in names(s), id="dropped"),
        pytest.param("ALTER TABLE {tomorrow} RENAME TO other", lambda s: "other" in names(s), id="renamed"),
        pytest.param(
            "ALTER TABLE events DETACH PARTITION {tomorrow}", lambda s: name(1) not in names(s), id="detached"
        ),
        pytest.param("COMMENT ON TABLE {tomorrow} IS 'new'", lambda s: comment(s, 1) == "new", id="comment"),
        pytest.param(
            "ALTER TABLE events OWNER TO pg_monitor", lambda s: s.view.table.owner == "pg_monitor", id="owner"
        ),
        pytest.param(
            "CREATE INDEX other ON ONLY events (event_type)",
            lambda s: "other" in s.view.table.invalid_indexes,
            id="an invalid index",
        ),
        pytest.param("DROP INDEX half", lambda s: not s.view.table.invalid_indexes, id="no invalid index any more"),
        pytest.param(
            "CREATE TABLE two (id uuid, at timestamp, FOREIGN KEY (id, at) REFERENCES events (event_id, timestamp))",
            lambda s: "two" in {t.name for t in s.view.table.referencing},
            id="a second foreign key",
            marks=pytest.mark.pg(">= 15"),  # before, the parent has no trigger of it
        ),
        pytest.param(
            "ALTER TABLE one DROP CONSTRAINT one_id_at_fkey",
            lambda s: not s.view.table.referencing,
            id="no foreign key any more",
            marks=pytest.mark.pg(">= 15"),
        ),
        pytest.param(
            "CREATE VIEW looks AS SELECT * FROM {old}",
            lambda s: any("looks" in (a.note or "") for a in s.plan.of(*GOING)),
            id="a view on what expires",
        ),
    ],
)
async def test_a_change_of_the_catalog_is_seen(
    database: str, statement: str, seen: Callable[[TableState], bool]
) -> None:
    """At the next look, and not when the minute is over for which a look is kept."""
    add_partitions(database, days=[-100, *range(-5, 31)])
    with connect(database) as connection:
        connection.execute(
            b"CREATE INDEX half ON ONLY events (event_type);"
            b"CREATE TABLE one (id uuid, at timestamp, FOREIGN KEY (id, at) REFERENCES events (event_id, timestamp))"
        )

    async with looked(database) as (gateway, kept):
        assert not seen(kept)
        with connect(database) as connection:
            connection.execute(statement.format(tomorrow=name(1), old=name(-100)).encode())
        found = (await gateway.poll(None)).table

    assert found is not None
    assert found is not kept
    assert seen(found)


async def test_the_list_of_pg_partman_is_seen(database: str) -> None:
    """A table that comes onto it, and one that leaves it."""
    add_partitions(database, days=range(-5, 31))
    with connect(database) as connection:
        connection.execute(b"CREATE TABLE part_config (parent_table text PRIMARY KEY)")

    async with looked(database) as (gateway, kept):
        with connect(database) as connection:
            connection.execute(b"INSERT INTO part_config VALUES ('public.events')")
        listed = await next_look(gateway, kept)
        with connect(database) as connection:
            connection.execute(b"DELETE FROM part_config")
        left = await next_look(gateway, listed)

    assert [None, "public", None] == [s.view.table.pg_partman for s in (kept, listed, left)]


async def test_another_table_is_seen(database: str) -> None:
    """It can be switched to from the next look on."""
    add_partitions(database, days=range(-5, 31))

    async with looked(database, requested=()) as (gateway, _):
        before = (await gateway.poll(None)).tables
        with connect(database) as connection:
            connection.execute(b"CREATE TABLE metrics (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
        after = (await gateway.poll(None)).tables

    assert ["events"] == [t.name for t in before]
    assert ["events", "metrics"] == [t.name for t in after]


async def test_a_table_that_is_named_twice_is_in_the_list_once(database: str) -> None:
    """With its schema and without."""
    async with looked(database, requested=(EVENTS, TableRef(schema="public", name="events"))) as (gateway, _):
        listed = (await gateway.poll(None)).tables

    assert ["public.events"] == [str(t) for t in listed]


async def test_a_new_partition_and_a_default_one_are_seen(database: str) -> None:
    """What makes nothing less."""
    add_partitions(database, days=range(-5, 3))

    async with looked(database) as (gateway, _):
        add_partitions(database, days=[3])
        more = (await gateway.poll(None)).table
        add_default(database)
        default = (await gateway.poll(None)).table

    assert more is not None
    assert name(3) in names(more)
    assert default is not None
    assert default.view.table.default is not None


async def test_new_rows_are_seen(database: str) -> None:
    """By their counters, which come when the session that wrote them ends."""
    add_partitions(database, days=range(-5, 3))

    async with looked(database) as (gateway, kept):
        add_rows(database, day=0, count=7)
        found = await next_look(gateway, kept)

    assert count(found, 0) == 7


async def test_a_run_that_did_nothing_is_seen(database: str) -> None:
    """All that it changes is the history."""
    add_partitions(database, days=range(31))
    settings = Settings(dsn=database)
    await maintain.perform(settings, MAINTAIN)

    async with looked(database) as (gateway, kept):
        await maintain.perform(settings, MAINTAIN)
        found = await next_look(gateway, kept)

    assert (len(kept.runs), len(found.runs)) == (1, 2)


async def test_the_next_run_is_that_of_the_table_in_view(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again for another table and when a run has ended, and not at each look in between."""
    add_partitions(database, days=range(31))
    with connect(database) as connection:
        connection.execute(b"CREATE TABLE other (at date NOT NULL) PARTITION BY RANGE (at)")
    asked: list[list[str]] = []

    async def next_run(runs: Sequence[RunRecord], now: datetime) -> Schedule:
        asked.append([r.id for r in runs])
        return Schedule(next_at=now + timedelta(days=len(asked)), source="history")

    monkeypatch.setattr(polling, "next_run", next_run)
    monkeypatch.setattr(polling, "_ASK_TIMER_EVERY", timedelta(days=1))
    settings = Settings(dsn=database, requested=(EVENTS, TableRef(name="other")))
    events, other = (TableName(schema="public", name=name) for name in ("events", "other"))
    here = ServerGateway(settings)
    try:
        first = (await here.poll(events)).schedule
        assert first == (await here.poll(events)).schedule
        assert first != (await here.poll(other)).schedule
        assert [[], []] == asked
        await maintain.perform(replace(settings, only=EVENTS), MAINTAIN)
        seen = (await here.poll(events)).table
        assert seen is not None
        while not seen.runs:
            seen = await next_look(here, seen)
        await here.poll(events)
    finally:
        await asyncio.to_thread(here.stop)

    assert 1 == asked.count([r.id for r in seen.runs])


NOON = datetime(2025, 11, 2, 12, 0, 30, tzinfo=UTC)


async def test_a_look_is_kept_for_less_than_a_minute_and_for_the_same_question(database: str) -> None:
    """The fingerprint does not know everything: another moment, period or table, and a run at work, want a look."""
    async with looked(database) as (_, table):
        server = Server(version="16.4", version_num=160_004, database="app", role="app", standby=False, now=NOON)

    def holds(at: float = 1, *, asked: str = "same", looked_at: float = 0, worker: int | None = None) -> bool:
        then = Snapshot(server=server, now=NOON + timedelta(seconds=looked_at), table=table)
        kept = Kept(wanted=None, fingerprint="same", snapshot=then)
        return kept.holds(None, asked, NOON + timedelta(seconds=at), worker=worker)

    assert [holds(at) for at in (0, 1, 59)] == [True] * 3
    assert [holds(at) for at in (60, 3600, -1)] == [False] * 3
    assert not holds(asked="other")
    assert not holds(worker=4711)
    assert not holds(looked_at=-40)  # before noon, where a period may begin
    other = Kept(wanted=table.name, fingerprint="same", snapshot=Snapshot(server=server, now=NOON, table=table))
    assert not other.holds(TableName(schema="public", name="metrics"), "same", NOON, worker=None)


async def test_a_look_that_is_wanted_while_it_is_paused_is_the_only_one(database: str) -> None:
    """Key r under "paused" looks once, and does not set the looking going again."""
    add_partitions(database, days=range(-5, 31))

    async with opened(database) as (app, pilot):
        app.pause()
        before = app.model.now
        app.poll_now()
        await until(pilot, lambda: app.model.snapshot is not None and app.model.snapshot.now != before)
        await until(pilot, lambda: not app._watching.is_set())

        assert app.model.link is Link.PAUSED


async def test_back_to_the_table_that_is_still_shown(database: str) -> None:
    """Whoever chooses another table and at once the first again means the first."""
    add_partitions(database, days=range(-2, 31))
    with connect(database) as connection:
        connection.execute("CREATE TABLE public.other (at date NOT NULL) PARTITION BY RANGE (at)")

    async with opened(database) as (app, pilot):
        first = app.model.name
        assert first is not None
        app.switch(TableName(schema="public", name="other"))
        app.switch(first)
        seen = app.model.snapshot
        await until(pilot, lambda: app.model.snapshot is not seen)

        assert app.model.name == first


async def test_on_a_standby_it_has_the_finding_of_check(own_server: Cluster) -> None:
    """Nobody has to wonder why nothing can be changed there. A server that recovers for ever is one."""
    replica = {"wal_level": "replica", "max_wal_senders": "4"}
    own_server.stop()
    own_server.start(replica)
    create_events(own_server.conninfo(), days=range(-3, 31))
    own_server.stop()
    signal = own_server.data / "standby.signal"
    signal.touch()
    if own_server.account is not None:
        os.chown(signal, own_server.account.uid, own_server.account.gid)
    own_server.start(replica)
    settings = Settings(dsn=own_server.conninfo(), requested=(EVENTS,))

    async with looked(own_server.conninfo()) as (_, seen):
        checked = await maintain.check(settings)

    assert Code.STANDBY in {f.code for f in seen.findings}
    assert {f.code for f in (*checked.findings, *checked.tables[0].findings)} == {f.code for f in seen.findings}
