"""Truncated back-propagation through time."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxseq._types import Array, Inputs, Lengths, PyTree, Resets
from jaxseq.cells import Cell
from jaxseq.sequence._arguments import (
    check_arguments,
    check_backend,
    check_positive,
    check_unroll,
    remat_window,
)
from jaxseq.sequence._padding import batch_major, time_major
from jaxseq.sequence._scan import scan
from jaxseq.sequence._windows import scan_windows


def truncated_bptt(
    cell: Cell,
    params: PyTree,
    xs: Inputs,
    *,
    window: int,
    carry: PyTree = None,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    backend: str = "auto",
    remat: int | str | None = None,
    unroll: int | None = None,
) -> tuple[Any, Array]:
    """Runs a cell over time as :func:`scan` does, and stops the gradient between windows.

    Values are those of :func:`scan`. The carry is handed from window to window, the gradient is
    not: a step's loss reaches back to the start of its window and no further, so what is learnt
    spans at most ``window`` steps. The gradient does reach the initial carry, from the first
    window.

    Args:
      cell: the cell.
      params: its weights.
      xs: the inputs, ``[*batch, T, I]``.
      window: steps that the gradient reaches over at most; the last window may be shorter.
      carry: the state before the first step; None for the initial one.
      lengths: as in :func:`scan`.
      resets: as in :func:`scan`.
      backend: as in :func:`scan`.
      remat: as in :func:`scan`, within a window.
      unroll: as in :func:`scan`.

    Returns:
      The carry after the last valid step of each row, and the outputs ``[*batch, T, O]``.

    Raises:
      ValueError: if ``window`` is not a positive integer; and all of :func:`scan`.
      TypeError: all of :func:`scan`.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.elman(1, 1, activation=lambda z: z)
      >>> params = jax.tree.map(jnp.ones_like, cell.init(jax.random.key(0)))
      >>> xs = jnp.zeros((4, 1))
      >>> def last(xs, window):
      ...     return jaxseq.truncated_bptt(cell, params, xs, window=window)[1][-1, 0]
      >>> jax.grad(last)(xs, 4).ravel().tolist(), jax.grad(last)(xs, 2).ravel().tolist()
      ([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0])

    References:
      Williams and Peng, "An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent
      Network Trajectories", Neural Computation 2(4), 1990.
    """
    where = "truncated_bptt"
    check_positive(where, "window", window)
    check_backend(where, backend)
    unroll = check_unroll(where, unroll, backend)
    remat_window(where, remat, window)
    arguments = check_arguments(where, cell, params, xs, carry, lengths, resets)
    xs, carry, lengths, resets = arguments
    batch_axes = xs.ndim - 2

    def body(carry, inputs):
        x, reset, t = inputs
        # The first window may pass its gradient on to the initial carry; and where a row has ended,
        # nothing is run any more that a window could part from what was before.
        passes = t[0] == 0
        if lengths is not None:
            passes = passes | (lengths <= t[0])

        def parted(leaf):
            open_to = jnp.reshape(passes, passes.shape + (1,) * (leaf.ndim - passes.ndim))
            return jnp.where(open_to, leaf, jax.lax.stop_gradient(leaf))

        carry = jax.tree.map(parted, carry)
        carry, ys = scan(
            cell,
            params,
            batch_major(x, batch_axes),
            carry=carry,
            lengths=None if lengths is None else jnp.clip(lengths - t[0], 0, t.size),
            resets=None if reset is None else batch_major(reset, batch_axes),
            backend=backend,
            remat=remat,
            unroll=unroll,
        )
        return carry, time_major(ys, batch_axes)

    inputs = (
        time_major(xs, batch_axes),
        None if resets is None else time_major(resets, batch_axes),
        jnp.arange(xs.shape[-2], dtype=jnp.int32),
    )
    carry, ys = scan_windows(body, carry, inputs, size=window)
    return carry, batch_major(ys, batch_axes)
