"""Messages of the log semiring as probabilities, scaled at each step: the fast way.

A step is then one matrix product and nothing transcendental: exponentials and logarithms are of all
steps at once, before and after the loop. What probabilities cannot hold, they lose without a
sound, where logarithms keep it; :func:`trusted` says whether that may have happened, and then the
caller takes the messages of :mod:`jaxseq.structured._messages`.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import Chain, where_valid
from jaxseq.structured._semiring import log

FEW_STATES = 8  # up to so many, a product is written out: a step of a loop is then one operation


class Scaled(NamedTuple):
    """A chain in probabilities, each divided by a largest one.

    Attributes:
      transition: as the chain's, of exponentials.
      likelihood: ``[T, B, K]``, of exponentials.
      shift: ``[T, B]``, the logarithm of what a step's likelihood was divided by.
      steep: the same of the transitions, of their shape without the last two axes.
      valid: as the chain's.
    """

    transition: Array
    likelihood: Array
    shift: Array
    steep: Array
    valid: Array | None

    @property
    def moves(self) -> Array | None:
        """What a loop reads of transitions at each step: nothing where they stand still."""
        return self.transition if self.transition.ndim == 4 else None

    def after_first(self) -> "Scaled":
        """Returns the steps after the first."""
        valid = None if self.valid is None else self.valid[1:]
        return self._replace(likelihood=self.likelihood[1:], shift=self.shift[1:], valid=valid)


class Filtered(NamedTuple):
    """The forward messages.

    Attributes:
      probs: ``[T, B, K]``, of a state given the past and the present.
      scale: ``[T, B]``, of a step's likelihood given the past; anything in the pads.
      blocks: what the pass backward wants of blocks of steps, where there are blocks.
    """

    probs: Array
    scale: Array
    blocks: Any


class Smoothed(NamedTuple):
    """The backward messages.

    Attributes:
      ratio: ``[T, B, K]``; times the filtered probability it is the posterior one.
      arrival: ``[T-1, B, K]``; filtered probability of i, times transition from i to j, times this
        of j at the next step, is the posterior probability of the two. 0 in the pads.
      counts: ``[B, K, K]``, how often each transition is expected.
    """

    ratio: Array
    arrival: Array
    counts: Array


def largest(x: Array, axis: int | tuple[int, ...]) -> Array:
    """Returns what to divide by: it changes no result, so it needs no derivative."""
    shift = jax.lax.stop_gradient(jnp.max(x, axis))
    return jnp.where(jnp.isfinite(shift), shift, 0)


def scale(chain: Chain) -> Scaled:
    """Returns a chain in probabilities."""
    shift = largest(chain.emission, -1)
    move, steep = probabilities(chain.transition)
    likelihood = jnp.exp(chain.emission - shift[..., None])
    return Scaled(move, likelihood, shift, steep, chain.valid)


def probabilities(transition: Array) -> tuple[Array, Array]:
    """Returns exponentials of transitions by the largest, and the logarithm of that."""
    steep = largest(transition, (-2, -1))
    return jnp.exp(transition - steep[..., None, None]), steep


def of_rows(transition: Array) -> Array:
    """Returns transitions that stand still, ``[1 or B, K, K]``."""
    return jnp.expand_dims(transition, range(3 - transition.ndim))


def product(left: Array, right: Array, few: int = FEW_STATES) -> Array:
    """Returns matrices ``[..., K, K]`` times matrices or one ``[K, K]``."""
    size = left.shape[-1]
    if size > few:
        return jnp.matmul(left, right, precision="highest")
    left = jnp.expand_dims(left, range(right.ndim - left.ndim))
    right = jnp.expand_dims(right, range(left.ndim - right.ndim))
    terms = (left[..., :, k, None] * right[..., k, None, :] for k in range(size))
    return functools.reduce(jnp.add, terms)


def propagate(probs: Array, transition: Array, few: int = FEW_STATES) -> Array:
    """Returns vectors ``[..., K]`` times matrices ``[..., K, K]`` or one ``[K, K]``."""
    if transition.ndim == 2 and probs.shape[-1] > few:
        return jnp.matmul(probs, transition, precision="highest")
    return product(probs[..., None, :], transition, few)[..., 0, :]


def along(probs: Array, move: Array, few: int = FEW_STATES) -> Array:
    """Returns the same, states first: ``[..., K, N]`` times ``[K, K, N]`` or ``[K, K, 1]``."""
    if len(move) > few:
        if move.shape[-1] == 1:
            return jnp.einsum("...kn,kj->...jn", probs, move[..., 0], precision="highest")
        return jnp.einsum("...kn,kjn->...jn", probs, move, precision="highest")
    move = jnp.expand_dims(move, range(1, probs.ndim - 1))
    terms = (probs[..., k, None, :] * move[k] for k in range(len(move)))
    return functools.reduce(jnp.add, terms)


def reciprocal(x: Array) -> Array:
    """Returns ``1 / x``, and 0 for 0: what cannot happen has no weight, and no gradient."""
    return jnp.where(x == 0, 0, 1 / jnp.where(x == 0, 1, x))


def start(joint: Array) -> tuple[Array, Array]:
    """Returns probabilities that sum to one, and what their sum was."""
    scale = joint.sum(-1)
    return joint * reciprocal(scale)[..., None], scale


def unroll(scaled: Scaled) -> int:
    """Returns how many steps share one turn of a loop: long loops ran a third faster by fours."""
    return 4 if scaled.likelihood.shape[0] >= 16 else 1


def filter_steps(scaled: Scaled, probs: Array) -> tuple[Array, Array]:
    """Returns forward messages and scales from a message on, over all steps of ``scaled``."""

    def body(probs: Array, x: tuple) -> tuple[Array, tuple[Array, Array]]:
        move, likelihood, valid = x
        move = scaled.transition if move is None else move
        after, scale = start(propagate(probs, move) * likelihood)
        probs = where_valid(valid, after, probs)
        return probs, (probs, scale)

    xs = (scaled.moves, scaled.likelihood, scaled.valid)
    return jax.lax.scan(body, probs, xs, unroll=unroll(scaled))[1]


def smooth_steps(scaled: Scaled, scale: Array, ratio: Array) -> tuple[Array, Array]:
    """Returns backward messages, each before a step, from one on, over all steps of ``scaled``."""

    def body(ratio: Array, x: tuple) -> tuple[Array, tuple[Array, Array]]:
        move, weight, valid = x
        move = scaled.transition if move is None else move
        arrival = jnp.minimum(weight * ratio, bound(ratio.dtype))
        before = propagate(arrival, jnp.swapaxes(move, -1, -2))
        ratio = where_valid(valid, before, ratio)
        return ratio, (ratio, arrival)

    weight = scaled.likelihood * reciprocal(scale)[..., None]
    xs = (scaled.moves, weight, scaled.valid)
    ratios, arrivals = jax.lax.scan(body, ratio, xs, reverse=True, unroll=unroll(scaled))[1]
    if scaled.valid is not None:
        arrivals = jnp.where(scaled.valid[..., None], arrivals, 0)
    return ratios, arrivals


def bound(dtype: Any) -> Array:
    """Returns the largest arrival: of a state that the past forbids it would have no bound."""
    return jnp.exp(0.9 * room(dtype)).astype(dtype)


def filter_sequential(scaled: Scaled) -> Filtered:
    """Returns the forward messages, step by step."""
    first, first_scale = start(scaled.likelihood[0])
    probs, scales = filter_steps(scaled.after_first(), first)
    return Filtered(
        jnp.concatenate([first[None], probs]), jnp.concatenate([first_scale[None], scales]), None
    )


def smooth_sequential(scaled: Scaled, filtered: Filtered) -> Smoothed:
    """Returns the backward messages, step by step."""
    last = jnp.ones_like(filtered.probs[0])
    ratios, arrivals = smooth_steps(scaled.after_first(), filtered.scale[1:], last)
    before, move = filtered.probs[:-1], scaled.transition
    if move.ndim == 4:
        counts = jnp.einsum("tbi,tbij,tbj->bij", before, move, arrivals, precision="highest")
    else:
        counts = jnp.einsum("tbi,tbj->bij", before, arrivals, precision="highest")
        counts = counts * of_rows(move)
    return Smoothed(jnp.concatenate([ratios, last[None]]), arrivals, counts)


def log_scale(scaled: Scaled, scale: Array | None = None) -> Array:
    """Returns the log-likelihood of each step given the past, ``[T, B]``; 0 in the pads.

    Args:
      scaled: the chain.
      scale: of the messages; without it, of all that is in probabilities nothing is counted.
    """
    logs = scaled.shift.at[1:].add(jnp.broadcast_to(scaled.steep, scaled.shift[1:].shape))
    logs = logs if scale is None else logs + log(scale)
    return logs if scaled.valid is None else jnp.where(scaled.valid, logs, 0)


def arriving(scaled: Scaled, filtered: Filtered) -> Array:
    """Returns the probabilities of states before anything is seen of them; 1 at the first step."""
    before = propagate(filtered.probs[:-1], scaled.transition)
    return jnp.concatenate([jnp.ones_like(filtered.probs[:1]), before])


def log_filtered(chain: Chain, scaled: Scaled, filtered: Filtered, before: Array) -> Array:
    """Returns the logarithms of the filtered probabilities, also of those too small to hold."""
    possible = filtered.scale > 0
    total = log(jnp.where(possible, filtered.scale, 1)) + scaled.shift
    logs = log(before) + chain.emission - total[..., None]
    return jnp.where(possible[..., None], logs, -jnp.inf)


def log_arrival(chain: Chain, scaled: Scaled, filtered: Filtered, smoothed: Smoothed) -> Array:
    """Returns the logarithms of the arrivals, by the chain's transitions; -inf in the pads."""
    possible = filtered.scale[1:] > 0
    total = log(jnp.where(possible, filtered.scale[1:], 1)) + scaled.shift[1:]
    total = total + jnp.broadcast_to(scaled.steep, total.shape)
    logs = chain.emission[1:] + log(smoothed.ratio[1:]) - total[..., None]
    if chain.valid is not None:
        possible = possible & chain.valid[1:]
    return jnp.where(possible[..., None], logs, -jnp.inf)


def room(dtype: Any) -> float:
    """Returns how small a probability may be, in nats: 87 in float32."""
    return -math.log(float(jnp.finfo(dtype).tiny))


def spread(transition: Array) -> Array:
    """Returns how far apart allowed transitions are, in nats."""
    allowed = transition > -jnp.inf
    highest = jnp.max(jnp.where(allowed, transition, -jnp.inf))
    lowest = jnp.min(jnp.where(allowed, transition, jnp.inf))
    return jnp.where(jnp.any(allowed), highest - lowest, 0)


def dense(transition: Array) -> Array:
    """Returns whether probabilities can lose nothing that matters, whatever the emissions are.

    After a step by such transitions every state has at least the smallest of their exponentials,
    by the largest, of the likeliest one.
    """
    allowed = jnp.all(transition > -jnp.inf)
    return allowed & (spread(transition) < 0.45 * room(transition.dtype))


def nothing_lost(chain: Chain, scaled: Scaled, filtered: Filtered, before: Array) -> Array:
    """Returns whether every state that can be reached stayed well above the smallest float.

    Where some transitions are forbidden, a state that is all but impossible may be the only way on.
    And where blocks were multiplied, each message must still follow from the one before: in a
    product, rows of states that are not reached may drown those of states that are.
    """
    limit = room(chain.emission.dtype)
    reached = (before > 0) & (chain.emission > -jnp.inf)
    least = jnp.exp(spread(chain.transition) - 0.95 * limit).astype(before.dtype)
    joint = before * scaled.likelihood
    small = joint < least * filtered.scale[..., None]
    off = jnp.abs(start(joint)[0] - filtered.probs) > rounding(joint.dtype)
    lost = (reached & (small | (filtered.probs == 0))) | off
    if chain.valid is not None:
        lost = lost & chain.valid[..., None]
    return (spread(chain.transition) < 0.7 * limit) & ~jnp.any(lost)


def follows(scaled: Scaled, filtered: Filtered, smoothed: Smoothed) -> Array:
    """Returns whether the posterior of each state is that of the ways into it."""
    ways = propagate(filtered.probs[:-1], scaled.transition) * smoothed.arrival
    off = jnp.abs(ways - filtered.probs[1:] * smoothed.ratio[1:])
    lost = off > rounding(off.dtype)
    if scaled.valid is not None:
        lost = lost & scaled.valid[1:, :, None]
    return ~jnp.any(lost)


def rounding(dtype: Any) -> float:
    """Returns how far apart two ways to compute a probability may be."""
    return math.sqrt(float(jnp.finfo(dtype).eps))


def trusted(
    chain: Chain, scaled: Scaled, filtered: Filtered, smoothed: Smoothed | None = None
) -> Array:
    """Returns whether nothing that matters fell below what a float can hold."""

    def check() -> Array:
        good = nothing_lost(chain, scaled, filtered, arriving(scaled, filtered))
        if smoothed is None or filtered.blocks is None:  # step by step it follows by construction
            return good
        return good & follows(scaled, filtered, smoothed)

    return jax.lax.cond(dense(chain.transition), lambda: jnp.array(True), check)
