"""The proof that an insert for now finds its partition, in a transaction that is rolled back."""

from __future__ import annotations

from typing import Final, LiteralString

import psycopg
from psycopg import errors, sql

from pgalmanac.attempts import begin
from pgalmanac.db import Session
from pgalmanac.db_errors import is_lost, one_line
from pgalmanac.ddl import key_literal, qualified, verbatim
from pgalmanac.errors import ProofError
from pgalmanac.model import RelationKind
from pgalmanac.strays import can_silence_triggers
from pgalmanac.view import View

__all__ = ["prove_insert"]

# The condition of a partition for its rows, and the type of the key.
_CONDITION: Final[LiteralString] = """
SELECT pg_get_partition_constraintdef(%s::oid), t.typname::text
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = %s AND a.attname = %s
"""
# Of the relation that the server named: the relations above it, itself included, and whether no row of a key can find
# its place right below it: there is nothing, or it is the key alone that finds none.
_ABOVE: Final[LiteralString] = """
SELECT ARRAY(SELECT relid::oid FROM pg_partition_ancestors(c.oid)),
       NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid) OR p.partattrs::text = a.attnum::text
  FROM pg_class c LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %s
 WHERE c.oid = %s OR c.relname = %s AND c.relnamespace = to_regnamespace(quote_ident(%s))
"""
_SILENCE: LiteralString = "SET LOCAL session_replication_role = replica; "


async def prove_insert(session: Session, seen: View) -> str:
    """The name of the partition that a row for now is routed to. Raises ProofError when there is none.

    Only the key is given. A NOT NULL or CHECK of another column fails after routing, and its error names the
    partition, which is proof as well; so does a partition that is itself partitioned by another column and has no
    place for NULL. That of a domain and row security fail before, and name none: then the proof is that the key meets
    the condition by which the server routes. Triggers are kept quiet where the role may.
    """
    table = seen.table
    silence = sql.SQL(_SILENCE if await can_silence_triggers(session) else "")
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING tableoid::pg_catalog.int8").format(
        qualified(table.name), sql.Identifier(table.key.column), key_literal(table.key.type, seen.now)
    )
    found: str | None = None
    named: psycopg.errors.Diagnostic | None = None
    routed: int | None = None
    domain: str | None = None
    denied = False
    try:
        await session.execute(begin(session, seen.policy.lock_timeout_ms) + silence)
        row = await (await session.execute(insert)).fetchone()
        routed = row[0] if row is not None else None
        answer = "it went to the default partition"
    except errors.IntegrityError as exc:
        named, domain = exc.diag, exc.diag.datatype_name
        answer = one_line(exc)
    except errors.InsufficientPrivilege as exc:
        denied, answer = True, one_line(exc)
    except psycopg.Error as exc:
        if is_lost(exc):
            raise
        answer = one_line(exc)
    finally:
        await session.rollback()
    if routed is not None or (named is not None and named.table_name is not None):
        found = await _partition_above(session, seen, routed, named)
    if domain is not None or (denied and await _has_row_security(session, table.oid)):
        found = await _admitting(session, seen, domain)
    if found is None:
        raise ProofError(
            f"an insert into {table.name} for now was not proved to find a partition: {answer}",
            hint="run pgalmanac check",
        )
    return found


async def _partition_above(
    session: Session, seen: View, routed: int | None, named: psycopg.errors.Diagnostic | None
) -> str | None:
    """The partition that is or has the relation that took the row (*routed*), or that an error *named*; None: no such.

    "no partition of relation … found for row" is a check violation without a constraint, of the parent or of a
    partition that is partitioned itself. There it proves nothing where no row of this key would fare better.
    """
    schema, name = (named.schema_name, named.table_name) if named is not None else (None, None)
    for partition in seen.table.ranged:
        if partition.kind is not RelationKind.PARTITIONED and (
            partition.oid == routed or (partition.name.schema, partition.name.name) == (schema, name)
        ):
            return str(partition.name)
    row = await (await session.execute(_ABOVE, [seen.table.key.column, routed, name, schema])).fetchone()
    astray = named is not None and named.sqlstate == errors.CheckViolation.sqlstate and named.constraint_name is None
    if row is None or (astray and row[1]):
        return None
    return next((str(p.name) for p in seen.table.ranged if p.oid in row[0]), None)


async def _has_row_security(session: Session, oid: int) -> bool:
    """Whether policies hold for this role, which say whose rows may come in and not where they go."""
    row = await (await session.execute("SELECT row_security_active(%s::oid)", [oid])).fetchone()
    return bool(row and row[0])


async def _admitting(session: Session, seen: View, domain: str | None) -> str | None:
    """The partition of now, if the server's own condition for its rows lets a key of now in.

    None as well where the *domain* that refused a row is the key's own.
    """
    key = seen.table.key
    for partition in seen.table.ranged:
        if partition.bounds is not None and partition.bounds.contains(seen.now):
            found = await (await session.execute(_CONDITION, [partition.oid, seen.table.oid, key.column])).fetchone()
            if found is None or found[0] is None or found[1] == domain:
                return None
            query = sql.SQL("SELECT {} FROM (SELECT {} AS {}) AS key").format(
                verbatim(found[0]), key_literal(key.type, seen.now), sql.Identifier(key.column)
            )
            row = await (await session.execute(query)).fetchone()
            return str(partition.name) if row and row[0] else None
    return None
