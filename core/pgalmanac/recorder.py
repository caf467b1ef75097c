"""Records one table's run. A history that cannot be written is a finding and never undoes or prevents maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from pgalmanac.db import Session
from pgalmanac.db_errors import one_line
from pgalmanac.errors import PgalmanacError
from pgalmanac.findings import PastRuns
from pgalmanac.forecast import Sizes
from pgalmanac.history import History, HistoryError, PruneError
from pgalmanac.history_rights import rights
from pgalmanac.history_tables import make_history
from pgalmanac.log import scrub
from pgalmanac.model import PartitionedTable
from pgalmanac.periods import Calendar
from pgalmanac.records import past_runs
from pgalmanac.results import Outcome
from pgalmanac.sizes import measure, sizes
from pgalmanac.table_names import TableName, TableRef

__all__ = ["Recorder"]

T = TypeVar("T")


@dataclass(slots=True)
class Recorder:
    """The history as one run sees it: `None` results and *trouble* where it cannot be had.

    *unpruned* says why a history that was written is not rid of what it need not keep.
    """

    history: History | None = None
    trouble: str | None = None
    unpruned: str | None = None
    run_id: str | None = None
    _seq: int = 0
    # Where the history is to be made when a run begins: a request that is refused before leaves no table behind.
    _wanted: TableRef | None = None
    _session: Session | None = None
    # A session of its own, opened when it is needed.
    _apart: Callable[[], Awaitable[Session]] | None = None
    _moved: bool = False
    _reopened: bool = False
    # Actions that could not be recorded.
    _missing: int = 0
    _writing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, session: Session, ref: TableRef, *, apart: Callable[[], Awaitable[Session]] | None = None
    ) -> Recorder:
        """Find the history. With *apart*, which opens a session for it, runs are recorded and not only read.

        The run that begins creates what is missing of the history, where the role may.
        """
        recorder = cls(_wanted=None if apart is None else ref, _session=session, _apart=apart)
        recorder.history = await recorder._try(History.open(session, ref))
        return recorder

    async def past(self, table: PartitionedTable) -> PastRuns:
        """What the runs so far say; unavailable with the reason."""
        found = None
        if self.history is not None and self.trouble is None:
            found = await self._try(past_runs(self.history, table))
        return found or PastRuns(unavailable=self.trouble)

    async def begin(
        self, table: PartitionedTable, triggered_by: str, details: Mapping[str, Any], *, apart: bool
    ) -> None:
        """Open the run's row before its first action.

        What a run does is recorded *apart*, in a session that neither a rollback nor a lost connection of the working
        one touches. A run that has nothing to do has nothing to undo, and does without a second session.
        """
        if apart and self._apart is not None and not await self._move_apart():
            self.history = None
        if self._wanted is not None and self._session is not None and self.trouble is None:
            self.history = await self._try(make_history(self._session, self._wanted, self.history))
        if self.history is not None:
            self._writing = asyncio.create_task(self._begin(table, triggered_by, details))
            await self._written()

    async def _begin(self, table: PartitionedTable, triggered_by: str, details: Mapping[str, Any]) -> None:
        async def row(history: History) -> None:
            written = await history.begun(table) if self._reopened else None
            self.run_id = written or await history.begin(table, triggered_by, details)

        await self._write(row)

    async def record(self, outcome: Outcome, calendar: Calendar) -> None:
        """Write a finished action, in its order; in a session of its own while the next action is begun.

        Once it is called the action is recorded, also when the waiting is called off.
        """
        self._seq += 1
        before = self._writing
        self._writing = asyncio.create_task(self._record(before, self._seq, outcome, calendar))
        if not self._moved:
            await self._written()
            return
        if before is not None:
            await asyncio.wait([before])
        await asyncio.sleep(0)  # so that it is with the server before the next action is

    async def _record(self, before: asyncio.Task[None] | None, seq: int, outcome: Outcome, calendar: Calendar) -> None:
        if before is not None:
            await before
        if (run_id := self.run_id) is not None:
            self._missing += not await self._write(lambda h: h.record(run_id, seq, outcome, calendar))

    async def _written(self) -> None:
        """Wait for what is being written, which goes on when the waiting is called off."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            written, self._writing = self._writing, None
            written.result()

    async def measure(self, table: PartitionedTable, filled: Mapping[TableName, int]) -> None:
        """Store what the partitions that changed hold now; *filled* has the rows that this run put into some."""
        await self._written()
        if self.history is not None and self.run_id is not None:
            await self._try(measure(self.history, table, filled))

    async def sizes(self, table: PartitionedTable, *, total: bool) -> Sizes:
        """What the runs so far measured; nothing where there is no history. A failure here is no finding."""
        if self.history is None or self.trouble is not None:
            return Sizes()
        try:
            return await sizes(self.history, table, total=total)
        except psycopg.Error:
            await self._recover()
            return Sizes()

    async def finish(self, *, error: str | None, output: str, details: Mapping[str, Any], keep_days: int) -> None:
        """Close the run's row, which says how many actions are not recorded."""
        try:
            await self._written()
        except asyncio.CancelledError:  # nobody waits any longer
            if self._writing is not None:
                self._writing.cancel()
            raise
        trouble = self.trouble
        if self._missing:
            actions = "1 of its actions is" if self._missing == 1 else f"{self._missing} of its actions are"
            trouble = f"{actions} not recorded ({trouble})"
            output = f"{output}; {trouble}" if output else trouble
            details = {**details, "unrecorded": self._missing}
        if (run_id := self.run_id) is not None:
            await self._recover()
            self._reopened = False

            async def close(history: History) -> None:
                try:
                    await history.finish(run_id, error=error, output=output, details=details, keep_days=keep_days)
                except PruneError as exc:
                    self.unpruned = await self._explained(exc.__cause__ or exc)

            await self._write(close)
        # Not before: what is called off while it waits comes here a second time.
        self.trouble = trouble or self.trouble

    async def _write(self, wanted: Callable[[History], Awaitable[None]]) -> bool:
        """Whether *wanted* was done. Where the session is lost it is tried again in a new one, which is opened once.

        Somebody waits for each attempt to connect, if only the action after the next.
        """

        async def done(history: History) -> bool:
            await wanted(history)
            return True

        trouble = self.trouble
        if self.history is None:
            return False
        if await self._try(done(self.history)):
            return True
        if self._reopened or not self.history.session.conn.closed:
            return False
        self._reopened = True
        if not await self._move_apart() or not await self._try(done(self.history)):
            return False
        self.trouble = trouble
        return True

    async def _move_apart(self) -> bool:
        """Whether the history has a session of its own now, a new one."""
        if self._apart is None:
            return False
        try:
            self._session = await self._apart()
        except PgalmanacError as exc:
            self.trouble = self.trouble or exc.message
            return False
        self._moved = True
        self.history = None if self.history is None else replace(self.history, session=self._session)
        return True

    async def _try(self, wanted: Awaitable[T]) -> T | None:
        try:
            return await wanted
        except (psycopg.Error, HistoryError) as exc:
            await self._recover()
            self.trouble = self.trouble or await self._explained(exc)
            return None

    async def _explained(self, exc: BaseException) -> str:
        """The error in one line; a right that this role lacks with the GRANT for it."""
        text = scrub(one_line(exc))
        if self.history is None or not isinstance(exc, errors.InsufficientPrivilege):
            return text
        try:
            grants = (await rights(self.history, writing=self._apart is not None)).grants
        except psycopg.Error:
            await self._recover()
            return text
        return "; ".join([text, *grants])

    async def _recover(self) -> None:
        if self.history is not None and not self.history.session.conn.closed:
            await self.history.session.rollback()
