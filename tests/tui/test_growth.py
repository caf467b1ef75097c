"""How a table grows, from the sizes that runs measured: the same findings as check, and nothing asked for twice."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import opened, shown, text_of, until
from pgalmanac import maintain
from pgalmanac.config import Layer, Settings
from pgalmanac.inspection import MAINTAIN
from pgalmanac.recorder import Recorder
from pgalmanac_tui.format import day_title
from support import add_partitions, add_rows, connect, rows, today

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from pgalmanac.forecast import Sizes
    from pgalmanac.model import PartitionedTable
    from pgalmanac_tui.app import Dashboard


async def maintained(conninfo: str) -> None:
    """Run what the timer does, which measures what changed."""
    with connect(conninfo) as connection:
        connection.execute(b"ANALYZE events")  # a test's rows are in the estimates now, and not when it suits
    await maintain.perform(Settings(dsn=conninfo), MAINTAIN)


async def looked(app: Dashboard, pilot: Pilot[int]) -> None:
    """Wait for another look."""
    seen = app.model.snapshot
    app.poll_now()
    await until(pilot, lambda: app.model.snapshot is not seen)


def measured(app: Dashboard) -> set[int | None]:
    """How many rows runs found in the partitions."""
    return set() if app.model.table is None else {m.rows for m in app.model.table.sizes.measured}


def limited(gb: int, retention_days: int = 90) -> dict[str, Any]:
    """Settings with a limit."""
    return {"flags": Layer(values={"disk_limit_gb": gb, "retention_days": retention_days})}


async def test_before_a_run_there_are_the_days_and_no_forecast(database: str) -> None:
    """The days are estimated by the server at every look; what is foretold comes from what runs measured."""
    add_partitions(database, days=range(-30, 31), rows_a_day=20)

    async with opened(database, size=(80, 24)) as (app, pilot):
        await pilot.press("6")
        await until(pilot, lambda: "no run has measured it yet" in shown(app))

        assert "█" * 30 in text_of(app, "#growth").splitlines()[1]


async def test_growth_and_where_it_leads(database: str) -> None:
    """Rows and bytes a day, what retention will hold, and how this week compares with the one before."""
    add_partitions(database, days=range(-30, 31), rows_a_day=40)
    add_rows(database, day=-3, count=140)
    await maintained(database)

    async with opened(database, size=(80, 24)) as (app, pilot):
        await pilot.press("6")
        await until(pilot, lambda: "grows by" in shown(app))
        text = text_of(app, "#growth")

    assert "grows by ≈45 rows" in text
    assert "with all 90 days of retention it holds" in text
    assert "no disk_limit_gb is set" in text
    assert f"most were ≈180 on {day_title(today() - timedelta(days=3))} (cut off)" in text
    assert "the last 7 days have ≈420 rows, 50% more than the 7 before" in text


@pytest.mark.parametrize(
    ("retention_days", "told"),
    [(36_500, "its limit of 1 GB is reached in"), (30, "its limit of 1 GB is never reached")],
)
async def test_the_day_on_which_the_limit_is_reached(database: str, retention_days: int, told: str) -> None:
    """Unless retention lets as much go as comes before then."""
    add_partitions(database, days=range(-10, 31), rows_a_day=2000)
    await maintained(database)

    async with opened(database, size=(80, 24), **limited(1, retention_days)) as (app, pilot):
        await pilot.press("6")
        await until(pilot, lambda: "grows by" in shown(app))

        assert told in text_of(app, "#growth")


async def test_the_findings_are_those_of_check(database: str) -> None:
    """A closed day without events, where the same weekdays had some, is a warning here too."""
    add_partitions(database, days=range(-40, -1), rows_a_day=40)
    add_partitions(database, days=range(-1, 31))
    await maintained(database)
    checked = (await maintain.check(Settings(dsn=database))).tables[0].findings

    async with opened(database) as (app, _):
        findings = app.model.table.findings if app.model.table is not None else ()
        header = text_of(app, "#header")

    assert "no_events" in {f.code for f in checked}
    assert checked == findings
    assert "WARNING" in header


async def test_sizes_are_read_again_when_a_run_has_ended_and_not_before(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at an unchanged history asks nothing about sizes."""
    add_partitions(database, days=range(-30, 31), rows_a_day=20)
    await maintained(database)
    asked: list[str] = []
    ask = Recorder.sizes

    async def sizes(recorder: Recorder, table: PartitionedTable, *, total: bool) -> Sizes:
        if threading.current_thread().name == "engine":  # the dashboard, and not the run
            asked.append(table.name.name)
        return await ask(recorder, table, total=total)

    async with opened(database) as (app, pilot):
        monkeypatch.setattr(Recorder, "sizes", sizes)
        for _ in range(3):
            await looked(app, pilot)
        unchanged = list(asked)
        add_rows(database, day=-1, count=60)
        await maintained(database)
        app.poll_now()
        await until(pilot, lambda: 80 in measured(app))
        await looked(app, pilot)

    assert [] == unchanged
    assert ["events"] == asked


@pytest.mark.pg(">= 15")  # whose counters can be made to arrive
async def test_the_details_show_how_a_partition_grew_from_run_to_run(database: str) -> None:
    """Three measures make a line; a partition that was written once has none."""
    add_partitions(database, days=range(-3, 31), rows_a_day=20)
    for _ in range(3):
        add_rows(database, day=-1, count=2000)
        rows(database, "SELECT pg_stat_force_next_flush()")
        await maintained(database)

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("up")
        await until(pilot, lambda: "3 runs" in text_of(app, "#details"))
        grown = text_of(app, "#details")
        await pilot.press("up")
        await until(
            pilot, lambda: "heap" in text_of(app, "#details") and day_title(today() - timedelta(days=2)) in shown(app)
        )
        once = text_of(app, "#details")

    assert "█ 3 runs" in grown
    assert "runs" not in once


async def test_a_count_is_seen_where_the_tabs_leave_no_room(database: str) -> None:
    """At 80 cells the numbers of the tabs and then the last tabs give way to it, the one in view never."""
    add_partitions(database, days=range(-3, 31), rows_a_day=2)
    with connect(database) as blocker, blocker.transaction():
        blocker.execute(f"LOCK TABLE events_{today() - timedelta(days=1):%Y_%m_%d}".encode())
        async with opened(database, size=(80, 24)) as (app, pilot):
            before = text_of(app, "#tabs")
            await pilot.press("up", "e")
            await until(pilot, lambda: "counting 0/1 esc stops" in text_of(app, "#tabs"))
            during = text_of(app, "#tabs")
            await pilot.press("escape")
            await until(pilot, lambda: text_of(app, "#tabs") == before)

    assert "6 Growth" in before
    assert "1 Partitions" in during
