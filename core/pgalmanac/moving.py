"""How the stray rows of a period are moved out of the default partition, on a live session."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from typing import Final

from pgalmanac.actions import Action, ActionKind
from pgalmanac.attempts import LOCK_ERRORS, Budget, begin, retried, send, under_locks
from pgalmanac.db import Session
from pgalmanac.ddl import Script
from pgalmanac.ddl_create import move_rows_at_once
from pgalmanac.ddl_structure import Structure
from pgalmanac.guard import GuardError
from pgalmanac.steps import needs, script
from pgalmanac.strays import can_silence_triggers, why_immovable
from pgalmanac.view import View

__all__ = ["move"]

# The server ends an open transaction in which nothing happens for ten seconds.
_LONGEST_OPEN_PAUSE: Final = 5.0
# How often a move keeps its rows locked for another attempt at the table locks, before it lets go of them.
_MOVE_ATTEMPTS: Final = 3


async def move(
    session: Session, view: View, action: Action, structure: Structure | None, *, budget: Budget
) -> tuple[int, int]:
    """Make the partition of *action* with the rows that stand in the default one: how many these were, and attempts.

    Raises GaveUp, with the holders of locks in its way, and GuardError where rows of this table cannot be moved.
    """
    if (why := await why_immovable(session, view.table)) is not None:
        raise GuardError(why)
    table = view.table
    if table.default is None or structure is None:
        msg = "moving rows needs the default partition and the parent's structure"
        raise ValueError(msg)
    moving = replace(action, kind=ActionKind.MOVE_ROWS)
    steps = script(view, moving, structure)
    at_once = move_rows_at_once(table, table.default.name, action.partition, action.bounds, structure)
    if await can_silence_triggers(session):
        steps, at_once = steps.quiet, at_once.quiet
    # Rows that are changed all the time are never to be had beforehand, many rows never at once: so in turns.
    ways = cycle((True,) if structure.published else (False, True))

    async def attempt() -> int:
        return await (_at_once(session, at_once, budget) if next(ways) else _once(session, steps, budget))

    bounded = structure.published and (
        f"its rows in {table.default.name} are published by {structure.published}, so that writers would wait"
        " for all of them to move"
    )
    return await retried(session, budget, needs(view, moving), attempt, bounded=bounded)


async def _at_once(session: Session, steps: Script, budget: Budget) -> int:
    await send(session, steps.prepare, before=begin(session, budget.deadline_ms))
    return await under_locks(session, steps, deadline_ms=budget.deadline_ms, bounded=True)


async def _once(session: Session, steps: Script, budget: Budget) -> int:
    """Move in one transaction; a lock that is not to be had does not undo the rows that were moved so far.

    Whoever changes one of these rows waits for this transaction, and holds a lock that it wants. Then all of it is
    undone at once and the other goes on: no update is ever lost to a move.
    """
    moved = await send(session, steps.prepare, before=begin(session, budget.deadline_ms))
    for left in reversed(range(_MOVE_ATTEMPTS)):
        await session.execute("SAVEPOINT moved")
        try:
            return moved + await under_locks(session, steps, deadline_ms=budget.deadline_ms)
        except LOCK_ERRORS:
            if not left:
                raise
            await session.execute("ROLLBACK TO SAVEPOINT moved")
            if await _blocks_somebody(session) or not await budget.pause(_LONGEST_OPEN_PAUSE):
                raise
    raise AssertionError


async def _blocks_somebody(session: Session) -> bool:
    cursor = await session.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE NOT granted AND "
        "pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) ANY (pg_catalog.pg_blocking_pids(pid)))"
    )
    row = await cursor.fetchone()
    return bool(row and row[0])
