"""What the keys change, on a real server, looked at in the database afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
from textual.widgets import Button, Input

from dashboards import ended, opened, planned, shown, slow_creates, text_of, typed, until
from pgalmanac_tui.model import Link
from pgalmanac_tui.screens.main import MainScreen
from pgalmanac_tui.widgets.pager import Pager
from support import add_partitions, add_rows, connect, partition_names, rows, today


def name(days: int) -> str:
    """The partition of the day that is so many days from today."""
    return f"events_{today() + timedelta(days=days):%Y_%m_%d}"


async def test_the_story_of_ten_past_two(database: str) -> None:
    """Today is missing: two keys, with everything to be read in between, and inserts work again."""
    add_partitions(database, days=range(-20, 0), rows_a_day=3)

    async with opened(database) as (app, pilot):
        assert "✖ CRITICAL" in text_of(app, "#header")
        assert "no partition for now" in text_of(app, "#header")
        assert "f fix" in text_of(app, "#header")
        await pilot.press("f")
        dialog = await planned(app, pilot)
        assert "CREATE TABLE" in text_of(app, "#text")
        assert "SHARE UPDATE EXCLUSIVE on public.events" in text_of(app, "#text")
        assert "pgalmanac fix --table public.events" in text_of(app, "#text")
        await pilot.press("enter")
        await ended(pilot, dialog)
        assert "proved" in text_of(app, "#text")
        await pilot.press("enter")
        await until(pilot, lambda: "today" in text_of(app, "#details") and "rows" in text_of(app, "#details"))
        assert "CRITICAL" not in text_of(app, "#header")

    add_rows(database, day=0, count=5)
    assert [(5,)] == rows(database, "SELECT count(*) FROM events WHERE timestamp >= current_date")
    assert [("success", "fix", "manual")] == rows(
        database, "SELECT status, details ->> 'command', triggered_by FROM housekeeper_runs"
    )


async def test_what_has_nothing_to_do_can_be_done_all_the_same(database: str) -> None:
    """The warning that no maintenance is recorded says m, and f proves an insert: neither needs anything to create.

    Who only looked closes it, with enter.
    """
    add_partitions(database, days=range(-30, 31))

    async with opened(database) as (app, pilot):
        assert "no successful maintenance" in text_of(app, "#header")
        for key, said, last in (("f", "proves that an insert", "proved"), ("m", "records a run", "nothing to do")):
            await pilot.press(key)
            dialog = await planned(app, pilot)
            assert said in " ".join(text_of(app, "#text").split())
            await until(pilot, lambda: app.focused is app.screen.query_one("#cancel"))
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, MainScreen))
            assert dialog._change is None
            await pilot.press(key)
            dialog = await planned(app, pilot)
            await until(pilot, lambda: app.focused is app.screen.query_one("#cancel"))
            await pilot.press("right")
            await until(pilot, lambda: app.focused is app.screen.query_one("#apply"))
            await pilot.press("enter")
            await ended(pilot, dialog)
            assert last in text_of(app, "#text")
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, MainScreen))
        await until(pilot, lambda: "✔ OK" in text_of(app, "#header"))
        await pilot.press("c")
        dialog = await planned(app, pilot)
        assert not dialog.query_one("#apply", Button).display

    assert [("fix", "success"), ("maintain", "success")] == rows(
        database, "SELECT details ->> 'command', status FROM housekeeper_runs ORDER BY id"
    )


async def test_a_chosen_day_is_created(database: str) -> None:
    """The cursor goes one day on, and that day alone comes to be."""
    add_partitions(database, days=range(-5, 1))

    async with opened(database) as (app, pilot):
        await pilot.press("down", "c")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await ended(pilot, dialog)

    assert [*(name(d) for d in range(-5, 1)), name(1)] == partition_names(database)


async def test_a_selected_range_is_created(database: str) -> None:
    """Key v begins a range that the cursor draws on; both of its ends belong to it."""
    add_partitions(database, days=[0])

    async with opened(database) as (app, pilot):
        await pilot.press("down", "v", "down", "down", "c")
        dialog = await planned(app, pilot)
        assert f"{today() + timedelta(days=1)}..{today() + timedelta(days=3)}" in text_of(app, "#title")
        await pilot.press("enter")
        await ended(pilot, dialog)

    assert [name(d) for d in range(4)] == partition_names(database)


async def test_a_drop_wants_the_name_typed(database: str) -> None:
    """Focus is on Cancel, the button is shut, another name does not open it, the right one does."""
    add_partitions(database, days=range(-3, 2), rows_a_day=4)

    async with opened(database) as (app, pilot):
        await pilot.press("up", "D")
        dialog = await planned(app, pilot)
        button = dialog.query_one("#apply", Button)
        assert dialog.focused is dialog.query_one("#cancel")
        assert button.disabled
        assert "go for good" in text_of(app, "#prompt")
        assert "DROP TABLE" in text_of(app, "#text")
        await pilot.press("shift+tab")
        await typed(pilot, name(-2))
        await pilot.press("enter")
        await until(pilot, lambda: "that is not" in text_of(app, "#prompt"))
        assert dialog._change is None
        dialog.query_one("#name", Input).clear()
        await typed(pilot, name(-1))
        await until(pilot, lambda: not dialog.query_one("#apply", Button).disabled)
        await pilot.press("enter")
        await ended(pilot, dialog)

    assert [name(d) for d in (-3, -2, 0, 1)] == partition_names(database)


async def test_enter_on_a_drop_that_was_just_opened_keeps_everything(database: str) -> None:
    """Whoever presses enter too fast has pressed Cancel."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database) as (app, pilot):
        await pilot.press("up", "D")
        await planned(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MainScreen))

    assert [name(d) for d in range(-3, 2)] == partition_names(database)


async def test_maintenance_that_drops_wants_the_tables_name(database: str) -> None:
    """Several partitions go: the table's name is asked for; then premake is made and what expired is gone."""
    add_partitions(database, days=range(-95, 1))

    async with opened(database, size=(120, 40)) as (app, pilot):
        await pilot.press("m")
        dialog = await planned(app, pilot)
        assert "30 to create, 5 to drop" in text_of(app, "#title")
        await pilot.press("shift+tab")
        await typed(pilot, "events")
        await pilot.press("enter")
        await ended(pilot, dialog)

    assert [name(d) for d in range(-90, 31)] == partition_names(database)


async def test_what_has_come_to_be_dropped_since_is_not_dropped(database: str) -> None:
    """Between the plan and the typed name another partition expires: nobody agreed to that one."""
    add_partitions(database, days=[-92, *range(-5, 31)])

    async with opened(database) as (app, pilot):
        await pilot.press("m")
        dialog = await planned(app, pilot)
        add_partitions(database, days=[-93])
        await pilot.press("shift+tab")
        await typed(pilot, name(-92))
        await pilot.press("enter")
        await ended(pilot, dialog)
        assert "1 dropped" in text_of(app, "#text")

    assert name(-93) in partition_names(database)
    assert name(-92) not in partition_names(database)


async def test_a_partition_that_vanished_is_said_to_be_gone(database: str) -> None:
    """Two dashboards drop the same partition: the second one says so and nothing breaks."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database) as (app, pilot):
        await pilot.press("up", "D")
        dialog = await planned(app, pilot)
        with connect(database) as other:
            other.execute(f"DROP TABLE {name(-1)}".encode())
        await pilot.press("shift+tab")
        await typed(pilot, name(-1))
        await pilot.press("enter")
        await ended(pilot, dialog)
        assert name(-1) in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MainScreen) and app.model.link is Link.LIVE)

    assert [name(d) for d in (-3, -2, 0, 1)] == partition_names(database)


async def test_a_run_that_is_stopped_stops_between_two_actions_and_is_closed(database: str) -> None:
    """Escape while it works: what was done stays, the rest is left, the history says how it ended."""
    add_partitions(database, days=[0])
    slow_creates(database, 0.3)

    async with opened(database) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: dialog._change is not None and bool(dialog._change.outcomes))
        await pilot.press("escape")
        await ended(pilot, dialog)
        assert "stopped between two actions" in text_of(app, "#text")

    made = len(partition_names(database))
    assert 2 <= made < 31
    assert [("error", "interrupted")] == rows(database, "SELECT status, error FROM housekeeper_runs")


@pytest.mark.parametrize("keys", [("enter",), ("tab", "enter")])
async def test_an_enter_that_is_pressed_twice_stops_nothing(database: str, keys: tuple[str, ...]) -> None:
    """Somebody is in a hurry: what enter began it does not end; on the button, where tab leads, it does."""
    add_partitions(database, days=range(-30, 25))
    slow_creates(database, 0.3)

    async with opened(database) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await until(pilot, lambda: app.focused is app.screen.query_one("#apply"))
        await pilot.press("enter")
        await until(pilot, lambda: str(dialog.query_one("#cancel", Button).label) == "Stop")
        await pilot.press(*keys)
        await ended(pilot, dialog)
        assert ("stopped between two actions" in text_of(app, "#text")) is ("tab" in keys)
        assert app.focused is dialog.query_one("#cancel")


async def test_an_action_that_takes_long_is_named(database: str) -> None:
    """Whoever waits sees what for: nothing else moves while a lock is not to be had."""
    add_partitions(database, days=range(-30, 1))
    slow_creates(database, 30)

    async with opened(database, size=(80, 24)) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        assert " for " not in text_of(app, "#title")
        await pilot.press("enter")
        await until(pilot, lambda: f"at work on public.{name(1)} for " in text_of(app, "#title"))
        await pilot.press("escape")
        await until(pilot, lambda: "stopping after this action; esc again breaks it off" in shown(app))
        await pilot.resize_terminal(40, 24)
        await until(pilot, lambda: "0 of 30  esc again breaks it off" in shown(app))
        await pilot.press("escape")
        await ended(pilot, dialog)

    assert [name(d) for d in range(-30, 1)] == partition_names(database)


@pytest.mark.parametrize("key", ["c", "D", "m", "f"])
async def test_a_read_only_dashboard_says_why_a_key_is_off(database: str, key: str) -> None:
    """The key opens nothing, and the sentence names the flag."""
    add_partitions(database, days=range(-3, 2))

    async with opened(database, read_only=True) as (app, pilot):
        await pilot.press(key)
        await until(pilot, lambda: any("--read-only" in n.message for n in app._notifications))
        assert isinstance(app.screen, MainScreen)


async def test_without_the_privilege_the_keys_are_off_and_the_grant_is_named(database: str, make_role) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # the fixture of conftest
    """Everything can be looked at; what is missing to change it is said."""
    add_partitions(database, days=range(-3, 2))
    role = make_role()
    with connect(database) as connection:
        connection.execute(f"GRANT SELECT ON events TO {role}".encode())

    async with opened(f"{database} user={role}") as (app, pilot):
        await pilot.press("m")
        await until(pilot, lambda: any("GRANT" in n.message for n in app._notifications))
        assert "≈" in text_of(app, "#header") or "0 rows" in text_of(app, "#header")


async def test_leaving_while_it_works_undoes_the_action_and_closes_the_run(database: str) -> None:
    """What SIGHUP does: the application ends, the statement under way is undone, no run is left running."""
    add_partitions(database, days=[0])
    slow_creates(database, 30)

    async with opened(database) as (app, pilot):
        await pilot.press("f")
        await planned(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: bool(rows(database, "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")))
        app.exit(129)

    assert [name(0)] == partition_names(database)
    assert [("error", "interrupted")] == rows(database, "SELECT status, error FROM housekeeper_runs")


async def test_the_end_of_a_long_plan_that_was_read_is_not_where_its_report_begins(database: str) -> None:
    """Whoever read down to the last statement sees how it went, and not the last of sixty lines of it."""
    add_partitions(database, days=range(-3, 0))

    async with opened(database, size=(80, 24)) as (app, pilot):
        await pilot.press("f")
        dialog = await planned(app, pilot)
        await pilot.press(*["pagedown"] * 6)
        await until(pilot, lambda: dialog.query_one("#text", Pager).scroll_offset.y > 0)
        await pilot.press("enter")
        await ended(pilot, dialog)
        await until(pilot, lambda: "proved" in shown(app))
        assert 0 == dialog.query_one("#text", Pager).scroll_offset.y


async def test_a_role_that_may_not_read_is_told_so_and_keeps_what_is_known(database: str, make_role) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # the fixture of conftest
    """A count that is refused takes no estimate away, and a history that cannot be read is not said to be empty."""
    add_partitions(database, days=range(-3, 2), rows_a_day=700)
    async with opened(database) as (app, pilot):
        await pilot.press("m")
        dialog = await planned(app, pilot)
        await pilot.press("enter")
        await ended(pilot, dialog)
    with connect(database) as connection:
        connection.execute("ANALYZE events")
    role = make_role()

    async with opened(f"{database} user={role}") as (app, pilot):
        await pilot.press("up")
        await until(pilot, lambda: name(-1) in text_of(app, "#details") and "≈700 rows" in text_of(app, "#details"))
        await pilot.press("e")
        # In the panel words may be cut where a line ends.
        await until(pilot, lambda: f'TO"{role}"' in "".join(text_of(app, "#details").split()))
        assert "≈700 rows" in text_of(app, "#details")
        assert "runs unknown" in text_of(app, "#header")
        await pilot.press("3")
        await until(pilot, lambda: "the run history cannot be read" in shown(app))
        assert "no run is recorded" not in shown(app)
        assert "3 Runs ─" in shown(app)
