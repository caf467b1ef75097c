"""Everything that maintaining depends on, looked at once: one line each, ok or what to do. Changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, LiteralString

import psycopg

from pgalmanac.bounds import LATEST
from pgalmanac.catalog import inspect
from pgalmanac.config import Settings
from pgalmanac.db import Session, connect
from pgalmanac.db_errors import one_line, translated
from pgalmanac.diagnose import pg_partman_unread, stop_pg_partman
from pgalmanac.diagnose_replication import replication
from pgalmanac.discovery import discover, requested_or_chosen
from pgalmanac.doctor_host import terminal, timer
from pgalmanac.doctor_lines import Line, fix, note, ok
from pgalmanac.errors import PgalmanacError
from pgalmanac.history import History, HistoryError
from pgalmanac.history_rights import rights
from pgalmanac.leftovers import Leftovers, read_leftovers
from pgalmanac.model import KeyType
from pgalmanac.naming import MAX_BYTES
from pgalmanac.replication import read_listings
from pgalmanac.table_names import TableName
from pgalmanac.view import View, view

__all__ = ["examine"]

_OLDEST: Final = 140_000
_CLOCK_SECONDS: Final = 60
# Of a database with hundreds of partitioned tables nobody wants to read more.
_MOST_OTHERS: Final = 20
_WORTH_ANALYSING: Final = 10_000
# Since 14 this is -1 before the first ANALYZE of the table itself.
_ANALYSED: Final[LiteralString] = "SELECT reltuples::int8 FROM pg_class WHERE oid = %s"


async def examine(settings: Settings, environ: Mapping[str, str]) -> tuple[Line, ...]:
    """Look at the server, each table, the timer and the terminal; what cannot be looked at is a line to mend."""
    lines: list[Line] = []
    try:
        async with connect(settings.dsn, read_only=True) as session:
            lines += _server(session)
            lines += [line async for line in _history(session, settings)]
            lines += [line async for line in _tables(session, settings)]
    except PgalmanacError as exc:
        lines.append(fix("connection", str(exc)))
    lines += await timer()
    lines += terminal(environ)
    return tuple(lines)


def _server(session: Session) -> Iterator[Line]:
    server = session.server
    where = f"at {server.address}" if server.address else "over a local socket"
    yield ok("connection", f"database {server.database} {where}, as role {server.role}")
    yield ok("pooler", "none that would share sessions stands in between")
    if server.version_num < _OLDEST:
        yield fix("version", f"PostgreSQL {server.version} is too old: pgalmanac needs 14 or newer")
    else:
        yield ok("version", f"PostgreSQL {server.version}")
    if server.standby:
        yield note("server", "a standby: nothing is done here, maintenance runs on the primary")
    if server.superuser:
        yield note("role", f"{server.role} is a superuser; a role that owns the tables is enough")
    else:
        yield ok("role", f"{server.role} is no superuser")
    apart = (server.now - datetime.now(UTC)).total_seconds()
    text = "the server's clock and this machine's agree"
    if abs(apart) >= 1:
        text = f"the server's clock is {abs(apart):.0f} seconds {'ahead of' if apart > 0 else 'behind'} this machine's"
    yield ok("clock", text) if abs(apart) < _CLOCK_SECONDS else fix("clock", f"{text}: set the wrong one right")


async def _history(session: Session, settings: Settings) -> AsyncIterator[Line]:
    try:
        history = await History.open(session, settings.history_table)
        found = None if history is None else await rights(history)
    except (HistoryError, psycopg.Error) as exc:
        yield fix("history", one_line(exc))
        return
    if history is None or found is None:
        yield fix("history", "there is none yet: run pgalmanac init, or the first maintain makes it")
        return
    missing = [t for t in (history.actions, history.stats) if t not in history.tables]
    if missing and not found.may_create:
        names = " and ".join(map(str, missing))
        yield fix(
            "history", f"{names} {'is' if len(missing) == 1 else 'are'} not there: run pgalmanac init as the owner"
        )
    if found.grants:
        yield fix("history", "; ".join(found.grants))
    elif not missing or found.may_create:
        yield ok("history", f"{history.runs}, kept for {settings.history_keep_days} days")


async def _tables(session: Session, settings: Settings) -> AsyncIterator[Line]:
    try:
        refs = await requested_or_chosen(session, settings.requested)
    except PgalmanacError as exc:
        yield fix("table", str(exc))
        return
    looked_at: set[TableName] = set()
    for ref in refs:
        try:
            with translated(f"table {ref}"):
                table = await inspect(session, ref)
                table = replace(table, listings=await read_listings(session, table))
            looked_at.add(table.name)
            seen = view(table, settings.policy(table.name))
        except PgalmanacError as exc:
            yield fix(str(ref), str(exc))
            continue
        for line in await _planner(session, seen):
            yield line
        for line in (*_table(seen), *_left(await read_leftovers(session, seen), str(table.name))):
            yield line
        for finding in replication(seen):
            yield fix(str(table.name), finding.message)
    for line in await _others(session, settings, looked_at):
        yield line


async def _others(session: Session, settings: Settings, looked_at: set[TableName]) -> list[Line]:
    """The tables that could be maintained too, and that nobody named; pg_partman's are its own."""
    lines: list[Line] = []
    others = [name for name in await discover(session) if name not in looked_at and not settings.names(name)]
    for name in others[:_MOST_OTHERS]:
        with suppress(PgalmanacError), translated(f"table {name}"):
            seen = view(await inspect(session, name.ref), settings.policy(name))
            if seen.table.pg_partman is None or seen.table.pg_partman_unread:
                lines.append(
                    note(str(name), f"partitioned by time, and not among the tables to maintain; {_end(seen)}")
                )
    if len(others) > _MOST_OTHERS:
        lines.append(note("tables", f"{len(others) - _MOST_OTHERS} more tables are partitioned by time"))
    return lines


def _end(seen: View) -> str:
    """Until when the partitions reach."""
    until = seen.covered_until
    if until is None:
        return f"it has no partition for now: inserts {'go to the default one' if seen.table.default else 'fail'}"
    if until == LATEST:
        return "its last partition has no end"
    return f"its partitions end on {seen.calendar.shown(until):%Y-%m-%d}"


async def _planner(session: Session, seen: View) -> list[Line]:
    """That queries on the whole table are planned without its statistics: autovacuum analyses the partitions alone."""
    topic = str(seen.table.name)
    rows = sum(p.rows for p in seen.table.children)
    with translated(f"the statistics of {topic}"):
        row = await (await session.execute(_ANALYSED, [seen.table.oid])).fetchone()
    analysed = -1 if row is None else int(row[0])
    if rows < _WORTH_ANALYSING or rows < analysed * 2:
        return []
    when = "never analysed as a whole" if analysed < 0 else f"last analysed when it had about {analysed:,} rows"
    text = f"{when}, and autovacuum never does that with a partitioned table: ANALYZE {topic}"
    return [note(topic, f"{text} for the plans of queries on it")]


def _table(seen: View) -> Iterator[Line]:
    table, topic = seen.table, str(seen.table.name)
    if table.missing_grants:
        yield fix(topic, "privileges are missing: " + "; ".join(table.missing_grants))
    else:
        yield ok(topic, f"{len(table.partitions)} partitions, {seen.interval}; this role may create and drop them")
    days = seen.policy.retention_days
    if not seen.policy.may_drop:
        yield fix(topic, 'nothing is dropped, since nobody set retention_days (or "forever")')
    elif days is not None:
        yield ok(topic, f"partitions are dropped {days} days after their end")
    zone = seen.policy.timezone.key
    kind = "instants" if table.key.type is KeyType.TIMESTAMPTZ else f"the wall clock of {zone}"
    yield ok(topic, f"column {table.key.column} holds {kind}; days begin at midnight of {zone}")
    yield _name_budget(seen, topic)
    if table.default is not None:
        rows = " and holds rows: pgalmanac maintain moves those that it can" if table.default_has_rows else ""
        text = f"{table.default.name} is a default partition, so that a drop locks the whole table for a moment"
        yield fix(topic, text + rows) if rows else note(topic, f"{text} (no DETACH CONCURRENTLY)")
    if table.referencing:
        names = ", ".join(map(str, table.referencing))
        yield note(topic, f"foreign keys of {names} refer to it: a drop locks them too, and referenced rows stay")
    blind = [str(t) for t in (*table.referencing, *table.referenced) if t not in table.lockable]
    if blind:
        right = "SELECT, UPDATE" if table.referencing else "UPDATE"  # referring rows are looked for
        yield fix(topic, f"GRANT {right} ON {', '.join(blind)}: a drop has to lock both ends of a foreign key")
    if seen.unclear is not None:
        yield fix(topic, seen.unclear)
    if (stop := stop_pg_partman(table)) is not None:
        yield fix(topic, f"pg_partman's part_config lists it too, and only one should maintain it: {stop}")
    if (why := pg_partman_unread(table)) is not None:
        yield note(topic, why)


def _left(left: Leftovers, topic: str) -> Iterator[Line]:
    """What another program left; nothing of it is in the way."""
    if left.indexes:
        names = ", ".join(map(str, left.indexes))
        yield note(
            topic,
            f"{left.partitions} of its partitions have indexes that the table has not, such as {names}: "
            "new partitions get the table's indexes alone",
        )
    if left.detached:
        first, last = left.detached[0], left.detached[-1]
        names = str(first) if first == last else f"{first} .. {last} ({len(left.detached)})"
        yield note(
            topic, f"named like its partitions, and detached by somebody or none of it: {names}; nothing drops them"
        )


def _name_budget(seen: View, topic: str) -> Line:
    name = seen.style.name(seen.interval, seen.calendar.period(seen.interval, seen.now), seen.calendar)
    size = len(name.name.encode())
    if size >= MAX_BYTES:
        return note(topic, f"partition names reach PostgreSQL's {MAX_BYTES} bytes; the table's part is shortened")
    return ok(topic, f"partition names such as {name.name} take {size} of {MAX_BYTES} bytes")
