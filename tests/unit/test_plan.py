"""The plan: what is created, what is dropped, what never is. Most of the product is proved here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.actions import Action, ActionKind, Facts, Reason, Source, Status
from pgalmanac.errors import ConfigError, UsageError
from pgalmanac.invocation import Invocation
from pgalmanac.model import Bounds, Interval, KeyType, Orphan, Partition, PartitionedTable, RelationKind
from pgalmanac.plan import plan_create, plan_drop, plan_fix, plan_maintain
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableName
from pgalmanac.view import view
from snapshots import NOW, applied, at, day, events, mark, partition

POLICY = Policy()
# Wide enough for every day that a generated table can have expired.
NO_FUSE = Policy(max_drops=10_000)


def created(actions: tuple[Action, ...]) -> list[Bounds]:
    """The bounds of the planned creations."""
    return [a.bounds for a in actions if a.kind is ActionKind.CREATE and a.status is Status.PLANNED]


def dropped(actions: tuple[Action, ...]) -> list[str]:
    """The names of the planned drops."""
    return [a.partition.name for a in actions if a.kind is ActionKind.DROP and a.status is Status.PLANNED]


@st.composite
def tables(draw: st.DrawFn) -> PartitionedTable:
    """Tables with days, holes, wide and odd partitions, marks, pending detaches and orphans, in any zone and key."""
    key = draw(st.sampled_from(list(KeyType)))
    now = draw(st.datetimes(datetime(2023, 1, 1), datetime(2027, 1, 1))).replace(tzinfo=NOW.tzinfo)  # noqa: DTZ001  # Hypothesis wants naive limits
    base = now.replace(hour=0, minute=0, second=0, microsecond=0)
    offsets = sorted(draw(st.sets(st.integers(-140, 60), max_size=60)))
    partitions: list[Partition] = []
    free_from = -1000
    for index, offset in enumerate(offsets):
        if offset < free_from:
            continue
        width = draw(st.sampled_from([1, 1, 1, 1, 1, 7, 3]))
        # Hours off midnight, as a change of time zone leaves them; a date key has none.
        shift = timedelta(hours=draw(st.sampled_from([0, 0, 0, 0, 2]))) if key is not KeyType.DATE else timedelta()
        lower = base + timedelta(days=offset) + shift
        bounds = Bounds(lower=lower, upper=lower + timedelta(days=width))
        free_from = offset + width + 1 if shift else offset + width
        oid = 100 + index
        fate = draw(st.sampled_from(["plain"] * 8 + ["marked", "pending", "pending marked", "foreign", "partitioned"]))
        partitions.append(
            partition(
                bounds,
                oid=oid,
                name=f"events_{oid}",
                mark=mark(bounds, oid=oid) if "marked" in fate else None,
                detach_pending="pending" in fate,
                kind={"foreign": RelationKind.FOREIGN, "partitioned": RelationKind.PARTITIONED}.get(
                    fate, RelationKind.TABLE
                ),
            )
        )
    return events(partitions, key=key, now=now, default=draw(st.booleans()))


policies = st.builds(
    Policy,
    premake_days=st.integers(0, 60),
    retention_days=st.one_of(st.none(), st.integers(1, 120)),
    timezone=st.sampled_from([ZoneInfo(z) for z in ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata")]),
    interval=st.sampled_from([None, None, Interval.DAILY, Interval.WEEKLY, Interval.MONTHLY]),
    max_drops=st.sampled_from([None, 0, 5, 10_000]),
    drop_unaligned=st.booleans(),
    may_drop=st.booleans(),
)


@given(tables(), policies)
def test_planning_what_a_plan_would_produce_gives_nothing_more(table: PartitionedTable, policy: Policy) -> None:
    """Idempotence: the second plan has nothing left to try.

    But for a period that was covered in part by what the first one dropped, where retention is shorter than a period:
    that is wholly missing only now.
    """
    first = plan_maintain(table, policy)
    second = plan_maintain(applied(first), policy)
    third = plan_maintain(applied(second), policy)
    dropped = [a.bounds for a in first.todo if a.kind is ActionKind.DROP]

    assert [a for a in second.todo if not any(a.bounds.overlaps(bounds) for bounds in dropped)] == []
    assert {a.kind for a in second.todo} <= {ActionKind.CREATE}
    assert third.todo == ()


def test_a_period_whose_last_part_is_dropped_is_made_by_the_next_run() -> None:
    """A week of which only an expired day is there, with a retention of a day: the drop comes first, then the week."""
    now = datetime(2023, 1, 1, 12, tzinfo=UTC)
    days = [datetime(2022, 12, 30, tzinfo=UTC), datetime(2023, 1, 2, tzinfo=UTC), datetime(2023, 1, 3, tzinfo=UTC)]
    parts = [Bounds(lower=d, upper=d + timedelta(days=1)) for d in days]
    table = events([partition(b, oid=100 + i, name=f"events_{i}") for i, b in enumerate(parts)], now=now)
    policy = Policy(interval=Interval.WEEKLY, retention_days=1, premake_days=0, may_drop=True, max_drops=None)
    first = plan_maintain(table, policy)
    second = plan_maintain(applied(first), policy)

    assert [(a.kind, a.bounds) for a in first.todo] == [(ActionKind.DROP, parts[0])]
    assert [(a.kind, a.bounds.upper) for a in second.todo] == [(ActionKind.CREATE, days[1])]


@given(tables(), policies)
def test_after_a_plan_every_day_from_today_to_premake_is_covered(table: PartitionedTable, policy: Policy) -> None:
    """Unless a period was covered in part, or held by a detach that is pending: those are findings."""
    plan = plan_maintain(table, policy)
    after = view(applied(plan), policy)
    wanted = Bounds(lower=after.day(0), upper=after.day(policy.premake_days + 1))
    before = view(table, policy)

    for hole in after.coverage.holes(wanted):
        assert hole.lower is not None
        # The hole's period is not wholly missing, which is what maintain makes.
        period = after.calendar.period(before.interval, hole.lower)
        assert before.coverage.holes(period) != (period,)


@given(tables(), policies)
def test_nothing_inside_retention_is_ever_dropped(table: PartitionedTable, policy: Policy) -> None:
    """Neither by age nor to finish what was begun; and nothing at all where nobody asked for retention."""
    plan = plan_maintain(table, policy)
    seen = plan.view

    for action in plan.todo:
        if action.kind is ActionKind.DROP:
            assert policy.may_drop
            assert policy.retention_days is not None
            assert action.bounds.upper is not None
            assert action.bounds.upper <= seen.day(-policy.retention_days)


@given(tables(), policies)
def test_the_fuse_lets_all_drops_through_or_none(table: PartitionedTable, policy: Policy) -> None:
    """Never a part of what is due: either at most max_drops, or nothing."""
    plan = plan_maintain(table, policy)
    due = [a for a in plan.actions if a.kind is ActionKind.DROP and a.reason is Reason.RETENTION]
    planned = [a for a in due if a.status is Status.PLANNED]

    assert len(planned) <= policy.fuse(plan.view.interval)
    assert planned == [] or not any(a.status is Status.REFUSED for a in due)


@given(tables(), policies)
def test_only_plain_tables_are_dropped(table: PartitionedTable, policy: Policy) -> None:
    """Foreign tables and partitions that are partitioned themselves are skipped, whatever their age."""
    plain = {p.oid for p in table.partitions if p.kind is RelationKind.TABLE}
    plan = plan_maintain(table, policy)

    assert {a.oid for a in plan.todo if a.kind is ActionKind.DROP and a.reason is Reason.RETENTION} <= plain


@given(tables(), policies)
def test_a_distrusted_clock_drops_nothing_and_still_creates(table: PartitionedTable, policy: Policy) -> None:
    """Creating goes on: a missing partition is worse than one too many."""
    plan = plan_maintain(table, policy, clock="the clock is wrong")

    assert dropped(plan.actions) == []
    assert created(plan.actions) == created(plan_maintain(table, policy).actions)


def test_a_fresh_table_gets_today_and_thirty_days() -> None:
    """No partition at all: 31 are created, today's first, and no gap is invented in the past."""
    plan = plan_maintain(events([]), POLICY)

    assert created(plan.actions) == [day(o) for o in range(31)]


def test_a_gap_is_filled_from_the_oldest_partition_inside_retention() -> None:
    """Expired partitions do not make gaps: -100 is expired, -90 is not."""
    plan = plan_maintain(events([day(-100), day(-90), *map(day, range(31))]), POLICY)

    assert created(plan.actions) == [day(o) for o in range(-89, 0)]


def test_days_without_maintenance_are_made_up() -> None:
    """After five nights of nobody running it, the days between are created too, although nothing stood after them."""
    plan = plan_maintain(events([day(o) for o in range(-20, -5)]), POLICY)

    assert created(plan.actions) == [day(o) for o in range(-5, 31)]


def test_the_edge_of_retention_is_the_upper_bound() -> None:
    """With 90 days the partition of the day before today - 90 goes, that of today - 90 stays."""
    plan = plan_maintain(events([day(-91), day(-90), *map(day, range(-89, 31))]), POLICY)

    assert dropped(plan.actions) == ["events_2025_08_03"]


def test_future_partitions_beyond_premake_are_kept_and_make_nothing() -> None:
    """A partition a year ahead neither goes nor fills the year before it."""
    plan = plan_maintain(events([*map(day, range(31)), day(365)]), POLICY)

    assert plan.actions == ()


def test_a_period_that_a_wider_partition_covers_is_not_missing() -> None:
    """After a change from monthly to daily the month of today needs no days."""
    month = Bounds(lower=at("2025-11-01T00:00"), upper=at("2025-12-01T00:00"))
    plan = plan_maintain(events([month]), replace(POLICY, interval=Interval.DAILY))

    assert created(plan.actions) == [day(29), day(30)]


def test_a_partly_covered_period_is_left_to_fix() -> None:
    """Maintain makes whole periods only; fix makes the remainder, under a name of its own."""
    short = Bounds(lower=day(0).lower, upper=at("2025-11-02T22:00"))
    table = events([short, *map(day, range(1, 31))])
    plan = plan_maintain(table, replace(POLICY, interval=Interval.DAILY))
    fixed = plan_fix(table, replace(POLICY, interval=Interval.DAILY), back=0, ahead=30)

    assert plan.todo == ()
    assert [(a.bounds, a.reason, a.partition.name) for a in fixed.todo] == [
        (Bounds(lower=at("2025-11-02T22:00"), upper=day(1).lower), Reason.REMAINDER, "events_2025_11_02_22")
    ]


def test_fix_reaches_back_but_never_past_retention() -> None:
    """Thirty days back where the retention is ninety, ten where it is ten; the present day is made before the past."""
    wide = plan_fix(events([]), POLICY, back=30, ahead=0)
    narrow = plan_fix(events([]), replace(POLICY, retention_days=10), back=30, ahead=0)

    assert created(wide.actions) == [day(o) for o in (0, *range(-30, 0))]
    assert created(narrow.actions) == [day(o) for o in (0, *range(-10, 0))]


def test_fix_makes_what_inserts_need_now_first() -> None:
    """Also where the present period began before today; and then the future, before any gap."""
    fixed = plan_fix(events([]), replace(POLICY, interval=Interval.MONTHLY), back=62, ahead=30)

    assert [a.partition.name for a in fixed.todo] == [f"events_2025_{m}" for m in (11, 12, "09", 10)]


def test_the_fuse_names_the_command_that_allows_it() -> None:
    """Forty are due and 31 may go: none goes, creating goes on, and the way out is said."""
    plan = plan_maintain(events([day(o) for o in range(-130, 0)]), POLICY)
    refused = [a for a in plan.actions if a.status is Status.REFUSED]

    assert len(refused) == 40
    assert refused[0].note == (
        "40 are due and the fuse is 31; allow it with: pgalmanac maintain --table public.events --max-drops 40"
    )
    assert len(created(plan.actions)) == 31


def test_the_fuse_is_a_month_of_time_also_where_partitions_were_longer_once() -> None:
    """A table of days that had months before: a year of those is less than 31 partitions and more than a month."""
    firsts = [at(f"{2024 + n // 12}-{n % 12 + 1:02}-01") for n in range(6, 19)]  # July 2024 to July 2025
    months = [Bounds(lower=first, upper=after) for first, after in pairwise(firsts)]
    days = list(map(day, range(-31, 31)))
    plan = plan_maintain(events([*months, *days]), replace(POLICY, retention_days=120))
    refused = [a.note for a in plan.actions if a.status is Status.REFUSED]

    assert len(refused) == 12
    assert refused[0] == (
        "12 are due, which are more than a month's worth of time; allow it with: pgalmanac maintain"
        " --table public.events --max-drops 12"
    )
    assert len(dropped(plan_maintain(events([*months, *days]), replace(POLICY, max_drops=12)).actions)) == 12


def test_two_may_always_go_however_long_and_a_few_days_beside_a_month() -> None:
    """What is due where months have become days, night after night, after a few missed ones and of years."""
    month = Bounds(lower=at("2025-06-01"), upper=at("2025-07-01"))
    years = [Bounds(lower=at(f"{y}-01-01"), upper=at(f"{y + 1}-01-01")) for y in (2022, 2023)]
    first = day(-124)  # the first of July, when a day became a partition
    late = replace(POLICY, retention_days=113)

    assert first.lower == month.upper
    assert len(dropped(plan_maintain(events([month, *map(day, range(-124, 31))]), late).actions)) == 12
    assert len(dropped(plan_maintain(events([*years, *map(day, range(-31, 31))]), POLICY).actions)) == 2


def test_a_name_that_is_another_period_drops_neither() -> None:
    """Whoever types a day means that day; the partition of that name is had with its schema."""
    days = [partition(day(n), oid=300 + n) for n in range(-4, 1)]
    there = [partition(day(-5), oid=200, name="2025-10-20"), partition(day(-13), oid=201), *days]
    right = [partition(day(-13), oid=201, name="2025-10-20"), *days]

    with pytest.raises(UsageError, match="is a period, and the name of a partition that holds another one"):
        plan_drop(events(there), POLICY, target="2025-10-20")
    for table, target, oid in ((there, 'public."2025-10-20"', 200), (right, "2025-10-20", 201)):
        assert [oid] == [a.oid for a in plan_drop(events(table), POLICY, target=target).actions]


def test_too_many_gaps_do_not_keep_today_from_being_made() -> None:
    """An ancient partition kept for ever asks for thousands of days: those are refused, the coming ones are not."""
    policy = replace(POLICY, retention_days=None)
    plan = plan_maintain(events([day(-4000)]), policy)
    refused = [a for a in plan.actions if a.status is Status.REFUSED]

    assert created(plan.actions) == [day(o) for o in range(31)]
    assert len(refused) == 3999
    assert "max_creates is 1000" in (refused[0].note or "")


def test_a_premake_past_max_creates_still_makes_the_nearest_days() -> None:
    """Hourly with 60 days ahead wants 1,464 partitions: the first 1,000 are made, the rest is refused and said."""
    plan = plan_maintain(events([]), replace(POLICY, interval=Interval.HOURLY, premake_days=60))

    assert len(created(plan.actions)) == 1000
    assert created(plan.actions)[0].lower == day(0).lower
    assert sum(a.status is Status.REFUSED for a in plan.actions) == 464


def test_the_running_month_is_one_of_the_coming_ones() -> None:
    """It began before today, and is what inserts need first of all."""
    old = Bounds(lower=datetime(2015, 1, 1, tzinfo=UTC), upper=datetime(2015, 2, 1, tzinfo=UTC))
    policy = replace(POLICY, retention_days=None, interval=Interval.MONTHLY, max_creates=2)
    plan = plan_maintain(events([old]), policy)

    assert [b.lower for b in created(plan.actions)] == [
        datetime(2025, 11, 1, tzinfo=UTC),
        datetime(2025, 12, 1, tzinfo=UTC),
    ]


def test_a_table_that_nobody_named_loses_nothing() -> None:
    """Retention is never guessed."""
    plan = plan_maintain(events([day(-200), *map(day, range(31))]), replace(POLICY, may_drop=False))

    assert dropped(plan.actions) == []


def test_what_is_expired_but_unmanaged_is_skipped_with_its_reason() -> None:
    """Unbounded below, sub-partitioned, foreign, off every grid."""
    expired = [
        partition(Bounds(lower=None, upper=day(-300).lower), oid=1),
        partition(day(-200), oid=2, kind=RelationKind.PARTITIONED),
        partition(day(-199), oid=3, kind=RelationKind.FOREIGN),
        partition(day(-198, 3), oid=4),
    ]
    plan = plan_maintain(events([*expired, *map(day, range(31))]), POLICY)
    allowed = plan_maintain(events([*expired, *map(day, range(31))]), replace(POLICY, drop_unaligned=True))

    assert [a.status for a in plan.actions if a.kind is ActionKind.DROP] == [Status.SKIPPED] * 4
    assert dropped(allowed.actions) == ["events_2025_04_18"]


def test_changing_the_interval_does_not_end_retention() -> None:
    """Expired days of a table that is monthly now still go: managed is what lies on the grid of any interval."""
    plan = plan_maintain(events([day(-200), day(-199)]), replace(POLICY, interval=Interval.MONTHLY))

    assert len(dropped(plan.actions)) == 2


def test_a_blocked_partition_is_skipped_with_what_blocks_it() -> None:
    """A foreign key or a view is a standing reason, not a failure."""
    table = events([day(-100), *map(day, range(31))])
    plan = plan_maintain(table, POLICY, Facts(blocked={100: "view v depends on it"}))

    assert [(a.status, a.note) for a in plan.actions] == [(Status.SKIPPED, "view v depends on it")]


TUESDAYS = [day(o, 7) for o in range(-26, 16, 7)]  # today is a Sunday
BERLIN = [
    Bounds(lower=b.lower - timedelta(hours=1), upper=b.upper - timedelta(hours=1))  # midnight there
    for b in (day(o) for o in range(-9, 12))
    if b.lower is not None and b.upper is not None
]


@pytest.mark.parametrize(
    ("bounds", "key", "says"),
    [
        (TUESDAYS, KeyType.TIMESTAMP, "its newest partitions are 7 days long, the last from Tuesday, 2025-11-11 00:00"),
        (BERLIN, KeyType.TIMESTAMPTZ, "its newest partitions begin at 23:00 of UTC and look daily; set timezone to"),
    ],
)
def test_a_grid_that_nobody_named_is_gone_on_with_in_days(bounds: list[Bounds], key: KeyType, says: str) -> None:
    """A run never waits for an answer. What its days leave at the seam is a finding, and made by fix."""
    table = events(bounds, key=key)
    plan = plan_maintain(table, POLICY)
    after = view(applied(plan), POLICY)
    fixed = view(applied(plan_fix(table, POLICY, back=1, ahead=30)), POLICY)
    wanted = Bounds(lower=fixed.day(0), upper=fixed.day(31))

    assert (plan.view.unclear or "").startswith(says)
    assert (plan.view.unclear or "").endswith("without that maintain goes on daily in UTC")
    assert {a.status for a in plan.actions} == {Status.PLANNED}
    assert (after.interval, after.unclear) == (Interval.DAILY, None)
    assert len(after.coverage.holes(wanted)) == (0 if key is KeyType.TIMESTAMP else 1)
    assert fixed.coverage.holes(wanted) == ()


@pytest.mark.parametrize("last", [3, 7])
def test_an_hour_that_fix_made_at_the_seam_makes_no_table_hourly(last: int) -> None:
    """Days of Berlin end an hour before midnight; that hour is the only thing on a grid until the next day is made."""
    shifted = [b for b in BERLIN if b.upper is not None and b.upper <= at("2025-11-02") + timedelta(days=last + 1)]
    fixed = applied(plan_fix(events(shifted, key=KeyType.TIMESTAMPTZ), POLICY, back=1, ahead=last))

    assert Interval.DAILY is view(fixed, POLICY).interval


def test_a_zone_that_somebody_set_is_an_answer() -> None:
    """Days that begin at another hour than those of that zone came before it."""
    table = events(BERLIN, key=KeyType.TIMESTAMPTZ)

    assert view(table, POLICY).unclear is not None
    assert view(table, replace(POLICY, timezone_agreed=True)).unclear is None


def test_what_pg_partman_still_lists_is_dropped_from_by_a_word_of_somebodys_alone() -> None:
    """How long to keep stands in part_config until then; the default of ninety days is not agreed to by anybody."""
    table = replace(events([day(o) for o in range(-95, 31)]), pg_partman="partman")

    assert dropped(plan_maintain(table, POLICY).actions) == []
    assert len(dropped(plan_maintain(table, replace(POLICY, retention_agreed=True)).actions)) == 5
    assert len(dropped(plan_maintain(replace(table, pg_partman=None), POLICY).actions)) == 5
    assert dropped(plan_maintain(replace(table, pg_partman_unread=True), POLICY).actions) == []


def test_a_taken_name_refuses_that_one_period() -> None:
    """The other days are created all the same."""
    taken = TableName(schema="public", name="events_2025_11_05")
    plan = plan_maintain(events([]), POLICY, Facts(taken=frozenset({taken})))

    assert [a.partition for a in plan.actions if a.status is Status.REFUSED] == [taken]
    assert len(created(plan.actions)) == 30


def test_a_name_that_a_partition_has_is_not_to_be_dropped() -> None:
    """Named by another calendar: the advice to drop what has the name would cost its rows."""
    taken = TableName(schema="public", name="events_2025_11_05")
    other = partition(day(1), oid=1, name=taken.name)
    plan = plan_maintain(events([day(0), other, day(2)]), POLICY, Facts(taken=frozenset({taken})))
    (refused,) = [a for a in plan.actions if a.status is Status.REFUSED]

    assert refused.note == f"the name {taken} is taken by the partition of another period; rename that one"


def test_a_name_that_a_partition_of_another_table_has_is_not_to_be_dropped() -> None:
    """Somebody renamed the table and made it anew: the old one's rows are not for giving away for a name."""
    taken, old = (TableName(schema="public", name=n) for n in ("events_2025_11_05", "events_old"))
    facts = Facts(taken=frozenset({taken}), others={taken: old})
    (refused,) = [a for a in plan_maintain(events([]), POLICY, facts).actions if a.status is Status.REFUSED]

    assert refused.note == "the name is taken by a partition of public.events_old; rename that one"


def test_a_partition_that_is_being_detached_is_not_said_to_be_of_another_period() -> None:
    """Nor is what became of it to be dropped: these are the rows that are missing from the period."""
    gone = partition(day(-5), oid=1, detach_pending=True)
    others = [day(o) for o in range(-90, 31) if o != -5]
    (before,) = [
        a
        for a in plan_maintain(events([gone, *others]), POLICY, Facts(taken=frozenset({gone.name}))).actions
        if a.status is Status.REFUSED
    ]
    (after,) = plan_maintain(events(others), POLICY, Facts(taken=frozenset({gone.name}))).actions

    name = f"the name {gone.name} is"
    assert before.note == (
        f"{name} that of a partition whose detach is pending; once that is finished, attach it again or rename it"
    )
    assert after.note == (
        f"{name} taken by a relation that is not this partition; if that one has its rows attach it, "
        "else rename or drop it"
    )


def test_names_that_become_the_same_by_shortening_are_refused() -> None:
    """Two tables of one long base cannot collide here, but two periods of one plan can."""
    long = "x" * 60
    siblings = [partition(day(o), oid=o + 10, name=f"{long[:52]}_2025_11_{o + 2:02d}") for o in range(2)]
    table = events(siblings, name=long)
    plan = plan_maintain(table, POLICY)

    assert len({a.partition for a in plan.actions}) == len(plan.actions) == 29
    assert all(len(a.partition.name.encode()) <= 63 for a in plan.actions)


def test_stray_rows_turn_a_creation_into_a_move() -> None:
    """One action creates the partition and moves the rows into it."""
    lower = day(3).lower
    assert lower is not None
    plan = plan_maintain(events([], default=True), POLICY, Facts(strays={lower: 7}))
    moves = [a for a in plan.actions if a.kind is ActionKind.MOVE_ROWS]

    assert [(a.bounds, a.rows) for a in moves] == [(day(3), 7)]


def test_stray_rows_that_cannot_be_moved_refuse_their_period() -> None:
    """With the reason, and without stopping the others."""
    lower = day(3).lower
    assert lower is not None
    facts = Facts(strays={lower: 7}, immovable="a trigger would fire")
    plan = plan_maintain(events([], default=True), POLICY, facts)

    assert [(a.bounds, a.note) for a in plan.actions if a.status is Status.REFUSED] == [
        (day(3), "a trigger would fire")
    ]
    assert len(created(plan.actions)) == 30


def test_what_an_earlier_run_left_is_finished_first() -> None:
    """A mark on an attached partition is cleared, a pending detach of ours dropped, somebody else's finalized."""
    marked = partition(day(-10), oid=1, mark=mark(day(-10), oid=1))
    ours = partition(day(-100), oid=2, detach_pending=True, mark=mark(day(-100), oid=2))
    theirs = partition(day(-50), oid=3, detach_pending=True)
    orphan = Orphan(oid=4, name=TableName(schema="public", name="old"), bounds=day(-120), mark=mark(day(-120), oid=4))
    table = events([marked, ours, theirs, *map(day, range(-9, 31))], orphans=(orphan,))
    plan = plan_maintain(table, POLICY)

    assert [(a.kind, a.source, a.oid) for a in plan.actions] == [
        (ActionKind.FINALIZE, Source.ATTACHED, 1),
        (ActionKind.DROP, Source.PENDING, 2),
        (ActionKind.FINALIZE, Source.PENDING, 3),
        (ActionKind.DROP, Source.DETACHED, 4),
    ]


def test_an_unfinished_drop_that_todays_retention_keeps_is_not_finished() -> None:
    """The retention was raised meanwhile; only a manual drop is finished whatever the policy says."""
    kept = Orphan(oid=4, name=TableName(schema="public", name="a"), bounds=day(-20), mark=mark(day(-20), oid=4))
    manual = Orphan(
        oid=5, name=TableName(schema="public", name="b"), bounds=day(-21), mark=mark(day(-21), oid=5, manual=True)
    )
    plan = plan_maintain(events(map(day, range(-9, 31)), orphans=(kept, manual)), POLICY)

    assert [a.oid for a in plan.actions] == [5]


def test_create_makes_a_named_range_with_both_ends() -> None:
    """And nothing that exists already."""
    plan = plan_create(events([day(1)]), POLICY, periods="2025-11-02..2025-11-04")

    assert created(plan.actions) == [day(0), day(2)]


def test_create_refuses_a_partly_covered_period() -> None:
    """It names fix, which makes remainders."""
    short = Bounds(lower=day(0).lower, upper=at("2025-11-02T22:00"))
    plan = plan_create(events([short]), replace(POLICY, interval=Interval.DAILY), periods="2025-11-02")

    assert [(a.status, "pgalmanac fix" in (a.note or "")) for a in plan.actions] == [(Status.REFUSED, True)]


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("2025-10-31", ["events_2025_10_31"]),
        ("2025-10-30..2025-10-31", ["events_2025_10_30", "events_2025_10_31"]),
        ("events_2025_10_30", ["events_2025_10_30"]),
        ("public.events_2025_10_30", ["events_2025_10_30"]),
    ],
)
def test_drop_takes_periods_ranges_and_names(target: str, names: list[str]) -> None:
    """Ranges include both ends."""
    plan = plan_drop(events(map(day, range(-5, 5))), POLICY, target=target)

    assert dropped(plan.actions) == names


@pytest.mark.parametrize("target", ["Old Days", '"Old Days"', 'public."Old Days"', "public.Old Days"])
def test_drop_takes_a_name_as_status_prints_it(target: str) -> None:
    """With the double quotes that SQL wants, and as it is without them."""
    plan = plan_drop(events([partition(day(-5), oid=1, name="Old Days"), day(0)]), POLICY, target=target)

    assert dropped(plan.actions) == ["Old Days"]


def test_a_name_that_two_partitions_have_is_not_enough_to_drop_one() -> None:
    """Partitions may lie in schemas of their own: which of the two goes is for the operator to say."""
    here, there = (partition(day(d), oid=d + 10, name="old") for d in (-6, -5))
    there = replace(there, name=TableName(schema="arc", name="old"))
    table = events([here, there, day(0)])

    with pytest.raises(UsageError) as refusal:
        plan_drop(table, POLICY, target="old")

    said = "old is the name of 2 partitions of public.events (public.old, arc.old): write it with its schema"
    assert str(refusal.value) == said
    assert [a.oid for a in plan_drop(table, POLICY, target="arc.old").actions] == [5]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("2025-12-24", "has no partition for 2025-12-24"),
        ("nonsense", "neither a period nor a partition"),
        ("2025-10-31..2025-10-30", "runs backwards"),
        ("events_default", "is the default partition"),
        ("2025-11", "did you mean 2025-11-01?"),
    ],
)
def test_drop_says_what_it_cannot_mean(target: str, says: str) -> None:
    """Bad input is one sentence."""
    with pytest.raises(UsageError) as refusal:
        plan_drop(events(map(day, range(-5, 5)), default=True), POLICY, target=target)

    assert says in str(refusal.value)


def test_drop_of_a_part_of_a_wider_partition_is_refused_by_name() -> None:
    """A day inside a three-day partition does not take the other two along."""
    with pytest.raises(UsageError, match="also holds rows outside"):
        plan_drop(
            events([day(-5, 3), *map(day, range(-2, 5))]), replace(POLICY, interval=Interval.DAILY), target="2025-10-28"
        )


def test_the_partition_of_today_is_never_dropped_by_hand() -> None:
    """It is refused, with what would happen."""
    plan = plan_drop(events(map(day, range(-5, 5))), POLICY, target="2025-11-02")

    assert [(a.status, "every insert fails" in (a.note or "")) for a in plan.actions] == [(Status.REFUSED, True)]


def test_a_manual_drop_obeys_the_fuse_and_says_how_to_pass_it() -> None:
    """All or nothing here as well."""
    plan = plan_drop(events(map(day, range(-50, 5))), POLICY, target="2025-09-15..2025-10-20")

    assert {a.status for a in plan.actions} == {Status.REFUSED}
    assert "pgalmanac drop 2025-09-15..2025-10-20 --table public.events --max-drops 36" in (plan.actions[0].note or "")


def test_the_way_past_the_fuse_is_a_command_line_whatever_the_names() -> None:
    """What a shell would take apart is quoted for it, and braces are no gaps to be filled in."""
    name = TableName(schema="app", name="It's {n}")
    table = replace(events([day(-2), day(0)]), name=name)
    odd = replace(table.partitions[0], name=replace(table.partitions[0].name, name="old {x}; $y"))
    plan = plan_drop(
        replace(table, partitions=(odd, *table.partitions[1:])), replace(POLICY, max_drops=0), target="old {x}; $y"
    )

    assert plan.actions[0].note == (
        "1 is due and the fuse is 0; allow it with: pgalmanac drop 'old {x}; $y'"
        """ --table 'app."It'"'"'s {n}"' --max-drops 1"""
    )


def test_the_way_past_the_fuse_says_what_was_said_on_the_command_line() -> None:
    """Where, how and how long: copied, it neither works on another database nor drops what could be had back."""
    said = Invocation(where=("--dsn", "service=events"), how=(("--grace-days", "7"), ("--max-drops", "1")))
    policy = replace(POLICY, invocation=said, max_drops=1)
    table = events(map(day, range(-95, 5)))
    by_hand = plan_drop(table, policy, target="2025-10-01..2025-10-02", now=True)
    (refused, *_) = [a for a in plan_maintain(table, policy).actions if a.status is Status.REFUSED]

    assert refused.note == (
        "5 are due and the fuse is 1; allow it with: pgalmanac --dsn service=events maintain --table public.events"
        " --max-drops 5 --grace-days 7"
    )
    assert by_hand.actions[0].note == (
        "2 are due and the fuse is 1; allow it with: pgalmanac --dsn service=events drop 2025-10-01..2025-10-02"
        " --table public.events --now --max-drops 2 --grace-days 7"
    )


def test_only_what_was_confirmed_is_dropped() -> None:
    """A partition that came into the range after somebody agreed to the plan is refused."""
    plan = plan_drop(events(map(day, range(-5, 5))), POLICY, target="2025-10-30..2025-10-31")
    first = plan.todo[0]

    limited = plan.confirmed(frozenset({first.oid or 0}))

    assert [a.status for a in limited.actions] == [Status.PLANNED, Status.REFUSED]
    assert "not in the plan that was confirmed" in (limited.actions[1].note or "")


def test_a_date_key_has_no_hours() -> None:
    """An hourly interval on a date column is a configuration error, not a plan."""
    with pytest.raises(ConfigError, match="has no hours"):
        plan_maintain(events([], key=KeyType.DATE), replace(POLICY, interval=Interval.HOURLY))


def test_retention_of_a_century_before_the_first_year_is_no_error() -> None:
    """The largest retention reaches back a hundred years, which is still a date."""
    assert plan_maintain(events([day(0)]), replace(NO_FUSE, retention_days=36_500)).view.cutoff is not None


def test_a_gap_after_a_partition_without_a_beginning_is_filled_from_its_end() -> None:
    """Nobody knows how old it is, and where it ends is known."""
    oldest = Bounds(lower=None, upper=day(-10).lower)
    plan = plan_maintain(events([oldest, *map(day, range(-5, 31))], now=NOW), replace(POLICY, interval=Interval.DAILY))

    assert created(plan.actions) == [day(o) for o in range(-10, -5)]


def test_a_half_detached_partition_can_be_dropped_by_its_name() -> None:
    """It is pending, and not attached: the statements that end it differ."""
    pending = partition(day(-5), oid=1, detach_pending=True)
    plan = plan_drop(events([pending, *map(day, range(31))]), POLICY, target=pending.name.name)

    assert [(a.status, a.source) for a in plan.actions] == [(Status.PLANNED, Source.PENDING)]


def test_what_nobody_drops_is_refused_by_hand_too() -> None:
    """By its name: of unknown age, unreadable, partitioned itself, foreign; and what something depends on."""
    table = events(
        [
            partition(Bounds(lower=None, upper=day(-300).lower), oid=1, name="a"),
            partition(None, oid=2, name="b"),
            partition(day(-200), oid=3, name="c", kind=RelationKind.PARTITIONED),
            partition(day(-199), oid=4, name="d", kind=RelationKind.FOREIGN),
            partition(day(-198), oid=5, name="e"),
            *map(day, range(31)),
        ]
    )
    facts = Facts(blocked={5: "view v depends on it"})
    found = [plan_drop(table, POLICY, facts, target=name).actions[0] for name in "abcde"]

    assert {a.status for a in found} == {Status.REFUSED}
    assert [a.note for a in found] == [
        "it is unbounded below, so that its age is not known",
        "its bounds cannot be read as a range of time",
        "it is itself partitioned",
        "it is a foreign table, which DROP TABLE does not drop",
        "view v depends on it",
    ]


def test_max_creates_holds_for_a_range_by_hand() -> None:
    """A range is as long as there are partitions at most; past the limit no part of it is made."""
    plan = plan_create(events(map(day, range(31))), replace(POLICY, max_creates=2), periods="2025-12-03..2025-12-05")

    assert [(a.bounds, a.status) for a in plan.actions] == [(day(o), Status.REFUSED) for o in range(31, 34)]


def test_as_many_as_max_creates_are_made_with_the_gaps() -> None:
    """The limit itself is not past it: two days of a gap and three to come."""
    policy = replace(POLICY, premake_days=3, max_creates=5)
    plan = plan_maintain(events([day(-3), day(0)]), policy)

    assert created(plan.actions) == [day(o) for o in (-2, -1, 1, 2, 3)]


def test_fix_finishes_what_was_begun_too() -> None:
    """Before it creates, as a maintain does."""
    marked = partition(day(-10), oid=1, mark=mark(day(-10), oid=1))
    left = Orphan(oid=2, name=TableName(schema="public", name="old"), bounds=day(-120), mark=mark(day(-120), oid=2))
    plan = plan_fix(events([marked, *map(day, range(31))], orphans=(left,)), POLICY, back=0, ahead=30)

    assert [(a.kind, a.oid) for a in plan.actions] == [(ActionKind.FINALIZE, 1), (ActionKind.DROP, 2)]


def test_what_is_refused_does_not_count_towards_max_creates() -> None:
    """A name that is taken keeps no other period from being made."""
    taken = Facts(taken=frozenset({TableName(schema="public", name="events_2025_11_03")}))
    plan = plan_maintain(events([day(0)]), replace(POLICY, premake_days=3, max_creates=2), taken)

    assert created(plan.actions) == [day(2), day(3)]


def test_the_running_month_is_made_once_and_is_no_gap() -> None:
    """Gaps end where the running period begins, and not with yesterday."""
    months = [Bounds(lower=at(f"2025-0{m}-01T00:00"), upper=at(f"2025-0{m + 1}-01T00:00")) for m in (7, 8)]
    plan = plan_maintain(events(months), replace(POLICY, premake_days=3, retention_days=None))

    assert [(a.partition.name, a.reason, a.status) for a in plan.actions] == [
        ("events_2025_09_01", Reason.GAP, Status.PLANNED),
        ("events_2025_10_01", Reason.GAP, Status.PLANNED),
        ("events_2025_11_01", Reason.PREMAKE, Status.PLANNED),
    ]


def test_two_remainders_of_one_hour_have_names_of_their_own() -> None:
    """Their minutes tell them apart."""
    edges = [at("2025-11-02T00:00"), at("2025-11-02T22:15"), at("2025-11-02T22:30"), at("2025-11-02T22:45")]
    table = events([Bounds(lower=a, upper=b) for a, b in zip(edges[::2], edges[1::2], strict=True)])
    plan = plan_fix(table, replace(POLICY, interval=Interval.DAILY), back=0, ahead=0)

    assert [(a.partition.name, a.status) for a in plan.actions] == [
        ("events_2025_11_02_22_1500", Status.PLANNED),
        ("events_2025_11_02_22_4500", Status.PLANNED),
    ]


def test_a_range_that_is_longer_than_anything_is_bad_usage() -> None:
    """Nobody waits for a hundred thousand periods to be listed."""
    with pytest.raises(UsageError, match="more periods than one run may touch"):
        plan_create(events([day(0)]), POLICY, periods="2025-01-01..2525-01-01")


def test_a_name_with_its_schema_is_meant_with_and_without_quotes() -> None:
    """As psql reads it, and as people write it."""
    name = TableName(schema="My App", name="Events 1")
    old = replace(partition(day(-5), oid=1), name=name)

    for target in ("Events 1", '"My App"."Events 1"', "My App.Events 1"):
        assert [a.partition for a in plan_drop(events([old, day(0)]), POLICY, target=target).actions] == [name]
