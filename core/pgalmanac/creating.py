"""What is to be made: missing periods, gaps, the remainder of those covered in part; with their limit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from pgalmanac.actions import Action, ActionKind, Facts, Reason, Status
from pgalmanac.model import Bounds, Interval
from pgalmanac.naming import fit
from pgalmanac.table_names import TableName
from pgalmanac.view import View, oldest_kept

__all__ = ["create", "creates", "gaps", "limited", "lower_of"]


def lower_of(action: Action) -> datetime:
    """The lower bound of what is to be created: its place in the order."""
    if action.bounds.lower is None:
        msg = "a partition to be created has a lower bound"
        raise ValueError(msg)
    return action.bounds.lower


def creates(
    seen: View, facts: Facts, lower: datetime, upper: datetime, reason: Reason, *, remainders: bool = False
) -> Iterator[Action]:
    """An action for every period of `[lower, upper)` that is wholly missing; with *remainders* for each hole."""
    for period, holes in seen.holes(lower, upper):
        if holes == (period,):
            yield create(seen, facts, period, reason)
        elif remainders:
            for hole in holes:
                yield create(seen, facts, hole, Reason.REMAINDER)


def gaps(seen: View, facts: Facts) -> Iterator[Action]:
    """Missing periods before today that lie after some partition inside retention."""
    oldest = oldest_kept(seen)
    if oldest is None or oldest >= seen.day(0):
        return
    first_wanted = seen.calendar.floor(seen.interval, seen.day(0))
    # The period that the oldest partition begins in is covered in part, and no gap: nothing stands before it.
    yield from creates(seen, facts, oldest, first_wanted, Reason.GAP)


def create(seen: View, facts: Facts, bounds: Bounds, reason: Reason) -> Action:
    """Create one period, or move its stray rows into it; refused where its name is taken or its rows cannot move."""
    if reason is Reason.REMAINDER and bounds.lower is not None:
        minute = f"_{bounds.lower:%M%S}" if bounds.lower.minute or bounds.lower.second else ""
        text = f"{bounds.lower.year:04d}_{bounds.lower:%m_%d_%H}{minute}"
        name = TableName(schema=seen.style.schema, name=fit(seen.style.prefix, text))
    else:
        name = seen.style.name(seen.interval, bounds, seen.calendar)
        if seen.interval is Interval.HOURLY and name in seen.names:
            # Where the clock of another zone ends and ours begins some hours have one label twice.
            name = seen.style.name(seen.interval, bounds, seen.calendar, again=True)
    strays = facts.strays.get(bounds.lower, 0) if bounds.lower is not None else 0
    action = Action(
        kind=ActionKind.MOVE_ROWS if strays else ActionKind.CREATE,
        partition=name,
        bounds=bounds,
        reason=reason,
        rows=strays or None,
    )
    if name in facts.taken:
        if any(name == pending.name for pending in seen.table.pending):
            return action.refused(
                f"the name {name} is that of a partition whose detach is pending; once that is finished, attach it "
                "again or rename it"
            )
        if name in seen.names:
            return action.refused(f"the name {name} is taken by the partition of another period; rename that one")
        if (other := facts.others.get(name)) is not None:
            # Without the name, which the action has: that a table was renamed and made anew takes all of them.
            return action.refused(f"the name is taken by a partition of {other}; rename that one")
        return action.refused(
            f"the name {name} is taken by a relation that is not this partition; if that one has its rows attach it, "
            "else rename or drop it"
        )
    if strays and facts.immovable is not None:
        return action.refused(facts.immovable)
    return action


def _named_once(actions: Iterable[Action]) -> list[Action]:
    """Refuse the second of two periods whose names became the same by shortening."""
    seen: set[TableName] = set()
    result: list[Action] = []
    for action in actions:
        taken = action.partition in seen
        seen.add(action.partition)
        result.append(
            action.refused(
                f"the name {action.partition} is already used by another period of this plan; shorten the table's name"
            )
            if taken
            else action
        )
    return result


def _past(seen: View, action: Action) -> bool:
    """Whether the period was over before today; the present one may have begun long before."""
    return action.bounds.upper is not None and action.bounds.upper <= seen.day(0)


def limited(seen: View, actions: Sequence[Action]) -> list[Action]:
    """Refuse what goes past max_creates. The coming days go first, the nearest of all: they are what inserts need."""
    named = _named_once(actions)
    limit = seen.policy.max_creates
    wanted = [a for a in named if a.status is Status.PLANNED]
    if len(wanted) <= limit:
        return named
    note = f"{len(wanted)} partitions are missing and max_creates is {limit}; raise it, or create the range by hand"
    coming = [a for a in wanted if not _past(seen, a) and a.reason is not Reason.MANUAL]
    kept = set(map(id, coming[:limit]))
    return [a if a.status is not Status.PLANNED or id(a) in kept else a.refused(note) for a in named]
