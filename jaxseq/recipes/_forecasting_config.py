"""The settings of a forecaster, and what suits the bundled data."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from jaxseq._checks import InputError, error

TASK = "forecasting"


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a recurrent forecaster of a series, or of several.

    A setting left out is the one that suits the data: one for each of the bundled seattle_weather,
    stocks and sunspots_yearly; of a file of your own the one for series in general.

    Attributes:
      data: a file, or the name of a bundled corpus (seattle_weather, stocks, sunspots_yearly). A
        file is a CSV or TSV with a column of times and columns of numbers; plain or gzipped.
      valid: a file with the same columns and later times, whose steps choose the best weights;
        without it, some of the data do.
      out: the directory for checkpoints, report and pictures.
      time: the column of times; the first by default.
      values: the columns to forecast; by default all that are nothing else.
      past_covariates: columns that are known up to a step, and only read.
      future_covariates: columns that are known beforehand. Lines at the end of a file without
        values are the steps to be forecast, and say what they will be.
      calendar: what of a date is known beforehand: its place in the year, the week, the day.
      horizon: how many steps ahead.
      window: how many steps are read for a forecast.
      season: the steps of a season, for the seasonal naive forecasts that stand beside the model.
      order: of the autoregression that stands beside the model.
      hold_out: the share of the steps, before those of the test, that chooses the best weights; 0
        to train on all and take the last weights.
      test: the share of the steps, at the end, that is reported on; 0 for none.
      valid_from: the first time of the validation part, in place of a share.
      test_from: the first time of the test part, in place of a share.
      transform: of the values, before all else; forecasts are transformed back.
      differences: whether the model reads increments and forecasts what is added to the last value.
      start: what an untrained model forecasts: that the last increment goes on, or the last value.
      lags: how many values, or increments, the linear part reads.
      strategy: all horizons at once, or one step that is read as the next value.
      head: a number, quantiles, Student's t or a mixture of Gaussians for each value.
      components: of a mixture.
      samples: paths that a recursive model draws for a forecast.
      members: models that are trained side by side from different weights, and averaged.
      cell: the recurrent cell.
      hidden_size: units in a layer.
      num_layers: recurrent layers.
      dropout: the share dropped from what the layers read, between them, and from what they give.
      batch_size: windows in a batch.
      epochs: passes over the training windows.
      learning_rate: at its highest; it rises over the first steps and falls along a cosine.
      weight_decay: of AdamW.
      max_norm: what the gradient's global norm is clipped to.
      patience: ends the run after so many epochs without an improvement; 0 for never.
      seed: of weights, order and dropout.
      resume: whether to go on with the run in that directory, if there is one.
      tensorboard: whether loss, norms and evaluations are also written into ``out/tensorboard``.

    Example:
      >>> Config(horizon=3).horizon
      3
    """

    data: str = "seattle_weather"
    valid: str | None = None
    out: Path = Path("runs/forecasting")
    time: str | None = None
    values: tuple[str, ...] = ()
    past_covariates: tuple[str, ...] = ()
    future_covariates: tuple[str, ...] = ()
    calendar: tuple[Literal["year", "week", "day"], ...] | None = None
    horizon: int | None = None
    window: int | None = None
    season: tuple[int, ...] | None = None
    order: int | None = None
    hold_out: float | None = None
    test: float | None = None
    valid_from: str | None = None
    test_from: str | None = None
    transform: Literal["none", "log", "sqrt"] | None = None
    differences: bool | None = None
    start: Literal["trend", "level"] | None = None
    lags: int | None = None
    strategy: Literal["direct", "recursive"] | None = None
    head: Literal["point", "quantile", "student_t", "mixture"] | None = None
    components: int | None = None
    samples: int | None = None
    members: int | None = None
    cell: Literal["elman", "gru", "lstm"] | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    dropout: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    max_norm: float = 1.0
    patience: int = 0
    seed: int = 0
    resume: bool = False
    tensorboard: bool = False


GENERAL: dict[str, Any] = {
    "calendar": (),
    "horizon": 7,
    "window": 48,
    "season": (),
    "order": 12,
    "hold_out": 0.15,
    "test": 0.15,
    "transform": "none",
    "differences": False,
    "start": "level",
    "lags": 8,
    "strategy": "direct",
    "head": "student_t",
    "components": 3,
    "samples": 200,
    "members": 3,
    "cell": "gru",
    "hidden_size": 32,
    "num_layers": 1,
    "dropout": 0.1,
    "batch_size": 32,
    "epochs": 40,
    "learning_rate": 3e-3,
    "weight_decay": 1e-2,
}
BUNDLED: dict[str, dict[str, Any]] = {
    "seattle_weather": {
        "time": "date",
        "values": ("temp_max",),
        "past_covariates": ("temp_min", "wind", "precipitation"),
        "calendar": ("year",),
        "season": (7, 365),
        "valid_from": "2014-01-01",
        "test_from": "2015-01-01",
        "epochs": 10,
    },
    "stocks": {
        "time": "date",
        "values": ("log_adj_close",),
        "horizon": 5,
        "order": 5,
        "lags": 2,
        "differences": True,
        "valid_from": "2010-01-01",
        "test_from": "2012-01-01",
        "epochs": 2,
        "batch_size": 128,
    },
    "sunspots_yearly": {
        "time": "year",
        "values": ("sunspots",),
        "horizon": 1,
        "season": (11,),
        "window": 36,
        "hold_out": 0.0,
        "test_from": "1921",
        "transform": "sqrt",
        "lags": 12,
        "members": 8,
        "epochs": 60,  # lowest ARV on 1820-1869 and 1870-1920 together, trained on what is before
    },
}
LEFT_OUT = ("valid", "time", "valid_from", "test_from")
"""What may be None in filled-in settings."""


def resolved(config: Config) -> Config:
    """Returns the settings with those left out filled in for the data.

    Example:
      >>> resolved(Config(data="stocks", horizon=2)).horizon, resolved(Config(data="my.csv")).window
      (2, 48)
    """
    suited = GENERAL | BUNDLED.get(config.data, {})
    columns: dict[str, Any] = {
        name: tuple(part for value in getattr(config, name) for part in value.split(",") if part)
        for name in ("values", "past_covariates", "future_covariates")
    }
    if not any(columns.values()):  # what stands beside other values is the caller's to say
        columns |= {name: suited[name] for name in columns if name in suited}
    left = {
        name: value
        for name, value in suited.items()
        if name not in columns and getattr(config, name) is None
    }
    return dataclasses.replace(config, **left, **columns)


def check(config: Config) -> None:
    """Raises unless the numbers that this task alone has are in range.

    Args:
      config: the settings, none of which is left out.

    Raises:
      InputError: naming the number.
    """
    for name, text, holds in (
        ("horizon", "at least 1", lambda value: value >= 1),
        ("window", "at least 2", lambda value: value >= 2),
        ("order", "at least 1", lambda value: value >= 1),
        ("members", "at least 1", lambda value: value >= 1),
        ("samples", "at least 2", lambda value: value >= 2),
        ("season", "numbers from 1 on", lambda value: all(number >= 1 for number in value)),
        ("hold_out", "in [0, 1)", lambda value: 0 <= value < 1),
        ("test", "in [0, 1)", lambda value: 0 <= value < 1),
    ):
        value = getattr(config, name)
        if not holds(value):
            problem = f"`{name}` must be {text}, but it is {value}"
            raise error(TASK, problem, kind=InputError)
    columns = [*config.values, *config.past_covariates, *config.future_covariates]
    twice = {name for name in columns if columns.count(name) > 1} | {*columns} & {config.time}
    if twice:
        problem = f"the column {min(map(str, twice))!r} is asked for twice"
        raise error(TASK, problem, hint="a column is one thing only", kind=InputError)
