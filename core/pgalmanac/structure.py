"""The SELECTs that read what a new partition must have beside LIKE: from the parent, and from its newest sibling."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, LiteralString

from pgalmanac.db import Session
from pgalmanac.db_errors import translated
from pgalmanac.ddl_structure import Grant, PolicyRule, Structure
from pgalmanac.model import Partition, PartitionedTable, RelationKind
from pgalmanac.strays import published_by
from pgalmanac.table_names import TableName

__all__ = ["read_dress", "read_structure"]

_DRESS: Final[LiteralString] = """
SELECT pg_get_userbyid(c.relowner)::text, current_user::text, c.relrowsecurity, c.relforcerowsecurity,
       c.relreplident::text,
       (SELECT format('%%I.%%I', n.nspname, ic.relname) FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
          JOIN pg_namespace n ON n.oid = ic.relnamespace WHERE i.indrelid = c.oid AND i.indisreplident),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              ORDER BY a.attnum),
       (SELECT json_agg(json_build_array(a.attname, a.attstattarget) ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget >= 0),
       (SELECT json_agg(json_build_array(a.attname, a.attoptions) ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attoptions IS NOT NULL)
  FROM pg_class c WHERE c.oid = %(oid)s
"""
# The owner's own privileges come with ownership; a NULL acl is the default, which a new table has as well.
_GRANTS: Final[LiteralString] = """
SELECT CASE WHEN x.grantee = 0 THEN NULL ELSE pg_get_userbyid(x.grantee)::text END,
       x.privilege_type, x.is_grantable, NULL::text
  FROM pg_class c, aclexplode(c.relacl) x WHERE c.oid = %(oid)s AND x.grantee <> c.relowner
UNION ALL
SELECT CASE WHEN x.grantee = 0 THEN NULL ELSE pg_get_userbyid(x.grantee)::text END,
       x.privilege_type, x.is_grantable, a.attname::text
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) x
 WHERE c.oid = %(oid)s AND NOT a.attisdropped
 ORDER BY 1 NULLS FIRST, 4 NULLS FIRST, 2
"""
_DEFAULTS: Final[LiteralString] = """
SELECT DISTINCT CASE WHEN x.grantee = 0 THEN NULL ELSE pg_get_userbyid(x.grantee)::text END
  FROM pg_default_acl d, aclexplode(d.defaclacl) x
 WHERE d.defaclobjtype = 'r' AND pg_get_userbyid(d.defaclrole) = current_user AND x.grantee <> d.defaclrole
   AND (d.defaclnamespace = 0 OR d.defaclnamespace IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s)))
"""
_POLICIES: Final[LiteralString] = """
SELECT p.polname::text, p.polpermissive, p.polcmd::text,
       ARRAY(SELECT CASE WHEN r = 0 THEN NULL ELSE pg_get_userbyid(r)::text END FROM unnest(p.polroles) r),
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
  FROM pg_policy p WHERE p.polrelid = %(oid)s ORDER BY 1
"""
_SIBLING: Final[LiteralString] = """
SELECT c.relpersistence = 'u', s.spcname::text, NULLIF(am.amname::text, current_setting('default_table_access_method')),
       COALESCE(c.reloptions, '{}')
       || ARRAY(SELECT 'toast.' || o FROM pg_class t, unnest(t.reloptions) o WHERE t.oid = c.reltoastrelid)
  FROM pg_class c LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace LEFT JOIN pg_am am ON am.oid = c.relam
 WHERE c.oid = %(oid)s
"""


async def read_dress(session: Session, oid: int, name: TableName) -> Structure:
    """What one table, partitioned or not, has beside its columns, indexes and storage."""
    row = await (await session.execute(_DRESS, {"oid": oid})).fetchone()
    if row is None:
        msg = f"{name} disappeared"
        raise LookupError(msg)
    owner, role, rls, forced, identity, index, columns, targets, options = row
    grants = await (await session.execute(_GRANTS, {"oid": oid})).fetchall()
    policies = await (await session.execute(_POLICIES, {"oid": oid})).fetchall()
    return Structure(
        owner=owner,
        role=role,
        columns=tuple(columns),
        grants=tuple(Grant(grantee=g, privilege=p, grantable=w, column=c) for g, p, w, c in grants),
        row_security=rls,
        force_row_security=forced,
        policies=tuple(
            PolicyRule(table=name.name, name=n, permissive=p, command=c, roles=tuple(r), using=u, check=k)
            for n, p, c, r, u, k in policies
        ),
        replica_identity=identity,
        replica_index=index,
        statistics_targets=tuple((name, target) for name, target in targets or ()),
        column_options=tuple((name, tuple(values)) for name, values in options or ()),
    )


async def read_structure(session: Session, table: PartitionedTable) -> Structure:
    """What a new partition of *table* needs beside LIKE and ATTACH. Asked only when one is to be created."""
    with translated(f"the structure of {table.name}", session.server.database):
        dress = await read_dress(session, table.oid, table.name)
        schemas = list({table.name.schema, *(p.name.schema for p in table.partitions)})  # it is made in one of them
        defaults = await (await session.execute(_DEFAULTS, {"schemas": schemas})).fetchall()
        sibling = _newest(table)
        # Without a sibling the parent says where partitions lie, as it does for PARTITION OF.
        model = {"oid": table.oid if sibling is None else sibling.oid}
        newest = await (await session.execute(_SIBLING, model)).fetchone()
        published = await published_by(session, table) if table.default is not None else None
    unlogged, tablespace, method, storage = newest or (False, None, None, [])
    return replace(
        dress,
        default_grantees=tuple(grantee for (grantee,) in defaults),
        unlogged=unlogged,
        published=published.both if published is not None else None,
        tablespace=tablespace,
        access_method=method,
        storage_options=tuple(storage),
    )


def _newest(table: PartitionedTable) -> Partition | None:
    """The newest partition that is a table: the model for what the parent itself cannot have."""
    return next((p for p in reversed(table.ranged) if p.kind is RelationKind.TABLE), None)
