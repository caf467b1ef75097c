"""What lies below the tabs: six lists, each made when it is opened first; and which of their rows are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from pgalmanac_tui.columns.partitions import partitions
from pgalmanac_tui.widgets.listing import Listing
from pgalmanac_tui.widgets.pager import Pager

if TYPE_CHECKING:
    from datetime import date

    from pgalmanac.model import Orphan
    from pgalmanac.periods import Calendar as Zone
    from pgalmanac_tui.entries import Entry
    from pgalmanac_tui.glyphs import Glyphs
    from pgalmanac_tui.model import Model

__all__ = ["Lists"]


class Lists(ContentSwitcher):
    """Shows one list of a model. That of the partitions is there from the beginning."""

    def __init__(self, model: Model, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002  # Textual's own name
        """Start with what *model* has."""
        super().__init__(id=id, initial="partitions")
        self._model, self._glyphs = model, glyphs
        # What the rows of each list were made from.
        self._seen: dict[str, object] = {}
        # The day that the partitions were narrowed to, and the words that their rows have.
        self.only: date | None = None
        self.words: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """The partitions alone."""
        listing: Listing[Entry] = Listing(
            partitions(self._glyphs, self._zone),
            self._glyphs,
            empty="",
            sort=1,
            descending=True,
            id="partitions",
        )
        yield listing

    def _zone(self) -> Zone | None:
        return None if (almanac := self._model.almanac) is None else almanac.view.calendar

    # -- what is shown ---------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Bring a list into view."""
        if name not in self._made:
            from pgalmanac_tui.screens.parts import made

            widget = made(name, self._glyphs)
            widget.display = False
            self.mount(widget)
        self.current = name
        self._fill(name)

    def show(self, model: Model) -> None:
        """Show this model; what is as it was is left alone."""
        self._model = model
        for name in self._made:
            if name != "growth" or self.current == name:  # that looks at a hundred days
                self._fill(name)

    def tick(self, model: Model) -> None:
        """The same as far as it changes with the clock alone."""
        self._model = model
        if "runs" in self._made:
            self._fill("runs")

    def _fill(self, name: str) -> None:
        model = self._model
        if name == "partitions":
            # Before the first look nobody has seen that there are none.
            self.partitions.empty = "" if model.almanac is None else "no partitions"
            self.partitions.set(() if model.almanac is None else model.almanac.entries)
            return
        from pgalmanac_tui.screens.parts import empty, rows, source, text

        if isinstance(widget := self.get_child_by_id(name), Pager):
            widget.show(lambda cells: text(name, model, cells, self._glyphs))
        elif (found := source(name, model)) != self._seen.get(name):
            self._seen[name] = found
            listing = self._listing(name)
            listing.empty = empty(name, model)
            listing.set(rows(name, model))

    @property
    def _made(self) -> list[str]:
        return [child.id for child in self.children if child.id is not None]

    @property
    def shown(self) -> Widget:
        """The list in view."""
        return self.get_child_by_id(self.current or "partitions")

    @property
    def partitions(self) -> Listing[Entry]:
        """The list of partitions."""
        return self._listing("partitions")

    def _listing(self, name: str) -> Listing[Any]:
        return self.get_child_by_id(name, Listing)

    # -- which rows ------------------------------------------------------------------------------------------

    def sift(self) -> None:
        """Show the partitions in whose row every word is found; of a day that was opened only its own."""
        words, almanac = self.words, self._model.almanac
        day = None if self.only is None or almanac is None else almanac.bounds(self.only)

        def keep(entry: Entry) -> bool:
            inside = day is None or (entry.bounds is not None and entry.bounds.overlaps(day))
            return inside and all(word in entry.text for word in words)

        self.partitions.filter(keep if words or day is not None else None)

    def follow(self, day: date) -> None:
        """Put the cursor on what should be looked at first of a day."""
        almanac = self._model.almanac
        if almanac is not None and (entry := almanac.first_look(day)) is not None:
            self.partitions.choose(entry.key)

    def sort(self, column: int | None, *, turn: bool = False) -> None:
        """Put the list in view in the order of a column, None for the next one, or turn the order round."""
        if isinstance(listing := self.shown, Listing):
            at = -1 if listing.sort is None else listing.sort
            if turn:
                listing.sort_by(max(at, 0), descending=not listing.descending)
            elif column is None:
                listing.sort_by((at + 1) % len(listing.columns), descending=listing.descending)
            else:
                listing.sort_by(column, descending=at == column and not listing.descending)

    # -- the row that has the keys ---------------------------------------------------------------------------

    @property
    def entry(self) -> Entry | None:
        """The row that a key acts on, when the list of partitions or the plan has the keys."""
        if (row := self._row("plan")) is not None:
            return None if (almanac := self._model.almanac) is None else almanac.entry(row.action)
        found: Entry | None = self._row("partitions")
        return found

    @property
    def orphan(self) -> Orphan | None:
        """The same of the trash, and of what the plan does to it."""
        if (row := self._row("plan")) is not None:
            table = self._model.table
            orphans = () if table is None else table.view.table.orphans
            return next((o for o in orphans if o.oid == row.action.oid), None)
        return None if (row := self._row("trash")) is None else row.orphan

    @property
    def day(self) -> date | None:
        """The day on which the row begins that has the keys."""
        return self.day_of(self.entry or self.orphan)

    def day_of(self, row: Entry | Orphan | None) -> date | None:
        """The day on which a row begins; None for one without bounds, and for none."""
        zone = self._zone()
        lower = None if row is None or row.bounds is None else row.bounds.lower
        return None if lower is None or zone is None else zone.day(lower)

    def _row(self, name: str) -> Any:  # noqa: ANN401  # each list has rows of its own kind
        return self._listing(name).chosen if self.current == name and self._listing(name).has_focus else None
