"""Foreign tables among the partitions, on a server that does not answer: they are in the way of nothing."""

from __future__ import annotations

import psycopg
import pytest

from pgalmanac.actions import Status
from pgalmanac.db import connect as open_session
from pgalmanac.db_errors import is_lost
from pgalmanac.findings import Code
from pgalmanac.inspection import Request
from support import partition_names, rows
from under_fire import create_log, execute, maintain, midnight

# A wrapper without a handler: whoever reads such a table gets an error, as of a server that is down.
ELSEWHERE = ("CREATE FOREIGN DATA WRAPPER nowhere", "CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere")


@pytest.fixture(params=[False, True], ids=["table", "default too"])
def log(empty_database: str, request: pytest.FixtureRequest) -> str:
    """Give a database whose log begins with a foreign table, and sends there what has no partition of its own."""
    create_log(empty_database, days=(-9, -1, 0), rows_a_day=3)
    old = f"FOR VALUES FROM ('{midnight(-99)}') TO ('{midnight(-98)}')"
    execute(empty_database, "ALTER TABLE log DROP CONSTRAINT log_pkey")  # foreign tables have no unique indexes
    execute(empty_database, *ELSEWHERE, f"CREATE FOREIGN TABLE log_old PARTITION OF log {old} SERVER nowhere")
    if request.param:
        execute(empty_database, "CREATE FOREIGN TABLE log_default PARTITION OF log DEFAULT SERVER nowhere")
    return empty_database


def test_a_run_reads_nothing_of_them(log: str) -> None:
    """Created, dropped, trashed and undone, and each run is a success; the oldest event is unknown."""
    report = maintain(log)
    (table,) = report.tables

    assert (report.exit_code, table.created, table.dropped) == (0, 3, 1)
    assert [o.error for o in table.outcomes if o.status is Status.SKIPPED] == [
        "it is a foreign table, which DROP TABLE does not drop"
    ]
    assert table.statistics is not None
    assert (table.statistics.oldest_event, table.statistics.newest_event is not None) == (None, True)
    assert rows(log, "SELECT status FROM housekeeper_runs") == [("success",)]

    name = f"log_{midnight(-1):%Y_%m_%d}"
    assert maintain(log, request=Request(command="drop", target=name), grace_days=1).exit_code == 0
    assert name not in partition_names(log, "log")
    assert maintain(log).exit_code == 0
    assert maintain(log, request=Request(command="undrop", target=name)).exit_code == 0
    assert rows(log, f"SELECT count(*) FROM {name}") == [(3,)]
    assert Code.STRAY_ROWS not in {f.code for f in maintain(log).tables[0].findings}


async def test_what_another_server_did_not_answer_is_no_lost_connection(empty_database: str) -> None:
    """A foreign server that is not to be reached is 08001 too, and one that stops 57P01: of severity ERROR."""
    async with open_session(empty_database) as session:
        for state in ("08001", "57P01"):
            with pytest.raises(psycopg.Error) as elsewhere:
                await session.execute(f"DO $$ BEGIN RAISE 'no answer' USING ERRCODE = '{state}'; END $$")
            assert elsewhere.value.sqlstate == state
            assert not is_lost(elsewhere.value)
        with pytest.raises(psycopg.Error) as here:
            await session.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        assert is_lost(here.value)
