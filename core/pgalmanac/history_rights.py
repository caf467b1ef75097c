"""Which rights this role lacks on the tables of the run history, as the statements that give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, LiteralString

from pgalmanac.history import History
from pgalmanac.table_names import TableName, quote

__all__ = ["Rights", "rights"]

_WRITING: Final = "SELECT, INSERT, UPDATE, DELETE"
# has_table_privilege is content with one of several rights. A default that takes numbers from a sequence, as that of a
# serial column does, needs a right on it; an identity column needs none.
_RIGHTS: Final[LiteralString] = """
SELECT has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE'),
       ARRAY(SELECT c.relname::text FROM pg_class c
              WHERE c.relnamespace = n.oid AND c.relname = ANY (%(tables)s::text[])
                AND NOT (SELECT bool_and(has_table_privilege(c.oid, r)) FROM unnest(%(wanted)s::text[]) r)),
       ARRAY(SELECT ARRAY[sn.nspname::text, s.relname::text]
               FROM pg_class c JOIN pg_attrdef a ON a.adrelid = c.oid
               JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
                               AND d.refclassid = 'pg_class'::regclass
               JOIN pg_class s ON s.oid = d.refobjid JOIN pg_namespace sn ON sn.oid = s.relnamespace
              WHERE c.relnamespace = n.oid AND c.relname = %(runs)s
                AND CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') END
              ORDER BY 1)
  FROM pg_namespace n WHERE n.nspname = %(schema)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What this role lacks on the history: *grants* are statements. Whether it may make a table that is not there."""

    grants: tuple[str, ...]
    may_create: bool


async def rights(history: History, *, writing: bool = True) -> Rights:
    """The rights that recording a run needs, or unless *writing* reading one. Raises psycopg.Error."""
    wanted = _WRITING if writing else "SELECT"
    asked = {
        "schema": history.runs.schema,
        "runs": history.runs.name,
        "tables": [t.name for t in history.tables],
        "wanted": wanted.split(", "),
    }
    row = await (await history.session.execute(_RIGHTS, asked)).fetchone()
    usage, may_create, lacking, sequences = row or (True, True, [], [])
    tables = ", ".join(str(t) for t in history.tables if t.name in lacking)
    numbers = ", ".join(str(TableName(schema=s, name=n)) for s, n in sequences) if writing else ""
    role = quote(history.session.server.role)
    grants = [
        f"GRANT USAGE ON SCHEMA {quote(history.runs.schema)} TO {role}" if not usage else "",
        f"GRANT {wanted} ON {tables} TO {role}" if tables else "",
        f"GRANT USAGE ON SEQUENCE {numbers} TO {role}" if numbers else "",
    ]
    return Rights(grants=tuple(filter(None, grants)), may_create=may_create)
