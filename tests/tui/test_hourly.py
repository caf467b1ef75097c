"""A table with a partition an hour: its days in the calendar, and from a day down to its hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from textual.widgets import Button

from dashboards import busy, opened, shown, text_of, typed, until
from pgalmanac.config import Layer
from pgalmanac.table_names import TableRef
from pgalmanac_tui.screens.change import ChangeScreen
from pgalmanac_tui.widgets.calendar import Calendar
from pgalmanac_tui.widgets.listing import Listing
from support import connect, partition_names, rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.pilot import Pilot

    from pgalmanac_tui.app import Dashboard

LOGS = (TableRef(name="logs"),)


def midnight(days: int, zone: str = "UTC") -> datetime:
    """The first moment of the day that is so many days from today."""
    day = datetime.now(ZoneInfo(zone)).date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def name(hour: datetime) -> str:
    """The partition of an hour."""
    return f"logs_{hour:%Y_%m_%d_%H}"


def hours_of(first: datetime, last: datetime) -> list[datetime]:
    """Every hour of `[first, last)`."""
    return [first + timedelta(hours=n) for n in range(round((last - first) / timedelta(hours=1)))]


@pytest.fixture
def logs(empty_database: str) -> str:
    """An hourly table from the day before yesterday to tomorrow, 5 rows in each hour of yesterday."""
    with connect(empty_database) as connection:
        connection.execute(b"CREATE TABLE logs (at timestamptz NOT NULL, level text) PARTITION BY RANGE (at)")
        _add(connection, hours_of(midnight(-2), midnight(2)))
        connection.execute(
            b"INSERT INTO logs SELECT g, 'info' FROM generate_series(%s::timestamptz, %s::timestamptz - interval '1 s',"
            b" interval '12 minutes') g",
            [midnight(-1), midnight(0)],
        )
    with connect(empty_database) as connection:  # after the other one told its counters
        connection.execute(b"ANALYZE logs")
    return empty_database


def _add(connection: Any, hours: Iterable[datetime]) -> None:  # noqa: ANN401  # psycopg's connection
    for hour in hours:
        connection.execute(
            f"CREATE TABLE {name(hour)} PARTITION OF logs"
            f" FOR VALUES FROM ('{hour}') TO ('{hour + timedelta(hours=1)}')".encode()
        )


def listed(app: Dashboard) -> list[str]:
    """The names in the list, from the top."""
    listing: Listing[Any] = app.screen.query_one("#partitions", Listing)
    return [row.name for row in listing.rows]


async def agreed(app: Dashboard, pilot: Pilot[int], *, type_in: str | None = None) -> None:
    """Agree to the plan, type what is asked for, wait for the end, and close."""
    await until(pilot, lambda: isinstance(app.screen, ChangeScreen) and not busy(app))
    if type_in is not None:
        await pilot.press("tab")
        await typed(pilot, type_in)
    dialog = app.screen
    await pilot.press("enter")
    await until(pilot, lambda: not busy(app) and str(dialog.query_one("#cancel", Button).label) == "Close")
    await pilot.press("enter")
    await until(pilot, lambda: app.screen is not dialog)


async def test_from_a_day_down_to_its_hours_and_back(logs: str) -> None:
    """Enter shows the day's hours alone, each with its details; escape is back on the day."""
    async with opened(logs, requested=LOGS, size=(100, 30)) as (app, pilot):
        everything = len(listed(app))
        await pilot.press("up")
        await until(pilot, lambda: "120 rows" in text_of(app, "#details"))
        day = text_of(app, "#details")
        await pilot.press("enter")
        await until(pilot, lambda: len(listed(app)) == 24)
        below = listed(app)
        await pilot.press("end")
        await until(pilot, lambda: name(midnight(-1)) in text_of(app, "#details"))
        await until(pilot, lambda: "heap" in text_of(app, "#details"))
        hour = text_of(app, "#details")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen.focused, Calendar))
        assert midnight(-1).date() == app.screen.query_one(Calendar).day
        await until(pilot, lambda: len(listed(app)) == everything)

    assert "24 partitions  enter opens" in day
    assert [name(h) for h in reversed(hours_of(midnight(-1), midnight(0)))] == below
    assert "00:00 to 01:00" in hour
    assert "5 rows" in hour


async def test_an_hour_is_dropped_and_made_again(logs: str) -> None:
    """The row of the hour is what the keys act on, and no other hour of the day."""
    before = partition_names(logs, "logs")
    victim = name(midnight(-1) + timedelta(hours=22))

    async with opened(logs, requested=LOGS) as (app, pilot):
        await pilot.press("up", "enter")
        await until(pilot, lambda: len(listed(app)) == 24 and isinstance(app.screen.focused, Listing))
        await pilot.press("home", "down")
        await until(pilot, lambda: victim in text_of(app, "#details"))
        await pilot.press("D")
        await agreed(app, pilot, type_in=victim)
        dropped = partition_names(logs, "logs")
        await until(pilot, lambda: "gap" in shown(app))
        assert victim in listed(app)
        assert 24 == len(listed(app))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ChangeScreen) and not busy(app))
        assert f"Create {midnight(-1):%Y-%m-%d}T22 of" in text_of(app, "#title")
        await agreed(app, pilot)

    assert [n for n in before if n != victim] == dropped
    assert before == partition_names(logs, "logs")
    assert [(115,)] == rows(logs, "SELECT count(*) FROM logs")


async def test_the_hours_of_a_day_are_those_of_the_time_zone(logs: str) -> None:
    """In Berlin yesterday begins in the evening of the day before in UTC."""
    zone = "Europe/Berlin"
    flags = Layer(values={"timezone": ZoneInfo(zone)})

    async with opened(logs, requested=LOGS, flags=flags) as (app, pilot):
        await pilot.press("up", "enter")
        await until(pilot, lambda: len(listed(app)) < 30)
        below = listed(app)

    assert [name(h) for h in reversed(hours_of(midnight(-1, zone), midnight(0, zone)))] == below


async def test_an_hour_that_is_missing_is_its_days_mark(logs: str) -> None:
    """One hour of 24 is enough, and the details name it."""
    gap = midnight(-1) + timedelta(hours=5)
    with connect(logs) as connection:
        connection.execute(f"DROP TABLE {name(gap)}".encode())

    async with opened(logs, requested=LOGS) as (app, pilot):
        await pilot.press("up")
        await until(pilot, lambda: "gap" in text_of(app, "#details"))
        await pilot.press("enter")
        await until(pilot, lambda: "05:00 to 06:00" in text_of(app, "#details"))
        await until(pilot, lambda: "create it" in text_of(app, "#details"))


async def test_today_has_the_heat_of_the_hours_that_are_over(logs: str) -> None:
    """The hours to come are premade, which says nothing of the rows that are there."""
    with connect(logs) as connection:
        connection.execute(b"INSERT INTO logs SELECT now(), 'info' FROM generate_series(1, 90)")
        connection.execute(b"ANALYZE logs")

    async with opened(logs, requested=LOGS) as (app, pilot):
        await pilot.press("up")
        await until(pilot, lambda: app.screen.query_one(Calendar).day == midnight(-1).date())
        today = midnight(0)
        week = text_of(app, "#calendar").splitlines()[1 + today.weekday()]

    assert "□◂" not in week
    assert "◂" in week


async def test_another_table_is_not_narrowed_to_the_day_that_was_opened(logs: str) -> None:
    """All of its partitions are listed."""
    with connect(logs) as connection:
        connection.execute(
            b"CREATE TABLE other (at date NOT NULL) PARTITION BY RANGE (at);"
            b"CREATE TABLE other_2001 PARTITION OF other FOR VALUES FROM ('2001-01-01') TO ('2002-01-01')"
        )

    async with opened(logs, requested=(*LOGS, TableRef(name="other"))) as (app, pilot):
        await pilot.press("up", "enter")
        await until(pilot, lambda: len(listed(app)) == 24)
        await pilot.press("o")
        await until(pilot, lambda: "public.other" in shown(app) and isinstance(app.screen.focused, Listing))
        app.screen.query_one("#tables", Listing).choose("public.other")
        await pilot.press("enter")
        await until(pilot, lambda: app.model.name is not None and app.model.name.name == "other")
        await until(pilot, lambda: "other_2001" in listed(app))

        assert "esc all" not in text_of(app, "#tabs")
