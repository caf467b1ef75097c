"""What people do by hand with a table that was dropped and is still there, and what a cut-off run left of one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from integration.test_recovery import EXPIRED, ROWS, TRASH, attached, day_name, everywhere, in_trash, run, shaped
from pgalmanac.actions import ActionKind, Status
from pgalmanac.findings import Code
from pgalmanac.marks import read_mark
from pgalmanac.overview import kept
from pgalmanac.report import render
from support import connect, rows
from under_fire import age, create_log, execute, midnight, planned, settings, todo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pgalmanac.model import Mark
    from pgalmanac.results import TableReport


@pytest.fixture(params=["plain", "default"])
def log(request: pytest.FixtureRequest, empty_database: str) -> str:
    """Give a database in both shapes in which a detach and the move are one transaction, or two."""
    shaped(empty_database, request.param)
    return empty_database


@pytest.fixture
def plain(empty_database: str) -> str:
    """Give a database in the shape in which a run can be cut off between the detach and the move."""
    shaped(empty_database, "plain")
    return empty_database


def cut_off(conninfo: str, **policy: Any) -> None:  # noqa: ANN401  # a policy's fields are of many types
    """Leave the oldest partition as a kill between its detach and what follows does: marked, detached, at home."""
    (report,) = planned(conninfo, **policy).tables
    (statements,) = [o.statements for o in report.outcomes if o.action.partition.name == day_name(-9)]
    begin = next(n for n, s in enumerate(statements) if s.startswith("COMMENT"))
    execute(conninfo, *statements[begin : begin + 2])

    assert day_name(-9) not in attached(conninfo)
    assert rows(conninfo, f"SELECT count(*) FROM public.{day_name(-9)}") == [(ROWS,)]


def move(conninfo: str, schema: str, *, out_of: str = TRASH) -> None:
    """What an operator does who wants the table elsewhere."""
    execute(
        conninfo, f"CREATE SCHEMA IF NOT EXISTS {schema}", f"ALTER TABLE {out_of}.{day_name(-9)} SET SCHEMA {schema}"
    )


def marked(conninfo: str, schema: str) -> Mark:
    """What the mark of the table says."""
    ((comment,),) = rows(conninfo, "SELECT obj_description(%s::regclass, 'pg_class')", f"{schema}.{day_name(-9)}")
    found = read_mark(comment)
    assert found is not None
    return found


def said(report: TableReport) -> list[str]:
    """What a report has to say of tables that were dropped, those that lie in the trash aside."""
    return [
        f.message for f in report.findings if f.code in {Code.TRASH, Code.ORPHAN_TABLE} and day_name(-9) in f.message
    ]


@pytest.mark.parametrize("ended", [False, True], ids=["in its grace", "past its grace"])
@pytest.mark.parametrize("schema", ["public", "kept"])
def test_what_somebody_moved_out_of_the_trash_stays_there_also_at_home(
    log: str,
    schema: str,
    ended: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """Neither back into the trash nor gone, were it in the schema that it came from; the report says what ends that."""
    run(log)
    before = everywhere(log)
    move(log, schema)
    if ended:
        age(log, day_name(-9), 30, schema)
    report = run(log)
    listed = render(asyncio.run(kept(settings(log), "trash")), as_json=False)

    ends = (
        f"{schema}.{day_name(-9)} was dropped from public.log and moved by somebody since: nothing drops it any more; "
        f"pgalmanac undrop {day_name(-9)} --table public.log attaches it again, "
        f"pgalmanac drop {schema}.{day_name(-9)} --table public.log --now drops it for good"
    )

    assert report.outcomes == ()
    assert rows(log, f"SELECT count(*) FROM {schema}.{day_name(-9)}") == [(ROWS,)]
    assert said(report) == [ends]
    assert f"{schema}.{day_name(-9)}" in listed
    assert "moved by somebody: nothing drops it" in listed
    assert not run(log, "undrop", day_name(-9)).failed
    assert day_name(-9) in attached(log)
    if schema == "public":
        assert everywhere(log) == before


def test_what_somebody_moved_home_goes_for_good_by_hand(log: str) -> None:
    """As the report says."""
    run(log)
    move(log, "public")
    age(log, day_name(-9), 30, "public")
    dropped = run(log, "drop", f"public.{day_name(-9)}", now=True)

    assert [(o.action.kind, o.status) for o in dropped.outcomes] == [("drop", Status.DONE)]
    assert rows(log, "SELECT to_regclass(%s) IS NULL", f"public.{day_name(-9)}") == [(True,)]


def test_what_somebody_put_back_into_the_trash_has_the_grace_that_it_had(log: str) -> None:
    """Taken out, looked at, put back."""
    run(log)
    move(log, "kept")
    age(log, day_name(-9), 30, "kept")
    out = run(log)
    move(log, TRASH, out_of="kept")
    back = run(log)

    assert out.outcomes == ()
    assert [(o.action.reason, o.status) for o in back.outcomes] == [("grace ended", Status.DONE)]


def test_a_schema_that_becomes_the_trash_ends_nothing_that_somebody_took_there(log: str) -> None:
    """Taken out into a schema of which the trash is made later: what was put there by hand is nobody's to drop."""
    run(log)
    move(log, "kept")
    age(log, day_name(-9), 30, "kept")
    report = run(log, trash_schema="kept")

    assert report.outcomes == ()
    assert rows(log, f"SELECT count(*) FROM kept.{day_name(-9)}") == [(ROWS,)]


def test_what_somebody_attached_to_another_table_is_that_ones(log: str) -> None:
    """Home or in place: it is no table of ours while it is a partition, and stays when it is detached again."""
    run(log)
    move(log, "public")
    age(log, day_name(-9), 30, "public")
    execute(
        log,
        "CREATE TABLE other (LIKE log) PARTITION BY RANGE (ts)",
        f"ALTER TABLE other ATTACH PARTITION {day_name(-9)} FOR VALUES FROM ('{midnight(-9)}') TO ('{midnight(-8)}')",
    )
    there = run(log)
    execute(log, f"ALTER TABLE other DETACH PARTITION {day_name(-9)}")
    after = run(log)

    assert (there.outcomes, said(there)) == ((), [])
    assert after.outcomes == ()
    assert len(said(after)) == 1
    assert rows(log, f"SELECT count(*) FROM public.{day_name(-9)}") == [(ROWS,)]


def test_what_was_to_be_dropped_at_once_and_was_moved_by_somebody_stays(plain: str) -> None:
    """Without a grace as well: whoever found the table that a run was cut off with, and moved it, keeps it."""
    cut_off(plain)
    move(plain, "kept", out_of="public")
    moved = run(plain, grace_days=0)
    move(plain, "public", out_of="kept")
    at_home = run(plain, grace_days=0)

    assert [o.action.partition.name for o in moved.outcomes if o.action.kind is ActionKind.DROP] == [day_name(-8)]
    assert len(said(moved)) == 1
    assert [(o.action.kind, o.action.reason, o.status) for o in at_home.outcomes] == [
        ("drop", "unfinished", Status.DONE)
    ]


def test_what_somebody_moved_is_not_attached_again_when_its_archive_fails(plain: str, tmp_path: Path) -> None:
    """A drop by hand that comes to nothing leaves it where that somebody put it."""
    (tmp_path / "file").touch()
    cut_off(plain)
    move(plain, "kept", out_of="public")
    report = run(plain, "drop", f"kept.{day_name(-9)}", now=True, archive_url=f"file://{tmp_path}/file")

    assert [o.status for o in report.outcomes] == [Status.FAILED] * 2
    assert str(report.outcomes[0].error).endswith("; it stays where it is")
    assert rows(plain, f"SELECT count(*) FROM kept.{day_name(-9)}") == [(ROWS,)]
    assert day_name(-9) not in attached(plain)


def test_a_run_that_was_cut_off_before_the_move_is_ended_by_the_next(plain: str) -> None:
    """It reaches the trash with the end that its mark had, and only there does the mark say so."""
    cut_off(plain, grace_days=7)
    before, there = marked(plain, "public"), everywhere(plain)
    warned = said(planned(plain, grace_days=7).tables[0])
    report = run(plain, retention_days=90)

    assert not before.arrived
    assert ["has not reached the trash" in text for text in warned] == [True]
    assert [(o.action.kind, o.action.reason, o.status) for o in report.outcomes if o.action.kind != "create"] == [
        ("trash", "unfinished", Status.DONE)
    ]
    assert in_trash(plain) == {day_name(-9)}
    assert marked(plain, TRASH).arrived
    assert (marked(plain, TRASH).keep_until, marked(plain, TRASH).at) == (before.keep_until, before.at)
    assert everywhere(plain) == there
    assert todo(plain, retention_days=90, grace_days=7) == []


@pytest.mark.parametrize("half", [False, True], ids=["detached", "half detached"])
def test_what_was_cut_off_and_comes_late_has_a_grace_all_the_same(
    plain: str,
    half: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """Nobody ran for a month: nobody could have had it back from the trash, and so it gets there first."""
    if half:
        (report,) = planned(plain, grace_days=7).tables
        first = next(o for o in report.outcomes if o.action.kind is ActionKind.TRASH)
        execute(plain, next(s for s in first.statements if s.startswith("COMMENT")))
        half_detach(plain)
    else:
        cut_off(plain, grace_days=7)
    age(plain, day_name(-9), 30, "public")
    before = everywhere(plain)
    report = run(plain)
    again = run(plain)

    assert (day_name(-9), "trash", Status.DONE) in [
        (o.action.partition.name, o.action.kind, o.status) for o in report.outcomes
    ]
    assert again.outcomes == ()
    assert marked(plain, TRASH).keep_until == midnight(8)
    assert everywhere(plain) == before


def half_detach(conninfo: str) -> None:
    """Begin to detach the oldest partition, and be called off while a reader keeps that from ending."""
    with connect(conninfo) as reader, connect(conninfo) as detacher:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM log")
        detacher.execute("SET statement_timeout = '300ms'")
        with suppress(psycopg.errors.QueryCanceled):
            detacher.execute(f"ALTER TABLE log DETACH PARTITION {day_name(-9)} CONCURRENTLY".encode())

    assert rows(conninfo, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhdetachpending") == [
        (day_name(-9),)
    ]


def test_a_detach_that_somebody_began_of_what_came_back_from_the_trash_is_theirs(plain: str) -> None:
    """Attached by hand, it still has the mark of its drop, which says nothing of this detach: the table stays."""
    run(plain)
    move(plain, "public")
    execute(
        plain,
        f"ALTER TABLE log ATTACH PARTITION {day_name(-9)} FOR VALUES FROM ('{midnight(-9)}') TO ('{midnight(-8)}')",
    )
    age(plain, day_name(-9), 30, "public")
    half_detach(plain)
    report = run(plain)
    after = run(plain)

    assert [(o.action.kind, o.status) for o in report.outcomes] == [("finalize", Status.DONE)]
    assert after.outcomes == ()
    assert rows(plain, f"SELECT count(*) FROM public.{day_name(-9)}") == [(ROWS,)]


def test_a_detach_that_somebody_began_is_dropped_by_hand_into_the_trash_and_comes_back(plain: str) -> None:
    """What goes there has a mark, whoever began it: nothing else knows of it there."""
    half_detach(plain)
    dropped = run(plain, "drop", day_name(-9))
    mark = marked(plain, TRASH)
    undone = run(plain, "undrop", day_name(-9))

    assert [(o.action.kind, o.status) for o in dropped.outcomes] == [("trash", Status.DONE)]
    assert (mark.manual, mark.arrived, mark.keep_until) == (True, True, midnight(8))
    assert not undone.failed
    assert day_name(-9) in attached(plain)


def test_what_was_cut_off_goes_where_its_mark_says_and_that_schema_is_made(plain: str) -> None:
    """The setting changed in between, and only the schema of the new one is there."""
    cut_off(plain, grace_days=7, trash_schema="first")
    execute(plain, "CREATE SCHEMA second")
    report = run(plain, trash_schema="second")

    assert {o.status for o in report.outcomes} == {Status.DONE}
    assert (in_trash(plain, "first"), in_trash(plain, "second")) == ({day_name(-9)}, {day_name(-8)})


@pytest.mark.parametrize("open_one", [TRASH, "second"])
def test_each_trash_is_asked_for_what_goes_there(database: str, make_role: Callable[..., str], open_one: str) -> None:
    """Of two that are wanted the role may use one: only what goes to the other is refused, with what would allow it."""
    create_log(database, days=(*EXPIRED, 0), rows_a_day=ROWS)
    role = make_role()
    execute(
        database,
        f"CREATE SCHEMA {TRASH}",
        "CREATE SCHEMA second",
        f"GRANT CREATE ON SCHEMA public TO {role}",
        f"GRANT USAGE, CREATE ON SCHEMA {open_one} TO {role}",
        *(f"ALTER TABLE {name} OWNER TO {role}" for name in ("log", *(day_name(d) for d in (*EXPIRED, 0)))),
    )
    cut_off(database, grace_days=7)
    report = run(f"{database} user={role}", trash_schema="second")
    by_name = {o.action.partition.name: o for o in report.outcomes if o.action.kind is ActionKind.TRASH}
    refused, done = (day_name(-8), day_name(-9)) if open_one == TRASH else (day_name(-9), day_name(-8))
    closed = "second" if open_one == TRASH else TRASH

    assert (by_name[refused].status, by_name[done].status) == (Status.REFUSED, Status.DONE)
    assert by_name[refused].error == (
        f'this role cannot put anything into the trash; missing: GRANT USAGE, CREATE ON SCHEMA "{closed}" TO "{role}"'
    )
    assert in_trash(database, open_one) == {done}
