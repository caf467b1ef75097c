"""Actions -> statements, and the lock each one takes. Pure composition: nothing here is executed.

A `Script` has three parts. *prepare* makes no writer wait. *locks* are taken one after the other within one deadline,
parent before default partition, as readers and writers do, or it deadlocks. *work* runs while they are held. Locks,
work and COMMIT are one message to the server.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, LiteralString

from psycopg import sql

from pgalmanac.marks import UNMARKED, Lines, rewritten
from pgalmanac.model import Bounds, KeyType, PartitionedTable
from pgalmanac.table_names import TableName

__all__ = [
    "BOUNDS_CHECK",
    "Remark",
    "Script",
    "Statement",
    "attach_partition",
    "clear_mark",
    "comment_on",
    "detach",
    "detach_and_drop",
    "detach_concurrently",
    "drop_detached",
    "finalize",
    "foreign_key_locks",
    "in_bounds",
    "keep_still",
    "key_literal",
    "lock_tables",
    "qualified",
    "remark",
    "verbatim",
    "with_parameters",
]

_TYPES: Final[dict[KeyType, LiteralString]] = {
    KeyType.DATE: "date",
    KeyType.TIMESTAMP: "timestamp",
    KeyType.TIMESTAMPTZ: "timestamptz",
}
# The constraint that a partition under construction has until ATTACH knows its bounds.
BOUNDS_CHECK: Final = "pgalmanac_bounds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What a comment is to say besides what people wrote there, also since the plan: *lines*, as marks.rewritten.

    The rest is read of *until_then*, the table's name before the transaction, once *prepare* has locked it.
    """

    name: TableName
    until_then: TableName
    lines: Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement and, in words, the locks that other sessions feel."""

    sql: sql.Composed
    lock: str
    # A move of rows: a DELETE that means no deletion.
    moves: bool = False
    remark: Remark | None = None

    @property
    def quiet(self) -> Statement:
        """The same move with the triggers of both tables kept from firing, and only for as long as it takes."""
        silenced = sql.SQL(
            "SET LOCAL session_replication_role = replica; {}; SET LOCAL session_replication_role = origin"
        ).format(self.sql)
        return Statement(sql=silenced, lock=self.lock, moves=True) if self.moves else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The statements of one step, in the three parts that the module's docstring tells."""

    prepare: tuple[Statement, ...] = ()
    locks: tuple[Statement, ...] = ()
    work: tuple[Statement, ...] = ()

    @property
    def all(self) -> tuple[Statement, ...]:
        """Every statement in order, as a plan shows them."""
        return (*self.prepare, *self.locks, *self.work)

    @property
    def remark(self) -> Remark | None:
        """What is to be written into a comment, if anything."""
        return next((s.remark for s in self.work if s.remark is not None), None)

    def commented(self, comment: str | None) -> Script:
        """The same script with its remark written into *comment*."""
        work = (s if s.remark is None else comment_on(s.remark.name, s.remark.lines, comment) for s in self.work)
        return replace(self, work=tuple(work))

    @property
    def quiet(self) -> Script:
        """The same script with the triggers kept quiet while rows move; event triggers still see all the DDL."""
        return Script(
            prepare=tuple(s.quiet for s in self.prepare), locks=self.locks, work=tuple(s.quiet for s in self.work)
        )


def qualified(name: TableName) -> sql.Identifier:
    """The qualified name, quoted."""
    return sql.Identifier(name.schema, name.name)


def key_literal(key: KeyType, moment: datetime) -> sql.Composed:
    """A key time as a typed literal that means the same in every TimeZone and DateStyle."""
    return sql.SQL("{}::pg_catalog.{}").format(_written(key, moment), sql.SQL(_TYPES[key]))


def _written(key: KeyType, moment: datetime) -> sql.Literal:
    """The text of a key time, with an offset for timestamptz: years have four digits in isoformat."""
    wall = moment.replace(tzinfo=None)
    if key is KeyType.DATE:
        return sql.Literal(wall.date().isoformat())
    return sql.Literal(wall.isoformat(sep=" ") + ("+00" if key is KeyType.TIMESTAMPTZ else ""))


def _bound(key: KeyType, moment: datetime | None, unbounded: LiteralString) -> sql.Composable:
    """A partition bound, untyped: the server reads it as the key's type."""
    return sql.SQL(unbounded) if moment is None else _written(key, moment)


def in_bounds(parent: PartitionedTable, bounds: Bounds) -> sql.Composed:
    """The condition that a row's key lies in the bounds; the server's own operators, whatever the search path."""
    column = sql.Identifier(parent.key.column)
    parts = [sql.SQL("{} IS NOT NULL").format(column)]
    if bounds.lower is not None:
        parts.append(
            sql.SQL("{} OPERATOR(pg_catalog.>=) {}").format(column, key_literal(parent.key.type, bounds.lower))
        )
    if bounds.upper is not None:
        parts.append(sql.SQL("{} OPERATOR(pg_catalog.<) {}").format(column, key_literal(parent.key.type, bounds.upper)))
    return sql.SQL(" AND ").join(parts)


def lock_tables(names: list[TableName], mode: LiteralString) -> Statement:
    """One statement takes all its locks within one statement_timeout; ONLY, so that partitions are left alone."""
    listed = sql.SQL(", ").join(sql.SQL("ONLY {}").format(qualified(n)) for n in names)
    return Statement(
        sql=sql.SQL("LOCK TABLE {} IN {} MODE").format(listed, sql.SQL(mode)),
        lock=f"{mode} on {', '.join(map(str, names))}",
    )


def foreign_key_locks(parent: PartitionedTable) -> list[Statement]:
    """ATTACH locks both ends of foreign keys: taken beforehand where the role may, so that one deadline holds."""
    names = [n for n in sorted({*parent.referencing, *parent.referenced}) if n in parent.lockable]
    return [lock_tables(names, "SHARE ROW EXCLUSIVE")] if names else []


def with_parameters(name: TableName) -> sql.SQL:
    """As qualified, for a statement that has parameters: in one the driver reads % as the beginning of one."""
    return verbatim(qualified(name).as_string(None).replace("%", "%%"))


def verbatim(expression: str) -> sql.SQL:
    """SQL as the server itself prints it, to go back as it came."""
    return sql.SQL(expression)  # pyright: ignore[reportArgumentType]  # SQL that the server printed from its own catalog


def attach_partition(parent: PartitionedTable, name: TableName, bounds: Bounds) -> Statement:
    """ATTACH, which scans the table unless a check says that its rows belong."""
    lock = f"SHARE UPDATE EXCLUSIVE on {parent.name}"
    if parent.scanned_default is not None:
        lock += f", ACCESS EXCLUSIVE on {parent.scanned_default} while it is scanned"
    return Statement(
        sql=sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            qualified(parent.name),
            qualified(name),
            _bound(parent.key.type, bounds.lower, "MINVALUE"),
            _bound(parent.key.type, bounds.upper, "MAXVALUE"),
        ),
        lock=lock,
    )


def finalize(parent: PartitionedTable, name: TableName) -> Script:
    """End somebody else's detach; the table stays."""
    return Script(
        work=(
            Statement(
                sql=sql.SQL("ALTER TABLE {} DETACH PARTITION {} FINALIZE").format(
                    qualified(parent.name), qualified(name)
                ),
                lock=f"SHARE UPDATE EXCLUSIVE on {parent.name}, ACCESS EXCLUSIVE on {name}",
            ),
        )
    )


def clear_mark(name: TableName, comment: str | None) -> Script:
    """Give a partition that is not to be dropped its comment back."""
    return remark(name, UNMARKED, comment)


def remark(name: TableName, lines: Lines, comment: str | None) -> Script:
    """Write *lines* into the comment of a table, of which nothing else changes."""
    return Script(prepare=(keep_still([name]),), work=(comment_on(name, lines, comment),))


def comment_on(name: TableName, lines: Lines, comment: str | None, *, until_then: TableName | None = None) -> Statement:
    """Write *lines* into the comment, which a plan shows as the snapshot has it; see Remark."""
    return Statement(
        sql=sql.SQL("COMMENT ON TABLE {} IS {}").format(qualified(name), sql.Literal(rewritten(comment, lines))),
        lock=f"SHARE UPDATE EXCLUSIVE on {name}",
        remark=Remark(name=name, until_then=until_then or name, lines=lines),
    )


def detach(parent: PartitionedTable, name: TableName) -> Script:
    """DETACH under the locks that a default partition or foreign keys ask for; what follows is in its transaction."""
    default = [] if parent.scanned_default is None else [parent.scanned_default]
    referencing = [n for n in parent.referencing if n in parent.lockable]
    referenced = [n for n in parent.referenced if n in parent.lockable and n not in referencing]
    locks = [lock_tables([parent.name, *default, *referencing, name], "ACCESS EXCLUSIVE")]
    if referenced:
        locks.append(lock_tables(referenced, "SHARE ROW EXCLUSIVE"))
    return Script(
        prepare=(keep_still([parent.name, name]),),
        locks=tuple(locks),
        work=(
            Statement(
                sql=sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(qualified(parent.name), qualified(name)),
                lock=f"ACCESS EXCLUSIVE on {parent.name}",
            ),
        ),
    )


def detach_and_drop(parent: PartitionedTable, name: TableName) -> Script:
    """DETACH and DROP in one transaction: the way where a default partition or foreign keys forbid the other one.

    The DROP has no CASCADE: what depends on the partition keeps it.
    """
    detached = detach(parent, name)
    return replace(detached, work=(*detached.work, _drop(name)))


def detach_concurrently(parent: PartitionedTable, name: TableName) -> Statement:
    """The DETACH that makes nobody wait. It runs outside a transaction and takes as long as the longest reader."""
    return Statement(
        sql=sql.SQL("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY").format(qualified(parent.name), qualified(name)),
        lock=f"SHARE UPDATE EXCLUSIVE on {parent.name}, then ACCESS EXCLUSIVE on {name}",
    )


def drop_detached(name: TableName) -> Script:
    """Drop a table that is a partition no more."""
    return Script(prepare=(keep_still([name]),), locks=(lock_tables([name], "ACCESS EXCLUSIVE"),), work=(_drop(name),))


def drop_pending(parent: PartitionedTable, name: TableName) -> Script:
    """Drop a partition whose detach is pending: unlike FINALIZE it does not wait for older snapshots."""
    return Script(
        prepare=(keep_still([parent.name, name]),),
        locks=(lock_tables([parent.name, name], "ACCESS EXCLUSIVE"),),
        work=(_drop(name),),
    )


def keep_still(names: list[TableName]) -> Statement:
    """The lock that keeps everybody's DDL away, and no reader or writer, while the guard takes its last look."""
    return lock_tables(names, "SHARE UPDATE EXCLUSIVE")


def _drop(name: TableName) -> Statement:
    return Statement(sql=sql.SQL("DROP TABLE {}").format(qualified(name)), lock=f"ACCESS EXCLUSIVE on {name}")
