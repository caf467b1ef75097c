"""One message with exact counts: what a session is asked, what its answer is, and why there may be none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from time import monotonic
from typing import Any, Final, LiteralString

import psycopg
from psycopg import errors, sql

from pgalmanac.config import Counting
from pgalmanac.db import Session
from pgalmanac.db_errors import is_lost, one_line
from pgalmanac.ddl import qualified
from pgalmanac.results import PartitionCount
from pgalmanac.view import View

__all__ = ["Counter", "key_time"]

_MAY_READ: Final[LiteralString] = """
SELECT has_schema_privilege(relnamespace, 'USAGE'), has_table_privilege(oid, 'SELECT') FROM pg_class WHERE oid = %(oid)s
"""
_TRANSACTION: Final = (sql.SQL("BEGIN READ ONLY; "), sql.SQL("; COMMIT; "))
_SAVEPOINT: Final = (sql.SQL("SAVEPOINT one; "), sql.SQL("; RELEASE SAVEPOINT one; "))


@dataclass(slots=True, kw_only=True)
class Counter:
    """Counts on any session, within one budget."""

    seen: View
    options: Counting
    # When the budget is spent, in monotonic seconds.
    end: float = 0.0
    # The moment of the snapshot that all sessions share, where one was asked for.
    at: datetime | None = None

    def begin(self) -> None:
        """The budget begins."""
        self.end = monotonic() + self.options.max_seconds

    def left(self) -> float:
        """The seconds of the budget that are not spent."""
        return self.end - monotonic()

    @property
    def spent(self) -> str:
        """Why what is left is not counted."""
        return f"the {self.options.max_seconds} seconds of counts.max_seconds are spent"

    async def count(self, session: Session, batch: Sequence[PartitionCount]) -> list[PartitionCount]:
        """Count in one round trip; when one of several cannot be counted, each in a round trip of its own."""
        if len(batch) > 1:
            try:
                # The server's limit is that of each; together they have what is left.
                async with asyncio.timeout(self.left()):
                    return await self._ask(session, batch, min(self.options.statement_seconds, self.left()))
            except TimeoutError:
                self.end = monotonic()  # which a timer may come before by a hair: nothing more is to be asked
                return [replace(count, error=self.spent) for count in batch]
            except psycopg.Error as exc:
                await self._undo(session, exc)
        return [await self._count_one(session, count) for count in batch]

    async def _count_one(self, session: Session, count: PartitionCount) -> PartitionCount:
        """Count one partition; what keeps us from it becomes its error."""
        left, began = self.left(), monotonic()
        if left <= 0:
            return replace(count, error=self.spent)
        limit = min(self.options.statement_seconds, left)
        try:
            (counted,) = await self._ask(session, [count], limit)
        except psycopg.Error as exc:
            await self._undo(session, exc)
            why = _why(exc, self, left, late=monotonic() - began >= limit)
            if isinstance(exc, errors.InsufficientPrivilege):
                why = await _closed(session, count) or why
            return replace(count, error=why)
        return counted

    async def _undo(self, session: Session, exc: psycopg.Error) -> None:
        """Go on after *exc*, which is raised again when it ended the connection."""
        if session.conn.closed or is_lost(exc):
            raise exc
        await session.conn.execute("ROLLBACK TO SAVEPOINT one" if self.options.consistent else "ROLLBACK")

    async def _ask(self, session: Session, batch: Sequence[PartitionCount], limit: float) -> list[PartitionCount]:
        """Count each in a transaction of its own, with *limit* seconds for its statement, all in one message."""
        column = sql.Identifier(self.seen.table.key.column)
        begin, end = _SAVEPOINT if self.options.consistent else _TRANSACTION
        settings = sql.SQL("SET LOCAL statement_timeout = {}; SET LOCAL max_parallel_workers_per_gather = 0; ").format(
            max(int(limit * 1000), 1)
        )
        queries: list[sql.Composable] = []
        for count in batch:
            table = qualified(count.name)
            query = sql.SQL(
                "SELECT (SELECT count(*) FROM {table}), (SELECT min({column})::text FROM {table}), "
                "(SELECT max({column})::text FROM {table}), {literal}::regclass::oid::int8, statement_timestamp()"
            ).format(table=table, column=column, literal=sql.Literal(table.as_string(None)))
            queries += [begin, settings, query, end]
        cursor = await session.execute(sql.Composed(queries))
        found = [self._told(batch[0], await cursor.fetchone())] if cursor.description is not None else []
        while cursor.nextset():
            if cursor.description is not None:
                found.append(self._told(batch[len(found)], await cursor.fetchone()))
        return found

    def _told(self, count: PartitionCount, row: tuple[Any, ...] | None) -> PartitionCount:
        """The count that the server's answer is."""
        rows, oldest, newest, oid, at = row or (None, None, None, None, None)
        if oid != count.oid:
            return replace(count, error="another table has taken its name")
        return replace(
            count,
            rows=rows,
            exact=True,
            oldest=key_time(oldest),
            newest=key_time(newest),
            # The message came before the snapshot was taken: what was committed until then is counted.
            counted_at=self.at or at,
        )


def _why(exc: psycopg.Error, counter: Counter, left: float, *, late: bool) -> str:
    """Why a partition could not be counted; a time limit by the name of its setting.

    A statement that somebody cancelled has the same code as one that ran out of time, which is then over: *late*.
    """
    if not isinstance(exc, errors.QueryCanceled) or not late:
        return one_line(exc)
    seconds = counter.options.statement_seconds
    if left < seconds:
        return counter.spent
    return f"counting it took longer than the {seconds} seconds of counts.statement_seconds"


async def _closed(session: Session, count: PartitionCount) -> str | None:
    """The GRANTs that the role lacks to count the partition; None where it lacks none, and something else forbids it.

    Who may read a table may not read its partitions one by one.
    """
    row = await (await session.execute(_MAY_READ, {"oid": count.oid})).fetchone()
    may_use, may_read = row or (True, True)
    lacking: list[sql.Composed] = []
    role = sql.Identifier(session.server.role)
    if not may_use:
        lacking.append(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(count.name.schema), role))
    if not may_read:
        lacking.append(sql.SQL("GRANT SELECT ON {} TO {}").format(qualified(count.name), role))
    grants = sql.SQL("; ").join(lacking).as_string(session.conn)
    return f"this role may not read it: {grants}" if lacking else None


def key_time(value: Any) -> datetime | None:  # noqa: ANN401  # whatever type the key column has
    """A value of the key column, or its text, as key time; None for NULL and for moments that no calendar holds."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:  # infinity, before Christ, past year 9999
            return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None
