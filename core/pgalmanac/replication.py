"""Which publications and subscriptions list a table or its partitions by name, so that a new one is missing in them."""

from __future__ import annotations

from typing import Final, LiteralString

from psycopg import errors, sql

from pgalmanac.db import Session
from pgalmanac.model import Listing, PartitionedTable
from pgalmanac.versions import PUBLISHED_SCHEMAS

__all__ = ["read_listings"]

# Each database has these two for itself, and hardly any has a row in them.
_ANY: Final[LiteralString] = """
SELECT EXISTS (SELECT FROM pg_subscription_rel) OR EXISTS (SELECT FROM pg_publication_rel)
"""
_LISTINGS: Final[LiteralString] = """
WITH family AS (SELECT c.oid, c.relnamespace FROM pg_class c WHERE c.oid = {oid}
                 UNION ALL
                SELECT c.oid, c.relnamespace FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = {oid})
SELECT s.subname::text, true, array_agg(f.oid::int8)
  FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid JOIN family f ON f.oid = r.srrelid
 GROUP BY s.subname
 UNION ALL
SELECT p.pubname::text, false, array_agg(f.oid::int8)
  FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN family f ON f.oid = r.prrelid
 WHERE {listed_alone}
 GROUP BY p.pubname
 UNION ALL
SELECT p.pubname::text, false, ARRAY[{oid}::int8] FROM pg_publication p WHERE p.puballtables
 ORDER BY 2, 1
"""
# A publication may have tables by name and those of a schema besides, the coming ones too.
_LISTED_ALONE: Final[LiteralString] = """
NOT EXISTS (SELECT FROM pg_publication_namespace n WHERE n.pnpubid = p.oid
               AND n.pnnspid IN (SELECT relnamespace FROM family))
"""


async def read_listings(session: Session, table: PartitionedTable) -> tuple[Listing, ...]:
    """The subscriptions and publications of this database that list *table* or one of its partitions.

    A round trip where no table is replicated by name, else two. Everybody may read these catalogs, unless somebody took
    that right away: then nothing is known.
    """
    schemas = session.server.version_num >= PUBLISHED_SCHEMAS
    query = sql.SQL(_LISTINGS).format(
        oid=sql.Literal(table.oid), listed_alone=sql.SQL(_LISTED_ALONE if schemas else "true")
    )
    try:
        row = await (await session.execute(_ANY)).fetchone()
        if row is None or not row[0]:
            return ()
        found = await (await session.execute(query)).fetchall()
    except errors.InsufficientPrivilege:
        return ()
    return tuple(Listing(name=name, subscription=subscribed, oids=frozenset(oids)) for name, subscribed, oids in found)
