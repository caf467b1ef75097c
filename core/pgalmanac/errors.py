"""Everything that can end a run, drawn as a tree; each class carries its process exit code.

    PgalmanacError          70  an internal error, when nothing below fits
    ├── ProofError           1  an insert for now was not proved to find its partition
    ├── UsageError          64  a command line that cannot be obeyed
    ├── ConfigError         78  a file or variable that is wrong, or names what is not there
    │   └── PoolerError     78  a transaction pooler stands between us and the server
    ├── ConnectError        69  no server answers
    ├── ArchiveError        69  an archive cannot be reached, or is not what was written
    ├── PrivilegeError      77  the role or password is not enough
    ├── BusyError           75  another process of ours holds the lock
    │   └── TableBusyError  75  another run holds the table
    ├── ServerError         70  the server refused something it should not have
    ├── HungUp             129  SIGHUP
    ├── Interrupted        130  SIGINT
    └── Terminated         143  SIGTERM

Bad news about one partition is not an exception but a value in the report.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ArchiveError",
    "BusyError",
    "ConfigError",
    "ConnectError",
    "HungUp",
    "Interrupted",
    "PgalmanacError",
    "PoolerError",
    "PrivilegeError",
    "ProofError",
    "ServerError",
    "TableBusyError",
    "Terminated",
    "UsageError",
    "internal",
]


class PgalmanacError(Exception):
    """The root of all errors: one sentence that names the object, and a hint that names the remedy."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None, sqlstate: str | None = None) -> None:
        """Keep *message* (what is wrong with which object), *hint* (what mends it) and the server's code."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.sqlstate = sqlstate

    def __str__(self) -> str:
        """Message and remedy in one line, as it is shown on stderr."""
        return f"{self.message}: {self.hint}" if self.hint else self.message


class ProofError(PgalmanacError):
    """An insert for now, or before the next night, would not find a partition; the sentence says since when."""

    exit_code = 1


class UsageError(PgalmanacError):
    """The command line asks for something that does not exist or cannot be."""

    exit_code = 64


class ConfigError(PgalmanacError):
    """The configuration is wrong, or names a database or table that cannot be maintained."""

    exit_code = 78


class PoolerError(ConfigError):
    """Our settings and locks would land in other clients' sessions."""


class ConnectError(PgalmanacError):
    """The server cannot be reached, or the connection to it was lost."""

    exit_code = 69


class ArchiveError(PgalmanacError):
    """The archive cannot be reached or written, or what lies there is not what was written."""

    exit_code = 69


class StoreError(ArchiveError):
    """The folder or the store says no, whatever is archived: it is full, closed to us or out of reach."""


class PrivilegeError(PgalmanacError):
    """The server knows us and says no."""

    exit_code = 77


class BusyError(PgalmanacError):
    """Somebody else of ours is at work on it, and holds its lock."""

    exit_code = 75


class TableBusyError(BusyError):
    """Another run holds the advisory lock of *table*, named as the catalog has it."""

    def __init__(self, table: str) -> None:
        """Name the table."""
        super().__init__(f"another run of pgalmanac is at work on {table}", hint="wait until it is done")
        self.table = table


class ServerError(PgalmanacError):
    """A statement of ours failed in a way that no rule above foresees."""


class HungUp(PgalmanacError):  # noqa: N818  # as its siblings
    """SIGHUP, for the terminal is gone, ended the run; the step under way was undone or completed."""

    exit_code = 129


class Interrupted(PgalmanacError):  # noqa: N818  # the field's word for SIGINT is not "InterruptedError", which is OSError's
    """SIGINT ended the run; the step under way was undone or completed."""

    exit_code = 130


class Terminated(PgalmanacError):  # noqa: N818  # named as its sibling
    """SIGTERM ended the run; the step under way was undone or completed."""

    exit_code = 143


def internal(error: BaseException, *, hint: str) -> PgalmanacError:
    """What is said of an error that nobody foresaw; *hint* is how to find out more."""
    text = str(error)
    return PgalmanacError(f"internal error ({type(error).__name__}{': ' if text else ''}{text})", hint=hint)
