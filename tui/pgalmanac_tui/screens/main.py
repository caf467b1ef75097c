"""The dashboard's screen: header, calendar, details, and the lists below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Input

from pgalmanac_tui.almanac import Almanac, Entry
from pgalmanac_tui.columns.partitions import partitions
from pgalmanac_tui.columns.plan import ActionRow, action_rows, plan
from pgalmanac_tui.columns.runs import RunRow, run_rows, runs
from pgalmanac_tui.columns.trash import TrashRow, trash, trash_rows
from pgalmanac_tui.format import Line
from pgalmanac_tui.glyphs import Mark
from pgalmanac_tui.messages import DayChosen, DayOpened, RowChosen, RowOpened, SortWanted, TabChosen
from pgalmanac_tui.panels.details import details
from pgalmanac_tui.panels.findings import findings
from pgalmanac_tui.panels.growth import growth
from pgalmanac_tui.panels.header import header
from pgalmanac_tui.panels.legend import legend
from pgalmanac_tui.panels.tabs import note, tabs
from pgalmanac_tui.screens.change import ChangeScreen
from pgalmanac_tui.screens.host import Host
from pgalmanac_tui.screens.keys import BINDINGS, told, why_off
from pgalmanac_tui.screens.reading import HelpScreen, RunScreen
from pgalmanac_tui.screens.small import CopyScreen, DateScreen, ReasonScreen
from pgalmanac_tui.screens.tables import TablesScreen
from pgalmanac_tui.snapshot import Wish
from pgalmanac_tui.widgets.calendar import Calendar
from pgalmanac_tui.widgets.keybar import KeyBar, TabBar
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.listing import Listing
from pgalmanac_tui.widgets.pager import Pager
from pgalmanac_tui.wishes import (
    PLACED,
    Choice,
    copies,
    first_look,
    out_of_place,
    to_bring_back,
    to_count,
    to_create,
    to_drop,
    to_pin,
)

if TYPE_CHECKING:
    from textual.geometry import Size

    from pgalmanac.model import Orphan, TableName
    from pgalmanac.periods import Calendar as Zone

__all__ = ["MainScreen"]

# Details of the chosen day are fetched when the cursor rests.
_REST_SECONDS: Final = 0.12
# So long the details wait for the figures of a partition, to be painted once and not twice.
_PATIENCE_SECONDS: Final = 0.4
# From so many columns and rows on.
_WIDTHS: Final = [(0, "-narrow"), (64, "-usual"), (110, "-wide")]
_HEIGHTS: Final = [(0, "-short"), (21, "-tall"), (34, "-high")]


class MainScreen(Screen[None]):
    """All of it on one screen."""

    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS
    BINDINGS = BINDINGS

    # Textual's own paints the whole screen when the focus moves; the two widgets concerned paint themselves.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self, host: Host, size: Size) -> None:
        """Show what *host* knows in a terminal of this size."""
        # Textual sets these when it has painted already, and then works out all styles and paints once more.
        breakpoints = ((size.width, _WIDTHS), (size.height, _HEIGHTS))
        super().__init__(classes=" ".join(max(b for b in known if b[0] <= cells)[1] for cells, known in breakpoints))
        self._host, self._glyphs = host, host.glyphs
        self._tab = "partitions"
        self._now_fetching: str | None = None
        self._runs_seen: tuple[object, ...] = ()
        self._plan_seen: object = None
        self._trash_seen: object = ()
        # The day that the list was narrowed to.
        self._only: date | None = None
        self._begun: TableName | None = None

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        glyphs = self._glyphs
        yield Lines(id="header")
        with Horizontal(id="top"):
            with Vertical(id="left"):
                yield Calendar(glyphs, id="calendar")
                yield Lines(id="legend")
            yield Lines(id="details")
        yield TabBar(glyphs, id="tabs")
        with ContentSwitcher(id="body", initial="partitions"):
            yield Listing[Entry](
                partitions(glyphs, self._zone),
                glyphs,
                empty="no partitions",
                sort=1,
                descending=True,
                id="partitions",
            )
            yield Pager(id="findings")
            yield Listing[RunRow](runs(glyphs), glyphs, empty="no run is recorded", id="runs")
            yield Listing[ActionRow](plan(glyphs), glyphs, empty="nothing to do", id="plan")
            yield Listing[TrashRow](trash(glyphs), glyphs, empty="the trash is empty", id="trash")
            yield Pager(id="growth")
        yield Input(id="filter", placeholder="name, date or state", compact=True)
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """The calendar has the keys at first."""
        self.query_one("#filter").display = False
        self._calendar.focus()
        self.show()

    # -- parts -----------------------------------------------------------------------------------------------

    @property
    def _whole(self) -> bool:
        """Whether the parts are there: not yet, and no more, while the program begins and ends."""
        return self.is_mounted and bool(self.query("#header")) and bool(self.query("#keys"))

    @property
    def _calendar(self) -> Calendar:
        return self.query_one("#calendar", Calendar)

    @property
    def _list(self) -> Widget:
        return self.query_one(f"#{self._tab}", Widget)

    def _listing(self, name: str) -> Listing[Any]:
        return self.query_one(f"#{name}", Listing)

    def _zone(self) -> Zone | None:
        almanac = self._host.model.almanac
        return None if almanac is None else almanac.view.calendar

    # -- what is shown ---------------------------------------------------------------------------------------

    def show(self) -> None:
        """Show the host's model; what is as it was is left alone."""
        if not self._whole:
            return
        model = self._host.model
        self.tick()
        self._calendar.set(model.almanac)
        self._show_legend(model.almanac)
        self._show_details()
        table = model.table
        self._listing("partitions").set(model.almanac.entries if model.almanac is not None else ())
        self.query_one("#findings", Pager).show(
            lambda cells: () if table is None else findings(table.findings, cells, self._glyphs)
        )
        # Of a table that is gone nothing is left.
        actions, orphans = ((), ()) if table is None else (table.plan.actions, table.plan.table.orphans)
        if actions != self._plan_seen:
            self._plan_seen = actions
            self._listing("plan").set(() if table is None else action_rows(table.plan))
        if orphans != self._trash_seen:
            self._trash_seen = orphans
            self._listing("trash").set(() if table is None else trash_rows(table.plan))
        self._show_growth()
        if model.almanac is not None and model.almanac.state.name != self._begun:
            self._begun = model.almanac.state.name
            self._only = None
            self._sift()
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
        rows = () if model.table is None or model.now is None else run_rows(model.table.runs, model.now)
        if rows != self._runs_seen:
            self._runs_seen = rows
            self._listing("runs").set(rows)

    def _show_tabs(self) -> None:
        model, listing = self._host.model, self._listing("partitions")
        shown = tabs(model, len(listing.rows) if listing.sifted else None)
        self.query_one("#tabs", TabBar).set(shown, self._tab, note(model, self._only))

    def _show_growth(self) -> None:
        """Only while it is in view: it looks at a hundred days."""
        almanac = self._host.model.almanac
        if self._tab == "growth":
            self.query_one("#growth", Pager).show(
                lambda cells: () if almanac is None else growth(almanac, cells, self._glyphs)
            )

    def _show_legend(self, almanac: Almanac | None) -> None:
        def make(cells: int, _height: int) -> tuple[Line, ...]:
            if almanac is None:
                return ()
            return (legend(self._marks(almanac), cells, self._glyphs),)

        self.query_one("#legend", Lines).show(make)

    @staticmethod
    def _marks(almanac: Almanac) -> set[Mark]:
        """The states that the days from the retention edge's to the premake edge's show."""
        marks = {e.mark for e in almanac.entries if e.bounds is not None}
        return marks if len(marks) > 1 else marks | {Mark.PREMADE}

    def _show_details(self) -> None:
        model, span = self._host.model, self._span()
        entry, glyphs = self._entry(), self._glyphs
        if entry is None and (day := self._row_day()) is not None:  # of the trash: what is said of its day
            span = day, day
        self.query_one("#details", Lines).show(
            lambda cells, height: details(model, span, entry, (cells, height), glyphs)
        )

    def _span(self) -> tuple[date, date]:
        return self._calendar.span or (date.min, date.min)

    # -- moving ----------------------------------------------------------------------------------------------

    @on(DayChosen)
    def _day_chosen(self, event: DayChosen) -> None:
        event.stop()
        self._rest()

    @on(events.DescendantFocus)
    def _focus_moved(self) -> None:
        """The calendar's details are those of a day, the list's those of a row."""
        self._rest()

    def _rest(self) -> None:
        """Wait whether the cursor rests."""
        at = self._cursor()
        self.set_timer(_REST_SECONDS, lambda: self._rested(at))

    def _cursor(self) -> tuple[date | None, str | None]:
        """The chosen day, and the row, if the list has the keys."""
        entry, orphan = self._entry(), self._orphan()
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
        row = self._entry()
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
        almanac = self._host.model.almanac
        if almanac is None:
            return
        entries = almanac.day(event.day).entries
        self.action_tab("partitions")
        self._narrow(event.day if len(entries) > 1 else None)
        if entries:
            self._listing("partitions").choose(first_look(entries, almanac).key)
        self._list.focus()

    @on(RowChosen)
    def _row_chosen(self, event: RowChosen) -> None:
        event.stop()
        if (day := self._row_day()) is not None:
            self._calendar.choose(day)
        self._rest()

    def _row_day(self) -> date | None:
        """The day on which the row begins that has the keys."""
        row, zone = self._entry() or self._orphan(), self._zone()
        lower = None if row is None or row.bounds is None else row.bounds.lower
        return None if lower is None or zone is None else zone.day(lower)

    @on(RowOpened)
    def _row_opened(self, event: RowOpened) -> None:
        event.stop()
        if event.list_id == "runs":
            self.app.push_screen(RunScreen(self._host, event.key))
        elif event.list_id == "partitions":
            self.action_count()

    @on(TabChosen)
    def _tab_chosen(self, event: TabChosen) -> None:
        event.stop()
        self.action_tab(event.tab)

    @on(SortWanted)
    def _sort_wanted(self, event: SortWanted) -> None:
        event.stop()
        listing = self._listing(event.list_id)
        listing.sort_by(event.column, descending=listing.sort == event.column and not listing.descending)

    def action_swap(self) -> None:
        """From the calendar to the list and back."""
        if self._calendar.has_focus:
            self._follow()
            self._list.focus()
        else:
            self._calendar.focus()

    def _narrow(self, day: date | None) -> None:
        """List the partitions of one day alone, or those of all."""
        if day != self._only:
            self._only = day
            self._sift()
            self._show_tabs()

    def _follow(self) -> None:
        """Put the list's cursor on the chosen day."""
        almanac, day = self._host.model.almanac, self._calendar.day
        if self._only != day:
            self._narrow(None)
        if almanac is not None and day is not None and (entries := almanac.day(day).entries):
            self._listing("partitions").choose(first_look(entries, almanac).key)

    def action_tab(self, name: str) -> None:
        """Show a list."""
        had = not self._calendar.has_focus
        self._tab = name
        self.query_one(ContentSwitcher).current = name
        self._show_growth()
        self._show_tabs()
        if had or name != "partitions":
            self._list.focus()

    def action_today(self) -> None:
        """To today."""
        if (almanac := self._host.model.almanac) is not None:
            self._calendar.choose(almanac.today)

    def action_goto(self) -> None:
        """To a date."""

        def go(day: date | None) -> None:
            if day is not None:
                self._calendar.choose(day)
                self._calendar.focus()

        if (almanac := self._host.model.almanac) is not None:
            self.app.push_screen(DateScreen(almanac.today, self._glyphs), go)

    def action_select(self) -> None:
        """Begin a range, or end it."""
        calendar = self._calendar
        if calendar.day is not None:
            calendar.choose(calendar.day, None if calendar.begin is not None else calendar.day)
            self._show_details()
            calendar.focus()

    def action_back(self) -> None:
        """End what was begun: a count, a filter, a range."""
        box = self.query_one("#filter", Input)
        if self._host.model.counting is not None:
            self._host.stop_counting()
        elif box.display:
            box.value = ""
            box.display = False
            self._list.focus()
        elif self._only is not None:
            day, self._only = self._only, None
            self._sift()
            self._show_tabs()
            self._calendar.choose(day)
            self._calendar.focus()
        elif self._calendar.begin is not None and self._calendar.day is not None:
            self._calendar.choose(self._calendar.day)

    # -- filter and sort -------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Open the place to type in."""
        self.action_tab("partitions")
        box = self.query_one("#filter", Input)
        box.display = True
        box.focus()

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self._sift()
        self._show_tabs()

    def _sift(self) -> None:
        """Show the rows in which every typed word is found; of a day that was opened only its own."""
        words, almanac = self.query_one("#filter", Input).value.lower().split(), self._host.model.almanac
        day = None if self._only is None or almanac is None else almanac.bounds(self._only)

        def keep(entry: Entry) -> bool:
            inside = day is None or (entry.bounds is not None and entry.bounds.overlaps(day))
            return inside and all(word in entry.text for word in words)

        self._listing("partitions").filter(keep if words or day is not None else None)

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        if not event.value:
            event.input.display = False
        self._list.focus()

    def action_sort(self) -> None:
        """By the next column."""
        if isinstance(self._list, Listing):
            listing = self._listing(self._tab)
            at = -1 if listing.sort is None else listing.sort
            listing.sort_by((at + 1) % len(listing.columns), descending=listing.descending)

    def action_reverse(self) -> None:
        """The other way round."""
        if isinstance(self._list, Listing):
            listing = self._listing(self._tab)
            listing.sort_by(listing.sort or 0, descending=not listing.descending)

    # -- doing -----------------------------------------------------------------------------------------------

    def _entry(self) -> Entry | None:
        """The row that a key acts on, when the list of partitions or the plan has the keys."""
        listing, planned, almanac = self._listing("partitions"), self._listing("plan"), self._host.model.almanac
        if planned.has_focus and almanac is not None:
            row: ActionRow | None = planned.chosen
            return None if row is None else almanac.entry(row.action)
        return listing.chosen if listing.has_focus else None

    def _orphan(self) -> Orphan | None:
        """The same of the trash."""
        row: TrashRow | None = self._listing("trash").chosen if self._listing("trash").has_focus else None
        return None if row is None else row.orphan

    def _ask(self, wish: Wish, table: TableName | None = None) -> None:
        """Show what would be done to *table*: that of the days and rows which were chosen, else the one shown."""
        name = table or self._host.model.name
        if name is not None:
            self.app.push_screen(ChangeScreen(self._host, name, wish, self._glyphs), self._asked)

    def _asked(self, begun: bool | None) -> None:  # noqa: FBT001  # Textual's callback
        if begun:
            if self._calendar.begin is not None and self._calendar.day is not None:
                self._calendar.choose(self._calendar.day)
            self._host.poll_now()

    def _choice(self) -> Choice | None:
        almanac = self._host.model.almanac
        if almanac is None:
            return None
        return Choice(almanac=almanac, span=self._span(), entry=self._entry(), orphan=self._orphan())

    def _do(self, wanted: Callable[[Choice], Wish | str]) -> None:
        """Ask for what a key stands for here, or say why it stands for nothing."""
        if (choice := self._choice()) is None:
            return
        wish, table = wanted(choice), choice.almanac.state.name
        if isinstance(wish, str):
            self.say(wish)
        elif wish.command == "pin":
            self._ask_why(wish, table, choice.almanac.today)
        else:
            self._ask(wish, table)

    def _ask_why(self, wish: Wish, table: TableName, today: date) -> None:
        def pin(answer: tuple[str, date | None] | None) -> None:
            if answer is not None:
                reason, until = answer
                self._ask(replace(wish, reason=reason, until=until), table)

        self.app.push_screen(ReasonScreen(wish.target, today, self._glyphs), pin)

    def action_create(self) -> None:
        """Create the chosen days, or the missing row."""
        self._do(to_create)

    def action_drop(self) -> None:
        """Drop the chosen days' partitions, or the row's."""
        self._do(to_drop)

    def action_undrop(self) -> None:
        """Bring back what was dropped."""
        self._do(to_bring_back)

    def action_pin(self) -> None:
        """Pin, or unpin."""
        self._do(to_pin)

    def action_maintain(self) -> None:
        """What the timer does."""
        self._ask(Wish(command="maintain"))

    def action_fix(self) -> None:
        """Create what is missing around today."""
        self._ask(Wish(command="fix"))

    def action_count(self) -> None:
        """Count exactly."""
        if (choice := self._choice()) is None:
            return
        if isinstance(there := to_count(choice), str):
            self.say(there)
        else:
            self._host.count(there, self._row_day() or choice.span[0])

    def action_copy(self) -> None:
        """Offer what can be copied."""
        choice, name = self._choice(), self._host.model.name
        if choice is not None and name is not None:
            texts = copies(choice, name, self._host.invocation)
            self.app.push_screen(CopyScreen(texts, self._glyphs), self._copied)

    def _copied(self, text: str | None) -> None:
        if text is not None:
            self._host.copy(text)

    def action_tables(self) -> None:
        """Offer the other tables."""
        snapshot = self._host.model.snapshot

        def switch(name: TableName | None) -> None:
            if name is not None:
                self._host.switch(name)

        if snapshot is not None:
            self.app.push_screen(TablesScreen(self._host, snapshot.tables, self._host.model.name), switch)

    def action_refresh(self) -> None:
        """Look again now."""
        self._host.redraw()

    def action_pause(self) -> None:
        """Stop looking, or go on."""
        self._host.pause()

    # -- keys that are off -----------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  # Textual's own
        """Grey a key that would do nothing."""
        return True if self._why_off(action) is None else None

    def _why_off(self, action: str) -> str | None:
        """Why the key of an action does nothing here and now, or None."""
        why = why_off(action, self._host.model)
        if why is not None or action not in PLACED or not self._whole or (choice := self._choice()) is None:
            return why
        return out_of_place(action, choice)

    def on_key(self, event: events.Key) -> None:
        """Say why, when a greyed key is pressed."""
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if (why := self._why_off(binding.action)) is not None:
                self.say(f"{binding.description} is off: {why}")

    def say(self, text: str) -> None:
        """One sentence, for a few seconds."""
        self.notify(text, markup=False, timeout=6)

    def action_help(self) -> None:
        """All keys of what has the focus and of the screen."""
        self.app.push_screen(HelpScreen(tuple(told(self, self._why_off)), self._glyphs))
