"""A finished run of the installed command, and how tests name the function that runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["On", "Result", "Run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a finished command left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        loaded: dict[str, Any] = json.loads(self.out)
        return loaded


class Run(Protocol):
    """Run pgalmanac with these arguments; keywords are variables of its environment."""

    def __call__(self, *arguments: str, stdin: str | None = None, **environ: str) -> Result:
        """Wait for it to end."""
        ...


# Runs pgalmanac on the database of a conninfo: `on(conninfo, *arguments, **environ)`.
On = Callable[..., Result]
