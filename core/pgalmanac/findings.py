"""What findings are, and what is known of past runs when they are made: values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Code", "Finding", "Level", "PastRuns", "critical", "info", "warning", "worst"]


class Level(StrEnum):
    """How bad a finding is; info never changes an exit code."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Code(StrEnum):
    """What a finding is about."""

    TODAY_MISSING = "today_missing"
    RUNWAY_SHORT = "runway_short"
    GAP = "gap"
    INTERVAL_UNKNOWN = "interval_unknown"
    STRAY_ROWS = "stray_rows"
    DETACH_PENDING = "detach_pending"
    ORPHAN_TABLE = "orphan_table"
    DROP_BLOCKED = "drop_blocked"
    PINNED = "pinned"
    TRASH = "trash"
    UNMANAGED_PARTITION = "unmanaged_partition"
    FUSE = "fuse"
    CLOCK = "clock"
    SHRINKING = "shrinking"
    LAST_RUN_FAILED = "last_run_failed"
    LAST_SUCCESS_OLD = "last_success_old"
    HISTORY_UNAVAILABLE = "history_unavailable"
    PROBE_FAILED = "probe_failed"
    PRIVILEGE = "privilege"
    STANDBY = "standby"
    INDEX_INVALID = "index_invalid"
    PG_PARTMAN = "pg_partman"
    SUBSCRIPTION_STALE = "subscription_stale"
    PUBLICATION_INCOMPLETE = "publication_incomplete"
    RETENTION_UNSET = "retention_unset"
    BREAKDOWN_UNKNOWN = "breakdown_unknown"
    # What the history of sizes says; see forecast.py.
    NO_EVENTS = "no_events"
    UNUSUAL_VOLUME = "unusual_volume"
    DISK_LIMIT = "disk_limit"
    # What stands in the way of an answer about a table at all (no server, no such table).
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about what is not as it should be, and what mends it."""

    level: Level
    code: Code
    message: str
    partition: str | None = None


def info(code: Code, message: str, partition: str | None = None) -> Finding:
    """A finding that changes no exit code."""
    return Finding(level=Level.INFO, code=code, message=message, partition=partition)


def warning(code: Code, message: str, partition: str | None = None) -> Finding:
    """A finding that somebody should look into."""
    return Finding(level=Level.WARNING, code=code, message=message, partition=partition)


def critical(code: Code, message: str, partition: str | None = None) -> Finding:
    """A finding because of which inserts fail, or soon will."""
    return Finding(level=Level.CRITICAL, code=code, message=message, partition=partition)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRuns:
    """What the history knows of this table's runs; moments are instants in UTC.

    *unavailable* says why there is no history to ask. *covered_until* and *partitions* were recorded at the end of
    the last successful run.
    """

    unavailable: str | None = None
    last_started: datetime | None = None
    last_failed: str | None = None
    last_success: datetime | None = None
    # There is none, and the successful runs of this name were of a table that is no more.
    table_is_new: bool = False
    covered_until: datetime | None = None
    partitions: int | None = None


def worst(findings: Sequence[Finding]) -> Level | None:
    """The worst level that matters: critical, warning or, when there is nothing but info, None."""
    levels = {f.level for f in findings}
    return next((level for level in (Level.CRITICAL, Level.WARNING) if level in levels), None)
