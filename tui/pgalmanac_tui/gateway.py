"""The dashboard's only way to the core's I/O: one connection for each concern, all of them on the engine's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

import psycopg

from pgalmanac import counts, maintain
from pgalmanac.actions import GOING
from pgalmanac.config import Settings
from pgalmanac.db import Session
from pgalmanac.details import PartitionDetails, Profile, Pulse, partition_details, profile, pulse
from pgalmanac.diagnose import diagnose
from pgalmanac.discovery import choose, discover
from pgalmanac.errors import BusyError, ConfigError, Interrupted, PrivilegeError
from pgalmanac.estimates import estimates, with_sizes
from pgalmanac.findings import Finding, Level, worst
from pgalmanac.forecast import Measured, Sizes, unusual
from pgalmanac.history import History, HistoryError, task_name
from pgalmanac.inspection import Inspection, Request, look
from pgalmanac.locks import blockers
from pgalmanac.log import scrub
from pgalmanac.model import Bounds, Partition, PartitionedTable, TableName, TableRef
from pgalmanac.plan import Plan
from pgalmanac.recorder import Recorder
from pgalmanac.records import RunRecord, read_runs
from pgalmanac.results import Outcome, PartitionCount, RunReport
from pgalmanac.run import on_standby
from pgalmanac.schedule import Schedule, next_run
from pgalmanac.sizes import trend
from pgalmanac.steps import detaches_concurrently, shown
from pgalmanac.view import View
from pgalmanac_tui.connection import Connection
from pgalmanac_tui.engine import Engine, call_off
from pgalmanac_tui.kept import Kept
from pgalmanac_tui.snapshot import Proposal, Snapshot, Step, TableState, Wish

__all__ = ["ServerGateway"]

T = TypeVar("T")

# A server that is silent on an open socket answers nothing, for ever.
_LOOK_SECONDS: Final = 20.0
_RUNS: Final = 50
_ASK_TIMER_EVERY: Final = timedelta(minutes=1)


class ServerGateway:
    """The gateway to a real server."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._engine = Engine()
        self._polling = Connection(settings.dsn)
        self._looking = Connection(settings.dsn)
        self._counting = Connection(settings.dsn)
        self._schedule: Schedule | None = None
        # Of which table, and after which run.
        self._timed: tuple[int | None, str | None] = (None, None)
        self._asked_timer: datetime | None = None
        self._sizes = Sizes()
        self._sized: tuple[int, str | None] | None = None
        self._kept: Kept | None = None

    def stop(self) -> None:
        """Call off everything, undo it, and disconnect."""
        self._engine.stop(self._polling.close, self._looking.close, self._counting.close)

    # -- looking ------------------------------------------------------------------------------------------------

    async def poll(self, wanted: TableName | None, *, fresh: bool = False) -> Snapshot:
        """One look at the server and one table. Its *table* is the one of the last look where nothing has changed."""
        return await self._engine.run(
            self._polling.use(
                lambda s: self._poll(s, wanted, fresh=fresh), what="looking at the server", seconds=_LOOK_SECONDS
            )
        )

    async def _poll(self, session: Session, wanted: TableName | None, *, fresh: bool) -> Snapshot:
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
        ref = None if wanted is None else TableRef(schema=wanted.schema, name=wanted.name)
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
        named = (t for ref in asked for t in found if ref.name == t.name and ref.schema in {None, t.schema})
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

    async def levels(self, tables: tuple[TableName, ...]) -> Mapping[TableName, Level | str | None]:
        """Each table's worst level, or why it cannot be told."""

        async def work(session: Session) -> dict[TableName, Level | str | None]:
            levels: dict[TableName, Level | str | None] = {}
            recorder = await Recorder.open(session, self._settings.history_table)
            for name in tables:
                try:
                    ref = TableRef(schema=name.schema, name=name.name)
                    seen = await look(session, self._settings, ref, recorder)
                    levels[name] = worst(_findings(seen, await _measured(seen, recorder)))
                except (ConfigError, PrivilegeError) as exc:
                    levels[name] = exc.message
            return levels

        return await self._engine.run(self._looking.use(work, what="looking at the tables", seconds=_LOOK_SECONDS))

    async def details(self, partition: Partition) -> PartitionDetails | None:
        """Figures of one partition."""
        return await self._engine.run(
            self._looking.use(
                lambda s: partition_details(s, partition.oid),
                what=f"looking at {partition.name}",
                seconds=_LOOK_SECONDS,
            )
        )

    async def trend(self, partition: Partition) -> tuple[Measured, ...]:
        """What runs measured of one partition, oldest first."""

        async def work(session: Session) -> tuple[Measured, ...]:
            try:
                history = await History.open(session, self._settings.history_table)
            except HistoryError:  # a finding says so
                return ()
            return () if history is None else await trend(history, partition.oid)

        return await self._engine.run(
            self._looking.use(work, what=f"the sizes of {partition.name}", seconds=_LOOK_SECONDS)
        )

    async def run(self, run_id: str) -> RunRecord | None:
        """One recorded run with its actions."""

        async def work(session: Session) -> RunRecord | None:
            history = await History.open(session, self._settings.history_table)
            return None if history is None else next(iter(await read_runs(history, limit=1, run_id=run_id)), None)

        return await self._engine.run(self._looking.use(work, what=f"run {run_id}", seconds=_LOOK_SECONDS))

    # -- counting: as long as it takes, until somebody calls it off ----------------------------------------------

    async def count(self, view: View, partition: Partition) -> PartitionCount:
        """The exact count of one partition."""
        blank = PartitionCount(oid=partition.oid, name=partition.name, rows=None, exact=False)

        async def work(session: Session) -> PartitionCount:
            async for count in counts.exact(session, view, [blank]):
                return count
            return blank

        return await self._engine.run(self._counting.use(work, what=f"counting {partition.name}", seconds=None))

    async def profile(self, view: View, partition: Partition, bounds: Bounds) -> Profile:
        """The hours and most frequent values of a partition within *bounds*."""
        return await self._engine.run(
            self._counting.use(
                lambda s: profile(s, view, partition, bounds), what=f"reading {partition.name}", seconds=None
            )
        )

    # -- changing ------------------------------------------------------------------------------------------------

    async def propose(self, table: TableName, wish: Wish) -> Proposal:
        """What *wish* would do now."""

        async def work(session: Session) -> Proposal:
            recorder = await Recorder.open(session, self._settings.history_table)
            ref = TableRef(schema=table.schema, name=table.name)
            seen = await look(session, self._settings, ref, recorder, request=_request(wish))
            plan = await with_sizes(session, seen.plan)
            steps = tuple(
                Step(
                    action=action,
                    statements=tuple(
                        (s.sql.as_string(session.conn), s.lock) for s in shown(seen.view, action, seen.structure)
                    ),
                )
                for action in plan.todo
            )
            held = await _in_the_way(session, seen.plan)
            beat = await self._pulse(session, None)
            server = replace(session.server, standby=beat.standby)
            return Proposal(wish=wish, server=server, plan=plan, steps=steps, blockers=held)

        return await self._engine.run(self._looking.use(work, what=f"planning for {table}", seconds=_LOOK_SECONDS))

    async def perform(self, proposal: Proposal, observer: Callable[[Outcome], bool]) -> RunReport:
        """Do what was proposed. Cancelled, it ends or undoes the action under way and closes its row in the history."""
        table = proposal.plan.table.name
        settings = replace(self._settings, only=TableRef(schema=table.schema, name=table.name))
        return await self._engine.run(_perform(settings, proposal, observer))


def _findings(seen: Inspection, measured: Sizes) -> tuple[Finding, ...]:
    """The same that check has."""
    return (*diagnose(seen.view, seen.plan, seen.past), *unusual(seen.view, measured))


async def _measured(seen: Inspection, recorder: Recorder) -> Sizes:
    return await recorder.sizes(seen.view.table, total=seen.view.policy.disk_limit_gb is not None)


def _request(wish: Wish) -> Request:
    return Request(command=wish.command, target=wish.target, reason=wish.reason, until=wish.until)


async def _perform(settings: Settings, proposal: Proposal, observer: Callable[[Outcome], bool]) -> RunReport:
    """Perform the wish, dropping only what was shown; stop between two actions when the observer says so."""
    confirmed = frozenset(a.oid for a in proposal.plan.todo if a.kind in GOING and a.oid is not None)
    stopped = False

    def watch(event: object) -> None:
        nonlocal stopped
        if isinstance(event, Outcome) and not observer(event):
            stopped = True
            call_off()

    wish = proposal.wish
    request = replace(_request(wish), confirmed=confirmed)
    try:
        report = await maintain.perform(settings, request, observer=watch)
    except asyncio.CancelledError:
        if stopped:
            raise Interrupted("stopped between two actions", hint="what was done stays done") from None
        raise
    if report.tables and report.tables[0].locked:
        raise BusyError("another run is at work on this table", hint="wait until it is done, and look again")
    return report


async def _in_the_way(session: Session, plan: Plan) -> tuple[str, ...]:
    """Who holds a lock now that the plan needs. Reading and writing rows is in nobody's way but a drop's."""
    table: PartitionedTable = plan.table
    todo = plan.todo
    if not todo:
        return ()
    dropped = [a.oid for a in todo if a.kind in GOING and a.oid is not None]
    whole = bool(dropped) and not detaches_concurrently(table)
    found = await blockers(session, [table.oid], weak=whole)
    if dropped:
        found += await blockers(session, dropped)
    return tuple(dict.fromkeys(scrub(line) for line in found))
