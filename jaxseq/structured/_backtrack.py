"""Walks back along a chain: the best path, or one drawn at random."""

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import Chain, where_valid


def backtrack(
    transition: Array, before: Array, end: Array, follows: Array | None
) -> tuple[Array, Array]:
    """Returns the first state of a path, and ``[T-1, B]``, all but its last one.

    Each is the best before the one after it.

    Nothing is kept of the way forward but the messages: of K predecessors' scores one is looked
    up again, where pointers would take K * K comparisons at every step.

    Args:
      transition: as the chain's.
      before: ``[T-1, B, K]``, the best up to a step and state; with noise, those of a random path.
      end: ``[B]``, the last state.
      follows: ``[T-1, B]``, whether the step after is valid; or None, where all are.
    """
    rows = jnp.arange(len(end), dtype=jnp.int32)

    def body(after: Array, x: tuple) -> tuple[Array, Array]:
        score, move, follows = x
        move = transition if move is None else move
        # The column of the state after; transposed, it is a row.
        column = move[:, after].T if move.ndim == 2 else move[rows, :, after]
        score = score + where_valid(follows, column, jnp.zeros_like(column))
        state = jnp.argmax(score, axis=-1).astype(jnp.int32)
        return state, state

    moves = transition if transition.ndim == 4 else None
    return jax.lax.scan(body, end, (before, moves, follows), reverse=True)


@jax.jit
def draw(key: Array, chain: Chain, log_filter: Array) -> Array:
    """Returns paths drawn from the posterior, ``[T, B]``.

    Of the states before a step one is drawn with the filtered probability times the transition's:
    with Gumbel noise on the logarithms that is the largest (Gumbel 1954). The noise is drawn time
    first, so that padding changes no draw.
    """
    noisy = log_filter + jax.random.gumbel(key, log_filter.shape, log_filter.dtype)
    end = jnp.argmax(noisy[-1], axis=-1).astype(jnp.int32)
    follows = None if chain.valid is None else chain.valid[1:]
    states = backtrack(chain.transition, noisy[:-1], end, follows)[1]
    return jnp.concatenate([states, end[None]])
