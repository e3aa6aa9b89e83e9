"""What a classifier of texts has to beat: naive Bayes on character n-grams. NumPy only."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from jaxseq._checks import InputError, error

WHERE = "naive_bayes"
BEGIN, END = "\2", "\3"
"""Marks around a text: the control characters of that name, which no text has."""


class NaiveBayes(NamedTuple):
    """A classifier of texts.

    Attributes:
      labels: K of them, sorted.
      grams: the number of each n-gram of training, V of them.
      log_prior: ``[K]``, how frequent each label is.
      log_probs: ``[V + 1, K]``, how frequent each n-gram is under a label; the last row is of one
        that training does not have.
      order: how many characters an n-gram has at most.

    Example:
      >>> model = fit(["ab", "ba"], ["x", "y"], order=1)
      >>> model.labels, model.log_probs.shape  # a, b, and the two marks
      (('x', 'y'), (5, 2))
    """

    labels: tuple[str, ...]
    grams: Mapping[str, int]
    log_prior: Float64[np.ndarray, " K"]
    log_probs: Float64[np.ndarray, "V1 K"]
    order: int


def fit(
    texts: Sequence[str], labels: Sequence[str], *, order: int = 3, alpha: float = 0.1
) -> NaiveBayes:
    r"""Counts the n-grams of each label, multinomially and with additive smoothing.

    .. math:: p(g \mid k) = \frac{c(g, k) + \alpha}{\sum_{g'} c(g', k) + \alpha V}

    N-grams are those of 1 to ``order`` characters of the text in small letters, with a mark before
    it and another after it; all lengths together are one distribution. V counts those of training;
    any other has the probability of one with a count of 0. Labels have their relative frequencies.

    As it stands, 70.57 % of the test part of ``names`` and 98.64 % of that of ``udhr`` are right.

    Args:
      texts: what to learn from.
      labels: one for each.
      order: how many characters an n-gram has at most.
      alpha: how much is added to each count, more than 0.

    Returns:
      The model.

    Raises:
      InputError: if there is no text, or not one label for each.
      ValueError: if ``order`` or ``alpha`` is out of range.

    Example:
      >>> predict(fit(["anna", "hanna", "otto"], ["f", "f", "m"]), ["Johanna", "lotto"])
      ['f', 'm']

    References:
      McCallum and Nigam, "A Comparison of Event Models for Naive Bayes Text Classification", 1998.
    """
    _check(texts, labels, order, alpha)
    names = tuple(sorted(set(labels)))
    classes = np.array([names.index(label) for label in labels])
    grams: dict[str, int] = {}
    rows = [[grams.setdefault(g, len(grams)) for g in grams_of(text, order)] for text in texts]
    cells = np.concatenate(rows) * len(names) + np.repeat(classes, [len(row) for row in rows])
    counts = np.bincount(cells, minlength=(len(grams) + 1) * len(names)).reshape(-1, len(names))
    log_total = np.log(counts.sum(0) + alpha * len(grams))
    log_prior = np.log(np.bincount(classes) / len(classes))
    return NaiveBayes(names, grams, log_prior, np.log(counts + alpha) - log_total[None], order)


def scores(model: NaiveBayes, texts: Sequence[str]) -> Float64[np.ndarray, "N K"]:
    """Returns the joint log-probability of each text and each label.

    Args:
      model: what :func:`fit` returns.
      texts: N of them.

    Returns:
      In nats; less its ``logsumexp`` over labels, it is the log-probability of a label.

    Example:
      >>> model = fit(["a", "b"], ["x", "y"], order=1)
      >>> scores(model, ["", "a"]).round(2).tolist()
      [[-2.95, -2.95], [-4.08, -6.48]]
    """
    unseen = len(model.grams)
    found = np.empty((len(texts), len(model.labels)))
    for row, text in zip(found, texts, strict=True):
        ids = [model.grams.get(gram, unseen) for gram in grams_of(text, model.order)]
        row[:] = model.log_prior + model.log_probs[ids].sum(0)
    return found


def predict(model: NaiveBayes, texts: Sequence[str]) -> list[str]:
    """Returns the likeliest label of each text.

    Args:
      model: what :func:`fit` returns.
      texts: what to classify; an empty one is possible.

    Returns:
      A label for each; of equally likely ones the first.

    Example:
      >>> predict(fit(["ab", "ba"], ["x", "y"]), ["abc", "bac"])
      ['x', 'y']
    """
    return [model.labels[k] for k in scores(model, texts).argmax(1)]


def grams_of(text: str, order: int) -> list[str]:
    r"""Returns the n-grams of a text, in small letters and with its marks.

    Args:
      text: whatever text.
      order: how many characters an n-gram has at most.

    Returns:
      Those of one character first.

    Example:
      >>> grams_of("Ab", 2)
      ['\x02', 'a', 'b', '\x03', '\x02a', 'ab', 'b\x03']
    """
    marked = f"{BEGIN}{text.lower()}{END}"
    sizes = range(1, order + 1)
    return [marked[i : i + n] for n in sizes for i in range(len(marked) - n + 1)]


def _check(texts: Sequence[str], labels: Sequence[str], order: int, alpha: float) -> None:
    """Raises unless texts and settings can be used."""
    if len(texts) != len(labels) or not len(texts):
        raise error(
            WHERE,
            f"there must be texts, and one label for each, but there are {len(texts)} texts "
            f"and {len(labels)} labels",
            kind=InputError,
        )
    if order < 1:
        raise error(WHERE, f"`order` must be at least 1, but it is {order}")
    if not (alpha > 0 and np.isfinite(alpha)):
        raise error(WHERE, f"`alpha` must be a number of more than 0, but it is {alpha}")
