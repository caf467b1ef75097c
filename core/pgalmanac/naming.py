"""Period <-> partition name, in the style that a table's partitions already have, within PostgreSQL's 63 bytes.

A name is a label: bounds come from the catalog and never from here. Hours are labelled in key time (UTC for
`timestamptz`), so that the hour that a change of clocks repeats has two names; where the partitions that are there
carry the wall clock of the policy's zone, that is gone on with, and the second of the two says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from pgalmanac.errors import UsageError
from pgalmanac.model import Bounds, Interval, KeyType, Partition
from pgalmanac.periods import Calendar
from pgalmanac.table_names import TableName

__all__ = ["MAX_BYTES", "Style", "fit", "infer_style", "label", "other_clock", "parse_period"]

MAX_BYTES: Final = 63  # NAMEDATALEN - 1 (PostgreSQL's documentation, 4.1.1)

# strftime patterns plus %q, the quarter; the first of each interval is the one for a table with no style of its own.
_FORMATS: Final[dict[Interval, tuple[str, ...]]] = {
    Interval.HOURLY: (
        "%Y_%m_%d_%H",
        "%Y_%m_%d_%H%M",
        "%Y%m%d_%H%M%S",
        "%Y%m%d_%H%M",
        "%Y%m%d_%H",
        "%Y%m%d%H",
        "%Y-%m-%d-%H",
        "y%Ym%md%dh%H",
    ),
    Interval.DAILY: ("%Y_%m_%d", "%Y%m%d", "%Y-%m-%d", "y%Ym%md%d", "%Y_%j", "%y%m%d"),
    Interval.WEEKLY: (
        "%G_w%V",
        "%Gw%V",
        "%G_W%V",
        "%GW%V",
        "%G-W%V",
        "%G_%V",
        "%Y_%m_%d",
        "%Y%m%d",
        "%Y-%m-%d",
        "y%Ym%md%d",
    ),
    Interval.MONTHLY: ("%Y_%m", "%Y%m", "%Y-%m", "y%Ym%m", "%Y_%m_%d", "%Y%m%d", "%Y-%m-%d"),
    Interval.QUARTERLY: ("%Y_q%q", "%Yq%q", "%Y_Q%q", "%YQ%q", "%Y_%m_%d", "%Y%m%d", "%Y_%m", "%Y%m"),
    Interval.YEARLY: ("%Y", "y%Y", "%Y_%m_%d", "%Y%m%d"),
}
_STYLE_SAMPLE: Final = 31
_DIGITS: Final = {
    "%Y": r"\d{4}",
    "%G": r"\d{4}",
    "%j": r"\d{3}",
    "%q": "[1-4]",
    **dict.fromkeys(("%m", "%d", "%H", "%M", "%S", "%V", "%y"), r"\d\d"),
}
# What is added to the second of two names that would be one: of hours that the wall clock calls alike, for example.
_AGAIN: Final = "_2"


def _render(pattern: str, moment: datetime) -> str:
    # %Y is not padded for early years on Linux, so it is written here; %q is not strftime's.
    pattern = pattern.replace("%q", str((moment.month + 2) // 3)).replace("%Y", f"{moment.year:04d}")
    return moment.strftime(pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How partitions of one table and interval are named: prefix + date + suffix, in one schema.

    *wall_clock* says of hours that they are named by the clock of the policy's zone and not in key time.
    """

    schema: str
    prefix: str
    pattern: str
    suffix: str = ""
    wall_clock: bool = False

    def name(self, interval: Interval, bounds: Bounds, calendar: Calendar, *, again: bool = False) -> TableName:
        """The name of the partition for this period; a prefix that would pass 63 bytes is shortened, never the date.

        *again* where another has that name.
        """
        if bounds.lower is None:
            msg = "a period without a lower bound has no name"
            raise ValueError(msg)
        moment = calendar.local(bounds.lower) if self.wall_clock else _labelled(interval, bounds.lower, calendar)
        tail = _render(self.pattern, moment) + self.suffix + (_AGAIN if moment.fold or again else "")
        return TableName(schema=self.schema, name=fit(self.prefix, tail))

    def reads(self, name: str) -> bool:
        """Whether *name* is one that this style could give."""
        parts = re.split(r"(%[A-Za-z])", self.pattern)
        date = "".join(_DIGITS.get(part) or re.escape(part) for part in parts)
        return re.fullmatch(re.escape(self.prefix) + date + re.escape(self.suffix), name) is not None


def fit(prefix: str, tail: str) -> str:
    """*prefix* + *tail* in at most 63 bytes of UTF-8: the prefix gives way, at the boundary of a character."""
    room = MAX_BYTES - len(tail.encode())
    encoded = prefix.encode()
    if len(encoded) <= room:
        return prefix + tail
    # The separator before the date survives: only the base in front of it is shortened.
    base, separator = (prefix[:-1], prefix[-1]) if prefix[-1:] in {"_", "-", "."} else (prefix, "")
    return base.encode()[: room - len(separator.encode())].decode(errors="ignore") + separator + tail


def _labelled(interval: Interval, lower: datetime, calendar: Calendar) -> datetime:
    return lower.replace(tzinfo=None) if interval is Interval.HOURLY else calendar.local(lower)


def _read(name: TableName, interval: Interval, moment: datetime) -> Style | None:
    """The style in which *name* is prefix + *moment* + suffix, the longest way of writing it first; None if in none."""
    dates = sorted(((_render(p, moment), p) for p in _FORMATS[interval]), key=lambda d: -len(d[0]))
    for text, pattern in dates:
        prefix, found, suffix = name.name.rpartition(text)
        # A digit beside the date means that the date is only a part of some longer number.
        if found and not prefix[-1:].isdigit() and not suffix[:1].isdigit() and not re.search(r"\d{3}", suffix):
            return Style(schema=name.schema, prefix=prefix, pattern=pattern, suffix=suffix)
    return None


def _style(partition: Partition, interval: Interval, calendar: Calendar) -> Style | None:
    """How this partition is named, or None where its name cannot be read."""
    if partition.bounds is None or (lower := partition.bounds.lower) is None:
        return None
    key_time, clock = _labelled(interval, lower, calendar), calendar.local(lower)
    style = _read(partition.name, interval, key_time)
    if style is None and clock != key_time:
        style = _read(partition.name, interval, clock)
        return None if style is None else replace(style, wall_clock=True)
    return style


def other_clock(partitions: Sequence[Partition], calendar: Calendar) -> int | None:
    """By how many hours the clock that names the newest hours is ahead of UTC, where it is not the policy's either.

    None where there are no hours, or the names of hours are not read as any clock's.
    """
    if calendar.key is not KeyType.TIMESTAMPTZ:
        return None
    for partition in reversed(partitions):
        if partition.bounds is None or partition.bounds.lower is None:
            continue
        if calendar.aligned(partition.bounds) is not Interval.HOURLY or _style(partition, Interval.HOURLY, calendar):
            return None
        key_time = partition.bounds.lower.replace(tzinfo=None)
        clocks = (h for h in range(-12, 15) if _read(partition.name, Interval.HOURLY, key_time + timedelta(hours=h)))
        return next(clocks, None)
    return None


def infer_style(parent: TableName, partitions: Sequence[Partition], interval: Interval, calendar: Calendar) -> Style:
    """The style of most of the newest partitions of this interval; without any, of those that are on no grid at all.

    Where none can be read it is `{table}_` and the default date, in the schema of the newest one.
    """
    for wanted in (interval, None):
        styles: list[Style] = []
        for partition in reversed(partitions):
            if partition.bounds is not None and calendar.aligned(partition.bounds) is wanted:
                style = _style(partition, interval, calendar)
                styles += [] if style is None else [style]
            if len(styles) == _STYLE_SAMPLE:
                break
        if styles:
            return Counter(styles).most_common(1)[0][0]
    schema = partitions[-1].name.schema if partitions else parent.schema
    return Style(schema=schema, prefix=f"{parent.name}_", pattern=_FORMATS[interval][0])


def label(interval: Interval, bounds: Bounds, calendar: Calendar) -> str:
    """The period as people and the command line write it: 2025-11-02, 2025-W45, 2025-Q4, 2025-11-02T05 and so on."""
    if bounds.lower is None:
        return "…"
    moment = _labelled(interval, bounds.lower, calendar)
    pattern = {
        Interval.HOURLY: "%Y-%m-%dT%H",
        Interval.DAILY: "%Y-%m-%d",
        Interval.WEEKLY: "%G-W%V",
        Interval.MONTHLY: "%Y-%m",
        Interval.QUARTERLY: "%Y-Q%q",
        Interval.YEARLY: "%Y",
    }[interval]
    return _render(pattern, moment)


_WRITTEN: Final[dict[Interval, re.Pattern[str]]] = {
    Interval.HOURLY: re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d)(?::00)?"),
    Interval.DAILY: re.compile(r"(\d{4})-(\d\d)-(\d\d)"),
    Interval.WEEKLY: re.compile(r"(\d{4})-[Ww](\d\d)"),
    Interval.MONTHLY: re.compile(r"(\d{4})-(\d\d)"),
    Interval.QUARTERLY: re.compile(r"(\d{4})-[Qq]([1-4])"),
    Interval.YEARLY: re.compile(r"(\d{4})"),
}


def written_interval(text: str) -> Interval | None:
    """The interval in whose way *text* is written, or None: then it is no period at all."""
    return next((i for i, pattern in _WRITTEN.items() if pattern.fullmatch(text)), None)


def parse_period(text: str, interval: Interval, calendar: Calendar) -> Bounds:
    """The period that *text* names, written as *interval* writes it.

    Raises UsageError for a day that does not exist, and for another interval's way of writing, with the period it
    might mean.
    """
    written = written_interval(text)
    if written is None:
        msg = f"{text!r} is not a period"
        example = {
            Interval.HOURLY: "2025-11-02T05",
            Interval.DAILY: "2025-11-02",
            Interval.WEEKLY: "2025-W45",
            Interval.MONTHLY: "2025-11",
            Interval.QUARTERLY: "2025-Q4",
            Interval.YEARLY: "2025",
        }[interval]
        raise UsageError(msg, hint=f"this table's partitions are {interval}: write one as {example}")
    moment = _moment(text, written, calendar)
    try:
        period = calendar.period(interval, moment)
    except OverflowError as exc:
        msg = f"{text} is past the years that a calendar has"
        raise UsageError(msg, hint="use a year up to 9998") from exc
    if written is not interval:
        msg = f"{text!r} does not name a period of this table, whose partitions are {interval}"
        raise UsageError(msg, hint=f"did you mean {label(interval, period, calendar)}?")
    return period


def _moment(text: str, written: Interval, calendar: Calendar) -> datetime:
    match = _WRITTEN[written].fullmatch(text)
    parts = [int(p) for p in match.groups()] if match else []
    try:
        match written:
            case Interval.HOURLY:
                year, month, day, hour = parts
                return datetime(year, month, day, hour, tzinfo=UTC)  # key time, as the names of hours are
            case Interval.DAILY:
                return calendar.start(date(*parts))
            case Interval.WEEKLY:
                return calendar.start(date.fromisocalendar(parts[0], parts[1], 1))
            case Interval.MONTHLY:
                return calendar.start(date(parts[0], parts[1], 1))
            case Interval.QUARTERLY:
                return calendar.start(date(parts[0], parts[1] * 3 - 2, 1))
            case Interval.YEARLY:
                return calendar.start(date(parts[0], 1, 1))
    except (ValueError, OverflowError) as exc:
        noun = {Interval.HOURLY: "hour", Interval.DAILY: "day", Interval.WEEKLY: "week"}.get(written, "period")
        msg = f"{text} does not exist"
        raise UsageError(msg, hint=f"no calendar has that {noun}") from exc
