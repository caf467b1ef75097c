"""What the world around the database asks for: metrics, doctor, units, alert, completion. Text and exit code."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pgalmanac.arguments import Arguments
from pgalmanac.completion import SHELLS, completion
from pgalmanac.errors import ConfigError, PgalmanacError, UsageError
from pgalmanac.log import Stderr, shown

if TYPE_CHECKING:
    from pgalmanac.alert import Failure
    from pgalmanac.config import Settings
    from pgalmanac.records import RunRecord

__all__ = ["ON_FAILURE", "alert", "complete", "export", "look", "units"]

SCHEMA: Final = 1
ON_FAILURE: Final = "PGALMANAC_ON_FAILURE"
_RECENT_RUNS: Final = 50
_FAILED: Final = 1

# Answers are text and exit code. Each command imports what it needs: the others should not wait for it.


def complete(arguments: Arguments) -> tuple[str, int]:
    """The completion script of a shell. Raises UsageError for a shell that has none."""
    if arguments.target not in SHELLS:
        raise UsageError(f"there is no completion for {arguments.target!r}", hint="write bash, zsh or fish")
    return completion(arguments.target), 0


def units(arguments: Arguments) -> tuple[str, int]:
    """What would be written where; with --print the texts; with --install they are written. Raises PgalmanacError."""
    from pgalmanac.units import State, install, next_steps, plan_units  # noqa: PLC0415  # see above

    if arguments.user and arguments.root is not None:
        raise UsageError("--root is for the system's units, and --user asks for your own", hint="leave one of them out")
    if arguments.print and arguments.install:
        raise UsageError("--print only prints, and --install writes", hint="leave one of them out")
    files = plan_units(user=arguments.user, root=Path(arguments.root or "/"))
    if arguments.install:
        install(files)
    if arguments.json:
        listed = [{"path": str(f.path), "state": str(f.state), "text": f.text} for f in files]
        return _json("units", 0, installed=arguments.install, files=listed), 0
    if arguments.print:
        return "\n\n".join(f"# {f.path}\n{f.text.rstrip()}" for f in files), 0
    done = arguments.install
    words = {
        State.NEW: "written" if done else "new",
        State.OUTDATED: "renewed" if done else "of another version or path; would be renewed",
        State.SAME: "as it is",
        State.CHANGED: "not pgalmanac's, or changed by hand; stays as it is (a drop-in outlives updates)",
    }
    lines = [f"{shown(str(f.path))}: {words[f.state]}" for f in files]
    if not done:
        return "\n".join([*lines, "", "--install writes them, --print shows them"]), 0
    return "\n".join([*lines, "", "next:", *(f"  {step}" for step in next_steps(user=arguments.user))]), 0


async def look(arguments: Arguments, settings: Settings) -> tuple[str, int]:
    """The answer of doctor or metrics."""
    return await (_doctor if arguments.command == "doctor" else _metrics)(arguments, settings)


async def _doctor(arguments: Arguments, settings: Settings) -> tuple[str, int]:
    """A line for each thing that was looked at; 1 when there is something to do."""
    from pgalmanac.doctor import examine  # noqa: PLC0415  # see above
    from pgalmanac.doctor_lines import Verdict  # noqa: PLC0415  # see above

    lines = await examine(settings, os.environ)
    code = _FAILED if any(line.verdict is Verdict.FIX for line in lines) else 0
    if arguments.json:
        listed = [{"verdict": str(x.verdict), "topic": x.topic, "message": x.message} for x in lines]
        return _json("doctor", code, lines=listed), code
    return "\n".join(f"{x.verdict:4}  {shown(x.topic)}: {shown(x.message)}" for x in lines), code


async def _metrics(arguments: Arguments, settings: Settings) -> tuple[str, int]:
    """Prometheus' text, or the file that was written. Raises ConfigError for one that cannot be."""
    from pgalmanac.exporter import observe  # noqa: PLC0415  # see above
    from pgalmanac.metrics import render_metrics, write_textfile  # noqa: PLC0415  # a tenth of a second

    text = render_metrics(await observe(settings))
    if arguments.textfile is None:
        return (_json("metrics", 0, text=text) if arguments.json else text.rstrip("\n")), 0
    try:
        write_textfile(Path(arguments.textfile), text)
    except OSError as exc:
        raise ConfigError(f"{arguments.textfile} cannot be written ({exc.strerror})", hint="name another file") from exc
    return (_json("metrics", 0, textfile=arguments.textfile) if arguments.json else ""), 0


async def export(settings: Settings, stderr: Stderr) -> None:
    """Write the configured textfile after a run. What goes wrong is a warning: the maintenance is done."""
    if settings.metrics_textfile is None:
        return
    from pgalmanac.exporter import observe  # noqa: PLC0415  # see above
    from pgalmanac.metrics import render_metrics, write_textfile  # noqa: PLC0415  # a tenth of a second

    try:
        write_textfile(Path(settings.metrics_textfile), render_metrics(await observe(settings)))
    except OSError as exc:
        stderr.warning(f"the metrics were not written: {settings.metrics_textfile}: {exc.strerror}")
    except PgalmanacError as exc:
        stderr.warning(f"the metrics were not written: {exc.message}")


def alert(stderr: Stderr, load: Callable[[], Settings]) -> tuple[str, int]:
    """Say what failed, with its last lines, and call the hook; also without a configuration, which may have failed."""
    from pgalmanac.alert import HookError, call_hook, last_lines, read_failure  # noqa: PLC0415  # see above

    failure = read_failure(os.environ)
    hook, runs, trouble = _hook_of(os.environ), list["RunRecord"](), None
    try:
        settings = load()
        hook = settings.on_failure
        runs = _recorded(settings)
    except PgalmanacError as exc:
        trouble = str(exc)
    runs = list(failure.of(runs))
    lines = last_lines(failure)
    stderr.error(failure.about(runs))
    for line in lines:
        stderr.detail(f"  {line}")
    if not hook:
        stderr.info("nobody is called: on_failure is not set")
        return "", 0
    try:
        call_hook(hook, _report(failure, runs, lines, trouble))
    except HookError as exc:
        stderr.error(str(exc))
        return "", _FAILED
    stderr.info(f"{hook[0]} was called")
    return "", 0


def _hook_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The hook of the environment, for when there is no configuration to ask."""
    import shlex  # noqa: PLC0415  # see above

    try:
        return tuple(shlex.split(environ.get(ON_FAILURE, "")))
    except ValueError:
        return ()


def _recorded(settings: Settings) -> list[RunRecord]:
    from pgalmanac.maintain import past_runs  # noqa: PLC0415  # see above

    return list(asyncio.run(past_runs(settings, limit=_RECENT_RUNS)))


def _report(
    failure: Failure, runs: Sequence[RunRecord], lines: Sequence[str], trouble: str | None
) -> Mapping[str, Any]:
    from pgalmanac.report_json import history_document  # noqa: PLC0415  # see above

    return {
        "schema": SCHEMA,
        "command": "alert",
        "unit": failure.unit,
        "result": failure.result,
        "exit_status": failure.status,
        "invocation_id": failure.invocation_id,
        "run_id": runs[0].id if runs else None,
        "runs": history_document(runs, with_actions=False)["runs"],
        "lines": list(lines),
        "error": trouble,
    }


def _json(command: str, code: int, **more: object) -> str:
    from pgalmanac.report_json import to_text  # noqa: PLC0415  # see above

    return to_text({"schema": SCHEMA, "command": command, "exit_code": code, **more})
