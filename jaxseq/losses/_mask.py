"""Which steps count: the mask behind every loss, and inputs whose pads can do no harm."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._arrays import known
from jaxseq._checks import check_shape, error, shape_text


def valid_steps(where: str, shape: tuple[int, ...], *, lengths: Any, mask: Any) -> Any:
    """Returns which steps count, as a bool array of the given shape.

    Under jit a length outside 0..T cannot be seen, and counts as the nearer end.

    Args:
      where: the function that the user called.
      shape: ``(*batch, T)``.
      lengths: ``[*batch]``, or None.
      mask: ``[*batch, T]`` bool, or None; with neither, all steps count.

    Returns:
      ``[*batch, T]`` bool.

    Raises:
      ValueError: if both are given, if a shape is wrong, or a known length is outside 0..T.
      TypeError: if ``lengths`` are not integers, or ``mask`` is not bool.

    Example:
      >>> import jax.numpy as jnp
      >>> valid_steps("f", (2, 3), lengths=jnp.array([2, 0]), mask=None).tolist()
      [[True, True, False], [False, False, False]]
    """
    if lengths is not None and mask is not None:
        raise error(
            where,
            "`lengths` and `mask` are both given",
            hint="give one of them; mask & (arange(T) < lengths[..., None]) is both",
        )
    if mask is not None:
        check_shape(where, "mask", mask, "(*batch, T)", shape)
        if mask.dtype != bool:
            raise error(
                where, f"`mask` must be bool, but it has dtype {mask.dtype}", kind=TypeError
            )
        return mask
    if lengths is None:
        return np.ones(shape, bool)
    check_shape(where, "lengths", lengths, "(*batch,)", shape[:-1])
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise error(
            where,
            f"`lengths` must be integers, but they have dtype {lengths.dtype}",
            kind=TypeError,
        )
    steps = shape[-1]
    if not known(lengths):
        # Compared in int32: T may be more than a narrow dtype of `lengths` can hold.
        step = jax.lax.broadcasted_iota(jnp.int32, shape, len(shape) - 1)
        return step < lengths[..., None].astype(jnp.int32)
    lengths = np.asarray(lengths)  # NumPy, since jnp would be traced inside a jit
    outside = lengths[(lengths < 0) | (lengths > steps)]
    if outside.size:
        raise error(
            where, f"`lengths` must be between 0 and T = {steps}, but there is {int(outside[0])}"
        )
    return np.arange(steps) < lengths[..., None]


def harmless(
    where: str, logits: Any, targets: Any, *, lengths: Any, mask: Any
) -> tuple[Any, Any, Any]:
    """Returns logits and targets with zeros in the pads, and the mask of the valid steps.

    Args:
      where: the function that the user called.
      logits: ``[*batch, T, V]``.
      targets: ``[*batch, T]``.
      lengths: as in :func:`valid_steps`.
      mask: as in :func:`valid_steps`.

    Returns:
      Logits, targets and mask.

    Raises:
      ValueError: if a shape is wrong, or a known target of a valid step is outside 0..V-1.
      TypeError: if a dtype is wrong.
    """
    if logits.ndim < 2 or logits.shape[-1] < 1:
        raise error(
            where,
            "`logits` must have shape (*batch, T, V) with V at least 1, "
            f"but they have shape {shape_text(logits.shape)}",
        )
    check_shape(where, "targets", targets, "(*batch, T)", logits.shape[:-1])
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise error(
            where, f"`logits` must be floating, but they have dtype {logits.dtype}", kind=TypeError
        )
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise error(
            where,
            f"`targets` must be integers, but they have dtype {targets.dtype}",
            hint="targets are symbol numbers, not one-hot vectors or probabilities",
            kind=TypeError,
        )
    valid = valid_steps(where, targets.shape, lengths=lengths, mask=mask)
    if known(targets, valid):
        _check_range(where, np.asarray(targets)[np.asarray(valid)], logits.shape[-1])
    logits, targets, valid = jnp.asarray(logits), jnp.asarray(targets), jnp.asarray(valid)
    return jnp.where(valid[..., None], logits, 0), jnp.where(valid, targets, 0), valid


def _check_range(where: str, targets: np.ndarray, vocabulary_size: int) -> None:
    """Raises unless all are symbols of the vocabulary."""
    outside = targets[(targets < 0) | (targets >= vocabulary_size)]
    if outside.size:
        raise error(
            where,
            f"`targets` must be between 0 and V - 1 = {vocabulary_size - 1}, "
            f"but there is {int(outside[0])}",
            hint="steps that are to be left out go into `lengths` or `mask`, not into the targets",
        )
