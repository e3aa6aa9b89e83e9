"""Forecasts of numbers beside what came: their shapes, which of them count, and harmless pads."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseq._arrays import accumulator, known
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array
from jaxseq.losses._mask import valid_steps
from jaxseq.losses._sum_count import SumCount


def checked(
    where: str,
    targets: Any,
    forecasts: dict[str, Any],
    *,
    lengths: Any,
    mask: Any,
    positive: tuple[str, ...] = (),
    axis: str | None = None,
) -> tuple[Any, ...]:
    """Returns targets, mask and forecasts with harmless numbers where the mask is false.

    Args:
      where: the function that the user called.
      targets: ``[*batch, T]``.
      forecasts: by name, each ``[*batch, T]``, or with ``axis`` ``[*batch, T, axis]``.
      lengths: as in :func:`jaxseq.losses._mask.valid_steps`.
      mask: the same.
      positive: the names of those that must be above 0.
      axis: what the last axis of the forecasts counts; None if they have none.

    Returns:
      Targets, mask and forecasts, in float32 or better; 0 in the pads, 1 where positive.

    Raises:
      ValueError: if a shape is wrong, or what must be positive is not, where it can be seen.
      TypeError: if a dtype is wrong.
    """
    shape = tuple(targets.shape)
    if not shape:
        raise error(where, "`targets` must have shape (*batch, T), but it has shape ()")
    for name, array in {"targets": targets, **forecasts}.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            problem = f"`{name}` must be floating, but they have dtype {array.dtype}"
            raise error(where, problem, kind=TypeError)
    _check_shapes(where, shape, forecasts, axis)
    valid = valid_steps(where, shape, lengths=lengths, mask=mask)
    for name in positive:
        _check_positive(where, name, forecasts[name], valid)
    valid, targets = jnp.asarray(valid), jnp.asarray(targets)
    arrays = {name: jnp.asarray(array) for name, array in forecasts.items()}
    widths = (accumulator(array.dtype) for array in (targets, *arrays.values()))
    wide = max(widths, key=lambda dtype: dtype.itemsize)
    kept = [jnp.where(valid, targets.astype(wide), 0), valid]
    for name, array in arrays.items():
        inside = valid if axis is None else valid[..., None]
        kept.append(jnp.where(inside, array.astype(wide), 1 if name in positive else 0))
    return tuple(kept)


def summed(terms: Array, valid: Array) -> SumCount:
    """Returns the sum of the terms that count, and their number."""
    return SumCount(jnp.where(valid, terms, 0).sum(), valid.sum(dtype=terms.dtype))


def checked_levels(where: str, levels: Any, count: int | None = None) -> Array:
    """Returns the levels of quantiles, ``[Q]``, or raises.

    Raises:
      ValueError: if they are not one axis of numbers between 0 and 1 that grow, as far as that can
        be seen, or there are not so many.
    """
    array = jnp.asarray(levels)
    if array.ndim != 1 or not array.size or count not in (None, array.size):
        wanted = "Q" if count is None else count
        problem = f"`levels` must have shape ({wanted},), but they have shape "
        raise error(where, problem + shape_text(array.shape))
    if known(levels):
        seen = np.asarray(levels, np.float64)
        if not ((seen > 0) & (seen < 1)).all() or (np.diff(seen) <= 0).any():
            problem = "`levels` must lie between 0 and 1, and grow"
            raise error(where, f"{problem}, but they are {seen.tolist()}")
    return array


def _check_shapes(
    where: str, shape: tuple[int, ...], forecasts: dict[str, Any], axis: str | None
) -> None:
    if axis is None:
        for name, array in forecasts.items():
            check_shape(where, name, array, "(*batch, T)", shape)
        return
    size = next(iter(forecasts.values())).shape[-1:]
    for name, array in forecasts.items():
        if array.ndim < 1 or not array.shape[-1]:
            problem = f"`{name}` must have shape (*batch, T, {axis}) with {axis} at least 1"
            raise error(where, f"{problem}, but it has shape {shape_text(array.shape)}")
        check_shape(where, name, array, f"(*batch, T, {axis})", shape + size)


def _check_positive(where: str, name: str, array: Any, valid: Any) -> None:
    if known(array, valid):
        values = np.asarray(array)
        outside = values[np.asarray(valid)] if values.size else values
        outside = outside[~(outside > 0)]
        if outside.size and not np.isnan(outside).all():
            lowest = float(np.nanmin(outside.astype(np.float64)))
            raise error(where, f"`{name}` must be above 0, but there is {lowest:g}")
