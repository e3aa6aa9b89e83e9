"""Sequences of different lengths as one array and its lengths, and back."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32, Shaped

from jaxseq._checks import error


class Padded(NamedTuple):
    """A ragged batch.

    Attributes:
      values: ``[B, T, ...]``: the sequences, each followed by padding.
      lengths: int32 ``[B]``: how many steps of each row are real.

    Example:
      >>> import numpy as np
      >>> Padded(values=np.zeros((2, 3)), lengths=np.array([3, 1], np.int32)).lengths.tolist()
      [3, 1]
    """

    values: Shaped[np.ndarray, "B T *features"]
    lengths: Int32[np.ndarray, " B"]


def pad(sequences: Sequence[Any], *, length: int | None = None, value: Any = 0) -> Padded:
    """Puts sequences of different lengths in one array.

    Args:
      sequences: ``B`` arrays ``[length_b, ...]`` of one dtype, equal but for their first axis;
        a length may be 0.
      length: the number of steps of the result, ``T``; by default that of the longest sequence.
      value: what to pad with.

    Returns:
      The array, in the dtype of the sequences, and their lengths.

    Raises:
      TypeError: if the dtypes differ, or cannot hold ``value``.
      ValueError: if there are no sequences, one has no time axis, the axes after it differ, or one
        is longer than ``length``.

    Example:
      >>> import numpy as np
      >>> padded = pad([np.array([1, 2, 3]), np.array([4])])
      >>> padded.values.tolist(), padded.lengths.tolist()
      ([[1, 2, 3], [4, 0, 0]], [3, 1])
    """
    arrays = checked_arrays("pad", sequences)
    lengths = np.array([len(array) for array in arrays], np.int32)
    longest = int(lengths.max())
    steps = longest if length is None else length
    if steps < longest:
        place = int(lengths.argmax())
        hint = "give a larger `length`, or cut the sequence"
        problem = f"sequences[{place}] has {longest} steps, more than `length` = {steps}"
        raise error("pad", problem, hint=hint)
    first = arrays[0]
    values = np.full((len(arrays), steps, *first.shape[1:]), _filler(value, first.dtype))
    for row, array in zip(values, arrays, strict=True):
        row[: len(array)] = array
    return Padded(values, lengths)


def unpad(padded: Padded) -> list[np.ndarray]:
    """Takes the sequences out of a padded array.

    Args:
      padded: values ``[B, T, ...]`` and lengths ``[B]``.

    Returns:
      ``B`` arrays ``[length_b, ...]``; views, so nothing is copied.

    Raises:
      ValueError: if the lengths are not one a row, or one is below 0 or above ``T``.

    Example:
      >>> import numpy as np
      >>> [row.tolist() for row in unpad(pad([np.array([1, 2, 3]), np.array([4])]))]
      [[1, 2, 3], [4]]
    """
    values, lengths = np.asarray(padded.values), np.asarray(padded.lengths)
    if values.ndim < 2 or lengths.shape != values.shape[:1]:
        problem = "`padded` must have values (B, T, ...) and lengths (B,)"
        raise error("unpad", f"{problem}, but their shapes are {values.shape} and {lengths.shape}")
    bad = np.flatnonzero((lengths < 0) | (lengths > values.shape[1]))
    if bad.size:
        problem = f"`lengths` must lie in [0, {values.shape[1]}]"
        raise error("unpad", f"{problem}, but lengths[{bad[0]}] is {lengths[bad[0]]}")
    return [row[:length] for row, length in zip(values, lengths.tolist(), strict=True)]


def checked_arrays(where: str, sequences: Sequence[Any]) -> list[np.ndarray]:
    """The sequences as arrays, if they can stand in one array."""
    arrays = [np.asarray(sequence) for sequence in sequences]
    if not arrays:
        raise error(where, "`sequences` is empty", hint="give at least one sequence")
    first = arrays[0]
    for place, array in enumerate(arrays):
        if array.ndim < 1:
            problem = f"sequences[{place}] must have a time axis, but it has shape ()"
            raise error(where, problem)
        if array.dtype != first.dtype:
            hint = "convert them with astype; an empty list is float64"
            problem = f"sequences[{place}] is {array.dtype}, and sequences[0] is {first.dtype}"
            raise error(where, problem, hint=hint, kind=TypeError)
        if array.shape[1:] != first.shape[1:]:
            problem = f"sequences[{place}] has shape {array.shape}, and sequences[0] {first.shape}"
            raise error(where, problem, hint="only their first axis, time, may differ")
    return arrays


def _filler(value: Any, dtype: np.dtype) -> np.ndarray:
    """The value in a dtype that holds it, which casting alone would not check (0.5 becomes 0)."""
    try:
        filler = np.array(value, dtype)
        if filler.ndim == 0 and (dtype.kind not in "biu" or filler == value):
            return filler
    except (OverflowError, TypeError, ValueError) as cause:
        raise _unfit(value, dtype) from cause
    raise _unfit(value, dtype)


def _unfit(value: Any, dtype: np.dtype) -> Exception:
    return error("pad", f"`value` = {value!r} cannot be held in {dtype}", kind=TypeError)
