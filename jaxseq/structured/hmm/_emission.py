"""What a family of emissions is: how a state brings forth an observation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._arrays import accumulator
from jaxseq._checks import error
from jaxseq._types import Array, Key, PyTree
from jaxseq.structured._semiring import log


class Emission(NamedTuple):
    """A family of distributions, one for each of K states: pure functions and sizes.

    Equal arguments of a factory give the same object, so that it is a good static argument of jit.
    A family of your own is one more of these; inference (:func:`log_likelihood` and the others)
    needs none at all, and reads ``[*batch, T, K]`` log-probabilities from any network.

    Attributes:
      name: of the family.
      num_states: K.
      event_shape: of one observation; ``()`` for a number.
      init: ``(key, observations=None, *, used=None) -> params``: a start, another for each key.
        From observations ``[..., *event]`` it lies among those that are used, ``[...]`` bool.
      log_prob: ``(params, observations [..., *event]) -> [..., K]``. Of what cannot be observed at
        all, NaN included, it is NaN with gradient 0, so that pads are harmless.
      estimate: ``(params, observations, weights [..., K]) -> params``: the M step, the params that
        are likeliest where each observation counts for each state as often as its weights say.
        What has no weight never matters; a state without any weight keeps its params.
      log_prior: ``(params) -> scalar``, up to a constant: part of what ``estimate`` maximises.
      sample: ``(key, params, states [...]) -> observations [..., *event]``.
      check: ``(where, observations, used) -> None``: raises for what cannot be observed.
      unconstrain: ``(params) -> pytree`` of any real numbers, for optimizers.
      constrain: ``(pytree) -> params``, the inverse.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import hmm
      >>> coins = hmm.categorical(2, 2)
      >>> params = hmm.CategoricalParams(jnp.log(jnp.array([[0.5, 0.5], [0.9, 0.1]])))
      >>> jnp.exp(coins.log_prob(params, jnp.array([0, 1]))).round(1).tolist()
      [[0.5, 0.9...], [0.5, 0.1...]]

    References:
      Rabiner, "A Tutorial on Hidden Markov Models and Selected Applications in Speech
      Recognition", Proceedings of the IEEE 77(2), 1989.
    """

    name: str
    num_states: int
    event_shape: tuple[int, ...]
    init: Callable[..., PyTree]
    log_prob: Callable[[PyTree, Any], Array]
    estimate: Callable[[PyTree, Any, Array], PyTree]
    log_prior: Callable[[PyTree], Array]
    sample: Callable[[Key, PyTree, Array], Array]
    check: Callable[[str, np.ndarray, np.ndarray], None]
    unconstrain: Callable[[PyTree], PyTree]
    constrain: Callable[[PyTree], PyTree]


def check_positive(where: str, **counts: Any) -> None:
    """Raises unless all are integers of at least 1."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise error(where, f"`{name}` must be a positive integer, but it is {count!r}")


def check_least(where: str, least: int, **numbers: Any) -> None:
    """Raises unless all are finite numbers of at least ``least``."""
    for name, number in numbers.items():
        if not (np.isfinite(number) and number >= least):
            raise error(
                where, f"`{name}` must be a number of at least {least}, but it is {number!r}"
            )


def floating(*arrays: Any) -> Any:
    """Returns the dtype to compute in: float64 where it is among them, else float32.

    Where none is floating it is JAX's own.
    """
    dtypes = [jnp.result_type(array) for array in arrays]
    dtypes = [dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating)]
    if not dtypes:
        return jnp.result_type(float)
    return jnp.float64 if jnp.float64 in dtypes else accumulator(dtypes[0])


def all_used(observations: Any, used: Any, event: int) -> Array:
    """Returns which observations count, one axis of all; without a mask it is all."""
    shape = observations.shape[: observations.ndim - event]
    return jnp.ones(shape, bool).reshape(-1) if used is None else jnp.asarray(used).reshape(-1)


def weighted(observations: Any, weights: Array, event_shape: tuple[int, ...]) -> tuple:
    """Returns observations ``[N, *event]`` and weights ``[N, K]``.

    What has no weight becomes 0: a NaN there would spread through the sums.
    """
    observations = jnp.asarray(observations).reshape(-1, *event_shape)
    weights = weights.reshape(-1, weights.shape[-1])
    counts = jnp.expand_dims(jnp.any(weights > 0, -1), range(1, observations.ndim))
    return jnp.where(counts, observations, 0), weights


def dirichlet_mode(counts: Array, concentration: Any, old: Array) -> Array:
    """Returns the logarithms of the likeliest probabilities, along the last axis.

    What was impossible stays so, and where nothing was counted all stays as it was.

    Args:
      counts: how often each was drawn.
      concentration: of the prior, at least 1; where it is 1, this is the maximum likelihood.
      old: logarithms of the probabilities before.
    """
    extra = jnp.asarray(concentration, counts.dtype) - 1
    extra = jnp.broadcast_to(jnp.expand_dims(extra, range(counts.ndim - extra.ndim)), counts.shape)
    counts = jnp.where(old == -jnp.inf, 0, jnp.maximum(counts, 0) + extra)
    total = counts.sum(-1, keepdims=True)
    some = total > 0
    return jnp.where(some, log(counts) - jnp.log(jnp.where(some, total, 1)), old)


def dirichlet_log_prior(concentration: Any, log_probs: Array) -> Array:
    """Returns the log-density up to a constant; what is impossible has no part in it."""
    extra = jnp.asarray(concentration, log_probs.dtype) - 1
    extra = jnp.broadcast_to(
        jnp.expand_dims(extra, range(log_probs.ndim - extra.ndim)), log_probs.shape
    )
    possible = log_probs > -jnp.inf
    return jnp.where(possible, extra * jnp.where(possible, log_probs, 0), 0).sum()


def dirichlet_start(key: Key, weights: Array) -> Array:
    """Returns logarithms of random probabilities along the last axis, each by its weight."""
    drawn = jax.random.exponential(key, weights.shape, weights.dtype) * weights
    # The smallest float is no probability of 0, which would stay one for ever.
    drawn = jnp.maximum(drawn, jnp.finfo(drawn.dtype).tiny)
    return jnp.log(drawn) - jnp.log(drawn.sum(-1, keepdims=True))


def spread(key: Key, points: Array, used: Array, count: int) -> Array:
    """Returns some of the points, far from each other: the seeds of k-means++.

    Each is drawn in proportion to its squared distance from the nearest drawn before.

    Args:
      key: of the draws.
      points: ``[N, D]``.
      used: ``[N]``, which may be drawn.
      count: how many, ``[count, D]``.

    References:
      Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007.
    """
    points = jnp.where(used[:, None], points, 0)

    def body(nearest: Array, key: Key) -> tuple[Array, Array]:
        # Where there are fewer distinct points than seeds, all are as good as each other.
        logits = jnp.log(nearest + jnp.finfo(nearest.dtype).tiny)
        chosen = points[jax.random.categorical(key, jnp.where(used, logits, -jnp.inf))]
        distance = ((points - chosen[None]) ** 2).sum(-1)
        return jnp.minimum(nearest, distance), chosen

    first = jnp.full(points.shape[0], jnp.finfo(points.dtype).max / 2, points.dtype)
    return jax.lax.scan(body, first, jax.random.split(key, count))[1]
