"""A partition that pgalmanac makes equals, catalog row by catalog row, one that PostgreSQL makes of the same parent.

PARTITION OF leaves out a few things that operators expect on every partition all the same (owner, grants, row
security, replica identity, per-column settings); for these the parent is the measure.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from pgalmanac.errors import PrivilegeError
from pgalmanac.findings import Code
from support import rows
from under_fire import create_log, execute, log_partition, maintain, midnight, todo

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from pgalmanac.pgserver import Cluster

# Each describes one relation as rows without its own name, so that two partitions can be compared.
ASPECTS: Final[dict[str, str]] = {
    "columns": """
        SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
               a.attgenerated::text, a.attstorage::text, a.attcompression::text, pg_get_expr(d.adbin, d.adrelid),
               a.attcollation::regcollation::text, a.attndims
          FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = %(p)s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1""",
    "indexes": """
        SELECT pg_get_indexdef(x.indexrelid, 0, true) AS definition, x.indisprimary, x.indisunique, x.indisvalid,
               x.indisreplident, x.indisclustered, i.inhparent::regclass::text, c.reloptions, k.contype::text
          FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid LEFT JOIN pg_inherits i ON i.inhrelid = x.indexrelid
          LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.conrelid = x.indrelid
         WHERE x.indrelid = %(p)s::regclass ORDER BY 1""",
    "constraints": """
        SELECT contype::text, pg_get_constraintdef(oid), convalidated, condeferrable, conislocal, coninhcount,
               -- For a key it says how its index was made, and nothing reads it where nothing can inherit.
               connoinherit AND contype NOT IN ('p', 'u', 'x'), conparentid <> 0
          FROM pg_constraint WHERE conrelid = %(p)s::regclass ORDER BY 1, 2""",
    "triggers": """
        SELECT regexp_replace(pg_get_triggerdef(oid), ' ON \\S+', ''), tgenabled::text, tgparentid <> 0
          FROM pg_trigger WHERE tgrelid = %(p)s::regclass AND NOT tgisinternal ORDER BY 1""",
    "statistics": """
        SELECT stxkind::text, stxkeys::text, pg_get_statisticsobjdef_expressions(oid)
          FROM pg_statistic_ext WHERE stxrelid = %(p)s::regclass ORDER BY 1, 2""",
    "table": """
        SELECT c.relpersistence::text, c.reloptions, t.reloptions, s.spcname::text, am.amname::text, c.relispartition,
               c.relhasindex, c.relnatts
          FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
          LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace LEFT JOIN pg_am am ON am.oid = c.relam
         WHERE c.oid = %(p)s::regclass""",
}
# What the parent is the measure of.
CARRIED: Final[dict[str, str]] = {
    "owner": "SELECT relowner::regrole::text FROM pg_class WHERE oid = %(p)s::regclass",
    "grants": """
        SELECT a.grantee::regrole::text, a.privilege_type, a.is_grantable FROM pg_class c,
               aclexplode(COALESCE(c.relacl, acldefault('r', c.relowner))) a
         WHERE c.oid = %(p)s::regclass ORDER BY 1, 2, 3""",
    "column grants": """
        SELECT t.attname::text, a.grantee::regrole::text, a.privilege_type FROM pg_attribute t, aclexplode(t.attacl) a
         WHERE t.attrelid = %(p)s::regclass ORDER BY 1, 2, 3""",
    "row security": "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %(p)s::regclass",
    "policies": """
        SELECT polname::text, polpermissive, polcmd::text, polroles::regrole[]::text, pg_get_expr(polqual, polrelid),
               pg_get_expr(polwithcheck, polrelid) FROM pg_policy WHERE polrelid = %(p)s::regclass ORDER BY 1""",
    "replica identity": "SELECT relreplident::text FROM pg_class WHERE oid = %(p)s::regclass",
    "column settings": """
        SELECT attname::text, attstattarget, attoptions FROM pg_attribute
         WHERE attrelid = %(p)s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1""",
    "column comments": """
        SELECT a.attname::text, col_description(a.attrelid, a.attnum) FROM pg_attribute a
         WHERE a.attrelid = %(p)s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1""",
}


def _described(conninfo: str, relation: str, aspects: dict[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    """Each aspect of *relation*; its own name, before a column and inside of definitions, becomes `…`."""

    def anonymous(value: object) -> object:
        if not isinstance(value, str):
            return value
        own = r"(?<=[(= ])log(?=\.(note|id|\*))" if relation == "log" else relation
        return re.sub(own, "…", value)

    return {
        aspect: [tuple(map(anonymous, row)) for row in rows(conninfo, query.replace("%(p)s", f"'{relation}'"))]
        for aspect, query in aspects.items()
    }


def _names() -> tuple[str, str]:
    """The partition made by pgalmanac (tomorrow's) and the one made by PARTITION OF (the day after retention began)."""
    return f"log_{midnight(1):%Y_%m_%d}", f"log_{midnight(-1):%Y_%m_%d}"


def _assert_equal_siblings(conninfo: str) -> None:
    ours, theirs = _names()

    assert _described(conninfo, theirs, ASPECTS) == _described(conninfo, ours, ASPECTS)
    assert _described(conninfo, "log", CARRIED) == _described(conninfo, ours, CARRIED)


PLAIN: Final = (
    "CREATE TABLE log (id bigint NOT NULL, ts timestamptz NOT NULL, note text, n int) PARTITION BY RANGE (ts)"
)
FUNCTION: Final = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
PARENTS: Final[dict[str, tuple[str, ...]]] = {
    "plain": (PLAIN,),
    "primary key": (PLAIN, "ALTER TABLE log ADD PRIMARY KEY (id, ts)"),
    "unique, deferrable": (PLAIN, "ALTER TABLE log ADD UNIQUE (id, ts) DEFERRABLE INITIALLY DEFERRED"),
    "partial and expression indexes": (
        PLAIN,
        "CREATE INDEX ON log (lower(note), ts DESC NULLS LAST) INCLUDE (n) WHERE n > 0",
        "CREATE INDEX ON log USING brin (ts) WITH (pages_per_range = 8)",
        "CREATE INDEX ON log USING hash (note)",
    ),
    "checks": (PLAIN, "ALTER TABLE log ADD CHECK (n > 0), ADD CONSTRAINT late CHECK (n < 9) NOT VALID"),
    "defaults": (PLAIN, "ALTER TABLE log ALTER n SET DEFAULT 7, ALTER note SET DEFAULT 'x' || 'y'"),
    "generated": (PLAIN, "ALTER TABLE log ADD g int GENERATED ALWAYS AS (n * 2) STORED"),
    "dropped columns": (PLAIN, "ALTER TABLE log DROP n", "ALTER TABLE log ADD later text DEFAULT 'z'"),
    "collation": (PLAIN, 'ALTER TABLE log ALTER note TYPE varchar(40) COLLATE "POSIX"'),
    "row triggers": (
        PLAIN,
        FUNCTION,
        "CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TRIGGER b AFTER UPDATE OF note ON log FOR EACH ROW WHEN (NEW.n > 1) EXECUTE FUNCTION f('x')",
    ),
    "outgoing foreign key": (
        "CREATE TABLE kind (note text PRIMARY KEY)",
        PLAIN,
        "ALTER TABLE log ADD FOREIGN KEY (note) REFERENCES kind ON DELETE CASCADE DEFERRABLE",
    ),
    "incoming foreign key": (
        PLAIN,
        "ALTER TABLE log ADD PRIMARY KEY (id, ts)",
        "CREATE TABLE ref (id bigint, ts timestamptz, FOREIGN KEY (id, ts) REFERENCES log)",
    ),
    "replica identity full": (PLAIN, "ALTER TABLE log REPLICA IDENTITY FULL"),
    "replica identity nothing": (PLAIN, "ALTER TABLE log REPLICA IDENTITY NOTHING"),
    "row security": (
        PLAIN,
        "ALTER TABLE log ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY a ON log AS RESTRICTIVE FOR UPDATE TO pg_monitor, PUBLIC USING (n > 1) WITH CHECK (n > 2)",
        "CREATE POLICY \"b c\" ON log FOR INSERT WITH CHECK (note = 'it''s; -- %s {x}')",
        "CREATE POLICY d ON log USING (EXISTS (SELECT FROM pg_class WHERE relname = note AND 'log.note' <> note))",
        'CREATE TABLE "other.log" (note text)',
        (
            'CREATE POLICY e ON log USING (EXISTS (SELECT FROM "other.log" o JOIN log l USING (note) WHERE log.id = 1'
            " AND l.note = E'it\\\\ log.x' AND (log.*) IS NOT NULL))"
        ),
    ),
    "column settings": (
        PLAIN,
        "ALTER TABLE log ALTER note SET STATISTICS 777",
        "ALTER TABLE log ALTER n SET (n_distinct = -0.5)",
        "ALTER TABLE log ALTER note SET STORAGE EXTERNAL",
        "COMMENT ON COLUMN log.note IS 'a note; with ''quotes'''",
    ),
    "grants": (
        PLAIN,
        "GRANT SELECT ON log TO PUBLIC",
        "GRANT INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON log TO pg_monitor WITH GRANT OPTION",
        "GRANT UPDATE (note), SELECT (id, ts) ON log TO pg_read_all_stats",
    ),
}
# Index and statistics names, which PostgreSQL chooses, differ between the two ways; what they are does not.
UNIQUE_KEY: Final = "replica identity index"


@pytest.mark.parametrize("parent", PARENTS)
def test_a_new_partition_equals_its_siblings(empty_database: str, parent: str) -> None:
    """Everything that the catalog says of tomorrow's partition it says of one made by PARTITION OF."""
    execute(empty_database, *PARENTS[parent])
    log_partition(empty_database, -1, 0)

    report = maintain(empty_database)

    assert report.exit_code == 0, [o.error for o in report.tables[0].outcomes if o.error]
    _assert_equal_siblings(empty_database)


@pytest.mark.parametrize("parent", ["primary key", "row triggers", "outgoing foreign key", "row security", "grants"])
def test_a_partition_that_rows_moved_into_equals_its_siblings(empty_database: str, parent: str) -> None:
    """The same for a partition whose rows came from the default partition, which is made in another way."""
    execute(empty_database, *PARENTS[parent], "CREATE TABLE log_default PARTITION OF log DEFAULT")
    log_partition(empty_database, -1, 0)
    execute(empty_database, f"INSERT INTO log (id, ts) VALUES (1, '{midnight(1)}')")

    report = maintain(empty_database)

    assert report.exit_code == 0, [o.error for o in report.tables[0].outcomes if o.error]
    assert report.tables[0].moved_rows == 1
    _assert_equal_siblings(empty_database)


def test_a_replica_identity_by_index_is_carried_over(empty_database: str) -> None:
    """The new partition's replica identity is its own counterpart of the parent's index, whatever that is called."""
    execute(
        empty_database,
        PLAIN,
        'CREATE UNIQUE INDEX "The Key" ON log (id, ts)',
        'ALTER TABLE log REPLICA IDENTITY USING INDEX "The Key"',
    )
    log_partition(empty_database, -1, 0)

    report = maintain(empty_database)

    ours, _ = _names()
    assert report.exit_code == 0, [o.error for o in report.tables[0].outcomes if o.error]
    assert rows(
        empty_database,
        "SELECT c.relreplident::text, i.inhparent::regclass::text FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid"
        f" JOIN pg_inherits i ON i.inhrelid = x.indexrelid WHERE c.oid = '{ours}'::regclass AND x.indisreplident",
    ) == [("i", '"The Key"')]


@pytest.mark.parametrize("how", ["ALWAYS", "BY DEFAULT"])
def test_identity_numbers_stay_unique_over_all_partitions(empty_database: str, how: str) -> None:
    """One sequence serves the parent and every partition; inserts through the parent never see a number twice."""
    execute(
        empty_database,
        f"CREATE TABLE log (id bigint GENERATED {how} AS IDENTITY, ts timestamptz NOT NULL) PARTITION BY RANGE (ts)",
    )
    log_partition(empty_database, -1, 0)

    report = maintain(empty_database)
    for day in (-1, 0, 1, 2, 1, 0):
        execute(empty_database, f"INSERT INTO log (ts) VALUES ('{midnight(day)}')")

    assert report.exit_code == 0
    assert rows(empty_database, "SELECT id FROM log ORDER BY id") == [(n,) for n in range(1, 7)]
    assert rows(empty_database, "SELECT count(*) FROM pg_class WHERE relkind = 'S' AND relname LIKE 'log%%'") == [(1,)]
    ours, theirs = _names()
    assert _described(empty_database, theirs, ASPECTS) == _described(empty_database, ours, ASPECTS)


def test_extended_statistics_and_index_comments_come_along(empty_database: str) -> None:
    """What PARTITION OF leaves out and LIKE copies is there: extended statistics, comments on columns and indexes."""
    execute(
        empty_database,
        PLAIN,
        "CREATE STATISTICS pair (dependencies, ndistinct) ON note, n FROM log",
        "CREATE INDEX by_note ON log (note)",
        "COMMENT ON INDEX by_note IS 'for searching'",
    )
    log_partition(empty_database, -1, 0)

    maintain(empty_database)

    ours, _ = _names()
    kinds = f"SELECT stxkind::text, stxkeys::text FROM pg_statistic_ext WHERE stxrelid = '{ours}'::regclass"
    comments = f"SELECT obj_description(indexrelid, 'pg_class') FROM pg_index WHERE indrelid = '{ours}'::regclass"
    assert rows(empty_database, kinds) == [("{d,f}", "3 4")]
    assert rows(empty_database, comments) == [("for searching",)]


def test_unlogged_and_storage_options_follow_the_newest_sibling(empty_database: str) -> None:
    """What a partitioned table cannot have itself is taken from the newest partition, not from older ones."""
    execute(empty_database, PLAIN)
    log_partition(empty_database, -1, 0)
    newest = f"log_{midnight():%Y_%m_%d}"
    execute(
        empty_database,
        f"ALTER TABLE {newest} SET UNLOGGED",
        f"ALTER TABLE {newest} SET (fillfactor = 71, autovacuum_enabled = off, toast.autovacuum_enabled = off)",
    )

    report = maintain(empty_database)

    ours, _ = _names()
    assert report.exit_code == 0, [o.error for o in report.tables[0].outcomes if o.error]
    assert _described(empty_database, newest, {"table": ASPECTS["table"]}) == _described(
        empty_database, ours, {"table": ASPECTS["table"]}
    )


@pytest.mark.parametrize("schema", ["public", "parts"])
def test_default_privileges_do_not_open_a_new_partition(empty_database: str, schema: str) -> None:
    """Default privileges of the role give nobody more than the parent does; nor do they take away from it.

    Those that count are of the schema in which the partition is made, which may be another than the parent's.
    """
    name = f"reader_{uuid4().hex[:8]}"
    execute(
        empty_database,
        f"CREATE ROLE {name}",
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {name}",
        f"CREATE SCHEMA IF NOT EXISTS {schema}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {name}, PUBLIC",
        PLAIN,
        f"REVOKE ALL ON log FROM {name}, PUBLIC",
        f"GRANT INSERT ON log TO {name}",
    )
    try:
        log_partition(empty_database, -1, 0)
        for partition in (f"log_{midnight(day):%Y_%m_%d}" for day in (-1, 0)):
            execute(empty_database, f"ALTER TABLE {partition} SET SCHEMA {schema}")

        maintain(empty_database)

        ours, _ = _names()
        assert _described(empty_database, "log", CARRIED) == _described(empty_database, f"{schema}.{ours}", CARRIED)
    finally:
        execute(empty_database, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_an_owner_that_is_not_the_role_owns_the_new_partition(empty_database: str) -> None:
    """Made by a superuser for an owner: everything of the new partition belongs to the parent's owner."""
    name = f"owner_{uuid4().hex[:8]}"
    execute(
        empty_database,
        f"CREATE ROLE {name}",
        *PARENTS["primary key"],
        "CREATE STATISTICS pair ON note, n FROM log",
        f"ALTER TABLE log OWNER TO {name}",
        "GRANT SELECT ON log TO PUBLIC",
    )
    try:
        log_partition(empty_database, -1, 0)

        report = maintain(empty_database)

        ours, _ = _names()
        assert report.exit_code == 0, [o.error for o in report.tables[0].outcomes if o.error]
        assert _described(empty_database, "log", CARRIED) == _described(empty_database, ours, CARRIED)
        owners = (
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE oid = '{0}'::regclass OR oid IN"
            " (SELECT indexrelid FROM pg_index WHERE indrelid = '{0}'::regclass)"
        )
        assert rows(empty_database, owners.format(ours)) == [(name,)]
    finally:
        execute(empty_database, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


@pytest.fixture
def tablespace(server: Cluster, open_path: Path, empty_database: str) -> Generator[str]:
    """Give a tablespace that goes when its contents are gone."""
    name = f"space_{uuid4().hex[:8]}"
    folder = open_path / "space"
    folder.mkdir()
    if server.account is not None:
        os.chown(folder, server.account.uid, server.account.gid)
    execute(empty_database, f"CREATE TABLESPACE {name} LOCATION '{folder}'")
    with ExitStack() as stack:
        stack.callback(lambda: execute(empty_database, "DROP TABLE log", f"DROP TABLESPACE {name}"))
        yield name


@pytest.mark.parametrize("where", ["sibling", "indexes"])
def test_tablespaces_follow(empty_database: str, tablespace: str, where: str) -> None:
    """A new partition lies where its newest sibling lies, and its indexes where the parent says."""
    execute(empty_database, PLAIN)
    if where == "indexes":
        execute(empty_database, f"CREATE INDEX ON log (note) TABLESPACE {tablespace}")
    log_partition(empty_database, -1, 0)
    if where == "sibling":
        execute(empty_database, f"ALTER TABLE log_{midnight():%Y_%m_%d} SET TABLESPACE {tablespace}")

    report = maintain(empty_database)

    ours, _ = _names()
    placed = (
        "SELECT s.spcname::text FROM pg_class c JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE c.oid = {0} OR"
        " c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = {0})"
    )
    assert report.exit_code == 0, [o.error for o in report.tables[0].outcomes if o.error]
    assert rows(empty_database, placed.format(f"'{ours}'::regclass")) == [(tablespace,)]


@pytest.mark.parametrize("where", ["sibling", "indexes"])
def test_a_tablespace_that_is_closed_to_the_role_is_said_before(
    empty_database: str, tablespace: str, make_role: Callable[..., str], where: str
) -> None:
    """What is said to be missing is enough, and the nights before are no row of failures."""
    role = make_role()
    execute(empty_database, PLAIN, f"ALTER TABLE log OWNER TO {role}", f"GRANT CREATE ON SCHEMA public TO {role}")
    if where == "indexes":
        execute(empty_database, f"CREATE INDEX ON log (note) TABLESPACE {tablespace}")
    log_partition(empty_database, -1, 0)
    if where == "sibling":
        execute(empty_database, f"ALTER TABLE log_{midnight():%Y_%m_%d} SET TABLESPACE {tablespace}")
    conninfo = f"{empty_database} user={role}"
    with pytest.raises(PrivilegeError) as denied:
        maintain(conninfo)
    assert denied.value.hint == f'GRANT CREATE ON TABLESPACE "{tablespace}" TO "{role}"'
    execute(empty_database, denied.value.hint)

    assert (0, []) == (maintain(conninfo).exit_code, todo(conninfo))
    execute(empty_database, f"REASSIGN OWNED BY {role} TO CURRENT_USER", f"DROP OWNED BY {role}")


def test_the_roles_own_defaults_do_not_shape_a_partition(empty_database: str, tablespace: str) -> None:
    """default_tablespace of the database is for tables that nobody has a sibling for."""
    execute(empty_database, PLAIN)
    log_partition(empty_database, -1, 0)
    name = rows(empty_database, "SELECT current_database()")[0][0]
    execute(empty_database, f"ALTER DATABASE {name} SET default_tablespace = {tablespace}")
    try:
        maintain(empty_database)
    finally:
        execute(empty_database, f"ALTER DATABASE {name} RESET default_tablespace", "DROP TABLE housekeeper_run_actions")
        execute(empty_database, "DROP TABLE housekeeper_runs")

    _assert_equal_siblings(empty_database)


def test_an_access_method_follows_the_newest_sibling(empty_database: str) -> None:
    """A partition of another table access method has successors of the same."""
    execute(empty_database, PLAIN, "CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler")
    log_partition(empty_database, -1)
    day = midnight()
    execute(
        empty_database,
        f"CREATE TABLE log_{day:%Y_%m_%d} PARTITION OF log FOR VALUES FROM ('{day}') TO ('{midnight(1)}') USING other",
    )

    report = maintain(empty_database)

    ours, _ = _names()
    assert report.exit_code == 0
    assert rows(
        empty_database,
        f"SELECT amname::text FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = '{ours}'::regclass",
    ) == [("other",)]


def test_an_invalid_index_on_the_parent_does_not_stop_creation(empty_database: str) -> None:
    """An index under construction, built partition by partition: creation goes on, and a finding names it."""
    create_log(empty_database, days=(-1, 0), rows_a_day=3)
    execute(empty_database, "CREATE INDEX half ON ONLY log (note)")

    report = maintain(empty_database)

    assert report.exit_code == 0
    assert report.tables[0].created == 3
    assert [f.code for f in report.tables[0].findings if f.code is Code.INDEX_INVALID]
    for day in (-1, 0, 1, 2, 3):
        name = f"log_{midnight(day):%Y_%m_%d}"
        if rows(
            empty_database,
            "SELECT count(*) FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid"
            f" WHERE i.inhparent = 'half'::regclass AND x.indrelid = '{name}'::regclass",
        ) == [(0,)]:
            execute(
                empty_database,
                f"CREATE INDEX half_{day + 9} ON {name} (note)",
                f"ALTER INDEX half ATTACH PARTITION half_{day + 9}",
            )
    assert rows(empty_database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'half'::regclass") == [(True,)]


def test_fifty_indexes(empty_database: str) -> None:
    """A table of 50 indexes gets a partition of 50 indexes, each attached to its parent's."""
    create_log(empty_database, days=(0,))
    for number in range(49):
        execute(empty_database, f"CREATE INDEX ON log ((id + {number}))")

    report = maintain(empty_database)

    ours, _ = _names()
    assert report.exit_code == 0
    assert rows(
        empty_database,
        "SELECT count(DISTINCT i.inhparent) FROM pg_index x JOIN pg_inherits i ON i.inhrelid = x.indexrelid"
        f" WHERE x.indrelid = '{ours}'::regclass",
    ) == [(50,)]


def test_a_unique_index_that_the_partitions_alone_have_is_left_to_them(empty_database: str) -> None:
    """An index of one partition is nobody else's: new partitions have the parent's indexes only."""
    create_log(empty_database, days=(0,))
    execute(empty_database, f"CREATE INDEX alone ON log_{midnight():%Y_%m_%d} (note)")

    maintain(empty_database)

    ours, _ = _names()
    assert rows(empty_database, f"SELECT count(*) FROM pg_index WHERE indrelid = '{ours}'::regclass") == [(1,)]
