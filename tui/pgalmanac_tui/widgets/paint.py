"""What the widgets that draw their own lines share: named looks, and repainting only changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from pgalmanac_tui.format import Line
from pgalmanac_tui.looks import look

__all__ = ["Brush", "Cell", "cells_of", "changed"]

# A character and its style.
Cell = tuple[str, Style | None]


class Brush:
    """Paints lines in the looks of their names, on the background of a widget."""

    def __init__(self, widget: Widget) -> None:
        """Paint for *widget*."""
        self._widget = widget
        # The theme's colours, which are another mapping with each theme, and the looks in them.
        self._colors: Mapping[str, str] = {}
        self._looks: dict[str, Style] = {}

    def paint(self, line: Line, cells: int, over: str = "") -> Strip:
        """*line* in exactly so many cells; *over* is a style laid over all of it."""
        return self.paint_all([line], cells, over)[0]

    def paint_all(self, lines: Sequence[Line], cells: int, over: str = "") -> list[Strip]:
        """Each of *lines* in exactly so many cells."""
        # Textual gathers a widget's own style from all its ancestors at each asking; asked for once a piece of text it
        # was four fifths of what a key cost.
        own = self._widget.rich_style
        layer = _layer(over, self._named(over, own)) if over else None

        def style(name: str) -> Style:
            found = self._named(name, own)
            return found if layer is None else found + layer

        blank = style("")
        return [
            Strip([Segment(text, style(name)) for text, name in line]).adjust_cell_length(cells, blank).simplify()
            for line in lines
        ]

    def _named(self, name: str, own: Style) -> Style:
        """The style of this name upon the widget's *own*; the empty name is that alone."""
        if not name:
            return own
        app = self._widget.app
        if app.theme_variables is not self._colors:
            self._colors, self._looks = app.theme_variables, {}
        if name not in self._looks:
            self._looks[name] = look(name, self._colors, ansi=app.native_ansi_color)
        return own + self._looks[name]

    def blank(self, cells: int) -> Strip:
        """An empty line."""
        return Strip.blank(cells, self._widget.rich_style)


def _layer(name: str, style: Style) -> Style:
    """What a style lays over others: background and attributes, and its colour where others would not be read."""
    return Style(
        color=style.color if name == "cursor" else None,
        bgcolor=style.bgcolor,
        bold=style.bold,
        reverse=style.reverse,
        underline=style.underline,
    )


def changed(old: Sequence[Strip], new: Sequence[Strip], top: int = 0) -> list[Region]:
    """The smallest run of cells in each line that differs. Both are painted for the same width."""
    regions: list[Region] = []
    for y, strip in enumerate(new):
        before = old[y] if y < len(old) else Strip.blank(strip.cell_length)
        if before == strip:
            continue
        one, other = cells_of(before), cells_of(strip)
        length = min(len(one), len(other))
        left = next((x for x in range(length) if one[x] != other[x]), length)
        right = next((x for x in range(length) if one[-1 - x] != other[-1 - x]), 0)
        regions.append(Region(left, top + y, max(len(other) - right - left, 1), 1))
    return regions


def cells_of(strip: Strip) -> list[Cell]:
    """One item a cell; of a wide character's two, the second is empty."""
    cells: list[Cell] = []
    for text, style, _ in strip:
        if text.isascii():
            cells.extend([(character, style) for character in text])
            continue
        for character in text:
            wide = Segment(character).cell_length
            cells.extend([(character, style)] if wide else [])
            cells.extend([("", style)] * (wide - 1))
    return cells
