"""How it looks, compared with pictures that somebody has looked at: `pytest --snapshot-update` makes them anew.

The pictures are of values made by hand: clock, host name and version stand still in them. What the keys do to a
server is tested beside this, with a server.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import at_rest, lasting, shown, typed, until
from pgalmanac.actions import ActionKind
from pgalmanac.config import Dashboard as Look
from pgalmanac.config import Settings
from pgalmanac.diagnose import diagnose
from pgalmanac.errors import ConnectError
from pgalmanac.findings import PastRuns
from pgalmanac.forecast import Measured, Sizes
from pgalmanac.model import Pin, Server
from pgalmanac.plan import plan_drop, plan_maintain
from pgalmanac.policy import Policy
from pgalmanac.records import ActionRecord, RunRecord
from pgalmanac.results import PartitionCount
from pgalmanac.schedule import Schedule
from pgalmanac_tui.app import Dashboard
from pgalmanac_tui.glyphs import ASCII, UNICODE, Glyphs, Mark
from pgalmanac_tui.model import Link
from pgalmanac_tui.snapshot import Proposal, Snapshot, Step, TableState, Wish
from pgalmanac_tui.widgets.calendar import Calendar
from snapshots import NOW, TODAY, day, events, partition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.pilot import Pilot

SERVER = Server(
    version="18.1", version_num=180001, database="app", role="keeper", standby=False, now=NOW, address="10.0.0.7:5432"
)
POLICY = Policy()
RUN = RunRecord(
    id="17",
    task_name="events-partition-maintenance",
    started_at=NOW - timedelta(hours=12, minutes=30),
    completed_at=NOW - timedelta(hours=12, minutes=29, seconds=57),
    status="success",
    duration_ms=2_640.0,
    output="public.events: 1 created, 1 dropped",
    error=None,
    triggered_by="scheduler",
    created_at=NOW,
    details={"command": "maintain"},
)
FAILED = replace(
    RUN,
    id="16",
    started_at=RUN.started_at - timedelta(days=1),
    status="error",
    duration_ms=61_000.0,
    error="drop public.events_2025_08_02 failed: the lock was not to be had in 31 attempts",
)


CASE = Pin(reason="case 4711, the audit of last winter", until=date(2026, 3, 1), by="dba")


def table(
    *days: int, past: PastRuns | None = None, pins: Mapping[int, Pin] | None = None, policy: Policy = POLICY
) -> TableState:
    """The events table with partitions for these days from today, each with a plausible number of rows."""
    kept = pins or {}
    parent = events(partition(day(d), oid=100 + i, pin=kept.get(d)) for i, d in enumerate(days))
    plan = plan_maintain(parent, policy)
    past = past or PastRuns(last_success=NOW - timedelta(hours=12), last_started=NOW - timedelta(hours=12))
    counts = {
        p.oid: PartitionCount(oid=p.oid, name=p.name, rows=rows, exact=False, bytes=rows * 350)
        for offset, p in zip(days, parent.partitions, strict=True)
        for rows in [_rows(offset)]
    }
    found = diagnose(plan.view, plan, past)
    measured = tuple(
        Measured(oid=c.oid, rows=c.rows, bytes=c.bytes, exact=False, measured_at=NOW) for c in counts.values() if c.rows
    )
    sizes = Sizes(measured=measured, total_bytes=sum(m.bytes or 0 for m in measured))
    return TableState(plan=plan, findings=found, counts=counts, runs=(RUN, FAILED), past=past, sizes=sizes)


def _rows(offset: int) -> int:
    if offset > 0:
        return 0
    weekend = (NOW + timedelta(days=offset)).weekday() > 4
    return (90_000 if offset == -17 else 4_000 if weekend else 9_000) + offset * 13 % 700


HEALTHY = table(*range(-90, 31))
PINNED = table(*range(-92, 31), pins={-92: CASE, -91: CASE, -12: CASE, -11: CASE})
GROWING = table(*range(-90, 31), policy=Policy(retention_days=3650, disk_limit_gb=1))
CRITICAL = table(*range(-95, -40), *range(-39, 0))

NO_TABLE = (
    "create one with PARTITION BY RANGE, to which a plain table can be attached as its DEFAULT partition, "
    "or name another database with --dsn"
)


class Frozen:
    """Answers as a server would that never changes."""

    def __init__(self, state: TableState | None, *, server: Server = SERVER, lost: bool = False) -> None:
        """Show *state*; with *lost* be there once and never again."""
        trouble = "database app has no table that is partitioned by range of one time column"
        self.snapshot = Snapshot(
            server=server,
            now=NOW,
            tables=() if state is None else (state.name,),
            table=state,
            trouble=trouble if state is None else None,
            remedy=NO_TABLE if state is None else None,
            schedule=Schedule(next_at=NOW + timedelta(hours=11, minutes=30), source="systemd"),
        )
        self.lost, self.looks = lost, 0

    async def poll(self, _wanted: object, *, fresh: bool = False) -> Snapshot:  # noqa: ARG002  # never changes
        """The same again."""
        self.looks += 1
        if self.lost and self.looks > 1:
            raise ConnectError("cannot reach the database (connection refused)")
        return self.snapshot

    async def details(self, _partition: object) -> None:
        """Nothing more is known."""

    async def trend(self, _partition: object) -> tuple[()]:
        """No run has measured it."""
        return ()

    async def propose(self, _table: object, wish: Wish) -> Proposal:
        """The plan of what is asked for."""
        assert self.snapshot.table is not None
        plan = self.snapshot.table.plan
        if wish.command == "drop":
            drop = plan_drop(plan.table, POLICY, target=wish.target)
            plan = replace(drop, actions=tuple(replace(a, rows=9_040, bytes=3_164_000) for a in drop.actions))
        statements = (("DROP TABLE …", "ACCESS EXCLUSIVE on public.events"),)
        creating = (("CREATE TABLE …", "ACCESS SHARE on public.events"),)
        steps = tuple(
            Step(action=a, statements=statements if a.kind is ActionKind.DROP else creating) for a in plan.todo
        )
        blockers = ("process 4711 of report, active for 3000 s, holds AccessShareLock on events: SELECT count(*)",)
        return Proposal(wish=wish, server=self.snapshot.server, plan=plan, steps=steps, blockers=blockers)

    async def run(self, _run_id: str) -> RunRecord:
        """One run with an action."""
        action = ActionRecord(
            run_id="17",
            seq=1,
            action="create",
            partition="public.events_2025_12_02",
            lower=NOW,
            upper=NOW,
            reason="premake",
            sql="CREATE TABLE …;\nALTER TABLE … ATTACH PARTITION …",
            status="done",
            attempts=2,
            started_at=NOW,
            duration_ms=14.0,
            rows=None,
            bytes=None,
            sqlstate=None,
            error=None,
        )
        return replace(RUN, actions=(action,))

    def stop(self) -> None:
        """Nothing to let go of."""


def app(gateway: Frozen, *, read_only: bool = False, environ: dict[str, str] | None = None, **look: Any) -> Dashboard:  # noqa: ANN401  # fields of Dashboard
    """The dashboard on a frozen server."""
    settings = Settings(label="production", read_only=read_only, dashboard=Look(**{"glyphs": "unicode", **look}))
    dashboard = Dashboard(settings, make_gateway=lambda _: gateway, clock=lambda: 0.0, environ=environ or {})  # type: ignore[arg-type,return-value]  # stands in
    lasting(dashboard)
    return dashboard


def of(pilot: Pilot[int]) -> Dashboard:
    """The dashboard that is tried."""
    assert isinstance(pilot.app, Dashboard)
    return pilot.app


async def settled(pilot: Pilot[int]) -> None:
    """Until the first look is on the screen, with the details of its day."""
    await until(pilot, lambda: of(pilot).model.snapshot is not None)
    await at_rest(pilot)


async def lost(pilot: Pilot[int]) -> None:
    """Until the second look has failed."""
    await settled(pilot)
    of(pilot).poll_now()
    await until(pilot, lambda: of(pilot).model.link is Link.LOST)
    # The seconds until the next try are counted down in real time: they stay out.
    pilot.app.workers.cancel_all()
    of(pilot)._update(retry_in=None)
    await at_rest(pilot)


async def pressed(pilot: Pilot[int], *keys: str) -> None:
    """Press one key after the other, each when what the one before it opened has the keys."""
    for key in keys:
        await pilot.press(key)
        await at_rest(pilot)


def after(*keys: str) -> Any:  # noqa: ANN401  # what run_before takes
    """These keys, once the first look is there."""

    async def play(pilot: Pilot[int]) -> None:
        await settled(pilot)
        await pressed(pilot, *keys)

    return play


TO_A_PIN = after(*"g-12", "enter", "enter")


@pytest.mark.parametrize(
    "keys",
    [
        *((), ("f",), ("up", "D"), ("question_mark",), ("colon", "z", "z"), ("y",), ("g",), ("slash", "x"), ("o",)),
        *(("2",), ("3", "enter"), ("4",), ("5",), ("6",)),
    ],
)
async def test_in_ascii_nothing_else_reaches_the_screen(keys: tuple[str, ...]) -> None:
    """Frames, scroll bars, the palette and a role's name included; and no line becomes longer or shorter by it."""
    state = CRITICAL if "f" in keys else HEALTHY
    dashboard = app(Frozen(state, server=replace(SERVER, role="käse漢")), glyphs="ascii")

    async with dashboard.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(pilot)
        await pressed(pilot, *keys)
        dashboard.notify("größer")
        await at_rest(pilot)
        screen = shown(dashboard)
        lengths = {strip.cell_length for strip in dashboard.screen._compositor.render_strips()}

    assert "" == "".join(sorted({c for c in screen if not c.isascii()}))
    assert "gr??er" in screen
    assert keys or "as k?se??  primary" in screen
    assert {80} == lengths


@pytest.mark.parametrize("keys", [(), ("f",), ("up", "D"), ("question_mark",)])
async def test_without_colour_nothing_is_painted_in_any(monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]) -> None:
    """NO_COLOR leaves the terminal's own colours: greys of Textual's making were black on black."""
    monkeypatch.setenv("NO_COLOR", "1")
    dashboard = app(Frozen(CRITICAL), environ={"NO_COLOR": "1"})

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pressed(pilot, *keys)
        styles = [s.style for strip in dashboard.screen._compositor.render_strips() for s in strip]

    colours = [c for style in styles if style is not None for c in (style.color, style.bgcolor) if c is not None]
    assert all(colour.is_default for colour in colours)
    assert any(style.reverse or style.bold for style in styles if style is not None)


MARKED = table(*range(-95, -40), *range(-39, 0), *range(2, 34), pins={-12: CASE})


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize(
    ("offset", "mark"),
    [
        (-94, Mark.EXPIRING),
        (-40, Mark.GAP),
        (-12, Mark.PINNED),
        (0, Mark.MISSING),
        (2, Mark.PREMADE),
        (33, Mark.BEYOND),
    ],
)
async def test_the_cursor_leaves_the_mark_of_its_day_in_sight(offset: int, mark: Mark, glyphs: Glyphs) -> None:
    """It stands beside the mark, in the calendar that has the keys and in the one that has not."""
    dashboard = app(Frozen(MARKED), glyphs="ascii" if glyphs.ascii else "unicode")

    async with dashboard.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        calendar = dashboard.screen.query_one(Calendar)
        before = calendar.text().splitlines()
        await pilot.press("g")
        await typed(pilot, f"{offset:+}")
        await pressed(pilot, "enter")
        assert calendar.day == TODAY + timedelta(days=offset)
        lit = calendar.text().splitlines()
        await pressed(pilot, "tab")
        dimmed = calendar.text().splitlines()
        y = 1 + calendar.day.weekday()
        x = next(x for x in range(80) if calendar.day_at(x, y) == calendar.day)

    assert glyphs.chosen + glyphs.mark(mark) == lit[y][x : x + 2]
    assert glyphs.chosen + glyphs.mark(mark) == dimmed[y][x : x + 2]
    assert f" {calendar.day.day:2} " == lit[0][:4]
    if offset:
        assert glyphs.mark(mark) == before[y][x]


@pytest.mark.parametrize(
    ("dashboard", "size", "before"),
    [
        pytest.param(lambda: app(Frozen(HEALTHY)), (80, 24), settled, id="healthy"),
        pytest.param(lambda: app(Frozen(HEALTHY)), (120, 40), settled, id="wide"),
        pytest.param(lambda: app(Frozen(HEALTHY)), (40, 10), settled, id="small"),
        pytest.param(lambda: app(Frozen(HEALTHY), theme="light"), (80, 24), settled, id="light"),
        pytest.param(lambda: app(Frozen(CRITICAL), theme="ansi-dark"), (80, 24), settled, id="ansi"),
        pytest.param(lambda: app(Frozen(CRITICAL), environ={"NO_COLOR": "1"}), (80, 24), settled, id="no-colour"),
        pytest.param(lambda: app(Frozen(CRITICAL), glyphs="ascii"), (80, 24), settled, id="ascii"),
        pytest.param(lambda: app(Frozen(CRITICAL)), (80, 24), settled, id="critical"),
        pytest.param(lambda: app(Frozen(PINNED)), (80, 24), TO_A_PIN, id="pinned"),
        pytest.param(lambda: app(Frozen(PINNED), glyphs="ascii"), (80, 24), TO_A_PIN, id="pinned-ascii"),
        pytest.param(lambda: app(Frozen(GROWING)), (80, 24), after("6"), id="growth"),
        pytest.param(lambda: app(Frozen(GROWING), glyphs="ascii"), (80, 24), after("6"), id="growth-ascii"),
        pytest.param(lambda: app(Frozen(None)), (80, 24), settled, id="empty-database"),
        pytest.param(lambda: app(Frozen(HEALTHY, lost=True)), (80, 24), lost, id="stale"),
        pytest.param(lambda: app(Frozen(HEALTHY), read_only=True), (80, 24), after("m"), id="read-only"),
        pytest.param(lambda: app(Frozen(CRITICAL)), (80, 24), after("f"), id="plan"),
        pytest.param(lambda: app(Frozen(HEALTHY)), (80, 24), after("up", "D"), id="confirm"),
        pytest.param(lambda: app(Frozen(HEALTHY)), (80, 24), after("3"), id="runs"),
        pytest.param(lambda: app(Frozen(HEALTHY)), (80, 24), after("3", "enter"), id="run-detail"),
        pytest.param(lambda: app(Frozen(CRITICAL)), (80, 24), after("2"), id="findings"),
        pytest.param(lambda: app(Frozen(HEALTHY)), (80, 40), after("question_mark"), id="help"),
    ],
)
def test_it_looks_as_it_did(snap_compare: Any, dashboard: Any, size: tuple[int, int], before: Any) -> None:  # noqa: ANN401  # the fixture has no type
    """Each state in one picture."""
    assert snap_compare(dashboard(), terminal_size=size, run_before=before)
