"""(snapshot, policy, facts) -> Plan: a tuple of actions, each with its reason. Pure, and idempotent.

A plan is made twice: once from the snapshot alone, and, when that wants something, once more with the `Facts` that
only concern what it wants (is the name free, is the partition referred to, are there stray rows). A database in
which nothing is to be done is never asked for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pgalmanac.actions import GOING, NO_FACTS, Action, ActionKind, Facts, Reason, Status
from pgalmanac.creating import create, creates, gaps, limited, lower_of
from pgalmanac.dropping import drop, drops, gone, grace_ended, guarded, unfinished, with_room
from pgalmanac.errors import UsageError
from pgalmanac.model import PartitionedTable
from pgalmanac.policy import Policy
from pgalmanac.targets import meant, parse_range
from pgalmanac.view import View, undroppable, view

__all__ = ["FIX_DAYS", "Plan", "plan_create", "plan_drop", "plan_fix", "plan_maintain"]

# So many days before and after today fix looks at, unless it is told otherwise.
FIX_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done to one table, in order: finish, create, drop."""

    view: View
    actions: tuple[Action, ...] = ()

    @property
    def table(self) -> PartitionedTable:
        """The snapshot that the plan was made from."""
        return self.view.table

    @property
    def todo(self) -> tuple[Action, ...]:
        """The actions that would be tried."""
        return tuple(a for a in self.actions if a.status is Status.PLANNED)

    def confirmed(self, oids: frozenset[int]) -> Plan:
        """The same plan without the drops of anything but *oids*: what nobody was shown, nobody agreed to."""
        return replace(self, actions=tuple(map(partial(_confirmed, oids), self.actions)))

    def of(self, *kinds: ActionKind) -> tuple[Action, ...]:
        """The actions of these kinds, whatever their status."""
        return tuple(a for a in self.actions if a.kind in kinds)


def _confirmed(oids: frozenset[int], action: Action) -> Action:
    if action.kind not in GOING or action.status is not Status.PLANNED or action.oid in oids:
        return action
    return action.refused("it was not in the plan that was confirmed; look again")


def plan_maintain(
    table: PartitionedTable, policy: Policy, facts: Facts = NO_FACTS, *, clock: str | None = None
) -> Plan:
    """Finish, create from the oldest gap to today + premake, drop what is past retention and then what grace has ended.

    *clock* says why the server's clock cannot be trusted; then nothing is dropped.
    """
    seen = view(table, policy)
    made = [
        *creates(seen, facts, seen.day(0), seen.day(policy.premake_days + 1), Reason.PREMAKE),
        *gaps(seen, facts),
    ]
    actions = (
        *unfinished(seen, facts, clock),
        *limited(seen, sorted(made, key=lower_of)),
        *drops(seen, facts, clock),
        *grace_ended(seen, facts, clock),
    )
    return Plan(view=seen, actions=actions)


def plan_fix(
    table: PartitionedTable, policy: Policy, facts: Facts = NO_FACTS, *, back: int, ahead: int, clock: str | None = None
) -> Plan:
    """Finish, and create all that is missing from today - *back* days (never past retention) to today + *ahead* days.

    Periods that are covered in part get the remainder, so that it goes on even on a grid that is none of ours: inserts
    that fail do not wait for somebody to say what it is. The present one comes first, then the future: where inserts
    fail, whatever delays one of the past must not delay that.
    """
    seen = view(table, policy)
    first = seen.day(-back) if seen.cutoff is None else max(seen.day(-back), seen.cutoff)
    made = [
        *creates(seen, facts, first, seen.day(0), Reason.GAP, remainders=True),
        *creates(seen, facts, seen.day(0), seen.day(ahead + 1), Reason.PREMAKE, remainders=True),
    ]
    unique = {a.bounds: a for a in reversed(made)}
    ordered = sorted(
        unique.values(), key=lambda a: (a.bounds.upper is not None and a.bounds.upper <= seen.now, lower_of(a))
    )
    return Plan(view=seen, actions=(*unfinished(seen, facts, clock), *limited(seen, ordered)))


def plan_create(table: PartitionedTable, policy: Policy, facts: Facts = NO_FACTS, *, periods: str) -> Plan:
    """Create the named period, or every period of `FIRST..LAST`. What exists already needs no action.

    Raises UsageError for a period that cannot be one of this table's.
    """
    seen = view(table, policy)
    wanted = parse_range(periods, seen)
    actions: list[Action] = []
    for period in wanted:
        holes = seen.coverage.holes(period)
        if not holes:
            continue
        action = create(seen, facts, period, Reason.MANUAL)
        if holes != (period,):
            action = action.refused(
                f"{seen.label(period)} is covered in part by another partition; pgalmanac fix makes the remainder"
            )
        actions.append(action)
    return Plan(view=seen, actions=tuple(limited(seen, actions)))


def plan_drop(
    table: PartitionedTable,
    policy: Policy,
    facts: Facts = NO_FACTS,
    *,
    target: str,
    clock: str | None = None,
    now: bool = False,
) -> Plan:
    """Drop the partitions that *target* names: a period, `FIRST..LAST`, or a partition's name.

    With a grace they go to the trash, unless *now*; then what lies in the trash may be named too.

    Raises UsageError when it names none. The fuse holds, and the period of today is refused.
    """
    seen = view(table, policy)
    actions: list[Action] = []
    partitions, orphans = meant(seen, target)
    if not partitions and not now:
        msg = f"{orphans[0].name} has been dropped already, and is kept"
        raise UsageError(msg, hint=f"pgalmanac undrop {target} brings it back; --now drops it for good")
    for partition in partitions:
        action = drop(seen, partition, Reason.MANUAL, facts, now=now)
        if partition.bounds is not None and partition.bounds.contains(seen.now):
            action = action.refused("it holds today: without it every insert fails")
        elif seen.pinned(partition.pin):
            action = action.refused(f"{partition.pin}; pgalmanac unpin {partition.name.name} allows it")
        elif (why := undroppable(partition)) or (why := facts.blocked.get(partition.oid)):
            action = action.refused(why)
        actions.append(with_room(seen, action, facts))
    for orphan in orphans:
        action = gone(orphan, Reason.MANUAL, facts)
        if seen.pinned(orphan.pin):
            action = action.refused(f"{orphan.pin}; pgalmanac unpin {orphan.name.name} allows it")
        elif why := facts.blocked.get(orphan.oid):
            action = action.refused(why)
        actions.append(action)
    return Plan(view=seen, actions=tuple(guarded(seen, actions, clock, "drop", target, now=now)))
