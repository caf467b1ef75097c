"""The command line: arguments in, exit code out. Results go to stdout, everything else to stderr.

Nothing heavy is imported until a command needs it: `--version` loads no driver, a headless run no terminal library.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

from pgalmanac import __version__
from pgalmanac.arguments import Help, command_of, parse
from pgalmanac.errors import Interrupted, PgalmanacError, internal
from pgalmanac.log import Stderr, in_journal, secrets_of

__all__ = ["main"]

_SECRETS: Final = ("PGPASSWORD", "PGSSLPASSWORD")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises."""
    words = list(sys.argv[1:] if argv is None else argv)
    stderr = Stderr(sys.stderr, journal=in_journal(os.environ))
    command, as_json, verbose = command_of(words), "--json" in words, 0
    try:
        arguments = parse(words, os.environ)
        if arguments.log_format == "json":
            stderr.speak_json()
        if arguments.version:
            return _print(f"pgalmanac {__version__}", stderr)
        as_json, verbose = arguments.json, arguments.verbose
        stderr.hide(secrets_of(arguments.dsn or os.environ.get("PGALMANAC_DSN", "")))
        stderr.hide(filter(None, map(os.environ.get, _SECRETS)))
        if arguments.command is None:
            from pgalmanac.opening import open_dashboard

            return open_dashboard(arguments, stderr)
        from pgalmanac.dispatch import obey

        answer = obey(arguments, stderr)
        return _print(answer.text, stderr, command) or answer.exit_code
    except Help as text:
        return _print(str(text).rstrip(), stderr)
    except KeyboardInterrupt as exc:
        error: BaseException = Interrupted("interrupted")
        error.__cause__ = exc
    except Exception as exc:  # noqa: BLE001  # the last place that can turn it into a sentence and a code
        error = exc
    return _failed(error, stderr, command=command, as_json=as_json, verbose=verbose)


def _print(text: str, stderr: Stderr, command: str | None = None) -> int:
    """Write a result to stdout and return 0, or the *command*'s code for an internal error when it cannot be written.

    A reader who left early is no error.
    """
    if not text or sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # it was closed before we started
        return 0
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")  # a terminal that knows no ≈ is no reason to fail
    try:
        print(text, flush=True)
    except OSError as exc:
        # Python flushes once more at its end, and must find somewhere to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(exc, BrokenPipeError):
            from pgalmanac.report import error_code

            error = PgalmanacError(f"the result cannot be written ({exc.strerror})")
            stderr.error(str(error))
            return error_code(command, error)
    return 0


def _failed(error: BaseException, stderr: Stderr, *, command: str | None, as_json: bool, verbose: int) -> int:
    """Say why, as much as was asked for, and return the exit code."""
    from pgalmanac.report import error_code, render_error

    if isinstance(error, PgalmanacError):
        told = error
    else:
        told = internal(error, hint="run it again with -vv and report what it says")
    told.message = stderr.scrub(told.message)
    document = render_error(command, told, as_json=as_json)
    stderr.clear()
    # What a plugin has to say on stdout is the same sentence: a terminal that shows both shows it once.
    if document is None or as_json or not (stderr.terminal and sys.stdout is not None and sys.stdout.isatty()):
        stderr.error(str(told))
    if verbose:
        cause = error.__cause__ or error.__context__
        while cause is not None:
            stderr.detail(f"  because of {type(cause).__name__}: {' '.join(str(cause).split())}")
            cause = cause.__cause__ or cause.__context__
    if verbose > 1:
        stderr.detail("".join(traceback.format_exception(error)))
    if document is not None:
        _print(document, stderr)
    return error_code(command, told)
