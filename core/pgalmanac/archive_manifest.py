"""What stands beside the files of an archived partition and makes them an archive. Pure.

The manifest is written last: files without one are what an interrupted run left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import quote

from pgalmanac.errors import ArchiveError
from pgalmanac.model import Bounds, Interval
from pgalmanac.table_names import TableName

__all__ = ["MANIFEST", "ArchivedFile", "KeptColumn", "Manifest", "folder_of", "read_manifest", "table_folder"]

MANIFEST: Final = "_manifest.json"
_FORMAT: Final = 1
# The column that readers of a hive layout make of the folder's name.
_UNITS: Final = {
    Interval.HOURLY: "hour",
    Interval.DAILY: "day",
    Interval.WEEKLY: "week",
    Interval.MONTHLY: "month",
    Interval.QUARTERLY: "quarter",
    Interval.YEARLY: "year",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """One Parquet file. *sha256* is of its bytes, *content* a crc32 of each column's values before encoding."""

    name: str
    bytes: int
    rows: int
    sha256: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptColumn:
    """A column's type in PostgreSQL and in the files."""

    name: str
    type: str
    stored: str
    not_null: bool = False
    generated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One archived partition. Bounds and *min* and *max* of the key are key times in ISO 8601; None is unbounded.

    *first* and *last* are the key's edges as the files store them. *written_at* is an instant in UTC by the server.
    """

    schema: str
    table: str
    partition_schema: str
    partition: str
    oid: int
    period: str
    lower: str | None
    upper: str | None
    key: str
    rows: int
    min: str | None
    max: str | None
    first: str | None
    last: str | None
    files: tuple[ArchivedFile, ...]
    columns: tuple[KeptColumn, ...]
    ddl: tuple[str, ...]
    system_id: str
    database: str
    server_version: str
    run_id: str | None
    written_by: str
    written_at: str

    @property
    def name(self) -> TableName:
        """The partition that was archived."""
        return TableName(schema=self.partition_schema, name=self.partition)

    @property
    def bounds(self) -> Bounds:
        """The partition's bounds in key time."""
        return Bounds(lower=_moment(self.lower), upper=_moment(self.upper))

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(f.bytes for f in self.files)

    @property
    def content(self) -> tuple[str, ...]:
        """What two archives of the same rows in the same order have in common."""
        return tuple(f"{f.rows}:{f.content}" for f in self.files)

    def text(self) -> str:
        """The manifest as it is written."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


# Nothing else is read for a manifest's sake, wherever its words would lead.
_FILE: Final = re.compile(r"part-[\w-]+\.parquet")


def _check(manifest: Manifest) -> None:
    """Raise ValueError for what no run of ours writes: it may come from somebody who can write to the archive."""
    words: list[object] = [
        manifest.schema,
        manifest.table,
        manifest.partition_schema,
        manifest.partition,
        manifest.period,
    ]
    words += [t for c in manifest.columns for t in (c.name, c.type, c.stored)]
    words += [t for f in manifest.files for t in (f.name, f.sha256)]
    numbers: list[object] = [manifest.rows, *(n for f in manifest.files for n in (f.bytes, f.rows))]
    edges = [e for e in (manifest.bounds.lower, manifest.bounds.upper) if e is not None]
    if not (
        all(isinstance(word, str) and word for word in words)
        and all(isinstance(number, int) and number >= 0 for number in numbers)
        and all(edge.tzinfo is not None for edge in edges)
        and all(_FILE.fullmatch(f.name) for f in manifest.files)
        and manifest.key in {c.name for c in manifest.columns}
    ):
        msg = "a field has what no run writes"
        raise ValueError(msg)


def read_manifest(text: bytes, where: str) -> Manifest:
    """The manifest in *text*. Raises ArchiveError, which names *where*, for anything else."""
    try:
        value: Any = json.loads(text)
        fields = dict(cast("Mapping[str, Any]", value))
        if fields.pop("format") != _FORMAT:
            raise ArchiveError(f"{where} is of a later format", hint="read it with the version that wrote it, or newer")
        fields["files"] = tuple(ArchivedFile(**f) for f in fields["files"])
        fields["columns"] = tuple(KeptColumn(**c) for c in fields["columns"])
        fields["ddl"] = tuple(fields["ddl"])
        manifest = Manifest(**fields)
        _check(manifest)
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise ArchiveError(f"{where} is not a manifest of pgalmanac", hint="restore it from a copy") from exc
    return manifest


def table_folder(name: TableName) -> str:
    """The table's folder: its name, and before it its schema where that is not public."""
    parts = [name.name] if name.schema == "public" else [name.schema, name.name]
    # What is no letter, digit, _ or - is written as %XX: no separator, and no dot but the one between the parts.
    return ".".join(quote(part, safe="").replace(".", "%2E").replace("~", "%7E") for part in parts)


def folder_of(interval: Interval | None, period: str, columns: frozenset[str]) -> str:
    """The partition's folder below the table's, such as day=2025-11-02; *columns* are the table's own.

    Readers make a column of it, so it gives way to a column of the table that has that name already.
    """
    unit = "period" if interval is None else _UNITS[interval]
    if unit in {c.lower() for c in columns}:
        unit = f"partition_{unit}"
    return f"{unit}={period}"
