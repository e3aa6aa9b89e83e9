"""The padding contract on arrays: masks, fresh starts, and where the time axis is."""

import jax
import jax.numpy as jnp

from jaxseq._types import Array, PyTree


def select(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """Returns ``yes`` where the scalar ``condition`` holds, else ``no``, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def zero_padding(valid: Array | None, ys: Array) -> Array:
    """Returns ``ys [..., O]`` with zeros where ``valid [...]`` does not hold."""
    return ys if valid is None else jnp.where(valid[..., None], ys, jnp.zeros_like(ys))


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
