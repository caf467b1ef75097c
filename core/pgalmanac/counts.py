"""Exact counts of partitions with their oldest and newest keys, as a stream; what is still true is not counted anew."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg
from psycopg import sql

from pgalmanac.config import Counting
from pgalmanac.counting import Counter
from pgalmanac.db import Session, connect
from pgalmanac.errors import PgalmanacError
from pgalmanac.results import PartitionCount
from pgalmanac.view import View

if TYPE_CHECKING:
    from pgalmanac.counts_cache import CountsCache, Kept

__all__ = ["exact"]

# Small partitions are asked for together, so that neither side waits for the other between any two of them.
_TOGETHER: Final = 16
_TOGETHER_BYTES: Final = 32 << 20
# New counts are kept at least so often while counting goes on, so that little is lost when it is called off.
_SAVE_SECONDS: Final = 2.0


async def exact(
    session: Session,
    seen: View,
    counts: Sequence[PartitionCount],
    *,
    options: Counting | None = None,
    dsn: str | None = None,
    cache: Path | None = None,
) -> AsyncGenerator[PartitionCount]:
    """Count each of *counts* exactly, with its oldest and newest key, and yield each as soon as it is known.

    Begun in the order given: put first what somebody is waiting for, and to change the order close this and begin
    again; what was counted once comes from the cache at once. More connections than *session* are opened by *dsn*,
    which is empty for libpq's own defaults; without one, and where the server has no room for more, *session* does
    all of it. *cache* names another file than the usual one.

    A partition that cannot be counted keeps its estimate, with the reason in *error*; so do all that are left when
    the budget is spent. Cancelling the task, or closing the generator, cancels what the server is counting.
    """
    options = options or Counting()
    counter = Counter(seen=seen, options=options)
    work = _Work(session=session, seen=seen, options=options, counter=counter, todo=deque(counts))
    try:
        for kept in await work.known(cache):
            yield kept
        counter.begin()
        # Once more alone: a further connection that is lost leaves its partition to us.
        for more in (dsn, None):
            tasks = work.start(more)
            try:
                while (count := await work.next(tasks)) is not None:
                    yield count
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        while work.todo:
            yield replace(work.todo.popleft(), error=counter.spent)
    finally:
        work.save()
        await session.rollback()


@dataclass(slots=True, kw_only=True)
class _Work:
    """What is still to be counted, by whom, and what is known already."""

    session: Session
    seen: View
    options: Counting
    counter: Counter
    todo: deque[PartitionCount]
    # What was counted, and None whenever a task ended.
    done: asyncio.Queue[PartitionCount | None] = field(default_factory=asyncio.Queue["PartitionCount | None"])
    _cache: CountsCache | None = None
    _keys: dict[int, str] = field(default_factory=dict[int, str])
    _new: list[PartitionCount] = field(default_factory=list[PartitionCount])
    _saved: float = field(default_factory=monotonic)

    async def known(self, path: Path | None) -> Iterable[PartitionCount]:
        """What the cache knows, taken off what is to be done. The keys are read here, before anything is counted."""
        if not self.options.cache:
            return ()
        from pgalmanac.counts_cache import Kept, keys, open_cache  # noqa: PLC0415  # sqlite, for those who count

        wanted = {c.oid for c in self.todo}
        self._keys = await keys(self.session, self.seen, [p for p in self.seen.table.ranged if p.oid in wanted])
        if not self._keys:
            return ()
        self._cache = open_cache(self.session, path)
        if self.options.consistent:
            return ()  # kept counts are of many moments
        kept = {oid: Kept.read(text) for oid, text in self._cache.read(self._keys).items()}
        counts, self.todo = self.todo, deque(c for c in self.todo if c.oid not in kept)
        return [_as_kept(c, kept[c.oid]) for c in counts if c.oid in kept]

    def start(self, dsn: str | None) -> list[asyncio.Task[None]]:
        """Count on as many connections as there are to be and is work for."""
        if not self.todo or self.counter.left() <= 0:
            return []
        snapshot: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        more = 0 if dsn is None else min(self.options.connections, len(self.todo)) - 1
        tasks = [
            asyncio.create_task(self._first(snapshot)),
            *(asyncio.create_task(self._further(dsn or "", snapshot)) for _ in range(more)),
        ]
        for task in tasks:
            task.add_done_callback(lambda _: self.done.put_nowait(None))
        return tasks

    async def next(self, tasks: Sequence[asyncio.Task[None]]) -> PartitionCount | None:
        """The next count; None when there are no more. Raises what ended the first connection."""
        while True:
            if self.done.empty():
                if tasks and tasks[0].done() and (error := tasks[0].exception()) is not None:
                    raise error
                if all(task.done() for task in tasks):
                    return None
            if (count := await self.done.get()) is not None:
                return self._arrived(count)

    def _arrived(self, count: PartitionCount) -> PartitionCount:
        if count.exact and count.oid in self._keys:
            self._new.append(count)
            if monotonic() - self._saved > _SAVE_SECONDS:
                self.save()
        return count

    def save(self) -> None:
        """Keep what was counted since the last time."""
        if self._cache is not None and self._new:
            from pgalmanac.counts_cache import Kept  # noqa: PLC0415  # as above

            kept = {
                c.oid: Kept(rows=c.rows, oldest=c.oldest, newest=c.newest, counted_at=c.counted_at)
                for c in self._new
                if c.rows is not None and c.counted_at is not None
            }
            self._cache.write((oid, self._keys[oid], str(count)) for oid, count in kept.items())
        self._new.clear()
        self._saved = monotonic()

    async def _first(self, snapshot: asyncio.Future[str]) -> None:
        """Count on the session that was given, and finish what others had to leave."""
        try:
            if self.options.consistent:
                await self.session.rollback()
                await self.session.execute(_BEGIN_CONSISTENT)
                row = await (await self.session.execute("SELECT pg_export_snapshot(), now()")).fetchone()
                name, self.counter.at = row or ("", None)
                snapshot.set_result(name)
            else:
                snapshot.set_result("")
        finally:
            snapshot.cancel()
        await self._count(self.session)

    async def _further(self, dsn: str, snapshot: asyncio.Future[str]) -> None:
        """Count on one more connection, when there is one to be had."""
        with suppress(PgalmanacError, psycopg.Error):
            async with connect(dsn, read_only=True) as session:
                if name := await asyncio.shield(snapshot):
                    await session.execute(_BEGIN_CONSISTENT)
                    await session.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(name)))
                await self._count(session)

    async def _count(self, session: Session) -> None:
        while self.todo and self.counter.left() > 0:
            batch = self._take()
            try:
                for count in await self.counter.count(session, batch):
                    self.done.put_nowait(count)
            except BaseException:  # cancelled, or the connection is lost: they are still to be counted
                self.todo.extendleft(reversed(batch))
                raise

    def _take(self) -> list[PartitionCount]:
        """What the next message asks for: one partition, or several small ones; of the last ones each takes a share."""
        batch = [self.todo.popleft()]
        most = min(len(self.todo) // (2 * self.options.connections) + 1, _TOGETHER)
        size = batch[0].bytes
        while size is not None and len(batch) < most and (more := self.todo[0].bytes) is not None:
            size += more
            if size > _TOGETHER_BYTES:
                break
            batch.append(self.todo.popleft())
        return batch


# The exporting transaction may have nothing left to do while others still count.
_BEGIN_CONSISTENT: Final[LiteralString] = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0"
)


def _as_kept(count: PartitionCount, kept: Kept) -> PartitionCount:
    return replace(
        count,
        rows=kept.rows,
        exact=True,
        oldest=kept.oldest,
        newest=kept.newest,
        counted_at=kept.counted_at,
        cached=True,
    )
