"""Features of words by hand: their names, and their numbers."""

import numpy as np
import pytest

from jaxseq.recipes._address_features import NONE, Features, features_of

ADDRESSES = [["33", "Elm", "St.,"], ["Elm"]]


def test_a_word_says_what_it_looks_like():
    names = features_of(["#6257A"])[0]
    assert names == [
        *("word=0000a", "shape=0X", "digits=some", "length=5", "before=#"),
        *("pre1=0", "suf1=a", "pre2=00", "suf2=0a", "pre3=000", "suf3=00a", "start=0", "end=0"),
    ]


@pytest.mark.parametrize(
    ("token", "shape"), [("McCormick", "XxXx"), ("IL", "X"), ("O'Hare", "X'Xx"), ("12-B", "0-X")]
)
def test_a_shape_is_its_runs_of_characters(token, shape):
    assert f"shape={shape}" in features_of([token])[0]


def test_punctuation_around_a_word_is_no_part_of_it():
    assert features_of(["(Rear),"])[0][:6] == [
        *("word=rear", "shape=Xx", "digits=none", "length=4", "before=(", "after=),"),
    ]


def test_punctuation_alone_is_before_an_empty_word():
    names = features_of(["&"])[0]
    assert names == ["word=", "shape=", "digits=none", "length=0", "before=&", "start=0", "end=0"]


def test_neighbours_speak_too():
    first, second, third = features_of(ADDRESSES[0])
    assert not any(name.startswith("-") for name in first)
    assert {"+1 word=elm", "+1 digits=none", "+2 word=st"} <= set(first)
    assert {"-1 word=00", "-1 digits=all", "+1 after=.,"} <= set(second)
    assert {"-1 word=elm", "-2 word=00"} <= set(third)


def test_places_are_counted_from_both_ends():
    rows = features_of(list("abcdef"))
    starts = [name for row in rows for name in row if name.startswith("start=")]
    ends = [name for row in rows for name in row if name.startswith("end=")]
    assert starts == ["start=0", "start=1", "start=2", "start=3", "start=3", "start=3"]
    assert ends == ["end=3", "end=3", "end=3", "end=2", "end=1", "end=0"]


def test_no_word_has_a_feature_twice():
    for row in features_of(ADDRESSES[0]):
        assert len(row) == len(set(row))


def test_the_frequent_features_come_first():
    features = Features.of(ADDRESSES)
    assert sorted(features.ids.values()) == list(range(1, len(features.ids) + 1))
    assert features.ids["word=elm"] < features.ids["word=st"]
    few = Features.of(ADDRESSES, min_count=2)
    assert "word=elm" in few.ids and "word=st" not in few.ids


def test_words_are_encoded_end_to_end():
    features = Features.of(ADDRESSES)
    encoded = features.encode(ADDRESSES)
    names = {number: name for name, number in features.ids.items()}
    assert encoded.lengths.tolist() == [3, 1]
    assert encoded.places.tolist() == [[0, 1, 2], [3, 0, 0]]
    rows = [row for address in ADDRESSES for row in features_of(address)]
    for ids, row in zip(encoded.ids, rows, strict=True):
        assert [names[number] for number in ids if number != NONE] == row


def test_features_unknown_to_training_are_left_out():
    encoded = Features.of([["Elm"]]).encode([["Oak"], []])
    assert encoded.lengths.tolist() == [1, 0]
    known = {"shape=Xx", "digits=none", "length=3", "start=0", "end=0"}
    assert np.count_nonzero(encoded.ids) == len(known)


def test_no_address_is_one_row_of_nothing():
    encoded = Features.of([["Elm"]]).encode([])
    assert (encoded.ids == NONE).all() and encoded.ids.shape[0] == 1
    assert encoded.places.shape == (0, 0) and encoded.lengths.shape == (0,)


def test_an_empty_word_is_named():
    with pytest.raises(ValueError, match=r"features_of: a token must not be empty, .* \['a', ''\]"):
        features_of(["a", ""])


def test_a_wrong_count_is_named():
    with pytest.raises(ValueError, match="`min_count` must be at least 1, but it is 0"):
        Features.of(ADDRESSES, min_count=0)
    with pytest.raises(ValueError, match="no feature occurs 99 times in 2 addresses"):
        Features.of(ADDRESSES, min_count=99)
