"""A PostgreSQL server from a folder of binaries, on a Unix socket of its own, for the demo and the tests.

It never listens on the network, and the folder of its socket is closed to other accounts, so that `trust`
authentication admits only the account that started it. PostgreSQL refuses to run as root: there the server runs
as `nobody`, and its files lie where that account can reach them.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pgalmanac.errors import ConfigError, ConnectError
from pgalmanac.pgbinaries import Account, can_run, copied, run_as, unprivileged_account

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["SUPERUSER", "Cluster", "prepare", "temporary_cluster"]

# The superuser of every cluster made here; the demo's role and the tests'.
SUPERUSER: Final = "postgres"

# sockaddr_un holds 104 bytes on macOS and 108 on Linux, with the closing zero.
_LONGEST_SOCKET_PATH: Final = 103
_SOCKET_NAME: Final = ".s.PGSQL.5432"

# Generous: a machine that is busy with something else starts a server in seconds, not tenths.
_PATIENCE_SECONDS: Final = 60

# log_line_prefix as it is by default: '%m [%p] ', in the time zone that start() sets.
_LOG_PREFIX: Final = re.compile(r"^\S+ \S+ UTC \[\d+\] ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A data folder, the binaries that serve it, and the account they run as (None: ours)."""

    binaries: Path
    data: Path
    sockets: Path
    log: Path
    account: Account | None

    def exists(self) -> bool:
        """Whether a whole data folder is there: initdb writes PG_VERSION early and the control file last."""
        return (self.data / "global" / "pg_control").is_file()

    def create(self) -> None:
        """Make the data folder, in UTF-8 and with the C locale, so that no installed locale matters.

        Raises ConnectError when initdb fails.
        """
        # Not waiting for the disk (-N) saves half the time; what is made here can be made again.
        self._run(
            "initdb",
            *("-D", self.data, "-N", "-A", "trust", "-U", SUPERUSER),
            *("--locale=C", "-E", "UTF8", "--no-instructions"),
        )
        _write_as(self.data / "postgresql.conf", "include 'pgalmanac.conf'\n", self.account)

    def start(self, settings: Mapping[str, str] | None = None) -> None:
        """Start the server and wait until it accepts connections; it outlives this process.

        Sockets, listening (nowhere) and time zone (UTC) are set here, *settings* adds to them or replaces them.
        Raises ConnectError, with the end of the server's log, when it does not start.
        """
        chosen = {
            "listen_addresses": "",
            "port": "5432",
            # Double quotes inside the single ones: a comma in the path would separate two folders.
            "unix_socket_directories": f'"{self.sockets}"',
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **(settings or {}),
        }
        lines = (f"{name} = {_quoted(value)}\n" for name, value in chosen.items())
        _write_as(self.data / "pgalmanac.conf", "".join(lines), self.account)
        self.log.unlink(missing_ok=True)
        try:
            self._run(
                "pg_ctl",
                "start",
                "-s",
                "-w",
                "-t",
                _PATIENCE_SECONDS,
                "-D",
                self.data,
                "-l",
                self.log,
            )
        except BaseException:  # also on Ctrl-C: pg_ctl detaches the server from this terminal before it waits for it
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, ending its sessions; nothing happens when none runs."""
        with_timeout = ("-s", "-w", "-t", _PATIENCE_SECONDS, "-m", "fast")
        try:
            self._run("pg_ctl", "stop", *with_timeout, "-D", self.data)
        except ConnectError:
            if self.running():
                raise

    def running(self) -> bool:
        """Whether a server answers on the socket.

        The process id in postmaster.pid proves nothing: after a reboot it can be another program's.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self.sockets / _SOCKET_NAME))
            except OSError:
                return False
        return True

    def conninfo(self, database: str = "postgres") -> str:
        """Say how libpq reaches *database* on this server as its superuser."""
        parts = {"host": str(self.sockets), "port": "5432", "user": SUPERUSER, "dbname": database}
        return " ".join(f"{key}={_quoted_conninfo(value)}" for key, value in parts.items())

    def _run(self, program: str, *arguments: str | int | Path) -> None:
        """Run one of the server's programs; raise ConnectError with what it said when it fails."""
        done = run_as(self.account, [self.binaries / program, *arguments], folder=self.sockets)
        if done.returncode:
            logged = self.log.read_text(errors="replace") if self.log.is_file() else ""
            reason = _reason(done.stdout + logged) or f"exit code {done.returncode}"
            raise ConnectError(
                f"{program} failed for the server in {self.data}: {reason}",
                hint=f"see {self.log}" if logged else None,
            )


def prepare(folder: Path, *, binaries: Path, data: Path | None = None) -> Cluster:
    """Make *folder* ready to hold a cluster: its socket, its log and its data, or the data in *data*.

    As root the folders are given to an unprivileged account, and binaries that this account cannot run are copied
    into *folder*. Folders above are created when missing and never changed. Raises ConfigError when the account
    cannot reach the folders, or the path of the socket would be too long for the system.
    """
    if sys.platform == "win32":
        raise ConfigError(
            "the server of pgalmanac needs Unix sockets and accounts",
            hint="run it in WSL, or name a server with --dsn",
        )
    data = data or folder / "data"
    sockets = folder / "socket"
    account = unprivileged_account()
    for path in (folder, sockets, data):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        if account is not None:
            os.chown(path, account.uid, account.gid)
    if len(os.fsencode(sockets / _SOCKET_NAME)) > _LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"the folder {sockets} has too long a path for a socket",
            hint="choose a shorter one, for example with XDG_DATA_HOME",
        )
    if account is not None:
        for path in (folder, data):
            if not can_run(account, "/bin/ls", path):
                raise ConfigError(
                    f"the account {account.name}, which runs the server for root, cannot reach {path}",
                    hint="let it through the folders above (chmod o+x), or run as an ordinary user",
                )
        if not can_run(account, binaries / "initdb", "--version"):
            binaries = copied(binaries, folder / "programs", account)
    return Cluster(binaries=binaries, data=data, sockets=sockets, log=folder / "server.log", account=account)


@contextmanager
def temporary_cluster(
    *, binaries: Path, settings: Mapping[str, str] | None = None, data_in: Path | None = None
) -> Generator[Cluster]:
    """Run a new server in a new folder, its data in a new folder in *data_in*, and remove both at the end.

    Raises what prepare, create and start raise.
    """
    folder = Path(tempfile.mkdtemp(prefix="pgalmanac-"))
    data = Path(tempfile.mkdtemp(prefix="pgalmanac-", dir=data_in)) if data_in else folder / "data"
    try:
        cluster = prepare(folder, binaries=binaries, data=data)
        cluster.create()
        cluster.start(settings)
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)


def _reason(said: str) -> str:
    """Pick from a program's output and the server's log the line that ended it, and the one that led to it."""
    lines = [_LOG_PREFIX.sub("", line) for line in said.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line.startswith(("FATAL", "PANIC")):
            return " / ".join(lines[max(0, number - 1) : number + 1])
    return " / ".join(lines[-2:])


def _write_as(path: Path, text: str, account: Account | None) -> None:
    """Append to the server's own configuration, or make it, and leave it to the account that runs the server."""
    mode = "a" if path.name == "postgresql.conf" else "w"
    with path.open(mode, encoding="utf-8") as file:
        file.write(text)
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _quoted(value: str) -> str:
    """Quote a value for postgresql.conf."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _quoted_conninfo(value: str) -> str:
    """Quote a value for a libpq connection string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
