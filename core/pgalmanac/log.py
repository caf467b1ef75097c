"""What is said on stderr: sentences with a level, and how far long work has come.

Under the journal every line carries the `<N>` prefix that gives it its priority (sd-daemon(3)); on a terminal there
is a line of progress that comes and goes. Nothing here repeats a password or obeys what the database sent.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, TextIO
from urllib.parse import unquote

__all__ = ["Priority", "Stderr", "in_journal", "is_terminal", "scrub", "secrets_of", "shown"]

# A line of progress is repainted at most so often: an SSH line has better things to carry.
_REPAINT_SECONDS: Final = 0.1
_WIDTH: Final = 79

_PASSWORD: Final = re.compile(r"(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'?|\S+)")
_URI: Final = re.compile(r"(\w+://[^\s:/@]*:)\S*@")
_HIDDEN: Final = "***"
# A shorter piece of a password would blank out words that have nothing to do with it.
_SHORTEST_PIECE: Final = 4


class Priority(IntEnum):
    """The journal's levels, of which these are used."""

    ERROR = 3
    WARNING = 4
    INFO = 6


def shown(text: str) -> str:
    """*text* on one line, with whatever a terminal would obey (controls, bidirectional marks) written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def scrub(text: str) -> str:
    """*text* without whatever stands where a password stands in conninfo strings and URIs."""
    return _URI.sub(rf"\1{_HIDDEN}@", _PASSWORD.sub(rf"\1{_HIDDEN}", text))


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody is at the other end of it; Python has None for a stream that was closed before it started."""
    return stream is not None and stream.isatty()


def in_journal(environ: Mapping[str, str], descriptor: int = 2) -> bool:
    """Whether this descriptor is the stream that systemd connected to its journal."""
    try:
        facts = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


def secrets_of(dsn: str) -> frozenset[str]:
    """The passwords in a connection string or URI, and the pieces that libpq may quote when it cannot read it.

    An unquoted space, @ or / ends the password for libpq, not for the person who wrote it: an error then shows the
    rest of it as a host, a port or an unknown option.
    """
    found: set[str] = set()
    for match in re.finditer(r"(?is)\b(?:ssl)?password\s*=\s*(.+?)(?=\s+\w+\s*=|[&]|\Z)", dsn):
        found |= {match[1], match[1].strip("'"), *re.split(r"[\s'\\]+", match[1])}
    if uri := re.search(r"(?s)://[^:/@]*:(.*)@", dsn):
        found |= {uri[1], *re.split(r"[@/:?#\s]+", uri[1])}
    return frozenset(piece for text in found for piece in (text, unquote(text)) if piece)


class Stderr:
    """The one writer to stderr."""

    def __init__(self, stream: TextIO | None, *, journal: bool = False) -> None:
        """Write to *stream*; None, as for a closed stderr, takes everything and shows nothing."""
        self._stream = stream
        self._journal = journal
        self._secrets: frozenset[str] = frozenset()
        self._painted = 0
        self._next_paint = 0.0
        self._as_json = False
        self.terminal = not journal and is_terminal(stream)

    def speak_json(self) -> None:
        """From now on write one JSON object a line, with time (UTC), level and message, and no progress."""
        self._as_json = True
        self.terminal = False

    def hide(self, secrets: Iterable[str]) -> None:
        """From now on write *** instead of these."""
        self._secrets |= frozenset(secrets)

    def scrub(self, text: str) -> str:
        """*text* without passwords: those that were hidden, and whatever stands where a password stands."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(f'"{secret}"', f'"{_HIDDEN}"')
            if len(secret) >= _SHORTEST_PIECE:
                text = text.replace(secret, _HIDDEN)
        return scrub(text)

    def error(self, text: str) -> None:
        """Say why the command ends."""
        self._say(text, Priority.ERROR)

    def detail(self, text: str) -> None:
        """Add to an error, line by line: its causes, its traceback."""
        for line in text.splitlines():
            self._say(line, Priority.ERROR, prefix="")

    def warning(self, text: str) -> None:
        """Say what the operator should know although the command goes on."""
        self._say(text, Priority.WARNING, prefix="pgalmanac: warning: ")

    def info(self, text: str) -> None:
        """Say what is going on."""
        self._say(text, Priority.INFO)

    def text(self, text: str) -> None:
        """Show a text of several lines that asks something of a person."""
        self.clear()
        if self._stream is not None:
            self._write("".join(f"{shown(self.scrub(line))}\n" for line in text.splitlines()))

    def progress(self, what: str, share: float | None = None) -> None:
        """Show how far long work is, on a terminal only; *share* goes from 0 to 1."""
        if not self.terminal or time.monotonic() < self._next_paint:
            return
        self._next_paint = time.monotonic() + _REPAINT_SECONDS
        percent = "" if share is None else f"{share:4.0%} "
        line = f"{percent}{shown(what)}"[:_WIDTH]
        self._write("\r" + line.ljust(self._painted))
        self._painted = len(line)

    def clear(self) -> None:
        """Take the line of progress away."""
        if self._painted:
            self._write("\r" + " " * self._painted + "\r")
        self._painted = 0
        self._next_paint = 0.0

    def _say(self, text: str, priority: Priority, *, prefix: str = "pgalmanac: ") -> None:
        self.clear()
        number = f"<{priority.value}>" if self._journal else ""
        if self._as_json:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            line = json.dumps({"time": now, "level": priority.name.lower(), "message": self.scrub(text)})
        else:
            line = shown(prefix + self.scrub(text))
        self._write(f"{number}{line}\n")

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # stderr went away; the work and its exit code have not
            self._stream = None
