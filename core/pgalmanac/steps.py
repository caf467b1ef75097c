"""(view, action) -> the script of its step. Pure: what a plan shows and what apply runs come from here."""

from __future__ import annotations

from pgalmanac import ddl
from pgalmanac.ddl import Script, Statement, Structure
from pgalmanac.marks import edges
from pgalmanac.model import Mark, Partition, PartitionedTable
from pgalmanac.plan import Action, ActionKind, Reason, Source, View

__all__ = ["detaches_concurrently", "mark_of", "partition_of", "script", "shown"]


def detaches_concurrently(table: PartitionedTable) -> bool:
    """Whether DETACH CONCURRENTLY is possible and bounded.

    A default partition forbids it, and so does another pending detach (55000); with foreign keys its second half
    would lock the other table without a deadline.
    """
    return table.default is None and not table.pending and not table.referencing and not table.referenced


def partition_of(view: View, action: Action) -> Partition:
    """The partition that an action of finalize or drop is about. Raises LookupError when the snapshot has none."""
    for partition in view.table.partitions:
        if partition.oid == action.oid:
            return partition
    msg = f"{action.partition} is not in the snapshot"
    raise LookupError(msg)


def mark_of(view: View, action: Action, run_id: str | None) -> Mark:
    """The mark to be written before the partition of *action* is detached."""
    lower, upper = edges(action.bounds)
    return Mark(
        system_id=view.table.system_id,
        parent_oid=view.table.oid,
        oid=action.oid or 0,
        lower=lower,
        upper=upper,
        run_id=run_id,
        manual=action.reason is Reason.MANUAL,
    )


def script(view: View, action: Action, structure: Structure | None) -> Script:  # noqa: PLR0911  # a table of cases
    """The transaction of this step. *structure* is needed to create; the concurrent detach has no transaction."""
    table = view.table
    match action.kind:
        case ActionKind.CREATE | ActionKind.MOVE_ROWS:
            if structure is None:
                msg = "creating needs the parent's structure"
                raise ValueError(msg)
            if action.kind is ActionKind.MOVE_ROWS and table.default is not None:
                move = ddl.move_rows if structure.published is None else ddl.move_rows_at_once
                return move(table, table.default.name, action.partition, action.bounds, structure)
            return ddl.create(table, action.partition, action.bounds, structure)
        case ActionKind.FINALIZE:
            if action.source is Source.ATTACHED:
                return ddl.clear_mark(partition_of(view, action))
            return ddl.finalize(table, action.partition)
        case ActionKind.DROP:
            if action.source is Source.DETACHED:
                return ddl.drop_detached(action.partition)
            if action.source is Source.PENDING:
                return ddl.drop_pending(table, action.partition)
            return ddl.detach_and_drop(table, action.partition)


def shown(view: View, action: Action, structure: Structure | None) -> tuple[Statement, ...]:
    """Every statement of the step in order, as it would be run, for a plan to show."""
    if action.kind is ActionKind.DROP and action.source is Source.ATTACHED and detaches_concurrently(view.table):
        partition = partition_of(view, action)
        return (
            ddl.set_mark(partition, mark_of(view, action, None)),
            ddl.detach_concurrently(view.table, action.partition),
            *ddl.drop_detached(action.partition).all,
        )
    return script(view, action, structure).all
