"""The statements around an archive. Pure composition, as in ddl."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from pgalmanac import ddl
from pgalmanac.archive_manifest import KeptColumn
from pgalmanac.ddl import Script, Statement, qualified
from pgalmanac.model import PartitionedTable
from pgalmanac.table_names import TableName

__all__ = ["held", "release", "table_beside"]


def held(name: TableName) -> Statement:
    """The lock that nobody can write past, from before the table is read until it is dropped."""
    return ddl.lock_tables([name], "SHARE")


def release(parent: PartitionedTable, name: TableName, *, pending: bool) -> Script:
    """The drop of what was archived, in the transaction that holds it."""
    steps = ddl.drop_pending(parent, name) if pending else ddl.drop_detached(name)
    return replace(steps, prepare=())


def table_beside(name: TableName, columns: tuple[KeptColumn, ...]) -> Statement:
    """A plain table with the archived columns; their types have to be known as types before they come here."""
    listed = sql.SQL(", ").join(
        sql.Identifier(c.name) + sql.SQL(" ") + ddl.verbatim(c.type) + sql.SQL(" NOT NULL" if c.not_null else "")
        for c in columns
    )
    return Statement(sql=sql.SQL("CREATE TABLE {} ({})").format(qualified(name), listed), lock="none that others feel")
