"""The list of partitions: name, bounds, rows, size, oldest and newest event, state. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING

from pgalmanac.bounds import EARLIEST, LATEST
from pgalmanac_tui.format import Span, amount, clean, size
from pgalmanac_tui.glyphs import QUIET, SEVERITY, Glyphs
from pgalmanac_tui.widgets.listing import Column

if TYPE_CHECKING:
    from pgalmanac.periods import Calendar
    from pgalmanac_tui.entries import Entry

__all__ = ["partitions"]


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
        return EARLIEST if entry.bounds is None else entry.bounds.lower or EARLIEST

    def upper_of(entry: Entry) -> datetime:
        return EARLIEST if entry.bounds is None else entry.bounds.upper or LATEST

    return (
        Column(title="partition", cells=0, ends=True, show=name, order=lambda e: e.name),
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
            order=lambda e: None if e.count is None else e.count.rows,
        ),
        Column(
            title="size",
            cells=7,
            right=True,
            least=50,
            show=lambda e: (size(e.count.bytes if e.count else None, glyphs), ""),
            order=lambda e: None if e.count is None else e.count.bytes,
        ),
        Column(
            title="oldest",
            cells=10,
            least=88,
            show=lambda e: (moment(e.count.oldest if e.count else None, day_of(e)), "dim"),
            order=lambda e: None if e.count is None else e.count.oldest,
        ),
        Column(
            title="newest",
            cells=10,
            least=78,
            show=lambda e: (moment(e.count.newest if e.count else None, day_of(e)), "dim"),
            order=lambda e: None if e.count is None else e.count.newest,
        ),
        Column(title="state", cells=18, more=42, least=60, show=state, order=lambda e: SEVERITY.index(e.mark)),
    )
