"""The specification: a plain ``lax.scan`` over the vmapped cell, with the padding contract."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxseq._types import Array, PyTree
from jaxseq.cells import Cell
from jaxseq.sequence._windows import scan_windows


def select(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """Returns ``yes`` where the scalar ``condition`` holds, else ``no``, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def padded_step(
    cell: Cell, params: PyTree, carry: PyTree, inputs: tuple[Array, Array | None, Array | None]
) -> tuple[PyTree, Array]:
    """Advances one example by one step, which may be a fresh start, and may be padding."""
    x, valid, reset = inputs
    if reset is not None:
        carry = select(reset, cell.reset(params, carry), carry)
    after, y = cell.step(params, carry, x)
    if valid is None:
        return after, y
    return select(valid, after, carry), jnp.where(valid, y, jnp.zeros_like(y))


def time_major(array: Array, batch_axes: int) -> Array:
    """Moves the time axis from behind the batch axes to the front."""
    return jnp.moveaxis(array, batch_axes, 0)


def batch_major(array: Array, batch_axes: int) -> Array:
    """Moves the time axis from the front to behind the batch axes."""
    return jnp.moveaxis(array, 0, batch_axes)


def mask_and_resets(
    lengths: Array | None, resets: Array | None, steps: int, *, reverse: bool
) -> tuple[Array | None, Array | None]:
    """Returns which steps are valid, and before which one the state starts afresh.

    A reset marks the first step of a piece. A reversed scan leaves a piece after its first step,
    so there the fresh start falls on the step before. Resets in the padding do not count.
    """
    valid = None
    if lengths is not None:
        valid = jax.lax.broadcasted_iota(jnp.int32, (*lengths.shape, steps), lengths.ndim)
        valid = valid < lengths[..., None].astype(jnp.int32)
    if resets is None:
        return valid, None
    if valid is not None:
        resets = resets & valid
    if reverse:
        resets = jnp.concatenate([resets[..., 1:], jnp.zeros_like(resets[..., :1])], axis=-1)
    return valid, resets


def over_time(
    steps: Callable[[PyTree, PyTree], tuple[PyTree, Array]],
    xs: Array,
    carry: PyTree,
    lengths: Array | None,
    resets: Array | None,
    *,
    reverse: bool,
    window: int | None,
) -> tuple[PyTree, Array]:
    """Runs ``steps``, a backend's loop over ``(xs, valid, resets)`` with time first.

    This is what all backends share of a scan: the masks, harmless padding, axes and windows.
    """
    batch_axes = xs.ndim - 2
    valid, resets = mask_and_resets(lengths, resets, xs.shape[-2], reverse=reverse)
    if valid is not None:
        # Where only the result is masked, a NaN in the padding still reaches the gradient.
        xs = jnp.where(valid[..., None], xs, jnp.zeros_like(xs))
    inputs = jax.tree.map(lambda leaf: time_major(leaf, batch_axes), (xs, valid, resets))
    if window is None:
        carry, ys = steps(carry, inputs)
    else:
        body = jax.checkpoint(steps, prevent_cse=False)
        carry, ys = scan_windows(body, carry, inputs, size=window, reverse=reverse)
    return carry, batch_major(ys, batch_axes)


@functools.partial(jax.jit, static_argnames=("cell", "reverse", "window", "unroll"))
def scan_reference(
    cell: Cell,
    params: PyTree,
    xs: Array,
    carry: PyTree,
    lengths: Array | None,
    resets: Array | None,
    *,
    reverse: bool,
    window: int | None,
    unroll: int,
) -> tuple[PyTree, Array]:
    """Runs ``cell`` over time; the arguments are those of ``scan``, already checked."""
    step = functools.partial(padded_step, cell)
    for _ in range(xs.ndim - 2):
        step = jax.vmap(step, in_axes=(None, 0, 0))
    step = functools.partial(step, params)
    steps = functools.partial(jax.lax.scan, step, reverse=reverse, unroll=unroll)
    return over_time(steps, xs, carry, lengths, resets, reverse=reverse, window=window)
