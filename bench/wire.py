"""What the dashboard costs over a line and how it answers: fixed keys are played to it in a pseudo terminal.

Bytes are the same on every machine. Times are of this machine and of what else it does.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from bench.terminal import Terminal, terminal

__all__ = ["LATER", "PLAYED", "TRIVIAL", "Paint", "Turn", "lags", "paint", "played", "polled", "stressed"]

BLOCKED: Final = Path(__file__).parent / "blocked.py"
TRIVIAL: Final = """
from textual.app import App
from textual.widgets import Static
class Trivial(App):
    def compose(self):
        yield Static("pgalmanac")
Trivial().run()
"""
# In its first picture, and once the table has been looked at.
SKELETON, DATA = b"Mon", b"public.events"
DOWN, UP, RIGHT, LEFT, TAB, ESCAPE = b"\x1b[B", b"\x1b[A", b"\x1b[C", b"\x1b[D", b"\t", b"\x1b"
# What is played, in this order: the name, the key, how often.
PLAYED: Final = (
    ("arrow: a day on", DOWN, 5),
    ("arrow: a week on", RIGHT, 5),
    ("arrow: a day back", UP, 5),
    ("arrow: a week back", LEFT, 15),
    ("to the list", TAB, 1),
    ("list: a row down", DOWN, 5),
    ("findings", b"2", 1),
    ("partitions", b"1", 1),
    ("help", b"?", 1),
    ("back from it", ESCAPE, 1),
    ("plan", b"m", 1),
    ("back from it ", ESCAPE, 1),
)
KEYS_A_SECOND: Final = 30
REPEATED: Final = 60
# Where the terminal is told to go, a style, and the cursor of the calendar; and the line of the Mondays, from 1.
_CURSOR: Final = re.compile(rb"\x1b\[(\d+);\d+H(?:\x1b\[[\d;]*m)*\xe2\x96\xb8")
_MONDAY: Final = 5
LATER: Final = 1000 / KEYS_A_SECOND
# Longer than a terminal's own waiting for the rest of an escape sequence.
_PAUSE_SECONDS: Final = 0.4
_PATIENCE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """Milliseconds from the start to the first word, the first whole picture, and the data; nan where there is none.

    *cpu_ms* is the processor time until the first whole picture, None where the system does not tell.
    """

    word: float
    skeleton: float
    data: float = float("nan")
    cpu_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A turn of the interface's loop that took long, and what was pressed before it.

    *ms* is without the time for which other processes had the processors; *cpu_ms* of it is computing.
    """

    ms: float
    cpu_ms: float
    during: str


def environment(home: str, refresh: float) -> dict[str, str]:
    """No settings but these."""
    return {
        "XDG_CONFIG_HOME": home,
        "PGALMANAC_RETENTION_DAYS": "forever",
        "PGALMANAC_DASHBOARD_REFRESH_SECONDS": f"{refresh:g}",
    }


def paint(command: Sequence[str], *, data: bool) -> Paint:
    """How soon a program that says pgalmanac paints, in milliseconds; *data* for one that shows a table."""
    with tempfile.TemporaryDirectory() as home, terminal(command, environment(home, 3600)) as tty:
        began = time.monotonic()
        tty.until(b"pgalmanac")
        word = (time.monotonic() - began) * 1000
        if not data:
            return Paint(word=word, skeleton=word, cpu_ms=tty.cpu_ms())
        painted, _ = tty.until(SKELETON)
        skeleton, computed = (time.monotonic() - began) * 1000, tty.cpu_ms()
        if DATA not in painted:
            tty.until(DATA)
        return Paint(word=word, skeleton=skeleton, data=(time.monotonic() - began) * 1000, cpu_ms=computed)


def played(command: Sequence[str]) -> dict[str, list[int]]:
    """Bytes of the start-up, and of each time that each key of PLAYED was pressed."""
    found: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as home, terminal(command, environment(home, 3600)) as tty:
        start, _ = tty.until(DATA)
        found["start-up"] = [len(start + tty.read(quiet=2.0))]
        for name, key, times in PLAYED:
            found[name] = [len(tty.play(key, quiet=1.0)) for _ in range(times)]
    return found


def polled(command: Sequence[str], polls: int) -> tuple[int, int]:
    """Bytes of the *polls* looks a second that follow the first ones, when nothing changes; and how many looks."""
    with tempfile.TemporaryDirectory() as home, terminal(command, environment(home, 1)) as tty:
        tty.until(DATA)
        tty.read(quiet=3.0, most=10.0)
        return len(tty.read(quiet=polls, most=polls)), polls


def lags(command: Sequence[str], today: date) -> tuple[list[float], float | None]:
    """Milliseconds from each key of a repeat of 30 a second to its cursor on the screen; and computing for each key.

    The cursor begins on *today* and goes a day back with each key. A picture that was left out because the next one was
    due as well counts as painted with that one.
    """
    asked: list[float] = []
    painted: list[float] = []
    with tempfile.TemporaryDirectory() as home, terminal(command, environment(home, 3600)) as tty:
        tty.until(DATA)
        tty.read(quiet=2.0)
        before, began = tty.cpu_ms(), time.monotonic()
        for number in range(REPEATED):
            asked.append(time.monotonic())
            tty.press(UP)
            _look(tty, today, painted, number, until=began + (number + 1) / KEYS_A_SECOND)
        _look(tty, today, painted, REPEATED - 1, until=time.monotonic() + _PATIENCE_SECONDS)
        after = tty.cpu_ms()
    painted += [float("inf")] * (REPEATED - len(painted))
    each = None if before is None or after is None else (after - before) / REPEATED
    return [(then - when) * 1000 for when, then in zip(asked, painted, strict=True)], each


def _look(tty: Terminal, today: date, painted: list[float], number: int, *, until: float) -> None:
    """Read until then, or until the last key's cursor was seen, and note when each was: its row is that of its weekday.

    A picture in which several keys have come together shows the last of them; they are taken to be fewer than seven.
    """
    text = b""
    while len(painted) < REPEATED and (left := until - time.monotonic()) > 0:
        text += tty.read(quiet=left, most=min(left, 0.002))
        seen = 0
        for cursor in _CURSOR.finditer(text):
            seen, weekday = cursor.end(), int(cursor[1]) - _MONDAY
            days = ((n, today - timedelta(days=n + 1)) for n in range(len(painted), number + 1))
            last = next((n for n, day in days if day.weekday() == weekday), len(painted) - 1)
            painted += [time.monotonic()] * (last + 1 - len(painted))
        text = text[seen:]


def stressed(arguments: Sequence[str], *, seconds: float) -> tuple[list[Turn], float | None]:
    """Every long turn of the loop from the first picture on, while it looks and is played with; its memory in MB."""
    with tempfile.TemporaryDirectory() as home:
        record = Path(home) / "turns"
        command = [sys.executable, str(BLOCKED), str(record), *arguments]
        with terminal(command, environment(home, 1)) as tty:
            painted, _ = tty.until(SKELETON)
            marks = [(time.monotonic(), "first look")]
            if DATA not in painted:
                tty.until(DATA)
            tty.read(quiet=2.0, most=10.0)
            marks.append((time.monotonic(), "looking"))
            tty.read(quiet=seconds, most=seconds)
            for name, keys in _STRESS:
                marks.append((time.monotonic(), name))
                for key in keys:
                    tty.press(key)
                    tty.read(quiet=_PAUSE_SECONDS, most=5.0)
            peak, end = tty.peak_mb(), time.monotonic()
        found = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    return [_turn(turn, marks) for turn in found if marks[0][0] <= turn["at"] < end], peak


_STRESS: Final = (
    ("calendar", (DOWN, RIGHT, LEFT, UP)),
    ("to the oldest day", (b"\x1b[H",)),
    ("to the list", (TAB,)),
    ("rows", (DOWN, b"\x1b[6~", b"\x1b[F")),
    ("sort", (b"s", b"s", b"S")),
    ("filter", (b"/", b"2", b"0", b"1", b"9", ESCAPE)),
    ("tabs", (b"2", b"3", b"4", b"1")),
    ("plan", (b"m", ESCAPE)),
    ("fresh look", (b"r", b"r")),
)


def _turn(turn: Mapping[str, float], marks: Sequence[tuple[float, str]]) -> Turn:
    during = [name for at, name in marks if at <= turn["at"]]
    # The two clocks of the system do not tick together.
    return Turn(ms=max(turn["ms"] - turn["others_ms"], turn["cpu_ms"]), cpu_ms=turn["cpu_ms"], during=during[-1])
