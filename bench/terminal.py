"""A program in a pseudo terminal of its own, the keys that are pressed there, and what it writes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Terminal", "terminal"]

# Nothing for so long: it has said what it had to say.
QUIET_SECONDS: Final = 0.35
PATIENCE_SECONDS: Final = 60.0
# What would make the dashboard another one than that of the documentation.
_UNWANTED: Final = ("PGALMANAC_", "SSH_", "NO_COLOR", "TMUX", "COLUMNS", "LINES")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """A program, and the side of its terminal on which somebody sits."""

    pid: int
    fd: int

    def read(self, *, quiet: float = QUIET_SECONDS, most: float = PATIENCE_SECONDS) -> bytes:
        """Everything until nothing came for *quiet* seconds, or *most* seconds are over."""
        found, end = b"", time.monotonic() + most
        while (left := end - time.monotonic()) > 0 and self._came(min(quiet, left)):
            piece = self._piece()
            found += piece
            if not piece:  # it has ended
                break
        return found

    def until(self, text: bytes, *, most: float = PATIENCE_SECONDS) -> tuple[bytes, float]:
        """Everything up to *text*, and the seconds that took. Raises TimeoutError when it does not come."""
        found, began = b"", time.monotonic()
        while text not in found:
            left = most - (time.monotonic() - began)
            piece = self._piece() if left > 0 and self._came(left) else b""
            if not piece:
                message = f"{text!r} never came; it showed {found[-400:]!r}"
                raise TimeoutError(message)
            found += piece
        return found, time.monotonic() - began

    def play(self, keys: bytes, *, quiet: float = QUIET_SECONDS) -> bytes:
        """What pressing *keys* brings."""
        self.press(keys)
        return self.read(quiet=quiet)

    def press(self, keys: bytes) -> None:
        """Press keys, and wait for nothing."""
        os.write(self.fd, keys)

    def peak_mb(self) -> float | None:
        """The most memory that it ever had, in MB; None where the system does not tell."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        except OSError:
            return None
        peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
        return None if peak is None else int(peak.split()[1]) / 1024

    def cpu_ms(self) -> float | None:
        """Milliseconds of processor time that it has had, in steps of ten; None where the system does not tell."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return None
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) * 1000 / os.sysconf("SC_CLK_TCK")

    def _came(self, seconds: float) -> bool:
        return bool(select.select([self.fd], [], [], seconds)[0])

    def _piece(self) -> bytes:
        try:
            return os.read(self.fd, 65_536)
        except OSError:  # Linux' word for an end
            return b""


@contextmanager
def terminal(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, size: tuple[int, int] = (80, 24)
) -> Generator[Terminal]:
    """Run *command* in a terminal of *size* columns and rows with all colours, and end it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)}
    kept |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8", **(environment or {})}
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        os.execvpe(command[0], list(command), kept)  # noqa: S606  # an argument list, no shell
    try:
        yield Terminal(pid=pid, fd=fd)
    finally:
        _end(pid, fd)


def _end(pid: int, fd: int) -> None:
    """End the program, reading what it still has to say: it would wait for that."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 15
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        try:
            if select.select([fd], [], [], 0.05)[0]:
                os.read(fd, 65_536)
        except OSError:
            time.sleep(0.05)
    os.close(fd)
