"""The SELECTs on the catalog and their row types -> snapshot and facts. Reads only; nothing here decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import errors, sql

from pgalmanac.bounds import EARLIEST, parse_bounds
from pgalmanac.db import Session, translated
from pgalmanac.ddl import qualified
from pgalmanac.discovery import discover, find
from pgalmanac.errors import ConfigError
from pgalmanac.marks import PREFIX, read_mark, read_pin
from pgalmanac.model import (
    Bounds,
    KeyType,
    Orphan,
    Partition,
    PartitionedTable,
    PartitionKey,
    RelationKind,
    TableName,
    TableRef,
    quote,
)

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

__all__ = ["ESTIMATED_ROWS", "inspect"]

_KEY_TYPES: Final = {1082: KeyType.DATE, 1114: KeyType.TIMESTAMP, 1184: KeyType.TIMESTAMPTZ}
_PARENT: Final[LiteralString] = """
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       pg_get_userbyid(c.relowner)::text AS owner, c.relispartition AS is_partition,
       p.partstrat::text AS strategy, p.partnatts::int4 AS columns,
       a.attname::text AS column, COALESCE(NULLIF(t.typbasetype, 0), t.oid)::int8 AS type_oid,
       clock_timestamp() AS now,
       has_schema_privilege(n.oid, 'CREATE') AS may_create, pg_has_role(c.relowner, 'USAGE') AS may_own,
       ARRAY(SELECT DISTINCT ARRAY[fn.nspname::text, f.relname::text,
                                   has_table_privilege(f.oid, 'UPDATE, DELETE, TRUNCATE')::text,
                                   (k.confrelid = c.oid)::text, (k.conrelid = c.oid)::text]
               FROM pg_constraint k
               JOIN pg_class f ON f.oid = CASE k.conrelid WHEN c.oid THEN k.confrelid ELSE k.conrelid END
               JOIN pg_namespace fn ON fn.oid = f.relnamespace
              WHERE k.contype = 'f' AND (k.conrelid = c.oid OR k.confrelid = c.oid AND k.conparentid = 0)
             ) AS foreign_keys,
       ARRAY(SELECT ic.relname::text FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
              WHERE i.indrelid = c.oid AND NOT i.indisvalid ORDER BY 1) AS invalid_indexes,
       ARRAY(SELECT ca.attname::text FROM pg_attribute ca
              WHERE ca.attrelid = c.oid AND ca.attnum > 0 AND NOT ca.attisdropped) AS column_names,
       ARRAY(SELECT pn.nspname::text FROM pg_class pc JOIN pg_namespace pn ON pn.oid = pc.relnamespace
              WHERE pc.relname = 'part_config' AND pc.relkind = 'r'
                AND EXISTS (SELECT FROM pg_attribute pa WHERE pa.attrelid = pc.oid AND pa.attname = 'parent_table')
              ORDER BY 1) AS partman_schemas
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] AND a.attnum > 0
  LEFT JOIN pg_type t ON t.oid = a.atttypid
 WHERE c.oid = {oid};
"""
# The server's estimate of a table's rows: the live-tuple counter, or what the last ANALYZE wrote where the counters
# began anew since then (a crash, a failover, a reset), which shows in fewer inserts than there were rows. `c` is its
# pg_class row.
ESTIMATED_ROWS: Final[LiteralString] = """
CASE WHEN c.reltuples > 0 AND pg_stat_get_live_tuples(c.oid) < c.reltuples
      AND (pg_stat_get_live_tuples(c.oid) = 0 OR pg_stat_get_tuples_inserted(c.oid) < c.reltuples)
     THEN c.reltuples ELSE pg_stat_get_live_tuples(c.oid) END::int8"""
# relpartbound holds no column, so that pg_get_expr takes 0 for the relation (PostgreSQL's documentation, 9.27.5);
# with the partition's oid it would wait behind an ACCESS EXCLUSIVE lock on it, in the middle of an incident.
_PARTITIONS: Final[LiteralString] = f"""
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.relpersistence::text AS persistence, s.spcname::text AS tablespace, i.inhdetachpending AS pending,
       pg_get_expr(c.relpartbound, 0) AS bound, d.description AS comment,
       CASE WHEN {{counted}} THEN {ESTIMATED_ROWS} ELSE 0 END AS rows,
       CASE WHEN {{counted}} THEN concat_ws('/', c.relfilenode, pg_stat_get_tuples_inserted(c.oid),
            pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid)) ELSE '' END AS counters
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
  LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
 WHERE i.inhparent = {{oid}};
"""  # made of constants
_ORPHANS: Final[LiteralString] = """
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, d.description AS comment,
       ((c.relpages + COALESCE((SELECT sum(x.relpages) FROM pg_class x
          WHERE x.oid = c.reltoastrelid
             OR x.oid IN (SELECT i.indexrelid FROM pg_index i WHERE i.indrelid IN (c.oid, c.reltoastrelid))), 0))
        * current_setting('block_size')::int8)::int8 AS bytes
  FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT c.relispartition AND c.relkind = 'r'
   AND strpos(d.description, {prefix}) > 0;
"""


@dataclass(frozen=True, slots=True)
class _Parent:
    # Positional: the columns of the SELECT above, several of which come back from one round trip.
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
    may_own: bool
    # Of each table at the other end: schema, name, whether this role may LOCK it, whether it refers, is referred to.
    foreign_keys: list[list[str]]
    invalid_indexes: list[str]
    column_names: list[str]
    partman_schemas: list[str]


@dataclass(frozen=True, slots=True)
class _OrphanRow:
    # Positional: the columns of the SELECT above, several of which come back from one round trip.
    oid: int
    schema: str
    name: str
    comment: str
    bytes: int


async def inspect(session: Session, ref: TableRef, *, lock: bool = False, counted: bool = True) -> PartitionedTable:
    """The snapshot of one table as of one moment: a round trip that finds it, and one that reads it.

    A default partition costs one more, and so do partitions in another schema and pg_partman. Raises ConfigError for a
    table that is not there or not partitioned by one time column.

    With *lock* the table's advisory lock is taken first, for the session: a plan is never older than the lock that it
    is carried out under. TableBusyError when another run holds it. Unless it is to be *counted*, no partition has rows
    or counters: PostgreSQL 14 waits up to ten seconds for a busy statistics collector, which a look in the middle of
    an incident must not.
    """
    found = await find(session, ref, lock=lock)
    if found is None:
        raise await _missing(session, ref)
    oid = sql.Literal(found[0])
    query = sql.Composed(
        [
            sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; "),
            sql.SQL(_PARENT).format(oid=oid),
            sql.SQL(_PARTITIONS).format(oid=oid, counted=sql.Literal(counted)),
            sql.SQL(_ORPHANS).format(prefix=sql.Literal(PREFIX)),
            sql.SQL("COMMIT"),
        ]
    )
    with translated(f"the catalog of {ref}"):
        try:
            parent_rows, partition_rows, orphan_rows = await session.read(query)
        finally:
            await session.rollback()
    parents = [_Parent(*row) for row in parent_rows]
    orphans = [_OrphanRow(*row) for row in orphan_rows]
    if not parents:  # dropped in between
        raise await _missing(session, ref)
    table = _table(session, _checked(parents[0]), parents[0], partition_rows, orphans)
    table = replace(table, missing_grants=await _missing_grants(session, parents[0], table))
    if table.default is not None:
        table = replace(table, default_has_rows=await _has_rows(session, table.default))
    for schema in parents[0].partman_schemas:
        listed = await _in_partman(session, schema, table.name)
        if listed is not False:
            table = replace(table, pg_partman=schema, pg_partman_unread=listed is None)
        if listed:
            break
    return table


async def _missing(session: Session, ref: TableRef) -> ConfigError:
    elsewhere = [t for t in await discover(session) if t.name == ref.name and t.schema != ref.schema]
    where = f"database {session.server.database}"
    if elsewhere:
        hint = f"did you mean {' or '.join(str(t) for t in elsewhere)}?"
    else:
        hint = "name another with --table, or another database with --dsn"
    return ConfigError(f"there is no table {ref} in {where}", hint=hint)


def _checked(row: _Parent) -> PartitionKey:
    """The partition key, when it is one that has a calendar. Raises ConfigError with what it is instead."""
    name = TableName(schema=row.schema, name=row.name)
    if row.is_partition:
        raise ConfigError(f"{name} is itself a partition", hint="name its parent with --table")
    if row.kind != RelationKind.PARTITIONED or row.strategy is None:
        raise ConfigError(
            f"{name} is not a partitioned table", hint="create it with PARTITION BY RANGE (a time column)"
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


def _table(
    session: Session,
    key: PartitionKey,
    row: _Parent,
    partitions: Sequence[TupleRow],
    orphans: Sequence[_OrphanRow],
) -> PartitionedTable:
    system_id = session.server.system_id
    found = [_partition(system_id, row.oid, *p) for p in partitions]
    ranged = sorted((p for p in found if not p.is_default), key=_order)
    return PartitionedTable(
        oid=row.oid,
        name=TableName(schema=row.schema, name=row.name),
        owner=row.owner,
        key=key,
        now=row.now,
        system_id=system_id,
        partitions=tuple(ranged),
        default=next((p for p in found if p.is_default), None),
        orphans=tuple(o for r in orphans if (o := _orphan(r, system_id, row.oid)) is not None),
        referencing=tuple(TableName(schema=s, name=n) for s, n, _, refers, _ in row.foreign_keys if refers == "true"),
        referenced=tuple(TableName(schema=s, name=n) for s, n, *_, referred in row.foreign_keys if referred == "true"),
        lockable=frozenset(
            TableName(schema=s, name=n) for s, n, lockable, *_ in row.foreign_keys if lockable == "true"
        ),
        invalid_indexes=tuple(row.invalid_indexes),
        columns=frozenset(row.column_names),
        on_path=session.server.schemas[:1] == (row.schema,),
    )


def _order(partition: Partition) -> tuple[datetime, int]:
    lower = partition.bounds.lower if partition.bounds is not None else None
    return lower or EARLIEST, partition.oid


async def _missing_grants(session: Session, row: _Parent, table: PartitionedTable) -> tuple[str, ...]:
    """The GRANTs without which this role cannot maintain the table. New partitions are made beside the newest."""
    role = sql.Identifier(session.server.role)
    home = table.ranged[-1].name.schema if table.ranged else row.schema
    may_create = row.may_create
    if home != row.schema:
        with translated(f"the schema {quote(home)}"):
            found = await (await session.execute("SELECT has_schema_privilege(%s, 'CREATE')", [home])).fetchone()
        may_create = bool(found and found[0])
    missing: list[sql.Composed] = []
    if not row.may_own:
        missing.append(sql.SQL("GRANT {} TO {}").format(sql.Identifier(row.owner), role))
    if not may_create:
        missing.append(sql.SQL("GRANT CREATE ON SCHEMA {} TO {}").format(sql.Identifier(home), role))
    return tuple(m.as_string(session.conn) for m in missing)


def _partition(  # noqa: PLR0917  # the columns of the SELECT above, of which there may be ten thousand
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


def _orphan(row: _OrphanRow, system_id: str, parent_oid: int) -> Orphan | None:
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


async def _has_rows(session: Session, default: Partition) -> bool | None:
    """Whether the default partition holds any row; None where it is locked or may not be read."""
    query = sql.SQL("SELECT EXISTS (SELECT FROM ONLY {})").format(qualified(default.name))
    try:
        row = await (await session.execute(query)).fetchone()
    except (errors.LockNotAvailable, errors.InsufficientPrivilege, errors.WrongObjectType):
        return None
    return bool(row and row[0])


async def _in_partman(session: Session, schema: str, name: TableName) -> bool | None:
    """Whether pg_partman's list has this table; None where it is locked or may not be read."""
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE parent_table = %s)").format(
        sql.Identifier(schema, "part_config")
    )
    try:
        row = await (await session.execute(query, [f"{name.schema}.{name.name}"])).fetchone()
    except errors.UndefinedTable:
        return False
    except (errors.LockNotAvailable, errors.InsufficientPrivilege):
        return None
    return bool(row and row[0])
