"""inspect -> plan -> apply -> record: the one use case, shared by every way in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import psycopg

from pgalmanac.actions import Action, ActionKind, Status
from pgalmanac.apply import apply, planned
from pgalmanac.catalog import inspect
from pgalmanac.config import Settings
from pgalmanac.db import Session, connect, flushed
from pgalmanac.db_errors import one_line, translated
from pgalmanac.diagnose import diagnose
from pgalmanac.errors import ConfigError, ConnectError, PgalmanacError, PrivilegeError, ProofError, UsageError
from pgalmanac.estimates import with_sizes
from pgalmanac.figures import statistics
from pgalmanac.findings import Code, critical, warning
from pgalmanac.forecast import unusual
from pgalmanac.history import History, HistoryError
from pgalmanac.inspection import MAINTAIN, Inspection, Request, full_plan, look
from pgalmanac.log import scrub
from pgalmanac.plan import Plan
from pgalmanac.proof import prove_insert
from pgalmanac.recorder import Recorder
from pgalmanac.records import RunRecord, read_runs
from pgalmanac.results import Outcome, RunReport, TableReport
from pgalmanac.run import Observer, Run
from pgalmanac.summary import recorded_details, summary, why_failed
from pgalmanac.table_names import TableName, TableRef
from pgalmanac.view import View, view

__all__ = ["Observer", "Request", "check", "past_runs", "perform", "preview"]

# How long closing the history row of an interrupted run may take before the process ends all the same.
_CLOSING_SECONDS: Final = 5
# So long it is at most, where it runs nightly, until another run can make what is missing.
_NEXT_RUN: Final = timedelta(days=1)


def _one_table_only(request: Request, refs: Sequence[TableRef]) -> None:
    if request.command not in {"maintain", "fix"} and len(refs) > 1:
        raise UsageError(
            f"{request.command} acts on one table, and {len(refs)} are configured", hint="name it with --table"
        )


async def preview(settings: Settings, request: Request) -> RunReport:
    """Plan the request and apply nothing: outcomes are `planned`, `skipped` or `refused`, each with its statements."""
    async with AsyncExitStack() as stack:
        run = await Run.open(stack, settings, read_only=True)
        _one_table_only(request, await run.tables())
        leaving = set[int]()

        async def one(ref: TableRef) -> TableReport:
            seen = await look(run.session, settings, ref, await run.recorder(), request=request, leaving=leaving)
            leaving.update(a.oid for a in seen.plan.todo if a.kind is ActionKind.DROP and a.oid is not None)
            return TableReport(
                table=str(seen.plan.table.name),
                view=seen.view,
                outcomes=planned(run.session, await with_sizes(run.session, seen.plan), seen.structure),
                findings=diagnose(seen.view, await _next_plan(run.session, seen, seen.view, (), request), seen.past),
            )

        return run.report(request.command, await run.each(one, changing=True), dry_run=True)


async def perform(settings: Settings, request: Request, *, observer: Observer | None = None) -> RunReport:
    """Plan and apply the request to every table, recording each run. On a standby it does nothing."""
    async with AsyncExitStack() as stack:
        run = await Run.open(stack, settings, read_only=False, observer=observer)
        if run.session.server.standby:
            return run.report(request.command, ())
        _one_table_only(request, await run.tables())

        async def one(ref: TableRef) -> TableReport:
            try:
                return await _perform_one(run, request, ref)
            finally:
                await run.session.unlock()

        return run.report(request.command, await run.each(one, changing=True))


async def _perform_one(run: Run, request: Request, ref: TableRef) -> TableReport:
    """One table's run, under its advisory lock."""
    recorder = await run.recorder()
    seen = await look(run.session, run.settings, ref, recorder, request=request, lock=True)
    table = seen.plan.table
    if seen.plan.todo and table.missing_grants:
        raise PrivilegeError(f"this role cannot maintain {table.name}", hint="; ".join(table.missing_grants))
    details: dict[str, Any] = {"command": request.command, "parent_oid": table.oid}
    if request.invocation_id is not None:
        details["invocation_id"] = request.invocation_id
    outcomes: list[Outcome] = []
    try:
        await recorder.begin(table, request.triggered_by, details, apart=bool(seen.plan.todo))
        run.observer(seen.plan)
        error = await _apply(run, seen, recorder, outcomes)
        report = TableReport(
            table=str(table.name), view=seen.view, run_id=recorder.run_id, error=error, outcomes=tuple(outcomes)
        )
        return await _closed(run, recorder, await _looked_again(run, request, seen, report))
    except BaseException as exc:  # cancelled, or a fault of ours: either way the run's row must not stay open
        error_text = "interrupted" if isinstance(exc, asyncio.CancelledError) else scrub(one_line(exc))
        if (why := why_failed(TableReport(table=str(table.name), outcomes=tuple(outcomes)))) is not None:
            error_text += f"; {why}"
            exc.add_note(why)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                await recorder.finish(error=error_text, output="", details={}, keep_days=run.settings.history_keep_days)
        raise


async def _apply(run: Run, seen: Inspection, recorder: Recorder, outcomes: list[Outcome]) -> PgalmanacError | None:
    """Carry the plan out, collecting outcomes; a lost connection is returned, so that the run can still be recorded."""
    calendar = seen.view.calendar
    try:
        applying = apply(
            run.session,
            seen.plan,
            seen.structure,
            run_id=recorder.run_id,
            progress=run.observer,
            unsaid=outcomes.append,
        )
        async with aclosing(applying):
            async for outcome in applying:
                outcomes.append(outcome)
                await recorder.record(outcome, calendar)
                run.observer(outcome)
        if any(o.status is Status.DONE for o in outcomes):
            await flushed(run.session, filled=bool(_filled(outcomes)))
    except psycopg.Error as exc:
        return ConnectError(
            f"the connection was lost while {seen.plan.table.name} was maintained ({scrub(one_line(exc))})",
            hint="the next run finishes what this one began",
            sqlstate=exc.sqlstate,
        )
    return None


def _filled(outcomes: Sequence[Outcome]) -> dict[TableName, int]:
    """How many rows the run itself put into which tables."""
    return {
        o.action.partition: o.rows
        for o in outcomes
        if o.rows and o.status is Status.DONE and o.action.kind in {ActionKind.MOVE_ROWS, ActionKind.RESTORE}
    }


async def _closed(run: Run, recorder: Recorder, report: TableReport) -> TableReport:
    """Record the end of the run; a history that could not be written, or pruned, becomes a finding of the report."""
    if report.view is not None and (report.error is None or isinstance(report.error, ProofError)):
        await recorder.measure(report.view.table, _filled(report.outcomes))
    await recorder.finish(
        error=why_failed(report),
        output=summary(report),
        details=recorded_details(report),
        keep_days=run.settings.history_keep_days,
    )
    if any(f.code is Code.HISTORY_UNAVAILABLE for f in report.findings):
        return report
    if recorder.trouble is not None:
        message = f"the run history of {report.table} could not be written: {recorder.trouble}"
    elif recorder.unpruned is not None:
        days = run.settings.history_keep_days
        message = f"rows of the run history older than {days} days could not be removed: {recorder.unpruned}"
    else:
        return report
    trouble = warning(Code.HISTORY_UNAVAILABLE, message)
    return replace(report, findings=(*report.findings, trouble))


async def _looked_again(run: Run, request: Request, seen: Inspection, report: TableReport) -> TableReport:
    """The report with the table as it is now: what is still to be found, the figures, and fix's proof."""
    if report.error is not None:
        return report
    now = seen.view
    try:
        with translated(f"the result for {report.table}"):
            if any(o.attempts for o in report.outcomes):
                now = view(await inspect(run.session, seen.plan.table.name.ref), now.policy)
            if request.command == "fix":
                report = await _proved(run.session, now, report)
            elif request.command == "maintain":
                report = _sufficed(now, report)
            report = replace(report, view=now, statistics=await statistics(run.session, now))
            left = await _next_plan(run.session, seen, now, report.outcomes, request)
    except PgalmanacError as exc:
        return replace(report, error=exc)
    # The run itself is the success or failure that an older one would be warned about.
    past = replace(seen.past, last_failed=None, last_success=now.table.now, covered_until=None, partitions=None)
    return replace(report, findings=diagnose(now, left, past))


def _sufficed(now: View, report: TableReport) -> TableReport:
    """A night after which inserts fail before the next one is no success, also where nothing went wrong.

    Of a period a part is covered then, which only fix completes.
    """
    needed = min(now.now + _NEXT_RUN, now.day(now.policy.premake_days + 1))
    until = now.covered_until
    if report.failed or now.table.default is not None or (until is not None and until >= needed):
        return report
    if until is None:
        message = f"{now.table.name} has no partition for now, and inserts fail"
    else:
        message = (
            f"{now.table.name} has no partition from {now.calendar.shown(until):%Y-%m-%d %H:%M %Z} on, and inserts fail"
        )
    return replace(report, error=ProofError(message, hint="pgalmanac fix makes what is missing"))


async def _proved(session: Session, now: View, report: TableReport) -> TableReport:
    try:
        return replace(report, proved=await prove_insert(session, now))
    except ProofError as exc:
        return replace(report, error=exc)


async def _next_plan(
    session: Session, seen: Inspection, now: View, outcomes: Sequence[Outcome], request: Request
) -> Plan:
    """What the next maintain would do: after a maintain what this one left, after another command a plan of its own."""
    if request.command == "maintain":
        return replace(seen.plan, view=now, actions=_unachieved(seen.plan, outcomes))
    return await full_plan(session, MAINTAIN, now.table, now.policy, clock=seen.clock)


def _unachieved(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[Action, ...]:
    """The plan without what was done; what turned out to be skipped says so."""
    archived = {ActionKind.ARCHIVE}  # which is no end: the drop that follows it is
    done = {
        o.action.oid or o.action.bounds for o in outcomes if o.status is Status.DONE and o.action.kind not in archived
    }
    skipped = {o.action.oid: o for o in outcomes if o.status is Status.SKIPPED and o.action.status is Status.PLANNED}
    return tuple(
        a if a.oid not in skipped else a.skipped(skipped[a.oid].error or "")
        for a in plan.actions
        if (a.oid or a.bounds) not in done
    )


async def check(settings: Settings, *, probe: bool = False) -> RunReport:
    """Findings of every table; changes and records nothing.

    With *probe* also the proof that an insert for now finds its partition, in a transaction that is rolled back.
    """
    async with AsyncExitStack() as stack:
        run = await Run.open(stack, settings, read_only=True)

        async def one(ref: TableRef) -> TableReport:
            recorder = await run.recorder()
            seen = await look(run.session, settings, ref, recorder)
            total = seen.view.policy.disk_limit_gb is not None
            findings = (
                *diagnose(seen.view, seen.plan, seen.past),
                *unusual(seen.view, await recorder.sizes(seen.view.table, total=total)),
            )
            report = TableReport(table=str(seen.plan.table.name), view=seen.view, findings=findings)
            return await _probed(run.session, seen, report) if probe and not run.session.server.standby else report

        return run.report("check", await run.each(one))


async def _probed(session: Session, seen: Inspection, report: TableReport) -> TableReport:
    """The report with the partition that an insert for now finds, or with the finding that it finds none."""
    await session.execute("SET default_transaction_read_only = off")
    try:
        return replace(report, proved=await prove_insert(session, seen.view))
    except ProofError as exc:
        finding = critical(Code.PROBE_FAILED, exc.message)
        return replace(report, findings=(*report.findings, finding))
    finally:
        if not session.conn.closed:
            await session.execute("SET default_transaction_read_only = on")


async def past_runs(settings: Settings, *, limit: int, run_id: str | None = None) -> tuple[RunRecord, ...]:
    """The newest recorded runs, newest first; one with its actions when *run_id* is given. Empty without a history."""
    async with connect(settings.dsn, read_only=True) as session:
        try:
            with translated("the run history"):
                history = await History.open(session, settings.history_table)
                return () if history is None else await read_runs(history, limit=limit, run_id=run_id)
        except HistoryError as exc:
            raise ConfigError(str(exc)) from exc
