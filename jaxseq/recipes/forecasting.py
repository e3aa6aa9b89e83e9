"""A recurrent forecaster: from series over time to a model that says how they go on.

One convention of indices throughout: the forecast ``[..., t, h]`` is made after reading step ``t``
of a series, and is of the value at step ``t + 1 + h``.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxseq import data
from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.recipes._directory import (
    check_same_data,
    evaluation_directory,
    read_settings,
    settings_of_run,
    write_settings,
    write_text,
)
from jaxseq.recipes._forecasting_config import TASK, Config, check, resolved
from jaxseq.recipes._forecasting_data import (
    BUNDLED,
    Dataset,
    Series,
    mark,
    read_dataset,
    read_series,
)
from jaxseq.recipes._forecasting_measures import measures
from jaxseq.recipes._forecasting_model import (
    LEVELS,
    Forecasts,
    Functions,
    Model,
    build,
    load,
    make_loss,
    outlook,
    page_of,
)
from jaxseq.recipes._forecasting_report import (
    forecasts_of,
    leave_history,
    leave_report,
    others,
    outcomes_of,
    report_on,
    summary,
)
from jaxseq.recipes._forecasting_scaling import encode, fit_scaling, times_ahead
from jaxseq.recipes._run import (
    batches_of,
    best_params,
    check_drawing,
    check_settings,
    fit,
    initial_state,
    run_report,
)
from jaxseq.recipes._sources import is_bundled

__all__ = [
    "Config",
    "Dataset",
    "Forecasts",
    "Functions",
    "Model",
    "Series",
    "TASK",
    "backtest",
    "build",
    "evaluate",
    "forecast",
    "load",
    "predict",
    "read_dataset",
    "summary",
    "train",
]

TOLD = (0.025, 0.1, 0.5, 0.9, 0.975)
"""The quantiles that a file of predictions has."""


def train(config: Config) -> dict[str, Any]:
    r"""Trains a forecaster, and leaves all that came of it in ``config.out``.

    There are then ``config.json`` (with the scaling, which is fitted on the training part alone),
    ``checkpoints/``, ``report.json`` (MASE, RMSE, CRPS and the coverage of the intervals at each
    horizon, beside simple forecasts of the same run), ``forecast.png``, ``horizons.png``,
    ``learning_curve.png`` and ``history.json``. SIGTERM and Ctrl-C end the run after the step under
    way, with a checkpoint; ``resume`` goes on from there.

    Args:
      config: the settings.

    Returns:
      The report; where the run was interrupted, only how it can go on.

    Raises:
      InputError: if the data, the settings or the directory cannot be used.
      OSError: if something cannot be written; what was there before stays.
      DivergedError: if loss or gradient are no longer finite.
      ImportError: if matplotlib, which draws the pictures, is not installed.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxseq.recipes import forecasting
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     file = pathlib.Path(directory) / "line.csv"
      ...     _ = file.write_text("t,x\n" + "".join(f"{t},{3 * t}\n" for t in range(40)))
      ...     config = forecasting.Config(
      ...         data=str(file), out=pathlib.Path(directory) / "run", head="point", horizon=2,
      ...         window=4, order=1, start="trend", differences=True, members=1,
      ...         hidden_size=2, epochs=1)
      ...     report = forecasting.train(config)
      >>> max(report["test"]["columns"]["x"]["mase"]) < 0.1  # a line is easily continued
      True
    """
    config, page = settings_of_run(config, TASK)
    config = resolved(config)
    check_settings(TASK, config)
    check(config)
    dataset = read_dataset(config)
    check_drawing()
    pairs = zip(dataset.series, dataset.spans, strict=True)
    scaling = {one.name: fit_scaling(config, one, spans["train"]) for one, spans in pairs}
    model = build(config, dataset.time, dataset.columns, scaling)
    windows = _windows_of(model, dataset)
    if page is None:
        write_settings(config.out, TASK, config, data=mark(dataset), **page_of(model))
    else:
        check_same_data(page, mark(dataset), config.data)
    assert config.batch_size is not None and config.epochs is not None
    rows = min(config.batch_size, len(windows))
    batches = batches_of(windows, rows=rows, buckets=1, seed=config.seed)
    steps = config.epochs * len(batches)
    validated = any("valid" in spans for spans in dataset.spans)
    result = fit(
        config,
        initial_state(config, model.params, steps),
        make_loss(model),
        batches,
        _assessor(model, dataset),
        steps=steps,
        evaluate_every=len(batches) if validated else steps,
    )
    if result.outcome == "interrupted":
        return {"outcome": result.outcome, "step": int(result.state.step), "out": str(config.out)}
    model = model._replace(params=best_params(TASK, result))
    report: dict[str, Any] = {"task": TASK, "data": config.data, "others": {}}
    parts, found = _parts_of(dataset), {}
    for part in parts:
        found[part] = forecasts_of(model, dataset, part)
        report[part] = report_on(model, dataset, part, found[part])
        report["others"][part] = others(model, dataset, part, found[part])
    report |= run_report(model.params, result, terms="values")
    leave_history(config.out, model, result.history, validated=validated)
    leave_report(config.out, report, model, dataset, parts[0], found[parts[0]])
    return report


def _windows_of(model: Model, dataset: Dataset) -> list[np.ndarray]:
    """Returns the windows of the training parts, encoded.

    Raises:
      InputError: if no training part is long enough for one.
    """
    config, found = model.config, []
    assert config.window is not None and config.horizon is not None
    for series, spans in zip(dataset.series, dataset.spans, strict=True):
        begin, end = spans["train"]
        steps = encode(config, model.scaling, series)[begin:end]
        found += [*data.series_windows(steps, window=config.window, horizon=config.horizon)]
    if not found:
        longest = max(spans["train"][1] for spans in dataset.spans)
        problem = f"the training part has {longest} steps, but window + horizon are "
        hint = "give a longer series, or a smaller --window"
        problem += str(config.window + config.horizon)
        raise error(TASK, problem, hint=hint, kind=InputError)
    return found


def _parts_of(dataset: Dataset) -> list[str]:
    """Returns the parts to report on, the most telling first."""
    names = dict.fromkeys(name for spans in dataset.spans for name in spans)
    told = [name for name in names if name not in ("train", "valid")]
    return told + ["valid"] * ("valid" in names) or ["train"]


def _assessor(model: Model, dataset: Dataset) -> Callable[[PyTree], float]:
    """Returns what measures params: the CRPS on the validation part, in units of the MASE.

    Of a point head it is the MASE; with no steps to choose by, it is 0.
    """

    def assess(params: PyTree) -> float:
        if not any("valid" in spans for spans in dataset.spans):
            return 0.0
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            return math.nan
        made = model._replace(params=params)
        outcomes = outcomes_of(made, dataset, "valid", forecasts_of(made, dataset, "valid"))
        scores = [measures(outcome)["scaled_crps"] for outcome in outcomes.values()]
        return float(np.mean([math.nan if s is None else s for row in scores for s in row]))

    return assess


def evaluate(directory: Path, *, source: str | None = None) -> dict[str, Any]:
    """Measures a trained forecaster by a rolling origin: a forecast after every step.

    Args:
      directory: of a run.
      source: a file with the columns of the training data, all of which is forecast but the first
        ``window`` steps; or the name of a bundled corpus. None for the test part of the data that
        the model was trained on, or else the part that chose its weights.

    Returns:
      The report, which is also written: to ``report.json`` in ``evaluations/NAME`` of the run's
      directory, with pictures beside it.

    Raises:
      InputError: if there is no such run, or the data cannot be used, or are not what the run
        began with.
      OSError: if the report cannot be written.

    Example:
      >>> evaluate(Path("no/such/run"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train forecasting --out no/such/run` makes one.
    """
    directory = Path(directory)
    model = load(directory)
    check_drawing()
    config = model.config
    if source is None or (source == config.data and is_bundled(source, BUNDLED)):
        source, dataset = config.data, read_dataset(config)
        check_same_data(read_settings(directory, TASK), mark(dataset), source)
    else:
        dataset = _whole(model, source)
    part = _parts_of(dataset)[0]
    found = forecasts_of(model, dataset, part)
    page = report_on(model, dataset, part, found)
    report = {"task": TASK, "data": source, **page}
    leave_report(evaluation_directory(directory, source), report, model, dataset, part, found)
    return report


def _whole(model: Model, source: str) -> Dataset:
    """Returns the series of a source, to be forecast but for the first window."""
    time, _, series = _same_columns(model, source)
    begin = model.config.window
    assert begin is not None
    for one in series:
        if len(one.values) <= begin:
            problem = f"`{source}` has {len(one.values)} steps, and the first {begin} are only read"
            raise error(TASK, problem, hint="give a longer series", kind=InputError)
    spans = [{"all": (begin, len(one.values))} for one in series]
    return Dataset(time, model.columns, series, spans)


def _same_columns(model: Model, source: str) -> tuple[str, tuple[str, ...], list[Series]]:
    """Returns the series of a source, whose columns must be those of the model."""
    config = dataclasses.replace(model.config, time=model.time, values=tuple(model.columns))
    return read_series(config, source)


def backtest(
    model: Model, series: Series, *, first: int | None = None, last: int | None = None
) -> Forecasts:
    """Returns what a model forecasts of a series after each of its steps: a rolling origin.

    All forecasts are one call of one compiled program; each sees the ``window`` steps up to its
    origin, and of what comes after only what is known beforehand.

    Args:
      model: from :func:`load`.
      series: with the columns of the model, such as one of :func:`read_dataset`.
      first: the step after which the first forecast is made; by default the first before which
        there are ``window`` steps, or the last of a shorter series.
      last: the step after which the last one is made; by default the last but one.

    Returns:
      The forecasts; ``value[o, h]`` is of step ``origins[o] + 1 + h``.

    Raises:
      InputError: if the model knows no such series, or there are no such steps.

    Example:
      >>> from jaxseq.recipes import forecasting
      >>> from jaxseq.recipes._forecasting_config import resolved
      >>> from jaxseq.recipes._forecasting_scaling import fit_scaling
      >>> config = resolved(forecasting.Config(data="sunspots_yearly", members=1, hidden_size=2))
      >>> series = forecasting.read_dataset(config).series[0]
      >>> scaling = {"": fit_scaling(config, series, (0, 221))}
      >>> model = forecasting.build(config, "year", ("sunspots",), scaling)
      >>> found = forecasting.backtest(model, series, first=220, last=254)
      >>> found.value.shape, found.quantiles.shape
      ((35, 1, 1), (35, 1, 1, 39))
    """
    assert model.config.window is not None
    count = len(series.values)
    last = max(count - 2, 0) if last is None else last
    first = min(model.config.window - 1, last) if first is None else first
    if not 0 <= first <= last < count:
        problem = f"`first` = {first} and `last` = {last} must be steps of a series of {count}"
        raise error("backtest", problem, kind=InputError)
    encoded = encode(model.config, model.scaling, series)
    return outlook(model, series, encoded, np.arange(first, last + 1))


def forecast(model: Model, series: Series) -> Forecasts:
    """Returns what a model forecasts after the end of a series.

    Args:
      model: from :func:`load`.
      series: with the columns of the model, such as one of :func:`read_dataset`.

    Returns:
      The forecasts of the next ``horizon`` steps: ``value[0, h]`` is of h + 1 steps after the last.

    Raises:
      InputError: if the model knows no such series, or a covariate of the steps to come is not
        known.

    Example:
      >>> from jaxseq.recipes import forecasting
      >>> from jaxseq.recipes._forecasting_config import resolved
      >>> from jaxseq.recipes._forecasting_scaling import fit_scaling
      >>> config = resolved(forecasting.Config(members=1, hidden_size=2))
      >>> series = forecasting.read_dataset(config).series[0]
      >>> scaling = {"": fit_scaling(config, series, (0, 731))}
      >>> model = forecasting.build(config, "date", ("temp_max",), scaling)
      >>> forecasting.forecast(model, series).value[0, :3, 0].round(3).tolist()  # the last value
      [5.6, 5.6, 5.6]
    """
    encoded = encode(model.config, model.scaling, series, required=True)
    return outlook(model, series, encoded, [len(series.values) - 1])


def predict(directory: Path, *, source: str, to: Path) -> int:
    """Forecasts the steps after the end of a file, and writes a file with the forecasts.

    It is a CSV with the column of times (going on as in the file where its steps are equally far
    apart, or as its last lines without values say; else ``+1``, ``+2``, …), for several series
    ``series``, and for each column its forecast and the quantiles 0.025, 0.1, 0.5, 0.9 and 0.975.

    Args:
      directory: of a run.
      source: a file with the columns that the model was trained on, or the name of bundled data.
      to: the file to write.

    Returns:
      How many rows there are: one for each step and series.

    Raises:
      InputError: if there is no such run, or the file cannot be used.
      OSError: if the forecasts cannot be written.

    Example:
      >>> predict(Path("no/such/run"), source="series.csv", to=Path("forecasts.csv"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train forecasting --out no/such/run` makes one.
    """
    model = load(directory)
    several = len(model.scaling) > 1
    places = [int(np.abs(LEVELS - level).argmin()) for level in TOLD]
    header = [model.time, *["series"] * several]
    for name in model.columns:
        header += [name, *(f"{name} {level:g}" for level in TOLD)]
    rows: list[list[Any]] = [header]
    for series in _same_columns(model, source)[2]:
        found, count = forecast(model, series), len(series.values)
        times = times_ahead(series, model.config.horizon or 1)
        for h, values in enumerate(found.value[0]):
            time = f"+{h + 1}" if times is None else str(times[count + h])
            row = [time, *[series.name] * several]
            for column, value in enumerate(values):
                numbers = [value, *found.quantiles[0, h, column, places]]
                row += [f"{number:.6g}" for number in numbers]
            rows.append(row)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(Path(to), text.getvalue())
    return len(rows) - 1
