"""Which tables of a database could be maintained, and which one is meant when nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, LiteralString

from psycopg import errors, sql

from pgalmanac.db import LOCK_CLASS, Session
from pgalmanac.db_errors import translated
from pgalmanac.errors import ConfigError, TableBusyError
from pgalmanac.table_names import TableName, TableRef

__all__ = ["KEY_TYPE", "choose", "discover", "find", "meant", "requested_or_chosen"]

# The type of a partition key, below domains over domains: that of its operator class. `t` is the type of its column,
# `p` the row of pg_partitioned_table.
KEY_TYPE: Final[LiteralString] = (
    "CASE t.typtype WHEN 'd' THEN (SELECT o.opcintype FROM pg_opclass o WHERE o.oid = p.partclass[0]) ELSE t.oid END"
)
# The relation that a reference means: the first match in the schemas of the role's own search path.
_FIND: Final[LiteralString] = """
WITH target AS (
    SELECT c.oid, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = {name} AND n.nspname = ANY ({schemas}) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
     ORDER BY array_position({schemas}, n.nspname::text) LIMIT 1)
SELECT target.oid::int8, target.nspname::text, {locked} FROM target
"""
_LOCK: Final[LiteralString] = "pg_try_advisory_lock({lock_class}::int8 << 32 | target.oid::int8)"
_CANDIDATES: Final[LiteralString] = f"""
SELECT n.nspname::text AS schema, c.relname::text AS name
  FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] AND a.attnum > 0
  LEFT JOIN pg_type t ON t.oid = a.atttypid
 WHERE p.partstrat = 'r' AND p.partnatts = 1 AND NOT c.relispartition
   AND {KEY_TYPE} IN (1082, 1114, 1184)
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY 1, 2
"""  # made of constants


async def find(session: Session, ref: TableRef, *, lock: bool = False) -> tuple[int, TableName] | None:
    """The oid and the full name of the relation that *ref* means, if there is one.

    With *lock* the session holds its advisory lock then. Raises TableBusyError when another session has that.
    """
    schemas = [ref.schema] if ref.schema is not None else list(session.server.schemas)
    query = sql.SQL(_FIND).format(
        name=sql.Literal(ref.name),
        schemas=sql.SQL("{}::text[]").format(schemas),
        locked=sql.SQL(_LOCK if lock else "true").format(lock_class=LOCK_CLASS),
    )
    with translated(f"the catalog of {ref}", session.server.database):
        try:
            row = await (await session.execute(query)).fetchone()
        except errors.UntranslatableCharacter:  # the database's encoding has no such name, and so no such table
            return None
    if row is None:
        return None
    oid, schema, locked = row
    name = TableName(schema=schema, name=ref.name)
    if not locked:
        raise TableBusyError(str(name))
    return oid, name


async def requested_or_chosen(session: Session, requested: Sequence[TableRef]) -> tuple[TableRef, ...]:
    """The tables that somebody named, each once however it is spelled, else the one that is meant. As choose raises."""
    if not requested:
        return (await choose(session),)
    spelled_out = {ref.name for ref in requested if ref.schema is not None}
    refs = [await _spelled_out(session, r) if r.schema is None and r.name in spelled_out else r for r in requested]
    return tuple(dict.fromkeys(refs))


async def meant(session: Session, requested: Sequence[TableRef]) -> tuple[tuple[TableRef, ...], tuple[TableName, ...]]:
    """The tables that somebody named, else the one that is meant if one is; and all others that there are."""
    refs = tuple(requested)
    if not refs:
        with suppress(ConfigError):
            refs = (await choose(session),)
    found = await discover(session)
    return refs, tuple(t for t in found if not any(ref.means(t) for ref in refs))


async def _spelled_out(session: Session, ref: TableRef) -> TableRef:
    """The reference with the schema in which the search path finds it; as it is when there is no such table."""
    found = await find(session, ref)
    return ref if found is None else found[1].ref


async def discover(session: Session) -> tuple[TableName, ...]:
    """Every table that pgalmanac could maintain: partitioned by range of one time column, and no partition itself."""
    with translated("the list of partitioned tables", session.server.database):
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
            hint="create one with PARTITION BY RANGE, to which a plain table can be attached as its DEFAULT partition, "
            "or name another database with --dsn",
        )
    names = ", ".join(str(t) for t in events or found)
    raise ConfigError(
        f"it is not clear which table is meant ({names})",
        hint="name one with --table, or list them in the configuration",
    )
