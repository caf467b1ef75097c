"""Look at one table and change nothing: snapshot, plan, findings. Check, previews and the dashboard stand on this."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Final, Literal

from pgalmanac.actions import NO_FACTS, ActionKind, Facts
from pgalmanac.archive_manifest import Manifest
from pgalmanac.catalog import inspect
from pgalmanac.config import Settings
from pgalmanac.db import Session
from pgalmanac.ddl_structure import Structure
from pgalmanac.facts import read_facts
from pgalmanac.findings import PastRuns
from pgalmanac.model import PartitionedTable, Pin
from pgalmanac.plan import FIX_DAYS, Plan, plan_create, plan_drop, plan_fix, plan_maintain
from pgalmanac.plan_archive import plan_archive, plan_restore, target_of, with_archives
from pgalmanac.policy import Policy
from pgalmanac.recorder import Recorder
from pgalmanac.recovery import plan_pin, plan_undrop, plan_unpin
from pgalmanac.replication import read_listings
from pgalmanac.structure import read_structure
from pgalmanac.table_names import TableRef
from pgalmanac.view import View

__all__ = ["MAINTAIN", "Inspection", "Request", "full_plan", "look", "make_plan"]

_MAX_BEHIND_LAST_RUN_SECONDS: Final = 300
_MAX_CLIENT_DIFFERENCE_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: *target* is a period, range or name, *back* and *ahead* are fix's days.

    *now* drops past the trash; *into* is the table that restore fills; *reason* and *until*, the last day that it
    holds, are a pin's. Archive and restore take several targets, with a zero byte between them.
    """

    command: Literal["maintain", "fix", "create", "drop", "undrop", "pin", "unpin", "archive", "restore"]
    target: str = ""
    back: int = FIX_DAYS
    ahead: int = FIX_DAYS
    now: bool = False
    reason: str = ""
    until: date | None = None
    into: TableRef | None = None
    triggered_by: Literal["scheduler", "manual", "startup"] = "manual"
    # The partitions that somebody was shown and agreed to drop; None when nobody was asked.
    confirmed: frozenset[int] | None = None
    # systemd's id of this service run, by which the failure unit finds what it recorded.
    invocation_id: str | None = None


MAINTAIN: Final = Request(command="maintain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """One table as it is and as the request would change it. *structure* is there when something is to be created."""

    plan: Plan
    past: PastRuns
    # Why the server's clock is not to be trusted with drops, if so.
    clock: str | None
    structure: Structure | None

    @property
    def view(self) -> View:
        """The snapshot seen through the policy."""
        return self.plan.view


def make_plan(  # noqa: PLR0911  # a table of cases
    request: Request,
    table: PartitionedTable,
    policy: Policy,
    facts: Facts = NO_FACTS,
    *,
    clock: str | None = None,
    role: str = "",
    archives: Sequence[tuple[str, Manifest]] = (),
) -> Plan:
    """The plan of a request: pure, as the planners are. *clock* says why the server's clock is not to be trusted.

    *role* is who pins, *archives* what restore has to choose from.
    """
    match request.command:
        case "maintain":
            return plan_maintain(table, policy, facts, clock=clock)
        case "fix":
            return plan_fix(table, policy, facts, back=request.back, ahead=request.ahead, clock=clock)
        case "create":
            return plan_create(table, policy, facts, periods=request.target)
        case "drop":
            return plan_drop(table, policy, facts, target=request.target, clock=clock, now=request.now)
        case "undrop":
            return plan_undrop(table, policy, facts, target=request.target, by=role)
        case "pin":
            pin = Pin(reason=request.reason, until=request.until, by=role, at=table.now)
            return plan_pin(table, policy, target=request.target, pin=pin)
        case "unpin":
            return plan_unpin(table, policy, target=request.target)
        case "archive":
            return plan_archive(table, policy, facts, target=request.target)
        case "restore":
            return plan_restore(table, policy, archives, facts, target=request.target, into=request.into)


async def look(
    session: Session,
    settings: Settings,
    ref: TableRef,
    recorder: Recorder,
    *,
    request: Request = MAINTAIN,
    lock: bool = False,
    leaving: Collection[int] = (),
) -> Inspection:
    """Inspect *ref* and plan *request* for it. With *lock* under the table's advisory lock, else TableBusyError.

    A plan that wants nothing is made from the snapshot alone; another asks for the facts that it needs. For *leaving*
    see read_facts.
    """
    # Only what is carried out under the lock is reported with rows, and measured.
    table = await inspect(session, ref, lock=lock, counted=lock)
    if not lock:
        # A night with nothing to do does not ask: whoever looks is told.
        table = replace(table, listings=await read_listings(session, table))
    policy = settings.policy(table.name)
    past = await recorder.past(table)
    clock = _distrust(table.now, past, datetime.now(UTC))
    archives = await _archives(policy, table) if request.command == "restore" else ()
    plan = await full_plan(session, request, table, policy, clock=clock, archives=archives, leaving=leaving)
    if request.confirmed is not None:
        plan = plan.confirmed(request.confirmed)
    plan = with_archives(plan)
    wants = any(a.kind in {ActionKind.CREATE, ActionKind.MOVE_ROWS, ActionKind.RESTORE} for a in plan.todo)
    structure = await read_structure(session, table) if wants else None
    return Inspection(plan=plan, past=past, clock=clock, structure=structure)


async def full_plan(
    session: Session,
    request: Request,
    table: PartitionedTable,
    policy: Policy,
    *,
    clock: str | None,
    archives: Sequence[tuple[str, Manifest]] = (),
    leaving: Collection[int] = (),
) -> Plan:
    """The plan of *request* with the facts that its draft asks for; a draft that wants nothing asks nothing."""
    planned = partial(make_plan, request, table, policy, clock=clock, role=session.server.role, archives=archives)
    draft = planned()
    return planned(await read_facts(session, draft, leaving)) if draft.actions else draft


async def _archives(policy: Policy, table: PartitionedTable) -> Sequence[tuple[str, Manifest]]:
    """What the archive has of this table; the store is asked in a thread of its own."""
    from pgalmanac.archive_list import whole  # noqa: PLC0415  # loads pyarrow, for archives alone

    return await asyncio.to_thread(whole, target_of(policy), table.name)


def _distrust(now: datetime, past: PastRuns, client: datetime) -> str | None:
    """Why the server's clock *now* is not to be trusted with drops, or None. All are instants in UTC."""
    if past.last_started is not None:
        behind = (past.last_started - now).total_seconds()
        if behind > _MAX_BEHIND_LAST_RUN_SECONDS:
            return (
                f"the server's clock ({now:%Y-%m-%d %H:%M} UTC) stands before the last recorded run "
                f"({past.last_started:%Y-%m-%d %H:%M} UTC); set the clock right"
            )
    if abs((now - client).total_seconds()) >= _MAX_CLIENT_DIFFERENCE_SECONDS:
        return (
            f"the server's clock ({now:%Y-%m-%d %H:%M} UTC) and this machine's ({client:%Y-%m-%d %H:%M} UTC) "
            "are a day or more apart; set the wrong one right"
        )
    return None
