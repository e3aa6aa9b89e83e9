"""How often the clipping of gradients acted over a run, and how hard."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxseq._checks import error
from jaxseq._types import ArrayLike


class ClippingReport(NamedTuple):
    """What clipping did over a run.

    Attributes:
      steps: how many there were.
      clipped: the share of them in which it acted, in 0..1.
      quantiles: of the norm before clipping: the least, the quartiles, the greatest, ``[5]``.
      kept: the mean share of the norm that was left where it acted; 1 where it never did.
      skipped: how many steps had a norm that is not finite; they are in ``steps`` alone.
      longest: the longest run of steps in a row in which it acted.

    Example:
      >>> ClippingReport._fields
      ('steps', 'clipped', 'quantiles', 'kept', 'skipped', 'longest')
    """

    steps: int
    clipped: float
    quantiles: Float[np.ndarray, "5"]
    kept: float
    skipped: int
    longest: int

    def __str__(self) -> str:
        """Says it in one line."""
        least, lower, median, upper, most = self.quantiles
        return (
            f"clipped in {self.clipped:.1%} of {self.steps} steps, to {self.kept:.1%} of the norm "
            f"on the average, at most {self.longest} times in a row; norms from {least:.3g} to "
            f"{most:.3g}, median {median:.3g}, quartiles {lower:.3g} and {upper:.3g}; "
            f"{self.skipped} not finite"
        )


def clipping_report(
    norms: ArrayLike | Sequence[float], clipped_norms: ArrayLike | Sequence[float]
) -> ClippingReport:
    """Returns how often clipping acted over a run, and how hard.

    Args:
      norms: the gradient's global norm before clipping, step by step: of a history of
        :func:`jaxseq.training.fit`, ``[step.norm for step in history.steps]``.
      clipped_norms: the one after: ``[step.clipped_norm for step in history.steps]``.

    Returns:
      A :class:`ClippingReport`; printed, it is a line of words.

    Raises:
      ValueError: if there are no steps, or not one norm after for each before.

    Example:
      >>> print(clipping_report([0.5, 2.0, 4.0, 0.8], [0.5, 1.0, 1.0, 0.8]))
      clipped in 50.0% of 4 steps, to 37.5% of the norm on the average, at most 2 times in a row;\
 norms from 0.5 to 4, median 1.4, quartiles 0.725 and 2.5; 0 not finite

    References:
      Pascanu, Mikolov and Bengio, "On the Difficulty of Training Recurrent Neural Networks", 2013.
    """
    where = "clipping_report"
    before, after = (np.asarray(each, np.float64) for each in (norms, clipped_norms))
    if before.ndim != 1 or before.shape != after.shape:
        raise error(
            where,
            "`norms` and `clipped_norms` must have one number for each step, "
            f"but they have shapes {before.shape} and {after.shape}",
        )
    if not before.size:
        raise error(where, "there are no steps", hint="look at a run after it has begun")
    finite = np.isfinite(before) & np.isfinite(after)
    # What rounding leaves between two equal norms is no clipping.
    acted = finite & (after < before * (1 - 1e-6))
    shares = after[acted] / before[acted]
    seen = before[finite] if finite.any() else np.full(1, np.nan)
    return ClippingReport(
        steps=before.size,
        clipped=float(acted.mean()),
        quantiles=np.quantile(seen, [0, 0.25, 0.5, 0.75, 1]),
        kept=float(shares.mean()) if shares.size else 1.0,
        skipped=int((~finite).sum()),
        longest=_longest(acted),
    )


def _longest(acted: np.ndarray) -> int:
    """Returns how many true values there are in a row at most."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], acted.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
