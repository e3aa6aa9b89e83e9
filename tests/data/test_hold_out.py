"""Rows held out by their text."""

import zlib

import pytest

from jaxseq._checks import InputError
from jaxseq.data import LabelledText, hold_out

ROWS = [LabelledText(f"text {number % 150}", str(number)) for number in range(300)]


def text(row):
    return row.text


@pytest.mark.parametrize("one_in", [2, 5, 10])
def test_the_checksum_of_the_text_decides(one_in):
    parts = hold_out(iter(ROWS), text, one_in=one_in)
    held = [row for row in ROWS if zlib.crc32(row.text.encode("utf-8")) % one_in == 0]
    assert parts.held_out == held
    assert parts.train == [row for row in ROWS if row not in held]


def test_one_in_ten_is_what_happens_unasked():
    assert hold_out(ROWS, text) == hold_out(ROWS, text, one_in=10)


def test_equal_texts_are_in_one_part_and_the_order_does_not_matter():
    parts = hold_out(ROWS, text)
    assert not {row.text for row in parts.train} & {row.text for row in parts.held_out}
    turned = hold_out(ROWS[::-1], text)
    assert turned.train == parts.train[::-1]
    assert turned.held_out == parts.held_out[::-1]


def test_a_row_stays_in_its_part_when_rows_are_added():
    few, many = hold_out(ROWS[:100], text), hold_out(ROWS, text)
    assert set(few.train) <= set(many.train)
    assert set(few.held_out) <= set(many.held_out)


def text_of(remainder):
    """A text whose checksum has this remainder by 10."""
    return next(str(n) for n in range(1000) if zlib.crc32(str(n).encode()) % 10 == remainder)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "of 0 rows, none is held out"),
        ([text_of(3)], "of 1 row, none is held out"),
        ([text_of(3), text_of(4)], "of 2 rows, none is held out"),
        ([text_of(0), text_of(0)], "of 2 rows, none is left to train on"),
    ],
)
def test_an_empty_part_is_refused(rows, problem):
    message = (
        f"^hold_out: {problem}; the rule is the CRC-32 of the text, modulo 10.\n"
        "  Hint: give more rows, or a file of their own for validation.$"
    )
    with pytest.raises(InputError, match=message):
        hold_out(rows, str)


@pytest.mark.parametrize("one_in", [1, 0, -2])
def test_a_share_that_is_none_is_refused(one_in):
    message = f"^hold_out: `one_in` must be at least 2, but it is {one_in}.$"
    with pytest.raises(ValueError, match=message):
        hold_out(ROWS, text, one_in=one_in)
