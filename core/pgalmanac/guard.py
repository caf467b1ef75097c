"""The last look before a drop, an attach or a pin, with its locks held: it still is what the plan named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg import sql

from pgalmanac.actions import Action, ActionKind, Reason, Source, Status
from pgalmanac.attempts import LastLook
from pgalmanac.bounds import parse_bounds
from pgalmanac.catalog import COMMENT, ESTIMATED_ROWS, UNKNOWN_ROWS
from pgalmanac.db import Session
from pgalmanac.locks import HOLDERS
from pgalmanac.marks import read_mark, read_pin
from pgalmanac.steps import new_pin, pin_of
from pgalmanac.table_names import TableName
from pgalmanac.view import View

__all__ = ["GuardError", "ParentHeld", "attach_guard", "check_drop", "drop_guard", "mark_guard", "pin_guard"]

# Our own look, in a transaction that runs under the role's path.
_LOOK: Final[LiteralString] = f"""
SET LOCAL search_path = pg_catalog;
SELECT c.oid::int8, pg_get_expr(c.relpartbound, 0), i.inhdetachpending, {COMMENT}, clock_timestamp(), {{asked}}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = {{parent}}
  LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
 WHERE (c.oid, n.nspname, c.relname) IN ({{wanted}})
   AND c.relkind = 'r' AND (i.inhrelid IS NOT NULL OR NOT c.relispartition)
"""  # made of constants
# A pin is for whatever has that name and number, wherever it stands.
_LOOK_AT_NAME: Final[LiteralString] = """
SET LOCAL search_path = pg_catalog;
SELECT c.oid::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname, c.relname) = ({schema}, {name})
"""
_FIGURES: Final[LiteralString] = (
    f"pg_total_relation_size(c.oid), CASE WHEN NOT {UNKNOWN_ROWS} THEN {ESTIMATED_ROWS} END"
)
_HELD: Final[LiteralString] = f"ARRAY({HOLDERS})"
# What of the table and of what goes with it, its indexes and sequences, has a name that another has in that schema.
_CROWDED: Final[LiteralString] = """
ARRAY(SELECT o.relname::text FROM pg_class m JOIN pg_class o ON o.relname = m.relname
        JOIN pg_namespace w ON w.oid = o.relnamespace AND w.nspname = {schema}
       WHERE m.oid = c.oid OR m.oid IN (SELECT x.indexrelid FROM pg_index x WHERE x.indrelid = c.oid)
          OR m.oid IN (SELECT d.objid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i'))
       ORDER BY 1)"""


class GuardError(Exception):
    """What was planned is not to be done after all; *status* is what becomes of the action."""

    def __init__(self, message: str, *, status: Status = Status.REFUSED) -> None:
        """Keep the sentence and the status of the outcome."""
        super().__init__(message)
        self.status = status


class ParentHeld(Exception):  # noqa: N818  # no error: somebody is at work
    """Nothing speaks against the drop, but transactions hold locks on the parent."""

    def __init__(self, holders: frozenset[str]) -> None:
        """Keep who they are: their virtual transactions."""
        super().__init__("somebody holds the parent")
        self.holders = holders


# What was looked at and is there, a row for each table.
Rows = Sequence[tuple[Any, ...]]
# Told the size in bytes and the estimated rows, if any are known, of a table that is what was planned for.
Tell = Callable[[tuple[int, int | None]], None]


def drop_guard(seen: View, action: Action, source: Source, tell: Tell) -> LastLook:
    """Looks at what is about to go and raises GuardError when it must not.

    Same name and OID, same bounds (or our mark), attached, pending or detached as expected, not pinned, and still past
    retention by the server's clock, or past its grace. A manual drop asks only that it does not hold the present;
    bringing to the trash what is detached already takes nothing away.
    """

    def judge(rows: Rows) -> None:
        comment, now, figures = _same(seen, action, source, rows)
        _demanded(seen, action, comment, now)
        tell(figures)

    return LastLook(look=_look(seen, action, _FIGURES), judge=judge)


def mark_guard(seen: View, action: Action, *, quiet: bool) -> LastLook:
    """As drop_guard, before a concurrent detach; with *quiet* ParentHeld while somebody holds the parent.

    It also looks whether the trash has room for all that goes there: what cannot move is not detached before.
    """

    def judge(rows: Rows) -> None:
        comment, now, (held, taken) = _same(seen, action, Source.ATTACHED, rows)
        _demanded(seen, action, comment, now)
        if taken and action.target is not None:
            name = TableName(schema=action.target.schema, name=taken[0])
            raise GuardError(f"it has no place in the trash, where the name {name} is taken; rename or drop that one")
        if held:
            raise ParentHeld(frozenset(held))

    return LastLook(look=_look(seen, action, f"{_HELD if quiet else 'NULL'}, {_CROWDED}"), judge=judge)


def pin_guard(action: Action) -> LastLook:
    """Looks at what is about to be pinned or unpinned; GuardError when another table has its name by now."""

    def judge(rows: Rows) -> None:
        if (action.oid,) not in rows:
            raise _another(action)

    name = action.partition
    return LastLook(look=sql.SQL(_LOOK_AT_NAME).format(schema=name.schema, name=name.name), judge=judge)


async def check_drop(session: Session, seen: View, action: Action, source: Source) -> tuple[int, int | None]:
    """The same look where the locks are held already: size in bytes and estimated rows, or GuardError."""
    found: list[tuple[int, int | None]] = []
    guard = drop_guard(seen, action, source, found.append)
    cursor = await session.execute(guard.look)
    cursor.nextset()
    guard.judge(await cursor.fetchall())
    return found[-1]


def attach_guard(seen: View, action: Action, tell: Tell) -> LastLook:
    """Looks at what is about to be attached, and at what it replaces; GuardError when one of them is another table."""
    other = action.replaces
    standing = () if other is None else (replace(action, partition=other.name, oid=other.oid),)

    def judge(rows: Rows) -> None:
        for one in standing:
            comment, now, _ = _same(seen, one, Source.ATTACHED, rows)
            _free(seen.at(now), one, comment)
        comment, _, figures = _same(seen, action, Source.DETACHED, rows)
        if new_pin(seen, action) is not None and (pin := read_pin(comment)) != pin_of(seen, action):
            raise GuardError(f"{action.partition} got another pin since this was planned ({pin}); look again")
        tell(figures)

    return LastLook(look=_look(seen, action, _FIGURES, *standing), judge=judge)


def _demanded(seen: View, action: Action, comment: str | None, now: datetime) -> None:
    """Raise GuardError unless this drop is still wanted at *now*, an instant of the server's clock."""
    if action.kind is ActionKind.TRASH and action.source is not Source.ATTACHED:
        return
    at_now = seen.at(now)
    _free(at_now, action, comment)
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


def _free(at_now: View, action: Action, comment: str | None) -> None:
    """Raise GuardError for a table with a pin in force, which nothing drops."""
    pin = read_pin(comment)
    if pin is not None and pin.holds(at_now.today):
        raise GuardError(str(pin), status=Status.REFUSED if action.reason is Reason.MANUAL else Status.SKIPPED)


def _look(seen: View, action: Action, asked: LiteralString, *others: Action) -> sql.Composed:
    wanted = (sql.SQL("({}, {}, {})").format(a.oid, a.partition.schema, a.partition.name) for a in (action, *others))
    return sql.SQL(_LOOK).format(
        asked=sql.SQL(asked).format(
            oid=sql.Literal(seen.table.oid),
            schema=sql.Literal(
                None if action.target is None or action.target == action.partition else action.target.schema
            ),
        ),
        parent=sql.Literal(seen.table.oid),
        wanted=sql.SQL(", ").join(wanted),
    )


def _another(action: Action) -> GuardError:
    return GuardError(f"{action.partition} is not the table that was planned for; look again")


def _same(seen: View, action: Action, source: Source, rows: Rows) -> tuple[str | None, datetime, Any]:
    """The comment, the server's clock and what was asked of the table that was planned for; GuardError if it is not."""
    found_rows = [row for row in rows if row[0] == action.oid]
    if not found_rows:
        raise _another(action)
    _, bound, pending, comment, now, *asked = found_rows[0]
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
    return comment, now, tuple(asked)
