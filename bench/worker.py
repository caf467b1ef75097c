"""One contestant inside a warm process: a line on stdin is a call, its milliseconds go to stdout.

Run by the contestant's own interpreter; imports only what that contestant has.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

CATALOG = (
    "SELECT c.oid, n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
    "JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE i.inhparent = 'public.events'::regclass"
)


def statement(dsn: str, query: str) -> Callable[[], object]:
    """Connect, run one statement, read its rows, disconnect."""
    import psycopg

    def call() -> object:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    return call


def least(dsn: str) -> Callable[[], object]:
    """The catalog query under a lock, the last run, oldest and newest event, and a row for this run; nothing is judged.

    Below this no run can go that two must not do at once, that is recorded, and that reports what there is.
    """
    import psycopg
    from psycopg import sql

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS least_runs (task text, started_at timestamptz, status text)")

    def call() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SELECT pg_try_advisory_lock('public.events'::regclass::oid::int8)")
            names = sorted(name for _, _, name, _ in connection.execute(CATALOG.encode()).fetchall())
            connection.execute("SELECT max(started_at) FROM least_runs WHERE task = 'events' AND status = 'success'")
            edges = sql.SQL("SELECT (SELECT min(ts) FROM {}), (SELECT max(ts) FROM {})")
            connection.execute(edges.format(sql.Identifier(names[0]), sql.Identifier(names[-1])))
            connection.execute("INSERT INTO least_runs VALUES ('events', now(), 'success')")

    return call


def statements(dsn: str, path: str) -> Callable[[], object]:
    """Connect, run a file's statements, one a line, each in a message of its own, disconnect."""
    import psycopg  # not every contestant has it

    lines = Path(path).read_bytes().splitlines()

    def call() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for line in lines:
                connection.execute(line)

    return call


def pgalmanac(dsn: str, command: str) -> Callable[[], object]:
    """The use case from connecting to the report."""
    import asyncio
    from dataclasses import replace

    from pgalmanac import maintain, overview
    from pgalmanac.config import Counting, load
    from pgalmanac.inspection import MAINTAIN

    named = {"PGALMANAC_TABLE": "public.events", "PGALMANAC_RETENTION_DAYS": "forever"}
    settings = load(environ=named, dsn=dsn)
    dropping = load(environ={"PGALMANAC_TABLE": "public.events"}, dsn=dsn)
    calls = {
        "maintain": lambda: maintain.perform(settings, MAINTAIN),
        "catch up": lambda: maintain.perform(dropping, MAINTAIN),
        "check": lambda: maintain.check(settings),
        "count": lambda: overview.status(replace(settings, counts=Counting(cache=False)), exact=True),
        "count again": lambda: overview.status(settings, exact=True),
    }

    def call() -> object:
        report = asyncio.run(calls[command]())
        if any(table.error is not None for table in report.tables):
            raise SystemExit(str(report.tables[0].error))
        return report

    return call


def pgalmanac_open(dsn: str) -> Callable[[], object]:
    """Exact counts in a session that is open already and has seen the table, as the dashboard asks for them."""
    import asyncio
    import atexit
    from contextlib import AsyncExitStack

    from pgalmanac import counts
    from pgalmanac.catalog import inspect
    from pgalmanac.config import load
    from pgalmanac.db import connect
    from pgalmanac.estimates import estimates
    from pgalmanac.table_names import TableRef
    from pgalmanac.view import view

    settings = load(environ={"PGALMANAC_TABLE": "public.events", "PGALMANAC_RETENTION_DAYS": "forever"}, dsn=dsn)
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()
    atexit.register(lambda: loop.run_until_complete(stack.aclose()))
    session = loop.run_until_complete(stack.enter_async_context(connect(dsn, read_only=True)))
    table = loop.run_until_complete(inspect(session, TableRef.parse("public.events")))
    seen = view(table, settings.policy(table.name))
    estimated = loop.run_until_complete(estimates(session, seen))

    async def count() -> None:
        async for found in counts.exact(session, seen, estimated, options=settings.counts, dsn=dsn):
            if not found.exact:
                raise SystemExit(f"{found.name} was not counted: {found.error}")

    return lambda: loop.run_until_complete(count())


def partsmith(dsn: str, ahead: str, kept: str) -> Callable[[], object]:
    """pg-partsmith's synchronous maintenance, with an engine that connects anew."""
    return _partsmith(dsn, int(ahead), int(kept), move=False)


def partsmith_move(dsn: str) -> Callable[[], object]:
    """pg-partsmith's own way of moving the default partition's rows."""
    return _partsmith(dsn, 2, 4, move=True)


def _partsmith(dsn: str, ahead: int, kept: int, *, move: bool) -> Callable[[], object]:
    # By name: only its own venv has them, and not the one that checks types.
    settings: Any = import_module("pg_partsmith")
    parts: Any = import_module("pg_partsmith.sync")
    sqlalchemy: Any = import_module("sqlalchemy")

    config = settings.TablePartitionConfig(
        schema="public",
        table_name="events",
        partition_column="ts",
        granularity=settings.PartitionGranularity.DAY,
        create_ahead_count=ahead,
        retention_count=kept,
    )

    def call() -> object:
        import psycopg

        engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
        try:
            service = parts.PartitionLifecycleService(
                repo=parts.PostgresPartitionRepository(engine),
                metadata=parts.PostgresMetadataProvider(engine),
                locks=parts.PostgresAdvisoryLockManager(engine),
            )
            if move:
                return service.partition_data(config)
            result = parts.PartitionMaintainer(service).run_maintenance_safe(config)
        finally:
            engine.dispose()
        if result.issues:
            raise SystemExit(str(result.issues))
        return result

    return call


KINDS: dict[str, Callable[..., Callable[[], object]]] = {
    "statement": statement,
    "least": least,
    "statements": statements,
    "pgalmanac": pgalmanac,
    "pgalmanac open": pgalmanac_open,
    "partsmith": partsmith,
    "partsmith move": partsmith_move,
}


def main() -> None:
    """Answer until stdin ends."""
    kind, *words = sys.argv[1:]
    if kind == "once":
        KINDS[words[0]](*words[1:])()
        return
    call = KINDS[kind](*words)
    call()
    print("ready", flush=True)  # noqa: T201  # whoever asks waits for it
    for _ in sys.stdin:
        began = time.perf_counter()
        call()
        print(f"{(time.perf_counter() - began) * 1000:.3f}", flush=True)  # noqa: T201  # this is the answer


if __name__ == "__main__":
    main()
