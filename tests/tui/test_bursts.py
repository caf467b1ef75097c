"""Keys that come all at once, as over a slow line or from somebody who types ahead: each acts where it would alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from test_looks import HEALTHY, Frozen, app, settled
from textual import events
from textual.keys import _character_to_key
from textual.widgets import Input

from dashboards import PATIENCE_SECONDS, at_rest, until
from pgalmanac_tui import keyboard
from pgalmanac_tui.screens.change import ChangeScreen
from pgalmanac_tui.screens.lists import Lists
from pgalmanac_tui.screens.main import MainScreen
from pgalmanac_tui.screens.small import CopyScreen
from pgalmanac_tui.widgets.calendar import Calendar
from snapshots import TODAY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.app import App
    from textual.pilot import Pilot


def burst(to: App[int], *keys: str) -> None:
    """Press these keys before any of them is handled; a text is its characters."""
    for word in keys:
        for key in (
            [word] if len(word) > 1 and word in {"tab", "enter", "down", "escape", "up", "ctrl+c", "ctrl+q"} else word
        ):
            name = _character_to_key(key) if len(key) == 1 else key
            to.post_message(events.Key(name, key if len(key) == 1 else None))


def box(pilot: Pilot[int]) -> Input:
    """The place in which the words of a filter are typed."""
    return pilot.app.screen.query_one("#filter", Input)


@pytest.mark.parametrize("before", [(), ("tab",)])
async def test_a_filter_that_is_typed_ahead_is_a_filter(before: tuple[str, ...]) -> None:
    """Its letters are keys that drop and count, its digits open other lists; the box is there the second time."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for words in ("Dec", "2013", "DmfcuPq"):
            burst(dashboard, *before, "/", words)
            await until(pilot, lambda words=words: box(pilot).value == words)  # type: ignore[misc]  # a str
            await at_rest(pilot)
            assert isinstance(dashboard.screen, MainScreen)
            assert dashboard.focused is box(pilot)
            assert pilot.app.screen.query_one("#body", Lists).current == "partitions"
            burst(dashboard, "escape")
            await until(pilot, lambda: not box(pilot).display)
            await at_rest(pilot)


async def test_a_date_that_is_typed_ahead_is_gone_to() -> None:
    """All of it, enter included, and what comes after it is done there."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        calendar = dashboard.screen.query_one("#calendar", Calendar)
        burst(dashboard, "g", "-30", "enter")
        await until(pilot, lambda: calendar.day == TODAY - timedelta(days=30))
        await at_rest(pilot)
        assert isinstance(dashboard.screen, MainScreen)
        assert calendar.has_focus
        burst(dashboard, "tab", "g", "-20", "enter", "up", "g", "+3", "enter", "down", "down", "D")
        await until(pilot, lambda: isinstance(dashboard.screen, ChangeScreen))
        assert calendar.day == TODAY + timedelta(days=5)


async def test_what_follows_a_tab_moves_the_list() -> None:
    """And not the calendar, whose day the list's row then chooses; after another tab it is the other way round."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        calendar = dashboard.screen.query_one("#calendar", Calendar)
        lists = dashboard.screen.query_one("#body", Lists)
        burst(dashboard, "tab", "down", "down", "down")
        # Newest first.
        await until(pilot, lambda: calendar.day == TODAY - timedelta(days=3))
        await at_rest(pilot)
        assert dashboard.focused is lists.shown
        burst(dashboard, "tab", "down", "down", "tab", "tab")
        await until(pilot, lambda: calendar.day == TODAY - timedelta(days=1))
        await at_rest(pilot)
        assert calendar.has_focus


async def test_keys_go_to_the_dialog_that_the_one_before_them_opened_or_closed() -> None:
    """Escape leaves it, and the next key is the main screen's again."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        burst(dashboard, "up", "D", "escape", "?", "escape", "2", "y", "escape", "y")
        await until(pilot, lambda: isinstance(dashboard.screen, CopyScreen))
        await at_rest(pilot)
        assert [MainScreen, CopyScreen] == [type(s) for s in dashboard.screen_stack]
        burst(dashboard, "escape", ":", "theme")
        await until(pilot, lambda: isinstance(dashboard.focused, Input) and dashboard.focused.value == "theme")


async def test_a_paste_goes_to_what_the_key_before_it_opened() -> None:
    """Bracketed it is an event of its own."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        burst(dashboard, "/")
        dashboard.post_message(events.Paste("2025_11"))
        burst(dashboard, "_0")
        await until(pilot, lambda: box(pilot).value == "2025_11_0")


async def test_a_key_that_is_held_down_loses_nothing() -> None:
    """Fifty presses are fifty days."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        burst(dashboard, *["up"] * 50)
        calendar = dashboard.screen.query_one("#calendar", Calendar)
        await until(pilot, lambda: calendar.day == TODAY - timedelta(days=50))
        await at_rest(pilot)
        assert calendar.day == TODAY - timedelta(days=50)


async def test_what_follows_a_key_that_was_held_down_finds_it_done() -> None:
    """The day of the last row is known to the calendar when v begins a range there."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        calendar = dashboard.screen.query_one("#calendar", Calendar)
        burst(dashboard, "tab", *["down"] * 20, "v", "up")
        await until(pilot, lambda: calendar.has_focus and calendar.day == TODAY - timedelta(days=21))
        assert calendar.begin == TODAY - timedelta(days=20)


@asynccontextmanager
async def stuck(keys: tuple[str, ...]) -> AsyncIterator[Pilot[int]]:
    """A dashboard whose calendar does not come to an end with what z asks for, and *keys* were pressed after that."""
    released = asyncio.Event()

    async def wait(_: Calendar, event: events.Key) -> None:
        if event.key == "z":
            await released.wait()

    dashboard = app(Frozen(HEALTHY))
    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Calendar, "handle_key", wait)
            burst(dashboard, "z", *keys)
            try:
                yield pilot
            finally:
                released.set()


async def soon(holds: Callable[[], bool]) -> None:
    """Wait for something to become true where the pilot would wait for what is stuck; only a failure takes so long."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110  # what shows on the screen is no event
            await asyncio.sleep(0.02)


def said(pilot: Pilot[int]) -> list[str]:
    """What is notified of."""
    return [notification.message for notification in pilot.app._notifications]


DROPPED = "a key is stuck: those pressed meanwhile were dropped"


async def test_keys_that_waited_behind_one_that_is_stuck_are_said_to_be_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once, however many there are."""
    monkeypatch.setattr(keyboard, "_STUCK_SECONDS", 0.5)

    async with stuck(("j", "j", "D")) as pilot:
        await soon(lambda: said(pilot) == [DROPPED])


@pytest.mark.parametrize("behind", [("ctrl+c",), ("j", "ctrl+c", "D")])
async def test_what_ends_it_does_not_wait_behind_a_key_that_is_stuck(
    behind: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is heard long before the key is given up, and only it."""
    monkeypatch.setattr(keyboard, "_STUCK_SECONDS", 3600)

    async with stuck(behind) as pilot:
        await soon(lambda: "q quits" in said(pilot))
        assert (DROPPED in said(pilot)) is (len(behind) > 1)


async def test_one_can_leave_behind_a_key_that_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """By ctrl+q, which Textual has."""
    monkeypatch.setattr(keyboard, "_STUCK_SECONDS", 3600)

    async with stuck(("ctrl+q",)) as pilot:
        await soon(lambda: pilot.app._exit)
