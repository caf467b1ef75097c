"""A change under way: what the interface reads of it, and how it is stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgalmanac.results import Outcome, RunReport
    from pgalmanac_tui.snapshot import Proposal

__all__ = ["Change"]


@dataclass(slots=True)
class Change:
    """Filled from the engine's thread, one outcome at a time, and read by the interface a few times a second."""

    proposal: Proposal
    outcomes: list[Outcome] = field(default_factory=list["Outcome"])
    stopping: bool = False
    report: RunReport | None = None
    error: str | None = None
    # When the last action had ended, or the first one began, by this process's clock.
    since: float = field(default_factory=monotonic)

    @property
    def ended(self) -> bool:
        """Whether there is an answer."""
        return self.report is not None or self.error is not None

    def saw(self, outcome: Outcome) -> bool:
        """Take an outcome; whether to go on with the next action."""
        self.outcomes.append(outcome)
        self.since = monotonic()
        return not self.stopping
