"""A scan over windows of steps: what rematerialisation and truncated BPTT have in common."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxseq._types import PyTree


def scan_windows(
    body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]],
    carry: PyTree,
    inputs: PyTree,
    *,
    size: int,
    reverse: bool = False,
) -> tuple[PyTree, PyTree]:
    """Runs ``body`` over windows of ``size`` steps, and over the shorter one that is left.

    Args:
      body: ``(carry, window) -> (carry, outputs)``; all leaves have a leading time axis.
      carry: the state before the first window.
      inputs: leaves ``[T, ...]``.
      size: steps in a window.
      reverse: whether the last window comes first.

    Returns:
      The state after the last window, and the outputs ``[T, ...]``.
    """
    steps = jax.tree.leaves(inputs)[0].shape[0]
    windows, rest = divmod(steps, size)
    whole = windows * size

    def split(leaf):
        return leaf[:whole].reshape(windows, size, *leaf.shape[1:])

    def join(leaf):
        return leaf.reshape(whole, *leaf.shape[2:])

    def run(carry):
        carry, outputs = jax.lax.scan(body, carry, jax.tree.map(split, inputs), reverse=reverse)
        return carry, jax.tree.map(join, outputs)

    if not rest:
        return run(carry)
    tail = jax.tree.map(lambda leaf: leaf[whole:], inputs)
    if reverse:
        carry, last = body(carry, tail)
        carry, outputs = run(carry)
    else:
        carry, outputs = run(carry)
        carry, last = body(carry, tail)
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, last)
