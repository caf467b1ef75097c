"""What one partition is made of, looked at on demand: sizes, dead rows, vacuums, lock holders; and a day's profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg import errors, sql
from psycopg.rows import class_row

from pgalmanac.db import LOCK_CLASS, Session
from pgalmanac.ddl import key_literal, qualified
from pgalmanac.locks import LOCKED, blockers
from pgalmanac.marks import PREFIX
from pgalmanac.model import Bounds, KeyType, Partition
from pgalmanac.steps import Needs
from pgalmanac.table_names import TableRef
from pgalmanac.view import View

__all__ = ["PartitionDetails", "Profile", "Pulse", "partition_details", "profile", "pulse"]

HOURS_A_DAY: Final = 24
_TOP: Final = 5

_DETAILS: Final[LiteralString] = f"""
WITH locked AS ({LOCKED} AND relation = %(oid)s)
SELECT c.oid::int8 AS oid,
       CASE WHEN NOT EXISTS (TABLE locked) THEN pg_relation_size(c.oid) END AS heap_bytes,
       CASE WHEN NOT EXISTS (TABLE locked) THEN pg_indexes_size(c.oid) END AS index_bytes,
       CASE WHEN NOT EXISTS (TABLE locked) THEN COALESCE(pg_total_relation_size(NULLIF(c.reltoastrelid, 0)), 0) END
         AS toast_bytes,
       pg_stat_get_dead_tuples(c.oid) AS dead_rows,
       GREATEST(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS last_vacuum,
       GREATEST(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS last_analyze
  FROM pg_class c WHERE c.oid = %(oid)s
"""
# A run holds its table's advisory lock from beginning to end; objsubid 1 is the form with one 64-bit key. The
# fingerprint changes with what a look would find: the rows of the catalog by the transactions that wrote them, what
# VACUUM and ANALYZE write into them in place, the counters of rows, those of the history's table and of pg_partman's
# list. A foreign key that refers to the table shows in its triggers: pg_constraint has no index for that side, and what
# depends on the parent are first of all its partitions.
_PULSE: Final[LiteralString] = """
SELECT pg_is_in_recovery() AS standby, clock_timestamp() AS now,
       concat_ws('/', pg_backend_pid(), pg_is_in_recovery(), %(oid)s,
         (SELECT concat_ws(' ', count(*), sum(hashtextextended(concat_ws(' ', c.xmin, i.xmin, d.xmin, c.reltuples,
                           c.relpages, pg_stat_get_live_tuples(c.oid)), c.oid::int8)::numeric))
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
           WHERE i.inhparent = %(oid)s),
         (SELECT concat_ws(' ', c.xmin, n.xmin) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.oid = %(oid)s),
         (SELECT concat_ws(' ', count(*), sum(x.xmin::text::int8), sum(c.xmin::text::int8))
            FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = %(oid)s),
         (SELECT concat_ws(' ', count(*), sum(t.xmin::text::int8), sum(f.xmin::text::int8))
            FROM pg_trigger t LEFT JOIN pg_class f ON f.oid = t.tgconstrrelid WHERE t.tgrelid = %(oid)s),
         (SELECT concat_ws(' ', count(*), sum(k.xmin::text::int8), sum(f.xmin::text::int8))
            FROM pg_constraint k LEFT JOIN pg_class f ON f.oid = k.confrelid WHERE k.conrelid = %(oid)s),
         (SELECT concat_ws(' ', count(*), sum(d.objid::int8)) FROM pg_depend d
           WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (%(going)s::oid[])
             AND d.classid IN ('pg_constraint'::regclass, 'pg_rewrite'::regclass)),
         (SELECT concat_ws(' ', count(*), sum(hashtextextended(concat_ws(' ', c.xmin, d.xmin), c.oid::int8)::numeric))
            FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
           WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT c.relispartition AND c.relkind = 'r'
             AND strpos(d.description, %(mark)s) > 0),
         (SELECT concat_ws(' ', count(*), sum(p.xmin::text::int8)) FROM pg_partitioned_table p),
         (SELECT concat_ws(' ', count(*), sum(m.xmin::text::int8)) FROM pg_auth_members m),
         (SELECT concat_ws(' ', count(*), sum(pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
                           + pg_stat_get_tuples_deleted(c.oid)))
            FROM pg_class c
           WHERE c.relname IN (%(history)s, 'part_config') AND c.relkind IN ('r', 'p'))) AS fingerprint,
       (SELECT l.pid FROM pg_locks l
         WHERE l.locktype = 'advisory' AND l.classid = %(lock_class)s AND l.objid = %(oid)s AND l.objsubid = 1
           AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         LIMIT 1) AS worker
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionDetails:
    """Figures of one partition. None where a lock kept us from looking; moments are instants in UTC."""

    oid: int
    heap_bytes: int | None
    index_bytes: int | None
    toast_bytes: int | None
    dead_rows: int
    last_vacuum: datetime | None
    last_analyze: datetime | None
    holders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Rows by hour of the policy's day (empty for a key without hours), and the most frequent values."""

    hours: tuple[int, ...] = ()
    column: str | None = None
    values: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a server says of itself between two looks; *worker* is the process at work on the table.

    The *fingerprint* stays the same as long as the session, the catalog, the rows and the history of the table do, as
    far as that is told by what costs a few milliseconds with ten thousand partitions. It does not know the names of
    columns, the rows of tables that refer to a partition, what a role may do because it is a superuser, and before
    PostgreSQL 15 not every foreign key that refers to the table.
    """

    standby: bool
    now: datetime
    fingerprint: str
    worker: int | None


async def pulse(session: Session, table_oid: int | None, history: TableRef, going: Sequence[int] = ()) -> Pulse:
    """Whether the server is a standby now, its clock, whether something has changed, and who runs on the table.

    *going* are the partitions that are to be dropped: what depends on them may forbid it, and changes the fingerprint.
    """
    oids = {"oid": table_oid or 0, "going": list(going)}
    asked = {"lock_class": LOCK_CLASS, "mark": PREFIX, "history": history.name, **oids}
    async with session.conn.cursor(row_factory=class_row(Pulse)) as cursor:
        await cursor.execute(_PULSE, asked)
        found = await cursor.fetchone()
    if found is None:
        msg = "a SELECT without FROM has one row"
        raise LookupError(msg)
    return found


async def partition_details(session: Session, oid: int) -> PartitionDetails | None:
    """The figures of the relation *oid*; None when it is gone, or locked between two looks."""
    try:
        async with session.conn.cursor() as cursor:
            await cursor.execute(_DETAILS, {"oid": oid})
            row = await cursor.fetchone()
        holders = await blockers(session, Needs(taken=(oid,)))
    except errors.LockNotAvailable:
        return None
    if row is None:
        return None
    oid, heap, index, toast, dead, vacuum, analyze = row
    return PartitionDetails(
        oid=oid,
        heap_bytes=heap,
        index_bytes=index,
        toast_bytes=toast,
        dead_rows=dead,
        last_vacuum=vacuum,
        last_analyze=analyze,
        holders=holders,
    )


async def profile(session: Session, seen: View, partition: Partition, bounds: Bounds) -> Profile:
    """Read the rows of *partition* inside *bounds* (bounded): by hour, and the five most frequent values."""
    key = seen.table.key
    if bounds.lower is None or bounds.upper is None:
        msg = "a profile is of a bounded range"
        raise ValueError(msg)
    parts = {
        "key": sql.Identifier(key.column),
        "table": qualified(partition.name),
        "lower": key_literal(key.type, bounds.lower),
        "upper": key_literal(key.type, bounds.upper),
    }
    hours: tuple[int, ...] = ()
    if key.type is not KeyType.DATE:
        zone = sql.Literal(seen.policy.timezone.key)
        local = sql.SQL("{key} AT TIME ZONE {zone}" if key.type is KeyType.TIMESTAMPTZ else "{key}")
        query = sql.SQL(
            "SELECT date_part('hour', {local})::int4, count(*) FROM ONLY {table} "
            "WHERE {key} >= {lower} AND {key} < {upper} GROUP BY 1"
        ).format(local=local.format(key=parts["key"], zone=zone), **parts)
        counted: dict[int, int] = dict(await (await session.execute(query)).fetchall())
        hours = tuple(counted.get(hour, 0) for hour in range(HOURS_A_DAY))
    column = seen.policy.breakdown_column
    query = sql.SQL(
        "SELECT {column}::text, count(*) FROM ONLY {table} WHERE {key} >= {lower} AND {key} < {upper} "
        "AND {column} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
    ).format(column=sql.Identifier(column), limit=_TOP, **parts)
    try:
        values = await (await session.execute(query)).fetchall()
    except errors.UndefinedColumn:
        return Profile(hours=hours)
    return Profile(hours=hours, column=column, values=tuple((value, rows) for value, rows in values))
