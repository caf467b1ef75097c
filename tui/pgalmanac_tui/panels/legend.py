"""What the calendar's glyphs mean: in one line those that are in sight, in the help all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pgalmanac_tui.format import Line, Span, width
from pgalmanac_tui.glyphs import SEVERITY, SHORT, WORDS, Glyphs, Mark

__all__ = ["full_legend", "legend"]

_HEAT: Final = (Mark.HEAT1, Mark.HEAT2, Mark.HEAT3, Mark.HEAT4)


def legend(marks: Iterable[Mark], cells: int, glyphs: Glyphs) -> Line:
    """The glyphs in sight, the worst first, then as many of the others as there is room for."""
    present = set(marks) - {Mark.NOTHING}
    spans: list[Span] = []
    room = cells - 1
    for mark in reversed(SEVERITY):
        if mark not in present or (mark in _HEAT and mark is not Mark.HEAT4 and Mark.HEAT4 in present):
            continue
        heat = mark in _HEAT
        glyph = "".join(glyphs.mark(m) for m in _HEAT) if heat else glyphs.mark(mark)
        word = " rows" if heat else f" {SHORT[mark]}"
        if heat:
            present -= set(_HEAT)
        if width(glyph + word) + 2 > room:
            continue
        room -= width(glyph + word) + 2
        spans += [(f" {glyph}", str(mark)), (f"{word} ", "dim")]
    if room > width(glyphs.today + " today") + 2:
        spans += [(f" {glyphs.today}", "today"), (" today", "dim")]
    return tuple(spans)


def full_legend(glyphs: Glyphs) -> tuple[Line, ...]:
    """Every glyph with its word."""
    lines: list[Line] = [((f"  {glyphs.marks[mark]}  ", str(mark)), (WORDS[mark], "")) for mark in SEVERITY[1:]]
    lines.append(((f"   {glyphs.today}  ", "today"), ("today", "")))
    lines.append(((f"  {glyphs.chosen}   ", "strong"), ("the chosen day, before its mark", "")))
    return tuple(lines)
