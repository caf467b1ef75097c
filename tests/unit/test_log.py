"""What stderr gets: no passwords, nothing that a terminal obeys, the journal's priorities, progress that goes away."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.log import Stderr, in_journal, secrets_of, shown


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@given(st.text())
def test_nothing_shown_is_a_control(text: str) -> None:
    """Whatever the database sends, what is shown is printable and on one line; plain text stays itself."""
    actual = shown(text)

    assert actual.isprintable()
    assert not text.isprintable() or actual == text


def test_shown_keeps_what_people_write() -> None:
    """Letters of any language stay; escapes, line ends, marks of direction and C1 controls are spelled out."""
    assert shown("événements [red] ≈ 日本") == "événements [red] ≈ 日本"
    assert shown("a\x1b[31m\nb\u202ec\x9b\udc80") == r"a\x1b[31m\nb\u202ec\x9b\udc80"


@pytest.mark.parametrize(
    "dsn",
    [
        "host=a password=s3cretpw user=u",
        "password = 's3cretpw' host=a",
        "host=a password=my s3cretpw user=u",
        "postgresql://u:s3cretpw@h/db",
        "postgresql://u:s3cret%70w@h/db",
        "postgresql://u:p@s3cretpw@h/db",
        "postgresql://u:p/s3cretpw@h/db",
        "postgresql://h/db?user=u&password=s3cretpw&x=y",
        "host=a sslpassword=s3cretpw",
    ],
)
def test_passwords_are_hidden(dsn: str) -> None:
    """A password of any spelling appears neither in a message that repeats the string nor in libpq's quotes of it."""
    out = io.StringIO()
    stderr = Stderr(out)
    stderr.hide(secrets_of(dsn))
    stderr.error(f"cannot connect to {dsn}")
    stderr.error('missing "=" after "s3cretpw" in connection info string')
    stderr.detail("failed to resolve host 's3cretpw@h'")

    assert "s3cretpw" not in out.getvalue()
    assert out.getvalue().count("***") >= 3


def test_passwords_are_hidden_where_nobody_announced_them() -> None:
    """Whatever stands where a password stands is hidden, also when it came from a service file or the server."""
    out = io.StringIO()
    Stderr(out).error("password=abc host=a, password='x y' and postgresql://u:abc@h/db")

    assert out.getvalue() == "pgalmanac: password=*** host=a, password=*** and postgresql://u:***@h/db\n"


def test_short_secrets_hide_only_what_is_quoted() -> None:
    """A password of one letter does not blank out every word with that letter."""
    out = io.StringIO()
    stderr = Stderr(out)
    stderr.hide({"a"})
    stderr.error('a table "a" of cats')

    assert out.getvalue() == 'pgalmanac: a table "***" of cats\n'


def test_under_the_journal_every_line_has_a_priority() -> None:
    """Errors are 3, warnings 4, the rest 6; a traceback's lines each carry theirs, and there is no progress."""
    out = Terminal()
    stderr = Stderr(out, journal=True)
    stderr.error("one\ntwo")
    stderr.detail("first\nsecond")
    stderr.warning("w")
    stderr.progress("half", 0.5)

    assert out.getvalue().splitlines() == [
        r"<3>pgalmanac: one\ntwo",
        "<3>first",
        "<3>second",
        "<4>pgalmanac: warning: w",
    ]


def test_the_journal_is_known_by_device_and_inode() -> None:
    """JOURNAL_STREAM is inherited by children whose stderr goes elsewhere, so it must match the descriptor."""
    read, write = os.pipe()
    facts = os.fstat(write)
    try:
        assert in_journal({"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}, write)
        assert not in_journal({"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino + 1}"}, write)
        assert not in_journal({}, write)
    finally:
        os.close(read)
        os.close(write)
    assert not in_journal({"JOURNAL_STREAM": "1:2"}, write)


def test_progress_is_for_terminals_and_leaves_no_trace() -> None:
    """One line that is painted over, never longer than a terminal, and gone before the next sentence."""
    out = Terminal()
    stderr = Stderr(out)
    stderr.progress("create \x1b[2J" + "x" * 200, 0.5)
    painted = out.getvalue()
    stderr.progress("too soon to be painted", 0.6)
    stderr.warning("w")

    assert painted.startswith("\r 50% create \\x1b[2Jxx")
    assert len(painted) < 81
    assert out.getvalue() == painted + "\r" + " " * (len(painted) - 1) + "\rpgalmanac: warning: w\n"

    plain = io.StringIO()
    Stderr(plain).progress("half", 0.5)
    assert plain.getvalue() == ""


def test_a_stderr_that_went_away_is_no_error() -> None:
    """A closed or broken stderr loses the words and not the work."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as broken:
        stderr = Stderr(broken)
        stderr.error("x")
        stderr.error("y")
        with pytest.raises(BrokenPipeError):
            broken.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)
    Stderr(None).error("z")
