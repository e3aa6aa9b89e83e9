"""The one voice in which errors speak."""

import re

import numpy as np
import pytest

from jaxseq._checks import InputError, check_shape, error, shape_text


def test_an_error_says_where_what_and_what_to_do():
    said = error("scan", "`unroll` must be at least 1, but it is 0", hint="leave it out")
    assert type(said) is ValueError
    assert str(said) == ("scan: `unroll` must be at least 1, but it is 0.\n  Hint: leave it out.")


def test_an_error_without_a_hint_is_one_line():
    assert str(error("f", "`x` is missing")) == "f: `x` is missing."
    assert str(error("f", "`x` is missing", hint="")) == "f: `x` is missing."


@pytest.mark.parametrize("kind", [TypeError, InputError, KeyError])
def test_an_error_is_of_the_kind_asked_for(kind):
    assert type(error("f", "no", kind=kind)) is kind


def test_an_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize(
    ("shape", "text"),
    [((), "()"), ([3], "(3,)"), ((2, 5), "(2, 5)"), ((np.int64(2), np.int32(5)), "(2, 5)")],
)
def test_a_shape_reads_as_a_tuple(shape, text, untyped):
    assert shape_text(shape) == text


def test_a_right_shape_passes():
    check_shape("f", "x", np.zeros((2, 3)), "(B, I)", [2, 3])
    check_shape("f", "x", np.zeros(()), "()", ())


@pytest.mark.parametrize("shape", [(), (4,), (1, 3), (3, 1)])
def test_a_wrong_shape_is_named_with_its_axes(shape):
    message = (
        f"f: `x` must have shape (input_size,) = (3,), but it has shape {shape}.\n  Hint: try."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check_shape("f", "x", np.zeros(shape), "(input_size,)", (3,), hint="try")
