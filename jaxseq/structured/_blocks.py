"""The same messages, parallel in time: blocks of steps side by side.

The product of a block's transitions and likelihoods is a matrix, and the products of blocks an
associative scan. They give the message at each block's beginning; from there all blocks run at
once, step by step. The loop is as long as a block, where step by step it is as long as the chain,
for K times the arithmetic.
"""

import math

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import where_valid
from jaxseq.structured._scaled import (
    Filtered,
    Scaled,
    Smoothed,
    filter_steps,
    product,
    propagate,
    reciprocal,
    smooth_steps,
    start,
)

LONGEST_BLOCK = 64


def block_size(steps: int) -> int:
    """Returns how many steps a block has, for so many steps after the first."""
    return max(1, min(LONGEST_BLOCK, math.isqrt(steps)))


def into_blocks(array: Array, size: int) -> Array:
    """Returns ``[T-1, B, ...]`` as ``[size, C * B, ...]``, with zeros (False) at the end."""
    steps, rows = array.shape[:2]
    blocks = -(-steps // size)
    array = jnp.pad(array, [(0, blocks * size - steps)] + [(0, 0)] * (array.ndim - 1))
    array = array.reshape(blocks, size, rows, *array.shape[2:])
    return jnp.moveaxis(array, 0, 1).reshape(size, blocks * rows, *array.shape[3:])


def out_of_blocks(array: Array, steps: int, rows: int) -> Array:
    """Returns ``[size, C * B, ...]`` as ``[T-1, B, ...]``."""
    size, lanes = array.shape[:2]
    array = array.reshape(size, lanes // rows, rows, *array.shape[2:])
    return jnp.moveaxis(array, 1, 0).reshape(-1, rows, *array.shape[3:])[:steps]


def lanes_of(scaled: Scaled, size: int) -> Scaled:
    """Returns the steps after the first as blocks side by side, each a row of its own."""
    steps, rows = scaled.likelihood.shape[0] - 1, scaled.likelihood.shape[1]
    blocks = -(-steps // size)
    after = scaled.after_first()
    valid = jnp.ones((steps, rows), bool) if after.valid is None else after.valid
    transition = scaled.transition
    if transition.ndim == 3:
        transition = jnp.tile(transition, (blocks, 1, 1))
    elif transition.ndim == 4:
        transition = into_blocks(transition, size)
    return Scaled(
        transition,
        into_blocks(after.likelihood, size),
        into_blocks(after.shift, size),
        scaled.steep,
        into_blocks(valid, size),
    )


def normalised(matrix: Array) -> Array:
    """Returns matrices divided by the sum of their entries, which nothing asks for."""
    return matrix * reciprocal(matrix.sum((-2, -1)))[..., None, None]


def block_products(lanes: Scaled) -> Array:
    """Returns the product of each block, ``[C * B, K, K]``, up to a factor."""

    def body(matrix: Array, x: tuple) -> tuple[Array, None]:
        move, likelihood, valid = x
        move = lanes.transition if move is None else move
        after = normalised(product(matrix, move) * likelihood[:, None, :])
        return where_valid(valid, after, matrix), None

    count, size = lanes.likelihood.shape[1:]
    eye = jnp.broadcast_to(jnp.eye(size, dtype=lanes.likelihood.dtype), (count, size, size))
    return jax.lax.scan(body, eye, (lanes.moves, lanes.likelihood, lanes.valid))[0]


def filter_blocks(scaled: Scaled) -> Filtered:
    """Returns the forward messages, block by block."""
    steps, rows, size = scaled.likelihood.shape
    first, first_scale = start(scaled.likelihood[0])
    if steps == 1:
        return Filtered(first[None], first_scale[None], None)
    lanes = lanes_of(scaled, block_size(steps - 1))
    blocks = block_products(lanes).reshape(-1, rows, size, size)
    prefixes = jax.lax.associative_scan(lambda a, b: normalised(product(a, b)), blocks)
    before, _ = start(propagate(first[None], prefixes[:-1]))
    before = jnp.concatenate([first[None], before]).reshape(-1, size)
    probs, scales = filter_steps(lanes, before)
    probs, scales = (out_of_blocks(array, steps - 1, rows) for array in (probs, scales))
    return Filtered(
        jnp.concatenate([first[None], probs]),
        jnp.concatenate([first_scale[None], scales]),
        blocks,
    )


def smooth_blocks(scaled: Scaled, filtered: Filtered) -> Smoothed:
    """Returns the backward messages, block by block."""
    steps, rows, size = scaled.likelihood.shape
    last = jnp.ones_like(filtered.probs[:1])
    if steps == 1:
        return Smoothed(last, jnp.zeros_like(last[1:]))
    length = block_size(steps - 1)
    lanes = lanes_of(scaled, length)
    suffixes = jax.lax.associative_scan(
        lambda a, b: normalised(product(b, a)), filtered.blocks, reverse=True
    )
    ratio = suffixes[1:].sum(-1)
    # Only the direction is known: scaled as step by step, where the posterior sums to one.
    ends = filtered.probs[length : steps - 1 : length]
    ratio = ratio * reciprocal((ratio * ends).sum(-1))[..., None]
    ratio = jnp.concatenate([ratio, last]).reshape(-1, size)
    scale = into_blocks(filtered.scale[1:], length)
    ratios, arrivals = smooth_steps(lanes, scale, ratio)
    ratios, arrivals = (out_of_blocks(array, steps - 1, rows) for array in (ratios, arrivals))
    return Smoothed(jnp.concatenate([ratios, last]), arrivals)
