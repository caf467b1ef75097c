"""Every fault of the harness, under load: nothing lost, nothing failed, and the next run leaves nothing to do.

The harness measures how long writers waited; no assertion is about that, because a busy machine is no fault of the
code. `python tests/integration/faults` prints the figures.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

from integration.faults.catalogue import ARCHIVE_FAULTS, DISK_FAULTS, FAULTS, SERVER_FAULTS
from integration.faults.harness import Rig, under_load
from under_fire import execute, mounted

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
            *report.tally.nowhere[:5],
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


# What is dropped is kept: for a while, elsewhere, or both, which goes into the archive when the grace has ended.
KEEPING: Final = ("grace", "archive", "grace and archive")


def _keeping(conninfo: str, keep: str, folder: Path, *, default: bool) -> Rig:
    archive = folder / "archive" if "archive" in keep else None
    if archive is not None:
        archive.mkdir()
    return Rig(conninfo, default=default, grace="grace" in keep, archive=archive)


def _kept(report: Report) -> None:
    _sound(report)
    assert report.tally.searches > 10, "the rows of the expired days were looked for"


@pytest.mark.parametrize(
    ("fault", "keep"),
    [
        pytest.param(fault, keep, marks=[] if (fault, keep) == ("killed", "grace and archive") else pytest.mark.slow)
        for fault in FAULTS
        for keep in KEEPING
    ],
)
@pytest.mark.parametrize("default", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_no_row_is_in_neither_place(
    empty_database: str,
    tmp_path: Path,
    fault: str,
    keep: str,
    default: bool,  # noqa: FBT001  # pytest passes it by name
) -> None:
    """The same with a grace and an archive: each row of an expired day is in the table, in the trash or archived."""
    rig = _keeping(empty_database, keep, tmp_path, default=default)

    _kept(under_load(empty_database, fault, FAULTS[fault], rig=rig))


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["archive", "grace and archive"])
@pytest.mark.parametrize("fault", ARCHIVE_FAULTS)
def test_an_archive_that_is_cut_off_costs_no_row(empty_database: str, tmp_path: Path, fault: str, keep: str) -> None:
    """Killed when its files appear, or its folder gone in the middle: what is not archived stays."""
    rig = _keeping(empty_database, keep, tmp_path, default=True)

    _kept(under_load(empty_database, fault, ARCHIVE_FAULTS[fault], rig=rig))


@pytest.mark.parametrize(
    "fault",
    [pytest.param(name, marks=pytest.mark.slow) if name != "silent_network" else name for name in SERVER_FAULTS],
)
def test_nothing_is_lost_when_the_server_or_the_network_goes(own_server: Cluster, fault: str) -> None:
    """The same for faults of the server as a whole: a restart ends sessions, and no confirmed row is lost."""
    happen = SERVER_FAULTS[fault]
    _sound(under_load(own_server.conninfo(), fault, lambda rig, bench: happen(rig, bench, own_server)))


@pytest.mark.slow
@pytest.mark.parametrize("keep", KEEPING)
@pytest.mark.parametrize("fault", SERVER_FAULTS)
def test_no_row_is_in_neither_place_when_the_server_or_the_network_goes(
    own_server: Cluster, tmp_path: Path, fault: str, keep: str
) -> None:
    """And with a grace and an archive."""
    happen = SERVER_FAULTS[fault]
    rig = _keeping(own_server.conninfo(), keep, tmp_path, default=True)

    _kept(under_load(rig.conninfo, fault, lambda rig, bench: happen(rig, bench, own_server), rig=rig))


@pytest.fixture
def small_disk(open_path: Path, own_server: Cluster) -> Generator[Path]:
    """Give a file system of 4 MB that the server can write to, mounted for this test; needs root."""
    folder = open_path / "small"
    folder.mkdir()
    with ExitStack() as stack:
        try:
            stack.enter_context(mounted(folder, "size=4m"))
        except PermissionError as exc:
            pytest.skip(str(exc))
        if own_server.account is not None:
            os.chown(folder, own_server.account.uid, own_server.account.gid)
        # The server has files open there: it stops before the file system goes.
        stack.callback(own_server.stop)
        yield folder


@pytest.mark.parametrize("fault", DISK_FAULTS)
def test_a_full_disk_costs_no_row(own_server: Cluster, small_disk: Path, fault: str) -> None:
    """No room for new partitions: the run says so, nothing is half made, and with room again the next one completes."""
    conninfo = own_server.conninfo()
    execute(conninfo, f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    rig = Rig(conninfo, default=True)
    happen = DISK_FAULTS[fault]

    _sound(under_load(conninfo, fault, lambda rig, bench: happen(rig, bench, small_disk), rig=rig))
