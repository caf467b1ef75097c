"""The list of what was dropped and can be had back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pgalmanac.bounds import EARLIEST
from pgalmanac.model import Orphan
from pgalmanac.plan import Plan
from pgalmanac_tui.format import Span, clean, dated, size
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.widgets.listing import Column

__all__ = ["TrashRow", "trash", "trash_rows"]


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
    orphans = sorted(found.table.orphans, key=lambda o: (o.bounds.lower or EARLIEST, o.oid))
    return tuple(
        TrashRow(
            key=str(o.oid),
            orphan=o,
            period=found.view.label(o.bounds),
            until=_until(o, zone),
        )
        for o in orphans
    )


def _until(orphan: Orphan, zone: ZoneInfo) -> str:
    if orphan.taken_out:
        return "taken out"
    if orphan.mark.keep_until is None:
        return "not kept"
    return dated(orphan.mark.keep_until, zone)


def trash(glyphs: Glyphs) -> tuple[Column[TrashRow], ...]:
    """Which period, until when, where it lies and how large it is."""

    def told(row: TrashRow) -> Span:
        if row.orphan.pin is not None:
            return clean(str(row.orphan.pin)), "accent"
        return ("by hand" if row.orphan.mark.manual else "past retention"), "dim"

    return (
        Column(
            title="period", cells=13, show=lambda r: (r.period, ""), order=lambda r: r.orphan.bounds.lower or EARLIEST
        ),
        Column(title="kept until", cells=21, show=lambda r: (r.until, ""), order=lambda r: r.until),
        Column(
            title="size",
            cells=8,
            right=True,
            show=lambda r: (size(r.orphan.bytes, glyphs), ""),
            least=60,
            order=lambda r: r.orphan.bytes,
        ),
        Column(
            title="table",
            cells=0,
            ends=True,
            show=lambda r: (clean(r.orphan.name.name), ""),
            order=lambda r: r.orphan.name,
        ),
        Column(title="why", cells=24, least=90, show=told, order=lambda r: r.orphan.mark.manual),
    )
