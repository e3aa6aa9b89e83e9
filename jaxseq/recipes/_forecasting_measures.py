"""How good forecasts are, horizon by horizon, and whether they are better than others."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64, Int

from jaxseq import losses
from jaxseq._types import Array
from jaxseq.recipes import _autoregression, _naive_forecasts
from jaxseq.recipes._forecasting_config import Config
from jaxseq.recipes._forecasting_data import Dataset, Spans
from jaxseq.recipes._forecasting_model import LEVELS, Forecasts

RANDOM_WALK = "persistence (random walk)"
LEAST_RESIDUALS = 20
"""Fewer errors in training make no quantiles."""
SURE = 2.0
"""A difference of so many standard errors is more than chance."""


class Outcome(NamedTuple):
    """Forecasts beside what came: those of one column, of all series, a row a target.

    Attributes:
      value: ``[M, H]``: of each target the forecasts 1, …, H steps ahead; NaN where there is none.
      quantiles: ``[M, H, Q]``.
      targets: ``[M]``; NaN where there is none.
      unit: ``[M]``, of the scaled errors.
      variance: ``[M]``, of the series.
      times: ``[M]``, the number of each target's time: equal ones came together.

    Example:
      >>> Outcome._fields[:3]
      ('value', 'quantiles', 'targets')
    """

    value: Float64[np.ndarray, "M H"]
    quantiles: Float64[np.ndarray, "M H Q"]
    targets: Float64[np.ndarray, " M"]
    unit: Float64[np.ndarray, " M"]
    variance: Float64[np.ndarray, " M"]
    times: Int[np.ndarray, " M"]


def align(
    forecasts: Float64[np.ndarray, "O H *rest"], first: int, span: tuple[int, int]
) -> Float64[np.ndarray, "M H *rest"]:
    """Returns forecasts by their targets: of step s, h + 1 steps ahead, that after step s - 1 - h.

    Args:
      forecasts: after steps ``first``, ``first + 1``, …
      first: the step after which the first was made.
      span: the first target, and the one after the last.

    Returns:
      For each target the forecasts of it; NaN where there is none.

    Example:
      >>> import numpy as np
      >>> align(np.array([[1.0, 2.0], [3.0, 4.0]]), 0, (1, 4)).tolist()
      [[1.0, nan], [3.0, 2.0], [nan, 4.0]]
    """
    ahead = np.arange(forecasts.shape[1])
    places = np.arange(*span)[:, None] - 1 - ahead - first
    there = (places >= 0) & (places < len(forecasts))
    found = forecasts[np.clip(places, 0, max(len(forecasts) - 1, 0)), ahead]
    return np.where(there.reshape(*there.shape, *[1] * (found.ndim - 2)), found, np.nan)


def outcome_of(
    dataset: Dataset,
    units: list[tuple[Any, Any]],
    part: str,
    column: int,
    forecast: Callable[[int], tuple[np.ndarray, np.ndarray, int]],
) -> Outcome:
    """Returns the outcome of forecasts of a part of all series that have it.

    Args:
      dataset: the series.
      units: of each series, the units and the variances of its columns.
      part: which one.
      column: which of the values.
      forecast: of the number of a series, the forecasts ``[O, H]``, their quantiles
        ``[O, H, Q]``, and the step after which the first was made.
    """
    rows: list[list[Any]] = []
    for number, (series, spans) in enumerate(zip(dataset.series, dataset.spans, strict=True)):
        if part not in spans:
            continue
        value, quantiles, first = forecast(number)
        span = spans[part]
        targets = series.values[slice(*span), column]
        sizes = [np.full(len(targets), unit[column]) for unit in units[number]]
        # Series may begin at different steps: it is the time that tells which came together.
        times = series.times[slice(*span)]
        times = np.arange(*span) if times.dtype.kind == "f" else times.astype(np.int64)
        rows.append([*(align(a, first, span) for a in (value, quantiles)), targets, *sizes, times])
    return Outcome(*(np.concatenate(parts) for parts in zip(*rows, strict=True)))


def measures(outcome: Outcome) -> dict[str, list[float | None]]:
    """Returns what a report says of forecasts: a number for each horizon, None for no number."""
    count = len(outcome.targets)
    size = 1 << max(count - 1, 0).bit_length()  # so that few shapes are compiled
    targets = outcome.targets[:, None]
    errors, spread = outcome.value - targets, outcome.quantiles - targets[..., None]
    kept = np.isfinite(errors)
    arrays = [errors, spread, kept, outcome.unit, outcome.variance]
    padded = [np.pad(a, [(0, size - count)] + [(0, 0)] * (a.ndim - 1)) for a in arrays]
    found = _measured(*(a if a.dtype == bool else a.astype(np.float32) for a in padded))
    rows = {name: np.asarray(values, np.float64) for name, values in found.items()}
    known = np.asarray(kept.any(0))
    return {
        name: [float(v) if k and np.isfinite(v) else None for v, k in zip(row, known, strict=True)]
        for name, row in rows.items()
    }


@jax.jit
def _measured(
    errors: Float[Array, "M H"],
    spread: Float[Array, "M H Q"],
    kept: Any,
    unit: Float[Array, " M"],
    variance: Float[Array, " M"],
) -> dict[str, Array]:
    mean, levels = losses.mean, jnp.asarray(LEVELS, errors.dtype)
    places = {80: (3, -4), 95: (0, -1)}
    scale, deviation = jnp.where(unit > 0, unit, 1), jnp.sqrt(jnp.where(variance > 0, variance, 1))

    def one(error: Array, quantiles: Array, mask: Array) -> dict[str, Array]:
        none, told = jnp.zeros_like(error), {"mask": mask}
        crps = losses.crps_quantiles(quantiles, none, levels, **told)
        scaled = losses.crps_quantiles(quantiles / scale[:, None], none, levels, **told)
        page = {
            "mase": mean(losses.scaled_error(error, none, unit, **told)),
            "rmse": losses.root_mean_square(losses.squared_error(error, none, **told)),
            "arv": mean(losses.relative_variance(error / deviation, none, 1.0, **told)),
            "crps": mean(crps),
            "scaled_crps": mean(scaled),
        }
        for share, (low, high) in places.items():
            inside = losses.coverage(quantiles[:, low], quantiles[:, high], none, **told)
            page[f"coverage_{share}"] = mean(inside)
        return page

    return jax.vmap(one, in_axes=1, out_axes=0)(errors, spread, kept)


class Beaten(NamedTuple):
    """Whether forecasts have smaller absolute errors than others, at each horizon.

    Attributes:
      difference: of the scaled errors, theirs less ours, on average.
      standard_error: of that difference.
      beaten: whether it is more than two of its standard errors.

    Example:
      >>> Beaten([0.2], [0.05], [True]).beaten
      [True]
    """

    difference: list[float]
    standard_error: list[float]
    beaten: list[bool]


def compare(ours: Outcome, theirs: Outcome) -> Beaten:
    """Returns whether our forecasts are better than theirs, by more than chance.

    The difference of the scaled absolute errors is averaged over the series at each time; that of
    forecasts h steps ahead is correlated over h - 1 steps, which its standard error allows for.

    References:
      Diebold and Mariano, "Comparing Predictive Accuracy", Journal of Business and Economic
      Statistics 13(3), 1995; Newey and West, "A Simple, Positive Semi-Definite, Heteroskedasticity
      and Autocorrelation Consistent Covariance Matrix", Econometrica 55(3), 1987.
    """
    unit = np.where(ours.unit > 0, ours.unit, 1)
    better = [abs(one.value - ours.targets[:, None]) / unit[:, None] for one in (theirs, ours)]
    found = Beaten([], [], [])
    for h, gains in enumerate((better[0] - better[1]).T):
        there = np.isfinite(gains)
        times, place = np.unique(ours.times[there], return_inverse=True)
        counts = np.maximum(np.bincount(place, minlength=len(times)), 1)
        series = np.bincount(place, weights=gains[there], minlength=len(times)) / counts
        mean = float(series.mean()) if len(series) else 0.0
        deviation = _standard_error(series, h)
        found.difference.append(mean)
        found.standard_error.append(deviation)
        found.beaten.append(mean > SURE * deviation)
    return found


def _standard_error(series: Float64[np.ndarray, " T"], lags: int) -> float:
    """Returns the standard error of the mean of a series that is correlated over some lags."""
    count = len(series)
    if count < 2:
        return float("inf")
    away = series - series.mean()
    variance = away @ away
    for lag in range(1, min(lags, count - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (away[lag:] @ away[:-lag])
    return float(np.sqrt(max(variance, 0.0)) / count)


def baselines(
    config: Config, values: Float64[np.ndarray, " T"], spans: Spans
) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """Returns simple forecasts of one column after each step, by name, with their quantiles.

    Whatever they are fitted by is the training part; their quantiles are those of their errors
    there.
    """
    assert config.horizon and config.season is not None and config.order
    horizon, naive = config.horizon, _naive_forecasts
    begin, end = spans.get("train", (0, 0))
    found = {RANDOM_WALK: naive.persistence(values, horizon)}
    for season in config.season:
        found[f"seasonal naive, {season} steps"] = naive.seasonal_naive(values, horizon, season)
    found["drift"] = naive.drift(values, horizon)
    places = np.arange(len(values))
    train = (places >= begin) & (places < end)
    fitted = _autoregression.fit(values, config.order, train=train)
    if fitted is not None:
        found[f"AR({config.order})"] = _autoregression.forecast(fitted, values, horizon)
    return {
        name: (value, value[..., None] + _residuals(value, values, (begin, end)), 0)
        for name, value in found.items()
    }


def _residuals(
    forecasts: Float64[np.ndarray, "T H"],
    values: Float64[np.ndarray, " T"],
    span: tuple[int, int],
) -> Float64[np.ndarray, "H Q"]:
    """Returns the quantiles of the errors of forecasts in a span, at each horizon."""
    left = values[slice(*span), None] - align(forecasts, 0, span)
    columns = [row[np.isfinite(row)] for row in left.T]
    none = np.full(len(LEVELS), np.nan)
    enough = (np.quantile(c, LEVELS) if len(c) >= LEAST_RESIDUALS else none for c in columns)
    return np.stack(list(enough))


def taken(forecasts: Forecasts, column: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Returns the forecasts of one column as :func:`outcome_of` takes them."""
    first = int(forecasts.origins[0]) if len(forecasts.origins) else 0
    return forecasts.value[..., column], forecasts.quantiles[..., column, :], first
