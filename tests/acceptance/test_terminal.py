"""At a terminal: drop asks for a name, and long work shows how far it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest

from acceptance.terminal import Terminal, on_a_terminal
from support import add_partitions, partition_names, today

Start = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture
def start(program: str, environment: Mapping[str, str]) -> Start:
    """Give `start(conninfo, *arguments)`, which starts pgalmanac on a terminal."""

    def start(conninfo: str, *arguments: str) -> AbstractContextManager[Terminal]:
        return on_a_terminal([program, *arguments], {**environment, "PGALMANAC_DSN": conninfo})

    return start


def day(offset: int) -> str:
    """A day counted from today as the command line writes it."""
    return str(today() + timedelta(days=offset))


def name(offset: int) -> str:
    """The partition of that day."""
    return f"events_{today() + timedelta(days=offset):%Y_%m_%d}"


@pytest.mark.parametrize("answer", [name(-3), f"public.{name(-3)}"])
def test_drop_asks_for_the_partitions_name(database: str, start: Start, answer: str) -> None:
    """The plan is shown and the name must be typed; then the partition goes, and stdout has the report alone."""
    add_partitions(database, days=range(-3, 2), rows_a_day=5)
    with start(database, "drop", day(-3)) as terminal:
        terminal.wait_for(f"Type {name(-3)} to drop it; anything else keeps everything:\n")
        still = partition_names(database)
        terminal.type(answer + "\n")
        code, out = terminal.finish()

    assert name(-3) in still
    assert f"  planned  drop       manual     {name(-3)}" in terminal.painted
    assert code == 0
    assert f"  done     drop       manual     {name(-3)}" in out
    assert "planned" not in out
    assert name(-3) not in partition_names(database)


@pytest.mark.parametrize("answer", ["", "y", "yes", name(-2), "events"])
def test_any_other_answer_drops_nothing(database: str, start: Start, answer: str) -> None:
    """Enter, a yes, another partition's name: all keep everything, and exit 64."""
    add_partitions(database, days=range(-3, 2))
    with start(database, "drop", name(-3)) as terminal:
        terminal.wait_for(f"Type {name(-3)} to drop it")
        terminal.type(answer + "\n")
        code, out = terminal.finish()

    assert (64, "") == (code, out)
    assert "nothing was dropped" in terminal.painted
    assert len(partition_names(database)) == 5


def test_a_range_asks_for_the_tables_name(database: str, start: Start) -> None:
    """For several partitions the table's name is asked for, and how many go is said."""
    add_partitions(database, days=range(-5, 2))
    with start(database, "drop", f"{day(-5)}..{day(-4)}") as terminal:
        terminal.wait_for("Type events to drop 2 partitions; anything else keeps everything:\n")
        terminal.type("events\n")
        code, _ = terminal.finish()

    assert code == 0
    assert [name(d) for d in range(-3, 2)] == partition_names(database)


def test_control_c_and_the_end_of_input_answer_no(database: str, start: Start) -> None:
    """Ctrl-C at the question interrupts (130), Ctrl-D answers nothing (64); the partition stays."""
    add_partitions(database, days=range(-3, 2))
    with start(database, "drop", day(-3)) as terminal:
        terminal.wait_for("to drop it")
        terminal.process.send_signal(2)
        interrupted, _ = terminal.finish()
    with start(database, "drop", day(-3)) as terminal:
        terminal.wait_for("to drop it")
        terminal.type("\x04")
        ended, _ = terminal.finish()

    assert (130, 64) == (interrupted, ended)
    assert len(partition_names(database)) == 5


def test_what_can_only_be_refused_is_not_asked_about(database: str, start: Start) -> None:
    """Today's partition is never dropped, so nobody is asked to type its name."""
    add_partitions(database, days=[0])
    with start(database, "drop", day(0)) as terminal:
        code, out = terminal.finish()

    assert code == 1
    assert "it holds today" in out
    assert "Type " not in terminal.painted


def test_progress_is_painted_on_stderr_and_taken_away(database: str, start: Start) -> None:
    """A long fix shows its share; stdout has no trace of it, and the line is empty at the end."""
    with start(database, "fix", "--ahead", "60") as terminal:
        code, out = terminal.finish()

    assert code == 0
    assert "% create public.events_" in terminal.painted
    assert terminal.painted.endswith(" \r")
    assert "\r" not in out


def test_counting_shows_progress(database: str, start: Start) -> None:
    """Exact counts say how far they are."""
    add_partitions(database, days=range(-40, 2), rows_a_day=100)
    with start(database, "status", "--exact") as terminal:
        code, _ = terminal.finish()

    assert code == 0
    assert "% " in terminal.painted
    assert "counted" in terminal.painted


@pytest.mark.parametrize(("term", "told"), [("dumb", "TERM is dumb"), ("", "TERM is not set")])
def test_a_terminal_on_which_nothing_can_be_drawn_is_told_so(
    program: str, environment: Mapping[str, str], term: str, told: str
) -> None:
    """Emacs' shell is one: the dashboard would fill it with escape sequences."""
    with on_a_terminal([program, "--dsn", "host=/nonexistent"], {**environment, "TERM": term}) as terminal:
        code, out = terminal.finish()

    assert (64, "") == (code, out)
    assert told in terminal.painted
    assert "pgalmanac check" in terminal.painted
    assert "\x1b" not in terminal.painted


@pytest.mark.parametrize("stdout", [True, False], ids=["both", "stderr alone"])
def test_a_check_that_fails_says_so_once(program: str, environment: Mapping[str, str], *, stdout: bool) -> None:
    """A plugin says it on stdout; where stderr is the same terminal it is not said again."""
    with on_a_terminal([program, "check", "--nonsense"], environment, stdout=stdout) as terminal:
        terminal.wait_for("--nonsense")
        code, out = terminal.finish()

    assert 3 == code
    assert 1 == terminal.painted.count("check does not take --nonsense")
    assert out == ("" if stdout else "PGALMANAC UNKNOWN - check does not take --nonsense: see pgalmanac check --help\n")


def test_doctor_looks_at_the_terminal_that_the_dashboard_takes(database: str, start: Start) -> None:
    """It reads stdin and paints on stderr: what stdout is piped into is no matter."""
    with start(database, "doctor") as terminal:
        _, out = terminal.finish()

    assert re.search(r"^(ok|fix ) +terminal: ", out, re.MULTILINE), out


@pytest.mark.parametrize(("more", "trace"), [((), False), (("-vv",), True)])
def test_a_dashboard_that_a_fault_of_ours_ends_says_so_in_a_sentence(
    database: str, environment: Mapping[str, str], more: tuple[str, ...], *, trace: bool
) -> None:
    """As every command does, with its exit code; what the variables held, and a password, is nobody's business."""
    faulty = (
        "import sys; from pgalmanac_tui import almanac; from pgalmanac.cli import main;"
        " almanac.Almanac.of = lambda *_: [][1]; sys.exit(main())"
    )
    command = [sys.executable, "-c", faulty, "--dsn", f"{database} password=geheim", *more]
    with on_a_terminal(command, {**environment, "TERM": "xterm-256color"}, stdout=True) as terminal:
        terminal.wait_for("IndexError: list index out of range\n" if trace else "report what it says")
        code, _ = terminal.finish()
    said = terminal.painted.rpartition("\x1b[?1049l")[2]

    assert 70 == code
    assert "internal error (IndexError: list index out of range): run it again with -vv" in " ".join(said.split())
    assert trace is ("Traceback" in said)
    assert "geheim" not in terminal.painted
    assert len(said.splitlines()) < 60
