"""Text that may be longer than its place: lines made for the width, painted as they come into sight."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pgalmanac_tui.format import Line
from pgalmanac_tui.widgets.paint import Brush

__all__ = ["Pager"]


def _nothing(_width: int) -> tuple[Line, ...]:
    return ()


class Pager(ScrollView, can_focus=True):
    """Scrolls through lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("space", "page_down", "Page down", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's own name
        """Start empty."""
        super().__init__(id=id)
        self._brush = Brush(self)
        self._make: Callable[[int], tuple[Line, ...]] = _nothing
        self._lines: tuple[Line, ...] = ()

    def show(self, make: Callable[[int], tuple[Line, ...]]) -> None:
        """Show what *make* returns for the width, now and after each change of size."""
        self._make = make
        self._remake()

    def text(self) -> str:
        """All of it as plain text."""
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self._lines)

    def _remake(self) -> None:
        cells = self.scrollable_content_region.width
        if cells <= 0:
            return
        lines = self._make(cells)
        if lines != self._lines:
            self._lines = lines
            self.virtual_size = Size(cells, len(lines))
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line at the place that is scrolled to."""
        at = y + self.scroll_offset.y
        cells = self.scrollable_content_region.width
        line = self._lines[at] if at < len(self._lines) else ()
        return self._brush.paint(line, cells)

    def on_resize(self, _event: events.Resize) -> None:
        """Lines are made for a width."""
        self._lines = ()
        self._remake()
