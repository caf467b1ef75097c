"""Arguments -> the use case they ask for -> an answer: text and exit code."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from pgalmanac import maintain, operations
from pgalmanac.actions import GOING, Status
from pgalmanac.arguments import Arguments
from pgalmanac.config import USUAL_TABLE, Settings
from pgalmanac.config_file import starting_configuration
from pgalmanac.db import credential
from pgalmanac.errors import UsageError
from pgalmanac.log import Stderr, is_terminal
from pgalmanac.opening import DEMO_TABLES, settings_of
from pgalmanac.process import Watch, patiently, run
from pgalmanac.report import exit_code, render, render_history, render_init
from pgalmanac.results import RunReport
from pgalmanac.signals import terminate
from pgalmanac.table_names import TableRef

__all__ = ["Answer", "obey"]

_BOOT_SECONDS: Final = 300
_CONTAINER: Final = "/run/systemd/container"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes to stdout, and the process exit code."""

    text: str = ""
    exit_code: int = 0

    @classmethod
    def of(cls, told: tuple[str, int]) -> Answer:
        """The answer of a command in operations.py."""
        text, code = told
        return cls(text=text, exit_code=code)


def obey(arguments: Arguments, stderr: Stderr) -> Answer:
    """Do what was asked for. Raises PgalmanacError when it cannot be done at all."""
    signal.signal(signal.SIGTERM, terminate)
    match arguments.command:
        case "completion":
            return Answer.of(operations.complete(arguments))
        case "units":
            return Answer.of(operations.units(arguments))
        case "alert":
            return Answer.of(operations.alert(stderr, lambda: _settings(arguments, stderr)))
        case _:
            return _with_settings(arguments, stderr)


def _settings(arguments: Arguments, stderr: Stderr) -> Settings:
    """The settings of this command line; from here on the service's password is hidden as well."""
    settings = settings_of(arguments, stderr)
    password = credential(os.environ)
    stderr.hide([password] if password else [])
    return settings


def _with_settings(arguments: Arguments, stderr: Stderr) -> Answer:
    settings = _settings(arguments, stderr)
    if not arguments.demo:
        return _answer(arguments, settings, stderr)
    from pgalmanac.demo import demo_server  # noqa: PLC0415  # needs a system with Unix sockets, and its own extra

    tables = settings.requested or tuple(TableRef(name=name) for name in DEMO_TABLES)
    with demo_server(reset=arguments.reset, progress=stderr.progress) as conninfo:
        stderr.clear()
        return _answer(arguments, replace(settings, dsn=conninfo, requested=tables), stderr)


def _answer(arguments: Arguments, settings: Settings, stderr: Stderr) -> Answer:
    match arguments.command:
        case "history":
            return _history(arguments, settings)
        case "init":
            return _begin(arguments, settings)
        case "check":
            report = run(maintain.check(settings, probe=arguments.probe))
        case "doctor" | "metrics":
            return Answer.of(run(operations.look(arguments, settings)))
        case "status" | "trash" | "pins" as command:
            report = _list(arguments, settings, stderr, command)
        case "maintain" | "fix" | "create" | "drop" | "undrop" | "pin" | "unpin" | "archive" | "restore" as command:
            report = _change(arguments, settings, stderr, command)
        case "archives":
            return _archives(arguments, settings)
        case _:
            msg = f"nobody carries out {arguments.command}"
            raise NotImplementedError(msg)
    stderr.clear()
    text = render(report, as_json=arguments.json, verbose=arguments.verbose > 0)
    return Answer(text=text, exit_code=exit_code(report))


def _list(
    arguments: Arguments, settings: Settings, stderr: Stderr, command: Literal["status", "trash", "pins"]
) -> RunReport:
    """The partitions, or those that are kept on purpose."""
    from pgalmanac import overview  # noqa: PLC0415  # what counts, and no nightly run needs

    if command != "status":
        return run(overview.kept(settings, command))
    watch = Watch(settings, stderr)
    if arguments.no_cache:
        settings = replace(settings, counts=replace(settings.counts, cache=False))
    return run(overview.status(settings, exact=arguments.exact, limit=arguments.limit, observer=watch))


def _begin(arguments: Arguments, settings: Settings) -> Answer:
    from pgalmanac.beginning import initialise  # noqa: PLC0415  # once in the life of a server

    begun = run(initialise(settings))
    tables = begun.tables if begun.tables or begun.others else (TableRef(name=USUAL_TABLE),)
    start = starting_configuration(tables, begun.others)
    return Answer(text=render_init(list(map(str, begun.history)), start, as_json=arguments.json))


def _history(arguments: Arguments, settings: Settings) -> Answer:
    runs = run(maintain.past_runs(settings, limit=arguments.limit or 10, run_id=arguments.run))
    if arguments.run is not None and not runs:
        raise UsageError(f"the history has no run {arguments.run}", hint="pgalmanac history lists the last ones")
    one = arguments.run is not None
    text = render_history(runs, as_json=arguments.json, with_actions=one, verbose=arguments.verbose > 0)
    return Answer(text=text)


def _archives(arguments: Arguments, settings: Settings) -> Answer:
    from pgalmanac import archives, report_archives  # noqa: PLC0415  # loads pyarrow, for archives alone

    tables = run(archives.archives(settings))
    text = report_archives.archives_json(tables) if arguments.json else report_archives.archives_text(tables)
    return Answer(text=text, exit_code=report_archives.archives_code(tables))


def _change(
    arguments: Arguments,
    settings: Settings,
    stderr: Stderr,
    command: Literal["maintain", "fix", "create", "drop", "undrop", "pin", "unpin", "archive", "restore"],
) -> RunReport:
    """Carry out what changes something; or show the plan."""
    request = maintain.Request(
        command=command,
        target=arguments.target,
        back=arguments.back,
        ahead=arguments.ahead,
        now=arguments.now,
        reason=arguments.reason,
        until=arguments.until,
        into=arguments.into,
        triggered_by=_trigger(arguments),
        invocation_id=os.environ.get("INVOCATION_ID"),
    )
    watch = Watch(settings, stderr)
    if arguments.dry_run:
        report = run(maintain.preview(settings, request))
        for table in report.tables:
            if table.view is not None:
                watch.warn(table.view.table.name)
        return report
    if command == "drop" and not arguments.yes:
        request = replace(request, confirmed=_confirm(run(maintain.preview(settings, request)), request, stderr))

    async def work() -> RunReport:
        report = await maintain.perform(settings, request, observer=watch)
        if command == "maintain":
            await operations.export(settings, stderr)
        return report

    return run(patiently(work, arguments.wait, stderr))


def _confirm(plan: RunReport, request: maintain.Request, stderr: Stderr) -> frozenset[int]:
    """Show what would be dropped, have its name typed, and return what was agreed to.

    Raises UsageError without a terminal and for another name.
    """
    planned = [o.action for t in plan.tables for o in t.outcomes if o.status is Status.PLANNED]
    shown_actions = [a for a in planned if a.kind in GOING]
    names = [str(a.partition) for a in shown_actions]
    agreed = frozenset(a.oid for a in shown_actions if a.oid is not None)
    if not names:
        return agreed  # nothing is going to be dropped; the report of the run says why
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise UsageError("drop asks for a name and there is no terminal", hint="add --yes; --dry-run shows the plan")
    table = plan.tables[0]
    full = names[0] if len(names) == 1 and ".." not in request.target else table.table
    schema = "" if table.view is None else f"{table.view.table.name.schema}."
    wanted = full.removeprefix(schema)
    what = "it" if len(names) == 1 else f"{len(names)} partitions"
    stderr.text(f"{render(plan, as_json=False)}\n\nType {wanted} to drop {what}; anything else keeps everything:")
    if sys.stdin.readline().strip() not in {wanted, full}:
        raise UsageError("nothing was dropped", hint=f"{wanted} was not what you typed")
    return agreed


def _trigger(arguments: Arguments) -> Literal["scheduler", "manual", "startup"]:
    """Who started this run, when nobody says: systemd tells its services, and nobody else's environment has this.

    A timer that fires at boot is its service's trigger too, so the time since boot is looked at first.
    """
    match arguments.triggered_by:
        case "scheduler" | "manual" | "startup" as said:
            return said
        case _:
            pass
    if "INVOCATION_ID" not in os.environ or is_terminal(sys.stdin):
        return "manual"
    if _seconds_since_boot() < _BOOT_SECONDS:
        return "startup"
    return "scheduler" if "TRIGGER_UNIT" in os.environ else "manual"


def _seconds_since_boot() -> float:
    """How long the system has been up. A container's own start is when its systemd wrote down that it is in one."""
    try:
        return time.time() - Path(_CONTAINER).stat().st_mtime
    except OSError:
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
