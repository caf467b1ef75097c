"""How archiving, the drop after it, and restoring are carried out on a live session.

No row is lost because of one lock. Before a drop the partition is detached, so that nothing reaches it through its
parent; then it is locked in SHARE mode, which nobody can write past, and is read, written, and read back while that
lock is held; the DROP follows in the same transaction. What is dropped is what was archived. Whoever waits meanwhile
wanted to write into a table that is about to go. A run that ends in between loses the lock and with it the drop, and
the next one, which finds the mark, begins the archive again. When the archive fails, as with a store that is full, the
partition is attached again at once: nobody knows for how long, and its rows are to be seen until they are elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final, LiteralString, TypeVar

from psycopg import errors

from pgalmanac import __version__
from pgalmanac.actions import Action, Reason, Source, Status
from pgalmanac.archive_manifest import Manifest, table_folder
from pgalmanac.archive_restore import load
from pgalmanac.archive_source import read_columns, read_source
from pgalmanac.archive_store import Store, open_store
from pgalmanac.archive_write import Stopped, Watch, existing, write
from pgalmanac.attempts import LOCK_ERRORS, Budget, GaveUp, begin, under_locks
from pgalmanac.db import Session
from pgalmanac.ddl import Script
from pgalmanac.ddl_archive import held, release, table_beside
from pgalmanac.ddl_create import create
from pgalmanac.ddl_structure import Structure
from pgalmanac.errors import ArchiveError
from pgalmanac.guard import GuardError, check_drop
from pgalmanac.locks import blockers
from pgalmanac.marks import edges
from pgalmanac.plan_archive import folder_for, period_of, target_of
from pgalmanac.results import Progress
from pgalmanac.steps import needs
from pgalmanac.view import View

__all__ = ["archive", "drop_held", "probe", "restore"]

T = TypeVar("T")

# What a table is read and written in: nobody but its writers waits for this transaction, and it may take hours.
_PATIENT: Final[LiteralString] = "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL search_path = pg_catalog"


async def probe(view: View) -> None:
    """Prove that the archive can be written to, before anything is detached. Raises GuardError."""
    await _in_thread(lambda _: open_store(target_of(view.policy)).probe(table_folder(view.table.name)))


async def archive(
    session: Session, view: View, action: Action, *, run_id: str | None, progress: Callable[[Progress], None]
) -> Manifest:
    """Copy the table of *action* and verify the copy.

    But for a mere copy the transaction is left open, with the lock that keeps the table as it was archived.
    Raises GuardError for whatever keeps it from being archived, and lock errors.
    """
    copy = action.reason is Reason.COPY
    deadline_ms = view.policy.lock_timeout_ms
    if copy:
        await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    else:
        await session.execute(begin(session, deadline_ms))
    await session.execute(_PATIENT)
    if not copy:
        await session.execute(held(action.partition).sql)
        await check_drop(session, view, action, _standing(action))
    try:
        return await _archive(session, view, action, run_id=run_id, progress=progress)
    except ArchiveError as exc:
        raise GuardError(str(exc), status=Status.FAILED) from exc


def _standing(action: Action) -> Source:
    """Where the table stands once it was detached."""
    return Source.PENDING if action.source is Source.PENDING else Source.DETACHED


async def _archive(
    session: Session, view: View, action: Action, *, run_id: str | None, progress: Callable[[Progress], None]
) -> Manifest:
    table = view.table
    source = await read_source(
        session,
        oid=action.oid or 0,
        name=action.partition,
        key=table.key.column,
        lock_timeout_ms=view.policy.lock_timeout_ms,
    )
    lower, upper = edges(action.bounds)
    draft = Manifest(
        schema=table.name.schema,
        table=table.name.name,
        partition_schema=action.partition.schema,
        partition=action.partition.name,
        oid=action.oid or 0,
        period=period_of(view, action.bounds),
        lower=lower,
        upper=upper,
        key=source.key,
        rows=source.rows,
        min=source.min,
        max=source.max,
        first=source.first,
        last=source.last,
        files=(),
        columns=(),
        ddl=source.ddl,
        system_id=table.system_id,
        database=session.server.database,
        server_version=session.server.version,
        run_id=run_id,
        written_by=f"pgalmanac {__version__}",
        written_at=table.now.isoformat(timespec="seconds"),
    )
    folder = folder_for(view, action.bounds, frozenset(c.name for c in source.columns))
    loop = asyncio.get_running_loop()

    def tell(rows: int) -> None:
        event = Progress(partition=action.partition, rows=rows, of=source.rows)
        loop.call_soon_threadsafe(progress, event)

    return await _in_thread(
        lambda stopped: write(
            open_store(target_of(view.policy)), folder, source, draft, Watch(stopped=stopped, progress=tell)
        )
    )


async def drop_held(session: Session, view: View, action: Action) -> tuple[int, int, int | None]:
    """Drop what was archived, in the transaction that has kept it as it was: attempts, bytes, estimated rows.

    Only readers can be in the way. Between two attempts the lock of the archive is kept.
    """
    steps = release(view.table, action.partition, pending=action.source is Source.PENDING)
    # A budget of its own: that of the run may well have gone by while the archive was written.
    policy = view.policy
    budget = Budget(seconds=policy.retry_seconds, deadline_ms=policy.lock_timeout_ms)
    size, rows = await check_drop(session, view, action, _standing(action))
    attempts = 0
    while True:
        attempts += 1
        await session.execute("SAVEPOINT archived")
        try:
            await under_locks(session, steps, deadline_ms=policy.lock_timeout_ms)
        except LOCK_ERRORS as exc:
            await session.execute("ROLLBACK TO SAVEPOINT archived")
            who = await blockers(session, needs(view, action))
            if not await budget.pause():
                raise GaveUp(attempts=attempts, sqlstate=exc.sqlstate, blockers=who) from exc
        else:
            return attempts, size, rows


async def restore(
    session: Session,
    view: View,
    action: Action,
    structure: Structure | None,
    *,
    progress: Callable[[Progress], None],
) -> int:
    """Bring an archive back in one transaction, as a partition or as a table beside; the rows that it has.

    Raises GuardError for an archive that is not what was written, or does not fit the table of today.
    """
    store = await _in_thread(lambda _: open_store(target_of(view.policy)))
    folder = (action.url or "").removeprefix(f"{store.url}/")
    manifest = await _in_thread(lambda _: _manifest_of(store, folder))
    name = action.partition
    if action.target is not None:
        await _known_types(session, manifest)
        steps = Script(prepare=(table_beside(name, manifest.columns),))
        generated = frozenset[str]()
    else:
        if structure is None:
            msg = "restoring needs the parent's structure"
            raise ValueError(msg)
        generated = await _fitting(session, view, manifest)
        steps = create(view.table, name, action.bounds, structure)
    await session.execute(begin(session, view.policy.lock_timeout_ms))
    await session.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    for statement in steps.prepare:
        await session.execute(statement.sql)
    try:
        loop = asyncio.get_running_loop()

        def tell(rows: int) -> None:
            loop.call_soon_threadsafe(progress, Progress(partition=name, rows=rows, of=manifest.rows))

        await load(session, store, folder, manifest, name, skip=generated, in_thread=_in_thread, tell=tell)
    except ArchiveError as exc:
        raise GuardError(str(exc), status=Status.FAILED) from exc
    if steps.locks or steps.work:
        await under_locks(session, steps, deadline_ms=view.policy.lock_timeout_ms)
    else:
        await session.execute("COMMIT")
    return manifest.rows


def _manifest_of(store: Store, folder: str) -> Manifest:
    manifest = existing(store, folder)
    if manifest is None:
        raise ArchiveError(
            f"{store.at(folder)} has no manifest any more", hint="pgalmanac archives lists what there is"
        )
    return manifest


async def _fitting(session: Session, view: View, manifest: Manifest) -> frozenset[str]:
    """The columns that the table computes itself; GuardError when archived columns have no place in it any more."""
    columns = await read_columns(session, view.table.oid)
    today = {c.name for c in columns}
    missing = [c.name for c in manifest.columns if c.name not in today]
    if missing:
        raise GuardError(
            f"{view.table.name} has no column {', '.join(missing)} any more; restore it beside with --into NAME"
        )
    return frozenset(c.name for c in columns if c.generated)


async def _known_types(session: Session, manifest: Manifest) -> None:
    """See that what the manifest calls types are types: they become part of a statement. Raises GuardError."""
    for column in manifest.columns:
        try:
            row = await (await session.execute("SELECT to_regtype(%s) IS NOT NULL", [column.type])).fetchone()
        except errors.SyntaxError:
            row = None
        if row is None or not row[0]:
            raise GuardError(
                f"the archived column {column.name} is of type {column.type}, which this database does not know"
            )


async def _in_thread(work: Callable[[Callable[[], None]], T]) -> T:
    """Do blocking *work* in a thread. When this task is cancelled, the work stops at its next look and cleans up."""
    stop = threading.Event()

    def stopped() -> None:
        if stop.is_set():
            raise Stopped

    try:
        return await asyncio.to_thread(work, stopped)
    except ArchiveError as exc:
        raise GuardError(f"{exc}", status=Status.FAILED) from exc
    except BaseException:  # cancelled, above all: the thread goes on until it is told
        stop.set()
        raise
