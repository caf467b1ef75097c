"""One look at a table -> its days. Pure; built away from the interface's loop."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final

from pgalmanac.actions import Action
from pgalmanac.bounds import EARLIEST
from pgalmanac.model import Bounds
from pgalmanac.results import PartitionCount
from pgalmanac.view import View
from pgalmanac_tui.entries import Entry, entries
from pgalmanac_tui.glyphs import QUIET, SEVERITY, Mark
from pgalmanac_tui.snapshot import TableState

__all__ = ["Almanac", "Day"]

_DAY: Final = timedelta(days=1)
# Shares of the median day at which the heat rises. A median does not feel one incident day, and a weekend shows.
_FEW, _USUAL, _TWICE = 0.6, 1.25, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day: the worst state of the entries that lie in it, and what they hold of it if it is spread evenly."""

    date: date
    mark: Mark
    entries: tuple[Entry, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    exact: bool = False


@dataclass(slots=True, kw_only=True)
class Almanac:
    """A table's days. *entries* are in order of time, those without bounds last. Days are worked out when looked at."""

    state: TableState
    entries: tuple[Entry, ...]
    usual: float
    first: date
    last: date
    _timed: list[Entry] = field(default_factory=list[Entry])
    _lowers: list[datetime] = field(default_factory=list[datetime])
    _days: dict[date, Day] = field(default_factory=dict[date, Day])

    @classmethod
    def of(cls, state: TableState, counted: Mapping[int, PartitionCount]) -> Almanac:
        """Build it; *counted* are the exact counts of this session, which beat the estimates."""
        seen = state.view
        found = entries(state, counted)
        timed = [e for e in found if e.bounds is not None]
        lowers = [e.bounds.lower or EARLIEST for e in timed if e.bounds is not None]
        edges = [seen.day(0), seen.day(seen.policy.premake_days + 1)]
        if timed and (bounds := timed[0].bounds) is not None:
            edges += [e for e in (bounds.lower, bounds.upper) if e is not None]
        edges += [e.bounds.upper for e in timed[-1:] if e.bounds is not None and e.bounds.upper is not None]
        first, last = min(edges), max(edges)
        return cls(
            state=state,
            entries=found,
            usual=_usual(seen, timed),
            first=seen.calendar.day(first),
            last=seen.calendar.day(last - timedelta(microseconds=1)),
            _timed=timed,
            _lowers=lowers,
        )

    @property
    def view(self) -> View:
        """The snapshot of the catalog seen through the policy."""
        return self.state.view

    @property
    def today(self) -> date:
        """Today by the server's clock in the policy's zone."""
        return self.view.today

    @property
    def premake_edge(self) -> date:
        """The last day that premake asks for."""
        return self.today + timedelta(days=self.view.policy.premake_days)

    @property
    def retention_edge(self) -> date | None:
        """The first day that retention keeps; None when it keeps all."""
        return None if self.view.cutoff is None else self.view.calendar.day(self.view.cutoff)

    def day(self, day: date) -> Day:
        """What is known of a day."""
        found = self._days.get(day)
        if found is None:
            found = self._days[day] = self._look(day)
        return found

    def entry(self, action: Action) -> Entry | None:
        """The partition or missing period that an action of the next maintenance is about."""
        if action.oid is None:
            return next((e for e in self.entries if e.action == action), None)
        return next((e for e in self.entries if e.partition is not None and e.partition.oid == action.oid), None)

    def first_look(self, day: date) -> Entry | None:
        """Of the entries of a day the one that is wrong, else the present one, else the last; None without any."""
        entries = self.day(day).entries
        worst = max(entries, key=lambda e: SEVERITY.index(e.mark), default=None)
        if worst is None or SEVERITY.index(worst.mark) > SEVERITY.index(Mark.PINNED):
            return worst
        return next((e for e in entries if e.bounds is not None and e.bounds.contains(self.view.now)), entries[-1])

    def bounds(self, day: date) -> Bounds:
        """The day as a range of key time."""
        return Bounds(lower=self.view.calendar.start(day), upper=self.view.calendar.start(day + _DAY))

    def part(self, held: Bounds, day: date) -> Bounds:
        """What of *held* lies in the day; all of it if nothing does, the day if it is open at an end."""
        other = self.bounds(day)
        if held.lower is None or held.upper is None or other.lower is None or other.upper is None:
            return other
        lower, upper = max(held.lower, other.lower), min(held.upper, other.upper)
        return Bounds(lower=lower, upper=upper) if lower < upper else held

    def _look(self, day: date) -> Day:
        bounds = self.bounds(day)
        if bounds.lower is None or bounds.upper is None:
            raise AssertionError
        at = max(bisect_right(self._lowers, bounds.lower) - 1, 0)
        inside: list[Entry] = []
        for entry in self._timed[at:]:
            if entry.bounds is None or (entry.bounds.lower is not None and entry.bounds.lower >= bounds.upper):
                break
            if entry.bounds.overlaps(bounds):
                inside.append(entry)
        if not inside:
            return Day(date=day, mark=Mark.NOTHING)
        counted = [(_share(e.bounds, bounds), e.count) for e in inside if e.bounds is not None and e.count is not None]
        shares = [(share, count) for share, count in counted if share is not None]
        rows = sum(share * (count.rows or 0) for share, count in shares)
        size = sum(share * (count.bytes or 0) for share, count in shares)
        unknown = any(count.rows is None for _, count in shares)
        known = bool(shares) and not (unknown and not rows)
        exact = known and all(e.count is not None and e.count.exact for e in inside if e.partition is not None)
        mark = max((e.mark for e in inside), key=SEVERITY.index)
        # Of a day that is not over, the hours to come are premade, and those that are over have the rows.
        if mark in QUIET or (mark is Mark.PREMADE and any(e.mark in QUIET for e in inside)):
            mark = Mark.HEAT1 if unknown and not rows else _heat(rows, self.usual)
        return Day(
            date=day,
            mark=mark,
            entries=tuple(inside),
            rows=round(rows) if known else None,
            bytes=round(size) if shares else None,
            exact=exact,
        )


def _share(held: Bounds, bounds: Bounds) -> float | None:
    """The share of a partition that falls into the day; None of one that is open at an end."""
    lower, upper = held.lower, held.upper
    if lower is None or upper is None or bounds.lower is None or bounds.upper is None:
        return None
    if upper - lower <= bounds.upper - bounds.lower:
        return 1.0
    return (min(upper, bounds.upper) - max(lower, bounds.lower)) / (upper - lower)


def _usual(seen: View, timed: list[Entry]) -> float:
    """The rows of a usual day: the median of the days that have any."""
    by_day: dict[date, float] = {}
    for entry in timed:
        if entry.count is None or not entry.count.rows or entry.bounds is None:
            continue
        lower, upper = entry.bounds.lower, entry.bounds.upper
        if lower is None or upper is None:
            continue
        days = max((upper - lower) / _DAY, 1.0)
        day = seen.calendar.day(lower)
        by_day[day] = by_day.get(day, 0.0) + entry.count.rows / days
    by_day.pop(seen.today, None)  # it is not over yet
    return median(by_day.values()) if by_day else 0.0


def _heat(rows: float, usual: float) -> Mark:
    if rows <= 0:
        return Mark.EMPTY
    for limit, mark in ((_FEW, Mark.HEAT1), (_USUAL, Mark.HEAT2), (_TWICE, Mark.HEAT3)):
        if rows < usual * limit:
            return mark
    return Mark.HEAT4 if usual else Mark.HEAT2
