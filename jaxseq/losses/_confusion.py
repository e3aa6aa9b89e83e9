"""The confusion matrix: how often each class was taken for each."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int, Int32, Integer

from jaxseq._arrays import known
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array, ArrayLike
from jaxseq.losses._mask import valid_steps


def confusion_matrix(
    predictions: Integer[ArrayLike, "*batch T"],
    targets: Integer[ArrayLike, "*batch T"],
    *,
    num_classes: int,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> Int32[Array, "K K"]:
    """Returns how often each class was taken for each: rows are targets, columns predictions.

    What stands in a step that is not valid never matters, classes such as -1 included. The counts
    of several batches add up. :func:`precision_recall_f1` says what follows for each class.

    Args:
      predictions: the classes found, each in 0..K-1.
      targets: the right classes, each in 0..K-1.
      num_classes: K; static under jit.
      lengths: how many steps of each row are valid; under jit one outside 0..T counts as the
        nearer end.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The counts. Their sum is the number of valid steps, and their trace how many were right.

    Raises:
      ValueError: if the shapes do not agree, if ``num_classes`` is not positive, if both
        ``lengths`` and ``mask`` are given, or if a length or the class of a valid step is out of
        range. Under jit, where values cannot be seen, a step with a class out of range is not
        counted.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import confusion_matrix
      >>> predictions = jnp.array([[0, 1, 1], [1, 0, -1]])
      >>> targets = jnp.array([[0, 0, 1], [1, 0, -1]])
      >>> confusion_matrix(predictions, targets, num_classes=2, lengths=jnp.array([3, 2])).tolist()
      [[2, 1], [0, 2]]
    """
    where, given = "confusion_matrix", {"predictions": predictions, "targets": targets}
    _check_arrays(where, given, num_classes)
    valid = valid_steps(where, targets.shape, lengths=lengths, mask=mask)
    counted = jnp.asarray(valid)
    for name, classes in given.items():
        if known(classes, valid):
            _check_range(where, name, np.asarray(classes)[np.asarray(valid)], num_classes)
        # The dtype of the classes may be too narrow to hold K.
        last = min(num_classes - 1, jnp.iinfo(classes.dtype).max)
        counted = counted & jnp.asarray((classes >= 0) & (classes <= last))
    row, column = (
        jnp.where(counted, jnp.asarray(classes), 0).astype(jnp.int32)
        for classes in (targets, predictions)
    )
    counts = jnp.zeros((num_classes, num_classes), jnp.int32)
    return counts.at[row, column].add(counted.astype(jnp.int32))


def _check_arrays(where: str, given: dict[str, Any], num_classes: int) -> None:
    """Raises unless all are integers of one shape, and there are classes."""
    if num_classes < 1:
        raise error(where, f"`num_classes` must be at least 1, but it is {num_classes}")
    shape = given["predictions"].shape
    if not shape:
        raise error(
            where, f"`predictions` must have shape (*batch, T), but they have {shape_text(shape)}"
        )
    for name, classes in given.items():
        check_shape(where, name, classes, "(*batch, T)", shape)
        if not jnp.issubdtype(classes.dtype, jnp.integer):
            raise error(
                where,
                f"`{name}` must be integers, but they have dtype {classes.dtype}",
                hint="of logits take jnp.argmax(logits, -1)",
                kind=TypeError,
            )


def _check_range(where: str, name: str, classes: np.ndarray, num_classes: int) -> None:
    """Raises unless all are classes."""
    outside = classes[(classes < 0) | (classes >= num_classes)]
    if outside.size:
        raise error(
            where,
            f"`{name}` must be between 0 and num_classes - 1 = {num_classes - 1}, "
            f"but there is {int(outside[0])}",
            hint="steps that are to be left out go into `lengths` or `mask`, not into the classes",
        )
