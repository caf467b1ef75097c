"""The columns of the lists: partitions, runs, the plan and the tables. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from pgalmanac.actions import Action
from pgalmanac.findings import Level
from pgalmanac.model import Orphan, TableName
from pgalmanac.periods import Calendar
from pgalmanac.plan import Plan
from pgalmanac_tui.almanac import Entry
from pgalmanac_tui.format import Span, ago, amount, clean, duration, size
from pgalmanac_tui.glyphs import QUIET, SEVERITY, Glyphs
from pgalmanac_tui.panels.header import level_span
from pgalmanac_tui.panels.proposal import ACTION_WORDS, action_sign
from pgalmanac_tui.panels.run import run_sign
from pgalmanac_tui.widgets.listing import Column

if TYPE_CHECKING:
    from pgalmanac_tui.snapshot import RunRecord

__all__ = [
    "ActionRow",
    "RunRow",
    "TableRow",
    "TrashRow",
    "action_rows",
    "partitions",
    "plan",
    "run_rows",
    "runs",
    "tables",
    "trash",
    "trash_rows",
]

_LOWEST: Final = datetime.min.replace(tzinfo=UTC)
_BAR: Final = 10


def partitions(glyphs: Glyphs, calendar: Callable[[], Calendar | None]) -> tuple[Column[Entry], ...]:  # noqa: C901  # eight columns, each with a small function of its own
    """Name, bounds, rows, size, oldest and newest event, state."""

    def moment(value: datetime | None, on: date | None = None) -> str:
        zone = calendar()
        if value is None or zone is None:
            return glyphs.none
        wall = zone.local(value)
        return f"{wall:%H:%M:%S}" if on is None or wall.date() == on else f"{wall:%Y-%m-%d}"

    def day_of(entry: Entry) -> date | None:
        zone = calendar()
        lower = entry.bounds.lower if entry.bounds is not None else None
        return None if lower is None or zone is None else zone.local(lower).date()

    def edge(value: datetime | None) -> str:
        zone = calendar()
        if value is None or zone is None:
            return glyphs.none
        wall = zone.local(value)
        return f"{wall:%Y-%m-%d}" if (wall.hour, wall.minute) == (0, 0) else f"{wall:%Y-%m-%d %H:%M}"

    def name(entry: Entry) -> Span:
        return clean(entry.name), "" if entry.partition is not None else str(entry.mark)

    def rows(entry: Entry) -> Span:
        if entry.count is None:
            return (f"{entry.action.rows:,}", "warning") if entry.action and entry.action.rows else (glyphs.none, "dim")
        return amount(entry.count.rows, glyphs, exact=entry.count.exact), "" if entry.count.rows else "dim"

    def state(entry: Entry) -> Span:
        sign = f"{glyphs.mark(entry.mark)} {entry.word}" if entry.word else ""
        exact = entry.count is not None and entry.count.exact and entry.count.counted_at is not None
        if exact and entry.count is not None and entry.count.counted_at is not None:
            sign = f"{sign}  exact as of {entry.count.counted_at:%H:%M}".lstrip()
        return sign, "dim" if entry.mark in QUIET else str(entry.mark)

    def lower_of(entry: Entry) -> datetime:
        return _LOWEST if entry.bounds is None else entry.bounds.lower or _LOWEST

    def upper_of(entry: Entry) -> datetime:
        return _LOWEST if entry.bounds is None else entry.bounds.upper or _LOWEST

    return (
        Column(title="partition", cells=0, show=name, order=lambda e: e.name),
        Column(
            title="from",
            cells=16,
            least=100,
            show=lambda e: (edge(e.bounds.lower if e.bounds else None), "dim"),
            order=lower_of,
        ),
        Column(
            title="to",
            cells=16,
            least=118,
            show=lambda e: (edge(e.bounds.upper if e.bounds else None), "dim"),
            order=upper_of,
        ),
        Column(
            title="rows",
            cells=11,
            right=True,
            show=rows,
            order=lambda e: -1 if e.count is None or e.count.rows is None else e.count.rows,
        ),
        Column(
            title="size",
            cells=7,
            right=True,
            least=50,
            show=lambda e: (size(e.count.bytes if e.count else None, glyphs), ""),
            order=lambda e: -1 if e.count is None or e.count.bytes is None else e.count.bytes,
        ),
        Column(
            title="oldest",
            cells=10,
            least=88,
            show=lambda e: (moment(e.count.oldest if e.count else None, day_of(e)), "dim"),
            order=lambda e: (e.count.oldest if e.count else None) or _LOWEST,
        ),
        Column(
            title="newest",
            cells=10,
            least=78,
            show=lambda e: (moment(e.count.newest if e.count else None, day_of(e)), "dim"),
            order=lambda e: (e.count.newest if e.count else None) or _LOWEST,
        ),
        Column(title="state", cells=18, more=42, least=60, show=state, order=lambda e: SEVERITY.index(e.mark)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A recorded run among others: *share* of the longest one's duration, *age* as text."""

    key: str
    run: RunRecord
    share: float
    age: str


def run_rows(found: Sequence[RunRecord], now: datetime) -> tuple[RunRow, ...]:
    """The runs in the order given, newest first."""
    longest = max((r.duration_ms or 0 for r in found), default=0) or 1
    return tuple(
        RunRow(key=r.id, run=r, share=(r.duration_ms or 0) / longest, age=ago(r.started_at, now)) for r in found
    )


def runs(glyphs: Glyphs) -> tuple[Column[RunRow], ...]:
    """When, how it ended, how long it took, who started it and what it said."""

    def status(row: RunRow) -> Span:
        sign, style = run_sign(row.run.status, glyphs)
        return f"{sign} {row.run.status}", style

    def took(row: RunRow) -> Span:
        return ("running" if row.run.duration_ms is None else duration(row.run.duration_ms / 1000)), ""

    def bar(row: RunRow) -> Span:
        _, style = run_sign(row.run.status, glyphs)
        full = "#" if glyphs.ascii else "▇"
        return full * max(round(row.share * _BAR), 1 if row.run.duration_ms else 0), style

    def said(row: RunRow) -> Span:
        return clean(row.run.error or row.run.output or ""), "critical" if row.run.error else "dim"

    return (
        Column(title="when", cells=11, show=lambda r: (r.age, ""), order=lambda r: r.run.started_at),
        Column(title="status", cells=9, show=status, order=lambda r: r.run.status),
        Column(title="took", cells=7, right=True, show=took, order=lambda r: r.run.duration_ms or 0),
        Column(title="", cells=_BAR, least=60, show=bar, order=lambda r: r.run.duration_ms or 0),
        Column(
            title="by",
            cells=9,
            least=70,
            show=lambda r: (clean(r.run.triggered_by or glyphs.none), "dim"),
            order=lambda r: r.run.triggered_by or "",
        ),
        Column(title="what", cells=0, show=said, order=lambda r: r.run.output or ""),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """An action of the next maintenance, with its period as the command line writes it, and until when it is undone."""

    key: str
    action: Action
    period: str
    until: str


def action_rows(found: Plan) -> tuple[ActionRow, ...]:
    """The actions in the order in which they would be tried."""
    zone = found.view.policy.timezone
    return tuple(
        ActionRow(
            key=f"{a.kind} {a.partition}",
            action=a,
            period=found.view.label(a.bounds),
            until="" if a.keep_until is None else f", kept until {a.keep_until.astimezone(zone):%Y-%m-%d}",
        )
        for a in found.actions
    )


def plan(glyphs: Glyphs) -> tuple[Column[ActionRow], ...]:
    """What, which partition, why, and what is at stake or in the way."""

    def what(row: ActionRow) -> Span:
        sign, style = action_sign(row.action.status, glyphs)
        return f"{sign} {ACTION_WORDS[row.action.kind]}", style

    def told(row: ActionRow) -> Span:
        action = row.action
        if action.note:
            return f"{action.status}: {clean(action.note)}", "warning"
        if action.bytes is not None or action.rows is not None:
            rows = amount(action.rows, glyphs, exact=False)
            text = f"{rows} rows" + ("" if action.bytes is None else f", {size(action.bytes, glyphs)}")
            return text + row.until, ""
        return "", ""

    return (
        Column(title="action", cells=12, show=what, order=lambda r: r.action.kind),
        Column(
            title="period", cells=13, show=lambda r: (r.period, ""), order=lambda r: r.action.bounds.lower or _LOWEST
        ),
        Column(
            title="reason", cells=10, least=60, show=lambda r: (r.action.reason, "dim"), order=lambda r: r.action.reason
        ),
        Column(
            title="partition",
            cells=0,
            show=lambda r: (clean(str(r.action.partition)), ""),
            order=lambda r: r.action.partition,
        ),
        Column(title="at stake", cells=22, more=30, least=70, show=told, order=lambda r: r.action.bytes or 0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashRow:
    """A dropped partition that is still there, with its period as the command line writes it."""

    key: str
    orphan: Orphan
    period: str
    until: str


def trash_rows(found: Plan) -> tuple[TrashRow, ...]:
    """What can be had back, oldest first."""
    zone = found.view.policy.timezone
    orphans = sorted(found.table.orphans, key=lambda o: (o.bounds.lower or _LOWEST, o.oid))
    return tuple(
        TrashRow(
            key=str(o.oid),
            orphan=o,
            period=found.view.label(o.bounds),
            until="not kept" if o.mark.keep_until is None else f"{o.mark.keep_until.astimezone(zone):%Y-%m-%d %H:%M}",
        )
        for o in orphans
    )


def trash(glyphs: Glyphs) -> tuple[Column[TrashRow], ...]:
    """Which period, until when, where it lies and how large it is."""

    def told(row: TrashRow) -> Span:
        if row.orphan.pin is not None:
            return clean(str(row.orphan.pin)), "accent"
        return ("by hand" if row.orphan.mark.manual else "past retention"), "dim"

    return (
        Column(
            title="period", cells=13, show=lambda r: (r.period, ""), order=lambda r: r.orphan.bounds.lower or _LOWEST
        ),
        Column(title="kept until", cells=16, show=lambda r: (r.until, ""), order=lambda r: r.until),
        Column(
            title="size",
            cells=8,
            right=True,
            show=lambda r: (size(r.orphan.bytes, glyphs), ""),
            least=60,
            order=lambda r: r.orphan.bytes,
        ),
        Column(title="table", cells=0, show=lambda r: (clean(r.orphan.name.name), ""), order=lambda r: r.orphan.name),
        Column(title="why", cells=24, least=90, show=told, order=lambda r: r.orphan.mark.manual),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A table that can be switched to; *level* is None until it was looked at, else a span."""

    key: str
    name: TableName
    health: Span


def tables() -> tuple[Column[TableRow], ...]:
    """Name and health."""
    return (
        Column(title="table", cells=0, show=lambda r: (clean(str(r.name)), ""), order=lambda r: r.name),
        Column(title="health", cells=30, show=lambda r: r.health, order=lambda r: r.health[1]),
    )


def health(level: Level | str | None, glyphs: Glyphs) -> Span:
    """A table's health in one cell: its level, or why it cannot be told."""
    if level is None or isinstance(level, Level):
        return level_span(level, glyphs)
    return f"{glyphs.critical} {clean(level)}", "critical"
