"""Marks and pins in a partition's comment: each is read back, and neither touches what people wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgalmanac.marks import PIN_PREFIX, PREFIX, UNMARKED, UNPINNED, marked, pinned, read_mark, read_pin, rewritten
from pgalmanac.model import Pin
from snapshots import NOW, day, mark

MARK = replace(mark(day(-9), oid=7), keep_until=NOW, home='My "schema"', at=NOW, trash='the "trash"', arrived=True)
words = st.text(min_size=1).filter(lambda text: PREFIX not in text and PIN_PREFIX not in text)
made_pins = st.builds(Pin, reason=words, until=st.none() | st.dates(), by=st.text(), at=st.none() | st.just(NOW))


@given(st.none() | words, made_pins)
def test_a_pin_and_a_mark_share_a_comment_with_what_people_wrote(own: str | None, pin: Pin) -> None:
    """Whatever the order, each is read back as it was written, and taking one off leaves the rest."""
    both = rewritten(rewritten(own, pinned(pin)), marked(MARK))
    other = rewritten(rewritten(own, marked(MARK)), pinned(pin))

    for comment in (both, other, rewritten(own, {**pinned(pin), **marked(MARK)})):
        assert read_mark(comment) == MARK
        assert read_pin(comment) == pin
        assert rewritten(comment, {**UNMARKED, **UNPINNED}) == own
        assert read_pin(rewritten(comment, UNMARKED)) == pin
        assert read_mark(rewritten(comment, UNPINNED)) == MARK


@given(made_pins, made_pins)
def test_a_second_pin_takes_the_place_of_the_first(first: Pin, second: Pin) -> None:
    """There is one pin at a time."""
    comment = rewritten(rewritten("mine", pinned(first)), pinned(second)) or ""

    assert read_pin(comment) == second
    assert comment.count(PIN_PREFIX) == 1


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"reason": "x", "until": "soon"}',
        '{"until": null}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_pin_that_cannot_be_read_holds(value: str) -> None:
    """Whoever wrote it wanted the partition kept."""
    pin = read_pin(f"mine\n{PIN_PREFIX}{value}")

    assert pin is not None
    assert pin.holds(date.max)
    assert "cannot be read" in str(pin)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{",
        "null",
        pytest.param("[" * 100_000, id="deep"),
        '{"oid": 1}',
        str(marked(MARK)[PREFIX])[len(PREFIX) :].replace("2025", "soon"),
    ],
)
def test_a_mark_that_cannot_be_read_is_none(value: str) -> None:
    """What is not surely ours is never dropped."""
    assert read_mark(PREFIX + value) is None


def test_only_a_plain_yes_says_that_a_table_arrived_in_the_trash() -> None:
    """What an older or an edited mark does not say is not so: what has not arrived is not dropped there."""
    written = str(marked(MARK)[PREFIX])
    odd = [
        written.replace(', "arrived": true', ""),
        *(written.replace("true}", f"{value}}}") for value in ("false", "null", "1", '"yes"')),
    ]

    for text in odd:
        assert text != written
        assert read_mark(text) == replace(MARK, arrived=False)


def test_a_pin_holds_through_its_last_day() -> None:
    """Until a day means that day as well."""
    pin = Pin(reason="x", until=date(2025, 11, 2))

    assert pin.holds(date(2025, 11, 2))
    assert not pin.holds(date(2025, 11, 3))
    assert str(pin) == "pinned: x (until 2025-11-02)"


def test_who_only_mentions_a_pin_or_a_mark_makes_none() -> None:
    """Each is a line of its own that begins so; a sentence about one stays a sentence, whatever is written."""
    comment = f"once had {PIN_PREFIX}{{}} and {PREFIX}{{}}"

    assert read_pin(comment) is None
    assert read_mark(comment) is None
    assert (rewritten(comment, pinned(Pin(reason="x"))) or "").startswith(f"{comment}\n{PIN_PREFIX}")


def test_an_end_that_somebody_wrote_without_an_offset_is_one_in_utc() -> None:
    """Whoever prolongs a grace by hand: an instant that cannot be compared would end every run."""
    written = str(marked(MARK)[PREFIX])
    odd = [written.replace("T14:30:00+00:00", end) for end in ("T14:30:00", "T15:30:00+01:00", "T14:30:00+00:00")]

    assert len(set(odd)) == len(odd)
    for text in odd:
        mark = read_mark(text)
        assert mark is not None
        assert (mark.keep_until, mark.at) == (NOW, NOW)
        assert str(mark.keep_until) == str(NOW)
