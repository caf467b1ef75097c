"""What the widgets tell the screen."""

from __future__ import annotations

from datetime import date

from textual.message import Message

__all__ = ["DayChosen", "DayOpened", "RowChosen", "RowOpened", "SortWanted", "TabChosen"]


class DayChosen(Message):
    """The cursor of the calendar moved; *anchor* is where a range begins, None for a single day."""

    def __init__(self, day: date, anchor: date | None) -> None:
        """Name the day."""
        super().__init__()
        self.day = day
        self.anchor = anchor


class DayOpened(Message):
    """Enter on a day of the calendar."""

    def __init__(self, day: date) -> None:
        """Name the day."""
        super().__init__()
        self.day = day


class RowChosen(Message):
    """The cursor of a list moved."""

    def __init__(self, list_id: str, key: str) -> None:
        """Name the list and the row."""
        super().__init__()
        self.list_id = list_id
        self.key = key


class RowOpened(Message):
    """Enter on a row of a list."""

    def __init__(self, list_id: str, key: str) -> None:
        """Name the list and the row."""
        super().__init__()
        self.list_id = list_id
        self.key = key


class SortWanted(Message):
    """A click on the head of a column."""

    def __init__(self, list_id: str, column: int) -> None:
        """Name the list and the column, from 0."""
        super().__init__()
        self.list_id = list_id
        self.column = column


class TabChosen(Message):
    """A click on a tab."""

    def __init__(self, tab: str) -> None:
        """Name the tab."""
        super().__init__()
        self.tab = tab
