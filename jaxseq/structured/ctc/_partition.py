"""The sum over all alignments, in logarithms throughout, and the posterior that is its gradient."""

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._semiring import log, logsumexp
from jaxseq.structured.ctc._lattice import Lattice, predecessors


def _level(x: Array, axis: int) -> Array:
    """Returns the largest, to be subtracted: it changes no result, so it needs no derivative."""
    level = jax.lax.stop_gradient(jnp.max(x, axis))
    return jnp.where(level == -jnp.inf, 0, level)


def advance(message: Array, skip: Array) -> Array:
    """Returns the sums over the ways into each state, ``[S * R]``."""
    stay, step, leap = predecessors(message, skip)
    level = jax.lax.stop_gradient(jnp.maximum(jnp.maximum(stay, step), leap))
    level = jnp.where(level == -jnp.inf, 0, level)
    return log(jnp.exp(stay - level) + jnp.exp(step - level) + jnp.exp(leap - level)) + level


def run(emission: Array, skip: Array, valid: Array, first: Array, *, keep: bool) -> tuple:
    """Returns the message after each step, and what was taken from it, step by step.

    A message is kept at a height where its largest entry is 0, so that in float32 the entries
    which matter have all their digits, however long the sequence is.

    Args:
      emission: ``[T, S, R]``.
      skip: ``[S, R]``.
      valid: ``[T, R]``; through the others a message stands still.
      first: ``[S, R]``, the message before the first step.
      keep: whether all messages are wanted.

    Returns:
      The last message, all messages ``[T, S, R]`` or None, and the heights ``[T, R]``.
    """
    states = first.shape[0]

    @jax.checkpoint
    def body(message: Array, x: tuple[Array, Array]) -> tuple[Array, tuple[Array | None, Array]]:
        emission, valid = x
        after = advance(message, skip) + emission.reshape(-1)
        height = _level(after.reshape(first.shape), 0)
        after = after - jnp.tile(height, states)
        message = jnp.where(jnp.tile(valid, states), after, message)
        return message, (message if keep else None, jnp.where(valid, height, 0))

    last, (messages, heights) = jax.lax.scan(body, first.reshape(-1), (emission, valid))
    return last.reshape(first.shape), messages.reshape(emission.shape) if keep else None, heights


def total(lattice: Lattice, last: Array, heights: Array) -> Array:
    """Returns the log of the sum over all paths, ``[B]``, from the message after the last step."""
    return logsumexp(jnp.where(lattice.ends, last, -jnp.inf), 0) + heights.sum(0)


@jax.custom_jvp
def log_partition(lattice: Lattice) -> Array:
    """Returns the log of the sum over all paths, ``[B]``; -inf where there is none."""
    first = lattice.at(jnp.zeros_like(lattice.last))
    last, _, heights = run(lattice.emission, lattice.skip, lattice.valid, first, keep=False)
    return total(lattice, last, heights)


@log_partition.defjvp
def log_partition_jvp(primals: tuple[Lattice], tangents: tuple[Lattice]) -> tuple[Array, Array]:
    """Differentiates: the gradient of an emission is the posterior probability of its state."""
    log_z, probs = posterior(primals[0])
    return log_z, (probs * tangents[0].emission).sum((0, 1))


def posterior(lattice: Lattice) -> tuple[Array, Array]:
    """Returns the log-partition, ``[B]``, and the posterior of the states, ``[T, S, B]``.

    Read from its end the band is a band again, so that one loop runs forward and backward messages
    side by side: half as many steps, each with twice as much to do.
    """
    emission, skip, last, valid = lattice
    rows = last.shape[0]
    flipped = jnp.pad(skip[::-1], ((2, 0), (0, 0)))[:-2]
    firsts = [lattice.at(jnp.zeros_like(last)), lattice.at(last)[::-1]]
    ends, messages, heights = run(
        jnp.concatenate([emission, emission[::-1, ::-1]], axis=-1),
        jnp.concatenate([skip, flipped], axis=-1),
        jnp.concatenate([valid, valid[::-1]], axis=-1),
        jnp.concatenate(firsts, axis=-1),
        keep=True,
    )
    before, after = messages[..., :rows], messages[::-1, ::-1, rows:]
    # Both have the emission in them; where it is -inf, so are they.
    joint = before + after - jnp.where(emission == -jnp.inf, 0, emission)
    weights = jnp.exp(joint - _level(joint, 1)[:, None])
    sums = weights.sum(1, keepdims=True)
    probs = jnp.where(sums == 0, 0, weights / jnp.where(sums == 0, 1, sums))
    probs = jnp.where(valid[:, None], probs, 0)
    return total(lattice, ends[:, :rows], heights[:, :rows]), probs
