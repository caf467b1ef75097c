"""How reports write rows, durations, moments and long sentences, for people. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import humanize

from pgalmanac.actions import ActionKind, Status
from pgalmanac.log import shown
from pgalmanac.table_names import TableName
from pgalmanac.view import View

__all__ = [
    "MISSING",
    "WIDTH",
    "ago",
    "is_counted",
    "lasted",
    "local_minute",
    "local_second",
    "row_count",
    "short_name",
    "utc_second",
    "wrapped",
]


WIDTH: Final = 80
MISSING: Final = "-"
_COUNTED: Final = {ActionKind.MOVE_ROWS, ActionKind.RESTORE}


def short_name(name: TableName, seen: View | None) -> str:
    """The partition's name, without the schema that its parent has too."""
    text = str(name)
    if seen is not None and name.schema == seen.table.name.schema:
        text = text[len(str(TableName(schema=name.schema, name="x"))) - 1 :]
    return shown(text)


def wrapped(text: str, head: str, *, hang: str | None = None) -> Iterator[str]:
    """*text* behind *head*, at words' ends; further lines behind *hang*, which is the head unless given."""
    yield from textwrap.wrap(
        shown(text),
        WIDTH,
        initial_indent=head,
        subsequent_indent=head if hang is None else hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def row_count(number: int, *, exact: bool) -> str:
    """`1,234 rows`, with ≈ in front of an estimate."""
    return f"{'' if exact else '≈'}{humanize.intcomma(number)} row{'' if number == 1 else 's'}"


def is_counted(kind: str, status: str) -> bool:
    """Whether the rows of such an action were counted, and not estimated: as it ran, or as it was archived."""
    return kind in _COUNTED or (kind, status) == (ActionKind.ARCHIVE, Status.DONE)


def lasted(milliseconds: float) -> str:
    """4.1 ms, 12.3 s, or minutes and longer in words."""
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds:.0f} ms"
    if seconds < 60:  # noqa: PLR2004  # a minute
        return f"{seconds:.1f} s"
    return humanize.precisedelta(timedelta(seconds=round(seconds)), minimum_unit="seconds", format="%d")


def ago(age: timedelta) -> str:
    """`3 hours ago`, or `in 3 hours`."""
    if age < timedelta(0):
        return f"in {humanize.naturaldelta(-age)}"
    return f"{humanize.naturaldelta(age)} ago"


def local_second(moment: datetime, seen: View) -> str:
    """A key time as people of the table's zone write it."""
    return f"{_local(moment, seen):%Y-%m-%d %H:%M:%S}"


def local_minute(moment: datetime | None, seen: View | None) -> str:
    """The same without seconds, and without a table in UTC."""
    return MISSING if moment is None else f"{_local(moment, seen):%Y-%m-%d %H:%M}"


def utc_second(moment: datetime | None) -> str:
    """An instant in UTC; one without an offset as it is."""
    if moment is None:
        return MISSING
    return f"{moment if moment.tzinfo is None else moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _local(moment: datetime, seen: View | None) -> datetime:
    try:
        return moment if seen is None else seen.calendar.shown(moment)
    except OverflowError:  # the last hours of year 9999, in a zone ahead of UTC
        return moment
