"""The cases: what is measured, against what, and which ratio it must not pass."""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from bench import contestants as who
from bench import wire
from bench.contention import Contention, contend
from bench.measure import Result, calls, processes
from bench.server import Bench, ours

DAYS_AHEAD = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A ratio of medians, or a figure, that must not be passed."""

    what: str
    against: str
    most: float
    value: float | None

    @property
    def reached(self) -> bool | None:
        """Whether it is; None when one of both is missing."""
        return None if self.value is None else self.value <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One table of results; *unit* is that of its figures."""

    name: str
    conditions: str
    results: tuple[Result, ...]
    goals: tuple[Goal, ...] = ()
    unit: str = "ms"


def ratio(results: Mapping[str, Result], of: str, against: str, most: float) -> Goal:
    """The ratio of two medians of one run."""
    a, b = results.get(of), results.get(against)
    value = a.median / b.median if a and b and a.median and b.median else None
    return Goal(what=of, against=against, most=most, value=value)


def named(results: list[Result]) -> dict[str, Result]:
    """By contestant."""
    return {r.contestant: r for r in results}


def nothing_to_do(bench: Bench, sizes: list[int], rounds: int) -> Iterator[Case]:
    """A run that finds everything as it should be, by size."""
    medians: dict[int, float] = {}
    for size in sizes:
        plain, handed = f"idle_{size}", f"idle_{size}_partman"
        bench.make(plain, first=DAYS_AHEAD + 1 - size, last=DAYS_AHEAD)
        if bench.has_partman:
            bench.copy(plain, handed)
            bench.partman(handed)
        turns = rounds if size <= 1000 else max(rounds // 3, 3)  # noqa: PLR2004  # seconds a round for some peers
        warm = calls(who.idle_calls(bench, plain, handed, size), rounds=turns)
        whole = processes(
            who.idle_processes(bench, plain, handed, size),
            rounds=turns,
            environment={**bench.environment, "PGALMANAC_RETENTION_DAYS": "forever"},
            expected=frozenset({0, 1, 2}),
        )
        ours_, found = named(warm), named(whole)
        goals = [ratio(ours_, who.OURS, who.CATALOG_ONLY, 2.0)]
        if size in {120, 5000}:
            goals += [ratio(ours_, who.OURS, who.PARTMAN, 0.35), ratio(ours_, who.OURS, who.PARTSMITH, 0.2)]
        yield Case(
            name=f"nothing to do, {size} partitions, connect to report",
            conditions="in a process that has imported everything; pgalmanac records the run",
            results=tuple(warm),
            goals=tuple(goals),
        )
        process_goals: list[Goal] = []
        if size == 120:  # noqa: PLR2004  # the usual table
            process_goals += [
                ratio(found, who.OURS, "import psycopg", 2.0),
                ratio(found, who.OURS, who.PARTSMITH, 0.4),
            ]
        if size in {5000, 10_000}:
            most = 60.0 if size == 5000 else 80.0  # noqa: PLR2004  # MB
            peak = found[who.OURS].peak_mb
            process_goals.append(Goal(what="peak memory of pgalmanac", against="MB", most=most, value=peak))
        yield Case(
            name=f"nothing to do, {size} partitions, whole process",
            conditions="from starting the program to its end, with its peak memory; pg_partman through psql",
            results=tuple(whole),
            goals=tuple(process_goals),
        )
        if (median := ours_[who.OURS].median) is not None:
            medians[size] = median
    yield from _growth(medians)


def _growth(medians: Mapping[int, float]) -> Iterator[Case]:
    """How the cost grows: the exponent between the smallest and the largest table."""
    if len(medians) < 2:  # noqa: PLR2004  # no line through one point
        return
    low, high = min(medians), max(medians)
    exponent = math.log(medians[high] / medians[low]) / math.log(high / low)
    yield Case(
        name=f"growth of nothing to do, {low} to {high} partitions",
        conditions="exponent of the cost in the number of partitions: 1 is linear, below it better",
        results=(Result(contestant=who.OURS, times=(exponent,)),),
        goals=(Goal(what="growth", against="linear", most=1.0, value=exponent),),
        unit="exponent",
    )


def _behind(bench: Bench, name: str, *, default: bool) -> None:
    """A table that nobody maintained for 30 days: 30 partitions to create and 30 to drop; and one for pg_partman."""
    bench.make(f"{name}_plain", first=-120, last=0, default=default)
    if bench.has_partman:
        # Registered when it is full, and then 30 days are taken away again.
        bench.make(f"{name}_partman", first=-120, last=DAYS_AHEAD, default=default)
        bench.partman(f"{name}_partman", default=default, retention="90 days")
        _without_future(bench, f"{name}_partman")


def _without_future(bench: Bench, database: str) -> None:
    """Drop what is made for the days after today."""
    query = (
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'public.events'::regclass AND c.relname ~ '_p[0-9]{4}' "
        "AND c.relname > 'events_p' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM_DD')"
    )
    with psycopg.connect(bench.dsn(database), autocommit=True) as connection:
        for (table,) in connection.execute(query).fetchall():
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(table)))


def create_and_drop(bench: Bench, rounds: int) -> Iterator[Case]:
    """Catch up with 30 days."""
    _behind(bench, "behind", default=False)
    commands = who.changing(bench, "behind")

    def before(name: str) -> None:
        bench.copy("behind_partman" if name == who.PARTMAN else "behind_plain", "work")

    results = processes(
        {name: command() for name, command in commands.items()},
        rounds=rounds,
        environment={**bench.environment, "PGTZ": "UTC"},
        before=before,
    )
    found = named(results)
    yield Case(
        name="create 30 and drop 30 partitions",
        conditions="whole processes on a fresh copy each time; no default partition, no rows; psql runs the "
        "statements of pgalmanac's plan, a transaction for each action",
        results=tuple(results),
        goals=(ratio(found, who.OURS, who.PSQL, 1.5),),
    )
    warm = calls(who.catching_up(bench, "behind"), rounds=rounds, before=lambda _: bench.copy("behind_plain", "work"))
    yield Case(
        name="create 30 and drop 30 partitions, connect to report",
        conditions="the same in processes that have imported everything; psycopg sends the same statements one by one",
        results=tuple(warm),
        goals=(ratio(named(warm), who.OURS, who.PSYCOPG, 1.5),),
    )


def stalls(bench: Bench) -> Iterator[Case]:
    """The worst insert while 30 are created and 30 dropped and somebody reads for four seconds."""
    for default in (False, True):
        name = "stall_default" if default else "stall"
        _behind(bench, name, default=default)
        results: list[Result] = []
        for contestant, command in who.changing(bench, name).items():
            bench.copy(f"{name}_partman" if contestant == who.PARTMAN else f"{name}_plain", "work")
            seen = contend(bench, command(), environment={**bench.environment, "PGTZ": "UTC"})
            results.append(_stalled(contestant, seen))
        worst = named(results)[who.OURS].best
        yield Case(
            name=f"worst insert stall, {'with a' if default else 'no'} default partition",
            conditions="one writer to today, one transaction that reads the table and stays open for 4 s; "
            "create 30 and drop 30, pgalmanac at its lock timeout of 200 ms, the others at their defaults",
            results=tuple(results),
            goals=(Goal(what="worst stall of pgalmanac", against="lock timeout + 50 ms", most=250, value=worst),),
        )


def _stalled(contestant: str, seen: Contention) -> Result:
    note = f"done after {seen.seconds:.1f} s"
    if seen.exit_code:
        note = f"exit {seen.exit_code} after {seen.seconds:.1f} s"
    if seen.failed_inserts:
        note += f"; {seen.failed_inserts} inserts failed"
    if seen.looks_missing:
        note += f"; {seen.looks_missing} of {seen.looks} looks missed rows"
    return Result(contestant=contestant, times=(seen.worst_ms,), note=note)


def stray_rows(bench: Bench, rows: int) -> Iterator[Case]:
    """Rows for tomorrow stand in the default partition, and tomorrow's partition is to be made."""
    bench.make("stray_plain", first=-3, last=0, default=True)
    insert = (
        "INSERT INTO events (ts, event_type) SELECT ((now() AT TIME ZONE 'UTC')::date + 1)::timestamp "
        f"AT TIME ZONE 'UTC' + interval '1 second', 'stray' FROM generate_series(1, {rows})"
    )
    if bench.has_partman:  # it does not take over a table with such rows
        bench.copy("stray_plain", "stray_partman")
        bench.partman("stray_partman", default=True)
        _without_future(bench, "stray_partman")
        bench.run("stray_partman", insert, "VACUUM ANALYZE")
    bench.run("stray_plain", insert, "VACUUM ANALYZE")
    low, high = (
        "(SELECT date_trunc('day', now()) + interval '1 day')",
        "(SELECT date_trunc('day', now()) + interval '2 days')",
    )
    moving = [
        "BEGIN",
        "ALTER TABLE events DETACH PARTITION events_default",
        (
            "DO $$ BEGIN EXECUTE format('CREATE TABLE events_new PARTITION OF events FOR VALUES FROM (%L) TO (%L)', "
            "date_trunc('day', now()) + interval '1 day', date_trunc('day', now()) + interval '2 days'); END $$"
        ),
        (
            f"WITH gone AS (DELETE FROM events_default WHERE ts >= {low} AND ts < {high} RETURNING *) "
            "INSERT INTO events SELECT * FROM gone"
        ),
        "ALTER TABLE events ATTACH PARTITION events_default DEFAULT",
        "COMMIT",
    ]
    commands: dict[str, Callable[[], list[str]]] = {
        who.OURS: lambda: who.maintain(bench, "work", "--premake-days", "1"),
        who.NAIVE: lambda: who.psql(bench, "work", "-f", who.script(bench, "move", moving)),
    }
    if bench.partsmith is not None:
        commands[who.PARTSMITH] = lambda: who.partsmith_move(bench, "work")
    if bench.has_partman:
        commands[who.PARTMAN] = lambda: who.psql(
            bench, "work", "-c", "CALL partman.partition_data_proc('public.events')"
        )
    results: list[Result] = []
    for contestant, command in commands.items():
        bench.copy("stray_partman" if contestant == who.PARTMAN else "stray_plain", "work")
        seen = contend(bench, command(), environment={**bench.environment, "PGTZ": "UTC"}, reader=False, expected=rows)
        results.append(_stalled(contestant, seen))
    yield Case(
        name=f"move {rows} stray rows out of the default partition: worst insert stall",
        conditions="one writer to today; a second connection looks all the time whether it sees all stray rows",
        results=tuple(results),
    )


def exact_counts(bench: Bench, rounds: int, days: int, rows: int) -> Iterator[Case]:
    """Count, with the oldest and newest of each partition."""
    bench.make("counts", first=-days, last=-1, rows=rows)
    bench.run("counts", "ALTER TABLE events RENAME COLUMN event_type TO kind")
    naive = "SELECT tableoid::regclass, count(*), min(ts), max(ts) FROM events GROUP BY 1"
    dsn = bench.dsn("counts")
    folder = tempfile.mkdtemp(prefix="pgalmanac-")
    try:
        results = calls(
            {
                who.NAIVE: (sys.executable, ["statement", dsn, naive]),
                "pgalmanac, first time": (sys.executable, ["pgalmanac", dsn, "count"]),
                "pgalmanac, again": (sys.executable, ["pgalmanac", dsn, "count again"]),
                "pgalmanac, again, the counting alone": (sys.executable, ["pgalmanac open", dsn]),
            },
            rounds=rounds,
            environment={"XDG_CACHE_HOME": folder},
        )
    finally:
        shutil.rmtree(folder)
    found = named(results)
    yield Case(
        name=f"exact counts of {days} partitions with {rows} rows each",
        conditions="rows, oldest and newest of each partition, vacuumed and in the server's cache, no breakdown; "
        f"{os.cpu_count()} cores; the naive query is one GROUP BY tableoid, pgalmanac is status --exact over 2 "
        "connections, then from its cache; all from connecting to the report, but for the last, which is in a session "
        "that has seen the table, as a dashboard's",
        results=tuple(results),
        goals=(
            ratio(found, "pgalmanac, first time", who.NAIVE, 0.5),
            ratio(found, "pgalmanac, again", who.NAIVE, 0.02),
            ratio(found, "pgalmanac, again, the counting alone", who.NAIVE, 0.02),
        ),
    )


def dashboard(bench: Bench, rounds: int, many: int) -> Iterator[Case]:
    """The dashboard in a terminal of 80 by 24: first picture, bytes, keys; and on a table of *many* partitions."""
    bench.make("shown", first=DAYS_AHEAD - 119, last=DAYS_AHEAD)
    command = [ours(), "--dsn", bench.dsn("shown"), "--table", "events"]
    yield _first_paint(command, rounds)
    yield _bytes(command)
    yield _repeat(command)
    large = f"idle_{many}"  # the case of a run with nothing to do may have made it already, which takes minutes
    if not bench.has(large):
        bench.make(large, first=DAYS_AHEAD + 1 - many, last=DAYS_AHEAD)
    yield from _stress(["--dsn", bench.dsn(large), "--table", "events"], many)


def _first_paint(command: list[str], rounds: int) -> Case:
    """How soon it paints, beside a Textual application that shows one word; in turn."""
    theirs: list[wire.Paint] = []
    mine: list[wire.Paint] = []
    for _ in range(rounds):
        theirs.append(wire.paint([sys.executable, "-c", wire.TRIVIAL], data=False))
        mine.append(wire.paint(command, data=True))
    computed, their_computing = _computing(mine), _computing(theirs)
    results = [
        Result(contestant=who.TRIVIAL, times=tuple(p.skeleton for p in theirs), note=_note(their_computing)),
        Result(contestant="pgalmanac, its first word", times=tuple(p.word for p in mine)),
        Result(contestant="pgalmanac, all but the data", times=tuple(p.skeleton for p in mine), note=_note(computed)),
        Result(contestant="pgalmanac, the data", times=tuple(p.data for p in mine)),
    ]
    # Of each the best: a machine that does something else as well is never too fast.
    best = min(p.skeleton for p in mine) / min(p.skeleton for p in theirs)
    computing = None if computed is None or not their_computing else computed / their_computing
    return Case(
        name="dashboard, 120 partitions: first picture",
        conditions="80 by 24, truecolor; until it stands in the terminal, the best of each",
        results=tuple(results),
        goals=(
            Goal(what="all but the data", against=who.TRIVIAL, most=1.5, value=best),
            Goal(what="its processor time", against=who.TRIVIAL, most=1.5, value=computing),
        ),
    )


def _computing(paints: list[wire.Paint]) -> float | None:
    return min((p.cpu_ms for p in paints if p.cpu_ms is not None), default=None)


def _note(cpu_ms: float | None) -> str:
    return "" if cpu_ms is None else f"{cpu_ms:.0f} ms of processor time"


def _bytes(command: list[str]) -> Case:
    """Bytes from the program to the terminal, which are the same on every machine."""
    found = wire.played(command)
    polled, looks = wire.polled(command, 10)
    arrows = [n for name, sizes in found.items() if name.startswith("arrow") for n in sizes]
    results = [
        Result(contestant=name, times=tuple(map(float, sizes)), note=f"at most {max(sizes):,}")
        for name, sizes in found.items()
    ]
    idle = polled / looks
    results.append(Result(contestant="idle, a second", times=(idle,), note=f"with {looks} looks at the server"))
    return Case(
        name="dashboard, 120 partitions: bytes",
        conditions="80 by 24, truecolor; what comes within a second of a key, with the details that follow it",
        results=tuple(results),
        goals=(
            Goal(what="start-up", against="bytes", most=25_000, value=max(found["start-up"])),
            Goal(what="an arrow key in the calendar", against="bytes", most=1_000, value=max(arrows)),
            Goal(what="a look that found nothing new", against="bytes", most=0, value=idle),
            Goal(what="idle, a second", against="bytes", most=200, value=idle),
        ),
        unit="bytes",
    )


def _repeat(command: list[str]) -> Case:
    """A key that is held down."""
    lags, each = wire.lags(command, datetime.now(UTC).date())
    late = sum(lag > wire.LATER for lag in lags)
    note = f"{late} of {len(lags)} painted after the next key came"
    if each is not None:
        note += f"; {each:.0f} ms of processor time each"
    return Case(
        name="dashboard, 120 partitions: an arrow key 30 times a second",
        conditions=f"from the key to its cursor on the screen, {len(lags)} keys",
        results=(Result(contestant=who.OURS, times=tuple(lags), note=note),),
        goals=(
            Goal(what="keys painted after the next one came", against="of 60", most=0, value=late),
            Goal(what="processor time a key", against="ms between two keys", most=wire.LATER, value=each),
        ),
    )


def _stress(arguments: list[str], many: int) -> Iterator[Case]:
    """How long the interface does not hear, and its memory."""
    turns, peak = wire.stressed(arguments, seconds=15)
    results: list[Result] = []
    for name in dict.fromkeys(turn.during for turn in turns):
        those = [turn for turn in turns if turn.during == name]
        worst = max(those, key=lambda t: t.ms)
        note = f"longest {worst.ms:.0f}, of which {worst.cpu_ms:.0f} computing"
        results.append(Result(contestant=name, times=tuple(t.ms for t in those), note=note))
    yield Case(
        name=f"dashboard, {many} partitions: turns in which no key is heard",
        conditions="turns of the interface's loop of 5 ms and more from the first picture on, while it looks every "
        "second and is played with; less the time for which other processes had the processors; what is not computing "
        "waits for the thread that reads the catalog",
        results=tuple(results),
        goals=(
            Goal(what="longest turn", against="ms", most=50, value=max((t.ms for t in turns), default=0.0)),
            Goal(what="longest computing", against="ms", most=50, value=max((t.cpu_ms for t in turns), default=0.0)),
            Goal(what="peak memory", against="MB", most=100, value=peak),
        ),
    )
