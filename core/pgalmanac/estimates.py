"""What the server estimates of each partition: rows at once, and the size, which stats files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, LiteralString

from psycopg import errors

from pgalmanac.actions import GOING, ActionKind
from pgalmanac.catalog import ESTIMATED_ROWS, UNKNOWN_ROWS
from pgalmanac.db import Session
from pgalmanac.locks import LOCKED
from pgalmanac.model import Partition, RelationKind
from pgalmanac.plan import Plan
from pgalmanac.results import PartitionCount
from pgalmanac.view import View

__all__ = ["estimates", "estimates_of", "with_sizes"]


# Of a locked partition no size is asked for. Rows of one that is itself partitioned stand in the partitions below it.
_ESTIMATES: Final[LiteralString] = f"""
WITH locked AS ({LOCKED}),
     leaf AS (SELECT wanted.oid AS partition, wanted.oid AS leaf FROM unnest(%(oids)s::oid[]) AS wanted(oid)
              UNION ALL
              SELECT wanted.oid, tree.relid::oid FROM unnest(%(partitioned)s::oid[]) AS wanted(oid),
                     pg_partition_tree(wanted.oid) AS tree WHERE tree.isleaf)
SELECT leaf.partition::int8,
       CASE WHEN bool_or(CASE WHEN c.oid NOT IN (SELECT relation FROM locked) THEN {UNKNOWN_ROWS} END) THEN NULL
            ELSE sum({ESTIMATED_ROWS})::int8 END,
       CASE WHEN bool_or(c.oid IN (SELECT relation FROM locked)) THEN NULL
            ELSE sum(CASE WHEN c.oid NOT IN (SELECT relation FROM locked) THEN pg_total_relation_size(c.oid) END)::int8
       END
  FROM leaf JOIN pg_class c ON c.oid = leaf.leaf GROUP BY 1
"""  # made of constants
# The same of tables alone.
_SIZES: Final[LiteralString] = f"""
WITH locked AS ({LOCKED})
SELECT c.oid::int8, CASE WHEN NOT {UNKNOWN_ROWS} THEN {ESTIMATED_ROWS} END, pg_total_relation_size(c.oid)
  FROM pg_class c
 WHERE c.oid = ANY (%(oids)s::oid[]) AND c.relkind = 'r' AND c.oid NOT IN (SELECT relation FROM locked)
"""  # made of constants


async def estimates(session: Session, seen: View, *, limit: int | None = None) -> tuple[PartitionCount, ...]:
    """The server's estimate of each partition's rows and its size, newest first, at most *limit*; last the default."""
    wanted = list(reversed(seen.table.partitions))[:limit]
    if seen.table.default is not None:
        wanted.append(seen.table.default)
    found = await estimates_of(session, wanted)
    if seen.table.default is None or seen.table.default_has_rows is not False:
        return found
    # That it is empty was seen. The counters may still tell of stray rows that were moved out of it.
    return (*found[:-1], replace(found[-1], rows=0))


async def estimates_of(session: Session, wanted: Sequence[Partition]) -> tuple[PartitionCount, ...]:
    """The server's estimates of these partitions, in their order; of no other one the files are looked at."""
    oids = {
        "oids": [p.oid for p in wanted if p.kind is not RelationKind.PARTITIONED],
        "partitioned": [p.oid for p in wanted if p.kind is RelationKind.PARTITIONED],
    }
    try:
        cursor = await session.execute(_ESTIMATES, oids)
        found = {oid: (rows, size) for oid, rows, size in await cursor.fetchall()}
    except errors.LockNotAvailable:  # locked between the look at pg_locks and the size
        found = {}
    return tuple(_estimate(p, *found.get(p.oid, (None, None))) for p in wanted)


async def with_sizes(session: Session, plan: Plan) -> Plan:
    """The plan as it is shown: with rows and size of what it takes away, brings back or copies, unless locked."""
    wanted = [a.oid for a in plan.of(*GOING, ActionKind.ATTACH, ActionKind.ARCHIVE) if a.oid is not None]
    if not wanted:
        return plan
    try:
        found = await (await session.execute(_SIZES, {"oids": wanted})).fetchall()
    except errors.LockNotAvailable:  # as above
        return plan
    figures = {oid: {"rows": rows, "bytes": size} for oid, rows, size in found}
    return replace(plan, actions=tuple(replace(a, **figures.get(a.oid or 0, {})) for a in plan.actions))


def _estimate(partition: Partition, rows: int | None, size: int | None) -> PartitionCount:
    return PartitionCount(oid=partition.oid, name=partition.name, rows=rows, exact=False, bytes=size)
