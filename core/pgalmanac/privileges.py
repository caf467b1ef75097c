"""What this role lacks to maintain a table, as the statements that grant it."""

from __future__ import annotations

from psycopg import sql

from pgalmanac.catalog_rows import ParentRow
from pgalmanac.db import Session, translated
from pgalmanac.model import PartitionedTable, quote

__all__ = ["missing_grants"]


async def missing_grants(session: Session, row: ParentRow, table: PartitionedTable) -> tuple[str, ...]:
    """The GRANTs without which this role cannot maintain the table. New partitions are made beside the newest."""
    role = sql.Identifier(session.server.role)
    home = table.ranged[-1].name.schema if table.ranged else row.schema
    may_create = row.may_create
    if home != row.schema:
        with translated(f"the schema {quote(home)}"):
            found = await (await session.execute("SELECT has_schema_privilege(%s, 'CREATE')", [home])).fetchone()
        may_create = bool(found and found[0])
    missing: list[sql.Composed] = []
    if not row.may_own:
        missing.append(sql.SQL("GRANT {} TO {}").format(sql.Identifier(row.owner), role))
    if not may_create:
        missing.append(sql.SQL("GRANT CREATE ON SCHEMA {} TO {}").format(sql.Identifier(home), role))
    return tuple(m.as_string(session.conn) for m in missing)
