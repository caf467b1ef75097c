"""What each contestant runs for the same work, as whole processes and as calls in a warm process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

from bench.measure import WORKER
from bench.server import Bench, ours
from bench.worker import CATALOG

RUN_PARTMAN = "SELECT partman.run_maintenance('public.events')"
OURS = "pgalmanac"
CATALOG_ONLY = "catalog query"
LEAST = "catalog query, locked and recorded"
PSQL = "psql"
PSYCOPG = "psycopg, the same statements"
PARTMAN = "pg_partman"
PARTSMITH = "pg-partsmith"
NAIVE = "naive SQL"
TRIVIAL = "a Textual application of one word"

Call = tuple[str, Sequence[str]]


def psql(bench: Bench, database: str, *words: str) -> list[str]:
    """A psql that reads no start-up file and stops at the first error."""
    return [str(bench.psql), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, *words]


def script(bench: Bench, name: str, statements: Sequence[str]) -> str:
    """The path of a file of statements for psql."""
    path = bench.folder / f"{name}.sql"
    path.write_text("".join(f"{s.rstrip(';')};\n" for s in statements), encoding="utf-8")
    return str(path)


def maintain(bench: Bench, database: str, *words: str) -> list[str]:
    """The whole command."""
    return [ours(), "--headless", "maintain", "--dsn", bench.dsn(database), *words]


def partsmith_command(bench: Bench, database: str, *, ahead: int, kept: int) -> list[str]:
    """The whole command, with a document of its own for each database."""
    path = bench.folder / f"{database}-{ahead}-{kept}.json"
    table = {
        "schema": "public",
        "table_name": "events",
        "partition_column": "ts",
        "granularity": "day",
        "create_ahead_count": ahead,
        "retention_count": kept,
    }
    path.write_text(json.dumps({"tables": [table]}), encoding="utf-8")
    program = bench.partsmith.parent / "pg-partsmith" if bench.partsmith is not None else "pg-partsmith"
    dsn = f"postgresql+psycopg://postgres@/{database}?host={bench.cluster.sockets}"
    return [str(program), "apply", "--allow-destructive", "--config", str(path), "--dsn", dsn]


def idle_processes(bench: Bench, plain: str, partman: str, partitions: int) -> dict[str, list[str]]:
    """A table with nothing to do, from nothing to the end of the process."""
    commands = {
        "import psycopg": [sys.executable, "-c", "import psycopg"],
        PSQL: psql(bench, plain, "-c", CATALOG),
        OURS: maintain(bench, plain),
        "pgalmanac check": [ours(), "check", "--dsn", bench.dsn(plain)],
    }
    if bench.has_partman:
        commands[PARTMAN] = psql(bench, partman, "-c", RUN_PARTMAN)
    if bench.partsmith is not None:
        commands[PARTSMITH] = partsmith_command(bench, plain, ahead=31, kept=partitions)
    return commands


def idle_calls(bench: Bench, plain: str, partman: str, partitions: int) -> dict[str, Call]:
    """The same from connecting to the result, in a process that has imported everything."""
    calls: dict[str, Call] = {
        CATALOG_ONLY: (sys.executable, ["statement", bench.dsn(plain), CATALOG]),
        LEAST: (sys.executable, ["least", bench.dsn(plain)]),
        OURS: (sys.executable, ["pgalmanac", bench.dsn(plain), "maintain"]),
        "pgalmanac check": (sys.executable, ["pgalmanac", bench.dsn(plain), "check"]),
    }
    if bench.has_partman:
        calls[PARTMAN] = (sys.executable, ["statement", bench.dsn(partman), RUN_PARTMAN])
    if bench.partsmith is not None:
        calls[PARTSMITH] = (str(bench.partsmith), ["partsmith", bench.dsn(plain), "31", str(partitions)])
    return calls


def same_statements(bench: Bench, database: str) -> list[str]:
    """The statements that pgalmanac would run, as a script for psql: a transaction for each action."""
    plan = json.loads(_output(maintain(bench, database, "--dry-run", "--json")))
    lines: list[str] = []
    for action in plan["tables"][0]["actions"]:
        inside = False
        for statement in action["sql"]:
            # DETACH CONCURRENTLY is not allowed in a transaction.
            alone = "CONCURRENTLY" in statement
            if inside == alone:
                lines.append("COMMIT" if inside else "BEGIN")
                inside = not inside
            lines.append(statement)
        lines += ["COMMIT"] * inside
    return lines


def _output(command: Sequence[str]) -> str:
    import subprocess  # noqa: PLC0415  # here alone

    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  # our own


def naive(bench: Bench, database: str) -> list[str]:
    """CREATE TABLE … PARTITION OF and DROP TABLE, one transaction each, as a cron job would have it."""
    import psycopg  # noqa: PLC0415  # here alone

    query = (
        "SELECT format('CREATE TABLE events_p%s PARTITION OF events FOR VALUES FROM (%L) TO (%L)', "
        "to_char(d, 'YYYY_MM_DD'), d, d + interval '1 day') "
        "FROM generate_series(now()::date::timestamptz + interval '1 day', now()::date::timestamptz "
        "+ interval '30 days', interval '1 day') d UNION ALL "
        "SELECT format('DROP TABLE events_p%s', to_char(d, 'YYYY_MM_DD')) FROM generate_series("
        "now()::date::timestamptz - interval '120 days', now()::date::timestamptz - interval '91 days', "
        "interval '1 day') d"
    )
    with psycopg.connect(bench.dsn(database), options="-c TimeZone=UTC") as connection:
        return [row[0] for row in connection.execute(query.encode())]


def changing(bench: Bench, database: str) -> dict[str, Callable[[], list[str]]]:
    """Create 30 and drop 30 of a table that is 30 days behind; each is asked for its command when it is its turn."""
    plain = f"{database}_plain"
    same = script(bench, f"{database}_same", same_statements(bench, plain))
    simple = script(bench, f"{database}_naive", naive(bench, plain))
    commands: dict[str, Callable[[], list[str]]] = {
        PSQL: lambda: psql(bench, "work", "-f", same),
        OURS: lambda: maintain(bench, "work"),
        NAIVE: lambda: psql(bench, "work", "-f", simple),
    }
    if bench.has_partman:
        commands[PARTMAN] = lambda: psql(bench, "work", "-c", RUN_PARTMAN)
    if bench.partsmith is not None:
        commands[PARTSMITH] = lambda: partsmith_command(bench, "work", ahead=31, kept=91)
    return commands


def catching_up(bench: Bench, database: str) -> dict[str, Call]:
    """The same work from connecting to the result, against the bare statements, in processes that are warm."""
    same = script(bench, f"{database}_same", same_statements(bench, f"{database}_plain"))
    return {
        PSYCOPG: (sys.executable, ["statements", bench.dsn("work"), same]),
        OURS: (sys.executable, ["pgalmanac", bench.dsn("work"), "catch up"]),
    }


def partsmith_move(bench: Bench, database: str) -> list[str]:
    """pg-partsmith's own move of the default partition's rows; it is not part of its command's maintenance."""
    return [str(bench.partsmith), str(WORKER), "once", "partsmith move", bench.dsn(database)]
