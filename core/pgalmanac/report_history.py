"""The run history -> text for people; as report_text has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pgalmanac.amounts import byte_size
from pgalmanac.log import shown
from pgalmanac.report_words import MISSING, is_counted, lasted, row_count, utc_second, wrapped

if TYPE_CHECKING:
    from pgalmanac.records import ActionRecord, RunRecord

__all__ = ["history_text"]


def history_text(runs: Sequence[RunRecord], *, with_actions: bool = False, verbose: bool = False) -> str:
    """The runs, newest first; *with_actions* adds what each did, *verbose* with its statements."""
    if not runs:
        return "no run is recorded"
    ids = max(3, *(len(str(run.id)) for run in runs))
    lines = [f"{'run':>{ids}}  {'started (UTC)':<19}  {'took':>9}  {'by':<9}  {'status':<7}  task"]
    for run in runs:
        took = MISSING if run.duration_ms is None else lasted(run.duration_ms)
        lines.append(
            f"{shown(str(run.id)):>{ids}}  {utc_second(run.started_at):<19}  {took:>9}  "
            f"{shown(run.triggered_by or MISSING):<9}  {shown(run.status):<7}  {shown(run.task_name)}"
        )
        indent = " " * (ids + 2)
        for text in (run.output, run.error):
            lines += [line for part in (text or "").splitlines() for line in wrapped(part, indent)]
        if with_actions:
            lines += [line for action in run.actions for line in _action_lines(action, indent, verbose)]
    return "\n".join(lines)


def _action_lines(action: ActionRecord, indent: str, verbose: bool) -> Iterator[str]:  # noqa: FBT001  # passed on
    took = MISSING if action.duration_ms is None else lasted(action.duration_ms)
    yield (
        f"{indent}{shown(action.status):<7}  {shown(action.action):<9}  {shown(action.partition):<39}  "
        f"{took:>8}  {shown(action.reason)}"
    )
    figures = [] if action.rows is None else [row_count(action.rows, exact=is_counted(action.action, action.status))]
    figures += [] if action.bytes is None else [byte_size(action.bytes)]
    figures += [f"{action.attempts} attempts"] if action.attempts > 1 else []
    if figures:
        yield f"{indent}         {', '.join(figures)}"
    if action.error:
        yield from wrapped(action.error, indent + "         ")
    if verbose and action.sql:
        yield f"{indent}    {shown(' '.join(action.sql.splitlines()))};"
