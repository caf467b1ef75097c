"""`python tests/integration/faults [FAULT]...`: run the faults on a server of their own and print a line for each.

`--no-default` leaves the default partition out, `--grace` keeps what is dropped in the trash for a day, `--archive`
archives it into a folder before it goes. `--rate 0` writes as fast as it can, `--pg-bin DIR` names the server.
`--throughput PAIRS` runs no faults: it measures what writers keep of their throughput while maintenance waits.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from integration.faults.harness import Bench, Report, Rig
    from pgalmanac.pgserver import Cluster

TESTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "core"), str(TESTS.parent / "tui")]


def main() -> int:
    """Run what was asked for; 1 when something was lost, failed or left behind."""
    from integration.faults.catalogue import (
        ARCHIVE_FAULTS,
        DISK_FAULTS,
        FAULTS,
        SERVER_FAULTS,
    )
    from pgalmanac.pgbinaries import find_binaries
    from pgalmanac.pgserver import temporary_cluster

    known = [*FAULTS, *SERVER_FAULTS, *DISK_FAULTS, *ARCHIVE_FAULTS]
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("fault", nargs="*", help=f"of {', '.join(known)}; all that can be without one")
    parser.add_argument("--no-default", action="store_true")
    parser.add_argument("--grace", action="store_true")
    parser.add_argument("--archive", action="store_true")
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--throughput", type=int, metavar="PAIRS")
    parser.add_argument("--pg-bin", type=Path)
    arguments = parser.parse_args()
    chosen = arguments.fault or [name for name in known if arguments.archive or name not in ARCHIVE_FAULTS]
    if unknown := set(chosen) - set(known):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if not arguments.archive and set(chosen) & set(ARCHIVE_FAULTS):
        parser.error(f"{', '.join(sorted(set(chosen) & set(ARCHIVE_FAULTS)))} needs --archive")
    unsound = 0
    with temporary_cluster(
        binaries=find_binaries(arguments.pg_bin), settings={"fsync": "off", "max_connections": "100"}
    ) as cluster:
        if arguments.throughput:
            return _throughput(arguments, cluster)
        for name in chosen:
            try:
                report = _run(name, arguments, cluster)
            except PermissionError as exc:
                print(f"{name:28} NOT TRIED: {exc}", flush=True)
                continue
            print(report, flush=True)
            seen = report.tally
            for line in (*seen.failed[:3], *seen.missed[:3], *seen.failed_looks[:3], *seen.nowhere[:3]):
                print(f"    {line}")
            for line in (*report.left_to_do[:3], *report.problems):
                print(f"    {line}")
            unsound += not report.sound
    return 1 if unsound else 0


def _run(name: str, arguments: argparse.Namespace, cluster: Cluster) -> Report:
    """One fault, on a new database and into a new archive. Raises PermissionError when it needs a right to mount."""
    from integration.faults.catalogue import (
        ARCHIVE_FAULTS,
        DISK_FAULTS,
        FAULTS,
        SERVER_FAULTS,
    )
    from integration.faults.harness import Rig, under_load

    def happen(rig: Rig, bench: Bench) -> None:
        if name in SERVER_FAULTS:
            SERVER_FAULTS[name](rig, bench, cluster)
        elif name in DISK_FAULTS:
            DISK_FAULTS[name](rig, bench, disk)
        else:
            (FAULTS | ARCHIVE_FAULTS)[name](rig, bench)

    with tempfile.TemporaryDirectory(prefix="pgalmanac-") as folder:
        disk, archive = Path(folder) / "disk", Path(folder) / "archive"
        archive.mkdir()
        with _disk(cluster, disk) if name in DISK_FAULTS else _database(cluster):
            rig = Rig(
                cluster.conninfo("faults"),
                default=not arguments.no_default,
                rate=arguments.rate,
                grace=arguments.grace,
                archive=archive if arguments.archive else None,
            )
            return under_load(rig.conninfo, name, happen, rig=rig)


def _throughput(arguments: argparse.Namespace, cluster: Cluster) -> int:
    """A line for creating and moving, which without a default partition wait for nobody, and one for dropping.

    1 when an insert failed.
    """
    from integration.faults.harness import Rig
    from integration.faults.throughput import KINDS, throughput

    failed = 0
    for kind in KINDS[-1:] if arguments.no_default else KINDS:
        with _database(cluster):
            rig = Rig(cluster.conninfo("faults"), default=not arguments.no_default, rate=0)
            print(throughput(rig, kind, pairs=arguments.throughput), f" failed {len(rig.tally.failed)}", flush=True)
            failed += len(rig.tally.failed)
    return 1 if failed else 0


@contextmanager
def _database(cluster: Cluster) -> Generator[None]:
    from support import connect

    with connect(cluster.conninfo()) as connection:
        connection.execute(b"CREATE DATABASE faults")
    try:
        yield
    finally:
        with connect(cluster.conninfo()) as connection:
            connection.execute(b"DROP DATABASE faults WITH (FORCE)")


@contextmanager
def _disk(cluster: Cluster, folder: Path) -> Generator[None]:
    """The database, and a tablespace on a file system of 4 MB."""
    from support import connect
    from under_fire import mounted

    folder.mkdir()
    folder.parent.chmod(0o711)
    with mounted(folder, "size=4m"):
        if cluster.account is not None:
            os.chown(folder, cluster.account.uid, cluster.account.gid)
        with connect(cluster.conninfo()) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'".encode())
        try:
            with _database(cluster):
                yield
        finally:
            with connect(cluster.conninfo()) as connection:
                connection.execute(b"DROP TABLESPACE small")


if __name__ == "__main__":
    raise SystemExit(main())
