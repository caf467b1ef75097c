"""How a table is: the finding that matters most in a sentence, and the key that helps. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pgalmanac.findings import Code, Finding, Level
from pgalmanac.model import Bounds
from pgalmanac.view import View
from pgalmanac_tui.format import Line, fit, width
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.snapshot import TableState

__all__ = ["health", "remedy"]

# The key that does what a finding's own sentence says to run. What has options besides has no key: none would do it.
_KEYS: Final[dict[str, str]] = {"fix": "f", "maintain": "m"}
_RUN: Final = "; run pgalmanac "
# Before a sentence about a command, when a key stands beside it.
_COMMAND: Final = "; pgalmanac "
# Which key mends the rest of what is found, or shows more of it; some of it needs more than a key.
_REMEDIES: Final[dict[Code, tuple[str, str]]] = {
    Code.DETACH_PENDING: ("m", "maintain"),
    Code.ORPHAN_TABLE: ("m", "maintain"),
    Code.LAST_RUN_FAILED: ("3", "runs"),
    Code.LAST_SUCCESS_OLD: ("m", "maintain"),
    Code.FUSE: ("4", "plan"),
    Code.DROP_BLOCKED: ("4", "plan"),
    Code.TRASH: ("5", "trash"),
    Code.DISK_LIMIT: ("6", "growth"),
}
# So much of a table's name.
_NAME: Final = 24
_ORDER: Final = (Level.CRITICAL, Level.WARNING)


def health(table: TableState, glyphs: Glyphs, *, may: bool = True) -> tuple[str, str, str, Line]:
    """The worst finding, or that all is well: glyph, sentence, style, and the key that helps.

    None that changes anything helps whoever *may* not.
    """
    found = next((f for level in _ORDER for f in table.findings if f.level is level), None)
    if found is None:
        days = table.view.runway_days
        return glyphs.ok, f"nothing needs doing: partitions for {days} days after today", "ok", ()
    return glyphs.level(found.level), _said(table, found, glyphs), str(found.level), _key(found, may=may)


def remedy(found: Finding) -> tuple[str, str] | None:
    """The key that mends it and its word; None where no key does."""
    command = found.message.rpartition(_RUN)[2]
    return (_KEYS[command], command) if command in _KEYS else _REMEDIES.get(found.code)


def _key(found: Finding, *, may: bool) -> Line:
    """Where no key helps, the one with which the whole of it can be read, with what does."""
    key, word = remedy(found) or ("2", "findings")
    if not may and key in _KEYS.values():
        key, word = "2", "findings"
    return (key, "key"), (f" {word}", "")


def _said(table: TableState, found: Finding, glyphs: Glyphs) -> str:
    """The finding without the command that mends it, since a key stands beside it; since when inserts fail."""
    text = found.message.split(_RUN)[0].split(_COMMAND)[0] if remedy(found) is not None else found.message
    name = str(table.name)
    if width(name) > _NAME:  # it stands above in full, and what is wrong with it may not be cut off for it
        text = text.replace(name, fit(name, _NAME, glyphs.cut, ends=True))
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
