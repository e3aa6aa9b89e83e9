"""The sum over all paths alone, in probabilities that are scaled once in a few steps.

It wants no messages, so nothing is made of all steps at once but their largest scores.
"""

import functools

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import Chain, where_valid
from jaxseq.structured._scaled import largest, propagate, reciprocal, room, spread, start
from jaxseq.structured._semiring import log

GROUP = 4
# Up to so many states a product is written out. More than where messages are kept: nobody
# differentiates this, and the product backwards would be the slower one.
FEW_STATES = 24
# Of so many, states come before rows: vectors of rows are whole ones, those of states are not.
STATES_FIRST = range(9, 21)


def even(chain: Chain) -> Array:
    """Returns whether so few scalings lose nothing that matters, whatever the emissions are.

    After a step by such transitions every state has at least ``exp(-spread)`` of what the likeliest
    one had, before its emission; and one emission is 1. So the likeliest is still held after a
    group of steps, and what fell below the smallest float would have added at most ``exp(spread)``
    times itself to any state.
    """
    allowed = jnp.all(chain.transition > -jnp.inf)
    return allowed & ((GROUP + 1) * spread(chain) < 0.65 * room(chain.emission.dtype))


def log_total(chain: Chain) -> Array:
    """Returns the log of the sum over all paths, ``[B]``, of a chain that is :func:`even`."""
    states_first = chain.transition.ndim == 2 and len(chain.transition) in STATES_FIRST
    return log_total_of_states(chain) if states_first else log_total_of_rows(chain)


def log_total_of_states(chain: Chain) -> Array:
    """Returns the same, all rows a state, scaled at each step: more would be compiled apart."""
    scores = jnp.swapaxes(chain.emission, 1, 2)
    shift, steep = largest(scores, 1), largest(chain.transition, (-2, -1))
    move = jnp.exp(chain.transition - steep)

    def scaled(joint: Array) -> tuple[Array, Array]:
        scale = joint.sum(0)
        return joint * reciprocal(scale)[None], scale

    def step(probs: Array, x: tuple) -> tuple[Array, Array]:
        scores, shift, valid = x
        terms = (move[k][:, None] * probs[k][None] for k in range(len(move)))
        joint = functools.reduce(jnp.add, terms) * jnp.exp(scores - shift[None])
        return scaled(joint if valid is None else jnp.where(valid[None], joint, probs))

    probs, scale = scaled(jnp.exp(scores[0] - shift[0][None]))
    taken = shift.at[1:].add(steep)
    taken = taken if chain.valid is None else jnp.where(chain.valid, taken, 0)
    valid = None if chain.valid is None else chain.valid[1:]
    scales = jax.lax.scan(step, probs, (scores[1:], shift[1:], valid))[1]
    return taken.sum(0) + log(scale) + log(scales).sum(0)


def log_total_of_rows(chain: Chain) -> Array:
    """Returns the same, all states of a row, scaled once in a group of steps."""
    shift, steep = largest(chain.emission, -1), largest(chain.transition, (-2, -1))

    def at(array: Array, step: Array | int) -> Array:
        return jax.lax.dynamic_index_in_dim(array, step, keepdims=False)

    def likelihood(step: Array | int) -> Array:
        return jnp.exp(at(chain.emission, step) - at(shift, step)[..., None])

    fixed = None if chain.varies else jnp.exp(chain.transition - steep[..., None, None])

    def advance(probs: Array, step: Array | int) -> Array:
        move = fixed
        if move is None:
            move = jnp.exp(at(chain.transition, step - 1) - at(steep, step - 1)[..., None, None])
        valid = None if chain.valid is None else at(chain.valid, step)
        return where_valid(valid, propagate(probs, move, FEW_STATES) * likelihood(step), probs)

    def group(probs: Array, first: Array | int, count: int) -> tuple[Array, Array]:
        for step in range(count):
            probs = advance(probs, first + step)
        return start(probs)

    count, rest = divmod(chain.emission.shape[0] - 1, GROUP)
    probs, scale = start(likelihood(0))
    taken = shift.at[1:].add(jnp.broadcast_to(steep, shift[1:].shape))
    taken = taken if chain.valid is None else jnp.where(chain.valid, taken, 0)
    total = taken.sum(0) + log(scale)
    if count:
        firsts = 1 + GROUP * jnp.arange(count, dtype=jnp.int32)
        probs, scales = jax.lax.scan(lambda probs, at: group(probs, at, GROUP), probs, firsts)
        total = total + log(scales).sum(0)
    return total + log(group(probs, 1 + GROUP * count, rest)[1]) if rest else total
