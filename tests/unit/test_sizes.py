"""What sizes foretell: growth, the horizon of retention, the day a limit is reached, days that are not as usual."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from pgalmanac.findings import Code, Level
from pgalmanac.forecast import Measured, Sizes, forecast, unusual
from pgalmanac.model import Bounds, KeyType, Partition, PartitionedTable, PartitionKey
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableName
from pgalmanac.view import View, view

NOW = datetime(2026, 3, 18, 2, tzinfo=UTC)  # a Wednesday
TODAY = NOW.date()
GIB = 1 << 30


def seen(days: range, **policy: object) -> View:
    """Return a table with a daily partition for each of *days*, counted from today; the day is its oid."""
    midnight = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
    partitions = tuple(
        Partition(
            oid=1000 + day,
            name=TableName(schema="public", name=f"events_{TODAY + timedelta(days=day):%Y_%m_%d}"),
            bounds=Bounds(lower=midnight + timedelta(days=day), upper=midnight + timedelta(days=day + 1)),
        )
        for day in days
    )
    table = PartitionedTable(
        oid=1,
        name=TableName(schema="public", name="events"),
        owner="owner",
        key=PartitionKey(column="at", type=KeyType.TIMESTAMPTZ),
        now=NOW,
        partitions=partitions,
    )
    return view(table, Policy(**policy))  # type: ignore[arg-type]  # what a test changes


def measured(rows: dict[int, int], *, size: int = 10, total: int | None = None) -> Sizes:
    """Return measures of days: their rows, and *size* bytes for each row."""
    found = tuple(
        Measured(oid=1000 + day, rows=n, bytes=n * size, exact=False, measured_at=NOW) for day, n in rows.items()
    )
    return Sizes(measured=found, total_bytes=sum(rows.values()) * size if total is None else total)


def test_growth_is_that_of_the_closed_days_of_four_weeks() -> None:
    """Today is not over, and what was before four weeks ago is no matter."""
    rows = {**dict.fromkeys(range(-60, -28), 9000), **dict.fromkeys(range(-28, 0), 100), 0: 3}
    found = forecast(seen(range(-60, 30)), measured(rows))

    assert found is not None
    assert (100, 1000) == (found.rows_a_day, found.bytes_a_day)


def test_the_horizon_holds_retention_and_today() -> None:
    """90 days are kept, and one is being written."""
    found = forecast(seen(range(-28, 30)), measured(dict.fromkeys(range(-28, 0), 100)))

    assert found is not None
    assert 91 * 1000 == found.horizon_bytes


def test_what_is_kept_for_ever_has_no_horizon() -> None:
    """It grows, and no day lets another go."""
    found = forecast(seen(range(-28, 30), retention_days=None), measured(dict.fromkeys(range(-28, 0), 100)))

    assert found is not None
    assert found.horizon_bytes is None


@pytest.mark.parametrize(
    ("policy", "first", "total", "day"),
    [
        ({"retention_days": None}, -28, 0, TODAY + timedelta(days=10)),
        ({}, -28, 0, TODAY + timedelta(days=10)),
        ({}, -28, 10 * GIB, TODAY),
        ({}, -28, 99 * GIB, TODAY),
        ({"retention_days": 30}, -30, 0, None),  # each new day lets an old one go
        ({"retention_days": 30}, -21, 0, None),
        ({"retention_days": 30}, -20, 0, TODAY + timedelta(days=10)),  # one day before they begin to
        ({"retention_days": None}, -28, 5 * GIB, TODAY + timedelta(days=5)),
    ],
)
def test_the_limit_is_reached_on_a_day_or_never(
    policy: dict[str, object], first: int, total: int, day: date | None
) -> None:
    """One GB a day, and ten are the limit."""
    table = seen(range(first, 30), disk_limit_gb=10, **policy)
    found = forecast(table, measured(dict.fromkeys(range(first, 0), GIB), size=1, total=total))

    assert found is not None
    assert day == found.full_on


def test_a_limit_beyond_all_calendars_is_never_reached() -> None:
    """A byte a day against exabytes."""
    table = seen(range(-28, 30), disk_limit_gb=1_000_000_000, retention_days=None)
    found = forecast(table, measured(dict.fromkeys(range(-28, 0), 1), size=1))

    assert found is not None
    assert found.full_on is None


def test_without_a_measure_there_is_no_forecast_and_nothing_unusual() -> None:
    """A first run, or a history that cannot be read."""
    table = seen(range(-28, 30), disk_limit_gb=10)

    assert forecast(table, Sizes()) is None
    assert () == unusual(table, Sizes())


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (100, None),
        (34, None),
        (300, None),
        (33, (Code.UNUSUAL_VOLUME, Level.INFO)),
        (301, (Code.UNUSUAL_VOLUME, Level.INFO)),
        (0, (Code.NO_EVENTS, Level.WARNING)),
    ],
)
def test_a_day_is_unusual_beyond_three_times_its_weekday(rows: int, expected: tuple[Code, Level] | None) -> None:
    """Yesterday against the Tuesdays before it; both thirds are still usual."""
    sizes = measured({**dict.fromkeys(range(-40, -1), 100), -1: rows})
    found = [(f.code, f.level) for f in unusual(seen(range(-40, 30)), sizes)]

    assert ([] if expected is None else [expected]) == found


def test_a_day_that_was_never_measured_held_nothing() -> None:
    """Only what was ever written to is measured."""
    sizes = measured(dict.fromkeys(range(-40, -1), 100))
    found = unusual(seen(range(-40, 30)), sizes)

    assert [(Code.NO_EVENTS, "public.events_2026_03_17")] == [(f.code, f.partition) for f in found]


@pytest.mark.parametrize(
    ("hours", "rows", "expected"),
    [(-1, None, [Code.NO_EVENTS]), (0, None, []), (9, None, []), (9, 1, [Code.UNUSUAL_VOLUME]), (-1, 100, [])],
)
def test_a_day_that_was_made_when_it_was_over_is_judged_only_by_rows(
    hours: int, rows: int | None, expected: list[Code]
) -> None:
    """An empty one had no place for its events; its partition was made so many hours after the end of the day."""
    table = seen(range(-60, 30))
    sizes = measured(dict.fromkeys((*range(-60, -2), -1), 100) | ({} if rows is None else {-2: rows}))
    made = datetime(TODAY.year, TODAY.month, TODAY.day - 1, tzinfo=UTC) + timedelta(hours=hours)

    assert expected == [f.code for f in unusual(table, replace(sizes, made={998: made}))]


def test_a_day_that_could_hold_nothing_is_no_part_of_growth() -> None:
    """What a day adds is told of those that had a place for their events."""
    sizes = measured(dict.fromkeys((*range(-60, -2), -1), 100))

    found = forecast(seen(range(-60, 30)), replace(sizes, made={998: NOW}))

    assert found is not None
    assert 100 == found.rows_a_day


def test_weekends_are_compared_with_weekends() -> None:
    """A table that sleeps on Saturdays and Sundays is as usual on both."""
    midnight = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
    rows = {d: 1 if (midnight + timedelta(days=d)).weekday() > 4 else 5000 for d in range(-60, 0)}

    assert () == unusual(seen(range(-60, 30)), measured(rows))


def test_what_was_unusual_long_ago_is_not_told_again() -> None:
    """A finding is about the last week."""
    sizes = measured({**dict.fromkeys(range(-60, 0), 100), -9: 0})

    assert () == unusual(seen(range(-60, 30)), sizes)


def test_with_few_days_there_is_no_usual() -> None:
    """Three of the same weekday are the least."""
    sizes = measured({**dict.fromkeys(range(-15, -1), 100), -1: 0})

    assert () == unusual(seen(range(-15, 30)), sizes)


@pytest.mark.parametrize(("total", "level"), [(0, Level.WARNING), (-10 * GIB, Level.WARNING), (-11 * GIB, Level.INFO)])
def test_a_limit_is_a_warning_a_month_ahead(total: int, level: Level) -> None:
    """Later it is worth knowing."""
    table = seen(range(-28, 30), disk_limit_gb=20, retention_days=None)
    sizes = measured(dict.fromkeys(range(-28, 0), GIB), size=1, total=total)

    assert [(Code.DISK_LIMIT, level)] == [(f.code, f.level) for f in unusual(table, sizes)]


def hourly(days: range) -> View:
    """Return a table with a partition for each hour of *days*; hours counted from today's first are the oids."""
    midnight = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
    hours = range(days.start * 24, days.stop * 24)
    partitions = tuple(
        Partition(
            oid=10_000 + hour,
            name=TableName(schema="public", name=f"events_{hour}"),
            bounds=Bounds(lower=midnight + timedelta(hours=hour), upper=midnight + timedelta(hours=hour + 1)),
        )
        for hour in hours
    )
    return view(replace(seen(days).table, partitions=partitions), Policy())


def measured_hours(rows: dict[int, int]) -> Sizes:
    """Return measures of hours, counted from today's first."""
    found = tuple(Measured(oid=10_000 + h, rows=n, bytes=n, exact=False, measured_at=NOW) for h, n in rows.items())
    return Sizes(measured=found, total_bytes=0)


@pytest.mark.parametrize(
    ("yesterday", "expected"),
    [
        (range(24), []),
        (range(12), []),
        (range(23, 24), [(Code.UNUSUAL_VOLUME, "public.events on 2026-03-17 holds about 10 events")]),
        (range(0), [(Code.NO_EVENTS, "public.events on 2026-03-17 holds no events")]),
    ],
)
def test_hours_are_told_of_by_the_day(yesterday: range, expected: list[tuple[Code, str]]) -> None:
    """An hour without events is no news; the hours of a day that is not over say nothing of it."""
    rows = dict.fromkeys(range(-40 * 24, -24), 10) | {h - 24: 10 for h in yesterday} | {0: 1}
    found = unusual(hourly(range(-40, 2)), measured_hours(rows))

    assert expected == [(f.code, f.message.partition(",")[0]) for f in found]


def test_a_day_that_ended_since_the_last_run_is_not_judged() -> None:
    """It was measured in its small hours: what came later nobody has counted yet."""
    small_hours = replace(measured({**dict.fromkeys(range(-40, -1), 100), -1: 8}), as_of=NOW - timedelta(days=1))
    none_yet = replace(measured(dict.fromkeys(range(-40, -1), 100)), as_of=NOW - timedelta(days=1))

    assert () == unusual(seen(range(-40, 30)), small_hours)
    assert () == unusual(seen(range(-40, 30)), none_yet)
    assert [Code.NO_EVENTS] == [f.code for f in unusual(seen(range(-40, 30)), replace(none_yet, as_of=NOW))]
    midnight = NOW.replace(hour=0)
    assert [Code.NO_EVENTS] == [f.code for f in unusual(seen(range(-40, 30)), replace(none_yet, as_of=midnight))]


def test_a_table_from_which_nothing_is_dropped_has_no_horizon() -> None:
    """Whatever its retention would be: it grows until somebody sets one."""
    found = forecast(seen(range(-28, 30), may_drop=False), measured(dict.fromkeys(range(-28, 0), 100)))

    assert found is not None
    assert found.horizon_bytes is None
