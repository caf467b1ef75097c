"""The systemd units with this installation's own path in them: what would be written where, and writing it.

The texts lie in systemd/ of a checkout and below share/ of an installation. Each file that is written begins with a
line that holds a checksum of the rest. A file whose checksum is right is ours and may be renewed; one that an
administrator changed, masked or made is left alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Final

import pgalmanac
from pgalmanac.errors import ConfigError, PrivilegeError

__all__ = ["State", "UnitFile", "install", "next_steps", "own_program", "plan_units", "unit_sources"]

_SHARE: Final = "share/pgalmanac/systemd"
# What the texts name, and is replaced by where this installation lies.
_PROGRAM: Final = "/opt/pgalmanac/bin/pgalmanac"
_UNITS: Final = tuple(
    f"pgalmanac{name}" for name in (".service", ".timer", "@.service", "@.timer", "-failure@.service")
)
# Folders that ProtectHome= and PrivateTmp= hide: a program that lies in one is let through by name.
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  # compared with, not written to
_HEADER: Final = re.compile(r"# Written by pgalmanac units \S+, sha256 ([0-9a-f]{64})\..*\n")
_BARE_WORD: Final = re.compile(r"[\w@+=:,./-]+\Z", re.ASCII)


class State(StrEnum):
    """What stands where a file would be written."""

    NEW = "new"
    SAME = "same"
    OUTDATED = "outdated"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFile:
    """One file: where it belongs, its text, and what stands there now."""

    path: Path
    text: str
    state: State


def unit_sources() -> Path:
    """The folder of the units' texts. Raises ConfigError when this installation carries none."""
    checkout = Path(__file__).parents[2] / "systemd"
    if (checkout / _UNITS[0]).is_file():
        return checkout
    try:
        files = metadata.files("pgalmanac") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if str(file).endswith(f"{_SHARE}/{_UNITS[0]}"):
            found = Path(str(file.locate())).resolve()
            if found.is_file() and found.parent.name != "user":
                return found.parent
    raise ConfigError("this installation has no systemd units", hint="install pgalmanac from its wheel")


def own_program() -> tuple[str, ...]:
    """The command that starts this installation: its script, as it was called, or the module."""
    script = Path(sys.argv[0])
    if script.name == "pgalmanac" and os.access(script, os.X_OK):
        # Not resolved: pipx keeps its link when it moves what lies behind it.
        return (str(script.absolute()),)
    return (sys.executable, "-m", "pgalmanac")


def plan_units(
    *, user: bool, root: Path = Path("/"), program: Sequence[str] | None = None, home: Path | None = None
) -> tuple[UnitFile, ...]:
    """Every file that belongs to this installation, for the system below *root* or for the user's own manager."""
    program = own_program() if program is None else program
    sources = unit_sources()
    wanted: dict[Path, Path] = {}
    if user:
        home = home or Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        wanted = {home / "systemd/user" / name: sources / "user" / name for name in _UNITS}
    else:
        wanted = {root / "etc/systemd/system" / name: sources / name for name in _UNITS}
        wanted[root / "etc/sysusers.d/pgalmanac.conf"] = sources / "pgalmanac.sysusers"
        wanted[root / "etc/tmpfiles.d/pgalmanac.conf"] = sources / "pgalmanac.tmpfiles"
    files: list[UnitFile] = []
    for path, source in wanted.items():
        text = _signed(_adapted(source.read_text(encoding="utf-8"), program))
        files.append(UnitFile(path=path, text=text, state=_state(path, text)))
    return tuple(files)


def install(files: Sequence[UnitFile]) -> None:
    """Write what is new or outdated. Raises PrivilegeError for a folder that this user may not write to."""
    for file in files:
        if file.state not in {State.NEW, State.OUTDATED}:
            continue
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.path.with_name(f".{file.path.name}.new")
            temporary.write_text(file.text, encoding="utf-8")
            temporary.chmod(0o644)
            temporary.replace(file.path)
        except OSError as exc:
            raise PrivilegeError(
                f"{file.path} cannot be written ({exc.strerror})", hint="run it as root, or add --user"
            ) from exc


def _state(path: Path, text: str) -> State:
    if path.is_symlink():
        return State.CHANGED  # masked, or linked to another place
    try:
        found = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return State.NEW
    except OSError:
        return State.CHANGED
    if found == text:
        return State.SAME
    header = _HEADER.match(found)
    return State.OUTDATED if header is not None and header[1] == _sum(found[header.end() :]) else State.CHANGED


def _signed(text: str) -> str:
    about = "A changed file is left alone; a drop-in (systemctl edit) outlives every version."
    return f"# Written by pgalmanac units {pgalmanac.__version__}, sha256 {_sum(text)}. {about}\n{text}"


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _adapted(text: str, program: Sequence[str]) -> str:
    """The text with this installation's program, let through to it where it lies in a hidden folder."""
    text = text.replace(f"ExecStart={_PROGRAM} ", f"ExecStart={' '.join(map(_quoted, program))} ")
    hidden = list(dict.fromkeys(_hidden_places(program[0])))
    if not hidden:
        return text
    paths = " ".join(map(_quoted, hidden))
    return text.replace(
        "ProtectHome=yes\n",
        f"# The program lies in a folder that is hidden otherwise.\nProtectHome=tmpfs\nBindReadOnlyPaths={paths}\n",
    )


def _hidden_places(program: str) -> Iterator[str]:
    """What has to be seen for the program to run: the script, the environment, its Python and the packages."""
    for place in (program, os.path.realpath(program), sys.prefix, sys.base_prefix, str(Path(__file__).parents[1])):
        if any(PurePosixPath(place).is_relative_to(folder) for folder in _HIDDEN):
            yield place


def _quoted(word: str) -> str:
    """A word of a unit file: % starts a specifier and $ a variable there."""
    word = word.replace("%", "%%").replace("$", "$$")
    if _BARE_WORD.match(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def next_steps(*, user: bool) -> tuple[str, ...]:
    """What is left to type after installing."""
    if user:
        return (
            "systemctl --user daemon-reload",
            f"{shlex.join(own_program())} init    # prints a configuration for ~/.config/pgalmanac/config.toml",
            "systemctl --user enable --now pgalmanac.timer    # runs at once, then every night",
            "loginctl enable-linger    # else it runs only while you are logged in",
        )
    return (
        "systemd-sysusers && systemd-tmpfiles --create pgalmanac.conf && systemctl daemon-reload",
        "write /etc/pgalmanac/config.toml    # an example lies in " + str(unit_sources()),
        "systemctl enable --now pgalmanac.timer    # runs at once, then every night at 02:00 UTC and at boot",
    )
