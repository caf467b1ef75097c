"""What docs/takeover.md shows is run as it stands there, on a table as pg_partman 4.7.2 leaves one.

The table, its list and what pg-partsmith leaves are made with plain SQL: neither tool is where the tests run.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from support import connect, partition_names, rows

PAGE: Final = (Path(__file__).parents[2] / "docs" / "takeover.md").read_text(encoding="utf-8")
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


def blocks(language: str) -> list[str]:
    """The fenced blocks of this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_steps_of_the_page(empty_database: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    """Look, say how long to keep, stop pg_partman, run; in the end all is well and nothing is gone."""
    with connect(empty_database) as connection:
        connection.execute(MADE.encode())
    before = partition_names(empty_database)
    parts = conninfo_to_dict(empty_database)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    environ = {**environment, **{variable: str(parts[key]) for key, variable in names.items()}}

    def typed(block: str) -> list[subprocess.CompletedProcess[str]]:
        """Each line of it as a reader's shell would run it."""
        lines = [line.removeprefix("$ ") for line in block.splitlines()]
        return [
            subprocess.run(["sh", "-c", line], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
            for line in lines
        ]

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
