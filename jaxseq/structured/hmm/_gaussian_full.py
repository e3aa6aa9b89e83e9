"""Emissions of real vectors, each state's normally distributed with a covariance of its own."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Array, Key
from jaxseq.structured.hmm._emission import Emission, floating, weighted
from jaxseq.structured.hmm._vectors import Pseudo, check_vectors, possible, start_means

FEW_DIMENSIONS = 8
"""Up to so many, solving by a root is written out: a single pass over time does it."""


class FullGaussianParams(NamedTuple):
    """Normal distributions.

    Attributes:
      mean: ``[K, D]``.
      covariance: ``[K, D, D]``.

    Example:
      >>> import jax
      >>> from jaxseq.structured import hmm
      >>> hmm.gaussian(3, 2, covariance="full").init(jax.random.key(0)).covariance.shape
      (3, 2, 2)
    """

    mean: Float[Array, "K D"]
    covariance: Float[Array, "K D D"]


def full_gaussian(num_states: int, size: int, prior: Pseudo) -> Emission:
    """Returns what :func:`gaussian` does for full covariances."""
    return Emission(
        name="gaussian_full",
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


def _at_least(covariance: Array, least: float) -> Array:
    """Returns symmetric matrices whose eigenvalues are not less: the likeliest such."""
    values, vectors = jnp.linalg.eigh(covariance)
    raised = (vectors * jnp.maximum(values, least)[..., None, :]) @ jnp.swapaxes(vectors, -1, -2)
    low = values[..., :1, None] < least  # what is large enough keeps its bits
    return jnp.where(low, raised, covariance)


def _init(
    key: Key,
    observations: Any = None,
    *,
    used: Any = None,
    num_states: int,
    size: int,
    prior: Pseudo,
) -> FullGaussianParams:
    """Returns means far apart, and the covariance of all observations."""
    mean, covariance = start_means(key, observations, used, (num_states, size), prior.min_variance)
    covariance = _at_least(covariance, prior.min_variance)
    return FullGaussianParams(mean, jnp.broadcast_to(covariance, (num_states, size, size)))


def _log_prob(params: FullGaussianParams, observations: Any) -> Array:
    observations = jnp.asarray(observations)
    dtype = floating(observations, params.mean, params.covariance)
    x, finite = possible(observations, dtype)
    root = jnp.linalg.cholesky(params.covariance.astype(dtype))
    logs = 2 * jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)).sum(-1)
    logs = logs + x.shape[1] * math.log(2 * math.pi)
    nats = -0.5 * (_distances(x, params.mean.astype(dtype), root) + logs[None])
    return jnp.where(finite[..., None], nats.reshape(*finite.shape, -1), jnp.nan)


def _distances(x: Array, mean: Array, root: Array) -> Array:
    """Returns squared distances of vectors ``[N, D]`` from means, by covariances, ``[N, K]``."""
    if x.shape[1] <= FEW_DIMENSIONS:
        solved: list[Array] = []
        for d, column in enumerate(x.T):
            rest = column[:, None] - mean[None, :, d]
            for e, z in enumerate(solved):
                rest = rest - root[None, :, d, e] * z
            solved.append(rest / root[None, :, d, d])
        return functools.reduce(jnp.add, (z**2 for z in solved))
    eye = jnp.broadcast_to(jnp.eye(x.shape[1], dtype=x.dtype), root.shape)
    inverse = jax.scipy.linalg.solve_triangular(root, eye, lower=True)

    def one(state: tuple[Array, Array]) -> Array:
        mean, inverse = state
        return (jnp.matmul(x - mean[None], inverse.T, precision="highest") ** 2).sum(-1)

    # State by state: all at once would be [N, K, D].
    return jax.lax.map(one, (mean, inverse)).T


def _estimate(
    params: FullGaussianParams, observations: Any, weights: Array, *, prior: Pseudo
) -> FullGaussianParams:
    x, weights = weighted(observations, weights, params.mean.shape[-1:])
    x, count = x.astype(weights.dtype), weights.sum(0)
    old_mean, old_covariance = (old.astype(weights.dtype) for old in params)
    total = jnp.matmul(weights.T, x, precision="highest")
    mean = prior.mean_of(total, count, old_mean)

    def products(state: tuple[Array, Array]) -> Array:
        weight, mean = state
        centered = x.T - mean[:, None]
        return jnp.matmul(weight[None] * centered, centered.T, precision="highest")

    scatter = jax.lax.map(products, (weights.T, mean))
    off = mean - prior.mean
    scatter = scatter + prior.mean_weight * off[:, :, None] * off[:, None, :]
    eye = jnp.eye(x.shape[-1], dtype=x.dtype)[None]
    scatter = scatter + prior.variance_weight * prior.variance * eye
    weight = (count + prior.variance_weight)[:, None, None]
    some = weight > 0
    covariance = scatter / jnp.where(some, weight, 1)
    covariance = 0.5 * (covariance + jnp.swapaxes(covariance, -1, -2))
    covariance = _at_least(covariance, prior.min_variance)
    return FullGaussianParams(mean, jnp.where(some, covariance, old_covariance))


def _log_prior(params: FullGaussianParams, *, prior: Pseudo) -> Array:
    mean, covariance = params
    if not (prior.mean_weight or prior.variance_weight):
        return jnp.zeros((), mean.dtype)
    root = jnp.linalg.cholesky(covariance)
    eye = jnp.broadcast_to(jnp.eye(mean.shape[-1], dtype=mean.dtype), covariance.shape)
    inverse = jax.scipy.linalg.solve_triangular(root, eye, lower=True)
    off = (inverse @ (mean - prior.mean)[..., None]) ** 2
    log_det = 2 * jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)).sum()
    spread = log_det + prior.variance * (inverse**2).sum()
    return -0.5 * (prior.mean_weight * off.sum() + prior.variance_weight * spread)


def _sample(key: Key, params: FullGaussianParams, states: Array) -> Array:
    mean, root = params.mean[states], jnp.linalg.cholesky(params.covariance)[states]
    noise = jax.random.normal(key, mean.shape, mean.dtype)
    return mean + (root @ noise[..., None])[..., 0]


def _unconstrain(params: FullGaussianParams, *, prior: Pseudo) -> tuple[Array, Array]:
    """Returns means, and roots of what the covariances have above the least.

    A root is triangular, with the logarithms of its diagonal on it.
    """
    eye = jnp.eye(params.mean.shape[-1], dtype=params.mean.dtype)[None]
    above = params.covariance - prior.min_variance * eye
    root = jnp.linalg.cholesky(_at_least(above, 1e-3 * prior.min_variance))
    logs = jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1))
    return params.mean, jnp.tril(root, -1) + logs[..., None] * eye


def _constrain(free: tuple[Array, Array], *, prior: Pseudo) -> FullGaussianParams:
    mean, root = free
    eye = jnp.eye(mean.shape[-1], dtype=mean.dtype)[None]
    diagonal = jnp.exp(jnp.diagonal(root, axis1=-2, axis2=-1))
    root = jnp.tril(root, -1) + diagonal[..., None] * eye
    covariance = jnp.matmul(root, jnp.swapaxes(root, -1, -2), precision="highest")
    return FullGaussianParams(mean, covariance + prior.min_variance * eye)
