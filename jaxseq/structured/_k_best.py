"""The k best paths of a chain."""

import functools

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import Chain, where_valid


@functools.partial(jax.jit, static_argnums=1)
def k_best(chain: Chain, k: int) -> tuple[Array, Array]:
    """Returns the k best paths, ``[T, B, k]``, and their scores, ``[B, k]``, the best first.

    A message is a list for each state: the scores of the k best paths up to it. Where there are
    fewer than k paths, the scores of the rest are -inf.
    """
    rows, size = chain.emission.shape[1:]
    first = jnp.full((rows, size, k), -jnp.inf, chain.emission.dtype)
    first = first.at[..., 0].set(chain.emission[0])
    places = jnp.broadcast_to(jnp.arange(size * k, dtype=jnp.int32).reshape(size, k), first.shape)
    state = jnp.expand_dims(jnp.arange(rows, dtype=jnp.int32), 1)

    def advance(scores: Array, x: tuple) -> tuple[Array, Array]:
        move, emission, valid = x
        move = chain.transition if move is None else move
        move = jnp.expand_dims(move, range(3 - move.ndim))
        # By the state after a step: every path in every list before it.
        longer = jnp.swapaxes(move, 1, 2)[..., None] + scores[:, None]
        best, place = jax.lax.top_k(longer.reshape(rows, size, size * k), k)
        after = (best + emission[..., None], place)
        after = where_valid(valid, after, (scores, places))
        return after

    xs = (
        chain.transition if chain.varies else None,
        chain.emission[1:],
        None if chain.valid is None else chain.valid[1:],
    )
    last, before = jax.lax.scan(advance, first, xs)
    scores, place = jax.lax.top_k(last.reshape(rows, size * k), k)

    def back(place: Array, before: Array) -> tuple[Array, Array]:
        return before.reshape(rows, size * k)[state, place], place // k

    begin, states = jax.lax.scan(back, place, before, reverse=True)
    return jnp.concatenate([begin[None] // k, states]).astype(jnp.int32), scores
