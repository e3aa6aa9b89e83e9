"""Draws a path from a chain: messages forward, then back along them."""

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import Chain, where_valid


def column_of(transition: Array, after: Array) -> Array:
    """Returns the scores of all ways into a state of each row, ``[B, K]``."""
    if transition.ndim == 2:
        return transition[:, after].T
    return transition[jnp.arange(len(after), dtype=jnp.int32), :, after]


@jax.jit
def draw(key: Array, chain: Chain, log_filter: Array) -> Array:
    """Returns paths drawn from the posterior, ``[T, B]``.

    Of the states before a step one is drawn with the filtered probability times the transition's:
    with Gumbel noise on the logarithms that is the largest (Gumbel 1954). The noise is drawn time
    first, so that padding changes no draw.
    """
    noisy = log_filter + jax.random.gumbel(key, log_filter.shape, log_filter.dtype)
    end = jnp.argmax(noisy[-1], axis=-1).astype(jnp.int32)

    def body(after: Array, x: tuple) -> tuple[Array, Array]:
        before, move, valid = x
        move = chain.transition if move is None else move
        column = where_valid(valid, column_of(move, after), jnp.zeros_like(before))
        state = jnp.argmax(before + column, axis=-1).astype(jnp.int32)
        return state, state

    moves = chain.transition if chain.varies else None
    valid = None if chain.valid is None else chain.valid[1:]
    states = jax.lax.scan(body, end, (noisy[:-1], moves, valid), reverse=True)[1]
    return jnp.concatenate([states, end[None]])
