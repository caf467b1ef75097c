"""The chosen day: what is wrong with it, which key helps, and what its partition is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pgalmanac.actions import Status
from pgalmanac.model import Orphan
from pgalmanac.plan import FIX_DAYS
from pgalmanac.view import View
from pgalmanac_tui.almanac import Almanac, Day
from pgalmanac_tui.entries import Entry
from pgalmanac_tui.format import Line, ago, amount, bars, clean, counted, day_title, fit, rows_of, size, width, wrap
from pgalmanac_tui.glyphs import QUIET, WORDS, Glyphs, Mark
from pgalmanac_tui.model import Model, profile_key
from pgalmanac_tui.panels.findings import lost

if TYPE_CHECKING:
    from pgalmanac.forecast import Measured
    from pgalmanac.model import Pin
    from pgalmanac_tui.snapshot import PartitionDetails, Profile

__all__ = ["details"]

_LEAST_MEASURES: Final = 3
# Of why something could not be counted, which may end in a GRANT to be copied.
_ERROR_LINES: Final = 5
# Of who holds a lock on it: which process, whose, idle or not and since when.
_HOLDER_LINES: Final = 4
_HOLES: Final = {Mark.GAP, Mark.WANTED, Mark.MISSING}
_BAD: Final = {Mark.MISSING: "critical", Mark.GAP: "warning", Mark.STRAY: "warning", Mark.PENDING: "warning"}


def details(
    model: Model, span: tuple[date, date], row: Entry | Orphan | None, room: tuple[int, int], glyphs: Glyphs
) -> tuple[Line, ...]:
    """The lines of the details: of the *row*, if a list has the keys, else of the days, which may be many.

    *room* is how many cells and lines there are.
    """
    almanac, (cells, height) = model.almanac, room
    if almanac is None:
        lines = _advice(model, cells, glyphs)
    elif isinstance(row, Orphan):
        lines = _orphan(almanac, row, cells, glyphs)
    elif row is not None:
        lines = _row(model, almanac, row, cells, glyphs)
    elif span[0] != span[1]:
        lines = _range(almanac, span, glyphs)
    else:
        lines = _day(model, almanac, span[0], cells, glyphs)
    return tuple(lines)[:height]


def _advice(model: Model, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    """Why nothing was seen yet; or what helps when there is no table."""
    if model.snapshot is None and model.problem is not None:
        yield from lost(model.problem, cells - 1, glyphs)
    if model.snapshot is None or model.snapshot.remedy is None:
        return
    for text in wrap(f"{model.snapshot.remedy}. pgalmanac init prints a configuration to start from.", cells - 1):
        yield ((clean(text), ""),)


def _range(almanac: Almanac, span: tuple[date, date], glyphs: Glyphs) -> Iterator[Line]:
    days = [almanac.day(date.fromordinal(n)) for n in range(span[0].toordinal(), span[1].toordinal() + 1)]
    entries = {e.key: e for d in days for e in d.entries}.values()
    there = [e for e in entries if e.partition is not None]
    known = [e.count for e in there if e.count is not None]
    yield ((f"{day_title(span[0])}", "strong"),)
    yield ((f"to {day_title(span[1])}", "strong"),)
    yield ((f"{counted(len(days), 'day')}, {counted(len(there), 'partition')}", ""),)
    if pinned := sum(1 for e in there if e.mark is Mark.PINNED):
        yield ((f"{glyphs.mark(Mark.PINNED)} {pinned} pinned", str(Mark.PINNED)),)
    if missing := sum(1 for e in entries if e.partition is None):
        yield ((f"{glyphs.critical} {missing} missing", "warning"),)
    exact = bool(known) and all(c.exact for c in known)
    yield ((f"{rows_of(known, glyphs, exact=exact)} rows", ""),)
    yield ((size(sum(c.bytes or 0 for c in known), glyphs), ""),)
    yield (("c", "key"), (" create  ", ""), ("D", "key"), (" drop", ""))
    yield (("esc", "key"), (" one day", ""))


def _title(almanac: Almanac, day: date) -> Line:
    return (day_title(day), "strong"), ("  today" if day == almanac.today else "", "accent")


def _day(model: Model, almanac: Almanac, day: date, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    found = almanac.day(day)
    yield _title(almanac, day)
    yield from _mark(almanac, found.mark, glyphs)
    if found.mark in _HOLES:
        yield from _dropped(almanac, day)
    match found.entries:
        case ():
            yield (("no partition", "dim"),)
            yield from _dropped(almanac, day)
            yield (("c", "key"), (" create it", ""))
        case (entry,):
            yield from _entry(model, entry, day, cells, glyphs)
        case _:
            yield from _several(found, almanac.today, glyphs)


def _dropped(almanac: Almanac, day: date) -> Iterator[Line]:
    """What may be had back of a day that has no partition: it comes with its rows, and a new one would be empty."""
    bounds = almanac.bounds(day)
    for orphan in almanac.view.table.orphans:
        if orphan.bounds.overlaps(bounds) and (orphan.taken_out or orphan.mark.keep_until is not None):
            yield from _back(almanac, orphan)
            return
    if almanac.view.policy.archive is not None and day < almanac.today:
        yield (("u", "key"), (" look in the archive", ""))


def _back(almanac: Almanac, orphan: Orphan) -> Iterator[Line]:
    """The key that brings it back, and until when or where it is kept."""
    until = orphan.mark.keep_until
    where = f"kept in {clean(orphan.name.schema)}"
    if until is not None and not orphan.taken_out:
        where = f"kept until {until.astimezone(almanac.view.policy.timezone):%Y-%m-%d}"
    yield (("u", "key"), (" bring it back", ""))
    yield ((f"  {where}", "dim"),)


def _orphan(almanac: Almanac, orphan: Orphan, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    """A row of the trash: nothing is created or dropped in its place."""
    if orphan.bounds.lower is not None:
        yield _title(almanac, almanac.view.calendar.day(orphan.bounds.lower))
    yield ((fit(clean(orphan.name.name), cells - 1, glyphs.cut, ends=True).rstrip(), "accent"),)
    yield (("dropped by hand" if orphan.mark.manual else "dropped, past retention", ""),)
    if orphan.pin is not None:
        yield from _pin(almanac.view, orphan.pin, cells)
    yield ((size(orphan.bytes, glyphs), ""),)
    yield from _back(almanac, orphan)


def _several(found: Day, today: date, glyphs: Glyphs) -> Iterator[Line]:
    """The partitions of one day."""
    there = sum(1 for e in found.entries if e.partition is not None)
    told = counted(there, "partition") if there else f"{len(found.entries)} missing"
    yield ((f"{told}  ", ""), ("enter", "key"), (" opens", ""))
    yield (("".join(glyphs.mark(e.mark) for e in found.entries), "accent"),)
    if there:
        rows = amount(found.rows, glyphs, exact=found.exact)
        yield ((f"{rows} rows", ""), (f"  {size(found.bytes, glyphs)}", ""))
    else:
        yield from _offers("create them", found.date, today)


def _row(model: Model, almanac: Almanac, entry: Entry, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    """A row of the list: the default partition has no day, and an hour is one of several of its day."""
    lower, upper = (None, None) if entry.bounds is None else (entry.bounds.lower, entry.bounds.upper)
    zone = almanac.view.calendar
    day = almanac.today if lower is None else zone.day(lower)
    if lower is not None:
        yield _title(almanac, day)
        if upper is not None and upper - lower < timedelta(days=1):
            yield ((f"{zone.local(lower):%H:%M} to {zone.local(upper):%H:%M}", ""),)
    yield from _mark(almanac, entry.mark, glyphs)
    yield from _entry(model, entry, day, cells, glyphs)


def _mark(almanac: Almanac, mark: Mark, glyphs: Glyphs) -> Iterator[Line]:
    if mark in QUIET:
        return
    word = WORDS[mark]
    if mark is Mark.MISSING:
        word = "missing: inserts fail" if almanac.view.table.default is None else "missing now"
    yield ((f"{glyphs.mark(mark)} {word}", _BAD.get(mark, str(mark))),)


def _entry(model: Model, entry: Entry, day: date, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    if entry.partition is None:
        yield from _missing(entry, day, day if model.almanac is None else model.almanac.today, cells)
        return
    yield ((fit(clean(entry.name), cells - 1, glyphs.cut, ends=True).rstrip(), "accent"),)
    if entry.partition.pin is not None and model.table is not None:
        yield from _pin(model.table.view, entry.partition.pin, cells)
    else:
        yield from _note(entry, cells)
    yield from _figures(model, entry, cells, glyphs)
    more = model.details.get(entry.partition.oid)
    if more is not None:  # before what may be cut off in a low terminal
        yield from _holders(more.holders, cells, glyphs)
    if (profile := model.profiles.get(profile_key(entry, day))) is not None:
        yield from _profile(profile, cells, glyphs)
    if more is not None:
        yield from _more(model, more, glyphs)
        yield from _trend(model.trends.get(more.oid, ()), cells, glyphs)


def _holders(holders: Sequence[str], cells: int, glyphs: Glyphs) -> Iterator[Line]:
    """Who holds a lock on it: the oldest, so far as there is room, and that there are others."""
    for holder in holders[:1]:
        lines = wrap(clean(holder), cells - 1)
        for text in (*lines[: _HOLDER_LINES - 1], " ".join(lines[_HOLDER_LINES - 1 :])):
            if text:
                yield ((fit(text, cells - 1, glyphs.cut).rstrip(), "warning"),)
    if len(holders) > 1:
        yield (("and others hold locks", "warning"),)


def _missing(entry: Entry, day: date, today: date, cells: int) -> Iterator[Line]:
    if entry.action is None:
        yield ((clean(entry.word), "warning"),)
        return
    if entry.action.rows:
        yield ((f"{entry.action.rows:,} stray rows wait for it", "warning"),)
    yield from _note(entry, cells)
    if entry.action.status is not Status.REFUSED:
        yield from _offers("create it", day, today)


def _offers(what: str, day: date, today: date) -> Iterator[Line]:
    """The keys that help where something is missing; fix does not reach every day."""
    yield ()
    yield (("c", "key"), (f" {what}", ""))
    if abs((day - today).days) <= FIX_DAYS:
        yield (("f", "key"), (f" fix: all {FIX_DAYS} days around", ""))
    yield (("m", "key"), (" run maintenance", ""))


def _note(entry: Entry, cells: int) -> Iterator[Line]:
    if entry.action is not None and entry.action.note:
        for text in wrap(clean(entry.action.note), cells - 1):  # its remedy stands at its end
            yield ((text, "warning"),)


def _pin(seen: View, pin: Pin, cells: int) -> Iterator[Line]:
    """Why nothing drops it, until when, and whose word that is. A pin that has ended is said to have."""
    style = "accent" if seen.pinned(pin) else "dim"
    for text in wrap(clean(pin.reason), cells - 1)[:2]:
        yield ((text, style),)
    end = "until it is unpinned" if pin.until is None else f"until {pin.until}"
    said = end if seen.pinned(pin) else f"its pin ended on {pin.until}"
    if pin.by:
        said = f"{said}, by {clean(pin.by)}"
    for text in wrap(said, cells - 1):
        yield ((text, "dim"),)


def _figures(model: Model, entry: Entry, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    count = entry.count
    if count is None:
        return
    yield ((f"{amount(count.rows, glyphs, exact=count.exact)} rows", ""), (f"  {size(count.bytes, glyphs)}", ""))
    if count.exact and count.counted_at is not None and model.now is not None:
        yield ((f"exact, counted {ago(count.counted_at, model.now)}", "dim"),)
        if count.oldest is not None and count.newest is not None and model.almanac is not None:
            yield ((_events(model.almanac, count.oldest, count.newest), "dim"),)
    elif count.error is not None:
        for text in wrap(clean(count.error), cells - 1)[:_ERROR_LINES]:
            yield ((text, "warning"),)


def _events(almanac: Almanac, oldest: datetime, newest: datetime) -> str:
    """When the first and the last of them were, in the policy's zone; with their days where those are two."""
    first, last = (almanac.view.calendar.local(moment) for moment in (oldest, newest))
    if first.date() == last.date():
        return f"events {first:%H:%M:%S} to {last:%H:%M:%S}"
    return f"{first:%m-%d %H:%M} to {last:%m-%d %H:%M}"


def _profile(profile: Profile, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    if profile.hours:
        drawn = bars(profile.hours, max(profile.hours) or 1, glyphs)
        yield ((drawn, "heat3"), (" hours" if len(drawn) + len(" hours") < cells else " h", "dim"))
    total = sum(rows for _, rows in profile.values) or 1
    whole = sum(profile.hours) or total
    for value, rows in profile.values[:3]:
        share = f"{rows * 100 / whole:3.0f}%"
        yield ((fit(clean(value), cells - width(share) - 2, glyphs.cut), ""), (share, "dim"))


def _trend(measured: Sequence[Measured], cells: int, glyphs: Glyphs) -> Iterator[Line]:
    """How its size grew from run to run; of one that did not there is nothing to draw."""
    sizes = [m.bytes for m in measured if m.bytes is not None]
    if len(sizes) < _LEAST_MEASURES:
        return
    told = f" {len(sizes)} runs"
    shown = sizes[-max(cells - 1 - len(told), 1) :]
    yield ((bars(shown, max(shown) or 1, glyphs), "heat3"), (told, "dim"))


def _more(model: Model, more: PartitionDetails, glyphs: Glyphs) -> Iterator[Line]:
    heap, index, toast = (size(count, glyphs) for count in (more.heap_bytes, more.index_bytes, more.toast_bytes))
    yield (("heap ", "dim"), (heap, ""), ("  index ", "dim"), (index, ""))
    yield (("toast ", "dim"), (toast, ""), ("  dead ", "dim"), (f"{more.dead_rows:,}", ""))
    if model.now is not None:
        vacuum, analyze = (
            "never" if moment is None else ago(moment, model.now) for moment in (more.last_vacuum, more.last_analyze)
        )
        yield (("vacuumed ", "dim"), (vacuum, ""))
        yield (("analyzed ", "dim"), (analyze, ""))
