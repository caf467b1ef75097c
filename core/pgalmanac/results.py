"""What became of a run, as values: outcome of an action, report of a table, report of a command. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final

from pgalmanac.actions import Action, ActionKind, Status
from pgalmanac.errors import BusyError, PgalmanacError
from pgalmanac.findings import Finding, Level, worst
from pgalmanac.model import Server
from pgalmanac.table_names import TableName
from pgalmanac.view import View

__all__ = [
    "Blocker",
    "CountProgress",
    "Outcome",
    "PartitionCount",
    "Progress",
    "RunReport",
    "Statistics",
    "TableReport",
    "exit_code",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Who holds a lock, in one line; *pid* is None for a prepared transaction, which has no process."""

    pid: int | None
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One action after its transaction has closed, or as planned when nobody passed it to apply.

    *statements* is the SQL as it was, or would be, run. *started_at* is an instant in UTC on the client's clock.
    *rows* were moved (exact) or dropped (the server's estimate); *bytes* is the dropped table's size. *blockers*
    says who held the lock that was not to be had.
    """

    action: Action
    status: Status
    statements: tuple[str, ...] = ()
    attempts: int = 0
    started_at: datetime | None = None
    duration_ms: float | None = None
    rows: int | None = None
    bytes: int | None = None
    sqlstate: str | None = None
    error: str | None = None
    blockers: tuple[str, ...] = ()

    def became(self, status: Status, *, error: str | None = None, sqlstate: str | None = None) -> Outcome:
        """The same outcome with another end."""
        return replace(self, status=status, error=error, sqlstate=sqlstate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one action is that takes long: *rows* of *of* are archived or restored."""

    partition: TableName
    rows: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionCount:
    """What is known of one partition's rows.

    *exact* is False for the server's estimates; *oldest* and *newest* are the smallest and largest key times, and
    *counted_at* the instant as of which an exact count is one. *cached* is an earlier count: the server's counters
    say that nothing was written since. It never authorises a drop.
    """

    oid: int
    name: TableName
    rows: int | None
    exact: bool
    oldest: datetime | None = None
    newest: datetime | None = None
    bytes: int | None = None
    counted_at: datetime | None = None
    cached: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountProgress:
    """How far counting is, of what was estimated before it: in partitions, rows and bytes."""

    partitions: int = 0
    of_partitions: int = 0
    rows: int = 0
    of_rows: int = 0
    bytes: int = 0
    of_bytes: int = 0

    @classmethod
    def begin(cls, estimates: Sequence[PartitionCount]) -> CountProgress:
        """Nothing is counted yet."""
        rows, size = sum(e.rows or 0 for e in estimates), sum(e.bytes or 0 for e in estimates)
        return cls(of_partitions=len(estimates), of_rows=rows, of_bytes=size)

    def after(self, count: PartitionCount) -> CountProgress:
        """One more partition is counted, or was given up."""
        return replace(
            self,
            partitions=self.partitions + 1,
            rows=self.rows + (count.rows or 0),
            bytes=self.bytes + (count.bytes or 0),
        )

    @property
    def share(self) -> float:
        """From 0 to 1, by bytes, which say best how long it takes; by partitions where no size is known."""
        done, of = (self.bytes, self.of_bytes) if self.of_bytes else (self.partitions, self.of_partitions)
        return min(done / of, 1.0) if of else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The figures at the end of a report. Rows and frequencies are estimates unless *exact*.

    *rows* is None where there are some and the server has counted none, as before the first ANALYZE after pg_upgrade.
    """

    partitions: int
    rows: int | None
    exact: bool
    oldest_event: datetime | None = None
    newest_event: datetime | None = None
    breakdown_column: str | None = None
    # Value and number of rows, most frequent first; of today and the six days before when exact.
    breakdown: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReport:
    """One table in one command. *view* is the last snapshot seen; None when the table could not be inspected."""

    table: str
    view: View | None = None
    run_id: str | None = None
    locked: bool = False
    error: PgalmanacError | None = None
    outcomes: tuple[Outcome, ...] = ()
    findings: tuple[Finding, ...] = ()
    statistics: Statistics | None = None
    counts: tuple[PartitionCount, ...] = ()
    # fix only: the partition that an insert for now was proved to find.
    proved: str | None = None

    def count(self, status: Status, *kinds: ActionKind) -> int:
        """How many outcomes have this status, of these kinds or of any."""
        return sum(1 for o in self.outcomes if o.status is status and (not kinds or o.action.kind in kinds))

    @property
    def created(self) -> int:
        """Partitions that this run created, with or without rows moved into them."""
        return self.count(Status.DONE, ActionKind.CREATE, ActionKind.MOVE_ROWS)

    @property
    def dropped(self) -> int:
        """Partitions that this run dropped, for good."""
        return self.count(Status.DONE, ActionKind.DROP)

    @property
    def trashed(self) -> int:
        """Partitions that this run took away and keeps in the trash."""
        return self.count(Status.DONE, ActionKind.TRASH)

    @property
    def attached(self) -> int:
        """Partitions that this run brought back."""
        return self.count(Status.DONE, ActionKind.ATTACH)

    @property
    def kept(self) -> dict[str, int]:
        """What this run did about tables that are kept elsewhere or on purpose, in words; most runs do none of it."""
        return {
            "trashed": self.trashed,
            "attached": self.attached,
            "pinned": self.count(Status.DONE, ActionKind.PIN),
            "unpinned": self.count(Status.DONE, ActionKind.UNPIN),
            "archived": self.count(Status.DONE, ActionKind.ARCHIVE),
            "restored": self.count(Status.DONE, ActionKind.RESTORE),
        }

    @property
    def moved_rows(self) -> int:
        """Stray rows that this run moved out of the default partition."""
        return sum(
            o.rows or 0 for o in self.outcomes if o.action.kind is ActionKind.MOVE_ROWS and o.status is Status.DONE
        )

    @property
    def failed(self) -> bool:
        """Whether something was refused, tried and not achieved, or ended the table's run."""
        return self.error is not None or self.count(Status.REFUSED) + self.count(Status.FAILED) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One command's whole answer. *findings* are those that concern the server and no one table."""

    command: str
    server: Server | None = None
    today: date | None = None
    dry_run: bool = False
    # Not in the repr, which asyncio makes of whatever a program returns when it takes its signal handlers back.
    tables: tuple[TableReport, ...] = field(default=(), repr=False)
    findings: tuple[Finding, ...] = ()

    @property
    def level(self) -> Level | None:
        """The worst level of all findings, None for all well."""
        return worst([*self.findings, *(f for t in self.tables for f in t.findings)])

    @property
    def exit_code(self) -> int:
        """The process exit code of a command that is not check."""
        return exit_code(self.tables)


_FAILED: Final = 1


def exit_code(tables: Sequence[TableReport]) -> int:
    """0 done · 1 something failed or was refused · 75 only locked tables.

    A run in which every table ended in the same way (77: no right to any of them) ends in that error's own code.
    """
    if not any(t.failed or t.locked for t in tables):
        return 0
    if not any(t.failed for t in tables):
        return BusyError.exit_code
    codes = {t.error.exit_code if t.error is not None else _FAILED for t in tables}
    return codes.pop() if len(codes) == 1 else _FAILED
