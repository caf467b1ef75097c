"""What is kept on purpose, as text and as JSON: the trash, the pins, and what of them a plan or a run shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pgalmanac.actions import GOING, Action, ActionKind, Status
from pgalmanac.amounts import byte_size
from pgalmanac.log import shown
from pgalmanac.model import Orphan, Partition, Pin
from pgalmanac.results import Outcome, TableReport
from pgalmanac.view import View

__all__ = ["kept_action", "kept_document", "kept_facts", "kept_lines"]


def kept_facts(action: Action, seen: View | None) -> Iterator[str]:
    """What a line of a plan or report adds about coming back and staying."""
    if action.kind is ActionKind.TRASH and action.keep_until is not None and action.target is not None:
        yield f"can be had back from {action.target.schema} until {_minute(action.keep_until, seen)}"
    elif action.kind is ActionKind.ATTACH and action.target is not None and action.status is Status.PLANNED:
        place = "" if action.replaces is None else ", in place of the empty partition there"
        yield f"becomes {action.target}{place}"
    elif action.kind is ActionKind.DROP and seen is not None and seen.policy.grace_days:
        yield "not kept in the trash"
    if action.pin is not None and action.kind is not ActionKind.UNPIN:
        yield str(action.pin)
    if action.mend is not None and action.mend.beyond:
        yield f"keeps what its table does not give: {', '.join(action.mend.beyond)}"


def kept_action(outcome: Outcome, seen: View | None) -> dict[str, Any]:
    """The keys that an action of this sort has besides, in the JSON document."""
    action = outcome.action
    more: dict[str, Any] = {}
    if action.target is not None:
        more["target"] = str(action.target)
    if action.keep_until is not None:
        more["keep_until"] = _instant(action.keep_until, seen)
    if action.kind in GOING or outcome.rows is not None or outcome.bytes is not None:
        more |= {"rows": outcome.rows, "bytes": outcome.bytes}
    if action.url is not None:
        more["url"] = action.url
    if action.pin is not None:
        more["pin"] = _pin(action.pin)
    if action.mend is not None and action.mend.beyond:
        more["beyond"] = list(action.mend.beyond)
    return more


def kept_lines(table: TableReport, command: Literal["trash", "pins"]) -> Iterator[str]:
    """The list of one table as text."""
    yield shown(table.table)
    if table.error is not None:
        yield f"  failed: {shown(str(table.error))}"
    elif table.view is not None:
        yield from _trash_lines(table, table.view) if command == "trash" else _pin_lines(table.view)


def _trash_lines(table: TableReport, seen: View) -> Iterator[str]:
    import humanize  # noqa: PLC0415  # a JSON document, which this module also makes, does without

    sizes = {c.oid: c for c in table.counts}
    if not seen.table.orphans and not seen.table.estranged:
        yield "  the trash is empty"
    for name in seen.table.estranged:
        yield f"  {shown(str(name))}  dropped before this server got another system identifier; see docs/recovery.md"
    for orphan in sorted(seen.table.orphans, key=_order):
        count = sizes.get(orphan.oid)
        rows = "-" if count is None or count.rows is None else f"≈{humanize.intcomma(count.rows)}"
        size = "-" if count is None or count.bytes is None else byte_size(count.bytes)
        yield f"  {shown(str(orphan.name))}  {rows} rows  {size}  {_until(orphan, seen)}"
        if orphan.pin is not None:
            yield f"      {shown(str(orphan.pin))}"
    if seen.table.orphans:
        first = min(seen.table.orphans, key=_order)
        yield f"  bring one back with pgalmanac undrop {shown(first.name.name)}"
        yield f"  read one with SELECT * FROM {shown(str(first.name))}"


def _pin_lines(seen: View) -> Iterator[str]:
    pinned = _pinned(seen)
    if not pinned:
        yield "  no partition is pinned"
    for relation, pin in pinned:
        ended = "" if seen.pinned(pin) else ", which has passed"
        since = "" if pin.at is None else f" on {pin.at.astimezone(seen.policy.timezone):%Y-%m-%d}"
        by = f", by {shown(pin.by)}" if pin.by else ""
        yield f"  {shown(str(relation.name))}  {shown(str(pin))}{ended}{by}{since}"


def kept_document(table: TableReport, command: Literal["trash", "pins"]) -> dict[str, Any]:
    """The list of one table in the JSON document."""
    seen = table.view
    document: dict[str, Any] = {
        "table": table.table,
        "today": None if seen is None else seen.today.isoformat(),
        "error": None if table.error is None else {"message": table.error.message, "hint": table.error.hint},
    }
    if command == "pins":
        return {**document, "pins": [] if seen is None else [_pinned_one(seen, r, pin) for r, pin in _pinned(seen)]}
    sizes = {c.oid: c for c in table.counts}
    orphans = () if seen is None else sorted(seen.table.orphans, key=_order)
    return {
        **document,
        "trash": [
            {
                "name": str(orphan.name),
                "partition": str(orphan.home),
                "lower": _moment(orphan.bounds.lower, seen),
                "upper": _moment(orphan.bounds.upper, seen),
                "dropped_at": _instant(orphan.mark.at, seen),
                "keep_until": None if orphan.taken_out else _instant(orphan.mark.keep_until, seen),
                "manual": orphan.mark.manual,
                "run_id": orphan.mark.run_id,
                "rows": None if orphan.oid not in sizes else sizes[orphan.oid].rows,
                "rows_exact": False,
                "bytes": None if orphan.oid not in sizes else sizes[orphan.oid].bytes,
                "pin": None if orphan.pin is None else _pin(orphan.pin),
            }
            for orphan in orphans
        ],
    }


def _pinned_one(seen: View, relation: Partition | Orphan, pin: Pin) -> dict[str, Any]:
    bounds = relation.bounds
    return {
        "name": str(relation.name),
        "lower": None if bounds is None else _moment(bounds.lower, seen),
        "upper": None if bounds is None else _moment(bounds.upper, seen),
        "in_force": seen.pinned(pin),
        "dropped": isinstance(relation, Orphan),
        **_pin(pin),
    }


def _pinned(seen: View) -> list[tuple[Partition | Orphan, Pin]]:
    relations: tuple[Partition | Orphan, ...] = (*seen.table.partitions, *sorted(seen.table.orphans, key=_order))
    return [(r, r.pin) for r in relations if r.pin is not None]


def _order(orphan: Orphan) -> tuple[str, int]:
    return str(orphan.bounds.lower), orphan.oid


def _until(orphan: Orphan, seen: View) -> str:
    if orphan.taken_out:
        return "moved by somebody: nothing drops it"
    if orphan.mark.keep_until is None:
        return "a drop that was cut off: the next maintain ends it"
    if orphan.cut_off:
        return "was cut off on its way to the trash: the next maintain brings it there"
    return f"until {_minute(orphan.mark.keep_until, seen)}"


def _pin(pin: Pin) -> dict[str, Any]:
    return {
        "reason": pin.reason,
        "until": None if pin.until is None else pin.until.isoformat(),
        "by": pin.by,
        "at": None if pin.at is None else pin.at.isoformat(),
    }


def _minute(instant: datetime, seen: View | None) -> str:
    return f"{instant if seen is None else instant.astimezone(seen.policy.timezone):%Y-%m-%d %H:%M}"


def _instant(instant: datetime | None, seen: View | None) -> str | None:
    if instant is None:
        return None
    return (instant if seen is None else instant.astimezone(seen.policy.timezone)).isoformat()


def _moment(moment: datetime | None, seen: View | None) -> str | None:
    if moment is None or seen is None:
        return None
    try:
        return seen.calendar.shown(moment).isoformat()
    except OverflowError:  # the last hours of year 9999, in a zone ahead of UTC
        return moment.isoformat()
