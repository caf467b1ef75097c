"""What pgalmanac writes into a partition's comment: the mark of a detach, and the pin that forbids dropping it. Pure.

Each is a line of its own at the comment's end, so that what people wrote there survives. Both are read with the
snapshot, and written into what the comment says by then (ddl.Remark). A pin is a word of people's about the rows,
so that a restored dump keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, cast

from pgalmanac.model import Bounds, Mark, Pin

__all__ = [
    "OURS",
    "PIN_PREFIX",
    "PREFIX",
    "UNMARKED",
    "UNPINNED",
    "Lines",
    "edges",
    "marked",
    "pinned",
    "read_mark",
    "read_pin",
    "rewritten",
]

# How every line of ours begins.
OURS: Final = "pgalmanac-"
PREFIX: Final = "pgalmanac-mark: "
PIN_PREFIX: Final = "pgalmanac-pin: "
# Lines of a comment by how they begin, each instead of any that begins so; None is none.
Lines = Mapping[str, str | None]
UNMARKED: Final[Lines] = {PREFIX: None}
UNPINNED: Final[Lines] = {PIN_PREFIX: None}

# A line that means to be a pin and cannot be read: whoever wrote it wanted the partition kept.
UNREADABLE: Final = Pin(reason="the pin in its comment cannot be read")


def marked(mark: Mark) -> Lines:
    """The line of *mark*, instead of any earlier mark."""
    value: dict[str, Any] = {
        "system_id": mark.system_id,
        "parent_oid": mark.parent_oid,
        "oid": mark.oid,
        "lower": mark.lower,
        "upper": mark.upper,
        "run_id": mark.run_id,
        "manual": mark.manual,
        "home": mark.home,
    }
    if mark.keep_until is not None:
        value |= {
            "keep_until": mark.keep_until.isoformat(),
            "at": _written(mark.at),
            "trash": mark.trash,
            "arrived": mark.arrived,
        }
    return {PREFIX: PREFIX + json.dumps(value)}


def read_mark(comment: str | None) -> Mark | None:
    """The mark in a comment, or None when there is none that can be read."""
    value = _line(comment, PREFIX)
    return None if value is None else _mark(value)


def pinned(pin: Pin) -> Lines:
    """The line of *pin*, instead of any earlier pin."""
    value = {"reason": pin.reason, "until": _written(pin.until), "by": pin.by, "at": _written(pin.at)}
    return {PIN_PREFIX: PIN_PREFIX + json.dumps(value)}


def read_pin(comment: str | None) -> Pin | None:
    """The pin in a comment; one that cannot be read is a pin all the same."""
    value = _line(comment, PIN_PREFIX)
    return None if value is None else _pin(value)


def rewritten(comment: str | None, lines: Lines) -> str | None:
    """The comment with *lines* at its end; None when there is nothing else."""
    kept = [] if comment is None else [line for line in comment.split("\n") if not line.startswith(tuple(lines))]
    return "\n".join([*kept, *(line for line in lines.values() if line is not None)]) or None


def edges(bounds: Bounds) -> tuple[str | None, str | None]:
    """Both bounds as a mark keeps them: ISO 8601 in key time."""
    return (
        None if bounds.lower is None else bounds.lower.isoformat(),
        None if bounds.upper is None else bounds.upper.isoformat(),
    )


def _line(comment: str | None, prefix: str) -> object:
    """The value in the line of this prefix: None without one, False for what is no JSON."""
    if comment is None:  # as nearly all of ten thousand partitions have it
        return None
    for line in comment.split("\n"):
        if line.startswith(prefix):
            try:
                value: object = json.loads(line.removeprefix(prefix))
            except (ValueError, RecursionError):
                return False
            return False if value is None else value
    return None


def _mark(value: object) -> Mark | None:
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    try:
        return Mark(
            system_id=str(fields["system_id"]),
            parent_oid=int(fields["parent_oid"]),
            oid=int(fields["oid"]),
            lower=_text(fields["lower"]),
            upper=_text(fields["upper"]),
            run_id=_text(fields["run_id"]),
            manual=bool(fields["manual"]),
            home=_text(fields.get("home")),
            keep_until=_instant(fields.get("keep_until")),
            at=_instant(fields.get("at")),
            trash=_text(fields.get("trash")),
            arrived=fields.get("arrived") is True,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _pin(value: object) -> Pin:
    if not isinstance(value, dict):
        return UNREADABLE
    fields = cast("dict[str, Any]", value)
    try:
        until = fields.get("until")
        return Pin(
            reason=str(fields["reason"]),
            until=None if until is None else date.fromisoformat(until),
            by=str(fields.get("by") or ""),
            at=_instant(fields.get("at")),
        )
    except (KeyError, TypeError, ValueError):
        return UNREADABLE


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _instant(value: Any) -> datetime | None:  # noqa: ANN401  # whatever JSON had; a wrong type raises TypeError
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _written(moment: date | datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
