"""An archive -> rows in a table, through COPY: PostgreSQL reads every value as it would read what it printed itself."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from psycopg import errors, sql

from pgalmanac.archive_manifest import ArchivedFile, Manifest
from pgalmanac.archive_parquet import decoded, same_bytes
from pgalmanac.archive_store import Store
from pgalmanac.arrow import library
from pgalmanac.db import Session
from pgalmanac.db_errors import one_line
from pgalmanac.ddl import qualified
from pgalmanac.errors import ArchiveError
from pgalmanac.log import scrub
from pgalmanac.table_names import TableName

__all__ = ["as_csv", "load"]

T = TypeVar("T")


class InThread(Protocol):
    """Runs blocking work in a thread; what it is given raises once the run is cancelled."""

    def __call__(self, work: Callable[[Callable[[], None]], T], /) -> Awaitable[T]:
        """Await the work's result."""
        ...


async def load(
    session: Session,
    store: Store,
    folder: str,
    manifest: Manifest,
    name: TableName,
    *,
    skip: frozenset[str],
    in_thread: InThread,
    tell: Callable[[int], None],
) -> None:
    """Copy the archive into the table *name*, in the transaction under way, and compare what arrived.

    Every file is read through before the first row is loaded. *skip* are columns that the table computes itself.
    Raises ArchiveError, naming the file, for what is not as it was written, and for rows that the table refuses.
    """

    def intact(stopped: Callable[[], None]) -> None:
        for file in manifest.files:
            same_bytes(store, folder, file, stopped)

    await in_thread(intact)
    columns = [c.name for c in manifest.columns if c.name not in skip]
    query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        qualified(name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    done = 0
    try:
        async with session.conn.cursor() as cursor, cursor.copy(query) as copy:
            for file in manifest.files:
                following = partial(_following, _chunks(store, folder, file, columns))
                while (chunk := await in_thread(following)) is not None:
                    await copy.write(chunk[0])
                    done += chunk[1]
                    tell(done)
    except (errors.DataError, errors.IntegrityError) as exc:
        raise ArchiveError(
            f"{name} does not take the archived rows ({scrub(one_line(exc))})",
            hint="restore it beside with --into NAME",
        ) from exc
    await _compare(session, store, folder, manifest, name)


def _following(chunks: Iterator[tuple[bytes, int]], _: Callable[[], None]) -> tuple[bytes, int] | None:
    return next(chunks, None)


def _chunks(store: Store, folder: str, file: ArchivedFile, columns: Sequence[str]) -> Iterator[tuple[bytes, int]]:
    for batch in decoded(store, folder, file):
        yield as_csv(batch.select(list(columns))), batch.num_rows


async def _compare(session: Session, store: Store, folder: str, manifest: Manifest, name: TableName) -> None:
    key = sql.Identifier(manifest.key)
    query = sql.SQL("SELECT count(*), min({key})::text, max({key})::text FROM ONLY {table}").format(
        key=key, table=qualified(name)
    )
    found = await (await session.execute(query)).fetchone()
    if found != (manifest.rows, manifest.min, manifest.max):
        raise ArchiveError(
            f"{store.at(folder)} has {manifest.rows} rows from {manifest.min} to {manifest.max}, and"
            f" {found[0] if found else 0} arrived, from {found[1] if found else None} to {found[2] if found else None}",
            hint="nothing was restored; look for triggers on the table",
        )


def as_csv(batch: Any) -> bytes:  # noqa: ANN401  # pyarrow.RecordBatch
    """The rows as COPY reads them: every value quoted, so that nothing unquoted is anything but NULL."""
    pa, csv = library("pyarrow"), library("pyarrow.csv")
    table = pa.table([_text(a) for a in batch.columns], names=[str(n) for n in range(batch.num_columns)])
    out = io.BytesIO()
    csv.write_csv(table, out, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    return out.getvalue()


def _text(array: Any) -> Any:  # noqa: ANN401  # pyarrow.Array
    pa = library("pyarrow")
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_binary(array.type):
        return pa.array([None if v is None else "\\x" + v.hex() for v in array.to_pylist()], pa.string())
    if pa.types.is_timestamp(array.type):
        # Without the zone's letter: the session's zone is UTC.
        array = array.cast(pa.timestamp("us"))
    return array.cast(pa.string())
