"""Values -> text and lines of styled text. Pure: what is now is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from math import ceil
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size

from pgalmanac.amounts import byte_size, duration
from pgalmanac.invocation import Invocation, quoted

if TYPE_CHECKING:
    from pgalmanac.results import PartitionCount
    from pgalmanac.table_names import TableName
    from pgalmanac_tui.glyphs import Glyphs
    from pgalmanac_tui.snapshot import Wish

__all__ = [
    "Line",
    "Span",
    "ago",
    "amount",
    "bars",
    "clean",
    "command_line",
    "command_lines",
    "counted",
    "dated",
    "day_title",
    "duration",
    "fit",
    "in_time",
    "rows_of",
    "size",
    "took_ms",
    "width",
    "wrap",
]

# A piece of text and the name of its style; the empty name is plain text.
Span = tuple[str, str]
Line = tuple[Span, ...]

_GOES_ON: Final = " \\"
_THOUSAND: Final = 1000
_TEN: Final = 10


def clean(text: str) -> str:
    """*text* with everything that a terminal would obey, or that cannot be seen, written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def width(text: str) -> int:
    """How many cells *text* takes."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, cells: int, cut: str = "…", *, right: bool = False, ends: bool = False) -> str:
    """*text* in exactly so many cells; what is cut off is said to be, with *ends* in the middle."""
    if cells <= 0:
        return ""
    long = width(text)
    if long > cells:
        tail = _tail(text, (cells - 1) * 3 // 5) if ends else ""
        return set_cell_size(text, cells - 1 - width(tail)) + cut + tail
    return " " * (cells - long) + text if right else text + " " * (cells - long)


def _tail(text: str, cells: int) -> str:
    """As much of the end of *text* as at most so many cells hold."""
    at = len(text)
    while at and width(text[at - 1 :]) <= cells:
        at -= 1
    return text[at:]


def wrap(text: str, cells: int) -> list[str]:
    """*text* in lines of at most so many cells, broken at spaces where there are any."""
    cells = max(cells, 8)
    lines: list[str] = []
    at = ""
    for whole in text.split():
        word = whole
        while width(word) > cells:
            room = cells - width(at) - bool(at)
            if room < _TEN // 2:
                lines.append(at)
                at = ""
                continue
            piece = set_cell_size(word, room).rstrip()
            at = f"{at} {piece}" if at else piece
            lines.append(at)
            word, at = word[len(piece) :], ""
        if at and width(at) + 1 + width(word) > cells:
            lines.append(at)
            at = word
        else:
            at = f"{at} {word}" if at else word
    return [*lines, at] if at or not lines else lines


def bars(values: Sequence[float], most: float, glyphs: Glyphs) -> str:
    """One bar for each value, full at *most*; what is more than nothing is seen."""
    steps = len(glyphs.bars) - 1
    return "".join(glyphs.bars[min(ceil(value * steps / most), steps)] for value in values)


def day_title(day: date) -> str:
    """The day as people say it."""
    return f"{day:%a} {day.day} {day:%b %Y}"


def amount(rows: int | None, glyphs: Glyphs, *, exact: bool = True, short: bool = False) -> str:
    """A number of rows: `6,204` when it was counted, `≈6,204` when the server estimates it."""
    if rows is None:
        return glyphs.none
    about = "" if exact or rows == 0 else glyphs.approx
    if short and rows >= _THOUSAND * _TEN:
        value = float(rows)
        for unit in ("k", "M", "G", "T"):
            value /= _THOUSAND
            if value < _THOUSAND:
                return f"{about}{value:.{2 if value < _TEN else 1 if value < _TEN * _TEN else 0}f} {unit}"
    return f"{about}{rows:,}"


def rows_of(counts: Iterable[PartitionCount], glyphs: Glyphs, *, exact: bool = False, short: bool = False) -> str:
    """Their rows: at least so many where they are not known of all, which in a *short* text is a sign.

    Of an estimate that is not all of it there is no more to be said than that.
    """
    known = [c.rows for c in counts]
    total = sum(rows or 0 for rows in known)
    if None not in known:
        return amount(total, glyphs, exact=exact, short=short)
    if not total:
        return glyphs.none
    return f"{glyphs.least if short else 'at least '}{amount(total, glyphs, exact=exact or short, short=short)}"


def counted(number: int, what: str) -> str:
    """A number of things, one or several."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def size(count: int | None, glyphs: Glyphs) -> str:
    """Bytes, where they are known."""
    return glyphs.none if count is None else byte_size(count)


def took_ms(milliseconds: float) -> str:
    """How long an action took: `14 ms`, and of what took long as any length of time."""
    return f"{milliseconds:.0f} ms" if milliseconds < _TEN * _THOUSAND else duration(milliseconds / _THOUSAND)


def ago(moment: datetime, now: datetime) -> str:
    """How long *moment* is past: `just now`, `12 s ago`, `5 h ago`."""
    seconds = (now - moment).total_seconds()
    return "just now" if seconds < _TEN else f"{duration(seconds)} ago"


def in_time(moment: datetime, now: datetime) -> str:
    """How soon *moment* is: `in 19 h`, or `overdue by 2 h`."""
    left = moment - now
    if left < timedelta(0):
        return "due now" if left > timedelta(minutes=-2) else f"overdue by {duration(-left.total_seconds())}"
    return f"in {duration(max(left.total_seconds(), _TEN))}"


def dated(instant: datetime, zone: tzinfo) -> str:
    """An instant as the people of a zone write it, with the zone: `2025-12-01 00:00 CET`."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def command_line(invocation: Sequence[str], table: TableName, wish: Wish, *, dry: bool = False) -> str:
    """The command that does the same, as a shell reads it; a drop without a terminal would need --yes.

    One that is *dry* shows what it would do.
    """
    return " ".join(map(quoted, _words(invocation, table, wish, dry=dry)))


def command_lines(invocation: Sequence[str], table: TableName, wish: Wish, cells: int) -> list[str]:
    """The same in lines of at most so many cells (24 or more), each but the last one continued as a shell wants it."""
    lines: list[str] = []
    at = ""
    for word in _words(invocation, table, wish):
        text, rest = quoted(word), word
        at = f"{at} " if at else ""
        if at and width(at + text) > cells - len(_GOES_ON):
            lines.append(at.rstrip() + _GOES_ON)
            at = ""
        while width(text) > cells - len(_GOES_ON):
            # What is cut within a word goes on at the left edge, where no blank comes between.
            fits = next(n for n in range(len(rest), 0, -1) if n == 1 or width(quoted(rest[:n])) < cells)
            lines.append(quoted(rest[:fits]) + _GOES_ON.strip())
            rest = rest[fits:]
            text = quoted(rest)
        at += text
    return [*lines, at]


def _words(invocation: Sequence[str], table: TableName, wish: Wish, *, dry: bool = False) -> list[str]:
    options: list[tuple[str, str | None]] = [("--dry-run", None)] if dry else []
    options += [("--table", str(table))]
    options += [("--reason", wish.reason)] if wish.reason else []
    options += [("--until", str(wish.until))] if wish.until is not None else []
    return Invocation(where=tuple(invocation)).words(wish.command, wish.target, options)
