"""What partitions cover, as findings: today, the runway, gaps and what was not created. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pgalmanac.actions import Action, ActionKind, Status
from pgalmanac.bounds import LATEST
from pgalmanac.findings import Code, Finding, critical, warning
from pgalmanac.model import Bounds
from pgalmanac.plan import FIX_DAYS, Plan
from pgalmanac.view import View, oldest_kept

__all__ = ["coverage", "gaps", "not_created"]


def coverage(seen: View) -> Iterator[Finding]:
    """Whether today has its partition, and for how long there are some."""
    if not seen.coverage.covered(seen.now):
        rows = "go to the default partition" if seen.table.default else "fail"
        yield critical(
            Code.TODAY_MISSING, f"{seen.table.name} has no partition for now: inserts {rows}; run pgalmanac fix"
        )
    runway = seen.runway_days
    if runway < seen.low_runway_days:
        days = "no day" if runway == 0 else "1 day" if runway == 1 else f"{runway} days"
        remedy = f"run pgalmanac {_longer(seen)}" if seen.policy.premake_days else "set premake_days to 1 or more"
        yield warning(Code.RUNWAY_SHORT, f"{seen.table.name} has partitions for {days} after today; {remedy}")
    if seen.unclear is not None and seen.covered_until != LATEST:
        yield warning(Code.INTERVAL_UNKNOWN, f"{seen.table.name}: {seen.unclear}")


def _longer(seen: View) -> str:
    """The command that makes the runway longer: maintain, but it ends within a period, whose rest only fix makes."""
    until = seen.covered_until
    if until is None:
        return "maintain"
    period = seen.calendar.period(seen.interval, until)
    if seen.coverage.holes(period) == (period,):
        return "maintain"
    ahead = (seen.calendar.day(until) - seen.today).days
    return f"fix --ahead {ahead}" if ahead > FIX_DAYS else "fix"


def gaps(seen: View) -> Iterator[Finding]:
    """Missing or partly covered periods with partitions before and after them; runs of them make one finding."""
    oldest = oldest_kept(seen)
    newest = next((p.bounds for p in reversed(seen.table.ranged) if p.bounds is not None), None)
    if oldest is None or newest is None:
        return
    end = min(newest.lower or oldest, seen.day(seen.policy.premake_days + 1))
    missing: list[Bounds] = []
    partly: list[tuple[Bounds, Bounds]] = []
    for period, holes in seen.holes(oldest, max(end, oldest)):
        if holes == (period,):
            missing.append(period)
        else:
            partly.extend((period, h) for h in holes if h.lower is not None and oldest <= h.lower < end)
    for first, last, count in _runs(missing):
        what = _spanned(seen, first, last, count)
        yield warning(Code.GAP, f"{seen.table.name}: {what} missing between partitions; run pgalmanac maintain")
    for period, hole in partly:
        if hole.lower is None or hole.upper is None:
            continue
        lower, upper = (f"{seen.calendar.shown(t):%Y-%m-%d %H:%M%z}" for t in (hole.lower, hole.upper))
        back = (seen.today - seen.calendar.day(hole.lower)).days
        yield warning(
            Code.GAP,
            f"{seen.table.name}: {seen.label(period)} is covered in part; {lower} to {upper} is missing; "
            f"run pgalmanac fix{f' --back {back}' if back > FIX_DAYS else ''}",
        )


def _runs(periods: Sequence[Bounds]) -> Iterator[tuple[Bounds, Bounds, int]]:
    first: Bounds | None = None
    last: Bounds | None = None
    count = 0
    for period in periods:
        if first is None or last is None or last.upper != period.lower:
            if first is not None and last is not None:
                yield first, last, count
            first, count = period, 0
        last, count = period, count + 1
    if first is not None and last is not None:
        yield first, last, count


def _spanned(seen: View, first: Bounds, last: Bounds, count: int) -> str:
    """A run of periods as the subject of a sentence, with its verb."""
    return f"{seen.label(first)} is" if count == 1 else f"{seen.label(first)}..{seen.label(last)} ({count} periods) are"


def not_created(seen: View, plan: Plan) -> Iterator[Finding]:
    """What is missing and refused; of what is refused for one reason, each run of periods makes one finding."""
    reasons: dict[str | None, list[Action]] = {}
    for action in plan.actions:
        if action.kind is ActionKind.CREATE and action.status is Status.REFUSED:
            reasons.setdefault(action.note, []).append(action)
    for note, actions in reasons.items():
        for first, last, count in _runs([a.bounds for a in actions]):
            one = next((str(a.partition) for a in actions if a.bounds == first), None) if count == 1 else None
            yield warning(Code.GAP, f"{seen.table.name}: {_spanned(seen, first, last, count)} not created: {note}", one)
