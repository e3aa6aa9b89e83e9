"""What a forecaster stands beside: the last value, the value a season ago, the drift so far.

As everywhere, ``ys[t, h]`` is the forecast, made after reading step ``t``, of the value at step
``t + 1 + h``; it is NaN where a value that it needs is not there.
"""

import numpy as np
from jaxtyping import Float64


def persistence(values: Float64[np.ndarray, " T"], horizon: int) -> Float64[np.ndarray, "T H"]:
    """Returns the last value: the forecast of a random walk.

    Example:
      >>> import numpy as np
      >>> persistence(np.array([1.0, 4.0]), 2).tolist()
      [[1.0, 1.0], [4.0, 4.0]]
    """
    return np.repeat(values[:, None], horizon, axis=1)


def seasonal_naive(
    values: Float64[np.ndarray, " T"], horizon: int, season: int
) -> Float64[np.ndarray, "T H"]:
    """Returns the latest value that is known of the same place in the season.

    Example:
      >>> import numpy as np
      >>> seasonal_naive(np.array([1.0, 2.0, 3.0]), 3, 2)[2].tolist()
      [2.0, 3.0, 2.0]
    """
    ahead = 1 + np.arange(horizon)
    back = season * -(-ahead // season)
    places = np.arange(len(values))[:, None] + ahead - back
    return np.where(places >= 0, values[np.maximum(places, 0)], np.nan)


def drift(values: Float64[np.ndarray, " T"], horizon: int) -> Float64[np.ndarray, "T H"]:
    """Returns the line through the first and the last value.

    Example:
      >>> import numpy as np
      >>> drift(np.array([1.0, 2.0, 5.0]), 2)[2].tolist()
      [7.0, 9.0]
    """
    known = np.flatnonzero(~np.isnan(values))
    first = known[0] if known.size else 0
    steps = (np.arange(len(values)) - first).astype(float)
    slope = np.divide(
        values - values[first], steps, out=np.full(len(values), np.nan), where=steps > 0
    )
    return values[:, None] + slope[:, None] * (1 + np.arange(horizon))
