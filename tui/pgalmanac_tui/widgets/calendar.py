"""The calendar: weeks as columns, weekdays as rows, two cells a day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType

from pgalmanac_tui.format import Line, Span
from pgalmanac_tui.glyphs import Glyphs, Mark
from pgalmanac_tui.messages import DayChosen, DayOpened
from pgalmanac_tui.widgets.lines import Lines

if TYPE_CHECKING:
    from pgalmanac_tui.almanac import Almanac

__all__ = ["Calendar"]

_WEEK: Final = timedelta(days=7)
_GUTTER: Final = 5
_CELLS: Final = 2
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# How far past what exists the cursor goes, to choose a day that is to be created.
_BEYOND: Final = timedelta(days=366)
_MARGIN_WEEKS: Final = 2
_FIRST, _LAST = date.min + 53 * _WEEK, date.max - 53 * _WEEK


def monday(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


class Calendar(Lines, can_focus=True):
    """Shows an almanac; the cursor is a day, a range runs from an anchor to it.

    The cursor stands beside the mark of its day, in the first of its two cells; the day's number is in the corner.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-7)", "A week back", show=False, id="calendar.left"),
        Binding("right,l", "move(7)", "A week on", show=False, id="calendar.right"),
        Binding("up,k", "move(-1)", "A day back", show=False, id="calendar.up"),
        Binding("down,j", "move(1)", "A day on", show=False, id="calendar.down"),
        Binding("pageup", "move(-28)", "Four weeks back", show=False, id="calendar.pageup"),
        Binding("pagedown", "move(28)", "Four weeks on", show=False, id="calendar.pagedown"),
        Binding("home", "edge(-1)", "The first day", show=False, id="calendar.home"),
        Binding("end", "edge(1)", "The last day", show=False, id="calendar.end"),
        Binding("enter", "open", "Open the day", show=False, id="calendar.open", tooltip="the partitions of this day"),
    ]

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:  # noqa: A002  # Textual's own name
        """Start without a table."""
        super().__init__(id=id)
        self._glyphs = glyphs
        self._almanac: Almanac | None = None
        self._first_week: date | None = None
        self._weeks = 0
        self.day: date | None = None
        self.begin: date | None = None

    # -- what is shown ---------------------------------------------------------------------------------------

    def set(self, almanac: Almanac | None) -> None:
        """Show this almanac; the cursor stays on its day, or begins on today."""
        before, self._almanac = self._almanac, almanac
        if almanac is not None:
            if before is None or before.state.name != almanac.state.name or self.day is None:
                self.day, self.begin, self._first_week = almanac.today, None, None
            elif self._first_week is not None and almanac.first < self._first_week <= before.first:
                self._first_week = None  # it was shown from its beginning, and that lies further back by now
        self.show(self._lines)

    def choose(self, day: date, anchor: date | None = None, *, tell: bool = True) -> None:
        """Move the cursor."""
        almanac = self._almanac
        if almanac is None:
            return
        low, high = max(almanac.first - _BEYOND, _FIRST), min(almanac.last + _BEYOND, _LAST)
        day = min(max(day, low), high)
        if (day, anchor) == (self.day, self.begin):
            return
        self.day, self.begin = day, anchor
        self.show(self._lines)
        if tell:
            self.post_message(DayChosen(day, anchor))

    @property
    def span(self) -> tuple[date, date] | None:
        """The chosen days, both included."""
        if self.day is None:
            return None
        other = self.day if self.begin is None else self.begin
        return min(self.day, other), max(self.day, other)

    # -- keys ------------------------------------------------------------------------------------------------

    def action_move(self, days: int) -> None:
        """Move by days."""
        if self.day is not None:
            self.choose(self.day + timedelta(days=days), self.begin)

    def action_edge(self, end: int) -> None:
        """Go to the first or the last day that there is."""
        if self._almanac is not None:
            self.choose(self._almanac.first if end < 0 else self._almanac.last, self.begin)

    def action_open(self) -> None:
        """Open the day."""
        if self.day is not None:
            self.post_message(DayOpened(self.day))

    def on_click(self, event: events.Click) -> None:
        """Choose the day under the mouse."""
        day = self.day_at(event.x, event.y)
        if day is not None:
            self.choose(day)

    def day_at(self, x: int, y: int) -> date | None:
        """The day at a place of the widget, None beside the days."""
        if self._first_week is None or not 1 <= y <= len(_WEEKDAYS) or x < _GUTTER:
            return None
        return self._first_week + timedelta(days=7 * ((x - _GUTTER) // _CELLS) + y - 1)

    def on_focus(self) -> None:
        """The cursor is lit."""
        self.show(self._lines)

    def on_blur(self) -> None:
        """The cursor is dimmed."""
        self.show(self._lines)

    # -- drawing ---------------------------------------------------------------------------------------------

    def _window(self, weeks: int) -> date:
        """The first week in sight: all of it if it fits, else today and what is ahead, and always the cursor."""
        almanac = self._almanac
        if almanac is None or self.day is None:
            raise AssertionError
        if weeks != self._weeks:  # the weeks that fitted before may be the wrong ones
            self._weeks, self._first_week = weeks, None
        first, last = monday(almanac.first), monday(max(almanac.last, almanac.premake_edge))
        if self._first_week is None:
            right = last if (last - monday(almanac.today)) // _WEEK < weeks - _MARGIN_WEEKS else almanac.premake_edge
            self._first_week = max(first, monday(right) - (weeks - 1) * _WEEK)
            if (monday(almanac.today) - self._first_week) // _WEEK >= weeks:
                self._first_week = monday(almanac.today) - (weeks // 2) * _WEEK
        at = monday(self.day)
        if at < self._first_week:
            self._first_week = at - min(weeks // 3, 4) * _WEEK
        elif (at - self._first_week) // _WEEK >= weeks:
            self._first_week = at - (weeks - 1 - min(weeks // 3, 4)) * _WEEK
        return self._first_week

    def _lines(self, width: int, _height: int) -> tuple[Line, ...]:
        weeks = (width - _GUTTER) // _CELLS
        if self._almanac is None or self.day is None or weeks < 1:
            return tuple((((f" {name}"), "dim"),) for name in ("", *_WEEKDAYS))
        first = self._window(weeks)
        rows = [self._row(self._almanac, first + timedelta(days=i), weeks) for i in range(7)]
        # The details say which day it is only when the cursor rests, and in a narrow terminal there are none.
        number: Span = (f" {self.day.day:2}".ljust(_GUTTER), "strong")
        return ((number, _months(first, weeks)), *rows, self._ruler(self._almanac, first, weeks))

    def _row(self, almanac: Almanac, start: date, weeks: int) -> Line:
        spans: list[Span] = [(f" {_WEEKDAYS[start.weekday()]} ", "dim")]
        low, high = self.span or (date.max, date.min)
        for week in range(weeks):
            day = start + week * _WEEK
            found = almanac.day(day)
            text = self._glyphs.marks[found.mark]
            style = str(found.mark)
            if day == almanac.today:
                text = (text[0] if found.mark is not Mark.NOTHING else self._glyphs.info) + self._glyphs.today
                style = style if found.mark is Mark.MISSING else "today"
            if day == self.day:
                style = "cursor" if self.has_focus else "blurred"
                text = self._glyphs.chosen + self._glyphs.mark(found.mark)
            elif self.begin is not None and low <= day <= high:
                style = "selected"
                text = text if text.strip() else self._glyphs.info * 2
            spans.append((text, style))
        return tuple(spans)

    def _ruler(self, almanac: Almanac, first: date, weeks: int) -> Line:
        """Below the weeks: where retention begins, where today is and where premake ends."""
        cells = [" "] * (weeks * _CELLS)

        def write(at: int, text: str) -> None:
            cells[at : at + len(text)] = text

        today = (monday(almanac.today) - first) // _WEEK * _CELLS
        kept = almanac.retention_edge
        if kept is not None and 0 <= (at := (monday(kept) - first) // _WEEK * _CELLS) < len(cells):
            text = f"{self._glyphs.up}kept from {kept.day} {kept:%b}"
            write(at, text[: max(today - at - 1 if today > at else len(cells) - at, 1)])
        if 0 <= (at := (monday(almanac.premake_edge) - first) // _WEEK * _CELLS) < len(cells):
            text = f"premake to {almanac.premake_edge.day} {almanac.premake_edge:%b}"
            room = at - today - 2
            if len(text) > room:
                text = "premake" if room >= len("premake") else ""
            write(at + 1 - len(text), text + self._glyphs.up)
        if 0 <= today < len(cells):
            write(today, self._glyphs.up)
        line = "".join(cells)[: weeks * _CELLS]
        return ((" " * _GUTTER, ""), (line, "edge"))


def _months(first: date, weeks: int) -> Span:
    """The months' names above the week in which each begins, and the year where it changes."""
    cells = [" "] * (weeks * _CELLS)
    free = 0
    for week in range(weeks):
        days = [first + week * _WEEK + timedelta(days=i) for i in range(7)]
        begins = next((d for d in days if d.day == 1), None)
        if begins is None and week:
            continue
        name = f"{begins or days[0]:%b}"
        if begins is not None and begins.month == 1:
            name = f"{begins:%b %Y}"
        at = week * _CELLS
        if (
            at < free
            or at + len(name) > len(cells)
            or (week == 0 and begins is None and any(d.day == 1 for d in _coming(first)))
        ):
            continue
        cells[at : at + len(name)] = name
        free = at + len(name) + 1
    return "".join(cells), "month"


def _coming(first: date) -> list[date]:
    """The days of the two weeks after the first: a month that begins there needs the room for its name."""
    return [first + timedelta(days=7 + i) for i in range(7)]
