"""Precision, recall and F1 of each class, from a confusion matrix."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float, Real

from jaxseq._arrays import accumulator
from jaxseq._checks import error, shape_text
from jaxseq._types import Array, ArrayLike
from jaxseq.losses._sum_count import SumCount, mean


class PRF(NamedTuple):
    """How well each class was found.

    Attributes:
      precision: the share of the steps taken for the class that are of it.
      recall: the share of the steps of the class that were taken for it.
      f1: the harmonic mean of the two.
      support: how many steps are of the class.

    Example:
      >>> from jaxseq.losses import PRF
      >>> PRF._fields
      ('precision', 'recall', 'f1', 'support')
    """

    precision: Float[Array, " K"]
    recall: Float[Array, " K"]
    f1: Float[Array, " K"]
    support: Real[Array, " K"]


def precision_recall_f1(confusion: Real[ArrayLike, "K K"]) -> PRF:
    r"""Returns precision, recall and F1 of each class; 0/0 is 0.

    .. math::
       P_k = \frac{n_{kk}}{\sum_j n_{jk}} \qquad R_k = \frac{n_{kk}}{\sum_j n_{kj}} \qquad
       F_k = \frac{2 P_k R_k}{P_k + R_k} = \frac{2 n_{kk}}{\sum_j n_{jk} + \sum_j n_{kj}}

    For a task of two classes, take those of the class that is looked for: the F1 of spaces between
    characters is ``f1[1]`` where 1 stands for a space. Over all classes together precision, recall
    and F1 are one number, the accuracy, ``confusion.trace() / confusion.sum()``.

    Args:
      confusion: counts, rows the targets, from :func:`confusion_matrix`.

    Returns:
      What was found of each class.

    Raises:
      ValueError: if ``confusion`` is not square.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import precision_recall_f1
      >>> found = precision_recall_f1(jnp.array([[2, 2, 0], [0, 2, 0], [0, 0, 0]]))
      >>> found.precision.tolist(), found.recall.tolist(), found.support.tolist()
      ([1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [4, 2, 0])

    References:
      van Rijsbergen, Information Retrieval, 2nd edition, 1979.
    """
    return _by_class(_counts("precision_recall_f1", confusion))


def macro_f1(confusion: Real[ArrayLike, "K K"]) -> Float[Array, ""]:
    """Returns the mean F1 of the classes that occur, among the targets or the predictions.

    Every class weighs the same, however rare. One that occurs nowhere is left out, so that the
    number does not depend on classes that the data have not; of no class at all the mean is 0.

    Args:
      confusion: counts, rows the targets, from :func:`confusion_matrix`.

    Returns:
      The mean, a scalar.

    Raises:
      ValueError: if ``confusion`` is not square.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import macro_f1
      >>> round(float(macro_f1(jnp.array([[2, 2, 0], [0, 2, 0], [0, 0, 0]]))), 4)
      0.6667
    """
    counts = _counts("macro_f1", confusion)
    f1 = _by_class(counts).f1
    occurs = (counts.sum(0) > 0) | (counts.sum(1) > 0)
    return mean(SumCount(f1.sum(), occurs.sum(dtype=f1.dtype)))


def _counts(where: str, confusion: Real[ArrayLike, "K K"]) -> Real[Array, "K K"]:
    """Returns the counts, in a dtype that their sums can run in."""
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise error(
            where,
            f"`confusion` must have shape (K, K), but it has shape {shape_text(confusion.shape)}",
            hint="confusion_matrix makes one of predictions and targets",
        )
    counts = jnp.asarray(confusion)
    floating = jnp.issubdtype(counts.dtype, jnp.floating)
    return counts.astype(accumulator(counts.dtype)) if floating else counts


def _by_class(counts: Real[Array, "K K"]) -> PRF:
    hits, found, support = jnp.diagonal(counts), counts.sum(0), counts.sum(1)
    floating = jnp.issubdtype(counts.dtype, jnp.floating)
    dtype = counts.dtype if floating else jnp.result_type(float)
    hit, right = hits.astype(dtype), support.astype(dtype)
    taken = found.astype(dtype)
    return PRF(_ratio(hit, taken), _ratio(hit, right), _ratio(2 * hit, taken + right), support)


def _ratio(part: Float[Array, " K"], whole: Float[Array, " K"]) -> Float[Array, " K"]:
    return part / jnp.where(whole == 0, 1, whole)  # the part of nothing is 0
