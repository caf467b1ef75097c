"""Every command that the README shows is run as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from psycopg.conninfo import conninfo_to_dict

from pgalmanac.config import load
from support import add_default, add_partitions, add_rows, connect, rows

ROOT: Final = Path(__file__).parent.parent.parent
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")

# These run the whole of what runs this test, or fill a database with a million rows: CI runs each on its own.
ELSEWHERE: Final = ("make demo", "make test")
INSTALLING: Final = ("python3 -m venv ", "python3 -m pip ", "~/.local/pgalmanac/bin/", "pipx ")


def blocks(language: str) -> list[str]:
    """The fenced blocks of this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Every line that a reader would type, in order."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines), "a console block holds commands only"
    return [line.removeprefix("$ ") for line in lines]


INSTALL: Final = [c for c in commands() if c.startswith(INSTALLING)]
USE: Final = [c for c in commands() if c not in ELSEWHERE and c not in INSTALL]


def shell(command: str, environ: Mapping[str, str], *, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one line as a reader's shell would."""
    return subprocess.run(
        ["sh", "-c", command],
        env=dict(environ),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def readers_database(database: str) -> str:
    """A database that somebody might have when they find the README: some partitions, some rows, and a gap."""
    add_partitions(database, days=[-95, *range(-5, -2), -1, 0, 1], rows_a_day=20)
    add_default(database)
    add_rows(database, day=-2, count=3)
    with connect(database) as connection:
        connection.execute(
            "CREATE SCHEMA app; CREATE TABLE app.device_logs (at timestamptz NOT NULL) PARTITION BY RANGE (at)"
        )
    return database


def test_what_a_reader_does_on_their_database(
    readers_database: str, environment: Mapping[str, str], tmp_path: Path, program: str
) -> None:
    """The commands in their order, the line for cron and the query: all do what the README says."""
    parts = conninfo_to_dict(readers_database)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    environ = {**environment, **{variable: str(parts[key]) for key, variable in names.items()}}
    installed = Path(environ["HOME"], ".local/pgalmanac/bin")
    installed.mkdir(parents=True)
    (installed / "pgalmanac").symlink_to(program)

    assert len(USE) >= 8
    for command in USE:
        done = shell(command, environ, folder=tmp_path)
        allowed = {0, 1, 2} if " check" in command else {0}
        assert done.returncode in allowed, (command, done.stdout, done.stderr)
        assert done.stderr == "", command
    [schedule] = [line for block in blocks("crontab") for line in block.splitlines()]
    minute, hour, *_, line = schedule.split(None, 5)
    scheduled = shell(line, {**environ, "PATH": os.defpath}, folder=tmp_path)
    [query] = blocks("sql")

    assert (minute, hour) == ("0", "2")
    assert (scheduled.returncode, scheduled.stderr) == (0, "")
    found = rows(readers_database, query)
    assert {"success"} == {run[4] for run in found}
    assert {"manual", "scheduler"} == {run[8] for run in found}


def test_the_configuration_it_shows(tmp_path: Path) -> None:
    """The file in the README is one that pgalmanac takes."""
    [text] = blocks("toml")
    file = tmp_path / "config.toml"
    file.write_text(text)

    assert ["public.events", "app.device_logs"] == [str(t) for t in load(environ={}, config=str(file)).requested]


def test_what_a_reader_does_to_install(tmp_path: Path, environment: Mapping[str, str]) -> None:
    """Venv, pip and wheel from a checkout, into a home of their own; pipx where there is one."""
    checkout = tmp_path / "checkout"
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
    shutil.copytree(ROOT, checkout, ignore=unwanted)
    pip = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HTTP", "http", "SSL_"))}
    config = Path("~/.config/pip/pip.conf").expanduser()
    if config.exists() and "PIP_CONFIG_FILE" not in pip:
        pip["PIP_CONFIG_FILE"] = str(config)  # the home of this test has none
    environ = {**environment, **pip, "PYTHONWARNINGS": "ignore"}
    for command in INSTALL:
        if command.startswith("pipx ") and shutil.which("pipx") is None:
            continue  # it does what the lines before did, with a tool that not every machine has
        done = shell(command, environ, folder=checkout)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    assert len(INSTALL) == 5
    assert list((checkout / "dist").glob("pgalmanac-*.whl"))


def test_the_makefile_has_what_is_left_to_ci() -> None:
    """Commands that this test does not run are targets of the Makefile, and CI runs the tests and the lint."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert set(ELSEWHERE) <= set(commands())
    assert all(f"\n{command.removeprefix('make ')}:" in makefile for command in ELSEWHERE)
    assert "make test" in ci
    assert "make lint" in ci


def test_links_lead_somewhere() -> None:
    """What the README links to is there."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", README)

    assert targets
    assert all((ROOT / target).exists() for target in targets)
