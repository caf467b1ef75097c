"""What the lists below the tabs hold, and how the details and the legend are made. Imported with the first look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgalmanac_tui.columns.plan import ActionRow, action_rows, plan
from pgalmanac_tui.columns.runs import RunRow, run_rows, runs
from pgalmanac_tui.columns.trash import TrashRow, trash, trash_rows
from pgalmanac_tui.format import clean
from pgalmanac_tui.glyphs import Mark
from pgalmanac_tui.panels.details import details
from pgalmanac_tui.panels.findings import findings, lost
from pgalmanac_tui.panels.growth import growth
from pgalmanac_tui.panels.legend import legend
from pgalmanac_tui.widgets.listing import Listing
from pgalmanac_tui.widgets.pager import Pager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgalmanac_tui.almanac import Almanac
    from pgalmanac_tui.format import Line
    from pgalmanac_tui.glyphs import Glyphs
    from pgalmanac_tui.model import Model

__all__ = ["details", "empty", "legend_of", "made", "rows", "source", "text"]


def made(name: str, glyphs: Glyphs) -> Listing[Any] | Pager:
    """The widget of a list, empty."""
    match name:
        case "runs":
            return Listing[RunRow](runs(glyphs), glyphs, empty="", id=name)
        case "plan":
            return Listing[ActionRow](plan(glyphs), glyphs, empty="", id=name)
        case "trash":
            return Listing[TrashRow](trash(glyphs), glyphs, empty="", id=name)
        case _:
            return Pager(id=name)


def empty(name: str, model: Model) -> str:
    """What stands in a list without rows. Without a table there is nothing to be said of one."""
    if model.table is None:
        return ""
    if name == "runs" and (why := model.table.past.unavailable) is not None:
        return f"the run history cannot be read: {clean(why)}"
    return {"runs": "no run is recorded", "plan": "nothing to do"}.get(name, "the trash is empty")


def source(name: str, model: Model) -> object:
    """What the rows of a list are made from: they are the same as long as this is."""
    table = model.table
    if table is None or model.now is None:
        return None
    match name:
        case "plan":
            return table.plan.actions
        case "trash":
            return table.plan.table.orphans
        case _:
            return run_rows(table.runs, model.now), table.past.unavailable


def rows(name: str, model: Model) -> Sequence[Any]:
    """The rows of a list; none without a table."""
    table = model.table
    if table is None or model.now is None:
        return ()
    match name:
        case "plan":
            return action_rows(table.plan)
        case "trash":
            return trash_rows(table.plan)
        case _:
            return run_rows(table.runs, model.now)


def text(name: str, model: Model, cells: int, glyphs: Glyphs) -> tuple[Line, ...]:
    """The lines of a list that is a text; none without a table."""
    if name == "growth":
        return () if model.almanac is None else growth(model.almanac, cells, glyphs)
    why: tuple[Line, ...] = ()
    if model.problem is not None:
        why = (*(((" ", ""), *line) for line in lost(model.problem, cells - 2, glyphs)), ())
    # Without a table, or a look at it, "nothing to report" would be a lie.
    if model.table is None or (why and not model.table.findings):
        return why
    return (*why, *findings(model.table.findings, cells, glyphs, may=model.why_not() is None))


def legend_of(almanac: Almanac, cells: int, glyphs: Glyphs) -> Line:
    """The glyphs of the states that the days from the retention edge's to the premake edge's show."""
    marks = {e.mark for e in almanac.entries if e.bounds is not None}
    return legend(marks if len(marks) > 1 else marks | {Mark.PREMADE}, cells, glyphs)
