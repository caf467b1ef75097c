"""(view, action) -> the script of its step. Pure: what a plan shows and what apply runs come from here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pgalmanac import ddl, ddl_create, ddl_trash
from pgalmanac.actions import GOING, Action, ActionKind, Reason, Source
from pgalmanac.ddl import Script, Statement
from pgalmanac.ddl_archive import held, release
from pgalmanac.ddl_structure import Structure
from pgalmanac.marks import UNPINNED, edges, marked, pinned
from pgalmanac.model import Mark, Orphan, Partition, PartitionedTable, Pin
from pgalmanac.table_names import TableName
from pgalmanac.view import View

__all__ = [
    "Needs",
    "comment_of",
    "detached",
    "detaches_concurrently",
    "marking",
    "needs",
    "new_pin",
    "pin_of",
    "script",
    "shown",
]


def detaches_concurrently(table: PartitionedTable) -> bool:
    """Whether DETACH CONCURRENTLY is possible and bounded.

    A default partition forbids it, and so does another pending detach (55000); with foreign keys its second half
    would lock the other table without a deadline.
    """
    return table.default is None and not table.pending and not table.referencing and not table.referenced


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The relations whose locks a step needs: nobody else may have one on those that are *taken*.

    Those that are *kept* still others may read and write meanwhile.
    """

    taken: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


def needs(view: View, action: Action) -> Needs:  # noqa: PLR0911  # a table of cases
    """The relations whose holders are to blame when a lock of this step is not to be had.

    Of a table that is attached a concurrent detach waits for whoever uses its parent, as the other one does.
    """
    table, oid = view.table, action.oid or 0
    default = () if table.scanned_default is None or table.default is None else (table.default.oid,)
    match action.kind:
        case ActionKind.CREATE | ActionKind.RESTORE:
            return Needs(taken=default, kept=(table.oid,))
        case ActionKind.MOVE_ROWS:
            return Needs(taken=(table.oid, *default))
        case ActionKind.FINALIZE if action.source is Source.PENDING:
            return Needs(taken=(oid,), kept=(table.oid,))
        case ActionKind.FINALIZE | ActionKind.PIN | ActionKind.UNPIN:
            return Needs(kept=(oid,))
        case ActionKind.ATTACH if action.replaces is not None:
            return Needs(taken=(table.oid, *default, action.replaces.oid, oid))
        case ActionKind.ATTACH:
            return Needs(taken=(*default, oid), kept=(table.oid,))
        case ActionKind.ARCHIVE if action.reason is Reason.COPY or action.source is not Source.ATTACHED:
            return Needs(taken=(oid,))
        case ActionKind.DROP if view.policy.archive is not None:  # it was detached to be archived
            return Needs(taken=(oid,))
        case ActionKind.DROP | ActionKind.TRASH | ActionKind.ARCHIVE:
            return _needs_to_go(table, action.source, oid, default)


def _needs_to_go(table: PartitionedTable, source: Source, oid: int, default: tuple[int, ...]) -> Needs:
    if source is Source.DETACHED:
        return Needs(taken=(oid,))
    return Needs(taken=(table.oid, *(default if source is Source.ATTACHED else ()), oid))


def _relation(view: View, action: Action) -> Partition | Orphan | None:
    """The table of an action in the snapshot, a partition or one that was."""
    known: tuple[Partition | Orphan, ...] = (*view.table.partitions, *view.table.orphans)
    return next((relation for relation in known if relation.oid == action.oid), None)


def comment_of(view: View, action: Action) -> str | None:
    """What the snapshot has written on the table of an action."""
    relation = _relation(view, action)
    return None if relation is None else relation.comment


def pin_of(view: View, action: Action) -> Pin | None:
    """The pin that the snapshot has of the table of an action."""
    relation = _relation(view, action)
    return None if relation is None else relation.pin


def new_pin(view: View, action: Action) -> Pin | None:
    """The pin that is to be written, where the table has not got it already."""
    return None if action.pin == pin_of(view, action) else action.pin


def mark_of(view: View, action: Action, run_id: str | None) -> Mark:
    """The mark to be written before the partition of *action* is detached."""
    trash = None if action.keep_until is None or action.target is None else action.target.schema
    begun = _relation(view, action) if action.reason is Reason.UNFINISHED else None
    if begun is not None and begun.mark is not None:
        return replace(begun.mark, keep_until=action.keep_until, trash=trash)
    lower, upper = edges(action.bounds)
    return Mark(
        system_id=view.table.system_id,
        parent_oid=view.table.oid,
        oid=action.oid or 0,
        lower=lower,
        upper=upper,
        run_id=run_id,
        manual=action.reason is Reason.MANUAL,
        home=action.partition.schema,
        keep_until=action.keep_until,
        at=None if action.keep_until is None else view.table.now,
        trash=trash,
    )


def marking(view: View, action: Action, run_id: str | None) -> Script:
    """The mark that lets a later run finish what this one begins."""
    return ddl.remark(action.partition, marked(mark_of(view, action, run_id)), comment_of(view, action))


def script(view: View, action: Action, structure: Structure | None, *, run_id: str | None = None) -> Script:  # noqa: PLR0911  # a table of cases
    """The transaction of this step. *structure* is needed to create; the concurrent detach has no transaction."""
    table = view.table
    match action.kind:
        case ActionKind.CREATE | ActionKind.MOVE_ROWS:
            if structure is None:
                msg = "creating needs the parent's structure"
                raise ValueError(msg)
            if action.kind is ActionKind.MOVE_ROWS and table.default is not None:
                move = ddl_create.move_rows if structure.published is None else ddl_create.move_rows_at_once
                return move(table, table.default.name, action.partition, action.bounds, structure)
            return ddl_create.create(table, action.partition, action.bounds, structure)
        case ActionKind.FINALIZE:
            if action.source is Source.ATTACHED:
                return ddl.clear_mark(action.partition, comment_of(view, action))
            return ddl.finalize(table, action.partition)
        case ActionKind.DROP | ActionKind.TRASH:
            return _going(view, action, run_id)
        case ActionKind.ARCHIVE:
            return _archiving(view, action, run_id)
        case ActionKind.RESTORE:
            return _restoring(view, action, structure)
        case ActionKind.ATTACH | ActionKind.PIN | ActionKind.UNPIN:
            return _by_hand(view, action)


def _archiving(view: View, action: Action, run_id: str | None) -> Script:
    """What is locked while it is archived; a mere copy locks nothing that anybody feels."""
    if action.reason is Reason.COPY:
        return Script()
    if action.source is not Source.ATTACHED:
        return Script(locks=(held(action.partition),))
    detach = _going(view, replace(action, kind=ActionKind.TRASH, target=action.partition), run_id)
    return replace(detach, work=(*detach.work, held(action.partition)))


def _restoring(view: View, action: Action, structure: Structure | None) -> Script:
    """What makes the partition; the table beside is made of what the archive says of its columns."""
    if action.target is not None or structure is None:
        return Script()
    return ddl_create.create(view.table, action.partition, action.bounds, structure)


def _going(view: View, action: Action, run_id: str | None) -> Script:
    if action.source is not Source.ATTACHED:
        return _unfinished(view, action, run_id)
    if action.kind is ActionKind.DROP:
        return ddl.detach_and_drop(view.table, action.partition)
    mark, comment = mark_of(view, action, run_id), comment_of(view, action)
    return ddl_trash.detach_into(view.table, action.partition, _target(action), mark, comment)


def _by_hand(view: View, action: Action) -> Script:
    """Undo and pins: what is written on the table changes, and nothing else or its place."""
    if action.kind is ActionKind.ATTACH:
        lacking = None if action.mend is None else action.mend.dress
        return ddl_trash.reattach(
            view.table,
            action.partition,
            _target(action),
            action.bounds,
            comment_of(view, action),
            pin=new_pin(view, action),
            lacking=lacking,
            replaces=None if action.replaces is None else action.replaces.name,
        )
    lines = UNPINNED if action.kind is ActionKind.UNPIN or action.pin is None else pinned(action.pin)
    return ddl.remark(action.partition, lines, comment_of(view, action))


def _target(action: Action) -> TableName:
    if action.target is None:
        msg = f"{action.kind} needs a name to give {action.partition}"
        raise ValueError(msg)
    return action.target


def _unfinished(view: View, action: Action, run_id: str | None) -> Script:
    """The end of a drop or trash whose table is detached, or half detached."""
    table, pending = view.table, action.source is Source.PENDING
    if action.kind is ActionKind.DROP:
        return ddl.drop_pending(table, action.partition) if pending else ddl.drop_detached(action.partition)
    mark, comment = mark_of(view, action, run_id), comment_of(view, action)
    if pending:
        return ddl_trash.finalize_into(table, action.partition, _target(action), mark, comment)
    return ddl_trash.move_into(action.partition, _target(action), mark, comment)


def detached(view: View, action: Action, source: Source, run_id: str | None) -> Script:
    """How a concurrent drop or trash goes on after its DETACH, which ended (detached) or was cut off (pending)."""
    return _unfinished(view, replace(action, source=source), run_id)


def shown(view: View, action: Action, structure: Structure | None) -> tuple[Statement, ...]:
    """Every statement of the step in order, as it would be run, for a plan to show."""
    statements: tuple[Statement, ...]
    if view.policy.archive is not None and action.kind is ActionKind.DROP:
        return release(view.table, action.partition, pending=action.source is Source.PENDING).all
    detaches = action.kind in GOING or (action.kind is ActionKind.ARCHIVE and action.reason is not Reason.COPY)
    if detaches and action.source is Source.ATTACHED and detaches_concurrently(view.table):
        statements = (
            *marking(view, action, None).work,
            ddl.detach_concurrently(view.table, action.partition),
            *(detached(view, action, Source.DETACHED, None).all if action.kind in GOING else (held(action.partition),)),
        )
    else:
        statements = script(view, action, structure).all
    if action.kind is ActionKind.TRASH:
        made = (ddl_trash.make_schema(_target(action).schema),) if action.makes_schema else ()
        return (*made, *statements, *_secured(view, action, _target(action)))
    if action.kind is ActionKind.ATTACH:
        mended = () if action.mend is None else ddl_trash.mended(action.partition, action.mend)
        return (*mended, *_secured(view, action, action.partition), *statements)
    return statements


def _secured(view: View, action: Action, name: TableName) -> tuple[Statement, Statement]:
    """The constraint that saves ATTACH the scan; where there is one already, less is done."""
    return (
        ddl_trash.add_bounds_check(view.table, name, action.bounds),
        ddl_trash.validate_bounds_check(name),
    )
