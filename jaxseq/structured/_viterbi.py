"""The best path of a chain: messages of the max semiring, then back along them."""

import functools
import math

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._backtrack import backtrack
from jaxseq.structured._blocks import block_size, into_lanes, out_of_lanes
from jaxseq.structured._messages import Chain, unroll, where_valid
from jaxseq.structured._scores import Scores
from jaxseq.structured._semiring import MAX, matmul, vecmat

# Of so many numbers in a step the messages are made anew on the way back, block by block, and only
# those where a block begins are kept. Smaller steps cost more than the memory of their messages.
MADE_ANEW = 64
# Up to so many states a maximum is written out, a few terms at a time. Of more states,
# XLA for a CPU gives a step to several threads, whose queue took megabytes, and no less time.
FEW_STATES, TERMS = 24, 10


@functools.partial(jax.jit, static_argnums=0)
def viterbi(backend: str, scores: Scores) -> tuple[Array, Array]:
    """Returns the best path, ``[T, B]``, and its score, ``[B]``; -inf where none is allowed."""
    if backend == "associative":
        chain = scores.chain
        best = best_blocks(chain)
        return backtrack_blocks(chain, best), jnp.max(best[-1], -1)
    steps, rows, size = scores.sizes
    length = math.isqrt(steps) if rows * size > MADE_ANEW else max(steps - 1, 1)
    count = -(-(steps - 1) // length)
    lengths = scores.ends

    def advance(message: Array, step: Array) -> tuple[Array, Array]:
        move = scores.transition
        move = jax.lax.dynamic_index_in_dim(move, step - 1, keepdims=False) if varies else move
        after = best_before(message, move) + scores.at(step)
        return where_valid(step < lengths, after, message), message

    def messages(first: Array, start: Array) -> tuple[Array, Array]:
        xs = start + jnp.arange(1, length + 1, dtype=jnp.int32)
        return jax.lax.scan(advance, first, xs, unroll=unroll(*scores.sizes))

    def back(after: Array, block: tuple[Array, Array]) -> tuple[Array, Array]:
        first, start = block
        later = start + jnp.arange(1, length + 1, dtype=jnp.int32)
        moves = scores.transition
        if varies:
            moves = moves.at[later - 1].get(mode="clip")
        return backtrack(moves, messages(first, start)[1], after, later[:, None] < lengths[None])

    varies = scores.transition.ndim == 4
    starts = length * jnp.arange(count, dtype=jnp.int32)
    first = scores.at(0)
    if count == 1:
        last, before = messages(first, starts[0])
        end = jnp.argmax(last, axis=-1).astype(jnp.int32)
        valid = scores.valid(1, length)
        states = backtrack(scores.transition, before, end, valid)[1]
    else:
        last, firsts = jax.lax.scan(lambda m, at: (messages(m, at)[0], m), first, starts)
        end = jnp.argmax(last, axis=-1).astype(jnp.int32)
        states = jax.lax.scan(back, end, (firsts, starts), reverse=True)[1].reshape(-1, rows)
    return jnp.concatenate([states, end[None]])[:steps], jnp.max(last, -1)


def best_before(message: Array, transition: Array) -> Array:
    """Returns the best ways into each state, ``[B, K]``."""
    size = message.shape[-1]
    if transition.ndim != 2 or size > FEW_STATES:
        return vecmat(MAX, message, transition)
    terms = [message[:, k, None] + transition[k][None] for k in range(size)]
    parts = (terms[first : first + TERMS] for first in range(0, size, TERMS))
    return functools.reduce(jnp.maximum, [functools.reduce(jnp.maximum, part) for part in parts])


def best_blocks(chain: Chain) -> Array:
    """Returns the messages of the max semiring, ``[T, B, K]``, blocks of steps side by side."""
    steps, rows, size = chain.emission.shape
    first = chain.emission[0]
    if steps == 1:
        return first[None]
    length = block_size(steps - 1)
    blocks = -(-(steps - 1) // length)

    def into_blocks(array: Array) -> Array:
        return jnp.moveaxis(into_lanes(array, length), -1, 1)

    emission = into_blocks(chain.emission[1:])
    valid = jnp.ones((steps - 1, rows), bool) if chain.valid is None else chain.valid[1:]
    valid = into_blocks(valid)
    fixed = chain.transition
    if fixed.ndim == 3:
        fixed = jnp.tile(fixed, (blocks, 1, 1))
    moves = into_blocks(fixed) if chain.varies else None

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
    scores = out_of_lanes(jnp.moveaxis(scores, 1, -1), steps - 1, rows)
    return jnp.concatenate([first[None], scores])


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
