"""Publications and a real subscriber: it has the same rows before and after maintenance, and goes on receiving."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import pytest
from psycopg.conninfo import make_conninfo

from pgalmanac.actions import ActionKind, Status
from pgalmanac.beginning import initialise
from pgalmanac.doctor import examine
from pgalmanac.findings import Code
from pgalmanac.maintain import check
from pgalmanac.pgserver import temporary_cluster
from support import connect, rows
from under_fire import LOG_TABLE, create_log, execute, log_partition, maintain, midnight, settings, todo

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pgalmanac.pgserver import Cluster

# Enough for a machine ten times slower; what comes about is not waited for any longer.
PATIENCE_SECONDS: Final = 60
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
    end = time.monotonic() + PATIENCE_SECONDS
    expected = rows(publisher, query)
    while (found := rows(subscriber, query)) != expected and time.monotonic() < end:
        time.sleep(0.1)

    assert expected == found


@pytest.mark.parametrize("way", ["ENABLE ALWAYS", "of a role that cannot keep it quiet"])
def test_no_trigger_on_inserts_swallows_a_row_that_moves(publisher: str, way: str) -> None:
    """A published row goes in after ATTACH, as any insert does: where triggers would fire it is not moved."""
    create_log(publisher, days=(0,), default=True)
    execute(
        publisher,
        "CREATE PUBLICATION p FOR TABLE log",
        f"INSERT INTO log VALUES (1, '{midnight(1)}', 'stray')",
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER hungry BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION swallow()",
    )
    if way == "ENABLE ALWAYS":
        execute(publisher, "ALTER TABLE log ENABLE ALWAYS TRIGGER hungry")
        report = maintain(publisher)
    else:
        tables = ("log", "log_default", f"log_{midnight():%Y_%m_%d}")
        execute(
            publisher,
            "CREATE ROLE mover LOGIN",
            "GRANT CREATE, USAGE ON SCHEMA public TO mover",
            *(f"ALTER TABLE {table} OWNER TO mover" for table in tables),
        )
        try:
            report = maintain(make_conninfo(publisher, user="mover"))
        finally:
            execute(publisher, "REASSIGN OWNED BY mover TO CURRENT_USER", "DROP OWNED BY mover", "DROP ROLE mover")

    refused = [o.error or "" for o in report.tables[0].outcomes if o.status is Status.REFUSED]
    assert rows(publisher, "SELECT id FROM log") == [(1,)]
    assert len(refused) == 1
    assert "insert" in refused[0]
    assert "hungry of public.log" in refused[0]


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


def _said(conninfo: str) -> list[tuple[Code, str]]:
    """What check says of replication; doctor says the same, and so does a role that owns nothing."""
    told = {Code.SUBSCRIPTION_STALE, Code.PUBLICATION_INCOMPLETE}
    both: list[list[tuple[Code, str]]] = []
    for name in ("postgres", "nobody_much"):
        wanted = settings(make_conninfo(conninfo, user=name))
        (table,) = asyncio.run(check(wanted)).tables
        both.append([(f.code, f.message) for f in table.findings if f.code in told])
        lines = [line.message for line in asyncio.run(examine(wanted, {}))]
        assert all(message in lines for _, message in both[-1])
    assert both[0] == both[1]
    return both[0]


def _statement(message: str) -> str:
    """The ALTER that a finding ends with."""
    return message[message.index("ALTER ") :]


def _arrives(subscriber: str, row_id: int) -> None:
    """Wait until the subscriber has this row; fail when it does not come."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := rows(subscriber, f"SELECT FROM log WHERE id = {row_id}")) and time.monotonic() < end:
        time.sleep(0.1)

    assert found


@pytest.fixture
def nobody(pair: Cluster) -> Generator[None]:
    """Let there be a role without rights, called nobody_much."""
    execute(pair.conninfo(), "CREATE ROLE nobody_much LOGIN")
    yield
    execute(pair.conninfo(), "DROP ROLE nobody_much")


@pytest.mark.usefixtures("nobody")
def test_a_subscription_that_does_not_know_new_partitions_is_named_with_what_refreshes_it(
    publisher: str, subscriber: str
) -> None:
    """Published by partitions, each of which the subscriber has too: new ones stay empty there until a refresh."""
    create_log(publisher, days=(0, 1), rows_a_day=10)
    log_partition(subscriber, 0, 1)
    execute(publisher, "CREATE PUBLICATION p FOR TABLE log")
    _subscribe(publisher, subscriber)
    _same(publisher, subscriber)
    before = _said(subscriber)
    # Both make the coming days; one that is three days away may be refreshed tomorrow.
    for database in (publisher, subscriber):
        assert maintain(database).exit_code == 0
    execute(
        publisher, f"INSERT INTO log VALUES (900, '{midnight(2)}')", f"INSERT INTO log VALUES (901, '{midnight(1)}')"
    )
    _arrives(subscriber, 901)

    ((code, message),) = _said(subscriber)

    assert before == []
    assert code is Code.SUBSCRIPTION_STALE
    assert f"public.log_{midnight(2):%Y_%m_%d} and 1 later" in message
    assert rows(subscriber, "SELECT FROM log WHERE id = 900") == []
    execute(subscriber, _statement(message))
    assert _said(subscriber) == []
    assert _said(publisher) == []
    execute(publisher, f"INSERT INTO log VALUES (902, '{midnight(3)}')")
    _arrives(subscriber, 900)
    _arrives(subscriber, 902)


@pytest.mark.usefixtures("nobody")
def test_a_publication_that_lists_partitions_is_named_with_what_publishes_all(publisher: str, subscriber: str) -> None:
    """A new partition is in no such list and reaches nobody; with the table in it, it does."""
    create_log(publisher, days=(0,), rows_a_day=10)
    log_partition(subscriber, 0, 1, 2, 3)
    execute(publisher, f"CREATE PUBLICATION p FOR TABLE log_{midnight():%Y_%m_%d}")
    _subscribe(publisher, subscriber)
    before = _said(publisher)
    assert maintain(publisher).exit_code == 0

    ((code, message),) = _said(publisher)

    assert before == []
    assert code is Code.PUBLICATION_INCOMPLETE
    assert f"public.log_{midnight(1):%Y_%m_%d} and 2 later" in message
    execute(publisher, _statement(message))
    assert _said(publisher) == []
    execute(subscriber, _statement(_said(subscriber)[0][1]))
    execute(publisher, f"INSERT INTO log VALUES (900, '{midnight(1)}')")
    _arrives(subscriber, 900)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "publication",
    [
        "FOR TABLE log",
        "FOR TABLE log WITH (publish_via_partition_root = true)",
        "FOR ALL TABLES",
        pytest.param("FOR TABLES IN SCHEMA public", marks=pytest.mark.pg(">= 15")),
        pytest.param("FOR TABLE log_{:%Y_%m_%d}, TABLES IN SCHEMA public", marks=pytest.mark.pg(">= 15")),
        "FOR TABLE other",
    ],
)
def test_nothing_is_said_of_a_publication_that_has_new_partitions_or_none(publisher: str, publication: str) -> None:
    """The table itself, all tables, those of its schema; or another table."""
    create_log(publisher, days=(0,))
    execute(publisher, "CREATE TABLE other ()", f"CREATE PUBLICATION p {publication.format(midnight())}")

    assert maintain(publisher).exit_code == 0

    assert _said(publisher) == []
