"""The history of sizes: what a run stores of each partition, and what check says when one is not as usual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal
from unittest.mock import AsyncMock

import pytest
from psycopg.conninfo import make_conninfo

import support
from pgalmanac import maintain
from pgalmanac.actions import ActionKind
from pgalmanac.config import Layer, Settings
from pgalmanac.db import connect
from pgalmanac.findings import Code, Level
from pgalmanac.forecast import forecast
from pgalmanac.history import History
from pgalmanac.inspection import MAINTAIN, Request
from pgalmanac.recorder import Recorder
from pgalmanac.results import Outcome, TableReport
from pgalmanac.sizes import sizes, trend
from pgalmanac.table_names import TableRef

PATIENCE_SECONDS = 60
STATS = "SELECT partition, rows, rows_exact, bytes > 0, bounds FROM housekeeper_partition_stats ORDER BY partition"


async def run(conninfo: str) -> TableReport:
    """Maintain the only table, with all counters flushed."""
    if support.rows(conninfo, "SELECT current_setting('server_version_num')::int")[0][0] >= 150000:
        support.rows(conninfo, "SELECT pg_stat_force_next_flush()")
    return (await maintain.perform(Settings(dsn=conninfo), MAINTAIN)).tables[0]


async def empty_days(conninfo: str) -> list[str | None]:
    """The partitions that check calls empty."""
    return [f.partition for f in (await check(conninfo)).findings if f.code is Code.NO_EVENTS]


async def measured_only(conninfo: str) -> None:
    """A run that measures what there is and makes nothing, as its period is there."""
    with support.connect(conninfo) as connection:
        connection.execute("ANALYZE events")
    request = Request(command="create", target=f"{support.today()}")
    (report,) = (await maintain.perform(Settings(dsn=conninfo), request)).tables
    assert () == report.outcomes


async def check(conninfo: str, **policy: object) -> TableReport:
    """Check the only table."""
    return (await maintain.check(Settings(dsn=conninfo, flags=Layer(values=policy)))).tables[0]


@pytest.mark.pg(">= 15")
async def test_a_night_that_leaves_a_hole_measures_what_there_is(database: str) -> None:
    """It is an error for whoever has to be called, and all of its work was done."""
    support.add_partitions(database, days=[-1], rows_a_day=50)
    with support.connect(database) as connection:
        late = f"FROM ('{support.today()} 23:59:59') TO ('{support.today() + timedelta(days=1)}')"
        connection.execute(f"CREATE TABLE late PARTITION OF events FOR VALUES {late}".encode())
    report = await run(database)

    assert "has no partition for now" in str(report.error)
    assert [50] == [rows for _, rows, *_ in support.rows(database, STATS)]


@pytest.mark.pg(">= 15")
async def test_a_run_stores_what_changed_and_nothing_else(database: str) -> None:
    """Partitions with rows get a row; a second run adds one for the partition that was written to since."""
    support.add_partitions(database, days=range(-3, 1), rows_a_day=50)
    support.add_partitions(database, days=[-4])
    support.rows(database, "SELECT pg_stat_force_next_flush()")

    await run(database)
    first = support.rows(database, STATS)
    support.add_rows(database, day=-2, count=25)
    await run(database)
    second = support.rows(database, STATS)

    day = {d: support.today() + timedelta(days=d) for d in range(-3, 1)}
    assert [(f"public.events_{d:%Y_%m_%d}", 50, False, True) for d in day.values()] == [row[:4] for row in first]
    assert all(f"'{d}" in row[4] for d, row in zip(day.values(), first, strict=True))
    assert [(f"public.events_{day[-2]:%Y_%m_%d}", 75)] == [row[:2] for row in second if row not in first]


@pytest.mark.pg(">= 15")
async def test_the_default_partition_is_measured_and_summed_up_too(database: str) -> None:
    """Its rows are rows of the table; a day of far ago is left where it is."""
    support.add_default(database)
    support.add_partitions(database, days=[0], rows_a_day=50)
    support.add_rows(database, day=-400, count=7)
    support.rows(database, "SELECT pg_stat_force_next_flush()")

    report = await run(database)

    assert report.statistics is not None
    assert report.statistics.rows == 57
    assert ("public.events_default", 7) in [row[:2] for row in support.rows(database, STATS)]


@pytest.mark.pg(">= 15")
async def test_a_partition_emptied_before_a_crash_is_measured_again(database: str) -> None:
    """The server has forgotten what it counted, and knows of no row: the file is another one, and smaller."""
    support.add_partitions(database, days=range(-2, 31))
    support.add_rows(database, day=-2, count=2000)
    name = support.partition_names(database)[0]
    with support.connect(database) as connection:
        connection.execute(f"ANALYZE {name}".encode())
        await run(database)
        connection.execute(f"TRUNCATE {name}".encode())
        connection.execute("SELECT pg_stat_reset()")
        await run(database)
        await run(database)
    found = support.rows(database, "SELECT partition, rows FROM housekeeper_partition_stats ORDER BY measured_at")
    now = support.rows(database, "SELECT pg_total_relation_size(%s::regclass)", name)
    last = support.rows(database, "SELECT bytes FROM housekeeper_partition_stats ORDER BY measured_at DESC LIMIT 1")

    assert found == [(f"public.{name}", 2000), (f"public.{name}", 0)]
    assert last == now


@pytest.mark.pg(">= 15")
async def test_the_trend_of_a_partition_is_what_runs_saw(database: str) -> None:
    """Oldest first, as the dashboard draws it."""
    support.add_partitions(database, days=range(-1, 1), rows_a_day=50)
    for _ in range(2):
        await run(database)
        support.add_rows(database, day=-1, count=10)
    await run(database)

    async with connect(database, read_only=True) as session:
        history = await History.open(session, TableRef(name="housekeeper_runs"))
        ((oid,),) = support.rows(
            database, f"SELECT 'events_{support.today() - timedelta(days=1):%Y_%m_%d}'::regclass::int8"
        )
        assert history is not None
        seen = await trend(history, oid)

    assert [50, 60, 70] == [m.rows for m in seen]


@pytest.mark.pg(">= 15")
async def test_a_closed_day_without_events_is_a_warning(database: str) -> None:
    """Yesterday is empty, and the same weekday of the last four weeks was not."""
    support.add_partitions(database, days=range(-30, -1), rows_a_day=40)
    support.add_partitions(database, days=[-1, 0])
    await run(database)

    report = await check(database)

    yesterday = f"public.events_{support.today() - timedelta(days=1):%Y_%m_%d}"
    assert [(Code.NO_EVENTS, Level.WARNING, yesterday)] == [(f.code, f.level, f.partition) for f in report.findings]


@pytest.mark.pg(">= 15")
async def test_a_table_as_usual_has_no_findings_and_a_forecast(database: str) -> None:
    """Forty rows a day go on to be forty rows a day; a limit far away is not mentioned before its time."""
    support.add_partitions(database, days=range(-30, 1), rows_a_day=40)
    await run(database)

    report = await check(database, disk_limit_gb=1000)
    async with connect(database, read_only=True) as session:
        history = await History.open(session, TableRef(name="housekeeper_runs"))
        assert history is not None
        assert report.view is not None
        found = forecast(report.view, await sizes(history, report.view.table, total=True))

    assert () == report.findings
    assert found is not None
    assert 40 == found.rows_a_day
    assert found.horizon_bytes == round(found.bytes_a_day * 91)


async def test_a_lock_on_a_partition_holds_nobody_up(database: str) -> None:
    """The size of a locked partition is the next run's; the run is a success without it."""
    support.add_partitions(database, days=range(-1, 31), rows_a_day=5)
    name = support.partition_names(database)[0]
    await run(database)
    support.add_rows(database, day=-1, count=5)
    with support.connect(database) as connection:
        connection.execute("BEGIN")
        connection.execute(f"LOCK TABLE {name}".encode())
        report = await run(database)
        connection.execute("ROLLBACK")

    assert not report.failed
    assert () == report.findings


async def test_a_history_without_the_table_has_no_sizes(database: str) -> None:
    """A role that may not make it, or an older history: nothing is known, and nothing fails."""
    support.add_partitions(database, days=range(-1, 31), rows_a_day=5)
    await run(database)
    with support.connect(database) as connection:
        connection.execute("DROP TABLE housekeeper_partition_stats")

    async with connect(database, read_only=True) as session:
        recorder = await Recorder.open(session, TableRef(name="housekeeper_runs"))
        view = (await check(database)).view
        assert view is not None
        found = await recorder.sizes(view.table, total=True)

    assert () == found.measured
    assert 0 == found.total_bytes


@pytest.mark.parametrize("command", ["maintain", "fix", "create", "undrop", "restore"])
async def test_days_that_a_run_filled_are_not_said_to_be_empty(
    database: str, command: Literal["maintain", "fix", "create", "undrop", "restore"], tmp_path: Path
) -> None:
    """What the session that moved the rows has not yet told the server's counters is known to the run all the same."""
    support.add_partitions(database, days=range(-50, -3), rows_a_day=40)
    support.add_partitions(database, days=[0])
    support.add_default(database)
    for day in (-3, -2, -1):
        support.add_rows(database, day=day, count=40)
    with support.connect(database) as connection:
        connection.execute("ANALYZE events")  # what the server's counters say before 15 is a matter of time
    last = f"{support.today() - timedelta(days=1)}"
    policy: dict[str, object] = {"archive_url": tmp_path.as_uri()} if command == "restore" else {"grace_days": 7}
    settings = Settings(dsn=database, flags=Layer(values=policy))
    requests = [Request(command="create", target=f"{support.today() - timedelta(days=3)}..{last}")]
    if command in {"undrop", "restore"}:
        requests += [Request(command="drop", target=last), Request(command=command, target=last)]
    elif command != "create":
        requests = [Request(command=command)]

    for request in requests:
        (report,) = (await maintain.perform(settings, request)).tables
        assert not report.failed
    seen = (await maintain.check(settings)).tables[0]

    filled = [f"public.events_{support.today() + timedelta(days=d):%Y_%m_%d}" for d in (-3, -2, -1)]
    measured = support.rows(
        database, "SELECT DISTINCT partition, rows FROM housekeeper_partition_stats WHERE partition = ANY (%s)", filled
    )
    assert [(name, 40) for name in filled] == sorted(measured)
    assert [] == [f.message for f in seen.findings if f.code in {Code.NO_EVENTS, Code.UNUSUAL_VOLUME}]


async def test_days_that_an_interrupted_run_filled_are_not_said_to_be_empty(database: str) -> None:
    """It did not come to measure them, and its record says how many rows it moved."""
    support.add_partitions(database, days=range(-50, -3), rows_a_day=40)
    support.add_partitions(database, days=range(31))
    await measured_only(database)
    support.add_default(database)
    for day in (-3, -2, -1):
        support.add_rows(database, day=day, count=40)
    moved: list[Outcome] = []

    def call_off(event: object) -> None:
        if isinstance(event, Outcome):
            moved.append(event)
            if len(moved) == 3:
                raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await maintain.perform(Settings(dsn=database), MAINTAIN, observer=call_off)
    with support.connect(database) as connection:
        unmeasured = connection.execute("SELECT count(*) FROM housekeeper_partition_stats WHERE rows = 40").fetchone()
    found = await check(database)

    assert [(ActionKind.MOVE_ROWS, 40)] * 3 == [(o.action.kind, o.rows) for o in moved]
    assert (47,) == unmeasured
    assert Code.LAST_RUN_FAILED in {f.code for f in found.findings}
    assert [] == [f.message for f in found.findings if f.code in {Code.NO_EVENTS, Code.UNUSUAL_VOLUME}]


async def test_rows_that_were_moved_count_once(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server comes to know of a move only later, as before 15: that the default one is empty was seen."""
    monkeypatch.setattr("pgalmanac.db.Session.flush_counters", AsyncMock())
    support.add_default(database)
    support.add_partitions(database, days=[0])
    support.add_rows(database, day=2, count=40)
    await measured_only(database)

    await maintain.perform(Settings(dsn=database), MAINTAIN)
    async with connect(database, read_only=True) as session:
        recorder = await Recorder.open(session, TableRef(name="housekeeper_runs"))
        view = (await check(database)).view
        assert view is not None
        found = await recorder.sizes(view.table, total=True)
    support.add_rows(database, day=-400, count=7)
    with support.connect(database) as connection:
        connection.execute("ANALYZE events_default")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while support.rows(database, "SELECT pg_stat_get_live_tuples('events_default'::regclass)") != [(7,)]:  # noqa: ASYNC110  # the server knows it
            await asyncio.sleep(0.02)
    await run(database)
    later = support.rows(
        database, "SELECT rows FROM housekeeper_partition_stats WHERE bounds = 'DEFAULT' ORDER BY measured_at"
    )

    assert 40 == found.total_rows
    assert [(40,), (0,), (7,)] == later


async def test_who_may_not_read_what_runs_did_sees_what_they_measured(
    database: str, make_role: Callable[[], str]
) -> None:
    """One who only looks is told of an empty day all the same; how it came to be empty he may not know."""
    support.add_partitions(database, days=range(-50, -1), rows_a_day=40)
    support.add_partitions(database, days=range(-1, 31))
    await measured_only(database)
    role = make_role()
    with support.connect(database) as connection:
        grant = f"GRANT SELECT ON housekeeper_runs, housekeeper_partition_stats TO {role}"
        connection.execute(grant.encode())
    found = await check(make_conninfo(database, user=role))

    assert [f"public.events_{support.today() - timedelta(days=1):%Y_%m_%d}"] == [
        f.partition for f in found.findings if f.code is Code.NO_EVENTS
    ]


async def test_a_day_whose_partition_was_made_too_late_is_not_said_to_be_empty(database: str) -> None:
    """Nobody stopped writing: the inserts failed. One that was there in time, and empty, is one to ask about."""
    support.add_partitions(database, days=range(-50, -2), rows_a_day=40)
    support.add_partitions(database, days=range(31))
    await measured_only(database)
    in_time, late = (support.today() + timedelta(days=d) for d in (-1, -2))
    support.add_partitions(database, days=[-1])
    (report,) = (await maintain.perform(Settings(dsn=database), Request(command="fix"))).tables

    with support.connect(database) as connection:  # as of one of that name that was dropped
        connection.execute(
            "INSERT INTO housekeeper_run_actions (run_id, seq, action, partition, reason, status, attempts, started_at)"
            " SELECT 0, 1, action, partition, reason, status, 1, started_at - interval '40 days'"
            " FROM housekeeper_run_actions"
        )

    found = await empty_days(database)

    assert [f"events_{late:%Y_%m_%d}"] == [o.action.partition.name for o in report.outcomes]
    assert [f"public.events_{in_time:%Y_%m_%d}"] == found


@pytest.mark.parametrize(
    "record",
    [
        "UPDATE housekeeper_run_actions SET started_at = NULL",
        "UPDATE housekeeper_run_actions SET status = 'failed'",
        "UPDATE housekeeper_run_actions SET action = 'pin'",
        "DROP TABLE housekeeper_run_actions",
    ],
)
async def test_an_empty_day_of_whose_partition_nothing_is_recorded_is_asked_about(database: str, record: str) -> None:
    """Only that a run made it, and when, says that its events had no place."""
    support.add_partitions(database, days=range(-50, -1), rows_a_day=40)
    support.add_partitions(database, days=range(31))
    await measured_only(database)
    await maintain.perform(Settings(dsn=database), Request(command="fix"))
    before = await empty_days(database)
    with support.connect(database) as connection:
        connection.execute(record.encode())

    assert ([], 1) == (before, len(await empty_days(database)))


async def test_months_that_one_command_fills_are_measured_each(database: str) -> None:
    """However many of them the server's counters have heard of by then."""
    days = 100
    support.add_partitions(database, days=[0])
    support.add_default(database)
    with support.connect(database) as connection:
        connection.execute(
            "INSERT INTO events (event_id, event_type, event_version, timestamp, aggregate_type, aggregate_id, data)"
            " SELECT gen_random_uuid(), 'order.paid', 1, %s::timestamp - n / 3 * interval '1 day', 'order', n::text,"
            " '{}' FROM generate_series(3, 3 * %s + 2) n",
            [support.today(), days],
        )
    first, last = (support.today() - timedelta(days=d) for d in (days, 1))

    settings = Settings(dsn=database)
    (report,) = (await maintain.perform(settings, Request(command="create", target=f"{first}..{last}"))).tables
    measured = support.rows(
        database, "SELECT partition, rows FROM housekeeper_partition_stats WHERE bounds <> 'DEFAULT'"
    )

    assert 3 * days == report.moved_rows
    assert {f"public.{o.action.partition.name}": 3 for o in report.outcomes} == dict(measured)
    assert days == len(measured)
