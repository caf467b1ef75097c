"""The SELECTs on the catalog -> the snapshot of a table. Reads only; nothing here decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, LiteralString

from psycopg import errors, sql

from pgalmanac.catalog_rows import OrphanRow, ParentRow, table_of
from pgalmanac.db import Session
from pgalmanac.db_errors import translated
from pgalmanac.ddl import with_parameters
from pgalmanac.default_rows import with_strays
from pgalmanac.discovery import KEY_TYPE, discover, find
from pgalmanac.errors import ConfigError
from pgalmanac.marks import OURS, PREFIX
from pgalmanac.model import PartitionedTable
from pgalmanac.privileges import missing_grants
from pgalmanac.table_names import TableName, TableRef
from pgalmanac.versions import GRANTED_INHERITANCE

__all__ = ["COMMENT", "ESTIMATED_ROWS", "UNCOUNTED", "UNKNOWN_ROWS", "inspect"]

# Whether this role has the owner's rights, and may give the owner what it made.
_MAY_OWN: Final[LiteralString] = "pg_has_role(c.relowner, 'USAGE')"
_MAY_OWN_16: Final[LiteralString] = "pg_has_role(c.relowner, 'USAGE') AND pg_has_role(c.relowner, 'SET')"
_PARENT: Final[LiteralString] = """
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       pg_get_userbyid(c.relowner)::text AS owner, c.relispartition AS is_partition,
       p.partstrat::text AS strategy, p.partnatts::int4 AS columns,
       a.attname::text AS column, ({key_type})::int8 AS type_oid,
       clock_timestamp() AS now,
       has_schema_privilege(n.oid, 'CREATE') AS may_create,
       has_schema_privilege(c.relowner, n.oid, 'CREATE') AS owner_may_create,
       {may_own} AS may_own, c.reltablespace::int8 AS tablespace,
       ARRAY(SELECT DISTINCT ARRAY[fn.nspname::text, f.relname::text,
                                   has_table_privilege(f.oid, 'UPDATE, DELETE, TRUNCATE')::text,
                                   (k.confrelid = c.oid)::text, (k.conrelid = c.oid)::text]
               FROM pg_constraint k
               JOIN pg_class f ON f.oid = CASE k.conrelid WHEN c.oid THEN k.confrelid ELSE k.conrelid END
               JOIN pg_namespace fn ON fn.oid = f.relnamespace
              WHERE k.contype = 'f' AND (k.conrelid = c.oid OR k.confrelid = c.oid AND k.conparentid = 0)
             ) AS foreign_keys,
       ARRAY(SELECT ARRAY[ic.relname::text, i.indisvalid::text, s.spcname::text]
               FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
               LEFT JOIN pg_tablespace s ON s.oid = ic.reltablespace
              WHERE i.indrelid = c.oid AND (NOT i.indisvalid OR ic.reltablespace <> 0) ORDER BY 1) AS indexes,
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
# The server's estimate of a table's rows: the live-tuple counter; where the counters began anew since the last ANALYZE
# (a crash, a failover, a reset), what that wrote and what they count since. That shows in fewer inserts than there were
# rows, and in counters that know of no ANALYZE or VACUUM, which would have told them. `c` is its pg_class row.
ESTIMATED_ROWS: Final[LiteralString] = """
CASE WHEN c.reltuples > 0 AND pg_stat_get_live_tuples(c.oid) < c.reltuples
      AND (pg_stat_get_live_tuples(c.oid) = 0 OR pg_stat_get_tuples_inserted(c.oid) < c.reltuples)
      AND COALESCE(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid),
                   pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) IS NULL
     THEN GREATEST(c.reltuples + pg_stat_get_tuples_inserted(c.oid) - pg_stat_get_tuples_deleted(c.oid),
                   pg_stat_get_live_tuples(c.oid))
     ELSE pg_stat_get_live_tuples(c.oid) END::int8"""
# Whether that has no ground: never analysed (documentation, 53.11, reltuples), and no counter knows of a row.
UNCOUNTED: Final[LiteralString] = """
(c.reltuples < 0 AND pg_stat_get_live_tuples(c.oid) = 0 AND pg_stat_get_tuples_inserted(c.oid) = 0)"""
# Such a table that has pages all the same, as after pg_upgrade to 17 or older. It stats a file, and waits for a lock.
UNKNOWN_ROWS: Final[LiteralString] = f"""
CASE WHEN {UNCOUNTED} THEN pg_relation_size(c.oid) > 0 ELSE false END"""  # made of constants
# What stands in a comment; `d` is its row of pg_description. A database of encoding SQL_ASCII takes any bytes for text:
# there, what has nothing of ours is sent with those beyond ASCII written out, so that none makes the table unreadable.
COMMENT: Final[LiteralString] = f"""
CASE WHEN d.description IS NULL OR strpos(d.description, '{OURS}') > 0 OR getdatabaseencoding() <> 'SQL_ASCII'
     THEN d.description ELSE encode(convert_to(d.description, 'SQL_ASCII'), 'escape') END"""  # made of constants
# relpartbound holds no column, so that pg_get_expr takes 0 for the relation (PostgreSQL's documentation, 9.27.5);
# with the partition's oid it would wait behind an ACCESS EXCLUSIVE lock on it, in the middle of an incident.
_PARTITIONS: Final[LiteralString] = f"""
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.relpersistence::text AS persistence, s.spcname::text AS tablespace, i.inhdetachpending AS pending,
       pg_get_expr(c.relpartbound, 0) AS bound, {COMMENT} AS comment,
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


async def inspect(session: Session, ref: TableRef, *, lock: bool = False, counted: bool = True) -> PartitionedTable:
    """The snapshot of one table as of one moment: a round trip that finds it, and one that reads it.

    A default partition costs one more, or a few seconds where it is huge or locked; so do partitions in another schema
    and pg_partman. Raises ConfigError for a table that is not there or not partitioned by one time column.

    With *lock* the table's advisory lock is taken first, for the session: a plan is never older than the lock that it
    is carried out under. TableBusyError when another run holds it. Unless it is to be *counted*, no partition has rows
    or counters: PostgreSQL 14 waits up to ten seconds for a busy statistics collector, which a look in the middle of
    an incident must not.
    """
    found = await find(session, ref, lock=lock)
    if found is None:
        raise await _missing(session, ref)
    oid = sql.Literal(found[0])
    granted = session.server.version_num >= GRANTED_INHERITANCE
    query = sql.Composed(
        [
            sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; "),
            sql.SQL(_PARENT).format(
                oid=oid, key_type=sql.SQL(KEY_TYPE), may_own=sql.SQL(_MAY_OWN_16 if granted else _MAY_OWN)
            ),
            sql.SQL(_PARTITIONS).format(oid=oid, counted=sql.Literal(counted)),
            sql.SQL(_ORPHANS).format(prefix=sql.Literal(PREFIX)),
            sql.SQL("COMMIT"),
        ]
    )
    with translated(f"the catalog of {ref}", session.server.database):
        try:
            parent_rows, partition_rows, orphan_rows = await session.read(query)
        finally:
            await session.rollback()
    if not parent_rows:  # dropped in between
        raise await _missing(session, ref)
    parent = ParentRow(*parent_rows[0])
    table = table_of(session.server, parent, partition_rows, [OrphanRow(*row) for row in orphan_rows])
    table = replace(table, missing_grants=await missing_grants(session, parent, table))
    if table.default is not None:
        table = await with_strays(session, table, table.default)
    for schema in parent.partman_schemas:
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


async def _in_partman(session: Session, schema: str, name: TableName) -> bool | None:
    """Whether pg_partman's list has this table; None where it is locked or may not be read."""
    listed = TableName(schema=schema, name="part_config")
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE parent_table = %s)").format(with_parameters(listed))
    try:
        row = await (await session.execute(query, [f"{name.schema}.{name.name}"])).fetchone()
    except errors.UndefinedTable:
        return False
    except (errors.LockNotAvailable, errors.InsufficientPrivilege):
        return None
    return bool(row and row[0])
