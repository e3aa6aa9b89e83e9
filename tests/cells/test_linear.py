"""That what is said of a cell as a linear recurrence is its step, and what these cells share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import example

import jaxseq
from jaxseq.cells import _linear

CELLS = {
    "lru": jaxseq.lru(3, 2, 4),
    "min_gru": jaxseq.min_gru(3, 4),
    "min_lstm": jaxseq.min_lstm(3, 4),
}


def number(carry, is_complex):
    """A carry as NumPy arrays: one complex, or all of them real."""
    parts = [np.asarray(part) for part in carry]
    return [parts[0] + 1j * parts[1]] if is_complex else parts


@pytest.mark.parametrize("name", CELLS)
def test_coefficients_and_read_are_the_step(name, x64):
    cell = CELLS[name]
    linear = cell.linear
    params, xs, carry = example(cell, dtype=np.float64)
    a, b = linear.coefficients(params, xs[0])
    assert type(a) is type(b) is type(carry)
    after, y = cell.step(params, carry, xs[0])
    parts = (number(tree, linear.complex) for tree in (a, carry, b, after))
    for a, before, b, expected in zip(*parts, strict=True):
        np.testing.assert_allclose(a * before + b, expected, rtol=1e-13, atol=1e-15)
        assert np.all(np.abs(a) < 1.0)
    np.testing.assert_array_equal(linear.read(params, after, xs[0]), y)


@pytest.mark.parametrize("name", CELLS)
def test_what_is_called_constant_does_not_depend_on_the_input(name):
    cell = CELLS[name]
    params, xs, _ = example(cell, steps=2)
    one, other = (cell.linear.coefficients(params, x)[0] for x in xs)
    assert cell.linear.constant == all(
        np.array_equal(*pair) for pair in zip(one, other, strict=True)
    )


def test_only_linear_recurrences_say_that_they_are():
    assert jaxseq.gru(2, 3).linear is None
    assert all(cell.linear is not None and cell.maps is None for cell in CELLS.values())


def test_a_state_is_never_kept_in_half_precision():
    for dtype, expected in ((jnp.bfloat16, "float32"), (jnp.float16, "float32")):
        assert _linear.zero_state((2,), 3, dtype).dtype == expected


def test_gates_begin_independently_of_each_other():
    one, other = np.split(
        np.asarray(_linear.init_gates(jax.random.key(0), 2, (3, 4), "float32")), 2
    )
    assert one.shape == (4, 3) and not np.any(one == other)
