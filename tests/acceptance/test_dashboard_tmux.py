"""The installed program in a real terminal: tmux plays the keys, and the database is looked at after each step."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from support import add_partitions, connect, partition_names, rows, today

TMUX = shutil.which("tmux") or ""
PATIENCE_SECONDS = 60.0

pytestmark = pytest.mark.skipif(not TMUX, reason="tmux is not installed; the dashboard is driven in it")


class Window:
    """A terminal of 80 by 24 in a tmux server of its own."""

    def __init__(self, folder: Path, *command: str) -> None:
        """Run *command* in it."""
        self._tmux = [TMUX, "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._code = folder / "code"
        # A shell writes the exit code down: tmux 3.3 at times misses the signal of a child's end, for good, under load.
        keep = 'code=$1; shift; "$@"; echo $? > "$code.new"; mv "$code.new" "$code"'
        kept = ("sh", "-c", keep, "sh", str(self._code))
        self._call("new-session", "-d", "-x", "80", "-y", "24", *kept, *command)
        self._call("set-option", "-g", "remain-on-exit", "on")

    def _call(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def press(self, key: str) -> None:
        """Press a key, as tmux names it. What it does has to be waited for before the next one, as a person does."""
        self._call("send-keys", key)

    def burst(self, *keys: str) -> None:
        """Press keys all at once, faster than any of them is handled."""
        self._call("send-keys", *keys)

    def write(self, text: str) -> None:
        """Type a text."""
        self._call("send-keys", "-l", text)

    def screen(self) -> str:
        """What is on the screen."""
        return self._call("capture-pane", "-p")

    def shows(self, text: str) -> None:
        """Wait for a text."""
        wait(lambda: text in self.screen(), lambda: f"{text!r} is not on the screen:\n{self.screen()}")

    def lit(self, button: str) -> None:
        """Wait until a button has the focus, which is what enter presses then: its word is bold."""
        wait(lambda: self._bold(button), lambda: f"{button} has not the focus:\n{self.screen()}")

    def dark(self, button: str) -> None:
        """Wait until the focus has left a button."""
        wait(lambda: not self._bold(button), lambda: f"{button} still has the focus:\n{self.screen()}")

    def _bold(self, word: str) -> bool:
        """Whether the last *word* on the screen is written in bold."""
        before, found, _ = self._call("capture-pane", "-p", "-e").rpartition(word)
        bold = False
        for codes in re.findall(r"\x1b\[([\d;]*)m", before):
            # The numbers of a colour are no attributes.
            attributes = re.sub(r"[34]8;(?:5;\d+|2;\d+;\d+;\d+)", "", codes).split(";")
            bold = "1" in attributes or (bold and codes != "" and not {"0", "22"} & set(attributes))
        return bool(found) and bold

    def ended(self) -> int:
        """Wait for the program's end; its exit code."""
        wait(self._code.exists, lambda: f"it has not ended:\n{self.screen()}")
        return int(self._code.read_text())

    def close(self) -> None:
        """End all of it."""
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


def wait(holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > end:
            pytest.fail(otherwise())
        time.sleep(0.1)


@contextmanager
def opened(database: str, folder: Path, *options: str) -> Iterator[Window]:
    """The dashboard on a database, in a terminal that knows UTF-8; nothing but this configures it."""
    window = Window(
        folder,
        *("env", f"XDG_CONFIG_HOME={folder}", "PGALMANAC_RETENTION_DAYS=90", "LC_ALL=C.UTF-8"),
        *(sys.executable, "-m", "pgalmanac", "--dsn", database, "--table", "events", *options),
    )
    try:
        yield window
    finally:
        window.close()


@pytest.fixture
def window(database: str, tmp_path: Path) -> Iterator[Window]:
    """The dashboard on a database whose last partition is today's, and one of which is past retention."""
    add_partitions(database, days=[-91, *range(-10, 1)], rows_a_day=3)
    with opened(database, tmp_path) as window:
        yield window


def title(days: int) -> str:
    """That day as the details have it."""
    day = today() + timedelta(days=days)
    return f"{day:%a} {day.day} {day:%b %Y}"


def name(days: int) -> str:
    """The partition of the day that is so many days from today."""
    return f"events_{today() + timedelta(days=days):%Y_%m_%d}"


def test_keys_that_come_all_at_once_act_as_each_would_alone(window: Window) -> None:
    """A filter that is typed ahead opens no drop, a date is one, and what follows a tab moves the list."""
    window.shows("heap")
    window.burst("/", "D", "e", "c", "2")
    window.shows(" Dec2")
    window.shows("enter keep it")
    window.press("Escape")
    window.shows("c create")
    window.burst("g", "-", "5", "Enter")
    window.shows(title(-5))
    window.burst("Tab", "Down", "Down", "Down")
    window.shows(f"▸ {name(-8)}")
    window.shows(title(-8))
    window.burst("D", "c", "m")
    window.shows(f"Drop {name(-8)} of public.events")
    window.press("Escape")
    window.shows("c create")


def test_from_the_first_picture_to_the_last(database: str, window: Window) -> None:
    """Start, move, create a day, drop a day with its name typed, maintain, quit."""
    window.shows("WARNING")
    window.shows("heap")
    assert [name(-91), *(name(d) for d in range(-10, 1))] == partition_names(database)

    window.press("Down")
    window.shows(title(1))
    window.press("c")
    window.shows("1 to create")
    window.lit("Apply")
    assert name(1) not in partition_names(database)
    window.press("Enter")
    window.shows("1 created")
    assert name(1) in partition_names(database)

    window.press("Escape")
    window.shows("1 Partitions")
    window.press("t")
    window.shows(title(0))
    window.press("Up")
    window.shows(title(-1))
    window.press("D")
    window.shows("go for good")
    window.lit("Cancel")
    window.press("Tab")
    window.dark("Cancel")
    window.write(name(-1))
    assert name(-1) in partition_names(database)
    window.press("Enter")
    window.shows("1 dropped")
    assert name(-1) not in partition_names(database)

    window.press("Escape")
    window.shows("1 Partitions")
    window.press("m")
    window.shows("1 to drop")
    assert name(-91) in partition_names(database)
    window.lit("Cancel")
    window.press("BTab")
    window.dark("Cancel")
    window.write(name(-91))
    window.press("Enter")
    window.shows("1 dropped")
    assert [name(d) for d in range(-10, 31)] == partition_names(database)

    window.press("Escape")
    window.shows("nothing needs doing")
    window.press("q")
    assert 0 == window.ended()
    assert [("create", "success"), ("drop", "success"), ("maintain", "success")] == rows(
        database, "SELECT details ->> 'command', status FROM housekeeper_runs ORDER BY id"
    )


def test_a_terminal_that_goes_away_leaves_no_half_done_run(database: str, window: Window) -> None:
    """SIGHUP in the middle of a run: the action under way is undone, and the run is closed."""
    with_slow = (
        "CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM"
        " pg_event_trigger_ddl_commands() WHERE object_identity LIKE 'public.events_2%') THEN PERFORM pg_sleep(60);"
        " END IF; END $$; CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE TABLE')"
        " EXECUTE FUNCTION slow()"
    )
    with connect(database) as connection:
        connection.execute(with_slow.encode())
    before = partition_names(database)
    window.shows("WARNING")
    window.press("f")
    window.shows("to create")
    window.lit("Apply")
    window.press("Enter")
    sleeping = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    wait(lambda: bool(rows(database, sleeping)), window.screen)
    window.close()

    wait(lambda: not rows(database, sleeping), lambda: "the statement goes on without a terminal")
    closed = "SELECT status, error FROM housekeeper_runs"
    wait(lambda: rows(database, closed) == [("error", "interrupted")], lambda: str(rows(database, closed)))
    assert before == partition_names(database)


def test_ascii_is_one_word_on_the_command_line(database: str, tmp_path: Path) -> None:
    """Whatever the locale knows: nothing else is on the screen, in the dialogs neither."""
    add_partitions(database, days=range(-10, 1), rows_a_day=3)

    with opened(database, tmp_path, "--ascii") as window:
        window.shows("WARNING")
        screens = [window.screen()]
        window.press("m")
        window.shows("30 to create")
        screens.append(window.screen())

    assert [""] * 2 == ["".join(c for c in screen if not c.isascii()) for screen in screens]
