"""What is handed out for the world around: alert rules, dashboard, cron and Kubernetes, held against the program."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from pgalmanac.arguments import parse
from pgalmanac.metrics import METRICS

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
RULES: Final = DEPLOY / "prometheus/pgalmanac.rules.yml"
DASHBOARD: Final = DEPLOY / "grafana/dashboards/pgalmanac.json"
GRAFANA_ALERTS: Final = DEPLOY / "grafana/provisioning/alerting/pgalmanac.yaml"
MANIFESTS: Final = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
KNOWN: Final = {f"pgalmanac_{name}" for name in METRICS}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: apt install prometheus)"
)


def rules() -> list[dict[str, Any]]:
    """Return the alert rules for Prometheus."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def queries() -> list[str]:
    """Return every PromQL query of the dashboard."""
    return [t["expr"] for p in dashboard()["panels"] for t in p["targets"] if "expr" in t]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


@needs_promtool
def test_the_alerts_fire_when_they_should() -> None:
    """The rules' own unit tests pass."""
    done = promtool("test", "rules", RULES.with_name("pgalmanac.rules.test.yml"))

    assert 0 == done.returncode, done.stdout + done.stderr


@needs_promtool
def test_every_query_of_the_dashboard_parses(tmp_path: Path) -> None:
    """Grafana is not asked: its variables stand inside of strings, so that each query is PromQL as it is."""
    file = tmp_path / "queries.yml"
    wanted = [{"record": f"q{number}", "expr": query} for number, query in enumerate(queries())]
    file.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": wanted}]}))
    done = promtool("check", "rules", file)

    assert len(wanted) > 10
    assert 0 == done.returncode, done.stdout + done.stderr


def test_every_alert_that_was_asked_for_is_there() -> None:
    """Runway, today, strays, success, failure, absence; each with a level and something to do."""
    names = {rule["alert"].removeprefix("Pgalmanac") for rule in rules()}

    assert {"RunwayShort", "TodayMissing", "StrayRows", "NoSuccess", "RunFailed", "Absent"} <= names
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert {"summary", "description"} == set(rule["annotations"])


def test_nothing_asks_for_a_metric_that_does_not_exist() -> None:
    """Rules, dashboard and Grafana's alerts name metrics that the program has."""
    texts = [RULES.read_text(), DASHBOARD.read_text(), GRAFANA_ALERTS.read_text()]
    named = {name for text in texts for name in re.findall(r"\bpgalmanac_[a-z_]+", text)}

    assert set() == named - KNOWN


def test_grafanas_alerts_are_those_of_prometheus() -> None:
    """The same expressions, which are tested there; ids are fixed and short enough."""
    groups = yaml.safe_load(GRAFANA_ALERTS.read_text())["groups"]
    found = [rule for group in groups for rule in group["rules"]]

    assert {r["alert"]: r["expr"] for r in rules()} == {r["title"]: r["data"][0]["model"]["expr"] for r in found}
    assert len(found) == len({r["uid"] for r in found})
    for rule in found:
        assert re.fullmatch(r"[a-z-]{1,40}", rule["uid"])
        assert "humanize" not in rule["annotations"]["summary"]


def test_the_dashboard_can_be_provisioned_anywhere() -> None:
    """A fixed uid, panels with ids of their own, and no data source but those of the variables."""
    found = dashboard()
    ids = [panel["id"] for panel in found["panels"]]
    variables = {v["name"]: v for v in found["templating"]["list"]}

    assert "pgalmanac" == found["uid"]
    assert len(ids) == len(set(ids))
    assert "prometheus" == variables["prometheus"]["query"]
    for panel in found["panels"]:
        for target in panel["targets"]:
            assert target["datasource"]["uid"] in {"${prometheus}", "${postgres}"}
    for used in re.findall(r"\$(?:\{(\w+)\}|(\w+))", " ".join(queries())):
        assert "".join(used) in variables


def test_no_panels_lie_on_each_other() -> None:
    """Each cell of the grid of 24 columns belongs to one panel."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}

        assert at["x"] + at["w"] <= 24
        assert set() == cells & taken
        taken |= cells


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_kubernetes_knows_every_field(manifest: Path, version: str) -> None:
    """Against the schemas of the oldest version with a stable podFailurePolicy and of a recent one."""
    for document in yaml.safe_load_all(manifest.read_text()):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_cronjob_is_as_safe_as_the_timer() -> None:
    """UTC, never twice, a limit, no useless retries, no root, nothing to write to."""
    job = yaml.safe_load((DEPLOY / "kubernetes/cronjob.yaml").read_text())["spec"]
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    refused = job["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][0]

    assert ("0 2 * * *", "Etc/UTC", "Forbid") == (job["schedule"], job["timeZone"], job["concurrencyPolicy"])
    assert [64, 77, 78] == refused["onExitCodes"]["values"]
    assert container["name"] == refused["onExitCodes"]["containerName"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"drop": ["ALL"]} == container["securityContext"]["capabilities"]
    assert "Never" == pod["restartPolicy"]


def test_the_containers_arguments_are_ones_that_the_program_takes() -> None:
    """A manifest is no place to find out about a renamed option."""
    job = yaml.safe_load((DEPLOY / "kubernetes/cronjob.yaml").read_text())["spec"]
    (container,) = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]

    assert "maintain" == parse(["--headless", *container["args"]], {}).command


def test_the_containerfile_copies_what_is_there() -> None:
    """And runs as nobody."""
    text = (DEPLOY / "kubernetes/Containerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]]

    assert [] == [path for path in copied if not (DEPLOY.parent / path).exists()]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)


def from_cron(folder: Path, *statuses: int) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the wrapper with a program that ends with each status in turn; return what it did and the calls."""
    calls = folder / "calls"
    answers = " ".join(map(str, statuses))
    program = folder / "pgalmanac"
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{calls}\necho "said on $(grep -c maintain {calls})"\n'
        f'case "$*" in *alert*) echo "$MONITOR_EXIT_STATUS" >>{calls}; exit 0 ;; esac\n'
        f"set -- {answers}\nshift $(($(grep -c maintain {calls}) - 1))\nexit $1\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    done = subprocess.run(
        [DEPLOY / "cron/run-and-tell", "scheduler"],
        env={"PATH": os.environ["PATH"], "PGALMANAC": str(program), "PGALMANAC_PAUSE": "0", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done, calls.read_text().splitlines()


def test_cron_is_silent_when_all_is_well(tmp_path: Path) -> None:
    """A mail a night is one that nobody reads."""
    done, calls = from_cron(tmp_path, 0)

    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode)
    assert ["--headless maintain --wait 600 --triggered-by scheduler"] == calls


@pytest.mark.parametrize(
    ("statuses", "code", "tries"), [((69, 0), 0, 2), ((1, 1, 1), 1, 3), ((78,), 78, 1), ((77,), 77, 1), ((64,), 64, 1)]
)
def test_cron_tries_again_as_the_unit_does(tmp_path: Path, statuses: tuple[int, ...], code: int, tries: int) -> None:
    """Three times, unless trying mends nothing; then it alerts once and says everything."""
    done, calls = from_cron(tmp_path, *statuses)

    assert code == done.returncode
    assert tries == sum("maintain" in call for call in calls)
    assert (["--headless alert", str(code)] if code else []) == [c for c in calls if "maintain" not in c]
    assert bool(code) == bool(done.stdout)
