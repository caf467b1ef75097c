"""One partition as it is read for an archive: its columns, its rows and edges, its DDL, and a reader of its batches.

Everything is read in one snapshot. The driver's session is one of its own, and imports the snapshot of ours: that it
sees the same rows on the same server is the server's word.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, LiteralString

from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgalmanac.archive_types import Column, expression, odd_values, stored_edge
from pgalmanac.arrow import library
from pgalmanac.db import Session
from pgalmanac.db_errors import one_line
from pgalmanac.ddl import qualified
from pgalmanac.errors import ArchiveError
from pgalmanac.log import scrub
from pgalmanac.table_names import TableName

__all__ = ["Source", "batches", "driver_conninfo", "read_columns", "read_source"]

# So much Arrow data is one batch and one row group: bounded memory at any size of the partition.
BATCH_BYTES: Final = 8 << 20
# How values are printed and read back; the rest is as in db.py. The same scan gives the same order of rows.
_SETTINGS: Final = (
    *("search_path=pg_catalog", "TimeZone=UTC", "DateStyle=ISO,YMD", "IntervalStyle=postgres", "bytea_output=hex"),
    *("extra_float_digits=1", "xmloption=content", "statement_timeout=0", "row_security=off"),
    *("synchronize_seqscans=off", "idle_in_transaction_session_timeout=0", "client_connection_check_interval=500ms"),
)

_COLUMNS: Final[LiteralString] = """
WITH RECURSIVE base AS (
    SELECT a.attnum, a.atttypid AS oid, a.atttypmod AS modifier, false AS domain
      FROM pg_attribute a WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attnum, t.typbasetype, t.typtypmod, true FROM base b JOIN pg_type t ON t.oid = b.oid AND t.typtype = 'd'
)
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), t.typname::text,
       n.nspname = 'pg_catalog' AND t.typtype <> 'd', b.modifier, b.domain, a.attnotnull, a.attgenerated <> ''
  FROM pg_attribute a JOIN base b ON b.attnum = a.attnum
  JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd' JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE a.attrelid = %(oid)s ORDER BY a.attnum
"""
_DDL: Final[LiteralString] = """
SELECT format('CREATE TABLE %%s (%%s)', %(oid)s::oid::regclass,
              string_agg(format('%%I %%s', a.attname, format_type(a.atttypid, a.atttypmod))
                         || CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation
                                 ELSE '' END
                         || CASE WHEN a.attgenerated <> '' THEN ' GENERATED ALWAYS AS ('
                                      || pg_get_expr(d.adbin, d.adrelid) || ') STORED'
                                 WHEN d.oid IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) ELSE '' END
                         || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY a.attnum)), 0, ''
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid)),
       1, conname
  FROM pg_constraint WHERE conrelid = %(oid)s AND contype IN ('p', 'u', 'c', 'x', 'f')
UNION ALL
SELECT pg_get_indexdef(i.indexrelid), 2, i.indexrelid::regclass::text
  FROM pg_index i WHERE i.indrelid = %(oid)s
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid)
 ORDER BY 2, 3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is to be archived. *first* and *last* are the key's edges as files store them, *min* and *max* as people."""

    name: TableName
    columns: tuple[Column, ...]
    key: str
    rows: int
    first: str | None
    last: str | None
    min: str | None
    max: str | None
    ddl: tuple[str, ...]
    query: str
    conninfo: str = field(repr=False)
    snapshot: str


async def read_columns(session: Session, oid: int) -> tuple[Column, ...]:
    """The columns of a table, whatever their values."""
    found = await (await session.execute(_COLUMNS, {"oid": oid})).fetchall()
    return tuple(
        Column(
            name=name,
            type=shown,
            base=base,
            builtin=builtin,
            modifier=modifier,
            domain=domain,
            not_null=not_null,
            generated=generated,
        )
        for name, shown, base, builtin, modifier, domain, not_null, generated in found
    )


async def read_source(session: Session, *, oid: int, name: TableName, key: str, lock_timeout_ms: int) -> Source:
    """Look at one table, in the transaction that *session* is in, and offer its snapshot to the driver's session.

    One scan counts the rows, finds the key's edges and the columns with values that need text. Raises ArchiveError
    for a database whose text is in no encoding, and for a table without columns.
    """
    row = await (await session.execute("SELECT pg_export_snapshot(), current_setting('server_encoding')")).fetchone()
    snapshot, encoding = row or ("", "")
    if encoding == "SQL_ASCII":
        raise ArchiveError(
            f"the text of {name} is in no known encoding (SQL_ASCII), which Parquet cannot hold",
            hint="archive it with pg_dump",
        )
    columns = await read_columns(session, oid)
    scan = sql.SQL("SELECT count(*), min({key})::text, max({key})::text, {odd} FROM ONLY {table}").format(
        key=sql.Identifier(key), odd=sql.SQL(", ").join(map(odd_values, columns)), table=qualified(name)
    )
    counted = list[Any](await (await session.execute(scan)).fetchone() or ())
    rows, least, most, *odd = counted
    columns = tuple(replace(column, odd=flag) for column, flag in zip(columns, odd, strict=True))
    keyed = next(column for column in columns if column.name == key)
    first, last = stored_edge(keyed, least), stored_edge(keyed, most)
    if keyed.odd:
        edges = sql.SQL('SELECT min({key}::text COLLATE "C"), max({key}::text COLLATE "C") FROM ONLY {table}').format(
            key=sql.Identifier(key), table=qualified(name)
        )
        first, last = await (await session.execute(edges)).fetchone() or (None, None)
    statements = await (await session.execute(_DDL, {"oid": oid})).fetchall()
    query = sql.SQL("SELECT {} FROM ONLY {}").format(sql.SQL(", ").join(map(expression, columns)), qualified(name))
    return Source(
        name=name,
        columns=columns,
        key=key,
        rows=rows,
        first=first,
        last=last,
        min=least,
        max=most,
        ddl=tuple(text for text, _, _ in statements),
        query=query.as_string(session.conn),
        conninfo=driver_conninfo(session, lock_timeout_ms=lock_timeout_ms),
        snapshot=snapshot,
    )


def driver_conninfo(session: Session, *, lock_timeout_ms: int) -> str:
    """How the driver's own libpq reaches the very server that *session* is on, with the password if there is one."""
    info = session.conn.info
    given = info.get_parameters()
    # One of several hosts was chosen on connecting, and what a service file said is among the parameters by now.
    for name in ("service", "hostaddr", "target_session_attrs", "load_balance_hosts"):
        given.pop(name, None)
    given |= {"host": info.host, "port": str(info.port), "dbname": info.dbname, "user": info.user}
    given |= {"application_name": "pgalmanac archive", "client_encoding": "UTF8"}
    given["options"] = " ".join([given.get("options", ""), *(f"-c {s}" for s in _SETTINGS)])
    given["options"] += f" -c lock_timeout={lock_timeout_ms}"
    if info.password:
        given["password"] = info.password
    return make_conninfo(**{name: value for name, value in given.items() if value})


@contextmanager
def batches(source: Source) -> Generator[Any]:
    """A reader of the table's record batches, as they were in the snapshot; it blocks, and belongs to one thread.

    Raises ArchiveError for whatever the driver or the server says.
    """
    dbapi = library("adbc_driver_postgresql.dbapi")
    try:
        connection = dbapi.connect(source.conninfo, autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                cursor.execute(f"SET TRANSACTION SNAPSHOT '{source.snapshot}'")
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
                cursor.execute(source.query)
                yield cursor.fetch_record_batch()
        finally:
            connection.close()
    except (dbapi.Error, library("pyarrow").ArrowException) as exc:
        raise ArchiveError(
            f"{source.name} could not be read ({scrub(one_line(exc))})", hint="see the server's log"
        ) from exc
