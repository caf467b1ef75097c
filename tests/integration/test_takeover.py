"""Tables that pg_partman, pg-partsmith or Qonto's postgresql-partition-manager made, and pgalmanac goes on with.

Where the tests run the tools are not there. Their tables are made with plain SQL: bounds, names, default partition and
leftovers are what pg_partman 4.7.2 and pg-partsmith 1.10.0 made, and for pg_partman 5 and Qonto's what their sources
say. On a server that has pg_partman (--pg-bin /usr/lib/postgresql/15/bin with Debian's postgresql-15-partman) the
last test holds the imitation against the original.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import pytest
from psycopg import conninfo, sql

from pgalmanac import maintain
from pgalmanac.actions import Status
from pgalmanac.config import Settings, load
from pgalmanac.doctor import examine
from pgalmanac.doctor_lines import Line
from pgalmanac.findings import Code, Level
from pgalmanac.inspection import Request
from pgalmanac.results import RunReport
from support import add_partitions, connect, partition_names, rows, today

TABLE: Final = """
CREATE TABLE events (id bigint NOT NULL, ts {key} NOT NULL, note text, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts);
CREATE INDEX ON events (ts)
"""
# The list that pg_partman's functions go by, with the columns that a take-over is about.
PART_CONFIG: Final = """
CREATE SCHEMA partman;
CREATE TABLE partman.part_config (
    parent_table text PRIMARY KEY, control text NOT NULL, partition_interval text NOT NULL, premake int NOT NULL,
    retention text, retention_keep_table boolean NOT NULL DEFAULT true, template_table text
);
INSERT INTO partman.part_config VALUES ('public.events', 'ts', '1 day', 4, NULL, true, NULL)
"""
BOUNDS: Final = """
SELECT c.relname, b.lower, b.upper FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
       LATERAL (SELECT substring(pg_get_expr(c.relpartbound, 0) FROM 'FROM \\(''([^'']+)')::timestamptz AS lower,
                       substring(pg_get_expr(c.relpartbound, 0) FROM 'TO \\(''([^'']+)')::timestamptz AS upper) b
 WHERE i.inhparent = 'events'::regclass AND b.lower IS NOT NULL ORDER BY 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """How a tool works: its format of to_char, what its periods are cut at and how long they are.

    *shift* is how long after such a cut they begin. All in a session of its own *zone*.
    """

    names: str
    cut: str
    step: str
    interval: str
    shift: str = "0"
    default: bool = True
    zone: str = "UTC"
    key: str = "timestamptz"

    def make(self, database: str, *, back: int, ahead: int) -> None:
        """The table, with so many periods before the present one and after it, as the tool would have it by now."""
        with connect(database) as connection:
            connection.execute(f"SET TimeZone = '{self.zone}'".encode())
            connection.execute(TABLE.format(key=self.key).encode())
            connection.execute(
                sql.SQL(
                    "DO $$ DECLARE lower timestamptz; BEGIN FOR number IN {first}..{last} LOOP "
                    "lower := date_trunc({cut}, now()) + {shift}::interval + number * {step}::interval; "
                    "EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS)', to_char(lower, {names})); "
                    "EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', "
                    "to_char(lower, {names}), lower, lower + {step}::interval); END LOOP; END $$"
                ).format(first=-back, last=ahead, cut=self.cut, shift=self.shift, step=self.step, names=self.names)
            )
            if self.default:
                connection.execute(b"CREATE TABLE events_default PARTITION OF events DEFAULT")

    def misnamed(self, database: str) -> list[tuple[Any, ...]]:
        """The partitions with another name than the tool would give, by to_char in its own zone.

        The second of two hours that the clock calls alike says so at the end of its name.
        """
        with connect(database) as connection:
            connection.execute(f"SET TimeZone = '{self.zone}'".encode())
            wanted = sql.SQL("SELECT x.*, to_char(lower, {}) FROM ({}) x").format(
                self.names,
                sql.SQL(BOUNDS),
            )
            found = connection.execute(wanted).fetchall()
        return [row for row in found if row[0] not in {row[3], f"{row[3]}_2"}]


def partman(names: str, cut: str, step: str, interval: str, **more: Any) -> Tool:  # noqa: ANN401  # fields of a Tool
    """A default partition, and an underscore and a p before the date."""
    return Tool(names=f'"events_p"{names}', cut=cut, step=step, interval=interval, **more)


TOOLS: Final = {
    "pg_partman 4 hourly": partman("YYYY_MM_DD_HH24MI", "hour", "1 hour", "hourly"),
    "pg_partman 4 daily": partman("YYYY_MM_DD", "day", "1 day", "daily"),
    "pg_partman 4 weekly": partman('IYYY"w"IW', "week", "1 week", "weekly"),
    "pg_partman 4 monthly": partman("YYYY_MM", "month", "1 month", "monthly"),
    "pg_partman 4 quarterly": partman('YYYY"q"Q', "quarter", "3 months", "quarterly"),
    "pg_partman 4 yearly": partman("YYYY", "year", "1 year", "yearly"),
    "pg_partman 4 hourly, Berlin": partman("YYYY_MM_DD_HH24MI", "hour", "1 hour", "hourly", zone="Europe/Berlin"),
    "pg_partman 4 daily, Berlin": partman("YYYY_MM_DD", "day", "1 day", "daily", zone="Europe/Berlin"),
    "pg_partman 4 weekly, New York": partman('IYYY"w"IW', "week", "1 week", "weekly", zone="America/New_York"),
    "pg_partman 4 monthly, Berlin": partman("YYYY_MM", "month", "1 month", "monthly", zone="Europe/Berlin"),
    "pg_partman 4 daily, no default": partman("YYYY_MM_DD", "day", "1 day", "daily", default=False),
    "pg_partman 5 hourly": partman("YYYYMMDD_HH24MISS", "hour", "1 hour", "hourly"),
    "pg_partman 5 daily": partman("YYYYMMDD", "day", "1 day", "daily"),
    "pg_partman 5 weekly from a Monday": partman("YYYYMMDD", "week", "1 week", "weekly"),
    "pg_partman 5 monthly": partman("YYYYMMDD", "month", "1 month", "monthly"),
    "pg_partman 5 yearly": partman("YYYYMMDD", "year", "1 year", "yearly"),
    "pg-partsmith hour": Tool(names='"events__"YYYY_MM_DD_HH24', cut="hour", step="1 hour", interval="hourly"),
    "pg-partsmith day": Tool(names='"events__"YYYY_MM_DD', cut="day", step="1 day", interval="daily"),
    "pg-partsmith week": Tool(names='"events__"IYYY"_w"IW', cut="week", step="1 week", interval="weekly"),
    "pg-partsmith quarter": Tool(names='"events__"YYYY"_q"Q', cut="quarter", step="3 months", interval="quarterly"),
    "Qonto daily": Tool(names='"events_"YYYY_MM_DD', cut="day", step="1 day", interval="daily", default=False),
    "Qonto weekly, date": Tool(
        names='"events_"IYYY"_w"IW', cut="week", step="1 week", interval="weekly", default=False, key="date"
    ),
    "Qonto monthly, timestamp": Tool(
        names='"events_"YYYY_MM', cut="month", step="1 month", interval="monthly", default=False, key="timestamp"
    ),
}


def settings(database: str, *tables: str, **values: str) -> Settings:
    """What somebody would have who set these variables, as PGALMANAC_…, and nothing else."""
    environ = {f"PGALMANAC_{name.upper()}": value for name, value in values.items()}
    return load(environ=environ, dsn=database, tables=tables, config=None, demo=True)


def check(database: str, **values: str) -> RunReport:
    """What check finds."""
    return asyncio.run(maintain.check(settings(database, **values)))


def run(database: str, command: Any = "maintain", **values: str) -> RunReport:  # noqa: ANN401  # a literal of Request's
    """One run of maintain, or of fix as far ahead."""
    request = Request(command=command, ahead=int(values.get("premake_days", "30")))
    return asyncio.run(maintain.perform(settings(database, **values), request))


def planned(database: str, **values: str) -> list[str]:
    """What maintain --dry-run shows, as words."""
    report = asyncio.run(maintain.preview(settings(database, **values), Request(command="maintain")))
    return [f"{o.status} {o.action.kind} {o.action.partition.name}" for t in report.tables for o in t.outcomes]


def doctor(database: str, **values: str) -> Sequence[Line]:
    """What doctor says."""
    return asyncio.run(examine(settings(database, **values), {}))


def said(report: RunReport, code: Code) -> list[str]:
    """The messages of this code."""
    return [f.message for t in report.tables for f in t.findings if f.code is code]


def holes(database: str) -> list[tuple[Any, ...]]:
    """Neighbours, by the server's own bounds, between which something is not covered."""
    found = rows(database, BOUNDS)
    return [(one, other) for one, other in pairwise(found) if one[2] != other[1]]


# So far ahead that more than the tool's four periods are wanted.
AHEAD: Final = {"hourly": "2", "daily": "20", "weekly": "60", "monthly": "200", "quarterly": "600", "yearly": "2200"}


@pytest.mark.parametrize("made_by", TOOLS)
def test_it_is_gone_on_with_as_it_was(empty_database: str, made_by: str) -> None:
    """Same interval, same names, no gap seen and no hole made; what was there stays, the default partition as well."""
    tool = TOOLS[made_by]
    tool.make(empty_database, back=3, ahead=4)
    before = partition_names(empty_database)
    values = {"premake_days": AHEAD[tool.interval], "retention_days": "forever", "timezone": tool.zone}

    found = check(empty_database, **values)
    report = run(empty_database, **values)

    (table,) = report.tables
    assert table.view is not None
    assert tool.interval == table.view.interval
    assert said(found, Code.GAP) == said(found, Code.INTERVAL_UNKNOWN) == []
    assert 0 == report.exit_code
    assert table.created > 0
    assert set(before) < set(partition_names(empty_database))
    assert [] == tool.misnamed(empty_database)
    assert [] == holes(empty_database)
    assert [] == planned(empty_database, **values)


BERLIN_DAYS: Final = partman("YYYY_MM_DD", "day", "1 day", "", zone="Europe/Berlin")
# As pg_partman 5 makes them that was first called on a Tuesday.
TUESDAYS: Final = partman("YYYYMMDD", "week", "1 week", "", shift="1 day")
HALF_HOURS: Final = partman("YYYY_MM_DD_HH24MI", "hour", "30 minutes", "")


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize(
    ("tool", "ahead", "days", "says", "remedy"),
    [
        (BERLIN_DAYS, 4, "20", "look daily; set timezone to", "zone"),
        (partman("YYYY_MM", "month", "1 month", "", zone="Asia/Kolkata"), 4, "200", "look monthly; set tim", "zone"),
        (TUESDAYS, 4, "60", "7 days long, the last from Tue", "weekly"),
        (HALF_HOURS, 31, "2", "30 minutes long", "hourly"),
        (partman("YYYYMMDD", "week", "2 days", ""), 4, "20", "2 days long", "daily"),
    ],
)
def test_a_grid_that_is_not_ours_is_asked_about(
    empty_database: str, tool: Tool, ahead: int, days: str, says: str, remedy: str, *, answered: bool
) -> None:
    """And gone on with, whether somebody answers or not; what is left of a period at the seam is made by fix.

    Names go on as they were, where the clock that they were given by is known.
    """
    tool.make(empty_database, back=3, ahead=ahead)
    values = {"premake_days": days, "retention_days": "forever"}

    found = check(empty_database, **values)
    (message,) = said(found, Code.INTERVAL_UNKNOWN)

    assert says in message
    assert [True] == [line.message in message for line in doctor(empty_database, **values) if "newest" in line.message]

    if answered:
        values |= {"timezone": tool.zone} if remedy == "zone" else {"interval": remedy}
    went_on = run(empty_database, **values)
    assert (0, True) == (went_on.exit_code, went_on.tables[0].created > 0)
    assert 0 == run(empty_database, "fix", **values).exit_code
    assert [] == holes(empty_database)
    assert [] == planned(empty_database, **values)
    if answered or remedy != "zone":
        names = [name for name in partition_names(empty_database) if name != "events_default"]
        assert all(name.startswith("events_p") for name in names)


def test_rows_in_the_default_partition_go_where_they_belong(empty_database: str) -> None:
    """Those of coming days with the day's creation; older ones than any partition stay, and check says so."""
    TOOLS["pg_partman 4 daily"].make(empty_database, back=3, ahead=4)
    with connect(empty_database) as connection:
        connection.execute(
            "INSERT INTO events SELECT n, now() + interval '10 days' FROM generate_series(1, 50) n; "
            "INSERT INTO events SELECT n, now() - interval '300 days' FROM generate_series(1, 5) n"
        )

    report = run(empty_database, retention_days="forever")

    assert (0, 50) == (report.exit_code, report.tables[0].moved_rows)
    assert [(5,)] == rows(empty_database, "SELECT count(*) FROM events_default")
    assert [(55,)] == rows(empty_database, "SELECT count(*) FROM events")
    (message,) = said(check(empty_database, retention_days="forever"), Code.STRAY_ROWS)
    first, last = (f"{today() - timedelta(days=ago)}" for ago in (300, 4))
    assert f"rows of {first} or later, before the oldest partition" in message
    assert message.endswith(f"; pgalmanac create {first}..{last} does, and moves them")


def test_pg_partmans_list_keeps_until_somebody_says_how_long(empty_database: str) -> None:
    """Its finding has the statement that stops it. Nothing goes by our default before, nor without the fuse after."""
    TOOLS["pg_partman 4 daily"].make(empty_database, back=95, ahead=4)
    with connect(empty_database) as connection:
        connection.execute(PART_CONFIG.encode())

    unsaid = run(empty_database)
    agreed = planned(empty_database, retention_days="90")
    (message,) = said(check(empty_database), Code.PG_PARTMAN)
    words, statement = message.split("this stops pg_partman: ")
    with connect(empty_database) as connection:
        stopped = connection.execute(statement.encode()).rowcount

    assert (26, 0) == (unsaid.tables[0].created, unsaid.tables[0].dropped)
    assert ["public.events" in text for text in said(unsaid, Code.RETENTION_UNSET)] == [True]
    assert ["planned drop"] * 5 == [action.rpartition(" ")[0] for action in agreed]
    assert words.startswith("pg_partman's part_config lists public.events too")
    assert 1 == stopped
    assert [] == said(check(empty_database), Code.PG_PARTMAN)


def test_what_a_tool_left_is_named(empty_database: str) -> None:
    """Tables that it detached, here or in its retention_schema, and indexes of its template; nothing else is."""
    TOOLS["pg_partman 4 daily"].make(empty_database, back=3, ahead=4)
    before = [line.message for line in doctor(empty_database)]
    oldest, older, newest = (partition_names(empty_database)[i] for i in (1, 2, -1))
    with connect(empty_database) as connection:
        connection.execute(
            f"CREATE SCHEMA attic; ALTER TABLE events DETACH PARTITION {oldest}; "
            f"ALTER TABLE {oldest} SET SCHEMA attic; ALTER TABLE events DETACH PARTITION {older}; "
            f"CREATE UNIQUE INDEX from_the_template ON {newest} (id); "
            "CREATE TABLE events_plan (day date); CREATE TABLE events_p2020 (day date)".encode()
        )
    after = [line.message for line in doctor(empty_database)]

    assert [] == [message for message in before if "index" in message or "detached" in message]
    assert [f"attic.{oldest} .. public.{older} (2)" in message for message in after if "detached" in message] == [True]
    assert [
        "1 of its partitions" in message and "such as public.from_the_template:" in message
        for message in after
        if "indexes" in message
    ] == [True]


@pytest.mark.parametrize("names", ["YYYY_MM_DD_HH24", '"p"YYYY_MM_DD_HH24MI'])
def test_hours_that_another_clock_names_are_asked_about(empty_database: str, names: str) -> None:
    """With the zone they are gone on with under the same names."""
    tool = Tool(names=f'"events_"{names}', cut="hour", step="1 hour", interval="hourly", zone="Europe/Berlin")
    tool.make(empty_database, back=3, ahead=4)
    values = {"premake_days": "1", "retention_days": "forever"}

    (message,) = said(check(empty_database, **values), Code.INTERVAL_UNKNOWN)
    mended = run(empty_database, **values, timezone="Europe/Berlin")

    assert re.search(r"named by a clock [12] hours? ahead of UTC; set timezone to the zone", message)
    assert 0 == mended.exit_code
    assert [] == tool.misnamed(empty_database)
    assert [] == holes(empty_database)


@pytest.mark.parametrize("values", [{}, {"interval": "hourly"}, {"timezone": "UTC"}])
def test_hours_at_the_seam_of_two_clocks_have_names_of_their_own(empty_database: str, values: dict[str, str]) -> None:
    """An hour of UTC may be called as one of Tokyo's that is there, whatever somebody said: every hour is made."""
    tool = Tool(names='"events_"YYYY_MM_DD_HH24', cut="hour", step="1 hour", interval="hourly", zone="Asia/Tokyo")
    tool.make(empty_database, back=3, ahead=4)

    report = run(empty_database, premake_days="1", retention_days="forever", **values)

    assert 0 == report.exit_code
    assert [] == holes(empty_database)
    assert any(name.endswith("_2") for name in partition_names(empty_database))


def test_a_list_that_may_not_be_read_is_named(database: str, make_role: Callable[..., str]) -> None:
    """The role of the manual has no rights in pg_partman's schema, and would not know who else is at work."""
    role = make_role()
    with connect(database) as connection:
        connection.execute(PART_CONFIG.encode())
        connection.execute(f"ALTER TABLE events OWNER TO {role}".encode())
    dsn = conninfo.make_conninfo(database, user=role)
    blind = [line.message for line in doctor(dsn) if "pg_partman" in line.message]
    with connect(database) as connection:
        connection.execute(
            f"GRANT USAGE ON SCHEMA partman TO {role}; GRANT SELECT ON partman.part_config TO {role}".encode()
        )

    assert ["GRANT USAGE ON SCHEMA partman and SELECT ON partman.part_config" in text for text in blind] == [True]
    assert [
        "DELETE FROM partman.part_config" in line.message for line in doctor(dsn) if "pg_partman" in line.message
    ] == [True]


@pytest.mark.parametrize("locked", [True, False])
def test_what_may_be_on_pg_partmans_list_is_not_dropped_from_by_default(
    database: str, make_role: Callable[..., str], *, locked: bool
) -> None:
    """The list cannot be read, for want of a right or for a lock: it may say to keep for ever."""
    add_partitions(database, days=range(-95, 31))
    role = make_role()
    with connect(database) as connection:
        connection.execute(PART_CONFIG.encode())
        connection.execute(f"ALTER TABLE events OWNER TO {role}; GRANT CREATE ON SCHEMA public TO {role}".encode())
        connection.execute(
            "DO $$ DECLARE p regclass; BEGIN FOR p IN SELECT inhrelid FROM pg_inherits LOOP "
            f"EXECUTE 'ALTER TABLE ' || p || ' OWNER TO {role}'; END LOOP; END $$".encode()
        )
        if locked:
            connection.execute(
                f"GRANT USAGE ON SCHEMA partman TO {role}; GRANT SELECT ON partman.part_config TO {role}".encode()
            )
        with connection.transaction():
            if locked:
                connection.execute(b"LOCK TABLE partman.part_config")
            unsaid = run(conninfo.make_conninfo(database, user=role))
    agreed = run(conninfo.make_conninfo(database, user=role), retention_days="90")

    assert (0, 0) == (unsaid.exit_code, unsaid.tables[0].dropped)
    assert ["until retention_days is set, nothing is dropped" in text for text in said(unsaid, Code.PG_PARTMAN)] == [
        True
    ]
    assert 5 == agreed.tables[0].dropped


def test_where_an_old_partition_lies_is_no_matter(database: str, make_role: Callable[..., str]) -> None:
    """New ones are made beside the newest, and not beside an old one that was attached last."""
    role = make_role()
    add_partitions(database, days=[0])
    with connect(database) as connection:
        connection.execute(
            f"CREATE SCHEMA cold; CREATE TABLE cold.y_old PARTITION OF events FOR VALUES FROM ('2020-01-01') "
            f"TO ('2020-01-02'); ALTER TABLE events OWNER TO {role}; GRANT CREATE ON SCHEMA public TO {role}; "
            f"GRANT USAGE ON SCHEMA cold TO {role}".encode()
        )

    assert 30 == run(conninfo.make_conninfo(database, user=role), retention_days="forever").tables[0].created


def test_partitions_in_a_schema_of_their_own_want_rights_there(database: str, make_role: Callable[..., str]) -> None:
    """As hand-written SQL often has it; rights on the table's schema are neither enough nor needed."""
    role = make_role()
    with connect(database) as connection:
        connection.execute(
            f"CREATE SCHEMA parts; CREATE TABLE parts.y_old PARTITION OF events FOR VALUES FROM ('2020-01-01') "
            f"TO ('2020-01-02'); ALTER TABLE events OWNER TO {role}; ALTER TABLE parts.y_old OWNER TO {role}; "
            f"REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA parts TO {role}".encode()
        )
    dsn = conninfo.make_conninfo(database, user=role)
    (message,) = said(check(dsn), Code.PRIVILEGE)
    with connect(database) as connection:
        connection.execute(message.partition("missing: ")[2].encode())

    assert message.endswith(f'missing: GRANT CREATE ON SCHEMA "parts" TO "{role}"')
    assert [] == said(check(dsn), Code.PRIVILEGE)
    assert 31 == run(dsn, retention_days="forever").tables[0].created
    assert [("parts",)] == rows(
        database,
        "SELECT DISTINCT relnamespace::regnamespace::text FROM pg_inherits "
        "JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'events'::regclass",
    )


def test_a_sub_partitioned_table_is_said_to_be_left_alone_once(empty_database: str) -> None:
    """One finding for all of them, and no size of what has no file: their rows lie in partitions of theirs."""
    with connect(empty_database) as connection:
        connection.execute(
            "CREATE TABLE events (ts timestamptz NOT NULL) PARTITION BY RANGE (ts); "
            "DO $$ DECLARE lower timestamptz; BEGIN FOR n IN -9..3 LOOP "
            "lower := date_trunc('month', now()) + n * interval '1 month'; "
            "EXECUTE format('CREATE TABLE events_p%s PARTITION OF events FOR VALUES FROM (%L) TO (%L) PARTITION BY "
            "RANGE (ts); CREATE TABLE events_p%1$s_default PARTITION OF events_p%1$s DEFAULT', "
            "to_char(lower, 'YYYY_MM'), lower, lower + interval '1 month'); END LOOP; END $$; ANALYZE events"
        )
    report = asyncio.run(maintain.preview(settings(empty_database, retention_days="90"), Request(command="maintain")))
    (table,) = report.tables
    findings = [f for f in table.findings if f.code is Code.UNMANAGED_PARTITION]

    assert {Status.SKIPPED} == {o.status for o in table.outcomes}
    assert {None} == {o.action.bytes for o in table.outcomes}
    assert [Level.WARNING, Level.INFO] == [f.level for f in findings]
    assert all("it is itself partitioned" in f.message for f in findings)


@pytest.mark.parametrize(
    ("made_by", "call"),
    [
        (name, name.removeprefix("pg_partman 4 ").partition(",")[0])
        for name in TOOLS
        if name.startswith("pg_partman 4") and "no default" not in name
    ],
)
def test_the_imitation_is_like_the_original(empty_database: str, made_by: str, call: str) -> None:
    """Where the server has pg_partman 4, its create_parent gives the names and bounds that these tests are made of."""
    tool = TOOLS[made_by]
    available = rows(
        empty_database, "SELECT FROM pg_available_extension_versions WHERE name = 'pg_partman' AND version LIKE '4.%'"
    )
    if not available:
        pytest.skip("this server has no pg_partman 4")
    tool.make(empty_database, back=0, ahead=4)
    imitated = rows(empty_database, BOUNDS), partition_names(empty_database)
    with connect(empty_database) as connection:
        connection.execute(f"DROP TABLE events; SET TimeZone = '{tool.zone}'; CREATE SCHEMA partman".encode())
        connection.execute("CREATE EXTENSION pg_partman SCHEMA partman")
        connection.execute(TABLE.format(key=tool.key).encode())
        connection.execute(
            "SELECT partman.create_parent('public.events', 'ts', 'native', %s, p_start_partition := now()::text)",
            [call],
        )
    (statement,) = said(check(empty_database, timezone=tool.zone), Code.PG_PARTMAN)

    assert imitated == (rows(empty_database, BOUNDS), partition_names(empty_database))
    assert statement.endswith("DELETE FROM partman.part_config WHERE parent_table = 'public.events'")
