"""What the lists are sorted by."""

from __future__ import annotations

from pgalmanac.model import Bounds
from pgalmanac_tui.columns.partitions import partitions
from pgalmanac_tui.entries import Entry
from pgalmanac_tui.glyphs import UNICODE, Mark
from snapshots import day


def test_what_is_open_at_its_end_is_the_last_by_its_end() -> None:
    """And the first by its beginning where it is open there; what has no bounds comes first."""
    bounds = (Bounds(lower=day(0).lower, upper=None), None, day(-1), Bounds(lower=None, upper=day(-2).lower))
    listed = [Entry(key=str(n), name=str(n), bounds=b, mark=Mark.NOTHING, word="") for n, b in enumerate(bounds)]
    orders = {column.title: column.order for column in partitions(UNICODE, lambda: None)}

    assert [e.key for e in sorted(listed, key=orders["from"])] == ["1", "3", "2", "0"]
    assert [e.key for e in sorted(listed, key=orders["to"])] == ["1", "3", "2", "0"]
