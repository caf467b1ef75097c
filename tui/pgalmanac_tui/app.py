"""The application: state, polling, and the work that outlives a screen. Screens show; the gateway does."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from textual.app import SystemCommand
from textual.screen import Screen
from textual.worker import Worker

from pgalmanac.config import Settings
from pgalmanac.errors import PgalmanacError, internal
from pgalmanac.log import scrub
from pgalmanac_tui.around import Around
from pgalmanac_tui.model import Counting, Link, Model, profile_key
from pgalmanac_tui.screens.main import MainScreen
from pgalmanac_tui.shell import Shell
from pgalmanac_tui.themes import over_ssh

if TYPE_CHECKING:
    from datetime import date

    from pgalmanac.actions import Action
    from pgalmanac.findings import Level
    from pgalmanac.plan import Plan
    from pgalmanac.results import Blocker, PartitionCount
    from pgalmanac.table_names import TableName
    from pgalmanac_tui.almanac import Almanac
    from pgalmanac_tui.changes import Change
    from pgalmanac_tui.entries import Entry
    from pgalmanac_tui.snapshot import Gateway, Proposal, RunRecord, Snapshot, TableState, Wish

__all__ = ["Dashboard", "run"]

P = ParamSpec("P")
T = TypeVar("T")

_SSH_SECONDS: Final = 5.0
# Looking takes at most a tenth of the time.
_SHARE: Final = 10
_FIRST_RETRY: Final = 1.0
_LONGEST_RETRY: Final = 30.0
# So old the details of the chosen partition become.
_CLOSER_SECONDS: Final = 10.0
# An answer that takes longer is said to be late; when it is given up is the gateway's business.
_LATE_SECONDS: Final = 3.0
# Goes on while the machine sleeps, where there is such a clock: what is shown, or planned, grows old meanwhile.
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _seconds() -> float:
    return time.clock_gettime(_CLOCK)


MakeGateway = Callable[[Settings], "Gateway"]


def _server_gateway(settings: Settings) -> Gateway:
    """Made late: it brings the driver, and the first picture does not wait for that."""
    gateway: Gateway = import_module("pgalmanac_tui.gateway").ServerGateway(settings)
    return gateway


def _almanac(table: TableState, counted: Mapping[int, PartitionCount]) -> Almanac:
    """In a thread, in which everything is imported that shows it."""
    import_module("pgalmanac_tui.screens.parts")
    almanac: Almanac = import_module("pgalmanac_tui.almanac").Almanac.of(table, counted)
    return almanac


async def _load_screens() -> None:
    """Import what keys open, so that the first such key is not late."""
    await asyncio.to_thread(import_module, "pgalmanac_tui.screens.doing")


class Dashboard(Shell):
    """Knows the server through its gateway, and tells the screens."""

    def __init__(
        self,
        settings: Settings,
        *,
        make_gateway: MakeGateway = _server_gateway,
        clock: Callable[[], float] = _seconds,
        environ: dict[str, str] | None = None,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Show the server of *settings*. *settled* is called when much has come to stay: a picture, the first look."""
        super().__init__(settings.dashboard, environ)
        self.settings, self._make_gateway, self.clock = settings, make_gateway, clock
        self.label, self.invocation = settings.label, settings.invocation.where
        self.model = Model(read_only=settings.read_only, label=settings.label)
        self._gateway: Gateway | None = None
        self._wanted: TableName | None = None
        self._looked_at = 0.0
        # Whose details are shown, and when they were asked for last.
        self._closer: tuple[Entry, float] | None = None
        self._around = Around()
        # Since when the server owes an answer, None when it owes none.
        self._asked_at: float | None = None
        self._kick = asyncio.Event()
        self._watching = asyncio.Event()
        self._watching.set()
        self._settled = settled
        # The counts of the almanac that is shown.
        self._in_almanac: Mapping[int, PartitionCount] = self.model.counted
        self._paused, self._fresh = False, False
        self._change: Worker[Any] | None = None

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers: all that keys do, and the theme."""
        if isinstance(screen, MainScreen):
            yield from screen.commands()
        yield SystemCommand("theme", "light, dark, or the terminal's own colours", self.action_change_theme)

    def get_default_screen(self) -> MainScreen:
        """The one screen that is always there."""
        return MainScreen(self, self.size)

    @property
    def _main(self) -> MainScreen | None:
        return next((s for s in self.screen_stack if isinstance(s, MainScreen)), None)

    def on_mount(self) -> None:
        """Paint first, then connect."""
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        self._settled()
        self.set_interval(1.0, self._tick)
        self.run_worker(self._poll_forever(), group="poll", exit_on_error=True)

    async def _ask(self, what: Callable[[Gateway], Callable[P, Awaitable[T]]], *about: P.args, **how: P.kwargs) -> T:
        """What the gateway answers. Raises PgalmanacError and nothing else, since whoever asks shows that."""
        try:
            if self._gateway is None:
                self._gateway = await asyncio.to_thread(self._make_gateway, self.settings)
            return await what(self._gateway)(*about, **how)
        except PgalmanacError:
            raise
        except Exception as exc:
            told = internal(exc, hint="run the same on the command line with -vv and report what it says")
            told.message = scrub(told.message)
            raise told from exc

    def disconnect(self) -> None:
        """Call off and undo what is under way; for the very end."""
        if self._gateway is not None:
            self._gateway.stop()

    # -- looking ---------------------------------------------------------------------------------------------

    async def _poll_forever(self) -> None:
        retry = _FIRST_RETRY
        while True:
            await self._watching.wait()
            self._kick.clear()
            began = self._asked_at = self.clock()
            self.model = replace(self.model, retry_in=None)  # it is being tried
            try:
                fresh, self._fresh = self._fresh, False
                await self._look(await self._ask(lambda g: g.poll, self._wanted, fresh=fresh))
                if self._paused or not self.app_focus:  # this look was wanted, and no further one
                    self._watching.clear()
                retry = _FIRST_RETRY
                pause = max(float(self.settings.dashboard.refresh_seconds), (self.clock() - began) * _SHARE)
                pause = max(pause, _SSH_SECONDS) if self.over_ssh else pause
            except PgalmanacError as exc:
                pause = retry * random.uniform(0.8, 1.2)  # noqa: S311  # so that many dashboards do not come back at once
                retry = min(retry * 2, _LONGEST_RETRY)
                self._asked_at = None
                self._update(link=Link.LOST, problem=exc, retry_in=pause, waiting=None)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._kick.wait()

    async def _look(self, snapshot: Snapshot) -> None:
        almanac = self.model.almanac
        if almanac is None or almanac.state is not snapshot.table or self._in_almanac is not self.model.counted:
            first = almanac is None
            almanac = await self._almanac(snapshot.table)
            if first and almanac is not None:
                self._settled()
                self._instead("load", _load_screens)
        self._looked_at, self._asked_at = self.clock(), None
        link = Link.PAUSED if self._paused else Link.LIVE
        now = snapshot.now
        self._update(link=link, snapshot=snapshot, almanac=almanac, now=now, problem=None, retry_in=None, waiting=None)
        if self._closer is not None and self.clock() - self._closer[1] >= _CLOSER_SECONDS:
            self.look_closer(self._closer[0])

    async def _almanac(self, table: TableState | None) -> Almanac | None:
        """Ten thousand partitions take a tenth of a second, in which keys should still be heard."""
        counted = self.model.counted
        almanac = None if table is None else await asyncio.to_thread(_almanac, table, counted)
        self._in_almanac = counted
        return almanac

    def _update(self, **changes: Any) -> None:  # noqa: ANN401  # the fields of Model
        self.model = replace(self.model, **changes)
        if (main := self._main) is not None:
            main.show()

    def _tick(self) -> None:
        """The clock runs on between two looks."""
        model = self.model
        if model.snapshot is not None:
            now = model.snapshot.now + timedelta(seconds=int(self.clock() - self._looked_at))
            model = replace(model, now=now)
        if model.retry_in is not None:
            model = replace(model, retry_in=max(model.retry_in - 1, 0.0))
        late = 0.0 if self._asked_at is None else self.clock() - self._asked_at
        model = replace(model, waiting=late if late >= _LATE_SECONDS else None)
        self.model = model
        if self.app_focus and (main := self._main) is not None:
            main.tick()
            self._look_around()

    def redraw(self) -> None:
        """A fresh picture of a fresh look."""
        self.repaint()
        self._fresh = True
        self._around.forget()
        self.poll_now()

    def poll_now(self) -> None:
        """Look again without waiting."""
        self._watching.set()
        self._kick.set()

    def pause(self) -> None:
        """Stop looking, or go on."""
        self._paused = not self._paused
        if self._paused:
            self._watching.clear()
            self._update(link=Link.PAUSED if self.model.link is Link.LIVE else self.model.link)
        else:
            self._update(link=Link.LIVE if self.model.link is Link.PAUSED else self.model.link)
            self.poll_now()

    def on_app_blur(self) -> None:
        """Nobody looks, so nobody asks."""
        self._watching.clear()

    def on_app_focus(self) -> None:
        """Somebody looks again."""
        if not self._paused:
            self.poll_now()

    def switch(self, table: TableName) -> None:
        """Show another table."""
        if table != (self._wanted or self.model.name):
            self._wanted, self._closer = table, None
            self.workers.cancel_group(self, "counts")
            before = self.model.table
            levels = {**self.model.levels, **({} if before is None else {before.name: before.level})}
            self._update(counting=None, counted={}, details={}, trends={}, profiles={}, levels=levels)
            self.poll_now()

    async def levels(self, tables: tuple[TableName, ...]) -> dict[TableName, Level | str | None]:
        """Each table's health."""
        found = dict(await self._ask(lambda g: g.levels, tables))
        levels = {**self.model.levels, **found}
        if levels != self.model.levels:
            self._update(levels=levels)
        return found

    def _look_around(self) -> None:
        """See how the other tables are. Not with the first look, whose picture comes first."""
        tables = () if self.model.snapshot is None else self.model.snapshot.tables
        if self.model.link is Link.LIVE and self._around.due(tables, self.clock()):
            self._around.began(tables)
            self._instead("around", partial(self._others, tables))

    async def _others(self, tables: tuple[TableName, ...]) -> None:
        began = self.clock()
        for name in tables:
            if name != self.model.name and self.model.link is not Link.LOST:
                with suppress(PgalmanacError):  # it is as it was found last; the list of tables says why
                    await self.levels((name,))
        self._around.ended(began, self.clock())

    async def run_record(self, run_id: str) -> RunRecord | None:
        """One run with its actions."""
        return await self._ask(lambda g: g.run, run_id)

    def _instead(self, group: str, work: Callable[[], Coroutine[Any, Any, None]]) -> Worker[None]:
        """Do *work* in place of what the group does. A coroutine that is called off at once would never be awaited."""
        return self.run_worker(work, group=group, exclusive=True, exit_on_error=False)

    def look_closer(self, entry: Entry) -> None:
        """Fetch the details of a partition, and from now on again and again: who holds a lock on it soon is another."""
        self._closer = entry, self.clock()
        self._instead("details", partial(self._look_closer, entry))

    async def _look_closer(self, entry: Entry) -> None:
        if (partition := entry.partition) is None or self.model.link is Link.LOST:
            return
        with suppress(PgalmanacError):  # the poll says what is wrong with the server
            oid = partition.oid
            found = await self._ask(lambda g: g.details, partition)
            if found is None:
                return
            table = self.model.table
            measured = table is not None and table.sizes.measured
            trend = await self._ask(lambda g: g.trend, partition) if measured else ()
            if (self.model.details.get(oid), self.model.trends.get(oid, ())) != (found, trend):
                details, trends = {**self.model.details, oid: found}, {**self.model.trends, oid: trend}
                self._update(details=details, trends=trends)

    # -- counting --------------------------------------------------------------------------------------------

    def count(self, entries: tuple[Entry, ...], day: date) -> None:
        """Count partitions exactly, one after the other; a new count takes the place of an old one."""
        self._instead("counts", partial(self._count, entries, day))

    def stop_counting(self) -> None:
        """Break a count off."""
        self.workers.cancel_group(self, "counts")

    async def _count(self, entries: tuple[Entry, ...], day: date) -> None:
        almanac = self.model.almanac
        if almanac is None:
            return
        view = almanac.view
        shown: Counting | None = None
        try:
            for done, entry in enumerate(entries):
                if entry.partition is None:
                    continue
                shown = Counting(done=done, total=len(entries), name=entry.name)
                self._update(counting=shown)
                count = await self._ask(lambda g: g.count, view, entry.partition)
                if entry.count is not None:
                    # What could not be counted is still estimated.
                    known = entry.count if count.error is not None else count
                    count = replace(known, bytes=entry.count.bytes, error=count.error)
                self._update(counted={**self.model.counted, count.oid: count})
                if count.error is not None:
                    self.notify(f"counting {count.name}: {count.error}", markup=False, severity="error")
                    return
            if len(entries) == 1 and entries[0].partition is not None and entries[0].bounds is not None:
                bounds = almanac.part(entries[0].bounds, day)
                profile = await self._ask(lambda g: g.profile, view, entries[0].partition, bounds)
                self._update(profiles={**self.model.profiles, profile_key(entries[0], day): profile})
        except PgalmanacError as exc:
            self.notify(exc.message, markup=False, severity="error")
        finally:
            if self.model.counting is shown:  # and not already that of the count which took its place
                self._update(counting=None)
            if self.is_running and self._in_almanac is not self.model.counted:
                self._instead("counted", self._counted)

    async def _counted(self) -> None:
        """The days with their new counts; those of a table that is no more shown are nobody's."""
        table = self.model.table
        almanac = await self._almanac(table)
        if self.model.table is table:
            self._update(almanac=almanac)

    # -- changing: workers of the application, so that leaving a screen ends none of them -----------------------

    async def propose(self, table: TableName, wish: Wish) -> Proposal:
        """What would be done now."""
        return await self._ask(lambda g: g.propose, table, wish)

    def begin(self, proposal: Proposal) -> Change:
        """Start doing it."""
        from pgalmanac_tui.changes import Change

        change = Change(proposal)
        self._change = self.run_worker(self._perform(change), group="change", exit_on_error=False)
        return change

    async def _perform(self, change: Change) -> None:
        try:
            change.report = await self._ask(lambda g: g.perform, change.proposal, change.saw)
        except PgalmanacError as exc:
            change.error = str(exc)
        except asyncio.CancelledError:
            change.error = "broken off: the action under way was undone or had ended, and the run is closed"
            raise
        finally:
            self._around.forget()
            self.poll_now()

    async def in_the_way(self, plan: Plan, action: Action) -> tuple[Blocker, ...]:
        """Who holds a lock now that an action under way needs."""
        return await self._ask(lambda g: g.in_the_way, plan, action)

    def undo(self) -> None:
        """Break off the action under way."""
        if self._change is not None:
            self._change.cancel()


def _settled() -> None:
    """The collector need not go through what stays again and again, with no key heard meanwhile."""
    gc.freeze()
    gc.enable()


def run(settings: Settings) -> int:
    """Open the dashboard and return the process exit code; blocks until it is left. Raises what ended it untimely."""
    mouse = settings.dashboard.mouse
    app = Dashboard(settings, settled=_settled)
    try:
        code = app.run(mouse=mouse == "on" or (mouse == "auto" and not over_ssh(os.environ)))
    finally:
        app.disconnect()
    if app.fault is not None:
        raise app.fault
    return code or app.return_code or 0
