"""What a classifier of series has to beat: a hidden Markov model for each class.

States follow one another from left to right, as for words in speech recognition: where each begins
needs no luck, so that there are no restarts, and the same series always give the same model.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64

from jaxseq import data
from jaxseq._checks import InputError, error
from jaxseq._types import Array, ArrayLike
from jaxseq.structured import hmm

WHERE = "hmm_classifier"
RADIUS = 2
"""A slope is measured over so many steps on either side."""
LEAST = 1e-6
"""No direction counts as varying less, as a share of the one that varies most."""


class HMMClassifier(NamedTuple):
    """A classifier of series.

    Attributes:
      labels: C of them, sorted.
      log_prior: ``[C]``, how frequent each label is.
      models: of each class; every array has the classes as its first axis.
      emission: their family.
      center: ``[2 I]``, the mean of all steps, with their slopes.
      whitening: ``[2 I, 2 I]``; steps less the mean, times this, are what the models see.
      log_likelihoods: ``[iterations, C]``, of the training series, before each iteration.

    Example:
      >>> HMMClassifier._fields[:3]
      ('labels', 'log_prior', 'models')
    """

    labels: tuple[str, ...]
    log_prior: Float64[np.ndarray, " C"]
    models: hmm.HMM
    emission: hmm.Emission
    center: Float64[np.ndarray, " D"]
    whitening: Float64[np.ndarray, "D D"]
    log_likelihoods: Float64[np.ndarray, "N C"]


def fit(
    series: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    num_states: int = 3,
    shrinkage: float = 50.0,
    iterations: int = 20,
) -> HMMClassifier:
    r"""Fits a hidden Markov model to the series of each class, all of them at once.

    A state is followed by itself or by the next one, and emits vectors with a mean and a covariance
    of its own. It begins with its even part of each series: with 3 states, a third of the steps.
    Steps have their slopes beside them (Furui, 1986), for a state knows nothing of the step before.

    Steps are made white first, by their mean and the covariance that they have within classes. So
    a covariance can be drawn to that of all classes (Friedman, 1989), which counts like
    ``shrinkage`` steps that each state had before: alone it would have more numbers than steps.

    The settings were chosen by cross-validation on the training part of ``japanese_vowels``, where
    fewer were right without slopes, with diagonal covariances, or with states in any order. Of its
    test part 99.19 % are right.

    Args:
      series: arrays ``[T, I]`` of any lengths.
      labels: one for each.
      num_states: of each model.
      shrinkage: more than 0.
      iterations: of expectation maximisation.

    Returns:
      The models.

    Raises:
      InputError: if there is no series, no step in them, not one label for each, or a number that
        is not finite.
      ValueError: if series have different shapes, or a setting is out of range.

    Example:
      >>> import numpy as np
      >>> up, down = np.linspace(0, 1, 9)[:, None], np.linspace(1, 0, 7)[:, None]
      >>> model = fit([up, up**2, down, down**2], ["up", "up", "down", "down"])
      >>> predict(model, [up[1:] ** 3, down[1:] ** 3])
      ['up', 'down']

    References:
      Rabiner, "A Tutorial on Hidden Markov Models and Selected Applications in Speech
      Recognition", Proceedings of the IEEE 77(2), 1989; Furui, "Speaker-Independent Isolated Word
      Recognition Using Dynamic Features of Speech Spectrum", IEEE Transactions on Acoustics, Speech
      and Signal Processing 34(1), 1986; Friedman, "Regularized Discriminant Analysis", Journal of
      the American Statistical Association 84(405), 1989.
    """
    _check(len(series), len(labels), num_states, shrinkage, iterations)
    batch = _features(series)
    if not batch.lengths.any():
        raise error(WHERE, "there is no step to learn from", kind=InputError)
    names, classes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    center, whitening = _white(batch, classes)
    emission = hmm.gaussian(
        num_states, len(center), covariance="full", prior_variance_weight=float(shrinkage)
    )
    by_class = [np.flatnonzero(classes == c) for c in range(len(names))]
    white = _whitened(batch, center, whitening)
    # One shape for all classes: those with fewer series get some of length 0.
    values = data.pad([white[rows] for rows in by_class]).values
    lengths = data.pad([batch.lengths[rows] for rows in by_class]).values
    models, history = _climb(emission, jnp.asarray(values), jnp.asarray(lengths), iterations)
    return HMMClassifier(
        tuple(names.tolist()),
        np.log(counts / len(series)),
        models,
        emission,
        center,
        whitening,
        np.asarray(history, np.float64).T,
    )


def scores(model: HMMClassifier, series: Sequence[np.ndarray]) -> Float64[np.ndarray, "N C"]:
    """Returns the joint log-density of each series and each label.

    Args:
      model: what :func:`fit` returns.
      series: N arrays ``[T, I]``.

    Returns:
      In nats, of white steps.

    Raises:
      InputError: if there is no series, or a number that is not finite.
      ValueError: if series have different shapes, or another number of features than in training.

    Example:
      >>> import numpy as np
      >>> up, down = np.linspace(0, 1, 9)[:, None], np.linspace(1, 0, 7)[:, None]
      >>> model = fit([up, up**2, down, down**2], ["up", "up", "down", "down"])
      >>> scores(model, [up, down]).argmax(1).tolist(), model.labels
      ([1, 0], ('down', 'up'))
    """
    batch = _features(series)
    size, given = len(model.center) // 2, batch.values.shape[-1] // 2
    if given != size:
        raise error(WHERE, f"series must have {size} columns, as in training, but have {given}")
    white = jnp.asarray(_whitened(batch, model.center, model.whitening))
    found = _log_likelihoods(model.emission, model.models, white, jnp.asarray(batch.lengths))
    return np.asarray(found, np.float64).T + model.log_prior[None]


def predict(model: HMMClassifier, series: Sequence[np.ndarray]) -> list[str]:
    """Returns the likeliest label of each series.

    Args:
      model: what :func:`fit` returns.
      series: arrays ``[T, I]``.

    Returns:
      A label for each.

    Raises:
      InputError: as :func:`scores`.
      ValueError: as :func:`scores`.

    Example:
      >>> import numpy as np
      >>> up, down = np.linspace(0, 1, 9)[:, None], np.linspace(1, 0, 7)[:, None]
      >>> predict(fit([up, down], ["up", "down"]), [down])
      ['down']
    """
    return [model.labels[c] for c in scores(model, series).argmax(1)]


def begin(emission: hmm.Emission, values: Float[ArrayLike, "B T I"], lengths: ArrayLike) -> hmm.HMM:
    """Returns a model from left to right whose states have even parts of each sequence."""
    size = emission.num_states
    steps = jnp.arange(values.shape[1])[None]
    part = jnp.minimum(steps * size // jnp.maximum(lengths, 1)[:, None], size - 1)
    valid = (steps < lengths[:, None])[..., None]
    weights = jnp.where(valid, jax.nn.one_hot(part, size), 0)
    params = emission.estimate(emission.init(jax.random.key(0)), values, weights)
    moves = jnp.eye(size) + jnp.eye(size, k=1)
    initial = jnp.log(jax.nn.one_hot(0, size))
    return hmm.HMM(initial, jnp.log(moves / moves.sum(1, keepdims=True)), params)


def improved(
    emission: hmm.Emission, model: hmm.HMM, values: Float[ArrayLike, "B T I"], lengths: ArrayLike
) -> tuple[hmm.HMM, Float[Array, ""]]:
    """Returns the model after an iteration of EM, and the log-likelihood of the one before it."""
    log_obs = emission.log_prob(model.emission, values)
    found = hmm.smooth(model.log_initial, model.log_transition, log_obs, lengths=lengths)
    weights = jnp.exp(found.log_marginals)
    after = hmm.HMM(
        model.log_initial,  # the first state is the first one
        _log_shares(found.transition_counts.sum(0), model.log_transition),
        emission.estimate(model.emission, values, weights),
    )
    return after, found.log_likelihood.sum()


def _log_shares(counts: Array, otherwise: Array) -> Array:
    """Returns the logarithms of a row's shares; of a row without counts, what there was."""
    total = counts.sum(-1, keepdims=True)
    some = total > 0
    return jnp.where(some, jnp.log(counts) - jnp.log(jnp.where(some, total, 1)), otherwise)


@functools.partial(jax.jit, static_argnames=("emission", "iterations"))
def _climb(
    emission: hmm.Emission, values: Array, lengths: Array, iterations: int
) -> tuple[hmm.HMM, Array]:
    """Returns a model for each class, and how its log-likelihood has grown, ``[C, iterations]``."""

    def climb(values: Array, lengths: Array) -> tuple[hmm.HMM, Array]:
        def step(model: hmm.HMM, _: None) -> tuple[hmm.HMM, Array]:
            return improved(emission, model, values, lengths)

        return jax.lax.scan(step, begin(emission, values, lengths), None, length=iterations)

    return jax.vmap(climb)(values, lengths)


@functools.partial(jax.jit, static_argnames="emission")
def _log_likelihoods(
    emission: hmm.Emission, models: hmm.HMM, values: Array, lengths: Array
) -> Array:
    """Returns the log-likelihood of each sequence by each model, ``[C, B]``."""

    def one(model: hmm.HMM) -> Array:
        log_obs = emission.log_prob(model.emission, values)
        return hmm.log_likelihood(model.log_initial, model.log_transition, log_obs, lengths=lengths)

    return jax.vmap(one)(models)


def _white(batch: data.Padded, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean of all steps, and what makes their covariance within classes the unit."""
    frames = np.concatenate(data.unpad(batch)).astype(np.float64)
    of_frame = np.repeat(classes, batch.lengths)
    count = np.maximum(np.bincount(of_frame), 1)
    sums = np.zeros((len(count), frames.shape[1]))
    np.add.at(sums, of_frame, frames)
    off = frames - (sums / count[:, None])[of_frame]
    values, vectors = np.linalg.eigh(off.T @ off / max(len(off), 1))
    floor = LEAST * values.max() or 1.0  # where nothing varies, nothing is stretched
    return frames.mean(0), vectors / np.sqrt(np.maximum(values, floor))[None]


def _whitened(batch: data.Padded, center: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    return ((batch.values - center) @ whitening).astype(np.float32)


def slopes(series: Float[np.ndarray, "T I"]) -> Float64[np.ndarray, "T I"]:
    """Returns the slope of each column at each step: that of the line through its neighbours.

    Beyond an end, the series stays what it is there.

    Args:
      series: T steps, which may be none.

    Example:
      >>> import numpy as np
      >>> slopes(np.arange(6.0)[:, None])[:, 0].round(2).tolist()
      [0.5, 0.8, 1.0, 1.0, 0.8, 0.5]
    """
    steps = np.arange(len(series))
    away = range(1, RADIUS + 1)
    rises = (
        n * (series[np.minimum(steps + n, len(series) - 1)] - series[np.maximum(steps - n, 0)])
        for n in away
    )
    return np.asarray(sum(rises), np.float64) / (2 * sum(n * n for n in away))


def _features(series: Sequence[Any]) -> data.Padded:
    """Returns the steps with their slopes beside them, float64 ``[B, T, 2 I]``, or raises."""
    arrays = [np.asarray(one, np.float64) for one in series]
    if not arrays:
        raise error(WHERE, "there is no series", kind=InputError)
    shapes = sorted({array.shape[1:] for array in arrays})
    if len(shapes) > 1 or len(shapes[0]) != 1:
        problem = "series must have shape (T, I), with the same I for all"
        raise error(WHERE, f"{problem}, but after the first axis there is {shapes}")
    for place, array in enumerate(arrays):
        if not np.isfinite(array).all():
            problem = f"series must be finite numbers, but series[{place}] has others"
            raise error(WHERE, problem, kind=InputError)
    return data.pad([np.concatenate([array, slopes(array)], axis=1) for array in arrays])


def _check(series: int, labels: int, num_states: int, shrinkage: float, iterations: int) -> None:
    """Raises unless there are labels, and settings in range."""
    if series != labels:
        raise error(
            WHERE,
            f"there must be one label for each series, but there are {series} series "
            f"and {labels} labels",
            kind=InputError,
        )
    for name, count in (("num_states", num_states), ("iterations", iterations)):
        if count < 1:
            raise error(WHERE, f"`{name}` must be at least 1, but it is {count}")
    if not (shrinkage > 0 and np.isfinite(shrinkage)):
        raise error(WHERE, f"`shrinkage` must be a number of more than 0, but it is {shrinkage}")
