"""How fast a partition is archived, next to psql's binary COPY piped through zstd, in turns on one server.

`python -m bench.archive [--rows N] [--times N]`; needs psql and zstd. Archiving here is all of it: reading, writing,
fsync, reading back and comparing. Memory is the peak of the whole process.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
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
dsn, url, day = sys.argv[1:]
settings = Settings(dsn=dsn, flags=Layer(values={"archive_url": url}))
report = asyncio.run(maintain.perform(settings, Request(command="archive", target=day)))
(outcome,) = report.tables[0].outcomes
assert outcome.status == "done", outcome.error
print(outcome.duration_ms, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def piped(dsn: str) -> float:
    """Seconds of COPY through zstd, which are this one's yardstick."""
    began = time.perf_counter()
    copy = f'psql "{dsn}" -qc "COPY {_name()} TO STDOUT (FORMAT binary)" | zstd -q -c > /dev/null'
    subprocess.run(["sh", "-ec", copy], check=True)  # noqa: S603, S607  # two programs of the machine's, and a pipe
    return time.perf_counter() - began


def archived(dsn: str, folder: str) -> tuple[float, float]:
    """Seconds and megabytes of one archive."""
    arguments = [sys.executable, "-c", CHILD, dsn, Path(folder).as_uri(), str(DAY)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)  # noqa: S603  # our own program
    milliseconds, megabytes = done.stdout.split()
    return float(milliseconds) / 1000, float(megabytes)


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
        pairs = list[tuple[float, float, float]]()
        for _ in range(asked.times):
            with tempfile.TemporaryDirectory() as folder:
                pairs.append((piped(dsn), *archived(dsn, folder)))
    ratio = statistics.median(pipe / archive for pipe, archive, _ in pairs)
    megabytes = max(mb for _, _, mb in pairs)
    for pipe, archive, mb in pairs:
        sys.stdout.write(f"psql | zstd {pipe:6.2f} s   archive {archive:6.2f} s   {pipe / archive:.2f}   {mb:.0f} MB\n")
    limits = f"at least {LEAST_RATIO}), peak {megabytes:.0f} MB (at most {MOST_MEGABYTES})"
    sys.stdout.write(f"median ratio {ratio:.2f} ({limits}\n")
    return 0 if ratio >= LEAST_RATIO and megabytes <= MOST_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
