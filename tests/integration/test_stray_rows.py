"""Rows that move out of the default partition: every one arrives, once, as it was, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from random import Random
from re import search
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

from pgalmanac import default_rows, exporter
from pgalmanac.actions import ActionKind, Status
from pgalmanac.attempts import Budget, under_locks
from pgalmanac.findings import Code, Level
from pgalmanac.inspection import Request
from pgalmanac.maintain import perform
from pgalmanac.model import Interval
from pgalmanac.plan import Plan
from support import connect, rows
from under_fire import create_log, execute, maintain, midnight, planned, settings, shape, todo

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pgalmanac.results import RunReport

CONTENT: Final = "SELECT id, ts, note FROM log ORDER BY id, ts"


def _stray(conninfo: str, *days: int, count: int = 10, first: int = 1) -> None:
    for number, day in enumerate(days):
        execute(
            conninfo,
            f"INSERT INTO log (id, ts, note) SELECT {first + number * count} + n, '{midnight(day)}'::timestamptz"
            f" + n * interval '1 s', 'note ' || n FROM generate_series(0, {count - 1}) n",
        )


def _in_default(conninfo: str) -> int:
    return int(rows(conninfo, "SELECT count(*) FROM ONLY log_default")[0][0])


def _errors(report: RunReport) -> list[str | None]:
    return [o.error for t in report.tables for o in t.outcomes if o.error]


def _mover(conninfo: str) -> str:
    """A new role that owns the log and may not keep triggers quiet."""
    name = "mover_" + str(rows(conninfo, "SELECT md5(current_database())")[0][0])[:8]
    execute(
        conninfo,
        f"CREATE ROLE {name} LOGIN",
        f"GRANT CREATE, USAGE ON SCHEMA public TO {name}",
        f"ALTER TABLE log OWNER TO {name}",
        f"ALTER TABLE log_default OWNER TO {name}",
        f"ALTER TABLE log_{midnight():%Y_%m_%d} OWNER TO {name}",
    )
    return name


def test_rows_of_one_day_move(empty_database: str) -> None:
    """Rows for tomorrow leave the default partition, are the same rows as before, and are counted in the report."""
    create_log(empty_database, days=(0,), rows_a_day=5, default=True)
    _stray(empty_database, 1)
    before = rows(empty_database, CONTENT)

    report = maintain(empty_database)

    assert report.exit_code == 0
    assert report.tables[0].moved_rows == 10
    assert before == rows(empty_database, CONTENT)
    assert _in_default(empty_database) == 0
    assert todo(empty_database) == []


def test_rows_of_thirty_days_move(empty_database: str) -> None:
    """Thirty days of stray rows become thirty partitions in one run, each with its own rows and no other's."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, *range(1, 31), count=20)
    before = rows(empty_database, CONTENT)

    report = maintain(empty_database, premake_days=30)

    assert report.exit_code == 0
    assert report.tables[0].moved_rows == 600
    assert before == rows(empty_database, CONTENT)
    assert _in_default(empty_database) == 0


def test_rows_past_retention_stay_where_they_are(empty_database: str) -> None:
    """A stray row of a day past retention makes no partition, is not deleted, and is a finding."""
    create_log(empty_database, days=(-1, 0), default=True)
    _stray(empty_database, -40)

    report = maintain(empty_database)

    assert report.exit_code == 0
    assert _in_default(empty_database) == 10
    assert Code.STRAY_ROWS in {f.code for f in report.tables[0].findings}


@pytest.mark.parametrize(("retention", "oldest"), [(None, -240), (90, -90)])
def test_rows_before_the_oldest_partition_are_told_with_the_command_that_moves_them(
    empty_database: str, retention: int | None, oldest: int
) -> None:
    """The command that is printed leaves nothing in the default partition but what no run keeps."""
    left = (
        f"rows of before {midnight(-90):%Y-%m-%d}, past retention, such as of {midnight(-240):%Y-%m-%d};"
        " nothing moves them: delete them"
    )
    if retention is None:
        left = "rows of no period (ts is NULL, infinite or beyond any calendar); correct or delete them by hand"
    create_log(empty_database, days=(-1, 0), default=True)
    _stray(empty_database, -240, -90, -3)
    execute(empty_database, "INSERT INTO log (id, ts) VALUES (4711, 'infinity')")

    def told() -> list[str]:
        report = maintain(empty_database, retention_days=retention)
        return [f.message for f in report.tables[0].findings if f.code is Code.STRAY_ROWS]

    (command,) = [found[1] for message in told() if (found := search(r"; pgalmanac create (\S+)", message))]
    request = Request(command="create", target=command)
    created = maintain(empty_database, request=request, retention_days=retention)

    assert f"{midnight(oldest):%Y-%m-%d}..{midnight(-2):%Y-%m-%d}" == command
    assert (0, 30 if retention is None else 20) == (created.exit_code, created.tables[0].moved_rows)
    assert [f"public.log_default has {left}"] == told()


@pytest.mark.parametrize("moment", ["0001-01-02 12:00+00", "9998-12-31 23:30+00"])
def test_a_row_whose_period_no_calendar_has_ends_no_run(empty_database: str, moment: str) -> None:
    """Its year in Berlin begins before year 1, or ends after year 9999: it is of no period, and said to be."""
    create_log(empty_database, default=True)
    execute(empty_database, f"INSERT INTO log (id, ts) VALUES (1, '{moment}')")

    report = maintain(empty_database, retention_days=None, interval=Interval.YEARLY, timezone=ZoneInfo("Europe/Berlin"))
    (message,) = [f.message for f in report.tables[0].findings if f.code is Code.STRAY_ROWS]

    assert "rows of no period" in message


@pytest.mark.parametrize("indexed", [True, False])
def test_of_many_rows_the_oldest_is_told_where_an_index_knows_it(
    empty_database: str,
    indexed: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """They lie newest first; without an index, finding the oldest at every look would read the whole table."""
    create_log(empty_database, days=(-1, 0), default=True)
    _stray(empty_database, -3, -4, -5, count=600)
    if indexed:
        execute(empty_database, "CREATE INDEX ON log (ts)")
    said = f"rows such as of {midnight(-4):%Y-%m-%d}, before the oldest partition"
    command = f"pgalmanac create FIRST..{midnight(-2):%Y-%m-%d} does, and moves them, FIRST being the oldest period"
    if indexed:
        said = f"rows of {midnight(-5):%Y-%m-%d} or later, before the oldest partition"
        command = f"pgalmanac create {midnight(-5):%Y-%m-%d}..{midnight(-2):%Y-%m-%d} does, and moves them"

    report = maintain(empty_database, retention_days=None)
    (message,) = [f.message for f in report.tables[0].findings if f.code is Code.STRAY_ROWS]

    assert said in message
    assert command in message


@pytest.mark.parametrize("first_row", ["soon", "late"])
def test_a_default_partition_in_which_rows_are_hard_to_find_holds_up_nobody(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, first_row: str
) -> None:
    """Where millions were deleted a scan may take minutes: one row is enough, and none in time is "not known"."""
    create_log(empty_database, days=(-1, 0), default=True)
    _stray(empty_database, -3 if first_row == "soon" else 1)
    seconds = "60" if first_row == "late" else "CASE {most} WHEN 1 THEN 0 ELSE 60 END"
    slow = default_rows._FIRST.replace("FROM {default}", f"FROM pg_sleep({seconds}), {{default}}")
    monkeypatch.setattr(default_rows, "_FIRST", slow)

    report = planned(empty_database, retention_days=None)
    (finding,) = [f for f in report.tables[0].findings if f.code is Code.STRAY_ROWS]

    if first_row == "soon":
        assert (Level.WARNING, "rows such as of" in finding.message) == (finding.level, True)
    else:
        assert (Level.INFO, "could not be seen within 1 s" in finding.message) == (finding.level, True)
        assert [None] == [t.stray_rows for t in asyncio.run(exporter.observe(settings(empty_database))).tables]
        assert maintain(empty_database).tables[0].moved_rows == 10, "ATTACH meets them"


def test_stray_rows_that_take_long_to_count_hold_up_no_scrape(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That there is one was seen, and an alert stays on."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, -3)
    monkeypatch.setattr(exporter, "MOST_STRAYS", sql.SQL("(SELECT 5 FROM pg_sleep(60))"))

    observation = asyncio.run(exporter.observe(settings(empty_database)))

    assert [1] == [t.stray_rows for t in observation.tables]


@pytest.mark.parametrize("closed", [False, True], ids=["locked", "closed"])
def test_a_default_partition_that_is_locked_or_closed_is_said_not_to_have_been_seen(
    empty_database: str,
    closed: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """Whether it has rows is not known then, which is neither yes nor no."""
    create_log(empty_database, days=(-1, 0), default=True)
    mover = _mover(empty_database)
    looker = empty_database
    if closed:
        execute(empty_database, "ALTER TABLE log_default OWNER TO CURRENT_USER")
        looker = make_conninfo(empty_database, user=mover)
    with connect(empty_database) as locker, locker.transaction():
        if not closed:
            locker.execute("LOCK TABLE log_default")
        report = planned(looker)
    found = [(f.level, f.message) for f in report.tables[0].findings if f.code is Code.STRAY_ROWS]

    said = f"this role may not read it; GRANT SELECT ON public.log_default TO {mover}" if closed else "it is locked, or"
    assert [Level.INFO] == [level for level, _ in found]
    assert said in found[0][1]


def test_a_stray_row_at_each_edge_of_a_day_moves_to_the_right_side(empty_database: str) -> None:
    """Bounds are half-open to the microsecond, also for rows that move."""
    create_log(empty_database, days=(0,), default=True)
    execute(
        empty_database,
        f"INSERT INTO log VALUES (1, '{midnight(1)}'), (2, '{midnight(2)}'::timestamptz - interval '1 microsecond'),"
        f" (3, '{midnight(2)}'), (4, 'infinity'), (5, '-infinity')",
    )

    report = maintain(empty_database)

    found = rows(empty_database, "SELECT id, tableoid::regclass::text FROM log ORDER BY id")
    first, second = f"log_{midnight(1):%Y_%m_%d}", f"log_{midnight(2):%Y_%m_%d}"
    assert report.exit_code == 0
    assert [(1, first), (2, first), (3, second), (4, "log_default"), (5, "log_default")] == found


@contextmanager
def _meanwhile(conninfo: str, work: Callable[[psycopg.Connection[tuple[Any, ...]], Random], None]) -> Generator[None]:
    """Run *work* again and again in two sessions until the block ends; the first error of theirs is raised."""
    stop, failures = threading.Event(), list[BaseException]()

    def loop(seed: int) -> None:
        random = Random(seed)  # noqa: S311  # reproducible, not secret
        try:
            with connect(conninfo) as connection:
                while not stop.is_set():
                    work(connection, random)
        except BaseException as exc:  # noqa: BLE001  # raised in the test's own thread
            failures.append(exc)

    threads = [threading.Thread(target=loop, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("days", [(1,), (1, 2, 3)])
def test_no_update_of_a_moving_row_is_lost(empty_database: str, days: tuple[int, ...]) -> None:
    """Every update that the server confirmed is there after the move, once: a counter in each row says so."""
    create_log(empty_database, days=(0,), default=True)
    execute(empty_database, "ALTER TABLE log ADD COLUMN counter int NOT NULL DEFAULT 0")
    _stray(empty_database, *days, count=3000)
    confirmed: dict[int, int] = {}
    lock = threading.Lock()

    def update(connection: psycopg.Connection[tuple[Any, ...]], random: Random) -> None:
        number = random.randint(1, 3000 * len(days))
        done = connection.execute("UPDATE log SET counter = counter + 1 WHERE id = %s", [number]).rowcount
        with lock:
            confirmed[number] = confirmed.get(number, 0) + done
        assert done == 1, f"row {number} was not there to be updated"

    with _meanwhile(empty_database, update):
        time.sleep(0.1)
        report = maintain(empty_database, retry_seconds=30, lock_timeout_ms=100)
        time.sleep(0.1)

    assert report.exit_code == 0, _errors(report)
    assert _in_default(empty_database) == 0
    assert len(confirmed) > 10, "the updates did run"
    assert {k: v for k, v in confirmed.items() if v} == dict(
        rows(empty_database, "SELECT id, counter FROM log WHERE counter > 0")
    )


def test_whoever_waits_for_a_moving_row_is_let_go_at_once(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that holds what the move wants, and wants one of its rows, would wait for as long as it pauses."""
    create_log(empty_database, days=(0,), rows_a_day=1, default=True)
    _stray(empty_database, 1, first=101)
    paused: list[tuple[float, ...]] = []
    pause = Budget.pause

    async def noted(budget: Budget, *most: float) -> bool:
        paused.append(most)
        return await pause(budget, *most)

    with connect(empty_database) as writer:
        writer.execute("BEGIN")
        writer.execute("UPDATE log SET note = 'held' WHERE id = 1")

        def want() -> None:
            writer.execute("UPDATE log SET note = 'wanted' WHERE id = 105")
            writer.execute("COMMIT")

        wants = threading.Thread(target=want)

        async def wanted(*args: Any, **options: Any) -> int:  # noqa: ANN401  # as they come
            if wants.ident is None:
                wants.start()
                while not rows(empty_database, "SELECT FROM pg_locks WHERE NOT granted AND pid = %s", waiter):  # noqa: ASYNC110  # the server knows it
                    await asyncio.sleep(0.01)
            return await under_locks(*args, **options)

        waiter = writer.info.backend_pid
        monkeypatch.setattr("pgalmanac.attempts.Budget.pause", noted)
        monkeypatch.setattr("pgalmanac.moving.under_locks", wanted)
        report = maintain(empty_database, retry_seconds=60, lock_timeout_ms=100)
        wants.join()

    assert report.exit_code == 0, _errors(report)
    assert set(paused) == {()}, "a pause in which rows stay locked has a limit of its own"
    assert rows(empty_database, "SELECT count(*) FROM log WHERE note IN ('held', 'wanted')") == [(2,)]


def test_a_move_whose_locks_are_never_to_be_had_is_a_failure_that_names_their_holder(empty_database: str) -> None:
    """However often it was tried with the rows held and anew: nothing has moved, and the run goes on to its end."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    with connect(empty_database) as holder:
        pid = holder.info.backend_pid
        holder.execute("BEGIN; LOCK TABLE log_default IN ROW EXCLUSIVE MODE")
        report = maintain(empty_database, premake_days=1, retry_seconds=3, lock_timeout_ms=20)
        holder.execute("ROLLBACK")
    (failed,) = [o for o in report.tables[0].outcomes if o.status is Status.FAILED]

    assert failed.action.kind is ActionKind.MOVE_ROWS
    assert str(pid) in str(failed.error)
    assert _in_default(empty_database) == 10


def test_more_rows_than_fit_into_a_deadline_are_moved_beforehand(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moving them under the locks would end at the deadline each time."""

    async def too_long(*_: object) -> int:
        raise errors.QueryCanceled

    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1, count=10)
    monkeypatch.setattr("pgalmanac.moving._at_once", too_long)
    report = maintain(empty_database, retry_seconds=0)

    assert report.exit_code == 0, _errors(report)
    assert (report.tables[0].moved_rows, _in_default(empty_database)) == (10, 0)


def test_no_delete_or_insert_of_a_moving_row_is_lost(empty_database: str) -> None:
    """A deleted row stays deleted and an inserted one is there, whatever side of the move they met."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1, 2, count=3000)
    gone: set[int] = set()
    come: set[int] = set()
    lock = threading.Lock()
    counter = iter(range(100_000, 1_000_000))

    def change(connection: psycopg.Connection[tuple[Any, ...]], random: Random) -> None:
        with lock:  # each writer deletes rows of its own: two that met at one would each take the other for a loss
            new = next(counter)
            old = random.choice(sorted(set(range(1, 6001)) - gone))
            gone.add(old)
        connection.execute("INSERT INTO log (id, ts) VALUES (%s, %s)", [new, midnight(random.choice((1, 2)))])
        done = connection.execute("DELETE FROM log WHERE id = %s", [old]).rowcount
        with lock:
            come.add(new)
        assert done == 1, f"row {old} was not there"

    with _meanwhile(empty_database, change):
        time.sleep(0.1)
        report = maintain(empty_database, retry_seconds=30, lock_timeout_ms=100)
        time.sleep(0.1)

    assert report.exit_code == 0, _errors(report)
    assert _in_default(empty_database) == 0
    assert (set(range(1, 6001)) - gone) | come == {i for (i,) in rows(empty_database, "SELECT id FROM log")}


@pytest.mark.parametrize("prepared", [False, True])
def test_no_look_misses_a_moving_row(empty_database: str, prepared: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    """Readers in a tight loop, over thirty moves: each of their counts has every row, whatever moment it fell on."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, *range(1, 31), count=100)
    looks: list[int] = []

    def look(connection: psycopg.Connection[tuple[Any, ...]], _: Random) -> None:
        row = connection.execute("SELECT count(*) FROM log WHERE id > 0", prepare=prepared).fetchone()
        looks.append(row[0] if row else -1)

    with _meanwhile(empty_database, look), _meanwhile(empty_database, look):
        report = maintain(empty_database, premake_days=30, retry_seconds=30)

    assert report.exit_code == 0, _errors(report)
    assert report.tables[0].moved_rows == 3000
    assert len(looks) > 100, "the readers did look"
    assert {3000} == set(looks)


def test_an_open_transaction_that_changed_a_stray_row_wins(empty_database: str) -> None:
    """A move that meets somebody's uncommitted update gives up within its budget; the update stands, nothing moved."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    with connect(empty_database) as other:
        other.execute("BEGIN")
        other.execute("UPDATE log SET note = 'mine' WHERE id = 3")
        report = maintain(empty_database, retry_seconds=0)
        assert [o.status for o in report.tables[0].outcomes if o.action.kind is ActionKind.MOVE_ROWS] == [Status.FAILED]
        assert any("holds" in (e or "") for e in _errors(report))
        other.execute("COMMIT")

    assert maintain(empty_database).exit_code == 0
    assert rows(empty_database, "SELECT note FROM log WHERE id = 3") == [("mine",)]


def test_identity_generated_and_toasted_values_move_unchanged(empty_database: str) -> None:
    """An ALWAYS identity keeps its numbers, a generated column its values, and a value of 300 kB every byte."""
    execute(
        empty_database,
        "CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY, ts timestamptz NOT NULL, note text,"
        " size int GENERATED ALWAYS AS (length(note)) STORED, gone int, raw bytea, PRIMARY KEY (id, ts))"
        " PARTITION BY RANGE (ts)",
        "ALTER TABLE log DROP COLUMN gone",
        "ALTER TABLE log ALTER COLUMN raw SET STORAGE EXTERNAL",
        "CREATE TABLE log_default PARTITION OF log DEFAULT",
        f"INSERT INTO log (ts, note, raw) SELECT '{midnight(1)}', string_agg(md5(n::text), ''),"
        " decode(string_agg(md5(n::text), ''), 'hex') FROM generate_series(1, 10000) n",
        f"INSERT INTO log (ts, note) VALUES ('{midnight(2)}', NULL)",
    )
    content = "SELECT id, ts, md5(note), size, md5(raw) FROM log ORDER BY id"
    before = rows(empty_database, content)

    report = maintain(empty_database)
    execute(empty_database, f"INSERT INTO log (ts, note) VALUES ('{midnight(1)}', 'after')")

    assert report.exit_code == 0, _errors(report)
    assert before == rows(empty_database, content)[:-1]
    assert rows(empty_database, "SELECT id, size FROM log ORDER BY id DESC LIMIT 1") == [(3, 5)]
    assert _in_default(empty_database) == 0


def test_a_move_that_the_server_forbids_says_what_to_do(empty_database: str) -> None:
    """Deletes that are published want a replica identity: the server's own hint goes along with its refusal."""
    create_log(empty_database, days=(0,), default=True)
    execute(
        empty_database,
        "ALTER TABLE log DROP CONSTRAINT log_pkey",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        f"INSERT INTO log (id, ts) VALUES (1, '{midnight(1)}')",
    )

    failed = [o for o in maintain(empty_database).tables[0].outcomes if o.status is Status.FAILED]

    assert [o.action.bounds.lower for o in failed] == [midnight(1)]
    assert "does not have a replica identity and publishes deletes; " in (failed[0].error or "")
    assert "set REPLICA IDENTITY using ALTER TABLE" in (failed[0].error or "")
    assert _in_default(empty_database) == 1


@pytest.mark.parametrize("beforehand", [True, False])
@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"])
def test_referring_rows_are_not_touched_by_a_move(
    empty_database: str,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    beforehand: bool,  # noqa: FBT001  # pytest passes it by name
) -> None:
    """Moving a row is not deleting it: with ON DELETE CASCADE the row that refers to it stays, as with the others.

    So it is where rows cannot be had *beforehand*, and move under the locks.
    """

    async def held(*_: object) -> int:
        raise errors.LockNotAvailable

    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    execute(
        empty_database,
        f"CREATE TABLE referring (id bigint, ts timestamptz, FOREIGN KEY (id, ts) REFERENCES log ON DELETE {action})",
        "INSERT INTO referring SELECT id, ts FROM log",
    )
    before = rows(empty_database, "SELECT * FROM referring ORDER BY 1")

    if not beforehand:
        monkeypatch.setattr("pgalmanac.moving._once", held)
    report = maintain(empty_database, retry_seconds=120)

    assert report.exit_code == 0, _errors(report)
    assert len(before) == 10
    assert before == rows(empty_database, "SELECT * FROM referring ORDER BY 1")
    assert _in_default(empty_database) == 0
    with connect(empty_database) as connection, pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute(f"INSERT INTO referring VALUES (99, '{midnight(1)}')".encode())


@pytest.mark.parametrize(
    ("action", "referring", "moved"),
    [("CASCADE", 10, 0), ("NO ACTION", 10, 0), ("CASCADE", 0, 0), ("SET NULL", 0, 0), ("NO ACTION", 0, 1)],
)
def test_a_role_that_cannot_keep_triggers_quiet_does_not_delete_referring_rows(
    empty_database: str, action: str, referring: int, moved: int
) -> None:
    """Without the right to session_replication_role the period is refused with the GRANT, and nothing changes.

    Also where no row refers yet: one may come while others move, and would go with its row. Where a row that is
    referred to cannot be deleted, that is no danger.
    """
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    execute(
        empty_database,
        f"CREATE TABLE referring (id bigint, ts timestamptz, FOREIGN KEY (id, ts) REFERENCES log ON DELETE {action})",
        f"INSERT INTO referring SELECT id, ts FROM log LIMIT {referring}",
    )
    name = _mover(empty_database)
    execute(empty_database, f"ALTER TABLE referring OWNER TO {name}")
    try:
        report = maintain(empty_database.replace("user='postgres'", f"user='{name}'"))

        moves = [o for o in report.tables[0].outcomes if o.action.kind is ActionKind.MOVE_ROWS]
        assert report.exit_code == 1 - moved
        assert [Status.DONE if moved else Status.REFUSED] == [o.status for o in moves]
        assert ("session_replication_role" in (moves[0].error or "")) is not bool(moved)
        assert rows(empty_database, "SELECT count(*) FROM referring") == [(referring,)]
        assert _in_default(empty_database) == 10 * (1 - moved)
    finally:
        execute(empty_database, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


@pytest.mark.parametrize("trouble", ["no right", "locked"])
def test_a_referring_table_that_cannot_be_read_keeps_no_other_day_from_being_made(
    empty_database: str, trouble: str
) -> None:
    """The day whose rows may be referred to is refused and says so; all others come."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    execute(empty_database, "CREATE TABLE referring (id bigint, ts timestamptz, FOREIGN KEY (id, ts) REFERENCES log)")
    name = _mover(empty_database)
    try:
        with connect(empty_database) as other:
            if trouble == "locked":
                other.execute(f"ALTER TABLE referring OWNER TO {name}".encode())
                other.execute("BEGIN; LOCK TABLE referring")
            report = planned(empty_database.replace("user='postgres'", f"user='{name}'"))
        again = maintain(empty_database.replace("user='postgres'", f"user='{name}'"))

        found = {o.action.bounds.lower: o for o in report.tables[0].outcomes}
        assert [Status.REFUSED, Status.PLANNED, Status.PLANNED] == [found[midnight(day)].status for day in (1, 2, 3)]
        assert "it cannot be seen whether rows of public.referring refer to the stray rows" in str(
            found[midnight(1)].error
        )
        assert "session_replication_role" in str(found[midnight(1)].error)
        moved = 10 if trouble == "locked" else 0  # by then it is not locked any more, and no row refers
        assert moved == again.tables[0].moved_rows
        assert {midnight(2), midnight(3)} <= {
            o.action.bounds.lower for o in again.tables[0].outcomes if o.status is Status.DONE
        }
    finally:
        execute(empty_database, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def test_rows_are_seen_to_be_referred_to_by_an_operator_of_the_users(empty_database: str) -> None:
    """A key of a type whose equality lies in public, as of an extension, is no reason to keep a row where it is."""
    create_log(empty_database, days=(0,), default=True)
    functions = {"lt": "<", "le": "<=", "eq": "=", "ge": ">=", "gt": ">"}
    execute(
        empty_database,
        "CREATE TYPE own",
        "CREATE FUNCTION own_in(cstring) RETURNS own LANGUAGE internal IMMUTABLE STRICT AS 'int8in'",
        "CREATE FUNCTION own_out(own) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int8out'",
        "CREATE TYPE own (INPUT = own_in, OUTPUT = own_out, LIKE = int8)",
        "CREATE FUNCTION own_cmp(own, own) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint8cmp'",
        *(
            f"CREATE FUNCTION own_{f}(own, own) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int8{f}'"
            for f in functions
        ),
        *(f"CREATE OPERATOR {o} (LEFTARG = own, RIGHTARG = own, FUNCTION = own_{f})" for f, o in functions.items()),
        "CREATE OPERATOR CLASS own_ops DEFAULT FOR TYPE own USING btree AS "
        + ", ".join(f"OPERATOR {n} {o}" for n, o in enumerate(functions.values(), 1))
        + ", FUNCTION 1 own_cmp(own, own)",
        "ALTER TABLE log DROP CONSTRAINT log_pkey",
        "ALTER TABLE log ADD COLUMN key own NOT NULL DEFAULT '1', ADD PRIMARY KEY (key, ts)",
        f"INSERT INTO log (id, ts) VALUES (1, '{midnight(1)}')",
        "CREATE TABLE referring (key own, ts timestamptz, FOREIGN KEY (key, ts) REFERENCES log)",
    )
    name = _mover(empty_database)
    execute(empty_database, f"ALTER TABLE referring OWNER TO {name}")
    try:
        report = maintain(empty_database.replace("user='postgres'", f"user='{name}'"))

        assert (0, 1) == (report.exit_code, report.tables[0].moved_rows), _errors(report)
    finally:
        execute(empty_database, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def test_rows_do_not_leave_a_default_partition_that_is_referred_to_itself(empty_database: str) -> None:
    """With triggers kept quiet nobody would notice that the referring rows refer to nothing any more."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    execute(
        empty_database,
        "CREATE TABLE referring (id bigint, ts timestamptz, FOREIGN KEY (id, ts) REFERENCES log_default)",
        "INSERT INTO referring SELECT id, ts FROM log",
    )

    report = maintain(empty_database)

    assert any("of public.referring refers to public.log_default itself" in (e or "") for e in _errors(report))
    assert report.tables[0].created == 2, "the two days without stray rows"
    assert _in_default(empty_database) == 10


def test_outgoing_foreign_keys_hold_after_a_move(empty_database: str) -> None:
    """A table that refers to another: the new partition has the foreign key, and its rows satisfy it."""
    create_log(empty_database, days=(0,), default=True)
    execute(
        empty_database,
        "CREATE TABLE kind (note text PRIMARY KEY)",
        "INSERT INTO kind SELECT 'note ' || n FROM generate_series(0, 20) n",
    )
    _stray(empty_database, 1)
    execute(empty_database, "ALTER TABLE log ADD FOREIGN KEY (note) REFERENCES kind")

    report = maintain(empty_database)

    assert report.exit_code == 0, _errors(report)
    assert _in_default(empty_database) == 0
    with connect(empty_database) as connection, pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute(f"INSERT INTO log VALUES (99, '{midnight(1)}', 'none such')".encode())


TRIGGER: Final = (
    "CREATE TABLE seen (what text)",
    (
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO seen VALUES (TG_OP || TG_LEVEL); RETURN COALESCE(NEW, OLD); END'"
    ),
)


@pytest.mark.parametrize("level", ["ROW", "STATEMENT"])
@pytest.mark.parametrize("table", ["log", "log_default"])
def test_delete_triggers_do_not_fire_for_a_move(empty_database: str, level: str, table: str) -> None:
    """A trigger that archives or counts deleted rows sees nothing of a move, and works as before afterwards."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    execute(
        empty_database,
        *TRIGGER,
        f"CREATE TRIGGER t AFTER DELETE ON {table} FOR EACH {level} EXECUTE FUNCTION tell()",
    )

    report = maintain(empty_database)

    assert report.exit_code == 0, _errors(report)
    assert rows(empty_database, "SELECT * FROM seen") == []
    assert _in_default(empty_database) == 0
    execute(empty_database, f"INSERT INTO log VALUES (500, '{midnight(-60)}')", f"DELETE FROM {table} WHERE id = 500")
    assert rows(empty_database, "SELECT * FROM seen") == [(f"DELETE{level}",)]


@pytest.mark.parametrize("of", ["log", "log_default"])
def test_a_role_that_cannot_keep_a_delete_trigger_quiet_moves_nothing(
    empty_database: str, make_role: Callable[..., str], of: str
) -> None:
    """The trigger would take each moved row for a deleted one: refused with the GRANT, and it has seen nothing."""
    name = make_role()
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    execute(
        empty_database,
        *TRIGGER,
        f"CREATE TRIGGER t AFTER DELETE ON {of} FOR EACH ROW EXECUTE FUNCTION tell()",
        f"GRANT CREATE, USAGE ON SCHEMA public TO {name}",
        *(
            f"ALTER TABLE {table} OWNER TO {name}"
            for table in ("log", "log_default", f"log_{midnight():%Y_%m_%d}", "seen")
        ),
    )
    try:
        report = maintain(empty_database.replace("user='postgres'", f"user='{name}'"))
    finally:
        execute(empty_database, f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}")

    moves = [o for o in report.tables[0].outcomes if o.action.kind is ActionKind.MOVE_ROWS]
    assert [Status.REFUSED] == [o.status for o in moves]
    assert "session_replication_role" in (moves[0].error or "")
    assert (_in_default(empty_database), rows(empty_database, "SELECT * FROM seen")) == (10, [])


def test_a_trigger_that_always_fires_refuses_the_period(empty_database: str) -> None:
    """ENABLE ALWAYS fires for the move's delete too: that period is refused with the trigger's name, others go on."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    execute(
        empty_database,
        *TRIGGER,
        "CREATE TRIGGER zealous AFTER DELETE ON log_default FOR EACH ROW EXECUTE FUNCTION tell()",
        "ALTER TABLE log_default ENABLE ALWAYS TRIGGER zealous",
    )

    report = maintain(empty_database)

    assert report.exit_code == 1
    assert any("zealous" in (e or "") for e in _errors(report))
    assert report.tables[0].created == 2, "the two days without stray rows"
    assert _in_default(empty_database) == 10
    assert rows(empty_database, "SELECT * FROM seen") == []


def test_a_row_that_comes_after_the_plan_is_not_moved_where_moving_would_be_felt(empty_database: str) -> None:
    """What forbids a move is asked for again when attaching meets rows that no plan has counted."""
    create_log(empty_database, days=(0,), default=True)
    execute(
        empty_database,
        *TRIGGER,
        "CREATE TRIGGER zealous AFTER DELETE ON log_default FOR EACH ROW EXECUTE FUNCTION tell()",
        "ALTER TABLE log_default ENABLE ALWAYS TRIGGER zealous",
    )

    def strays_once(event: object) -> None:
        if isinstance(event, Plan):
            _stray(empty_database, 1)

    report = asyncio.run(perform(settings(empty_database), Request(command="maintain"), observer=strays_once))

    assert any("zealous" in (e or "") for e in _errors(report))
    assert (report.tables[0].created, report.tables[0].count(Status.REFUSED)) == (2, 1)
    assert (_in_default(empty_database), rows(empty_database, "SELECT * FROM seen")) == (10, [])


def test_a_preview_of_a_move_changes_nothing(empty_database: str) -> None:
    """A plan with stray rows is only read: rows, relations and marks stay as they are."""
    create_log(empty_database, days=(0,), default=True)
    _stray(empty_database, 1)
    before = shape(empty_database)

    report = planned(empty_database)

    assert [10] == [o.rows for o in report.tables[0].outcomes if o.action.kind is ActionKind.MOVE_ROWS]
    assert before == shape(empty_database)


@pytest.mark.slow
def test_a_million_stray_rows_move_in_bounded_memory(empty_database: str) -> None:
    """The rows stay on the server, and the server's process does not grow with their number."""
    create_log(empty_database, days=(0,), default=True)
    execute(
        empty_database,
        f"INSERT INTO log SELECT n, '{midnight(1)}'::timestamptz + n * interval '80 ms', 'note ' || n"
        " FROM generate_series(1, 1000000) n",
    )
    stop, peak = threading.Event(), [0]

    def watch() -> None:
        with connect(empty_database) as connection:
            while not stop.wait(0.05):
                pids = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgalmanac' AND datname ="
                    " current_database()"
                ).fetchall()
                for (pid,) in pids:
                    try:
                        status = Path(f"/proc/{pid}/status").read_text()
                    except OSError:
                        continue
                    peak[0] = max(peak[0], int(status.split("RssAnon:")[1].split()[0]))

    thread = threading.Thread(target=watch)
    thread.start()
    started = time.monotonic()
    try:
        report = maintain(empty_database)
    finally:
        stop.set()
        thread.join()
    sys.stdout.write(f"1,000,000 rows in {time.monotonic() - started:.1f} s, {peak[0] / 1024:.0f} MB at most\n")

    assert report.exit_code == 0, _errors(report)
    assert report.tables[0].moved_rows == 1_000_000
    assert rows(empty_database, "SELECT count(*), count(DISTINCT id) FROM log") == [(1_000_000, 1_000_000)]
    assert 0 < peak[0] < 100 * 1024
