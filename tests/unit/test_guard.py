"""The last look before a drop or an attach: what it lets pass, and each thing that may have changed since the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pgalmanac.actions import Action, ActionKind, Reason, Source, Status
from pgalmanac.guard import GuardError, ParentHeld, attach_guard, drop_guard, mark_guard
from pgalmanac.marks import marked, pinned, rewritten
from pgalmanac.model import Bounds, Mark, Pin
from pgalmanac.plan import plan_drop, plan_maintain
from pgalmanac.policy import Policy
from pgalmanac.recovery import plan_undrop
from snapshots import NOW, day, events, mark
from unit.test_recovery_plan import orphan

if TYPE_CHECKING:
    from pgalmanac.plan import Plan

POLICY = Policy()
GRACE = Policy(grace_days=7)
OLD = day(-100)
FIGURES = (8192, 5)
PIN = Pin(reason="audit")
ENDED = orphan(OLD, oid=7, ends=-1)


def row(
    *,
    oid: int = 100,
    bounds: Bounds = OLD,
    pending: bool | None = False,
    mark: Mark | None = None,
    pin: Pin | None = None,
    now: datetime = NOW,
    asked: tuple[Any, ...] = FIGURES,
) -> tuple[Any, ...]:
    """What the server says of one table; *pending* is None for one that is no partition, which has no bounds."""
    lines = {**({} if mark is None else marked(mark)), **({} if pin is None else pinned(pin))}
    text = None if pending is None else f"FOR VALUES FROM ('{bounds.lower:%F %T}') TO ('{bounds.upper:%F %T}')"
    return (oid, text, pending, rewritten(None, lines), now, *asked)


def retention(policy: Policy = POLICY) -> Plan:
    """A plan that drops the partition OLD, of oid 100."""
    return plan_maintain(events([OLD, *map(day, range(31))]), policy)


def judged(
    plan: Plan, source: Source, *rows: tuple[Any, ...], action: Action | None = None
) -> list[tuple[int, int | None]]:
    """What the guard of the plan's only drop tells, when this is what it sees."""
    told: list[tuple[int, int | None]] = []
    drop_guard(plan.view, action or plan.todo[0], source, told.append).judge(rows)
    return told


def test_what_is_still_as_it_was_planned_passes_with_its_figures() -> None:
    """Also when a day more has gone by, and when the pin that it had is over."""
    over = Pin(reason="audit", until=(NOW - timedelta(days=1)).date())

    assert judged(retention(), Source.ATTACHED, row()) == [FIGURES]
    assert judged(retention(), Source.ATTACHED, row(now=NOW + timedelta(days=1), pin=over)) == [FIGURES]


@pytest.mark.parametrize("policy", [POLICY, GRACE], ids=["drop", "trash"])
@pytest.mark.parametrize(
    ("seen", "says"),
    [
        ([], "is not the table that was planned for"),
        ([row(oid=101)], "is not the table that was planned for"),
        ([row(pending=True)], "was attached when this was planned and is pending now"),
        ([row(pending=None, mark=mark(OLD, oid=100))], "was attached when this was planned and is detached now"),
        ([row(bounds=day(-101))], "the bounds of public.events_2025_07_25 have changed"),
        ([row(bounds=day(-100, 2))], "the bounds of public.events_2025_07_25 have changed"),
        ([row(now=NOW - timedelta(days=10))], "is not past retention by the server's clock"),
    ],
)
def test_what_has_changed_since_the_plan_is_refused(policy: Policy, seen: list[tuple[Any, ...]], says: str) -> None:
    """Another table of the name, one that somebody began to detach, other bounds, a clock that was set back."""
    with pytest.raises(GuardError, match=says) as refusal:
        judged(retention(policy), Source.ATTACHED, *seen)

    assert refusal.value.status is Status.REFUSED


def test_a_pin_that_came_meanwhile_skips_what_the_night_drops_and_refuses_what_a_hand_drops() -> None:
    """A standing reason for one, a question to a human for the other; both on its last day too."""
    by_hand = plan_drop(events([OLD, *map(day, range(31))]), POLICY, target="2025-07-25")
    last_day = replace(PIN, until=NOW.date())
    found: list[Status] = []
    for plan in (retention(), retention(GRACE), by_hand):
        with pytest.raises(GuardError, match="pinned: audit") as refusal:
            judged(plan, Source.ATTACHED, row(pin=last_day))
        found.append(refusal.value.status)

    assert found == [Status.SKIPPED, Status.SKIPPED, Status.REFUSED]


def test_the_partition_that_holds_the_present_by_now_is_not_dropped_by_hand() -> None:
    """Planned before midnight, when it was tomorrow's."""
    plan = plan_drop(events(map(day, range(31))), POLICY, target="2025-11-03")

    assert judged(plan, Source.ATTACHED, row(oid=101, bounds=day(1))) == [FIGURES]
    with pytest.raises(GuardError, match="holds the present"):
        judged(plan, Source.ATTACHED, row(oid=101, bounds=day(1), now=NOW + timedelta(days=1)))


OURS = mark(OLD, oid=7)


@pytest.mark.parametrize(
    "other",
    [None, replace(OURS, oid=8), replace(OURS, parent_oid=2), replace(OURS, system_id="8")],
    ids=["none", "another table's", "another parent's", "another server's"],
)
def test_a_detached_table_goes_by_our_mark_alone(other: Mark | None) -> None:
    """It has no bounds any more: without the mark of this very table nothing says that it may be dropped."""
    plan = plan_maintain(events(map(day, range(31)), orphans=(orphan(OLD, oid=7, ends=None),)), POLICY)

    assert judged(plan, Source.DETACHED, row(oid=7, pending=None, mark=OURS)) == [FIGURES]
    with pytest.raises(GuardError, match="does not carry pgalmanac's mark any more"):
        judged(plan, Source.DETACHED, row(oid=7, pending=None, mark=other))


@pytest.mark.parametrize("keep_until", [NOW + timedelta(seconds=1), None], ids=["prolonged", "none"])
def test_a_grace_that_has_not_ended_by_now_keeps_the_table(keep_until: datetime | None) -> None:
    """Prolonged since the plan, or gone from the mark, which then promises nothing: it ends at its very instant."""
    plan = plan_maintain(events(map(day, range(31)), orphans=(ENDED,)), GRACE)
    ends_now = row(oid=7, pending=None, mark=replace(ENDED.mark, keep_until=NOW))

    assert judged(plan, Source.DETACHED, ends_now) == [FIGURES]
    with pytest.raises(GuardError, match="has not ended by the server's clock"):
        judged(plan, Source.DETACHED, row(oid=7, pending=None, mark=replace(ENDED.mark, keep_until=keep_until)))


def test_what_is_to_be_kept_by_now_is_not_dropped_as_unfinished() -> None:
    """Another run has given it a grace since the plan: with that it is in the trash, and no half-done drop."""
    plan = plan_maintain(events(map(day, range(31)), orphans=(orphan(OLD, oid=7, ends=None),)), POLICY)

    with pytest.raises(GuardError, match="is to be kept until"):
        judged(plan, Source.DETACHED, row(oid=7, pending=None, mark=replace(OURS, keep_until=NOW)))


def test_a_drop_that_was_begun_by_hand_is_ended_whatever_its_age() -> None:
    """The mark says whose it is: without that a young table stays."""
    young = orphan(day(-3), oid=7, ends=None, manual=True)
    plan = plan_maintain(events(map(day, range(31)), orphans=(young,)), POLICY)

    assert judged(plan, Source.DETACHED, row(oid=7, pending=None, mark=young.mark)) == [FIGURES]
    with pytest.raises(GuardError, match="is not past retention"):
        judged(plan, Source.DETACHED, row(oid=7, pending=None, mark=replace(young.mark, manual=False)))


def test_what_is_detached_already_may_always_go_to_the_trash() -> None:
    """It takes nothing away, so that neither a pin nor its age keeps it: but it must be our own."""
    cut_off = orphan(day(-3), oid=7, arrived=False)
    plan = plan_maintain(events(map(day, range(31)), orphans=(cut_off,)), GRACE)
    (trash,) = plan.of(ActionKind.TRASH)

    assert (trash.reason, trash.source) == (Reason.UNFINISHED, Source.DETACHED)
    seen = row(oid=7, pending=None, mark=cut_off.mark, pin=PIN)
    assert judged(plan, Source.DETACHED, seen, action=trash) == [FIGURES]
    with pytest.raises(GuardError, match="does not carry"):
        judged(plan, Source.DETACHED, row(oid=7, pending=None), action=trash)


def test_nothing_is_marked_that_may_not_go() -> None:
    """The look before a concurrent detach asks the same, for room in the trash, and who holds the parent."""
    plan = retention()
    guard = mark_guard(plan.view, plan.todo[0], quiet=True)

    guard.judge([row(asked=([], []))])
    guard.judge([row(asked=(None, []))])
    with pytest.raises(GuardError, match="pinned"):
        guard.judge([row(asked=(["3/7"], []), pin=PIN)])
    with pytest.raises(GuardError, match="is not past retention"):
        guard.judge([row(asked=([], []), now=NOW - timedelta(days=10))])
    with pytest.raises(ParentHeld) as held:
        guard.judge([row(asked=(["3/7", "4/1"], []))])
    assert held.value.holders == {"3/7", "4/1"}
    trash = retention(GRACE)
    with pytest.raises(GuardError, match=r"where the name .*idx is taken"):
        mark_guard(trash.view, trash.todo[0], quiet=True).judge([row(asked=([], ["idx"]))])


def test_an_undo_takes_the_place_only_of_what_was_shown_and_may_go() -> None:
    """The empty partition is the same and not pinned since, and the dropped table has no pin that we have not seen."""
    lying = orphan(day(-3), oid=7)
    table = events([day(-3), *map(day, range(31))], orphans=(lying,))
    view = retention().view
    plan = plan_undrop(table, POLICY, target="2025-10-30")
    action = replace(plan.actions[0], status=Status.PLANNED, replaces=table.partitions[0], pin=PIN)
    told: list[tuple[int, int | None]] = []
    guard = attach_guard(replace(view, table=table), action, told.append)
    standing, back = row(bounds=day(-3)), row(oid=7, pending=None, mark=lying.mark, asked=(16384, 9))

    guard.judge([back, standing])
    assert told == [(16384, 9)]
    for rows, says in (
        ([back], "events_2025_10_30 is not the table that was planned for"),
        ([back, row(bounds=day(-4))], "the bounds of"),
        ([back, row(bounds=day(-3), pin=PIN)], "pinned: audit"),
        ([standing], "is not the table that was planned for"),
        ([standing, row(oid=7, mark=lying.mark)], "is attached now"),
        ([standing, row(oid=7, pending=None, mark=lying.mark, pin=Pin(reason="since"))], "got another pin"),
    ):
        with pytest.raises(GuardError, match=says):
            guard.judge(rows)
    assert len(told) == 1
