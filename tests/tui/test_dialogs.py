"""Dialogs, and what one may do wrong in them: how one gets away, what is off, what was typed and what went wrong."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from test_looks import HEALTHY, Frozen, app, pressed, settled
from textual.screen import ModalScreen
from textual.widgets import Input

from dashboards import at_rest, planned, shown, text_of, until
from pgalmanac.errors import ConnectError
from pgalmanac_tui.screens.main import MainScreen
from pgalmanac_tui.snapshot import Proposal, Wish
from snapshots import TODAY

REASON = "connection is bad: connection to server on socket was refused, and nobody knows whether the server is running"


class Refusing(Frozen):
    """A server that was there for one look."""

    async def propose(self, _table: object, wish: Wish) -> Proposal:  # noqa: ARG002  # none is granted
        """It is gone."""
        raise ConnectError(REASON, hint="is it running, and are --dsn or the PG* variables the right ones for it?")


@pytest.mark.parametrize("theme", ["dark", "ansi-dark", "ansi-light"])
async def test_a_button_that_is_off_has_its_word(theme: str) -> None:
    """In the terminal's own colours too: Textual draws a box of three lines there, of which one would be seen."""
    dashboard = app(Frozen(HEALTHY), theme=theme)

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("up", "D")
        await planned(dashboard, pilot)
        await until(
            pilot, lambda: any("Cancel  " in line and " Drop " in line for line in shown(dashboard).splitlines())
        )


@pytest.mark.parametrize("width", [60, 80, 120])
async def test_why_nothing_can_be_planned_is_said_whole(width: int) -> None:
    """An error is a sentence, and the remedy stands at its end."""
    dashboard = app(Refusing(HEALTHY))

    async with dashboard.run_test(size=(width, 24)) as pilot:
        await settled(pilot)
        await pilot.press("m")
        await until(pilot, lambda: "it cannot be done" in text_of(dashboard, "#title"))
        await at_rest(pilot)
        words = shown(dashboard).replace("│", " ").split()

    assert REASON in " ".join(words)
    assert "the right ones for it?" in " ".join(words)


@pytest.mark.parametrize("key", ["D", "g", "P", "y", "question_mark", "o"])
async def test_control_c_says_how_one_leaves_a_dialog(key: str) -> None:
    """The key of those who do not know it: nothing is left by it, and it is not silent."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(pilot)
        await pressed(pilot, "up", key)
        dialog = dashboard.screen
        assert isinstance(dialog, ModalScreen)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "esc leaves this, and then q quits" in shown(dashboard))
        assert dashboard.screen is dialog
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(dashboard.screen, MainScreen))


async def test_what_was_said_of_a_key_is_not_in_the_way_of_a_dialog() -> None:
    """It would lie on the last lines of it."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(pilot)
        await pilot.press("u")
        await until(pilot, lambda: "can be had back" in shown(dashboard))
        await pilot.press("question_mark")
        await until(pilot, lambda: "Keys and glyphs" in shown(dashboard) and "can be had back" not in shown(dashboard))


async def test_the_example_of_a_pins_last_day_is_a_day_to_come() -> None:
    """One that is over is refused, with the same example."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pressed(pilot, "up", "P")
        example = dashboard.screen.query_one("#until", Input).placeholder.split()[2]
        await pressed(pilot, "x", "tab", *"2001-01-01", "enter")
        await until(pilot, lambda: example in text_of(dashboard, "#question"))

    assert TODAY + timedelta(days=90) == date.fromisoformat(example)


async def test_a_question_that_does_not_fit_is_said_to_be_cut_off() -> None:
    """In a narrow terminal, or of a long name; its end stays, which says what a date may look like."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(50, 24)) as pilot:
        await settled(pilot)
        await pressed(pilot, "g", "x", "enter")
        await until(pilot, lambda: "That is no date" in text_of(dashboard, "#question"))
        asked = text_of(dashboard, "#question")

    assert "…" in asked
    assert asked.rstrip().endswith("-30 or +7")


async def test_a_filter_says_what_its_keys_do_and_that_nothing_is_like_it() -> None:
    """Every other key is a letter of it; a table with partitions is not said to have none."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("slash")
        await until(
            pilot, lambda: shown(dashboard).splitlines()[-1].split() == ["enter", "keep", "it", "esc", "end", "it"]
        )
        await pilot.press(*"zzz")
        await until(pilot, lambda: "none of them is like that; esc shows all" in shown(dashboard))
        await pilot.press("escape")
        await until(pilot, lambda: shown(dashboard).splitlines()[-1].split()[-4:] == ["q", "quit", "?", "help"])
        assert "none of them" not in shown(dashboard)


@pytest.mark.parametrize(("height", "both"), [(24, True), (20, True), (14, True), (13, False)])
async def test_where_there_is_room_the_calendar_and_the_list_are_both_in_sight(height: int, *, both: bool) -> None:
    """Whoever opens it in a small window finds the lists without knowing the key to them."""
    dashboard = app(Frozen(HEALTHY))

    async with dashboard.run_test(size=(60, height)) as pilot:
        await settled(pilot)
        screen = shown(dashboard)

    assert "Mon" in screen
    assert both is ("1 Partitions" in screen)
    assert both is ("events_2025_11_02" in screen)
    assert "? help" in screen
