"""partition_health says in SQL what check says, for a caller that has nothing but EXECUTE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from pgalmanac import maintain
from pgalmanac.config import Settings
from pgalmanac.db import connect as open_session
from pgalmanac.health import make_health_function
from pgalmanac.history_tables import make_history
from pgalmanac.maintain import Request
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableRef
from support import add_default, add_partitions, connect, rows

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS: Final = TableRef(name="housekeeper_runs")
SHARED: Final = {"today_missing", "runway_short", "last_success_old"}


async def prepare(conninfo: str) -> None:
    """Make the history and the function."""
    async with open_session(conninfo) as session:
        await make_health_function(session, await make_history(session, RUNS))


async def told_by_check(conninfo: str) -> set[tuple[str, str, str]]:
    """Return level, code and message of what check finds, as far as the function knows of such things."""
    report = await maintain.check(Settings(dsn=conninfo))
    return {(f.level, f.code, f.message) for t in report.tables for f in t.findings if f.code in SHARED}


def told_by_sql(conninfo: str, arguments: str = "'events'") -> set[tuple[str, str, str]]:
    """Return the same from the function."""
    return {(a, b, c) for a, b, c in rows(conninfo, f"SELECT * FROM partition_health({arguments})")}


@pytest.mark.parametrize(
    "days",
    [
        pytest.param([], id="nothing"),
        pytest.param([*range(-3, 0)], id="only the past"),
        pytest.param([0], id="today alone"),
        pytest.param([0, 1], id="one day of runway"),
        pytest.param([-1, 0, 1, 3, 4, 5, 6, 7, 8, 9], id="a gap ends the runway"),
        pytest.param([*range(1, 20)], id="the future without today"),
        pytest.param([*range(8)], id="seven days are enough"),
        pytest.param([*range(7)], id="six are not"),
    ],
)
async def test_it_says_what_check_says(database: str, days: list[int]) -> None:
    """The same level, code and sentence for every coverage, with and without a default partition."""
    add_partitions(database, days=days)
    await prepare(database)

    assert await told_by_check(database) == told_by_sql(database)
    add_default(database)
    assert await told_by_check(database) == told_by_sql(database)


@pytest.mark.parametrize("key", ["date", "timestamp", "timestamptz"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
async def test_it_knows_every_key_type_and_zone(
    empty_database: str, key: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day begins where the policy's zone says, also for a caller in a zone and date style of their own."""
    with connect(empty_database) as connection:
        connection.execute(f'CREATE TABLE "Events.x" (at {key} NOT NULL) PARTITION BY RANGE (at)'.encode())
    settings = Settings(dsn=empty_database, requested=(TableRef(name="Events.x"),))
    monkeypatch.setattr(Settings, "policy", lambda *_: Policy(timezone=ZoneInfo(zone)))
    await maintain.perform(settings, Request(command="maintain"))
    await prepare(empty_database)
    with connect(empty_database) as connection:
        connection.execute("SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German'")
        for low, expected in ((30, []), (31, ["runway_short"])):
            found = connection.execute(
                "SELECT code, message FROM partition_health('\"Events.x\"', %s, %s)", [low, zone]
            ).fetchall()

            assert expected == [code for code, _ in found], found


async def test_a_success_that_is_too_old_is_critical(database: str) -> None:
    """26 hours by default, and as many as the caller says."""
    await maintain.perform(Settings(dsn=database), Request(command="maintain"))
    await prepare(database)

    assert told_by_sql(database) == set()
    with connect(database) as connection:
        connection.execute(
            "UPDATE housekeeper_runs SET started_at = started_at - interval '30 h',"
            " completed_at = completed_at - interval '30 h'"
        )
    assert [("critical", "last_success_old")] == [(a, b) for a, b, _ in told_by_sql(database)]
    assert await told_by_check(database) == told_by_sql(database)
    assert told_by_sql(database, "'events', success_max_age => '31 h'") == set()


async def test_only_a_run_of_this_table_and_of_maintain_counts(database: str) -> None:
    """A table of the same name elsewhere has the same short task name, and fix is no nightly run."""
    await maintain.perform(Settings(dsn=database), Request(command="maintain"))
    await prepare(database)
    with connect(database) as connection:
        connection.execute("UPDATE housekeeper_runs SET details = details || '{\"parent_oid\": 1}'")
    assert {"last_success_old"} == {code for _, code, _ in told_by_sql(database)}
    with connect(database) as connection:
        connection.execute("DELETE FROM housekeeper_runs")
    await maintain.perform(Settings(dsn=database), Request(command="fix"))
    assert {"last_success_old"} == {code for _, code, _ in told_by_sql(database)}


@pytest.mark.parametrize("schema", ["public", "app"])
async def test_the_runs_of_a_table_that_is_no_more_are_not_those_of_its_heir(
    database: str,
    schema: str,  # in the first schema of the search path or not
) -> None:
    """A restored table, or one that was made anew, has the name and the history of the old one: both say what is so."""
    arguments = f"'{schema}.events'"
    with connect(database) as connection:
        if schema != "public":
            connection.execute(
                sql.SQL("CREATE SCHEMA {0}; ALTER TABLE events SET SCHEMA {0}").format(sql.Identifier(schema))
            )
        await maintain.perform(Settings(dsn=database), Request(command="maintain"))
        await prepare(database)

        assert told_by_sql(database, arguments) == await told_by_check(database) == set()
        connection.execute(
            sql.SQL(
                "CREATE TABLE {0} (LIKE {1}) PARTITION BY RANGE (timestamp); DROP TABLE {1};"
                " ALTER TABLE {0} RENAME TO events"
            ).format(sql.Identifier(schema, "renewed"), sql.Identifier(schema, "events"))
        )
    told = {(level, code): message for level, code, message in told_by_sql(database, arguments)}

    assert told_by_sql(database, arguments) == await told_by_check(database)
    assert told["warning", "last_success_old"] == (
        f"no successful maintenance of {schema}.events is recorded: the runs of that name were of a table that is no"
        " more, as after a restore; run pgalmanac maintain"
    )
    await maintain.perform(Settings(dsn=database), Request(command="maintain"))
    assert told_by_sql(database, arguments) == await told_by_check(database) == set()


async def test_a_caller_needs_no_more_than_the_right_to_read_the_history(
    database: str, make_role: Callable[..., str]
) -> None:
    """Without it the coverage is told all the same, and that the history is not."""
    await maintain.perform(Settings(dsn=database), Request(command="maintain"))
    await prepare(database)
    role = make_role()
    with connect(database) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        query = "SELECT level, code FROM partition_health('events', 31)"

        assert [("warning", "runway_short"), ("warning", "history_unavailable")] == connection.execute(query).fetchall()
        connection.execute("RESET ROLE")
        connection.execute(sql.SQL("GRANT SELECT ON housekeeper_runs TO {}").format(sql.Identifier(role)))
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        assert [("warning", "runway_short")] == connection.execute(query).fetchall()


async def test_nobody_can_put_functions_in_its_way(database: str) -> None:
    """A caller's search path, a temporary table and an operator of the same name are not looked at."""
    await prepare(database)
    with connect(database) as connection:
        connection.execute(
            "CREATE SCHEMA evil;"
            " CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;"
            " CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
            " AS $$ SELECT '2000-01-01'::timestamptz $$;"
            " CREATE TEMP TABLE pg_inherits (inhparent oid, inhrelid oid, inhdetachpending bool);"
            " SET search_path = evil, pg_temp, pg_catalog, public"
        )
        found = connection.execute("SELECT message FROM public.partition_health('public.events')").fetchall()

        assert ("public.events has no partition for now: inserts fail; run pgalmanac fix",) in found


@pytest.mark.parametrize("parent", ["NULL", "to_regclass('gone')", "'housekeeper_runs'", "'pg_class'"])
async def test_no_answer_is_an_error_and_not_good_health(database: str, parent: str) -> None:
    """A table that is gone, or is none of ours, must not come back as no findings."""
    await prepare(database)

    with pytest.raises(psycopg.errors.WrongObjectType, match="not partitioned by range"):
        told_by_sql(database, parent)


async def test_it_does_not_wait_behind_a_lock_on_a_partition(database: str) -> None:
    """An endpoint must answer in the middle of an incident."""
    add_partitions(database, days=range(10))
    await prepare(database)
    name = rows(database, "SELECT inhrelid::regclass::text FROM pg_inherits LIMIT 1")[0][0]
    with connect(database) as holder, holder.transaction():
        holder.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE".encode())
        with connect(database) as connection:
            connection.execute("SET statement_timeout = '5s'")

            assert [("last_success_old",)] == connection.execute(
                "SELECT code FROM partition_health('events')"
            ).fetchall()


async def test_init_may_be_called_again(database: str) -> None:
    """A newer version replaces the function, and the grants on it stay."""
    await prepare(database)
    await prepare(database)

    assert 1 == rows(database, "SELECT count(*) FROM pg_proc WHERE proname = 'partition_health'")[0][0]
