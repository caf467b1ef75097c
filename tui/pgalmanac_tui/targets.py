"""What a key acts on: chosen days and rows -> the words that create, drop and the clipboard take. Pure."""

from __future__ import annotations

from datetime import date, timedelta

from pgalmanac.model import Bounds
from pgalmanac_tui.almanac import Almanac, Entry

__all__ = ["chosen_entries", "create_target", "drop_target", "restore_target", "undrop_target"]

Span = tuple[date, date]


def chosen_entries(almanac: Almanac, span: Span) -> tuple[Entry, ...]:
    """The entries that lie in the days of *span*, in order of time."""
    found: dict[str, Entry] = {}
    day = span[0]
    while day <= span[1]:
        found.update((e.key, e) for e in almanac.day(day).entries)
        day += timedelta(days=1)
    return tuple(found.values())


def _range(almanac: Almanac, lower: Bounds, upper: Bounds) -> str:
    seen = almanac.view
    if lower.lower is None or upper.upper is None:
        raise AssertionError
    first = seen.calendar.period(seen.interval, lower.lower)
    last = seen.calendar.period(seen.interval, upper.upper - timedelta(microseconds=1))
    return seen.label(first) if first == last else f"{seen.label(first)}..{seen.label(last)}"


def create_target(almanac: Almanac, span: Span, entry: Entry | None) -> str:
    """The period or range to create: that of a missing row, else the periods of the chosen days."""
    if entry is not None and entry.bounds is not None and entry.bounds.lower and entry.bounds.upper:
        return _range(almanac, entry.bounds, entry.bounds)
    return _range(almanac, almanac.bounds(span[0]), almanac.bounds(span[1]))


def drop_target(almanac: Almanac, span: Span, entry: Entry | None) -> str | None:
    """A partition's name, or the range of the chosen days; None when nothing is there to be dropped.

    The default partition has a name too: that it is never dropped is said by the plan.
    """
    if entry is not None:
        return entry.name if entry.partition is not None else None
    there = [e for e in chosen_entries(almanac, span) if e.partition is not None]
    if not there:
        return None
    return there[0].name if len(there) == 1 else _range(almanac, almanac.bounds(span[0]), almanac.bounds(span[1]))


def undrop_target(almanac: Almanac, span: Span) -> str | None:
    """The range of the chosen days, when some of what was dropped of it can be had back; else None."""
    lower, upper = almanac.bounds(span[0]), almanac.bounds(span[1])
    whole = Bounds(lower=lower.lower, upper=upper.upper)
    if not any(o.bounds.overlaps(whole) for o in almanac.view.table.orphans):
        return None
    return _range(almanac, lower, upper)


def restore_target(almanac: Almanac, span: Span) -> str | None:
    """The range of the chosen days, when there is an archive and some of them have no partition; else None."""
    policy = almanac.view.policy
    lower, upper = almanac.bounds(span[0]), almanac.bounds(span[1])
    whole = Bounds(lower=lower.lower, upper=upper.upper)
    if policy.archive is None or not almanac.view.coverage.holes(whole):
        return None
    return _range(almanac, lower, upper)
