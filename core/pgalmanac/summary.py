"""What a table's run leaves in the history: why it failed, one line of what it did, and its figures. Pure."""

from __future__ import annotations

from typing import Any, Final

from pgalmanac.actions import Status
from pgalmanac.results import TableReport

__all__ = ["recorded_details", "summary", "why_failed"]

# How many of the actions that went wrong are told one by one.
_NAMED: Final = 3


def why_failed(report: TableReport) -> str | None:
    """What ended the run, and the first few actions that were refused or failed; None when all went well."""
    if not report.failed:
        return None
    bad = [o for o in report.outcomes if o.status in {Status.REFUSED, Status.FAILED}]
    sentences = [str(report.error)] if report.error is not None else []
    sentences += [f"{o.action.kind} {o.action.partition} {o.status}: {o.error}" for o in bad[:_NAMED]]
    if len(bad) > _NAMED:
        sentences.append(f"and {len(bad) - _NAMED} more")
    return "; ".join(sentences)


def summary(report: TableReport) -> str:
    """One line about what a table's run did, for the history and the journal."""
    parts = [f"{report.created} created", f"{report.dropped} dropped"]
    parts += [f"{n} {word}" for word, n in {"rows moved": report.moved_rows, **report.kept}.items() if n]
    parts += [f"{n} {s}" for s in (Status.SKIPPED, Status.REFUSED, Status.FAILED) if (n := report.count(s))]
    return f"{report.table}: {', '.join(parts)}"


def recorded_details(report: TableReport) -> dict[str, Any]:
    """The figures that the next run, check and the metrics read; coverage only where the table could be seen again."""
    details: dict[str, Any] = {"created": report.created, "dropped": report.dropped, "moved_rows": report.moved_rows}
    if report.view is not None and report.error is None:
        until = report.view.covered_until
        details["covered_until"] = None if until is None else until.isoformat()
        details["partitions"] = len(report.view.table.partitions)
    return details
