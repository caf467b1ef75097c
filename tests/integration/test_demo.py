"""The demo: what it is filled with, and the life of its server."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from pgalmanac.demo import demo_server
from pgalmanac.demo_data import FUTURE_STRAYS, GAP_STRAYS, fill, rows_a_day
from pgalmanac.errors import BusyError, ConfigError, ServerError
from support import connect, partition_names, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

NOW = datetime(2025, 11, 2, 15, 30, tzinfo=UTC)  # a Sunday
TODAY = NOW.date()
GAP = date(2025, 9, 22)
INCIDENT = date(2025, 10, 16)  # 17 days before, a Thursday
EVENTS = 20_000


def ignore(_message: str, _share: float) -> None:
    """Take no notice of progress."""


@pytest.fixture(scope="module")
def filled(new_database: Callable[..., AbstractContextManager[str]]) -> Generator[str]:
    """Give a database that was filled at NOW, for tests that only look."""
    with new_database() as conninfo:
        with connect(conninfo) as connection:
            fill(connection, now=NOW, events=EVENTS, tell=ignore)
        yield conninfo


def test_there_is_a_partition_for_each_day_but_one(filled: str) -> None:
    """120 days back, 4 days of runway, one gap inside the retention of 90 days, and a default partition."""
    days = [TODAY + timedelta(days=n) for n in range(-120, 5)]
    expected = [f"events_{day:%Y_%m_%d}" for day in days if day != GAP]

    assert [*expected, "events_default"] == partition_names(filled)


def test_the_second_table_is_monthly(filled: str) -> None:
    """This month and the four before it, and none for the next, so that a first run has one to make."""
    expected = [f"device_logs_2025_{month:02}" for month in range(7, 12)]

    assert expected == partition_names(filled, "device_logs")
    assert 0 == sum(count for (count,) in rows(filled, "SELECT count(*) FROM device_logs WHERE logged_at >= %s", NOW))


def test_the_rows_are_about_as_many_as_asked_for(filled: str) -> None:
    """Both tables together; today is not over, hence a little fewer."""
    ((count,),) = rows(filled, "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM device_logs)")

    assert EVENTS * 0.97 < count < EVENTS * 1.01


def test_the_strays_wait_for_partitions_that_maintain_will_make(filled: str) -> None:
    """The gap's and the first day's after the runway, so that a first run has rows to move and none stay behind."""
    found = rows(filled, 'SELECT "timestamp"::date, count(*) FROM events_default GROUP BY 1 ORDER BY 1')

    assert [(GAP, GAP_STRAYS), (TODAY + timedelta(days=5), FUTURE_STRAYS)] == found


def test_the_week_has_a_rhythm_and_one_day_an_incident(filled: str) -> None:
    """Weekends are quiet, the nights too, and the incident has ten times a working day's events, failed payments."""
    days = dict(rows(filled, 'SELECT "timestamp"::date, count(*) FROM events GROUP BY 1'))
    usual = [n for day, n in days.items() if day.weekday() < 5 and day < TODAY and day not in {GAP, INCIDENT}]
    weekend = [n for day, n in days.items() if day.weekday() >= 5 and day < TODAY]
    working_day = sum(usual) / len(usual)
    hours = dict(rows(filled, 'SELECT extract(hour FROM "timestamp")::int, count(*) FROM events GROUP BY 1'))

    assert max(weekend) < min(usual)
    assert 9.5 < days[INCIDENT] / working_day < 10.5
    assert hours[3] * 5 < hours[11]
    assert "payment.failed" == most_frequent(filled, INCIDENT)
    assert "payment.failed" != most_frequent(filled, INCIDENT - timedelta(days=1))


def most_frequent(conninfo: str, day: date) -> str:
    """Return the most frequent event type of *day*."""
    query = 'SELECT event_type FROM events WHERE "timestamp"::date = %s GROUP BY 1 ORDER BY count(*) DESC LIMIT 1'
    return str(rows(conninfo, query, day)[0][0])


def test_nothing_is_dated_after_now_but_the_strays(filled: str) -> None:
    """A believable table does not know the afternoon before it came."""
    late = rows(filled, 'SELECT "timestamp" FROM events WHERE "timestamp" >= %s', NOW.replace(tzinfo=None))

    assert {TODAY + timedelta(days=5)} == {moment.date() for (moment,) in late}


def test_ids_grow_with_time_and_no_row_is_there_twice(filled: str) -> None:
    """As in a table that was filled by living, and unlike one that was filled by a script."""
    ((misplaced, events, identities),) = rows(
        filled,
        "SELECT count(*) FILTER (WHERE before > id), count(*), count(DISTINCT event_id)"
        ' FROM (SELECT id, event_id, lag(id) OVER (ORDER BY "timestamp") AS before FROM events'
        " WHERE tableoid <> 'events_default'::regclass) e",
    )

    assert 0 == misplaced
    assert events == identities


def test_the_server_knows_estimates_and_no_index_is_missing(filled: str) -> None:
    """Statistics are gathered before the first look, and ATTACH made all seven indexes of each partition."""
    ((unknown, unindexed),) = rows(
        filled,
        "SELECT count(*) FILTER (WHERE reltuples < 0), count(*) FILTER (WHERE 7 <>"
        " (SELECT count(*) FROM pg_index WHERE indrelid = c.oid AND indisvalid))"
        " FROM pg_class c WHERE relname LIKE 'events\\_20%' AND relkind = 'r'".replace("%", "%%"),
    )

    assert (0, 0) == (unknown, unindexed)


def test_the_same_day_gives_the_same_rows(empty_database: str, filled: str) -> None:
    """Screenshots and tests can be compared, since only today depends on the time of the day."""
    with connect(empty_database) as connection:
        fill(connection, now=NOW + timedelta(hours=3), events=EVENTS, tell=ignore)
    # Without the id, which the rows of a longer today push forward in the default partition, filled last.
    query = "SELECT md5(string_agg(e::text, '' ORDER BY e)) FROM (SELECT to_jsonb(events) - 'id' AS e FROM events"
    query += ' WHERE "timestamp" < %s) all_but_today'

    assert rows(filled, query, TODAY) == rows(empty_database, query, TODAY)


def test_progress_only_grows_and_ends_at_one(empty_database: str) -> None:
    """What a progress bar needs."""
    seen: list[float] = []
    with connect(empty_database) as connection:
        fill(connection, now=NOW, events=1000, tell=lambda _message, share: seen.append(share))

    assert sorted(seen) == seen
    assert (0.0, 1.0) == (seen[0], seen[-1])


@pytest.mark.parametrize("today", [TODAY + timedelta(days=n) for n in range(7)])
def test_the_incident_is_on_a_working_day(today: date) -> None:
    """Whatever day the demo is made on: ten times a quiet Sunday would not stand out."""
    most = Counter(rows_a_day(today, 1_000_000)).most_common(2)

    assert most[0][0].weekday() < 5
    assert most[0][1] > 8 * most[1][1]


@pytest.mark.usefixtures("demo_home")
def test_it_survives_between_commands_and_stops_with_the_last() -> None:
    """What one command changed the next one finds, and between them nothing runs."""
    with demo_server() as first:
        with demo_server() as second, psycopg.connect(second, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept ()")
        kept_by_first = rows(first, "SELECT to_regclass('kept')::text")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first)
    with demo_server() as third:
        kept = rows(third, "SELECT to_regclass('kept')::text")

    assert [("kept",)] == kept_by_first == kept


@pytest.mark.usefixtures("demo_home")
def test_reset_starts_over() -> None:
    """What a visitor did is gone, and the rows are back."""
    with demo_server() as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("DROP TABLE events")
    with demo_server(reset=True, events=1000) as conninfo:
        count = len(partition_names(conninfo))

    assert 125 == count


@pytest.mark.usefixtures("demo_home")
def test_reset_is_refused_while_another_command_uses_it() -> None:
    """A dashboard that is open elsewhere keeps its database."""
    with demo_server() as conninfo:
        with pytest.raises(BusyError, match="in use by another command"), demo_server(reset=True):
            pytest.fail("was let in")
        count = len(partition_names(conninfo))

    assert 125 == count


def test_an_interrupted_filling_starts_over(
    open_path: Path, pg_binaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C halfway leaves no half demo behind, and no server."""
    monkeypatch.setenv("PGBIN", str(pg_binaries))

    def interrupt(message: str, _share: float) -> None:
        if message.startswith("filling device_logs"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), demo_server(home=open_path, events=1000, progress=interrupt):
        pytest.fail("was let in")
    with demo_server(home=open_path, events=1000) as conninfo:
        count = len(partition_names(conninfo))

    assert 125 == count


@pytest.mark.usefixtures("demo_home")
def test_a_killed_command_leaves_a_server_that_the_next_one_stops() -> None:
    """Nobody has to look for a forgotten server."""
    killed = (
        "import os, signal\n"
        "from pgalmanac.demo import demo_server\n"
        "with demo_server():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", killed], check=False)
    with demo_server() as conninfo:
        count = len(partition_names(conninfo))

    assert 125 == count
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(conninfo)


def test_a_folder_that_cannot_be_made_is_named(open_path: Path) -> None:
    """The sentence says which, and how to choose another."""
    (open_path / "file").touch()

    with (
        pytest.raises(ConfigError, match=f"{open_path}/file/.* cannot be made: .*PGALMANAC_DEMO_DIR"),
        demo_server(home=open_path / "file"),
    ):
        pytest.fail("was let in")


def test_a_filling_that_fails_is_said_and_leaves_no_server(
    open_path: Path, pg_binaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, for example: an error of ours with the server's words, and the next command starts over."""
    monkeypatch.setenv("PGBIN", str(pg_binaries))

    def fail(connection: psycopg.Connection, **_: object) -> None:
        connection.execute("SELECT 1 / 0")

    with monkeypatch.context() as broken:
        broken.setattr("pgalmanac.demo.fill", fail)
        with pytest.raises(ServerError, match="could not be filled: division by zero"), demo_server(home=open_path):
            pytest.fail("was let in")
    with demo_server(home=open_path, events=1000) as conninfo:
        count = len(partition_names(conninfo))

    assert 125 == count
