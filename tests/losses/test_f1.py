"""Precision, recall and F1 by hand; against scikit-learn they are in tests/parity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.losses import confusion_matrix, macro_f1, precision_recall_f1

COUNTS = np.array([[5, 1, 0, 2], [2, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], np.int32)


def test_they_are_the_textbooks_ratios():
    found = precision_recall_f1(COUNTS)
    np.testing.assert_allclose(found.precision, [5 / 7, 3 / 4, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found.recall, [5 / 8, 3 / 5, 0, 0], rtol=1e-6)
    p, r = np.array([5 / 7, 3 / 4]), np.array([5 / 8, 3 / 5])
    np.testing.assert_allclose(found.f1, [*(2 * p * r / (p + r)), 0, 0], rtol=1e-6)
    assert found.support.tolist() == [8, 5, 0, 0]


def test_the_macro_mean_is_over_the_classes_that_occur():
    """The third class occurs nowhere, the last only among the predictions."""
    f1 = precision_recall_f1(COUNTS).f1
    np.testing.assert_allclose(macro_f1(COUNTS), (f1[0] + f1[1]) / 3, rtol=1e-6)
    np.testing.assert_allclose(macro_f1(COUNTS.T), macro_f1(COUNTS), rtol=1e-6)


def test_of_nothing_all_is_zero():
    nothing = np.zeros((2, 2), np.int32)
    found = precision_recall_f1(nothing)
    assert not any(values.any() for values in found)
    assert macro_f1(nothing) == 0


def test_the_f1_of_one_of_two_classes_is_the_binary_f1():
    spaces, right = np.array([[0, 1, 1, 0, 1]]), np.array([[0, 1, 0, 0, 1]])
    matrix = confusion_matrix(spaces, right, num_classes=2)
    np.testing.assert_allclose(precision_recall_f1(matrix).f1[1], 0.8, rtol=1e-6)


def test_jit_and_vmap_agree_with_the_plain_call():
    both = jnp.stack([COUNTS, COUNTS.T])
    rows = jax.jit(jax.vmap(precision_recall_f1))(both)
    for row, counts in enumerate(both):
        for mapped, plain in zip(rows, precision_recall_f1(counts), strict=True):
            np.testing.assert_allclose(mapped[row], plain, rtol=1e-6)
    means = jax.jit(jax.vmap(macro_f1))(both)
    np.testing.assert_allclose(means, [macro_f1(counts) for counts in both], rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (jnp.int32, jnp.float32),
        (jnp.uint8, jnp.float32),
        (jnp.float32, jnp.float32),
        (jnp.bfloat16, jnp.float32),
    ],
)
def test_shares_are_in_float32_whatever_the_counts_are_in(given, expected):
    found = precision_recall_f1(jnp.asarray(COUNTS, given))
    assert {values.dtype for values in found[:3]} == {jnp.dtype(expected)}
    np.testing.assert_allclose(found.f1, precision_recall_f1(COUNTS).f1, rtol=1e-6)
    assert macro_f1(jnp.asarray(COUNTS, given)).dtype == expected


def test_float64_stays_float64(x64):
    found = precision_recall_f1(jnp.asarray(COUNTS, jnp.float64))
    assert found.f1.dtype == jnp.float64
    np.testing.assert_allclose(found.f1[0], 10 / 15, rtol=1e-15)
    assert precision_recall_f1(jnp.asarray(COUNTS)).f1.dtype == jnp.float64


def test_many_counts_do_not_overflow():
    counts = jnp.array([[2**30, 2**29], [0, 1]], jnp.int32)
    np.testing.assert_allclose(precision_recall_f1(counts).f1[0], 0.8, rtol=1e-6)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 2)])
@pytest.mark.parametrize("measure", [precision_recall_f1, macro_f1])
def test_what_is_not_square_is_refused(measure, shape, untyped):
    name = measure.__name__
    text = str(shape).replace("(", r"\(").replace(")", r"\)")
    message = rf"^{name}: `confusion` must have shape \(K, K\), but it has shape {text}\.\n  Hint"
    with pytest.raises(ValueError, match=message):
        measure(np.zeros(shape, np.int32))
