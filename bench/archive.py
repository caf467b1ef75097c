"""How fast a partition is archived, next to psql's binary COPY piped through zstd, in turns on one server.

`python -m bench.archive [--rows N] [--times N]`; needs psql and zstd. Archiving here is all of it: reading, writing,
fsync, reading back and comparing. Memory is the peak of the whole process. Beside the time stands the processor time,
the server's share included, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import psycopg

from pgalmanac import demo_data
from pgalmanac.pgbinaries import find_binaries
from pgalmanac.pgserver import temporary_cluster

LEAST_RATIO: Final = 0.7
MOST_MEGABYTES: Final = 300
DAY: Final = date(2025, 11, 2)
_LONG_AFTER: Final = datetime(2026, 1, 1)  # noqa: DTZ001  # as the column has it
CHILD: Final = """
import asyncio, resource, sys, time
from pgalmanac import execute_archive, maintain
from pgalmanac.config import Layer, Settings
from pgalmanac.maintain import Request
# Imported once a process, however many partitions it archives.
for module in ("pyarrow.parquet", "pyarrow.fs", "pyarrow.compute", "adbc_driver_postgresql.dbapi"):
    __import__(module)
imported = time.process_time()
dsn, url, day = sys.argv[1:]
settings = Settings(dsn=dsn, flags=Layer(values={"archive_url": url}))
report = asyncio.run(maintain.perform(settings, Request(command="archive", target=day)))
(outcome,) = report.tables[0].outcomes
assert outcome.status == "done", outcome.error
print(outcome.duration_ms, time.process_time() - imported, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn of one contestant took, in seconds, and its peak memory in MB; 0 where nobody asked."""

    seconds: float
    processor: float
    megabytes: float = 0


def piped(dsn: str, server: Server) -> Turn:
    """COPY through zstd, which is this one's yardstick."""
    before, began = _children(), time.perf_counter()
    copy = f'psql "{dsn}" -qc "COPY {_name()} TO STDOUT (FORMAT binary)" | zstd -q -c > /dev/null'
    with server.working() as used:
        subprocess.run(["sh", "-ec", copy], check=True)  # noqa: S603, S607  # two programs of the machine's, and a pipe
        seconds = time.perf_counter() - began
    return Turn(seconds=seconds, processor=_children() - before + used[0])


def archived(dsn: str, folder: str, server: Server) -> Turn:
    """One archive, without starting Python and importing the libraries."""
    arguments = [sys.executable, "-c", CHILD, dsn, Path(folder).as_uri(), str(DAY)]
    with server.working() as used:
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)  # noqa: S603  # our own program
    milliseconds, processor, megabytes = map(float, done.stdout.split())
    return Turn(seconds=milliseconds / 1000, processor=processor + used[0], megabytes=megabytes)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The postmaster, which counts the processor time of the sessions that have ended; Linux tells it."""

    pid: int

    @contextmanager
    def working(self) -> Generator[list[float]]:
        """The processor seconds of the sessions that ended meanwhile, there once the block is left."""
        used = [0.0]
        before = self._ended()
        yield used
        time.sleep(0.2)  # until the last session has gone
        used[0] = self._ended() - before

    def _ended(self) -> float:
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        # After the name, which may hold anything: cutime and cstime are the 16th and 17th of all (proc(5)).
        return sum(map(int, stat.rpartition(")")[2].split()[13:15])) / os.sysconf("SC_CLK_TCK")


def _name() -> str:
    return f"events_{DAY:%Y_%m_%d}"


def main() -> int:
    """Measure in turns, print, and say whether both limits hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    if not (shutil.which("psql") and shutil.which("zstd")):
        sys.stdout.write("psql and zstd are needed to compare with\n")
        return 0
    settings = {"fsync": "off", "max_wal_size": "4GB", "autovacuum": "off"}
    with temporary_cluster(binaries=find_binaries(None), settings=settings) as cluster:
        dsn = cluster.conninfo()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(demo_data.EVENTS_TABLE)
            demo_data.add_events_partition(connection, DAY, rows=asked.rows, until=_LONG_AFTER, incident=False)
            connection.execute("VACUUM ANALYZE")
        time.sleep(1)  # until the session that made the rows has ended, and its processor time is counted
        server = Server(pid=int((cluster.data / "postmaster.pid").read_text(encoding="utf-8").split()[0]))
        pairs = list[tuple[Turn, Turn]]()
        for _ in range(asked.times):
            with tempfile.TemporaryDirectory() as folder:
                pairs.append((piped(dsn, server), archived(dsn, folder, server)))
    ratio = statistics.median(pipe.seconds / archive.seconds for pipe, archive in pairs)
    processor = statistics.median(pipe.processor / archive.processor for pipe, archive in pairs)
    megabytes = max(archive.megabytes for _, archive in pairs)
    for name, turns in (("psql | zstd", [p for p, _ in pairs]), ("archive", [a for _, a in pairs])):
        spent = "  ".join(f"{turn.seconds:5.2f} ({turn.processor:.2f})" for turn in turns)
        sys.stdout.write(f"{name:12} seconds (of them processor's): {spent}\n")
    limits = f"at least {LEAST_RATIO}), peak {megabytes:.0f} MB (at most {MOST_MEGABYTES})"
    sys.stdout.write(f"median ratio {ratio:.2f} ({limits}; of processor time {processor:.2f}\n")
    return 0 if ratio >= LEAST_RATIO and megabytes <= MOST_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
