"""What doctor says: lines of which each is well, worth knowing, or something to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Line", "Verdict", "fix", "note", "ok"]


class Verdict(StrEnum):
    """What a line says: all well, worth knowing, or something to do."""

    OK = "ok"
    NOTE = "note"
    FIX = "fix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was looked at, in a sentence; with FIX the sentence says what to do."""

    verdict: Verdict
    topic: str
    message: str


def ok(topic: str, message: str) -> Line:
    """All is well."""
    return Line(verdict=Verdict.OK, topic=topic, message=message)


def note(topic: str, message: str) -> Line:
    """It is worth knowing."""
    return Line(verdict=Verdict.NOTE, topic=topic, message=message)


def fix(topic: str, message: str) -> Line:
    """There is something to do, which the message says."""
    return Line(verdict=Verdict.FIX, topic=topic, message=message)
