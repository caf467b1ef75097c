"""The thread that talks to the server: who calls work off is let go, and nothing complains of it afterwards."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pgalmanac.errors import ConnectError
from pgalmanac_tui import engine
from pgalmanac_tui.engine import Engine, call_off

if TYPE_CHECKING:
    from collections.abc import Callable


class Work:
    """Work that sleeps until it is called off, and then ends when it may, as it is told to."""

    def __init__(self, end: Callable[[], BaseException]) -> None:
        """Raise *end* at last."""
        self.begun, self.undone, self.ended = threading.Event(), threading.Event(), threading.Event()
        self._end = end

    async def __call__(self) -> None:
        """Begin, and undo."""
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(self.undone.wait)
            self.ended.set()
            raise self._end()


ENDS = [
    pytest.param(asyncio.CancelledError, id="cancelled"),
    pytest.param(lambda: ConnectError("cannot reach the database"), id="failed"),
]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("how", ["twice", "impatient"])
async def test_nobody_complains_of_work_that_ends_after_its_caller_has_gone(
    monkeypatch: pytest.MonkeyPatch, how: str, end: Callable[[], BaseException]
) -> None:
    """Called off twice, or undone for longer than anybody waits: that nobody hears the end is no error."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    if how == "impatient":
        monkeypatch.setattr(engine, "_UNDO_SECONDS", 0.01)
    here, work = Engine(), Work(end)

    caller = asyncio.create_task(here.run(work()))
    await asyncio.to_thread(work.begun.wait)
    caller.cancel()
    if how == "twice":
        await asyncio.sleep(0)  # it is waiting for the undoing now
        caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    del caller
    monkeypatch.undo()
    work.undone.set()
    await asyncio.to_thread(here.stop)
    gc.collect()

    assert work.ended.is_set()  # nor was its undoing called off
    assert [] == complaints


@pytest.mark.parametrize("by", ["caller", "itself"])
async def test_undoing_is_not_called_off(by: str) -> None:
    """Whoever leaves while something is being undone ends the engine: that calls the same work off once more."""
    here, work = Engine(), Work(asyncio.CancelledError)
    stopping = threading.Event()

    async def watch() -> None:
        await asyncio.to_thread(stopping.wait)
        if by == "itself":
            call_off()

    async def watched() -> None:
        watching = asyncio.create_task(watch())
        try:
            await work()
        finally:
            await watching

    caller = asyncio.create_task(here.run(watched()))
    await asyncio.to_thread(work.begun.wait)
    loop = here._started()
    stopping.set()
    if by == "caller":
        caller.cancel()
        await asyncio.sleep(0)
    for _ in range(3):  # the last one hears of the first when it is its turn
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_cancel_all(here), loop))
    work.undone.set()
    await asyncio.to_thread(here.stop)

    assert work.ended.is_set()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def _cancel_all(here: Engine) -> None:
    for task in here._tasks:
        task.cancel()
    await asyncio.sleep(0)


async def test_what_work_returns_raises_and_is_stopped_by() -> None:
    """A result, an error, and the end of the engine, each as the caller would have it from the work itself."""
    here = Engine()

    async def answer() -> int:
        return 42

    async def fail() -> None:
        raise ConnectError("cannot reach the database")

    assert 42 == await here.run(answer())
    with pytest.raises(ConnectError):
        await here.run(fail())
    work = Work(asyncio.CancelledError)
    work.undone.set()
    caller = asyncio.create_task(here.run(work()))
    await asyncio.to_thread(work.begun.wait)
    await asyncio.to_thread(here.stop)
    with pytest.raises(asyncio.CancelledError):
        await caller
