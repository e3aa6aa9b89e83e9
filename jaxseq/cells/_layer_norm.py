"""Layer normalisation as recurrent cells need it: of the vectors of one example."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import error
from jaxseq._types import Array


def layer_norm(
    z: Float[Array, " N"], gain: Float[Array, " N"], epsilon: float
) -> Float[Array, " N"]:
    """Returns ``gain * (z - mean) / sqrt(variance + epsilon)``, in float32 or better.

    The mean and the variance (over N, not N - 1) are those of the vector; a bias is the caller's.
    """
    z = z.astype(accumulator(z.dtype))
    centred = z - jnp.mean(z, keepdims=True)
    variance = jnp.mean(jnp.square(centred), keepdims=True)
    return gain.astype(z.dtype) * (centred * jax.lax.rsqrt(variance + epsilon))


def product(w: Float[Array, "N M"], x: Float[Array, " M"]) -> Float[Array, " N"]:
    """Returns ``w x``, accumulated in float32 or better: a bias would be normalised away."""
    # With x first, a vmap over examples is [B, M] times [M, N], with nothing to transpose.
    return jnp.dot(x, w.T, preferred_element_type=accumulator(w.dtype))


def recurrent_product(params: Any, h: Float[Array, " H"]) -> Float[Array, " GH"]:
    """Returns ``w_hh h``, which the update normalises."""
    return product(params.w_hh, h)


def check_epsilon(where: str, epsilon: float) -> None:
    """Raises unless ``epsilon`` is positive: the first step normalises zeros."""
    if not epsilon > 0.0:
        raise error(where, f"`epsilon` must be positive, but it is {epsilon}")
