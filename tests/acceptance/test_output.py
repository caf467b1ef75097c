"""Streams: results on stdout, everything else on stderr, for pipes, full disks, the journal and curious people."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta

import pytest

import pgalmanac
from acceptance.running import On, Result, Run
from support import add_partitions, today


def test_version_and_help(run: Run) -> None:
    """Both go to stdout and exit 0, with or without a command."""
    assert Result(code=0, out=f"pgalmanac {pgalmanac.__version__}\n", err="") == run("--version")
    for arguments in (["--help"], ["maintain", "-h"], ["--help", "check"]):
        actual = run(*arguments)
        assert (0, "") == (actual.code, actual.err)
        assert actual.out.startswith("usage: pgalmanac")


def test_without_a_terminal_there_is_no_dashboard(run: Run) -> None:
    """`ssh host pgalmanac`, cron: it painted into the pipe for ever, with nobody at a key that would leave it."""
    actual = run()

    assert (64, "") == (actual.code, actual.out)
    assert actual.err.startswith("pgalmanac: the dashboard needs a terminal: ssh -t gives one")


def test_a_closed_stdin_is_no_terminal(database: str, program: str, environment: Mapping[str, str]) -> None:
    """What `<&-` leaves of a stream is none at all: nobody is there, and that is no internal error."""
    add_partitions(database, days=[-1, 0])
    variables = {**environment, "PGALMANAC_DSN": database, "INVOCATION_ID": "0" * 32, "TRIGGER_UNIT": "a.timer"}
    yesterday = f"events_{today() - timedelta(days=1):%Y_%m_%d}"
    # What doctor has to say of the rest depends on the machine.
    for command, expected in [(["drop", yesterday], {64}), (["maintain"], {0}), (["doctor"], {0, 1}), ([], {64})]:
        actual = subprocess.run(
            ["sh", "-c", 'exec "$@" <&- >&-', "sh", program, *command],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert actual.returncode in expected, (command, actual.stderr)


IMPORTED = re.compile(r"^import time:.*\|\s+(\S+)$", re.MULTILINE)


@pytest.mark.parametrize(
    ("unwanted", "arguments"),
    [
        ({"psycopg", "textual", "rich", "humanize", "asyncio", "platformdirs"}, ["--version"]),
        ({"psycopg", "textual", "rich", "humanize", "asyncio"}, ["maintain", "--nonsense"]),
        ({"textual", "rich", "humanize"}, ["maintain", "--json"]),
        ({"textual", "rich"}, ["maintain"]),
    ],
)
def test_a_command_imports_only_what_it_needs(
    database: str, environment: Mapping[str, str], unwanted: set[str], arguments: list[str]
) -> None:
    """No driver for --version, no terminal library in a headless run, no humanize for a document."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pgalmanac", *arguments],
        env={**environment, "PGALMANAC_DSN": database},
        capture_output=True,
        text=True,
        check=False,
    )
    actual = set(IMPORTED.findall(done.stderr))

    assert "pgalmanac" in actual
    assert not unwanted & actual


def test_verbosity(run: Run) -> None:
    """One sentence; with -v its causes; with -vv a traceback; the exit code stays."""
    quiet, causes, traceback = (run("maintain", "--dsn", "host=/nonexistent", *more) for more in ([], ["-v"], ["-vv"]))

    assert [69, 69, 69] == [r.code for r in (quiet, causes, traceback)]
    assert len(quiet.err.splitlines()) == 1
    assert causes.err.splitlines()[0] == quiet.err.splitlines()[0]
    assert "  because of OperationalError: " in causes.err
    assert "Traceback" not in causes.err
    assert "Traceback (most recent call last):" in traceback.err
    assert "ConnectError" in traceback.err


def test_a_reader_that_left_is_no_error(database: str, on: On, program: str, environment: Mapping[str, str]) -> None:
    """`pgalmanac … | head -1` ends quietly with its own exit code."""
    on(database, "maintain")
    done = subprocess.run(
        ["bash", "-c", f"'{program}' status --json | head -c 1; echo \" ${{PIPESTATUS[0]}}\""],
        env={**environment, "PGALMANAC_DSN": database},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("{ 0\n", "") == (done.stdout, done.stderr)


def test_a_reader_that_was_never_there(database: str, on: On, program: str, environment: Mapping[str, str]) -> None:
    """With stdout a pipe that nobody reads, or closed, the work is done and the code is that of the work."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as broken:
        piped = subprocess.run(
            [program, "maintain"],
            env={**environment, "PGALMANAC_DSN": database},
            stdout=broken,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    closed = subprocess.run(
        ["sh", "-c", f"'{program}' check >&- 2>&-"],
        env={**environment, "PGALMANAC_DSN": database},
        check=False,
    )

    assert (0, "") == (piped.returncode, piped.stderr)
    assert on(database, "check").code == closed.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110  # shorter
def test_a_result_that_cannot_be_written(database: str, program: str, environment: Mapping[str, str]) -> None:
    """A full disk under stdout is an error that is said: 70, and 2 of check, which has no other codes than Nagios'."""
    add_partitions(database, days=[0])
    variables = {**environment, "PGALMANAC_DSN": database}
    for argument, expected in [("--help", 70), ("status", 70), ("check", 2)]:
        with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
            done = subprocess.run(
                [program, argument], env=variables, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )

        assert expected == done.returncode
        assert done.stderr == "pgalmanac: the result cannot be written (No space left on device)\n"


def test_a_terminal_without_unicode_still_gets_the_report(database: str, on: On) -> None:
    """In an encoding that has no ≈ the sign is spelled out, and nothing fails."""
    add_partitions(database, days=[0], rows_a_day=5)
    actual = on(database, "maintain", PYTHONIOENCODING="ascii")

    assert (0, "") == (actual.code, actual.err)
    assert "\\u2248" in actual.out


def test_under_the_journal_every_line_has_a_priority(program: str, environment: Mapping[str, str]) -> None:
    """When stderr is the journal's stream each line of an error and its traceback carries <3>; elsewhere none does."""
    read, write = os.pipe()
    facts = os.fstat(write)
    with os.fdopen(read) as stream:
        with os.fdopen(write, "w") as journal:
            subprocess.run(
                [program, "maintain", "--dsn", "host=/nonexistent", "-vv"],
                env={**environment, "JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"},
                stderr=journal,
                check=False,
            )
        lines = stream.read().splitlines()

    assert len(lines) > 5
    assert all(line.startswith("<3>") for line in lines)


def test_documents_are_one_and_errors_are_in_both_streams(run: Run, database: str, on: On) -> None:
    """With --json stdout has exactly one document, also for an error, and stderr still has the sentence."""
    wrong = run("maintain", "--json", "--nonsense")
    unreachable = run("status", "--json", "--dsn", "host=/nonexistent")
    done = on(database, "status", "--json")

    assert (64, "maintain", 64) == (wrong.code, wrong.document["command"], wrong.document["exit_code"])
    assert "does not take --nonsense" in wrong.document["error"]["message"]
    assert wrong.err.startswith("pgalmanac: maintain does not take --nonsense")
    assert (69, "status") == (unreachable.code, unreachable.document["command"])
    assert unreachable.err.count("\n") == 1
    assert (0, "", "status") == (done.code, done.err, done.document["command"])


def test_arguments_that_are_no_text(run: Run) -> None:
    """Bytes that are no UTF-8 on the command line are a usage error like any other."""
    actual = run("maintain", "--table", b"\xff\xfe".decode(errors="surrogateescape"))

    assert actual.code == 64
    assert actual.err == "pgalmanac: \\udcff\\udcfe is not text in this system's encoding: type it again\n"
