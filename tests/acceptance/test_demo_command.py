"""What `make demo` runs: the demo's neglected tables, maintained by the installed command."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from acceptance.running import Run
from pgalmanac.demo_data import DAYS_BACK, GAP_DAYS_AGO, RUNWAY_DAYS
from support import today


def name(offset: int) -> str:
    """The partition of a day counted from today."""
    return f"public.events_{today() + timedelta(days=offset):%Y_%m_%d}"


def test_the_demo_is_put_in_order_and_nothing_is_lost(run: Run, demo_home: Path, pg_binaries: Path) -> None:
    """Created to today + 30 and into the gap, dropped past 90 days, stray rows moved, every other row where it was."""
    environ = {"PGALMANAC_DEMO_DIR": str(demo_home), "PGBIN": str(pg_binaries)}
    before = run("--demo", "status", "--exact", "--json", "--table", "events", **environ)
    done = run("--demo", "--headless", "maintain", "--json", **environ)
    after = run("--demo", "status", "--exact", "--json", "--table", "events", **environ)
    again = run("--demo", "--headless", "maintain", **environ)
    check = run("check", "--demo", **environ)
    events, logs = done.document["tables"]
    actions = events["actions"]

    assert [0, 0, 0, 0, 0] == [r.code for r in (before, done, after, again, check)]
    assert ("public.events", "public.device_logs") == (events["table"], logs["table"])
    assert [name(-GAP_DAYS_AGO), *(name(d) for d in range(RUNWAY_DAYS + 1, 31))] == [
        a["partition"] for a in actions if a["action"] in {"create", "move_rows"}
    ]
    assert [name(d) for d in range(-DAYS_BACK, -90)] == [a["partition"] for a in actions if a["action"] == "drop"]
    assert events["moved_rows"] > 0
    assert events["failed"] == events["refused"] == events["skipped"] == 0
    dropped = {a["partition"] for a in actions if a["action"] == "drop"}
    rows_before = {p["name"]: p["rows"] for p in before.document["tables"][0]["partitions"]}
    rows_after = {p["name"]: p["rows"] for p in after.document["tables"][0]["partitions"]}
    assert sum(n for p, n in rows_before.items() if p not in dropped) == sum(rows_after.values())
    assert rows_after["public.events_default"] == 0
    assert again.out.count("  nothing to do\n") == 2
    assert check.out.startswith("PGALMANAC OK - ")


@pytest.mark.parametrize("command", ["create 2031-01-01", "drop 2031-01-01 --yes"])
def test_a_period_needs_one_of_the_demos_tables(run: Run, demo_home: Path, pg_binaries: Path, command: str) -> None:
    """The demo has two tables, so a period alone means neither."""
    actual = run("--demo", *command.split(), PGALMANAC_DEMO_DIR=str(demo_home), PGBIN=str(pg_binaries))

    assert actual.code == 64
    assert "--table" in actual.err
