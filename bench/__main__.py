"""`make bench`: run the cases, print one table each, and write them as Markdown and JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pgalmanac
from bench import cases
from bench.output import document, markdown
from bench.server import Bench, bench

NAMES = ("nothing", "change", "stall", "stray", "counts", "dashboard")


def main() -> int:
    """Run the benchmark; it takes about a quarter of an hour."""
    parser = argparse.ArgumentParser(prog="make bench", description=main.__doc__)
    parser.add_argument("--case", action="append", choices=NAMES, help="only this; may be given again")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contestant in each case (15)")
    parser.add_argument("--sizes", default="120,1000,5000,10000", help="how many partitions (120,1000,5000,10000)")
    parser.add_argument("--rows", type=int, default=100_000, help="rows to move, and to count in each partition")
    parser.add_argument("--no-install", dest="install", action="store_false", help="do without peers not yet there")
    parser.add_argument("--out", type=Path, default=Path("bench/results"), help="the folder for the results")
    options = parser.parse_args()
    # A program that is installed has its bytecode. Where nothing may write that, each start compiles our modules anew,
    # and not those of the others, which pip has compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    done: list[cases.Case] = []
    with bench(install=options.install) as server:
        head = _head(server, options.rounds)
        for case in _cases(server, options):
            done.append(case)
            sys.stdout.write(markdown({}, [case], {}).split("\n", 2)[2] + "\n")
            sys.stdout.flush()
        missing = server.missing
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench.md").write_text(markdown(head, done, missing), encoding="utf-8")
    (options.out / "bench.json").write_text(
        json.dumps(document(head, done, missing), indent=2) + "\n", encoding="utf-8"
    )
    sys.stdout.write(markdown(head, done, missing).rsplit("## Goals", 1)[-1])
    return 0


def _cases(server: Bench, options: argparse.Namespace) -> Iterator[cases.Case]:
    wanted, rounds = options.case or NAMES, options.rounds
    sizes = [int(size) for size in options.sizes.split(",")]
    if "nothing" in wanted:
        yield from cases.nothing_to_do(server, sizes, rounds)
    if "change" in wanted:
        yield from cases.create_and_drop(server, max(rounds // 2, 3))
    if "stall" in wanted:
        yield from cases.stalls(server)
    if "stray" in wanted:
        yield from cases.stray_rows(server, options.rows)
    if "counts" in wanted:
        yield from cases.exact_counts(server, max(rounds // 3, 3), 90, options.rows)
    if "dashboard" in wanted:
        yield from cases.dashboard(server, max(rounds // 3, 3), max(sizes))


def _head(server: Bench, rounds: int) -> dict[str, str]:
    return {
        "pgalmanac": pgalmanac.__version__,
        "PostgreSQL": server.version,
        "Python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
        "rounds": f"{rounds}, the contestants in turn; medians of one run, for ratios and not for records",
    }


if __name__ == "__main__":
    sys.exit(main())
