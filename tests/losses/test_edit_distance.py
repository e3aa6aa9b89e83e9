"""The edit distance against the recursion of the textbook, and the error rates made of it."""

import functools
import time

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.losses import ErrorRate, edit_distance, error_rate


def by_recursion(a, b):
    @functools.cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        replaced = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, replaced)

    return distance(len(a), len(b))


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "abc", 0),
        ("kitten", "sitting", 3),
        ("intention", "execution", 5),
        ("ab", "ba", 2),
        ("안녕하세요", "안녕하십니까", 3),
    ],
)
def test_known_distances(a, b, distance):
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def test_it_is_the_textbooks_recursion():
    rng = np.random.default_rng(0)
    for _ in range(60):
        a, b = (rng.integers(3, size=rng.integers(12)).tolist() for _ in range(2))
        assert edit_distance(a, b) == by_recursion(a, b), (a, b)


def test_any_items_that_can_be_hashed_do():
    assert edit_distance(("the", None, 3), ["the", 3]) == 1
    assert edit_distance(b"abc", b"abd") == 1


def test_a_thousand_by_a_thousand_are_quick():
    rng = np.random.default_rng(1)
    a, b = rng.integers(50, size=(2, 1000)).tolist()
    start = time.perf_counter()
    edit_distance(a, b)
    assert time.perf_counter() - start < 1  # an item at a time, it would be about a million steps


def test_items_that_cannot_be_hashed_are_refused(untyped):
    with pytest.raises(
        TypeError,
        match=r"^edit_distance: `b` must be a sequence of items that can be hashed, but: unhash"
        r".*\n  Hint: of an array take array\.tolist\(\)",
    ):
        edit_distance([1, 2], jnp.array([1, 2]))
    with pytest.raises(
        TypeError, match=r"^error_rate: `predicted\[1\]` must be a sequence of item"
    ):
        error_rate([["a"], [["b"]]], [["a"], ["b"]])


def test_all_edits_are_over_all_lengths():
    """Not the mean of the rates of the pairs, which would be 1/4."""
    found = error_rate([["a", "x"], ["b"] * 8], [["a", "b"], ["b"] * 8])
    assert found == ErrorRate(errors=1, length=10)
    assert found.rate == 0.1


def test_words_characters_and_phones_are_a_matter_of_the_items():
    found, right = "a cat sat", "the cat sat"
    assert error_rate([found.split()], [right.split()]) == ErrorRate(1, 3)
    assert error_rate([found], [right]) == ErrorRate(3, 11)
    assert error_rate([["AH0", "K"]], [["DH", "AH0", "K"]]) == ErrorRate(1, 3)


def test_more_may_be_wrong_than_there_is():
    assert error_rate(["abcd"], ["x"]).rate == 4


def test_of_nothing_right_the_rate_is_the_number_of_errors():
    assert error_rate(["ab"], [""]).rate == 2
    assert error_rate([""], [""]).rate == 0
    assert error_rate([], []) == ErrorRate(0, 0) and ErrorRate(0, 0).rate == 0


def test_rates_of_batches_add_up():
    pairs = (["abc", "b", ""], ["abd", "", "cc"])
    parts = [error_rate([a], [b]) for a, b in zip(*pairs, strict=True)]
    assert sum(parts, ErrorRate(0, 0)) == error_rate(*pairs)
    assert isinstance(parts[0] + parts[1], ErrorRate)
    with pytest.raises(TypeError):
        parts[0] + (1, 2)


def test_not_as_many_are_refused():
    with pytest.raises(
        ValueError, match=r"^error_rate: `predicted` and `right` must be as many, but they are 2 an"
    ):
        error_rate(["a", "b"], ["a"])


def test_one_text_in_place_of_several_is_refused():
    with pytest.raises(TypeError, match=r"^error_rate: `predicted` must be a sequence of sequence"):
        error_rate("abc", ["abc"])
    with pytest.raises(
        TypeError, match=r"`right` .* but it is one text\.\n  Hint: put it into a l"
    ):
        error_rate(["abc"], "abc")


def test_a_text_is_not_compared_with_words():
    with pytest.raises(
        TypeError,
        match=r"^error_rate: of `predicted\[1\]` and `right\[1\]` one is a text and one is not\.",
    ):
        error_rate([["a"], "a b"], [["a"], ["a", "b"]])
