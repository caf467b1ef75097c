"""The line of tabs: what each list holds, and beside them what is going on. Pure."""

from __future__ import annotations

from datetime import date
from typing import Final

from pgalmanac_tui.format import Line, day_title
from pgalmanac_tui.model import Model
from pgalmanac_tui.widgets.keybar import Tab

__all__ = ["TABS", "note", "tabs"]

TABS: Final = ("partitions", "findings", "runs", "plan", "trash", "growth")


def tabs(model: Model, sifted: int | None) -> tuple[Tab, ...]:
    """A tab for each list; *sifted* is how many rows of the partitions' are left by a filter, None without one.

    What is counted without it is what the header counts: missing days and the default partition are rows beside that.
    Runs that nobody may read are not said to be none.
    """
    counts = dict.fromkeys(TABS, "")
    style = ""
    if (table := model.table) is not None:
        counts |= {
            "partitions": f"{len(table.plan.table.partitions):,}" if sifted is None else f"{sifted:,} shown",
            "findings": str(len(table.findings)),
            "runs": str(len(table.runs)) if table.past.unavailable is None else "",
            "plan": str(len(table.plan.todo)),
            "trash": str(len(table.plan.table.orphans)),
        }
        style = "" if table.level is None else str(table.level)
    return tuple(
        Tab(
            id=name,
            key=str(i),
            word=name.capitalize(),
            number=counts[name],
            style=style if name == "findings" else "",
        )
        for i, name in enumerate(TABS, start=1)
    )


def note(model: Model, only: date | None) -> Line:
    """The count that is under way, else the day that the list was narrowed to; and what escape does about it."""
    if model.counting is not None:
        done = f" counting {model.counting.done}/{model.counting.total} "
        return (done, "accent"), ("esc", "key"), (" stops ", "dim")
    if only is not None:
        return (f" {day_title(only)} ", "accent"), ("esc", "key"), (" all ", "dim")
    return ()
