"""What may be given to the functions of this room, checked where users enter."""

import math
import operator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxseq._arrays import known
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array
from jaxseq.structured._arguments import check_counts, check_lengths


class Frames(NamedTuple):
    """Checked log-probabilities, the batch axes made one.

    Attributes:
      log_probs: ``[B, T, V]``, in the caller's dtype.
      lengths: ``[B]`` int32.
      blank: in 0..V-1.
      batch_shape: ``*batch``.
    """

    log_probs: Array
    lengths: Array
    blank: int
    batch_shape: tuple[int, ...]

    def rows(self, array: Array) -> Array:
        """Returns ``[B, ...]`` with the caller's batch axes."""
        return array.reshape(self.batch_shape + array.shape[1:])


class Labels(NamedTuple):
    """Checked labels, the batch axes made one.

    Attributes:
      labels: ``[B, N]`` int32; what is no label, or outside 0..V-1, is the blank.
      lengths: ``[B]`` int32.
      proper: ``[B]`` bool: no label that jit hid is the blank, or outside 0..V-1.
    """

    labels: Array
    lengths: Array
    proper: Array


def check_integer(where: str, name: str, value: Any) -> int:
    """Returns a Python integer, or raises."""
    try:
        return operator.index(value)
    except TypeError as cause:
        raise error(
            where, f"`{name}` must be an integer, but it is {value!r}", kind=TypeError
        ) from cause


def check_blank(where: str, blank: Any, size: int) -> int:
    """Returns the blank as a Python integer in 0..V-1, or raises."""
    blank = check_integer(where, "blank", blank)
    if not 0 <= blank < size:
        raise error(where, f"`blank` must be between 0 and V - 1 = {size - 1}, but it is {blank}")
    return blank


def check_frames(where: str, log_probs: Any, lengths: Any, blank: Any) -> Frames:
    """Returns what every function of this room reads, or raises."""
    log_probs = jnp.asarray(log_probs)
    if not jnp.issubdtype(log_probs.dtype, jnp.floating):
        raise error(
            where,
            f"`log_probs` must be floating, but they have dtype {log_probs.dtype}",
            kind=TypeError,
        )
    if log_probs.ndim < 2 or log_probs.shape[-1] < 1:
        raise error(
            where,
            "`log_probs` must have shape (*batch, T, V) with V at least 1, "
            f"but they have shape {shape_text(log_probs.shape)}",
        )
    *batch_shape, steps, size = log_probs.shape
    batch_shape = tuple(batch_shape)
    rows = math.prod(batch_shape)
    lengths = check_lengths(where, lengths, batch_shape, steps).reshape(rows)
    blank = check_blank(where, blank, size)
    return Frames(log_probs.reshape(rows, steps, size), lengths, blank, batch_shape)


def check_labels(where: str, frames: Frames, labels: Any, label_lengths: Any) -> Labels:
    """Returns the labels of each row, or raises.

    Of labels that jit hides it says which rows are not proper.
    """
    batch_shape, size, blank = frames.batch_shape, frames.log_probs.shape[-1], frames.blank
    if labels.ndim < 1 or labels.shape[:-1] != batch_shape:
        raise error(
            where,
            f"`labels` must have shape (*batch, N) with *batch = {shape_text(batch_shape)}, "
            f"but they have shape {shape_text(labels.shape)}",
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise error(
            where, f"`labels` must be integers, but they have dtype {labels.dtype}", kind=TypeError
        )
    most = labels.shape[-1]
    if label_lengths is None:
        counts = np.full(batch_shape, most, np.int32)
    else:
        check_shape(where, "label_lengths", label_lengths, "(*batch,)", batch_shape)
        counts = check_counts(where, "label_lengths", label_lengths, f"N = {most}", most)
    if known(labels) and known(counts):
        present = np.arange(most) < np.asarray(counts)[..., None]
        _check_range(where, np.asarray(labels)[present], size, blank)
    rows = math.prod(batch_shape)
    counts = jnp.asarray(counts).reshape(rows)
    labels = jnp.asarray(labels).astype(jnp.int32).reshape(rows, most)
    present = jnp.arange(most, dtype=jnp.int32)[None] < counts[:, None]
    proper = (labels >= 0) & (labels < size) & (labels != blank)
    labels = jnp.where(present & proper, labels, blank)
    return Labels(labels, counts, jnp.all(proper | ~present, axis=-1))


def _check_range(where: str, labels: np.ndarray, size: int, blank: int) -> None:
    """Raises unless all are symbols of the vocabulary, and none is the blank."""
    outside = labels[(labels < 0) | (labels >= size)]
    if outside.size:
        raise error(
            where,
            f"`labels` must be between 0 and V - 1 = {size - 1}, but there is {int(outside[0])}",
            hint="labels that are only there to fill a row are left out by `label_lengths`",
        )
    if (labels == blank).any():
        raise error(
            where,
            f"`labels` must not be the blank, {blank}, but there is one",
            hint="labels that are only there to fill a row are left out by `label_lengths`; "
            "another index for the blank is given as `blank`",
        )
