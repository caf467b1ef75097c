"""The text in which PostgreSQL prints the bounds of a partition -> bounds in key time. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from pgalmanac.model import Bounds

__all__ = ["EARLIEST", "LATEST", "parse_bounds"]

_UNBOUNDED: Final = {"MINVALUE", "MAXVALUE"}
_BOUND: Final = re.compile(r"FOR VALUES FROM \((MINVALUE|'[^']*')\) TO \((MAXVALUE|'[^']*')\)\Z")
# What an unbounded edge counts as where moments are compared.
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)


def parse_bounds(text: str | None) -> Bounds | None:
    """The bounds that `pg_get_expr(relpartbound, 0)` printed under TimeZone UTC and DateStyle ISO, in key time.

    -infinity, and moments before year 1, count as unbounded below; infinity, and moments past year 9999, as
    unbounded above. None for the default partition and for text that is no range of time.
    """
    match = _BOUND.match(text or "")
    if match is None:
        return None
    lower_text, upper_text = match.groups()
    try:
        lower = None if lower_text in _UNBOUNDED else _moment(lower_text)
        upper = None if upper_text in _UNBOUNDED else _moment(upper_text)
    except ValueError:
        return None
    # A partition that begins at the end of time holds nothing that a calendar could name.
    return Bounds(lower=None if lower == EARLIEST else lower, upper=None if upper == LATEST else upper)


@lru_cache(maxsize=1024)  # where one partition ends the next begins
def _moment(text: str) -> datetime:
    text = text[1:-1]
    if text == "-infinity" or text.endswith(" BC"):
        return EARLIEST
    if text == "infinity" or text.index("-") > 4:  # noqa: PLR2004  # digits of a year that datetime holds
        return LATEST
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
