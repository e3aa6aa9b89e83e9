"""Pieces of words: against the definition, computed anew for every join."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseq.recipes._pieces import learn, ranks_of, split

WORDS = st.dictionaries(st.text("ab새 ", min_size=1, max_size=7), st.integers(1, 5), max_size=6)


def joined(pieces, pair):
    """Pieces in which each occurrence of a pair is one, from the left."""
    done = []
    for piece in pieces:
        if done and (done[-1], piece) == pair and not isinstance(done[-1], Join):
            done[-1] = Join(done[-1] + piece)
        else:
            done.append(piece)
    return [str(piece) for piece in done]


class Join(str):
    """What has just been joined is not joined again in the same pass."""


def by_definition(words, count):
    """The same as `learn`, with all pairs counted again after each join."""
    cut = {word: list(word) for word in words}
    found = []
    while len(found) < count:
        counts = Counter()
        for word, n in words.items():
            for pair in itertools.pairwise(cut[word]):
                counts[pair] += n
        if not counts or max(counts.values()) < 2:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        found.append(best)
        cut = {word: joined(pieces, best) for word, pieces in cut.items()}
    return found


@given(words=WORDS, count=st.integers(0, 8))
def test_the_joins_are_those_by_definition(words, count):
    assert learn(words, count=count) == by_definition(words, count)


@given(words=WORDS, word=st.text("ab새 c", max_size=9))
def test_joining_the_pieces_gives_the_word(words, word):
    ranks = ranks_of(learn(words, count=6))
    assert "".join(split(word, ranks)) == word


@given(words=WORDS)
def test_a_word_is_cut_as_it_was_when_training_ended(words):
    pairs = learn(words, count=6)
    for word in words:
        pieces = list(word)
        for pair in pairs:
            pieces = joined(pieces, pair)
        assert split(word, ranks_of(pairs)) == pieces


@pytest.mark.parametrize(
    ("word", "pieces"), [("", []), ("x", ["x"]), ("aaa", ["aa", "a"]), ("aab", ["aab"])]
)
def test_joins_are_made_from_the_left(word, pieces):
    assert split(word, {("a", "a"): 0, ("aa", "b"): 1}) == pieces
