"""Fewer bytes for the same picture.

Textual 8 sends each line that changed from the left edge of its widget on (in a calendar 1,100 bytes for a key, 80
without), and everything again whenever anything is laid out anew, which at the start it is four times (26 kB, and
10 kB without what is there already).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rich.control import Control
from textual._compositor import ChopsUpdate, LayoutUpdate

from pgalmanac_tui.widgets.paint import Cell, cells_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from textual.strip import Strip

__all__ = ["Thrift"]

# To go on elsewhere in the line costs no fewer bytes than this.
_GAP: Final = 8


class Thrift:
    """Knows what the terminal shows, cell by cell, and sends no cell that is there already."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lines: dict[int, dict[int, Cell]] = {}

    def forget(self) -> None:
        """The terminal may show anything now: after a change of its size, or when somebody asks for a fresh picture."""
        self._lines.clear()

    def saving(self, update: RenderableType | None) -> RenderableType | None:
        """The same update, sent with thrift."""
        match update:
            case ChopsUpdate():
                return _Cells(update, self)
            case LayoutUpdate():
                return _Lines(update, self)
            case _:
                return update

    def send(self, console: Console, x: int, y: int, strip: Strip) -> str:
        """What brings *strip* to its place: its cells that differ, in one run or in several, whichever is shorter."""
        line = self._lines.setdefault(y, {})
        cells = cells_of(strip)
        differing = [i for i, cell in enumerate(cells) if line.get(x + i) != cell]
        if not differing:
            return ""
        line.update((x + i, cells[i]) for i in differing)
        # A run costs its place and its colours, cells that are there already theirs.
        gaps = [(before + 1, after) for before, after in pairwise(differing) if after - before > _GAP]
        begins = [differing[0], *(after for _, after in gaps)]
        ends = [*(before for before, _ in gaps), differing[-1] + 1]
        whole = _run(console, (x, y), strip, differing[0], differing[-1] + 1)
        if not gaps:
            return whole
        pieces = (_run(console, (x, y), strip, *run) for run in zip(begins, ends, strict=True))
        return min(whole, "".join(pieces), key=len)


def _run(console: Console, at: tuple[int, int], strip: Strip, left: int, right: int) -> str:
    """The cells of *strip*, whose place is *at*, from *left* up to *right*."""
    cells, (x, y) = cells_of(strip), at
    while left > 0 and not cells[left][0]:  # the second half of a wide character
        left -= 1
    while right < len(cells) and not cells[right][0]:
        right += 1
    return Control.move_to(x + left, y).segment.text + strip.crop(left, right).render(console)


class _Cells(ChopsUpdate):
    """Some cells of some lines."""

    def __init__(self, update: ChopsUpdate, thrift: Thrift) -> None:
        super().__init__(update.chops, update.spans, update.chop_ends)
        self._thrift = thrift

    def render_segments(self, console: Console) -> str:
        """The update as the terminal reads it: every piece is preceded by its place."""
        pieces: list[str] = []
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, x1), min(end, x2)
                if strip is not None and left < right:
                    pieces.append(self._thrift.send(console, left, y, strip.crop(left - x, right - x)))
        return "".join(pieces)


class _Lines(LayoutUpdate):
    """Whole lines."""

    def __init__(self, update: LayoutUpdate, thrift: Thrift) -> None:
        super().__init__(update.strips, update.region)
        self._thrift = thrift

    def render_segments(self, console: Console) -> str:
        """The update as the terminal reads it."""
        pieces: list[str] = []
        for y, line in enumerate(self.strips, self.region.y):
            x = self.region.x
            for strip in line:
                pieces.append(self._thrift.send(console, x, y, strip))
                x += strip.cell_length
        return "".join(pieces)
