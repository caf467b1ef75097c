"""A program at work while others use its table: the worst insert, and looks that did not see what is there."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from bench.server import Bench

READER_SECONDS = 4.0
# A contestant that is not done by then is ended, and what it did to the writer stays measured.
PATIENCE_SECONDS = 90.0


@dataclass(slots=True, kw_only=True)
class Contention:
    """What happened to the others; *looks_missing* of *looks* saw too few rows."""

    worst_ms: float = 0.0
    inserts: int = 0
    failed_inserts: int = 0
    looks: int = 0
    looks_missing: int = 0
    seconds: float = 0.0
    exit_code: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def writer(self, dsn: str) -> None:
        """Insert into today, one row a time."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not self.stop.is_set():
                began = time.perf_counter()
                try:
                    connection.execute("INSERT INTO events (ts, event_type) VALUES (now(), 'written')")
                except psycopg.Error:
                    self.failed_inserts += 1
                self.worst_ms = max(self.worst_ms, (time.perf_counter() - began) * 1000)
                self.inserts += 1
                time.sleep(0.002)

    def looker(self, dsn: str, expected: int) -> None:
        """Count the stray rows again and again."""
        query = "SELECT count(*) FROM events WHERE event_type = 'stray'"
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not self.stop.is_set():
                row = connection.execute(query).fetchone()
                self.looks += 1
                self.looks_missing += row is None or row[0] != expected

    def reader(self, dsn: str) -> None:
        """Read the table and keep the transaction open."""
        with psycopg.connect(dsn) as connection:
            connection.execute("SELECT count(*) FROM events")
            self.stop.wait(READER_SECONDS)


def contend(
    bench: Bench,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    reader: bool = True,
    expected: int | None = None,
) -> Contention:
    """Run *command* against the database `work` while others are at it."""
    seen, dsn = Contention(), bench.dsn("work")
    others: list[tuple[Callable[..., None], tuple[object, ...]]] = [(seen.writer, (dsn,))]
    if reader:
        others.append((seen.reader, (dsn,)))
    if expected is not None:
        others.append((seen.looker, (dsn, expected)))
    threads = [threading.Thread(target=target, args=arguments) for target, arguments in others]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    seen.worst_ms = 0.0  # connecting and the first plan are not the contestant's doing
    began = time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603  # the contestants' own
            command,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        seen.exit_code = done.returncode
    except subprocess.TimeoutExpired:
        seen.exit_code = -1
    seen.seconds = time.perf_counter() - began
    seen.stop.set()
    for thread in threads:
        thread.join()
    return seen
