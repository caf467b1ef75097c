"""A change that waits for a lock: that it waits is said, for whom by now, and what would end them can be copied."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from dashboards import ended, opened, planned, shown, text_of, typed, until
from pgalmanac import maintain
from pgalmanac.actions import ActionKind, Source
from pgalmanac.config import Layer, Settings
from pgalmanac.inspection import Request
from pgalmanac.results import Blocker
from pgalmanac.table_names import TableName
from pgalmanac_tui.gateway import ServerGateway
from pgalmanac_tui.glyphs import UNICODE
from pgalmanac_tui.panels.progress import to_end, waiting
from pgalmanac_tui.snapshot import Wish
from support import add_default, add_partitions, connect, partition_names, today


def name(days: int) -> str:
    """The partition of the day that is so many days from today."""
    return f"events_{today() + timedelta(days=days):%Y_%m_%d}"


async def test_who_is_in_the_way_of_a_drop_is_named_and_what_ends_them_can_be_copied(database: str) -> None:
    """Both who came before it and who comes later; once they are gone that is said, and it is done."""
    add_partitions(database, days=range(-3, 2), rows_a_day=4)
    sent: list[str] = []

    async with opened(f"{database} application_name=dashboard", size=(80, 24)) as (app, pilot):
        app.copy = sent.append  # type: ignore[assignment,method-assign]  # no terminal hears it here
        await pilot.press("up", "D")
        dialog = await planned(app, pilot)
        await pilot.press("shift+tab")
        with connect(f"{database} application_name=nightly_report") as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM events")
            await typed(pilot, name(-1))
            await pilot.press("enter")
            await until(pilot, lambda: text_of(app, "#title").endswith(": it waits for a lock"))
            assert f"at work on public.{name(-1)} for " in text_of(app, "#title")
            told = " ".join(text_of(app, "#text").split())
            assert f"process {reader.info.backend_pid} (nightly_report)" in told
            assert "idle in transaction for " in told
            assert "(dashboard)" not in told
            assert f"SELECT pg_terminate_backend({reader.info.backend_pid});" in shown(app)
            await pilot.press("y")
            assert [f"SELECT pg_terminate_backend({reader.info.backend_pid});"] == sent
        # It pauses a while between two attempts: by then nobody is in its way, and that is said or it is done.
        await until(
            pilot,
            lambda: (
                (dialog._change is not None and dialog._change.ended)
                or "nobody holds a lock in its way any more" in text_of(app, "#text")
            ),
        )
        await ended(pilot, dialog)
        sent.clear()
        await pilot.press("y")
        assert [] == sent

    assert name(-1) not in partition_names(database)


async def test_a_creation_does_not_wait_for_who_reads_and_writes(database: str) -> None:
    """It takes long for a reason of its own, and nobody is accused."""
    add_partitions(database, days=[0])
    with connect(database) as connection:
        connection.execute(
            b"""CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); END $$;
                CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION slow()"""
        )

    async with opened(database) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        with connect(database) as writer:
            writer.execute("BEGIN")
            writer.execute("LOCK TABLE events IN ROW EXCLUSIVE MODE")
            asked: list[tuple[Blocker, ...]] = []
            look = app.in_the_way

            async def note(*about: object) -> tuple[Blocker, ...]:
                asked.append(await look(*about))  # type: ignore[arg-type]  # what it is asked
                return asked[-1]

            app.in_the_way = note  # type: ignore[assignment,method-assign]  # for this one application
            await pilot.press("enter")
            await until(pilot, lambda: bool(asked))
        assert () == asked[0]
        assert "waits for a lock" not in text_of(app, "#title")
        await pilot.press("escape", "escape")
        await ended(pilot, dialog)


async def blamed(database: str, wish: Wish, locks: dict[str, str], *, gone: bool = False) -> set[str]:
    """Those of the relations whose lock, each in a mode, is said to be in the way of what is wished, while it runs.

    With *gone* it is the drop of the table that the wish would bring back.
    """
    gateway = ServerGateway(Settings(dsn=database))
    try:
        plan = (await gateway.propose(TableName(schema="public", name="events"), wish)).plan
        (action,) = plan.todo
        if gone:
            action = replace(action, kind=ActionKind.DROP, source=Source.DETACHED)
        with ExitStack() as open_till_here:
            pids: dict[int | None, str] = {}
            for relation, mode in locks.items():
                holder = open_till_here.enter_context(connect(database))
                holder.execute(f"BEGIN; LOCK TABLE ONLY {relation} IN {mode} MODE".encode())
                pids[holder.info.backend_pid] = relation
            return {pids[blocker.pid] for blocker in await gateway.in_the_way(plan, action)}
    finally:
        await asyncio.to_thread(gateway.stop)


async def test_who_reads_the_default_partition_is_in_the_way_of_a_creation(database: str) -> None:
    """That one is locked while it is looked through; who uses the table itself goes on."""
    add_partitions(database, days=[0])
    add_default(database)
    wish = Wish(command="create", target=str(today() + timedelta(days=3)))
    locks = {"events": "ROW EXCLUSIVE", "events_default": "ACCESS SHARE"}

    assert {"events_default"} == await blamed(database, wish, locks)
    assert {"events"} == await blamed(database, wish, {"events": "SHARE"})


async def test_who_looks_after_a_partition_is_in_the_way_of_its_pin_and_nobody_else(database: str) -> None:
    """A pin is written on the partition, and nothing is asked of its table."""
    add_partitions(database, days=[-1, 0])
    wish, at = Wish(command="pin", target=name(-1), reason="kept for a while"), name(-1)

    assert {at} == await blamed(database, wish, {"events": "SHARE", at: "SHARE UPDATE EXCLUSIVE"})
    assert set() == await blamed(database, wish, {at: "ROW EXCLUSIVE"})


@pytest.mark.parametrize("gone", [False, True])
async def test_who_reads_what_is_in_the_trash_is_in_the_way_of_its_end_and_of_its_return(
    database: str, *, gone: bool
) -> None:
    """Who uses the table that it came from is in the way of neither."""
    add_partitions(database, days=[-1, 0])
    grace = Settings(dsn=database, defaults=Layer(values={"grace_days": 7}))
    await maintain.perform(grace, Request(command="drop", target=name(-1)))
    trashed = f"pgalmanac_trash.{name(-1)}"

    locks = {"events": "ROW EXCLUSIVE", trashed: "ACCESS SHARE"}
    assert {trashed} == await blamed(database, Wish(command="undrop", target=name(-1)), locks, gone=gone)


def test_a_prepared_transaction_has_no_process_to_end() -> None:
    """Its line says what ends it; of several processes each is ended."""
    gone = Blocker(pid=None, told="the prepared transaction 'x' of app, there for 3 h, holds ShareLock on events")

    assert "" == to_end((gone,))
    assert "SELECT pg_terminate_backend(7); SELECT pg_terminate_backend(8);" == to_end(
        (Blocker(pid=7, told=""), gone, Blocker(pid=8, told=""))
    )
    assert not any("copies" in text for line in waiting((gone,), 72, UNICODE) for text, _ in line)
