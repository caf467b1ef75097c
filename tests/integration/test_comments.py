"""What people write on a partition survives whatever pgalmanac writes there, also when it came after the plan."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from psycopg import sql

from integration.test_recovery import TRASH, day_name, period, pin_once, run, shaped
from pgalmanac.actions import ActionKind, Status
from pgalmanac.attempts import run_script
from pgalmanac.db import connect as connected
from pgalmanac.ddl import Statement, remark
from pgalmanac.inspection import MAINTAIN, Request
from pgalmanac.maintain import perform
from pgalmanac.marks import PIN_PREFIX, PREFIX, UNMARKED, UNPINNED, Lines, marked, pinned, read_mark, read_pin
from pgalmanac.model import Pin
from pgalmanac.table_names import TableName
from snapshots import NOW, day, mark
from support import connect, rows
from under_fire import execute, planned, settings

if TYPE_CHECKING:
    from pgalmanac.model import PartitionedTable
    from pgalmanac.results import TableReport

PATIENCE_SECONDS: Final = 60
BY_HAND: Final = "by hand"
MARK: Final = replace(mark(day(-9), oid=7), keep_until=NOW, home='My "schema" \\', at=NOW)
PIN: Final = Pin(reason="it's %s, $$ \\n and \u2713", by="me")


def comment(conninfo: str, name: str) -> str | None:
    """What is written on a table."""
    found: str | None = rows(conninfo, "SELECT obj_description(%s::regclass, 'pg_class')", name)[0][0]
    return found


def add_by_hand(conninfo: str, name: str) -> None:
    """Put a line of people's before whatever is written on the table."""
    text = "\n".join([BY_HAND, *(comment(conninfo, name) or "").splitlines()])
    with connect(conninfo) as connection:
        statement = sql.SQL("COMMENT ON TABLE {} IS {}")
        connection.execute(statement.format(sql.Identifier(*name.split(".")), text))


def meanwhile(conninfo: str, name: str, request: Request = MAINTAIN, **policy: Any) -> TableReport:  # noqa: ANN401  # a policy's fields
    """One command on log, with a line of people's written between its plan and its first action."""

    def write(_: object) -> None:
        add_by_hand(conninfo, name)

    wanted = settings(conninfo, **{"grace_days": 7, **policy})
    return asyncio.run(perform(wanted, request, observer=pin_once(write))).tables[0]


@pytest.mark.parametrize("own", [None, "mine", "it's\n\n100% \\n 'quoted' $$\n\u00e4", " \ttrailing \n"])
def test_lines_take_the_place_of_their_like_and_of_nothing_else(empty_database: str, own: str | None) -> None:
    """In any order, twice, and taken off again: what people wrote is what it was, to the letter."""
    name = TableName(schema="public", name='odd %s "name" $$')

    async def write(*changes: Lines) -> str | None:
        async with connected(empty_database) as session:
            for lines in changes:
                # As it was planned: of a table on which nothing was written yet.
                await run_script(session, remark(name, lines, None), deadline_ms=1000)
        return comment(empty_database, str(name))

    with connect(empty_database) as connection:
        table = sql.Identifier(name.schema, name.name)
        connection.execute(sql.SQL("CREATE TABLE {} ()").format(table))
        connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(table, own))
    other = replace(MARK, oid=8)
    both = asyncio.run(write(marked(other), pinned(PIN), marked(MARK))) or ""
    marked_only = asyncio.run(write(UNPINNED))
    again = asyncio.run(write({**UNMARKED, **pinned(PIN)}))
    bare = asyncio.run(write(UNPINNED))

    assert (read_mark(both), read_pin(both)) == (MARK, PIN)
    assert (both.count(PREFIX), both.count(PIN_PREFIX)) == (1, 1)
    assert (read_mark(marked_only), read_pin(marked_only)) == (MARK, None)
    assert (read_mark(again), read_pin(again)) == (None, PIN)
    assert bare == own


@pytest.mark.parametrize("shape", ["plain", "default"])
def test_a_drop_into_the_trash_and_its_undo_keep_what_was_written_meanwhile(empty_database: str, shape: str) -> None:
    """Both ways of detaching, and attaching."""
    shaped(empty_database, shape)
    gone = meanwhile(empty_database, day_name(-9))
    dropped = comment(empty_database, f"{TRASH}.{day_name(-9)}") or ""
    execute(empty_database, f"COMMENT ON TABLE {TRASH}.{day_name(-9)} IS '{dropped.removeprefix(BY_HAND).strip()}'")
    back = meanwhile(empty_database, f"{TRASH}.{day_name(-9)}", Request(command="undrop", target=period(-9)))
    undone = (comment(empty_database, day_name(-9)) or "").split("\n")

    assert (gone.trashed, back.attached) == (2, 1)
    assert dropped.startswith(f"{BY_HAND}\n{PREFIX}")
    assert undone[0] == BY_HAND
    assert [line.partition(": ")[0] for line in undone[1:]] == ["pgalmanac-pin"]


def test_pins_and_unpins_keep_what_was_written_meanwhile(empty_database: str) -> None:
    """And what one of them adds the other takes off."""
    shaped(empty_database, "plain")
    pin = Request(command="pin", target=period(-9), reason="audit")
    meanwhile(empty_database, day_name(-9), pin)
    held = comment(empty_database, day_name(-9)) or ""
    execute(empty_database, f"COMMENT ON TABLE {day_name(-9)} IS '{held.removeprefix(BY_HAND).strip()}'")
    meanwhile(empty_database, day_name(-9), Request(command="unpin", target=period(-9)))

    assert held.startswith(f"{BY_HAND}\n{PIN_PREFIX}")
    assert comment(empty_database, day_name(-9)) == BY_HAND


def test_a_mark_that_is_cleared_leaves_what_was_written_meanwhile(empty_database: str) -> None:
    """A run was cut off before it detached; the next one takes its mark off, and no more."""
    shaped(empty_database, "plain")
    outcomes = planned(empty_database, grace_days=7).tables[0].outcomes
    going = next(o for o in outcomes if o.action.kind is ActionKind.TRASH)
    execute(empty_database, next(s for s in going.statements if PREFIX in s))
    marked_before = read_mark(comment(empty_database, day_name(-9)))
    report = meanwhile(empty_database, day_name(-9), retention_days=90)

    assert marked_before is not None
    assert [o.action.kind for o in report.outcomes if o.action.kind is not ActionKind.CREATE] == [ActionKind.FINALIZE]
    assert comment(empty_database, day_name(-9)) == BY_HAND


def test_a_detach_that_was_given_up_leaves_what_was_written_meanwhile(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is marked, waits in vain, and its mark is taken off again; somebody wrote on it while it waited."""
    shaped(empty_database, "plain")

    def in_vain(_: PartitionedTable, name: TableName) -> Statement:
        if read_mark(comment(empty_database, str(name))) is not None:
            add_by_hand(empty_database, str(name))
        return Statement(sql=sql.Composed([sql.SQL("DO 'BEGIN RAISE lock_not_available; END'")]), lock="none")

    monkeypatch.setattr("pgalmanac.ddl.detach_concurrently", in_vain)
    report = run(empty_database)

    assert [o.status for o in report.outcomes if o.action.kind is ActionKind.TRASH] == [Status.FAILED] * 2
    assert comment(empty_database, day_name(-9)) == BY_HAND


def test_a_comment_that_is_being_written_is_waited_for(empty_database: str) -> None:
    """Read before its lock, the comment would be the one that is about to be replaced."""
    shaped(empty_database, "plain")
    waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass"

    async def pin() -> TableReport:
        request = Request(command="pin", target=period(-9), reason="audit")
        with connect(empty_database) as other:
            other.execute("BEGIN")
            other.execute(f"COMMENT ON TABLE {day_name(-9)} IS '{BY_HAND}'".encode())
            task = asyncio.create_task(perform(settings(empty_database, retry_seconds=60), request))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not rows(empty_database, waiting, day_name(-9)):  # noqa: ASYNC110  # the server knows it
                    await asyncio.sleep(0.01)
            other.execute("COMMIT")
            return (await task).tables[0]

    report = asyncio.run(pin())

    assert [o.status for o in report.outcomes] == [Status.DONE]
    assert (comment(empty_database, day_name(-9)) or "").startswith(f"{BY_HAND}\n{PIN_PREFIX}")


def test_an_undo_does_not_write_its_pin_over_one_that_came_meanwhile(empty_database: str) -> None:
    """The next look shows the other pin; both tell why the day stays, and people's reason is the better one."""
    shaped(empty_database, "plain")
    run(empty_database)
    table = f"{TRASH}.{day_name(-9)}"

    def pin(_: object) -> None:
        text = f"{comment(empty_database, table)}\n{pinned(PIN)[PIN_PREFIX]}"
        with connect(empty_database) as connection:
            statement = sql.SQL("COMMENT ON TABLE {} IS {}")
            connection.execute(statement.format(sql.Identifier(*table.split(".")), text))

    request = Request(command="undrop", target=period(-9))
    refused = asyncio.run(perform(settings(empty_database, grace_days=7), request, observer=pin_once(pin))).tables[0]
    done = run(empty_database, "undrop", period(-9))

    assert [o.status for o in refused.outcomes] == [Status.REFUSED]
    assert "got another pin" in str(refused.outcomes[0].error)
    assert [o.status for o in done.outcomes] == [Status.DONE]
    assert read_pin(comment(empty_database, day_name(-9))) == PIN
