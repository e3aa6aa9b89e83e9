"""Series over time: what a file may hold, windows, times to come, and errors with their line."""

import gzip

import numpy as np
import pytest

from jaxseq import data
from jaxseq._checks import InputError

WEATHER = "day,high,low\n2012-01-01,12.8,5\n2012-01-02,,2.8\n2012-01-04,NA,-1e1\n"


@pytest.fixture
def write(tmp_path):
    def make(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def test_a_file_is_read_in_any_of_its_forms(write):
    wanted = [[12.8, 5.0], [np.nan, 2.8], [np.nan, -10.0]]
    for content in (
        WEATHER,
        WEATHER.replace(",", "\t"),
        b"\xef\xbb\xbf" + WEATHER.replace("\n", "\r\n").encode(),
        gzip.compress(WEATHER.encode(), mtime=0),
        WEATHER.replace("12.8", ' "12.8" '.strip()).replace("day", " day "),
        WEATHER.replace("\n2012-01-02", "\n\n2012-01-02"),
    ):
        series = data.read_time_series(write(content))
        assert series.time == "day" and series.names == ("high", "low")
        assert series.times.dtype == "datetime64[D]"
        assert series.times.astype(str).tolist() == ["2012-01-01", "2012-01-02", "2012-01-04"]
        np.testing.assert_array_equal(series.values, wanted)
        np.testing.assert_array_equal(series.column("low"), [5, 2.8, -10])


def test_columns_are_those_asked_for_in_that_order(write):
    path = write("x,weather,t,y\n1,rain,7,2\n3,sun,8,4\n")
    series = data.read_time_series(path, time="t", values=("y", "x"))
    assert series.values.tolist() == [[2, 1], [4, 3]] and series.times.tolist() == [7, 8]
    assert series.times.dtype == np.int64


@pytest.mark.parametrize(
    ("times", "dtype"),
    [
        (("1700", "1701"), "int64"),
        (("-1", "0.5"), "float64"),
        (("2012-01", "2012-02"), "datetime64[M]"),
        (("2012-01-31 13:00", "2012-01-31 13:30"), "datetime64[m]"),
        (("2012-01-31T13:00:01", "2012-01-31T13:00:02.5"), "datetime64[ms]"),
    ],
)
def test_times_are_numbers_or_dates(times, dtype, write):
    rows = "".join(f"{time},1\n" for time in times)
    series = data.read_time_series(write(f"t,x\n{rows}"))
    assert series.times.dtype == dtype and len(series.times) == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        (" \n", "has no text in it"),
        ("t,x\n", "has no rows below its header"),
        ("t\n1\n", "line 1: there is no column but `t`"),
        ("t,x\n1,2,3\n", "line 2: the number of fields is 3, but 2 in the header"),
        ("t,x\n1,2\n2,two\n", "line 3: the x is 'two', which is no number"),
        ("t,x\n1,inf\n", "line 2: the x is inf, which is not finite"),
        ("t,x\n1,2\n\n1,3\n", "line 4: the t 1 is not after 1, in line 2"),
        ("t,x\n2012-01-02,2\n2012-01-01,3\n", "line 3: the t 2012-01-01 is not after 2012-01-02"),
        (
            "t,x\n1,2\nsoon,3\n",
            "line 3: the t is 'soon', which is no decimal number, but the first",
        ),
        ("t,x\nsoon,2\n", "line 2: the t is 'soon', which is no time"),
        ("t,x\n,2\n", "line 2: the t is '', which is no time"),
        ("t,x\n2012-13-01,2\n", "line 2: the t is '2012-13-01', which is no time"),
        ("t,x\n2012-01-01,1\n2012-01-99,2\n", "line 3: the t is '2012-01-99', which is no date"),
        ("t,x\n1,2\n99999999999999999999,3\n2,x\n", "line 4: the x is 'x', which is no number"),
        ("t,x,x\n1,2,3\n", "line 1: two columns are called `x`"),
        ('t,x\n1,"2\n', "this is no CSV"),
        ("t,x\n1,é\n".encode("latin-1"), "is not UTF-8: byte 6, in line 2, is 0xe9"),
        ("t,x\n1,2\n".encode("utf-16"), "if it is UTF-16"),
        (gzip.compress(b"t,x\n1,2\n", mtime=0)[:-4], "is a gzip file that breaks off"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(content, problem, write):
    with pytest.raises(InputError) as found:
        data.read_time_series(write(content))
    assert problem in str(found.value) and "a.csv" in str(found.value)


def test_columns_that_are_not_there_are_named(write, tmp_path):
    path = write("t,x\n1,2\n")
    for asked in ({"time": "day"}, {"values": ("day",)}):
        with pytest.raises(InputError, match="line 1: there is no column `day`; the columns are"):
            data.read_time_series(path, **asked)
    with pytest.raises(InputError, match="there is no file"):
        data.read_time_series(tmp_path / "no.csv")


def test_times_go_on_if_they_are_equally_far_apart():
    months = np.array(["2011-11", "2011-12"], "datetime64[M]")
    assert data.times_after(months, 2).astype(str).tolist() == ["2012-01", "2012-02"]
    assert data.times_after(np.array([0.5, 1.0, 1.5]), 1).tolist() == [2.0]
    assert data.times_after(np.array([1, 2, 4]), 1) is None
    assert data.times_after(np.array([1]), 1) is None


def test_windows_hold_the_steps_read_and_those_forecast():
    values = np.arange(20).reshape(10, 2)
    windows = data.series_windows(values, window=3, horizon=2, stride=2)
    assert windows.shape == (3, 5, 2)
    for place, window in enumerate(windows):
        for t in range(3):
            for h in range(2):
                assert (window[t + 1 + h] == values[2 * place + t + 1 + h]).all()
    assert data.series_windows(values, window=9, horizon=2).shape == (0, 11, 2)


def test_sizes_of_windows_that_are_none_are_named(untyped):
    with pytest.raises(ValueError, match="series_windows: `horizon` must be at least 1, but it is"):
        data.series_windows(np.zeros(3), window=1, horizon=0)
    with pytest.raises(ValueError, match=r"`values` must have shape \(T, ...\), but it has shape"):
        data.series_windows(np.zeros(()), window=1, horizon=1)
