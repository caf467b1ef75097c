"""The very first picture, before anything is imported that takes a third of a second."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pgalmanac.config import Settings

__all__ = ["run"]

# To the alternate screen, where Textual is going too, and back from it.
_ENTER: Final = "\x1b[?1049h\x1b[2J\x1b[H"
_LEAVE: Final = "\x1b[?1049l"


def run(settings: Settings) -> int:
    """Say that something is coming, then open the dashboard; the process exit code."""
    terminal = sys.__stderr__ if sys.__stderr__ is not None and sys.__stderr__.isatty() else None
    if terminal is not None:
        terminal.write(f"{_ENTER} \x1b[1mpgalmanac\x1b[0m  opening")
        terminal.flush()
    # All that is imported stays: going through it again and again was an eighth of the time to the first picture, after
    # which the dashboard turns the collector on.
    gc.disable()
    try:
        return int(import_module("pgalmanac_tui.app").run(settings))
    finally:
        if terminal is not None:
            terminal.write(_LEAVE)
            terminal.flush()
