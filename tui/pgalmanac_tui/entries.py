"""One look at a table -> the rows of its list: partitions, the default one, and periods that are missing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pgalmanac.actions import GOING, Action, ActionKind, Status
from pgalmanac.bounds import EARLIEST
from pgalmanac.model import Bounds, Partition
from pgalmanac.results import PartitionCount
from pgalmanac.view import View, unmanaged
from pgalmanac_tui.glyphs import WORDS, Mark
from pgalmanac_tui.snapshot import TableState

__all__ = ["Entry", "entries"]

_DAY: Final = timedelta(days=1)
_EMPTY: Final = {Mark.GAP, Mark.WANTED}
_CREATING: Final = {ActionKind.CREATE, ActionKind.MOVE_ROWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of the list: a partition, the default one, or a period that is missing (*partition* is None)."""

    key: str
    name: str
    bounds: Bounds | None
    mark: Mark
    word: str
    partition: Partition | None = None
    action: Action | None = None
    count: PartitionCount | None = None
    text: str = ""


def entries(state: TableState, counted: Mapping[int, PartitionCount]) -> tuple[Entry, ...]:
    """All rows in order of time, those without bounds last; *counted* are counts that beat the estimates."""
    seen = state.view
    drops = {a.oid: a for a in state.plan.of(*GOING)}
    leaving = [p.bounds for p in seen.table.pending] + [o.bounds for o in seen.table.orphans if o.cut_off]
    absent = [_missing(seen, a, leaving) for a in state.plan.actions if a.kind in _CREATING]
    timed = [e for e in absent if e.mark is not Mark.MISSING]
    untimed: list[Entry] = []
    for partition in seen.table.partitions:
        count = counted.get(partition.oid) or state.counts.get(partition.oid)
        entry = _entry(seen, partition, drops.get(partition.oid), count)
        (untimed if partition.bounds is None else timed).append(entry)
    timed.extend(
        _with_text(
            seen,
            Entry(
                key=str(orphan.oid),
                name=orphan.name.name,
                bounds=orphan.bounds,
                mark=Mark.PENDING,
                word="detached, not dropped",
            ),
        )
        for orphan in seen.table.orphans
        if orphan.cut_off
    )
    timed.extend(e for e in absent if e.mark is Mark.MISSING)  # of what begins together the last one is its day's
    timed.sort(key=lambda e: (e.bounds.lower or EARLIEST) if e.bounds is not None else EARLIEST)
    default = seen.table.default
    if default is not None:
        count = counted.get(default.oid) or state.counts.get(default.oid)
        stray = bool(seen.table.default_has_rows)
        word = "stray rows" if stray else "default" if seen.table.default_has_rows is None else "default, empty"
        untimed.append(
            _with_text(
                seen,
                Entry(
                    key=str(default.oid),
                    name=default.name.name,
                    bounds=None,
                    mark=Mark.STRAY if stray else Mark.PREMADE,
                    word=word,
                    partition=default,
                    count=count,
                ),
            )
        )
    return (*timed, *untimed)


def _with_text(seen: View, entry: Entry) -> Entry:
    """The same with the text that a filter looks through; dates and hours are those of the policy's zone."""
    lower = entry.bounds.lower if entry.bounds is not None else None
    when = "" if lower is None else f"{seen.calendar.local(lower):%Y-%m-%d %H:%M %a %b}"
    text = f"{entry.name} {when} {entry.word}".lower()
    return Entry(
        key=entry.key,
        name=entry.name,
        bounds=entry.bounds,
        mark=entry.mark,
        word=entry.word,
        partition=entry.partition,
        action=entry.action,
        count=entry.count,
        text=text,
    )


def _missing(seen: View, action: Action, leaving: Sequence[Bounds | None]) -> Entry:
    """A period without a partition; where one of *leaving*, whose detach was begun, is the cause, that is said."""
    lower, upper = action.bounds.lower, action.bounds.upper
    newest = next((p.bounds for p in reversed(seen.table.ranged) if p.bounds is not None), None)
    within = newest is not None and newest.lower is not None and lower is not None and lower < newest.lower
    short = lower is not None and upper is not None and upper - lower < _DAY
    if action.bounds.contains(seen.now):
        mark = Mark.MISSING
    elif action.kind is ActionKind.MOVE_ROWS:
        mark = Mark.STRAY
    else:
        mark = Mark.GAP if within or (upper is not None and upper <= seen.now) else Mark.WANTED
    word = "missing now" if mark is Mark.MISSING and short else WORDS[mark]
    word = "stray rows wait" if mark is Mark.STRAY else word
    if mark in _EMPTY and any(b is not None and b.overlaps(action.bounds) for b in leaving):
        mark, word = Mark.PENDING, f"{word}: {WORDS[Mark.PENDING]}"
    if action.status is Status.REFUSED:
        word = f"{word}, refused"
    return _with_text(
        seen,
        Entry(key=f"+{lower}", name=action.partition.name, bounds=action.bounds, mark=mark, word=word, action=action),
    )


def _entry(seen: View, partition: Partition, drop: Action | None, count: PartitionCount | None) -> Entry:
    mark, word = _state(seen, partition, drop, count)
    return _with_text(
        seen,
        Entry(
            key=str(partition.oid),
            name=partition.name.name,
            bounds=partition.bounds,
            mark=mark,
            word=word,
            partition=partition,
            action=drop,
            count=count,
        ),
    )


def _state(seen: View, partition: Partition, drop: Action | None, count: PartitionCount | None) -> tuple[Mark, str]:
    """The state of an existing partition and the word for it, the worst first."""
    bounds = partition.bounds
    if partition.detach_pending or bounds is None:
        mark = Mark.PENDING if partition.detach_pending else Mark.UNKNOWN
        return mark, WORDS[mark]
    if seen.pinned(partition.pin):
        return Mark.PINNED, str(partition.pin)
    if drop is not None and drop.status is not Status.SKIPPED:
        return Mark.EXPIRING, WORDS[Mark.EXPIRING] if drop.status is Status.PLANNED else "due, held back"
    if drop is not None or unmanaged(seen, partition) is not None:
        return Mark.KEPT, "past retention, stays" if drop is not None else "unmanaged"
    if seen.expired(bounds):
        return Mark.EXPIRING, "past retention"
    return _in_force(seen, bounds, count)


def _in_force(seen: View, bounds: Bounds, count: PartitionCount | None) -> tuple[Mark, str]:
    """The state of a partition with which nothing is wrong."""
    has_rows = count is not None and bool(count.rows)
    if bounds.lower is not None and bounds.lower > seen.now:
        if has_rows:
            return Mark.HEAT1, "future, has rows"
        mark = Mark.BEYOND if bounds.lower >= seen.day(seen.policy.premake_days + 1) else Mark.PREMADE
        return mark, WORDS[mark]
    return Mark.HEAT2 if has_rows else Mark.EMPTY, "today" if bounds.contains(seen.now) else ""
