"""One key after the other, however fast they come.

Textual hands a key to what has the focus, and the next one before that has done anything: what the first one would
move, open or close is still where it was, and a word that is typed ahead becomes commands. What has the focus tells its
parents, these post messages, and the focus moves later still. Here a key waits until all that has come to rest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from textual import events

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump
    from textual.widget import Widget

__all__ = ["Keyboard"]

# What takes longer is stuck, and keys that were pressed before one saw that are not meant for what comes out of it.
_STUCK_SECONDS: Final = 10.0
# Who presses these wants to leave, and waits no longer than that.
_LEAVING: Final = frozenset({"ctrl+c", "ctrl+q"})
_LEAVING_SECONDS: Final = 1.0
# Held down they repeat themselves thirty times a second, and what they did not move at first stays where it is.
_MOVES: Final = frozenset({"up", "down", "left", "right", "pageup", "pagedown", "h", "j", "k", "l"})


class Keyboard:
    """Keeps the keys of an application in order, and hands each on when the one before it is done."""

    def __init__(self, app: App[Any], hand_on: Callable[[events.Event], Awaitable[None]]) -> None:
        """Give the keys of *app* to *hand_on*, which it calls in the application's own task."""
        self._app, self._hand_on = app, hand_on
        self._pressed: deque[events.Event] = deque()
        self._task: asyncio.Task[None] | None = None
        # When the key that was handed on last is given up, while it is waited for.
        self._patience: asyncio.Timeout | None = None
        # The key that has moved nothing, and whether it was pressed again, which nobody has waited for.
        self._held: str | None = None
        self._behind = False

    def press(self, key: events.Event) -> None:
        """Take a key, or a text that is pasted; it is handed on soon."""
        self._pressed.append(key)
        if _leaves(key) and self._patience is not None and not self._patience.expired():
            end = asyncio.get_running_loop().time() + _LEAVING_SECONDS
            self._patience.reschedule(min(end, self._patience.when() or end))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._all())

    async def _all(self) -> None:
        while self._pressed and self._app.screen_stack:
            key = self._pressed.popleft()
            try:
                leaving = any(map(_leaves, self._pressed))
                async with asyncio.timeout(_LEAVING_SECONDS if leaving else _STUCK_SECONDS) as self._patience:
                    await self._one(key)
            except TimeoutError:
                self._give_up()
            finally:
                self._patience = None

    def _give_up(self) -> None:
        """Forget the key that is stuck, and drop those behind it but what leaves."""
        kept = [key for key in self._pressed if _leaves(key)]
        if len(kept) < len(self._pressed):
            what = "a key is stuck: those pressed meanwhile were dropped"
            self._app.notify(what, severity="warning")
        self._pressed = deque(kept)
        self._held, self._behind = None, False

    async def _one(self, key: events.Event) -> None:
        """Hand a key on, and wait until nothing is under way that it has set going."""
        name = key.key if isinstance(key, events.Key) else None
        if name is not None and name == self._held:
            await _reached(self._app, lambda: self._hand_on(key))
            self._behind = True
            return
        if self._behind:
            await self._rest(self._at())
            self._behind = False
        at = self._at()
        await _reached(self._app, lambda: self._hand_on(key))
        await self._round(at)  # the key rises to the application, which does what it stands for
        await self._rest(at)
        self._held = name if name in _MOVES and self._at() is at else None

    def _at(self) -> Widget:
        """Where a key would go now."""
        return self._app.focused or self._app.screen

    async def _rest(self, at: Widget) -> None:
        """Wait until what was posted then has risen too, and nothing has moved: a new screen hears when it is there."""
        before = None
        while before is not at:
            await self._round(at)
            before, at = at, self._at()

    async def _round(self, node: Widget) -> None:
        """Wait until all has been heard that was said to *node* or what it is in; the last of it moves the focus."""
        for pump in (*node.ancestors_with_self, self._app):
            await _reached(pump)


def _leaves(key: events.Event) -> bool:
    return isinstance(key, events.Key) and key.key in _LEAVING


async def _reached(pump: MessagePump, what: Callable[[], Awaitable[None]] | None = None) -> None:
    """Do *what* when *pump* has heard everything that was said to it before; one that closes hears no more."""
    heard = asyncio.Event()

    async def hear() -> None:
        try:
            if what is not None:
                await what()
        finally:
            heard.set()

    if pump.call_later(hear):
        await heard.wait()
