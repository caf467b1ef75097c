"""What somebody typed -> the periods, partitions and dropped tables that it means. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pgalmanac.errors import UsageError
from pgalmanac.model import Bounds, Orphan, Partition
from pgalmanac.naming import parse_period, written_interval
from pgalmanac.table_names import TableName, quote
from pgalmanac.view import View

__all__ = ["inside", "meant", "names", "orphans_in", "parse_range"]


def parse_range(text: str, seen: View) -> tuple[Bounds, ...]:
    """The periods of `PERIOD` or `FIRST..LAST`, both ends included, oldest first.

    Raises UsageError for a reversed range, or one of more periods than one run may create.
    """
    first_text, dots, last_text = text.partition("..")
    first = parse_period(first_text, seen.interval, seen.calendar)
    if not dots:
        return (first,)
    last = parse_period(last_text, seen.interval, seen.calendar)
    if first.lower is None or last.upper is None or last.upper <= first.lower:
        msg = f"the range {text} runs backwards"
        raise UsageError(msg, hint=f"did you mean {last_text}..{first_text}?")
    periods: list[Bounds] = []
    for period in seen.calendar.periods(seen.interval, first.lower, last.upper):
        periods.append(period)
        if len(periods) > max(seen.policy.max_creates, len(seen.table.partitions)):
            msg = f"the range {text} has more periods than one run may touch ({seen.policy.max_creates})"
            raise UsageError(msg, hint="name a shorter range, or raise max_creates")
    return tuple(periods)


def names(target: str, name: TableName) -> bool:
    """Whether what somebody typed is this name, with or without its schema and the double quotes of SQL."""
    return target in {name.name, quote(name.name), str(name), f"{name.schema}.{name.name}"}


def meant(seen: View, target: str, *, beside: bool = False) -> tuple[Sequence[Partition], Sequence[Orphan]]:
    """The partitions that a target names and the dropped ones that are still there; of a period both only if *beside*.

    Raises UsageError when it names neither.
    """
    named = [o for o in seen.table.orphans if names(target, o.name)]
    if named and not any(names(target, p.name) for p in seen.table.partitions):
        return (), named
    try:
        partitions = _targets(seen, target)
    except UsageError:
        orphans = orphans_in(seen, target)
        if not orphans:
            raise
        return (), orphans
    whole = not any(names(target, p.name) for p in partitions)
    return partitions, orphans_in(seen, target) if beside and whole else ()


def orphans_in(seen: View, target: str) -> list[Orphan]:
    """The dropped partitions, still there, of a period or range."""
    if ".." not in target and written_interval(target) is None:
        return []
    wanted = parse_range(target, seen)
    whole = Bounds(lower=wanted[0].lower, upper=wanted[-1].upper)
    return [o for o in seen.table.orphans if inside(o.bounds, whole)]


def _targets(seen: View, target: str) -> Sequence[Partition]:
    """The partitions that a period, range or name means. A name that is a period too must be that one's."""
    named = [p for p in seen.table.partitions if names(target, p.name)]
    if len(named) > 1:
        which = ", ".join(str(p.name) for p in named)
        msg = f"{target} is the name of {len(named)} partitions of {seen.table.name} ({which})"
        raise UsageError(msg, hint="write it with its schema")
    if named:
        if written_interval(target) is seen.interval and parse_range(target, seen) != (named[0].bounds,):
            msg = f"{target} is a period, and the name of a partition that holds another one"
            raise UsageError(msg, hint=f"write {named[0].name}, or the name that the period's own partition has")
        return named
    default = seen.table.default
    if default is not None and names(target, default.name):
        msg = f"{default.name} is the default partition, which is never dropped"
        raise UsageError(msg, hint="detach it yourself, once its rows are where they belong")
    first = target.partition("..")[0]
    if ".." not in target and written_interval(first) is None:
        msg = f"{target!r} is neither a period nor a partition of {seen.table.name}"
        raise UsageError(msg, hint="pgalmanac status lists them")
    wanted = parse_range(target, seen)
    whole = Bounds(lower=wanted[0].lower, upper=wanted[-1].upper)
    found = [p for p in seen.table.ranged if p.bounds is not None and p.bounds.overlaps(whole)]
    for partition in found:
        if partition.bounds is not None and not inside(partition.bounds, whole):
            msg = f"{partition.name} also holds rows outside {target}"
            raise UsageError(msg, hint=f"name it: {partition.name.name}")
    if not found:
        msg = f"{seen.table.name} has no partition for {target}"
        raise UsageError(msg, hint="pgalmanac status lists them")
    return found


def inside(inner: Bounds, outer: Bounds) -> bool:
    """Whether every moment of one lies in the other; an unbounded one lies in none."""
    return (
        inner.lower is not None
        and inner.upper is not None
        and (outer.lower is None or outer.lower <= inner.lower)
        and (outer.upper is None or inner.upper <= outer.upper)
    )
