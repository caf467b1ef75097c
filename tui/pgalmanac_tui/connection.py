"""One of the dashboard's connections: opened late, bound in time, and opened again after it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pgalmanac.db import Session, connect
from pgalmanac.db_errors import translated
from pgalmanac.errors import ConnectError

__all__ = ["Connection"]

T = TypeVar("T")

# After a query was asked to stop so long is waited for its end.
_LET_GO_SECONDS: Final = 1.0


@dataclass(slots=True)
class Connection:
    """One connection, opened when first used and again after it was lost. Used by one caller at a time."""

    dsn: str
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stack: AsyncExitStack | None = None
    _session: Session | None = None

    async def use(self, work: Callable[[Session], Awaitable[T]], *, what: str, seconds: float | None) -> T:
        """Do *work*, which only reads, on the connection within *seconds*, after which the server counts as lost."""
        async with self._lock:
            try:
                # The first one asks the server to stop, for which the driver has ten seconds; the second lets go of it.
                last = None if seconds is None else seconds + _LET_GO_SECONDS
                async with asyncio.timeout(last), asyncio.timeout(seconds):
                    used = self._session
                    try:
                        return await self._work(work, what)
                    except ConnectError:
                        # One left idle may have ended since, with a restart of the server: it is seen only now.
                        if used is None or not used.conn.closed:
                            raise
                        return await self._work(work, what)
            except TimeoutError as exc:
                await self.close()
                raise ConnectError(
                    f"{what}: no answer in {seconds:.0f} seconds", hint="the server may be busy"
                ) from exc
            except (Exception, asyncio.CancelledError):  # whatever left a transaction open, the next use has none of it
                if self._session is None or self._session.conn.closed or self._session.in_transaction:
                    await self.close()
                raise

    async def _work(self, work: Callable[[Session], Awaitable[T]], what: str) -> T:
        session = await self._ready()
        with translated(what):
            return await work(session)

    async def _ready(self) -> Session:
        if self._session is None or self._session.conn.closed:
            await self.close()
            stack = AsyncExitStack()
            self._session = await stack.enter_async_context(connect(self.dsn, read_only=True))
            self._stack = stack
        return self._session

    async def close(self) -> None:
        """Let go of the connection."""
        stack, self._stack, self._session = self._stack, None, None
        if stack is not None:
            await stack.aclose()
