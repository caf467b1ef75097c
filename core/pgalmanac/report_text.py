"""report -> text for people: 80 columns where names allow it, one fact a line, the same words every day.

A run of partitions that fared alike takes one line; *verbose* gives each its own, with its statements. Estimates are
marked ≈. Moments are shown as people of the table's time zone write them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import MAXYEAR
from itertools import groupby
from typing import Final

import humanize

from pgalmanac.actions import ActionKind, Status
from pgalmanac.amounts import byte_size
from pgalmanac.errors import PgalmanacError
from pgalmanac.findings import Finding, Level
from pgalmanac.log import shown
from pgalmanac.report_kept import kept_facts, kept_lines
from pgalmanac.report_words import (
    MISSING,
    ago,
    is_counted,
    lasted,
    local_minute,
    local_second,
    row_count,
    short_name,
    utc_second,
    wrapped,
)
from pgalmanac.results import Outcome, PartitionCount, RunReport, Statistics, TableReport
from pgalmanac.view import View

__all__ = ["finding_lines", "init_text", "report_text"]

_GLYPHS: Final = {Level.INFO: "·", Level.WARNING: "!", Level.CRITICAL: "✗"}


def report_text(report: RunReport, *, verbose: bool = False) -> str:
    """The report of maintain, fix, create, drop or status."""
    lines = [_title(report), *_findings(report.findings, "")]
    for table in report.tables:
        match report.command:
            case "status":
                told = _status(table)
            case "trash" | "pins" as command:
                told = kept_lines(table, command)
            case _:
                told = _run(table, report, verbose=verbose)
        lines += ["", *told]
    return "\n".join(lines)


def _title(report: RunReport) -> str:
    what = f"pgalmanac {report.command}" + (": the plan, nothing is changed" if report.dry_run else "")
    if report.server is None:
        return what
    today = "" if report.today is None else f", {report.today}"
    return f"{what} (PostgreSQL {shown(report.server.version)}, database {shown(report.server.database)}{today})"


def _run(table: TableReport, report: RunReport, *, verbose: bool) -> Iterator[str]:
    seen = table.view
    yield _heading(table)
    if table.locked:
        yield "  locked: another run is maintaining this table; nothing was done"
    for outcome in _grouped(table.outcomes, one_by_one=verbose):
        yield from _outcome_lines(outcome, seen, verbose=verbose)
    if table.error is not None:
        yield from wrapped(f"failed: {_sentence(table.error)}", "  ")
    elif not table.outcomes and not table.locked and not _idle(report):
        yield "  nothing to do"
    if table.proved is not None:
        yield f"  proved: an insert for now finds {shown(table.proved)}"
    if not report.dry_run and not _idle(report) and table.outcomes:
        yield from _summary(table)
    if seen is not None:
        yield from _coverage(seen)
        if table.statistics is not None:
            yield from _statistics(table.statistics, seen)
    yield from _findings(table.findings, "  ")


def _idle(report: RunReport) -> bool:
    """Whether nothing was looked at, so that there is nothing to say about having nothing to do."""
    return report.server is not None and report.server.standby


def _heading(table: TableReport) -> str:
    name = shown(table.table)
    if table.view is None:
        return name
    policy = table.view.policy
    kept = "forever" if policy.retention_days is None else f"{policy.retention_days} days"
    if not policy.may_drop:
        kept = "forever (no retention is set)"
    zone = "" if policy.timezone.key == "UTC" else f", {policy.timezone.key}"
    return f"{name}: {table.view.interval}{zone}, made {policy.premake_days} days ahead, kept {kept}"


def _grouped(outcomes: Sequence[Outcome], *, one_by_one: bool) -> Iterator[list[Outcome]]:
    """Neighbours that fared alike, together."""
    if one_by_one:
        yield from ([o] for o in outcomes)
        return
    for _, group in groupby(outcomes, key=_fate):
        yield list(group)


def _fate(outcome: Outcome) -> tuple[object, ...]:
    action = outcome.action
    return outcome.status, action.kind, action.reason, action.after, outcome.error


def _outcome_lines(group: Sequence[Outcome], seen: View | None, *, verbose: bool) -> Iterator[str]:
    first, last = group[0], group[-1]
    name = short_name(first.action.partition, seen)
    if len(group) > 1:
        name = f"{name} .. {short_name(last.action.partition, seen)} ({len(group)})"
    head = f"  {first.status:<7}  {first.action.kind:<9}  {first.action.reason:<10} "
    yield from wrapped(", ".join([name, *_facts(group, seen)]), head, hang=" " * len(head))
    if first.error is not None:
        yield from wrapped(first.error, " " * len(head))
    if verbose:
        for statement in first.statements:
            yield f"      {shown(' '.join(statement.splitlines()))};"


def _facts(group: Sequence[Outcome], seen: View | None) -> Iterator[str]:
    """What it came to, or would: rows, bytes, attempts, and until when it can be had back."""
    first = group[0]
    rows = [o.rows for o in group if o.rows is not None]
    if rows:
        yield row_count(sum(rows), exact=is_counted(first.action.kind, first.status))
    sizes = [o.bytes for o in group if o.bytes is not None]
    if sizes:
        yield byte_size(sum(sizes))
    if first.action.url is not None:
        place = first.action.url if len(group) == 1 else first.action.url.rpartition("/")[0]
        yield f"{'from' if first.action.kind is ActionKind.RESTORE else 'to'} {place}"
    if first.action.after is not None and first.status is Status.PLANNED:
        yield f"after the rows of {shown(str(first.action.after))} that refer to it"
    attempts = max(o.attempts for o in group)
    if attempts > 1:
        yield f"{attempts} attempts"
    yield from kept_facts(first.action, seen)


def _summary(table: TableReport) -> Iterator[str]:
    took = sum(o.duration_ms or 0 for o in table.outcomes)
    counts = {
        "created": table.created,
        "dropped": table.dropped,
        "rows moved": table.moved_rows,
        "skipped": table.count(Status.SKIPPED),
        "refused": table.count(Status.REFUSED),
        "failed": table.count(Status.FAILED),
        **{word: number for word, number in table.kept.items() if number},
    }
    yield "  " + ", ".join(f"{humanize.intcomma(number)} {word}" for word, number in counts.items())
    recorded = "" if table.run_id is None else f", recorded as run {shown(table.run_id)}"
    yield f"  took {lasted(took)}{recorded}"


def _coverage(seen: View) -> Iterator[str]:
    until = seen.covered_until
    if until is None:
        yield "  covered: not even now"
        return
    days = seen.runway_days
    end = "for ever" if until.year == MAXYEAR else f"to {seen.calendar.shown(until):%Y-%m-%d %H:%M}"
    yield f"  covered {end}, {days} whole day{'' if days == 1 else 's'} after today"


def _statistics(figures: Statistics, seen: View) -> Iterator[str]:
    ranged = seen.table.ranged
    span = f", {short_name(ranged[0].name, seen)} .. {short_name(ranged[-1].name, seen)}" if ranged else ""
    yield f"  {humanize.intcomma(figures.partitions)} partitions{span}"
    known = f"rows unknown until ANALYZE {seen.table.name}"
    if figures.rows is not None:
        known = row_count(figures.rows, exact=figures.exact)
    yield f"  {known}{_events(figures, seen)}"
    if figures.breakdown_column is not None and figures.breakdown:
        over = "over the last 7 days" if figures.exact else "estimated"
        yield f"  most frequent {shown(figures.breakdown_column)}, {over}:"
        widest = max(len(humanize.intcomma(rows)) for _, rows in figures.breakdown)
        for value, rows in figures.breakdown:
            mark = " " if figures.exact else "≈"
            yield f"    {mark} {humanize.intcomma(rows):>{widest}}  {shown(value)}"


def _events(figures: Statistics, seen: View) -> str:
    """The oldest and the newest event, as far as they are known, as the end of a line."""
    if figures.newest_event is None:
        return "" if figures.oldest_event is None else f", oldest {local_second(figures.oldest_event, seen)}"
    begin = "newest" if figures.oldest_event is None else f"{local_second(figures.oldest_event, seen)} .."
    return f", {begin} {local_second(figures.newest_event, seen)} ({ago(seen.now - figures.newest_event)})"


def _status(table: TableReport) -> Iterator[str]:
    seen = table.view
    yield _heading(table)
    if table.error is not None:
        yield from wrapped(f"failed: {_sentence(table.error)}", "  ")
    if table.counts:
        names = [short_name(c.name, seen) for c in table.counts]
        width = max(9, *map(len, names))
        yield f"  {'partition':<{width}} {'rows':>12} {'size':>10}  {'oldest':<16}  newest"
        for name, count in zip(names, table.counts, strict=True):
            yield from _count_lines(name.ljust(width), count, seen)
        yield from _as_of(table.counts)
    if seen is not None:
        yield from _coverage(seen)
        if table.statistics is not None:
            yield from _statistics(table.statistics, seen)
    yield from _findings(table.findings, "  ")


def _count_lines(name: str, count: PartitionCount, seen: View | None) -> Iterator[str]:
    rows = MISSING if count.rows is None else ("" if count.exact else "≈") + humanize.intcomma(count.rows)
    size = MISSING if count.bytes is None else byte_size(count.bytes)
    oldest, newest = (local_minute(t, seen) for t in (count.oldest, count.newest))
    yield f"  {name} {rows:>12} {size:>10}  {oldest:<16}  {newest}"
    if count.error is not None:
        yield from wrapped(count.error, "      ")


def _as_of(counts: Sequence[PartitionCount]) -> Iterator[str]:
    """When counts that were not made now were."""
    kept = [c.counted_at for c in counts if c.cached and c.counted_at is not None]
    if kept:
        times = sorted({utc_second(moment) for moment in (min(kept), max(kept))})
        some = "all" if len(kept) == len(counts) else f"{len(kept)} of {len(counts)}"
        text = f"{some} exact as of {' .. '.join(times)} UTC and unchanged since; --no-cache counts anew"
        yield from wrapped(text, "  ")


def finding_lines(finding: Finding, indent: str = "") -> list[str]:
    """A finding with its level as glyph and word, its code, and its sentence."""
    head = f"{_GLYPHS[finding.level]} {finding.level} {finding.code}: "
    return list(wrapped(head + finding.message, indent, hang=indent + "    "))


def _findings(findings: Iterable[Finding], indent: str) -> Iterator[str]:
    for finding in findings:
        yield from finding_lines(finding, indent)


def init_text(tables: Sequence[str], configuration: str) -> str:
    """Where the history is, as a comment of the configuration, so that the whole output is a configuration file."""
    where = f"the run history is in {shown(', '.join(tables))}" if tables else "the run history is made on the primary"
    return f"# {where}\n\n{configuration.rstrip()}"


def _sentence(error: PgalmanacError) -> str:
    return shown(str(error))
