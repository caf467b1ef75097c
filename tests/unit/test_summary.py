"""What a table's run leaves in the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pgalmanac.actions import Action, ActionKind, Reason, Status
from pgalmanac.errors import ConnectError
from pgalmanac.model import Bounds
from pgalmanac.results import Outcome, TableReport
from pgalmanac.summary import summary, why_failed
from pgalmanac.table_names import TableName

DAY = datetime(2025, 11, 2, tzinfo=UTC)


def report(failed: int, *, lost: bool = False) -> TableReport:
    """Give a run with one partition created and so many that could not be."""
    statuses = [Status.DONE, *[Status.FAILED] * failed]
    outcomes = [
        Outcome(
            action=Action(
                kind=ActionKind.CREATE,
                partition=TableName(schema="public", name=f"events_{n}"),
                bounds=Bounds(lower=DAY + timedelta(days=n), upper=DAY + timedelta(days=n + 1)),
                reason=Reason.PREMAKE,
            ),
            status=status,
            error=None if status is Status.DONE else "no room",
        )
        for n, status in enumerate(statuses)
    ]
    error = ConnectError("the connection was lost", hint="run it again") if lost else None
    return TableReport(table="public.events", outcomes=tuple(outcomes), error=error)


def test_a_good_run_has_no_reason() -> None:
    """Nothing failed."""
    assert why_failed(report(0)) is None
    assert summary(report(0)) == "public.events: 1 created, 0 dropped"


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(("failed", "more"), [(1, ""), (3, ""), (4, "and 1 more"), (5, "and 2 more")])
def test_three_failures_are_told_and_the_others_counted(failed: int, more: str, *, lost: bool) -> None:
    """Whatever else ended the run."""
    why = why_failed(report(failed, lost=lost)) or ""

    assert why.startswith("the connection was lost") is lost
    assert why.count("failed: no room") == min(failed, 3)
    assert why.partition("; and")[2] == more.removeprefix("and")
