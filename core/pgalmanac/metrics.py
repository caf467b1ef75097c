"""Observation -> Prometheus' text format, and the file that a textfile collector reads.

Everything is a gauge: a process that lives for a second has nothing to count. No sample carries a timestamp, which
the collector would refuse. `database` and `server` tell the files of several instances apart; an unset label of the
server is an empty one, which is none.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest

import pgalmanac
from pgalmanac.exporter import Observation, Observed
from pgalmanac.findings import Code, Level
from pgalmanac.view import View

__all__ = ["METRICS", "render_metrics", "write_textfile"]

# Each metric's help and its own labels, beside database and server.
METRICS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "build_info": ("The version of pgalmanac and of the server; always 1.", ("version", "postgresql")),
    "last_run_timestamp_seconds": ("When the newest run that ended did so.", ("table",)),
    "last_run_status": ("How the newest run that ended did so: 1 success, 0 error.", ("table",)),
    "last_run_duration_seconds": ("How long it took.", ("table",)),
    "last_run_created": ("How many partitions it created.", ("table",)),
    "last_run_dropped": ("How many partitions it dropped.", ("table",)),
    "last_success_timestamp_seconds": ("When the newest successful run ended; a failure leaves it.", ("table",)),
    "partitions": ("Partitions by state: past, current, future, default, detach_pending, other.", ("table", "state")),
    "runway_seconds": ("Whole days after today that partitions cover without a break, in seconds.", ("table",)),
    "today_exists": ("Whether an insert for now finds a partition: 1 yes, 0 no.", ("table",)),
    "stray_rows": ("Rows in the default partition, counted up to 100000; 1 if that takes more than 1 s.", ("table",)),
    "last_period_rows": ("Rows of the newest complete partition, as the server estimates them.", ("table",)),
    "last_period_bytes": ("Size of the newest complete partition with its indexes.", ("table",)),
    "table_rows": ("Rows of all partitions, as runs last estimated them.", ("table",)),
    "table_bytes": ("Size of all partitions with their indexes, as runs last measured it.", ("table",)),
    "daily_growth_rows": ("Rows of an average day of the last four weeks.", ("table",)),
    "daily_growth_bytes": ("Size of an average day of the last four weeks.", ("table",)),
    "forecast_horizon_bytes": (
        "Size once the oldest day is as old as retention allows, if growth goes on.",
        ("table",),
    ),
    "until_disk_limit_seconds": ("Whole days until the disk limit is reached, in seconds; none if never.", ("table",)),
    "unusual_partitions": (
        "Partitions of the last 7 days with no events, or unusually many or few.",
        ("table", "code"),
    ),
    "findings": ("What check finds, by level.", ("table", "level")),
    "up": ("Whether the table could be looked at: 1 yes, 0 no.", ("table",)),
}
_SECONDS_A_DAY: Final = 86_400
_UNUSUAL: Final = (Code.NO_EVENTS, Code.UNUSUAL_VOLUME)
_STATES: Final[tuple[str, ...]] = ("past", "current", "future", "default", "detach_pending", "other")
# A textfile collector runs as somebody else, and the unit's UMask would keep it out.
_MODE: Final = 0o644


def render_metrics(observation: Observation) -> str:
    """The metrics of one server as Prometheus reads them."""
    registry = CollectorRegistry()
    gauges = {
        name: Gauge(f"pgalmanac_{name}", about, ("database", "server", *labels), registry=registry)
        for name, (about, labels) in METRICS.items()
    }
    where = (observation.server.database, observation.label or "")

    def put(name: str, value: float | None, *labels: str) -> None:
        if value is not None:
            gauges[name].labels(*where, *labels).set(value)

    put("build_info", 1, pgalmanac.__version__, observation.server.version)
    for observed in observation.tables:
        table = observed.report.table
        for name, value in _figures(observed).items():
            put(name, value, table)
        for state, number in _states(observed.report.view).items():
            put("partitions", number, table, state)
        levels = Counter(f.level for f in observed.report.findings)
        # A table about which nothing can be said is critical, as in check.
        levels[Level.CRITICAL] += observed.report.error is not None
        for level in Level:
            put("findings", levels[level], table, level)
        if observed.sizes is not None:
            codes = Counter(f.code for f in observed.report.findings)
            for code in _UNUSUAL:
                put("unusual_partitions", codes[code], table, code)
    return generate_latest(registry).decode()


def _figures(observed: Observed) -> dict[str, float | None]:
    """The metrics that have a table for their only label."""
    seen, run, success = observed.report.view, observed.last_run, observed.last_success
    ended = None if run is None else run.completed_at or run.started_at
    return {
        "up": float(observed.report.error is None),
        "last_run_timestamp_seconds": None if ended is None else ended.timestamp(),
        "last_run_status": None if run is None else float(run.status == "success"),
        "last_run_duration_seconds": None if run is None or run.duration_ms is None else run.duration_ms / 1000,
        "last_run_created": None if run is None else run.details.get("created"),
        "last_run_dropped": None if run is None else run.details.get("dropped"),
        "last_success_timestamp_seconds": None if success is None else success.timestamp(),
        "runway_seconds": None if seen is None else seen.runway_days * _SECONDS_A_DAY,
        "today_exists": None if seen is None else float(seen.covered_until is not None),
        "stray_rows": observed.stray_rows,
        "last_period_rows": observed.period_rows,
        "last_period_bytes": observed.period_bytes,
        **_growth(observed),
    }


def _growth(observed: Observed) -> dict[str, float | None]:
    """What the table holds and will hold, as far as runs measured it."""
    sizes, growth, seen = observed.sizes, observed.growth, observed.report.view
    figures: dict[str, float | None] = {}
    if sizes is not None:
        figures |= {"table_rows": sizes.total_rows, "table_bytes": sizes.total_bytes}
    if growth is not None and seen is not None:
        figures |= {
            "daily_growth_rows": growth.rows_a_day,
            "daily_growth_bytes": growth.bytes_a_day,
            "forecast_horizon_bytes": growth.horizon_bytes,
            "until_disk_limit_seconds": None
            if growth.full_on is None
            else (growth.full_on - seen.today).days * _SECONDS_A_DAY,
        }
    return figures


def _states(seen: View | None) -> dict[str, int]:
    """How many partitions are in each state; every state is named, so that none vanishes from a graph."""
    if seen is None:
        return {}
    found: dict[str, int] = dict.fromkeys(_STATES, 0)
    found["default"] = int(seen.table.default is not None)
    for partition in seen.table.partitions:
        bounds = partition.bounds
        if partition.detach_pending:
            state = "detach_pending"
        elif bounds is None or bounds.lower is None or bounds.upper is None:
            state = "other"
        elif bounds.contains(seen.now):
            state = "current"
        else:
            state = "past" if bounds.upper <= seen.now else "future"
        found[state] += 1
    return found


def write_textfile(path: Path, text: str) -> None:
    """Replace *path* in one step, readable for everybody: a collector sees the old file or the new. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), _MODE)
        Path(temporary).replace(path)
    except BaseException:  # also on Ctrl-C: nobody would ever remove it
        with suppress(OSError):
            Path(temporary).unlink()
        raise
