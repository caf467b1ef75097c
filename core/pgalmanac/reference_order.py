"""In which order several tables are maintained: whoever refers to another before that one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, LiteralString, TypeVar

import psycopg

from pgalmanac.db import Session
from pgalmanac.table_names import TableRef

__all__ = ["referring_first", "stable_order"]

T = TypeVar("T")

# Each of the tables as discovery.py finds it, and by their numbers in the list who refers to whom.
_REFERENCES: Final[LiteralString] = """
WITH wanted AS (
    SELECT w.number, t.oid
      FROM unnest(%(schemas)s::text[], %(names)s::text[]) WITH ORDINALITY AS w(schema, name, number),
           LATERAL (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE c.relname = w.name AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
                       AND CASE WHEN w.schema IS NULL THEN n.nspname = ANY (%(path)s::text[])
                                ELSE n.nspname = w.schema END
                     ORDER BY array_position(%(path)s::text[], n.nspname::text) LIMIT 1) t)
SELECT DISTINCT a.number::int4 - 1, b.number::int4 - 1
  FROM wanted a JOIN pg_constraint k ON k.conrelid = a.oid AND k.contype = 'f' JOIN wanted b ON b.oid = k.confrelid
 WHERE a.number <> b.number
"""


async def referring_first(session: Session, refs: Sequence[TableRef]) -> tuple[TableRef, ...]:
    """The tables in an order in which one run drops what has expired: rows that refer to others go before those.

    Otherwise as they are given, also where the server cannot be asked: the next run drops the rest.
    """
    if len(refs) < 2:  # noqa: PLR2004  # one table has no order
        return tuple(refs)
    asked = {
        "schemas": [ref.schema for ref in refs],
        "names": [ref.name for ref in refs],
        "path": list(session.server.schemas),
    }
    try:
        found = await (await session.execute(_REFERENCES, asked)).fetchall()
    except psycopg.Error:
        return tuple(refs)
    return stable_order(refs, [(a, b) for a, b in found])


def stable_order(items: Sequence[T], edges: Collection[tuple[int, int]]) -> tuple[T, ...]:
    """*items* with the first of each edge, by their numbers, before the second; else as they were given.

    Those that are before one another by other edges, a circle, keep the order that they were given in.
    """
    back = [(b, a) for a, b in edges]
    before = {n: _reached(n, back) for n in range(len(items))}
    strictly = {n: {m for m in before[n] if n not in before[m]} for n in before}
    ordered: list[int] = []
    left = list(before)
    while left:
        first = next(n for n in left if not strictly[n] & set(left))
        left.remove(first)
        ordered.append(first)
    return tuple(items[n] for n in ordered)


def _reached(start: int, edges: Collection[tuple[int, int]]) -> set[int]:
    """Where the edges lead to from *start*, in any number of steps."""
    found: set[int] = set()
    new = {start}
    while new:
        new = {b for a, b in edges if a in new} - found
        found |= new
    return found
