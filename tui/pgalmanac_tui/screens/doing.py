"""What the keys of the main screen open and do, for the chosen days or the row that has the keys.

Imported when the first of them is pressed, or before that when there is time: it brings all other screens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from pgalmanac_tui.screens.change import ChangeScreen
from pgalmanac_tui.screens.reading import HelpScreen, RunScreen
from pgalmanac_tui.screens.small import CopyScreen, DateScreen, ReasonScreen
from pgalmanac_tui.screens.tables import TablesScreen
from pgalmanac_tui.snapshot import Wish
from pgalmanac_tui.wishes import (
    PLACED,
    Choice,
    copies,
    out_of_place,
    to_bring_back,
    to_count,
    to_create,
    to_drop,
    to_pin,
)

if TYPE_CHECKING:
    from textual.screen import Screen

    from pgalmanac.table_names import TableName
    from pgalmanac_tui.screens.host import Host
    from pgalmanac_tui.screens.keys import Told
    from pgalmanac_tui.screens.lists import Lists
    from pgalmanac_tui.widgets.calendar import Calendar

__all__ = ["Doing"]

_WISHES: Final = {"create": to_create, "drop": to_drop, "undrop": to_bring_back, "pin": to_pin}


class Doing:
    """Asks for what is chosen in the calendar or the lists of a screen."""

    def __init__(self, host: Host, screen: Screen[None], calendar: Calendar, lists: Lists) -> None:
        """Act for *screen*, which has *calendar* and *lists*."""
        self._host, self._screen, self._calendar, self._lists = host, screen, calendar, lists

    def _choice(self) -> Choice | None:
        almanac, span = self._host.model.almanac, self._calendar.span
        if almanac is None or span is None:
            return None
        return Choice(almanac=almanac, span=span, entry=self._lists.entry, orphan=self._lists.orphan)

    def out_of_place(self, action: str) -> str | None:
        """Why a key has nothing to act on in the row that has the keys, or None."""
        if action not in PLACED or (choice := self._choice()) is None:
            return None
        return out_of_place(action, choice)

    def _say(self, text: str) -> None:
        self._screen.notify(text, markup=False, timeout=6)

    # -- changing --------------------------------------------------------------------------------------------

    def wish(self, key: str) -> None:
        """Ask for what a key stands for here, or say why it stands for nothing."""
        if (choice := self._choice()) is None:
            return
        wish, table = _WISHES[key](choice), choice.almanac.state.name
        if isinstance(wish, str):
            self._say(wish)
        elif wish.command == "pin":
            self._ask_why(wish, table, choice.almanac.today)
        else:
            self._ask(wish, table)

    def wish_for_table(self, command: Literal["maintain", "fix"]) -> None:
        """Ask for what concerns all of the table."""
        self._ask(Wish(command=command))

    def _ask(self, wish: Wish, table: TableName | None = None) -> None:
        """Show what would be done to *table*: that of the days and rows which were chosen, else the one shown."""
        name = table or self._host.model.name
        if name is not None:
            self._screen.app.push_screen(ChangeScreen(self._host, name, wish, self._host.glyphs), self._asked)

    def _asked(self, begun: bool | None) -> None:  # noqa: FBT001  # Textual's callback
        if begun:
            if self._calendar.begin is not None and self._calendar.day is not None:
                self._calendar.choose(self._calendar.day)
            self._host.poll_now()

    def _ask_why(self, wish: Wish, table: TableName, today: date) -> None:
        def pin(answer: tuple[str, date | None] | None) -> None:
            if answer is not None:
                reason, until = answer
                self._ask(replace(wish, reason=reason, until=until), table)

        self._screen.app.push_screen(ReasonScreen(wish.target, today, self._host.glyphs), pin)

    # -- looking ---------------------------------------------------------------------------------------------

    def count(self) -> None:
        """Count exactly."""
        if (choice := self._choice()) is None:
            return
        if isinstance(there := to_count(choice), str):
            self._say(there)
        else:
            self._host.count(there, self._lists.day or choice.span[0])

    def copy(self) -> None:
        """Offer what can be copied."""

        def copied(text: str | None) -> None:
            if text is not None:
                self._host.copy(text)

        choice, name = self._choice(), self._host.model.name
        if choice is not None and name is not None:
            texts = copies(choice, name, self._host.invocation)
            self._screen.app.push_screen(CopyScreen(texts, self._host.glyphs), copied)

    def go_to(self, go: Callable[[date | None], None]) -> None:
        """Ask for a date."""
        if (almanac := self._host.model.almanac) is not None:
            self._screen.app.push_screen(DateScreen(almanac.today, self._host.glyphs), go)

    def tables(self) -> None:
        """Offer the other tables."""
        snapshot = self._host.model.snapshot

        def switch(name: TableName | None) -> None:
            if name is not None:
                self._host.switch(name)

        if snapshot is not None:
            self._screen.app.push_screen(TablesScreen(self._host, snapshot.tables, self._host.model.name), switch)

    def run(self, run_id: str) -> None:
        """Open a recorded run."""
        self._screen.app.push_screen(RunScreen(self._host, run_id))

    def help(self, keys: tuple[Told, ...]) -> None:
        """Show all keys of what has the focus and of the screen."""
        self._screen.app.push_screen(HelpScreen(keys, self._host.glyphs))
