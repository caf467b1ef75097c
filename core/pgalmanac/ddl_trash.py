"""The statements of grace and undo: out of the parent into the trash, and back. Pure composition, as in ddl.

A row is at any moment in the parent or in the table on its way: DETACH, SET SCHEMA and ATTACH move no rows, and each
happens in one transaction with the comment that says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, LiteralString

from psycopg import sql

from pgalmanac import ddl
from pgalmanac.ddl import BOUNDS_CHECK, Script, Statement, qualified
from pgalmanac.ddl_structure import Structure, dress, replica_identity
from pgalmanac.marks import UNMARKED, marked, pinned
from pgalmanac.mend import Column, Mend
from pgalmanac.model import Bounds, Mark, PartitionedTable, Pin
from pgalmanac.table_names import TableName

__all__ = [
    "add_bounds_check",
    "detach_into",
    "finalize_into",
    "make_schema",
    "mended",
    "move_into",
    "reattach",
    "rename_check",
    "validate_bounds_check",
]

_NOBODY: Final = "none that others feel"


def make_schema(name: str) -> Statement:
    """The trash; nobody but its owner can look into it until somebody is granted that."""
    return Statement(sql=sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)), lock=_NOBODY)


def detach_into(
    parent: PartitionedTable, name: TableName, target: TableName, mark: Mark, comment: str | None
) -> Script:
    """DETACH, move and mark in one transaction, where the concurrent way is forbidden."""
    detached = ddl.detach(parent, name)
    marking = ddl.comment_on(target, marked(_arrived(mark)), comment, until_then=name)
    return replace(detached, work=(*detached.work, *_moved(name, target), marking))


def move_into(name: TableName, target: TableName, mark: Mark, comment: str | None) -> Script:
    """Move a table that is a partition no more, and mark it as arrived."""
    return Script(
        prepare=(ddl.keep_still([name]),),
        locks=(ddl.lock_tables([name], "ACCESS EXCLUSIVE"),),
        work=_arriving(name, target, mark, comment),
    )


def finalize_into(
    parent: PartitionedTable, name: TableName, target: TableName, mark: Mark, comment: str | None
) -> Script:
    """End a detach that was cut off; then as move_into. FINALIZE waits for older snapshots; no writer waits for it."""
    return Script(
        prepare=(ddl.keep_still([parent.name, name]),),
        locks=(ddl.lock_tables([name], "ACCESS EXCLUSIVE"),),
        work=(*ddl.finalize(parent, name).work, *_arriving(name, target, mark, comment)),
    )


def _arriving(name: TableName, target: TableName, mark: Mark, comment: str | None) -> tuple[Statement, ...]:
    """The move, and the mark that says it was made; what goes to an archive stays where it is, marked as it was."""
    if mark.keep_until is None:
        return ()
    return (*_moved(name, target), ddl.comment_on(target, marked(_arrived(mark)), comment, until_then=name))


def _arrived(mark: Mark) -> Mark:
    """The mark of a table that is where it is to be kept, if it is to be kept."""
    return replace(mark, arrived=mark.keep_until is not None)


def _moved(name: TableName, target: TableName) -> tuple[Statement, ...]:
    if name.schema == target.schema:
        return ()
    return (
        Statement(
            sql=sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(qualified(name), sql.Identifier(target.schema)),
            lock=f"ACCESS EXCLUSIVE on {name}",
        ),
    )


def add_bounds_check(parent: PartitionedTable, name: TableName, bounds: Bounds) -> Statement:
    """The constraint from which ATTACH knows without a scan that every row belongs; not looked at yet."""
    return _alter(
        name,
        sql.SQL("ADD CONSTRAINT {} CHECK ({}) NOT VALID").format(
            sql.Identifier(BOUNDS_CHECK), ddl.in_bounds(parent, bounds)
        ),
    )


def validate_bounds_check(name: TableName) -> Statement:
    """Scan the table once, while nobody waits for it."""
    return _alter(name, sql.SQL("VALIDATE CONSTRAINT {}").format(sql.Identifier(BOUNDS_CHECK)))


def rename_check(name: TableName, old: str) -> tuple[Statement, Statement]:
    """Take the check that DETACH CONCURRENTLY left behind, which is as good and needs no scan, for our own."""
    return (
        _drop_bounds_check(name),
        _alter(name, sql.SQL("RENAME CONSTRAINT {} TO {}").format(sql.Identifier(old), sql.Identifier(BOUNDS_CHECK))),
    )


def _drop_bounds_check(name: TableName) -> Statement:
    return _alter(name, sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(BOUNDS_CHECK)))


def reattach(
    parent: PartitionedTable,
    name: TableName,
    target: TableName,
    bounds: Bounds,
    comment: str | None,
    *,
    pin: Pin | None = None,
    lacking: Structure | None = None,
    replaces: TableName | None = None,
) -> Script:
    """Move home and ATTACH under the locks that creating takes, in one transaction.

    In it the table is given what it is *lacking*: nobody sees it as a partition that is open to others than its like,
    and a new owner needs no right to the schema of the trash. The empty partition that it *replaces* goes in it too,
    under the locks of a drop, by which it is known to be empty still. That the whole table waits then, and not only who
    wants to the default partition, is why this is to be *bounded* work where there is one.
    *pin* is one that the table has not yet.
    """
    lines = UNMARKED if pin is None else {**UNMARKED, **pinned(pin)}
    locks = [ddl.lock_tables([name], "ACCESS EXCLUSIVE")]
    going = Script() if replaces is None else ddl.detach_and_drop(parent, replaces)
    if replaces is not None:
        locks += [*going.locks, _empty(replaces)]
    elif parent.scanned_default is not None:
        # The parent first: a session that plans a query on it locks the default partition after it.
        locks.append(ddl.lock_tables([parent.name], "SHARE UPDATE EXCLUSIVE"))
        locks.append(ddl.lock_tables([parent.scanned_default], "ACCESS EXCLUSIVE"))
    return Script(
        prepare=(*going.prepare, ddl.keep_still([name])),
        locks=(*locks, *ddl.foreign_key_locks(parent)),
        work=(
            *going.work,
            *_moved(name, target),
            *(() if lacking is None else dress(target, lacking)),
            ddl.attach_partition(parent, target, bounds),
            *(() if lacking is None else replica_identity(target, lacking)),
            _drop_bounds_check(target),
            ddl.comment_on(target, lines, comment, until_then=name),
        ),
    )


def _empty(name: TableName) -> Statement:
    """Fails unless the table, which is locked, has no row. It stands among the locks, whose deadline it shares.

    The session's row_security is off, so that a policy which would hide rows is an error.
    """
    body = sql.SQL(
        "BEGIN IF EXISTS (SELECT FROM ONLY {}) THEN "
        "RAISE object_not_in_prerequisite_state USING MESSAGE = {}; END IF; END"
    ).format(qualified(name), sql.Literal(f"{name}, which stands in its place, has rows by now"))
    return Statement(sql=sql.SQL("DO {}").format(sql.Literal(body.as_string(None))), lock=_NOBODY)


def mended(name: TableName, mend: Mend) -> tuple[Statement, ...]:
    """Bring the table up to its parent's structure, each statement in a transaction of its own.

    What is cut off in between is found missing again by the next attempt.
    """
    target = qualified(name)
    statements = [_alter(name, _column(c)) for c in mend.columns]
    statements += [
        _alter(name, sql.SQL("ALTER COLUMN {} SET NOT NULL").format(sql.Identifier(c))) for c in mend.not_null
    ]
    for constraint, definition in mend.constraints:
        named = sql.SQL("") if constraint is None else sql.SQL("CONSTRAINT {} ").format(sql.Identifier(constraint))
        # A foreign key is looked at in a second transaction: adding it locks the other table against writers.
        later = constraint is not None and definition.startswith("FOREIGN KEY") and "NOT VALID" not in definition
        text = definition + " NOT VALID" * later
        statements.append(_alter(name, sql.SQL("ADD {}{}").format(named, ddl.verbatim(text))))
        if later:
            statements.append(_alter(name, sql.SQL("VALIDATE CONSTRAINT {}").format(sql.Identifier(constraint or ""))))
    statements += [
        Statement(
            sql=sql.SQL("CREATE {}INDEX ON {} USING {}").format(
                sql.SQL("UNIQUE " if index.unique else ""), target, ddl.verbatim(index.definition)
            ),
            lock=_NOBODY,
        )
        for index in mend.indexes
    ]
    return tuple(statements)


def _column(column: Column) -> sql.Composed:
    parts: list[sql.Composable] = [
        sql.SQL("ADD COLUMN {} ").format(sql.Identifier(column.name)),
        ddl.verbatim(column.type),
    ]
    if column.collation is not None:
        parts += [sql.SQL(" COLLATE "), ddl.verbatim(column.collation)]
    if column.generated is not None:
        kind: LiteralString = "VIRTUAL" if column.virtual else "STORED"
        parts += [sql.SQL(" GENERATED ALWAYS AS ("), ddl.verbatim(column.generated), sql.SQL(f") {kind}")]
    elif column.default is not None:
        parts += [sql.SQL(" DEFAULT "), ddl.verbatim(column.default)]
    if column.not_null:
        parts.append(sql.SQL(" NOT NULL"))
    return sql.Composed(parts)


def _alter(name: TableName, what: sql.Composable) -> Statement:
    return Statement(sql=sql.SQL("ALTER TABLE {} {}").format(qualified(name), what), lock=_NOBODY)
