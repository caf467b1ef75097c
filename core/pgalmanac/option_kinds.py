"""What a setting is and the usual kinds of them: a number in a range, a switch, one of a few words, a text. Pure.

Flags and environment variables are text, a file has types: `from_text` brings the first to the second, and from
there on one reader serves all three.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from pgalmanac.errors import PgalmanacError, UsageError
from pgalmanac.table_names import TableRef

__all__ = [
    "Option",
    "by_name",
    "choice",
    "did_you_mean",
    "is_text",
    "switch",
    "table",
    "text",
    "variable",
    "whole",
]


_SWITCH: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
# More digits than any range here; int() itself refuses thousands of them with an error of its own.
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
# So much of a wrong value is repeated in the error: the sentence should still end on its line.
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting. *wanted* completes "write …"; *reader* takes a file's value and raises ValueError if it is wrong.

    *words* are the values worth suggesting for a misspelled one, asked for only then.
    """

    name: str
    wanted: str
    reader: Callable[[object], Any]
    kind: Literal["number", "switch", "text"] = "text"
    words: Callable[[], Iterable[str]] = tuple

    @property
    def flag(self) -> str:
        """The option as the command line spells it."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable that sets it for every table."""
        return variable(self.name)

    def read(self, value: object, *, where: str, error: type[PgalmanacError]) -> Any:  # noqa: ANN401  # each option has a type of its own
        """The value as the program uses it. Raises *error*, which says what stands *where* and what should."""
        if isinstance(value, str) and not is_text(value):
            raise self._refusal(value, where=where, error=error)
        try:
            return self.reader(value)
        except ValueError as exc:
            raise self._refusal(value, where=where, error=error) from exc

    def _refusal(self, value: object, *, where: str, error: type[PgalmanacError]) -> PgalmanacError:
        meant = did_you_mean(value, self.words()) if isinstance(value, str) else None
        hint = f"write {self.wanted}" if meant is None else f"did you mean {meant}?"
        return error(f"{where} is {_shown(value)}", hint=hint)

    def read_text(self, text: str, *, where: str, error: type[PgalmanacError]) -> Any:  # noqa: ANN401  # as above
        """The same for a flag or an environment variable."""
        return self.read(self.from_text(text), where=where, error=error)

    def from_text(self, text: str) -> object:
        """The value that a file would have; text that cannot be one stays what it is, for the reader to refuse."""
        text = text.strip()
        if self.kind == "number" and _WHOLE.fullmatch(text):
            return int(text)
        if self.kind == "switch":
            return _SWITCH.get(text.lower(), text)
        return text


def variable(name: str) -> str:
    """The environment variable of an option."""
    return "PGALMANAC_" + name.upper()


def is_text(word: str) -> bool:
    """Whether every byte of an argument or variable was a character: Python keeps the others as lone surrogates."""
    return not any("\ud800" <= c <= "\udfff" for c in word)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that *word* is most likely a slip of, or None."""
    import difflib  # noqa: PLC0415  # for slips alone

    folded = {k.lower(): k for k in known}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.7)
    return folded[close[0]] if close else None


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f'"{text}"' if isinstance(value, str) else text


def whole(name: str, least: int, most: int, unit: str, *, word: str | None = None) -> Option:
    """A whole number from *least* to *most*; *word* is the one word that may stand instead and means None."""

    def reader(value: object) -> int | None:
        if word is not None and value == word:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(value)
        return value

    wanted = f"{unit} from {least} to {most}" + (f', or "{word}"' if word else "")
    return Option(name=name, wanted=wanted, reader=reader, kind="number", words=lambda: [word] if word else [])


def switch(name: str) -> Option:
    """True or false."""

    def reader(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(value)  # noqa: TRY004  # read() takes ValueError for "something else was wanted"
        return value

    return Option(name=name, wanted="true or false", reader=reader, kind="switch")


def choice(name: str, values: type[StrEnum] | tuple[str, ...]) -> Option:
    """One of a few words."""
    words = [str(v) for v in values]

    def reader(value: object) -> object:
        if value not in words:
            raise ValueError(value)
        return values(value) if isinstance(values, type) else value

    wanted = ", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else words[0]
    return Option(name=name, wanted=wanted, reader=reader, words=lambda: words)


def text(name: str, wanted: str, *, empty: bool = False) -> Option:
    """A text, which is *wanted* so; only with *empty* it may be that."""

    def reader(value: object) -> str:
        if not isinstance(value, str) or not (value or empty) or "\0" in value:
            raise ValueError(value)
        return value

    return Option(name=name, wanted=wanted, reader=reader)


def table(name: str) -> Option:
    """A table's name as psql reads it."""

    def reader(value: object) -> TableRef:
        if not isinstance(value, str):
            raise ValueError(value)  # noqa: TRY004  # as in switch
        try:
            return TableRef.parse(value)
        except UsageError as exc:
            raise ValueError(value) from exc

    return Option(name=name, wanted='events, app.events or \'"Big App"."My.Events"\'', reader=reader)


def by_name(*options: Option) -> Mapping[str, Option]:
    """The options of one section, by their names there."""
    return {o.name: o for o in options}
