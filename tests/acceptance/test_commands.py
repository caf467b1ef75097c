"""Every command on a real server: what it prints, what its document says, and what it did."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from acceptance.running import On, Run
from support import add_default, add_partitions, add_rows, connect, create_events, partition_names, rows, today


def named(offset: int, base: str = "events") -> str:
    """The name of the partition of a day counted from today."""
    return f"{base}_{today() + timedelta(days=offset):%Y_%m_%d}"


def period(offset: int) -> str:
    """That day as the command line writes it."""
    return str(today() + timedelta(days=offset))


@contextmanager
def locked(conninfo: str, table: str = "events") -> Iterator[None]:
    """Hold the advisory lock under which a run of pgalmanac works on *table*."""
    with connect(conninfo) as connection:
        connection.execute("SELECT pg_advisory_lock((x'7067616c'::bigint << 32) | %s::regclass::oid::bigint)", (table,))
        yield


def test_maintain_creates_drops_moves_and_records(database: str, on: On) -> None:
    """A neglected table: gap and future filled, stray rows moved, the expired dropped, and the run in the history."""
    add_partitions(database, days=[-95, -93, *range(-3, -1), *range(3)], rows_a_day=10)
    add_default(database)
    add_rows(database, day=-1, count=7)
    actual = on(database, "--headless", "maintain")
    history = rows(database, "SELECT task_name, status, triggered_by, output FROM housekeeper_runs")

    assert (actual.code, actual.err) == (0, "")
    assert f"  done     move_rows  gap        {named(-1)}, 7 rows\n" in actual.out
    assert f"  done     create     premake    {named(3)} .. {named(30)} (28)\n" in actual.out
    assert f"  done     drop       retention  {named(-95)} .. {named(-93)} (2)" in actual.out
    assert "  29 created, 2 dropped, 7 rows moved, 0 skipped, 0 refused, 0 failed\n" in actual.out
    assert ", recorded as run 1\n" in actual.out
    assert [named(d) for d in range(-3, 31)] == [n for n in partition_names(database) if n != "events_default"]
    assert [(57,)] == rows(database, "SELECT count(*) FROM events")
    assert [("events-partition-maintenance", "success", "manual")] == [run[:3] for run in history]


def test_maintain_again_changes_nothing_and_is_recorded(database: str, on: On) -> None:
    """The second run finds nothing to do, says so, and still leaves its row."""
    on(database, "maintain")
    before = partition_names(database)
    actual = on(database, "maintain", "--triggered-by", "scheduler")

    assert actual.code == 0
    assert "  nothing to do\n" in actual.out
    assert partition_names(database) == before
    assert [("manual",), ("scheduler",)] == rows(database, "SELECT triggered_by FROM housekeeper_runs ORDER BY id")


def test_maintain_document(database: str, on: On) -> None:
    """With --json one document, whose numbers are those of its actions."""
    add_partitions(database, days=[-95, 0], rows_a_day=3)
    actual = on(database, "maintain", "--json")
    document = actual.document
    table = document["tables"][0]

    assert (actual.code, actual.err) == (0, "")
    assert (1, "maintain", False, 0) == tuple(document[k] for k in ("schema", "command", "dry_run", "exit_code"))
    assert str(today()) == document["today"] == table["today"]
    assert document["server"]["standby"] is False
    assert ("public.events", 1, 30, 1, 0) == tuple(
        table[k] for k in ("table", "run_id", "created", "dropped", "failed")
    )
    created = [a for a in table["actions"] if a["action"] == "create" and a["status"] == "done"]
    assert len(created) == 30
    assert f"{period(1)}T00:00:00+00:00" == created[0]["lower"]
    assert all(a["sql"] and a["attempts"] >= 1 and a["error"] is None for a in table["actions"])


def test_dry_run_shows_the_same_plan_and_leaves_no_trace(database: str, on: On) -> None:
    """A dry run's actions are those that the run then does; nothing is made, not even the history."""
    add_partitions(database, days=[-95, 0], rows_a_day=3)
    before = partition_names(database)
    planned = on(database, "maintain", "--dry-run", "--json").document
    untouched = partition_names(database)
    relations = rows(database, "SELECT count(*) FROM pg_class WHERE relname LIKE 'housekeeper%'")
    done = on(database, "maintain", "--json").document

    assert before == untouched
    assert relations == [(0,)]
    assert planned["dry_run"] is True
    assert {"planned"} == {a["status"] for a in planned["tables"][0]["actions"]}
    assert [(a["action"], a["partition"], a["lower"]) for a in planned["tables"][0]["actions"]] == [
        (a["action"], a["partition"], a["lower"]) for a in done["tables"][0]["actions"]
    ]


def test_flags_of_maintain(database: str, on: On) -> None:
    """Retention, premake and the fuse of the command line count."""
    add_partitions(database, days=range(-9, 1))
    refused = on(database, "maintain", "--retention-days", "5", "--premake-days", "2", "--max-drops", "3")
    kept = partition_names(database)
    allowed = on(database, "maintain", "--retention-days", "5", "--premake-days", "2", "--max-drops", "4")

    assert refused.code == 1
    assert "4 are due and the fuse is 3" in " ".join(refused.out.split())
    assert [named(d) for d in range(-9, 3)] == kept
    assert allowed.code == 0
    assert [named(d) for d in range(-5, 3)] == partition_names(database)


def test_the_way_past_the_fuse_is_copied_and_works(database: str, run: Run, tmp_path: Path) -> None:
    """It reaches the same database with the same settings, and goes into the history without a password."""
    add_partitions(database, days=range(-9, 1))
    file = tmp_path / "a config.toml"
    file.write_text("[defaults]\nmax_drops = 3\n")
    where = ("--dsn", database, "--config", str(file))
    refused = run(*where, "maintain", "--retention-days", "5", "--grace-days", "2", "--json")
    (told, *_) = [a["error"] for a in refused.document["tables"][0]["actions"] if a["error"]]
    words = shlex.split(told.partition("allow it with: ")[2])
    allowed = run(*words[1:])
    hidden = run("--dsn", f"{database} password='let me in'", "maintain", "--retention-days", "4", "--max-drops", "0")

    assert (words[0], allowed.code, allowed.err) == ("pgalmanac", 0, "")
    assert "4 trashed" in allowed.out
    assert hidden.code == 1
    assert "pgalmanac --dsn … maintain --table public.events" in " ".join(hidden.out.split())
    assert "let me in" not in hidden.out
    assert [(1,)] == rows(
        database, "SELECT count(*) FROM housekeeper_run_actions WHERE error LIKE '%pgalmanac --dsn …%'"
    )
    assert [(0,)] == rows(database, "SELECT count(*) FROM housekeeper_run_actions WHERE error LIKE '%let me in%'")


def test_forever_keeps_everything(database: str, on: On) -> None:
    """Retention "forever" drops nothing, on purpose."""
    add_partitions(database, days=range(-400, -398))
    actual = on(database, "maintain", "--retention-days", "forever", "--json")

    assert actual.code == 0
    assert actual.document["tables"][0]["dropped"] == 0
    assert "retention_unset" not in actual.out


def test_check_of_a_healthy_table(database: str, on: On) -> None:
    """After maintain all is well: 0, one Nagios line, and a document that says so."""
    on(database, "maintain")
    text = on(database, "check")
    document = on(database, "check", "--json").document

    assert (text.code, text.err) == (0, "")
    assert text.out.startswith("PGALMANAC OK - public.events has partitions for 30 days after today | ")
    assert "'public.events_runway'=30;7:;0:;0 'public.events_today'=1;;1:;0;1" in text.out
    assert (document["level"], document["exit_code"]) == ("ok", 0)
    table = document["tables"][0]
    assert (True, 30, 31, f"public.{named(0)}", f"public.{named(30)}") == tuple(
        table[k] for k in ("today_exists", "runway_days", "partitions", "oldest", "newest")
    )


def test_check_levels(database: str, on: On) -> None:
    """A short runway is a warning and exits 1, a missing today is critical and exits 2; check writes nothing."""
    add_partitions(database, days=range(4))
    warning = on(database, "check", "--json")
    with connect(database) as connection:
        connection.execute(f"DROP TABLE {named(0)}".encode())
    critical = on(database, "check", "--json")
    text = on(database, "check")

    assert (1, "warning") == (warning.code, warning.document["level"])
    assert "runway_short" in {f["code"] for f in warning.document["tables"][0]["findings"]}
    assert (2, "critical") == (critical.code, critical.document["level"])
    assert critical.document["tables"][0]["today_exists"] is False
    assert text.out.startswith("PGALMANAC CRITICAL - public.events has no partition for now")
    assert rows(database, "SELECT count(*) FROM pg_class WHERE relname LIKE 'housekeeper%'") == [(0,)]


def test_fix_makes_now_work_and_proves_it(database: str, on: On) -> None:
    """The page at 02:10: nothing for today; after fix an insert works, and the report names where it went."""
    add_partitions(database, days=[-5, -3])
    actual = on(database, "fix", "--back", "10", "--ahead", "2")
    add_rows(database, day=0, count=1)

    assert (actual.code, actual.err) == (0, "")
    assert f"  proved: an insert for now finds public.{named(0)}\n" in actual.out
    assert {named(d) for d in range(-10, 3)} <= set(partition_names(database))
    assert [(1,)] == rows(database, "SELECT count(*) FROM events")


def test_status_estimates_and_counts(database: str, on: On) -> None:
    """Newest first, the number asked for; exact counts with oldest and newest on demand."""
    add_partitions(database, days=range(-3, 2), rows_a_day=24)
    limited = on(database, "status", "--limit", "2", "--json").document["tables"][0]["partitions"]
    exact = on(database, "status", "--exact", "--json").document["tables"][0]["partitions"]
    text = on(database, "status", "--exact")

    assert [f"public.{named(1)}", f"public.{named(0)}"] == [p["name"] for p in limited]
    assert {False} == {p["rows_exact"] for p in limited}
    assert [(24, True)] * 5 == [(p["rows"], p["rows_exact"]) for p in exact]
    assert (f"{period(-3)}T00:00:00+00:00", f"{period(-3)}T23:00:00+00:00") == (exact[-1]["min"], exact[-1]["max"])
    assert (text.code, text.err) == (0, "")
    assert "  120 rows, " in text.out
    assert "  most frequent event_type, over the last 7 days:\n" in text.out


def test_history_lists_runs_and_one_with_its_actions(database: str, on: On) -> None:
    """The runs, newest first; one by its id with what it did; and a database without any says so."""
    nothing = on(database, "history")
    on(database, "maintain", "--premake-days", "1")
    on(database, "maintain", "--premake-days", "2")
    runs = on(database, "history", "--json").document["runs"]
    one = on(database, "history", "--run", "1", "--json").document["runs"]
    text = on(database, "history", "--run", "1")
    unknown = on(database, "history", "--run", "99")

    assert (nothing.code, nothing.out) == (0, "no run is recorded\n")
    assert [2, 1] == [r["id"] for r in runs]
    assert len(on(database, "history", "--limit", "1", "--json").document["runs"]) == 1
    assert [f"public.{named(0)}", f"public.{named(1)}"] == [a["partition"] for a in one[0]["actions"]]
    assert f"done     create     public.{named(1)}" in text.out
    assert unknown.code == 64
    assert unknown.err == "pgalmanac: the history has no run 99: pgalmanac history lists the last ones\n"


def test_create_a_period_and_a_range(database: str, on: On) -> None:
    """Named periods are created, both ends included; what exists needs no action."""
    one = on(database, "create", period(40))
    several = on(database, "create", f"{period(39)}..{period(42)}", "--json")

    assert (one.code, f"manual     {named(40)}\n" in one.out) == (0, True)
    assert (several.code, several.document["tables"][0]["created"]) == (0, 3)
    assert [named(d) for d in range(39, 43)] == partition_names(database)


def test_drop_by_period_range_and_name(database: str, on: On) -> None:
    """With --yes nobody is asked; --dry-run drops nothing."""
    add_partitions(database, days=range(-9, 2), rows_a_day=2)
    plan = on(database, "drop", period(-9), "--dry-run")
    still = partition_names(database)
    results = [
        on(database, "drop", target, "--yes")
        for target in (period(-9), f"{period(-8)}..{period(-7)}", named(-6), f"public.{named(-5)}")
    ]

    assert (plan.code, f"  planned  drop       manual     {named(-9)}" in plan.out) == (0, True)
    assert named(-9) in still
    assert [0, 0, 0, 0] == [r.code for r in results]
    assert [named(d) for d in range(-4, 2)] == partition_names(database)


def test_drop_keeps_to_the_fuse_and_to_today(database: str, on: On) -> None:
    """A manual drop obeys the fuse, and today's partition is refused."""
    add_partitions(database, days=range(-5, 2))
    fused = on(database, "drop", f"{period(-5)}..{period(-1)}", "--yes", "--max-drops", "4")
    today_refused = on(database, "drop", period(0), "--yes")

    assert (1, 1) == (fused.code, today_refused.code)
    assert "5 are due and the fuse is 4" in " ".join(fused.out.split())
    assert "it holds today" in today_refused.out
    assert [named(d) for d in range(-5, 2)] == partition_names(database)


def test_drop_without_a_terminal_wants_yes(database: str, on: On) -> None:
    """A script that forgot --yes drops nothing."""
    add_partitions(database, days=range(-2, 2))
    actual = on(database, "drop", period(-2))

    assert actual.code == 64
    assert actual.err.startswith("pgalmanac: drop asks for a name and there is no terminal: add --yes; ")
    assert named(-2) in partition_names(database)


def test_init_makes_the_history_and_prints_a_configuration(database: str, on: On, run: Run, tmp_path: Path) -> None:
    """The tables are there afterwards, and the output is a configuration that works as it is."""
    actual = on(database, "init", "--table", "events")
    file = tmp_path / "config.toml"
    file.write_text(actual.out)
    again = run("--config", str(file), "check", PGALMANAC_DSN=database)
    document = on(database, "init", "--json").document

    assert (actual.code, actual.err) == (0, "")
    tables = [f"public.housekeeper_{name}" for name in ("runs", "run_actions", "partition_stats")]
    assert [[(0,)]] * 3 == [rows(database, f"SELECT count(*) FROM {table}") for table in tables]
    assert actual.out.startswith(f"# the run history is in {', '.join(tables)}\n")
    assert again.code in {1, 2}
    assert tables == document["history"]


def test_init_prints_the_other_tables_too(database: str, on: On) -> None:
    """Commented out, until somebody wants them maintained; without one that is meant, all of them."""
    with connect(database) as connection:
        connection.execute("CREATE TABLE orders (ts timestamptz) PARTITION BY RANGE (ts)")
        one = on(database, "init").out
        connection.execute("ALTER TABLE events RENAME TO visits")
        none = on(database, "init").out

    assert '\n[[tables]]\nname = "public.events"\n' in one
    assert '\n# [[tables]]\n# name = "public.orders"\n# retention_days = 90' in one
    assert "\n[[tables]]" not in none
    assert [none.count(f'\n# name = "public.{name}"\n') for name in ("orders", "visits", "events")] == [1, 1, 0]


def test_global_options_on_both_sides(database: str, run: Run) -> None:
    """The same command, with its globals before and after it."""
    before = run("--dsn", database, "--json", "--headless", "check")
    after = run("check", "--headless", "--json", "--dsn", database)

    assert before.code == after.code == 2
    assert before.document["tables"] == after.document["tables"]


def test_several_tables_and_one_of_them_broken(database: str, on: On) -> None:
    """A table that is not there keeps no other from being maintained, and shows in the exit code."""
    with connect(database) as connection:
        connection.execute("CREATE TABLE logs (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    actual = on(database, "maintain", "--table", "nowhere", "--table", "logs", "--table", "events", "--json")
    tables = actual.document["tables"]

    assert (1, 1) == (actual.code, actual.document["exit_code"])
    assert "there is no table nowhere" in tables[0]["error"]["message"]
    assert [31, 31] == [t["created"] for t in tables[1:]]


@pytest.mark.parametrize("command", [["maintain"], ["fix"], ["create", "2031-01-01"]])
def test_a_locked_table_is_left_alone(database: str, on: On, command: list[str]) -> None:
    """While another run holds the table, this one does nothing and exits 75; a second table is still done."""
    with locked(database):
        actual = on(database, *command, "--json")

    assert (75, True) == (actual.code, actual.document["tables"][0]["locked"])
    assert partition_names(database) == []


def test_check_and_dry_run_do_not_wait_for_a_run(database: str, on: On) -> None:
    """Looking takes no lock: in the middle of somebody's run both answer."""
    with locked(database):
        assert on(database, "check").code == 2
        assert on(database, "maintain", "--dry-run").code == 0


def test_a_table_that_nobody_named_is_not_dropped_from(empty_database: str, on: On) -> None:
    """Retention is never guessed: the only table there is gets its partitions and loses none until it is named."""
    with connect(empty_database) as connection:
        connection.execute("CREATE TABLE orders (at date NOT NULL) PARTITION BY RANGE (at)")
    add_partitions(empty_database, days=[-200, -1], parent="orders")
    unnamed = on(empty_database, "maintain")
    kept = partition_names(empty_database, "orders")
    named_now = on(empty_database, "maintain", "--table", "orders", "--json")

    assert unnamed.code == 0
    assert "retention_unset: nothing is dropped from public.orders" in " ".join(unnamed.out.split())
    assert named(-200, "orders") in kept
    assert named_now.document["tables"][0]["dropped"] == 1


def test_configuration_file_environment_and_flag(database: str, on: On, tmp_path: Path) -> None:
    """A table's own setting beats a flag, which is said on stderr; its variable beats both."""
    add_partitions(database, days=range(-9, 1))
    file = tmp_path / "config.toml"
    file.write_text('[[tables]]\nname = "events"\nretention_days = 8\npremake_days = 1\n')
    flagged = on(database, "--config", str(file), "maintain", "--retention-days", "2")
    kept = partition_names(database)
    on(database, "--config", str(file), "maintain", EVENTS_RETENTION_DAYS="6")

    assert flagged.code == 0
    assert flagged.err == (
        "pgalmanac: warning: --retention-days does not count for public.events: "
        f"{file}: tables[events].retention_days is 8\n"
    )
    assert [named(d) for d in range(-8, 2)] == kept
    assert [named(d) for d in range(-6, 2)] == partition_names(database)


def test_a_breakdown_by_a_column_that_is_not_there_is_said_and_fails_nothing(
    database: str, on: On, tmp_path: Path
) -> None:
    """Maintain, check and status tell it to whoever named the column, and exit as if nothing was."""
    file = tmp_path / "config.toml"
    file.write_text('[[tables]]\nname = "events"\nbreakdown = "event_typ"\n')
    told = [on(database, "--config", str(file), command) for command in ("maintain", "check", "status")]
    document = on(database, "--config", str(file), "status", "--json").document
    right = [on(database, "--config", str(file), c, EVENTS_BREAKDOWN="event_type") for c in ("check", "status")]

    assert [0, 0, 0, 0, 0] == [run.code for run in (*told, *right)]
    for run in told:
        assert "breakdown_unknown: public.events has no column event_typ" in " ".join(run.out.split())
    assert [("info", "breakdown_unknown")] == [(f["level"], f["code"]) for f in document["tables"][0]["findings"]]
    assert not any("breakdown" in run.out for run in right)


def test_an_existing_history_is_used_as_it_is(database: str, on: On) -> None:
    """A housekeeper_runs of another program, with ids of its own type, takes our rows and keeps theirs."""
    with connect(database) as connection:
        connection.execute(
            "CREATE TABLE housekeeper_runs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), task_name text, started_at"
            " timestamptz, completed_at timestamptz, status text, duration_ms int, output jsonb, error text,"
            " triggered_by text, created_at timestamptz DEFAULT now());"
            " INSERT INTO housekeeper_runs (task_name, started_at, status) VALUES ('theirs', now(), 'running')"
        )
    actual = on(database, "maintain", "--json")

    assert actual.code == 0
    assert len(actual.document["tables"][0]["run_id"]) == 36
    assert rows(database, "SELECT task_name, status FROM housekeeper_runs ORDER BY 1") == [
        ("events-partition-maintenance", "success"),
        ("theirs", "running"),
    ]


@pytest.mark.parametrize(
    ("interval", "target"),
    [
        ("hourly", "2031-05-04T05"),
        ("daily", "2031-05-04"),
        ("weekly", "2031-W05"),
        ("monthly", "2031-05"),
        ("quarterly", "2031-Q2"),
        ("yearly", "2031"),
    ],
)
def test_each_interval_is_written_in_its_way(database: str, on: On, interval: str, target: str) -> None:
    """Create and drop take a period as the table's interval writes it."""
    made = on(database, "create", target, EVENTS_INTERVAL=interval)
    names = partition_names(database)
    dropped = on(database, "drop", target, "--yes", EVENTS_INTERVAL=interval)

    assert (0, 1) == (made.code, len(names))
    assert (0, []) == (dropped.code, partition_names(database))


def test_create_events_helper_matches_the_command(empty_database: str, on: On) -> None:
    """A database whose events table has rows for today only is complete after one maintain."""
    create_events(empty_database, days=[0], rows_a_day=5, default=True)

    assert on(empty_database, "maintain").code == 0
    assert on(empty_database, "check").code == 0
