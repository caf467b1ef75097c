"""A terminal for a command that behaves differently on one: a pseudo-terminal that tests type into."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from select import select

__all__ = ["Terminal", "on_a_terminal"]


@dataclass(slots=True, kw_only=True)
class Terminal:
    """A running command, what it has painted so far, and its keyboard. stdout may be a pipe, as behind `> file`."""

    process: subprocess.Popen[str]
    keyboard: int
    painted: str = field(default="")

    def wait_for(self, text: str, *, seconds: float = 30) -> None:
        """Read until *text* was painted."""
        end = time.monotonic() + seconds
        while text not in self.painted:
            assert time.monotonic() < end, f"{text!r} never came: {self.painted!r}"
            if select([self.keyboard], [], [], 0.1)[0]:
                self._read()

    def type(self, text: str) -> None:
        """Type *text*."""
        os.write(self.keyboard, text.encode())

    def finish(self, *, seconds: float = 60) -> tuple[int, str]:
        """Wait for the end; the exit code and what went to stdout, where that is a pipe."""
        out, _ = self.process.communicate(timeout=seconds)
        while select([self.keyboard], [], [], 0)[0] and self._read():
            pass
        return self.process.returncode, out or ""

    def _read(self) -> bool:
        try:
            data = os.read(self.keyboard, 65536)
        except OSError:  # the other side was closed
            return False
        self.painted += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


@contextmanager
def on_a_terminal(
    command: Sequence[str], environment: Mapping[str, str], *, stdout: bool = False
) -> Iterator[Terminal]:
    """Start *command* with a terminal as stdin, stderr and perhaps *stdout*; kill it at the end if it still runs."""
    keyboard, screen = pty.openpty()
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=screen,
        stderr=screen,
        stdout=screen if stdout else subprocess.PIPE,
        text=True,
    )
    os.close(screen)
    try:
        yield Terminal(process=process, keyboard=keyboard)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        os.close(keyboard)
