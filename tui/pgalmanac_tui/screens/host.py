"""What the main screen needs of the application: the state, and the work that outlives a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pgalmanac_tui.screens.change import Changer

if TYPE_CHECKING:
    from datetime import date

    from pgalmanac.findings import Level
    from pgalmanac.model import TableName
    from pgalmanac_tui.almanac import Entry
    from pgalmanac_tui.glyphs import Glyphs
    from pgalmanac_tui.model import Model
    from pgalmanac_tui.snapshot import RunRecord

__all__ = ["Host"]


class Host(Changer, Protocol):
    """The application as its screens see it."""

    model: Model
    glyphs: Glyphs

    def poll_now(self) -> None:
        """Look again without waiting."""
        ...

    def redraw(self) -> None:
        """The same, and a fresh picture."""
        ...

    def pause(self) -> None:
        """Stop looking, or go on."""
        ...

    def switch(self, table: TableName) -> None:
        """Show another table."""
        ...

    def look_closer(self, entry: Entry) -> None:
        """Fetch the details of a partition."""
        ...

    def count(self, entries: tuple[Entry, ...], day: date) -> None:
        """Count partitions exactly."""
        ...

    def stop_counting(self) -> None:
        """Break a count off."""
        ...

    def copy(self, text: str) -> None:
        """Send text to the terminal's clipboard."""
        ...

    async def run_record(self, run_id: str) -> RunRecord | None:
        """One run with its actions."""
        ...

    async def levels(self, tables: tuple[TableName, ...]) -> dict[TableName, Level | str | None]:
        """Each table's health."""
        ...
