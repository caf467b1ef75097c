"""What is said of a key that was pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboards import at_rest, opened, until
from support import add_partitions

if TYPE_CHECKING:
    from pgalmanac_tui.app import Dashboard


def said(app: Dashboard) -> list[str]:
    """All that is said now."""
    return [notice.message for notice in app._notifications]


async def test_what_is_said_of_a_key_takes_the_place_of_what_was_said_before(database: str) -> None:
    """They piled up over the list; an error is not over because a key was pressed."""
    add_partitions(database, days=range(-3, 31))

    async with opened(database, read_only=True) as (app, pilot):
        app.notify("the count broke", severity="error")
        await pilot.press("D", "D", "m")
        await until(pilot, lambda: any(text.startswith("maintain is off: ") for text in said(app)))
        await at_rest(pilot)

        assert ["the count broke", "maintain is off: the dashboard was started with --read-only"] == said(app)


async def test_ctrl_z_says_that_it_does_nothing(database: str) -> None:
    """Before a dialog too, where somebody types."""
    add_partitions(database, days=range(-3, 31))

    async with opened(database) as (app, pilot):
        for keys in (["ctrl+z"], ["g", "ctrl+z"]):
            await pilot.press(*keys)
            await until(pilot, lambda: any("cannot be suspended" in text for text in said(app)))
            app.clear_notifications()
