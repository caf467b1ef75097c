"""The command line that the dashboard shows beside a plan: what a shell makes of it means the same to pgalmanac."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import date, timedelta

import pytest

from pgalmanac.arguments import Arguments, parse
from pgalmanac.plan import plan_drop, plan_maintain
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableName, TableRef
from pgalmanac_tui.almanac import Almanac
from pgalmanac_tui.format import command_line, command_lines, width
from pgalmanac_tui.snapshot import TableState, Wish
from pgalmanac_tui.wishes import Choice, copies, to_drop
from snapshots import TODAY, day, events, partition

BASH = shutil.which("bash") or ""

pytestmark = pytest.mark.skipif(not BASH, reason="bash is not installed; it is asked what it reads")

NAMES = [
    "events_2025_11_02",
    "Big Events",
    "two  spaces, and one at the end ",
    "it's",
    'say "it\'s" $HOME `id` \\ ! #1 *? {a,b} ~ ; rm -rf / & | > x < y (z)',
    "$(touch /tmp/never)",
    "-rf",
    "--table",
    "-h",
    "--",
    "…",
    "a..b",
    "x.y",
    "line\nbreak\ttab",
    "ev[red]il\x1b[31m'x\u202e\u200b\xa0",
    "schön_漢字_ß",
    "漢字" * 10,
    "x" * 63,
    "'" * 63,
    "\x07" * 63,
]


def read(text: str) -> Arguments:
    """What pgalmanac understands when *text* is pasted into a shell."""
    script = f'pgalmanac() {{ printf "%s\\0" "$@"; }}\n{text}\n'
    done = subprocess.run([BASH, "-c", script], capture_output=True, check=True)
    return parse(done.stdout.decode().split("\0")[:-1], {})


def written(wish: Wish, table: TableName) -> list[str]:
    """All the ways in which the command is shown: in one line, and in dialogs of several widths."""
    shown = [command_line(("--demo",), table, wish)]
    for cells in (24, 30, 68, 100):
        lines = command_lines(("--demo",), table, wish, cells)
        assert all(width(line) <= cells for line in lines)
        shown.append("\n".join(lines))
    assert all(line.isprintable() for text in shown for line in text.splitlines())
    return shown


@pytest.mark.parametrize("name", NAMES)
def test_any_name_survives_the_shell(name: str) -> None:
    """Of a partition, of a table and of its schema; nothing in it is obeyed, by the shell or by the terminal."""
    table = TableName(schema=name, name=name)

    for text in written(Wish(command="drop", target=name), table):
        found = read(text)
        assert ("drop", name, True) == (found.command, found.target, found.demo)
        assert [TableRef(schema=name, name=name)] == [TableRef.parse(t) for t in found.tables]


# The dashboard takes the blanks from around a reason as the command line does, and argparse knows no value "--".
@pytest.mark.parametrize("reason", ["case 4711", *(name.strip() for name in NAMES if name != "--")])
def test_any_reason_survives_it_too(reason: str) -> None:
    """With the day on which the pin ends."""
    table = TableName(schema="public", name="events")
    wish = Wish(command="pin", target="2025-11-02", reason=reason, until=date(2026, 3, 1))

    for text in written(wish, table):
        found = read(text)
        assert ("pin", "2025-11-02", reason) == (found.command, found.target, found.reason)
        assert date(2026, 3, 1) == found.until


def test_of_two_partitions_with_one_name_one_is_meant() -> None:
    """In two schemas: the command, the plan behind the key, and the question to copy name the schema."""
    names = [TableName(schema=schema, name="events_x") for schema in ("public", "Old Ones")]
    made = [replace(partition(day(-2 - i), oid=10 + i), name=name) for i, name in enumerate(names)]
    plan = plan_maintain(events([*made, day(0)]), Policy())
    almanac = Almanac.of(TableState(plan=plan), {})

    for offset, name in enumerate(names):
        wanted = TODAY - timedelta(days=2 + offset)
        choice = Choice(almanac=almanac, span=(wanted, wanted))
        wish = to_drop(choice)
        assert isinstance(wish, Wish)
        assert [name] == [a.partition for a in plan_drop(plan.table, Policy(), target=wish.target).todo]
        texts = copies(choice, plan.table.name, ())
        assert f"SELECT count(*) FROM {name};" == texts["s"][1]
        assert str(name) == read(texts["c"][1]).target
    untouched = to_drop(Choice(almanac=almanac, span=(TODAY, TODAY)))
    assert Wish(command="drop", target=f"events_{TODAY:%Y_%m_%d}") == untouched


def test_what_needs_no_quotes_has_none() -> None:
    """The usual command is as a person would type it."""
    table = TableName(schema="public", name="events")

    assert "pgalmanac --dsn service=events fix --table public.events" == command_line(
        ("--dsn", "service=events"), table, Wish(command="fix")
    )
    assert "pgalmanac drop events_2025_11_02 --table public.events" == command_line(
        (), table, Wish(command="drop", target="events_2025_11_02")
    )
