"""The best path of a chain: messages of the max semiring, then back along them."""

import functools
import math

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._backtrack import column_of
from jaxseq.structured._blocks import block_size, into_lanes, out_of_lanes
from jaxseq.structured._messages import Chain, unroll, where_valid
from jaxseq.structured._scores import Scores
from jaxseq.structured._semiring import MAX, matmul, vecmat

# Of so many numbers in a step, pointers are made on the way back, block by block, and of the way
# forward only the messages where a block begins are kept. Of smaller steps all pointers are.
MADE_ANEW = 256
# Up to so many states a maximum is written out, in groups of so many terms: of that XLA for a CPU
# makes vectors, and of a reduction none.
WRITTEN_OUT, TERMS = 256, 8
# Of more states, messages have two places of an array in turn. XLA for a CPU would give such a step
# to several threads, which took twice the time and megabytes; what it writes into an array is left
# to one. Of few states it would take more time, not less.
ONE_PLACE = 24


@functools.partial(jax.jit, static_argnums=0)
def viterbi(backend: str, scores: Scores) -> tuple[Array, Array]:
    """Returns the best path, ``[B, T]``, and its score, ``[B]``; -inf where none is allowed."""
    if backend != "associative":
        return best_of_steps(scores)
    chain = scores.chain
    best = best_blocks(chain)
    return backtrack_blocks(chain, best).T, jnp.max(best[-1], -1)


def best_of_steps(scores: Scores) -> tuple[Array, Array]:
    """Returns the same, step by step."""
    steps, rows, size = scores.sizes
    count, length = blocks_of(scores)
    lengths = scores.lengths if count * length < steps else scores.ends
    turn = unroll(*scores.sizes)

    def read(step: Array) -> tuple[Array, Array | None]:
        move = scores.transition
        if move.ndim == 4:
            move = jax.lax.dynamic_index_in_dim(move, step - 1, keepdims=False)
        return move, None if lengths is None else step < lengths

    def advance(carry: tuple[Array, Array], step: Array) -> tuple[tuple[Array, Array], Array]:
        (places, largest), (move, valid) = carry, read(step)
        message = jax.lax.dynamic_index_in_dim(places, (step - 1) % len(places), keepdims=False)
        score = scores.at(step)
        best, before = best_before(message, move)
        after, before = where_valid(valid, (best + score, before), (message, stay(message)))
        places = jax.lax.dynamic_update_index_in_dim(places, after, step % len(places), 0)
        return (places, jnp.maximum(largest, score)), before

    def forward(carry: tuple[Array, Array], start: Array) -> tuple[tuple[Array, Array], Array]:
        places = jnp.stack([carry[0]] * (1 if size <= ONE_PLACE else 2))
        carry, kept = jax.lax.scan(advance, (places, carry[1]), start + order, unroll=turn)
        places, largest = carry
        last = (start + length) % len(places)
        return (jax.lax.dynamic_index_in_dim(places, last, keepdims=False), largest), kept

    def back(carry: tuple[Array, Array], x: tuple[Array, Array]) -> tuple[tuple, None]:
        (state, states), (before, step) = carry, x
        state = state_before(before, state, *read(step))
        # Steps after the last, which the last block may have, write the end again.
        return (
            state,
            jax.lax.dynamic_update_slice_in_dim(states, state[:, None], step - 1, 1),
        ), None

    def backward(carry: tuple[Array, Array], before: Array, start: Array) -> tuple[Array, Array]:
        return jax.lax.scan(back, carry, (before, start + order), reverse=True, unroll=turn)[0]

    def block(carry: tuple[Array, Array], start: Array) -> tuple[tuple[Array, Array], Array]:
        return forward(carry, start)[0], carry[0]

    def block_back(carry: tuple[Array, Array], x: tuple[Array, Array]) -> tuple[tuple, None]:
        message, start = x
        return backward(carry, forward((message, message), start)[1], start), None

    order = jnp.arange(1, length + 1, dtype=jnp.int32)
    starts = length * jnp.arange(count, dtype=jnp.int32)
    first = scores.at(0)
    if count == 1:
        (last, largest), kept = forward((first, first), starts[0])
    else:
        (last, largest), kept = jax.lax.scan(block, (first, first), starts)
    end = jnp.argmax(last, axis=-1).astype(jnp.int32)
    carry = (end, jnp.zeros((rows, steps), jnp.int32).at[:, -1].set(end))
    if count == 1:
        states = backward(carry, kept, starts[0])[1]
    else:
        states = jax.lax.scan(block_back, carry, (kept, starts), reverse=True)[0][1]
    # A comparison does not see a NaN, so it would be lost on the way.
    moves = jnp.isnan(scores.transition).any((-2, -1))
    moves = moves.any(0) if moves.ndim == 2 else moves
    unknown = jnp.isnan(largest).any(-1) | moves & (scores.ends > 1)
    return states, jnp.where(unknown, jnp.nan, jnp.max(last, -1))


def blocks_of(scores: Scores) -> tuple[int, int]:
    """Returns how many blocks the steps after the first make, and how many steps a block has."""
    steps, rows, size = scores.sizes
    length = after = max(steps - 1, 1)
    if rows * size > MADE_ANEW:  # in a block is kept as much memory as where blocks begin
        number = scores.emission.dtype.itemsize
        length = math.isqrt(after * number // (1 if size <= WRITTEN_OUT else number))
    return -(-after // length), min(length, after)


def best_before(message: Array, transition: Array) -> tuple[Array, Array]:
    """Returns the best ways into each state, and the states that they come from, ``[B, K]`` both.

    Of equal ones the first. A NaN is not seen. Where states are too many to be written out, the
    message is returned in the place of states, which are looked up.
    """
    size = message.shape[-1]
    if size > WRITTEN_OUT:
        return vecmat(MAX, message, transition), message
    move = jnp.expand_dims(transition, range(3 - transition.ndim))

    def better(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
        later = other[0] > one[0]
        return jnp.where(later, other[0], one[0]), jnp.where(later, other[1], one[1])

    ways = [message[:, k, None] + move[:, k] for k in range(size)]
    ways = [(way, jnp.full(way.shape, k, jnp.uint8)) for k, way in enumerate(ways)]
    groups = (ways[first : first + TERMS] for first in range(0, size, TERMS))
    return functools.reduce(better, [functools.reduce(better, group) for group in groups])


def stay(message: Array) -> Array:
    """Returns what :func:`best_before` would of a step in the pads, where all states stay."""
    if message.shape[-1] > WRITTEN_OUT:
        return message
    return jax.lax.broadcasted_iota(jnp.uint8, message.shape, 1)


def state_before(before: Array, state: Array, transition: Array, valid: Array | None) -> Array:
    """Returns the states before a step, ``[B]``, by what :func:`best_before` returned of it."""
    if before.shape[-1] > WRITTEN_OUT:
        column = where_valid(valid, column_of(transition, state), jnp.zeros_like(before))
        return jnp.argmax(before + column, axis=-1).astype(jnp.int32)
    rows = jnp.arange(len(state), dtype=jnp.int32)
    return before[rows, state].astype(jnp.int32)


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
