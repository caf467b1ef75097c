"""A picture for a terminal that knows ASCII alone: every character on its way to the screen, whoever drew it.

What we draw ourselves has glyphs of its own for that; frames, scroll bars and the palette are Textual's, and names and
values are the database's.
"""

# ruff: noqa: RUF001  # characters that look like others are what is looked for here

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.filter import LineFilter

if TYPE_CHECKING:
    from textual.color import Color

__all__ = ["Plain", "plain"]

# Each as wide as what it stands for. A heavy frame, which is around what destroys something, stays another than a thin.
_LIKE: Final = {
    **dict.fromkeys("─╌┄┈▔", "-"),
    **dict.fromkeys("━═╍┅┉▀▄", "="),
    **dict.fromkeys("│┃║╎╏┆┇┊┋▏▕▎▌▐", "|"),
    **dict.fromkeys("╭╮╯╰┌┐└┘├┤┬┴┼┏┓┗┛┣┫┳┻╋", "+"),
    **dict.fromkeys("▂▃▅▆▇▉▊▋▍", " "),  # the ends of a scroll bar, which is made of backgrounds
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("‘’‚", "'"),
    **dict.fromkeys("–—−", "-"),
    "▁": "_",
    "…": "~",
    "≈": "~",
    "·": ".",
    "•": "*",
    "🔎": "> ",
    "\u00a0": " ",
}


def plain(text: str) -> str:
    """*text* in ASCII and in as many cells; a character that has no likeness is a question mark for each cell."""
    if text.isascii():
        return text
    return "".join(c if c.isascii() else _LIKE.get(c) or "?" * cell_len(c) for c in text)


class Plain(LineFilter):
    """The filter through which every line goes before it is compared with what the terminal shows."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002  # Textual's own
        """The same line in ASCII."""
        return [Segment(plain(text), style, control) for text, style, control in segments]
