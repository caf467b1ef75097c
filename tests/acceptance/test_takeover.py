"""What docs/takeover.md shows is run as it stands there, on a table as pg_partman 4.7.2 leaves one, and on a plain one.

The table, its list and what pg-partsmith leaves are made with plain SQL: neither tool is where the tests run.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from support import connect, partition_names, rows, today

WHOLE: Final = (Path(__file__).parents[2] / "docs" / "takeover.md").read_text(encoding="utf-8")
PAGE, _, PLAIN = WHOLE.partition("\n## A plain table\n")
MADE: Final = """
CREATE TABLE events (id bigint NOT NULL, ts timestamptz NOT NULL) PARTITION BY RANGE (ts);
DO $$ DECLARE lower timestamptz; BEGIN FOR n IN -120..4 LOOP
    lower := date_trunc('day', now()) + n * interval '1 day';
    EXECUTE format('CREATE TABLE %I (LIKE events)', to_char(lower, '"events_p"YYYY_MM_DD'));
    IF n < -100 THEN CONTINUE; END IF;
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   to_char(lower, '"events_p"YYYY_MM_DD'), lower, lower + interval '1 day');
END LOOP; END $$;
CREATE TABLE events_default PARTITION OF events DEFAULT;
INSERT INTO events SELECT n, now() + interval '10 days' FROM generate_series(1, 7) n;
CREATE SCHEMA partman;
CREATE TABLE partman.part_config (
    parent_table text PRIMARY KEY, control text NOT NULL, partition_interval text NOT NULL, premake int NOT NULL,
    retention text, retention_schema text, retention_keep_table boolean NOT NULL DEFAULT true, template_table text
);
INSERT INTO partman.part_config VALUES ('public.events', 'ts', '1 day', 4, '100 days', NULL, true, NULL);
CREATE TABLE events_old ();
COMMENT ON TABLE events_old IS
    E'pg-partsmith:orphan-parent=public.events\npg-partsmith:detached-at=2026-01-01T00:00:00Z'
"""
# A plain table with all that the page speaks of. Numbers that were given out are not those that are there.
PLAINLY_MADE: Final = """
CREATE TABLE tenants (id int PRIMARY KEY);
INSERT INTO tenants VALUES (1);
CREATE TABLE events (id {kind} PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(),
                     tenant int NOT NULL REFERENCES tenants);
CREATE INDEX ON events (created_at);
INSERT INTO events (created_at, tenant) SELECT now() - n * interval '1 hour', 1 FROM generate_series(0, 299) n;
DELETE FROM events WHERE id > 290;
CREATE TABLE audit (id bigint);
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER seen AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION seen();
CREATE VIEW recent AS SELECT * FROM events;
GRANT SELECT, UPDATE ON events TO {reader};
GRANT INSERT ON events TO PUBLIC
"""
# What the page leaves to its reader, in the transaction and before ATTACH.
GIVEN: Final = """
DROP TRIGGER seen ON events_legacy;
CREATE TRIGGER seen AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION seen();
ALTER TABLE events ADD FOREIGN KEY (tenant) REFERENCES tenants;
CREATE OR REPLACE VIEW recent AS SELECT * FROM events;
"""
# How often a command is given, should a slow machine keep it from its locks or from the server.
TRIES: Final = 5
Shell = Callable[[str], list[subprocess.CompletedProcess[str]]]


def blocks(language: str, text: str = PAGE) -> list[str]:
    """The fenced blocks of this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def shell(conninfo: str, environment: Mapping[str, str], folder: Path) -> tuple[dict[str, str], Shell]:
    """The variables of a reader's shell on this database, and what runs each line of a block in it."""
    parts = conninfo_to_dict(conninfo)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    environ = {**environment, **{variable: str(parts[key]) for key, variable in names.items()}}

    def typed(block: str) -> list[subprocess.CompletedProcess[str]]:
        lines = [line.removeprefix("$ ") for line in block.splitlines()]
        return [
            subprocess.run(["sh", "-c", line], env=environ, cwd=folder, capture_output=True, text=True, check=False)
            for line in lines
        ]

    return environ, typed


def test_the_steps_of_the_page(empty_database: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    """Look, say how long to keep, stop pg_partman, run; in the end all is well and nothing is gone."""
    with connect(empty_database) as connection:
        connection.execute(MADE.encode())
    before = partition_names(empty_database)
    environ, typed = shell(empty_database, environment, tmp_path)
    look, work = blocks("console")
    (setting,) = blocks("toml")
    of_partman, of_partsmith = blocks("sql")
    checked, examined = typed(look)
    with connect(empty_database) as connection:
        found, kept, stopped = (connection.execute(text.encode()) for text in of_partman.split(";\n")[:3])
        assert [("1 day", 4, "100 days", True, None, None)] == found.fetchall()
        assert (1, 1) == (kept.rowcount, stopped.rowcount)
    environ["PGALMANAC_CONFIG"] = str(tmp_path / "config.toml")
    (tmp_path / "config.toml").write_text(setting)
    planned, ran, after = typed(work)

    assert (1, 1) == (checked.returncode, examined.returncode)
    assert "DELETE FROM partman.part_config WHERE parent_table = 'public.events'" in checked.stdout
    assert "(20); nothing drops them" in examined.stdout
    assert (0, 0, 0) == (planned.returncode, ran.returncode, after.returncode), (ran.stdout, after.stdout)
    assert "26 created, 0 dropped, 7 rows moved" in ran.stdout
    assert set(before) < set(partition_names(empty_database))
    assert [("events_old",)] == rows(empty_database, of_partsmith.replace("c.oid::regclass", "c.oid::regclass::text"))
    ((back,),) = [re.findall(r"`(INSERT INTO partman\.part_config [^`]*)`", PAGE)]
    with connect(empty_database) as connection:
        assert 1 == connection.execute(back.encode()).rowcount


@dataclass
class Writer:
    """Inserts an event at a time, of today and of days before, until it is stopped; keeps what the server confirmed."""

    conninfo: str
    days: int
    confirmed: list[tuple[int, datetime]] = field(default_factory=list[tuple[int, datetime]])
    error: BaseException | None = None
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """The work of a thread of its own."""
        try:
            with connect(self.conninfo) as connection:
                for number in count():
                    if self.stopped.wait(0.002):
                        return
                    ((row_id, created_at),) = connection.execute(
                        "INSERT INTO events (created_at, tenant) VALUES (now() - %s * interval '1 day', 1)"
                        " RETURNING id, created_at",
                        [number % self.days],
                    ).fetchall()
                    self.confirmed.append((row_id, created_at))
        except BaseException as exc:  # noqa: BLE001  # raised where the thread is waited for
            self.error = exc

    def goes_on(self) -> None:
        """Wait until it has written some more."""
        wanted = len(self.confirmed) + 5
        while len(self.confirmed) < wanted and self.error is None:
            self.stopped.wait(0.01)
        if self.error is not None:
            raise self.error


def execute(
    connection: psycopg.Connection[tuple[Any, ...]], block: str, after_each: Callable[[], None] = lambda: None
) -> None:
    """Run a block as psql does, and what a lock was not to be had for again, as the page says."""
    todo = [s.strip() for s in re.split(r";\n|(?<=\\gexec)\n", block) if s.strip()]
    begin = todo.index("BEGIN")
    at = 0
    while at < len(todo):
        try:
            done = connection.execute(todo[at].removesuffix("\\gexec").encode())
            if todo[at].endswith("\\gexec"):
                for (made,) in done.fetchall():
                    connection.execute(made.encode())
        except errors.LockNotAvailable:
            connection.execute("ROLLBACK")
            at = min(at, begin)
            continue
        if connection.info.transaction_status is TransactionStatus.IDLE:
            after_each()
        at += 1


def for_a_reader_with(kind: str) -> tuple[str, str, list[str]]:
    """The page's way for an `id` of this kind: what lists the views, what changes the table, and the commands."""
    views, change = blocks("sql", PLAIN)[0].split(";\n", 1)
    change, places = re.subn(r"(?=^ALTER TABLE events ATTACH)", GIVEN, change, flags=re.MULTILINE)
    assert places == 1
    if kind == "bigserial":
        (owned,) = re.findall(r"`(ALTER SEQUENCE [^`]*)`", PLAIN)
        change, places = re.subn(r"^SELECT setval.*\n.*DROP IDENTITY;$", f"{owned};", change, flags=re.MULTILINE)
        assert places == 1
    (commands,) = blocks("console", PLAIN)
    commands, places = re.subn(r"[\d-]+\.\.[\d-]+", f"{today() - timedelta(days=13)}..{today()}", commands)
    assert places == 1
    return views, change, commands.splitlines()


@pytest.mark.parametrize("kind", ["bigint GENERATED ALWAYS AS IDENTITY", "bigserial"], ids=["identity", "serial"])
def test_a_plain_table_becomes_partitioned(
    database: str, make_role: Callable[..., str], environment: Mapping[str, str], tmp_path: Path, kind: str
) -> None:
    """All of it, by the table's owner, while somebody inserts: nobody is turned away and every row is as it was."""
    owner, reader = make_role(), make_role()
    mine = make_conninfo(database, user=owner)
    with connect(database) as connection:
        connection.execute(f"DROP TABLE events; GRANT USAGE, CREATE ON SCHEMA public TO {owner}".encode())
    with connect(mine) as connection:
        connection.execute(PLAINLY_MADE.format(kind=kind, reader=reader).encode())
    before = rows(mine, "SELECT id, created_at FROM events")
    views, change, (moves, *others) = for_a_reader_with(kind)
    end = blocks("sql", PLAIN)[1]
    assert rows(mine, f"SELECT ev_class::text FROM ({views}) v") == [("recent",)]
    _, typed = shell(mine, environment, tmp_path)
    results: list[subprocess.CompletedProcess[str]] = []
    writer = Writer(mine, days=12)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        with connect(mine) as connection:
            execute(connection, change, writer.goes_on)
            for command in (moves, *others):
                for _ in range(TRIES):  # again, as the page says
                    results += typed(command)
                    writer.goes_on()
                    if results[-1].returncode == 0:
                        break
            # A row that is left keeps its table.
            connection.execute("INSERT INTO events (created_at, tenant) VALUES (now() + interval '90 days', 1)")
            with pytest.raises(errors.CheckViolation):
                execute(connection, end)
            connection.execute("ROLLBACK")
            assert connection.execute("DELETE FROM events WHERE created_at > now() + interval '89 days'").rowcount == 1
            execute(connection, end, writer.goes_on)
            writer.goes_on()
    finally:
        writer.stopped.set()
        thread.join()

    assert writer.error is None
    succeeded = [r.args[-1] for r in results if r.returncode == 0]
    assert [moves, *others] == [f"$ {command}" for command in succeeded], [r.stdout + r.stderr for r in results]
    ids = [row_id for row_id, _ in writer.confirmed]
    assert ids == sorted(set(ids))
    assert min(ids) > 300
    every = sorted([*before, *writer.confirmed])
    assert every == rows(mine, "SELECT id, created_at FROM events ORDER BY id, created_at")
    assert every == rows(mine, "SELECT id, created_at FROM recent ORDER BY id, created_at")
    # The trigger fired once for each row that was inserted, and for none that moved.
    assert [(len(ids), len(ids))] == rows(
        mine, "SELECT count(*), count(DISTINCT a.id) FROM audit a JOIN events e ON e.id = a.id"
    )
    assert partition_names(mine) == [f"events_{today() + timedelta(days=n):%Y_%m_%d}" for n in range(-13, 31)]
    rights = "SELECT array_agg(has_table_privilege(%s, 'events', p)) FROM unnest(%s::text[]) p"
    assert [([True, True, True, False],)] == rows(mine, rights, reader, ["SELECT", "UPDATE", "INSERT", "DELETE"])
    assert [(44,)] == rows(
        mine,
        "SELECT count(*) FROM pg_constraint k JOIN pg_inherits i ON i.inhrelid = k.conrelid"
        " WHERE i.inhparent = 'events'::regclass AND k.confrelid = 'tenants'::regclass",
    )


def test_a_plain_table_stays_in_one_piece(empty_database: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    """What the page puts beside and in the place of ATTACH: no row is read under a lock, and none moves.

    The error that a plain table gives leads there: it becomes the DEFAULT partition of another.
    """
    _, typed = shell(empty_database, environment, tmp_path)
    _, maintain, check = blocks("console", PLAIN)[0].splitlines()
    with connect(empty_database) as connection:
        connection.execute(PLAINLY_MADE.format(kind="bigint GENERATED ALWAYS AS IDENTITY", reader="PUBLIC").encode())
    before = rows(empty_database, "SELECT id, created_at FROM events ORDER BY id")
    dated = PLAIN.replace("2023-01-01", str(today() - timedelta(days=20))).replace(
        "2025-11-05", str(today() + timedelta(days=2))
    )
    change, _, beside, instead = blocks("sql", dated)
    change = change.split(";\n", 1)[1].replace("BEGIN;\n", f"{beside}BEGIN;\n")
    change = change.replace("ALTER TABLE events ATTACH PARTITION events_legacy DEFAULT;\n", instead)
    said: list[str] = []

    refused = typed(f"{maintain}\n{maintain} --table events")
    with connect(empty_database) as connection:
        connection.execute("SET client_min_messages = debug1")
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        execute(connection, change)
    ran, checked = typed(f"{maintain}\n{check}")

    implied = 'partition constraint for table "events_legacy" is implied by existing constraints'
    assert [78, 78] == [r.returncode for r in refused]
    assert all("as its DEFAULT partition" in r.stderr for r in refused)
    assert said.count(implied) == 1
    assert (0, 0) == (ran.returncode, checked.returncode), (ran.stdout, checked.stdout)
    assert "29 created, 0 dropped, 0 rows moved" in ran.stdout
    assert before == rows(empty_database, "SELECT id, created_at FROM events_legacy ORDER BY id")
    assert [(len(before) + 31,)] == rows(
        empty_database,
        "WITH later AS (INSERT INTO events (created_at, tenant) SELECT now() + n * interval '1 day', 1"
        f" FROM generate_series(0, 30) n RETURNING id) SELECT count(*) + {len(before)} FROM later",
    )
    (dropped,) = typed(f"{re.findall(r'`(pgalmanac drop [^`]*)`', PLAIN)[0]} --yes")
    assert dropped.returncode == 1
    assert "today" in dropped.stdout
