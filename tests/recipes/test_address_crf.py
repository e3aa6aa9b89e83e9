"""The labeller of addresses, on a handful of them; on all of them in a slow test."""

import functools
import math

import numpy as np
import pytest

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes import address_crf
from jaxseq.structured import crf

Token = data.Token


@functools.cache
def corpus():
    return data.load("usaddress")


@functools.cache
def few():
    return corpus().train[:6]


@functools.cache
def model():
    return address_crf.train(few(), l2=0.01, max_iterations=25)


def words(rows):
    return [[token.token for token in row] for row in rows]


def test_it_learns_a_handful_by_heart():
    report = address_crf.evaluate(model(), few())
    assert report.token_accuracy == report.sequence_accuracy == 1
    assert (report.sequences, report.tokens) == (6, sum(map(len, few())))


def test_training_says_how_it_went():
    losses = model().training.losses
    assert np.isclose(losses[0], math.log(len(model().labels)), rtol=1e-5)
    assert (np.diff(losses) <= 1e-6).all() and losses[-1] < 0.3


def test_labels_come_back_for_each_word():
    addresses = [[], *words(few())[:2], []]
    found = address_crf.label(model(), addresses)
    assert found[0] == found[3] == []
    assert found[1:3] == [[token.label for token in row] for row in few()[:2]]
    assert address_crf.label(model(), [[], []]) == [[], []]


def test_emissions_are_for_the_functions_of_the_room():
    scores, lengths = address_crf.emissions(model(), words(few()))
    _, transitions, initial, final = model().params
    tags, _ = crf.viterbi(scores, transitions, initial=initial, final=final, lengths=lengths)
    named = [
        [model().labels[tag] for tag in row[:n]]
        for row, n in zip(np.asarray(tags), lengths, strict=True)
    ]
    assert named == address_crf.label(model(), words(few()))


def test_a_label_that_training_did_not_have_is_named():
    rows = [[Token("Elm", "Tree")]]
    with pytest.raises(InputError, match=r'address-crf: "Tree", the label of "Elm", is none of'):
        address_crf.evaluate(model(), rows)


def test_words_are_counted_alike_for_every_model():
    report = address_crf.measure([["A", "B"], ["A"], []], [["A", "A"], ["A"], []])
    assert report.token_accuracy == 2 / 3 and report.sequence_accuracy == 2 / 3
    assert (report.tokens, report.sequences) == (3, 3)


def test_measuring_needs_one_label_found_for_each_right_one():
    with pytest.raises(InputError, match="one label found for each right one"):
        address_crf.measure([["A"]], [["A", "B"]])
    with pytest.raises(InputError, match="no labelled word to measure on"):
        address_crf.measure([[]], [[]])


def test_the_baseline_is_the_published_one():
    found = address_crf.most_frequent_label_accuracy(corpus().train, corpus().test)
    assert round(100 * found, 2) == 59.37


def test_the_baseline_gives_unseen_words_the_most_frequent_label_of_all():
    train = [[Token("a", "X"), Token("b", "Y"), Token("b", "Y"), Token("a", "X"), Token("c", "X")]]
    test = [[Token("b", "Y"), Token("d", "X")]]
    assert address_crf.most_frequent_label_accuracy(train, test) == 1


def test_there_must_be_words():
    with pytest.raises(InputError, match="no labelled word to learn from"):
        address_crf.train([[]])
    with pytest.raises(InputError, match="no labelled word to learn from"):
        address_crf.most_frequent_label_accuracy([], few())
    with pytest.raises(InputError, match="no labelled word to measure on"):
        address_crf.evaluate(model(), [[]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"l2": -1.0}, "`l2` must be at least 0, but it is -1.0"),
        ({"l2": math.nan}, "`l2` must be at least 0, but it is nan"),
        ({"tolerance": -1.0}, "`tolerance` must be at least 0, but it is -1.0"),
        ({"max_iterations": 0}, "`max_iterations` must be at least 1, but it is 0"),
        ({"min_count": 0}, "`min_count` must be at least 1, but it is 0"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        address_crf.train(few(), **settings)


@pytest.mark.slow
def test_all_addresses_beat_the_baseline_by_far():
    report = address_crf.evaluate(address_crf.train())
    assert report.tokens == 2087 and report.sequences == 303
    assert report.token_accuracy > 0.92 and report.sequence_accuracy > 0.74
