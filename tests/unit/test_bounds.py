"""The text in which the server prints a partition's bounds, read back as moments of the key."""

from __future__ import annotations

import pytest

from pgalmanac.bounds import parse_bounds
from pgalmanac.model import Bounds
from snapshots import at

DAY = Bounds(lower=at("2025-11-02T00:00"), upper=at("2025-11-03T00:00"))


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("FROM ('2025-11-02') TO ('2025-11-03')", DAY),
        ("FROM ('2025-11-02 00:00:00') TO ('2025-11-03 00:00:00')", DAY),
        ("FROM ('2025-11-02 00:00:00+00') TO ('2025-11-03 00:00:00+00')", DAY),
        ("FROM (MINVALUE) TO ('2025-11-03')", Bounds(lower=None, upper=DAY.upper)),
        ("FROM ('-infinity') TO ('2025-11-03')", Bounds(lower=None, upper=DAY.upper)),
        ("FROM ('4713-01-01 BC') TO ('2025-11-03')", Bounds(lower=None, upper=DAY.upper)),
        ("FROM ('0001-02-03 00:00:00+00 BC') TO ('2025-11-03')", Bounds(lower=None, upper=DAY.upper)),
        ("FROM ('2025-11-02') TO (MAXVALUE)", Bounds(lower=DAY.lower, upper=None)),
        ("FROM ('2025-11-02') TO ('infinity')", Bounds(lower=DAY.lower, upper=None)),
        ("FROM ('2025-11-02') TO ('10000-01-01')", Bounds(lower=DAY.lower, upper=None)),
        ("FROM ('2025-11-02') TO ('294276-12-31 23:59:59+00')", Bounds(lower=DAY.lower, upper=None)),
        ("FROM ('2025-11-02') TO ('no moment')", None),
        ("FROM ('2025-11-31') TO ('2025-12-01')", None),
        ("FROM (1) TO (2)", None),
        ("FROM ('2025-11-02', 1) TO ('2025-11-03', 1)", None),
    ],
)
def test_bounds_are_read_as_moments(text: str, bounds: Bounds | None) -> None:
    """What lies beyond a calendar is unbounded on its side, and what is no range of time is none at all."""
    assert parse_bounds(f"FOR VALUES {text}") == bounds


@pytest.mark.parametrize("text", [None, "", "DEFAULT", "FOR VALUES IN ('2025-11-02')"])
def test_what_is_no_range_has_no_bounds(text: str | None) -> None:
    """The default partition above all."""
    assert parse_bounds(text) is None
