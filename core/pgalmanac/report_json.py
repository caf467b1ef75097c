"""report -> the one JSON document of a command. Its keys are an interface: more may come, none goes or changes.

Moments are ISO 8601 in the table's time zone with its offset, days are days of that zone, unbounded is null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from pgalmanac.actions import Status
from pgalmanac.errors import PgalmanacError
from pgalmanac.findings import Finding
from pgalmanac.model import Partition
from pgalmanac.report_kept import kept_action, kept_document
from pgalmanac.report_nagios import check_findings, check_level
from pgalmanac.results import Outcome, PartitionCount, RunReport, Statistics, TableReport
from pgalmanac.view import View

if TYPE_CHECKING:
    from pgalmanac.records import RunRecord

__all__ = ["error_document", "history_document", "init_document", "report_document", "to_text"]

SCHEMA: Final = 1


def to_text(document: Mapping[str, Any]) -> str:
    """The document as text, in ASCII: whatever a name contains, no terminal or log obeys it."""
    return json.dumps(document, indent=2)


def error_document(command: str | None, exit_code: int, message: str, hint: str | None) -> dict[str, Any]:
    """What is printed instead of a document when the command could not go on."""
    return {"command": command, "exit_code": exit_code, "error": {"message": message, "hint": hint}}


def report_document(report: RunReport, exit_code: int) -> dict[str, Any]:
    """The document of a command that looked at tables: maintain, fix, create, drop, check or status."""
    server = report.server
    head = {
        "schema": SCHEMA,
        "command": report.command,
        "server": None
        if server is None
        else {"version": server.version, "database": server.database, "standby": server.standby},
        "today": _day(report.today),
    }
    tail = {
        "exit_code": exit_code,
        "findings": _findings(report.findings),
        "tables": [_TABLES.get(report.command, _run)(table) for table in report.tables],
    }
    match report.command:
        case "check":
            return {**head, "level": check_level(report), **tail}
        case "status" | "trash" | "pins":
            return {**head, **tail}
        case _:
            return {**head, "dry_run": report.dry_run, **tail}


def history_document(runs: Sequence[RunRecord], *, with_actions: bool) -> dict[str, Any]:
    """The runs, newest first, with the columns of the history's tables."""
    documents = [_columns(run, _RUN_COLUMNS) for run in runs]
    if with_actions:
        for run, document in zip(runs, documents, strict=True):
            document["actions"] = [_columns(action, _ACTION_COLUMNS) for action in run.actions]
    return {"schema": SCHEMA, "command": "history", "exit_code": 0, "runs": documents}


def init_document(tables: Sequence[str], configuration: str) -> dict[str, Any]:
    """The tables of the run history, and the text of a configuration to start from."""
    return {
        "schema": SCHEMA,
        "command": "init",
        "exit_code": 0,
        "history": list(tables),
        "configuration": configuration,
    }


def _run(table: TableReport) -> dict[str, Any]:
    document = {
        "table": table.table,
        "today": _today(table.view),
        "run_id": _id(table.run_id),
        "locked": table.locked,
        "error": _error(table.error),
        "created": table.created,
        "dropped": table.dropped,
        "moved_rows": table.moved_rows,
        "skipped": table.count(Status.SKIPPED),
        "refused": table.count(Status.REFUSED),
        "failed": table.count(Status.FAILED),
        "actions": [_action(o, table.view) for o in table.outcomes],
        "findings": _findings(table.findings),
        "statistics": _statistics(table.statistics, table.view),
    }
    document |= {word.replace(" ", "_"): number for word, number in table.kept.items() if number}
    return document if table.proved is None else {**document, "proved": table.proved}


def _check(table: TableReport) -> dict[str, Any]:
    seen = table.view
    partitions = seen.table.ranged if seen is not None else ()
    document = {
        "table": table.table,
        "today": _today(seen),
        "error": _error(table.error),
        "today_exists": None if seen is None else seen.coverage.covered(seen.now),
        "runway_days": None if seen is None else seen.runway_days,
        "partitions": None if seen is None else len(seen.table.partitions),
        "oldest": str(partitions[0].name) if partitions else None,
        "newest": str(partitions[-1].name) if partitions else None,
        "findings": _findings(check_findings(table)),
    }
    return document if table.proved is None else {**document, "proved": table.proved}


def _status(table: TableReport) -> dict[str, Any]:
    known = {} if table.view is None else {p.oid: p for p in table.view.table.children}
    return {
        "table": table.table,
        "today": _today(table.view),
        "error": _error(table.error),
        "findings": _findings(table.findings),
        "statistics": _statistics(table.statistics, table.view),
        "partitions": [_partition(count, known.get(count.oid), table.view) for count in table.counts],
    }


_TABLES: Final[Mapping[str, Callable[[TableReport], dict[str, Any]]]] = {
    "check": _check,
    "status": _status,
    "trash": lambda table: kept_document(table, "trash"),
    "pins": lambda table: kept_document(table, "pins"),
}


def _partition(count: PartitionCount, found: Partition | None, seen: View | None) -> dict[str, Any]:
    bounds = None if found is None else found.bounds
    return {
        "name": str(count.name),
        "lower": None if bounds is None else _moment(bounds.lower, seen),
        "upper": None if bounds is None else _moment(bounds.upper, seen),
        "rows": count.rows,
        "rows_exact": count.exact,
        "min": _moment(count.oldest, seen),
        "max": _moment(count.newest, seen),
        "bytes": count.bytes,
        "counted_at": None if count.counted_at is None else count.counted_at.astimezone(UTC).isoformat(),
        "cached": count.cached,
        "error": count.error,
    }


def _action(outcome: Outcome, seen: View | None) -> dict[str, Any]:
    action = outcome.action
    return {
        "action": str(action.kind),
        "partition": str(action.partition),
        "lower": _moment(action.bounds.lower, seen),
        "upper": _moment(action.bounds.upper, seen),
        "reason": str(action.reason),
        "status": str(outcome.status),
        "sql": list(outcome.statements),
        "attempts": outcome.attempts,
        "duration_ms": None if outcome.duration_ms is None else round(outcome.duration_ms, 1),
        "error": outcome.error if outcome.error is not None else action.note,
        **kept_action(outcome, seen),
    }


def _statistics(figures: Statistics | None, seen: View | None) -> dict[str, Any] | None:
    if figures is None:
        return None
    return {
        "partitions": figures.partitions,
        "rows": figures.rows,
        "rows_exact": figures.exact,
        "oldest_event": _moment(figures.oldest_event, seen),
        "newest_event": _moment(figures.newest_event, seen),
        "breakdown_column": figures.breakdown_column,
        "breakdown": [{"value": value, "rows": rows} for value, rows in figures.breakdown],
    }


def _columns(record: object, columns: Iterable[str]) -> dict[str, Any]:
    return {
        column: _id(value) if column in {"id", "run_id"} else _plain(value)
        for column in columns
        for value in [getattr(record, column)]
    }


_RUN_COLUMNS: Final = (
    *("id", "task_name", "started_at", "completed_at", "status", "duration_ms", "output", "error"),
    *("triggered_by", "created_at", "details"),
)
_ACTION_COLUMNS: Final = (
    *("run_id", "seq", "action", "partition", "lower", "upper", "reason", "sql", "status", "attempts", "started_at"),
    *("duration_ms", "rows", "bytes", "sqlstate", "error"),
)


def _plain(value: object) -> object:
    """A column's value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return dict(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else value


def _findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [
        {"level": str(f.level), "code": str(f.code), "message": f.message, "partition": f.partition} for f in findings
    ]


def _error(error: PgalmanacError | None) -> dict[str, Any] | None:
    return None if error is None else {"message": error.message, "hint": error.hint}


def _id(run_id: str | None) -> int | str | None:
    return int(run_id) if run_id is not None and run_id.isascii() and run_id.isdecimal() else run_id


def _today(seen: View | None) -> str | None:
    return None if seen is None else seen.today.isoformat()


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _moment(moment: datetime | None, seen: View | None) -> str | None:
    if moment is None:
        return None
    if seen is None:
        return moment.isoformat()
    try:
        return seen.calendar.shown(moment).isoformat()
    except OverflowError:  # the last hours of year 9999, in a zone ahead of UTC
        return moment.isoformat()
