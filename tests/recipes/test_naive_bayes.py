"""Naive Bayes against a slow twin of dictionaries; on the corpora, the figures that they have."""

import collections
import math

import numpy as np
import pytest

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes import _naive_bayes as naive_bayes

TEXTS = ["Anna", "Hanna", "otto", "Bo", "", "Élan"]
LABELS = ["f", "f", "m", "m", "m", "x"]


def twin_scores(texts, labels, new, order, alpha):
    """The docstring's formula, one n-gram at a time."""

    def grams(text):
        text = "<" + text.lower() + ">"
        return [text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)
                if j - i <= order]  # fmt: skip

    counts = {label: collections.Counter() for label in sorted(set(labels))}
    for text, label in zip(texts, labels, strict=True):
        counts[label].update(grams(text))
    size = len(set().union(*counts.values()))
    found = []
    for text in new:
        row = []
        for label, count in counts.items():
            total = sum(count.values()) + alpha * size
            nats = sum(math.log((count[gram] + alpha) / total) for gram in grams(text))
            row.append(math.log(labels.count(label) / len(labels)) + nats)
        found.append(row)
    return found


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("alpha", [0.1, 2.0])
def test_it_is_its_twin_of_dictionaries(order, alpha):
    new = ["Johanna", "lotto", "", "한글", "é"]
    model = naive_bayes.fit(TEXTS, LABELS, order=order, alpha=alpha)
    expected = twin_scores(TEXTS, LABELS, new, order, alpha)
    np.testing.assert_allclose(naive_bayes.scores(model, new), expected, rtol=1e-12)
    best = [model.labels[k] for k in np.argmax(expected, axis=1)]
    assert naive_bayes.predict(model, new) == best


def test_the_n_grams_of_each_label_are_a_distribution():
    model = naive_bayes.fit(TEXTS, LABELS)
    np.testing.assert_allclose(np.exp(model.log_probs[:-1]).sum(0), 1)  # the last row is of others
    np.testing.assert_allclose(np.exp(model.log_prior).sum(), 1)


def test_n_grams_have_marks_and_small_letters():
    assert naive_bayes.grams_of("Ab", 3) == ["\2", "a", "b", "\3", "\2a", "ab", "b\3", "\2ab",
                                             "ab\3"]  # fmt: skip
    assert naive_bayes.grams_of("", 3) == ["\2", "\3", "\2\3"]


def test_nothing_to_classify_is_nothing_found():
    assert naive_bayes.predict(naive_bayes.fit(TEXTS, LABELS), []) == []


@pytest.mark.parametrize(
    ("name", "field", "percent"), [("names", "name", 70.57), ("udhr", "text", 98.64)]
)
def test_it_has_the_figures_that_the_corpora_are_published_with(name, field, percent):
    corpus = data.load(name)
    texts = [getattr(row, field) for row in corpus.train]
    model = naive_bayes.fit(texts, [row.language for row in corpus.train])
    found = naive_bayes.predict(model, [getattr(row, field) for row in corpus.test])
    hits = [a == row.language for a, row in zip(found, corpus.test, strict=True)]
    assert round(100 * np.mean(hits), 2) == percent


@pytest.mark.parametrize(("texts", "labels"), [([], []), (["a"], ["x", "y"])])
def test_there_must_be_a_label_for_each_text(texts, labels):
    match = f"^naive_bayes: there must be texts, .* there are {len(texts)} texts and {len(labels)}"
    with pytest.raises(InputError, match=match):
        naive_bayes.fit(texts, labels)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"order": 0}, "`order` must be at least 1, but it is 0"),
        ({"alpha": 0.0}, "`alpha` must be a number of more than 0, but it is 0.0"),
        ({"alpha": math.inf}, "`alpha` must be a number of more than 0, but it is inf"),
    ],
)
def test_a_wrong_setting_is_named(settings, match):
    with pytest.raises(ValueError, match="^naive_bayes: " + match):
        naive_bayes.fit(TEXTS, LABELS, **settings)
