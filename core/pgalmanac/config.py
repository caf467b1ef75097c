"""TOML + environment + flags -> Settings; every error names the file (or variable, or flag), the key and the remedy.

What is said of one table beats what is said of all: `EVENTS_RETENTION_DAYS` > `[[tables]]` > flag >
`PGALMANAC_RETENTION_DAYS` > `[defaults]` > built in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pgalmanac.commands import OWN
from pgalmanac.config_file import Found, read_file
from pgalmanac.errors import ConfigError, PgalmanacError, UsageError
from pgalmanac.invocation import HIDDEN, Invocation
from pgalmanac.log import secrets_of
from pgalmanac.option_kinds import Option, did_you_mean, variable
from pgalmanac.options import (
    CONNECTION,
    COUNTS,
    DASHBOARD,
    HISTORY,
    METRICS,
    POLICY,
    TABLE_NAME,
    TOP,
)
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableName, TableRef

__all__ = ["NO_SCREENS", "USUAL_TABLE", "Counting", "Dashboard", "Settings", "load"]

# The table that is meant, and may be dropped from, when nobody names one.
USUAL_TABLE: Final = "events"
# Values of TERM with which nothing can be drawn.
NO_SCREENS: Final = frozenset({"", "dumb"})
# Variables that other modules read.
_ELSEWHERE: Final = (*OWN, "config", "table", "demo_dir")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Some settings of a policy from one source; *where* says of each by which flag, variable or key it was set."""

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    where: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """How the dashboard looks and how often it asks; `auto` looks at the terminal and at the way it is reached."""

    theme: str = "auto"
    glyphs: str = "auto"
    refresh_seconds: int = 2
    label_color: str | None = None
    mouse: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """How partitions are counted exactly.

    Over so many connections, for so long in all and per partition; what was not counted by then stays estimated.
    *consistent* counts all in one snapshot, which holds a transaction open until the last is counted, and takes
    nothing from the *cache* of counts that are still true.
    """

    connections: int = 2
    max_seconds: int = 600
    statement_seconds: int = 300
    consistent: bool = False
    cache: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a command needs to know beside its own arguments.

    *requested* are the tables that somebody named (flag, file or environment); when empty, the table is discovered.
    *warnings* are to be said before any work. The connection string may hold a password, the environment anything.
    """

    dsn: str = field(default="", repr=False)
    label: str | None = None
    read_only: bool = False
    requested: tuple[TableRef, ...] = ()
    # The one table that a command is narrowed to. Unlike *requested* it is nobody's word that it may be dropped from.
    only: TableRef | None = None
    # What was said on the command line beside the command, for one that is shown.
    invocation: Invocation = field(default_factory=Invocation)
    dashboard: Dashboard = field(default_factory=Dashboard)
    counts: Counting = field(default_factory=Counting)
    history_table: TableRef = field(default_factory=lambda: TableRef(name="housekeeper_runs"))
    history_keep_days: int = 365
    # Where the metrics go at the end of every maintain, and whom the failure unit calls.
    metrics_textfile: str | None = None
    on_failure: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    tables: tuple[tuple[TableRef, Layer], ...] = ()
    flags: Layer = field(default_factory=Layer)
    general: Layer = field(default_factory=Layer)
    defaults: Layer = field(default_factory=Layer)
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def policy(self, name: TableName) -> Policy:
        """The policy of one table: the specific beats the general, then flag, environment, file, built in.

        Raises ConfigError for an environment variable of this table that is no value.
        """
        chosen: dict[str, Any] = {}
        for layer in reversed(self._layers(name)):
            chosen.update(layer.values)
        # Retention is never guessed: somebody named the table, or said how long to keep, or it is the usual one.
        agreed = "retention_days" in chosen
        may_drop = self.names(name) or agreed or name.name == USUAL_TABLE
        return replace(
            Policy(),
            **chosen,
            may_drop=may_drop,
            retention_agreed=agreed,
            timezone_agreed="timezone" in chosen,
            invocation=self.invocation,
        )

    def names(self, table: TableName) -> bool:
        """Whether somebody named this table: by flag, in the environment or in the file."""
        return any(ref.means(table) for ref in (*self.requested, *(ref for ref, _ in self.tables)))

    def overridden(self, name: TableName) -> tuple[str, ...]:
        """A sentence for each flag that does not count for this table, because something more specific was set."""
        layers = self._layers(name)
        specific = layers[: layers.index(self.flags)]
        said: list[str] = []
        for option, flag in self.flags.where.items():
            winner = next((layer for layer in specific if option in layer.values), None)
            if winner is not None and winner.values[option] != self.flags.values[option]:
                value = winner.values[option]
                shown = '"forever"' if value is None else value
                said.append(f"{flag} does not count for {name}: {winner.where[option]} is {shown}")
        return tuple(said)

    def _layers(self, name: TableName) -> list[Layer]:
        """Where this table's settings come from, the most specific first."""
        entries = [(ref, layer) for ref, layer in self.tables if ref.means(name)]
        entries.sort(key=lambda entry: entry[0].schema is None)
        own = _variables(self.environment, _prefix(name.name))
        return [own, *(layer for _, layer in entries), self.flags, self.general, self.defaults]


def load(
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, str] | None = None,
    dsn: str | None = None,
    config: str | None = None,
    tables: Sequence[str] = (),
    read_only: bool = False,
    demo: bool = False,
    glyphs: str | None = None,
) -> Settings:
    """Read flags, *environ* and the configuration file.

    The file is *config*, else $PGALMANAC_CONFIG, else the first one in the user's and the site's folders. With
    *demo* only what was asked for by flag, and the policies of the environment, count: other settings are meant for
    another server.

    Raises UsageError for a wrong flag and ConfigError for a wrong variable or file.
    """
    chosen = config if config is not None or demo else environ.get("PGALMANAC_CONFIG") or None
    file = read_file(chosen, search=not demo)
    tables_of_file = tuple((ref, _layer(found, ConfigError)) for ref, found in file.tables)
    named = tuple(ref for ref, _ in tables_of_file)
    connection, history, dashboard = _values(file.connection), _values(file.history), _values(file.dashboard)
    metrics, top = _values(file.metrics), _values(file.top) | _values(_from_environ(TOP, environ))
    if not demo:
        named = _environment_tables(environ) or named
        connection |= _values(_from_environ(CONNECTION, environ))
        history |= _values(_from_environ(HISTORY, environ, prefix="history_"))
        metrics |= _values(_from_environ(METRICS, environ, prefix="metrics_"))
    dashboard |= _values(_from_environ(DASHBOARD, environ, prefix="dashboard_"))
    dashboard |= {} if glyphs is None else {"glyphs": glyphs}
    requested = tuple(TABLE_NAME.read_text(t, where="--table", error=UsageError) for t in tables) or named
    settings = Settings(
        dsn=dsn if dsn is not None else connection.get("dsn", ""),
        label=connection.get("label"),
        read_only=read_only,
        invocation=_invocation(flags or {}, dsn=dsn, config=config, demo=demo),
        dashboard=Dashboard(**dashboard),
        counts=Counting(**_values(file.counts) | _values(_from_environ(COUNTS, environ, prefix="counts_"))),
        requested=tuple(dict.fromkeys(requested)),
        history_table=history.get("table", TableRef(name="housekeeper_runs")),
        history_keep_days=history.get("keep_days", 365),
        metrics_textfile=metrics.get("textfile"),
        on_failure=top.get("on_failure", ()),
        warnings=tuple(_slips(environ)),
        tables=tables_of_file,
        flags=_layer([_text(POLICY[k], text, POLICY[k].flag) for k, text in (flags or {}).items()], UsageError),
        general=_variables(environ, "PGALMANAC"),
        defaults=_layer(file.defaults, ConfigError),
        environment=_table_variables(environ),
    )
    # A variable that is no value is found now, and not after another table has been changed.
    for ref in settings.requested or (TableRef(name=USUAL_TABLE),):
        settings.policy(TableName(schema=ref.schema or "", name=ref.name))
    return settings


def _invocation(flags: Mapping[str, str], *, dsn: str | None, config: str | None, demo: bool) -> Invocation:
    """The flags that say where and how; a connection string with a password in it is not repeated."""
    words = ["--demo"] if demo else []
    if dsn is not None:
        words += ["--dsn", HIDDEN if secrets_of(dsn) else dsn]
    if config is not None:
        words += ["--config", config]
    return Invocation(where=tuple(words), how=tuple((POLICY[name].flag, text) for name, text in flags.items()))


def _text(option: Option, text: str, where: str) -> Found:
    return option, option.from_text(text), where


def _from_environ(options: Mapping[str, Option], environ: Mapping[str, str], *, prefix: str = "") -> list[Found]:
    """What variables say of these options; an empty variable says nothing."""
    names = {variable(prefix + name): option for name, option in options.items()}
    return [_text(option, text, name) for name, option in names.items() if (text := environ.get(name))]


def _values(found: Iterable[Found], error: type[PgalmanacError] = ConfigError) -> dict[str, Any]:
    return {option.name: option.read(value, where=where, error=error) for option, value, where in found}


def _layer(found: Sequence[Found], error: type[PgalmanacError]) -> Layer:
    return Layer(values=_values(found, error), where={option.name: where for option, _, where in found})


def _environment_tables(environ: Mapping[str, str]) -> tuple[TableRef, ...]:
    """The tables of $PGALMANAC_TABLE, with commas between them; one inside double quotes belongs to a name."""
    names = re.findall(r'(?:"(?:[^"]|"")*"|[^,])+', environ.get("PGALMANAC_TABLE", ""))
    return tuple(
        TABLE_NAME.read_text(name, where="PGALMANAC_TABLE", error=ConfigError) for name in names if name.strip()
    )


def _prefix(table: str) -> str:
    """The table's name as a shell can write it: capitals, digits and underscores."""
    return re.sub(r"[^A-Z0-9]+", "_", table.upper())


def _variables(environ: Mapping[str, str], prefix: str) -> Layer:
    """The policy settings that variables of this prefix make; an empty variable is none."""
    names = {f"{prefix}_{name.upper()}": option for name, option in POLICY.items()}
    found = [_text(option, text, name) for name, option in names.items() if (text := environ.get(name))]
    return _layer(found, ConfigError)


def _table_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that could be some table's; all others are nobody's business."""
    endings = tuple(f"_{name.upper()}" for name in POLICY)
    return {
        name: text for name, text in environ.items() if name.endswith(endings) and not name.startswith("PGALMANAC_")
    }


def _slips(environ: Mapping[str, str]) -> Iterator[str]:
    """Variables of ours that are no setting but nearly one; others may be somebody else's (a container's links)."""
    known = [*POLICY, *CONNECTION, *(f"history_{name}" for name in HISTORY), *_ELSEWHERE]
    known += [f"dashboard_{name}" for name in DASHBOARD] + [f"metrics_{name}" for name in METRICS] + [*TOP]
    known += [f"counts_{name}" for name in COUNTS]
    for name in environ:
        key = name.removeprefix("PGALMANAC_").lower()
        if name.startswith("PGALMANAC_") and key not in known and (meant := did_you_mean(key, known)):
            yield f"{name} is not a setting and does nothing: did you mean {variable(meant)}?"
