"""What makes a new table like its siblings where LIKE and ATTACH do not: owner, privileges, row security and the rest.

Pure composition, as in ddl.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, LiteralString

from psycopg import sql

from pgalmanac.ddl import Statement, qualified, verbatim
from pgalmanac.model import PartitionedTable
from pgalmanac.table_names import TableName

__all__ = ["IDENTITIES", "Grant", "PolicyRule", "Structure", "dress", "like", "replica_identity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One privilege on the parent, or on one *column* of it. PUBLIC is grantee None."""

    grantee: str | None
    privilege: str
    grantable: bool = False
    column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """One row security policy, its expressions as the server prints them: they may call their table by its name."""

    table: str
    name: str
    permissive: bool
    command: str
    roles: tuple[str | None, ...]
    using: str | None
    check: str | None

    def called(self, name: str) -> PolicyRule:
        """The same rule on the table *name*."""
        using, check = (None if e is None else _called(e, self.table, name) for e in (self.using, self.check))
        return replace(self, table=name, using=using, check=check)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What `LIKE … INCLUDING ALL` and ATTACH do not carry over: some from the parent, some from the newest sibling."""

    owner: str
    role: str
    columns: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    # Whom the role's default privileges would give something that the parent does not.
    default_grantees: tuple[str | None, ...] = ()
    row_security: bool = False
    force_row_security: bool = False
    policies: tuple[PolicyRule, ...] = ()
    replica_identity: str = "d"
    replica_index: str | None = None
    statistics_targets: tuple[tuple[str, int], ...] = ()
    column_options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unlogged: bool = False
    tablespace: str | None = None
    # The publication that carries both inserts and deletes of the table to its subscribers.
    published: str | None = None
    access_method: str | None = None
    storage_options: tuple[str, ...] = ()


def like(parent: PartitionedTable, name: TableName, structure: Structure) -> Statement:
    """Identity is excluded: a copy would hand out duplicate numbers, and from 17 ATTACH refuses it."""
    parts = [
        sql.SQL("CREATE {}TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY)").format(
            sql.SQL("UNLOGGED " if structure.unlogged else ""), qualified(name), qualified(parent.name)
        )
    ]
    if structure.access_method is not None:
        parts.append(sql.SQL(" USING {}").format(sql.Identifier(structure.access_method)))
    if structure.storage_options:
        parts.append(sql.SQL(" WITH ({})").format(sql.SQL(", ").join(map(_option, structure.storage_options))))
    if structure.tablespace is not None:
        parts.append(sql.SQL(" TABLESPACE {}").format(sql.Identifier(structure.tablespace)))
    return Statement(sql=sql.Composed(parts), lock=f"ACCESS SHARE on {parent.name}")


def _option(text: str) -> sql.Composed:
    """`fillfactor=70` or `toast.autovacuum_enabled=off`, as pg_class has it."""
    name, _, value = text.partition("=")
    return sql.SQL("{} = {}").format(
        sql.SQL(".").join(sql.Identifier(part) for part in name.split(".")), sql.Literal(value)
    )


def dress(name: TableName, structure: Structure) -> list[Statement]:
    """Privileges, row security, per-column settings, and last the owner, who takes the right to the rest along."""
    target = qualified(name)
    texts: list[sql.Composed] = [
        sql.SQL("REVOKE ALL ON TABLE {} FROM {}").format(target, _role(grantee))
        for grantee in structure.default_grantees
    ]
    for grant in structure.grants:
        column = sql.SQL("") if grant.column is None else sql.SQL(" ({})").format(sql.Identifier(grant.column))
        texts.append(
            sql.SQL("GRANT {}{} ON TABLE {} TO {}{}").format(
                sql.SQL(_known(grant.privilege)),
                column,
                target,
                _role(grant.grantee),
                sql.SQL(" WITH GRANT OPTION" if grant.grantable else ""),
            )
        )
    for column_name, value in structure.statistics_targets:
        texts.append(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STATISTICS {}").format(
                target, sql.Identifier(column_name), value
            )
        )
    for column_name, options in structure.column_options:
        texts.append(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET ({})").format(
                target, sql.Identifier(column_name), sql.SQL(", ").join(map(_option, options))
            )
        )
    texts.extend(_policy(name, rule) for rule in structure.policies)
    if structure.row_security:
        texts.append(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(target))
    if structure.force_row_security:
        texts.append(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(target))
    if structure.replica_identity in IDENTITIES:
        texts.append(
            sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(
                target, sql.SQL(IDENTITIES[structure.replica_identity])
            )
        )
    if structure.owner != structure.role:
        texts.append(sql.SQL("ALTER TABLE {} OWNER TO {}").format(target, sql.Identifier(structure.owner)))
    return [Statement(sql=text, lock="none that others feel") for text in texts]


IDENTITIES: Final[dict[str, LiteralString]] = {"f": "FULL", "n": "NOTHING"}
_PRIVILEGES: Final[dict[str, LiteralString]] = {
    p: p for p in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
}
_COMMANDS: Final[dict[str, LiteralString]] = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}


def _known(privilege: str) -> LiteralString:
    if privilege not in _PRIVILEGES:
        msg = f"a privilege that no version up to 18 has: {privilege}"
        raise ValueError(msg)
    return _PRIVILEGES[privilege]


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)


# Strings, quoted identifiers, plain identifiers: a name that stands before a dot and after none is a table's.
_TOKEN: Final = re.compile(
    r"""E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(?<!\.)("(?:[^"]|"")*"|\b[^\W\d][\w$]*)(?=\.)""", re.DOTALL
)


def _called(expression: str, table: str, name: str) -> str:
    """The expression with its columns `table.column`, as they are printed inside of subqueries, those of *name*."""

    def renamed(match: re.Match[str]) -> str:
        token = match[1]
        if token is None:
            return match[0]
        plain = token[1:-1].replace('""', '"') if token.startswith('"') else token
        return sql.Identifier(name).as_string(None) if plain == table else token

    return _TOKEN.sub(renamed, expression)


def _policy(name: TableName, rule: PolicyRule) -> sql.Composed:
    """The expressions are the server's own printing of what it stores, and go back with the new table's name."""
    rule = rule.called(name.name)
    parts = [
        sql.SQL("CREATE POLICY {} ON {} AS {} FOR {} TO {}").format(
            sql.Identifier(rule.name),
            qualified(name),
            sql.SQL("PERMISSIVE" if rule.permissive else "RESTRICTIVE"),
            sql.SQL(_COMMANDS[rule.command]),
            sql.SQL(", ").join(map(_role, rule.roles)),
        )
    ]
    if rule.using is not None:
        parts.append(sql.SQL(" USING (") + verbatim(rule.using) + sql.SQL(")"))
    if rule.check is not None:
        parts.append(sql.SQL(" WITH CHECK (") + verbatim(rule.check) + sql.SQL(")"))
    return sql.Composed(parts)


def replica_identity(name: TableName, structure: Structure) -> list[Statement]:
    """The partition's counterpart of the parent's replica identity index is known only once it is attached."""
    if structure.replica_identity != "i" or structure.replica_index is None:
        return []
    body = sql.SQL(
        "DECLARE found pg_catalog.text; BEGIN "
        "SELECT pg_catalog.format('%I', c.relname) INTO found FROM pg_catalog.pg_inherits i "
        "JOIN pg_catalog.pg_index x ON x.indexrelid = i.inhrelid JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid "
        "WHERE i.inhparent = {index}::pg_catalog.regclass AND x.indrelid = {table}::pg_catalog.regclass; "
        "EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %s', {table}, found); END"
    ).format(index=structure.replica_index, table=qualified(name).as_string(None))
    return [
        Statement(
            sql=sql.SQL("DO {}").format(sql.Literal(body.as_string(None))),
            lock="none that others feel",
        )
    ]
