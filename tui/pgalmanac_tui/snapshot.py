"""What the dashboard knows, as immutable values, and the protocol of whoever finds it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from pgalmanac.actions import Action
from pgalmanac.findings import Finding, Level, PastRuns, worst
from pgalmanac.forecast import Measured, Sizes
from pgalmanac.model import Bounds, Partition, Server
from pgalmanac.plan import Plan
from pgalmanac.results import Blocker, Outcome, PartitionCount, RunReport
from pgalmanac.table_names import TableName
from pgalmanac.view import View

if TYPE_CHECKING:  # these bring the driver with them, and the first picture must not wait for it
    from pgalmanac.details import PartitionDetails, Profile  # noqa: TC004  # named in __all__ for checkers
    from pgalmanac.records import ActionRecord, RunRecord  # noqa: TC004  # named in __all__ for checkers
    from pgalmanac.schedule import Schedule  # noqa: TC004  # named in __all__ for checkers

__all__ = [
    "ActionRecord",
    "Gateway",
    "PartitionDetails",
    "Profile",
    "Proposal",
    "RunRecord",
    "Schedule",
    "Snapshot",
    "Step",
    "TableState",
    "Wish",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """One table: what the next maintain would do, what is to be said about it, counts by partition oid, its runs.

    *sizes* is what runs measured of its partitions. *worker* is the server process that holds the table's advisory
    lock, *active* the run it records, with its actions so far.
    """

    plan: Plan
    findings: tuple[Finding, ...] = ()
    counts: Mapping[int, PartitionCount] = field(default_factory=dict[int, PartitionCount])
    runs: tuple[RunRecord, ...] = ()
    past: PastRuns = field(default_factory=PastRuns)
    sizes: Sizes = field(default_factory=Sizes)
    worker: int | None = None
    active: RunRecord | None = None

    @property
    def view(self) -> View:
        """The snapshot of the catalog seen through the policy."""
        return self.plan.view

    @property
    def name(self) -> TableName:
        """The table."""
        return self.plan.table.name

    @property
    def level(self) -> Level | None:
        """The worst finding's level, None for all well."""
        return worst(self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One look at the server; *now* is its clock, an instant in UTC.

    *tables* are those that can be switched to. *trouble* says why there is no *table*, and what would help.
    """

    server: Server
    now: datetime
    tables: tuple[TableName, ...] = ()
    table: TableState | None = None
    trouble: str | None = None
    remedy: str | None = None
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a key asks for: a command, and the period, range or name that it acts on.

    A pin has a reason, and may have a last day on which it holds, in the policy's time zone.
    """

    command: Literal["maintain", "fix", "create", "drop", "undrop", "restore", "pin", "unpin"]
    target: str = ""
    reason: str = ""
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action of a proposal with its statements, each with the lock it takes."""

    action: Action
    statements: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a wish would do to one table, as it would be run now, and who holds a lock that it needs."""

    wish: Wish
    server: Server
    plan: Plan
    steps: tuple[Step, ...] = ()
    blockers: tuple[str, ...] = ()


class Gateway(Protocol):
    """All the dashboard's dealings with the server. Every call raises PgalmanacError for what cannot be had."""

    async def poll(self, wanted: TableName | None, *, fresh: bool = False) -> Snapshot:
        """One look; *wanted* is the table that was chosen, None for the one that is meant.

        Where nothing has changed, *table* is the very one of the last look, unless a *fresh* one is asked for.
        """
        ...

    async def levels(self, tables: tuple[TableName, ...]) -> Mapping[TableName, Level | str | None]:
        """Each table's worst level, or the sentence that says why it cannot be told."""
        ...

    async def details(self, partition: Partition) -> PartitionDetails | None:
        """Sizes, dead rows and lock holders of one partition; None when it is gone or locked."""
        ...

    async def trend(self, partition: Partition) -> tuple[Measured, ...]:
        """What runs measured of one partition, oldest first; empty without a history."""
        ...

    async def count(self, view: View, partition: Partition) -> PartitionCount:
        """The exact count of one partition; cancelling stops the counting on the server."""
        ...

    async def profile(self, view: View, partition: Partition, bounds: Bounds) -> Profile:
        """The hours and most frequent values of a partition within *bounds*."""
        ...

    async def propose(self, table: TableName, wish: Wish) -> Proposal:
        """What *wish* would do now."""
        ...

    async def perform(self, proposal: Proposal, observer: Callable[[Outcome], bool]) -> RunReport:
        """Do what was proposed; what has come to be dropped since is refused before anything is done.

        *observer* is called after each action, in another thread; when it returns False the rest is left.
        """
        ...

    async def in_the_way(self, plan: Plan, action: Action) -> tuple[Blocker, ...]:
        """Who holds a lock now that *action* needs, of a *plan* that is being carried out here."""
        ...

    async def run(self, run_id: str) -> RunRecord | None:
        """One recorded run with its actions; None when the history has let it go."""
        ...

    def stop(self) -> None:
        """Call off everything, undo it, and disconnect."""
        ...
