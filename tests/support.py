"""What tests of a real server share: connecting, the events table, its partitions and rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from time import sleep
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from pgalmanac.demo_data import EVENTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "add_default",
    "add_partitions",
    "add_rows",
    "connect",
    "create_events",
    "leave_pending",
    "partition_names",
    "rows",
    "today",
]


def connect(conninfo: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect as a test's own hand on the database: autocommit, session in UTC; use it in a with block."""
    return psycopg.connect(conninfo, autocommit=True, options="-c TimeZone=UTC")


def rows(conninfo: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return all rows of *query*."""
    with connect(conninfo) as connection:
        return connection.execute(query.encode(), parameters or None).fetchall()


def today() -> date:
    """Today in UTC; the test server runs on this machine's clock."""
    return datetime.now(UTC).date()


def create_events(conninfo: str, *, days: Iterable[int] = (), rows_a_day: int = 0, default: bool = False) -> None:
    """Create the events table with a partition for each of *days*, counted from today (-1 is yesterday).

    Each partition gets *rows_a_day* rows; *default* adds an empty default partition called events_default.
    Range is daily, on a timestamp without time zone, names are events_YYYY_MM_DD.
    """
    with connect(conninfo) as connection:
        connection.execute(EVENTS_TABLE)
    add_partitions(conninfo, days=days, rows_a_day=rows_a_day)
    if default:
        add_default(conninfo)


def add_partitions(conninfo: str, *, days: Iterable[int], rows_a_day: int = 0, parent: str = "events") -> None:
    """Add daily partitions to *parent* (an unquoted name), for days counted from today."""
    with connect(conninfo) as connection:
        with connection.transaction():
            for day in days:
                lower = today() + timedelta(days=day)
                connection.execute(
                    sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
                        sql.Identifier(f"{parent}_{lower:%Y_%m_%d}"),
                        sql.Identifier(parent),
                        str(lower),
                        str(lower + timedelta(days=1)),
                    )
                )
                if rows_a_day:
                    _insert(connection, parent, lower, rows_a_day)
        _flush(connection)


def add_default(conninfo: str, *, parent: str = "events") -> None:
    """Add the default partition, called PARENT_default."""
    with connect(conninfo) as connection:
        connection.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF {} DEFAULT").format(
                sql.Identifier(f"{parent}_default"), sql.Identifier(parent)
            )
        )


def add_rows(conninfo: str, *, day: int, count: int, parent: str = "events") -> None:
    """Insert *count* events spread evenly over the day that is *day* days from today (UTC)."""
    with connect(conninfo) as connection:
        _insert(connection, parent, today() + timedelta(days=day), count)
        _flush(connection)


def _flush(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Let the server count now what was inserted: a second later it would add that to what an ANALYZE has seen."""
    if connection.info.server_version >= 150000:  # before, a process of its own counts when it comes to it
        connection.execute(b"SELECT pg_stat_force_next_flush()")


def leave_pending(conninfo: str, name: str, *, parent: str = "events") -> None:
    """Begin to detach *name* concurrently while a reader holds *parent* (both unquoted), and give it up half-way."""
    with connect(conninfo) as reader, connect(conninfo) as detacher:
        reader.execute("BEGIN")
        reader.execute(f"SELECT FROM {parent} LIMIT 1".encode())
        detacher.pgconn.send_query(f"ALTER TABLE {parent} DETACH PARTITION {name} CONCURRENTLY".encode())
        while not rows(conninfo, "SELECT FROM pg_inherits WHERE inhdetachpending"):
            assert detacher.pgconn.is_busy(), "the detach waits for the reader"
            sleep(0.01)
            detacher.pgconn.consume_input()
        detacher.pgconn.get_cancel().cancel()
        ended = detacher.pgconn.get_result()
        assert ended is not None
        assert b"canceling statement" in ended.error_message
        assert detacher.pgconn.get_result() is None


def partition_names(conninfo: str, parent: str = "events") -> list[str]:
    """Names of the partitions of *parent* (as the search path finds it), sorted."""
    found = rows(
        conninfo,
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = %s::regclass ORDER BY 1",
        parent,
    )
    return [name for (name,) in found]


def _insert(connection: psycopg.Connection[tuple[Any, ...]], parent: str, day: date, count: int) -> None:
    connection.execute(
        sql.SQL(
            'INSERT INTO {} (event_id, event_type, event_version, "timestamp", aggregate_type,'
            " aggregate_id, data) SELECT gen_random_uuid(),"
            " (ARRAY['order.placed', 'order.paid', 'order.shipped'])[1 + n %% 3], 1,"
            " %s::timestamp + n * interval '1 day' / %s, 'order', n::text, '{{}}'"
            " FROM generate_series(0, %s - 1) n"
        ).format(sql.Identifier(parent)),
        (day, count, count),
    )
