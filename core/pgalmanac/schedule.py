"""When the next scheduled run is due: systemd is asked where it is there, else the history of earlier ones tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from pgalmanac.records import RunRecord
from pgalmanac.systemctl import next_elapse

__all__ = ["Schedule", "next_run"]

_PATTERN: Final = "pgalmanac*.timer"
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
    told = await next_elapse(_PATTERN)
    if told is not None:
        return Schedule(next_at=told, source="systemd")
    return _from_history(runs, now)


def _from_history(runs: Sequence[RunRecord], now: datetime) -> Schedule | None:
    """A day after the last scheduled run, unless that is so long ago that nothing seems to run any more."""
    last = max((r.started_at for r in runs if r.triggered_by == "scheduler"), default=None)
    if last is None or now - last > _FORGOTTEN:
        return None
    return Schedule(next_at=last + _RHYTHM, source="history")
