"""Padding and its undoing."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseq.data import Padded, pad, unpad


def test_sequences_become_these_values_and_lengths():
    padded = pad([np.array([1.5]), np.array([2.5, 3.5, 4.5]), np.zeros(0)])
    np.testing.assert_array_equal(padded.values, [[1.5, 0, 0], [2.5, 3.5, 4.5], [0, 0, 0]])
    np.testing.assert_array_equal(padded.lengths, [1, 3, 0])
    assert padded.lengths.dtype == np.int32


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=6),
    features=st.lists(st.integers(0, 3), max_size=2),
    dtype=st.sampled_from(["float32", "int8", "bool", "complex64", "uint16"]),
    more=st.integers(0, 3),
)
def test_unpadding_undoes_padding(lengths, features, dtype, more):
    random = np.random.default_rng(0)
    sequences = [(random.normal(size=(n, *features)) * 9).astype(dtype) for n in lengths]
    padded = pad(sequences, length=max(lengths) + more)
    assert padded.values.shape == (len(lengths), max(lengths) + more, *features)
    assert padded.values.dtype == dtype
    for one, other in zip(unpad(padded), sequences, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_the_padding_is_the_value_that_was_asked_for():
    padded = pad([np.array([1, 2]), np.array([3])], length=3, value=-1)
    np.testing.assert_array_equal(padded.values, [[1, 2, -1], [3, -1, -1]])
    nan = pad([np.ones(1, np.float32), np.ones(2, np.float32)], value=np.nan)
    assert np.isnan(nan.values[0, 1])


def test_padding_copies_and_unpadding_does_not():
    sequence = np.array([1, 2])
    padded = pad([sequence])
    sequence[0] = 9
    (row,) = unpad(padded)
    assert row.tolist() == [1, 2]
    assert np.shares_memory(row, padded.values)


def test_lists_of_numbers_are_sequences_too():
    assert pad([[1, 2], [3]]).values.tolist() == [[1, 2], [3, 0]]


@pytest.mark.parametrize(
    ("sequences", "kind", "message"),
    [
        ([], ValueError, "pad: `sequences` is empty.\n  Hint: give at least one sequence."),
        ([[1], 2], ValueError, "sequences[1] must have a time axis, but it has shape ()."),
        (
            [[1], [1.5]],
            TypeError,
            "sequences[1] is float64, and sequences[0] is int64.\n  Hint: con",
        ),
        ([[1], []], TypeError, "convert them with astype; an empty list is float64."),
        (
            [np.zeros((2, 3)), np.zeros((2, 4))],
            ValueError,
            "sequences[1] has shape (2, 4), and sequences[0] (2, 3).\n  Hint: only their firs",
        ),
        (
            [np.zeros((2, 3)), np.zeros(2)],
            ValueError,
            "sequences[1] has shape (2,), and sequences[",
        ),
    ],
)
def test_sequences_that_do_not_fit_together_are_refused(sequences, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        pad(sequences)


def test_a_length_below_the_longest_sequence_is_refused():
    message = (
        r"sequences\[1\] has 3 steps, more than `length` = 2\.\n  Hint: give a larger `length`"
    )
    with pytest.raises(ValueError, match=message):
        pad([[1], [1, 2, 3]], length=2)


@pytest.mark.parametrize(
    ("dtype", "value"), [("int32", 0.5), ("int8", 300), ("uint8", -1), ("int32", "x"), ("f4", [0])]
)
def test_a_value_that_the_dtype_cannot_hold_is_refused(dtype, value):
    message = f"pad: `value` = {value!r} cannot be held in {np.dtype(dtype)}."
    with pytest.raises(TypeError, match=re.escape(message)):
        pad([np.zeros(2, dtype)], value=value)


def test_lengths_that_do_not_belong_to_the_values_are_refused():
    values = np.zeros((2, 3))
    with pytest.raises(
        ValueError, match=r"lengths \(B,\), but their shapes are \(2, 3\) and \(1,\)"
    ):
        unpad(Padded(values, np.array([1])))
    with pytest.raises(ValueError, match=r"but their shapes are \(2,\) and \(2,\)"):
        unpad(Padded(np.zeros(2), np.array([1, 1])))
    for bad in (4, -1):
        with pytest.raises(
            ValueError, match=rf"must lie in \[0, 3\], but lengths\[1\] is {bad}\.$"
        ):
            unpad(Padded(values, np.array([1, bad])))
