"""Ctrl-C, SIGTERM and a hangup in the middle of a run: the exit code, the closed history, and nothing half done."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from acceptance.running import On
from support import add_partitions, connect, partition_names, rows

# What these tests are run by may ignore a hangup, as nohup does, and its children inherit that.
_UNDER_A_TERMINAL = (
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
)


@contextmanager
def started(program: str, environment: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start pgalmanac and leave it running; kill it at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", _UNDER_A_TERMINAL, program, *arguments],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(conninfo: str, query: str, *, seconds: float = 60) -> None:
    """Wait until *query* gives a row."""
    end = time.monotonic() + seconds
    while not rows(conninfo, query):
        assert time.monotonic() < end, query
        time.sleep(0.05)


OURS = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgalmanac' AND datname = current_database()"


@pytest.mark.parametrize(
    ("expected", "word", "number"),
    [
        (129, "the terminal went away", signal.SIGHUP),
        (130, "interrupted", signal.SIGINT),
        (143, "terminated", signal.SIGTERM),
    ],
)
def test_a_signal_in_the_middle(
    database: str, program: str, environment: Mapping[str, str], on: On, expected: int, word: str, number: int
) -> None:
    """A drop that waits for its lock ends with the code and one sentence, its run closed and its sessions gone.

    The partition is whole, and the next run completes what this one began.
    """
    add_partitions(database, days=[-100, 0], rows_a_day=5)
    on(database, "init")
    with connect(database) as blocker:
        blocker.execute("BEGIN; SELECT count(*) FROM events")
        with started(program, {**environment, "PGALMANAC_DSN": database}, "maintain") as process:
            wait_until(database, "SELECT 1 FROM housekeeper_runs WHERE status = 'running'")
            wait_until(database, "SELECT 1 FROM housekeeper_run_actions HAVING count(*) >= 30")
            time.sleep(0.3)  # so that it is most likely the drop that is broken off; nothing below depends on it
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
            wait_until(database, f"SELECT 1 WHERE NOT EXISTS ({OURS})")
        left = partition_names(database)
        run = rows(database, "SELECT status, error, completed_at IS NOT NULL FROM housekeeper_runs")
    after = on(database, "maintain")

    assert (expected, "", f"pgalmanac: {word}\n") == (process.returncode, out, err)
    assert len(left) == 32
    assert [("error", "interrupted", True)] == run
    assert after.code == 0
    assert len(partition_names(database)) == 31
    assert rows(database, "SELECT count(*) FROM events") == [(5,)]


def test_a_second_signal_does_not_break_the_cleaning_up(
    database: str, program: str, environment: Mapping[str, str], on: On
) -> None:
    """A shell and make may both pass Ctrl-C on: the history is closed all the same."""
    add_partitions(database, days=[-100, 0])
    on(database, "init")
    with connect(database) as blocker:
        blocker.execute("BEGIN; SELECT count(*) FROM events")
        with started(program, {**environment, "PGALMANAC_DSN": database}, "maintain") as process:
            wait_until(database, "SELECT 1 FROM housekeeper_run_actions HAVING count(*) >= 30")
            for _ in range(3):
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)

    assert process.returncode == 130
    assert [("error",)] == rows(database, "SELECT status FROM housekeeper_runs")


def test_who_ignores_a_hangup_goes_on(database: str, program: str, environment: Mapping[str, str], on: On) -> None:
    """As nohup has it: what was started to go on without its terminal does."""
    add_partitions(database, days=[-100, 0])
    on(database, "init")
    with connect(database) as blocker:
        blocker.execute("BEGIN; SELECT count(*) FROM events")
        command = ("sh", "-c", 'trap "" HUP; exec "$0" maintain', program)
        with started(command[0], {**environment, "PGALMANAC_DSN": database}, *command[1:]) as process:
            wait_until(database, "SELECT 1 FROM housekeeper_run_actions HAVING count(*) >= 30")
            process.send_signal(signal.SIGHUP)
            blocker.rollback()
            process.communicate(timeout=60)

    assert process.returncode == 0
    assert [("success",)] == rows(database, "SELECT status FROM housekeeper_runs")


def test_check_has_no_other_codes_even_then(database: str, program: str, environment: Mapping[str, str]) -> None:
    """Check exits 0 to 3 and nothing else: stopped in the middle it is CRITICAL."""
    add_partitions(database, days=[0])
    with connect(database) as blocker:
        # Reading pg_class is what check does first.
        blocker.execute("BEGIN; LOCK TABLE pg_catalog.pg_inherits IN ACCESS EXCLUSIVE MODE")
        with started(program, {**environment, "PGALMANAC_DSN": database}, "check") as process:
            wait_until(database, f"{OURS} AND wait_event_type = 'Lock'")
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)

    assert process.returncode == 2
    assert out == "PGALMANAC CRITICAL - terminated\n"
