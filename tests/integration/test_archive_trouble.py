"""What goes wrong while a partition is archived: killed anywhere, disk full, store gone. No row is lost."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet
import pytest
from psycopg import sql

from pgalmanac import apply, archive_parquet, archive_source, archive_write, ddl, execute_archive, maintain, overview
from pgalmanac.actions import ActionKind, Status
from pgalmanac.archive_store import Store, open_store
from pgalmanac.archives import archives
from pgalmanac.config import Layer, Settings
from pgalmanac.errors import ArchiveError, PrivilegeError, StoreError
from pgalmanac.findings import Code
from pgalmanac.maintain import Request
from pgalmanac.plan import Plan
from pgalmanac.policy import ArchiveTarget
from pgalmanac.recorder import Recorder
from pgalmanac.results import Progress, TableReport
from support import add_default, add_partitions, add_rows, connect, partition_names, rows, today
from under_fire import mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pgalmanac.archive_manifest import Manifest
    from pgalmanac.archive_source import Source
    from pgalmanac.archive_write import Watch
    from pgalmanac.db import Session
    from pgalmanac.ddl import Statement
    from pgalmanac.model import PartitionedTable
    from pgalmanac.table_names import TableName

DAY: Final = f"{today() - timedelta(days=91)}"
NAME: Final = f"events_{today() - timedelta(days=91):%Y_%m_%d}"
ROWS: Final = 2000
MAINTAIN = Request(command="maintain")
BACK: Final = "called off; it is attached again"

# Runs maintain or restore, and ends it as kill -9 would when it comes to a function, or from it.
KILLED: Final = """
import asyncio, functools, importlib, inspect, os, signal, sys
dsn, url, command, module, path, when = sys.argv[1:]
from pgalmanac import archive_source, maintain
from pgalmanac.config import Layer, Settings
from pgalmanac.errors import PrivilegeError
archive_source.BATCH_BYTES = 1 << 16
owner = importlib.import_module(module)
*above, name = path.split(".")
for part in above:
    owner = getattr(owner, part)
real = getattr(owner, name)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
@functools.wraps(real)
async def coroutine(*a, **k):
    when == "before" and die()
    await real(*a, **k)
    die()
@functools.wraps(real)
def function(*a, **k):
    when == "before" and die()
    real(*a, **k)
    die()
setattr(owner, name, coroutine if inspect.iscoroutinefunction(real) else function)
settings = Settings(dsn=dsn, flags=Layer(values={"archive_url": url, "premake_days": 0}))
target = sys.argv[3].partition(" ")[2]
asyncio.run(maintain.perform(settings, maintain.Request(command=command.partition(" ")[0], target=target)))
"""

# The command itself, which says when it writes an archive, and waits there until it is called off.
WRITES: Final = """
import sys, time
from pgalmanac import cli, execute_archive
def waits(store, folder, source, draft, watch):
    print("writing", flush=True)
    while True:
        watch.stopped()
        time.sleep(0.01)
execute_archive.write = waits
sys.exit(cli.main(sys.argv[1:]))
"""


def settings(conninfo: str, url: str, **policy: object) -> Settings:
    """Settings with an archive at *url*, and nothing to be created."""
    return Settings(dsn=conninfo, flags=Layer(values={"archive_url": url, "premake_days": 0, **policy}))


async def run(conninfo: str, url: str, request: Request = MAINTAIN, **policy: object) -> TableReport:
    """Perform the request and return the only table's report; another run's lock is waited for."""
    for _ in range(100):
        report = (await maintain.perform(settings(conninfo, url, **policy), request)).tables[0]
        if not report.locked:
            return report
        await asyncio.sleep(0.1)
    raise AssertionError("a killed run kept its lock")


def kill(conninfo: str, url: str, command: str, point: str) -> None:
    """Run *command* until *point* (`module function before|after`), which ends it."""
    module, function, when = point.split()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, conninfo, url, command, f"pgalmanac.{module}", function, when],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def in_database(conninfo: str) -> int:
    """The rows of the day, wherever its table is."""
    if rows(conninfo, "SELECT to_regclass(%s)", NAME) == [(None,)]:
        return 0
    return int(rows(conninfo, f"SELECT count(*) FROM {NAME}")[0][0])


def in_archive(folder: Path) -> int:
    """The rows that an archive with a manifest has, as DuckDB counts them; -1 when they are not what it says."""
    day = folder / "events" / f"day={DAY}"
    if not (day / "_manifest.json").exists():
        return 0
    made = json.loads((day / "_manifest.json").read_text())
    files = made["files"]
    found = sum(duckdb.read_parquet(str(day / f["name"])).aggregate("count(*)").fetchall()[0][0] for f in files)
    return int(found) if found == made["rows"] else -1


def files_below(folder: Path) -> list[str]:
    """Every file, however deep."""
    return [name for _, _, names in os.walk(folder) for name in names]


@pytest.fixture
def expired(database: str) -> str:
    """Give a database with one expired day of 2,000 rows, and today's partition."""
    add_partitions(database, days=[-91], rows_a_day=ROWS)
    add_partitions(database, days=[0])
    return database


@pytest.mark.parametrize(
    "point",
    [
        "execute_archive archive before",  # detached, and not locked yet
        "archive_parquet FileWriter.add after",  # half a file
        "archive_store Store.settle after",  # the probe's file; the first of the archive is not begun
        "archive_write _compare before",  # files, and no manifest
        "execute_archive write after",  # archived, and the lock is lost before the drop
        "execute_archive drop_held before",
        "execute_archive drop_held after",
    ],
)
async def test_killed_while_it_archives(expired: str, tmp_path: Path, point: str) -> None:
    """At every moment the rows are in the database or in a whole archive, and the next run finishes."""
    kill(expired, tmp_path.as_uri(), "maintain", point)
    database, archive = in_database(expired), in_archive(tmp_path)
    report = await run(expired, tmp_path.as_uri())
    files = files_below(tmp_path)

    assert (database == ROWS) or (database, archive) == (0, ROWS)
    assert archive in {0, ROWS}
    assert (report.failed, in_database(expired), in_archive(tmp_path)) == (False, 0, ROWS)
    assert sorted(n.endswith(".parquet") for n in files) == [False, True]


@pytest.mark.parametrize(
    "point",
    [
        "execute_archive load before",
        "archive_restore as_csv after",
        "execute_archive load after",
        "execute_archive restore after",
    ],
)
async def test_killed_while_it_restores(expired: str, tmp_path: Path, point: str) -> None:
    """Nothing is restored or all of it is; the archive is what it was."""
    await run(expired, tmp_path.as_uri())
    kill(expired, tmp_path.as_uri(), f"restore {DAY}", point)
    database = in_database(expired)
    report = await run(expired, tmp_path.as_uri(), Request(command="restore", target=DAY))

    assert database == (ROWS if point.endswith("restore after") else 0)
    assert [Status.REFUSED if database else Status.DONE] == [o.status for o in report.outcomes]
    assert (in_database(expired), in_archive(tmp_path)) == (ROWS, ROWS)
    assert NAME in partition_names(expired)


async def called_off(conninfo: str, folder: Path, started: asyncio.Event) -> str:
    """A run that is called off once it has *started*; what the history says of it."""
    task = asyncio.create_task(maintain.perform(settings(conninfo, folder.as_uri()), MAINTAIN))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    ((status, error),) = rows(conninfo, "SELECT status, error FROM housekeeper_runs")
    assert status == "error"
    return str(error)


@pytest.fixture
async def writing(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let the writer of an archive wait before it reads back, until the run is called off; set when it waits."""
    started, real, loop = asyncio.Event(), archive_write.write, asyncio.get_running_loop()

    def waits(store: Store, folder: str, source: Source, draft: Manifest, watch: Watch) -> Manifest:
        def stopped() -> None:
            loop.call_soon_threadsafe(started.set)
            while True:
                watch.stopped()
                time.sleep(0.01)

        return real(store, folder, source, draft, replace(watch, stopped=stopped))

    monkeypatch.setattr(execute_archive, "write", waits)
    return started


@pytest.mark.parametrize("default", [False, True])
async def test_called_off_while_it_writes(
    expired: str,
    tmp_path: Path,
    writing: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
    default: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """What it wrote is taken back, the partition is attached again, and the history says so; the next one finishes."""
    if default:
        add_default(expired)
    error = await called_off(expired, tmp_path, writing)
    actions = rows(expired, "SELECT action, status, error FROM housekeeper_run_actions")
    readable, archive = as_it_was(expired), in_archive(tmp_path)
    monkeypatch.undo()
    report = await run(expired, tmp_path.as_uri())

    assert error == f"interrupted; archive public.{NAME} failed: {BACK}"
    assert actions == [("archive", "failed", BACK)]
    assert (readable, archive) == (True, 0)
    assert (report.dropped, in_archive(tmp_path)) == (1, ROWS)


def test_the_service_is_stopped_while_it_archives(expired: str, tmp_path: Path) -> None:
    """SIGTERM: one sentence in the journal, the code of a wanted stop, and the partition is in its place."""
    words = ["maintain", "--dsn", expired, "--table", "events", "--archive-url", tmp_path.as_uri()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, *words, "--retention-days", "90"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)

    assert said == "writing\n"
    assert (process.returncode, err) == (143, f"pgalmanac: terminated; archive public.{NAME} failed: {BACK}\n")
    assert as_it_was(expired)


@pytest.mark.parametrize("where", ["between", "in the drop"])
async def test_called_off_when_it_is_archived_and_not_dropped(
    expired: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The partition is attached again then too; the archive is whole, and is taken for what it is by the next run."""
    started = asyncio.Event()

    async def waits(*_: object, **__: object) -> None:
        started.set()
        await asyncio.sleep(3600)

    monkeypatch.setattr(*((Recorder, "record", waits) if where == "between" else (execute_archive, "drop_held", waits)))
    error = await called_off(expired, tmp_path, started)
    readable = as_it_was(expired)
    monkeypatch.undo()
    report = await run(expired, tmp_path.as_uri())

    assert error == f"interrupted; drop public.{NAME} failed: called off after it was archived; it is attached again"
    assert readable
    assert (report.dropped, in_archive(tmp_path)) == (1, ROWS)


async def test_called_off_in_the_middle_of_its_detach(
    expired: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody reads the table, so that nothing can be ended: the history says so, and the next run ends it."""
    detach, pending = ddl.detach_concurrently, asyncio.Event()

    async def looks() -> None:
        while not rows(expired, "SELECT FROM pg_inherits WHERE inhdetachpending"):  # noqa: ASYNC110  # the server's
            await asyncio.sleep(0.01)
        pending.set()

    with connect(expired) as reader:

        def read(parent: PartitionedTable, name: TableName) -> Statement:
            if rows(expired, "SELECT obj_description(%s::regclass)", NAME) != [(None,)]:  # it is marked: now it begins
                reader.execute("BEGIN; SELECT FROM ONLY events")
            return detach(parent, name)

        monkeypatch.setattr(ddl, "detach_concurrently", read)
        looking = asyncio.create_task(looks())
        error = await called_off(expired, tmp_path, pending)
        await looking
        monkeypatch.undo()
        found = await overview.status(settings(expired, tmp_path.as_uri()))
    report = await run(expired, tmp_path.as_uri())

    assert "its detach was begun, and queries on public.events do not see its rows until the next maintain" in error
    assert [Code.DETACH_PENDING] == [f.code for f in found.tables[0].findings]
    assert (report.dropped, in_archive(tmp_path)) == (1, ROWS)


async def test_called_off_and_not_to_be_attached_in_time(
    expired: str, tmp_path: Path, writing: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody reads the table for longer: history, check and status say where the rows are, and the way back."""
    monkeypatch.setattr(apply, "PUT_BACK_SECONDS", 1)
    with connect(expired) as reader:
        reader.execute("BEGIN")
        later = asyncio.create_task(called_off(expired, tmp_path, writing))
        await writing.wait()
        reader.execute(f"SELECT FROM {NAME} LIMIT 1".encode())
        error = await later
    found = await maintain.check(settings(expired, tmp_path.as_uri()))
    shown = await overview.status(settings(expired, tmp_path.as_uri()))
    back = await run(expired, tmp_path.as_uri(), Request(command="undrop", target=NAME))

    assert f"its rows: SELECT * FROM public.{NAME}" in error
    for text in (
        error,
        *(f.message for r in (found, shown) for f in r.tables[0].findings if f.code is Code.ORPHAN_TABLE),
    ):
        assert f"pgalmanac undrop {NAME} --table public.events attaches it again" in text
    assert [1, 1] == [[f.code for f in r.tables[0].findings].count(Code.ORPHAN_TABLE) for r in (found, shown)]
    assert back.attached == 1
    assert in_database(expired) == ROWS


@contextmanager
def small_disk(folder: Path, options: str) -> Generator[None]:
    """A small file system on *folder*, where one may be mounted."""
    with ExitStack() as stack:
        try:
            stack.enter_context(mounted(folder, options))
        except PermissionError as exc:
            pytest.skip(str(exc))
        yield


def as_it_was(conninfo: str) -> bool:
    """Whether queries on the table see the day, and nothing says that it was about to go."""
    ((count,),) = rows(conninfo, 'SELECT count(*) FROM events WHERE "timestamp" < %s', str(today()))
    ((words, checks),) = rows(
        conninfo,
        "SELECT obj_description(oid), ARRAY(SELECT conname FROM pg_constraint WHERE conrelid = c.oid AND contype = 'c')"
        " FROM pg_class c WHERE relname = %s",
        NAME,
    )
    return (count, words, checks) == (ROWS, None, [])


@pytest.mark.parametrize("default", [False, True])
async def test_a_disk_that_is_full(expired: str, tmp_path: Path, default: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Everything is as before the run, nothing looks complete, and when there is room the next run finishes."""
    if default:
        add_default(expired)
    with small_disk(tmp_path, "size=32k"):
        report = await run(expired, tmp_path.as_uri())
        looks = files_below(tmp_path)
        readable = as_it_was(expired)
    again = await run(expired, tmp_path.as_uri())

    assert [Status.FAILED, Status.FAILED] == [o.status for o in report.outcomes]
    assert "make room there" in str(report.outcomes[0].error)
    assert str(report.outcomes[0].error).endswith("it is attached again")
    assert (readable, looks) == (True, [])
    assert (again.dropped, in_archive(tmp_path)) == (1, ROWS)


async def test_a_store_that_keeps_saying_no_is_not_tried_for_every_partition(expired: str, tmp_path: Path) -> None:
    """Two are detached, written in vain and attached again; the others are left where they are, and all come next."""
    add_partitions(expired, days=[-95, -94, -93, -92], rows_a_day=ROWS)
    with small_disk(tmp_path, "size=32k"):
        report = await run(expired, tmp_path.as_uri())
    left = rows(expired, "SELECT count(*) FROM events")
    again = await run(expired, tmp_path.as_uri())

    archiving = [o for o in report.outcomes if o.action.kind is ActionKind.ARCHIVE]
    assert [Status.FAILED] * 5 == [o.status for o in archiving]
    assert [False, False, True, True, True] == [str(o.error).startswith("not tried: ") for o in archiving]
    assert all("make room there" in str(o.error) for o in archiving)
    assert [(5 * ROWS,)] == left
    assert 5 == again.dropped


async def test_an_archive_that_fails_after_one_that_did_not_is_undone_as_well(
    expired: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was dropped before it is no business of the one that failed, which is attached again."""
    add_partitions(expired, days=[-92], rows_a_day=ROWS)
    settle = Store.settle

    def refused(self: Store, path: str) -> None:
        if f"day={DAY}" in path:
            raise StoreError(f"{path} cannot be had (no room)", hint="make room there")
        settle(self, path)

    monkeypatch.setattr(Store, "settle", refused)
    report = await run(expired, tmp_path.as_uri())

    assert [Status.DONE, Status.DONE, Status.FAILED, Status.FAILED] == [o.status for o in report.outcomes]
    assert str(report.outcomes[2].error).endswith("it is attached again")
    assert as_it_was(expired)


async def test_an_archive_that_fails_is_undone_though_nobody_can_say_why(
    expired: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog cannot be asked what is behind the server's refusal: the table is attached again all the same."""

    async def refused(session: Session, **_: object) -> None:
        await session.execute("SELECT FROM public.not_there")

    async def unanswered(session: Session, *_: object) -> None:
        await session.execute("SELECT 1 / 0")

    monkeypatch.setattr(execute_archive, "read_source", refused)
    monkeypatch.setattr(apply, "called_by_now", unanswered)
    report = await run(expired, tmp_path.as_uri())

    assert Status.FAILED is report.outcomes[0].status
    assert "not_there" in str(report.outcomes[0].error)
    assert str(report.outcomes[0].error).endswith("it is attached again")
    assert as_it_was(expired)


async def test_a_pin_that_comes_before_the_archive_keeps_the_table_out_of_it(expired: str, tmp_path: Path) -> None:
    """An earlier run was killed once it had detached it; between this plan and its archive somebody pins it."""
    kill(expired, tmp_path.as_uri(), "maintain", "execute_archive archive before")

    def pins(event: object) -> None:
        if isinstance(event, Plan):
            with connect(expired) as connection:
                ((words,),) = connection.execute("SELECT obj_description(%s::regclass, 'pg_class')", [NAME]).fetchall()
                pinned = f'{words}\npgalmanac-pin: {{"reason": "audit"}}'
                connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(NAME), pinned))

    async def once() -> TableReport:
        return (await maintain.perform(settings(expired, tmp_path.as_uri()), MAINTAIN, observer=pins)).tables[0]

    table = await once()
    while table.locked:  # by the backend of the killed run
        await asyncio.sleep(0.1)
        table = await once()

    outcomes = {o.action.kind: (o.status, o.error) for o in table.outcomes}
    assert outcomes[ActionKind.ARCHIVE][0] is Status.SKIPPED
    assert str(outcomes[ActionKind.ARCHIVE][1]).startswith("pinned: audit")
    assert (in_archive(tmp_path), files_below(tmp_path)) == (0, [])
    assert rows(expired, "SELECT to_regclass(%s) IS NOT NULL", NAME) == [(True,)]


async def test_what_cannot_be_attached_again_says_where_it_is(
    expired: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row for the day came into the default partition meanwhile: the report and check say what there is to do."""
    add_default(expired)
    settle = Store.settle

    def gone(self: Store, path: str) -> None:
        if path.endswith(".parquet"):  # the only file, and all of it
            add_rows(expired, day=-91, count=1)
            shutil.rmtree(tmp_path)  # the store is gone
        settle(self, path)

    monkeypatch.setattr(Store, "settle", gone)
    report = await run(expired, tmp_path.as_uri())
    monkeypatch.undo()
    found = await maintain.check(settings(expired, tmp_path.as_uri()))
    os.mkdir(tmp_path)  # noqa: PTH102  # the other way is refused in a coroutine
    again = await run(expired, tmp_path.as_uri())

    assert f"it is detached, its rows: SELECT * FROM public.{NAME}; pgalmanac undrop {NAME}" in str(
        report.outcomes[0].error
    )
    assert "would be violated by some row" in str(report.outcomes[0].error)
    assert [
        "queries on public.events do not see its rows" in f.message
        for f in found.tables[0].findings
        if f.code is Code.ORPHAN_TABLE
    ] == [True]
    assert (again.dropped, in_archive(tmp_path)) == (1, ROWS)


async def test_a_killed_run_and_then_a_store_that_is_down(expired: str, tmp_path: Path) -> None:
    """What the killed one left detached is attached again, for nobody knows how long the store is away."""
    kill(expired, tmp_path.as_uri(), "maintain", "archive_write _compare before")
    detached = NAME not in partition_names(expired)
    away = (tmp_path / "away").as_uri()
    report = await run(expired, away)

    assert detached
    assert str(report.outcomes[0].error).endswith("it is attached again")
    assert as_it_was(expired)


async def test_a_folder_that_is_not_writable(expired: str, tmp_path: Path) -> None:
    """It is found out before the partition is detached."""
    with small_disk(tmp_path, "size=32k,ro"):
        report = await run(expired, tmp_path.as_uri())

    assert [Status.FAILED, Status.FAILED] == [o.status for o in report.outcomes]
    assert "let this account write there" in str(report.outcomes[0].error)
    assert NAME in partition_names(expired)


@pytest.mark.parametrize(
    ("column", "where", "says"),
    [
        ("event_type", "encoder", "does not read back as it was written"),
        ("timestamp", "driver", "and the server counted"),
    ],
)
async def test_a_library_that_alters_a_value(  # fixtures and parameters
    expired: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, where: str, says: str
) -> None:
    """One value of 2,000 is another one, with as many rows: it is found by reading back, and the partition stays."""

    def altered(batch: pa.RecordBatch) -> pa.RecordBatch:
        place = batch.schema.get_field_index(column)
        kind = batch.schema.field(place).type
        values = batch.column(place)
        other = pa.array(["forged"]) if column == "event_type" else pa.array([0], pa.int64())
        values = pa.concat_arrays([other.cast(kind), values.slice(1)])
        return batch.set_column(place, batch.schema.field(place), values)

    if where == "encoder":
        real = pyarrow.parquet.ParquetWriter.write_batch
        monkeypatch.setattr(
            pyarrow.parquet.ParquetWriter, "write_batch", lambda self, batch, **more: real(self, altered(batch), **more)
        )
    else:
        monkeypatch.setattr(
            "pgalmanac.archive_write.convert", lambda batch, schema: altered(archive_parquet.convert(batch, schema))
        )
    report = await run(expired, tmp_path.as_uri())

    assert says in str(report.outcomes[0].error)
    assert (files_below(tmp_path), as_it_was(expired)) == ([], True)


def test_a_folder_that_has_gone_is_not_made_anew(tmp_path: Path) -> None:
    """What was mounted when the run began may be gone in its middle: the disk below must not be filled instead."""
    target = ArchiveTarget(url=(tmp_path / "archive").as_uri())
    (tmp_path / "archive").mkdir()
    store = open_store(target)
    (tmp_path / "archive").rmdir()

    with pytest.raises(ArchiveError, match="cannot be had"):
        store.create("events/day=2025-11-02/part-0.parquet")
    assert list(tmp_path.iterdir()) == []


class Moto:
    """An S3 of its own, as a process that can be killed."""

    def __init__(self, *, strict: bool = False) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # The two requests that make the bucket need no credentials; all others are checked.
        environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "2"} if strict else dict(os.environ)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.endpoint = f"http://127.0.0.1:{self.port}"
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.files("x", "y", allow_bucket_creation=True).create_dir("bucket")

    def files(self, key: str = "test", secret: str = "test", **more: bool) -> pyarrow.fs.S3FileSystem:  # noqa: S107  # moto's own
        """Look at the buckets from aside."""
        return pyarrow.fs.S3FileSystem(
            access_key=key, secret_key=secret, endpoint_override=self.endpoint, region="us-east-1", **more
        )

    def kill(self) -> None:
        """End it as a cut cable would."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., Moto]]:
    """Give a function that starts a store with a bucket called bucket; the credentials are in the environment."""
    made: list[Moto] = []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def start(*, strict: bool = False) -> Moto:
        made.append(Moto(strict=strict))
        return made[-1]

    yield start
    for moto in made:
        moto.kill()


async def test_a_bucket_holds_what_a_folder_holds(expired: str, s3: Callable[..., Moto]) -> None:
    """Archived, listed, refused when a file is cut short, and restored, with an endpoint from the configuration."""
    store = s3()
    before = rows(expired, "SELECT count(*), sum(hashtext(e::text)::int8) FROM events e")
    policy: dict[str, Any] = {"archive_endpoint": store.endpoint, "archive_region": "us-east-1"}
    url = "s3://bucket/my%20archive"
    report = await run(expired, url, **policy)
    (listed,) = await archives(settings(expired, url, **policy))
    made = listed.archived[0].manifest
    assert made is not None
    path = f"bucket/my archive/events/day={DAY}/{made.files[0].name}"
    with store.files().open_input_stream(path) as file:
        content = file.read()
    with store.files().open_output_stream(path) as file:
        file.write(content[:-7])
    cut = await run(expired, url, Request(command="restore", target=DAY), **policy)
    with store.files().open_output_stream(path) as file:
        file.write(content)
    restored = await run(expired, url, Request(command="restore", target=DAY), **policy)

    assert (report.dropped, report.failed, made.rows) == (1, False, ROWS)
    assert made.files[0].name in str(cut.outcomes[0].error)
    assert not restored.failed
    assert rows(expired, "SELECT count(*), sum(hashtext(e::text)::int8) FROM events e") == before


@pytest.mark.parametrize("trouble", ["credentials", "bucket", "endpoint"])
async def test_a_store_that_says_no(expired: str, s3: Callable[..., Moto], trouble: str) -> None:
    """Wrong credentials, no such bucket, nobody there: said in a sentence, with the partition where it was."""
    store = s3(strict=trouble == "credentials")
    if trouble == "endpoint":
        store.kill()
    url = "s3://elsewhere/a" if trouble == "bucket" else "s3://bucket/a"
    report = await run(expired, url, archive_endpoint=store.endpoint, archive_region="us-east-1")
    remedies = {
        "credentials": "check the credentials",
        "bucket": "make the bucket",
        "endpoint": "is the store reachable",
    }

    assert [Status.FAILED, Status.FAILED] == [o.status for o in report.outcomes]
    assert remedies[trouble] in str(report.outcomes[0].error)
    assert NAME in partition_names(expired)


async def test_a_network_that_goes_half_way(
    expired: str, tmp_path: Path, s3: Callable[..., Moto], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store dies while rows go to it: they stay in their table, and the next run archives them elsewhere."""
    monkeypatch.setattr(archive_source, "BATCH_BYTES", 1 << 16)
    first = s3()

    def cut(event: object) -> None:
        if isinstance(event, Progress):
            first.kill()

    config = settings(expired, "s3://bucket/a", archive_endpoint=first.endpoint, archive_region="us-east-1")
    report = (await maintain.perform(config, MAINTAIN, observer=cut)).tables[0]
    readable = as_it_was(expired)
    again = await run(expired, tmp_path.as_uri())

    assert [(ActionKind.ARCHIVE, Status.FAILED), (ActionKind.DROP, Status.FAILED)] == [
        (o.action.kind, o.status) for o in report.outcomes
    ]
    assert readable
    assert (again.dropped, in_database(expired), in_archive(tmp_path)) == (1, 0, ROWS)


async def test_what_an_interrupted_upload_left_is_no_archive(expired: str, s3: Callable[..., Moto]) -> None:
    """Objects without a manifest are listed as what they are, cannot be restored, and go with the next run."""
    store = s3()
    policy: dict[str, Any] = {"archive_endpoint": store.endpoint, "archive_region": "us-east-1"}
    left = f"bucket/events/day={DAY}/part-0badcafe-00000.parquet"
    with store.files().open_output_stream(left) as file:
        file.write(b"half")
    (listed,) = await archives(settings(expired, "s3://bucket", **policy))
    await run(expired, "s3://bucket", **policy)
    names = [i.base_name for i in store.files().get_file_info(pyarrow.fs.FileSelector(f"bucket/events/day={DAY}"))]

    assert "no manifest" in str(listed.archived[0].trouble)
    assert len(names) == 2
    assert "part-0badcafe-00000.parquet" not in names


async def test_pg_roles_without_rights(expired: str, tmp_path: Path, make_role: Callable[..., str]) -> None:
    """A role that may not read the table archives nothing, and so drops nothing."""
    role = make_role()
    with connect(expired) as connection:
        connection.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {role}".encode())
    with pytest.raises(PrivilegeError):
        await run(f"{expired} user={role}", tmp_path.as_uri())

    assert (in_database(expired), NAME in partition_names(expired)) == (ROWS, True)
