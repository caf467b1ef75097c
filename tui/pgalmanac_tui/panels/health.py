"""How a table is: the finding that matters most in a sentence, and the key that helps. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pgalmanac.diagnose import runway_days
from pgalmanac.findings import Code, Finding, Level
from pgalmanac.model import Bounds
from pgalmanac.view import View
from pgalmanac_tui.format import Line
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.snapshot import TableState

__all__ = ["REMEDIES", "health"]

# Which key mends what is found; the rest needs more than a key.
REMEDIES: Final[dict[Code, tuple[str, str]]] = {
    Code.TODAY_MISSING: ("f", "fix"),
    Code.RUNWAY_SHORT: ("m", "maintain"),
    Code.GAP: ("f", "fix"),
    Code.STRAY_ROWS: ("m", "maintain"),
    Code.DETACH_PENDING: ("m", "maintain"),
    Code.ORPHAN_TABLE: ("m", "maintain"),
    Code.LAST_RUN_FAILED: ("3", "runs"),
    Code.LAST_SUCCESS_OLD: ("m", "maintain"),
    Code.FUSE: ("4", "plan"),
    Code.DROP_BLOCKED: ("4", "plan"),
    Code.TRASH: ("5", "trash"),
    Code.DISK_LIMIT: ("6", "growth"),
}
_ORDER: Final = (Level.CRITICAL, Level.WARNING)


def health(table: TableState, glyphs: Glyphs) -> tuple[str, str, str, Line]:
    """The worst finding, or that all is well: glyph, sentence, style, and the key that helps."""
    found = next((f for level in _ORDER for f in table.findings if f.level is level), None)
    if found is None:
        days = runway_days(table.view)
        return glyphs.ok, f"nothing needs doing: partitions for {days} days after today", "ok", ()
    return glyphs.level(found.level), _said(table, found), str(found.level), _key(found)


def _key(found: Finding) -> Line:
    remedy = REMEDIES.get(found.code)
    return () if remedy is None else ((remedy[0], "key"), (f" {remedy[1]}", ""))


def _said(table: TableState, found: Finding) -> str:
    """The finding without the command that mends it, since a key stands beside it; since when inserts fail."""
    text = found.message.split("; run pgalmanac")[0]
    if found.code is not Code.TODAY_MISSING:
        return text
    since = missing_since(table.view)
    day = table.view.today
    # Short enough to be whole with its time and the key in 80 cells.
    what = "inserts fail" if table.view.table.default is None else "rows go to the default"
    text = f"no partition for now ({day:%a} {day.day} {day:%b}): {what}"
    if since is None:
        return text
    wall = table.view.calendar.local(since)
    when = f"{wall:%H:%M}" if wall.date() == day else f"{wall.day} {wall:%b %H:%M}"
    return f"{text} since {when}"


def missing_since(seen: View) -> datetime | None:
    """Since when (key time) nothing covers now; None when nothing ever did."""
    before = [p.bounds.upper for p in seen.table.ranged if p.bounds is not None and p.bounds.upper is not None]
    ended = [upper for upper in before if upper <= seen.now]
    if not ended or seen.coverage.holes(Bounds(lower=seen.now, upper=seen.day(1))) == ():
        return None
    return max(ended)
