"""Grace, undo and pins as an operator types them: what is printed, what the documents say, and what was done."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from acceptance.running import On
from support import add_partitions, partition_names, rows, today

GRACE = {"PGALMANAC_GRACE_DAYS": "7"}


def named(offset: int) -> str:
    """The name of the partition of a day counted from today."""
    return f"events_{today() + timedelta(days=offset):%Y_%m_%d}"


def period(offset: int) -> str:
    """That day as the command line writes it."""
    return str(today() + timedelta(days=offset))


def flat(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


def test_the_plan_says_what_can_be_had_back_and_until_when(database: str, on: On) -> None:
    """One line for what goes, with bytes, and the same in the document, with every statement."""
    add_partitions(database, days=[-95, *range(31)], rows_a_day=3)
    text = on(database, "maintain", "--dry-run", "--grace-days", "7")
    document = on(database, "maintain", "--dry-run", "--json", **GRACE).document
    (action,) = [a for a in document["tables"][0]["actions"] if a["action"] == "trash"]

    assert text.code == 0
    assert f"planned trash retention {named(-95)}," in flat(text.out)
    assert f"can be had back from pgalmanac_trash until {period(8)} 00:00" in flat(text.out)
    assert action["keep_until"] == f"{period(8)}T00:00:00+00:00"
    assert action["target"] == f"pgalmanac_trash.{named(-95)}"
    assert action["sql"][0] == 'CREATE SCHEMA IF NOT EXISTS "pgalmanac_trash"'
    assert any("DETACH PARTITION" in s for s in action["sql"])
    assert any("SET SCHEMA" in s for s in action["sql"])
    assert not any("DROP TABLE" in s for s in action["sql"])
    assert rows(database, "SELECT to_regnamespace('pgalmanac_trash')") == [(None,)]


def test_dropped_listed_and_undropped(database: str, on: On) -> None:
    """A day dropped by mistake is back with one command, and the list says what there is."""
    add_partitions(database, days=range(-3, 31), rows_a_day=5)
    dropped = on(database, "drop", period(-2), "--yes", **GRACE)
    listed = on(database, "trash")
    document = on(database, "trash", "--json").document
    undone = on(database, "undrop", period(-2))
    empty = on(database, "trash")
    (kept,) = document["tables"][0]["trash"]

    assert (dropped.code, undone.code, listed.code) == (0, 0, 0)
    assert f"done trash manual {named(-2)}," in flat(dropped.out)
    assert f"pgalmanac_trash.{named(-2)} ≈5 rows" in flat(listed.out)
    assert f"bring one back with pgalmanac undrop {named(-2)}" in listed.out
    assert (kept["name"], kept["partition"]) == (f"pgalmanac_trash.{named(-2)}", f"public.{named(-2)}")
    assert (kept["manual"], kept["rows"], kept["keep_until"]) == (True, 5, f"{period(8)}T00:00:00+00:00")
    assert f"done attach manual pgalmanac_trash.{named(-2)}" in flat(undone.out)
    assert "the trash is empty" in empty.out
    assert named(-2) in partition_names(database)
    assert rows(database, "SELECT count(*) FROM events") == [(34 * 5,)]


def test_undrop_past_retention_says_that_it_is_pinned(database: str, on: On) -> None:
    """So that the next night does not take it again; check shows it and stays ok."""
    add_partitions(database, days=[-95, *range(31)], rows_a_day=5)
    on(database, "maintain", **GRACE)
    undone = on(database, "undrop", named(-95), "--json").document
    night = on(database, "maintain", **GRACE)
    checked = on(database, "check")
    (action,) = undone["tables"][0]["actions"]

    assert action["pin"]["reason"] == f"undropped {today()}"
    assert undone["tables"][0]["attached"] == 1
    assert f"pinned: undropped {today()}" in flat(night.out)
    assert (night.code, checked.code) == (0, 0)
    assert "pinned" in checked.out
    assert named(-95) in partition_names(database)


def test_pin_pins_and_unpin(database: str, on: On) -> None:
    """With reason, end and role in the list; nothing drops it; the history has both."""
    add_partitions(database, days=[-95, *range(31)])
    pinned = on(database, "pin", named(-95), "--reason", "case 4711", "--until", period(30))
    listed = on(database, "pins")
    document = on(database, "pins", "--json").document
    refused = on(database, "drop", named(-95), "--yes", "--now")
    night = on(database, "maintain")
    unpinned = on(database, "unpin", named(-95))
    none = on(database, "pins")
    (pin,) = document["tables"][0]["pins"]

    assert [r.code for r in (pinned, listed, refused, night, unpinned)] == [0, 0, 1, 0, 0]
    assert f"public.{named(-95)} pinned: case 4711 (until {period(30)}), by postgres on {today()}" in flat(listed.out)
    assert (pin["reason"], pin["until"], pin["by"], pin["in_force"]) == ("case 4711", period(30), "postgres", True)
    assert f"skipped drop retention {named(-95)} pinned: case 4711 (until {period(30)})" in flat(night.out)
    assert "no partition is pinned" in none.out
    assert rows(
        database,
        "SELECT details ->> 'command', output FROM housekeeper_runs"
        " WHERE details ->> 'command' IN ('pin', 'unpin') ORDER BY id",
    ) == [
        ("pin", "public.events: 0 created, 0 dropped, 1 pinned"),
        ("unpin", "public.events: 0 created, 0 dropped, 1 unpinned"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("pin", "2025-01-01"), 64, "pin wants a reason"),
        (("pin", "2025-01-01", "--reason", " "), 64, "--reason is"),
        (("pin", "2025-01-01", "--reason", "x", "--until", "soon"), 64, 'until is "soon": write a day, such as'),
        (("pin", "2025-01-01", "--reason", "x", "--until", "2020-01-01"), 64, "would hold on no day"),
        (("undrop", "2025-01-01"), 64, "nothing that was dropped for 2025-01-01"),
        (("unpin", "nonsense"), 64, "neither a period nor a partition"),
        (("--read-only", "undrop", "2025-01-01"), 64, "undrop writes, and --read-only forbids it"),
        (("maintain", "--grace-days", "-1"), 64, "write a whole number of days from 0 to 3660"),
        (("maintain", "--trash-schema", "pg_trash"), 64, "write the name of a schema, of at most 63 bytes"),
        (("trash", "--table", "nothing"), 78, "there is no table nothing"),
    ],
)
def test_bad_input_is_one_sentence(database: str, on: On, arguments: tuple[str, ...], code: int, says: str) -> None:
    """Each with its exit code, and nothing done."""
    actual = on(database, *arguments)

    assert actual.code == code, actual.err
    assert says in actual.err
    assert "Traceback" not in actual.err
    assert rows(database, "SELECT to_regclass('housekeeper_run_actions')") == [(None,)] or not rows(
        database, "SELECT FROM housekeeper_run_actions"
    )


def test_a_variable_and_a_table_of_the_file_set_the_grace(database: str, on: On, tmp_path: Path) -> None:
    """As any other setting: the specific beats the general."""
    add_partitions(database, days=[-95, *range(31)])
    file = tmp_path / "config.toml"
    file.write_text('[defaults]\ngrace_days = 3\n[[tables]]\nname = "events"\ntrash_schema = "bin"\n')
    plan = on(database, "--config", str(file), "maintain", "--dry-run", "--json", EVENTS_GRACE_DAYS="5").document
    (action,) = plan["tables"][0]["actions"]

    assert action["keep_until"] == f"{period(6)}T00:00:00+00:00"
    assert action["target"] == f"bin.{named(-95)}"
