"""The list of runs, with a bar of their durations. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pgalmanac_tui.format import Span, ago, clean, duration
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.panels.run import run_sign
from pgalmanac_tui.widgets.listing import Column

if TYPE_CHECKING:
    from pgalmanac_tui.snapshot import RunRecord

__all__ = ["RunRow", "run_rows", "runs"]

_BAR: Final = 10


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
        # Of which table is said above; the name would leave no room for what was done to it.
        said = row.run.error or (row.run.output or "").partition(": ")[2] or row.run.output or ""
        return clean(said), "critical" if row.run.error else "dim"

    return (
        Column(title="when", cells=11, show=lambda r: (r.age, ""), order=lambda r: r.run.started_at),
        Column(title="status", cells=9, show=status, order=lambda r: r.run.status),
        Column(title="took", cells=7, right=True, show=took, order=lambda r: r.run.duration_ms),
        Column(title="", cells=_BAR, least=60, show=bar, order=lambda r: r.run.duration_ms),
        Column(
            title="by",
            cells=9,
            least=70,
            show=lambda r: (clean(r.run.triggered_by or glyphs.none), "dim"),
            order=lambda r: r.run.triggered_by or "",
        ),
        Column(title="what", cells=0, show=said, order=lambda r: r.run.output or ""),
    )
