"""What the adversarial tests share: a small table, maintenance in this process, and a complete description of a table.

The description (`shape`) reads the catalog with statements of its own, so that it cannot repeat a mistake of
pgalmanac's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from pgalmanac.actions import Status
from pgalmanac.config import Layer, Settings
from pgalmanac.inspection import Request
from pgalmanac.maintain import perform, preview
from pgalmanac.table_names import TableRef
from support import connect, rows

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from pgalmanac.results import RunReport

__all__ = [
    "LOG_TABLE",
    "MARK",
    "Shape",
    "age",
    "create_log",
    "execute",
    "log_partition",
    "maintain",
    "midnight",
    "mounted",
    "planned",
    "relations",
    "settings",
    "shape",
    "todo",
]

# Small, and with everything that a move of rows has to get right: a key, a default, text that may be TOASTed.
LOG_TABLE: Final = """
CREATE TABLE log (
    id bigint NOT NULL,
    ts timestamptz NOT NULL,
    note text NOT NULL DEFAULT 'n',
    PRIMARY KEY (id, ts)
) PARTITION BY RANGE (ts)
"""
MARK: Final = "pgalmanac-mark: "


def midnight(day: int = 0) -> datetime:
    """The beginning, in UTC, of the day that is *day* days from today."""
    now = datetime.now(UTC)
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=day)


def execute(conninfo: str, *statements: str) -> None:
    """Run each statement by itself, in autocommit."""
    with connect(conninfo) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def create_log(
    conninfo: str, *, days: Iterable[int] = (), rows_a_day: int = 0, default: bool = False, table: str = "log"
) -> None:
    """Create `log` (or *table*) with daily partitions for *days* from today, each with *rows_a_day* rows.

    Ids are unique over the whole table: 1,000,000 times the day plus a number.
    """
    with connect(conninfo) as connection:
        connection.execute(LOG_TABLE.replace("TABLE log", f"TABLE {table}").encode())
        if default:
            connection.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT".encode())
    log_partition(conninfo, *days, rows_a_day=rows_a_day, table=table)


def log_partition(conninfo: str, *days: int, rows_a_day: int = 0, table: str = "log") -> None:
    """Add daily partitions to a table made by create_log."""
    with connect(conninfo) as connection, connection.transaction():
        for day in days:
            lower, upper = midnight(day), midnight(day + 1)
            connection.execute(
                sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
                    sql.Identifier(f"{table}_{lower:%Y_%m_%d}"), sql.Identifier(table), str(lower), str(upper)
                )
            )
            if rows_a_day:
                connection.execute(
                    sql.SQL(
                        "INSERT INTO {} (id, ts) SELECT {}::bigint * 1000000 + n, {}::timestamptz + n * interval '1 s' "
                        "FROM generate_series(1, {}) n"
                    ).format(sql.Identifier(table), day, str(lower), rows_a_day)
                )


def settings(conninfo: str, *tables: str, **policy: Any) -> Settings:  # noqa: ANN401  # a policy's fields are of many types
    """Settings for *tables* (default: log) as the configuration would make them, with *policy* for all of them."""
    refs = tuple(TableRef.parse(t) for t in tables or ("log",))
    values = {"premake_days": 3, "retention_days": 5, "retry_seconds": 5, **policy}
    return Settings(dsn=conninfo, requested=refs, flags=Layer(values=values))


def maintain(conninfo: str, *tables: str, request: Request | None = None, **policy: Any) -> RunReport:  # noqa: ANN401  # as above
    """One run in this process."""
    wanted = request or Request(command="maintain")
    return asyncio.run(perform(settings(conninfo, *tables, **policy), wanted))


def planned(conninfo: str, *tables: str, request: Request | None = None, **policy: Any) -> RunReport:  # noqa: ANN401  # as above
    """What a run would do."""
    wanted = request or Request(command="maintain")
    return asyncio.run(preview(settings(conninfo, *tables, **policy), wanted))


def age(conninfo: str, name: str, days: int, schema: str = "pgalmanac_trash") -> None:
    """Let *days* pass for a table in the trash: its mark says that its grace ends that much earlier."""
    table = f"{schema}.{name}"
    ((comment,),) = rows(conninfo, "SELECT obj_description(%s::regclass)", table)
    for offset in range(-40, 40):
        moment = midnight(offset)
        comment = comment.replace(
            f'"keep_until": "{moment.isoformat()}"', f'"keep_until": "{(moment - timedelta(days=days)).isoformat()}!"'
        )
    execute(conninfo, f"COMMENT ON TABLE {table} IS $c${comment.replace('!', '')}$c$")


def todo(conninfo: str, *tables: str, **policy: Any) -> list[str]:  # noqa: ANN401  # as above
    """What the next run would still try, as text: empty after a run that converged."""
    report = planned(conninfo, *tables, **policy)
    return [
        f"{o.action.kind} {o.action.partition}" for t in report.tables for o in t.outcomes if o.status is Status.PLANNED
    ]


@contextmanager
def mounted(folder: Path, options: str) -> Generator[None]:
    """A tmpfs on *folder*. Raises PermissionError where it may not be: only root mounts, and not in every container."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        raise PermissionError("only root can mount a small file system")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise PermissionError(f"this container may not mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run([umount, folder], check=True)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A partitioned table and its surroundings: partitions with bounds, all relations, all rows, marks left behind."""

    partitions: tuple[tuple[str, str, bool], ...]
    relations: tuple[tuple[str, str], ...]
    rows: tuple[int, int | None]
    marks: int


def relations(conninfo: str) -> tuple[tuple[str, str], ...]:
    """Every table, index, sequence and view of the user, with its kind, whatever its schema."""
    return tuple(
        (str(name), str(kind))
        for name, kind in rows(
            conninfo,
            "SELECT c.oid::regclass, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY c.oid::regclass::text",
        )
    )


def shape(conninfo: str, table: str = "log") -> Shape:
    """Describe *table* completely enough that two equal descriptions mean: nothing lost, doubled or left behind."""
    partitions = rows(
        conninfo,
        "SELECT c.oid::regclass::text, pg_get_expr(c.relpartbound, c.oid), i.inhdetachpending FROM pg_inherits i"
        " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass ORDER BY 1",
        table,
    )
    ((count, total),) = rows(conninfo, f"SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {table} t")
    ((marks,),) = rows(conninfo, "SELECT count(*) FROM pg_description WHERE strpos(description, %s) > 0", MARK)
    return Shape(
        partitions=tuple((str(n), str(b), bool(p)) for n, b, p in partitions),
        relations=relations(conninfo),
        rows=(int(count), None if total is None else int(total)),
        marks=int(marks),
    )
