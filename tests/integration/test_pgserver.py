"""The launcher with a real server: starting, stopping, and what is in its way."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from pgalmanac.errors import ConfigError, ConnectError
from pgalmanac.pgserver import Cluster, prepare
from support import rows

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root's business")


def test_a_server_starts_stops_and_starts_again(own_server: Cluster) -> None:
    """What was written before a stop is there after the next start."""
    with psycopg.connect(own_server.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    own_server.stop()
    stopped = own_server.running()
    own_server.start()

    assert not stopped
    assert own_server.running()
    assert [(42,)] == rows(own_server.conninfo(), "SELECT answer FROM kept")


def test_it_listens_on_its_socket_only(own_server: Cluster) -> None:
    """Nothing is reachable over the network, whatever the machine's firewall says."""
    assert [("",)] == rows(own_server.conninfo(), "SHOW listen_addresses")
    assert [("UTF8",)] == rows(own_server.conninfo(), "SHOW server_encoding")
    assert [("UTC",)] == rows(own_server.conninfo(), "SELECT current_setting('timezone')")


def test_settings_are_taken_literally(own_server: Cluster) -> None:
    """A value with quotes reaches the server as it is."""
    own_server.stop()
    own_server.start({"cluster_name": "it's"})

    assert [("it's",)] == rows(own_server.conninfo(), "SHOW cluster_name")


def test_stopping_twice_is_no_error(own_server: Cluster) -> None:
    """Whoever cleans up need not know what was cleaned already."""
    own_server.stop()
    own_server.stop()

    assert not own_server.running()


def test_a_stale_pid_file_is_no_obstacle(own_server: Cluster) -> None:
    """After a power failure postmaster.pid names a process that is gone, or is somebody else's by now."""
    pid_file = own_server.data / "postmaster.pid"
    left = pid_file.read_text()
    own_server.stop()
    gone = subprocess.Popen([shutil.which("true") or "true"])
    gone.wait()
    pid_file.write_text(left.replace(left.splitlines()[0], str(gone.pid), 1))
    if own_server.account:
        os.chown(pid_file, own_server.account.uid, own_server.account.gid)
    own_server.start()

    assert own_server.running()


def test_a_server_that_does_not_start_says_why(own_server: Cluster) -> None:
    """The server's own words are in the sentence, since nobody looks for a log they do not know of."""
    own_server.stop()
    with pytest.raises(ConnectError, match="no_such_setting"):
        own_server.start({"no_such_setting": "1"})

    assert not own_server.running()


@as_root
def test_binaries_that_the_account_cannot_read_are_copied(tmp_path: Path, pg_binaries: Path) -> None:
    """Root's virtual environment is often below /root, which is closed to the account that runs the server."""
    installation = pg_binaries.parent
    if installation.name != "pginstall":
        pytest.skip("only a relocatable installation can be copied")
    package = installation.parent
    shutil.copytree(installation, tmp_path / package.name / installation.name, symlinks=True)
    beside = package.with_name(f"{package.name}.libs")
    if beside.is_dir():
        shutil.copytree(beside, tmp_path / beside.name)
    tmp_path.chmod(0o700)
    hidden = tmp_path / package.name / installation.name / "bin"
    open_path = Path(tempfile.mkdtemp(prefix="pgalmanac-"))  # programs do not run from a memory mounted noexec
    open_path.chmod(0o711)
    try:
        cluster = prepare(open_path / "server", binaries=hidden)
        cluster.create()
        cluster.start({"fsync": "off"})
        cluster.stop()

        assert open_path in cluster.binaries.parents
        assert cluster.binaries == prepare(open_path / "server", binaries=hidden).binaries
    finally:
        shutil.rmtree(open_path)


@as_root
def test_a_folder_that_the_account_cannot_reach_is_refused(tmp_path: Path, pg_binaries: Path) -> None:
    """The sentence names the folder and the two ways out, before initdb fails in its own words."""
    tmp_path.chmod(0o700)

    with pytest.raises(ConfigError, match="nobody, which runs the server for root, cannot reach") as caught:
        prepare(tmp_path / "server", binaries=pg_binaries)

    assert "ordinary user" in str(caught.value.hint)
