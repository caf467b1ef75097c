"""The dashboard's screen: header, calendar, details, and the lists below."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import Reactive
from textual.widget import Widget
from textual.widgets import Input

from pgalmanac_tui.format import Line
from pgalmanac_tui.messages import DayChosen, DayOpened, RowChosen, RowOpened, SortWanted, TabChosen
from pgalmanac_tui.panels.header import header
from pgalmanac_tui.panels.tabs import note, tabs
from pgalmanac_tui.screens.keyed import KeyedScreen
from pgalmanac_tui.screens.lists import Lists
from pgalmanac_tui.widgets.calendar import Calendar
from pgalmanac_tui.widgets.keybar import KeyBar, TabBar
from pgalmanac_tui.widgets.lines import Lines

if TYPE_CHECKING:
    from textual.geometry import Size

    from pgalmanac.table_names import TableName
    from pgalmanac_tui.screens.host import Host

__all__ = ["MainScreen"]

# Details of the chosen day are fetched when the cursor rests.
_REST_SECONDS: Final = 0.12
# So long the details wait for the figures of a partition, to be painted once and not twice.
_PATIENCE_SECONDS: Final = 0.4
# From so many columns and rows on.
_WIDTHS: Final = [(0, "-narrow"), (64, "-usual"), (110, "-wide")]
_HEIGHTS: Final = [(0, "-few"), (14, "-short"), (21, "-tall"), (34, "-high")]


class MainScreen(KeyedScreen):
    """All of it on one screen."""

    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS

    # Textual's own paints the whole screen when the focus moves; the two widgets concerned paint themselves.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self, host: Host, size: Size) -> None:
        """Show what *host* knows in a terminal of this size."""
        # Textual sets these when it has painted already, and then works out all styles and paints once more.
        breakpoints = ((size.width, _WIDTHS), (size.height, _HEIGHTS))
        fitting = (max(b for b in known if b[0] <= cells)[1] for cells, known in breakpoints)
        super().__init__(host, classes=" ".join(fitting))
        self._glyphs = host.glyphs
        self._begun: TableName | None = None

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Lines(id="header")
        with Horizontal(id="top"):
            with Vertical(id="left"):
                yield Calendar(self._glyphs, id="calendar")
                yield Lines(id="legend")
            yield Lines(id="details")
        yield TabBar(self._glyphs, id="tabs")
        yield Lists(self._host.model, self._glyphs, id="body")
        yield KeyBar(self._first_keys, id="keys")

    def on_mount(self) -> None:
        """The calendar has the keys at first."""
        self._calendar.focus()
        self.show()

    # -- parts -----------------------------------------------------------------------------------------------

    @property
    def _box(self) -> Input | None:
        """Where the words of a filter are typed; there since it was first wanted."""
        return next(iter(self.query("#filter").results(Input)), None)

    # -- what is shown ---------------------------------------------------------------------------------------

    def show(self) -> None:
        """Show the host's model; what is as it was is left alone."""
        if not self._whole:
            return
        model = self._host.model
        self.tick()
        self._calendar.set(model.almanac)
        self._show_legend()
        self._lists.show(model)
        self._show_details()  # of a row of the lists, as it is by now
        if model.almanac is not None and model.almanac.state.name != self._begun:
            self._begun = model.almanac.state.name
            self._lists.only = None
            self._lists.sift()
            self._follow()
            self._rested(self._cursor())
        self._show_tabs()
        self.refresh_bindings()

    def tick(self) -> None:
        """What changes with the clock alone."""
        model = self._host.model
        if not self._whole:
            return
        self.query_one("#header", Lines).show(lambda cells, height: header(model, cells, height, self._glyphs))
        self._lists.tick(model)

    def _show_tabs(self) -> None:
        model, lists = self._host.model, self._lists
        shown = tabs(model, len(lists.partitions.rows) if lists.partitions.sifted else None)
        self.query_one("#tabs", TabBar).set(shown, lists.current or "", note(model, lists.only))

    def _show_legend(self) -> None:
        if (almanac := self._host.model.almanac) is None:
            self.query_one("#legend", Lines).show(_nothing)
            return
        from pgalmanac_tui.screens.parts import legend_of

        self.query_one("#legend", Lines).show(lambda cells, _height: (legend_of(almanac, cells, self._glyphs),))

    def _show_details(self) -> None:
        model, glyphs, row = self._host.model, self._glyphs, self._lists.entry or self._lists.orphan
        span = self._calendar.span or (date.min, date.min)
        if model.snapshot is None and model.problem is None:
            self.query_one("#details", Lines).show(_nothing)
            return
        from pgalmanac_tui.screens.parts import details

        self.query_one("#details", Lines).show(lambda cells, height: details(model, span, row, (cells, height), glyphs))

    # -- moving ----------------------------------------------------------------------------------------------

    @on(DayChosen)
    def _day_chosen(self, event: DayChosen) -> None:
        event.stop()
        self._rest()

    @on(events.DescendantFocus)
    def _focus_moved(self) -> None:
        """The calendar's details are those of a day, the list's those of a row."""
        if self._whole:  # in a few lines what has the keys is all there is room for
            self.set_class(not self._calendar.has_focus, "-on-list")
        self._rest()

    def _rest(self) -> None:
        """Wait whether the cursor rests."""
        at = self._cursor()
        self.set_timer(_REST_SECONDS, lambda: self._rested(at))

    def _cursor(self) -> tuple[date | None, str | None]:
        """The chosen day, and the row, if the list has the keys."""
        entry, orphan = self._lists.entry, self._lists.orphan
        key = entry.key if entry is not None else str(orphan.oid) if orphan is not None else None
        return self._calendar.day, key

    def _rested(self, at: tuple[date | None, str | None]) -> None:
        """The cursor stayed where it is: the day is shown, and what takes a query is fetched.

        Not before: of a key that is held down the calendar shows each step, and the details the last one.
        """
        almanac, day = self._host.model.almanac, self._calendar.day
        if at != self._cursor() or almanac is None or day is None:
            return
        self.refresh_bindings()  # a key may have nothing to act on in this row
        row = self._lists.entry
        there = [e for e in ((row,) if row is not None else almanac.day(day).entries) if e.partition is not None]
        partition = there[0].partition if len(there) == 1 else None
        if partition is None or partition.oid in self._host.model.details:
            self._show_details()
        else:
            self.set_timer(_PATIENCE_SECONDS, self._show_details)
        if partition is not None:
            self._host.look_closer(there[0])

    @on(DayOpened)
    def _day_opened(self, event: DayOpened) -> None:
        """Into the list: on the row of that day, or, where a day has several, with those alone."""
        event.stop()
        if (almanac := self._host.model.almanac) is None:
            return
        self.action_tab("partitions")
        self._narrow(event.day if len(almanac.day(event.day).entries) > 1 else None)
        self._lists.follow(event.day)
        self._lists.shown.focus()

    @on(RowChosen)
    def _row_chosen(self, event: RowChosen) -> None:
        event.stop()
        if (day := self._lists.day) is not None:
            self._calendar.choose(day)
        self._rest()

    @on(RowOpened)
    def _row_opened(self, event: RowOpened) -> None:
        event.stop()
        if event.list_id == "runs":
            self._doing.run(event.key)
        elif event.list_id == "partitions":
            self.action_count()

    @on(TabChosen)
    def _tab_chosen(self, event: TabChosen) -> None:
        event.stop()
        self.action_tab(event.tab)

    @on(SortWanted)
    def _sort_wanted(self, event: SortWanted) -> None:
        event.stop()
        self._lists.sort(event.column)

    def action_swap(self) -> None:
        """From the calendar to the list and back."""
        if self._calendar.has_focus:
            self._follow()
            self._lists.shown.focus()
        else:
            self._calendar.focus()

    def _narrow(self, day: date | None) -> None:
        """List the partitions of one day alone, or those of all."""
        if day != self._lists.only:
            self._lists.only = day
            self._lists.sift()
            self._show_tabs()

    def _follow(self) -> None:
        """Put the list's cursor on the chosen day."""
        day = self._calendar.day
        if self._lists.only != day:
            self._narrow(None)
        if day is not None:
            self._lists.follow(day)

    def action_tab(self, name: str) -> None:
        """Show a list."""
        had = not self._calendar.has_focus
        self._lists.open(name)
        self._show_tabs()
        if had or name != "partitions":
            self._lists.shown.focus()

    def action_today(self) -> None:
        """To today."""
        if (almanac := self._host.model.almanac) is not None:
            self._calendar.choose(almanac.today)

    def action_goto(self) -> None:
        """To a date."""

        def go(day: date | None) -> None:
            if day is None:
                return
            self._calendar.choose(day)
            self._calendar.focus()
            if (last := self._calendar.day) is not None and last != day:
                where = "before" if day < last else "after"
                self.notify(f"the calendar has no day {where} {last}", markup=False)

        self._doing.go_to(go)

    def action_select(self) -> None:
        """Begin a range, or end it."""
        calendar = self._calendar
        if calendar.day is not None:
            calendar.choose(calendar.day, None if calendar.begin is not None else calendar.day)
            self._show_details()
            calendar.focus()

    def action_back(self) -> None:
        """End what was begun: a count, a filter, a range."""
        box, only = self._box, self._lists.only
        if self._host.model.counting is not None:
            self._host.stop_counting()
        elif box is not None and box.display:
            none = self._lists.partitions.chosen is None
            self._agree()
            self._lists.words = ()
            self._lists.sift()
            if none and self._calendar.day is not None:
                self._lists.follow(self._calendar.day)
            box.value = ""
            box.display = False
            self._lists.shown.focus()
        elif only is not None:
            self._narrow(None)
            self._calendar.choose(only)
            self._calendar.focus()
        elif self._calendar.begin is not None and self._calendar.day is not None:
            self._calendar.choose(self._calendar.day)

    # -- filter and sort -------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Open the place to type in."""
        self.action_tab("partitions")
        if (box := self._box) is None:
            box = FilterBox(id="filter", placeholder="name, date or state", compact=True)
            self.mount(box, after=self._lists)
        box.display = True
        box.focus()

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self._lists.words = tuple(event.value.lower().split())
        self._lists.sift()
        self._show_tabs()

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        if not event.value:
            event.input.display = False
        self._lists.shown.focus()
        self._agree()

    def _agree(self) -> None:
        """Bring the calendar to the row that a filter left."""
        if (day := self._lists.day_of(self._lists.partitions.chosen)) is not None:
            self._calendar.choose(day)

    def action_sort(self) -> None:
        """By the next column."""
        self._lists.sort(None)

    def action_reverse(self) -> None:
        """The other way round."""
        self._lists.sort(None, turn=True)


class FilterBox(Input):
    """Where the words of a filter are typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "keep it", key_display="enter", id="filter.keep"),
        Binding("escape", "screen.back", "end it", key_display="esc", id="filter.end"),
    ]


def _nothing(_cells: int, _height: int) -> tuple[Line, ...]:
    """What is shown of a table before there is one."""
    return ()
