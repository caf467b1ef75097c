"""What systemd says of timers and units, by its own program. It is only asked, and not waited for when it is silent.

Everything is None where there is no systemctl, where no systemd answers it, and where it takes too long.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

__all__ = ["is_here", "next_elapse", "properties", "read_properties", "read_timers"]

# Of the dashboard, which would show something meanwhile, and of doctor, which has nothing else to do.
_SHORT_SECONDS: Final = 2
_LONG_SECONDS: Final = 5
_PROPERTIES: Final = (
    "LoadState,ActiveState,UnitFileState,NextElapseUSecRealtime,Result,ExecMainStatus,ExecMainExitTimestamp"
)


def is_here() -> bool:
    """Whether there is a systemctl; that a systemd answers it is another matter."""
    return shutil.which("systemctl") is not None


async def next_elapse(pattern: str) -> datetime | None:
    """When the first of the system's timers with names like *pattern* is due, an instant in UTC; None for never."""
    out = await _ask(_SHORT_SECONDS, "list-timers", "--all", "--output=json", pattern)
    return None if out is None else read_timers(out)


async def properties(manager: Literal["--system", "--user"], unit: str) -> dict[str, str] | None:
    """What the system's or the user's systemd says of a unit, which need not exist."""
    out = await _ask(_LONG_SECONDS, manager, "show", f"--property={_PROPERTIES}", unit)
    return None if out is None else read_properties(out.decode(errors="replace"))


async def _ask(patience: float, *arguments: str) -> bytes | None:
    """What systemctl prints. Nobody's process is left behind, also by who is cancelled."""
    program = shutil.which("systemctl")
    if program is None:
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(patience):
            out, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out if process.returncode == 0 else None


def read_timers(text: bytes) -> datetime | None:
    """The earliest next elapse in what `systemctl list-timers --output=json` printed (microseconds since 1970)."""
    try:
        timers = json.loads(text)
    except ValueError:
        return None
    if not isinstance(timers, list):
        return None
    found: list[int] = []
    for timer in cast("list[object]", timers):
        due = cast("dict[str, Any]", timer).get("next") if isinstance(timer, dict) else None
        if isinstance(due, int) and due > 0:
            found.append(due)
    return datetime.fromtimestamp(min(found) / 1_000_000, UTC) if found else None


def read_properties(text: str) -> dict[str, str]:
    """The `Name=value` lines of `systemctl show`."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
