"""The most frequent values of the last days, counted a partition at a time; those of days gone by are remembered."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Final

from psycopg import errors, sql

from pgalmanac.db import Session
from pgalmanac.ddl import key_literal, qualified
from pgalmanac.model import Bounds, Partition
from pgalmanac.table_names import TableName
from pgalmanac.view import View

__all__ = ["most_frequent"]

_DAYS: Final = 7
# Of a partition with more values than these nothing is remembered or added up here: the server sorts them all out.
_MOST: Final = 1000


async def most_frequent(
    session: Session, seen: View, *, limit: int, seconds: float, cache: bool, path: Path | None = None
) -> tuple[tuple[str, int], ...] | None:
    """The *limit* most frequent values of the breakdown's column, today's and those of the six days before, with rows.

    None where counting takes longer than *seconds*, or not all of it may be read. With *cache*, what did not change
    since it was counted is not counted again; *path* names another file than the usual one.
    """
    since, until = seen.day(1 - _DAYS), seen.day(1)
    counting = _Counting(session=session, seen=seen, since=since, until=until, end=monotonic() + seconds)
    try:
        found = await counting.added_up(cache=cache, path=path)
        if found is None:
            return tuple(await counting.values(seen.table.name, limit))
    except (
        errors.UndefinedColumn,
        errors.UndefinedTable,
        errors.LockNotAvailable,
        errors.InsufficientPrivilege,
        errors.QueryCanceled,
    ):
        return None
    return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0]))[:limit])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counting:
    """What is counted: the keys from *since* until *until*, which is not one of them. *end* is monotonic seconds."""

    session: Session
    seen: View
    since: datetime
    until: datetime
    end: float

    async def added_up(self, *, cache: bool, path: Path | None) -> Counter[str] | None:
        """Every value and its rows; None when a partition has too many values."""
        from pgalmanac.counts_cache import keys, open_cache  # noqa: PLC0415  # sqlite, for those who count

        partitions = [p for p in reversed(self.seen.table.children) if self._may_hold(p)]
        known = await keys(self.session, self.seen, filter(self._whole, partitions)) if cache else {}
        file = open_cache(self.session, path, what=f"values of column {await self._number() if known else ''}")
        kept = file.read(known)
        new: list[tuple[int, str, str]] = []
        total: Counter[str] = Counter()
        try:
            for partition in partitions:
                text = kept.get(partition.oid)
                if text is None:
                    values = await self.values(partition.name, _MOST + 1)
                    text = json.dumps(values if len(values) <= _MOST else None)
                    if partition.oid in known:
                        new.append((partition.oid, known[partition.oid], text))
                if (rows_of := json.loads(text)) is None:
                    return None
                total.update(dict(rows_of))
        finally:
            if new:
                file.write(new)
        return total

    async def _number(self) -> int | None:
        """The column's number, which another one that takes its name has not."""
        query = "SELECT attnum FROM pg_attribute WHERE attrelid = %s AND attname = %s"
        asked = [self.seen.table.oid, self.seen.policy.breakdown_column]
        row = await (await self.session.execute(query, asked)).fetchone()
        return None if row is None else int(row[0])

    async def values(self, table: TableName, limit: int) -> list[tuple[str, int]]:
        """The *limit* most frequent values in *table* with their rows. Raises psycopg.Error."""
        key = self.seen.table.key
        query = sql.SQL(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {timeout}; SET LOCAL max_parallel_workers_per_gather = 0; "
            "SELECT {column}::text, count(*) FROM {table} WHERE {key} >= {since} AND {key} < {until} "
            "AND {column} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}; COMMIT"
        ).format(
            timeout=max(int((self.end - monotonic()) * 1000), 1),
            column=sql.Identifier(self.seen.policy.breakdown_column),
            table=qualified(table),
            key=sql.Identifier(key.column),
            since=key_literal(key.type, self.since),
            until=key_literal(key.type, self.until),
            limit=limit,
        )
        try:
            (rows,) = await self.session.read(query)
        finally:
            await self.session.rollback()
        return [(value, count) for value, count in rows]

    def _may_hold(self, partition: Partition) -> bool:
        """Whether rows of these days may be in it; what is being detached is no part of the table any more."""
        if partition.is_default or partition.bounds is None:
            return partition.is_default
        days = Bounds(lower=self.since, upper=self.until)
        return partition.bounds.overlaps(days) and not partition.detach_pending

    def _whole(self, partition: Partition) -> bool:
        """Whether all of it is of these days, if its period is over."""
        lower = None if partition.bounds is None else partition.bounds.lower
        return lower is not None and lower >= self.since
