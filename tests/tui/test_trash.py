"""The trash and the pins in the dashboard: a dropped day is back with one key, a pinned one goes with none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Button, Input

from dashboards import busy, opened, shown, text_of, typed, until
from pgalmanac import maintain
from pgalmanac.config import Dashboard as Look
from pgalmanac.config import Layer, Settings
from pgalmanac.inspection import Request
from pgalmanac_tui.glyphs import Mark
from pgalmanac_tui.screens.change import ChangeScreen
from pgalmanac_tui.screens.main import MainScreen
from pgalmanac_tui.screens.reading import HelpScreen
from pgalmanac_tui.widgets.listing import Listing
from support import add_default, add_partitions, add_rows, connect, partition_names, rows, today

if TYPE_CHECKING:
    from pathlib import Path

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


async def go_to(pilot: Pilot[int], day: str) -> None:
    """To a day, by typing it."""
    await pilot.press("g")
    await typed(pilot, day)
    await pilot.press("enter")


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
        await until(pilot, lambda: "u bring it back" in text_of(app, "#details"))
        assert f"kept until {today() + timedelta(days=8)}" in text_of(app, "#details")
        await pilot.press("5")
        await until(pilot, lambda: name(-1) in shown(app))
        assert f"{today() + timedelta(days=8)} 00:00 UTC" in shown(app)
        await pilot.press("D")
        await until(pilot, lambda: any("was dropped already" in n.message for n in app._notifications))
        await pilot.press("u")
        dialog = await planned(app, pilot)
        assert f"pgalmanac undrop {name(-1)} --table public.events" in text_of(app, "#text")
        await done(pilot, dialog)
        await until(pilot, lambda: "the trash is empty" in shown(app))

    assert name(-1) not in away
    assert [name(d) for d in range(-3, 2)] == partition_names(database)
    assert rows(database, "SELECT count(*) FROM events") == [(20,)]


async def test_what_somebody_moved_home_is_taken_out_and_comes_back_with_the_same_key(database: str) -> None:
    """No run is going to touch it, so that it is no detach which nobody ended; its day says where it is."""
    add_partitions(database, days=range(-3, 2), rows_a_day=4)
    await maintain.perform(Settings(dsn=database, flags=GRACE["flags"]), Request(command="drop", target=name(-1)))
    with connect(database) as connection:
        connection.execute(f"ALTER TABLE pgalmanac_trash.{name(-1)} SET SCHEMA public".encode())

    async with opened(database, **GRACE) as (app, pilot):
        await pilot.press("up")
        await until(pilot, lambda: "u bring it back" in text_of(app, "#details"))
        assert "kept in public" in text_of(app, "#details")
        assert "detached, not dropped" not in shown(app)
        await pilot.press("5")
        await until(pilot, lambda: name(-1) in shown(app))
        assert "taken out" in shown(app)
        await pilot.press("u")
        await done(pilot, await planned(app, pilot))
        await until(pilot, lambda: "the trash is empty" in shown(app))

    assert [name(d) for d in range(-3, 2)] == partition_names(database)
    assert rows(database, "SELECT count(*) FROM events") == [(20,)]


async def test_each_step_of_a_drop_has_a_line(database: str, tmp_path: Path) -> None:
    """Detach, keep, archive, drop: what is at stake, and what is recoverable until when; each fits 80 cells."""
    add_partitions(database, days=range(-3, 2), rows_a_day=4)
    url = f"file://{tmp_path}"[:40]  # as long as there is room for
    settings: dict[str, Any] = {"flags": Layer(values={"grace_days": 7, "archive_url": url})}

    async with opened(database, size=(80, 24), **settings) as (app, pilot):
        await pilot.press("up", "D")
        await planned(app, pilot)
        lines = text_of(app, "#text").splitlines()
        prompt = text_of(app, "#prompt")

    until_when = f"{today() + timedelta(days=8)} 00:00 UTC"
    first = lines.index("  what becomes of it")
    assert lines[first + 1].startswith(f"    detach   {name(-1)}: ≈4 rows, ")
    assert lines[first + 2 : first + 6] == [
        f"    keep     until {until_when} in pgalmanac_trash; undo: u",
        f"    archive  then to {url}",
        "    drop     then, once the archive is proved; u brings the rows back",
        "",
    ]
    assert f"go to the trash, until {until_when}" in prompt


async def test_a_drop_that_nothing_undoes_says_so(database: str) -> None:
    """Neither grace nor archive."""
    add_partitions(database, days=range(-3, 2), rows_a_day=4)

    async with opened(database, size=(80, 24)) as (app, pilot):
        await pilot.press("up", "D")
        await planned(app, pilot)

        [told] = [line for line in text_of(app, "#text").splitlines() if line.startswith("    drop ")]
        prompt = text_of(app, "#prompt")

    assert told.startswith(f"    drop     {name(-1)}: ≈4 rows, ")
    assert told.endswith(", for good")
    assert "go for good" in prompt


async def test_an_archived_day_is_back_with_the_same_key(database: str, tmp_path: Path) -> None:
    """Archived, dropped, and on u restored: rows and all. What is past retention would go again, and that is said."""
    add_partitions(database, days=[-92, *range(-3, 31)], rows_a_day=4)
    settings: dict[str, Any] = {"flags": Layer(values={"archive_url": f"file://{tmp_path}"})}

    async with opened(database, **settings) as (app, pilot):
        await pilot.press("m")
        dialog = await planned(app, pilot)
        assert "1 to archive, 1 to drop" in text_of(app, "#title")
        assert "are archived and dropped" in text_of(app, "#prompt")
        await pilot.press("tab")
        await typed(pilot, name(-92))
        await pilot.press("enter")
        await until(pilot, lambda: str(dialog.query_one("#cancel", Button).label) == "Close")
        assert "u brings back the rows that were archived" in text_of(app, "#text")
        away = partition_names(database)
        await pilot.press("enter")
        await go_to(pilot, "-92")
        await until(pilot, lambda: "u look in the archive" in text_of(app, "#details"))
        await pilot.press("u")
        dialog = await planned(app, pilot)
        assert f"restore  {name(-92)}: 4 rows" in text_of(app, "#text")
        assert "by the next maintenance: it is past retention" in text_of(app, "#text")
        await done(pilot, dialog)
        await until(pilot, lambda: name(-92) in text_of(app, "#details"))

    assert name(-92) not in away
    assert [name(d) for d in (-92, *range(-3, 31))] == partition_names(database)
    assert rows(database, f"SELECT count(*) FROM {name(-92)}") == [(4,)]


async def test_a_day_is_pinned_with_its_reason_and_then_cannot_be_dropped(database: str) -> None:
    """P asks why; the list shows it; D is refused; P again unpins."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database) as (app, pilot):
        await pilot.press("up", "P")
        await until(pilot, lambda: isinstance(app.screen.focused, Input))
        await typed(pilot, "case 4711")
        await pilot.press("enter")
        await done(pilot, await planned(app, pilot))
        await until(pilot, lambda: "⚑ pinned: case" in shown(app))
        details, legend = text_of(app, "#details"), text_of(app, "#legend")
        pins = rows(database, "SELECT obj_description(%s::regclass)", name(-1))
        await pilot.press("D")
        await planned(app, pilot)
        assert "pinned: case 4711" in text_of(app, "#text")
        await pilot.press("escape")
        await pilot.press("P")
        await done(pilot, await planned(app, pilot))
        await until(pilot, lambda: "pinned: case" not in shown(app))

    assert "⚑ pinned" in details
    assert "case 4711" in details
    assert "until it is unpinned, by" in details
    assert "postgres" in details
    assert "⚑ pinned" in legend
    assert "case 4711" in str(pins)
    assert rows(database, "SELECT obj_description(%s::regclass)", name(-1)) == [(None,)]
    assert name(-1) in partition_names(database)


def said(app: Dashboard, text: str) -> bool:
    """Whether a notification has this in it."""
    return any(text in n.message for n in app._notifications)


async def test_keys_act_on_the_row_of_the_trash_and_on_no_day(database: str) -> None:
    """Nothing is created or counted while a row of the trash has the keys: they are off, and say why."""
    add_partitions(database, days=range(-3, 2))
    await maintain.perform(Settings(dsn=database, **GRACE), Request(command="drop", target=name(-1)))

    async with opened(database, size=(120, 40), **GRACE) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: f"kept until {today() + timedelta(days=8)}" in text_of(app, "#details"))
        await pilot.press("c")
        await until(pilot, lambda: said(app, "u brings it back with its rows"))
        await pilot.press("e")
        await until(pilot, lambda: said(app, "only what belongs to the table is counted"))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until(pilot, lambda: "missing today" in text_of(app, "#text"))
        told = " ".join(text_of(app, "#text").split())
        assert not app.model.counted
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))
        await pilot.press("u")
        await planned(app, pilot)
        assert not app._notifications  # they would lie on the dialog's buttons

    assert "create the partitions of the chosen days off: pgalmanac_trash." in told
    assert [name(d) for d in (-3, -2, 0, 1)] == partition_names(database)


async def test_the_key_that_matters_in_the_trash_is_in_the_key_bar(database: str) -> None:
    """First, in 80 columns too; and the details of what is kept offer nothing that is off."""
    add_partitions(database, days=range(-3, 2), rows_a_day=4)
    await maintain.perform(Settings(dsn=database, **GRACE), Request(command="drop", target=name(-1)))

    async with opened(database, size=(80, 24), **GRACE) as (app, pilot):
        assert "u undrop" not in text_of(app, "#keys")
        await pilot.press("5")
        await until(pilot, lambda: text_of(app, "#keys").startswith(" u undrop  c create "))
        await until(pilot, lambda: "dropped by hand" in text_of(app, "#details"))
        details = text_of(app, "#details")
        assert "? help" in text_of(app, "#keys")
        await pilot.press("1")
        await until(pilot, lambda: "u undrop" not in text_of(app, "#keys"))

    assert name(-1) in details
    assert "u bring it back" in details
    assert "create" not in details


async def test_keys_act_on_the_default_partition_and_on_no_day(database: str) -> None:
    """It is counted; it has no period that could be created or brought back, and is never dropped."""
    add_partitions(database, days=[0])
    add_default(database)
    add_rows(database, day=-5, count=7)

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("down", "slash")
        await typed(pilot, "default")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen.focused, Listing))
        await pilot.press("c")
        await until(pilot, lambda: said(app, "events_default has no period: choose a day"))
        await pilot.press("u")
        await until(pilot, lambda: said(app, "events_default was not dropped: choose a day"))
        await pilot.press("e")
        await until(pilot, lambda: "7 rows" in text_of(app, "#details") and "exact" in text_of(app, "#details"))
        await pilot.press("D")
        await until(pilot, lambda: "is the default partition, which is never dropped" in shown(app))

    assert [name(0), "events_default"] == partition_names(database)


async def test_keys_act_on_the_row_of_the_plan(database: str) -> None:
    """The day that a row is about, and not the one that the calendar stands on."""
    add_partitions(database, days=[*range(-3, 0), 0, 2])

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("4")
        await until(pilot, lambda: str(Mark.GAP) in text_of(app, "#details"))
        await pilot.press("c")
        await planned(app, pilot)
        assert f"Create {today() + timedelta(days=1)} of" in text_of(app, "#title")


async def test_a_pin_may_have_a_last_day(database: str) -> None:
    """Tab leads to the day; one that is no day, or is over, is asked for again, and so is a reason that is missing."""
    add_partitions(database, days=range(-3, 2))
    last = today() + timedelta(days=30)

    async with opened(database, size=(80, 24)) as (app, pilot):
        await pilot.press("up", "P")
        await until(pilot, lambda: isinstance(app.screen.focused, Input))
        await pilot.press("enter")
        await until(pilot, lambda: "Say why" in shown(app))
        await typed(pilot, "case 4711")
        for wrong in ("soon", "-1"):
            await pilot.press("tab")
            await until(pilot, lambda: app.screen.focused is app.screen.query_one("#until"))
            app.screen.query_one("#until", Input).clear()
            await typed(pilot, wrong)
            await pilot.press("enter")
            await until(pilot, lambda: "Until a day to come" in shown(app))
            await pilot.press("shift+tab")
        app.screen.query_one("#until", Input).value = "+30"
        await pilot.press("enter")
        dialog = await planned(app, pilot)
        command = " ".join(text_of(app, "#text").replace("\\\n", " ").split())
        await done(pilot, dialog)
        await until(pilot, lambda: f"until {last}" in text_of(app, "#details"))

    assert f"--table public.events --reason 'case 4711' --until {last}" in command
    [(comment,)] = rows(database, "SELECT obj_description(%s::regclass)", name(-1))
    assert f'"until": "{last}"' in comment


async def test_u_where_nothing_was_dropped_says_so(database: str) -> None:
    """A key that has nothing to act on is not silent."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database) as (app, pilot):
        await pilot.press("u")
        await until(pilot, lambda: any("nothing that was dropped here" in n.message for n in app._notifications))


@pytest.mark.parametrize(("glyphs", "glyph"), [("unicode", "⚑"), ("ascii", "P")])
async def test_a_pin_has_a_glyph_of_its_own(database: str, glyphs: str, glyph: str) -> None:
    """In the calendar, the list and the legend; one that has ended is a word of the details and no more."""
    add_partitions(database, days=range(-40, 31), rows_a_day=2)
    with connect(database) as connection:
        for day, until_day in ((-10, today() + timedelta(days=30)), (-20, today() - timedelta(days=1))):
            pin = f'pgalmanac-pin: {{"reason": "audit of {day}", "until": "{until_day}", "by": "dba", "at": null}}'
            connection.execute(f"COMMENT ON TABLE {name(day)} IS '{pin}'".encode())

    async with opened(database, size=(160, 40), dashboard=Look(glyphs=glyphs)) as (app, pilot):
        await until(pilot, lambda: text_of(app, "#calendar").count(glyph) == 2)
        await until(pilot, lambda: f"{glyph} pinned" in text_of(app, "#legend"))
        await go_to(pilot, "-10")
        await until(pilot, lambda: "audit of -10" in text_of(app, "#details"))
        held = text_of(app, "#details")
        await pilot.press("enter")
        told = f"{glyph} pinned: audit of -10 (until {today() + timedelta(days=30)})"
        await until(pilot, lambda: told in shown(app))
        await go_to(pilot, "-20")
        await until(pilot, lambda: "audit of -20" in text_of(app, "#details"))
        ended = text_of(app, "#details")

    assert f"{glyph} pinned" in held
    assert f"until {today() + timedelta(days=30)}, by dba" in held
    assert f"its pin ended on {today() - timedelta(days=1)}, by dba" in ended
    assert f"{glyph} pinned" not in ended
