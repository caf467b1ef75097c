"""The last line: the keys that work here now, the others greyed. And the line of tabs, drawn the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from textual import events
from textual.widgets import Input

from pgalmanac_tui.format import Line, Span, width
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.messages import TabChosen
from pgalmanac_tui.widgets.lines import Lines

__all__ = ["KeyBar", "Tab", "TabBar"]

_ROOMY: Final = 60
# The key, its word, and whether it works now.
Key = tuple[str, str, bool]


class KeyBar(Lines):
    """Made from the bindings of the screen, which are made once and shown here, in the help and in the palette."""

    def __init__(self, first: Callable[[], frozenset[str]], *, id: str | None = None) -> None:  # noqa: A002  # Textual's own name
        """Begin with the keys whose actions are *first* at the moment."""
        super().__init__(id=id)
        self._first = first

    def on_mount(self) -> None:
        """Follow the bindings."""
        self.screen.bindings_updated_signal.subscribe(self, self._renew)
        self.call_after_refresh(self._renew)

    def _renew(self, _screen: object = None) -> None:
        if not self.is_attached or not self.screen.is_current:
            return
        shown: list[Key] = []
        # Where somebody types every other key is a letter.
        typed_in = focused if isinstance(focused := self.screen.focused, Input) else None
        first = self._first()
        for key, active in sorted(
            self.screen.active_bindings.items(), key=lambda item: item[1].binding.action not in first
        ):
            binding = active.binding
            if typed_in is not None and active.node is not typed_in:
                continue
            if (binding.show or binding.action in first) and not any(
                known[1] == binding.description for known in shown
            ):
                shown.append((binding.key_display or key, binding.description, active.enabled))
        self.show(lambda cells, _height: (_keys(shown, cells),))


def _keys(shown: Sequence[Key], cells: int) -> Line:
    """As many keys as there is room for; the last one, which leads to all others, is always there.

    And the one before it, which leads away, unless that would cost one of the first.
    """
    spans: list[Span] = []
    room = cells - 1
    first, last = (shown[:-2], shown[-2:]) if cells >= _ROOMY else (shown[:-1], shown[-1:])
    need = sum(width(f" {key} {word} ") for key, word, _ in last) - 1
    for key, word, enabled in first:
        if (room - width(f" {key} {word} ")) < need:
            continue
        room -= width(f" {key} {word} ")
        spans += [(f" {key}", "key" if enabled else "off"), (f" {word} ", "" if enabled else "off")]
    for key, word, enabled in last:
        spans += [(f" {key}", "key" if enabled else "off"), (f" {word} ", "" if enabled else "off")]
    return tuple(spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One tab: its key, its word and a number beside it."""

    id: str
    key: str
    word: str
    number: str = ""
    style: str = ""


class TabBar(Lines):
    """Names of the lists, the one in view standing out, and a note at the right end."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:  # noqa: A002  # Textual's own name
        """Start without tabs."""
        super().__init__(id=id)
        self._glyphs = glyphs
        self._places: list[tuple[int, int, str]] = []

    def set(self, tabs: Sequence[Tab], active: str, note: Line = ()) -> None:
        """Show these tabs."""

        def make(cells: int, _height: int) -> tuple[Line, ...]:
            spans: list[Span] = [(self._glyphs.rule, "rule")]
            at = 1
            self._places = []
            for tab, text in _fitted(tabs, active, cells - 1 - sum(width(text) for text, _ in note)):
                self._places.append((at, at + width(text), tab.id))
                style = "selected" if tab.id == active else tab.style or "dim"
                spans += [(text, style), (self._glyphs.rule, "rule")]
                at += width(text) + 1
            left = cells - at - sum(width(text) for text, _ in note)
            return ((*spans, (self._glyphs.rule * max(left - (1 if note else 0), 0), "rule"), *note),)

        self.show(make)

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        for left, right, tab in self._places:
            if left <= event.x < right:
                self.post_message(TabChosen(tab))


def _fitted(tabs: Sequence[Tab], active: str, cells: int) -> list[tuple[Tab, str]]:
    """The tabs with their texts in so many cells: first the numbers give way, then tabs, the last ones first."""
    shown = [(tab, f" {tab.key} {tab.word}{f' {tab.number}' if tab.number else ''} ") for tab in tabs]

    def room() -> int:
        return cells - sum(width(text) + 1 for _, text in shown)

    for at in reversed(range(len(shown))):
        if room() < 0:
            shown[at] = (shown[at][0], f" {shown[at][0].key} {shown[at][0].word} ")
    for tab, text in list(reversed(shown)):
        if room() < 0 and tab.id != active:
            shown.remove((tab, text))
    return shown
