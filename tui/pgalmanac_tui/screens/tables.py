"""The table switcher: every table that is maintained here, with its health."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from pgalmanac.errors import PgalmanacError
from pgalmanac_tui.columns.tables import TableRow, table_rows, tables
from pgalmanac_tui.messages import RowOpened
from pgalmanac_tui.screens.host import Host
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.listing import Listing

if TYPE_CHECKING:
    from pgalmanac.table_names import TableName

__all__ = ["TablesScreen"]


class TablesScreen(ModalScreen["TableName | None"]):
    """Enter chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,o", "dismiss(None)", "back", id="tables.back")]

    def __init__(self, host: Host, names: tuple[TableName, ...], current: TableName | None) -> None:
        """Offer *names*; the cursor begins on *current*."""
        super().__init__()
        self._host, self._names, self._current = host, names, current

    def compose(self) -> ComposeResult:
        """A title and the list."""
        with Vertical(id="dialog"):
            yield Lines(id="title")
            yield Listing[TableRow](tables(), self._host.glyphs, empty="no table could be maintained here", id="tables")

    def on_mount(self) -> None:
        """Show the names at once with the health as it was, and as it is when that is known."""
        self.query_one("#title", Lines).show(
            lambda _cells, _height: (((" Tables", "strong"), ("   enter", "key"), (" shows one", "dim")),)
        )
        listing, model = self._listing(), self._host.model
        known = dict(model.levels) if model.table is None else {**model.levels, model.table.name: model.table.level}
        listing.set(table_rows(self._names, known, self._host.glyphs))
        if self._current is not None:
            listing.choose(str(self._current))
        listing.focus()
        self.run_worker(self._look(), group="levels", exit_on_error=False)

    def _listing(self) -> Listing[TableRow]:
        return self.query_one("#tables", Listing)

    async def _look(self) -> None:
        try:
            levels = await self._host.levels(self._names)
        except PgalmanacError as exc:
            levels = dict.fromkeys(self._names, exc.message)
        self._listing().set(table_rows(self._names, levels, self._host.glyphs))

    def on_row_opened(self, event: RowOpened) -> None:
        """Switch to it."""
        event.stop()
        self.dismiss(next((n for n in self._names if str(n) == event.key), None))
