"""What is sent to the terminal: the picture that Textual would send, in fewer bytes."""

from __future__ import annotations

import inspect
import re
import sys
from contextlib import redirect_stdout
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import pytest
import textual.app
from rich.cells import cell_len
from textual._compositor import CompositorUpdate
from textual.widgets import Static

from dashboards import shown, until
from pgalmanac.config import Dashboard as Look
from pgalmanac_tui.shell import Shell

if TYPE_CHECKING:
    from textual.app import ComposeResult

# What thrift.py and shell.py override of Textual's own, and the names that they read there.
OVERRIDDEN: Final = {
    "_compositor.ChopsUpdate.__init__": ("chops", "spans", "chop_ends"),
    "_compositor.LayoutUpdate.__init__": ("strips", "region"),
    "_compositor.CompositorUpdate.render_segments": ("console",),
    "app.App._display": ("screen", "renderable"),
    "app.App._fatal_error": (),
    "app.App.on_event": ("event",),
}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_textual_has_what_is_overridden(name: str) -> None:
    """These are private: a release that changes them is to be looked at before pyproject.toml lets it in."""
    try:
        found = tuple(inspect.signature(attrgetter(name)(textual)).parameters)[1:]
    except AttributeError:
        found = None

    assert OVERRIDDEN[name] == found, (
        f"Textual {textual.__version__} has another textual.{name} than pgalmanac_tui/thrift.py and shell.py override:"
        " mend those, or keep the bound of textual in pyproject.toml below this release"
    )


class Little(Shell):
    """A shell with one line to write on, which notes what it sends and what Textual would have sent."""

    CSS_PATH = None  # type: ignore[assignment]  # the file lies beside another application

    def __init__(self) -> None:
        """Listen to what is saved."""
        super().__init__(Look(), {})
        self.sent, self.usual = "", 0
        thrift: Any = self._thrift
        save = thrift.saving

        def note(update: Any) -> Any:  # noqa: ANN401  # what Textual paints
            saved = save(update)
            if isinstance(saved, CompositorUpdate):
                self.sent += saved.render_segments(self.console)
                self.usual += len(update.render_segments(self.console))
            return saved

        thrift.saving = note

    def compose(self) -> ComposeResult:
        """Something to write on."""
        yield Static(id="line")


def drawn(sent: str, size: tuple[int, int]) -> str:
    """What a terminal of this size shows of all that was sent to it."""
    grid = [[" "] * size[0] for _ in range(size[1])]
    x = y = 0
    for row, column, _style, character in re.findall(r"\x1b\[(\d+);(\d+)H|(\x1b\[[0-9;]*m)|(.|\n)", sent):
        if row:
            x, y = int(column) - 1, int(row) - 1
        elif character:
            assert character.isprintable(), repr(character)
            grid[y][x] = character
            if cell_len(character) > 1:
                grid[y][x + 1] = ""
            x += cell_len(character)
    return "\n".join("".join(line).rstrip() for line in grid)


async def test_what_is_sent_makes_the_same_picture_with_fewer_bytes() -> None:
    """Lines that change in the middle, at both ends and around wide characters; other layouts; other sizes."""
    with redirect_stdout(sys.__stdout__):
        app = Little()
    texts = [
        "events_2025_11_02        9,040 rows        3.2 MB",
        "events_2025_11_03        9,041 rows        3.1 MB",
        "事件_2025_11_03           事 041 rows        3.1 MB",
        "件事_2025_11_03            事041 rows        3.1 MB\nand another line",
        "a\n\n\n\n\nb",
        "",
    ]
    async with app.run_test(size=(80, 24)) as pilot:
        for text in (text for one, other in pairwise(texts) for text in (one, other, one)):
            app.query_one(Static).update(text)
            await until(pilot, lambda text=text: _lines(text) == _lines(shown(app)))  # type: ignore[misc]  # a str
            await until(pilot, lambda: drawn(app.sent, (80, 24)) == shown(app))
        assert len(app.sent) < app.usual / 2
        for size in ((60, 10), (100, 30)):
            await pilot.resize_terminal(*size)
            app.sent = ""
            app.query_one(Static).update(texts[2])
            app.repaint()
            await until(pilot, lambda size=size: drawn(app.sent, size) == shown(app))  # type: ignore[misc]  # two ints


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]
