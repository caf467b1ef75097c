"""How a table is named: as a person wrote it, and as the catalog has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from pgalmanac.errors import UsageError

__all__ = ["TableName", "TableRef", "quote"]

# The identifiers that need no quotes (PostgreSQL's documentation, 4.1.1), after and before folding: letters, the
# underscore and everything beyond ASCII, then digits and the dollar too. Said by what of ASCII is not among them, since
# compiling classes that reach to the end of Unicode takes a fifth of the time in which all of pgalmanac is imported.
_PLAIN: Final = re.compile(r"[^\x00-\x5e\x60\x7b-\x7f][^\x00-\x23\x25-\x2f\x3a-\x5e\x60\x7b-\x7f]*\Z")
_PART: Final = re.compile(
    r'"((?:[^"]|"")+)"|([^\x00-\x40\x5b-\x5e\x60\x7b-\x7f][^\x00-\x23\x25-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]*)'
)
_FOLD: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")  # the server folds ASCII only


def quote(identifier: str) -> str:
    """The identifier as psql would need it typed: quoted only where folding would change it."""
    return identifier if _PLAIN.match(identifier) else '"' + identifier.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRef:
    """A table as a person wrote it; without a schema it is looked for on the role's search path."""

    schema: str | None = None
    name: str

    def __str__(self) -> str:
        """The reference as psql reads it."""
        return quote(self.name) if self.schema is None else f"{quote(self.schema)}.{quote(self.name)}"

    def means(self, table: TableName) -> bool:
        """Whether this can mean *table*; without a schema it means every table of that name."""
        return self.name == table.name and self.schema in {None, table.schema}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `events`, `app.events` or `"Big App"."My.Events"` as psql would: unquoted parts fold to lower case.

        Raises UsageError for anything else.
        """
        parts: list[str] = []
        rest = text.strip()
        while match := _PART.match(rest):
            quoted, plain = match.groups()
            parts.append(quoted.replace('""', '"') if quoted is not None else plain.translate(_FOLD))
            rest = rest[match.end() :]
            if not rest.startswith("."):
                break
            rest = rest[1:]
            if not rest:
                parts.append("")
        if rest or not 1 <= len(parts) <= 2 or "" in parts or "\0" in text:  # noqa: PLR2004  # schema and name
            msg = f"{text!r} is not the name of a table"
            raise UsageError(msg, hint='write events, app.events or \'"Big App"."My.Events"\'')
        return cls(schema=parts[0] if len(parts) == 2 else None, name=parts[-1])  # noqa: PLR2004  # as above


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TableName:
    """A table's full name as the catalog has it."""

    schema: str
    name: str

    def __str__(self) -> str:
        """The name as psql reads it."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def ref(self) -> TableRef:
        """The reference that means exactly this table."""
        return TableRef(schema=self.schema, name=self.name)
