"""Emissions of counts."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Float

from jaxseq._checks import error
from jaxseq._types import Array, Key
from jaxseq.structured._semiring import log
from jaxseq.structured.hmm._emission import (
    Emission,
    all_used,
    check_least,
    check_positive,
    floating,
    spread,
    weighted,
)


class PoissonParams(NamedTuple):
    """The distributions of counts.

    Attributes:
      rate: ``[K]``, the mean of each state.

    Example:
      >>> import jax
      >>> from jaxseq.structured import hmm
      >>> hmm.poisson(3).init(jax.random.key(0)).rate.shape
      (3,)
    """

    rate: Float[Array, " K"]


@functools.cache
def poisson(num_states: int, *, prior_count: float = 0.0, prior_exposure: float = 0.0) -> Emission:
    r"""Returns emissions of counts: 0, 1, 2 and so on.

    .. math:: p(x_t = n \mid z_t = k) = e^{-\lambda_k} \lambda_k^n / n!

    The prior of each rate is a gamma distribution of shape ``prior_count + 1`` and rate
    ``prior_exposure``: as if ``prior_count`` had been counted in ``prior_exposure`` steps more.

    Args:
      num_states: K.
      prior_count: at least 0; 0 with an exposure of 0 is maximum likelihood.
      prior_exposure: in steps, at least 0.

    Returns:
      The family; its params are :class:`PoissonParams`.

    Raises:
      ValueError: if ``num_states`` is not a positive integer, or the prior is negative.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.structured import hmm
      >>> quakes = hmm.poisson(1)
      >>> params = hmm.PoissonParams(jnp.array([1.0]))
      >>> quakes.estimate(params, jnp.array([3, 1, 2]), jnp.ones((3, 1))).rate.tolist()
      [2.0]

    References:
      Zucchini and MacDonald, "Hidden Markov Models for Time Series: An Introduction Using R",
      2009.
    """
    check_positive("hmm.poisson", num_states=num_states)
    check_least("hmm.poisson", 0, prior_count=prior_count, prior_exposure=prior_exposure)
    prior = (prior_count, prior_exposure)
    return Emission(
        name="poisson",
        num_states=num_states,
        event_shape=(),
        init=functools.partial(_init, num_states=num_states),
        log_prob=_log_prob,
        estimate=functools.partial(_estimate, prior=prior),
        log_prior=functools.partial(_log_prior, prior=prior),
        sample=lambda key, params, states: jax.random.poisson(key, params.rate[states]),
        check=_check,
        unconstrain=_unconstrain,
        constrain=lambda log_rate: PoissonParams(jnp.exp(log_rate)),
    )


def _init(
    key: Key, observations: Any = None, *, used: Any = None, num_states: int
) -> PoissonParams:
    """Returns rates at counts that were observed, far apart on the scale of their roots."""
    choose, disturb = jax.random.split(key)
    dtype = floating()
    noise = jnp.exp(0.1 * jax.random.normal(disturb, (num_states,), dtype))
    if observations is None:
        return PoissonParams(jax.random.exponential(choose, (num_states,), dtype) + noise)
    used = all_used(observations, used, 0)
    counts = jnp.where(used, jnp.asarray(observations, dtype).reshape(-1), 0)
    roots = spread(choose, jnp.sqrt(counts)[:, None], used, num_states)[:, 0]
    return PoissonParams((roots**2 + 0.5) * noise)


def _log_prob(params: PoissonParams, observations: Any) -> Array:
    counts, rate = jnp.asarray(observations), params.rate
    dtype = floating(counts, rate)
    counts, rate = counts.astype(dtype), rate.astype(dtype)
    possible = (counts >= 0) & (counts == jnp.floor(counts)) & (counts < jnp.inf)
    counts = jnp.where(possible, counts, 0)
    rate = jnp.expand_dims(rate, range(counts.ndim))
    n = counts[..., None]
    # Of a rate of 0 the count 0 is certain, and has a derivative.
    powers = jnp.where(n == 0, 0, n * log(jnp.where(n == 0, 1, rate)))
    nats = powers - rate - gammaln(n + 1)
    return jnp.where(possible[..., None], nats, jnp.nan)


def _estimate(
    params: PoissonParams, observations: Any, weights: Array, *, prior: tuple[float, float]
) -> PoissonParams:
    counts, weights = weighted(observations, weights, ())
    count = jnp.matmul(counts.astype(weights.dtype), weights, precision="highest") + prior[0]
    exposure = weights.sum(0) + prior[1]
    some = exposure > 0
    old = params.rate.astype(weights.dtype)
    return PoissonParams(jnp.where(some, count / jnp.where(some, exposure, 1), old))


def _log_prior(params: PoissonParams, *, prior: tuple[float, float]) -> Array:
    count, exposure = prior
    logs = count * jnp.log(params.rate) if count else jnp.zeros_like(params.rate)
    return (logs - exposure * params.rate).sum()


def _unconstrain(params: PoissonParams) -> Array:
    """Returns logarithms; a rate of 0 becomes the smallest that a float holds."""
    return jnp.log(jnp.maximum(params.rate, jnp.finfo(params.rate.dtype).tiny))


def _check(where: str, observations: np.ndarray, used: np.ndarray) -> None:
    if not np.issubdtype(observations.dtype, np.number):
        raise error(
            where,
            f"`observations` must be counts, but they have dtype {observations.dtype}",
            kind=TypeError,
        )
    seen = observations[used]
    wrong = seen[~((seen >= 0) & (seen == np.floor(seen)) & (seen < np.inf))]
    if wrong.size:
        raise error(
            where,
            f"`observations` must be counts, 0, 1, 2 and so on, but there is {wrong[0]}",
            hint="say which steps are missing by `observed`, and which are pads by `lengths`",
        )
