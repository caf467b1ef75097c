"""One recorded run: how it went, and each of its actions with statements, attempts, blockers and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pgalmanac_tui.format import Line, clean, size, took_ms, wrap

if TYPE_CHECKING:
    from pgalmanac_tui.glyphs import Glyphs
    from pgalmanac_tui.snapshot import ActionRecord, RunRecord

__all__ = ["run_lines", "run_sign"]


def run_sign(status: str, glyphs: Glyphs) -> tuple[str, str]:
    """Glyph and style of a run's or a recorded action's status."""
    match status:
        case "success" | "done":
            return glyphs.ok, "ok"
        case "running":
            return glyphs.dot, "accent"
        case "error" | "failed":
            return glyphs.critical, "critical"
        case "refused":
            return glyphs.warning, "warning"
        case _:
            return glyphs.info, "dim"


def run_lines(run: RunRecord, cells: int, glyphs: Glyphs) -> tuple[Line, ...]:
    """The whole run."""
    return tuple(_lines(run, cells, glyphs))


def _lines(run: RunRecord, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    sign, style = run_sign(run.status, glyphs)
    took = "" if run.duration_ms is None else f" in {run.duration_ms / 1000:.1f} s"
    yield ((f"  {sign} {run.status}{took}", style), (f"  {clean(run.task_name)}", "dim"))
    ended = "" if run.completed_at is None else f" to {run.completed_at:%H:%M:%S}"
    yield ((f"    {run.started_at:%Y-%m-%d %H:%M:%S}{ended} UTC, {clean(run.triggered_by or 'unknown')}", ""),)
    for text, style in ((run.output, ""), (run.error, "critical")):
        for part in wrap(clean(text), cells - 6) if text else ():
            yield (("    " + part, style),)
    yield ()
    for action in run.actions:
        yield from _action(action, cells, glyphs)
    if not run.actions:
        yield (("    no actions are recorded for it", "dim"),)


def _action(action: ActionRecord, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    sign, style = run_sign(action.status, glyphs)
    took = "" if action.duration_ms is None else f"  {took_ms(action.duration_ms)}"
    tries = f", {action.attempts} attempts" if action.attempts > 1 else ""
    stake = "" if action.rows is None else f"  {action.rows:,} rows"
    stake += "" if action.bytes is None else f", {size(action.bytes, glyphs)}"
    yield (
        (f"  {sign} {clean(action.action).replace('_', ' ')} ", style),
        (clean(action.partition), "strong"),
        (f"  {action.reason}  {action.status}", "dim"),
        (took + tries + stake, "dim"),
    )
    if action.error:
        code = f" ({action.sqlstate})" if action.sqlstate else ""
        for text in wrap(clean(action.error) + code, cells - 8):
            yield (("      " + text, style),)
    for statement in (action.sql or "").split(";\n"):
        for text in wrap(clean(statement), cells - 8) if statement else ():
            yield (("      " + text, "sql"),)
