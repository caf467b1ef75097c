"""A dialog that stands open while others change what it speaks of: its age is said, and old news are not acted on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Button, Input

from dashboards import at_rest, ended, opened, planned, text_of, typed, until
from pgalmanac.actions import ActionKind
from pgalmanac.config import Settings
from pgalmanac.plan import Plan, plan_drop
from pgalmanac.policy import Policy
from pgalmanac_tui.app import Dashboard
from pgalmanac_tui.glyphs import UNICODE
from pgalmanac_tui.panels.fate import changed
from pgalmanac_tui.screens import change
from pgalmanac_tui.screens.main import MainScreen
from snapshots import day, events, partition
from support import add_partitions, add_rows, connect, partition_names, today

if TYPE_CHECKING:
    from textual.await_complete import AwaitComplete
    from textual.pilot import Pilot

    from pgalmanac.table_names import TableName
    from pgalmanac_tui.screens.change import ChangeScreen
    from pgalmanac_tui.snapshot import Proposal, Wish

OLD = partition(day(-30), oid=7)


def name(days: int) -> str:
    """The partition of the day that is so many days from today."""
    return f"events_{today() + timedelta(days=days):%Y_%m_%d}"


def later(app: Dashboard, seconds: float) -> None:
    """So many seconds go by for the dialog."""
    now = app.clock()
    app.clock = lambda: now + seconds


def analyzed(conninfo: str) -> None:
    """Let the server count."""
    with connect(conninfo) as connection:
        connection.execute("ANALYZE events")


async def agreed(pilot: Pilot[int], text: str) -> None:
    """Type the name, and press enter."""
    await pilot.press("shift+tab")
    await typed(pilot, text)
    await pilot.press("enter")


async def asked_again(app: Dashboard, pilot: Pilot[int], dialog: ChangeScreen) -> None:
    """Nothing was begun: the new plan is there to be read, with an empty box and the focus on Cancel."""
    await until(pilot, lambda: "It has changed while this stood open" in " ".join(text_of(app, "#text").split()))
    await until(pilot, lambda: dialog.focused is dialog.query_one("#cancel"))
    assert dialog._change is None
    assert not dialog.query_one("#name", Input).value
    assert dialog.query_one("#apply", Button).disabled


async def test_a_drop_that_stood_open_is_asked_about_anew_when_rows_came_meanwhile(database: str) -> None:
    """What was agreed to were 500 rows: 5,500 are shown, the name is typed again, and the report names the rows."""
    add_partitions(database, days=range(-3, 2))
    add_rows(database, day=-1, count=500)
    analyzed(database)

    async with opened(database) as (app, pilot):
        await pilot.press("up", "D")
        dialog = await planned(app, pilot)
        assert "≈500 rows" in text_of(app, "#prompt")
        add_rows(database, day=-1, count=5_000)
        analyzed(database)
        later(app, 61)
        await agreed(pilot, name(-1))
        await asked_again(app, pilot, dialog)
        told = " ".join(text_of(app, "#text").split())
        assert "≈500 rows" in told.partition("; now")[0]
        assert "≈5,500 rows" in told.partition("; now")[2]
        assert "≈5,500 rows" in text_of(app, "#prompt")
        assert name(-1) in partition_names(database)
        await agreed(pilot, name(-1))
        await ended(pilot, dialog)
        assert f"drop public.{name(-1)}  done  ≈5,500 rows, " in text_of(app, "#text")

    assert name(-1) not in partition_names(database)


async def test_a_drop_that_stood_open_is_done_when_nothing_has_changed(database: str) -> None:
    """Who types slowly is asked once."""
    add_partitions(database, days=range(-3, 2), rows_a_day=10)
    analyzed(database)

    async with opened(database) as (app, pilot):
        await pilot.press("up", "D")
        dialog = await planned(app, pilot)
        later(app, 3600)
        await agreed(pilot, name(-1))
        await ended(pilot, dialog)

    assert name(-1) not in partition_names(database)


async def test_maintenance_that_stood_open_is_asked_about_anew_when_it_would_drop_by_now(database: str) -> None:
    """There was no name to type when it was read; what drops wants one."""
    add_partitions(database, days=range(-5, 1))

    async with opened(database) as (app, pilot):
        await pilot.press("m")
        dialog = await planned(app, pilot)
        assert not dialog.query_one("#name").display
        add_partitions(database, days=[-93])
        later(app, 61)
        await until(pilot, lambda: dialog.focused is dialog.query_one("#apply"))
        await pilot.press("enter")
        await asked_again(app, pilot, dialog)
        assert dialog.query_one("#name").display
        assert name(-93) in text_of(app, "#text")

    assert name(-93) in partition_names(database)


async def test_what_is_gone_when_a_plan_is_made_anew_is_said(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else dropped it: the sentence that the key would have had, and no age takes its place."""
    monkeypatch.setattr(change, "_AGES_SECONDS", 0.02)
    add_partitions(database, days=range(-3, 2))

    async with opened(database) as (app, pilot):
        await pilot.press("up", "D")
        dialog = await planned(app, pilot)
        with connect(database) as other:
            other.execute(f"DROP TABLE {name(-1)}".encode())
        later(app, 61)
        await agreed(pilot, name(-1))
        await until(pilot, lambda: "it cannot be done" in text_of(app, "#title"))
        await pilot.pause(0.1)
        assert "it cannot be done" in text_of(app, "#title")
        assert dialog._change is None
        assert not dialog.query_one("#apply").display
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))


async def test_who_leaves_while_a_plan_is_made_anew_has_kept_everything(database: str) -> None:
    """Escape is an answer there too, though the name was right."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database) as (app, pilot):
        await pilot.press("up", "D")
        dialog = await planned(app, pilot)
        later(app, 61)
        found, dismiss, asked, answer = dialog._proposal, dialog.dismiss, asyncio.Event(), asyncio.Event()

        async def slowly(table: TableName, wish: Wish) -> Proposal:  # noqa: ARG001  # none is granted
            asked.set()
            await answer.wait()
            assert found is not None
            return found

        def left(result: bool | None = None) -> AwaitComplete:  # noqa: FBT001  # Textual's own
            answer.set()  # it comes in the moment in which one leaves
            return dismiss(result)

        app.propose = slowly  # type: ignore[method-assign]  # for this one application
        dialog.dismiss = left  # type: ignore[method-assign]  # for this one dialog
        await agreed(pilot, name(-1))
        await asked.wait()
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))
        await at_rest(pilot)
        assert dialog._change is None

    assert name(-1) in partition_names(database)


async def test_a_plan_says_how_old_it_is(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at first; then how old, and from when on it is made anew before it is done."""
    monkeypatch.setattr(change, "_AGES_SECONDS", 0.02)
    add_partitions(database, days=range(-3, 2))

    async with opened(database, size=(80, 24)) as (app, pilot):
        now = app.clock()
        app.clock = lambda: now
        await pilot.press("up", "D")
        await planned(app, pilot)
        assert "planned" not in text_of(app, "#title")
        later(app, 12)
        await until(pilot, lambda: "1 to drop   planned 12 s ago" in text_of(app, "#title"))
        later(app, 600)
        await until(pilot, lambda: "planned 10 min ago: looked at anew before it is done" in text_of(app, "#title"))


def dropping(rows: int | None, size: int | None, *, kind: ActionKind = ActionKind.DROP) -> Plan:
    """A plan that drops one partition with so many rows and bytes."""
    plan = plan_drop(events([OLD]), Policy(), target=OLD.name.name)
    return replace(plan, actions=tuple(replace(a, rows=rows, bytes=size, kind=kind) for a in plan.actions))


@pytest.mark.parametrize(
    ("before", "now", "again"),
    [
        (dropping(1000, 100_000), dropping(1000, 100_000), False),
        (dropping(1000, 100_000), dropping(1090, 109_000), False),
        (dropping(1000, 100_000), dropping(900, 50_000), False),
        (dropping(None, None), dropping(None, None), False),
        (dropping(1000, 100_000), dropping(1200, 100_000), True),
        (dropping(1000, 100_000), dropping(1000, 120_000), True),
        (dropping(0, 8192), dropping(1, 8192), True),
        (dropping(None, None), dropping(5, 8192), True),
        (dropping(5, 8192), dropping(None, None), True),
        (dropping(5, 8192, kind=ActionKind.TRASH), dropping(5, 8192), True),
        (dropping(5, 8192), replace(dropping(5, 8192), actions=()), True),
        (replace(dropping(5, 8192), actions=()), dropping(5, 8192), True),
    ],
)
def test_what_is_worth_being_asked_again(before: Plan, now: Plan, again: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    """Other partitions, another end, a tenth more rows or bytes, and what cannot be told any more."""
    if any(a.kind is ActionKind.TRASH for a in before.actions):
        before = replace(before, actions=tuple(replace(a, keep_until=day(3).lower) for a in before.actions))

    assert again is (changed(before, now, UNICODE) is not None)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no clock that goes on while it sleeps")
def test_a_plan_grows_old_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux's monotonic clock stands still then."""
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 36_000.0, time.CLOCK_MONOTONIC: 1.0}.__getitem__)

    assert 36_000.0 == Dashboard(Settings(), environ={}).clock()
