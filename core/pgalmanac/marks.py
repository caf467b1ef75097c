"""The mark in a partition's comment that says: detached, or about to be, in order to be dropped. Pure.

The mark is the comment's last line, so that what people wrote there survives a drop that did not happen.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

from pgalmanac.model import Bounds, Mark

__all__ = ["PREFIX", "marked", "read_mark", "unmarked"]

PREFIX: Final = "pgalmanac-mark: "


def marked(comment: str | None, mark: Mark) -> str:
    """The comment with *mark* as its last line, instead of any earlier mark."""
    value = {
        "system_id": mark.system_id,
        "parent_oid": mark.parent_oid,
        "oid": mark.oid,
        "lower": mark.lower,
        "upper": mark.upper,
        "run_id": mark.run_id,
        "manual": mark.manual,
    }
    own = unmarked(comment)
    return (own + "\n" if own else "") + PREFIX + json.dumps(value)


def unmarked(comment: str | None) -> str | None:
    """What people wrote, without a mark; None when there is nothing else."""
    if comment is None:
        return None
    own = "\n".join(line for line in comment.split("\n") if not line.startswith(PREFIX))
    return own or None


def read_mark(comment: str | None) -> Mark | None:
    """The mark in a comment, or None when there is none that can be read."""
    if comment is None or PREFIX not in comment:
        return None
    for line in comment.split("\n"):
        if line.startswith(PREFIX):
            try:
                value: Any = json.loads(line.removeprefix(PREFIX))
            except ValueError:
                return None
            return _mark(value)
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
        )
    except (KeyError, TypeError, ValueError):
        return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def edges(bounds: Bounds) -> tuple[str | None, str | None]:
    """Both bounds as a mark keeps them: ISO 8601 in key time."""
    return (
        None if bounds.lower is None else bounds.lower.isoformat(),
        None if bounds.upper is None else bounds.upper.isoformat(),
    )
