"""Emissions of symbols."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxseq._checks import error
from jaxseq._types import Array, Key
from jaxseq.structured.hmm._emission import (
    Emission,
    all_used,
    check_least,
    check_positive,
    dirichlet_log_prior,
    dirichlet_mode,
    dirichlet_start,
    floating,
    weighted,
)

FEW_SYMBOLS = 32
"""Up to so many, counting is one product of matrices; beyond, a scatter."""


class CategoricalParams(NamedTuple):
    """The distributions of symbols.

    Attributes:
      log_probs: ``[K, V]``, of each symbol in each state.

    Example:
      >>> import jax
      >>> from jaxseq.structured import hmm
      >>> hmm.categorical(2, 4).init(jax.random.key(0)).log_probs.shape
      (2, 4)
    """

    log_probs: Float[Array, "K V"]


@functools.cache
def categorical(num_states: int, num_symbols: int, *, concentration: float = 1.0) -> Emission:
    r"""Returns emissions of symbols, 0 to V - 1.

    .. math:: p(x_t = v \mid z_t = k) = p_{kv}

    Args:
      num_states: K.
      num_symbols: V.
      concentration: of a Dirichlet prior on each state's probabilities, at least 1: each symbol
        counts as seen ``concentration - 1`` times more in each state. 1 is maximum likelihood.

    Returns:
      The family; its params are :class:`CategoricalParams`.

    Raises:
      ValueError: if a size is not a positive integer, or ``concentration`` is less than 1.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.structured import hmm
      >>> coins = hmm.categorical(1, 2)
      >>> params = hmm.CategoricalParams(jnp.log(jnp.array([[0.5, 0.5]])))
      >>> params = coins.estimate(params, jnp.array([0, 0, 1, 0]), jnp.ones((4, 1)))
      >>> jnp.exp(params.log_probs).tolist()
      [[0.75, 0.25]]

    References:
      Rabiner, "A Tutorial on Hidden Markov Models and Selected Applications in Speech
      Recognition", Proceedings of the IEEE 77(2), 1989.
    """
    check_positive("hmm.categorical", num_states=num_states, num_symbols=num_symbols)
    check_least("hmm.categorical", 1, concentration=concentration)
    sizes = (num_states, num_symbols)
    return Emission(
        name="categorical",
        num_states=num_states,
        event_shape=(),
        init=functools.partial(_init, sizes=sizes),
        log_prob=_log_prob,
        estimate=functools.partial(_estimate, concentration=concentration),
        log_prior=lambda params: dirichlet_log_prior(concentration, params.log_probs),
        sample=_sample,
        check=functools.partial(_check, num_symbols=num_symbols),
        unconstrain=_unconstrain,
        constrain=lambda logits: CategoricalParams(jax.nn.log_softmax(logits, axis=-1)),
    )


def _init(
    key: Key, observations: Any = None, *, used: Any = None, sizes: tuple[int, int]
) -> CategoricalParams:
    """Returns the frequencies of all observations, each state's disturbed at random."""
    weights = jnp.ones(sizes, floating())
    if observations is not None:
        used = all_used(observations, used, 0)[:, None].astype(weights.dtype)
        counts = _counts(jnp.asarray(observations).reshape(-1), used, sizes[1])
        weights = weights * (counts + 1)
    return CategoricalParams(dirichlet_start(key, weights))


def _log_prob(params: CategoricalParams, observations: Any) -> Array:
    symbols = jnp.asarray(observations)
    table = params.log_probs.astype(floating(params.log_probs)).T
    inside = (symbols >= 0) & (symbols < table.shape[0])
    return jnp.where(inside[..., None], jnp.take(table, symbols, axis=0, mode="clip"), jnp.nan)


def _estimate(
    params: CategoricalParams, observations: Any, weights: Array, *, concentration: float
) -> CategoricalParams:
    symbols, weights = weighted(observations, weights, ())
    counts = _counts(symbols, weights, params.log_probs.shape[1])
    old = params.log_probs.astype(counts.dtype)
    return CategoricalParams(dirichlet_mode(counts, concentration, old))


def _counts(symbols: Array, weights: Array, num_symbols: int) -> Array:
    """Returns how often each state, ``[N, K]`` weights, has seen each symbol, ``[K, V]``."""
    if num_symbols <= FEW_SYMBOLS:
        seen = (symbols[:, None] == jnp.arange(num_symbols, dtype=symbols.dtype)[None]).astype(
            weights.dtype
        )
        return jnp.matmul(weights.T, seen, precision="highest")
    return jax.ops.segment_sum(weights, symbols, num_symbols).T


def _sample(key: Key, params: CategoricalParams, states: Array) -> Array:
    return jax.random.categorical(key, params.log_probs[states]).astype(jnp.int32)


def _unconstrain(params: CategoricalParams) -> Array:
    """Returns logits; a probability of 0 becomes the smallest that a float holds."""
    least = jnp.log(jnp.finfo(params.log_probs.dtype).tiny).astype(params.log_probs.dtype)
    return jnp.maximum(params.log_probs, least)


def _check(where: str, observations: np.ndarray, used: np.ndarray, *, num_symbols: int) -> None:
    if not np.issubdtype(observations.dtype, np.integer):
        raise error(
            where,
            f"`observations` must be integers, but they have dtype {observations.dtype}",
            hint="symbols are numbers, 0 to V - 1, not one-hot vectors",
            kind=TypeError,
        )
    seen = observations[used]
    outside = seen[(seen < 0) | (seen >= num_symbols)]
    if outside.size:
        raise error(
            where,
            f"`observations` must be between 0 and V - 1 = {num_symbols - 1}, "
            f"but there is {int(outside[0])}",
            hint="say which steps are missing by `observed`, and which are pads by `lengths`",
        )
