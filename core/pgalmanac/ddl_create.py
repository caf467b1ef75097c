"""The statements that make a partition, empty or with the rows that wait for it in the default partition.

Pure composition, as in ddl.
"""

from __future__ import annotations

from typing import Final

from psycopg import sql

from pgalmanac.ddl import (
    BOUNDS_CHECK,
    Script,
    Statement,
    attach_partition,
    foreign_key_locks,
    in_bounds,
    lock_tables,
    qualified,
)
from pgalmanac.ddl_structure import Structure, dress, like, replica_identity
from pgalmanac.model import Bounds, PartitionedTable
from pgalmanac.table_names import TableName

__all__ = ["create", "move_rows", "move_rows_at_once"]


def create(parent: PartitionedTable, name: TableName, bounds: Bounds, structure: Structure) -> Script:
    """LIKE and ATTACH: unlike PARTITION OF, which takes ACCESS EXCLUSIVE on the parent, writers do not wait for it."""
    locks: list[Statement] = []
    if parent.scanned_default is not None:
        # The parent first: a session that plans a query on it locks the default partition after it.
        locks.append(lock_tables([parent.name], "SHARE UPDATE EXCLUSIVE"))
        locks.append(lock_tables([parent.scanned_default], "ACCESS EXCLUSIVE"))
    locks.extend(foreign_key_locks(parent))
    return Script(
        prepare=(like(parent, name, structure), *dress(name, structure)),
        locks=tuple(locks),
        work=(attach_partition(parent, name, bounds), *replica_identity(name, structure)),
    )


def move_rows(
    parent: PartitionedTable, default: TableName, name: TableName, bounds: Bounds, structure: Structure
) -> Script:
    """Create a partition whose rows lie in the default partition, with no moment in which one of them is invisible.

    The locks on parent and default are ACCESS EXCLUSIVE: a reader that planned before the move would otherwise look
    for the rows where they no longer are, and a writer be routed to a default partition that refuses its row.
    """
    move = _move(parent, default, name, bounds, structure)
    return Script(
        prepare=(
            like(parent, name, structure),
            *dress(name, structure),
            Statement(
                sql=sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({})").format(
                    qualified(name), sql.Identifier(BOUNDS_CHECK), in_bounds(parent, bounds)
                ),
                lock="none that others feel",
            ),
            move,
        ),
        locks=(
            lock_tables([parent.name, default], "ACCESS EXCLUSIVE"),
            *foreign_key_locks(parent),
        ),
        work=(
            move,
            attach_partition(parent, name, bounds),
            Statement(
                sql=sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(qualified(name), sql.Identifier(BOUNDS_CHECK)),
                lock="none that others feel",
            ),
            *replica_identity(name, structure),
        ),
    )


def move_rows_at_once(
    parent: PartitionedTable, default: TableName, name: TableName, bounds: Bounds, structure: Structure
) -> Script:
    """The same with every row moved while the locks are held: it must be short, and meets nobody who changes a row.

    Where the table is published the rows go back in after ATTACH. A subscriber is told of the delete from the default
    partition, and would not be told of inserts into a table that is no partition yet: it would lose the rows.
    """
    if structure.published is None:
        whole = move_rows(parent, default, name, bounds, structure)
        return Script(prepare=whole.prepare[:-1], locks=whole.locks, work=whole.work)
    columns = sql.SQL(", ").join(map(sql.Identifier, structure.columns))
    staged = Statement(
        sql=sql.SQL(
            "WITH moved AS (DELETE FROM ONLY {default} WHERE {range} RETURNING {columns}), "
            "staged AS (INSERT INTO {staging} ({columns}) SELECT {columns} FROM moved) SELECT"
        ).format(default=qualified(default), range=in_bounds(parent, bounds), columns=columns, staging=_STAGING),
        lock=f"ROW EXCLUSIVE on {default}",
        moves=True,
    )
    back = Statement(
        sql=sql.SQL("INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {}").format(
            qualified(name), _STAGING, columns=columns
        ),
        lock=f"ROW EXCLUSIVE on {name}",
        moves=True,
    )
    return Script(
        prepare=(
            like(parent, name, structure),
            *dress(name, structure),
            Statement(
                sql=sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM ONLY {} WITH NO DATA").format(
                    sql.Identifier("pgalmanac_moving"), columns, qualified(parent.name)
                ),
                lock=f"ACCESS SHARE on {parent.name}",
            ),
        ),
        locks=(lock_tables([parent.name, default], "ACCESS EXCLUSIVE"), *foreign_key_locks(parent)),
        work=(staged, attach_partition(parent, name, bounds), back, *replica_identity(name, structure)),
    )


_STAGING: Final = sql.Identifier("pg_temp", "pgalmanac_moving")


def _move(
    parent: PartitionedTable, default: TableName, name: TableName, bounds: Bounds, structure: Structure
) -> Statement:
    """Generated columns are left out: they are computed anew. The new table has no identity to override."""
    columns = sql.SQL(", ").join(map(sql.Identifier, structure.columns))
    return Statement(
        sql=sql.SQL(
            "WITH moved AS (DELETE FROM ONLY {default} WHERE {range} RETURNING {columns}) "
            "INSERT INTO {name} ({columns}) SELECT {columns} FROM moved"
        ).format(default=qualified(default), range=in_bounds(parent, bounds), columns=columns, name=qualified(name)),
        lock=f"ROW EXCLUSIVE on {default}",
        moves=True,
    )
