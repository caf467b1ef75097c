"""A command's work in this process: its event loop and signals, its patience with the server, and how far it is."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from pgalmanac.actions import Status
from pgalmanac.config import Settings
from pgalmanac.errors import ConnectError, HungUp, Interrupted, PgalmanacError, Terminated
from pgalmanac.log import Stderr
from pgalmanac.notify import notify_status
from pgalmanac.plan import Plan
from pgalmanac.results import CountProgress, Outcome, Progress, RunReport
from pgalmanac.signals import terminate
from pgalmanac.table_names import TableName

__all__ = ["Watch", "patiently", "run"]

T = TypeVar("T")


_LONGEST_PAUSE: Final = 15.0


class Watch:
    """Follows a run: flags that do not count are said before anything is done, then how far it is."""

    def __init__(self, settings: Settings, stderr: Stderr) -> None:
        self._settings = settings
        self._stderr = stderr
        self._total = self._done = 0

    def __call__(self, event: Plan | Outcome | CountProgress | Progress) -> None:
        """Tell the terminal and the service's status line."""
        match event:
            case Plan():
                self._total, self._done = len(event.todo), 0
                self.warn(event.table.name)
                notify_status(f"{event.table.name}: {self._total} to do")
            case Outcome():
                self._done += event.action.status is Status.PLANNED
                self._show(f"{event.action.kind} {event.action.partition}")
            case CountProgress():
                what = f"{event.partitions} of {event.of_partitions} partitions counted, {event.rows:,} rows"
                self._stderr.progress(what, event.share)
            case Progress():
                what = f"{event.partition}: {event.rows:,} of {event.of:,} rows"
                notify_status(what)
                self._stderr.progress(what, event.rows / event.of if event.of else None)

    def _show(self, what: str) -> None:
        notify_status(f"{self._done} of {self._total}: {what}")
        self._stderr.progress(what, min(self._done / self._total, 1.0) if self._total else None)

    def warn(self, name: TableName) -> None:
        """Say which flags do not count for this table."""
        for warning in self._settings.overridden(name):
            self._stderr.warning(warning)


async def patiently(work: Callable[[], Coroutine[Any, Any, RunReport]], seconds: int, stderr: Stderr) -> RunReport:
    """Do *work* again while no server answers, for so many seconds."""
    end, pause = time.monotonic() + seconds, 1.0
    while True:
        try:
            return await work()
        except ConnectError as exc:
            left = end - time.monotonic()
            if left <= 0:
                raise
            stderr.warning(f"{exc.message}; trying again for {left:.0f} seconds")
            notify_status(f"waiting for the database, {left:.0f} seconds left")
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end. A signal cancels it, which undoes the step under way on the server too.

    SIGINT and SIGTERM do, and SIGHUP unless it is ignored, as under nohup: a line that broke must leave nothing
    detached that an archive was read from, and no run open. Only the first signal counts: a second one would break into
    the cleaning up that closes the history.
    """

    async def guarded() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        stopped: list[PgalmanacError] = []

        def stop(error: PgalmanacError) -> None:
            stopped.append(error)
            if len(stopped) == 1 and task is not None:
                task.cancel()

        loop.add_signal_handler(signal.SIGINT, stop, Interrupted("interrupted"))
        loop.add_signal_handler(signal.SIGTERM, stop, Terminated("terminated"))
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, stop, HungUp("the terminal went away"))
        try:
            return await work
        except asyncio.CancelledError as exc:
            if stopped:
                # What the run that was called off has to say besides.
                notes: list[str] = getattr(exc, "__notes__", [])
                raise type(stopped[0])("; ".join([stopped[0].message, *notes])) from None
            raise

    try:
        return asyncio.run(guarded())
    finally:
        signal.signal(signal.SIGTERM, terminate)
