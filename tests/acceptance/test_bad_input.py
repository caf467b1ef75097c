"""What is asked wrongly, or of the wrong database: an exit code, one sentence with the remedy, and nothing changed."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from acceptance.running import On, Result, Run
from pgalmanac.pgserver import Cluster
from support import add_partitions, connect, create_events, partition_names, rows, today


def sentence(result: Result) -> str:
    """The one line on stderr, without the program's name; the result has nothing on stdout."""
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("pgalmanac: ")
    assert "Traceback" not in result.err
    return lines[0].removeprefix("pgalmanac: ")


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("--retention-days is 0: write a whole number of days from 1 to 36500", "maintain --retention-days 0"),
        ("--retention-days is -5: write", "maintain --retention-days -5"),
        ('--retention-days is "abc": write', "maintain --retention-days abc"),
        ("--retention-days is 1000000000: write", "maintain --retention-days 1000000000"),
        ("--premake-days is -1: write a whole number of days from 0 to 3660", "maintain --premake-days -1"),
        ("2025-02-30 does not exist: no calendar has that day", "create 2025-02-30"),
        ("the range 2025-03-02..2025-03-01 runs backwards: did you mean", "create 2025-03-02..2025-03-01"),
        ("'yesterday' is not a period: this table's partitions are daily", "create yesterday"),
        ("'2025-11' does not name a period of this table.*did you mean 2025-11-01", "create 2025-11"),
        ("public.events has no partition for 2001-01-01: pgalmanac status lists them", "drop 2001-01-01 --yes"),
        ("'events_x' is neither a period nor a partition", "drop events_x --yes"),
        ("fix writes, and --read-only forbids it", "--read-only fix"),
        ("--headless needs a command", "--headless"),
        ("'maintian' is not a command: did you mean maintain", "maintian"),
        ('--table is "a b": write events, app.events or', "maintain --table a\\ b"),
    ],
)
def test_bad_usage(database: str, on: On, expected: str, line: str) -> None:
    """A command line that cannot be obeyed exits 64 and names the word and the remedy; the table stays as it was."""
    add_partitions(database, days=[0])
    actual = on(database, *(w.replace("\\ ", " ") for w in re.split(r"(?<!\\) ", line)))

    assert actual.code == 64
    assert re.match(expected, sentence(actual)), sentence(actual)
    assert actual.out == ""
    assert len(partition_names(database)) == 1


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("is not valid TOML: .*line 2", "[defaults]\nretention_days = = 3\n"),
        ("defaults.retention_dayz is not a setting: did you mean retention_days?", "[defaults]\nretention_dayz = 3\n"),
        ('defaults.retention_days is "90": write a whole number', '[defaults]\nretention_days = "90"\n'),
        ("defaults.retention_days is 0: write a whole number", "[defaults]\nretention_days = 0\n"),
        ("defualts is not a setting: did you mean defaults?", "[defualts]\nretention_days = 3\n"),
    ],
)
def test_bad_configuration(database: str, on: On, tmp_path: Path, expected: str, text: str) -> None:
    """A file that is wrong exits 78 and names file, key and remedy, for every way to name the file."""
    file = tmp_path / "config.toml"
    file.write_text(text)
    by_flag = on(database, "--config", str(file), "maintain")
    by_variable = on(database, "maintain", PGALMANAC_CONFIG=str(file))

    assert (78, 78) == (by_flag.code, by_variable.code)
    assert sentence(by_flag) == sentence(by_variable)
    assert re.match(re.escape(str(file)) + ":? " + expected.replace("?", r"\?"), sentence(by_flag)), sentence(by_flag)
    assert partition_names(database) == []


def test_bad_environment_and_missing_file(database: str, on: On) -> None:
    """Variables that are no values, and a file that is not there, exit 78."""
    variable = on(database, "maintain", PGALMANAC_RETENTION_DAYS="0")
    own = on(database, "maintain", EVENTS_RETENTION_DAYS="abc")
    file = on(database, "maintain", "--config", "/nowhere/config.toml")
    timeout = on(database, "maintain", PGCONNECT_TIMEOUT="abc")

    assert [78, 78, 78, 78] == [r.code for r in (variable, own, file, timeout)]
    assert "correct --dsn or the PG* variables" in sentence(timeout)
    assert sentence(variable).startswith("PGALMANAC_RETENTION_DAYS is 0: ")
    assert sentence(own).startswith('EVENTS_RETENTION_DAYS is "abc": ')
    assert sentence(file).startswith("there is no configuration file '/nowhere/config.toml': ")
    assert partition_names(database) == []


def test_no_server(run: Run) -> None:
    """Nobody listens: 69 and the remedy; for check it is CRITICAL, with a line for Nagios."""
    dsn = "host=/nonexistent dbname=app"
    actual = run("maintain", "--dsn", dsn)
    document = run("maintain", "--dsn", dsn, "--json")
    check = run("check", "--dsn", dsn)

    assert actual.code == 69
    assert "/nonexistent" in sentence(actual)
    assert sentence(actual).count("?") == 1
    assert ("maintain", 69) == (document.document["command"], document.document["exit_code"])
    assert set(document.document["error"]) == {"message", "hint"}
    assert sentence(document) == sentence(actual)
    assert check.code == 2
    assert check.out.startswith("PGALMANAC CRITICAL - cannot reach the database")


def test_no_such_database_or_service(database: str, run: Run) -> None:
    """A database or service that does not exist is a matter of configuration: 78."""
    missing = run("maintain", "--dsn", make_conninfo(database, dbname="nowhere"))
    service = run("maintain", "--dsn", "service=nowhere")
    garbage = run("maintain", "--dsn", "no=such option")

    assert [78, 78, 78] == [r.code for r in (missing, service, garbage)]
    assert 'database "nowhere" does not exist' in sentence(missing)
    assert "nowhere" in sentence(service)
    assert "connection string" in sentence(garbage)


def test_a_database_called_like_its_role_is_missing_all_the_same(own_server: Cluster, run: Run) -> None:
    """The default database of a role has its name: that there is none is no matter of its password."""
    with connect(own_server.conninfo()) as connection:
        connection.execute("CREATE ROLE lonely LOGIN")

    actual = run("maintain", "--dsn", make_conninfo(own_server.conninfo(), user="lonely", dbname="lonely"))

    assert actual.code == 78
    assert 'database "lonely" does not exist' in sentence(actual)


RIGHT = "right-one"
WRONG = "wr0ng-one"


@pytest.fixture
def with_passwords(own_server: Cluster) -> Cluster:
    """A server that asks the role `app` for a password."""
    with connect(own_server.conninfo()) as connection:
        connection.execute(f"CREATE ROLE app LOGIN PASSWORD '{RIGHT}'".encode())
    hba = own_server.data / "pg_hba.conf"
    hba.write_text("local all app scram-sha-256\n" + hba.read_text())
    with connect(own_server.conninfo()) as connection:
        connection.execute("SELECT pg_reload_conf()")
    return own_server


def test_wrong_password(with_passwords: Cluster, run: Run) -> None:
    """A wrong or missing password is 77, and no password is ever repeated, however much is said."""
    right = make_conninfo(with_passwords.conninfo(), user="app", password=RIGHT)
    wrong = make_conninfo(right, password=WRONG)
    create_events(with_passwords.conninfo(), days=range(31))
    actual = run("maintain", "--dsn", wrong)
    loud = run("maintain", "--dsn", wrong, "-vv", "--json")
    missing = run("maintain", "--dsn", make_conninfo(with_passwords.conninfo(), user="app"))
    by_variable = run("maintain", "--dsn", make_conninfo(with_passwords.conninfo(), user="app"), PGPASSWORD=WRONG)
    service = run("check", "--dsn", right)

    assert [77, 77, 77, 77] == [r.code for r in (actual, loud, missing, by_variable)]
    assert "password" in sentence(actual)
    assert WRONG not in actual.err + loud.err + loud.out + by_variable.err
    assert service.code == 2  # reached, and then the role owns nothing
    assert RIGHT not in service.err + service.out


UNSUITABLE = [
    ("there is no table events in database", ""),
    ("public.events is not a partitioned table", "CREATE TABLE events (at timestamptz)"),
    ("public.events is not a partitioned table", "CREATE VIEW events AS SELECT 1"),
    ("public.events is partitioned by LIST", "CREATE TABLE events (a int) PARTITION BY LIST (a)"),
    ("public.events is partitioned by HASH", "CREATE TABLE events (a int) PARTITION BY HASH (a)"),
    ("public.events is partitioned by 2 columns", "CREATE TABLE events (a date, b date) PARTITION BY RANGE (a, b)"),
    ("public.events is partitioned by an expression", "CREATE TABLE events (a text) PARTITION BY RANGE (length(a))"),
    ("public.events is partitioned by a, which is no date", "CREATE TABLE events (a int) PARTITION BY RANGE (a)"),
]


@pytest.mark.parametrize(("expected", "ddl"), UNSUITABLE)
def test_a_table_that_has_no_calendar(empty_database: str, on: On, expected: str, ddl: str) -> None:
    """No such table, or one not partitioned by one time column: 78 and what it is instead; check says CRITICAL."""
    with connect(empty_database) as connection:
        connection.execute(ddl.encode())
    for command in ("maintain", "fix", "status", "check"):
        actual = on(empty_database, command, "--table", "events")

        assert actual.code == (2 if command == "check" else 78)
        assert actual.err.startswith(f"pgalmanac: {expected}")
        assert len(actual.err.splitlines()) == 1
    assert rows(empty_database, "SELECT count(*) FROM pg_class WHERE relname LIKE 'housekeeper%'") == [(0,)]


def test_no_table_and_two_candidates(empty_database: str, on: On) -> None:
    """Without a table there is nothing to maintain; with two, both are named and neither is touched."""
    none = on(empty_database, "maintain")
    with connect(empty_database) as connection:
        connection.execute("CREATE TABLE orders (at date) PARTITION BY RANGE (at)")
        connection.execute('CREATE TABLE "Log" (at date) PARTITION BY RANGE (at)')
    two = on(empty_database, "maintain")

    assert (78, 78) == (none.code, two.code)
    assert "has no table that is partitioned by range of one time column" in sentence(none)
    assert 'public."Log", public.orders' in sentence(two)
    assert "--table" in sentence(two)
    assert partition_names(empty_database, "orders") == []


def test_a_table_in_another_schema_is_suggested(empty_database: str, on: On) -> None:
    """A name that the search path does not find is said with the schema where it is."""
    with connect(empty_database) as connection:
        connection.execute("CREATE SCHEMA app CREATE TABLE events (at date) PARTITION BY RANGE (at)")
    actual = on(empty_database, "maintain", "--table", "events")

    assert actual.code == 78
    assert "did you mean app.events?" in sentence(actual)


@pytest.mark.parametrize(
    "name",
    [
        "x" * 63,
        "é" * 31,
        "Mixed Case",
        'quo"ted',
        "[red]bold[/red]",
        "<b>&amp;",
        "日本語",
        "tab\tand\nline",
        "\x1b[31mred\x1b[0m",
        "a.b",
        "--json",
        "it's|50%=",
    ],
)
def test_a_hostile_name_is_maintained_and_shown_as_text(empty_database: str, on: On, name: str) -> None:
    """Any name that PostgreSQL takes is maintained within 63 bytes, and a terminal obeys nothing of it."""
    with connect(empty_database) as connection:
        connection.execute(
            sql.SQL("CREATE TABLE {} (at date NOT NULL) PARTITION BY RANGE (at)").format(sql.Identifier(name))
        )
    quoted = '"' + name.replace('"', '""') + '"'
    done = on(empty_database, "maintain", f"--table={quoted}", "--premake-days", "1")
    check = on(empty_database, "check", f"--table={quoted}", "--json")
    status = on(empty_database, "status", f"--table={quoted}", "-v")
    names = partition_names(empty_database, quoted)

    assert (0, 0, 0) == (done.code, check.code, status.code) or check.code == 1
    assert len(names) == 2
    assert all(
        len(n.encode()) <= 63 and n.endswith(f"_{today() + timedelta(days=d):%Y_%m_%d}") for d, n in enumerate(names)
    )
    assert name in check.document["tables"][0]["table"].replace('""', '"')
    for text in (done.out, check.out, status.out, done.err):
        assert all(line.isprintable() for line in text.split("\n"))


def test_a_missing_privilege_names_the_grant(database: str, run: Run, make_role: Callable[..., str]) -> None:
    """A role that does not own the table is told which GRANT would help: 77, and nothing is made."""
    role = make_role()
    dsn = make_conninfo(database, user=role)
    actual = run("maintain", "--dsn", dsn)
    check = run("check", "--dsn", dsn, "--json")
    create = run("create", "2031-01-01", "--dsn", dsn)

    assert (77, 77) == (actual.code, create.code)
    assert f'GRANT "postgres" TO "{role}"' in sentence(actual)
    assert check.code == 2
    assert "privilege" in {f["code"] for f in check.document["tables"][0]["findings"]}
    assert partition_names(database) == []


def test_a_proof_that_fails_is_a_failure_and_no_internal_error(
    database: str, run: Run, make_role: Callable[..., str]
) -> None:
    """Who may not insert learns from fix that nothing was proved: 1, and nobody is asked to report it."""
    add_partitions(database, days=range(-31, 32))
    actual = run("fix", "--dsn", make_conninfo(database, user=make_role()), "--json")

    assert (1, 1) == (actual.code, actual.document["exit_code"])
    assert "permission denied for table events" in actual.document["tables"][0]["error"]["message"]


def test_a_history_that_cannot_be_read(database: str, on: On, run: Run, make_role: Callable[..., str]) -> None:
    """Without SELECT on it 77; another table of its name or no such schema 78: none is an internal error."""
    on(database, "init")
    denied = run("history", "--dsn", make_conninfo(database, user=make_role()))
    foreign = [on(database, command, PGALMANAC_HISTORY_TABLE="events") for command in ("history", "init")]

    assert (77, "the run history: permission denied for table housekeeper_runs: grant it to this role") == (
        denied.code,
        sentence(denied),
    )
    for actual in foreign:
        assert 78 == actual.code
        assert "public.events exists without the column" in sentence(actual)
    with connect(database) as connection:
        connection.execute("CREATE VIEW taken AS SELECT 1 AS id")
    taken = on(database, "init", PGALMANAC_HISTORY_TABLE="taken")
    assert (78, "public.taken is taken by something that is no table; name another in history.table") == (
        taken.code,
        sentence(taken),
    )
    nowhere = on(database, "init", PGALMANAC_HISTORY_TABLE="Nowhere.runs")
    assert (78, "there is no schema nowhere for the run history; create it, or set history.table") == (
        nowhere.code,
        sentence(nowhere),
    )


def test_tables_that_all_fail_alike_end_in_their_own_code(database: str, on: On) -> None:
    """Two tables that are not there are a configuration to be mended, as one is: systemd does not try it again."""
    actual = on(database, "maintain", "--table", "nowhere", "--table", "neither", "--json")

    assert (78, 78) == (actual.code, actual.document["exit_code"])


def test_a_day_for_a_monthly_table(empty_database: str, on: On) -> None:
    """Somebody thinks in days and the table in months: 64 and the month that a day might mean; nothing is dropped."""
    with connect(empty_database) as connection:
        connection.execute("CREATE TABLE logs (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    on(empty_database, "create", "2025-11", LOGS_INTERVAL="monthly")
    actual = on(empty_database, "drop", "2025-11-02", "--yes")

    assert actual.code == 64
    assert sentence(actual).endswith("did you mean 2025-11?")
    assert partition_names(empty_database, "logs") == ["logs_2025_11"]


def test_several_tables_for_one_period(database: str, on: On) -> None:
    """A period belongs to one table: with several named, none is touched."""
    with connect(database) as connection:
        connection.execute("CREATE TABLE logs (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    actual = on(database, "create", "2031-01-01", "--table", "events", "--table", "logs")

    assert actual.code == 64
    assert "--table" in sentence(actual)
    assert partition_names(database) == []


def test_check_exits_3_for_bad_usage_only(database: str, on: On) -> None:
    """A monitoring system tells a broken command line (UNKNOWN) from a broken table (CRITICAL)."""
    usage = on(database, "check", "--nonsense")
    document = on(database, "check", "--nonsense", "--json")
    configuration = on(database, "check", PGALMANAC_RETENTION_DAYS="0")

    assert (3, 3, 2) == (usage.code, document.code, configuration.code)
    assert usage.out == "PGALMANAC UNKNOWN - check does not take --nonsense: see pgalmanac check --help\n"
    assert ("check", 3) == (document.document["command"], document.document["exit_code"])
    assert configuration.out.startswith("PGALMANAC CRITICAL - PGALMANAC_RETENTION_DAYS is 0")


@pytest.fixture
def standby(own_server: Cluster) -> str:
    """The conninfo of a hot standby with an events table that needs maintenance."""
    own_server.stop()
    own_server.start({"wal_level": "replica", "max_wal_senders": "1", "fsync": "off"})
    create_events(own_server.conninfo(), days=[-100, 0])
    own_server.stop()
    (own_server.data / "standby.signal").touch()
    if own_server.account is not None:
        shutil.chown(own_server.data / "standby.signal", own_server.account.uid, own_server.account.gid)
    own_server.start({"wal_level": "replica", "max_wal_senders": "1", "hot_standby": "on"})
    return own_server.conninfo()


def test_a_standby_is_left_alone_and_says_so(standby: str, on: On) -> None:
    """On a standby every command answers: maintain does nothing and exits 0, with an info that says why."""
    actual = on(standby, "maintain")
    document = on(standby, "maintain", "--json").document
    check = on(standby, "check")

    assert (0, "") == (actual.code, actual.err)
    assert "info standby: " in actual.out
    assert (True, ["standby"]) == (document["server"]["standby"], [f["code"] for f in document["findings"]])
    assert check.out.startswith("PGALMANAC ")
    assert on(standby, "status").code == 0
    assert on(standby, "fix").code == 0
    init = on(standby, "init")
    assert (0, "") == (init.code, init.err)
    assert init.out.startswith("# the run history is made on the primary\n\n#")
    assert [] == on(standby, "init", "--json").document["history"]
    assert len(partition_names(standby)) == 2


@contextmanager
def pooler(conninfo_socket: str) -> Iterator[int]:
    """A port that passes everything on, except that the backend's process id is another one, as behind a pooler."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener, conninfo_socket), daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def _serve(listener: socket.socket, path: str) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_pass_on, args=(client, path), daemon=True).start()


def _pass_on(client: socket.socket, path: str) -> None:
    """Both ways, and close both ends: a socket that is left to the collector is a warning in some later test."""
    with client, socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        there = threading.Thread(target=_pump, args=(client, server, False), daemon=True)
        there.start()
        _pump(server, client, change=True)
        there.join()


def _pump(source: socket.socket, target: socket.socket, change: bool) -> None:  # noqa: FBT001  # a thread's argument
    with suppress(OSError):
        while data := source.recv(65536):
            # BackendKeyData: 'K', length, process id, secret
            found = re.search(rb"K\x00\x00\x00[\x0c-\xff]", data) if change else None
            if found is not None:
                at = found.end()
                pid = struct.unpack("!I", data[at : at + 4])[0]
                data = data[:at] + struct.pack("!I", pid + 1) + data[at + 4 :]
                change = False
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def test_a_transaction_pooler_is_refused(database: str, server: Cluster, run: Run) -> None:
    """Behind a transaction pooler settings and locks would reach other clients: 78, and nothing is done."""
    with pooler(str(server.sockets / ".s.PGSQL.5432")) as port:
        through = make_conninfo(database, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable")
        actual = run("maintain", "--dsn", through)

    assert actual.code == 78
    assert "pooler" in sentence(actual)
    assert partition_names(database) == []


def test_wait_retries_until_a_server_answers(own_server: Cluster, on: On) -> None:
    """With --wait a server that comes up later is waited for, which is said; without, or too short, it is 69."""
    create_events(own_server.conninfo())
    own_server.stop()
    began = time.monotonic()
    given_up = on(own_server.conninfo(), "maintain", "--wait", "2")
    waited = time.monotonic() - began
    later = threading.Timer(1.5, own_server.start)
    later.start()
    served = on(own_server.conninfo(), "maintain", "--wait", "30")
    later.join()

    assert given_up.code == 69
    assert waited > 2
    assert "; trying again for " in given_up.err
    assert served.code == 0
    assert "; trying again for " in served.err
    assert len(partition_names(own_server.conninfo())) == 31
