"""The manual page pgalmanac(1), made from what --help is made from. `python -m pgalmanac.manpage` prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Final

from pgalmanac import __version__
from pgalmanac.commands import COMMANDS, EXIT_CODES, GLOBALS, HELP, flag

__all__ = ["manual_page"]

_FILES: Final = (
    ("~/.config/pgalmanac/config.toml", "the user's configuration, read when --config does not name another"),
    ("/etc/xdg/pgalmanac/config.toml", "the site's, read when the user has none"),
    ("/etc/pgalmanac/config.toml", "what the systemd service reads"),
    ("/etc/default/pgalmanac", "the service's environment"),
    ("/etc/credstore/pgalmanac.pgpassword", "the password that the service hands over as a credential"),
)


def manual_page() -> str:
    """The page as roff, with the macros of man(7)."""
    return "\n".join([*_page(), ""])


def _page() -> Iterator[str]:
    yield f'.TH PGALMANAC 1 "" "pgalmanac {__version__}" "User Commands"'
    yield from (".SH NAME", "pgalmanac \\- keep the time partitions of PostgreSQL tables in order")
    yield from (".SH SYNOPSIS", ".B pgalmanac")
    yield r"[\fIOPTION\fR]... [\fB\-\-headless\fR] [\fICOMMAND\fR [\fIOPTION\fR]...]"
    yield ".SH DESCRIPTION"
    yield _text(
        "Creates the partitions that will be needed, drops those past retention, and says when something is wrong "
        "before inserts fail. Without a command it opens the dashboard."
    )
    yield ".SH COMMANDS"
    for name, command in COMMANDS.items():
        operand = f" \\fI{_text(command.operand)}\\fR" if command.operand else ""
        yield f".SS \\fB{_text(name)}\\fR{operand}"
        yield _text(f"{command.about[:1].upper()}{command.about[1:]}.")
        if command.operand_help:
            yield from (".PP", _text(f"{command.operand}: {command.operand_help}."))
        yield from _options(command.options)
    yield from (".SH GLOBAL OPTIONS", "They may stand before or after the command.")
    yield from _options(GLOBALS)
    yield from (".TP", r"\fB\-h\fR, \fB\-\-help\fR", "print a summary")
    yield from (".SH EXIT STATUS", ".nf", _text(EXIT_CODES), ".fi")
    yield ".SH ENVIRONMENT"
    yield _text(
        "Every option has a variable: PGALMANAC_ and its name in capitals, with underscores. A flag beats its "
        "variable, a variable the configuration file. libpq's own PG* variables apply where no connection is named."
    )
    yield ".SH FILES"
    for path, about in _FILES:
        yield from (".TP", f"\\fI{_text(path)}\\fR", _text(about))
    yield from (".SH SEE ALSO", r"\fBpsql\fR(1), \fBsystemd.timer\fR(5)")


def _options(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        about, metavar = ("print the version", None) if name == "version" else HELP[name]
        short = r"\fB\-v\fR, " if name == "verbose" else ""
        value = f" \\fI{_text(metavar)}\\fR" if metavar else ""
        yield from (".TP", f"{short}\\fB{_text(flag(name))}\\fR{value}", _text(about))


def _text(text: str) -> str:
    """Plain text for roff: a line must not begin like a request, and a hyphen stays the one of the keyboard."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("'", "\\(aq")
    plain = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in escaped)
    return "\n".join(f"\\&{line}" if line.startswith((".", " ")) else line for line in plain.splitlines())


if __name__ == "__main__":
    sys.stdout.write(manual_page())
