"""The settings of a translator: what is left out is filled in for the data."""

import dataclasses

import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._translation_config import (
    BUNDLED,
    FULL,
    GENERAL,
    Config,
    as_begun,
    check,
    resolved,
)
from jaxseq.recipes._translation_data import BUNDLED as CORPORA

FIELDS = {field.name for field in dataclasses.fields(Config)}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("data", ["my.tsv", *BUNDLED])
def test_no_setting_is_left_out_but_the_validation_file(data, full):
    config = resolved(Config(data=data, full=full))
    assert [name for name in FIELDS if getattr(config, name) is None] == ["valid"]
    check(dataclasses.replace(config, full=False))


def test_what_is_given_stays_and_false_and_zero_are_given():
    given = {"hold_out": 0, "input_feeding": False, "dropout": 0.0, "beam": 1, "epochs": 3}
    config = resolved(Config(data="cmudict", full=True, **given))
    assert {name: getattr(config, name) for name in given} == given


def test_a_row_of_the_tables_is_of_settings_that_may_be_left_out():
    assert {*BUNDLED} == {*CORPORA} and {*FULL} <= {*CORPORA}
    for row in (GENERAL, *BUNDLED.values(), *FULL.values()):
        assert row.keys() <= GENERAL.keys() and None not in row.values()
    optional = {name for name in FIELDS if getattr(Config(), name) is None}
    assert optional == {*GENERAL, "valid"}


def test_the_larger_settings_are_other_ones():
    for data in FULL:
        small, large = (resolved(Config(data=data, full=full)) for full in (False, True))
        assert dataclasses.replace(large, full=False) != small


def test_a_run_that_says_nothing_of_networks_has_one():
    for data in FULL:
        old = Config(data=data, full=True)
        assert resolved(as_begun(old)).networks == 1 < resolved(old).networks
    three = Config(networks=3)
    assert as_begun(three) == three


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("hold_out", 1, "0, or at least 2"),
        ("max_length", 0, "at least 1"),
        ("pieces", -1, "at least 0"),
        ("memory", -0.5, "at least 0"),
        ("beam", 0, "at least 1"),
        ("length_penalty", -0.5, "at least 0"),
        ("label_smoothing", 1.0, r"in \[0, 1\)"),
        ("sampling", 1.5, r"in \[0, 1\]"),
    ],
)
def test_a_number_out_of_range_is_named(name, value, problem):
    config = resolved(Config(data="my.tsv", **{name: value}))
    with pytest.raises(InputError, match=f"translation: `{name}` must be {problem}, but it is"):
        check(config)


def test_only_data_with_larger_settings_have_them():
    problem = r"there are no larger settings for my\.tsv\.\n  Hint: there are some for cmudict"
    with pytest.raises(InputError, match=problem):
        check(resolved(Config(data="my.tsv", full=True)))
