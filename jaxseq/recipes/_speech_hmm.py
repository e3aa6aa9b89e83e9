"""What a recogniser has to beat: a hidden Markov model of each label, joined in a loop.

This is how connected words were recognised before networks read whole sentences: cepstra with
their slopes, states from left to right, a mixture of Gaussians in each, and between labels silence
or none. Nobody says where the labels are: training begins with equal parts, and goes on with the
best alignment of the models that these gave.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int

from jaxseq.structured import crf

STATES = {"words": 8, "characters": 3}
MIXTURES = (1, 1, 1, 2, 4, 8)
"""Gaussians of a state in each round of training; where they become more, each is split in two."""
CEPSTRA = 13
MOST = 600
"""So many recordings are enough for these models."""
AT_ONCE = 128
PENALTIES = (0.0, 10.0, 20.0, 40.0, 80.0)
"""What beginning a label may cost, in nats; a validation part chooses."""
LEAST_VARIANCE = 0.01
SILENCE = 0


class Mixtures(NamedTuple):
    """The Gaussians of all states; the first state is silence, the others go label by label.

    Attributes:
      log_weights: ``[S, C]``.
      means: ``[S, C, D]``.
      variances: ``[S, C, D]``.
    """

    log_weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    def log_likelihoods(self, frames: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N S C"]:
        """Returns the log-density of frames under each Gaussian, with its weight."""
        precisions = 1 / self.variances
        constant = self.log_weights - 0.5 * (
            np.log(2 * np.pi * self.variances) + self.means**2 * precisions
        ).sum(-1)
        shape = self.log_weights.shape
        flat = (-1, frames.shape[1])
        linear = frames @ (self.means * precisions).reshape(flat).T.astype(np.float32)
        square = frames**2 @ (-0.5 * precisions).reshape(flat).T.astype(np.float32)
        return (linear + square).reshape(-1, *shape) + constant.astype(np.float32)


class WordHMM(NamedTuple):
    """Models of all labels.

    Attributes:
      mixtures: of all states.
      states: how many states a label has.
      penalty: what beginning a label costs, in nats.
    """

    mixtures: Mixtures
    states: int
    penalty: float


def cepstra(features: Float32[np.ndarray, "T M"]) -> Float32[np.ndarray, "T D"]:
    """Returns the cepstra of log-mel features, with their slopes and the slopes of those."""
    bands = features.shape[1]
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(CEPSTRA))
    base = features @ (np.cos(angles) * np.sqrt(2 / bands)).astype(np.float32)
    slopes = _slopes(base)
    return np.concatenate([base, slopes, _slopes(slopes)], axis=1).astype(np.float32)


def _slopes(xs: np.ndarray) -> np.ndarray:
    """Returns the slope at each step, over two steps on either side."""
    wide = np.pad(xs, ((2, 2), (0, 0)), mode="edge")
    return (2 * (wide[4:] - wide[:-4]) + wide[3:-1] - wide[1:-3]) / 10


def fit(
    features: Sequence[np.ndarray], numbers: Sequence[Sequence[int]], *, labels: int, states: int
) -> WordHMM:
    """Returns models of recordings whose labels are known, but not where they are.

    Args:
      features: ``[T, M]`` of each recording.
      numbers: its labels, each in 1..labels.
      labels: how many there are.
      states: of a label.

    Returns:
      The models, without a penalty.
    """
    chains = [chain_of(row, states) for row in numbers]
    some = [k for k, one in enumerate(features) if len(one) >= len(chains[k])][:MOST]
    frames = [cepstra(features[k]) for k in some]
    chains = [chains[k] for k in some]
    found = [_equal_parts(len(one), chain) for one, chain in zip(frames, chains, strict=True)]
    together = np.concatenate(frames)
    mixtures = _one_gaussian(together, labels * states + 1)
    for place, count in enumerate(MIXTURES):
        while mixtures.log_weights.shape[1] < count:
            mixtures = _split(mixtures)
        mixtures = _estimated(mixtures, together, np.concatenate(found))
        if place + 1 < len(MIXTURES):
            found = _aligned(mixtures, frames, chains)
    return WordHMM(mixtures, states, 0.0)


def usable(features: Sequence[np.ndarray], numbers: Sequence[Sequence[int]], states: int) -> bool:
    """Returns whether a recording is long enough for the states of its labels."""
    return any(
        len(one) >= len(chain_of(row, states)) for one, row in zip(features, numbers, strict=True)
    )


def chain_of(numbers: Sequence[int], states: int) -> Int[np.ndarray, " N"]:
    """Returns the states of a recording in their order, with silence around and between labels."""
    parts = [np.array([SILENCE])]
    for number in numbers:
        first = 1 + (number - 1) * states
        parts += [np.arange(first, first + states), np.array([SILENCE])]
    return np.concatenate(parts)


def _equal_parts(steps: int, chain: Int[np.ndarray, " N"]) -> Int[np.ndarray, " T"]:
    """Returns a state for each frame: the chain, stretched."""
    return chain[np.arange(steps) * len(chain) // steps]


def _aligned(
    mixtures: Mixtures, frames: Sequence[np.ndarray], chains: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Returns the state of each frame on the best way through each recording's chain."""
    found = []
    order = np.argsort([len(one) for one in frames], kind="stable")
    for first in range(0, len(order), AT_ONCE):
        some = order[first : first + AT_ONCE]
        lengths = np.array([len(frames[k]) for k in some])
        places = np.full((len(some), max(len(chains[k]) for k in some)), -1)
        met = np.full((lengths.max(), *places.shape), -np.inf, np.float32)
        for row, k in enumerate(some):
            places[row, : len(chains[k])] = chains[k]
            met[: lengths[row], row, : len(chains[k])] = _by_state(mixtures, frames[k])[
                :, chains[k]
            ]
        best = _best_ways(met, places, lengths)
        found += [places[row, best[: lengths[row], row]] for row in range(len(some))]
    return [found[place] for place in np.argsort(order)]


def _best_ways(
    met: Float32[np.ndarray, "T B N"], places: Int[np.ndarray, "B N"], lengths: np.ndarray
) -> Int[np.ndarray, "T B"]:
    """Returns at each frame which place of its chain each recording is at; silence may be left out.

    Args:
      met: the log-density of each frame at each place; -inf where there is none.
      places: the states of the chains, -1 behind their ends.
      lengths: the frames of each recording.
    """
    skips = np.zeros(places.shape, bool)
    skips[:, 2:] = places[:, 1:-1] == SILENCE  # what is before this place may be jumped over
    score = np.where(np.arange(places.shape[1]) < 2, met[0], -np.inf)
    ways = np.zeros(met.shape, np.int8)
    for step in range(1, len(met)):
        before = np.pad(score, ((0, 0), (2, 0)), constant_values=-np.inf)
        leap = np.where(skips, before[:, :-2], -np.inf)
        choices = np.stack([score, before[:, 1:-1], leap])
        inside = (step < lengths)[:, None]
        ways[step] = np.where(inside, choices.argmax(0), 0)
        score = np.where(inside, choices.max(0) + met[step], score)
    rows = np.arange(len(places))
    last = (places >= 0).sum(1) - 1
    other = np.maximum(last - 1, 0)
    place = np.where(score[rows, other] > score[rows, last], other, last)
    path = np.zeros(met.shape[:2], np.int64)
    for step in range(len(met) - 1, -1, -1):
        path[step] = place
        place = place - ways[step, rows, place]
    return path


def _by_state(mixtures: Mixtures, frames: np.ndarray) -> np.ndarray:
    """Returns the log-density of frames in each state."""
    each = mixtures.log_likelihoods(frames)
    highest = each.max(-1, keepdims=True)
    return highest[..., 0] + np.log(np.exp(each - highest).sum(-1))


def _one_gaussian(frames: np.ndarray, states: int) -> Mixtures:
    """Returns the Gaussian of all frames, for every state."""
    mean, variance = frames.mean(0, dtype=np.float64), frames.var(0, dtype=np.float64)
    wide = (states, 1, frames.shape[1])
    variance = np.maximum(variance, LEAST_VARIANCE)
    return Mixtures(
        np.zeros((states, 1)), np.broadcast_to(mean, wide), np.broadcast_to(variance, wide)
    )


def _split(mixtures: Mixtures) -> Mixtures:
    """Returns twice as many Gaussians, a fifth of a deviation to either side of each."""
    aside = 0.2 * np.sqrt(mixtures.variances)
    return Mixtures(
        np.concatenate([mixtures.log_weights - np.log(2)] * 2, axis=1),
        np.concatenate([mixtures.means - aside, mixtures.means + aside], axis=1),
        np.concatenate([mixtures.variances] * 2, axis=1),
    )


def _estimated(
    mixtures: Mixtures, frames: Float32[np.ndarray, "N D"], states: Int[np.ndarray, " N"]
) -> Mixtures:
    """Returns the Gaussians of the frames that belong to each state; one without any stays."""
    log_weights, means, variances = (np.array(array, np.float64) for array in mixtures)
    for state in range(len(means)):
        own = frames[states == state]
        if len(own) < 2 * means.shape[1]:
            continue
        one = Mixtures(*(array[state : state + 1] for array in mixtures))
        each = one.log_likelihoods(own)[:, 0].astype(np.float64)
        share = np.exp(each - each.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        count = share.sum(0) + 1e-6
        log_weights[state] = np.log(count / count.sum())
        means[state] = share.T @ own / count[:, None]
        spread = share.T @ own.astype(np.float64) ** 2 / count[:, None] - means[state] ** 2
        variances[state] = np.maximum(spread, LEAST_VARIANCE)
    return Mixtures(log_weights, means, variances)


def loop(model: WordHMM) -> tuple[np.ndarray, Bool[np.ndarray, " S"], Bool[np.ndarray, " S"]]:
    """Returns the log-weights of the transitions, and which states begin and end a label."""
    total, states = len(model.mixtures.means), model.states
    inner = np.arange(total) - 1
    begins = (inner >= 0) & (inner % states == 0)
    ends = (inner >= 0) & (inner % states == states - 1)
    ways = np.full((total, total), -np.inf, np.float32)
    np.fill_diagonal(ways, 0)
    after = np.flatnonzero((inner >= 0) & ~ends)
    ways[after, after + 1] = 0
    ways[np.ix_(ends, begins)] = -model.penalty
    ways[ends, SILENCE] = 0
    ways[SILENCE, begins] = -model.penalty
    return ways, begins, ends


def predict(model: WordHMM, features: Sequence[np.ndarray]) -> list[list[int]]:
    """Returns the likeliest labels of recordings."""
    ways, begins, ends = loop(model)
    silent = np.arange(len(ways)) == SILENCE
    initial = np.where(begins, -model.penalty, np.where(silent, 0, -np.inf)).astype(np.float32)
    final = np.where(ends | silent, 0, -np.inf).astype(np.float32)
    scores = [_by_state(model.mixtures, cepstra(one)) for one in features]
    longest = max(1, *map(len, scores))
    found: list[list[int]] = []
    for first in range(0, len(scores), 64):
        some = scores[first : first + 64]
        padded = np.zeros((64, longest, len(ways)), np.float32)
        lengths = np.zeros(64, np.int32)
        for row, one in enumerate(some):
            padded[row, : len(one)], lengths[row] = one, len(one)
        tags = crf.viterbi(padded, ways, initial=initial, final=final, lengths=lengths)[0]
        rows = zip(np.asarray(tags), lengths[: len(some)], strict=False)
        found += [_labels_on(path[:length], begins, model.states) for path, length in rows]
    return found


def _labels_on(path: Any, begins: Bool[np.ndarray, " S"], states: int) -> list[int]:
    """Returns the labels of a way: one begins where its first state is entered."""
    before = np.concatenate([[SILENCE], path[:-1]])
    entered = begins[path] & (before != path)
    return [1 + (state - 1) // states for state in path[entered].tolist()]
