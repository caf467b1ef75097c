"""The two themes of our own, and which theme and glyphs a terminal gets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual.theme import Theme

from pgalmanac.config import Dashboard
from pgalmanac_tui.glyphs import ASCII, UNICODE, Glyphs

__all__ = ["THEMES", "choose_glyphs", "choose_theme", "over_ssh"]

_DARK: Final = Theme(
    name="dark",
    primary="#4ea1d3",
    secondary="#7a88a1",
    accent="#8bd5ca",
    warning="#e5b567",
    error="#f2667a",
    success="#7fc98b",
    foreground="#d5dae3",
    background="#11151c",
    surface="#171c25",
    panel="#222936",
    dark=True,
)
_LIGHT: Final = Theme(
    name="light",
    primary="#1f6fa8",
    secondary="#5b6678",
    accent="#0b7a75",
    warning="#9a6200",
    error="#c22540",
    success="#2b7a3d",
    foreground="#1c2230",
    background="#fbfaf7",
    surface="#f1efe9",
    panel="#e2dfd6",
    dark=False,
)
THEMES: Final = (_DARK, _LIGHT)


def over_ssh(environ: Mapping[str, str]) -> bool:
    """Whether each byte travels."""
    return bool(environ.get("SSH_CONNECTION"))


def choose_theme(settings: Dashboard, environ: Mapping[str, str]) -> str:
    """The theme's name. NO_COLOR means the terminal's own colours, used for nothing but attributes."""
    if "NO_COLOR" in environ:
        return "ansi-light" if settings.theme in {"light", "ansi-light"} else "ansi-dark"
    if settings.theme != "auto":
        return settings.theme
    return "ansi-dark" if _console(environ) else "dark"


def _console(environ: Mapping[str, str]) -> bool:
    """Whether this is a machine's own console, whose font has few characters and whose palette 16 colours."""
    return environ.get("TERM", "").startswith(("linux", "vt"))


def choose_glyphs(settings: Dashboard, encoding: str, environ: Mapping[str, str]) -> Glyphs:
    """ASCII when it was asked for, or when the locale or a console's font knows nothing else.

    In the locale C Python writes UTF-8 all the same, since on most machines it only means that nobody chose one. Who
    has set LC_ALL to it has chosen it.
    """
    if settings.glyphs == "auto" and (environ.get("LC_ALL") in {"C", "POSIX"} or _console(environ)):
        return ASCII
    if settings.glyphs == "auto":
        return UNICODE if encoding.lower().replace("-", "") in {"utf8", "cp65001"} else ASCII
    return ASCII if settings.glyphs == "ascii" else UNICODE
