"""The second look, only at the objects of a draft plan -> Facts: taken names, who refers, rows, stray rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, LiteralString

from psycopg import errors, sql

from pgalmanac.actions import GOING, Action, ActionKind, Facts, Reason, Source, Status
from pgalmanac.catalog import ESTIMATED_ROWS, UNCOUNTED
from pgalmanac.db import Session
from pgalmanac.db_errors import translated
from pgalmanac.ddl import key_literal, qualified
from pgalmanac.differences import read_mend
from pgalmanac.model import Partition, PartitionedTable, RelationKind
from pgalmanac.plan import Plan
from pgalmanac.strays import REFERENCES, is_referenced, why_immovable
from pgalmanac.table_names import TableName, quote

__all__ = ["read_facts"]

_STRAY_TIMEOUT: Final = "30s"

_TAKEN: Final[LiteralString] = """
SELECT n.nspname::text, c.relname::text, pn.nspname::text, p.relname::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (pg_inherits i JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p'
             JOIN pg_namespace pn ON pn.oid = p.relnamespace) ON i.inhrelid = c.oid
 WHERE n.nspname = ANY (%(schemas)s) AND c.relname = ANY (%(names)s)
UNION
SELECT n.nspname::text, t.typname::text, NULL, NULL FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname = ANY (%(schemas)s) AND t.typname = ANY (%(names)s)
   AND t.typrelid = 0 AND t.typelem = 0
"""
_GONE: Final[LiteralString] = (
    "SELECT s FROM unnest(%s::text[]) AS s WHERE NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = s)"
)
# What would make DROP TABLE fail with 2BP01: whatever depends normally on what goes with the table (its row type, the
# sequences of its columns and so on) and does not go with it too. A foreign key's parts end with the partition's place.
_DEPENDENTS: Final[LiteralString] = """
WITH RECURSIVE going(root, classid, objid) AS (
    SELECT x.oid, 'pg_class'::regclass::oid, x.oid FROM unnest(%(oids)s::oid[]) AS x(oid)
    UNION
    SELECT g.root, d.classid, d.objid
      FROM going g JOIN pg_depend d ON d.refclassid = g.classid AND d.refobjid = g.objid AND d.deptype <> 'n')
SELECT DISTINCT g.root::int8,
       CASE v.relkind WHEN 'm' THEN 'materialized view ' || v.oid::regclass::text
                      WHEN 'v' THEN 'view ' || v.oid::regclass::text
                      ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END,
       s.oid::regclass::text
  FROM going g JOIN pg_depend d ON d.refclassid = g.classid AND d.refobjid = g.objid AND d.deptype = 'n'
  LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  LEFT JOIN pg_class v ON v.oid = r.ev_class
  LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
  LEFT JOIN pg_class s ON g.classid = 'pg_class'::regclass AND s.oid = g.objid AND s.relkind = 'S'
 WHERE (k.oid IS NULL OR k.conparentid = 0)
   AND NOT EXISTS (SELECT FROM going o WHERE o.root = g.root AND o.classid = d.classid AND o.objid = d.objid)
"""
# So many dependents of one partition are named: each of its siblings may be one.
_NAMED_DEPENDENTS: Final = 3
# No sizes: those stat every file, and a drop learns its own under its locks. A plan that is shown gets them by itself.
_ROWS: Final[LiteralString] = f"""
SELECT c.oid::int8, {ESTIMATED_ROWS} FROM pg_class c WHERE c.oid = ANY (%(oids)s::oid[]) AND NOT {UNCOUNTED}
"""  # made of constants


# Only its owner and whom that grants it may use a schema, or make one in the database.
_TRASH: Final[LiteralString] = """
SELECT wanted.name, n.oid IS NULL,
       COALESCE(has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE'), false),
       has_database_privilege(current_database(), 'CREATE')
  FROM unnest(%s::text[]) AS wanted(name) LEFT JOIN pg_namespace n ON n.nspname = wanted.name::name
"""


async def read_facts(session: Session, draft: Plan, leaving: Collection[int] = ()) -> Facts:
    """What a draft plan needs to know about the objects that it names. Asks nothing that the draft does not want.

    *leaving* are the tables that are to be dropped before it is carried out: what refers from there is in nobody's way.
    """
    table = draft.table
    creates = [a for a in draft.of(ActionKind.CREATE, ActionKind.MOVE_ROWS) if a.bounds.lower is not None]
    attaches = draft.of(ActionKind.ATTACH)
    drops = [a for a in draft.of(*GOING) if a.oid is not None and _is_decided(a)]
    filled = [*creates, *(a for a in attaches if a.bounds.lower is not None)]
    wanted = [a.partition for a in (*creates, *draft.of(ActionKind.RESTORE))] + [
        a.target for a in draft.actions if a.target is not None
    ]
    homes = [a.target for a in attaches if a.target is not None]
    wanted += [replace(home, schema=table.name.schema) for home in homes]
    with translated(f"the plan for {table.name}", session.server.database):
        taken = await _taken(session, wanted) if wanted else dict[TableName, TableName | None]()
        strays = await _strays(session, table, filled) if filled else dict[datetime, int]()
        immovable = await why_immovable(session, table) if strays and creates else None
        oids = [a.oid for a in drops if a.oid is not None]
        nothing = (dict[int, str](), dict[int, TableName]())
        blocked, after = await _blocked(session, table, drops, oids, leaving) if oids else nothing
        held = oids + [a.oid for a in (*attaches, *draft.of(ActionKind.ARCHIVE)) if a.oid is not None]
        rows = await _rows(session, held) if held else dict[int, int]()
        mends = {a.oid: await read_mend(session, table, a.oid, a.partition) for a in attaches if a.oid is not None}
        schemas_gone = await _gone(session, homes) if homes else frozenset[str]()
        standing = {p for a in attaches for p in table.partitions if p.bounds == a.bounds}
        empties = frozenset([p.oid for p in standing if await _is_empty(session, p)])
    facts = Facts(
        taken=frozenset(taken),
        others={n: parent for n, parent in taken.items() if parent is not None and parent != table.name},
        blocked=blocked,
        after=after,
        strays=strays,
        immovable=immovable,
        rows=rows,
        mends=mends,
        empties=empties,
        schemas_gone=schemas_gone,
    )
    trashes = {
        a.target.schema for a in draft.of(ActionKind.TRASH) if a.status is Status.PLANNED and a.target is not None
    }
    return await _with_trash(session, facts, sorted(trashes)) if trashes else facts


def _is_decided(action: Action) -> bool:
    """Whether this run decides that the partition goes; what an earlier one began is only ended."""
    return action.source is Source.ATTACHED or action.reason in {Reason.GRACE, Reason.MANUAL}


async def _with_trash(session: Session, facts: Facts, schemas: Sequence[str]) -> Facts:
    """The facts with which schemas of a trash are missing, and which this role may neither use nor make."""
    with translated(f"the schema {', '.join(map(quote, schemas))}"):
        rows = await (await session.execute(_TRASH, [schemas])).fetchall()
    refusals = dict[str, str]()
    for schema, missing, usable, may_make in rows:
        if usable or (missing and may_make):
            continue
        identifier, role = sql.Identifier(schema), sql.Identifier(session.server.role)
        text = "CREATE SCHEMA {} AUTHORIZATION {}" if missing else "GRANT USAGE, CREATE ON SCHEMA {} TO {}"
        grant = sql.SQL(text).format(identifier, role).as_string(session.conn)
        refusals[schema] = f"this role cannot put anything into the trash; missing: {grant}"
    return replace(
        facts, trash_missing=frozenset(schema for schema, missing, *_ in rows if missing), trash_refusals=refusals
    )


async def _taken(session: Session, names: Sequence[TableName]) -> dict[TableName, TableName | None]:
    """Those of the names that something has, each with the table that this is a partition of, if it is one."""
    wanted = set(names)
    cursor = await session.execute(
        _TAKEN, {"schemas": list({t.schema for t in wanted}), "names": [t.name for t in wanted]}
    )
    found = {
        TableName(schema=s, name=n): None if parent is None else TableName(schema=of, name=parent)
        for s, n, of, parent in await cursor.fetchall()
    }
    return {name: parent for name, parent in found.items() if name in wanted}


async def _gone(session: Session, homes: Sequence[TableName]) -> frozenset[str]:
    cursor = await session.execute(_GONE, [list({t.schema for t in homes})])
    return frozenset(schema for (schema,) in await cursor.fetchall())


async def _rows(session: Session, oids: Sequence[int]) -> dict[int, int]:
    return dict(await (await session.execute(_ROWS, {"oids": oids})).fetchall())


async def _is_empty(session: Session, partition: Partition) -> bool:
    """Whether it is a table without a row; False where that cannot be seen in time."""
    if partition.kind is not RelationKind.TABLE:
        return False
    query = sql.SQL(
        "BEGIN; SET LOCAL statement_timeout = {timeout}; SELECT NOT EXISTS (SELECT FROM ONLY {table})"
    ).format(timeout=_STRAY_TIMEOUT, table=qualified(partition.name))
    try:
        cursor = await session.execute(query)
        while cursor.nextset():
            pass
        row = await cursor.fetchone()
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.InsufficientPrivilege, errors.UndefinedTable):
        return False
    finally:
        await session.rollback()
    return bool(row and row[0])


async def _strays(session: Session, table: PartitionedTable, creates: Sequence[Action]) -> dict[datetime, int]:
    """Rows of the default partition for each period to be created, in one scan of it.

    Empty where it cannot be read in time: attaching then meets the rows, and moves them.
    """
    default = table.default
    if default is None or not table.default_has_rows or default.kind is not RelationKind.TABLE:
        return {}
    edges = sorted({e for a in creates for e in (a.bounds.lower, a.bounds.upper) if e is not None})
    literals = sql.SQL(", ").join(key_literal(table.key.type, e) for e in edges)
    column = sql.Identifier(table.key.column)
    query = sql.SQL(
        "BEGIN; SET LOCAL statement_timeout = {timeout}; "
        "SELECT width_bucket({column}, ARRAY[{edges}]), count(*) FROM ONLY {default} "
        "WHERE {column} >= {first} AND {column} < {last} GROUP BY 1; COMMIT"
    ).format(
        timeout=_STRAY_TIMEOUT,
        column=column,
        edges=literals,
        default=qualified(default.name),
        first=key_literal(table.key.type, edges[0]),
        last=key_literal(table.key.type, edges[-1]),
    )
    try:
        cursor = await session.execute(query)
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.InsufficientPrivilege):
        return {}
    finally:
        await session.rollback()
    cursor.nextset()
    cursor.nextset()
    counted: dict[datetime, int] = {edges[bucket - 1]: rows for bucket, rows in await cursor.fetchall()}
    lowers = {a.bounds.lower for a in creates}
    return {lower: rows for lower, rows in counted.items() if lower in lowers}


async def _blocked(
    session: Session, table: PartitionedTable, drops: Sequence[Action], oids: Sequence[int], leaving: Collection[int]
) -> tuple[dict[int, str], dict[int, TableName]]:
    """Partitions whose drop would fail for a standing reason, with that reason: dependents, and referring rows.

    And those to which only rows in tables that are *leaving* refer, with whose these are.
    """
    blocked: dict[int, dict[str | None, list[str]]] = {}
    for oid, what, sequence in await (await session.execute(_DEPENDENTS, {"oids": oids})).fetchall():
        if what is not None:  # the server has no words for what somebody dropped meanwhile, and that blocks nothing
            blocked.setdefault(oid, {}).setdefault(sequence, []).append(what)
    reasons = {oid: "; ".join(_depends(*each) for each in by.items()) for oid, by in blocked.items()}
    if not table.referencing:
        return reasons, {}
    after = dict[int, TableName]()
    references = await (await session.execute(REFERENCES, [table.oid])).fetchall()
    for action in drops:
        for name, schema, referring, columns, targets in references if action.source is Source.ATTACHED else ():
            if action.oid is not None and action.oid not in reasons:
                other = TableName(schema=schema, name=referring)
                # Unknown counts as no: the server asks again under the lock.
                if not await is_referenced(session, action.partition, other, columns, targets):
                    continue
                if not leaving or await is_referenced(
                    session, action.partition, other, columns, targets, leaving=leaving
                ):
                    reasons[action.oid] = f"rows of {other} refer to it by the foreign key {name}"
                else:
                    after[action.oid] = other
    return reasons, after


def _depends(sequence: str | None, what: Sequence[str]) -> str:
    """The sentence that *what* depends on a partition, or on a *sequence* that would be dropped with it."""
    named, more = sorted(what)[:_NAMED_DEPENDENTS], len(what) - _NAMED_DEPENDENTS
    listed = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    verb = "depends" if len(what) == 1 else "depend"
    if sequence is None:
        return f"{listed} {verb} on it"
    return f"{listed} {verb} on its sequence {sequence}; ALTER SEQUENCE {sequence} OWNED BY NONE lets it go"
