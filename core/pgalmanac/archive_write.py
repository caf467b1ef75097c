"""Archive one table: read it, write it, read it back, and only then write the manifest that makes it an archive.

An archive that is there already is replaced only by a newer copy of the very same table. That of another table with
the same period (a day that was dropped and made anew) is never touched: its rows may be nowhere else.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

from pgalmanac.archive_manifest import MANIFEST, ArchivedFile, KeptColumn, Manifest, read_manifest
from pgalmanac.archive_parquet import Content, FileWriter, convert, decoded, same_bytes, schema_of
from pgalmanac.archive_source import Source, batches
from pgalmanac.archive_store import Store
from pgalmanac.archive_types import stored_type
from pgalmanac.arrow import library
from pgalmanac.errors import ArchiveError

__all__ = ["Stopped", "existing", "kept_columns", "verify", "write"]

# A file that grows beyond this is followed by another: readers share the work by files, and one lost is one lost.
_FILE_BYTES: Final = 64 << 20
# So many batches are read ahead: neither the server nor the encoder waits for a moment in which the other is slow.
_AHEAD: Final = 3


class Stopped(Exception):  # noqa: N818  # not an error: somebody cancelled
    """The run was cancelled while a thread was archiving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a thread is given: *stopped* raises Stopped once the run is cancelled, *progress* takes rows done."""

    stopped: Callable[[], None]
    progress: Callable[[int], None]


def kept_columns(source: Source) -> tuple[KeptColumn, ...]:
    """The columns as the manifest tells of them."""
    return tuple(
        KeptColumn(name=c.name, type=c.type, stored=stored_type(c), not_null=c.not_null, generated=c.generated)
        for c in source.columns
    )


def existing(store: Store, folder: str) -> Manifest | None:
    """The manifest of a folder, None when it has none."""
    path = f"{folder}/{MANIFEST}"
    text = store.get(path)
    return None if text is None else read_manifest(text, store.at(path))


def write(store: Store, folder: str, source: Source, draft: Manifest, watch: Watch) -> Manifest:
    """Archive *source* in *folder* and return the manifest: *draft* with what was written.

    Raises ArchiveError when anything is not as it should be; then nothing new looks complete, and what was archived
    before is untouched.
    """
    before = existing(store, folder)
    _ours(store, folder, before, draft)
    kept = {f.name for f in before.files} if before is not None else set[str]()
    _clear(store, folder, kept)
    written: list[ArchivedFile] = []
    try:
        contents = _written(store, folder, source, watch, written)
        manifest = replace(draft, files=tuple(written), columns=kept_columns(source))
        _compare(store, folder, manifest, contents)
        if before is not None and before.oid != draft.oid:
            _same(store, folder, before, manifest, watch)
            _drop(store, folder, [f.name for f in written])
            return before
        _publish(store, folder, manifest)
    except BaseException:  # cancelled too: files that no manifest names would stay for ever
        _drop(store, folder, [f.name for f in written])
        raise
    _clear(store, folder, {f.name for f in written})
    return manifest


def _written(store: Store, folder: str, source: Source, watch: Watch, written: list[ArchivedFile]) -> Sequence[Content]:
    """Write the files, each added to *written* before it is visible, and return what they read back as."""
    with closing(_files(store, folder, source, watch)) as files, ThreadPoolExecutor(1) as reading:
        checks = list[Future[Content]]()
        for file in files:
            written.append(file)
            # One file goes to the disk and is read back while the next is written.
            checks.append(reading.submit(_settled, store, folder, file, source.key, watch))
        return [check.result() for check in checks]


def _same(store: Store, folder: str, before: Manifest, now: Manifest, watch: Watch) -> None:
    """See that an earlier archive has the same rows, and still is what was written. Raises ArchiveError."""
    if before.content != now.content or before.columns != now.columns:
        raise ArchiveError(
            f"{store.at(folder)} holds {before.rows} rows of an earlier {before.name}, archived {before.written_at},"
            " and this one has others",
            hint="move that folder away, or restore it into this partition first",
        )
    verify(store, folder, before, watch)


def _publish(store: Store, folder: str, manifest: Manifest) -> None:
    """Make it an archive: write the manifest, and read it back."""
    store.put(f"{folder}/{MANIFEST}", manifest.text().encode())
    if existing(store, folder) != manifest:
        raise ArchiveError(f"{store.at(folder)}/{MANIFEST} is not what was written", hint="archive it again")


def _ours(store: Store, folder: str, before: Manifest | None, draft: Manifest) -> None:
    """Refuse a folder that holds what another database archived."""
    if before is None:
        return
    same = (before.system_id, before.database, before.schema, before.table)
    if same != (draft.system_id, draft.database, draft.schema, draft.table):
        raise ArchiveError(
            f"{store.at(folder)} is the archive of {before.schema}.{before.table} in the database {before.database}"
            f" on the server with the system identifier {before.system_id}",
            hint="give each database an archive url of its own",
        )


def _files(store: Store, folder: str, source: Source, watch: Watch) -> Generator[ArchivedFile]:
    """Write the files one after the other, the next batches being read while one is written."""
    schema = schema_of(source.columns)
    token, rows, number = os.urandom(4).hex(), 0, 0
    writer: FileWriter | None = None
    try:
        with batches(source) as reader, ThreadPoolExecutor(1) as ahead:
            coming = deque(ahead.submit(next, reader, None) for _ in range(_AHEAD))
            while (batch := coming.popleft().result()) is not None:
                coming.append(ahead.submit(next, reader, None))
                watch.stopped()
                batch = convert(batch, schema)
                if writer is None:
                    name = f"part-{token}-{number:05d}.parquet"
                    writer = FileWriter(store, folder, name, like=batch, key=source.key)
                writer.add(batch)
                rows += batch.num_rows
                watch.progress(rows)
                if writer.size >= _FILE_BYTES:
                    finished, writer, number = writer, None, number + 1
                    yield finished.finish()
        if writer is None and number == 0:
            # No rows at all: one empty file still tells its readers the columns.
            none = library("pyarrow").RecordBatch.from_pylist([], schema=schema)
            writer = FileWriter(store, folder, f"part-{token}-00000.parquet", like=none, key=source.key)
        if writer is not None:
            finished, writer = writer, None
            yield finished.finish()
        if rows != source.rows:
            raise ArchiveError(
                f"{source.name} has {source.rows} rows and {rows} were read", hint="nothing was dropped; run it again"
            )
    finally:
        if writer is not None:
            writer.abandon()


def verify(store: Store, folder: str, manifest: Manifest, watch: Watch) -> None:
    """Read every file back. Raises ArchiveError unless bytes, values, rows and the key's edges are those written."""
    _compare(store, folder, manifest, [_read_back(store, folder, f, manifest.key, watch) for f in manifest.files])


def _settled(store: Store, folder: str, file: ArchivedFile, key: str, watch: Watch) -> Content:
    store.settle(f"{folder}/{file.name}")
    return _read_back(store, folder, file, key, watch)


def _read_back(store: Store, folder: str, file: ArchivedFile, key: str, watch: Watch) -> Content:
    """The content of one file. Raises ArchiveError, naming it, when it is not what was written."""
    same_bytes(store, folder, file, watch.stopped)
    content = Content(key)
    for batch in decoded(store, folder, file):
        watch.stopped()
        content.add(batch)
    if (content.rows, content.checksums) != (file.rows, file.content):
        raise ArchiveError(
            f"{store.at(folder)}/{file.name} does not read back as it was written", hint="archive it again"
        )
    return content


def _compare(store: Store, folder: str, manifest: Manifest, contents: Sequence[Content]) -> None:
    """The files together against what the server counted."""
    rows = sum(content.rows for content in contents)
    edges = [edge for content in contents if content.rows for edge in (content.first, content.last)]
    first, last = (str(min(edges)), str(max(edges))) if edges else (None, None)
    if (rows, first, last) != (manifest.rows, manifest.first, manifest.last):
        raise ArchiveError(
            f"{store.at(folder)} reads back as {rows} rows from {first} to {last}, and the server counted"
            f" {manifest.rows} from {manifest.first} to {manifest.last}",
            hint="archive it again",
        )


def _clear(store: Store, folder: str, keep: set[str]) -> None:
    """Remove what an interrupted run left, and what a newer copy replaced."""
    for name in store.names(folder):
        if name != MANIFEST and name not in keep and _is_ours(name):
            store.delete(f"{folder}/{name}")


def _is_ours(name: str) -> bool:
    name = name.removeprefix(".").removesuffix(".partial")
    return name == MANIFEST or (name.startswith("part-") and name.endswith(".parquet"))


def _drop(store: Store, folder: str, names: list[str]) -> None:
    """Take back what was written; a store that is gone keeps files that no manifest names."""
    for name in names:
        try:
            store.delete(f"{folder}/{name}")
        except ArchiveError:
            return
