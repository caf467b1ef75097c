"""Completion and manual page come from the same words as --help, and the shells and roff can read them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from pgalmanac.commands import COMMANDS, GLOBALS, HELP, flag
from pgalmanac.completion import SHELLS, completion
from pgalmanac.manpage import manual_page

PAGE: Final = Path(__file__).parents[2] / "docs/pgalmanac.1"
OPTIONS: Final = sorted({*GLOBALS, *(name for command in COMMANDS.values() for name in command.options)})


def complete_in_bash(*words: str) -> set[str]:
    """Return what bash would offer for the last of *words*."""
    quoted = " ".join(f"'{word}'" for word in words)
    program = (
        f"{completion('bash')}\nCOMP_WORDS=(pgalmanac {quoted}); COMP_CWORD={len(words)}; _pgalmanac\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert "" == done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_can_read_its_script(shell: str, tmp_path: Path) -> None:
    """Each shell parses what it is given, where it is installed."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(completion(shell))
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", [*COMMANDS, *OPTIONS])
def test_nothing_is_forgotten(shell: str, name: str) -> None:
    """Every command and every option is in every script, and in the manual."""
    wanted = name if name in COMMANDS else f"-l {flag(name)[2:]} " if shell == "fish" else flag(name)

    assert wanted in completion(shell)
    assert (name if name in COMMANDS else flag(name).replace("-", "\\-")) in manual_page()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ma"], {"maintain"}),
        (["--log-format", ""], {"text", "json"}),
        (["maintain", "--interval", "mon"], {"monthly"}),
        (["maintain", "--ret"], {"--retention-days"}),
        (["--demo", "check", "--pro"], {"--probe"}),
        (["completion", "f"], {"fish"}),
        (["maintain", "--probe"], set[str]()),
        (["--table", ""], set[str]()),
    ],
)
def test_bash_offers_what_fits(words: list[str], offered: set[str]) -> None:
    """Commands first, then the options of the command, then the values of the option."""
    assert offered == complete_in_bash(*words)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_offers_what_fits() -> None:
    """Asked through its own completion engine."""
    program = f"{completion('fish')}\ncomplete -C 'pgalmanac check --pr'"
    done = subprocess.run(["fish", "--no-config", "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("--probe\t"), done


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_knows_the_function() -> None:
    """The completion system takes the script for the program's."""
    program = 'autoload -U compinit; compinit -u -D; eval "$SCRIPT" 2>/dev/null; whence -w _pgalmanac'
    done = subprocess.run(
        ["zsh", "-f", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"SCRIPT": completion("zsh"), "PATH": "/usr/bin:/bin"},
    )

    assert "_pgalmanac: function" in done.stdout


def test_the_manual_in_the_repository_is_the_one_that_would_be_made() -> None:
    """`python -m pgalmanac.manpage > docs/pgalmanac.1` after a change of the options."""
    assert PAGE.read_text() == manual_page()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_roff_has_nothing_to_say_about_the_manual() -> None:
    """No warning of any kind."""
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", PAGE], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


def test_every_option_has_its_help() -> None:
    """What is offered can be explained."""
    assert set(OPTIONS) - {"version"} == set(HELP)
