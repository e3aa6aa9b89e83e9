"""The alignments of a label sequence as paths through a band of states.

State 2n+1 is label n, and the states 0, 2, .. 2N are the blanks before, between and after the
labels: S = 2N + 1. A frame stays in its state, goes on to the next one, or skips the blank between
two different labels. Arrays are time first and batch last: a step along the band is then a shift of
whole rows.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._arrays import accumulator
from jaxseq._types import Array
from jaxseq.structured._arguments import valid_steps


class Lattice(NamedTuple):
    """The band of one batch.

    Attributes:
      emission: ``[T, S, B]``, float32 or better: the log-probability of a state's symbol, and -inf
        in states behind a row's last one. In the pads 0 for blanks and -inf for labels: what is in
        a blank stays there, and what is in the last label comes to the blank after it.
      skip: ``[S, B]`` bool: whether a state can be entered from two states before it.
      last: ``[B]``, a row's last state; a path ends there or one before.
      valid: ``[T, B]`` bool.
    """

    emission: Array
    skip: Array
    last: Array
    valid: Array

    @property
    def states(self) -> Array:
        """The numbers of the states, ``[S, 1]``."""
        return jnp.arange(self.skip.shape[0], dtype=jnp.int32)[:, None]

    @property
    def ends(self) -> Array:
        """In which states a path may end, ``[S, B]``."""
        last = self.last[None]
        return (self.states == last) | (self.states == last - 1)

    def at(self, state: Array) -> Array:
        """Returns 0 in one state of each row and -inf in the others, ``[S, B]``."""
        zero = jnp.zeros((), self.emission.dtype)
        return jnp.where(self.states == state[None], zero, -jnp.inf)


def build(
    scores: Array,
    norm: Array | None,
    lengths: Array,
    labels: Array,
    label_lengths: Array,
    blank: int,
) -> Lattice:
    """Returns the band.

    Args:
      scores: ``[B, T, V]``, log-probabilities but for their norm; anything in the pads.
      norm: ``[B, T]``, the log of what a frame's symbols sum to; None where that is 0.
      lengths: ``[B]``.
      labels: ``[B, N]``, all in 0..V-1.
      label_lengths: ``[B]``.
      blank: in 0..V-1.
    """
    rows, count = labels.shape
    chosen = choose(scores, labels, blank)
    chosen = chosen.astype(accumulator(chosen.dtype))
    if norm is not None:
        chosen = chosen - norm.T[:, None]
    valid = valid_steps(lengths, chosen.shape[0])
    blanks = jnp.where(valid[:, None], chosen[:, :1], 0)
    present = jnp.arange(count, dtype=jnp.int32)[:, None] < label_lengths[None]
    chosen = jnp.where(valid[:, None] & present[None], chosen[:, 1:], -jnp.inf)
    blanks = jnp.broadcast_to(blanks, (chosen.shape[0], count + 1, rows))
    emission = _interleave(blanks, chosen, axis=1)
    last = 2 * label_lengths
    differs = jnp.pad(labels[:, 1:] != labels[:, :-1], ((0, 0), (1, 0)))[:, :count].T
    skip = _interleave(jnp.zeros((count + 1, rows), bool), differs, axis=0)
    return Lattice(emission, skip, last, valid)


def choose(log_probs: Array, labels: Array, blank: int) -> Array:
    """Returns ``[B, T, V]`` at the blank, and then at labels ``[B, N]``, as ``[T, N + 1, B]``.

    Each symbol of each row is one window of T numbers, so the gradient adds B * (N + 1) windows.
    """
    symbols = jnp.pad(labels, ((0, 0), (1, 0)), constant_values=blank)

    def row(log_probs: Array, symbols: Array) -> Array:
        return log_probs.at[:, symbols].get(mode="promise_in_bounds")

    return jax.vmap(row, out_axes=2)(log_probs, symbols)


def _interleave(even: Array, odd: Array, axis: int) -> Array:
    """Returns N+1 even entries with N odd ones between them."""
    count = odd.shape[axis]
    first = jax.lax.slice_in_dim(even, 0, 1, axis=axis)
    rest = jax.lax.slice_in_dim(even, 1, count + 1, axis=axis)
    pairs = jnp.stack([odd, rest], axis=axis + 1)
    shape = (*odd.shape[:axis], 2 * count, *odd.shape[axis + 1 :])
    return jnp.concatenate([first, pairs.reshape(shape)], axis=axis)


def repeats(labels: Array, label_lengths: Array) -> Array:
    """Returns how many labels equal the one before them, ``[B]``: a blank must part them."""
    second = jnp.arange(1, max(labels.shape[1], 1), dtype=jnp.int32)
    same = (labels[:, 1:] == labels[:, :-1]) & (second[None] < label_lengths[:, None])
    return same.sum(-1, dtype=jnp.int32)


def predecessors(message: Array, skip: Array) -> tuple[Array, Array, Array]:
    """Returns a message as each state finds it: in itself, and one and two states before.

    Args:
      message: ``[S * B]``, states outermost. A vector: of a matrix ``[S, B]`` a compiler for a CPU
        makes vector instructions for some B only, and up to five times slower code for others.
      skip: ``[S, B]``.
    """
    leap = jnp.where(skip.reshape(-1), _shifted(message, 2 * skip.shape[1]), -jnp.inf)
    return message, _shifted(message, skip.shape[1]), leap


def _shifted(message: Array, count: int) -> Array:
    """Returns a vector moved on by so many places, -inf in those before.

    One shift for each use: a padded vector of which two parts are read is made apart, in a loop
    that took as long as the rest of a step.
    """
    count = min(count, message.size)
    return jnp.pad(message[: message.size - count], (count, 0), constant_values=-jnp.inf)
