"""What a forecaster learns from: series of one's own, or bundled, and their parts in time."""

import zlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from jaxseq import data
from jaxseq._checks import InputError, error
from jaxseq.recipes._forecasting_config import TASK, Config, resolved
from jaxseq.recipes._sources import check_name, is_bundled

BUNDLED = ("seattle_weather", "stocks", "sunspots_yearly")
CYCLES = {"year": ("Y", 365.2425), "week": ("W", 7.0), "day": ("D", 1.0)}
"""From when on a place in a cycle is counted, and how many days the cycle has."""

UNITS = {"temp_max": "°C", "temp_min": "°C", "wind": "m/s", "precipitation": "mm"} | {
    "log_adj_close": "log of $",
    "sunspots": "yearly mean number",
}
"""Of the columns of bundled series."""

Spans = dict[str, tuple[int, int]]
"""The first step of each part, and the one after its last."""


class Series(NamedTuple):
    """A series to be forecast, and what is known beside it.

    Attributes:
      name: which of several; empty if it is the only one.
      times: ``[T + S]``: of its steps, and of S more that covariates are known of.
      values: ``[T, N]``; NaN is a value that is not there.
      past: ``[T, P]``: covariates that are known up to a step.
      future: ``[T + S, F]``: covariates that are known beforehand, without those of the calendar.

    Example:
      >>> Series._fields
      ('name', 'times', 'values', 'past', 'future')
    """

    name: str
    times: Shaped[np.ndarray, " S"]
    values: Float64[np.ndarray, "T N"]
    past: Float64[np.ndarray, "T P"]
    future: Float64[np.ndarray, "S F"]


class Dataset(NamedTuple):
    """Series of the same columns, and the parts of each.

    Attributes:
      time: the name of the column of times.
      columns: the names of the values.
      series: the series.
      spans: of each, the parts that it has: ``train``, ``valid``, ``test``.

    Example:
      >>> from jaxseq.recipes import forecasting
      >>> found = forecasting.read_dataset(forecasting.Config(data="sunspots_yearly"))
      >>> found.spans
      [{'train': (0, 221), '1921-1955': (221, 256), '1956-1979': (256, 280)}]
    """

    time: str
    columns: tuple[str, ...]
    series: list[Series]
    spans: list[Spans]


def read_dataset(config: Config) -> Dataset:
    """Returns the series of a bundled corpus, or of a file of one's own, and their parts.

    Args:
      config: the settings; those left out are filled in.

    Returns:
      The series.

    Raises:
      InputError: if there is no such file and no such corpus, it cannot be used, or a part has no
        step.

    Example:
      >>> from jaxseq.recipes import forecasting
      >>> found = forecasting.read_dataset(forecasting.Config())
      >>> found.columns, found.series[0].values.shape
      (('temp_max',), (1461, 1))
    """
    config = resolved(config)
    time, columns, series = read_series(config, config.data)
    if config.valid is not None:
        series, valid_from = [_joined(series[0], config)], len(series[0].values)
        spans = [{"train": (0, valid_from), "valid": (valid_from, len(series[0].values))}]
        return Dataset(time, columns, series, spans)
    return Dataset(time, columns, series, [spans_of(config, one) for one in series])


def read_series(config: Config, source: str) -> tuple[str, tuple[str, ...], list[Series]]:
    """Returns the name of the column of times, the columns of values, and the series of a source.

    Raises:
      InputError: as :func:`read_dataset`.
    """
    past, future = config.past_covariates, config.future_covariates
    tables = _tables(config, source)
    first = next(iter(tables.values()))
    values = config.values or tuple(n for n in first.names if n not in (*past, *future))
    for name in (*values, *past, *future):
        if name not in first.names:
            problem = f"`{source}` has no column `{name}`"
            hint = f"its columns are {', '.join(first.names)}"
            raise error(TASK, problem, hint=hint, kind=InputError)
    if not values:
        problem = f"all columns of `{source}` are covariates, and none is left to forecast"
        raise error(TASK, problem, hint="name it with --values", kind=InputError)
    series = []
    for name, table in tables.items():
        found, before, known = (_columns(table, names) for names in (values, past, future))
        there = np.flatnonzero(np.isfinite(found).any(1))
        if not there.size:
            problem = f"`{source}` has no value of {', '.join(values)}"
            raise error(TASK, problem, hint="fill the columns in", kind=InputError)
        # Lines at the end without values are steps to be forecast.
        end = there[-1] + 1
        _check_covariates(source, table, future, known)
        series.append(Series(name, table.times, found[:end], before[:end], known))
    return first.time, values, series


def _tables(config: Config, source: str) -> dict[str, data.TimeSeries]:
    """Returns the series of a source by their names."""
    if is_bundled(source, BUNDLED):
        return _bundled(source)
    check_name(TASK, source, BUNDLED)
    more = (*config.past_covariates, *config.future_covariates)
    asked = (*config.values, *more) if config.values else None
    return {"": data.read_time_series(source, time=config.time, values=asked)}


def _columns(table: data.TimeSeries, names: tuple[str, ...]) -> Float64[np.ndarray, "T N"]:
    return table.values[:, [table.names.index(name) for name in names]]


def _check_covariates(
    source: str, table: data.TimeSeries, names: tuple[str, ...], known: np.ndarray
) -> None:
    """Raises if a number that should be known beforehand is not there."""
    missing = np.argwhere(np.isnan(known))
    if missing.size:
        step, place = missing[0]
        problem = f"`{source}` has no {names[place]} at the {table.time} {table.times[step]}"
        hint = "what is known beforehand is to be in every line; leave the column out otherwise"
        raise error(TASK, problem, hint=hint, kind=InputError)


def spans_of(config: Config, series: Series) -> Spans:
    """Returns the parts of a series in time.

    Raises:
      InputError: if a part is empty, or a time cannot be read.
    """
    count = len(series.values)
    times = series.times[:count]
    test = count - int(count * (config.test or 0))
    if config.test_from is not None:
        test = _place(config.test_from, "test_from", times)
    valid = test - int(count * (config.hold_out or 0))
    if config.valid_from is not None:
        valid = _place(config.valid_from, "valid_from", times)
    if not 0 < valid <= test:
        problem = f"training has no step: validation begins at step {valid + 1}, the test at {test}"
        hint = "give later times, or smaller shares"
        raise error(TASK, problem, hint=hint, kind=InputError)
    spans = {"train": (0, valid), "valid": (valid, test), "test": (test, count)}
    if is_bundled(config.data, BUNDLED) and config.data == "sunspots_yearly":
        # What the literature reports on; later years are left out.
        del spans["test"]
        for first, last in ((1921, 1955), (1956, 1979)):
            begin, end = np.searchsorted(times, [first, last + 1])
            spans[f"{first}-{last}"] = (int(begin), int(end))
    return {name: span for name, span in spans.items() if span[0] < span[1]}


def _place(text: str, name: str, times: np.ndarray) -> int:
    """Returns how many steps are before a time."""
    try:
        return int(np.searchsorted(times, np.array(text).astype(times.dtype)))
    except ValueError as cause:
        problem = f"`{name}` is {text!r}, and times are such as {times[0]}"
        raise error(TASK, problem, hint="write it as in the file", kind=InputError) from cause


def _joined(series: Series, config: Config) -> Series:
    """Returns a series with that of the validation file after it.

    Raises:
      InputError: if the times of the file are not later.
    """
    assert config.valid is not None
    later = read_series(config, config.valid)[2][0]
    count = len(series.values)
    if later.times[0] <= series.times[count - 1]:
        problem = f"`{config.valid}` begins at {later.times[0]}, but `{config.data}` ends at "
        hint = "give later steps of the same series"
        raise error(TASK, f"{problem}{series.times[count - 1]}", hint=hint, kind=InputError)
    parts = [[a[:count] if a.ndim else a, b] for a, b in zip(series[1:], later[1:], strict=True)]
    return Series(series.name, *(np.concatenate(pair) for pair in parts))


def calendar(times: np.ndarray, kinds: tuple[str, ...]) -> Float64[np.ndarray, "T F"]:
    """Returns the place of each time in some cycles, as sine and cosine.

    Args:
      times: dates, datetime64.
      kinds: some of ``year``, ``week``, ``day``.

    Raises:
      InputError: if the times are no dates.

    Example:
      >>> import numpy as np
      >>> calendar(np.array(["2012-01-01", "2012-04-01"], "datetime64[D]"), ("year",)).round(1)
      array([[0., 1.],
             [1., 0.]])
    """
    if kinds and times.dtype.kind != "M":
        problem = f"`calendar` needs times that are dates, but they are such as {times[0]}"
        raise error(TASK, problem, hint="leave it out", kind=InputError)
    columns = []
    for kind in kinds:
        unit, days = CYCLES[kind]
        since = (times - times.astype(f"datetime64[{unit}]")) / np.timedelta64(1, "s") / 86400
        turn = 2 * np.pi * since / days
        columns += [np.sin(turn), np.cos(turn)]
    return np.column_stack(columns) if columns else np.zeros((len(times), 0))


def mark(dataset: Dataset) -> dict[str, int]:
    """Returns what tells data from other data: how many steps, and a checksum."""
    checksum = 0
    for one in dataset.series:
        for array in one[1:]:
            checksum = zlib.crc32(np.ascontiguousarray(array).tobytes(), checksum)
    return {"steps": sum(len(one.values) for one in dataset.series), "crc32": checksum}


def _bundled(name: str) -> dict[str, data.TimeSeries]:
    corpus = data.load(name)
    parts = [part for part in corpus[1:4] if part is not None]
    table = {
        field: np.concatenate([getattr(part, field) for part in parts])
        for field in parts[0]._fields
    }
    time = "year" if "year" in table else "date"
    numbers = {key: column for key, column in table.items() if column.dtype.kind in "fi"}
    numbers.pop(time, None)
    if name != "stocks":
        return {
            "": data.TimeSeries(
                time, table[time], (*numbers,), np.column_stack([*numbers.values()])
            )
        }
    numbers["log_adj_close"] = np.log(table["adj_close"])
    matrix, found = np.column_stack([*numbers.values()]), {}
    for ticker in ("AAPL", "GOOG", "IBM", "MSFT"):  # of FB there is no training part
        rows = np.flatnonzero(table["ticker"] == ticker)
        rows = rows[np.argsort(table[time][rows])]
        found[ticker] = data.TimeSeries(time, table[time][rows], (*numbers,), matrix[rows])
    return found


def axis_name(source: str, column: str) -> str:
    """Returns a column with its unit, where that is known.

    Example:
      >>> axis_name("seattle_weather", "wind"), axis_name("my.csv", "wind")
      ('wind (m/s)', 'wind')
    """
    known = is_bundled(source, BUNDLED) and column in UNITS
    return f"{column} ({UNITS[column]})" if known else column
