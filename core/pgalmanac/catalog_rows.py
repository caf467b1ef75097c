"""Rows of the catalog -> the snapshot of a table, as catalog.py selects them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pgalmanac.bounds import EARLIEST, parse_bounds
from pgalmanac.errors import ConfigError
from pgalmanac.marks import read_mark, read_pin
from pgalmanac.model import Bounds, KeyType, Orphan, Partition, PartitionedTable, PartitionKey, RelationKind, Server
from pgalmanac.table_names import TableName

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

__all__ = ["OrphanRow", "ParentRow", "table_of"]

_KEY_TYPES: Final = {1082: KeyType.DATE, 1114: KeyType.TIMESTAMP, 1184: KeyType.TIMESTAMPTZ}


@dataclass(frozen=True, slots=True)
class ParentRow:
    """The parent, by position: several SELECTs come back from one round trip."""

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    is_partition: bool
    strategy: str | None
    columns: int | None
    column: str | None
    type_oid: int | None
    now: datetime
    may_create: bool
    owner_may_create: bool
    may_own: bool
    tablespace: int
    # Of each table at the other end: schema, name, whether this role may LOCK it, whether it refers, is referred to.
    foreign_keys: list[list[str]]
    # Of each that is invalid, or not where the database's own things are: name, whether it is valid, tablespace.
    indexes: list[list[str | None]]
    column_names: list[str]
    partman_schemas: list[str]


@dataclass(frozen=True, slots=True)
class OrphanRow:
    """A table that is marked as a partition of something, by position."""

    oid: int
    schema: str
    name: str
    comment: str
    bytes: int


def table_of(
    server: Server, row: ParentRow, partitions: Sequence[TupleRow], orphans: Sequence[OrphanRow]
) -> PartitionedTable:
    """The snapshot. Raises ConfigError for a table that is not partitioned by one time column."""
    system_id = server.system_id
    found = [_partition(system_id, row.oid, *p) for p in partitions]
    ranged = sorted((p for p in found if not p.is_default), key=_order)
    return PartitionedTable(
        oid=row.oid,
        name=TableName(schema=row.schema, name=row.name),
        owner=row.owner,
        key=_key(row),
        now=row.now,
        system_id=system_id,
        partitions=tuple(ranged),
        default=next((p for p in found if p.is_default), None),
        orphans=tuple(o for r in orphans if (o := _orphan(r, system_id, row.oid)) is not None),
        estranged=tuple(
            TableName(schema=r.schema, name=r.name) for r in orphans if _is_estranged(r, system_id, row.oid)
        ),
        referencing=tuple(TableName(schema=s, name=n) for s, n, _, refers, _ in row.foreign_keys if refers == "true"),
        referenced=tuple(TableName(schema=s, name=n) for s, n, *_, referred in row.foreign_keys if referred == "true"),
        lockable=frozenset(
            TableName(schema=s, name=n) for s, n, lockable, *_ in row.foreign_keys if lockable == "true"
        ),
        invalid_indexes=tuple(name for name, valid, _ in row.indexes if name is not None and valid == "false"),
        columns=frozenset(row.column_names),
        on_path=server.schemas[:1] == (row.schema,),
    )


def _order(partition: Partition) -> tuple[datetime, int]:
    lower = partition.bounds.lower if partition.bounds is not None else None
    return lower or EARLIEST, partition.oid


def _key(row: ParentRow) -> PartitionKey:
    """The partition key, when it is one that has a calendar. Raises ConfigError with what it is instead."""
    name = TableName(schema=row.schema, name=row.name)
    if row.is_partition:
        raise ConfigError(f"{name} is itself a partition", hint="name its parent with --table")
    if row.kind != RelationKind.PARTITIONED or row.strategy is None:
        raise ConfigError(
            f"{name} is not a partitioned table",
            hint="create another with PARTITION BY RANGE (a time column), and attach this one as its DEFAULT partition",
        )
    if row.strategy != "r":
        how = {"l": "LIST", "h": "HASH"}.get(row.strategy, row.strategy)
        raise ConfigError(
            f"{name} is partitioned by {how}", hint="pgalmanac maintains PARTITION BY RANGE of one time column"
        )
    if row.columns != 1:
        raise ConfigError(
            f"{name} is partitioned by {row.columns} columns",
            hint="pgalmanac maintains PARTITION BY RANGE of one time column",
        )
    if row.column is None or row.type_oid is None:
        raise ConfigError(
            f"{name} is partitioned by an expression", hint="pgalmanac maintains PARTITION BY RANGE of one time column"
        )
    key = _KEY_TYPES.get(row.type_oid)
    if key is None:
        raise ConfigError(
            f"{name} is partitioned by {row.column}, which is no date, timestamp or timestamptz",
            hint="pgalmanac maintains PARTITION BY RANGE of one time column",
        )
    return PartitionKey(column=row.column, type=key)


def _partition(  # noqa: PLR0917  # the columns of the SELECT, of which there may be ten thousand
    system_id: str,
    parent_oid: int,
    oid: int,
    schema: str,
    name: str,
    kind: str,
    persistence: str,
    tablespace: str | None,
    pending: bool,  # noqa: FBT001  # a column
    bound: str | None,
    comment: str | None,
    rows: int,
    counters: str,
) -> Partition:
    mark = read_mark(comment)
    ours = mark is not None and (mark.system_id, mark.parent_oid, mark.oid) == (system_id, parent_oid, oid)
    return Partition(
        oid=oid,
        name=TableName(schema=schema, name=name),
        bounds=parse_bounds(bound),
        kind=RelationKind(kind),
        is_default=bound == "DEFAULT",
        detach_pending=pending,
        persistence=persistence,
        tablespace=tablespace,
        comment=comment,
        mark=mark if ours else None,
        pin=read_pin(comment),
        rows=rows,
        counters=counters,
    )


def _is_estranged(row: OrphanRow, system_id: str, parent_oid: int) -> bool:
    mark = read_mark(row.comment)
    return mark is not None and mark.system_id != system_id and (mark.parent_oid, mark.oid) == (parent_oid, row.oid)


def _orphan(row: OrphanRow, system_id: str, parent_oid: int) -> Orphan | None:
    mark = read_mark(row.comment)
    if mark is None or (mark.system_id, mark.parent_oid, mark.oid) != (system_id, parent_oid, row.oid):
        return None
    try:
        bounds = Bounds(
            lower=None if mark.lower is None else datetime.fromisoformat(mark.lower),
            upper=None if mark.upper is None else datetime.fromisoformat(mark.upper),
        )
    except ValueError:  # somebody edited the comment: then it is no mark of ours
        return None
    return Orphan(
        oid=row.oid,
        name=TableName(schema=row.schema, name=row.name),
        bounds=bounds,
        mark=mark,
        comment=row.comment,
        pin=read_pin(row.comment),
        bytes=row.bytes,
    )
