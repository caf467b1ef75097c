"""Rows in the default partition -> findings: which the next maintain moves, and what becomes of the others. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from pgalmanac.actions import ActionKind, Status
from pgalmanac.findings import Code, Finding, critical, info, warning
from pgalmanac.model import Bounds, Partition, RelationKind
from pgalmanac.plan import FIX_DAYS, Plan
from pgalmanac.view import View, oldest_kept

__all__ = ["default_partition"]


def default_partition(seen: View, plan: Plan | None) -> Iterator[Finding]:
    """That the default partition has rows, or may, and what moves them. *plan* is what the next maintain would do."""
    default = seen.table.default
    if default is not None and (why := seen.table.default_unseen) is not None:
        yield info(Code.STRAY_ROWS, f"whether {default.name} has rows could not be seen{why}", str(default.name))
    if default is None or not seen.table.default_has_rows:
        return
    moves = plan.of(ActionKind.MOVE_ROWS) if plan is not None else ()
    stuck = [a for a in moves if a.status is not Status.PLANNED]
    if stuck:
        message = f"{default.name} has rows for {seen.label(stuck[0].bounds)}, which cannot be moved: {stuck[0].note}"
        yield critical(Code.STRAY_ROWS, message, str(default.name))
    elif moves:
        rows = sum(a.rows or 0 for a in moves)
        noun = "row" if rows == 1 else "rows"
        message = f"{default.name} has {rows:,} stray {noun} that a partition is missing for; run pgalmanac maintain"
        yield warning(Code.STRAY_ROWS, message, str(default.name))
    else:
        for what in _staying(seen, default):
            yield warning(Code.STRAY_ROWS, f"{default.name} has {what}", str(default.name))


def _staying(seen: View, default: Partition) -> Iterator[str]:
    """The rows that no action of the plan moves, and what does; each sentence without its subject."""
    if default.kind is not RelationKind.TABLE:
        yield "rows and is no plain table, so that nothing moves them; move or delete them by hand"
        return
    if seen.table.stray_edges is None:
        column = seen.table.key.column
        yield f"rows of no period ({column} is NULL, infinite or beyond any calendar); correct or delete them by hand"
        return
    first, last = (seen.calendar.period(seen.interval, edge) for edge in seen.table.stray_edges)
    today = seen.day(0)
    made = min(seen.calendar.floor(seen.interval, m) for m in (oldest_kept(seen) or today, today))
    ahead = seen.day(seen.policy.premake_days + 1)
    if seen.cutoff is not None and _goes(seen, first):
        edge = seen.label(seen.calendar.period(seen.interval, seen.cutoff))
        yield f"rows of before {edge}, past retention, such as of {seen.label(first)}; nothing moves them: delete them"
    older = [p for p in (first, last) if _lower(p) < made and not _goes(seen, p)]
    if older:
        yield _older(seen, older[0], made)
    for period in dict.fromkeys((first, last)):
        if made <= _lower(period) < ahead:
            yield f"rows of {seen.label(period)}, {_between(seen, period)}"
    if _lower(last) >= ahead:
        yield (
            f"rows of {seen.label(last)}, further ahead than partitions are made: maintain moves them when it makes"
            f" theirs, and pgalmanac create {seen.label(last)} now"
        )


def _lower(period: Bounds) -> datetime:
    if period.lower is None:
        msg = "a period of the calendar has a lower bound"
        raise ValueError(msg)
    return period.lower


def _goes(seen: View, period: Bounds) -> bool:
    """Whether a partition of this period would be dropped again by the next maintain."""
    return seen.policy.may_drop and seen.expired(period)


def _older(seen: View, first: Bounds, made: datetime) -> str:
    """Rows before the oldest partition, which is where maintain begins: the command for all of them.

    Not where that were more periods than a run may make: the next maintain would refuse what is missing in between.
    """
    end = seen.label(seen.calendar.period(seen.interval, made - datetime.resolution))
    where = "before the oldest partition, and maintain makes none there"
    if not seen.table.stray_edges_sure:
        return (
            f"rows such as of {seen.label(first)}, {where}; pgalmanac create FIRST..{end} does, and moves them, FIRST"
            " being the oldest period that is to stay"
        )
    if seen.cutoff is not None and seen.table.stray_edges is not None and seen.policy.may_drop:
        first = seen.calendar.period(seen.interval, max(seen.cutoff, seen.table.stray_edges[0]))
    name, most = seen.label(first), seen.policy.max_creates
    periods = list(islice(seen.calendar.periods(seen.interval, _lower(first), made), most + 1))
    if len(periods) > most:
        return (
            f"rows of {name}, more than max_creates ({most}) periods before the oldest partition; move or delete them"
            " by hand"
        )
    wanted = name if name == end else f"{name}..{end}"
    return f"rows of {name} or later, {where}; pgalmanac create {wanted} does, and moves them"


def _between(seen: View, period: Bounds) -> str:
    """Rows of a period that maintain or, where another partition has a part of it, fix makes."""
    if seen.coverage.holes(period) == (period,):
        return "for which there is no partition; run pgalmanac maintain"
    back = (seen.today - seen.calendar.day(_lower(period))).days
    option = f" --back {back}" if back > FIX_DAYS else ""
    return f"which partitions cover in part; run pgalmanac fix{option}"
