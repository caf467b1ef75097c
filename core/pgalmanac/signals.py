"""SIGTERM outside of the event loop, for the dashboard's entrance too, which imports nothing that it can do without."""

from __future__ import annotations

from typing import NoReturn

from pgalmanac.errors import Terminated

__all__ = ["terminate"]


def terminate(_number: int, _frame: object) -> NoReturn:
    """Unwind, so that the demo's server is stopped."""
    raise Terminated("terminated")
