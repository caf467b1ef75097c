"""The trash and the pins in the dashboard: a dropped day is back with one key, a pinned one goes with none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from textual.widgets import Button, Input

from dashboards import busy, opened, shown, text_of, typed, until
from pgalmanac.config import Layer
from pgalmanac_tui.screens.change import ChangeScreen
from support import add_partitions, partition_names, rows, today

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from pgalmanac_tui.app import Dashboard

GRACE: dict[str, Any] = {"flags": Layer(values={"grace_days": 7}, where={"grace_days": "--grace-days"})}


def name(day: int) -> str:
    """The partition of a day counted from today."""
    return f"events_{today() + timedelta(days=day):%Y_%m_%d}"


async def planned(app: Dashboard, pilot: Pilot[int]) -> ChangeScreen:
    """The dialog, once it has its plan."""
    await until(pilot, lambda: isinstance(app.screen, ChangeScreen) and not busy(app))
    screen = app.screen
    assert isinstance(screen, ChangeScreen)
    return screen


async def done(pilot: Pilot[int], dialog: ChangeScreen) -> None:
    """Agree, wait for the end, and close."""
    await pilot.press("enter")
    await until(pilot, lambda: dialog._change is not None and dialog._change.ended)
    await until(pilot, lambda: str(dialog.query_one("#cancel", Button).label) == "Close")
    await pilot.press("enter")


async def test_a_dropped_day_is_back_with_one_key(database: str) -> None:
    """Dropped with its name typed, seen on the trash's tab, and back with u: rows and all."""
    add_partitions(database, days=range(-3, 2), rows_a_day=4)

    async with opened(database, **GRACE) as (app, pilot):
        await pilot.press("up", "D")
        dialog = await planned(app, pilot)
        assert "go to the trash, until" in text_of(app, "#prompt")
        assert "DROP TABLE" not in text_of(app, "#text")
        await pilot.press("shift+tab")
        await typed(pilot, name(-1))
        await done(pilot, dialog)
        await until(pilot, lambda: "pgalmanac_trash" in str(app.model.table and app.model.table.plan.table.orphans))
        away = partition_names(database)
        await pilot.press("5")
        await until(pilot, lambda: name(-1) in shown(app))
        assert f"{today() + timedelta(days=8)} 00:00" in shown(app)
        await pilot.press("u")
        dialog = await planned(app, pilot)
        assert f"pgalmanac undrop {name(-1)} --table public.events" in text_of(app, "#text")
        await done(pilot, dialog)
        await until(pilot, lambda: "the trash is empty" in shown(app))

    assert name(-1) not in away
    assert [name(d) for d in range(-3, 2)] == partition_names(database)
    assert rows(database, "SELECT count(*) FROM events") == [(20,)]


async def test_a_day_is_pinned_with_its_reason_and_then_cannot_be_dropped(database: str) -> None:
    """P asks why; the list shows it; D is refused; P again unpins."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database) as (app, pilot):
        await pilot.press("up", "P")
        await until(pilot, lambda: isinstance(app.screen.focused, Input))
        await typed(pilot, "case 4711")
        await pilot.press("enter")
        await done(pilot, await planned(app, pilot))
        await until(pilot, lambda: "pinned: case" in shown(app))
        pins = rows(database, "SELECT obj_description(%s::regclass)", name(-1))
        await pilot.press("D")
        await planned(app, pilot)
        assert "pinned: case 4711" in text_of(app, "#text")
        await pilot.press("escape")
        await pilot.press("P")
        await done(pilot, await planned(app, pilot))
        await until(pilot, lambda: "pinned: case" not in shown(app))

    assert "case 4711" in str(pins)
    assert rows(database, "SELECT obj_description(%s::regclass)", name(-1)) == [(None,)]
    assert name(-1) in partition_names(database)


async def test_u_where_nothing_was_dropped_says_so(database: str) -> None:
    """A key that has nothing to act on is not silent."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database) as (app, pilot):
        await pilot.press("u")
        await until(pilot, lambda: any("nothing that was dropped here" in n.message for n in app._notifications))
