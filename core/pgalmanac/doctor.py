"""Everything that maintaining depends on, looked at once: one line each, ok or what to do. Changes nothing."""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal

import psycopg

from pgalmanac.catalog import inspect
from pgalmanac.config import NO_SCREENS, Settings
from pgalmanac.db import Session, connect, one_line
from pgalmanac.diagnose import pg_partman_unread, stop_pg_partman
from pgalmanac.discovery import requested_or_chosen
from pgalmanac.errors import PgalmanacError
from pgalmanac.history import History, HistoryError
from pgalmanac.history_rights import rights
from pgalmanac.leftovers import Leftovers, read_leftovers
from pgalmanac.log import is_terminal
from pgalmanac.model import KeyType
from pgalmanac.naming import MAX_BYTES
from pgalmanac.systemctl import is_here, properties
from pgalmanac.view import View, view

__all__ = ["Line", "Verdict", "examine"]

_OLDEST: Final = 140_000
_CLOCK_SECONDS: Final = 60
_TIMER: Final = "pgalmanac.timer"


class Verdict(StrEnum):
    """What a line says: all well, worth knowing, or something to do."""

    OK = "ok"
    NOTE = "note"
    FIX = "fix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was looked at, in a sentence; with FIX the sentence says what to do."""

    verdict: Verdict
    topic: str
    message: str


def _ok(topic: str, message: str) -> Line:
    return Line(verdict=Verdict.OK, topic=topic, message=message)


def _note(topic: str, message: str) -> Line:
    return Line(verdict=Verdict.NOTE, topic=topic, message=message)


def _fix(topic: str, message: str) -> Line:
    return Line(verdict=Verdict.FIX, topic=topic, message=message)


async def examine(settings: Settings, environ: Mapping[str, str]) -> tuple[Line, ...]:
    """Look at the server, each table, the timer and the terminal; what cannot be looked at is a line to mend."""
    lines: list[Line] = []
    try:
        async with connect(settings.dsn, read_only=True) as session:
            lines += _server(session)
            lines += [line async for line in _history(session, settings)]
            lines += [line async for line in _tables(session, settings)]
    except PgalmanacError as exc:
        lines.append(_fix("connection", str(exc)))
    lines += await _timer()
    lines += _terminal(environ)
    return tuple(lines)


def _server(session: Session) -> Iterator[Line]:
    server = session.server
    where = f"at {server.address}" if server.address else "over a local socket"
    yield _ok("connection", f"database {server.database} {where}, as role {server.role}")
    yield _ok("pooler", "none that would share sessions stands in between")
    if server.version_num < _OLDEST:
        yield _fix("version", f"PostgreSQL {server.version} is too old: pgalmanac needs 14 or newer")
    else:
        yield _ok("version", f"PostgreSQL {server.version}")
    if server.standby:
        yield _note("server", "a standby: nothing is done here, maintenance runs on the primary")
    if server.superuser:
        yield _note("role", f"{server.role} is a superuser; a role that owns the tables is enough")
    else:
        yield _ok("role", f"{server.role} is no superuser")
    apart = (server.now - datetime.now(UTC)).total_seconds()
    text = "the server's clock and this machine's agree"
    if abs(apart) >= 1:
        text = f"the server's clock is {abs(apart):.0f} seconds {'ahead of' if apart > 0 else 'behind'} this machine's"
    yield _ok("clock", text) if abs(apart) < _CLOCK_SECONDS else _fix("clock", f"{text}: set the wrong one right")


async def _history(session: Session, settings: Settings) -> AsyncIterator[Line]:
    try:
        history = await History.open(session, settings.history_table)
        found = None if history is None else await rights(history)
    except (HistoryError, psycopg.Error) as exc:
        yield _fix("history", one_line(exc))
        return
    if history is None or found is None:
        yield _fix("history", "there is none yet: run pgalmanac init, or the first maintain makes it")
        return
    missing = [t for t in (history.actions, history.stats) if t not in history.tables]
    if missing and not found.may_create:
        names = " and ".join(map(str, missing))
        yield _fix(
            "history", f"{names} {'is' if len(missing) == 1 else 'are'} not there: run pgalmanac init as the owner"
        )
    if found.grants:
        yield _fix("history", "; ".join(found.grants))
    elif not missing or found.may_create:
        yield _ok("history", f"{history.runs}, kept for {settings.history_keep_days} days")


async def _tables(session: Session, settings: Settings) -> AsyncIterator[Line]:
    try:
        refs = await requested_or_chosen(session, settings.requested)
    except PgalmanacError as exc:
        yield _fix("table", str(exc))
        return
    for ref in refs:
        try:
            table = await inspect(session, ref)
            seen = view(table, settings.policy(table.name))
        except PgalmanacError as exc:
            yield _fix(str(ref), str(exc))
            continue
        for line in (*_table(seen), *_left(await read_leftovers(session, seen), str(table.name))):
            yield line


def _table(seen: View) -> Iterator[Line]:
    table, topic = seen.table, str(seen.table.name)
    if table.missing_grants:
        yield _fix(topic, "privileges are missing: " + "; ".join(table.missing_grants))
    else:
        yield _ok(topic, f"{len(table.partitions)} partitions, {seen.interval}; this role may create and drop them")
    days = seen.policy.retention_days
    if not seen.policy.may_drop:
        yield _fix(topic, 'nothing is dropped, since nobody set retention_days (or "forever")')
    elif days is not None:
        yield _ok(topic, f"partitions are dropped {days} days after their end")
    zone = seen.policy.timezone.key
    kind = "instants" if table.key.type is KeyType.TIMESTAMPTZ else f"the wall clock of {zone}"
    yield _ok(topic, f"column {table.key.column} holds {kind}; days begin at midnight of {zone}")
    yield _name_budget(seen, topic)
    if table.default is not None:
        rows = " and holds rows: pgalmanac maintain moves those that it can" if table.default_has_rows else ""
        text = f"{table.default.name} is a default partition, so that a drop locks the whole table for a moment"
        yield _fix(topic, text + rows) if rows else _note(topic, f"{text} (no DETACH CONCURRENTLY)")
    if table.referencing:
        names = ", ".join(map(str, table.referencing))
        yield _note(topic, f"foreign keys of {names} refer to it: a drop locks them too, and referenced rows stay")
    blind = [str(t) for t in (*table.referencing, *table.referenced) if t not in table.lockable]
    if blind:
        right = "SELECT, UPDATE" if table.referencing else "UPDATE"  # referring rows are looked for
        yield _fix(topic, f"GRANT {right} ON {', '.join(blind)}: a drop has to lock both ends of a foreign key")
    if seen.unclear is not None:
        yield _fix(topic, seen.unclear)
    if (stop := stop_pg_partman(table)) is not None:
        yield _fix(topic, f"pg_partman's part_config lists it too, and only one should maintain it: {stop}")
    if (why := pg_partman_unread(table)) is not None:
        yield _note(topic, why)


def _left(left: Leftovers, topic: str) -> Iterator[Line]:
    """What another program left; nothing of it is in the way."""
    if left.indexes:
        names = ", ".join(map(str, left.indexes))
        yield _note(
            topic,
            f"{left.partitions} of its partitions have indexes that the table has not, such as {names}: "
            "new partitions get the table's indexes alone",
        )
    if left.detached:
        first, last = left.detached[0], left.detached[-1]
        names = str(first) if first == last else f"{first} .. {last} ({len(left.detached)})"
        yield _note(
            topic, f"named like its partitions, and detached by somebody or none of it: {names}; nothing drops them"
        )


def _name_budget(seen: View, topic: str) -> Line:
    name = seen.style.name(seen.interval, seen.calendar.period(seen.interval, seen.now), seen.calendar)
    size = len(name.name.encode())
    if size >= MAX_BYTES:
        return _note(topic, f"partition names reach PostgreSQL's {MAX_BYTES} bytes; the table's part is shortened")
    return _ok(topic, f"partition names such as {name.name} take {size} of {MAX_BYTES} bytes")


async def _timer() -> tuple[Line, ...]:
    if not is_here():
        return (_note("timer", "there is no systemd here; deploy/cron shows how cron runs it"),)
    answers = False
    managers: tuple[Literal["--system", "--user"], ...] = ("--system", "--user")
    for manager in managers:
        timer = await properties(manager, _TIMER)
        answers = answers or timer is not None
        if timer is not None and timer.get("LoadState") == "loaded":
            return await _one_timer(manager, timer)
    if not answers:
        return (_note("timer", "no systemd answers here; deploy/cron shows how cron runs it"),)
    return (_note("timer", f"{_TIMER} is not installed; pgalmanac units --install does it"),)


async def _one_timer(manager: Literal["--system", "--user"], timer: Mapping[str, str]) -> tuple[Line, ...]:
    user = " --user" if manager == "--user" else ""
    lines: list[Line] = []
    if timer.get("ActiveState") != "active":
        lines.append(_fix("timer", f"{_TIMER} is installed and does not run: systemctl{user} enable --now {_TIMER}"))
    elif timer.get("UnitFileState") != "enabled":
        lines.append(_fix("timer", f"{_TIMER} runs and would not after a reboot: systemctl{user} enable {_TIMER}"))
    else:
        lines.append(_ok("timer", f"{_TIMER} is enabled; next run {timer.get('NextElapseUSecRealtime') or 'unknown'}"))
    service = await properties(manager, _TIMER.replace("timer", "service")) or {}
    if service.get("Result") == "success":
        ended = service.get("ExecMainExitTimestamp")
        lines.append(_ok("service", f"the last run ended well, {ended}" if ended else "has not run since boot"))
    else:
        status = f"{service.get('Result')}, status {service.get('ExecMainStatus')}"
        lines.append(_fix("service", f"the last run failed ({status}): journalctl{user} -u pgalmanac.service"))
    return tuple(lines)


def _terminal(environ: Mapping[str, str]) -> Iterator[Line]:
    term = environ.get("TERM", "")
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        yield _note("terminal", "standard input or standard error is no terminal, which the dashboard needs")
        return
    if term in NO_SCREENS:
        yield _fix("terminal", f"TERM is {term!r}, which the dashboard cannot draw on: use a terminal emulator")
        return
    size = os.get_terminal_size(sys.stderr.fileno())
    truecolor = environ.get("COLORTERM") in {"truecolor", "24bit"}
    colours = (
        "without colour (NO_COLOR)"
        if environ.get("NO_COLOR")
        else ("24-bit colour" if truecolor else "256 colours" if "256" in term else "few colours")
    )
    utf8 = locale.getencoding().lower().replace("-", "") == "utf8"
    text = f"{term}, {size.columns} by {size.lines}, {colours}, {'UTF-8' if utf8 else 'no UTF-8: glyphs are ASCII'}"
    yield _ok("terminal", text)
