"""What the metrics say of each table: the same findings as check, its last runs, what it holds and how it grows."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg import errors, sql

from pgalmanac.config import Settings
from pgalmanac.db import Session, connect
from pgalmanac.db_errors import translated
from pgalmanac.ddl import qualified
from pgalmanac.default_rows import in_time
from pgalmanac.diagnose import diagnose
from pgalmanac.discovery import requested_or_chosen
from pgalmanac.errors import PgalmanacError
from pgalmanac.estimates import estimates_of
from pgalmanac.forecast import Forecast, Sizes, forecast, unusual
from pgalmanac.history import task_name
from pgalmanac.inspection import look
from pgalmanac.model import Partition, Server
from pgalmanac.recorder import Recorder
from pgalmanac.records import RunRecord, read_runs
from pgalmanac.results import TableReport
from pgalmanac.table_names import TableRef
from pgalmanac.view import View

__all__ = ["Observation", "Observed", "observe"]

# Stray rows are counted up to here: more of them need no exact number, and a default partition can be huge.
MOST_STRAYS: Final = 100_000
# How far back the last finished run is looked for, past those that were interrupted or go on.
_RUNS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One table: what check would report, and figures. Moments are instants in UTC; None is unknown.

    *last_run* is the newest one that has ended. *period_rows* (an estimate) and *period_bytes* are of the newest
    partition that is complete. *sizes* and *growth* are what runs measured, and None before the first did.
    """

    report: TableReport
    last_run: RunRecord | None = None
    last_success: datetime | None = None
    stray_rows: int | None = None
    period_rows: int | None = None
    period_bytes: int | None = None
    sizes: Sizes | None = None
    growth: Forecast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Every table of one server at one time."""

    server: Server
    label: str | None
    tables: tuple[Observed, ...]


async def observe(settings: Settings) -> Observation:
    """Look at every table and change nothing. A table that cannot be looked at is one with an error."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(connect(settings.dsn, read_only=True))
        refs = await requested_or_chosen(session, settings.requested)
        tables: list[Observed] = []
        for ref in refs:
            try:
                if session.conn.closed:
                    session = await stack.enter_async_context(connect(settings.dsn, read_only=True))
                with translated(f"the figures of {ref}"):
                    await session.rollback()  # what broke the table before may have left its transaction open
                    tables.append(await _observe_one(session, settings, ref))
            except PgalmanacError as exc:
                tables.append(Observed(report=TableReport(table=str(ref), error=exc)))
        return Observation(server=session.server, label=settings.label, tables=tuple(tables))


async def _observe_one(session: Session, settings: Settings, ref: TableRef) -> Observed:
    recorder = await Recorder.open(session, settings.history_table)
    seen = await look(session, settings, ref, recorder)
    table = seen.view.table
    ended: list[RunRecord] = []
    if recorder.history is not None and recorder.trouble is None:
        try:
            runs = await read_runs(recorder.history, limit=_RUNS, task=task_name(table))
            ours = (run for run in runs if run.details.get("parent_oid", table.oid) == table.oid)
            ended = [run for run in ours if run.status in {"success", "error"}]
        except psycopg.Error:
            await session.rollback()  # diagnose says what is the matter with the history
    complete = _newest_complete(seen.view)
    size = None if complete is None else next(iter(await estimates_of(session, [complete])), None)
    measured = await recorder.sizes(table, total=True)
    findings = (*diagnose(seen.view, seen.plan, seen.past), *unusual(seen.view, measured))
    return Observed(
        report=TableReport(table=str(table.name), view=seen.view, findings=findings),
        last_run=next(iter(ended), None),
        last_success=seen.past.last_success,
        stray_rows=await _strays(session, table.default) if table.default_has_rows else _none_or_unknown(seen.view),
        period_rows=None if size is None else size.rows,
        period_bytes=None if size is None else size.bytes,
        sizes=measured if measured.measured else None,
        growth=forecast(seen.view, measured),
    )


def _none_or_unknown(seen: View) -> int | None:
    """No stray rows: for certain, or the default partition could not be read."""
    return None if seen.table.default_has_rows is None else 0


def _newest_complete(seen: View) -> Partition | None:
    """The newest partition whose whole period lies in the past."""
    past = (p for p in reversed(seen.table.ranged) if p.bounds is not None and p.bounds.upper is not None)
    return next((p for p in past if p.bounds is not None and p.bounds.upper and p.bounds.upper <= seen.now), None)


async def _strays(session: Session, default: Partition | None) -> int | None:
    if default is None:
        return 0
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM ONLY {} LIMIT {}) AS strays").format(
        qualified(default.name), MOST_STRAYS
    )
    try:
        row = await in_time(session, query)
    except (errors.LockNotAvailable, errors.InsufficientPrivilege, errors.UndefinedTable):
        return None
    return row[0] if row else 1  # one was met
