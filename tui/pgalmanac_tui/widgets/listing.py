"""A list of rows in columns that stays quick with ten thousand of them: only what is in sight is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pgalmanac_tui.format import Line, Span, fit
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.messages import RowChosen, RowOpened, SortWanted
from pgalmanac_tui.widgets.paint import Brush, changed

__all__ = ["Column", "Listing"]


class Keyed(Protocol):
    """A row knows itself again in the next look."""

    @property
    def key(self) -> str:
        """What does not change as long as it is the same thing."""
        ...


R = TypeVar("R", bound=Keyed)
_MARKER: Final = 2
_ENOUGH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[R]):
    """One column: *cells* wide, or all that is left for 0; shown only in lists of at least *least* cells.

    What has no *order*, None, stands below what has, whichever way round that is.

    It takes up to *more* cells of what is left once a column that takes the rest has enough for most names. What is too
    long is cut off at its end, with *ends* in its middle.
    """

    title: str
    cells: int
    show: Callable[[R], Span]
    order: Callable[[R], Any]
    right: bool = False
    least: int = 0
    more: int = 0
    ends: bool = False


class Listing(ScrollView, Generic[R], can_focus=True):
    """Rows under a head of columns, with a cursor, an order and a filter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Up", show=False, id="list.up"),
        Binding("down,j", "step(1)", "Down", show=False, id="list.down"),
        Binding("pageup", "page(-1)", "A page up", show=False, id="list.pageup"),
        Binding("pagedown", "page(1)", "A page down", show=False, id="list.pagedown"),
        Binding("home", "far(0)", "The first", show=False, id="list.home"),
        Binding("end", "far(1)", "The last", show=False, id="list.end"),
        Binding("enter", "open", "Open", show=False, id="list.open"),
    ]

    def __init__(
        self,
        columns: Sequence[Column[R]],
        glyphs: Glyphs,
        *,
        empty: str = "nothing here",
        sort: int | None = None,
        descending: bool = False,
        id: str | None = None,  # noqa: A002  # Textual's own name
    ) -> None:
        """Start empty; without *sort* rows stand as they are given."""
        super().__init__(id=id)
        self._brush = Brush(self)
        self._columns = tuple(columns)
        self._glyphs = glyphs
        self.empty = empty
        self.sort, self.descending = sort, descending
        self._all: Sequence[R] = ()
        self._keep: Callable[[R], bool] | None = None
        self.rows: tuple[R, ...] = ()
        self.at = 0
        self._drawn: dict[int, Strip] = {}

    # -- what is shown ---------------------------------------------------------------------------------------

    def set(self, rows: Sequence[R]) -> None:
        """Show these rows; the cursor stays on its row if that is still there."""
        if rows is not self._all:
            self._all = rows
            self._arrange()

    def filter(self, keep: Callable[[R], bool] | None) -> None:
        """Show only the rows that *keep* is true of, or all."""
        self._keep = keep
        self._arrange()

    def sort_by(self, column: int, *, descending: bool) -> None:
        """Put the rows in the order of a column."""
        self.sort, self.descending = column, descending
        self._arrange()

    @property
    def columns(self) -> tuple[Column[R], ...]:
        """All columns, shown or not."""
        return self._columns

    @property
    def sifted(self) -> bool:
        """Whether a filter keeps rows out of sight."""
        return self._keep is not None

    @property
    def chosen(self) -> R | None:
        """The row under the cursor."""
        return self.rows[self.at] if self.at < len(self.rows) else None

    def choose(self, key: str, *, tell: bool = False) -> bool:
        """Put the cursor on a row; False when it is not shown."""
        for at, row in enumerate(self.rows):
            if row.key == key:
                self._go(at, tell=tell)
                return True
        return False

    def _arrange(self) -> None:
        before = self.chosen
        rows = list(self._all) if self._keep is None else [r for r in self._all if self._keep(r)]
        if self.sort is not None:
            order = self._columns[self.sort].order
            ordered = [r for r in rows if order(r) is not None]
            ordered.sort(key=order, reverse=self.descending)
            rows = ordered if len(ordered) == len(rows) else [*ordered, *(r for r in rows if order(r) is None)]
        self.rows = tuple(rows)
        if before is not None:
            key = before.key
            self.at = next((i for i, r in enumerate(rows) if r.key == key), min(self.at, max(len(rows) - 1, 0)))
        else:
            self.at = min(self.at, max(len(rows) - 1, 0))
        self.virtual_size = Size(1, len(rows) + 1)
        self._reveal()
        self._redraw()

    def _redraw(self) -> None:
        """Draw again what differs of what is in sight."""
        if not self._drawn:
            self.refresh()
            return
        for y, before in list(self._drawn.items()):
            strip = self._strip(y)
            if strip != before:
                self._drawn[y] = strip
                self.refresh(*(r.translate((0, y)) for r in changed([before], [strip])))

    # -- keys ------------------------------------------------------------------------------------------------

    def action_step(self, by: int) -> None:
        """Move the cursor by a row."""
        self._go(self.at + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by what is in sight."""
        self._go(self.at + by * max(self._visible - 1, 1))

    def action_far(self, end: int) -> None:
        """Go to the first or last row."""
        self._go(len(self.rows) * end)

    def action_open(self) -> None:
        """Open the row."""
        if (row := self.chosen) is not None:
            self.post_message(RowOpened(self.id or "", row.key))

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse, or sort by the head of a column."""
        if event.y == 0:
            left = _MARKER
            for column, cells in self._shown():
                if left <= event.x < left + cells:
                    self.post_message(SortWanted(self.id or "", self._columns.index(column)))
                left += cells + 1
        elif (at := event.y - 1 + self.scroll_offset.y) < len(self.rows):
            self._go(at)

    def on_focus(self) -> None:
        """The cursor is lit."""
        self._redraw()

    def on_blur(self) -> None:
        """The cursor is dimmed."""
        self._redraw()

    def _go(self, at: int, *, tell: bool = True) -> None:
        at = min(max(at, 0), max(len(self.rows) - 1, 0))
        if at != self.at:
            self.at = at
            self._reveal()
            self._redraw()
            if tell and (row := self.chosen) is not None:
                self.post_message(RowChosen(self.id or "", row.key))

    @property
    def _visible(self) -> int:
        return max(self.scrollable_content_region.height - 1, 1)

    def _reveal(self) -> None:
        """Scroll by half of what is in sight when the cursor leaves it: each scroll paints everything anew."""
        top, visible = self.scroll_offset.y, self._visible
        if not top <= self.at < top + visible:
            beyond = self.at >= top + visible
            wanted = (
                self.at - visible // 2
                if abs(self.at - top) > visible
                else top + (visible // 2 + 1) * (1 if beyond else -1)
            )
            wanted = max(min(wanted, len(self.rows) - visible), 0)
            self._drawn.clear()
            self.set_scroll(None, wanted)

    # -- drawing ---------------------------------------------------------------------------------------------

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """What was drawn is somewhere else now."""
        self._drawn.clear()
        super().watch_scroll_y(old_value, new_value)

    def render_line(self, y: int) -> Strip:
        """The head, and below it the rows at the place that is scrolled to."""
        strip = self._drawn[y] = self._strip(y)
        return strip

    def _strip(self, y: int) -> Strip:
        cells = self.scrollable_content_region.width
        if y == 0:
            return self._brush.paint(self._head(), cells)
        at = y - 1 + self.scroll_offset.y
        if at >= len(self.rows):
            why = "none of them is like that; esc shows all" if self.sifted else self.empty
            text = f"  {why}" if not self.rows and y == 1 else ""
            return self._brush.paint(((text, "dim"),), cells)
        here = at == self.at
        marker = f"{self._glyphs.chosen} " if here else "  "
        spans: list[Span] = [(marker, "strong" if here else "")]
        for column, room in self._shown():
            text, style = column.show(self.rows[at])
            spans.append((fit(text, room, self._glyphs.cut, right=column.right, ends=column.ends) + " ", style))
        return self._brush.paint(tuple(spans), cells, "cursor" if here and self.has_focus else "")

    def _head(self) -> Line:
        spans: list[Span] = [("  ", "head")]
        for column, room in self._shown():
            sorted_by = self.sort is not None and self._columns[self.sort] is column
            sign = "" if not sorted_by else self._glyphs.down if self.descending else self._glyphs.up
            if sign.isascii() and sign:
                sign = f" {sign}"  # which is a letter, and would be read as the title's last one
            spans.append((fit(column.title + sign, room, self._glyphs.cut, right=column.right) + " ", "head"))
        return tuple(spans)

    def _shown(self) -> list[tuple[Column[R], int]]:
        """The columns that fit, each with its width; what is left goes to those that have none of their own."""
        cells = self.scrollable_content_region.width
        columns = [c for c in self._columns if cells >= c.least]
        left = cells - _MARKER - sum(c.cells + 1 for c in columns)
        growing = [c for c in columns if c.cells == 0]
        widths: list[int] = []
        for column in columns:
            more = min(column.more, max(left - _ENOUGH * len(growing), 0))
            left -= more
            widths.append(column.cells + more)
        share = max(left // len(growing), 1) if growing else 0
        return [(c, cells or share) for c, cells in zip(columns, widths, strict=True)]

    def on_resize(self, _event: events.Resize) -> None:
        """Columns come and go with the width."""
        self._drawn.clear()
        self.virtual_size = Size(1, len(self.rows) + 1)
        self._reveal()
        self.refresh()
