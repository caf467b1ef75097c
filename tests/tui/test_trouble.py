"""Servers that fall silent or stop, two dashboards at once, a terminal that shrinks, and names that are no words."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Button, Input

from dashboards import ended, opened, planned, shown, slow_creates, text_of, typed, until
from pgalmanac.errors import ServerError
from pgalmanac.execute import Done, Executor
from pgalmanac_tui import engine, gateway
from pgalmanac_tui.app import Dashboard
from pgalmanac_tui.connection import Connection
from pgalmanac_tui.model import Link
from pgalmanac_tui.screens.change import ChangeScreen
from pgalmanac_tui.screens.main import MainScreen
from pgalmanac_tui.screens.reading import HelpScreen, RunScreen
from pgalmanac_tui.screens.tables import TablesScreen
from pgalmanac_tui.widgets.calendar import Calendar
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.listing import Listing
from pgalmanac_tui.widgets.pager import Pager
from support import add_partitions, connect, create_events, partition_names, rows, today

if TYPE_CHECKING:
    from collections.abc import Generator

    from pgalmanac.actions import Action
    from pgalmanac.db import Session
    from pgalmanac.pgserver import Cluster


def name(days: int) -> str:
    """The partition of the day that is so many days from today."""
    return f"events_{today() + timedelta(days=days):%Y_%m_%d}"


def listed(app: Dashboard) -> Listing[Any]:
    """The runs on the main screen."""
    return app.screen.query_one("#runs", Listing)


def header(app: Dashboard) -> str:
    """The header of the main screen, whatever stands in front of it."""
    return next(s for s in app.screen_stack if isinstance(s, MainScreen)).query_one("#header", Lines).text()


def lines(app: Dashboard) -> int:
    """How many lines the screen in front has."""
    return len(app.screen._compositor.render_strips())


@contextmanager
def silent(server: Cluster) -> Generator[None]:
    """Stop all of the server's processes as they are: connections stay open, and nothing answers on them."""
    pids = [int((server.data / "postmaster.pid").read_text().split()[0])]
    pids += [
        pid for (pid,) in rows(server.conninfo(), "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    ]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_a_server_that_falls_silent(own_server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys go on, what is asked can be left, the silence is said with the age of the picture, and it comes back."""
    create_events(own_server.conninfo(), days=range(-3, 31))
    monkeypatch.setattr(gateway, "_LOOK_SECONDS", 1.0)

    async with opened(own_server.conninfo()) as (app, pilot):
        with silent(own_server):
            app.poll_now()
            await pilot.press("m")
            await until(pilot, lambda: isinstance(app.screen, ChangeScreen))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, MainScreen))
            await pilot.press("down")
            await until(pilot, lambda: app.screen.query_one(Calendar).day == today() + timedelta(days=1))
            await until(pilot, lambda: app.model.link is Link.LOST)
            assert "what you see is" in header(app)
            assert "no answer in 1 seconds" in str(app.model.problem)
            assert "34 partitions" in header(app)
        monkeypatch.undo()  # a plan may take longer on a machine that has much to do
        app.poll_now()
        await until(pilot, lambda: app.model.link is Link.LIVE)
        await pilot.press("m")
        await planned(app, pilot)


async def test_an_answer_that_is_late_is_said_to_be(own_server: Cluster) -> None:
    """Long before the look is given up: for how long, how old the picture is, and no health as if it were known.

    The look goes on: when the server answers after all, nothing was lost.
    """
    create_events(own_server.conninfo(), days=range(-3, 31))

    async with opened(own_server.conninfo(), size=(120, 30)) as (app, pilot):
        first = app.model.snapshot
        with silent(own_server):
            app.poll_now()
            await until(pilot, lambda: "no answer for " in header(app))
            assert "; what you see is " in header(app)
            assert app.model.link is Link.LIVE
            assert "34 partitions" in header(app)
            health = health_style(app)
        await until(pilot, lambda: "no answer" not in header(app))
        assert app.model.snapshot is not first
        assert app.model.problem is None
        await until(pilot, lambda: health_style(app) != health)


def health_style(app: Dashboard) -> object:
    """How the word at the right end of the first line is painted."""
    strip = app.screen.query_one("#header", Lines).render_line(0)
    return next(segment.style for segment in strip if "WARNING" in segment.text)


async def test_the_server_stops_while_a_plan_is_open(own_server: Cluster) -> None:
    """Applying it says that nobody is there and changes nothing; afterwards the same plan is asked for again."""
    create_events(own_server.conninfo(), days=range(-3, 1))

    async with opened(own_server.conninfo()) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        own_server.stop()
        await pilot.press("enter")
        await ended(pilot, dialog)
        assert "cannot reach" in text_of(app, "#text")
        assert "not done" in text_of(app, "#title")
        await pilot.press("enter")
        await until(pilot, lambda: app.model.link is Link.LOST)
        own_server.start()
        app.poll_now()
        await until(pilot, lambda: app.model.link is Link.LIVE)
        assert partition_names(own_server.conninfo()) == [name(d) for d in range(-3, 1)]
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await ended(pilot, dialog)
        assert "proved" in text_of(app, "#text")


async def test_the_server_stops_while_a_plan_is_applied(own_server: Cluster) -> None:
    """What was done is shown and stays, what was under way is undone, and the next run closes the row of that one."""
    create_events(own_server.conninfo(), days=[0])
    slow_creates(own_server.conninfo(), 0.3)

    async with opened(own_server.conninfo()) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: dialog._change is not None and len(dialog._change.outcomes) > 1)
        own_server.stop()
        await ended(pilot, dialog)
        assert "done" in text_of(app, "#title")
        said = text_of(app, "#text")
        await pilot.press("enter")
        own_server.start()
        app.poll_now()
        await until(pilot, lambda: app.model.link is Link.LIVE)
        there = partition_names(own_server.conninfo())
        with connect(own_server.conninfo()) as connection:
            connection.execute(b"DROP EVENT TRIGGER slow")
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await ended(pilot, dialog)

    assert "cannot reach" in said or "lost" in said
    assert 2 < len(there) < 61
    assert [name(d) for d in range(-30, 31)] == partition_names(own_server.conninfo())
    runs = rows(own_server.conninfo(), "SELECT status, error FROM housekeeper_runs ORDER BY id")
    assert [status for status, _ in runs] == ["error", "success"]


async def test_two_dashboards_drop_the_same_partition(database: str) -> None:
    """Both had agreed before either began: one drops it, the other one says why it did not, and nothing else goes."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database) as (one, first), opened(database) as (other, second):
        dialogs: list[ChangeScreen] = []
        for app, pilot in ((one, first), (other, second)):
            await pilot.press("up", "D")
            dialogs.append(await planned(app, pilot))
            await pilot.press("shift+tab")
            await typed(pilot, name(-1))
        await asyncio.gather(first.press("enter"), second.press("enter"))
        await asyncio.gather(ended(first, dialogs[0]), ended(second, dialogs[1]))
        said = [text_of(app, "#text") for app in (one, other)]
        await asyncio.gather(first.press("enter"), second.press("enter"))
        await until(second, lambda: isinstance(other.screen, MainScreen) and other.model.link is Link.LIVE)
        await until(first, lambda: isinstance(one.screen, MainScreen) and one.model.link is Link.LIVE)

    assert sum("1 dropped" in text for text in said) == 1
    refused = next(text for text in said if "1 dropped" not in text)
    assert "another run is at work" in refused or name(-1) in refused
    assert [name(d) for d in (-3, -2, 0, 1)] == partition_names(database)


async def test_the_terminal_shrinks_while_a_plan_is_open_and_while_it_is_applied(database: str) -> None:
    """At 40 by 10 what is at stake and the way out stay in sight, and nothing of the work is lost."""
    add_partitions(database, days=range(-3, 1))
    slow_creates(database, 0.05)

    async with opened(database, size=(100, 30)) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: lines(app) == 10 and "Cancel" in shown(app))
        small = shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: dialog._change is not None and bool(dialog._change.outcomes))
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: lines(app) == 40)
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: lines(app) == 10 and ("Stop" in shown(app) or "Close" in shown(app)))
        await ended(pilot, dialog)
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: "proved" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Mon" in shown(app) and "? help" in shown(app))

    assert "57 to create" in small
    assert [name(d) for d in range(-30, 31)] == partition_names(database)


HOSTILE = "ev[red]il\x1b[31m'x\u202e\u200b"
AS_SHOWN = "ev[red]il\\x1b[31m'x\\x202e\\x200b"


async def test_a_partition_that_cannot_be_typed_is_dropped_by_what_is_shown_of_it(database: str) -> None:
    """Escape sequences, markup and characters that turn the text round are shown as escapes, and typed as shown."""
    add_partitions(database, days=[0])
    yesterday = today() - timedelta(days=1)
    with connect(database) as connection:
        connection.execute(
            f"CREATE TABLE \"{HOSTILE}\" PARTITION OF events FOR VALUES FROM ('{yesterday}') TO ('{today()}')".encode()
        )
        connection.execute(f"COMMENT ON TABLE \"{HOSTILE}\" IS E'\\x1b]0;title\\x07[bold]comment[/bold]'".encode())

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("up")
        await until(pilot, lambda: AS_SHOWN in shown(app))
        await pilot.press("D")
        dialog = await planned(app, pilot)
        screens = [shown(app)]
        await pilot.press("shift+tab")
        await until(pilot, lambda: isinstance(app.screen.focused, Input))
        dialog.query_one("#name", Input).value = AS_SHOWN
        await until(pilot, lambda: not dialog.query_one("#apply", Button).disabled)
        await pilot.press("enter")
        await ended(pilot, dialog)
        screens.append(shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))
        await pilot.press("3")
        await until(pilot, lambda: listed(app).has_focus and len(listed(app).rows) > 0)
        await pilot.press("enter")
        await until(pilot, lambda: "DROP TABLE" in shown(app))
        screens.append(shown(app))

    assert [name(0)] == partition_names(database)
    for screen in screens:
        assert AS_SHOWN in screen
        assert not {"\x1b", "\x07", "\u202e", "\u200b"} & set(screen)


async def test_the_help_is_whole_at_80_by_24(database: str) -> None:
    """No line is longer than its place: what a key does, and why it is off, can be read."""
    add_partitions(database, days=[0])

    async with opened(database, size=(80, 24), read_only=True) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        pager = app.screen.query_one("#text", Pager)
        await until(pilot, lambda: "missing today" in pager.text())
        lines, cells = pager.text().splitlines(), pager.scrollable_content_region.width

    assert [] == [line for line in lines if len(line) > cells]
    text = " ".join(" ".join(lines).split())
    assert "drop the chosen partitions; asks for the name off: the dashboard was started with --read-only" in text


async def test_a_server_falls_silent_while_a_plan_is_applied(
    own_server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever breaks it off is let go though nobody answers; when the server does again, nothing is half done."""
    monkeypatch.setattr(engine, "_UNDO_SECONDS", 1.0)
    create_events(own_server.conninfo(), days=[0])
    slow_creates(own_server.conninfo(), 0.3)

    async with opened(own_server.conninfo()) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: dialog._change is not None and bool(dialog._change.outcomes))
        with silent(own_server):
            await pilot.press("escape")
            await until(pilot, lambda: "stopping after this action" in text_of(app, "#prompt"))
            await pilot.press("escape")
            await ended(pilot, dialog)
            said = text_of(app, "#text")
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, MainScreen))
        app.poll_now()
        await until(pilot, lambda: app.model.link is Link.LIVE and app.model.table is not None)
        closed = "SELECT status FROM housekeeper_runs"
        await until(pilot, lambda: rows(own_server.conninfo(), closed) == [("error",)])

    assert "broken off" in said
    assert 2 <= len(partition_names(own_server.conninfo())) < 61


FAULTS = [
    pytest.param(KeyError(4711), "KeyError: 4711", id="bug"),
    pytest.param(MemoryError(), "MemoryError", id="memory"),
    pytest.param(ValueError("in PGPASSWORD=secret host=db"), "ValueError: in PGPASSWORD=*** host=db", id="password"),
]


@pytest.mark.parametrize(("fault", "named"), FAULTS)
async def test_a_change_ends_though_a_fault_of_ours_broke_it(
    database: str, monkeypatch: pytest.MonkeyPatch, fault: Exception, named: str
) -> None:
    """What was done is shown and stays, the fault is named, nothing else is claimed, and the next change works."""
    add_partitions(database, days=[0])
    work, begun = Executor.run, list[object]()

    async def fail(self: Executor, action: Action) -> Done:
        begun.append(action)
        if len(begun) > 1:
            raise fault
        return await work(self, action)

    monkeypatch.setattr(Executor, "run", fail)

    async with opened(database) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await ended(pilot, dialog)
        title, text = text_of(app, "#title"), text_of(app, "#text")
        monkeypatch.undo()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MainScreen) and app.model.link is Link.LIVE)
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await ended(pilot, dialog)
        assert "proved" in text_of(app, "#text")

    assert "not done, or not all of it" in title
    assert f"internal error ({named})" in " ".join(text.split())
    assert 1 == text.count("done  ")
    assert "proved" not in text
    assert [name(d) for d in range(-30, 31)] == partition_names(database)
    assert [("error",), ("success",)] == rows(database, "SELECT status FROM housekeeper_runs ORDER BY id")


async def test_a_fault_of_ours_while_something_is_looked_at(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan, a list of tables, a run, a count and the look itself: each says so where it would have been shown."""
    add_partitions(database, days=range(-3, 2), rows_a_day=2)
    said = "internal error (MemoryError)"

    async with opened(database, size=(140, 30)) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await ended(pilot, dialog)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))
        await pilot.press("3")
        await until(pilot, lambda: listed(app).has_focus and len(listed(app).rows) == 1)
        # A look of its own would fail in between, and the keys be off.
        await pilot.press("p")
        await until(pilot, lambda: app.model.link is Link.PAUSED and app._asked_at is None)
        monkeypatch.setattr(Connection, "use", _no_memory)
        await pilot.press("m")
        await until(pilot, lambda: said in shown(app) and "Close" in shown(app))
        await pilot.press("escape", "o")
        await until(pilot, lambda: isinstance(app.screen, TablesScreen) and said in shown(app))
        await pilot.press("escape", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and said in shown(app))
        await pilot.press("escape", "tab", "e")
        await until(pilot, lambda: any(said in n.message for n in app._notifications))
        assert app.model.counting is None
        app.poll_now()
        await until(pilot, lambda: said in header(app))
        assert "looking failed, trying again in " in header(app)
        assert "61 partitions" in header(app)
        monkeypatch.undo()
        app.poll_now()
        await until(pilot, lambda: app.model.link is Link.PAUSED)


async def test_what_an_error_left_open_does_not_spoil_the_next_look(database: str) -> None:
    """A table that was renamed between two statements of a transaction costs one look, and not all that follow."""

    async def broken(session: Session) -> None:
        await session.execute("BEGIN; SELECT FROM public.renamed_by_now")

    async def one(session: Session) -> Any:  # noqa: ANN401  # as the driver has it
        return await (await session.execute("SELECT 1")).fetchone()

    connection = Connection(database)
    try:
        with pytest.raises(ServerError, match="renamed_by_now"):
            await connection.use(broken, what="the look", seconds=None)
        assert (1,) == await connection.use(one, what="the look", seconds=None)
    finally:
        await connection.close()


async def _no_memory(*_: object, **__: object) -> None:
    raise MemoryError
