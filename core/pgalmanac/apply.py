"""Run a plan, one short transaction per step, and yield an outcome after each transaction has closed.

Bad news is data: what was skipped, refused or failed is an outcome, and the next action still runs. Only a lost
connection, a cancelled task and errors of the program itself end the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

import psycopg
from psycopg import errors

from pgalmanac.actions import GOING, Action, ActionKind, Reason, Status
from pgalmanac.attaching import away, put_back
from pgalmanac.attempts import Budget, GaveUp
from pgalmanac.db import Session
from pgalmanac.db_errors import is_lost, one_line
from pgalmanac.ddl_structure import Structure
from pgalmanac.execute import Done, Executor
from pgalmanac.guard import GuardError
from pgalmanac.log import scrub
from pgalmanac.plan import Plan
from pgalmanac.refusals import called_by_now, forbidden_by, is_there, missing_grant
from pgalmanac.results import Outcome, Progress
from pgalmanac.steps import shown
from pgalmanac.view import View

__all__ = ["apply", "planned"]

# How long a run that is called off may take to attach what it had detached for an archive: systemd's patience with it
# is 90 seconds, of which some go to the end of what was under way, and some to the history.
PUT_BACK_SECONDS: Final = 30


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
    unsaid: Callable[[Outcome], None] = lambda _: None,
) -> AsyncGenerator[Outcome]:
    """Try every planned action in order; *structure* may be None only when nothing is to be created.

    *unsaid* gets the outcome that can be yielded no more: of a drop that its archive is done for, when this is closed.

    Raises psycopg.Error when the connection is lost, after yielding the outcome that was under way. When it is called
    off, or closed, nothing stays detached for its archive that can be attached again in time.
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
        lost: BaseException | None
        try:
            outcome, lost = await _tried(session, plan.view, structure, blank, executor)
        except asyncio.CancelledError as exc:
            if not _is_archived(plan.view, action):
                raise
            where, lost = await _called_off(session, executor, action), exc
            outcome = _stopped(blank, where)
        try:
            yield replace(outcome, started_at=started, duration_ms=round((perf_counter() - clock) * 1000, 1))
        except GeneratorExit:
            if executor.held:
                drop = replace(action, kind=ActionKind.DROP)
                where = await _called_off(session, executor, drop)
                unsaid(_stopped(_blank(session, plan.view, drop, structure), where))
            raise
        if lost is not None:
            raise lost
        if action.kind is ActionKind.TRASH and outcome.status is Status.DONE:
            kept.append(action)
    # Last, because it reads the tables: the partitions are gone from their parent, and in nobody's way.
    for action in kept:
        await executor.secure(action)


def _is_archived(seen: View, action: Action) -> bool:
    """Whether the action is an archive before a drop, or that drop."""
    if action.kind is ActionKind.ARCHIVE:
        return action.reason is not Reason.COPY
    return action.kind is ActionKind.DROP and seen.policy.archive is not None


async def _called_off(session: Session, executor: Executor, action: Action) -> str:
    """Attach again what was detached for its archive, if that can be had in time. Says where its rows are."""
    executor.held.clear()
    try:
        async with asyncio.timeout(PUT_BACK_SECONDS):
            await session.rollback()
            return await put_back(session, executor.view, action)
    except (TimeoutError, psycopg.Error) as exc:
        why = "there was no more time" if isinstance(exc, TimeoutError) else one_line(exc)
        return away(executor.view, action.partition, why)


def _stopped(blank: Outcome, where: str) -> Outcome:
    """An archive, or the drop after it, that was called off."""
    when = " after it was archived" if blank.action.kind is ActionKind.DROP else ""
    return replace(blank, status=Status.FAILED, error=f"called off{when}; {where}", attempts=1)


async def _tried(
    session: Session, seen: View, structure: Structure | None, blank: Outcome, executor: Executor
) -> tuple[Outcome, psycopg.Error | None]:
    """What became of the action, with its transaction closed; and the error of a connection that was lost."""
    refusal: psycopg.Error | None = None
    try:
        outcome = _done(session, seen, structure, blank, await executor.run(blank.action))
    except GaveUp as exc:
        outcome = _gave_up(blank, exc)
    except GuardError as exc:
        outcome = replace(blank, status=exc.status, error=str(exc), attempts=1)
    except psycopg.Error as exc:
        outcome, refusal = _failed(blank, exc), exc
        if is_lost(exc):
            return outcome, exc
    # What was archived is kept as it is until the drop, which comes next.
    return (outcome, None) if executor.held else await _closed(session, executor, outcome, refusal)


async def _closed(
    session: Session, executor: Executor, outcome: Outcome, refusal: psycopg.Error | None
) -> tuple[Outcome, psycopg.Error | None]:
    """Leave no transaction open, and nothing detached for an archive that failed; the outcome says where the rows are.

    With the error of a connection that was lost meanwhile.
    """
    action = outcome.action
    try:
        await session.rollback()
        if refusal is not None:
            outcome = await _explained_if_possible(session, executor.view, outcome, refusal)
        if action.kind is not ActionKind.ARCHIVE or action.reason is Reason.COPY:
            return outcome, None
        return replace(outcome, error=f"{outcome.error}; {await put_back(session, executor.view, action)}"), None
    except psycopg.Error as exc:
        if is_lost(exc):
            return outcome, exc
        await session.rollback()  # what was asked of one table is no reason to end the run
        return outcome, None


async def _explained_if_possible(session: Session, seen: View, outcome: Outcome, refusal: psycopg.Error) -> Outcome:
    """The outcome explained, or as it is where the catalog cannot be asked. Raises when the connection is lost."""
    try:
        return await _explained(session, seen, outcome, refusal)
    except psycopg.Error as exc:
        if is_lost(exc):
            raise
        await session.rollback()
        return outcome


async def _explained(session: Session, seen: View, outcome: Outcome, refusal: psycopg.Error) -> Outcome:
    """The outcome with what is behind the server's refusal, where a look at the catalog tells."""
    action = outcome.action
    if isinstance(refusal, errors.UndefinedTable):
        if (why := await called_by_now(session, seen.table, action)) is not None:
            return replace(outcome, status=Status.REFUSED, error=why)
        if action.kind in GOING and not await is_there(session, action):
            return replace(outcome, status=Status.SKIPPED, error="it is gone already: somebody else dropped it")
    if isinstance(refusal, errors.InsufficientPrivilege):
        grant = await missing_grant(session, seen.table, action)
        if grant is not None:
            return replace(outcome, error=f"{outcome.error}; missing: {grant}")
    trigger = await forbidden_by(session, refusal)
    return outcome if trigger is None else replace(outcome, error=f"{outcome.error}; {trigger}")


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
    if exc.why is not None:
        return replace(blank, status=Status.REFUSED, attempts=exc.attempts, sqlstate=exc.sqlstate, error=exc.why)
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
    if isinstance(exc, errors.CharacterNotInRepertoire):  # of encoding SQL_ASCII a database takes any bytes for text
        text = f"{blank.action.partition} has text that is no UTF-8, as its comment may; correct that ({text})"
    if blank.action.kind is ActionKind.ATTACH:
        text = f"{text}; its rows: SELECT * FROM {blank.action.partition}"
    elif blank.action.kind in GOING:
        if isinstance(exc, errors.DuplicateTable):
            status, text = Status.REFUSED, f"it has no place in the trash: {text}"
        elif isinstance(exc, errors.ForeignKeyViolation | errors.DependentObjectsStillExist):
            status = Status.SKIPPED
    elif isinstance(exc, errors.DuplicateTable | errors.DuplicateObject):
        status = Status.REFUSED
        text = f"the name {blank.action.partition} is taken by another relation; rename or drop that one"
    if status is Status.FAILED and exc.diag.message_hint:  # of what is skipped it would be CASCADE
        text = f"{text}; {scrub(exc.diag.message_hint)}"
    return replace(blank, status=status, error=text, sqlstate=exc.sqlstate, attempts=1)
