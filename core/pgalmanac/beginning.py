"""init: what there has to be before the first run, and which tables there are to maintain."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from pgalmanac.config import Settings
from pgalmanac.db import connect, flushed
from pgalmanac.db_errors import translated
from pgalmanac.discovery import meant
from pgalmanac.errors import ConfigError, PrivilegeError
from pgalmanac.health import make_health_function
from pgalmanac.history import History, HistoryError
from pgalmanac.history_tables import make_history
from pgalmanac.table_names import TableName, TableRef

__all__ = ["Beginning", "initialise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What init leaves: the tables of the run history, the *tables* to maintain and *others* that could be."""

    history: tuple[TableName, ...]
    tables: tuple[TableRef, ...]
    others: tuple[TableName, ...]


async def initialise(settings: Settings) -> Beginning:
    """Make the history tables where they are missing, and partition_health; what there is to begin with.

    On a standby nothing is made, and there may be none. Raises PrivilegeError where the role may not, ConfigError where
    another table has the history's name.
    """
    async with connect(settings.dsn) as session:
        try:
            with translated("the run history"):
                if session.server.standby:
                    history = await History.open(session, settings.history_table)
                else:
                    history = await make_history(session, settings.history_table)
        except HistoryError as exc:
            if isinstance(exc.__cause__, psycopg.errors.InsufficientPrivilege):
                raise PrivilegeError(str(exc), hint="GRANT CREATE ON SCHEMA …") from exc
            raise ConfigError(str(exc)) from exc
        if history is not None and not session.server.standby:
            await make_health_function(session, history)
            await flushed(session)
        tables, others = await meant(session, settings.requested)
        return Beginning(history=() if history is None else history.tables, tables=tables, others=others)
