"""The last look at a table, and whether it still holds. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pgalmanac.table_names import TableName
from pgalmanac_tui.snapshot import Snapshot

__all__ = ["Kept"]

# The fingerprint does not know everything: the rows of tables that refer to a partition (asked for again before it is
# dropped), who became a superuser, and rows where the server was told not to count them.
_TRUST: Final = timedelta(minutes=1)
# Periods begin at full hours of their time zones, which are whole quarters of an hour apart.
_PERIODS_BEGIN: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the server's *fingerprint* was before the look that found *snapshot*; *wanted* is who was asked for."""

    wanted: TableName | None
    fingerprint: str
    snapshot: Snapshot

    def holds(self, wanted: TableName | None, fingerprint: str, now: datetime, *, worker: int | None) -> bool:
        """Whether a look at *now*, an instant of the server's clock in UTC, would find the same.

        While somebody is at work, *worker*, it is looked anew: actions come and locks go.
        """
        table, then = self.snapshot.table, self.snapshot.now
        return (
            table is not None
            and (wanted, fingerprint) == (self.wanted, self.fingerprint)
            and worker is None
            and table.worker is None
            and timedelta(0) <= now - then < _TRUST
            and _period(now) == _period(then)
        )


def _period(moment: datetime) -> int:
    return int(moment.timestamp() // _PERIODS_BEGIN.total_seconds())
