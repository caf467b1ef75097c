"""The text of a plan and of a report, and the key that helps with a finding: made of values alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pgalmanac.actions import ActionKind, Status
from pgalmanac.diagnose import diagnose
from pgalmanac.findings import Code, Finding, Level, PastRuns
from pgalmanac.model import Bounds, Interval, Server
from pgalmanac.plan import Plan, plan_fix, plan_maintain
from pgalmanac.policy import Policy
from pgalmanac.results import Outcome, RunReport, TableReport
from pgalmanac_tui.entries import entries
from pgalmanac_tui.format import Line, width
from pgalmanac_tui.glyphs import UNICODE
from pgalmanac_tui.panels import proposal as panel
from pgalmanac_tui.panels.findings import findings
from pgalmanac_tui.panels.health import health, remedy
from pgalmanac_tui.snapshot import Proposal, TableState, Wish
from snapshots import NOW, day, events

SERVER = Server(version="18.1", version_num=180001, database="app", role="keeper", standby=False, now=NOW)
RAN = PastRuns(last_started=NOW - timedelta(hours=12), last_success=NOW - timedelta(hours=12))


def text(lines: tuple[Line, ...], cells: int) -> list[str]:
    """The lines without their styles; none is longer than its place."""
    told = ["".join(part for part, _ in line).rstrip() for line in lines]
    assert [] == [line for line in told if width(line) > cells]
    return told


def shown(plan: Plan, cells: int = 70, wish: Wish | None = None) -> list[str]:
    """The text of a plan before it is applied, of a fix if no other is wished for."""
    wish = wish or Wish(command="fix")
    return text(panel.proposal(Proposal(wish=wish, server=SERVER, plan=plan), (), cells, UNICODE), cells)


def test_what_is_refused_is_explained_before_and_listed_behind_what_will_be_done() -> None:
    """A fix of an hourly table refuses hundreds of hours of the past; the hours to come are what matters."""
    plan = plan_fix(events([]), Policy(interval=Interval.HOURLY), back=30, ahead=30)
    refused = sum(1 for a in plan.actions if a.status is Status.REFUSED)

    lines = shown(plan)
    signs = [line.split()[0] for line in lines if " create events_" in line][: len(plan.actions)]

    assert 0 < refused < len(plan.actions)
    assert lines[0].startswith(f" ▲ {refused} refused: ")
    assert "raise it, or create the range by hand" in " ".join(" ".join(lines[:3]).split())
    assert ["●"] * (len(plan.actions) - refused) + ["▲"] * refused == signs


@pytest.mark.parametrize("cells", [40, 70])
def test_that_there_is_nothing_to_do_is_said_whole(cells: int) -> None:
    """In a narrow terminal too."""
    plan = plan_fix(events([day(o) for o in range(-90, 31)]), Policy(), back=30, ahead=30)

    said = {c: " ".join(" ".join(shown(plan, cells, Wish(command=c))).split()) for c in ("fix", "maintain", "create")}

    assert said["fix"].endswith(
        "is there already. Applying it all the same proves that an insert for now finds its partition."
    )
    assert said["maintain"].endswith("is there already. Applying it all the same records a run, as the timer does.")
    assert said["create"].endswith("everything this would make is there already.")


def test_what_is_under_way_is_named_as_long_as_it_goes_by_the_plan() -> None:
    """A plan that was made anew may have another order: nothing is said then."""
    plan = plan_fix(events([]), Policy(), back=1, ahead=1)
    done = [Outcome(action=a, status=Status.DONE) for a in plan.actions]

    assert list(plan.actions) == [panel.under_way(plan, done[:n]) for n in range(len(done))]
    assert None is panel.under_way(plan, done)
    assert None is panel.under_way(plan, done[1:2])


def test_what_took_long_is_not_said_in_milliseconds() -> None:
    """A minute of waiting for a lock is a minute."""
    action = plan_fix(events([]), Policy(), back=0, ahead=0).actions[0]
    lines = [
        panel.outcome_line(Outcome(action=action, status=Status.FAILED, duration_ms=ms), UNICODE)
        for ms in (14.2, 9_999, 60_101)
    ]

    assert ["failed  14 ms", "failed  9999 ms", "failed  60 s"] == [
        t.rpartition("  f")[2].join(("f", "")) for t in text(tuple(lines), 80)
    ]


def test_a_key_that_is_off_is_not_said_to_help() -> None:
    """Nor is what opens a list said to be off."""
    plan = plan_maintain(events([day(o) for o in range(-10, 0)]), Policy())
    table = TableState(plan=plan, findings=diagnose(plan.view, plan, RAN))
    found = (*table.findings, Finding(level=Level.WARNING, code=Code.FUSE, message="nothing is dropped"))
    texts = {may: "\n".join(text(findings(found, 80, UNICODE, may=may), 80)) for may in (True, False)}

    assert [(("f", "key"), (" fix", "")), (("2", "key"), (" findings", ""))] == [
        health(table, UNICODE, may=may)[3] for may in (True, False)
    ]
    assert "f fix\n" in texts[True]
    assert "f fix is off here; pressed, it says why" in texts[False]
    assert "4 plan\n" in texts[False] + "\n"


def test_a_report_begins_with_what_somebody_has_to_look_at() -> None:
    """And not with thirty lines of what went well."""
    actions = plan_maintain(events([]), Policy()).actions[:3]
    done, failed, last = (Outcome(action=a, status=Status.DONE) for a in actions)
    failed = failed.became(Status.FAILED, error="the lock was not to be had in 1 attempt: somebody holds it")
    outcomes = (done, failed, last)
    report = RunReport(command="maintain", tables=(TableReport(table="public.events", outcomes=outcomes),))

    lines = text(panel.report(report, outcomes, 70, UNICODE), 70)

    assert ["✖", "✔", "✔"] == [line.split()[0] for line in lines if " create " in line]
    assert "somebody holds it" in " ".join(lines[: lines.index(next(line for line in lines if "✔ create" in line))])


@pytest.mark.parametrize(
    ("missing", "key"),
    [([-41], "m maintain"), ([-9], "m maintain"), ([-9.5], "f fix"), ([-45.5], "2 findings"), ([0], "f fix")],
)
def test_the_key_beside_a_sentence_does_what_the_sentence_says(missing: list[float], key: str) -> None:
    """Fix looks thirty days back: of an older gap it found nothing to do. Half a day is missing of that with a half."""
    whole = [day(o) for o in range(-90, 31) if o not in missing and o + 0.5 not in missing]
    halves = [day(int(o - 0.5)) for o in missing if o % 1]
    partly = [Bounds(lower=h.lower, upper=h.lower + timedelta(hours=12)) for h in halves if h.lower is not None]
    plan = plan_maintain(events([*whole, *partly]), Policy(interval=Interval.DAILY))
    found = diagnose(plan.view, plan, RAN)
    state = TableState(plan=plan, findings=found)

    _, sentence, _, line = health(state, UNICODE)

    assert key == "".join(part for part, _ in line)
    assert (key == "2 findings") is ("run pgalmanac fix --back 46" in sentence)
    assert (key == "2 findings") is (remedy(found[0]) is None)
    assert (key != "2 findings") is (f"     {key}" in text(findings(found, 70, UNICODE), 70))


@pytest.mark.parametrize(("at_day", "key"), [(-20, "2 findings"), (-9, "m maintain"), (40, "2 findings")])
def test_rows_that_maintain_leaves_where_they_are_have_not_its_key(at_day: int, key: str) -> None:
    """Before the oldest partition and ahead of all the sentence has the command, which is whole in the findings."""
    lower = day(at_day).lower
    assert lower is not None
    table = replace(events([day(o) for o in range(-15, 31) if o != -9], default=True), default_has_rows=True)
    plan = plan_maintain(replace(table, stray_edges=(lower, lower)), Policy())
    found = [f for f in diagnose(plan.view, plan, RAN) if f.code is Code.STRAY_ROWS]
    state = TableState(plan=plan, findings=tuple(found))

    assert key == "".join(part for part, _ in health(state, UNICODE)[3])
    shown = " ".join(" ".join(text(findings(found, 70, UNICODE), 70)).split())
    assert (key == "2 findings") is ("pgalmanac create " in shown)


@pytest.mark.parametrize(
    ("has_rows", "word"), [(True, "stray rows"), (False, "default, empty"), (None, "default")], ids=str
)
def test_a_default_partition_that_nobody_saw_is_not_called_empty(*, has_rows: bool | None, word: str) -> None:
    """In the list of partitions."""
    table = replace(events([day(0)], default=True), default_has_rows=has_rows)

    assert word == entries(TableState(plan=plan_maintain(table, Policy())), {})[-1].word


def test_a_finding_that_no_key_mends_can_be_read_whole_with_one() -> None:
    """The missing GRANT does not fit into the headline."""
    grant = "this role cannot maintain public.events; missing: " + 'GRANT "owner of everything" TO "keeper"'
    finding = Finding(level=Level.CRITICAL, code=Code.PRIVILEGE, message=grant)
    state = TableState(plan=plan_maintain(events([day(0)]), Policy()), findings=(finding,))

    assert (grant, (("2", "key"), (" findings", ""))) == (health(state, UNICODE)[1], health(state, UNICODE)[3])


@pytest.mark.parametrize(("cells", "lines"), [(72, 2), (100, 1)])
def test_what_a_drop_took_away_and_how_often_it_was_tried_is_said_whole(cells: int, lines: int) -> None:
    """In a narrow terminal in a line of its own."""
    action = plan_fix(events([]), Policy(), back=1, ahead=1).actions[0]
    action = replace(action, kind=ActionKind.DROP)
    done = Outcome(action=action, status=Status.DONE, rows=7_452, bytes=2_202_010, duration_ms=16_000, attempts=12)

    told = text(tuple(panel.ended([done], cells, UNICODE)), cells)

    assert lines == len(told)
    assert "  ".join(part.strip() for part in told).endswith("  done  ≈7,452 rows, 2.1 MB  16 s, 12 attempts")
