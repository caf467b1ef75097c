"""The units under a real systemd: `python tests/systemd/lab.py` boots one in a container and prints what it saw.

It needs Linux and root; debootstrap and systemd-nspawn are installed where apt is there to do it. Where it cannot run
it says so and ends with 0. The base image (two minutes, once) and the wheels are kept in the user's cache folder;
`--keep` leaves the container running for a look around and says how to get in; names of scenes play those alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgalmanac" / "systemd-lab"
SUITE: Final = "bookworm"
PACKAGES: Final = (
    *("systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "libnss-systemd"),
    *("ca-certificates", "postgresql", "python3-venv"),
)
PROGRAM: Final = "/opt/pgalmanac/bin/pgalmanac"
SERVICE: Final = "pgalmanac.service"
HISTORY: Final = "pgalmanac.housekeeper_runs"

# Inside, the hierarchy must be that of version 2 alone, or IPAddressDeny= is not enforced and nobody says so; the two
# capabilities and bpf() are what systemd enforces it with.
BOOT: Final = """
umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 91
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged" || exit 92
exec systemd-nspawn --directory="$2/merged" --boot --register=no --keep-unit --console=pipe --machine=pgalmanac-lab \
  --private-network --capability=CAP_BPF,CAP_NET_ADMIN --system-call-filter=bpf --bind-ro="$3:/wheels"
"""
ENVIRONMENT: Final = ("/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "SYSTEMD_PAGER=cat")


class CannotError(Exception):
    """This machine cannot boot the lab; the sentence says why."""


def run(*command: str | Path, timeout: float = 600, check: bool = True) -> str:
    """Run a program of this machine and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def prepare() -> None:
    """Have the programs that build and boot a container. Raises CannotError where they cannot be had."""
    if platform.system() != "Linux":
        raise CannotError("systemd is for Linux")
    if os.geteuid() != 0:
        raise CannotError("booting a container needs root")
    if not all(shutil.which(program) for program in ("debootstrap", "systemd-nspawn")):
        if shutil.which("apt-get") is None:
            raise CannotError("debootstrap and systemd-nspawn are missing, and there is no apt-get to install them")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "debootstrap", "systemd-container"]):
            done = subprocess.run(["apt-get", "--quiet", *words], env=environment, capture_output=True, check=False)
            if done.returncode:
                raise CannotError("debootstrap and systemd-nspawn cannot be installed with apt-get")
    trial = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"],
        capture_output=True,
        text=True,
        check=False,
    )
    if trial.returncode:
        raise CannotError(f"this root may not mount ({trial.stderr.strip()})")


def base_image() -> Path:
    """The folder of a Debian with PostgreSQL, built once and never written to."""
    base = CACHE / SUITE
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / ".complete").exists():
            shutil.rmtree(base, ignore_errors=True)
            say(f"building the base image in {base}, once; it takes about two minutes")
            try:
                run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, base)
            except RuntimeError as exc:
                raise CannotError(f"the base image cannot be built ({str(exc).splitlines()[-1]})") from exc
            (base / ".complete").touch()
    return base


def wheels(base: Path) -> Path:
    """The folder with the wheel of this checkout and of all it needs, for the image's Python."""
    folder = CACHE / "wheels"
    version = (base / "usr/bin/python3").readlink().name.removeprefix("python")
    for old in folder.glob("pgalmanac-*.whl"):
        old.unlink()
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    own = next(folder.glob("pgalmanac-*.whl"))
    run(*pip, "download", "--only-binary=:all:", "--python-version", version, "--dest", folder, own)
    return folder


class Machine:
    """A container with a systemd of its own, on an overlay that outlives a reboot."""

    def __init__(self, base: Path, scratch: Path, wheelhouse: Path) -> None:
        """Boot from *base* with changes going to *scratch*."""
        self.base, self.scratch, self.wheelhouse = base, scratch, wheelhouse
        for name in ("upper", "work", "merged"):
            (scratch / name).mkdir()
        self.nspawn: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start it and wait until it is up."""
        with (self.scratch / "boot.log").open("wb") as log:
            self.nspawn = subprocess.Popen(
                [
                    *("unshare", "--mount", "--propagation", "private"),
                    *("sh", "-c", BOOT, "boot", str(self.base), str(self.scratch), str(self.wheelhouse)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        for _ in range(300):
            if self.nspawn.poll() is not None:
                break
            if self.try_run("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}:
                return
            time.sleep(0.2)
        text = (self.scratch / "boot.log").read_text(errors="replace")
        raise CannotError(f"the container does not boot:\n{text[-2000:]}")

    def power_off(self) -> None:
        """Shut it down in order, as before a reboot."""
        if self.nspawn is None or self.nspawn.poll() is not None:
            return
        self.try_run("systemctl", "poweroff")
        try:
            self.nspawn.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.nspawn.terminate()
            self.nspawn.wait(timeout=30)

    def entrance(self) -> list[str]:
        """The command that enters it."""
        pid = self.nspawn.pid if self.nspawn is not None else 0
        children = Path(f"/proc/{pid}/task/{pid}/children")
        leader = children.read_text().split()[:1] if children.exists() else []
        flags = [f"-{name}" for name in "muinpCr"]
        return ["nsenter", "-t", *(leader or ["0"]), *flags, "--", *ENVIRONMENT, "sh", "-c", 'cd / && exec "$@"', "in"]

    def try_run(self, *command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command inside, whatever becomes of it."""
        return subprocess.run(
            [*self.entrance(), *command], input=text, capture_output=True, text=True, timeout=300, check=False
        )

    def run(self, *command: str, text: str | None = None) -> str:
        """Run a command inside and return what it printed; an error is one of this script."""
        done = self.try_run(*command, text=text)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Write a file inside, with its folder."""
        self.run("sh", "-c", f"mkdir -p $(dirname {path}) && cat >{path} && chmod {mode} {path}", text=text)

    def sql(self, query: str) -> str:
        """What psql prints for *query* in the database app, as the superuser."""
        return self.run("runuser", "-u", "postgres", "--", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "app", text=query)

    def shown(self, unit: str, *names: str) -> dict[str, str]:
        """Some properties of a unit."""
        text = self.run("systemctl", "show", f"--property={','.join(names)}", unit)
        return dict(line.split("=", 1) for line in text.splitlines())

    def start(self, unit: str = SERVICE) -> tuple[str, str]:
        """Start a unit, wait for its end, and return its exit status and result."""
        self.try_run("systemctl", "reset-failed", unit)
        self.try_run("systemctl", "start", unit)
        found = self.shown(unit, "ExecMainStatus", "Result")
        return found["ExecMainStatus"], found["Result"]

    def journal(self, unit: str, *more: str) -> str:
        """What a unit said."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", *more)

    def count(self, where: str = "true") -> int:
        """How many runs are recorded."""
        return int(self.sql(f"SELECT count(*) FROM {HISTORY} WHERE {where}"))


class Results:
    """What was seen, said at once; in the end how many points held."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.passed = self.failed = 0

    def see(self, what: str, holds: object, saw: object) -> None:
        """Say whether a point holds and what was seen."""
        self.passed += bool(holds)
        self.failed += not holds
        text = re.sub(r"\s+", " ", str(saw))
        say(f"{'ok    ' if holds else 'FAILED'}  {what}\n          saw: {text[:300]}")


def say(text: str) -> None:
    """Print at once: a run that hangs should show where."""
    print(text, flush=True)


def until(condition: Callable[[], object], seconds: float = 40) -> bool:
    """Whether *condition* comes true in so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.3)
    return False


def role_of_the_manual() -> str:
    """The SQL of docs/operations.md that makes the least role that works."""
    found = re.search(r"```sql\n(.*?)```", (ROOT / "docs/operations.md").read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise RuntimeError("docs/operations.md has no SQL")
    return found[1]


def install(machine: Machine, results: Results) -> None:
    """The wheel into /opt, the units by its own command."""
    machine.run("python3", "-m", "venv", "/opt/pgalmanac")
    machine.run("/opt/pgalmanac/bin/pip", "install", "--quiet", "--no-index", "--find-links=/wheels", "pgalmanac")
    preview = machine.run(PROGRAM, "units")
    results.see("units says first what it would write", "pgalmanac.timer: new" in preview, preview)
    absent = machine.try_run("test", "-e", "/etc/systemd/system/pgalmanac.timer").returncode
    results.see("and writes nothing", absent, f"test -e ended with {absent}")
    machine.run(PROGRAM, "units", "--install")
    machine.run("sh", "-c", "systemd-sysusers && systemd-tmpfiles --create pgalmanac.conf && systemctl daemon-reload")
    verify = machine.try_run(
        "sh", "-c", "systemd-analyze verify --man=no /etc/systemd/system/pgalmanac*.service /etc/systemd/system/*.timer"
    )
    said = verify.stdout + verify.stderr
    results.see("systemd-analyze verify is silent", verify.returncode == 0 and not said, said or "nothing")
    for unit in (SERVICE, "pgalmanac@x.service", "pgalmanac-failure@x.service"):
        text = machine.run("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
        score = float(re.findall(r"\d+\.\d+", text)[0])
        results.see(f"the exposure of {unit} is at most 1.0", score <= 1.0, text)
    machine.run("sh", "-c", "echo '# by hand' >>/etc/systemd/system/pgalmanac@.timer")
    again = machine.run(PROGRAM, "units", "--install")
    kept = machine.run("tail", "-n1", "/etc/systemd/system/pgalmanac@.timer")
    results.see("what an administrator changed is left alone", kept == "# by hand", again)


def no_configuration(machine: Machine, results: Results) -> None:
    """Exit 78 alerts at once, is not tried again, and calls the hook once."""
    machine.write(
        "/usr/local/bin/hook", "#!/bin/sh\ncat >>/var/lib/pgalmanac/hook; echo >>/var/lib/pgalmanac/hook\n", "755"
    )
    machine.write("/etc/default/pgalmanac", "PGALMANAC_ON_FAILURE=/usr/local/bin/hook\n")
    status = machine.start()
    results.see("without a configuration the service ends with 78", status == ("78", "exit-code"), status)
    called = until(lambda: hooks(machine), 20)
    time.sleep(2)
    report = hooks(machine)
    results.see("the hook was called once", called and len(report) == 1, report)
    tries = machine.shown(SERVICE, "NRestarts", "ActiveState")
    results.see("and the service is not tried again", tries == {"NRestarts": "0", "ActiveState": "failed"}, tries)
    loud = machine.journal(SERVICE, "--priority=err")
    results.see("its line has the priority of an error", "there is no configuration file" in loud, loud)
    said = machine.journal("pgalmanac-failure@config.service")
    results.see("the journal has what failed and its last lines", "status 78" in said and "config.toml" in said, said)


def hooks(machine: Machine) -> list[dict[str, object]]:
    """The reports that the hook was given so far."""
    text = machine.try_run("cat", "/var/lib/pgalmanac/hook").stdout
    return [json.loads(line) for line in text.splitlines() if line]


def database(machine: Machine) -> None:
    """A table that nobody made partitions for, and the role of the manual."""
    machine.run("systemctl", "start", "postgresql.service")
    until(lambda: machine.try_run("runuser", "-u", "postgres", "--", "psql", "-c", "SELECT 1").returncode == 0)
    machine.run("runuser", "-u", "postgres", "--", "createdb", "app")
    machine.sql(
        "CREATE ROLE app_owner NOLOGIN; GRANT CREATE ON SCHEMA public TO app_owner; SET ROLE app_owner;"
        " CREATE TABLE events (at timestamptz NOT NULL, note text) PARTITION BY RANGE (at)"
    )
    machine.sql(role_of_the_manual())


def peer(machine: Machine, results: Results) -> None:
    """The first real run: peer authentication inside the sandbox, metrics, history."""
    machine.write(
        "/etc/pgalmanac/config.toml",
        'on_failure = ["/usr/local/bin/hook"]\n[connection]\ndsn = "dbname=app"\n[[tables]]\nname = "public.events"\n'
        '[metrics]\ntextfile = "/var/lib/pgalmanac/pgalmanac.prom"\n',
    )
    status = machine.start()
    results.see("peer authentication works inside the sandbox", status == ("0", "success"), status)
    made = machine.sql("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
    results.see("31 partitions were made", made == "31", made)
    mode = machine.run("stat", "-c", "%a %U", "/var/lib/pgalmanac/pgalmanac.prom")
    results.see("the metrics were written, for everybody to read", mode == "644 pgalmanac", mode)
    unit = machine.run("journalctl", "--no-pager", "--output=json", "--lines=1", f"--unit={SERVICE}", "--grep=created")
    results.see("the journal has the report", "MESSAGE" in unit, json.loads(unit)["MESSAGE"])


def timer(machine: Machine, results: Results) -> None:
    """The timer's own runs, on a schedule that does not keep anybody waiting."""
    before = machine.count()
    machine.write("/etc/systemd/system/pgalmanac.timer.d/soon.conf", "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/4\n")
    # Within minutes of a boot a run is one of startup; for a container its boot is when this file was made.
    machine.run("touch", "-d", "1 hour ago", "/run/systemd/container")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "pgalmanac.timer")
    ran = until(lambda: machine.count() >= before + 2)
    machine.run("systemctl", "stop", "pgalmanac.timer")
    by = machine.sql(f"SELECT string_agg(triggered_by, ' ' ORDER BY started_at) FROM {HISTORY}")
    results.see("a timer ran it at a shortened schedule", ran and by.endswith("scheduler scheduler"), by)
    machine.run("rm", "-r", "/etc/systemd/system/pgalmanac.timer.d")
    machine.run("systemctl", "daemon-reload")


def password(machine: Machine, results: Results) -> None:
    """A second instance over TCP, whose password is a credential; without one it is refused and not tried again."""
    machine.sql("ALTER ROLE pgalmanac PASSWORD 'se cret'")
    machine.write(
        "/etc/pgalmanac/tcp.toml",
        '[connection]\ndsn = "host=127.0.0.1 dbname=app user=pgalmanac"\n[[tables]]\nname = "public.events"\n',
    )
    status = machine.start("pgalmanac@tcp.service")
    results.see("without its credential it ends with 77", status == ("77", "exit-code"), status)
    machine.write("/etc/credstore/pgalmanac-tcp.pgpassword", "se cret\n", "600")
    status = machine.start("pgalmanac@tcp.service")
    results.see("a password credential works inside the sandbox", status == ("0", "success"), status)
    said = machine.journal("pgalmanac@tcp.service")
    results.see("and no journal has it", "se cret" not in said, said[-150:])


def outside(machine: Machine, results: Results) -> None:
    """A write outside of its folder is refused, and costs the maintenance nothing."""
    machine.write(
        "/etc/pgalmanac/outside.toml",
        '[connection]\ndsn = "dbname=app"\n[[tables]]\nname = "public.events"\n[metrics]\ntextfile = "/opt/out.prom"\n',
    )
    status = machine.start("pgalmanac@outside.service")
    said = machine.journal("pgalmanac@outside.service")
    absent = machine.try_run("test", "-e", "/opt/out.prom").returncode
    refused = "Read-only file system" in said and absent and status == ("0", "success")
    results.see("a write outside its folders is refused, a warning, exit 0", refused, (status, said[-200:]))
    machine.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/var/lib/pgalmanac")
    status = machine.start()
    said = machine.journal(SERVICE, "--lines=20", "--grep=metrics")
    machine.run("umount", "/var/lib/pgalmanac")
    results.see("with a read-only /var it still maintains", status == ("0", "success") and "not written" in said, said)


def stopped(machine: Machine, results: Results) -> None:
    """Stopped in the middle of a run: clean for systemd, 143, and recorded."""
    machine.sql("DROP TABLE events_" + machine.sql("SELECT to_char(now() AT TIME ZONE 'UTC' + '9 d', 'YYYY_MM_DD')"))
    holder = subprocess.Popen(
        [
            *(*machine.entrance(), "runuser", "-u", "postgres", "--", "psql", "-Xq", "app", "-c"),
            "BEGIN; LOCK TABLE events; SELECT pg_sleep(60)",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(1)
    # A unit that is done is forgotten, and its exit status with it.
    note = "ExecStopPost=/bin/sh -c 'echo $EXIT_CODE $EXIT_STATUS $SERVICE_RESULT >/var/lib/pgalmanac/ended'"
    machine.write("/etc/systemd/system/pgalmanac.service.d/note.conf", f"[Service]\n{note}\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "--no-block", SERVICE)
    running = until(lambda: machine.count("status = 'running'") == 1)
    status_line = machine.run("systemctl", "show", "--property=StatusText", SERVICE)
    results.see("systemctl status shows what it is at", "public.events" in status_line, status_line)
    other = machine.start("pgalmanac@tcp.service")
    machine.run("systemctl", "stop", "pgalmanac@tcp.service")
    results.see("a second instance on the same table ends with 75", other[0] == "75", other)
    machine.run("systemctl", "stop", SERVICE)
    state = machine.shown(SERVICE, "ActiveState")["ActiveState"]
    ended = machine.run("cat", "/var/lib/pgalmanac/ended")
    machine.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"
    )
    holder.wait(timeout=30)
    good = running and ended == "exited 143 success" and state == "inactive"
    results.see("stopped in mid-run it ends with 143, and clean", good, f"{ended}, {state}")
    machine.run("rm", "-r", "/etc/systemd/system/pgalmanac.service.d")
    machine.run("systemctl", "daemon-reload")
    row = machine.sql(f"SELECT status, error FROM {HISTORY} ORDER BY started_at DESC LIMIT 1")
    results.see("and the run is recorded", row == "error|interrupted", row)
    status = machine.start()
    results.see("the next run makes up for it", status == ("0", "success"), status)


def late(machine: Machine, results: Results) -> None:
    """A database that comes up after we do, and one that never does."""
    machine.run("systemctl", "stop", "postgresql.service")
    machine.run("systemctl", "start", "--no-block", SERVICE)
    time.sleep(3)
    machine.run("systemctl", "start", "postgresql.service")
    good = until(
        lambda: machine.shown(SERVICE, "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    )
    said = machine.journal(SERVICE, "--lines=20")
    results.see(
        "it waits for a database that comes up later, and says so", good and "trying again" in said, said[-300:]
    )
    machine.run("rm", "-f", "/var/lib/pgalmanac/hook")
    machine.write(
        "/etc/systemd/system/pgalmanac.service.d/hurry.conf",
        f"[Service]\nRestartSec=1\nExecStart=\nExecStart={PROGRAM} --headless --config /etc/pgalmanac/config.toml"
        " --dsn 'host=127.0.0.1 port=9' maintain --wait 1\n",
    )
    machine.run("systemctl", "daemon-reload")
    machine.try_run("systemctl", "reset-failed", SERVICE)
    machine.try_run("systemctl", "start", SERVICE)
    until(lambda: hooks(machine), 60)
    time.sleep(2)
    found = machine.shown(SERVICE, "ExecMainStatus", "NRestarts", "ActiveState")
    calls = hooks(machine)
    tried = found == {"ExecMainStatus": "69", "NRestarts": "3", "ActiveState": "failed"}
    results.see(
        "without a database it ends with 69, three times, then the hook is called once",
        tried and len(calls) == 1,
        (found, len(calls)),
    )
    last = machine.shown(SERVICE, "ExecMainPID")
    machine.try_run("systemctl", "start", SERVICE)
    again = machine.shown(SERVICE, "ExecMainPID")
    results.see("until reset-failed nobody starts it", again == last, f"{last}, then {again}")
    machine.run("rm", "-r", "/etc/systemd/system/pgalmanac.service.d")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reset-failed", SERVICE)


def failed_run(machine: Machine, results: Results) -> None:
    """A run that failed is found by the failure unit in the history, with its id."""
    machine.run("rm", "-f", "/var/lib/pgalmanac/hook")
    machine.write("/etc/systemd/system/pgalmanac.service.d/once.conf", "[Service]\nRestart=no\n")
    machine.run("systemctl", "daemon-reload")
    day = machine.sql("SELECT to_char(now() AT TIME ZONE 'UTC' + '8 d', 'YYYY_MM_DD')")
    machine.sql(f"DROP TABLE events_{day}; CREATE TABLE events_{day} (other int)")
    status = machine.start()
    until(lambda: hooks(machine), 20)
    report = (hooks(machine) or [{}])[0]
    recorded = machine.sql(f"SELECT max(id) FROM {HISTORY}")
    results.see("the hook's report has the run's id", status[0] == "1" and report.get("run_id") == recorded, report)
    machine.sql(f"DROP TABLE events_{day}")
    machine.run("rm", "-r", "/etc/systemd/system/pgalmanac.service.d")
    machine.run("systemctl", "daemon-reload")
    machine.start()


def elsewhere(machine: Machine, results: Results) -> None:
    """A program in a home folder, which the sandbox hides; and units of an account without root."""
    machine.run("python3", "-m", "venv", "--without-pip", "/root/own place")
    machine.run(
        "sh", "-c", "cd '/root/own place'/lib/python3*/site-packages && echo /opt/pgalmanac/lib/*/site-packages >x.pth"
    )
    machine.run("mkdir", "/etc/saved")
    machine.run("sh", "-c", "mv /etc/systemd/system/pgalmanac* /etc/saved/")
    machine.run("/root/own place/bin/python", "-m", "pgalmanac", "units", "--install")
    machine.run("systemctl", "daemon-reload")
    status = machine.start()
    line = machine.run("grep", "^ExecStart", f"/etc/systemd/system/{SERVICE}")
    results.see("a program below /root is let through to", status == ("0", "success"), (status, line))
    machine.run(
        "sh", "-c", "rm /etc/systemd/system/pgalmanac*; mv /etc/saved/* /etc/systemd/system/; systemctl daemon-reload"
    )

    machine.run("useradd", "--create-home", "op")
    machine.sql("CREATE ROLE op LOGIN; GRANT pgalmanac TO op; GRANT ALL ON ALL TABLES IN SCHEMA pgalmanac TO op")
    machine.run("loginctl", "enable-linger", "op")
    uid = machine.run("id", "-u", "op")
    until(lambda: machine.try_run("test", "-S", f"/run/user/{uid}/bus").returncode == 0)
    as_op = ("runuser", "-u", "op", "--", "env", "HOME=/home/op", f"XDG_RUNTIME_DIR=/run/user/{uid}")
    machine.run(*as_op, PROGRAM, "units", "--user", "--install")
    machine.write(
        "/home/op/.config/pgalmanac/config.toml",
        '[connection]\ndsn = "dbname=app"\n[history]\ntable = "pgalmanac.housekeeper_runs"\n'
        '[[tables]]\nname = "public.events"\n',
    )
    machine.run(*as_op, "systemctl", "--user", "daemon-reload")
    started = machine.try_run(*as_op, "systemctl", "--user", "start", SERVICE)
    found = machine.run(*as_op, "systemctl", "--user", "show", "--property=ExecMainStatus,Result", SERVICE)
    good = "Result=success" in found and "ExecMainStatus=0" in found and started.returncode == 0
    results.see("user units work without root", good, found + started.stderr)
    machine.run("loginctl", "disable-linger", "op")


def more_runs(machine: Machine, before: int) -> bool:
    """Whether a run has ended since *before* were counted."""
    return machine.count("status <> 'running'") > before


def reboots(machine: Machine, results: Results) -> None:
    """At boot exactly once, whether a night was missed or not.

    The timer is started three seconds after the boot, as on a machine: in a container it would come so early that
    OnBootSec=1s still lay ahead. Late, and with a stamp of an earlier run, systemd takes that for done.
    """
    machine.write(
        "/etc/systemd/system/slow.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 3\n",
    )
    machine.write("/etc/systemd/system/pgalmanac.timer.d/slow.conf", "[Unit]\nWants=slow.service\nAfter=slow.service\n")
    machine.run("systemctl", "enable", "--now", "pgalmanac.timer")
    until(lambda: machine.shown(SERVICE, "ActiveState")["ActiveState"] == "inactive")
    for what in ("the run at boot happened exactly once", "a missed night was made up exactly once"):
        before = machine.count()
        machine.run("systemctl", "stop", "pgalmanac.timer")
        if "missed" in what:
            machine.run("touch", "-d", "2 days ago", "/var/lib/systemd/timers/stamp-pgalmanac.timer")
        machine.power_off()
        machine.boot()
        until(lambda: machine.try_run("systemctl", "is-active", "postgresql@15-main").stdout.strip() == "active")
        until(partial(more_runs, machine, before))
        time.sleep(8)  # a second run would have come by now
        by = machine.sql(
            f"SELECT string_agg(triggered_by, ' ') FROM (SELECT * FROM {HISTORY} ORDER BY started_at OFFSET {before}) r"
        )
        due = machine.run("systemctl", "list-timers", "--no-legend", "pgalmanac.timer")
        results.see(what, by == "startup", f"{by}; next: {due}")


def doctors(machine: Machine, results: Results) -> None:
    """The doctor knows the timer, and the least role is enough for it."""
    said = machine.try_run(
        "runuser", "-u", "pgalmanac", "--", PROGRAM, "--config", "/etc/pgalmanac/config.toml", "doctor"
    )
    results.see(
        "doctor finds nothing to mend",
        said.returncode == 0 and "pgalmanac.timer is enabled" in said.stdout,
        said.stdout + said.stderr,
    )


SCENES: Final[Sequence[Callable[[Machine, Results], None]]] = (
    *(
        install,
        no_configuration,
        peer,
        timer,
        password,
        outside,
        stopped,
        late,
        failed_run,
        elsewhere,
        reboots,
        doctors,
    ),
)


@contextmanager
def lab(*, keep: bool) -> Generator[Machine]:
    """A booted machine, gone again at the end."""
    prepare()
    CACHE.mkdir(parents=True, exist_ok=True)
    base = base_image()
    scratch = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
    machine = Machine(base, scratch, wheels(base))
    try:
        machine.boot()
        yield machine
    finally:
        if keep:
            say(f"left running: {' '.join(machine.entrance())} bash")
        else:
            machine.power_off()
            shutil.rmtree(scratch, ignore_errors=True)


def main() -> int:
    """Play every scene and say how many points held."""
    begun = time.monotonic()
    results = Results()
    try:
        with lab(keep="--keep" in sys.argv) as machine:
            say(machine.run("systemctl", "--version").splitlines()[0] + f", up after {time.monotonic() - begun:.0f} s")
            wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
            for scene in SCENES:
                if wanted and scene not in {install, peer} and scene.__name__ not in wanted:
                    continue
                if scene is peer:
                    database(machine)
                began = time.monotonic()
                try:
                    scene(machine, results)
                except RuntimeError as exc:
                    results.see(f"the scene {scene.__name__} can be played to its end", holds=False, saw=exc)
                say(f"          ({scene.__name__}: {time.monotonic() - began:.0f} s)")
    except CannotError as exc:
        say(f"NOT RUN: the systemd lab cannot be had on this machine: {exc}")
        return 0
    say(f"systemd lab: {time.monotonic() - begun:.0f} s")
    say(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
