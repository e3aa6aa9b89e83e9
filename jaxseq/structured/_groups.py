"""The sum over all paths alone, in probabilities that are scaled once in a few steps.

It wants no messages, so nothing is made of all steps at once but their largest scores.
"""

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import Chain, where_valid
from jaxseq.structured._scaled import largest, propagate, room, spread, start
from jaxseq.structured._semiring import log

GROUP = 4
# Up to so many states a product is written out. More than where messages are kept: nobody
# differentiates this, and the product backwards would be the slower one.
FEW_STATES = 24


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
