"""Snapshots made by hand for tests of pure code: no server, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pgalmanac.actions import Action, ActionKind, Reason, Source, Status
from pgalmanac.model import Bounds, KeyType, Mark, Orphan, Partition, PartitionedTable, PartitionKey
from pgalmanac.periods import Calendar
from pgalmanac.plan import Plan
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableName

__all__ = ["NOW", "TODAY", "applied", "at", "calendar", "day", "events", "mark", "partition"]

NOW = datetime(2025, 11, 2, 14, 30, tzinfo=UTC)
TODAY = NOW.date()
PARENT_OID = 1
SYSTEM_ID = "7000000000000000000"


def at(text: str) -> datetime:
    """A key time from ISO text without an offset."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day(offset: int, width: int = 1) -> Bounds:
    """The bounds of *width* days that begin *offset* days from TODAY, on a wall clock."""
    lower = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC) + timedelta(days=offset)
    return Bounds(lower=lower, upper=lower + timedelta(days=width))


def calendar(policy: Policy, key: KeyType = KeyType.TIMESTAMP) -> Calendar:
    """The calendar that a table of this key has under the policy."""
    return Calendar(zone=policy.timezone, key=key)


def partition(bounds: Bounds | None, *, oid: int, name: str | None = None, **changes: object) -> Partition:
    """A partition; its name is events_ and its lower bound unless given."""
    if name is None:
        lower = bounds.lower if bounds is not None else None
        name = f"events_{lower:%Y_%m_%d}" if lower is not None else f"events_{oid}"
    made = Partition(oid=oid, name=TableName(schema="public", name=name), bounds=bounds)
    for key, value in changes.items():
        object.__setattr__(made, key, value)
    return made


def mark(bounds: Bounds, *, oid: int, manual: bool = False) -> Mark:
    """The mark that a run left on a partition it was about to detach."""
    lower, upper = (None if m is None else m.isoformat() for m in (bounds.lower, bounds.upper))
    return Mark(
        system_id=SYSTEM_ID,
        parent_oid=PARENT_OID,
        oid=oid,
        lower=lower,
        upper=upper,
        run_id="7",
        manual=manual,
        home="public",
    )


def events(
    bounds: Iterable[Bounds | Partition],
    *,
    key: KeyType = KeyType.TIMESTAMP,
    now: datetime = NOW,
    default: bool = False,
    orphans: tuple[Orphan, ...] = (),
    name: str = "events",
) -> PartitionedTable:
    """The table public.events with these partitions."""
    made = [b if isinstance(b, Partition) else partition(b, oid=100 + i) for i, b in enumerate(bounds)]
    lowest = datetime.min.replace(tzinfo=UTC)
    made.sort(key=lambda p: (p.bounds.lower if p.bounds is not None else None) or lowest)
    return PartitionedTable(
        oid=PARENT_OID,
        name=TableName(schema="public", name=name),
        owner="owner",
        key=PartitionKey(column="timestamp", type=key),
        now=now,
        system_id=SYSTEM_ID,
        partitions=tuple(made),
        default=partition(None, oid=2, name="events_default", is_default=True) if default else None,
        orphans=orphans,
    )


def applied(plan: Plan) -> PartitionedTable:
    """The snapshot that the plan would produce if every planned action were done."""
    table = plan.table
    kept = {p.oid: p for p in table.partitions}
    orphans = {o.oid: o for o in table.orphans}
    fresh = max([0, *kept, *orphans]) + 1000
    for action in plan.actions:
        if action.status is Status.PLANNED:
            fresh = _apply(action, kept, orphans, fresh)
    made = events(kept.values(), key=table.key.type, now=table.now, name=table.name.name)
    object.__setattr__(made, "orphans", tuple(orphans.values()))
    object.__setattr__(made, "default", table.default)
    return made


def _apply(action: Action, kept: dict[int, Partition], orphans: dict[int, Orphan], fresh: int) -> int:
    oid = action.oid or 0
    match action.kind:
        case ActionKind.CREATE | ActionKind.MOVE_ROWS:
            kept[fresh] = Partition(oid=fresh, name=action.partition, bounds=action.bounds)
            return fresh + 1
        case ActionKind.DROP:
            (orphans if action.source is Source.DETACHED else kept).pop(oid)
        case ActionKind.TRASH:
            orphans[oid] = _trashed(action, kept.pop(oid, None), orphans.get(oid))
        case ActionKind.ATTACH if action.target is not None:
            orphan = orphans.pop(oid)
            kept[oid] = Partition(oid=oid, name=action.target, bounds=orphan.bounds, pin=action.pin)
        case ActionKind.PIN | ActionKind.UNPIN:
            pin = action.pin if action.kind is ActionKind.PIN else None
            object.__setattr__(kept.get(oid) or orphans[oid], "pin", pin)
        case ActionKind.FINALIZE if action.source is Source.PENDING:
            kept.pop(oid)
        case ActionKind.FINALIZE:
            object.__setattr__(kept[oid], "mark", None)
        case _:
            raise AssertionError(action)
    return fresh


def _trashed(action: Action, partition: Partition | None, orphan: Orphan | None) -> Orphan:
    """The table in the trash; an action that ends an earlier run's keeps of that run's mark what is not its own."""
    was = partition or orphan
    assert was is not None
    assert action.target is not None
    made = was.mark if action.reason is Reason.UNFINISHED else None
    if made is None:
        made = replace(mark(action.bounds, oid=was.oid, manual=action.reason is Reason.MANUAL), home=was.name.schema)
    made = replace(made, keep_until=action.keep_until, trash=action.target.schema, arrived=True)
    return Orphan(oid=was.oid, name=action.target, bounds=action.bounds, mark=made, pin=was.pin)
