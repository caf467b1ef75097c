"""Record batches -> Parquet files, and back: what is read is compared with what was written, value by value.

A batch is a row group, so that memory stays bounded, and so that a digest of its values can be taken before it is
encoded and again after it was decoded.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from pgalmanac.archive_manifest import ArchivedFile
from pgalmanac.archive_store import Store, reached
from pgalmanac.archive_types import Column, Form
from pgalmanac.arrow import library
from pgalmanac.errors import ArchiveError

__all__ = ["Content", "FileWriter", "convert", "decoded", "same_bytes", "schema_of"]

_TYPES: Final = {
    Form.BOOL: "bool_",
    Form.INT16: "int16",
    Form.INT32: "int32",
    Form.INT64: "int64",
    Form.FLOAT: "float32",
    Form.DOUBLE: "float64",
    Form.STRING: "string",
    Form.BINARY: "binary",
    Form.DATE: "date32",
}


def schema_of(columns: Sequence[Column]) -> Any:  # noqa: ANN401  # pyarrow.Schema
    """The files' schema."""
    return library("pyarrow").schema([(c.name, _arrow_type(c)) for c in columns])


def _arrow_type(column: Column) -> Any:  # noqa: ANN401  # pyarrow.DataType
    pa = library("pyarrow")
    match column.form:
        case Form.TIMESTAMP:
            return pa.timestamp("us")
        case Form.TIMESTAMPTZ:
            return pa.timestamp("us", tz="UTC")
        case Form.DECIMAL:
            return pa.decimal128(*(column.digits or (38, 0)))
        case form:
            return getattr(pa, _TYPES[form])()


def convert(batch: Any, schema: Any) -> Any:  # noqa: ANN401  # pyarrow.RecordBatch and Schema
    """The driver's batch in the types of the files: no extension types, numerics as decimals."""
    pa = library("pyarrow")
    arrays = [_plain(array) for array in batch.columns]
    # A safe cast: what does not fit raises.
    arrays = [a if a.type.equals(f.type) else a.cast(f.type) for a, f in zip(arrays, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _plain(array: Any) -> Any:  # noqa: ANN401  # pyarrow.Array
    return array.storage if isinstance(array.type, library("pyarrow").BaseExtensionType) else array


class Content:
    """The rows, the edges of the key, and a checksum of each column's values, over batches in their order.

    The checksums find what encoding and decoding changed; against what happens to the bytes there is the file's sha256.
    """

    def __init__(self, key: str) -> None:
        self.rows = 0
        self.first: Any = None
        self.last: Any = None
        self._key = key
        self._sums: dict[str, int] = {}

    @property
    def checksums(self) -> str:
        """A crc32 of each column, in their order."""
        return " ".join(f"{total:08x}" for total in self._sums.values())

    def add(self, batch: Any) -> None:  # noqa: ANN401  # pyarrow.RecordBatch
        """Take a batch in."""
        pc = library("pyarrow.compute")
        self.rows += batch.num_rows
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            total = zlib.crc32(f"{name} {array.type} {len(array)}".encode(), self._sums.get(name, 0))
            for part in _bytes_of(array):
                total = zlib.crc32(part, total)
            self._sums[name] = total
            if name == self._key:
                edges = pc.min_max(_ordered(array))
                self._widen(edges["min"].as_py(), edges["max"].as_py())

    def _widen(self, least: Any, most: Any) -> None:  # noqa: ANN401  # int, or str for a key kept as text
        if least is not None:
            self.first = least if self.first is None else min(self.first, least)
            self.last = most if self.last is None else max(self.last, most)

    @property
    def edges(self) -> tuple[str | None, str | None]:
        """The smallest and largest key as the files store them."""
        return (None if self.first is None else str(self.first), None if self.last is None else str(self.last))


def _is_text(kind: Any) -> bool:  # noqa: ANN401  # pyarrow.DataType
    types = library("pyarrow").types
    return bool(types.is_string(kind) or types.is_binary(kind))


def _ordered(array: Any) -> Any:  # noqa: ANN401  # pyarrow.Array
    """Days and microseconds as numbers; text as it is, whose order is that of its bytes."""
    pa = library("pyarrow")
    if pa.types.is_timestamp(array.type):
        return array.view(pa.int64())
    return array.view(pa.int32()) if pa.types.is_date32(array.type) else array


def _bytes_of(array: Any) -> Iterator[Any]:  # noqa: ANN401  # pyarrow.Array
    """The values in one way of many: what lies below a null, and beside the bits that count, is nobody's value."""
    pa, pc = library("pyarrow"), library("pyarrow.compute")
    if array.null_count:
        yield pc.is_valid(array).cast(pa.uint8()).buffers()[1]
        array = array.fill_null("" if pa.types.is_string(array.type) else _zero(array.type))
    if array.offset:
        array = pa.concat_arrays([array])
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    _, *buffers = array.buffers()
    if len(buffers) == 1:
        yield memoryview(buffers[0])[: len(array) * array.type.bit_width // 8] if len(array) else b""
        return
    offsets, data = buffers
    if len(array):
        ends = memoryview(offsets)[: (len(array) + 1) * 4]
        yield ends
        if data is not None:
            yield memoryview(data)[: int.from_bytes(ends[-4:], "little")]


def _zero(kind: Any) -> Any:  # noqa: ANN401  # pyarrow.DataType and Scalar
    pa = library("pyarrow")
    if pa.types.is_binary(kind):
        return b""
    if pa.types.is_boolean(kind):
        return False
    if pa.types.is_decimal(kind):
        return pa.scalar(Decimal(0), kind)
    return pa.scalar(0).cast(_number(kind)).cast(kind)


def _number(kind: Any) -> Any:  # noqa: ANN401  # pyarrow.DataType
    pa = library("pyarrow")
    if pa.types.is_date32(kind):
        return pa.int32()
    return pa.int64() if pa.types.is_timestamp(kind) else kind


class _Hashed(io.RawIOBase):
    """A file that knows the digest of what was written to it."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401  # a file of pyarrow's or Python's
        super().__init__()
        self._inner = inner
        self._hash = hashlib.sha256()
        self.size = 0
        # Whether the rest is for nobody: a Parquet writer writes its footer when it is closed, wanted or not.
        self.abandoned = False

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401  # whatever has a buffer
        if self.abandoned:
            return len(data)
        self._hash.update(data)
        self._inner.write(data)
        self.size += len(data)
        return len(data)


def _repeating(batch: Any) -> list[str]:  # noqa: ANN401  # pyarrow.RecordBatch
    """The columns in which a value stands four times on average: a dictionary of others is work for nothing."""
    pc = library("pyarrow.compute")
    names = zip(batch.schema.names, batch.columns, strict=True)
    return [name for name, array in names if 4 * pc.count_distinct(array).as_py() <= batch.num_rows]


class FileWriter:
    """One Parquet file under way, for the *like* of this first batch. Who does not `finish` it has to `abandon` it."""

    def __init__(self, store: Store, folder: str, name: str, *, like: Any, key: str) -> None:  # noqa: ANN401  # pyarrow.RecordBatch
        repeating = _repeating(like)
        # The least and the most of a text that is nearly always another help nobody to skip a row group.
        telling = [f.name for f in like.schema if f.name in {key, *repeating} or not _is_text(f.type)]
        unlike = [f.name for f in like.schema if f.name not in repeating and _is_text(f.type)]
        self._store, self._path, self._name = store, f"{folder}/{name}", name
        self._content = Content(key)
        self._file = store.create(self._path)
        self._hashed = _Hashed(self._file)
        with reached(store.at(self._path)):
            self._writer = library("pyarrow.parquet").ParquetWriter(
                self._hashed,
                like.schema,
                compression="zstd",
                use_dictionary=repeating,
                # Lengths first and then the text, which the format's specification prefers over the plain encoding:
                # 15 % less time and 5 % fewer bytes with the demo's events.
                column_encoding=dict.fromkeys(unlike, "DELTA_LENGTH_BYTE_ARRAY"),
                write_statistics=telling,
                # The schema in Arrow's own words would mean other types to readers that know them.
                store_schema=False,
                write_page_checksum=True,
            )

    @property
    def size(self) -> int:
        """The bytes written so far."""
        return self._hashed.size

    def add(self, batch: Any) -> None:  # noqa: ANN401  # pyarrow.RecordBatch
        """Write a batch as one row group."""
        self._content.add(batch)
        with reached(self._store.at(self._path)):
            self._writer.write_batch(batch, row_group_size=max(batch.num_rows, 1))

    def finish(self) -> ArchivedFile:
        """Complete the file; it is not visible yet."""
        with reached(self._store.at(self._path)):
            self._writer.close()
            self._file.close()
        content = self._content
        return ArchivedFile(
            name=self._name,
            bytes=self._hashed.size,
            rows=content.rows,
            sha256=self._hashed.sha256,
            content=content.checksums,
        )

    def abandon(self) -> None:
        """Take back what was written, as far as the store can be reached."""
        self._hashed.abandoned = True
        try:
            with reached(self._store.at(self._path)):
                self._writer.close()
                self._file.close()
            self._store.delete(self._path)
        except ArchiveError:
            return


def same_bytes(store: Store, folder: str, file: ArchivedFile, stopped: Callable[[], None]) -> None:
    """Read a file from its beginning to its end. Raises ArchiveError, naming it, unless it is what was written."""
    path = f"{folder}/{file.name}"
    digest, size = hashlib.sha256(), 0
    for chunk in store.chunks(path):
        stopped()
        digest.update(chunk)
        size += len(chunk)
    if size != file.bytes:
        raise ArchiveError(
            f"{store.at(path)} has {size} bytes and {file.bytes} were written", hint="restore it from a copy"
        )
    if digest.hexdigest() != file.sha256:
        raise ArchiveError(
            f"{store.at(path)} is not what was written (its sha256 differs)", hint="restore it from a copy"
        )


def decoded(store: Store, folder: str, file: ArchivedFile) -> Iterator[Any]:
    """The row groups of a file, whose bytes were compared before, as record batches.

    Raises ArchiveError for a file that cannot be decoded.
    """
    path = f"{folder}/{file.name}"
    with reached(store.at(path)):
        handle = store.open(path)
        try:
            parquet = library("pyarrow.parquet").ParquetFile(handle)
            for group in range(parquet.num_row_groups):
                # One chunk a column: a row group was one batch.
                yield from parquet.read_row_group(group).combine_chunks().to_batches()
        finally:
            handle.close()
