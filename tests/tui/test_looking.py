"""What is on the screen, how one moves about it, and that it comes back when the server does."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import EVENTS, at_rest, opened, planned, shown, text_of, typed, until
from pgalmanac import maintain
from pgalmanac.config import Dashboard as Look
from pgalmanac.config import Layer, Settings
from pgalmanac.inspection import MAINTAIN
from pgalmanac.pgserver import Cluster
from pgalmanac.table_names import TableRef
from pgalmanac_tui import app as application
from pgalmanac_tui.app import Dashboard
from pgalmanac_tui.format import day_title
from pgalmanac_tui.model import Link
from pgalmanac_tui.screens.main import MainScreen
from pgalmanac_tui.screens.reading import HelpScreen, RunScreen
from pgalmanac_tui.widgets.calendar import Calendar, monday
from pgalmanac_tui.widgets.lines import Lines
from pgalmanac_tui.widgets.listing import Listing
from support import add_default, add_partitions, add_rows, connect, create_events, rows, today

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from textual.widget import Widget


def calendar(app: Dashboard) -> Calendar:
    """The calendar of the main screen."""
    return app.screen.query_one(Calendar)


def listing(app: Dashboard, name: str = "partitions") -> Listing[Any]:
    """A list of the main screen."""
    return app.screen.query_one(f"#{name}", Listing)


async def test_the_header_says_where_one_is(database: str) -> None:
    """Database, role, primary, version, and the label of the configuration."""
    add_partitions(database, days=range(-3, 31))

    async with opened(database, label="production", size=(120, 30)) as (app, _):
        header = text_of(app, "#header")
        [(name, version)] = rows(database, "SELECT current_database()::text, current_setting('server_version')")

    assert " production " in header
    assert f"{name}@" in header
    assert "as postgres" in header
    assert "primary" in header
    assert version.split()[0] in header
    assert "34 partitions" in header


async def test_arrows_move_by_days_and_weeks_and_the_details_follow(database: str) -> None:
    """Right is a week on, up a day back; t comes back to today."""
    add_partitions(database, days=range(-30, 31))

    async with opened(database) as (app, pilot):
        await pilot.press("left", "left", "up")
        await until(pilot, lambda: calendar(app).day == today() - timedelta(days=15))
        await until(pilot, lambda: day_title(today() - timedelta(days=15)) in text_of(app, "#details"))
        await pilot.press("t")
        await until(pilot, lambda: calendar(app).day == today())


async def test_g_goes_to_a_date(database: str) -> None:
    """A full date, a month, or days from today; nonsense is refused and asked again."""
    add_partitions(database, days=range(-30, 31))

    async with opened(database) as (app, pilot):
        await pilot.press("g")
        await typed(pilot, "soon")
        await pilot.press("enter")
        await until(pilot, lambda: "That is no date" in shown(app))
        await pilot.press(*["backspace"] * 4)
        await typed(pilot, "-10")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))
        await until(pilot, lambda: calendar(app).day == today() - timedelta(days=10))


async def test_a_date_too_far_away_is_said_to_be(database: str) -> None:
    """The cursor goes as far as it may, and nobody takes that day for the one that was typed."""
    add_partitions(database, days=[0])

    async with opened(database) as (app, pilot):
        await pilot.press("g")
        await typed(pilot, "1999-12-31")
        await pilot.press("enter")
        last = today() - timedelta(days=366)
        await until(pilot, lambda: any(f"no day before {last}" in n.message for n in app._notifications))
        assert calendar(app).day == last
        await pilot.press("g")
        await typed(pilot, f"{today() + timedelta(days=3)}")
        await pilot.press("enter")
        await until(pilot, lambda: calendar(app).day == today() + timedelta(days=3))
        assert not app._notifications


async def test_the_calendar_goes_to_the_row_that_a_filter_leaves(database: str) -> None:
    """So that the range which v begins there is of the day whose details are shown."""
    add_partitions(database, days=range(-95, 1))
    wanted = today() - timedelta(days=40)

    async with opened(database) as (app, pilot):
        await pilot.press("slash")
        await typed(pilot, f"{wanted}")
        await until(pilot, lambda: len(listing(app).rows) == 1)
        await pilot.press("enter")
        await until(pilot, lambda: calendar(app).day == wanted)
        await pilot.press("v")
        await until(pilot, lambda: calendar(app).begin == wanted)


async def test_the_calendar_stays_with_the_row_when_a_filter_ends(database: str) -> None:
    """Escape shows all rows again, around the one that was found; with none found the cursor is where it was."""
    add_partitions(database, days=range(-95, 1))
    wanted = today() - timedelta(days=40)

    async with opened(database) as (app, pilot):
        await pilot.press("slash")
        await typed(pilot, f"{wanted}")
        await until(pilot, lambda: len(listing(app).rows) == 1)
        await pilot.press("escape")
        await until(pilot, lambda: len(listing(app).rows) > 1 and calendar(app).day == wanted)
        await until(pilot, lambda: day_title(wanted) in text_of(app, "#details"))
        await pilot.press("slash")
        await typed(pilot, "nothing like that")
        await until(pilot, lambda: not listing(app).rows)
        await pilot.press("escape")
        await until(pilot, lambda: len(listing(app).rows) > 1)
        await at_rest(pilot)
        row = listing(app).chosen

        assert row is not None
        assert calendar(app).day == wanted
        assert f"events_{wanted:%Y_%m_%d}" == row.name


async def test_the_filter_looks_at_name_date_and_state(database: str) -> None:
    """Each word has to be found; escape shows all again."""
    add_partitions(database, days=range(-95, 1), rows_a_day=1)

    async with opened(database) as (app, pilot):
        everything = len(listing(app).rows)
        await pilot.press("slash")
        await typed(pilot, "expiring")
        await until(pilot, lambda: len(listing(app).rows) == 5)
        await pilot.press(*["backspace"] * 8)
        await typed(pilot, f"{today() - timedelta(days=3)}")
        await until(pilot, lambda: len(listing(app).rows) == 1)
        await pilot.press("escape")
        await until(pilot, lambda: len(listing(app).rows) == everything)

        assert 96 + 30 == everything


async def test_partitions_are_counted_once(database: str) -> None:
    """Header and tab say the same number, that of check; the default one and missing days are rows and not counted."""
    add_partitions(database, days=range(-4, 1))
    add_default(database)

    async with opened(database, size=(120, 30)) as (app, pilot):
        header, tabs = text_of(app, "#header"), text_of(app, "#tabs")
        await pilot.press("slash")
        await typed(pilot, "created")
        await until(pilot, lambda: "1 Partitions 30 shown" in text_of(app, "#tabs"))
        await pilot.press("escape")
        await until(pilot, lambda: tabs == text_of(app, "#tabs"))
        assert 5 + 30 + 1 == len(listing(app).rows)

    assert " 5 partitions" in header
    assert " 1 Partitions 5 " in tabs


async def test_any_column_sorts(database: str) -> None:
    """Key s goes on to the next column and S turns the order round."""
    add_partitions(database, days=range(-3, 1))
    add_rows(database, day=-2, count=500)
    with connect(database) as connection:
        connection.execute(b"ANALYZE events")

    async with opened(database) as (app, pilot):
        await pilot.press("s", "s")
        await until(pilot, lambda: listing(app).columns[listing(app).sort or 0].title == "rows")
        most = listing(app).rows[0]
        await pilot.press("S")
        await until(pilot, lambda: listing(app).rows[0] is not most)
        counts = [row.count and row.count.rows for row in listing(app).rows]

        assert 500 == most.count.rows
        # What is not there has no figures, and stands at the end either way.
        assert [0, 0, 0, 500, *[None] * 30] == counts


async def test_exact_counts_on_demand_with_the_hours_and_the_types(database: str) -> None:
    """Key e counts the chosen day: exact rows, the hours as bars, the most frequent event types."""
    add_partitions(database, days=range(-3, 31), rows_a_day=240)

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("up", "e")
        await until(pilot, lambda: "order." in text_of(app, "#details"))
        details = text_of(app, "#details")

    assert "240 rows" in details
    assert "≈240" not in details
    assert "exact, counted just now" in details
    assert "████████████████████████ hours" in details


async def test_a_row_that_was_counted_is_at_once_said_to_be(database: str) -> None:
    """The details of the list's row too, though no further look comes."""
    add_partitions(database, days=range(-3, 31), rows_a_day=24)

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("p", "tab")
        await until(pilot, lambda: app.model.link is Link.PAUSED and listing(app).has_focus)
        await until(pilot, lambda: "heap" in text_of(app, "#details"))
        await at_rest(pilot)
        await pilot.press("e")
        await until(pilot, lambda: any(e.count is not None and e.count.exact for e in listing(app).rows))
        await at_rest(pilot)

        assert "exact, counted" in text_of(app, "#details")


async def test_lock_holders_come_and_go_while_the_cursor_rests(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who held a lock when the cursor came there is old news: it is asked for again as long as it is shown."""
    monkeypatch.setattr(application, "_CLOSER_SECONDS", 0.0)
    add_partitions(database, days=range(-3, 31), rows_a_day=2)

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("up")
        await until(pilot, lambda: "heap" in text_of(app, "#details"))
        with connect(database) as holder, holder.transaction():
            holder.execute(f"LOCK TABLE events_{today() - timedelta(days=1):%Y_%m_%d}".encode())
            app.poll_now()
            await until(pilot, lambda: f"process {holder.info.backend_pid}" in text_of(app, "#details"))
        app.poll_now()
        await until(pilot, lambda: "process" not in text_of(app, "#details"))


async def test_a_count_can_be_called_off(database: str) -> None:
    """Escape cancels the statement on the server; the count before it stays."""
    add_partitions(database, days=range(-3, 31), rows_a_day=2)
    waiting = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with connect(database) as blocker, blocker.transaction():
        blocker.execute(f"LOCK TABLE events_{today() - timedelta(days=1):%Y_%m_%d}".encode())
        async with opened(database) as (app, pilot):
            await pilot.press("up", "e")
            await until(pilot, lambda: app.model.counting is not None)
            assert "counting 0/1" in text_of(app, "#tabs")
            await pilot.press("escape")
            await until(pilot, lambda: app.model.counting is None)
            # While the lock is still held; the server hears of it a moment after the screen.
            await until(pilot, lambda: rows(database, waiting) == [])


async def test_findings_say_what_to_do(database: str) -> None:
    """Each one in full, with its key."""
    add_partitions(database, days=[-5, -4, -2, -1])

    async with opened(database) as (app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: "f fix" in text_of(app, "#findings"))
        text = text_of(app, "#findings")

    assert "missing between partitions" in text
    assert "f fix" in text
    assert "m maintain" in text


async def test_runs_are_listed_and_open(database: str) -> None:
    """A run's row opens to its actions with their statements."""
    add_partitions(database, days=[0])

    async with opened(database) as (app, pilot):
        await pilot.press("c")
        await planned(app, pilot)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))
        await pilot.press("down", "c")
        await until(pilot, lambda: "1 to create" in text_of(app, "#title"))
        await pilot.press("enter")
        await until(pilot, lambda: "done" in text_of(app, "#title"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))
        await pilot.press("3")
        await until(pilot, lambda: listing(app, "runs").has_focus and len(listing(app, "runs").rows) == 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "CREATE TABLE" in text_of(app, "#text"))
        assert "1 created" in text_of(app, "#text")


async def test_a_run_elsewhere_is_seen_as_it_happens(database: str) -> None:
    """Whoever holds the table's advisory lock and has an open row in the history is in the headline."""
    add_partitions(database, days=range(-3, 31))
    with connect(database) as other:
        [(oid,)] = other.execute(b"SELECT 'events'::regclass::oid::int8").fetchall()
        other.execute(
            b"CREATE TABLE housekeeper_runs (id bigint PRIMARY KEY, task_name text, started_at timestamptz,"
            b" completed_at timestamptz, status text, duration_ms bigint, output text, error text,"
            b" triggered_by text, created_at timestamptz, details jsonb);"
            b"INSERT INTO housekeeper_runs VALUES (1, 'events-partition-maintenance', now(), NULL, 'running', NULL,"
            b""" NULL, NULL, 'scheduler', now(), '{"command": "maintain"}')"""
        )
        other.execute(f"SELECT pg_advisory_lock({0x7067616C}::int8 << 32 | {oid})".encode())
        async with opened(database, size=(120, 30)) as (app, _):
            header = text_of(app, "#header")

    assert "maintain at work" in header
    assert "scheduler" in header


async def test_another_table_can_be_chosen(database: str) -> None:
    """The switcher shows each table's health, and enter shows the table."""
    add_partitions(database, days=range(-3, 31))
    with connect(database) as connection:
        connection.execute(b"CREATE TABLE other (at timestamptz NOT NULL) PARTITION BY RANGE (at)")

    async with opened(database, requested=(TableRef(name="events"), TableRef(name="other"))) as (app, pilot):
        await pilot.press("o")
        await until(pilot, lambda: "CRITICAL" in shown(app) and "public.other" in shown(app))
        await until(pilot, lambda: isinstance(app.screen.focused, Listing))
        listing(app, "tables").choose("public.other")
        await pilot.press("enter")
        await until(pilot, lambda: app.model.name is not None and app.model.name.name == "other")

        assert "public.other" in text_of(app, "#header")


async def test_help_lists_the_keys_and_says_why_one_is_off(database: str) -> None:
    """Keys come from the same bindings as the last line."""
    add_partitions(database, days=range(-3, 31))

    async with opened(database, read_only=True) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until(pilot, lambda: "missing today" in text_of(app, "#text"))
        text = text_of(app, "#text")

    assert "exact" in text
    assert "off: the dashboard was started with --read-only" in text


async def test_help_names_the_keys_in_ascii(database: str) -> None:
    """An arrow is a question mark there, which is another key."""
    add_partitions(database, days=range(-3, 31))

    async with opened(database, dashboard=Look(glyphs="ascii")) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until(pilot, lambda: "missing today" in text_of(app, "#text"))
        lines = [line.split() for line in text_of(app, "#text").splitlines()]

    assert [["enter", "Open", "the", "day"]] == [line[:4] for line in lines if line[1:4] == ["Open", "the", "day"]]
    assert ["left", "h", "A", "week", "back"] in lines
    assert [["?", "help"]] == [line[:2] for line in lines if line[:1] == ["?"] and line[1:2] != ["??"]]


async def test_it_comes_back_after_a_restart_of_the_server(own_server: Cluster) -> None:
    """Meanwhile it shows the old data and says how old; keys that need the server are off."""
    create_events(own_server.conninfo(), days=range(-3, 31))

    async with opened(own_server.conninfo()) as (app, pilot):
        own_server.stop()
        app.poll_now()
        await until(pilot, lambda: app.model.link is Link.LOST)
        assert "what you see is" in text_of(app, "#header")
        assert "34 partitions" in text_of(app, "#header")
        assert app.model.why_not() == "the connection is lost"
        own_server.start()
        app.poll_now()
        await until(pilot, lambda: app.model.link is Link.LIVE)

        assert "what you see is" not in text_of(app, "#header")


async def test_a_database_without_a_partitioned_table(empty_database: str) -> None:
    """It says what would be maintained, and how to begin."""
    async with opened(empty_database, requested=(), size=(100, 24)) as (app, _):
        screen, details = shown(app), text_of(app, "#details")

    assert "no table that is partitioned by range of one time column" in screen
    assert " ".join(details.split()).endswith("pgalmanac init prints a configuration to start from.")
    assert "docs/" not in screen  # which nobody has who installed a package


async def test_why_there_is_no_connection_can_be_read(tmp_path: Path) -> None:
    """At 80 by 24, whole: nobody could mend a password of which no more is said than that something failed."""
    async with opened(f"host={tmp_path} user=nobody dbname=app", size=(80, 24), live=False) as (app, pilot):
        await until(pilot, lambda: app.model.link is Link.LOST)
        await until(pilot, lambda: "No such file or directory" in " ".join(text_of(app, "#details").split()))
        screen = shown(app)

    assert "not connected" in screen
    assert "connecting" not in screen
    assert "no partitions" not in screen  # nobody has seen that


async def test_why_the_connection_was_lost_can_be_read(own_server: Cluster) -> None:
    """Among the findings, where the third line says it is; and a run that cannot be fetched says why in full."""
    create_events(own_server.conninfo(), days=range(-3, 31))
    await maintain.perform(Settings(dsn=own_server.conninfo(), requested=(EVENTS,)), MAINTAIN)

    async with opened(own_server.conninfo(), size=(80, 24)) as (app, pilot):
        await pilot.press("3")
        await until(pilot, lambda: listing(app, "runs").has_focus and len(listing(app, "runs").rows) == 1)
        own_server.stop()
        app.poll_now()
        await until(pilot, lambda: app.model.link is Link.LOST)
        await until(pilot, lambda: "2 why" in text_of(app, "#header"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and text_of(app, "#text").count("\n") > 1)
        run = " ".join(text_of(app, "#text").split())
        await pilot.press("escape", "2")
        await until(pilot, lambda: "cannot reach the database" in text_of(app, "#findings"))
        found = " ".join(text_of(app, "#findings").split())
        assert "Nothing to report" not in found  # who would know?
        own_server.start()
        app.poll_now()
        await until(pilot, lambda: "Nothing to report" in text_of(app, "#findings"))
        assert "cannot reach the database" not in text_of(app, "#findings")

    for text in (run, found):
        assert "No such file or directory" in text
        assert "are --dsn or the PG* variables right?" in text


async def test_of_a_long_name_the_end_is_shown(database: str) -> None:
    """There it has its date, without which all rows are the same."""
    add_partitions(database, days=range(-3, 31))
    with connect(database) as connection:
        for n in (1, 2):
            old = f"events_{today() - timedelta(days=n):%Y_%m_%d}"
            connection.execute(f"ALTER TABLE {old} RENAME TO a_log_of_{'very_' * n}important_{old}".encode())

    async with opened(database, size=(80, 24)) as (app, pilot):
        await pilot.press("up")
        await until(pilot, lambda: calendar(app).day == today() - timedelta(days=1))
        await until(pilot, lambda: "heap" in text_of(app, "#details"))
        screen, details = shown(app), text_of(app, "#details")

    listed = [line for line in screen.splitlines() if line.strip("▸ ").startswith("a_log_")]
    assert ["…", "…"] == ["".join(c for c in line if c == "…") for line in listed]
    for n in (1, 2):
        assert any(f"{today() - timedelta(days=n):%Y_%m_%d} " in line for line in listed)
    assert f"{today() - timedelta(days=1):%Y_%m_%d}" in details


async def test_a_parent_without_partitions(database: str) -> None:
    """All of it is to be created, today is missing."""
    async with opened(database) as (app, _):
        header = text_of(app, "#header")
        marks = {e.mark for e in listing(app).rows}

    assert "CRITICAL" in header
    assert {"missing", "wanted"} == {str(m) for m in marks}


async def test_the_calendar_goes_back_to_what_came_to_be_before_it(database: str) -> None:
    """Of a table that was empty and of one that began yesterday, when nobody had moved it away from the beginning."""

    def first_day(app: Dashboard) -> date | None:
        return calendar(app).day_at(5, 1)

    async with opened(database) as (app, pilot):
        assert first_day(app) == monday(today())
        add_partitions(database, days=[-1])
        app.poll_now()
        await until(pilot, lambda: first_day(app) == monday(today() - timedelta(days=1)))
        add_partitions(database, days=[-40])
        app.poll_now()
        await until(pilot, lambda: first_day(app) == monday(today() - timedelta(days=40)))
        assert calendar(app).day == today()
        # Whoever has gone on to another time stays there.
        calendar(app).choose(today() + timedelta(days=360))
        await until(pilot, lambda: first_day(app) != monday(today() - timedelta(days=40)))
        there = first_day(app)
        add_partitions(database, days=[-80])
        app.poll_now()
        await until(pilot, lambda: "3 partitions" in text_of(app, "#header"))
        assert first_day(app) == there


async def test_a_table_that_goes_takes_its_rows_along(database: str) -> None:
    """Renamed or dropped under the dashboard: nothing of it is left in any list, and it can come back."""
    add_partitions(database, days=range(-95, 1))
    await maintain.perform(Settings(dsn=database, flags=Layer(values={"grace_days": 7})), MAINTAIN)
    lists = ("partitions", "plan", "trash", "runs")

    async with opened(database, size=(120, 40)) as (app, pilot):
        with connect(database) as connection:
            connection.execute(f"DROP TABLE events_{today() + timedelta(days=5):%Y_%m_%d}".encode())
        app.poll_now()
        await pilot.press("3", "4", "5", "2", "6")
        await until(pilot, lambda: all(listing(app, name).rows for name in lists))
        await until(pilot, lambda: "1 Partitions 120 " in text_of(app, "#tabs"))
        with connect(database) as connection:
            connection.execute(b"ALTER TABLE events RENAME TO gone")
        app.poll_now()
        await until(pilot, lambda: "NO TABLE" in text_of(app, "#header"))
        await until(pilot, lambda: not any(listing(app, name).rows for name in lists))
        assert "" == text_of(app, "#growth").strip()
        await pilot.press("2")
        await until(pilot, lambda: "" == text_of(app, "#findings").strip())
        await pilot.press("6")
        assert "there is no table events" in text_of(app, "#header")
        with connect(database) as connection:
            connection.execute(b"ALTER TABLE gone RENAME TO events")
        app.poll_now()
        await until(pilot, lambda: all(listing(app, name).rows for name in lists))
        await until(pilot, lambda: text_of(app, "#growth").strip() != "")


async def test_text_of_the_database_is_shown_and_not_obeyed(database: str) -> None:
    """A name with an escape sequence, markup and quotes, and an event type with a newline."""
    with connect(database) as connection:
        connection.execute(
            'CREATE TABLE "ev[red]il\x1b[31m\'x" PARTITION OF events'
            f" FOR VALUES FROM ('{today()}') TO ('{today() + timedelta(days=1)}')".encode()
        )
        connection.execute(
            b"INSERT INTO events (event_id, event_type, event_version, timestamp, aggregate_type, aggregate_id, data)"
            b" VALUES (gen_random_uuid(), E'[bold]a\\nb\\x1b]0;x\\x07', 1, now() AT TIME ZONE 'UTC', 'a', 'b', '{}')"
        )

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: "[bold]a" in text_of(app, "#details"))
        screen = shown(app)

    assert "ev[red]il\\x1b[31m'x" in screen
    assert "\x1b" not in screen
    assert "\x07" not in screen


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
async def test_every_size_shows_what_matters(database: str, size: tuple[int, int]) -> None:
    """Down to 40 by 10 the worst finding, the calendar and the keys are in sight, also after a resize."""
    async with opened(database, size=(100, 30)) as (app, pilot):
        await pilot.resize_terminal(*size)
        await until(pilot, lambda: len(app.screen._compositor.render_strips()) == size[1])
        await at_rest(pilot)
        screen = shown(app)

    assert "no partition for now" in screen
    assert "Mon" in screen
    assert "? help" in screen
    assert size[1] == len(screen.splitlines()) or size[1] - 1 == len(screen.splitlines())


async def test_the_calendar_of_a_terminal_that_was_small_for_a_while_is_as_it_was(database: str) -> None:
    """It kept to the few weeks that had fitted, on the left, and the past was out of sight beside empty columns."""
    add_partitions(database, days=range(-60, 31))

    async with opened(database, size=(80, 24)) as (app, pilot):
        await at_rest(pilot)
        before = text_of(app, "#calendar")
        await pilot.resize_terminal(20, 10)
        await until(pilot, lambda: app.size.width == 20 and text_of(app, "#calendar") != before)
        await at_rest(pilot)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: text_of(app, "#calendar") == before)


async def test_in_a_few_lines_the_lists_are_reached_too(database: str) -> None:
    """At 40 by 10 tab goes from the calendar to the list and back, each in sight while it has the keys."""
    add_partitions(database, days=range(-3, 31))

    async with opened(database, size=(40, 10)) as (app, pilot):
        await until(pilot, lambda: "Mon" in shown(app))
        await pilot.press("tab")
        await until(pilot, lambda: "1 Partitions" in shown(app) and f"events_{today():%Y_%m_%d}" in shown(app))
        assert "Mon" not in shown(app)
        await pilot.press("2")
        await until(pilot, lambda: "never" in shown(app) or "no successful maintenance" in shown(app))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "Mon" in shown(app) and "2 Findings" in shown(app))
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: "Mon" not in shown(app) and "2 Findings" in shown(app))
        await pilot.press("tab")
        await until(pilot, lambda: "Mon" in shown(app) and "2 Findings" not in shown(app))


async def test_a_terminal_that_changes_behind_a_dialog(database: str) -> None:
    """What stands behind is laid out for the new size when the dialog has gone."""
    add_partitions(database, days=range(-3, 31))

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: len(app.screen._compositor.render_strips()) == 10)
        await pilot.press("escape")
        await until(pilot, lambda: "Findings" not in shown(app) and "Sun" in shown(app) and "? help" in shown(app))
        await pilot.press("tab")
        await until(pilot, lambda: "1 Partitions" in shown(app))


async def test_stray_rows_are_in_the_calendar(database: str) -> None:
    """A day without a partition whose rows wait in the default one has its own mark."""
    add_partitions(database, days=[-3, -1, 0])
    add_default(database)
    add_rows(database, day=-2, count=7)

    async with opened(database) as (app, pilot):
        await pilot.press("up", "up")
        await until(pilot, lambda: "stray" in text_of(app, "#details"))
        details = text_of(app, "#details")

    assert "stray rows" in details
    assert "7 stray rows wait for it" in details


async def test_a_poll_that_changed_nothing_paints_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts compare what they would show with what they show."""
    add_partitions(database, days=range(-30, 31), rows_a_day=1)
    monkeypatch.setattr(application, "_LATE_SECONDS", inf)  # a look that takes long is said to, in the header

    async with opened(database) as (app, pilot):
        await at_rest(pilot)
        painted: list[object] = []

        def refresh(widget: Widget, *regions: object, **_how: object) -> Widget:
            # Without a region the calendar is painted for a focus that comes and goes, and for nothing else here.
            painted.extend([widget.id] if regions or widget.id != "calendar" else [])
            return widget

        monkeypatch.setattr(Lines, "refresh", refresh)
        monkeypatch.setattr(Listing, "refresh", refresh)
        seen = app.model.snapshot
        app.poll_now()
        await until(pilot, lambda: app.model.snapshot is not seen)
        await at_rest(pilot)

    assert [] == painted


async def test_the_label_has_the_colour_of_the_configuration(database: str) -> None:
    """A colour that is none is the theme's."""
    add_partitions(database, days=range(-3, 31))

    colours: list[str] = []
    for chosen in ("#cc3300", "nonsense"):
        async with opened(database, label="production", dashboard=Look(label_color=chosen)) as (app, _):
            colours.append(app.get_css_variables()["label-color"].upper())
            assert " production " in text_of(app, "#header")

    assert "#CC3300" == colours[0]
    assert colours[0] != colours[1]


@pytest.mark.parametrize(
    ("keys", "name", "sql", "command"),
    [
        ("up", "events_{day}", "SELECT count(*) FROM public.events_{day};", "drop events_{day} --dry-run"),
        ("down", "events_{day}", "SELECT count(*) FROM public.events;", "create {iso}"),
    ],
)
async def test_what_can_be_copied_of_a_day(database: str, keys: str, name: str, sql: str, command: str) -> None:
    """Of a day that has no partition its name to be, a question that can be asked, and the command that makes it.

    Of one that has, the command that shows what a drop would do: it may be pasted where it is not read.
    """
    add_partitions(database, days=range(-3, 1))
    day = today() + timedelta(days=-1 if keys == "up" else 1)
    words = {"day": f"{day:%Y_%m_%d}", "iso": f"{day}"}

    async with opened(database) as (app, pilot):
        await pilot.press(keys, "y")
        await until(pilot, lambda: "Copy" in shown(app))
        screen = shown(app)

    assert name.format(**words) in screen
    assert sql.format(**words) in screen
    assert f"pgalmanac {command.format(**words)} --table" in screen
