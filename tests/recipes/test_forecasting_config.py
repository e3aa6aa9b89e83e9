"""The settings of a forecaster: what is left out is filled in, what is given stays."""

import dataclasses
import math

import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._forecasting_config import BUNDLED, GENERAL, LEFT_OUT, Config, check, resolved
from jaxseq.recipes._forecasting_data import BUNDLED as CORPORA


@pytest.mark.parametrize("data", ["my.csv", *BUNDLED])
def test_only_what_may_be_left_out_is(data):
    config = resolved(Config(data=data))
    names = [field.name for field in dataclasses.fields(Config)]
    assert {name for name in names if getattr(config, name) is None} <= {*LEFT_OUT}
    check(config)
    assert resolved(config) == config


def test_a_row_of_the_table_is_of_settings_that_may_be_left_out():
    assert {*BUNDLED} == {*CORPORA}
    for row in (GENERAL, *BUNDLED.values()):
        assert all(getattr(Config(), name) in (None, ()) for name in row)
        assert None not in row.values()


def test_what_is_given_stays_and_false_and_zero_are_given():
    given = {"hold_out": 0.0, "differences": False, "calendar": (), "dropout": 0.0, "epochs": 3}
    config = resolved(Config(data="stocks", **given))
    assert {name: getattr(config, name) for name in given} == given


def test_columns_may_be_given_between_commas_and_take_the_place_of_the_usual_ones():
    config = resolved(Config(values=("temp_min,wind",), past_covariates=("temp_max",)))
    assert config.values == ("temp_min", "wind") and config.past_covariates == ("temp_max",)
    assert resolved(Config(values=("wind",))).past_covariates == ()
    assert resolved(Config()).values == ("temp_max",)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"horizon": 0}, "`horizon` must be at least 1, but it is 0"),
        ({"window": 1}, "`window` must be at least 2, but it is 1"),
        ({"order": 0}, "`order` must be at least 1"),
        ({"members": 0}, "`members` must be at least 1"),
        ({"samples": 1}, "`samples` must be at least 2"),
        ({"season": (7, 0)}, r"`season` must be numbers from 1 on, but it is \(7, 0\)"),
        ({"hold_out": 1.0}, r"`hold_out` must be in \[0, 1\)"),
        ({"test": math.nan}, r"`test` must be in \[0, 1\)"),
        ({"values": ("a", "a")}, "the column 'a' is asked for twice"),
        ({"time": "a", "values": ("a",)}, "the column 'a' is asked for twice"),
    ],
)
def test_a_number_out_of_range_is_named(changes, problem):
    with pytest.raises(InputError, match=f"forecasting: {problem}"):
        check(resolved(Config(data="my.csv", **changes)))
