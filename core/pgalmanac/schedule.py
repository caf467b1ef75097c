"""When the next scheduled run is due: systemd is asked where it is there, else the history of earlier ones tells."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast

from pgalmanac.history import RunRecord

__all__ = ["Schedule", "next_run", "read_timers"]

_PATTERN: Final = "pgalmanac*.timer"
_PATIENCE_SECONDS: Final = 2
# Two nights make a rhythm; a third run at another hour was somebody's own.
_RHYTHM: Final = timedelta(days=1)
_FORGOTTEN: Final = timedelta(hours=26)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The next run, an instant in UTC, and who says so."""

    next_at: datetime
    source: Literal["systemd", "history"]


async def next_run(runs: Sequence[RunRecord], now: datetime) -> Schedule | None:
    """When the next run is due after *now*; None when neither a timer nor the history knows."""
    told = await _ask_systemd()
    if told is not None:
        return Schedule(next_at=told, source="systemd")
    return _from_history(runs, now)


def _from_history(runs: Sequence[RunRecord], now: datetime) -> Schedule | None:
    """A day after the last scheduled run, unless that is so long ago that nothing seems to run any more."""
    last = max((r.started_at for r in runs if r.triggered_by == "scheduler"), default=None)
    if last is None or now - last > _FORGOTTEN:
        return None
    return Schedule(next_at=last + _RHYTHM, source="history")


async def _ask_systemd() -> datetime | None:
    program = shutil.which("systemctl")
    if program is None:
        return None
    arguments = ("list-timers", "--all", "--output=json", _PATTERN)
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return read_timers(out)


def read_timers(text: bytes) -> datetime | None:
    """The earliest next elapse in what `systemctl list-timers --output=json` printed (microseconds since 1970)."""
    try:
        timers = json.loads(text)
    except ValueError:
        return None
    if not isinstance(timers, list):
        return None
    found: list[int] = []
    for timer in cast("list[object]", timers):
        due = cast("dict[str, Any]", timer).get("next") if isinstance(timer, dict) else None
        if isinstance(due, int) and due > 0:
            found.append(due)
    return datetime.fromtimestamp(min(found) / 1_000_000, UTC) if found else None
