"""The command line: globals before and after the command, one sentence for each mistake, and who started a run."""

from __future__ import annotations

import io
import re
import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac import dispatch
from pgalmanac.arguments import Arguments, Help, command_of, parse
from pgalmanac.commands import COMMANDS, GLOBALS, HELP, OWN, WRITING, flag
from pgalmanac.config import load
from pgalmanac.errors import ConfigError, UsageError
from pgalmanac.log import Stderr
from pgalmanac.opening import settings_of


def read(line: str, **environ: str) -> Arguments:
    """Parse a command line as a shell would split it."""
    return parse(shlex.split(line), environ)


def usage(line: str, **environ: str) -> str:
    """Parse what must be a usage error, and return what it says."""
    with pytest.raises(UsageError) as caught:
        read(line, **environ)
    return str(caught.value)


def test_nothing_at_all_is_the_dashboard() -> None:
    """No command is no error: it means the dashboard, with everything at its default."""
    assert Arguments(command=None) == read("")


def test_globals_before_after_and_on_both_sides() -> None:
    """What argparse's subparsers lose: a global before the command, a repeated one on both sides, and a count."""
    actual = read("--table a -v --dsn x maintain --table b -v --json")

    assert actual == Arguments(command="maintain", tables=("a", "b"), dsn="x", verbose=2, json=True)


@pytest.mark.parametrize(("line", "glyphs"), [("--demo --ascii", "ascii"), ("--demo", "unicode")])
def test_ascii_beats_the_variable_of_its_setting(line: str, glyphs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every flag does; without it the variable counts."""
    monkeypatch.setenv("PGALMANAC_DASHBOARD_GLYPHS", "unicode")

    assert glyphs == settings_of(read(line), Stderr(io.StringIO())).dashboard.glyphs


GLOBAL_WORDS = [["--json"], ["-v"], ["--table", "a.b"], ["--dsn", "host=x y=z"], ["--read-only"], ["--config=f"]]
COMMAND_WORDS = [["--limit", "3"], ["--exact"]]


@given(st.permutations([*GLOBAL_WORDS, *COMMAND_WORDS]), st.data())
def test_where_a_global_stands_makes_no_difference(words: list[list[str]], data: st.DataObject) -> None:
    """Any order, and any side of the command for globals, means the same."""
    before = [w for w in words if w in GLOBAL_WORDS and data.draw(st.booleans())]
    after = [w for w in words if w not in before]
    actual = parse([w for words in (*before, ["status"], *after) for w in words], {})

    assert actual == Arguments(
        command="status",
        json=True,
        verbose=1,
        tables=("a.b",),
        dsn="host=x y=z",
        read_only=True,
        config="f",
        limit=3,
        exact=True,
    )


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("'maintian' is not a command: did you mean maintain?", "maintian"),
        ("'xyzzy' is not a command: the commands are maintain, check,", "xyzzy"),
        ("--headless needs a command: the commands are maintain,", "--headless"),
        ("maintain does not take --retntion-days: did you mean --retention-days?", "maintain --retntion-days 3"),
        ("maintain does not take --retention: did you mean --retention-days?", "maintain --retention 3"),
        ("maintain does not take extra: see pgalmanac maintain --help", "maintain extra"),
        ("check does not take --dry-run: see pgalmanac check --help", "check --dry-run"),
        ("--dry-run stands before the command: write it after, as in pgalmanac maintain", "--dry-run maintain"),
        ("--limit stands before the command: write it after, as in pgalmanac history --limit", "--limit 5 history"),
        ("--reason stands before the command: write it after, as in pgalmanac pin --reason", "--reason x pin y"),
        ("--dry-run stands before the command: write it after, as in pgalmanac drop --dry-run", "--dry-run drop x"),
        ("--limit stands before the command: write it after, as in pgalmanac status --limit", "--limit 5"),
        ("check does not take --limit: see pgalmanac check --help", "--limit 5 check"),
        ("check does not take --limit: see pgalmanac check --help", "--limit=5 check"),
        ("check does not take '': see pgalmanac check --help", "check ''"),
        ("--tabel is not an option of pgalmanac: did you mean --table?", "--tabel x maintain"),
        ("--dsn: expected one argument: see pgalmanac --help", "maintain --dsn"),
        ("--back: expected one argument: see pgalmanac fix --help", "fix --back"),
        ("--back is -1: write a whole number of days from 0 to 36500", "fix --back -1"),
        ('--limit is "abc": write a whole number from 1 to 1000000', "history --limit abc"),
        ("--limit is 0: write a whole", "status --limit 0"),
        ("--wait is 1000000: write a whole", "maintain --wait 1000000"),
        ('--triggered-by is "manul": did you mean manual?', "maintain --triggered-by manul"),
        ("the following arguments are required: PERIOD: see", "create"),
        ("drop does not take b: see", "drop a b"),
        ("--reset starts the demo over: write --demo --reset", "--reset maintain"),
        ("--demo brings a database of its own, and --dsn names another", "--demo --dsn x check"),
        ("drop writes, and --read-only forbids it: pgalmanac drop --dry-run", "--read-only drop x"),
        ("init writes, and --read-only forbids it", "--read-only init"),
        ("--json: ignored explicit argument", "check --json=yes"),
    ],
)
def test_each_mistake_has_its_sentence(expected: str, line: str) -> None:
    """A command line that cannot be obeyed is a usage error that names the word and the remedy."""
    actual = usage(line)

    assert actual.startswith(expected)


def test_negative_numbers_are_values_and_not_options() -> None:
    """`--retention-days -5` is a retention that config refuses, not an unknown option -5."""
    actual = read("maintain --retention-days -5 --max-drops=3")

    assert actual.policy == {"retention_days": "-5", "max_drops": "3"}
    with pytest.raises(UsageError, match="--retention-days is -5"):
        load(environ={}, flags=actual.policy, demo=True)


def test_after_two_dashes_nothing_is_an_option() -> None:
    """A partition whose name begins with dashes can be named."""
    assert read("drop --yes -- --json") == Arguments(command="drop", yes=True, target="--json")


@pytest.mark.parametrize("command", sorted(WRITING - {"init"}))
def test_read_only_lets_a_plan_be_shown(command: str) -> None:
    """With --read-only a writing command is refused, and its dry run is not."""
    target = " 2025" if COMMANDS[command].operand else ""

    assert "--read-only" in usage(f"--read-only {command}{target}")
    assert read(f"--read-only {command}{target} --dry-run").dry_run


def test_variables_stand_in_for_flags_and_flags_beat_them() -> None:
    """Every option has a variable; a flag goes before it, and an empty variable is none."""
    environ = {"PGALMANAC_LIMIT": "7", "PGALMANAC_JSON": "yes", "PGALMANAC_VERBOSE": "2", "PGALMANAC_READ_ONLY": "0"}

    assert read("history", **environ) == Arguments(command="history", limit=7, json=True, verbose=2)
    assert read("history --limit 3", **environ).limit == 3
    assert read("history", PGALMANAC_LIMIT="").limit is None


@pytest.mark.parametrize(
    ("name", "value"), [("LIMIT", "abc"), ("JSON", "perhaps"), ("TRIGGERED_BY", "me"), ("WAIT", "-1")]
)
def test_a_wrong_variable_is_a_configuration_error(name: str, value: str) -> None:
    """What the environment gets wrong is not the fault of who typed the command."""
    with pytest.raises(ConfigError, match=f"PGALMANAC_{name} is "):
        read("history", **{f"PGALMANAC_{name}": value})


def has_a_variable(option: str) -> bool:
    """Whether the option's variable counts, found out by giving it a value that nothing can be."""
    try:
        parse([], {f"PGALMANAC_{option.upper()}": "\ud800"})
    except ConfigError:
        return True
    return option not in {*OWN, "version"}  # the others are read by load


def test_help_names_every_option_and_its_variable() -> None:
    """Each command's help has its own options and the global ones, and the variable of each that has one."""
    with pytest.raises(Help) as caught:
        read("--help")
    main = str(caught.value)

    assert all(f"  {name} " in main for name in COMMANDS)
    for name, command in COMMANDS.items():
        with pytest.raises(Help) as caught:
            read(f"{name} --json --help")
        text = re.sub(r"\s+", " ", str(caught.value))
        for option in (*command.options, *GLOBALS):
            assert flag(option) in text
            assert has_a_variable(option) == (f" [PGALMANAC_{option.upper()}]" in text)


def test_help_wins_over_a_mistake() -> None:
    """Who asks for help gets it, though the rest of the line is wrong."""
    with pytest.raises(Help, match="usage: pgalmanac drop"):
        read("drop --nonsense --help")


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("check", "check --nonsense"),
        ("check", "--dsn check check"),
        ("check", "--json --table=check check"),
        ("drop", "drop check"),
        ("check", "--limit 5 check"),
        ("check", "--limit=5 check"),
        ("check", "--json --limit 5 check"),
        ("check", "--nonsense check"),
        ("check", "--nonsense x check"),
        ("check", "--tabel events check"),
        ("check", "-- check"),
        ("status", "--limit x status"),
        ("status", "--exact status check"),
        ("pin", "--reason check pin x"),
        ("chek", "chek check"),
        (None, "--limit 5"),
        (None, "--dsn"),
        (None, ""),
    ],
)
def test_the_command_is_known_even_when_the_line_is_wrong(expected: str | None, line: str) -> None:
    """Check has exit codes of its own, so a line that cannot be parsed must still say whether it was check's."""
    assert expected == command_of(shlex.split(line))


def test_the_connection_string_is_not_in_a_repr() -> None:
    """Arguments may end up in a traceback; the password that somebody typed does not."""
    assert "hunter2" not in repr(read("check --dsn password=hunter2"))


@given(
    st.lists(
        st.one_of(st.sampled_from([*COMMANDS, *map(flag, HELP), "-v", "--", "-5"]), st.text(max_size=6)), max_size=6
    )
)
def test_no_command_line_is_anything_but_arguments_help_or_a_sentence(words: list[str]) -> None:
    """Whatever is typed, the answer is not a traceback and not SystemExit."""
    with suppress(UsageError, Help):
        parse(words, {})


class TestTriggeredBy:
    """Who is recorded as having started a run."""

    @pytest.fixture(autouse=True)
    def _surroundings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No terminal, no systemd, and a machine that has been up for a day."""
        monkeypatch.setattr("sys.stdin", io.StringIO())
        monkeypatch.setattr("time.clock_gettime", lambda _: 86_400.0)
        for name in ("INVOCATION_ID", "TRIGGER_UNIT"):
            monkeypatch.delenv(name, raising=False)

    def test_manual_unless_systemd_says_otherwise(self) -> None:
        """Without systemd's variables, and for a service that no timer triggered, it is somebody's hand."""
        assert dispatch._trigger(Arguments(command="maintain")) == "manual"

    def test_scheduler_when_a_timer_triggered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A timer's service knows its timer."""
        monkeypatch.setenv("INVOCATION_ID", "1")
        assert dispatch._trigger(Arguments(command="maintain")) == "manual"

        monkeypatch.setenv("TRIGGER_UNIT", "pgalmanac.timer")
        assert dispatch._trigger(Arguments(command="maintain")) == "scheduler"

    def test_startup_within_minutes_of_boot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At boot the timer triggers too, but the reason is the boot; a person's shell at that time is a person."""
        monkeypatch.setenv("INVOCATION_ID", "1")
        monkeypatch.setenv("TRIGGER_UNIT", "pgalmanac.timer")
        monkeypatch.setattr("time.clock_gettime", lambda _: 60.0)
        assert dispatch._trigger(Arguments(command="maintain")) == "startup"

        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        assert dispatch._trigger(Arguments(command="maintain")) == "manual"

    def test_a_flag_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who says who it was is believed."""
        monkeypatch.setenv("INVOCATION_ID", "1")
        monkeypatch.setenv("TRIGGER_UNIT", "pgalmanac.timer")
        assert dispatch._trigger(Arguments(command="maintain", triggered_by="manual")) == "manual"
