"""What a detached table lacks of its parent's structure: two looks at the catalog, compared by name. No row is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, LiteralString

from pgalmanac.db import Session
from pgalmanac.mend import Column, Index, Mend, beyond, lacking
from pgalmanac.model import PartitionedTable
from pgalmanac.structure import read_dress
from pgalmanac.table_names import TableName

__all__ = ["read_mend"]

_COLUMNS: Final[LiteralString] = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod),
       CASE WHEN a.attcollation <> t.typcollation
            THEN (SELECT format('%%I.%%I', n.nspname, l.collname) FROM pg_collation l
                    JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) END,
       pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text, a.attidentity <> '', a.attnotnull
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
# A foreign key to a partitioned table has rows for its partitions besides, with a parent.
_CONSTRAINTS: Final[LiteralString] = """
SELECT k.conname::text, k.contype::text, pg_get_constraintdef(k.oid) FROM pg_constraint k
 WHERE k.conrelid = %s AND k.contype IN ('c', 'f') AND k.conparentid = 0 ORDER BY k.conname
"""
# What ATTACH compares to find the partition's counterpart of an index; what it does not find it would build under
# its locks. The definition is what follows USING: the words before it name another index and another table.
_INDEXES: Final[LiteralString] = """
SELECT json_build_array(am.amname, i.indisunique, to_jsonb(i) -> 'indnullsnotdistinct', k.contype, i.indnkeyatts,
           i.indclass::text, i.indcollation::text, i.indoption::text,
           ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY u(number, place)
                   LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number AND u.number <> 0
                  ORDER BY u.place),
           pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid))::text,
       c.relname::text, i.indisunique, CASE WHEN k.oid IS NOT NULL THEN pg_get_constraintdef(k.oid) END,
       CASE WHEN starts_with(pg_get_indexdef(c.oid), w.words) THEN substr(pg_get_indexdef(c.oid), length(w.words) + 1)
       END
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
  JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
  LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')
 CROSS JOIN LATERAL (SELECT format('CREATE %%sINDEX %%I ON %%s%%I.%%I USING ',
           CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname,
           CASE WHEN t.relkind = 'p' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname) AS words) w
 WHERE i.indrelid = %s AND (i.indisvalid OR t.relkind = 'p') ORDER BY c.relname
"""


@dataclass(frozen=True, slots=True)
class _Column:
    # Positional: the columns of the SELECT above.
    name: str
    type: str
    collation: str | None
    default: str | None
    generated: str
    identity: bool
    not_null: bool


async def read_mend(session: Session, table: PartitionedTable, oid: int, name: TableName) -> Mend:
    """What *name*, which was a partition of *table*, needs before it can be one again."""
    parent_oid = table.oid
    wanted, found = [
        {c.name: c for c in (_Column(*row) for row in await (await session.execute(_COLUMNS, [o])).fetchall())}
        for o in (parent_oid, oid)
    ]
    refusal = next(_incompatible(wanted, found), None)
    if refusal is not None:
        return Mend(refusal=refusal)
    constraints, clash = await _constraints(session, parent_oid, oid)
    keys, indexes, odd = await _indexes(session, parent_oid, oid)
    parent, own = await read_dress(session, parent_oid, table.name), await read_dress(session, oid, name)
    return Mend(
        refusal=clash or odd,
        columns=tuple(_new(c) for name, c in wanted.items() if name not in found),
        not_null=tuple(n for n, c in wanted.items() if c.not_null and n in found and not found[n].not_null),
        constraints=(*constraints, *((None, key) for key in keys)),
        indexes=indexes,
        dress=lacking(parent, own),
        beyond=tuple(beyond(parent, own)),
    )


def _incompatible(wanted: Mapping[str, _Column], found: Mapping[str, _Column]) -> Iterator[str]:
    for name, column in found.items():
        parent = wanted.get(name)
        if parent is None:
            yield f"it has the column {name}, which its table no longer has"
        elif (parent.type, parent.collation) != (column.type, column.collation):
            yield f"its column {name} is {_type(column)}, and that of its table is {_type(parent)} now"
        elif parent.generated != column.generated:
            yield f"the column {name} is generated in one of the two tables and not in the other"
    for name, column in wanted.items():
        if name not in found and column.not_null and column.default is None:
            yield f"its table was given the column {name}, NOT NULL and without a default; add it to this one yourself"


def _type(column: _Column) -> str:
    return column.type if column.collation is None else f"{column.type} COLLATE {column.collation}"


def _new(column: _Column) -> Column:
    generated = column.default if column.generated else None
    return Column(
        name=column.name,
        type=column.type,
        collation=column.collation,
        default=None if column.generated else column.default,
        generated=generated,
        virtual=column.generated == "v",
        not_null=column.not_null,
    )


async def _constraints(
    session: Session, parent_oid: int, oid: int
) -> tuple[tuple[tuple[str | None, str], ...], str | None]:
    """The checks and foreign keys that are missing; or why one cannot be added. Checks are told by their names."""
    parent, own = [await (await session.execute(_CONSTRAINTS, [o])).fetchall() for o in (parent_oid, oid)]
    checks = {name: definition for name, kind, definition in own if kind == "c"}
    references = Counter(definition for _, kind, definition in own if kind == "f")
    missing: list[tuple[str | None, str]] = []
    for name, kind, definition in parent:
        if kind == "f":
            references[definition] -= 1
            if references[definition] < 0:
                missing.append((name, definition))
        elif name not in checks:
            missing.append((name, definition))
        elif checks[name] not in {definition, definition.removesuffix(" NOT VALID")}:  # valid is more than is asked for
            return (), f"its check {name} is another one than that of its table; drop it there or rename it"
    return tuple(missing), None


async def _indexes(session: Session, parent_oid: int, oid: int) -> tuple[list[str], tuple[Index, ...], str | None]:
    """The keys and the plain indexes that have no counterpart, or which index cannot be copied."""
    parent, own = [await (await session.execute(_INDEXES, [o])).fetchall() for o in (parent_oid, oid)]
    there = Counter(shape for shape, *_ in own)
    keys: list[str] = []
    indexes: list[Index] = []
    for shape, name, unique, key, definition in parent:
        there[shape] -= 1
        if there[shape] >= 0:
            continue
        if key is not None:
            keys.append(key)
        elif definition is None:
            return [], (), f"the index {name} of its table cannot be copied; make one like it on this table"
        else:
            indexes.append(Index(definition=definition, unique=unique))
    return keys, tuple(indexes), None
