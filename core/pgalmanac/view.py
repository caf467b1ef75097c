"""A snapshot seen through a policy: the calendar, what is today, past retention, covered or managed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Final

from pgalmanac.errors import ConfigError
from pgalmanac.model import Bounds, Interval, KeyType, Partition, PartitionedTable, Pin, RelationKind
from pgalmanac.naming import Style, infer_style, label, other_clock
from pgalmanac.periods import Calendar, Coverage, aligned_interval, infer_interval, nearest, off_grid
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableName

__all__ = ["View", "oldest_kept", "undroppable", "unmanaged", "view"]


_FAR: Final = 36_525


@dataclass(frozen=True, kw_only=True)
class View:
    """A snapshot seen through a policy: the calendar, the interval in force, today and the retention edge.

    *cutoff* is the key time at or before which an upper bound is past retention; None keeps everything. *unclear* says
    why nobody can tell how to go on from the partitions; then *interval* only comes near.
    """

    table: PartitionedTable
    policy: Policy
    calendar: Calendar
    interval: Interval
    style: Style
    today: date
    now: datetime
    cutoff: datetime | None
    unclear: str | None = None

    def at(self, instant: datetime) -> View:
        """The same snapshot as seen at another instant: what is today and what is expired follow the clock."""
        now = self.calendar.from_instant(instant)
        today = self.calendar.day(now)
        days = self.policy.retention_days
        cutoff = None if days is None else self.calendar.start(today - timedelta(days=days))
        return replace(self, now=now, today=today, cutoff=cutoff)

    def day(self, offset: int) -> datetime:
        """The first moment of the day *offset* days from today."""
        return self.calendar.start(self.today + timedelta(days=offset))

    @property
    def keep_until(self) -> datetime:
        """The instant, in UTC, up to which what goes to the trash now is kept: a midnight, grace_days whole days on."""
        zone = self.policy.timezone
        day = self.table.now.astimezone(zone).date() + timedelta(days=self.policy.grace_days + 1)
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)

    def pinned(self, pin: Pin | None) -> bool:
        """Whether this pin is still in force today."""
        return pin is not None and pin.holds(self.today)

    @cached_property
    def coverage(self) -> Coverage:
        """What the attached partitions cover; the default partition covers nothing."""
        return Coverage(p.bounds for p in self.table.ranged if p.bounds is not None)

    @cached_property
    def names(self) -> frozenset[TableName]:
        """What the partitions are called."""
        return frozenset(p.name for p in self.table.partitions)

    @cached_property
    def covered_until(self) -> datetime | None:
        """The key time up to which partitions cover without a break from now on; None when now is not covered.

        An unbounded partition covers for ever: datetime.max.
        """
        return self.coverage.until(self.now)

    @cached_property
    def runway_days(self) -> int:
        """Whole days after today that are covered without a break, at most 36,525. 0 when today is missing."""
        until = self.covered_until
        whole_today = self.coverage.holes(Bounds(lower=self.now, upper=self.day(1))) == ()
        if until is None or not whole_today:
            return 0
        last = self.calendar.day(min(until, self.day(_FAR)))
        return max((last - self.today).days - 1, 0)

    @property
    def low_runway_days(self) -> int:
        """The runway, in days, below which a warning is due; a day at least, where no default partition takes the rows.

        Without one ahead inserts fail from midnight until a run makes the new one.
        """
        return max(self.policy.low_runway_days, 0 if self.table.default is not None else 1)

    def holes(self, lower: datetime, upper: datetime) -> Iterator[tuple[Bounds, tuple[Bounds, ...]]]:
        """Every period with a moment in `[lower, upper)` that is not covered, and what of it is not; oldest first."""
        last: Bounds | None = None
        for hole in self.coverage.holes(self.calendar.span(self.interval, lower, upper)):
            if hole.lower is None or hole.upper is None:
                continue
            for period in self.calendar.periods(self.interval, hole.lower, hole.upper):
                if period != last:
                    yield period, self.coverage.holes(period)
                last = period

    def expired(self, bounds: Bounds | None) -> bool:
        """Whether these bounds are past retention today."""
        return (
            self.cutoff is not None and bounds is not None and bounds.upper is not None and bounds.upper <= self.cutoff
        )

    def label(self, bounds: Bounds) -> str:
        """The period as the command line writes it."""
        return label(self.interval, bounds, self.calendar)


def view(table: PartitionedTable, policy: Policy) -> View:
    """See *table* through *policy* as of the snapshot's own clock. Raises ConfigError for an impossible interval."""
    calendar = Calendar(zone=policy.timezone, key=table.key.type)
    odd = off_grid(table.ranged, calendar) if policy.interval is None else None
    inferred = infer_interval(table.ranged, calendar) if odd is None else nearest(odd, calendar)
    interval = policy.interval or inferred or Interval.DAILY
    if table.pg_partman is not None and not policy.retention_agreed:
        # Until it is taken over, what somebody wants kept stands in part_config and not in our default.
        policy = replace(policy, may_drop=False)
    if interval is Interval.HOURLY and table.key.type is KeyType.DATE:
        msg = f"{table.name} is partitioned by a date, which has no hours"
        raise ConfigError(msg, hint="set its interval to daily or longer")
    now = calendar.from_instant(table.now)
    seen = View(
        table=table,
        policy=policy,
        calendar=calendar,
        interval=interval,
        style=infer_style(table.name, table.ranged, interval, calendar),
        today=calendar.day(now),
        now=now,
        cutoff=None,
        unclear=_unclear(table, odd, interval, calendar, policy) if policy.interval is None else None,
    )
    return seen.at(table.now)


def _unclear(
    table: PartitionedTable, odd: Bounds | None, interval: Interval, calendar: Calendar, policy: Policy
) -> str | None:
    """Why nobody can tell how to go on, and what to set: *odd* is on no grid of ours, or hours have others' names.

    None where all that is odd is the clock and somebody set a zone: that is the answer.
    """
    zone = calendar.zone.key
    meanwhile = f"; without that maintain goes on {interval} in {zone}"
    if odd is None or odd.lower is None or odd.upper is None:
        ahead = None if policy.timezone_agreed else other_clock(table.ranged, calendar)
        if ahead is None:
            return None
        distance = f"{abs(ahead)} {'hour' if abs(ahead) == 1 else 'hours'} {'ahead of' if ahead > 0 else 'behind'} UTC"
        named = f"its newest partitions are named by a clock {distance}"
        return f"{named}; set timezone to the zone they were made in{meanwhile}"
    wall, width = calendar.local(odd.lower), odd.upper - odd.lower
    if calendar.key is KeyType.TIMESTAMPTZ and wall.time() != time() and width > timedelta(hours=22):
        if policy.timezone_agreed:
            return None
        return (
            f"its newest partitions begin at {wall:%H:%M} of {zone} and look {interval}; set timezone to the zone they "
            f"were made in{meanwhile}"
        )
    minutes = width.total_seconds() / 60
    long = f"{width.days} days" if width.days > 1 else f"{minutes / 60:g} hours"
    long = f"{minutes:g} minutes" if minutes <= 60 else long  # noqa: PLR2004  # an hour
    return (
        f"its newest partitions are {long} long, the last from {wall:%A, %Y-%m-%d %H:%M}, which is the grid of no "
        f"interval in {zone}; set interval to say how to go on{meanwhile}"
    )


def oldest_kept(seen: View) -> datetime | None:
    """The first moment of the oldest partition inside retention; an unbounded one counts from its upper bound."""
    for partition in seen.table.ranged:
        if partition.bounds is None or seen.expired(partition.bounds):
            continue
        start = partition.bounds.upper if partition.bounds.lower is None else partition.bounds.lower
        if start is not None:
            return start
    return None


def undroppable(partition: Partition) -> str | None:
    """Why nobody, by hand or by night, drops this partition through pgalmanac."""
    if partition.bounds is None:
        return "its bounds cannot be read as a range of time"
    if partition.bounds.lower is None:
        return "it is unbounded below, so that its age is not known"
    if partition.kind is RelationKind.PARTITIONED:
        return "it is itself partitioned"
    if partition.kind is RelationKind.FOREIGN:
        return "it is a foreign table, which DROP TABLE does not drop"
    return None


def unmanaged(seen: View, partition: Partition) -> str | None:
    """Why the nightly run leaves this partition alone for good, or None when it is managed."""
    if (why := undroppable(partition)) is not None:
        return why
    if seen.policy.drop_unaligned or aligned_interval(partition, seen.calendar) is not None:
        return None
    if partition.bounds is not None and partition.bounds.upper is None:
        return "it is unbounded above, so that it is never past retention"
    return f"its bounds are on no interval's grid in {seen.policy.timezone.key}; drop_unaligned = true would allow it"
