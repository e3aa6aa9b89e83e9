"""Hidden Markov models of labels: cepstra, alignment against all paths, and words found again."""

import itertools

import numpy as np
import pytest

from jaxseq.recipes import _speech_hmm as hmm
from jaxseq.recipes._speech_hmm import Mixtures, WordHMM, cepstra, chain_of, fit, predict, usable

RNG = np.random.default_rng(0)


def mixtures(means, *, variance=1.0):
    """A Gaussian for each state."""
    means = np.float64(means)[:, None]
    return Mixtures(np.zeros(means.shape[:2]), means, np.full(means.shape, variance))


def test_the_density_of_a_frame_is_that_of_the_mixture():
    weights = np.log([[0.25, 0.75]])
    given = Mixtures(weights, RNG.normal(size=(1, 2, 3)), RNG.uniform(0.5, 2, size=(1, 2, 3)))
    frame = RNG.normal(size=3).astype(np.float32)
    of_each = [
        np.prod(np.exp(-((frame - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v))
        for m, v in zip(given.means[0], given.variances[0], strict=True)
    ]
    expected = np.log(0.25 * of_each[0] + 0.75 * of_each[1])
    np.testing.assert_allclose(hmm._by_state(given, frame[None])[0, 0], expected, rtol=1e-5)


def test_cepstra_are_cosines_with_slopes():
    features = RNG.normal(size=(6, 20)).astype(np.float32)
    found = cepstra(features)
    assert found.shape == (6, 39) and found.dtype == np.float32
    cosine = np.cos(np.pi * 2 * (np.arange(20) + 0.5) / 20)
    np.testing.assert_allclose(found[:, 2], features @ cosine * np.sqrt(0.1), rtol=1e-4, atol=1e-5)
    line = cepstra(np.arange(9, dtype=np.float32)[:, None] * np.ones((1, 20), np.float32))
    np.testing.assert_allclose(line[4, 13], line[1, 0] - line[0, 0], rtol=1e-5)


def test_a_chain_has_silence_around_and_between_labels():
    assert chain_of([2, 1], 2).tolist() == [0, 3, 4, 0, 1, 2, 0]
    assert chain_of([], 2).tolist() == [0]
    assert not usable([np.zeros((6, 1))], [[2, 1]], 2)
    assert usable([np.zeros((7, 1))], [[2, 1]], 2)


def ways(chain, steps):
    """All ways through a chain: each place for some frames, silence for none if it likes."""
    for counts in itertools.product(range(steps + 1), repeat=len(chain)):
        if sum(counts) == steps and all(
            count or state == hmm.SILENCE for count, state in zip(counts, chain, strict=True)
        ):
            yield np.repeat(chain, counts)


def test_the_best_way_through_a_chain_is_the_best_of_all():
    given = mixtures(RNG.normal(size=(5, 2)))
    frames = [RNG.normal(size=(steps, 2)).astype(np.float32) for steps in (8, 5, 4)]
    chains = [chain_of(row, 2) for row in ([2, 1], [1], [2, 1])]
    found = hmm._aligned(given, frames, chains)
    for path, one, chain in zip(found, frames, chains, strict=True):
        scores = hmm._by_state(given, one)
        best = max(ways(chain, len(one)), key=lambda way: scores[np.arange(len(way)), way].sum())
        assert path.tolist() == best.tolist()


def test_the_loop_begins_and_ends_where_labels_do():
    ways, begins, ends = hmm.loop(WordHMM(mixtures(np.zeros((5, 1))), states=2, penalty=3.0))
    assert np.flatnonzero(begins).tolist() == [1, 3] and np.flatnonzero(ends).tolist() == [2, 4]
    assert ways[1].tolist() == [-np.inf, 0, 0, -np.inf, -np.inf]
    assert ways[2].tolist() == [0, -3, 0, -3, -np.inf]
    assert ways[0].tolist() == [0, -3, -np.inf, -3, -np.inf]


def test_a_label_said_twice_is_two_labels():
    model = WordHMM(mixtures([[0.0], [5.0], [9.0]]), states=2, penalty=0.0)
    begins = np.array([False, True, False])
    assert hmm._labels_on(np.array([0, 1, 2, 1, 1, 2, 0]), begins, model.states) == [1, 1]


@pytest.fixture(scope="module")
def spoken():
    """Words of two sounds each, between silences; what is said, and nobody says where."""
    rng = np.random.default_rng(1)
    sounds = rng.normal(scale=3.0, size=(5, 20))  # the first is silence
    features, numbers = [], []
    for _ in range(40):
        said = rng.integers(1, 3, size=rng.integers(1, 4)).tolist()
        states = [0] * int(rng.integers(2, 5))
        for word in said:
            for sound in (2 * word - 1, 2 * word):
                states += [sound] * int(rng.integers(6, 12))
            states += [0] * int(rng.integers(0, 4))
        clean = sounds[[*states, 0, 0]]
        features.append((clean + 0.5 * rng.normal(size=clean.shape)).astype(np.float32))
        numbers.append(said)
    return features, numbers


def test_words_are_found_without_being_told_where_they_are(spoken):
    features, numbers = spoken
    model = fit(features[:30], numbers[:30], labels=2, states=2)
    found = predict(model._replace(penalty=10.0), features[30:])
    assert found == numbers[30:]
