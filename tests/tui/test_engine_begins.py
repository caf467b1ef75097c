"""Work of the engine that is called off in the very moment in which it was to begin."""

from __future__ import annotations

import asyncio
import gc
import threading

from pgalmanac_tui.engine import Engine


async def test_work_that_is_called_off_before_it_begins_is_put_away() -> None:
    """The engine was busy meanwhile. A coroutine that nobody awaited would be complained of, which fails the tests."""
    engine, busy, free = Engine(), threading.Event(), threading.Event()

    async def occupy() -> None:
        busy.set()
        free.wait()

    async def never() -> None:
        raise AssertionError

    occupied = asyncio.create_task(engine.run(occupy()))
    await asyncio.to_thread(busy.wait)
    called_off = asyncio.create_task(engine.run(never()))
    await asyncio.sleep(0)  # so that it has asked the engine
    called_off.cancel()
    await asyncio.sleep(0)  # and now that it be cancelled
    free.set()
    await asyncio.wait([occupied, called_off])
    await asyncio.to_thread(engine.stop)
    gc.collect()

    assert called_off.cancelled()
    assert occupied.exception() is None
