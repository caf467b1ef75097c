"""The list of tables that can be switched to, with the health of each. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pgalmanac.findings import Level
from pgalmanac.table_names import TableName
from pgalmanac_tui.format import Span, clean
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.panels.header import level_span
from pgalmanac_tui.widgets.listing import Column

__all__ = ["TableRow", "health", "tables"]


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
