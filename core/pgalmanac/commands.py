"""What the command line has: commands, their options and operands, what each is for. Pure, and no parser yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from pgalmanac.option_kinds import Option, choice, switch, whole
from pgalmanac.options import TABLE_NAME
from pgalmanac.policy import MAX_PREMAKE_DAYS, MAX_RETENTION_DAYS

__all__ = ["COMMANDS", "EXIT_CODES", "FLAGS_ONLY", "GLOBALS", "HELP", "OWN", "TRIGGERS", "WRITING", "Command", "flag"]

TRIGGERS: Final = ("scheduler", "manual", "startup")
LOG_FORMATS: Final = ("text", "json")

_MAX_LIMIT: Final = 1_000_000
_MAX_WAIT_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command's name, what it does in a line, its own options, and what it takes besides."""

    about: str
    options: tuple[str, ...] = ()
    operand: str | None = None
    operand_help: str = ""
    writes: bool = False
    # The operand may be given several times.
    many: bool = False


_WHICH: Final = "a period as the table's interval writes it, FIRST..LAST (both included), or a partition's name"

COMMANDS: Final[Mapping[str, Command]] = {
    "maintain": Command(
        about="create the partitions that will be needed, drop those past retention, record the run",
        options=(
            *("dry_run", "retention_days", "premake_days", "interval", "timezone"),
            *("max_drops", "grace_days", "trash_schema", "archive_url", "wait", "triggered_by"),
        ),
        writes=True,
    ),
    "check": Command(
        about="say what is wrong: exits 0 ok, 1 warning, 2 critical, 3 bad usage",
        options=("probe",),
    ),
    "fix": Command(
        about="create what is missing around today, and prove that an insert for now works",
        options=("back", "ahead", "dry_run"),
        writes=True,
    ),
    "status": Command(
        about="list the partitions with their rows, newest first", options=("exact", "no_cache", "limit")
    ),
    "history": Command(about="list the last runs, newest first", options=("limit", "run")),
    "create": Command(
        about="create the partitions of a period or range",
        options=("dry_run",),
        operand="PERIOD",
        operand_help="a period as the table's interval writes it (2025-11-02, 2025-W45, 2025-11, 2025-Q4, 2025,"
        " 2025-11-02T05), or FIRST..LAST, both included",
        writes=True,
    ),
    "drop": Command(
        about="drop the partitions of a period or range, or one by name",
        options=("yes", "dry_run", "max_drops", "grace_days", "now", "archive_url"),
        operand="PERIOD|NAME",
        operand_help=_WHICH,
        writes=True,
    ),
    "undrop": Command(
        about="attach again what was dropped, while its grace lasts",
        options=("dry_run",),
        operand="PERIOD|NAME",
        operand_help=_WHICH,
        writes=True,
    ),
    "trash": Command(about="list what was dropped and can be had back, and until when"),
    "pin": Command(
        about="keep partitions from being dropped by anything",
        options=("reason", "until", "dry_run"),
        operand="PERIOD|NAME",
        operand_help=_WHICH,
        writes=True,
    ),
    "unpin": Command(
        about="let partitions be dropped again",
        options=("dry_run",),
        operand="PERIOD|NAME",
        operand_help=_WHICH,
        writes=True,
    ),
    "pins": Command(about="list the pinned partitions with reason, end and who pinned them"),
    "archive": Command(
        about="copy partitions into the archive, and leave them where they are",
        options=("archive_url", "dry_run"),
        operand="PERIOD|NAME",
        operand_help=_WHICH,
        writes=True,
        many=True,
    ),
    "restore": Command(
        about="bring back what was archived, as a partition or as a table beside it",
        options=("into", "archive_url", "dry_run"),
        operand="PERIOD|NAME",
        operand_help=_WHICH,
        writes=True,
        many=True,
    ),
    "archives": Command(about="list what is archived, and what is wrong with it", options=("archive_url",)),
    "init": Command(
        about="create the history tables and the function partition_health, print a starting configuration",
        writes=True,
    ),
    "metrics": Command(about="print what Prometheus collects, or write it to a file", options=("textfile",)),
    "doctor": Command(about="look at everything that maintaining depends on: a line each, ok or what to do"),
    "units": Command(
        about="show which systemd units would be written where, print or install them",
        options=("user", "print", "install", "root"),
    ),
    "alert": Command(about="tell the journal, and the hook on_failure, which service failed; systemd starts it"),
    "completion": Command(
        about="print the completion script of a shell",
        operand="SHELL",
        operand_help="bash, zsh or fish",
    ),
}
WRITING: Final = frozenset(name for name, command in COMMANDS.items() if command.writes)


def _sentence(value: object) -> str:
    text = str(value).strip()
    if not text or "\0" in text:
        raise ValueError(value)
    return text


def _day(value: object) -> date:
    return date.fromisoformat(str(value))


TABLE_INTO: Final = replace(TABLE_NAME, name="into")

# Options of the command line alone, and how their values are read; config.py reads the others.
OWN: Final[Mapping[str, Option]] = {
    o.name: o
    for o in (
        *(switch(name) for name in ("demo", "reset", "read_only", "json", "headless", "dry_run", "yes", "exact")),
        *(switch(name) for name in ("no_cache", "now", "ascii")),
        *(switch(name) for name in ("probe", "user", "print", "install")),
        whole("verbose", 0, 2, "a whole number"),
        whole("back", 0, MAX_RETENTION_DAYS, "a whole number of days"),
        whole("ahead", 0, MAX_PREMAKE_DAYS, "a whole number of days"),
        whole("limit", 1, _MAX_LIMIT, "a whole number"),
        whole("wait", 0, _MAX_WAIT_SECONDS, "a whole number of seconds"),
        choice("triggered_by", TRIGGERS),
        choice("log_format", LOG_FORMATS),
        Option(name="run", wanted="the id of a run", reader=str),
        Option(name="reason", wanted="a sentence, such as --reason 'case 4711'", reader=_sentence),
        TABLE_INTO,
        Option(name="until", wanted="a day, such as 2026-01-31", reader=_day),
        Option(name="textfile", wanted="the path of a file", reader=str),
        Option(name="root", wanted="the path of a folder", reader=str),
    )
}
# Without a variable: they are typed once, and $PGALMANAC_USER may well be somebody's name for something else. That of
# --ascii is the setting's, $PGALMANAC_DASHBOARD_GLYPHS.
FLAGS_ONLY: Final = frozenset({"ascii", "user", "print", "install", "root", "now", "reason", "until", "into"})
GLOBALS: Final = (
    *("dsn", "config", "table", "demo", "reset", "read_only", "json", "log_format", "verbose", "headless", "ascii"),
    "version",
)
HELP: Final[Mapping[str, tuple[str, str | None]]] = {
    "dsn": ("where the database is: a libpq connection string or URI; without it the PG* variables apply", "C"),
    "config": ("the configuration file", "F"),
    "table": ("the table, as psql would read its name; may be given again", "[SCHEMA.]TABLE"),
    "demo": ("work on a PostgreSQL of its own, filled with months of events", None),
    "reset": ("with --demo: start over", None),
    "read_only": ("refuse every command that writes", None),
    "json": ("print one JSON document", None),
    "log_format": ("how messages on stderr are written: as text, or as json, an object a line", "FORMAT"),
    "verbose": ("say more: each partition and statement, and the causes of an error; -vv adds the traceback", None),
    "headless": ("never open the dashboard", None),
    "ascii": ("draw the dashboard in ASCII alone, as PGALMANAC_DASHBOARD_GLYPHS=ascii does", None),
    "dry_run": ("show the plan and change nothing", None),
    "retention_days": ('how many whole days are kept, or "forever"', "N"),
    "premake_days": ("how many days ahead partitions exist", "N"),
    "interval": ("hourly, daily, weekly, monthly, quarterly or yearly", "I"),
    "timezone": ("the time zone in which days begin", "Z"),
    "max_drops": ("the fuse: drop nothing if more partitions than this are due", "N"),
    "grace_days": ("for how many whole days what is dropped can be had back; 0 drops at once", "N"),
    "trash_schema": ("the schema that it is kept in until then", "SCHEMA"),
    "now": ("drop for good and at once, past the trash or out of it", None),
    "reason": ("why, for whoever reads it later", "TEXT"),
    "archive_url": (
        "the archive, into which partitions go before they are dropped: file:///… or s3://…",
        "URL",
    ),
    "into": ("the table to be made of it, beside the partitioned one", "[SCHEMA.]TABLE"),
    "until": ("the last day on which the pin holds; without it until it is unpinned", "DAY"),
    "wait": ("keep trying for so long when no server answers", "SECONDS"),
    "triggered_by": ("who is recorded as having started it: scheduler, manual or startup", "WHO"),
    "back": ("how many days before today, at most to the edge of retention (30)", "N"),
    "ahead": ("how many days after today (30)", "N"),
    "exact": ("count the rows instead of estimating them", None),
    "no_cache": ("with --exact: count again what has not changed since it was counted", None),
    "limit": ("how many to list; history lists 10, status all", "N"),
    "run": ("one run with its actions", "ID"),
    "yes": ("drop without asking", None),
    "probe": ("also prove that an insert for now finds its partition, in a transaction that is rolled back", None),
    "textfile": ("write them to this file, in one step, for a textfile collector", "PATH"),
    "user": ("units for your own account, without root", None),
    "print": ("print the units", None),
    "install": ("write the units; what was changed by hand stays as it is", None),
    "root": ("the folder below which they are written, for packagers", "DIR"),
}
EXIT_CODES: Final = """\
exit codes (check has its own: 0 ok, 1 warning, 2 critical, 3 bad usage):
  0 done, nothing to do, or a standby     1 something failed or was refused
 64 bad usage                            69 no server answers
 70 internal error                       75 a table is locked by another run
 77 permission denied                    78 configuration, or no such table
129 the terminal went away             130 interrupted
143 terminated"""


def flag(name: str) -> str:
    """The option as the command line spells it."""
    return "--" + name.replace("_", "-")
