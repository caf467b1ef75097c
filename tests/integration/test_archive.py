"""Archive before drop, and the way back, on a real server: no row is ever in neither place."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pyarrow.parquet
import pytest

from pgalmanac import maintain
from pgalmanac.actions import ActionKind, Status
from pgalmanac.archive_restore import as_csv
from pgalmanac.archives import archives
from pgalmanac.config import Layer, Settings
from pgalmanac.maintain import Request
from pgalmanac.model import Interval
from pgalmanac.report import render
from pgalmanac.results import Progress, TableReport
from pgalmanac.table_names import TableRef
from support import add_default, add_partitions, connect, create_events, partition_names, rows, today

if TYPE_CHECKING:
    from pgalmanac.pgserver import Cluster

MAINTAIN = Request(command="maintain")


async def run(conninfo: str, folder: Path | str, request: Request = MAINTAIN, **policy: object) -> TableReport:
    """Perform the request with an archive in *folder* (or at that url) and return the only table's report."""
    url = folder if isinstance(folder, str) else folder.as_uri()
    flags = Layer(values={"archive_url": url, "premake_days": 0, **policy})
    report = await maintain.perform(Settings(dsn=conninfo, flags=flags), request)
    return report.tables[0]


def day(offset: int) -> str:
    """A day as the command line writes it, counted from today."""
    return f"{today() + timedelta(days=offset)}"


def name(offset: int) -> str:
    """The partition of that day."""
    return f"events_{today() + timedelta(days=offset):%Y_%m_%d}"


def read(query: str) -> duckdb.DuckDBPyRelation:
    """What DuckDB finds."""
    found = duckdb.sql(query)
    assert found is not None
    return found


def manifest(folder: Path, offset: int, table: str = "events") -> dict[str, Any]:
    """What stands beside the files of that day."""
    found: dict[str, Any] = json.loads((folder / table / f"day={day(offset)}" / "_manifest.json").read_text())
    return found


@pytest.mark.parametrize("default", [False, True])
async def test_what_is_dropped_was_archived(database: str, tmp_path: Path, default: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Both ways of detaching: each expired day goes, and its manifest says what it was."""
    add_partitions(database, days=[-92, -91, 0], rows_a_day=100)
    if default:
        add_default(database)
    report = await run(database, tmp_path)
    kept = manifest(tmp_path, -92)

    assert (report.dropped, report.failed) == (2, False)
    assert [ActionKind.ARCHIVE, ActionKind.DROP] * 2 == [o.action.kind for o in report.outcomes]
    assert all(o.bytes for o in report.outcomes), "what the archive takes, and what the drop gives back"
    assert name(-92) not in partition_names(database)
    assert rows(database, "SELECT to_regclass(%s)", name(-92)) == [(None,)]
    assert (kept["rows"], kept["partition"], kept["run_id"]) == (100, name(-92), report.run_id)
    assert kept["min"].startswith(day(-92))


async def test_a_dry_run_shows_where_it_would_go(database: str, tmp_path: Path) -> None:
    """The plan has a line for the archive with its place, and one for the drop; nothing is written."""
    add_partitions(database, days=[-92, 0], rows_a_day=10)
    settings = Settings(dsn=database, flags=Layer(values={"archive_url": tmp_path.as_uri(), "premake_days": 0}))
    report = await maintain.preview(settings, MAINTAIN)
    archive, drop = report.tables[0].outcomes
    text = render(report, as_json=False)

    assert (archive.action.kind, drop.action.kind) == (ActionKind.ARCHIVE, ActionKind.DROP)
    assert any("DETACH" in s for s in archive.statements)
    assert "IN SHARE MODE" in archive.statements[-1]
    assert [s for s in drop.statements if "DETACH" in s] == []
    assert f"to\n{tmp_path.as_uri()}"[3:] in text.replace("\n" + " " * 33, "")
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # the other way is refused in a coroutine


CHECKSUM = "SELECT count(*), sum(hashtext(t::text)::int8) FROM"

# Each with the value as a literal, and the type that the file gives it.
VALUES = [
    ("boolean", "true", "bool"),
    ("smallint", "'-32768'", "int16"),
    ("integer", "2147483647", "int32"),
    ("bigint", "'-9223372036854775808'", "int64"),
    ("real", "'0.1'", "float"),
    ("double precision", "'1e-300'", "double"),
    ("double precision", "'NaN'", "double"),
    ("double precision", "'-Infinity'", "double"),
    ("text", "E'a\"b\\n\\\\.\\n,\\t;'", "string"),
    ("text", "''", "string"),
    ("character(5)", "'ab'", "string"),
    ("bytea", "'\\x00ff27225c'", "binary"),
    ("bytea", "''", "binary"),
    ("uuid", "'00112233-4455-6677-8899-aabbccddeeff'", "string"),
    ("date", "'2025-11-02'", "date32"),
    ("date", "'infinity'", "string"),
    ("date", "'10000-01-01'", "string"),
    ("time", "'24:00:00'", "string"),
    ("timestamp", "'9999-12-31 23:59:59.999999'", "timestamp[us]"),
    ("timestamp", "'0001-01-01'", "timestamp[us]"),
    ("timestamp", "'-infinity'", "string"),
    ("timestamp", "'10000-01-01'", "string"),
    ("timestamp", "'0044-03-15 BC'", "string"),
    ("timestamptz", "'2025-11-02 03:04:05.678901+05:30'", "timestamp[us, tz=UTC]"),
    ("timestamptz", "'infinity'", "string"),
    ("timestamptz", "'294276-12-31 23:59:59+00'", "string"),
    ("json", '\'{"b": 1,  "a": 2}\'', "string"),
    ("jsonb", "'{\"n\": 1e400}'", "string"),
    ("numeric", "'12345678901234567890123456789012345678901234567890.10'", "string"),
    ("numeric", "'NaN'", "string"),
    ("numeric", "'Infinity'", "string"),
    ("numeric(38,10)", "'-1234567890123456789012345678.0000000001'", "decimal128(38, 10)"),
    ("numeric(10,2)", "'0.10'", "decimal128(10, 2)"),
    ("numeric(10,2)", "'NaN'", "string"),
    ("numeric(39,2)", "'1.10'", "string"),
    ("numeric(3,-2)", "'12300'", "string"),
    ("inet", "'10.0.0.1/8'", "string"),
    ("cidr", "'2001:db8::/32'", "string"),
    ("macaddr", "'08:00:2b:01:02:03'", "string"),
    ("interval", "'1 year -3 days 04:05:06.789'", "string"),
    ("money", "'1.23'", "string"),
    ("bit varying(8)", "'10101'", "string"),
    ("point", "'(0.1,2)'", "string"),
    ("tsvector", "'a:1 b:2'", "string"),
    ("int4range", "'[1,5)'", "string"),
    ("text[]", "ARRAY['a', NULL, 'c,d', '\"']", "string"),
    ("timestamptz[]", "ARRAY['infinity'::timestamptz, '2025-01-01+00']", "string"),
    ('"Mood"', "'so so'", "string"),
    ("posint", "'7'", "int32"),
    ("pair", "ROW(NULL, NULL)", "string"),
    ("pair", "ROW(1, 'x')", "string"),
]


async def test_every_value_comes_back_as_it_was(empty_database: str, tmp_path: Path) -> None:
    """Each kind of value, and a NULL of each type: what Parquet cannot hold is kept as text, and nothing is altered."""
    with connect(empty_database) as connection:
        # Before 15 no scale is negative.
        newer = connection.info.server_version >= 150000
        values = [v for v in VALUES if newer or v[0] != "numeric(3,-2)"]
        columns = ", ".join(f"c{n} {kind}" for n, (kind, _, _) in enumerate(values))
        literals = ", ".join(f"{value}::{kind}" for kind, value, _ in values)
        connection.execute("CREATE TYPE \"Mood\" AS ENUM ('so so', 'good')")
        connection.execute("CREATE DOMAIN posint AS int CHECK (VALUE > 0)")
        connection.execute("CREATE TYPE pair AS (a int, b text)")
        connection.execute(f"CREATE TABLE t (at timestamptz NOT NULL, {columns}) PARTITION BY RANGE (at)".encode())
        connection.execute("CREATE TABLE t_2025 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')")
        connection.execute(f"INSERT INTO t VALUES ('2025-06-01 12:00:00.000001+00', {literals})".encode())
        connection.execute("INSERT INTO t (at) VALUES ('2025-06-02')")
    made = await run(empty_database, tmp_path, Request(command="archive", target="2025"), interval=Interval.YEARLY)
    assert not made.failed, made.outcomes
    beside = Request(command="restore", target="2025", into=TableRef(name="back"))
    report = await run(empty_database, tmp_path, beside, interval=Interval.YEARLY)
    kept = json.loads((tmp_path / "t" / "year=2025" / "_manifest.json").read_text())
    stored = {c["name"]: c["stored"] for c in kept["columns"]}
    compared = ", ".join(f"(a.c{n}::text IS NOT DISTINCT FROM b.c{n}::text)" for n in range(len(values)))
    same = rows(empty_database, f"SELECT {compared} FROM t a JOIN back b USING (at)")
    types = (
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0"
    )

    assert not report.failed
    assert {f"c{n}": form for n, (_, _, form) in enumerate(values)} == {k: v for k, v in stored.items() if k != "at"}
    assert [(True,) * len(values)] * 2 == same
    assert rows(empty_database, types, "t") == rows(empty_database, types, "back")


async def test_an_empty_partition_and_a_key_of_infinity(empty_database: str, tmp_path: Path) -> None:
    """No rows are an archive too, whose readers still see the columns; an infinite key is kept as text."""
    with connect(empty_database) as connection:
        connection.execute("CREATE TABLE t (at timestamp, n int) PARTITION BY RANGE (at)")
        connection.execute("CREATE TABLE t_2024 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')")
        connection.execute("CREATE TABLE t_rest PARTITION OF t FOR VALUES FROM ('2025-01-01') TO (MAXVALUE)")
        connection.execute("INSERT INTO t VALUES ('infinity', 1), ('2025-03-04', 2), ('12025-03-04', 3)")
    request = Request(command="archive", target="t_2024\0t_rest")
    report = await run(empty_database, tmp_path, request, interval=Interval.YEARLY)
    for partition in ("t_2024", "t_rest"):
        with connect(empty_database) as connection:
            connection.execute(f"CREATE TABLE was_{partition} AS SELECT * FROM {partition}".encode())
            connection.execute(f"DROP TABLE {partition}".encode())
    restored = await run(
        empty_database, tmp_path, Request(command="restore", target="t_2024\0t_rest"), interval=Interval.YEARLY
    )
    empty = read(f"SELECT \"at\", n FROM read_parquet('{tmp_path}/t/year=2024/*.parquet')")

    assert (report.failed, restored.failed) == (False, False)
    assert (empty.columns, empty.fetchall()) == (["at", "n"], [])
    for partition in ("t_2024", "t_rest"):
        assert rows(empty_database, f"{CHECKSUM} {partition} t") == rows(
            empty_database, f"{CHECKSUM} was_{partition} t"
        )


async def test_text_in_no_encoding_is_refused(server: Cluster, tmp_path: Path) -> None:
    """A database in SQL_ASCII says nothing of its bytes, and Parquet wants UTF-8: the partition stays."""
    with connect(server.conninfo()) as connection:
        connection.execute("CREATE DATABASE nameless TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        create_events(server.conninfo("nameless"), days=[-91, 0], rows_a_day=1)
        report = await run(server.conninfo("nameless"), tmp_path)
    finally:
        with connect(server.conninfo()) as connection:
            connection.execute("DROP DATABASE nameless WITH (FORCE)")

    assert report.dropped == 0
    assert "no known encoding" in str([o.error for o in report.outcomes])


async def test_duckdb_reads_what_the_table_had(database: str, tmp_path: Path) -> None:
    """The days of the archive as one table: count, sums and a checksum over the text equal those of before."""
    add_partitions(database, days=[*range(-95, -90), 0], rows_a_day=500)
    query = (
        'SELECT count(*), min("timestamp")::text, sum(id), sum(event_version), count(DISTINCT event_id),'
        " md5(string_agg(event_id::text || '|' || event_type || '|' || (data->>'x') || '|' || aggregate_id || '|'"
        " || \"timestamp\"::text || '|' || \"timestamp\"::date::text, E'\\n' ORDER BY id))"
    )
    with connect(database) as connection:
        connection.execute("UPDATE events SET data = jsonb_build_object('x', id, 'é', E'\\u0001')")
    before = rows(database, f'{query} FROM events WHERE "timestamp" < %s', day(-90))
    await run(database, tmp_path)
    source = f"read_parquet('{tmp_path}/events/*/*.parquet', hive_partitioning = true)"
    after = read(query.replace('"timestamp"::date', "day") + f" FROM {source}").fetchall()

    def plain(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [tuple(int(v) if isinstance(v, Decimal) else v for v in row) for row in found]

    assert before[0][0] == 2500
    assert plain(before) == plain(after)


async def test_what_somebody_writes_by_name_is_archived_or_refused(database: str, tmp_path: Path) -> None:
    """A writer that names the partition waits from before the archive is read until the table is gone."""
    add_partitions(database, days=[-91, 0], rows_a_day=100)
    written: list[str] = []
    over = threading.Event()
    insert = (
        f'INSERT INTO {name(-91)} (event_id, event_type, event_version, "timestamp", aggregate_type, aggregate_id,'
        " data) VALUES (gen_random_uuid(), 'late', 1, %s, 'x', 'y', '{}')"
    )

    def write_by_name() -> None:
        with connect(database) as connection:
            while not over.is_set():
                try:
                    connection.execute(insert.encode(), [day(-91)])
                except psycopg.errors.UndefinedTable:
                    written.append("gone")
                    return
                written.append("in")

    writer = asyncio.create_task(asyncio.to_thread(write_by_name))
    await asyncio.sleep(0.3)  # some rows come before, and some while it is archived
    report = await run(database, tmp_path, retry_seconds=20)
    await asyncio.sleep(0.3)
    over.set()
    await writer

    assert (report.dropped, written[-1]) == (1, "gone")
    assert manifest(tmp_path, -91)["rows"] == 100 + written.count("in")


async def test_what_is_archived_and_not_dropped_is_archived_again(database: str, tmp_path: Path) -> None:
    """A reader keeps the table from going: it stays, and the next run archives it anew, late rows and all."""
    add_partitions(database, days=[-91, 0], rows_a_day=10)
    add_default(database)
    with connect(database) as reader:
        reader.execute("BEGIN")
        first = await run_blocked(database, tmp_path, reader)
        reader.execute("ROLLBACK")
    with connect(database) as connection:
        connection.execute(f"DELETE FROM {name(-91)} WHERE aggregate_id < '5'".encode())
    left = rows(database, f"SELECT count(*) FROM {name(-91)}")[0][0]
    second = await run(database, tmp_path)
    files = sorted(p.name for p in (tmp_path / "events" / f"day={day(-91)}").iterdir())

    assert [(ActionKind.ARCHIVE, Status.DONE), (ActionKind.DROP, Status.FAILED)] == first
    assert (second.dropped, manifest(tmp_path, -91)["rows"]) == (1, left)
    assert len(files) == 2


async def run_blocked(database: str, folder: Path, reader: psycopg.Connection[Any]) -> list[tuple[ActionKind, Status]]:
    """Run while *reader* takes a reader's lock on the table as soon as it is detached."""

    def block(event: object) -> None:
        if isinstance(event, Progress):
            reader.execute(f"SELECT FROM {name(-91)}".encode())

    flags = Layer(values={"archive_url": folder.as_uri(), "premake_days": 0, "retry_seconds": 0})
    report = await maintain.perform(Settings(dsn=database, flags=flags), MAINTAIN, observer=block)
    return [(o.action.kind, o.status) for o in report.tables[0].outcomes]


async def test_the_archive_of_a_day_is_not_overwritten_by_a_new_day(database: str, tmp_path: Path) -> None:
    """The day was archived, dropped, made anew and filled with other rows: both are kept, and a sentence says so."""
    add_partitions(database, days=[-91, 0], rows_a_day=100)
    await run(database, tmp_path)
    before = manifest(tmp_path, -91)
    add_partitions(database, days=[-91], rows_a_day=3)
    report = await run(database, tmp_path)

    assert (before["rows"], manifest(tmp_path, -91)) == (100, before)
    assert (report.dropped, report.failed) == (0, True)
    assert "holds 100 rows of an earlier" in str(report.outcomes[0].error)
    assert rows(database, f"SELECT count(*) FROM {name(-91)}") == [(3,)]


async def test_a_day_that_was_restored_and_expires_again_keeps_its_archive(database: str, tmp_path: Path) -> None:
    """The same rows need no second archive: the first is verified, and the partition goes."""
    add_partitions(database, days=[-91, 0], rows_a_day=100)
    before = rows(database, f"{CHECKSUM} events t")
    await run(database, tmp_path)
    first = manifest(tmp_path, -91)
    restored = await run(database, tmp_path, Request(command="restore", target=day(-91)))
    back = rows(database, f"{CHECKSUM} events t")
    again = await run(database, tmp_path)

    assert (restored.failed, again.dropped) == (False, 1)
    assert before == back
    assert manifest(tmp_path, -91) == first


async def test_an_archive_that_was_damaged_since_does_not_let_its_day_go_again(database: str, tmp_path: Path) -> None:
    """The same rows, and a manifest that says so: but the file is read again, and the partition stays."""
    add_partitions(database, days=[-91, 0], rows_a_day=100)
    await run(database, tmp_path)
    await run(database, tmp_path, Request(command="restore", target=day(-91)))
    (file,) = (tmp_path / "events" / f"day={day(-91)}").glob("*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    again = await run(database, tmp_path)

    assert [Status.FAILED, Status.FAILED] == [o.status for o in again.outcomes]
    assert file.name in str(again.outcomes[0].error)
    assert rows(database, f"SELECT count(*) FROM {name(-91)}") == [(100,)]
    assert name(-91) in partition_names(database)


async def test_an_archive_of_another_database_is_left_alone(database: str, empty_database: str, tmp_path: Path) -> None:
    """Two databases with one url and one table's name: the second is refused."""
    create_events(empty_database)
    for conninfo in (database, empty_database):
        add_partitions(conninfo, days=[-91, 0], rows_a_day=2)
    await run(database, tmp_path)
    report = await run(empty_database, tmp_path)

    assert report.dropped == 0
    assert "url of its own" in str(report.outcomes[0].error)


@pytest.mark.parametrize("harm", ["change", "truncate", "remove", "another"])
async def test_restore_refuses_a_file_that_is_not_as_it_was(database: str, tmp_path: Path, harm: str) -> None:
    """It names the file, and nothing is restored; the list of archives shows what has the wrong size."""
    add_partitions(database, days=[-91, 0], rows_a_day=100)
    await run(database, tmp_path)
    (file,) = (tmp_path / "events" / f"day={day(-91)}").glob("*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    match harm:
        case "change":
            file.write_bytes(content)
        case "truncate":
            file.write_bytes(content[:-1])
        case "another":
            # A file as good as the first, of the same rows and edges: only its sha256 tells.
            table = pyarrow.parquet.read_table(file)
            other = pyarrow.array(["forged"] * table.num_rows)
            place = table.schema.get_field_index("event_type")
            pyarrow.parquet.write_table(table.set_column(place, "event_type", other), file)
        case _:
            file.unlink()
    report = await run(database, tmp_path, Request(command="restore", target=day(-91)))
    flags = Layer(values={"archive_url": tmp_path.as_uri()})
    (listed,) = await archives(Settings(dsn=database, flags=flags))

    assert [Status.FAILED] == [o.status for o in report.outcomes]
    assert file.name in str(report.outcomes[0].error)
    assert name(-91) not in partition_names(database)
    assert rows(database, "SELECT to_regclass(%s)", name(-91)) == [(None,)]
    assert (listed.archived[0].trouble is None) == (harm == "change")


@pytest.mark.parametrize("into", [None, TableRef(name="beside")])
async def test_a_restore_that_loses_a_row_on_its_way_restores_nothing(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, into: TableRef | None
) -> None:
    """What arrived is counted before it is anybody's: as a partition and as a table beside."""
    add_partitions(database, days=[-91, 0], rows_a_day=100)
    await run(database, tmp_path)

    def without_the_last(batch: Any) -> bytes:  # noqa: ANN401  # pyarrow.RecordBatch
        return b"".join(as_csv(batch).splitlines(keepends=True)[:-1])

    monkeypatch.setattr("pgalmanac.archive_restore.as_csv", without_the_last)
    report = await run(database, tmp_path, Request(command="restore", target=day(-91), into=into))

    assert [Status.FAILED] == [o.status for o in report.outcomes]
    assert "has 100 rows" in str(report.outcomes[0].error)
    assert "99 arrived" in str(report.outcomes[0].error)
    assert rows(database, "SELECT to_regclass(%s), to_regclass('beside')", name(-91)) == [(None, None)]


async def test_copies_of_several_days_are_made_one_after_the_other(database: str, tmp_path: Path) -> None:
    """Each in a transaction of its own, and nothing is detached or dropped."""
    add_partitions(database, days=[-3, -2, -1, 0], rows_a_day=10)
    report = await run(database, tmp_path, Request(command="archive", target=f"{day(-3)}..{day(-1)}"))

    assert [(ActionKind.ARCHIVE, Status.DONE)] * 3 == [(o.action.kind, o.status) for o in report.outcomes]
    assert [10, 10, 10] == [manifest(tmp_path, offset)["rows"] for offset in (-3, -2, -1)]
    assert {name(offset) for offset in (-3, -2, -1)} <= set(partition_names(database))


async def test_restore_fits_the_table_of_today(database: str, tmp_path: Path) -> None:
    """A column that came gets its default; one that went is refused with the way around it; a taken day as well."""
    add_partitions(database, days=[-91, 0], rows_a_day=5)
    await run(database, tmp_path)
    with connect(database) as connection:
        connection.execute("ALTER TABLE events ADD COLUMN extra int DEFAULT 7")
    added = await run(database, tmp_path, Request(command="restore", target=day(-91)))
    taken = await run(database, tmp_path, Request(command="restore", target=name(-91)))
    extra = rows(database, f"SELECT DISTINCT extra FROM {name(-91)}")
    with connect(database) as connection:
        connection.execute(f"ALTER TABLE events DETACH PARTITION {name(-91)}; DROP TABLE {name(-91)}".encode())
        connection.execute("ALTER TABLE events DROP COLUMN source")
    dropped = await run(database, tmp_path, Request(command="restore", target=day(-91)))
    beside = Request(command="restore", target=day(-91), into=TableRef(name="beside"))
    aside = await run(database, tmp_path, beside)

    assert (added.failed, extra) == (False, [(7,)])
    assert [Status.REFUSED] == [o.status for o in taken.outcomes]
    assert "has no column source any more" in str(dropped.outcomes[0].error)
    assert (aside.failed, rows(database, "SELECT count(*) FROM beside")) == (False, [(5,)])


async def test_a_type_in_a_manifest_is_no_place_for_statements(database: str, tmp_path: Path) -> None:
    """Who can write to the archive cannot make a restore run SQL of theirs."""
    add_partitions(database, days=[-91, 0], rows_a_day=1)
    await run(database, tmp_path)
    path = tmp_path / "events" / f"day={day(-91)}" / "_manifest.json"
    changed = manifest(tmp_path, -91)
    changed["columns"][0]["type"] = "bigint); CREATE TABLE owned ("
    path.write_text(json.dumps(changed))
    report = await run(database, tmp_path, Request(command="restore", target=day(-91), into=TableRef(name="beside")))

    assert report.failed
    assert rows(database, "SELECT to_regclass('owned'), to_regclass('beside')") == [(None, None)]


@pytest.mark.parametrize("default", [False, True])
async def test_a_target_that_is_not_there_detaches_nothing(database: str, tmp_path: Path, default: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """The store is tried before the partition leaves its table; the run goes on with what else there is."""
    add_partitions(database, days=[-91, 0], rows_a_day=1)
    if default:
        add_default(database)
    report = await run(database, tmp_path / "nowhere", premake_days=2)

    assert (report.created, report.dropped, report.failed) == (2, 0, True)
    assert [Status.FAILED] * 2 == [o.status for o in report.outcomes if o.action.kind is not ActionKind.CREATE]
    assert "not a folder of this machine" in str(report.outcomes[-2].error)
    assert "it is not archived, so it stays" in str(report.outcomes[-1].error)
    assert name(-91) in partition_names(database)


async def test_a_column_called_like_the_folder(empty_database: str, tmp_path: Path) -> None:
    """A reader would take the folder's day for the column's: the folder gives way."""
    with connect(empty_database) as connection:
        connection.execute('CREATE TABLE t ("Day" int, at date) PARTITION BY RANGE (at)')
        connection.execute("CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2025-11-02') TO ('2025-11-03')")
        connection.execute("INSERT INTO t VALUES (4711, '2025-11-02')")
    await run(empty_database, tmp_path, Request(command="archive", target="2025-11-02"))
    found = read(f"SELECT \"Day\", partition_day::text FROM '{tmp_path}/t/*/*.parquet'").fetchall()

    assert [(4711, "2025-11-02")] == found
