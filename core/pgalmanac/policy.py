"""What is wanted of one table: its interval, how far ahead, for how long, and within which limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from pgalmanac.invocation import Invocation
from pgalmanac.model import Bounds, Interval

__all__ = ["DEFAULT_DROPS", "MAX_PREMAKE_DAYS", "MAX_RETENTION_DAYS", "ArchiveTarget", "Policy"]

MAX_RETENTION_DAYS: Final = 36_500
MAX_PREMAKE_DAYS: Final = 3_660
LOW_RUNWAY_DAYS: Final = 7
# A column of many event tables.
_BREAKDOWN: Final = "event_type"
UTC_ZONE: Final = ZoneInfo("UTC")

# The fuse when nobody set one: a month's worth of the interval, and at least two.
DEFAULT_DROPS: Final = {
    Interval.HOURLY: 744,
    Interval.DAILY: 31,
    Interval.WEEKLY: 5,
    Interval.MONTHLY: 2,
    Interval.QUARTERLY: 2,
    Interval.YEARLY: 2,
}
# The interval is today's: what was longer once is measured. Five weeks are the longest month above, and a day is room
# for clocks that change.
_MONTHS_WORTH: Final = timedelta(days=36)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTarget:
    """Where partitions are archived: a folder (file:///…) or a bucket (s3://…), without credentials."""

    url: str
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One table's policy. Days are whole days of the policy's time zone; None means: not set, or for ever."""

    interval: Interval | None = None
    premake_days: int = 30
    # None keeps for ever.
    retention_days: int | None = 90
    # Retention is never guessed: False until somebody named the table or gave it a retention.
    may_drop: bool = True
    # Whether retention_days was set by anybody, and is not what is built in.
    retention_agreed: bool = False
    timezone: ZoneInfo = UTC_ZONE
    # Whether timezone was set by anybody.
    timezone_agreed: bool = False
    lock_timeout_ms: int = 200
    retry_seconds: int = 60
    max_drops: int | None = None
    max_creates: int = 1000
    drop_unaligned: bool = False
    # How many whole days what is dropped can be had back from the trash; 0 drops at once.
    grace_days: int = 0
    trash_schema: str = "pgalmanac_trash"
    # A column whose most frequent values the report shows; None is a usual one, which need not be there.
    breakdown: str | None = None
    # What the table may take on the disk, in GB of 1024³ bytes; check says when that will be reached.
    disk_limit_gb: int | None = None
    # Where a partition is archived before it is dropped; None drops without. The names are those of [tables.archive].
    archive_url: str | None = None
    archive_format: str = "parquet"
    archive_endpoint: str | None = None
    archive_region: str | None = None
    # The words of the command line that made it so, for a command that somebody is to copy.
    invocation: Invocation = field(default_factory=Invocation, compare=False)

    @property
    def low_runway_days(self) -> int:
        """The runway, in days, below which a warning is due; never more than what premake can reach."""
        return min(LOW_RUNWAY_DAYS, self.premake_days)

    @property
    def breakdown_column(self) -> str:
        """The column whose most frequent values are shown, where the table has it."""
        return self.breakdown or _BREAKDOWN

    @property
    def archive(self) -> ArchiveTarget | None:
        """Where partitions go before they are dropped."""
        if self.archive_url is None:
            return None
        return ArchiveTarget(url=self.archive_url, endpoint=self.archive_endpoint, region=self.archive_region)

    def fuse(self, interval: Interval) -> int:
        """How many partitions of *interval* one run may drop."""
        return DEFAULT_DROPS[interval] if self.max_drops is None else self.max_drops

    def past_fuse(self, due: Sequence[Bounds]) -> bool:
        """Whether what is *due* is more time than a month's worth, where nobody said how many partitions may go.

        None counts for more than half of it: two may go, however long.
        """
        half = _MONTHS_WORTH / 2
        widths = (half if b.lower is None or b.upper is None else min(b.upper - b.lower, half) for b in due)
        return self.max_drops is None and sum(widths, timedelta()) > _MONTHS_WORTH
