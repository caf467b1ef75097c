"""How each kind of step is carried out on a live session: attempts, guards, and the concurrent detach."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import psycopg
from psycopg import errors, sql

from pgalmanac import ddl
from pgalmanac.actions import Action, ActionKind, Reason, Source, Status
from pgalmanac.archive_manifest import Manifest
from pgalmanac.attaching import attach
from pgalmanac.attempts import LOCK_ERRORS, Budget, GaveUp, LastLook, retried, run_script
from pgalmanac.db import Session
from pgalmanac.db_errors import is_lost, one_line
from pgalmanac.ddl import Script
from pgalmanac.ddl_structure import Structure
from pgalmanac.detaching import SETTLE, Detaching, settle
from pgalmanac.errors import StoreError
from pgalmanac.guard import GuardError, drop_guard, pin_guard
from pgalmanac.locks import blockers, half_detached
from pgalmanac.log import scrub
from pgalmanac.moving import move
from pgalmanac.results import Progress
from pgalmanac.steps import Needs, comment_of, detached, detaches_concurrently, needs, script
from pgalmanac.trash import bound, make_trash
from pgalmanac.view import View

__all__ = ["Done", "Executor"]

_NOTHING: Final = sql.SQL("")
# After so many no partition is detached any more to be archived, or dropped: each one would be written in vain and
# attached again, or be left where nobody sees its rows.
_REFUSALS: Final = 2
# What is said of one table alone.
_OF_ONE: Final = (errors.ForeignKeyViolation, errors.DependentObjectsStillExist, errors.UndefinedTable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a step achieved. *rows* were moved (exact, when *moved*) or dropped (estimated)."""

    attempts: int
    rows: int | None = None
    bytes: int | None = None
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Carries out the steps of one table's run. Each call raises GaveUp, GuardError or psycopg.Error, or is done."""

    session: Session
    view: View
    structure: Structure | None
    budget: Budget
    run_id: str | None
    progress: Callable[[Progress], None] = field(default=lambda _: None)
    # The tables that the open transaction keeps as they were archived, for the drop that follows.
    held: set[int] = field(default_factory=set[int])
    # What the store of the archive said no with, since it last took something.
    refusals: list[str] = field(default_factory=list[str])
    # What the server said no with to DROP TABLE, as an event trigger does, since it last dropped what was detached.
    undropped: list[str] = field(default_factory=list[str])

    async def run(self, action: Action) -> Done:  # noqa: PLR0911  # a table of cases
        """Do it, in a transaction of its own."""
        match action.kind:
            case ActionKind.FINALIZE:
                return await self._simple(action)
            case ActionKind.CREATE:
                return await self._create(action)
            case ActionKind.MOVE_ROWS:
                return await self._move(action)
            case ActionKind.DROP if self.view.policy.archive is not None:
                return await self._drop_archived(action)
            case ActionKind.DROP | ActionKind.TRASH:
                return await self._take_away(action)
            case ActionKind.ARCHIVE:
                return await self._archive(action)
            case ActionKind.RESTORE:
                return await self._restore(action)
            case ActionKind.ATTACH:
                attempts, size, rows = await attach(self.session, self.view, action, self.budget)
                return Done(attempts=attempts, bytes=size, rows=rows)
            case ActionKind.PIN | ActionKind.UNPIN:
                return await self._simple(action, guard=pin_guard(action))

    @property
    def _deadline_ms(self) -> int:
        return self.budget.deadline_ms

    async def _simple(self, action: Action, *, guard: LastLook | None = None) -> Done:
        steps = script(self.view, action, self.structure)
        _, attempts = await retried(
            self.session,
            self.budget,
            needs(self.view, action),
            lambda: run_script(self.session, steps, deadline_ms=self._deadline_ms, guard=guard),
        )
        return Done(attempts=attempts)

    async def _create(self, action: Action) -> Done:
        try:
            return await self._simple(action)
        except errors.CheckViolation:
            # Rows for this period stand in the default partition: they came after the plan, or could not be counted.
            if self.view.table.default is None:
                raise
        await self.session.rollback()
        return await self._move(action)

    async def _move(self, action: Action) -> Done:
        rows, attempts = await move(self.session, self.view, action, self.structure, budget=self.budget)
        return Done(attempts=attempts, rows=rows, moved=True)

    async def _take_away(self, action: Action) -> Done:
        if action.makes_schema and action.target is not None:
            await make_trash(self.session, action.target.schema)
        if action.source is Source.ATTACHED and detaches_concurrently(self.view.table):
            return await self._drop_concurrently(action)
        return await self._drop(action, script(self.view, action, None, run_id=self.run_id), action.source)

    async def _drop(self, action: Action, steps: Script, source: Source, *, first: sql.Composable = _NOTHING) -> Done:
        """Detach (where it still is attached) and drop, or move to the trash, in one transaction.

        What is to go is looked at again when no DDL can change it.
        """
        seen: list[tuple[int, int | None]] = []
        guard = drop_guard(self.view, action, source, seen.append)
        with self._remembered(action, source):
            _, attempts = await retried(
                self.session,
                self.budget,
                needs(self.view, replace(action, source=source)),
                lambda: run_script(self.session, steps, deadline_ms=self._deadline_ms, guard=guard, first=first),
            )
        size, rows = seen[-1]
        return Done(attempts=attempts, bytes=size, rows=rows)

    @contextmanager
    def _remembered(self, action: Action, source: Source) -> Generator[None]:
        """Whether DROP TABLE of what is detached is refused: so it may be of all that are detached after it."""
        if action.kind is not ActionKind.DROP or source is Source.ATTACHED:
            yield
            return
        try:
            yield
        except psycopg.Error as exc:
            if not isinstance(exc, _OF_ONE):
                self.undropped.append(scrub(one_line(exc)))
            raise
        self.undropped.clear()

    async def _drop_concurrently(self, action: Action) -> Done:
        """Mark, detach without making anybody wait, drop (or move to the trash).

        What is interrupted the next run finishes, by the mark.
        """
        if action.kind is ActionKind.DROP:
            _not_refused("DROP TABLE", self.undropped)
        needed = needs(self.view, action)
        detaching = Detaching(
            session=self.session, view=self.view, budget=self.budget, run_id=self.run_id, needs=needed
        )
        try:
            attempts = await detaching.detach(action)
        except LOCK_ERRORS as exc:
            return await self._interrupted(action, exc.sqlstate)
        except errors.ObjectNotInPrerequisiteState as exc:
            await self._unmark(action)
            if (other := await half_detached(self.session, self.view.table.oid)) is None:
                raise
            raise GuardError(
                f"the detach of {other} was begun and not finished, and PostgreSQL detaches one partition at a time; "
                "pgalmanac maintain finishes it"
            ) from exc
        steps = detached(self.view, action, Source.DETACHED, self.run_id)
        try:
            done = await self._drop(action, steps, Source.DETACHED, first=SETTLE)
        except BaseException:  # perhaps before the server had so much as read it
            await settle(self.session)
            raise
        return replace(done, attempts=max(done.attempts, attempts))

    async def _interrupted(self, action: Action, sqlstate: str | None) -> Done:
        """The detach was given up: drop what is pending if its locks are to be had, else leave it to the next run."""
        who = await blockers(self.session, needs(self.view, action))
        cursor = await self.session.execute(
            "SELECT inhdetachpending FROM pg_catalog.pg_inherits WHERE inhrelid = %s", [action.oid]
        )
        row = await cursor.fetchone()
        if row is not None and row[0]:
            try:
                steps = detached(self.view, action, Source.PENDING, self.run_id)
                return await self._drop(action, steps, Source.PENDING)
            except GaveUp as exc:
                raise GaveUp(attempts=exc.attempts, sqlstate=sqlstate, blockers=exc.blockers or who) from exc
        await self._unmark(action)
        raise GaveUp(attempts=1, sqlstate=sqlstate, blockers=who)

    async def _unmark(self, action: Action) -> None:
        """Of a detach that did not begin."""
        steps = ddl.clear_mark(action.partition, comment_of(self.view, action))
        await run_script(self.session, steps, deadline_ms=self._deadline_ms)

    async def _archive(self, action: Action) -> Done:
        """Archive it, unless the store has said no so often that it is full or gone, and not just unlucky.

        Nor where the drop that follows is refused.
        """
        _not_refused("the archive", self.refusals)
        if action.reason is not Reason.COPY and action.source is Source.ATTACHED:
            _not_refused("DROP TABLE", self.undropped)
        try:
            done = await self._archive_it(action)
        except GuardError as exc:
            if isinstance(exc.__cause__, StoreError):
                self.refusals.append(str(exc))
            raise
        self.refusals.clear()
        return done

    async def _archive_it(self, action: Action) -> Done:
        """Detach (unless it is a mere copy) and archive; the transaction stays open for the drop."""
        from pgalmanac import execute_archive  # noqa: PLC0415  # loads pyarrow, for archives alone

        await execute_archive.probe(self.view)
        if action.reason is not Reason.COPY and action.source is Source.ATTACHED:
            # As the trash would, but in its own place: from now on nothing reaches it through its parent.
            await self._take_away(replace(action, kind=ActionKind.TRASH, target=action.partition))

        async def attempt() -> Manifest:
            return await execute_archive.archive(
                self.session, self.view, action, run_id=self.run_id, progress=self.progress
            )

        manifest, attempts = await retried(self.session, self.budget, Needs(taken=(action.oid or 0,)), attempt)
        if action.reason is not Reason.COPY and action.oid is not None:
            self.held.add(action.oid)
        return Done(attempts=attempts, rows=manifest.rows, bytes=manifest.bytes)

    async def _drop_archived(self, action: Action) -> Done:
        if action.oid not in self.held:
            raise GuardError("it is not archived, so it stays", status=Status.FAILED)
        from pgalmanac import execute_archive  # noqa: PLC0415  # as above

        self.held.clear()
        with self._remembered(action, Source.DETACHED):
            attempts, size, rows = await execute_archive.drop_held(self.session, self.view, action)
        return Done(attempts=attempts, bytes=size, rows=rows)

    async def _restore(self, action: Action) -> Done:
        from pgalmanac import execute_archive  # noqa: PLC0415  # as above

        async def attempt() -> int:
            return await execute_archive.restore(
                self.session, self.view, action, self.structure, progress=self.progress
            )

        rows, attempts = await retried(self.session, self.budget, needs(self.view, action), attempt)
        return Done(attempts=attempts, rows=rows)

    async def secure(self, action: Action) -> None:
        """Give a table in the trash the constraint that saves the way back a scan; undo does it where this could not.

        The table may be pinned, moved or gone by now, and may be large: none of that is a failure of its drop.
        """
        if action.target is None:
            return
        try:
            await bound(self.session, self.view.table, action.oid or 0, action.target, action.bounds)
        except psycopg.Error as exc:
            if is_lost(exc):
                raise
            await self.session.rollback()


def _not_refused(what: str, refusals: Sequence[str]) -> None:
    """Raise GuardError where *what* was refused so often that it would be in vain."""
    if len(refusals) >= _REFUSALS:
        why = f"not tried: {what} failed {len(refusals)} times in a row, last with: {refusals[-1]}"
        raise GuardError(why, status=Status.FAILED)
