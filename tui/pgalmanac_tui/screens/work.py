"""A dialog about a change: its parts, and what they show while it is carried out and when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from pgalmanac.errors import PgalmanacError
from pgalmanac_tui.changes import Change
from pgalmanac_tui.format import Line, clean, duration
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.panels import proposal as panel
from pgalmanac_tui.panels.progress import bar, heading, to_end, waiting
from pgalmanac_tui.screens.host import Changer
from pgalmanac_tui.snapshot import Proposal, Wish
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.pager import Pager

if TYPE_CHECKING:
    from textual.timer import Timer

    from pgalmanac.actions import Action
    from pgalmanac.results import Blocker
    from pgalmanac.table_names import TableName

__all__ = ["WorkScreen"]

# Two pictures a second are progress enough.
_PROGRESS_SECONDS: Final = 0.5
# An action that takes longer is named, and so often it is asked who is in its way.
_LONG_SECONDS: Final = 2.0
_ASK_SECONDS: Final = 3.0
_TITLES: Final = {
    "maintain": "Maintain {table}",
    "fix": "Fix {table}: 30 days back, 30 days ahead",
    "create": "Create {target} of {table}",
    "drop": "Drop {target} of {table}",
    "undrop": "Bring back {target} of {table} from the trash",
    "restore": "Bring back {target} of {table} from the archive",
    "pin": "Pin {target} of {table}: nothing drops it",
    "unpin": "Unpin {target} of {table}: it may be dropped again",
}


class WorkScreen(ModalScreen[bool]):
    """One wish while it is done. Its result says whether anything was begun."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "copy", show=False, id="change.copy", tooltip="the SQL that ends who is in the way"),
    ]

    def __init__(self, changer: Changer, table: TableName, wish: Wish, glyphs: Glyphs) -> None:
        """Show *wish* on *table*."""
        super().__init__()
        self._changer, self._table, self._wish, self._glyphs = changer, table, wish, glyphs
        self._proposal: Proposal | None = None
        self._change: Change | None = None
        self._timer: Timer | None = None
        # The action that takes long, who is in its way as far as that was asked, and when it was asked last.
        self._slow: Action | None = None
        self._held: tuple[Blocker, ...] | None = None
        self._asked_at = 0.0

    def compose(self) -> ComposeResult:
        """A title, the text, the name to be typed, and two buttons."""
        with Vertical(id="dialog"):
            yield Lines(id="title")
            yield Pager(id="text")
            yield Lines(id="prompt")
            yield Input(id="name", placeholder="the name", compact=True)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Apply", id="apply", compact=True, disabled=True)

    # -- parts -----------------------------------------------------------------------------------------------

    def _title(self, what: Line) -> None:
        title = _TITLES[self._wish.command].format(table=self._table, target=self._wish.target)
        found, label, glyphs = self._proposal, self._changer.label, self._glyphs
        self.query_one("#title", Lines).show(
            lambda cells, _height: (*heading(title, found, label, cells, glyphs), ((" ", ""), *what))
        )

    def _text(self, make: Callable[[int], tuple[Line, ...]]) -> None:
        """Another text, to be read from its beginning, wherever the one before was scrolled to."""
        pager = self.query_one("#text", Pager)
        pager.show(make)
        pager.scroll_home(animate=False)

    def _prompt(self, line: Line) -> None:
        self.query_one("#prompt", Lines).show(lambda _cells, _height: (line,))

    def _buttons(self, cancel: str, apply: str | None, *, ready: bool = True) -> None:
        self.query_one("#cancel", Button).label = cancel
        button = self.query_one("#apply", Button)
        button.display = apply is not None
        button.label = apply or ""
        button.disabled = not ready

    # -- at work ---------------------------------------------------------------------------------------------

    def _watch(self, proposal: Proposal) -> None:
        """Begin, and show how it goes."""
        self._change = self._changer.begin(proposal)
        self._buttons("Stop", None)
        self._timer = self.set_interval(_PROGRESS_SECONDS, self._progress)
        self._progress()

    def _progress(self) -> None:
        change, glyphs = self._change, self._glyphs
        if change is None or self._proposal is None:
            return
        outcomes = tuple(change.outcomes)
        if change.ended:
            self._finished(change)
            return
        total = max(len(self._proposal.plan.actions), 1)
        self.query_one("#prompt", Lines).show(
            lambda cells, _height: (bar(len(outcomes), total, cells, glyphs, stopping=change.stopping),)
        )
        now, seconds = panel.under_way(self._proposal.plan, outcomes), monotonic() - change.since
        now = now if seconds >= _LONG_SECONDS else None
        self._ask_who(self._proposal, now)
        held = self._held
        if outcomes or held is not None:
            lines = tuple(panel.outcome_line(o, glyphs) for o in reversed(outcomes))
            self.query_one("#text", Pager).show(lambda cells: (*waiting(held, cells, glyphs), *lines))
        word = "" if now is None else f" on {clean(str(now.partition))} for {duration(seconds)}"
        self._title((("at work", "accent"), (word, ""), (": it waits for a lock" if held else "", "warning")))

    def _ask_who(self, proposal: Proposal, now: Action | None) -> None:
        """Ask every few seconds who is in the way of an action that takes long; of one that has ended nobody is."""
        if now is not self._slow:
            self._slow, self._held, self._asked_at = now, None, 0.0
        at = monotonic()
        if now is not None and at - self._asked_at >= _ASK_SECONDS:
            self._asked_at = at
            self.run_worker(self._look_who(proposal, now), group="who", exclusive=True, exit_on_error=False)

    async def _look_who(self, proposal: Proposal, now: Action) -> None:
        with suppress(PgalmanacError):  # the poll says what is wrong with the server
            held = await self._changer.in_the_way(proposal.plan, now)
            if now is self._slow and (held or self._held is not None):
                self._held = held

    def action_copy(self) -> None:
        """Copy what would end those who are in the way; it is never run from here."""
        if text := to_end(self._held or ()):
            self._changer.copy(text)

    def _finished(self, change: Change) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._held = None  # nobody is to be ended any more
        outcomes, report, glyphs = tuple(change.outcomes), change.report, self._glyphs
        self._prompt(())
        self._buttons("Close", None)
        if report is not None:
            failed = any(t.failed for t in report.tables)
            word: Line = (("done, with trouble" if failed else "done", "critical" if failed else "ok"),)
            self._title(word)
            self._text(lambda cells: panel.report(report, outcomes, cells, glyphs))
        else:
            error = change.error or ""
            self._title((("not done, or not all of it", "critical"),))
            self._text(
                lambda cells: (*panel.problem(error, None, cells, glyphs), (), *panel.ended(outcomes, cells, glyphs))
            )
        self.query_one("#cancel").focus()
