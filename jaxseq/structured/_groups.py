"""The sum over all paths alone, in probabilities that are scaled once in a few steps.

It wants no messages, so there is nothing of all steps. In a loop over chunks of them the largest
scores of a chunk are found at once, and in a loop over its groups the probabilities go on. Groups
after the last step, which the last chunk may have, are not counted.
"""

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._scaled import (
    along,
    largest,
    probabilities,
    propagate,
    reciprocal,
    room,
    spread,
)
from jaxseq.structured._scores import Scores
from jaxseq.structured._semiring import log

GROUP = 4
# Of the scores of a chunk, about.
NUMBERS = 8192
# Up to so many states a product is written out. More than where messages are kept: nobody
# differentiates this, and the product backwards would be the slower one.
FEW_STATES = 24
# Of so many, states come before rows: vectors of rows are whole ones, those of states are not.
STATES_FIRST = range(9, 21)


def even(transition: Array) -> Array:
    """Returns whether so few scalings lose nothing that matters, whatever the emissions are.

    After a step by such transitions every state has at least ``exp(-spread)`` of what the likeliest
    one had, before its emission; and one emission is 1. So the likeliest is still held after a
    group of steps, and what fell below the smallest float would have added at most ``exp(spread)``
    times itself to any state.
    """
    allowed = jnp.all(transition > -jnp.inf)
    return allowed & ((GROUP + 1) * spread(transition) < 0.65 * room(transition.dtype))


def log_total(scores: Scores) -> Array:
    """Returns the log of the sum over all paths, ``[B]``, of a chain that is :func:`even`."""
    steps, rows, size = scores.sizes
    states_first = scores.transition.ndim == 2 and size in STATES_FIRST
    count = 1 if states_first else GROUP
    axis = 0 if states_first else -1
    fixed = None if scores.transition.ndim == 4 else probabilities(scores.transition)

    def weights(step: Array | int, shift: Array) -> Array:
        scored = scores.at(step)
        return jnp.exp((scored.T if states_first else scored) - jnp.expand_dims(shift, axis))

    def advance(probs: Array, step: Array | int, shift: Array) -> tuple[Array, Array]:
        move, steep = fixed or probabilities(at(scores.transition, step - 1))
        if states_first:
            moved = along(probs, move[..., None], FEW_STATES)
        else:
            moved = propagate(probs, move, FEW_STATES)
        after, taken = moved * weights(step, shift), shift + steep
        if scores.lengths is None:
            return after, taken
        valid = step < scores.lengths
        return jnp.where(jnp.expand_dims(valid, axis), after, probs), jnp.where(valid, taken, 0)

    def scaled(probs: Array) -> tuple[Array, Array]:
        scale = probs.sum(axis)
        return probs * jnp.expand_dims(reciprocal(scale), axis), log(scale)

    def group(probs: Array, shifts: list[Array], step: Array | int) -> tuple[Array, Array]:
        gain = jnp.zeros(rows, probs.dtype)
        for later, shift in enumerate(shifts):
            probs, taken = advance(probs, step + later, shift)
            gain = gain + taken
        probs, added = scaled(probs)
        return probs, gain + added

    def chunk(probs: Array, first: Array) -> tuple[Array, Array]:
        begin = jnp.minimum(first, steps - length * count)
        shift = highest(scores, ends, begin, length * count)

        def body(probs: Array, step: Array) -> tuple[Array, Array]:
            places = (jnp.minimum(step + later, steps - 1) - begin for later in range(count))
            return group(probs, [at(shift, place) for place in places], step)

        starts = first + count * jnp.arange(length, dtype=jnp.int32)
        probs, gains = jax.lax.scan(body, probs, starts)
        return probs, jnp.where((starts < steps)[:, None], gains, 0).sum(0)

    groups, rest = divmod(steps - 1, count)
    shifts = [largest(scores.at(step), -1) for step in range(rest + 1)]
    probs, total = scaled(weights(0, shifts[0]))
    total = total + shifts[0]
    if rest:
        probs, gain = group(probs, shifts[1:], 1)
        total = total + gain
    if groups:
        ends = ends_of(scores)
        chunks = -(-groups // max(NUMBERS // (count * rows * size), 1))
        length = -(-groups // chunks)
        firsts = 1 + rest + length * count * jnp.arange(chunks, dtype=jnp.int32)
        total = total + jax.lax.scan(chunk, probs, firsts)[1].sum(0)
    return total


def at(array: Array, step: Array | int) -> Array:
    """Returns one step of what has time first."""
    return jax.lax.dynamic_index_in_dim(array, step, keepdims=False)


def ends_of(scores: Scores) -> tuple[Array, Array] | None:
    """Returns the last step of each row, and the largest score of it with its end, ``[B]`` both.

    To add ends to all steps, in vain, took as long as the rest.
    """
    if scores.final is None:
        return None
    last = jnp.maximum(scores.ends - 1, 0)
    end = jnp.take_along_axis(scores.emission, last[:, None, None], 1)[:, 0] + scores.final
    return last, largest(end, -1)


def highest(scores: Scores, ends: tuple[Array, Array] | None, first: Array, count: int) -> Array:
    """Returns the largest score of each of so many steps, ``[count, B]``; anything in the pads.

    Args:
      scores: of the chain.
      ends: of :func:`ends_of`.
      first: their first, not the first of all.
      count: how many they are.
    """
    emission = jax.lax.dynamic_slice_in_dim(scores.emission, first, count, axis=1)
    found = largest(emission, -1).T
    if ends is None:
        return found
    last, end = ends
    step = first + jnp.arange(count, dtype=jnp.int32)
    return jnp.where(step[:, None] == last[None], end[None], found)
