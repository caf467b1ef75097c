"""Grace, undo and pins on a real server: what is dropped can be had back, and no row is ever in neither place."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import ExitStack, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import psycopg
import pytest

from integration.faults.proxy import Proxy
from pgalmanac.actions import ActionKind, Status
from pgalmanac.errors import PgalmanacError, UsageError
from pgalmanac.findings import Code
from pgalmanac.inspection import Request
from pgalmanac.maintain import check, perform
from pgalmanac.overview import kept
from pgalmanac.report import render
from support import connect, rows
from under_fire import MARK, age, create_log, execute, log_partition, maintain, midnight, planned, settings, todo

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from pgalmanac.pgserver import Cluster
    from pgalmanac.results import RunReport, TableReport

TRASH: Final = "pgalmanac_trash"
# Retention in these tests is five days, so that -9 is past it.
EXPIRED: Final = (-9, -8)
ROWS: Final = 20
PATIENCE_SECONDS: Final = 20


def day_name(day: int) -> str:
    """The name of the partition of a day counted from today."""
    return f"log_{midnight(day):%Y_%m_%d}"


def period(day: int) -> str:
    """That day as the command line writes it."""
    return f"{midnight(day):%Y-%m-%d}"


def today() -> date:
    """Today in UTC."""
    return midnight().date()


def attached(conninfo: str) -> set[str]:
    """The names of the partitions, with those whose detaching is pending."""
    found = rows(conninfo, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'log'::regclass")
    return {str(name) for (name,) in found}


def placed(conninfo: str) -> set[str]:
    """The names of the partitions with their schemas."""
    found = rows(
        conninfo,
        "SELECT c.relnamespace::regnamespace || '.' || c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
        " WHERE inhparent = 'log'::regclass",
    )
    return {str(name) for (name,) in found}


def in_trash(conninfo: str, schema: str = TRASH) -> set[str]:
    """The names of the tables in the trash."""
    return {
        str(name)
        for (name,) in rows(
            conninfo, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace(%s)", schema
        )
    }


def run(conninfo: str, command: Any = "maintain", target: str = "", **more: Any) -> TableReport:  # noqa: ANN401  # what a request takes
    """One command with a grace of a week on the table log, in this process."""
    own = {name: more.pop(name) for name in ("now", "reason", "until") if name in more}
    request = Request(command=command, target=target, **own)
    return maintain(conninfo, request=request, **{"grace_days": 7, **more}).tables[0]


def everywhere(conninfo: str) -> int:
    """The rows of log and of every table that was a part of it, each counted once, wherever it stands.

    In one statement, and again when a table moved between its listing and its counting: a killed client's last
    statement may still be at work.
    """
    while True:
        tables = rows(
            conninfo,
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r' AND c.relname ~ '^log_'"
            " AND c.relnamespace::regnamespace::text IN ('public', 'pgalmanac_trash')",
        )
        counts = " + ".join(f"(SELECT count(*) FROM ONLY {name})" for (name,) in tables)
        with suppress(psycopg.errors.UndefinedTable):
            return int(rows(conninfo, f"SELECT {counts}")[0][0])


SHAPES: Final = ("plain", "default", "foreign keys")


def shaped(conninfo: str, shape: str) -> None:
    """Two expired days and four to keep; with a default partition, or foreign keys in both directions."""
    create_log(conninfo, days=(*EXPIRED, -2, -1, 0), rows_a_day=ROWS, default=shape == "default")
    if shape == "foreign keys":
        execute(
            conninfo,
            "CREATE TABLE kind (note text PRIMARY KEY)",
            "INSERT INTO kind VALUES ('n')",
            "ALTER TABLE log ADD FOREIGN KEY (note) REFERENCES kind",
            "CREATE TABLE referring (id bigint, ts timestamptz, FOREIGN KEY (id, ts) REFERENCES log)",
        )


@pytest.fixture(params=SHAPES)
def log(request: pytest.FixtureRequest, empty_database: str) -> str:
    """Give a database in each shape that a partition is detached differently in."""
    shaped(empty_database, request.param)
    return empty_database


def test_what_is_past_retention_is_kept_in_the_trash_and_comes_back_as_it_was(log: str) -> None:
    """Into the trash with all rows and out of them again: same rows, same comment, no constraint left behind."""
    execute(log, f"COMMENT ON TABLE {day_name(-9)} IS 'Black Friday'")
    before = everywhere(log)
    constraints = rows(log, "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass", day_name(-8))
    report = run(log)
    gone = attached(log)
    trash = in_trash(log)
    visible = rows(log, "SELECT count(*) FROM log")
    undone = run(log, "undrop", f"{period(-9)}..{period(-8)}")

    assert (report.trashed, report.dropped, report.failed) == (2, 0, False)
    assert not {day_name(d) for d in EXPIRED} & gone
    assert {day_name(d) for d in EXPIRED} == trash
    assert visible == [(before - 2 * ROWS,)]
    assert (undone.attached, undone.failed) == (2, False)
    assert {day_name(d) for d in EXPIRED} <= attached(log)
    assert rows(log, "SELECT count(*) FROM log") == [(before,)]
    assert in_trash(log) == set()
    assert rows(log, "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass", day_name(-8)) == constraints
    assert rows(log, "SELECT obj_description(%s::regclass)", day_name(-9))[0][0].startswith("Black Friday\n")


def test_what_came_back_is_pinned_and_the_next_night_leaves_it(log: str) -> None:
    """Undone past retention, the day would go again: a pin says since when, and maintain skips it."""
    run(log)
    undone = run(log, "undrop", day_name(-9))
    night = run(log)
    skipped = [o for o in night.outcomes if o.status is Status.SKIPPED]

    assert undone.outcomes[0].action.pin is not None
    assert undone.outcomes[0].action.pin.reason == f"undropped {today()}"
    assert [(o.action.partition.name, o.error) for o in skipped] == [(day_name(-9), f"pinned: undropped {today()}")]
    assert not night.failed
    assert Code.PINNED in {f.code for f in night.findings}
    assert day_name(-9) in attached(log)


def test_the_second_run_finds_nothing_to_do_and_the_trash_is_a_finding(log: str) -> None:
    """Idempotent with a grace, and check says what can be had back, without touching its level."""
    run(log)
    second = run(log)
    report = asyncio.run(check(settings(log, grace_days=7)))
    findings = [f for f in report.tables[0].findings if f.code is Code.TRASH]

    assert second.outcomes == ()
    assert report.level is None
    assert len(findings) == 1
    assert "2 dropped tables of public.log can be had back from pgalmanac_trash" in findings[0].message
    assert period(8) in findings[0].message


def test_the_grace_ends_by_the_servers_clock(log: str) -> None:
    """The table whose day has come is dropped for good; the other one stays."""
    run(log)
    age(log, day_name(-9), 7)
    early = run(log)
    age(log, day_name(-9), 1)
    report = run(log)

    assert early.outcomes == ()
    assert [(o.action.kind, o.action.reason, o.status) for o in report.outcomes] == [
        ("drop", "grace ended", Status.DONE)
    ]
    assert in_trash(log) == {day_name(-8)}


def test_what_somebody_took_out_of_the_trash_is_theirs(log: str) -> None:
    """A table that was moved from the trash to another schema is not dropped when its grace ends, and comes back."""
    run(log)
    execute(log, "CREATE SCHEMA kept", f"ALTER TABLE pgalmanac_trash.{day_name(-9)} SET SCHEMA kept")
    age(log, day_name(-9), 30, "kept")
    age(log, day_name(-8), 30)
    report = run(log)

    assert [(o.action.kind, o.action.partition.name) for o in report.outcomes] == [("drop", day_name(-8))]
    assert rows(log, f"SELECT count(*) FROM kept.{day_name(-9)}") == [(ROWS,)]
    assert [f.message.split(":")[0] for f in report.findings if f.code is Code.TRASH] == [
        f"kept.{day_name(-9)} was dropped from public.log and moved by somebody since"
    ]
    assert not run(log, "undrop", period(-9)).failed
    assert day_name(-9) in attached(log)


def test_what_was_dropped_before_pg_upgrade_is_not_forgotten(log: str) -> None:
    """Another system identifier makes the marks void: it is said, nothing is dropped, and the manual's SQL mends it."""
    run(log)
    for day in EXPIRED:
        table = f"{TRASH}.{day_name(day)}"
        ((comment,),) = rows(log, "SELECT obj_description(%s::regclass, 'pg_class')", table)
        other = re.sub('("system_id": ")[0-9]+', r"\g<1>77", comment)
        execute(log, f"COMMENT ON TABLE {table} IS $c${other}$c$")
    report = run(log)
    listed = render(asyncio.run(kept(settings(log), "trash")), as_json=False)

    assert [f.message.split(" before ")[0] for f in report.findings if f.code is Code.ORPHAN_TABLE] == [
        f"{TRASH}.{day_name(-9)} and 1 more were dropped from public.log"
    ]
    assert "the trash is empty" not in listed
    assert day_name(-8) in listed
    with pytest.raises(UsageError, match="another system identifier"):
        run(log, "undrop", period(-9))
    manual = (Path(__file__).parents[2] / "docs/recovery.md").read_text()
    (statement,) = re.findall(r"```sql\n(DO .*?)```", manual, re.DOTALL)
    execute(log, statement)
    assert not run(log, "undrop", period(-9)).failed
    assert day_name(-9) in attached(log)


def test_another_trash_ends_what_lies_in_the_old_one(log: str) -> None:
    """A table is where it was put, whatever the setting says by now."""
    run(log)
    age(log, day_name(-9), 30)
    report = run(log, trash_schema="elsewhere")

    assert [(o.action.kind, o.status) for o in report.outcomes] == [("drop", Status.DONE)]
    assert in_trash(log) == {day_name(-8)}


def test_a_retention_that_was_raised_keeps_what_lies_in_the_trash(log: str) -> None:
    """What today's retention would keep is not dropped for good, although its grace is over."""
    run(log)
    age(log, day_name(-9), 30)
    report = run(log, retention_days=90)

    assert report.outcomes == () or {o.action.kind for o in report.outcomes} == {ActionKind.CREATE}
    assert in_trash(log) == {day_name(d) for d in EXPIRED}


def test_a_drop_by_hand_goes_the_same_way_unless_now(log: str) -> None:
    """Without --now it can be undone, and needs no pin inside retention; with it, it cannot."""
    dropped = run(log, "drop", period(-1))
    undone = run(log, "undrop", period(-1))
    at_once = run(log, "drop", period(-1), now=True)

    assert [o.action.kind for o in dropped.outcomes] == ["trash"]
    assert [(o.status, o.action.pin) for o in undone.outcomes] == [(Status.DONE, None)]
    assert [o.action.kind for o in at_once.outcomes] == ["drop"]
    assert in_trash(log) == set()


def test_what_lies_in_the_trash_can_be_dropped_for_good(log: str) -> None:
    """By name and with --now; without it the sentence says that it was dropped already."""
    run(log)
    with pytest.raises(UsageError, match="has been dropped already, and is kept"):
        run(log, "drop", day_name(-9))
    report = run(log, "drop", day_name(-9), now=True)

    assert [(o.action.kind, o.status) for o in report.outcomes] == [("drop", Status.DONE)]
    assert in_trash(log) == {day_name(-8)}


def test_the_fuse_counts_what_goes_to_the_trash(log: str) -> None:
    """All or nothing, as for drops."""
    report = run(log, max_drops=1)

    assert [(o.action.kind, o.status) for o in report.outcomes if o.action.kind is ActionKind.TRASH] == [
        ("trash", Status.REFUSED)
    ] * 2
    assert in_trash(log) == set()


def test_a_name_that_is_taken_in_the_trash_refuses_that_one(log: str) -> None:
    """A trash schema with other tables in it: they stay, and so does the partition."""
    execute(log, f"CREATE SCHEMA {TRASH}", f"CREATE TABLE {TRASH}.{day_name(-9)} (mine int)")
    report = run(log)
    by_name = {o.action.partition.name: o for o in report.outcomes if o.action.kind is ActionKind.TRASH}

    assert by_name[day_name(-9)].status is Status.REFUSED
    assert "is taken in the trash" in (by_name[day_name(-9)].error or "")
    assert by_name[day_name(-8)].status is Status.DONE
    assert day_name(-9) in attached(log)
    assert rows(log, f"SELECT count(*) FROM {TRASH}.{day_name(-9)}") == [(0,)]


@pytest.mark.parametrize("what", ["an index", "a sequence"])
def test_what_goes_along_and_has_no_room_in_the_trash_keeps_its_partition(log: str, what: str) -> None:
    """An index or sequence of the partition, of whose name the trash has one: nothing is detached for nothing."""
    if what == "an index":
        ours, theirs = f"CREATE INDEX mine ON {day_name(-9)} (note)", f"CREATE INDEX mine ON {TRASH}.other (a)"
    else:
        ours, theirs = f"CREATE SEQUENCE mine OWNED BY {day_name(-9)}.id", f"CREATE SEQUENCE {TRASH}.mine"
    execute(log, ours, f"CREATE SCHEMA {TRASH}", f"CREATE TABLE {TRASH}.other (a int)", theirs)
    report = run(log)
    by_name = {o.action.partition.name: o for o in report.outcomes if o.action.kind is ActionKind.TRASH}

    assert day_name(-9) in attached(log)
    assert by_name[day_name(-9)].status is Status.REFUSED
    assert "no place in the trash" in (by_name[day_name(-9)].error or "")
    assert "mine" in (by_name[day_name(-9)].error or "")
    assert by_name[day_name(-8)].status is Status.DONE
    execute(log, "DROP SEQUENCE mine" if what == "a sequence" else "DROP INDEX mine")
    assert not run(log).failed
    assert day_name(-9) in in_trash(log)


def test_a_trash_that_is_the_tables_own_schema_is_refused(log: str) -> None:
    """Nothing is dropped, and the sentence names the setting."""
    report = run(log, trash_schema="public")

    assert {o.status for o in report.outcomes if o.action.kind is ActionKind.TRASH} == {Status.REFUSED}
    assert any("set trash_schema to another" in (o.error or "") for o in report.outcomes)


def test_a_role_that_may_not_make_the_trash_is_told_the_statement(database: str, make_role: Callable[..., str]) -> None:
    """It owns the table and nothing else: creating goes on, nothing is dropped; granted, it is."""
    create_log(database, days=(*EXPIRED, 0), rows_a_day=ROWS)
    role = make_role()
    execute(
        database,
        f"GRANT CREATE ON SCHEMA public TO {role}",
        *(f"ALTER TABLE {name} OWNER TO {role}" for name in ("log", *(day_name(d) for d in (*EXPIRED, 0)))),
    )
    refused = run(f"{database} user={role}")
    execute(database, f"CREATE SCHEMA {TRASH}")
    half = run(f"{database} user={role}")
    execute(database, f"GRANT USAGE, CREATE ON SCHEMA {TRASH} TO {role}")
    done = run(f"{database} user={role}")

    assert refused.created == 3
    assert f'CREATE SCHEMA "{TRASH}" AUTHORIZATION "{role}"' in str(refused.outcomes[-1].error)
    assert f'GRANT USAGE, CREATE ON SCHEMA "{TRASH}" TO "{role}"' in str(half.outcomes[-1].error)
    assert done.trashed == 2


# The parent changes while a partition lies in the trash.
CHANGES: Final = {
    "a column with a default": "ALTER TABLE log ADD COLUMN source text NOT NULL DEFAULT 'web'",
    "a column without": "ALTER TABLE log ADD COLUMN extra jsonb",
    "a generated column": "ALTER TABLE log ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED",
    "a column not null now": "ALTER TABLE log ADD COLUMN a int DEFAULT 1; ALTER TABLE log ALTER COLUMN a SET NOT NULL",
    "an index": "CREATE INDEX ON log (note, ts DESC) WHERE note <> 'x'",
    "an index on an expression": 'CREATE INDEX "odd USING name" ON log USING btree (lower(note))',
    "a unique key": "ALTER TABLE log ADD CONSTRAINT log_once UNIQUE (ts, id)",
    "a check": "ALTER TABLE log ADD CONSTRAINT positive CHECK (id > -100000000)",
    "a foreign key": "CREATE TABLE kind2 (note text PRIMARY KEY); INSERT INTO kind2 VALUES ('n');"
    " ALTER TABLE log ADD CONSTRAINT log_kind FOREIGN KEY (note) REFERENCES kind2",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_partition_comes_back_to_a_parent_that_has_changed(empty_database: str, change: str) -> None:
    """It gets what its parent was given meanwhile, before ATTACH and so without a lock on the parent."""
    shaped(empty_database, "plain")
    run(empty_database)
    execute(empty_database, *CHANGES[change].split(";"))
    report = run(empty_database, "undrop", period(-9))
    # What ATTACH would have built under its locks is an index that no statement of ours made.
    made = "".join(report.outcomes[0].statements)

    assert [(o.status, o.error) for o in report.outcomes] == [(Status.DONE, None)]
    assert rows(empty_database, f"SELECT count(*) FROM log WHERE ts < '{midnight(-8)}'") == [(ROWS,)]
    assert rows(
        empty_database,
        "SELECT count(*) FROM pg_index p WHERE p.indrelid = 'log'::regclass AND NOT EXISTS (SELECT FROM pg_inherits i"
        " JOIN pg_index x ON x.indexrelid = i.inhrelid WHERE i.inhparent = p.indexrelid AND x.indrelid = %s::regclass)",
        day_name(-9),
    ) == [(0,)]
    assert ("INDEX ON" in made or "UNIQUE" in made) == ("index" in change or ("key" in change and "unique" in change))


def test_a_check_that_is_not_valid_on_the_table_may_be_on_what_comes_back(empty_database: str) -> None:
    """A partition made since has the same check and it is valid, because it was made empty: ATTACH asks for no less."""
    create_log(empty_database, days=(-1, 0))
    execute(empty_database, "ALTER TABLE log ADD CONSTRAINT known CHECK (note <> '') NOT VALID")
    run(empty_database)
    run(empty_database, "drop", period(2))
    report = run(empty_database, "undrop", period(2))

    assert [(o.status, o.error) for o in report.outcomes] == [(Status.DONE, None)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("ALTER TABLE log DROP COLUMN note", "it has the column note, which its table no longer has"),
        ("ALTER TABLE log ALTER COLUMN note TYPE varchar(9)", "its column note is text, and that of its table is"),
        (
            (
                "ALTER TABLE log ADD COLUMN must int; UPDATE log SET must = 1;"
                " ALTER TABLE log ALTER COLUMN must SET NOT NULL"
            ),
            "was given the column must, NOT NULL and without a default",
        ),
    ],
)
def test_what_cannot_come_back_says_why_and_how_to_read_it(empty_database: str, change: str, says: str) -> None:
    """Dropped or incompatible columns: refused before anything is touched, and the rows stay where they are."""
    shaped(empty_database, "plain")
    run(empty_database)
    execute(empty_database, *change.split(";"))
    report = run(empty_database, "undrop", period(-9))

    assert [o.status for o in report.outcomes] == [Status.REFUSED]
    assert says in (report.outcomes[0].error or "")
    assert (report.outcomes[0].error or "").endswith(f"its rows: SELECT * FROM {TRASH}.{day_name(-9)}")
    assert in_trash(empty_database) == {day_name(d) for d in EXPIRED}


# What a partition has beside its columns and indexes, grants by the owner to itself aside.
DRESS: Final = """
SELECT pg_get_userbyid(c.relowner), c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
       ARRAY(SELECT x.grantee::regrole::text || ' ' || x.privilege_type || ' ' || x.is_grantable
               FROM aclexplode(c.relacl) x WHERE x.grantee <> c.relowner ORDER BY 1),
       ARRAY(SELECT a.attname || ' ' || x.grantee::regrole::text || ' ' || x.privilege_type
               FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = c.oid ORDER BY 1),
       ARRAY(SELECT p.polname || ' ' || p.polcmd::text || ' ' || pg_get_expr(p.polqual, p.polrelid)
               FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1)
  FROM pg_class c WHERE c.oid = %s::regclass
"""


@pytest.mark.parametrize("identity", ["FULL", "USING INDEX log_pkey"])
def test_who_may_do_what_is_as_with_a_partition_made_today(
    database: str, make_role: Callable[..., str], identity: str
) -> None:
    """Owner, grants, row security and replica identity that the table was given meanwhile come with the undo."""
    owner, reader = make_role(), make_role()
    create_log(database, days=(*EXPIRED, -2, 0), rows_a_day=ROWS)
    run(database)
    execute(
        database,
        f"GRANT SELECT ON log TO {reader}",
        f"GRANT UPDATE (note) ON log TO {reader}",
        "ALTER TABLE log ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE log FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY mine ON log FOR SELECT TO {reader} USING (EXISTS (SELECT FROM pg_class WHERE log.id > 0))",
        f"ALTER TABLE log REPLICA IDENTITY {identity}",
        f"ALTER TABLE log OWNER TO {owner}",
    )
    report = run(database, "undrop", period(-9))
    run(database, "create", period(-20))

    assert [(o.status, o.error) for o in report.outcomes] == [(Status.DONE, None)]
    assert rows(database, DRESS, day_name(-9)) == [
        tuple(
            [text.replace(day_name(-20), day_name(-9)) for text in value] if isinstance(value, list) else value
            for value in rows(database, DRESS, day_name(-20))[0]
        )
    ]
    assert rows(database, DRESS, day_name(-9))[0][0] == owner


def test_what_only_the_partition_had_stays_and_is_said(database: str, make_role: Callable[..., str]) -> None:
    """A grant that its table has not, or not any more, is nobody's to take; the plan and the report name it."""
    reader = make_role()
    create_log(database, days=(*EXPIRED, -2, 0), rows_a_day=ROWS)
    execute(
        database,
        f"GRANT SELECT ON {day_name(-9)} TO {reader}",
        f"CREATE POLICY own ON {day_name(-9)} USING (true)",
        f"ALTER TABLE {day_name(-9)} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {day_name(-9)} REPLICA IDENTITY FULL",
    )
    run(database)
    before = rows(database, DRESS, f"{TRASH}.{day_name(-9)}")
    report = maintain(database, request=Request(command="undrop", target=period(-9)), grace_days=7)
    text = " ".join(render(report, as_json=False).split())
    document = json.loads(render(report, as_json=True))

    assert before == rows(database, DRESS, day_name(-9))
    for words in (f"SELECT for {reader}", "the policy own", "row level security", "replica identity FULL"):
        assert words in text
    assert f"SELECT for {reader}" in document["tables"][0]["actions"][0]["beyond"]


def test_a_period_that_is_taken_and_a_name_that_is_taken(empty_database: str) -> None:
    """By which partition is said, with what would make room."""
    shaped(empty_database, "plain")
    run(empty_database, "drop", period(-2))
    log_partition(empty_database, -2, rows_a_day=1)
    taken = run(empty_database, "undrop", period(-2))
    run(empty_database, "drop", period(-2), now=True)
    execute(empty_database, f"CREATE TABLE {day_name(-2)} (other int)")
    named = run(empty_database, "undrop", period(-2))

    assert f"its period is taken by public.{day_name(-2)}" in (taken.outcomes[0].error or "")
    assert f"pgalmanac drop {day_name(-2)} --now" in (taken.outcomes[0].error or "")
    assert f"the name public.{day_name(-2)} is taken by another relation" in (named.outcomes[0].error or "")
    assert in_trash(empty_database) == {day_name(-2)}


def test_what_came_from_a_schema_that_is_no_more_comes_back_beside_its_parent(log: str) -> None:
    """A schema is renamed more often than one thinks of what its trash remembers."""
    name = day_name(EXPIRED[0])
    execute(log, f"CREATE SCHEMA days; ALTER TABLE {name} SET SCHEMA days")
    before = rows(log, "SELECT id, ts FROM log ORDER BY 1")
    run(log, "drop", name)
    execute(log, "ALTER SCHEMA days RENAME TO older")
    shown = planned(log, request=Request(command="undrop", target=name), grace_days=7)
    report = run(log, "undrop", name)

    assert f"public.{name}" in render(shown, as_json=False)
    assert [(o.status, o.error) for o in report.outcomes] == [(Status.DONE, None)]
    assert f"public.{name}" in placed(log)
    assert rows(log, "SELECT id, ts FROM log ORDER BY 1") == before


def test_a_day_that_maintain_made_anew_and_empty_makes_room(log: str) -> None:
    """A day dropped by hand inside retention is a gap that the next night fills; undo takes its place in one step."""
    run(log)
    before = rows(log, "SELECT id, ts FROM log ORDER BY 1")
    run(log, "drop", period(-1))
    filled = run(log).created
    shown = planned(log, request=Request(command="undrop", target=period(-1)), grace_days=7)
    report = run(log, "undrop", period(-1))

    assert filled == 1
    assert "in place of the empty partition there" in " ".join(render(shown, as_json=False).split())
    assert [(o.status, o.error) for o in report.outcomes] == [(Status.DONE, None)]
    assert rows(log, "SELECT id, ts FROM log ORDER BY 1") == before
    assert in_trash(log) == {day_name(d) for d in EXPIRED}
    assert day_name(-1) in attached(log)


def test_a_row_that_comes_between_plan_and_undo_keeps_its_place(log: str) -> None:
    """What was empty when it was planned is looked at again under the locks; neither side loses a row."""
    run(log, "drop", period(-1))
    run(log)

    def write(_: object) -> None:
        execute(log, f"INSERT INTO log (id, ts) VALUES (1, '{midnight(-1)}')")

    request = Request(command="undrop", target=period(-1))
    report = asyncio.run(perform(settings(log, grace_days=7), request, observer=pin_once(write))).tables[0]

    assert [o.status for o in report.outcomes] == [Status.FAILED]
    assert "which stands in its place, has rows by now; its rows: SELECT" in (report.outcomes[0].error or "")
    assert rows(log, f"SELECT count(*) FROM log WHERE ts >= '{midnight(-1)}' AND ts < '{midnight(0)}'") == [(1,)]
    assert rows(log, f"SELECT count(*) FROM {TRASH}.{day_name(-1)}") == [(ROWS,)]


ANOTHER_IN_ITS_PLACE: Final = (
    "ALTER TABLE log DETACH PARTITION {name}",
    "DROP TABLE {name}",
    "CREATE TABLE {name} PARTITION OF log FOR VALUES FROM ('{lower}') TO ('{upper}')",
)
# What somebody does to the empty partition of a day between the plan of an undo and the undo.
MEANWHILE: Final = {
    "another table of its name, in another place": (
        "ALTER TABLE log DETACH PARTITION {name}",
        "DROP TABLE {name}",
        "CREATE TABLE {name} PARTITION OF log FOR VALUES FROM ('2001-01-01') TO ('2001-01-02')",
    ),
    "another table of its name, in its place": ANOTHER_IN_ITS_PLACE,
    "moved to another place": (
        "ALTER TABLE log DETACH PARTITION {name}",
        "ALTER TABLE log ATTACH PARTITION {name} FOR VALUES FROM ('2001-01-01') TO ('2001-01-02')",
    ),
    "pinned": ('COMMENT ON TABLE {name} IS \'pgalmanac-pin: {{"reason": "mine"}}\'',),
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_what_makes_room_for_an_undo_is_the_partition_that_was_shown(log: str, meanwhile: str) -> None:
    """Another table in its place, or one that is wanted by now, is nobody's to drop, though it holds nothing."""
    run(log, "drop", period(-1))
    run(log)
    oids: list[Any] = []

    def change(_: object) -> None:
        texts = (text.format(name=day_name(-1), lower=midnight(-1), upper=midnight(0)) for text in MEANWHILE[meanwhile])
        execute(log, *texts)
        oids.extend(rows(log, "SELECT %s::regclass::oid", day_name(-1)))

    request = Request(command="undrop", target=period(-1))
    report = asyncio.run(perform(settings(log, grace_days=7), request, observer=pin_once(change))).tables[0]

    assert [o.status for o in report.outcomes] == [Status.REFUSED]
    assert str(report.outcomes[0].error).startswith("pinned: mine") == (meanwhile == "pinned")
    assert rows(log, "SELECT %s::regclass::oid", day_name(-1)) == oids
    assert rows(log, f"SELECT count(*) FROM {TRASH}.{day_name(-1)}") == [(ROWS,)]


@pytest.mark.parametrize("seen", [True, False])
def test_an_undo_in_place_does_not_stop_all_writers_for_a_look_through_the_default_partition(
    empty_database: str,
    seen: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """They wait no longer than for a lock, also for rows that come after the plan was made.

    The sentence says what takes longer, and what makes it possible.
    """
    shaped(empty_database, "default")
    run(empty_database, "drop", period(-1))
    run(empty_database)

    def stray(_: object) -> None:
        execute(
            empty_database,
            f"INSERT INTO log (id, ts) SELECT n, timestamptz '{midnight(-40)}' FROM generate_series(1, 300000) n",
        )

    request, hasty = Request(command="undrop", target=period(-1)), {"lock_timeout_ms": 5, "retry_seconds": 60}
    if seen:
        stray(None)
    observer = None if seen else pin_once(stray)
    (refused,) = asyncio.run(
        perform(settings(empty_database, grace_days=7, **hasty), request, observer=observer)
    ).tables
    before = rows(empty_database, f"SELECT count(*) FROM {day_name(-1)}")
    done = run(empty_database, "undrop", period(-1), lock_timeout_ms=60_000, retry_seconds=60)

    assert [o.status for o in refused.outcomes] == [Status.REFUSED]
    assert "log_default" in str(refused.outcomes[0].error)
    assert "lock_timeout_ms" in str(refused.outcomes[0].error)
    assert before == [(0,)]
    assert [(o.status, o.error) for o in done.outcomes] == [(Status.DONE, None)]
    assert rows(empty_database, f"SELECT count(*) FROM {day_name(-1)}") == [(ROWS,)]


def test_stray_rows_of_the_period_keep_it_in_the_trash(empty_database: str) -> None:
    """Rows that came for the day while it was away stand in the default partition."""
    shaped(empty_database, "default")
    run(empty_database)
    execute(empty_database, f"INSERT INTO log VALUES (1, '{midnight(-9)}')")
    report = run(empty_database, "undrop", period(-9))

    assert [o.status for o in report.outcomes] == [Status.REFUSED]
    assert "public.log_default has 1 row of its period" in (report.outcomes[0].error or "")


def test_rows_put_into_the_trash_that_do_not_belong_fail_the_undo(empty_database: str) -> None:
    """Somebody wrote to the table in the trash: ATTACH would not take the row, and nothing is changed."""
    shaped(empty_database, "default")
    run(empty_database)
    name = f"{TRASH}.{day_name(-9)}"
    execute(empty_database, f"ALTER TABLE {name} DROP CONSTRAINT pgalmanac_bounds")
    execute(empty_database, f"INSERT INTO {name} VALUES (1, '{midnight(-1)}')")
    report = run(empty_database, "undrop", period(-9))

    assert [o.status for o in report.outcomes] == [Status.FAILED]
    assert "pgalmanac_bounds" in (report.outcomes[0].error or "")
    assert day_name(-9) in in_trash(empty_database)


@pytest.mark.parametrize("default", [False, True])
def test_undoing_a_million_rows_scans_none_and_is_done_within_two_lock_timeouts(
    empty_database: str,
    default: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """The partition's scan counters stay what they were; 400 ms for a lock_timeout of 200."""
    shaped(empty_database, "default" if default else "plain")
    execute(
        empty_database,
        f"INSERT INTO log (id, ts) SELECT n, timestamptz '{midnight(-9)}' + n * interval '80 ms'"
        " FROM generate_series(1, 1000000) n",
        # As any table of events has: with it the report's oldest event is found without a scan.
        "CREATE INDEX ON log (ts)",
        "VACUUM ANALYZE log",
    )
    ((oid,),) = rows(empty_database, "SELECT %s::regclass::oid", day_name(-9))
    run(empty_database)
    before = scans(empty_database, oid)
    report = run(empty_database, "undrop", period(-9))
    after = scans(empty_database, oid)

    assert report.attached == 1
    assert report.outcomes[0].rows == 1000000 + ROWS
    assert after == before
    assert (report.outcomes[0].duration_ms or 0) < 400


def scans(conninfo: str, oid: int) -> tuple[int, int]:
    """Sequential scans of a table and the rows they read, once the statistics of every session have arrived."""
    time.sleep(1.2)  # counters lag commits by up to a second
    ((scanned, read),) = rows(
        conninfo, "SELECT pg_stat_get_numscans(%s::oid), pg_stat_get_tuples_returned(%s::oid)", oid, oid
    )
    return int(scanned), int(read)


def test_the_trash_lists_what_it_holds(log: str) -> None:
    """With rows and bytes, bounds, and the instant until which it is kept."""
    execute(log, "ANALYZE log")  # the counters of 14 come late
    run(log)
    report = asyncio.run(kept(settings(log), "trash"))
    table = report.tables[0]

    assert table.view is not None
    assert [o.name.name for o in table.view.table.orphans] == [day_name(d) for d in EXPIRED]
    assert {o.mark.keep_until for o in table.view.table.orphans} == {midnight(8)}
    assert [c.rows for c in table.counts] == [ROWS, ROWS]
    assert all(c.bytes for c in table.counts)


def test_a_pinned_partition_is_dropped_by_nothing(log: str) -> None:
    """Neither by night nor by hand, with or without a grace, and the history has the pin with its reason."""
    pinned = run(log, "pin", day_name(-9), reason="case 4711", until=today() + timedelta(days=3))
    night = run(log, grace_days=0)
    by_hand = run(log, "drop", day_name(-9))
    at_once = run(log, "drop", day_name(-9), now=True)
    recorded = rows(
        log,
        "SELECT r.details ->> 'command', a.action, a.status, a.sql FROM housekeeper_runs r"
        " JOIN housekeeper_run_actions a ON a.run_id = r.id WHERE a.action = 'pin'",
    )
    note = f"pinned: case 4711 (until {today() + timedelta(days=3)})"

    assert not pinned.failed
    assert {o.action.partition.name: (o.status, o.error) for o in night.outcomes if o.action.kind == "drop"} == {
        day_name(-9): (Status.SKIPPED, note),
        day_name(-8): (Status.DONE, None),
    }
    assert not night.failed
    assert [o.status for o in (*by_hand.outcomes, *at_once.outcomes)] == [Status.REFUSED] * 2
    assert note in (by_hand.outcomes[0].error or "")
    assert [(c, a, s, "case 4711" in q) for c, a, s, q in recorded] == [("pin", "pin", "done", True)]
    assert day_name(-9) in attached(log)


def test_a_pin_ends_with_its_day_and_with_unpin(log: str) -> None:
    """A pin of yesterday holds nothing; one that is taken off leaves the rest of the comment."""
    execute(log, f"COMMENT ON TABLE {day_name(-9)} IS 'mine'")
    run(log, "pin", f"{period(-9)}..{period(-8)}", reason="audit")
    held = run(log)
    lifted = run(log, "unpin", period(-9))
    comment = rows(log, "SELECT obj_description(%s::regclass)", day_name(-9))
    execute(log, f'COMMENT ON TABLE {day_name(-8)} IS \'pgalmanac-pin: {{"reason": "x", "until": "2020-01-01"}}\'')
    free = run(log)

    assert held.trashed == 0
    assert [o.action.kind for o in lifted.outcomes] == ["unpin"]
    assert comment == [("mine",)]
    assert free.trashed == 2


def test_a_pin_on_what_lies_in_the_trash_keeps_it_there(log: str) -> None:
    """Dropped yesterday, asked for today: the grace ends and the table stays until it is unpinned."""
    run(log)
    run(log, "pin", period(-9), reason="asked for")
    age(log, day_name(-9), 30)
    held = run(log)
    run(log, "unpin", period(-9))
    freed = run(log)

    assert held.dropped == 0
    assert freed.dropped == 1
    assert in_trash(log) == {day_name(-8)}


def test_a_pin_that_comes_between_plan_and_drop_is_seen_under_the_lock(log: str) -> None:
    """Somebody pins with an SQL client while the run is at its first partition."""

    def pin(_: object) -> None:
        execute(log, f'COMMENT ON TABLE {day_name(-8)} IS \'pgalmanac-pin: {{"reason": "now"}}\'')

    report = asyncio.run(
        perform(settings(log, grace_days=7, premake_days=0), Request(command="maintain"), observer=pin_once(pin))
    ).tables[0]
    by_name = {o.action.partition.name: o for o in report.outcomes}

    assert by_name[day_name(-9)].status is Status.DONE
    assert (by_name[day_name(-8)].status, by_name[day_name(-8)].error) == (Status.SKIPPED, "pinned: now")
    assert rows(log, "SELECT obj_description(%s::regclass)", day_name(-8)) == [('pgalmanac-pin: {"reason": "now"}',)]
    assert day_name(-8) in attached(log)


@pytest.mark.parametrize("command", ["pin", "unpin"])
def test_a_pin_is_of_the_partition_that_was_shown(log: str, command: Literal["pin", "unpin"]) -> None:
    """Another table of its name, made between plan and step, neither gets the pin nor loses one of its own."""
    run(log, "pin", period(-1), reason="case 4711")
    theirs = 'pgalmanac-pin: {"reason": "theirs"}'

    def change(_: object) -> None:
        texts = (text.format(name=day_name(-1), lower=midnight(-1), upper=midnight(0)) for text in ANOTHER_IN_ITS_PLACE)
        execute(log, *texts, f"COMMENT ON TABLE {day_name(-1)} IS '{theirs}'")

    request = Request(command=command, target=period(-1), reason="case 4712")
    report = asyncio.run(perform(settings(log), request, observer=pin_once(change))).tables[0]

    assert [(o.status, o.error) for o in report.outcomes] == [
        (Status.REFUSED, f"public.{day_name(-1)} is not the table that was planned for; look again")
    ]
    assert rows(log, "SELECT obj_description(%s::regclass)", day_name(-1)) == [(theirs,)]


def test_a_grace_that_was_prolonged_between_plan_and_drop_holds(log: str) -> None:
    """Somebody writes a later end into the mark while the run begins: the guard reads it, and nothing is dropped."""
    run(log)
    age(log, day_name(-9), 8)

    def prolong(_: object) -> None:
        age(log, day_name(-9), -30)

    report = asyncio.run(
        perform(settings(log, grace_days=7), Request(command="maintain"), observer=pin_once(prolong))
    ).tables[0]

    assert [(o.action.reason, o.status) for o in report.outcomes] == [("grace ended", Status.REFUSED)]
    assert "has not ended by the server's clock" in (report.outcomes[0].error or "")
    assert day_name(-9) in in_trash(log)


def pin_once(pin: Callable[[object], None]) -> Callable[[object], None]:
    """Call *pin* at the first event of a run, which is its plan."""
    seen: list[object] = []

    def observe(event: object) -> None:
        if not seen:
            pin(event)
        seen.append(event)

    return observe


def test_pins_survive_a_dump_and_marks_do_not_count(log: str) -> None:
    """A restored table has other OIDs: its pin still holds, its mark is nobody's."""
    run(log, "pin", period(-9), reason="kept")
    (((comment,),)) = rows(log, "SELECT obj_description(%s::regclass)", day_name(-9))
    name = day_name(-9)
    execute(log, f"ALTER TABLE log DETACH PARTITION {name}", f"ALTER TABLE {name} RENAME TO old")
    log_partition(log, -9)
    execute(log, f"COMMENT ON TABLE {name} IS $c${comment}$c$")
    report = run(log)

    assert [o.status for o in report.outcomes if o.action.partition.name == name] == [Status.SKIPPED]


@pytest.mark.parametrize("field", ["system_id", "parent_oid", "oid"])
def test_a_mark_that_is_not_of_this_very_table_is_nobodys(empty_database: str, field: str) -> None:
    """As pg_upgrade, a restored dump or a copy of the table leaves it: neither dropped nor brought back."""
    create_log(empty_database, days=(*EXPIRED, 0), rows_a_day=ROWS)
    run(empty_database)
    name = f"{TRASH}.{day_name(-9)}"
    age(empty_database, day_name(-9), 30)
    (((comment,),)) = rows(empty_database, "SELECT obj_description(%s::regclass, 'pg_class')", name)
    words, mark = str(comment).split(MARK)
    other = {**json.loads(mark), field: "7" if field == "system_id" else 7}
    execute(empty_database, f"COMMENT ON TABLE {name} IS $c${words}{MARK}{json.dumps(other)}$c$")
    report = run(empty_database)

    assert report.outcomes == ()
    assert rows(empty_database, f"SELECT count(*) FROM {name}") == [(ROWS,)]
    why = "another system identifier" if field == "system_id" else "nothing that was dropped"
    with pytest.raises(UsageError, match=why):
        run(empty_database, "undrop", period(-9))


def test_a_reader_in_a_loop_never_sees_half_a_day(empty_database: str) -> None:
    """The rows of a day are all there or all gone, through a drop and its undo."""
    shaped(empty_database, "plain")
    seen: set[int] = set()
    with connect(empty_database) as reader:
        for _ in range(3):
            for command, target in (("maintain", ""), ("undrop", f"{period(-9)}..{period(-8)}")):
                done = asyncio.run(_watched(empty_database, reader, command, target, seen))
                assert not done.tables[0].failed
            run(empty_database, "unpin", f"{period(-9)}..{period(-8)}")

    assert seen <= {0, ROWS}
    assert seen == {0, ROWS}


async def _watched(
    conninfo: str,
    reader: psycopg.Connection[Any],
    command: Any,  # noqa: ANN401  # one of its words
    target: str,
    seen: set[int],
) -> RunReport:
    """Run the command while another thread counts the rows of one day again and again."""
    stop = asyncio.Event()

    def look() -> None:
        query = f"SELECT count(*) FROM log WHERE ts < '{midnight(-8)}'"
        while not stop.is_set():
            row = reader.execute(query.encode()).fetchone()
            seen.add(int(row[0]) if row else -1)

    looking = asyncio.create_task(asyncio.to_thread(look))
    try:
        return await perform(settings(conninfo, grace_days=7), Request(command=command, target=target))
    finally:
        stop.set()
        await looking


def test_a_detach_that_was_cut_off_ends_in_the_trash(empty_database: str) -> None:
    """A marked, pending detach is finalized and moved by the next run, whatever the retention says by then."""
    shaped(empty_database, "plain")
    report = planned(empty_database, grace_days=7)
    first = next(o for o in report.tables[0].outcomes if o.action.kind is ActionKind.TRASH)
    mark = next(s for s in first.statements if s.startswith("COMMENT"))
    execute(empty_database, mark)
    with connect(empty_database) as reader, connect(empty_database) as detacher:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM log")
        detacher.execute("SET statement_timeout = '300ms'")
        with suppress(psycopg.errors.QueryCanceled):
            detacher.execute(f"ALTER TABLE log DETACH PARTITION {day_name(-9)} CONCURRENTLY".encode())
    before = everywhere(empty_database)
    done = run(empty_database, retention_days=90)

    assert [(o.action.kind, o.action.reason, o.status) for o in done.outcomes if o.action.kind != "create"] == [
        ("trash", "unfinished", Status.DONE)
    ]
    assert in_trash(empty_database) == {day_name(-9)}
    assert everywhere(empty_database) == before


def _prepared(shape: str) -> Callable[[str], None]:
    return lambda conninfo: shaped(conninfo, shape)


def _to_undrop(shape: str) -> Callable[[str], None]:
    """The two days lie in the trash, and the parent was given an index and a column meanwhile."""

    def make(conninfo: str) -> None:
        shaped(conninfo, shape)
        run(conninfo)
        execute(conninfo, "ALTER TABLE log ADD COLUMN more int DEFAULT 3", "CREATE INDEX ON log (note)")

    return make


CRASHES: Final[dict[str, tuple[Callable[[str], None], str]]] = {
    **{f"maintain, {shape}": (_prepared(shape), "maintain") for shape in SHAPES},
    **{f"undrop, {shape}": (_to_undrop(shape), "undrop") for shape in SHAPES},
}


@pytest.mark.parametrize("crash", CRASHES)
def test_killed_between_two_statements_no_row_is_in_neither_place(
    server: Cluster,
    new_database: Callable[..., AbstractContextManager[str]],
    template: Callable[[str], tuple[str, int]],
    crash: str,
) -> None:
    """Every fifth statement of a run is in turn its last: all rows are somewhere, and the next run ends what it began.

    The statement reaches the server or does not, in turns; the same with every statement, both ways, is marked slow.
    """
    _, statements = template(crash)
    first = 1 + list(CRASHES).index(crash) % 5
    for number, at in enumerate(range(first, statements + 1, 5)):
        _kill_and_look(server, new_database, template, crash, at=at, deliver=number % 2 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("deliver", [False, True])
@pytest.mark.parametrize("crash", CRASHES)
def test_killed_between_any_two_statements_no_row_is_in_neither_place(
    server: Cluster,
    new_database: Callable[..., AbstractContextManager[str]],
    template: Callable[[str], tuple[str, int]],
    crash: str,
    deliver: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """Every statement of a run in turn is the last."""
    _, statements = template(crash)
    for at in range(1, statements + 1):
        _kill_and_look(server, new_database, template, crash, at=at, deliver=deliver)


def _kill_and_look(
    server: Cluster,
    new_database: Callable[..., AbstractContextManager[str]],
    template: Callable[[str], tuple[str, int]],
    crash: str,
    *,
    at: int,
    deliver: bool,
) -> None:
    name, statements = template(crash)
    request = _crashing(crash)
    undo = request.command == "undrop"
    away = {day_name(d) for d in EXPIRED}
    with new_database(template=name) as conninfo:
        before = everywhere(conninfo)
        where = f"{crash}, at {at} of {statements}, deliver {deliver}"
        with Proxy(server.sockets, at=at, deliver=deliver) as proxy, suppress(PgalmanacError):
            asyncio.run(perform(settings(proxy.conninfo(conninfo), grace_days=7), request))
        after = everywhere(conninfo)
        seen = int(rows(conninfo, "SELECT count(*) FROM log")[0][0])
        _next_run(conninfo, request)

        assert after == before, where
        assert seen in {before, before - ROWS, before - 2 * ROWS}, where
        assert everywhere(conninfo) == before, where
        assert todo(conninfo, grace_days=7) == [], where
        assert in_trash(conninfo) == (set() if undo else away), where
        assert (away & attached(conninfo)) == (away if undo else set()), where


def _crashing(crash: str) -> Request:
    if CRASHES[crash][1] == "maintain":
        return Request(command="maintain")
    return Request(command="undrop", target=f"{period(-9)}..{period(-8)}")


def _next_run(conninfo: str, request: Request) -> None:
    """The same command again, which may have to wait until the server has noticed that the first is dead."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            report = maintain(conninfo, request=request, grace_days=7)
        except UsageError:
            return  # the undo was complete, and nothing is left to undo
        if not report.tables[0].locked or time.monotonic() > end:
            assert report.exit_code == 0, [o.error for o in report.tables[0].outcomes]
            return
        time.sleep(0.05)


@pytest.fixture(scope="module")
def template(
    server: Cluster, new_database: Callable[..., AbstractContextManager[str]]
) -> Generator[Callable[[str], tuple[str, int]]]:
    """Give a function that prepares a crash once, and counts the statements of an undisturbed run of it."""
    made: dict[str, tuple[str, int]] = {}
    with ExitStack() as stack:

        def make(crash: str) -> tuple[str, int]:
            if crash not in made:
                prepare, _ = CRASHES[crash]
                conninfo = stack.enter_context(new_database())
                prepare(conninfo)
                name = str(rows(conninfo, "SELECT current_database()")[0][0])
                with new_database(template=name) as copy, Proxy(server.sockets) as proxy:
                    report = asyncio.run(perform(settings(proxy.conninfo(copy), grace_days=7), _crashing(crash)))
                    assert report.exit_code == 0
                    made[crash] = (name, proxy.count)
            return made[crash]

        yield make
