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
from pgalmanac.strays import can_silence_triggers
from pgalmanac.view import View

__all__ = ["prove_insert"]

# The condition of a partition for its rows, and the type of the key.
_CONDITION: Final[LiteralString] = """
SELECT pg_get_partition_constraintdef(%s::oid), t.typname::text
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = %s AND a.attname = %s
"""
_SILENCE: LiteralString = "SET LOCAL session_replication_role = replica; "


async def prove_insert(session: Session, seen: View) -> str:
    """The name of the partition that a row for now is routed to. Raises ProofError when there is none.

    Only the key is given. A NOT NULL or CHECK of another column fails after routing, and its error names the
    partition, which is proof as well. That of a domain and row security fail before, and name none: then the proof is
    that the key meets the condition by which the server routes. Triggers are kept quiet where the role may.
    """
    table = seen.table
    silence = sql.SQL(_SILENCE if await can_silence_triggers(session) else "")
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING tableoid::pg_catalog.int8").format(
        qualified(table.name), sql.Identifier(table.key.column), key_literal(table.key.type, seen.now)
    )
    names = {p.name.name: str(p.name) for p in table.ranged}
    found: str | None = None
    domain: str | None = None
    denied = False
    try:
        await session.execute(begin(session, seen.policy.lock_timeout_ms) + silence)
        row = await (await session.execute(insert)).fetchone()
        found = next((str(p.name) for p in table.ranged if row is not None and p.oid == row[0]), None)
        answer = "it went to the default partition"
    except errors.IntegrityError as exc:
        # "no partition of relation … found for row" is a check violation that names the parent.
        found = names.get(exc.diag.table_name or "")
        domain = exc.diag.datatype_name
        answer = one_line(exc)
    except errors.InsufficientPrivilege as exc:
        denied, answer = True, one_line(exc)
    except psycopg.Error as exc:
        if is_lost(exc):
            raise
        answer = one_line(exc)
    finally:
        await session.rollback()
    if domain is not None or (denied and await _has_row_security(session, table.oid)):
        found = await _admitting(session, seen, domain)
    if found is None:
        raise ProofError(
            f"an insert into {table.name} for now was not proved to find a partition: {answer}",
            hint="run pgalmanac check",
        )
    return found


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
