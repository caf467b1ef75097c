"""What a key acts on: the chosen days and rows -> the wish that it stands for, or why there is none. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from pgalmanac.model import Bounds, Orphan
from pgalmanac.table_names import TableName
from pgalmanac.targets import names
from pgalmanac_tui.almanac import Almanac
from pgalmanac_tui.entries import Entry
from pgalmanac_tui.format import command_line
from pgalmanac_tui.snapshot import Wish

__all__ = [
    "Choice",
    "copies",
    "out_of_place",
    "to_bring_back",
    "to_count",
    "to_create",
    "to_drop",
    "to_pin",
]


# The keys that do not act on every row.
PLACED: Final = frozenset({"create", "drop", "undrop", "count"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen days, both ends of *span* included, and the row of the list or of the trash, if that has the keys."""

    almanac: Almanac
    span: tuple[date, date]
    entry: Entry | None = None
    orphan: Orphan | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The row, else what lies in the days, in order of time."""
        if self.entry is not None:
            return (self.entry,)
        found: dict[str, Entry] = {}
        day = self.span[0]
        while day <= self.span[1]:
            found.update((e.key, e) for e in self.almanac.day(day).entries)
            day += timedelta(days=1)
        return tuple(found.values())

    @property
    def there(self) -> tuple[Entry, ...]:
        """Those of them that exist."""
        return tuple(e for e in self.entries if e.partition is not None)

    @property
    def bounds(self) -> Bounds:
        """The days as a range of key time."""
        first, last = (self.almanac.bounds(day) for day in self.span)
        return Bounds(lower=first.lower, upper=last.upper)

    @property
    def timeless(self) -> bool:
        """Whether the row has no period: the default partition, and one that is open at an end."""
        bounds = None if self.entry is None else self.entry.bounds
        return self.entry is not None and (bounds is None or bounds.lower is None or bounds.upper is None)

    @property
    def chosen(self) -> Bounds:
        """The row's range of key time, else that of the days; not of a row that has none."""
        bounds = self.entry.bounds if self.entry is not None else None
        return self.bounds if bounds is None else bounds

    @property
    def name(self) -> str | None:
        """A partition's name, or the range of the chosen days; None when nothing is there.

        The default partition has a name too: that it is never dropped is said by the plan.
        """
        if self.orphan is not None:
            return self.called(self.orphan.name)
        partition = self.there[0].partition if len(self.there) == 1 else None
        if partition is not None:
            return self.called(partition.name)
        return self.period(self.bounds) if self.there else None

    def called(self, name: TableName) -> str:
        """The shortest name that means this partition alone: others may have the same in another schema."""
        table = self.almanac.view.table
        called = [p.name for p in table.partitions] + [o.name for o in table.orphans]
        return name.name if sum(names(name.name, other) for other in called) <= 1 else str(name)

    def period(self, bounds: Bounds) -> str:
        """The period or range that covers *bounds*, as create and drop read it."""
        seen = self.almanac.view
        if bounds.lower is None or bounds.upper is None:
            raise AssertionError
        first = seen.calendar.period(seen.interval, bounds.lower)
        last = seen.calendar.period(seen.interval, bounds.upper - timedelta(microseconds=1))
        return seen.label(first) if first == last else f"{seen.label(first)}..{seen.label(last)}"


def out_of_place(action: str, choice: Choice) -> str | None:
    """Why a key has nothing to act on in the row that has the keys, or None: it never acts on a day instead."""
    if choice.orphan is not None:
        name = choice.orphan.name
        return {
            "create": f"{name} was dropped and is kept: u brings it back with its rows, a new one would be empty",
            "drop": f"{name} was dropped already, and is kept",
            "count": f"{name} was dropped, and only what belongs to the table is counted",
        }.get(action)
    if choice.entry is not None and choice.timeless:
        return {
            "create": f"{choice.entry.name} has no period: choose a day in the calendar",
            "undrop": f"{choice.entry.name} was not dropped: choose a day in the calendar",
        }.get(action)
    return None


def to_create(choice: Choice) -> Wish | str:
    """Create the period of a missing row, else the periods of the chosen days."""
    return out_of_place("create", choice) or Wish(command="create", target=choice.period(choice.chosen))


def to_drop(choice: Choice) -> Wish | str:
    """Drop the row, or what is there of the chosen days."""
    if (why := out_of_place("drop", choice)) is not None:
        return why
    name = choice.name
    return "there is no partition here to drop" if name is None else Wish(command="drop", target=name)


def to_count(choice: Choice) -> tuple[Entry, ...] | str:
    """What is there of the row, or of the chosen days."""
    return out_of_place("count", choice) or choice.there or "there is no partition here to count"


def to_bring_back(choice: Choice) -> Wish | str:
    """Bring back the row of the trash, or what was dropped of the row or days: from there, else from the archive."""
    view = choice.almanac.view
    if choice.orphan is not None:
        return Wish(command="undrop", target=choice.called(choice.orphan.name))
    if (why := out_of_place("undrop", choice)) is not None:
        return why
    if any(o.bounds.overlaps(choice.chosen) for o in view.table.orphans):
        return Wish(command="undrop", target=choice.period(choice.chosen))
    if view.policy.archive is not None and view.coverage.holes(choice.chosen):
        return Wish(command="restore", target=choice.period(choice.chosen))
    return "nothing that was dropped here can be had back"


def to_pin(choice: Choice) -> Wish | str:
    """Pin the row or the chosen days, with a reason that is still to be given; what is pinned already is unpinned."""
    if choice.name is None:
        return "there is no partition here to pin"
    pins = [choice.orphan.pin] if choice.orphan is not None else [e.partition.pin for e in choice.there if e.partition]
    return Wish(command="pin" if None in pins else "unpin", target=choice.name)


def copies(choice: Choice, table: TableName, invocation: Sequence[str]) -> dict[str, tuple[str, str]]:
    """What can be copied, under a key each: what it is called, and the text; none of it takes anything away."""
    if choice.orphan is not None:
        name = choice.orphan.name
        return {
            "n": ("name", name.name),
            "s": ("SQL", f"SELECT count(*) FROM {name};"),
            "c": ("command", command_line(invocation, table, Wish(command="undrop", target=choice.called(name)))),
        }
    chosen = choice.entries
    there = next((e.partition for e in choice.there), None)
    texts = {
        "n": ("name", chosen[0].name if chosen else table.name),
        "s": ("SQL", f"SELECT count(*) FROM {table if there is None else there.name};"),
    }
    wish = to_create(choice) if there is None else to_drop(choice)
    if not isinstance(wish, str) and not choice.timeless:  # the default partition is never dropped
        texts["c"] = ("command", command_line(invocation, table, wish, dry=wish.command == "drop"))
    return texts
