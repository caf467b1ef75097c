"""What a detached table lacks of its parent's structure, to be made good before ATTACH. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Column", "Index", "Mend"]


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
    """

    refusal: str | None = None
    columns: tuple[Column, ...] = ()
    not_null: tuple[str, ...] = ()
    constraints: tuple[tuple[str | None, str], ...] = ()
    indexes: tuple[Index, ...] = ()
