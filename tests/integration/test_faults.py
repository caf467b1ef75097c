"""Every fault of the harness, under load: nothing lost, nothing failed, and the next run leaves nothing to do.

The harness measures how long writers waited; no assertion is about that, because a busy machine is no fault of the
code. `python tests/integration/faults` prints the figures.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from integration.faults.catalogue import DISK_FAULTS, FAULTS, SERVER_FAULTS
from integration.faults.harness import Rig, under_load
from under_fire import execute

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from integration.faults.harness import Report
    from pgalmanac.pgserver import Cluster

# The others take their time; `make test-all` runs them.
QUICK: Final = ("nothing", "killed", "statements_cancelled", "two_at_once", "the_same_drop_by_hand")


def _sound(report: Report) -> None:
    assert report.sound, "\n".join(
        [
            str(report),
            *report.tally.failed[:5],
            *report.tally.missed[:5],
            *report.tally.failed_looks[:5],
            *report.left_to_do,
            *report.problems,
        ]
    )
    assert report.tally.inserted > 50, "the writers did write"
    assert report.tally.looks > 20, "the checker did look"


@pytest.mark.parametrize(
    "fault", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FAULTS]
)
@pytest.mark.parametrize("default", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_nothing_is_lost(empty_database: str, fault: str, default: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    """Writers, readers and a checker see nothing of the fault, and the next run converges."""
    _sound(under_load(empty_database, fault, FAULTS[fault], default=default))


@pytest.mark.parametrize(
    "fault",
    [pytest.param(name, marks=pytest.mark.slow) if name != "silent_network" else name for name in SERVER_FAULTS],
)
def test_nothing_is_lost_when_the_server_or_the_network_goes(own_server: Cluster, fault: str) -> None:
    """The same for faults of the server as a whole: a restart ends sessions, and no confirmed row is lost."""
    happen = SERVER_FAULTS[fault]
    _sound(under_load(own_server.conninfo(), fault, lambda rig, bench: happen(rig, bench, own_server)))


@pytest.fixture
def small_disk(open_path: Path, own_server: Cluster) -> Generator[Path]:
    """Give a file system of 4 MB that the server can write to, mounted for this test; needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = open_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        if own_server.account is not None:
            os.chown(folder, own_server.account.uid, own_server.account.gid)
        yield folder
    finally:
        own_server.stop()
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("fault", DISK_FAULTS)
def test_a_full_disk_costs_no_row(own_server: Cluster, small_disk: Path, fault: str) -> None:
    """No room for new partitions: the run says so, nothing is half made, and with room again the next one completes."""
    conninfo = own_server.conninfo()
    execute(conninfo, f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    rig = Rig(conninfo, default=True)
    happen = DISK_FAULTS[fault]

    _sound(under_load(conninfo, fault, lambda rig, bench: happen(rig, bench, small_disk), rig=rig))
