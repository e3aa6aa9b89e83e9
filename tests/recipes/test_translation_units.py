"""The symbols of a text, and their numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseq.recipes._translation_units import (
    EDGE,
    FIRST,
    UNKNOWN,
    join,
    placeholders,
    split,
    split_source,
    symbols_of,
)

LETTERS = st.sampled_from("ab한 .{}'’_-1\u3000é")


@pytest.mark.parametrize(
    ("text", "units", "symbols"),
    [
        ("ab 한", "characters", ["a", "b", " ", "한"]),
        ("{n} a{b c}d", "characters", ["{n}", " ", "a", "{b c}", "d"]),
        ("{a}{b}{}", "characters", ["{a}", "{b}", "{}"]),
        ("a{b", "characters", ["a", "{", "b"]),
        ("Don't set {x}, too!", "words", ["Don't", " set", " ", "{x}", ",", " too", "!"]),
        ("in ({x} - {y})", "words", ["in", " (", "{x}", " -", " ", "{y}", ")"]),
        ("a { b", "words", ["a", " {", " b"]),
        ("AA1 K S", "spaces", ["AA1", "K", "S"]),
        ("  a \t b\n", "words", ["a", " b"]),
        ("  a \t b\n", "characters", ["a", " ", "b"]),
        *(("", units, []) for units in ("characters", "words", "spaces")),
    ],
)
def test_a_text_has_these_symbols(text, units, symbols):
    assert split(text, units) == symbols


@given(
    text=st.text(LETTERS, max_size=12),
    units=st.sampled_from(["characters", "words", "pieces", "spaces"]),
)
def test_joining_undoes_splitting_up_to_white_space(text, units):
    assert join(split(text, units), units) == " ".join(text.split())


def test_placeholders_are_told_apart_from_other_braces():
    assert placeholders(split("{b} is {a} or {b} and { or {}", "words")) == ["{b}", "{a}", "{}"]


def test_numbers_come_back_as_the_symbols_that_they_were_of():
    symbols = symbols_of([split("set {x}", "words"), split("set up", "words")], "words", slots=2)
    assert symbols.numbers == {" ": FIRST + 2, " up": FIRST + 3, "set": FIRST + 4}
    assert symbols.size == FIRST + 5 and EDGE == 0
    text = split("set {new}{other} up", "words")
    numbers = symbols.encode(text, ["{other}", "{new}"])
    assert numbers.tolist() == [FIRST + 4, FIRST + 2, FIRST + 1, FIRST, FIRST + 3]
    assert symbols.decode(numbers.tolist(), ["{other}", "{new}"]) == text


def test_a_source_has_its_words_in_small_letters():
    text = "Set {Name} UP, now"
    assert split_source(text, "words") == ["set", "{Name}", "up", ",", "now"]
    assert split_source(text, "pieces") == ["set", " ", "{Name}", " up", ",", " now"]
    assert split_source("AB", "characters") == ["A", "B"]


def test_words_are_cut_into_pieces_and_placeholders_are_not():
    words = ["setup", " {x}", "set", "{x}", "set"]
    symbols = symbols_of([words[:1], words[2:]], "pieces", slots=1, pieces=2)
    assert [*symbols.ranks] == [("e", "t"), ("s", "et")]
    assert [*symbols.numbers] == ["p", "set", "u"]
    assert symbols.cut(["setup", "{x}"]) == ["set", "u", "p", "{x}"]
    assert join(symbols.cut(split("setup {x}", "pieces")), "pieces") == "setup {x}"
    assert symbols_of([["ab"]], "words", slots=0).cut(["ab"]) == ["ab"]


def test_what_has_no_number_is_unknown():
    symbols = symbols_of([list("aab")], "characters", slots=1, min_count=2)
    assert symbols.numbers == {"a": FIRST + 1}
    found = symbols.encode(["b", "{x}", "{y}", "{z}"], ["{x}", "{y}"])
    # b is too rare, the second placeholder has no number, and the third is none of the source.
    assert found.tolist() == [UNKNOWN, FIRST, UNKNOWN, UNKNOWN]
