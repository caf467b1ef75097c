"""The list of what the next maintenance would do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pgalmanac.actions import Action
from pgalmanac.bounds import EARLIEST
from pgalmanac.plan import Plan
from pgalmanac_tui.format import Span, amount, clean, size
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.panels.proposal import ACTION_WORDS, action_sign
from pgalmanac_tui.widgets.listing import Column

__all__ = ["ActionRow", "action_rows", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """An action of the next maintenance, with its period as the command line writes it, and until when it is undone."""

    key: str
    action: Action
    period: str
    until: str


def action_rows(found: Plan) -> tuple[ActionRow, ...]:
    """The actions in the order in which they would be tried."""
    zone = found.view.policy.timezone
    return tuple(
        ActionRow(
            key=f"{a.kind} {a.partition}",
            action=a,
            period=found.view.label(a.bounds),
            until="" if a.keep_until is None else f", kept until {a.keep_until.astimezone(zone):%Y-%m-%d}",
        )
        for a in found.actions
    )


def plan(glyphs: Glyphs) -> tuple[Column[ActionRow], ...]:
    """What, which partition, why, and what is at stake or in the way."""

    def what(row: ActionRow) -> Span:
        sign, style = action_sign(row.action.status, glyphs)
        return f"{sign} {ACTION_WORDS[row.action.kind]}", style

    def told(row: ActionRow) -> Span:
        action = row.action
        if action.note:
            return f"{action.status}: {clean(action.note)}", "warning"
        if action.bytes is not None or action.rows is not None:
            rows = amount(action.rows, glyphs, exact=False)
            text = f"{rows} rows" + ("" if action.bytes is None else f", {size(action.bytes, glyphs)}")
            return text + row.until, ""
        return "", ""

    return (
        Column(title="action", cells=12, show=what, order=lambda r: r.action.kind),
        Column(
            title="period", cells=13, show=lambda r: (r.period, ""), order=lambda r: r.action.bounds.lower or EARLIEST
        ),
        Column(
            title="reason", cells=10, least=60, show=lambda r: (r.action.reason, "dim"), order=lambda r: r.action.reason
        ),
        Column(
            title="partition",
            cells=0,
            ends=True,
            show=lambda r: (clean(r.action.partition.name), ""),
            order=lambda r: r.action.partition,
        ),
        Column(title="at stake", cells=20, more=30, least=70, show=told, order=lambda r: r.action.bytes or 0),
    )
