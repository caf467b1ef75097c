"""Run unit tests, crash points and archives in an environment of their own: `python tests/lowest.py [--newest]`.

With the lowest dependencies that pyproject.toml allows, or with the newest, on the Python that runs this file. The
environment is made in .cache, which git ignores, and used again.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TESTS: Final = (
    "tests/unit",
    "tests/tui/test_themes.py",
    "tests/tui/test_thrift.py",
    "tests/integration/test_crash_points.py",
    "tests/integration/test_stray_rows.py",
    "tests/integration/test_archive.py",
)
# Of the development tools these do not run tests.
LINT: Final = ("ruff", "mypy", "pyright")


def lowest(requirement: str) -> str:
    """`name[extra]>=1.2,<3; marker` becomes `name[extra]==1.2; marker`."""
    return re.sub(r">=\s*([0-9.]+)[^;]*", r"==\1", requirement)


def main(arguments: list[str]) -> int:
    """Make the environment when it is missing and run the tests in it."""
    newest = "--newest" in arguments
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = ROOT / ".cache" / "environments" / f"{version}-{'newest' if newest else 'lowest'}"
    python = folder / "bin" / "python"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["archive"]
    tools = [t for t in project["dependency-groups"]["dev"] if isinstance(t, str) and not t.startswith(LINT)]
    wanted = [*(needed if newest else map(lowest, needed)), *tools]
    stamp = folder / "installed"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != "\n".join(wanted):
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
        stamp.write_text("\n".join(wanted), encoding="utf-8")
    print(f"{'newest' if newest else 'lowest'} dependencies on Python {version}", flush=True)
    return subprocess.run([python, "-m", "pytest", "-q", "-n", "2", *TESTS], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
