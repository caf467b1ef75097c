"""What this role lacks to maintain a table, as the statements that grant it."""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from pgalmanac.catalog_rows import ParentRow
from pgalmanac.db import Session
from pgalmanac.db_errors import translated
from pgalmanac.model import PartitionedTable, RelationKind
from pgalmanac.table_names import quote
from pgalmanac.versions import GRANTED_INHERITANCE

__all__ = ["missing_grants", "ownership"]


async def missing_grants(session: Session, row: ParentRow, table: PartitionedTable) -> tuple[str, ...]:
    """The statements without which this role cannot maintain the table.

    New partitions are made beside the newest, and are given to the table's owner, who has to be one that may create
    them there too. What the parent's row does not say is asked for where there is something to ask.
    """
    role = session.server.role
    missing: list[sql.Composed] = []
    if not row.may_own:
        missing += await ownership(session, row.owner)
    home = table.ranged[-1].name.schema if table.ranged else row.schema
    may, owner_may = row.may_create, row.owner_may_create
    if home != row.schema:
        may, owner_may = await _may_create(session, home, row.owner)
    if not may:
        missing.append(_grant("CREATE ON SCHEMA {}", home, role))
    if not owner_may and role != row.owner and not session.server.superuser:
        missing.append(_grant("CREATE ON SCHEMA {}", home, row.owner))
    closed = await _closed_tablespaces(session, row, table)
    missing += [_grant("CREATE ON TABLESPACE {}", name, role) for name in closed]
    return tuple(m.as_string(session.conn) for m in missing)


async def _may_create(session: Session, schema: str, owner: str) -> tuple[bool, bool]:
    """Whether this role may make tables in *schema*, and whether *owner* may."""
    query = "SELECT has_schema_privilege(%(schema)s, 'CREATE'), has_schema_privilege(%(owner)s, %(schema)s, 'CREATE')"
    with translated(f"the schema {quote(schema)}"):
        row = await (await session.execute(query, {"schema": schema, "owner": owner})).fetchone()
    return row or (False, False)


async def _closed_tablespaces(session: Session, row: ParentRow, table: PartitionedTable) -> list[str]:
    """Those in which a new partition or an index of it would lie, and may not."""
    sibling = next((p for p in reversed(table.ranged) if p.kind is RelationKind.TABLE), None)
    names = {tablespace for *_, tablespace in row.indexes if tablespace is not None}
    if sibling is not None and sibling.tablespace is not None:
        names.add(sibling.tablespace)
    parents = row.tablespace if sibling is None else 0
    if not names and not parents:
        return []
    query = (
        "SELECT spcname::text FROM pg_tablespace"
        " WHERE (spcname = ANY (%s) OR oid = %s) AND NOT has_tablespace_privilege(oid, 'CREATE') ORDER BY 1"
    )
    with translated(f"the tablespaces of {table.name}"):
        return [name for (name,) in await (await session.execute(query, [list(names), parents])).fetchall()]


async def ownership(session: Session, owner: str) -> list[sql.Composed]:
    """What lets this role act as the owner without SET ROLE: to be a member, and one that inherits.

    From 16 on a grant says whether its member does, and whether it may give the owner what it made; to a NOINHERIT role
    it says no to the first unless told otherwise. Before, the role says so itself, and each role in between
    (PostgreSQL's documentation, GRANT and CREATE ROLE).
    """
    query = "SELECT pg_has_role(%s, 'MEMBER'), rolinherit FROM pg_roles WHERE rolname = current_user"
    with translated(f"the role {quote(owner)}"):
        row = await (await session.execute(query, [owner])).fetchone()
    member, inherits = row or (False, True)
    role = session.server.role
    if session.server.version_num >= GRANTED_INHERITANCE:
        return [_grant("{}", owner, role, " WITH INHERIT TRUE, SET TRUE" if member or not inherits else "")]
    inherit = sql.SQL("ALTER ROLE {} INHERIT").format(sql.Identifier(role))
    # A member that inherits and yet lacks the rights is one by way of a role that does not.
    return [*([] if member and not inherits else [_grant("{}", owner, role)]), *([] if inherits else [inherit])]


def _grant(what: LiteralString, name: str, role: str, how: LiteralString = "") -> sql.Composed:
    return sql.SQL("GRANT " + what + " TO {role}" + how).format(sql.Identifier(name), role=sql.Identifier(role))
