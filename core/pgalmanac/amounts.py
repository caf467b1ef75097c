"""How sizes are written: as PostgreSQL writes them. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["byte_size"]

# PostgreSQL's units, whose kB has 1024 bytes, so that our sizes can be compared with those that psql shows.
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_UNIT: Final = 1024
# What has two digits before the point needs none behind it.
_TWO_DIGITS: Final = 10


def byte_size(number: float) -> str:
    """`512 B`, `2.1 MB`, `110 MB`."""
    value = number
    for unit in _UNITS:
        if round(value) < _UNIT or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" or round(value, 1) >= _TWO_DIGITS else f"{value:.1f} {unit}"
        value /= _UNIT
    raise AssertionError
