"""The dashboard's only way to the core's I/O: one connection for each concern, all of them on the engine's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from pgalmanac import counts, maintain
from pgalmanac.actions import GOING, Action, ActionKind
from pgalmanac.config import Settings
from pgalmanac.db import Session
from pgalmanac.details import PartitionDetails, Profile, partition_details, profile, pulse
from pgalmanac.errors import BusyError, ConfigError, Interrupted, PrivilegeError
from pgalmanac.estimates import with_sizes
from pgalmanac.findings import Level
from pgalmanac.forecast import Measured
from pgalmanac.history import History, HistoryError
from pgalmanac.inspection import Request, look
from pgalmanac.locks import in_the_way
from pgalmanac.log import scrub
from pgalmanac.model import Bounds, Partition
from pgalmanac.plan import Plan
from pgalmanac.recorder import Recorder
from pgalmanac.records import RunRecord, read_runs
from pgalmanac.results import Blocker, Outcome, PartitionCount, RunReport
from pgalmanac.sizes import trend
from pgalmanac.steps import Needs, detaches_concurrently, needs, shown
from pgalmanac.table_names import TableName, TableRef
from pgalmanac.view import View
from pgalmanac_tui.connection import Connection
from pgalmanac_tui.engine import Engine, call_off
from pgalmanac_tui.polling import Poll, level_of
from pgalmanac_tui.snapshot import Proposal, Snapshot, Step, Wish

__all__ = ["ServerGateway"]

T = TypeVar("T")

# A server that is silent on an open socket answers nothing, for ever.
_LOOK_SECONDS: Final = 20.0
# These have much to do, and who holds a lock meanwhile is in the way of none of it.
_LONG: Final = frozenset({ActionKind.ARCHIVE, ActionKind.RESTORE})


class ServerGateway:
    """The gateway to a real server."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._engine = Engine()
        self._polling = Connection(settings.dsn)
        self._looking = Connection(settings.dsn)
        self._counting = Connection(settings.dsn)
        self._around = Connection(settings.dsn)
        self._poll = Poll(settings)

    def stop(self) -> None:
        """Call off everything, undo it, and disconnect."""
        self._engine.stop(self._polling.close, self._looking.close, self._counting.close, self._around.close)

    # -- looking ------------------------------------------------------------------------------------------------

    async def poll(self, wanted: TableName | None, *, fresh: bool = False) -> Snapshot:
        """One look at the server and one table. Its *table* is the one of the last look where nothing has changed."""
        return await self._engine.run(
            self._polling.use(
                lambda s: self._poll.look(s, wanted, fresh=fresh), what="looking at the server", seconds=_LOOK_SECONDS
            )
        )

    async def levels(self, tables: tuple[TableName, ...]) -> Mapping[TableName, Level | str | None]:
        """Each table's worst level, or why it cannot be told."""

        async def level(session: Session, name: TableName) -> Level | str | None:
            recorder = await Recorder.open(session, self._settings.history_table)
            try:
                return await level_of(session, self._settings, name, recorder)
            except (ConfigError, PrivilegeError) as exc:
                return exc.message

        return {
            name: await self._engine.run(
                self._around.use(partial(level, name=name), what=f"looking at {name}", seconds=_LOOK_SECONDS)
            )
            for name in tables
        }

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
            held = tuple(dict.fromkeys(b.told for b in await _in_the_way(session, seen.plan, seen.plan.todo)))
            beat = await pulse(session, None, self._settings.history_table)
            server = replace(session.server, standby=beat.standby)
            return Proposal(wish=wish, server=server, plan=plan, steps=steps, blockers=held)

        return await self._engine.run(self._looking.use(work, what=f"planning for {table}", seconds=_LOOK_SECONDS))

    async def perform(self, proposal: Proposal, observer: Callable[[Outcome], bool]) -> RunReport:
        """Do what was proposed. Cancelled, it ends or undoes the action under way and closes its row in the history."""
        table = proposal.plan.table.name
        settings = replace(self._settings, only=table.ref)
        return await self._engine.run(_perform(settings, proposal, observer))

    async def in_the_way(self, plan: Plan, action: Action) -> tuple[Blocker, ...]:
        """Who holds a lock now that *action* needs, of a *plan* that is being carried out here."""
        if action.kind in _LONG:
            return ()
        return await self._engine.run(
            self._looking.use(
                lambda s: _in_the_way(s, plan, [action], run=plan.table.oid),
                what="who holds a lock",
                seconds=_LOOK_SECONDS,
            )
        )


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


async def _in_the_way(
    session: Session, plan: Plan, actions: Sequence[Action], *, run: int | None = None
) -> tuple[Blocker, ...]:
    """Who holds a lock now that *actions* need."""
    if not actions:
        return ()
    each = [needs(plan.view, action) for action in actions]
    taken = {oid for needed in each for oid in needed.taken}
    kept = {oid for needed in each for oid in needed.kept} - taken
    alone = detaches_concurrently(plan.table) and all(a.replaces is None for a in actions)
    if run is None and alone and plan.table.oid in taken:
        # Who uses the table now is a reason to wait while it runs, and not to wait with it.
        taken, kept = taken - {plan.table.oid}, kept | {plan.table.oid}
    found = await in_the_way(session, Needs(taken=tuple(taken), kept=tuple(kept)), run=run)
    return tuple(replace(b, told=scrub(b.told)) for b in found)
