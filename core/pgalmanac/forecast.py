"""Sizes of partitions as runs measured them -> growth, forecast and findings. Pure.

Sizes are the server's estimates of rows, and bytes with indexes and TOAST. Days are days of the policy's zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from pgalmanac.findings import Code, Finding, info, warning
from pgalmanac.model import Partition
from pgalmanac.view import View

__all__ = ["Forecast", "Measured", "Sizes", "forecast", "unusual"]

# How far back growth is looked at, and of how many closed partitions anomalies are told: older ones were told of.
_GROWTH_DAYS: Final = 28
_RECENT_DAYS: Final = 7
# Outside of the median's third or threefold is unusual; with fewer of the same weekday there is no usual.
_FACTOR: Final = 3
_LEAST_ALIKE: Final = 3
_MOST_ALIKE: Final = 8
# A day on which clocks change has 23 or 25 hours, and a partition of part of one is like an hour.
_LONGEST_HOUR: Final = timedelta(hours=22)
_LONGEST_DAY: Final = timedelta(hours=26)
# Not a weekday: what all partitions that are longer than a day have in common.
_LONG: Final = 7
# A limit that is reached within so many days is a warning, later it is worth knowing.
_SOON_DAYS: Final = 30
_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a run measured of one partition; *measured_at* is an instant in UTC."""

    oid: int
    rows: int
    bytes: int | None
    exact: bool
    measured_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The last measure of each recent partition, by oid, and the whole table as last measured.

    *as_of* is the instant, in UTC, of the last run that measured: what ended later was measured half. None is now.
    *made* is when, in UTC, a run made such a partition that nothing was measured of.
    """

    measured: tuple[Measured, ...] = ()
    as_of: datetime | None = None
    made: Mapping[int, datetime] = field(default_factory=dict[int, datetime])
    total_rows: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a table grows by a day, and where that leads if it goes on.

    *horizon_bytes* is what it will hold when its oldest day is as old as retention lets it be; None when it is kept
    for ever. *full_on* is the day on which the limit of the policy is reached; None for never, or without a limit.
    """

    rows_a_day: float
    bytes_a_day: float
    horizon_bytes: int | None
    full_on: date | None


def forecast(seen: View, sizes: Sizes) -> Forecast | None:
    """Growth over the last four weeks of closed partitions, and where it leads; None without any measure."""
    since = seen.day(-_GROWTH_DAYS)
    days = rows = size = 0.0
    for partition, measure in _closed(seen, sizes):
        bounds = partition.bounds
        if bounds is None or bounds.lower is None or bounds.upper is None or bounds.upper <= since:
            continue
        days += (bounds.upper - bounds.lower) / timedelta(days=1)
        rows += measure.rows if measure is not None else 0
        size += (measure.bytes or 0) if measure is not None else 0
    if not days or not sizes.measured:
        return None
    kept = seen.policy.retention_days if seen.policy.may_drop else None
    return Forecast(
        rows_a_day=rows / days,
        bytes_a_day=size / days,
        horizon_bytes=None if kept is None else round(size / days * (kept + 1)),
        full_on=_full_on(seen, sizes, size / days, kept),
    )


def _full_on(seen: View, sizes: Sizes, bytes_a_day: float, kept: int | None) -> date | None:
    """The day on which the limit is reached. Once each new day lets an old one go, the table grows no more."""
    limit = seen.policy.disk_limit_gb
    if limit is None:
        return None
    left = limit * _GIB - sizes.total_bytes
    if left <= 0:
        return seen.today
    if bytes_a_day <= 0:
        return None
    days = left / bytes_a_day
    oldest = next((p.bounds.lower for p in seen.table.ranged if p.bounds is not None and p.bounds.lower), None)
    if kept is not None and oldest is not None:
        age = max((seen.now - oldest) / timedelta(days=1), 0)
        if days > max(kept + 1 - age, 0):
            return None
    try:
        return seen.today + timedelta(days=int(days))
    except OverflowError:
        return None


def unusual(seen: View, sizes: Sizes) -> tuple[Finding, ...]:
    """Closed partitions of the last week that are empty or of unusual size, and a limit that will be reached."""
    return (*_volumes(seen, sizes), *_limit(seen, sizes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Closed:
    """A period that is over: one partition, or a day of shorter ones; *begins* is a key time.

    *alike* is what those have in common that should hold about as much.
    """

    name: str
    partition: str | None
    begins: datetime
    alike: int
    rows: int


def _volumes(seen: View, sizes: Sizes) -> Iterator[Finding]:
    recent = seen.day(-_RECENT_DAYS)
    before: dict[int, list[int]] = {}
    for period in _periods(seen, _closed(seen, sizes), sizes.as_of):
        alike = before.setdefault(period.alike, [])
        usual = median(alike[-_MOST_ALIKE:]) if len(alike) >= _LEAST_ALIKE else 0
        alike.append(period.rows)
        if not usual or period.begins < recent:
            continue
        if not period.rows:
            message = f"{period.name} holds no events, usual are about {usual:,.0f}; did whoever writes them stop?"
            yield warning(Code.NO_EVENTS, message, period.partition)
        elif not usual / _FACTOR <= period.rows <= usual * _FACTOR:
            word = "fewer" if period.rows < usual else "more"
            message = f"{period.name} holds about {period.rows:,} events, far {word} than the usual {usual:,.0f}"
            yield info(Code.UNUSUAL_VOLUME, message, period.partition)


def _periods(
    seen: View, closed: Sequence[tuple[Partition, Measured | None]], as_of: datetime | None
) -> Iterator[_Closed]:
    """What is compared, oldest first. An hour is no unit: one without events is no news, a day of them is."""
    hours: dict[date, int] = {}
    today = seen.today if as_of is None else min(seen.today, seen.calendar.day(seen.calendar.from_instant(as_of)))
    for partition, measure in closed:
        if partition.bounds is None or partition.bounds.lower is None or partition.bounds.upper is None:
            continue
        rows = measure.rows if measure is not None else 0
        lower, width = partition.bounds.lower, partition.bounds.upper - partition.bounds.lower
        day = seen.calendar.day(lower)
        if width <= _LONGEST_HOUR:
            hours[day] = hours.get(day, 0) + rows
            continue
        # A month begins on any weekday, a week always on the same.
        alike = day.weekday() if width <= _LONGEST_DAY else _LONG
        name = str(partition.name)
        yield _Closed(name=name, partition=name, begins=lower, alike=alike, rows=rows)
    # The first day may have begun before anything was measured, and the last one may not have been over.
    for day in list(hours)[1:]:
        if day < today:
            begins, name = seen.calendar.start(day), f"{seen.table.name} on {day}"
            yield _Closed(name=name, partition=None, begins=begins, alike=day.weekday(), rows=hours[day])


def median(numbers: Sequence[int]) -> float:
    """The middle of *numbers*, which are not empty. The module statistics would take longer to import than all else."""
    ordered = sorted(numbers)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _limit(seen: View, sizes: Sizes) -> Iterator[Finding]:
    found = None if seen.policy.disk_limit_gb is None else forecast(seen, sizes)
    if found is None or found.full_on is None:
        return
    days = (found.full_on - seen.today).days
    when = "now" if days <= 0 else f"on {found.full_on}, in {days} day{'' if days == 1 else 's'}"
    finding = warning if days <= _SOON_DAYS else info
    yield finding(
        Code.DISK_LIMIT,
        f"{seen.table.name} reaches its limit of {seen.policy.disk_limit_gb} GB {when}; "
        "raise disk_limit_gb, or keep fewer days",
    )


def _closed(seen: View, sizes: Sizes) -> list[tuple[Partition, Measured | None]]:
    """The partitions whose period was over when runs measured, from the first on, oldest first; None held nothing.

    Only a partition into which nothing was ever written has no measure, so a hole between two is an empty one. Not one
    that was made when its period was over: its events had no place, and say nothing of who writes them.
    """
    found = {m.oid: m for m in sizes.measured}
    closed: list[tuple[Partition, Measured | None]] = []
    left = len(found)
    over = seen.now if sizes.as_of is None else min(seen.now, seen.calendar.from_instant(sizes.as_of))
    for partition in reversed(seen.table.ranged):
        if not left:  # years of older ones are not looked through
            break
        measure, bounds = found.get(partition.oid), partition.bounds
        left -= measure is not None
        if bounds is None or bounds.lower is None or bounds.upper is None or bounds.upper > over:
            continue
        made = sizes.made.get(partition.oid)
        if measure is None and made is not None and seen.calendar.from_instant(made) >= bounds.upper:
            continue
        closed.append((partition, measure))
    while closed and closed[-1][1] is None:
        closed.pop()
    return closed[::-1]
