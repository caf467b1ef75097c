"""What the lists are sorted by."""

from __future__ import annotations

from dataclasses import replace

from pgalmanac.model import Bounds
from pgalmanac.records import RunRecord
from pgalmanac_tui.columns.partitions import partitions
from pgalmanac_tui.columns.runs import run_rows, runs
from pgalmanac_tui.entries import Entry
from pgalmanac_tui.format import fit, width
from pgalmanac_tui.glyphs import UNICODE, Mark
from snapshots import NOW, day


def test_of_a_long_name_the_middle_goes() -> None:
    """At its end it has its date; wide characters and few cells are borne."""
    assert "audit_l…2025_11_02" == fit("audit_log_entries_2025_11_02", 18, ends=True)
    assert "events_2025_11_02 " == fit("events_2025_11_02", 18, ends=True)
    for text in ("審計日誌_2025_11_02", "x" * 40, "漢字" * 20):
        assert [*range(30)] == [width(fit(text, cells, ends=True)) for cells in range(30)]


def test_a_run_says_what_it_did_and_not_of_which_table() -> None:
    """That stands above, and would leave no room in 80 cells; an error is there in full."""
    run = RunRecord(
        id="1",
        task_name="events-partition-maintenance",
        started_at=NOW,
        completed_at=NOW,
        status="success",
        duration_ms=1.0,
        output="public.events: 31 created, 0 dropped",
        error=None,
        triggered_by="manual",
        created_at=NOW,
        details={},
    )
    failed = replace(run, error="drop public.events_2025_08_02 failed: the lock was not to be had")
    (what,) = (column for column in runs(UNICODE) if column.title == "what")

    assert ["31 created, 0 dropped", failed.error, "said otherwise"] == [
        what.show(row)[0] for row in run_rows([run, failed, replace(run, output="said otherwise")], NOW)
    ]


def test_what_is_open_at_its_end_is_the_last_by_its_end() -> None:
    """And the first by its beginning where it is open there; what has no bounds comes first."""
    bounds = (Bounds(lower=day(0).lower, upper=None), None, day(-1), Bounds(lower=None, upper=day(-2).lower))
    listed = [Entry(key=str(n), name=str(n), bounds=b, mark=Mark.NOTHING, word="") for n, b in enumerate(bounds)]
    orders = {column.title: column.order for column in partitions(UNICODE, lambda: None)}

    assert [e.key for e in sorted(listed, key=orders["from"])] == ["1", "3", "2", "0"]
    assert [e.key for e in sorted(listed, key=orders["to"])] == ["1", "3", "2", "0"]
