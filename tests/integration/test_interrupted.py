"""What a run leaves behind in its own session and in its history when one of its steps fails or is called off."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock

import pytest
from psycopg import OperationalError, sql

from pgalmanac import beginning, maintain
from pgalmanac.actions import ActionKind, Status
from pgalmanac.config import Layer, Settings
from pgalmanac.db import connect as connected
from pgalmanac.detaching import Detaching
from pgalmanac.errors import ConnectError
from pgalmanac.findings import Code
from pgalmanac.history import History
from pgalmanac.history_tables import make_history
from pgalmanac.inspection import MAINTAIN, Request
from pgalmanac.locks import blockers, holders
from pgalmanac.recorder import Recorder
from pgalmanac.results import Outcome
from pgalmanac.table_names import TableRef
from support import add_partitions, connect, leave_pending, partition_names, rows, today

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pgalmanac.actions import Action
    from pgalmanac.db import Session
    from pgalmanac.model import PartitionedTable
    from pgalmanac.periods import Calendar
    from pgalmanac.steps import Needs

PATIENCE_SECONDS = 60


def name(days: int) -> str:
    """The partition of the day that is so many days from today."""
    return f"events_{today() + timedelta(days=days):%Y_%m_%d}"


EXPIRED = name(-100)


def settings(conninfo: str) -> Settings:
    """The usual settings."""
    return Settings(dsn=conninfo, defaults=Layer(values={"retention_days": 90}))


async def until(conninfo: str, query: str) -> None:
    """Wait until the query finds a row."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not rows(conninfo, query):  # noqa: ASYNC110  # the server knows it
            await asyncio.sleep(0.02)


async def test_nobodys_functions_run_after_a_drop_that_failed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detach ran under the role's path. When the drop behind it is refused, what comes next runs under ours."""
    add_partitions(database, days=[-100, *range(-3, 31)], rows_a_day=1)
    with connect(database) as connection:
        role_here = sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {}").format(sql.Identifier(connection.info.dbname))
        connection.execute(role_here + sql.SQL(" SET search_path = public, pg_catalog"))
        connection.execute("CREATE TABLE called (by text)")
        connection.execute(
            "CREATE FUNCTION public.pg_advisory_unlock_all() RETURNS void LANGUAGE sql AS"
            " 'INSERT INTO public.called VALUES (current_user)'"
        )
    detach = Detaching.detach

    async def and_then_somebody_makes_a_view(self: Detaching, action: Action) -> int:
        attempts = await detach(self, action)
        with connect(database) as connection:
            connection.execute(sql.SQL("CREATE VIEW on_it AS SELECT * FROM {}").format(sql.Identifier(EXPIRED)))
        return attempts

    monkeypatch.setattr(Detaching, "detach", and_then_somebody_makes_a_view)
    (table,) = (await maintain.perform(settings(database), MAINTAIN)).tables

    assert [Status.SKIPPED] == [o.status for o in table.outcomes]
    assert "on_it" in str(table.outcomes[0].error)
    assert [] == rows(database, "SELECT * FROM called")


async def test_a_look_that_is_cancelled_before_the_mark_takes_no_comment(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is marked yet, so there is no mark to take back: what somebody wrote since the plan stays."""
    add_partitions(database, days=[-100, *range(-3, 31)], rows_a_day=1)

    async def slowly(session: Session, oid: int) -> frozenset[str]:
        await session.execute("SELECT pg_catalog.pg_sleep(3600)")
        return await holders(session, oid)

    monkeypatch.setattr("pgalmanac.detaching.holders", slowly)
    looking = (
        "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)%' AND pid <> pg_backend_pid() AND state = 'active'"
    )
    with connect(database) as reader, connect(database) as other:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM events LIMIT 1")
        run = asyncio.create_task(maintain.perform(settings(database), MAINTAIN))
        await until(database, f"SELECT 1 {looking}")
        other.execute(sql.SQL("COMMENT ON TABLE {} IS 'keep it for the audit'").format(sql.Identifier(EXPIRED)))
        other.execute(f"SELECT pg_cancel_backend(pid) {looking}".encode())
        (table,) = (await run).tables

    assert [Status.FAILED] == [o.status for o in table.outcomes]
    assert [("keep it for the audit",)] == rows(database, "SELECT obj_description(%s::regclass)", EXPIRED)


async def test_every_attempt_at_a_drop_is_counted(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that met a lock, one that found the parent held, and the one that succeeded."""
    add_partitions(database, days=[-100, *range(-3, 31)], rows_a_day=1)

    with connect(database) as reader, connect(database) as analyst:
        analyst.execute("BEGIN")
        analyst.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(sql.Identifier(EXPIRED)))
        reader.execute("BEGIN")
        reader.execute("SELECT FROM ONLY events")

        async def released(session: Session, needs: Needs) -> tuple[str, ...]:
            analyst.execute("COMMIT")
            return await blockers(session, needs)

        async def left(session: Session, oid: int) -> frozenset[str]:
            reader.execute("COMMIT")
            return await holders(session, oid)

        monkeypatch.setattr("pgalmanac.attempts.blockers", released)
        monkeypatch.setattr("pgalmanac.detaching.holders", left)
        (table,) = (await maintain.perform(settings(database), MAINTAIN)).tables

    assert [(Status.DONE, 3)] == [(o.status, o.attempts) for o in table.outcomes]


async def test_what_was_done_is_recorded_when_the_run_is_called_off(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what was done while the record before it waited for a lock."""
    add_partitions(database, days=range(-3, 1))
    await beginning.initialise(settings(database))
    before = len(partition_names(database))
    record, second = Recorder.record, asyncio.Event()

    async def tells(self: Recorder, outcome: Outcome, calendar: Calendar) -> None:
        if outcome.action.partition.name == name(2):
            second.set()
        await record(self, outcome, calendar)

    monkeypatch.setattr(Recorder, "record", tells)
    with connect(database) as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE housekeeper_run_actions IN SHARE MODE")
        run = asyncio.create_task(maintain.perform(settings(database), MAINTAIN))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await second.wait()
        run.cancel()
        await asyncio.sleep(0)
        connection.execute("COMMIT")
    with pytest.raises(asyncio.CancelledError):
        await run

    assert 2 == len(partition_names(database)) - before
    assert [(2,)] == rows(database, "SELECT count(*) FROM housekeeper_run_actions WHERE status = 'done'")
    assert [("error", "interrupted")] == rows(database, "SELECT status, error FROM housekeeper_runs")


def end_sessions_of_the_history(conninfo: str) -> None:
    """As an administrator, or a network, ends the session that writes the history."""
    rows(
        conninfo,
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query LIKE '%INSERT INTO%housekeeper_run%'",
    )


@pytest.mark.parametrize("action", [1, 2])
async def test_a_history_whose_session_is_lost_is_written_in_a_new_one(database: str, action: int) -> None:
    """The run goes on, and its history has every action once, also the one whose answer was lost."""
    add_partitions(database, days=[-100, *range(-3, 1)], rows_a_day=1)
    outcomes: list[Outcome] = []

    def ends(event: object) -> None:
        if isinstance(event, Outcome):
            outcomes.append(event)
            if len(outcomes) == action:
                end_sessions_of_the_history(database)

    (table,) = (await maintain.perform(settings(database), MAINTAIN, observer=ends)).tables
    actions = rows(database, "SELECT seq, partition, status FROM housekeeper_run_actions ORDER BY seq")

    assert actions == [(n, str(o.action.partition), "done") for n, o in enumerate(table.outcomes, 1)]
    assert [("success",)] == rows(database, "SELECT status FROM housekeeper_runs")
    assert Code.HISTORY_UNAVAILABLE not in {f.code for f in table.findings}


@pytest.mark.parametrize("written", [True, False])
async def test_a_run_whose_beginning_got_no_answer_has_one_row(
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    written: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """Whether or not the row was written before the session was lost: nobody reads of an interruption that never was.

    The row of an earlier run that was killed is told apart.
    """
    add_partitions(database, days=range(-3, 1))
    await maintain.perform(settings(database), Request(command="create", target=f"{today() + timedelta(days=1)}"))
    rows(database, "UPDATE housekeeper_runs SET status = 'running' RETURNING id")
    begin, begun = History.begin, list[str]()

    async def loses(self: History, table: PartitionedTable, by: str, details: Mapping[str, object]) -> str:
        if begun:
            return await begin(self, table, by, details)
        begun.append(await begin(self, table, by, details) if written else "")
        await self.session.conn.close()
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(History, "begin", loses)
    (table,) = (await maintain.perform(settings(database), MAINTAIN)).tables
    recorded = rows(database, "SELECT status, error FROM housekeeper_runs ORDER BY started_at")
    ((actions,),) = rows(database, "SELECT count(*) FROM housekeeper_run_actions WHERE run_id::text = %s", table.run_id)

    assert [("error", "interrupted"), ("success", None)] == recorded
    assert len(table.outcomes) == actions > 1
    assert Code.HISTORY_UNAVAILABLE not in {f.code for f in table.findings}


async def test_what_is_not_recorded_is_counted_and_changes_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No new session is to be had until the end: all is done, and the run's row and the report say what lacks."""
    add_partitions(database, days=[-100, *range(-3, 1)], rows_a_day=1)
    opened = list[str]()

    def refused_once(dsn: str, **options: bool) -> AbstractAsyncContextManager[Session]:
        opened.extend([] if options else [dsn])  # that of the history is neither locking nor read-only
        if len(opened) == 2:
            opened.append("refused")
            raise ConnectError("cannot reach the database (it is starting up)", hint="later")
        return connected(dsn, **options)

    def ends(event: object) -> None:
        if isinstance(event, Outcome) and event.action.partition.name == name(1):
            end_sessions_of_the_history(database)

    monkeypatch.setattr("pgalmanac.run.connect", refused_once)
    (table,) = (await maintain.perform(settings(database), MAINTAIN, observer=ends)).tables
    ((status, output, unrecorded),) = rows(
        database, "SELECT status, output, (details ->> 'unrecorded')::int FROM housekeeper_runs"
    )
    ((recorded,),) = rows(database, "SELECT count(*) FROM housekeeper_run_actions")
    (finding,) = [f.message for f in table.findings if f.code is Code.HISTORY_UNAVAILABLE]

    assert {Status.DONE} == {o.status for o in table.outcomes}
    assert (status, unrecorded + recorded) == ("success", len(table.outcomes))
    assert f"{unrecorded} of its actions are not recorded (" in output
    assert f"{unrecorded} of its actions are not recorded (" in finding


async def test_a_record_that_cannot_be_made_leaves_no_run_open(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the program itself ends the run, and the history says so."""
    add_partitions(database, days=range(-3, 1))
    record = History.record

    async def fails(self: History, run_id: str, seq: int, outcome: Outcome, calendar: Calendar) -> None:
        if seq == 3:
            raise ValueError("no such thing")
        await record(self, run_id, seq, outcome, calendar)

    monkeypatch.setattr(History, "record", fails)
    with pytest.raises(ValueError, match="no such thing"):
        await maintain.perform(settings(database), MAINTAIN)

    assert [("error", "no such thing")] == rows(database, "SELECT status, error FROM housekeeper_runs")


async def test_an_end_that_is_written_again_says_the_same(database: str) -> None:
    """A run that is called off while its end is written writes it once more: the sentence does not grow."""
    async with connected(database) as session:
        history = await make_history(session, TableRef(schema="public", name="housekeeper_runs"))
        recorder = Recorder(history=history, run_id="0", trouble="the disk is full", _missing=2)
        end = partial(recorder.finish, error=None, details={}, keep_days=365)
        await session.execute("SET lock_timeout = 0")
        waiting = asyncio.create_task(end(output=""))
        with connect(database) as other, other.transaction():
            other.execute(b"LOCK TABLE housekeeper_runs")
            while not rows(database, "SELECT FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110  # the server knows it
                await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait([waiting])
        await end(output="")

    assert recorder.trouble == "2 of its actions are not recorded (the disk is full)"


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_detach_given_up_in_its_second_half_is_ended_or_stays_ours(
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    leaves: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """It goes at once where its locks are to be had by then; else it keeps its mark, and the next run drops it."""
    add_partitions(database, days=[-100, *range(-3, 31)], rows_a_day=1)
    hasty = Settings(dsn=database, defaults=Layer(values={"retention_days": 90, "retry_seconds": 3}))

    with connect(database) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM events LIMIT 1")

        async def left(session: Session, needs: Needs) -> tuple[str, ...]:
            if leaves:
                reader.execute("COMMIT")
            return await blockers(session, needs)

        monkeypatch.setattr("pgalmanac.detaching.holders", AsyncMock(return_value=frozenset()))
        monkeypatch.setattr("pgalmanac.execute.blockers", left)
        (table,) = (await maintain.perform(hasty, MAINTAIN)).tables
        there = rows(
            database,
            "SELECT inhdetachpending, obj_description(inhrelid, 'pg_class') LIKE 'pgalmanac-mark: %%' FROM pg_inherits"
            " WHERE inhrelid = to_regclass(%s)",
            EXPIRED,
        )
    (after,) = (await maintain.perform(settings(database), MAINTAIN)).tables

    assert [Status.DONE if leaves else Status.FAILED] == [o.status for o in table.outcomes]
    assert there == ([] if leaves else [(True, True)])
    assert (0 if leaves else 1, 0) == (after.dropped, after.count(Status.FAILED))
    assert rows(database, "SELECT to_regclass(%s) IS NULL", EXPIRED) == [(True,)]


@pytest.mark.parametrize("marked", [True, False])
async def test_a_detach_that_somebody_else_left_pending_meanwhile_is_named_with_what_ends_it(
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    marked: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """PostgreSQL detaches one at a time: no other one is begun or stays marked, and the next run does them all."""
    add_partitions(database, days=[-100, -99, *range(-3, 31)], rows_a_day=1)
    mark, theirs = Detaching._mark, name(-3)  # the moment between the two statements

    def pending() -> None:
        if not rows(database, "SELECT FROM pg_inherits WHERE inhdetachpending"):
            leave_pending(database, theirs)

    async def too_late(detaching: Detaching, action: Action) -> int:
        attempts = await mark(detaching, action)
        pending()
        return attempts

    if marked:
        monkeypatch.setattr(Detaching, "_mark", too_late)
    (table,) = (
        await maintain.perform(settings(database), MAINTAIN, observer=lambda _: None if marked else pending())
    ).tables
    monkeypatch.undo()
    marks = rows(database, "SELECT count(*) FROM pg_inherits WHERE obj_description(inhrelid, 'pg_class') IS NOT NULL")
    (after,) = (await maintain.perform(settings(database), MAINTAIN)).tables

    sentence = (
        f"the detach of public.{theirs} was begun and not finished, and PostgreSQL detaches one partition at a time; "
        "pgalmanac maintain finishes it"
    )
    assert [(Status.REFUSED, sentence)] * 2 == [(o.status, o.error) for o in table.outcomes]
    assert marks == [(0,)]
    assert (2, 0) == (after.dropped, after.count(Status.REFUSED))
    assert rows(database, "SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == [(0,)]


async def test_no_detach_is_begun_while_somebody_holds_the_table(database: str) -> None:
    """It would wait for them half detached, where queries no longer see the rows: nothing is marked."""
    add_partitions(database, days=[-100, *range(-3, 31)], rows_a_day=1)
    hasty = Settings(dsn=database, defaults=Layer(values={"retention_days": 90, "retry_seconds": 1}))
    with connect(database) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM events LIMIT 1")
        (table,) = (await maintain.perform(hasty, MAINTAIN)).tables
        there = rows(
            database,
            "SELECT inhdetachpending, obj_description(inhrelid, 'pg_class') FROM pg_inherits"
            " WHERE inhrelid = to_regclass(%s)",
            EXPIRED,
        )

    assert [Status.FAILED] == [o.status for o in table.outcomes]
    assert "AccessShareLock" in str(table.outcomes[0].error)
    assert there == [(False, None)]


def forbid(conninfo: str, event: str, condition: str = "true", error: str = "P0001") -> None:
    """Have an event trigger refuse DROP TABLE."""
    with connect(conninfo) as connection:
        connection.execute(
            f"CREATE FUNCTION public.keep() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN"
            f" RAISE 'nothing goes here' USING ERRCODE = '{error}', HINT = 'ask us first'; END IF; END $$;"
            f"CREATE EVENT TRIGGER keeper ON {event} WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION public.keep()".encode()
        )


FORBIDDEN = (
    "nothing goes here; ask us first; the event trigger keeper forbids it; have its function public.keep let it pass"
)
NOT_TRIED = "not tried: DROP TABLE failed 2 times in a row, last with: nothing goes here"
OLD = [-104, -103, -102, -101, -100]


@pytest.mark.parametrize(
    ("event", "error"), [("sql_drop", "P0001"), ("ddl_command_start", "42501"), ("ddl_command_end", "P0001")]
)
async def test_where_dropping_is_forbidden_no_night_detaches_more(database: str, event: str, error: str) -> None:
    """Two partitions meet the event trigger; the others stay attached, that night and the next, until they may go."""
    add_partitions(database, days=[*OLD, *range(31)])
    forbid(database, event, error=error)

    nights = [(await maintain.perform(settings(database), MAINTAIN)).tables[0] for _ in range(2)]
    left = set(partition_names(database)) & set(map(name, OLD))
    with connect(database) as connection:
        connection.execute("DROP EVENT TRIGGER keeper")
    (after,) = (await maintain.perform(settings(database), MAINTAIN)).tables

    assert [[FORBIDDEN] * 2 + [NOT_TRIED] * 3] * 2 == [[o.error for o in night.outcomes] for night in nights]
    assert set(map(name, OLD[2:])) == left
    assert [Status.DONE] * 5 == [o.status for o in after.outcomes]


async def test_a_single_table_that_may_not_be_dropped_keeps_no_other(database: str) -> None:
    """An event trigger may be about one table: whatever comes after it goes, also in the nights to come."""
    add_partitions(database, days=[*OLD, *range(31)])
    held = "EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_identity LIKE '%{}')"
    forbid(database, "sql_drop", held.format(name(OLD[0])))

    (first,) = (await maintain.perform(settings(database), MAINTAIN)).tables
    add_partitions(database, days=OLD[1:])
    (second,) = (await maintain.perform(settings(database), MAINTAIN)).tables

    assert [[FORBIDDEN] + [None] * 4] * 2 == [[o.error for o in table.outcomes] for table in (first, second)]


async def test_nothing_is_archived_for_a_drop_that_is_forbidden(database: str, tmp_path: Path) -> None:
    """What is archived and not dropped is detached too: two of them are enough."""
    add_partitions(database, days=[*OLD, *range(31)], rows_a_day=1)
    forbid(database, "sql_drop")
    wanted = replace(settings(database), flags=Layer(values={"archive_url": tmp_path.as_uri()}))

    (table,) = (await maintain.perform(wanted, MAINTAIN)).tables
    archived = [o.error for o in table.outcomes if o.action.kind is ActionKind.ARCHIVE]

    assert [None, None] == archived[:2]
    assert [True] * 3 == [NOT_TRIED in (error or "") for error in archived[2:]]
    assert set(map(name, OLD[2:])) == set(partition_names(database)) & set(map(name, OLD))


async def test_a_creation_that_an_event_trigger_forbids_names_it(database: str) -> None:
    """It is said of whatever it refuses, and of no other whose name the server's context of an error has too."""
    with connect(database) as connection:
        connection.execute(
            "CREATE FUNCTION line() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
            "CREATE EVENT TRIGGER another ON ddl_command_end EXECUTE FUNCTION line();"
            "CREATE FUNCTION keep() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';"
            "CREATE EVENT TRIGGER keeper ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION keep()"
        )
    wanted = replace(settings(database), flags=Layer(values={"premake_days": 0}))
    (table,) = (await maintain.perform(wanted, MAINTAIN)).tables

    said = "no; the event trigger keeper forbids it; have its function public.keep let it pass"
    assert [said] == [o.error for o in table.outcomes]
