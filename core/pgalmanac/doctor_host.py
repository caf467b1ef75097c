"""What maintaining depends on outside the database: the timer that runs it, and the terminal of whoever looks."""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from pgalmanac.config import NO_SCREENS
from pgalmanac.doctor_lines import Line, fix, note, ok
from pgalmanac.log import is_terminal
from pgalmanac.systemctl import is_here, properties

__all__ = ["terminal", "timer"]

_TIMER: Final = "pgalmanac.timer"


async def timer() -> tuple[Line, ...]:
    """Whether systemd's timer runs, and how its last run ended."""
    if not is_here():
        return (note("timer", "there is no systemd here; deploy/cron shows how cron runs it"),)
    answers = False
    managers: tuple[Literal["--system", "--user"], ...] = ("--system", "--user")
    for manager in managers:
        found = await properties(manager, _TIMER)
        answers = answers or found is not None
        if found is not None and found.get("LoadState") == "loaded":
            return await _one_timer(manager, found)
    if not answers:
        return (note("timer", "no systemd answers here; deploy/cron shows how cron runs it"),)
    return (note("timer", f"{_TIMER} is not installed; pgalmanac units --install does it"),)


async def _one_timer(manager: Literal["--system", "--user"], found: Mapping[str, str]) -> tuple[Line, ...]:
    user = " --user" if manager == "--user" else ""
    lines: list[Line] = []
    if found.get("ActiveState") != "active":
        lines.append(fix("timer", f"{_TIMER} is installed and does not run: systemctl{user} enable --now {_TIMER}"))
    elif found.get("UnitFileState") != "enabled":
        lines.append(fix("timer", f"{_TIMER} runs and would not after a reboot: systemctl{user} enable {_TIMER}"))
    else:
        lines.append(ok("timer", f"{_TIMER} is enabled; next run {found.get('NextElapseUSecRealtime') or 'unknown'}"))
    service = await properties(manager, _TIMER.replace("timer", "service")) or {}
    if service.get("Result") == "success":
        ended = service.get("ExecMainExitTimestamp")
        lines.append(ok("service", f"the last run ended well, {ended}" if ended else "has not run since boot"))
    else:
        status = f"{service.get('Result')}, status {service.get('ExecMainStatus')}"
        lines.append(fix("service", f"the last run failed ({status}): journalctl{user} -u pgalmanac.service"))
    return tuple(lines)


def terminal(environ: Mapping[str, str]) -> Iterator[Line]:
    """Whether the dashboard can draw here."""
    term = environ.get("TERM", "")
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        yield note("terminal", "standard input or standard error is no terminal, which the dashboard needs")
        return
    if term in NO_SCREENS:
        yield fix("terminal", f"TERM is {term!r}, which the dashboard cannot draw on: use a terminal emulator")
        return
    size = os.get_terminal_size(sys.stderr.fileno())
    truecolor = environ.get("COLORTERM") in {"truecolor", "24bit"}
    colours = (
        "without colour (NO_COLOR)"
        if environ.get("NO_COLOR")
        else ("24-bit colour" if truecolor else "256 colours" if "256" in term else "few colours")
    )
    utf8 = locale.getencoding().lower().replace("-", "") == "utf8"
    text = f"{term}, {size.columns} by {size.lines}, {colours}, {'UTF-8' if utf8 else 'no UTF-8: glyphs are ASCII'}"
    yield ok("terminal", text)
