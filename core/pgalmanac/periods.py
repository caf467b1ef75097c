"""Interval arithmetic on the calendar of one partition key: floor, next, range, alignment.

A calendar turns key times (see model) into periods. For a `timestamptz` key the days begin at midnight of the
policy's zone and are instants, so that a day of changing clocks has 23 or 25 hours. For `timestamp` and `date` keys
the days are those of the wall clock and always have 24. Hours are whole hours of key time in every zone: a zone
whose offset changes by half an hour would otherwise have hours of two lengths.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from pgalmanac.bounds import EARLIEST, LATEST
from pgalmanac.model import Bounds, Interval, KeyType, Partition

__all__ = ["Calendar", "Coverage", "aligned_interval", "infer_interval", "nearest", "off_grid"]

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_STEPS: Final = {Interval.HOURLY: _HOUR, Interval.DAILY: _DAY, Interval.WEEKLY: 7 * _DAY}
_MIDNIGHT: Final = time()
# The longest a day of changing clocks differs from 24 hours, with room for zones that skipped a whole day.
_SLACK: Final = timedelta(hours=25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The calendar of a key type in a policy's time zone. All moments are key times unless said otherwise."""

    zone: ZoneInfo
    key: KeyType

    @property
    def _plain(self) -> bool:
        return self.key is not KeyType.TIMESTAMPTZ or self.zone.key == "UTC"

    def from_instant(self, instant: datetime) -> datetime:
        """The key time that the column would hold for this instant in the policy's zone."""
        if self.key is KeyType.TIMESTAMPTZ:
            return instant.astimezone(UTC)
        return instant.astimezone(self.zone).replace(tzinfo=UTC)

    def shown(self, moment: datetime) -> datetime:
        """The key time as people of the policy's zone write it, with the zone's offset."""
        if self.key is KeyType.TIMESTAMPTZ:
            return moment.astimezone(self.zone)
        return moment.replace(tzinfo=self.zone)

    def local(self, moment: datetime) -> datetime:
        """The wall clock at *moment*, without a zone."""
        return moment.replace(tzinfo=None) if self._plain else moment.astimezone(self.zone).replace(tzinfo=None)

    def day(self, moment: datetime) -> date:
        """The calendar day that *moment* lies in."""
        return self.local(moment).date()

    def start(self, day: date) -> datetime:
        """The first moment of *day*; where midnight does not exist, the first moment after it."""
        wall = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # a wall clock; the zone follows
        if self._plain:
            return wall.replace(tzinfo=UTC)
        return wall.replace(tzinfo=self.zone).astimezone(UTC)

    def floor(self, interval: Interval, moment: datetime) -> datetime:
        """The start of the period that *moment* lies in."""
        if interval is Interval.HOURLY:
            return moment.replace(minute=0, second=0, microsecond=0)
        return self.start(_first_day(interval, self.day(moment)))

    def next(self, interval: Interval, start: datetime) -> datetime:
        """The start of the period after the one that begins at *start*. Raises OverflowError past year 9999."""
        if interval is Interval.HOURLY:
            return start + _HOUR
        return self.start(_next_first_day(interval, self.day(start)))

    def period(self, interval: Interval, moment: datetime) -> Bounds:
        """The period `[lower, upper)` that *moment* lies in."""
        lower = self.floor(interval, moment)
        return Bounds(lower=lower, upper=self.next(interval, lower))

    def periods(self, interval: Interval, lower: datetime, upper: datetime) -> Iterator[Bounds]:
        """Every period that has a moment in `[lower, upper)`, oldest first."""
        start = self.floor(interval, lower)
        step = _STEPS.get(interval) if self._plain or interval is Interval.HOURLY else None
        while start < upper:
            # Where no clock changes, thousands of periods are one addition each.
            end = self.next(interval, start) if step is None else start + step
            yield Bounds(lower=start, upper=end)
            start = end

    def span(self, interval: Interval, lower: datetime, upper: datetime) -> Bounds:
        """The same periods as one range."""
        start = self.floor(interval, lower)
        if upper <= start:
            return Bounds(lower=start, upper=start)
        return Bounds(lower=start, upper=self.period(interval, upper - datetime.resolution).upper)

    def aligned(self, bounds: Bounds) -> Interval | None:
        """The interval of which *bounds* are exactly one period, or None: unbounded or on no grid."""
        if bounds.lower is None or bounds.upper is None:
            return None
        width = bounds.upper - bounds.lower
        if width == _DAY and self._plain:  # what nearly all are
            return Interval.DAILY if bounds.lower.time() == _MIDNIGHT else None
        interval = _by_width(width)
        if interval is None:
            return None
        try:
            fits = (
                self.floor(interval, bounds.lower) == bounds.lower and self.next(interval, bounds.lower) == bounds.upper
            )
        except (OverflowError, ValueError):  # the last days that datetime knows
            return None
        return interval if fits else None


def _by_width(width: timedelta) -> Interval | None:
    """The only interval that can be this long: cheaper than trying all six on thousands of partitions."""
    if width == _HOUR:
        return Interval.HOURLY
    for interval, least, most in (
        (Interval.DAILY, 1, 1),
        (Interval.WEEKLY, 7, 7),
        (Interval.MONTHLY, 28, 31),
        (Interval.QUARTERLY, 90, 92),
        (Interval.YEARLY, 365, 366),
    ):
        if least * _DAY - _SLACK < width < most * _DAY + _SLACK and width > _HOUR:
            return interval
    return None


def _first_day(interval: Interval, day: date) -> date:
    match interval:
        case Interval.HOURLY | Interval.DAILY:
            return day
        case Interval.WEEKLY:
            return day - timedelta(days=day.weekday())
        case Interval.MONTHLY:
            return day.replace(day=1)
        case Interval.QUARTERLY:
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case Interval.YEARLY:
            return day.replace(month=1, day=1)
        case _:
            assert_never(interval)


def _next_first_day(interval: Interval, first: date) -> date:
    match interval:
        case Interval.HOURLY | Interval.DAILY:
            return first + _DAY
        case Interval.WEEKLY:
            return first + 7 * _DAY
        case Interval.MONTHLY | Interval.QUARTERLY:
            months = 1 if interval is Interval.MONTHLY else 3
            year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
            return _date(year, month + 1)
        case Interval.YEARLY:
            return _date(first.year + 1, 1)
        case _:
            assert_never(interval)


def _date(year: int, month: int) -> date:
    if year > date.max.year:
        msg = "past year 9999"
        raise OverflowError(msg)
    return date(year, month, 1)


def aligned_interval(partition: Partition, calendar: Calendar) -> Interval | None:
    """The interval on whose grid the partition lies, or None."""
    return None if partition.bounds is None else calendar.aligned(partition.bounds)


def infer_interval(partitions: Sequence[Partition], calendar: Calendar) -> Interval | None:
    """The interval that most of the newest 31 aligned partitions have; of equals, the newest one's."""
    newest: list[Interval] = []
    for number in reversed(range(len(partitions))):
        found = aligned_interval(partitions[number], calendar)
        if found is not None and not (found is Interval.HOURLY and _stands_alone(partitions, number)):
            newest.append(found)
        if len(newest) == 31:  # noqa: PLR2004  # a month of days: a change of interval shows within one
            break
    return Counter(newest).most_common(1)[0][0] if newest else None


def _stands_alone(partitions: Sequence[Partition], number: int) -> bool:
    """Whether this hour is what fix made of a longer period: hours of a table that has hours come in rows."""
    neighbours = [partitions[n] for n in (number - 1, number + 1) if 0 <= n < len(partitions)]
    return bool(neighbours) and all(_width(p.bounds) != _HOUR for p in neighbours)


def _width(bounds: Bounds | None) -> timedelta | None:
    """How long it is, where it has both ends."""
    return None if bounds is None or bounds.lower is None or bounds.upper is None else bounds.upper - bounds.lower


def off_grid(partitions: Sequence[Partition], calendar: Calendar) -> Bounds | None:
    """The newest partition's bounds, where it goes on a row of partitions of its length and is on no interval's grid.

    One that stands alone tells nothing: somebody cut it to fit. Two that are alike are what some program goes by.
    """
    newest: list[tuple[Bounds, timedelta]] = []
    for partition in reversed(partitions):
        if partition.bounds is not None and (width := _width(partition.bounds)) is not None:
            newest.append((partition.bounds, width))
        if len(newest) == 2:  # noqa: PLR2004  # the newest and the one before it
            break
    if len(newest) < 2:  # noqa: PLR2004  # as above
        return None
    (last, width), (before, other) = newest
    if calendar.aligned(last) is not None or before.upper != last.lower or not _alike(width, other):
        return None
    return last


def _alike(one: timedelta, other: timedelta) -> bool:
    """Whether these are lengths of one interval of somebody's: clocks change, and months differ."""
    if one == other:
        return True
    interval = _by_width(one)
    if interval is None or interval is not _by_width(other) or min(one, other) < _DAY - _HOUR:
        return False
    return interval not in {Interval.DAILY, Interval.WEEKLY} or abs(one - other) <= _HOUR


def nearest(bounds: Bounds, calendar: Calendar) -> Interval:
    """The interval in which a table goes on whose newest *bounds* are on no grid: so that the least is left between.

    Where they only go by another clock it is their own, hours where they are shorter than a day, and else days.
    """
    width = _width(bounds)
    if width is None or bounds.lower is None:
        return Interval.DAILY
    if width < _DAY - _HOUR:
        return Interval.HOURLY
    at_midnight = calendar.floor(Interval.DAILY, bounds.lower) == bounds.lower
    return Interval.DAILY if at_midnight else _by_width(width) or Interval.DAILY


class Coverage:
    """Which parts of time a set of non-overlapping bounds covers; built once, asked often."""

    def __init__(self, bounds: Iterable[Bounds]) -> None:
        """Join *bounds*, which never overlap within one parent, where one ends as the next begins."""
        self._lowers: list[datetime] = []
        self._uppers: list[datetime] = []
        for each in sorted(bounds, key=_lower):
            lower, upper = each.lower or EARLIEST, each.upper or LATEST
            if self._uppers and lower <= self._uppers[-1]:
                self._uppers[-1] = max(self._uppers[-1], upper)
            else:
                self._lowers.append(lower)
                self._uppers.append(upper)

    def holes(self, wanted: Bounds) -> tuple[Bounds, ...]:
        """The parts of *wanted* (bounded on both sides) that nothing covers, oldest first."""
        if wanted.lower is None or wanted.upper is None:
            msg = "only a bounded range can be asked for"
            raise ValueError(msg)
        holes: list[Bounds] = []
        at = wanted.lower
        for i in range(max(bisect_right(self._lowers, at) - 1, 0), len(self._lowers)):
            if self._lowers[i] >= wanted.upper:
                break
            if self._lowers[i] > at:
                holes.append(Bounds(lower=at, upper=self._lowers[i]))
            at = max(at, self._uppers[i])
        if at < wanted.upper:
            holes.append(Bounds(lower=at, upper=wanted.upper))
        return tuple(holes)

    def covered(self, moment: datetime) -> bool:
        """Whether *moment* (key time) lies in one of the bounds."""
        return self.until(moment) is not None

    def until(self, moment: datetime) -> datetime | None:
        """The key time up to which all is covered from *moment* on; None when that itself is not covered.

        An unbounded partition covers for ever: datetime.max.
        """
        i = bisect_right(self._lowers, moment) - 1
        return self._uppers[i] if i >= 0 and moment < self._uppers[i] else None


def _lower(bounds: Bounds) -> datetime:
    return bounds.lower or EARLIEST
