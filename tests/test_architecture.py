"""Imports point downwards only, and what thinks sees no clock, no connection and no environment.

The rules are read from the source and not from what gets imported, so that an import inside a function counts too.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
CORE: Final = ROOT / "core" / "pgalmanac"
TUI: Final = ROOT / "tui" / "pgalmanac_tui"

# From the bottom up. A module may import from its own layer (without a cycle) and from those before it. A new
# module fails the test until it is given a place here; where it then stands says what it may know.
LAYERS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("version", frozenset({"pgalmanac"})),
    ("errors", frozenset({"errors", "versions"})),
    ("words", frozenset({"model", "table_names", "marks", "bounds", "invocation", "amounts"})),
    ("calendar", frozenset({"periods", "naming", "policy"})),
    (
        "thinking",
        frozenset(
            {"actions", "view", "targets", "creating", "dropping", "plan", "recovery", "mend", "steps", "results"}
            | {"diagnose", "diagnose_coverage", "diagnose_default", "diagnose_replication"}
            | {"doctor_lines", "findings", "forecast", "ddl", "ddl_trash"}
            | {"archive_manifest", "archive_types", "ddl_archive", "ddl_create", "ddl_structure", "plan_archive"}
        ),
    ),
    (
        "settings",
        frozenset(
            {"option_kinds", "options", "commands", "config", "config_file", "arguments", "log", "units", "notify"}
            | {"completion", "manpage"}
        ),
    ),
    ("server programs", frozenset({"pgbinaries", "pgserver", "demo_data", "demo"})),
    ("connection", frozenset({"db", "db_errors"})),
    (
        "catalog and statements",
        frozenset(
            {
                "attaching",
                "attempts",
                "catalog",
                "catalog_rows",
                "discovery",
                "counting",
                "counts",
                "counts_cache",
                "estimates",
                "figures",
                "frequencies",
                "sizes",
                "details",
                "detaching",
                "execute",
                "facts",
                "guard",
                "health",
                "history",
                "history_rights",
                "history_tables",
                "leftovers",
                "locks",
                "moving",
                "privileges",
                "replication",
            }
            | {
                "default_rows",
                "differences",
                "proof",
                "records",
                "reference_order",
                "refusals",
                "schedule",
                "strays",
                "structure",
                "systemctl",
                "trash",
            }
            | {"archive_list", "archive_parquet", "archive_restore", "archive_source", "archive_store", "archive_write"}
            | {"arrow", "execute_archive"}
        ),
    ),
    ("apply", frozenset({"apply"})),
    (
        "use case",
        frozenset(
            {
                "recorder",
                "inspection",
                "run",
                "summary",
                "maintain",
                "overview",
                "doctor",
                "doctor_host",
                "archives",
                "beginning",
            }
        ),
    ),
    (
        "report",
        frozenset(
            {
                "alert",
                "exporter",
                "report_archives",
                "metrics",
                "report",
                "report_json",
                "report_history",
                "report_kept",
                "report_nagios",
                "report_text",
                "report_words",
            }
        ),
    ),
    ("dashboard's data", frozenset({"pgalmanac_tui.engine", "pgalmanac_tui.kept", "pgalmanac_tui.snapshot"})),
    ("gateway", frozenset({"pgalmanac_tui.connection", "pgalmanac_tui.polling", "pgalmanac_tui.gateway"})),
    ("dashboard", frozenset({"pgalmanac_tui"})),  # and everything in it that is not named above
    ("command line", frozenset({"signals", "process", "opening", "operations", "dispatch", "cli", "__main__"})),
)

# Of the driver these know only how to compose a statement.
COMPOSES_SQL: Final = frozenset(
    {"archive_types", "ddl", "ddl_archive", "ddl_create", "ddl_structure", "ddl_trash", "steps"}
)

PURE: Final = frozenset().union(*(modules for _, modules in LAYERS[:5]))

# What a pure module has no use for: the driver, clocks that tick, processes, files and the network.
IMPURE_IMPORTS: Final = frozenset(
    {"asyncio", "os", "pathlib", "platformdirs", "psycopg", "random", "socket", "subprocess", "sys", "time"}
)
CLOCKS: Final = frozenset({"now", "today", "utcnow"})

TERMINAL_LIBRARIES: Final = frozenset({"rich", "textual"})

# Who may call what reads or changes the database on the dashboard's behalf, and who holds what came of it, in the
# types of those modules.
TALKS_TO_CORE: Final = frozenset(
    {"pgalmanac_tui.connection", "pgalmanac_tui.gateway", "pgalmanac_tui.polling", "pgalmanac_tui.snapshot"}
)
CORE_IO: Final = frozenset().union(*(modules for _, modules in LAYERS[6:11]))


def layer(module: str) -> int:
    """Return the number of the layer that *module* stands in."""
    for number, (_, modules) in enumerate(LAYERS):
        if module in modules:
            return number
    if module.startswith("pgalmanac_tui"):
        return layer("pgalmanac_tui")
    raise AssertionError(f"{module} has no place in LAYERS")


def module_of(path: Path) -> str:
    """Return the name under which LAYERS knows a file: without `pgalmanac.` in core/."""
    if path.is_relative_to(CORE):
        return "pgalmanac" if path.stem == "__init__" else path.stem
    parts = path.relative_to(TUI.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(source: str, module: str = "") -> set[str]:
    """Return everything that *source* imports at any depth, ours by the names of LAYERS."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call):
            match node:
                case ast.Call(
                    func=ast.Name(id="import_module" | "__import__"), args=[ast.Constant(value=str(name)), *_]
                ):
                    found.add(name)
                case _:
                    pass
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            if node.level:
                above = module.split(".")[: -node.level]
                package = ".".join([*above, package] if package else above)
            if package == "pgalmanac":
                # `from pgalmanac import plan` is the module, `from pgalmanac import __version__` the package.
                found |= {
                    f"pgalmanac.{alias.name}" if not alias.name.startswith("__") else package for alias in node.names
                }
            elif package == "pgalmanac_tui":
                found |= {f"{package}.{alias.name}" for alias in node.names}
            else:
                found.add(package)
    return {name.removeprefix("pgalmanac.") for name in found}


def ours(names: set[str]) -> set[str]:
    """Keep the names of our own modules."""
    known = frozenset().union(*(modules for _, modules in LAYERS)) | set(SOURCES)
    return {name for name in names if name in known or name.startswith("pgalmanac_tui")}


def violations(module: str, source: str) -> list[str]:
    """Return what *source*, as the text of *module*, does that its layer may not."""
    names = imported(source, module)
    tops = {name.split(".")[0] for name in names}
    found = [
        f"{module} imports {name}, which stands above it" for name in sorted(ours(names)) if layer(name) > layer(module)
    ]
    inside_tui = module.startswith("pgalmanac_tui")
    if not inside_tui:
        found += [f"{module} imports {name}, for tui/ alone" for name in sorted(tops & TERMINAL_LIBRARIES)]
    if inside_tui and module not in TALKS_TO_CORE:
        found += [f"{module} imports {name}, for the gateway alone" for name in sorted(ours(names) & CORE_IO)]
        found += [f"{module} imports psycopg, for core/ alone"] * ("psycopg" in tops)
    if module in PURE:
        allowed = {"psycopg"} if module in COMPOSES_SQL else set[str]()
        found += [f"{module} is pure and imports {name}" for name in sorted((tops & IMPURE_IMPORTS) - allowed)]
        found += impure_calls(module, source)
    return found


def impure_calls(module: str, source: str) -> list[str]:
    """Return where a pure module looks at a clock, opens a file, prints, or takes more of psycopg than `sql`."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name)) if name in CLOCKS:
                found.append(f"{module} is pure and asks the clock: {name}()")
            case ast.Call(func=ast.Name(id="open" | "print" as name)):
                found.append(f"{module} is pure and calls {name}()")
            case ast.ImportFrom(module="psycopg", names=names):
                taken = {alias.name for alias in names} - {"sql"}
                found += [f"{module} takes {name} from psycopg" for name in sorted(taken)]
            case ast.Import(names=names) if any(alias.name.startswith("psycopg") for alias in names):
                found.append(f"{module} imports all of psycopg")
            case _:
                pass
    return found


SOURCES: Final = {module_of(path): path for path in sorted((*CORE.rglob("*.py"), *TUI.rglob("*.py")))}


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_keeps_to_its_layer(module: str) -> None:
    """Each module imports downwards only, and does nothing that its layer may not."""
    assert [] == violations(module, SOURCES[module].read_text())


def test_no_imports_go_in_a_circle() -> None:
    """Inside a layer too; graphlib names the circle in its error."""
    graph = {name: ours(imported(path.read_text(), name)) - {name} for name, path in SOURCES.items()}

    assert set(SOURCES) <= set(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("plan", "from pgalmanac.db import connect", "plan imports db, which stands above it"),
        ("plan", "def f():\n    from pgalmanac import db", "plan imports db, which stands above it"),
        ("plan", "import_module('pgalmanac.db')", "plan imports db, which stands above it"),
        ("db", "import pgalmanac.apply", "db imports apply, which stands above it"),
        ("maintain", "from pgalmanac_tui.app import App", "maintain imports pgalmanac_tui.app, which stands above it"),
        ("report", "def f():\n    import rich.table", "report imports rich, for tui/ alone"),
        ("cli", "import textual", "cli imports textual, for tui/ alone"),
        (
            "pgalmanac_tui.app",
            "from pgalmanac.db import connect",
            "pgalmanac_tui.app imports db, for the gateway alone",
        ),
        ("pgalmanac_tui.app", "import psycopg", "pgalmanac_tui.app imports psycopg, for core/ alone"),
        (
            "pgalmanac_tui.gateway",
            "from .screens import plan",
            "pgalmanac_tui.gateway imports pgalmanac_tui.screens, which stands above it",
        ),
        ("policy", "import os", "policy is pure and imports os"),
        ("periods", "datetime.now(UTC)", "periods is pure and asks the clock: now()"),
        ("diagnose", "date.today()", "diagnose is pure and asks the clock: today()"),
        ("model", "open('f')", "model is pure and calls open()"),
        ("naming", "from psycopg import sql", "naming is pure and imports psycopg"),
        ("ddl", "from psycopg import AsyncConnection, sql", "ddl takes AsyncConnection from psycopg"),
    ],
)
def test_what_is_wrong_is_found(module: str, source: str, complaint: str) -> None:
    """The check itself can fail: each rule, broken once."""
    assert complaint in violations(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ddl", "from psycopg import sql"),
        ("cli", "def main():\n    from pgalmanac_tui.app import App"),
        ("pgalmanac_tui.app", "from pgalmanac.model import TableName\nfrom textual.app import App"),
        ("report", "from pgalmanac import __version__"),
    ],
)
def test_what_is_right_is_let_through(module: str, source: str) -> None:
    """And it does not fail for everything."""
    assert [] == violations(module, source)


def loaded_by(*modules: str) -> set[str]:
    """Import *modules* in a new process and return the names of everything that came with them."""
    program = f"import json, sys\nfor name in {modules!r}: __import__(name)\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_command_line_starts_without_driver_and_terminal_libraries() -> None:
    """`pgalmanac --version` and a typing error answer at once."""
    if "cli" not in SOURCES:
        pytest.skip("there is no command line yet")

    assert set() == loaded_by("pgalmanac.cli") & {"psycopg", "textual", "rich", "humanize", "pgalmanac_tui"}


def test_the_dashboard_paints_before_the_driver_is_loaded() -> None:
    """Its first picture would come a third of a second later: the driver is for those who talk to the server."""
    assert set() == loaded_by("pgalmanac.opening", "pgalmanac_tui.app") & {"psycopg", "pyarrow", "sqlite3"}


def test_the_dashboard_paints_before_what_shows_a_table_is_loaded() -> None:
    """Nor do the screens come that open on a key: together they were more than a third of the imports."""
    later = {f"pgalmanac.{name}" for name in ("actions", "findings", "forecast", "plan", "results", "view")}
    later |= {f"pgalmanac_tui.{name}" for name in ("almanac", "snapshot", "wishes", "panels.details", "screens.change")}

    assert set() == loaded_by("pgalmanac.opening", "pgalmanac_tui.app") & later
    assert later <= loaded_by("pgalmanac_tui.screens.parts", "pgalmanac_tui.screens.doing")


def test_a_headless_run_loads_no_terminal_library() -> None:
    """Nothing in core/ brings them in, directly or through what it depends on."""
    everything = [f"pgalmanac.{module}" for module in SOURCES if "." not in module and "__" not in module]
    everything = [name for name in everything if name not in {"pgalmanac.pgalmanac", "pgalmanac.pgalmanac_tui"}]

    assert set() == loaded_by(*everything) & {"textual", "rich", "pgalmanac_tui"}
