"""What the main screen shows, as one immutable value that every part of it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from pgalmanac.errors import ConnectError, PgalmanacError

if TYPE_CHECKING:  # what a look at a table brings; the first picture has none
    from pgalmanac.findings import Level
    from pgalmanac.forecast import Measured
    from pgalmanac.results import PartitionCount
    from pgalmanac.table_names import TableName
    from pgalmanac_tui.almanac import Almanac
    from pgalmanac_tui.entries import Entry
    from pgalmanac_tui.snapshot import PartitionDetails, Profile, Snapshot, TableState

__all__ = ["Counting", "Link", "Model", "profile_key"]


def profile_key(entry: Entry, day: date) -> str:
    """Under which key the profile of an entry on a day is kept."""
    return f"{entry.key}@{day}"


class Link(StrEnum):
    """How the dashboard stands with the server."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """An exact count under way: *done* of *total* partitions, now *name*."""

    done: int
    total: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """All that is known. *now* is the server's clock as it runs on since the last look, *seen_at* that of the look.

    *problem* says why the last look failed; *retry_in* are the seconds until the next attempt, *waiting* those that the
    server has owed an answer for so long that it is worth a word. *levels* is how each table was found to be last: its
    worst level, or why it cannot be told.
    """

    link: Link = Link.CONNECTING
    snapshot: Snapshot | None = None
    almanac: Almanac | None = None
    now: datetime | None = None
    problem: PgalmanacError | None = None
    retry_in: float | None = None
    waiting: float | None = None
    read_only: bool = False
    label: str | None = None
    levels: Mapping[TableName, Level | str | None] = field(default_factory=dict["TableName", "Level | str | None"])
    counting: Counting | None = None
    counted: Mapping[int, PartitionCount] = field(default_factory=dict[int, "PartitionCount"])
    details: Mapping[int, PartitionDetails] = field(default_factory=dict[int, "PartitionDetails"])
    trends: Mapping[int, tuple[Measured, ...]] = field(default_factory=dict[int, "tuple[Measured, ...]"])
    profiles: Mapping[str, Profile] = field(default_factory=dict[str, "Profile"])

    @property
    def table(self) -> TableState | None:
        """The table in view, as it was seen last."""
        return None if self.snapshot is None else self.snapshot.table

    @property
    def name(self) -> TableName | None:
        """Its name."""
        return None if self.table is None else self.table.name

    @property
    def critical(self) -> int:
        """How many tables are critical, if another than that in view is among them; else 0.

        One of which it cannot be told is not.
        """
        tables = () if self.snapshot is None else self.snapshot.tables
        levels = {name: self.levels.get(name) for name in tables if name != self.name}
        others = sum(1 for level in levels.values() if level == "critical")
        return others and others + (self.table is not None and self.table.level == "critical")

    @property
    def age(self) -> float:
        """How many seconds old the last look is."""
        return 0.0 if self.snapshot is None or self.now is None else (self.now - self.snapshot.now).total_seconds()

    def why_not(self) -> str | None:
        """Why nothing can be changed now, or None."""
        if (why := self.why_blind()) is not None or self.snapshot is None or self.table is None:
            return why
        if self.read_only:
            return "the dashboard was started with --read-only"
        if self.snapshot.server.standby:
            return f"{self.snapshot.server.database} is a standby; connect to the primary"
        missing = self.table.view.table.missing_grants
        return f"this role may not; missing: {'; '.join(missing)}" if missing else None

    def why_blind(self) -> str | None:
        """Why nothing can be looked at now, or None."""
        if self.snapshot is None:
            return "there is no connection yet"
        if self.link is Link.LOST:
            return "the connection is lost" if isinstance(self.problem, ConnectError) else "the last look failed"
        return None if self.table is not None else self.snapshot.trouble or "there is no table"
