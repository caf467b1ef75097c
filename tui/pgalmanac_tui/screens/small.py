"""The small dialogs: go to a date, why and until when to pin, and what to copy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from pgalmanac_tui.format import Line, clean, fit, width
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.widgets.lines import Lines

__all__ = ["CopyScreen", "DateScreen", "ReasonScreen", "read_date"]

_PARTS = 3


def read_date(text: str, today: date) -> date | None:
    """`2025-11-02`, `11-02`, `2` (of this month), `2025-11`, `+7` or `-30` (days from today), else None."""
    text = text.strip()
    try:
        if text[:1] in {"+", "-"}:
            return today + timedelta(days=int(text))
        parts = [int(part) for part in text.split("-")]
        if len(parts) == _PARTS:
            return date(*parts)
        if len(parts) == _PARTS - 1:
            return date(parts[0], parts[1], 1) if len(text.split("-")[0]) > 2 else date(today.year, *parts)  # noqa: PLR2004  # a year, which no month is as long as
        return today.replace(day=parts[0])
    except (ValueError, OverflowError):
        return None


def _question(place: Lines, text: str, style: str, cut: str) -> None:
    """Ask, or say what is wrong with the answer; beside it, where there is room, how one gets away.

    In one line: of a long name in it the middle gives way.
    """

    def make(cells: int, _height: int) -> tuple[Line, ...]:
        hint: Line = (("   esc", "key"), (" back", "dim"))
        room = cells - width(text) - 1 >= sum(width(part) for part, _ in hint)
        shown = fit(text, cells - 1, cut, ends=True).rstrip()
        return (((f" {shown}", style), *(hint if room else ())),)

    place.show(make)


class DateScreen(ModalScreen["date | None"]):
    """Asks for a date."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "cancel", id="date.cancel")]

    def __init__(self, today: date, glyphs: Glyphs) -> None:
        """Relative dates count from *today*."""
        super().__init__()
        self._today, self._glyphs = today, glyphs

    def compose(self) -> ComposeResult:
        """A question and a place for the answer."""
        with Vertical(id="small"):
            yield Lines(id="question")
            yield Input(placeholder=f"{self._today}, {self._today:%Y-%m}, -30 or +7", compact=True)

    def on_mount(self) -> None:
        """Ask."""
        self._ask("Go to a date", "")

    def _ask(self, text: str, style: str) -> None:
        _question(self.query_one("#question", Lines), text, style or "strong", self._glyphs.cut)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go there, or say what a date looks like."""
        event.stop()
        found = read_date(event.value, self._today)
        if found is None:
            self._ask("That is no date: write 2025-11-02, 2025-11, -30 or +7", "critical")
        else:
            self.dismiss(found)


class ReasonScreen(ModalScreen["tuple[str, date | None] | None"]):
    """Asks why a partition is to be kept, and until when: the reason, and the last day or None for no end."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "cancel", id="reason.cancel")]

    def __init__(self, target: str, today: date, glyphs: Glyphs) -> None:
        """Of the partition or range *target*; relative dates count from *today*."""
        super().__init__()
        self._target, self._today, self._glyphs = target, today, glyphs
        self._later = today + timedelta(days=90)  # an example

    def compose(self) -> ComposeResult:
        """A question and two places for the answer."""
        with Vertical(id="small"):
            yield Lines(id="question")
            yield Input(id="reason", placeholder="case 4711", compact=True)
            yield Input(id="until", placeholder=f"Tab: until {self._later} or +30; empty is for ever", compact=True)

    def on_mount(self) -> None:
        """Ask."""
        self._ask(f"Why must nobody drop {clean(self._target)}?", "strong")

    def _ask(self, text: str, style: str) -> None:
        _question(self.query_one("#question", Lines), text, style, self._glyphs.cut)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take both, or say what is wrong with one: a pin without a reason helps nobody, one that has ended neither."""
        event.stop()
        reason, until = (self.query_one(f"#{name}", Input) for name in ("reason", "until"))
        day = read_date(until.value, self._today) if until.value.strip() else None
        if not reason.value.strip():
            self._ask("Say why, for whoever reads it later", "critical")
            reason.focus()
        elif until.value.strip() and (day is None or day < self._today):
            self._ask(f"Until a day to come: {self._later}, or +30", "critical")
            until.focus()
        else:
            self.dismiss((reason.value.strip(), day))


class CopyScreen(ModalScreen["str | None"]):
    """Offers texts to copy, each under a key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel", id="copy.cancel"),
        Binding("n", "take('n')", "the name", id="copy.name"),
        Binding("s", "take('s')", "the SQL", id="copy.sql"),
        Binding("c", "take('c')", "the command line", id="copy.command"),
    ]

    def __init__(self, texts: Mapping[str, tuple[str, str]], glyphs: Glyphs) -> None:
        """*texts* has for each key what it is called and what it is."""
        super().__init__()
        self._texts, self._glyphs = texts, glyphs

    def compose(self) -> ComposeResult:
        """The list of what can be copied."""
        with Vertical(id="small"):
            yield Lines(id="texts")

    def on_mount(self) -> None:
        """Show it."""

        def make(cells: int, _height: int) -> tuple[Line, ...]:
            lines: list[Line] = [((" Copy", "strong"), ("   esc", "key"), (" back", "dim"))]
            for key, (word, text) in self._texts.items():
                shown = fit(clean(text), max(cells - len(word) - 6, 4), self._glyphs.cut)
                lines.append(((f" {key}", "key"), (f" {word}  ", ""), (shown, "dim")))
            return tuple(lines)

        self.query_one("#texts", Lines).show(make)

    def action_take(self, key: str) -> None:
        """Copy this one."""
        if key in self._texts:
            self.dismiss(self._texts[key][1])
