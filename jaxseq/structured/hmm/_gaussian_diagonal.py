"""Emissions of real vectors, each state's normally distributed with independent entries."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Array, Key
from jaxseq.structured.hmm._emission import Emission, floating, weighted
from jaxseq.structured.hmm._vectors import Pseudo, check_vectors, possible, start_means

FEW_DIMENSIONS = 16
"""Up to so many, a sum over them is written out: a single pass over time does it."""


class GaussianParams(NamedTuple):
    """Normal distributions with independent entries.

    Attributes:
      mean: ``[K, D]``.
      variance: ``[K, D]``.

    Example:
      >>> import jax
      >>> from jaxseq.structured import hmm
      >>> hmm.gaussian(3, 2).init(jax.random.key(0)).variance.shape
      (3, 2)
    """

    mean: Float[Array, "K D"]
    variance: Float[Array, "K D"]


def diagonal_gaussian(num_states: int, size: int, prior: Pseudo) -> Emission:
    """Returns what :func:`gaussian` does for diagonal covariances."""
    return Emission(
        name="gaussian",
        num_states=num_states,
        event_shape=(size,),
        init=functools.partial(_init, num_states=num_states, size=size, prior=prior),
        log_prob=_log_prob,
        estimate=functools.partial(_estimate, prior=prior),
        log_prior=functools.partial(_log_prior, prior=prior),
        sample=_sample,
        check=functools.partial(check_vectors, min_variance=prior.min_variance),
        unconstrain=functools.partial(_unconstrain, prior=prior),
        constrain=functools.partial(_constrain, prior=prior),
    )


def _init(
    key: Key,
    observations: Any = None,
    *,
    used: Any = None,
    num_states: int,
    size: int,
    prior: Pseudo,
) -> GaussianParams:
    """Returns means far apart, and the variances of all observations."""
    mean, covariance = start_means(key, observations, used, (num_states, size), prior.min_variance)
    variance = jnp.maximum(jnp.diagonal(covariance), prior.min_variance)
    return GaussianParams(mean, jnp.broadcast_to(variance, mean.shape))


def _log_prob(params: GaussianParams, observations: Any) -> Array:
    observations = jnp.asarray(observations)
    dtype = floating(observations, params.mean, params.variance)
    mean, variance = params.mean.astype(dtype), params.variance.astype(dtype)
    x, finite = possible(observations, dtype)
    logs = jnp.log(2 * math.pi * variance).sum(-1)
    nats = -0.5 * (_distances(x, mean, variance) + logs[None])
    return jnp.where(finite[..., None], nats.reshape(*finite.shape, -1), jnp.nan)


def _distances(x: Array, mean: Array, variance: Array) -> Array:
    """Returns squared distances of vectors ``[N, D]`` from means, by variances, ``[N, K]``."""
    if x.shape[1] <= FEW_DIMENSIONS:
        triples = zip(x.T, mean.T, variance.T, strict=True)
        terms = ((x[:, None] - mean[None]) ** 2 / variance[None] for x, mean, variance in triples)
        return functools.reduce(jnp.add, terms)

    def one(state: tuple[Array, Array]) -> Array:
        mean, variance = state
        return jnp.matmul((x - mean[None]) ** 2, 1 / variance, precision="highest")

    return jax.lax.map(one, (mean, variance)).T


def _estimate(
    params: GaussianParams, observations: Any, weights: Array, *, prior: Pseudo
) -> GaussianParams:
    x, weights = weighted(observations, weights, params.mean.shape[-1:])
    x, count = x.astype(weights.dtype), weights.sum(0)
    old_mean, old_variance = (old.astype(weights.dtype) for old in params)
    total = jnp.matmul(weights.T, x, precision="highest")
    mean = prior.mean_of(total, count, old_mean)

    def squares(state: tuple[Array, Array]) -> Array:
        weight, mean = state
        return jnp.matmul((x.T - mean[:, None]) ** 2, weight, precision="highest")

    # State by state: all at once would be [N, K, D].
    scatter = jax.lax.map(squares, (weights.T, mean))
    scatter = scatter + prior.mean_weight * (mean - prior.mean) ** 2
    scatter = scatter + prior.variance_weight * prior.variance
    weight = (count + prior.variance_weight)[:, None]
    some = weight > 0
    variance = jnp.maximum(scatter / jnp.where(some, weight, 1), prior.min_variance)
    return GaussianParams(mean, jnp.where(some, variance, old_variance))


def _log_prior(params: GaussianParams, *, prior: Pseudo) -> Array:
    about_mean = prior.mean_weight * (params.mean - prior.mean) ** 2 / params.variance
    precise = jnp.log(params.variance) + prior.variance / params.variance
    return -0.5 * (about_mean + prior.variance_weight * precise).sum()


def _sample(key: Key, params: GaussianParams, states: Array) -> Array:
    mean = params.mean[states]
    return mean + jnp.sqrt(params.variance[states]) * jax.random.normal(key, mean.shape, mean.dtype)


def _unconstrain(params: GaussianParams, *, prior: Pseudo) -> tuple[Array, Array]:
    """Returns means, and logarithms of what the variances have above the least."""
    above = params.variance - prior.min_variance
    return params.mean, jnp.log(jnp.maximum(above, 1e-3 * prior.min_variance))


def _constrain(free: tuple[Array, Array], *, prior: Pseudo) -> GaussianParams:
    mean, above = free
    return GaussianParams(mean, jnp.exp(above) + prior.min_variance)
