"""What can be seen at hardly a cost of the rows in a default partition: whether there are any, and of which times."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import errors, sql

from pgalmanac.ddl import qualified
from pgalmanac.model import Partition, PartitionedTable, RelationKind
from pgalmanac.table_names import quote

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

    from pgalmanac.db import Session

__all__ = ["in_time", "with_strays"]

# A time that is infinite is none, and neither is one whose year, in some zone, does not lie within the years 1 to 9999
# of a calendar here. The session's TimeZone is UTC.
_FIRST: Final[LiteralString] = """
SELECT count(*), min(time)::timestamp, max(time)::timestamp
  FROM (SELECT CASE WHEN {key} >= '0002-01-02' AND {key} < '9998-01-01' THEN {key} END AS time
          FROM {default} LIMIT {most}) AS strays
"""
# Looking for the oldest of all would read the whole of a table of which no index begins with the time.
_MOST: Final = 1000
_INDEXED: Final[LiteralString] = """
SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
 WHERE i.indrelid = %s AND a.attname = %s AND m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL
"""
_OF_ALL: Final[LiteralString] = """
SELECT min({key})::timestamp, max({key})::timestamp FROM {default} WHERE {key} >= '0002-01-02' AND {key} < '9998-01-01'
"""
# A table, or the beginning of an index, may hold millions of rows that were deleted.
_IN_TIME: Final[LiteralString] = "BEGIN READ ONLY; SET LOCAL statement_timeout = '1s'; {query}; COMMIT"


async def with_strays(session: Session, table: PartitionedTable, default: Partition) -> PartitionedTable:
    """The table with whether its default partition holds rows, and the edges of those that were looked at.

    Whether there are any is None where it lies elsewhere, is locked or may not be read, and where no row was met in
    time: a look takes a second at most, and there is another where that was too short, and one where there are many.
    """
    if default.kind is RelationKind.FOREIGN:
        return replace(table, default_has_rows=None)
    key, name = sql.Identifier(table.key.column), qualified(default.name)
    unseen = f" within 1 s: it is locked, or has many deleted rows, which VACUUM {default.name} takes away"
    try:
        for most in (_MOST, 1):  # one is met sooner than a thousand
            row = await in_time(session, sql.SQL(_FIRST).format(key=key, default=name, most=most))
            if row is not None:
                break
        else:
            return replace(table, default_has_rows=None, default_unseen=unseen)
        rows, *edges = row
        sure = rows < most
        if not sure and default.kind is RelationKind.TABLE:
            of_all = await _of_all(session, table.key.column, default)
            edges, sure = edges if of_all is None else list(of_all), of_all is not None
    except errors.InsufficientPrivilege:
        unseen = f": this role may not read it; GRANT SELECT ON {default.name} TO {quote(session.server.role)}"
        return replace(table, default_has_rows=None, default_unseen=unseen)
    except (errors.LockNotAvailable, errors.WrongObjectType):
        return replace(table, default_has_rows=None, default_unseen=unseen)
    first, last = (None if edge is None else edge.replace(tzinfo=UTC) for edge in edges)
    known = None if first is None or last is None else (first, last)
    return replace(table, default_has_rows=rows > 0, stray_edges=known, stray_edges_sure=sure)


async def _of_all(session: Session, column: str, default: Partition) -> TupleRow | None:
    """The edges of all its rows, in the place of those above; None where no index tells them in time."""
    cursor = await session.execute(_INDEXED, [default.oid, column])
    if await cursor.fetchone() is None:
        return None
    query = sql.SQL(_OF_ALL).format(key=sql.Identifier(column), default=qualified(default.name))
    return await in_time(session, query)


async def in_time(session: Session, query: sql.Composed) -> TupleRow | None:
    """The one row of *query*; None where it takes more than a second."""
    try:
        ((row,),) = await session.read(sql.SQL(_IN_TIME).format(query=query))
    except errors.QueryCanceled:
        return None
    finally:
        await session.rollback()
    return row
