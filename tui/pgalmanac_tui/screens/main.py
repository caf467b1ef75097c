"""The dashboard's screen: header, calendar, details, and the lists below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Input

from pgalmanac_tui import columns
from pgalmanac_tui.almanac import Almanac, Entry
from pgalmanac_tui.columns import ActionRow, RunRow, TrashRow
from pgalmanac_tui.format import Line, command_line, day_title
from pgalmanac_tui.glyphs import SEVERITY, Mark
from pgalmanac_tui.messages import DayChosen, DayOpened, RowChosen, RowOpened, SortWanted, TabChosen
from pgalmanac_tui.panels.details import details
from pgalmanac_tui.panels.findings import findings
from pgalmanac_tui.panels.growth import growth
from pgalmanac_tui.panels.header import header
from pgalmanac_tui.panels.legend import legend
from pgalmanac_tui.screens.change import ChangeScreen
from pgalmanac_tui.screens.host import Host
from pgalmanac_tui.screens.reading import HelpScreen, RunScreen
from pgalmanac_tui.screens.small import CopyScreen, DateScreen, ReasonScreen
from pgalmanac_tui.screens.tables import TablesScreen
from pgalmanac_tui.snapshot import Wish
from pgalmanac_tui.targets import chosen_entries, create_target, drop_target, restore_target, undrop_target
from pgalmanac_tui.widgets.calendar import Calendar
from pgalmanac_tui.widgets.keybar import KeyBar, Tab, TabBar
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.listing import Listing
from pgalmanac_tui.widgets.pager import Pager
from pgalmanac_tui.widgets.paint import COMPONENTS

if TYPE_CHECKING:
    from pgalmanac.model import TableName
    from pgalmanac.periods import Calendar as Zone

__all__ = ["MainScreen"]

_TABS: Final = ("partitions", "findings", "runs", "plan", "trash", "growth")
_CHANGING: Final = {"create", "drop", "maintain", "fix", "undrop", "pin"}
_LOOKING: Final = {"count", "select", "goto", "today", "sort", "filter", "copy"}
# Details of the chosen day are fetched when the cursor rests.
_REST_SECONDS: Final = 0.12
# So long the details wait for the figures of a partition, to be painted once and not twice.
_PATIENCE_SECONDS: Final = 0.4


class MainScreen(Screen[None]):
    """All of it on one screen, which also holds the styles that everything is painted in."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(COMPONENTS)

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (64, "-usual"), (110, "-wide")]  # noqa: RUF012  # Textual's own type
    VERTICAL_BREAKPOINTS = [(0, "-short"), (21, "-tall"), (34, "-high")]  # noqa: RUF012  # as above
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "create", "create", id="create", tooltip="create the partitions of the chosen days"),
        Binding("D", "drop", "drop", id="drop", tooltip="drop the chosen partitions; asks for the name"),
        Binding("m", "maintain", "maintain", id="maintain", tooltip="what the timer does, now: create, then drop"),
        Binding("f", "fix", "fix", id="fix", tooltip="create what is missing 30 days around, and prove an insert"),
        Binding(
            "u",
            "undrop",
            "undrop",
            show=False,
            id="undrop",
            tooltip="bring back what was dropped, from the trash or the archive",
        ),
        Binding("P", "pin", "pin", show=False, id="pin", tooltip="let nothing drop the chosen days; again: unpin them"),
        Binding("e", "count", "exact", id="count", tooltip="count the chosen partitions, with hours and event types"),
        Binding("slash", "filter", "filter", key_display="/", id="filter", tooltip="by name, date or state"),
        Binding("s", "sort", "sort", id="sort", tooltip="by the next column; S turns the order round"),
        Binding("S", "reverse", "reverse", show=False, id="reverse", tooltip="the other way round"),
        Binding("t", "today", "today", id="today", tooltip="to today"),
        Binding("g", "goto", "go to", id="goto", tooltip="to a date"),
        Binding("v", "select", "select", id="select", tooltip="begin a range of days here; esc ends it"),
        Binding("o", "tables", "tables", id="tables", tooltip="show another table"),
        Binding("y", "copy", "copy", id="copy", tooltip="name, SQL or command line, to the terminal's clipboard"),
        Binding("r", "refresh", "refresh", show=False, id="refresh", tooltip="look again now, and paint all anew"),
        Binding("p", "pause", "pause", show=False, id="pause", tooltip="stop looking, or go on"),
        Binding("tab", "swap", "calendar/list", show=False, id="swap", tooltip="between calendar and list"),
        Binding("shift+tab", "swap", "calendar/list", show=False, id="swap.back"),
        Binding("1", "tab('partitions')", "partitions", show=False, id="tab.partitions"),
        Binding("2", "tab('findings')", "findings", show=False, id="tab.findings"),
        Binding("3", "tab('runs')", "runs", show=False, id="tab.runs"),
        Binding("4", "tab('plan')", "plan", show=False, id="tab.plan"),
        Binding("5", "tab('trash')", "trash", show=False, id="tab.trash"),
        Binding("6", "tab('growth')", "growth", show=False, id="tab.growth"),
        Binding("escape", "back", "back", show=False, id="back", tooltip="end a range, a filter or a count"),
        Binding("q", "app.quit", "quit", id="quit", tooltip="leave"),
        Binding("question_mark", "help", "help", key_display="?", id="help", tooltip="all keys, and why some are off"),
    ]

    # Textual's own paints the whole screen when the focus moves; the two widgets concerned paint themselves.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self, host: Host) -> None:
        """Show what *host* knows."""
        super().__init__()
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
                columns.partitions(glyphs, self._zone),
                glyphs,
                empty="no partitions",
                sort=1,
                descending=True,
                id="partitions",
            )
            yield Pager(id="findings")
            yield Listing[RunRow](columns.runs(glyphs), glyphs, empty="no run is recorded", id="runs")
            yield Listing[ActionRow](columns.plan(glyphs), glyphs, empty="nothing to do", id="plan")
            yield Listing[TrashRow](columns.trash(glyphs), glyphs, empty="the trash is empty", id="trash")
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
        found = () if table is None else table.findings
        self.query_one("#findings", Pager).show(lambda cells: findings(found, cells, self._glyphs))
        if table is not None and table.plan.actions != self._plan_seen:
            self._plan_seen = table.plan.actions
            self._listing("plan").set(columns.action_rows(table.plan))
        if table is not None and table.plan.table.orphans != self._trash_seen:
            self._trash_seen = table.plan.table.orphans
            self._listing("trash").set(columns.trash_rows(table.plan))
        self._show_growth()
        if model.almanac is not None and model.almanac.state.name != self._begun:
            self._begun = model.almanac.state.name
            self._only = None
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
        if model.table is not None and model.now is not None:
            rows = columns.run_rows(model.table.runs, model.now)
            if rows != self._runs_seen:
                self._runs_seen = rows
                self._listing("runs").set(rows)

    def _show_tabs(self) -> None:
        model, table = self._host.model, self._host.model.table
        rows = len(self._listing("partitions").rows)
        counts = dict.fromkeys(_TABS, "")
        style = ""
        if table is not None:
            counts |= {
                "partitions": f"{rows:,}",
                "findings": str(len(table.findings)),
                "runs": str(len(table.runs)),
                "plan": str(len(table.plan.todo)),
                "trash": str(len(table.plan.table.orphans)),
            }
            style = "" if table.level is None else str(table.level)
        tabs = [
            Tab(
                id=name,
                key=str(i),
                word=name.capitalize(),
                number=counts[name],
                style=style if name == "findings" else "",
            )
            for i, name in enumerate(_TABS, start=1)
        ]
        note: Line = ()
        if self._only is not None:
            note = ((f" {day_title(self._only)} ", "accent"), ("esc", "key"), (" all ", "dim"))
        if model.counting is not None:
            note = (
                (f" counting {model.counting.done}/{model.counting.total} ", "accent"),
                ("esc", "key"),
                (" stops ", "dim"),
            )
        self.query_one("#tabs", TabBar).set(tabs, self._tab, note)

    def _show_growth(self) -> None:
        """Only while it is in view: it looks at a hundred days."""
        almanac = self._host.model.almanac
        if self._tab == "growth" and almanac is not None:
            self.query_one("#growth", Pager).show(lambda cells: growth(almanac, cells, self._glyphs))

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
        entry = self._entry()
        return self._calendar.day, None if entry is None else entry.key

    def _rested(self, at: tuple[date | None, str | None]) -> None:
        """The cursor stayed where it is: the day is shown, and what takes a query is fetched.

        Not before: of a key that is held down the calendar shows each step, and the details the last one.
        """
        almanac, day = self._host.model.almanac, self._calendar.day
        if at != self._cursor() or almanac is None or day is None:
            return
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
        if len(entries) > 1:
            self._only = event.day
            self._sift()
            self._show_tabs()
        if entries:
            self._listing("partitions").choose(_first_look(entries, almanac).key)
        self._list.focus()

    @on(RowChosen)
    def _row_chosen(self, event: RowChosen) -> None:
        event.stop()
        entry = self._entry()
        zone = self._zone()
        if entry is not None and zone is not None and entry.bounds is not None and entry.bounds.lower is not None:
            self._calendar.choose(zone.day(entry.bounds.lower))
        self._rest()

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

    def _follow(self) -> None:
        """Put the list's cursor on the chosen day."""
        almanac, day = self._host.model.almanac, self._calendar.day
        if almanac is not None and day is not None and (entries := almanac.day(day).entries):
            self._listing("partitions").choose(_first_look(entries, almanac).key)

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
        """The row that a key acts on, when the list of partitions has the keys."""
        listing = self._listing("partitions")
        return listing.chosen if listing.has_focus else None

    def _ask(self, wish: Wish) -> None:
        name: TableName | None = self._host.model.name
        if name is not None:
            self.app.push_screen(ChangeScreen(self._host, name, wish, self._glyphs), self._asked)

    def _asked(self, begun: bool | None) -> None:  # noqa: FBT001  # Textual's callback
        if begun:
            if self._calendar.begin is not None and self._calendar.day is not None:
                self._calendar.choose(self._calendar.day)
            self._host.poll_now()

    def action_create(self) -> None:
        """Create the chosen days, or the missing row."""
        if (almanac := self._host.model.almanac) is not None:
            self._ask(Wish(command="create", target=create_target(almanac, self._span(), self._entry())))

    def action_drop(self) -> None:
        """Drop the chosen days' partitions, or the row's."""
        if (almanac := self._host.model.almanac) is None:
            return
        target = drop_target(almanac, self._span(), self._entry())
        if target is None:
            self.say("there is no partition here to drop")
        else:
            self._ask(Wish(command="drop", target=target))

    def action_undrop(self) -> None:
        """Bring back the row of the trash, or what was dropped of the chosen days, from there or from the archive."""
        if (almanac := self._host.model.almanac) is None:
            return
        row, span = self._trashed(), self._span()
        if (target := undrop_target(almanac, span) if row is None else row.orphan.name.name) is not None:
            self._ask(Wish(command="undrop", target=target))
        elif (target := restore_target(almanac, span)) is not None:
            self._ask(Wish(command="restore", target=target))
        else:
            self.say("nothing that was dropped here can be had back")

    def _trashed(self) -> TrashRow | None:
        """The row that a key acts on, when the trash has the keys."""
        listing = self._listing("trash")
        row: TrashRow | None = listing.chosen if listing.has_focus else None
        return row

    def action_pin(self) -> None:
        """Pin the chosen days, or the row; what is pinned already is unpinned."""
        if (almanac := self._host.model.almanac) is None:
            return
        row, entry = self._trashed(), self._entry()
        if row is not None:
            target: str | None = row.orphan.name.name
            pinned = row.orphan.pin is not None
        else:
            target = drop_target(almanac, self._span(), entry)
            there = [e.partition for e in self._chosen() if e.partition is not None]
            pinned = bool(there) and all(p.pin is not None for p in there)
        if target is None:
            self.say("there is no partition here to pin")
        elif pinned:
            self._ask(Wish(command="unpin", target=target))
        else:
            self._ask_why(target)

    def _ask_why(self, target: str) -> None:
        def pin(reason: str | None) -> None:
            if reason is not None:
                self._ask(Wish(command="pin", target=target, reason=reason))

        self.app.push_screen(ReasonScreen(target, self._glyphs), pin)

    def action_maintain(self) -> None:
        """What the timer does."""
        self._ask(Wish(command="maintain"))

    def action_fix(self) -> None:
        """Create what is missing around today."""
        self._ask(Wish(command="fix"))

    def _chosen(self) -> tuple[Entry, ...]:
        almanac, entry = self._host.model.almanac, self._entry()
        if entry is not None:
            return (entry,)
        return () if almanac is None else chosen_entries(almanac, self._span())

    def action_count(self) -> None:
        """Count exactly."""
        there = tuple(e for e in self._chosen() if e.partition is not None)
        if there:
            self._host.count(there, self._span()[0])
        else:
            self.say("there is no partition here to count")

    def action_copy(self) -> None:
        """Offer what can be copied."""
        model, almanac = self._host.model, self._host.model.almanac
        if almanac is None or model.name is None:
            return
        chosen = self._chosen()
        name = chosen[0].name if chosen else str(model.name)
        missing = not chosen or chosen[0].partition is None
        wish = Wish(command="create", target=create_target(almanac, self._span(), self._entry()))
        if not missing:
            wish = Wish(command="drop", target=drop_target(almanac, self._span(), self._entry()) or name)
        schema = model.name.schema
        texts = {
            "n": ("name", name),
            "s": ("SQL", f"SELECT count(*) FROM {_quoted(schema)}.{_quoted(name)};"),
            "c": ("command", command_line(self._host.invocation, model.name, wish)),
        }
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

    def why_off(self, action: str) -> str | None:
        """Why a key does nothing now, or None."""
        name = action.partition("(")[0]
        if name in _CHANGING:
            return self._host.model.why_not()
        if name in _LOOKING:
            return self._host.model.why_blind()
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  # Textual's own
        """Grey a key that would do nothing."""
        return True if self.why_off(action) is None else None

    def on_key(self, event: events.Key) -> None:
        """Say why, when a greyed key is pressed."""
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if (why := self.why_off(binding.action)) is not None:
                self.say(f"{binding.description} is off: {why}")

    def say(self, text: str) -> None:
        """One sentence, for a few seconds."""
        self.notify(text, markup=False, timeout=6)

    def action_help(self) -> None:
        """All keys of what has the focus and of the screen."""
        self.app.push_screen(HelpScreen(tuple(self._keys()), self._glyphs))

    def _keys(self) -> Iterable[tuple[str, str, str, str | None]]:
        by_binding: dict[str, tuple[list[str], str, str, str | None]] = {}
        for key, active in self.active_bindings.items():
            binding = active.binding
            if binding.id is None and not binding.tooltip:
                continue
            known = by_binding.setdefault(
                binding.id or binding.action, ([], binding.description, binding.tooltip, self.why_off(binding.action))
            )
            known[0].append(binding.key_display or self.app.get_key_display(binding) if not known[0] else key)
        for keys, word, tooltip, why in by_binding.values():
            yield " ".join(keys), word, tooltip, why


def _first_look(entries: Sequence[Entry], almanac: Almanac) -> Entry:
    """Of the partitions of a day the one that is wrong, else the present one, else the last."""
    worst = max(entries, key=lambda e: SEVERITY.index(e.mark))
    if SEVERITY.index(worst.mark) > SEVERITY.index(Mark.PINNED):
        return worst
    now = almanac.view.now
    return next((e for e in entries if e.bounds is not None and e.bounds.contains(now)), entries[-1])


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else '"' + name.replace('"', '""') + '"'
