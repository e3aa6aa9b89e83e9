"""The most frequent tags, counted by hand; on the corpora, the figures that they come with."""

import pytest

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes import _frequent_tag as frequent_tag

Token = data.Token


def rows(*texts):
    """Rows of words/tags: ``rows("a/X b/Y")``."""
    return [[Token(*token.split("/")) for token in text.split()] for text in texts]


def test_each_word_gets_the_tag_that_it_has_most_often():
    model = frequent_tag.fit(rows("a/X b/Y a/Y", "", "a/Y c/Z"))
    assert model.of_word == {"a": "Y", "b": "Y", "c": "Z"}
    assert frequent_tag.predict(model, [["c", "a"], [], ["b"]]) == [["Z", "Y"], [], ["Y"]]


def test_a_new_word_gets_the_most_frequent_tag_of_all():
    model = frequent_tag.fit(rows("a/X b/Y c/Y"))
    assert frequent_tag.predict(model, [["A", "d"]]) == [["Y", "Y"]]


def test_of_equally_frequent_tags_the_first_in_training_is_taken():
    model = frequent_tag.fit(rows("a/X b/Y", "b/Z a/Y b/X"))
    assert model.of_word == {"a": "X", "b": "Y"} and model.of_all == "X"


@pytest.mark.parametrize("nothing", [[], [[]]])
def test_there_must_be_a_word(nothing):
    with pytest.raises(InputError, match=r"^frequent_tag: there is no labelled word to learn"):
        frequent_tag.fit(nothing)


@pytest.mark.parametrize(("name", "percent"), [("usaddress", 59.37), ("hkcancor", 89.07)])
def test_it_has_the_figures_that_the_corpora_are_published_with(name, percent):
    corpus = data.load(name)
    model = frequent_tag.fit(corpus.train)
    found = frequent_tag.predict(model, [[token.token for token in row] for row in corpus.test])
    right = [[token.label for token in row] for row in corpus.test]
    pairs = [pair for a, b in zip(found, right, strict=True) for pair in zip(a, b, strict=True)]
    assert round(100 * sum(a == b for a, b in pairs) / len(pairs), 2) == percent
