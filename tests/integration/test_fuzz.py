"""Random operations on a real table, random configurations, random command lines: the promise holds after each.

The state machine keeps a model of every row that was confirmed. After each step: no row is lost or doubled but those of
partitions that somebody dropped or that were past retention, and a run that is let to finish leaves nothing to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from integration.faults.proxy import Proxy
from pgalmanac.bounds import parse_bounds
from pgalmanac.cli import main
from pgalmanac.errors import PgalmanacError
from pgalmanac.inspection import Request
from pgalmanac.maintain import perform
from pgalmanac.model import Bounds
from support import connect, rows
from under_fire import create_log, maintain, midnight, todo
from under_fire import settings as make_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pgalmanac.pgserver import Cluster

RETENTION: Final = 5
DAYS: Final = strategies.integers(-9, 6)
# What the command line says of its exit codes; check has its own.
CODES: Final = frozenset({0, 1, 64, 69, 75, 77, 78})
CHECK_CODES: Final = frozenset({0, 1, 2, 3})


class Table(RuleBasedStateMachine):
    """One partitioned table in the hands of several people, one of whom is pgalmanac."""

    new_database: ClassVar[Callable[..., AbstractContextManager[str]]]
    server: ClassVar[Cluster]

    def __init__(self) -> None:
        """Make the table."""
        super().__init__()
        self.stack = ExitStack()
        self.conninfo = self.stack.enter_context(type(self).new_database())
        self.rows: dict[int, int] = {}
        self.detached: dict[str, int] = {}
        self.number = 0
        self.foreign_pending: set[str] = set()

    def teardown(self) -> None:
        """Let the next run finish, see that it leaves nothing to do and loses nothing, and drop the database."""
        try:
            self.maintenance_finishes()
            self.nothing_is_lost_or_doubled()
        finally:
            self.stack.close()

    @initialize(days=strategies.sets(DAYS, max_size=6), default=strategies.booleans())
    def begin(self, days: set[int], default: bool) -> None:  # noqa: FBT001  # hypothesis passes it by name
        """Start with some days, and a row of every day that finds a place: each event has something to lose."""
        create_log(self.conninfo, days=sorted({-RETENTION, *days}), default=default)
        for day in range(-9, 7):
            self.insert(day, 12)

    def _try(self, *statements: str) -> bool:
        """Run what a person might run; what the server refuses has not happened."""
        try:
            with connect(self.conninfo) as connection:
                connection.execute(b"SET lock_timeout = '2s'")
                for statement in statements:
                    connection.execute(statement.encode())
        except psycopg.Error:
            return False
        return True

    @staticmethod
    def _name(day: int) -> str:
        return f"log_{midnight(day):%Y_%m_%d}"

    @rule(day=DAYS, hour=strategies.integers(0, 23))
    def insert(self, day: int, hour: int) -> None:
        """An application inserts a row."""
        self.number += 1
        moment = midnight(day) + timedelta(hours=hour)
        if self._try(f"INSERT INTO log VALUES ({self.number}, '{moment}')"):
            self.rows[self.number] = day

    @rule(day=DAYS)
    def attach_by_hand(self, day: int) -> None:
        """Somebody makes a partition."""
        self._try(
            f"CREATE TABLE {self._name(day)} PARTITION OF log FOR VALUES FROM ('{midnight(day)}') TO"
            f" ('{midnight(day + 1)}')"
        )

    @rule(day=DAYS)
    def drop_by_hand(self, day: int) -> None:
        """Somebody drops one."""
        if self._attached(day) and self._try(f"DROP TABLE {self._name(day)}"):
            self._forget(day)

    @rule(day=DAYS)
    def detach_by_hand(self, day: int) -> None:
        """Somebody detaches one and keeps it under another name: its rows are out of the table, not lost."""
        if not self._attached(day):
            return
        self.number += 1
        kept = f"kept_{self.number}"
        count = rows(self.conninfo, f"SELECT count(*) FROM {self._name(day)}")[0][0]
        if self._try(f"ALTER TABLE log DETACH PARTITION {self._name(day)}"):
            assert self._try(f"ALTER TABLE {self._name(day)} RENAME TO {kept}")
            self.detached[kept] = int(count)
            self._forget(day)

    @rule(day=DAYS)
    def detach_left_pending(self, day: int) -> None:
        """Somebody's concurrent detach is given up in its second half."""
        if not self._attached(day) or self._pending():
            return
        with connect(self.conninfo) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM log")
            count = rows(self.conninfo, f"SELECT count(*) FROM {self._name(day)}")[0][0]
            self._try("SET statement_timeout = 60", f"ALTER TABLE log DETACH PARTITION {self._name(day)} CONCURRENTLY")
        if self._pending():
            # pgalmanac finishes it and keeps the table: its rows are nobody's to drop.
            self.detached[self._name(day)] = int(count)
            self._forget(day)

    @rule(on=strategies.booleans())
    def default(self, on: bool) -> None:  # noqa: FBT001  # hypothesis passes it by name
        """The default partition comes, or goes when it is empty."""
        if on:
            self._try("CREATE TABLE log_default PARTITION OF log DEFAULT")
        elif rows(self.conninfo, "SELECT to_regclass('log_default') IS NOT NULL") == [(True,)] and rows(
            self.conninfo, "SELECT count(*) FROM log_default"
        ) == [(0,)]:
            self._try("DROP TABLE log_default")

    @rule(at=strategies.integers(1, 90), deliver=strategies.booleans())
    def maintenance_is_killed(self, at: int, deliver: bool) -> None:  # noqa: FBT001  # hypothesis passes it by name
        """A run dies at some statement; expired partitions may be gone, nothing else."""
        with Proxy(type(self).server.sockets, at=at, deliver=deliver) as proxy, suppress(PgalmanacError):
            asyncio.run(perform(make_settings(proxy.conninfo(self.conninfo), "log"), Request(command="maintain")))
        self._expire(certainly=False)

    @rule()
    def maintenance_finishes(self) -> None:
        """A run is let to finish: it succeeds, or says what a human has to decide, and leaves nothing to do."""
        report = maintain(self.conninfo)
        while any(t.locked for t in report.tables):  # until the server has noticed that the last run is dead
            report = maintain(self.conninfo)
        left = {o.error for t in report.tables for o in t.outcomes if o.error}
        # A table that was detached keeps its name: the period is refused until somebody decides.
        assert report.exit_code == 0 or all("taken" in str(e) for e in left), left
        assert todo(self.conninfo) == []
        assert not self._pending()
        assert rows(self.conninfo, "SELECT count(*) FROM housekeeper_runs WHERE status = 'running'") == [(0,)]
        self._expire(certainly=True)

    def _expire(self, *, certainly: bool) -> None:
        """Rows past retention may be gone with their partition, and then all of the day's are."""
        there = {i for (i,) in rows(self.conninfo, "SELECT id FROM log")}
        for day in range(-9, -RETENTION):
            of_day = {n for n, d in self.rows.items() if d == day}
            if of_day and not of_day & there:
                self._forget(day)
            elif certainly and of_day:
                # Only in the default partition, which is not for pgalmanac to empty, may an expired row remain.
                default = {i for (i,) in rows(self.conninfo, "SELECT id FROM ONLY log_default")}
                for number in of_day - default:
                    assert number not in there
                    self.rows.pop(number)

    def _forget(self, day: int) -> None:
        """The rows of that day's partition left with it; those in the default partition stayed."""
        there = {i for (i,) in rows(self.conninfo, "SELECT id FROM log")}
        for number in [n for n, d in self.rows.items() if d == day and n not in there]:
            self.rows.pop(number)

    def _attached(self, day: int) -> bool:
        query = (
            "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            f" WHERE NOT inhdetachpending AND inhparent = 'log'::regclass AND relname = '{self._name(day)}'"
        )
        return bool(rows(self.conninfo, query)[0][0])

    def _pending(self) -> bool:
        return bool(rows(self.conninfo, "SELECT count(*) FROM pg_inherits WHERE inhdetachpending")[0][0])

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """Every confirmed row is there once, and what was detached by hand still has its rows."""
        if rows(self.conninfo, "SELECT to_regclass('log') IS NULL")[0][0]:
            return
        found = [i for (i,) in rows(self.conninfo, "SELECT id FROM log")]
        assert sorted(self.rows) == sorted(found)
        for name, count in self.detached.items():
            assert rows(self.conninfo, f"SELECT count(*) FROM {name}") == [(count,)], name


def _machine(
    server: Cluster, new_database: Callable[..., AbstractContextManager[str]], *, examples: int, steps: int
) -> None:
    machine = type("Machine", (Table,), {"new_database": staticmethod(new_database), "server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate, Phase.shrink)
            if examples > 50
            else (Phase.explicit, Phase.generate),
        ),
    )


def test_any_sequence_of_events(server: Cluster, new_database: Callable[..., AbstractContextManager[str]]) -> None:
    """Some sequences of up to a dozen events; the promise holds after each event."""
    _machine(server, new_database, examples=8, steps=12)


@pytest.mark.slow
def test_many_sequences_of_events(server: Cluster, new_database: Callable[..., AbstractContextManager[str]]) -> None:
    """The same with more and longer ones."""
    _machine(server, new_database, examples=150, steps=25)


WORDS: Final = strategies.sampled_from(
    [
        *("maintain", "check", "fix", "status", "history", "create", "drop", "init", "doctor", "schedule"),
        *("--json", "--dry-run", "--read-only", "--headless", "--table", "--dsn", "--config", "-v", "-vv", "--exact"),
        *("--retention-days", "--premake-days", "--interval", "--timezone", "--max-drops", "--back", "--ahead"),
        *("--limit", "--run", "--yes", "--version", "--help", "--", "-", "--=", "--table=", "--wait"),
        *(
            "0",
            "-1",
            "90",
            "forever",
            "daily",
            "Europe/Berlin",
            "../../etc/passwd",
            "log",
            '"',
            "a.b.c",
            "\0",
            "2025-11-02",
        ),
        *("2025-11-02..2025-11-01", "2025-02-30", "9999-12-31", "0000", "2025-W54", "host=", "postgres://:@/", "é", ""),
    ]
)
FILES: Final = strategies.recursive(
    strategies.one_of(
        strategies.none(),
        strategies.booleans(),
        strategies.integers(-(2**70), 2**70),
        strategies.floats(),
        strategies.text(max_size=12),
        strategies.sampled_from(["daily", "forever", "UTC", "log", "public.log", "", "Mars/Olympus"]),
    ),
    lambda inner: strategies.one_of(
        strategies.lists(inner, max_size=3),
        strategies.dictionaries(
            strategies.sampled_from(["name", "dsn", "label", "retention_days", "premake_days", "table", "interval"])
            | strategies.text(min_size=1, max_size=6),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
SECTIONS: Final = strategies.dictionaries(
    strategies.sampled_from(["connection", "defaults", "tables", "history"]) | strategies.text(max_size=8), FILES
)


@pytest.fixture
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of this machine, and no server: what reaches one finds none."""
    for name in os.environ:
        if name.startswith(("PG", "EVENTS_", "LOG_")):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PGHOST", str(tmp_path))
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "1")
    monkeypatch.chdir(tmp_path)


def _run(words: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, out.getvalue(), err.getvalue()


def _proper(words: list[str]) -> None:
    code, out, err = _run(words)
    allowed = CODES | CHECK_CODES if "check" in words else CODES

    assert code in allowed, (words, code, err)
    assert "Traceback" not in out + err, words
    assert "internal error (" not in out + err, words


@pytest.mark.usefixtures("_no_environment")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(words=strategies.lists(WORDS | strategies.text(max_size=8), max_size=7))
def test_any_command_line_ends_in_a_code_of_the_table(words: list[str]) -> None:
    """Whatever is typed: an exit code that is documented, never a traceback or an internal error."""
    if "--wait" in words or "--demo" in words:
        return
    # Alone, without a command, it would open the dashboard.
    _proper(["--headless", *words])


def _toml(value: object) -> Iterator[str]:
    """A TOML document of nested values, valid or not, as a hand might write it."""
    if isinstance(value, dict):
        yield "{" + ", ".join(f"{_key(k)} = {''.join(_toml(v))}" for k, v in value.items()) + "}"
    elif isinstance(value, list):
        yield "[" + ", ".join("".join(_toml(v)) for v in value) + "]"
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, str):
        yield _key(value)
    else:
        yield str(value)


def _key(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.usefixtures("_no_environment")
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(sections=SECTIONS, garbage=strategies.binary(max_size=10) | strategies.just(b""))
def test_any_configuration_ends_in_a_code_of_the_table(sections: dict[str, Any], garbage: bytes) -> None:
    """Whatever a file holds, also bytes that are no text: a documented exit code and a sentence."""
    text = "\n".join(f"{_key(k)} = {''.join(_toml(v))}" for k, v in sections.items())
    Path("fuzz.toml").write_bytes(text.encode("utf-8", "surrogatepass") + garbage)

    _proper(["maintain", "--config", "fuzz.toml", "--dry-run"])
    _proper(["check", "--config", "fuzz.toml", "--json"])


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(text=strategies.text(max_size=80) | strategies.from_regex(r"FOR VALUES FROM \(.{0,30}\) TO \(.{0,30}\)"))
def test_any_bounds_text_is_bounds_or_none(text: str) -> None:
    """What a server might print as bounds, and what it never would: a range of time or None, never an error."""
    found = parse_bounds(text)

    assert found is None or isinstance(found, Bounds)
