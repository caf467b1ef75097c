"""Completion for bash, zsh and fish, and the manual page: made from what --help is made from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pgalmanac.commands import COMMANDS, GLOBALS, HELP, OWN, flag
from pgalmanac.options import POLICY

__all__ = ["SHELLS", "completion"]

SHELLS: Final = ("bash", "zsh", "fish")
_FILES: Final = frozenset({"config", "textfile", "root"})
_VERSION: Final = ("print the version", None)


def completion(shell: str) -> str:
    """The completion script of one of SHELLS."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _about(name: str) -> tuple[str, str | None]:
    return _VERSION if name == "version" else HELP[name]


def _values(name: str) -> tuple[str, ...]:
    """The words that an option takes, where it takes only certain ones."""
    option = OWN.get(name) or POLICY.get(name)
    if option is None or option.kind != "text" or name == "timezone":
        return ()
    return tuple(option.words())


def _flags(names: Sequence[str]) -> list[str]:
    return [*map(flag, names), *(["-v"] if "verbose" in names else [])]


def _operands(command: str) -> tuple[str, ...]:
    return SHELLS if command == "completion" else ()


def _all_options() -> list[str]:
    return list(dict.fromkeys((*GLOBALS, *(o for c in COMMANDS.values() for o in c.options))))


def _bash() -> str:
    cases: list[str] = []
    for name in _all_options():
        if _about(name)[1] is None:
            continue
        if name in _FILES:
            cases.append(f'    {flag(name)}) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;')
        else:
            cases.append(f"    {flag(name)}) words='{' '.join(_values(name))}' ;;")
    options = "\n".join(
        f"    {name}) words+=' {' '.join([*_flags(c.options), *_operands(name)])}' ;;" for name, c in COMMANDS.items()
    )
    return f"""# bash completion for pgalmanac
_pgalmanac() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command= word words=
  COMPREPLY=()
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in {"|".join(COMMANDS)}) command=$word; break ;; esac
  done
  case $prev in
{chr(10).join(cases)}
    *)
      words='{" ".join([*_flags(GLOBALS), "--help"])}'
      case $command in
    '') words+=' {" ".join(COMMANDS)}' ;;
{options}
      esac ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}
complete -F _pgalmanac pgalmanac
"""


def _zsh() -> str:
    commands = "\n".join(f"    {_single(f'{name}:{c.about}')}" for name, c in COMMANDS.items())
    cases: list[str] = []
    for name, command in COMMANDS.items():
        specs = [*map(_zsh_option, command.options)]
        if command.operand is not None:
            words = " ".join(_operands(name))
            specs.append(
                _single(f"1:{command.operand.lower()}:({words})" if words else f"1:{command.operand.lower()}: ")
            )
        cases.append(f"        {name}) _arguments -S $globals {' '.join(specs)} ;;")
    return f"""#compdef pgalmanac
_pgalmanac() {{
  local curcontext=$curcontext state line
  local -a globals commands
  globals=(
{chr(10).join("    " + _zsh_option(name) for name in GLOBALS)}
    '(-h --help)-h[print this]'
    '(-h --help)--help[print this]'
  )
  commands=(
{commands}
  )
  _arguments -C -S $globals '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
{chr(10).join(cases)}
      esac ;;
  esac
}}
_pgalmanac "$@"
"""


def _zsh_option(name: str) -> str:
    about, metavar = _about(name)
    text = about.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    if metavar is None:
        star = "*" if name == "verbose" else ""
        return _single(f"{star}{flag(name)}[{text}]")
    star = "*" if name == "table" else ""
    words = " ".join(_values(name))
    action = "_files" if name in _FILES else f"({words})" if words else " "
    return _single(f"{star}{flag(name)}=[{text}]:{name.replace('_', ' ')}:{action}")


def _fish() -> str:
    return "\n".join(["# fish completion for pgalmanac", *_fish_lines(), ""])


def _fish_lines() -> Iterator[str]:
    yield "complete -c pgalmanac -f"
    names = " ".join(COMMANDS)
    for name, command in COMMANDS.items():
        about = _single(command.about)
        yield f"complete -c pgalmanac -n 'not __fish_seen_subcommand_from {names}' -a {name} -d {about}"
    for name in GLOBALS:
        yield _fish_option(name)
    yield "complete -c pgalmanac -s h -l help -d 'print this'"
    for command_name, command in COMMANDS.items():
        seen = f" -n '__fish_seen_subcommand_from {command_name}'"
        for name in command.options:
            yield _fish_option(name, seen)
        for word in _operands(command_name):
            yield f"complete -c pgalmanac{seen} -a {word}"


def _fish_option(name: str, condition: str = "") -> str:
    about, metavar = _about(name)
    parts = ["complete -c pgalmanac" + condition, f"-l {flag(name)[2:]}"]
    if name == "verbose":
        parts.append("-s v")
    if metavar is not None:
        words = " ".join(_values(name))
        parts.append("-r -F" if name in _FILES else f"-x -a {_single(words)}" if words else "-x")
    return " ".join([*parts, f"-d {_single(about)}"])


def _single(text: str) -> str:
    """*text* as one word of a shell; a quote in it ends the quoting and begins it anew."""
    return "'" + text.replace("'", "'\\''") + "'"
