"""`python tests/integration/faults [FAULT]...`: run the faults on a server of their own and print a line for each.

`--no-default` leaves the default partition out, `--rate 0` writes as fast as it can, `--pg-bin DIR` names the server.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "core"), str(TESTS.parent / "tui")]


def main() -> int:
    """Run what was asked for; 1 when something was lost, failed or left behind."""
    from integration.faults.catalogue import FAULTS, SERVER_FAULTS  # noqa: PLC0415  # after the path is set
    from integration.faults.harness import Rig, under_load  # noqa: PLC0415
    from pgalmanac.pgbinaries import find_binaries  # noqa: PLC0415
    from pgalmanac.pgserver import temporary_cluster  # noqa: PLC0415
    from support import connect  # noqa: PLC0415

    known = [*FAULTS, *SERVER_FAULTS]
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("fault", nargs="*", help=f"of {', '.join(known)}; all without one")
    parser.add_argument("--no-default", action="store_true")
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--pg-bin", type=Path)
    arguments = parser.parse_args()
    unsound = 0
    with temporary_cluster(
        binaries=find_binaries(arguments.pg_bin), settings={"fsync": "off", "max_connections": "100"}
    ) as cluster:
        for name in arguments.fault or known:
            with connect(cluster.conninfo()) as connection:
                connection.execute(b"DROP DATABASE IF EXISTS faults WITH (FORCE)")
                connection.execute(b"CREATE DATABASE faults")
            conninfo = cluster.conninfo("faults")
            rig = Rig(conninfo, default=not arguments.no_default, rate=arguments.rate)

            def happen(rig: Rig, bench: object, name: str = name) -> None:
                if name in FAULTS:
                    FAULTS[name](rig, bench)  # type: ignore[arg-type]
                else:
                    SERVER_FAULTS[name](rig, bench, cluster)  # type: ignore[arg-type]

            report = under_load(conninfo, name, happen, rig=rig)
            print(report, flush=True)
            for line in (*report.tally.failed[:3], *report.tally.missed[:3], *report.tally.failed_looks[:3]):
                print(f"    {line}")
            for line in (*report.left_to_do[:3], *report.problems):
                print(f"    {line}")
            unsound += not report.sound
    return 1 if unsound else 0


if __name__ == "__main__":
    raise SystemExit(main())
