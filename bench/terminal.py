"""A program in a terminal of its own: when its first whole screen is there, and what that took."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE_SECONDS = 20.0
ROWS, COLUMNS = 36, 120
# What stands on the screen once the table has been looked at.
SHOWN = b"events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """The first screen: milliseconds since the start, bytes written until then, peak memory in MB."""

    milliseconds: float
    written: int
    peak_mb: float


def first_paint(command: Sequence[str]) -> Paint | None:
    """Start *command*, wait for its screen, end it; None when there is none."""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if not pid:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
        os.execv(command[0], list(command))  # noqa: S606  # no shell is wanted
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen, took = b"", None
    while time.perf_counter() - began < PATIENCE_SECONDS:
        if not select.select([terminal], [], [], 0.05)[0]:
            if took is not None:
                break
            continue
        try:
            screen += os.read(terminal, 65536)
        except OSError:  # it has ended
            break
        if took is None and SHOWN in screen:
            took = (time.perf_counter() - began) * 1000
    os.kill(pid, signal.SIGTERM)
    _, _, usage = os.wait4(pid, 0)
    os.close(terminal)
    return None if took is None else Paint(milliseconds=took, written=len(screen), peak_mb=usage.ru_maxrss / 1024)
