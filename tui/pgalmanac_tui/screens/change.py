"""Reading what would be done, agreeing to it, and watching it: the one way by which the dashboard changes anything."""

from __future__ import annotations

from collections.abc import Callable
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
from pgalmanac_tui.panels.fate import changed, stake
from pgalmanac_tui.panels.progress import STALE_SECONDS, age, bar, heading
from pgalmanac_tui.screens.host import Changer
from pgalmanac_tui.snapshot import Proposal, Wish
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.pager import Pager

if TYPE_CHECKING:
    from textual.timer import Timer

    from pgalmanac.table_names import TableName

__all__ = ["ChangeScreen"]

# Two pictures a second are progress enough.
_PROGRESS_SECONDS: Final = 0.5
# An action that takes longer is named: it waits for a lock, or has much to do.
_LONG_SECONDS: Final = 2.0
# How often a plan says how old it is.
_AGES_SECONDS: Final = 10.0
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


class ChangeScreen(ModalScreen[bool]):
    """One wish from its plan to its end. Its result says whether anything was begun."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "cancel", id="change.leave", tooltip="leave without doing it; while it runs: stop"),
        Binding("down,j", "scroll(1)", "down", show=False, id="change.down"),
        Binding("up,k", "scroll(-1)", "up", show=False, id="change.up"),
        Binding("pagedown", "scroll(10)", "page down", show=False, id="change.pagedown"),
        Binding("pageup", "scroll(-10)", "page up", show=False, id="change.pageup"),
        Binding("left,right", "other", "the other button", show=False, id="change.other"),
    ]

    def __init__(self, changer: Changer, table: TableName, wish: Wish, glyphs: Glyphs) -> None:
        """Ask for *wish* on *table*."""
        super().__init__()
        self._changer, self._table, self._wish, self._glyphs = changer, table, wish, glyphs
        self._proposal: Proposal | None = None
        self._planned_at = 0.0
        self._name: str | None = None
        self._change: Change | None = None
        # Whether what was agreed to is looked at anew.
        self._busy = False
        self._timer: Timer | None = None

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

    def on_mount(self) -> None:
        """Show the frame at once and plan meanwhile."""
        self.query_one("#name").display = False
        # The screen scrolls the text itself: from Cancel the next stop is the name that is to be typed.
        self.query_one("#text").can_focus = False
        self._title((("planning", "dim"),))
        self.query_one("#cancel").focus()
        self._ages = self.set_interval(_AGES_SECONDS, self._aged)
        self.run_worker(self._plan(), group="plan", exit_on_error=False)

    # -- planning --------------------------------------------------------------------------------------------

    async def _plan(self) -> None:
        if await self._propose():
            self._offer()

    async def _propose(self) -> bool:
        """Whether there is a plan, of now; why not is said."""
        at = self._changer.clock()
        try:
            self._proposal = await self._changer.propose(self._table, self._wish)
        except PgalmanacError as exc:
            self._say(exc)
            return False
        self._planned_at = at
        return True

    def _offer(self, anew: str | None = None) -> None:
        """Show the plan, to be agreed to; *anew* says why once more."""
        if self._proposal is None:
            return
        plan = self._proposal.plan
        name = panel.name_to_type(plan)
        # A keyboard has no key for what is shown as an escape, and what is typed loses its outer blanks.
        self._name = None if name is None else clean(name).strip()
        found, where, glyphs = self._proposal, self._changer.invocation, self._glyphs
        self._aged()
        self._text(lambda cells: panel.proposal(found, where, cells, glyphs, anew=anew))
        self._prompt(())
        self.query_one("#dialog").set_class(self._name is not None, "-destructive")
        self.query_one("#cancel").focus()
        if not plan.todo:
            self._buttons("Close", "Apply" if panel.all_the_same(found) else None)
        elif self._name is None:
            self._buttons("Cancel", "Apply")
            self.query_one("#apply").focus()
        else:
            self._buttons("Cancel", "Drop" if self._wish.command == "drop" else "Apply", ready=False)
            box = self.query_one("#name", Input)
            box.clear()
            box.display = True
            box.placeholder = f"Tab, and type {self._name} to allow it"
            self._prompt(((f" {glyphs.critical} {stake(plan, glyphs) or ''}", "critical"),))

    def _aged(self) -> None:
        """The title of a plan, which tells its age once it has one."""
        if self._proposal is None or self._change is not None or self._busy:
            return
        told = age(self._changer.clock() - self._planned_at, applies=self.query_one("#apply").display)
        self._title(((panel.summary(self._proposal.plan), "strong"), *told))

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

    def _say(self, error: PgalmanacError) -> None:
        glyphs = self._glyphs
        self._ages.stop()
        self._title((("it cannot be done", "critical"),))
        self._text(lambda cells: panel.problem(error.message, error.hint, cells, glyphs))
        self.query_one("#name").display = False
        self._prompt(())
        self._buttons("Close", None)
        self.query_one("#cancel").focus()

    # -- agreeing --------------------------------------------------------------------------------------------

    def on_input_changed(self, event: Input.Changed) -> None:
        """The button opens when the name is the right one."""
        event.stop()
        self.query_one("#apply", Button).disabled = event.value.strip() != self._name

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter after the right name presses the button."""
        event.stop()
        if event.value.strip() == self._name:
            self._begin()
        else:
            self._prompt(((f" {self._glyphs.critical} that is not ", "critical"), (self._name or "", "strong")))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Cancel, or go."""
        event.stop()
        if event.button.id == "apply":
            self._begin()
        else:
            self.action_leave()

    def action_other(self) -> None:
        """From one button to the other."""
        focused = self.focused
        if isinstance(focused, Button):
            other = self.query_one("#apply" if focused.id == "cancel" else "#cancel", Button)
            if other.display and not other.disabled:
                other.focus()

    def action_scroll(self, lines: int) -> None:
        """Read on."""
        self.query_one("#text", Pager).scroll_relative(y=lines, animate=False)

    # -- doing -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Do what was read; what was read long ago, only if it would be the same now."""
        if self._proposal is None or self._change is not None or self._busy:
            return
        self.set_focus(None)  # an enter that was pressed twice stops nothing
        self.query_one("#name").display = False
        if self._changer.clock() - self._planned_at < STALE_SECONDS:
            self._do(self._proposal)
            return
        self._busy = True
        self._buttons("Cancel", None)
        self._title((("looking whether that still holds", "dim"),))
        self.run_worker(self._look_again(self._proposal), group="plan", exit_on_error=False)

    async def _look_again(self, read: Proposal) -> None:
        try:
            there = await self._propose()
        finally:
            self._busy = False
        if there and self._proposal is not None:
            if (anew := changed(read.plan, self._proposal.plan, self._glyphs)) is None:
                self._do(self._proposal)
            else:
                self._offer(anew)

    def _do(self, proposal: Proposal) -> None:
        self._change = self._changer.begin(proposal)
        self._ages.stop()
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
        if outcomes:
            lines = tuple(panel.outcome_line(o, glyphs) for o in reversed(outcomes))
            self.query_one("#text", Pager).show(lambda _cells: lines)
        now = panel.under_way(self._proposal.plan, outcomes)
        seconds = monotonic() - change.since
        long = now is not None and seconds >= _LONG_SECONDS
        self._title((("at work", "accent"), (f" on {now} for {duration(seconds)}" if long else "", "")))

    def _finished(self, change: Change) -> None:
        if self._timer is not None:
            self._timer.stop()
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

    def action_leave(self) -> None:
        """Leave; while it runs, stop after the action under way, and the second time break that off."""
        change = self._change
        if change is None or change.ended:
            self.workers.cancel_node(self)  # a plan that is being looked at anew is not done behind one's back
            self.dismiss(change is not None)
        elif change.stopping:
            self._changer.undo()
        else:
            change.stopping = True
            self._progress()
