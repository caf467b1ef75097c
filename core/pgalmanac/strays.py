"""Whether rows can be moved out of the default partition without anybody mistaking the move for a deletion."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from pgalmanac.db import Session
from pgalmanac.db_errors import is_lost
from pgalmanac.ddl import qualified
from pgalmanac.model import Partition, PartitionedTable, RelationKind
from pgalmanac.table_names import TableName
from pgalmanac.versions import PARAMETER_PRIVILEGES, PUBLISHED_ONCE_ATTACHED

__all__ = ["REFERENCES", "Published", "can_silence_triggers", "is_referenced", "published_by", "why_immovable"]

_REFERENCE_TIMEOUT: Final = "5s"

# What a move would fire: deletes of the default partition, and where the rows go in after ATTACH the row triggers on
# inserts that the new partition gets from its table. tgtype has bits: 0 is ROW, 2 INSERT, 3 DELETE. Under
# session_replication_role = replica those of state O (origin) keep quiet; A and R fire, and come first here. Until
# PostgreSQL 15 a partition's copy of its table's trigger counts as internal; those of keys have a constraint.
_TRIGGERS: Final[LiteralString] = """
SELECT t.tgname::text, t.tgenabled <> 'O', t.tgrelid = %(default)s
  FROM pg_trigger t
 WHERE t.tgenabled <> 'D'
   AND (t.tgrelid = %(default)s AND (t.tgtype & 8) <> 0
        OR %(attached)s AND t.tgrelid = %(parent)s AND (t.tgtype & 5) = 5)
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.oid = t.tgconstraint AND k.contype <> 't')
 ORDER BY 2 DESC, 3 DESC, 1 LIMIT 1
"""
REFERENCES: Final[LiteralString] = """
SELECT k.conname::text, n.nspname::text, c.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, i)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.i),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, i)
               JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.i)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.confrelid = %s AND k.conparentid = 0
"""
# A foreign key to the default partition itself, and not to it as a part of its table.
_BINDS: Final[LiteralString] = """
SELECT k.conname::text, n.nspname::text, c.relname::text
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.confrelid = %s AND k.conparentid = 0 ORDER BY 1 LIMIT 1
"""
# Foreign keys by which a deleted row takes referring rows along, or changes them.
_TAKES_ALONG: Final[LiteralString] = """
SELECT k.conname::text, n.nspname::text, c.relname::text
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.confrelid = %s AND k.conparentid = 0 AND k.confdeltype IN ('c', 'n', 'd')
 ORDER BY 1 LIMIT 1
"""
# Publications that decoding would heed, by what they carry of the table. One that does not name it, and has it all the
# same, has all tables or those of a schema: also one that is not yet a partition.
_PUBLISHED: Final[LiteralString] = """
SELECT min(p.pubname::text) FILTER (WHERE p.pubinsert AND p.pubdelete) AS both,
       min(p.pubname::text) FILTER (WHERE p.pubinsert AND NOT p.pubdelete) AS inserts,
       min(p.pubname::text) FILTER (WHERE p.pubdelete AND NOT p.pubinsert) AS deletes,
       COALESCE(bool_or(p.oid <> ALL (SELECT r.prpubid FROM pg_publication_rel r
                                       WHERE r.prrelid IN (%(parent)s, %(default)s))), false) AS wide
  FROM pg_publication p
 WHERE current_setting('wal_level') = 'logical'
   AND EXISTS (SELECT FROM pg_publication_tables t JOIN pg_namespace n ON n.nspname = t.schemaname
                 JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
                WHERE t.pubname = p.pubname AND c.oid IN (%(parent)s, %(default)s))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A publication of the table that carries both inserts and deletes, only those, only these; *wide* as above."""

    both: str | None
    inserts: str | None
    deletes: str | None
    wide: bool

    def why_immovable(self, version_num: int) -> str | None:
        """Why no way of moving is right for every subscriber, or None when there is one."""
        if self.deletes is not None:
            return f"the publication {self.deletes} carries deletes and no inserts: subscribers would lose moved rows"
        if self.inserts is not None and (self.both is not None or self.wide):
            return (
                f"the publication {self.inserts} carries inserts and no deletes: subscribers would get moved rows twice"
            )
        if self.inserts is not None and version_num < PUBLISHED_ONCE_ATTACHED:
            return f"subscribers of the publication {self.inserts} would miss later rows: this server is older than 15"
        return None


async def published_by(session: Session, table: PartitionedTable) -> Published:
    """By which publications changes of *table* and its default partition reach subscribers."""
    default = table.default.oid if table.default is not None else table.oid
    async with session.conn.cursor(row_factory=class_row(Published)) as cursor:
        await cursor.execute(_PUBLISHED, {"parent": table.oid, "default": default})
        found = await cursor.fetchone()
    return found or Published(both=None, inserts=None, deletes=None, wide=False)


async def can_silence_triggers(session: Session) -> bool:
    """Whether this role may set session_replication_role, under which a moved row is no deleted row."""
    if session.server.superuser:
        return True
    if session.server.version_num < PARAMETER_PRIVILEGES:
        return False
    row = await (await session.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")).fetchone()
    return bool(row and row[0])


async def why_immovable(session: Session, table: PartitionedTable) -> str | None:  # noqa: PLR0911  # a list of cases
    """Why rows cannot be moved out of the default partition of *table*, or None when they can.

    The DELETE of a move is a real one: its triggers fire, and ON DELETE CASCADE removes the referring rows. So is the
    INSERT where the table is published: a trigger could change the row, or swallow it.
    """
    default = table.default
    if default is None:
        return None
    if default.kind is not RelationKind.TABLE:
        return f"{default.name} is no plain table; move its rows by hand"
    published = await published_by(session, table)
    why = published.why_immovable(session.server.version_num) or await _bound_to(session, default)
    if why is not None:
        return f"{why}; move them by hand"
    asked = {"parent": table.oid, "default": default.oid, "attached": published.both is not None}
    row = await (await session.execute(_TRIGGERS, asked)).fetchone()
    trigger, always, of_default = row or (None, False, False)
    what, where = ("delete", default.name) if of_default else ("insert", table.name)
    if always:
        return f"the trigger {trigger} of {where} fires on every {what}, also on that of a moved row; disable it"
    if (trigger is None and not table.referencing) or await can_silence_triggers(session):
        return None
    remedy = _remedy(session)
    if trigger is not None:
        return f"moving would fire the {what} trigger {trigger} of {where}; {remedy}"
    why = await _referred(session, table, default)
    return None if why is None else f"{why}; {remedy}"


async def _bound_to(session: Session, default: Partition) -> str | None:
    """Which foreign key would be broken by rows that leave the default partition, or None."""
    row = await (await session.execute(_BINDS, [default.oid])).fetchone()
    if row is None:
        return None
    return f"the foreign key {row[0]} of {TableName(schema=row[1], name=row[2])} refers to {default.name} itself"


def _remedy(session: Session) -> str:
    """What lets this role keep triggers quiet."""
    if session.server.version_num < PARAMETER_PRIVILEGES:
        return "session_replication_role is a superuser's before PostgreSQL 15: run pgalmanac fix as one"
    role = sql.Identifier(session.server.role).as_string(session.conn)
    return f"GRANT SET ON PARAMETER session_replication_role TO {role}, or run pgalmanac fix as a superuser"


async def _referred(session: Session, table: PartitionedTable, default: Partition) -> str | None:
    """Which rows of another table a deleted row would take along or be kept by, or None."""
    along = await (await session.execute(_TAKES_ALONG, [table.oid])).fetchone()
    if along is not None:  # also when none refers yet: one that comes while rows move would be deleted with its row
        other = TableName(schema=along[1], name=along[2])
        return f"a row of {other} would be deleted or changed with the moved one by the foreign key {along[0]}"
    for name, schema, referring, columns, targets in await (await session.execute(REFERENCES, [table.oid])).fetchall():
        other = TableName(schema=schema, name=referring)
        found = await is_referenced(session, default.name, other, columns, targets)
        if found is None:
            return f"it cannot be seen whether rows of {other} refer to the stray rows by the foreign key {name}"
        if found:
            return f"rows of {other} refer to the stray rows by the foreign key {name}"
    return None


async def is_referenced(
    session: Session,
    partition: TableName,
    other: TableName,
    columns: Sequence[str],
    targets: Sequence[str],
    *,
    leaving: Collection[int] = (),
) -> bool | None:
    """Whether some row of *other*, but not of the tables *leaving*, refers with *columns* to the *targets* of one.

    None where that cannot be seen, or not in time: whatever is the matter with *other*, it is one answer less, and no
    end of the plan. Raises psycopg.Error when the connection is lost.
    """
    matches = [
        sql.SQL("f.{} = p.{}").format(sql.Identifier(a), sql.Identifier(b))
        for a, b in zip(columns, targets, strict=True)
    ]
    if leaving:
        stays = "f.tableoid OPERATOR(pg_catalog.<>) ALL ({}::pg_catalog.oid[])"
        matches.append(sql.SQL(stays).format(sql.Literal(sorted(leaving))))
    condition = sql.SQL(" AND ").join(matches)
    query = sql.SQL(
        "BEGIN; SET LOCAL statement_timeout = {timeout}; {path}"
        "SELECT EXISTS (SELECT FROM {other} f JOIN ONLY {partition} p ON {condition})"
    ).format(
        timeout=_REFERENCE_TIMEOUT,
        path=session.own_path,
        other=qualified(other),
        partition=qualified(partition),
        condition=condition,
    )
    try:
        *_, ((found,),) = await session.read(query)
    except psycopg.Error as exc:
        if is_lost(exc):
            raise
        return None
    finally:
        await session.rollback()
    return bool(found)
