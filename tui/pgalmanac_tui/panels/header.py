"""The three lines at the top: which server, which table, and the one sentence that matters most."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from pgalmanac.errors import ConnectError
from pgalmanac_tui.format import Line, Span, ago, clean, counted, duration, fit, in_time, rows_of, size, width
from pgalmanac_tui.glyphs import Glyphs
from pgalmanac_tui.model import Link, Model

if TYPE_CHECKING:
    from pgalmanac.findings import Level
    from pgalmanac_tui.snapshot import Snapshot, TableState

__all__ = ["header", "level_span", "style_of"]

# Of a piece of text that is cut off less than this says nothing.
_WORTH: Final = 8
# From so many cells on a line has room for more than a sentence.
_USUAL: Final = 60


def style_of(level: Level | None) -> str:
    """The name of a level's style."""
    return "ok" if level is None else str(level)


def level_span(level: Level | None, glyphs: Glyphs) -> Span:
    """A level as glyph, word and colour."""
    word = "OK" if level is None else level.upper()
    return f"{glyphs.level(level)} {word}", style_of(level)


def spread(left: Line, right: Line, cells: int, glyphs: Glyphs) -> Line:
    """One line with something at each end; the right end is kept whole, of the left what says something."""
    space = cells - sum(width(text) for text, _ in right) - 1
    spans: list[Span] = []
    for text, style in left:
        if space <= 0 or (spans and width(text) > space < _WORTH):
            break
        shown = text if width(text) <= space else fit(text, space, glyphs.cut)
        spans.append((shown, style))
        space -= width(shown)
    return (*spans, (" " * (max(space, 0) + 1), ""), *right)


def header(model: Model, cells: int, height: int, glyphs: Glyphs) -> tuple[Line, ...]:
    """The header; in a place of one line only the most important of the three, after whose it is."""
    if height == 1:
        return (_headline(model, cells, glyphs, alone=True),)
    return (_server(model, cells, glyphs), _table(model, cells, glyphs), _headline(model, cells, glyphs))[:height]


def _server(model: Model, cells: int, glyphs: Glyphs) -> Line:
    left: list[Span] = [(" pgalmanac", "strong"), (" ", "")]
    if model.label:
        left += [(f" {clean(model.label)} ", "label")]
    if model.snapshot is None:
        lost = model.link is Link.LOST
        link: Span = (f"{glyphs.critical} not connected", "critical") if lost else ("connecting", "dim")
        return spread(tuple(left), (link, (" ", "")) if lost else (link,), cells, glyphs)
    server = model.snapshot.server
    left.append((f" {clean(server.database)}@{server.address or 'local'}", ""))
    # What keeps one from changing anything stands where it is not cut off.
    left += [("  read-only", "warning")] * model.read_only
    left += [("  standby", "warning")] * server.standby
    left.append((f"  as {clean(server.role)}", "dim"))
    left += [("  primary", "dim")] * (not server.standby)
    left.append((f"  {server.version.split()[0]}", "dim"))
    table = model.table
    health = level_span(table.level, glyphs) if table is not None else (f"{glyphs.critical} NO TABLE", "critical")
    # What was true before the server fell silent is not shown as if it were true now.
    right = ((f"was {health[0]}", "dim") if model.link is Link.LOST or model.waiting is not None else health,)
    return spread(tuple(left), (*right, (" ", "")), cells, glyphs)


def _table(model: Model, cells: int, glyphs: Glyphs) -> Line:
    table, snapshot, now = model.table, model.snapshot, model.now
    others = _others(model, glyphs)
    if table is None or snapshot is None or now is None:
        return others
    several = f" {glyphs.down}" if len(snapshot.tables) > 1 else ""
    counts = table.counts.values()
    total = sum(c.bytes or 0 for c in counts)
    name = f" {clean(str(table.name))}{several}"
    left: Line = (
        (name, "accent"),
        (f"  {table.view.interval}", "dim"),
        (f"  {counted(len(table.view.table.partitions), 'partition')}", ""),
        (f"  {rows_of(counts, glyphs, short=True)} rows", ""),
        (f"  {size(total, glyphs)}", ""),
    )
    runs = _runs(table, snapshot, now, glyphs)
    while others and runs and width(name) + sum(width(text) for text, _ in (*others, *runs)) + 2 > cells:
        runs = runs[:-1]
    return spread(left, (*others, ("  " if others and runs else "", ""), *runs, (" ", "")), cells, glyphs)


def _others(model: Model, glyphs: Glyphs, *, short: bool = False) -> Line:
    """That tables are critical which are not in view, and the key that shows which."""
    if not (critical := model.critical) or model.snapshot is None or model.link is Link.LOST:
        return ()
    ratio = f"{critical} of {len(model.snapshot.tables)}"
    if short:
        return (f" {glyphs.critical} {ratio}", "critical"), (" o", "key")
    return (f" {ratio} tables {glyphs.critical} critical", "critical"), (": ", ""), ("o", "key")


def _runs(table: TableState, snapshot: Snapshot, now: datetime, glyphs: Glyphs) -> Line:
    """How the last maintenance ended, and when the next one is due. A pin or a drop by hand is another run."""
    spans: list[Span] = []
    maintained = (r for r in table.runs if r.details.get("command", "maintain") == "maintain")
    last = next((r for r in maintained if r.status != "running"), None)
    if last is not None:
        good = last.status == "success"
        glyph, style = (glyphs.ok, "ok") if good else (glyphs.critical, "critical")
        word = "ran" if good else "failed"
        spans += [(f"{word} {ago(last.completed_at or last.started_at, now)} ", ""), (glyph, style)]
    else:
        # Where nobody may read the history it may have run every night.
        spans.append(("never maintained" if table.past.unavailable is None else "runs unknown", "warning"))
    if snapshot.schedule is not None:
        late = snapshot.schedule.next_at < now
        spans.append((f"  next {in_time(snapshot.schedule.next_at, now)}", "warning" if late else "dim"))
    return tuple(spans)


def _headline(model: Model, cells: int, glyphs: Glyphs, *, alone: bool = False) -> Line:
    """What matters most; *alone*, after where that is, and with other tables that are critical."""
    glyph, text, style, key = _matter(model, glyphs)
    others = _others(model, glyphs, short=True) if alone else ()
    # The key bar says what its keys do; no other line says this.
    end = others if others and cells < _USUAL else (*key, *others)
    begin = _where(model, cells, glyphs) if alone else ()
    return spread((*begin, (f" {glyph} {clean(text)}", style)), (*end, (" ", "")) if end else (), cells, glyphs)


def _where(model: Model, cells: int, glyphs: Glyphs) -> Line:
    """The label, else database and server, else as much of the database as leaves room for a sentence."""
    room = cells // (4 if cells >= _USUAL else 5)
    if model.label:
        return (" ", ""), (f" {_short(clean(model.label), room, glyphs)} ", "label")
    if model.snapshot is None:
        return ()
    server = model.snapshot.server
    whole = f"{clean(server.database)}@{server.address or 'local'}"
    return ((f" {whole if width(whole) <= room else _short(clean(server.database), room, glyphs)}", ""),)


def _short(text: str, cells: int, glyphs: Glyphs) -> str:
    return text if width(text) <= cells else fit(text, cells, glyphs.cut)


def _matter(model: Model, glyphs: Glyphs) -> tuple[str, str, str, Line]:
    """What matters most: its glyph, the sentence, its style, and the key that helps."""
    snapshot, table = model.snapshot, model.table
    matter: tuple[str, str, str, Line]
    old = f"what you see is {_seconds(max(model.age, 0.0))} old"
    late = None if model.waiting is None else f"no answer for {_seconds(model.waiting)}"
    if model.link is Link.LOST:
        again = "" if model.retry_in is None else f", trying again in {model.retry_in:.0f} s"
        again = again if late is None else f", {late}"
        what = "no connection" if isinstance(model.problem, ConnectError) else "looking failed"
        why = "" if model.problem is None else model.problem.message
        text = f"{what}{again}; {old if snapshot else 'nothing seen yet'}: {why}"
        matter = (glyphs.critical, text, "critical", (("2", "key"), (" why", "")))
    elif snapshot is None or model.now is None:
        text = "connecting to the server"
        matter = (" ", text if late is None else f"{text}: {late}", "dim" if late is None else "warning", ())
    elif late is not None:
        matter = (glyphs.warning, f"{late}; {old}", "warning", ())
    elif table is None:
        matter = (glyphs.critical, snapshot.trouble or "", "critical", ())
    elif table.worker is not None:
        matter = (glyphs.dot, _at_work(table, model.now), "accent", ())
    elif model.link is Link.PAUSED:
        matter = (glyphs.warning, f"paused; {old}", "warning", (("p", "key"), (" goes on", "")))
    else:
        from pgalmanac_tui.panels.health import health

        matter = health(table, glyphs, may=model.why_not() is None)
    return matter


def _seconds(seconds: float) -> str:
    """A length of time that goes on: whole seconds."""
    return f"{seconds:.0f} s" if seconds < 10 else duration(seconds)  # noqa: PLR2004  # from where on duration has none either


def _at_work(table: TableState, now: datetime) -> str:
    run = table.active
    if run is None:
        return f"a run is at work on {table.name} (process {table.worker})"
    done = len(run.actions)
    since = duration(max((now - run.started_at).total_seconds(), 0.0))
    last = f", last {run.actions[-1].action} {run.actions[-1].partition}" if done else ""
    what = run.details.get("command", "run")
    return f"{what} at work for {since} ({run.triggered_by}, process {table.worker}): {done} done{last}"
