"""What another program left in and beside a table: indexes of partitions alone, and tables that were partitions once.

Nobody needs it every night, so that doctor alone asks. Reads the catalog and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, LiteralString

from pgalmanac.db import Session
from pgalmanac.db_errors import translated
from pgalmanac.table_names import TableName
from pgalmanac.view import View

__all__ = ["Leftovers", "read_leftovers"]

# An index of a partition that is part of one of its table's has a row in pg_inherits, as the partition has.
_INDEXES: Final[LiteralString] = """
SELECT x.indrelid::int8, n.nspname::text, c.relname::text
  FROM pg_inherits p JOIN pg_index x ON x.indrelid = p.inhrelid JOIN pg_class c ON c.oid = x.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE p.inhparent = %s AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = x.indexrelid)
 ORDER BY x.indrelid DESC, 3
"""
_TABLES: Final[LiteralString] = """
SELECT c.oid::int8, n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND NOT c.relispartition AND c.relpersistence <> 't' AND starts_with(c.relname, %s)
 ORDER BY 2, 3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """*indexes* are those of the newest partition that has any which its table has not, *detached* of this table once.

    *partitions* counts the partitions with such indexes.
    """

    indexes: tuple[TableName, ...] = ()
    partitions: int = 0
    detached: tuple[TableName, ...] = ()


async def read_leftovers(session: Session, seen: View) -> Leftovers:
    """What is there besides what pgalmanac would have made. A name tells what was a partition, since nothing else does.

    What pgalmanac detached itself has a mark and is not among it.
    """
    known = {orphan.oid for orphan in seen.table.orphans}
    with translated(f"what was left beside {seen.table.name}"):
        indexes = await (await session.execute(_INDEXES, [seen.table.oid])).fetchall()
        tables = await (await session.execute(_TABLES, [seen.style.prefix])).fetchall()
    return Leftovers(
        indexes=tuple(TableName(schema=s, name=n) for oid, s, n in indexes if oid == indexes[0][0]),
        partitions=len({oid for oid, _, _ in indexes}),
        detached=tuple(
            TableName(schema=schema, name=name)
            for oid, schema, name in tables
            if oid not in known and seen.style.reads(name)
        ),
    )
