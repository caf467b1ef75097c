"""Run a plan, one short transaction per step, and yield an outcome after each transaction has closed.

Bad news is data: what was skipped, refused or failed is an outcome, and the next action still runs. Only a lost
connection, a cancelled task and errors of the program itself end the run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter

import psycopg
from psycopg import errors

from pgalmanac.actions import GOING, Action, ActionKind, Reason, Status
from pgalmanac.attempts import Budget, GaveUp
from pgalmanac.db import Session, is_lost, one_line, scrub
from pgalmanac.ddl_structure import Structure
from pgalmanac.execute import Done, Executor
from pgalmanac.guard import GuardError
from pgalmanac.plan import Plan
from pgalmanac.results import Outcome, Progress
from pgalmanac.steps import shown
from pgalmanac.view import View

__all__ = ["apply", "planned"]


def planned(session: Session, plan: Plan, structure: Structure | None) -> tuple[Outcome, ...]:
    """The outcomes of a plan that nobody passes to apply: what would be run, and what is skipped or refused and why."""
    return tuple(_blank(session, plan.view, action, structure) for action in plan.actions)


def _blank(session: Session, view: View, action: Action, structure: Structure | None) -> Outcome:
    wanted = action.status is Status.PLANNED
    statements = shown(view, action, structure) if wanted else ()
    return Outcome(
        action=action,
        status=action.status,
        statements=tuple(s.sql.as_string(session.conn) for s in statements),
        rows=action.rows,
        bytes=action.bytes,
        error=action.note,
    )


async def apply(
    session: Session,
    plan: Plan,
    structure: Structure | None,
    *,
    run_id: str | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> AsyncIterator[Outcome]:
    """Try every planned action in order; *structure* may be None only when nothing is to be created.

    Raises psycopg.Error when the connection is lost, after yielding the outcome that was under way.
    """
    budget = Budget(seconds=plan.view.policy.retry_seconds, deadline_ms=plan.view.policy.lock_timeout_ms)
    executor = Executor(
        session=session, view=plan.view, structure=structure, budget=budget, run_id=run_id, progress=progress
    )
    kept: list[Action] = []
    for action in plan.actions:
        blank = _blank(session, plan.view, action, structure)
        if action.status is not Status.PLANNED:
            yield blank
            continue
        started, clock = datetime.now(UTC), perf_counter()
        lost: psycopg.Error | None = None
        try:
            outcome = _done(session, plan.view, structure, blank, await executor.run(action))
        except GaveUp as exc:
            outcome = _gave_up(blank, exc)
        except GuardError as exc:
            outcome = replace(blank, status=exc.status, error=str(exc), attempts=1)
        except psycopg.Error as exc:
            lost = exc if is_lost(exc) else None
            outcome = _failed(blank, exc)
        # What was archived is kept as it is until the drop, which comes next.
        if lost is None and not executor.held:
            outcome, lost = await _closed(session, executor, outcome)
        yield replace(outcome, started_at=started, duration_ms=round((perf_counter() - clock) * 1000, 1))
        if lost is not None:
            raise lost
        if action.kind is ActionKind.TRASH and outcome.status is Status.DONE:
            kept.append(action)
    # Last, because it reads the tables: the partitions are gone from their parent, and in nobody's way.
    for action in kept:
        await executor.secure(action)


async def _closed(session: Session, executor: Executor, outcome: Outcome) -> tuple[Outcome, psycopg.Error | None]:
    """Leave no transaction open, and nothing detached for an archive that failed; the outcome says where the rows are.

    With the error of a connection that was lost meanwhile.
    """
    action = outcome.action
    try:
        await session.rollback()
        if action.kind is not ActionKind.ARCHIVE or action.reason is Reason.COPY:
            return outcome, None
        return replace(outcome, error=f"{outcome.error}; {await executor.put_back(action)}"), None
    except psycopg.Error as exc:
        if is_lost(exc):
            return outcome, exc
        await session.rollback()  # what was asked of one table is no reason to end the run
        return outcome, None


def _done(session: Session, seen: View, structure: Structure | None, blank: Outcome, done: Done) -> Outcome:
    """The outcome of what was achieved; a creation that met stray rows became a move of them."""
    if done.moved:
        action = replace(blank.action, kind=ActionKind.MOVE_ROWS)
        blank = _blank(session, seen, action, structure)
    return replace(
        blank,
        status=Status.DONE,
        attempts=done.attempts,
        rows=blank.rows if done.rows is None else done.rows,
        bytes=blank.bytes if done.bytes is None else done.bytes,
    )


def _gave_up(blank: Outcome, exc: GaveUp) -> Outcome:
    who = "; ".join(exc.blockers) if exc.blockers else "whoever held it is gone by now; try again"
    tries = "1 attempt" if exc.attempts == 1 else f"{exc.attempts} attempts"
    return replace(
        blank,
        status=Status.FAILED,
        attempts=exc.attempts,
        sqlstate=exc.sqlstate,
        blockers=exc.blockers,
        error=f"the lock was not to be had in {tries}: {who}",
    )


def _failed(blank: Outcome, exc: psycopg.Error) -> Outcome:
    """Sort the server's refusals: standing reasons are skipped, a taken name wants a human, the rest is a failure."""
    text = scrub(one_line(exc))
    status = Status.FAILED
    if blank.action.kind is ActionKind.ATTACH:
        text = f"{text}; its rows: SELECT * FROM {blank.action.partition}"
    elif blank.action.kind in GOING:
        if isinstance(exc, errors.UndefinedTable):
            status, text = Status.SKIPPED, "it is gone already: somebody else dropped it"
        elif isinstance(exc, errors.DuplicateTable):
            status, text = Status.REFUSED, f"it has no place in the trash: {text}"
        elif isinstance(exc, errors.ForeignKeyViolation | errors.DependentObjectsStillExist):
            status = Status.SKIPPED
    elif isinstance(exc, errors.DuplicateTable | errors.DuplicateObject):
        status = Status.REFUSED
        text = f"the name {blank.action.partition} is taken by another relation; rename or drop that one"
    return replace(blank, status=status, error=text, sqlstate=exc.sqlstate, attempts=1)
