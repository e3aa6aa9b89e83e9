"""Which of several translations is the most like all of them. NumPy only."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

ORDER = 6
"""N-grams of 1 to so many characters are compared."""
BETA = 2.0
"""So many times as much as precision counts recall."""


def expected(texts: Sequence[str], weights: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " K"]:
    r"""Returns how like what is right each of several translations can be expected to be.

    .. math:: u_i = \sum_j p_j \, F(y_i, y_j)

    with :math:`p` the weights, divided by their sum, as the probabilities that :math:`y_j` is what
    is right, and F from :func:`likeness`. The translation with the greatest is that of the minimum
    Bayes risk: not the likeliest, but the one that is the least wrong whichever is right.

    Args:
      texts: K translations of one source.
      weights: of each, not negative, and not all of them 0.

    Example:
      >>> expected(["off", "turn on", "turn it on"], np.array([0.4, 0.3, 0.3])).round(2)
      array([0.43, 0.44, 0.45])

    References:
      Kumar and Byrne, "Minimum Bayes-Risk Decoding for Statistical Machine Translation", 2004.
      Eikema and Aziz, "Is MAP Decoding All You Need? The Inadequacy of the Mode in Neural Machine
      Translation", 2020.
    """
    return likeness(texts) @ (weights / weights.sum())


def likeness(texts: Sequence[str]) -> Float64[np.ndarray, "K K"]:
    r"""Returns chrF, from 0 to 1, of each of several texts (rows) where each (columns) is right.

    .. math:: F(y, r) = \frac{(1 + \beta^2) P R}{\beta^2 P + R}

    with :math:`P` the mean share of the n-grams of y that r has too, and :math:`R` that of those of
    r that y has, over the orders of 1 to 6 characters in which both have any. White space does not
    count.

    Args:
      texts: K of them.

    Example:
      >>> likeness(["on", "on", "off"]).round(2)
      array([[1.  , 1.  , 0.18],
             [1.  , 1.  , 0.18],
             [0.23, 0.23, 1.  ]])

    References:
      Popović, "chrF: character n-gram F-score for automatic MT evaluation", 2015.
    """
    bare = ["".join(text.split()) for text in texts]
    precision, orders = np.zeros((2, len(bare), len(bare)))
    for order in range(1, ORDER + 1):
        counts = _counts(bare, order)
        sizes = counts.sum(1)
        both = (sizes[:, None] > 0) & (sizes > 0)
        shared = np.minimum(counts[:, None], counts).sum(-1)
        precision += both * shared / np.maximum(sizes, 1)[:, None]
        orders += both
    precision /= np.maximum(orders, 1)
    recall = precision.T
    below = BETA**2 * precision + recall
    return (1 + BETA**2) * precision * recall / np.where(below > 0, below, 1)


def _counts(texts: Sequence[str], order: int) -> Int64[np.ndarray, "K N"]:
    """Returns how often each text has each n-gram of an order that there is in any of them."""
    found = [Counter(t[i : i + order] for i in range(len(t) - order + 1)) for t in texts]
    grams: dict[str, int] = {}
    for count in found:
        for gram in count:
            grams.setdefault(gram, len(grams))
    counts = np.zeros((len(texts), len(grams)), np.int64)
    for row, count in zip(counts, found, strict=True):
        row[[grams[gram] for gram in count]] = list(count.values())
    return counts
