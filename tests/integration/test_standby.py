"""A hot standby, a connection string with two hosts, and a promotion between two runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pgalmanac.findings import Code
from pgalmanac.maintain import check
from pgalmanac.pgserver import prepare, temporary_cluster
from support import connect, rows
from under_fire import create_log, maintain, midnight, planned, settings, shape

if TYPE_CHECKING:
    from collections.abc import Generator

    from pgalmanac.pgserver import Cluster

SETTINGS: Final = {"wal_level": "replica", "fsync": "off", "hot_standby": "on", "max_wal_senders": "4"}


@contextmanager
def _standby_of(primary: Cluster) -> Generator[Cluster]:
    """A copy of the stopped primary that follows it: what pg_basebackup makes, without needing that program."""
    folder = Path(tempfile.mkdtemp(prefix="pgalmanac-"))
    try:
        cluster = prepare(folder, binaries=primary.binaries)
        cluster = replace(cluster, binaries=primary.binaries)
        primary.stop()
        shutil.rmtree(cluster.data)
        subprocess.run(["cp", "-a", str(primary.data), str(cluster.data)], check=True)  # keeps the owner
        (cluster.data / "postmaster.pid").unlink(missing_ok=True)
        (cluster.data / "standby.signal").touch()
        if cluster.account is not None:
            os.chown(cluster.data / "standby.signal", cluster.account.uid, cluster.account.gid)
        primary.start(SETTINGS)
        # The standby's account must reach the primary's socket; as root both are the same account.
        cluster.start({**SETTINGS, "primary_conninfo": primary.conninfo()})
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pair(pg_binaries: Path) -> Generator[tuple[Cluster, Cluster]]:
    """Give a primary with a table to be maintained, and its hot standby."""
    with temporary_cluster(binaries=pg_binaries, settings=SETTINGS) as primary:
        create_log(primary.conninfo(), days=(-9, 0), rows_a_day=5, default=True)
        with _standby_of(primary) as standby:
            yield primary, standby


def _caught_up(primary: Cluster, standby: Cluster) -> None:
    target = rows(primary.conninfo(), "SELECT pg_current_wal_lsn()::text")[0][0]
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if rows(standby.conninfo(), f"SELECT pg_last_wal_replay_lsn() >= '{target}'::pg_lsn")[0][0]:
            return
        time.sleep(0.05)
    pytest.fail("the standby does not follow")


def test_a_standby_is_a_clean_no_op(pair: tuple[Cluster, Cluster]) -> None:
    """On a standby: exit 0, a finding that says why, nothing tried; check and a dry run answer there as well."""
    primary, standby = pair
    _caught_up(primary, standby)

    report = maintain(standby.conninfo())
    looked = asyncio.run(check(settings(standby.conninfo())))
    plan = planned(standby.conninfo())

    assert report.exit_code == 0
    assert report.tables == ()
    assert [Code.STANDBY] == [f.code for f in report.findings]
    assert Code.STANDBY in {f.code for f in looked.findings}
    assert looked.tables[0].view is not None
    assert len(plan.tables[0].outcomes) == 4


def test_two_hosts_find_the_primary_before_and_after_a_promotion(pair: tuple[Cluster, Cluster]) -> None:
    """With target_session_attrs=read-write the run goes to whoever is primary, and completes what the old one left."""
    primary, standby = pair
    both = (
        f"host='{standby.sockets},{primary.sockets}' port=5432,5432 user=postgres dbname=postgres"
        " target_session_attrs=read-write"
    )

    before = maintain(both, premake_days=1)
    _caught_up(primary, standby)
    primary.stop()
    standby._run("pg_ctl", "promote", "-s", "-w", "-D", standby.data)
    after = maintain(both, premake_days=2)

    assert before.exit_code == after.exit_code == 0
    assert (1, 1) == (before.tables[0].created, before.tables[0].dropped)
    assert (1, 0) == (after.tables[0].created, after.tables[0].dropped)
    statuses = [s for (s,) in rows(standby.conninfo(), "SELECT status FROM housekeeper_runs")]
    assert statuses == ["success", "success"]
    assert shape(standby.conninfo()).rows[0] == 5


def test_a_run_cut_off_by_a_promotion_is_completed_on_the_new_primary(pair: tuple[Cluster, Cluster]) -> None:
    """A mark and a run left open on the old primary mean the same on the new one: the system identifier is the same."""
    primary, standby = pair
    due = f"log_{midnight(-9):%Y_%m_%d}"
    maintain(primary.conninfo(), retention_days=30)
    with connect(primary.conninfo()) as connection:
        # As a kill between the detach and the drop leaves it.
        ((system,),) = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchall()
        ((parent, oid),) = connection.execute(
            f"SELECT 'log'::regclass::oid::int8, '{due}'::regclass::oid::int8".encode()
        ).fetchall()
        connection.execute(
            f"COMMENT ON TABLE {due} IS 'pgalmanac-mark: "
            f'{{"system_id": "{system}", "parent_oid": {parent}, "oid": {oid}, "lower": "{midnight(-9).isoformat()}",'
            f' "upper": "{midnight(-8).isoformat()}", "run_id": "1", "manual": false, "home": "public"}}\''.encode()
        )
        connection.execute(f"ALTER TABLE log DETACH PARTITION {due}".encode())
        connection.execute("UPDATE housekeeper_runs SET status = 'running', completed_at = NULL")
    _caught_up(primary, standby)
    primary.stop()
    standby._run("pg_ctl", "promote", "-s", "-w", "-D", standby.data)

    report = maintain(standby.conninfo())

    assert report.exit_code == 0, [o.error for o in report.tables[0].outcomes if o.error]
    assert report.tables[0].dropped == 4, "this one and three that it had made as gaps"
    assert rows(standby.conninfo(), f"SELECT to_regclass('{due}') IS NULL") == [(True,)]
    assert rows(standby.conninfo(), "SELECT status, error FROM housekeeper_runs ORDER BY id") == [
        ("error", "interrupted"),
        ("success", None),
    ]
