"""What becomes of what a plan takes away or brings back: detach, keep, archive, drop, a line each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Final, Literal

from pgalmanac.actions import GOING, Action, ActionKind, Status
from pgalmanac.plan import Plan
from pgalmanac.results import Outcome
from pgalmanac_tui.format import Line, amount, clean, dated, size, wrap
from pgalmanac_tui.glyphs import Glyphs

if TYPE_CHECKING:  # it brings the driver, and the first picture must not wait for that
    from pgalmanac.mend import Mend

__all__ = ["changed", "fates", "recoverable", "stake"]

_VERB: Final = 9
# Estimates move a little by themselves.
_CLEARLY: Final = 1.1


def fates(plan: Plan, cells: int, glyphs: Glyphs) -> tuple[Line, ...]:
    """The lines; none for a plan that only creates."""
    lines: list[Line] = []
    for verb, text in (*_trashed(plan, glyphs), *_dropped(plan, glyphs), *_attached(plan, glyphs), *_restored(plan)):
        first, *rest = wrap(clean(text), cells - _VERB - 5)
        lines.append(((f"    {verb:<{_VERB}}", "strong"), (first, "")))
        lines += [((" " * (_VERB + 4), ""), (more, "")) for more in rest]
    return tuple(lines)


def stake(plan: Plan, glyphs: Glyphs) -> str | None:
    """The rows and bytes that drops would take away, and whether they can be had back."""
    going = _of(plan, *GOING)
    if not going:
        return None
    trashed = _of(plan, ActionKind.TRASH)
    saved = _archived(plan)
    ends = [f"go to the trash, until {_until(trashed, plan.view.policy.timezone)}"] if trashed else []
    ends += ["are archived and dropped"] if saved else []
    ends += ["go for good"] if len(trashed) + len(saved) < len(going) else []
    return f"{_amount(going, glyphs)} {' or '.join(ends)}"


def changed(before: Plan, now: Plan, glyphs: Glyphs) -> str | None:
    """How what is taken away has become another, or clearly more, than *before*; None where it has not."""
    then, going = (_of(plan, *GOING, ActionKind.ARCHIVE) for plan in (before, now))
    same = {(a.kind, a.oid) for a in then} == {(a.kind, a.oid) for a in going}
    if same and not any(_more(_sum(then, of), _sum(going, of)) for of in ("rows", "bytes")):
        return None
    return f"It has changed while this stood open. Planned was: {_taken(before, glyphs)}; now: {_taken(now, glyphs)}."


def _sum(actions: Sequence[Action], of: Literal["rows", "bytes"]) -> int | None:
    """Of all of them, None where one is not known."""
    known: list[int | None] = [getattr(a, of) for a in actions if a.kind in GOING]
    return None if None in known else sum(n for n in known if n is not None)


def _more(before: int | None, now: int | None) -> bool:
    if before is None or now is None:
        return before is not now
    return now > before * _CLEARLY


def _taken(plan: Plan, glyphs: Glyphs) -> str:
    """What goes, and how much it is."""
    going = _of(plan, *GOING)
    return f"{_which(going)}, {stake(plan, glyphs)}" if going else "nothing goes"


def _of(plan: Plan, *kinds: ActionKind) -> list[Action]:
    return [a for a in plan.todo if a.kind in kinds]


def _archived(plan: Plan) -> list[Action]:
    """The drops that an archive goes before."""
    copied = {a.oid for a in _of(plan, ActionKind.ARCHIVE)}
    return [a for a in _of(plan, ActionKind.DROP) if a.oid in copied]


def _trashed(plan: Plan, glyphs: Glyphs) -> Iterator[tuple[str, str]]:
    actions = _of(plan, ActionKind.TRASH)
    if not actions:
        return
    policy = plan.view.policy
    yield "detach", f"{_which(actions)}: {_amount(actions, glyphs)}"
    yield "keep", f"until {_until(actions, policy.timezone)} in {policy.trash_schema}; undo: u"
    if policy.archive is not None:
        yield "archive", f"then to {policy.archive.url}"
        yield "drop", "then, once the archive is proved; u brings the rows back"
    else:
        yield "drop", "then, for good"


def _dropped(plan: Plan, glyphs: Glyphs) -> Iterator[tuple[str, str]]:
    saved = _archived(plan)
    lost = [a for a in _of(plan, ActionKind.DROP) if a not in saved]
    if saved:
        copies = [a for a in _of(plan, ActionKind.ARCHIVE) if a.url is not None]
        places = {a.url or "" for a in copies}
        place = places.pop() if len(places) == 1 else next(iter(places)).rpartition("/")[0]
        yield "detach", f"{_which(saved)}: {_amount(saved, glyphs)}"
        yield "archive", f"to {place}"
        yield "drop", "once the archive is proved; u brings the rows back"
    if lost:
        yield "drop", f"{_which(lost)}: {_amount(lost, glyphs)}, for good"


def _attached(plan: Plan, glyphs: Glyphs) -> Iterator[tuple[str, str]]:
    for action in _of(plan, ActionKind.ATTACH):
        yield "attach", f"{(action.target or action.partition).name}: {_amount([action], glyphs)}"
        if action.replaces is not None:
            yield "replace", f"{action.replaces.name.name}, which is empty"
        if action.mend is not None and _lacks(action.mend):
            yield "mend", "the columns, constraints and indexes that the table was given meanwhile"
        if action.pin is not None:
            yield "pin", f"or the next night would take it again: {action.pin}"


def _restored(plan: Plan) -> Iterator[tuple[str, str]]:
    for action in _of(plan, ActionKind.RESTORE):
        yield "restore", f"{(action.target or action.partition).name}: {action.rows or 0:,} rows"
        yield "from", f"{action.url}"
        if action.target is None and plan.view.policy.may_drop and plan.view.expired(action.bounds):
            yield "drop", "by the next maintenance: it is past retention; P pins it"


def _which(actions: Sequence[Action]) -> str:
    return actions[0].partition.name if len(actions) == 1 else f"{len(actions)} partitions"


def _amount(actions: Sequence[Action], glyphs: Glyphs) -> str:
    """Rows as the server estimates them, and bytes; at least so much where one is locked."""
    known = [a.rows for a in actions if a.rows is not None]
    rows = f"{amount(sum(known), glyphs, exact=False)} rows" if known else "an unknown number of rows"
    sizes = [a.bytes for a in actions if a.bytes is not None]
    text = f"{rows}, {size(sum(sizes), glyphs)}" if sizes else rows
    return f"at least {text}" if known and len(known) + len(sizes) < 2 * len(actions) else text


def _until(actions: Sequence[Action], zone: tzinfo) -> str:
    """Until when all of them can be had back, as people of the zone write it."""
    return dated(min(a.keep_until for a in actions if a.keep_until is not None), zone)


def _lacks(mend: Mend) -> bool:
    return bool(mend.columns or mend.not_null or mend.constraints or mend.indexes)


def recoverable(outcomes: Sequence[Outcome], zone: tzinfo) -> Iterator[str]:
    """What of the things done can be had back, and until when."""
    done = [o.action for o in outcomes if o.status is Status.DONE]
    if trashed := [a for a in done if a.kind is ActionKind.TRASH]:
        yield f"u brings back what is in the trash, until {_until(trashed, zone)}"
    if any(a.kind is ActionKind.ARCHIVE for a in done):
        yield "u brings back the rows that were archived"
