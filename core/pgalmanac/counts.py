"""Row counts of partitions: the server's estimates at once, exact counts with oldest and newest on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, LiteralString

from psycopg import errors, sql

from pgalmanac.catalog import ESTIMATED_ROWS
from pgalmanac.db import Session, one_line
from pgalmanac.ddl import key_literal, qualified
from pgalmanac.model import Partition
from pgalmanac.plan import View
from pgalmanac.results import PartitionCount, Statistics

__all__ = ["estimates", "exact", "statistics"]

DEFAULT_BREAKDOWN: Final = "event_type"
_TOP: Final = 10
_EXACT_BREAKDOWN_DAYS: Final = 7
# How many partitions are looked into for the oldest and the newest event before they are said to be unknown.
_EDGE_LOOKS: Final = 5
# Frequencies come from at most this many of the newest partitions: reading pg_stats costs about 0.1 ms each.
_BREAKDOWN_PARTITIONS: Final = 120

# A size stats files under a lock that waits behind ACCESS EXCLUSIVE: partitions so locked are left out.
_ESTIMATES: Final[LiteralString] = f"""
WITH locked AS (SELECT relation FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
                   AND pid IS DISTINCT FROM pg_backend_pid())
SELECT c.oid::int8, {ESTIMATED_ROWS},
       CASE WHEN c.oid IN (SELECT relation FROM locked) THEN NULL ELSE pg_total_relation_size(c.oid) END
  FROM unnest(%s::oid[]) AS wanted(oid) JOIN pg_class c ON c.oid = wanted.oid
"""  # made of constants
_TOTAL: Final[LiteralString] = f"""
SELECT COALESCE(sum({ESTIMATED_ROWS}), 0)::int8 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = %s
"""  # made of constants
_FREQUENCIES: Final[LiteralString] = """
SELECT v.value, sum(v.frequency * GREATEST(c.reltuples, 0))::int8
  FROM unnest(%(oids)s::oid[]) AS wanted(oid) JOIN pg_class c ON c.oid = wanted.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = %(column)s,
  unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS v(value, frequency)
 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(limit)s
"""


async def estimates(session: Session, seen: View, *, limit: int | None = None) -> tuple[PartitionCount, ...]:
    """The server's estimate of each partition's rows and its size, newest first, at most *limit*; last the default."""
    wanted = list(reversed(seen.table.partitions))[:limit]
    if seen.table.default is not None:
        wanted.append(seen.table.default)
    try:
        cursor = await session.execute(_ESTIMATES, [[p.oid for p in wanted]])
        found = {oid: (rows, size) for oid, rows, size in await cursor.fetchall()}
    except errors.LockNotAvailable:  # locked between the look at pg_locks and the size
        found = {}
    return tuple(_estimate(p, *found.get(p.oid, (None, None))) for p in wanted)


def _estimate(partition: Partition, rows: int | None, size: int | None) -> PartitionCount:
    return PartitionCount(oid=partition.oid, name=partition.name, rows=rows, exact=False, bytes=size)


async def exact(session: Session, seen: View, counts: Sequence[PartitionCount]) -> AsyncIterator[PartitionCount]:
    """Count each of *counts* exactly, with its oldest and newest key, one statement a partition, in the order given.

    A partition that cannot be counted keeps its estimate, with the reason in *error*.
    """
    column = sql.Identifier(seen.table.key.column)
    for count in counts:
        query = sql.SQL(
            "SELECT (SELECT count(*) FROM ONLY {table}), (SELECT min({column}) FROM ONLY {table}), "
            "(SELECT max({column}) FROM ONLY {table}), clock_timestamp()"
        ).format(table=qualified(count.name), column=column)
        try:
            row = await (await session.execute(query)).fetchone()
        except (
            errors.LockNotAvailable,
            errors.UndefinedTable,
            errors.InsufficientPrivilege,
            errors.QueryCanceled,
        ) as exc:
            yield replace(count, error=one_line(exc))
            continue
        rows, oldest, newest, at = row or (None, None, None, None)
        yield replace(count, rows=rows, exact=True, oldest=key_time(oldest), newest=key_time(newest), counted_at=at)


def key_time(value: Any) -> datetime | None:  # noqa: ANN401  # whatever type the key column has
    """A value of the key column as key time; None for NULL and for moments that no calendar holds."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None


async def statistics(session: Session, seen: View, counts: Sequence[PartitionCount] = ()) -> Statistics:
    """The figures at the end of a report. Exact where *counts* are all exact, else the server's estimates."""
    is_exact = bool(counts) and all(c.exact for c in counts)
    if is_exact:
        rows = sum(c.rows or 0 for c in counts)
        oldest = min((c.oldest for c in counts if c.oldest is not None), default=None)
        newest = max((c.newest for c in counts if c.newest is not None), default=None)
    else:
        found = await (await session.execute(_TOTAL, [seen.table.oid])).fetchone()
        rows = found[0] if found else 0
        oldest = await _edge(session, seen, seen.table.ranged, "min")
        newest = await _edge(session, seen, _until_now(seen), "max")
    column, values = await _breakdown(session, seen, exact=is_exact)
    return Statistics(
        partitions=len(seen.table.partitions),
        rows=rows,
        exact=is_exact,
        oldest_event=oldest,
        newest_event=newest,
        breakdown_column=column,
        breakdown=values,
    )


def _until_now(seen: View) -> list[Partition]:
    """The partitions that can hold the past, newest first."""
    return [
        p
        for p in reversed(seen.table.ranged)
        if p.bounds is not None and (p.bounds.lower is None or p.bounds.lower <= seen.now)
    ]


async def _edge(
    session: Session, seen: View, partitions: Sequence[Partition], function: LiteralString
) -> datetime | None:
    """The smallest or largest key of the first of *partitions* that has rows: with an index, one page of one table."""
    for partition in partitions[:_EDGE_LOOKS]:
        query = sql.SQL(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = '2s'; SELECT {}({}) FROM ONLY {}; COMMIT"
        ).format(sql.SQL(function), sql.Identifier(seen.table.key.column), qualified(partition.name))
        try:
            cursor = await session.execute(query)
        except (errors.LockNotAvailable, errors.QueryCanceled, errors.UndefinedTable, errors.InsufficientPrivilege):
            await session.rollback()
            return None
        cursor.nextset()
        cursor.nextset()
        row = await cursor.fetchone()
        if row is not None and (found := key_time(row[0])) is not None:
            return found
    return None


async def _breakdown(session: Session, seen: View, *, exact: bool) -> tuple[str | None, tuple[tuple[str, int], ...]]:
    """The ten most frequent values of the policy's column, or of event_type where there is one."""
    column = seen.policy.breakdown or DEFAULT_BREAKDOWN
    cursor = await session.execute(
        "SELECT EXISTS (SELECT FROM pg_attribute "
        "WHERE attrelid = %s AND attname = %s AND attnum > 0 AND NOT attisdropped)",
        [seen.table.oid, column],
    )
    there = await cursor.fetchone()
    if there is None or not there[0]:
        return None, ()
    if exact:
        key = seen.table.key
        query = sql.SQL(
            "SELECT {column}::text, count(*) FROM {table} WHERE {key} >= {since} AND {key} < {until} "
            "AND {column} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
        ).format(
            column=sql.Identifier(column),
            table=qualified(seen.table.name),
            key=sql.Identifier(key.column),
            since=key_literal(key.type, seen.now - timedelta(days=_EXACT_BREAKDOWN_DAYS)),
            until=key_literal(key.type, seen.day(1)),
            limit=_TOP,
        )
        cursor = await session.execute(query)
    else:
        oids = [p.oid for p in _until_now(seen)[:_BREAKDOWN_PARTITIONS]]
        cursor = await session.execute(_FREQUENCIES, {"oids": oids, "column": column, "limit": _TOP})
    return column, tuple((value, rows) for value, rows in await cursor.fetchall())
