"""The systemd units: what is written where, what is left alone, and what systemd itself says of the texts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from pgalmanac.errors import PrivilegeError
from pgalmanac.units import State, install, own_program, plan_units, unit_sources

SOURCES: Final = unit_sources()
UNITS: Final = sorted([*SOURCES.glob("*.service"), *SOURCES.glob("*.timer")])
USER_UNITS: Final = sorted([*(SOURCES / "user").glob("*.service"), *(SOURCES / "user").glob("*.timer")])
PROGRAM: Final = ("/opt/pgalmanac/bin/pgalmanac",)

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def states(root: Path) -> dict[str, State]:
    """Return the state of each file below *root*, by its name."""
    return {f.path.name: f.state for f in plan_units(user=False, root=root, program=PROGRAM)}


def test_a_preview_writes_nothing_and_an_installation_is_found_again(tmp_path: Path) -> None:
    """New, written, and the second time as it is."""
    assert {State.NEW} == set(states(tmp_path).values())
    assert [] == list(tmp_path.iterdir())

    install(plan_units(user=False, root=tmp_path, program=PROGRAM))

    assert {State.SAME} == set(states(tmp_path).values())
    assert 0o644 == (tmp_path / "etc/systemd/system/pgalmanac.service").stat().st_mode & 0o777
    assert {"pgalmanac.conf"} == {p.name for p in (tmp_path / "etc/sysusers.d").iterdir()}


def test_what_an_older_version_wrote_is_renewed(tmp_path: Path) -> None:
    """Its checksum says that nobody touched it; here it names another path."""
    install(plan_units(user=False, root=tmp_path, program=("/usr/local/bin/pgalmanac",)))

    assert State.OUTDATED == states(tmp_path)["pgalmanac.service"]
    assert State.SAME == states(tmp_path)["pgalmanac.timer"]
    install(plan_units(user=False, root=tmp_path, program=PROGRAM))
    assert {State.SAME} == set(states(tmp_path).values())


@pytest.mark.parametrize("text", ["[Timer]\nOnCalendar=daily\n", "", None])
def test_what_an_administrator_changed_is_left_alone(tmp_path: Path, text: str | None) -> None:
    """One line added to ours, a file of their own, an empty one, a masked unit."""
    install(plan_units(user=False, root=tmp_path, program=PROGRAM))
    changed = tmp_path / "etc/systemd/system/pgalmanac.timer"
    if text is None:
        changed.unlink()
        changed.symlink_to("/dev/null")
    else:
        changed.write_text(text or changed.read_text() + "# mine\n")
    before = changed.readlink() if text is None else changed.read_text()

    assert State.CHANGED == states(tmp_path)["pgalmanac.timer"]
    install(plan_units(user=False, root=tmp_path, program=("/elsewhere/pgalmanac",)))
    assert before == (changed.readlink() if text is None else changed.read_text())


def test_the_programs_path_is_written_as_systemd_reads_it(tmp_path: Path) -> None:
    """A blank, a percent sign and a dollar would mean something else there."""
    odd = ("/srv/my apps/100%/$x/python", "-m", "pgalmanac")
    files = plan_units(user=False, root=tmp_path, program=odd)
    lines = [line for f in files for line in f.text.splitlines() if line.startswith("ExecStart=")]

    assert 3 == len(lines)
    for line in lines:
        assert line.startswith('ExecStart="/srv/my apps/100%%/$$x/python" -m pgalmanac --headless --config ')


def test_a_program_in_a_home_is_let_through(tmp_path: Path) -> None:
    """ProtectHome= hides it otherwise; elsewhere the homes stay closed."""
    hidden = plan_units(user=False, root=tmp_path, program=("/home/op/my venv/bin/pgalmanac",))
    text = next(f.text for f in hidden if f.path.name == "pgalmanac.service")

    assert "ProtectHome=tmpfs\n" in text
    assert re.search(r'^BindReadOnlyPaths=.*"/home/op/my venv/bin/pgalmanac"', text, re.MULTILINE)


def test_units_of_an_account_go_to_its_own_folder(tmp_path: Path) -> None:
    """No account, no privilege, and nothing that a manager without privileges cannot do."""
    files = plan_units(user=True, program=PROGRAM, home=tmp_path)

    assert {tmp_path / "systemd/user"} == {f.path.parent for f in files}
    for file in files:
        assert not re.search(r"^(User|Group|ProtectSystem|PrivateUsers|LoadCredential)=", file.text, re.MULTILINE)


def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    """With the remedy: root, or one's own units."""
    (tmp_path / "etc").write_text("a file")

    with pytest.raises(PrivilegeError, match="--user"):
        install(plan_units(user=False, root=tmp_path, program=PROGRAM))


def test_called_as_a_module_the_units_call_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m pgalmanac` has no script of its own."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/pgalmanac/__main__.py"])

    assert (sys.executable, "-m", "pgalmanac") == own_program()


def staged(folder: Path, units: list[Path]) -> list[Path]:
    """Return copies that name a program which exists: verify looks for it."""
    copies = []
    for unit in units:
        text = unit.read_text().replace("/opt/pgalmanac/bin/pgalmanac", "/bin/true")
        (folder / unit.name).write_text(text)
        copies.append(folder / unit.name)
    return copies


@needs_analyze
@pytest.mark.parametrize("manager", ["--system", "--user"])
def test_systemd_has_nothing_to_say_about_the_units(
    tmp_path: Path, manager: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`systemd-analyze verify` is silent."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    units = staged(tmp_path, USER_UNITS if manager == "--user" else UNITS)
    done = subprocess.run(
        ["systemd-analyze", manager, "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    mine = [line for line in done.stderr.splitlines() if "pgalmanac" in line]

    assert [] == mine, done.stderr


@needs_analyze
@pytest.mark.parametrize("name", [p.name for p in UNITS if p.suffix == ".service"])
def test_the_sandbox_leaves_little_open(tmp_path: Path, name: str) -> None:
    """An exposure of 1.0 or less."""
    (unit,) = staged(tmp_path, [SOURCES / name])
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=10", unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout[-400:]


@needs_analyze
@pytest.mark.parametrize("timer", [p.name for p in UNITS if p.suffix == ".timer"])
def test_the_night_is_that_of_utc(timer: str) -> None:
    """At 02:00 UTC, whatever the machine's zone is."""
    calendar = re.findall(r"^OnCalendar=(.*)$", (SOURCES / timer).read_text(), re.MULTILINE)
    done = subprocess.run(
        ["systemd-analyze", "calendar", *calendar], capture_output=True, text=True, check=True, env={"TZ": "Asia/Tokyo"}
    )

    assert re.search(r"02:00:00 UTC", done.stdout)


@pytest.mark.parametrize(
    "timer",
    [p for p in (*UNITS, *USER_UNITS) if p.suffix == ".timer"],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_a_boot_is_a_reason_to_run(timer: Path) -> None:
    """Persistent= alone runs only after a missed night, and OnBootSec= is past when the timer starts late."""
    text = timer.read_text()

    assert "\nOnActiveSec=0\n" in text
    assert "\nPersistent=true\n" in text
    assert not re.search("^On(Boot|Startup)Sec=", text, re.MULTILINE)


@pytest.mark.parametrize(
    "unit", [p for p in (*UNITS, *USER_UNITS) if p.suffix == ".service" and "failure" not in p.name]
)
def test_what_does_not_mend_itself_is_not_tried_again(unit: Path) -> None:
    """The restart rules know the program's exit codes, and a stop is no failure."""
    text = unit.read_text()

    assert "\nRestartPreventExitStatus=64 77 78\n" in text
    assert "\nSuccessExitStatus=143\n" in text
    assert "\nConditionPathExists=" not in text
    assert re.search(r"^OnFailure=pgalmanac-failure@", text, re.MULTILINE)
