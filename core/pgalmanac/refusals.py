"""What the server's refusal of a step comes from, where its own words do not say it. Reads the catalog only."""

from __future__ import annotations

import re
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from pgalmanac.actions import Action
from pgalmanac.db import Session
from pgalmanac.model import PartitionedTable
from pgalmanac.privileges import ownership
from pgalmanac.table_names import TableName, quote

__all__ = ["called_by_now", "forbidden_by", "is_there", "missing_grant"]

_NAMES: Final[LiteralString] = """
SELECT c.oid::int8, n.nspname::text, c.relname::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY (%s::oid[])
"""
_OWNERS: Final[LiteralString] = """
SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class
 WHERE oid = ANY (%s::oid[]) AND NOT pg_has_role(relowner, 'USAGE')
"""
# Of a table that refers to ours: DETACH looks for referring rows in it, and locks it.
_REFERRING: Final[LiteralString] = """
SELECT has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE (n.nspname, c.relname) = (%s, %s)
"""
_EVENT_TRIGGERS: Final[LiteralString] = """
SELECT e.evtname::text, n.nspname::text, f.proname::text
  FROM pg_event_trigger e JOIN pg_proc f ON f.oid = e.evtfoid JOIN pg_namespace n ON n.oid = f.pronamespace
 WHERE e.evtenabled <> 'D' ORDER BY 1
"""


async def _names(session: Session, *oids: int) -> dict[int, TableName]:
    cursor = await session.execute(_NAMES, [list(oids)])
    return {oid: TableName(schema=schema, name=name) for oid, schema, name in await cursor.fetchall()}


async def is_there(session: Session, action: Action) -> bool:
    """Whether the table of an action is there, under whatever name."""
    return action.oid is not None and action.oid in await _names(session, action.oid)


async def called_by_now(session: Session, table: PartitionedTable, action: Action) -> str | None:
    """Which of the action's tables got another name since it was planned, or None."""
    planned = {table.oid: table.name} | ({action.oid: action.partition} if action.oid is not None else {})
    found = await _names(session, *planned)
    for oid, name in planned.items():
        if oid in found and found[oid] != name:
            return f"{name} is called {found[oid]} by now; look again"
    return None


async def missing_grant(session: Session, table: PartitionedTable, action: Action) -> str | None:
    """The GRANT for want of which a step of this role was denied, or None where it is none that we know of."""
    role = sql.Identifier(session.server.role)
    cursor = await session.execute(_OWNERS, [[table.oid, *([] if action.oid is None else [action.oid])]])
    grants = [grant for (owner,) in await cursor.fetchall() for grant in await ownership(session, owner)]
    for other in table.referencing:
        row = await (await session.execute(_REFERRING, [other.schema, other.name])).fetchone()
        if row is not None and not row[0]:
            grants.append(
                sql.SQL("GRANT SELECT, UPDATE ON {} TO {}").format(sql.Identifier(other.schema, other.name), role)
            )
    return "; ".join(g.as_string(session.conn) for g in grants) or None


async def forbidden_by(session: Session, refusal: psycopg.Error) -> str | None:
    """The event trigger whose function refused a step, and what lets it pass; None where it was none."""
    where = refusal.diag.context
    if not where:
        return None
    for trigger, schema, function in await (await session.execute(_EVENT_TRIGGERS)).fetchall():
        if re.search(rf"(?<!\w){re.escape(function)}\(\)", where):  # it has no arguments
            name = TableName(schema=schema, name=function)
            return f"the event trigger {quote(trigger)} forbids it; have its function {name} let it pass"
    return None
