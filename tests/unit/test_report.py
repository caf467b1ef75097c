"""Reports as text, JSON and Nagios line: what each shows, and that nothing in them is obeyed by a terminal."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.actions import Action, ActionKind, Reason, Status
from pgalmanac.errors import (
    BusyError,
    ConfigError,
    ConnectError,
    Interrupted,
    PgalmanacError,
    PrivilegeError,
    UsageError,
)
from pgalmanac.findings import Code, Finding, Level
from pgalmanac.model import Bounds, KeyType, Partition, PartitionedTable, PartitionKey, Server
from pgalmanac.policy import Policy
from pgalmanac.records import ActionRecord, RunRecord
from pgalmanac.report import error_code, exit_code, render, render_error, render_history, render_init
from pgalmanac.results import Outcome, PartitionCount, RunReport, Statistics, TableReport
from pgalmanac.summary import summary
from pgalmanac.table_names import TableName
from pgalmanac.view import View, view

NOW = datetime(2025, 11, 2, 12, tzinfo=UTC)
TODAY = NOW.replace(hour=0)
SERVER = Server(version="16.4", version_num=160004, database="app", role="r", standby=False, now=NOW)


def day(offset: int) -> datetime:
    """The first moment of a day counted from today."""
    return TODAY + timedelta(days=offset)


def name(offset: int, base: str = "events") -> TableName:
    """The name of the partition of a day counted from today."""
    return TableName(schema="public", name=f"{base}_{day(offset):%Y_%m_%d}")


def seen(*, base: str = "events", zone: str = "UTC") -> View:
    """A daily table with a partition for each day from the day before yesterday to today + 30."""
    partitions = tuple(
        Partition(oid=100 + d, name=name(d, base), bounds=Bounds(lower=day(d), upper=day(d + 1))) for d in range(-2, 31)
    )
    table = PartitionedTable(
        oid=1,
        name=TableName(schema="public", name=base),
        owner="o",
        key=PartitionKey(column="at", type=KeyType.TIMESTAMPTZ),
        now=NOW,
        partitions=partitions,
    )
    return view(table, Policy(timezone=ZoneInfo(zone)))


def outcome(
    kind: ActionKind = ActionKind.CREATE,
    offset: int = 0,
    status: Status = Status.DONE,
    reason: Reason = Reason.PREMAKE,
    **more: Any,  # noqa: ANN401  # other fields of the outcome
) -> Outcome:
    """One action on one day and its end."""
    bounds = Bounds(lower=day(offset), upper=day(offset + 1))
    action = Action(kind=kind, partition=name(offset), bounds=bounds, reason=reason)
    return Outcome(action=action, status=status, **more)


def report(*tables: TableReport, command: str = "maintain", dry_run: bool = False) -> RunReport:
    """A command's report on these tables."""
    return RunReport(command=command, server=SERVER, today=date(2025, 11, 2), tables=tables, dry_run=dry_run)


def document(*tables: TableReport, command: str = "maintain") -> dict[str, Any]:
    """The JSON document of such a report."""
    loaded: dict[str, Any] = json.loads(render(report(*tables, command=command), as_json=True))
    return loaded


WARNING = Finding(level=Level.WARNING, code=Code.RUNWAY_SHORT, message="public.events has partitions for 4 days")
CRITICAL = Finding(level=Level.CRITICAL, code=Code.TODAY_MISSING, message="public.events has no partition for now")
INFO = Finding(level=Level.INFO, code=Code.UNMANAGED_PARTITION, message="never dropped", partition="public.p")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (ActionKind.TRASH, "trashed"),
        (ActionKind.ATTACH, "attached"),
        (ActionKind.PIN, "pinned"),
        (ActionKind.UNPIN, "unpinned"),
        (ActionKind.ARCHIVE, "archived"),
        (ActionKind.RESTORE, "restored"),
    ],
)
def test_what_seldom_happens_is_counted_when_it_did(kind: ActionKind, word: str) -> None:
    """In the text, in the JSON document and in the history's one line; what was not done is not counted."""
    outcomes = (outcome(kind), outcome(kind, 1), outcome(kind, 2, Status.FAILED))
    table = TableReport(table="public.events", view=seen(), outcomes=outcomes)
    none = replace(table, outcomes=outcomes[2:])

    assert f"1 failed, 2 {word}\n" in render(report(table), as_json=False)
    assert 2 == document(table)["tables"][0][word]
    assert f"2 {word}" in summary(table)
    assert word not in render(report(none), as_json=False) + summary(none)
    assert word not in document(none)["tables"][0]


def test_json_of_a_run() -> None:
    """The document of maintain has exactly these keys and forms; unbounded is null."""
    unbounded = Action(
        kind=ActionKind.DROP,
        partition=TableName(schema="public", name="old"),
        bounds=Bounds(lower=None, upper=day(0)),
        reason=Reason.RETENTION,
    )
    copied = replace(unbounded, kind=ActionKind.ARCHIVE, url="file:///cold/old")
    table = TableReport(
        table="public.events",
        view=seen(),
        run_id="17",
        outcomes=(
            outcome(statements=("CREATE TABLE …", "ALTER TABLE …"), attempts=1, duration_ms=4.123),
            Outcome(action=unbounded, status=Status.SKIPPED, error="it is unbounded below"),
            Outcome(action=copied, status=Status.DONE, attempts=1, rows=5, bytes=8192),
        ),
        findings=(WARNING,),
    )
    actual = document(table)

    assert actual == {
        "schema": 1,
        "command": "maintain",
        "server": {"version": "16.4", "database": "app", "standby": False},
        "today": "2025-11-02",
        "dry_run": False,
        "exit_code": 0,
        "findings": [],
        "tables": [
            {
                "table": "public.events",
                "today": "2025-11-02",
                "run_id": 17,
                "locked": False,
                "error": None,
                "created": 1,
                "dropped": 0,
                "moved_rows": 0,
                "skipped": 1,
                "refused": 0,
                "failed": 0,
                "archived": 1,
                "actions": [
                    {
                        "action": "create",
                        "partition": "public.events_2025_11_02",
                        "lower": "2025-11-02T00:00:00+00:00",
                        "upper": "2025-11-03T00:00:00+00:00",
                        "reason": "premake",
                        "status": "done",
                        "sql": ["CREATE TABLE …", "ALTER TABLE …"],
                        "attempts": 1,
                        "duration_ms": 4.1,
                        "error": None,
                    },
                    {
                        "action": "drop",
                        "partition": "public.old",
                        "lower": None,
                        "upper": "2025-11-02T00:00:00+00:00",
                        "reason": "retention",
                        "status": "skipped",
                        "sql": [],
                        "attempts": 0,
                        "duration_ms": None,
                        "error": "it is unbounded below",
                        "rows": None,
                        "bytes": None,
                    },
                    {
                        "action": "archive",
                        "partition": "public.old",
                        "lower": None,
                        "upper": "2025-11-02T00:00:00+00:00",
                        "reason": "retention",
                        "status": "done",
                        "sql": [],
                        "attempts": 1,
                        "duration_ms": None,
                        "error": None,
                        "rows": 5,
                        "bytes": 8192,
                        "url": "file:///cold/old",
                    },
                ],
                "findings": [
                    {
                        "level": "warning",
                        "code": "runway_short",
                        "message": "public.events has partitions for 4 days",
                        "partition": None,
                    }
                ],
                "statistics": None,
            }
        ],
    }


def test_json_moments_are_those_of_the_tables_zone() -> None:
    """A timestamptz is shown with the zone's offset of that day, before and after clocks change."""
    table = TableReport(table="t", view=seen(zone="Europe/Berlin"), outcomes=(outcome(), outcome(offset=-7)))
    actual = [a["lower"] for a in document(table)["tables"][0]["actions"]]

    assert ["2025-11-02T01:00:00+01:00", "2025-10-26T02:00:00+02:00"] == actual


def test_json_of_check() -> None:
    """Check has the worst level at the top, and per table what a health endpoint asks for."""
    broken = TableReport(table="public.gone", error=ConfigError("there is no table gone", hint="name another"))
    actual = document(
        TableReport(table="public.events", view=seen(), findings=(WARNING, INFO)), broken, command="check"
    )

    assert ("critical", 2) == (actual["level"], actual["exit_code"])
    assert "dry_run" not in actual
    assert actual["tables"][0] == {
        "table": "public.events",
        "today": "2025-11-02",
        "error": None,
        "today_exists": True,
        "runway_days": 30,
        "partitions": 33,
        "oldest": "public.events_2025_10_31",
        "newest": "public.events_2025_12_02",
        "findings": actual["tables"][0]["findings"],
    }
    assert actual["tables"][1]["error"] == {"message": "there is no table gone", "hint": "name another"}
    assert actual["tables"][1]["today_exists"] is None
    # What the text says in a line of its own is no secret to a program either.
    assert [("critical", "unreachable", "public.gone: there is no table gone: name another")] == [
        (f["level"], f["code"], f["message"]) for f in actual["tables"][1]["findings"]
    ]


def test_json_of_status() -> None:
    """Status lists partitions with their bounds, rows and whether those are exact; the default one has no bounds."""
    default = Partition(oid=9, name=TableName(schema="public", name="rest"), bounds=None, is_default=True)
    has_default = replace(seen(), table=replace(seen().table, default=default))
    counts = (
        PartitionCount(
            oid=100, name=name(0), rows=5, exact=True, oldest=day(0), newest=NOW, bytes=8192, counted_at=NOW
        ),
        PartitionCount(oid=9, name=default.name, rows=None, exact=False, error="it was locked"),
    )
    actual = document(TableReport(table="t", view=has_default, counts=counts), command="status")["tables"][0]

    assert actual["partitions"] == [
        {
            "name": "public.events_2025_11_02",
            "lower": "2025-11-02T00:00:00+00:00",
            "upper": "2025-11-03T00:00:00+00:00",
            "rows": 5,
            "rows_exact": True,
            "min": "2025-11-02T00:00:00+00:00",
            "max": "2025-11-02T12:00:00+00:00",
            "bytes": 8192,
            "counted_at": "2025-11-02T12:00:00+00:00",
            "cached": False,
            "error": None,
        },
        {
            "name": "public.rest",
            "lower": None,
            "upper": None,
            "rows": None,
            "rows_exact": False,
            "min": None,
            "max": None,
            "bytes": None,
            "counted_at": None,
            "cached": False,
            "error": "it was locked",
        },
    ]


RUN = RunRecord(
    id="17",
    task_name="events-partition-maintenance",
    started_at=NOW,
    completed_at=NOW + timedelta(seconds=2),
    status="error",
    duration_ms=2000.0,
    output="public.events: 1 created",
    error="drop public.p failed: it was locked",
    triggered_by="scheduler",
    created_at=NOW,
    details={"created": 1},
    actions=(
        ActionRecord(
            run_id="17",
            seq=1,
            action="drop",
            partition="public.p",
            lower=day(-1),
            upper=day(0),
            reason="retention",
            sql="DROP TABLE p",
            status="failed",
            attempts=3,
            started_at=NOW,
            duration_ms=600.0,
            rows=10,
            bytes=8192,
            sqlstate="55P03",
            error="it was locked",
        ),
    ),
)


def test_json_of_history_has_the_columns_of_the_tables() -> None:
    """Runs have the columns of housekeeper_runs, and those of its actions when one run was asked for."""
    without = json.loads(render_history([RUN], as_json=True, with_actions=False))
    actual = json.loads(render_history([RUN], as_json=True, with_actions=True))["runs"][0]

    assert ("history", 0) == (without["command"], without["exit_code"])
    assert list(without["runs"][0]) == [
        *("id", "task_name", "started_at", "completed_at", "status", "duration_ms", "output", "error"),
        *("triggered_by", "created_at", "details"),
    ]
    assert (17, "2025-11-02T12:00:00+00:00", {"created": 1}) == (actual["id"], actual["started_at"], actual["details"])
    assert (17, 1, "public.p", "55P03") == tuple(
        actual["actions"][0][k] for k in ("run_id", "seq", "partition", "sqlstate")
    )


def test_json_of_a_run_whose_id_is_no_number() -> None:
    """An existing history may have ids of another type; they stay what they are."""
    uuid = "0b6a4c0e-9d7e-4f0e-8d39-3f0f6b1f3c55"
    actual = document(TableReport(table="t", run_id=uuid))["tables"][0]["run_id"]

    assert uuid == actual


def test_text_groups_what_fared_alike() -> None:
    """A run of partitions with the same fate is one line that names the first, the last and how many."""
    table = TableReport(
        table="public.events",
        view=seen(),
        run_id="17",
        outcomes=(
            outcome(ActionKind.MOVE_ROWS, -2, reason=Reason.GAP, rows=96, attempts=1),
            *(outcome(offset=d, attempts=1, duration_ms=10.0) for d in range(5, 8)),
            *(outcome(ActionKind.DROP, d, reason=Reason.RETENTION, rows=1000, bytes=1 << 20) for d in (-92, -91)),
            outcome(ActionKind.DROP, -93, Status.SKIPPED, Reason.RETENTION, error="view v depends on it"),
            outcome(
                ActionKind.DROP, -94, Status.FAILED, Reason.RETENTION, error="the lock was not to be had", attempts=9
            ),
        ),
        findings=(CRITICAL,),
    )
    actual = render(report(table), as_json=False).splitlines()

    assert actual == [
        "pgalmanac maintain (PostgreSQL 16.4, database app, 2025-11-02)",
        "",
        "public.events: daily, made 30 days ahead, kept 90 days",
        "  done     move_rows  gap        events_2025_10_31, 96 rows",
        "  done     create     premake    events_2025_11_07 .. events_2025_11_09 (3)",
        "  done     drop       retention  events_2025_08_02 .. events_2025_08_03 (2),",
        "                                 ≈2,000 rows, 2.0 MB",
        "  skipped  drop       retention  events_2025_08_01",
        "                                 view v depends on it",
        "  failed   drop       retention  events_2025_07_31, 9 attempts",
        "                                 the lock was not to be had",
        "  4 created, 2 dropped, 96 rows moved, 1 skipped, 0 refused, 1 failed",
        "  took 30 ms, recorded as run 17",
        "  covered to 2025-12-03 00:00, 30 whole days after today",
        "  ✗ critical today_missing: public.events has no partition for now",
    ]


def test_verbose_text_has_each_partition_and_its_statements() -> None:
    """With -v nothing is grouped, and the SQL is there."""
    table = TableReport(table="t", outcomes=tuple(outcome(offset=d, statements=(f"CREATE {d}",)) for d in (1, 2)))
    actual = render(report(table), as_json=False, verbose=True)

    assert actual.count("public.events_2025_11_0") == 2
    assert "      CREATE 1;\n" in actual
    assert "CREATE" not in render(report(table), as_json=False)


def test_text_says_when_there_was_nothing_to_do_and_why() -> None:
    """Nothing to do, locked, broken, on a standby: each has its words, and one broken table does not hide another."""
    text = render(
        report(
            TableReport(table="public.a"),
            TableReport(table="public.b", locked=True),
            TableReport(table="public.c", error=ConfigError("there is no table c", hint="name another")),
            TableReport(table="public.d", outcomes=(outcome(),)),
        ),
        as_json=False,
    )
    standby = Finding(level=Level.INFO, code=Code.STANDBY, message="app is a standby: nothing is done here")
    on_standby = RunReport(command="maintain", server=replace(SERVER, standby=True), findings=(standby,))

    assert "public.a\n  nothing to do\n" in text
    assert "public.b\n  locked: another run is maintaining this table" in text
    assert "public.c\n  failed: there is no table c: name another" in text
    assert "public.d\n  done     create" in text
    assert "· info standby: app is a standby" in render(on_standby, as_json=False)
    assert exit_code(on_standby) == 0


def test_text_of_a_dry_run_says_so() -> None:
    """A plan cannot be mistaken for a run: its title and its words differ, and it counts nothing as done."""
    planned = TableReport(table="t", outcomes=(outcome(status=Status.PLANNED),))
    actual = render(report(planned, dry_run=True), as_json=False)

    assert "the plan, nothing is changed" in actual
    assert "  planned  create" in actual
    assert "created" not in actual


def test_text_has_the_statistics() -> None:
    """Partitions, rows marked as estimates, oldest and newest event with its age, and the most frequent values."""
    figures = Statistics(
        partitions=33,
        rows=1234567,
        exact=False,
        oldest_event=day(-2),
        newest_event=NOW - timedelta(minutes=5),
        breakdown_column="event_type",
        breakdown=(("order.placed", 120000), ("order.paid", 9000)),
    )
    actual = render(report(TableReport(table="t", view=seen(), statistics=figures)), as_json=False)
    exact = render(
        report(TableReport(table="t", view=seen(), statistics=replace(figures, exact=True)), command="status"),
        as_json=False,
    )

    def line(**changes: Any) -> str:  # noqa: ANN401  # fields of Statistics
        table = TableReport(table="t", view=seen(), statistics=replace(figures, breakdown=(), **changes))
        return render(report(table), as_json=False).splitlines()[-1]

    assert line(oldest_event=None) == "  ≈1,234,567 rows, newest 2025-11-02 11:55:00 (5 minutes ago)"
    assert line(newest_event=None) == "  ≈1,234,567 rows, oldest 2025-10-31 00:00:00"
    assert line(oldest_event=None, newest_event=None) == "  ≈1,234,567 rows"
    assert line(rows=None, newest_event=None).startswith("  rows unknown until ANALYZE public.events, oldest 2025")
    assert "  33 partitions, events_2025_10_31 .. events_2025_12_02\n" in actual
    assert "  ≈1,234,567 rows, 2025-10-31 00:00:00 .. 2025-11-02 11:55:00 (5 minutes ago)\n" in actual
    assert "  most frequent event_type, estimated:\n    ≈ 120,000  order.placed\n    ≈   9,000  order.paid" in actual
    assert "  1,234,567 rows" in exact
    assert "over the last 7 days:\n      120,000  order.placed" in exact


@pytest.mark.parametrize("command", ["drop", "fix", "undrop", "restore", "archive", "create", "pin"])
def test_text_has_the_statistics_that_the_document_has(command: str) -> None:
    """Whoever dropped by hand is told what the table holds now."""
    figures = Statistics(partitions=33, rows=12, exact=False)
    told = report(TableReport(table="t", view=seen(), statistics=figures), command=command)

    assert "  33 partitions, events_2025_10_31 .. events_2025_12_02\n  ≈12 rows" in render(told, as_json=False)
    assert json.loads(render(told, as_json=True))["tables"][0]["statistics"]["rows"] == 12


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (ActionKind.DROP, Status.DONE, "≈7 rows"),
        (ActionKind.ATTACH, Status.DONE, "≈7 rows"),
        (ActionKind.MOVE_ROWS, Status.DONE, " 7 rows"),
        (ActionKind.RESTORE, Status.PLANNED, " 7 rows"),
        (ActionKind.ARCHIVE, Status.PLANNED, "≈7 rows"),
        (ActionKind.ARCHIVE, Status.FAILED, "≈7 rows"),
        (ActionKind.ARCHIVE, Status.DONE, " 7 rows"),
    ],
)
def test_text_marks_rows_that_were_not_counted(kind: ActionKind, status: Status, expected: str) -> None:
    """What was moved, archived or comes out of an archive was counted; in a report and in the history."""
    done = outcome(status=status)
    one = replace(done, action=replace(done.action, kind=kind), rows=7)
    record = replace(RUN.actions[0], action=str(kind), status=str(status), rows=7, bytes=None, attempts=1)

    told = render(report(TableReport(table="t", outcomes=(one,))), as_json=False)
    recorded = render_history([replace(RUN, actions=(record,))], as_json=False, with_actions=True)

    assert expected in told
    assert f"{expected}\n" in recorded


def test_text_of_status() -> None:
    """A line a partition: rows with a mark where they are estimated, size, oldest and newest."""
    counts = (
        PartitionCount(oid=101, name=name(1), rows=0, exact=False, bytes=65536),
        PartitionCount(oid=100, name=name(0), rows=12345, exact=True, oldest=day(0), newest=NOW, bytes=3 << 20),
        PartitionCount(oid=99, name=name(-1), rows=None, exact=False, error="it was locked"),
    )
    actual = render(report(TableReport(table="t", view=seen(), counts=counts), command="status"), as_json=False)

    assert actual.splitlines()[3:8] == [
        "  partition                 rows       size  oldest            newest",
        "  events_2025_11_03           ≈0      64 kB  -                 -",
        "  events_2025_11_02       12,345     3.0 MB  2025-11-02 00:00  2025-11-02 12:00",
        "  events_2025_11_01            -          -  -                 -",
        "      it was locked",
    ]


def test_text_of_history() -> None:
    """A line a run with its output and error below; one run's actions on demand; an empty history says so."""
    actual = render_history([RUN], as_json=False, with_actions=True).splitlines()

    assert actual == [
        "run  started (UTC)             took  by         status   task",
        " 17  2025-11-02 12:00:00      2.0 s  scheduler  error    events-partition-maintenance",
        "     public.events: 1 created",
        "     drop public.p failed: it was locked",
        "     failed   drop       public.p                                   600 ms  retention",
        "              ≈10 rows, 8.0 kB, 3 attempts",
        "              it was locked",
    ]
    assert (
        "         DROP TABLE p;"
        == render_history([RUN], as_json=False, with_actions=True, verbose=True).splitlines()[-1]
    )
    assert render_history([], as_json=False, with_actions=False) == "no run is recorded"
    assert "failed   drop" not in render_history([RUN], as_json=False, with_actions=False)


def test_init_prints_a_configuration() -> None:
    """The text is a configuration file with comments; the document has it as a string."""
    text = render_init(["public.a", "public.b"], "x = 1\n", as_json=False)
    actual = json.loads(render_init(["public.a", "public.b"], "x = 1\n", as_json=True))

    assert text == "# the run history is in public.a, public.b\n\nx = 1"
    assert {
        "schema": 1,
        "command": "init",
        "exit_code": 0,
        "history": ["public.a", "public.b"],
        "configuration": "x = 1\n",
    } == actual


@pytest.mark.parametrize(
    ("expected", "findings"),
    [((0, "OK"), ()), ((0, "OK"), (INFO,)), ((1, "WARNING"), (INFO, WARNING)), ((2, "CRITICAL"), (WARNING, CRITICAL))],
)
def test_nagios_levels(expected: tuple[int, str], findings: tuple[Finding, ...]) -> None:
    """The exit code and the word are the worst finding's; info changes neither."""
    checked = report(TableReport(table="public.events", view=seen(), findings=findings), command="check")
    first, *rest = render(checked, as_json=False).splitlines()

    assert expected[0] == exit_code(checked)
    assert first.startswith(f"PGALMANAC {expected[1]} - ")
    assert len(findings) == len(rest)


PERFDATA = re.compile(r"'((?:[^'=|]|'')+)'=(-?\d+);((?:\d+:?)?);((?:\d+:?)?);(\d*)(?:;(\d*))?")


@pytest.mark.parametrize("base", ["events", "it's = a|b", "e\nv\x1b[1m"])
def test_nagios_line_is_one_with_perfdata(base: str) -> None:
    """One line, one bar, and perfdata that a plugin's reader can take apart, whatever the table is called."""
    shown = TableName(schema="public", name=base)
    finding = Finding(level=Level.WARNING, code=Code.GAP, message=f"{shown} | has\na gap")
    checked = report(TableReport(table=str(shown), view=seen(base=base), findings=(finding,)), command="check")
    text = render(checked, as_json=False)
    first, *rest = text.splitlines()
    line, bar, data = first.partition(" | ")

    assert bar
    assert "|" not in line + data + "".join(rest)
    assert "\x1b" not in text
    found = list(PERFDATA.finditer(data))
    assert data == " ".join(m[0] for m in found)
    assert [("30", "7:", "0:"), ("1", "", "1:"), ("33", "", "")] == [m.group(2, 3, 4) for m in found]


def test_nagios_alone_and_together() -> None:
    """All well says how far; several findings name the worst and how many more; a broken table is critical."""
    well = render(report(TableReport(table="public.events", view=seen()), command="check"), as_json=False)
    many = render(
        report(TableReport(table="t", view=seen(), findings=(WARNING, CRITICAL, INFO)), command="check"), as_json=False
    )
    broken = report(TableReport(table="t", error=ConnectError("no server")), command="check")

    assert well.startswith(
        "PGALMANAC OK - public.events has partitions for 30 days after today | 'public.events_runway'=30;7:;0:;0"
    )
    assert many.startswith("PGALMANAC CRITICAL - public.events has no partition for now (and 1 more) | ")
    assert many.splitlines()[1].startswith("critical today_missing: ")
    assert (2, "PGALMANAC CRITICAL - t: no server") == (
        exit_code(broken),
        render(broken, as_json=False).splitlines()[0],
    )


@pytest.mark.parametrize(
    ("expected", "error"),
    [
        (64, UsageError("x")),
        (69, ConnectError("x")),
        (70, PgalmanacError("x")),
        (75, BusyError("x")),
        (77, PrivilegeError("x")),
        (78, ConfigError("x")),
        (130, Interrupted("x")),
    ],
)
def test_exit_codes_of_errors(expected: int, error: PgalmanacError) -> None:
    """Each error has its code; check knows only critical, and unknown for bad usage."""
    assert expected == error_code("maintain", error)
    assert error_code("check", error) == (3 if expected == 64 else 2)


def test_error_documents() -> None:
    """With --json an error is a document of its own; without, only check puts a line on stdout."""
    error = ConfigError("there is no table x", hint="name another")

    assert render_error("maintain", error, as_json=False) is None
    assert render_error("check", error, as_json=False) == "PGALMANAC CRITICAL - there is no table x: name another"
    assert json.loads(render_error("maintain", error, as_json=True) or "") == {
        "command": "maintain",
        "exit_code": 78,
        "error": {"message": "there is no table x", "hint": "name another"},
    }


hostile = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(hostile, st.sampled_from(["maintain", "check", "status"]))
def test_no_report_contains_a_control_character(text: str, command: str) -> None:
    """Names, values, reasons and messages from the database come out as data, in every form."""
    bad = TableName(schema="public", name=text)
    action = Action(kind=ActionKind.DROP, partition=bad, bounds=Bounds(lower=None, upper=None), reason=Reason.MANUAL)
    table = TableReport(
        table=str(bad),
        view=seen(base=text),
        run_id=text,
        outcomes=(Outcome(action=action, status=Status.FAILED, error=text, statements=(text,)),),
        findings=(Finding(level=Level.WARNING, code=Code.GAP, message=text, partition=text),),
        statistics=Statistics(partitions=1, rows=1, exact=False, breakdown_column=text, breakdown=((text, 1),)),
        counts=(PartitionCount(oid=1, name=bad, rows=1, exact=True, error=text),),
        error=ConfigError(text, hint=text),
        proved=text,
    )
    record = replace(RUN, id=text, task_name=text, output=text, error=text, status=text)
    for lines in (
        render(report(table, command=command), as_json=False, verbose=True),
        render(report(table, command=command), as_json=True),
        render_history([record], as_json=False, with_actions=True),
        render_history([record], as_json=True, with_actions=True),
    ):
        assert all(line.isprintable() for line in lines.split("\n"))
    assert document(table, command=command)["tables"][0]["table"] == str(bad)
