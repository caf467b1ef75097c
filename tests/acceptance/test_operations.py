"""What the world around calls: metrics, doctor, units, alert, completion, the probe, logs as JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
from pathlib import Path
from typing import Final

import pytest

from acceptance.running import On, Run
from support import add_default, add_partitions, add_rows, connect, partition_names, rows

NOBODY: Final = "host=127.0.0.1 port=9 connect_timeout=2"


def settings(folder: Path, text: str) -> str:
    """Return the path of a configuration with this text and the table events."""
    path = folder / "config.toml"
    path.write_text(f'{text}\n[[tables]]\nname = "events"\n')
    return str(path)


def hook(folder: Path, *, code: int = 0) -> tuple[str, Path]:
    """Return a program that keeps its standard input, and where."""
    program, kept = folder / "hook", folder / "kept"
    program.write_text(f'#!/bin/sh\necho "$1" >&2\ncat >{kept}\nexit {code}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program), kept


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: apt install prometheus)"
)
def test_promtools_linter_has_nothing_to_say(on: On, database: str) -> None:
    """Names, units and help are as Prometheus wants them, with every metric there."""
    add_default(database)
    on(database, "maintain")
    done = on(database, "metrics")
    lint = subprocess.run(["promtool", "check", "metrics"], input=done.out, capture_output=True, text=True, check=False)

    assert (0, "", "") == (lint.returncode, lint.stdout, lint.stderr)
    assert 'pgalmanac_runway_seconds{database="' in done.out
    assert re.search(r'pgalmanac_partitions\{.*state="future".*\} 30.0', done.out)


def sample(text: str, name: str, **labels: str) -> float | None:
    """The value of the metric *name* with these labels among its own; None when it is not there."""
    for found, value in re.findall(rf"^pgalmanac_{name}\{{(.*)\}} (\S+)$", text, re.MULTILINE):
        if all(f'{label}="{wanted}"' in found for label, wanted in labels.items()):
            return float(value)
    return None


@pytest.mark.pg(">= 15")
@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: apt install prometheus)"
)
def test_what_runs_measured_is_in_the_metrics(on: On, database: str, tmp_path: Path) -> None:
    """Size, growth, forecast, the limit and unusual days, as the last run stored them; the linter likes those too."""
    add_partitions(database, days=range(-30, -1), rows_a_day=40)
    add_partitions(database, days=[-1, 0])
    config = settings(tmp_path, "[defaults]\ndisk_limit_gb = 1\nretention_days = 36500")
    rows(database, "SELECT pg_stat_force_next_flush()")
    before = on(database, "metrics", "--config", config).out
    on(database, "maintain", "--config", config)
    add_rows(database, day=0, count=500)
    rows(database, "SELECT pg_stat_force_next_flush()")
    after = on(database, "metrics", "--config", config).out
    lint = subprocess.run(["promtool", "check", "metrics"], input=after, capture_output=True, text=True, check=False)
    ((stored,),) = rows(database, "SELECT sum(bytes)::int8 FROM housekeeper_partition_stats")
    growth = sample(after, "daily_growth_bytes")

    measured = ("table_rows", "table_bytes", "daily_growth_rows", "daily_growth_bytes", "forecast_horizon_bytes")
    assert [None] * 7 == [
        sample(before, name) for name in (*measured, "until_disk_limit_seconds", "unusual_partitions")
    ]
    assert (29 * 40, stored) == (sample(after, "table_rows"), sample(after, "table_bytes"))
    assert pytest.approx(27 * 40 / 28) == sample(after, "daily_growth_rows")
    assert growth is not None
    assert pytest.approx(growth * 36501, abs=1) == sample(after, "forecast_horizon_bytes")
    assert int(((1 << 30) - stored) / growth) * 86400 == sample(after, "until_disk_limit_seconds")
    assert 1 == sample(after, "unusual_partitions", code="no_events")
    assert 0 == sample(after, "unusual_partitions", code="unusual_volume")
    assert 1 == sample(after, "findings", level="warning")
    assert (0, "", "") == (lint.returncode, lint.stdout, lint.stderr)


def test_a_failure_leaves_the_last_success(on: On, database: str) -> None:
    """The dead man's switch would be useless if a failed run erased it."""
    on(database, "maintain")
    before = re.findall(r"^pgalmanac_last_success_timestamp_seconds.*", on(database, "metrics").out, re.MULTILINE)
    taken = partition_names(database)[5]
    with connect(database) as connection:
        connection.execute(f"DROP TABLE {taken}; CREATE TABLE {taken} (other int)".encode())
    failed = on(database, "maintain")
    after = on(database, "metrics").out

    assert 1 == failed.code
    assert before == re.findall(r"^pgalmanac_last_success_timestamp_seconds.*", after, re.MULTILINE)
    assert re.search(r"^pgalmanac_last_run_status\{.*\} 0.0", after, re.MULTILINE)


def test_maintain_writes_the_file_that_is_configured(on: On, database: str, tmp_path: Path) -> None:
    """In one step and readable for everybody, whatever the umask of the service is."""
    file = tmp_path / "pgalmanac.prom"
    config = settings(tmp_path, f'[metrics]\ntextfile = "{file}"')
    old = os.umask(0o077)
    try:
        done = on(database, "maintain", "--config", config)
    finally:
        os.umask(old)

    assert (0, "") == (done.code, done.err)
    assert "pgalmanac_up" in file.read_text()
    assert 0o644 == stat.S_IMODE(file.stat().st_mode)
    assert {"config.toml", "home", "pgalmanac.prom"} >= {p.name for p in tmp_path.iterdir()}


def test_stray_rows_are_counted(on: On, database: str, tmp_path: Path) -> None:
    """Rows that no run moves, because their days are not kept, stay in the metrics, and are no error after a run."""
    add_partitions(database, days=[-1, 0])
    add_default(database)
    add_rows(database, day=-200, count=7)
    config = settings(tmp_path, f'[metrics]\ntextfile = "{tmp_path}/pgalmanac.prom"')
    done = on(database, "maintain", "--config", config)

    assert (0, "") == (done.code, done.err)
    assert 7 == sample((tmp_path / "pgalmanac.prom").read_text(), "stray_rows")
    assert 7 == sample(on(database, "metrics").out, "stray_rows")


def test_a_file_that_cannot_be_written_costs_the_maintenance_nothing(on: On, database: str, tmp_path: Path) -> None:
    """Maintenance done, a warning, exit 0; `metrics` itself has nothing else to do and fails."""
    config = settings(tmp_path, f'[metrics]\ntextfile = "{tmp_path}/gone/x.prom"')
    done = on(database, "maintain", "--config", config)
    asked = on(database, "metrics", "--textfile", f"{tmp_path}/gone/x.prom")

    assert 0 == done.code
    assert "warning: the metrics were not written" in done.err
    assert 31 == len(partition_names(database))
    assert 78 == asked.code
    assert "cannot be written" in asked.err


def test_the_probe_says_where_an_insert_for_now_goes_and_leaves_nothing(on: On, database: str) -> None:
    """Proved by doing it; rolled back."""
    on(database, "maintain")
    done = on(database, "check", "--probe", "--json")

    assert 0 == done.code
    (table,) = done.document["tables"]
    assert table["proved"].startswith("public.events_")
    assert f"probe: an insert for now goes to {table['proved']}" in on(database, "check", "--probe").out
    assert [(0,)] == rows(database, "SELECT count(*) FROM events")


def test_a_probe_that_fails_is_critical(on: On, database: str) -> None:
    """Today is there, and a trigger that refuses every row all the same lets no event in."""
    on(database, "maintain")
    with connect(database) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'ZZ001'; END $$;"
            " CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse();"
            " ALTER TABLE events ENABLE ALWAYS TRIGGER refuse"
        )
    done = on(database, "check", "--probe")

    assert 0 == on(database, "check").code
    assert 2 == done.code
    assert "probe_failed" in done.out


def test_a_read_only_check_probes_nothing(on: On, database: str) -> None:
    """An insert is one, also when it is rolled back; a wrong command line of check is 3."""
    assert 3 == on(database, "--read-only", "check", "--probe").code


def test_doctor_says_what_to_do(on: On, database: str) -> None:
    """A line each; 1 while there is something to do, 0 after it was done."""
    before = on(database, "doctor")
    on(database, "init")
    after = on(database, "doctor")

    assert 1 == before.code
    assert re.search(r"^fix +history: .*pgalmanac init", before.out, re.MULTILINE)
    assert (0, "") == (after.code, after.err)
    for topic in ("connection", "version", "role", "clock", "pooler", "history", "public.events", "timer", "terminal"):
        assert re.search(rf"^(ok|note) +{topic}: ", after.out, re.MULTILINE), topic


def test_doctor_answers_without_a_server(run: Run) -> None:
    """What cannot be looked at is a line to mend, and the rest is looked at."""
    done = run("doctor", "--json", "--dsn", NOBODY)

    assert 1 == done.code
    assert "fix" == next(x["verdict"] for x in done.document["lines"] if x["topic"] == "connection")
    assert {"timer", "terminal"} <= {x["topic"] for x in done.document["lines"]}


def test_units_are_shown_before_they_are_written(run: Run, program: str, tmp_path: Path) -> None:
    """Three steps: look, install, and a third time there is nothing to do."""
    root = tmp_path / "root"
    shown = run("units", "--root", str(root))
    printed = run("units", "--root", str(root), "--print")

    assert 0 == shown.code
    assert f"{root}/etc/systemd/system/pgalmanac.service: new" in shown.out
    assert not root.exists()
    assert f"ExecStart={program} --headless" in printed.out
    installed = run("units", "--root", str(root), "--install")
    assert (0, "") == (installed.code, installed.err)
    assert "systemctl enable --now pgalmanac.timer" in installed.out
    again = run("units", "--root", str(root), "--json")
    assert {"same"} == {f["state"] for f in again.document["files"]}
    assert 64 == run("units", "--user", "--root", str(root)).code
    assert 64 == run("units", "--print", "--install").code


def test_the_hook_gets_the_report_of_the_run_that_failed(on: On, database: str, tmp_path: Path) -> None:
    """The service manager says which invocation it was, and the history knows its runs."""
    program, kept = hook(tmp_path)
    config = settings(tmp_path, f'on_failure = ["{program}", "an argument"]')
    on(database, "maintain", "--config", config, INVOCATION_ID="abc")
    monitor = {
        "MONITOR_UNIT": "pgalmanac.service",
        "MONITOR_SERVICE_RESULT": "exit-code",
        "MONITOR_EXIT_STATUS": "1",
        "MONITOR_INVOCATION_ID": "abc",
    }
    done = on(database, "alert", "--config", config, **monitor)
    report = json.loads(kept.read_text())

    assert 0 == done.code
    assert "pgalmanac.service failed (exit-code, status 1); run 1 of events-partition-maintenance" in done.err
    assert "an argument" in done.err
    assert ("pgalmanac.service", "1", "1") == (report["unit"], report["exit_status"], report["run_id"])
    assert "success" == report["runs"][0]["status"]


def test_without_a_configuration_the_hook_of_the_environment_is_called(run: Run, tmp_path: Path) -> None:
    """That the configuration is gone is what has to be told."""
    program, kept = hook(tmp_path)
    done = run("--config", "/nonexistent/config.toml", "alert", PGALMANAC_ON_FAILURE=f"{program} 'two words'")
    report = json.loads(kept.read_text())

    assert 0 == done.code
    assert "two words" in done.err
    assert "no configuration file" in report["error"]


@pytest.mark.parametrize("what", ["fails", "is missing", "is not set"])
def test_a_hook_that_cannot_do_its_work_is_said(run: Run, tmp_path: Path, what: str) -> None:
    """The failure itself is in the journal in any case."""
    program = {"fails": hook(tmp_path, code=3)[0], "is missing": "/nonexistent/hook", "is not set": ""}[what]
    done = run("alert", "--dsn", NOBODY, PGALMANAC_ON_FAILURE=program)
    wanted = {"fails": "ended with 3", "is missing": "cannot be started", "is not set": "on_failure is not set"}

    assert (0 if what == "is not set" else 1) == done.code
    assert "pgalmanac.service failed" in done.err
    assert wanted[what] in done.err


def test_a_hook_is_a_list(run: Run, tmp_path: Path) -> None:
    """Of words, with a program first."""
    for value in ("[]", '[""]', "[1]", "true"):
        done = run("--config", settings(tmp_path, f"on_failure = {value}"), "maintain")

        assert 78 == done.code
        assert "on_failure" in done.err


def test_the_log_can_be_json(run: Run) -> None:
    """One object a line on stderr, for flag and variable; stdout stays what it is."""
    for words, environ in ((("--log-format", "json"), {}), ((), {"PGALMANAC_LOG_FORMAT": "json"})):
        done = run(*words, "maintain", "--dsn", NOBODY, **environ)
        lines = [json.loads(line) for line in done.err.splitlines()]

        assert 69 == done.code
        assert ["error"] == [line["level"] for line in lines]
        assert "cannot reach" in lines[0]["message"]
        assert lines[0]["time"].endswith("+00:00")
    assert 64 == run("--log-format", "xml", "maintain").code


def test_the_credential_is_the_password_when_there_is_no_other(run: Run, tmp_path: Path) -> None:
    """It is read, it is never shown, and one that cannot be read is said."""
    (tmp_path / "pgalmanac.pgpassword").write_bytes(b"\xff\n")
    done = run("maintain", "--dsn", NOBODY, CREDENTIALS_DIRECTORY=str(tmp_path))

    assert 78 == done.code
    assert "the credential pgalmanac.pgpassword cannot be read" in done.err
    (tmp_path / "pgalmanac.pgpassword").write_text("secret word\n")
    done = run("-vv", "maintain", "--dsn", NOBODY, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert 69 == done.code
    assert "secret word" not in done.err


def test_the_service_manager_hears_how_far_it_is(on: On, database: str, tmp_path: Path) -> None:
    """A line for systemctl status; a socket that is gone is no reason to fail."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(0)
        on(database, "maintain", NOTIFY_SOCKET=str(path))
        said = []
        while True:
            try:
                said.append(listener.recv(4096).decode())
            except BlockingIOError:
                break

    assert "STATUS=public.events: 31 to do" == said[0]
    assert said[-1].startswith("STATUS=")
    assert 0 == on(database, "maintain", NOTIFY_SOCKET=str(tmp_path / "gone")).code


def test_init_makes_the_health_function(on: On, database: str) -> None:
    """Beside the run history, for an endpoint without Python."""
    add_partitions(database, days=[0])
    on(database, "init")

    assert ["last_success_old", "runway_short"] == sorted(
        code for (code,) in rows(database, "SELECT code FROM partition_health('events')")
    )


def test_a_shell_without_completion_is_refused(run: Run) -> None:
    """With those that have one."""
    assert 0 == run("completion", "bash").code
    refused = run("completion", "tcsh")
    assert 64 == refused.code
    assert "bash, zsh or fish" in refused.err
