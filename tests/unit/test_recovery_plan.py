"""Grace, undo and pins in the plan: what goes to the trash, what is dropped for good, what comes back, what stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.actions import GOING, Action, ActionKind, Facts, Reason, Source, Status
from pgalmanac.errors import UsageError
from pgalmanac.marks import PREFIX, read_mark
from pgalmanac.mend import Mend
from pgalmanac.model import Bounds, Mark, Orphan, Partition, PartitionedTable, Pin, RelationKind
from pgalmanac.plan import plan_drop, plan_maintain
from pgalmanac.policy import Policy
from pgalmanac.recovery import plan_pin, plan_undrop, plan_unpin
from pgalmanac.steps import marking, script
from pgalmanac.table_names import TableName
from pgalmanac.view import view
from snapshots import NOW, TODAY, applied, at, day, events, mark, partition
from unit.test_plan import policies, tables

TRASH = "pgalmanac_trash"
GRACE = Policy(grace_days=7)
# What the strategies of test_plan make, with a grace.
graces = st.builds(
    lambda policy, days: replace(policy, grace_days=days),
    policies,
    st.sampled_from([0, 1, 7, 30]),
)


def orphan(
    bounds: Bounds,
    *,
    oid: int,
    ends: int | None = 3,
    arrived: bool = True,
    manual: bool = False,
    pin: Pin | None = None,
    schema: str | None = None,
) -> Orphan:
    """A dropped partition whose grace ends so many days from NOW; *ends* None was not to be kept at all.

    It lies where the run left it, unless somebody moved it to *schema*: in the trash, if it *arrived* there.
    """
    lower = bounds.lower
    made = mark(bounds, oid=oid, manual=manual)
    if ends is not None:
        made = replace(made, keep_until=NOW + timedelta(days=ends), trash=TRASH, arrived=arrived)
    left = TRASH if made.arrived else "public"
    name = TableName(schema=schema or left, name=f"events_{lower:%Y_%m_%d}_{oid}")
    return Orphan(oid=oid, name=name, bounds=bounds, mark=made, pin=pin)


pins = st.sampled_from([None, None, None, Pin(reason="for ever"), Pin(reason="past", until=date(2000, 1, 1))])


@st.composite
def kept_tables(draw: st.DrawFn) -> PartitionedTable:
    """The tables of test_plan with pins, and with dropped partitions at home and in the trash."""
    table = draw(tables())
    partitions = tuple(replace(p, pin=draw(pins)) for p in table.partitions)
    taken = [p.bounds for p in partitions if p.bounds is not None]
    base = table.now.replace(hour=0, minute=0, second=0, microsecond=0)
    orphans: list[Orphan] = []
    for number, offset in enumerate(draw(st.lists(st.integers(-150, 30), max_size=6, unique=True))):
        lower = base + timedelta(days=offset)
        bounds = Bounds(lower=lower, upper=lower + timedelta(days=1))
        if any(bounds.overlaps(t) for t in taken):
            continue
        made = orphan(
            bounds,
            oid=5000 + number,
            ends=draw(st.sampled_from([None, -2, 3])),
            arrived=draw(st.booleans()),
            schema=draw(st.sampled_from([None, None, None, "public", "elsewhere", TRASH])),
            manual=draw(st.booleans()),
            pin=draw(pins),
        )
        keep = made.mark.keep_until
        moved = replace(made.mark, keep_until=None if keep is None else keep - NOW + table.now)
        orphans.append(replace(made, mark=moved))
    return replace(table, partitions=partitions, orphans=tuple(orphans))


def kinds(actions: tuple[Action, ...], *wanted: ActionKind) -> list[tuple[str, str, str]]:
    """Kind, reason and status of the actions that take something away."""
    return [(a.kind, a.reason, a.status) for a in actions if a.kind in (wanted or GOING)]


@given(kept_tables(), graces)
def test_planning_what_a_plan_would_produce_gives_nothing_more(table: PartitionedTable, policy: Policy) -> None:
    """Idempotence with grace and pins: the second plan has nothing left to try."""
    first = plan_maintain(table, policy)
    second = plan_maintain(applied(first), policy)

    assert second.todo == ()


@given(kept_tables(), graces)
def test_nothing_inside_retention_goes_and_nothing_goes_for_good_before_its_time(
    table: PartitionedTable, policy: Policy
) -> None:
    """What this run decides is past retention; what goes for good was wanted by hand or is too, and its time is up.

    What reaches the trash only now has its time still before it.
    """
    plan = plan_maintain(table, policy)
    ends = {o.oid: o.mark for o in table.orphans}

    for action in plan.todo:
        if action.kind not in GOING:
            continue
        if action.kind is ActionKind.TRASH:
            assert action.keep_until is not None
            assert action.keep_until > table.now
        if action.reason is Reason.RETENTION:
            assert plan.view.expired(action.bounds)
        if action.reason is Reason.GRACE:
            assert ends[action.oid or 0].arrived
            until = ends[action.oid or 0].keep_until
            assert until is not None
            assert until <= table.now
        if action.kind is ActionKind.DROP and action.source is Source.DETACHED and action.oid is not None:
            assert ends[action.oid].manual or plan.view.expired(action.bounds)


@given(kept_tables(), graces)
def test_nothing_pinned_is_taken_away_by_a_run(table: PartitionedTable, policy: Policy) -> None:
    """Neither an attached partition nor one in the trash; only what a run had begun to detach may reach the trash."""
    plan = plan_maintain(table, policy)
    everything: tuple[Partition | Orphan, ...] = (*table.partitions, *table.orphans)
    held = {p.oid for p in everything if plan.view.pinned(p.pin)}

    for action in plan.todo:
        if action.kind in GOING and action.oid in held:
            assert action.kind is ActionKind.TRASH
            assert action.reason is Reason.UNFINISHED


@given(kept_tables(), graces)
def test_a_run_leaves_alone_what_somebody_moved(table: PartitionedTable, policy: Policy) -> None:
    """Whether it lay in the trash, was on its way there or was to be dropped at once, and be it back at home."""
    plan = plan_maintain(table, policy)
    left = {o.oid: TRASH if o.mark.arrived else "public" for o in table.orphans}
    moved = {o.oid for o in table.orphans if o.name.schema != left[o.oid]}

    assert not moved & {a.oid for a in plan.actions}


@given(kept_tables(), graces)
def test_with_a_grace_no_partition_is_lost(table: PartitionedTable, policy: Policy) -> None:
    """Every partition there was is one still, or lies in the trash, unless somebody else detached it."""
    policy = replace(policy, grace_days=max(policy.grace_days, 1))
    plan = plan_maintain(table, policy)
    after = applied(plan)
    somewhere = {p.oid for p in after.partitions} | {o.oid for o in after.orphans}
    foreign = {a.oid for a in plan.todo if a.kind is ActionKind.FINALIZE and a.source is Source.PENDING}
    # Detached by a run that had no grace to give.
    begun = {a.oid for a in plan.todo if a.kind is ActionKind.DROP and a.reason is Reason.UNFINISHED}

    assert {p.oid for p in table.partitions} - foreign - begun <= somewhere


@given(kept_tables(), graces)
def test_the_fuse_and_the_clock_hold_for_the_trash_too(table: PartitionedTable, policy: Policy) -> None:
    """At most as many go as the fuse allows, and none by a clock that is wrong."""
    plan = plan_maintain(table, policy)
    stopped = plan_maintain(table, policy, clock="the clock is wrong")
    going = [a for a in plan.todo if a.kind in GOING and a.reason is Reason.RETENTION]

    assert len(going) <= policy.fuse(plan.view.interval)
    assert [a for a in stopped.todo if a.kind is ActionKind.DROP] == []
    assert [a for a in stopped.todo if a.reason is Reason.RETENTION] == []


def test_what_is_past_retention_goes_to_the_trash_for_whole_days() -> None:
    """Under its own name, until the midnight after seven whole days."""
    plan = plan_maintain(events([day(-91), *map(day, range(-90, 31))]), GRACE)
    (action,) = plan.actions

    assert (action.kind, action.reason, action.status) == ("trash", "retention", Status.PLANNED)
    assert action.target == TableName(schema=TRASH, name="events_2025_08_03")
    assert action.keep_until == at("2025-11-10T00:00")


def test_the_midnight_is_that_of_the_tables_zone() -> None:
    """An operator in Berlin reads midnight, and the mark has the instant."""
    policy = replace(GRACE, timezone=ZoneInfo("Europe/Berlin"))
    plan = plan_maintain(events([day(-91), *map(day, range(-90, 31))]), policy)

    assert [a.keep_until for a in plan.actions] == [at("2025-11-09T23:00").replace(tzinfo=UTC)]


def test_whole_days_of_grace_begin_with_the_day_of_the_tables_zone() -> None:
    """Half past eleven at night in UTC is another day in Berlin already, which is not counted."""
    policy = replace(GRACE, timezone=ZoneInfo("Europe/Berlin"))
    late = at("2025-11-02T23:30")
    plan = plan_maintain(events([day(-95), *map(day, range(-89, 32))], now=late), policy)

    assert [a.keep_until for a in plan.actions] == [at("2025-11-10T23:00")]


def test_a_grace_that_has_ended_is_a_drop_and_does_not_blow_the_fuse() -> None:
    """They were counted when they went to the trash."""
    trash = tuple(orphan(day(-100 - n), oid=n, ends=-1) for n in range(40))
    plan = plan_maintain(events(map(day, range(-90, 31)), orphans=trash), GRACE)

    assert kinds(plan.actions) == [("drop", "grace ended", "planned")] * 40


def test_a_grace_that_has_not_ended_or_is_wanted_longer_is_left() -> None:
    """Not yet; kept by today's retention; pinned."""
    trash = (
        orphan(day(-100), oid=1, ends=1),
        orphan(day(-20), oid=2, ends=-1),
        orphan(day(-101), oid=3, ends=-1, pin=Pin(reason="x")),
    )
    plan = plan_maintain(events(map(day, range(-9, 31)), orphans=trash), GRACE)

    assert kinds(plan.actions) == []


def test_a_run_that_was_cut_off_is_brought_to_its_end() -> None:
    """Detached and still at home, or half detached: both reach the trash with the end that their mark says."""
    until = NOW + timedelta(days=2)
    pending = partition(
        day(-95), oid=1, detach_pending=True, mark=replace(mark(day(-95), oid=1), keep_until=until, trash=TRASH)
    )
    table = events([pending, *map(day, range(-9, 31))], orphans=(orphan(day(-96), oid=2, ends=2, arrived=False),))
    plan = plan_maintain(table, GRACE)

    assert [(a.kind, a.source, a.keep_until, a.reason) for a in plan.actions] == [
        ("trash", Source.PENDING, until, "unfinished"),
        ("trash", Source.DETACHED, until, "unfinished"),
    ]


def test_a_grace_ends_at_its_very_instant_in_the_trash_and_nowhere_else() -> None:
    """What never reached the trash goes there first, and has a grace of its own; what was brought home stays there."""
    ends_now = orphan(day(-100), oid=1, ends=0)
    cut_off = [orphan(day(-101), oid=2, ends=-1, arrived=False), orphan(day(-102), oid=3, ends=0, arrived=False)]
    brought_home = orphan(day(-103), oid=4, ends=-1, schema="public")
    orphans = (ends_now, *cut_off, brought_home)
    plan = plan_maintain(events(map(day, range(-9, 31)), orphans=orphans), GRACE)

    assert [(a.oid, a.kind, a.reason, a.partition, a.keep_until) for a in plan.actions] == [
        *((o.oid, "trash", "unfinished", o.name, at("2025-11-10T00:00")) for o in cut_off),
        (1, "drop", "grace ended", ends_now.name, None),
    ]


def test_a_half_detached_partition_whose_mark_is_of_an_earlier_drop_stays() -> None:
    """Somebody attached it from the trash and began this detach; or moved it, and whoever moves a table keeps it."""
    arrived = replace(mark(day(-95), oid=1), keep_until=NOW + timedelta(days=2), trash=TRASH, arrived=True)
    moved = [replace(mark(day(-94), oid=2), home="old"), replace(arrived, oid=3, arrived=False, home="old")]
    pending = [
        partition(day(-95 + n), oid=1 + n, detach_pending=True, mark=made) for n, made in enumerate([arrived, *moved])
    ]
    plan = plan_maintain(events([*pending, *map(day, range(-9, 31))]), GRACE)

    assert [(a.oid, a.kind, a.source) for a in plan.actions] == [(n, "finalize", Source.PENDING) for n in (1, 2, 3)]


def test_a_mark_that_does_not_say_where_its_table_was_left_drops_nothing() -> None:
    """Somebody edited it: by hand the table goes, or comes back."""
    odd = orphan(day(-100), oid=1, ends=-1)
    marks = [
        replace(odd.mark, trash=None),
        replace(odd.mark, arrived=False),
        replace(mark(day(-100), oid=1), home=None),
    ]
    for made in marks:
        table = events(map(day, range(-9, 31)), orphans=(replace(odd, mark=made),))
        by_hand = plan_drop(table, GRACE, target=odd.name.name, now=True)

        assert plan_maintain(table, GRACE).actions == ()
        assert [(a.oid, a.status) for a in by_hand.actions] == [(1, Status.PLANNED)]


def test_what_depends_on_a_table_in_the_trash_keeps_it_there() -> None:
    """By night it is skipped, and by hand refused, with what depends on it."""
    table = events(map(day, range(-9, 31)), orphans=(orphan(day(-100), oid=1, ends=-1),))
    blocked = Facts(blocked={1: "view v depends on it"})
    night = plan_maintain(table, GRACE, blocked)
    by_hand = plan_drop(table, GRACE, blocked, target="2025-07-25", now=True)

    assert [(a.status, a.note) for a in night.actions] == [(Status.SKIPPED, "view v depends on it")]
    assert [(a.status, a.note) for a in by_hand.actions] == [(Status.REFUSED, "view v depends on it")]


def test_what_is_pinned_in_the_trash_is_not_emptied_by_hand() -> None:
    """Refused with what would allow it, also when it is wanted now."""
    lying = orphan(day(-100), oid=1, pin=Pin(reason="x"))
    plan = plan_drop(events(map(day, range(-9, 31)), orphans=(lying,)), GRACE, target="2025-07-25", now=True)

    assert [(a.status, a.note) for a in plan.actions] == [
        (Status.REFUSED, f"pinned: x; pgalmanac unpin {lying.name.name} allows it")
    ]


def test_a_half_detached_partition_that_somebody_pinned_is_not_dropped() -> None:
    """What a run without a grace began is ended as a table that stays."""
    pending = partition(
        day(-100), oid=1, detach_pending=True, mark=mark(day(-100), oid=1), pin=Pin(reason="x", until=TODAY)
    )
    plan = plan_maintain(events([pending, *map(day, range(-9, 31))]), Policy())

    assert [(a.kind, a.source) for a in plan.actions] == [("finalize", Source.PENDING)]


def test_what_a_drop_left_detached_and_somebody_pinned_is_not_dropped() -> None:
    """A run without a grace was cut off behind its detach; the plan says what keeps the table."""
    left = orphan(day(-100), oid=1, ends=None, pin=Pin(reason="x", until=TODAY))
    ended = orphan(day(-101), oid=2, ends=None, pin=Pin(reason="past", until=date(2000, 1, 1)))
    plan = plan_maintain(events([*map(day, range(-9, 31))], orphans=(left, ended)), Policy())

    assert [(a.oid, a.kind, a.status, a.note) for a in plan.actions] == [
        (1, "drop", Status.SKIPPED, f"pinned: x (until {TODAY})"),
        (2, "drop", Status.PLANNED, None),
    ]


def test_the_trash_refuses_what_it_has_no_place_for() -> None:
    """A name that is taken refuses that one; a missing privilege all of them; both with what to do."""
    table = events([day(-92), day(-91), *map(day, range(-90, 31))])
    taken = Facts(taken=frozenset({TableName(schema=TRASH, name="events_2025_08_02")}))
    named = plan_maintain(table, GRACE, taken)
    barred = plan_maintain(table, GRACE, Facts(trash_refusals={TRASH: "missing: GRANT"}))
    own = plan_maintain(table, replace(GRACE, trash_schema="public"))

    assert [a.status for a in named.actions] == [Status.REFUSED, Status.PLANNED]
    assert "set another trash_schema for public.events" in (named.actions[0].note or "")
    assert [a.note for a in barred.actions] == ["missing: GRANT"] * 2
    assert "set trash_schema to another" in (own.actions[0].note or "")


def test_each_schema_of_a_trash_is_missing_or_refused_for_itself() -> None:
    """What a run was cut off with goes where its mark says, also when trash_schema has changed in between."""
    elsewhere = replace(GRACE, trash_schema="elsewhere")
    table = events([day(-91), *map(day, range(-90, 31))], orphans=(orphan(day(-96), oid=2, ends=2, arrived=False),))
    barred = [plan_maintain(table, elsewhere, Facts(trash_refusals={s: "GRANT"})) for s in (TRASH, "elsewhere")]
    made = [plan_maintain(table, elsewhere, Facts(trash_missing=frozenset({s}))) for s in (TRASH, "elsewhere")]

    assert [[a.target.schema for a in plan.actions if a.target] for plan in barred] == [[TRASH, "elsewhere"]] * 2
    assert [[a.status for a in plan.actions] for plan in barred] == [
        [Status.REFUSED, Status.PLANNED],
        [Status.PLANNED, Status.REFUSED],
    ]
    assert [[a.makes_schema for a in plan.actions] for plan in made] == [[True, False], [False, True]]


def test_what_a_run_left_on_its_way_to_the_trash_stays_where_its_name_is_taken_there() -> None:
    """Detached or half detached: a table of the name in the trash is another one, and stays too."""
    until = NOW + timedelta(days=2)
    pending = partition(
        day(-95), oid=1, detach_pending=True, mark=replace(mark(day(-95), oid=1), keep_until=until, trash=TRASH)
    )
    left = orphan(day(-96), oid=2, ends=2, arrived=False)
    taken = frozenset(TableName(schema=TRASH, name=name.name) for name in (pending.name, left.name))
    plan = plan_maintain(events([pending, *map(day, range(-9, 31))], orphans=(left,)), GRACE, Facts(taken=taken))

    assert [(a.oid, a.status) for a in plan.actions] == [(1, Status.REFUSED), (2, Status.REFUSED)]
    assert {"set another trash_schema" in (a.note or "") for a in plan.actions} == {False}


def test_the_fuse_counts_what_would_go_and_not_what_stays() -> None:
    """Whoever pins forty days does not keep the one that is due."""
    pinned = [partition(day(-140 + n), oid=n, pin=Pin(reason="x")) for n in range(40)]
    plan = plan_maintain(events([*pinned, *map(day, range(-91, 31))]), Policy())

    assert [(a.kind, a.bounds) for a in plan.todo] == [("drop", day(-91))]


def test_pinned_is_skipped_by_night_and_refused_by_hand() -> None:
    """With the reason; a pin of yesterday says nothing any more."""
    pinned = partition(day(-95), oid=1, pin=Pin(reason="case 4711", until=TODAY))
    past = partition(day(-94), oid=2, pin=Pin(reason="old", until=TODAY - timedelta(days=1)))
    table = events([pinned, past, *map(day, range(-90, 31))])
    night = plan_maintain(table, Policy())
    by_hand = plan_drop(table, Policy(), target="events_2025_07_30")

    assert [(a.status, a.note) for a in night.actions] == [
        (Status.SKIPPED, "pinned: case 4711 (until 2025-11-02)"),
        (Status.PLANNED, None),
    ]
    assert [a.status for a in by_hand.actions] == [Status.REFUSED]
    assert "pgalmanac unpin events_2025_07_30" in (by_hand.actions[0].note or "")


def test_a_drop_by_hand_is_kept_unless_now_and_now_reaches_into_the_trash() -> None:
    """By name or by its day; a day that is attached again means the partition."""
    lying = orphan(day(-100), oid=9)
    table = events(map(day, range(-5, 5)), orphans=(lying,))
    kept = plan_drop(table, GRACE, target="2025-10-31")
    gone = plan_drop(table, GRACE, target="2025-10-31", now=True)
    emptied = [plan_drop(table, GRACE, target=t, now=True).actions for t in ("2025-07-25", lying.name.name)]

    assert kinds(kept.actions) == [("trash", "manual", "planned")]
    assert kinds(gone.actions) == [("drop", "manual", "planned")]
    assert [[(a.oid, a.source) for a in actions] for actions in emptied] == [[(9, Source.DETACHED)]] * 2
    with pytest.raises(UsageError, match=r"has been dropped already, and is kept: .*--now drops it for good"):
        plan_drop(table, GRACE, target=lying.name.name)


def test_only_what_was_confirmed_goes_to_the_trash() -> None:
    """As for a drop for good: what came into the range after somebody agreed to the plan is refused."""
    plan = plan_drop(events(map(day, range(-5, 5))), GRACE, target="2025-10-30..2025-10-31")
    limited = plan.confirmed(frozenset({plan.todo[0].oid or 0}))

    assert [(a.kind, a.status) for a in limited.actions] == [("trash", Status.PLANNED), ("trash", Status.REFUSED)]


def test_undrop_brings_a_day_home_and_pins_it_if_it_would_go_again() -> None:
    """Past retention it is pinned in the role's name; inside retention it needs none."""
    table = events(map(day, range(-5, 0)), orphans=(orphan(day(-100), oid=8), orphan(day(-6), oid=9)))
    old = plan_undrop(table, GRACE, target="2025-07-25", by="dba")
    young = plan_undrop(table, GRACE, target="2025-10-27", by="dba")

    assert [(a.kind, a.target, a.pin) for a in old.actions] == [
        (
            "attach",
            TableName(schema="public", name="events_2025_07_25_8"),
            Pin(reason="undropped 2025-11-02", by="dba", at=NOW),
        )
    ]
    assert [(a.kind, a.pin) for a in young.actions] == [("attach", None)]


def refusal(table: PartitionedTable, **facts: Any) -> str:  # noqa: ANN401  # fields of Facts
    """Why the day -100 of a table cannot be undropped."""
    (action,) = plan_undrop(table, GRACE, Facts(**facts), target="2025-07-25").actions
    assert action.status is Status.REFUSED
    return action.note or ""


def test_undrop_says_why_not_and_how_to_read_the_rows() -> None:
    """Period taken, name taken, another structure, stray rows."""
    lying = orphan(day(-100), oid=8)
    lower = day(-100).lower
    assert lower is not None
    table = events(map(day, range(-5, 5)), orphans=(lying,), default=True)
    taken = events([day(-101, 3)], orphans=(lying,))
    reasons = [
        refusal(taken),
        refusal(table, taken=frozenset({TableName(schema="public", name="events_2025_07_25_8")})),
        refusal(table, mends={8: Mend(refusal="it has the column x")}),
        refusal(table, strays={lower: 1}),
    ]
    says = (
        "its period is taken by public.events_2025_07_24",
        "the name public.events_2025_07_25_8 is taken",
        "it has the column x",
        "public.events_default has 1 row of its period",
    )

    for reason, start in zip(reasons, says, strict=True):
        assert reason.startswith(start)
        assert reason.endswith("; its rows: SELECT * FROM pgalmanac_trash.events_2025_07_25_8")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("2025-07-26", "nothing that was dropped for 2025-07-26 from public.events is still there"),
        ("events_2025_10_31", "is a partition of public.events; it was not dropped"),
        ("nonsense", "nothing that was dropped for nonsense"),
    ],
)
def test_undrop_of_what_is_not_there_is_bad_usage(target: str, says: str) -> None:
    """One sentence each."""
    table = events(map(day, range(-5, 5)), orphans=(orphan(day(-100), oid=8),))
    with pytest.raises(UsageError) as told:
        plan_undrop(table, GRACE, target=target)

    assert says in str(told.value)


def test_pins_take_days_ranges_and_names_attached_or_not() -> None:
    """A range across both; a pin that would hold on no day is bad usage, and so is a day with no partition."""
    table = events(map(day, range(-3, 1)), orphans=(orphan(day(-4), oid=9),))
    pin = Pin(reason="audit", until=TODAY)
    pinned = plan_pin(table, GRACE, target="2025-10-29..2025-10-31", pin=pin)
    again = plan_pin(table, GRACE, target="events_2025_10_31", pin=pin)

    assert [(a.kind, a.source, a.pin) for a in pinned.actions] == [
        ("pin", Source.ATTACHED, pin),
        ("pin", Source.ATTACHED, pin),
        ("pin", Source.DETACHED, pin),
    ]
    assert len(again.actions) == 1
    with pytest.raises(UsageError, match="would hold on no day"):
        plan_pin(table, GRACE, target="2025-10-31", pin=replace(pin, until=TODAY - timedelta(days=1)))
    with pytest.raises(UsageError, match="has no partition for 2024-01-01"):
        plan_pin(table, GRACE, target="2024-01-01", pin=pin)


def test_unpin_acts_only_where_there_is_a_pin() -> None:
    """What has none needs no action; a second time there is nothing to do."""
    table = events([partition(day(-2), oid=1, pin=Pin(reason="x")), day(-1)])
    plan = plan_unpin(table, GRACE, target="2025-10-31..2025-11-01")
    after = plan_unpin(applied(plan), GRACE, target="2025-10-31..2025-11-01")

    assert [(a.kind, a.oid) for a in plan.actions] == [("unpin", 1)]
    assert after.actions == ()


def test_without_a_grace_everything_is_as_before() -> None:
    """The default drops at once."""
    plan = plan_maintain(events([day(-91), *map(day, range(-90, 31))]), Policy())

    assert kinds(plan.actions) == [("drop", "retention", "planned")]
    assert view(plan.table, Policy()).policy.grace_days == 0


def test_an_undo_takes_the_place_of_an_empty_partition_of_the_very_same_bounds_alone() -> None:
    """Not of one with rows, one that is pinned or half detached, or one that is wider: those keep their period."""
    lying = orphan(day(-3), oid=8)

    def undropped(standing: Partition, *, empty: bool = True) -> Action:
        table = events([standing, *map(day, range(31))], orphans=(lying,))
        (action,) = plan_undrop(
            table, GRACE, Facts(empties=frozenset({5} if empty else ())), target=lying.name.name
        ).actions
        return action

    plain = partition(day(-3), oid=5)
    taken = undropped(plain)
    kept = [
        undropped(plain, empty=False),
        undropped(replace(plain, pin=Pin(reason="x"))),
        undropped(replace(plain, detach_pending=True)),
        undropped(replace(plain, bounds=day(-3, 2))),
    ]

    assert (taken.status, taken.replaces) == (Status.PLANNED, plain)
    assert [(a.status, a.replaces) for a in kept] == [(Status.REFUSED, None)] * 4
    assert all((a.note or "").startswith(f"its period is taken by {plain.name}") for a in kept)


def test_what_comes_back_is_pinned_where_the_next_night_would_take_it_and_only_there() -> None:
    """A pin that is over holds nothing, and a table from which nothing is dropped needs none."""
    over = Pin(reason="old", until=TODAY - timedelta(days=1))
    table = events(map(day, range(-5, 0)), orphans=(orphan(day(-100), oid=8, pin=over),))
    (again,) = plan_undrop(table, GRACE, target="2025-07-25", by="dba").actions
    (kept,) = plan_undrop(table, replace(GRACE, may_drop=False), target="2025-07-25", by="dba").actions

    assert again.pin == Pin(reason="undropped 2025-11-02", by="dba", at=NOW)
    assert kept.pin == over


def test_a_foreign_table_needs_no_pin() -> None:
    """It is never dropped, and has no comment that this role may write."""
    table = events([partition(day(-2), oid=1, kind=RelationKind.FOREIGN)])
    plan = plan_pin(table, GRACE, target="2025-10-31", pin=Pin(reason="x"))

    assert [a.status for a in plan.actions] == [Status.REFUSED]


def test_a_name_means_the_partition_and_not_what_lies_in_the_trash_under_it() -> None:
    """The same day was dropped once and made anew."""
    old = replace(orphan(day(-3), oid=8), name=TableName(schema=TRASH, name="events_2025_10_30"))
    plan = plan_drop(events([day(-3), day(0)], orphans=(old,)), GRACE, target="events_2025_10_30")

    assert [(a.kind, a.oid) for a in plan.actions] == [("trash", 100)]


def test_a_mark_says_what_the_next_run_needs_to_end_the_drop() -> None:
    """Whose table, which bounds, by hand or not, where it was a partition, and with a grace until when."""
    table = events([day(-100), *map(day, range(-5, 31))])
    made: list[Mark | None] = []
    for plan in (plan_maintain(table, Policy()), plan_drop(table, GRACE, target="2025-10-31")):
        (statement,) = marking(plan.view, plan.todo[0], "7").work
        assert statement.remark is not None
        made.append(read_mark(statement.remark.lines[PREFIX]))

    assert made == [
        mark(day(-100), oid=100),
        replace(
            mark(day(-2), oid=104, manual=True),
            keep_until=at("2025-11-10T00:00").astimezone(UTC),
            at=NOW,
            trash="pgalmanac_trash",
        ),
    ]


@pytest.mark.parametrize("half", [True, False], ids=["half detached", "detached"])
def test_the_end_of_a_cut_off_drop_keeps_of_its_mark_what_is_still_true(half: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Whose drop it was and when it began; that the table arrived is written with the move, and until when it stays."""
    left = orphan(day(-96), oid=2, ends=-1, arrived=False, manual=True)
    pending = partition(day(-96), oid=2, detach_pending=True, mark=left.mark)
    table = events([*([pending] if half else []), *map(day, range(-9, 31))], orphans=() if half else (left,))
    plan = plan_maintain(table, GRACE)
    remark = script(plan.view, plan.todo[0], None, run_id="8").remark

    assert remark is not None
    assert remark.name.schema == TRASH
    assert read_mark(remark.lines[PREFIX]) == replace(left.mark, keep_until=at("2025-11-10T00:00"), arrived=True)
