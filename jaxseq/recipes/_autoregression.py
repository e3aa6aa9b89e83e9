"""An autoregression with an intercept, fitted by least squares: AR(p)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64


class Autoregression(NamedTuple):
    """A linear model of a value by those before it.

    Attributes:
      intercept: a number.
      weights: ``[P]``: of the value before, the one before that, and so on.

    Example:
      >>> Autoregression(1.0, np.array([0.5])).weights.tolist()
      [0.5]
    """

    intercept: float
    weights: Float64[np.ndarray, " P"]


def fit(
    values: Float64[np.ndarray, " T"], order: int, *, train: Bool[np.ndarray, " T"] | None = None
) -> Autoregression | None:
    r"""Returns the autoregression with the least squared errors, one step ahead.

    .. math:: x_t = c + \sum_{k=1}^{p} a_k x_{t-k} + \varepsilon_t

    Args:
      values: a series; steps with a value that is not there (NaN), or after one, are left out.
      order: p.
      train: which steps are to be fitted; all by default.

    Returns:
      The model; None if fewer than twice as many steps as it has numbers can be fitted.

    Example:
      >>> import numpy as np
      >>> model = fit(np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]), 1)
      >>> round(model.intercept, 6) + 0.0, model.weights.round(6).tolist()
      (0.0, [2.0])

    References:
      Box, Jenkins and Reinsel, "Time Series Analysis: Forecasting and Control", 3rd ed., 1994.
    """
    before = _before(values, order)
    kept = np.isfinite(values) & np.isfinite(before).all(1)
    kept &= True if train is None else train
    if kept.sum() < 2 * (order + 1):
        return None
    columns = np.column_stack([np.ones(kept.sum()), before[kept]])
    found = np.linalg.lstsq(columns, values[kept], rcond=None)[0]
    return Autoregression(float(found[0]), found[1:])


def forecast(
    model: Autoregression, values: Float64[np.ndarray, " T"], horizon: int
) -> Float64[np.ndarray, "T H"]:
    """Returns the forecasts after each step, each read as the next value to reach the one after.

    ``ys[t, h]`` is of the value at step ``t + 1 + h``; NaN where too few values are known.

    Args:
      model: from :func:`fit`.
      values: a series.
      horizon: how many steps ahead.

    Example:
      >>> import numpy as np
      >>> forecast(Autoregression(1.0, np.array([2.0])), np.array([1.0, 5.0]), 2).tolist()
      [[3.0, 7.0], [11.0, 23.0]]
    """
    order = len(model.weights)
    known = np.column_stack([values, _before(values, order - 1)]) if order > 1 else values[:, None]
    found = []
    for _ in range(horizon):
        found.append(model.intercept + known @ model.weights)
        known = np.column_stack([found[-1], known[:, :-1]])
    return np.column_stack(found)


def _before(values: Float64[np.ndarray, " T"], order: int) -> Float64[np.ndarray, "T P"]:
    """Returns the values 1, …, p steps before each; NaN before the first."""
    padded = np.concatenate([np.full(order, np.nan), values])
    places = np.arange(len(values))[:, None] + order - 1 - np.arange(order)
    return padded[places]
