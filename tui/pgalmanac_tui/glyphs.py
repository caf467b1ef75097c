"""The characters that carry meaning, once for terminals that know Unicode and once in ASCII. Pure."""

# ruff: noqa: RUF001  # characters that look like others are chosen for their looks here

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pgalmanac.findings import Level

__all__ = ["ASCII", "QUIET", "SEVERITY", "SHORT", "UNICODE", "WORDS", "Glyphs", "Mark"]


class Mark(StrEnum):
    """What a day, or a partition, is; each has a glyph, a word and a style of its own name."""

    NOTHING = "nothing"
    EMPTY = "empty"
    HEAT1 = "heat1"
    HEAT2 = "heat2"
    HEAT3 = "heat3"
    HEAT4 = "heat4"
    PREMADE = "premade"
    BEYOND = "beyond"
    WANTED = "wanted"
    EXPIRING = "expiring"
    KEPT = "kept"
    PINNED = "pinned"
    PENDING = "pending"
    STRAY = "stray"
    UNKNOWN = "unknown"
    GAP = "gap"
    MISSING = "missing"


# From the harmless to the worst: of several states in one day, the last one counts.
SEVERITY: Final = tuple(Mark)

# Of these there is nothing to say but how many rows there are.
QUIET: Final = frozenset({Mark.NOTHING, Mark.EMPTY, Mark.HEAT1, Mark.HEAT2, Mark.HEAT3, Mark.HEAT4})

WORDS: Final[dict[Mark, str]] = {
    Mark.NOTHING: "",
    Mark.EMPTY: "no rows",
    Mark.HEAT1: "few rows",
    Mark.HEAT2: "as usual",
    Mark.HEAT3: "busy",
    Mark.HEAT4: "twice the usual",
    Mark.PREMADE: "premade",
    Mark.BEYOND: "beyond premake",
    Mark.WANTED: "to be created",
    Mark.EXPIRING: "expiring",
    Mark.KEPT: "not ours to drop",
    Mark.PINNED: "pinned",
    Mark.PENDING: "detach pending",
    Mark.STRAY: "stray rows",
    Mark.UNKNOWN: "unreadable bounds",
    Mark.GAP: "gap",
    Mark.MISSING: "missing today",
}


# The words of the legend, which has one line for all of them.
SHORT: Final[dict[Mark, str]] = {
    **WORDS,
    Mark.EMPTY: "none",
    Mark.BEYOND: "beyond",
    Mark.WANTED: "to create",
    Mark.KEPT: "kept",
    Mark.PENDING: "detaching",
    Mark.STRAY: "stray",
    Mark.UNKNOWN: "unreadable",
    Mark.MISSING: "missing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """One set of characters, each one cell wide but *least*. *marks* has two cells for each day."""

    ascii: bool
    marks: dict[Mark, str]
    today: str
    critical: str
    warning: str
    ok: str
    info: str
    approx: str
    least: str
    none: str
    cut: str
    chosen: str
    down: str
    rule: str
    bar: str
    edge: str
    bars: str
    up: str
    dot: str

    def level(self, level: Level | None) -> str:
        """The glyph of a level, None being all well."""
        if level is None:
            return self.ok
        return {"critical": self.critical, "warning": self.warning, "info": self.info}[level]

    def mark(self, mark: Mark) -> str:
        """The one character that stands for a state."""
        return self.marks[mark][0]


UNICODE: Final = Glyphs(
    ascii=False,
    marks={
        Mark.NOTHING: "  ",
        Mark.EMPTY: "··",
        Mark.HEAT1: "░░",
        Mark.HEAT2: "▒▒",
        Mark.HEAT3: "▓▓",
        Mark.HEAT4: "██",
        Mark.PREMADE: "□□",
        Mark.BEYOND: "◇◇",
        Mark.WANTED: "++",
        Mark.EXPIRING: "††",
        Mark.KEPT: "◎◎",
        Mark.PINNED: "⚑⚑",
        Mark.PENDING: "⇣⇣",
        Mark.STRAY: "◆◆",
        Mark.UNKNOWN: "??",
        Mark.GAP: "╳╳",
        Mark.MISSING: "✖✖",
    },
    today="◂",
    critical="✖",
    warning="▲",
    ok="✔",
    info="·",
    approx="≈",
    least="≥",
    none="–",
    cut="…",
    chosen="▸",
    down="▾",
    rule="─",
    bar="│",
    edge="┊",
    bars=" ▁▂▃▄▅▆▇█",
    up="▲",
    dot="●",
)

ASCII: Final = Glyphs(
    ascii=True,
    marks={
        Mark.NOTHING: "  ",
        Mark.EMPTY: "..",
        Mark.HEAT1: "--",
        Mark.HEAT2: "==",
        Mark.HEAT3: "%%",
        Mark.HEAT4: "##",
        Mark.PREMADE: "oo",
        Mark.BEYOND: "OO",
        Mark.WANTED: "++",
        Mark.EXPIRING: "tt",
        Mark.KEPT: "kk",
        Mark.PINNED: "PP",
        Mark.PENDING: "vv",
        Mark.STRAY: "ss",
        Mark.UNKNOWN: "??",
        Mark.GAP: "xx",
        Mark.MISSING: "!!",
    },
    today="<",
    critical="X",
    warning="!",
    ok="*",
    info=".",
    approx="~",
    least=">=",
    none="-",
    cut="~",
    chosen=">",
    down="v",
    rule="-",
    bar="|",
    edge=":",
    bars=" .:-=+*#@",
    up="^",
    dot="o",
)
