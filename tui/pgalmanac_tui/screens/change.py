"""Reading what would be done, agreeing to it, and watching it: the one way by which the dashboard changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widgets import Button, Input

from pgalmanac.errors import PgalmanacError
from pgalmanac_tui.format import clean
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.panels import proposal as panel
from pgalmanac_tui.panels.fate import changed, stake
from pgalmanac_tui.panels.progress import STALE_SECONDS, age
from pgalmanac_tui.screens.host import Changer
from pgalmanac_tui.screens.work import WorkScreen
from pgalmanac_tui.snapshot import Proposal, Wish
from pgalmanac_tui.widgets.pager import Pager

if TYPE_CHECKING:
    from pgalmanac.table_names import TableName

__all__ = ["ChangeScreen"]

# How often a plan says how old it is.
_AGES_SECONDS: Final = 10.0


class ChangeScreen(WorkScreen):
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
        super().__init__(changer, table, wish, glyphs)
        self._planned_at = 0.0
        self._name: str | None = None
        # Whether what was agreed to is looked at anew.
        self._busy = False

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
            self._begin_with(self._proposal)
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
                self._begin_with(self._proposal)
            else:
                self._offer(anew)

    def _begin_with(self, proposal: Proposal) -> None:
        self._ages.stop()
        self._watch(proposal)

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
