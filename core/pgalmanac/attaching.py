"""A detached table becomes a partition again: by hand, and after an archive that failed or was called off."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final, LiteralString

from psycopg import Error

from pgalmanac import ddl_trash
from pgalmanac.actions import Action, ActionKind, Source
from pgalmanac.attempts import Budget, GaveUp, retried, run_script
from pgalmanac.db import Session
from pgalmanac.db_errors import is_lost, one_line
from pgalmanac.ddl import Script
from pgalmanac.guard import GuardError, attach_guard
from pgalmanac.log import scrub
from pgalmanac.marks import read_mark
from pgalmanac.recovery import way_back
from pgalmanac.steps import Needs, needs, script
from pgalmanac.table_names import TableName
from pgalmanac.trash import bound
from pgalmanac.view import View

__all__ = ["attach", "away", "put_back"]

_WHERE: Final[LiteralString] = """
SELECT i.inhrelid IS NOT NULL, COALESCE(i.inhdetachpending, false), obj_description(c.oid, 'pg_class')
  FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = %(parent)s WHERE c.oid = %(oid)s
"""


async def attach(session: Session, view: View, action: Action, budget: Budget) -> tuple[int, int, int | None]:
    """Make the table what a partition must be, while nobody waits for it; then attach it, which does not scan it.

    Returns the attempts, bytes and estimated rows. Raises GaveUp, with the holders of locks in its way, and GuardError.
    """
    table, run = view.table, partial(run_script, session, deadline_ms=budget.deadline_ms)
    for statement in () if action.mend is None else ddl_trash.mended(action.partition, action.mend):
        await retried(session, budget, Needs(taken=(action.oid or 0,)), partial(run, Script(work=(statement,))))
    await bound(session, table, action.oid or 0, action.partition, action.bounds)
    seen: list[tuple[int, int | None]] = []
    attempt = partial(run, script(view, action, None), guard=attach_guard(view, action, seen.append))
    if action.replaces is None or table.scanned_default is None:
        _, attempts = await retried(session, budget, needs(view, action), attempt)
    else:  # also where it was seen empty: rows may come since, and pages from which rows went are looked through too
        what = f"{table.scanned_default} is looked through for rows of its period while all wait for {table.name}"
        _, attempts = await retried(session, budget, needs(view, action), partial(attempt, bounded=True), bounded=what)
    return attempts, *seen[-1]


async def put_back(session: Session, view: View, action: Action) -> str:
    """After an archive that came to nothing: attach its table again where it was detached for that.

    Says where the rows are. Raises psycopg.Error when the connection is lost.
    """
    oid, name, table = action.oid or 0, action.partition, view.table
    found = await (await session.execute(_WHERE, {"oid": oid, "parent": table.oid})).fetchone()
    if found is None:
        return "it is gone"
    attached, pending, comment = found
    mark = read_mark(comment)
    if (attached and not pending) or mark is None:
        return "it stays"
    if mark.keep_until is not None or name.schema != mark.home:
        return "it stays where it is"
    if pending:
        return (
            f"its detach was begun, and queries on {table.name} do not see its rows until the next maintain ends that"
        )
    # A budget of its own: that of the run may well have gone by while the archive was written.
    budget = Budget(seconds=view.policy.retry_seconds, deadline_ms=view.policy.lock_timeout_ms)
    again = replace(action, kind=ActionKind.ATTACH, source=Source.DETACHED, target=name)
    try:
        await attach(session, view, again, budget)
    except (GuardError, GaveUp, Error) as exc:
        if isinstance(exc, Error) and is_lost(exc):
            raise
        await session.rollback()
        return away(view, name, "; ".join(exc.blockers) if isinstance(exc, GaveUp) else one_line(exc))
    return "it is attached again"


def away(view: View, name: TableName, why: str) -> str:
    """Where the rows of a table are that could not be attached again, and what brings them back."""
    return (
        f"it is detached, its rows: SELECT * FROM {name}; {way_back(view, name)}, and the next maintain archives it"
        f" ({scrub(why)})"
    )
