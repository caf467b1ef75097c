"""Writers, readers and a checker around a maintenance run that something happens to.

The load goes through the parent, as an application's would. Every row has an id of its own, so that the end can tell
exactly which rows should be there. With a grace or an archive another watcher asks all the time where the rows of the
expired days are, and the end looks for each of them in the table, in the trash and in the archive.

Times are measured and reported; whether they are short is for the reader of the report to say, not for a test: a test
asserts only on what was lost, failed or left behind.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import psycopg

from pgalmanac.inspection import Request
from pgalmanac.table_names import TableName
from support import connect, rows
from under_fire import age, create_log, maintain, midnight, todo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

__all__ = ["Bench", "Report", "Rig", "Tally"]

ROOT: Final = Path(__file__).resolve().parents[3]
# The expired days come first in time and keep their rows out of the count that must never shrink.
EXPIRED: Final = (-12, -11, -10)
# With a grace this one lies in the trash when the load begins, and its grace has ended.
ENDED: Final = -13
TRASH: Final = "pgalmanac_trash"
KEPT: Final = (-3, -2, -1, 0, 1)
STRAY_DAY: Final = 3
ROWS_A_DAY: Final = 2000
# A server that restarts ends sessions; an application connects again, and nothing of ours made that insert fail.
_SERVER_GONE: Final = ("57P01", "57P02", "57P03", "08000", "08003", "08006")


@dataclass(slots=True)
class Tally:
    """What the load has seen. Stalls are in ms."""

    inserted: int = 0
    worst_ms: float = 0.0
    stalls: list[float] = field(default_factory=list[float])
    failed: list[str] = field(default_factory=list[str])
    lost_sessions: int = 0
    looks: int = 0
    missed: list[str] = field(default_factory=list[str])
    failed_looks: list[str] = field(default_factory=list[str])
    searches: int = 0
    nowhere: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of one fault."""

    fault: str
    tally: Tally
    seconds: float
    exit_codes: tuple[int | None, ...]
    missing_rows: int
    doubled_rows: int
    foreign_rows: int
    lost_rows: int
    left_to_do: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, failed or left behind."""
        return not (
            self.tally.failed
            or self.tally.missed
            or self.tally.failed_looks
            or self.tally.nowhere
            or self.missing_rows
            or self.doubled_rows
            or self.foreign_rows
            or self.lost_rows
            or self.left_to_do
            or self.problems
        )

    def __str__(self) -> str:
        """One line of the table."""
        t = self.tally
        kept = f"  searches {t.searches:4}  in no place {len(t.nowhere) + self.lost_rows}" if t.searches else ""
        return (
            f"{self.fault:28} worst insert {t.worst_ms:7.0f} ms  inserts {t.inserted:6}  failed {len(t.failed)}"
            f"  looks {t.looks:5}  missed {len(t.missed)}  failed looks {len(t.failed_looks)}"
            f"  rows missing {self.missing_rows} doubled {self.doubled_rows} foreign {self.foreign_rows}{kept}"
            f"  exits {','.join(map(str, self.exit_codes))}  {'sound' if self.sound else 'UNSOUND'}"
        )


class Rig:
    """One table under load. `with` starts the load and ends it."""

    def __init__(
        self,
        conninfo: str,
        *,
        default: bool,
        writers: int = 2,
        rate: float = 100.0,
        grace: bool = False,
        archive: Path | None = None,
    ) -> None:
        """Prepare the load on *conninfo*; *rate* is inserts a second and writer, 0 for as many as it can.

        With *grace* what is dropped goes to the trash; *archive* is the folder into which what is dropped goes first.
        """
        self.conninfo = conninfo
        self.default = default
        # Whether writers also write into a day that has no partition yet, where a default partition takes it.
        self.stray = default
        self.tally = Tally()
        self.grace = grace
        self.archive = archive
        # Days that a fault itself has dropped, past everything that keeps rows.
        self.given_up: set[int] = set()
        # What has to be somewhere: the day, its table's oid and its ids.
        self._kept: dict[int, tuple[int, range]] = {}
        self._rate = rate
        self._writers = writers
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._next = 1
        self._started = 0
        # Ids by fate: written for sure, or in flight when the server went away.
        self.certain: set[int] = set()
        self.perhaps: set[int] = set()

    @property
    def policy(self) -> dict[str, Any]:
        """The settings of grace and archive that every run has."""
        return {
            **({"grace_days": 1} if self.grace else {}),
            **({"archive_url": self.archive.as_uri()} if self.archive else {}),
        }

    def prepare(self) -> None:
        """Make the table: expired days (their ids are negative), kept days, perhaps a default partition."""
        create_log(self.conninfo, default=self.default)
        ended = (ENDED,) if self.grace else ()
        for day in (*ended, *EXPIRED, *KEPT):
            ids = self._fill(day)
            if day in KEPT:
                self.certain.update(ids)
            elif self.archive or (self.grace and day != ENDED):
                ((oid,),) = rows(self.conninfo, f"SELECT 'log_{midnight(day):%Y_%m_%d}'::regclass::oid::int8")
                self._kept[day] = (oid, ids)
        self._started = len(self.certain)
        if ended:
            request = Request(command="drop", target=f"{midnight(ENDED):%Y-%m-%d}")
            maintain(self.conninfo, request=request, grace_days=1)
            age(self.conninfo, f"log_{midnight(ENDED):%Y_%m_%d}", 3)

    def _fill(self, day: int) -> range:
        """Make the partition of a day with its rows, and give their ids as positive numbers."""
        ids = range(self._next, self._next + ROWS_A_DAY)
        self._next = ids.stop
        lower, sign = midnight(day), 1 if day in KEPT else -1
        with connect(self.conninfo) as connection:
            connection.execute(
                f"CREATE TABLE log_{lower:%Y_%m_%d} PARTITION OF log "
                f"FOR VALUES FROM ('{lower}') TO ('{midnight(day + 1)}')".encode()
            )
            connection.execute(
                f"INSERT INTO log SELECT {sign} * n, '{lower}'::timestamptz + (n - {ids.start}) * interval '10 s' "
                f"FROM generate_series({ids.start}, {ids.stop - 1}) n".encode()
            )
        return ids

    @property
    def days(self) -> tuple[datetime, ...]:
        """The days that writers write to: today, tomorrow and, where a default partition takes it, a stray one."""
        return tuple(map(midnight, (0, 1, STRAY_DAY) if self.stray and self.default else (0, 1)))

    def __enter__(self) -> Self:
        """Start the load."""
        targets = [*(self._write for _ in range(self._writers)), self._read, self._look]
        if self._kept:
            targets.append(self._search)
        self._threads = [threading.Thread(target=t, daemon=True) for t in targets]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _sessions(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A session for as long as the load runs, and a new one whenever the server is back."""
        while not self._stop.is_set():
            try:
                with connect(self.conninfo) as connection:
                    # A confirmed row is one that a crash of the server does not take back.
                    connection.execute(b"SET synchronous_commit = on")
                    yield connection
            except psycopg.OperationalError:
                time.sleep(0.05)

    def _gone(self, exc: psycopg.Error) -> bool:
        return exc.sqlstate in _SERVER_GONE or (exc.sqlstate is None and isinstance(exc, psycopg.OperationalError))

    def _write(self) -> None:
        for connection in self._sessions():
            while not self._stop.is_set():
                with self._lock:
                    number, self._next = self._next, self._next + 1
                    self._started += 1
                    self.perhaps.add(number)
                day = random.choice(self.days)
                moment = day + timedelta(seconds=random.randrange(86_400))
                begun = time.perf_counter()
                try:
                    connection.execute(b"INSERT INTO log (id, ts) VALUES (%s, %s)", (number, moment))
                except psycopg.Error as exc:
                    if self._gone(exc):
                        self.tally.lost_sessions += 1
                        break
                    with self._lock:
                        self.perhaps.discard(number)
                        self._started -= 1
                    self.tally.failed.append(f"{exc.sqlstate} {exc}")
                    continue
                took = (time.perf_counter() - begun) * 1000
                with self._lock:
                    self.perhaps.discard(number)
                    self.certain.add(number)
                    self.tally.inserted += 1
                    self.tally.worst_ms = max(self.tally.worst_ms, took)
                if self._rate:
                    time.sleep(1 / self._rate)

    def _read(self) -> None:
        """Transactions of half a second that have read the table: short enough for maintenance to find a moment."""
        for connection in self._sessions():
            while not self._stop.is_set():
                try:
                    with connection.transaction():
                        connection.execute(f"SELECT count(*) FROM log WHERE ts >= '{midnight(0)}'".encode())
                        time.sleep(random.uniform(0.0, 0.3))
                except psycopg.Error as exc:
                    if self._gone(exc):
                        break
                    self.tally.failed_looks.append(f"{exc.sqlstate} {exc}")
                time.sleep(0.1)

    def _look(self) -> None:
        """Count again and again: at least what was certain before, at most what was begun after, and no part of a day.

        An expired day goes with all its rows in one moment or not at all.
        """
        for connection in self._sessions():
            while not self._stop.is_set():
                with self._lock:
                    least = len(self.certain)
                try:
                    row = connection.execute(
                        b"SELECT count(*) FILTER (WHERE id >= 0), count(*) FILTER (WHERE id < 0) FROM log"
                    ).fetchone()
                except psycopg.Error as exc:
                    if self._gone(exc):
                        break
                    self.tally.failed_looks.append(f"{exc.sqlstate} {exc}")
                    continue
                with self._lock:
                    most = self._started
                self.tally.looks += 1
                seen, expired = row or (-1, -1)
                if not least <= seen <= most:
                    self.tally.missed.append(f"{seen} rows, not {least} to {most}")
                if expired % ROWS_A_DAY:
                    self.tally.missed.append(f"{expired} rows of expired days, which is no whole number of them")
                time.sleep(0.002)

    def _search(self) -> None:
        """Ask again and again where the rows of each expired day are: in its table, wherever it stands, or archived."""
        for connection in self._sessions():
            while not self._stop.is_set():
                try:
                    for day in self._kept:
                        self._search_for(connection, day)
                except psycopg.Error as exc:
                    if self._gone(exc):
                        break
                    self.tally.failed_looks.append(f"{exc.sqlstate} {exc}")
                time.sleep(0.05)

    def _search_for(self, connection: psycopg.Connection[tuple[Any, ...]], day: int) -> None:
        oid, ids = self._kept[day]
        row = connection.execute(b"SELECT oid::regclass::text FROM pg_class WHERE oid = %s", (oid,)).fetchone()
        if row is not None:
            try:
                row = connection.execute(f"SELECT count(*) FROM ONLY {row[0]}".encode()).fetchone()
            except psycopg.errors.UndefinedTable:
                return  # it moved or went between the two statements: the next search sees where it is
        try:
            there = row[0] if row else len(self.archived(day))
        except FileNotFoundError:
            return  # the archive is out of reach for the moment, which is a fault of its own
        self.tally.searches += 1
        if there != len(ids) and day not in self.given_up:
            self.tally.nowhere.append(f"day {day}: {there} rows, not {len(ids)}, in table {oid} or in the archive")

    def archived(self, day: int) -> list[int]:
        """The ids of a day in the archive: of what has a manifest, which says how many there are.

        Raises FileNotFoundError while the archive, or what a manifest names, is not there.
        """
        from pyarrow import parquet  # noqa: PLC0415  # only who archives has it

        if self.archive is None:
            return []
        folder = self.archive / "log" / f"day={midnight(day):%Y-%m-%d}"
        if not (folder / "_manifest.json").is_file():
            self.archive.stat()
            return []
        manifest = json.loads((folder / "_manifest.json").read_text(encoding="utf-8"))
        found: list[int] = []
        for file in manifest["files"]:
            found += parquet.read_table(folder / file["name"], columns=["id"], partitioning=None)["id"].to_pylist()
        return found if len(found) == manifest["rows"] else []

    def lost(self) -> tuple[int, list[str]]:
        """How many rows of expired days are in no place where they should be, and what is where it should not be."""
        in_trash = {
            str(name)
            for (name,) in rows(
                self.conninfo,
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace(%s)",
                TRASH,
            )
        }
        problems: list[str] = []
        lost = 0
        for day, (_, ids) in self._kept.items():
            name = f"log_{midnight(day):%Y_%m_%d}"
            lower = midnight(day)
            query = f"SELECT id FROM log WHERE ts >= '{lower}' AND ts < '{midnight(day + 1)}'"
            if name in in_trash:
                query += f" UNION ALL SELECT id FROM {TRASH}.{name}"
            found = Counter(number for (number,) in rows(self.conninfo, query))
            archived = Counter(self.archived(day))
            if max((*found.values(), *archived.values()), default=1) > 1:
                problems.append(f"rows of {name} are there twice")
            if day in self.given_up:
                continue
            lost += len({-number for number in ids} - found.keys() - archived.keys())
            if self.grace and day != ENDED and name not in in_trash:
                problems.append(f"{name} is not in the trash, and its grace has not ended")
        if strangers := in_trash - {f"log_{midnight(day):%Y_%m_%d}" for day in EXPIRED}:
            problems.append(f"in the trash, and should not be: {', '.join(sorted(strangers))}")
        return lost, problems


class Bench:
    """Starts maintenance as the command an operator has, and says how it ended."""

    def __init__(self, conninfo: str, policy: dict[str, Any], *, retry_seconds: int = 8) -> None:
        """Maintain the table of *conninfo*, by the *policy* that a rig has."""
        self.conninfo = conninfo
        self._policy = policy
        self.exit_codes: list[int | None] = []
        self.output: list[str] = []
        self._retry = retry_seconds

    def start(self, *words: str, conninfo: str | None = None) -> subprocess.Popen[str]:
        """Start the command; without *words*, maintain."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "EVENTS_", "LOG_"))}
        environment |= {f"PGALMANAC_{name.upper()}": str(value) for name, value in self._policy.items()}
        environment |= {"PGALMANAC_RETRY_SECONDS": str(self._retry), "PGALMANAC_CONFIG": os.devnull}
        # This checkout's code, wherever the interpreter has it installed from.
        environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / folder) for folder in ("core", "tui"))
        return subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "pgalmanac",
                    "--headless",
                    "--dsn",
                    conninfo or self.conninfo,
                    "--table",
                    "log",
                ),
                *(words or ("maintain", "--retention-days", "5", "--premake-days", "4")),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )

    def end(self, process: subprocess.Popen[str], seconds: float = 120) -> int:
        """Wait for a command to end; one that does not is killed and counted as None."""
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            self.exit_codes.append(None)
        else:
            self.exit_codes.append(process.returncode)
        self.output.append(said)
        return process.returncode

    def run(self, *words: str) -> int:
        """Start and wait."""
        return self.end(self.start(*words))


def judge(rig: Rig, bench: Bench, fault: str, seconds: float) -> Report:
    """Run maintenance until it converges (a dead session may hold the lock for a moment), and count everything."""
    problems: list[str] = []
    code = -1
    for _ in range(40):
        code = bench.run()
        bench.exit_codes.pop()
        if code == 0:
            break
        time.sleep(0.5)
    else:
        problems.append(f"the run after the fault ended in {code}: {bench.output[-1][-500:]}")
    left = todo(rig.conninfo, retention_days=5, premake_days=4, **rig.policy)
    found = [number for (number,) in rows(rig.conninfo, "SELECT id FROM log WHERE id >= 0")]
    present = set(found)
    tables = {
        TableName(schema=s, name=n)
        for s, n in rows(
            rig.conninfo,
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND c.relname LIKE 'log%%' AND NOT c.relispartition"
            " AND n.nspname <> %s",
            TRASH,
        )
    }
    lost, misplaced = rig.lost()
    problems += misplaced
    if tables:
        problems.append(f"tables left over: {', '.join(map(str, tables))}")
    open_runs = rows(rig.conninfo, "SELECT count(*) FROM housekeeper_runs WHERE status = 'running'")[0][0]
    if open_runs:
        problems.append(f"{open_runs} runs are still open in the history")
    return Report(
        fault=fault,
        tally=rig.tally,
        seconds=seconds,
        exit_codes=tuple(bench.exit_codes),
        missing_rows=len(rig.certain - present),
        doubled_rows=len(found) - len(present),
        foreign_rows=len(present - rig.certain - rig.perhaps),
        lost_rows=lost,
        left_to_do=tuple(left),
        problems=tuple(problems),
    )


def under_load(
    conninfo: str, fault: str, happen: Callable[[Rig, Bench], None], *, rig: Rig | None = None, default: bool = True
) -> Report:
    """Put *conninfo* under load, let *happen* do its worst around a maintenance run, and judge the end."""
    rig = rig or Rig(conninfo, default=default)
    rig.prepare()
    bench = Bench(conninfo, rig.policy)
    with rig:
        time.sleep(0.5)
        rig.tally.worst_ms = 0.0
        begun = time.monotonic()
        happen(rig, bench)
        seconds = time.monotonic() - begun
    return judge(rig, bench, fault, seconds)
