"""A command line that does something, as a shell reads it, in the operator's own words where they matter. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["HIDDEN", "Invocation", "quoted"]

# What stands for a connection string with a password in it.
HIDDEN: Final = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What was said on the command line beside the command: without it a copied command may mean another database.

    *where* are the global options by which server and settings are reached, *how* those of the command's options that
    are settings of a table, each with its value.
    """

    where: tuple[str, ...] = ()
    how: tuple[tuple[str, str], ...] = ()

    def words(self, command: str, operand: str = "", options: Iterable[tuple[str, str | None]] = ()) -> list[str]:
        """The words of *command*; its *options*, None for one without a value, are said instead of those of *how*.

        No name and no reason among them is taken for an option.
        """
        chosen: dict[str, str | None] = dict(options)
        chosen = chosen | {flag: value for flag, value in self.how if flag not in chosen}
        words = ["pgalmanac", *self.where, command]
        option = operand.startswith("-")
        words += [operand] if operand and not option else []
        for flag, value in chosen.items():
            if value is None:
                words.append(flag)
            else:
                words += [f"{flag}={value}"] if value.startswith("-") else [flag, value]
        return [*words, "--", operand] if option else words

    def line(self, command: str, operand: str = "", options: Iterable[tuple[str, str | None]] = ()) -> str:
        """The same as one line."""
        return " ".join(map(quoted, self.words(command, operand, options)))


def quoted(word: str) -> str:
    """As a shell wants it; a connection string has single quotes of its own, which look best inside double ones.

    What cannot be seen is written as bytes in octal, which bash, zsh and ksh read.
    """
    if word == HIDDEN:
        return word
    if not word.isprintable():
        return f"$'{''.join(map(_escaped, word))}'"
    double = "'" in word and not set(word) & set('"\\$`!')
    return f'"{word}"' if double else shlex.quote(word)


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    return character if character.isprintable() else "".join(f"\\{byte:03o}" for byte in character.encode())
