"""Which tables of a database could be maintained, and which one is meant when nobody says."""

from __future__ import annotations

from typing import Final, LiteralString

from pgalmanac.db import Session, translated
from pgalmanac.errors import ConfigError
from pgalmanac.model import TableName, TableRef

__all__ = ["choose", "discover"]

_CANDIDATES: Final[LiteralString] = """
SELECT n.nspname::text AS schema, c.relname::text AS name
  FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] AND a.attnum > 0
  LEFT JOIN pg_type t ON t.oid = a.atttypid
 WHERE p.partstrat = 'r' AND p.partnatts = 1 AND NOT c.relispartition
   AND COALESCE(NULLIF(t.typbasetype, 0), t.oid) IN (1082, 1114, 1184)
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY 1, 2
"""


async def discover(session: Session) -> tuple[TableName, ...]:
    """Every table that pgalmanac could maintain: partitioned by range of one time column, and no partition itself."""
    with translated("the list of partitioned tables"):
        rows = await (await session.execute(_CANDIDATES)).fetchall()
    return tuple(TableName(schema=schema, name=name) for schema, name in rows)


async def choose(session: Session) -> TableRef:
    """The table that is meant when nobody named one: `events`, else the only one there is. Raises ConfigError."""
    found = await discover(session)
    events = [t for t in found if t.name == "events"]
    on_path = [t for t in events if t.schema in session.server.schemas]
    best = min(on_path, key=lambda t: session.server.schemas.index(t.schema), default=None)
    chosen = best or (events[0] if len(events) == 1 else None) or (found[0] if len(found) == 1 else None)
    if chosen is not None:
        return TableRef(schema=chosen.schema, name=chosen.name)
    if not found:
        raise ConfigError(
            f"database {session.server.database} has no table that is partitioned by range of one time column",
            hint="create one with PARTITION BY RANGE, or name another database with --dsn",
        )
    names = ", ".join(str(t) for t in events or found)
    raise ConfigError(
        f"it is not clear which table is meant ({names})",
        hint="name one with --table, or list them in the configuration",
    )
