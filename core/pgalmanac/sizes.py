"""The history of sizes: what each partition held when a run that changed nothing else about it looked.

Only partitions whose counters have moved since the last look are looked at again, because a size stats every file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

from psycopg import errors, sql

from pgalmanac.actions import ActionKind
from pgalmanac.catalog import ESTIMATED_ROWS
from pgalmanac.ddl import qualified
from pgalmanac.forecast import Measured, Sizes
from pgalmanac.history import History, task_name
from pgalmanac.locks import LOCKED
from pgalmanac.model import Partition, PartitionedTable, RelationKind
from pgalmanac.table_names import TableName

__all__ = ["measure", "sizes", "trend"]

# At most so many a run, newest first: the first one over years of partitions must not take minutes.
_MOST: Final = 1000
# The last measure is read of the partitions that began within so many days, the eight weeks before the last one that
# its days are compared with; and of so many of the newest, which is more where a partition is longer than a day.
_RECENT_DAYS: Final = 64
_RECENT: Final = 92

_FILLING: Final = [ActionKind.CREATE, ActionKind.MOVE_ROWS, ActionKind.ATTACH, ActionKind.RESTORE]

_NOTHING: Final[Mapping[TableName, int]] = {}

# One under an ACCESS EXCLUSIVE lock is looked at by the next run. The counters are older than the size, so that what
# is written between the two is a change for the next run.
_MEASURE: Final[LiteralString] = f"""
WITH locked AS ({LOCKED}),
     emptied AS (
    SELECT c.oid, c.relfilenode FROM (SELECT partition_oid FROM {{stats}} WHERE parent_oid = {{parent}}
                                      EXCEPT SELECT unnest({{oids}}::int8[])) s
      JOIN pg_inherits i ON i.inhrelid = s.partition_oid::oid AND i.inhparent = {{parent}}
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r'),
     now AS (
    SELECT oid, counters, true AS known FROM unnest({{oids}}::oid[], {{counters}}::text[]) AS known(oid, counters)
     UNION ALL SELECT oid, concat_ws('/', relfilenode, 0, 0, 0), false FROM emptied),
     changed AS (
    SELECT now.oid, now.counters
      FROM now LEFT JOIN LATERAL (SELECT s.counters FROM {{stats}} s WHERE s.partition_oid = now.oid::int8
                                   ORDER BY s.measured_at DESC LIMIT 1) last ON true
     WHERE now.counters IS DISTINCT FROM last.counters AND now.oid NOT IN (SELECT relation FROM locked)
       AND (now.known OR split_part(now.counters, '/', 1) <> split_part(last.counters, '/', 1))
     ORDER BY now.oid DESC LIMIT {{most}})
INSERT INTO {{stats}} (parent_oid, partition, partition_oid, bounds, measured_at, rows, rows_exact, bytes, counters)
SELECT {{parent}}, format('%I.%I', n.nspname, c.relname), c.oid::int8, pg_get_expr(c.relpartbound, 0),
       clock_timestamp(), CASE WHEN c.oid = {{empty}} THEN 0 ELSE GREATEST({ESTIMATED_ROWS}, filled.rows) END, false,
       pg_total_relation_size(c.oid), changed.counters
  FROM changed JOIN pg_class c ON c.oid = changed.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN unnest({{filled}}::oid[], {{filled_rows}}::int8[]) AS filled(oid, rows) ON filled.oid = c.oid
"""  # made of constants
_LAST: Final[LiteralString] = """
SELECT l.* FROM unnest({oids}::int8[]) AS wanted(oid),
       LATERAL (SELECT s.partition_oid, s.rows, s.bytes, s.rows_exact, s.measured_at FROM {stats} s
                 WHERE s.partition_oid = wanted.oid ORDER BY s.measured_at DESC LIMIT 1) l
"""
_TOTAL: Final[LiteralString] = """
SELECT COALESCE(sum(l.rows), 0)::int8, COALESCE(sum(l.bytes), 0)::int8 FROM pg_inherits i,
       LATERAL (SELECT s.rows, s.bytes FROM {stats} s WHERE s.partition_oid = i.inhrelid::int8
                 ORDER BY s.measured_at DESC LIMIT 1) l
 WHERE i.inhparent = {parent}
"""
_AS_OF: Final[LiteralString] = """
SELECT max(started_at)::timestamptz FROM {runs} WHERE task_name = {task} AND status = 'success'
"""
# What runs recorded of partitions that none has measured: one that was called off did not come to it.
_MADE: Final[LiteralString] = """
SELECT DISTINCT ON (partition) partition, started_at, rows FROM {actions}
 WHERE run_id IN (SELECT id FROM {runs} WHERE task_name = {task} AND started_at >= {since})
   AND partition = ANY ({names}::text[]) AND status = 'done' AND action = ANY ({kinds}::text[])
 ORDER BY partition, started_at DESC NULLS LAST
"""
_TREND: Final[LiteralString] = """
SELECT partition_oid, rows, bytes, rows_exact, measured_at FROM {stats}
 WHERE partition_oid = {partition} ORDER BY measured_at DESC LIMIT {limit}
"""


async def measure(history: History, table: PartitionedTable, filled: Mapping[TableName, int] = _NOTHING) -> int:
    """Store rows and bytes of the partitions that changed since they were last stored; how many those were.

    *table* is as it was after the work. One of which the server knows no row, now or ever, is not worth a row; but the
    server forgets what it counted, as in a crash, and one that has another file than when it was measured was emptied.
    Of those that the run itself *filled* it may not know yet, since sessions tell the counters late; nor of a default
    partition that its rows have left, which was seen to be empty.
    """
    rows = {p.oid: filled[p.name] for p in table.children if p.name in filled} if filled else {}
    known = [p for p in table.children if p.kind is RelationKind.TABLE and (_known(p) or p.oid in rows)]
    if not history.has_stats:
        return 0
    empty = table.default if table.default is not None and table.default_has_rows is False else None
    query = sql.SQL(_MEASURE).format(
        stats=qualified(history.stats),
        parent=sql.Literal(table.oid),
        oids=_array(str(p.oid) for p in known),
        # What the counters say of an empty one is not what is stored: where they go on to, it is looked at again.
        counters=_array(p.counters if p is not empty or not p.rows else f"{p.counters}-" for p in known),
        empty=0 if empty is None else empty.oid,
        filled=sql.Literal(list(rows)),
        filled_rows=sql.Literal(list(rows.values())),
        most=_MOST,
    )
    try:
        cursor = await history.session.execute(query)
    except errors.LockNotAvailable:  # locked between the look at pg_locks and the size: the next run's
        return 0
    return cursor.rowcount


def _array(items: Iterable[str]) -> sql.Literal:
    """An array of words that need no quotes, in a tenth of the time that the driver takes for thousands of them."""
    return sql.Literal("{" + ",".join(items) + "}")


def _known(partition: Partition) -> bool:
    """Whether the server knows of rows: by its estimate, or by what is counted behind the number of the file."""
    return partition.rows > 0 or not partition.counters.endswith("/0/0/0")


async def sizes(history: History, table: PartitionedTable, *, total: bool) -> Sizes:
    """The last measures of the newest partitions that have begun, and with *total* rows and bytes of all.

    One more question where some that are over were never measured.
    """
    if not history.has_stats:
        return Sizes()
    recent = _recent(table)
    names = {"stats": qualified(history.stats), "parent": sql.Literal(table.oid)}
    query = sql.SQL(_LAST).format(**names, oids=sql.Literal([p.oid for p in recent]))
    found = await (await history.session.execute(query)).fetchall()
    unmeasured = {p.oid for p in recent if _is_over(p, table)} - {oid for oid, *_ in found}
    made = await _made(history, table, [p for p in recent if p.oid in unmeasured]) if unmeasured else ()
    row = await (await history.session.execute(sql.SQL(_TOTAL).format(**names))).fetchone() if total else None
    total_rows, total_bytes = row or (0, 0)
    return Sizes(
        measured=(*_measured(found), *(m for m in made if m.rows)),
        as_of=await _as_of(history, table),
        made={m.oid: m.measured_at for m in made},
        total_rows=total_rows,
        total_bytes=total_bytes,
    )


def _is_over(partition: Partition, table: PartitionedTable) -> bool:
    upper = None if partition.bounds is None else partition.bounds.upper
    return upper is not None and upper <= table.now


async def _made(history: History, table: PartitionedTable, partitions: Sequence[Partition]) -> tuple[Measured, ...]:
    """When a run made or filled these last, and with how many rows, as far as that is recorded and may be read.

    Of runs since their time began: what was made ahead of it tells nothing.
    """
    if not history.has_actions:
        return ()
    oids = {str(p.name): p.oid for p in partitions}
    begins = min(p.bounds.lower or p.bounds.upper or table.now for p in partitions if p.bounds is not None)
    query = sql.SQL(_MADE).format(
        actions=qualified(history.actions),
        runs=qualified(history.runs),
        task=sql.Literal(task_name(table)),
        since=sql.Literal(begins),
        names=sql.Literal(list(oids)),
        kinds=sql.Literal(_FILLING),
    )
    try:
        found = await (await history.session.execute(query)).fetchall()
    except errors.InsufficientPrivilege:  # what was measured is told all the same
        await history.session.rollback()
        return ()
    return tuple(
        Measured(oid=oids[name], rows=rows or 0, bytes=None, exact=False, measured_at=at)
        for name, at, rows in found
        if at is not None
    )


async def _as_of(history: History, table: PartitionedTable) -> datetime | None:
    """When a run last measured, which all do that end well."""
    query = sql.SQL(_AS_OF).format(runs=qualified(history.runs), task=sql.Literal(task_name(table)))
    row = await (await history.session.execute(query)).fetchone()
    return row[0] if row else None


def _recent(table: PartitionedTable) -> list[Partition]:
    """The newest partitions that have begun."""
    since = table.now - timedelta(days=_RECENT_DAYS)
    found: list[Partition] = []
    for partition in reversed(table.ranged):
        lower = None if partition.bounds is None else partition.bounds.lower
        if lower is not None and lower > table.now:
            continue
        if len(found) >= _RECENT and (lower is None or lower < since):
            break
        found.append(partition)
    return found


async def trend(history: History, oid: int, *, limit: int = 365) -> tuple[Measured, ...]:
    """What runs measured of one partition, oldest first: at most the last *limit* measures."""
    if not history.has_stats:
        return ()
    query = sql.SQL(_TREND).format(stats=qualified(history.stats), partition=sql.Literal(oid), limit=limit)
    return tuple(reversed(_measured(await (await history.session.execute(query)).fetchall())))


def _measured(rows: Sequence[tuple[Any, ...]]) -> tuple[Measured, ...]:
    return tuple(
        Measured(oid=oid, rows=count or 0, bytes=size, exact=exact, measured_at=at)
        for oid, count, size, exact, at in rows
    )
