"""Both directions of time, side by side."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._checks import error
from jaxseq._types import Array, Inputs, Lengths, Resets
from jaxseq.cells import Cell
from jaxseq.sequence._arguments import check_arguments
from jaxseq.sequence._native import obstacle
from jaxseq.sequence._padding import mask_and_resets
from jaxseq.sequence._scan import scan
from jaxseq.sequence._schedule import FEW
from jaxseq.sequence._taps import tapped


class Directions(NamedTuple):
    """A pair, one for each direction of time: of params, or of carries.

    Attributes:
      forward: that of the direction from the first step to the last.
      backward: that of the direction from the last valid step to the first.

    Example:
      >>> import jax, jaxseq
      >>> cell = jaxseq.gru(3, 4)
      >>> keys = jax.random.split(jax.random.key(0))
      >>> params = jaxseq.Directions(cell.init(keys[0]), cell.init(keys[1]))
      >>> params.backward.w_ih.shape
      (12, 3)
    """

    forward: Any
    backward: Any


def bidirectional(
    cell: Cell,
    params: Directions,
    xs: Inputs,
    *,
    carry: Directions | None = None,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    backend: str = "auto",
    remat: int | str | None = None,
    unroll: int | None = None,
) -> tuple[Directions, Array]:
    """Runs a cell over time in both directions, which share no parameters.

    The backward direction of each row starts at the row's own last valid step. Everything of
    :func:`scan` holds for each direction by itself.

    Args:
      cell: run in both directions.
      params: a :class:`Directions` of its weights.
      xs: the inputs, ``[*batch, T, I]``.
      carry: a :class:`Directions` of initial states: ``forward`` before the first step,
        ``backward`` before the last valid one.
      lengths: as in :func:`scan`.
      resets: as in :func:`scan`: where pieces begin, for both directions the same.
      backend: as in :func:`scan`.
      remat: as in :func:`scan`.
      unroll: as in :func:`scan`.

    Returns:
      A :class:`Directions` of final states (that of ``backward`` is the one after step 0), and the
      outputs ``[*batch, T, 2*O]``, forward first.

    Raises:
      TypeError: if ``params`` or ``carry`` is not a :class:`Directions`; and all of :func:`scan`.
      ValueError: all of :func:`scan`.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.gru(3, 4)
      >>> params = jaxseq.Directions(*map(cell.init, jax.random.split(jax.random.key(0))))
      >>> xs = jnp.ones((2, 5, 3))
      >>> carry, ys = jaxseq.bidirectional(cell, params, xs, lengths=jnp.array([5, 2]))
      >>> ys.shape, carry.backward.h.shape
      ((2, 5, 8), (2, 4))
      >>> bool((carry.backward.h == ys[:, 0, 4:]).all())
      True

    References:
      Schuster and Paliwal, "Bidirectional Recurrent Neural Networks", IEEE Transactions on Signal
      Processing 45(11), 1997.
    """
    for name, value in (("params", params), ("carry", carry)):
        if not isinstance(value, Directions) and not (name == "carry" and value is None):
            raise error(
                "bidirectional",
                f"`{name}` must be a jaxseq.Directions(forward, backward), "
                f"but it is a {type(value).__name__}",
                kind=TypeError,
            )
    carry = Directions(None, None) if carry is None else carry
    options = {"backend": backend, "remat": remat, "unroll": unroll}
    rows = math.prod(jnp.shape(xs)[:-2])
    pays = rows <= FEW or jax.default_backend() != "cpu"
    merged = pays and backend != "reference" and not tapped()
    if merged and not _by_kernel(cell, params, xs, backend, remat):
        return _in_one_loop(cell, params, xs, carry, lengths, resets, **options)
    carries, outputs = [], []
    for reverse, weights, state in zip((False, True), params, carry, strict=True):
        state, ys = scan(
            cell,
            weights,
            xs,
            carry=state,
            lengths=lengths,
            resets=resets,
            reverse=reverse,
            **options,
        )
        carries.append(state)
        outputs.append(ys)
    return Directions(*carries), jnp.concatenate(outputs, axis=-1)


def _by_kernel(cell: Cell, params: Directions, xs: Any, backend: str, remat: Any) -> bool:
    """Returns whether each direction would be a call of the native kernel, which is faster yet."""
    if backend not in ("auto", "native") or remat == 1 or not hasattr(xs, "dtype"):
        return False
    return obstacle(cell, params, xs, None) is None


def _in_one_loop(
    cell: Cell,
    params: Directions,
    xs: Any,
    carry: Directions,
    lengths: Any,
    resets: Any,
    **options: Any,
) -> tuple[Directions, Array]:
    """Runs both directions as one scan, mapped over weights: a product for two halves the loops.

    Of a few rows, and on an accelerator of any number, a product is bound by its start and by
    reading the weight, and two of them in one operation share the first. Of many rows on a CPU, one
    after the other is as fast.
    """
    checked = [
        check_arguments("scan", cell, weights, xs, state, lengths, resets)
        for weights, state in zip(params, carry, strict=True)
    ]
    xs, _, lengths, resets = checked[0]
    steps = xs.shape[-2]
    order = jax.lax.broadcasted_iota(jnp.int32, xs.shape[:-1], xs.ndim - 2)
    ends = jnp.asarray(steps, jnp.int32) if lengths is None else lengths[..., None]
    # Each row from its own last valid step; the padding stays where it is.
    order = jnp.where(order < ends, ends - 1 - order, order)

    def turned(array):
        index = order.reshape(order.shape + (1,) * (array.ndim - order.ndim))
        return jnp.take_along_axis(array, index, axis=order.ndim - 1, mode="clip")

    both_resets = None
    if resets is not None:
        _, backward = mask_and_resets(lengths, resets, steps, reverse=True)
        both_resets = jnp.stack([resets, turned(backward)])
    weights = jax.tree.map(lambda a, b: jnp.stack([a, b]), params.forward, params.backward)
    states = jax.tree.map(lambda a, b: jnp.stack([a, b]), checked[0].carry, checked[1].carry)

    def run(weights, xs, state, resets):
        return scan(cell, weights, xs, carry=state, lengths=lengths, resets=resets, **options)

    in_axes = (0, 0, 0, None if resets is None else 0)
    states, ys = jax.vmap(run, in_axes)(weights, jnp.stack([xs, turned(xs)]), states, both_resets)
    forward, backward = (jax.tree.map(lambda leaf, d=d: leaf[d], states) for d in (0, 1))
    return Directions(forward, backward), jnp.concatenate([ys[0], turned(ys[1])], axis=-1)
