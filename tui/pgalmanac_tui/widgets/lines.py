"""A few lines of styled text that repaint only the cells that changed."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from pgalmanac_tui.format import Line
from pgalmanac_tui.widgets.paint import Brush, changed

__all__ = ["Lines"]

# What to show in a widget of this width and height.
Maker = Callable[[int, int], tuple[Line, ...]]


def _nothing(_width: int, _height: int) -> tuple[Line, ...]:
    return ()


class Lines(Widget):
    """Shows what a function of its size returns. Nothing moves that did not change."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's own name
        """Start empty."""
        super().__init__(id=id)
        self._brush = Brush(self)
        self._make: Maker = _nothing
        self._strips: list[Strip] = []
        self._stale = True

    def show(self, make: Maker) -> None:
        """Show what *make* returns, now and after each change of size."""
        self._make = make
        if self.size.width == 0:
            return
        before, self._strips, self._stale = self._strips, self._painted(), False
        if [s.cell_length for s in before] != [s.cell_length for s in self._strips]:
            self.refresh()
        elif regions := changed(before, self._strips):
            self.refresh(*regions)

    def text(self) -> str:
        """What is shown, as plain text."""
        return "\n".join(strip.text.rstrip() for strip in self._strips)

    def _painted(self) -> list[Strip]:
        width, height = self.size
        strips = self._brush.paint_all(self._make(width, height)[:height], width)
        return strips + [self._brush.blank(width)] * (height - len(strips))

    def render_line(self, y: int) -> Strip:
        """One line, as it was painted when it was shown."""
        if self._stale:
            self._stale = False
            self._strips = self._painted()
        if y < len(self._strips):
            return self._strips[y]
        return self._brush.blank(self.size.width)

    def on_resize(self, _event: events.Resize) -> None:
        """A line is made for a width."""
        self._stale = True
        self.refresh()

    def notify_style_update(self) -> None:
        """A theme came, or a class: the colours in the strips may be old. If they are, Textual asks for all of them."""
        super().notify_style_update()
        self._stale = True
