"""The command line -> Arguments. Flags, then `PGALMANAC_` variables, then what is built in.

argparse is asked twice. Options that both a parser and its subparser know are reset by the subparser's defaults, so
the first pass takes the global options out, wherever they stand, and the second gives the rest to the command's own
parser. What a value must be is not argparse's business: that is said by options.py, in one way for all sources.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NoReturn, cast

from pgalmanac.commands import COMMANDS, EXIT_CODES, FLAGS_ONLY, GLOBALS, HELP, OWN, WRITING, flag
from pgalmanac.errors import ConfigError, UsageError
from pgalmanac.option_kinds import did_you_mean, is_text
from pgalmanac.options import POLICY
from pgalmanac.table_names import TableRef

__all__ = ["Arguments", "Help", "command_of", "parse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What was asked for. *policy* holds the flags that are settings of a table, as text, for config.py."""

    command: str | None
    dsn: str | None = field(default=None, repr=False)
    config: str | None = None
    tables: tuple[str, ...] = ()
    policy: Mapping[str, str] = field(default_factory=dict[str, str])
    demo: bool = False
    reset: bool = False
    read_only: bool = False
    json: bool = False
    headless: bool = False
    ascii: bool = False
    version: bool = False
    verbose: int = 0
    dry_run: bool = False
    yes: bool = False
    exact: bool = False
    no_cache: bool = False
    target: str = ""
    back: int = 30
    ahead: int = 30
    limit: int | None = None
    run: str | None = None
    now: bool = False
    reason: str = ""
    into: TableRef | None = None
    until: date | None = None
    wait: int = 0
    triggered_by: str | None = None
    log_format: str = "text"
    probe: bool = False
    textfile: str | None = None
    user: bool = False
    print: bool = False
    install: bool = False
    root: str | None = None


class Help(Exception):  # noqa: N818  # not an error: somebody asked
    """The text that --help prints."""


class _Parser(argparse.ArgumentParser):
    """An argparse that raises its errors, and knows no abbreviations: a later option could make one ambiguous."""

    def __init__(self, prog: str, **more: Any) -> None:  # noqa: ANN401  # argparse's own
        super().__init__(
            prog=prog, add_help=False, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **more
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(message.removeprefix("argument "), hint=f"see {self.prog} --help")


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Arguments:
    """Read *argv* (without the program's name).

    Raises UsageError for what cannot be obeyed, ConfigError for a variable that is no value, and Help.
    """
    for word in argv:
        if not is_text(word):
            raise UsageError(f"{word} is not text in this system's encoding", hint="type it again")
    first, rest = _split(argv)
    options = rest[: rest.index("--")] if "--" in rest else rest
    if {"-h", "--help"} & set(options):
        raise Help(_help(next((word for word in options if word in COMMANDS), None)))
    values = {key: value for key, value in vars(first).items() if value is not None}
    if values.get("version"):
        return Arguments(command=None, version=True)
    if rest:
        values |= _command(rest)
    return _arguments(values, environ)


def command_of(argv: Sequence[str]) -> str | None:
    """The command that *argv* names, also when the rest of it is wrong: check has exit codes of its own."""
    words = list(argv)
    for before, word in zip(["", *words], words, strict=False):
        if not word.startswith("-") and not _may_belong_to(before, word):
            return word
    return None


def _may_belong_to(before: str, word: str) -> bool:
    """Whether *word* may be the value of the option before it: that of one that is none, unless it names a command."""
    if not before.startswith("--") or "=" in before or before == "--":
        return False
    _, metavar = HELP.get(before[2:].replace("-", "_"), ("", ""))
    return word not in COMMANDS if metavar == "" else metavar is not None


def _split(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The global options, wherever they stand, and what is left. After `--` nothing is an option."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    parser = _Parser("pgalmanac")
    _add(parser.add_argument, GLOBALS)
    found, rest = parser.parse_known_args(words[:end])
    return found, [*rest, *words[end:]]


def _command(rest: Sequence[str]) -> dict[str, Any]:
    """The command's own options and operand."""
    name = rest[0]
    if name.startswith("-"):
        raise _misplaced(name.partition("=")[0], command_of(rest))
    if name not in COMMANDS:
        meant = did_you_mean(name, COMMANDS)
        raise UsageError(f"{name!r} is not a command", hint=f"did you mean {meant}?" if meant else _commands())
    parser = _command_parser(name)
    found, unknown = parser.parse_known_args(list(rest[1:]))
    if unknown:
        raise _unknown(unknown[0], name)
    values = {key: value for key, value in vars(found).items() if value is not None}
    return {"command": name, **values}


def _misplaced(word: str, command: str | None) -> UsageError:
    """What to say of an option before the *command* that is no global one."""
    owners = [name for name, its in COMMANDS.items() if word in map(flag, its.options)]
    if command is not None and command in COMMANDS and owners and command not in owners:
        return _unknown(word, command)
    if owners:
        example = command if command in owners else owners[0]
        return UsageError(f"{word} stands before the command", hint=f"write it after, as in pgalmanac {example} {word}")
    meant = did_you_mean(word, map(flag, GLOBALS))
    hint = f"did you mean {meant}?" if meant else "see pgalmanac --help"
    return UsageError(f"{word} is not an option of pgalmanac", hint=hint)


def _unknown(word: str, command: str) -> UsageError:
    """What to say of an option or operand that the command does not have."""
    known = map(flag, (*COMMANDS[command].options, *GLOBALS))
    meant = did_you_mean(word.partition("=")[0], known) if word.startswith("-") else None
    hint = f"did you mean {meant}?" if meant else f"see pgalmanac {command} --help"
    return UsageError(f"{command} does not take {shlex.quote(word)}", hint=hint)


def _arguments(values: dict[str, Any], environ: Mapping[str, str]) -> Arguments:
    read: dict[str, Any] = {}
    for name, option in OWN.items():
        if name in values:
            given = values.pop(name)
            read[name] = (
                option.read_text(given, where=option.flag, error=UsageError) if isinstance(given, str) else given
            )
        elif name not in FLAGS_ONLY and (text := environ.get(option.variable)):
            read[name] = option.read_text(text, where=option.variable, error=ConfigError)
    read["verbose"] = min(read.get("verbose", 0), 2)
    policy = {name: values.pop(name) for name in POLICY if name in values}
    if isinstance(values.get("target"), list):
        # No name and no period has a zero byte in it.
        values["target"] = "\0".join(cast("list[str]", values["target"]))
    tables = tuple(cast("list[str]", values.pop("table", [])))
    arguments = Arguments(command=values.pop("command", None), tables=tables, policy=policy, **values, **read)
    _consistent(arguments)
    return arguments


def _consistent(arguments: Arguments) -> None:
    """Refuse what contradicts itself."""
    command = arguments.command
    if command is None and arguments.headless:
        raise UsageError("--headless needs a command", hint=_commands())
    if arguments.reset and not arguments.demo:
        raise UsageError("--reset starts the demo over", hint="write --demo --reset")
    if arguments.demo and arguments.dsn is not None:
        raise UsageError("--demo brings a database of its own, and --dsn names another", hint="leave one of them out")
    if arguments.probe and arguments.read_only:
        raise UsageError(
            "--probe inserts a row and rolls it back, and --read-only forbids it", hint="leave one of them out"
        )
    if arguments.read_only and command in WRITING and not arguments.dry_run:
        hint = f"pgalmanac {command} --dry-run shows what it would do" if command != "init" else "leave --read-only out"
        raise UsageError(f"{command} writes, and --read-only forbids it", hint=hint)
    if command == "pin" and not arguments.reason and not arguments.dry_run:
        raise UsageError("pin wants a reason, for whoever reads it later", hint="add --reason 'case 4711'")


def _commands() -> str:
    names = list(COMMANDS)
    return f"the commands are {', '.join(names[:-1])} and {names[-1]}"


def _add(add: Callable[..., argparse.Action], names: Sequence[str]) -> None:
    """Add these options by a parser's or group's *add*; values stay text, and None says that a flag was not given."""
    for name in names:
        if name == "version":
            add("--version", action="store_true", default=None, help="print the version")
            continue
        about, metavar = HELP[name]
        source = "" if name in FLAGS_ONLY else f" [PGALMANAC_{name.upper()}]"
        about = f"{about}{source}".replace("%", "%%")
        if name == "verbose":
            add("-v", "--verbose", action="count", help=about)
        elif name == "table":
            add("--table", action="append", metavar=metavar, help=about)
        elif metavar is None:
            add(flag(name), action="store_true", default=None, help=about)
        else:
            add(flag(name), metavar=metavar, help=about)


def _command_parser(name: str) -> _Parser:
    command = COMMANDS[name]
    parser = _Parser(f"pgalmanac {name}", description=_sentence(command.about))
    if command.operand is not None:
        many = "+" if command.many else None
        parser.add_argument("target", metavar=command.operand, help=command.operand_help, nargs=many)
    _add(parser.add_argument_group("options").add_argument, command.options)
    return parser


def _help(name: str | None) -> str:
    if name is None:
        width = max(map(len, COMMANDS))
        lines = [f"  {n:{width}}  {c.about}" for n, c in COMMANDS.items()]
        parser = _Parser(
            "pgalmanac",
            usage="pgalmanac [OPTION]... [--headless] [COMMAND [OPTION]...]",
            description="Keep the time partitions of PostgreSQL tables in order. Without a command: the dashboard.\n\n"
            "commands (pgalmanac COMMAND --help says more):\n" + "\n".join(lines),
            epilog=EXIT_CODES,
        )
    else:
        parser = _command_parser(name)
    group = parser.add_argument_group(
        "global options, before or after the command; a variable in brackets does the same"
    )
    _add(group.add_argument, GLOBALS)
    group.add_argument("-h", "--help", action="store_true", help="print this")
    return parser.format_help()


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
