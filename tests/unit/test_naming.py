"""Names of partitions: the style that is there, the 63 bytes, and periods as people write them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.errors import UsageError
from pgalmanac.model import Bounds, Interval, KeyType
from pgalmanac.naming import MAX_BYTES, fit, infer_style, label, parse_period
from pgalmanac.periods import Calendar
from pgalmanac.table_names import TableName, TableRef
from snapshots import NOW, at, day, partition

CALENDAR = Calendar(zone=ZoneInfo("UTC"), key=KeyType.TIMESTAMP)
PARENT = TableName(schema="public", name="events")


@pytest.mark.parametrize(
    ("interval", "name"),
    [
        (Interval.HOURLY, "events_2025_11_02_14"),
        (Interval.DAILY, "events_2025_11_02"),
        (Interval.WEEKLY, "events_2025_w44"),
        (Interval.MONTHLY, "events_2025_11"),
        (Interval.QUARTERLY, "events_2025_q4"),
        (Interval.YEARLY, "events_2025"),
    ],
)
def test_the_name_without_a_style_to_follow(interval: Interval, name: str) -> None:
    """A table without partitions gets its own name and the date."""
    style = infer_style(PARENT, [], interval, CALENDAR)

    assert style.name(interval, CALENDAR.period(interval, NOW), CALENDAR) == TableName(schema="public", name=name)


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ("events_p20251031", "events_p20251103"),
        ("events_20251031", "events_20251103"),
        ("events-2025-10-31", "events-2025-11-03"),
        ("p2025_10_31_events", "p2025_11_03_events"),
        ("events_y2025m10d31", "events_y2025m11d03"),
        ("evénements_2025_10_31", "evénements_2025_11_03"),
        ("nothing_to_see", "events_2025_11_03"),
        ("events_120251031", "events_2025_11_03"),
        ("events_2025103112", "events_2025_11_03"),
        ("events_20251031_001", "events_2025_11_03"),
        ("events_2025_10_31_v2", "events_2025_11_03_v2"),
    ],
)
def test_the_style_of_existing_partitions_is_followed(existing: str, expected: str) -> None:
    """Prefix, date format and suffix come from the siblings; a number that only contains the date is no date."""
    siblings = [partition(day(-2), oid=1, name=existing)]
    style = infer_style(PARENT, siblings, Interval.DAILY, CALENDAR)

    assert style.name(Interval.DAILY, day(1), CALENDAR).name == expected


@pytest.mark.parametrize(
    ("interval", "period", "existing", "expected"),
    [
        (Interval.HOURLY, "2025-11-02T14", "events_p2025_11_02_1400", "events_p2025_11_02_1500"),
        (Interval.HOURLY, "2025-11-02T14", "events_p20251102_140000", "events_p20251102_150000"),
        (Interval.HOURLY, "2025-11-02T14", "events__2025_11_02_14", "events__2025_11_02_15"),
        (Interval.DAILY, "2025-11-02", "events_p2025_11_02", "events_p2025_11_03"),
        (Interval.DAILY, "2025-11-02", "events_p20251102", "events_p20251103"),
        (Interval.DAILY, "2025-11-02", "events__2025_11_02", "events__2025_11_03"),
        (Interval.WEEKLY, "2025-W01", "events_p2025w01", "events_p2025w02"),
        (Interval.WEEKLY, "2025-W01", "events_p20241230", "events_p20250106"),
        (Interval.WEEKLY, "2025-W01", "events_2025_w01", "events_2025_w02"),
        (Interval.WEEKLY, "2025-W01", "events__2025_w01", "events__2025_w02"),
        (Interval.MONTHLY, "2025-11", "events_p2025_11", "events_p2025_12"),
        (Interval.MONTHLY, "2025-11", "events_p20251101", "events_p20251201"),
        (Interval.QUARTERLY, "2025-Q3", "events_p2025q3", "events_p2025q4"),
        (Interval.QUARTERLY, "2025-Q3", "events_p20250701", "events_p20251001"),
        (Interval.QUARTERLY, "2025-Q3", "events__2025_q3", "events__2025_q4"),
        (Interval.YEARLY, "2025", "events_p2025", "events_p2026"),
        (Interval.YEARLY, "2025", "events_p20250101", "events_p20260101"),
        (Interval.YEARLY, "2025", "events__2025", "events__2026"),
    ],
)
def test_the_names_that_other_tools_gave_are_continued(
    interval: Interval, period: str, existing: str, expected: str
) -> None:
    """`_p` is pg_partman's, 4 and then 5; two underscores are pg-partsmith's; Qonto's are the ones of our own."""
    bounds = parse_period(period, interval, CALENDAR)
    assert bounds.upper is not None
    style = infer_style(PARENT, [partition(bounds, oid=1, name=existing)], interval, CALENDAR)

    assert style.name(interval, CALENDAR.period(interval, bounds.upper), CALENDAR).name == expected


def test_hours_that_are_named_by_the_wall_clock_go_on_so() -> None:
    """As a pg_partman in a Berlin session names them; the second of the hour that clocks repeat says that it is it."""
    berlin = Calendar(zone=ZoneInfo("Europe/Berlin"), key=KeyType.TIMESTAMPTZ)
    first = berlin.period(Interval.HOURLY, at("2025-10-25T22:00"))
    style = infer_style(PARENT, [partition(first, oid=1, name="events_p2025_10_26_0000")], Interval.HOURLY, berlin)
    periods = berlin.periods(Interval.HOURLY, at("2025-10-25T23:00"), at("2025-10-26T03:00"))

    names = [style.name(Interval.HOURLY, p, berlin).name for p in periods]

    hours = ["0100", "0200", "0200_2", "0300"]
    assert [f"events_p2025_10_26_{hour}" for hour in hours] == names


def test_names_of_partitions_on_no_grid_are_continued() -> None:
    """Weeks from a Tuesday, which somebody goes on with as weeks: the names need not change for that."""
    lower = at("2025-10-28")
    tuesdays = [partition(Bounds(lower=lower, upper=at("2025-11-04")), oid=1, name="events_p20251028")]
    style = infer_style(PARENT, tuesdays, Interval.WEEKLY, CALENDAR)

    assert style.name(Interval.WEEKLY, parse_period("2025-W46", Interval.WEEKLY, CALENDAR), CALENDAR).name == (
        "events_p20251110"
    )


@pytest.mark.parametrize("existing", ["events_2025_10_31", "nothing_to_see"])
def test_the_schema_of_the_siblings_is_followed(existing: str) -> None:
    """Partitions that live in a schema of their own keep doing so, whatever they are called."""
    sibling = partition(day(-2), oid=1)
    object.__setattr__(sibling, "name", TableName(schema="parts", name=existing))

    style = infer_style(PARENT, [sibling], Interval.DAILY, CALENDAR)

    assert style.name(Interval.DAILY, day(1), CALENDAR) == TableName(schema="parts", name="events_2025_11_03")


def test_the_hour_that_clocks_repeat_has_two_names() -> None:
    """Hours of a timestamptz key are named in UTC."""
    berlin = Calendar(zone=ZoneInfo("Europe/Berlin"), key=KeyType.TIMESTAMPTZ)
    style = infer_style(PARENT, [], Interval.HOURLY, berlin)
    periods = berlin.periods(Interval.HOURLY, at("2025-10-25T22:00"), at("2025-10-26T23:00"))

    names = [style.name(Interval.HOURLY, p, berlin).name for p in periods]

    assert len(set(names)) == 25


@given(st.text(min_size=1, max_size=80).filter(lambda s: "\0" not in s), st.sampled_from(["2025_11_02", "2025"]))
def test_a_name_fits_and_keeps_its_date(prefix: str, tail: str) -> None:
    """At most 63 bytes, whole characters, the date untouched, and a short prefix untouched as well."""
    try:
        prefix.encode()
    except UnicodeEncodeError:  # a lone surrogate is no text a database can hold
        return
    name = fit(prefix, tail)

    assert len(name.encode()) <= MAX_BYTES
    assert name.endswith(tail)
    if len((prefix + tail).encode()) <= MAX_BYTES:
        assert name == prefix + tail


def test_a_long_name_keeps_the_separator_before_the_date() -> None:
    """The base is cut, at a character's boundary: é is two bytes."""
    assert fit("é" * 40 + "_", "2025_11_02") == "é" * 26 + "_2025_11_02"


@pytest.mark.parametrize(
    ("text", "interval", "lower"),
    [
        ("2025-11-02T05", Interval.HOURLY, "2025-11-02T05:00"),
        ("2025-11-02", Interval.DAILY, "2025-11-02T00:00"),
        ("2025-W45", Interval.WEEKLY, "2025-11-03T00:00"),
        ("2025-11", Interval.MONTHLY, "2025-11-01T00:00"),
        ("2025-Q4", Interval.QUARTERLY, "2025-10-01T00:00"),
        ("2025", Interval.YEARLY, "2025-01-01T00:00"),
    ],
)
def test_a_period_is_read_as_its_interval_writes_it(text: str, interval: Interval, lower: str) -> None:
    """And is written back the same way."""
    period = parse_period(text, interval, CALENDAR)

    assert period.lower == at(lower)
    assert label(interval, period, CALENDAR) == text


@given(st.sampled_from(list(Interval)), st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001  # Hypothesis wants naive limits
def test_label_and_parse_are_inverse(interval: Interval, moment: datetime) -> None:
    """Every period that can be written can be read."""
    period = CALENDAR.period(interval, at(moment.isoformat()))

    assert parse_period(label(interval, period, CALENDAR), interval, CALENDAR) == period


@pytest.mark.parametrize(
    ("text", "interval", "says"),
    [
        ("2025-02-30", Interval.DAILY, "2025-02-30 does not exist"),
        ("2025-W54", Interval.WEEKLY, "2025-W54 does not exist"),
        ("2025-11-02T24", Interval.HOURLY, "2025-11-02T24 does not exist"),
        ("2025-11-02", Interval.MONTHLY, "did you mean 2025-11?"),
        ("2025-11", Interval.DAILY, "did you mean 2025-11-01?"),
        ("yesterday", Interval.DAILY, "'yesterday' is not a period"),
        ("9999-12-31", Interval.DAILY, "past the years"),
    ],
)
def test_what_is_no_period_is_refused_with_one_sentence(text: str, interval: Interval, says: str) -> None:
    """A day that does not exist, another interval's way of writing, and nonsense."""
    with pytest.raises(UsageError) as refusal:
        parse_period(text, interval, CALENDAR)

    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("events", None, "events"),
        ("App.Events", "app", "events"),
        ('"Big App"."My.Events"', "Big App", "My.Events"),
        ('"say ""hi"""', None, 'say "hi"'),
        ("ünïcode", None, "ünïcode"),
    ],
)
def test_table_names_are_read_as_psql_reads_them(text: str, schema: str | None, name: str) -> None:
    """Unquoted parts fold to lower case, and what is shown can be typed again."""
    ref = TableRef.parse(text)

    assert (ref.schema, ref.name) == (schema, name)
    assert TableRef.parse(str(ref)) == ref


@pytest.mark.parametrize("text", ["", "a.b.c", "a..b", ".a", "a.", "my events", '"open', "a;drop", '""', "1a"])
def test_what_is_no_table_name_is_refused(text: str) -> None:
    """One clear sentence instead of a query that cannot work."""
    with pytest.raises(UsageError, match="is not the name of a table"):
        TableRef.parse(text)


def test_bounds_are_half_open() -> None:
    """The upper bound belongs to the next partition."""
    bounds = Bounds(lower=at("2025-11-02T00:00"), upper=at("2025-11-03T00:00"))

    assert bounds.contains(at("2025-11-02T00:00"))
    assert not bounds.contains(at("2025-11-03T00:00"))
    assert not bounds.overlaps(Bounds(lower=at("2025-11-03T00:00"), upper=None))


def test_the_longest_date_in_a_name_is_its_date() -> None:
    """A month that is named with its first day is not named by year and month with a suffix."""
    october = CALENDAR.period(Interval.MONTHLY, at("2025-10-01T00:00"))
    style = infer_style(PARENT, [partition(october, oid=1, name="events_2025_10_01")], Interval.MONTHLY, CALENDAR)

    assert (style.pattern, style.suffix) == ("%Y_%m_%d", "")


def test_the_style_is_that_of_most_partitions_of_the_interval() -> None:
    """Neither one odd name nor partitions of another interval decide it."""
    days = [partition(day(o), oid=10 - o, name=f"events_{(day(o).lower or NOW):%Y%m%d}") for o in (-4, -3, -2)]
    odd = partition(day(-5), oid=1, name="old_2025_10_28")
    weeks = [partition(day(1 + 7 * n, 7), oid=20 + n, name=f"week_2025_11_{3 + 7 * n:02}") for n in range(4)]
    style = infer_style(PARENT, [odd, *days, *weeks], Interval.DAILY, CALENDAR)

    assert style.name(Interval.DAILY, day(1), CALENDAR).name == "events_20251103"


def test_a_name_of_63_bytes_is_whole() -> None:
    """One more, and its base gives way."""
    date = "2025_11_02"

    assert fit("x" * 52 + "_", date) == "x" * 52 + "_" + date
    assert fit("x" * 53 + "_", date) == "x" * 52 + "_" + date


@pytest.mark.parametrize("length", [48, 49, 60])
def test_a_second_name_for_one_hour_keeps_its_date(length: int) -> None:
    """The base of the table's name gives way, as for the first; else two hours would have one second name."""
    parent = TableName(schema="public", name="x" * length)
    style = infer_style(parent, [], Interval.HOURLY, CALENDAR)
    hours = [CALENDAR.period(Interval.HOURLY, at(f"2025-11-02T{hour:02d}:00")) for hour in (21, 22)]
    names = [style.name(Interval.HOURLY, bounds, CALENDAR, again=True).name for bounds in hours]

    assert [name[-16:] for name in names] == ["_2025_11_02_21_2", "_2025_11_02_22_2"]
    assert all(len(name) <= MAX_BYTES for name in names)
