"""Every finding in full, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pgalmanac.errors import PgalmanacError
from pgalmanac.findings import Code, Finding, Level
from pgalmanac_tui.format import Line, clean, wrap
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.panels.header import level_span
from pgalmanac_tui.panels.health import remedy

__all__ = ["findings", "lost"]

_ORDER: Final = (Level.CRITICAL, Level.WARNING, Level.INFO)
# What helps where no key of the dashboard does.
_ADVICE: Final[dict[Code, str]] = {
    Code.UNMANAGED_PARTITION: "nothing to do; it is left alone on purpose",
    Code.PINNED: "nothing to do; P on its day unpins it",
    Code.NO_EVENTS: "look at whoever writes these events",
    Code.UNUSUAL_VOLUME: "look at whoever writes these events, if nobody expected it",
    Code.CLOCK: "set the clock right; until then nothing is dropped",
    Code.SHRINKING: "look at who else drops partitions, then maintain",
    Code.HISTORY_UNAVAILABLE: "have its owner run the GRANT above; where there is none, pgalmanac init",
    Code.PRIVILEGE: "have its owner run the GRANT above",
    Code.STANDBY: "connect to the primary to change anything",
    Code.INDEX_INVALID: "create the missing index of each partition and attach it, or drop the index",
    Code.PG_PARTMAN: "set retention_days first, then run that statement; docs/takeover.md has the rest",
    Code.SUBSCRIPTION_STALE: "have the subscription's owner run that statement",
    Code.PUBLICATION_INCOMPLETE: "have its owner run that, and then every subscriber REFRESH PUBLICATION",
    Code.INTERVAL_UNKNOWN: "set timezone or interval for this table in the configuration",
    Code.RETENTION_UNSET: "set retention_days for this table in the configuration",
    Code.BREAKDOWN_UNKNOWN: "correct breakdown for this table in the configuration",
}
_INDENT: Final = "     "


def findings(found: Sequence[Finding], cells: int, glyphs: Glyphs, *, may: bool = True) -> tuple[Line, ...]:
    """All findings, the worst first. Where nobody *may* change anything, keys that would are said to be off."""
    if not found:
        return ((), ((f"   {glyphs.ok} Nothing to report. All is as it should be.", "ok"),))
    return tuple(
        line for level in _ORDER for f in found if f.level is level for line in _one(f, cells, glyphs, may=may)
    )


def lost(problem: PgalmanacError, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    """Why the last look failed, whole, and what helps."""
    for text in wrap(f"{glyphs.critical} {clean(problem.message)}", cells):
        yield ((text, "critical"),)
    for text in wrap(clean(problem.hint), cells) if problem.hint else ():
        yield ((text, ""),)
    yield (("r", "key"), (" tries again now", ""))


def _one(finding: Finding, cells: int, glyphs: Glyphs, *, may: bool) -> Iterator[Line]:
    yield ((" ", ""), level_span(finding.level, glyphs), (f"  {finding.code.replace('_', ' ')}", "dim"))
    for text in wrap(clean(finding.message), cells - len(_INDENT) - 1):
        yield ((_INDENT + text, ""),)
    if (found := remedy(finding)) is not None:
        key, word = found
        if may or key.isdigit():  # those open a list
            yield ((_INDENT, ""), (key, "key"), (f" {word}", "accent"))
        else:
            yield ((_INDENT, ""), (f"{key} {word}", "off"), (" is off here; pressed, it says why", "dim"))
    elif finding.code in _ADVICE:
        yield ((_INDENT + _ADVICE[finding.code], "dim"),)
