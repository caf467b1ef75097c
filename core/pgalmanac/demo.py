"""The demo: a PostgreSQL of its own, kept between commands and filled with months of synthetic events.

The server runs while commands use it. Each holds a shared lock, and the last one to leave stops the server; if
that one was killed, the server goes on, and the next command takes it over and stops it in its turn. So there is
nothing to stop by hand, and a reboot costs only the start of the next command.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs
import psycopg

from pgalmanac.demo_data import fill
from pgalmanac.errors import BusyError, ConfigError, ServerError
from pgalmanac.pgbinaries import find_binaries, server_version
from pgalmanac.pgserver import Cluster, prepare

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["demo_server"]

_SETTINGS: Final = {
    # A second of demo data lost in a power failure is no loss; a damaged data folder would be a nuisance.
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
}

_DATABASE: Final = "demo"


@contextmanager
def demo_server(
    *,
    reset: bool = False,
    progress: Callable[[str, float], None] | None = None,
    home: Path | None = None,
    events: int = 1_000_000,
) -> Generator[str]:
    """Give the conninfo of the demo database, while its server runs.

    The first use makes the server and fills it with about *events* rows, *reset* does so anew. *progress* is called
    with what is being done and the share that is done, from 0 to 1. The data lies in *home*, by default in
    `$PGALMANAC_DEMO_DIR`, else in the user's data folder; for root, whose home the server's account cannot enter,
    in the site's state folder.

    Raises ConfigError when there are no server programs or *home* cannot be made, ConnectError when the server does
    not start, ServerError when it cannot be filled, and BusyError when *reset* finds another command that uses it.
    """
    if sys.platform == "win32":
        raise ConfigError(
            "the demo needs Unix sockets and accounts, which this system does not have",
            hint="run it in WSL, or name a server with --dsn",
        )
    tell = progress or _ignore
    binaries = find_binaries()
    # A data folder belongs to one major version; another one, after an upgrade, starts with a demo of its own.
    major, _ = server_version(binaries)
    home = (home or _default_home()) / f"postgresql-{major}"
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"the folder {home} for the demo's data cannot be made: {exc.strerror}",
            hint="name another one with PGALMANAC_DEMO_DIR",
        ) from exc
    with _locked(home / "users") as users:
        with _locked(home / "door") as door:
            if not _try_lock(door, fcntl.LOCK_EX | fcntl.LOCK_NB):
                tell("waiting for another command to make the demo ready", 0.0)
                fcntl.flock(door, fcntl.LOCK_EX)
            if reset and not _try_lock(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
                raise BusyError(
                    f"the demo in {home} is in use by another command",
                    hint="close that one (a dashboard, perhaps) before starting over",
                )
            cluster = _ready(home, binaries, events=events, reset=reset, tell=tell)
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield cluster.conninfo(_DATABASE)
        finally:
            with _locked(home / "door") as door:
                fcntl.flock(door, fcntl.LOCK_EX)
                if _try_lock(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    cluster.stop()


def _ready(home: Path, binaries: Path, *, events: int, reset: bool, tell: Callable[[str, float], None]) -> Cluster:
    """Start the server in *home*, made and filled when it was not; the caller keeps everybody else out."""
    filled = home / "filled"
    server = home / "server"
    cluster = prepare(server, binaries=binaries)
    if reset or not filled.exists():
        # Without the mark an earlier filling was interrupted, and what it left is not worth keeping.
        filled.unlink(missing_ok=True)
        cluster.stop()
        shutil.rmtree(server)
        cluster = prepare(server, binaries=binaries)
        tell("making a PostgreSQL server", 0.0)
        cluster.create()
    if not cluster.running():
        cluster.start(_SETTINGS)
    if not filled.exists():
        try:
            with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {_DATABASE}")
            with psycopg.connect(cluster.conninfo(_DATABASE), autocommit=True) as connection:
                fill(connection, now=datetime.now(UTC), events=events, tell=tell)
        except BaseException as exc:  # also on Ctrl-C: a server that nobody knows of would go on running
            cluster.stop()
            if isinstance(exc, psycopg.Error):
                raise ServerError(f"the demo in {home} could not be filled: {exc}", sqlstate=exc.sqlstate) from exc
            raise
        filled.touch()
    return cluster


def _default_home() -> Path:
    """Return the folder of the demo's data for this account."""
    chosen = os.environ.get("PGALMANAC_DEMO_DIR")
    if chosen:
        return Path(chosen)
    if os.geteuid() == 0:
        return platformdirs.site_state_path("pgalmanac", appauthor=False) / "demo"
    return platformdirs.user_data_path("pgalmanac", appauthor=False) / "demo"


@contextmanager
def _locked(path: Path) -> Generator[int]:
    """Open the lock file *path*; whatever lock the block takes on it ends with the block, or with the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    return True


def _ignore(_message: str, _share: float) -> None:
    """Take no notice of progress."""
