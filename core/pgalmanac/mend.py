"""What a detached table lacks of its parent's structure, to be made good before ATTACH or with it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pgalmanac.ddl_structure import IDENTITIES, Grant, Structure

__all__ = ["Column", "Index", "Mend", "beyond", "lacking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that the parent was given; *type*, *default* and *collation* are SQL as the server prints it.

    *generated* is the expression of a generated column, which *virtual* tells from a stored one.
    """

    name: str
    type: str
    collation: str | None = None
    default: str | None = None
    generated: str | None = None
    virtual: bool = False
    not_null: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A plain index that the parent was given; *definition* is what follows USING, as the server prints it."""

    definition: str
    unique: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """The difference, or in *refusal* why it cannot be made good.

    *constraints* are definitions (CHECK, PRIMARY KEY, UNIQUE, FOREIGN KEY) with the name that ATTACH asks for, if any.
    *dress* is what a new partition would be given beside its columns and this one has not; *beyond* says what it has
    and a new one would not, which is nobody's to take.
    """

    refusal: str | None = None
    columns: tuple[Column, ...] = ()
    not_null: tuple[str, ...] = ()
    constraints: tuple[tuple[str | None, str], ...] = ()
    indexes: tuple[Index, ...] = ()
    dress: Structure | None = None
    beyond: tuple[str, ...] = ()


def lacking(parent: Structure, own: Structure) -> Structure:
    """What *own* has to be given to be dressed as *parent* dresses a new partition."""
    return replace(
        parent,
        role=own.owner,
        grants=tuple(g for g in parent.grants if not _granted(own, g)),
        default_grantees=(),
        policies=tuple(p for p in parent.policies if p.name not in {o.name for o in own.policies}),
        row_security=parent.row_security and not own.row_security,
        force_row_security=parent.force_row_security and not own.force_row_security,
        # The counterpart of an index is known only once it is attached.
        replica_identity="d" if parent.replica_identity == own.replica_identity != "i" else parent.replica_identity,
        statistics_targets=(),
        column_options=(),
    )


def _granted(to: Structure, grant: Grant) -> bool:
    return grant in to.grants or replace(grant, grantable=True) in to.grants


def beyond(parent: Structure, own: Structure) -> Iterator[str]:
    """In words, what *own* has and a new partition of *parent* would not."""
    for grant in own.grants:
        if not _granted(parent, grant):
            column = "" if grant.column is None else f" ({grant.column})"
            yield f"{grant.privilege}{column} for {grant.grantee or 'PUBLIC'}" + " with grant option" * grant.grantable
    rules = {p.name: p for p in parent.policies}
    for policy in own.policies:
        rule = rules.get(policy.name)
        if rule is None or policy.called(rule.table) != rule:
            yield f"the policy {policy.name}" + ("" if rule is None else " as it was")
    if own.row_security and not parent.row_security:
        yield "row level security"
    if own.force_row_security and not parent.force_row_security:
        yield "row level security for its owner too"
    if own.replica_identity != "d" and parent.replica_identity == "d":
        yield f"the replica identity {IDENTITIES.get(own.replica_identity, 'of an index')}"
