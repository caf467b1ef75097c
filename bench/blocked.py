"""pgalmanac with a watch on its interface: every turn of the event loop that took long goes into a file.

`python blocked.py FILE ARGUMENT…` is `pgalmanac ARGUMENT…`. A turn is all that runs between two moments in which a key
could be heard. A line of JSON each: when it began (seconds of the monotonic clock, which all processes share), how many
milliseconds it took, for how many of them this thread was computing, and for how many it was ready and waited for a
processor, which is what other processes did and not the program. The rest it waited for the engine's thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

# Shorter ones nobody notices.
LONG_SECONDS = 0.005


def watch(found: IO[str]) -> None:
    """Write down each long turn of the main thread's loop."""
    handle: Any = asyncio.Handle
    run = handle._run  # noqa: SLF001  # there is no public place between two turns
    main = threading.main_thread()
    waited = _waits()

    def timed(self: Any) -> None:  # noqa: ANN401  # a Handle, whose callback is no public attribute
        if threading.current_thread() is not main:
            run(self)
            return
        what, waiting, began, computing = self._callback, waited(), time.monotonic(), time.thread_time()
        run(self)
        took = time.monotonic() - began
        if took >= LONG_SECONDS:
            turn = {
                "at": began,
                "ms": took * 1000,
                "cpu_ms": (time.thread_time() - computing) * 1000,
                "others_ms": waited() - waiting,
                "what": _name(what),
            }
            found.write(json.dumps(turn) + "\n")

    handle._run = timed  # noqa: SLF001  # as above


def _waits() -> Callable[[], float]:
    """For how many milliseconds this thread was ready and waited for a processor; 0 where the system does not tell."""
    try:
        file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    except OSError:
        return lambda: 0.0
    return lambda: int(os.pread(file, 100, 0).split()[1]) / 1e6


def _name(callback: Any) -> str:  # noqa: ANN401  # anything that can be called
    task = getattr(callback, "__self__", None)
    return task.get_name() if isinstance(task, asyncio.Task) else repr(callback)[:120]


if __name__ == "__main__":
    from pgalmanac.cli import main

    path, *rest = sys.argv[1:]
    sys.argv = ["pgalmanac", *rest]
    with Path(path).open("w", encoding="utf-8", buffering=1) as file:
        watch(file)
        sys.exit(main())
