"""One contestant inside a warm process: a line on stdin is a call, its milliseconds go to stdout.

Run by the contestant's own interpreter; imports only what that contestant has.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

CATALOG = (
    "SELECT c.oid, n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
    "JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE i.inhparent = 'public.events'::regclass"
)


def statement(dsn: str, query: str) -> Callable[[], object]:
    """Connect, run one statement, read its rows, disconnect."""
    import psycopg  # noqa: PLC0415  # not every contestant has it

    def call() -> object:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    return call


def pgalmanac(dsn: str, command: str) -> Callable[[], object]:
    """The use case from connecting to the report."""
    import asyncio  # noqa: PLC0415  # as above
    from dataclasses import replace  # noqa: PLC0415

    from pgalmanac import maintain  # noqa: PLC0415
    from pgalmanac.config import Counting, load  # noqa: PLC0415
    from pgalmanac.inspection import MAINTAIN  # noqa: PLC0415

    settings = load(environ={"PGALMANAC_RETENTION_DAYS": "forever"}, dsn=dsn)
    calls = {
        "maintain": lambda: maintain.perform(settings, MAINTAIN),
        "check": lambda: maintain.check(settings),
        "count": lambda: maintain.status(replace(settings, counts=Counting(cache=False)), exact=True),
        "count again": lambda: maintain.status(settings, exact=True),
    }

    def call() -> object:
        report = asyncio.run(calls[command]())
        if any(table.error is not None for table in report.tables):
            raise SystemExit(str(report.tables[0].error))
        return report

    return call


def partsmith(dsn: str, ahead: str, kept: str) -> Callable[[], object]:
    """pg-partsmith's synchronous maintenance, with an engine that connects anew."""
    return _partsmith(dsn, int(ahead), int(kept), move=False)


def partsmith_move(dsn: str) -> Callable[[], object]:
    """pg-partsmith's own way of moving the default partition's rows."""
    return _partsmith(dsn, 2, 4, move=True)


def _partsmith(dsn: str, ahead: int, kept: int, *, move: bool) -> Callable[[], object]:
    from pg_partsmith import PartitionGranularity, TablePartitionConfig  # type: ignore[import-not-found]  # noqa: PLC0415  # its venv alone has it
    from pg_partsmith.sync import (  # noqa: PLC0415
        PartitionLifecycleService,
        PartitionMaintainer,
        PostgresAdvisoryLockManager,
        PostgresMetadataProvider,
        PostgresPartitionRepository,
    )
    from sqlalchemy import create_engine  # noqa: PLC0415

    config = TablePartitionConfig(
        schema="public",
        table_name="events",
        partition_column="ts",
        granularity=PartitionGranularity.DAY,
        create_ahead_count=ahead,
        retention_count=kept,
    )

    def call() -> object:
        import psycopg  # noqa: PLC0415

        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
        try:
            service = PartitionLifecycleService(
                repo=PostgresPartitionRepository(engine),
                metadata=PostgresMetadataProvider(engine),
                locks=PostgresAdvisoryLockManager(engine),
            )
            if move:
                return service.partition_data(config)
            result = PartitionMaintainer(service).run_maintenance_safe(config)
        finally:
            engine.dispose()
        if result.issues:
            raise SystemExit(str(result.issues))
        return result

    return call


KINDS: dict[str, Callable[..., Callable[[], object]]] = {
    "statement": statement,
    "pgalmanac": pgalmanac,
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
    for _ in sys.stdin:
        began = time.perf_counter()
        call()
        print(f"{(time.perf_counter() - began) * 1000:.3f}", flush=True)  # noqa: T201  # this is the answer


if __name__ == "__main__":
    main()
