"""A plan before it is applied: what, where, with which statements and locks, at what stake; and how it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Final

from pgalmanac.actions import GOING, Action, ActionKind, Status
from pgalmanac.plan import Plan
from pgalmanac.results import Outcome, RunReport
from pgalmanac_tui.format import Line, amount, clean, command_lines, size, took_ms, width, wrap
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.panels.fate import fates, recoverable
from pgalmanac_tui.snapshot import Proposal, Step

__all__ = [
    "ACTION_WORDS",
    "action_sign",
    "all_the_same",
    "ended",
    "name_to_type",
    "outcome_line",
    "problem",
    "proposal",
    "report",
    "summary",
    "under_way",
]

# What was counted, and not estimated.
_EXACT: Final = {ActionKind.MOVE_ROWS, ActionKind.RESTORE}
_TROUBLE: Final = {Status.FAILED, Status.REFUSED}
# Of more actions than this there is a list before the statements of each.
_FEW: Final = 2
ACTION_WORDS: Final[Mapping[ActionKind, str]] = {
    **{kind: str(kind) for kind in ActionKind},
    ActionKind.FINALIZE: "finish",
    ActionKind.MOVE_ROWS: "create, move rows",
    ActionKind.ATTACH: "bring back",
}


def action_sign(status: Status, glyphs: Glyphs) -> tuple[str, str]:
    """Glyph and style of what becomes, or became, of an action."""
    match status:
        case Status.PLANNED:
            return glyphs.dot, "accent"
        case Status.DONE:
            return glyphs.ok, "ok"
        case Status.SKIPPED:
            return glyphs.info, "dim"
        case Status.REFUSED:
            return glyphs.warning, "warning"
        case Status.FAILED:
            return glyphs.critical, "critical"


def drops(plan: Plan) -> tuple[Action, ...]:
    """What would be taken away, for good or into the trash."""
    return tuple(a for a in plan.todo if a.kind in GOING)


def name_to_type(plan: Plan) -> str | None:
    """What has to be typed before anything is dropped: the partition's name, of several the table's."""
    found = drops(plan)
    if not found:
        return None
    return found[0].partition.name if len(found) == 1 else plan.table.name.name


def summary(plan: Plan) -> str:
    """How many actions of each kind, in words."""
    words: list[str] = []
    for kind, word in (
        (ActionKind.FINALIZE, "to finish"),
        (ActionKind.CREATE, "to create"),
        (ActionKind.ARCHIVE, "to archive"),
        (ActionKind.DROP, "to drop"),
        (ActionKind.TRASH, "to the trash"),
        (ActionKind.ATTACH, "to bring back"),
        (ActionKind.RESTORE, "to restore"),
        (ActionKind.PIN, "to pin"),
        (ActionKind.UNPIN, "to unpin"),
    ):
        kinds = {kind, ActionKind.MOVE_ROWS} if kind is ActionKind.CREATE else {kind}
        if count := sum(1 for a in plan.todo if a.kind in kinds):
            words.append(f"{count} {word}")
    others = [(s, sum(1 for a in plan.actions if a.status is s)) for s in (Status.SKIPPED, Status.REFUSED)]
    words += [f"{count} {status}" for status, count in others if count]
    return ", ".join(words) or "nothing to do"


def proposal(
    found: Proposal, invocation: Sequence[str], cells: int, glyphs: Glyphs, *, anew: str | None = None
) -> tuple[Line, ...]:
    """Everything there is to read before agreeing; *invocation* are the words that say on the command line where.

    *anew* says why it is to be read once more.
    """
    why = () if anew is None else (*_signed(f" {glyphs.warning} ", clean(anew), "warning", cells), ())
    return (*why, *_proposal(found, invocation, cells, glyphs))


def _proposal(found: Proposal, invocation: Sequence[str], cells: int, glyphs: Glyphs) -> Iterator[Line]:  # noqa: C901  # one part of the text after the other
    plan = found.plan
    if found.blockers:
        yield ((f" {glyphs.warning} holding a lock that this needs, when it was planned:", "warning"),)
        for who in found.blockers:
            for text in wrap(clean(who), cells - 6):
                yield (("     " + text, "warning"),)
        yield ()
    yield from _refused(plan, cells, glyphs)
    if becomes := fates(plan, cells, glyphs):
        yield (("  what becomes of it", "dim"),)
        yield from becomes
        yield ()
    yield (("  the same on the command line", "dim"),)
    for text in command_lines(invocation, plan.table.name, found.wish, cells - 6):
        yield (("    " + text, "accent"),)
    yield ()
    steps: Mapping[Action, Step] = {s.action: s for s in found.steps}
    # What will be done stands before what will not: of an hourly table there may be hundreds of those.
    actions = sorted(plan.actions, key=lambda a: a.status is not Status.PLANNED)
    if len(actions) > _FEW:
        yield from (_action(action, glyphs) for action in actions)
        yield ()
        yield (("  the statements", "dim"),)
    for action in actions:
        yield _action(action, glyphs)
        if action.note:
            for text in wrap(clean(action.note), cells - 8):
                yield (("      " + text, "warning"),)
        if (step := steps.get(action)) is not None:
            yield from _statements(step, cells)
    yield from _nothing(found, cells)


def _nothing(found: Proposal, cells: int) -> Iterator[Line]:
    """That nothing is to be done, and what it would be good for all the same."""
    why = "" if found.plan.actions else "Nothing to do: everything this would make is there already."
    for text, style in ((why, "ok"), (all_the_same(found) or "", "")):
        for part in wrap(text, cells - 3) if text else ():
            yield (("  " + part, style),)


def all_the_same(found: Proposal) -> str | None:
    """What it is still good for when there is nothing to do, None when it is for nothing, or would be refused."""
    if found.plan.todo or any(a.status is Status.REFUSED for a in found.plan.actions):
        return None
    return {
        "maintain": "Applying it all the same records a run, as the timer does.",
        "fix": "Applying it all the same proves that an insert for now finds its partition.",
    }.get(found.wish.command)


def _refused(plan: Plan, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    """Why something is refused, each reason once: with the actions themselves it would stand far below."""
    if len(plan.actions) <= _FEW:
        return
    notes = Counter(a.note for a in plan.actions if a.status is Status.REFUSED and a.note)
    for note, count in notes.items():
        yield from _signed(f" {glyphs.warning} ", f"{count} refused: {clean(note)}", "warning", cells)
        yield ()


def _signed(sign: str, text: str, style: str, cells: int) -> Iterator[Line]:
    """A text behind its sign, whole in its width."""
    for at, part in enumerate(wrap(text, cells - len(sign) - 1)):
        yield ((" " * len(sign) if at else sign, style), (part, style))


def problem(message: str, hint: str | None, cells: int, glyphs: Glyphs) -> tuple[Line, ...]:
    """Why it cannot be done, or was not, and what helps."""
    lines: list[Line] = [(), *_signed(f"  {glyphs.critical} ", clean(message), "critical", cells)]
    if hint:
        lines += _signed("    ", clean(hint), "", cells)
    return tuple(lines)


def _action(action: Action, glyphs: Glyphs) -> Line:
    sign, style = action_sign(action.status, glyphs)
    word = ACTION_WORDS[action.kind]
    status = "" if action.status is Status.PLANNED else f"  {action.status}"
    told = _figures(action.kind, action.rows, action.bytes, glyphs)
    return (
        (f"  {sign} {word} ", style),
        (clean((action.target or action.partition).name), "strong"),
        (f"  {action.reason}", "dim"),
        (told, "warning" if action.kind in GOING else ""),
        (status, style),
    )


def _figures(kind: ActionKind, rows: int | None, bytes_: int | None, glyphs: Glyphs) -> str:
    """How many rows and bytes, as far as they are known."""
    known = [] if rows is None else [f"{amount(rows, glyphs, exact=kind in _EXACT)} rows"]
    known += [] if bytes_ is None else [size(bytes_, glyphs)]
    return "  " + ", ".join(known) if known else ""


def _statements(step: Step, cells: int) -> Iterator[Line]:
    for text, lock in step.statements:
        for part in wrap(clean(text), cells - 8):
            yield (("      " + part, "sql"),)
        for part in wrap(f"lock: {clean(lock)}", cells - 12):
            yield (("        " + part, "dim"),)


def under_way(plan: Plan, outcomes: Sequence[Outcome]) -> Action | None:
    """Whose turn it is after these outcomes; None when they are not those of the plan, which was made anew then."""
    done = [(o.action.oid, o.action.bounds) for o in outcomes]
    if len(done) >= len(plan.actions) or done != [(a.oid, a.bounds) for a in plan.actions[: len(done)]]:
        return None
    return plan.actions[len(done)]


def outcome_line(outcome: Outcome, glyphs: Glyphs) -> Line:
    """One action that has ended."""
    sign, style = action_sign(outcome.status, glyphs)
    took = "" if outcome.duration_ms is None else f"  {took_ms(outcome.duration_ms)}"
    tries = f", {outcome.attempts} attempts" if outcome.attempts > 1 else ""
    return (
        (f"  {sign} {ACTION_WORDS[outcome.action.kind]} ", style),
        (clean(str(outcome.action.partition)), ""),
        (f"  {outcome.status}", style),
        (_figures(outcome.action.kind, outcome.rows, outcome.bytes, glyphs), ""),
        (took + tries, "dim"),
    )


def ended(outcomes: Sequence[Outcome], cells: int, glyphs: Glyphs) -> Iterator[Line]:
    """Each action that has ended, with its error; first of all those that somebody has to look at."""
    for outcome in sorted(outcomes, key=lambda o: o.status not in _TROUBLE):
        line = outcome_line(outcome, glyphs)
        whole = sum(width(text) for text, _ in line) <= cells
        yield from (line,) if whole else (line[:-2], (("    ", ""), *line[-2:]))
        for text in wrap(clean(outcome.error), cells - 8) if outcome.error else ():
            yield (("      " + text, "warning"),)


def report(done: RunReport, outcomes: Sequence[Outcome], cells: int, glyphs: Glyphs) -> tuple[Line, ...]:
    """How it ended: the sentence first, then each action, then what is left to be said."""
    return tuple(_report(done, outcomes, cells, glyphs))


def _report(done: RunReport, outcomes: Sequence[Outcome], cells: int, glyphs: Glyphs) -> Iterator[Line]:
    for table in done.tables:
        bad = table.failed
        sign, style = (glyphs.critical, "critical") if bad else (glyphs.ok, "ok")
        words = [f"{n} {word}" for n, word in ((table.created, "created"), (table.dropped, "dropped")) if n]
        words += [f"{table.moved_rows:,} rows moved"] if table.moved_rows else []
        words += [f"{table.trashed} kept in the trash"] if table.trashed else []
        words += [f"{table.attached} brought back"] if table.attached else []
        words += [f"{n} {s}" for s in (Status.SKIPPED, Status.REFUSED, Status.FAILED) if (n := table.count(s))]
        words += [f"{n} {word}" for word, n in table.kept.items() if n and word in {"pinned", "unpinned"}]
        words += [f"{n} restored"] if (n := table.count(Status.DONE, ActionKind.RESTORE)) else []
        run = "" if table.run_id is None else f"  run {table.run_id}"
        yield ((f"  {sign} {', '.join(words) or 'nothing to do'}", style), (run, "dim"))
        zone = UTC if table.view is None else table.view.policy.timezone
        for text in recoverable(table.outcomes, zone):
            yield (("    " + text, ""),)
        if table.error is not None:
            for text in wrap(clean(str(table.error)), cells - 6):
                yield (("    " + text, "critical"),)
        if table.proved is not None:
            yield ((f"  {glyphs.ok} proved: an insert for now finds {clean(table.proved)}", "ok"),)
    yield ()
    yield from ended(outcomes, cells, glyphs)
