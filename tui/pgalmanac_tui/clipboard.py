"""Copying by OSC 52: the terminal keeps the text, wherever the program runs. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

__all__ = ["MAX_BYTES", "osc52"]

# What terminals take is limited; beyond it some cut the text and others show it.
MAX_BYTES: Final = 75_000


def osc52(text: str, environ: Mapping[str, str]) -> str | None:
    """The sequence that copies *text*; None when it is too long.

    tmux forwards the bare one where set-clipboard is on, and the wrapped one where allow-passthrough is on.
    """
    encoded = base64.b64encode(text.encode()).decode()
    if len(encoded) > MAX_BYTES:
        return None
    bare = f"\x1b]52;c;{encoded}\a"
    return f"{bare}\x1bPtmux;\x1b{bare}\x1b\\" if environ.get("TMUX") else bare
