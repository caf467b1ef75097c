"""Lines of the header and the details, made of values: no server, no application."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from pgalmanac.actions import ActionKind
from pgalmanac.details import PartitionDetails, Profile
from pgalmanac.errors import ConnectError
from pgalmanac.findings import Code, Level, PastRuns, critical, warning
from pgalmanac.model import Bounds, Server
from pgalmanac.plan import plan_maintain
from pgalmanac.policy import Policy
from pgalmanac.records import RunRecord
from pgalmanac.results import PartitionCount
from pgalmanac.table_names import TableName
from pgalmanac_tui.almanac import Almanac
from pgalmanac_tui.columns.tables import table_rows
from pgalmanac_tui.format import Line, width
from pgalmanac_tui.glyphs import ASCII, UNICODE, Mark
from pgalmanac_tui.model import Link, Model, profile_key
from pgalmanac_tui.panels.details import details
from pgalmanac_tui.panels.fate import stake
from pgalmanac_tui.panels.header import header
from pgalmanac_tui.screens.parts import empty, legend_of
from pgalmanac_tui.screens.parts import text as parts_text
from pgalmanac_tui.snapshot import Snapshot, TableState
from snapshots import NOW, TODAY, day, events, partition

CELLS = 27  # of the details, in a terminal of 80
SERVER = Server(
    version="18.1", version_num=180001, database="app", role="keeper", standby=False, now=NOW, address="10.0.0.7:5432"
)


def run(command: str, hours: int, status: str = "success") -> RunRecord:
    """A run of this command that ended so many hours ago."""
    at = NOW - timedelta(hours=hours)
    return RunRecord(
        id=str(hours),
        task_name="events-partition-maintenance",
        started_at=at,
        completed_at=at,
        status=status,
        duration_ms=1.0,
        output=None,
        error=None,
        triggered_by="manual",
        created_at=at,
        details={"command": command},
    )


def model(*runs: RunRecord, width: int = 1, policy: Policy | None = None, count: PartitionCount | None = None) -> Model:
    """A model of a table whose one partition is of *width* days from today, and these runs."""
    table = events([partition(day(0, width), oid=100)], now=NOW)
    plan = plan_maintain(table, policy or Policy())
    state = TableState(plan=plan, runs=runs, counts={} if count is None else {count.oid: count})
    snapshot = Snapshot(server=SERVER, now=NOW, tables=(state.name,), table=state)
    almanac = Almanac.of(state, {})
    return Model(link=Link.LIVE, snapshot=snapshot, almanac=almanac, now=NOW)


def text(lines: tuple[Line, ...]) -> list[str]:
    """The lines without their styles."""
    return ["".join(part for part, _ in line) for line in lines]


def of_day(found: Model, *, last: date = TODAY, cells: int = CELLS) -> list[str]:
    """The details of today, or of the days until *last*."""
    lines = text(details(found, (TODAY, last), None, (cells, 20), UNICODE))
    assert [] == [line for line in lines if width(line) > cells]
    return lines


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ([run("pin", 1), run("maintain", 5)], "ran 5 h ago ✔"),
        ([run("drop", 1, "error"), run("maintain", 5)], "ran 5 h ago ✔"),
        ([run("create", 1), run("maintain", 5, "error")], "failed 5 h ago ✖"),
        ([run("maintain", 0, "running"), run("maintain", 24)], "ran 24 h ago ✔"),
        ([run("pin", 1)], "never maintained"),
        ([run("fix", 1)], "never maintained"),
    ],
)
def test_the_last_run_is_the_last_maintenance(runs: list[RunRecord], told: str) -> None:
    """Whoever pinned something has not maintained the table."""
    assert text(header(model(*runs), 100, 3, UNICODE))[1].rstrip().endswith(told)


def test_a_history_that_cannot_be_read_is_not_said_to_be_empty() -> None:
    """It may have run every night: who may not read of it is told so, at the top, in the list and in the growth."""
    found = model()
    assert found.almanac is not None
    assert found.snapshot is not None
    state = replace(found.almanac.state, past=PastRuns(unavailable="permission denied for table housekeeper_runs"))
    blind = replace(found, snapshot=replace(found.snapshot, table=state), almanac=Almanac.of(state, {}))

    assert text(header(blind, 100, 3, UNICODE))[1].rstrip().endswith("runs unknown")
    for told in (empty("runs", blind), text(parts_text("growth", blind, 120, UNICODE))[0]):
        assert "the run history cannot be read" in told
        assert "permission denied for table housekeeper_runs" in told
    assert "no run is recorded" == empty("runs", found)


def beside(*levels: Level | str | None, cells: int = 80, height: int = 3, name: str = "events") -> list[str]:
    """The header where other tables are found to be as *levels* say."""
    found = model(run("maintain", 5))
    assert found.snapshot is not None
    assert found.table is not None
    plan = plan_maintain(events([partition(day(0), oid=100)], now=NOW, name=name), Policy())
    names = tuple(TableName(schema="app", name=f"t{i}") for i in range(len(levels)))
    tables = (plan.table.name, *names)
    snapshot = replace(found.snapshot, tables=tables, table=replace(found.table, plan=plan))
    lines = header(
        replace(found, snapshot=snapshot, levels=dict(zip(names, levels, strict=True))), cells, height, UNICODE
    )
    assert {cells} >= {width(line) for line in text(lines)}
    return text(lines)


def test_another_table_that_is_critical_is_in_the_header() -> None:
    """With the key that shows which, whatever has to give way; in one line too, and not where none is."""
    assert "1 of 4 tables ✖ critical: o" in beside(None, Level.CRITICAL, Level.WARNING)[1]
    assert "ran 5 h ago ✔" in beside(None, Level.CRITICAL, Level.WARNING)[1]
    assert "1 of 3 tables ✖ critical: o" in beside("its key is no time", Level.CRITICAL, cells=60)[1]
    long = beside(Level.CRITICAL, name="a_name_that_is_long_but_fits_the_line")[1]
    assert " public.a_name_that_is_long_but_fits_the_line ▾ " in long
    assert "1 of 2 tables ✖ critical: o" in long
    assert beside(Level.CRITICAL, cells=40, height=1)[0].endswith("nothing needs doing…  ✖ 1 of 2 o ")
    assert not [line for line in beside(None, Level.WARNING, "its key is no time") if "tables" in line]


@pytest.mark.parametrize(
    ("cells", "label", "begins"),
    [
        (60, "production", "  production  ▲ paused"),
        (40, "production", "  product…  ▲ paused"),
        (80, None, " app@10.0.0.7:5432 ▲ paused"),
        (60, None, " app ▲ paused"),
        (40, None, " app ▲ paused"),
    ],
)
def test_in_one_line_it_is_said_first_which_server_it_is(cells: int, label: str | None, begins: str) -> None:
    """Nobody drops anything of another one than he believes; before there is a connection the label is known."""
    [line] = text(header(replace(model(), link=Link.PAUSED, label=label), cells, 1, UNICODE))
    [early] = text(header(Model(label=label), cells, 1, UNICODE))

    assert line.startswith(begins)
    assert line.endswith("p goes on ")
    assert early.strip().startswith("product" if label else "connecting")


def test_of_tables_that_are_critical_the_one_in_view_is_one() -> None:
    """It alone says so itself, at the end of the first line."""
    found = model()
    assert found.snapshot is not None
    assert found.table is not None
    other = TableName(schema="app", name="logs")
    worst = replace(found.table, findings=(critical(Code.TODAY_MISSING, "no partition"),))
    snapshot = replace(found.snapshot, tables=(worst.name, other), table=worst)

    assert 2 == replace(found, snapshot=snapshot, levels={other: Level.CRITICAL}).critical
    assert 0 == replace(found, snapshot=snapshot, levels={other: None, worst.name: Level.CRITICAL}).critical
    assert 1 == replace(found, snapshot=replace(snapshot, table=None), levels={other: Level.CRITICAL}).critical
    unknown = "schema app is not usable by this role"
    assert 0 == replace(found, snapshot=snapshot, levels={other: unknown}).critical
    third = TableName(schema="app", name="clicks")
    more = replace(snapshot, tables=(worst.name, other, third))
    assert 2 == replace(found, snapshot=more, levels={other: unknown, third: Level.CRITICAL}).critical


def test_the_worst_table_is_the_first() -> None:
    """Then those that are looked at still, and what is well at the end."""
    names = [TableName(schema="app", name=name) for name in "abcde"]
    levels = {names[0]: None, names[1]: Level.WARNING, names[3]: Level.CRITICAL, names[4]: "no key of time"}

    assert ["app.d", "app.e", "app.b", "app.c", "app.a"] == [r.key for r in table_rows(names, levels, UNICODE)]


def test_one_is_not_several() -> None:
    """A table of one partition has not 1 partitions."""
    assert "daily  1 partition  " in text(header(model(), 100, 3, UNICODE))[1]
    assert "2 days, 1 partition" in of_day(model(), last=TODAY + timedelta(days=1))


@pytest.mark.parametrize(("offset", "offered"), [(-9, True), (-31, False)])
def test_fix_is_offered_where_it_reaches(offset: int, *, offered: bool) -> None:
    """It looks thirty days around; further away create and maintain help."""
    plan = plan_maintain(events([day(o) for o in range(-40, 31) if o != offset]), Policy())
    state = TableState(plan=plan)
    snapshot = Snapshot(server=SERVER, now=NOW, tables=(state.name,), table=state)
    found = Model(link=Link.LIVE, snapshot=snapshot, almanac=Almanac.of(state, {}), now=NOW)
    gap = TODAY + timedelta(days=offset)
    lines = text(details(found, (gap, gap), None, (CELLS, 20), UNICODE))

    assert "c create it" in lines
    assert "m run maintenance" in lines
    assert offered is ("f fix: all 30 days around" in lines)


def test_a_long_name_leaves_room_for_what_is_wrong() -> None:
    """It stands in the line above; the finding was cut off behind it."""
    table = events([partition(day(0), oid=100)], now=NOW, name="a_table_whose_name_is_nearly_as_long_as_names_may_be")
    finding = warning(Code.RUNWAY_SHORT, f"{table.name} has partitions for no day after today; run pgalmanac maintain")
    state = TableState(plan=plan_maintain(table, Policy()), findings=(finding,))
    found = replace(model(), snapshot=Snapshot(server=SERVER, now=NOW, tables=(state.name,), table=state))

    lines = text(header(found, 80, 3, UNICODE))
    assert str(table.name) in lines[1]
    assert "may_be has partitions for no day after today" in lines[2]


def test_a_health_that_may_be_over_is_said_to_have_been() -> None:
    """Of a server that is lost or late, without a colour too."""
    here = model(run("maintain", 5))
    late = replace(here, waiting=4.0)
    lost = replace(here, link=Link.LOST, problem=ConnectError("it is gone"))

    assert [False, True, True] == [" was ✔ OK" in text(header(m, 80, 3, UNICODE))[0] for m in (here, late, lost)]
    assert " ▲ no answer for 4 s; what you see is 0 s old" == text(header(late, 80, 3, UNICODE))[2].rstrip()
    said = text(header(lost, 80, 3, UNICODE))[2]
    assert " ✖ no connection; what you see is 0 s old: it is gone" == said.removesuffix("2 why ").rstrip()


@pytest.mark.parametrize(
    ("rows", "counted", "mark", "header_has"),
    [(None, UNICODE.none, Mark.HEAT1, f"  {UNICODE.none} rows  8.0 kB"), (0, "0", Mark.EMPTY, "  0 rows  8.0 kB")],
)
def test_unknown_rows_are_not_said_to_be_none(rows: int | None, counted: str, mark: Mark, header_has: str) -> None:
    """Neither in a day, nor in several, nor of the whole table."""
    count = PartitionCount(oid=100, name=TableName(schema="public", name="events"), rows=rows, exact=False, bytes=8192)
    found = model(count=count)
    assert found.almanac is not None

    assert (rows, mark) == (found.almanac.day(TODAY).rows, found.almanac.day(TODAY).mark)
    assert any(line.startswith(f"{counted} rows") for line in of_day(found))
    assert f"{counted} rows" in of_day(found, last=TODAY + timedelta(days=1))
    assert header_has in text(header(found, 80, 3, UNICODE))[1]


def test_a_drop_of_unknown_rows_says_so() -> None:
    """Of a partition of the size that is shown, `0 rows` would be taken for the truth."""
    table = events([partition(day(n), oid=n + 200) for n in (-100, -99, 0)], now=NOW)
    plan = plan_maintain(table, Policy(premake_days=1, max_drops=None))

    def told(*rows: int | None) -> str | None:
        drops = [replace(a, rows=n, bytes=8192) for a, n in zip(plan.of(ActionKind.DROP), rows, strict=True)]
        return stake(replace(plan, actions=tuple(drops)), UNICODE)

    assert "an unknown number of rows, 16 kB go for good" == told(None, None)
    assert "at least ≈5 rows, 16 kB go for good" == told(None, 5)
    assert "≈12 rows, 16 kB go for good" == told(7, 5)


def test_the_details_of_days_fit_their_place() -> None:
    """Nothing is cut off: the keys of a range, and the word behind the bars of the hours."""
    found = model()
    entry = found.almanac.entries[0] if found.almanac is not None else None
    assert entry is not None
    profile = Profile(hours=tuple(range(24)))
    found = replace(found, profiles={profile_key(entry, TODAY): profile})

    assert ["esc", "one", "day"] == of_day(found, last=TODAY + timedelta(days=1))[-1].split()
    assert any(line.endswith("█ h") for line in of_day(found))
    assert any(line.endswith("█ hours") for line in of_day(found, cells=43))


def test_of_who_holds_a_lock_it_is_said_whether_they_idle_and_since_when() -> None:
    """That is what somebody waits for; what has no room is said to be cut off, and the others are not hidden."""
    found = model()
    report = "process 28060 (nightly_report) of postgres, idle in transaction for 66 s, holds AccessShareLock on events"
    more = PartitionDetails(
        oid=100, heap_bytes=0, index_bytes=0, toast_bytes=0, dead_rows=0, last_vacuum=None, last_analyze=None
    )

    def told(*holders: str) -> list[str]:
        lines = of_day(replace(found, details={100: replace(more, holders=holders)}))
        return lines[[line.split()[0] for line in lines].index("process") :]

    lines = told(report)
    assert "process 28060 (nightly_report) of postgres, idle in transaction for 66 s" in " ".join(lines[:4])
    assert lines[3].endswith("…")
    assert lines[4].startswith("heap")
    assert ["process 7, active", "and others hold locks"] == told("process 7, active", report)[:2]


@pytest.mark.parametrize(("width", "told"), [(1, "events 02:00:05 to 23:30:00"), (30, "11-02 02:00 to 11-20 23:30")])
def test_events_of_several_days_have_their_days(width: int, told: str) -> None:
    """A time alone would be read as one of the chosen day."""
    oldest = datetime(2025, 11, 2, 2, 0, 5, tzinfo=UTC)
    newest = datetime(2025, 11, 2 if width == 1 else 20, 23, 30, tzinfo=UTC)
    count = PartitionCount(
        oid=100, name=partition(day(0), oid=100).name, rows=7, exact=True, oldest=oldest, newest=newest, counted_at=NOW
    )

    assert told in of_day(model(width=width, count=count))


def test_a_note_is_whole_with_its_remedy() -> None:
    """Cut off in its middle, it said that drop_unaligned was true."""
    odd = Bounds(lower=NOW - timedelta(days=120), upper=NOW - timedelta(days=118, hours=3))
    plan = plan_maintain(events([odd, *map(day, range(-90, 31))]), Policy())
    state = TableState(plan=plan)
    snapshot = Snapshot(server=SERVER, now=NOW, tables=(state.name,), table=state)
    found = Model(link=Link.LIVE, snapshot=snapshot, almanac=Almanac.of(state, {}), now=NOW)
    begin = TODAY - timedelta(days=120)
    lines = text(details(found, (begin, begin), None, (CELLS, 20), UNICODE))

    assert "drop_unaligned = true would allow it" in " ".join(lines)


@pytest.mark.parametrize(("offset", "glyph", "legend"), [(-5, "⇣", " ⇣ detaching"), (0, "✖", " ✖ missing")])
def test_a_gap_that_a_detach_left_is_said_to_be_one(offset: int, glyph: str, legend: str) -> None:
    """In the calendar, the list and the legend alike; but of today that inserts fail."""
    left = partition(day(offset), oid=1, detach_pending=True)
    plan = plan_maintain(events([*(day(o) for o in range(-90, 31) if o != offset), left]), Policy())
    almanac = Almanac.of(TableState(plan=plan), {})
    there = TODAY + timedelta(days=offset)
    rows = [e for e in almanac.entries if e.bounds == day(offset)]

    assert glyph == UNICODE.mark(almanac.day(there).mark)
    assert {None, left} == {e.partition for e in rows}
    [drawn] = text((legend_of(almanac, 120, UNICODE),))
    assert drawn.startswith(legend)
    assert "gap" not in drawn
    if offset:
        assert ["detach pending", "gap: detach pending"] == sorted(e.word for e in rows)


def test_of_an_hour_it_is_not_said_that_the_day_is_missing() -> None:
    """In the list, where it is one row of 24."""
    hours = [
        Bounds(lower=at, upper=at + timedelta(hours=1)) for at in (NOW.replace(hour=h, minute=0) for h in range(24))
    ]
    table = events([h for h in hours if not h.contains(NOW)])
    found = Almanac.of(TableState(plan=plan_maintain(table, Policy())), {})

    assert ["missing now"] == [e.word for e in found.entries if e.mark is Mark.MISSING]
    assert ["missing today"] == [
        e.word
        for e in Almanac.of(TableState(plan=plan_maintain(events([day(-1)]), Policy())), {}).entries
        if e.mark is Mark.MISSING
    ]


def test_rows_of_which_some_are_not_known_are_at_least_so_many() -> None:
    """As after pg_upgrade, when one partition of many was analysed; in the header by a sign, in ASCII too."""
    table = events([partition(day(n), oid=100 + n) for n in (0, 1)], now=NOW)
    counts = {
        p.oid: PartitionCount(oid=p.oid, name=p.name, rows=rows, exact=False, bytes=8192)
        for p, rows in zip(table.partitions, (5000, None), strict=True)
    }
    found = model()
    assert found.snapshot is not None
    state = TableState(plan=plan_maintain(table, Policy()), runs=(), counts=counts)
    found = replace(found, snapshot=replace(found.snapshot, table=state), almanac=Almanac.of(state, {}))

    assert "  ≥5,000 rows  " in text(header(found, 100, 3, UNICODE))[1]
    assert "  >=5,000 rows  " in text(header(found, 100, 3, ASCII))[1]
    assert "at least ≈5,000 rows" in of_day(found, last=TODAY + timedelta(days=1))
    counts[100] = replace(counts[100], rows=0)
    assert f"  {UNICODE.none} rows  " in text(header(found, 100, 3, UNICODE))[1]
