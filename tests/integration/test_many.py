"""Many tables, many partitions, many drops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

import pytest

from pgalmanac import exporter, inspection
from pgalmanac import maintain as maintain_module
from pgalmanac.actions import Status
from pgalmanac.inspection import Request
from pgalmanac.model import Interval
from pgalmanac.pgserver import temporary_cluster
from support import connect
from under_fire import create_log, execute, maintain, midnight, settings, todo

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pgalmanac.config import Settings
    from pgalmanac.db import Session
    from pgalmanac.table_names import TableRef

TABLES: Final = 200
# What a server has when nobody changes it; a transaction that locks thousands of relations fails on it.
SETTINGS: Final = {
    "fsync": "off",
    "max_locks_per_transaction": "64",
    "max_connections": "20",
    "autovacuum": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}


@pytest.fixture
def small_server(pg_binaries: Path) -> Generator[str]:
    """Give a server with the lock table that PostgreSQL has by default."""
    with temporary_cluster(binaries=pg_binaries, settings=SETTINGS) as cluster:
        yield cluster.conninfo()


def _hours(conninfo: str, first: int, count: int) -> None:
    """Give `log` *count* hourly partitions from *first* hours after midnight, a few hundred a transaction."""
    with connect(conninfo) as connection:
        for start in range(first, first + count, 500):
            connection.execute(
                "DO $$ BEGIN FOR n IN {start}..{end} LOOP EXECUTE format('CREATE TABLE %I (LIKE log INCLUDING ALL)',"
                " 'log_' || to_char('{day}'::timestamptz + n * interval '1 hour', 'YYYY_MM_DD_HH24'));"
                " EXECUTE format('ALTER TABLE log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',"
                " 'log_' || to_char('{day}'::timestamptz + n * interval '1 hour', 'YYYY_MM_DD_HH24'),"
                " '{day}'::timestamptz + n * interval '1 hour', '{day}'::timestamptz + (n + 1) * interval '1 hour');"
                " END LOOP; END $$".format(
                    start=start, end=min(start + 500, first + count) - 1, day=midnight()
                ).encode()
            )


def test_one_broken_table_of_many_stops_no_other(empty_database: str) -> None:
    """Twenty tables, one of which is no partitioned table, one is not there, one has a trigger that forbids DDL."""
    names = [f"t{n:02}" for n in range(20)]
    for name in names:
        if name == "t07":
            execute(empty_database, f"CREATE TABLE {name} (ts timestamptz)")
        elif name != "t13":
            create_log(empty_database, table=name)
    execute(
        empty_database,
        "CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN IF EXISTS (SELECT FROM"
        " pg_event_trigger_ddl_commands() WHERE object_identity LIKE ''%t03_%'') THEN RAISE ''no t03''; END IF; END'",
        "CREATE EVENT TRIGGER forbid ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION forbid()",
    )

    report = maintain(empty_database, *names)

    broken = {t.table for t in report.tables if t.failed}
    assert report.exit_code == 1
    assert {"t07", "t13", "public.t03"} == broken
    assert [4] * 17 == [t.created for t in report.tables if not t.failed]


@pytest.mark.slow
def test_two_hundred_tables_in_one_run(small_server: str) -> None:
    """200 tables, one of them broken: 199 are maintained, and a second run finds nothing to do."""
    names = [f"t{n:03}" for n in range(TABLES)]
    for name in names:
        if name != "t100":
            create_log(small_server, days=(-9,), table=name, default=name.endswith("5"))

    first = maintain(small_server, *names)
    second = maintain(small_server, *names)

    assert first.exit_code == 1
    assert [TABLES - 1] == [sum(1 for t in first.tables if (t.created, t.dropped) == (4, 1))]
    assert [0] * TABLES == [len(t.outcomes) for t in second.tables]


@pytest.mark.slow
@pytest.mark.parametrize(("partitions", "default"), [(10_000, False), (5_300, True)])
def test_thousands_of_partitions_and_five_thousand_drops(
    small_server: str,
    partitions: int,
    default: bool,  # noqa: FBT001  # pytest passes it by name
) -> None:
    """With 64 locks a transaction: what is missing is created, what is due dropped, and 5,000 more on purpose.

    Making them takes minutes: PostgreSQL reads all bounds again for each partition that is attached.
    """
    create_log(small_server, default=default)
    _hours(small_server, 24 - partitions, partitions)
    hours: dict[str, Any] = {"interval": Interval.HOURLY, "premake_days": 1}
    days = (partitions - 24) // 24
    less = days - 5000 // 24 - 1

    first = maintain(small_server, **hours, retention_days=days)
    held = maintain(small_server, **hours, retention_days=less)
    allowed = maintain(small_server, **hours, retention_days=less, max_drops=6000)

    due = held.tables[0].count(Status.REFUSED)
    assert first.exit_code == 0, [o.error for o in first.tables[0].outcomes if o.error][:3]
    assert (24, (partitions - 24) % 24) == (first.tables[0].created, first.tables[0].dropped)
    assert held.exit_code == 1
    assert 5000 <= due < 5100
    assert allowed.exit_code == 0, [o.error for o in allowed.tables[0].outcomes if o.error][:3]
    assert due == allowed.tables[0].dropped
    assert todo(small_server, **hours, retention_days=less) == []


def test_the_fuse_counts_every_drop_of_a_run(empty_database: str) -> None:
    """One more than the fuse allows: none goes, creating goes on, and the message says which command allows it."""
    create_log(empty_database, days=range(-20, 1), rows_a_day=1)

    report = maintain(empty_database, max_drops=14)
    allowed = maintain(empty_database, max_drops=15)

    refused = [o for o in report.tables[0].outcomes if o.status is Status.REFUSED]
    assert (1, 0, 3) == (report.exit_code, report.tables[0].dropped, report.tables[0].created)
    assert len(refused) == 15
    assert "--max-drops 15" in (refused[0].error or "")
    assert allowed.tables[0].dropped == 15


def test_a_range_of_a_thousand_days_by_hand(empty_database: str) -> None:
    """The command create takes a range up to max_creates, in one transaction each."""
    create_log(empty_database, days=(0,))
    target = f"{midnight(1):%Y-%m-%d}..{midnight(60):%Y-%m-%d}"

    report = maintain(empty_database, request=Request(command="create", target=target))

    assert report.exit_code == 0
    assert report.tables[0].created == 60


@pytest.mark.parametrize("way", ["check", "preview", "metrics"])
@pytest.mark.parametrize(
    ("meanwhile", "error"),
    [
        ("BEGIN; SELECT FROM public.renamed_by_now", "renamed_by_now"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "the connection was lost"),
    ],
)
async def test_what_becomes_of_one_table_breaks_no_other(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, meanwhile: LiteralString, error: str, way: str
) -> None:
    """Somebody renames a table between two statements of a look at it, or ends the session: one table has an error."""
    create_log(empty_database, days=(0,), table="first")
    create_log(empty_database, days=(0,), table="second")
    module = exporter if way == "metrics" else maintain_module
    look = inspection.look

    async def renamed(session: Session, wanted: Settings, ref: TableRef, *args: Any, **more: Any) -> Any:  # noqa: ANN401  # what look takes
        if str(ref).endswith("first"):
            await session.execute(meanwhile)
        return await look(session, wanted, ref, *args, **more)

    monkeypatch.setattr(module, "look", renamed)
    wanted = settings(empty_database, "first", "second")
    if way == "metrics":
        first, second = (t.report for t in (await exporter.observe(wanted)).tables)
    elif way == "check":
        first, second = (await maintain_module.check(wanted)).tables
    else:
        first, second = (await maintain_module.preview(wanted, Request(command="maintain"))).tables

    assert error in str(first.error)
    assert second.error is None
