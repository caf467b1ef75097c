"""What can be set, which values each setting takes, and the sentence that says so when it is something else. Pure.

Flags and environment variables are text, a file has types: `from_text` brings the first to the second, and from
there on one reader serves all three.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pgalmanac.errors import ConfigError, PgalmanacError, UsageError
from pgalmanac.model import Interval, TableRef
from pgalmanac.policy import MAX_PREMAKE_DAYS, MAX_RETENTION_DAYS

__all__ = [
    "ARCHIVE",
    "CONNECTION",
    "COUNTS",
    "DASHBOARD",
    "FOREVER",
    "HISTORY",
    "METRICS",
    "POLICY",
    "TABLE_NAME",
    "TOP",
    "Option",
    "choice",
    "did_you_mean",
    "is_text",
    "switch",
    "whole",
]

FOREVER: Final = "forever"

_SWITCH: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
# More digits than any range here; int() itself refuses thousands of them with an error of its own.
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")


# So much of a wrong value is repeated in the error: the sentence should still end on its line.
_SHOWN: Final = 60
_MAX_NAME_BYTES: Final = 63  # NAMEDATALEN - 1 (PostgreSQL's documentation, 4.1.1)


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


def _text(name: str, wanted: str, *, empty: bool = False) -> Option:
    def reader(value: object) -> str:
        if not isinstance(value, str) or not (value or empty) or "\0" in value:
            raise ValueError(value)
        return value

    return Option(name=name, wanted=wanted, reader=reader)


def _table(name: str) -> Option:
    def reader(value: object) -> TableRef:
        if not isinstance(value, str):
            raise ValueError(value)  # noqa: TRY004  # as in switch
        try:
            return TableRef.parse(value)
        except UsageError as exc:
            raise ValueError(value) from exc

    return Option(name=name, wanted='events, app.events or \'"Big App"."My.Events"\'', reader=reader)


def _command(value: object) -> tuple[str, ...]:
    """A program and its arguments: a list in a file, words as a shell splits them in a variable."""
    words = shlex.split(value) if isinstance(value, str) else value
    if not isinstance(words, list) or not words:
        raise ValueError(value)
    found = cast("list[object]", words)
    if not all(isinstance(word, str) and "\0" not in word for word in found) or not found[0]:
        raise ValueError(value)
    return tuple(map(str, found))


def _schema(value: object) -> str:
    """A schema's name as the catalog has it, unquoted; the server keeps pg_ for itself."""
    if not isinstance(value, str) or not 0 < len(value.encode()) <= _MAX_NAME_BYTES:
        raise ValueError(value)
    if value.startswith("pg_") or "\0" in value:
        raise ValueError(value)
    return value


def _zone(value: object) -> ZoneInfo:
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004  # as in switch
    try:
        return ZoneInfo(value)
    except (KeyError, OSError) as exc:  # no such zone; a folder of zones
        raise ValueError(value) from exc


def _zones() -> set[str]:
    from zoneinfo import available_timezones  # noqa: PLC0415  # reads every file there is

    return available_timezones()


def _archive_url(value: object) -> str:
    """A folder or a bucket. What it is reached with does not belong into it, nor into what repeats it."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    parts = urlsplit(value)
    if "@" in parts.netloc or parts.query:
        raise ConfigError(
            "the url of an archive has credentials or options in it",
            hint="leave them out; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are read from the environment",
        )
    folder = parts.scheme == "file" and not parts.netloc and parts.path.strip("/")
    bucket = parts.scheme == "s3" and parts.netloc
    if parts.fragment or not (folder or bucket):
        raise ValueError(value)
    return value.rstrip("/")


def _endpoint(value: object) -> str:
    """Where an S3-compatible store answers."""
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004  # as in switch
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc or parts.path.strip("/"):
        raise ValueError(value)
    return value.rstrip("/")


def _by_name(*options: Option) -> Mapping[str, Option]:
    return {o.name: o for o in options}


# Whatever a table may set; the names are those of the fields of Policy.
POLICY: Final = _by_name(
    choice("interval", Interval),
    whole("premake_days", 0, MAX_PREMAKE_DAYS, "a whole number of days"),
    whole("retention_days", 1, MAX_RETENTION_DAYS, "a whole number of days", word=FOREVER),
    Option(
        name="timezone",
        wanted="a time zone, such as UTC or Europe/Berlin",
        reader=_zone,
        words=_zones,
    ),
    whole("lock_timeout_ms", 1, 60_000, "a whole number of milliseconds"),
    whole("retry_seconds", 0, 86_400, "a whole number of seconds"),
    whole("max_drops", 0, 1_000_000, "a whole number of partitions"),
    whole("max_creates", 1, 1_000_000, "a whole number of partitions"),
    switch("drop_unaligned"),
    whole("grace_days", 0, MAX_PREMAKE_DAYS, "a whole number of days"),
    Option(name="trash_schema", wanted="the name of a schema, of at most 63 bytes", reader=_schema),
    _text("breakdown", "the name of a column"),
    whole("disk_limit_gb", 1, 1_000_000_000, "a whole number of GiB"),
    Option(name="archive_url", wanted="file:///path/of/a/folder or s3://bucket/folder", reader=_archive_url),
    choice("archive_format", ("parquet",)),
    Option(name="archive_endpoint", wanted="the store's address, such as https://s3.example:9000", reader=_endpoint),
    _text("archive_region", "the name of a region, such as eu-central-1"),
)
# The same as a file has them, below [tables.archive].
ARCHIVE: Final = {name.removeprefix("archive_"): o for name, o in POLICY.items() if name.startswith("archive_")}
# How the dashboard looks; the names are those of the fields of Dashboard.
DASHBOARD: Final = _by_name(
    _text("theme", "auto, dark, light, ansi-dark, ansi-light or the name of another theme of Textual"),
    choice("glyphs", ("auto", "unicode", "ascii")),
    whole("refresh_seconds", 1, 3600, "a whole number of seconds"),
    _text("label_color", "a colour, such as red or #cc3300"),
    choice("mouse", ("auto", "on", "off")),
)
# How partitions are counted exactly; the names are those of the fields of Counting.
COUNTS: Final = _by_name(
    whole("connections", 1, 16, "a whole number of connections"),
    whole("max_seconds", 1, 86_400, "a whole number of seconds"),
    whole("statement_seconds", 1, 86_400, "a whole number of seconds"),
    switch("consistent"),
    switch("cache"),
)
CONNECTION: Final = _by_name(
    _text("dsn", "a connection string or URI as libpq reads it", empty=True),
    _text("label", "a word for this server"),
)
HISTORY: Final = _by_name(
    _table("table"),
    whole("keep_days", 1, MAX_RETENTION_DAYS, "a whole number of days"),
)
METRICS: Final = _by_name(_text("textfile", "the path of a file whose name ends in .prom"))
# What stands above every section.
TOP: Final = _by_name(
    Option(name="on_failure", wanted='a command as a list, such as ["/usr/local/bin/page", "--now"]', reader=_command)
)
TABLE_NAME: Final = _table("name")
