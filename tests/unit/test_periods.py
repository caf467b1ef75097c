"""Interval arithmetic: the grid of each interval, and what a change of clocks does to it."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.model import Bounds, Interval, KeyType, Partition
from pgalmanac.periods import Calendar, Coverage, infer_interval, off_grid
from snapshots import at, day, partition

UTC_CALENDAR = Calendar(zone=ZoneInfo("UTC"), key=KeyType.TIMESTAMPTZ)
BERLIN = Calendar(zone=ZoneInfo("Europe/Berlin"), key=KeyType.TIMESTAMPTZ)
BERLIN_WALL = Calendar(zone=ZoneInfo("Europe/Berlin"), key=KeyType.TIMESTAMP)
# Changes of half an hour, of a whole skipped day, at midnight, and none at all.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Cairo",
]

moments = st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # Hypothesis wants naive limits
calendars = st.builds(
    lambda zone, key: Calendar(zone=ZoneInfo(zone), key=key), st.sampled_from(ZONES), st.sampled_from(list(KeyType))
)
intervals = st.sampled_from(list(Interval))


@given(calendars, intervals, moments)
def test_a_period_contains_its_moment_and_lies_on_its_own_grid(
    calendar: Calendar, interval: Interval, moment: datetime
) -> None:
    """Whatever the zone: floor(moment) <= moment < next, and flooring is idempotent."""
    period = calendar.period(interval, moment)

    assert period.contains(moment)
    assert period.lower is not None
    assert calendar.floor(interval, period.lower) == period.lower
    assert calendar.aligned(period) is interval


@given(calendars, intervals, moments, st.integers(1, 200))
def test_periods_follow_each_other_without_hole_or_overlap(
    calendar: Calendar, interval: Interval, moment: datetime, days: int
) -> None:
    """The periods of a range touch, and cover it."""
    periods = list(calendar.periods(interval, moment, moment + timedelta(days=days)))

    assert all(a.upper == b.lower for a, b in itertools.pairwise(periods))
    assert periods[0].contains(moment)
    assert periods[-1].upper is not None
    assert periods[-1].upper >= moment + timedelta(days=days)


@pytest.mark.parametrize(
    ("interval", "moment", "lower", "upper"),
    [
        (Interval.HOURLY, "2025-11-02T05:59", "2025-11-02T05:00", "2025-11-02T06:00"),
        (Interval.DAILY, "2024-02-29T12:00", "2024-02-29T00:00", "2024-03-01T00:00"),
        (Interval.WEEKLY, "2026-01-01T00:00", "2025-12-29T00:00", "2026-01-05T00:00"),
        (Interval.MONTHLY, "2025-12-31T23:59", "2025-12-01T00:00", "2026-01-01T00:00"),
        (Interval.QUARTERLY, "2025-11-02T00:00", "2025-10-01T00:00", "2026-01-01T00:00"),
        (Interval.YEARLY, "2024-12-31T00:00", "2024-01-01T00:00", "2025-01-01T00:00"),
    ],
)
def test_the_period_of_each_interval(interval: Interval, moment: str, lower: str, upper: str) -> None:
    """One example each, at an edge of the calendar."""
    assert UTC_CALENDAR.period(interval, at(moment)) == Bounds(lower=at(lower), upper=at(upper))


def test_a_day_of_changing_clocks_has_23_or_25_hours() -> None:
    """Berlin's days of a timestamptz key are instants: [22:00, 23:00) UTC and so on."""
    autumn = BERLIN.period(Interval.DAILY, at("2025-10-26T12:00"))
    spring = BERLIN.period(Interval.DAILY, at("2025-03-30T12:00"))

    assert autumn == Bounds(lower=at("2025-10-25T22:00"), upper=at("2025-10-26T23:00"))
    assert spring == Bounds(lower=at("2025-03-29T23:00"), upper=at("2025-03-30T22:00"))


def test_a_wall_clock_key_always_has_days_of_24_hours() -> None:
    """A column without a zone stores what clocks show, so Berlin's longest day is one day wide."""
    assert BERLIN_WALL.period(Interval.DAILY, at("2025-10-26T12:00")) == Bounds(
        lower=at("2025-10-26T00:00"), upper=at("2025-10-27T00:00")
    )


def test_today_of_a_wall_clock_key_is_that_of_the_policys_zone() -> None:
    """At 23:30 UTC it is tomorrow in Berlin, and such a column stores tomorrow's date."""
    key_time = BERLIN_WALL.from_instant(at("2025-11-02T23:30"))

    assert key_time == at("2025-11-03T00:30")
    assert BERLIN_WALL.day(key_time) == date(2025, 11, 3)


def test_bounds_made_under_another_zone_are_on_no_grid() -> None:
    """Midnight in Berlin is 23:00 in UTC: such a day is nobody's day under a UTC policy."""
    berlin_day = BERLIN.period(Interval.DAILY, at("2025-11-02T12:00"))

    assert UTC_CALENDAR.aligned(berlin_day) is None
    assert BERLIN.aligned(berlin_day) is Interval.DAILY


def test_unbounded_and_endless_bounds_are_on_no_grid() -> None:
    """Neither MINVALUE nor the last day that datetime knows makes alignment fail with an error."""
    last = datetime.max.replace(tzinfo=UTC)

    assert UTC_CALENDAR.aligned(Bounds(lower=None, upper=at("2025-11-02T00:00"))) is None
    assert UTC_CALENDAR.aligned(Bounds(lower=at("9999-12-31T00:00"), upper=last)) is None


@given(st.lists(st.integers(0, 40), unique=True), st.integers(0, 40), st.integers(1, 10))
def test_holes_and_the_existing_together_are_the_whole(days: list[int], first: int, width: int) -> None:
    """No moment of the asked range is both covered and a hole, and none is neither."""
    existing = [day(d) for d in days]
    wanted = day(first, width)
    holes = Coverage(existing).holes(wanted)

    for offset in range(first, first + width):
        inside = day(offset).lower
        assert inside is not None
        assert (offset in days) != any(h.contains(inside) for h in holes)


def test_a_hole_of_two_hours_is_found() -> None:
    """What a change of time zone leaves between two days."""
    existing = [
        Bounds(lower=at("2025-11-01T00:00"), upper=at("2025-11-01T22:00")),
        Bounds(lower=at("2025-11-02T00:00"), upper=at("2025-11-03T00:00")),
    ]

    assert Coverage(existing).holes(Bounds(lower=at("2025-11-01T00:00"), upper=at("2025-11-03T00:00"))) == (
        Bounds(lower=at("2025-11-01T22:00"), upper=at("2025-11-02T00:00")),
    )


def test_the_interval_is_that_of_most_of_the_newest_partitions() -> None:
    """Months of old days do not outvote the month of weeks after a change; odd ones never count."""
    days = [partition(day(o), oid=o + 500) for o in range(-200, -63)]
    weeks = [partition(day(o, 7), oid=o + 500) for o in range(-62, 155, 7)]
    odd = [partition(day(200, 3), oid=9999)]

    assert infer_interval([*days, *weeks, *odd], UTC_CALENDAR) is Interval.WEEKLY
    assert infer_interval(days, UTC_CALENDAR) is Interval.DAILY
    assert infer_interval(odd, UTC_CALENDAR) is None


@pytest.mark.parametrize(
    ("lower", "widths"),
    [
        ("2025-10-28T00:00", [7 * 24] * 3),  # weeks from a Tuesday, as pg_partman 5 makes them
        ("2025-11-02T00:00", [0.5] * 3),  # half hours
        ("2025-11-01T00:00", [48] * 2),
        ("2025-10-24T22:00", [24, 25, 24]),  # days of Berlin, over a change of its clocks
        ("2025-09-30T22:00", [31 * 24 + 1, 30 * 24, 31 * 24]),  # months of Berlin
    ],
)
def test_partitions_that_are_alike_on_no_grid_are_known(lower: str, widths: list[float]) -> None:
    """The newest one is told of; not where the last one ends on the grid, is odd for itself or stands alone."""
    made: list[Partition] = []
    start = at(lower)
    for oid, width in enumerate(widths):
        end = start + timedelta(hours=width)
        made.append(partition(Bounds(lower=start, upper=end), oid=oid + 1))
        start = end
    days = [partition(day(o), oid=o + 500) for o in range(-100, -80)]
    newer = partition(UTC_CALENDAR.period(Interval.DAILY, start + timedelta(days=2)), oid=99)
    odd = partition(Bounds(lower=start, upper=start + timedelta(hours=3.5)), oid=98)

    assert off_grid([*days, *made], UTC_CALENDAR) == made[-1].bounds
    assert off_grid([*days, made[-1]], UTC_CALENDAR) is None
    assert off_grid([*days, *made, newer], UTC_CALENDAR) is None
    assert off_grid([*days, *made, odd], UTC_CALENDAR) is None
    assert off_grid(days, UTC_CALENDAR) is None


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("2025-10-28T00:00", "2025-11-04T00:00"),
        ("2025-11-02T14:30", "2025-11-02T15:30"),
        ("2025-11-02T12:00", "2025-11-03T12:00"),
        ("2025-10-15T00:00", "2025-11-15T00:00"),
        ("2025-11-01T00:00", "2026-02-01T00:00"),
        ("2025-04-01T00:00", "2026-04-01T00:00"),
    ],
)
def test_a_width_alone_is_no_grid(lower: str, upper: str) -> None:
    """A week from a Tuesday, an hour from half past, a quarter from November: none begins where its interval does."""
    bounds = Bounds(lower=at(lower), upper=at(upper))

    assert UTC_CALENDAR.aligned(bounds) is None
    assert BERLIN_WALL.aligned(bounds) is None


def test_what_ends_now_does_not_cover_now() -> None:
    """At midnight yesterday's partition takes no row any more."""
    yesterday, upper = Coverage([day(-1)]), day(0).lower
    assert upper is not None

    assert not yesterday.covered(upper)
    assert yesterday.covered(upper - timedelta(microseconds=1))


def test_a_few_odd_partitions_do_not_change_the_interval() -> None:
    """It is that of most of the newest 31, and of equals that of the newest."""
    days = [partition(day(o), oid=o + 200) for o in range(-26, 0)]
    weeks = [partition(day(1 + 7 * n, 7), oid=n + 300) for n in range(5)]
    newer = [partition(day(1 + 7 * n, 7), oid=n + 300) for n in range(16)]

    assert infer_interval([*days, *weeks], UTC_CALENDAR) is Interval.DAILY
    assert infer_interval([*days, *newer], UTC_CALENDAR) is Interval.WEEKLY
