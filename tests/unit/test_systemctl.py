"""What systemd is asked, with a systemctl of the test's own on the path."""

from __future__ import annotations

import asyncio
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgalmanac import systemctl
from pgalmanac.config import Settings
from pgalmanac.doctor import examine
from pgalmanac.doctor_lines import Verdict

TIMERS = """[{"next": 1700000600000000, "unit": "pgalmanac@b.timer"}, {"next": 0, "unit": "pgalmanac@off.timer"},
 {"next": 1700000000000000, "unit": "pgalmanac.timer"}, {"next": null}]"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the systemctl is that is found first."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "systemctl"


def says(program: Path, script: str) -> None:
    """Make *program* a shell script."""
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


async def test_the_next_timer_is_the_earliest_that_is_due(program: Path) -> None:
    """A timer that is never due again is none."""
    says(program, f"""[ "$*" = "list-timers --all --output=json pgalmanac*.timer" ] && echo '{TIMERS}'""")

    assert datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC) == await systemctl.next_elapse("pgalmanac*.timer")


async def test_a_units_properties_are_read_from_the_manager_that_was_asked(program: Path) -> None:
    """A value may hold an equals sign, and a line without one is none."""
    says(program, 'case "$1" in --user) echo "Result=exit=1"; echo; echo odd ;; *) exit 1 ;; esac')

    assert {"Result": "exit=1"} == await systemctl.properties("--user", "pgalmanac.timer")
    assert None is await systemctl.properties("--system", "pgalmanac.timer")


@pytest.mark.parametrize("text", ["", "no timers listed", "{}", '[1, {"next": "soon"}]', "[]"])
async def test_what_is_no_list_of_timers_knows_no_next_one(program: Path, text: str) -> None:
    """Older systems print text."""
    says(program, f"echo '{text}'")

    assert None is await systemctl.next_elapse("pgalmanac*.timer")


async def test_a_systemd_that_does_not_answer_is_not_waited_for(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its process is ended, also when who asked is cancelled."""
    says(program, f"echo $$ >>{tmp_path}/pids; exec sleep 1000")
    monkeypatch.setattr(systemctl, "_SHORT_SECONDS", 0.3)
    late = await systemctl.next_elapse("pgalmanac*.timer")
    monkeypatch.setattr(systemctl, "_SHORT_SECONDS", 1000)
    asking = asyncio.create_task(systemctl.next_elapse("pgalmanac*.timer"))
    while len((tmp_path / "pids").read_text().split()) < 2:  # noqa: ASYNC110  # another process writes it
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert late is None
    assert asking.cancelled()
    for pid in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


async def test_without_the_program_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither with one that cannot be started."""
    monkeypatch.setenv("PATH", str(tmp_path))
    nowhere = (systemctl.is_here(), await systemctl.next_elapse("x"))
    says(tmp_path / "systemctl", "")
    (tmp_path / "systemctl").write_text("#!/nowhere/at/all\n")

    assert (False, None) == nowhere
    assert (True, None) == (systemctl.is_here(), await systemctl.next_elapse("x"))


async def timer_lines(program: Path, **units: str) -> list[tuple[Verdict, str]]:
    """Return what doctor says of the timer, where systemctl prints *units* by manager and kind."""
    cases = "".join(f'"{key.replace("_", " ")}") printf "{text}" ;;\n' for key, text in units.items())
    says(program, f'case "${{1#--}} ${{4##*.}}" in\n{cases} *) exit 1 ;; esac')
    lines = await examine(Settings(dsn="host=127.0.0.1 port=9 connect_timeout=2"), {})
    return [(line.verdict, line.message) for line in lines if line.topic in {"timer", "service"}]


async def test_doctor_looks_at_the_systems_timer_and_then_at_the_users(program: Path) -> None:
    """One that is found is told of with the commands of its manager."""
    nothing = await timer_lines(program, system_timer="LoadState=not-found\\n")
    found = await timer_lines(
        program,
        system_timer="LoadState=not-found\\n",
        user_timer="LoadState=loaded\\nActiveState=inactive\\n",
        user_service="Result=exit-code\\nExecMainStatus=78\\n",
    )

    assert [(Verdict.NOTE, "pgalmanac.timer is not installed; pgalmanac units --install does it")] == nothing
    assert [
        (
            Verdict.FIX,
            "pgalmanac.timer is installed and does not run: systemctl --user enable --now pgalmanac.timer",
        ),
        (Verdict.FIX, "the last run failed (exit-code, status 78): journalctl --user -u pgalmanac.service"),
    ] == found
