"""How each PostgreSQL type is kept in Parquet, without loss, for readers that are not PostgreSQL. Pure.

What a Parquet type holds exactly is kept in it. Everything else is kept as the text that PostgreSQL prints and reads
back: a column whose type has no counterpart always, and a column of another type when one of its values is *odd*, that
is, one that its Parquet type or a usual reader of it cannot hold (infinity, NaN in a decimal, the year 10000).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, LiteralString

from psycopg import sql

__all__ = ["Column", "Form", "expression", "odd_values", "stored_edge", "stored_type"]


class Form(StrEnum):
    """What a column is in the file, in the words of Arrow."""

    BOOL = "bool"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"
    BINARY = "binary"
    DATE = "date32"
    TIMESTAMP = "timestamp[us]"
    TIMESTAMPTZ = "timestamp[us, tz=UTC]"
    DECIMAL = "decimal128"


# By pg_type.typname, in pg_catalog. Parquet has a uuid and a time of day as well; Spark 4.3 refuses files with either.
_FORMS: Final = {
    "bool": Form.BOOL,
    "int2": Form.INT16,
    "int4": Form.INT32,
    "int8": Form.INT64,
    "float4": Form.FLOAT,
    "float8": Form.DOUBLE,
    "bytea": Form.BINARY,
    "date": Form.DATE,
    "timestamp": Form.TIMESTAMP,
    "timestamptz": Form.TIMESTAMPTZ,
}
# Types whose binary form on the wire is their text; the driver hands them over as strings without a cast.
_TEXTS: Final = frozenset({"text", "varchar", "bpchar", "json", "jsonb"})
_MOST_DIGITS: Final = 38
_CASTS: Final[dict[Form, LiteralString]] = {
    Form.BOOL: "bool",
    Form.INT16: "int2",
    Form.INT32: "int4",
    Form.INT64: "int8",
    Form.FLOAT: "float4",
    Form.DOUBLE: "float8",
    Form.BINARY: "bytea",
    Form.DATE: "date",
    Form.TIMESTAMP: "timestamp",
    Form.TIMESTAMPTZ: "timestamptz",
}
# The years that Python, Spark and Trino can all hold; PostgreSQL goes from 4713 BC to 294276, and to infinity.
_ODD: Final[dict[Form, LiteralString]] = {
    Form.DATE: "({c} < '0001-01-01' OR {c} >= '10000-01-01')",
    Form.TIMESTAMP: "({c} < '0001-01-01' OR {c} >= '10000-01-01')",
    Form.TIMESTAMPTZ: "({c} < '0001-01-01 00:00+00' OR {c} >= '10000-01-01 00:00+00')",
    Form.DECIMAL: "{c} = 'NaN'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column as the catalog has it. *base* and *modifier* are those of the type below any domains.

    *odd* says that some value of it needs text.
    """

    name: str
    type: str
    base: str
    builtin: bool
    modifier: int = -1
    domain: bool = False
    not_null: bool = False
    generated: bool = False
    odd: bool = False

    @property
    def digits(self) -> tuple[int, int] | None:
        """Precision and scale of a numeric that has them; the modifier's packing is that of numeric.c."""
        if self.base != "numeric" or not self.builtin or self.modifier < 0:
            return None
        packed = self.modifier - 4
        scale = packed & 0x7FF
        return packed >> 16 & 0xFFFF, scale - 0x800 if scale >= 0x400 else scale  # noqa: PLR2004  # eleven bits, signed

    @property
    def form(self) -> Form:
        """How it is kept."""
        if self.odd or not self.builtin:
            return Form.STRING
        digits = self.digits
        if digits is not None and digits[0] <= _MOST_DIGITS and 0 <= digits[1] <= digits[0]:
            return Form.DECIMAL
        return _FORMS.get(self.base, Form.STRING)


def stored_type(column: Column) -> str:
    """The type in the file, as a manifest names it."""
    if column.form is Form.DECIMAL and column.digits is not None:
        return f"decimal128({column.digits[0]}, {column.digits[1]})"
    return str(column.form)


def expression(column: Column) -> sql.Composed:
    """What is selected, so that the driver hands it over as the form wants it."""
    name = sql.Identifier(column.name)
    if column.form is Form.STRING:
        return _text(column)
    if column.form is Form.DECIMAL:
        # The driver hands a numeric over as its text.
        return sql.SQL("{}::pg_catalog.text AS {}").format(name, name)
    if column.domain:
        return sql.SQL("{}::pg_catalog.{} AS {}").format(name, sql.SQL(_CASTS[column.form]), name)
    return sql.SQL("{}").format(name)


def _text(column: Column) -> sql.Composed:
    name = sql.Identifier(column.name)
    if column.builtin and column.base in _TEXTS and not column.domain:
        return sql.SQL("{}").format(name)
    if column.builtin:
        return sql.SQL("{}::pg_catalog.text AS {}").format(name, name)
    # A cast to text may be somebody's own function; format() is sure to use what the type prints. A row of nulls is
    # no null, which IS DISTINCT FROM knows and IS NOT NULL does not.
    return sql.SQL("CASE WHEN {} IS DISTINCT FROM NULL THEN pg_catalog.format('%s', {}) END AS {}").format(
        name, name, name
    )


def odd_values(column: Column) -> sql.Composed:
    """The aggregate that is true when some value of the column needs text."""
    condition = _ODD.get(column.form)
    if condition is None:
        return sql.SQL("false").format()
    return sql.SQL("COALESCE(bool_or({}), false)").format(sql.SQL(condition).format(c=sql.Identifier(column.name)))


def stored_edge(column: Column, text: str | None) -> str | None:
    """The smallest or largest key, as PostgreSQL prints it in UTC, as the file has it: a day or microsecond since 1970.

    A key that is kept as text is its own edge.
    """
    if text is None or column.form not in {Form.DATE, Form.TIMESTAMP, Form.TIMESTAMPTZ}:
        return text
    moment = datetime.fromisoformat(text)
    since = moment.replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001  # a wall clock, or UTC's
    return str(since.days if column.form is Form.DATE else since // timedelta(microseconds=1))
