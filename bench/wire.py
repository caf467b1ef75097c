"""What the dashboard costs over a line: bytes for each action, and how soon the first picture is there.

It starts a server of its own, opens the real program in a pseudo terminal of 80 by 24, plays fixed keys and counts
what comes back. Bytes are the same on every machine; times are given as a ratio to a trivial Textual application
in the same terminal, the best of several runs of each.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from pgalmanac.demo_data import EVENTS_TABLE
from pgalmanac.pgbinaries import find_binaries
from pgalmanac.pgserver import temporary_cluster

COLUMNS, ROWS = 80, 24
QUIET_SECONDS: Final = 0.35
TRIVIAL: Final = """
from textual.app import App
from textual.widgets import Static
class Trivial(App):
    def compose(self):
        yield Static("pgalmanac")
Trivial().run()
"""
# The budgets of the dashboard, in bytes, megabytes, and as a ratio.
BUDGETS: Final[dict[str, float]] = {
    "start-up": 25_000,
    "a day on": 1_000,
    "a week on": 1_000,
    "a poll that changed nothing": 0,
    "idle, a second": 200,
    "first paint, ratio": 1.5,
    "MB with many partitions": 100,
}
PLAYED: Final = (
    ("a day on", b"\x1b[B", 5),
    ("a week on", b"\x1b[C", 5),
    ("a week back", b"\x1b[D", 10),
    ("to the list", b"\t", 1),
    ("a row down", b"\x1b[B", 5),
    ("another list", b"2", 1),
    ("the help", b"?", 1),
    ("back from it", b"\x1b", 1),
)


@dataclass
class Terminal:
    """A program in a pseudo terminal."""

    pid: int
    fd: int

    def read(self, *, quiet: float = QUIET_SECONDS, most: float = 10.0) -> bytes:
        """Everything until nothing came for *quiet* seconds."""
        found, end = b"", time.monotonic() + most
        while time.monotonic() < end and select.select([self.fd], [], [], quiet)[0]:
            try:
                found += os.read(self.fd, 65_536)
            except OSError:  # it has ended
                break
        return found

    def until(self, text: bytes, *, most: float = 20.0) -> tuple[bytes, float]:
        """Everything up to *text*, and how long that took."""
        found, began = b"", time.monotonic()
        while text not in found:
            left = most - (time.monotonic() - began)
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                message = f"{text!r} never came; it showed {found[-400:]!r}"
                raise TimeoutError(message)
            found += os.read(self.fd, 65_536)
        return found, time.monotonic() - began

    def play(self, keys: bytes, *, quiet: float = QUIET_SECONDS) -> bytes:
        """What pressing *keys* brings."""
        os.write(self.fd, keys)
        return self.read(quiet=quiet)


@contextmanager
def terminal(arguments: Sequence[str], **environ: str) -> Iterator[Terminal]:
    """Run a program in a terminal, and end it."""
    unwanted = ("PGALMANAC_", "SSH_", "NO_COLOR", "TMUX")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    kept |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", **environ}
    size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        os.execvpe(arguments[0], list(arguments), kept)  # noqa: S606  # an argument list, no shell
    try:
        yield Terminal(pid, fd)
    finally:
        _end(pid, fd)


def _end(pid: int, fd: int) -> None:
    """End the program, reading what it still has to say: it would wait for that."""
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 10
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        try:
            if select.select([fd], [], [], 0.05)[0]:
                os.read(fd, 65_536)
        except OSError:
            time.sleep(0.05)
    os.close(fd)


def fill(conninfo: str, partitions: int) -> None:
    """An events table with so many days, the last of them in 30 days, and a few rows in the newest."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(EVENTS_TABLE)
        connection.execute(
            f"""DO $$ BEGIN FOR d IN 1..{partitions} LOOP EXECUTE format(
                'CREATE TABLE events_%s PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
                to_char(current_date + 31 - d, 'YYYY_MM_DD'), current_date + 31 - d, current_date + 32 - d);
                IF d % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$""".encode()
        )
        connection.execute(
            b"INSERT INTO events (event_id, event_type, event_version, timestamp, aggregate_type, aggregate_id, data)"
            b" SELECT gen_random_uuid(), 'a', 1, current_date - n % 60, 'a', 'b', '{}' FROM generate_series(1, 3000) n"
        )


def dashboard(conninfo: str) -> list[str]:
    """The command that opens it."""
    return [sys.executable, "-m", "pgalmanac", "--dsn", conninfo, "--table", "events"]


def measure_bytes(conninfo: str, home: str) -> dict[str, float]:
    """Bytes for each action, the most of its repetitions."""
    found: dict[str, float] = {}
    with terminal(dashboard(conninfo), XDG_CONFIG_HOME=home, PGALMANAC_DASHBOARD_REFRESH_SECONDS="3600") as tty:
        start, _ = tty.until(b"artitions ")
        found["start-up"] = len(start + tty.read(quiet=2.0))
        for name, key, times in PLAYED:
            found[name] = max(len(tty.play(key)) for _ in range(times))
    with terminal(dashboard(conninfo), XDG_CONFIG_HOME=home, PGALMANAC_DASHBOARD_REFRESH_SECONDS="1") as tty:
        tty.until(b"artitions ")
        tty.read(quiet=3.0)
        found["a poll that changed nothing"] = len(tty.read(quiet=5.0, most=5.0)) // 5
        found["idle, a second"] = len(tty.read(quiet=5.0, most=5.0)) // 5
    return found


def first_paint(arguments: Sequence[str], runs: int, **environ: str) -> float:
    """Seconds until the first picture, the best of so many runs."""
    best = float("inf")
    for _ in range(runs):
        with terminal(arguments, **environ) as tty:
            best = min(best, tty.until(b"pgalmanac")[1])
    return best


def peak_memory(conninfo: str, home: str) -> int:
    """Megabytes of memory of the dashboard on this database, once all is shown."""
    with terminal(dashboard(conninfo), XDG_CONFIG_HOME=home) as tty:
        tty.until(b"partitions", most=60)
        tty.read(quiet=2.0, most=8.0)
        status = Path(f"/proc/{tty.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def measure(*, runs: int, many: int) -> dict[str, float]:
    """All figures; *many* partitions for the memory, 0 leaves that out."""
    settings = {"fsync": "off", "max_wal_senders": "0", "wal_level": "minimal", "max_locks_per_transaction": "2000"}
    with (
        tempfile.TemporaryDirectory() as home,
        temporary_cluster(binaries=find_binaries(), settings=settings) as server,
    ):
        fill(server.conninfo(), 120)
        found = measure_bytes(server.conninfo(), home)
        trivial = first_paint([sys.executable, "-c", TRIVIAL], runs)
        ours = first_paint(dashboard(server.conninfo()), runs, XDG_CONFIG_HOME=home)
        found["first paint, ratio"] = round(ours / trivial, 2)
        if many:
            with psycopg.connect(server.conninfo(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE many")
            fill(server.conninfo("many"), many)
            found["MB with many partitions"] = peak_memory(server.conninfo("many"), home)
    return found


def main() -> int:
    """Measure, print, and return 1 when a budget is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of which the best counts, for times")
    parser.add_argument("--many", type=int, default=10_000, help="partitions for the memory; 0 leaves that out")
    parser.add_argument("--json", action="store_true", help="print one document")
    given = parser.parse_args()
    found = measure(runs=given.runs, many=given.many)
    over = [name for name, limit in BUDGETS.items() if found.get(name, 0) > limit]
    if given.json:
        sys.stdout.write(json.dumps({"measured": found, "budgets": BUDGETS, "over": over}) + "\n")
    else:
        for name, value in found.items():
            limit = f"  of {BUDGETS[name]:,}" if name in BUDGETS else ""
            sys.stdout.write(f"{name:32} {value:>10,}{limit}{'   OVER' if name in over else ''}\n")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
