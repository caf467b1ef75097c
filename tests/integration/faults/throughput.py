"""How much of their throughput writers keep while maintenance waits for a lock that somebody holds.

Writers write as fast as they can. A reader of the whole table holds its transaction open all the time; half of the
windows have a maintenance run that waits for it, the other half have none, in turn. So whatever else the machine does
is in both, and the quotient is the figure.
"""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from integration.faults.catalogue import holding
from integration.faults.harness import Bench, Rig
from support import rows

if TYPE_CHECKING:
    import subprocess

__all__ = ["KINDS", "Quotient", "throughput"]

WINDOW_SECONDS: Final = 5.0
# A run that takes no lock to wait with, because it looks first whether it would get it, has begun to wait by then.
_BEGUN_SECONDS: Final = 3.0
# Attempts follow each other in about three seconds: a window must not always begin with one.
_PHASE_SECONDS: Final = 3.0
# What the run waits with: creating (without a default partition that waits for nobody), the same with stray rows to
# move, or dropping, for which all else is done before.
KINDS: Final = ("create", "move", "drop")
_ATTEMPTS: Final = (
    "SELECT FROM pg_stat_activity WHERE application_name = 'pgalmanac' AND datname = current_database()"
    " AND wait_event_type = 'Lock'"
)


@dataclass(slots=True)
class Quotient:
    """Inserts a second of each window, without a run that waits and with one."""

    kind: str
    without: list[float] = field(default_factory=list[float])
    waiting: list[float] = field(default_factory=list[float])

    @property
    def kept(self) -> float:
        """The share of the throughput that is left: of the sums, so that a slow moment of the machine weighs little."""
        return sum(self.waiting) / sum(self.without)

    def __str__(self) -> str:
        """One line."""
        pairs = sorted(w / n for w, n in zip(self.waiting, self.without, strict=True))
        return (
            f"{self.kind:7} writers keep {self.kept:.0%}  (pairs {pairs[0]:.0%} to {pairs[-1]:.0%}, median"
            f" {median(pairs):.0%}; {median(self.without):.0f} inserts/s without, {median(self.waiting):.0f} with;"
            f" {len(pairs)} pairs of {WINDOW_SECONDS:.0f} s)"
        )


def throughput(rig: Rig, kind: str, *, pairs: int) -> Quotient:
    """Measure *pairs* pairs of windows on a new table of the rig."""
    rig.stray = kind == "move"
    rig.prepare()
    bench = Bench(rig.conninfo, rig.policy, retry_seconds=3600)
    if kind == "drop":
        bench.run("maintain", "--retention-days", "100", "--premake-days", "4")
    found = Quotient(kind=kind)
    with rig:
        time.sleep(1)
        for number in range(pairs):
            for waiting in (True, False) if number % 2 else (False, True):
                with holding(rig, "SELECT count(*) FROM log", seconds=600):
                    process = _waits(rig, bench, kind) if waiting else None
                    time.sleep(random.uniform(0, _PHASE_SECONDS))
                    (found.waiting if waiting else found.without).append(_window(rig))
                    if process is not None:
                        process.send_signal(signal.SIGTERM)
                        bench.end(process)
    return found


def _waits(rig: Rig, bench: Bench, kind: str) -> subprocess.Popen[str]:
    """A run that has begun to wait. Raises RuntimeError for one that ends."""
    retention = "5" if kind == "drop" else "100"
    process = bench.start("maintain", "--retention-days", retention, "--premake-days", "4")
    begun = time.monotonic()
    while not rows(rig.conninfo, _ATTEMPTS) and time.monotonic() < begun + _BEGUN_SECONDS:
        if process.poll() is not None:
            bench.end(process)
            raise RuntimeError(f"the run does not wait, it ended: {bench.output[-1]}")
        time.sleep(0.01)
    return process


def _window(rig: Rig) -> float:
    before, begun = rig.tally.inserted, time.monotonic()
    time.sleep(WINDOW_SECONDS)
    return (rig.tally.inserted - before) / (time.monotonic() - begun)
