"""Series as a network reads them: transformed, scaled by their training part, gaps filled."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from jaxseq import data
from jaxseq._checks import InputError, error
from jaxseq.recipes._forecasting_config import TASK, Config
from jaxseq.recipes._forecasting_data import Series, calendar

Numbers = tuple[float, ...]


class Scaling(NamedTuple):
    """What the training part of a series says of its size; each has one number a column.

    Attributes:
      center: the mean of the transformed values.
      scale: their standard deviation, or that of their increments where these are modelled.
      past_center: the mean of the past covariates.
      past_scale: their standard deviation.
      future_center: the mean of the covariates known beforehand.
      future_scale: their standard deviation.
      unit: the mean absolute difference of one step, of the values as they are.
      variance: of the values as they are.

    Example:
      >>> Scaling._fields[:2]
      ('center', 'scale')
    """

    center: Numbers
    scale: Numbers
    past_center: Numbers
    past_scale: Numbers
    future_center: Numbers
    future_scale: Numbers
    unit: Numbers
    variance: Numbers


def fit_scaling(config: Config, series: Series, train: tuple[int, int]) -> Scaling:
    """Returns the scaling of a series, from its training part alone.

    The variance of the bundled sunspots is that of 1700 to 1979, as in the literature; no model
    sees it.
    """
    rows = slice(*train)
    values = transformed(config, series)[rows]
    steps = np.diff(values, axis=0) if config.differences else values
    whole = config.data == "sunspots_yearly" and not series.name
    raw = series.values[rows]
    past, future = series.past[rows], series.future[rows]
    return Scaling(
        *(_means(values), _deviations(steps)),
        *(_means(past), _deviations(past), _means(future), _deviations(future)),
        _means(np.abs(np.diff(raw, axis=0))),
        _numbers(np.nanvar(series.values[series.times <= 1979] if whole else raw, axis=0)),
    )


def _numbers(row: np.ndarray) -> Numbers:
    return tuple(map(float, row))


def _means(columns: np.ndarray) -> Numbers:
    there = np.isfinite(columns)
    return _numbers(np.where(there, columns, 0).sum(0) / np.maximum(there.sum(0), 1))


def _deviations(columns: np.ndarray) -> Numbers:
    spread = np.sqrt(_means((columns - np.array(_means(columns))) ** 2))
    # Of what never changes: it is 0 whatever it is divided by.
    return _numbers(np.where(spread > 0, spread, 1))


def transformed(config: Config, series: Series) -> Float64[np.ndarray, "T N"]:
    """Returns the values after the transform of the settings.

    Raises:
      InputError: naming a value that has no logarithm, or no root.
    """
    values, kind = series.values, config.transform
    bad = np.argwhere(values <= 0 if kind == "log" else values < 0)
    if kind != "none" and len(bad):
        step, place = bad[0]
        problem = f"a value is {values[step, place]:g}, at {series.times[step]}, which has no "
        problem += "logarithm" if kind == "log" else "root"
        raise error(TASK, problem, hint="use --transform none", kind=InputError)
    return np.log(values) if kind == "log" else np.sqrt(values) if kind == "sqrt" else values


def restored(
    config: Config, scaling: Scaling, scaled: np.ndarray, *, axis: int
) -> Float64[np.ndarray, "..."]:
    """Returns numbers of the scaled kind as values; ``axis`` is the one of the columns."""
    shape = [1] * scaled.ndim
    shape[axis] = -1
    center, scale = (np.reshape(row, shape) for row in (scaling.center, scaling.scale))
    values = center + scale * np.asarray(scaled, np.float64)
    if config.transform == "sqrt":
        return np.maximum(values, 0) ** 2
    return np.exp(values) if config.transform == "log" else values


class Sizes(NamedTuple):
    """How many numbers of each kind a step has.

    Attributes:
      values: N.
      past: P.
      future: F, with those of the calendar.
      static: one for each of several series.
    """

    values: int
    past: int
    future: int
    static: int


def sizes_of(config: Config, scaling: dict[str, Scaling]) -> Sizes:
    """Returns the sizes of what a network reads."""
    one = next(iter(scaling.values()))
    future = len(one.future_center) + 2 * len(config.calendar or ())
    return Sizes(
        len(one.center), len(one.past_center), future, len(scaling) if len(scaling) > 1 else 0
    )


def encode(
    config: Config, scaling: dict[str, Scaling], series: Series, *, required: bool = False
) -> Float32[np.ndarray, "S C"]:
    """Returns the numbers of each step of a series, and of the ``horizon`` steps after it.

    They are the values (0 in the steps after), whether each was there, past covariates, covariates
    known beforehand, and which of several series it is. A value that is not there is the last one
    before it, or the first of all.

    Args:
      config: the settings.
      scaling: of each series.
      series: the series.
      required: whether all covariates of the steps after the series must be known.

    Returns:
      ``[T + horizon, 2 N + P + F + static]``.

    Raises:
      InputError: if the model knows no such series, or a covariate is not known.
    """
    assert config.horizon is not None
    if series.name not in scaling:
        known = ", ".join(name or "one without a name" for name in scaling)
        problem = f"the model was trained on other series: {known}"
        raise error(TASK, problem, hint="train one on these data", kind=InputError)
    own = scaling[series.name]
    there = np.isfinite(series.values)
    values = _filled((transformed(config, series) - own.center) / own.scale)
    past = _filled((series.past - own.past_center) / own.past_scale)
    after = ((0, config.horizon), (0, 0))
    static = np.zeros((len(values) + config.horizon, len(scaling) if len(scaling) > 1 else 0))
    static[:, [*scaling].index(series.name) : static.shape[1]][:, :1] = 1
    ahead = _ahead(config, own, series, required=required)
    blocks = [np.pad(block, after) for block in (values, there, past)] + [ahead, static]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def _filled(columns: Float64[np.ndarray, "T N"]) -> Float64[np.ndarray, "T N"]:
    """Returns columns with the last value before each gap in it, or 0 before the first."""
    there = np.isfinite(columns)
    places = np.maximum.accumulate(np.where(there, np.arange(len(columns))[:, None], -1), axis=0)
    found = np.take_along_axis(columns, np.maximum(places, 0), axis=0)
    first = np.take_along_axis(columns, there.argmax(0)[None, :], axis=0)
    return np.nan_to_num(np.where(places >= 0, found, first))


def _ahead(
    config: Config, scaling: Scaling, series: Series, *, required: bool
) -> Float64[np.ndarray, "S F"]:
    """Returns what is known beforehand of the steps of a series, and of those after it."""
    assert config.horizon is not None and config.calendar is not None
    count = len(series.values) + config.horizon
    known = (series.future - scaling.future_center) / scaling.future_scale
    if required and known.shape[1] and len(known) < count:
        problem = f"what is known beforehand ends {len(known) - len(series.values)} steps after "
        problem += f"the last value, but horizon = {config.horizon} steps are to be forecast"
        hint = "add lines with the covariates of these steps, and without values"
        raise error(TASK, problem, hint=hint, kind=InputError)
    known = np.pad(known[:count], ((0, max(count - len(known), 0)), (0, 0)))
    if not config.calendar:
        return known
    times = times_ahead(series, config.horizon)
    if times is None:
        if required:
            problem = "the times are not equally far apart, so nobody knows those to come"
            hint = "add lines with the times of the steps to be forecast, and without values"
            raise error(TASK, problem, hint=hint, kind=InputError)
        times = series.times[:count]
    places = calendar(times, config.calendar)
    places = np.pad(places, ((0, count - len(places)), (0, 0)))
    return np.concatenate([known, places], axis=1)


def times_ahead(series: Series, horizon: int) -> Any:
    """Returns the times of a series and of the steps after it; None if they are not known."""
    count = len(series.values) + horizon
    more = count - len(series.times)
    if more <= 0:
        return series.times[:count]
    after = data.times_after(series.times, more)
    return None if after is None else np.concatenate([series.times, after])
