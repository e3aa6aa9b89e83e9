"""Series of numbers over time, of the user's own, and the windows that a forecaster learns from."""

import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from jaxseq._checks import error, shape_text
from jaxseq.data._batches import check_positive
from jaxseq.data._files import UserFile
from jaxseq.data._labelled import places_of, rows_of
from jaxseq.data._text import normal_text

MISSING = ("", "na", "nan", "null")
"""What stands for a value that is not there, in small letters."""

_DATE = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?)?")
_TIMES = "write times as whole numbers, decimal numbers, or dates such as 2012-01-31 or 2012-01"
_ORDER = "sort the lines by time; a file has one series, and one line a time"


class TimeSeries(NamedTuple):
    """A series: its times, and one or more columns of numbers.

    Attributes:
      time: the name of the column of times.
      times: ``[T]`` int64, float64 or datetime64, growing.
      names: of the other columns.
      values: ``[T, N]`` float64; NaN is a value that is not there.

    Example:
      >>> import numpy as np
      >>> series = TimeSeries("year", np.array([1970, 1971]), ("rain",), np.array([[1.0], [2.0]]))
      >>> series.column("rain").tolist()
      [1.0, 2.0]
    """

    time: str
    times: Shaped[np.ndarray, " T"]
    names: tuple[str, ...]
    values: Float64[np.ndarray, "T N"]

    def column(self, name: str) -> Float64[np.ndarray, " T"]:
        """Returns one column by its name."""
        return self.values[:, self.names.index(name)]


def read_time_series(
    path: str | os.PathLike[str], *, time: str | None = None, values: Sequence[str] | None = None
) -> TimeSeries:
    r"""Reads a CSV or TSV file with a column of times and columns of numbers, plain or gzipped.

    The first line names the columns; tabs separate the fields if it holds one, otherwise commas.

    - Times are whole numbers, decimal numbers, or dates and hours as ISO 8601 writes them, all of
      one kind, and must grow from line to line.
    - **A line is a step.** Steps need not be equally far apart, and none is put where one seems to
      be missing: prices have no weekends.
    - **An empty field is a value that is not there**, and is read as NaN, as are ``NA``, ``NaN``
      and ``null``. Infinities are refused.

    Args:
      path: the file; UTF-8.
      time: the column of times; the first by default.
      values: the columns of numbers; all others by default.

    Returns:
      The series.

    Raises:
      InputError: naming the file, and the line where there is one, if the file cannot be read (as
        in :func:`read_text`), has no such columns or no rows, a row has another number of fields
        than the first line, a time is none or does not grow, or a value is no number.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "weather.csv"
      ...     _ = path.write_text("day,high,low\n2012-01-01,12.8,5\n2012-01-02,,2.8\n")
      ...     series = read_time_series(path)
      >>> series.names, series.times.astype(str).tolist(), series.values.tolist()
      (('high', 'low'), ['2012-01-01', '2012-01-02'], [[12.8, 5.0], [nan, 2.8]])

    References:
      ISO 8601-1, "Date and Time: Representations for Information Interchange", 2019.
    """
    file = UserFile("read_time_series", pathlib.Path(path))
    rows, hint = rows_of(file, normal_text(file, file.read(), lines=True))
    first, header = next(rows)
    header = [name.strip() for name in header]
    time = header[0] if time is None else time
    names = tuple(name for name in header if name != time) if values is None else tuple(values)
    if not names:
        problem = f"there is no column but `{time}`"
        raise file.error(problem, line=first, hint="give a column of times, and one of values")
    at, *places = places_of(file, first, header, (time, *names))
    numbers, texts, table = [], [], []
    for line, fields in _checked(file, rows, len(header), hint):
        texts.append(fields[at].strip())
        table.append([_number(file, line, header[k], fields[k]) for k in places])
        numbers.append(line)
    if not table:
        raise file.error("has no rows below its header", hint="give one line for each time")
    return TimeSeries(time, _times(file, time, numbers, texts), names, np.array(table, np.float64))


def times_after(times: Shaped[np.ndarray, " T"], count: int) -> Shaped[np.ndarray, " count"] | None:
    """Returns the times after those of a series whose steps are equally far apart.

    Args:
      times: of a series.
      count: how many.

    Returns:
      The times; None if the steps are not all equally far apart, or there is only one.

    Example:
      >>> import numpy as np
      >>> times_after(np.array([1970, 1975, 1980]), 2).tolist()
      [1985, 1990]
      >>> times_after(np.array([1.0, 2.0, 4.0]), 2) is None
      True
    """
    steps = np.diff(times)
    if not len(steps) or (steps != steps[0]).any():
        return None
    return times[-1] + steps[0] * np.arange(1, count + 1)


def series_windows(
    values: Shaped[np.ndarray, "T *features"], *, window: int, horizon: int, stride: int = 1
) -> Shaped[np.ndarray, "M S *features"]:
    """Returns the windows of a series: of each, a model reads some steps, and forecasts the others.

    Window ``m`` holds the steps ``m * stride + s`` for ``s`` from 0 to ``window + horizon - 1``.
    Read are those below ``window``; the forecast after step ``t`` of them of the value ``h + 1``
    steps later is of step ``t + 1 + h``, which is in the window, too.

    Args:
      values: one series.
      window: how many steps are read.
      horizon: how many steps are forecast.
      stride: how many steps a window begins after the one before it.

    Returns:
      ``[M, window + horizon, *features]``, a view; M is 0 if the series is too short.

    Raises:
      ValueError: if a size is below 1, or the series has no axis of time.

    Example:
      >>> import numpy as np
      >>> series_windows(np.arange(6), window=3, horizon=1, stride=2).tolist()
      [[0, 1, 2, 3], [2, 3, 4, 5]]
    """
    check_positive("series_windows", window=window, horizon=horizon, stride=stride)
    if values.ndim < 1:
        problem = "`values` must have shape (T, ...), but it has shape "
        raise error("series_windows", problem + shape_text(values.shape))
    size = window + horizon
    if len(values) < size:
        return np.empty((0, size, *values.shape[1:]), values.dtype)
    windows = np.lib.stride_tricks.sliding_window_view(values, size, axis=0)
    return np.moveaxis(windows, -1, 1)[::stride]


def _checked(
    file: UserFile, rows: Iterator[tuple[int, list[str]]], count: int, hint: str
) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with as many fields as the header."""
    for line, fields in rows:
        if len(fields) != count:
            problem = f"the number of fields is {len(fields)}, but {count} in the header"
            raise file.error(problem, line=line, hint=hint)
        yield line, fields


def _number(file: UserFile, line: int, name: str, text: str) -> float:
    text = text.strip()
    if text.lower() in MISSING:
        return float("nan")
    try:
        number = float(text)
    except ValueError as cause:
        problem = f"the {name} is {text[:40]!r}, which is no number"
        hint = "leave a value that is not there empty, and name the columns to read"
        raise file.error(problem, line=line, hint=hint) from cause
    if not np.isfinite(number):
        problem = f"the {name} is {text}, which is not finite"
        raise file.error(problem, line=line, hint="leave a value that is not there empty")
    return number


def _times(
    file: UserFile, name: str, lines: list[int], texts: list[str]
) -> Shaped[np.ndarray, " T"]:
    """The times, of the kind that the first of them is."""
    kinds: list[Any] = [("whole number", _whole), ("decimal number", float), ("date", _date)]
    kind, read = next((pair for pair in kinds if _reads(pair[1], texts[0])), ("time", _none))
    if kind == "whole number" and not all(_reads(_whole, text) for text in texts):
        kind, read = "decimal number", float
    for line, text in zip(lines, texts, strict=True):
        if not _reads(read, text):
            like = "" if kind == "time" else f", but the first is {texts[0]!r}"
            problem = f"the {name} is {text[:40]!r}, which is no {kind}{like}"
            raise file.error(problem, line=line, hint=_TIMES)
    times = np.array([read(text) for text in texts])
    late = np.flatnonzero(times[1:] <= times[:-1])
    if late.size:
        place = int(late[0])
        problem = f"the {name} {texts[place + 1]} is not after {texts[place]}, in line "
        raise file.error(f"{problem}{lines[place]}", line=lines[place + 1], hint=_ORDER)
    return times


def _reads(read: Any, text: str) -> bool:
    try:
        return bool(np.isfinite(read(text)))
    except (ValueError, OverflowError):
        return False


def _none(text: str) -> Any:
    raise ValueError(text)


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**62:
        raise OverflowError(text)
    return number


def _date(text: str) -> np.datetime64:
    if _DATE.fullmatch(text) is None:
        raise ValueError(text)
    return np.datetime64(text)
