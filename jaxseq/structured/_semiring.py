"""The two semirings: what "plus" is. "Times" is the sum of logarithms, zero is -inf, one is 0."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array


def log(x: Array) -> Array:
    """Returns ``log(x)``; of 0 it is -inf, with gradient 0."""
    zero = x == 0
    return jnp.where(zero, -jnp.inf, jnp.log(jnp.where(zero, 1, x)))


def logsumexp(x: Array, axis: int) -> Array:
    """Returns the log of the sum of exponentials; of nothing but -inf it is -inf, with gradient 0.

    A NaN stays a NaN.
    """
    shift = jax.lax.stop_gradient(jnp.max(x, axis, keepdims=True))
    shift = jnp.where(jnp.isfinite(shift), shift, 0)
    return log(jnp.exp(x - shift).sum(axis)) + jnp.squeeze(shift, axis)


def maximum(x: Array, axis: int) -> Array:
    """Returns the largest along an axis."""
    return jnp.max(x, axis)


class Semiring(NamedTuple):
    """How the weights of paths that meet are put together.

    Attributes:
      name: as a plan prints it.
      sum: of an array, along an axis.
    """

    name: str
    sum: Callable[[Array, int], Array]


LOG = Semiring("log", logsumexp)
MAX = Semiring("max", maximum)


def vecmat(semiring: Semiring, vector: Array, matrix: Array) -> Array:
    """Returns vectors ``[..., K]`` times matrices ``[..., K, K]`` or one ``[K, K]``."""
    vector = vector[..., :, None]
    if matrix.ndim == 2:
        matrix = jnp.expand_dims(matrix, range(vector.ndim - 2))
    return semiring.sum(vector + matrix, -2)


def matvec(semiring: Semiring, matrix: Array, vector: Array) -> Array:
    """Returns matrices ``[..., K, K]`` or one ``[K, K]`` times vectors ``[..., K]``."""
    return vecmat(semiring, vector, jnp.swapaxes(matrix, -1, -2))


def matmul(semiring: Semiring, left: Array, right: Array) -> Array:
    """Returns matrices ``[..., K, K]`` times matrices."""
    return semiring.sum(left[..., :, :, None] + right[..., None, :, :], -2)
