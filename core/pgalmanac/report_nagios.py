"""report -> what a Nagios or Icinga plugin prints: a line with perfdata, then the findings. Pure.

The format is that of the Monitoring Plugins' development guidelines: `TEXT | 'label'=value;warn;crit;min`, where a
range `7:` alerts below 7. A | would end the text wherever it stands, and = or ' the label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pgalmanac.findings import Code, Finding, Level, critical
from pgalmanac.log import shown
from pgalmanac.results import RunReport, TableReport

__all__ = ["CODES", "check_code", "check_findings", "nagios_error", "nagios_text"]

CODES: Final = {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}


def check_level(report: RunReport) -> str:
    """The worst of all findings; a table about which nothing can be said is critical."""
    if any(t.error is not None for t in report.tables):
        return "critical"
    return "ok" if report.level is None else str(report.level)


def check_code(report: RunReport) -> int:
    """The exit code of check."""
    return CODES[check_level(report)]


def nagios_text(report: RunReport) -> str:
    """The Nagios line, then each finding and each table that could not be looked at on a line of its own."""
    findings = list(_all(report))
    worst = [f for f in findings if f.level is not Level.INFO]
    level = check_level(report)
    text = _summary(report) if not worst else worst[0].message
    if len(worst) > 1:
        text += f" (and {len(worst) - 1} more)"
    data = " ".join(d for table in report.tables for d in _perfdata(table))
    first = f"PGALMANAC {level.upper()} - {_text(text)}" + (f" | {data}" if data else "")
    rest = [f"{f.level} {f.code}: {_text(f.message)}" for f in findings]
    rest += [f"probe: an insert for now goes to {_text(t.proved)}" for t in report.tables if t.proved is not None]
    return "\n".join([first, *rest])


def nagios_error(message: str, *, code: int) -> str:
    """The line for a check that could not be made: critical, or unknown for bad usage."""
    level = next(word for word, number in CODES.items() if number == code)
    return f"PGALMANAC {level.upper()} - {_text(message)}"


def _all(report: RunReport) -> Iterator[Finding]:
    """Every finding, the worst first; an error of a table that brought no finding of its own counts as one."""
    found: list[Finding] = [*report.findings, *(f for t in report.tables for f in check_findings(t))]
    order: Sequence[Level] = (Level.CRITICAL, Level.WARNING, Level.INFO)
    yield from sorted(found, key=lambda f: order.index(f.level))


def check_findings(table: TableReport) -> Iterator[Finding]:
    """What check finds of a table; that it could not be looked at is a finding too."""
    yield from table.findings
    if table.error is not None and not any(f.level is Level.CRITICAL for f in table.findings):
        yield critical(Code.UNREACHABLE, f"{table.table}: {table.error}")


def _summary(report: RunReport) -> str:
    """One line about all being well."""
    if report.server is not None and report.server.standby:
        return "a standby, where nothing is done"
    parts = [
        f"{t.table} has partitions for {t.view.runway_days} days after today"
        for t in report.tables
        if t.view is not None
    ]
    return ", ".join(parts) or "nothing to look at"


def _perfdata(table: TableReport) -> Iterator[str]:
    seen = table.view
    if seen is None:
        return
    today = int(seen.coverage.covered(seen.now))
    yield f"{_label(table, 'runway')}={seen.runway_days};{seen.low_runway_days}:;0:;0"
    yield f"{_label(table, 'today')}={today};;1:;0;1"
    yield f"{_label(table, 'partitions')}={len(seen.table.partitions)};;;0"


def _label(table: TableReport, what: str) -> str:
    name = shown(table.table).replace("=", "_").replace("|", "_").replace("'", "''")
    return f"'{name}_{what}'"


def _text(text: str) -> str:
    return shown(text).replace("|", "\\x7c")
