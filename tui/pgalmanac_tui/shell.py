"""What the dashboard is to a terminal: its colours and characters, what is sent to it, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.color import Color, ColorParseError
from textual.filter import Monochrome, NoColor
from textual.notifications import Notify
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from pgalmanac.config import Dashboard as Wanted
from pgalmanac_tui.clipboard import osc52
from pgalmanac_tui.keyboard import Keyboard
from pgalmanac_tui.plain import Plain
from pgalmanac_tui.themes import THEMES, choose_glyphs, choose_theme, over_ssh
from pgalmanac_tui.thrift import Thrift

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.filter import LineFilter

__all__ = ["Shell"]

_HANGUP, _TERMINATED = 129, 143


class Shell(App[int]):
    """An application that suits its terminal, whoever it is for."""

    CSS_PATH = "app.tcss"
    TITLE = "pgalmanac"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "colon"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "colon", "command_palette", "palette", key_display=":", show=False, id="palette", tooltip="all commands"
        ),
        # Before a dialog and a place to type in, from which Textual's own never comes as far as here.
        Binding("ctrl+c", "help_quit", show=False, priority=True, system=True),
        Binding("ctrl+z", "stay", show=False, priority=True, system=True),
    ]

    def __init__(self, wanted: Wanted, environ: dict[str, str] | None) -> None:
        """Look as *wanted*, in a terminal with this environment: None for that of the process."""
        self._environ: Final = dict(os.environ) if environ is None else environ
        self._label_color = wanted.label_color
        super().__init__()
        encoding = sys.stdout.encoding or "ascii" if sys.stdout else "ascii"
        self.glyphs = choose_glyphs(wanted, encoding, self._environ)
        self._thrift, self._plain, self._colourless = Thrift(), Plain(), NoColor()
        self.fault: BaseException | None = None
        self._keyboard = Keyboard(self, super().on_event)
        self.over_ssh = over_ssh(self._environ)
        if self.over_ssh:
            self.animation_level = "none"
        for theme in THEMES:
            self.register_theme(theme)
        theme_name = choose_theme(wanted, self._environ)
        self.theme = theme_name if theme_name in self.available_themes else "dark"
        self.stylesheet.set_variables(self.get_css_variables())

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """A colour besides the theme's: the one that the configuration gives to the label."""
        try:
            chosen = Color.parse(self._label_color or "").hex
        except ColorParseError:
            chosen = self.current_theme.primary
        return {"label-color": chosen}

    def refresh_css(self, animate: bool = True) -> None:  # noqa: FBT001, FBT002  # Textual's own
        """Read the style sheet with other colours; before there is a screen, nothing was read with the former ones."""
        if self.screen_stack:
            super().refresh_css(animate)

    def on_mount(self) -> None:
        """End in order when the terminal goes, or somebody says so."""
        for number, code in ((signal.SIGHUP, _HANGUP), (signal.SIGTERM, _TERMINATED)):
            with suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread, as under test
                asyncio.get_running_loop().add_signal_handler(number, self.exit, code)

    async def on_event(self, event: events.Event) -> None:
        """Textual's own, but keys wait for one another."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            self._keyboard.press(event)
        else:
            await super().on_event(event)

    def on_resize(self) -> None:
        """A terminal of another size shows who knows what."""
        self._thrift.forget()

    def repaint(self) -> None:
        """A fresh picture, whatever the terminal shows."""
        self._thrift.forget()
        self.screen.refresh()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Send what changed, and no more than that."""
        super()._display(screen, self._thrift.saving(renderable))

    def get_key_display(self, binding: Binding) -> str:
        """Textual's own, with ASCII glyphs the name of a key where that is an arrow or the like."""
        shown = super().get_key_display(binding)
        return binding.key if self.glyphs.ascii and not shown.isascii() else shown

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, with NO_COLOR one that leaves the terminal's colours, and with ASCII glyphs one for those.

        Textual chooses what NO_COLOR means before it knows of our theme: greys, in which the default colours of an ansi
        theme are all black, on black.
        """
        filters = [f for f in super().get_line_filters() if not isinstance(f, Monochrome)]
        filters += [self._colourless] * ("NO_COLOR" in self._environ)
        filters += [self._plain] * self.glyphs.ascii
        return filters

    def push_screen(self, screen: Any, *others: Any, **how: Any) -> Any:  # noqa: ANN401  # Textual's own, overloaded
        """What was said of the last key would lie on what is to be read, typed and pressed in a dialog."""
        if self.screen_stack:
            self.clear_notifications()
        return super().push_screen(screen, *others, **how)

    def on_notify(self, event: Notify) -> None:
        """What answers a key takes the place of what answered the one before; an error stays until it is over."""
        for former in list(self._notifications):
            if former.severity == event.notification.severity == "information":
                self._unnotify(former, refresh=False)

    def _fatal_error(self) -> None:
        """End on an error of ours, and leave it to whoever ran this to say so.

        Textual's own would print all that every variable held, thousands of lines and the password among them.
        """
        self.fault = self.fault or sys.exc_info()[1]
        self.panic()

    def action_help_quit(self) -> None:
        """Ctrl-C: say how one leaves."""
        away = isinstance(self.screen, ModalScreen) or isinstance(self.focused, Input)
        self.notify("esc leaves this, and then q quits" if away else "q quits")

    def action_stay(self) -> None:
        """Ctrl-Z: a program that is stopped in the midst of a change would keep its locks."""
        self.notify("this cannot be suspended: a change under way would keep its locks")

    def copy(self, text: str) -> None:
        """Send text to the terminal's clipboard."""
        sequence = osc52(text, self._environ)
        if sequence is None:
            self.notify("that is too long for a terminal's clipboard", severity="warning")
        elif self._driver is not None:
            self._driver.write(sequence)
            self.notify("sent to the terminal")
