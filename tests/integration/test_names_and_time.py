"""Names, text and time as hostile as PostgreSQL allows, and maintenance that means the same in all of them."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from pgalmanac.actions import Status
from pgalmanac.apply import apply
from pgalmanac.beginning import initialise
from pgalmanac.catalog import inspect
from pgalmanac.db import connect as open_session
from pgalmanac.errors import ConfigError
from pgalmanac.findings import Code
from pgalmanac.guard import drop_guard, mark_guard
from pgalmanac.inspection import Request
from pgalmanac.maintain import past_runs, perform
from pgalmanac.model import Interval, KeyType
from pgalmanac.plan import Plan, plan_maintain
from pgalmanac.policy import Policy
from pgalmanac.steps import marking
from pgalmanac.structure import read_structure
from pgalmanac.table_names import TableRef
from support import connect, rows
from under_fire import create_log, execute, log_partition, maintain, midnight, planned, settings, todo

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from pgalmanac.attempts import LastLook
    from pgalmanac.pgserver import Cluster
    from pgalmanac.results import RunReport

NAMES: Final = (
    "log",
    "Big Log",
    'quo"te',
    "sem;i--colon",
    "per%cent %s {x} {{}}",
    "back\\slash",
    "it's",
    "select",
    "événements_日本",
    "l" * 63,
    "ü" * 31,
    "dotted.name",
    "new\nline",
    "1digit",
    "$dollar",
    "tab\there",
)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _errors(report: RunReport) -> list[str | None]:
    return [o.error for t in report.tables for o in t.outcomes if o.error]


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_table_schema_and_column(empty_database: str, name: str, default: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    """A run, its move of stray rows and its drop work with every name that a server takes; none is cut or guessed."""
    table = f"{_quoted(name)}.{_quoted(name)}"
    with connect(empty_database) as connection:
        for text in (
            f"CREATE SCHEMA {_quoted(name)}",
            (
                f"CREATE TABLE {table} (id int, {_quoted(name)} timestamptz NOT NULL,"
                f" PRIMARY KEY (id, {_quoted(name)})) PARTITION BY RANGE ({_quoted(name)})"
            ),
            (
                f"CREATE TABLE {_quoted(name)}.old PARTITION OF {table}"
                f" FOR VALUES FROM ('{midnight(-9)}') TO ('{midnight(-8)}')"
            ),
            *(
                (
                    f"CREATE TABLE {_quoted(name)}.rest PARTITION OF {table} DEFAULT",
                    f"INSERT INTO {table} VALUES (1, '{midnight(1)}')",
                )
                if default
                else ()
            ),
        ):
            connection.execute(text.encode())

    report = maintain(empty_database, table)

    found = report.tables[0]
    assert report.exit_code == 0, _errors(report)
    assert (4, 1, int(default)) == (found.created, found.dropped, found.moved_rows)
    assert todo(empty_database, table) == []
    made = [o.action.partition.name for o in found.outcomes if o.status is Status.DONE][:4]
    assert all(len(n.encode()) <= 63 for n in made)
    assert all(n.endswith(f"{midnight(day):%Y_%m_%d}") for day, n in enumerate(made))


@pytest.mark.parametrize("name", ["per%cent %s", 'quo"te', "{x}", "runs"])
def test_any_name_of_the_history(empty_database: str, name: str) -> None:
    """What is recorded in it is read again."""
    create_log(empty_database, days=(-9, 0))
    chosen = replace(settings(empty_database), history_table=TableRef(schema="public", name=name))
    report = asyncio.run(perform(chosen, Request(command="maintain")))
    asyncio.run(perform(chosen, Request(command="maintain")))
    runs = asyncio.run(past_runs(chosen, limit=10, run_id=report.tables[0].run_id))

    assert [f for t in report.tables for f in t.findings if f.code is Code.HISTORY_UNAVAILABLE] == []
    assert [len(run.actions) for run in runs] == [len(report.tables[0].outcomes)]


def test_names_that_collide_when_shortened_are_refused(empty_database: str) -> None:
    """Two tables whose 63 bytes differ only at the end: the second one's partitions are refused, not confused."""
    first, second = "a" * 62 + "x", "a" * 62 + "y"
    for name in (first, second):
        execute(empty_database, f"CREATE TABLE {name} (ts timestamptz NOT NULL) PARTITION BY RANGE (ts)")

    report = maintain(empty_database, first, second)

    one, other = report.tables
    assert (4, 0) == (one.created, one.count(Status.REFUSED))
    assert (0, 4) == (other.created, other.count(Status.REFUSED))
    assert report.exit_code == 1
    assert rows(empty_database, f"SELECT count(*) FROM pg_inherits WHERE inhparent = '{second}'::regclass") == [(0,)]


@pytest.mark.parametrize("kind", ["TABLE {} (x int)", "VIEW {} AS SELECT 1", "SEQUENCE {}", "TYPE {} AS (x int)"])
def test_a_taken_name_refuses_one_period(empty_database: str, kind: str) -> None:
    """Something of another kind has tomorrow's name: that day is refused, and the others are made."""
    create_log(empty_database, days=(0,))
    execute(empty_database, "CREATE " + kind.format(f"log_{midnight(1):%Y_%m_%d}"))

    report = maintain(empty_database)

    assert report.exit_code == 1
    assert (2, 1) == (report.tables[0].created, report.tables[0].count(Status.REFUSED))


def test_a_schema_off_the_path_beside_one_of_the_same_name_on_it(empty_database: str) -> None:
    """`app.log` means that one, whatever else is called log on the path."""
    create_log(empty_database, days=(0,))
    execute(empty_database, "CREATE SCHEMA app")
    create_log(empty_database, table="app.log")

    report = maintain(empty_database, "app.log")

    assert report.tables[0].created == 4
    assert rows(empty_database, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.log'::regclass") == [(1,)]


HOSTILE: Final = (
    "CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT '1999-01-01'::timestamptz$$",
    "CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT timestamptz '1999-01-01'$$",
    "CREATE FUNCTION hostile.evil() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'hijacked'; END$$",
    "CREATE FUNCTION hostile.ge(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.evil()'",
    "CREATE OPERATOR hostile.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.ge)",
    "CREATE OPERATOR hostile.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.ge)",
    "CREATE FUNCTION hostile.eq(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.evil()'",
    "CREATE OPERATOR hostile.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = hostile.eq)",
    "CREATE FUNCTION hostile.eqn(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.evil()'",
    "CREATE OPERATOR hostile.= (LEFTARG = name, RIGHTARG = name, FUNCTION = hostile.eqn)",
    (
        "CREATE FUNCTION hostile.sub(timestamptz, timestamptz) RETURNS interval LANGUAGE plpgsql"
        " AS $$BEGIN RAISE 'hijacked'; END$$"
    ),
    "CREATE OPERATOR hostile.- (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.sub)",
    (
        "CREATE FUNCTION hostile.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql"
        " AS $$BEGIN RAISE 'hijacked'; END$$"
    ),
    "CREATE VIEW hostile.pg_class AS SELECT 1 AS oid, hostile.evil()",
    "CREATE VIEW hostile.pg_inherits AS SELECT 1 AS inhrelid, hostile.evil()",
    "CREATE DOMAIN hostile.timestamptz AS pg_catalog.timestamptz CHECK (hostile.evil())",
)


@pytest.mark.parametrize("default", [False, True])
def test_a_hostile_search_path_changes_nothing(empty_database: str, default: bool) -> None:  # noqa: FBT001  # by name
    """Functions, operators, views and types in front of pg_catalog's on the role's path are never used."""
    create_log(empty_database, days=(-9, 0), rows_a_day=3, default=default)
    if default:
        execute(empty_database, f"INSERT INTO log VALUES (1, '{midnight(1)}')")
    execute(empty_database, "CREATE SCHEMA hostile", *HOSTILE)
    name = rows(empty_database, "SELECT current_database()")[0][0]
    execute(empty_database, f"ALTER DATABASE {name} SET search_path = hostile, pg_catalog, public")

    report = maintain(empty_database, "public.log")

    assert report.exit_code == 0, _errors(report)
    assert (3, 1, int(default)) == (report.tables[0].created, report.tables[0].dropped, report.tables[0].moved_rows)


def test_unqualified_functions_of_the_user_are_found(empty_database: str) -> None:
    """A default, a check, a trigger and an event trigger that rely on the role's path work under maintenance."""
    execute(
        empty_database,
        "CREATE SCHEMA own",
        "CREATE FUNCTION own.fine(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN own_too(); END'",
        "CREATE FUNCTION own.own_too() RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
    )
    create_log(empty_database, days=(-9, 0), default=True)
    name = rows(empty_database, "SELECT current_database()")[0][0]
    execute(
        empty_database,
        "ALTER TABLE log ADD CHECK (own.fine(note)) NOT VALID",
        "CREATE TABLE seen (tag text)",
        "CREATE FUNCTION own.see() RETURNS event_trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF own_too() THEN INSERT INTO public.seen VALUES (tg_tag); END IF; END'",
        "CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION own.see()",
        f"ALTER DATABASE {name} SET search_path = own, public",
    )
    with connect(empty_database) as connection:
        connection.execute(b"SET search_path = own, public")
        connection.execute(f"INSERT INTO public.log VALUES (1, '{midnight(1)}')".encode())

    report = maintain(empty_database, "public.log")

    assert report.exit_code == 0, _errors(report)
    assert report.tables[0].moved_rows == 1
    assert ("CREATE TABLE",) in rows(empty_database, "SELECT DISTINCT tag FROM public.seen")


STYLES: Final = ("ISO, DMY", "SQL, MDY", "German", "Postgres, YMD")
ZONES: Final = ("UTC", "America/St_Johns", "Asia/Kolkata", "Pacific/Apia")
ENCODINGS: Final = ("UTF8", "LATIN1", "SQL_ASCII", "WIN1252")


@pytest.fixture(scope="module")
def settled(
    new_database: Callable[..., AbstractContextManager[str]],
) -> Generator[tuple[str, str, list[tuple[object, ...]]]]:
    """Give a database with a maintained table, a role for settings, and what maintenance said and made in plain UTC."""
    with new_database() as conninfo:
        create_log(conninfo, days=(-9, 0), rows_a_day=2, default=True, table="lög")
        execute(conninfo, f"INSERT INTO lög VALUES (1, '{midnight(2)}')")
        role = f"settled_{uuid4().hex[:8]}"
        execute(conninfo, f"CREATE ROLE {role} LOGIN SUPERUSER")
        yield conninfo, role, _plan(_as(conninfo, role))
        execute(conninfo, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def _as(conninfo: str, role: str) -> str:
    return conninfo.replace("user='postgres'", f"user='{role}'")


def _plan(conninfo: str) -> list[tuple[object, ...]]:
    report = planned(conninfo, "lög")
    return [
        (o.action.kind, str(o.action.partition), o.action.bounds, o.statements)
        for t in report.tables
        for o in t.outcomes
    ]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("where", ["role", "client"])
def test_settings_of_role_and_client_change_no_plan(
    settled: tuple[str, str, list[tuple[object, ...]]],
    monkeypatch: pytest.MonkeyPatch,
    style: str,
    where: str,
) -> None:
    """DateStyle, TimeZone, client_encoding and the rest of the role or of PG* variables change no byte of a plan."""
    conninfo, role, expected = settled
    for zone, encoding in itertools.product(ZONES, ENCODINGS):
        if where == "role":
            execute(
                conninfo,
                f"ALTER ROLE {role} SET DateStyle = '{style}'",
                f"ALTER ROLE {role} SET TimeZone = '{zone}'",
                f"ALTER ROLE {role} SET client_encoding = '{encoding}'",
                f"ALTER ROLE {role} SET IntervalStyle = 'sql_standard'",
                f"ALTER ROLE {role} SET extra_float_digits = -15",
                f"ALTER ROLE {role} SET standard_conforming_strings = off",
                f"ALTER ROLE {role} SET bytea_output = escape",
                f"ALTER ROLE {role} SET transform_null_equals = on",
                f"ALTER ROLE {role} SET default_transaction_isolation = 'serializable'",
                f"ALTER ROLE {role} SET default_transaction_read_only = on",
                f"ALTER ROLE {role} SET statement_timeout = '10s'",
                f"ALTER ROLE {role} SET enable_partition_pruning = off",
            )
        else:
            monkeypatch.setenv("PGDATESTYLE", style)
            monkeypatch.setenv("PGTZ", zone)
            monkeypatch.setenv("PGCLIENTENCODING", encoding)

        assert expected == _plan(_as(conninfo, role)), (zone, encoding)


def test_a_run_under_a_roles_odd_settings_works(
    settled: tuple[str, str, list[tuple[object, ...]]], new_database: Callable[..., AbstractContextManager[str]]
) -> None:
    """Not only planned but done: a role with the oddest settings maintains the table, and nothing is left to do."""
    conninfo, role, _ = settled
    name = rows(conninfo, "SELECT current_database()")[0][0]
    for setting, value in (
        ("standard_conforming_strings", "off"),
        ("DateStyle", "German"),
        ("TimeZone", "Pacific/Apia"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_deferrable", "on"),
        ("client_encoding", "LATIN1"),
        ("synchronous_commit", "off"),
        ("role", "none"),
    ):
        execute(conninfo, f"ALTER ROLE {role} SET {setting} = '{value}'")
    with new_database(template=name) as copy:
        report = maintain(_as(copy, role), "lög")

        assert report.exit_code == 0, _errors(report)
        assert report.tables[0].moved_rows == 1
        assert todo(copy, "lög") == []


def _run_at(conninfo: str, now: datetime, policy: Policy) -> tuple[Plan, list[str | None]]:
    """Plan and apply as of another instant; what was to be dropped is looked at again by the server's own clock."""

    async def run() -> tuple[Plan, list[str | None]]:
        async with open_session(conninfo) as session:
            table = replace(await inspect(session, TableRef(name="log")), now=now)
            plan = plan_maintain(table, policy)
            structure = await read_structure(session, table)
            outcomes = [o async for o in apply(session, plan, structure)]
            again = plan_maintain(replace(await inspect(session, TableRef(name="log")), now=now), policy)
            assert again.todo == (), "planning the result gives an empty plan"
            return plan, [o.error for o in outcomes if o.status is not Status.DONE]

    return asyncio.run(run())


CHANGES: Final = (
    ("Europe/Berlin", datetime(2025, 3, 28, 12, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2025, 10, 24, 22, 30, tzinfo=UTC)),
    ("America/St_Johns", datetime(2025, 3, 7, 3, 29, tzinfo=UTC)),
    ("America/St_Johns", datetime(2025, 10, 31, 3, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2025, 10, 31, 18, 31, tzinfo=UTC)),
    ("America/Santiago", datetime(2025, 9, 5, 12, tzinfo=UTC)),  # midnight does not exist on the 7th
    ("Pacific/Apia", datetime(2011, 12, 28, 12, tzinfo=UTC)),  # the 30th does not exist
    ("UTC", datetime(2024, 2, 27, 12, tzinfo=UTC)),  # leap day
    ("UTC", datetime(2025, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(1969, 12, 30, tzinfo=UTC)),
    ("America/St_Johns", datetime(2038, 1, 17, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2262, 4, 10, tzinfo=UTC)),
)


@pytest.mark.parametrize("key", ["timestamptz", "timestamp", "date"])
@pytest.mark.parametrize("interval", [Interval.DAILY, Interval.HOURLY, Interval.MONTHLY])
@pytest.mark.parametrize(("zone", "now"), CHANGES)
def test_partitions_follow_each_other_without_a_hole(
    empty_database: str, zone: str, now: datetime, interval: Interval, key: str
) -> None:
    """Over changes of clocks, leap days and year boundaries every moment of three days has exactly one partition."""
    if key == "date" and interval is Interval.HOURLY:
        pytest.skip("a date has no hours")
    execute(empty_database, f"CREATE TABLE log (ts {key} NOT NULL) PARTITION BY RANGE (ts)")
    policy = Policy(interval=interval, premake_days=4, retention_days=None, timezone=ZoneInfo(zone))

    plan, bad = _run_at(empty_database, now, policy)

    bounds = sorted((a.bounds.lower, a.bounds.upper) for a in plan.actions if a.bounds.lower and a.bounds.upper)
    assert bad == []
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds)), "no hole, no overlap"
    assert len({a.partition for a in plan.actions}) == len(plan.actions)
    with connect(empty_database) as connection:
        for minutes in range(0, 3 * 24 * 60, 29):
            moment = now + timedelta(minutes=minutes)
            shown = moment if key == "timestamptz" else moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            connection.execute(f"INSERT INTO log VALUES (%s::{key})".encode(), [shown])


@pytest.mark.parametrize(
    ("lower", "upper", "kept"),
    [
        ("'-infinity'", "'2001-01-01'", True),
        ("MINVALUE", "'2001-01-01'", True),
        ("'4000-01-01 BC'", "'3999-12-31 BC'", True),
        ("'0001-01-01'", "'0001-01-02'", True),
        ("'1968-02-29'", "'1968-03-01'", False),
    ],
)
def test_the_far_past(empty_database: str, lower: str, upper: str, kept: bool) -> None:  # noqa: FBT001  # by name
    """What has no beginning that a calendar knows is kept, with its reason; what has one is past retention and goes."""
    execute(
        empty_database,
        "CREATE TABLE log (ts timestamptz NOT NULL) PARTITION BY RANGE (ts)",
        f"CREATE TABLE past PARTITION OF log FOR VALUES FROM ({lower}) TO ({upper})",
    )

    report = maintain(empty_database)

    assert report.exit_code == 0, _errors(report)
    assert (0 if kept else 1) == report.tables[0].dropped
    assert rows(empty_database, "SELECT to_regclass('past') IS NOT NULL") == [(kept,)]


@pytest.mark.parametrize("upper", ["'infinity'", "MAXVALUE", "'20000-01-01'"])
def test_the_far_future(empty_database: str, upper: str) -> None:
    """A partition for ever leaves nothing to create, and is never dropped."""
    execute(
        empty_database,
        "CREATE TABLE log (ts timestamptz NOT NULL) PARTITION BY RANGE (ts)",
        f"CREATE TABLE future PARTITION OF log FOR VALUES FROM ('2001-01-01') TO ({upper})",
    )

    report = maintain(empty_database)

    assert report.exit_code == 0, _errors(report)
    assert report.tables[0].outcomes == ()


@pytest.mark.parametrize("zone", [{}, {"timezone": ZoneInfo("UTC")}])
def test_partitions_of_another_sessions_zone_are_continued_without_a_hole(
    empty_database: str, zone: dict[str, Any]
) -> None:
    """Bounds written in one session's zone are instants: a UTC day that they cover in part is an error until fix."""
    execute(empty_database, "CREATE TABLE log (ts timestamptz NOT NULL) PARTITION BY RANGE (ts)")
    with connect(empty_database) as connection:
        connection.execute(b"SET TimeZone = 'Asia/Kolkata'")
        for day in (-1, 0):
            lower, upper = (f"{midnight(day + n):%Y-%m-%d}" for n in (0, 1))
            connection.execute(
                f"CREATE TABLE log_{day + 5} PARTITION OF log FOR VALUES FROM ('{lower}') TO ('{upper}')".encode()
            )

    report = maintain(empty_database, **zone)
    fixed = maintain(empty_database, request=Request(command="fix", back=1, ahead=3), **zone)

    assert (report.exit_code, _errors(report)) == (1, [])
    assert "inserts fail: pgalmanac fix" in str(report.tables[0].error)
    assert fixed.exit_code == 0, _errors(fixed)
    assert Code.GAP in {f.code for f in report.tables[0].findings}
    assert Code.GAP not in {f.code for f in fixed.tables[0].findings}
    with connect(empty_database) as connection:
        for minutes in range(0, 3 * 24 * 60, 10):
            connection.execute(b"INSERT INTO log VALUES (%s)", [midnight() + timedelta(minutes=minutes)])


def test_referenced_rows_keep_their_partition(empty_database: str) -> None:
    """Referred to by a row of another table: skipped with the constraint's name; the unreferenced one goes."""
    create_log(empty_database, days=(-9, -8, 0), rows_a_day=3)
    execute(
        empty_database,
        "CREATE TABLE referring (id bigint, ts timestamptz, CONSTRAINT why FOREIGN KEY (id, ts) REFERENCES log)",
        f"INSERT INTO referring SELECT id, ts FROM log WHERE ts < '{midnight(-8)}' LIMIT 1",
    )

    report = maintain(empty_database)

    assert report.exit_code == 0, _errors(report)
    assert (1, 1) == (report.tables[0].dropped, report.tables[0].count(Status.SKIPPED))
    assert any("why" in f.message for f in report.tables[0].findings)
    assert rows(empty_database, "SELECT count(*) FROM referring JOIN log USING (id, ts)") == [(1,)]
    assert rows(empty_database, "SELECT count(*) FROM pg_constraint WHERE conname = 'why'") == [(1,)]


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
@pytest.mark.parametrize("default", [False, True])
def test_a_view_keeps_its_partition(empty_database: str, kind: str, default: bool) -> None:  # noqa: FBT001  # by name
    """A view on a partition that is due: the partition stays attached, with a finding naming the view."""
    create_log(empty_database, days=(-9, -8, 0), rows_a_day=3, default=default)
    due = f"log_{midnight(-9):%Y_%m_%d}"
    execute(empty_database, f"CREATE {kind} upon AS SELECT * FROM {due}")

    report = maintain(empty_database)

    assert report.exit_code == 0, _errors(report)
    assert report.tables[0].dropped == 1
    assert any("upon" in f.message for f in report.tables[0].findings)
    assert rows(empty_database, f"SELECT relispartition FROM pg_class WHERE oid = '{due}'::regclass") == [(True,)]


def test_a_function_that_uses_the_row_type_keeps_its_partition(empty_database: str) -> None:
    """What depends on a partition's row type would fail the drop after the detach: it is seen before."""
    create_log(empty_database, days=(-9, 0))
    due = f"log_{midnight(-9):%Y_%m_%d}"
    execute(empty_database, f"CREATE FUNCTION taking({due}) RETURNS int LANGUAGE sql AS 'SELECT 1'")

    report = maintain(empty_database)

    assert report.exit_code == 0, _errors(report)
    assert (0, 1) == (report.tables[0].dropped, report.tables[0].count(Status.SKIPPED))


@pytest.mark.parametrize("default", [False, True], ids=["concurrently", "at once"])
def test_what_depends_on_a_part_of_a_partition_keeps_it(
    empty_database: str,
    default: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """The sequence of a table that became a partition serves its siblings, an array holds its rows: both are seen.

    What only the partition itself uses goes along with it.
    """
    create_log(empty_database, days=(-9, -8, -7, 0), rows_a_day=3, default=default)
    once, arrayed, own = (f"log_{midnight(day):%Y_%m_%d}" for day in (-9, -8, -7))
    for name in (once, own):
        execute(empty_database, f"CREATE SEQUENCE {name}_seq OWNED BY {name}.id")
        execute(empty_database, f"ALTER TABLE {name} ALTER id SET DEFAULT nextval('{name}_seq')")
    execute(empty_database, f"ALTER TABLE log ALTER id SET DEFAULT nextval('{once}_seq')")
    execute(empty_database, f"CREATE TABLE keeping (kept {arrayed}[])")

    report = maintain(empty_database, max_drops=3)

    assert report.exit_code == 0, _errors(report)
    outcomes = {o.action.partition.name: (o.status, o.error or "") for o in report.tables[0].outcomes}
    assert outcomes[own] == (Status.DONE, "")
    assert outcomes[arrayed][0] is outcomes[once][0] is Status.SKIPPED
    assert "keeping depends on it" in outcomes[arrayed][1]
    assert "table public.log" in outcomes[once][1]
    assert f"ALTER SEQUENCE public.{once}_seq OWNED BY NONE" in outcomes[once][1]
    still = f"SELECT count(*) FROM pg_inherits WHERE inhrelid IN ('{once}'::regclass, '{arrayed}'::regclass)"
    assert rows(empty_database, still) == [(2,)]

    execute(empty_database, f"ALTER SEQUENCE {once}_seq OWNED BY NONE")
    execute(empty_database, "DROP TABLE keeping")
    assert maintain(empty_database).tables[0].dropped == 2


def test_nothing_is_dropped_that_the_plan_did_not_name(empty_database: str) -> None:
    """Between plan and drop somebody replaces the partition by another of its name: that one is not dropped."""
    create_log(empty_database, days=(-9, 0), rows_a_day=3, default=True)
    due = f"log_{midnight(-9):%Y_%m_%d}"

    async def run() -> list[Status]:
        async with open_session(empty_database) as session:
            table = await inspect(session, TableRef(name="log"))
            plan = plan_maintain(table, Policy(premake_days=0, retention_days=5))
            execute(empty_database, f"DROP TABLE {due}")
            log_partition(empty_database, -9, rows_a_day=7)
            return [o.status async for o in apply(session, plan, None)]

    statuses = asyncio.run(run())

    assert statuses == [Status.REFUSED]
    assert rows(empty_database, f"SELECT count(*) FROM {due}") == [(7,)]


@pytest.mark.parametrize("default", [True, False])
def test_a_name_that_went_to_another_partition_does_not_take_that_along(empty_database: str, default: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Between plan and drop two partitions change names: statements go by names, and today's would be dropped."""
    create_log(empty_database, days=(-9, 0), rows_a_day=3, default=default)
    due, kept = (f"log_{midnight(day):%Y_%m_%d}" for day in (-9, 0))

    async def run() -> list[Status]:
        async with open_session(empty_database) as session:
            plan = plan_maintain(await inspect(session, TableRef(name="log")), Policy(premake_days=0, retention_days=5))
            for old, new in ((due, "away"), (kept, due), ("away", kept)):
                execute(empty_database, f"ALTER TABLE {old} RENAME TO {new}")
            return [o.status async for o in apply(session, plan, None)]

    assert asyncio.run(run()) == [Status.REFUSED]
    assert rows(empty_database, "SELECT count(*) FROM log") == [(6,)]


@pytest.mark.parametrize("default", [True, False], ids=["at once", "concurrently"])
@pytest.mark.parametrize("renamed", ["partition", "parent", "schema"])
def test_what_is_called_otherwise_by_now_is_not_said_to_be_gone(
    empty_database: str,
    renamed: str,
    default: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """Between plan and drop somebody renames or moves the partition or its table: that wants a look, not gone."""
    create_log(empty_database, days=(-9, 0), rows_a_day=3, default=default)
    due = f"log_{midnight(-9):%Y_%m_%d}"
    changes = {
        "partition": (f"ALTER TABLE {due} RENAME TO kept", f"public.{due} is called public.kept by now"),
        "parent": ("ALTER TABLE log RENAME TO records", "public.log is called public.records by now"),
        "schema": ("CREATE SCHEMA other; ALTER TABLE log SET SCHEMA other", "public.log is called other.log by now"),
    }
    change, said = changes[renamed]

    async def run() -> list[tuple[Status, str | None]]:
        async with open_session(empty_database) as session:
            plan = plan_maintain(await inspect(session, TableRef(name="log")), Policy(premake_days=0, retention_days=5))
            execute(empty_database, change)
            return [(o.status, o.error) async for o in apply(session, plan, None)]

    assert asyncio.run(run()) == [(Status.REFUSED, f"{said}; look again")]


def test_what_somebody_else_dropped_is_gone(empty_database: str) -> None:
    """Between plan and drop somebody drops the partition: there is nothing left to do, and nothing wrong."""
    create_log(empty_database, days=(-9, 0))

    async def run() -> list[tuple[Status, str | None]]:
        async with open_session(empty_database) as session:
            plan = plan_maintain(await inspect(session, TableRef(name="log")), Policy(premake_days=0, retention_days=5))
            execute(empty_database, f"DROP TABLE log_{midnight(-9):%Y_%m_%d}")
            return [(o.status, o.error) async for o in apply(session, plan, None)]

    assert asyncio.run(run()) == [(Status.SKIPPED, "it is gone already: somebody else dropped it")]


def test_a_referring_table_that_went_is_not_the_partition(empty_database: str) -> None:
    """Between plan and drop the table that refers to ours goes: its lock is not to be had, the partition is there."""
    create_log(empty_database, days=(-9, 0), rows_a_day=3)
    execute(empty_database, "CREATE TABLE child (id bigint, ts timestamptz, FOREIGN KEY (id, ts) REFERENCES log)")

    async def run() -> list[tuple[Status, str | None]]:
        async with open_session(empty_database) as session:
            plan = plan_maintain(await inspect(session, TableRef(name="log")), Policy(premake_days=0, retention_days=5))
            execute(empty_database, "DROP TABLE child")
            return [(o.status, o.error) async for o in apply(session, plan, None)]

    assert asyncio.run(run()) == [(Status.FAILED, 'relation "public.child" does not exist')]


def test_a_detached_table_that_became_a_partition_of_another_stays(empty_database: str) -> None:
    """An unfinished drop, and between plan and drop somebody attaches the table elsewhere: its mark is void."""
    create_log(empty_database, days=(-9, 0), rows_a_day=3)
    due = f"log_{midnight(-9):%Y_%m_%d}"

    async def run() -> list[tuple[Status, str | None]]:
        async with open_session(empty_database) as session:
            policy = Policy(premake_days=0, retention_days=5)
            plan = plan_maintain(await inspect(session, TableRef(name="log")), policy)
            (mark,) = marking(plan.view, plan.todo[0], None).work
            await session.execute(mark.sql)
            execute(empty_database, f"ALTER TABLE log DETACH PARTITION {due}")
            again = plan_maintain(await inspect(session, TableRef(name="log")), policy)
            execute(
                empty_database,
                "CREATE TABLE other (LIKE log) PARTITION BY RANGE (ts)",
                f"ALTER TABLE other ATTACH PARTITION {due} FOR VALUES FROM ('{midnight(-9)}') TO ('{midnight(-8)}')",
            )
            return [(o.status, o.error) async for o in apply(session, again, None)]

    ((status, error),) = asyncio.run(run())

    assert status is Status.REFUSED
    assert "is not the table that was planned for" in (error or "")
    assert rows(empty_database, "SELECT count(*) FROM other") == [(3,)]


@pytest.mark.parametrize("default", [True, False])
def test_a_partition_that_is_partitioned_itself_is_not_dropped_whatever_a_plan_says(
    empty_database: str,
    default: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """The plan skips it; and if it did not, the last look would find no plain table."""
    create_log(empty_database, days=(0,), default=default)
    parts = f"log_{midnight(-9):%Y_%m_%d}"
    execute(
        empty_database,
        f"CREATE TABLE {parts} PARTITION OF log FOR VALUES FROM ('{midnight(-9)}') TO ('{midnight(-8)}')"
        " PARTITION BY RANGE (ts)",
        f"CREATE TABLE {parts}_all PARTITION OF {parts} DEFAULT",
    )

    async def run() -> tuple[list[Status], list[Status]]:
        async with open_session(empty_database) as session:
            table = await inspect(session, TableRef(name="log"))
            plan = plan_maintain(table, Policy(premake_days=0, retention_days=5))
            forced = replace(plan, actions=tuple(replace(a, status=Status.PLANNED) for a in plan.actions))
            return [a.status for a in plan.actions], [o.status async for o in apply(session, forced, None)]

    assert asyncio.run(run()) == ([Status.SKIPPED], [Status.REFUSED])
    assert rows(empty_database, "SELECT to_regclass(%s) IS NULL", f"{parts}_all") == [(False,)]


@pytest.mark.parametrize("default", [True, False])
def test_a_view_that_comes_between_plan_and_drop_keeps_its_partition(
    empty_database: str,
    default: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """No drop cascades: what depends on the partition by then is the server's reason to refuse it, and skips it."""
    create_log(empty_database, days=(-9, 0), rows_a_day=3, default=default)

    async def run() -> list[Status]:
        async with open_session(empty_database) as session:
            table = await inspect(session, TableRef(name="log"))
            plan = plan_maintain(table, Policy(premake_days=0, retention_days=5))
            execute(empty_database, f"CREATE VIEW report AS SELECT * FROM log_{midnight(-9):%Y_%m_%d}")
            return [o.status async for o in apply(session, plan, None)]

    assert asyncio.run(run()) == [Status.SKIPPED]
    assert rows(empty_database, "SELECT count(*) FROM report") == [(3,)]


@pytest.mark.parametrize(("default", "looks"), [(True, 1), (False, 2)], ids=["at once", "concurrently"])
def test_nobody_changes_what_the_last_look_has_seen(
    empty_database: str,
    monkeypatch: pytest.MonkeyPatch,
    default: bool,  # noqa: FBT001  # a parameter of the test
    looks: int,
) -> None:
    """A pin that comes behind the look is not to be had before the drop, nor is another name: the look's lock holds."""
    create_log(empty_database, days=(-9, 0), rows_a_day=3, default=default)
    due = f"log_{midnight(-9):%Y_%m_%d}"
    barred = list[str]()

    def looked(guard: Callable[..., LastLook]) -> Callable[..., LastLook]:
        def with_somebody_behind(*args: object, **more: object) -> LastLook:
            look = guard(*args, **more)

            def judge(found: Sequence[tuple[Any, ...]]) -> None:
                look.judge(found)
                for statement in (f"COMMENT ON TABLE {due} IS 'keep'", f"ALTER TABLE {due} RENAME TO other"):
                    with connect(empty_database) as somebody:
                        somebody.execute(b"SET lock_timeout = '50ms'")
                        with pytest.raises(errors.LockNotAvailable):
                            somebody.execute(statement.encode())
                    barred.append(statement)

            return replace(look, judge=judge)

        return with_somebody_behind

    monkeypatch.setattr("pgalmanac.execute.drop_guard", looked(drop_guard))
    monkeypatch.setattr("pgalmanac.detaching.mark_guard", looked(mark_guard))
    report = maintain(empty_database, premake_days=0)

    assert report.exit_code == 0, _errors(report)
    assert len(barred) == 2 * looks
    assert rows(empty_database, "SELECT to_regclass(%s) IS NULL", due) == [(True,)]


async def test_a_guard_sees_what_was_committed_while_it_waited_for_its_lock(database: str) -> None:
    """Also for a role that is used to one snapshot a transaction: what is looked at under a lock is what is there."""
    role = "-c default_transaction_isolation=serializable"
    with connect(database) as writer:
        async with open_session(f"{database} options='{role}'") as ours:
            await ours.execute("BEGIN; SELECT 1")
            writer.execute("CREATE TABLE since (id int)")
            row = await (await ours.execute("SELECT count(*) FROM pg_class WHERE relname = 'since'")).fetchone()
            await ours.rollback()

    assert row == (1,)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_a_key_of_a_domain_over_domains_is_of_the_type_below_all_of_them(
    empty_database: str, kind: str, depth: int
) -> None:
    """Found without being named, created for with rows that wait, proved, healthy in SQL, and dropped from."""
    below = [kind, *(f"domain_{n}" for n in range(1, depth))]
    execute(empty_database, *(f"CREATE DOMAIN domain_{n} AS {base}" for n, base in enumerate(below, 1)))
    execute(
        empty_database,
        f"CREATE TABLE log (id bigint, ts domain_{depth}) PARTITION BY RANGE (ts)",
        "CREATE TABLE log_default PARTITION OF log DEFAULT",
        f"CREATE TABLE log_old PARTITION OF log FOR VALUES FROM ('{midnight(-9)}') TO ('{midnight(-8)}')",
        f"INSERT INTO log VALUES (1, '{midnight(1)}')",
    )
    unnamed = replace(settings(empty_database), requested=())

    report = asyncio.run(perform(unnamed, Request(command="maintain"))).tables[0]
    fixed = asyncio.run(perform(unnamed, Request(command="fix")))
    asyncio.run(initialise(unnamed))
    said = rows(empty_database, "SELECT message FROM partition_health('log') WHERE code <> 'runway_short'")

    assert report.view is not None
    assert (report.view.table.key.type, report.failed) == (KeyType[kind.upper()], False)
    assert (report.created, report.moved_rows, report.dropped) == (4, 1, 1)
    assert (fixed.exit_code, fixed.tables[0].proved) == (0, f"public.log_{midnight():%Y_%m_%d}")
    assert [] == said


def test_a_key_of_a_domain_over_another_type_is_no_time(empty_database: str) -> None:
    """Its type below is looked for, and is still none that has a calendar."""
    execute(empty_database, "CREATE DOMAIN low AS bigint", "CREATE DOMAIN high AS low")
    execute(empty_database, "CREATE TABLE log (id high) PARTITION BY RANGE (id)")

    with pytest.raises(ConfigError, match="partitioned by id, which is no date, timestamp or timestamptz"):
        maintain(empty_database)


@pytest.fixture
def without_encoding(server: Cluster) -> Generator[str]:
    """Give the conninfo of a database of encoding SQL_ASCII, which takes any bytes for text, with a log."""
    name = f"test_{uuid4().hex[:12]}"
    execute(server.conninfo(), f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    create_log(server.conninfo(name), days=(-9, 0), default=True)
    yield server.conninfo(name)
    execute(server.conninfo(), f"DROP DATABASE {name} WITH (FORCE)")


def _in_latin1(conninfo: str, statement: str) -> None:
    with psycopg.connect(conninfo, autocommit=True, client_encoding="SQL_ASCII") as connection:
        connection.execute(statement.encode("latin-1"))


@pytest.mark.parametrize(
    ("statement", "tables", "what"),
    [
        ("COMMENT ON TABLE log_default IS 'Käse\npgalmanac-pin: {}'", ("log",), "the catalog of log"),
        ('ALTER TABLE log ADD "Käse" int', ("log",), "the catalog of log"),
        ('CREATE TABLE "Käse" (ts timestamptz) PARTITION BY RANGE (ts)', (), "the list of partitioned tables"),
    ],
)
def test_text_that_is_no_utf_8_is_said_to_be_that(
    without_encoding: str, statement: str, tables: tuple[str, ...], what: str
) -> None:
    """It is for whoever has the database to correct, and no fault of pgalmanac's."""
    _in_latin1(without_encoding, statement)
    wanted = replace(settings(without_encoding), requested=tuple(map(TableRef.parse, tables)))

    with pytest.raises(ConfigError) as caught:
        asyncio.run(perform(wanted, Request(command="maintain")))

    name = conninfo_to_dict(without_encoding)["dbname"]
    assert f"{what}: database {name} holds text that is no UTF-8 (" in str(caught.value)
    assert "database of encoding UTF8" in str(caught.value)


def test_text_that_is_no_utf_8_is_in_no_way_where_nobody_reads_it(without_encoding: str) -> None:
    """Names, comments, defaults and rows that maintenance has no need of may be of any bytes."""
    for statement in (
        "CREATE TABLE other (a int)",
        "COMMENT ON TABLE other IS 'Käse'",
        "COMMENT ON COLUMN log.note IS 'Käse'",
        'CREATE INDEX "Käse" ON log (note)',
        "ALTER TABLE log ALTER note SET DEFAULT 'Käse', ADD CONSTRAINT \"Käse\" CHECK (note <> 'Wurst')",
        f"INSERT INTO log SELECT n, '{midnight(1)}' FROM generate_series(1, 9) n",
    ):
        _in_latin1(without_encoding, statement)

    report = maintain(without_encoding)
    with psycopg.connect(without_encoding, client_encoding="LATIN1") as connection:
        kept = connection.execute("SELECT DISTINCT note FROM log").fetchall()

    assert (report.exit_code, report.tables[0].created, report.tables[0].dropped) == (0, 3, 1)
    assert report.tables[0].moved_rows == 9
    assert [("Käse",)] == kept


def _commented(conninfo: str, *names: str) -> None:
    for name in names:
        _in_latin1(conninfo, f"COMMENT ON TABLE {name} IS 'Käse'")


def test_a_comment_that_is_no_utf_8_bars_nobody_from_its_table(without_encoding: str) -> None:
    """Also of a partition that is dropped, since nothing is written into its comment."""
    old, held = (f"log_{midnight(day):%Y_%m_%d}" for day in (-9, 0))
    _commented(without_encoding, "log_default", old, held)

    report = maintain(without_encoding)
    with psycopg.connect(without_encoding, client_encoding="LATIN1") as connection:
        kept = connection.execute(f"SELECT obj_description('{held}'::regclass)".encode()).fetchall()

    assert (report.exit_code, report.tables[0].created, report.tables[0].dropped) == (0, 3, 1), _errors(report)
    assert kept == [("Käse",)]


def test_a_comment_that_is_no_utf_8_is_not_written_again(without_encoding: str) -> None:
    """What has to be written into it would change it: that partition stays, which is said, and all else is done."""
    execute(without_encoding, "DROP TABLE log_default")
    log_partition(without_encoding, -8)
    odd, fine = (f"log_{midnight(day):%Y_%m_%d}" for day in (-9, -8))
    _commented(without_encoding, odd)

    report = maintain(without_encoding)

    said = {o.action.partition.name: (o.status, o.error) for o in report.tables[0].outcomes}
    assert said[fine] == (Status.DONE, None)
    assert said[odd][0] is Status.FAILED
    assert f"public.{odd} has text that is no UTF-8, as its comment may" in str(said[odd][1])
    assert (report.exit_code, report.tables[0].created) == (1, 3)


@pytest.fixture
def in_latin1(server: Cluster) -> Generator[str]:
    """Give the conninfo of a database of encoding LATIN1, which has no euro sign, with a log."""
    name = f"test_{uuid4().hex[:12]}"
    execute(server.conninfo(), f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    create_log(server.conninfo(name), days=(-9, 0))
    yield server.conninfo(name)
    execute(server.conninfo(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("table", ['"événements€"', 'public."événements€"', '"€".log'])
def test_a_name_that_the_encoding_cannot_hold_is_that_of_no_table(in_latin1: str, table: str) -> None:
    """It is there as little as any other that is mistyped, and bars no other table."""
    name = conninfo_to_dict(in_latin1)["dbname"]
    with pytest.raises(ConfigError) as caught:
        maintain(in_latin1, table)

    report = maintain(in_latin1, "log", table)

    assert str(caught.value).startswith(f"there is no table {TableRef.parse(table)} in database {name}: ")
    assert (report.tables[0].created, report.tables[0].error) == (3, None)
    assert isinstance(report.tables[1].error, ConfigError)


def test_a_setting_that_the_encoding_cannot_hold_is_said_to_be_that(in_latin1: str) -> None:
    """With the character and the encoding, which the server names; it is the configuration that is wrong."""
    name = conninfo_to_dict(in_latin1)["dbname"]

    with pytest.raises(ConfigError) as caught:
        maintain(in_latin1, trash_schema="déchets€", grace_days=7)

    assert f"database {name} cannot hold a text of the configuration (character with byte" in str(caught.value)
    assert 'has no equivalent in encoding "LATIN1"' in str(caught.value)


def test_a_history_whose_name_the_encoding_cannot_hold_is_a_warning(in_latin1: str) -> None:
    """As any history that is not to be had: what is wrong is said, and the partitions are made."""
    wanted = replace(settings(in_latin1), history_table=TableRef(name="passé€"))

    report = asyncio.run(perform(wanted, Request(command="maintain"))).tables[0]

    said = [f.message for f in report.findings if f.code is Code.HISTORY_UNAVAILABLE]
    assert report.created == 3
    assert any('has no equivalent in encoding "LATIN1"' in message for message in said), said
