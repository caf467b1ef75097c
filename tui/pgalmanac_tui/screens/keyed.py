"""The main screen's keys that act on a table, and why one of them is off here and now."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from textual import events
from textual.app import SystemCommand
from textual.screen import Screen

from pgalmanac_tui.screens.keys import BINDINGS, commands, told, why_off
from pgalmanac_tui.screens.lists import Lists
from pgalmanac_tui.widgets.calendar import Calendar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgalmanac_tui.screens.doing import Doing
    from pgalmanac_tui.screens.host import Host

__all__ = ["KeyedScreen"]


class KeyedScreen(Screen[None]):
    """A screen with a calendar and lists, whose keys do what is done for the days and rows chosen there."""

    BINDINGS = BINDINGS

    def __init__(self, host: Host, *, classes: str) -> None:
        """Act through *host*."""
        super().__init__(classes=classes)
        self._host = host

    @property
    def _whole(self) -> bool:
        """Whether the parts are there: not yet, and no more, while the program begins and ends."""
        return self.is_mounted and bool(self.query("#header")) and bool(self.query("#keys"))

    @property
    def _calendar(self) -> Calendar:
        return self.query_one("#calendar", Calendar)

    @property
    def _lists(self) -> Lists:
        return self.query_one("#body", Lists)

    @cached_property
    def _doing(self) -> Doing:
        from pgalmanac_tui.screens.doing import Doing

        return Doing(self._host, self, self._calendar, self._lists)

    # -- doing -----------------------------------------------------------------------------------------------

    def action_create(self) -> None:
        """Create the chosen days, or the missing row."""
        self._doing.wish("create")

    def action_drop(self) -> None:
        """Drop the chosen days' partitions, or the row's."""
        self._doing.wish("drop")

    def action_undrop(self) -> None:
        """Bring back what was dropped."""
        self._doing.wish("undrop")

    def action_pin(self) -> None:
        """Pin, or unpin."""
        self._doing.wish("pin")

    def action_maintain(self) -> None:
        """What the timer does."""
        self._doing.wish_for_table("maintain")

    def action_fix(self) -> None:
        """Create what is missing around today."""
        self._doing.wish_for_table("fix")

    def action_count(self) -> None:
        """Count exactly."""
        self._doing.count()

    def action_copy(self) -> None:
        """Offer what can be copied."""
        self._doing.copy()

    def action_tables(self) -> None:
        """Offer the other tables."""
        self._doing.tables()

    def action_refresh(self) -> None:
        """Look again now."""
        self._host.redraw()

    def action_pause(self) -> None:
        """Stop looking, or go on."""
        self._host.pause()

    def _first_keys(self) -> frozenset[str]:
        """What the keys do that matter most here, whichever of them are shown elsewhere."""
        return frozenset({"undrop"}) if self._whole and self._lists.orphan is not None else frozenset()

    # -- keys that are off -----------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  # Textual's own
        """Grey a key that would do nothing."""
        return True if self._why_off(action) is None else None

    def _why_off(self, action: str) -> str | None:
        """Why the key of an action does nothing here and now, or None."""
        why = why_off(action, self._host.model)
        if why is not None or self._host.model.almanac is None or not self._whole:
            return why
        return self._doing.out_of_place(action)

    def on_key(self, event: events.Key) -> None:
        """Say why, when a greyed key is pressed."""
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if (why := self._why_off(binding.action)) is not None:
                self._say_off(binding.description, why)

    def _say_off(self, word: str, why: str) -> None:
        self.notify(f"{word} is off: {why}", markup=False, timeout=6)

    def commands(self) -> Iterator[SystemCommand]:
        """What the keys do, for the palette."""
        for word, text, action in commands(self, self._why_off):
            yield SystemCommand(word, text, partial(self._chosen, word, action))

    async def _chosen(self, word: str, action: str) -> None:
        """Do what was chosen from the palette, or say why not."""
        if (why := self._why_off(action)) is not None:
            self._say_off(word, why)
        else:
            await self.run_action(action)

    def action_help(self) -> None:
        """All keys of what has the focus and of the screen."""
        self._doing.help(tuple(told(self, self._why_off)))
