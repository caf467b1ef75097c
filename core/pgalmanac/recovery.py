"""Undo and pins -> Plan. Pure, as plan.py is: what was dropped and is still there, and what nobody may drop."""

from __future__ import annotations

from dataclasses import replace

from pgalmanac.actions import NO_FACTS, Action, ActionKind, Facts, Reason, Source
from pgalmanac.dropping import gone
from pgalmanac.errors import UsageError
from pgalmanac.model import Bounds, Orphan, Partition, PartitionedTable, Pin, RelationKind
from pgalmanac.plan import Plan
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableName
from pgalmanac.targets import meant, names, orphans_in
from pgalmanac.view import View, view

__all__ = ["plan_pin", "plan_undrop", "plan_unpin", "way_back", "way_out"]


def way_back(seen: View, name: TableName) -> str:
    """What brings the rows of a detached table back at once, as a part of a sentence."""
    invocation = replace(seen.policy.invocation, how=())  # undrop has none of these options
    return f"{invocation.line('undrop', name.name, [('--table', str(seen.table.name))])} attaches it again"


def way_out(seen: View, name: TableName) -> str:
    """What drops a detached table that nothing drops by itself, as a part of a sentence.

    With its schema: a partition may have its name by now.
    """
    invocation = replace(seen.policy.invocation, how=())
    return (
        f"{invocation.line('drop', str(name), [('--table', str(seen.table.name)), ('--now', None)])} drops it for good"
    )


def plan_undrop(table: PartitionedTable, policy: Policy, facts: Facts = NO_FACTS, *, target: str, by: str = "") -> Plan:
    """Attach again what *target* names of the tables that were dropped and are still there.

    What today's retention would take again is pinned, in the name of *by*. Raises UsageError when it names none.
    """
    seen = view(table, policy)
    orphans = [o for o in seen.table.orphans if names(target, o.name)] or orphans_in(seen, target)
    if not orphans:
        if any(names(target, p.name) for p in table.partitions):
            raise UsageError(f"{target} is a partition of {table.name}; it was not dropped", hint="pgalmanac status")
        if table.estranged:
            raise UsageError(
                f"{table.estranged[0]} was dropped before this server got another system identifier",
                hint="docs/recovery.md says how its mark is renewed; then undrop finds it",
            )
        raise UsageError(
            f"nothing that was dropped for {target} from {table.name} is still there", hint="pgalmanac trash lists it"
        )
    actions: list[Action] = []
    for orphan in orphans:
        action = replace(
            gone(orphan, Reason.MANUAL, facts),
            kind=ActionKind.ATTACH,
            target=_place(seen, orphan, facts),
            pin=_kept_by_pin(seen, orphan, by),
            mend=facts.mends.get(orphan.oid),
        )
        action = replace(action, replaces=_replaced(seen, action, facts))
        why = _why_not_attached(seen, action, facts)
        actions.append(action if why is None else action.refused(f"{why}; its rows: SELECT * FROM {orphan.name}"))
    return Plan(view=seen, actions=tuple(actions))


def _place(seen: View, orphan: Orphan, facts: Facts) -> TableName:
    """Where it stood; beside its parent where that schema was renamed or dropped since."""
    home = orphan.home
    return replace(home, schema=seen.table.name.schema) if home.schema in facts.schemas_gone else home


def _taking(seen: View, action: Action) -> list[Partition]:
    """The partitions that stand where the table wants to."""
    return [p for p in seen.table.partitions if p.bounds is not None and p.bounds.overlaps(action.bounds)]


def _replaced(seen: View, action: Action, facts: Facts) -> Partition | None:
    """The partition of the same bounds that holds nothing, as maintain makes one where a day was dropped by hand."""
    match _taking(seen, action):
        case [one] if one.oid in facts.empties and one.bounds == action.bounds and not seen.pinned(one.pin):
            return None if one.detach_pending else one
        case _:
            return None


def _why_not_attached(seen: View, action: Action, facts: Facts) -> str | None:
    """Why a detached table cannot be a partition again, or None."""
    replaced = None if action.replaces is None else action.replaces.name
    taking = [p.name for p in _taking(seen, action) if p.name != replaced]
    if taking:
        listed = ", ".join(map(str, taking))
        remedy = f"if it holds nothing you need: pgalmanac drop {taking[0].name} --now"
        return f"its period is taken by {listed} ({remedy})"
    if action.target not in {None, action.partition, replaced} and action.target in facts.taken:
        return f"the name {action.target} is taken by another relation; rename or drop that one"
    if action.mend is not None and action.mend.refusal is not None:
        return action.mend.refusal
    strays = facts.strays.get(action.bounds.lower, 0) if action.bounds.lower is not None else 0
    if strays and seen.table.default is not None:
        noun = "row" if strays == 1 else "rows"
        return f"{seen.table.default.name} has {strays} {noun} of its period; move or delete them first"
    return None


def _kept_by_pin(seen: View, orphan: Orphan, by: str) -> Pin | None:
    """The pin that an undropped partition gets: its own, or one that keeps the next night from taking it again."""
    if seen.pinned(orphan.pin) or not (seen.policy.may_drop and seen.expired(orphan.bounds)):
        return orphan.pin
    return Pin(reason=f"undropped {seen.today}", by=by, at=seen.table.now)


def plan_pin(table: PartitionedTable, policy: Policy, *, target: str, pin: Pin) -> Plan:
    """Pin what *target* names (a period, `FIRST..LAST` or a name), attached or dropped and still there.

    Raises UsageError when it names nothing, and for a pin that would hold on no day.
    """
    seen = view(table, policy)
    if not pin.holds(seen.today):
        raise UsageError(f"a pin until {pin.until} would hold on no day", hint=f"today is {seen.today}")
    found: list[Partition | Orphan] = [p for some in meant(seen, target, beside=True) for p in some]
    return Plan(view=seen, actions=tuple(_words(ActionKind.PIN, p, pin) for p in found))


def plan_unpin(table: PartitionedTable, policy: Policy, *, target: str) -> Plan:
    """Take the pins off what *target* names; what has none needs no action. Raises UsageError when it names nothing."""
    seen = view(table, policy)
    found: list[Partition | Orphan] = [p for some in meant(seen, target, beside=True) for p in some]
    pinned = [p for p in found if p.pin is not None]
    return Plan(view=seen, actions=tuple(_words(ActionKind.UNPIN, p, p.pin) for p in pinned))


def _words(kind: ActionKind, of: Partition | Orphan, pin: Pin | None) -> Action:
    action = Action(
        kind=kind,
        partition=of.name,
        bounds=of.bounds or Bounds(lower=None, upper=None),
        reason=Reason.MANUAL,
        oid=of.oid,
        source=Source.DETACHED if isinstance(of, Orphan) else Source.ATTACHED,
        pin=pin,
    )
    if isinstance(of, Partition) and of.kind is RelationKind.FOREIGN:
        return action.refused("it is a foreign table, which is never dropped")
    return action
