"""The faults: each takes the rig and the bench, starts maintenance, and does something to it."""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import psycopg

from integration.faults.harness import EXPIRED, Bench, Rig
from integration.faults.proxy import Proxy
from pgalmanac.db import LOCK_CLASS
from support import connect
from under_fire import midnight

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from pgalmanac.pgserver import Cluster

__all__ = ["ARCHIVE_FAULTS", "DISK_FAULTS", "FAULTS", "SERVER_FAULTS", "holding"]

# How long whoever is in the way stays there.
HELD_SECONDS: Final = 4.0
_AUTOVACUUM: Final = {"autovacuum": "on", "autovacuum_naptime": "'1s'"}
OLDEST: Final = f"log_{midnight(EXPIRED[0]):%Y_%m_%d}"


def nothing(rig: Rig, bench: Bench) -> None:
    """Maintenance and nothing else."""
    del rig
    bench.run()


def killed(rig: Rig, bench: Bench) -> None:
    """SIGKILL at a random moment, several times; a reader keeps the run from being over before that."""
    for _ in range(4):
        process = bench.start()
        with holding(rig, "SELECT count(*) FROM log"):
            time.sleep(random.uniform(0.3, 1.5))
            process.kill()
            bench.end(process)


def terminated(rig: Rig, bench: Bench) -> None:
    """SIGTERM at a random moment, several times: the tool ends in order."""
    for _ in range(3):
        process = bench.start()
        with holding(rig, "SELECT count(*) FROM log"):
            time.sleep(random.uniform(0.8, 2.0))
            process.send_signal(signal.SIGTERM)
            bench.end(process)


def frozen(rig: Rig, bench: Bench) -> None:
    """The process stands still for seconds at a random moment (SIGSTOP): whatever it holds, writers go on."""
    del rig
    for _ in range(4):
        process = bench.start()
        time.sleep(random.uniform(0.3, 0.9))
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        process.send_signal(signal.SIGCONT)
        bench.end(process)


def _signalled(rig: Rig, bench: Bench, function: str) -> None:
    process = bench.start()
    with connect(rig.conninfo) as connection:
        while process.poll() is None:
            connection.execute(
                f"SELECT {function}(pid) FROM pg_stat_activity WHERE application_name = 'pgalmanac'"
                " AND datname = current_database()".encode()
            )
            time.sleep(random.uniform(0.02, 0.4))
    bench.end(process)


def sessions_terminated(rig: Rig, bench: Bench) -> None:
    """pg_terminate_backend on its sessions, again and again."""
    for _ in range(3):
        _signalled(rig, bench, "pg_terminate_backend")


def statements_cancelled(rig: Rig, bench: Bench) -> None:
    """pg_cancel_backend on its statements, again and again."""
    _signalled(rig, bench, "pg_cancel_backend")


@contextmanager
def holding(rig: Rig, *statements: str, seconds: float = HELD_SECONDS) -> Generator[None]:
    """Somebody holds what these statements took, for four seconds (or *seconds*) or until the block ends."""
    released = threading.Event()
    held = threading.Event()

    def hold() -> None:
        with connect(rig.conninfo) as connection:
            connection.execute(b"BEGIN")
            for statement in statements:
                connection.execute(statement.encode())
            held.set()
            released.wait(seconds)
            with suppress(psycopg.OperationalError):  # the server may have been restarted meanwhile
                connection.execute(b"ROLLBACK")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        yield
    finally:
        released.set()
        thread.join()


def reader_of_the_table(rig: Rig, bench: Bench) -> None:
    """A transaction that has read the whole table stays open for four seconds."""
    process = bench.start()
    with holding(rig, "SELECT count(*) FROM log"):
        bench.end(process)


def reader_of_the_old_partition(rig: Rig, bench: Bench) -> None:
    """A transaction that has read only the partition that is to go, by its own name, stays open."""
    with holding(rig, f"SELECT count(*) FROM {OLDEST}"):
        bench.run()


def lock_table(rig: Rig, bench: Bench) -> None:
    """LOCK TABLE of the partition that is to go, in the strongest mode."""
    with holding(rig, f"LOCK TABLE {OLDEST} IN ACCESS EXCLUSIVE MODE"):
        bench.run()


def vacuum_that_does_not_yield(rig: Rig, bench: Bench) -> None:
    """A slow VACUUM of the partition that is to go: like autovacuum to prevent wraparound it yields to nobody."""

    def vacuum() -> None:
        with connect(rig.conninfo) as connection, suppress(psycopg.errors.QueryCanceled):
            connection.execute(b"SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
            connection.execute(f"SET statement_timeout = {int(HELD_SECONDS * 1000)}".encode())
            connection.execute(f"VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) {OLDEST}".encode())

    thread = threading.Thread(target=vacuum)
    thread.start()
    time.sleep(0.2)
    bench.run()
    thread.join()


def advisory_lock_held(rig: Rig, bench: Bench) -> None:
    """Another session holds the table's advisory lock: the run says so (75) and touches nothing."""
    with holding(rig, f"SELECT pg_advisory_lock({LOCK_CLASS}::int8 << 32 | 'log'::regclass::oid::int8), pg_sleep(0.1)"):
        bench.run()
    # An advisory lock outlives a rollback; the holder's session has ended with its block.


def two_at_once(rig: Rig, bench: Bench) -> None:
    """Three runs at the same moment."""
    del rig
    processes = [bench.start() for _ in range(3)]
    for process in processes:
        bench.end(process)


def the_same_drop_by_hand(rig: Rig, bench: Bench) -> None:
    """Somebody drops the partitions that are due while maintenance does, with pgalmanac and with plain SQL."""
    process, other = bench.start(), bench.start("drop", OLDEST, "--yes")
    with connect(rig.conninfo) as connection:
        connection.execute(b"SET lock_timeout = '100ms'")
        for day in reversed(EXPIRED):
            # Nothing keeps what somebody drops with plain SQL.
            rig.given_up.add(day)
            try:
                connection.execute(f"DROP TABLE log_{midnight(day):%Y_%m_%d}".encode())
            except psycopg.Error:
                rig.given_up.discard(day)
            time.sleep(0.15)
    bench.end(process)
    bench.end(other)


def _restarts(mode: str) -> Callable[[Rig, Bench, Cluster], None]:
    def restarted(rig: Rig, bench: Bench, cluster: Cluster) -> None:
        for _ in range(2):
            process = bench.start()
            with holding(rig, "SELECT count(*) FROM log"):
                time.sleep(random.uniform(0.8, 2.0))
                cluster._run("pg_ctl", "restart", "-s", "-w", "-m", mode, "-D", cluster.data, "-l", cluster.log)
            bench.end(process)

    return restarted


def vacuum_to_prevent_wraparound(rig: Rig, bench: Bench, cluster: Cluster) -> None:
    """Autovacuum to prevent wraparound, which yields to nobody, is at the partition that is to go, for seconds."""
    del cluster
    busy = (
        "SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = current_database()"
        f" AND query LIKE 'autovacuum: VACUUM public.{OLDEST} (to prevent wraparound)'"
    )
    with connect(rig.conninfo) as connection:
        for name, value in _AUTOVACUUM.items():
            connection.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
        # The smallest age that may be set, for this table alone, and the slowest pace.
        connection.execute(
            f"ALTER TABLE {OLDEST} SET (autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_delay = 100,"
            " autovacuum_vacuum_cost_limit = 1)".encode()
        )
        # Each of these is a transaction.
        connection.execute(b"DO 'BEGIN FOR n IN 1..100100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END'")
        connection.execute(b"SELECT pg_reload_conf()")
        for _ in range(1000):
            if connection.execute(busy.encode()).fetchone() is not None:
                break
            time.sleep(0.03)
        else:
            msg = "autovacuum did not come"
            raise AssertionError(msg)
        process = bench.start()
        begun = time.monotonic()
        while connection.execute(busy.encode()).fetchone() is not None:
            time.sleep(0.01)
        held = time.monotonic() - begun
        bench.end(process)
        for name in _AUTOVACUUM:
            connection.execute(f"ALTER SYSTEM RESET {name}".encode())
        connection.execute(b"SELECT pg_reload_conf()")
    if held < 1:
        msg = f"autovacuum was there for {held:.1f} s only"
        raise AssertionError(msg)


def silent_network(rig: Rig, bench: Bench, cluster: Cluster) -> None:
    """The network swallows everything from a random statement on, and nobody is told."""
    for _ in range(4):
        with Proxy(cluster.sockets, tcp=True, then="silence", at=random.randint(5, 40)) as proxy:
            process = bench.start(conninfo=proxy.conninfo(rig.conninfo))
            proxy.broken.wait(20)
            time.sleep(2.5)
            process.kill()
            bench.end(process)


def disk_full(rig: Rig, bench: Bench, folder: Path) -> None:
    """New partitions belong on a disk that has no room left; then it has room again."""
    with connect(rig.conninfo) as connection:
        # The newest partition decides where the next ones go.
        connection.execute(
            f"CREATE TABLE beyond PARTITION OF log FOR VALUES FROM ('{midnight(50)}') TO"
            f" ('{midnight(51)}') TABLESPACE small".encode()
        )
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"0" * 4096):
            pass
    code = bench.run()
    filler.unlink()
    if code == 0:
        msg = "the disk was not full"
        raise AssertionError(msg)


def archive_out_of_reach(rig: Rig, bench: Bench) -> None:
    """The folder of the archive is gone when a run begins, and goes again in the middle of others."""
    folder = _archive(rig)
    away = folder.with_name("away")
    folder.rename(away)
    bench.run()
    away.rename(folder)
    for _ in range(3):
        process = bench.start()
        time.sleep(random.uniform(0.6, 1.6))
        folder.rename(away)
        time.sleep(1.0)
        filled = folder.exists()
        shutil.rmtree(folder, ignore_errors=True)
        away.rename(folder)
        bench.end(process)
        if filled:
            msg = "the run made the folder anew, as it would fill the disk below an archive that is not mounted"
            raise AssertionError(msg)


def killed_while_it_archives(rig: Rig, bench: Bench) -> None:
    """SIGKILL as soon as files appear in the archive, at another one each time."""
    folder = _archive(rig)
    for wanted in range(1, 7):
        process = bench.start()
        before = len(list(folder.rglob("*")))
        while process.poll() is None and len(list(folder.rglob("*"))) < before + wanted:
            time.sleep(0.001)
        process.kill()
        bench.end(process)


def _archive(rig: Rig) -> Path:
    if rig.archive is None:
        msg = "this fault is about an archive, and there is none"
        raise ValueError(msg)
    return rig.archive


FAULTS: Final[dict[str, Callable[[Rig, Bench], None]]] = {
    f.__name__: f
    for f in (
        nothing,
        killed,
        terminated,
        frozen,
        sessions_terminated,
        statements_cancelled,
        reader_of_the_table,
        reader_of_the_old_partition,
        lock_table,
        vacuum_that_does_not_yield,
        advisory_lock_held,
        two_at_once,
        the_same_drop_by_hand,
    )
}
SERVER_FAULTS: Final[dict[str, Callable[[Rig, Bench, Cluster], None]]] = {
    "restart_fast": _restarts("fast"),
    "restart_immediate": _restarts("immediate"),
    "silent_network": silent_network,
    "vacuum_to_prevent_wraparound": vacuum_to_prevent_wraparound,
}
# These need an archive.
ARCHIVE_FAULTS: Final[dict[str, Callable[[Rig, Bench], None]]] = {
    f.__name__: f for f in (archive_out_of_reach, killed_while_it_archives)
}
# These need a folder on a disk of their own, which holds the tablespace `small`.
DISK_FAULTS: Final[dict[str, Callable[[Rig, Bench, Path], None]]] = {"disk_full": disk_full}
