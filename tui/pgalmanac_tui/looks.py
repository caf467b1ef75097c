"""How each named piece of a line looks: colours of the theme, and attributes.

They are no classes of the style sheet: Textual works out each of those whenever a screen comes or changes, needed or
not, and for so many names that was a tenth of the time to the first picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.style import Style
from textual.color import Color

if TYPE_CHECKING:
    from rich.color import Color as RichColor

__all__ = ["LOOKS", "look"]

# As Rich writes a style, with the names of the theme's colours: attributes, colour, "on" and the background.
LOOKS: Final[Mapping[str, str]] = {
    "dim": "secondary",
    "strong": "bold",
    "key": "bold accent",
    "off": "strike secondary",
    "critical": "bold error",
    "warning": "warning",
    "ok": "success",
    "info": "secondary",
    "accent": "primary",
    "label": "bold background on label-color",
    "cursor": "bold background on primary",
    "blurred": "bold on panel",
    "selected": "bold accent on panel",
    "head": "bold secondary",
    "sql": "foreground",
    "month": "bold secondary",
    "today": "bold accent",
    "edge": "secondary",
    "rule": "panel",
    # The states of glyphs.py.
    "nothing": "panel",
    "empty": "secondary",
    "heat1": "primary-darken-3",
    "heat2": "primary-darken-2",
    "heat3": "primary",
    "heat4": "accent",
    "premade": "secondary",
    "beyond": "secondary",
    "wanted": "secondary",
    "expiring": "secondary",
    "kept": "bold secondary",
    "pinned": "bold primary",
    "pending": "bold warning",
    "stray": "bold warning",
    "unknown": "warning",
    "gap": "bold warning",
    "missing": "bold error",
}
# On a terminal's own colours there are no shades to lay behind text, so that attributes carry it.
_ANSI: Final[Mapping[str, str]] = {
    **LOOKS,
    **dict.fromkeys(("cursor", "label"), "bold reverse ansi_default on ansi_default"),
    **dict.fromkeys(("blurred", "selected"), "bold underline ansi_default on ansi_default"),
    **dict.fromkeys(("dim", "off", "head", "edge", "rule", "info", "month"), "dim ansi_default"),
    **dict.fromkeys(("premade", "beyond", "expiring", "empty", "nothing"), "dim ansi_default"),
    **dict.fromkeys(("heat1", "heat2", "heat3"), "primary"),
}
_ATTRIBUTES: Final = frozenset({"bold", "dim", "reverse", "strike", "underline"})


def look(name: str, colors: Mapping[str, str], *, ansi: bool) -> Style:
    """The style of this name where the theme's colours are these; raises KeyError for a name that there is not."""
    words, _, behind = (_ANSI if ansi else LOOKS)[name].partition("on ")
    found = set(words.split())
    attributes: dict[str, Any] = dict.fromkeys(_ATTRIBUTES & found, True)
    color = next(iter(found - _ATTRIBUTES), "")
    return Style(color=_color(color, colors), bgcolor=_color(behind, colors), **attributes)


def _color(name: str, colors: Mapping[str, str]) -> RichColor | None:
    """The colour of this name, None for none and for one that lets everything through."""
    color = Color.parse(colors.get(name, name)) if name else None
    return None if color is None or color.a == 0 else color.rich_color
