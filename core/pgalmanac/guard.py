"""The last look before a drop or an attach, with its locks held, at whether this still is what the plan named."""

from __future__ import annotations

from datetime import datetime
from typing import Final, LiteralString

from pgalmanac.catalog import ESTIMATED_ROWS, parse_bounds
from pgalmanac.db import Session
from pgalmanac.marks import read_mark, read_pin
from pgalmanac.plan import Action, ActionKind, Reason, Source, Status, View

__all__ = ["GuardError", "check_attach", "check_drop"]

_LOOK: Final[LiteralString] = f"""
SELECT pg_get_expr(c.relpartbound, 0), i.inhdetachpending, d.description, clock_timestamp(),
       pg_total_relation_size(c.oid), {ESTIMATED_ROWS}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = %(parent)s
  LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
 WHERE c.oid = %(oid)s AND n.nspname = %(schema)s AND c.relname = %(name)s
   AND c.relkind = 'r' AND (i.inhrelid IS NOT NULL OR NOT c.relispartition)
"""  # made of constants


class GuardError(Exception):
    """What was planned is not to be done after all; *status* is what becomes of the action."""

    def __init__(self, message: str, *, status: Status = Status.REFUSED) -> None:
        """Keep the sentence and the status of the outcome."""
        super().__init__(message)
        self.status = status


async def check_drop(session: Session, seen: View, action: Action, source: Source) -> tuple[int, int]:
    """The size in bytes and estimated rows of what is about to go; raises GuardError when it must not.

    Same name and OID, same bounds (or our mark), attached, pending or detached as expected, not pinned, and still past
    retention by the server's clock, or past its grace. A manual drop asks only that it does not hold the present;
    bringing to the trash what is detached already takes nothing away.
    """
    comment, now, size, rows = await _same(session, seen, action, source)
    if action.kind is ActionKind.TRASH and action.source is not Source.ATTACHED:
        return size, rows
    at_now = seen.at(now)
    pin = read_pin(comment)
    if pin is not None and pin.holds(at_now.today):
        raise GuardError(str(pin), status=Status.REFUSED if action.reason is Reason.MANUAL else Status.SKIPPED)
    if action.bounds.contains(at_now.now):
        raise GuardError(f"{action.partition} holds the present; nothing is dropped")
    mark = read_mark(comment)
    if action.reason is Reason.GRACE and (mark is None or mark.keep_until is None or now < mark.keep_until):
        raise GuardError(f"the grace of {action.partition} has not ended by the server's clock; nothing is dropped")
    if action.reason is Reason.UNFINISHED and mark is not None and mark.keep_until is not None:
        raise GuardError(f"{action.partition} is to be kept until {mark.keep_until}; nothing is dropped")
    by_hand = action.reason is Reason.MANUAL or (mark is not None and mark.manual)
    if not by_hand and not at_now.expired(action.bounds):
        raise GuardError(f"{action.partition} is not past retention by the server's clock; nothing is dropped")
    return size, rows


async def check_attach(session: Session, seen: View, action: Action) -> tuple[int, int]:
    """The size in bytes and estimated rows of what is about to be attached; GuardError when it is another table."""
    _, _, size, rows = await _same(session, seen, action, Source.DETACHED)
    return size, rows


async def _same(session: Session, seen: View, action: Action, source: Source) -> tuple[str | None, datetime, int, int]:
    """The comment, the server's clock, size and rows of the table that was planned for. GuardError if it is not it."""
    # Our own look, in a transaction that runs under the role's path.
    await session.execute("SET LOCAL search_path = pg_catalog")
    cursor = await session.execute(
        _LOOK,
        {
            "parent": seen.table.oid,
            "oid": action.oid,
            "schema": action.partition.schema,
            "name": action.partition.name,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise GuardError(f"{action.partition} is not the table that was planned to go; look again")
    bound, pending, comment, now, size, rows = row
    found = Source.DETACHED if pending is None else Source.PENDING if pending else Source.ATTACHED
    if found is not source:
        raise GuardError(f"{action.partition} was {source} when this was planned and is {found} now; look again")
    mark = read_mark(comment)
    if source is Source.DETACHED:
        if mark is None or (mark.oid, mark.parent_oid, mark.system_id) != (
            action.oid,
            seen.table.oid,
            seen.table.system_id,
        ):
            raise GuardError(f"{action.partition} does not carry pgalmanac's mark any more; drop it by hand")
    elif parse_bounds(bound) != action.bounds:
        raise GuardError(f"the bounds of {action.partition} have changed since this was planned; look again")
    return comment, now, size, rows
