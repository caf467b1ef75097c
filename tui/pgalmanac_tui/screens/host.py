"""What the screens need of the application: the state, and the work that outlives a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from pgalmanac.actions import Action
    from pgalmanac.findings import Level
    from pgalmanac.plan import Plan
    from pgalmanac.results import Blocker
    from pgalmanac.table_names import TableName
    from pgalmanac_tui.changes import Change
    from pgalmanac_tui.entries import Entry
    from pgalmanac_tui.glyphs import Glyphs
    from pgalmanac_tui.model import Model
    from pgalmanac_tui.snapshot import Proposal, RunRecord, Wish

__all__ = ["Changer", "Host"]


class Changer(Protocol):
    """What the screen needs of the application, to which the work belongs."""

    label: str | None
    invocation: tuple[str, ...]
    # Seconds of this process.
    clock: Callable[[], float]

    async def propose(self, table: TableName, wish: Wish) -> Proposal:
        """What would be done now."""
        ...

    def begin(self, proposal: Proposal) -> Change:
        """Start doing it."""
        ...

    async def in_the_way(self, plan: Plan, action: Action) -> tuple[Blocker, ...]:
        """Who holds a lock now that an action under way needs."""
        ...

    def copy(self, text: str) -> None:
        """Send text to the terminal's clipboard."""
        ...

    def undo(self) -> None:
        """Break off the action under way."""
        ...


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

    async def run_record(self, run_id: str) -> RunRecord | None:
        """One run with its actions."""
        ...

    async def levels(self, tables: tuple[TableName, ...]) -> dict[TableName, Level | str | None]:
        """Each table's health."""
        ...
