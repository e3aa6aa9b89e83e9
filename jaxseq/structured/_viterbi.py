"""The best path of a chain: messages of the max semiring, then back along them."""

import functools

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured import _messages
from jaxseq.structured._backtrack import backtrack
from jaxseq.structured._blocks import block_size, into_blocks, out_of_blocks
from jaxseq.structured._messages import Chain, where_valid
from jaxseq.structured._semiring import MAX, matmul, vecmat


@functools.partial(jax.jit, static_argnums=0)
def viterbi(backend: str, chain: Chain) -> tuple[Array, Array]:
    """Returns the best path, ``[T, B]``, and its score, ``[B]``; -inf where none is allowed."""
    parallel = backend == "associative"
    scores = best_blocks(chain) if parallel else _messages.forward(chain, MAX)
    path = (backtrack_blocks if parallel else backtrack)(chain, scores)
    return path, jnp.max(scores[-1], -1)


def best_blocks(chain: Chain) -> Array:
    """Returns the messages of the max semiring, ``[T, B, K]``, blocks of steps side by side."""
    steps, rows, size = chain.emission.shape
    first = chain.emission[0]
    if steps == 1:
        return first[None]
    length = block_size(steps - 1)
    blocks = -(-(steps - 1) // length)
    emission = into_blocks(chain.emission[1:], length)
    valid = jnp.ones((steps - 1, rows), bool) if chain.valid is None else chain.valid[1:]
    valid = into_blocks(valid, length)
    fixed = chain.transition
    if fixed.ndim == 3:
        fixed = jnp.tile(fixed, (blocks, 1, 1))
    moves = into_blocks(fixed, length) if chain.varies else None

    def extend(matrix: Array, x: tuple) -> tuple[Array, None]:
        move, emission, valid = x
        move = fixed if move is None else move
        move = jnp.broadcast_to(move, (matrix.shape[0], size, size))
        return where_valid(valid, matmul(MAX, matrix, move) + emission[:, None], matrix), None

    def advance(score: Array, x: tuple) -> tuple[Array, Array]:
        move, emission, valid = x
        move = fixed if move is None else move
        score = where_valid(valid, vecmat(MAX, score, move) + emission, score)
        return score, score

    one = jnp.where(jnp.eye(size, dtype=bool), 0, -jnp.inf).astype(first.dtype)
    one = jnp.broadcast_to(one, (blocks * rows, size, size))
    products = jax.lax.scan(extend, one, (moves, emission, valid))[0]
    products = products.reshape(blocks, rows, size, size)
    prefixes = jax.lax.associative_scan(lambda a, b: matmul(MAX, a, b), products[:-1])
    starts = jnp.concatenate([first[None], vecmat(MAX, first[None], prefixes)]).reshape(-1, size)
    scores = jax.lax.scan(advance, starts, (moves, emission, valid))[1]
    return jnp.concatenate([first[None], out_of_blocks(scores, steps - 1, rows)])


def backtrack_blocks(chain: Chain, scores: Array) -> Array:
    """Returns what :func:`backtrack` does: the pointers of all steps at once, composed in a tree.

    A step's pointers are a function from the state after it to its own, and functions compose.
    """
    moves = jnp.expand_dims(chain.transition, range(4 - chain.transition.ndim))
    chosen = jnp.argmax(scores[:-1, :, :, None] + moves, axis=-2).astype(jnp.int32)
    last = jnp.argmax(scores, axis=-1).astype(jnp.int32)[..., None]
    last = jnp.broadcast_to(last, scores.shape)
    if chain.valid is not None:  # a row's last step looks at nothing after it
        chosen = jnp.where(chain.valid[1:, :, None], chosen, last[:-1])
    pointers = jnp.concatenate([chosen, last[-1:]])

    def compose(after: Array, before: Array) -> Array:
        return jnp.take_along_axis(before, after, axis=-1)

    return jax.lax.associative_scan(compose, pointers, reverse=True)[..., 0]
