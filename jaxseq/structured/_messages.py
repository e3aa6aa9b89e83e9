"""Messages along a chain, forward and backward, step by step: the specification of this room.

A step of a recursion is a product by a transition and a product by an emission, in any semiring.
What a transition is, a dense matrix or the band of CTC, is the caller's. All is time first, with
one batch axis. Through the pads a message stands still.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array, PyTree
from jaxseq.structured._semiring import Semiring, matvec, vecmat


class Chain(NamedTuple):
    """A linear chain: the score of a path is the sum of what it meets.

    Scores of beginning and ending are in the first and the last valid emission.

    Attributes:
      transition: ``[K, K]``; ``[B, K, K]`` where rows differ; ``[T-1, B, K, K]`` where steps do.
      emission: ``[T, B, K]``, T at least 1; anything harmless in the pads.
      valid: ``[T, B]`` bool, each row's a prefix; or None, where all are.
    """

    transition: Array
    emission: Array
    valid: Array | None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """T, B and K."""
        steps, rows, size = self.emission.shape
        return steps, rows, size

    @property
    def varies(self) -> bool:
        """Whether transitions vary in time."""
        return self.transition.ndim == 4


def where_valid(valid: Array | None, new: PyTree, old: PyTree) -> PyTree:
    """Returns ``new`` in rows that are valid, ``[B, ...]``, and ``old`` in the others."""
    if valid is None:
        return new

    def choose(new: Array, old: Array) -> Array:
        return jnp.where(jnp.expand_dims(valid, range(1, new.ndim)), new, old)

    return jax.tree.map(choose, new, old)


def forward_messages(
    step: Callable[[Any, Any], Any], first: Any, xs: PyTree, valid: Array | None, *, unroll: int = 1
) -> Any:
    """Returns every message, ``[T, B, ...]``: ``m[0] = first``, ``m[t] = step(m[t-1], xs[t-1])``.

    Args:
      step: takes the message before a step and what the step reads, and returns the message after.
      first: ``[B, ...]``.
      xs: what the T-1 steps after the first read.
      valid: ``[T, B]``, or None.
      unroll: how many steps share one turn of the loop.
    """

    # Kept for the backward pass: the messages, and nothing of what a step makes on its way.
    @jax.checkpoint
    def body(message: Any, inputs: tuple[Any, Any]) -> tuple[Any, Any]:
        x, valid = inputs
        message = where_valid(valid, step(message, x), message)
        return message, message

    xs = (xs, None if valid is None else valid[1:])
    after = jax.lax.scan(body, first, xs, unroll=unroll)[1]
    return jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), first, after)


def last_message(
    step: Callable[[Any, Any], Any], first: Any, xs: PyTree, valid: Array | None, *, unroll: int = 1
) -> Any:
    """Returns the last of :func:`forward_messages`, ``[B, ...]``, and keeps no other."""

    @jax.checkpoint
    def body(message: Any, inputs: tuple[Any, Any]) -> tuple[Any, None]:
        x, valid = inputs
        return where_valid(valid, step(message, x), message), None

    xs = (xs, None if valid is None else valid[1:])
    return jax.lax.scan(body, first, xs, unroll=unroll)[0]


def backward_messages(
    step: Callable[[Any, Any], Any], last: Any, xs: PyTree, valid: Array | None
) -> Any:
    """Returns every message, ``[T, B, ...]``: ``m[T-1] = last``, ``m[t] = step(m[t+1], xs[t])``.

    A row's last valid step gets ``last``.

    Args:
      step: takes the message after a step and what the step reads, and returns the one before.
      last: ``[B, ...]``.
      xs: what the T-1 steps after the first read.
      valid: ``[T, B]``, or None.
    """

    @jax.checkpoint
    def body(message: Any, inputs: tuple[Any, Any]) -> tuple[Any, Any]:
        x, valid = inputs
        message = where_valid(valid, step(message, x), message)
        return message, message

    xs = (xs, None if valid is None else valid[1:])
    before = jax.lax.scan(body, last, xs, reverse=True)[1]
    return jax.tree.map(lambda one, rest: jnp.concatenate([rest, one[None]]), last, before)


def unroll(steps: int, rows: int, size: int) -> int:
    """Returns how many steps share one turn of a loop.

    On a CPU so small a loop ran twice as fast by fours, and a larger one no faster or slower.
    """
    return 4 if steps >= 64 and rows * size <= 4 else 1


def forward(chain: Chain, semiring: Semiring, messages: Callable = forward_messages) -> Array:
    """Returns the sums over all paths up to each step and state, ``[T, B, K]``.

    With :func:`last_message`, those up to the last step alone, ``[B, K]``.
    """

    def step(message: Array, x: tuple[Array | None, Array]) -> Array:
        transition, emission = x
        matrix = chain.transition if transition is None else transition
        return vecmat(semiring, message, matrix) + emission

    xs = (chain.transition if chain.varies else None, chain.emission[1:])
    first = chain.emission[0]
    return messages(step, first, xs, chain.valid, unroll=unroll(*chain.sizes))


def backward(chain: Chain, semiring: Semiring) -> Array:
    """Returns the sums over all paths after each step and state, ``[T, B, K]``."""

    def step(message: Array, x: tuple[Array | None, Array]) -> Array:
        transition, emission = x
        matrix = chain.transition if transition is None else transition
        return matvec(semiring, matrix, message + emission)

    xs = (chain.transition if chain.varies else None, chain.emission[1:])
    return backward_messages(step, jnp.zeros_like(chain.emission[0]), xs, chain.valid)
