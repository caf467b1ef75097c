"""How sizes are written, as PostgreSQL writes them, and lengths of time in few characters. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["byte_size", "duration"]

# PostgreSQL's units, whose kB has 1024 bytes, so that our sizes can be compared with those that psql shows.
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_UNIT: Final = 1024
# What has two digits before the point needs none behind it.
_TWO_DIGITS: Final = 10
_DAY: Final = 86_400


def byte_size(number: float) -> str:
    """`512 B`, `2.1 MB`, `110 MB`."""
    value = number
    for unit in _UNITS:
        if round(value) < _UNIT or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" or round(value, 1) >= _TWO_DIGITS else f"{value:.1f} {unit}"
        value /= _UNIT
    raise AssertionError


def duration(seconds: float) -> str:
    """A length of time in one unit, the largest of which there are at least two: `0.4 s`, `90 s`, `3 min`, `5 h`."""
    if seconds < _TWO_DIGITS:
        return f"{seconds:.1f} s"
    for limit, unit, length in ((120, "s", 1), (7200, "min", 60), (2 * _DAY, "h", 3600)):
        if seconds < limit:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / _DAY:.0f} d"
