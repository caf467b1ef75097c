"""One command over its tables: its sessions, which tables are meant, and a report of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pgalmanac.config import Settings
from pgalmanac.db import Session, connect
from pgalmanac.db_errors import translated
from pgalmanac.discovery import requested_or_chosen
from pgalmanac.errors import PgalmanacError, TableBusyError, UsageError
from pgalmanac.findings import Code, Finding, info
from pgalmanac.model import Server
from pgalmanac.plan import Plan
from pgalmanac.recorder import Recorder
from pgalmanac.reference_order import referring_first
from pgalmanac.results import CountProgress, Outcome, Progress, RunReport, TableReport
from pgalmanac.table_names import TableRef

__all__ = ["Observer", "Run", "on_standby"]

# Called as work goes on: a plan before it is applied, each outcome after its transaction closed, how far counting or
# archiving is.
Observer = Callable[["Plan | Outcome | CountProgress | Progress"], None]


def _ignore(_: object) -> None:
    """Observe nothing."""


@dataclass(slots=True, kw_only=True)
class Run:
    """One command over its tables: the settings, the session that works, and the history's own."""

    settings: Settings
    stack: AsyncExitStack
    session: Session
    read_only: bool
    observer: Observer = _ignore
    _history: Session | None = None
    _refs: tuple[TableRef, ...] = ()

    @classmethod
    async def open(
        cls, stack: AsyncExitStack, settings: Settings, *, read_only: bool, observer: Observer | None = None
    ) -> Run:
        """Connect; the session is closed with the *stack*. Raises what connect raises."""
        read_only = read_only or settings.read_only
        session = await _connect(stack, settings, read_only=read_only)
        return cls(settings=settings, stack=stack, session=session, read_only=read_only, observer=observer or _ignore)

    async def recorder(self) -> Recorder:
        """The history as the next table's run sees it: written by commands that write, else read where it exists."""
        return await Recorder.open(
            self.session, self.settings.history_table, apart=None if self.read_only else self._history_session
        )

    async def _history_session(self) -> Session:
        if self._history is None or self._history.conn.closed:
            self._history = await self.stack.enter_async_context(connect(self.settings.dsn))
        return self._history

    async def tables(self) -> tuple[TableRef, ...]:
        """The tables that somebody named, else the one that is meant."""
        if self.settings.only is not None:
            return (self.settings.only,)
        self._refs = self._refs or await requested_or_chosen(self.session, self.settings.requested)
        return self._refs

    async def each(
        self, one: Callable[[TableRef], Awaitable[TableReport]], *, changing: bool = False
    ) -> tuple[TableReport, ...]:
        """A report of every table, in the order in which they are named; one that is broken never stops another.

        Alone, it raises what broke it. What is *changing* something, or shows what would be changed, goes through those
        first that refer to others.
        """
        refs = await self.tables()
        reports: dict[TableRef, TableReport] = {}
        for ref in await referring_first(self.session, refs) if changing else refs:
            try:
                if self.session.conn.closed:
                    self.session = await _connect(self.stack, self.settings, read_only=self.read_only)
                # A connection may be lost at any statement, also between those that say what they were about.
                with translated(f"table {ref}", self.session.server.database):
                    await self.session.rollback()  # what broke the table before may have left its transaction open
                    reports[ref] = await one(ref)
            except TableBusyError as exc:
                reports[ref] = TableReport(table=exc.table, locked=True)
            except UsageError:
                raise
            except PgalmanacError as exc:
                if len(refs) == 1:
                    raise
                reports[ref] = TableReport(table=str(ref), error=exc)
        return tuple(reports[ref] for ref in refs)

    def report(self, command: str, tables: Sequence[TableReport], *, dry_run: bool = False) -> RunReport:
        """The command's report."""
        server = self.session.server
        return RunReport(
            command=command,
            server=server,
            today=server.now.date(),
            dry_run=dry_run,
            tables=tuple(tables),
            findings=on_standby(server),
        )


async def _connect(stack: AsyncExitStack, settings: Settings, *, read_only: bool) -> Session:
    """The session that works; what changes nothing takes no lock."""
    return await stack.enter_async_context(connect(settings.dsn, read_only=read_only, locking=not read_only))


def on_standby(server: Server) -> tuple[Finding, ...]:
    """That this is a standby, if it is one."""
    if not server.standby:
        return ()
    message = f"{server.database} is a standby: nothing is done here, maintenance runs on the primary"
    return (info(Code.STANDBY, message),)
