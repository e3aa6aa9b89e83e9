"""What a forecaster learns from: bundled series, files, parts in time, calendars."""

import dataclasses

import numpy as np
import pytest
import tiny_forecaster

from jaxseq._checks import InputError
from jaxseq.recipes._forecasting_config import Config, resolved
from jaxseq.recipes._forecasting_data import calendar, mark, read_dataset


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(tiny_forecaster.table())
    return resolved(Config(data=str(path), hold_out=0.25, test=0.25))


def changed(config, **changes):
    return dataclasses.replace(config, **changes)


def test_bundled_series_are_split_as_the_literature_does():
    weather = read_dataset(resolved(Config()))
    assert weather.spans == [{"train": (0, 731), "valid": (731, 1096), "test": (1096, 1461)}]
    assert weather.series[0].past.shape == (1461, 3)
    stocks = read_dataset(resolved(Config(data="stocks")))
    assert [one.name for one in stocks.series] == ["AAPL", "GOOG", "IBM", "MSFT"]
    for one, spans in zip(stocks.series, stocks.spans, strict=True):
        assert str(one.times[spans["valid"][0]]) == "2010-01-04"
        assert str(one.times[spans["test"][0]]) == "2012-01-03"
    spots = read_dataset(resolved(Config(data="sunspots_yearly")))
    years = spots.series[0].times
    assert [(years[a], years[b - 1]) for a, b in spots.spans[0].values()] == [
        (1700, 1920),
        (1921, 1955),
        (1956, 1979),
    ]


def test_a_file_is_split_by_shares_or_by_times(config):
    assert read_dataset(config).spans == [{"train": (0, 40), "valid": (40, 60), "test": (60, 80)}]
    assert read_dataset(config).columns == ("temp", "level", "rain", "open")
    dated = changed(config, valid_from="2020-01-11", test_from="2020-01-31")
    assert read_dataset(dated).spans == [{"train": (0, 10), "valid": (10, 30), "test": (30, 80)}]
    alone = changed(config, hold_out=0.0, test=0.0)
    assert read_dataset(alone).spans == [{"train": (0, 80)}]
    other = changed(config, data="seattle_weather", values=("wind",), valid_from=None)
    assert read_dataset(other).columns == ("wind",)


def test_lines_at_the_end_without_values_are_steps_to_come(config, tmp_path):
    (tmp_path / "a.csv").write_text(tiny_forecaster.table(30, more=3))
    asked = changed(config, values=("temp",), future_covariates=("open",))
    series = read_dataset(asked).series[0]
    assert len(series.values) == 30 and len(series.times) == len(series.future) == 33


def test_the_mark_tells_data_from_other_data(config, tmp_path):
    before = mark(read_dataset(config))
    assert before["steps"] == 80 and mark(read_dataset(config)) == before
    (tmp_path / "a.csv").write_text(tiny_forecaster.table(seed=1))
    assert mark(read_dataset(config)) != before


def test_places_in_a_cycle_come_again():
    days = np.datetime64("2020-01-01") + np.arange(366)
    week = calendar(days, ("week",))
    np.testing.assert_allclose(week[:-7], week[7:], atol=1e-9)
    year = calendar(days, ("year", "day"))
    assert year.shape == (366, 4)
    np.testing.assert_allclose(year[[0, 183], :2], [[0, 1], [0, -1]], atol=0.02)
    hours = np.datetime64("2020-01-01T00", "h") + np.arange(0, 48, 6)
    np.testing.assert_allclose(calendar(hours, ("day",))[1], [1, 0], atol=1e-9)
    assert calendar(np.arange(3), ()).shape == (3, 0)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"data": "no_such"}, "there is no file and no bundled corpus for forecasting 'no_such'"),
        ({"data": "seattle_whether"}, "did you mean 'seattle_weather'"),
        ({"values": ("tmp",)}, "there is no column `tmp`; the columns are 'day', 'temp'"),
        ({"past_covariates": ("tmp",)}, "has no column `tmp`"),
        ({"data": "stocks", "values": ("tmp",)}, "`stocks` has no column `tmp`"),
        ({"past_covariates": ("temp", "level", "rain", "open")}, "and none is left to forecast"),
        ({"valid_from": "soon"}, "`valid_from` is 'soon', and times are such as 2020-01-01"),
        ({"valid_from": "2019-01-01"}, "training has no step: validation begins at step 1"),
        ({"test": 0.9, "hold_out": 0.5}, "training has no step"),
    ],
)
def test_what_cannot_be_used_is_named(changes, problem, config):
    with pytest.raises(InputError, match=problem):
        read_dataset(changed(config, **changes))


def test_columns_that_say_nothing_are_named(config, tmp_path):
    (tmp_path / "a.csv").write_text("t,x,y\n1,,2\n2,,\n")
    with pytest.raises(InputError, match="has no value of x"):
        read_dataset(changed(config, values=("x",)))
    (tmp_path / "a.csv").write_text("t,x,y\n1,3,2\n2,4,\n")
    with pytest.raises(InputError, match=r"has no y at the t 2\.\n  Hint: what is known"):
        read_dataset(changed(config, values=("x",), future_covariates=("y",)))
    with pytest.raises(InputError, match="`calendar` needs times that are dates"):
        calendar(np.arange(3), ("year",))
