"""The settings of a tagger: what is left out is filled in, the scheme is read off the labels."""

import dataclasses
import math

import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._tagging_config import BUNDLED, GENERAL, Config, check, resolved, scheme_of
from jaxseq.recipes._tagging_data import BUNDLED as CORPORA

FIELDS = {field.name for field in dataclasses.fields(Config)}


@pytest.mark.parametrize("data", ["my.conll", *BUNDLED])
def test_no_setting_is_left_out_but_the_validation_file(data):
    config = resolved(Config(data=data), {"a", "b"})
    assert [name for name in FIELDS if getattr(config, name) is None] == ["valid"]
    check(config, {"a", "b"})


def test_what_is_given_stays_and_false_and_zero_are_given():
    given = {"hold_out": 0, "spelling": False, "dropout": 0.0, "scheme": "runs", "epochs": 3}
    config = resolved(Config(data="hkcancor", **given), {"B-X", "O"})
    assert {name: getattr(config, name) for name in given} == given


def test_a_row_of_the_table_is_of_settings_that_may_be_left_out():
    assert {*BUNDLED} == {*CORPORA}
    for row in (GENERAL, *BUNDLED.values()):
        assert row.keys() <= {*GENERAL, "scheme"} and None not in row.values()
        assert all(getattr(Config(), name) is None for name in row)


def test_filling_in_twice_changes_nothing():
    config = resolved(Config(data="usaddress"), {"a"})
    assert config.scheme == "runs" and resolved(config, {"B-X", "I-X"}) == config


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        ("O B-PER I-PER B-LOC", "bio"),
        ("O B-PER", "bio"),
        ("B I O", "bio"),
        ("O B-PER I-PER E-PER S-PER", "bioes"),
        ("O S-PER", "bioes"),
        ("B-PER E-PER S-PER", "bioes"),
        ("B I E S O", "bioes"),
        ("B M E S", "bmes"),
        ("O B-PER M-PER E-PER S-PER", "bmes"),
        ("O I-PER", "none"),
        ("B O", "none"),  # letters alone may be any labels
        ("S A", "none"),
        ("A B C D E", "none"),
        ("NOUN VERB -LRB- O", "none"),
        ("B-PER X-PER", "none"),
        ("O", "none"),
        ("", "none"),
    ],
)
def test_the_scheme_is_that_of_the_prefixes(labels, scheme):
    assert scheme_of({*labels.split()}) == scheme
    assert resolved(Config(data="my.conll"), {*labels.split()}).scheme == scheme


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("hold_out", 1, "0, or at least 2, but it is 1"),
        ("affixes", -1, "at least 0, but it is -1"),
        ("max_letters", 0, "at least 1, but it is 0"),
        ("word_dropout", 1.0, r"in \[0, 1\), but it is 1\.0"),
        ("word_dropout", math.nan, r"in \[0, 1\), but it is nan"),
    ],
)
def test_a_number_out_of_range_is_named(name, value, problem):
    config = dataclasses.replace(resolved(Config(), {"a"}), **{name: value})
    with pytest.raises(InputError, match=f"^tagging: `{name}` must be {problem}"):
        check(config, {"a"})


@pytest.mark.parametrize("output", ["softmax", "crf"])
def test_labels_that_are_none_of_the_scheme_are_an_error(output):
    config = resolved(Config(data="my.conll", scheme="bio", output=output), set())
    with pytest.raises(ValueError, match=r'"NOUN" is no label of the scheme'):
        check(config, {"B-X", "NOUN"})
    check(dataclasses.replace(config, scheme="runs"), {"B-X", "NOUN"})
