"""Actions -> statements, and the lock each one takes. Pure composition: nothing here is executed.

A `Script` has three parts. *prepare* makes no writer wait. *locks* are taken one after the other within one deadline,
parent before default partition, as readers and writers do, or it deadlocks. *work* runs while they are held. Locks,
work and COMMIT are one message to the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, LiteralString

from psycopg import sql

from pgalmanac.marks import marked, unmarked
from pgalmanac.model import Bounds, KeyType, Mark, Partition, PartitionedTable, TableName

__all__ = [
    "BOUNDS_CHECK",
    "Grant",
    "PolicyRule",
    "Script",
    "Statement",
    "Structure",
    "attach_partition",
    "clear_mark",
    "comment_on",
    "create",
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
    "move_rows",
    "move_rows_at_once",
    "qualified",
    "set_mark",
    "verbatim",
]

_TYPES: Final[dict[KeyType, LiteralString]] = {
    KeyType.DATE: "date",
    KeyType.TIMESTAMP: "timestamp",
    KeyType.TIMESTAMPTZ: "timestamptz",
}
# The constraint that a partition under construction has until ATTACH knows its bounds.
BOUNDS_CHECK: Final = "pgalmanac_bounds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement and, in words, the locks that other sessions feel."""

    sql: sql.Composed
    lock: str
    # A move of rows: a DELETE that means no deletion.
    moves: bool = False

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
    def quiet(self) -> Script:
        """The same script with the triggers kept quiet while rows move; event triggers still see all the DDL."""
        return Script(
            prepare=tuple(s.quiet for s in self.prepare), locks=self.locks, work=tuple(s.quiet for s in self.work)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One privilege on the parent, or on one *column* of it. PUBLIC is grantee None."""

    grantee: str | None
    privilege: str
    grantable: bool = False
    column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """One row security policy, its expressions as the server prints them: they may call their table by its name."""

    table: str
    name: str
    permissive: bool
    command: str
    roles: tuple[str | None, ...]
    using: str | None
    check: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What `LIKE … INCLUDING ALL` and ATTACH do not carry over: some from the parent, some from the newest sibling."""

    owner: str
    role: str
    columns: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    # Whom the role's default privileges would give something that the parent does not.
    default_grantees: tuple[str | None, ...] = ()
    row_security: bool = False
    force_row_security: bool = False
    policies: tuple[PolicyRule, ...] = ()
    replica_identity: str = "d"
    replica_index: str | None = None
    statistics_targets: tuple[tuple[str, int], ...] = ()
    column_options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unlogged: bool = False
    tablespace: str | None = None
    # The publication that carries both inserts and deletes of the table to its subscribers.
    published: str | None = None
    access_method: str | None = None
    storage_options: tuple[str, ...] = ()


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


def create(parent: PartitionedTable, name: TableName, bounds: Bounds, structure: Structure) -> Script:
    """LIKE and ATTACH: unlike PARTITION OF, which takes ACCESS EXCLUSIVE on the parent, writers do not wait for it."""
    locks: list[Statement] = []
    if parent.default is not None:
        # The parent first: a session that plans a query on it locks the default partition after it.
        locks.append(lock_tables([parent.name], "SHARE UPDATE EXCLUSIVE"))
        locks.append(lock_tables([parent.default.name], "ACCESS EXCLUSIVE"))
    locks.extend(foreign_key_locks(parent))
    return Script(
        prepare=(_like(parent, name, structure), *_dress(name, structure)),
        locks=tuple(locks),
        work=(attach_partition(parent, name, bounds), *_replica_identity(name, structure)),
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
            _like(parent, name, structure),
            *_dress(name, structure),
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
            *_replica_identity(name, structure),
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
            _like(parent, name, structure),
            *_dress(name, structure),
            Statement(
                sql=sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM ONLY {} WITH NO DATA").format(
                    sql.Identifier("pgalmanac_moving"), columns, qualified(parent.name)
                ),
                lock=f"ACCESS SHARE on {parent.name}",
            ),
        ),
        locks=(lock_tables([parent.name, default], "ACCESS EXCLUSIVE"), *foreign_key_locks(parent)),
        work=(staged, attach_partition(parent, name, bounds), back, *_replica_identity(name, structure)),
    )


_STAGING: Final = sql.Identifier("pg_temp", "pgalmanac_moving")


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


def _like(parent: PartitionedTable, name: TableName, structure: Structure) -> Statement:
    """Identity is excluded: a copy would hand out duplicate numbers, and from 17 ATTACH refuses it."""
    parts = [
        sql.SQL("CREATE {}TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY)").format(
            sql.SQL("UNLOGGED " if structure.unlogged else ""), qualified(name), qualified(parent.name)
        )
    ]
    if structure.access_method is not None:
        parts.append(sql.SQL(" USING {}").format(sql.Identifier(structure.access_method)))
    if structure.storage_options:
        parts.append(sql.SQL(" WITH ({})").format(sql.SQL(", ").join(map(_option, structure.storage_options))))
    if structure.tablespace is not None:
        parts.append(sql.SQL(" TABLESPACE {}").format(sql.Identifier(structure.tablespace)))
    return Statement(sql=sql.Composed(parts), lock=f"ACCESS SHARE on {parent.name}")


def _option(text: str) -> sql.Composed:
    """`fillfactor=70` or `toast.autovacuum_enabled=off`, as pg_class has it."""
    name, _, value = text.partition("=")
    return sql.SQL("{} = {}").format(
        sql.SQL(".").join(sql.Identifier(part) for part in name.split(".")), sql.Literal(value)
    )


def _dress(name: TableName, structure: Structure) -> list[Statement]:
    """Privileges, row security, per-column settings, and last the owner, who takes the right to the rest along."""
    target = qualified(name)
    texts: list[sql.Composed] = [
        sql.SQL("REVOKE ALL ON TABLE {} FROM {}").format(target, _role(grantee))
        for grantee in structure.default_grantees
    ]
    for grant in structure.grants:
        column = sql.SQL("") if grant.column is None else sql.SQL(" ({})").format(sql.Identifier(grant.column))
        texts.append(
            sql.SQL("GRANT {}{} ON TABLE {} TO {}{}").format(
                sql.SQL(_known(grant.privilege)),
                column,
                target,
                _role(grant.grantee),
                sql.SQL(" WITH GRANT OPTION" if grant.grantable else ""),
            )
        )
    for column_name, value in structure.statistics_targets:
        texts.append(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STATISTICS {}").format(
                target, sql.Identifier(column_name), value
            )
        )
    for column_name, options in structure.column_options:
        texts.append(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET ({})").format(
                target, sql.Identifier(column_name), sql.SQL(", ").join(map(_option, options))
            )
        )
    texts.extend(_policy(name, rule) for rule in structure.policies)
    if structure.row_security:
        texts.append(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(target))
    if structure.force_row_security:
        texts.append(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(target))
    if structure.replica_identity in _IDENTITIES:
        texts.append(
            sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(
                target, sql.SQL(_IDENTITIES[structure.replica_identity])
            )
        )
    if structure.owner != structure.role:
        texts.append(sql.SQL("ALTER TABLE {} OWNER TO {}").format(target, sql.Identifier(structure.owner)))
    return [Statement(sql=text, lock="none that others feel") for text in texts]


_IDENTITIES: Final[dict[str, LiteralString]] = {"f": "FULL", "n": "NOTHING"}
_PRIVILEGES: Final[dict[str, LiteralString]] = {
    p: p for p in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
}
_COMMANDS: Final[dict[str, LiteralString]] = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}


def _known(privilege: str) -> LiteralString:
    if privilege not in _PRIVILEGES:
        msg = f"a privilege that no version up to 18 has: {privilege}"
        raise ValueError(msg)
    return _PRIVILEGES[privilege]


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)


# Strings, quoted identifiers, plain identifiers: a name that stands before a dot and after none is a table's.
_TOKEN: Final = re.compile(
    r"""E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(?<!\.)("(?:[^"]|"")*"|\b[^\W\d][\w$]*)(?=\.)""", re.DOTALL
)


def _called(expression: str, table: str, name: str) -> str:
    """The expression with its columns `table.column`, as they are printed inside of subqueries, those of *name*."""

    def renamed(match: re.Match[str]) -> str:
        token = match[1]
        if token is None:
            return match[0]
        plain = token[1:-1].replace('""', '"') if token.startswith('"') else token
        return sql.Identifier(name).as_string(None) if plain == table else token

    return _TOKEN.sub(renamed, expression)


def _policy(name: TableName, rule: PolicyRule) -> sql.Composed:
    """The expressions are the server's own printing of what it stores, and go back with the new table's name."""
    parts = [
        sql.SQL("CREATE POLICY {} ON {} AS {} FOR {} TO {}").format(
            sql.Identifier(rule.name),
            qualified(name),
            sql.SQL("PERMISSIVE" if rule.permissive else "RESTRICTIVE"),
            sql.SQL(_COMMANDS[rule.command]),
            sql.SQL(", ").join(map(_role, rule.roles)),
        )
    ]
    if rule.using is not None:
        parts.append(sql.SQL(" USING (") + verbatim(_called(rule.using, rule.table, name.name)) + sql.SQL(")"))
    if rule.check is not None:
        parts.append(sql.SQL(" WITH CHECK (") + verbatim(_called(rule.check, rule.table, name.name)) + sql.SQL(")"))
    return sql.Composed(parts)


def verbatim(expression: str) -> sql.SQL:
    """SQL as the server itself prints it, to go back as it came."""
    return sql.SQL(expression)  # pyright: ignore[reportArgumentType]  # SQL that the server printed from its own catalog


def attach_partition(parent: PartitionedTable, name: TableName, bounds: Bounds) -> Statement:
    """ATTACH, which scans the table unless a check says that its rows belong."""
    lock = f"SHARE UPDATE EXCLUSIVE on {parent.name}"
    if parent.default is not None:
        lock += f", ACCESS EXCLUSIVE on {parent.default.name} while it is scanned"
    return Statement(
        sql=sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            qualified(parent.name),
            qualified(name),
            _bound(parent.key.type, bounds.lower, "MINVALUE"),
            _bound(parent.key.type, bounds.upper, "MAXVALUE"),
        ),
        lock=lock,
    )


def _replica_identity(name: TableName, structure: Structure) -> list[Statement]:
    """The partition's counterpart of the parent's replica identity index is known only once it is attached."""
    if structure.replica_identity != "i" or structure.replica_index is None:
        return []
    body = sql.SQL(
        "DECLARE found pg_catalog.text; BEGIN "
        "SELECT pg_catalog.format('%I', c.relname) INTO found FROM pg_catalog.pg_inherits i "
        "JOIN pg_catalog.pg_index x ON x.indexrelid = i.inhrelid JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid "
        "WHERE i.inhparent = {index}::pg_catalog.regclass AND x.indrelid = {table}::pg_catalog.regclass; "
        "EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %s', {table}, found); END"
    ).format(index=structure.replica_index, table=qualified(name).as_string(None))
    return [
        Statement(
            sql=sql.SQL("DO {}").format(sql.Literal(body.as_string(None))),
            lock="none that others feel",
        )
    ]


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


def clear_mark(partition: Partition) -> Script:
    """Give a partition that is not to be dropped its comment back."""
    return Script(work=(comment_on(partition.name, unmarked(partition.comment)),))


def set_mark(partition: Partition, mark: Mark) -> Statement:
    """Write the mark that lets a later run finish what this one began."""
    return comment_on(partition.name, marked(partition.comment, mark))


def comment_on(name: TableName, text: str | None) -> Statement:
    """Write the comment; None takes it away."""
    return Statement(
        sql=sql.SQL("COMMENT ON TABLE {} IS {}").format(qualified(name), sql.Literal(text)),
        lock=f"SHARE UPDATE EXCLUSIVE on {name}",
    )


def detach(parent: PartitionedTable, name: TableName) -> Script:
    """DETACH under the locks that a default partition or foreign keys ask for; what follows is in its transaction."""
    default = [] if parent.default is None else [parent.default.name]
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
