"""What a partitioned table is, as an immutable snapshot of the catalog.

All moments are **key times**: `datetime` objects labelled UTC. For a `timestamptz` key that is the instant. For
`timestamp` and `date` keys, which have no zone, it is the wall clock that the column stores, labelled UTC so that
comparing and subtracting never crosses a change of daylight saving that the column cannot express.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from pgalmanac.table_names import TableName

__all__ = [
    "Bounds",
    "Interval",
    "KeyType",
    "Listing",
    "Mark",
    "Orphan",
    "Partition",
    "PartitionKey",
    "PartitionedTable",
    "Pin",
    "RelationKind",
    "Server",
]


class Interval(StrEnum):
    """How much time one partition holds."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


class KeyType(StrEnum):
    """The types of partition key that are calendars."""

    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"


class RelationKind(StrEnum):
    """`pg_class.relkind` of what can be a partition."""

    TABLE = "r"
    PARTITIONED = "p"
    FOREIGN = "f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The half-open range `[lower, upper)` in key time; None is unbounded on that side."""

    lower: datetime | None
    upper: datetime | None

    def overlaps(self, other: Bounds) -> bool:
        """Whether some moment lies in both."""
        return (self.lower is None or other.upper is None or self.lower < other.upper) and (
            other.lower is None or self.upper is None or other.lower < self.upper
        )

    def contains(self, moment: datetime) -> bool:
        """Whether *moment* (key time) lies inside; the upper bound does not."""
        return (self.lower is None or self.lower <= moment) and (self.upper is None or moment < self.upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a run writes into a partition's comment before it detaches it, so that the next run can finish.

    The system identifier keeps a restored dump from being taken for our own work. *home* is the schema in which it was
    a partition. With *keep_until* the table is not dropped but kept until that instant in the schema *trash*; *at* is
    when it left. *arrived* is written in the transaction that moves it there: nothing else tells a table that a run was
    cut off with from one that somebody brought back home.
    """

    system_id: str
    parent_oid: int
    oid: int
    lower: str | None
    upper: str | None
    run_id: str | None
    manual: bool
    home: str | None
    keep_until: datetime | None = None
    at: datetime | None = None
    trash: str | None = None
    arrived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Why a partition is not to be dropped by anything, through which day (None: until it is unpinned), by whom.

    The day is one of the policy's time zone, and the last on which the pin holds. *at* is an instant in UTC.
    """

    reason: str
    until: date | None = None
    by: str = ""
    at: datetime | None = None

    def __str__(self) -> str:
        """The words in which a plan says why it leaves the partition alone."""
        return f"pinned: {self.reason}" + ("" if self.until is None else f" (until {self.until})")

    def holds(self, today: date) -> bool:
        """Whether the pin is still in force on this day."""
        return self.until is None or today <= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition as `pg_inherits` has it. Bounds are None when they cannot be read as a range of time.

    *rows* is the server's estimate. *counters* change when rows were written or a new file took its place. Both are
    only in a snapshot that was taken with them.
    """

    oid: int
    name: TableName
    bounds: Bounds | None
    kind: RelationKind = RelationKind.TABLE
    is_default: bool = False
    detach_pending: bool = False
    persistence: str = "p"
    tablespace: str | None = None
    comment: str | None = None
    mark: Mark | None = None
    pin: Pin | None = None
    rows: int = field(default=0, compare=False)
    counters: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A table of our own making that is a partition no more: detached with our mark, and not yet dropped.

    It is in the trash, or a run was cut off with it, or somebody took it out of our hands: one of the three.
    *bytes* is the server's estimate of its size.
    """

    oid: int
    name: TableName
    bounds: Bounds
    mark: Mark
    comment: str | None = None
    pin: Pin | None = None
    bytes: int = 0

    @property
    def home(self) -> TableName:
        """The name that it had as a partition."""
        return TableName(schema=self.mark.home or self.name.schema, name=self.name.name)

    @property
    def taken_out(self) -> bool:
        """Whether somebody moved it out of the schema it was left in, also back home: whoever does that keeps it.

        So does whoever edits the mark until it does not say which schema that was.
        """
        return self.name.schema != (self.mark.trash if self.mark.arrived else self.mark.home)

    @property
    def in_trash(self) -> bool:
        """Whether it has reached the trash, and lies there."""
        return self.mark.arrived and not self.taken_out

    @property
    def cut_off(self) -> bool:
        """Whether it is at home since its detach: on its way to the trash, or to be dropped at once."""
        return not self.mark.arrived and not self.taken_out


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionKey:
    """The one time column that the parent is partitioned by."""

    column: str
    type: KeyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A publication of this database, or a subscription in it, and which of a parent and its partitions it lists."""

    name: str
    subscription: bool
    oids: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionedTable:
    """One parent and its partitions, sorted by lower bound, as of *now* on the server's clock (an instant in UTC)."""

    oid: int
    name: TableName
    owner: str
    key: PartitionKey
    now: datetime
    system_id: str = ""
    partitions: tuple[Partition, ...] = ()
    default: Partition | None = None
    orphans: tuple[Orphan, ...] = ()
    # Tables that were dropped of this one before the server got another system identifier, as pg_upgrade gives it.
    estranged: tuple[TableName, ...] = ()
    # Tables that a detach or an attach would lock besides: both ends of foreign keys.
    referencing: tuple[TableName, ...] = ()
    referenced: tuple[TableName, ...] = ()
    # Those of them that this role may LOCK.
    lockable: frozenset[TableName] = frozenset()
    invalid_indexes: tuple[str, ...] = ()
    # The names of its columns.
    columns: frozenset[str] = frozenset()
    # The schema of the pg_partman whose part_config lists this table, or could not be read.
    pg_partman: str | None = None
    pg_partman_unread: bool = False
    # What lists the table, or partitions of it one by one, for logical replication; only a look that tells asks.
    listings: tuple[Listing, ...] = ()
    # Whether the default partition holds any row; None when that was not seen, and why not, unless it lies elsewhere.
    default_has_rows: bool | None = False
    default_unseen: str | None = None
    # The smallest and the largest key time of the rows in it that were looked at, and whether no row lies beyond; None
    # when they have none.
    stray_edges: tuple[datetime, datetime] | None = None
    stray_edges_sure: bool = True
    # The GRANTs without which this role cannot maintain the table.
    missing_grants: tuple[str, ...] = ()
    # The table's schema is the first of the role's search path, so that a task name can leave it out.
    on_path: bool = True

    # The partitions whose bounds are known and in force, oldest first; a pending detach is not. Made once: whoever
    # looks at thousands of partitions asks for it again and again.
    ranged: tuple[Partition, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Pick out what is in force."""
        ranged = tuple(p for p in self.partitions if p.bounds is not None and not p.detach_pending)
        object.__setattr__(self, "ranged", ranged)

    @property
    def children(self) -> tuple[Partition, ...]:
        """All partitions, the default one too."""
        return self.partitions if self.default is None else (*self.partitions, self.default)

    @property
    def scanned_default(self) -> TableName | None:
        """The default partition where ATTACH looks through it: not a foreign table, which LOCK TABLE refuses too."""
        return None if self.default is None or self.default.kind is RelationKind.FOREIGN else self.default.name

    @property
    def pending(self) -> tuple[Partition, ...]:
        """The partitions whose detaching was begun and not finished."""
        return tuple(p for p in self.partitions if p.detach_pending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server and session a report is about; *now* is the server's clock, an instant in UTC."""

    version: str
    version_num: int
    database: str
    role: str
    standby: bool
    now: datetime
    system_id: str = ""
    address: str = ""
    # The role's own search path: the setting, and the schemas of it that exist.
    search_path: str = ""
    schemas: tuple[str, ...] = ()
    superuser: bool = False
