"""The keys of the main screen: what each does, and why one is off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from textual.binding import Binding, BindingType

if TYPE_CHECKING:
    from textual.screen import Screen

    from pgalmanac_tui.model import Model

__all__ = ["BINDINGS", "Told", "commands", "told", "why_off"]

# The keys, the word, what they do, and why they are off or None.
Told = tuple[str, str, str, str | None]

BINDINGS: Final[list[BindingType]] = [
    Binding("c", "create", "create", id="create", tooltip="create the partitions of the chosen days"),
    Binding("D", "drop", "drop", id="drop", tooltip="drop the chosen partitions; asks for the name"),
    Binding("m", "maintain", "maintain", id="maintain", tooltip="what the timer does, now: create, then drop"),
    Binding("f", "fix", "fix", id="fix", tooltip="create what is missing 30 days around, and prove an insert"),
    Binding(
        "u",
        "undrop",
        "undrop",
        show=False,
        id="undrop",
        tooltip="bring back what was dropped, from the trash or the archive",
    ),
    Binding("P", "pin", "pin", show=False, id="pin", tooltip="let nothing drop the chosen days; again: unpin them"),
    Binding("e", "count", "exact", id="count", tooltip="count the chosen partitions, with hours and event types"),
    Binding("slash", "filter", "filter", key_display="/", id="filter", tooltip="by name, date or state"),
    Binding("s", "sort", "sort", id="sort", tooltip="by the next column; S turns the order round"),
    Binding("S", "reverse", "reverse", show=False, id="reverse", tooltip="the other way round"),
    Binding("t", "today", "today", id="today", tooltip="to today"),
    Binding("g", "goto", "go to", id="goto", tooltip="to a date"),
    Binding("v", "select", "select", id="select", tooltip="begin a range of days here; esc ends it"),
    Binding("o", "tables", "tables", id="tables", tooltip="show another table"),
    Binding("y", "copy", "copy", id="copy", tooltip="name, SQL or command line, to the terminal's clipboard"),
    Binding("r", "refresh", "refresh", show=False, id="refresh", tooltip="look again now, and paint all anew"),
    Binding("p", "pause", "pause", show=False, id="pause", tooltip="stop looking, or go on"),
    Binding("tab", "swap", "calendar/list", show=False, id="swap", tooltip="between calendar and list"),
    Binding("shift+tab", "swap", "calendar/list", show=False, id="swap.back"),
    Binding("1", "tab('partitions')", "partitions", show=False, id="tab.partitions"),
    Binding("2", "tab('findings')", "findings", show=False, id="tab.findings"),
    Binding("3", "tab('runs')", "runs", show=False, id="tab.runs"),
    Binding("4", "tab('plan')", "plan", show=False, id="tab.plan"),
    Binding("5", "tab('trash')", "trash", show=False, id="tab.trash"),
    Binding("6", "tab('growth')", "growth", show=False, id="tab.growth"),
    Binding("escape", "back", "back", show=False, id="back", tooltip="end a range, a filter or a count"),
    Binding("q", "app.quit", "quit", id="quit", tooltip="leave"),
    Binding("question_mark", "help", "help", key_display="?", id="help", tooltip="all keys, and why some are off"),
]
_CHANGING: Final = {"create", "drop", "maintain", "fix", "undrop", "pin"}
_LOOKING: Final = {"count", "select", "goto", "today", "sort", "filter", "copy"}


def why_off(action: str, model: Model) -> str | None:
    """Why a key of this action does nothing now, or None."""
    name = action.partition("(")[0]
    if name in _CHANGING:
        return model.why_not()
    return model.why_blind() if name in _LOOKING else None


def told(screen: Screen[Any], why: Callable[[str], str | None]) -> Iterator[Told]:
    """All keys of what has the focus and of the screen, with *why* each is off."""
    by_binding: dict[str, tuple[list[str], str, str, str | None]] = {}
    for key, active in screen.active_bindings.items():
        binding = active.binding
        if binding.id is None and not binding.tooltip:
            continue
        known = by_binding.setdefault(
            binding.id or binding.action, ([], binding.description, binding.tooltip, why(binding.action))
        )
        known[0].append(binding.key_display or screen.app.get_key_display(binding) if not known[0] else key)
    for keys, word, tooltip, off in by_binding.values():
        yield " ".join(keys), word, tooltip, off


def commands(screen: Screen[Any], why: Callable[[str], str | None]) -> Iterator[tuple[str, str, str]]:
    """What the screen's keys do, each once: the word, what it does or *why* it is off, and the action.

    Not those that Textual gives to every screen, which have no id: nothing here can be selected and copied.
    """
    found = {a.binding.action: a.binding for a in screen.active_bindings.values() if a.node is screen and a.binding.id}
    for action, binding in found.items():
        yield binding.description, why(action) or binding.tooltip, action
