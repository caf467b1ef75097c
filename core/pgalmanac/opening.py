"""Opening the dashboard, apart from the other commands.

Their modules bring the driver with them, and the first picture is there before that is loaded.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from importlib import import_module
from typing import Final

from pgalmanac.arguments import Arguments
from pgalmanac.config import NO_SCREENS, Settings, load
from pgalmanac.errors import UsageError
from pgalmanac.log import Stderr, is_terminal, secrets_of
from pgalmanac.signals import terminate
from pgalmanac.table_names import TableRef

__all__ = ["DEMO_TABLES", "open_dashboard", "settings_of"]

# What the demo fills its database with.
DEMO_TABLES: Final = ("events", "device_logs")


def settings_of(arguments: Arguments, stderr: Stderr) -> Settings:
    """The settings of this command line; from here on their passwords are hidden, and their warnings said."""
    settings = load(
        environ=os.environ,
        flags=arguments.policy,
        dsn=arguments.dsn,
        config=arguments.config,
        tables=arguments.tables,
        read_only=arguments.read_only,
        demo=arguments.demo,
        glyphs="ascii" if arguments.ascii else None,
    )
    stderr.hide(secrets_of(settings.dsn))
    for warning in settings.warnings:
        stderr.warning(warning)
    return settings


def open_dashboard(arguments: Arguments, stderr: Stderr) -> int:
    """Show the dashboard until it is left; the process exit code. Raises PgalmanacError when it cannot be opened."""
    signal.signal(signal.SIGTERM, terminate)
    # Nobody could leave it: without a terminal it would paint into a file for ever.
    terminal = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    if not terminal and not (arguments.demo and arguments.reset):
        raise UsageError(
            "the dashboard needs a terminal",
            hint="ssh -t gives one; without it name a command, such as pgalmanac check",
        )
    if terminal and (kind := os.environ.get("TERM", "")) in NO_SCREENS:
        raise UsageError(
            f"the dashboard cannot draw on this terminal: TERM is {kind or 'not set'}",
            hint="set it to what the terminal is, such as xterm-256color, or name a command, such as pgalmanac check",
        )
    settings = settings_of(arguments, stderr)
    if not arguments.demo:
        return _show(settings)
    demo_server = import_module("pgalmanac.demo").demo_server
    tables = settings.requested or tuple(TableRef(name=name) for name in DEMO_TABLES)
    with demo_server(reset=arguments.reset, progress=stderr.progress) as conninfo:
        stderr.clear()
        if not terminal:
            return 0
        return _show(replace(settings, dsn=conninfo, requested=tables, label=settings.label or "demo"))


def _show(settings: Settings) -> int:
    return int(import_module("pgalmanac_tui.first").run(settings))
