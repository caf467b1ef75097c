"""Connections: session settings, who and what the server is, and what every session can be asked for."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, class_row

from pgalmanac.db_errors import connection_error, is_lost, one_line, translated
from pgalmanac.errors import (
    ConfigError,
    PoolerError,
    ServerError,
)
from pgalmanac.log import scrub
from pgalmanac.model import Server
from pgalmanac.versions import SHARED_COUNTERS, TRANSACTION_TIMEOUT

__all__ = ["LOCK_CLASS", "LOCK_TIMEOUT", "Session", "connect", "credential", "flushed"]

CONNECT_TIMEOUT_SECONDS: Final = 10
_KEEPALIVES: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# Of our reads; a step sets its own.
LOCK_TIMEOUT: Final = "2s"
_CREDENTIAL: Final = "pgalmanac.pgpassword"
# "pgal": a parent's advisory lock has this as its classid in pg_locks, and the table's oid as its objid.
LOCK_CLASS: Final = 0x7067616C

# Who we are, as the role's own settings have it; qualified throughout, because the path is still anybody's. The time is
# a number, because DateStyle and TimeZone are still the role's.
_INTRODUCE: Final[LiteralString] = """
SELECT pg_catalog.current_setting('server_version') AS version,
       pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version_num,
       pg_catalog.current_database()::pg_catalog.text AS database,
       current_user::pg_catalog.text AS role,
       pg_catalog.pg_is_in_recovery() AS standby,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp())::pg_catalog.float8 AS now,
       (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) AS system_id,
       COALESCE(pg_catalog.host(pg_catalog.inet_server_addr()) OPERATOR(pg_catalog.||) ':'
                OPERATOR(pg_catalog.||) pg_catalog.inet_server_port()::pg_catalog.text, '') AS address,
       pg_catalog.current_setting('search_path') AS search_path,
       pg_catalog.current_schemas(false)::pg_catalog.text[] AS schemas,
       pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on' AS superuser,
       pg_catalog.pg_backend_pid() AS backend_pid;
"""
# Our settings. The empty path keeps anybody's functions and operators out of our reads. Bounds are printed in the
# session's TimeZone and DateStyle. A killed client's backend would go on working, and keep our advisory lock, until
# it looks whether anybody is there. When a network or a client falls silent without an end, an open transaction is
# over after ten seconds and the session after one minute. Rows that row security would hide are an error, not a
# smaller count. A partition lies where its siblings lie, and not where the role's new tables would. No commit waits
# for the disk: the log is written in order, so that whatever waits later, as a DROP TABLE always does, takes everything
# before it along; `durable` waits before a run reports. A guard that has waited for its locks has to see what was
# committed meanwhile, whatever isolation the role is used to.
_SETTLE: Final[LiteralString] = """
SET search_path = pg_catalog; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres';
SET statement_timeout = 0; SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '10s';
SET idle_session_timeout = 0; SET client_connection_check_interval = '500ms'; SET row_security = off;
SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET default_tablespace = '';
SET synchronous_commit = off; SET default_transaction_isolation = 'read committed';
"""
# Only what the role may be given by ALTER ROLE and would otherwise end a long move of rows.
_SETTLE_17: Final[LiteralString] = "SET transaction_timeout = 0;"
_READ_ONLY: Final[LiteralString] = "SET default_transaction_read_only = on;"
_WRITABLE: Final[LiteralString] = "SET default_transaction_read_only = off;"
_LOCKING: Final[LiteralString] = "SET idle_session_timeout = '5min';"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Introduction:
    version: str
    version_num: int
    database: str
    role: str
    standby: bool
    now: float
    system_id: str
    address: str
    search_path: str
    schemas: list[str]
    superuser: bool
    backend_pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One connection of ours, in autocommit, and the server behind it as it was on connecting."""

    conn: AsyncConnection[TupleRow]
    server: Server

    async def execute(self, query: sql.Composed | LiteralString, params: Any = None) -> AsyncCursor[TupleRow]:  # noqa: ANN401  # psycopg's own type of parameters
        """Run one statement, or several without parameters in one round trip."""
        return await self.conn.execute(query, params)

    async def read(self, query: sql.Composed) -> list[list[TupleRow]]:
        """Run several statements in one round trip: the rows of each that gives rows."""
        cursor = await self.execute(query)
        found: list[list[TupleRow]] = []
        while True:
            if cursor.description is not None:
                found.append(await cursor.fetchall())
            if not cursor.nextset():
                return found

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed or not."""
        return self.conn.info.transaction_status not in {TransactionStatus.IDLE, TransactionStatus.UNKNOWN}

    async def rollback(self) -> None:
        """End an open transaction without effect; a lost connection has none."""
        if not self.conn.closed and self.in_transaction:
            await self.conn.execute("ROLLBACK")

    @property
    def own_path(self) -> sql.Composed:
        """SET LOCAL of the role's own search path, for statements in which the user's code runs."""
        return sql.SQL("SELECT pg_catalog.set_config('search_path', {}, true); ").format(self.server.search_path)

    async def durable(self) -> None:
        """Wait until all that was committed so far is on the disk, and with synchronous standbys where the role waits.

        The smallest commit that writes to the log, under the role's own setting.
        """
        await self.execute(
            "BEGIN; SET LOCAL synchronous_commit TO DEFAULT; "
            "SELECT pg_logical_emit_message(true, 'pgalmanac', ''); COMMIT"
        )

    async def flush_counters(self) -> None:
        """Add what this session wrote to the server's counters, which it would else do within seconds, or at its end.

        Before 15 nobody can ask for that.
        """
        if self.server.version_num >= SHARED_COUNTERS:
            await self.execute("SELECT pg_stat_force_next_flush()")

    async def unlock(self) -> None:
        """Undo a step that was cancelled, and give the advisory locks back; a lost connection holds none."""
        await self.rollback()
        if not self.conn.closed:
            await self.conn.execute("SELECT pg_advisory_unlock_all()")


async def flushed(session: Session, *, filled: bool = False) -> None:
    """Wait for the disk, and where partitions were *filled* have their rows counted, before sizes are measured.

    Where the role may not ask for either, the server does it by itself within seconds.
    """
    for ask in (session.durable, session.flush_counters) if filled else (session.durable,):
        try:
            await ask()
        except psycopg.Error as exc:
            if is_lost(exc):
                raise
            await session.rollback()


@asynccontextmanager
async def connect(dsn: str, *, read_only: bool = False, locking: bool = False) -> AsyncGenerator[Session]:
    """Open a session on *dsn* (any conninfo or URI; empty means libpq's own defaults) and close it at the end.

    A *locking* one is to hold an advisory lock, and gives it back when nothing was heard of us for five minutes.

    Raises ConnectError, PrivilegeError (password, pg_hba), ConfigError (no such database, bad conninfo) or
    PoolerError.
    """
    conn = await _open(dsn)
    try:
        with translated("the session"):
            introduction = await _introduce(conn, (_READ_ONLY if read_only else _WRITABLE, _LOCKING if locking else ""))
        if introduction.backend_pid != conn.info.backend_pid:
            raise PoolerError(
                "a transaction pooler stands between pgalmanac and the server: settings and locks would leak to others",
                hint="connect to the server itself, or through a pool in session mode",
            )
        yield Session(conn=conn, server=_server(introduction))
    finally:
        # Not a context manager of psycopg's: that one would commit.
        await conn.close()


def credential(environ: Mapping[str, str]) -> str | None:
    """The password that systemd handed to this service, or None. Raises ConfigError for one that cannot be read.

    Not by PGPASSFILE: libpq wants that file closed to the group, and systemd 254 and newer open it to ours.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    try:
        return Path(folder, _CREDENTIAL).read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"the credential {_CREDENTIAL} cannot be read ({exc})", hint="see LoadCredential= in the unit"
        ) from exc


async def _open(dsn: str) -> AsyncConnection[TupleRow]:
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as exc:
        raise ConfigError(
            f"the connection string is not one libpq understands ({scrub(one_line(exc))})",
            hint="write it as host=… dbname=…, or as postgresql://…",
        ) from exc
    extra: dict[str, Any] = {"application_name": "pgalmanac"} if "application_name" not in given else {}
    if "connect_timeout" not in given and "PGCONNECT_TIMEOUT" not in os.environ and "service" not in given:
        extra["connect_timeout"] = CONNECT_TIMEOUT_SECONDS
    # A server that vanished without a word is noticed within a minute; libpq's own patience is the system's two hours.
    extra |= {name: value for name, value in _KEEPALIVES.items() if name not in given and "service" not in given}
    if "password" not in given and "PGPASSWORD" not in os.environ and (password := credential(os.environ)) is not None:
        extra["password"] = password
    try:
        return await AsyncConnection.connect(dsn, autocommit=True, client_encoding="utf8", **extra)
    except psycopg.Error as exc:
        raise connection_error(exc) from exc


async def _introduce(conn: AsyncConnection[TupleRow], settings: tuple[LiteralString, ...]) -> _Introduction:
    """Ask who is there and settle the session, in one round trip."""
    newer = _SETTLE_17 if conn.info.server_version >= TRANSACTION_TIMEOUT else ""
    async with conn.cursor(row_factory=class_row(_Introduction)) as cursor:
        await cursor.execute(_INTRODUCE + _SETTLE + newer + "".join(settings))
        found = await cursor.fetchone()
    if found is None:
        raise ServerError("the server did not say who it is", hint="is it a PostgreSQL?")
    return found


def _server(found: _Introduction) -> Server:
    return Server(
        version=found.version,
        version_num=found.version_num,
        database=found.database,
        role=found.role,
        standby=found.standby,
        now=datetime.fromtimestamp(found.now, UTC),
        system_id=found.system_id,
        address=found.address,
        search_path=found.search_path,
        schemas=tuple(found.schemas),
        superuser=found.superuser,
    )
