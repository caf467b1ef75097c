"""What there is: partitions with their counts, the trash, the pins. Nothing is planned, and nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from time import monotonic
from typing import Literal

from pgalmanac import counts
from pgalmanac.catalog import inspect
from pgalmanac.config import Settings
from pgalmanac.diagnose import of_status
from pgalmanac.estimates import estimates
from pgalmanac.figures import statistics
from pgalmanac.plan import Plan
from pgalmanac.results import CountProgress, PartitionCount, RunReport, TableReport
from pgalmanac.run import Observer, Run
from pgalmanac.table_names import TableRef
from pgalmanac.trash import look_into
from pgalmanac.view import View, view

__all__ = ["kept", "status"]


async def status(
    settings: Settings, *, exact: bool = False, limit: int | None = None, observer: Observer | None = None
) -> RunReport:
    """Partitions with counts, newest first, in TableReport.counts; statistics in TableReport.statistics.

    Findings are only about rows that are in none of these partitions because a detach was not ended, and about a
    breakdown by a column that is not there.
    """
    async with AsyncExitStack() as stack:
        run = await Run.open(stack, settings, read_only=True, observer=observer)

        async def one(ref: TableRef) -> TableReport:
            table = await inspect(run.session, ref)
            seen = view(table, settings.policy(table.name))
            found = await estimates(run.session, seen, limit=limit)
            began = monotonic()
            if exact:
                run.observer(Plan(view=seen))
                found = await _counted(run, seen, found)
            counting = settings.counts
            left = max(began + counting.max_seconds - monotonic(), 0.0)
            figures = await statistics(
                run.session,
                seen,
                found if limit is None else (),
                seconds=min(left, counting.statement_seconds),
                cache=counting.cache and not counting.consistent,
            )
            return TableReport(
                table=str(table.name), view=seen, counts=found, statistics=figures, findings=of_status(seen)
            )

        return run.report("status", await run.each(one))


async def _counted(run: Run, seen: View, found: Sequence[PartitionCount]) -> tuple[PartitionCount, ...]:
    """The same counts, exact, in the same order."""
    progress = CountProgress.begin(found)
    counted: dict[int, PartitionCount] = {}
    stream = counts.exact(run.session, seen, found, options=run.settings.counts, dsn=run.settings.dsn)
    async with aclosing(stream):
        async for count in stream:
            counted[count.oid] = count
            progress = progress.after(count)
            run.observer(progress)
    return tuple(counted[c.oid] for c in found)


async def kept(settings: Settings, command: Literal["trash", "pins"]) -> RunReport:
    """What is kept on purpose: with *trash* the dropped tables, their rows and sizes in TableReport.counts."""
    async with AsyncExitStack() as stack:
        run = await Run.open(stack, settings, read_only=True)

        async def one(ref: TableRef) -> TableReport:
            table = await inspect(run.session, ref)
            seen = view(table, settings.policy(table.name))
            found = await look_into(run.session, table) if command == "trash" else ()
            return TableReport(table=str(table.name), view=seen, counts=found)

        return run.report(command, await run.each(one))
