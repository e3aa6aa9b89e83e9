"""The classifier against a twin in float64 that walks over steps and states one by one."""

import functools
import math

import numpy as np
import pytest

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes import _hmm_classifier as hmm_classifier

LENGTHS, LABELS = (5, 3, 0, 4, 6, 1), ["b", "a", "a", "b", "b", "a"]
SETTINGS = {"num_states": 2, "shrinkage": 3.0, "iterations": 3}


@functools.cache
def series():
    rng = np.random.default_rng(0)
    shift = {"a": 0.0, "b": 1.0}
    return [
        rng.normal(shift[label], 1.0, (length, 2)).astype(np.float32)
        for length, label in zip(LENGTHS, LABELS, strict=True)
    ]


@functools.cache
def model():
    return hmm_classifier.fit(series(), LABELS, **SETTINGS)


def series_of(label):
    return [one for one, given in zip(series(), LABELS, strict=True) if given == label]


def with_slopes(one):
    """Columns, and the slopes of lines through five steps, the ends repeated."""
    found = np.zeros(one.shape)
    padded = np.pad(one.astype(np.float64), ((2, 2), (0, 0)), mode="edge") if len(one) else one
    for t in range(len(one)):
        found[t] = np.polyfit(np.arange(5), padded[t : t + 5], 1)[0]
    return np.concatenate([one, found], axis=1)


def white(one):
    return (with_slopes(one) - model().center) @ model().whitening


def density(x, mean, covariance):
    off = x - mean
    root = np.sqrt(np.linalg.det(2 * np.pi * covariance))
    return np.exp(-0.5 * off @ np.linalg.solve(covariance, off)) / root


def run(one, moves, means, covariances):
    """The likelihood, and posteriors of states and of moves, by forward and backward sums."""
    size = len(means)
    emit = np.array([[density(x, m, c) for m, c in zip(means, covariances, strict=True)]
                     for x in one])  # fmt: skip
    ahead, behind = np.zeros((len(one), size)), np.ones((len(one), size))
    ahead[0, 0] = emit[0, 0]
    for t in range(1, len(one)):
        ahead[t] = ahead[t - 1] @ moves * emit[t]
    for t in range(len(one) - 2, -1, -1):
        behind[t] = moves @ (emit[t + 1] * behind[t + 1])
    total = ahead[-1].sum()
    taken = np.zeros((size, size))
    for t in range(1, len(one)):
        taken += ahead[t - 1][:, None] * moves * (emit[t] * behind[t])[None] / total
    return total, ahead * behind / total, taken


def estimate(parts, weights, shrinkage, size):
    means, covariances = [], []
    for k in range(size):
        pairs = [(w[k], x) for one, ws in zip(parts, weights, strict=True)
                 for x, w in zip(one, ws, strict=True)]  # fmt: skip
        count = sum(w for w, _ in pairs)
        mean = sum(w * x for w, x in pairs) / count
        scatter = sum(w * np.outer(x - mean, x - mean) for w, x in pairs)
        means.append(mean)
        covariances.append((scatter + shrinkage * np.eye(len(mean))) / (count + shrinkage))
    return means, covariances


def twin_fit(parts, num_states, shrinkage, iterations):
    parts = [one for one in parts if len(one)]
    weights = [[np.eye(num_states)[t * num_states // len(one)] for t in range(len(one))]
               for one in parts]  # fmt: skip
    moves, history = np.array([[0.5, 0.5], [0.0, 1.0]]), []
    means, covariances = estimate(parts, weights, shrinkage, num_states)
    for _ in range(iterations):
        found = [run(one, moves, means, covariances) for one in parts]
        history.append(sum(math.log(total) for total, _, _ in found))
        means, covariances = estimate(parts, [w for _, w, _ in found], shrinkage, num_states)
        taken = sum(counts for _, _, counts in found)
        moves = taken / taken.sum(1, keepdims=True)
    return (moves, means, covariances), history


def test_it_is_its_twin_of_loops():
    scores = hmm_classifier.scores(model(), series())
    for c, label in enumerate(model().labels):
        mine = [white(one) for one in series_of(label)]
        parameters, history = twin_fit(mine, **SETTINGS)
        np.testing.assert_allclose(model().log_likelihoods[:, c], history, rtol=1e-4)
        moves, means, covariances = parameters
        np.testing.assert_allclose(
            np.exp(model().models.log_transition[c]), moves, rtol=1e-3, atol=1e-6
        )
        np.testing.assert_allclose(model().models.emission.mean[c], means, rtol=1e-3, atol=1e-4)
        for score, one in zip(scores[:, c], series(), strict=True):
            nats = math.log(run(white(one), moves, means, covariances)[0]) if len(one) else 0
            assert score == pytest.approx(math.log(0.5) + nats, abs=1e-3)


def test_series_are_white_within_classes():
    frames = {
        label: np.concatenate([white(one) for one in series_of(label)]) for label in model().labels
    }
    everything = np.concatenate([*frames.values()])
    np.testing.assert_allclose(everything.mean(0), 0, atol=1e-9)
    off = np.concatenate([part - part.mean(0) for part in frames.values()])
    np.testing.assert_allclose(off.T @ off / len(off), np.eye(4), atol=1e-9)


def test_slopes_are_those_of_lines_through_the_neighbours():
    for one in (series()[4], series()[5], series()[2]):
        np.testing.assert_allclose(hmm_classifier.slopes(one), with_slopes(one)[:, 2:], atol=1e-6)


def test_likelihoods_grow_and_the_likeliest_label_is_found():
    assert (np.diff(model().log_likelihoods.sum(1)) > 0).all()
    best = hmm_classifier.scores(model(), series()).argmax(1)
    assert hmm_classifier.predict(model(), series()) == [model().labels[c] for c in best]


def test_what_else_is_in_the_batch_never_matters():
    alone = hmm_classifier.scores(model(), [series()[1]])
    np.testing.assert_allclose(alone[0], hmm_classifier.scores(model(), series())[1], rtol=1e-5)


@pytest.mark.parametrize("moving", [0, 1])
def test_columns_that_never_vary_do_no_harm(moving):
    flat = [np.concatenate([one[:, :moving], 0 * one[:, moving:] + 7], axis=1) for one in series()]
    found = hmm_classifier.fit(flat, LABELS, **SETTINGS)
    assert np.isfinite(found.log_likelihoods).all()
    assert np.isfinite(hmm_classifier.scores(found, flat)).all()


@pytest.mark.parametrize(
    ("kind", "match", "change"),
    [
        (InputError, "there is no series", {"series": [], "labels": []}),
        (InputError, "one label for each series, but there are 2 series and 1 labels",
         {"labels": ["a"]}),
        (InputError, "there is no step to learn from", {"series": [np.zeros((0, 1))] * 2}),
        (InputError, r"must be finite numbers, but series\[1\] has others",
         {"series": [np.zeros((2, 1)), np.full((2, 1), np.nan)]}),
        (ValueError, r"must have shape \(T, I\), .* there is \[\(1,\), \(2,\)\]",
         {"series": [np.zeros((2, 1)), np.zeros((2, 2))]}),
        (ValueError, r"must have shape \(T, I\), .* there is \[\(\)\]",
         {"series": [np.zeros(3)] * 2}),
        (ValueError, "`num_states` must be at least 1, but it is 0", {"num_states": 0}),
        (ValueError, "`iterations` must be at least 1, but it is 0", {"iterations": 0}),
        (ValueError, "`shrinkage` must be a number of more than 0, .* 0.0", {"shrinkage": 0.0}),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_refused(kind, match, change):
    arguments = {"series": [np.zeros((2, 1))] * 2, "labels": ["a", "b"]} | change
    with pytest.raises(kind, match="^hmm_classifier: .*" + match):
        hmm_classifier.fit(arguments.pop("series"), arguments.pop("labels"), **arguments)


def test_series_must_have_the_columns_of_training():
    with pytest.raises(ValueError, match="must have 2 columns, as in training, but have 3"):
        hmm_classifier.predict(model(), [np.zeros((4, 3))])


@pytest.mark.slow
def test_nine_speakers_are_told_apart():
    corpus = data.load("japanese_vowels")
    train = [str(utterance.label) for utterance in corpus.train]
    found = hmm_classifier.predict(
        hmm_classifier.fit([utterance.values for utterance in corpus.train], train),
        [utterance.values for utterance in corpus.test],
    )
    hits = [a == str(b.label) for a, b in zip(found, corpus.test, strict=True)]
    assert len(hits) == 370 and np.mean(hits) > 0.985
