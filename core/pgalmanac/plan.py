"""(snapshot, policy, facts) -> Plan: a tuple of actions, each with its reason. Pure, and idempotent.

A plan is made twice: once from the snapshot alone, and, when that wants something, once more with the `Facts` that
only concern what it wants (is the name free, is the partition referred to, are there stray rows). A database in
which nothing is to be done is never asked for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property, partial
from typing import Final

from pgalmanac.errors import ConfigError, UsageError
from pgalmanac.mend import Mend
from pgalmanac.model import (
    Bounds,
    Interval,
    KeyType,
    Mark,
    Orphan,
    Partition,
    PartitionedTable,
    Pin,
    RelationKind,
    TableName,
)
from pgalmanac.naming import Style, fit, infer_style, label, parse_period, written_interval
from pgalmanac.periods import Calendar, Coverage, aligned_interval, infer_interval
from pgalmanac.policy import Policy

__all__ = [
    "GOING",
    "NO_FACTS",
    "Action",
    "ActionKind",
    "Facts",
    "Guard",
    "Plan",
    "Reason",
    "Source",
    "Status",
    "View",
    "gone",
    "inside",
    "meant",
    "names",
    "orphans_in",
    "plan_create",
    "plan_drop",
    "plan_fix",
    "plan_maintain",
    "view",
]


class ActionKind(StrEnum):
    """What an action does; detaching is part of a drop and of trash, and creating part of moving rows."""

    FINALIZE = "finalize"
    CREATE = "create"
    MOVE_ROWS = "move_rows"
    DROP = "drop"
    # Detach, and keep the table in the trash until its grace ends.
    TRASH = "trash"
    # Bring it back from there.
    ATTACH = "attach"
    PIN = "pin"
    UNPIN = "unpin"
    # Copy it into the archive; before a drop the table is detached first and let go of only by the drop.
    ARCHIVE = "archive"
    # Bring it back from there.
    RESTORE = "restore"


# What takes a partition away from its table.
GOING: Final = frozenset({ActionKind.DROP, ActionKind.TRASH})


class Status(StrEnum):
    """What became of an action, or is to become of it."""

    PLANNED = "planned"
    DONE = "done"
    SKIPPED = "skipped"
    REFUSED = "refused"
    FAILED = "failed"


class Reason(StrEnum):
    """Why an action is in the plan."""

    PREMAKE = "premake"
    GAP = "gap"
    REMAINDER = "remainder"
    RETENTION = "retention"
    UNFINISHED = "unfinished"
    MANUAL = "manual"
    GRACE = "grace ended"
    # An archive for its own sake: what is archived stays where it is.
    COPY = "copy"


class Source(StrEnum):
    """Where the table of an action stands: the statements that finish it differ."""

    ATTACHED = "attached"
    PENDING = "pending"
    DETACHED = "detached"


class Guard(StrEnum):
    """Who refuses that something goes, where findings tell them apart."""

    FUSE = "fuse"
    CLOCK = "clock"
    # There is no place for it in the trash.
    TRASH = "trash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step. *status* is planned, or skipped or refused with the *note* that says why and what would allow it.

    *rows* and *bytes* are the server's estimates of what is at stake; None when nobody asked. *target* is the name
    that trash and attach give the table, *keep_until* the instant up to which it can be had back, *makes_schema* says
    that the trash is still to be made. *pin* is what pin writes, and attach where today's retention would take the
    partition again; *mend* what attach has to make good first.
    """

    kind: ActionKind
    partition: TableName
    bounds: Bounds
    reason: Reason
    status: Status = Status.PLANNED
    note: str | None = None
    guard: Guard | None = None
    oid: int | None = None
    source: Source = Source.ATTACHED
    rows: int | None = None
    bytes: int | None = None
    target: TableName | None = None
    keep_until: datetime | None = None
    makes_schema: bool = False
    pin: Pin | None = None
    mend: Mend | None = None
    # Where it is archived.
    url: str | None = None

    def refused(self, note: str, guard: Guard | None = None) -> Action:
        """The same action, refused by a guard that wants a human."""
        return replace(self, status=Status.REFUSED, note=note, guard=guard)

    def skipped(self, note: str) -> Action:
        """The same action, skipped for a standing reason of its partition."""
        return replace(self, status=Status.SKIPPED, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is asked about the objects of a draft plan only.

    *strays* counts the default partition's rows by the lower bound of the period they belong to; *immovable* says why
    they cannot be moved. *trash_missing* and *trash_refusal* are about the schema of the trash: it is still to be made,
    or this role may not use it; *mends* is what detached tables lack of their parent's structure.
    """

    taken: frozenset[TableName] = frozenset()
    blocked: Mapping[int, str] = field(default_factory=dict[int, str])
    strays: Mapping[datetime, int] = field(default_factory=dict[datetime, int])
    immovable: str | None = None
    sizes: Mapping[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    trash_missing: bool = False
    trash_refusal: str | None = None
    mends: Mapping[int, Mend] = field(default_factory=dict[int, Mend])


NO_FACTS: Final = Facts()


@dataclass(frozen=True, kw_only=True)
class View:
    """A snapshot seen through a policy: the calendar, the interval in force, today and the retention edge.

    *cutoff* is the key time at or before which an upper bound is past retention; None keeps everything.
    """

    table: PartitionedTable
    policy: Policy
    calendar: Calendar
    interval: Interval
    style: Style
    today: date
    now: datetime
    cutoff: datetime | None

    def at(self, instant: datetime) -> View:
        """The same snapshot as seen at another instant: what is today and what is expired follow the clock."""
        now = self.calendar.from_instant(instant)
        today = self.calendar.day(now)
        days = self.policy.retention_days
        cutoff = None if days is None else self.calendar.start(_back(today, days))
        return replace(self, now=now, today=today, cutoff=cutoff)

    def day(self, offset: int) -> datetime:
        """The first moment of the day *offset* days from today."""
        return self.calendar.start(self.today + timedelta(days=offset))

    @property
    def keep_until(self) -> datetime:
        """The instant, in UTC, up to which what goes to the trash now is kept: a midnight, grace_days whole days on."""
        zone = self.policy.timezone
        day = self.table.now.astimezone(zone).date() + timedelta(days=self.policy.grace_days + 1)
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)

    def pinned(self, pin: Pin | None) -> bool:
        """Whether this pin is still in force today."""
        return pin is not None and pin.holds(self.today)

    @cached_property
    def coverage(self) -> Coverage:
        """What the attached partitions cover; the default partition covers nothing."""
        return Coverage(p.bounds for p in self.table.ranged if p.bounds is not None)

    def holes(self, lower: datetime, upper: datetime) -> Iterator[tuple[Bounds, tuple[Bounds, ...]]]:
        """Every period with a moment in `[lower, upper)` that is not covered, and what of it is not; oldest first."""
        last: Bounds | None = None
        for hole in self.coverage.holes(self.calendar.span(self.interval, lower, upper)):
            if hole.lower is None or hole.upper is None:
                continue
            for period in self.calendar.periods(self.interval, hole.lower, hole.upper):
                if period != last:
                    yield period, self.coverage.holes(period)
                last = period

    def expired(self, bounds: Bounds | None) -> bool:
        """Whether these bounds are past retention today."""
        return (
            self.cutoff is not None and bounds is not None and bounds.upper is not None and bounds.upper <= self.cutoff
        )

    def label(self, bounds: Bounds) -> str:
        """The period as the command line writes it."""
        return label(self.interval, bounds, self.calendar)


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


def view(table: PartitionedTable, policy: Policy) -> View:
    """See *table* through *policy* as of the snapshot's own clock. Raises ConfigError for an impossible interval."""
    calendar = Calendar(zone=policy.timezone, key=table.key.type)
    interval = policy.interval or infer_interval(table.ranged, calendar) or Interval.DAILY
    if interval is Interval.HOURLY and table.key.type is KeyType.DATE:
        msg = f"{table.name} is partitioned by a date, which has no hours"
        raise ConfigError(msg, hint="set its interval to daily or longer")
    now = calendar.from_instant(table.now)
    seen = View(
        table=table,
        policy=policy,
        calendar=calendar,
        interval=interval,
        style=infer_style(table.name, table.ranged, interval, calendar),
        today=calendar.day(now),
        now=now,
        cutoff=None,
    )
    return seen.at(table.now)


def _back(today: date, days: int) -> date:
    return today - timedelta(days=min(days, (today - date.min).days - 1))


def plan_maintain(
    table: PartitionedTable, policy: Policy, facts: Facts = NO_FACTS, *, clock: str | None = None
) -> Plan:
    """Finish, create from the oldest gap to today + premake, drop what is past retention and then what grace has ended.

    *clock* says why the server's clock cannot be trusted; then nothing is dropped.
    """
    seen = view(table, policy)
    made = [
        *_creates(seen, facts, seen.day(0), seen.day(policy.premake_days + 1), Reason.PREMAKE),
        *_gaps(seen, facts),
    ]
    actions = (
        *_unfinished(seen, facts, clock),
        *_limited(seen, sorted(made, key=_lower)),
        *_drops(seen, facts, clock),
        *_grace_ended(seen, facts, clock),
    )
    return Plan(view=seen, actions=actions)


def plan_fix(
    table: PartitionedTable, policy: Policy, facts: Facts = NO_FACTS, *, back: int, ahead: int, clock: str | None = None
) -> Plan:
    """Finish, and create all that is missing from today - *back* days (never past retention) to today + *ahead* days.

    Periods that are covered in part get the remainder.
    """
    seen = view(table, policy)
    first = seen.day(-back) if seen.cutoff is None else max(seen.day(-back), seen.cutoff)
    made = [
        *_creates(seen, facts, first, seen.day(0), Reason.GAP, remainders=True),
        *_creates(seen, facts, seen.day(0), seen.day(ahead + 1), Reason.PREMAKE, remainders=True),
    ]
    unique = {a.bounds: a for a in reversed(made)}
    return Plan(
        view=seen, actions=(*_unfinished(seen, facts, clock), *_limited(seen, sorted(unique.values(), key=_lower)))
    )


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
        action = _create(seen, facts, period, Reason.MANUAL)
        if holes != (period,):
            action = action.refused(
                f"{seen.label(period)} is covered in part by another partition; pgalmanac fix makes the remainder"
            )
        actions.append(action)
    return Plan(view=seen, actions=tuple(_limited(seen, _named_once(actions))))


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
        action = _drop(seen, partition, Reason.MANUAL, facts, now=now)
        if partition.bounds is not None and partition.bounds.contains(seen.now):
            action = action.refused("it holds today: without it every insert fails")
        elif seen.pinned(partition.pin):
            action = action.refused(f"{partition.pin}; pgalmanac unpin {partition.name.name} allows it")
        elif (why := _undroppable(partition)) or (why := facts.blocked.get(partition.oid)):
            action = action.refused(why)
        actions.append(_with_room(action, facts))
    for orphan in orphans if not partitions else ():
        action = gone(orphan, Reason.MANUAL, facts)
        if seen.pinned(orphan.pin):
            action = action.refused(f"{orphan.pin}; pgalmanac unpin {orphan.name.name} allows it")
        elif why := facts.blocked.get(orphan.oid):
            action = action.refused(why)
        actions.append(action)
    remedy = f"pgalmanac drop {target} --max-drops {{n}}"
    return Plan(view=seen, actions=tuple(_guarded(seen, actions, clock, remedy)))


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
    """Whether what somebody typed is this name, with or without its schema."""
    return target in {name.name, str(name), f"{name.schema}.{name.name}"}


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
    """The partitions that a period, range or name means; a name wins, because it is exact."""
    named = [p for p in seen.table.partitions if names(target, p.name)]
    if named:
        return named
    default = seen.table.default
    if default is not None and target in {default.name.name, str(default.name)}:
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


def _lower(action: Action) -> datetime:
    if action.bounds.lower is None:
        msg = "a partition to be created has a lower bound"
        raise ValueError(msg)
    return action.bounds.lower


def _unfinished(seen: View, facts: Facts, clock: str | None) -> Iterator[Action]:
    """What earlier runs, or other people, began and did not end."""
    for partition in seen.table.ranged:
        if partition.mark is not None and partition.bounds is not None:
            yield _finalize(partition, partition.bounds, Source.ATTACHED)
    for partition in seen.table.pending:
        bounds = partition.bounds or Bounds(lower=None, upper=None)
        mark = partition.mark
        if mark is not None and mark.keep_until is not None:
            yield _with_room(_finish_trash(seen, partition, bounds, mark, facts), facts)
        elif mark is None or seen.pinned(partition.pin) or not _still_demanded(seen, mark.manual, bounds=bounds):
            yield _finalize(partition, bounds, Source.PENDING)
        else:
            yield _finish_drop(partition.oid, partition.name, bounds, Source.PENDING, clock)
    for orphan in seen.table.orphans:
        if orphan.mark.keep_until is not None:
            if not orphan.in_trash and not _ended(seen, orphan):
                yield _with_room(_finish_trash(seen, orphan, orphan.bounds, orphan.mark, facts), facts)
        elif _still_demanded(seen, orphan.mark.manual, bounds=orphan.bounds):
            action = _finish_drop(orphan.oid, orphan.name, orphan.bounds, Source.DETACHED, clock)
            yield action.skipped(str(orphan.pin)) if seen.pinned(orphan.pin) else action


def _still_demanded(seen: View, manual: bool, *, bounds: Bounds) -> bool:  # noqa: FBT001  # a field of the mark
    return manual or (seen.policy.may_drop and seen.expired(bounds))


def _finish_trash(seen: View, what: Partition | Orphan, bounds: Bounds, mark: Mark, facts: Facts) -> Action:
    """Bring a table to the trash that was cut off on its way: whatever the policy, it can be had back from there."""
    return Action(
        kind=ActionKind.TRASH,
        partition=what.name,
        bounds=bounds,
        reason=Reason.UNFINISHED,
        oid=what.oid,
        source=Source.DETACHED if isinstance(what, Orphan) else Source.PENDING,
        target=TableName(schema=seen.policy.trash_schema, name=what.name.name),
        keep_until=mark.keep_until,
        makes_schema=facts.trash_missing,
    )


def _ended(seen: View, orphan: Orphan) -> bool:
    """Whether the grace of a dropped partition is over by the server's clock, and nobody wants it kept since."""
    until = orphan.mark.keep_until
    return (
        until is not None
        and until <= seen.table.now
        and not seen.pinned(orphan.pin)
        and _still_demanded(seen, orphan.mark.manual, bounds=orphan.bounds)
    )


def _grace_ended(seen: View, facts: Facts, clock: str | None) -> Iterator[Action]:
    """What is dropped for good. The fuse let it pass when it went to the trash, and is not asked again."""
    for orphan in seen.table.orphans:
        if not _ended(seen, orphan):
            continue
        action = gone(orphan, Reason.GRACE, facts)
        if why := facts.blocked.get(orphan.oid):
            yield action.skipped(why)
        else:
            yield action if clock is None else action.refused(clock, Guard.CLOCK)


def gone(orphan: Orphan, reason: Reason, facts: Facts) -> Action:
    """Drop for good what was detached already."""
    rows, size = facts.sizes.get(orphan.oid, (None, None))
    return Action(
        kind=ActionKind.DROP,
        partition=orphan.name,
        bounds=orphan.bounds,
        reason=reason,
        oid=orphan.oid,
        source=Source.DETACHED,
        rows=rows,
        bytes=size,
    )


def _finalize(partition: Partition, bounds: Bounds, source: Source) -> Action:
    return Action(
        kind=ActionKind.FINALIZE,
        partition=partition.name,
        bounds=bounds,
        reason=Reason.UNFINISHED,
        oid=partition.oid,
        source=source,
    )


def _finish_drop(oid: int, name: TableName, bounds: Bounds, source: Source, clock: str | None) -> Action:
    action = Action(
        kind=ActionKind.DROP, partition=name, bounds=bounds, reason=Reason.UNFINISHED, oid=oid, source=source
    )
    return action if clock is None else action.refused(clock, Guard.CLOCK)


def _creates(
    seen: View, facts: Facts, lower: datetime, upper: datetime, reason: Reason, *, remainders: bool = False
) -> Iterator[Action]:
    """An action for every period of `[lower, upper)` that is wholly missing; with *remainders* for each hole."""
    for period, holes in seen.holes(lower, upper):
        if holes == (period,):
            yield _create(seen, facts, period, reason)
        elif remainders:
            for hole in holes:
                yield _create(seen, facts, hole, Reason.REMAINDER)


def _gaps(seen: View, facts: Facts) -> Iterator[Action]:
    """Missing periods before today that lie after some partition inside retention."""
    oldest = oldest_kept(seen)
    if oldest is None or oldest >= seen.day(0):
        return
    first_wanted = seen.calendar.floor(seen.interval, seen.day(0))
    for action in _creates(seen, facts, oldest, first_wanted, Reason.GAP):
        # The period that the oldest partition begins in is not a gap: nothing stands before it.
        if action.bounds.lower is not None and action.bounds.lower >= oldest:
            yield action


def oldest_kept(seen: View) -> datetime | None:
    """The first moment of the oldest partition inside retention; an unbounded one counts from its upper bound."""
    for partition in seen.table.ranged:
        if partition.bounds is None or seen.expired(partition.bounds):
            continue
        start = partition.bounds.upper if partition.bounds.lower is None else partition.bounds.lower
        if start is not None:
            return start
    return None


def _create(seen: View, facts: Facts, bounds: Bounds, reason: Reason) -> Action:
    if reason is Reason.REMAINDER and bounds.lower is not None:
        minute = f"_{bounds.lower:%M%S}" if bounds.lower.minute or bounds.lower.second else ""
        text = f"{bounds.lower.year:04d}_{bounds.lower:%m_%d_%H}{minute}"
        name = TableName(schema=seen.style.schema, name=fit(seen.style.prefix, text))
    else:
        name = seen.style.name(seen.interval, bounds, seen.calendar)
    strays = facts.strays.get(bounds.lower, 0) if bounds.lower is not None else 0
    action = Action(
        kind=ActionKind.MOVE_ROWS if strays else ActionKind.CREATE,
        partition=name,
        bounds=bounds,
        reason=reason,
        rows=strays or None,
    )
    if name in facts.taken:
        return action.refused(
            f"the name {name} is taken by a relation that is not this partition; rename or drop that one"
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


def _limited(seen: View, actions: Sequence[Action]) -> list[Action]:
    """Refuse what goes past max_creates. The coming days go first, the nearest of all: they are what inserts need."""
    named = _named_once(actions)
    limit = seen.policy.max_creates
    wanted = [a for a in named if a.status is Status.PLANNED]
    if len(wanted) <= limit:
        return named
    note = f"{len(wanted)} partitions are missing and max_creates is {limit}; raise it, or create the range by hand"
    coming = [a for a in wanted if _lower(a) >= seen.day(0) and a.reason is not Reason.MANUAL]
    kept = set(map(id, coming[:limit]))
    return [a if a.status is not Status.PLANNED or id(a) in kept else a.refused(note) for a in named]


def _drops(seen: View, facts: Facts, clock: str | None) -> list[Action]:
    """What is past retention, oldest first, with what is skipped and why."""
    if not seen.policy.may_drop:
        return []
    actions: list[Action] = []
    for partition in seen.table.ranged:
        if not seen.expired(partition.bounds):
            continue
        action = _drop(seen, partition, Reason.RETENTION, facts)
        if seen.pinned(partition.pin):
            action = action.skipped(str(partition.pin))
        elif (why := unmanaged(seen, partition)) or (why := facts.blocked.get(partition.oid)):
            action = action.skipped(why)
        actions.append(_with_room(action, facts))
    return _guarded(seen, actions, clock, "pgalmanac maintain --max-drops {n}")


def _drop(seen: View, partition: Partition, reason: Reason, facts: Facts, *, now: bool = False) -> Action:
    """Drop a partition; with a grace, and unless it is wanted *now*, keep it in the trash for so long."""
    rows, size = facts.sizes.get(partition.oid, (None, None))
    action = Action(
        kind=ActionKind.DROP,
        partition=partition.name,
        bounds=partition.bounds or Bounds(lower=None, upper=None),
        reason=reason,
        oid=partition.oid,
        source=Source.PENDING if partition.detach_pending else Source.ATTACHED,
        rows=rows,
        bytes=size,
    )
    if now or not seen.policy.grace_days:
        return action
    return replace(
        action,
        kind=ActionKind.TRASH,
        target=TableName(schema=seen.policy.trash_schema, name=partition.name.name),
        keep_until=seen.keep_until,
        makes_schema=facts.trash_missing,
    )


def _with_room(action: Action, facts: Facts) -> Action:
    """The action, refused when it wants to the trash and the trash has no place for it."""
    if action.kind is not ActionKind.TRASH or action.status is not Status.PLANNED:
        return action
    if facts.trash_refusal is not None:
        return action.refused(facts.trash_refusal, Guard.TRASH)
    if action.target == action.partition:
        why = f"the trash is its own schema, {action.partition.schema}; set trash_schema to another"
        return action.refused(why, Guard.TRASH)
    if action.target in facts.taken:
        why = f"the name {action.target} is taken in the trash; drop or rename that table, or wait for its grace to end"
        return action.refused(why, Guard.TRASH)
    return action


def _undroppable(partition: Partition) -> str | None:
    """Why nobody, by hand or by night, drops this partition through pgalmanac."""
    if partition.bounds is None:
        return "its bounds cannot be read as a range of time"
    if partition.bounds.lower is None:
        return "it is unbounded below, so that its age is not known"
    if partition.kind is RelationKind.PARTITIONED:
        return "it is itself partitioned"
    if partition.kind is RelationKind.FOREIGN:
        return "it is a foreign table, which DROP TABLE does not drop"
    return None


def unmanaged(seen: View, partition: Partition) -> str | None:
    """Why the nightly run leaves this partition alone for good, or None when it is managed."""
    if (why := _undroppable(partition)) is not None:
        return why
    if seen.policy.drop_unaligned or aligned_interval(partition, seen.calendar) is not None:
        return None
    return f"its bounds are on no interval's grid in {seen.policy.timezone.key}; drop_unaligned = true would allow it"


def _guarded(seen: View, actions: Sequence[Action], clock: str | None, remedy: str) -> list[Action]:
    """All drops or none: an untrusted clock or more of them than the fuse allows refuses every one."""
    planned = [a for a in actions if a.status is Status.PLANNED]
    fuse = seen.policy.fuse(seen.interval)
    if clock is not None:
        note, guard = clock, Guard.CLOCK
    elif len(planned) > fuse:
        note = f"{len(planned)} are due and the fuse is {fuse}; allow it with: {remedy.format(n=len(planned))}"
        guard = Guard.FUSE
    else:
        return list(actions)
    return [a.refused(note, guard) if a.status is Status.PLANNED else a for a in actions]
