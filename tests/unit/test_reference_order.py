"""The order of tables that refer to one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.reference_order import stable_order

EDGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda e: e[0] != e[1]), max_size=12)


@pytest.mark.parametrize(
    ("items", "edges", "expected"),
    [
        ("abc", [], "abc"),
        ("abc", [(2, 0)], "bca"),
        ("abc", [(1, 0), (2, 1)], "cba"),
        ("abc", [(0, 1), (1, 0)], "abc"),
        ("xab", [(1, 2), (2, 1), (1, 0)], "abx"),
    ],
)
def test_whoever_refers_comes_first_and_the_rest_stays(items: str, edges: list[tuple[int, int]], expected: str) -> None:
    """A chain is turned round; a circle keeps its order, before what it refers to."""
    assert expected == "".join(stable_order(items, edges))


@given(EDGES)
def test_every_order_of_references_is_kept_that_can_be(edges: list[tuple[int, int]]) -> None:
    """Each is there once; without a circle every edge holds, and in a good order nothing changes."""
    upwards = [(max(e), min(e)) for e in edges]  # which makes no circle
    found = stable_order(range(7), upwards)

    assert list(range(7)) == sorted(found) == sorted(stable_order(range(7), edges))
    assert all(found.index(a) < found.index(b) for a, b in upwards)
    assert tuple(range(7)) == stable_order(range(7), [(b, a) for a, b in upwards])
