"""What the history says: its rows, newest first, and what the runs so far tell those who look at a table now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg import sql

from pgalmanac.ddl import with_parameters
from pgalmanac.findings import PastRuns
from pgalmanac.history import History, task_name
from pgalmanac.model import PartitionedTable

__all__ = ["ActionRecord", "RunRecord", "past_runs", "read_runs"]


# A successful run of a table of that name that is no more.
_OF_ANOTHER: Final[LiteralString] = """
SELECT FROM {runs}
 WHERE task_name = %(task)s AND status::text = 'success' AND COALESCE(details ->> 'command', 'maintain') = 'maintain'
   AND NOT EXISTS (SELECT FROM pg_class WHERE oid::text = details ->> 'parent_oid') LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """One row of housekeeper_run_actions; moments are instants in UTC."""

    run_id: str
    seq: int
    action: str
    partition: str
    lower: datetime | None
    upper: datetime | None
    reason: str
    sql: str | None
    status: str
    attempts: int
    started_at: datetime | None
    duration_ms: float | None
    rows: int | None
    bytes: int | None
    sqlstate: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One row of housekeeper_runs; moments are instants in UTC. *actions* only where one run was asked for."""

    id: str
    task_name: str
    started_at: datetime
    completed_at: datetime | None
    status: str
    duration_ms: float | None
    output: str | None
    error: str | None
    triggered_by: str | None
    created_at: datetime | None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    actions: tuple[ActionRecord, ...] = ()


async def past_runs(history: History, table: PartitionedTable) -> PastRuns:
    """What diagnosing needs to know of the runs of *table*.

    A task's name has a schema only where that is not the first of the role's search path: a table of the same name
    in the first schema of somebody else's has the same, and is told apart by the row's details.
    """
    details = sql.SQL("details" if history.has_details else "NULL::jsonb AS details")
    ours = sql.SQL("COALESCE(details ->> 'parent_oid', %(parent)s) = %(parent)s" if history.has_details else "true")
    maintained = sql.SQL("COALESCE(details ->> 'command', 'maintain') = 'maintain'" if history.has_details else "true")
    query = sql.SQL(
        "WITH r AS (SELECT started_at, completed_at, status::text AS status, error::text AS error, {details}, "
        "{ours} AS ours FROM {runs} WHERE task_name = %(task)s) "
        "SELECT (SELECT max(started_at)::timestamptz FROM r), "
        "(SELECT max(COALESCE(completed_at, started_at))::timestamptz FROM r "
        " WHERE ours AND status = 'success' AND {maintained}), "
        "(SELECT CASE status WHEN 'error' THEN COALESCE(error, 'no reason was recorded') END FROM r "
        " WHERE ours AND status <> 'running' AND {maintained} ORDER BY started_at DESC LIMIT 1), "
        "(SELECT details FROM r WHERE ours AND status IN ('success', 'error') AND details ? 'partitions' "
        " ORDER BY started_at DESC LIMIT 1)"
    ).format(details=details, ours=ours, runs=with_parameters(history.runs), maintained=maintained)
    wanted = {"task": task_name(table), "parent": str(table.oid)}
    row = await (await history.session.execute(query, wanted)).fetchone()
    started, success, failed, last = row or (None, None, None, None)
    is_new = False
    if success is None and started is not None and history.has_details:
        query = sql.SQL(_OF_ANOTHER).format(runs=with_parameters(history.runs))
        is_new = await (await history.session.execute(query, wanted)).fetchone() is not None
    known: dict[str, Any] = last or {}
    until = known.get("covered_until")
    return PastRuns(
        last_started=started,
        last_success=success,
        table_is_new=is_new,
        last_failed=failed,
        covered_until=datetime.fromisoformat(until) if until else None,
        partitions=known.get("partitions"),
    )


async def read_runs(
    history: History, *, limit: int, run_id: str | None = None, task: str | None = None
) -> tuple[RunRecord, ...]:
    """The newest *limit* runs, newest first, of every table or of one *task*; or one run with its actions."""
    query = sql.SQL(
        "SELECT id::text, task_name::text, started_at::timestamptz, completed_at::timestamptz, status::text, "
        "duration_ms::float8, {output} AS output, error::text, triggered_by::text, created_at::timestamptz, "
        "COALESCE({details}, '{{}}') AS details "
        "FROM {runs} "
        "WHERE (%(id)s::text IS NULL OR id::text = %(id)s) AND (%(task)s::text IS NULL OR task_name = %(task)s) "
        "ORDER BY started_at DESC, id DESC LIMIT %(limit)s"
    ).format(
        output=sql.SQL("output #>> '{}'" if history.output_is_json else "output::text"),
        details=sql.SQL("details" if history.has_details else "NULL::jsonb"),
        runs=with_parameters(history.runs),
    )
    found = await _named(history, query, {"id": run_id, "task": task, "limit": limit})
    actions = await _actions_of(history, run_id) if run_id is not None and found else ()
    return tuple(RunRecord(**row, actions=actions) for row in found)


async def _actions_of(history: History, run_id: str) -> tuple[ActionRecord, ...]:
    if not history.has_actions:
        return ()
    query = sql.SQL(
        "SELECT run_id::text, seq, action, partition, lower, upper, reason, sql, status, attempts, started_at, "
        "duration_ms, rows, bytes, sqlstate, error FROM {} WHERE run_id::text = %s ORDER BY seq"
    ).format(with_parameters(history.actions))
    return tuple(ActionRecord(**row) for row in await _named(history, query, [run_id]))


async def _named(history: History, query: sql.Composed, params: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # psycopg's own type of parameters
    """The rows by the names of their columns, which are those of the records."""
    cursor = await history.session.execute(query, params)
    names = [c.name for c in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
