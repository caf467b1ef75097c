"""The palette: what keys do, found by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.command import CommandPalette
from textual.widgets import OptionList

from dashboards import at_rest, opened, planned, text_of, typed, until
from support import add_partitions

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from pgalmanac_tui.app import Dashboard


async def chosen(app: Dashboard, pilot: Pilot[int], word: str) -> None:
    """Open the palette, type a word that means one thing, and choose that."""
    await pilot.press("colon")
    await until(pilot, lambda: isinstance(app.screen, CommandPalette))
    await typed(pilot, word)
    await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 1)
    await at_rest(pilot)  # of the letters before the last one nothing is looked for any more
    await until(pilot, lambda: app.screen.query_one(OptionList).highlighted == 0)
    await pilot.press("enter")


async def test_the_palette_does_what_a_key_does(database: str) -> None:
    """Its words are those of the key bar."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database, size=(100, 30)) as (app, pilot):
        await chosen(app, pilot, "maintain")
        await planned(app, pilot)

        assert "Maintain" in text_of(app, "#title")


async def test_the_palette_says_why_something_is_off(database: str) -> None:
    """What the role or the flag does not allow is there, with the reason, and is not done."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database, size=(100, 30), read_only=True) as (app, pilot):
        await chosen(app, pilot, "maintain")
        await until(pilot, lambda: any("maintain is off: " in n.message for n in app._notifications))


async def test_the_palette_offers_what_is_the_dashboards(database: str) -> None:
    """Textual has commands for every screen, of which some do nothing here."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database, size=(100, 30)) as (app, _):
        offered = {command.title for command in app.get_system_commands(app.screen)}

    assert {"maintain", "fix", "drop", "quit", "help", "theme"} <= offered
    assert not [title for title in offered if "selected" in title]
