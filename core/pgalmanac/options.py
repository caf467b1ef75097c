"""What can be set, which values each setting takes, and what is wanted when it is something else. Pure."""

from __future__ import annotations

import shlex
from typing import Final, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pgalmanac.errors import ConfigError
from pgalmanac.model import Interval
from pgalmanac.option_kinds import Option, by_name, choice, switch, table, text, whole
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
]

FOREVER: Final = "forever"


_MAX_NAME_BYTES: Final = 63  # NAMEDATALEN - 1 (PostgreSQL's documentation, 4.1.1)


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


# Whatever a table may set; the names are those of the fields of Policy.
POLICY: Final = by_name(
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
    text("breakdown", "the name of a column"),
    whole("disk_limit_gb", 1, 1_000_000_000, "a whole number of GB"),
    Option(name="archive_url", wanted="file:///path/of/a/folder or s3://bucket/folder", reader=_archive_url),
    choice("archive_format", ("parquet",)),
    Option(name="archive_endpoint", wanted="the store's address, such as https://s3.example:9000", reader=_endpoint),
    text("archive_region", "the name of a region, such as eu-central-1"),
)
# The same as a file has them, below [tables.archive].
ARCHIVE: Final = {name.removeprefix("archive_"): o for name, o in POLICY.items() if name.startswith("archive_")}
# How the dashboard looks; the names are those of the fields of Dashboard.
DASHBOARD: Final = by_name(
    text("theme", "auto, dark, light, ansi-dark, ansi-light or the name of another theme of Textual"),
    choice("glyphs", ("auto", "unicode", "ascii")),
    whole("refresh_seconds", 1, 3600, "a whole number of seconds"),
    text("label_color", "a colour, such as red or #cc3300"),
    choice("mouse", ("auto", "on", "off")),
)
# How partitions are counted exactly; the names are those of the fields of Counting.
COUNTS: Final = by_name(
    whole("connections", 1, 16, "a whole number of connections"),
    whole("max_seconds", 1, 86_400, "a whole number of seconds"),
    whole("statement_seconds", 1, 86_400, "a whole number of seconds"),
    switch("consistent"),
    switch("cache"),
)
CONNECTION: Final = by_name(
    text("dsn", "a connection string or URI as libpq reads it", empty=True),
    text("label", "a word for this server"),
)
HISTORY: Final = by_name(
    table("table"),
    whole("keep_days", 1, MAX_RETENTION_DAYS, "a whole number of days"),
)
METRICS: Final = by_name(text("textfile", "the path of a file whose name ends in .prom"))
# What stands above every section.
TOP: Final = by_name(
    Option(name="on_failure", wanted='a command as a list, such as ["/usr/local/bin/page", "--now"]', reader=_command)
)
TABLE_NAME: Final = table("name")
