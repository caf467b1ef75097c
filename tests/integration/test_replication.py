"""Publications and a real subscriber: it has the same rows before and after maintenance, and goes on receiving."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import pytest

from pgalmanac.actions import ActionKind, Status
from pgalmanac.beginning import initialise
from pgalmanac.pgserver import temporary_cluster
from support import connect, rows
from under_fire import LOG_TABLE, create_log, execute, log_partition, maintain, midnight, settings, todo

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pgalmanac.pgserver import Cluster

CONTENT: Final = "SELECT id, ts, note FROM log WHERE ts >= '{since}' ORDER BY id"
SETTINGS: Final = {"wal_level": "logical", "fsync": "off", "max_wal_senders": "10", "autovacuum": "off"}


@pytest.fixture(scope="module")
def pair(pg_binaries: Path) -> Generator[Cluster]:
    """Give a server with logical decoding; publisher and subscriber are two databases of it."""
    with temporary_cluster(binaries=pg_binaries, settings=SETTINGS) as cluster:
        yield cluster


@pytest.fixture
def publisher(pair: Cluster) -> Generator[str]:
    """Give a database that publishes."""
    yield from _database(pair, "publisher")


@pytest.fixture
def subscriber(pair: Cluster) -> Generator[str]:
    """Give a database that subscribes, with a table `log` that keeps every row in one partition."""
    for conninfo in _database(pair, "subscriber"):
        execute(conninfo, LOG_TABLE, "CREATE TABLE log_all PARTITION OF log DEFAULT")
        # A publication of all tables carries the history too, and a subscriber stops at a table that it does not have.
        asyncio.run(initialise(settings(conninfo)))
        yield conninfo
        execute(
            conninfo,
            "ALTER SUBSCRIPTION s DISABLE",
            "ALTER SUBSCRIPTION s SET (slot_name = NONE)",
            "DROP SUBSCRIPTION s",
        )


def _database(cluster: Cluster, name: str) -> Generator[str]:
    with connect(cluster.conninfo()) as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"  # of a test before
        )
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield cluster.conninfo(name)


def _subscribe(publisher: str, subscriber: str) -> None:
    # Both databases are one server's: the slot has to be made beforehand, or CREATE SUBSCRIPTION waits for itself.
    execute(publisher, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    execute(
        subscriber,
        f"CREATE SUBSCRIPTION s CONNECTION '{publisher.replace(chr(39), chr(39) * 2)}' PUBLICATION p"
        " WITH (create_slot = false, slot_name = 's', copy_data = true)",
    )


def _same(publisher: str, subscriber: str, since: int = -4) -> None:
    """Wait until both have the same rows of the days that are kept; fail when that does not come about."""
    query = CONTENT.format(since=midnight(since))
    end = time.monotonic() + 20
    expected = rows(publisher, query)
    while (found := rows(subscriber, query)) != expected and time.monotonic() < end:
        time.sleep(0.1)

    assert expected == found


@pytest.mark.parametrize("what", ["TABLE log", "ALL TABLES"])
def test_a_subscriber_keeps_the_rows_that_move(publisher: str, subscriber: str, what: str) -> None:
    """Published through the root: rows that move out of the default partition stay, and new ones keep coming."""
    create_log(publisher, days=(-9, -8, 0), rows_a_day=10, default=True)
    execute(publisher, f"CREATE PUBLICATION p FOR {what} WITH (publish_via_partition_root = true)")
    _subscribe(publisher, subscriber)
    for number, day in enumerate((1, 1, 2, 3, 60)):
        execute(publisher, f"INSERT INTO log VALUES ({number + 1}, '{midnight(day)}', 'stray')")
    _same(publisher, subscriber)

    report = maintain(publisher)
    execute(
        publisher,
        f"INSERT INTO log VALUES (900, '{midnight(1)}')",
        f"UPDATE log SET note = 'changed' WHERE ts = '{midnight(2)}'",
        f"DELETE FROM log WHERE ts = '{midnight(3)}'",
    )

    assert report.exit_code == 0, [o.error for o in report.tables[0].outcomes if o.error]
    assert report.tables[0].moved_rows == 4
    assert todo(publisher) == []
    _same(publisher, subscriber)


@pytest.mark.pg(">= 15")
def test_a_subscriber_to_inserts_alone_gets_no_row_twice(publisher: str, subscriber: str) -> None:
    """A publication of the table's inserts: a moved row was inserted once, and is not sent again."""
    create_log(publisher, days=(0,), rows_a_day=10, default=True)
    execute(publisher, "CREATE PUBLICATION p FOR TABLE log WITH (publish = 'insert', publish_via_partition_root)")
    _subscribe(publisher, subscriber)
    execute(publisher, f"INSERT INTO log VALUES (1, '{midnight(1)}', 'stray')")
    _same(publisher, subscriber)

    report = maintain(publisher)
    execute(publisher, f"INSERT INTO log VALUES (900, '{midnight(1)}')")

    assert report.exit_code == 0
    assert report.tables[0].moved_rows == 1
    _same(publisher, subscriber)


def test_more_published_rows_than_fit_into_the_deadline_are_refused(publisher: str) -> None:
    """Published rows move while writers wait, so for no longer than the deadline: else refused with the remedy."""
    create_log(publisher, days=(0,), default=True)
    execute(
        publisher,
        "CREATE PUBLICATION p FOR TABLE log WITH (publish_via_partition_root = true)",
        f"INSERT INTO log SELECT n, '{midnight(1)}' FROM generate_series(1, 200000) n",
    )

    refused = maintain(publisher, lock_timeout_ms=20, retry_seconds=10)
    allowed = maintain(publisher, lock_timeout_ms=30_000)

    (move,) = [o for o in refused.tables[0].outcomes if o.action.kind is ActionKind.MOVE_ROWS]
    assert move.status is Status.REFUSED
    assert "lock_timeout_ms" in (move.error or "")
    assert allowed.exit_code == 0
    assert allowed.tables[0].moved_rows == 200_000


@pytest.mark.parametrize(
    "publications",
    [
        ("FOR TABLE log WITH (publish = 'delete')",),
        ("FOR ALL TABLES WITH (publish = 'insert')",),
        ("FOR TABLE log", "FOR TABLE log WITH (publish = 'insert')"),
    ],
)
def test_publications_for_which_no_move_is_right_are_refused(publisher: str, publications: tuple[str, ...]) -> None:
    """Deletes without inserts would lose rows, inserts without deletes double them: the period is refused."""
    create_log(publisher, days=(0,), default=True)
    for number, text in enumerate(publications):
        execute(publisher, f"CREATE PUBLICATION p{number} {text}")
    execute(publisher, f"INSERT INTO log VALUES (1, '{midnight(1)}')")

    report = maintain(publisher)

    (move,) = [o for o in report.tables[0].outcomes if o.action.kind is ActionKind.MOVE_ROWS]
    assert move.status is Status.REFUSED
    assert "publication" in (move.error or "")
    assert rows(publisher, "SELECT count(*) FROM log_default") == [(1,)]


@pytest.mark.pg("< 15")
def test_a_subscriber_to_inserts_alone_misses_nothing_before_15(publisher: str) -> None:
    """Before 15 a walsender would go on ignoring a table that it has seen rows of before: the period is refused."""
    create_log(publisher, days=(0,), default=True)
    execute(publisher, "CREATE PUBLICATION p FOR TABLE log WITH (publish = 'insert', publish_via_partition_root)")
    execute(publisher, f"INSERT INTO log VALUES (1, '{midnight(1)}')")

    report = maintain(publisher)

    (move,) = [o for o in report.tables[0].outcomes if o.action.kind is ActionKind.MOVE_ROWS]
    assert move.status is Status.REFUSED
    assert "subscribers" in (move.error or "")


def test_a_subscriber_keeps_receiving_after_drops_and_creations(publisher: str, subscriber: str) -> None:
    """Without a default partition: what is dropped stays with the subscriber, what is created is published."""
    create_log(publisher, days=(-9, -8), rows_a_day=10)
    log_partition(publisher, 0, rows_a_day=10)
    execute(publisher, "CREATE PUBLICATION p FOR TABLE log WITH (publish_via_partition_root = true)")
    _subscribe(publisher, subscriber)
    _same(publisher, subscriber, since=-20)

    report = maintain(publisher)
    execute(publisher, f"INSERT INTO log VALUES (900, '{midnight(3)}')")

    assert report.exit_code == 0
    assert report.tables[0].dropped == 2
    _same(publisher, subscriber)
    assert rows(subscriber, "SELECT count(*) FROM log") == [(31,)]
