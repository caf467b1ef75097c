"""Run history: `housekeeper_runs` and one row per action, in plain tables that any SQL client reads.

An existing table of that name is used as it is, whatever the type of its id; other programs keep their rows in it.
It is written in transactions of its own, and apart from the session whose work it tells of (recorder.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

import pgalmanac
from pgalmanac.db import Session
from pgalmanac.db_errors import one_line
from pgalmanac.ddl import qualified, with_parameters
from pgalmanac.model import PartitionedTable
from pgalmanac.periods import Calendar
from pgalmanac.results import Outcome
from pgalmanac.table_names import TableName, TableRef, quote

__all__ = ["History", "HistoryError", "PruneError", "task_name"]

_REQUIRED: Final = (
    "id",
    "task_name",
    "started_at",
    "completed_at",
    "status",
    "duration_ms",
    "output",
    "error",
    "triggered_by",
    "created_at",
)
_FIND: Final[LiteralString] = """
SELECT n.nspname::text, a.attname::text, format_type(a.atttypid, NULL),
       a.atthasdef OR a.attidentity <> '',
       ARRAY(SELECT b.relname::text FROM pg_class b
              WHERE b.relnamespace = n.oid AND b.relname = ANY (%(beside)s::text[]))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relname = %(name)s AND n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'p')
   AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY array_position(%(schemas)s::text[], n.nspname::text), a.attnum
"""
_PROGRAM: Final = "pgalmanac"


_INTERRUPTED: Final[LiteralString] = """
UPDATE {runs} SET status = 'error', error = 'interrupted', completed_at = clock_timestamp(),
       duration_ms = round(EXTRACT(epoch FROM clock_timestamp() - started_at) * 1000)
 WHERE task_name = {task} AND status = 'running' AND details ->> 'program' = {program}
   AND (COALESCE(details ->> 'parent_oid', {parent}) = {parent}
        OR NOT EXISTS (SELECT FROM pg_class WHERE oid::text = details ->> 'parent_oid'));
"""
_BEGUN: Final[LiteralString] = """
SELECT id::text FROM {runs}
 WHERE task_name = {task} AND status = 'running' AND details ->> 'program' = {program}
   AND details ->> 'parent_oid' = {parent} AND started_at >= {looked} LIMIT 1
"""
# The end of a run is on the disk before anybody hears of it.
_FINISH: Final[LiteralString] = """
BEGIN; SET LOCAL synchronous_commit TO DEFAULT;
UPDATE {runs} SET status = {status}, completed_at = clock_timestamp(), error = {error}, output = {output_value},
       duration_ms = round(EXTRACT(epoch FROM clock_timestamp() - started_at) * 1000){with_details}
 WHERE id::text = {id};
"""
_PRUNE: Final[LiteralString] = """
WITH gone AS (DELETE FROM {runs} WHERE details ->> 'program' = {program}
                 AND started_at < clock_timestamp() - {keep_days} * interval '1 day' RETURNING id)
DELETE FROM {actions} WHERE run_id IN (SELECT id FROM gone);
"""
_PRUNE_STATS: Final[LiteralString] = """
DELETE FROM {stats} WHERE measured_at < clock_timestamp() - {keep_days} * interval '1 day';
"""


class HistoryError(Exception):
    """The history cannot be read or written; the sentence says why. It never ends the maintenance."""


class PruneError(HistoryError):
    """The run is recorded, and what is older than it is to be kept could not be removed: its cause says why."""


async def _is_schema(session: Session, name: str) -> bool:
    row = await (await session.execute("SELECT FROM pg_namespace WHERE nspname = %s", [name])).fetchone()
    return row is not None


def task_name(table: PartitionedTable) -> str:
    """`events-partition-maintenance`; with the schema in front when it is not the first of the search path."""
    name = table.name.name if table.on_path else f"{table.name.schema}.{table.name.name}"
    return f"{name}-partition-maintenance"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An open history. Every method raises psycopg.Error, which callers turn into the finding history_unavailable."""

    session: Session
    runs: TableName
    id_type: str
    id_has_default: bool
    output_type: str
    has_details: bool
    # Which of the tables beside it are there, by their names.
    beside: frozenset[str] = frozenset()

    @classmethod
    async def open(cls, session: Session, ref: TableRef) -> History | None:
        """The history that exists, or None where the role's first schema could have one.

        Raises HistoryError for a table of that name with other columns, and where there is no schema for one.
        """
        schemas = [ref.schema] if ref.schema is not None else list(session.server.schemas)
        if not schemas:
            raise HistoryError("the role's search path has no schema for the run history; set history.table")
        beside = [_beside(ref.name, "actions"), _beside(ref.name, "stats")]
        wanted = {"name": ref.name, "schemas": schemas, "beside": beside}
        rows = await (await session.execute(_FIND, wanted)).fetchall()
        if not rows:
            if ref.schema is not None and not await _is_schema(session, ref.schema):
                absent = f"there is no schema {quote(ref.schema)} for the run history"
                raise HistoryError(f"{absent}; create it, or set history.table")
            return None
        schema = rows[0][0]
        columns = {name: (kind, default) for found, name, kind, default, *_ in rows if found == schema}
        missing = [c for c in _REQUIRED if c not in columns]
        runs = TableName(schema=schema, name=ref.name)
        if missing:
            raise HistoryError(f"{runs} exists without the column {missing[0]}; name another table in history.table")
        return cls(
            session=session,
            runs=runs,
            id_type=columns["id"][0],
            id_has_default=columns["id"][1],
            output_type=columns["output"][0],
            has_details="details" in columns,
            beside=frozenset(rows[0][4]),
        )

    @property
    def has_actions(self) -> bool:
        """Whether the table of actions is there."""
        return self.actions.name in self.beside

    @property
    def has_stats(self) -> bool:
        """Whether the table of sizes is there."""
        return self.stats.name in self.beside

    @property
    def output_is_json(self) -> bool:
        """Whether the column `output` of somebody else's table is JSON: a text is a string there, with its quotes."""
        return self.output_type in {"json", "jsonb"}

    @property
    def actions(self) -> TableName:
        """The table of actions: `housekeeper_run_actions` beside `housekeeper_runs`."""
        return TableName(schema=self.runs.schema, name=_beside(self.runs.name, "actions"))

    @property
    def stats(self) -> TableName:
        """The table of sizes: `housekeeper_partition_stats` beside `housekeeper_runs`."""
        return TableName(schema=self.runs.schema, name=_beside(self.runs.name, "stats"))

    @property
    def tables(self) -> tuple[TableName, ...]:
        """Those of its tables that are there."""
        return self.runs, *(t for t in (self.actions, self.stats) if t.name in self.beside)

    async def begin(self, table: PartitionedTable, triggered_by: str, details: Mapping[str, Any]) -> str:
        """Write the row of a run that is about to start, close those that nobody is running any more; the new id.

        The caller holds the table's advisory lock, so that an earlier row still `running` has nobody behind it.
        """
        values = {
            "runs": qualified(self.runs),
            "task": sql.Literal(task_name(table)),
            "by": sql.Literal(triggered_by),
            "details": sql.Literal(_details(details)),
            "program": sql.Literal(_PROGRAM),
            "parent": sql.Literal(str(table.oid)),
        }
        columns: dict[str, sql.Composable] = {
            "task_name": values["task"],
            "started_at": sql.SQL("clock_timestamp()"),
            "status": sql.SQL("'running'"),
            "triggered_by": values["by"],
            "created_at": sql.SQL("clock_timestamp()"),
        }
        if not self.id_has_default:
            columns["id"] = sql.SQL("gen_random_uuid()" if self.id_type == "uuid" else "gen_random_uuid()::text")
        if self.has_details:
            columns["details"] = values["details"]
        query = sql.SQL("{close} INSERT INTO {runs} ({names}) VALUES ({columns})").format(
            close=sql.SQL(_INTERRUPTED if self.has_details else "").format(**values),
            names=sql.SQL(", ").join(map(sql.Identifier, columns)),
            columns=sql.SQL(", ").join(columns.values()),
            **values,
        )
        cursor = await self.session.execute(query + sql.SQL(" RETURNING id::text"))
        while cursor.nextset():
            pass
        row = await cursor.fetchone()
        return str(row[0]) if row else ""

    async def begun(self, table: PartitionedTable) -> str | None:
        """The id of the run that began since *table* was looked at, if its row was written though no answer came.

        The caller holds the table's advisory lock since before that look, so that it is nobody else's.
        """
        if not self.has_details:
            return None
        query = sql.SQL(_BEGUN).format(
            runs=qualified(self.runs),
            task=sql.Literal(task_name(table)),
            program=sql.Literal(_PROGRAM),
            parent=sql.Literal(str(table.oid)),
            looked=sql.Literal(table.now),
        )
        row = await (await self.session.execute(query)).fetchone()
        return None if row is None else str(row[0])

    async def record(self, run_id: str, seq: int, outcome: Outcome, calendar: Calendar) -> None:
        """Write one action, if it is not written yet; *seq* counts from 1."""
        action = outcome.action
        query = sql.SQL(
            "INSERT INTO {} (run_id, seq, action, partition, lower, upper, reason, sql, status, attempts, started_at, "
            "duration_ms, rows, bytes, sqlstate, error) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
        ).format(with_parameters(self.actions))
        lower, upper = (None if m is None else calendar.shown(m) for m in (action.bounds.lower, action.bounds.upper))
        values = [run_id, seq, action.kind, str(action.partition), lower, upper, action.reason]
        values += [";\n".join(outcome.statements) or None, outcome.status, outcome.attempts, outcome.started_at]
        values += [outcome.duration_ms, outcome.rows, outcome.bytes, outcome.sqlstate, outcome.error]
        await self.session.execute(query, values)

    async def finish(
        self, run_id: str, *, error: str | None, output: str, details: Mapping[str, Any], keep_days: int
    ) -> None:
        """Close the run, and let go of what pgalmanac wrote more than *keep_days* days ago, in one transaction.

        Where only the latter is refused the run is closed all the same, and PruneError raised: a run that nobody closed
        would be taken for interrupted.
        """
        values = {
            "runs": qualified(self.runs),
            "actions": qualified(self.actions),
            "stats": qualified(self.stats),
            "id": sql.Literal(run_id),
            "status": sql.Literal("success" if error is None else "error"),
            "error": sql.Literal(error),
            "output": sql.Literal(output),
            "details": sql.Literal(json.dumps(dict(details))),
            "program": sql.Literal(_PROGRAM),
            "keep_days": sql.Literal(keep_days),
        }
        output_value = sql.SQL("to_jsonb({output}::text)" if self.output_is_json else "{output}")
        with_details = sql.SQL(", details = COALESCE(details, '{{}}') || {details}::jsonb" if self.has_details else "")
        finish = sql.SQL(_FINISH).format(
            **values, output_value=output_value.format(**values), with_details=with_details.format(**values)
        )
        prune = sql.SQL((_PRUNE if self.has_details else "") + (_PRUNE_STATS if self.has_stats else "")).format(
            **values
        )
        try:
            await self.session.execute(finish + prune + sql.SQL("COMMIT"))
        except psycopg.Error as exc:
            await self.session.rollback()
            if self.session.conn.closed:
                raise
            await self.session.execute(finish + sql.SQL("COMMIT"))
            raise PruneError(one_line(exc)) from exc
        finally:
            await self.session.rollback()


def _beside(runs: str, what: str) -> str:
    """The name of a table beside that of the runs: housekeeper_runs has _run_actions and _partition_stats."""
    base = runs.removesuffix("runs")
    if what == "actions":
        return f"{base}run_actions" if base != runs else f"{runs}_actions"
    return f"{base}partition_stats" if base != runs else f"{runs}_partition_stats"


def _details(details: Mapping[str, Any]) -> str:
    return json.dumps({"program": _PROGRAM, "version": pgalmanac.__version__, **details})
