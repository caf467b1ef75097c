"""The role of docs/operations.md is enough for everything that is to be done every night, and for no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import conninfo

from pgalmanac import beginning, maintain, overview
from pgalmanac.actions import Status
from pgalmanac.config import load
from pgalmanac.doctor import examine
from pgalmanac.doctor_lines import Verdict
from pgalmanac.errors import PrivilegeError
from pgalmanac.exporter import observe
from pgalmanac.findings import Code
from pgalmanac.maintain import Request
from pgalmanac.results import TableReport
from support import add_partitions, add_rows, connect, rows, today

MANUAL: Final = Path(__file__).parents[2] / "docs/operations.md"


@pytest.fixture
def as_role(database: str, make_role: Callable[..., str]) -> str:
    """Give the conninfo of the manual's role, on a table of somebody who is nobody special."""
    owner, role = make_role(), make_role()
    found = re.search(r"```sql\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    assert found is not None
    text = found[1].replace("CREATE ROLE pgalmanac LOGIN;", "")
    text = re.sub(r"\bpgalmanac\b", role, text).replace("app_owner", owner)
    with connect(database) as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {owner}; ALTER TABLE events OWNER TO {owner}".encode())
    add_partitions(database, days=range(-95, 1))
    with connect(database) as connection:
        connection.execute("CREATE TABLE other (a int); REVOKE ALL ON SCHEMA public FROM PUBLIC")
        for (name,) in rows(database, "SELECT inhrelid::regclass::text FROM pg_inherits"):
            connection.execute(f"ALTER TABLE {name} OWNER TO {owner}".encode())
        connection.execute(text.encode())
    return conninfo.make_conninfo(database, user=role)


async def test_it_can_do_everything_that_is_done_at_night(as_role: str, database: str) -> None:
    """Create, drop, record, fix with its proof, check, probe, metrics, the health function and doctor."""
    settings = load(environ={}, dsn=as_role, tables=["public.events"], config=None, demo=True)
    await beginning.initialise(settings)
    report = await maintain.perform(settings, Request(command="maintain"))

    assert 0 == report.exit_code
    assert (30, 5) == (report.tables[0].created, report.tables[0].dropped)
    assert 0 == (await maintain.perform(settings, Request(command="fix"))).exit_code
    assert (await maintain.check(settings, probe=True)).tables[0].proved is not None
    assert (await observe(settings)).tables[0].last_success is not None
    assert [] == [x for x in await examine(settings, {}) if x.verdict is Verdict.FIX]
    schema = conninfo.conninfo_to_dict(as_role)["user"]
    assert [] == rows(as_role, f"SELECT * FROM {schema}.partition_health('public.events')")
    owners = rows(database, "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname LIKE 'events%'")
    assert 1 == len(owners), "a new partition belongs to the table's owner, not to this role"


async def test_row_security_that_holds_for_the_owner_too_keeps_no_proof(
    database: str, make_role: Callable[..., str]
) -> None:
    """It says whose rows may come in, and nothing about whether they find a partition."""
    owner = make_role()
    with connect(database) as connection:
        connection.execute(
            f"ALTER TABLE events OWNER TO {owner}; ALTER TABLE events ENABLE ROW LEVEL SECURITY;"
            f"ALTER TABLE events FORCE ROW LEVEL SECURITY; GRANT CREATE ON SCHEMA public TO {owner}".encode()
        )
    settings = load(environ={"PGALMANAC_TABLE": "public.events"}, dsn=conninfo.make_conninfo(database, user=owner))
    before = (await maintain.check(settings, probe=True)).tables[0]
    fixed = (await maintain.perform(settings, Request(command="fix"))).tables[0]
    after = (await maintain.check(settings, probe=True)).tables[0]

    assert before.proved is None
    assert (fixed.failed, fixed.proved) == (False, after.proved)
    assert after.proved == f"public.events_{today():%Y_%m_%d}"


@pytest.mark.parametrize(
    "membership",
    [
        "no member",
        "no member, and NOINHERIT",
        "member that is NOINHERIT",
        pytest.param("member WITH INHERIT FALSE", marks=pytest.mark.pg(">= 16")),
        pytest.param("member WITH INHERIT TRUE, SET FALSE", marks=pytest.mark.pg(">= 16")),
    ],
)
async def test_what_is_said_to_be_missing_is_enough(
    database: str, make_role: Callable[..., str], membership: str
) -> None:
    """To own a table's role in name only is not to own it; the statements that are said mend every such case."""
    owner, role = make_role(), make_role()
    with connect(database) as connection:
        connection.execute(f"ALTER TABLE events OWNER TO {owner}".encode())
        if "NOINHERIT" in membership:
            connection.execute(f"ALTER ROLE {role} NOINHERIT".encode())
        if membership.startswith("member"):
            how = membership.removeprefix("member") if "WITH" in membership else ""
            connection.execute(f"GRANT {owner} TO {role}{how}".encode())
    settings = load(environ={"PGALMANAC_TABLE": "public.events"}, dsn=conninfo.make_conninfo(database, user=role))
    with pytest.raises(PrivilegeError) as denied:
        await maintain.perform(settings, Request(command="maintain"))
    with connect(database) as connection:
        for statement in (denied.value.hint or "").split("; "):
            connection.execute(statement.encode())
    (report,) = (await maintain.perform(settings, Request(command="maintain"))).tables

    assert (31, []) == (report.created, [o.error for o in report.outcomes if o.error])


async def test_a_denied_drop_names_the_grant(as_role: str, database: str, make_role: Callable[..., str]) -> None:
    """A partition of somebody else's and a table that refers to ours: the statements are said, and they are enough."""
    role, other = conninfo.conninfo_to_dict(as_role)["user"], make_role()
    due = f"events_{today() - timedelta(days=95):%Y_%m_%d}"
    with connect(database) as connection:
        connection.execute(f"ALTER TABLE {due} OWNER TO {other}".encode())
        connection.execute("ALTER TABLE events ADD UNIQUE (event_id, timestamp)")
        connection.execute(
            "CREATE TABLE child (id uuid, at timestamp, FOREIGN KEY (id, at) REFERENCES events (event_id, timestamp))"
        )
    settings = load(environ={}, dsn=as_role, tables=["public.events"], config=None, demo=True)

    (table,) = (await maintain.perform(settings, Request(command="maintain"))).tables
    errors = [o.error or "" for o in table.outcomes if o.status is Status.FAILED]
    theirs, ours = f'GRANT "{other}" TO "{role}"', f'GRANT SELECT, UPDATE ON "public"."child" TO "{role}"'
    assert 5 == len(errors)
    assert all(ours in error for error in errors)
    assert [theirs in error for error in errors] == [True, False, False, False, False]

    with connect(database) as connection:
        connection.execute(f"{theirs}; {ours}".encode())
    (table,) = (await maintain.perform(settings, Request(command="maintain"))).tables
    assert (5, 0) == (table.dropped, table.count(Status.FAILED))
    with connect(database) as connection:
        connection.execute("DROP TABLE child")  # the roles of the test go with what they own


@pytest.fixture
def of_another(database: str, make_role: Callable[..., str]) -> str:
    """Give the conninfo of a role that owns the table through another, beside a history that a superuser made."""
    owner, role = make_role(), make_role()
    with connect(database) as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {owner}; ALTER TABLE events OWNER TO {owner}".encode())
        connection.execute(f"GRANT {owner} TO {role}".encode())
    return conninfo.make_conninfo(database, user=role)


async def said_of_the_history(conninfo: str) -> list[tuple[Verdict, str]]:
    """What doctor says about it."""
    settings = load(environ={}, dsn=conninfo, tables=["public.events"], demo=True)
    return [(x.verdict, x.message) for x in await examine(settings, {}) if x.topic == "history"]


async def maintained(conninfo: str, days: int) -> TableReport:
    """Let the role's run make the next day, and say what became of the table."""
    flags = {"premake_days": str(days)}
    settings = load(environ={}, flags=flags, dsn=conninfo, tables=["public.events"], demo=True)
    return (await maintain.perform(settings, Request(command="maintain"))).tables[0]


@pytest.mark.parametrize("made", ["init", "serial"])
async def test_what_doctor_grants_is_enough_for_the_history(of_another: str, database: str, made: str) -> None:
    """One line for all of its tables, and for the sequence where a number comes from one; then runs are successes."""
    if made == "serial":
        with connect(database) as connection:
            connection.execute(
                "CREATE TABLE housekeeper_runs (id serial PRIMARY KEY, task_name text, started_at timestamptz,"
                " completed_at timestamptz, status text, duration_ms bigint, output text, error text,"
                " triggered_by text, created_at timestamptz)"
            )
    await beginning.initialise(load(environ={}, dsn=database, tables=["public.events"], demo=True))

    ((verdict, grant),) = await said_of_the_history(of_another)
    with connect(database) as connection:
        connection.execute(grant.encode())
    after = await said_of_the_history(of_another)
    reports = [await maintained(of_another, days) for days in (8, 9, 10)]

    assert Verdict.FIX is verdict
    assert (made == "serial") == ("GRANT USAGE ON SEQUENCE public.housekeeper_runs_id_seq TO " in grant)
    assert [Verdict.OK] == [verdict for verdict, _ in after]
    assert [9, 1, 1] == [report.created for report in reports]
    assert [("success", None)] * 3 == rows(database, "SELECT status, error FROM housekeeper_runs ORDER BY id")
    assert [()] * 3 == [report.findings for report in reports]


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        (["runs"], "public.housekeeper_run_actions, public.housekeeper_partition_stats"),
        (["runs", "run_actions"], "public.housekeeper_partition_stats"),
        (["runs", "partition_stats"], "public.housekeeper_run_actions"),
    ],
)
async def test_a_run_ends_as_it_ended_though_its_actions_or_sizes_are_not_written(
    of_another: str, database: str, granted: list[str], missing: str
) -> None:
    """Its row is closed, the next one does not take it for interrupted, and the finding has the GRANT."""
    await beginning.initialise(load(environ={}, dsn=database, tables=["public.events"], demo=True))
    role = conninfo.conninfo_to_dict(of_another)["user"]
    with connect(database) as connection:
        for table in granted:
            grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON housekeeper_{table} TO {role}"
            connection.execute(grant.encode())

    reports = [await maintained(of_another, days) for days in (8, 9, 9)]
    with connect(database) as connection:
        connection.execute(f"CREATE TABLE events_{today() + timedelta(days=10):%Y_%m_%d} ()".encode())
    refused = await maintained(of_another, 10)
    recorded = rows(
        database, "SELECT status, COALESCE(error LIKE '%is taken%', false) FROM housekeeper_runs ORDER BY id"
    )
    messages = [[f.message for f in r.findings if f.code is Code.HISTORY_UNAVAILABLE] for r in (*reports, refused)]

    assert [9, 1, 0, 0] == [report.created for report in (*reports, refused)]
    assert [*[("success", False)] * 3, ("error", True)] == recorded
    assert all(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {missing} TO {role}" in said for (said,) in messages)


@pytest.mark.parametrize("table", ["housekeeper_runs", "housekeeper_partition_stats"])
async def test_a_history_that_is_written_and_may_not_be_pruned_is_said_to_be_that(
    of_another: str, database: str, table: str
) -> None:
    """The run is a success, what is not to be removed stays, and the finding has the GRANT that lets it go."""
    await beginning.initialise(load(environ={}, dsn=database, tables=["public.events"], demo=True))
    role = conninfo.conninfo_to_dict(of_another)["user"]
    with connect(database) as connection:
        tables = "housekeeper_runs, housekeeper_run_actions, housekeeper_partition_stats"
        connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}".encode())
        connection.execute(f"REVOKE DELETE ON {table} FROM {role}".encode())

    reports = [await maintained(of_another, days) for days in (8, 8)]
    messages = [[f.message for f in r.findings if f.code is Code.HISTORY_UNAVAILABLE] for r in reports]
    with connect(database) as connection:
        connection.execute(messages[0][0].partition("; ")[2].encode())

    assert [("success", None)] * 2 == rows(database, "SELECT status, error FROM housekeeper_runs")
    said = f"rows of the run history older than 365 days could not be removed: permission denied for table {table}; "
    assert [[f"{said}GRANT SELECT, INSERT, UPDATE, DELETE ON public.{table} TO {role}"]] * 2 == messages
    assert () == (await maintained(of_another, 8)).findings


async def test_a_role_that_only_looks_is_told_to_ask_for_no_more_than_that(
    database: str, make_role: Callable[..., str]
) -> None:
    """A check as somebody who may not read the history: SELECT is enough, and said."""
    role = make_role()
    await beginning.initialise(load(environ={}, dsn=database, tables=["public.events"], demo=True))
    looking = conninfo.make_conninfo(database, user=role)
    settings = load(environ={}, dsn=looking, tables=["public.events"], demo=True)

    async def said() -> list[str]:
        (table,) = (await maintain.check(settings)).tables
        return [f.message.partition("; ")[2] for f in table.findings if f.code is Code.HISTORY_UNAVAILABLE]

    before = await said()
    with connect(database) as connection:
        connection.execute(before[0].encode())

    assert [] == await said()
    tables = "public.housekeeper_runs, public.housekeeper_run_actions, public.housekeeper_partition_stats"
    assert [f"GRANT SELECT ON {tables} TO {role}"] == before


async def test_a_run_is_a_success_though_no_frequent_values_are_to_be_had(as_role: str, database: str) -> None:
    """What the server refuses, or has no answer to in time, is left out of the figures; the edges stay."""
    add_rows(database, day=0, count=30)
    with connect(database) as connection:
        connection.execute("ANALYZE events; REVOKE SELECT ON pg_catalog.pg_stats FROM PUBLIC")
    settings = load(environ={}, dsn=as_role, tables=["public.events"], config=None, demo=True)

    report = await maintain.perform(settings, Request(command="maintain"))
    figures = report.tables[0].statistics

    assert 0 == report.exit_code
    assert figures is not None
    assert figures.newest_event is not None
    assert () == figures.breakdown


def test_it_can_do_no_more(as_role: str) -> None:
    """Another table in the same schema is none of its business."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(as_role, "SELECT * FROM other")


async def test_check_does_not_wait_for_the_servers_counters(database: str, make_role: Callable[..., str]) -> None:
    """PostgreSQL 14 answers for them when its statistics collector does, or after ten seconds; status wants them."""
    role = make_role()
    add_partitions(database, days=range(31))
    with connect(database) as connection:
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_stat_get_live_tuples(oid) FROM PUBLIC")
    settings = load(environ={}, dsn=conninfo.make_conninfo(database, user=role), tables=[], config=None, demo=True)

    (table,) = (await maintain.check(settings)).tables
    assert table.view is not None
    assert 31 == len(table.view.table.partitions)
    with pytest.raises(PrivilegeError, match="pg_stat_get_live_tuples"):
        await overview.status(settings)
