"""Maintenance that dies at a random statement, some hundred times, and what the next run makes of it.

A proxy cuts every connection of the run at a statement chosen by a seed, before or after the server has it: for the
server that is a client killed by SIGKILL. The same seed gives the same crash, but for the order of an action's record
and the first statement of the next action, which are under way together. PGALMANAC_CRASH_SEED shifts all seeds.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest

from integration.faults.proxy import Proxy
from pgalmanac.errors import PgalmanacError
from pgalmanac.inspection import Request
from pgalmanac.maintain import perform
from support import leave_pending, rows
from under_fire import Shape, create_log, execute, log_partition, maintain, midnight, settings, shape, todo

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from pgalmanac.pgserver import Cluster
    from pgalmanac.results import RunReport

MAINTAIN: Final = Request(command="maintain")
# How long a killed client's backend may hold the advisory lock: client_connection_check_interval is half a second.
PATIENCE_SECONDS: Final = 20
# Retention is five days: what is older goes with its partition.
KEPT: Final = f"SELECT id, ts, note FROM log WHERE ts >= '{midnight(-5)}' ORDER BY id, ts"
EXPIRED: Final = f"SELECT id, ts, note FROM log WHERE ts < '{midnight(-5)}'"
SHIFT: Final = int(os.environ.get("PGALMANAC_CRASH_SEED", "0"))


def _plain(conninfo: str) -> None:
    """Expired partitions, a gap, no tomorrow: drops detach concurrently."""
    create_log(conninfo, days=(-9, -8, -7, -3, -1, 0), rows_a_day=20)


def _default(conninfo: str) -> None:
    """The same with a default partition, which has rows for the gap, for tomorrow and for a day past retention."""
    create_log(conninfo, days=(-9, -8, -3, -1, 0), rows_a_day=20, default=True)
    for number, day in enumerate((-30, -2, 1, 1, 2)):
        execute(conninfo, f"INSERT INTO log VALUES ({number}, '{midnight(day) + timedelta(hours=number)}')")


def _referenced(conninfo: str) -> None:
    """A foreign key refers to the table, and one row of it to an expired partition, which has to stay."""
    create_log(conninfo, days=(-9, -8, -7, 0), rows_a_day=20)
    execute(
        conninfo,
        "CREATE TABLE referring (id bigint, ts timestamptz, FOREIGN KEY (id, ts) REFERENCES log)",
        f"INSERT INTO referring SELECT id, ts FROM log WHERE ts < '{midnight(-8)}' LIMIT 1",
    )


def _pending(conninfo: str) -> None:
    """Somebody's concurrent detach was given up in its second half, and an expired partition waits besides."""
    create_log(conninfo, days=(-9, -8, -2, 0), rows_a_day=20)
    leave_pending(conninfo, f"log_{midnight(-2):%Y_%m_%d}", parent="log")


def _many_things(conninfo: str) -> None:
    """Row security, grants, a trigger and a foreign key of its own: a creation of many statements."""
    execute(conninfo, "CREATE TABLE kind (note text PRIMARY KEY)", "INSERT INTO kind VALUES ('n')")
    create_log(conninfo, days=(0,), rows_a_day=20)
    execute(
        conninfo,
        "ALTER TABLE log ADD FOREIGN KEY (note) REFERENCES kind",
        "ALTER TABLE log ALTER COLUMN note SET STATISTICS 500",
        "CREATE POLICY own ON log USING (id > 0)",
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER t BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION nothing()",
    )
    log_partition(conninfo, -9, rows_a_day=20)


SCENARIOS: Final[dict[str, Callable[[str], None]]] = {
    "plain": _plain,
    "default": _default,
    "referenced": _referenced,
    "pending": _pending,
    "many_things": _many_things,
}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A template database, the number of statements of a whole run on it, and the end that every run must reach."""

    template: str
    statements: int
    end: Shape


@pytest.fixture(scope="module")
def scenarios(
    server: Cluster, new_database: Callable[..., AbstractContextManager[str]]
) -> Generator[Callable[[str], Scenario]]:
    """Give a function that makes each scenario once, with the end that an undisturbed run reaches."""
    made: dict[str, Scenario] = {}
    with ExitStack() as stack:

        def make(name: str) -> Scenario:
            if name not in made:
                conninfo = stack.enter_context(new_database())
                SCENARIOS[name](conninfo)
                template = _database(conninfo)
                with new_database(template=template) as copy, Proxy(server.sockets) as proxy:
                    kept, expired = rows(copy, KEPT), set(rows(copy, EXPIRED))
                    report = maintain(proxy.conninfo(copy))
                    # The end that every other run is held against: nothing is lost in it, or left half done.
                    assert kept == rows(copy, KEPT)
                    assert set(rows(copy, EXPIRED)) <= expired
                    assert rows(copy, "SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == [(0,)]
                    assert report.exit_code == 0
                    assert todo(copy) == []
                    made[name] = Scenario(template=template, statements=proxy.count, end=shape(copy))
            return made[name]

        yield make


def _database(conninfo: str) -> str:
    return str(rows(conninfo, "SELECT current_database()")[0][0])


def _crash(server: Cluster, conninfo: str, random: Random, statements: int) -> dict[str, Any]:
    """Run maintenance and kill it at a random statement; say where that was."""
    at, deliver = random.randint(1, statements), random.random() < 0.5  # a coin
    with Proxy(server.sockets, at=at, deliver=deliver) as proxy:
        with suppress(PgalmanacError):
            asyncio.run(perform(settings(proxy.conninfo(conninfo)), MAINTAIN))
        return {"at": at, "deliver": deliver, "reached": proxy.broken.is_set()}


def _next_run(conninfo: str) -> RunReport:
    """The next run, which may have to wait until the server has noticed that the last one is dead."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        report = maintain(conninfo)
        if not any(t.locked for t in report.tables) or time.monotonic() > end:
            return report
        time.sleep(0.05)


def _succeeded_only_when_done(conninfo: str, where: str) -> None:
    """A killed run stands in the history as a success only if all that was missing was its farewell."""
    ((there,),) = rows(conninfo, "SELECT to_regclass('housekeeper_runs') IS NOT NULL")
    if there and rows(conninfo, "SELECT status FROM housekeeper_runs ORDER BY id DESC LIMIT 1") == [("success",)]:
        assert todo(conninfo) == [], where


def _crash_and_converge(
    server: Cluster,
    scenarios: Callable[[str], Scenario],
    new_database: Callable[..., AbstractContextManager[str]],
    seed: int,
) -> None:
    random = Random(seed)  # noqa: S311  # reproducible, not secret
    name = random.choice(list(SCENARIOS))
    scenario = scenarios(name)
    with new_database(template=scenario.template) as conninfo:
        crashes = [_crash(server, conninfo, random, scenario.statements) for _ in range(random.choice((1, 1, 1, 2, 3)))]
        where = f"seed {seed}, {name}, {crashes}"
        _converges(conninfo, scenario.end, where, runs=1 + len(crashes))


def _converges(conninfo: str, end: Shape, where: str, *, runs: int) -> None:
    """The next run reaches the end that an undisturbed one reaches, and closes what was left open in the history."""
    _succeeded_only_when_done(conninfo, where)
    report = _next_run(conninfo)

    assert report.exit_code == 0, f"{where}: {[o.error for t in report.tables for o in t.outcomes if o.error]}"
    assert todo(conninfo) == [], where
    assert end == shape(conninfo), where
    statuses = [s for (s,) in rows(conninfo, "SELECT status FROM housekeeper_runs ORDER BY id")]
    assert "running" not in statuses, where
    assert statuses[-1] == "success", where
    assert len(statuses) <= runs, where


LEFT: Final = "SELECT count(*) FROM pg_class WHERE relname LIKE 'log%' AND relkind = 'r' AND NOT relispartition"
# The last statements of a run that detaches two partitions concurrently: both drops, and its farewell.
LAST: Final = 24


@pytest.mark.parametrize("deliver", [True, False])
def test_the_next_run_completes_concurrent_drops_cut_off_at_each_statement(
    server: Cluster,
    scenarios: Callable[[str], Scenario],
    new_database: Callable[..., AbstractContextManager[str]],
    deliver: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """At random few points lie between a DETACH and its DROP, where a table is in nobody's sight: here all do."""
    scenario, left = scenarios("plain"), 0
    for at in range(scenario.statements - LAST, scenario.statements + 1):
        with new_database(template=scenario.template) as conninfo:
            with Proxy(server.sockets, at=at, deliver=deliver) as proxy, suppress(PgalmanacError):
                asyncio.run(perform(settings(proxy.conninfo(conninfo)), MAINTAIN))
            left += rows(conninfo, LEFT)[0][0] > 0
            _converges(conninfo, scenario.end, f"at {at}, deliver {deliver}", runs=2)

    assert left > 0, "no point was between a DETACH and its DROP"


@pytest.mark.parametrize("chunk", range(10))
def test_the_next_run_completes_a_run_killed_at_any_statement(
    server: Cluster,
    scenarios: Callable[[str], Scenario],
    new_database: Callable[..., AbstractContextManager[str]],
    chunk: int,
) -> None:
    """50 crash points: the next run reaches the end that an undisturbed one reaches, down to every row and relation."""
    for number in range(5):
        _crash_and_converge(server, scenarios, new_database, SHIFT + chunk * 5 + number)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(10))
def test_the_next_run_completes_a_run_killed_at_one_of_500_statements(
    server: Cluster,
    scenarios: Callable[[str], Scenario],
    new_database: Callable[..., AbstractContextManager[str]],
    chunk: int,
) -> None:
    """The same for 500 other seeds."""
    for number in range(50):
        _crash_and_converge(server, scenarios, new_database, SHIFT + 1000 + chunk * 50 + number)
