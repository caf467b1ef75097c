"""The tables beside the one in view: what is critical there is said, and it is asked for seldom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dashboards import at_rest, opened, shown, text_of, until
from pgalmanac.findings import Level
from pgalmanac.table_names import TableName
from pgalmanac_tui.around import Around
from pgalmanac_tui.columns.tables import TableRow
from pgalmanac_tui.gateway import ServerGateway
from pgalmanac_tui.widgets.listing import Listing
from support import add_partitions, connect

if TYPE_CHECKING:
    from collections.abc import Mapping

ONE, OTHER = (TableName(schema="public", name=name) for name in ("one", "other"))


def test_others_are_looked_at_once_a_minute() -> None:
    """Not while that is going on, more seldom where it takes long, and at once when something was changed."""
    around, tables = Around(), (ONE, OTHER)

    assert not around.due((ONE,), 100.0)
    assert around.due(tables, 100.0)
    around.began(tables)
    assert not around.due(tables, 10_000.0)
    around.ended(100.0, 102.0)
    assert not around.due(tables, 161.0)
    assert around.due(tables, 162.0)
    around.began(tables)
    around.ended(170.0, 180.0)
    assert not around.due(tables, 279.0)
    assert around.due((OTHER, ONE), 181.0)
    around.forget()
    assert around.due(tables, 181.0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[TableName]:
    """Which tables the server was asked for, in turn."""
    found: list[TableName] = []
    levels = ServerGateway.levels

    async def asking(self: ServerGateway, tables: tuple[TableName, ...]) -> Mapping[TableName, Level | str | None]:
        found.extend(tables)
        return await levels(self, tables)

    monkeypatch.setattr(ServerGateway, "levels", asking)
    return found


async def test_a_table_that_is_not_in_view_is_said_to_be_critical(database: str, asked: list[TableName]) -> None:
    """Without a configuration and a key; r asks anew, and the list has it first. The table in view is not asked for."""
    add_partitions(database, days=range(-3, 31))
    with connect(database) as connection:
        connection.execute(
            b"CREATE SCHEMA app; CREATE TABLE app.logs (at timestamptz NOT NULL) PARTITION BY RANGE (at)"
        )

    async with opened(database, size=(80, 24), requested=()) as (app, pilot):
        await until(pilot, lambda: "1 of 2 tables ✖ critical: o" in text_of(app, "#header"))
        assert [TableName(schema="app", name="logs")] == asked
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen.focused, Listing) and "CRITICAL" in shown(app))
        listing: Listing[TableRow] = app.screen.query_one("#tables", Listing)
        assert ["app.logs", "public.events"] == [row.key for row in listing.rows]
        await pilot.press("up", "enter")
        await until(pilot, lambda: app.model.name == TableName(schema="app", name="logs"))
        await until(pilot, lambda: "critical: o" not in text_of(app, "#header"))
        with connect(database) as connection:
            connection.execute(b"CREATE TABLE app.more (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
        await pilot.press("r")
        await until(pilot, lambda: "2 of 3 tables ✖ critical: o" in text_of(app, "#header"))


async def test_where_there_is_one_table_nobody_asks_for_others(database: str, asked: list[TableName]) -> None:
    """However long it is open, and however often it looks."""
    add_partitions(database, days=range(-3, 31))

    async with opened(database, requested=()) as (app, pilot):
        for _ in range(2):
            app.poll_now()
            seen = app.model.snapshot
            await until(pilot, lambda seen=seen: app.model.snapshot is not seen)  # type: ignore[misc]  # mypy infers no type for it
            app._tick()
            await at_rest(pilot)

    assert [] == asked
