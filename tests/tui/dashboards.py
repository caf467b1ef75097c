"""What the dashboard's tests share: opening it on a database, waiting, and reading what is on the screen."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, redirect_stdout
from time import monotonic
from typing import TYPE_CHECKING, Any

from textual.css.query import NoMatches
from textual.widgets import Button, Input
from textual.worker import WorkerState

from pgalmanac.config import Settings
from pgalmanac.table_names import TableRef
from pgalmanac_tui.app import Dashboard
from pgalmanac_tui.model import Link
from pgalmanac_tui.screens.change import ChangeScreen
from pgalmanac_tui.screens.main import MainScreen
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.pager import Pager
from support import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.pilot import Pilot

__all__ = [
    "EVENTS",
    "at_rest",
    "busy",
    "ended",
    "lasting",
    "opened",
    "planned",
    "shown",
    "slow_creates",
    "text_of",
    "typed",
    "until",
]

EVENTS = TableRef(name="events")
# Only a test that fails waits so long.
PATIENCE_SECONDS = 60.0
# A message goes up from a widget to its screen and application, one step at each round in which all are heard.
_STEPS = 8
_ENDED = {WorkerState.CANCELLED, WorkerState.ERROR, WorkerState.SUCCESS}


@asynccontextmanager
async def opened(
    conninfo: str,
    *,
    size: tuple[int, int] = (100, 30),
    requested: tuple[TableRef, ...] = (EVENTS,),
    live: bool = True,
    **settings: Any,  # noqa: ANN401  # the fields of Settings
) -> AsyncIterator[tuple[Dashboard, Pilot[int]]]:
    """Open the dashboard on a database, and wait for its first look."""
    # Another dashboard that is open already has its hands on stdout, of which a new one asks what it can show.
    with redirect_stdout(sys.__stdout__):
        app = Dashboard(Settings(dsn=conninfo, requested=requested, **settings), environ={})
    lasting(app)
    try:
        async with app.run_test(size=size) as pilot:
            if live:
                await until(pilot, lambda: app.model.link is Link.LIVE)
            yield app, pilot
    finally:
        await asyncio.to_thread(app.disconnect)


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    """Wait for something to become true, and fail when it does not; what is not there yet is not true yet."""
    end = monotonic() + PATIENCE_SECONDS
    while not _so(holds):
        assert monotonic() < end, f"it never came to be; the screen says:\n{shown(pilot.app)}"
        await pilot.pause(0.02)


def _so(holds: Callable[[], bool]) -> bool:
    """Whether it is true; of a screen that has come to the front and not its parts, it is not."""
    try:
        return holds()
    except NoMatches:
        return False


async def at_rest(pilot: Pilot[int]) -> None:
    """Wait until nothing is under way that would paint something: keys, timers of the screens, what is asked for."""
    still = 0
    end = monotonic() + PATIENCE_SECONDS
    while still < _STEPS:
        assert monotonic() < end, f"it never comes to rest; the screen says:\n{shown(pilot.app)}"
        await pilot.pause()
        still = still + 1 if _resting(pilot.app) else 0


def _resting(app: Any) -> bool:  # noqa: ANN401  # App[int] or Dashboard
    """Whether no timer is to run out once, and no worker is at work but the one that looks again and again."""
    screens = [s for s in app.screen_stack if isinstance(s, MainScreen | ChangeScreen)]
    timers = [t for screen in screens for t in screen._timers if t._repeat is not None]
    workers = [w for w in app.workers if w.group != "poll"]
    return all(t._task is None or t._task.done() for t in timers) and all(w.state in _ENDED for w in workers)


def lasting(app: Dashboard) -> None:
    """Let what is said stay until it was read, also where a test takes longer than a person."""
    say = app.notify

    def notify(message: str, **how: Any) -> None:  # noqa: ANN401  # what a notification may be
        say(message, **{**how, "timeout": 3600})

    app.notify = notify  # type: ignore[method-assign]  # for this one application


def text_of(app: Any, selector: str) -> str:  # noqa: ANN401  # App[int] or Dashboard
    """The text of one part of the screen in front."""
    widget = app.screen.query_one(selector)
    assert isinstance(widget, Lines | Pager)
    return widget.text()


def shown(app: Any) -> str:  # noqa: ANN401  # as above
    """Everything that the screen in front shows, as text."""
    return "\n".join("".join(s.text for s in line).rstrip() for line in app.screen._compositor.render_strips())


def busy(app: Dashboard) -> bool:
    """Whether a dialog is still planning or at work."""
    screen = app.screen
    return isinstance(screen, ChangeScreen) and (
        screen._proposal is None or (screen._change is not None and not screen._change.ended)
    )


async def typed(pilot: Pilot[int], text: str) -> None:
    """Type a text into the place that has the focus, as soon as there is one."""
    await until(pilot, lambda: isinstance(pilot.app.screen.focused, Input))
    await pilot.press(*text)


def slow_creates(conninfo: str, seconds: float) -> None:
    """Make each new partition take so long."""
    with connect(conninfo) as connection:
        connection.execute(
            f"""CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE 'public.events_2%')
                THEN PERFORM pg_sleep({seconds}); END IF; END $$;
                CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
                EXECUTE FUNCTION slow()""".encode()
        )


async def planned(app: Dashboard, pilot: Pilot[int]) -> ChangeScreen:
    """Wait for the dialog and its plan."""
    await until(pilot, lambda: isinstance(app.screen, ChangeScreen) and app.screen._proposal is not None)
    screen = app.screen
    assert isinstance(screen, ChangeScreen)
    return screen


async def ended(pilot: Pilot[int], dialog: ChangeScreen) -> None:
    """Wait for the dialog's work to end and to be shown."""
    await until(pilot, lambda: dialog._change is not None and dialog._change.ended)
    await until(pilot, lambda: str(dialog.query_one("#cancel", Button).label) == "Close")
