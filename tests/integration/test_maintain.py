"""A whole run on a real server: inspect, plan, apply, record, and look again."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pgalmanac import catalog, discovery, maintain, overview
from pgalmanac.actions import ActionKind, Status
from pgalmanac.config import Layer, Settings
from pgalmanac.errors import ConfigError, PgalmanacError, PrivilegeError
from pgalmanac.exporter import observe
from pgalmanac.findings import Code
from pgalmanac.maintain import Request
from pgalmanac.report_text import report_text
from pgalmanac.results import RunReport, TableReport
from pgalmanac.table_names import TableRef
from support import (
    add_default,
    add_partitions,
    add_rows,
    connect,
    create_events,
    leave_pending,
    partition_names,
    rows,
    today,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAINTAIN = Request(command="maintain")
EVENTS, PUBLIC_EVENTS = TableRef(name="events"), TableRef(schema="public", name="events")


async def run(conninfo: str, request: Request = MAINTAIN, **settings: object) -> TableReport:
    """Perform the request on the only table there is and return its report."""
    report = await maintain.perform(Settings(dsn=conninfo, **settings), request)  # type: ignore[arg-type]  # what a test changes
    return report.tables[0]


def days(first: int, last: int) -> list[str]:
    """Names of the daily partitions from *first* to *last*, both included, counted from today."""
    return [f"events_{today() + timedelta(days=d):%Y_%m_%d}" for d in range(first, last + 1)]


async def test_a_fresh_table_gets_today_and_thirty_days(database: str) -> None:
    """The failure that pgalmanac exists to prevent: today has a partition now, and an insert finds it."""
    report = await run(database)
    add_rows(database, day=0, count=3)

    assert (report.created, report.dropped, report.failed) == (31, 0, False)
    assert partition_names(database) == days(0, 30)
    assert report.findings == ()


async def test_the_second_run_changes_nothing_and_is_recorded(database: str) -> None:
    """Idempotent on a real server, and the history tells both."""
    await run(database)
    before = partition_names(database)
    report = await run(database)
    story = rows(
        database,
        "SELECT status, triggered_by, output FROM housekeeper_runs"
        " WHERE task_name = 'events-partition-maintenance' ORDER BY started_at DESC LIMIT 10",
    )

    assert report.outcomes == ()
    assert partition_names(database) == before
    assert story == [
        ("success", "manual", "public.events: 0 created, 0 dropped"),
        ("success", "manual", "public.events: 31 created, 0 dropped"),
    ]


@pytest.mark.parametrize("default", [False, True])
async def test_past_retention_goes_and_the_rest_stays(database: str, default: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """With and without a default partition, which decides how a partition is detached."""
    add_partitions(database, days=range(-100, 31), rows_a_day=2)
    if default:
        add_default(database)
    report = await run(database)
    kept = [n for n in partition_names(database) if n != "events_default"]

    assert (report.created, report.dropped, report.failed) == (0, 10, False)
    assert kept == days(-90, 30)
    assert rows(database, "SELECT count(*) FROM events") == [(2 * 121,)]
    assert rows(
        database,
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'events_20%' AND NOT relispartition AND relkind = 'r'",
    ) == [(0,)]


async def test_gaps_are_filled_and_stray_rows_moved(database: str) -> None:
    """Rows that came while their day was missing are in their partition afterwards, every one of them."""
    add_partitions(database, days=[*range(-20, -7), *range(-6, 5)])
    add_default(database)
    add_rows(database, day=-7, count=100)
    add_rows(database, day=9, count=50)
    report = await run(database)

    assert (report.created, report.moved_rows) == (27, 150)
    assert rows(database, "SELECT count(*) FROM events") == [(150,)]
    assert rows(database, "SELECT count(*) FROM ONLY events_default") == [(0,)]
    assert rows(database, f"SELECT count(*) FROM {days(-7, -7)[0]}") == [(100,)]


async def test_a_dry_run_changes_and_records_nothing(database: str) -> None:
    """The statements are shown, and neither a partition nor a history table is made."""
    report = await maintain.preview(Settings(dsn=database), MAINTAIN)
    outcome = report.tables[0].outcomes[0]

    assert {o.status for o in report.tables[0].outcomes} == {Status.PLANNED}
    assert outcome.statements[0].startswith('CREATE TABLE "public"."events_')
    assert partition_names(database) == []
    assert rows(database, "SELECT to_regclass('housekeeper_runs')") == [(None,)]


async def test_the_fuse_holds_and_creating_goes_on(database: str) -> None:
    """Forty are due: none goes, the run is an error, and the history says which command allows it."""
    add_partitions(database, days=range(-130, 1))
    report = await run(database)
    (error,) = rows(database, "SELECT error FROM housekeeper_runs WHERE status = 'error'")[0]

    assert (report.created, report.dropped, report.count(Status.REFUSED)) == (30, 0, 40)
    assert "pgalmanac maintain --table public.events --max-drops 40" in error
    assert [f.code for f in report.findings] == [Code.FUSE]


async def test_a_night_after_which_inserts_fail_is_no_success(database: str) -> None:
    """Of today only the last second is covered, which maintain leaves to fix: somebody has to be called."""
    with connect(database) as connection:
        connection.execute(
            f"CREATE TABLE evening PARTITION OF events FOR VALUES FROM ('{today()} 23:59:59')"
            f" TO ('{today() + timedelta(days=1)}')".encode()
        )
    report = await run(database)
    fixed = await run(database, Request(command="fix"))
    again = await run(database)
    story = rows(database, "SELECT status, error FROM housekeeper_runs ORDER BY id")

    assert (report.failed, report.created) == (True, 30)
    assert str(report.error).startswith("public.events has no partition for now, and inserts fail")
    assert story[0] == ("error", str(report.error))
    assert (fixed.failed, again.failed) == (False, False)


async def test_a_night_before_a_day_with_a_hole_is_no_success(database: str) -> None:
    """As where the zone changed: of tomorrow only the beginning has a partition, and the next night comes after it."""
    tomorrow, after = (today() + timedelta(days=n) for n in (1, 2))
    add_partitions(database, days=[0, *range(2, 31)])
    begins = f"FOR VALUES FROM ('{tomorrow}') TO ('{tomorrow} 00:00:00.001')"
    with connect(database) as connection:
        connection.execute(f"CREATE TABLE short PARTITION OF events {begins}".encode())
    # Where one has no day ahead by his own wish, today is enough.
    none_ahead = await run(database, flags=Layer(values={"premake_days": 0}))
    report = await run(database)
    fixed = await run(database, Request(command="fix", back=0))
    again = await run(database)

    assert (none_ahead.error, report.failed) == (None, True)
    assert str(report.error).startswith(f"public.events has no partition from {tomorrow} 00:00 UTC on, and inserts")
    assert [f"{o.action.bounds.upper:%Y-%m-%d %H:%M}" for o in fixed.outcomes] == [f"{after} 00:00"]
    assert (fixed.failed, again.failed) == (False, False)


async def test_a_locked_table_is_reported_and_left_alone(database: str) -> None:
    """Another run holds the advisory lock: nothing is done, nothing recorded, exit code 75."""
    with connect(database) as other:
        other.execute("SELECT pg_advisory_lock((x'7067616c'::int8 << 32) | 'events'::regclass::oid::int8)")
        report = await maintain.perform(Settings(dsn=database), MAINTAIN)

    assert (report.tables[0].table, report.tables[0].locked) == ("public.events", True)
    assert report.exit_code == 75
    assert partition_names(database) == []


async def test_the_table_that_is_read_is_the_one_that_is_locked(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one may take its name as soon as it is found; the run goes on with what it holds the lock of."""
    found = discovery.find

    async def swapped(*args: Any, **options: Any) -> Any:  # noqa: ANN401  # as find
        result = await found(*args, **options)
        with connect(database) as other:
            other.execute("ALTER TABLE events RENAME TO events_before")
            other.execute("CREATE TABLE events (ts timestamptz NOT NULL) PARTITION BY RANGE (ts)")
        return result

    monkeypatch.setattr(catalog, "find", swapped)
    report = await run(database)

    assert (report.table, report.created) == ("public.events_before", 31)


async def test_who_is_in_the_way_is_named_once(database: str) -> None:
    """As a dump that reads all of the table is, where a default partition has to be locked; with its program."""
    add_partitions(database, days=range(-3, 1))
    add_default(database)
    policy = Layer(values={"retry_seconds": 0, "premake_days": 1})
    with connect(f"{database} application_name=pg_dump") as dump:
        dump.execute("BEGIN; SELECT count(*) FROM events")
        who = f"process {dump.info.backend_pid}"
        report = await run(database, general=policy)
        others = await run(database, Request(command="drop", target=days(-3, -3)[0]), general=policy)
    (made,) = report.outcomes
    (gone,) = others.outcomes

    assert made.error is not None
    assert gone.error is not None
    assert f"{who} (pg_dump) of " in made.error
    assert (1, 1) == (made.error.count(who), gone.error.count(who))
    assert "holds AccessShareLock on events" in gone.error
    assert "more: BEGIN; SELECT count(*)" in gone.error


async def test_the_advisory_lock_is_given_back(database: str) -> None:
    """Whether a run succeeded or not."""
    await run(database)
    await run(database)

    assert advisory_locks(database) == 0


async def test_what_depends_on_a_partition_keeps_it(database: str) -> None:
    """A view on an expired partition is a finding, not a failure; CASCADE is never said."""
    add_partitions(database, days=[-95, -94, *range(-90, 31)])
    with connect(database) as connection:
        connection.execute(f"CREATE VIEW kept AS SELECT * FROM {days(-95, -95)[0]}".encode())
    report = await run(database)

    assert (report.dropped, report.count(Status.SKIPPED), report.failed) == (1, 1, False)
    assert [f.code for f in report.findings] == [Code.DROP_BLOCKED]
    assert "view public.kept depends on it" in report.findings[0].message


async def test_what_depended_on_a_partition_and_is_gone_keeps_nothing(database: str) -> None:
    """The server lists what depends on it, and cannot say what that was: somebody dropped it meanwhile."""
    add_partitions(database, days=[-95])
    with connect(database) as connection:
        connection.execute(
            "INSERT INTO pg_depend SELECT 'pg_class'::regclass, 4000000000, 0, 'pg_class'::regclass, %s::regclass, 0,"
            " 'n'",
            [days(-95, -95)[0]],
        )
    report = await maintain.preview(Settings(dsn=database), MAINTAIN)

    assert [Status.PLANNED] == [o.status for o in report.tables[0].outcomes if o.action.kind is ActionKind.DROP]


async def test_referenced_rows_keep_their_partition(empty_database: str) -> None:
    """A foreign key that refers to the table: referenced partitions stay with its name, others go, the key survives."""
    edge = today() - timedelta(days=93)
    with connect(empty_database) as connection:
        connection.execute("CREATE TABLE events (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
        for n in range(3):
            day = edge + timedelta(days=n)
            name = f"events_{day:%Y_%m_%d}"
            connection.execute(f"CREATE TABLE {name} PARTITION OF events {for_values(day)}".encode())
            connection.execute(f"INSERT INTO events VALUES ({n}, '{day}')".encode())
        connection.execute(
            "CREATE TABLE refs (id int, at date, CONSTRAINT refs_events FOREIGN KEY (id, at) REFERENCES events)"
        )
        connection.execute("INSERT INTO refs VALUES (1, %s)", [edge + timedelta(days=1)])
    report = await run(empty_database)
    skipped = [o for o in report.outcomes if o.status is Status.SKIPPED]

    assert report.dropped == 2
    assert [o.action.partition.name for o in skipped] == [f"events_{edge + timedelta(days=1):%Y_%m_%d}"]
    assert "refs_events" in (skipped[0].error or "")
    assert rows(empty_database, "SELECT count(*) FROM pg_constraint WHERE conname = 'refs_events'") == [(1,)]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
async def test_what_refers_to_another_table_goes_before_what_it_refers_to(
    empty_database: str, order: tuple[int, ...]
) -> None:
    """In whatever order the tables are listed, one run drops a chain of expired partitions; the report has that order.

    A foreign key of a table to itself, and one from a table of nobody's, are no matter.
    """
    day = today() - timedelta(days=95)
    with connect(empty_database) as connection:
        connection.execute("CREATE SCHEMA apart")
        for table, refers in (("events", "events"), ("notes", "events"), ("apart.votes", "notes")):
            connection.execute(
                f"CREATE TABLE {table} (id int, at date, of int, PRIMARY KEY (id, at),"
                f" FOREIGN KEY (of, at) REFERENCES {refers}) PARTITION BY RANGE (at)".encode()
            )
            connection.execute(f"CREATE TABLE {table}_old PARTITION OF {table} {for_values(day)}".encode())
            connection.execute(f"INSERT INTO {table} VALUES (1, '{day}', {'NULL' if table == refers else 1})".encode())
        connection.execute("CREATE TABLE other (id int, at date, FOREIGN KEY (id, at) REFERENCES apart.votes)")
    names = ["public.events", "public.notes", "apart.votes"]
    listed = [names[n] for n in order]
    refs = tuple(TableRef.parse(name.replace("public.notes", "notes")) for name in listed)  # one by the search path
    settings = Settings(dsn=empty_database, requested=refs, flags=flags(retention_days=90))

    shown = await maintain.preview(settings, MAINTAIN)
    report = await maintain.perform(settings, MAINTAIN)
    checked = await maintain.check(settings)

    drops = [o for t in shown.tables for o in t.outcomes if o.action.kind is ActionKind.DROP]
    assert [(Status.PLANNED, name) for name in listed] == [
        (o.status, str(o.action.partition).removesuffix("_old")) for o in drops
    ]
    assert {"public.events": "public.notes", "public.notes": "apart.votes", "apart.votes": "None"} == {
        str(o.action.partition).removesuffix("_old"): str(o.action.after) for o in drops
    }
    assert "after the rows of apart.votes that refer to it" in " ".join(report_text(shown).split())
    assert [(name, 1, 0) for name in listed] == [
        (t.table, t.dropped, t.count(Status.SKIPPED, ActionKind.DROP)) for t in report.tables
    ]
    assert [()] * 3 == [t.findings for t in checked.tables]


@pytest.mark.parametrize(
    ("stays", "policy"),
    [
        ("a row of another day", {}),
        ("a pin", {}),
        # PostgreSQL 14 takes the foreign key from what it detaches, so that the same night lets both go to the trash.
        pytest.param("nothing", {"grace_days": 7}, marks=pytest.mark.pg(">= 15")),
        ("nothing", {"max_drops": 1}),
    ],
)
async def test_a_plan_shows_what_its_own_drops_do_not_let_go(
    empty_database: str, stays: str, policy: dict[str, int]
) -> None:
    """A partition whose referring rows stay, be it in the trash, is shown as skipped: the run says the same."""
    old, older = today() - timedelta(days=95), today() - timedelta(days=96)
    with connect(empty_database) as connection:
        connection.execute("CREATE TABLE events (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
        connection.execute(
            "CREATE TABLE notes (id int, at date, of date, FOREIGN KEY (id, of) REFERENCES events)"
            " PARTITION BY RANGE (at)"
        )
        connection.execute(f"CREATE TABLE events_old PARTITION OF events {for_values(old)}".encode())
        connection.execute(f"CREATE TABLE notes_older PARTITION OF notes {for_values(older)}".encode())
        connection.execute(f"CREATE TABLE notes_old PARTITION OF notes {for_values(old)}".encode())
        connection.execute(f"CREATE TABLE notes_now PARTITION OF notes {for_values(today())}".encode())
        connection.execute(f"INSERT INTO events VALUES (1, '{old}')".encode())
        connection.execute(f"INSERT INTO notes VALUES (1, '{old}', '{old}')".encode())
        if stays == "a row of another day":
            connection.execute(f"INSERT INTO notes VALUES (1, '{today()}', '{old}')".encode())
        if stays == "a pin":
            connection.execute('COMMENT ON TABLE notes_old IS \'pgalmanac-pin: {"reason": "audit"}\'')
    refs = tuple(map(TableRef.parse, ("events", "notes")))
    settings = Settings(dsn=empty_database, requested=refs, flags=flags(retention_days=90, **policy))

    shown, report = await maintain.preview(settings, MAINTAIN), await maintain.perform(settings, MAINTAIN)
    planned, done = (
        [o for o in r.tables[0].outcomes if o.action.partition.name == "events_old"] for r in (shown, report)
    )

    assert [Status.SKIPPED] * 2 == [o.status for o in (*planned, *done)]
    assert planned[0].error == "rows of public.notes refer to it by the foreign key notes_id_of_fkey"
    assert "refer to it by the foreign key notes_id_of_fkey" in str(done[0].error)


async def test_a_lock_that_is_not_to_be_had_is_a_failure_that_names_its_holder(database: str) -> None:
    """The next action still runs: the days are created, the drop fails with the process and its query."""
    add_partitions(database, days=[-95, *range(-90, 1)])
    add_default(database)
    with connect(database) as reader:
        reader.execute("BEGIN")
        reader.execute(f"SELECT count(*) FROM {days(-95, -95)[0]}".encode())
        report = await run(database, flags=flags(retry_seconds=0))
    failed = [o for o in report.outcomes if o.status is Status.FAILED]

    assert (report.created, report.dropped, len(failed)) == (30, 0, 1)
    assert failed[0].action.kind is ActionKind.DROP
    assert "idle in transaction" in (failed[0].error or "")
    assert days(-95, -95)[0] in partition_names(database)


def advisory_locks(conninfo: str) -> int:
    """How many are held in this database; other tests hold theirs in others of the same server."""
    query = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
    found: int = rows(conninfo, query + " WHERE locktype = 'advisory' AND d.datname = current_database()")[0][0]
    return found


def for_values(day: date) -> str:
    """The bounds clause of one day."""
    return f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"


def flags(**values: object) -> Layer:
    """Settings as if given on the command line."""
    return Layer(values=values)


async def test_create_and_drop_by_hand(database: str) -> None:
    """A named period, a range, and the refusal to drop today's."""
    add_partitions(database, days=[0])
    created = await run(database, Request(command="create", target=f"{today() + timedelta(days=2)}"))
    dropped = await run(database, Request(command="drop", target=f"{today() + timedelta(days=2)}"))
    refused = await run(database, Request(command="drop", target=f"{today()}"))

    assert (created.created, dropped.dropped, refused.count(Status.REFUSED)) == (1, 1, 1)
    assert partition_names(database) == days(0, 0)


async def test_findings_are_about_the_next_maintain_whatever_was_asked(database: str) -> None:
    """Stray rows that maintain would move are that, also in the report of a create of another day."""
    add_partitions(database, days=[0])
    add_default(database)
    add_rows(database, day=5, count=3)
    report = await run(database, Request(command="create", target=f"{today() + timedelta(days=2)}"))
    strays = [f.message for f in report.findings if f.code is Code.STRAY_ROWS]

    assert len(strays) == 1
    assert "3 stray rows that a partition is missing for" in strays[0]


async def test_fix_heals_and_proves(database: str) -> None:
    """After fix an insert for now finds its partition: the report names it, and no row was left by the proof."""
    report = await run(database, Request(command="fix"))

    assert report.proved == f"public.{days(0, 0)[0]}"
    assert partition_names(database) == days(-30, 30)
    assert rows(database, "SELECT count(*) FROM events") == [(0,)]


async def test_a_role_with_no_schema_for_the_history_is_told_so_and_not_to_run_again(database: str) -> None:
    """No run of this role can be recorded: that none is recorded is no reason to tell it to run."""
    with connect(database) as connection:
        connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = nowhere', current_database()); END $$"
        )
    done = await run(database)
    (table,) = (await maintain.check(Settings(dsn=database))).tables

    assert (done.created, [f.code for f in done.findings]) == (31, [Code.HISTORY_UNAVAILABLE])
    assert [(f.code, "set history.table" in f.message) for f in table.findings] == [(Code.HISTORY_UNAVAILABLE, True)]


async def test_a_history_in_a_schema_that_is_not_there_is_no_reason_to_run_again(database: str) -> None:
    """As above; the schema is named."""
    settings = Settings(dsn=database, history_table=TableRef(schema="No Such", name="runs"))
    (done,) = (await maintain.perform(settings, MAINTAIN)).tables
    (table,) = (await maintain.check(settings)).tables
    told = [f.message for f in table.findings if f.code is Code.HISTORY_UNAVAILABLE]

    assert done.created == 31
    assert len(told) == len(table.findings) == 1
    assert 'there is no schema "No Such" for the run history; create it, or set history.table' in told[0]


async def test_a_rule_of_a_table_is_called_so_and_not_a_view(database: str) -> None:
    """Who reads the sentence looks for what it names, and there is no view."""
    add_partitions(database, days=range(-91, 31))
    with connect(database) as connection:
        connection.execute(
            "CREATE TABLE others (a int); "
            f"CREATE RULE copy AS ON INSERT TO others DO ALSO SELECT * FROM {days(-91, -91)[0]}".encode()
        )
    (gone,) = (await run(database)).outcomes

    assert (gone.status, gone.error) == (Status.SKIPPED, "rule copy on table public.others depends on it")


async def test_a_prepared_transaction_in_the_way_is_named_with_what_ends_it(database: str) -> None:
    """It has no process, waits for nobody, and outlives a restart: its name is all that there is to end it by."""
    add_partitions(database, days=range(-91, 31))
    add_default(database)
    policy = Layer(values={"retry_seconds": 0})
    gid = f"of {rows(database, 'SELECT current_database()')[0][0]}"
    with connect(database) as connection:
        connection.execute(f"BEGIN; SELECT count(*) FROM events; PREPARE TRANSACTION '{gid}'".encode())
        try:
            (gone,) = (await run(database, general=policy)).outcomes
        finally:
            connection.execute(f"ROLLBACK PREPARED '{gid}'".encode())

    assert gone.status is Status.FAILED
    assert f"the prepared transaction '{gid}' of postgres, there for " in str(gone.error)
    assert "ROLLBACK PREPARED ends it" in str(gone.error)


async def test_names_that_the_renamed_table_kept_are_told_once_with_whose_they_are(database: str) -> None:
    """The table was renamed and made anew: thirty-one names are taken, and nobody is told to drop what has them."""
    add_partitions(database, days=range(31), rows_a_day=1)
    with connect(database) as connection:
        connection.execute(
            "ALTER TABLE events RENAME TO events_old; CREATE TABLE events (LIKE events_old)"
            ' PARTITION BY RANGE ("timestamp")'
        )
    report = await run(database)

    assert {(o.status, o.error) for o in report.outcomes} == {
        (Status.REFUSED, "the name is taken by a partition of public.events_old; rename that one")
    }
    assert len([f for f in report.findings if f.code is Code.GAP]) == 1


@pytest.mark.parametrize("rule", ["NOT NULL", "CHECK (VALUE IS NOT NULL)"])
async def test_what_a_domain_wants_says_nothing_about_the_partition(database: str, rule: str) -> None:
    """A column whose domain takes no NULL refuses a row of a key alone before it is routed: proved otherwise."""
    with connect(database) as connection:
        connection.execute(f"CREATE DOMAIN number AS int {rule}".encode())
        connection.execute("ALTER TABLE events ADD COLUMN must number")
    report = await run(database, Request(command="fix"))

    assert (report.error, report.proved) == (None, f"public.{days(0, 0)[0]}")


async def test_a_key_that_its_domain_refuses_goes_nowhere(empty_database: str) -> None:
    """That no row of today gets in is no success, although there is a partition for it."""
    with connect(empty_database) as connection:
        connection.execute("CREATE DOMAIN past AS date")
        connection.execute("CREATE TABLE events (at past NOT NULL) PARTITION BY RANGE (at)")
    assert (await run(empty_database, Request(command="fix"))).proved is not None
    with connect(empty_database) as connection:
        connection.execute("ALTER DOMAIN past ADD CHECK (VALUE < '2020-01-01') NOT VALID")
    report = await run(empty_database, Request(command="fix"))

    assert "value for domain past violates" in str(report.error)


@pytest.mark.parametrize(
    ("by", "below", "proved"),
    [
        ("LIST (tenant)", None, False),
        ("RANGE (at)", "FOR VALUES FROM (MINVALUE) TO ('2020-01-01')", False),
        ("LIST (tenant)", "FOR VALUES IN (1)", True),
        ("HASH (tenant)", "FOR VALUES WITH (MODULUS 1, REMAINDER 0)", True),
    ],
)
@pytest.mark.parametrize("must", ["", "NOT NULL"])
async def test_a_partition_that_is_partitioned_is_proved_by_what_is_below_it(
    empty_database: str,
    by: str,
    below: str | None,
    proved: bool,  # noqa: FBT001  # a parameter of the test
    must: str,
) -> None:
    """That no row of today can find a place in it is no success; a row that only wants its other columns is one."""
    with connect(empty_database) as connection:
        connection.execute(
            f"CREATE TABLE events (at date NOT NULL, tenant int {must}) PARTITION BY RANGE (at); "
            "CREATE TABLE now PARTITION OF events FOR VALUES FROM "
            f"('{today()}') TO ('{today() + timedelta(days=1)}') PARTITION BY {by}".encode()
        )
        if below is not None:
            connection.execute(f"CREATE TABLE place PARTITION OF now {below}".encode())
    report = await run(empty_database, Request(command="fix"))

    assert report.proved == ("public.now" if proved else None)
    assert ('no partition of relation "now" found' in str(report.error)) is not proved


async def test_a_partition_with_the_name_of_its_parent_proves_nothing(empty_database: str) -> None:
    """The server's answer names the parent, of which there is a partition of the same name in another schema."""
    with connect(empty_database) as connection:
        connection.execute(
            "CREATE SCHEMA old; CREATE TABLE events (at date NOT NULL, c int) PARTITION BY RANGE (at); "
            "CREATE TABLE old.events PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')"
        )
    report = (await maintain.check(Settings(dsn=empty_database), probe=True)).tables[0]

    assert report.proved is None
    assert Code.PROBE_FAILED in {f.code for f in report.findings}


async def test_an_interrupted_run_is_closed(database: str) -> None:
    """Cancelling the task undoes or completes the step under way, closes the row and gives the lock back."""
    add_partitions(database, days=range(-120, 1))

    seen: list[object] = []

    def stop(what: object) -> None:
        seen.append(what)
        if len(seen) == 5:
            task.cancel()

    task = asyncio.create_task(maintain.perform(Settings(dsn=database), MAINTAIN, observer=stop))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert rows(database, "SELECT status, error FROM housekeeper_runs") == [("error", "interrupted")]
    assert advisory_locks(database) == 0
    assert not (await run(database)).failed


async def test_a_run_that_was_killed_is_closed_by_the_next(database: str) -> None:
    """A row still running, whose advisory lock nobody holds, is an interrupted run; other programs' rows stay."""
    await run(database)
    with connect(database) as connection:
        connection.execute("UPDATE housekeeper_runs SET status = 'running', completed_at = NULL")
        connection.execute(
            "INSERT INTO housekeeper_runs (task_name, started_at, status, triggered_by)"
            " VALUES ('events-partition-maintenance', now(), 'running', 'scheduler')"
        )
    await run(database)

    assert rows(database, "SELECT status, error FROM housekeeper_runs ORDER BY id") == [
        ("error", "interrupted"),
        ("running", None),
        ("success", None),
    ]


async def test_a_half_done_drop_is_finished(database: str) -> None:
    """A run was killed between detaching and dropping: the mark lets the next one finish, and only ours."""
    add_partitions(database, days=[-95, *range(-90, 31)])
    report = await maintain.preview(Settings(dsn=database), MAINTAIN)
    comment, detach, *_ = next(o for o in report.tables[0].outcomes if o.action.kind is ActionKind.DROP).statements
    with connect(database) as connection:
        connection.execute(comment.encode())
        connection.execute(detach.encode())
        connection.execute("CREATE TABLE bystander (LIKE events)")
    before = await maintain.check(Settings(dsn=database))
    after = await run(database)

    assert Code.ORPHAN_TABLE in {f.code for f in before.tables[0].findings}
    assert after.dropped == 1
    assert rows(database, "SELECT to_regclass(%s)::text, to_regclass('bystander')::text", days(-95, -95)[0]) == [
        (None, "bystander")
    ]


async def test_a_plan_that_is_shown_has_the_sizes_of_the_files(database: str) -> None:
    """Also of what no ANALYZE has seen; of what somebody has locked it has none, and does not wait."""
    add_partitions(database, days=[-95, -94, *range(31)], rows_a_day=2000)
    first, second = days(-95, -94)
    ((size,),) = rows(database, "SELECT pg_total_relation_size(%s::regclass)", first)
    with connect(database) as connection:
        connection.execute("BEGIN")
        connection.execute(f"LOCK TABLE {second}".encode())
        report = await maintain.preview(Settings(dsn=database), MAINTAIN)

    assert {first: (2000, size), second: (2000, None)} == {
        o.action.partition.name: (o.rows, o.bytes) for o in report.tables[0].outcomes
    }


async def test_a_pending_detach_is_finished(database: str) -> None:
    """DETACH CONCURRENTLY was cut off half-way: ours is dropped, somebody else's is finalized and stays a table."""
    add_partitions(database, days=range(-95, 31))
    report = await maintain.preview(Settings(dsn=database), MAINTAIN)
    comment = report.tables[0].outcomes[0].statements[0]
    ours, theirs = days(-95, -94)
    with connect(database) as connection:
        connection.execute(comment.encode())
        leave_pending(database, ours)
        first = await run(database)
        leave_pending(database, days(5, 5)[0])
        second = await run(database)
        connection.execute(f"SELECT FROM {days(5, 5)[0]}".encode())

    assert first.dropped == 5
    assert (second.created, second.count(Status.DONE, ActionKind.FINALIZE), second.count(Status.REFUSED)) == (0, 1, 1)
    assert theirs not in partition_names(database)


async def test_one_broken_table_does_not_stop_another(database: str) -> None:
    """A name that is not there is that table's error; the other is maintained."""
    report = await maintain.perform(
        Settings(dsn=database, requested=(TableRef(name="nothing"), TableRef(name="events"))), MAINTAIN
    )

    assert isinstance(report.tables[0].error, ConfigError)
    assert report.tables[1].created == 31
    assert report.exit_code == 1


async def test_one_table_under_two_spellings_is_maintained_once(database: str) -> None:
    """An entry without a schema and one with it speak of the same table: one run with both entries' settings."""
    settings = Settings(
        dsn=database,
        requested=(EVENTS, PUBLIC_EVENTS),
        tables=(
            (EVENTS, Layer(values={"premake_days": 3, "retention_days": 10})),
            (PUBLIC_EVENTS, Layer(values={"premake_days": 5})),
        ),
    )
    preview = await maintain.preview(settings, MAINTAIN)
    report = await maintain.perform(settings, MAINTAIN)
    created = await maintain.perform(settings, Request(command="create", target=f"{today() + timedelta(days=6)}"))
    checked = await maintain.check(settings)
    observed = await observe(settings)

    assert [6, 1] == [t.created for t in (*report.tables, *created.tables)]
    assert [1, 1, 1] == [len(some.tables) for some in (preview, checked, observed)]
    assert [(2,)] == rows(database, "SELECT count(*) FROM housekeeper_runs")
    assert report.tables[0].view is not None
    assert report.tables[0].view.policy.retention_days == 10


async def test_two_tables_of_one_name_keep_policies_of_their_own(database: str) -> None:
    """The entry without a schema means the first on the search path, and the other is no second spelling of it."""
    with connect(database) as connection:
        connection.execute(b"CREATE SCHEMA app; CREATE TABLE app.events (LIKE events) PARTITION BY RANGE (timestamp)")
    other = TableRef(schema="app", name="events")
    report = await maintain.perform(
        Settings(
            dsn=database,
            requested=(EVENTS, other),
            tables=((EVENTS, Layer(values={"premake_days": 3})), (other, Layer(values={"premake_days": 5}))),
        ),
        MAINTAIN,
    )

    assert [("public.events", 4), ("app.events", 6)] == [(t.table, t.created) for t in report.tables]


async def test_two_spellings_of_what_is_not_there_are_two_errors(empty_database: str) -> None:
    """Nothing is left out that might have been meant."""
    report = await maintain.perform(Settings(dsn=empty_database, requested=(EVENTS, PUBLIC_EVENTS)), MAINTAIN)

    assert ["events", "public.events"] == [t.table for t in report.tables]
    assert all(isinstance(t.error, ConfigError) for t in report.tables)


async def test_the_clock_before_the_last_run_drops_nothing(database: str) -> None:
    """A server whose clock fell back must not decide what is old; creating goes on."""
    add_partitions(database, days=range(-95, 1))
    await run(database, Request(command="create", target=f"{today()}"))
    with connect(database) as connection:
        connection.execute("UPDATE housekeeper_runs SET started_at = started_at + interval '1 hour'")
    report = await run(database)

    assert (report.created, report.dropped, report.count(Status.REFUSED)) == (30, 0, 5)
    assert Code.CLOCK in {f.code for f in report.findings}


async def test_a_role_without_rights_is_told_the_grant(database: str, make_role: Callable[..., str]) -> None:
    """Nothing is changed, exit code 77, and the sentence can be pasted."""
    role = make_role()
    with pytest.raises(PrivilegeError, match="GRANT"):
        await run(f"{database} user={role}")

    assert partition_names(database) == []


async def test_an_existing_history_table_is_used_as_it_is(database: str) -> None:
    """With a uuid for an id, a json output and no details: its rows stay, ours join them."""
    with connect(database) as connection:
        connection.execute(
            "CREATE TABLE housekeeper_runs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), task_name varchar(100),"
            " started_at timestamp, completed_at timestamp, status varchar(20), duration_ms integer, output jsonb,"
            " error text, triggered_by varchar(20), created_at timestamp DEFAULT now())"
        )
        connection.execute(
            "INSERT INTO housekeeper_runs (task_name, started_at, status) VALUES ('other', '2020-01-01', 'success')"
        )
    report = await run(database)
    recorded = await maintain.past_runs(Settings(dsn=database), limit=5, run_id=report.run_id)

    assert rows(database, "SELECT task_name, status FROM housekeeper_runs ORDER BY started_at") == [
        ("other", "success"),
        ("events-partition-maintenance", "success"),
    ]
    assert len(recorded[0].actions) == 31
    assert recorded[0].output == "public.events: 31 created, 0 dropped"
    assert report.findings == ()


async def test_a_table_of_the_same_name_has_a_history_of_its_own(database: str) -> None:
    """For two roles each with an events in its first schema: no success hides the other's silence, or ends its run."""
    history = TableRef(schema="public", name="housekeeper_runs")
    other = f"{database} options='-c search_path=other,public'"
    with connect(database) as connection:
        connection.execute("CREATE SCHEMA other CREATE TABLE events (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    await run(database)
    with connect(database) as connection:
        connection.execute("UPDATE housekeeper_runs SET status = 'running'")
    theirs = await run(other, history_table=history)
    before = await maintain.check(Settings(dsn=database))
    figures = await observe(Settings(dsn=database))

    assert theirs.table == "other.events"
    assert rows(database, "SELECT task_name, status FROM housekeeper_runs ORDER BY id") == [
        ("events-partition-maintenance", "running"),
        ("events-partition-maintenance", "success"),
    ]
    assert Code.LAST_SUCCESS_OLD in [f.code for f in before.tables[0].findings]
    assert figures.tables[0].last_run is None


async def test_the_run_of_a_table_that_is_no_more_is_closed(database: str) -> None:
    """In a dump that was made in the middle of a run it goes on for ever: restored, the table has another number."""
    add_partitions(database, days=[0])
    await run(database)
    with connect(database) as connection:
        connection.execute(
            "UPDATE housekeeper_runs SET status = 'running', details = jsonb_set(details, '{parent_oid}', '4000000001')"
        )
    await run(database)

    assert rows(database, "SELECT status FROM housekeeper_runs ORDER BY id") == [("error",), ("success",)]


async def test_a_history_that_cannot_be_written_prevents_nothing(database: str) -> None:
    """The maintenance is done and the finding says so."""
    with connect(database) as connection:
        connection.execute("CREATE TABLE housekeeper_runs (id int)")
    report = await run(database)

    assert report.created == 31
    assert [f.code for f in report.findings] == [Code.HISTORY_UNAVAILABLE]


async def test_old_history_goes_and_only_ours(database: str) -> None:
    """Rows older than keep_days that pgalmanac wrote, with their actions."""
    await run(database)
    with connect(database) as connection:
        connection.execute("UPDATE housekeeper_runs SET started_at = started_at - interval '400 days'")
        connection.execute(
            "INSERT INTO housekeeper_runs (task_name, started_at, status, triggered_by)"
            " VALUES ('events-partition-maintenance', now() - interval '400 days', 'success', 'scheduler')"
        )
    await run(database)

    assert rows(database, "SELECT details ->> 'program', status FROM housekeeper_runs ORDER BY id") == [
        (None, "success"),
        ("pgalmanac", "success"),
    ]
    assert rows(database, "SELECT count(*) FROM housekeeper_run_actions") == [(0,)]


async def test_the_report_has_its_figures(database: str) -> None:
    """Partitions, rows (estimated), oldest and newest event, and the most frequent event types."""
    add_partitions(database, days=range(-3, 31))
    for day in range(-3, 1):
        add_rows(database, day=day, count=30)
    with connect(database) as connection:
        connection.execute("ANALYZE events")
    figures = (await run(database)).statistics

    assert figures is not None
    assert (figures.partitions, figures.rows, figures.exact) == (34, 120, False)
    assert figures.oldest_event is not None
    assert figures.oldest_event.date() == today() - timedelta(days=3)
    assert dict(figures.breakdown) == {"order.placed": 40, "order.paid": 40, "order.shipped": 40}


async def test_exact_counts_and_limits(database: str) -> None:
    """Each partition is counted, newest first, with its oldest and newest event."""
    add_partitions(database, days=range(-3, 1))
    add_rows(database, day=-1, count=7)
    report: RunReport = await overview.status(Settings(dsn=database), exact=True, limit=2)
    counted = report.tables[0].counts

    assert [(c.name.name, c.rows, c.exact) for c in counted] == [
        (days(0, 0)[0], 0, True),
        (days(-1, -1)[0], 7, True),
    ]
    assert counted[1].oldest is not None
    assert counted[1].oldest.date() == today() - timedelta(days=1)


async def test_check_answers_while_a_partition_is_locked(database: str) -> None:
    """In the middle of an incident somebody holds ACCESS EXCLUSIVE: bounds are read without waiting for it."""
    await run(database)
    with connect(database) as holder:
        holder.execute("BEGIN")
        holder.execute(f"LOCK TABLE {days(3, 3)[0]} IN ACCESS EXCLUSIVE MODE".encode())
        report = await maintain.check(Settings(dsn=database))

    assert report.tables[0].view is not None
    assert len(report.tables[0].view.table.ranged) == 31
    assert report.level is None


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE TABLE t (at date)", "is not a partitioned table"),
        ("CREATE TABLE t (at date) PARTITION BY LIST (at)", "is partitioned by LIST"),
        ("CREATE TABLE t (at date) PARTITION BY HASH (at)", "is partitioned by HASH"),
        ("CREATE TABLE t (at date, b int) PARTITION BY RANGE (at, b)", "is partitioned by 2 columns"),
        ("CREATE TABLE t (at date) PARTITION BY RANGE ((at + 1))", "is partitioned by an expression"),
        ("CREATE TABLE t (at int) PARTITION BY RANGE (at)", "which is no date, timestamp or timestamptz"),
        ("CREATE VIEW t AS SELECT 1", "is not a partitioned table"),
        ("CREATE SCHEMA app; CREATE TABLE app.t (at date) PARTITION BY RANGE (at)", "did you mean app.t?"),
        ("SELECT 1", "there is no table t in"),
    ],
)
async def test_what_cannot_be_maintained_is_said_in_a_sentence(empty_database: str, statement: str, says: str) -> None:
    """Each kind of table that pgalmanac does not maintain, with its remedy and exit code 78."""
    with connect(empty_database) as connection:
        connection.execute(statement.encode())
    with pytest.raises(ConfigError) as refusal:
        await maintain.check(Settings(dsn=empty_database, requested=(TableRef(name="t"),)))

    assert says in str(refusal.value)
    assert refusal.value.hint


async def test_the_table_that_is_meant_without_a_name(empty_database: str) -> None:
    """The only one; then the one called events; and with two others a list of both."""
    settings = Settings(dsn=empty_database)
    with connect(empty_database) as connection:
        connection.execute("CREATE TABLE logs (at date) PARTITION BY RANGE (at)")
        only = await maintain.check(settings)
        connection.execute("CREATE TABLE metrics (at date) PARTITION BY RANGE (at)")
        with pytest.raises(ConfigError, match=r"public\.logs, public\.metrics"):
            await maintain.check(settings)
        create_events(empty_database)
        events = await maintain.check(settings)

    assert [only.tables[0].table, events.tables[0].table] == ["public.logs", "public.events"]


async def test_a_table_that_nobody_named_is_created_for_and_not_dropped_from(empty_database: str) -> None:
    """The report says that nobody set a retention."""
    old = today() - timedelta(days=200)
    with connect(empty_database) as connection:
        connection.execute("CREATE TABLE logs (at date) PARTITION BY RANGE (at)")
        connection.execute(f"CREATE TABLE logs_old PARTITION OF logs {for_values(old)}".encode())
    report = await run(empty_database)

    assert (report.created, report.dropped) == (31, 0)
    assert Code.RETENTION_UNSET in {f.code for f in report.findings}


async def test_a_database_that_is_not_there_and_a_server_that_is_not_there(database: str, tmp_path: object) -> None:
    """Configuration (78) and connection (69) are told apart."""
    with pytest.raises(ConfigError, match="does not exist"):
        await run(f"{database} dbname=nowhere")
    with pytest.raises(PgalmanacError, match="cannot reach the database") as refusal:
        await run(f"host={tmp_path}")

    assert refusal.value.exit_code == 69
