"""The configuration file: where it lies, what it says, and how one starts. Errors name the file and the key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from pgalmanac.errors import ConfigError
from pgalmanac.option_kinds import Option, did_you_mean
from pgalmanac.options import (
    ARCHIVE,
    CONNECTION,
    COUNTS,
    DASHBOARD,
    HISTORY,
    METRICS,
    POLICY,
    TABLE_NAME,
    TOP,
)
from pgalmanac.table_names import TableName, TableRef

__all__ = ["File", "Found", "read_file", "starting_configuration"]

# An option, the value that was found for it, and where, as an error says it.
Found = tuple[Option, object, str]

_SECTIONS: Final[Mapping[str, Mapping[str, Option]]] = {
    "connection": CONNECTION,
    "counts": COUNTS,
    "dashboard": DASHBOARD,
    "defaults": POLICY,
    "history": HISTORY,
    "metrics": METRICS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What a file sets: keys that exist, values not yet looked at. Empty when there is no file."""

    connection: Sequence[Found] = ()
    counts: Sequence[Found] = ()
    dashboard: Sequence[Found] = ()
    defaults: Sequence[Found] = ()
    history: Sequence[Found] = ()
    metrics: Sequence[Found] = ()
    top: Sequence[Found] = ()
    tables: Sequence[tuple[TableRef, Sequence[Found]]] = ()


def read_file(chosen: str | None, *, search: bool) -> File:
    """Read the file *chosen*, or with *search* the first one in the user's and the site's folders, or none.

    Raises ConfigError for a chosen file that is not there, and for any file that cannot be understood.
    """
    path, document = _document(chosen, search=search)
    _check_sections(path, document)
    found = {
        section: _policy(path, section, document.get(section, {}))
        if known is POLICY
        else _keys(path, section, document.get(section, {}), known)
        for section, known in _SECTIONS.items()
    }
    top = [(option, document[key], f"{path}: {key}") for key, option in TOP.items() if key in document]
    return File(**found, top=top, tables=tuple(_entries(path, document)))


def _document(chosen: str | None, *, search: bool) -> tuple[str, dict[str, Any]]:
    """The file's name, as errors show it, and its content."""
    if chosen is not None:
        try:
            return chosen, _parse(chosen, Path(chosen))
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise ConfigError(f"there is no configuration file {chosen!r}", hint="name one that exists") from exc
    for path in _usual_files() if search else ():
        try:
            return str(path), _parse(str(path), path)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return "", {}


def _usual_files() -> Iterator[Path]:
    """Where the file may lie when nobody says: the user's folder, then the site's."""
    import platformdirs  # noqa: PLC0415  # not needed by who names a file

    yield platformdirs.user_config_path("pgalmanac", appauthor=False) / "config.toml"
    yield platformdirs.site_config_path("pgalmanac", appauthor=False) / "config.toml"


def _parse(shown: str, path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        import tomllib  # noqa: PLC0415  # where there is a file

        return tomllib.loads(text)
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{shown} is not a text in UTF-8", hint="save it as UTF-8") from exc
    except (FileNotFoundError, NotADirectoryError):
        raise
    except IsADirectoryError as exc:
        raise ConfigError(f"{shown} is a folder", hint="name the file in it") from exc
    except OSError as exc:
        raise ConfigError(f"{shown} cannot be read ({exc.strerror})", hint="make it readable for this user") from exc
    except (ValueError, RecursionError) as exc:  # tomllib's own error is a ValueError, and not its only one
        raise ConfigError(f"{shown} is not valid TOML: {exc}") from exc


def _check_sections(path: str, document: Mapping[str, Any]) -> None:
    """Refuse what is no section, with the section or the place that was probably meant."""
    for key, value in document.items():
        if key in TOP:
            continue
        known = [*_SECTIONS, *TOP, "tables"]
        if key not in known:
            # A table of TOML, or a list of such, is meant to be a section, whatever setting has its name.
            value_alone = not isinstance(value, dict | list)
            home = next((s for s, options in _SECTIONS.items() if key in options and value_alone), None)
            hint = f"write it below [{home}]" if home is not None else _meant(key, known)
            raise ConfigError(f"{path}: {key} is not a setting", hint=hint)
        if key == "tables":
            if not isinstance(value, list) or not all(isinstance(e, dict) for e in cast("list[object]", value)):
                raise ConfigError(f"{path}: tables is not a list of tables", hint="write [[tables]]")
        elif not isinstance(value, dict):
            raise ConfigError(f"{path}: {key} is not a section", hint=f"write [{key}]")


def _keys(path: str, section: str, values: Mapping[str, Any], known: Mapping[str, Option]) -> list[Found]:
    """Each key's option, value and place. Raises ConfigError for a key that is none."""
    for key in values:
        if key not in known:
            raise ConfigError(f"{path}: {section}.{key} is not a setting", hint=_meant(key, known))
    return [(known[key], value, f"{path}: {section}.{key}") for key, value in values.items()]


def _meant(key: str, known: Iterable[str]) -> str:
    names = list(known)
    meant = did_you_mean(key, names)
    return f"did you mean {meant}?" if meant else f"the settings here are {', '.join(names)}"


def _entries(path: str, document: Mapping[str, Any]) -> Iterator[tuple[TableRef, Sequence[Found]]]:
    seen: set[TableRef] = set()
    for number, entry in enumerate(document.get("tables", []), start=1):
        if "name" not in entry:
            raise ConfigError(f"{path}: tables[{number}] has no name", hint='write name = "events"')
        ref = TABLE_NAME.read(entry["name"], where=f"{path}: tables[{number}].name", error=ConfigError)
        if ref in seen:
            raise ConfigError(
                f"{path}: tables[{number}].name is {ref}, which has an entry already", hint="leave one of them out"
            )
        seen.add(ref)
        settings = {key: value for key, value in entry.items() if key != "name"}
        yield ref, _policy(path, f"tables[{ref}]", settings)


def _policy(path: str, section: str, values: Mapping[str, Any]) -> list[Found]:
    """What is set of a table, with the section of its archive."""
    plain = {name: option for name, option in POLICY.items() if option not in ARCHIVE.values()}
    found = _keys(path, section, {key: v for key, v in values.items() if key != "archive"}, plain)
    archive = values.get("archive")
    if archive is None:
        return found
    home = "[defaults.archive]" if section == "defaults" else "[tables.archive]"
    if not isinstance(archive, Mapping):
        raise ConfigError(f"{path}: {section}.archive is not a section", hint=f"write {home} and url = below it")
    settings = cast("Mapping[str, Any]", archive)
    keys = _keys(path, f"{section}.archive", settings, ARCHIVE)
    if "url" not in settings:
        raise ConfigError(f"{path}: {section}.archive has no url", hint='write url = "file:///…" or "s3://…"')
    return [*found, *keys]


def starting_configuration(tables: Sequence[TableRef], others: Sequence[TableName] = ()) -> str:
    """The text of a file to start from, for these tables; what is commented out is the default.

    The *others* stand there commented out: naming a table says that partitions of it may be dropped.
    """
    entries = [_ENTRY.format(name=_quoted(str(ref))) for ref in tables]
    if others:
        entries.append("# Partitioned by time too; nobody makes their partitions unless you take the signs away.\n")
    for name in others:
        entry = _ENTRY.format(name=_quoted(str(name)))
        entries.append("".join(f"# {line}\n" for line in entry.splitlines()))
    return _START + "\n".join(entries)


def _quoted(text: str) -> str:
    """A string of TOML."""
    return '"' + text.encode("unicode_escape").decode().replace('"', '\\"') + '"'


_START: Final = """\
# pgalmanac's configuration. Save it as pgalmanac/config.toml in your configuration folder (~/.config on Linux) or
# the site's (/etc/xdg), or name it with --config. What is commented out is the default.

# on_failure = ["/usr/local/bin/page-somebody"]   # called by the failure unit, the report as JSON on its stdin

[connection]
# dsn = "service=events"        # any libpq connection string; without it the PG* variables apply
# label = "production"          # shown by the dashboard

[defaults]                      # whatever a table may set for itself below
# interval = "daily"            # without it as the existing partitions have it
# premake_days = 30             # how far ahead partitions exist
# retention_days = 90           # what is older is dropped; "forever" keeps it
# timezone = "UTC"              # in which days begin
# lock_timeout_ms = 200         # the longest that a writer waits for us
# retry_seconds = 60            # how long a run tries for its locks
# max_drops = 31                # none is dropped when more are due; without it a month's worth
# max_creates = 1000            # none is made when more are missing
# drop_unaligned = false        # also drop partitions that are no whole hour, day, week, month, quarter or year
# grace_days = 0                # for how long pgalmanac undrop can bring back what was dropped
# trash_schema = "pgalmanac_trash"  # where it is kept until then
# breakdown = "event_type"      # the column whose most frequent values the report shows
# disk_limit_gb = 500           # check says on which day a table will take so much, if it goes on as it does

[history]
# table = "housekeeper_runs"
# keep_days = 365

[counts]                        # how status --exact and the dashboard count
# connections = 2               # so many partitions at once
# max_seconds = 600             # what is not counted by then stays an estimate
# statement_seconds = 300       # the same for one partition
# consistent = false            # true: all in one snapshot, and nothing from earlier counts
# cache = true                  # a partition that has not changed since is not counted again

[metrics]
# textfile = "/var/lib/pgalmanac/pgalmanac.prom"  # for Prometheus, written at the end of every maintain

[dashboard]
# theme = "auto"                # dark, light, ansi-dark, ansi-light, or another theme of Textual
# glyphs = "auto"               # unicode or ascii
# refresh_seconds = 2           # never more often than every 5 over SSH
# label_color = "red"           # behind the label
# mouse = "auto"                # on, off; auto is off over SSH

"""
_ENTRY: Final = """\
[[tables]]
name = {name}
retention_days = 90
"""
