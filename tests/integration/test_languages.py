"""A server that does not speak English: what failed is told by codes and by names, and not by words.

It needs a server that has German messages, as the packages of most systems do, and the program that makes the locale.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pgalmanac import counts
from pgalmanac.actions import ActionKind, Status
from pgalmanac.catalog import inspect
from pgalmanac.config import Counting
from pgalmanac.db import connect as session_on
from pgalmanac.errors import ConfigError, ConnectError, PgalmanacError, PrivilegeError
from pgalmanac.pgbinaries import _likely_folders
from pgalmanac.pgserver import temporary_cluster
from pgalmanac.policy import Policy
from pgalmanac.results import PartitionCount
from pgalmanac.table_names import TableName, TableRef
from pgalmanac.view import view
from support import connect, create_events, rows
from under_fire import create_log, execute, maintain, midnight, todo

if TYPE_CHECKING:
    from collections.abc import Generator

    from pgalmanac.pgserver import Cluster

LOCALE: Final = "de_DE.UTF-8"
ROLES: Final = (
    "CREATE ROLE somebody LOGIN PASSWORD 'right'",
    "CREATE ROLE inside LOGIN",
    "CREATE ROLE idle NOLOGIN",
    *(f"CREATE DATABASE {name}" for name in ("closed", "idle", "somebody")),
    "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
)
HBA: Final = """
local all postgres trust
local all somebody scram-sha-256
local all nobody_of_this_name peer
local closed,missing,postgres inside trust
local all idle,absent trust
"""
# How somebody comes, and how that ends.
REFUSED: Final = (
    ("user=somebody password=wrong", PrivilegeError),
    ("user=somebody password=wrong dbname=somebody", PrivilegeError),
    ("user=somebody", PrivilegeError),
    ("user=other", PrivilegeError),
    ("user=nobody_of_this_name", PrivilegeError),
    ("user=absent", PrivilegeError),
    ("user=idle", PrivilegeError),
    ("user=idle dbname=idle", PrivilegeError),
    ("user=inside dbname=closed", PrivilegeError),
    ("user=inside dbname=missing", ConfigError),
    ("user=somebody password=right dbname=missing", ConfigError),
    ("host=/nowhere", ConnectError),
)


@pytest.fixture(scope="module")
def german(pg_binaries: Path) -> Generator[Cluster]:
    """Give a server that speaks German: of the version under test if that one can, else any of this machine's."""
    localedef = shutil.which("localedef")
    if localedef is None:
        pytest.skip("localedef, which makes a locale, is not here")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgalmanac-")))
        folder.chmod(0o755)  # the server's account reads it
        made = subprocess.run(
            [localedef, "-i", "de_DE", "-f", "UTF-8", folder / LOCALE], check=False, capture_output=True
        )
        if made.returncode:
            pytest.skip("the source of the German locale is not here")
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("LOCPATH", str(folder))
        german = [folder for folder in (pg_binaries, *_likely_folders()) if _speaks_german(folder)]
        if not german:
            pytest.skip("no server of this machine has German messages")
        settings = {"fsync": "off", "lc_messages": LOCALE}
        cluster = stack.enter_context(temporary_cluster(binaries=german[0], settings=settings))
        execute(cluster.conninfo(), *ROLES)
        (cluster.data / "pg_hba.conf").write_text(HBA, encoding="utf-8")
        execute(cluster.conninfo(), "SELECT pg_reload_conf()")
        yield cluster


def _speaks_german(binaries: Path) -> bool:
    """Whether the server's help, which comes from the same catalogue as its errors, is in German."""
    done = subprocess.run(
        [binaries / "postgres", "--help"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": LOCALE},
    )
    return "Aufruf:" in done.stdout


@pytest.fixture
def german_database(german: Cluster) -> Generator[str]:
    """Give a new database of that server."""
    execute(german.conninfo(), "CREATE DATABASE log")
    yield german.conninfo("log")
    execute(german.conninfo(), "DROP DATABASE log WITH (FORCE)")


@pytest.mark.parametrize(("more", "kind"), REFUSED)
async def test_who_may_not_come_in_is_told_so(german: Cluster, more: str, kind: type[PgalmanacError]) -> None:
    """A refused role, a database that is not there, and a server that is not there have exit codes of their own."""
    with pytest.raises(PgalmanacError) as caught:
        async with session_on(f"{german.conninfo()} {more}"):
            pass
    assert type(caught.value) is kind, str(caught.value)


async def test_a_count_that_took_too_long_is_told_from_one_that_was_cancelled(german_database: str) -> None:
    """Both have one SQLSTATE."""
    create_events(german_database)
    execute(german_database, "CREATE VIEW slow AS SELECT now()::timestamp AS timestamp FROM pg_sleep(30)")
    wanted = [PartitionCount(oid=1, name=TableName(schema="public", name="slow"), rows=1, exact=False)]

    async def count(seconds: int) -> str:
        async with session_on(german_database, read_only=True) as session:
            seen = view(await inspect(session, TableRef.parse("events")), Policy())
            chosen = Counting(cache=False, statement_seconds=seconds)
            async for counted in counts.exact(session, seen, wanted, options=chosen):
                return str(counted.error)
        return "nothing was counted"

    cancelled, _ = await asyncio.gather(count(300), asyncio.to_thread(_cancel, german_database))

    assert "storniere" in cancelled
    assert "counts.statement_seconds" in await count(1)


def _cancel(conninfo: str) -> None:
    """Cancel whoever sleeps, as soon as somebody does."""
    sleeping = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    while not rows(conninfo, sleeping):
        time.sleep(0.01)


def test_a_run_with_everything_that_can_be_in_its_way(german_database: str) -> None:
    """Stray rows, an expired partition that rows refer to, and one that is locked: as on any other server."""
    create_log(german_database, days=(-9, -8, -1, 0), rows_a_day=20, default=True)
    execute(
        german_database,
        f"INSERT INTO log VALUES (1, '{midnight(1)}'), (2, '{midnight(-2)}')",
        "CREATE TABLE referring (id bigint, ts timestamptz, FOREIGN KEY (id, ts) REFERENCES log)",
        f"INSERT INTO referring SELECT id, ts FROM log WHERE ts < '{midnight(-8)}' LIMIT 1",
    )
    with connect(german_database) as reader:
        reader.execute("BEGIN")
        reader.execute(f"SELECT * FROM log_{midnight(-8):%Y_%m_%d}".encode())
        blocked = maintain(german_database, retry_seconds=0).tables[0]
    free = maintain(german_database).tables[0]

    gone = [o for o in blocked.outcomes if o.action.kind is ActionKind.DROP]
    assert [Status.SKIPPED, Status.FAILED] == [o.status for o in gone]
    assert "referring" in str(gone[0].error)
    assert "holds AccessShareLock" in str(gone[1].error)
    assert (free.dropped, free.failed, todo(german_database)) == (1, False, [])
