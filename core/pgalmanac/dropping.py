"""What is to go, with what forbids it: retention, grace, what earlier runs left half done; and the fuse. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pgalmanac.actions import Action, ActionKind, Facts, Guard, Reason, Source, Status
from pgalmanac.model import Bounds, Mark, Orphan, Partition
from pgalmanac.table_names import TableName
from pgalmanac.view import View, unmanaged

__all__ = ["drop", "drops", "gone", "grace_ended", "guarded", "unfinished", "with_room"]


def unfinished(seen: View, facts: Facts, clock: str | None) -> Iterator[Action]:
    """What earlier runs, or other people, began and did not end."""
    for partition in seen.table.ranged:
        if partition.mark is not None and partition.bounds is not None:
            yield _finalize(partition, partition.bounds, Source.ATTACHED)
    for partition in seen.table.pending:
        yield _finish_detach(seen, partition, facts, clock)
    for orphan in seen.table.orphans:
        if not orphan.cut_off:
            continue
        if orphan.mark.keep_until is not None:
            yield with_room(seen, _finish_trash(seen, orphan, orphan.bounds, orphan.mark, facts), facts)
        elif _still_demanded(seen, orphan.mark.manual, bounds=orphan.bounds):
            action = _finish_drop(orphan.oid, orphan.name, orphan.bounds, Source.DETACHED, clock)
            yield action.skipped(str(orphan.pin)) if seen.pinned(orphan.pin) else action


def _finish_detach(seen: View, partition: Partition, facts: Facts, clock: str | None) -> Action:
    """End a detach that was begun: what was to become of the table is in its mark.

    A table stays if the mark says that it arrived, which is of an earlier drop: then somebody attached it and began
    this. It stays too if somebody moved it meanwhile: as with what is detached, whoever does that keeps it.
    """
    bounds = partition.bounds or Bounds(lower=None, upper=None)
    mark = partition.mark
    if mark is None or mark.arrived or mark.home != partition.name.schema:
        return _finalize(partition, bounds, Source.PENDING)
    if mark.keep_until is not None:
        return with_room(seen, _finish_trash(seen, partition, bounds, mark, facts), facts)
    if seen.pinned(partition.pin) or not _still_demanded(seen, mark.manual, bounds=bounds):
        return _finalize(partition, bounds, Source.PENDING)
    return _finish_drop(partition.oid, partition.name, bounds, Source.PENDING, clock)


def _still_demanded(seen: View, manual: bool, *, bounds: Bounds) -> bool:  # noqa: FBT001  # a field of the mark
    return manual or (seen.policy.may_drop and seen.expired(bounds))


def _finish_trash(seen: View, what: Partition | Orphan, bounds: Bounds, mark: Mark, facts: Facts) -> Action:
    """Bring a table to the trash that was cut off on its way: whatever the policy, it can be had back from there.

    Where its grace would be over already it gets another: nobody could have had it back from the trash yet.
    """
    target = TableName(schema=mark.trash or seen.policy.trash_schema, name=what.name.name)
    until = mark.keep_until
    return Action(
        kind=ActionKind.TRASH,
        partition=what.name,
        bounds=bounds,
        reason=Reason.UNFINISHED,
        oid=what.oid,
        source=Source.DETACHED if isinstance(what, Orphan) else Source.PENDING,
        target=target,
        keep_until=until if until is not None and until > seen.table.now else seen.keep_until,
        makes_schema=target.schema in facts.trash_missing,
    )


def _ended(seen: View, orphan: Orphan) -> bool:
    """Whether the grace of a dropped partition is over by the server's clock, and nobody wants it kept since.

    A pin says so, a longer retention, and that somebody took the table out of the trash. What a run was cut off with on
    the way there has had no grace yet.
    """
    until = orphan.mark.keep_until
    return (
        orphan.in_trash
        and until is not None
        and until <= seen.table.now
        and not seen.pinned(orphan.pin)
        and _still_demanded(seen, orphan.mark.manual, bounds=orphan.bounds)
    )


def grace_ended(seen: View, facts: Facts, clock: str | None) -> Iterator[Action]:
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
    return Action(
        kind=ActionKind.DROP,
        partition=orphan.name,
        bounds=orphan.bounds,
        reason=reason,
        oid=orphan.oid,
        source=Source.DETACHED,
        rows=facts.rows.get(orphan.oid),
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


def drops(seen: View, facts: Facts, clock: str | None) -> list[Action]:
    """What is past retention, oldest first, with what is skipped and why."""
    if not seen.policy.may_drop:
        return []
    actions: list[Action] = []
    for partition in seen.table.ranged:
        if not seen.expired(partition.bounds):
            continue
        action = drop(seen, partition, Reason.RETENTION, facts)
        if seen.pinned(partition.pin):
            action = action.skipped(str(partition.pin))
        elif (why := unmanaged(seen, partition)) or (why := facts.blocked.get(partition.oid)):
            action = action.skipped(why)
        actions.append(with_room(seen, action, facts))
    return guarded(seen, actions, clock, "maintain")


def drop(seen: View, partition: Partition, reason: Reason, facts: Facts, *, now: bool = False) -> Action:
    """Drop a partition; with a grace, and unless it is wanted *now*, keep it in the trash for so long."""
    action = Action(
        kind=ActionKind.DROP,
        partition=partition.name,
        bounds=partition.bounds or Bounds(lower=None, upper=None),
        reason=reason,
        oid=partition.oid,
        source=Source.PENDING if partition.detach_pending else Source.ATTACHED,
        rows=facts.rows.get(partition.oid),
        after=facts.after.get(partition.oid),
    )
    if now or not seen.policy.grace_days:
        return action
    schema = seen.policy.trash_schema
    return replace(
        action,
        kind=ActionKind.TRASH,
        target=TableName(schema=schema, name=partition.name.name),
        keep_until=seen.keep_until,
        makes_schema=schema in facts.trash_missing,
    )


def with_room(seen: View, action: Action, facts: Facts) -> Action:
    """The action, refused when it wants to the trash and the trash has no place for it.

    What is unfinished goes where its mark says, whatever trash_schema is by now.
    """
    if action.kind is not ActionKind.TRASH or action.status is not Status.PLANNED or action.target is None:
        return action
    if (why := facts.trash_refusals.get(action.target.schema)) is not None:
        return action.refused(why, Guard.TRASH)
    if action.target == action.partition:
        why = f"the trash is its own schema, {action.partition.schema}; set trash_schema to another"
        return action.refused(why, Guard.TRASH)
    if action.target in facts.taken:
        more = ", or wait for its grace to end"
        if action.reason is not Reason.UNFINISHED:
            more = f", wait for its grace to end, or set another trash_schema for {seen.table.name}"
        why = f"the name {action.target} is taken in the trash; drop or rename that table{more}"
        return action.refused(why, Guard.TRASH)
    return action


def guarded(
    seen: View, actions: Sequence[Action], clock: str | None, command: str, operand: str = "", *, now: bool = False
) -> list[Action]:
    """All drops or none: an untrusted clock or more of them than the fuse allows refuses every one.

    The *command* that would allow them says which table is meant, because it must not raise the fuse of every other as
    well, and all that the operator said: it must not be of another database, nor drop in another way.
    """
    planned = [a for a in actions if a.status is Status.PLANNED]
    allowed = seen.policy.fuse(seen.interval)
    fuse = f" due and the fuse is {allowed}" if len(planned) > allowed else None
    if fuse is None and seen.policy.past_fuse([a.bounds for a in planned]):
        fuse = " due, which are more than a month's worth of time"
    if clock is not None:
        note, guard = clock, Guard.CLOCK
    elif fuse is not None:
        verb = "is" if len(planned) == 1 else "are"
        how = [
            ("--table", str(seen.table.name)),
            *([("--now", None)] if now else []),
            ("--max-drops", str(len(planned))),
        ]
        remedy = seen.policy.invocation.line(command, operand, how)
        note, guard = f"{len(planned)} {verb}{fuse}; allow it with: {remedy}", Guard.FUSE
    else:
        return list(actions)
    return [a.refused(note, guard) if a.status is Status.PLANNED else a for a in actions]
