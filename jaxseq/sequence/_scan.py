"""A cell over time."""

from typing import Any

from jaxseq._types import Array, Inputs, Lengths, PyTree, Resets
from jaxseq.cells import Cell
from jaxseq.sequence._arguments import (
    check_arguments,
    check_backend,
    check_unroll,
    remat_window,
)
from jaxseq.sequence._runner import Options, run_scan
from jaxseq.sequence._schedule import overridden
from jaxseq.sequence._taps import tap, tapped


def scan(
    cell: Cell,
    params: PyTree,
    xs: Inputs,
    *,
    carry: PyTree = None,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    backend: str = "auto",
    remat: int | str | None = None,
    unroll: int | None = None,
) -> tuple[Any, Array]:
    r"""Runs a cell over time, over any number of batch axes.

    .. math:: (\mathit{carry}_t, y_t) = \mathrm{step}(\mathit{params}, \mathit{carry}_{t-1}, x_t)

    A padded step (``t >= lengths``) has the output 0 and leaves the state alone, so the final carry
    is the one after the last valid step; a row of length 0 returns the initial carry. What is in
    the padding never matters, NaN included, for outputs, carry and every gradient.

    Args:
      cell: a :class:`Cell`; a static argument, so keep it and pass it around.
      params: its weights, from ``cell.init``.
      xs: the inputs, ``[*batch, T, I]``.
      carry: the state before the first step, as ``cell.carry(params, batch)`` returns it, which is
        also what None stands for.
      lengths: how many steps of each row are valid, ``[*batch]`` integers in [0, T]. Under jit,
        where values cannot be seen, they are clamped to this range.
      resets: ``[*batch, T]`` booleans, true where a new piece begins: the state is ``cell.reset``
        of itself before that step, as if the pieces were run apart. Reversed, the pieces are the
        same ones: each is run from its last step to its first.
      reverse: whether time runs backward, from each row's own last valid step to its first. The
        outputs stay in the order of the inputs.
      backend: ``"reference"`` is :func:`jax.lax.scan` over the vmapped step, the specification;
        ``"fused"`` takes the inputs' products and all weight gradients out of the loop, for cells
        that decompose and for linear recurrences; ``"associative"`` runs linear recurrences in
        log2(T) rounds; ``"auto"`` chooses for each cell the fastest that can run, and
        :func:`jaxseq.plan` says which.
      remat: what the backward pass finds kept: None for everything that it reads; 1 for every
        state, from which a fused loop maps a window of steps again in one product; a number k for
        every k-th state, with the steps in between run again; ``"sqrt"`` for k near sqrt(T), whose
        memory grows like sqrt(T). Values do not change.
      unroll: steps in one iteration of the loop; None for what suits the device: 1 on a CPU, 8 on
        others, where an iteration waits for its start. Values do not change.

    Returns:
      The carry after the last valid step of each row, and the outputs ``[*batch, T, O]``.

    Raises:
      ValueError: if a shape or a size does not fit, ``lengths`` are outside [0, T] (where they can
        be seen), or ``backend``, ``remat`` or ``unroll`` are none of the above.
      TypeError: if ``params`` or ``carry`` have another structure, or a dtype does not fit.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.lstm(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> xs = jax.random.normal(jax.random.key(1), (2, 5, 3))
      >>> carry, ys = jaxseq.scan(cell, params, xs, lengths=jnp.array([5, 2]))
      >>> ys.shape, carry.h.shape, carry.c.shape
      ((2, 5, 4), (2, 4), (2, 4))
      >>> bool((ys[1, 2:] == 0).all() and (ys[1, 1] == carry.h[1]).all())
      True

      A sequence may be cut anywhere, and the carry handed on:

      >>> half, _ = jaxseq.scan(cell, params, xs[:, :3])
      >>> _, rest = jaxseq.scan(cell, params, xs[:, 3:], carry=half)
      >>> bool(jnp.allclose(rest[0], ys[0, 3:], atol=1e-6))
      True

    References:
      Werbos, "Backpropagation Through Time: What It Does and How to Do It", 1990; Chen et al.,
      "Training Deep Nets with Sublinear Memory Cost", 2016 (``remat``).
    """
    check_backend("scan", backend)
    unroll = check_unroll("scan", unroll, backend)
    arguments = check_arguments("scan", cell, params, xs, carry, lengths, resets)
    cell, wide = tap(cell, params, arguments.xs, arguments.carry, reverse=bool(reverse))
    arguments = arguments._replace(xs=wide)
    options = Options(
        where="scan",
        backend=backend,
        reverse=bool(reverse),
        window=remat_window("scan", remat, arguments.xs.shape[-2]),
        unroll=unroll,
        schedules=overridden(),
        tapped=tapped(),
    )
    return run_scan(cell, params, *arguments, options=options)
