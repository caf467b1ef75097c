"""One transaction of one step: its locks under one deadline, retried with long pauses within a budget."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Final, TypeVar

from psycopg import errors, sql

from pgalmanac.db import Session
from pgalmanac.ddl import Remark, Script, Statement, qualified
from pgalmanac.locks import blockers
from pgalmanac.steps import Needs

__all__ = ["LOCK_ERRORS", "Budget", "GaveUp", "LastLook", "begin", "retried", "run_script", "send", "under_locks"]

# In lock timeouts. Pauses as short as the timeout halve the writers' throughput; fourteen times as long costs them a
# fifteenth, and what an attempt does besides waiting.
_PAUSE: Final = (12.0, 16.0)
# The server ends a session that holds our advisory lock when nothing was heard of it for five minutes.
_LONGEST_PAUSE: Final = 60.0
_BOUNDED_ATTEMPTS: Final = 3
# What a lock that was not to be had looks like: lock_timeout, statement_timeout (or somebody's cancel), a deadlock
# that the server broke at our cost.
LOCK_ERRORS: Final = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)

_NOTHING: Final = sql.SQL("")
_COMMIT: Final = sql.SQL("COMMIT; ")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """A last look, sent together with the locks that keep its answer true, and what judges its rows by raising."""

    look: sql.Composed
    judge: Callable[[Sequence[tuple[Any, ...]]], None]


@dataclass(slots=True)
class Budget:
    """How long, in seconds of this process's clock, a table's run may wait for locks before it tries only once more."""

    seconds: float
    deadline_ms: int
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        """The budget begins with the run."""
        self._end = monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds left; 0 when spent."""
        return max(self._end - monotonic(), 0.0)

    async def pause(self, most: float = _LONGEST_PAUSE) -> bool:
        """Wait before the next attempt, at most so many seconds; False when the budget has no room for it."""
        seconds = min(random.uniform(*_PAUSE) * self.deadline_ms / 1000, most)  # noqa: S311  # jitter, not a secret
        if seconds > self.left:
            return False
        await asyncio.sleep(seconds)
        return True


class GaveUp(Exception):  # noqa: N818  # not an error of the program but the end of its patience
    """The budget is spent and the lock was not to be had."""

    def __init__(
        self, *, attempts: int, sqlstate: str | None, blockers: tuple[str, ...], why: str | None = None
    ) -> None:
        """Keep what the outcome will say; *why* where the lock was not what it failed of."""
        super().__init__("the lock was not to be had")
        self.attempts = attempts
        self.sqlstate = sqlstate
        self.blockers = blockers
        self.why = why


async def retried(
    session: Session,
    budget: Budget,
    needs: Needs,
    attempt: Callable[[], Awaitable[T]],
    *,
    attempts: int = 0,
    bounded: str | None = None,
) -> tuple[T, int]:
    """The result of *attempt* and how many there were, after so many *attempts* before.

    *bounded* says what all writers wait for, of work that is to be done within the deadline: it is not tried for long.
    Raises GaveUp with the holders of locks in the way of *needs*.
    """
    too_long = 0
    while True:
        attempts += 1
        try:
            return await attempt(), attempts
        except LOCK_ERRORS as exc:
            await session.rollback()
            too_long += isinstance(exc, errors.QueryCanceled)
            if bounded is not None and too_long == _BOUNDED_ATTEMPTS:
                remedy = (
                    f"takes longer than lock_timeout_ms ({budget.deadline_ms}); raise that for one run in a quiet hour"
                )
                raise GaveUp(
                    attempts=attempts, sqlstate=exc.sqlstate, blockers=(), why=f"{bounded}, which {remedy}"
                ) from exc
            who = await blockers(session, needs)
            if not await budget.pause():
                raise GaveUp(attempts=attempts, sqlstate=exc.sqlstate, blockers=who) from exc


async def run_script(
    session: Session,
    script: Script,
    *,
    deadline_ms: int,
    guard: LastLook | None = None,
    bounded: bool = False,
    first: sql.Composable = _NOTHING,
    last: sql.Composable = _NOTHING,
) -> int:
    """Run *script* in one transaction and return how many rows it moved; an error leaves the transaction open.

    *guard* looks once *prepare* is done, with the locks that it took, and its judge raises to prevent the rest. For
    *bounded* see under_locks. The settings of *first* and *last*, each ending in a semicolon, go along before the
    transaction and after its COMMIT.
    """
    before = sql.Composed([first, begin(session, deadline_ms)])
    looks, said = [] if guard is None else [guard], list[str | None]()
    if script.remark is not None:
        looks.append(_look_at(script.remark, said))
    if not script.locks and not looks:
        # Nothing that a writer would wait for: one round trip for the whole transaction.
        return await send(session, script.all, before=before, end=_COMMIT + last)
    moved = await send(session, script.prepare, before=before, looks=looks)
    script = script.commented(said[-1]) if said else script
    return moved + await under_locks(session, script, deadline_ms=deadline_ms, bounded=bounded, last=last)


def _look_at(remark: Remark, said: list[str | None]) -> LastLook:
    """What a comment says now that its table is locked."""
    table = sql.Literal(qualified(remark.until_then).as_string(None))
    look = sql.SQL("SELECT pg_catalog.obj_description(pg_catalog.to_regclass({}), 'pg_class')").format(table)
    return LastLook(look=look, judge=lambda rows: said.append(rows[0][0]))


async def under_locks(
    session: Session, script: Script, *, deadline_ms: int, bounded: bool = False, last: sql.Composable = _NOTHING
) -> int:
    """Take the script's locks within one deadline for all of them, do its work and commit. Returns the rows moved.

    All in one round trip: a client that freezes, or a network that goes silent, must not keep locks that writers wait
    for. PostgreSQL's lock_timeout counts every lock anew, so each gets what the ones before it left; statement_timeout
    bounds a LOCK TABLE that names several. The work itself has no timeout: it is short, and half of it is none. Only
    *bounded* work, whose length depends on the data, has to be done within the same deadline; then a lock has a tenth
    less, so that the error tells one that was not to be had from work that took too long.
    """
    left = sql.SQL(
        "SELECT pg_catalog.set_config(name, GREATEST(1, most OPERATOR(pg_catalog.-) "
        "(EXTRACT(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.statement_timestamp()) "
        "OPERATOR(pg_catalog.*) 1000)::pg_catalog.int4)::pg_catalog.text, true) "
        "FROM (VALUES ('lock_timeout', {lock}), ('statement_timeout', {deadline})) AS s(name, most); "
    ).format(deadline=deadline_ms, lock=deadline_ms * 9 // 10 if bounded else deadline_ms)
    # statement_timestamp() is when the server received this message, the same for every statement in it.
    locks = sql.Composed([left + lock.sql + sql.SQL("; ") for lock in script.locks])
    # The guard looks with our path; the user's own triggers want theirs.
    before = session.own_path + locks + left + sql.SQL("" if bounded else "SET LOCAL statement_timeout = 0; ")
    work = [replace(s, sql=left + s.sql) for s in script.work] if bounded else script.work
    return await send(session, work, before=before, end=_COMMIT + last)


def begin(session: Session, deadline_ms: int) -> sql.Composed:
    """Open a transaction in which the user's own code finds what it expects: the role's own search path."""
    return sql.SQL("BEGIN; ") + session.own_path + _timeouts(deadline_ms, 0)


def _timeouts(lock_ms: int, statement_ms: int) -> sql.Composed:
    return sql.SQL("SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}; ").format(lock_ms, statement_ms)


async def send(
    session: Session,
    statements: Sequence[Statement],
    *,
    before: sql.Composed,
    end: sql.Composable = _NOTHING,
    looks: Sequence[LastLook] = (),
) -> int:
    """Several statements, and *looks* after them, in one round trip; how many rows their INSERTs moved."""
    parts = sql.SQL("; ").join([*(s.sql for s in statements), *(one.look for one in looks), end])
    cursor = await session.execute(before + parts)
    moved, seen = 0, list[list[tuple[Any, ...]]]()
    while True:
        if (cursor.statusmessage or "").startswith("INSERT"):
            moved += cursor.rowcount
        if looks and cursor.description is not None:
            seen.append(await cursor.fetchall())
        if not cursor.nextset():
            break
    for one, rows in zip(looks, seen[len(seen) - len(looks) :], strict=True):
        one.judge(rows)
    return moved
