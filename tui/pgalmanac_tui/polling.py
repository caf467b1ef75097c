"""What every look at the server asks again: the last answers are kept for as long as they hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import psycopg

from pgalmanac.actions import GOING
from pgalmanac.config import Settings
from pgalmanac.db import Session
from pgalmanac.details import Pulse, pulse
from pgalmanac.diagnose import diagnose
from pgalmanac.discovery import choose, discover
from pgalmanac.errors import ConfigError, PrivilegeError
from pgalmanac.estimates import estimates, with_sizes
from pgalmanac.findings import Finding, Level, worst
from pgalmanac.forecast import Sizes, unusual
from pgalmanac.history import HistoryError, task_name
from pgalmanac.inspection import Inspection, look
from pgalmanac.recorder import Recorder
from pgalmanac.records import RunRecord, read_runs
from pgalmanac.run import on_standby
from pgalmanac.schedule import Schedule, next_run
from pgalmanac.table_names import TableName
from pgalmanac_tui.kept import Kept
from pgalmanac_tui.snapshot import Snapshot, TableState

__all__ = ["Poll", "level_of"]

_RUNS: Final = 50
_ASK_TIMER_EVERY: Final = timedelta(minutes=1)


class Poll:
    """Looks at a server again and again, over whatever session there is."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is known yet."""
        self._settings = settings
        self._schedule: Schedule | None = None
        # Of which table, and after which run.
        self._timed: tuple[int | None, str | None] = (None, None)
        self._asked_timer: datetime | None = None
        self._sizes = Sizes()
        self._sized: tuple[int, str | None] | None = None
        self._kept: Kept | None = None

    async def look(self, session: Session, wanted: TableName | None, *, fresh: bool) -> Snapshot:
        """The last look if that still holds, which one question tells; else, and for a *fresh* one, another."""
        kept = self._kept
        table = None if kept is None else kept.snapshot.table
        beat = await self._pulse(session, table)
        if not fresh and kept is not None and kept.holds(wanted, beat.fingerprint, beat.now, worker=beat.worker):
            return replace(kept.snapshot, schedule=await self._next_run(table, beat.now), now=beat.now)
        self._kept = None
        if fresh:
            self._sized = None
        snapshot = await self._look(session, wanted)
        # The fingerprint is older than the look: what changes in between is seen by the next one.
        self._kept = Kept(wanted=wanted, fingerprint=beat.fingerprint, snapshot=snapshot)
        return snapshot

    async def _pulse(self, session: Session, table: TableState | None) -> Pulse:
        """The pulse of the server and of a table as it was seen last."""
        oid = None if table is None else table.view.table.oid
        going = () if table is None else (a.oid for a in table.plan.of(*GOING) if a.oid is not None)
        return await pulse(session, oid, self._settings.history_table, tuple(going))

    async def _look(self, session: Session, wanted: TableName | None) -> Snapshot:
        tables = await self._tables(session)
        ref = None if wanted is None else wanted.ref
        try:
            if ref is None:
                ref = self._settings.requested[0] if self._settings.requested else await choose(session)
            recorder = await Recorder.open(session, self._settings.history_table)
            seen = await look(session, self._settings, ref, recorder)
        except (ConfigError, PrivilegeError) as exc:
            beat = await self._pulse(session, None)
            server = replace(session.server, standby=beat.standby)
            return Snapshot(server=server, now=beat.now, tables=tables, trouble=exc.message, remedy=exc.hint)
        beat = await pulse(session, seen.view.table.oid, self._settings.history_table)
        server = replace(session.server, standby=beat.standby)
        table = await self._table(session, seen, recorder, beat.worker)
        return Snapshot(
            server=server,
            now=beat.now,
            tables=tables,
            table=replace(table, findings=(*table.findings, *on_standby(server))),
            schedule=await self._next_run(table, beat.now),
        )

    async def _tables(self, session: Session) -> tuple[TableName, ...]:
        """What can be switched to: the tables that somebody named, else every one that could be maintained."""
        found = await discover(session)
        asked = self._settings.requested
        if not asked:
            return found
        named = (t for ref in asked for t in found if ref.means(t))
        return tuple(dict.fromkeys(named))

    async def _table(self, session: Session, seen: Inspection, recorder: Recorder, worker: int | None) -> TableState:
        found = await estimates(session, seen.view)
        history = recorder.history
        runs: tuple[RunRecord, ...] = ()
        active: RunRecord | None = None
        if history is not None:
            try:
                runs = await read_runs(history, limit=_RUNS, task=task_name(seen.view.table))
                if worker is not None and runs and runs[0].status == "running":
                    active = next(iter(await read_runs(history, limit=1, run_id=runs[0].id)), None)
            except (HistoryError, psycopg.errors.InsufficientPrivilege):
                runs = ()
        measured = await self._sizes_after(next((r.id for r in runs if r.status != "running"), None), seen, recorder)
        return TableState(
            plan=await with_sizes(session, seen.plan),
            findings=_findings(seen, measured),
            sizes=measured,
            counts={c.oid: c for c in found},
            runs=runs,
            past=seen.past,
            worker=worker,
            active=active,
        )

    async def _sizes_after(self, run_id: str | None, seen: Inspection, recorder: Recorder) -> Sizes:
        """What runs measured. Read when another run has ended: nobody else writes it."""
        key = (seen.view.table.oid, run_id)
        if key != self._sized:
            self._sizes = await _measured(seen, recorder)
            self._sized = key
        return self._sizes

    async def _next_run(self, table: TableState | None, now: datetime) -> Schedule | None:
        """Asked once a minute, and for other runs: a timer does not change its mind often, and asking it costs."""
        runs = () if table is None else table.runs
        about = None if table is None else table.view.table.oid, runs[0].id if runs else None
        if about != self._timed or self._asked_timer is None or abs(now - self._asked_timer) > _ASK_TIMER_EVERY:
            self._timed, self._asked_timer = about, now
            self._schedule = await next_run(runs, now)
        return self._schedule


async def level_of(session: Session, settings: Settings, table: TableName, recorder: Recorder) -> Level | None:
    """A table's worst level. Raises what a look raises."""
    seen = await look(session, settings, table.ref, recorder)
    return worst(_findings(seen, await _measured(seen, recorder)))


def _findings(seen: Inspection, measured: Sizes) -> tuple[Finding, ...]:
    """The same that check has."""
    return (*diagnose(seen.view, seen.plan, seen.past), *unusual(seen.view, measured))


async def _measured(seen: Inspection, recorder: Recorder) -> Sizes:
    return await recorder.sizes(seen.view.table, total=seen.view.policy.disk_limit_gb is not None)
