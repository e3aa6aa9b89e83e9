"""The sum over all paths alone, in probabilities that are scaled once in a few steps.

It wants no messages, so nothing is made of all steps at once but their largest scores.
"""

import functools

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import where_valid
from jaxseq.structured._scaled import largest, propagate, reciprocal, room, spread, start
from jaxseq.structured._scores import Scores
from jaxseq.structured._semiring import log

GROUP = 4
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
    states_first = scores.transition.ndim == 2 and len(scores.transition) in STATES_FIRST
    return log_total_of_states(scores) if states_first else log_total_of_rows(scores)


def shifts(scores: Scores) -> tuple[Array, Array, Array, Array | None]:
    """Returns the largest scores of each step, ``[T, B]``, and of the transitions.

    And what is taken from the scores of all steps, ``[B]``; and which steps are valid.
    """
    steps = scores.sizes[0]
    valid = scores.valid(0, steps)
    shift = highest(scores)
    steep = largest(scores.transition, (-2, -1))
    steeps = jnp.broadcast_to(steep, shift[1:].shape)
    taken = shift + jnp.pad(steeps, ((1, 0), (0, 0)))
    taken = taken if valid is None else jnp.where(valid, taken, 0)
    return shift, steep, taken.sum(0), valid


def highest(scores: Scores) -> Array:
    """Returns the largest score of each step, ``[T, B]``; anything in the pads.

    Ends are added where they are: to all steps, in vain, took as long as the rest.
    """
    found = largest(scores.emission, -1)
    if scores.final is not None:
        last = jnp.maximum(scores.ends - 1, 0)
        end = jnp.take_along_axis(scores.emission, last[:, None, None], 1)[:, 0] + scores.final
        found = found.at[jnp.arange(len(last), dtype=jnp.int32), last].set(largest(end, -1))
    return found.at[:, 0].set(largest(scores.at(0), -1)).T


def log_total_of_states(scores: Scores) -> Array:
    """Returns the same, all rows a state, scaled at each step: more would be compiled apart."""
    shift, steep, taken, valid = shifts(scores)
    move = jnp.exp(scores.transition - steep)

    def scaled(joint: Array) -> tuple[Array, Array]:
        scale = joint.sum(0)
        return joint * reciprocal(scale)[None], scale

    def step(probs: Array, x: tuple) -> tuple[Array, Array]:
        at, shift, valid = x
        terms = (move[k][:, None] * probs[k][None] for k in range(len(move)))
        joint = functools.reduce(jnp.add, terms) * jnp.exp(scores.at(at).T - shift[None])
        return scaled(joint if valid is None else jnp.where(valid[None], joint, probs))

    probs, scale = scaled(jnp.exp(scores.at(0).T - shift[0][None]))
    steps = jnp.arange(1, len(shift), dtype=jnp.int32)
    xs = (steps, shift[1:], None if valid is None else valid[1:])
    scales = jax.lax.scan(step, probs, xs)[1]
    return taken + log(scale) + log(scales).sum(0)


def log_total_of_rows(scores: Scores) -> Array:
    """Returns the same, all states of a row, scaled once in a group of steps."""
    shift, steep, taken, valid = shifts(scores)

    def at(array: Array, step: Array | int) -> Array:
        return jax.lax.dynamic_index_in_dim(array, step, keepdims=False)

    def likelihood(step: Array | int) -> Array:
        return jnp.exp(scores.at(step) - at(shift, step)[..., None])

    varies = scores.transition.ndim == 4
    fixed = None if varies else jnp.exp(scores.transition - steep[..., None, None])

    def advance(probs: Array, step: Array | int) -> Array:
        move = fixed
        if move is None:
            move = jnp.exp(at(scores.transition, step - 1) - at(steep, step - 1)[..., None, None])
        after = propagate(probs, move, FEW_STATES) * likelihood(step)
        return where_valid(None if valid is None else at(valid, step), after, probs)

    def group(probs: Array, first: Array | int, count: int) -> tuple[Array, Array]:
        for step in range(count):
            probs = advance(probs, first + step)
        return start(probs)

    count, rest = divmod(len(shift) - 1, GROUP)
    probs, scale = start(likelihood(0))
    total = taken + log(scale)
    if count:
        firsts = 1 + GROUP * jnp.arange(count, dtype=jnp.int32)
        probs, scales = jax.lax.scan(lambda probs, at: group(probs, at, GROUP), probs, firsts)
        total = total + log(scales).sum(0)
    return total + log(group(probs, 1 + GROUP * count, rest)[1]) if rest else total
