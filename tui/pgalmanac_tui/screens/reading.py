"""Screens to read and leave: one run, and the help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from pgalmanac.errors import PgalmanacError
from pgalmanac_tui.format import Line, clean, wrap
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.panels.legend import full_legend
from pgalmanac_tui.panels.proposal import problem
from pgalmanac_tui.panels.run import run_lines
from pgalmanac_tui.screens.host import Host
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.pager import Pager

if TYPE_CHECKING:
    from pgalmanac_tui.snapshot import RunRecord

__all__ = ["HelpScreen", "ReadingScreen", "RunScreen"]

_LIVE_SECONDS: Final = 2.0
# Where the help says what a key does.
_INDENT: Final = 28


class ReadingScreen(ModalScreen[None]):
    """A title and a text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", id="reading.back"),
    ]

    def __init__(self, title: str, glyphs: Glyphs) -> None:
        """Begin with the title alone."""
        super().__init__()
        self._heading, self._glyphs = title, glyphs

    def compose(self) -> ComposeResult:
        """The title above the text."""
        with Vertical(id="dialog"):
            yield Lines(id="title")
            yield Pager(id="text")

    def on_mount(self) -> None:
        """Show the title."""
        line: Line = ((f" {clean(self._heading)}", "strong"), ("   esc", "key"), (" back", "dim"))
        self.query_one("#title", Lines).show(lambda _cells, _height: (line,))
        self.query_one("#text").focus()

    def read(self, make: Callable[[int], tuple[Line, ...]]) -> None:
        """Show a text."""
        self.query_one("#text", Pager).show(make)


class RunScreen(ReadingScreen):
    """One recorded run; of one that goes on, what it has done so far."""

    def __init__(self, host: Host, run_id: str) -> None:
        """Show the run of this id."""
        super().__init__(f"Run {run_id}", host.glyphs)
        self._host, self._run_id = host, run_id

    def on_mount(self) -> None:
        """Fetch it, and again while it goes on."""
        super().on_mount()
        self.set_interval(_LIVE_SECONDS, self._again)
        self._running = True
        self._again()

    def _again(self) -> None:
        if self._running:
            self.run_worker(self._fetch(), group="run", exclusive=True, exit_on_error=False)

    async def _fetch(self) -> None:
        glyphs = self._glyphs
        try:
            run: RunRecord | None = await self._host.run_record(self._run_id)
        except PgalmanacError as exc:
            message, hint = exc.message, exc.hint
            self.read(lambda cells: problem(message, hint, cells, glyphs))
            return
        self._running = run is not None and run.status == "running"
        if run is None:
            self.read(lambda _cells: ((("  the history has no such run any more", "dim"),),))
            return
        found = run
        self.read(lambda cells: run_lines(found, cells, glyphs))


class HelpScreen(ReadingScreen):
    """The keys of the screen it was opened from, with what each does and why one is off; and the glyphs."""

    def __init__(self, keys: tuple[tuple[str, str, str, str | None], ...], glyphs: Glyphs) -> None:
        """*keys* has for each: the key, its word, what it does, and why it is off or None."""
        super().__init__("Keys and glyphs", glyphs)
        self._keys = keys

    def on_mount(self) -> None:
        """Show all."""
        super().on_mount()
        legend = (("  The calendar", "strong"),), *full_legend(self._glyphs)
        self.read(lambda cells: (*(line for key in self._keys for line in _told(key, cells)), (), *legend))


def _told(key: tuple[str, str, str, str | None], cells: int) -> Iterator[Line]:
    """A key in lines of at most so many cells: what it does, and below that why it is off."""
    name, word, tooltip, why = key
    style = "" if why is None else "off"
    first: Line = ((f"  {name:>9}  ", "key" if why is None else "off"), (f"{word:<14} ", style))
    told = wrap(tooltip if tooltip != word else "", cells - _INDENT)
    yield (*first, (told[0], "dim"))
    for text in told[1:]:
        yield ((" " * _INDENT, ""), (text, "dim"))
    for text in wrap(f"off: {clean(why)}", cells - _INDENT) if why else ():
        yield ((" " * _INDENT, ""), (text, "warning"))
