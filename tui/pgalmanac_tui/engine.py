"""An event loop in a thread of its own, in which everything that talks to the server runs.

Reading ten thousand partitions takes a third of a second of Python. On the interface's loop that would be a third
of a second in which no key is heard; in another thread the two take turns every few milliseconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, TypeVar

__all__ = ["Engine", "call_off"]

T = TypeVar("T")

# A change that is called off undoes its statement and closes its row in the history; so long it may take.
_UNDO_SECONDS: Final = 12.0


_CALL_OFF: ContextVar[Callable[[], None]] = ContextVar("_CALL_OFF")


def call_off() -> None:
    """Call off the engine's work that this is a part of, as its caller would."""
    _CALL_OFF.get()()


async def _undone_once(work: Coroutine[Any, Any, T]) -> T:
    """Do *work*. However often it is called off, it is told so once: a second time would break off its undoing."""
    told = False

    def tell() -> None:
        nonlocal told
        if not told:
            told = True
            task.cancel()

    _CALL_OFF.set(tell)
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            tell()
    return task.result()


class Engine:
    """Runs coroutines elsewhere. A call that is cancelled cancels its work and waits until that is undone."""

    def __init__(self) -> None:
        """Start the thread at the first call, so that an interface that never connects has none."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of *work*, carried out in the engine's thread."""
        loop = self._started()
        done: Future[T] = Future()
        task: list[asyncio.Task[T]] = []

        def finished(ended: asyncio.Task[T]) -> None:
            self._tasks.discard(ended)
            work.close()  # called off in the moment in which it was to begin, it never did
            if ended.cancelled():
                done.cancel()
            elif (error := ended.exception()) is not None:
                done.set_exception(error)
            else:
                done.set_result(ended.result())

        def start() -> None:
            task.append(loop.create_task(_undone_once(work)))
            self._tasks.add(task[0])
            task[0].add_done_callback(finished)

        loop.call_soon_threadsafe(start)
        waiting = asyncio.wrap_future(done)
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:
            loop.call_soon_threadsafe(lambda: task[0].cancel())  # noqa: PLW0108  # it is there by then
            # How it ends is nobody's business any more, whenever that is: asyncio complains of errors that nobody saw.
            waiting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            await asyncio.wait([waiting], timeout=_UNDO_SECONDS)
            raise
        return waiting.result()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
            self._thread.start()
        return self._loop

    def stop(self, *closing: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Call off what is under way, wait until it is undone, close, and end the thread. Blocks; for the very end."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = self._thread = None

        async def wind_up() -> None:
            rest = [t for t in self._tasks if not t.done()]
            for task in rest:
                task.cancel()
            if rest:
                await asyncio.wait(rest, timeout=_UNDO_SECONDS)
            for close in closing:
                await close()

        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(wind_up(), loop).result(timeout=_UNDO_SECONDS + 1)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=1)
        if not thread.is_alive():
            loop.close()
