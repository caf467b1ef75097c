"""The role of docs/operations.md is enough for everything that is to be done every night, and for no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import conninfo

from pgalmanac import maintain, overview
from pgalmanac.actions import Status
from pgalmanac.config import load
from pgalmanac.doctor import Verdict, examine
from pgalmanac.errors import PrivilegeError
from pgalmanac.exporter import observe
from pgalmanac.maintain import Request
from support import add_partitions, connect, rows, today

MANUAL: Final = Path(__file__).parents[2] / "docs/operations.md"


@pytest.fixture
def as_role(database: str, make_role: Callable[..., str]) -> str:
    """Give the conninfo of the manual's role, on a table of somebody who is nobody special."""
    owner, role = make_role(), make_role()
    found = re.search(r"```sql\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    assert found is not None
    text = found[1].replace("CREATE ROLE pgalmanac LOGIN;", "")
    text = re.sub(r"\bpgalmanac\b", role, text).replace("app_owner", owner)
    with connect(database) as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {owner}; ALTER TABLE events OWNER TO {owner}".encode())
    add_partitions(database, days=range(-95, 1))
    with connect(database) as connection:
        connection.execute("CREATE TABLE other (a int); REVOKE ALL ON SCHEMA public FROM PUBLIC")
        for (name,) in rows(database, "SELECT inhrelid::regclass::text FROM pg_inherits"):
            connection.execute(f"ALTER TABLE {name} OWNER TO {owner}".encode())
        connection.execute(text.encode())
    return conninfo.make_conninfo(database, user=role)


async def test_it_can_do_everything_that_is_done_at_night(as_role: str, database: str) -> None:
    """Create, drop, record, fix with its proof, check, probe, metrics, the health function and doctor."""
    settings = load(environ={}, dsn=as_role, tables=["public.events"], config=None, demo=True)
    await maintain.initialise(settings)
    report = await maintain.perform(settings, Request(command="maintain"))

    assert 0 == report.exit_code
    assert (30, 5) == (report.tables[0].created, report.tables[0].dropped)
    assert 0 == (await maintain.perform(settings, Request(command="fix"))).exit_code
    assert (await maintain.check(settings, probe=True)).tables[0].proved is not None
    assert (await observe(settings)).tables[0].last_success is not None
    assert [] == [x for x in await examine(settings, {}) if x.verdict is Verdict.FIX]
    schema = conninfo.conninfo_to_dict(as_role)["user"]
    assert [] == rows(as_role, f"SELECT * FROM {schema}.partition_health('public.events')")
    owners = rows(database, "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname LIKE 'events%'")
    assert 1 == len(owners), "a new partition belongs to the table's owner, not to this role"


async def test_a_denied_drop_names_the_grant(as_role: str, database: str, make_role: Callable[..., str]) -> None:
    """A partition of somebody else's and a table that refers to ours: the statements are said, and they are enough."""
    role, other = conninfo.conninfo_to_dict(as_role)["user"], make_role()
    due = f"events_{today() - timedelta(days=95):%Y_%m_%d}"
    with connect(database) as connection:
        connection.execute(f"ALTER TABLE {due} OWNER TO {other}".encode())
        connection.execute("ALTER TABLE events ADD UNIQUE (event_id, timestamp)")
        connection.execute(
            "CREATE TABLE child (id uuid, at timestamp, FOREIGN KEY (id, at) REFERENCES events (event_id, timestamp))"
        )
    settings = load(environ={}, dsn=as_role, tables=["public.events"], config=None, demo=True)

    (table,) = (await maintain.perform(settings, Request(command="maintain"))).tables
    errors = [o.error or "" for o in table.outcomes if o.status is Status.FAILED]
    theirs, ours = f'GRANT "{other}" TO "{role}"', f'GRANT SELECT, UPDATE ON "public"."child" TO "{role}"'
    assert 5 == len(errors)
    assert all(ours in error for error in errors)
    assert [theirs in error for error in errors] == [True, False, False, False, False]

    with connect(database) as connection:
        connection.execute(f"{theirs}; {ours}".encode())
    (table,) = (await maintain.perform(settings, Request(command="maintain"))).tables
    assert (5, 0) == (table.dropped, table.count(Status.FAILED))
    with connect(database) as connection:
        connection.execute("DROP TABLE child")  # the roles of the test go with what they own


def test_it_can_do_no_more(as_role: str) -> None:
    """Another table in the same schema is none of its business."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(as_role, "SELECT * FROM other")


async def test_check_does_not_wait_for_the_servers_counters(database: str, make_role: Callable[..., str]) -> None:
    """PostgreSQL 14 answers for them when its statistics collector does, or after ten seconds; status wants them."""
    role = make_role()
    add_partitions(database, days=range(31))
    with connect(database) as connection:
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_stat_get_live_tuples(oid) FROM PUBLIC")
    settings = load(environ={}, dsn=conninfo.make_conninfo(database, user=role), tables=[], config=None, demo=True)

    (table,) = (await maintain.check(settings)).tables
    assert table.view is not None
    assert 31 == len(table.view.table.partitions)
    with pytest.raises(PrivilegeError, match="pg_stat_get_live_tuples"):
        await overview.status(settings)
