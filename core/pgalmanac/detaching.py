"""DETACH CONCURRENTLY: marked first, begun when nobody is in its way, and under settings of its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final

from psycopg import sql

from pgalmanac import ddl
from pgalmanac.actions import Action
from pgalmanac.attempts import LOCK_ERRORS, Budget, GaveUp, retried, run_script
from pgalmanac.db import LOCK_TIMEOUT, Session
from pgalmanac.guard import ParentHeld, mark_guard
from pgalmanac.locks import blockers, holders
from pgalmanac.steps import Needs, marking
from pgalmanac.view import View

__all__ = ["SETTLE", "Detaching", "settle"]

# A DETACH CONCURRENTLY with less time than this would be given up before it could begin.
_LEAST_MS: Final = 1000
# Our own settings again, after the detach's. In a transaction of their own: statements before a BEGIN in the same
# message belong to what it begins (PostgreSQL's documentation, 55.2.2.1), and would be undone with it.
SETTLE: Final = sql.SQL(
    "BEGIN; SET search_path = pg_catalog; SET lock_timeout = {}; SET statement_timeout = 0; COMMIT; "
).format(LOCK_TIMEOUT)


async def settle(session: Session) -> None:
    """End what is open without effect, and set the session right; a lost connection has nothing to set."""
    await session.rollback()
    if not session.conn.closed:
        await session.execute(SETTLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detaching:
    """The first half of a drop that nobody waits for. Who holds what it *needs* would be to blame."""

    session: Session
    view: View
    budget: Budget
    run_id: str | None
    needs: Needs

    async def detach(self, action: Action) -> int:
        """Mark the partition and detach it; the number of attempts. The session is left for SETTLE to set right.

        Raises a lock error, with the session set right, when the detach itself was given up: the partition is marked,
        and may be half detached. Before it raises GaveUp, GuardError and other errors of the server.
        """
        try:
            try:
                attempts = await self._mark(action)
            except LOCK_ERRORS as exc:  # of a look at who is in the way: nothing is marked
                raise GaveUp(attempts=1, sqlstate=exc.sqlstate, blockers=()) from exc
            await self.session.execute(ddl.detach_concurrently(self.view.table, action.partition).sql)
        except BaseException:  # a cancel too: the session is used again
            await settle(self.session)
            raise
        return attempts

    async def _mark(self, action: Action) -> int:
        """Mark what is to be detached, when nobody is in the way, and leave the session as the detach wants it.

        Returns how many attempts that took. A concurrent detach works outside any transaction, and a short lock_timeout
        would leave it half done. The guard looks before the mark is written.
        """
        steps = marking(self.view, action, self.run_id)
        path = sql.SQL("SELECT pg_catalog.set_config('search_path', {}, false); ")

        tried = 0

        async def attempt(*, quiet: bool) -> None:
            nonlocal tried
            tried += 1
            patient = path.format(self.session.server.search_path) + sql.SQL(
                "SET lock_timeout = 0; SET statement_timeout = {}; "
            ).format(max(int(self.budget.left * 1000), _LEAST_MS))
            guard = mark_guard(self.view, action, quiet=quiet)
            await run_script(self.session, steps, deadline_ms=self.budget.deadline_ms, guard=guard, last=patient)

        mark_it = partial(retried, self.session, self.budget, self.needs)
        try:
            _, attempts = await mark_it(partial(attempt, quiet=True))
        except ParentHeld as exc:
            await self.session.rollback()
            looks = await self._until_quiet(exc.holders, tried)
            _, attempts = await mark_it(partial(attempt, quiet=False), attempts=looks)
        return attempts

    async def _until_quiet(self, before: frozenset[str], attempts: int) -> int:
        """Wait until no transaction holds the parent for longer than one deadline.

        The detach would wait for it, and leave the partition half detached if that took too long. Each look that finds
        somebody adds to the *attempts* so far; how many there are is returned.
        """
        while True:
            await asyncio.sleep(self.budget.deadline_ms / 1000)
            now = await holders(self.session, self.view.table.oid)
            if not before & now:
                return attempts
            before = now
            if not self.budget.left:
                raise GaveUp(attempts=attempts, sqlstate=None, blockers=await blockers(self.session, self.needs))
            attempts += 1
