"""The installed command as its users have it: a process with arguments, an environment, streams and an exit code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from acceptance.running import On, Result, Run

PATIENCE_SECONDS: Final = 60


@pytest.fixture(scope="session")
def program() -> str:
    """Give the path of the console script that belongs to this interpreter."""
    found = shutil.which("pgalmanac", path=str(Path(sys.executable).parent))
    assert found is not None, "pgalmanac is not installed beside this interpreter"
    return found


@pytest.fixture
def environment(tmp_path: Path, program: str) -> Mapping[str, str]:
    """Give an environment in which nothing of the developer's takes part: no PG* variables, an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": os.pathsep.join([str(Path(program).parent), os.environ["PATH"]]),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CONFIG_DIRS": str(home / "site"),
        "LANG": "C.UTF-8",
        # A connection that is left open, or a coroutine that nobody awaits, would show on stderr.
        "PYTHONWARNINGS": "default",
    }


@pytest.fixture
def run(program: str, environment: Mapping[str, str]) -> Run:
    """Give a function that runs pgalmanac without a terminal."""

    def run(*arguments: str, stdin: str | None = None, **environ: str) -> Result:
        done = subprocess.run(
            [program, *arguments],
            env={**environment, **environ},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Result(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


@pytest.fixture
def on(run: Run) -> On:
    """Give `on(conninfo, *arguments)`, which runs pgalmanac on that database."""

    def on(conninfo: str, *arguments: str, **environ: str) -> Result:
        return run(*arguments, PGALMANAC_DSN=conninfo, **environ)

    return on
