"""The figures at the end of a report: rows, oldest and newest event, most frequent values; estimates unless counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Final, LiteralString

from psycopg import Error, sql

from pgalmanac.counting import key_time
from pgalmanac.db import Session
from pgalmanac.db_errors import is_lost
from pgalmanac.ddl import qualified
from pgalmanac.frequencies import most_frequent
from pgalmanac.model import Partition, RelationKind
from pgalmanac.results import PartitionCount, Statistics
from pgalmanac.view import View

__all__ = ["statistics"]

_TOP: Final = 10
# How many partitions are looked into for the oldest and the newest event before they are said to be unknown.
_EDGE_LOOKS: Final = 5
# Frequencies come from at most this many of the newest partitions: reading pg_stats costs about 0.1 ms each.
_BREAKDOWN_PARTITIONS: Final = 120
# Each of the looks below; without an index on the key even one partition can take long.
_SECONDS: Final = 2

_FREQUENCIES: Final[LiteralString] = """
SELECT v.value, sum(v.frequency * GREATEST(c.reltuples, 0))::int8
  FROM unnest({oids}::oid[]) AS wanted(oid) JOIN pg_class c ON c.oid = wanted.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = {column},
  unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS v(value, frequency)
 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit};
"""


async def statistics(
    session: Session,
    seen: View,
    counts: Sequence[PartitionCount] = (),
    *,
    seconds: float = _SECONDS,
    cache: bool = False,
) -> Statistics:
    """The figures at the end of a report. Exact where *counts* are all exact, else the server's estimates.

    Then the most frequent values are counted too; without them, when that takes longer than *seconds*. With *cache*
    those of partitions that did not change are remembered.
    """
    if counts and all(c.exact for c in counts):
        return await _counted(session, seen, counts, seconds, cache=cache)
    column = seen.policy.breakdown_column
    has_column = column in seen.table.columns
    (oldest, newest), frequencies = await _estimated(session, seen, column if has_column else None)
    rows = sum(p.rows for p in seen.table.children)
    return Statistics(
        partitions=len(seen.table.partitions),
        rows=None if not rows and (oldest or newest) else rows,
        exact=False,
        oldest_event=oldest,
        newest_event=newest,
        breakdown_column=column if has_column else None,
        breakdown=frequencies,
    )


async def _estimated(
    session: Session, seen: View, column: str | None
) -> tuple[tuple[datetime | None, datetime | None], tuple[tuple[str, int], ...]]:
    """Oldest and newest key; the frequencies of *column*, if there is one. In one round trip."""
    past = _until_now(seen)
    oldest, newest = _looked_into(seen.table.ranged), _looked_into(past)
    # What has no rows has no frequent ones; the view of them is the dearest of these to plan.
    oids = [p.oid for p in past[:_BREAKDOWN_PARTITIONS] if p.rows]
    asked = {"column": sql.Literal(column), "oids": sql.Literal(oids), "limit": sql.Literal(_TOP)}
    others = [sql.SQL(_FREQUENCIES).format(**asked)] if oids and column is not None else []
    edges = sql.SQL("SELECT {}, {};").format(_first(seen, oldest, "min"), _first(seen, newest, "max"))
    answers = await _answered(session, edges, *others)
    if answers is not None:
        (edge,), *values = answers
    else:
        # One partition that is locked, gone or closed to us must not hide what the others say, nor values that take
        # too long or may not be read hide the edges.
        values = await _answered(session, *others) or []
        edge = (await _edge(session, seen, oldest, "min"), await _edge(session, seen, newest, "max"))
    frequent = values[0] if values else []
    return (key_time(edge[0]), key_time(edge[1])), tuple((value, rows) for value, rows in frequent)


async def _answered(session: Session, *queries: sql.Composed) -> list[list[tuple[Any, ...]]] | None:
    """As _together; None where the server refuses one of them, or one takes too long."""
    try:
        return await _together(session, *queries)
    except Error as exc:
        if is_lost(exc):
            raise
        return None


async def _together(session: Session, *queries: sql.Composed, seconds: float = _SECONDS) -> list[list[tuple[Any, ...]]]:
    """The rows of each query, all asked for at once, each bounded in time and to one of the server's cores."""
    begin = sql.SQL(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL max_parallel_workers_per_gather = 0;"
    ).format(max(int(seconds * 1000), 1))
    try:
        return await session.read(sql.Composed([begin, *queries, sql.SQL("COMMIT")]))
    finally:
        await session.rollback()


def _first(seen: View, partitions: Sequence[Partition], function: LiteralString) -> sql.Composable:
    """The smallest or largest key of the first of *partitions* that has rows; the others are not looked into."""
    if not partitions:
        return sql.NULL
    looks = [_look(seen, p, function) for p in partitions]
    return sql.SQL("COALESCE({})").format(sql.SQL(", ").join(looks))


def _look(seen: View, partition: Partition, function: LiteralString) -> sql.Composed:
    """One page of one table, where the key has an index. As text, because the key may be infinite."""
    return sql.SQL("(SELECT {}({})::text FROM {})").format(
        sql.SQL(function), sql.Identifier(seen.table.key.column), qualified(partition.name)
    )


async def _edge(session: Session, seen: View, partitions: Sequence[Partition], function: LiteralString) -> str | None:
    """As _first, one partition at a time; None when one that counts cannot be looked into."""
    for partition in partitions:
        query = sql.SQL("SELECT {};").format(_look(seen, partition, function))
        answers = await _answered(session, query)
        if answers is None:
            return None
        ((row,),) = answers
        if row[0] is not None:
            return str(row[0])
    return None


async def _counted(
    session: Session, seen: View, counts: Sequence[PartitionCount], seconds: float, *, cache: bool
) -> Statistics:
    """The figures of partitions that were all counted; the most frequent values of the last days, counted too."""
    frequent = None
    if seen.policy.breakdown_column in seen.table.columns:
        frequent = await most_frequent(session, seen, limit=_TOP, seconds=seconds, cache=cache)
    return Statistics(
        partitions=len(seen.table.partitions),
        rows=sum(c.rows or 0 for c in counts),
        exact=True,
        oldest_event=min((c.oldest for c in counts if c.oldest is not None), default=None),
        newest_event=max((c.newest for c in counts if c.newest is not None), default=None),
        breakdown_column=None if frequent is None else seen.policy.breakdown_column,
        breakdown=frequent or (),
    )


def _looked_into(partitions: Sequence[Partition]) -> list[Partition]:
    """The first of them, up to a foreign table: another server's answer is nothing that a report waits for."""
    return list(takewhile(lambda p: p.kind is not RelationKind.FOREIGN, partitions[:_EDGE_LOOKS]))


def _until_now(seen: View) -> list[Partition]:
    """The partitions that can hold the past, newest first."""
    return [
        p
        for p in reversed(seen.table.ranged)
        if p.bounds is not None and (p.bounds.lower is None or p.bounds.lower <= seen.now)
    ]
