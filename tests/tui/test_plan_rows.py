"""What a key does on the rows of the plan that no day of the calendar stands for alone."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from dashboards import at_rest, opened, text_of, until
from pgalmanac import maintain
from pgalmanac.config import Layer, Settings
from pgalmanac.inspection import Request
from pgalmanac_tui.glyphs import Mark
from support import add_partitions, connect, rows, today

if TYPE_CHECKING:
    from pathlib import Path


def name(days: int) -> str:
    """The partition of the day that is so many days from today."""
    return f"events_{today() + timedelta(days=days):%Y_%m_%d}"


async def test_an_archives_row_is_about_its_partition(database: str, tmp_path: Path) -> None:
    """Counting on it counts what is to be archived, and not the day on which the calendar stands."""
    add_partitions(database, days=[-91, *range(-3, 31)], rows_a_day=2)
    archive = Layer(values={"archive_url": tmp_path.as_uri(), "retention_days": 90})

    async with opened(database, size=(120, 40), flags=archive) as (app, pilot):
        await pilot.press("4")
        await until(pilot, lambda: name(-91) in text_of(app, "#details"))
        await pilot.press("e")
        await until(pilot, lambda: bool(app.model.counted))

    assert [name(-91)] == [count.name.name for count in app.model.counted.values()]


async def test_a_row_of_what_was_left_detached_is_about_that(database: str) -> None:
    """It lies in no day any more: what belongs to a day is off."""
    add_partitions(database, days=range(-3, 31), rows_a_day=2)
    grace = Layer(values={"grace_days": 8})
    await maintain.perform(Settings(dsn=database, flags=grace), Request(command="drop", target=name(-2)))
    ((oid, comment),) = rows(
        database, "SELECT oid, obj_description(oid) FROM pg_class WHERE relname = %s AND relkind = 'r'", name(-2)
    )
    ended = re.sub(r'("keep_until": ")[0-9]{4}', r"\g<1>2020", comment)
    with connect(database) as connection:
        connection.execute(f"COMMENT ON TABLE pgalmanac_trash.{name(-2)} IS '{ended}'".encode())

    async with opened(database, size=(120, 40), flags=grace) as (app, pilot):
        await pilot.press("4")
        await until(pilot, lambda: str(Mark.GAP) in text_of(app, "#details"))
        await pilot.press("down")
        await at_rest(pilot)
        await pilot.press("c")
        await until(pilot, lambda: any("u brings it back" in n.message for n in app._notifications))

    assert [(oid,)] == rows(database, "SELECT oid FROM pg_class WHERE relname = %s AND relkind = 'r'", name(-2))
