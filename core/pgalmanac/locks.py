"""Who holds what: blockers of a lock, the transactions that a concurrent detach would wait for, a detach half done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, LiteralString

from psycopg import sql

from pgalmanac.amounts import duration
from pgalmanac.db import LOCK_CLASS, Session
from pgalmanac.results import Blocker
from pgalmanac.steps import Needs
from pgalmanac.table_names import TableName

__all__ = ["HOLDERS", "LOCKED", "blockers", "half_detached", "holders", "in_the_way"]

# Whoever holds a lock on one of the relations that somebody else wants, oldest transaction first; on those that are
# *kept* still, which is SHARE UPDATE EXCLUSIVE, who only reads or writes rows is in nobody's way. A prepared
# transaction has no process, and is found by the lock that it has on itself. Since when is told by a clock that stands
# still meanwhile, or else each lock would be a line. Who holds the advisory lock of the table *run* is at work for the
# one who asks.
_BLOCKERS: Final[LiteralString] = """
SELECT l.pid, COALESCE(a.usename::text, x.owner::text, ''), COALESCE(a.application_name, x.gid, ''),
       COALESCE(a.state, a.backend_type, ''), statement_timestamp() - COALESCE(a.xact_start, x.prepared),
       COALESCE(a.query, ''), string_agg(DISTINCT l.mode, ', '), min(c.relname::text), count(DISTINCT c.oid)
  FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
  LEFT JOIN pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN (pg_locks t JOIN pg_prepared_xacts x ON x.transaction = t.transactionid)
         ON l.pid IS NULL AND t.pid IS NULL AND t.virtualtransaction = l.virtualtransaction
 WHERE l.locktype = 'relation' AND l.granted
   AND (l.relation = ANY (%(taken)s::oid[])
        OR l.relation = ANY (%(kept)s::oid[]) AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.pid IS DISTINCT FROM pg_backend_pid()
   AND NOT EXISTS (
       SELECT FROM pg_locks r
        WHERE r.pid = l.pid AND r.locktype = 'advisory' AND r.classid = %(lock_class)s AND r.objid = %(run)s::oid
          AND r.objsubid = 1 AND r.granted AND r.database = l.database)
 GROUP BY 1, 2, 3, 4, 5, 6
 ORDER BY 5 DESC NULLS LAST LIMIT 5
"""
# Whoever holds any lock on a relation, for our own path.
HOLDERS: Final[LiteralString] = """
SELECT DISTINCT virtualtransaction FROM pg_locks
 WHERE locktype = 'relation' AND relation = {oid} AND granted AND pid IS DISTINCT FROM pg_backend_pid()
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# The partition whose detach was begun and not ended, of which a table has one at most.
_HALF_DETACHED: Final[LiteralString] = """
SELECT n.nspname::text, c.relname::text
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.inhparent = %s AND i.inhdetachpending
"""
# What somebody else has, or wants, an ACCESS EXCLUSIVE lock on: a size stats files under a lock that waits behind that.
LOCKED: Final[LiteralString] = """
SELECT relation FROM pg_locks
 WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_QUERY_CHARS: Final = 80


async def blockers(session: Session, needs: Needs) -> tuple[str, ...]:
    """One line for each session that holds a lock in the way of what *needs* these, at most five."""
    return tuple(b.told for b in await in_the_way(session, needs))


async def in_the_way(session: Session, needs: Needs, *, run: int | None = None) -> tuple[Blocker, ...]:
    """The same with their processes, without the one that is at work on the table with the oid *run*."""
    asked = {"taken": list(needs.taken), "kept": list(needs.kept), "lock_class": LOCK_CLASS, "run": run}
    rows = await (await session.execute(_BLOCKERS, asked)).fetchall()
    return tuple(Blocker(pid=row[0], told=_line(row)) for row in rows)


def _line(row: tuple[Any, ...]) -> str:
    pid: int | None
    age: timedelta | None
    pid, user, program, state, age, query, modes, relation, relations = row
    what = relation if relations == 1 else f"{relation} and {relations - 1} more"
    since = "" if age is None else f" for {duration(age.total_seconds())}"
    if pid is None:
        which = f"the prepared transaction '{program}' of {user}, there{since},"
        return f"{which} holds {modes} on {what}: COMMIT PREPARED or ROLLBACK PREPARED ends it"
    shown = " ".join(query.split())[:_QUERY_CHARS]
    who = f"process {pid}" + (f" ({program})" if program else "") + (f" of {user}" if user else "")
    return f"{who}, {state or 'active'}{since}, holds {modes} on {what}" + (f": {shown}" if shown else "")


async def holders(session: Session, oid: int) -> frozenset[str]:
    """The virtual transactions that hold any lock on the relation: one seen twice is a long one."""
    rows = await (await session.execute(sql.SQL(HOLDERS).format(oid=sql.Literal(oid)))).fetchall()
    return frozenset(str(row[0]) for row in rows)


async def half_detached(session: Session, oid: int) -> TableName | None:
    """The partition of the relation whose detach is pending, or under way."""
    row = await (await session.execute(_HALF_DETACHED, [oid])).fetchone()
    return None if row is None else TableName(schema=row[0], name=row[1])
