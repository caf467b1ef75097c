"""What a plan is made of: actions with their reason and status, and the facts that a draft of it asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pgalmanac.model import Bounds, Partition, Pin
from pgalmanac.table_names import TableName

if TYPE_CHECKING:  # it composes SQL, which brings the driver, and the dashboard's first picture does not wait for that
    from pgalmanac.mend import Mend

__all__ = ["GOING", "NO_FACTS", "Action", "ActionKind", "Facts", "Guard", "Reason", "Source", "Status"]


class ActionKind(StrEnum):
    """What an action does; detaching is part of a drop and of trash, and creating part of moving rows."""

    FINALIZE = "finalize"
    CREATE = "create"
    MOVE_ROWS = "move_rows"
    DROP = "drop"
    # Detach, and keep the table in the trash until its grace ends.
    TRASH = "trash"
    # Bring it back from there.
    ATTACH = "attach"
    PIN = "pin"
    UNPIN = "unpin"
    # Copy it into the archive; before a drop the table is detached first and let go of only by the drop.
    ARCHIVE = "archive"
    # Bring it back from there.
    RESTORE = "restore"


# What takes a partition away from its table.
GOING: Final = frozenset({ActionKind.DROP, ActionKind.TRASH})


class Status(StrEnum):
    """What became of an action, or is to become of it."""

    PLANNED = "planned"
    DONE = "done"
    SKIPPED = "skipped"
    REFUSED = "refused"
    FAILED = "failed"


class Reason(StrEnum):
    """Why an action is in the plan."""

    PREMAKE = "premake"
    GAP = "gap"
    REMAINDER = "remainder"
    RETENTION = "retention"
    UNFINISHED = "unfinished"
    MANUAL = "manual"
    GRACE = "grace ended"
    # An archive for its own sake: what is archived stays where it is.
    COPY = "copy"


class Source(StrEnum):
    """Where the table of an action stands: the statements that finish it differ."""

    ATTACHED = "attached"
    PENDING = "pending"
    DETACHED = "detached"


class Guard(StrEnum):
    """Who refuses that something goes, where findings tell them apart."""

    FUSE = "fuse"
    CLOCK = "clock"
    # There is no place for it in the trash.
    TRASH = "trash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step. *status* is planned, or skipped or refused with the *note* that says why and what would allow it.

    *rows* at stake are the server's estimate, *bytes* what the files have: None when nobody asked, or it is
    locked. *target* is the name that trash and attach give the table, *keep_until* the instant up to which it can be
    had back, *makes_schema* says that the trash is still to be made. *pin* is what pin writes, and attach where today's
    retention would take the partition again; *mend* what attach has to make good first; *replaces* is the empty
    partition whose place it takes; *after* is a table whose rows refer to it until the same plan has dropped them.
    """

    kind: ActionKind
    partition: TableName
    bounds: Bounds
    reason: Reason
    status: Status = Status.PLANNED
    note: str | None = None
    guard: Guard | None = None
    oid: int | None = None
    source: Source = Source.ATTACHED
    rows: int | None = None
    bytes: int | None = None
    target: TableName | None = None
    keep_until: datetime | None = None
    makes_schema: bool = False
    pin: Pin | None = None
    mend: Mend | None = None
    replaces: Partition | None = None
    after: TableName | None = None
    # Where it is archived.
    url: str | None = None

    def refused(self, note: str, guard: Guard | None = None) -> Action:
        """The same action, refused by a guard that wants a human."""
        return replace(self, status=Status.REFUSED, note=note, guard=guard)

    def skipped(self, note: str) -> Action:
        """The same action, skipped for a standing reason of its partition."""
        return replace(self, status=Status.SKIPPED, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is asked about the objects of a draft plan only.

    *others* says of those *taken* names that partitions of other tables have which table that is.
    *rows* is what the server estimates of tables that would go, come back or be copied. *strays* counts the default
    partition's rows by the lower bound of the period they belong to; *immovable* says why they cannot be moved.
    *trash_missing* are the schemas of the trash that are still to be made, and *trash_refusals* says for each that this
    role may neither use nor make what would allow it; *mends* is what detached tables lack of their parent's structure,
    and *empties* are the partitions without a row among those that stand in their places. *schemas_gone* are those that
    such tables came from and that are no more. *after* says of partitions which table's rows refer to them, where all
    of those are about to be dropped.
    """

    taken: frozenset[TableName] = frozenset()
    others: Mapping[TableName, TableName] = field(default_factory=dict["TableName", "TableName"])
    blocked: Mapping[int, str] = field(default_factory=dict[int, str])
    after: Mapping[int, TableName] = field(default_factory=dict[int, "TableName"])
    strays: Mapping[datetime, int] = field(default_factory=dict[datetime, int])
    immovable: str | None = None
    rows: Mapping[int, int] = field(default_factory=dict[int, int])
    trash_missing: frozenset[str] = frozenset()
    trash_refusals: Mapping[str, str] = field(default_factory=dict[str, str])
    mends: Mapping[int, Mend] = field(default_factory=dict[int, "Mend"])
    empties: frozenset[int] = frozenset()
    schemas_gone: frozenset[str] = frozenset()


NO_FACTS: Final = Facts()
