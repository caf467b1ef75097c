"""Rows of which the server knows nothing: unknown is said, not none."""

from __future__ import annotations

import pytest

import support
from pgalmanac.actions import ActionKind
from pgalmanac.catalog import inspect
from pgalmanac.db import connect
from pgalmanac.estimates import estimates
from pgalmanac.inspection import Request
from pgalmanac.maintain import perform, preview
from pgalmanac.overview import status
from pgalmanac.policy import Policy
from pgalmanac.report import render
from pgalmanac.table_names import TableRef
from pgalmanac.view import view
from under_fire import settings


@pytest.mark.pg(">= 15")
async def test_what_nobody_counted_is_not_said_to_be_empty(database: str) -> None:
    """As after pg_upgrade: no ANALYZE, no counters, and yet there are rows; what has no page has none."""
    support.add_partitions(database, days=[-100, 0], rows_a_day=10)
    support.add_partitions(database, days=[1])
    with support.connect(database) as connection:
        connection.execute("SELECT pg_stat_reset()")
    asked = settings(database, "events", retention_days=30)
    shown = (await preview(asked, Request(command="maintain"))).tables[0].outcomes
    report = (await perform(asked, Request(command="maintain"))).tables[0]
    async with connect(database, read_only=True) as session:
        found = await estimates(session, view(await inspect(session, TableRef(name="events")), Policy()))
    text = render(await status(asked), as_json=False)

    assert [0, None] == [c.rows for c in found][-2:]
    (gone,) = (o for o in report.outcomes if o.action.kind is ActionKind.DROP)
    (planned,) = (o for o in shown if o.action.kind is ActionKind.DROP)
    assert None is gone.rows is planned.rows
    assert planned.bytes is not None
    assert report.statistics is not None
    assert report.statistics.rows is None
    assert report.statistics.newest_event is not None
    assert "rows unknown until ANALYZE public.events, " in text
