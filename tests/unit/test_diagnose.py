"""Findings: what is wrong, how bad it is, and when nothing is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.actions import Facts
from pgalmanac.diagnose import diagnose
from pgalmanac.findings import Code, Level, PastRuns, worst
from pgalmanac.model import Bounds, Interval, Listing, Orphan, Partition, PartitionedTable, Pin, RelationKind
from pgalmanac.plan import plan_maintain
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableName
from pgalmanac.view import view
from snapshots import NOW, TODAY, applied, at, day, events, mark, partition

POLICY = Policy()
HEALTHY = [day(o) for o in range(-90, 31)]
RAN = PastRuns(last_started=NOW - timedelta(hours=12), last_success=NOW - timedelta(hours=12))


def found(
    table: PartitionedTable, policy: Policy = POLICY, past: PastRuns | None = RAN, facts: Facts | None = None
) -> dict[Code, Level]:
    """The codes and levels of a table's findings."""
    plan = plan_maintain(table, policy, facts or Facts())
    return {f.code: f.level for f in diagnose(plan.view, plan, past)}


def test_a_healthy_table_has_no_findings() -> None:
    """The rest of the year the answer is nothing."""
    assert found(events(HEALTHY)) == {}


@pytest.mark.parametrize(
    ("last", "interval", "command"),
    [
        (4, Interval.DAILY, "pgalmanac maintain"),
        (4, Interval.MONTHLY, "pgalmanac fix"),
        (-1, Interval.MONTHLY, "pgalmanac maintain"),
    ],
)
def test_a_short_runway_names_what_makes_it_longer(last: int, interval: Interval, command: str) -> None:
    """Where daily partitions end within a month, a table that is monthly now gets the month's rest by fix alone."""
    policy = replace(POLICY, interval=interval)
    plan = plan_maintain(events([day(o) for o in range(-90, last + 1)]), policy)
    (message,) = [f.message for f in diagnose(plan.view, plan, None) if f.code is Code.RUNWAY_SHORT]

    assert message.endswith(f"run {command}")


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([], {Code.TODAY_MISSING: Level.CRITICAL, Code.RUNWAY_SHORT: Level.WARNING}),
        (
            [*(day(o) for o in range(-90, 0)), *(day(o) for o in range(1, 31))],
            {Code.TODAY_MISSING: Level.CRITICAL, Code.RUNWAY_SHORT: Level.WARNING, Code.GAP: Level.WARNING},
        ),
        ([day(o) for o in range(-90, 5)], {Code.RUNWAY_SHORT: Level.WARNING}),
        ([day(o) for o in range(-90, 31) if o != -7], {Code.GAP: Level.WARNING}),
        ([day(o) for o in range(-90, 31) if o != 9], {Code.GAP: Level.WARNING}),
        ([partition(day(-100, 3), oid=1), *HEALTHY], {Code.UNMANAGED_PARTITION: Level.WARNING}),
        ([partition(day(40, 3), oid=1), *HEALTHY], {Code.UNMANAGED_PARTITION: Level.INFO}),
        (
            [partition(day(-91), oid=1, detach_pending=True), *HEALTHY],
            {Code.DETACH_PENDING: Level.WARNING},
        ),
    ],
)
def test_what_is_wrong_is_found(bounds: list[Bounds | Partition], expected: dict[Code, Level]) -> None:
    """Each deviation gives its own finding, and only that."""
    assert found(events(bounds)) == expected


@pytest.mark.parametrize(("offset", "command"), [(-9, "fix"), (-45, "fix --back 45")])
def test_what_is_missing_of_a_day_is_made_by_a_fix_that_reaches_it(offset: int, command: str) -> None:
    """By itself fix looks thirty days back, and whoever was sent there found nothing to do."""
    whole = [day(o) for o in range(-90, 31) if o != offset]
    lower = day(offset).lower
    assert lower is not None
    table = events([*whole, Bounds(lower=lower, upper=lower + timedelta(hours=22))])
    plan = plan_maintain(table, replace(POLICY, interval=Interval.DAILY))

    said = [f.message for f in diagnose(plan.view, plan, RAN) if f.code is Code.GAP]

    assert [message.rpartition("; run pgalmanac ")[2] for message in said] == [command]


def test_runway_counts_whole_days_after_today() -> None:
    """30 after a fresh maintain; 0 when tomorrow or today is missing; a gap ends it."""

    def runway(*offsets: int) -> int:
        return view(events([day(o) for o in offsets]), POLICY).runway_days

    assert runway(*range(31)) == 30
    assert runway(*range(1, 31)) == 0
    assert runway(0, *range(2, 31)) == 0
    assert runway(0, 1, 2, 4) == 2


def test_an_unbounded_partition_covers_for_ever() -> None:
    """MAXVALUE as upper bound ends every worry about the runway."""
    seen = view(events([Bounds(lower=day(0).lower, upper=None)]), replace(POLICY, interval=Interval.DAILY))

    assert seen.runway_days > 3660
    assert seen.covered_until is not None


def test_a_name_is_no_guard() -> None:
    """The trash has no place for one partition; that its schema is called like the guards says nothing of them."""
    policy = replace(POLICY, grace_days=7, trash_schema="fuse_and_clock")
    old = partition(day(-91), oid=1)
    taken = Facts(taken=frozenset({TableName(schema="fuse_and_clock", name=old.name.name)}))

    assert found(events([old, *HEALTHY]), policy, facts=taken) == {Code.DROP_BLOCKED: Level.WARNING}


@pytest.mark.parametrize("left", ["pending", "cut off"])
def test_the_cause_of_a_gap_stands_before_it(left: str) -> None:
    """A partition that was begun to be detached leaves a gap, of which nobody would know why."""
    cut_off = Orphan(oid=7, name=TableName(schema="public", name="e7"), bounds=day(-5), mark=mark(day(-5), oid=7))
    pending = [partition(day(-5), oid=1, detach_pending=True)] if left == "pending" else []
    table = events([*(day(o) for o in range(-90, 31) if o != -5), *pending], orphans=() if pending else (cut_off,))
    plan = plan_maintain(table, POLICY)
    codes = [f.code for f in diagnose(plan.view, plan, None)]

    assert [Code.DETACH_PENDING if pending else Code.ORPHAN_TABLE, Code.GAP] == codes[:2]


@given(st.integers(0, 60))
def test_the_runway_after_a_plan_is_premake(premake: int) -> None:
    """What maintain does is what the runway measures."""
    policy = replace(POLICY, premake_days=premake)
    after = applied(plan_maintain(events([]), policy))

    assert view(after, policy).runway_days == premake


def test_a_short_premake_does_not_warn_for_ever() -> None:
    """Below seven days of premake the runway can never reach seven: premake is the limit then."""
    policy = replace(POLICY, premake_days=3)

    assert found(events([day(o) for o in range(-90, 4)]), policy) == {}


def test_without_a_day_ahead_somebody_is_told_before_midnight() -> None:
    """Until a run of the night makes the new day, inserts fail; no run makes that better."""
    policy = replace(POLICY, premake_days=0)
    plan = plan_maintain(events([day(o) for o in range(-90, 1)]), policy)

    assert [f.message for f in diagnose(plan.view, plan, None)] == [
        "public.events has partitions for no day after today; set premake_days to 1 or more"
    ]
    assert found(events([day(o) for o in range(-90, 2)]), policy) == {}
    assert found(events([day(o) for o in range(-90, 1)], default=True), policy) == {}


def test_stray_rows_are_a_warning_and_critical_where_they_block() -> None:
    """Rows that the next run moves are a warning; rows that nobody may move keep a day from being made."""
    table = replace(events([day(o) for o in range(-90, 30)], default=True), default_has_rows=True)
    lower = day(30).lower
    assert lower is not None

    assert found(table, facts=Facts(strays={lower: 3}))[Code.STRAY_ROWS] is Level.WARNING
    assert found(table, facts=Facts(strays={lower: 3}, immovable="no"))[Code.STRAY_ROWS] is Level.CRITICAL
    assert found(table)[Code.STRAY_ROWS] is Level.WARNING


def said_of_strays(
    first: int | None,
    last: int | None = None,
    policy: Policy = POLICY,
    bounds: Iterable[Bounds] | None = None,
    *,
    sure: bool = True,
) -> list[str]:
    """What is said of rows in the default partition from the *first* to the *last* of these days from today."""
    days = [day(first or 0).lower, day((first or 0) if last is None else last).lower]
    edges = None if first is None or days[0] is None or days[1] is None else (days[0], days[1])
    table = events([day(o) for o in range(-4, 31)] if bounds is None else bounds, default=True)
    table = replace(table, default_has_rows=True, stray_edges=edges, stray_edges_sure=sure)
    plan = plan_maintain(table, policy)
    found = [f for f in diagnose(plan.view, plan, None) if f.code is Code.STRAY_ROWS]
    assert {Level.WARNING} == {f.level for f in found}
    return [f.message.removeprefix("public.events_default has ") for f in found]


OLDER = ", before the oldest partition, and maintain makes none there; pgalmanac create"
AHEAD = ", further ahead than partitions are made: maintain moves them when it makes theirs, and pgalmanac create"
NO_PERIOD = "rows of no period (timestamp is NULL, infinite or beyond any calendar); correct or delete them by hand"
FAR = ", more than max_creates (1000) periods before the oldest partition; move or delete them by hand"
PAST = "rows of before 2025-08-04, past retention, such as of 2025-03-07; nothing moves them: delete them"


@pytest.mark.parametrize(
    ("edges", "policy", "expected"),
    [
        ((-20, -9), POLICY, [f"rows of 2025-10-13 or later{OLDER} 2025-10-13..2025-10-28 does, and moves them"]),
        ((-5, -5), POLICY, [f"rows of 2025-10-28 or later{OLDER} 2025-10-28 does, and moves them"]),
        (
            (-240, -9),
            replace(POLICY, retention_days=None),
            [f"rows of 2025-03-07 or later{OLDER} 2025-03-07..2025-10-28 does, and moves them"],
        ),
        (
            (-240, -9),
            replace(POLICY, may_drop=False),
            [f"rows of 2025-03-07 or later{OLDER} 2025-03-07..2025-10-28 does, and moves them"],
        ),
        (
            (-240, -9),
            POLICY,
            [
                PAST,
                f"rows of 2025-08-04 or later{OLDER} 2025-08-04..2025-10-28 does, and moves them",
            ],
        ),
        ((-240, -100), POLICY, [PAST]),
        (
            (-20_000, -9),
            replace(POLICY, retention_days=None),
            [f"rows of 1971-01-30{FAR}"],
        ),
        ((31, 500), POLICY, [f"rows of 2027-03-17{AHEAD} 2027-03-17 now"]),
        (
            (-240, 31),
            POLICY,
            [PAST, f"rows of 2025-12-03{AHEAD} 2025-12-03 now"],
        ),
        (
            (-20, 31),
            POLICY,
            [
                f"rows of 2025-10-13 or later{OLDER} 2025-10-13..2025-10-28 does, and moves them",
                f"rows of 2025-12-03{AHEAD} 2025-12-03 now",
            ],
        ),
        (
            (None, None),
            POLICY,
            [NO_PERIOD],
        ),
    ],
)
def test_rows_that_no_run_moves_are_told_with_what_does(
    edges: tuple[int | None, int | None], policy: Policy, expected: list[str]
) -> None:
    """Before the oldest partition, past retention, ahead, or of no time: each has another end."""
    assert expected == said_of_strays(*edges, policy=policy)


@pytest.mark.parametrize("edges", [(-20, -9), (-240, -9)])
def test_where_the_oldest_of_many_rows_is_not_known_nobody_is_told_that_it_is(edges: tuple[int, int]) -> None:
    """No more was looked at than some rows: the first period is for whoever runs the command to say."""
    known = f"{(TODAY - timedelta(days=20 if edges[0] == -20 else 9))}"

    assert said_of_strays(*edges, sure=False)[-1] == (
        f"rows such as of {known}{OLDER} FIRST..2025-10-28 does, and moves them,"
        " FIRST being the oldest period that is to stay"
    )


@pytest.mark.parametrize(
    ("at_day", "expected"),
    [
        (-2, "rows of 2025-10-31, for which there is no partition; run pgalmanac maintain"),
        (-1, "rows of 2025-11-01, which partitions cover in part; run pgalmanac fix"),
        (-40, "rows of 2025-09-23, which partitions cover in part; run pgalmanac fix --back 40"),
    ],
)
def test_rows_between_partitions_name_the_command_that_makes_theirs(at_day: int, expected: str) -> None:
    """Where the server did not say in time how many there are, and where a part of their day is missing."""
    half = timedelta(hours=12)
    whole = [day(o) for o in (-41, -39, -3, *range(31))]
    lower, earlier = day(-1).lower, day(-40).lower
    assert lower is not None
    assert earlier is not None
    parts = [Bounds(lower=m, upper=m + half) for m in (lower, earlier)]

    assert [expected] == said_of_strays(at_day, bounds=[*whole, *parts])


def test_rows_in_a_default_partition_that_is_no_table_stay_there() -> None:
    """One that is itself partitioned: no run reads it."""
    table = replace(events(HEALTHY, default=True), default_has_rows=True)
    assert table.default is not None
    table = replace(table, default=replace(table.default, kind=RelationKind.PARTITIONED))
    plan = plan_maintain(table, POLICY)

    (message,) = [f.message for f in diagnose(plan.view, plan, None) if f.code is Code.STRAY_ROWS]
    assert "is no plain table, so that nothing moves them; move or delete them by hand" in message


def test_an_orphan_of_ours_is_a_warning() -> None:
    """Detached to be dropped and not dropped."""
    orphan = Orphan(oid=9, name=TableName(schema="public", name="old"), bounds=day(-99), mark=mark(day(-99), oid=9))

    assert found(events(HEALTHY, orphans=(orphan,))) == {Code.ORPHAN_TABLE: Level.WARNING}


def test_the_dead_mans_switch() -> None:
    """No success recorded is a warning; one older than 26 hours is critical; a failed last run a warning."""
    table = events(HEALTHY)

    assert found(table, past=PastRuns()) == {Code.LAST_SUCCESS_OLD: Level.WARNING}
    assert found(table, past=replace(RAN, last_success=NOW - timedelta(hours=27))) == {
        Code.LAST_SUCCESS_OLD: Level.CRITICAL
    }
    assert found(table, past=replace(RAN, last_failed="2 failed")) == {Code.LAST_RUN_FAILED: Level.WARNING}
    assert found(table, past=PastRuns(unavailable="no right")) == {Code.HISTORY_UNAVAILABLE: Level.WARNING}


def test_shrinking_is_noticed() -> None:
    """Fewer future days than after the last run, or partitions gone that no run dropped."""
    table = events(HEALTHY)

    assert found(table, past=replace(RAN, covered_until=at("2025-12-25T00:00"))) == {Code.SHRINKING: Level.WARNING}
    assert found(table, past=replace(RAN, partitions=130)) == {Code.SHRINKING: Level.WARNING}
    assert found(table, past=replace(RAN, covered_until=at("2025-12-01T00:00"), partitions=121)) == {}


def test_fuse_and_clock_are_warnings_of_their_own() -> None:
    """Both say that nothing was dropped; each has its code."""
    table = events([day(o) for o in range(-130, 31)])
    fused = plan_maintain(table, POLICY)
    distrusted = plan_maintain(table, POLICY, clock="the server's clock stands before the last recorded run")

    assert [f.code for f in diagnose(fused.view, fused, RAN)] == [Code.FUSE]
    assert [f.code for f in diagnose(distrusted.view, distrusted, RAN)] == [Code.CLOCK]


def test_a_blocked_drop_names_by_what() -> None:
    """The finding carries the partition and the reason."""
    plan = plan_maintain(events([day(-91), *HEALTHY]), POLICY, Facts(blocked={100: "view v depends on it"}))
    finding = diagnose(plan.view, plan, RAN)[0]

    assert (finding.code, finding.partition) == (Code.DROP_BLOCKED, "public.events_2025_08_03")
    assert "view v depends on it" in finding.message


def test_info_is_no_level() -> None:
    """An info never changes an exit code."""
    table = events(HEALTHY)
    plan = plan_maintain(replace(table, partitions=(*table.partitions,)), replace(POLICY, may_drop=False))

    assert worst(diagnose(plan.view, plan, RAN)) is None


def test_a_breakdown_by_a_column_that_is_not_there_is_told_to_who_named_it() -> None:
    """The usual column need not be there; one that somebody wrote down was meant, and pages nobody."""
    table = replace(events(HEALTHY), columns=frozenset({"timestamp", "kind"}))
    plan = plan_maintain(table, replace(POLICY, breakdown="kinds"))
    (finding,) = diagnose(plan.view, plan, RAN)

    assert (finding.code, finding.level) == (Code.BREAKDOWN_UNKNOWN, Level.INFO)
    assert "public.events has no column kinds" in finding.message
    assert "breakdown" in finding.message
    assert found(table, replace(POLICY, breakdown="kind")) == {}
    assert found(table) == {}


def test_privilege_is_critical_and_names_the_grant() -> None:
    """So that the operator can paste it."""
    table = replace(events(HEALTHY), missing_grants=('GRANT CREATE ON SCHEMA "public" TO "cron"',))
    plan = plan_maintain(table, POLICY)
    finding = diagnose(plan.view, plan, RAN)[0]

    assert (finding.code, finding.level) == (Code.PRIVILEGE, Level.CRITICAL)
    assert 'GRANT CREATE ON SCHEMA "public" TO "cron"' in finding.message


def test_what_is_not_created_for_one_reason_is_one_finding() -> None:
    """Ten years ahead are thousands of periods past the limit: a page says so once, and a name that is taken apart."""
    taken = Facts(taken=frozenset({TableName(schema="public", name="events_2025_11_05")}))
    policy = replace(POLICY, premake_days=3660, max_creates=1000)
    plan = plan_maintain(events([day(0)]), policy, taken)
    told = [f for f in diagnose(plan.view, plan, RAN) if "not created" in f.message]

    assert [f.partition for f in told] == ["public.events_2025_11_05", None]
    assert told[0].message.startswith("public.events: 2025-11-05 is not created: ")
    assert told[1].message.startswith("public.events: 2028-07-31..2035-11-10 (2659 periods) are not created: ")


def test_a_grid_that_is_not_ours_is_one_finding_and_not_a_page() -> None:
    """Half-hourly tables have thousands of partitions, each of which nobody drops for the same reason."""
    table = events([day(o, 2) for o in range(-100, 4, 2)])
    plan = plan_maintain(table, POLICY)
    told = [f for f in diagnose(plan.view, plan, RAN) if f.level is not Level.CRITICAL]

    assert [Code.RUNWAY_SHORT, Code.INTERVAL_UNKNOWN] == [f.code for f in told[:2]]
    assert told[1].message.endswith("set interval to say how to go on; without that maintain goes on daily in UTC")
    assert [(f.level, f.partition) for f in told[2:]] == [(Level.WARNING, None), (Level.INFO, None)]
    assert told[2].message.startswith(
        "each of public.events_2025_07_25 .. public.events_2025_08_02 (5) is past retention and stays: "
    )
    assert told[3].message.startswith(
        "each of public.events_2025_08_04 .. public.events_2025_11_04 (47) is never dropped: "
    )


@pytest.mark.parametrize("endless", [True, False])
def test_where_nothing_will_be_missing_nobody_is_asked_how_to_go_on(*, endless: bool) -> None:
    """The last partition goes up to MAXVALUE: no other is ever made, on whatever grid the ones before it are."""
    grid = [day(o, 2) for o in range(-10, 4, 2)]
    rest = [Bounds(lower=grid[-1].upper, upper=None)] if endless else []
    plan = plan_maintain(events([*grid, *rest]), POLICY)
    told = {f.code for f in diagnose(plan.view, plan, RAN)}

    assert plan.view.unclear is not None
    assert (Code.INTERVAL_UNKNOWN in told) is not endless


def test_pg_partman_is_named_with_the_statement_that_stops_it() -> None:
    """Quoted as psql wants it, for the schema that its list is in."""
    table = replace(events(HEALTHY, name="it's"), pg_partman="Part Man")
    plan = plan_maintain(table, POLICY)
    (told,) = diagnose(plan.view, plan, RAN)

    assert (told.code, told.level) == (Code.PG_PARTMAN, Level.WARNING)
    assert told.message.endswith(
        """this stops pg_partman: DELETE FROM "Part Man".part_config WHERE parent_table = 'public.it''s'"""
    )


def listed(last: int, *, subscription: bool, root: bool = False, premake: int = 30) -> list[tuple[Code, Level, str]]:
    """What is found of a table whose partitions up to this day stand in the list of a subscription or publication."""
    days = range(-90, premake + 1)
    table = events([day(o) for o in days])
    oids = {p.oid for o, p in zip(days, table.ranged, strict=True) if o <= last}
    name = "Weg" if subscription else "p"
    listing = Listing(name=name, subscription=subscription, oids=frozenset(oids | ({table.oid} if root else set())))
    plan = plan_maintain(replace(table, listings=(listing,)), replace(POLICY, premake_days=premake))
    return [(f.code, f.level, f.message) for f in diagnose(plan.view, plan, RAN)]


@pytest.mark.parametrize(
    ("last", "premake", "told"),
    [
        (30, 30, False),
        (29, 30, False),
        (6, 30, False),
        (5, 30, True),
        (-80, 30, True),
        (-91, 30, False),
        (1, 2, False),
        (0, 2, True),
        (0, 0, False),
        (-1, 0, True),
    ],
)
def test_a_subscription_that_does_not_know_the_coming_days_is_to_be_refreshed(
    *, last: int, premake: int, told: bool
) -> None:
    """A week before they begin, or less with a shorter premake: what was just made the publisher need not have yet.

    A list with none of the partitions is about something else.
    """
    found = [f for f in listed(last, subscription=True, premake=premake) if f[0] is not Code.RUNWAY_SHORT]

    assert [code for code, *_ in found] == [Code.SUBSCRIPTION_STALE] * told
    for _, level, message in found:
        assert level is Level.WARNING
        assert message.startswith('the subscription "Weg" has partitions of public.events up to public.events_')
        assert message.endswith('run ALTER SUBSCRIPTION "Weg" REFRESH PUBLICATION')


@pytest.mark.parametrize(
    ("last", "unlisted"),
    [(28, "public.events_2025_12_01 and 1 later"), (29, "public.events_2025_12_02"), (30, None), (-91, None)],
)
def test_a_publication_of_single_partitions_is_named_with_what_publishes_all(last: int, unlisted: str | None) -> None:
    """As soon as one is missing in it; a list with none of the partitions is about something else."""
    found = listed(last, subscription=False)

    assert [code for code, *_ in found] == ([] if unlisted is None else [Code.PUBLICATION_INCOMPLETE])
    for _, level, message in found:
        assert level is Level.WARNING
        assert f" and not {unlisted}, so that" in message
        assert message.endswith("ALTER PUBLICATION p ADD TABLE public.events")


@pytest.mark.parametrize("subscription", [True, False])
def test_a_list_with_the_table_itself_has_all_of_its_partitions(*, subscription: bool) -> None:
    """Published through the root, or as a whole."""
    assert listed(0, subscription=subscription, root=True) == []


@pytest.mark.parametrize("subscription", [True, False])
def test_a_partition_that_is_partitioned_itself_is_in_no_list(*, subscription: bool) -> None:
    """Its own partitions are."""
    last = partition(day(1), oid=9000, kind=RelationKind.PARTITIONED)
    table = events([*HEALTHY[:91], last])
    oids = frozenset(p.oid for p in table.ranged if p.oid != last.oid)
    listing = Listing(name="l", subscription=subscription, oids=oids)
    plan = plan_maintain(replace(table, listings=(listing,)), POLICY)
    found = {f.code for f in diagnose(plan.view, plan, RAN)}

    assert Code.UNMANAGED_PARTITION in found
    assert not found & {Code.SUBSCRIPTION_STALE, Code.PUBLICATION_INCOMPLETE}


def test_what_has_no_end_is_not_promised_to_go() -> None:
    """No setting would let a partition up to MAXVALUE expire, and none is named."""
    endless = partition(Bounds(lower=at("2040-01-01"), upper=None), oid=1)
    plan = plan_maintain(events([*HEALTHY, endless]), POLICY)
    (told,) = [f for f in diagnose(plan.view, plan, RAN) if f.code is Code.UNMANAGED_PARTITION]

    assert told.level is Level.INFO
    assert told.message.endswith(" is never dropped: it is unbounded above, so that it is never past retention")


def test_each_hole_of_one_period_is_said_once() -> None:
    """A day with an hour missing at two places has two findings, and not each of them twice."""
    edges = ["08-04T00:00", "11-02T05:00", "11-02T06:00", "11-02T07:00", "11-02T08:00", "11-03T00:00"]
    moments = [at(f"2025-{edge}") for edge in edges]
    odd = [Bounds(lower=a, upper=b) for a, b in zip(moments[::2], moments[1::2], strict=True)]
    plan = plan_maintain(events([*odd, *map(day, range(1, 31))]), replace(POLICY, interval=Interval.DAILY))
    said = [f.message for f in diagnose(plan.view, plan, RAN) if f.code is Code.GAP]

    assert len(said) == len(set(said)) == 2
    assert all("2025-11-02 is covered in part" in message for message in said)


def test_what_lies_in_the_trash_on_purpose_is_no_orphan() -> None:
    """It is worth knowing of, and nobody is paged; the same table on its way there is a warning."""
    kept = replace(mark(day(-100), oid=9), keep_until=NOW + timedelta(days=3), trash="pgalmanac_trash", arrived=True)
    lying = Orphan(oid=9, name=TableName(schema="pgalmanac_trash", name="old"), bounds=day(-100), mark=kept)
    on_its_way = replace(lying, name=TableName(schema="public", name="old"), mark=replace(kept, arrived=False))

    assert found(events(HEALTHY, orphans=(lying,))) == {Code.TRASH: Level.INFO}
    assert found(events(HEALTHY, orphans=(on_its_way,))) == {Code.ORPHAN_TABLE: Level.WARNING}


@pytest.mark.parametrize("grace", [True, False])
def test_a_table_that_somebody_moved_is_named_with_what_brings_it_back_and_what_drops_it(grace: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Nothing else ends it, so that both are worth knowing; its name alone might mean a partition by now."""
    made = replace(mark(day(-100), oid=9), home="app")
    if grace:
        made = replace(made, keep_until=NOW - timedelta(days=3), trash="pgalmanac_trash", arrived=True)
    moved = Orphan(oid=9, name=TableName(schema="public", name="old"), bounds=day(-100), mark=made)
    plan = plan_maintain(events(HEALTHY, orphans=(moved,)), POLICY)
    (said,) = diagnose(plan.view, plan, RAN)

    assert plan.todo == ()
    assert (said.code, said.level, said.partition) == (Code.TRASH, Level.INFO, "public.old")
    assert said.message == (
        "public.old was dropped from public.events and moved by somebody since: nothing drops it any more; "
        "pgalmanac undrop old --table public.events attaches it again, "
        "pgalmanac drop public.old --table public.events --now drops it for good"
    )


def test_what_is_pinned_past_retention_is_worth_knowing_and_no_more() -> None:
    """It stays because somebody wants it to, whether pgalmanac could drop it or not."""
    pin = Pin(reason="audit")
    pinned = [partition(day(-100), oid=1, pin=pin), partition(day(-99), oid=2, pin=pin, kind=RelationKind.FOREIGN)]

    assert found(events([*pinned, *HEALTHY])) == {Code.PINNED: Level.INFO}


def test_an_orphan_of_a_table_from_which_nothing_is_dropped_is_not_said_to_go() -> None:
    """The next maintain leaves it where it is."""
    left = Orphan(oid=9, name=TableName(schema="public", name="old"), bounds=day(-100), mark=mark(day(-100), oid=9))
    plan = plan_maintain(events(HEALTHY, orphans=(left,)), replace(POLICY, may_drop=False))
    (said,) = [f.message for f in diagnose(plan.view, plan, RAN) if f.code is Code.ORPHAN_TABLE]

    assert plan.todo == ()
    assert "retention keeps it" in said
    assert "maintain drops it" not in said


def test_the_same_coverage_as_after_the_last_run_is_no_shrinking() -> None:
    """Nor is one whose end has come meanwhile, where nothing ran: that is said in other words."""
    whole = replace(RAN, covered_until=day(30).upper, partitions=len(HEALTHY))
    over = replace(RAN, covered_until=day(-1).upper)

    assert found(events(HEALTHY), past=whole) == {}
    assert Code.SHRINKING not in found(events([day(o) for o in range(-90, -3)]), past=over)


def test_a_success_is_old_after_26_hours_and_not_before() -> None:
    """A nightly run may begin an hour late and take one."""
    just = replace(RAN, last_success=NOW - timedelta(hours=26))

    assert found(events(HEALTHY), past=just) == {}
    assert found(events(HEALTHY), past=replace(just, last_success=NOW - timedelta(hours=26, seconds=1))) == {
        Code.LAST_SUCCESS_OLD: Level.CRITICAL
    }
