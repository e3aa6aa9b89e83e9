"""The messages step by step, of which only those forward are kept: for results, not derivatives.

Blocks of steps are read, made probabilities and walked through one after the other; what a block
needs beside its messages is gone with it. All that is there of all steps is then the messages
forward and what is asked for. Derivatives come from messages of all steps.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import Chain
from jaxseq.structured._scaled import (
    Filtered,
    Scaled,
    dense,
    filter_steps,
    largest,
    log_filtered,
    nothing_lost,
    of_rows,
    probabilities,
    propagate,
    scale,
    smooth_steps,
    start,
)
from jaxseq.structured._scores import Scores
from jaxseq.structured._semiring import log

# Of one array of a block. Long blocks are faster, and a gradient has room for them; beside results
# alone, as much as they hold would be most of the memory that there is.
NUMBERS, GRADIENT_NUMBERS = 16_384, 262_144


class Forward(NamedTuple):
    """What a pass forward finds.

    Attributes:
      log_z: ``[B]``.
      trust: whether nothing that matters fell below what a float can hold.
      kept: probabilities ``[C, L, B, K]`` and scales ``[C, L, B]`` of all blocks, or nothing.
    """

    log_z: Array
    trust: Array
    kept: tuple[Array, ...]


class Block(NamedTuple):
    """A block of L steps, the first of all steps counted as one that keeps the message before it.

    Attributes:
      chain: its scores.
      scaled: the same in probabilities.
      first: ``[L, B]``, whether a step is the first of all.
    """

    chain: Chain
    scaled: Scaled
    first: Array


def in_blocks(scores: Scores, numbers: int) -> tuple[int, int]:
    """Returns how many blocks there are, and the steps of one; the last may be longer than is left.

    Args:
      scores: of the chain.
      numbers: of one array of a block, about.
    """
    steps, rows, size = scores.sizes
    most = min(max(numbers // max(rows * size, 1), 16), numbers // 256)
    least = -(-steps // most)
    # Rather some more blocks than a copy of all scores, with pads at their end.
    count = next((n for n in range(least, 2 * least + 1) if steps % n == 0), least)
    return count, -(-steps // count)


def padded(scores: Scores, steps: int) -> Scores:
    """Returns scores of so many steps."""
    extra = steps - scores.sizes[0]
    if not extra:
        return scores
    emission = jnp.pad(scores.emission, ((0, 0), (0, extra), (0, 0)))
    return scores._replace(emission=emission, lengths=scores.ends)


def block_of(scores: Scores, at: Array, length: int) -> Block:
    """Returns the block that begins at a step."""
    rows = scores.sizes[1]
    chain = Chain(scores.transition, scores.steps(at, length), scores.valid(at, length))
    first = (at + jnp.arange(length, dtype=jnp.int32) == 0)[:, None]
    first = jnp.broadcast_to(first, (length, rows))
    valid = ~first if chain.valid is None else chain.valid & ~first
    return Block(chain, scale(chain)._replace(valid=valid), first)


def forward(scores: Scores, numbers: int = NUMBERS, *, keep: bool = True) -> Forward:
    """Returns what a pass forward finds, in blocks of so many numbers.

    The transitions stand still.
    """
    count, length = in_blocks(scores, numbers)
    scores = padded(scores, count * length)
    begin = scores.at(0)
    begin, begin_scale = start(jnp.exp(begin - largest(begin, -1)[..., None]))
    is_dense = dense(scores.transition)

    def body(carry: tuple, at: Array) -> tuple[tuple, tuple]:
        message, log_z, trust = carry
        chain, scaled, first = block_of(scores, at, length)
        probs, scales = filter_steps(scaled, message)
        scales = jnp.where(first, begin_scale[None], scales)
        logs = log(scales) + scaled.shift
        logs = logs + jnp.where(first, 0, jnp.broadcast_to(scaled.steep, logs.shape))
        logs = logs if chain.valid is None else jnp.where(chain.valid, logs, 0)

        def check() -> Array:
            found = Filtered(probs, scales, None)
            before = arriving(message, probs, scaled, first)
            return nothing_lost(chain, scaled, found, before)

        trust = trust & jax.lax.cond(is_dense, lambda: jnp.array(True), check)
        return (probs[-1], log_z + logs.sum(0), trust), (probs, scales) if keep else ()

    starts = length * jnp.arange(count, dtype=jnp.int32)
    carry = (begin, jnp.zeros_like(begin_scale), jnp.array(True))
    (_, log_z, trust), kept = jax.lax.scan(body, carry, starts)
    return Forward(log_z, trust, kept)


def arriving(message: Array, probs: Array, scaled: Scaled, first: Array) -> Array:
    """Returns the probabilities of states before anything is seen of them; 1 at the first step."""
    before = propagate(jnp.concatenate([message[None], probs[:-1]]), scaled.transition)
    return jnp.where(first[..., None], 1, before)


def backward(scores: Scores, kept: tuple[Array, ...], result: Callable) -> tuple[Array, Array]:
    """Returns a result of each step, ``[B, T, K]``, and the expected transitions, ``[B, K, K]``.

    Args:
      scores: with transitions that stand still.
      kept: of :func:`forward`.
      result: of a block: takes it, what was kept of it, the message before it, and the ratios;
        returns ``[L, B, K]``.
    """
    steps, rows, size = scores.sizes
    count, length = kept[0].shape[:2]
    scores = padded(scores, count * length)

    def body(carry: tuple, index: Array) -> tuple[tuple, None]:
        ratio, counts, results = carry
        block = block_of(scores, length * index, length)
        probs, scales = (jax.lax.dynamic_index_in_dim(one, index, keepdims=False) for one in kept)
        before = jax.lax.dynamic_index_in_dim(kept[0], jnp.maximum(index - 1, 0), keepdims=False)
        ratios, arrivals = smooth_steps(block.scaled, scales, ratio)
        prior = jnp.concatenate([before[-1:], probs[:-1]])
        counts = counts + jnp.einsum("tbi,tbj->bij", prior, arrivals, precision="highest")
        after = jnp.concatenate([ratios[1:], ratio[None]])
        found = result(block, Filtered(probs, scales, None), before[-1], after)
        found = jnp.moveaxis(found, 0, 1)
        results = jax.lax.dynamic_update_slice_in_dim(results, found, length * index, axis=1)
        return (ratios[0], counts, results), None

    dtype = scores.emission.dtype
    carry = (
        jnp.ones((rows, size), dtype),
        jnp.zeros((rows, size, size), dtype),
        jnp.zeros((rows, count * length, size), dtype),
    )
    order = jnp.arange(count, dtype=jnp.int32)
    _, counts, results = jax.lax.scan(body, carry, order, reverse=True)[0]
    return results[:, :steps], counts * of_rows(probabilities(scores.transition)[0])


def marginals(block: Block, found: Filtered, before: Array, ratio: Array) -> Array:
    """Returns the posterior probabilities of a block; 0 in the pads."""
    probs = found.probs * ratio
    valid = block.chain.valid
    return probs if valid is None else jnp.where(valid[..., None], probs, 0)


def log_marginals(block: Block, found: Filtered, before: Array, ratio: Array) -> Array:
    """Returns the logarithms of the posterior probabilities of a block; anything in the pads."""
    before = arriving(before, found.probs, block.scaled, block.first)
    return log_filtered(block.chain, block.scaled, found, before) + log(ratio)
