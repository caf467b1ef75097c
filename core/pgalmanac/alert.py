"""What the failure unit does: say in the journal what failed, and call the hook with the whole report.

systemd tells a unit that OnFailure= started about the one that failed in $MONITOR_* (systemd.exec(5)).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pgalmanac.records import RunRecord

__all__ = ["Failure", "HookError", "call_hook", "last_lines", "read_failure"]

_UNIT: Final = "pgalmanac.service"
_LINES: Final = 10
_JOURNAL_SECONDS: Final = 10
_HOOK_SECONDS: Final = 120


class HookError(Exception):
    """The hook was not called, or said that it failed; the sentence says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What systemd says of the unit that failed; *status* is an exit code or the name of a signal."""

    unit: str
    result: str | None = None
    status: str | None = None
    invocation_id: str | None = None

    def about(self, runs: Sequence[RunRecord]) -> str:
        """One sentence: the unit, how it ended, and the ids of its runs."""
        how = ", ".join(word for word in (self.result, self.status and f"status {self.status}") if word)
        ids = ", ".join(f"{run.id} of {run.task_name}" for run in runs)
        return (
            f"{self.unit} failed" + (f" ({how})" if how else "") + (f"; run {ids}" if ids else "; no run is recorded")
        )

    def of(self, runs: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
        """Those of *runs* that were recorded by the invocation that failed."""
        if self.invocation_id is None:
            return ()
        return tuple(run for run in runs if run.details.get("invocation_id") == self.invocation_id)


def read_failure(environ: Mapping[str, str]) -> Failure:
    """What $MONITOR_* says; called by hand, the nightly service is meant."""
    return Failure(
        unit=environ.get("MONITOR_UNIT") or _UNIT,
        result=environ.get("MONITOR_SERVICE_RESULT") or None,
        status=environ.get("MONITOR_EXIT_STATUS") or None,
        invocation_id=environ.get("MONITOR_INVOCATION_ID") or None,
    )


def last_lines(failure: Failure) -> tuple[str, ...]:
    """The last lines that the failed unit wrote to the journal; none where it cannot be read."""
    program = shutil.which("journalctl")
    if program is None:
        return ()
    # A line of a user's unit carries the invocation of the user's whole manager, so that its name is asked for too.
    wanted = [f"_SYSTEMD_INVOCATION_ID={failure.invocation_id}"] if failure.invocation_id else []
    for match in (*wanted, f"_SYSTEMD_UNIT={failure.unit}", f"_SYSTEMD_USER_UNIT={failure.unit}"):
        command = (program, "--quiet", "--no-pager", "--output=cat", f"--lines={_LINES}", match)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_JOURNAL_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return ()
        if lines := tuple(line for line in done.stdout.splitlines() if line):
            return lines
    return ()


def call_hook(hook: Sequence[str], report: Mapping[str, Any]) -> None:
    """Start *hook* (no shell) with the report as JSON on its standard input. Raises HookError."""
    name = hook[0]
    try:
        done = subprocess.run(hook, input=json.dumps(report).encode(), timeout=_HOOK_SECONDS, check=False)
    except subprocess.TimeoutExpired as exc:
        raise HookError(f"the hook {name} did not end within {_HOOK_SECONDS} seconds and was killed") from exc
    except OSError as exc:
        raise HookError(f"the hook {name} cannot be started ({exc.strerror})") from exc
    if done.returncode:
        raise HookError(f"the hook {name} ended with {done.returncode}")
