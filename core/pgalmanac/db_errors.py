"""The driver's errors -> ours: what the server said, in one line, and whether the session is gone."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import psycopg

from pgalmanac.errors import ConfigError, ConnectError, PgalmanacError, PrivilegeError, ServerError
from pgalmanac.log import scrub

__all__ = ["connection_error", "is_lost", "one_line", "translated"]

# What the server, or libpq for it, says to a role that may not come in; the last two are in every language's words.
_REFUSED: Final = re.compile(
    r"authentication failed|role .* does not exist|not permitted|fe_sendauth|permission denied for database"
    r"|pg_hba\.conf|\bCONNECT\b"
)
# What passes: it may name a role or a database, and neither is wrong.
_BUSY: Final = re.compile(r"too many connections|not currently accepting|starting up|shutting down|recovery mode")
# The server's words behind libpq's: a severity in the server's language, and two spaces.
_SAID: Final = re.compile(r"(?s)failed: [^\s:]+:  (.*)")

_QUESTION: Final = re.compile(r" Is the server running [^?]*\?")


def connection_error(exc: psycopg.Error) -> PgalmanacError:
    """Sort a failed connection by what the server said: libpq gives no SQLSTATE before a session exists.

    A server that speaks another language is understood by what it names: the role that it refuses, or the database
    that it does not have.
    """
    text = _QUESTION.sub("", scrub(one_line(exc)))  # our own sentence asks the same
    needs_password = exc.pgconn is not None and exc.pgconn.needs_password
    role, database = (False, False) if _BUSY.search(text) else _named(exc)
    missing = re.search(r"database .* does not exist|definition of service .* not found", text) is not None
    if not missing and (needs_password or _REFUSED.search(text) or (role and not database)):
        return PrivilegeError(
            f"the server refuses this role ({text})", hint="check user, password (.pgpass) and pg_hba.conf"
        )
    if missing or database:
        return ConfigError(f"cannot connect ({text})", hint="name an existing one with --dsn or PGDATABASE")
    if re.search(r"invalid (connection option|sslmode|port|integer|channel|value)|missing \"=\"|bad value for", text):
        return ConfigError(f"cannot connect ({text})", hint="correct --dsn or the PG* variables")
    return ConnectError(
        f"cannot reach the database ({text})", hint="is it running, and are --dsn or the PG* variables right?"
    )


def _named(exc: psycopg.Error) -> tuple[bool, bool]:
    """Whether the server names the role, and the database; of two that are called the same it means the role."""
    said = _SAID.search(str(exc))
    if said is None or exc.pgconn is None:
        return False, False
    role, database = exc.pgconn.user.decode(), exc.pgconn.db.decode()
    names = [re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said[1]) is not None for name in (role, database)]
    return names[0], names[1] and role != database


@contextmanager
def translated(what: str, database: str | None = None) -> Generator[None]:
    """Turn the driver's errors into ours, naming *what* was being done; everything at this boundary passes here.

    *database* is the name of the one that was asked, where texts of its own are read.
    """
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as exc:
        raise PrivilegeError(f"{what}: {one_line(exc)}", hint="grant it to this role", sqlstate=exc.sqlstate) from exc
    except psycopg.errors.CharacterNotInRepertoire as exc:  # of encoding SQL_ASCII a database takes any bytes for text
        raise ConfigError(
            f"{what}: {_called(database)} holds text that is no UTF-8 ({scrub(one_line(exc))})",
            hint="correct that name, comment or value, or restore a dump of it into a database of encoding UTF8",
            sqlstate=exc.sqlstate,
        ) from exc
    except psycopg.errors.UntranslatableCharacter as exc:  # as a name in a database of encoding LATIN1
        raise ConfigError(
            f"{what}: {_called(database)} cannot hold a text of the configuration ({scrub(one_line(exc))})",
            hint="name tables and schemas with characters of its encoding",
            sqlstate=exc.sqlstate,
        ) from exc
    except psycopg.Error as exc:
        text = scrub(one_line(exc))
        if is_lost(exc):
            raise ConnectError(
                f"{what}: the connection was lost ({text})", hint="run it again", sqlstate=exc.sqlstate
            ) from exc
        raise ServerError(f"{what}: {text}", hint="see the server's log", sqlstate=exc.sqlstate) from exc


def _called(database: str | None) -> str:
    return "the database" if database is None else f"database {database}"


def is_lost(exc: psycopg.Error) -> bool:
    """Whether the session is gone: class 08, a shutdown (57P0x), a limit of idleness, or none of a broken socket.

    With a severity of ERROR it is still there: then our server could not reach another, where a foreign table lies.
    """
    if exc.diag.severity_nonlocalized == "ERROR":
        return False
    state = exc.sqlstate
    if state is None:
        return isinstance(exc, psycopg.OperationalError)
    return state.startswith("08") or state in {"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"}


def one_line(exc: BaseException) -> str:
    """The error in one line: the server's primary message and detail, or the driver's text."""
    if isinstance(exc, psycopg.Error) and exc.diag.message_primary:
        detail = exc.diag.message_detail
        text = exc.diag.message_primary + (f" ({detail})" if detail else "")
    else:
        text = str(exc)
    return " ".join(text.split()) or type(exc).__name__
