"""Records one table's run. A history that cannot be written is a finding and never undoes or prevents maintenance."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from pgalmanac.db import Session, one_line, scrub
from pgalmanac.diagnose import PastRuns
from pgalmanac.forecast import Sizes
from pgalmanac.history import History, HistoryError
from pgalmanac.model import PartitionedTable, TableRef
from pgalmanac.periods import Calendar
from pgalmanac.results import Outcome
from pgalmanac.sizes import measure, sizes

__all__ = ["Recorder"]

T = TypeVar("T")


@dataclass(slots=True)
class Recorder:
    """The history as one run sees it: `None` results and *trouble* where it cannot be had."""

    history: History | None = None
    trouble: str | None = None
    run_id: str | None = None
    _seq: int = 0
    # Where the history is to be made when a run begins: a request that is refused before leaves no table behind.
    _wanted: tuple[Session, TableRef] | None = None
    # The same recorder with its history found, as soon as that is.
    _coming: Awaitable[Recorder] | None = None

    @classmethod
    async def open(cls, session: Session, ref: TableRef, *, make: bool) -> Recorder:
        """Find the history; with *make* the run that begins creates what is missing of it, where the role may."""
        recorder = cls(_wanted=(session, ref) if make else None)
        recorder.history = await recorder._try(History.open(session, ref))
        return recorder

    @classmethod
    def later(cls, coming: Awaitable[Recorder]) -> Recorder:
        """A recorder that is still being opened: past waits for it."""
        return cls(_coming=coming)

    async def _arrive(self) -> None:
        if self._coming is not None:
            found, self._coming = await self._coming, None
            self.history, self.trouble = found.history, found.trouble
            self._wanted = found._wanted  # noqa: SLF001  # one of us

    async def past(self, table: PartitionedTable) -> PastRuns:
        """What the runs so far say; unavailable with the reason."""
        await self._arrive()
        found = None
        if self.history is not None and self.trouble is None:
            found = await self._try(self.history.past(table))
        return found or PastRuns(unavailable=self.trouble)

    async def begin(self, table: PartitionedTable, triggered_by: str, details: Mapping[str, Any]) -> None:
        """Open the run's row before its first action."""
        if self._wanted is not None and self.trouble is None:
            self.history = await self._try(History.make(*self._wanted, self.history))
        if self.history is not None:
            self.run_id = await self._try(self.history.begin(table, triggered_by, details))

    async def record(self, outcomes: Sequence[Outcome], calendar: Calendar) -> None:
        """Write finished actions, in their order."""
        for outcome in outcomes:
            self._seq += 1
            if self.history is not None and self.run_id is not None:
                await self._try(self.history.record(self.run_id, self._seq, outcome, calendar))

    async def measure(self, table: PartitionedTable) -> None:
        """Store what the partitions that changed hold now."""
        if self.history is not None and self.run_id is not None:
            await self._try(measure(self.history, table))

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
        """Close the run's row."""
        if self.history is not None and self.run_id is not None:
            await self._try(
                self.history.finish(self.run_id, error=error, output=output, details=details, keep_days=keep_days)
            )

    async def _try(self, wanted: Awaitable[T]) -> T | None:
        try:
            return await wanted
        except (psycopg.Error, HistoryError) as exc:
            self.trouble = self.trouble or scrub(one_line(exc))
            if self.history is not None:
                await self._recover()
            return None

    async def _recover(self) -> None:
        if self.history is not None and not self.history.session.conn.closed:
            await self.history.session.rollback()
