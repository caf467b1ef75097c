"""Colours: every name that a line may use has its look in every theme, and another theme is seen everywhere at once."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Any

import pytest
from textual._compositor import CompositorUpdate
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from dashboards import until
from pgalmanac.config import Dashboard as Look
from pgalmanac.config import Settings
from pgalmanac_tui.app import Dashboard
from pgalmanac_tui.glyphs import ASCII, UNICODE, Glyphs, Mark
from pgalmanac_tui.looks import LOOKS, look
from pgalmanac_tui.themes import THEMES, choose_glyphs


@pytest.mark.parametrize("theme", [*THEMES, *BUILTIN_THEMES.values()], ids=lambda theme: theme.name)
def test_every_name_has_a_look_in_every_theme(theme: Theme) -> None:
    """A colour that a theme does not know would end the dashboard when the first line is painted in it."""
    with redirect_stdout(sys.__stdout__):
        app = Dashboard(Settings(), environ={})
    app.register_theme(theme)
    app.theme = theme.name
    colors = app.get_theme_variable_defaults() | app.get_css_variables()

    assert set(Mark) <= set(LOOKS)
    for name in LOOKS:
        assert look(name, colors, ansi=app.native_ansi_color)


@pytest.mark.parametrize(
    ("wanted", "encoding", "environ", "glyphs"),
    [
        ("auto", "utf-8", {}, UNICODE),
        ("auto", "utf-8", {"LC_ALL": "C.UTF-8"}, UNICODE),
        ("auto", "utf-8", {"LC_ALL": "C"}, ASCII),
        ("auto", "utf-8", {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, ASCII),
        ("auto", "iso-8859-15", {}, ASCII),
        ("auto", "utf-8", {"TERM": "linux", "LC_ALL": "C.UTF-8"}, ASCII),
        ("auto", "utf-8", {"TERM": "vt220"}, ASCII),
        ("auto", "utf-8", {"TERM": "xterm-256color"}, UNICODE),
        ("unicode", "utf-8", {"TERM": "linux"}, UNICODE),
        ("unicode", "ascii", {"LC_ALL": "C"}, UNICODE),
        ("ascii", "utf-8", {}, ASCII),
    ],
)
def test_the_terminal_chooses_the_glyphs(wanted: str, encoding: str, environ: dict[str, str], glyphs: Glyphs) -> None:
    """LC_ALL=C is a choice of ASCII, though Python writes UTF-8 in it; the font of a console has few others."""
    assert glyphs is choose_glyphs(Look(glyphs=wanted), encoding, environ)


def sending(app: Any) -> None:  # noqa: ANN401  # Dashboard, and what it keeps to itself
    """Let it send its pictures also where there is no terminal."""
    save = app._thrift.saving

    def send(update: object) -> object:
        saved = save(update)
        if isinstance(saved, CompositorUpdate):
            saved.render_segments(app.console)
        return saved

    app._thrift.saving = send


def colours(app: Any) -> set[str]:  # noqa: ANN401  # as above
    """The names of all colours of text that were sent to the terminal and stand there."""
    styles = [style for line in app._thrift._lines.values() for _, style in line.values()]
    return {style.color.name for style in styles if style is not None and style.color is not None}


@pytest.mark.parametrize(("before", "after"), [("dark", "light"), ("ansi-dark", "ansi-light")])
async def test_another_theme_is_seen_at_once(before: str, after: str) -> None:
    """Also where it differs in nothing but the colours of the lines that we draw."""
    with redirect_stdout(sys.__stdout__):
        app = Dashboard(Settings(dsn="host=/nonexistent"), environ={})
    sending(app)
    async with app.run_test(size=(80, 24)) as pilot:
        app.theme = before
        old, new = (Color.parse(str(app.available_themes[name].accent)).rich_color.name for name in (before, after))
        await until(pilot, lambda: old in colours(app))

        app.theme = after

        await until(pilot, lambda: new in colours(app) and old not in colours(app))
