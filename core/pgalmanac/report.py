"""report -> what stdout gets: text for people, a JSON document, or a Nagios line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgalmanac.errors import PgalmanacError, UsageError
from pgalmanac.report_nagios import CODES, check_code, nagios_error, nagios_text
from pgalmanac.results import RunReport

if TYPE_CHECKING:
    from pgalmanac.records import RunRecord

__all__ = ["error_code", "exit_code", "render", "render_error", "render_history", "render_init"]

# humanize takes 25 ms to import and json is not needed for text: each way out imports its own.


def exit_code(report: RunReport) -> int:
    """The process exit code that this report stands for."""
    return check_code(report) if report.command == "check" else report.exit_code


def error_code(command: str | None, error: PgalmanacError) -> int:
    """The process exit code of an error: check knows no others than Nagios'."""
    if command != "check":
        return error.exit_code
    return CODES["unknown" if isinstance(error, UsageError) else "critical"]


def render(report: RunReport, *, as_json: bool, verbose: bool = False) -> str:
    """A command's answer about tables."""
    if as_json:
        from pgalmanac.report_json import report_document, to_text  # noqa: PLC0415  # see above

        return to_text(report_document(report, exit_code(report)))
    if report.command == "check":
        return nagios_text(report)
    from pgalmanac.report_text import report_text  # noqa: PLC0415  # see above

    return report_text(report, verbose=verbose)


def render_history(runs: Sequence[RunRecord], *, as_json: bool, with_actions: bool, verbose: bool = False) -> str:
    """The answer of history; *with_actions* when one run was asked for, *verbose* with their statements."""
    if as_json:
        from pgalmanac.report_json import history_document, to_text  # noqa: PLC0415  # see above

        return to_text(history_document(runs, with_actions=with_actions))
    from pgalmanac.report_history import history_text  # noqa: PLC0415  # see above

    return history_text(runs, with_actions=with_actions, verbose=verbose)


def render_init(tables: Sequence[str], configuration: str, *, as_json: bool) -> str:
    """The answer of init: the tables of the history, and a configuration to start from."""
    if as_json:
        from pgalmanac.report_json import init_document, to_text  # noqa: PLC0415  # see above

        return to_text(init_document(tables, configuration))
    from pgalmanac.report_text import init_text  # noqa: PLC0415  # see above

    return init_text(tables, configuration)


def render_error(command: str | None, error: PgalmanacError, *, as_json: bool) -> str | None:
    """What stdout gets when the command could not go on; None when stderr says it all."""
    code = error_code(command, error)
    if as_json:
        from pgalmanac.report_json import error_document, to_text  # noqa: PLC0415  # see above

        return to_text(error_document(command, code, error.message, error.hint))
    return nagios_error(str(error), code=code) if command == "check" else None
