"""What a table in the trash needs beside its move: the schema, and the check by which its bounds are known."""

from __future__ import annotations

from typing import Final, LiteralString

from psycopg import errors, sql

from pgalmanac import ddl_trash
from pgalmanac.catalog import ESTIMATED_ROWS, UNKNOWN_ROWS
from pgalmanac.db import Session
from pgalmanac.ddl import BOUNDS_CHECK, Statement
from pgalmanac.locks import LOCKED
from pgalmanac.model import Bounds, PartitionedTable
from pgalmanac.results import PartitionCount
from pgalmanac.table_names import TableName

__all__ = ["bound", "look_into", "make_trash"]

_TABLES: Final[LiteralString] = f"""
WITH locked AS ({LOCKED})
SELECT c.oid::int8, CASE WHEN c.oid IN (SELECT relation FROM locked) OR NOT {UNKNOWN_ROWS} THEN {ESTIMATED_ROWS} END,
       CASE WHEN c.oid NOT IN (SELECT relation FROM locked) THEN pg_total_relation_size(c.oid) END
  FROM pg_class c WHERE c.oid = ANY (%s::oid[])
"""  # made of constants

# The table's own checks that say what ours says: DETACH CONCURRENTLY leaves one.
_CHECKS: Final[LiteralString] = """
SELECT k.conname::text, k.convalidated, pg_get_expr(k.conbin, k.conrelid) FROM pg_constraint k
 WHERE k.conrelid = %s AND k.contype = 'c' AND k.conislocal AND k.coninhcount = 0
"""


async def make_trash(session: Session, schema: str) -> None:
    """Make the schema of the trash where it is missing, in a transaction of its own."""
    try:
        await session.execute(ddl_trash.make_schema(schema).sql)
    except (errors.DuplicateSchema, errors.UniqueViolation):
        return  # another table's run made it in the same moment


async def look_into(session: Session, table: PartitionedTable) -> tuple[PartitionCount, ...]:
    """Rows (estimated) and size of each table that was a partition and is still there, oldest first."""
    orphans = sorted(table.orphans, key=lambda o: (str(o.bounds.lower), o.oid))
    try:
        cursor = await session.execute(_TABLES, [[o.oid for o in orphans]])
        found = {oid: (rows, size) for oid, rows, size in await cursor.fetchall()}
    except errors.LockNotAvailable:  # locked between the look at pg_locks and the size
        found = {}
    return tuple(
        PartitionCount(oid=o.oid, name=o.name, rows=rows, exact=False, bytes=size)
        for o in orphans
        for rows, size in [found.get(o.oid, (None, None))]
    )


async def bound(session: Session, parent: PartitionedTable, oid: int, name: TableName, bounds: Bounds) -> None:
    """See to it that the detached table *name* has the validated check of its bounds, each step in a transaction.

    Nobody's lock is waited for long, and nothing of the parent's is locked; the scan has no time limit. What was cut
    off in between is found and finished by the next call.
    """
    checks = await _checks(session, oid)
    if BOUNDS_CHECK not in checks:
        await _run(session, ddl_trash.add_bounds_check(parent, name, bounds))
        checks = await _checks(session, oid)
    _, expression = checks[BOUNDS_CHECK]
    if checks[BOUNDS_CHECK][0]:
        return
    for other, (validated, text) in checks.items():
        if other != BOUNDS_CHECK and validated and text == expression:
            await _run(session, *ddl_trash.rename_check(name, other))
            return
    await _run(session, ddl_trash.validate_bounds_check(name))


async def _checks(session: Session, oid: int) -> dict[str, tuple[bool, str]]:
    cursor = await session.execute(_CHECKS, [oid])
    return {name: (validated, text) for name, validated, text in await cursor.fetchall()}


async def _run(session: Session, *statements: Statement) -> None:
    """Under the session's own lock_timeout; several statements of one message are one transaction."""
    await session.execute(sql.SQL("; ").join([s.sql for s in statements]))
