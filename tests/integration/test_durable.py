"""What a report calls done is on the disk: the server loses power right after it, and has it all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pgalmanac.inspection import MAINTAIN
from pgalmanac.maintain import perform
from pgalmanac.pgserver import temporary_cluster
from pgalmanac.table_names import TableRef
from support import partition_names
from under_fire import create_log, execute, settings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pgalmanac.pgserver import Cluster

# The log is written by whoever commits and by nobody else: no background process comes in time.
SETTINGS: Final = {"wal_writer_delay": "10s", "bgwriter_delay": "10s", "autovacuum": "off", "fsync": "off"}


@pytest.fixture
def cluster(pg_binaries: Path) -> Generator[Cluster]:
    """Give a server that writes its log only when a commit waits for it."""
    with temporary_cluster(binaries=pg_binaries, settings=SETTINGS) as found:
        yield found


@pytest.mark.parametrize("recorded", [True, False])
async def test_what_was_reported_survives_the_loss_of_power(cluster: Cluster, *, recorded: bool) -> None:
    """Created, reported, and the server is gone at once."""
    conninfo = cluster.conninfo()
    create_log(conninfo, days=(-1, 0))
    execute(conninfo, "CREATE TABLE no_history (id int)", "CHECKPOINT")
    wanted = settings(conninfo, premake_days=3)
    if not recorded:  # the end of a run's record would wait for the disk
        wanted = replace(wanted, history_table=TableRef(name="no_history"))

    report = await perform(wanted, MAINTAIN)
    cluster._run("pg_ctl", "restart", "-s", "-w", "-m", "immediate", "-D", cluster.data, "-l", cluster.log)

    assert report.tables[0].created == 3
    assert len(partition_names(conninfo, "log")) == 5
