"""The list of tables that can be switched to, with the health of each. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pgalmanac.findings import Level
from pgalmanac.table_names import TableName
from pgalmanac_tui.format import Span, clean
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.panels.header import level_span
from pgalmanac_tui.widgets.listing import Column

__all__ = ["TableRow", "table_rows", "tables"]

_WORST_FIRST: Final = ("critical", "warning", "dim")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A table that can be switched to, with its health in one cell."""

    key: str
    name: TableName
    health: Span


def tables() -> tuple[Column[TableRow], ...]:
    """Name and health."""
    return (
        Column(title="table", cells=0, show=lambda r: (clean(str(r.name)), ""), order=lambda r: r.name),
        Column(title="health", cells=30, show=lambda r: r.health, order=lambda r: r.health[1]),
    )


def table_rows(
    names: Sequence[TableName], levels: Mapping[TableName, Level | str | None], glyphs: Glyphs
) -> tuple[TableRow, ...]:
    """The tables with what is known of each, the worst first and what is being looked at before what is well."""
    rows = (
        TableRow(key=str(n), name=n, health=_health(levels[n], glyphs) if n in levels else ("looking", "dim"))
        for n in names
    )
    return tuple(sorted(rows, key=lambda r: (*(r.health[1] != style for style in _WORST_FIRST), r.name)))


def _health(level: Level | str | None, glyphs: Glyphs) -> Span:
    """A table's health in one cell: its level, or why it cannot be told."""
    if level is None or isinstance(level, Level):
        return level_span(level, glyphs)
    return f"{glyphs.critical} {clean(level)}", "critical"
