"""The same messages, parallel in time: blocks of steps side by side.

The product of a block's transitions and likelihoods is a matrix, and the products of blocks an
associative scan. They give the message at each block's beginning; from there all blocks run at
once, step by step. The loop is as long as a block, where step by step it is as long as the chain,
for K times the arithmetic.

States come before lanes, the blocks of all rows: what a step does to a state is then done to one
whole vector.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._scaled import (
    Filtered,
    Scaled,
    Smoothed,
    along,
    bound,
    log_scale,
    of_rows,
    product,
    propagate,
    reciprocal,
    start,
)
from jaxseq.structured._semiring import log

LONGEST_BLOCK = 64


class Lanes(NamedTuple):
    """The steps after the first: L steps of a block, and N = C * B lanes, C blocks of B rows.

    Attributes:
      move: the transitions ``[K, K, 1]``; ``[K, K, N]`` where rows differ; ``[L, K, K, N]`` where
        steps do.
      likelihood: ``[L, K, N]``.
      valid: ``[L, N]``.
    """

    move: Array
    likelihood: Array
    valid: Array

    @property
    def steps(self) -> tuple[Array | None, Array, Array]:
        """What a loop reads at each step: no transitions, where they stand still."""
        return self.move if self.move.ndim == 4 else None, self.likelihood, self.valid


class Blocks(NamedTuple):
    """What the forward pass over blocks leaves for the one backward.

    Attributes:
      lanes: its steps.
      products: ``[C, B, K, K]``, of the blocks, up to a factor.
      before: ``[K, N]``, the message before each block.
      probs: ``[L, K, N]``, the messages.
      scale: ``[L, N]``, what each was divided by.
    """

    lanes: Lanes
    products: Array
    before: Array
    probs: Array
    scale: Array


def block_size(steps: int) -> int:
    """Returns how many steps a block has, for so many steps after the first."""
    return max(1, min(LONGEST_BLOCK, math.isqrt(steps)))


def into_lanes(array: Array, length: int) -> Array:
    """Returns ``[T-1, B, ...]`` as ``[L, ..., C * B]``, with zeros (False) at the end."""
    steps, rows = array.shape[:2]
    blocks = -(-steps // length)
    array = jnp.pad(array, [(0, blocks * length - steps)] + [(0, 0)] * (array.ndim - 1))
    array = array.reshape(blocks, length, rows, *array.shape[2:])
    array = jnp.moveaxis(array, (1, 0, 2), (0, -2, -1))
    return array.reshape(*array.shape[:-2], blocks * rows)


def out_of_lanes(array: Array, steps: int, rows: int) -> Array:
    """Returns ``[L, ..., C * B]`` as ``[T-1, B, ...]``."""
    array = array.reshape(*array.shape[:-1], -1, rows)
    array = jnp.moveaxis(array, (-2, 0, -1), (0, 1, 2))
    return array.reshape(-1, *array.shape[2:])[:steps]


def lanes_of(scaled: Scaled) -> Lanes:
    """Returns the steps after the first as lanes."""
    steps, rows = scaled.likelihood.shape[0] - 1, scaled.likelihood.shape[1]
    length = block_size(steps)
    after = scaled.after_first()
    valid = jnp.ones((steps, rows), bool) if after.valid is None else after.valid
    move = scaled.transition
    if move.ndim == 4:
        move = into_lanes(move, length)
    elif move.ndim == 3:
        move = jnp.tile(jnp.moveaxis(move, 0, -1), (1, 1, -(-steps // length)))
    else:
        move = move[..., None]
    return Lanes(move, into_lanes(after.likelihood, length), into_lanes(valid, length))


def block_products(lanes: Lanes) -> tuple[Array, Array]:
    """Returns the product of each block, ``[K, K, N]``, and what its steps were divided by."""

    def body(matrix: Array, x: tuple) -> tuple[Array, Array]:
        move, likelihood, valid = x
        after = along(matrix, lanes.move if move is None else move) * likelihood[None]
        total = after.sum((0, 1), keepdims=True)
        after = jnp.where(valid[None, None], after * reciprocal(total), matrix)
        return after, jnp.where(valid, total[0, 0], 1)

    size, count = lanes.likelihood.shape[1:]
    eye = jnp.eye(size, dtype=lanes.likelihood.dtype)[..., None]
    return jax.lax.scan(body, jnp.broadcast_to(eye, (size, size, count)), lanes.steps)


def of_blocks(lanes: Array, rows: int) -> Array:
    """Returns what each lane has, ``[..., N]``, as ``[C, B, ...]``."""
    array = jnp.moveaxis(lanes, -1, 0)
    return array.reshape(-1, rows, *array.shape[1:])


def of_lanes(blocks: Array) -> Array:
    """Returns what each block of a row has, ``[C, B, K]``, as ``[K, N]``."""
    return blocks.reshape(-1, blocks.shape[-1]).T


def normalised(matrix: Array) -> Array:
    """Returns matrices divided by the sum of their entries, which nothing asks for."""
    return matrix * reciprocal(matrix.sum((-2, -1)))[..., None, None]


def total_of_blocks(scaled: Scaled) -> Array:
    """Returns the log of the sum over all paths, ``[B]``: nothing but products, in a tree."""
    steps, rows, _ = scaled.likelihood.shape
    probs, scale = start(scaled.likelihood[0])
    total = log_scale(scaled).sum(0) + log(scale)
    if steps == 1:
        return total
    products, totals = block_products(lanes_of(scaled))
    products = of_blocks(products, rows)
    total = total + of_blocks(log(totals).sum(0), rows).sum(0)
    while len(products) > 1:
        pairs = len(products) // 2 * 2
        joint = product(products[:pairs:2], products[1:pairs:2])
        total = total + log(joint.sum((-2, -1))).sum(0)
        products = jnp.concatenate([normalised(joint), products[pairs:]])
    return total + log(propagate(probs, products[0]).sum(-1))


def filter_blocks(scaled: Scaled) -> Filtered:
    """Returns the forward messages, block by block."""
    steps, rows, _ = scaled.likelihood.shape
    first, first_scale = start(scaled.likelihood[0])
    if steps == 1:
        return Filtered(first[None], first_scale[None], None)
    lanes = lanes_of(scaled)
    products = of_blocks(block_products(lanes)[0], rows)
    prefixes = jax.lax.associative_scan(lambda a, b: normalised(product(a, b)), products)
    before, _ = start(propagate(first[None], prefixes[:-1]))
    before = of_lanes(jnp.concatenate([first[None], before]))

    def body(probs: Array, x: tuple) -> tuple[Array, tuple[Array, Array]]:
        move, likelihood, valid = x
        after = along(probs, lanes.move if move is None else move) * likelihood
        scale = after.sum(0)
        probs = jnp.where(valid[None], after * reciprocal(scale)[None], probs)
        return probs, (probs, scale)

    probs, scale = jax.lax.scan(body, before, lanes.steps)[1]
    return Filtered(
        jnp.concatenate([first[None], out_of_lanes(probs, steps - 1, rows)]),
        jnp.concatenate([first_scale[None], out_of_lanes(scale, steps - 1, rows)]),
        Blocks(lanes, products, before, probs, scale),
    )


def smooth_blocks(scaled: Scaled, filtered: Filtered) -> Smoothed:
    """Returns the backward messages, block by block."""
    steps, rows, size = scaled.likelihood.shape
    last = jnp.ones_like(filtered.probs[:1])
    if steps == 1:
        return Smoothed(last, last[1:], jnp.zeros((rows, size, size), last.dtype))
    lanes, products, before, probs, scale = filtered.blocks
    suffixes = jax.lax.associative_scan(
        lambda a, b: normalised(product(b, a)), products, reverse=True
    )
    ratio = suffixes[1:].sum(-1)
    # Only the direction is known: scaled as step by step, where the posterior sums to one.
    ends = of_blocks(probs[-1], rows)[:-1]
    ratio = ratio * reciprocal((ratio * ends).sum(-1))[..., None]
    ratio = of_lanes(jnp.concatenate([ratio, last]))
    varies = lanes.move.ndim == 4

    def body(carry: tuple, x: tuple) -> tuple[tuple, tuple[Array, Array]]:
        (ratio, counts), (index, scale, (move, likelihood, valid)) = carry, x
        move = lanes.move if move is None else move
        arrival = likelihood * reciprocal(scale)[None] * ratio
        arrival = jnp.where(valid[None], jnp.minimum(arrival, bound(ratio.dtype)), 0)
        prior = jax.lax.dynamic_index_in_dim(probs, jnp.maximum(index - 1, 0), keepdims=False)
        prior = jnp.where(index == 0, before, prior)
        taken = prior[:, None] * arrival[None]
        counts = counts + (taken * move if varies else taken)
        earlier = along(arrival, jnp.swapaxes(move, 0, 1))
        ratio = jnp.where(valid[None], earlier, ratio)
        return (ratio, counts), (ratio, arrival)

    counts = jnp.zeros((size, *ratio.shape), ratio.dtype)
    xs = (jnp.arange(len(scale), dtype=jnp.int32), scale, lanes.steps)
    (_, counts), (ratios, arrivals) = jax.lax.scan(body, (ratio, counts), xs, reverse=True)
    counts = of_blocks(counts, rows).sum(0)
    return Smoothed(
        jnp.concatenate([out_of_lanes(ratios, steps - 1, rows), last]),
        out_of_lanes(arrivals, steps - 1, rows),
        counts if varies else counts * of_rows(scaled.transition),
    )
