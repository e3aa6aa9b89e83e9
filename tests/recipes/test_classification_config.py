"""The settings of a classifier: what is left out is filled in, what is given stays, ranges."""

import dataclasses
import math

import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._classification_config import (
    BUNDLED,
    SERIES,
    TEXTS,
    Config,
    check,
    resolved,
)
from jaxseq.recipes._classification_data import BUNDLED as CORPORA

FIELDS = {field.name for field in dataclasses.fields(Config)}


@pytest.mark.parametrize("kind", ["text", "series"])
@pytest.mark.parametrize("data", ["my.tsv", *BUNDLED])
def test_no_setting_is_left_out_but_the_validation_file(data, kind):
    config = resolved(Config(data=data), kind)
    assert [name for name in FIELDS if getattr(config, name) is None] == ["valid"]
    check(config)


def test_what_is_given_stays_and_zero_is_given():
    config = resolved(Config(data="udhr", hold_out=7, dropout=0.0, epochs=3), "text")
    assert (config.hold_out, config.dropout, config.epochs) == (7, 0.0, 3)


def test_texts_and_series_have_defaults_of_their_own():
    assert resolved(Config(data="a.tsv"), "text") == Config(data="a.tsv", **TEXTS)
    assert resolved(Config(data="a.npz"), "series") == Config(data="a.npz", **SERIES)


def test_a_row_of_the_table_is_of_settings_that_may_be_left_out():
    assert {*BUNDLED} == {*CORPORA}
    for row in (TEXTS, SERIES, *BUNDLED.values()):
        assert row.keys() == TEXTS.keys() and None not in row.values()
        assert all(getattr(Config(), name) is None for name in row)


def test_filling_in_twice_changes_nothing():
    config = resolved(Config(data="names"), "text")
    assert resolved(config, "series") == config


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("hold_out", 1, "0, or at least 2, but it is 1"),
        ("hold_out", -2, "0, or at least 2, but it is -2"),
        ("max_length", 0, "at least 1, but it is 0"),
        ("crop", -1, "at least 0, but it is -1"),
        ("noise", -0.5, r"at least 0 and finite, but it is -0\.5"),
        ("noise", math.inf, "at least 0 and finite, but it is inf"),
        ("noise", math.nan, "at least 0 and finite, but it is nan"),
        ("symbol_dropout", 1.0, r"in \[0, 1\), but it is 1\.0"),
        ("symbol_dropout", math.nan, r"in \[0, 1\), but it is nan"),
        ("label_smoothing", -0.1, r"in \[0, 1\), but it is -0\.1"),
    ],
)
def test_a_number_out_of_range_is_named(name, value, problem):
    config = dataclasses.replace(resolved(Config(), "text"), **{name: value})
    with pytest.raises(InputError, match=f"^classification: `{name}` must be {problem}"):
        check(config)
