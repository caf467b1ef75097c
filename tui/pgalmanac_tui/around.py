"""When the tables that are not shown are looked at again: seldom, for that costs a look at each of them. Pure."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pgalmanac.table_names import TableName

__all__ = ["Around"]

_LEAST_SECONDS: Final = 60.0
# Looking at them takes at most so much of the time.
_SHARE: Final = 10


class Around:
    """Moments are seconds of one clock that never goes back."""

    def __init__(self) -> None:
        """Nobody has looked yet."""
        self._tables: tuple[TableName, ...] = ()
        self._next = 0.0

    def due(self, tables: tuple[TableName, ...], now: float) -> bool:
        """Whether to look now at these, the one that is shown among them: never where that is the only one."""
        return len(tables) > 1 and (tables != self._tables or now >= self._next)

    def began(self, tables: tuple[TableName, ...]) -> None:
        """They are being looked at."""
        self._tables, self._next = tables, inf

    def ended(self, began: float, now: float) -> None:
        """They have been."""
        self._next = now + max(_LEAST_SECONDS, (now - began) * _SHARE)

    def forget(self) -> None:
        """Something was changed, or somebody wants to know."""
        self._tables = ()
