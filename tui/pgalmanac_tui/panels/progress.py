"""What stands above and below a plan while it is read and carried out: whose it is, how old, how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pgalmanac_tui.format import Line, clean, duration, fit, width, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgalmanac.results import Blocker
    from pgalmanac_tui.glyphs import Glyphs
    from pgalmanac_tui.snapshot import Proposal

__all__ = ["STALE_SECONDS", "age", "bar", "heading", "to_end", "waiting"]

# A plan that is older says so; one so old that it is news of another hour is made anew before it is done.
_AGED_SECONDS: Final = 10.0
STALE_SECONDS: Final = 60.0
_BAR: Final = 24
_STOPPING: Final = "stopping after this action; "


def heading(title: str, found: Proposal | None, label: str | None, cells: int, glyphs: Glyphs) -> tuple[Line, ...]:
    """What is asked for, and on which server, as far as that is known."""
    where: Line = ()
    if found is not None:
        where = (
            (f" {clean(label)} " if label else "", "label"),
            (f" {clean(found.server.database)}@{found.server.address or 'local'}", "accent"),
            (f" as {clean(found.server.role)}", ""),
        )
    return ((fit(f" {clean(title)}", cells - 1, glyphs.cut).rstrip(), "strong"),), ((" ", ""), *where)


def age(seconds: float, *, applies: bool) -> Line:
    """How old a plan is, once that is worth a word; where it *applies* something, also what that means."""
    if seconds < _AGED_SECONDS:
        return ()
    stale = applies and seconds >= STALE_SECONDS
    word = ": looked at anew before it is done" if stale else ""
    return ((f"   planned {duration(seconds)} ago{word}", "warning" if stale else "dim"),)


def bar(done: int, total: int, cells: int, glyphs: Glyphs, *, stopping: bool) -> Line:
    """How far it has come, and what escape does now: in a narrow terminal that is said before the bar gets any room."""
    count, word = f"{done} of {total}  ", "esc again breaks it off" if stopping else "esc stops between actions"
    left = cells - width(f"  {count}{word}")
    if stopping and left >= width(_STOPPING):
        word, left = _STOPPING + word, left - width(_STOPPING)
    long = min(max(left, 0), _BAR)
    full = min(done * long // total, long)
    text = ("#" if glyphs.ascii else "━") * full + glyphs.info * (long - full)
    return (f" {text} ", "accent"), (count, "strong"), (word, "dim")


def waiting(held: Sequence[Blocker] | None, cells: int, glyphs: Glyphs) -> tuple[Line, ...]:
    """Who is in the way of the action under way, and what would end them; nothing when that was not asked."""
    if held is None:
        return ()
    if not held:
        return ((f"  {glyphs.ok} nobody holds a lock in its way any more", "ok"),), ()
    lines: list[Line] = [((f" {glyphs.warning} holding a lock that this needs, now:", "warning"),)]
    for who in held:
        lines += [(("     " + text, "warning"),) for text in wrap(clean(who.told), cells - 6)]
    if text := to_end(held):
        lines.append((("   y", "key"), (" copies what ends it, for you to run", "")))
        lines += [(("     " + part, "sql"),) for part in wrap(text, cells - 6)]
    return (*lines, ())


def to_end(held: Sequence[Blocker]) -> str:
    """What ends the sessions of these; a prepared transaction has none, and its line says what ends it."""
    return " ".join(f"SELECT pg_terminate_backend({who.pid});" for who in held if who.pid is not None)
