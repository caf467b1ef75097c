"""Sizes as PostgreSQL writes them, and lengths of time: in one way wherever one is shown."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pgalmanac.amounts import byte_size, duration

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 kB"),
        (10_188, "9.9 kB"),
        (10_239, "10 kB"),
        (65_536, "64 kB"),
        (1_047_552, "1023 kB"),
        (1_048_575, "1.0 MB"),
        (115_766_989, "110 MB"),
        (3 * 1024**3, "3.0 GB"),
        (1024**5, "1024 TB"),
    ],
)
def test_a_size_has_two_digits_or_more(number: int, text: str) -> None:
    """A unit is left when its number would have more than four."""
    assert byte_size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (9.9, "9.9 s"),
        (66, "66 s"),
        (180, "3 min"),
        (7_000, "117 min"),
        (10_800, "3 h"),
        (172_800, "2 d"),
    ],
)
def test_a_length_of_time_has_the_unit_that_people_would_say_it_in(seconds: float, text: str) -> None:
    """Who has held a lock for 10,800 seconds has held it for three hours."""
    assert duration(seconds) == text


def test_nobody_writes_sizes_in_a_way_of_their_own() -> None:
    """Neither humanize's way nor a list of units stands anywhere else."""
    for path in [*ROOT.glob("core/**/*.py"), *ROOT.glob("tui/**/*.py")]:
        if path.name == "amounts.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "naturalsize"), path
            assert not (isinstance(node, ast.Constant) and node.value in {"kB", "KiB", "MB", "MiB"}), path
