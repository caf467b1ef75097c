"""What the dashboard's tests share: opening it on a database, waiting, and reading what is on the screen."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from textual.widgets import Input

from pgalmanac.config import Settings
from pgalmanac.model import TableRef
from pgalmanac_tui.app import Dashboard
from pgalmanac_tui.model import Link
from pgalmanac_tui.screens.change import ChangeScreen
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.pager import Pager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.pilot import Pilot

__all__ = ["EVENTS", "busy", "opened", "shown", "text_of", "until"]

EVENTS = TableRef(name="events")
PATIENCE_SECONDS = 15.0


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
    app = Dashboard(Settings(dsn=conninfo, requested=requested, **settings), environ={})
    try:
        async with app.run_test(size=size) as pilot:
            if live:
                await until(pilot, lambda: app.model.link is Link.LIVE)
            yield app, pilot
    finally:
        await asyncio.to_thread(app.disconnect)


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    """Wait for something to become true, and fail when it does not."""
    end = monotonic() + PATIENCE_SECONDS
    while not holds():
        assert monotonic() < end, f"it never came to be; the screen says:\n{shown(pilot.app)}"
        await pilot.pause(0.02)


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
    """Type a text into the place that has the focus."""
    assert isinstance(pilot.app.screen.focused, Input)
    await pilot.press(*text)
