"""Walks back along a chain: the best path, or one drawn at random."""

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import Chain


def backtrack(chain: Chain, scores: Array) -> Array:
    """Returns a path, ``[T, B]``: the last state is the best one, each other the best before it.

    Nothing is kept of the way forward but the messages: of K predecessors' scores one is looked
    up again, where pointers would take K * K comparisons at every step.

    Args:
      chain: the chain.
      scores: ``[T, B, K]``, the best up to a step and state; with noise, those of a random path.
    """
    rows = jnp.arange(scores.shape[1], dtype=jnp.int32)
    follows = jnp.zeros(scores.shape[1:2], bool)

    def body(after: tuple[Array, Array], x: tuple) -> tuple[tuple[Array, Array], Array]:
        state, follows = after  # of the step after, and whether that one is valid
        score, move, valid = x
        move = chain.transition if move is None else move
        # The column of the state after; transposed, it is a row.
        column = move[:, state].T if move.ndim == 2 else move[rows, :, state]
        score = score + jnp.where(follows[:, None], column, 0)
        state = jnp.argmax(score, axis=-1).astype(jnp.int32)
        return (state, jnp.ones_like(follows) if valid is None else valid), state

    moves = None
    if chain.varies:
        moves = jnp.concatenate([chain.transition, jnp.zeros_like(chain.transition[:1])])
        if not chain.transition.shape[0]:
            moves = jnp.zeros((1, *chain.transition.shape[1:]), scores.dtype)
    states = jnp.zeros(scores.shape[1:2], jnp.int32)
    return jax.lax.scan(body, (states, follows), (scores, moves, chain.valid), reverse=True)[1]


@jax.jit
def draw(key: Array, chain: Chain, log_filter: Array) -> Array:
    """Returns paths drawn from the posterior, ``[T, B]``.

    Of the states before a step one is drawn with the filtered probability times the transition's:
    with Gumbel noise on the logarithms that is the largest (Gumbel 1954). The noise is drawn time
    first, so that padding changes no draw.
    """
    return backtrack(chain, log_filter + jax.random.gumbel(key, log_filter.shape, log_filter.dtype))
