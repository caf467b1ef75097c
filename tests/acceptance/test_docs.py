"""The documentation says what the program does: settings, commands, options, findings, codes and documents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from acceptance.running import On
from pgalmanac import errors
from pgalmanac.commands import COMMANDS, flag
from pgalmanac.config import load
from pgalmanac.errors import PgalmanacError
from pgalmanac.findings import Code
from pgalmanac.options import CONNECTION, COUNTS, DASHBOARD, HISTORY, METRICS, POLICY
from support import add_partitions

ROOT: Final = Path(__file__).parent.parent.parent
DOCS: Final = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION: Final = DOCS["configuration.md"]
COMMANDS_TEXT: Final = DOCS["commands.md"]


def rows_of(text: str) -> list[list[str]]:
    """The cells of every table row."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_every_setting_is_documented_with_its_range() -> None:
    """The tables of docs/configuration.md have each setting, and the limits of each number."""
    documented = {row[0].strip("`"): " ".join(row[1:]) for row in rows_of(CONFIGURATION)}
    sections = {
        "connection": CONNECTION,
        "history": HISTORY,
        "counts": COUNTS,
        "dashboard": DASHBOARD,
        "metrics": METRICS,
    }
    others = {f"{section}.{name}": option for section, options in sections.items() for name, option in options.items()}

    for name, option in {**POLICY, **others}.items():
        assert name in documented
        if limits := re.search(r"from (\d+) to (\d+)", option.wanted):
            assert f"{limits[1]} to {limits[2]}" in documented[name]


def test_the_example_configuration_works(tmp_path: Path) -> None:
    """The whole example of docs/configuration.md is taken."""
    [text] = re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL)
    file = tmp_path / "config.toml"
    file.write_text(text)

    assert len(load(environ={}, config=str(file)).requested) == 2


SECTIONS: Final = dict(re.findall(r"^## ([a-z]+)\n(.*?)(?=^#)", COMMANDS_TEXT, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_a_commands_section_has_its_options_and_no_others(name: str) -> None:
    """Each section of docs/commands.md names a command, and in its table that command's options."""
    options = {word for row in rows_of(SECTIONS[name]) for word in re.findall(r"--[a-z-]+", row[0])}

    assert {flag(option) for option in COMMANDS[name].options} == options


def test_every_command_and_finding_is_documented_somewhere() -> None:
    """No command and no code of a finding is missing from docs/."""
    text = "\n".join([README, *DOCS.values()])

    assert [] == [
        name for name in COMMANDS if not re.search(rf"^## {name}$|pgalmanac {name}|`{name}`", text, re.MULTILINE)
    ]
    assert [] == [str(code) for code in Code if f"`{code}`" not in text]


def test_every_exit_code_is_in_the_readme() -> None:
    """The table of exit codes has each class's."""
    classes = [getattr(errors, name) for name in errors.__all__]
    codes = {cls.exit_code for cls in classes if isinstance(cls, type) and issubclass(cls, PgalmanacError)}
    table = set(map(int, re.findall(r"\d+", " ".join(re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE)))))

    assert codes | {0, 1} == table


def shape(value: object) -> object:
    """The keys of a document at every level; of a list, those of its first element."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else []
    return None


EXAMPLES: Final[dict[str, Any]] = {
    loaded["command"] + (" error" if "error" in loaded else ""): loaded
    for loaded in map(json.loads, re.findall(r"```json\n(.*?)```", COMMANDS_TEXT, re.DOTALL))
}


def keys(document: object, *path: str | int) -> set[str]:
    """The keys at one place of a document."""
    at: Any = document
    for step in path:
        at = at[step]
    return set(at)


def test_documents_have_the_keys_that_are_documented(database: str, on: On) -> None:
    """Real documents of every command have exactly the keys of the examples."""
    add_partitions(database, days=[0], rows_a_day=5)
    maintain = on(database, "maintain", "--json").document
    check = on(database, "check", "--json").document
    status = on(database, "status", "--json").document
    history = on(database, "history", "--run", "1", "--json").document
    init = on(database, "init", "--json").document
    error = on(database, "maintain", "--table", "orders", "--json").document

    for actual, *places in (
        (maintain, (), ("server",), ("tables", 0), ("tables", 0, "actions", 0), ("tables", 0, "statistics")),
        (check, (), ("server",), ("tables", 0)),
        (status, (), ("server",), ("tables", 0), ("tables", 0, "partitions", 0)),
        (history, (), ("runs", 0), ("runs", 0, "actions", 0)),
        (init, ()),
    ):
        for place in places:
            assert keys(EXAMPLES[actual["command"]], *place) == keys(actual, *place), (actual["command"], place)
    assert shape(EXAMPLES["maintain error"]) == shape(error)


def test_links_lead_somewhere() -> None:
    """What a document links to is there."""
    for text in DOCS.values():
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / "docs" / target).exists(), target
