"""Settings: which source wins, what may be dropped from, and what every wrong value is told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.config import Settings, load
from pgalmanac.config_file import starting_configuration
from pgalmanac.errors import ConfigError, PgalmanacError, UsageError
from pgalmanac.model import Interval
from pgalmanac.policy import Policy
from pgalmanac.table_names import TableName, TableRef

EVENTS = TableName(schema="public", name="events")
ORDERS = TableName(schema="app", name="orders")


@pytest.fixture(autouse=True)
def _no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of this machine's takes part: both folders are empty ones."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "site"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A path for a configuration file."""
    return tmp_path / "config.toml"


def settings(
    text: str = "",
    *,
    file: Path | None = None,
    environ: dict[str, str] | None = None,
    **more: Any,  # noqa: ANN401  # whatever load takes
) -> Settings:
    """Load settings from this text of a file, these variables and more arguments."""
    if file is not None:
        file.write_text(text, encoding="utf-8")
    return load(environ=environ or {}, config=None if file is None else str(file), **more)


def refusal(error: type[PgalmanacError], text: str = "", **more: Any) -> str:  # noqa: ANN401  # as above
    """Load what must be refused with *error*, and return what it says."""
    with pytest.raises(PgalmanacError) as caught:
        settings(text, **more)
    assert type(caught.value) is error
    return str(caught.value)


def test_defaults() -> None:
    """Without any setting the policy is the built-in one, and no table is named."""
    actual = settings()

    assert Policy() == actual.policy(EVENTS)
    assert actual.requested == ()
    assert (actual.dsn, actual.history_table, actual.history_keep_days) == ("", TableRef(name="housekeeper_runs"), 365)


FILE = """
[defaults]
retention_days = 1
[[tables]]
name = "events"
retention_days = 6
"""


@pytest.mark.parametrize(
    ("expected", "text", "environ", "flags"),
    [
        (90, "", {}, {}),
        (1, "[defaults]\nretention_days = 1", {}, {}),
        (2, "[defaults]\nretention_days = 1", {"PGALMANAC_RETENTION_DAYS": "2"}, {}),
        (3, "[defaults]\nretention_days = 1", {"PGALMANAC_RETENTION_DAYS": "2"}, {"retention_days": "3"}),
        (6, FILE, {"PGALMANAC_RETENTION_DAYS": "2"}, {"retention_days": "3"}),
        (7, FILE, {"PGALMANAC_RETENTION_DAYS": "2", "EVENTS_RETENTION_DAYS": "7"}, {"retention_days": "3"}),
        (None, FILE, {"EVENTS_RETENTION_DAYS": "forever"}, {}),
        (6, FILE, {"EVENTS_RETENTION_DAYS": ""}, {}),
    ],
)
def test_specific_beats_general_then_flag_variable_file(
    file: Path, expected: int | None, text: str, environ: dict[str, str], flags: dict[str, str]
) -> None:
    """Table's variable > table's entry > flag > variable > defaults of the file > built in."""
    actual = settings(text, file=file, environ=environ, flags=flags).policy(EVENTS).retention_days

    assert expected == actual


def test_every_policy_setting_from_file_and_environment(file: Path) -> None:
    """Each setting of a table arrives in its policy, with its type, from a file as from variables."""
    values = {
        "interval": "weekly",
        "premake_days": 3,
        "retention_days": 400,
        "timezone": "Europe/Berlin",
        "lock_timeout_ms": 50,
        "retry_seconds": 5,
        "max_drops": 0,
        "max_creates": 7,
        "drop_unaligned": True,
        "breakdown": "kind",
    }
    toml = "\n".join(f"{k} = {str(v).lower() if isinstance(v, bool) else repr(v)}" for k, v in values.items())
    by_file = settings(f"[[tables]]\nname = 'app.orders'\n{toml}", file=file).policy(ORDERS)
    by_variable = settings(environ={f"ORDERS_{k.upper()}": str(v) for k, v in values.items()}).policy(ORDERS)

    assert by_file == by_variable
    assert {k: getattr(by_file, k) for k in values if k not in {"interval", "timezone"}} == {
        k: v for k, v in values.items() if k not in {"interval", "timezone"}
    }
    assert (Interval.WEEKLY, "Europe/Berlin") == (by_file.interval, by_file.timezone.key)


def test_entry_without_schema_means_any_and_the_qualified_one_wins(file: Path) -> None:
    """`orders` speaks of every table of that name, `app.orders` of one, which overrides it key by key."""
    text = """
    [[tables]]
    name = "orders"
    retention_days = 10
    premake_days = 5
    [[tables]]
    name = "app.orders"
    retention_days = 20
    """
    actual = settings(text, file=file)

    assert (20, 5) == (actual.policy(ORDERS).retention_days, actual.policy(ORDERS).premake_days)
    assert actual.policy(TableName(schema="other", name="orders")).retention_days == 10
    assert actual.policy(EVENTS).retention_days == 90


@pytest.mark.parametrize(
    ("expected", "more"),
    [
        (False, {}),
        (True, {"tables": ["orders"]}),
        (True, {"tables": ["app.orders"]}),
        (False, {"tables": ["other.orders"]}),
        (True, {"environ": {"PGALMANAC_TABLE": "orders"}}),
        (True, {"environ": {"PGALMANAC_RETENTION_DAYS": "90"}}),
        (True, {"environ": {"ORDERS_RETENTION_DAYS": "90"}}),
        (False, {"environ": {"ORDERS_PREMAKE_DAYS": "90"}}),
        (True, {"flags": {"retention_days": "90"}}),
    ],
)
def test_retention_is_never_guessed(expected: bool, more: dict[str, Any]) -> None:  # noqa: FBT001  # a parameter
    """A table is dropped from only when somebody named it or said how long to keep."""
    actual = settings(**more).policy(ORDERS).may_drop

    assert expected == actual


def test_file_names_tables_or_retention(file: Path) -> None:
    """A file's entry names the table, its defaults say a retention; `events` needs neither."""
    assert settings("[[tables]]\nname = 'orders'", file=file).policy(ORDERS).may_drop
    assert settings("[defaults]\nretention_days = 90", file=file).policy(ORDERS).may_drop
    assert not settings("[defaults]\npremake_days = 90", file=file).policy(ORDERS).may_drop
    assert settings().policy(EVENTS).may_drop


def test_requested_tables_flag_then_variable_then_file(file: Path) -> None:
    """Flags name the tables instead of the variable, that instead of the file; each table once."""
    text = "[[tables]]\nname = 'a'\n[[tables]]\nname = 'b'"
    environ = {"PGALMANAC_TABLE": ' x , "My, Table"."T" , X'}

    assert settings(text, file=file).requested == (TableRef(name="a"), TableRef(name="b"))
    assert settings(text, file=file, environ=environ).requested == (
        TableRef(name="x"),
        TableRef(schema="My, Table", name="T"),
    )
    assert settings(text, file=file, environ=environ, tables=["z"]).requested == (TableRef(name="z"),)


def test_table_variable_of_a_quoted_name() -> None:
    """What a shell cannot write in a variable's name is an underscore."""
    actual = settings(environ={"MY_EVENTS_2_RETENTION_DAYS": "5"})

    assert actual.policy(TableName(schema="Big App", name="My.Events-2")).retention_days == 5


def test_connection_and_history(file: Path) -> None:
    """The connection and the history come from flag, variable, file."""
    text = "[connection]\ndsn = 'service=a'\nlabel = 'production'\n[history]\ntable = 'ops.runs'\nkeep_days = 10"
    environ = {"PGALMANAC_DSN": "service=b", "PGALMANAC_HISTORY_KEEP_DAYS": "20"}
    from_file = settings(text, file=file)
    from_variable = settings(text, file=file, environ=environ)
    from_flag = settings(text, file=file, environ=environ, dsn="service=c")

    assert ("service=a", "production", 10) == (from_file.dsn, from_file.label, from_file.history_keep_days)
    assert TableRef(schema="ops", name="runs") == from_file.history_table
    assert ("service=b", 20) == (from_variable.dsn, from_variable.history_keep_days)
    assert from_flag.dsn == "service=c"


def test_search_takes_the_users_file_before_the_sites(tmp_path: Path) -> None:
    """Without --config the user's folder is looked into first, then the site's; the variable names another."""
    for place, days in (("site", 1), ("user", 2), ("named", 3)):
        found = tmp_path / place / "pgalmanac" / "config.toml"
        found.parent.mkdir(parents=True)
        found.write_text(f"[defaults]\nretention_days = {days}")
        environ = {"PGALMANAC_CONFIG": str(found)} if place == "named" else {}
        assert days == settings(environ=environ).policy(EVENTS).retention_days


def test_demo_ignores_what_is_meant_for_another_server(tmp_path: Path, file: Path) -> None:
    """With --demo neither the usual file nor the variables that name databases and tables count; policies do."""
    usual = tmp_path / "user" / "pgalmanac" / "config.toml"
    usual.parent.mkdir(parents=True)
    usual.write_text("[[tables]]\nname = 'orders'")
    environ = {
        "PGALMANAC_DSN": "service=production",
        "PGALMANAC_CONFIG": "/nowhere",
        "PGALMANAC_TABLE": "orders",
        "EVENTS_RETENTION_DAYS": "7",
    }
    actual = settings(environ=environ, demo=True)

    assert ("", ()) == (actual.dsn, actual.requested)
    assert actual.policy(EVENTS).retention_days == 7
    assert settings("[[tables]]\nname = 'device_logs'", file=file, demo=True).requested == (
        TableRef(name="device_logs"),
    )


def test_flags_that_do_not_count_are_said(file: Path) -> None:
    """A flag that a table's own setting overrides is named with what overrides it; one that agrees is not."""
    text = "[[tables]]\nname = 'events'\nretention_days = 180\npremake_days = 5"
    flags = {"retention_days": "30", "premake_days": "5", "max_drops": "3"}
    actual = settings(text, file=file, flags=flags).overridden(EVENTS)

    assert (
        f"--retention-days does not count for public.events: {file}: tables[events].retention_days is 180",
    ) == actual
    assert settings(flags=flags).overridden(EVENTS) == ()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("retention_days", "0"),
        ("retention_days", "-5"),
        ("retention_days", "abc"),
        ("retention_days", "1000000000"),
        ("retention_days", "9" * 5000),
        ("retention_days", "1.5"),
        ("retention_days", "٣"),
        ("premake_days", "-1"),
        ("premake_days", "3661"),
        ("premake_days", "forever"),
        ("interval", "fortnightly"),
        ("timezone", "Mars/Olympus"),
        ("timezone", "/etc/passwd"),
        ("timezone", "Europe"),
        ("max_drops", "-1"),
        ("drop_unaligned", "maybe"),
        ("lock_timeout_ms", "0"),
        ("breakdown", "a\0b"),
    ],
)
def test_wrong_values_are_usage_errors_in_flags_and_configuration_errors_elsewhere(option: str, value: str) -> None:
    """A wrong value names its flag or variable and what may stand there."""
    flag = "--" + option.replace("_", "-")

    assert refusal(UsageError, flags={option: value}).startswith(f"{flag} is ")
    assert refusal(ConfigError, environ={f"PGALMANAC_{option.upper()}": value}).startswith(
        f"PGALMANAC_{option.upper()} is "
    )
    assert refusal(ConfigError, environ={f"EVENTS_{option.upper()}": value}).startswith(f"EVENTS_{option.upper()} is ")


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("defaults.retention_dayz is not a setting: did you mean retention_days?", "[defaults]\nretention_dayz = 3"),
        ("default is not a setting: did you mean defaults?", "[default]\nretention_days = 3"),
        ("retention_days is not a setting: write it below [defaults]", "retention_days = 3"),
        ("table is not a setting: did you mean tables?", "[[table]]\nname='events'"),
        ("connection.qqqq is not a setting: the settings here are dsn, label", "[connection]\nqqqq = 3"),
        (
            'defaults.retention_days is "90": write a whole number of days from 1 to 36500',
            "[defaults]\nretention_days='90'",
        ),
        ("defaults.retention_days is true: write a whole", "[defaults]\nretention_days=true"),
        ("defaults.retention_days is 3.5: write a whole", "[defaults]\nretention_days=3.5"),
        ("defaults.retention_days is 0: write a whole", "[defaults]\nretention_days=0"),
        ("defaults.premake_days is a list: write a whole", "[defaults]\npremake_days=[1]"),
        ("defaults.premake_days is a table: write a whole", "[defaults]\npremake_days={a=1}"),
        ('defaults.retention_days is "forevr": did you mean forever?', "[defaults]\nretention_days='forevr'"),
        ('defaults.interval is "dayly": did you mean daily?', "[defaults]\ninterval='dayly'"),
        ('defaults.timezone is "Europe/Berlim": did you mean Europe/Berlin?', "[defaults]\ntimezone='Europe/Berlim'"),
        ("defaults.drop_unaligned is 1: write true or false", "[defaults]\ndrop_unaligned=1"),
        ("connection.dsn is 5: write a connection string", "[connection]\ndsn=5"),
        ('history.table is "a.b.c": write events, app.events', "[history]\ntable='a.b.c'"),
        ("tables[1] has no name", "[[tables]]\nretention_days=3"),
        ('tables[1].name is "a b": write events', "[[tables]]\nname='a b'"),
        ("tables[2].name is events, which has an entry", "[[tables]]\nname='events'\n[[tables]]\nname='EVENTS'"),
        ("tables[app.x].premake is not a setting: did you mean premake_days?", "[[tables]]\nname='app.x'\npremake=1"),
        ("tables is not a list of tables: write [[tables]]", "[tables]\nname='events'"),
        ("tables is not a list of tables: write [[tables]]", "tables=[1]"),
        ("defaults is not a section: write [defaults]", "defaults=1"),
    ],
)
def test_a_wrong_file_is_told_file_key_and_remedy(file: Path, expected: str, text: str) -> None:
    """Each mistake in a file is a configuration error that begins with the file and the key."""
    actual = refusal(ConfigError, text, file=file)

    assert actual.startswith(f"{file}: {expected}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """No file, a folder, no TOML, no UTF-8, and depth or digits beyond Python's limits: all are sentences."""
    bad = tmp_path / "bad.toml"

    assert "there is no configuration file" in refusal(
        ConfigError, environ={"PGALMANAC_CONFIG": str(tmp_path / "none")}
    )
    assert "there is no configuration file" in refusal(ConfigError, environ={"PGALMANAC_CONFIG": "/dev/null/x"})
    assert "is a folder: name the file in it" in refusal(ConfigError, environ={"PGALMANAC_CONFIG": str(tmp_path)})
    for content in (b"[defaults", b"a = 1\na = 2", b"\xff\xfe", b"a = " + b"[" * 100_000, b"a = " + b"9" * 5000):
        bad.write_bytes(content)
        assert str(bad) in refusal(ConfigError, environ={"PGALMANAC_CONFIG": str(bad)})


def test_a_byte_order_mark_and_windows_lines_are_fine(file: Path) -> None:
    """What a Windows editor adds to a file is no mistake of its author's."""
    file.write_bytes(b"\xef\xbb\xbf[defaults]\r\nretention_days = 5\r\n")

    assert settings(environ={"PGALMANAC_CONFIG": str(file)}).policy(EVENTS).retention_days == 5


def test_a_misspelled_variable_is_said_and_others_are_not() -> None:
    """PGALMANAC_RETENTION_DAYZ gets a warning; what a container's links define does not."""
    environ = {"PGALMANAC_RETENTION_DAYZ": "5", "PGALMANAC_SERVICE_HOST": "10.0.0.1", "PGALMANAC_DEMO_DIR": "/x"}
    actual = settings(environ=environ).warnings

    assert (
        "PGALMANAC_RETENTION_DAYZ is not a setting and does nothing: did you mean PGALMANAC_RETENTION_DAYS?",
    ) == actual


def test_settings_do_not_show_secrets() -> None:
    """Neither the connection string nor the environment is in a repr, which a log or a traceback may hold."""
    actual = settings(dsn="host=a password=hunter2", environ={"X_TIMEZONE": "secret-looking"})

    assert "hunter2" not in repr(actual)
    assert "secret-looking" not in repr(actual)


def test_the_starting_configuration_is_one_and_says_the_defaults(file: Path) -> None:
    """What init prints is a valid file; with every comment sign in front of a setting taken away it still is."""
    refs = (TableRef(name="events"), TableRef(schema='Big "App"', name="My\\Events"))
    text = starting_configuration(refs)
    plain = settings(text, file=file)
    bare = settings(
        "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines()), file=file
    )

    assert refs == plain.requested
    assert Policy(retention_agreed=True) == plain.policy(EVENTS)
    assert bare.policy(EVENTS).max_drops == 31
    assert Policy().premake_days == bare.policy(EVENTS).premake_days


def test_others_stand_in_the_starting_configuration_and_are_not_maintained(file: Path) -> None:
    """Naming a table says that partitions of it may be dropped: that takes somebody's hand."""
    refs, others = (TableRef(name="events"),), (TableName(schema="public", name="or\nders"), EVENTS)
    text = starting_configuration(refs, others)
    named = text[text.index("# [[tables]]") :].replace("# ", "")

    assert refs == settings(text, file=file).requested
    assert tuple(t.ref for t in others) == settings(named, file=file).requested


@given(st.text(max_size=30))
def test_no_flag_value_is_anything_but_a_value_or_a_usage_error(text: str) -> None:
    """Whatever stands behind a flag, the answer is a policy or a sentence."""
    for option in ("retention_days", "interval", "drop_unaligned", "breakdown"):
        with suppress(UsageError):
            load(environ={}, flags={option: text}, demo=True)


toml_values = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), st.dates(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["defaults", "tables", "history", "connection", "x"]), toml_values, max_size=3))
def test_no_document_of_any_shape_is_anything_but_settings_or_a_sentence(document: dict[str, Any]) -> None:
    """A file whose values have any shape ends in settings or in a configuration error."""
    from pgalmanac import config_file  # noqa: PLC0415  # its parser is replaced for this test alone

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_file, "_parse", lambda _shown, _path: document)
        with suppress(ConfigError):
            load(environ={}, config="x.toml")


def test_both_ends_of_a_range_are_values() -> None:
    """What the refusal says can be written."""
    for days in (1, 36_500):
        assert settings(flags={"retention_days": str(days)}).policy(EVENTS).retention_days == days
    for days in (0, 3660):
        assert settings(flags={"premake_days": str(days)}).policy(EVENTS).premake_days == days
    refusal(UsageError, flags={"retention_days": "36501"})
    refusal(UsageError, flags={"premake_days": "3661"})


def test_the_servers_own_schemas_are_no_trash(file: Path) -> None:
    """It keeps names that begin with pg_ for itself."""
    said = refusal(ConfigError, 'defaults.trash_schema = "pg_trash"', file=file)

    assert 'defaults.trash_schema is "pg_trash"' in said


def test_what_opens_an_archive_has_no_place_in_its_url(file: Path) -> None:
    """The url is printed and recorded: neither a user's key nor one among its options."""
    for url in ("s3://key:secret@bucket/a", "s3://bucket/a?access_key=key&secret_key=secret"):
        said = refusal(ConfigError, f'[defaults.archive]\nurl = "{url}"', file=file)

        assert "credentials or options" in said
        assert "secret" not in said.replace("SECRET", "")
