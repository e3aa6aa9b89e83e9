"""The tagger against a slow twin that counts in dictionaries and tries every path."""

import collections
import functools
import itertools
import math

import numpy as np
import pytest

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes import _hmm_tagger as hmm_tagger

Token = data.Token


def rows(*texts):
    """Rows of words/tags: ``rows("a/X b/Y")``."""
    return [[Token(*token.split("/")) for token in text.split()] for text in texts]


TRAIN = rows(
    "the/D dog/N walks/V",
    "the/D walks/N end/V",
    "",
    "dogs/N walk/V the/D dog/N",
    "Anna/N talks/V",
    "the/D 12/D dogs/N talk/V",
)
NEW = [["the", "cat", "talks"], [], ["the"], ["Otto", "walks", "7", "dogs"], ["walks", "walks"]]


class Twin:
    """The docstring's formulas, count by count."""

    def __init__(self, rows, rare, word_weight, tail_weight, pair_weight=None):
        self.rare, self.word_weight, self.tail_weight = rare, word_weight, tail_weight
        self.words, self.tails = (collections.defaultdict(collections.Counter) for _ in range(2))
        self.pairs = collections.Counter()
        for row in filter(None, rows):
            path = ["|", *(token.label for token in row), "|"]
            self.pairs.update(itertools.pairwise(path))
            for token in row:
                self.words[token.token][token.label] += 1
        for word, counts in self.words.items():
            for tail in hmm_tagger.tails_of(word) if sum(counts.values()) <= rare else ():
                self.tails[tail].update(counts)
        self.before, self.after = collections.Counter(), collections.Counter()
        for (a, b), count in self.pairs.items():
            self.before[a] += count
            self.after[b] += count
        self.tags = sorted(set(self.after) - {"|"})
        self.total = sum(self.pairs.values())
        self.weight = self.deleted() if pair_weight is None else pair_weight

    def deleted(self):
        weight = 0
        for (a, b), count in self.pairs.items():
            pair = (count - 1) / (self.before[a] - 1) if self.before[a] > 1 else 0
            weight += count * (pair > (self.after[b] - 1) / (self.total - 1))
        return weight / (self.total + 1)

    def move(self, a, b):
        pair = self.pairs[a, b] / self.before[a]
        return self.weight * pair + (1 - self.weight) * self.after[b] / self.total

    def share(self, tag):
        return self.after[tag] / sum(self.after[t] for t in self.tags)

    def shares(self, word):
        found = {tag: self.share(tag) for tag in self.tags}
        backing = [(self.tails[tail], self.tail_weight) for tail in hmm_tagger.tails_of(word)]
        for counts, weight in [*backing, (self.words.get(word, {}), self.word_weight)]:
            if counts:
                total = sum(counts.values()) + weight
                found = {t: (counts.get(t, 0) + weight * p) / total for t, p in found.items()}
        return found

    def probability(self, words, path):
        moves = itertools.pairwise(["|", *path, "|"])
        emissions = (
            self.shares(w)[tag] / self.share(tag) for w, tag in zip(words, path, strict=True)
        )
        return math.prod(self.move(a, b) for a, b in moves) * math.prod(emissions)

    def predict(self, words):
        paths = itertools.product(self.tags, repeat=len(words))
        return list(max(paths, key=lambda path: self.probability(words, path)))


@pytest.mark.parametrize("settings", [(10, 0.3, 3.0), (1, 2.0, 0.5), (0, 1.0, 1.0)])
def test_it_is_its_twin_of_dictionaries(settings):
    rare, word_weight, tail_weight = settings
    model = hmm_tagger.fit(TRAIN, rare=rare, word_weight=word_weight, tail_weight=tail_weight)
    twin = Twin(TRAIN, *settings)
    assert list(model.tags) == twin.tags and math.isclose(model.pair_weight, twin.weight)
    for word in {word for row in NEW for word in row}:
        expected = [twin.shares(word)[tag] for tag in twin.tags]
        np.testing.assert_allclose(hmm_tagger.tag_shares(model, word), expected, rtol=1e-12)
    assert hmm_tagger.predict(model, NEW) == [twin.predict(words) for words in NEW]


def test_tags_follow_one_another_as_in_its_twin():
    chain, twin = hmm_tagger.fit(TRAIN).chain, Twin(TRAIN, 10, 0.3, 3.0)
    marked = [*twin.tags, "|"]
    expected = np.log([[twin.move(a, b) for b in marked] for a in marked])
    np.testing.assert_allclose(chain.log_initial, expected[-1, :-1])
    np.testing.assert_allclose(chain.log_transition, expected[:-1, :-1])
    np.testing.assert_allclose(chain.log_final, expected[:-1, -1])


def test_the_end_of_a_sequence_counts():
    model = hmm_tagger.fit(rows(*["a/X b/Y"] * 3, *["a/X b/Z c/X"] * 4))
    found = hmm_tagger.predict(model, [["a", "b"], ["a", "b", "c"]])
    assert found == [["X", "Y"], ["X", "Z", "X"]]


def test_nothing_is_impossible_even_if_pairs_always_tell_more():
    train = rows(*["a/X b/Y"] * 50)
    model = hmm_tagger.fit(train)
    assert 0.9 < model.pair_weight < 1
    assert all(np.isfinite(logs).all() for logs in model.chain)
    assert hmm_tagger.predict(model, [["b", "a", "a"]])[0][0] in model.tags


def test_a_validation_part_chooses_the_weight_of_pairs():
    valid = rows("the/D cat/N talks/V", "", "talks/N end/V the/D", "dog/V dog/N")
    model = hmm_tagger.fit(TRAIN, valid)
    words = [[token.token for token in row] for row in valid]
    right = [token.label for row in valid for token in row]
    hits = []
    for weight in (None, *hmm_tagger.PAIR_WEIGHTS):
        twin = Twin(TRAIN, 10, 0.3, 3.0, pair_weight=weight)
        found = [tag for row in words for tag in twin.predict(row)]
        hits.append((sum(a == b for a, b in zip(found, right, strict=True)), twin.weight))
    assert math.isclose(model.pair_weight, max(hits, key=lambda pair: pair[0])[1])
    chain = hmm_tagger.fit(TRAIN).chain
    assert model.chain.log_final.shape == chain.log_final.shape


def test_more_sequences_than_are_decoded_at_once(monkeypatch):
    model = hmm_tagger.fit(TRAIN)
    at_once = hmm_tagger.predict(model, NEW)
    monkeypatch.setattr(hmm_tagger, "ROWS", 2)
    assert hmm_tagger.predict(model, NEW) == at_once


def test_ends_of_words_go_from_less_to_more():
    assert hmm_tagger.tails_of("") == ["", "", " ^"]
    assert hmm_tagger.tails_of("NY,") == ["", "X,", "X, ,", "X, Y,", "X, NY,", "X, ^NY,"]
    assert hmm_tagger.tails_of("12b-한국")[:3] == ["", "0x-c", "0x-c 국"]
    assert len(hmm_tagger.tails_of("international")) == 2 + hmm_tagger.LONGEST_TAIL


@pytest.mark.parametrize("nothing", [[], [[]]])
def test_there_must_be_a_word(nothing):
    with pytest.raises(InputError, match=r"^hmm_tagger: there is no labelled word to learn from"):
        hmm_tagger.fit(nothing)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"rare": -1}, "`rare` must be at least 0, but it is -1"),
        ({"word_weight": 0.0}, "`word_weight` must be a number of more than 0, but it is 0.0"),
        ({"tail_weight": math.nan}, "`tail_weight` must be a number of more than 0, but it is nan"),
    ],
)
def test_a_wrong_setting_is_named(settings, match):
    with pytest.raises(ValueError, match="^hmm_tagger: " + match):
        hmm_tagger.fit(TRAIN, **settings)


@functools.cache
def corpus(name):
    return data.load(name)


def percent(model, part):
    found = hmm_tagger.predict(model, [[token.token for token in row] for row in part])
    pairs = zip(itertools.chain(*found), itertools.chain(*part), strict=True)
    return 100 * np.mean([tag == token.label for tag, token in pairs])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "alone"), [("usaddress", 87.11), ("hkcancor", 92.26)])
def test_it_has_the_figures_of_its_docstring(name, alone):
    train, test = corpus(name).train, corpus(name).test
    assert percent(hmm_tagger.fit(train), test) == pytest.approx(alone, abs=0.1)


@pytest.mark.slow
def test_addresses_gain_by_their_validation_part():
    addresses = corpus("usaddress")
    model = hmm_tagger.fit(addresses.train, addresses.valid)
    assert model.pair_weight == 0.999
    assert percent(model, addresses.test) == pytest.approx(88.26, abs=0.1)
