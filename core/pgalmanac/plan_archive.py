"""Archiving -> Plan. Pure, as plan.py is: a copy before each drop, a copy for its own sake, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pgalmanac.actions import NO_FACTS, Action, ActionKind, Facts, Reason, Source, Status
from pgalmanac.archive_manifest import Manifest, folder_of, table_folder
from pgalmanac.errors import ConfigError, UsageError
from pgalmanac.model import Bounds, Orphan, Partition, PartitionedTable, RelationKind
from pgalmanac.naming import label, written_interval
from pgalmanac.plan import Plan
from pgalmanac.policy import ArchiveTarget, Policy
from pgalmanac.table_names import TableName, TableRef
from pgalmanac.targets import inside, meant, names, parse_range
from pgalmanac.view import View, view

__all__ = ["folder_for", "period_of", "plan_archive", "plan_restore", "target_of", "with_archives"]


def target_of(policy: Policy) -> ArchiveTarget:
    """Where the table's partitions are archived. Raises ConfigError when nobody said."""
    if policy.archive is None:
        raise ConfigError(
            "no archive is configured for this table", hint='write url = "file:///…" or "s3://…" below [tables.archive]'
        )
    return policy.archive


def period_of(seen: View, bounds: Bounds) -> str:
    """The partition's period as a folder's name has it: as people write it where it is on a grid, else both edges."""
    interval = seen.calendar.aligned(bounds)
    if interval is not None and bounds.lower is not None:
        return label(interval, bounds, seen.calendar)
    edges = ("min" if e is None else f"{e:%Y%m%dT%H%M%S}" for e in (bounds.lower, bounds.upper))
    return "_".join(edges)


def folder_for(seen: View, bounds: Bounds, columns: frozenset[str]) -> str:
    """Where a partition of these bounds is archived, below the url; *columns* are the table's."""
    folder = folder_of(seen.calendar.aligned(bounds), period_of(seen, bounds), columns)
    return f"{table_folder(seen.table.name)}/{folder}"


def with_archives(plan: Plan) -> Plan:
    """The plan with each planned drop preceded by the archiving of what it drops, where an archive is configured."""
    if plan.view.policy.archive is None:
        return plan
    return replace(plan, actions=tuple(_archived_first(plan)))


def _archived_first(plan: Plan) -> Iterator[Action]:
    for action in plan.actions:
        if action.kind is ActionKind.DROP and action.status is Status.PLANNED:
            yield replace(action, kind=ActionKind.ARCHIVE, url=_url(plan.view, action.bounds))
        yield action


def _url(seen: View, bounds: Bounds) -> str:
    """Where it goes, unless a column of the table is called as the folder would be."""
    return f"{target_of(seen.policy).url}/{folder_for(seen, bounds, frozenset())}"


def plan_archive(table: PartitionedTable, policy: Policy, facts: Facts = NO_FACTS, *, target: str) -> Plan:
    """Copy what *target* names (several with a zero byte between them), whatever its age, and leave it where it is.

    Raises UsageError when it names nothing, ConfigError without an archive.
    """
    seen = view(table, policy)
    target_of(policy)
    chosen = dict[int, Partition | Orphan]()
    for one in target.split("\0"):
        partitions, orphans = meant(seen, one, beside=True)
        chosen |= {partition.oid: partition for partition in partitions}
        chosen |= {orphan.oid: orphan for orphan in orphans}
    actions: list[Action] = []
    for relation in chosen.values():
        bounds = relation.bounds or Bounds(lower=None, upper=None)
        attached = not isinstance(relation, Orphan)
        action = Action(
            kind=ActionKind.ARCHIVE,
            partition=relation.name,
            bounds=bounds,
            reason=Reason.COPY,
            oid=relation.oid,
            source=Source.ATTACHED if attached else Source.DETACHED,
            rows=facts.rows.get(relation.oid),
            url=_url(seen, bounds),
        )
        if not isinstance(relation, Orphan) and (relation.bounds is None or relation.kind is not RelationKind.TABLE):
            action = action.refused("only a plain table with bounds of time is archived")
        actions.append(action)
    return Plan(view=seen, actions=tuple(actions))


def plan_restore(
    table: PartitionedTable,
    policy: Policy,
    archives: Sequence[tuple[str, Manifest]],
    facts: Facts = NO_FACTS,
    *,
    target: str,
    into: TableRef | None = None,
) -> Plan:
    """Bring back what *target* names of *archives* (folder and manifest): as a partition, or *into* a table beside.

    Raises UsageError when it names none, or several for one table.
    """
    seen = view(table, policy)
    url = target_of(policy).url
    found = dict[str, Manifest]()
    for one in target.split("\0"):
        wanted = dict(_wanted(seen, archives, one))
        if not wanted:
            raise UsageError(f"{url} has no archive of {table.name} for {one}", hint="pgalmanac archives lists them")
        found |= wanted
    if into is not None and len(found) > 1:
        raise UsageError(f"these are {len(found)} archives, and --into one table", hint="restore them one by one")
    beside = None if into is None else TableName(schema=into.schema or table.name.schema, name=into.name)
    actions = [_restored(seen, facts, f"{url}/{folder}", manifest, beside) for folder, manifest in found.items()]
    return Plan(view=seen, actions=tuple(sorted(actions, key=lambda a: str(a.bounds.lower))))


def _wanted(seen: View, archives: Sequence[tuple[str, Manifest]], target: str) -> list[tuple[str, Manifest]]:
    named = [(f, m) for f, m in archives if names(target, m.name)]
    if named:
        return named
    if ".." not in target and written_interval(target) is None:
        return []
    wanted = parse_range(target, seen)
    whole = Bounds(lower=wanted[0].lower, upper=wanted[-1].upper)
    return [(f, m) for f, m in archives if inside(m.bounds, whole)]


def _restored(seen: View, facts: Facts, url: str, manifest: Manifest, beside: TableName | None) -> Action:
    action = Action(
        kind=ActionKind.RESTORE,
        partition=beside or manifest.name,
        bounds=manifest.bounds,
        reason=Reason.MANUAL,
        rows=manifest.rows,
        bytes=manifest.bytes,
        target=beside,
        url=url,
    )
    if action.partition in facts.taken:
        return action.refused(f"the name {action.partition} is taken; restore it beside with --into NAME")
    if beside is not None:
        return action
    taking = [p.name for p in seen.table.partitions if p.bounds is not None and p.bounds.overlaps(action.bounds)]
    if taking:
        return action.refused(
            f"its period is taken by {', '.join(map(str, taking))}; restore it beside with --into NAME"
        )
    return action
